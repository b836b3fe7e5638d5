/* matmul_avx512_bf16.c - level avx512_bf16: products by bf16 weights where activations are narrow: those are rounded to bf16 (to
 * nearest even) on the way, and vdpbf16ps adds the products of two columns to each of 16 partial sums; denormals count as zero.
 * Weights that are looked up have products of their own for few tokens (lookups.h). Every other product is that of level avx512.
 * Contract: kernels.h; the walk over tiles: floats.h.
 * [any-thread] */
#include "simd_avx512.h"
#include "levels.h"

#define FLOAT_ROWS 8
#define FLOAT_TOKENS 3 /* 24 sums, 3 registers of activations, 1 of weights: 28 of 32 */
#define FLOAT_COLUMNS 32
typedef __m512bh float_word;

INLINE float_word load_weights(enum cpu_format format, const uint8_t *p)
{
    (void)format; /* always bf16 */
    return (__m512bh)_mm512_loadu_si512((const void *)p);
}

INLINE float_word load_activations(const float *x) { return _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + LANES), _mm512_loadu_ps(x)); }
INLINE vf add_product(vf acc, float_word w, float_word x) { return _mm512_dpbf16_ps(acc, w, x); }

#include "floats.h"

static bool looked_up(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, float *y,
                      int64_t ldy, const float *bias)
{
    return a->narrow ? cpu_lookups_8_avx512_bf16(w, a, t0, t1, n0, n1, y, ldy, bias)
                     : cpu_lookups_16_avx512_bf16(w, a, t0, t1, n0, n1, y, ldy, bias);
}

void cpu_matmul_avx512_bf16(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                            float *y, int64_t ldy, const float *bias, void *scratch)
{
    if (w->format == CPU_BF16 && a->narrow)
        multiply_floats(CPU_BF16, w, a, t0, t1, n0, n1, y, ldy, bias);
    else if (!looked_up(w, a, t0, t1, n0, n1, y, ldy, bias))
        cpu_matmul_avx512(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
}
