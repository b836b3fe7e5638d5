/* products8_i8mm.c - level i8mm: products by 8-bit activations, of two tokens by two rows by smmla. Contract: kernels.h; all code:
 * products.h.
 * [any-thread] */
#include "simd_i8mm.h"

#define ACT_BITS 8
#define TOKENS 6 /* 12 chains, 12 sums, 3 registers of activations, 1 of weights: 28 of 32 */
#define DIRECT_BY cpu_products_8_dotprod
#define DIRECT_TOKENS 2
#define DIRECT_MOST 2
#define DIRECT_MANY DIRECT_TOKENS
#define UNROLL

#include "products.h"
