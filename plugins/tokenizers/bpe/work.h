/* work.h - what one call of encode needs for itself, kept from call to call: matcher, merge buffers, cache of pieces.
 *
 *     struct bpe_work *w = bpe_work_take(&pool);      // NULL: out of memory
 *     ...
 *     bpe_work_give(&pool, w);
 *
 * take and give are [any-thread] and lock-free; a taken work is one thread's.
 */
#ifndef BPE_WORK_H
#define BPE_WORK_H

#include <stdatomic.h>

#include "merge.h"
#include "split.h"

#define BPE_POOL 8u           /* works kept at rest: more threads at once just allocate */
#define BPE_CACHE_SLOTS 8192u /* power of two */
#define BPE_CACHE_KEY 15u     /* bytes of the longest piece cached */
#define BPE_CACHE_IDS 7u      /* most ids of a piece cached */

/* One remembered piece. A free slot's key is of size 0, which no piece has. */
struct bpe_cached {
    uint64_t key[2]; /* the bytes, zero-filled, and the size in the last */
    uint32_t n;
    int32_t ids[BPE_CACHE_IDS]; /* [n] */
};

struct bpe_work {
    struct bpe_matcher matcher;
    struct bpe_merge merge;
    struct bpe_cached cache[BPE_CACHE_SLOTS];
};

/* All zero is an empty pool. */
struct bpe_pool {
    struct bpe_work *_Atomic at_rest[BPE_POOL]; /* NULL: none here */
};

/* OWN: the caller, until it gives it back. NULL: out of memory. */
struct bpe_work *bpe_work_take(struct bpe_pool *pool);
void bpe_work_give(struct bpe_pool *pool, struct bpe_work *work); /* NULL is allowed */

/* Frees what is at rest; nothing may be taken. */
void bpe_pool_finish(struct bpe_pool *pool);

/* The slot where a piece of 1 to BPE_CACHE_KEY bytes belongs; key [2] is what it must have to be that piece. */
static inline struct bpe_cached *bpe_cache_slot(struct bpe_work *work, const char *piece, size_t size, uint64_t key[2])
{
    uint64_t h;
    key[0] = 0;
    key[1] = 0;
    memcpy(key, piece, size);
    ((unsigned char *)key)[BPE_CACHE_KEY] = (unsigned char)size;
    h = (key[0] ^ key[1] * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
    return &work->cache[(h >> 40) & (BPE_CACHE_SLOTS - 1)];
}

#endif
