/* normal.h - the normalizer of a tokenizer.json: steps from text to text.
 *
 *     struct js_normal n = {0};
 *     status = js_normal_read(&n, &j, &arena);                  // j at the normalizer, null is none
 *     status = js_normal_run(&n, &scratch, text, size, &out, NULL);   // out lies in the scratch, or is the text itself
 *     js_normal_finish(&n);
 *
 * Constant once read, [any-thread]; scratch and search are one thread's. Bytes that are not UTF-8 stay as they are.
 */
#ifndef JS_NORMAL_H
#define JS_NORMAL_H

#include "../unigram/charsmap.h"
#include "../common/buffer.h"
#include "find.h"

#define JS_STEPS 32u /* most steps of a chain, sequences within sequences counted out */

struct js_normal_step;

struct js_normal {
    struct js_normal_step *steps; /* [n] */
    uint32_t n;
    bool is_bert; /* it is BERT's of an uncased model, and nothing else */
    bool spells_spaces; /* it puts U+2581 for each space, and nothing else */
};

struct js_scratch {
    struct tok_buffer texts[2];
    struct js_search search;
};

/* Errors: INVALID_ARGUMENT, UNIMPLEMENTED (a kind that is not known), OUT_OF_RANGE, RESOURCE_EXHAUSTED; on failure, finish. */
int32_t js_normal_read(struct js_normal *n, struct js *j, struct js_arena *arena);
void js_normal_finish(struct js_normal *n); /* zeroed is fine */

/* *ret_is_start_taken, unless NULL: does it take away what the text begins with, so that what comes out begins further in?
 * RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, OUT_OF_RANGE (it becomes too long). */
int32_t js_normal_run(const struct js_normal *n, struct js_scratch *s, const char *text, size_t size, struct tenon_str *ret,
                      bool *ret_is_start_taken);

#endif
