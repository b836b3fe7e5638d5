/* steps.h - what normalizers, pre_tokenizers and decoders are made of: one step, or those of a Sequence in turn.
 *
 *     status = js_steps_read(&j, "normalizers", read_step, normal, &arena);    // calls read_step for each
 */
#ifndef JS_STEPS_H
#define JS_STEPS_H

#include "reader.h"

/* Adds one step, whose object is o, to a chain. 0 or an error. */
typedef int32_t js_step_fn(void *chain, struct js *j, const struct js_object *o, struct js_arena *arena);

/* A step, or a Sequence whose steps are in the list of that name and may be Sequences, which nest no deeper than the text may.
 * Errors: INVALID_ARGUMENT, and those of `read`. */
int32_t js_steps_read(struct js *j, const char *list, js_step_fn *read, void *chain, struct js_arena *arena);

/* The message for a step of a type that `part` ("normalizer") does not know. UNIMPLEMENTED. */
int32_t js_step_unknown(struct js *j, const char *part, struct tenon_str type);

#endif
