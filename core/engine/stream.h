/* stream.h - from the bytes of tokens to text that may be shown: whole UTF-8 characters, nothing of a stop string.
 *
 *     struct tn_stream st;
 *     rc = tn_stream_init(&st, request->stop, request->n_stop);
 *     rc = tn_stream_push(&st, bytes, n, &out);     // appends to out what is safe; st.stopped: a stop string was met
 *     rc = tn_stream_flush(&st, &out);              // at the end: what was held back
 *     tn_stream_finish(&st);
 *
 * Held back are the start of a character, and text that may still become a stop string. Bytes that can no longer become
 * a character are replaced by U+FFFD, one per maximal part as Unicode recommends. [serial:stream]
 */
#ifndef TN_ENGINE_STREAM_H
#define TN_ENGINE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/base/buf.h"

struct tn_stream {
    struct tn_buf pending;    /* bytes pushed and not yet given out */
    struct tenon_str *stop;   /* [n_stop] OWN: stream, none is empty */
    uint32_t n_stop;
    bool stopped;             /* later bytes are dropped */
};

/* `stop` is copied; empty ones are ignored. RESOURCE_EXHAUSTED. */
int32_t tn_stream_init(struct tn_stream *st, const struct tenon_str *stop, uint32_t n_stop);
/* Fine on a zeroed or finished stream. */
void tn_stream_finish(struct tn_stream *st);

int32_t tn_stream_push(struct tn_stream *st, const char *bytes, uint64_t size, struct tn_buf *out);
int32_t tn_stream_flush(struct tn_stream *st, struct tn_buf *out);

#endif
