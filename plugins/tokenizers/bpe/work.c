/* work.c - a small pool of working memory, instead of thread-local storage that a plugin could not take back. Each
 * place holds one pointer that is exchanged atomically, so taking and giving never wait. The cache of pieces may be kept
 * between texts because what a piece becomes depends on nothing but the vocabulary. Contract: work.h. */
#include "work.h"

#include <stdlib.h>

#define KEEP_MOST (4u << 20) /* bytes of merge buffers that one very long piece may leave behind */

static void destroy(struct bpe_work *work)
{
    if (work == NULL)
        return;
    bpe_matcher_finish(&work->matcher);
    bpe_merge_finish(&work->merge);
    free(work);
}

static struct bpe_work *create(void)
{
    struct bpe_work *work = calloc(1, sizeof *work);
    if (work != NULL && bpe_matcher_init(&work->matcher) != 0) {
        free(work);
        work = NULL;
    }
    return work;
}

struct bpe_work *bpe_work_take(struct bpe_pool *pool)
{
    for (uint32_t i = 0; i < BPE_POOL; i++) {
        struct bpe_work *work = atomic_exchange(&pool->at_rest[i], NULL);
        if (work != NULL)
            return work;
    }
    return create();
}

void bpe_work_give(struct bpe_pool *pool, struct bpe_work *work)
{
    if (work == NULL)
        return;
    if (bpe_merge_held(&work->merge) > KEEP_MOST)
        bpe_merge_finish(&work->merge);
    for (uint32_t i = 0; i < BPE_POOL; i++) {
        struct bpe_work *none = NULL;
        if (atomic_compare_exchange_strong(&pool->at_rest[i], &none, work))
            return;
    }
    destroy(work);
}

void bpe_pool_finish(struct bpe_pool *pool)
{
    for (uint32_t i = 0; i < BPE_POOL; i++)
        destroy(atomic_exchange(&pool->at_rest[i], NULL));
}
