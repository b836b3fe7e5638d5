/* pieces.h - SentencePiece's tokenizer.model, written out as the tokenizer.json that means the same.
 *
 *     struct tok_buffer json = {0};
 *     status = js_pieces_write(model.data, model.size, added, &json, err);    // then js_read_json
 *     tok_buffer_finish(&json);                                                // once the tokenizer is closed
 */
#ifndef JS_PIECES_H
#define JS_PIECES_H

#include "../common/buffer.h"

#define JS_MOST_PIECE 256u /* bytes of one */

/* BPE and Unigram. `added` is the text of an added_tokens.json, empty if there is none. Errors: INVALID_ARGUMENT (damaged),
 * OUT_OF_RANGE (a piece over JS_MOST_PIECE bytes, too many), UNIMPLEMENTED (another kind of model), RESOURCE_EXHAUSTED. */
int32_t js_pieces_write(const char *model, size_t size, struct tenon_str added, struct tok_buffer *ret_json,
                        struct tenon_err *err);

#endif
