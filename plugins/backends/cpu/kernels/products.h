/* products.h - products by quantised weights, for every vector level and both widths of activations: straight from the file or by
 * panels.
 *
 * With few tokens weights go through registers into the products, LANES rows at a time. With more, PANEL_ROWS rows x
 * PANEL_COLS columns are unpacked into a panel once and run against all tokens. Both are the same chain of exact integer sums
 * and fused links, block after block; between panels of one row the unfinished chains lie in y, exactly. So T never changes a bit.
 * Include after simd_*.h. The file says how wide activations are, ACT_BITS 8 or 16, and how many tokens the level's registers hold:
 * TOKENS in a tile of a panel (2 * TOKENS chains, as many sums), DIRECT_TOKENS without one; up to how many tokens packed weights
 * go without a panel: DIRECT_MANY where that is as fast, DIRECT_MOST in others; and by UNROLL whether the
 * loop over a block's columns is unrolled. */
#ifndef TENON_CPU_PRODUCTS_H
#define TENON_CPU_PRODUCTS_H

#include "direct.h"
#include "panels.h"

#if ACT_BITS == 8
#define PRODUCTS LEVEL(products_8)
#else
#define PRODUCTS LEVEL(products_16)
#endif

#ifdef DIRECT_BY /* what the level has no products of its own for: those of another, to the same bits */
INLINE void multiply_direct(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                            float *y, int64_t ldy, const float *bias)
{
    DIRECT_BY(m, a, t0, t1, n0, n1, y, ldy, bias, NULL);
}
#else
KEPT_FORMATS(DIRECT_FILE)
FILE_FORMATS(DIRECT_FILE)
KEPT_FORMATS(DIRECT_PACKED)
PACKED_FORMATS(DIRECT_PACKED)
#undef DIRECT
#undef DIRECT_FILE
#undef DIRECT_PACKED

static void multiply_direct(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                            float *y, int64_t ldy, const float *bias)
{
    switch (m->format + (m->packed ? CPU_FORMATS_ALL : 0)) {
#define DIRECT_FILE(format, unpack, bytes, blocks, scales) \
    case (int)format: direct_file_##format(m, a, t0, t1, n0, n1, y, ldy, bias); break;
#define DIRECT_PACKED(format, unpack, bytes, blocks, scales) \
    case (int)format + CPU_FORMATS_ALL: direct_packed_##format(m, a, t0, t1, n0, n1, y, ldy, bias); break;
        KEPT_FORMATS(DIRECT_FILE)
        FILE_FORMATS(DIRECT_FILE)
        KEPT_FORMATS(DIRECT_PACKED)
        PACKED_FORMATS(DIRECT_PACKED)
#undef DIRECT_FILE
#undef DIRECT_PACKED
    default: break;
    }
}
#endif

/* Two tokens at a time unpack the weights over and over: what that costs nothing, whole bytes and nibbles without more. */
INLINE bool in_reach(const enum cpu_format format)
{
    return format == CPU_Q4_0 || format == CPU_Q4_1 || format == CPU_Q8_0;
}

/* Up to so many tokens go without a panel. Q6_K in the file's order has eight sums under way as it is. */
static int64_t direct_most(const struct cpu_matrix *w)
{
    if (w->rows < LANES && !w->packed)
        return 0;
    if (w->packed && (DIRECT_TOKENS == 2 ? in_reach(w->format) : is_frequent(w->format)))
        return DIRECT_MANY;
    return w->packed ? DIRECT_MOST : w->format == CPU_Q6_K ? 1 : 2;
}

void PRODUCTS(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, float *y,
              int64_t ldy, const float *bias, void *scratch)
{
    if (t1 - t0 <= direct_most(w))
        multiply_direct(w, a, t0, t1, n0, n1, y, ldy, bias);
    else
        multiply_panels(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
}

#endif
