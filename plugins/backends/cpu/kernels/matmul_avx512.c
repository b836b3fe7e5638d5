/* matmul_avx512.c - level avx512: quantised activations and matrix products by VNNI. Contract: kernels.h; all code: matmul.h and
 * products.h.
 * [any-thread] */
#include "simd_avx512.h"

#define ACT_BITS 16
#define TOKENS 6 /* 12 chains, 12 sums, 2 registers of weights, 1 of activations: 27 of 32 */
#define DIRECT_TOKENS 2 /* of four, parts of sums for both halves of a dword leave no registers; two run as fast as panels of many */
#define DIRECT_MOST 4
#define DIRECT_MANY 32
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16") /* as a loop, gcc copies the sums around every turn */
#endif

#include "matmul.h"
#include "products.h"
