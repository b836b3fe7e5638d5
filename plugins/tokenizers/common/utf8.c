/* utf8.c - checks UTF-8 by the table of the Unicode standard (3-7). Pure functions. Contract: utf8.h. */
#include "utf8.h"

#include <string.h>

size_t tok_utf8_size(const char *bytes, size_t size)
{
    const unsigned char *text = (const unsigned char *)bytes;
    unsigned char lead = text[0], low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4 || size < length)
        return 0;
    if (lead == 0xe0)
        low = 0xa0; /* shorter forms */
    else if (lead == 0xed)
        high = 0x9f; /* surrogates */
    else if (lead == 0xf0)
        low = 0x90; /* shorter forms */
    else if (lead == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

size_t tok_utf8_put(uint32_t c, char out[4])
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(leads[n] | c);
    return n;
}

size_t tok_utf8_valid(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint64_t eight;
        size_t length;
        if (size - at >= sizeof eight) {
            memcpy(&eight, text + at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        length = tok_utf8_size(text + at, size - at);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

size_t tok_utf8_invalid(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && tok_utf8_size(text + at, size - at) == 0)
        at++;
    return at;
}
