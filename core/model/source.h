/* source.h - a model on disk, opened by the weights plugin that recognises it: files, metadata, tensors.
 *
 *     struct tn_source *src;
 *     rc = tn_source_open(registry, "model.gguf", &src, err);       // reads headers only
 *     rc = tn_source_string(src, "general.architecture", &text);    // NOT_FOUND
 *     rc = tn_source_find(src, "blk.0.attn_q.weight", &tensor);     // NULL: not there
 *     tn_source_close(src);
 *
 * Immutable once opened, so [any-thread] but for open and close.
 */
#ifndef TN_MODEL_SOURCE_H
#define TN_MODEL_SOURCE_H

#include <stdint.h>

#include <tenon/encoding.h>
#include <tenon/weights.h>

#include "core/model/files.h"
#include "core/plugin/registry.h"

/* A tensor with its encoding found and its planes checked against the file. */
struct tn_tensor {
    struct tenon_tensor t;                 /* plane sizes filled in */
    const struct tenon_encoding *encoding; /* NULL until tn_source_encode: OWN: plugin */
    uint64_t bytes;                        /* of all planes */
};

struct tn_source;

/* OWN: *ret until tn_source_close. NOT_FOUND: no such file, or no plugin for it; the message says which and what to do. */
int32_t tn_source_open(struct tn_registry *reg, const char *path, struct tn_source **ret, struct tenon_err *err);
void tn_source_close(struct tn_source *src); /* NULL is allowed */

/* Look up and check the encoding of every tensor, once. NOT_FOUND names the encoding no plugin has. [init] */
int32_t tn_source_encode(struct tn_source *src, struct tenon_err *err);

const struct tenon_meta *tn_source_meta(const struct tn_source *src);
const struct tn_files *tn_source_files(const struct tn_source *src);
const char *tn_source_path(const struct tn_source *src);   /* as the user gave it */
const char *tn_source_format(const struct tn_source *src); /* the plugin's name for itself, "gguf" */
uint64_t tn_source_tensor_count(const struct tn_source *src);
const struct tn_tensor *tn_source_tensor(const struct tn_source *src, uint64_t i);
/* OWN: src. NULL: no tensor of that name. */
const struct tn_tensor *tn_source_find(const struct tn_source *src, const char *name);
/* Bytes (after tn_source_encode) and elements of all tensors. */
uint64_t tn_source_tensor_bytes(const struct tn_source *src);
uint64_t tn_source_params(const struct tn_source *src);

/* A string of the metadata. NOT_FOUND: absent, or no string. */
int32_t tn_source_string(const struct tn_source *src, const char *key, struct tenon_str *ret);

#endif
