/* container.h - a model on disk, opened by the weights plugin that recognises it: files, metadata, tensors.
 *
 *     struct tn_container *src;
 *     rc = tn_container_open(registry, "model.gguf", &src, err);       // reads headers only
 *     rc = tn_container_string(src, "general.architecture", &text);    // NOT_FOUND
 *     rc = tn_container_find(src, "blk.0.attn_q.weight", &tensor);     // NULL: not there
 *     tn_container_close(src);
 *
 * Immutable once opened, so [any-thread] but for open and close.
 */
#ifndef TN_MODEL_CONTAINER_H
#define TN_MODEL_CONTAINER_H

#include <stdint.h>

#include <tenon/encoding.h>
#include <tenon/quantizer.h>
#include <tenon/weights.h>

#include "core/model/files.h"
#include "core/plugin/registry.h"

/* A tensor with its encoding found and its planes checked against the file. */
struct tn_tensor {
    struct tenon_tensor t;                 /* plane sizes filled in */
    const struct tenon_encoding *encoding; /* NULL until tn_container_encode, or unknown: OWN: plugin */
    const struct tenon_stored *stored;     /* NULL: planes are the encoding's; else they become it at load. OWN: plugin */
    uint64_t bytes;                        /* of all planes */
    uint64_t matrices, rows, cols;         /* of a stored form: so many matrices of rows x cols, one behind the other */
};

struct tn_container;

/* OWN: *ret until tn_container_close. NOT_FOUND: no such file, or no plugin for it; the message says which and what to do. */
int32_t tn_container_open(struct tn_registry *reg, const char *path, struct tn_container **ret, struct tenon_err *err);
void tn_container_close(struct tn_container *src); /* NULL is allowed */

/* rc, that of work which read the files; but if one of them was cut short meanwhile, DATA_LOSS, which says so: the work was in
 * vain and what it complains of is not the cause. */
int32_t tn_container_whole(const struct tn_container *src, int32_t rc, struct tenon_err *err);

/* Look up and check the encoding of every tensor, once. One that no plugin has stays NULL: tn_container_encoding says so to who
 * needs it. [init] */
int32_t tn_container_encode(struct tn_container *src, struct tenon_err *err);

/* The encoding of that id, checked. NOT_FOUND: no plugin has it. OWN: plugin. [init] */
int32_t tn_container_encoding(struct tn_container *src, const char *id, const struct tenon_encoding **ret, struct tenon_err *err);

const struct tenon_meta *tn_container_meta(const struct tn_container *src);
const struct tn_files *tn_container_files(const struct tn_container *src);
const char *tn_container_path(const struct tn_container *src);   /* as the user gave it */
const char *tn_container_format(const struct tn_container *src); /* the plugin's name for itself, "gguf" */
uint64_t tn_container_tensor_count(const struct tn_container *src);
const struct tn_tensor *tn_container_tensor(const struct tn_container *src, uint64_t i);
/* OWN: src. NULL: no tensor of that name. */
const struct tn_tensor *tn_container_find(const struct tn_container *src, const char *name);
/* Bytes (after tn_container_encode) and elements of all tensors. */
uint64_t tn_container_tensor_bytes(const struct tn_container *src);
uint64_t tn_container_params(const struct tn_container *src);

/* A string of the metadata. NOT_FOUND: absent, or no string. */
int32_t tn_container_string(const struct tn_container *src, const char *key, struct tenon_str *ret);

#endif
