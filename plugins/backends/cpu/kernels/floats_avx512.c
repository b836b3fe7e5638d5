/* floats_avx512.c - level avx512: products by float weights. Contract: kernels.h; all code: floats.h.
 * [any-thread] */
#include "simd_avx512.h"

#define FLOAT_ROWS 8
#define FLOAT_TOKENS 3 /* 24 sums, 3 registers of activations, 1 of weights: 28 of 32 */
#define MANY_ROWS 4
#define MANY_TOKENS 6  /* 24, 6 and 1: 31 */

#include "floats.h"
