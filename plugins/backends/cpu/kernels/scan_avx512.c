/* scan_avx512.c - level avx512 of recurrences and the layer norm: scan.h in this level's words. [any-thread] Contract:
 * kernels.h. */
#include "simd_avx512.h"

#include "scan.h"
