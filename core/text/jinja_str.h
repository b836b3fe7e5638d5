/* Private to core/text: UTF-8 by code points, as Python strings count.
 *
 * All input is valid UTF-8 (checked where it enters), so these do not fail.
 * Slices are (byte offset, byte length). */
#ifndef TN_TEXT_JINJA_STR_H
#define TN_TEXT_JINJA_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

/* Code points in len bytes. */
size_t tn_jstr_count(const char *p, size_t len);

/* True if the bytes are UTF-8 without surrogates; else *ret_bad is where. */
bool tn_jstr_valid(const char *p, size_t len, size_t *ret_bad);

/* Bytes of the code point at p, 1 to left. */
size_t tn_jstr_next(const char *p, size_t left);

/* Bytes of the code point that ends at p + len; len > 0. */
size_t tn_jstr_prev(const char *p, size_t len);

/* The code point at p; *ret_n its bytes. */
int32_t tn_jstr_decode(const char *p, size_t left, size_t *ret_n);
int32_t tn_jstr_encode(struct tn_buf *b, int32_t cp);

/* Byte offset of code point index (at most the count); ncp as counted. */
size_t tn_jstr_offset(const char *p, size_t len, size_t ncp, size_t index);

/* First occurrence of needle at or after from; SIZE_MAX if none. */
size_t tn_jstr_find(const char *p, size_t len, size_t from, const char *needle, size_t nlen);
/* Last occurrence that lies within p[0, len). */
size_t tn_jstr_rfind(const char *p, size_t len, const char *needle, size_t nlen);

/* Python's str.isspace, isprintable, isalnum ... of one code point. */
bool tn_jcp_space(int32_t cp);
bool tn_jcp_printable(int32_t cp);
bool tn_jcp_alpha(int32_t cp);
bool tn_jcp_decimal(int32_t cp); /* Nd */
bool tn_jcp_numeric(int32_t cp); /* Nd, Nl, No */
bool tn_jcp_upper(int32_t cp);
bool tn_jcp_lower(int32_t cp);
bool tn_jcp_title(int32_t cp);
bool tn_jcp_line_end(int32_t cp); /* where str.splitlines splits */

/* Appends the case-mapped text. */
int32_t tn_jstr_lower(struct tn_buf *b, const char *p, size_t len);
int32_t tn_jstr_upper(struct tn_buf *b, const char *p, size_t len);
/* str.title: letters after a non-letter become title case. */
int32_t tn_jstr_title(struct tn_buf *b, const char *p, size_t len);
/* str.capitalize: the first in title case, the rest lower. */
int32_t tn_jstr_capitalize(struct tn_buf *b, const char *p, size_t len);
int32_t tn_jstr_swapcase(struct tn_buf *b, const char *p, size_t len);
int32_t tn_jstr_casefold(struct tn_buf *b, const char *p, size_t len);

/* Strips from both ends what is in chars (UTF-8), whitespace if NULL.
 * ends: 1 left, 2 right, 3 both. */
void tn_jstr_strip(const char **p, size_t *len, const char *chars, size_t nchars, int ends);

#endif
