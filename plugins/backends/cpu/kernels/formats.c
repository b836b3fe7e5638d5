/* formats.c - the encodings the kernels know: their table and their decoding to f32, one row or one block of 32 (codebooks.c has
 * those of codebooks).
 *
 * Plain C, run once per row or by the scalar level; the vector levels have their own unpacking in unpack.h. [any-thread]
 * Contract: kernels.h, quants.h. */
#include <stddef.h>

#include "bits.h"
#include "codebooks.h"
#include "quants.h"
#include "repack.h"

static const struct cpu_encoding encodings[CPU_FORMATS_ALL] = {
    [CPU_F32] = { "f32/1", "ba6c75aa8bab48687ff4d404c9dc029580bb71982482b781adfeb5db7ba82111", CPU_F32, 1, 4, false },
    [CPU_F16] = { "f16/1", "ef23556593167f786074493a3437d1a68a24a765c2d14b18fa382df93d54bb31", CPU_F16, 1, 2, false },
    [CPU_BF16] = { "bf16/1", "e5bce90b1f10e0ac42769d14756f567623797238f5e11ebfee2f3fe026c32c50", CPU_BF16, 1, 2, false },
    [CPU_Q4_0] = { "gguf.q4_0/1", "c384af5d196eb5eb1f1eb131f55013d721197b303807e76f353bd7a044216e88", CPU_Q4_0, 32, 18, true },
    [CPU_Q4_1] = { "gguf.q4_1/1", "1e74a9088343b3465452a222a4119c8af3690b67a5e113bd97d074a577f0a339", CPU_Q4_1, 32, 20, true },
    [CPU_Q5_0] = { "gguf.q5_0/1", "45f9bcceb9fb55e1c6de0bc8d0609f1a4b4d89cd4abba29929ec5d8c06ebf80b", CPU_Q5_0, 32, 22, true },
    [CPU_Q8_0] = { "gguf.q8_0/1", "e27e3e825cfcf0263d05c6f44645c18dd14ae63b5115eb0a463a159550961288", CPU_Q8_0, 32, 34, true },
    [CPU_Q4_K] = { "gguf.q4_k/1", "10a1815cf10c3e0f15625be6abe0ca89319fe1b0d1d4376761fc9ad073d3eff5", CPU_Q4_K, 256, 144, true },
    [CPU_Q5_K] = { "gguf.q5_k/1", "97c02c9431397c17e17ad8e931685a66948f67027dee2bfe653dd3186e37f6d1", CPU_Q5_K, 256, 176, true },
    [CPU_Q6_K] = { "gguf.q6_k/1", "f63e3321b621517761bb87c29ef961d7943b85ae687bdbeafbf694a0e3523718", CPU_Q6_K, 256, 210, true },
    [CPU_Q5_1] = { "gguf.q5_1/1", "8c02ddcfa679b034617c3540816dc69e656338b1e93617b07856dc345dbec539", CPU_Q5_1, 32, 24, true },
    [CPU_IQ4_NL] = { "gguf.iq4_nl/1", "4ee416f25a940ca09168cb66831e65bf35157ded20084cc83bae8448b8d45d10", CPU_IQ4_NL, 32, 18, true },
    [CPU_MXFP4] = { "gguf.mxfp4/1", "a4167bd75c4de5928df529f3a2c529e702b33d245c87ee7b7f24d53c4de5c231", CPU_MXFP4, 32, 17, true },
    [CPU_Q2_K] = { "gguf.q2_k/1", "61ce7e62fffbd8ce1669593b45fc0be4f0677fdffd296ebc151f2b13083148d9", CPU_Q2_K, 256, 84, true },
    [CPU_Q3_K] = { "gguf.q3_k/1", "870dbde2876dfcc61a8a7326164957355b90150a1dc76eda512b45894617c783", CPU_Q3_K, 256, 110, true },
    [CPU_IQ4_XS] = { "gguf.iq4_xs/1", "2e2b112b0ff63833b0add7a821c4bd95e6ac6245cee5f9d838a4e0854e17f9fe", CPU_IQ4_XS, 256, 136, true },
    [CPU_IQ2_XXS] = { "gguf.iq2_xxs/1", "77daccf51d32dff615a204715c136d14a0a9f09f8348c5530abadea88101217d", CPU_IQ2_XXS, 256, 66, true },
    [CPU_IQ2_XS] = { "gguf.iq2_xs/1", "7e4bb982dd812b12b58bbb85b08bd7c510d6d8b180c9f6cf09d95b357c580e86", CPU_IQ2_XS, 256, 74, true },
    [CPU_IQ2_S] = { "gguf.iq2_s/1", "e95c4546ffc9a81414f6d39dc7aa9c75fecf7bcc866181bdaeba40db0e19c653", CPU_IQ2_S, 256, 82, true },
    [CPU_IQ3_XXS] = { "gguf.iq3_xxs/1", "7fe83db9cd70b902e066729c01ef550ad617ed14adf41d429ee0faedb8efe9f9", CPU_IQ3_XXS, 256, 98, true },
    [CPU_IQ3_S] = { "gguf.iq3_s/1", "df048955e245cff251f68d7205f1fbf5ef9a2b3a2ea7e109ec67070ca6367ec9", CPU_IQ3_S, 256, 110, true },
    [CPU_IQ1_S] = { "gguf.iq1_s/1", "92ef0e2ffe1bc4d537c54c008eb9752c49b529f13e1ece290f95ea472c9d6fc4", CPU_IQ1_S, 256, 50, true },
    [CPU_IQ1_M] = { "gguf.iq1_m/1", "0ae6eb858e00297b165b2ec2d90ef8509d5128a1a6529b3e2c26ec420a1ebf88", CPU_IQ1_M, 256, 56, true },
    [CPU_TQ1_0] = { "gguf.tq1_0/1", "c616f23eff0eacecd164b7dfbf307c2f05a0b7b34dfbaa67f6553f21639ba997", CPU_TQ1_0, 256, 54, true },
    [CPU_TQ2_0] = { "gguf.tq2_0/1", "5b71b016f7d0feb735f33b3e5551d0db204be0fbf6fac5741ae0fd5832d9a946", CPU_TQ2_0, 256, 66, true },
    [CPU_NVFP4] = { "gguf.nvfp4/1", "cf334668efb73c3c038ded28bd0935d1602b3f79d03e4e4b3b7250f50d4a62bb", CPU_NVFP4, 64, 36, true },
    [CPU_AFFINE4_B32] = { "affine.int4_b32/1", "bf44111101a7cb8406d8106a3e10402e684190def3c6890fb31606300f74122e", CPU_AFFINE4_B32, 32, 20, true },
    [CPU_AFFINE4_B128] = { "affine.int4_b128/1", "d316d25415b7574a75518b23bf8fd873fc37780e32823601ce5bc69f1476dd33", CPU_AFFINE4_B128, 128, 68, true },
    [CPU_AFFINE8_B32] = { "affine.int8_b32/1", "e89830df165810d8a5975b1bb69d721b2e60e6f64a3da754191d812b435c1f46", CPU_AFFINE8_B32, 32, 36, true },
    [CPU_PACKED_IQ2_BY_32] = { "packed.iq2_by_32", "", CPU_PACKED_IQ2_BY_32, 256, 104, true },
    [CPU_PACKED_IQ2_BY_16] = { "packed.iq2_by_16", "", CPU_PACKED_IQ2_BY_16, 256, 108, true },
    [CPU_PACKED_IQ3_XXS] = { "packed.iq3_xxs", "", CPU_PACKED_IQ3_XXS, 256, 136, true },
    [CPU_PACKED_IQ3_S] = { "packed.iq3_s", "", CPU_PACKED_IQ3_S, 256, 136, true },
    [CPU_PACKED_IQ1_S] = { "packed.iq1_s", "", CPU_PACKED_IQ1_S, 256, 72, true },
    [CPU_PACKED_IQ1_M] = { "packed.iq1_m", "", CPU_PACKED_IQ1_M, 256, 80, true },
    [CPU_PACKED_Q6_K] = { "packed.q6_k", "", CPU_PACKED_Q6_K, 256, 212, true },
    [CPU_PACKED_Q3_K] = { "packed.q3_k", "", CPU_PACKED_Q3_K, 256, 112, true },
    [CPU_PACKED_Q2_K] = { "packed.q2_k", "", CPU_PACKED_Q2_K, 256, 84, true },
    [CPU_PACKED_TQ2] = { "packed.tq2", "", CPU_PACKED_TQ2, 256, 68, true },
    [CPU_PACKED_Q5_0] = { "packed.q5_0", "", CPU_PACKED_Q5_0, 32, 22, true },
    [CPU_PACKED_Q5_1] = { "packed.q5_1", "", CPU_PACKED_Q5_1, 32, 24, true },
    [CPU_PACKED_Q5_K] = { "packed.q5_k", "", CPU_PACKED_Q5_K, 256, 176, true },
};

