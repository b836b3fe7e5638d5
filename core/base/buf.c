/* The growable buffer: doubles, always one byte larger than its content so
 * that a NUL fits. Not thread safe; contract in buf.h. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/plugin.h>

void tn_buf_init(struct tn_buf *b, size_t limit)
{
    memset(b, 0, sizeof *b);
    b->limit = limit;
}

void tn_buf_finish(struct tn_buf *b)
{
    free(b->data);
    tn_buf_init(b, b->limit);
}

int32_t tn_buf_reserve(struct tn_buf *b, size_t extra)
{
    size_t need;
    if (__builtin_add_overflow(b->len, extra, &need) || need >= SIZE_MAX / 2)
        return TENON_E_RESOURCE_EXHAUSTED;
    if (b->limit != 0 && need > b->limit)
        return TENON_E_RESOURCE_EXHAUSTED;
    if (need < b->cap)
        return 0;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap <= need)
        cap *= 2;
    char *data = realloc(b->data, cap);
    if (data == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    data[b->len] = '\0';
    b->data = data;
    b->cap = cap;
    return 0;
}

int32_t tn_buf_append(struct tn_buf *b, const void *bytes, size_t len)
{
    int32_t rc = tn_buf_reserve(b, len);
    if (rc != 0)
        return rc;
    if (len > 0)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int32_t tn_buf_str(struct tn_buf *b, const char *s)
{
    return tn_buf_append(b, s, strlen(s));
}

int32_t tn_buf_char(struct tn_buf *b, char c)
{
    return tn_buf_append(b, &c, 1);
}

int32_t tn_buf_printf(struct tn_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    int32_t rc = n < 0 ? TENON_E_RESOURCE_EXHAUSTED : tn_buf_reserve(b, (size_t)n);
    if (rc != 0)
        return rc;
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap); /* length known from above */
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

char *tn_buf_take(struct tn_buf *b, size_t *ret_len)
{
    if (tn_buf_reserve(b, 0) != 0)
        return NULL;
    char *data = b->data;
    if (ret_len != NULL)
        *ret_len = b->len;
    b->data = NULL;
    tn_buf_init(b, b->limit);
    return data;
}
