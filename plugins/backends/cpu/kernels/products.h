/* products.h - products by quantised weights, for every vector level and both widths of activations: straight from the file or by
 * panels.
 *
 * With few tokens weights go through registers into the products, LANES rows at a time. With more, PANEL_ROWS rows x
 * PANEL_COLS columns are unpacked into a panel once and run against all tokens. Both are the same chain of exact integer sums
 * and fused links, block after block; between panels of one row the unfinished chains lie in y, exactly. So T never changes a bit.
 * Include after simd_*.h. The file says how wide activations are, ACT_BITS 8 or 16, and how many tokens the level's registers hold:
 * TOKENS in a tile of a panel (2 * TOKENS chains, as many sums), DIRECT_TOKENS without one; up to how many tokens packed weights
 * go without a panel: DIRECT_MANY where that is as fast, DIRECT_MOST in others; and by UNROLL whether the
 * loop over a block's columns is unrolled. */
#ifndef TENON_CPU_PRODUCTS_H
#define TENON_CPU_PRODUCTS_H

#include "levels.h"
#include "quants.h"

#include <stddef.h>
#include <string.h>

#include "unpack.h"

#if ACT_BITS == 8
#define PRODUCTS LEVEL(products_8)
#else
#define PRODUCTS LEVEL(products_16)
#endif

