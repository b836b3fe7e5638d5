/* bytes.h - bytes as text: GPT-2's byte map.
 *
 * A byte-level vocabulary spells every byte as one printable code point: 33-126, 161-172 and 174-255 as themselves, the
 * other 68 as 256, 257 ... in order. So a space is U+0120 and each spelled byte takes one or two bytes of UTF-8.
 *
 *     struct bpe_bytes b;
 *     bpe_bytes_init(&b);
 *     n = bpe_bytes_spell(&b, " the", 4, out);          // "\xc4\xa0the", n = 5; out holds 2 * 4 bytes
 *     if (bpe_bytes_unspell(&b, out, n, buf, cap, &m))  // " the", m = 4
 *
 * Constant after init. [any-thread]
 */
#ifndef BPE_BYTES_H
#define BPE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BPE_CODE_POINTS (256 + 68) /* the map's code points lie below this */

struct bpe_bytes {
    uint16_t code_point[256];       /* of a byte */
    int16_t byte[BPE_CODE_POINTS];  /* of a code point, -1: outside the map */
};

void bpe_bytes_init(struct bpe_bytes *b);

/* Spell bytes [size] into out [2 * size]; returns the bytes written. */
size_t bpe_bytes_spell(const struct bpe_bytes *b, const char *bytes, size_t size, char *out);

/* The bytes that a spelling stands for: *ret_n of them, the first `capacity` in buf. False, and nothing said about
 * buf, when a character lies outside the map. */
bool bpe_bytes_unspell(const struct bpe_bytes *b, const char *text, size_t size, char *buf, size_t capacity,
                       size_t *ret_n);

#endif
