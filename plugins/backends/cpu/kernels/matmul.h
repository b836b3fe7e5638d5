/* matmul.h - activations made integers, matrices packed, and products by floats, for every vector level; those by quantised weights
 * are in products.h. Include after simd_*.h. */
#ifndef TENON_CPU_MATMUL_H
#define TENON_CPU_MATMUL_H

#include "fields.h"
#include "levels.h"
#include "repack.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* ---- activations */

/* One block of 32 to 16 bits, or narrow to 8; the same numbers as the scalar level's, see there. */
INLINE void quantize_block(const float *x, const bool narrow, void *q, uint8_t *split, float *ret_d, float *ret_ds, float *ret_ds_16,
                           int32_t *ret_sum_16)
{
    const vi magnitude = vi_all(0x7fffffff);
    const float most = narrow ? CPU_ACT_MAX_8 : CPU_ACT_MAX;
    vi largest = vi_and(vi_of_bits(vf_load(x)), magnitude), sum[2] = { vi_zero(), vi_zero() };
    for (int i = LANES; i < 32; i += LANES)
        largest = vi_max(largest, vi_and(vi_of_bits(vf_load(x + i)), magnitude));
    uint32_t bits = vi_max_lanes(largest); /* as integers NaN > infinity > all numbers */
    float max = vf_first(vf_of_bits(vi_all(bits)));
    if (bits >= 0x7f800000u || max < 0x1p-100f) {
        memset(q, 0, narrow ? 32 : 64);
        if (SPLITS && !narrow)
            memset(split, 0, 64);
        *ret_d = bits >= 0x7f800000u ? NAN : 0.0f;
        *ret_ds = ret_ds_16[0] = ret_ds_16[1] = *ret_d;
        ret_sum_16[0] = ret_sum_16[1] = 0;
        return;
    }
    for (int i = 0; i < 32; i += LANES) {
        vi n = vi_of_float(vf_mul(vf_load(x + i), vf_all(most / max)));
        sum[i >> 4] = vi_add(sum[i >> 4], n);
        if (narrow)
            vi_store_bytes((int8_t *)q + i, n);
        else
            vi_store_columns((int16_t *)q + i, n);
#if SPLITS
        if (!narrow)
            vi_store_split(split + 2 * i, n);
#endif
    }
    *ret_d = max / most;
    for (int half = 0; half < 2; half++) {
        ret_sum_16[half] = vi_sum_lanes(sum[half]);
        ret_ds_16[half] = *ret_d * (float)ret_sum_16[half];
    }
    *ret_ds = *ret_d * (float)(ret_sum_16[0] + ret_sum_16[1]);
}

void LEVEL(quantize)(const struct cpu_act *a, int64_t t0, int64_t t1)
{
    int64_t blocks = a->K / 32;
    for (int64_t at = t0 * blocks; at < t1 * blocks; at++) {
        const float *x = a->x + at / blocks * a->ldx + 32 * (at % blocks);
        if (a->narrow)
            quantize_block(x, true, a->q8 + 32 * at, NULL, a->d + at, a->ds + at, a->ds_16 + 2 * at, a->sum_16 + 2 * at);
        else
            quantize_block(x, false, a->q + 32 * at, a->split + 64 * at, a->d + at, a->ds + at, a->ds_16 + 2 * at, a->sum_16 + 2 * at);
    }
}

/* ---- packing */

/* One field of LANES rows: dwords by fours, the rest one by one. */
INLINE void pack_field(const struct cpu_field *f, const uint8_t *p, int64_t stride, uint8_t *group, int lane)
{
    int e = 0;
    for (; f->width == 4 && e + 4 <= f->count; e += 4) {
        vi v[4];
        load_columns(p + f->at + 4 * e, stride, v);
        for (int i = 0; i < 4; i++)
            vi_store(group + (f->at + 4 * (e + i)) * CPU_PACK_ROWS + 4 * lane, v[i]);
    }
    for (; e < f->count; e++)
        for (int i = 0; i < LANES; i++)
            memcpy(group + (f->at + e * f->width) * CPU_PACK_ROWS + f->width * (lane + i), p + i * stride + f->at + e * f->width,
                   (size_t)f->width);
}

/* Block b of LANES rows from row n on, other blocks being made of those of the file: where it is, its rows `ret_stride` apart. */
INLINE const uint8_t *rows_to_pack(const struct cpu_matrix *m, bool other, int64_t n, int64_t b, uint8_t made[LANES][CPU_REPACKED_MOST],
                                   int64_t *ret_stride)
{
    const uint8_t *p = m->data + n * m->row_bytes + b * cpu_encoding_at(m->format)->block_bytes;
    *ret_stride = other ? CPU_REPACKED_MOST : m->row_bytes;
    for (int i = 0; other && i < LANES; i++)
        cpu_repack_block(m->format, p + i * m->row_bytes, made[i]);
    return other ? made[0] : p;
}

