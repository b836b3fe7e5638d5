/* split.h - cuts text into pieces by the patterns of a `pre` (pre.h).
 *
 *     struct bpe_split s;
 *     struct bpe_matcher m;
 *     if (bpe_split_init(&s, pre, err) != 0 || bpe_matcher_init(&m) != 0) return ...;
 *     status = bpe_split_run(&s, &m, text, size, take_piece, arg);   // valid UTF-8, checked by the caller
 *
 * Every pattern in turn cuts each part that those before it left; what matches is a part and what lies between matches
 * is one too, so no byte is lost. A part is a text of its own: a pattern sees nothing before or after it.
 *
 * A split is immutable after init, [any-thread]; a matcher is one thread's at a time.
 */
#ifndef BPE_SPLIT_H
#define BPE_SPLIT_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <tenon/plugin.h>

#include "pre.h"

struct bpe_split {
    uint32_t n_steps;
    struct bpe_split_step {
        pcre2_code *code;
        uint32_t has_jit; /* machine code could be made */
    } steps[BPE_PRE_STEPS];
};

struct bpe_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* Takes the next piece; other than 0 ends the run, which returns it. */
typedef int32_t bpe_piece_fn(void *arg, const char *piece, size_t size);

/* Errors: RESOURCE_EXHAUSTED, INTERNAL (a pattern that PCRE2 refuses). On failure nothing is held. */
int32_t bpe_split_init(struct bpe_split *s, const struct bpe_pre *pre, struct tenon_err *err);
void bpe_split_finish(struct bpe_split *s); /* zeroed is fine */

/* RESOURCE_EXHAUSTED; then nothing is held. */
int32_t bpe_matcher_init(struct bpe_matcher *m);
void bpe_matcher_finish(struct bpe_matcher *m); /* zeroed is fine */

int32_t bpe_split_run(const struct bpe_split *s, struct bpe_matcher *m, const char *text, size_t size,
                      bpe_piece_fn *take, void *arg);

#endif
