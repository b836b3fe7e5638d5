/* weights.h - "tenon.weights/1": a file format. The plugin says what is where; it never reads weights itself.
 *
 * The host maps files and hands the mappings over through `struct tenon_files`; the plugin parses headers in place and
 * answers with metadata and, per tensor, name, dims, encoding and byte ranges. All sizes must be checked against the file
 * by the plugin before they are returned (the host checks the ranges again). Example of the host's side:
 *
 *     if (w->probe(self, head, n) > 0 && w->open(self, &files, "model.gguf", &m, err) == 0)
 *         for (i = 0; i < w->tensor_count(m); i++) w->tensor_at(m, i, &t, err);
 *
 * An opened model is immutable: all calls but open and close are [any-thread].
 */
#ifndef TENON_WEIGHTS_H
#define TENON_WEIGHTS_H

#include <tenon/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_WEIGHTS_IFACE "tenon.weights/1"
#define TENON_TENSOR_DIMS 8u   /* most dims of a tensor */
#define TENON_TENSOR_PLANES 8u /* most planes of a tensor */

/* "tenon.files/1": the files of one model (a single file with its shards, or a directory). Handed to open calls rather than
 * looked up, since it is bound to one model. Names are relative to the model's folder, without "..", without "/" in
 * front. OWN: valid as long as the model is open. */
#define TENON_FILES_SERVICE "tenon.files/1"
struct tenon_files {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Name of file number `i` in byte order, NULL past the last. OWN: host, for the life of this table. [any-thread] */
    const char *(*name_at)(void *ctx, uint32_t i);
    /* Map a whole file for reading. *ret_id numbers the file in tensor planes. Mapping the same name twice gives the same id
     * and address. NOT_FOUND, PERMISSION_DENIED. [any-thread] OWN: host. */
    int32_t (*map)(void *ctx, const char *name, uint32_t *ret_id, const void **ret_data, uint64_t *ret_size,
                   struct tenon_err *err);
};

/* ---- metadata ----------------------------------------------------------------------------------------------- */

/* Types of metadata values. */
#define TENON_META_U8 0u
#define TENON_META_I8 1u
#define TENON_META_U16 2u
#define TENON_META_I16 3u
#define TENON_META_U32 4u
#define TENON_META_I32 5u
#define TENON_META_F32 6u
#define TENON_META_BOOL 7u /* one byte, 0 or 1 */
#define TENON_META_STRING 8u
#define TENON_META_U64 10u
#define TENON_META_I64 11u
#define TENON_META_F64 12u
#define TENON_META_OBJECT 13u /* of JSON, without data: an object, whose members are keys of their own; as an array a list of unlike elements */

/* One key with its value or array of values. */
struct tenon_meta_entry {
    uint32_t struct_size;
    uint32_t type;        /* TENON_META_*: of the value, or of an array's elements */
    struct tenon_str key; /* OWN: source */
    uint32_t is_array;    /* 0 or 1 */
    uint32_t reserved;
    uint64_t count;       /* elements; 1 for a single value */
    const void *data;     /* numbers: [count] packed, little-endian, possibly unaligned. Strings: NULL, use strings() */
    uint64_t index;       /* of this entry in its source, for strings() */
};

/* Metadata of a model, of whatever origin: given by weights plugins, read by model and tokenizer plugins and by the host.
 * [any-thread] OWN: valid as long as the model is open. */
struct tenon_meta {
    uint32_t struct_size;
    uint32_t count;    /* entries */
    void *ctx;
    const char *format; /* "gguf", "huggingface": which naming of keys to expect */
    int32_t (*at)(void *ctx, uint32_t i, struct tenon_meta_entry *ret_entry);             /* OUT_OF_RANGE */
    int32_t (*find)(void *ctx, const char *key, struct tenon_meta_entry *ret_entry);      /* NOT_FOUND; no linear scan */
    /* Strings [start, start+n) of a string entry into out [n]; in constant time per string after the first call. */
    int32_t (*strings)(void *ctx, const struct tenon_meta_entry *entry, uint64_t start, uint64_t n, struct tenon_str *out);
};

/* Read a number of any type as int64 / double. Returns 0, INVALID_ARGUMENT for strings and arrays' index out of range, or
 * OUT_OF_RANGE when a float is no integer or u64 exceeds int64. [any-thread] */
