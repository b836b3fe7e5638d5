/* checkpoints.h - what the files of this family share: quantised weights as Python packages leave them in safetensors files. */
#ifndef TENON_QUANTIZERS_CHECKPOINTS_H
#define TENON_QUANTIZERS_CHECKPOINTS_H

#include <stdbool.h>

#include <tenon/quantizer.h>

#include "../program.h"

/* Encodings and forms: X(symbol). Those with a group size have one for each that is found in practice: symbol_g32 and so on, and
 * symbol_channel for one group per row. */
#define CHECKPOINT_ENCODINGS(X) X(affine_int4_b32) X(affine_int4_b128) X(affine_int8_b32) X(scaled_int8) X(scaled_int8_bf16) \
    X(expanded_f32) X(bnb_nf4) X(fp8_g128) X(fp8_g32)
#define DECLARE_ENCODING(name_) extern const struct tenon_encoding cp_##name_;
CHECKPOINT_ENCODINGS(DECLARE_ENCODING)
#undef DECLARE_ENCODING

#define CT_FORMS(X, name_) X(ct_##name_) X(ct_##name_##_zero)
#define GROUPED_FORMS(X, g_) \
    X(gptq_int4_##g_) X(gptq_int8_##g_) X(gptq2_int4_##g_) X(gptq2_int8_##g_) \
    CT_FORMS(X, int4_bf16_##g_) CT_FORMS(X, int4_f16_##g_) CT_FORMS(X, int8_bf16_##g_) CT_FORMS(X, int8_f16_##g_)
#define SORTED_FORMS_OF(X, bits_, g_) X(gptq_int##bits_##_act_##g_) X(gptq2_int##bits_##_act_##g_) \
    CT_FORMS(X, int##bits_##_bf16_act_##g_) CT_FORMS(X, int##bits_##_f16_act_##g_)
#define RUN_FORMS(X, g_) X(awq_int4_##g_) SORTED_FORMS_OF(X, 4, g_) SORTED_FORMS_OF(X, 8, g_)
#define FP8_FORMS(X, type_) X(fp8_##type_) X(fp8_##type_##_part) X(fp8_##type_##_channel) X(fp8_##type_##_channel_part) \
    X(fp8_##type_##_tensor) X(fp8_##type_##_tensor_part)
#define CHECKPOINT_FORMS(X)                                                                        \
    GROUPED_FORMS(X, g32) GROUPED_FORMS(X, g64) GROUPED_FORMS(X, g128) GROUPED_FORMS(X, channel)   \
    RUN_FORMS(X, g32) RUN_FORMS(X, g64) RUN_FORMS(X, g128)                                         \
    FP8_FORMS(X, f32) FP8_FORMS(X, f16) FP8_FORMS(X, bf16) X(ct_int8_bf16) X(ct_int8_f16) X(mlc_q4f16_1) X(bnb_nf4_nested)
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

/* ---- affine.c: forms of whole numbers with scales and zero points ------------------------------------------------------ */

/* How numbers lie in words, lowest bits first. Zero points: AWQ, ALONG, DOWN, NONE. */
enum affine_layout {
    AFFINE_NONE,
    AFFINE_DOWN,          /* quants: words along columns, [cols / per, rows]; zero points: along rows, [rows / per, groups] */
    AFFINE_ALONG,         /* words along rows, [groups, rows / per] */
    AFFINE_AWQ,           /* the same of quants, [cols, rows / 8], and zero points, in an order of its own */
    AFFINE_ROWS_OF_WORDS, /* [rows, cols / per], and scales [rows, groups]; elsewhere [groups, rows] */
    AFFINE_BYTES          /* [rows, cols] with sign, scales as with ROWS_OF_WORDS */
};

/* `info` of a form that affine.c unpacks. */
struct affine_form {
    uint32_t bits;        /* 4 or 8 */
    uint32_t group;       /* columns with one scale, 0: a row's */
    uint32_t scales;      /* TENON_F_F16 or BF16 */
    uint32_t zero;        /* the zero point, or what each of those of the file lacks (ALONG), as one word that has borrowed */
    enum affine_layout quants, zeros;
    uint8_t scales_plane, zeros_plane, groups_plane; /* quants are plane 0; groups, of each column, where groups_plane is not 0 */
};

struct affine_weight {
    const struct affine_form *form;
    const void *const *planes;
    uint64_t rows, cols, groups;
};

static inline struct affine_weight affine_weight_of(const struct tenon_stored *s, const void *const *planes, uint64_t rows,
                                                    uint64_t cols)
{
    const struct affine_form *f = s->info;
    return (struct affine_weight){.form = f, .planes = planes, .rows = rows, .cols = cols,
                                  .groups = f->group != 0 ? cols / f->group : 1};
}

uint64_t cp_affine_plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols);
int32_t cp_affine_unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                         uint64_t n, void *const *tiles, struct tenon_err *err);
/* To the encodings with a scale for each number; to expanded_f32. */
int32_t cp_affine_unpack_sorted(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols,
                                uint64_t first, uint64_t n, void *const *tiles, struct tenon_err *err);
int32_t cp_affine_expand_sorted(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols,
                                uint64_t first, uint64_t n, void *const *tiles, struct tenon_err *err);
/* Are all groups of columns there, and in order unless sorted? INVALID_ARGUMENT. */
int32_t cp_affine_check_groups(const struct tenon_stored *s, const struct affine_weight *w, bool sorted, struct tenon_err *err);

#define AFFINE_FORM_BY(unpack_, name_, id_, encoding_, planes_, ...)                                                \
    static const struct affine_form name_##_form = {__VA_ARGS__};                                                   \
    const struct tenon_stored cp_##name_ = {.struct_size = sizeof(struct tenon_stored), .n_planes = (planes_), .id = (id_), \
        .encoding = &cp_##encoding_, .info = &name_##_form, .plane_bytes = cp_affine_plane_bytes, .unpack = (unpack_)}
#define AFFINE_FORM(name_, id_, encoding_, planes_, ...) AFFINE_FORM_BY(cp_affine_unpack, name_, id_, encoding_, planes_, __VA_ARGS__)

#endif