const struct cpu_encoding *cpu_encoding_find(const char *digest)
{
    for (int i = 0; i < CPU_FORMAT_COUNT; i++)
        if (strcmp(encodings[i].digest, digest) == 0)
            return &encodings[i];
    return NULL;
}

const struct cpu_encoding *cpu_encoding_at(enum cpu_format format)
{
    return &encodings[format];
}

int cpu_format_mins(enum cpu_format format)
{
    switch (format) {
    case CPU_Q4_1: case CPU_Q5_1: case CPU_Q4_K: case CPU_Q5_K: case CPU_AFFINE4_B32: case CPU_AFFINE4_B128: case CPU_AFFINE8_B32:
    case CPU_PACKED_Q5_1: case CPU_PACKED_Q5_K: return 1;
    case CPU_Q2_K: case CPU_PACKED_Q2_K: return 2;
    default: return 0;
    }
}

bool cpu_format_by_16(enum cpu_format format)
{
    switch (format) {
    case CPU_Q3_K: case CPU_Q6_K: case CPU_IQ2_XS: case CPU_IQ2_S: case CPU_IQ1_M: case CPU_NVFP4: case CPU_PACKED_IQ2_BY_16:
    case CPU_PACKED_IQ1_M: case CPU_PACKED_Q6_K: case CPU_PACKED_Q3_K: return true;
    default: return false;
    }
}

