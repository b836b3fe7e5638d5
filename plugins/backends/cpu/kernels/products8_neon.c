/* products8_neon.c - level neon: products by 8-bit activations, of bytes by smull. Contract: kernels.h; all code: products.h.
 * [any-thread] */
#include "simd_neon.h"

#define ACT_BITS 8
#define TOKENS 5 /* 10 chains, 10 sums, 2 registers of weights, 1 of activations: 23 of 32 */
#define DIRECT_TOKENS 2
#define DIRECT_MOST 2
#define DIRECT_MANY DIRECT_TOKENS
#define UNROLL

#include "products.h"
