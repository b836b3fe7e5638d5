/* json.c - see json.h. */
#include "core/cli/json.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/engine/stream.h"

static int32_t put_char(struct tn_buf *out, unsigned char c)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *p = short_forms; *p != '\0'; p += 2)
        if ((unsigned char)*p == c)
            return tn_buf_printf(out, "\\%c", p[1]);
    return c < 0x20 || c == 0x7f ? tn_buf_printf(out, "\\u%04x", c) : tn_buf_char(out, (char)c);
}

/* U+0080 to U+009F: a terminal may obey them. */
static bool is_c1(const char *p, size_t left)
{
    return left > 1 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0;
}

int32_t tn_json_string(struct tn_buf *out, const char *text, uint64_t size)
{
    struct tn_stream st;
    struct tn_buf valid;
    int32_t rc = tn_stream_init(&st, NULL, 0);
    tn_buf_init(&valid, 0);
    if (rc == TENON_OK)
        rc = tn_stream_push(&st, text, size, &valid);
    if (rc == TENON_OK)
        rc = tn_stream_flush(&st, &valid);
    if (rc == TENON_OK)
        rc = tn_buf_char(out, '"');
    for (size_t i = 0; rc == TENON_OK && i < valid.len; i++) {
        if (is_c1(valid.data + i, valid.len - i))
            rc = tn_buf_printf(out, "\\u%04x", (unsigned char)valid.data[++i]);
        else
            rc = put_char(out, (unsigned char)valid.data[i]);
    }
    if (rc == TENON_OK)
        rc = tn_buf_char(out, '"');
    tn_buf_finish(&valid);
    tn_stream_finish(&st);
    return rc;
}

int32_t tn_json_text(struct tn_buf *out, const char *text)
{
    return text != NULL ? tn_json_string(out, text, strlen(text)) : tn_buf_str(out, "null");
}

int32_t tn_json_number(struct tn_buf *out, double x)
{
    return isfinite(x) ? tn_buf_printf(out, "%.9g", x) : tn_buf_str(out, "null");
}
