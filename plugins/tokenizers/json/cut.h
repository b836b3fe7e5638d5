/* cut.h - the pre_tokenizer of a tokenizer.json: text to pieces.
 *
 *     struct js_cut c = {0};
 *     status = js_cut_read(&c, &j, &arena);                        // j at the pre_tokenizer, null is none
 *     status = js_cut_run(&c, &memory, text, size, is_first, take, arg);
 *     js_cut_finish(&c);
 *
 * Constant once read, [any-thread]; memory is one thread's. A run of bytes that are not UTF-8 is a piece of its own.
 */
#ifndef JS_CUT_H
#define JS_CUT_H

#include "../bpe/bytes.h"
#include "../bpe/pre.h"
#include "../common/buffer.h"
#include "find.h"

#define JS_CUT_STEPS 16u

struct js_cut_step;

struct js_cut {
    struct js_cut_step *steps; /* [n] */
    uint32_t n;
    bool is_bert; /* it is BERT's, and nothing else */
    bool has_first; /* what it does depends on whether a part begins the text */
    bool needs_spaces; /* text without any is one piece */
    bool is_byte_level;        /* the last step spells bytes, and no other does, and none puts a space in front */
    const char *patterns[BPE_PRE_STEPS]; /* [n_patterns] all that is done besides, when that can be said so */
    uint32_t n_patterns;       /* UINT32_MAX: it cannot */
    struct bpe_bytes bytes;
};

struct js_cut_memory {
    struct tok_buffer texts[JS_CUT_STEPS]; /* of the steps that change text */
    struct js_search *search;
    size_t left; /* bytes that those may still make of this text */
};

/* Takes the next piece, size > 0. */
typedef int32_t js_piece_fn(void *arg, const char *piece, size_t size);

/* Errors: as js_normal_read. */
int32_t js_cut_read(struct js_cut *c, struct js *j, struct js_arena *arena);
void js_cut_finish(struct js_cut *c); /* zeroed is fine */

/* The last of the steps left out: byte-level pieces are spelled by whoever takes them. is_first: the text begins the
 * whole. Errors: RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, OUT_OF_RANGE, what `take` returned. */
int32_t js_cut_run(const struct js_cut *c, struct js_cut_memory *m, bool leaves_bytes, const char *text, size_t size,
                   bool is_first, js_piece_fn *take, void *arg);

#endif
