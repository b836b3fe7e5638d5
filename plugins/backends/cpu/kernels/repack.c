/* repack.c - from blocks with codebooks, as files have them, to the blocks they are packed in, and what those hold: plain C, run once
 * for each block; the others are in repack_kquants.c. [any-thread] Contract: repack.h. */
#include "repack.h"

#include <string.h>

#include "bits.h"
#include "codebooks.h"

/* Where the parts of a block begin that are not at its beginning; 0: it has none. low: of all columns codes, places or levels. */
struct parts {
    int scales, up, low;
};

static struct parts parts_of(enum cpu_format packed)
{
    switch (packed) {
    case CPU_PACKED_IQ2_BY_16: return (struct parts){ .scales = 4, .low = 12 };
    case CPU_PACKED_IQ1_M: return (struct parts){ .scales = 4, .up = 12, .low = 16 };
    default: return (struct parts){ .scales = 4, .low = 8 };
    }
}

/* The bit of byte k of IQ1_M's ups that belongs to sub-block j. */
static int up_bit(int j)
{
    return 2 * (j & 1) + (j >> 1 & 1) + (j & 4);
}

/* How far up bytes of low have the levels of IQ1_M's sub-block j. */
static int low_bit(int j)
{
    return (2 * j + 2) & 6;
}

/* ---- to them */

/* to |= x, eight bytes. */
static void add_bytes(uint8_t *to, uint64_t x)
{
    uint64_t y;
    memcpy(&y, to, sizeof y);
    y |= x;
    memcpy(to, &y, sizeof y);
}

/* Eight columns in a dword, two of them at a time. */
static void put_nibbles(const uint64_t nibbles[4], uint8_t *ret)
{
    for (int k = 0; k < 4; k += 2) {
        uint64_t two = ((nibbles[k] | nibbles[k] >> 28) & 0xffffffffu) | (nibbles[k + 1] | nibbles[k + 1] >> 28) << 32;
        memcpy(ret + 4 * k, &two, sizeof two);
    }
}

/* From level and sign to half of what a weight of IQ3_S has above -15: 8 and the level, or the level below 7. */
static void put_halves(const uint64_t places[4], uint8_t *ret)
{
    uint64_t halves[4];
    for (int k = 0; k < 4; k++) {
        const uint64_t sign = places[k] & 0x0808080808080808u;
        halves[k] = places[k] ^ 0x0808080808080808u ^ (sign - (sign >> 3));
    }
    put_nibbles(halves, ret);
}

/* Codes of three bits: levels, and signs above them. */
static void put_codes(const uint64_t places[4], uint8_t *ret)
{
    uint32_t code[8], three[3];
    for (int g = 0; g < 8; g++) {
        const uint32_t four = (uint32_t)(places[g >> 1] >> 32 * (g & 1));
        code[g] = (four & 0x03030303u) | (four >> 1 & 0x04040404u);
    }
    for (int i = 0; i < 3; i++)
        three[i] = code[2 * i] | code[2 * i + 1] << 3;
    for (int i = 0; i < 2; i++) {
        three[i] |= (code[6 + i] & 0x03030303u) << 6;
        three[2] |= (code[6 + i] & 0x04040404u) << (4 + i);
    }
    memcpy(ret, three, sizeof three);
}

/* The one of byte c of dword g of a sub-block's eight. */
static int code_at(const uint8_t *p, int g, int c)
{
    return g < 6 ? p[4 * (g >> 1) + c] >> 3 * (g & 1) & 7 : p[4 * (g - 6) + c] >> 6 | (p[8 + c] >> (g - 2) & 4);
}

static void put_iq1_m(const uint64_t places[4], int j, const struct parts *at, uint8_t *ret)
{
    for (int k = 0; k < 4; k++) {
        const uint64_t levels = places[k] & 0x0303030303030303u;
        add_bytes(ret + at->low + 32 * (j >> 2) + 8 * k, levels << low_bit(j));
        ret[at->up + k] = (uint8_t)(ret[at->up + k] | (~places[k] >> 3 & 1) << up_bit(j));
    }
}

