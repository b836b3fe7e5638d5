/* matmul.h - matrix products, for every vector level: quantised weights straight from the file or by panels, float weights.
 *
 * With few tokens weights go through registers into the products, LANES rows at a time. With more, PANEL_ROWS rows x
 * PANEL_COLS columns are unpacked into a panel once and run against all tokens. Both are the same chain of exact integer sums
 * and fused links, block after block; between panels of one row the unfinished chains lie in y, exactly. So T never changes a bit.
 * Include after simd_*.h. The level says how many tokens its registers hold: TOKENS in a tile of a panel (2 * TOKENS chains, as
 * many sums), DIRECT_TOKENS without one; up to DIRECT_MOST tokens of packed weights it takes to go without a panel; and by
 * UNROLL_PAIRS whether the loop over a block's pairs is unrolled. */
#ifndef TENON_CPU_MATMUL_H
#define TENON_CPU_MATMUL_H

#include "fields.h"
#include "levels.h"
#include "quants.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "unpack.h"

/* ---- activations */

/* One block of 32; the same numbers as the scalar level's, see there. */
INLINE void quantize_block(const float *x, int16_t *q, float *ret_d, float *ret_ds, float *ret_ds_16, int32_t *ret_sum_16)
{
    const vi magnitude = vi_all(0x7fffffff);
    vi largest = vi_and(vi_of_bits(vf_load(x)), magnitude), sum[2] = { vi_zero(), vi_zero() };
    for (int i = LANES; i < 32; i += LANES)
        largest = vi_max(largest, vi_and(vi_of_bits(vf_load(x + i)), magnitude));
    uint32_t bits = vi_max_lanes(largest); /* as integers NaN > infinity > all numbers */
    float max = vf_first(vf_of_bits(vi_all(bits)));
    if (bits >= 0x7f800000u || max < 0x1p-100f) {
        memset(q, 0, 64);
        *ret_d = bits >= 0x7f800000u ? NAN : 0.0f;
        *ret_ds = ret_ds_16[0] = ret_ds_16[1] = *ret_d;
        ret_sum_16[0] = ret_sum_16[1] = 0;
        return;
    }
    for (int i = 0; i < 32; i += LANES) {
        vi n = vi_of_float(vf_mul(vf_load(x + i), vf_all(CPU_ACT_MAX / max)));
        sum[i >> 4] = vi_add(sum[i >> 4], n);
        vi_store_columns(q + i, n);
    }
    *ret_d = max / CPU_ACT_MAX;
    for (int half = 0; half < 2; half++) {
        ret_sum_16[half] = vi_sum_lanes(sum[half]);
        ret_ds_16[half] = *ret_d * (float)ret_sum_16[half];
    }
    *ret_ds = *ret_d * (float)(ret_sum_16[0] + ret_sum_16[1]);
}

void LEVEL(quantize)(const struct cpu_act *a, int64_t t0, int64_t t1)
{
    int64_t blocks = a->K / 32;
    for (int64_t t = t0; t < t1; t++)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t at = t * blocks + b;
            quantize_block(a->x + t * a->ldx + 32 * b, a->q + t * a->K + 32 * b, a->d + at, a->ds + at, a->ds_16 + 2 * at,
                           a->sum_16 + 2 * at);
        }
}

/* ---- where chains are kept */

/* LANES rows of weights and what is wanted of them. */
struct lanes {
    int64_t base;  /* row of lane 0: moved back where the matrix ends before the lanes would */
    vmask wanted;
};

/* The lanes for row n and those behind it, of which those below n1 are wanted. A matrix in the file's order has at least LANES
 * rows. */
INLINE struct lanes lanes_at(const struct cpu_matrix *m, int64_t n, int64_t n1)
{
    int64_t base = m->packed ? n / LANES * LANES : n + LANES <= m->rows ? n : m->rows - LANES;
    int64_t high = n1 - base;
    return (struct lanes){ base, vmask_range((int)(n - base), high > LANES ? LANES : (int)high) };
}

/* Those rows, from block `first` of the format's own on. */
INLINE struct rows matrix_rows(const struct cpu_matrix *m, const bool packed, int64_t base, int64_t first)
{
    const struct cpu_encoding *e = cpu_encoding_at(m->format);
    int64_t group = base / CPU_PACK_ROWS * CPU_PACK_ROWS;
    if (!packed)
        return (struct rows){ .p = m->data + base * m->row_bytes + first * e->block_bytes, .stride = m->row_bytes };
    return (struct rows){ .p = m->data + group * m->row_bytes + first * CPU_PACK_ROWS * e->block_bytes, .lane = (int)(base - group),
                          .packed = true };
}