/* ---- one block of 32 each; p is the start of the format's own block */

static void nibbles(const uint8_t *qs, int8_t *ret_q)
{
    for (int i = 0; i < 16; i++) {
        ret_q[i] = (int8_t)(qs[i] & 15);
        ret_q[i + 16] = (int8_t)(qs[i] >> 4);
    }
}

static void q4_0(const uint8_t *p, struct cpu_quant_block *ret)
{
    nibbles(p + 2, ret->q);
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)(ret->q[i] - 8);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p));
}

static void q4_1(const uint8_t *p, struct cpu_quant_block *ret)
{
    nibbles(p + 4, ret->q);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p));
    ret->min[0] = ret->min[1] = cpu_f16_float(cpu_load16(p + 2));
}

static void q5_0(const uint8_t *p, struct cpu_quant_block *ret)
{
    uint32_t high = cpu_load32(p + 2);
    nibbles(p + 6, ret->q);
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)(ret->q[i] + (int)(high >> i & 1u) * 16 - 16);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p));
}

static void q8_0(const uint8_t *p, struct cpu_quant_block *ret)
{
    memcpy(ret->q, p + 2, 32);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p));
}

/* Sub-block j of Q4_K (qs at byte 16) and Q5_K (high bits at byte 16, qs at byte 48). */
static void q45_k(const uint8_t *p, int j, bool five, struct cpu_quant_block *ret)
{
    const uint8_t *qs = p + (five ? 48 : 16) + 32 * (j >> 1);
    uint32_t scale, min;
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)((qs[i] >> (j & 1) * 4 & 15) + (five ? (p[16 + i] >> j & 1) * 16 : 0));
    cpu_k_scale(p + 4, j, &scale, &min);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p)) * (float)scale;
    ret->min[0] = ret->min[1] = -(cpu_f16_float(cpu_load16(p + 2)) * (float)min);
}

static void q6_k(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    int h = j >> 2, s = j & 3; /* half of 128, quarter of 32 in it */
    const uint8_t *low = p + 64 * h + 32 * (s & 1), *high = p + 128 + 32 * h;
    float d = cpu_f16_float(cpu_load16(p + 208));
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)(((low[i] >> (s >> 1) * 4 & 15) | (high[i] >> 2 * s & 3) << 4) - 32);
    ret->scale[0] = d * (float)(int8_t)p[192 + 2 * j];
    ret->scale[1] = d * (float)(int8_t)p[193 + 2 * j];
}

