/* lookups16_avx512_bf16.c - level avx512_bf16: products of what is looked up by 16-bit activations. All code: lookups.h.
 * [any-thread] */
#define LEVEL(name) cpu_##name##_avx512_bf16
#include "simd_avx512.h"

#define ACT_BITS 16
#define DIRECT_TOKENS 2 /* as matmul_avx512.c */
#define DIRECT_MOST 4

#include "lookups.h"
