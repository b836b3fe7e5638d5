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

#include "cache.h"
#include "merge.h"

#define TOK_POOL 8u           /* works kept at rest: more threads at once just allocate */
struct tok_work {
    struct tok_merge merge;
    void *own; /* what the plugin adds; NULL: nothing */
    struct tok_cache cache;
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

#endif
