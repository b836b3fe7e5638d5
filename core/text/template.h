/* Chat templates: an interpreter for Jinja as models use it.
 *
 * Renders what the Python package Jinja2 3.1 renders in its immutable sandbox
 * with trim_blocks, lstrip_blocks and loop controls on, autoescape off, and
 * with the helpers transformers adds: tojson, raise_exception, strftime_now
 * and the generation tag. A template sees its variables and nothing else.
 *
 *     struct tn_template *t;
 *     int32_t rc = tn_template_compile(src, src_len, &t, err);
 *     struct tn_buf out;
 *     tn_buf_init(&out, 0);
 *     if (rc == 0)
 *         rc = tn_template_render_json(t, "{\"messages\":[]}", 15, NULL, &out, err);
 *     tn_buf_finish(&out);
 *     tn_template_destroy(t);
 *
 * Errors name the template's line. A compiled template never changes: any
 * number of threads may render it at once. */
#ifndef TN_TEXT_TEMPLATE_H
#define TN_TEXT_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/base/buf.h"

struct tn_template;

/* What one rendering may use; a zero field takes its default. */
struct tn_template_limits {
    size_t memory_bytes; /* values and variables; 256 MiB */
    size_t output_bytes; /* the rendering; 64 MiB */
    uint64_t steps;      /* nodes evaluated, plus one per 64 bytes made; 100 million */
    uint32_t depth;      /* nested calls, blocks and values; 1200, at most 4000 */
    int64_t now;         /* strftime_now's clock, seconds since 1970; 0: the real one */
};

/* src: UTF-8, len bytes, not kept. INVALID_ARGUMENT with the line for bad
 * syntax. OWN: the caller destroys *ret; untouched on failure. [any-thread] */
int32_t tn_template_compile(const char *src, size_t len, struct tn_template **ret, struct tenon_err *err);

/* Renders with the members of a JSON object as variables. Integers and floats
 * stay apart as written (1 and 1.0), keys keep their order. limits may be
 * NULL. Appends to out; on failure out is as before. [any-thread] */
int32_t tn_template_render_json(const struct tn_template *t, const char *json, size_t len,
                                const struct tn_template_limits *limits, struct tn_buf *out, struct tenon_err *err);

/* NULL is fine. */
void tn_template_destroy(struct tn_template *t);

#endif
