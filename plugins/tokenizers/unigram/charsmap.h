/* charsmap.h - SentencePiece's precompiled normaliser: sequences of bytes and what stands for each, in a double-array trie.
 *
 *     struct uni_charsmap c;
 *     if (uni_charsmap_init(&c, blob, size, err) != 0) return ...;     // its size has been checked, and nothing more
 *     n = uni_charsmap_find(&c, true, text, size, &with);              // text [n] becomes `with`; 0: it stays
 *
 * OWN: the blob, which must outlive it. Every step within it is checked. Constant, so [any-thread].
 */
#ifndef UNI_CHARSMAP_H
#define UNI_CHARSMAP_H

#include <stdbool.h>

#include <tenon/plugin.h>

struct uni_charsmap {
    const unsigned char *units; /* [n_units] of four bytes, little-endian */
    uint32_t n_units;
    const char *texts;          /* [texts_size] NUL-ended, one after the other */
    size_t texts_size;
};

/* An empty blob maps nothing. INVALID_ARGUMENT: it is cut short. */
int32_t uni_charsmap_init(struct uni_charsmap *c, const void *blob, uint64_t size, struct tenon_err *err);

/* Bytes of the longest sequence that the text begins with (the shortest, when `longest` is false); 0: none. */
size_t uni_charsmap_find(const struct uni_charsmap *c, bool longest, const char *text, size_t size,
                         struct tenon_str *ret_with);

#endif