/* Memory of the LANES rows that lie `rows` behind, as far as there are some; NULL otherwise. */
INLINE const uint8_t *memory_behind(const struct cpu_matrix *m, int64_t base, int64_t rows)
{
    return base + rows + LANES <= m->rows ? m->data + (base + rows) * m->row_bytes : NULL;
}

/* ---- few tokens: no panel */

/* Returns the first row behind. */
INLINE int64_t direct_rows(const enum cpu_format format, const int tokens, const bool packed, const struct cpu_matrix *m,
                           const struct cpu_act *a, int64_t t, int64_t n, int64_t n1, float *y, int64_t ldy, const float *bias)
{
    struct lanes l = lanes_at(m, n, n1);
    struct sink s = { .tokens = tokens };
    for (int i = 0; i < tokens; i++) {
        s.q[i] = a->q + (t + i) * a->K;
        s.d[i] = a->d + (t + i) * (a->K / 32);
        s.ds[i] = a->ds + (t + i) * (a->K / 32);
        s.ds_16[i] = a->ds_16 + (t + i) * (a->K / 16);
        s.asum[i] = a->sum_16 + (t + i) * (a->K / 16);
        s.acc[i] = vf_zero();
    }
    unpack_rows(format, matrix_rows(m, packed, l.base, 0), m->cols / cpu_encoding_at(format)->block_cols, &s, AHEAD,
                memory_behind(m, l.base, LANES));
    for (int i = 0; i < tokens; i++) {
        vf acc = bias != NULL ? vf_add(s.acc[i], vf_load_some(bias + l.base, l.wanted)) : s.acc[i];
        vf_store_some(y + (t + i) * ldy + l.base, l.wanted, acc);
    }
    return l.base + LANES;
}

/* Tiles of nearly equal size, while the rows are in L1. */
INLINE void direct_format(const enum cpu_format format, const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1,
                          int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias)
{
    for (int64_t n = n0, next = n1; n < n1; n = next)
        for (int64_t t = t0, tiles = (t1 - t0 + DIRECT_TOKENS - 1) / DIRECT_TOKENS, tokens; tiles > 0; tiles--, t += tokens) {
            tokens = (t1 - t + tiles - 1) / tiles;
#define DIRECT(count) next = m->packed ? direct_rows(format, count, true, m, a, t, n, n1, y, ldy, bias) \
                                       : direct_rows(format, count, false, m, a, t, n, n1, y, ldy, bias)
            if (tokens == 2)
                DIRECT(2);
            else
                DIRECT(1);
#undef DIRECT
        }
}
_Static_assert(DIRECT_TOKENS == 2, "direct_format() has a case for every size");

static void multiply_direct(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                            float *y, int64_t ldy, const float *bias)
{
    switch (m->format) {
#define DIRECT_CASE(format, unpack, bytes, blocks) \
    case format: direct_format(format, m, a, t0, t1, n0, n1, y, ldy, bias); break;
        QUANTISED_FORMATS(DIRECT_CASE)
#undef DIRECT_CASE
    default: break;
    }
}

/* ---- many tokens: panels */

/* One panel against a range of tokens. */
struct job {
    struct panel w;
    const struct cpu_act *a;
    int64_t block;      /* first block of 32 of this chunk */
    int64_t blocks;     /* blocks in it */
    float *y;
    int64_t ldy;
    const float *bias;  /* in the last chunk, else NULL */
    struct lanes half[2];
    bool first;         /* chains start at 0 */
    const uint8_t *soon[2], *soon_end[2]; /* weights of the chunk after this one, by half: fetched while this one is multiplied */
};

INLINE vf load_chain(const struct job *j, int64_t t, int h)
{
    return j->first ? vf_zero() : vf_load_some(j->y + t * j->ldy + j->half[h].base, j->half[h].wanted);
}

INLINE void store_chain(const struct job *j, int64_t t, int h, vf acc)
{
    if (j->bias != NULL)
        acc = vf_add(acc, vf_load_some(j->bias + j->half[h].base, j->half[h].wanted));
    vf_store_some(j->y + t * j->ldy + j->half[h].base, j->half[h].wanted, acc);
}

/* What a family of encodings needs; constant once inlined. */
struct kind {
    bool min, by_16;
};

