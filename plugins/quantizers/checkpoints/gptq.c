/* gptq.c - GPTQ as its packages store it (AutoGPTQ, GPTQModel): for a weight of N rows and K columns
 *
 *     qweight  i32 [K * bits / 32, N]         words along K: number k is bits (k % per) * bits of word [k / per, n]
 *     qzeros   i32 [K / group, N * bits / 32] words along N of zero points ("gptq_v2"), or those words less 0x11111111, of 8 bits
 *                                             0x01010101 ("gptq": one less each, and 0 borrows from the next)
 *     scales   f16 [K / group, N]
 *     g_idx    i32 [K]                        group of column k; in order, k / group, unless weights were sorted ("desc_act")
 *
 * and x = scale * (q - zero); "channel": one group for a row. Turned around by affine.c. Sorted ones have groups that are no runs
 * along a row: then every number gets its scale, or is multiplied by it, which is exact and needs no other order of the
 * activations. [any-thread] Contract: tenon/quantizer.h. */
#include "checkpoints.h"

enum { QWEIGHT, QZEROS, SCALES, G_IDX };

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const struct affine_weight w = affine_weight_of(s, planes, rows, cols);
    int32_t rc = cp_affine_check_groups(s, &w, false, err);
    return rc == TENON_OK ? cp_affine_unpack(s, planes, rows, cols, first, n, tiles, err) : rc;
}

#define FORM(name_, id_, encoding_, unpack_, bits_, group_, plus_)                                                                  \
    AFFINE_FORM_BY(unpack_, name_, id_, encoding_, 4, .bits = (bits_), .group = (group_), .zero = (plus_), .scales = TENON_F_F16,    \
                   .quants = AFFINE_DOWN, .zeros = AFFINE_ALONG, .zeros_plane = QZEROS, .scales_plane = SCALES, .groups_plane = G_IDX)
#define FORMS(name_, g_, encoding_)                                                                   \
    FORM(gptq_int4_##name_, "gptq.int4_" #name_ "/1", encoding_, unpack, 4, g_, 1);                   \
    FORM(gptq_int8_##name_, "gptq.int8_" #name_ "/1", affine_int8_b32, unpack, 8, g_, 1);             \
    FORM(gptq2_int4_##name_, "gptq_v2.int4_" #name_ "/1", encoding_, unpack, 4, g_, 0);               \
    FORM(gptq2_int8_##name_, "gptq_v2.int8_" #name_ "/1", affine_int8_b32, unpack, 8, g_, 0)
#define SORTED(bits_, encoding_, unpack_, name_, g_)                                                                       \
    FORM(gptq_int##bits_##_act_##name_, "gptq.int" #bits_ "_act_" #name_ "/1", encoding_, unpack_, bits_, g_, 1);          \
    FORM(gptq2_int##bits_##_act_##name_, "gptq_v2.int" #bits_ "_act_" #name_ "/1", encoding_, unpack_, bits_, g_, 0)
#define SORTED_FORMS(name_, g_)                                    \
    SORTED(4, scaled_int8, cp_affine_unpack_sorted, name_, g_);    \
    SORTED(8, expanded_f32, cp_affine_expand_sorted, name_, g_)
FORMS(g32, 32, affine_int4_b32);
FORMS(g64, 64, affine_int4_b32);
FORMS(g128, 128, affine_int4_b128);
FORMS(channel, 0, affine_int4_b32);
SORTED_FORMS(g32, 32);
SORTED_FORMS(g64, 64);
SORTED_FORMS(g128, 128);
