/* rows_scalar.c - norms, softmax, elementwise functions, conversions and rope in plain C with the C library's functions.
 *
 * Products, attention and the cache are in files of their own. [any-thread] Contract: kernels.h, formulas: tenon/ops.h. */
#include "bits.h"
#include "levels.h"

#include <math.h>
#include <stddef.h>

void cpu_rms_norm_scalar(const float *x, const float *w, int64_t K, float eps, float *y)
{
    float sum = 0.0f, scale;
    for (int64_t k = 0; k < K; k++)
        sum += x[k] * x[k];
    scale = 1.0f / sqrtf(sum / (float)K + eps);
    for (int64_t k = 0; k < K; k++)
        y[k] = w != NULL ? x[k] * scale * w[k] : x[k] * scale;
}

void cpu_softmax_scalar(const float *x, int64_t K, float scale, const float *sink, float *y)
{
    float max = sink != NULL ? *sink : -INFINITY, sum;
    for (int64_t k = 0; k < K; k++)
        max = fmaxf(max, x[k] * scale);
    if (max == -INFINITY)
        max = 0.0f; /* nothing is visible: every e below is 0, and a NaN stays one */
    sum = sink != NULL ? expf(*sink - max) : 0.0f;
    for (int64_t k = 0; k < K; k++) {
        y[k] = expf(x[k] * scale - max);
        sum += y[k];
    }
    for (int64_t k = 0; k < K; k++)
        y[k] = sum == 0.0f ? 0.0f : y[k] / sum;
}

void cpu_add_scalar(const float *a, const float *b, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void cpu_mul_scalar(const float *a, const float *b, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

void cpu_affine_scalar(const float *x, float scale, float shift, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * scale + shift;
}

void cpu_softcap_scalar(const float *x, float cap, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = cap * tanhf(x[i] / cap);
}

float cpu_unary_one(enum cpu_unary kind, float x)
{
    switch (kind) {
    case CPU_NEG: return -x;
    case CPU_ABS: return fabsf(x);
    case CPU_SQRT: return sqrtf(x);
    case CPU_RSQRT: return 1.0f / sqrtf(x);
    case CPU_EXP: return expf(x);
    case CPU_LOG: return logf(x);
    case CPU_SIN: return sinf(x);
    case CPU_COS: return cosf(x);
    case CPU_TANH: return tanhf(x);
    case CPU_SIGMOID: return 1.0f / (1.0f + expf(-x));
    case CPU_RELU: return x < 0.0f ? 0.0f : x;
    case CPU_RELU2: return x < 0.0f ? 0.0f : x * x;
    case CPU_SILU: return x / (1.0f + expf(-x));
    case CPU_GELU: return 0.5f * x * (1.0f + erff(x * (float)M_SQRT1_2));
    case CPU_GELU_TANH: return 0.5f * x * (1.0f + tanhf(0.797884561f * (x + 0.044715f * x * x * x)));
    case CPU_GELU_QUICK: return x / (1.0f + expf(-1.702f * x));
    case CPU_SOFTPLUS: return (x < 0.0f ? 0.0f : x) + log1pf(expf(-fabsf(x)));
    default: return NAN;
    }
}

void cpu_unary_scalar(enum cpu_unary kind, const float *x, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = cpu_unary_one(kind, x[i]);
}

void cpu_unary_mul_scalar(enum cpu_unary kind, const float *g, const float *u, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = cpu_unary_one(kind, g[i]) * u[i];
}

void cpu_f32_to_f16_scalar(const float *x, int64_t n, uint16_t *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = cpu_float_f16(x[i]);
}

void cpu_f16_to_f32_scalar(const uint16_t *x, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = cpu_f16_float(x[i]);
}

void cpu_f32_to_bf16_scalar(const float *x, int64_t n, uint16_t *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = cpu_float_bf16(x[i]);
}

void cpu_bf16_to_f32_scalar(const uint16_t *x, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = cpu_bf16_float(x[i]);
}

void cpu_rope_scalar(const struct cpu_rope *r, const float *cos, const float *sin, int32_t heads, int32_t dim, float *x)
{
    int32_t pairs = r->n_rot / 2, step = r->interleaved ? 2 : 1, apart = r->interleaved ? 1 : pairs;
    for (int32_t h = 0; h < heads; h++)
        for (int32_t j = 0; j < pairs; j++) {
            float *a = x + (int64_t)h * dim + (int64_t)j * step, *b = a + apart;
            float turned = *a * cos[j] - *b * sin[j];
            *b = *a * sin[j] + *b * cos[j];
            *a = turned;
        }
}
