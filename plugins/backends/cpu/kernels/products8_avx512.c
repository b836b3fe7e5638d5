/* products8_avx512.c - level avx512: products by 8-bit activations, of bytes by VNNI. Contract: kernels.h; all code: products.h.
 * [any-thread] */
#include "simd_avx512.h"

#define ACT_BITS 8
#define TOKENS 6 /* 12 chains, 12 sums, 2 registers of weights, 1 of activations: 27 of 32 */
#define DIRECT_TOKENS 8 /* 8 chains, 8 sums in each of two slots, the rest for unpacking */
#define DIRECT_MOST 8
#define DIRECT_MANY 32
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16") /* as a loop, gcc copies the sums around every turn */
#endif

#include "products.h"
