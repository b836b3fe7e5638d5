/* scan_avx2.c - level avx2 of recurrences and the layer norm: scan.h in this level's words. [any-thread] Contract: kernels.h. */
#include "simd_avx2.h"

#include "scan.h"