INLINE const act *acts(const struct cpu_act *a)
{
#if ACT_BITS == 8
    return a->q8;
#else
    return a->q;
#endif
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

#if LANES == 16
/* Sums that nobody looks at stay as they are: to clear them all, up to 16 KiB, takes longer than 16 short rows do. Of eight
 * tokens all sums are looked at, and gcc keeps them in registers only when the whole was cleared. */
INLINE void begin_sink(struct sink *s, const int tokens)
{
    if (tokens > 4)
        *s = (struct sink){ 0 };
    s->tokens = tokens;
    for (int slot = 0; slot < 8; slot++) {
        s->held[slot] = 0;
        for (int part = 0; part < PARTS; part++) {
            s->open[slot][part] = false;
            s->shift[slot][part] = 0;
            for (int i = 0; i < tokens; i++)
                s->sum[slot][part][i] = vi_zero();
        }
    }
}
#endif

/* Returns the first row behind. */
INLINE int64_t direct_rows(const enum cpu_format format, const int tokens, const bool packed, const struct cpu_matrix *m,
                           const struct cpu_act *a, int64_t t, int64_t n, int64_t n1, float *y, int64_t ldy, const float *bias)
{
    struct lanes l = lanes_at(m, n, n1);
#if LANES == 16
    struct sink s;
    begin_sink(&s, tokens);
#else /* small */
    struct sink s = { .tokens = tokens };
#endif
    s.packed = packed;
    for (int i = 0; i < tokens; i++) {
        s.q[i] = acts(a) + (t + i) * a->K;
#if SPLITS
        s.split[i] = a->split + 2 * (t + i) * a->K;
#endif
        s.d[i] = a->d + (t + i) * (a->K / 32);
        s.ds[i] = a->ds + (t + i) * (a->K / 32);
        s.ds_16[i] = a->ds_16 + (t + i) * (a->K / 16);
        s.asum[i] = a->sum_16 + (t + i) * (a->K / 16);
        s.acc[i] = vf_zero();
    }
    struct rows r = matrix_rows(m, packed, l.base, 0);
    r.ahead = NEAR;
    unpack_rows(format, r, m->cols / cpu_encoding_at(format)->block_cols, &s, memory_behind(m, l.base, LANES));
    for (int i = 0; i < tokens; i++) {
        vf acc = bias != NULL ? vf_add(s.acc[i], vf_load_some(bias + l.base, l.wanted)) : s.acc[i];
        vf_store_some(y + (t + i) * ldy + l.base, l.wanted, acc);
    }
    return l.base + LANES;
}

/* What files mostly are of. */
INLINE bool is_frequent(const enum cpu_format format) { return format <= CPU_Q4_K || format == CPU_PACKED_Q5_0; }

/* How many tokens it takes at once. More than two cost more to compile: for frequent encodings. Q6_K has scales per
 * 16: with more than four its sums leave the registers. Under sanitizers, where compiling is dearest, fewer: the bits are the same. */
INLINE int most_at_once(const enum cpu_format format, const bool packed)
{
#ifdef FEW_TOKENS
    return packed && is_frequent(format) ? 2 : 1;
#endif
    if (packed && format == CPU_PACKED_Q6_K && DIRECT_TOKENS > 4)
        return 4;
    return packed && is_frequent(format) ? DIRECT_TOKENS : 2;
}

/* Tiles as large as there are, while the rows are in L1. */
INLINE void direct_format(const enum cpu_format format, const bool packed, const struct cpu_matrix *m, const struct cpu_act *a,
                          int64_t t0, int64_t t1, int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias)
{
    const int most = most_at_once(format, packed);
    for (int64_t n = n0, next = n1; n < n1; n = next)
        for (int64_t t = t0, tokens; t < t1; t += tokens) {
            tokens = most >= 2 && t1 - t >= 2 ? 2 : 1;
#if DIRECT_TOKENS == 8
            if (most >= 4 && t1 - t >= 4) {
                tokens = most == 8 && t1 - t >= 8 ? 8 : 4;
                if (tokens == 8)
                    next = direct_rows(format, most, packed, m, a, t, n, n1, y, ldy, bias);
                else
                    next = direct_rows(format, 4, packed, m, a, t, n, n1, y, ldy, bias);
                continue;
            }
#endif
            if (most >= 2 && tokens == 2)
                next = direct_rows(format, 2, packed, m, a, t, n, n1, y, ldy, bias);
            else
                next = direct_rows(format, 1, packed, m, a, t, n, n1, y, ldy, bias);
        }
}
_Static_assert(DIRECT_TOKENS == 2 || DIRECT_TOKENS == 8, "direct_format() has a case for every size");

#ifdef DIRECT_BY /* what the level has no products of its own for: those of another, to the same bits */
INLINE void multiply_direct(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                            float *y, int64_t ldy, const float *bias)
{
    DIRECT_BY(m, a, t0, t1, n0, n1, y, ldy, bias, NULL);
}
#else
/* A function for each encoding: in one function for all, compilers took minutes and gigabytes. */
#define DIRECT(name, format, packed) \
    static __attribute__((noinline)) void name(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, \
                                               int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias) \
    { \
        direct_format(format, packed, m, a, t0, t1, n0, n1, y, ldy, bias); \
    }
#define DIRECT_FILE(format, unpack, bytes, blocks) DIRECT(direct_file_##format, format, false)
#define DIRECT_PACKED(format, unpack, bytes, blocks) DIRECT(direct_packed_##format, format, true)
KEPT_FORMATS(DIRECT_FILE)
FILE_FORMATS(DIRECT_FILE)
KEPT_FORMATS(DIRECT_PACKED)
PACKED_FORMATS(DIRECT_PACKED)
#undef DIRECT
#undef DIRECT_FILE
#undef DIRECT_PACKED

static void multiply_direct(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                            float *y, int64_t ldy, const float *bias)
{
    switch (m->format + (m->packed ? CPU_FORMATS_ALL : 0)) {
#define DIRECT_FILE(format, unpack, bytes, blocks) \
    case (int)format: direct_file_##format(m, a, t0, t1, n0, n1, y, ldy, bias); break;
#define DIRECT_PACKED(format, unpack, bytes, blocks) \
    case (int)format + CPU_FORMATS_ALL: direct_packed_##format(m, a, t0, t1, n0, n1, y, ldy, bias); break;
        KEPT_FORMATS(DIRECT_FILE)
        FILE_FORMATS(DIRECT_FILE)
        KEPT_FORMATS(DIRECT_PACKED)
        PACKED_FORMATS(DIRECT_PACKED)
#undef DIRECT_FILE
#undef DIRECT_PACKED
    default: break;
    }
}
#endif

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

/* What a family of encodings needs; constant once inlined. `mins`: per 32 columns; `offset`: weights stand above their values; `bits`: see
 * struct form. */
struct kind {
    int mins;
    bool by_16, offset;
    int bits;
};

/* Where the tokens of a tile lie, from the chunk's first block on. */
struct tile_rows {
    const act *q[TOKENS];
    const float *d[TOKENS];
    const float *ds[TOKENS]; /* of the 32 or 16 that minimums are for */
    const int32_t *asum[TOKENS];
};

/* What sums start from: less by the offset of the weights for each activation of 16 or 32. */
INLINE void begin_sums(const struct job *j, const struct kind kind, const struct tile_rows *r, int64_t at, const int tokens,
                       vi sum[2][TOKENS])
{
    const int offset = kind.offset ? offset_of(j->form) : 0;
    for (int i = 0; i < tokens; i++)
        sum[0][i] = sum[1][i] = vi_zero();
    for (int i = 0; offset != 0 && i < tokens; i++) {
        int32_t of_acts = kind.by_16 ? r->asum[i][at] : r->asum[i][2 * at] + r->asum[i][2 * at + 1];
        sum[0][i] = sum[1][i] = vi_all((uint32_t)(-of_acts * offset));
    }
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
    const int parts = kind.by_16 ? 2 : 1;
    for (int part = 0; part < parts; part++) {
        begin_sums(j, kind, r, parts * b + part, tokens, sum);
        dots(&j->w, kind.bits, r->q, b, 16 * part, 32 / parts, tokens, sum);
        links(j->w.scale + (parts * b + part) * PANEL_ROWS, r, b, tokens, sum, acc);
    }
    for (int m = 0; m < kind.mins; m++)
        for (int i = 0; i < tokens; i++)
            for (int h = 0; h < 2; h++)
                acc[h][i] = vf_fma(vf_load(j->w.min + (kind.mins * b + m) * PANEL_ROWS + h * LANES),
                                   vf_all(r->ds[i][kind.mins * b + m]), acc[h][i]);
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
        r.q[i] = acts(a) + 32 * at;
        r.d[i] = a->d + at;
        r.ds[i] = kind.mins == 2 ? a->ds_16 + 2 * at : a->ds + at;
        r.asum[i] = a->sum_16 + 2 * at;
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
#endif
#if TOKENS > 4
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
_Static_assert(TOKENS == 3 || TOKENS == 4 || TOKENS == 5 || TOKENS == 6, "run_tiles() has a case for every size");

INLINE struct form fill_half(const enum cpu_format format, const bool packed, const struct cpu_matrix *m, const struct job *j, int h)
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
    unpack_rows(format, matrix_rows(m, packed, j->half[h].base, first), blocks, &s, NULL);
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

#define FILL(name, format, packed) \
    static __attribute__((noinline)) struct form name(const struct cpu_matrix *m, const struct job *j, int h) \
    { \
        return fill_half(format, packed, m, j, h); \
    }
#define FILL_FILE(format, unpack, bytes, blocks) FILL(fill_file_##format, format, false)
#define FILL_PACKED(format, unpack, bytes, blocks) FILL(fill_packed_##format, format, true)
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
#define FILL_FILE(format, unpack, bytes, blocks) \
    case (int)format: j->form = fill_file_##format(m, j, h); break;
#define FILL_PACKED(format, unpack, bytes, blocks) \
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

/* Panels of matrices with fewer than LANES rows: slow, and rare. Lanes past the end repeat a row, nobody looks. */
static void fill_few_rows(const struct cpu_matrix *m, struct job *j)
{
    const int scales = cpu_format_by_16(m->format) ? 2 : 1, mins = cpu_format_mins(m->format);
    struct cpu_quant_block block;
    j->form = SIGNED;
    for (int64_t b = 0; b < j->blocks; b++)
        for (int lane = 0; lane < PANEL_ROWS; lane++) {
            cpu_quant_block(m->format, m->data + (lane < m->rows ? lane : 0) * m->row_bytes, j->block + b, &block);
            for (int i = 0; i < 32; i++)
                put_one(&j->w, b, i, lane, block.q[i]);
            for (int s = 0; s < scales; s++)
                j->w.scale[(scales * b + s) * PANEL_ROWS + lane] = block.scale[s];
            for (int s = 0; s < mins; s++)
                j->w.min[(mins * b + s) * PANEL_ROWS + lane] = block.min[s];
        }
}

/* The tiles of each kind, compiled once. */
#define TILES(name, ...)                                                        \
    static __attribute__((noinline)) void name(struct job *j, int64_t t0, int64_t t1) \
    {                                                                           \
        run_tiles(j, (struct kind){ __VA_ARGS__ }, t0, t1);                     \
    }
#if WEIGHT_BYTES == 2 /* no offsets: the panel holds values */
#define TILES_OF(bits) TILES(run_plain_##bits, 0, false, false, bits) TILES(run_min_##bits, 1, false, false, bits) \
    TILES(run_by_16_##bits, 0, true, false, bits) TILES(run_mins_##bits, 2, false, false, bits)
#else /* few formats with minimums have offsets too, and those without mostly do */
#define TILES_OF(bits) TILES(run_plain_##bits, 0, false, true, bits) TILES(run_min_##bits, 1, false, true, bits) \
    TILES(run_by_16_##bits, 0, true, true, bits) TILES(run_mins_##bits, 2, false, true, bits)
#endif
#define RUN(bits) (by_16 ? run_by_16_##bits : mins == 2 ? run_mins_##bits : mins == 1 ? run_min_##bits : run_plain_##bits)(j, t0, t1)
#if ACT_BITS == 8 && defined(SUMS_OF_16)
TILES_OF(4) TILES_OF(5) TILES_OF(6) TILES_OF(7)
#endif
TILES_OF(8)

static void run_panel(struct job *j, const int mins, const bool by_16, int64_t t0, int64_t t1)
{
#if ACT_BITS == 8 && defined(SUMS_OF_16)
    switch (j->form.bits) {
    case 8: break;
    case 7: RUN(7); return;
    case 6: RUN(6); return;
    case 5: RUN(5); return;
    default: RUN(4); return;
    }
#endif
    RUN(8);
}

static void run_chunk(const struct cpu_matrix *m, struct job *j, int64_t t0, int64_t t1)
{
    if (m->rows < LANES && !m->packed) {
        fill_few_rows(m, j);
    } else {
        fill_panel(m, j);
        look_ahead(m, j);
    }
    run_panel(j, cpu_format_mins(m->format), cpu_format_by_16(m->format), t0, t1);
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

/* Two tokens at a time unpack the weights over and over: what that costs nothing, whole bytes and nibbles without more. */
INLINE bool in_reach(const enum cpu_format format)
{
    return format == CPU_Q4_0 || format == CPU_Q4_1 || format == CPU_Q8_0;
}

/* Up to so many tokens go without a panel. Q6_K in the file's order has eight sums under way as it is. */
static int64_t direct_most(const struct cpu_matrix *w)
{
    if (w->rows < LANES && !w->packed)
        return 0;
    if (w->packed && (DIRECT_TOKENS == 2 ? in_reach(w->format) : is_frequent(w->format)))
        return DIRECT_MANY;
    return w->packed ? DIRECT_MOST : w->format == CPU_Q6_K ? 1 : 2;
}

void PRODUCTS(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, float *y,
              int64_t ldy, const float *bias, void *scratch)
{
    if (t1 - t0 <= direct_most(w))
        multiply_direct(w, a, t0, t1, n0, n1, y, ldy, bias);
    else
        multiply_panels(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
}

#endif
