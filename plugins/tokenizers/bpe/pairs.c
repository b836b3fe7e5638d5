/* pairs.c - reads the list of merges, "left right" per rank, into one flat table keyed by the two ids. The names of
 * three tokens are looked up per merge, which is most of what opening costs: the joined one is usually the token after
 * the last merge's, so that is tried first. Built by one thread, then constant. Contract: pairs.h. */
#include "pairs.h"

#include <stdlib.h>
#include <string.h>

#define MERGES "tokenizer.ggml.merges"
#define BATCH 256u /* merges asked of the metadata at once */

struct reader {
    const struct tok_vocab *vocab;
    char *joined;      /* [capacity] left and right without the space */
    size_t capacity;
    int32_t last_id;   /* of the last joined token */
};

static int32_t refuse(uint32_t rank, const struct tenon_str *merge, const char *why, struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "bpe", MERGES "[%u] \"%.*s\" %s: the file is damaged", rank,
                      (int)(merge->size < 64 ? merge->size : 64), merge->data, why);
}

static int32_t find_joined(struct reader *r, const char *text, size_t size)
{
    uint32_t guess = (uint32_t)r->last_id + 1;
    if (guess < r->vocab->n && r->vocab->text[guess].size == size &&
        memcmp(r->vocab->text[guess].data, text, size) == 0)
        return (int32_t)guess;
    return tok_vocab_find(r->vocab, text, size);
}

static int32_t reserve(struct reader *r, size_t size, struct tenon_err *err)
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

static int32_t parse(struct reader *r, const struct tenon_str *merge, uint32_t rank, struct bpe_pair *ret_pair,
                     struct tenon_err *err)
{
    size_t size = (size_t)merge->size, left_size;
    const char *space = size > 2 ? memchr(merge->data + 1, ' ', size - 2) : NULL;
    int32_t left, right, id, status;
    if (space == NULL)
        return refuse(rank, merge, "is not two tokens with a space between them", err);
    left_size = (size_t)(space - merge->data);
    left = tok_vocab_find(r->vocab, merge->data, left_size);
    right = tok_vocab_find(r->vocab, space + 1, size - left_size - 1);
    if (left < 0 || right < 0)
        return refuse(rank, merge, left < 0 ? "begins with what is no token" : "ends with what is no token", err);
    status = reserve(r, size, err);
    if (status != 0)
        return status;
    memcpy(r->joined, merge->data, left_size);
    memcpy(r->joined + left_size, space + 1, size - left_size - 1);
    id = find_joined(r, r->joined, size - 1);
    if (id < 0)
        return refuse(rank, merge, "makes what is no token", err);
    r->last_id = id;
    *ret_pair = (struct bpe_pair){bpe_pair_key(left, right), rank, id};
    return 0;
}

static int32_t create_table(struct bpe_pairs *p, uint32_t n, struct tenon_err *err)
{
    uint32_t slots = 16;
    while (slots < n + n / 2)
        slots *= 2;
    p->mask = slots - 1;
    p->slots = malloc(slots * sizeof *p->slots);
    if (p->slots == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for %u merges", n);
    memset(p->slots, 0xff, slots * sizeof *p->slots);
    return 0;
}

static int32_t fill_table(struct bpe_pairs *p, struct reader *r, const struct tenon_meta *meta,
                          const struct tenon_meta_entry *merges, struct tenon_err *err)
{
    struct tenon_str batch[BATCH];
    struct bpe_pair pair;
    uint32_t n = (uint32_t)merges->count;
    for (uint32_t rank = 0; rank < n; rank++) {
        int32_t status = 0;
        if (rank % BATCH == 0)
            status = meta->strings(meta->ctx, merges, rank, n - rank < BATCH ? n - rank : BATCH, batch);
        if (status != 0)
            return tenon_fail(err, status, "bpe", MERGES " cannot be read: the file is damaged");
        status = parse(r, &batch[rank % BATCH], rank, &pair, err);
        if (status != 0)
            return status;
        *bpe_pairs_slot(p, pair.key) = pair; /* of a pair listed twice the last counts, as elsewhere */
    }
    return 0;
}

int32_t bpe_pairs_init(struct bpe_pairs *p, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                       struct tenon_err *err)
{
    struct reader r = {vocab, NULL, 0, -1};
    struct tenon_meta_entry merges;
    int32_t status;
    memset(p, 0, sizeof *p);
    p->seed = (vocab->seed ^ 0x9e3779b97f4a7c15u) | 1;
    if ((status = tok_meta_strings(meta, MERGES, &merges, err)) != 0)
        return status;
    if ((status = create_table(p, (uint32_t)merges.count, err)) == 0)
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
