/* merge.h - the merge loop: the ids of single bytes become the ids of a piece.
 *
 *     struct bpe_merge m = {0};                       // buffers grow and are kept from piece to piece
 *     ids = bpe_merge_reserve(&m, size);              // NULL: out of memory
 *     ... fill ids[0..n) with the tokens of single bytes, n <= size ...
 *     n = bpe_merge_run(&m, &pairs, n);               // ids[0..n) are the piece's
 *     bpe_merge_finish(&m);
 *
 * Always the adjacent pair of lowest rank merges first, the leftmost of equals. One thread at a time.
 */
#ifndef BPE_MERGE_H
#define BPE_MERGE_H

#include "pairs.h"

struct bpe_merge_node;

struct bpe_merge {
    int32_t *ids;                 /* [capacity] */
    struct bpe_merge_node *nodes; /* [long_capacity] for long pieces */
    uint64_t *heap;               /* [2 * long_capacity] rank in the upper half, node in the lower */
    size_t capacity, long_capacity;
};

/* Room for a piece of n ids, and what merging it will need. OWN: m, until the next reserve. n < 2^32. */
int32_t *bpe_merge_reserve(struct bpe_merge *m, size_t n);

/* Merge ids [n]; returns how many are left. */
size_t bpe_merge_run(struct bpe_merge *m, const struct bpe_pairs *pairs, size_t n);

void bpe_merge_finish(struct bpe_merge *m); /* zeroed is fine, and usable again */

/* Bytes held. */
size_t bpe_merge_held(const struct bpe_merge *m);

#endif
