/* matmul_avx2.c - level avx2: quantised activations and the micro-kernel of quantised products, by maddubs.
 *
 * Contract: kernels.h; the driver and the panel: matmul.h, unpack.h. [any-thread] */
#include "simd_avx2.h"

#include "levels.h"

#define Q8_BIAS(x) (x) /* Q8_0 stays signed, see groups_signed() */

#include "unpack.h"
#include "matmul.h"

#include <math.h>

/* ---- activations */

INLINE uint32_t largest_bits(const vf x[4])
{
    const vi magnitude = vi_all(0x7fffffff);
    vi m = vi_and(vi_of_bits(x[0]), magnitude);
    for (int i = 1; i < 4; i++)
        m = vi_max(m, vi_and(vi_of_bits(x[i]), magnitude));
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}

INLINE int32_t sum_lanes(vi x)
{
    __m128i h = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    h = _mm_add_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}

/* One block of 32; the same numbers as the scalar level's, see there. */
static void quantize_block(const float *x, int8_t *q, float *ret_d, int32_t half[2])
{
    vf v[4] = { vf_load(x), vf_load(x + 8), vf_load(x + 16), vf_load(x + 24) };
    uint32_t bits = largest_bits(v);
    float largest = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)bits)));
    vi n[4];
    if (bits >= 0x7f800000u || largest < 0x1p-100f) {
        memset(q, 0, 32);
        half[0] = half[1] = 0;
        *ret_d = bits >= 0x7f800000u ? NAN : 0.0f;
        return;
    }
    for (int i = 0; i < 4; i++)
        n[i] = vi_of_float(vf_mul(v[i], vf_all(127.0f / largest)));
    vi bytes = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
    vi_store(q, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))); /* packs works by halves */
    half[0] = sum_lanes(vi_add(n[0], n[1]));
    half[1] = sum_lanes(vi_add(n[2], n[3]));
    *ret_d = largest / 127.0f;
}

void cpu_quantize_avx2(const struct cpu_act *a, int64_t t0, int64_t t1)
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

/* ---- the micro-kernel: 16 rows (two registers of lanes) x up to TOKENS tokens */

#define TOKENS 3 /* 6 chains, 6 sums, 2 registers of weights, 1 of activations: 15 of 16 */

struct kind {
    int shift;  /* panel weights carry an offset of 1 << shift, or -1: none */
    int narrow; /* groups of 4 columns that may be summed in 16 bits; 0: signed bytes */
    bool min;
    bool by_16;
};

/* maddubs gives w0 a0 + w1 a1 in 16 bits, |a| <= 127. Sums of `narrow` of them stay below 32768:
 * 4-bit weights 15 * 127 * 2 * 8 = 30480; 5-bit 31 * 127 * 2 * 4 = 31496; 6-bit 63 * 127 * 2 * 2 = 32004. Signed bytes go as
 * |w| times a with w's sign: 128 * 127 * 2 = 32512, one at a time. */
INLINE vi multiply(vi w, vi a, const struct kind kind)
{
    if (kind.narrow != 0)
        return _mm256_maddubs_epi16(w, a);
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
}

/* Integer products of groups first .. first + count of a block, 16 rows x tokens. */
INLINE void dots(const uint8_t *w, const int8_t *const *q, const struct kind kind, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
    const vi ones = _mm256_set1_epi16(1);
    const int narrow = kind.narrow == 0 ? 1 : kind.narrow;
    for (int g = 0; g < count; g += narrow) {
        vi part[2][TOKENS];
        for (int s = 0; s < narrow && g + s < count; s++) {
            const int at = first + g + s;
            vi low = vi_load(w + at * 64), high = vi_load(w + at * 64 + 32);
            for (int i = 0; i < tokens; i++) {
                vi a = vi_all(load_group(q[i] + 4 * at));
                vi p0 = multiply(low, a, kind), p1 = multiply(high, a, kind);
                part[0][i] = s == 0 ? p0 : _mm256_add_epi16(part[0][i], p0);
                part[1][i] = s == 0 ? p1 : _mm256_add_epi16(part[1][i], p1);
            }
        }
        for (int i = 0; i < tokens; i++)
            for (int h = 0; h < 2; h++) {
                vi wide = _mm256_madd_epi16(part[h][i], ones);
                sum[h][i] = g == 0 ? wide : vi_add(sum[h][i], wide);
            }
    }
}

