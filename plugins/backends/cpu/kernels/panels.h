/* panels.h - panels: PANEL_ROWS rows x PANEL_COLS columns of a quantised matrix unpacked once and run against all tokens, by chains in
 * registers (chains.h) or by the processor's own tiles (tiles.h). Between panels of one row the unfinished chains lie in y, exactly.
 * Included by products.h or, of level amx, its file. */
#ifndef TENON_CPU_PANELS_H
#define TENON_CPU_PANELS_H

#include "lanes.h"

/* ---- what a panel holds */

/* Do the weights of a panel have factors of their scales in them? */
INLINE bool folds_factors(enum cpu_format format)
{
    bool folds = format == CPU_Q2_K || format == CPU_PACKED_Q2_K;
#ifdef FOLDS_THREES
    folds = folds || format == CPU_Q3_K || format == CPU_PACKED_Q3_K;
#endif
    return folds;
}

INLINE bool links_halves(enum cpu_format format) { return cpu_format_by_16(format) && !folds_factors(format); }

/* ---- where chains are kept */

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
    struct form form;   /* of the weights in it */
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

#define SOON_LINES 5 /* per block and tile: the fewest tokens make two of them, a block of 32 columns and 16 rows has 5 to 9 lines */

INLINE void fetch_soon(struct job *j)
{
    int h = j->soon[0] < j->soon_end[0] ? 0 : 1;
    if (j->soon[h] >= j->soon_end[h])
        return;
    prefetch(j->soon[h], 64 * SOON_LINES);
    j->soon[h] += 64 * SOON_LINES;
}

#ifdef TILES
#include "tiles.h"
#else
#include "chains.h"
#endif

/* ---- filling them */

INLINE struct form fill_half(unpack_loop *const unpack, const enum cpu_format format, const bool packed, const struct cpu_matrix *m,
                             const struct job *j, int h)
{
    const struct cpu_encoding *e = cpu_encoding_at(format);
    int64_t first = j->block * 32 / e->block_cols, blocks = j->blocks * 32 / e->block_cols;
#if LANES == 16
    struct sink s; /* its sums, up to 16 KiB, nobody reads: to clear them took longer than to fill the panel */
    s.tokens = 0;
    memset(s.q, 0, sizeof s.q);
#else
    struct sink s = { .tokens = 0 };
#endif
    s.form = SIGNED;
    s.w = (struct panel){ j->w.q + 4 * h * LANES, j->w.scale + h * LANES, j->w.min + h * LANES };
    unpack(matrix_rows(m, packed, j->half[h].base, first), blocks, &s, FETCH_NOTHING, NULL);
    return s.form;
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

#define FILL(name, unpack, format, packed) \
    static __attribute__((noinline)) struct form name(const struct cpu_matrix *m, const struct job *j, int h) \
    { \
        return fill_half(unpack, format, packed, m, j, h); \
    }
#define FILL_FILE(format, unpack, bytes, blocks, scales) FILL(fill_file_##format, unpack##_rows, format, false)
#define FILL_PACKED(format, unpack, bytes, blocks, scales) FILL(fill_packed_##format, unpack##_rows, format, true)
KEPT_FORMATS(FILL_FILE)
FILE_FORMATS(FILL_FILE)
KEPT_FORMATS(FILL_PACKED)
PACKED_FORMATS(FILL_PACKED)
#undef FILL
#undef FILL_FILE
#undef FILL_PACKED

/* Unpack the job's chunk. */
static void fill_panel(const struct cpu_matrix *m, struct job *j)
{
    for (int h = 0; h < 2; h++)
        switch (m->format + (m->packed ? CPU_FORMATS_ALL : 0)) {
#define FILL_FILE(format, unpack, bytes, blocks, scales) \
    case (int)format: j->form = fill_file_##format(m, j, h); break;
#define FILL_PACKED(format, unpack, bytes, blocks, scales) \
    case (int)format + CPU_FORMATS_ALL: j->form = fill_packed_##format(m, j, h); break;
            KEPT_FORMATS(FILL_FILE)
            FILE_FORMATS(FILL_FILE)
            KEPT_FORMATS(FILL_PACKED)
            PACKED_FORMATS(FILL_PACKED)
#undef FILL_FILE
#undef FILL_PACKED
        default: break;
        }
}

/* Panels of matrices with fewer than LANES rows: slow, and rare. Lanes past the end repeat a row, nobody looks. Weights and scales have the
 * other sign where weights are products, for -4 times -32 is too much for a byte and its negative is not. */
static void fill_few_rows(const struct cpu_matrix *m, struct job *j)
{
    const int scales = links_halves(m->format) ? 2 : 1, mins = cpu_format_mins(m->format);
    const bool folds = folds_factors(m->format);
    struct cpu_quant_block block;
    j->form = SIGNED;
    for (int64_t b = 0; b < j->blocks; b++)
        for (int lane = 0; lane < PANEL_ROWS; lane++) {
            cpu_quant_block(m->format, m->data + (lane < m->rows ? lane : 0) * m->row_bytes, j->block + b, &block);
            for (int i = 0; i < 32; i++)
                put_one(&j->w, b, i, lane, (int8_t)(folds ? -block.factor[i >> 4] * block.q[i] : block.q[i]));
            for (int s = 0; s < scales; s++)
                j->w.scale[(scales * b + s) * PANEL_ROWS + lane] = folds ? -block.scale[s] : block.scale[s] * (float)block.factor[s];
            for (int s = 0; s < mins; s++)
                j->w.min[(mins * b + s) * PANEL_ROWS + lane] = block.min[s];
        }
}

static void run_chunk(const struct cpu_matrix *m, struct job *j, int64_t t0, int64_t t1)
{
    if (m->rows < LANES && !m->packed) {
        fill_few_rows(m, j);
    } else {
        fill_panel(m, j);
        look_ahead(m, j);
    }
    run_panel(j, cpu_format_mins(m->format), links_halves(m->format), t0, t1);
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

#endif
