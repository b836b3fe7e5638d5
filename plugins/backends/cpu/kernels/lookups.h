/* lookups.h - products of few tokens by packed weights that are looked up in tables, for processors that look at six bits of a place (vpermb
 * of AVX512_VBMI) and so need no mask where four are meant, and that turn matrices of bits (GFNI), by which sums of activations are looked
 * up where weights of IQ1_M would be put together: to the same bits as without.
 * Include after simd_avx512.h. The file says ACT_BITS, DIRECT_TOKENS and DIRECT_MOST as for products.h. */
#ifndef TENON_CPU_LOOKUPS_H
#define TENON_CPU_LOOKUPS_H

#include "direct.h"

KEPT_LOOKED_UP(DIRECT_PACKED)
PACKED_LOOKED_UP(DIRECT_PACKED)
#undef DIRECT_PACKED

#if ACT_BITS == 8
#define LOOKUPS LEVEL(lookups_8)
#else
#define LOOKUPS LEVEL(lookups_16)
#endif

bool LOOKUPS(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, float *y, int64_t ldy,
             const float *bias)
{
    if (!m->packed || t1 - t0 > DIRECT_MOST || (cpu_reads_moved(m->format) && a->moved == NULL))
        return false;
    switch ((int)m->format) {
#define DIRECT_PACKED(format, unpack, bytes, blocks, scales) \
    case (int)format: direct_packed_##format(m, a, t0, t1, n0, n1, y, ldy, bias); return true;
        KEPT_LOOKED_UP(DIRECT_PACKED)
        PACKED_LOOKED_UP(DIRECT_PACKED)
#undef DIRECT_PACKED
    default: return false;
    }
}

#endif
