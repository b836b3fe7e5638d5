/* matmul_dotprod.c - level dotprod: quantised activations and matrix products by sdot. Contract: kernels.h; all code: matmul.h and
 * products.h.
 * [any-thread] */
#include "simd_dotprod.h"

#define ACT_BITS 16
#define TOKENS 3 /* 12 sums and 2 of weights alone, 6 of activations, 6 chains, 2 of weights: 28 of 32 */
#define DIRECT_TOKENS 2
#define DIRECT_MOST 2
#define DIRECT_MANY DIRECT_TOKENS
#define UNROLL
#define FLOATS_BY cpu_products_float_neon

#include "matmul.h"
#include "products.h"
