/* codebooks.c - blocks of IQ1, IQ2 and IQ3 in plain C: indexes into codebooks of 4 or 8 levels (grids.c), signs, and scales that are
 * odd numbers times that of the super-block. Layouts: the programs of these encodings. [any-thread] Contract: codebooks.h. */
#include "codebooks.h"

#include "bits.h"

const int8_t cpu_iq2_values[16] = { 8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43 };
const int8_t cpu_iq3xxs_values[16] = { 4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62 };
const int8_t cpu_iq3s_values[16] = { 1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15 };
const int8_t cpu_iq1_values[16] = { -7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7 };

static void four(uint32_t entry, uint32_t signs, const int8_t *values, int8_t *ret_q)
{
    for (int i = 0; i < 4; i++)
        ret_q[i] = values[(entry >> 8 * i & 15) | (signs >> i & 1) << 3];
}

static void eight(uint32_t entry, uint32_t signs, const int8_t *values, int8_t *ret_q)
{
    four(entry & 0x0f0f0f0fu, signs, values, ret_q);
    four(entry >> 4, signs >> 4, values, ret_q + 4);
}

/* Eight signs of seven: their number is even. */
static uint32_t even(uint32_t seven)
{
    return (seven & 127) | (uint32_t)__builtin_parity(seven & 127) << 7;
}

static float half_float(const uint8_t *p)
{
    return cpu_f16_float(cpu_load16(p));
}

static void scales(float d, uint32_t first, uint32_t second, struct cpu_quant_block *ret)
{
    ret->scale[0] = d * (float)(2 * first + 1);
    ret->scale[1] = d * (float)(2 * second + 1);
}

static void iq2_xxs(const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    const uint8_t *index = p + 2 + 8 * j;
    uint32_t rest = cpu_load32(index + 4);
    for (int k = 0; k < 4; k++)
        eight(cpu_iq2xxs_grid[index[k]], even(rest >> 7 * k), values, ret->q + 8 * k);
    scales(half_float(p) * 0.125f, rest >> 28, rest >> 28, ret);
}

static void iq2_xs(const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    for (int k = 0; k < 4; k++) {
        uint32_t both = cpu_load16(p + 2 + 8 * j + 2 * k);
        eight(cpu_iq2xs_grid[both & 511], even(both >> 9), values, ret->q + 8 * k);
    }
    scales(half_float(p) * 0.125f, p[66 + j] & 15, p[66 + j] >> 4, ret);
}

static void iq2_s(const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    for (int k = 0; k < 4; k++) {
        uint32_t index = p[2 + 4 * j + k] | (p[66 + j] >> 2 * k & 3u) << 8;
        eight(cpu_iq2s_grid[index], p[34 + 4 * j + k], values, ret->q + 8 * k);
    }
    scales(half_float(p) * 0.125f, p[74 + j] & 15, p[74 + j] >> 4, ret);
}

static void iq3_xxs(const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    uint32_t rest = cpu_load32(p + 66 + 4 * j);
    for (int k = 0; k < 8; k++)
        four(cpu_iq3xxs_grid[p[2 + 8 * j + k]], even(rest >> 7 * (k >> 1)) >> 4 * (k & 1), values, ret->q + 4 * k);
    scales(half_float(p) * 0.25f, rest >> 28, rest >> 28, ret);
}

static void iq3_s(const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    uint32_t signs = cpu_load32(p + 74 + 4 * j), scale = p[106 + (j >> 1)] >> 4 * (j & 1) & 15u;
    for (int k = 0; k < 8; k++)
        four(cpu_iq3s_grid[p[2 + 8 * j + k] | (p[66 + j] >> k & 1u) << 8], signs >> 4 * k, values, ret->q + 4 * k);
    scales(half_float(p), scale, scale, ret);
}

static void iq1_s(const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    uint32_t rest = cpu_load16(p + 34 + 2 * j), signs = rest >> 15 != 0 ? 255 : 0;
    for (int k = 0; k < 4; k++)
        eight(cpu_iq1s_grid[p[2 + 4 * j + k] | (rest >> 3 * k & 7) << 8], signs, values, ret->q + 8 * k);
    scales(half_float(p) * 0.125f, rest >> 12 & 7, rest >> 12 & 7, ret);
}

/* The scale of the super-block has its four nibbles above those of the sub-blocks. */
static void iq1_m(const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    uint32_t rest = cpu_load16(p + 32 + 2 * j), three = cpu_load16(p + 48 + j / 2 * 2) >> 6 * (j & 1), d = 0;
    for (int k = 0; k < 4; k++) {
        uint32_t index = p[4 * j + k] | (rest >> 4 * k & 7) << 8, signs = (rest >> (4 * k + 3) & 1) != 0 ? 255 : 0;
        eight(cpu_iq1s_grid[index], signs, values, ret->q + 8 * k);
        d |= (uint32_t)(cpu_load16(p + 48 + 2 * k) >> 12) << 4 * k;
    }
    scales(cpu_f16_float((uint16_t)d) * 0.125f, three & 7, three >> 3 & 7, ret);
}

static void block(enum cpu_format format, const uint8_t *p, int j, const int8_t *values, struct cpu_quant_block *ret)
{
    switch (format) {
    case CPU_IQ2_XXS: iq2_xxs(p, j, values, ret); break;
    case CPU_IQ2_XS: iq2_xs(p, j, values, ret); break;
    case CPU_IQ2_S: iq2_s(p, j, values, ret); break;
    case CPU_IQ3_XXS: iq3_xxs(p, j, values, ret); break;
    case CPU_IQ3_S: iq3_s(p, j, values, ret); break;
    case CPU_IQ1_S: iq1_s(p, j, values, ret); break;
    case CPU_IQ1_M: iq1_m(p, j, values, ret); break;
    default: memset(ret, 0, sizeof *ret); break;
    }
}

void cpu_codebook_block(enum cpu_format format, const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    bool three = format == CPU_IQ3_XXS, two = format >= CPU_IQ2_XXS && format <= CPU_IQ2_S;
    block(format, p, j, two ? cpu_iq2_values : three ? cpu_iq3xxs_values : format == CPU_IQ3_S ? cpu_iq3s_values : cpu_iq1_values, ret);
}

void cpu_codebook_levels(enum cpu_format format, const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    static const int8_t themselves[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    block(format, p, j, themselves, ret);
}
