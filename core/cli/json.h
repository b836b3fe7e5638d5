/* json.h - writing JSON into a buffer, fast and without a tree; cJSON reads it.
 *
 *     tn_json_string(&out, text, size);      // "quoted"; bytes that are no UTF-8 become U+FFFD, control characters \uXXXX
 *     tn_json_number(&out, 0.25);            // null for what JSON cannot say
 *
 * Return as tn_buf_append. One thread.
 */
#ifndef TN_CLI_JSON_H
#define TN_CLI_JSON_H

#include <stdint.h>

#include "core/base/buf.h"

int32_t tn_json_string(struct tn_buf *out, const char *text, uint64_t size);
int32_t tn_json_text(struct tn_buf *out, const char *text); /* NUL-ended; NULL: null */
int32_t tn_json_number(struct tn_buf *out, double x);

#endif
