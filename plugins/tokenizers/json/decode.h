/* decode.h - the decoder of a tokenizer.json: a token to text, given what came before it.
 *
 *     struct js_decoder d = {0};
 *     status = js_decoder_read(&d, &j, &arena);
 *     status = js_decoder_run(&d, &buffers, token, &state, &out);        // state 0 at the start of a text
 *     js_decoder_finish(&d);
 *
 * Constant once read, [any-thread]; buffers are one call's.
 */
#ifndef JS_DECODE_H
#define JS_DECODE_H

#include "../bpe/bytes.h"
#include "../common/buffer.h"
#include "find.h"

#define JS_DECODE_STEPS 16u

struct js_decode_step;

struct js_decoder {
    struct js_decode_step *steps; /* [n] */
    uint32_t n;
    bool reaches_across; /* a Replace could find something in several tokens, which it does not here */
    bool is_missing; /* tokens are parted by spaces then */
    struct bpe_bytes bytes;
};

/* Errors: as js_normal_read. */
int32_t js_decoder_read(struct js_decoder *d, struct js *j, struct js_arena *arena);
void js_decoder_finish(struct js_decoder *d); /* zeroed is fine */

/* Text of a token as it continues what *state knows of, into texts[0] or [1], whichever ret says. is_added: what byte-level
 * decoding leaves as it is. RESOURCE_EXHAUSTED, OUT_OF_RANGE. */
int32_t js_decoder_run(const struct js_decoder *d, struct tok_buffer texts[2], struct tenon_str token, int32_t id,
                       bool is_added, uint64_t *state, struct tenon_str *ret);

#endif
