/* bytes.c - GPT-2's byte map. It is computed at open rather than written out: two tables of numbers would say less. Pure
 * functions. Contract: bytes.h. */
#include "bytes.h"

#include <string.h>

static bool maps_to_itself(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

void bpe_bytes_init(struct bpe_bytes *b)
{
    uint16_t next = 256;
    memset(b->byte, -1, sizeof b->byte);
    for (unsigned i = 0; i < 256; i++) {
        b->code_point[i] = maps_to_itself(i) ? (uint16_t)i : next++;
        b->byte[b->code_point[i]] = (int16_t)i;
    }
}

size_t bpe_bytes_spell(const struct bpe_bytes *b, const char *bytes, size_t size, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        uint16_t c = b->code_point[(unsigned char)bytes[i]];
        if (c >= 0x80) {
            out[n++] = (char)(0xc0 | (c >> 6));
            c = 0x80 | (c & 0x3f);
        }
        out[n++] = (char)c;
    }
    return n;
}

/* The code point at text [size], size > 0, if it takes one or two bytes; else one that is outside the map. */
static unsigned short_code_point(const unsigned char *text, size_t size, size_t *ret_length)
{
    *ret_length = 1;
    if (text[0] < 0x80)
        return text[0];
    if (text[0] < 0xc2 || text[0] > 0xdf || size < 2 || (text[1] & 0xc0) != 0x80)
        return BPE_CODE_POINTS;
    *ret_length = 2;
    return (unsigned)(text[0] & 0x1f) << 6 | (text[1] & 0x3f);
}

bool bpe_bytes_unspell(const struct bpe_bytes *b, const char *text, size_t size, char *buf, size_t capacity,
                       size_t *ret_n)
{
    size_t n = 0, length;
    for (size_t at = 0; at < size; at += length) {
        unsigned c = short_code_point((const unsigned char *)text + at, size - at, &length);
        if (c >= BPE_CODE_POINTS || b->byte[c] < 0)
            return false;
        if (n < capacity)
            buf[n] = (char)b->byte[c];
        n++;
    }
    *ret_n = n;
    return true;
}
