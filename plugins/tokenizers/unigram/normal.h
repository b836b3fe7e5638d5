/* normal.h - text as SentencePiece's normaliser leaves it, for the tokens to be found in.
 *
 *     const struct uni_normal rules = {.charsmap = ..., .adds_space = true, .squeezes = true};
 *     struct tok_buffer t = {0};
 *     status = uni_normal_run(&rules, text, size, &t);     // t.bytes [t.size]
 *     tok_buffer_finish(&t);
 *
 * Rules are constant, [any-thread]; a text is one thread's.
 */
#ifndef UNI_NORMAL_H
#define UNI_NORMAL_H

#include "../common/buffer.h"
#include "charsmap.h"

struct uni_normal {
    struct uni_charsmap charsmap;
    bool adds_space; /* in front */
    bool squeezes;   /* white space at both ends goes, and several spaces become one */
};

/* Spaces become U+2581. RESOURCE_EXHAUSTED. */
int32_t uni_normal_run(const struct uni_normal *rules, const char *text, size_t size, struct tok_buffer *t);

#endif
