/* floats_avx2.c - level avx2: products by float weights. Contract: kernels.h; all code: floats.h.
 * [any-thread] */
#include "simd_avx2.h"

#define FLOAT_ROWS 4
#define FLOAT_TOKENS 3 /* 12 sums, 3 registers of activations, 1 of weights: all 16 */

#include "floats.h"
