/* products8_dotprod.c - level dotprod: products by 8-bit activations, of bytes by sdot. Contract: kernels.h; all code: products.h.
 * [any-thread] */
#include "simd_dotprod.h"

#define ACT_BITS 8
#define TOKENS 6 /* 12 chains, 12 sums, 2 registers of weights, 1 of activations: 27 of 32 */
#define DIRECT_TOKENS 2
#define DIRECT_MOST 2
#define DIRECT_MANY DIRECT_TOKENS
#define UNROLL

#include "products.h"