void LEVEL(pack)(const struct cpu_matrix *m, int64_t g0, int64_t g1, uint8_t *packed)
{
    const struct cpu_matrix to = cpu_packed_matrix(m, packed);
    const struct cpu_encoding *e = cpu_encoding_at(to.format);
    int64_t whole = m->rows / CPU_PACK_ROWS < g1 ? m->rows / CPU_PACK_ROWS : g1, stride;
    uint8_t made[LANES][CPU_REPACKED_MOST];
    for (int64_t g = g0; g < whole; g++)
        for (int64_t b = 0; b < m->cols / e->block_cols; b++)
            for (int lane = 0; lane < CPU_PACK_ROWS; lane += LANES) {
                const uint8_t *p = rows_to_pack(m, to.format != m->format, g * CPU_PACK_ROWS + lane, b, made, &stride);
                for (const struct cpu_field *f = cpu_fields[to.format]; f < cpu_fields[to.format] + CPU_FIELDS_MAX; f++)
                    pack_field(f, p, stride, packed + CPU_PACK_ROWS * (g * to.row_bytes + b * e->block_bytes), lane);
            }
    cpu_pack_scalar(m, whole > g0 ? whole : g0, g1, packed); /* a last group that is not full */
}

/* ---- float products: a tile of ROWS x COLS dot products, each in LANES partial sums by k mod LANES */

#define FLOAT_ROWS 4
#define FLOAT_TOKENS 4

INLINE int float_bytes(enum cpu_format format)
{
    return format == CPU_F32 ? 4 : 2;
}

INLINE vf load_weights(enum cpu_format format, const uint8_t *p)
{
    if (format == CPU_F32)
        return vf_load((const void *)p);
    return format == CPU_F16 ? vf_load_f16((const void *)p) : vf_load_bf16((const void *)p);
}

/* The last k % LANES weights or activations, zeros behind them. */
INLINE vf load_last_weights(enum cpu_format format, const uint8_t *p, int64_t count)
{
    uint8_t padded[LANES * 4] = { 0 };
    memcpy(padded, p, (size_t)(count * float_bytes(format)));
    return load_weights(format, padded);
}

INLINE vf load_last(const float *p, int64_t count)
{
    float padded[LANES] = { 0 };
    memcpy(padded, p, (size_t)count * sizeof *p);
    return vf_load(padded);
}

/* Rows and tokens past the wanted ones repeat the last, so that one tile serves all edges. */
struct float_tile {
    const uint8_t *w[FLOAT_ROWS];
    const float *x[FLOAT_TOKENS];
};

INLINE void float_sums(enum cpu_format format, const struct float_tile *f, int64_t K, const int tokens,
                       vf acc[FLOAT_ROWS][FLOAT_TOKENS])
{
    int64_t whole = K - K % LANES;
    for (int r = 0; r < FLOAT_ROWS; r++)
        for (int i = 0; i < tokens; i++)
            acc[r][i] = vf_zero();
    for (int64_t k = 0; k < whole; k += LANES) {
        vf x[FLOAT_TOKENS];
        for (int i = 0; i < tokens; i++)
            x[i] = vf_load(f->x[i] + k);
        for (int r = 0; r < FLOAT_ROWS; r++) {
            vf w = load_weights(format, f->w[r] + k * float_bytes(format));
            for (int i = 0; i < tokens; i++)
                acc[r][i] = vf_fma(w, x[i], acc[r][i]);
        }
    }
    if (whole < K)
        for (int r = 0; r < FLOAT_ROWS; r++)
            for (int i = 0; i < tokens; i++)
                acc[r][i] = vf_fma(load_last_weights(format, f->w[r] + whole * float_bytes(format), K - whole),
                                   load_last(f->x[i] + whole, K - whole), acc[r][i]);
}

INLINE void float_tile(enum cpu_format format, const struct float_tile *f, int64_t K, const int tokens, int rows, int count,
                       float *y, int64_t ldy, const float *bias)
{
    vf acc[FLOAT_ROWS][FLOAT_TOKENS];
    float_sums(format, f, K, tokens, acc);
    for (int r = 0; r < FLOAT_ROWS; r++)
        for (int i = 0; i < tokens; i++)
            if (r < rows && i < count)
                y[i * ldy + r] = bias != NULL ? vf_sum(acc[r][i]) + bias[r] : vf_sum(acc[r][i]);
}

INLINE void multiply_floats(enum cpu_format format, const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1,
                            int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias)
{
    struct float_tile f;
    for (int64_t n = n0; n < n1; n += FLOAT_ROWS) {
        int rows = n1 - n < FLOAT_ROWS ? (int)(n1 - n) : FLOAT_ROWS;
        for (int r = 0; r < FLOAT_ROWS; r++)
            f.w[r] = m->data + (n + (r < rows ? r : rows - 1)) * m->row_bytes;
        for (int64_t t = t0; t < t1; t += FLOAT_TOKENS) {
            int count = t1 - t < FLOAT_TOKENS ? (int)(t1 - t) : FLOAT_TOKENS;
            for (int i = 0; i < FLOAT_TOKENS; i++)
                f.x[i] = a->x + (t + (i < count ? i : count - 1)) * a->ldx;
            if (count == 1)
                float_tile(format, &f, m->cols, 1, rows, 1, y + t * ldy + n, ldy, bias != NULL ? bias + n : NULL);
            else
                float_tile(format, &f, m->cols, FLOAT_TOKENS, rows, count, y + t * ldy + n, ldy, bias != NULL ? bias + n : NULL);
        }
    }
}

void LEVEL(matmul)(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                   float *y, int64_t ldy, const float *bias, void *scratch)
{
    switch (w->format) {
    case CPU_F32: multiply_floats(CPU_F32, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    case CPU_F16: multiply_floats(CPU_F16, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    case CPU_BF16: multiply_floats(CPU_BF16, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    default: (a->narrow ? LEVEL(products_8) : LEVEL(products_16))(w, a, t0, t1, n0, n1, y, ldy, bias, scratch); break;
    }
}

#endif
