/* checkpoints.h - what the files of this family share: quantised weights as Python packages leave them in safetensors files. */
#ifndef TENON_QUANTIZERS_CHECKPOINTS_H
#define TENON_QUANTIZERS_CHECKPOINTS_H

#include <tenon/quantizer.h>

#include "../program.h"

/* Encodings and forms: X(symbol). Those with a group size have one for each that is found in practice: symbol_g32 and so on. */
#define GROUPED_ENCODINGS(X, g_) X(affine_int4_g##g_) X(affine_int8_g##g_) X(ct_int4_bf16_g##g_) X(ct_int4_f16_g##g_)
#define CHECKPOINT_ENCODINGS(X) \
    GROUPED_ENCODINGS(X, 32) GROUPED_ENCODINGS(X, 64) GROUPED_ENCODINGS(X, 128) \
    X(scaled_int8) X(mlc_q4f16_1) X(bnb_nf4) X(fp8_g128) X(int8_g64)
#define DECLARE_ENCODING(name_) extern const struct tenon_encoding cp_##name_;
CHECKPOINT_ENCODINGS(DECLARE_ENCODING)
#undef DECLARE_ENCODING

#define GROUPED_FORMS(X, g_) X(gptq_int4_g##g_) X(gptq_int8_g##g_) X(gptq2_int4_g##g_) X(gptq2_int8_g##g_) X(awq_int4_g##g_) \
    X(gptq_int4_act_g##g_) X(gptq2_int4_act_g##g_)
#define CHECKPOINT_FORMS(X) \
    GROUPED_FORMS(X, 32) GROUPED_FORMS(X, 64) GROUPED_FORMS(X, 128) X(fp8_f32) X(fp8_f16) X(fp8_bf16) X(ct_int8_bf16) X(ct_int8_f16)
#define DECLARE_FORM(name_) extern const struct tenon_stored cp_##name_;
CHECKPOINT_FORMS(DECLARE_FORM)
#undef DECLARE_FORM

/* An encoding of NAME_planes and NAME_program. */
#define CHECKPOINT_ENCODING(name_, id_, cols_, digest_, planes_, program_, ...)                          \
    const struct tenon_encoding cp_##name_ = {.struct_size = sizeof(struct tenon_encoding), .id = (id_), \
        .digest = (digest_), .tile_rows = 1, .tile_cols = (cols_),                                       \
        .n_planes = sizeof planes_ / sizeof planes_[0], .planes = planes_, .program = program_,          \
        .n_insns = sizeof program_ / sizeof program_[0], .result = X, __VA_ARGS__}
#define PLANE(name_, bytes_, align_) \
    {.struct_size = sizeof(struct tenon_plane), .tile_bytes = (bytes_), .align = (align_), .name = (name_)}

/* ---- numbers in files --------------------------------------------------------------------------------------- */

static inline uint32_t get32(const void *p, uint64_t i)
{
    const uint8_t *b = (const uint8_t *)p + 4 * i;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Four-bit number i of a row of words. */
static inline uint32_t get4(const void *p, uint64_t i)
{
    return get32(p, i / 8) >> 4 * (i % 8) & 15u;
}

static inline void put32(void *p, uint64_t i, uint32_t v)
{
    const uint8_t le[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    memcpy((uint8_t *)p + 4 * i, le, sizeof le);
}

/* Number i of floats of a format of TENON_F_F32, F16 or BF16, as the bits of a binary32. */
static inline uint32_t get_float(const void *p, uint64_t i, uint32_t format)
{
    if (format == TENON_F_F32)
        return get32(p, i);
    const uint8_t *b = (const uint8_t *)p + 2 * i;
    uint32_t h = (uint32_t)b[0] | (uint32_t)b[1] << 8;
    uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 1023u, bits;
    float f = (float)mantissa * 0x1p-24f;
    if (format == TENON_F_BF16)
        return h << 16;
    if (exponent != 0)
        return sign | (exponent == 31 ? 0x7f800000u : (exponent + 112u) << 23) | mantissa << 13;
    memcpy(&bits, &f, sizeof bits);
    return sign | bits;
}

/* a * b / c, c dividing a * b; UINT64_MAX when it does not or overflows. */
static inline uint64_t bytes_of(uint64_t a, uint64_t b, uint64_t c)
{
    if (b != 0 && a > (UINT64_MAX - 1) / b)
        return UINT64_MAX;
    return a * b % c == 0 ? a * b / c : UINT64_MAX;
}

#endif
