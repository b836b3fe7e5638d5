/* chars.h - characters as tokens, the way SentencePiece spells them: a space is U+2581, and a character that is no token is
 * its bytes, "<0x0A>" each.
 *
 *     struct tok_chars c;
 *     tok_chars_init(&c, &vocab);
 *     n = tok_chars_ids(&c, &vocab, text, size, ids);          // ids [size]; any bytes
 *     n = tok_chars_decode(&c, &vocab, id, false, buf, capacity);  // bytes of a token
 *
 * Constant after init. [any-thread]
 */
#ifndef TOK_CHARS_H
#define TOK_CHARS_H

#include "vocab.h"

#define TOK_SPACE "\xe2\x96\x81" /* U+2581 */

struct tok_chars {
    int32_t ascii_id[128]; /* token of an ASCII character, of U+2581 for the space; -1: none */
    int32_t byte_id[256];  /* token of a single byte, -1: none */
    bool has_spaces;       /* a space is spelled U+2581 */
};

/* has_spaces: false where the vocabulary spells a space as it is. */
void tok_chars_init(struct tok_chars *c, const struct tok_vocab *v, bool has_spaces);

/* The token that a character is, text [size]; -1: none, it is its bytes. */
int32_t tok_chars_id(const struct tok_chars *c, const struct tok_vocab *v, const char *text, size_t size);

/* The id of each character, or of each of its bytes; v->unk once for a run of what has no id, left out without one.
 * Returns how many ids: at most size. */
size_t tok_chars_ids(const struct tok_chars *c, const struct tok_vocab *v, const char *text, size_t size, int32_t *ids);

/* The bytes of a token: returns how many, the first `capacity` in buf. skips_space: not the space it may start with. */
size_t tok_chars_decode(const struct tok_chars *c, const struct tok_vocab *v, int32_t id, bool skips_space, char *buf,
                        size_t capacity);

/* The byte that a token stands for by its spelling "<0x0A>", -1: none. */
int tok_chars_byte(const struct tenon_str *text);

/* The tokens that stand for a byte by their spelling, whose digits may be of either case. Returns how many. */
size_t tok_chars_byte_ids(const struct tok_vocab *v, int byte, int32_t ret_ids[4]);

#endif