static void repack_codebook(enum cpu_format format, const uint8_t *block, uint8_t *ret)
{
    const enum cpu_format packed = cpu_packed_format(format);
    const struct parts at = parts_of(packed);
    const bool by_16 = cpu_format_by_16(format);
    const uint16_t d = cpu_codebook_d(format, block);
    uint64_t places[4];
    uint8_t levels[256];
    memset(ret, 0, (size_t)cpu_encoding_at(packed)->block_bytes);
    memcpy(ret, &d, 2);
    for (int j = 0; j < 8; j++) {
        uint32_t n = cpu_codebook_scales(format, block, j);
        cpu_codebook_places(format, block, j, places);
        switch (packed) {
        case CPU_PACKED_IQ2_BY_32: case CPU_PACKED_IQ2_BY_16: put_codes(places, ret + at.low + 12 * j); break;
        case CPU_PACKED_IQ3_XXS: put_nibbles(places, ret + at.low + 16 * j); break;
        case CPU_PACKED_IQ3_S: put_halves(places, ret + at.low + 16 * j); break;
        case CPU_PACKED_IQ1_M: put_iq1_m(places, j, &at, ret); break;
        default: /* IQ1_S */
            for (int k = 0; k < 4; k++) {
                const uint64_t eight = places[k] & 0x0303030303030303u;
                memcpy(levels + 32 * j + 8 * k, &eight, sizeof eight);
            }
            break;
        }
        ret[at.scales + (by_16 ? j : j >> 1)] |= (uint8_t)(by_16 ? n : n << 4 * (j & 1));
    }
    if (packed == CPU_PACKED_IQ1_S)
        cpu_put_twos(levels, false, ret + at.low);
}

void cpu_repack_block(enum cpu_format format, const uint8_t *block, uint8_t *ret)
{
    if (!cpu_repack_kquant(format, block, ret) && !cpu_repack_five(format, block, ret))
        repack_codebook(format, block, ret);
}

/* ---- what they hold */

/* Level and sign, or the direction it is moved in, of column i of sub-block j. */
static int place_at(enum cpu_format packed, const struct parts *at, const uint8_t *p, int j, int i)
{
    int low, bit;
    switch (packed) {
    case CPU_PACKED_IQ2_BY_32: case CPU_PACKED_IQ2_BY_16:
        low = code_at(p + at->low + 12 * j, i >> 2, i & 3);
        bit = low >> 2;
        break;
    case CPU_PACKED_IQ3_XXS: case CPU_PACKED_IQ3_S: return p[at->low + 16 * j + 4 * (i >> 3) + (i & 3)] >> (i & 4) & 15;
    case CPU_PACKED_IQ1_S:
        low = cpu_two_at(p + at->low, false, j, i);
        bit = p[at->scales + (j >> 1)] >> (4 * (j & 1) + 3) & 1;
        break;
    default: /* IQ1_M */
        low = p[at->low + 32 * (j >> 2) + i] >> low_bit(j);
        bit = ~p[at->up + (i >> 3)] >> up_bit(j) & 1;
        break;
    }
    return (low & 3) | bit << 3;
}

static const int8_t iq3s_halves[16] = { -15, -13, -11, -9, -7, -5, -3, -1, 1, 3, 5, 7, 9, 11, 13, 15 };

void cpu_repacked_block(enum cpu_format packed, const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    const struct parts at = parts_of(packed);
    const bool one = packed == CPU_PACKED_IQ1_S || packed == CPU_PACKED_IQ1_M, xxs = packed == CPU_PACKED_IQ3_XXS;
    const int8_t *values = one ? cpu_iq1_values : xxs ? cpu_iq3xxs_values : packed == CPU_PACKED_IQ3_S ? iq3s_halves : cpu_iq2_values;
    if (cpu_repacked_kquant(packed, p, j, ret) || cpu_repacked_five(packed, p, j, ret))
        return;
    float d = cpu_f16_float(cpu_load16(p)) * (xxs ? 0.25f : packed == CPU_PACKED_IQ3_S ? 1.0f : 0.125f);
    for (int i = 0; i < 32; i++)
        ret->q[i] = values[place_at(packed, &at, p, j, i)];
    for (int half = 0; half < 2; half++) {
        int k = cpu_format_by_16(packed) ? 2 * j + half : j, n = p[at.scales + (k >> 1)] >> 4 * (k & 1) & (one ? 7 : 15);
        ret->scale[half] = d * (float)(2 * n + 1);
    }
}
