/* cache.h - remembers what pieces have become: bytes -> ids, as many as fit.
 *
 *     struct tok_cache c;
 *     if (tok_cache_init(&c) != 0) return ...;
 *     tok_cache_key(piece, size, key);                        // size 1 to TOK_CACHE_SHORT
 *     found = tok_cache_find(tok_cache_set(&c, key), key);    // NULL: look further
 *     ids = tok_cache_find_long(&c, piece, size, &n);         // NULL: not here
 *     tok_cache_put(&c, piece, size, ids, n);                 // may forget another piece
 *     tok_cache_finish(&c);
 *
 * One thread at a time.
 */
#ifndef TOK_CACHE_H
#define TOK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TOK_CACHE_SETS 32768u /* power of two */
#define TOK_CACHE_WAYS 2u
#define TOK_CACHE_SHORT 15u   /* bytes of the longest piece in a set */
#define TOK_CACHE_IDS 3u      /* most ids of one */
#define TOK_CACHE_LONG 2048u  /* power of two */
#define TOK_CACHE_ROOM 240u   /* bytes for a longer piece and its ids */

/* One remembered piece. A free one's key is of size 0, which no piece has. */
struct tok_cached {
    uint64_t key[2]; /* the bytes, zero-filled, and the size in the last */
    uint32_t n;
    int32_t ids[TOK_CACHE_IDS]; /* [n] */
};

struct tok_cache_set {
    struct tok_cached ways[TOK_CACHE_WAYS]; /* newest first. One line of the processor's cache */
};

/* A piece that is too long for a set, or has too many ids. */
struct tok_cached_long {
    uint64_t hash;
    uint32_t size, n; /* size 0: free */
    int32_t ids[TOK_CACHE_ROOM / sizeof(int32_t)]; /* [n], then bytes [size] */
};

struct tok_cache {
    struct tok_cache_set *sets;    /* [TOK_CACHE_SETS] */
    struct tok_cached_long *longs; /* [TOK_CACHE_LONG] */
    void *memory;
};

/* 0, or RESOURCE_EXHAUSTED: then nothing is held. */
int32_t tok_cache_init(struct tok_cache *c);
void tok_cache_finish(struct tok_cache *c); /* zeroed is fine */

static inline struct tok_cache_set *tok_cache_set(const struct tok_cache *c, const uint64_t key[2])
{
    uint64_t h = (key[0] ^ key[1] * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
    return &c->sets[(h >> 40) & (TOK_CACHE_SETS - 1)];
}

/* The size in the last of 16 bytes that are zero from the piece's end on. */
static inline void tok_cache_size_key(size_t size, uint64_t key[2])
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    key[1] |= size;
#else
    key[1] |= (uint64_t)size << 56;
#endif
}

static inline void tok_cache_key(const char *piece, size_t size, uint64_t key[2])
{
    key[0] = 0;
    key[1] = 0;
    memcpy(key, piece, size);
    tok_cache_size_key(size, key);
}

/* The same where 16 bytes can be read from the piece on. */
static inline void tok_cache_wide_key(const char *piece, size_t size, uint64_t key[2])
{
    static const unsigned char masks[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t bytes[2], mask[2];
    memcpy(bytes, piece, 16);
    memcpy(mask, masks + 16 - size, 16);
    key[0] = bytes[0] & mask[0];
    key[1] = bytes[1] & mask[1];
    tok_cache_size_key(size, key);
}

static inline const struct tok_cached *tok_cache_find(const struct tok_cache_set *set, const uint64_t key[2])
{
    for (uint32_t i = 0; i < TOK_CACHE_WAYS; i++)
        if (set->ways[i].key[0] == key[0] && set->ways[i].key[1] == key[1])
            return &set->ways[i];
    return NULL;
}

/* Any piece that is not in a set. OWN: c, until the next put. */
const int32_t *tok_cache_find_long(const struct tok_cache *c, const char *piece, size_t size, size_t *ret_n);

/* Remember a piece, size > 0, unless it is too long. */
void tok_cache_put(struct tok_cache *c, const char *piece, size_t size, const int32_t *ids, size_t n);

#endif
