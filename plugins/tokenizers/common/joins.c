/* joins.c - notes neighbouring bytes of tokens and finds where a text has two that no token has. Pure functions. Contract:
 * joins.h. */
#include "joins.h"

#include <stdbool.h>
#include <string.h>

#include "chars.h"

#define SPACE_SIZE (sizeof TOK_SPACE - 1)

/* The byte that stands for the character at text [size]; *ret_size is what it covers. */
static unsigned char byte_at(const char *text, size_t size, size_t *ret_size)
{
    bool is_space = size >= SPACE_SIZE && memcmp(text, TOK_SPACE, SPACE_SIZE) == 0;
    *ret_size = is_space ? SPACE_SIZE : 1;
    return is_space ? ' ' : (unsigned char)text[0];
}

/* Only bytes that begin a character count. */
void tok_joins_note(struct tok_joins *j, const char *token, size_t size)
{
    unsigned char left = 0, right;
    for (size_t at = 0, length; at < size; at += length, left = right) {
        uint8_t *bits, bit;
        right = (unsigned char)token[at];
        length = 1;
        if ((right & 0xc0) == 0x80)
            continue;
        if (right == (unsigned char)TOK_SPACE[0])
            right = byte_at(token + at, size - at, &length);
        bits = &j->bits[left][right >> 3];
        bit = (uint8_t)(1u << (right & 7));
        if (at > 0 && (*bits & bit) == 0) /* mostly it is noted: writing it again is slower */
            *bits |= bit;
    }
}

size_t tok_joins_piece(const struct tok_joins *j, int left, const char *text, size_t size)
{
    size_t length;
    for (size_t at = 0; at < size; at += length) {
        unsigned char right = byte_at(text + at, size - at, &length);
        if (left >= 0 && (right & 0xc0) != 0x80 && (j->bits[left][right >> 3] >> (right & 7) & 1) == 0)
            return at;
        left = right;
    }
    return size;
}
