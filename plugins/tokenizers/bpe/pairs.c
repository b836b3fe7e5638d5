/* pairs.c - reads the list of merges, "left right" per rank, into one flat table keyed by the two ids. The names of
 * three tokens are looked up per merge, which is most of what opening costs: those of the sides in batches, and the joined
 * one is usually the token after the last merge's. They wait for memory, so that two threads take half the time of one, and
 * what a step of a batch needs is asked for while the batches beside it are at theirs. A slot of the table is one number that
 * says all of a pair: eight share a line of the processor's cache. Constant once filled. Contract: pairs.h. */
#include "pairs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MERGES "tokenizer.ggml.merges"
#define PART_FROM 65536u /* merges that pay for a thread */
#define SHARE 8192u      /* merges that a thread takes at once */

/* Merges whose sides' names are to be looked up, and those that are to be put into the table. */
struct batch {
    struct tenon_str room[2 * BPE_MERGES_BATCH];
    const struct tenon_str *sides;                /* [2 * n] */
    uint64_t hashes[2 * BPE_MERGES_BATCH];        /* [2 * n] */
    uint64_t keys[BPE_MERGES_BATCH];              /* [n] once found */
    uint32_t rank, n;
};

/* What one thread reads: shares of the list, as long as there are any. */
struct part {
    const struct bpe_merges *merges;
    struct bpe_pairs *pairs;
    uint32_t *next;      /* rank from which on nobody has taken any. Taken atomically, by several threads */
    uint32_t rank, to;   /* of the share: what is to be loaded */
    int32_t last_id;     /* of the last joined token; -1 to start with */
    char *joined;        /* [capacity] what a merge makes */
    size_t capacity;
    int32_t status;
    struct tenon_err err;
};

static int32_t refuse(uint32_t rank, struct tenon_str left, struct tenon_str right, const char *why,
                      struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "bpe", "merges[%u] \"%.*s %.*s\" %s: the file is damaged", rank,
                      (int)(left.size < 64 ? left.size : 64), left.data, (int)(right.size < 64 ? right.size : 64),
                      right.data, why);
}

/* Is the token what left and right make? */
static bool is_joined(const struct tok_vocab *v, uint32_t id, struct tenon_str left, struct tenon_str right)
{
    const struct tenon_str *text = id < v->n ? &v->text[id] : NULL;
    return text != NULL && text->size == left.size + right.size && text->size > 0 &&
           memcmp(text->data, left.data, left.size) == 0 && memcmp(text->data + left.size, right.data, right.size) == 0;
}

