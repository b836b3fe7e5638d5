/* pairs.c - reads the list of merges, "left right" per rank, into one flat table keyed by the two ids. The names of
 * three tokens are looked up per merge, which is most of what opening costs: those of the sides in batches, and the joined
 * one is usually the token after the last merge's. A slot of the table is one number that says all of a pair: eight share a
 * line of the processor's cache. Built by one thread, then constant. Contract: pairs.h. */
#include "pairs.h"

#include <stdlib.h>
#include <string.h>

#define MERGES "tokenizer.ggml.merges"

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

static int32_t reserve(struct bpe_merges *m, size_t size, struct tenon_err *err)
{
    char *grown;
    if (size <= m->capacity)
        return 0;
    grown = realloc(m->joined, size);
    if (grown == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for a merge of %zu bytes", size);
    m->joined = grown;
    m->capacity = size;
    return 0;
}

/* What left and right make; -1: no token. Mostly it is the token after the last one made, or that again. */
static int32_t find_joined(struct bpe_merges *m, struct tenon_str left, struct tenon_str right, int32_t *ret_id,
                           struct tenon_err *err)
{
    int32_t status = 0;
    *ret_id = m->last_id + 1;
    if (is_joined(m->vocab, (uint32_t)m->last_id + 1, left, right))
        return 0;
    *ret_id = m->last_id;
    if (is_joined(m->vocab, (uint32_t)m->last_id, left, right))
        return 0;
    status = reserve(m, (size_t)(left.size + right.size), err);
    if (status != 0)
        return status;
    memcpy(m->joined, left.data, (size_t)left.size);
    memcpy(m->joined + left.size, right.data, (size_t)right.size);
    *ret_id = tok_vocab_find(m->vocab, m->joined, (size_t)(left.size + right.size));
    return 0;
}

/* A merge whose sides are known by their ids. */
static int32_t add(struct bpe_merges *m, struct bpe_pairs *p, uint32_t rank, const struct tenon_str *sides, const int32_t *ids,
                   struct tenon_err *err)
{
    struct tenon_str left = sides[0], right = sides[1];
    uint64_t key = bpe_pair_key(ids[0], ids[1]);
    int32_t id, status;
    if (ids[0] < 0 || ids[1] < 0 || right.size < m->prefix)
        return refuse(rank, left, right, ids[0] < 0 ? "begins with what is no token" : "ends with what is no token", err);
    right.data += m->prefix;
    right.size -= m->prefix;
    status = find_joined(m, left, right, &id, err);
    if (status != 0)
        return status;
    if (id < 0)
        return refuse(rank, left, sides[1], "makes what is no token", err);
    m->last_id = id;
    p->made[rank] = id;
    *bpe_pairs_slot(p, key) = key << BPE_RANK_BITS | rank; /* of a pair listed twice the last counts, as elsewhere */
    return 0;
}

int32_t bpe_merges_add_batch(struct bpe_merges *m, struct bpe_pairs *p, uint32_t rank, const struct tenon_str *sides,
                             uint32_t count, struct tenon_err *err)
{
    int32_t ids[2 * BPE_MERGES_BATCH], status = 0;
    tok_vocab_find_all(m->vocab, sides, 2 * count, ids);
    for (uint32_t i = 0; i < count; i++) /* a big table is not in the processor's cache */
        __builtin_prefetch(&p->slots[bpe_pairs_home(p, bpe_pair_key(ids[2 * i], ids[2 * i + 1]))], 1);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = add(m, p, rank + i, &sides[2 * i], &ids[2 * i], err);
    return status;
}

int32_t bpe_merges_add(struct bpe_merges *m, struct bpe_pairs *p, uint32_t rank, struct tenon_str left,
                       struct tenon_str right, struct tenon_err *err)
{
    const struct tenon_str sides[2] = {left, right};
    return bpe_merges_add_batch(m, p, rank, sides, 1, err);
}

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

int32_t bpe_pairs_create(struct bpe_pairs *p, const struct tok_vocab *vocab, uint32_t n, struct tenon_err *err)
{
    uint32_t slots = 16;
    if (vocab->n >= 1u << BPE_ID_BITS)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "bpe", "%u tokens are too many: merges are of fewer than %u",
                          vocab->n, 1u << BPE_ID_BITS);
    while (slots < n + n / 2)
        slots *= 2;
    p->seed = (vocab->seed ^ 0x9e3779b97f4a7c15u) | 1;
    p->n = n;
    p->mask = slots - 1;
    p->slots = tok_table_alloc(slots * sizeof *p->slots);
    p->made = malloc(((size_t)n + 1) * sizeof *p->made);
    if (p->slots == NULL || p->made == NULL) {
        bpe_pairs_finish(p);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for %u merges", n);
    }
    return 0;
}

static int32_t add_spaced(struct bpe_merges *m, struct bpe_pairs *p, uint32_t rank, const struct tenon_str *merges,
                          uint32_t count, struct tenon_err *err)
{
    struct tenon_str sides[2 * BPE_MERGES_BATCH];
    int32_t status = 0;
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = cut_merge(rank + i, &merges[i], &sides[2 * i], err);
    return status == 0 ? bpe_merges_add_batch(m, p, rank, sides, count, err) : status;
}

static int32_t fill_table(struct bpe_pairs *p, struct bpe_merges *m, const struct tenon_meta *meta,
                          const struct tenon_meta_entry *merges, struct tenon_err *err)
{
    struct tenon_str batch[BPE_MERGES_BATCH];
    int32_t status = 0;
    for (uint32_t rank = 0, count; status == 0 && rank < p->n; rank += count) {
        count = p->n - rank < BPE_MERGES_BATCH ? p->n - rank : BPE_MERGES_BATCH;
        status = meta->strings(meta->ctx, merges, rank, count, batch);
        if (status != 0)
            return tenon_fail(err, status, "bpe", MERGES " cannot be read: the file is damaged");
        status = add_spaced(m, p, rank, batch, count, err);
    }
    return status;
}

int32_t bpe_pairs_init(struct bpe_pairs *p, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                       struct tenon_err *err)
{
    struct bpe_merges r = {.vocab = vocab, .last_id = -1};
    struct tenon_meta_entry merges;
    int32_t status;
    memset(p, 0, sizeof *p);
    if ((status = tok_meta_strings(meta, MERGES, &merges, err)) != 0)
        return status;
    if ((status = bpe_pairs_create(p, vocab, (uint32_t)merges.count, err)) == 0)
        status = fill_table(p, &r, meta, &merges, err);
    if (status != 0)
        bpe_pairs_finish(p);
    free(r.joined);
    return status;
}

void bpe_pairs_finish(struct bpe_pairs *p)
{
    free(p->slots);
    free(p->made);
    memset(p, 0, sizeof *p);
}
