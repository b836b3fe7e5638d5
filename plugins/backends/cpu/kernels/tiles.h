/* tiles.h - a panel against tokens by the processor's tiles (simd_amx.h): 16 tokens by 16 rows at a time, for both widths of
 * activations, to the bits of chains.h.
 *
 * A step is a block of 32 columns of all tokens, or of 16 where scales are per 16. Its sums are exact integers, so a tile may make them
 * in whatever order; they leave it by memory, and vectors link them to the chains of their tokens. Tiles are two steps ahead of the
 * vectors, by 16 three, for a product takes long to end: its sums leave while those of the next step are made.
 * The panel holds weights with a sign and without an offset. 16-bit activations are 256 high + low: two tiles of sums.
 * Included by panels.h. */
#ifndef TENON_CPU_TILES_H
#define TENON_CPU_TILES_H

#include "simd_amx.h"

#define RING_STEPS 4
#define MOST_AHEAD 3
#define STEP_SUMS (2 * TILE_ROWS * LANES) /* int32: of low bytes and of high ones, or of the only ones */

_Static_assert((RING_STEPS & (RING_STEPS - 1)) == 0 && MOST_AHEAD < RING_STEPS, "steps under way are apart in the ring");
_Static_assert(LANES * 4 == TILE_ROW_BYTES && LANES == TILE_ROWS, "a row of a tile of sums is a register");

/* What a family of encodings needs, and the activations; constant once inlined. `mins`: per 32 columns; `wide`: 16 bits, not with
 * `by_16`, scales per 16. */
struct kind {
    int mins;
    bool wide, by_16;
};

INLINE int step_columns(const struct kind kind) { return kind.by_16 ? 16 : 32; }

/* All tiles of a panel, and what they work in. */
struct pass {
    const struct job *j;
    int64_t t1;
    int halves;     /* of the panel that have rows */
    int32_t *ring;  /* [RING_STEPS][2, or 1 where activations are narrow][TILE_ROWS][LANES] */
};

/* ---- sums, by tiles */

/* Tile registers, two by turns: the assembler wants their numbers as they are written here. */
#define SUMS_0 0
#define SUMS_1 1
#define HIGH_SUMS_0 2
#define HIGH_SUMS_1 3
#define ACTS 4
#define HIGH_ACTS 5
#define WEIGHTS 6

/* The step whose sums are made next. */
struct ahead {
    const uint8_t *w;
    const int8_t *acts;
    int64_t acts_row;     /* bytes */
    int64_t left;         /* steps of this tile */
    int64_t t;            /* the next tile: its tokens */
    int h;                /* and half of the panel */
    int64_t shaped;       /* tokens that tiles have rows for */
    unsigned made, kept;  /* steps so far, and those in memory: all, or all but the last */
};

/* Tiles begin at multiples of CPU_TURNED_TOKENS, but for the first: as far as tokens' factors lie side by side. */
INLINE int64_t tile_end(int64_t t, int64_t t1)
{
    int64_t end = t / TILE_ROWS * TILE_ROWS + TILE_ROWS;
    return end < t1 ? end : t1;
}
_Static_assert(TILE_ROWS == CPU_TURNED_TOKENS, "a tile's factors lie side by side");

INLINE int32_t *step_sums(const struct pass *p, const struct kind kind, unsigned step)
{
    return p->ring + step % RING_STEPS * (kind.wide ? STEP_SUMS : STEP_SUMS / 2);
}

