/* gguf_writer.h - makes GGUF files in memory, right or wrong, for tests; and hands them to the plugin as its files.
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

/* ---- files in memory ---------------------------------------------------------------------------------------- */

#define GW_FILES 4

struct gw_files {
    struct tenon_files table;
    const char *names[GW_FILES]; /* NULL: no such file */
    const void *data[GW_FILES];
    uint64_t sizes[GW_FILES];
};

static inline const char *gw_files_name_at(void *ctx, uint32_t i)
{
    struct gw_files *f = ctx;
    return i < GW_FILES ? f->names[i] : NULL;
}

static inline int32_t gw_files_map(void *ctx, const char *name, uint32_t *ret_id, const void **ret_data, uint64_t *ret_size,
                                   struct tenon_err *err)
{
    struct gw_files *f = ctx;
    for (uint32_t i = 0; i < GW_FILES; i++)
        if (f->names[i] != NULL && strcmp(f->names[i], name) == 0) {
            *ret_id = i;
            *ret_data = f->data[i];
            *ret_size = f->sizes[i];
            return TENON_OK;
        }
    return tenon_fail(err, TENON_E_NOT_FOUND, name, "cannot open: No such file or directory");
}

static inline void gw_files_init(struct gw_files *f)
{
    *f = (struct gw_files){0};
    f->table = (struct tenon_files){sizeof f->table, 0, f, gw_files_name_at, gw_files_map};
}

static inline void gw_files_set(struct gw_files *f, uint32_t i, const char *name, const void *data, uint64_t size)
{
    f->names[i] = name;
    f->data[i] = data;
    f->sizes[i] = size;
}

/* ---- the plugin --------------------------------------------------------------------------------------------- */

int32_t tenon_plugin_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

/* The table of the plugin whose sources are linked in. */
static inline const struct tenon_weights *gw_plugin(void)
{
    const struct tenon_plugin *plugin;
    return tenon_plugin_entry(TENON_ABI, &plugin) == TENON_OK ? plugin->items[0].impl : NULL;
}

/* Look at all an opened model offers, as a host would. Returns a checksum, so that nothing is optimised away; aborts when
 * a range is outside its file. */
static inline uint64_t gw_walk(const struct tenon_weights *weights, struct tenon_weights_model *model, const struct gw_files *f)
{
    const struct tenon_meta *meta = weights->metadata(model);
    struct tenon_meta_entry entry;
    struct tenon_tensor tensor;
    struct tenon_str s;
    uint64_t sum = 0;
    for (uint32_t i = 0; meta->at(meta->ctx, i, &entry) == TENON_OK; i++) {
        for (uint64_t k = 0; k < entry.key.size; k++)
            sum += (uint8_t)entry.key.data[k];
        for (uint64_t k = 0; k < entry.count; k++) {
            int64_t number;
            if (entry.type != TENON_META_STRING) {
                sum += tenon_meta_i64(&entry, k, &number) == TENON_OK ? (uint64_t)number : 1;
            } else if (meta->strings(meta->ctx, &entry, k, 1, &s) != TENON_OK) {
                abort();
            } else if (s.size > 0) {
                sum += (uint8_t)s.data[0] + (uint8_t)s.data[s.size - 1];
            }
        }
    }
    for (uint64_t i = 0; i < weights->tensor_count(model); i++) {
        if (weights->tensor_at(model, i, &tensor, NULL) != TENON_OK || tensor.planes[0].size == 0 ||
            tensor.planes[0].offset > f->sizes[tensor.planes[0].file] ||
            tensor.planes[0].size > f->sizes[tensor.planes[0].file] - tensor.planes[0].offset)
            abort();
        const uint8_t *p = (const uint8_t *)f->data[tensor.planes[0].file] + tensor.planes[0].offset;
        sum += p[0] + p[tensor.planes[0].size - 1] + (tensor.name.size > 0 ? (uint8_t)tensor.name.data[0] : 0);
    }
    return sum;
}

#endif
