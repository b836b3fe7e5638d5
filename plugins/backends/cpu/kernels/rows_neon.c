/* rows_neon.c - level neon of norms, softmax, elementwise functions, conversions and rope: rows.h in this level's words.
 * [any-thread] Contract: kernels.h. */
#include "simd_neon.h"

#include "rows.h"
