/* compressed.c - compressed-tensors, for a weight of N rows and K columns and groups of columns, or "channel": one for a row.
 *
 *     pack-quantized   weight_packed i32 [N, K * bits / 32], numbers of 4 or 8 bits, 8 or 128 above what they stand for;
 *                      weight_scale bf16 or f16 [N, groups]; "zero": weight_zero_point i32 [N * bits / 32 rounded up, groups],
 *                      words along N of numbers that are above in the same way
 *                      "act": weight_g_idx i32 [K] too, the group of each column
 *     int-quantized    weight i8 [N, K], weight_scale [N, 1]
 *
 * and x = (q - zero) * scale. Data only: affine.c makes blocks of it. Contract: tenon/quantizer.h. */
#include "checkpoints.h"

#define PACKED(name_, id_, encoding_, bits_, group_, format_)                                                                       \
    AFFINE_FORM(name_, id_ "/1", encoding_, 2, .bits = (bits_), .group = (group_), .zero = 1u << ((bits_) - 1), .scales = (format_), \
                .quants = AFFINE_ROWS_OF_WORDS, .scales_plane = 1);                                                                 \
    AFFINE_FORM(name_##_zero, id_ "_zero/1", encoding_, 3, .bits = (bits_), .group = (group_), .scales = (format_),                  \
                .quants = AFFINE_ROWS_OF_WORDS, .zeros = AFFINE_DOWN, .scales_plane = 1, .zeros_plane = 2)
#define FORMS(name_, g_, encoding_)                                                                              \
    PACKED(ct_int4_bf16_##name_, "ct.int4_bf16_" #name_, encoding_, 4, g_, TENON_F_BF16);                        \
    PACKED(ct_int4_f16_##name_, "ct.int4_f16_" #name_, encoding_, 4, g_, TENON_F_F16);                           \
    PACKED(ct_int8_bf16_##name_, "ct.int8_bf16_" #name_, affine_int8_b32, 8, g_, TENON_F_BF16);                  \
    PACKED(ct_int8_f16_##name_, "ct.int8_f16_" #name_, affine_int8_b32, 8, g_, TENON_F_F16)
FORMS(g32, 32, affine_int4_b32);
FORMS(g64, 64, affine_int4_b32);
FORMS(g128, 128, affine_int4_b128);
FORMS(channel, 0, affine_int4_b32);

/* Every number gets its scale, or is multiplied by it. */
#define SORTED(name_, id_, encoding_, unpack_, bits_, group_, format_)                                                                 \
    AFFINE_FORM_BY(unpack_, name_, id_ "/1", encoding_, 3, .bits = (bits_), .group = (group_),                                          \
                   .zero = 1u << ((bits_) - 1), .scales = (format_), .quants = AFFINE_ROWS_OF_WORDS, .scales_plane = 1,                 \
                   .groups_plane = 2);                                                                                                  \
    AFFINE_FORM_BY(unpack_, name_##_zero, id_ "_zero/1", encoding_, 4, .bits = (bits_), .group = (group_),                              \
                   .scales = (format_), .quants = AFFINE_ROWS_OF_WORDS, .zeros = AFFINE_DOWN, .scales_plane = 1, .zeros_plane = 2,      \
                   .groups_plane = 3)
#define SORTED_FORMS(g_)                                                                                                          \
    SORTED(ct_int4_bf16_act_g##g_, "ct.int4_bf16_act_g" #g_, scaled_int8_bf16, cp_affine_unpack_sorted, 4, g_, TENON_F_BF16);     \
    SORTED(ct_int4_f16_act_g##g_, "ct.int4_f16_act_g" #g_, scaled_int8, cp_affine_unpack_sorted, 4, g_, TENON_F_F16);             \
    SORTED(ct_int8_bf16_act_g##g_, "ct.int8_bf16_act_g" #g_, expanded_f32, cp_affine_expand_sorted, 8, g_, TENON_F_BF16);         \
    SORTED(ct_int8_f16_act_g##g_, "ct.int8_f16_act_g" #g_, expanded_f32, cp_affine_expand_sorted, 8, g_, TENON_F_F16)
SORTED_FORMS(32);
SORTED_FORMS(64);
SORTED_FORMS(128);

#define BYTES(name_, id_, format_) \
    AFFINE_FORM(name_, id_, affine_int8_b32, 2, .bits = 8, .scales = (format_), .quants = AFFINE_BYTES, .scales_plane = 1)
BYTES(ct_int8_bf16, "ct.int8_bf16/1", TENON_F_BF16);
BYTES(ct_int8_f16, "ct.int8_f16/1", TENON_F_F16);
