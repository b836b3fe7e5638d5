/* kv.c - page and slot bookkeeping; see kv.h. Each group has a stack of free pages. Sequences own their pages alone: there
 * is no sharing and no copy-on-write yet. Runs on the thread that drives the steps.
 */
#include "core/engine/kv.h"

#include <stdlib.h>

#include "core/base/num.h"

/* Free numbers, the next to take on top. */
struct stack {
    int32_t *items; /* [size] of which [n] are free */
    uint32_t n, size;
};

struct group {
    struct tn_kv_group_desc desc;
    struct stack free;
};

struct tn_kv {
    struct group *groups; /* [n_groups] */
    uint32_t n_groups;
    struct stack slots;
    bool recurrent;
};

static int32_t stack_init(struct stack *s, uint64_t size)
{
    s->items = calloc(size + 1, sizeof *s->items);
    if (s->items == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    s->n = s->size = (uint32_t)size;
    for (uint32_t i = 0; i < s->size; i++)
        s->items[i] = (int32_t)(s->size - 1 - i);
    return TENON_OK;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

int32_t tn_kv_create(const struct tn_kv_group_desc *groups, uint32_t n_groups, uint32_t n_slots, bool recurrent,
                     struct tn_kv **ret, struct tenon_err *err)
{
    struct tn_kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL)
        goto no_memory;
    kv->recurrent = recurrent;
    kv->groups = calloc((size_t)n_groups + 1, sizeof *kv->groups);
    if (kv->groups == NULL || stack_init(&kv->slots, n_slots) != TENON_OK)
        goto no_memory;
    for (; kv->n_groups < n_groups; kv->n_groups++) {
        struct group *g = &kv->groups[kv->n_groups];
        uint64_t tokens;
        g->desc = groups[kv->n_groups];
        if (g->desc.page_tokens == 0 || !tn_mul_u64(g->desc.n_pages, g->desc.page_tokens, &tokens) ||
            tokens > INT32_MAX) { /* slots are int32 in the step's inputs */
            tn_kv_destroy(kv);
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "kv cache", "over 2^31 positions: use a smaller --context");
        }
        if (stack_init(&g->free, g->desc.n_pages) != TENON_OK)
            goto no_memory;
    }
    *ret = kv;
    return TENON_OK;
no_memory:
    tn_kv_destroy(kv);
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "kv cache", "out of memory");
}

void tn_kv_destroy(struct tn_kv *kv)
{
    if (kv == NULL)
        return;
    for (uint32_t g = 0; kv->groups != NULL && g < kv->n_groups; g++)
        free(kv->groups[g].free.items);
    free(kv->groups);
    free(kv->slots.items);
    free(kv);
}

int32_t tn_kv_open(struct tn_kv *kv, struct tn_seq **ret, struct tenon_err *err)
{
    struct tn_seq *seq;
    if (kv->slots.n == 0)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "kv cache", "all %u sequences are in use", kv->slots.size);
    seq = calloc(1, sizeof *seq);
    if (seq != NULL)
        seq->tables = calloc((size_t)kv->n_groups + 1, sizeof *seq->tables);
    if (seq == NULL || seq->tables == NULL) {
        free(seq);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "kv cache", "out of memory");
    }
    seq->slot = kv->slots.items[--kv->slots.n];
    *ret = seq;
    return TENON_OK;
}

/* ---- pages -------------------------------------------------------------------------------------------------- */

/* Give back entries [from, n) of a table. */
static void cut_table(struct group *g, struct tn_kv_table *t, uint32_t from)
{
    while (t->n > from) {
        int32_t page = t->pages[--t->n];
        if (page >= 0)
            g->free.items[g->free.n++] = page;
    }
    if (t->dropped > t->n)
        t->dropped = t->n;
}

static uint32_t pages_for(const struct group *g, uint64_t tokens)
{
    return (uint32_t)((tokens + g->desc.page_tokens - 1) / g->desc.page_tokens);
}

