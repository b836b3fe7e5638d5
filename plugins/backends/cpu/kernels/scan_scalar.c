/* scan_scalar.c - recurrences over tokens and the layer norm in plain C. [any-thread] Contract: kernels.h. */
#include "levels.h"

#include <math.h>
#include <stddef.h>

/* Column e of M for token t; m: its first cell. */
static float scan_cell(const struct cpu_outer *o, int64_t t, int64_t h, int64_t e, float *m)
{
    int64_t row = t * o->heads + h, from = (t * o->groups + h / (o->heads / o->groups)) * o->d;
    const float *k = o->k + from, *q = o->q + from;
    float decay = o->decay[row], v = o->v[row * o->e + e], known = 0.0f, y = o->skip != NULL ? o->skip[h] * v : 0.0f, add;
    for (int64_t d = 0; o->beta != NULL && d < o->d; d++)
        known += decay * m[d * o->e] * k[d];
    add = (o->beta != NULL ? o->beta[row] : o->k_scale != NULL ? o->k_scale[row] : 1.0f) * (v - known);
    for (int64_t d = 0; d < o->d; d++) {
        m[d * o->e] = decay * m[d * o->e] + k[d] * add;
        y += m[d * o->e] * q[d];
    }
    return y;
}

void cpu_outer_scan_scalar(const struct cpu_outer *o, int64_t t0, int64_t t1, int64_t h, float *m, float *y)
{
    for (int64_t t = t0; t < t1; t++)
        for (int64_t e = 0; e < o->e; e++)
            y[(t * o->heads + h) * o->e + e] = scan_cell(o, t, h, e, m + e);
}

void cpu_conv_row_scalar(const float *const *rows, const float *w, int64_t ldw, const float *bias, int64_t K, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++) {
        float sum = bias != NULL ? bias[i] : 0.0f;
        for (int64_t k = 0; k < K; k++)
            sum += w[k * ldw + i] * rows[k][i];
        y[i] = sum;
    }
}

void cpu_layer_norm_scalar(const float *x, const float *w, const float *bias, int64_t K, float eps, float *y)
{
    float mean = 0.0f, rest = 0.0f, squares = 0.0f, scale; /* mean + rest: one float is not exact enough far from zero */
    for (int64_t i = 0; i < K; i++)
        mean += x[i];
    mean /= (float)K;
    for (int64_t i = 0; i < K; i++)
        rest += x[i] - mean;
    rest /= (float)K;
    for (int64_t i = 0; i < K; i++)
        squares += (x[i] - mean - rest) * (x[i] - mean - rest);
    scale = 1.0f / sqrtf(squares / (float)K + eps);
    for (int64_t i = 0; i < K; i++) {
        float v = (x[i] - mean - rest) * scale * (w != NULL ? w[i] : 1.0f);
        y[i] = bias != NULL ? v + bias[i] : v;
    }
}
