/* vocab.h - text and ids of one model: its tokenizer and its chat template. Works on a file without tensors.
 *
 *     struct tn_vocab *v;
 *     rc = tn_vocab_open(registry, container, &v, err);
 *     rc = tn_vocab_encode(v, text, size, TENON_ENCODE_SPECIAL, &ids, &n, err);   // free(ids)
 *     rc = tn_vocab_chat(v, "[{\"role\":\"user\",\"content\":\"hi\"}]", size, NULL, &out, err);
 *     tn_vocab_close(v);
 *
 * Immutable once opened: [any-thread] but for open and close.
 */
#ifndef TN_MODEL_VOCAB_H
#define TN_MODEL_VOCAB_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/tokenizer.h>

#include "core/base/buf.h"
#include "core/model/container.h"

struct tn_vocab;

/* `src` outlives it. NOT_FOUND: no plugin for this tokenizer. OWN: *ret until tn_vocab_close. */
int32_t tn_vocab_open(struct tn_registry *reg, const struct tn_container *src, struct tn_vocab **ret, struct tenon_err *err);
void tn_vocab_close(struct tn_vocab *v); /* NULL is allowed */

const struct tenon_tokenizer_info *tn_vocab_info(const struct tn_vocab *v);
const char *tn_vocab_plugin(const struct tn_vocab *v); /* name of the tokenizer item */

/* All ids of a text. OWN: *ret_ids, by free; never NULL on success. */
int32_t tn_vocab_encode(const struct tn_vocab *v, const char *text, uint64_t size, uint32_t flags, int32_t **ret_ids,
                        uint64_t *ret_n, struct tenon_err *err);
/* Append the bytes of one token as it continues a text; *state is 0 at its start. */
int32_t tn_vocab_decode(const struct tn_vocab *v, uint64_t *state, int32_t id, uint32_t flags, struct tn_buf *out,
                        struct tenon_err *err);
/* The vocabulary's own spelling. OWN: v. OUT_OF_RANGE. */
int32_t tn_vocab_piece(const struct tn_vocab *v, int32_t id, struct tenon_str *ret, uint32_t *ret_attributes);
/* Does this token end a generation? */
bool tn_vocab_is_end(const struct tn_vocab *v, int32_t id);

bool tn_vocab_has_template(const struct tn_vocab *v);
/* The template's text, {NULL, 0} without one. OWN: container. */
struct tenon_str tn_vocab_template(const struct tn_vocab *v);
/* Render the template with the variables of a JSON object; bos_token and eos_token are added where it lacks them.
 * Appends to out. FAILED_PRECONDITION: no template. */
int32_t tn_vocab_render(const struct tn_vocab *v, const char *vars, uint64_t size, struct tn_buf *out, struct tenon_err *err);
/* The same for a JSON array of messages, with add_generation_prompt; `vars` (NULL-ended JSON object or NULL) is merged. */
int32_t tn_vocab_chat(const struct tn_vocab *v, const char *messages, uint64_t size, const char *vars, struct tn_buf *out,
                      struct tenon_err *err);

#endif
