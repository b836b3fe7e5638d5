/* joins.h - which bytes stand side by side inside any token: everywhere else a text can be cut without changing what merging
 * makes of it, which in nearly all vocabularies is before every word.
 *
 *     struct tok_joins j = {0};
 *     tok_joins_note(&j, token, size);                     // every token that merging can make
 *     n = tok_joins_piece(&j, -1, text, size);             // text [n] is a piece of its own
 *
 * A space and U+2581 are one. Constant once all are noted. [any-thread]
 */
#ifndef TOK_JOINS_H
#define TOK_JOINS_H

#include <stddef.h>
#include <stdint.h>

struct tok_joins {
    uint8_t bits[256][32]; /* bit per second byte: does a token have these two side by side, at a character's start */
};

void tok_joins_note(struct tok_joins *j, const char *token, size_t size);

/* Bytes from the start of text, which follows byte `left` (-1: none), up to the first place that no token reaches
 * across; 0: right at the start. */
size_t tok_joins_piece(const struct tok_joins *j, int left, const char *text, size_t size);

#endif
