/* rows_avx512.c - level avx512 of norms, softmax, elementwise functions, conversions and rope: rows.h in this level's words.
 * [any-thread] Contract: kernels.h. */
#include "simd_avx512.h"

#include "rows.h"
