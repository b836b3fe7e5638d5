/* chars.c - characters to tokens and back. ASCII is looked up in a table, since it is most of what there is. Pure
 * functions but for init. Contract: chars.h. */
#include "chars.h"

#include <string.h>

#include "utf8.h"

#define SPACE_SIZE (sizeof TOK_SPACE - 1)
#define NOT_TEXT (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN | TENON_TOKEN_BYTE)

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int tok_chars_byte(const struct tenon_str *text)
{
    int high, low;
    if (text->size != 6 || memcmp(text->data, "<0x", 3) != 0 || text->data[5] != '>')
        return -1;
    high = digit(text->data[3]);
    low = digit(text->data[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The token that a character is, -1: none. */
static int32_t find(const struct tok_vocab *v, const char *text, size_t size)
{
    int32_t id = tok_vocab_find(v, text, size);
    return id >= 0 && (v->attributes[id] & NOT_TEXT) == 0 ? id : -1;
}

size_t tok_chars_byte_ids(const struct tok_vocab *v, int byte, int32_t ret_ids[4])
{
    static const char digits[2][17] = {"0123456789ABCDEF", "0123456789abcdef"};
    size_t n = 0;
    for (int i = 0; i < 4; i++) {
        const char spelled[6] = {'<', '0', 'x', digits[i >> 1][byte >> 4], digits[i & 1][byte & 15], '>'};
        int32_t id = tok_vocab_find(v, spelled, sizeof spelled);
        bool is_new = id >= 0;
        for (size_t k = 0; k < n; k++)
            is_new &= ret_ids[k] != id;
        if (is_new)
            ret_ids[n++] = id;
    }
    return n;
}

/* The first of a byte's tokens that is text. */
static int32_t byte_id(const struct tok_vocab *v, int byte)
{
    int32_t ids[4], first = -1;
    size_t n = tok_chars_byte_ids(v, byte, ids);
    for (size_t i = 0; i < n; i++)
        if ((v->attributes[ids[i]] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) == 0 && (first < 0 || ids[i] < first))
            first = ids[i];
    return first;
}

void tok_chars_init(struct tok_chars *c, const struct tok_vocab *v, bool has_spaces)
{
    for (int i = 0; i < 256; i++)
        c->byte_id[i] = byte_id(v, i);
    for (int i = 0; i < 128; i++) {
        char character = (char)i;
        c->ascii_id[i] = i == ' ' && has_spaces ? find(v, TOK_SPACE, SPACE_SIZE) : find(v, &character, 1);
    }
    c->has_spaces = has_spaces;
}

int32_t tok_chars_id(const struct tok_chars *c, const struct tok_vocab *v, const char *text, size_t size)
{
    unsigned char first = (unsigned char)text[0];
    return first < 128 ? c->ascii_id[first] : find(v, text, size);
}

size_t tok_chars_ids(const struct tok_chars *c, const struct tok_vocab *v, const char *text, size_t size, int32_t *ids)
{
    size_t n = 0, length;
    bool was_unknown = false;
    for (size_t at = 0; at < size; at += length) {
        size_t valid = tok_utf8_size(text + at, size - at), known = n;
        int32_t id = -1;
        length = valid > 0 ? valid : 1;
        if (valid > 0)
            id = tok_chars_id(c, v, text + at, length);
        if (id >= 0)
            ids[n++] = id;
        for (size_t i = 0; id < 0 && i < length; i++)
            if (c->byte_id[(unsigned char)text[at + i]] >= 0)
                ids[n++] = c->byte_id[(unsigned char)text[at + i]];
        if (n == known && v->unk >= 0 && !was_unknown)
            ids[n++] = v->unk;
        was_unknown = id < 0 && (n == known || ids[n - 1] == v->unk);
    }
    return n;
}

static bool starts_with_space(const struct tenon_str *text, size_t at)
{
    return text->size - at >= SPACE_SIZE && memcmp(text->data + at, TOK_SPACE, SPACE_SIZE) == 0;
}

/* Copy the text of a token with its U+2581 turned into spaces. */
static size_t unspell(const struct tenon_str *text, bool skips_space, char *buf, size_t capacity)
{
    size_t n = 0;
    for (size_t at = skips_space && starts_with_space(text, 0) ? SPACE_SIZE : 0; at < text->size; n++) {
        bool is_space = starts_with_space(text, at);
        if (n < capacity)
            buf[n] = is_space ? ' ' : text->data[at];
        at += is_space ? SPACE_SIZE : 1;
    }
    return n;
}

size_t tok_chars_decode(const struct tok_chars *c, const struct tok_vocab *v, int32_t id, bool skips_space, char *buf,
                        size_t capacity)
{
    const struct tenon_str *text = &v->text[id];
    int byte = text->size == 6 ? tok_chars_byte(text) : -1;
    size_t n = (size_t)text->size;
    if (byte >= 0 && c->byte_id[byte] == id) {
        if (capacity > 0)
            buf[0] = (char)byte;
        return 1;
    }
    if (c->has_spaces && (v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) == 0)
        return unspell(text, skips_space, buf, capacity);
    if (n > 0 && capacity > 0)
        memcpy(buf, text->data, n < capacity ? n : capacity);
    return n;
}
