/* rows.h - norms, softmax, elementwise functions, conversions and rope, for every vector level.
 *
 * Each elementwise function is one formula on a vector; the last few elements go through it in a padded copy, so no element's
 * bits depend on where it stands. Functions without a vector formula here take the C library's value by value.
 * Include after simd_*.h. Formulas and bounds: tenon/ops.h. */
#ifndef TENON_CPU_ROWS_H
#define TENON_CPU_ROWS_H

#include "levels.h"
#include "vmath.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Load and store the last n < LANES floats. */
INLINE vf load_tail(const float *p, int64_t n)
{
    return vf_load_some(p, vmask_range(0, (int)n));
}

INLINE void store_tail(float *p, int64_t n, vf x)
{
    vf_store_some(p, vmask_range(0, (int)n), x);
}

/* y[i] = FORMULA of `a` (and `b`), vectors of elements i.. of the inputs. */
#define EACH(n, y, LOAD_A, LOAD_B, FORMULA)               \
    do {                                                  \
        int64_t i = 0;                                    \
        for (; i + LANES <= (n); i += LANES) {            \
            vf a = vf_load((LOAD_A) + i);                 \
            vf b = vf_load((LOAD_B) + i);                 \
            (void)b;                                      \
            vf_store((y) + i, FORMULA);                   \
        }                                                 \
        if (i < (n)) {                                    \
            vf a = load_tail((LOAD_A) + i, (n) - i);      \
            vf b = load_tail((LOAD_B) + i, (n) - i);      \
            (void)b;                                      \
            store_tail((y) + i, (n) - i, FORMULA);        \
        }                                                 \
    } while (0)

void LEVEL(add)(const float *x, const float *z, int64_t n, float *y)
{
    EACH(n, y, x, z, vf_add(a, b));
}

void LEVEL(mul)(const float *x, const float *z, int64_t n, float *y)
{
    EACH(n, y, x, z, vf_mul(a, b));
}

void LEVEL(affine)(const float *x, float scale, float shift, int64_t n, float *y)
{
    vf s = vf_all(scale), t = vf_all(shift);
    EACH(n, y, x, x, vf_fma(a, s, t));
}

void LEVEL(softcap)(const float *x, float cap, int64_t n, float *y)
{
    vf c = vf_all(cap);
    EACH(n, y, x, x, vf_mul(c, vf_tanh(vf_div(a, c))));
}

/* ---- unary functions; x[K]: the kinds with a vector formula */

#define UNARY_FORMULAS(X)                                                             \
    X(CPU_NEG, vf_xor(a, vf_all(-0.0f)))                                              \
    X(CPU_ABS, vf_and_bits(a, 0x7fffffffu))                                           \
    X(CPU_SQRT, vf_sqrt(a))                                                           \
    X(CPU_RSQRT, vf_div(vf_all(1.0f), vf_sqrt(a)))                                    \
    X(CPU_EXP, vf_exp(a))                                                             \
    X(CPU_TANH, vf_tanh(a))                                                           \
    X(CPU_SIGMOID, vf_sigmoid(a))                                                     \
    X(CPU_RELU, vf_max(vf_zero(), a))                                                 \
    X(CPU_RELU2, vf_mul(vf_max(vf_zero(), a), vf_max(vf_zero(), a)))                  \
    X(CPU_SILU, vf_silu(a))                                                           \
    X(CPU_GELU, vf_gelu(a))                                                           \
    X(CPU_GELU_TANH, vf_gelu_tanh(a))                                                 \
    X(CPU_GELU_QUICK, vf_gelu_quick(a))

void LEVEL(unary)(enum cpu_unary kind, const float *x, int64_t n, float *y)
{
    switch (kind) {
#define UNARY_CASE(name, formula) \
    case name: EACH(n, y, x, x, formula); break;
        UNARY_FORMULAS(UNARY_CASE)
#undef UNARY_CASE
    default:
        for (int64_t i = 0; i < n; i++)
            y[i] = cpu_unary_one(kind, x[i]);
        break;
    }
}

void LEVEL(unary_mul)(enum cpu_unary kind, const float *g, const float *u, int64_t n, float *y)
{
    switch (kind) {
#define UNARY_CASE(name, formula) \
    case name: EACH(n, y, g, u, vf_mul(formula, b)); break;
        UNARY_FORMULAS(UNARY_CASE)
#undef UNARY_CASE
    default:
        for (int64_t i = 0; i < n; i++)
            y[i] = cpu_unary_one(kind, g[i]) * u[i];
        break;
    }
}

/* ---- reductions of one row: four vectors of partial sums, then one tree */

