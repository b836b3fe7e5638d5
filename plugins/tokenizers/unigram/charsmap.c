/* charsmap.c - walks a double array as the library Darts-clone lays it out: a unit holds the label of the edge that leads to
 * it, whether a value hangs below, and how far its children are. A blob may hold anything: an index outside ends the walk.
 * Pure functions. Contract: charsmap.h. */
#include "charsmap.h"

#include <string.h>

static uint32_t read_u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int32_t uni_charsmap_init(struct uni_charsmap *c, const void *blob, uint64_t size, struct tenon_err *err)
{
    const unsigned char *bytes = blob;
    uint32_t units;
    memset(c, 0, sizeof *c);
    if (size == 0)
        return 0;
    units = size < 4 ? 0 : read_u32(bytes);
    if (size < 4 || units % 4 != 0 || units > size - 4)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "unigram",
                          "the precompiled charsmap of %llu bytes is cut short: the file is damaged", (unsigned long long)size);
    c->units = bytes + 4;
    c->n_units = units / 4;
    c->texts = (const char *)bytes + 4 + units;
    c->texts_size = (size_t)(size - 4 - units);
    return 0;
}

static bool has_value(uint32_t unit)
{
    return (unit >> 8 & 1) != 0;
}

/* What a unit's children's indices are xored with; its own index goes in too. */
static uint32_t offset(uint32_t unit)
{
    return unit >> 10 << ((unit & 1u << 9) >> 6);
}

#define MOST_TEXT 256u /* bytes: Unicode's own longest has 33, and what is longer would only blow texts up */

/* The text at a place of the texts; false when it has no end there. */
static bool text_at(const struct uni_charsmap *c, uint32_t at, struct tenon_str *ret)
{
    size_t rest = at < c->texts_size ? c->texts_size - at : 0;
    const char *end = rest > 0 ? memchr(c->texts + at, '\0', rest < MOST_TEXT ? rest : MOST_TEXT) : NULL;
    if (end == NULL)
        return false;
    *ret = (struct tenon_str){c->texts + at, (uint64_t)(end - c->texts) - at};
    return true;
}

size_t uni_charsmap_find(const struct uni_charsmap *c, bool longest, const char *text, size_t size,
                         struct tenon_str *ret_with)
{
    size_t found = 0;
    uint32_t at, unit;
    if (c->n_units == 0)
        return 0;
    at = offset(read_u32(c->units));
    for (size_t i = 0; i < size && text[i] != '\0' && (longest || found == 0); i++) {
        unsigned char byte = (unsigned char)text[i];
        at ^= byte;
        if (at >= c->n_units)
            break;
        unit = read_u32(c->units + 4 * (size_t)at);
        if ((unit & (1u << 31 | 0xff)) != byte)
            break;
        at ^= offset(unit);
        if (has_value(unit) && at < c->n_units &&
            text_at(c, read_u32(c->units + 4 * (size_t)at) & 0x7fffffffu, ret_with))
            found = i + 1;
    }
    return found;
}
