/* gguf_writer.h - makes GGUF files in memory, right or wrong, for tests.
 *
 *     struct gw w = {0};
 *     gw_header(&w, 3, 1, 2);                                       // 1 tensor, 2 keys
 *     gw_key_u32(&w, "llama.block_count", 30);
 *     gw_key_string(&w, "general.architecture", "llama");
 *     gw_tensor(&w, "a", 2, (uint64_t[]){32, 4}, 8, 0);             // dims innermost first, type, offset
 *     gw_align(&w, 32), gw_zeros(&w, 34 * 4);
 *     gw_finish(&w);
 *
 * Out of memory ends the test. One thread.
 */
#ifndef TESTS_GGUF_WRITER_H
#define TESTS_GGUF_WRITER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/weights.h>

#include "weights_files.h"

struct gw {
    uint8_t *data; /* [size] */
    size_t size;
    size_t capacity;
};

static inline void gw_bytes(struct gw *w, const void *bytes, size_t n)
{
    if (w->size + n > w->capacity) {
        w->capacity = (w->size + n) * 2;
        if ((w->data = realloc(w->data, w->capacity)) == NULL)
            abort();
    }
    if (n > 0)
        memcpy(w->data + w->size, bytes, n);
    w->size += n;
}

static inline void gw_finish(struct gw *w)
{
    free(w->data);
    *w = (struct gw){0};
}

static inline void gw_u8(struct gw *w, uint8_t v) { gw_bytes(w, &v, 1); }
static inline void gw_u32(struct gw *w, uint32_t v) { gw_bytes(w, &v, 4); } /* tests run on little-endian machines */
static inline void gw_u64(struct gw *w, uint64_t v) { gw_bytes(w, &v, 8); }

static inline void gw_zeros(struct gw *w, size_t n)
{
    while (n-- > 0)
        gw_u8(w, 0);
}

static inline void gw_align(struct gw *w, size_t alignment)
{
    while (w->size % alignment != 0)
        gw_u8(w, 0);
}

static inline void gw_string(struct gw *w, const char *s)
{
    gw_u64(w, strlen(s));
    gw_bytes(w, s, strlen(s));
}

static inline void gw_header(struct gw *w, uint32_t version, uint64_t n_tensors, uint64_t n_keys)
{
    gw_bytes(w, "GGUF", 4);
    gw_u32(w, version);
    gw_u64(w, n_tensors);
    gw_u64(w, n_keys);
}

/* A key with its type; the value follows. */
static inline void gw_key(struct gw *w, const char *key, uint32_t type)
{
    gw_string(w, key);
    gw_u32(w, type);
}

/* A key of an array; the elements follow. */
static inline void gw_key_array(struct gw *w, const char *key, uint32_t type, uint64_t count)
{
    gw_key(w, key, 9);
    gw_u32(w, type);
    gw_u64(w, count);
}

static inline void gw_key_u32(struct gw *w, const char *key, uint32_t v)
{
    gw_key(w, key, TENON_META_U32);
    gw_u32(w, v);
}

static inline void gw_key_string(struct gw *w, const char *key, const char *v)
{
    gw_key(w, key, TENON_META_STRING);
    gw_string(w, v);
}

static inline void gw_tensor(struct gw *w, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type,
                             uint64_t offset)
{
    gw_string(w, name);
    gw_u32(w, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        gw_u64(w, dims[i]);
    gw_u32(w, type);
    gw_u64(w, offset);
}

#endif