/* Where the tokens of a tile lie, from the chunk's first block on. */
struct tile_rows {
    const int16_t *q[TOKENS];
    const float *d[TOKENS];
    const float *ds[TOKENS]; /* of the 32 or 16 that minimums are for */
};

/* Products of pairs first .. first + count of block b, PANEL_ROWS x tokens. */
INLINE void dots(const struct panel *w, const struct tile_rows *r, int64_t b, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
#ifdef BYTE_PRODUCTS
    dots_of_bytes(w, r->q, b, first, count, tokens, sum);
#else
    for (int i = 0; i < tokens; i++)
        sum[0][i] = sum[1][i] = vi_zero();
    UNROLL_PAIRS
    for (int pair = first; pair < first + count; pair++) {
        const int16_t *at = w->q + (b * 16 + pair) * (PANEL_ROWS * 2);
        vi low = vi_load(at), high = vi_load(at + 2 * LANES);
        for (int i = 0; i < tokens; i++) {
            vi a = vi_all(load_pair(r->q[i] + 32 * b + 2 * pair));
            sum[0][i] = vi_dot16(sum[0][i], low, a);
            sum[1][i] = vi_dot16(sum[1][i], high, a);
        }
    }
#endif
}

INLINE void links(const float *scale, const struct tile_rows *r, int64_t b, const int tokens, vi sum[2][TOKENS], vf acc[2][TOKENS])
{
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < 2; h++)
            acc[h][i] = link(acc[h][i], vf_load(scale + h * LANES), r->d[i] + b, sum[h][i]);
}

INLINE void add_block(const struct job *j, const struct kind kind, const struct tile_rows *r, int64_t b, const int tokens,
                      vf acc[2][TOKENS])
{
    vi sum[2][TOKENS];
    if (kind.by_16) {
        for (int half = 0; half < 2; half++) {
            dots(&j->w, r, b, 8 * half, 8, tokens, sum);
            links(j->w.scale + (2 * b + half) * PANEL_ROWS, r, b, tokens, sum, acc);
        }
    } else {
        dots(&j->w, r, b, 0, 16, tokens, sum);
        links(j->w.scale + b * PANEL_ROWS, r, b, tokens, sum, acc);
    }
    const int mins = !kind.min ? 0 : kind.by_16 ? 2 : 1;
    for (int m = 0; m < mins; m++)
        for (int i = 0; i < tokens; i++)
            for (int h = 0; h < 2; h++)
                acc[h][i] = vf_fma(vf_load(j->w.min + (mins * b + m) * PANEL_ROWS + h * LANES), vf_all(r->ds[i][mins * b + m]),
                                   acc[h][i]);
}

#define SOON_LINES 5 /* per block and tile: 8 tokens make two tiles, a block of 32 columns and 16 rows has 5 to 9 lines */

INLINE void fetch_soon(struct job *j)
{
    int h = j->soon[0] < j->soon_end[0] ? 0 : 1;
    if (j->soon[h] >= j->soon_end[h])
        return;
    prefetch(j->soon[h], 64 * SOON_LINES);
    j->soon[h] += 64 * SOON_LINES;
}

INLINE void tile(struct job *j, const struct kind kind, int64_t t, const int tokens)
{
    const struct cpu_act *a = j->a;
    vf acc[2][TOKENS];
    struct tile_rows r;
    for (int i = 0; i < tokens; i++) {
        int64_t at = (t + i) * (a->K / 32) + j->block;
        r.q[i] = a->q + 32 * at;
        r.d[i] = a->d + at;
        r.ds[i] = kind.by_16 ? a->ds_16 + 2 * at : a->ds + at;
        acc[0][i] = load_chain(j, t + i, 0);
        acc[1][i] = load_chain(j, t + i, 1);
    }
    for (int64_t b = 0; b < j->blocks; b++) {
        for (int i = 0; i < tokens; i++) /* the same of the next tile; behind the last row nothing is read */
            __builtin_prefetch(r.q[i] + tokens * a->K + 32 * b);
        fetch_soon(j);
        add_block(j, kind, &r, b, tokens, acc);
    }
    for (int i = 0; i < tokens; i++) {
        store_chain(j, t + i, 0, acc[0][i]);
        store_chain(j, t + i, 1, acc[1][i]);
    }
}

