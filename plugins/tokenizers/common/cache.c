/* cache.c - two tables without chains, in which a new piece takes the place of an old one: nearly all pieces are short and
 * become one to three ids, and need one line of the processor's cache each; the others have room of their own. What is
 * found is compared byte by byte, so that hashes need not be good, only fast. Contract: cache.h. */
#include "cache.h"

#include <stdlib.h>

#include <tenon/plugin.h>

#define LINE 64u /* bytes of the processor's cache */

int32_t tok_cache_init(struct tok_cache *c)
{
    const size_t sets = TOK_CACHE_SETS * sizeof *c->sets, longs = TOK_CACHE_LONG * sizeof *c->longs;
    memset(c, 0, sizeof *c);
    c->memory = calloc(1, sets + longs + LINE); /* taken from the system only as it is touched */
    if (c->memory == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    c->sets = (void *)(((uintptr_t)c->memory + LINE - 1) / LINE * LINE);
    c->longs = (void *)(c->sets + TOK_CACHE_SETS);
    return 0;
}

void tok_cache_finish(struct tok_cache *c)
{
    free(c->memory);
    memset(c, 0, sizeof *c);
}

static bool fits(size_t size, size_t n)
{
    return size <= TOK_CACHE_ROOM && n <= (TOK_CACHE_ROOM - size) / sizeof(int32_t);
}

static uint64_t hash_of(const char *piece, size_t size)
{
    uint64_t h = size, word;
    for (; size >= sizeof word; size -= sizeof word, piece += sizeof word) {
        memcpy(&word, piece, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, piece, size);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

const int32_t *tok_cache_find_long(const struct tok_cache *c, const char *piece, size_t size, size_t *ret_n)
{
    const struct tok_cached_long *slot;
    uint64_t hash;
    if (!fits(size, 0))
        return NULL;
    hash = hash_of(piece, size);
    slot = &c->longs[hash & (TOK_CACHE_LONG - 1)];
    if (slot->hash != hash || slot->size != size || memcmp(slot->ids + slot->n, piece, size) != 0)
        return NULL;
    *ret_n = slot->n;
    return slot->ids;
}

static void put_long(struct tok_cache *c, const char *piece, size_t size, const int32_t *ids, size_t n)
{
    uint64_t hash = hash_of(piece, size);
    struct tok_cached_long *slot = &c->longs[hash & (TOK_CACHE_LONG - 1)];
    slot->hash = hash;
    slot->size = (uint32_t)size;
    slot->n = (uint32_t)n;
    memcpy(slot->ids, ids, n * sizeof *ids);
    memcpy(slot->ids + n, piece, size);
}

void tok_cache_put(struct tok_cache *c, const char *piece, size_t size, const int32_t *ids, size_t n)
{
    if (size <= TOK_CACHE_SHORT && n <= TOK_CACHE_IDS) {
        struct tok_cached new = {.n = (uint32_t)n};
        struct tok_cache_set *set;
        tok_cache_key(piece, size, new.key);
        memcpy(new.ids, ids, n * sizeof *ids);
        set = tok_cache_set(c, new.key);
        memmove(&set->ways[1], &set->ways[0], (TOK_CACHE_WAYS - 1) * sizeof new);
        set->ways[0] = new;
    } else if (fits(size, n)) {
        put_long(c, piece, size, ids, n);
    }
}
