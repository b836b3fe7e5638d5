/* pairs.h - the merges: a pair of token ids -> its rank and the id that it becomes.
 *
 *     struct bpe_pairs p;
 *     if (bpe_pairs_init(&p, &vocab, meta, err) != 0) return ...;
 *     rank = bpe_pairs_rank(&p, left, right, &id);             // TOK_NEVER: the two never merge
 *     bpe_pairs_finish(&p);
 *
 * Immutable after init, so [any-thread].
 */
#ifndef BPE_PAIRS_H
#define BPE_PAIRS_H

#include "../common/merge.h"
#include "../common/vocab.h"

struct bpe_pair {
    int32_t left, right;
    int32_t id; /* of the joined token */
};

struct bpe_pairs {
    struct bpe_pair *pairs; /* [n] by rank: lower merges first */
    uint32_t *slots;        /* [mask + 1] rank in the lower 24 bits, a tag of the pair above, 0: free */
    uint32_t n, mask;
    uint64_t seed; /* odd */
};

/* Errors: as tok_vocab_init, and INVALID_ARGUMENT for a merge of what is no token. On failure nothing is held. */
int32_t bpe_pairs_init(struct bpe_pairs *p, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                       struct tenon_err *err);

void bpe_pairs_finish(struct bpe_pairs *p); /* zeroed is fine */

#define BPE_TAG_SHIFT 24u /* TOK_MAX_ENTRIES ranks fit below */

/* The slot of a pair, or the free one where it belongs; there is always a free slot. *ret_tag: what it must have above
 * its rank. */
static inline uint32_t *bpe_pairs_slot(const struct bpe_pairs *p, int32_t left, int32_t right, uint32_t *ret_tag)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)(right ^ left)) * p->seed;
    uint32_t at = (uint32_t)(h >> 32) & p->mask, tag = (uint32_t)(h >> 56) | 1, slot;
    for (; (slot = p->slots[at]) != 0; at = (at + 1) & p->mask)
        if (slot >> BPE_TAG_SHIFT == tag) {
            const struct bpe_pair *pair = &p->pairs[slot & ((1u << BPE_TAG_SHIFT) - 1)];
            if (pair->left == left && pair->right == right)
                break;
        }
    *ret_tag = tag << BPE_TAG_SHIFT;
    return &p->slots[at];
}

/* The rule of merging by these pairs; `pairs` is a struct bpe_pairs. */
static inline uint32_t bpe_pairs_rank(const void *pairs, int32_t left, int32_t right, int32_t *ret_merged)
{
    const struct bpe_pairs *p = pairs;
    uint32_t tag, slot = *bpe_pairs_slot(p, left, right, &tag);
    if (slot == 0)
        return TOK_NEVER;
    *ret_merged = p->pairs[slot ^ tag].id;
    return slot ^ tag;
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

#define BPE_MERGES_BATCH 128u

/* Room for n merges. RESOURCE_EXHAUSTED. */
int32_t bpe_pairs_create(struct bpe_pairs *p, const struct tok_vocab *vocab, uint32_t n, struct tenon_err *err);

/* One more of the n. INVALID_ARGUMENT: of what is no token, or makes none. RESOURCE_EXHAUSTED. */
int32_t bpe_merges_add(struct bpe_merges *m, struct bpe_pairs *p, uint32_t rank, struct tenon_str left,
                       struct tenon_str right, struct tenon_err *err);

/* `count` more, from `rank` on, up to BPE_MERGES_BATCH: several times as fast as one by one. sides [2 * count] are left and
 * right of each. */
int32_t bpe_merges_add_batch(struct bpe_merges *m, struct bpe_pairs *p, uint32_t rank, const struct tenon_str *sides,
                             uint32_t count, struct tenon_err *err);

#endif