static void q5_1(const uint8_t *p, struct cpu_quant_block *ret)
{
    uint32_t high = cpu_load32(p + 4);
    nibbles(p + 8, ret->q);
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)(ret->q[i] + (int)(high >> i & 1u) * 16);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p));
    ret->min[0] = ret->min[1] = cpu_f16_float(cpu_load16(p + 2));
}

/* Pairs of bits of sub-block j of Q2_K, Q3_K and TQ2_0: 32 bytes have those of four. */
static void pairs(const uint8_t *qs, int j, int offset, int8_t *ret_q)
{
    for (int i = 0; i < 32; i++)
        ret_q[i] = (int8_t)((qs[32 * (j >> 2) + i] >> 2 * (j & 3) & 3) + offset);
}

/* A scale of four bits times two, at most 45, is what is multiplied: so d is the scale of all. */
static void q2_k(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    pairs(p + 16, j, 0, ret->q);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p + 80));
    for (int half = 0; half < 2; half++) {
        ret->factor[half] = (int8_t)(p[2 * j + half] & 15);
        ret->min[half] = -(cpu_f16_float(cpu_load16(p + 82)) * (float)(p[2 * j + half] >> 4));
    }
}

/* Likewise a scale of six bits with sign times three, -124 to 128. */
static void q3_k(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    const uint8_t *s = p + 96;
    pairs(p + 32, j, -4, ret->q);
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)(ret->q[i] + (p[i] >> j & 1) * 4);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p + 108));
    for (int half = 0; half < 2; half++) {
        int k = 2 * j + half, scale = (s[k & 7] >> 4 * (k >> 3) & 15) | (s[8 + (k & 3)] >> 2 * (k >> 2) & 3) << 4;
        ret->factor[half] = (int8_t)(scale - 32);
    }
}

const int8_t cpu_iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
const int8_t cpu_e2m1_doubled[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* Nibbles as places in a table. */
static void looked_up(const uint8_t *qs, const int8_t *values, int8_t *ret_q)
{
    nibbles(qs, ret_q);
    for (int i = 0; i < 32; i++)
        ret_q[i] = values[ret_q[i]];
}

static void iq4_nl(const uint8_t *p, struct cpu_quant_block *ret)
{
    looked_up(p + 2, cpu_iq4_values, ret->q);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p));
}

static void iq4_xs(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    int scale = (p[4 + (j >> 1)] >> 4 * (j & 1) & 15) | (cpu_load16(p + 2) >> 2 * j & 3) << 4;
    looked_up(p + 8 + 16 * j, cpu_iq4_values, ret->q);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p)) * (float)(scale - 32);
}

/* The scale is 2^(e - 128): what halves the doubled values. */
static void mxfp4(const uint8_t *p, struct cpu_quant_block *ret)
{
    uint32_t e = p[0];
    looked_up(p + 1, cpu_e2m1_doubled, ret->q);
    ret->scale[0] = ret->scale[1] = cpu_float_of(e < 2 ? 0x200000u << e : (e - 1) << 23);
}

/* A scale is a float of four bits of exponent and three of mantissa without a sign, 0x7f is 0; halved, as the values are
 * doubled. */
static void nvfp4(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    for (int half = 0; half < 2; half++) {
        int k = 2 * j + half;
        uint32_t e = p[k] >> 3 & 15u, m = p[k] & 7u, of_1024 = e == 0 ? m : (8 + m) << (e - 1);
        for (int i = 0; i < 16; i++)
            ret->q[16 * half + i] = cpu_e2m1_doubled[p[4 + 8 * k + (i & 7)] >> 4 * (i >> 3) & 15];
        ret->scale[half] = p[k] == 0x7f ? 0.0f : (float)of_1024 * 0x1p-10f;
    }
}

/* The upper 23 bits of a dword are a float's, the lower 9 a zero point with sign. */
static void affine(const uint8_t *p, int j, bool eight, struct cpu_quant_block *ret)
{
    uint32_t head = cpu_load32(p);
    int zero = (int)(head & 511u) - (int)(head << 1 & 512u);
    if (eight)
        memcpy(ret->q, p + 4, 32);
    else
        nibbles(p + 4 + 16 * j, ret->q);
    ret->scale[0] = ret->scale[1] = cpu_float_of(head & ~511u);
    ret->min[0] = ret->min[1] = ret->scale[0] * (float)-zero;
}

