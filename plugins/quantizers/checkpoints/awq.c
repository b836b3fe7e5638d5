/* awq.c - AWQ as its packages store it ("gemm"): for a weight of N rows and K columns
 *
 *     qweight  i32 [K, N / 8]         eight numbers of 4 bits along N, in the order 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits
 *     qzeros   i32 [K / group, N / 8] the same
 *     scales   f16 [K / group, N]
 *
 * and x = scale * (q - zero). Data only: affine.c turns it around. Contract: tenon/quantizer.h. */
#include "checkpoints.h"

#define FORM(g_, encoding_)                                                                                                             \
    AFFINE_FORM(awq_int4_g##g_, "awq.int4_g" #g_ "/1", encoding_, 3, .bits = 4, .group = g_, .scales = TENON_F_F16, .quants = AFFINE_AWQ, \
                .zeros = AFFINE_AWQ, .zeros_plane = 1, .scales_plane = 2)
FORM(32, affine_int4_b32);
FORM(64, affine_int4_b32);
FORM(128, affine_int4_b128);