/* Tiles of nearly equal size: 8 tokens go as 4 and 4, not as 6 and 2. */
INLINE void run_tiles(struct job *j, const struct kind kind, int64_t t0, int64_t t1)
{
    for (int64_t t = t0, tiles = (t1 - t0 + TOKENS - 1) / TOKENS; tiles > 0; tiles--) {
        int64_t tokens = (t1 - t + tiles - 1) / tiles;
        switch (tokens) {
        case 1: tile(j, kind, t, 1); break;
        case 2: tile(j, kind, t, 2); break;
        case 3: tile(j, kind, t, 3); break;
#if TOKENS > 3
        case 4: tile(j, kind, t, 4); break;
        case 5: tile(j, kind, t, 5); break;
#endif
#if TOKENS > 5
        case 6: tile(j, kind, t, 6); break;
#endif
        default: break;
        }
        t += tokens;
    }
}
_Static_assert(TOKENS == 3 || TOKENS == 5 || TOKENS == 6, "run_tiles() has a case for every size");

INLINE void fill_half(const enum cpu_format format, const bool packed, const struct cpu_matrix *m, const struct job *j, int h)
{
    const struct cpu_encoding *e = cpu_encoding_at(format);
    int64_t first = j->block * 32 / e->block_cols, blocks = j->blocks * 32 / e->block_cols;
    struct sink s = { .tokens = 0, .w = { j->w.q + 2 * h * LANES, j->w.scale + h * LANES, j->w.min + h * LANES } };
    unpack_rows(format, matrix_rows(m, packed, j->half[h].base, first), blocks, &s, 0, NULL);
}

/* Where the chunk that comes after this one lies: farther along the rows, or at the beginning of the next ones. */
static void look_ahead(const struct cpu_matrix *m, struct job *j)
{
    const struct cpu_encoding *e = cpu_encoding_at(m->format);
    int64_t behind = (j->block + j->blocks) * 32 / e->block_cols, left = m->cols / e->block_cols - behind;
    for (int h = 0; h < 2; h++) {
        bool along = left > 0;
        int64_t base = j->half[h].base + (along ? 0 : PANEL_ROWS), first = along ? behind : 0;
        int64_t blocks = PANEL_COLS / e->block_cols, whole = m->cols / e->block_cols;
        blocks = along && left < blocks ? left : whole < blocks ? whole : blocks;
        j->soon[h] = j->soon_end[h] = NULL;
        if (base + LANES > m->rows)
            continue;
        struct rows r = m->packed ? matrix_rows(m, true, base, first) : matrix_rows(m, false, base, first);
        if (r.lane != 0)
            continue; /* the other half's lines */
        j->soon[h] = r.p;
        j->soon_end[h] = r.p + blocks * e->block_bytes * (m->packed ? CPU_PACK_ROWS : LANES); /* unpacked: about as much */
    }
}

/* Unpack the job's chunk. */
static void fill_panel(const struct cpu_matrix *m, const struct job *j)
{
    for (int h = 0; h < 2; h++)
        switch (m->format) {
#define FILL_CASE(format, unpack, bytes, blocks)    \
    case format:                                    \
        if (m->packed)                              \
            fill_half(format, true, m, j, h);       \
        else                                        \
            fill_half(format, false, m, j, h);      \
        break;
            QUANTISED_FORMATS(FILL_CASE)
#undef FILL_CASE
        default: break;
        }
}

/* Panels of matrices with fewer than LANES rows: slow, and rare. Lanes past the end repeat a row, nobody looks. */
static void fill_few_rows(const struct cpu_matrix *m, const struct job *j)
{
    bool by_16 = cpu_format_by_16(m->format);
    struct cpu_quant_block block;
    for (int64_t b = 0; b < j->blocks; b++)
        for (int lane = 0; lane < PANEL_ROWS; lane++) {
            cpu_quant_block(m->format, m->data + (lane < m->rows ? lane : 0) * m->row_bytes, j->block + b, &block);
            for (int i = 0; i < 32; i++)
                j->w.q[((b * 16 + i / 2) * PANEL_ROWS + lane) * 2 + i % 2] = block.q[cpu_act_column(i)];
            for (int s = 0; s < (by_16 ? 2 : 1); s++) {
                int64_t at = (by_16 ? 2 * b + s : b) * PANEL_ROWS + lane;
                j->w.scale[at] = block.scale[s];
                if (cpu_format_has_min(m->format))
                    j->w.min[at] = block.min[s];
            }
        }
}

