/* merge.h - the merge loop: the ids of single bytes or characters become the ids of a piece.
 *
 *     struct tok_merge m = {0};                       // buffers grow and are kept from piece to piece
 *     ids = tok_merge_reserve(&m, size);              // NULL: out of memory
 *     ... fill ids[0..n) with the tokens of the smallest parts, n <= size ...
 *     n = tok_merge_run(&m, find, rule, NULL, n);     // ids[0..n) are the piece's
 *     tok_merge_finish(&m);
 *
 * Always the adjacent pair of lowest rank merges first, the leftmost of equals. The rule is the same until finish. One thread
 * at a time.
 */
#ifndef TOK_MERGE_H
#define TOK_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOK_NEVER UINT32_MAX /* rank of a pair that does not merge */

/* The rank of a pair of ids, and what it becomes: *ret_merged, untouched when it never merges. Always the same. [any-thread] */
typedef uint32_t tok_pair_fn(const void *rule, int32_t left, int32_t right, int32_t *ret_merged);

struct tok_merge_node;
struct tok_merge_link;
struct tok_merge_pair;

struct tok_merge {
    struct tok_merge_pair *memo;  /* what the rule said lately, for long pieces */
    int32_t *ids;                 /* [capacity] */
    struct tok_merge_node *nodes; /* [long_capacity] for long pieces */
    uint64_t *heap;               /* [2 * long_capacity] rank in the upper half, node in the lower */
    struct tok_merge_link *links; /* [long_capacity] */
    size_t capacity, long_capacity;
};

/* Room for a piece of n ids, and what merging it will need. OWN: m, until the next reserve. n < 2^32. */
int32_t *tok_merge_reserve(struct tok_merge *m, size_t n);

/* Merge ids [n]; returns how many are left. `made` has by rank what pairs become, and find need not say it: of pairs that never
 * get to merge it is not read. NULL: find says it. */
size_t tok_merge_run(struct tok_merge *m, tok_pair_fn *find, const void *rule, const int32_t *made, size_t n);

void tok_merge_finish(struct tok_merge *m); /* zeroed is fine, and usable again */

/* Bytes held. */
size_t tok_merge_held(const struct tok_merge *m);

#endif