#define KEEP_SUMS(turn)                                                             \
    do {                                                                            \
        tile_store(SUMS_##turn, sums, TILE_ROW_BYTES);                              \
        if (kind.wide)                                                              \
            tile_store(HIGH_SUMS_##turn, sums + TILE_ROWS * LANES, TILE_ROW_BYTES); \
    } while (0)

/* The sums of the oldest step that are still in a tile go to memory. */
INLINE void keep_sums(const struct pass *p, const struct kind kind, struct ahead *a)
{
    int32_t *sums = step_sums(p, kind, a->kept);
    if (a->kept++ % 2 == 0)
        KEEP_SUMS(0);
    else
        KEEP_SUMS(1);
}

#define MAKE_SUMS(turn)                                  \
    do {                                                 \
        tile_load(WEIGHTS, a->w, 4 * PANEL_ROWS);        \
        tile_load(ACTS, a->acts, a->acts_row);           \
        tile_zero(SUMS_##turn);                          \
        if (!kind.wide) {                                \
            tile_dot(SUMS_##turn, ACTS, WEIGHTS);        \
        } else {                                         \
            tile_load(HIGH_ACTS, a->acts + 32, a->acts_row); \
            tile_zero(HIGH_SUMS_##turn);                 \
            tile_dot(SUMS_##turn, ACTS, WEIGHTS);        \
            tile_dot(HIGH_SUMS_##turn, HIGH_ACTS, WEIGHTS); \
        }                                                \
    } while (0)

INLINE void make_sums(const struct kind kind, struct ahead *a)
{
    if (a->made % 2 == 0)
        MAKE_SUMS(0);
    else
        MAKE_SUMS(1);
    a->w += step_columns(kind) * PANEL_ROWS;
    a->acts += kind.wide ? 64 : step_columns(kind);
    a->made++;
}

static void shape_for(int64_t tokens, int columns)
{
    struct tile_shapes s = { .palette = 1 };
    for (int i = SUMS_0; i <= HIGH_ACTS; i++) {
        s.rows[i] = (uint8_t)tokens;
        s.row_bytes[i] = (uint16_t)(i < ACTS ? TILE_ROW_BYTES : columns);
    }
    s.rows[WEIGHTS] = (uint8_t)(columns / 4);
    s.row_bytes[WEIGHTS] = TILE_ROW_BYTES;
    tiles_shape(&s);
}

/* On to the next tile; false: there is none, and all sums are in memory. */
INLINE bool next_tile(const struct pass *p, const struct kind kind, struct ahead *a)
{
    const struct job *j = p->j;
    const int64_t tokens = tile_end(a->t, p->t1) - a->t, K = j->a->K;
    if (a->kept != a->made && (a->t >= p->t1 || tokens != a->shaped))
        keep_sums(p, kind, a);
    if (a->t >= p->t1)
        return false;
    if (tokens != a->shaped)
        shape_for(tokens, step_columns(kind));
    a->shaped = tokens;
    a->left = p->j->blocks * 32 / step_columns(kind);
    a->w = j->w.q + 4 * LANES * a->h;
    a->acts_row = (kind.wide ? 2 : 1) * K;
    a->acts = kind.wide ? j->a->split + 2 * (a->t * K + 32 * j->block) : j->a->q8 + a->t * K + 32 * j->block;
    if (++a->h == p->halves) {
        a->h = 0;
        a->t += tokens;
    }
    return true;
}

/* One more step's sums are made, and those of the one before are in memory. */
INLINE void go_ahead(const struct pass *p, const struct kind kind, struct ahead *a)
{
    if (a->left == 0 && !next_tile(p, kind, a))
        return;
    a->left--;
    make_sums(kind, a);
    if (a->made - a->kept > 1)
        keep_sums(p, kind, a);
}

/* ---- links, by vectors */

INLINE vi sum_of(const int32_t *sums, const struct kind kind, const int i)
{
    vi low = vi_load(sums + i * LANES);
    return kind.wide ? vi_add(vi_shl(vi_load(sums + (TILE_ROWS + i) * LANES), 8), low) : low;
}

/* Factors of a tile's tokens, from the panel's first block on: [blocks][TILE_ROWS], those that minimums meet [blocks][mins][TILE_ROWS]. */
struct factors {
    const float *d, *ds;
};

INLINE struct factors factors_of(const struct job *j, const struct kind kind, int64_t t)
{
    const struct cpu_act *a = j->a;
    const int64_t at = (t / TILE_ROWS * (a->K / 32) + j->block) * TILE_ROWS, i = t % TILE_ROWS;
    return (struct factors){ a->turned_d + at + i, kind.mins == 2 ? a->turned_ds_16 + 2 * at + i : a->turned_ds + at + i };
}

INLINE void link_step(const struct job *j, const struct kind kind, const struct factors *f, int h, int64_t b, const int tokens,
                      const int32_t *sums, vf acc[TILE_ROWS])
{
    const vf scale = vf_load(j->w.scale + b * PANEL_ROWS + h * LANES);
    UNROLL
    for (int i = 0; i < tokens; i++)
        acc[i] = link(acc[i], scale, f->d + b * TILE_ROWS + i, sum_of(sums, kind, i));
    for (int64_t m = kind.mins * b; m < kind.mins * (b + 1); m++) {
        const vf min = vf_load(j->w.min + m * PANEL_ROWS + h * LANES);
        UNROLL
        for (int i = 0; i < tokens; i++)
            acc[i] = vf_fma(min, vf_all(f->ds[m * TILE_ROWS + i]), acc[i]);
    }
}

/* Scales per 16: two steps, of some tokens at a time. */
INLINE void link_steps(const struct job *j, const struct factors *f, int h, int64_t b, const int from, const int to,
                       const int32_t *first_sums, const int32_t *second_sums, vf acc[TILE_ROWS])
{
    const float *scale = j->w.scale + 2 * b * PANEL_ROWS + h * LANES;
    const vf first = vf_load(scale), second = vf_load(scale + PANEL_ROWS);
    UNROLL
    for (int i = from; i < to; i++) {
        vf half = half_sum(first, vi_load(first_sums + i * LANES));
        acc[i] = link_both(acc[i], both_sums(half, second, vi_load(second_sums + i * LANES)), f->d + b * TILE_ROWS + i);
    }
}

/* 16 rows by up to `tokens` tokens, `count` of them, over the whole of the panel; *used: steps that are linked. */
INLINE void run_tile(const struct pass *p, struct job *j, const struct kind kind, int64_t t, int64_t count, int h, const int tokens,
                     unsigned *used, struct ahead *ahead)
{
    const struct factors f = factors_of(j, kind, t);
    vf acc[TILE_ROWS];
    UNROLL
    for (int i = 0; i < tokens; i++)
        acc[i] = i < count ? load_chain(j, t + i, h) : vf_zero();
    for (int64_t b = 0; b < j->blocks; b++) {
        const int32_t *sums = step_sums(p, kind, (*used)++);
        go_ahead(p, kind, ahead);
        fetch_soon(j);
        if (kind.by_16) { /* tiles and vectors by turns: two steps at once take a third longer */
            const int32_t *more = step_sums(p, kind, (*used)++);
            link_steps(j, &f, h, b, 0, tokens / 2, sums, more, acc);
            go_ahead(p, kind, ahead);
            link_steps(j, &f, h, b, tokens / 2, tokens, sums, more, acc);
        } else {
            link_step(j, kind, &f, h, b, tokens, sums, acc);
        }
    }
    UNROLL
    for (int i = 0; i < tokens; i++)
        if (i < count)
            store_chain(j, t + i, h, acc[i]);
}

INLINE void run_tiles(struct job *j, const struct kind kind, int64_t t0, int64_t t1)
{
    const struct pass p = { .j = j, .t1 = t1, .halves = j->half[1].wanted != 0 ? 2 : 1,
                            .ring = (int32_t *)(void *)(j->w.q + PANEL_BYTES + 2 * SCALES_BYTES) };
    struct ahead ahead = { .t = t0 };
    unsigned used = 0;
    tiles_see_memory();
    for (int i = 0; i < (kind.by_16 ? MOST_AHEAD : MOST_AHEAD - 1); i++)
        go_ahead(&p, kind, &ahead);
    for (int64_t t = t0, count; t < t1; t += count) {
        count = tile_end(t, t1) - t;
        for (int h = 0; h < p.halves; h++)
            switch ((count + 3) / 4) {
            case 1: run_tile(&p, j, kind, t, count, h, 4, &used, &ahead); break;
            case 2: run_tile(&p, j, kind, t, count, h, 8, &used, &ahead); break;
            case 3: run_tile(&p, j, kind, t, count, h, 12, &used, &ahead); break;
            default: run_tile(&p, j, kind, t, count, h, 16, &used, &ahead); break;
            }
    }
}

/* Compiled once for each kind. */
#define TILES_OF(name, ...)                                                           \
    static __attribute__((noinline)) void name(struct job *j, int64_t t0, int64_t t1) \
    {                                                                                 \
        run_tiles(j, (struct kind){ __VA_ARGS__ }, t0, t1);                           \
    }
TILES_OF(run_plain, 0, false, false)
TILES_OF(run_min, 1, false, false)
TILES_OF(run_mins, 2, false, false)
TILES_OF(run_by_16, 0, false, true)
TILES_OF(run_wide_plain, 0, true, false)
TILES_OF(run_wide_min, 1, true, false)
TILES_OF(run_wide_mins, 2, true, false)
#undef TILES_OF

/* Has it what tiles are for? By 16-bit activations scales per 16 are twice as much to link as vectors gain by; Q3_K's panels here are
 * for 8 bits, for by 16 avx512's bits have two sums a link. */
INLINE bool suits_tiles(enum cpu_format format, bool narrow)
{
    return narrow || !cpu_format_by_16(format);
}

static void run_panel(struct job *j, const int mins, const bool by_16, int64_t t0, int64_t t1)
{
    if (j->a->narrow)
        (by_16 ? run_by_16 : mins == 2 ? run_mins : mins == 1 ? run_min : run_plain)(j, t0, t1);
    else
        (mins == 2 ? run_wide_mins : mins == 1 ? run_wide_min : run_wide_plain)(j, t0, t1);
}

#endif
