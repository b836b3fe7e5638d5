/* regex.h - Oniguruma's regular expressions, as a tokenizer.json has them, in PCRE2's words.
 *
 *     struct tok_buffer out = {0};
 *     status = js_regex_translate(pattern, &out);     // out.bytes is text with a NUL behind it
 *     tok_buffer_finish(&out);
 *
 * Pure: [any-thread].
 */
#ifndef JS_REGEX_H
#define JS_REGEX_H

#include <stdbool.h>
#include <stdio.h>
#include <strings.h>

#include "../common/buffer.h"

/* UNIMPLEMENTED: the pattern has what PCRE2 has no word for; RESOURCE_EXHAUSTED. Whether it is a pattern at all is not looked
 * at. */
int32_t js_regex_translate(struct tenon_str pattern, struct tok_buffer *out);

#endif
