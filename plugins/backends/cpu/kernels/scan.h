/* scan.h - recurrences over tokens, and the layer norm, for every vector level. Lanes run along the elements of v and y (columns
 * of M), or along channels; each is one chain in order of rows, so neither chunks of tokens nor widths change a bit.
 * Include after simd_*.h. Contract: kernels.h. */
#ifndef TENON_CPU_SCAN_H
#define TENON_CPU_SCAN_H

#include "levels.h"

#include <math.h>
#include <stddef.h>

#define SCAN_VECTORS 4 /* columns of so many vectors at once: chains that do not wait for each other */

/* Vector j of n, of which the last has lanes `last` (full vectors: all). */
INLINE vf column_load(const float *p, int j, int n, vmask last)
{
    return n == SCAN_VECTORS || j + 1 < n ? vf_load(p + (int64_t)j * LANES) : vf_load_some(p + (int64_t)j * LANES, last);
}

INLINE void column_store(float *p, int j, int n, vmask last, vf x)
{
    if (n == SCAN_VECTORS || j + 1 < n)
        vf_store(p + (int64_t)j * LANES, x);
    else
        vf_store_some(p + (int64_t)j * LANES, last, x);
}

/* What is added along k: v, scaled; or beta times what M does not yet answer to k. M is decayed on the way. */
INLINE void scan_add(const struct cpu_outer *o, int64_t row, const float *k, const float *v, float *m, int n, vmask last,
                     vf add[SCAN_VECTORS])
{
    vf decay = vf_all(o->decay[row]), factor = vf_all(o->beta != NULL ? o->beta[row] : o->k_scale != NULL ? o->k_scale[row] : 1.0f);
    vf known[SCAN_VECTORS];
    for (int j = 0; j < n; j++)
        known[j] = vf_zero();
    for (int64_t d = 0; o->beta != NULL && d < o->d; d++)
        for (int j = 0; j < n; j++)
            known[j] = vf_fma(vf_mul(decay, column_load(m + d * o->e, j, n, last)), vf_all(k[d]), known[j]);
    for (int j = 0; j < n; j++)
        add[j] = vf_mul(factor, vf_sub(column_load(v, j, n, last), known[j]));
}

INLINE void scan_token(const struct cpu_outer *o, int64_t t, int64_t h, float *m, int64_t e0, int n, vmask last, float *y)
{
    int64_t row = t * o->heads + h, from = (t * o->groups + h / (o->heads / o->groups)) * o->d;
    const float *k = o->k + from, *q = o->q + from, *v = o->v + row * o->e + e0;
    vf decay = vf_all(o->decay[row]), skip = vf_all(o->skip != NULL ? o->skip[h] : 0.0f), add[SCAN_VECTORS], sum[SCAN_VECTORS];
    scan_add(o, row, k, v, m, n, last, add);
    for (int j = 0; j < n; j++)
        sum[j] = o->skip != NULL ? vf_mul(skip, column_load(v, j, n, last)) : vf_zero();
    for (int64_t d = 0; d < o->d; d++)
        for (int j = 0; j < n; j++) {
            vf cell = vf_fma(vf_all(k[d]), add[j], vf_mul(decay, column_load(m + d * o->e, j, n, last)));
            column_store(m + d * o->e, j, n, last, cell);
            sum[j] = vf_fma(cell, vf_all(q[d]), sum[j]);
        }
    for (int j = 0; j < n; j++)
        column_store(y + row * o->e + e0, j, n, last, sum[j]);
}

INLINE void scan_columns(const struct cpu_outer *o, int64_t t0, int64_t t1, int64_t h, float *m, int64_t e0, int n, vmask last,
                         float *y)
{
    for (int64_t t = t0; t < t1; t++)
        scan_token(o, t, h, m + e0, e0, n, last, y);
}

void LEVEL(outer_scan)(const struct cpu_outer *o, int64_t t0, int64_t t1, int64_t h, float *m, float *y)
{
    int64_t e = 0;
    for (; e + SCAN_VECTORS * LANES <= o->e; e += SCAN_VECTORS * LANES)
        scan_columns(o, t0, t1, h, m, e, SCAN_VECTORS, vmask_range(0, LANES), y);
    for (; e < o->e; e += LANES) /* fewer: one vector after the other */
        scan_columns(o, t0, t1, h, m, e, 1, vmask_range(0, o->e - e < LANES ? (int)(o->e - e) : LANES), y);
}

void LEVEL(conv_row)(const float *const *rows, const float *w, int64_t ldw, const float *bias, int64_t K, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i += LANES) {
        vmask some = vmask_range(0, n - i < LANES ? (int)(n - i) : LANES);
        vf sum = bias != NULL ? vf_load_some(bias + i, some) : vf_zero();
        for (int64_t k = 0; k < K; k++)
            sum = vf_fma(vf_load_some(w + k * ldw + i, some), vf_load_some(rows[k] + i, some), sum);
        vf_store_some(y + i, some, sum);
    }
}

/* Vector i of K elements, past whose end come zeros. */
INLINE vf norm_load(const float *p, int64_t i, int64_t K)
{
    return vf_load_some(p + i, vmask_range(0, K - i < LANES ? (int)(K - i) : LANES));
}

/* The elements' distances from the mean, which is mean + rest: one float is not exact enough where all are far from zero. */
INLINE vf norm_off(const float *x, int64_t i, int64_t K, vf mean, vf rest)
{
    vf off = vf_sub(vf_sub(norm_load(x, i, K), mean), rest);
    return K - i < LANES ? vf_pick(vmask_range(0, (int)(K - i)), off, vf_zero()) : off;
}

void LEVEL(layer_norm)(const float *x, const float *w, const float *bias, int64_t K, float eps, float *y)
{
    vf sum = vf_zero(), off = vf_zero(), squares = vf_zero(), mean, rest, scale;
    for (int64_t i = 0; i < K; i += LANES)
        sum = vf_add(sum, norm_load(x, i, K));
    mean = vf_all(vf_sum(sum) / (float)K);
    for (int64_t i = 0; i < K; i += LANES)
        off = vf_add(off, norm_off(x, i, K, mean, vf_zero()));
    rest = vf_all(vf_sum(off) / (float)K);
    for (int64_t i = 0; i < K; i += LANES) {
        vf d = norm_off(x, i, K, mean, rest);
        squares = vf_fma(d, d, squares);
    }
    scale = vf_all(1.0f / sqrtf(vf_sum(squares) / (float)K + eps));
    for (int64_t i = 0; i < K; i += LANES) {
        vf v = vf_mul(norm_off(x, i, K, mean, rest), scale);
        v = w != NULL ? vf_mul(v, norm_load(w, i, K)) : v;
        v = bias != NULL ? vf_add(v, norm_load(bias, i, K)) : v;
        vf_store_some(y + i, vmask_range(0, K - i < LANES ? (int)(K - i) : LANES), v);
    }
}

#endif
