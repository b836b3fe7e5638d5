/* A growable byte buffer with an optional byte limit.
 *
 *     struct tn_buf b;
 *     tn_buf_init(&b, 0);                        // no limit
 *     if (tn_buf_str(&b, "n=") || tn_buf_printf(&b, "%d", n))
 *         ...                                    // out of memory or over the limit
 *     puts(b.data ? b.data : "");                // NUL-terminated once written to
 *     tn_buf_finish(&b);
 *
 * Appends return 0 or TENON_E_RESOURCE_EXHAUSTED and then change nothing.
 * One thread at a time. */
#ifndef TN_BASE_BUF_H
#define TN_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct tn_buf {
    char *data; /* [len], then a NUL; NULL until the first append */
    size_t len;
    size_t cap;   /* bytes allocated */
    size_t limit; /* most bytes of content; 0: none */
};

void tn_buf_init(struct tn_buf *b, size_t limit);

/* Frees the bytes; the buffer is empty and usable again, its limit kept. */
void tn_buf_finish(struct tn_buf *b);

/* Makes room for extra more bytes without changing the content. */
int32_t tn_buf_reserve(struct tn_buf *b, size_t extra);

int32_t tn_buf_append(struct tn_buf *b, const void *bytes, size_t len);
int32_t tn_buf_str(struct tn_buf *b, const char *s);
int32_t tn_buf_char(struct tn_buf *b, char c);
int32_t tn_buf_printf(struct tn_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The content as a malloc'd NUL-terminated string, NULL if out of memory; the
 * buffer is empty afterwards. OWN: the caller frees it. */
char *tn_buf_take(struct tn_buf *b, size_t *ret_len);

#endif
