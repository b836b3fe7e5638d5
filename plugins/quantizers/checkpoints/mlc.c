/* mlc.c - mlc-llm's q4f16_1: rows of words of eight numbers of 4 bits, q_weight u32 [N, K / 8], and a half float for 32 of them,
 * q_scale f16 [N, K / 32]: x = (q - 7) * scale. Data only. Contract: tenon/quantizer.h. */
#include "checkpoints.h"

AFFINE_FORM(mlc_q4f16_1, "mlc.q4f16_1/1", affine_int4_b32, 2, .bits = 4, .group = 32, .zero = 7, .scales = TENON_F_F16,
            .quants = AFFINE_ROWS_OF_WORDS, .scales_plane = 1);