/* The tiles of each kind, compiled once. */
#define DEFINE_TILES(name, ...)                                                 \
    static __attribute__((noinline)) void name(struct job *j, int64_t t0, int64_t t1) \
    {                                                                           \
        run_tiles(j, (struct kind){ __VA_ARGS__ }, t0, t1);                     \
    }
DEFINE_TILES(run_plain, 0)
DEFINE_TILES(run_min, .min = true)
DEFINE_TILES(run_by_16, .by_16 = true)
DEFINE_TILES(run_min_by_16, .min = true, .by_16 = true)

static void run_chunk(const struct cpu_matrix *m, struct job *j, int64_t t0, int64_t t1)
{
    bool min = cpu_format_has_min(m->format);
    if (m->rows < LANES && !m->packed) {
        fill_few_rows(m, j);
    } else {
        fill_panel(m, j);
        look_ahead(m, j);
    }
    if (cpu_format_by_16(m->format))
        (min ? run_min_by_16 : run_by_16)(j, t0, t1);
    else
        (min ? run_min : run_plain)(j, t0, t1);
}

/* The panel's second half. Where the first reaches the end of the rows it has none of its own: it repeats them, nobody looks. */
INLINE struct lanes second_lanes(const struct cpu_matrix *m, int64_t n, int64_t n1)
{
    if (n < m->rows)
        return lanes_at(m, n, n1);
    return (struct lanes){ n - LANES, vmask_range(0, 0) };
}

static void multiply_panels(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                            float *y, int64_t ldy, const float *bias, void *scratch)
{
    struct job j = { .w = panel_at(scratch), .a = a, .y = y, .ldy = ldy };
    bool filled = m->rows < LANES && !m->packed;
    for (int64_t n = n0; n < n1; n = j.half[1].base + LANES) {
        j.half[0] = filled ? (struct lanes){ 0, vmask_range((int)n0, (int)n1) } : lanes_at(m, n, n1);
        j.half[1] = filled ? (struct lanes){ LANES, vmask_range(0, 0) } : second_lanes(m, j.half[0].base + LANES, n1);
        for (int64_t k = 0; k < m->cols; k += PANEL_COLS) {
            int64_t cols = m->cols - k < PANEL_COLS ? m->cols - k : PANEL_COLS;
            j.first = k == 0;
            j.bias = k + cols == m->cols ? bias : NULL;
            j.block = k / 32;
            j.blocks = cols / 32;
            run_chunk(m, &j, t0, t1);
        }
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

void LEVEL(pack)(const struct cpu_matrix *m, int64_t g0, int64_t g1, uint8_t *packed)
{
    const struct cpu_encoding *e = cpu_encoding_at(m->format);
    int64_t whole = m->rows / CPU_PACK_ROWS < g1 ? m->rows / CPU_PACK_ROWS : g1;
    for (int64_t g = g0; g < whole; g++)
        for (int64_t b = 0; b < m->cols / e->block_cols; b++)
            for (int lane = 0; lane < CPU_PACK_ROWS; lane += LANES)
                for (const struct cpu_field *f = cpu_fields[m->format]; f < cpu_fields[m->format] + CPU_FIELDS_MAX; f++)
                    pack_field(f, m->data + (g * CPU_PACK_ROWS + lane) * m->row_bytes + b * e->block_bytes, m->row_bytes,
                               packed + CPU_PACK_ROWS * (g * m->row_bytes + b * e->block_bytes), lane);
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

/* Up to so many tokens go without a panel. Q6_K has eight sums under way as it is, and what comes out of codebooks costs more to
 * unpack than to multiply. */
static int64_t direct_most(const struct cpu_matrix *w)
{
    if (w->rows < LANES && !w->packed)
        return 0;
    bool codebook = w->format >= CPU_IQ2_XXS && w->format <= CPU_IQ1_M;
    return w->format == CPU_Q6_K ? 1 : w->packed && !codebook ? DIRECT_MOST : 2;
}

void LEVEL(matmul)(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                   float *y, int64_t ldy, const float *bias, void *scratch)
{
    switch (w->format) {
    case CPU_F32: multiply_floats(CPU_F32, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    case CPU_F16: multiply_floats(CPU_F16, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    case CPU_BF16: multiply_floats(CPU_BF16, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    default:
        if (t1 - t0 <= direct_most(w))
            multiply_direct(w, a, t0, t1, n0, n1, y, ldy, bias);
        else
            multiply_panels(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
        break;
    }
}

#endif
