/* pairs.h - the merges: a pair of token ids -> its rank and the id that it becomes.
 *
 *     struct bpe_pairs p;
 *     if (bpe_pairs_init(&p, &vocab, meta, err) != 0) return ...;
 *     const struct bpe_pair *m = bpe_pairs_find(&p, left, right);   // NULL: the two never merge
 *     bpe_pairs_finish(&p);
 *
 * Immutable after init, so [any-thread].
 */
#ifndef BPE_PAIRS_H
#define BPE_PAIRS_H

#include "../common/merge.h"
#include "../common/vocab.h"

struct bpe_pair {
    uint64_t key;  /* left id in the upper half, right id in the lower; UINT64_MAX: a free slot */
    uint32_t rank; /* position in the list of merges: lower merges first */
    int32_t id;    /* of the joined token */
};

struct bpe_pairs {
    struct bpe_pair *slots; /* [mask + 1] */
    uint32_t mask;
    uint64_t seed; /* odd */
};

/* Errors: as tok_vocab_init, and INVALID_ARGUMENT for a merge of what is no token. On failure nothing is held. */
int32_t bpe_pairs_init(struct bpe_pairs *p, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                       struct tenon_err *err);

void bpe_pairs_finish(struct bpe_pairs *p); /* zeroed is fine */

static inline uint64_t bpe_pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot of a pair, or the free one where it belongs. There is always a free slot. */
static inline struct bpe_pair *bpe_pairs_slot(const struct bpe_pairs *p, uint64_t key)
{
    uint64_t h = (key ^ key >> 32) * p->seed;
    uint32_t at = (uint32_t)(h >> 32) & p->mask;
    while (p->slots[at].key != key && p->slots[at].key != UINT64_MAX)
        at = (at + 1) & p->mask;
    return &p->slots[at];
}

static inline const struct bpe_pair *bpe_pairs_find(const struct bpe_pairs *p, int32_t left, int32_t right)
{
    const struct bpe_pair *slot = bpe_pairs_slot(p, bpe_pair_key(left, right));
    return slot->key == UINT64_MAX ? NULL : slot;
}

/* The rule of merging by these pairs; `pairs` is a struct bpe_pairs. */
static inline uint32_t bpe_pairs_rank(const void *pairs, int32_t left, int32_t right, int32_t *ret_merged)
{
    const struct bpe_pair *pair = bpe_pairs_find(pairs, left, right);
    if (pair == NULL)
        return TOK_NEVER;
    *ret_merged = pair->id;
    return pair->rank;
}

/* ---- merges by name, for whoever reads them -------------------------------------------------------------------- */

/*     struct bpe_merges m = {.vocab = &vocab, .last_id = -1};
 *     status = bpe_pairs_create(&p, &vocab, n, err);
 *     for (rank = 0; rank < n; rank++) status = bpe_merges_add(&m, &p, rank, left, right, err);
 *     free(m.joined);
 */
struct bpe_merges {
    const struct tok_vocab *vocab;
    uint32_t prefix;   /* bytes that the right one loses in joining (of a continuing prefix "##") */
    int32_t last_id;   /* of the last joined token; -1 to start with */
    char *joined;      /* [capacity] what a merge makes. OWN: whoever made this */
    size_t capacity;
};

/* Room for n merges. RESOURCE_EXHAUSTED. */
int32_t bpe_pairs_create(struct bpe_pairs *p, const struct tok_vocab *vocab, uint32_t n, struct tenon_err *err);

/* One more of the n. INVALID_ARGUMENT: of what is no token, or makes none. RESOURCE_EXHAUSTED. */
int32_t bpe_merges_add(struct bpe_merges *m, struct bpe_pairs *p, uint32_t rank, struct tenon_str left,
                       struct tenon_str right, struct tenon_err *err);

#endif
