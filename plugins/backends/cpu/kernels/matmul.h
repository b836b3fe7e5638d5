/* matmul.h - the driver of matrix products, for every vector level: panels, chunks of K, edges of N, float weights.
 *
 * A quantised product goes panel by panel: 16 weight rows x PANEL_COLS columns are unpacked once (unpack.h), then run against
 * all tokens by the level's micro-kernel, with one token just the same: so T never changes a bit. Between chunks of K the
 * unfinished chains lie in y, exactly.
 * Include after simd_*.h and unpack.h, which wants Q8_BIAS. The level then defines
 *     struct kind                            what a family of encodings needs, as constants the compiler folds
 *     run_panel(format, job, t0, t1)         the micro-kernel over tokens, by format
 *     bias_of(format)                        what was added to each weight in the panel
 */
#ifndef TENON_CPU_MATMUL_H
#define TENON_CPU_MATMUL_H

#include "quants.h"

#include <stddef.h>
#include <string.h>

/* One panel against a range of tokens. */
struct job {
    struct panel w;
    const struct cpu_act *a;
    int64_t block;      /* first block of 32 of this chunk */
    int64_t blocks;     /* blocks in it */
    float *y;           /* [t][lane]: row n of token 0; lane 0 is the panel's first row */
    int64_t ldy;
    const float *bias;  /* [lane] in the last chunk, else NULL */
    int low, high;      /* lanes low <= i < high are wanted */
    bool first;         /* chains start at 0 */
};

static void run_panel(enum cpu_format format, const struct job *j, int64_t t0, int64_t t1);
static int bias_of(enum cpu_format format);

/* Chains of token t, lanes lane .. lane + LANES, before and after a chunk. */
INLINE vf load_chain(const struct job *j, int64_t t, int lane)
{
    if (j->first)
        return vf_zero();
    return vf_load_some(j->y + t * j->ldy + lane, vmask_range(j->low - lane, j->high - lane));
}

INLINE void store_chain(const struct job *j, int64_t t, int lane, vf acc)
{
    vmask wanted = vmask_range(j->low - lane, j->high - lane);
    if (j->bias != NULL)
        acc = vf_add(acc, vf_load_some(j->bias + lane, wanted));
    vf_store_some(j->y + t * j->ldy + lane, wanted, acc);
}

INLINE uint32_t load_group(const int8_t *q) /* 4 activations */
{
    uint32_t v;
    memcpy(&v, q, sizeof v);
    return v;
}

/* ---- panels of matrices with fewer rows than a panel: slow, and rare */

static void fill_lane(const struct cpu_matrix *m, int64_t n, int lane, int64_t b, const struct job *j)
{
    struct cpu_quant_block block;
    bool by_16 = cpu_format_by_16(m->format);
    cpu_quant_block(m->format, m->data + n * m->row_bytes, j->block + b, &block);
    for (int i = 0; i < 32; i++)
        j->w.q[((b * 8 + i / 4) * 16 + lane) * 4 + i % 4] = (uint8_t)(block.q[i] + bias_of(m->format));
    for (int s = 0; s < (by_16 ? 2 : 1); s++)
        j->w.scale[(by_16 ? 2 * b + s : b) * 16 + lane] = block.scale[s];
    j->w.min[b * 16 + lane] = block.min;
}

static void fill_panel(const struct cpu_matrix *m, const struct job *j)
{
    for (int64_t b = 0; b < j->blocks; b++)
        for (int lane = 0; lane < 16; lane++)
            fill_lane(m, lane < m->rows ? lane : 0, lane, b, j); /* lanes past the end repeat a row, nobody looks */
}

/* ---- quantised products */

/* Rows n .. of one panel; `base` is the panel's first row, moved back where the matrix ends before the panel would. */
static void multiply_panel(const struct cpu_matrix *m, struct job *j, int64_t base, int64_t t0, int64_t t1, const float *bias)
{
    for (int64_t k = 0; k < m->cols; k += PANEL_COLS) {
        int64_t cols = m->cols - k < PANEL_COLS ? m->cols - k : PANEL_COLS;
        j->first = k == 0;
        j->bias = k + cols == m->cols ? bias : NULL;
        j->block = k / 32;
        j->blocks = cols / 32;
        if (m->rows < 16)
            fill_panel(m, j);
        else
            unpack_panel(m, base, k, cols, &j->w, true);
        run_panel(m->format, j, t0, t1);
    }
}

static void multiply_quantised(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0,
                               int64_t n1, float *y, int64_t ldy, const float *bias, void *scratch)
{
    for (int64_t n = n0; n < n1; n += 16) {
        int64_t end = n + 16 < n1 ? n + 16 : n1;
        int64_t base = n + 16 <= m->rows || m->rows < 16 ? n : m->rows - 16;
        struct job j = { .w = panel_at(scratch), .a = a, .ldy = ldy };
        if (m->rows < 16)
            base = 0;
        j.y = y + base;
        j.low = (int)(n - base);
        j.high = (int)(end - base);
        multiply_panel(m, &j, base, t0, t1, bias != NULL ? bias + base : NULL);
    }
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
    default: multiply_quantised(w, a, t0, t1, n0, n1, y, ldy, bias, scratch); break;
    }
}

#endif
