/* simd_dotprod.h - the vector words of level dotprod: those of neon, under another name. */
#define LEVEL(name) cpu_##name##_dotprod
#include "simd_neon.h"
