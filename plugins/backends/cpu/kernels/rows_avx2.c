/* rows_avx2.c - level avx2 of norms, softmax, elementwise functions, conversions and rope: rows.h in this level's words.
 * [any-thread] Contract: kernels.h. */
#include "simd_avx2.h"

#include "rows.h"
