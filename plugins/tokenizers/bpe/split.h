/* split.h - cuts text into pieces by the patterns of a `pre` (pre.h).
 *
 *     struct bpe_split s;
 *     struct bpe_matcher m;
 *     if (bpe_split_init(&s, pre, err) != 0 || bpe_matcher_init(&m) != 0) return ...;
 *     status = bpe_split_run(&s, &m, text, size, take_pieces, arg);   // valid UTF-8, checked by the caller
 *
 * Every pattern in turn cuts each part that those before it left; what matches is a part and what lies between matches
 * is one too, so no byte is lost. A part is a text of its own: a pattern sees nothing before or after it. Where there is
 * a hand-made scanner for the patterns (scan.h), it is used and PCRE2 is not.
 *
 * A split is immutable after init, [any-thread]; a matcher is one thread's at a time.
 */
#ifndef BPE_SPLIT_H
#define BPE_SPLIT_H

#include "pre.h"
#include "scan.h"

struct bpe_split {
    const struct bpe_scan *scan;   /* NULL: the patterns are matched */
    struct bpe_classes classes;    /* with a scanner */
    uint32_t n_steps;              /* without one */
    struct bpe_pattern steps[BPE_PRE_STEPS];
};

/* Takes the next n pieces: the first begins at text, piece i ends before text + ends[i], and there the next begins. Other
 * than 0 ends the run, which returns it. */
typedef int32_t bpe_pieces_fn(void *arg, const char *text, const uint32_t *ends, size_t n);

/* Errors: RESOURCE_EXHAUSTED, INTERNAL (a pattern that PCRE2 refuses). On failure nothing is held. */
int32_t bpe_split_init(struct bpe_split *s, const struct bpe_pre *pre, struct tenon_err *err);
void bpe_split_finish(struct bpe_split *s); /* zeroed is fine */

/* All pieces of a text, in order. Errors: RESOURCE_EXHAUSTED. size < 2^32. */
int32_t bpe_split_run(const struct bpe_split *s, struct bpe_matcher *m, const char *text, size_t size,
                      bpe_pieces_fn *take, void *arg);

#endif
