/* matmul_i8mm.c - level i8mm: quantised activations and matrix products, of two tokens by two rows by smmla and usmmla. Contract:
 * kernels.h; all code: matmul.h and products.h.
 * [any-thread] */
#include "simd_i8mm.h"

#define ACT_BITS 16
#define TOKENS 4 /* 16 sums, 8 chains, 4 registers of activations, 1 of weights: 29 of 32 */
#define DIRECT_BY cpu_products_16_dotprod
#define DIRECT_TOKENS 2
#define DIRECT_MOST 2
#define DIRECT_MANY DIRECT_TOKENS
#define UNROLL
#define FLOATS_BY cpu_products_float_neon

#include "matmul.h"
#include "products.h"
