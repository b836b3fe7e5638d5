/* pairs.h - the merges: a pair of token ids -> its rank and the id that it becomes.
 *
 *     struct bpe_pairs p;
 *     if (bpe_pairs_init(&p, &vocab, meta, err) != 0) return ...;
 *     n = bpe_pairs_merge(&p, &merge, n);                      // its ids [n]
 *     bpe_pairs_finish(&p);
 *
 * Immutable after init, so [any-thread].
 */
#ifndef BPE_PAIRS_H
#define BPE_PAIRS_H

#include "../common/merge.h"
#include "../common/vocab.h"

#define BPE_ID_BITS 20u   /* of a token that merges know */
#define BPE_RANK_BITS 24u /* TOK_MAX_ENTRIES ranks */

struct bpe_pairs {
    uint64_t *slots;  /* [mask + 1] left id, right id, rank; UINT64_MAX: free. Written atomically, by several threads */
    int32_t *made;    /* id of the joined token, by rank: lower merges first */
    uint32_t mask;
    uint64_t seed; /* odd */
};

/* Errors: as tok_vocab_init, and INVALID_ARGUMENT for a merge of what is no token. On failure nothing is held. */
int32_t bpe_pairs_init(struct bpe_pairs *p, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                       struct tenon_err *err);

void bpe_pairs_finish(struct bpe_pairs *p); /* zeroed is fine */

/* What the slot of a pair has above its rank. */
static inline uint64_t bpe_pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << BPE_ID_BITS | (uint32_t)right;
}

/* Where the search for a pair begins. */
static inline uint32_t bpe_pairs_home(const struct bpe_pairs *p, uint64_t key)
{
    return (uint32_t)(((key ^ key >> BPE_ID_BITS) * p->seed) >> 32) & p->mask;
}

/* The slot of a pair, or the free one where it belongs; there is always a free slot. */
static inline uint64_t *bpe_pairs_slot(const struct bpe_pairs *p, uint64_t key)
{
    uint32_t at = bpe_pairs_home(p, key);
    while (p->slots[at] >> BPE_RANK_BITS != key && p->slots[at] != UINT64_MAX)
        at = (at + 1) & p->mask;
    return &p->slots[at];
}

/* Merge the ids of m [n]; returns how many are left. */
size_t bpe_pairs_merge(const struct bpe_pairs *p, struct tok_merge *m, size_t n);

/* ---- merges by name, for whoever reads them -------------------------------------------------------------------- */

#define BPE_MERGES_BATCH 32u

/* The names of `count` merges from `rank` on, up to BPE_MERGES_BATCH: left and right of each [2 * count], in `room` or from
 * elsewhere. NULL: *err says why. [any-thread] */
typedef const struct tenon_str *bpe_sides_fn(const void *arg, uint32_t rank, uint32_t count, struct tenon_str *room,
                                             struct tenon_err *err);

/*     const struct bpe_merges m = {.vocab = &vocab, .sides = read_sides, .arg = list, .n = n};
 *     status = bpe_pairs_read(&p, &m, err);
 */
struct bpe_merges {
    const struct tok_vocab *vocab;
    bpe_sides_fn *sides;
    const void *arg;
    uint32_t n;
    uint32_t prefix; /* bytes that the right one loses in joining (of a continuing prefix "##") */
};

/* Fill the table; a long list is read by two threads. Errors: OUT_OF_RANGE (more tokens than have room in a slot),
 * INVALID_ARGUMENT (a merge of what is no token, or that makes none), RESOURCE_EXHAUSTED. On failure nothing is held. */
int32_t bpe_pairs_read(struct bpe_pairs *p, const struct bpe_merges *m, struct tenon_err *err);

#endif