static int32_t grow_table(struct group *g, struct tn_kv_table *t, uint32_t n)
{
    if (n > t->capacity) {
        uint32_t capacity = n > 2 * t->capacity ? n : 2 * t->capacity;
        int32_t *pages = realloc(t->pages, capacity * sizeof *pages);
        if (pages == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        t->pages = pages;
        t->capacity = capacity;
    }
    if (n > t->n && n - t->n > g->free.n)
        return TENON_E_RESOURCE_EXHAUSTED;
    while (t->n < n)
        t->pages[t->n++] = g->free.items[--g->free.n];
    return TENON_OK;
}

int32_t tn_kv_reserve(struct tn_kv *kv, struct tn_seq *seq, uint32_t n, struct tenon_err *err)
{
    for (uint32_t g = 0; g < kv->n_groups; g++) {
        uint32_t wanted = pages_for(&kv->groups[g], (uint64_t)seq->len + n);
        if (grow_table(&kv->groups[g], &seq->tables[g], wanted) == TENON_OK)
            continue;
        for (uint32_t i = 0; i <= g; i++)
            cut_table(&kv->groups[i], &seq->tables[i], pages_for(&kv->groups[i], seq->len));
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "kv cache", "no free page for position %u: use a larger --context",
                          seq->len);
    }
    return TENON_OK;
}

/* The first page that the token at position len sees something of: positions > len - window. */
static uint32_t keep_from(const struct group *g, uint32_t len)
{
    return g->desc.window == 0 || len < g->desc.window ? 0 : (len - g->desc.window + 1) / g->desc.page_tokens;
}

static void drop_outside_window(struct group *g, struct tn_kv_table *t, uint32_t len)
{
    uint32_t first = keep_from(g, len);
    for (; t->dropped < first && t->dropped < t->n; t->dropped++) {
        g->free.items[g->free.n++] = t->pages[t->dropped];
        t->pages[t->dropped] = -1;
    }
}

void tn_kv_advance(struct tn_kv *kv, struct tn_seq *seq, uint32_t n)
{
    seq->len += n;
    for (uint32_t g = 0; g < kv->n_groups; g++)
        drop_outside_window(&kv->groups[g], &seq->tables[g], seq->len);
}

bool tn_kv_can_rewind(const struct tn_kv *kv, const struct tn_seq *seq, uint32_t len)
{
    bool can = len == 0 || !seq->spoiled; /* the very start is always there */
    if (kv->recurrent && len != seq->len)
        can = len == 0;
    for (uint32_t g = 0; g < kv->n_groups; g++)
        can = can && (len == 0 || seq->tables[g].dropped <= keep_from(&kv->groups[g], len));
    return can;
}

bool tn_kv_rewind(struct tn_kv *kv, struct tn_seq *seq, uint32_t len)
{
    if (!tn_kv_can_rewind(kv, seq, len))
        return false;
    for (uint32_t g = 0; g < kv->n_groups; g++)
        cut_table(&kv->groups[g], &seq->tables[g], pages_for(&kv->groups[g], len));
    seq->spoiled = false;
    seq->len = len;
    return true;
}

int32_t tn_kv_slot(const struct tn_kv *kv, const struct tn_seq *seq, uint32_t group, uint32_t position)
{
    uint32_t page_tokens = kv->groups[group].desc.page_tokens;
    return seq->tables[group].pages[position / page_tokens] * (int32_t)page_tokens + (int32_t)(position % page_tokens);
}

void tn_kv_close(struct tn_kv *kv, struct tn_seq *seq)
{
    if (seq == NULL)
        return;
    for (uint32_t g = 0; g < kv->n_groups; g++) {
        cut_table(&kv->groups[g], &seq->tables[g], 0);
        free(seq->tables[g].pages);
    }
    kv->slots.items[kv->slots.n++] = seq->slot;
    free(seq->tables);
    free(seq);
}

uint64_t tn_kv_pages(const struct tn_kv *kv)
{
    uint64_t n = 0;
    for (uint32_t g = 0; g < kv->n_groups; g++)
        n += kv->groups[g].desc.n_pages;
    return n;
}

uint64_t tn_kv_pages_used(const struct tn_kv *kv)
{
    uint64_t used = tn_kv_pages(kv);
    for (uint32_t g = 0; g < kv->n_groups; g++)
        used -= kv->groups[g].free.n;
    return used;
}
