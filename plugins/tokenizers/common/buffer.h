/* buffer.h - bytes that grow, as far as they may, and the characters in them.
 *
 *     struct tok_buffer b = {0};
 *     b.size = 0;
 *     if (tok_put(&b, text, size) != 0 || tok_put_char(&b, 0xe9) != 0) return ...;   // RESOURCE_EXHAUSTED, OUT_OF_RANGE
 *     tok_buffer_finish(&b);
 */
#ifndef TOK_BUFFER_H
#define TOK_BUFFER_H

#include <stdlib.h>
#include <string.h>

#include <tenon/plugin.h>

#include "utf8.h"

struct tok_buffer {
    char *bytes; /* [capacity] */
    size_t size, capacity;
    size_t most; /* bytes that it may have, else OUT_OF_RANGE; 0: any number */
};

/* Most bytes that steps may make of `size`, for those of a file can double a text each, or worse. No sound ones come near. */
static inline size_t tok_most(size_t size)
{
    return 64 * size + 4096;
}

static inline int32_t tok_reserve(struct tok_buffer *b, size_t more)
{
    if (b->most > 0 && (b->size > b->most || more > b->most - b->size))
        return TENON_E_OUT_OF_RANGE;
    if (b->capacity - b->size < more) {
        size_t capacity = 2 * b->capacity + more + 64;
        char *grown = realloc(b->bytes, capacity);
        if (grown == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        b->bytes = grown;
        b->capacity = capacity;
    }
    return 0;
}

static inline int32_t tok_put(struct tok_buffer *b, const char *bytes, size_t size)
{
    int32_t status = tok_reserve(b, size);
    if (status != 0 || size == 0)
        return status;
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    return 0;
}

static inline int32_t tok_put_char(struct tok_buffer *b, int32_t c)
{
    int32_t status = tok_reserve(b, 4);
    if (status == 0)
        b->size += tok_utf8_put((uint32_t)c, b->bytes + b->size);
    return status;
}

/* The character at text [size], size > 0: returns its bytes. *ret is -1 for a byte that belongs to none. */
static inline size_t tok_char(const char *text, size_t size, int32_t *ret)
{
    const unsigned char *u = (const unsigned char *)text;
    size_t n = tok_utf8_size(text, size);
    *ret = n == 1 ? u[0] : n == 2 ? (u[0] & 0x1f) << 6 | (u[1] & 0x3f)
         : n == 3 ? (u[0] & 0x0f) << 12 | (u[1] & 0x3f) << 6 | (u[2] & 0x3f)
         : n == 4 ? (u[0] & 0x07) << 18 | (u[1] & 0x3f) << 12 | (u[2] & 0x3f) << 6 | (u[3] & 0x3f) : -1;
    return n > 0 ? n : 1;
}

static inline void tok_buffer_finish(struct tok_buffer *b)
{
    free(b->bytes);
    memset(b, 0, sizeof *b);
}

#endif
