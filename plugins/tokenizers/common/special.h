/* special.h - tokens that are found in the text before it is split: user-defined ones always, control ones on demand.
 *
 *     struct tok_special s;
 *     if (tok_special_init(&s, &vocab, err) != 0) return ...;
 *     struct tok_special_match m = tok_special_find(&s, text, size, with_control);   // m.id -1: none, m.at is size
 *     tok_special_finish(&s);
 *
 * The leftmost match wins, and at one place the longest. Immutable after init, so [any-thread].
 */
#ifndef TOK_SPECIAL_H
#define TOK_SPECIAL_H

#include "vocab.h"

/* Bounds what a text can cost: a search walks at most so far at any place. */
#define TOK_MAX_SPECIAL 1024u /* bytes */

struct tok_special_token {
    struct tenon_str text; /* OWN: the metadata's */
    int32_t id;
    uint32_t is_control;
};

struct tok_special {
    struct tok_special_token *tokens; /* [n] sorted by bytes, a prefix before what it begins */
    uint32_t n;
    uint32_t first[257];    /* where those that start with a byte begin, and so those before it end */
    uint8_t starts[2][256]; /* does a token start with this byte; [0] user-defined ones, [1] any */
    uint8_t seconds[256][32]; /* bit per second byte of those that start with a byte */
};

struct tok_special_match {
    size_t at, size; /* bytes from the start of the text searched */
    int32_t id;
};

/* Errors: INVALID_ARGUMENT (a token over TOK_MAX_SPECIAL bytes), RESOURCE_EXHAUSTED. On failure nothing is held. */
int32_t tok_special_init(struct tok_special *s, const struct tok_vocab *vocab, struct tenon_err *err);

/* The same from a list: tokens [n], which s owns afterwards (malloc; also on failure). */
int32_t tok_special_take(struct tok_special *s, struct tok_special_token *tokens, uint32_t n, struct tenon_err *err);

void tok_special_finish(struct tok_special *s); /* zeroed is fine */

struct tok_special_match tok_special_find(const struct tok_special *s, const char *text, size_t size,
                                          bool with_control);

#endif
