/* forms.h - Unicode's normal forms of text that may hold anything.
 *
 *     status = bpe_form_put(BPE_NFC, text, size, &out);          // appends
 *     status = bpe_compose(&kept, text, size, &composed);        // NFC; the text itself where nothing in it could change
 *
 * Bytes that are not UTF-8 stay as they are. Linear time but for sorting, whatever the text. [any-thread]; buffers are one
 * thread's.
 */
#ifndef BPE_FORMS_H
#define BPE_FORMS_H

#include <utf8proc.h>

#include "../common/buffer.h"

#define BPE_NFC (UTF8PROC_STABLE | UTF8PROC_COMPOSE)

/* form: of the four of Unicode, as utf8proc spells them. Errors: RESOURCE_EXHAUSTED, OUT_OF_RANGE. */
int32_t bpe_form_put(utf8proc_option_t form, const char *text, size_t size, struct tok_buffer *out);

int32_t bpe_compose(struct tok_buffer *kept, const char *text, size_t size, struct tenon_str *ret);

#endif
