/* The arena: a list of malloc'd blocks, the newest one filled front to back.
 * Requests too large for the block size get a block of their own, linked
 * behind the newest so that its rest stays usable. Not thread safe; contract
 * in arena.h. */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN alignof(max_align_t)
#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)256 * 1024)

struct tn_arena_block {
    struct tn_arena_block *older;
    max_align_t bytes[];
};

void tn_arena_init(struct tn_arena *a, size_t limit)
{
    memset(a, 0, sizeof *a);
    a->limit = limit;
}

void tn_arena_finish(struct tn_arena *a)
{
    while (a->head != NULL) {
        struct tn_arena_block *older = a->head->older;
        free(a->head);
        a->head = older;
    }
    a->next = a->end = NULL;
    a->used = 0;
}

/* A block with payload bytes, or NULL; does not link it. */
static struct tn_arena_block *new_block(struct tn_arena *a, size_t payload)
{
    size_t total = sizeof(struct tn_arena_block) + payload;
    if (a->limit != 0 && (a->used > a->limit || total > a->limit - a->used))
        return NULL;
    struct tn_arena_block *b = calloc(1, total);
    if (b != NULL)
        a->used += total;
    return b;
}

/* Blocks grow with the arena so that small users stay small; near the limit
 * the smallest block that serves the request is tried as well. */
static void *alloc_slow(struct tn_arena *a, size_t size)
{
    size_t payload = a->used < BLOCK_MIN ? BLOCK_MIN : a->used;
    if (payload > BLOCK_MAX)
        payload = BLOCK_MAX;
    if (size >= payload / 4) {
        struct tn_arena_block *own = new_block(a, size);
        if (own == NULL)
            return NULL;
        struct tn_arena_block **link = a->head ? &a->head->older : &a->head;
        own->older = *link;
        *link = own;
        return own->bytes;
    }
    struct tn_arena_block *b = new_block(a, payload);
    if (b == NULL) {
        payload = size;
        b = new_block(a, payload);
    }
    if (b == NULL)
        return NULL;
    b->older = a->head;
    a->head = b;
    a->next = (char *)b->bytes + size;
    a->end = (char *)b->bytes + payload;
    return b->bytes;
}

void *tn_arena_alloc(struct tn_arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (a->next != NULL && size <= (size_t)(a->end - a->next)) {
        void *p = a->next;
        a->next += size;
        return p;
    }
    return alloc_slow(a, size);
}

void *tn_arena_array(struct tn_arena *a, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    return tn_arena_alloc(a, total);
}

char *tn_arena_copy(struct tn_arena *a, const void *bytes, size_t len)
{
    if (len > SIZE_MAX / 2)
        return NULL;
    char *p = tn_arena_alloc(a, len + 1);
    if (p != NULL && len > 0)
        memcpy(p, bytes, len);
    return p;
}
