/* matmul.h - activations made integers, matrices packed, and which products a weight takes (floats.h, products.h), for every vector
 * level. Include after simd_*.h. */
#ifndef TENON_CPU_MATMUL_H
#define TENON_CPU_MATMUL_H

#include "fields.h"
#include "levels.h"
#include "repack.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* ---- activations */

/* Block `at` of a, from x on, to 16 bits, or narrow to 8; the same numbers as the scalar level's, see there. */
INLINE void quantize_block(const float *x, const bool narrow, const struct cpu_act *a, int64_t at)
{
    int32_t *sum_16 = a->sum_16 + 2 * at;
    float *ds_16 = a->ds_16 + 2 * at;
    const vi magnitude = vi_all(0x7fffffff);
    const float most = narrow ? CPU_ACT_MAX_8 : CPU_ACT_MAX;
    vi largest = vi_and(vi_of_bits(vf_load(x)), magnitude), sum[2] = { vi_zero(), vi_zero() };
    for (int i = LANES; i < 32; i += LANES)
        largest = vi_max(largest, vi_and(vi_of_bits(vf_load(x + i)), magnitude));
    uint32_t bits = vi_max_lanes(largest); /* as integers NaN > infinity > all numbers */
    float max = vf_first(vf_of_bits(vi_all(bits)));
    if (bits >= 0x7f800000u || max < 0x1p-100f) {
        memset(narrow ? (void *)(a->q8 + 32 * at) : (void *)(a->q + 32 * at), 0, narrow ? 32 : 64);
        if (SPLITS && !narrow)
            memset(a->split + 64 * at, 0, 64);
        if (SPLITS && a->moved != NULL)
            memset(a->moved + 8 * at, 0, 8 * sizeof *a->moved);
        a->d[at] = a->ds[at] = ds_16[0] = ds_16[1] = bits >= 0x7f800000u ? NAN : 0.0f;
        a->sum[at] = sum_16[0] = sum_16[1] = 0;
        return;
    }
    for (int i = 0; i < 32; i += LANES) {
        vi n = vi_of_float(vf_mul(vf_load(x + i), vf_all(most / max)));
        sum[i >> 4] = vi_add(sum[i >> 4], n);
        if (narrow)
            vi_store_bytes(a->q8 + 32 * at + i, n);
        else
            vi_store_columns(a->q + 32 * at + i, n);
#if SPLITS
        if (!narrow)
            vi_store_split(a->split + 64 * at + i, a->split + 64 * at + 32 + i, n);
        if (a->moved != NULL)
            vi_store_moved(a->moved + 8 * at + i / 4, n);
#endif
    }
    a->d[at] = max / most;
    for (int half = 0; half < 2; half++) {
        sum_16[half] = vi_sum_lanes(sum[half]);
        ds_16[half] = a->d[at] * (float)sum_16[half];
    }
    a->sum[at] = sum_16[0] + sum_16[1];
    a->ds[at] = a->d[at] * (float)a->sum[at];
}

void LEVEL(quantize)(const struct cpu_act *a, int64_t t0, int64_t t1)
{
    int64_t blocks = a->K / 32;
    for (int64_t at = t0 * blocks; at < t1 * blocks; at++) {
        const float *x = a->x + at / blocks * a->ldx + 32 * (at % blocks);
        if (a->narrow)
            quantize_block(x, true, a, at);
        else
            quantize_block(x, false, a, at);
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

/* ---- products */

#ifndef FLOATS_BY
#define FLOATS_BY LEVEL(products_float)
#endif

void LEVEL(matmul)(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                   float *y, int64_t ldy, const float *bias, void *scratch)
{
    if (!cpu_encoding_at(w->format)->quantised)
        FLOATS_BY(w, a, t0, t1, n0, n1, y, ldy, bias);
    else if (a->narrow)
        LEVEL(products_8)(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
    else
        LEVEL(products_16)(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
}

#endif