static void tq2_0(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    pairs(p, j, -1, ret->q);
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p + 64));
}

/* Digit n, 0 to 4, of a fraction to the base of 3, less 1. */
static int8_t digit(uint32_t fraction, int n)
{
    for (; n > 0; n--)
        fraction = fraction * 3 & 255;
    return (int8_t)((int)(fraction * 3 >> 8) - 1);
}

/* Bytes 0..31 have five times 32 columns, 32..47 five times 16 and 48..51 four times 4. */
static void tq1_0(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    for (int i = 0; i < 32; i++) {
        int c = 32 * j + i;
        ret->q[i] = c < 160 ? digit(p[i], j) : c < 240 ? digit(p[32 + i % 16], (c - 160) / 16) : digit(p[48 + i % 4], (c - 240) / 4);
    }
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(p + 52));
}

void cpu_quant_block(enum cpu_format format, const uint8_t *row, int64_t b, struct cpu_quant_block *ret)
{
    const struct cpu_encoding *e = &encodings[format];
    const uint8_t *p = row + b * 32 / e->block_cols * e->block_bytes;
    int j = (int)(b % (e->block_cols / 32));
    ret->min[0] = ret->min[1] = 0.0f;
    ret->factor[0] = ret->factor[1] = 1;
    switch (format) {
    case CPU_Q4_0: q4_0(p, ret); break;
    case CPU_Q4_1: q4_1(p, ret); break;
    case CPU_Q5_0: q5_0(p, ret); break;
    case CPU_Q8_0: q8_0(p, ret); break;
    case CPU_Q4_K: q45_k(p, j, false, ret); break;
    case CPU_Q5_K: q45_k(p, j, true, ret); break;
    case CPU_Q6_K: q6_k(p, j, ret); break;
    case CPU_Q5_1: q5_1(p, ret); break;
    case CPU_IQ4_NL: iq4_nl(p, ret); break;
    case CPU_MXFP4: mxfp4(p, ret); break;
    case CPU_Q2_K: q2_k(p, j, ret); break;
    case CPU_Q3_K: q3_k(p, j, ret); break;
    case CPU_IQ4_XS: iq4_xs(p, j, ret); break;
    case CPU_NVFP4: nvfp4(p, j, ret); break;
    case CPU_AFFINE4_B32: case CPU_AFFINE4_B128: affine(p, j, false, ret); break;
    case CPU_AFFINE8_B32: affine(p, 0, true, ret); break;
    case CPU_TQ1_0: tq1_0(p, j, ret); break;
    case CPU_TQ2_0: tq2_0(p, j, ret); break;
    default:
        if (format < CPU_FORMAT_COUNT)
            cpu_codebook_block(format, p, j, ret);
        else
            cpu_repacked_block(format, p, j, ret);
        break;
    }
}

/* ---- a row */

static void decode_quants(enum cpu_format format, const uint8_t *row, int64_t cols, float *x)
{
    struct cpu_quant_block block;
    bool has_min = cpu_format_mins(format) > 0;
    for (int64_t b = 0; b < cols / 32; b++) {
        cpu_quant_block(format, row, b, &block);
        for (int i = 0; i < 32; i++) {
            float v = block.scale[i >> 4] * (float)block.factor[i >> 4] * (float)block.q[i];
            x[32 * b + i] = has_min ? v + block.min[i >> 4] : v; /* -0 + 0 would lose its sign where nothing is to be added */
        }
    }
}

void cpu_decode_row(enum cpu_format format, const void *row, int64_t cols, float *ret_x)
{
    const uint8_t *p = row;
    switch (format) {
    case CPU_F32: memcpy(ret_x, p, (size_t)cols * 4); break;
    case CPU_F16:
        for (int64_t i = 0; i < cols; i++)
            ret_x[i] = cpu_f16_float(cpu_load16(p + 2 * i));
        break;
    case CPU_BF16:
        for (int64_t i = 0; i < cols; i++)
            ret_x[i] = cpu_bf16_float(cpu_load16(p + 2 * i));
        break;
    default: decode_quants(format, p, cols, ret_x); break;
    }
}