static inline int32_t tenon_meta_i64(const struct tenon_meta_entry *e, uint64_t i, int64_t *ret)
{
    const unsigned char *p = (const unsigned char *)e->data;
    if (p == NULL || i >= e->count)
        return TENON_E_INVALID_ARGUMENT;
    switch (e->type) {
    case TENON_META_U8: *ret = p[i]; return 0;
    case TENON_META_BOOL: *ret = p[i] != 0; return 0;
    case TENON_META_I8: *ret = (int8_t)p[i]; return 0;
    case TENON_META_U16: { uint16_t v; memcpy(&v, p + 2 * i, 2); *ret = v; return 0; }
    case TENON_META_I16: { int16_t v; memcpy(&v, p + 2 * i, 2); *ret = v; return 0; }
    case TENON_META_U32: { uint32_t v; memcpy(&v, p + 4 * i, 4); *ret = v; return 0; }
    case TENON_META_I32: { int32_t v; memcpy(&v, p + 4 * i, 4); *ret = v; return 0; }
    case TENON_META_I64: memcpy(ret, p + 8 * i, 8); return 0;
    case TENON_META_U64: {
        uint64_t v;
        memcpy(&v, p + 8 * i, 8);
        if (v > (uint64_t)INT64_MAX)
            return TENON_E_OUT_OF_RANGE;
        *ret = (int64_t)v;
        return 0;
    }
    case TENON_META_F32: case TENON_META_F64: {
        double d;
        float f;
        if (e->type == TENON_META_F32) { memcpy(&f, p + 4 * i, 4); d = (double)f; }
        else memcpy(&d, p + 8 * i, 8);
        if (!(d >= -9.2e18 && d <= 9.2e18) || (double)(int64_t)d != d)
            return TENON_E_OUT_OF_RANGE;
        *ret = (int64_t)d;
        return 0;
    }
    default: return TENON_E_INVALID_ARGUMENT;
    }
}

static inline int32_t tenon_meta_f64(const struct tenon_meta_entry *e, uint64_t i, double *ret)
{
    int64_t v;
    int32_t status;
    if (e->data != NULL && i < e->count && e->type == TENON_META_F32) {
        float f;
        memcpy(&f, (const char *)e->data + 4 * i, 4);
        *ret = (double)f;
        return 0;
    }
    if (e->data != NULL && i < e->count && e->type == TENON_META_F64) {
        memcpy(ret, (const char *)e->data + 8 * i, 8);
        return 0;
    }
    status = tenon_meta_i64(e, i, &v);
    if (status == 0)
        *ret = (double)v;
    return status;
}

/* ---- tensors ------------------------------------------------------------------------------------------------ */

struct tenon_range {
    uint32_t file;     /* id from tenon_files.map */
    uint32_t reserved;
    uint64_t offset;   /* bytes from the file's start */
    uint64_t size;     /* bytes */
};

struct tenon_tensor {
    uint32_t struct_size;
    uint32_t n_dims;
    struct tenon_str name;                       /* the format's own name; OWN: opened model */
    uint64_t dims[TENON_TENSOR_DIMS];            /* [n_dims] outermost first, the last varies fastest */
    const char *encoding;                        /* id, "gguf.q4_k/1", or of a stored form (quantizer.h); OWN: opened model */
    uint32_t n_planes;
    uint32_t reserved;
    struct tenon_range planes[TENON_TENSOR_PLANES]; /* [n_planes]. Sizes of zero: the host computes them by the encoding */
};

struct tenon_weights_model; /* opaque, the plugin's */

/* All callbacks mandatory but probe_folder. */
struct tenon_weights {
    uint32_t struct_size;
    uint32_t reserved;
    /* [any-thread] How sure this plugin is that a file beginning with head [size] is its own: 0 no ... 100 certain. */
    int32_t (*probe)(void *self, const void *head, uint64_t size);
    /* [any-thread] OWN: *ret_model until close. `name` is the file the user named, as files->map takes it; NULL: a folder, which
     * probe_folder took for its own. */
    int32_t (*open)(void *self, const struct tenon_files *files, const char *name, struct tenon_weights_model **ret_model,
                    struct tenon_err *err);
    void (*close)(void *self, struct tenon_weights_model *model); /* NULL is allowed */
    const struct tenon_meta *(*metadata)(struct tenon_weights_model *model); /* OWN: model */
    uint64_t (*tensor_count)(struct tenon_weights_model *model);
    int32_t (*tensor_at)(struct tenon_weights_model *model, uint64_t i, struct tenon_tensor *ret_tensor, struct tenon_err *err);
    /* [any-thread] How sure this plugin is that a folder of these files is its own, as by probe; a low number where it only knows
     * what is wrong with it, which open then says. NULL: its models are files. */
    int32_t (*probe_folder)(void *self, const struct tenon_files *files);
};

#ifdef __cplusplus
}
#endif
#endif
