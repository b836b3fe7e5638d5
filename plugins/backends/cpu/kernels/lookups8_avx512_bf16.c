/* lookups8_avx512_bf16.c - level avx512_bf16: products of what is looked up by 8-bit activations. All code: lookups.h.
 * [any-thread] */
#define LEVEL(name) cpu_##name##_avx512_bf16
#include "simd_avx512.h"

#define ACT_BITS 8
#define DIRECT_TOKENS 8 /* as products8_avx512.c */
#define DIRECT_MOST 8

#include "lookups.h"
