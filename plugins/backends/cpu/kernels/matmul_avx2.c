/* matmul_avx2.c - level avx2: quantised activations and matrix products by madd. Contract: kernels.h; all code: matmul.h and
 * products.h.
 * [any-thread] */
#include "simd_avx2.h"

#define ACT_BITS 16
#define TOKENS 3 /* 6 chains, 6 sums, 2 registers of weights, 1 of activations: 15 of 16 */
#define DIRECT_TOKENS 2
#define DIRECT_MOST 2
#define DIRECT_MANY DIRECT_TOKENS
#define UNROLL /* unrolled, gcc runs out of registers */

#include "matmul.h"
#include "products.h"
