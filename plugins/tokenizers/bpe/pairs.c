/* pairs.c - reads the list of merges, "left right" per rank, into one flat table keyed by the two ids. The names of
 * three tokens are looked up per merge, which is most of what opening costs: the joined one is usually the token after
 * the last merge's, so that is tried first. Built by one thread, then constant. Contract: pairs.h. */
#include "pairs.h"

#include <stdlib.h>
#include <string.h>

#define MERGES "tokenizer.ggml.merges"
#define BATCH 256u /* merges asked of the metadata at once */

static int32_t refuse(uint32_t rank, struct tenon_str left, struct tenon_str right, const char *why,
                      struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "bpe", "merges[%u] \"%.*s %.*s\" %s: the file is damaged", rank,
                      (int)(left.size < 64 ? left.size : 64), left.data, (int)(right.size < 64 ? right.size : 64),
                      right.data, why);
}

static int32_t find_joined(struct bpe_merges *r, const char *text, size_t size)
{
    uint32_t guess = (uint32_t)r->last_id + 1;
    if (guess < r->vocab->n && r->vocab->text[guess].size == size &&
        memcmp(r->vocab->text[guess].data, text, size) == 0)
        return (int32_t)guess;
    return tok_vocab_find(r->vocab, text, size);
}

static int32_t reserve(struct bpe_merges *r, size_t size, struct tenon_err *err)
{
    char *grown;
    if (size <= r->capacity)
        return 0;
    grown = realloc(r->joined, size);
    if (grown == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for a merge of %zu bytes", size);
    r->joined = grown;
    r->capacity = size;
    return 0;
}

int32_t bpe_merges_add(struct bpe_merges *r, struct bpe_pairs *p, uint32_t rank, struct tenon_str left,
                       struct tenon_str right, struct tenon_err *err)
{
    size_t left_size = (size_t)left.size, right_size = (size_t)right.size - r->prefix;
    int32_t left_id = tok_vocab_find(r->vocab, left.data, left_size), id, status;
    int32_t right_id = tok_vocab_find(r->vocab, right.data, (size_t)right.size);
    uint64_t key = bpe_pair_key(left_id, right_id);
    if (left_id < 0 || right_id < 0 || right.size < r->prefix)
        return refuse(rank, left, right, left_id < 0 ? "begins with what is no token" : "ends with what is no token", err);
    status = reserve(r, left_size + right_size, err);
    if (status != 0)
        return status;
    memcpy(r->joined, left.data, left_size);
    memcpy(r->joined + left_size, right.data + r->prefix, right_size);
    id = find_joined(r, r->joined, left_size + right_size);
    if (id < 0)
        return refuse(rank, left, right, "makes what is no token", err);
    r->last_id = id;
    *bpe_pairs_slot(p, key) = (struct bpe_pair){key, rank, id}; /* of a pair listed twice the last counts, as elsewhere */
    return 0;
}

/* "left right", as GGUF has them. */
static int32_t add_spaced(struct bpe_merges *r, struct bpe_pairs *p, uint32_t rank, const struct tenon_str *merge,
                          struct tenon_err *err)
{
    size_t size = (size_t)merge->size, left;
    const char *space = size > 2 ? memchr(merge->data + 1, ' ', size - 2) : NULL;
    if (space == NULL)
        return refuse(rank, *merge, (struct tenon_str){"", 0}, "is not two tokens with a space between them", err);
    left = (size_t)(space - merge->data);
    return bpe_merges_add(r, p, rank, (struct tenon_str){merge->data, left},
                          (struct tenon_str){space + 1, size - left - 1}, err);
}

int32_t bpe_pairs_create(struct bpe_pairs *p, const struct tok_vocab *vocab, uint32_t n, struct tenon_err *err)
{
    uint32_t slots = 16;
    while (slots < n + n / 2)
        slots *= 2;
    p->seed = (vocab->seed ^ 0x9e3779b97f4a7c15u) | 1;
    p->mask = slots - 1;
    p->slots = malloc(slots * sizeof *p->slots);
    if (p->slots == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for %u merges", n);
    memset(p->slots, 0xff, slots * sizeof *p->slots);
    return 0;
}

static int32_t fill_table(struct bpe_pairs *p, struct bpe_merges *r, const struct tenon_meta *meta,
                          const struct tenon_meta_entry *merges, struct tenon_err *err)
{
    struct tenon_str batch[BATCH];
    uint32_t n = (uint32_t)merges->count;
    for (uint32_t rank = 0; rank < n; rank++) {
        int32_t status = 0;
        if (rank % BATCH == 0)
            status = meta->strings(meta->ctx, merges, rank, n - rank < BATCH ? n - rank : BATCH, batch);
        if (status != 0)
            return tenon_fail(err, status, "bpe", MERGES " cannot be read: the file is damaged");
        status = add_spaced(r, p, rank, &batch[rank % BATCH], err);
        if (status != 0)
            return status;
    }
    return 0;
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
    memset(p, 0, sizeof *p);
}
