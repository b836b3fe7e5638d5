/* matmul_avx512.c - level avx512: quantised activations and the micro-kernel of quantised products, by VNNI.
 *
 * Contract: kernels.h; the driver and the panel: matmul.h, unpack.h. [any-thread] */
#include "simd_avx512.h"

#include "levels.h"

/* vpdpbusd wants unsigned weights: Q8_0 moves up by 128. */
#define Q8_BIAS(x) _mm512_xor_si512(x, _mm512_set1_epi32((int)0x80808080))

#include "unpack.h"
#include "matmul.h"

#include <math.h>

/* ---- activations */

/* One block of 32; the same numbers as the scalar level's, see there. */
static void quantize_block(const float *x, int8_t *q, float *ret_d, int32_t half[2])
{
    const vi magnitude = vi_all(0x7fffffff);
    vf a = vf_load(x), b = vf_load(x + 16);
    uint32_t bits = (uint32_t)_mm512_reduce_max_epi32(vi_max(vi_and(vi_of_bits(a), magnitude), vi_and(vi_of_bits(b), magnitude)));
    float largest = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)bits)));
    if (bits >= 0x7f800000u || largest < 0x1p-100f) {
        memset(q, 0, 32);
        half[0] = half[1] = 0;
        *ret_d = bits >= 0x7f800000u ? NAN : 0.0f;
        return;
    }
    vf inverse = vf_all(127.0f / largest);
    vi i = vi_of_float(vf_mul(a, inverse)), k = vi_of_float(vf_mul(b, inverse));
    _mm_storeu_si128((void *)q, _mm512_cvtepi32_epi8(i));
    _mm_storeu_si128((void *)(q + 16), _mm512_cvtepi32_epi8(k));
    half[0] = _mm512_reduce_add_epi32(i);
    half[1] = _mm512_reduce_add_epi32(k);
    *ret_d = largest / 127.0f;
}

void cpu_quantize_avx512(const struct cpu_act *a, int64_t t0, int64_t t1)
{
    int64_t blocks = a->K / 32;
    for (int64_t t = t0; t < t1; t++)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t at = t * blocks + b;
            int32_t *half = a->sum16 + 2 * at;
            quantize_block(a->x + t * a->ldx + 32 * b, a->q + t * a->K + 32 * b, a->d + at, half);
            a->sum[at] = half[0] + half[1];
            a->ds[at] = a->d[at] * (float)a->sum[at];
        }
}

/* ---- the micro-kernel: 16 rows (lanes) x up to TOKENS tokens */

#define TOKENS 8 /* 8 chains and 8 registers of weights, of 32 */

struct kind {
    int shift;  /* panel weights carry an offset of 1 << shift, or -1: none */
    bool min;
    bool by_16;
};

/* 32 (or 16) products of each lane: groups first .. first + count of a block. vpdpbusd sums in 32 bits without saturation:
 * 32 * 255 * 127 is far from their end. Starting at minus offset times the sum of q leaves the signed product. */
INLINE vi dot(const vi *w, const int8_t *q, int groups, int32_t sum, int shift)
{
    vi acc = shift < 0 ? _mm512_setzero_si512() : vi_all((uint32_t)(-sum * (1 << (shift & 31))));
    for (int g = 0; g < groups; g++)
        acc = _mm512_dpbusd_epi32(acc, w[g], vi_all(load_group(q + 4 * g)));
    return acc;
}

INLINE vf link(vf acc, vf scale, float d, vi products)
{
    return vf_fma(vf_mul(scale, vf_all(d)), vf_of_int(products), acc);
}

/* Block b of the chunk onto the chain of token t. */
INLINE vf add_block(const struct job *j, const struct kind kind, const vi w[8], int64_t b, int64_t t, vf acc)
{
    const struct cpu_act *a = j->a;
    int64_t at = t * (a->K / 32) + j->block + b;
    const int8_t *q = a->q + 32 * at;
    if (kind.by_16) {
        acc = link(acc, vf_load(j->w.scale + 32 * b), a->d[at], dot(w, q, 4, a->sum16[2 * at], kind.shift));
        acc = link(acc, vf_load(j->w.scale + 32 * b + 16), a->d[at], dot(w + 4, q + 16, 4, a->sum16[2 * at + 1], kind.shift));
    } else {
        acc = link(acc, vf_load(j->w.scale + 16 * b), a->d[at], dot(w, q, 8, kind.shift < 0 ? 0 : a->sum[at], kind.shift));
    }
    return kind.min ? vf_fma(vf_load(j->w.min + 16 * b), vf_all(a->ds[at]), acc) : acc;
}

INLINE void tile(const struct job *j, const struct kind kind, int64_t t, const int tokens)
{
    vf acc[TOKENS];
    for (int i = 0; i < tokens; i++)
        acc[i] = load_chain(j, t + i, 0);
    for (int64_t b = 0; b < j->blocks; b++) {
        vi w[8];
        for (int g = 0; g < 8; g++)
            w[g] = vi_load(j->w.q + (b * 8 + g) * 64);
        for (int i = 0; i < tokens; i++)
            acc[i] = add_block(j, kind, w, b, t + i, acc[i]);
    }
    for (int i = 0; i < tokens; i++)
        store_chain(j, t + i, 0, acc[i]);
}

INLINE void run_tiles(const struct job *j, const struct kind kind, int64_t t0, int64_t t1)
{
    int64_t t = t0;
    for (; t + TOKENS <= t1; t += TOKENS)
        tile(j, kind, t, TOKENS);
    switch (t1 - t) {
    case 7: tile(j, kind, t, 7); break;
    case 6: tile(j, kind, t, 6); break;
    case 5: tile(j, kind, t, 5); break;
    case 4: tile(j, kind, t, 4); break;
    case 3: tile(j, kind, t, 3); break;
    case 2: tile(j, kind, t, 2); break;
    case 1: tile(j, kind, t, 1); break;
    default: break;
    }
}

static int bias_of(enum cpu_format format)
{
    return format == CPU_Q4_0 ? 8 : format == CPU_Q5_0 ? 16 : format == CPU_Q6_K ? 32 : format == CPU_Q8_0 ? 128 : 0;
}

static void run_panel(enum cpu_format format, const struct job *j, int64_t t0, int64_t t1)
{
    switch (format) {
    case CPU_Q4_0: run_tiles(j, (struct kind){ .shift = 3 }, t0, t1); break;
    case CPU_Q5_0: run_tiles(j, (struct kind){ .shift = 4 }, t0, t1); break;
    case CPU_Q8_0: run_tiles(j, (struct kind){ .shift = 7 }, t0, t1); break;
    case CPU_Q6_K: run_tiles(j, (struct kind){ .shift = 5, .by_16 = true }, t0, t1); break;
    default: run_tiles(j, (struct kind){ .shift = -1, .min = true }, t0, t1); break; /* Q4_1, Q4_K, Q5_K */
    }
}
