/* codebooks.c - blocks of IQ1, IQ2 and IQ3 in plain C: indexes into codebooks of 4 or 8 levels (grids.c), signs, and scales that
 * are odd numbers times that of the super-block. Layouts: the programs of these encodings. [any-thread] Contract: codebooks.h. */
#include "codebooks.h"

#include "bits.h"

const int8_t cpu_iq2_values[16] = { 8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43 };
const int8_t cpu_iq3xxs_values[16] = { 4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62 };
const int8_t cpu_iq3s_values[16] = { 1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15 };
const int8_t cpu_iq1_values[16] = { -7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7 };

/* Places in those tables for eight columns, a byte each: levels by an entry's nibbles, signs by bits. */
static uint64_t with_signs(uint64_t levels, uint32_t signs)
{
    uint64_t one_each = ((signs & 255) * 0x0101010101010101u) & 0x8040201008040201u;
    return levels | ((one_each + 0x7f7f7f7f7f7f7f7fu) >> 4 & 0x0808080808080808u); /* whichever bit stood there carries into the top */
}

static uint64_t eight(uint32_t entry, uint32_t signs)
{
    return with_signs((entry & 0x0f0f0f0fu) | (uint64_t)(entry >> 4 & 0x0f0f0f0fu) << 32, signs);
}

/* Eight signs of seven: their number is even. */
static uint32_t even(uint32_t seven)
{
    seven &= 127;
    return seven | (0x6996u >> ((seven ^ seven >> 4) & 15) & 1) << 7;
}

static void iq2_xxs(const uint8_t *p, int j, uint64_t *ret)
{
    const uint8_t *index = p + 2 + 8 * j;
    uint32_t rest = cpu_load32(index + 4);
    for (int k = 0; k < 4; k++)
        ret[k] = eight(cpu_iq2xxs_grid[index[k]], even(rest >> 7 * k));
}

static void iq2_xs(const uint8_t *p, int j, uint64_t *ret)
{
    for (int k = 0; k < 4; k++) {
        uint32_t both = cpu_load16(p + 2 + 8 * j + 2 * k);
        ret[k] = eight(cpu_iq2xs_grid[both & 511], even(both >> 9));
    }
}

static void iq2_s(const uint8_t *p, int j, uint64_t *ret)
{
    for (int k = 0; k < 4; k++)
        ret[k] = eight(cpu_iq2s_grid[p[2 + 4 * j + k] | (p[66 + j] >> 2 * k & 3u) << 8], p[34 + 4 * j + k]);
}

static void iq3_xxs(const uint8_t *p, int j, uint64_t *ret)
{
    const uint8_t *index = p + 2 + 8 * j;
    uint32_t rest = cpu_load32(p + 66 + 4 * j);
    for (int k = 0; k < 4; k++)
        ret[k] = with_signs(cpu_iq3xxs_grid[index[2 * k]] | (uint64_t)cpu_iq3xxs_grid[index[2 * k + 1]] << 32,
                            even(rest >> 7 * k));
}

static void iq3_s(const uint8_t *p, int j, uint64_t *ret)
{
    const uint8_t *index = p + 2 + 8 * j;
    uint32_t signs = cpu_load32(p + 74 + 4 * j), high = (uint32_t)p[66 + j] << 8;
    for (int k = 0; k < 4; k++, signs >>= 8, high >>= 2) {
        uint32_t first = cpu_iq3s_grid[index[2 * k] | (high & 0x100)], second = cpu_iq3s_grid[index[2 * k + 1] | (high >> 1 & 0x100)];
        ret[k] = with_signs(first | (uint64_t)second << 32, signs);
    }
}

static void iq1_s(const uint8_t *p, int j, uint64_t *ret)
{
    uint32_t rest = cpu_load16(p + 34 + 2 * j), signs = rest >> 15 != 0 ? 255 : 0;
    for (int k = 0; k < 4; k++)
        ret[k] = eight(cpu_iq1s_grid[p[2 + 4 * j + k] | (rest >> 3 * k & 7) << 8], signs);
}

static void iq1_m(const uint8_t *p, int j, uint64_t *ret)
{
    uint32_t rest = cpu_load16(p + 32 + 2 * j);
    for (int k = 0; k < 4; k++, rest >>= 4)
        ret[k] = eight(cpu_iq1s_grid[p[4 * j + k] | (rest & 7) << 8], (rest & 8) != 0 ? 255 : 0);
}

void cpu_codebook_places(enum cpu_format format, const uint8_t *p, int j, uint64_t ret_places[4])
{
    switch (format) {
    case CPU_IQ2_XXS: iq2_xxs(p, j, ret_places); break;
    case CPU_IQ2_XS: iq2_xs(p, j, ret_places); break;
    case CPU_IQ2_S: iq2_s(p, j, ret_places); break;
    case CPU_IQ3_XXS: iq3_xxs(p, j, ret_places); break;
    case CPU_IQ3_S: iq3_s(p, j, ret_places); break;
    case CPU_IQ1_S: iq1_s(p, j, ret_places); break;
    case CPU_IQ1_M: iq1_m(p, j, ret_places); break;
    default: memset(ret_places, 0, 4 * sizeof *ret_places); break;
    }
}

uint32_t cpu_codebook_scales(enum cpu_format format, const uint8_t *p, int j)
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

uint16_t cpu_codebook_d(enum cpu_format format, const uint8_t *p)
{
    uint32_t d = 0;
    if (format != CPU_IQ1_M)
        return cpu_load16(p);
    for (int k = 0; k < 4; k++) /* its four nibbles are above those of the sub-blocks */
        d |= (uint32_t)(cpu_load16(p + 48 + 2 * k) >> 12) << 4 * k;
    return (uint16_t)d;
}

/* What the places of a format stand for, and the power of 2 that makes them whole. */
static const int8_t *values_of(enum cpu_format format, float *ret_unit)
{
    *ret_unit = format == CPU_IQ3_S ? 1.0f : format == CPU_IQ3_XXS ? 0.25f : 0.125f;
    switch (format) {
    case CPU_IQ2_XXS: case CPU_IQ2_XS: case CPU_IQ2_S: return cpu_iq2_values;
    case CPU_IQ3_XXS: return cpu_iq3xxs_values;
    case CPU_IQ3_S: return cpu_iq3s_values;
    default: return cpu_iq1_values;
    }
}

void cpu_codebook_block(enum cpu_format format, const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    const uint32_t n = cpu_codebook_scales(format, p, j), most = format == CPU_IQ1_S || format == CPU_IQ1_M ? 7 : 15;
    float unit;
    const int8_t *values = values_of(format, &unit);
    float d = cpu_f16_float(cpu_codebook_d(format, p)) * unit;
    uint64_t places[4];
    cpu_codebook_places(format, p, j, places);
    for (int i = 0; i < 32; i++)
        ret->q[i] = values[places[i >> 3] >> 8 * (i & 7) & 15];
    ret->scale[0] = d * (float)(2 * (n & most) + 1);
    ret->scale[1] = cpu_format_by_16(format) ? d * (float)(2 * (n >> 4 & most) + 1) : ret->scale[0];
}
