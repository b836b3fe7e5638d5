/* repack.c - from blocks with codebooks, as files have them, to the blocks they are packed in, and what those hold: plain C, run once
 * for each block. [any-thread] Contract: repack.h. */
#include "repack.h"

#include <string.h>

#include "bits.h"
#include "codebooks.h"

/* Where the parts of a block begin that are not at its beginning; 0: it has none. */
struct parts {
    int signs, scales, up, d;
};

static struct parts parts_of(enum cpu_format packed)
{
    switch (packed) {
    case CPU_PACKED_IQ2_BY_32: return (struct parts){ .signs = 64, .scales = 96, .d = 100 };
    case CPU_PACKED_IQ2_BY_16: return (struct parts){ .signs = 64, .scales = 96, .d = 104 };
    case CPU_PACKED_IQ1_S: return (struct parts){ .scales = 64, .d = 68 };
    case CPU_PACKED_IQ1_M: return (struct parts){ .scales = 64, .up = 72, .d = 76 };
    default: return (struct parts){ .scales = 128, .d = 132 }; /* IQ3 */
    }
}

/* The bit of a sign byte that belongs to column i of sub-block j. */
static int sign_bit(int j, int i)
{
    return (j & 2) * 2 + ((j & 1) != 0 ? 0 : 2) + (i >> 4);
}

/* ---- to them */

/* The numbers n of sub-block j, in the order of its columns, and for IQ1_S what is above them. */
static uint32_t scale_codes(enum cpu_format format, const uint8_t *p, int j)
{
    switch (format) {
    case CPU_IQ2_XXS: return cpu_load32(p + 6 + 8 * j) >> 28;
    case CPU_IQ2_XS: return p[66 + j];
    case CPU_IQ2_S: return p[74 + j];
    case CPU_IQ3_XXS: return cpu_load32(p + 66 + 4 * j) >> 28;
    case CPU_IQ3_S: return p[106 + (j >> 1)] >> 4 * (j & 1) & 15u;
    case CPU_IQ1_S: return (uint32_t)cpu_load16(p + 34 + 2 * j) >> 12;
    default: { /* IQ1_M */
        uint32_t six = (uint32_t)cpu_load16(p + 48 + j / 2 * 2) >> 6 * (j & 1);
        return (six & 7) | (six >> 3 & 7) << 4;
    }
    }
}

/* The super-block's scale, a half. */
static uint16_t scale_of_all(enum cpu_format format, const uint8_t *p)
{
    uint32_t d = 0;
    if (format != CPU_IQ1_M)
        return cpu_load16(p);
    for (int k = 0; k < 4; k++)
        d |= (uint32_t)(cpu_load16(p + 48 + 2 * k) >> 12) << 4 * k;
    return (uint16_t)d;
}

static void put_places(const int8_t *q, int j, uint8_t *ret)
{
    for (int i = 0; i < 16; i++)
        ret[16 * j + i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

/* ret is zeroed. */
static void put_low(const int8_t *q, int j, const struct parts *at, uint8_t *ret)
{
    uint8_t *low = ret + 32 * (j >> 2), *signs = ret + at->signs + 16 * (j >> 2);
    for (int i = 0; i < 32; i++)
        low[i] = (uint8_t)(low[i] | (q[i] & 3) << 2 * (j & 3));
    if (at->signs != 0)
        for (int i = 0; i < 32; i++)
            signs[i & 15] = (uint8_t)(signs[i & 15] | (q[i] >> 3) << sign_bit(j, i));
    if (at->up != 0)
        for (int k = 0; k < 4; k++)
            ret[at->up + k] = (uint8_t)(ret[at->up + k] | (q[8 * k] < 8) << j);
}

/* TQ1_0 to TQ2_0. */
static void repack_digits(const uint8_t *block, uint8_t *ret)
{
    struct cpu_quant_block b;
    memset(ret, 0, 64);
    memcpy(ret + 64, block + 52, 2);
    for (int j = 0; j < 8; j++) {
        cpu_quant_block(CPU_TQ1_0, block, j, &b);
        for (int i = 0; i < 32; i++)
            ret[32 * (j >> 2) + i] = (uint8_t)(ret[32 * (j >> 2) + i] | (b.q[i] + 1) << 2 * (j & 3));
    }
}

void cpu_repack_block(enum cpu_format format, const uint8_t *block, uint8_t *ret)
{
    const enum cpu_format packed = cpu_packed_format(format);
    const struct parts at = parts_of(packed);
    const bool by_16 = cpu_format_by_16(format), three = packed == CPU_PACKED_IQ3_XXS || packed == CPU_PACKED_IQ3_S;
    struct cpu_quant_block b;
    if (format == CPU_TQ1_0) {
        repack_digits(block, ret);
        return;
    }
    memset(ret, 0, (size_t)cpu_encoding_at(packed)->block_bytes);
    uint16_t d = scale_of_all(format, block);
    memcpy(ret + at.d, &d, 2);
    for (int j = 0; j < 8; j++) {
        uint32_t n = scale_codes(format, block, j);
        cpu_codebook_levels(format, block, j, &b);
        if (three)
            put_places(b.q, j, ret);
        else
            put_low(b.q, j, &at, ret);
        ret[at.scales + (by_16 ? j : j >> 1)] |= (uint8_t)(by_16 ? n : n << 4 * (j & 1));
    }
}

/* ---- what they hold */

/* Level and sign, or the direction it is moved in, of column i of sub-block j. */
static int place_at(enum cpu_format packed, const struct parts *at, const uint8_t *p, int j, int i)
{
    int low = p[32 * (j >> 2) + i] >> 2 * (j & 3) & 3, bit;
    switch (packed) {
    case CPU_PACKED_IQ3_XXS: case CPU_PACKED_IQ3_S: return p[16 * j + (i & 15)] >> 4 * (i >> 4) & 15;
    case CPU_PACKED_IQ1_S: bit = p[at->scales + (j >> 1)] >> (4 * (j & 1) + 3) & 1; break;
    case CPU_PACKED_IQ1_M: bit = ~p[at->up + (i >> 3)] >> j & 1; break;
    default: bit = p[at->signs + 16 * (j >> 2) + (i & 15)] >> sign_bit(j, i) & 1; break;
    }
    return low | bit << 3;
}

void cpu_repacked_block(enum cpu_format packed, const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    const struct parts at = parts_of(packed);
    const bool one = packed == CPU_PACKED_IQ1_S || packed == CPU_PACKED_IQ1_M, xxs = packed == CPU_PACKED_IQ3_XXS;
    const int8_t *values = one ? cpu_iq1_values : xxs ? cpu_iq3xxs_values : packed == CPU_PACKED_IQ3_S ? cpu_iq3s_values : cpu_iq2_values;
    float d = cpu_f16_float(cpu_load16(p + at.d)) * (xxs ? 0.25f : packed == CPU_PACKED_IQ3_S ? 1.0f : 0.125f);
    for (int i = 0; i < 32; i++)
        ret->q[i] = values[place_at(packed, &at, p, j, i)];
    for (int half = 0; half < 2; half++) {
        int k = cpu_format_by_16(packed) ? 2 * j + half : j, n = p[at.scales + (k >> 1)] >> 4 * (k & 1) & (one ? 7 : 15);
        ret->scale[half] = d * (float)(2 * n + 1);
    }
}