/* The links of one scale (32 or 16 columns) on all chains of the tile. */
INLINE void link(const float *scale, const int32_t *const *asum, const float *d, int64_t at, const struct kind kind,
                 const int tokens, vi sum[2][TOKENS], vf acc[2][TOKENS])
{
    for (int i = 0; i < tokens; i++) {
        vi offset = kind.shift < 0 ? _mm256_setzero_si256() : vi_all((uint32_t)asum[i][at] << (kind.shift & 31));
        for (int h = 0; h < 2; h++) {
            vi exact = kind.shift < 0 ? sum[h][i] : vi_sub(sum[h][i], offset);
            acc[h][i] = vf_fma(vf_mul(vf_load(scale + 8 * h), vf_all(d[i])), vf_of_int(exact), acc[h][i]);
        }
    }
}

/* Where the tokens of a tile lie. */
struct rows {
    const int8_t *q[TOKENS];
    const int32_t *sum[TOKENS]; /* per 32, or per 16 where the kind says so */
    const float *d[TOKENS];
    const float *ds[TOKENS];
};

INLINE void add_block(const struct job *j, const struct kind kind, const struct rows *r, int64_t b, const int tokens,
                      vf acc[2][TOKENS])
{
    const int8_t *q[TOKENS];
    float d[TOKENS];
    vi sum[2][TOKENS];
    const uint8_t *w = j->w.q + b * 512;
    for (int i = 0; i < tokens; i++) {
        q[i] = r->q[i] + 32 * b;
        d[i] = r->d[i][b];
    }
    if (kind.by_16) {
        for (int half = 0; half < 2; half++) {
            dots(w, q, kind, 4 * half, 4, tokens, sum);
            link(j->w.scale + 32 * b + 16 * half, r->sum, d, 2 * b + half, kind, tokens, sum, acc);
        }
    } else {
        dots(w, q, kind, 0, 8, tokens, sum);
        link(j->w.scale + 16 * b, r->sum, d, b, kind, tokens, sum, acc);
    }
    if (kind.min)
        for (int i = 0; i < tokens; i++)
            for (int h = 0; h < 2; h++)
                acc[h][i] = vf_fma(vf_load(j->w.min + 16 * b + 8 * h), vf_all(r->ds[i][b]), acc[h][i]);
}

INLINE void tile(const struct job *j, const struct kind kind, int64_t t, const int tokens)
{
    const struct cpu_act *a = j->a;
    vf acc[2][TOKENS];
    struct rows r;
    for (int i = 0; i < tokens; i++) {
        int64_t at = (t + i) * (a->K / 32) + j->block;
        r.q[i] = a->q + 32 * at;
        r.d[i] = a->d + at;
        r.ds[i] = a->ds + at;
        r.sum[i] = kind.by_16 ? a->sum16 + 2 * at : a->sum + at;
        acc[0][i] = load_chain(j, t + i, 0);
        acc[1][i] = load_chain(j, t + i, 8);
    }
    for (int64_t b = 0; b < j->blocks; b++)
        add_block(j, kind, &r, b, tokens, acc);
    for (int i = 0; i < tokens; i++) {
        store_chain(j, t + i, 0, acc[0][i]);
        store_chain(j, t + i, 8, acc[1][i]);
    }
}

INLINE void run_tiles(const struct job *j, const struct kind kind, int64_t t0, int64_t t1)
{
    int64_t t = t0;
    for (; t + TOKENS <= t1; t += TOKENS)
        tile(j, kind, t, TOKENS);
    if (t1 - t == 2)
        tile(j, kind, t, 2);
    else if (t1 - t == 1)
        tile(j, kind, t, 1);
}

static int bias_of(enum cpu_format format)
{
    return format == CPU_Q4_0 ? 8 : format == CPU_Q5_0 ? 16 : format == CPU_Q6_K ? 32 : 0;
}

static void run_panel(enum cpu_format format, const struct job *j, int64_t t0, int64_t t1)
{
    switch (format) {
    case CPU_Q4_0: run_tiles(j, (struct kind){ .shift = 3, .narrow = 8 }, t0, t1); break;
    case CPU_Q5_0: run_tiles(j, (struct kind){ .shift = 4, .narrow = 4 }, t0, t1); break;
    case CPU_Q8_0: run_tiles(j, (struct kind){ .shift = -1, .narrow = 0 }, t0, t1); break;
    case CPU_Q5_K: run_tiles(j, (struct kind){ .shift = -1, .narrow = 4, .min = true }, t0, t1); break;
    case CPU_Q6_K: run_tiles(j, (struct kind){ .shift = 5, .narrow = 2, .by_16 = true }, t0, t1); break;
    default: run_tiles(j, (struct kind){ .shift = -1, .narrow = 8, .min = true }, t0, t1); break; /* Q4_1, Q4_K */
    }
}
