/* work.c - a small pool of working memory, instead of thread-local storage that a plugin could not take back. Each
 * place holds one pointer that is exchanged atomically, so taking and giving never wait. The cache of pieces may be kept
 * between texts because what a piece becomes depends on nothing but the vocabulary. Contract: work.h. */
#include "work.h"

#include <stdlib.h>

#define KEEP_MOST (4u << 20) /* bytes of merge buffers that one very long piece may leave behind */

static void destroy(const struct tok_pool *pool, struct tok_work *work)
{
    if (work == NULL)
        return;
    if (pool->destroy_own != NULL)
        pool->destroy_own(work->own);
    tok_merge_finish(&work->merge);
    tok_cache_finish(&work->cache);
    free(work);
}

static struct tok_work *create(const struct tok_pool *pool)
{
    struct tok_work *work = calloc(1, sizeof *work);
    if (work != NULL && tok_cache_init(&work->cache) == 0) {
        if (pool->create_own == NULL || (work->own = pool->create_own()) != NULL)
            return work;
        tok_cache_finish(&work->cache);
    }
    free(work);
    return NULL;
}

struct tok_work *tok_work_take(struct tok_pool *pool)
{
    for (uint32_t i = 0; i < TOK_POOL; i++) {
        struct tok_work *work = atomic_exchange(&pool->at_rest[i], NULL);
        if (work != NULL)
            return work;
    }
    return create(pool);
}

void tok_work_give(struct tok_pool *pool, struct tok_work *work)
{
    if (work == NULL)
        return;
    if (tok_merge_held(&work->merge) > KEEP_MOST)
        tok_merge_finish(&work->merge);
    for (uint32_t i = 0; i < TOK_POOL; i++) {
        struct tok_work *none = NULL;
        if (atomic_compare_exchange_strong(&pool->at_rest[i], &none, work))
            return;
    }
    destroy(pool, work);
}

void tok_pool_finish(struct tok_pool *pool)
{
    for (uint32_t i = 0; i < TOK_POOL; i++)
        destroy(pool, atomic_exchange(&pool->at_rest[i], NULL));
}
