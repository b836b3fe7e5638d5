/* matmul_scalar.c - quantised activations and matrix products in plain C: the level every machine has, and the yardstick
 * of the vector levels.
 *
 * Same chains as kernels.h tells, with multiply and add apart where the vector levels fuse them, so its bits are its own.
 * [any-thread] Contract: kernels.h. */
#include "bits.h"
#include "levels.h"
#include "quants.h"

#include <math.h>
#include <stddef.h>

/* ---- activations */

/* Largest |x| of 32 as bits: as integers NaN > infinity > all numbers. */
static uint32_t largest_bits(const float *x)
{
    uint32_t largest = 0;
    for (int i = 0; i < 32; i++) {
        uint32_t bits = cpu_bits_of(x[i]) & 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

static void quantize_block(const struct cpu_act *a, int64_t t, int64_t b)
{
    const float *x = a->x + t * a->ldx + 32 * b;
    int64_t at = t * (a->K / 32) + b;
    uint32_t bits = largest_bits(x);
    bool bad = bits >= 0x7f800000u, zero = cpu_float_of(bits) < 0x1p-100f;
    float most = a->narrow ? CPU_ACT_MAX_8 : CPU_ACT_MAX, inverse = bad || zero ? 0.0f : most / cpu_float_of(bits);
    int32_t sum[2] = { 0, 0 };
    for (int i = 0; i < 32; i++) {
        int32_t n = bad ? 0 : (int32_t)lrintf(x[i] * inverse); /* a NaN must not reach the conversion */
        if (a->narrow)
            a->q8[32 * at + i] = (int8_t)n;
        else
            a->q[32 * at + cpu_act_column(i)] = (int16_t)n;
        sum[i >> 4] += n;
    }
    a->d[at] = bad ? NAN : zero ? 0.0f : cpu_float_of(bits) / most;
    a->sum[at] = sum[0] + sum[1];
    a->ds[at] = a->d[at] * (float)a->sum[at];
    for (int half = 0; half < 2; half++) {
        a->ds_16[2 * at + half] = a->d[at] * (float)sum[half];
        a->sum_16[2 * at + half] = sum[half];
    }
}

void cpu_quantize_scalar(const struct cpu_act *a, int64_t t0, int64_t t1)
{
    for (int64_t t = t0; t < t1; t++)
        for (int64_t b = 0; b < a->K / 32; b++)
            quantize_block(a, t, b);
}

/* ---- products */

/* 16 weights and the activations from `at` on. */
static int32_t dot16(const int8_t *w, const struct cpu_act *a, int64_t at)
{
    int32_t sum = 0;
    for (int i = 0; i < 16; i++)
        sum += w[i] * (a->narrow ? a->q8[at + i] : a->q[at + cpu_act_column(i)]);
    return sum;
}

/* One link of the chain: block b of row t against one block of weights. */
static float add_block(enum cpu_format format, const struct cpu_quant_block *w, const struct cpu_act *a, int64_t t, int64_t b, float acc)
{
    int64_t at = t * (a->K / 32) + b;
    float d = a->d[at];
    int32_t first = dot16(w->q, a, 32 * at), second = dot16(w->q + 16, a, 32 * at + 16);
    if (cpu_format_by_16(format)) {
        acc += d * (w->scale[0] * (float)(w->factor[0] * first) + w->scale[1] * (float)(w->factor[1] * second));
    } else {
        acc += w->scale[0] * d * (float)(w->factor[0] * first + w->factor[1] * second);
    }
    if (cpu_format_mins(format) == 2)
        return acc + w->min[0] * a->ds_16[2 * at] + w->min[1] * a->ds_16[2 * at + 1];
    return acc + w->min[0] * a->ds[at];
}

/* One row of weights against all tokens: each block is unpacked once, y holds the unfinished chains meanwhile. */
static void quantised_row(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n, float *y,
                          int64_t ldy)
{
    struct cpu_quant_block block;
    for (int64_t t = t0; t < t1; t++)
        y[t * ldy + n] = 0.0f;
    for (int64_t b = 0; b < w->cols / 32; b++) {
        cpu_quant_block(w->format, w->data + n * w->row_bytes, b, &block);
        for (int64_t t = t0; t < t1; t++)
            y[t * ldy + n] = add_block(w->format, &block, a, t, b, y[t * ldy + n]);
    }
}

static float weight_at(const struct cpu_matrix *w, int64_t n, int64_t k)
{
    const uint8_t *row = w->data + n * w->row_bytes;
    if (w->format == CPU_F32)
        return cpu_float_of(cpu_load32(row + 4 * k));
    return w->format == CPU_F16 ? cpu_f16_float(cpu_load16(row + 2 * k)) : cpu_bf16_float(cpu_load16(row + 2 * k));
}

static void float_row(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n, float *y,
                      int64_t ldy)
{
    for (int64_t t = t0; t < t1; t++)
        y[t * ldy + n] = 0.0f;
    for (int64_t k = 0; k < w->cols; k++) {
        float v = weight_at(w, n, k);
        for (int64_t t = t0; t < t1; t++)
            y[t * ldy + n] += v * a->x[t * a->ldx + k];
    }
}

void cpu_matmul_scalar(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                       float *y, int64_t ldy, const float *bias, void *scratch)
{
    bool quantised = cpu_encoding_at(w->format)->quantised;
    (void)scratch; /* the vector levels' panels */
    for (int64_t n = n0; n < n1; n++) {
        if (quantised)
            quantised_row(w, a, t0, t1, n, y, ldy);
        else
            float_row(w, a, t0, t1, n, y, ldy);
        if (bias != NULL)
            for (int64_t t = t0; t < t1; t++)
                y[t * ldy + n] += bias[n];
    }
}
