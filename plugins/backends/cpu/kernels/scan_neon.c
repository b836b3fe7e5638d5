/* scan_neon.c - level neon of recurrences and the layer norm: scan.h in this level's words. [any-thread] Contract: kernels.h. */
#include "simd_neon.h"

#include "scan.h"