void LEVEL(rms_norm)(const float *x, const float *w, int64_t K, float eps, float *y)
{
    vf s[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
    int64_t k = 0;
    for (; k + 4 * LANES <= K; k += 4 * LANES)
        for (int i = 0; i < 4; i++)
            s[i] = vf_fma(vf_load(x + k + i * LANES), vf_load(x + k + i * LANES), s[i]);
    for (; k < K; k += LANES) {
        vf a = K - k < LANES ? load_tail(x + k, K - k) : vf_load(x + k);
        s[0] = vf_fma(a, a, s[0]);
    }
    float sum = vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
    vf scale = vf_all(1.0f / sqrtf(sum / (float)K + eps));
    if (w != NULL)
        EACH(K, y, x, w, vf_mul(vf_mul(a, scale), b));
    else
        EACH(K, y, x, x, vf_mul(a, scale));
}

/* Largest of scale * x and `least`; NaN where the comparison happened to keep one. */
static float largest(const float *x, int64_t K, vf scale, float least)
{
    vf max = vf_all(least);
    int64_t k = 0;
    for (; k + LANES <= K; k += LANES)
        max = vf_max(vf_mul(vf_load(x + k), scale), max);
    if (k < K)
        max = vf_pick(vmask_range(0, (int)(K - k)), vf_max(vf_mul(load_tail(x + k, K - k), scale), max), max);
    return vf_max_lanes(max);
}

void LEVEL(softmax)(const float *x, int64_t K, float scale, const float *sink, float *y)
{
    vf s = vf_all(scale), sum = vf_zero(), low;
    float max = largest(x, K, s, sink != NULL ? *sink : -INFINITY), total;
    if (max == -INFINITY)
        max = 0.0f; /* nothing is visible: every e below is 0, and a NaN stays one */
    low = vf_all(max);
    EACH(K, y, x, x, vf_exp(vf_sub(vf_mul(a, s), low)));
    int64_t k = 0;
    for (; k + LANES <= K; k += LANES)
        sum = vf_add(sum, vf_load(y + k));
    if (k < K)
        sum = vf_add(sum, load_tail(y + k, K - k));
    total = vf_sum(sum) + (sink != NULL ? expf(*sink - max) : 0.0f);
    if (total == 0.0f)
        memset(y, 0, (size_t)K * sizeof *y);
    else
        EACH(K, y, y, y, vf_div(a, vf_all(total)));
}

/* ---- conversions */

void LEVEL(f32_to_f16)(const float *x, int64_t n, uint16_t *y)
{
    uint16_t last[LANES];
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store_f16(y + i, vf_load(x + i));
    if (i < n) {
        vf_store_f16(last, load_tail(x + i, n - i));
        memcpy(y + i, last, (size_t)(n - i) * sizeof *y);
    }
}

void LEVEL(f16_to_f32)(const uint16_t *x, int64_t n, float *y)
{
    uint16_t last[LANES] = { 0 };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(y + i, vf_load_f16(x + i));
    if (i < n) {
        memcpy(last, x + i, (size_t)(n - i) * sizeof *x);
        store_tail(y + i, n - i, vf_load_f16(last));
    }
}

/* To nearest even on the upper 16 bits; NaN keeps a bit there. */
INLINE vi bf16_bits(vf x)
{
    vi bits = vi_of_bits(x), odd = vi_and(vi_shr(bits, 16), vi_all(1));
    vi rounded = vi_shr(vi_add(bits, vi_add(odd, vi_all(0x7fff))), 16);
    vi quiet = vi_or(vi_shr(bits, 16), vi_all(0x40));
    return vi_of_bits(vf_pick(vf_is_nan(x), vf_of_bits(quiet), vf_of_bits(rounded)));
}

void LEVEL(f32_to_bf16)(const float *x, int64_t n, uint16_t *y)
{
    uint16_t last[LANES];
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vi_store_u16(y + i, bf16_bits(vf_load(x + i)));
    if (i < n) {
        vi_store_u16(last, bf16_bits(load_tail(x + i, n - i)));
        memcpy(y + i, last, (size_t)(n - i) * sizeof *y);
    }
}

void LEVEL(bf16_to_f32)(const uint16_t *x, int64_t n, float *y)
{
    uint16_t last[LANES] = { 0 };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(y + i, vf_load_bf16(x + i));
    if (i < n) {
        memcpy(last, x + i, (size_t)(n - i) * sizeof *x);
        store_tail(y + i, n - i, vf_load_bf16(last));
    }
}

/* ---- rope */

/* Pairs (j, j + pairs) of one head. */
static void turn_halves(float *x, int32_t pairs, const float *cos, const float *sin)
{
    for (int32_t j = 0; j < pairs; j += LANES) {
        vmask m = vmask_range(0, pairs - j);
        vf a = vf_load_some(x + j, m), b = vf_load_some(x + pairs + j, m);
        vf c = vf_load_some(cos + j, m), s = vf_load_some(sin + j, m);
        vf_store_some(x + j, m, vf_fnma(b, s, vf_mul(a, c)));
        vf_store_some(x + pairs + j, m, vf_fma(a, s, vf_mul(b, c)));
    }
}

void LEVEL(rope)(const struct cpu_rope *r, const float *cos, const float *sin, int32_t heads, int32_t dim, float *x)
{
    if (r->interleaved) {
        cpu_rope_scalar(r, cos, sin, heads, dim, x); /* neighbours: too little to gain */
        return;
    }
    for (int32_t h = 0; h < heads; h++)
        turn_halves(x + (int64_t)h * dim, r->n_rot / 2, cos, sin);
}

#endif
