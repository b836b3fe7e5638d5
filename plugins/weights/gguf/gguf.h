/* gguf.h - private header of the GGUF plugin: what its files share.
 *
 * The way of a file: shards.c maps it and walks header, metadata, tensor list; cursor.c is the only code that moves over
 * its bytes; meta.c and tensors.c keep where things are; common/names.c finds them by name. Nothing of the file is copied: names
 * and values point into the mapping. Every list grows as entries are really found, so memory follows what the file
 * holds, not what it claims: at most about 12 bytes per byte of header.
 */
#ifndef GGUF_H
#define GGUF_H

#include <tenon/weights.h>

#include "../common/names.h"

#define GGUF_DIMS_MAX 4u

/* ---- cursor.c: moving over a mapped file ---------------------------------------------------------------------- */

struct gguf_cursor {
    const char *file; /* name, for messages */
    const uint8_t *data; /* [size] */
    uint64_t size;
    uint64_t at;      /* <= size */
    struct tenon_err *err;
};

/* The next `n` bytes, and move past them. DATA_LOSS when the file ends before; `what` names them. */
int32_t gguf_take(struct gguf_cursor *c, uint64_t n, const char *what, const uint8_t **ret);
int32_t gguf_take_u32(struct gguf_cursor *c, const char *what, uint32_t *ret);
int32_t gguf_take_u64(struct gguf_cursor *c, const char *what, uint64_t *ret);
/* A length of 64 bits and as many bytes. */
int32_t gguf_take_string(struct gguf_cursor *c, const char *what, struct tenon_str *ret);

uint32_t gguf_u32(const uint8_t *p);
uint64_t gguf_u64(const uint8_t *p);

/* Fail with the cursor's file and error. */
#define GGUF_FAIL(c, code, ...) tenon_fail((c)->err, (code), (c)->file, __VA_ARGS__)

/* ---- meta.c: keys and values ---------------------------------------------------------------------------------- */

struct gguf_value {
    uint32_t type; /* TENON_META_*, which are GGUF's numbers */
    uint32_t is_array;
    uint64_t count;
    const uint8_t *data; /* [size] numbers; or strings, each with its length in front */
    uint64_t size;
    uint32_t *ends;      /* [count] where string k ends, from data; NULL unless an array of strings */
};

struct gguf_meta {
    struct tenon_meta table; /* what the host gets; its ctx is this struct, which must not move after gguf_meta_publish */
    struct weights_names keys;
    struct gguf_value *values; /* [keys.n] */
    uint32_t capacity;
};

/* Read n keys with their values. On failure, too, the caller finishes `meta`. */
int32_t gguf_meta_read(struct gguf_meta *meta, struct gguf_cursor *c, uint64_t n);
/* Fill meta->table. */
void gguf_meta_publish(struct gguf_meta *meta);
void gguf_meta_finish(struct gguf_meta *meta);

/* A single whole number that must not be negative, or `fallback` when the key is missing. INVALID_ARGUMENT: other type. */
int32_t gguf_meta_number(const struct gguf_meta *meta, const struct gguf_cursor *c, const char *key, uint64_t fallback,
                         uint64_t *ret);

/* ---- types.c: tensor types ------------------------------------------------------------------------------------ */

struct gguf_type {
    const char *encoding; /* id; OWN: static */
    uint16_t cols;        /* elements of a block */
    uint16_t bytes;       /* of a block */
};

/* NULL: no such type. */
const struct gguf_type *gguf_type_of(uint32_t id);

/* ---- tensors.c ------------------------------------------------------------------------------------------------ */

struct gguf_tensor {
    const struct gguf_type *type;
    uint64_t offset; /* from the start of the file */
    uint64_t size;   /* bytes */
    uint32_t file;   /* id from tenon_files.map */
    uint32_t n_dims;
    uint64_t dims[GGUF_DIMS_MAX]; /* [n_dims] innermost first, as in the file */
};

/* Tensors of all shards, in the files' order. */
struct gguf_tensors {
    struct weights_names names;
    struct gguf_tensor *items; /* [names.n] */
    uint32_t capacity;
};

/* Read n tensor descriptions of file number `file`; the data section begins at the next multiple of `alignment`. */
int32_t gguf_tensors_read(struct gguf_tensors *t, struct gguf_cursor *c, uint64_t n, uint32_t file, uint64_t alignment);
void gguf_tensors_get(const struct gguf_tensors *t, uint32_t i, struct tenon_tensor *ret);
void gguf_tensors_finish(struct gguf_tensors *t);

/* ---- shards.c: the files of a model --------------------------------------------------------------------------- */

struct tenon_weights_model {
    struct gguf_meta meta; /* of the first shard */
    struct gguf_tensors tensors;
    uint64_t n_files;
};

/* Read the file `name` and, if it is one of several, all the others. On failure the caller finishes meta and tensors. */
int32_t gguf_model_read(struct tenon_weights_model *model, const struct tenon_files *files, const char *name,
                        struct tenon_err *err);

#endif
