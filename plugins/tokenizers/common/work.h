/* work.h - what one call of encode needs for itself, kept from call to call: merge buffers, cache of pieces, and
 * what else the plugin needs (its regex matcher).
 *
 *     struct tok_work *w = tok_work_take(&pool);      // NULL: out of memory
 *     ...
 *     tok_work_give(&pool, w);
 *
 * take and give are [any-thread] and lock-free; a taken work is one thread's.
 */
#ifndef TOK_WORK_H
#define TOK_WORK_H

#include <stdatomic.h>

#include <string.h>

#include "merge.h"

#define TOK_POOL 8u           /* works kept at rest: more threads at once just allocate */
#define TOK_CACHE_SLOTS 8192u /* power of two */
#define TOK_CACHE_KEY 15u     /* bytes of the longest piece cached */
#define TOK_CACHE_IDS 7u      /* most ids of a piece cached */

/* One remembered piece. A free slot's key is of size 0, which no piece has. */
struct tok_cached {
    uint64_t key[2]; /* the bytes, zero-filled, and the size in the last */
    uint32_t n;
    int32_t ids[TOK_CACHE_IDS]; /* [n] */
};

struct tok_work {
    struct tok_merge merge;
    void *own; /* what the plugin adds; NULL: nothing */
    struct tok_cached cache[TOK_CACHE_SLOTS];
};

/* All zero is an empty pool. */
struct tok_pool {
    void *(*create_own)(void); /* NULL: works have nothing of the plugin's. Returns NULL: out of memory */
    void (*destroy_own)(void *own); /* NULL is allowed */
    struct tok_work *_Atomic at_rest[TOK_POOL]; /* NULL: none here */
};

/* OWN: the caller, until it gives it back. NULL: out of memory. */
struct tok_work *tok_work_take(struct tok_pool *pool);
void tok_work_give(struct tok_pool *pool, struct tok_work *work); /* NULL is allowed */

/* Frees what is at rest; nothing may be taken. */
void tok_pool_finish(struct tok_pool *pool);

/* The slot where a piece of 1 to TOK_CACHE_KEY bytes belongs; key [2] is what it must have to be that piece. */
static inline struct tok_cached *tok_cache_slot(struct tok_work *work, const char *piece, size_t size, uint64_t key[2])
{
    uint64_t h;
    key[0] = 0;
    key[1] = 0;
    memcpy(key, piece, size);
    ((unsigned char *)key)[TOK_CACHE_KEY] = (unsigned char)size;
    h = (key[0] ^ key[1] * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
    return &work->cache[(h >> 40) & (TOK_CACHE_SLOTS - 1)];
}

#endif
