/* utf8.h - the border between valid and invalid UTF-8, and characters written in it.
 *
 *     n = tok_utf8_valid(text, size);                  // so many bytes are whole characters
 *     n += tok_utf8_invalid(text + n, size - n);       // and so many after them belong to none
 *
 * [any-thread]
 */
#ifndef TOK_UTF8_H
#define TOK_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at text [size], size > 0; 0 when it is not valid. */
size_t tok_utf8_size(const char *text, size_t size);

/* Write a code point, at most U+10FFFF: returns its bytes. */
size_t tok_utf8_put(uint32_t c, char out[4]);

/* Bytes of text [size] up to the first that is not valid UTF-8: size when all is. */
size_t tok_utf8_valid(const char *text, size_t size);

/* Bytes from the start that are not valid UTF-8, up to the next character that is. */
size_t tok_utf8_invalid(const char *text, size_t size);

#endif
