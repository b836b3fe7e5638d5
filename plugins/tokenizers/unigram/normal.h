/* normal.h - text as SentencePiece's normaliser leaves it, for the tokens to be found in.
 *
 *     const struct uni_normal rules = {.charsmap = ..., .adds_space = true, .squeezes = true};
 *     struct uni_text t = {0};
 *     status = uni_normal_run(&rules, text, size, &t);     // t.bytes [t.size]
 *     uni_text_finish(&t);
 *
 * Rules are constant, [any-thread]; a text is one thread's.
 */
#ifndef UNI_NORMAL_H
#define UNI_NORMAL_H

#include "charsmap.h"

struct uni_normal {
    struct uni_charsmap charsmap;
    bool adds_space; /* in front */
    bool squeezes;   /* white space at both ends goes, and several spaces become one */
};

struct uni_text {
    char *bytes; /* [capacity] */
    size_t size, capacity;
};

/* Spaces become U+2581. RESOURCE_EXHAUSTED. */
int32_t uni_normal_run(const struct uni_normal *rules, const char *text, size_t size, struct uni_text *t);

void uni_text_finish(struct uni_text *t); /* zeroed is fine, and usable again */

#endif