static int32_t reserve(struct part *part, size_t size)
{
    char *grown;
    if (size <= part->capacity)
        return 0;
    grown = realloc(part->joined, size);
    if (grown == NULL)
        return tenon_fail(&part->err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for a merge of %zu bytes", size);
    part->joined = grown;
    part->capacity = size;
    return 0;
}

/* What left and right make; -1: no token. Mostly it is the token after the last one made, or that again. */
static int32_t find_joined(struct part *part, struct tenon_str left, struct tenon_str right, int32_t *ret_id)
{
    const struct tok_vocab *v = part->merges->vocab;
    size_t size = (size_t)(left.size + right.size);
    int32_t status = 0;
    *ret_id = part->last_id + 1;
    if (is_joined(v, (uint32_t)part->last_id + 1, left, right))
        return 0;
    *ret_id = part->last_id;
    if (is_joined(v, (uint32_t)part->last_id, left, right))
        return 0;
    status = reserve(part, size);
    if (status != 0)
        return status;
    memcpy(part->joined, left.data, (size_t)left.size);
    memcpy(part->joined + left.size, right.data, (size_t)right.size);
    *ret_id = tok_vocab_find(v, part->joined, size);
    return 0;
}

/* Of a pair listed twice the last counts, as elsewhere. */
static void put(struct bpe_pairs *p, uint64_t key, uint32_t rank)
{
    uint64_t item = key << BPE_RANK_BITS | rank;
    for (uint32_t at = bpe_pairs_home(p, key);; at = (at + 1) & p->mask) {
        uint64_t seen = __atomic_load_n(&p->slots[at], __ATOMIC_RELAXED);
        while (seen == UINT64_MAX || (seen >> BPE_RANK_BITS == key && seen < item))
            if (__atomic_compare_exchange_n(&p->slots[at], &seen, item, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                return;
        if (seen >> BPE_RANK_BITS == key)
            return;
    }
}

/* A merge whose sides are known by their ids. */
static int32_t find_merge(struct part *part, uint32_t rank, const struct tenon_str *sides, const int32_t *ids, uint64_t *ret_key)
{
    struct tenon_str left = sides[0], right = sides[1];
    uint32_t prefix = part->merges->prefix;
    int32_t id, status;
    if (ids[0] < 0 || ids[1] < 0 || right.size < prefix)
        return refuse(rank, left, right, ids[0] < 0 ? "begins with what is no token" : "ends with what is no token", &part->err);
    right.data += prefix;
    right.size -= prefix;
    status = find_joined(part, left, right, &id);
    if (status != 0)
        return status;
    if (id < 0)
        return refuse(rank, left, sides[1], "makes what is no token", &part->err);
    part->last_id = id;
    part->pairs->made[rank] = id;
    *ret_key = bpe_pair_key(ids[0], ids[1]);
    __builtin_prefetch(&part->pairs->slots[bpe_pairs_home(part->pairs, *ret_key)], 1);
    return 0;
}

/* There is none left to load: n is 0. */
static int32_t load_batch(struct part *part, struct batch *b)
{
    uint32_t all = part->merges->n;
    if (part->rank == part->to) {
        uint32_t from = __atomic_fetch_add(part->next, SHARE, __ATOMIC_RELAXED);
        part->rank = from < all ? from : all;
        part->to = all - part->rank < SHARE ? all : part->rank + SHARE;
    }
    b->rank = part->rank;
    b->n = part->to - part->rank < BPE_MERGES_BATCH ? part->to - part->rank : BPE_MERGES_BATCH;
    if (b->n == 0)
        return 0;
    b->sides = part->merges->sides(part->merges->arg, b->rank, b->n, b->room, &part->err);
    if (b->sides == NULL)
        return part->err.code;
    part->rank += b->n;
    tok_vocab_hash_all(part->merges->vocab, b->sides, 2 * (size_t)b->n, b->hashes);
    return 0;
}

static int32_t find_batch(struct part *part, struct batch *b)
{
    int32_t ids[2 * BPE_MERGES_BATCH], status = 0;
    tok_vocab_find_all(part->merges->vocab, b->sides, b->hashes, 2 * (size_t)b->n, ids);
    for (uint32_t i = 0; status == 0 && i < b->n; i++)
        status = find_merge(part, b->rank + i, &b->sides[2 * i], &ids[2 * i], &b->keys[i]);
    return status;
}

static void put_batch(struct part *part, const struct batch *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        put(part->pairs, b->keys[i], b->rank + i);
}

/* Three batches are under way: one is loaded, the one before is found, and the one before that is put. */
static void *run_part(void *arg)
{
    struct part *part = arg;
    struct batch batches[3];
    uint32_t under_way = 1;
    batches[1].n = batches[2].n = 0;
    for (uint32_t i = 0; part->status == 0 && under_way > 0; i++) {
        struct batch *loaded = &batches[i % 3], *found = &batches[(i + 2) % 3], *done = &batches[(i + 1) % 3];
        part->status = load_batch(part, loaded);
        if (part->status == 0)
            part->status = find_batch(part, found);
        if (part->status == 0)
            put_batch(part, done);
        under_way = loaded->n + found->n;
    }
    free(part->joined);
    return NULL;
}

/* By this thread and another one, if it pays and there is one to be had. */
static int32_t run_parts(struct bpe_pairs *p, const struct bpe_merges *m, struct tenon_err *err)
{
    uint32_t next = 0;
    struct part parts[2] = {
        {.merges = m, .pairs = p, .next = &next, .last_id = -1, .err = TENON_ERR_INIT},
        {.merges = m, .pairs = p, .next = &next, .last_id = -1, .err = TENON_ERR_INIT},
    };
    const struct part *failed;
    pthread_t thread;
    bool has_thread = m->n >= PART_FROM && pthread_create(&thread, NULL, run_part, &parts[1]) == 0;
    (void)run_part(&parts[0]); /* the status is in the part */
    if (has_thread)
        (void)pthread_join(thread, NULL); /* of this one, joined once */
    failed = parts[0].status != 0 ? &parts[0] : &parts[1];
    return failed->status == 0 ? 0 : tenon_fail(err, failed->status, failed->err.where, "%s", failed->err.message);
}

int32_t bpe_pairs_read(struct bpe_pairs *p, const struct bpe_merges *m, struct tenon_err *err)
{
    uint32_t slots = 16;
    int32_t status;
    memset(p, 0, sizeof *p);
    if (m->vocab->n >= 1u << BPE_ID_BITS)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "bpe", "%u tokens are too many: merges are of fewer than %u",
                          m->vocab->n, 1u << BPE_ID_BITS);
    while (slots < m->n + m->n / 2)
        slots *= 2;
    p->seed = (m->vocab->seed ^ 0x9e3779b97f4a7c15u) | 1;
    p->mask = slots - 1;
    p->slots = tok_table_alloc(slots * sizeof *p->slots);
    p->made = malloc(((size_t)m->n + 1) * sizeof *p->made);
    status = p->slots == NULL || p->made == NULL
                 ? tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for %u merges", m->n)
                 : run_parts(p, m, err);
    if (status != 0)
        bpe_pairs_finish(p);
    return status;
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

/* tok_pair_fn; what the two become is on its way from memory. */
static uint32_t rank_of(const void *pairs, int32_t left, int32_t right, int32_t *ret_merged)
{
    const struct bpe_pairs *p = pairs;
    uint64_t slot = *bpe_pairs_slot(p, bpe_pair_key(left, right));
    uint32_t rank = (uint32_t)slot & ((1u << BPE_RANK_BITS) - 1);
    (void)ret_merged; /* `made` has it */
    if (slot == UINT64_MAX)
        return TOK_NEVER;
    __builtin_prefetch(&p->made[rank]);
    return rank;
}

size_t bpe_pairs_merge(const struct bpe_pairs *p, struct tok_merge *m, size_t n)
{
    for (size_t i = 1; i < n; i++) /* what will be asked first */
        __builtin_prefetch(&p->slots[bpe_pairs_home(p, bpe_pair_key(m->ids[i - 1], m->ids[i]))]);
    return tok_merge_run(m, rank_of, p, p->made, n);
}

/* ---- merges of a GGUF ------------------------------------------------------------------------------------------ */

struct spaced {
    const struct tenon_meta *meta;
    struct tenon_meta_entry merges;
};

/* "left right", as GGUF has them. */
static int32_t cut_merge(uint32_t rank, const struct tenon_str *merge, struct tenon_str *ret_sides, struct tenon_err *err)
{
    size_t size = (size_t)merge->size, left;
    const char *space = size > 2 ? memchr(merge->data + 1, ' ', size - 2) : NULL;
    if (space == NULL)
        return refuse(rank, *merge, (struct tenon_str){"", 0}, "is not two tokens with a space between them", err);
    left = (size_t)(space - merge->data);
    ret_sides[0] = (struct tenon_str){merge->data, left};
    ret_sides[1] = (struct tenon_str){space + 1, size - left - 1};
    return 0;
}

static const struct tenon_str *spaced_sides(const void *arg, uint32_t rank, uint32_t count, struct tenon_str *room,
                                            struct tenon_err *err)
{
    const struct spaced *s = arg;
    struct tenon_str merges[BPE_MERGES_BATCH];
    int32_t status = s->meta->strings(s->meta->ctx, &s->merges, rank, count, merges);
    if (status != 0)
        status = tenon_fail(err, status, "bpe", MERGES " cannot be read: the file is damaged");
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = cut_merge(rank + i, &merges[i], &room[2 * i], err);
    return status == 0 ? room : NULL;
}

int32_t bpe_pairs_init(struct bpe_pairs *p, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                       struct tenon_err *err)
{
    struct spaced spaced = {.meta = meta};
    struct bpe_merges merges = {.vocab = vocab, .sides = spaced_sides, .arg = &spaced};
    int32_t status = tok_meta_strings(meta, MERGES, &spaced.merges, err);
    memset(p, 0, sizeof *p);
    merges.n = status == 0 ? (uint32_t)spaced.merges.count : 0;
    return status == 0 ? bpe_pairs_read(p, &merges, err) : status;
}

void bpe_pairs_finish(struct bpe_pairs *p)
{
    free(p->slots);
    free(p->made);
    memset(p, 0, sizeof *p);
}
