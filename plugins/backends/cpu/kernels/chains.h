/* chains.h - a panel against tokens, 2 * TOKENS chains in registers at a time. Included by panels.h. */
#ifndef TENON_CPU_CHAINS_H
#define TENON_CPU_CHAINS_H

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
    for (int i = 0; offset != 0 && i < tokens; i++)
        sum[0][i] = sum[1][i] = vi_all((uint32_t)(-r->asum[i][at] * offset));
}

INLINE void links(const float *scale, const struct tile_rows *r, int64_t b, const int tokens, vi sum[2][TOKENS], vf acc[2][TOKENS])
{
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < 2; h++)
            acc[h][i] = link(acc[h][i], vf_load(scale + h * LANES), r->d[i] + b, sum[h][i]);
}

/* Scales per 16. */
INLINE void add_halves(const struct job *j, const struct kind kind, const struct tile_rows *r, int64_t b, const int tokens,
                       vf acc[2][TOKENS])
{
    const float *scale = j->w.scale + 2 * b * PANEL_ROWS;
    vi sum[2][TOKENS];
    vf both[2][TOKENS];
    begin_sums(j, kind, r, 2 * b, tokens, sum);
    dots(&j->w, kind.bits, r->q, b, 0, 16, tokens, sum);
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < 2; h++)
            both[h][i] = half_sum(vf_load(scale + h * LANES), sum[h][i]);
    begin_sums(j, kind, r, 2 * b + 1, tokens, sum);
    dots(&j->w, kind.bits, r->q, b, 16, 16, tokens, sum);
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < 2; h++)
            acc[h][i] = link_both(acc[h][i], both_sums(both[h][i], vf_load(scale + PANEL_ROWS + h * LANES), sum[h][i]), r->d[i] + b);
}

INLINE void add_block(const struct job *j, const struct kind kind, const struct tile_rows *r, int64_t b, const int tokens,
                      vf acc[2][TOKENS])
{
    vi sum[2][TOKENS];
    if (kind.by_16) {
        add_halves(j, kind, r, b, tokens, acc);
        return;
    }
    begin_sums(j, kind, r, b, tokens, sum);
    dots(&j->w, kind.bits, r->q, b, 0, 32, tokens, sum);
    links(j->w.scale + b * PANEL_ROWS, r, b, tokens, sum, acc);
    for (int m = 0; m < kind.mins; m++)
        for (int i = 0; i < tokens; i++)
            for (int h = 0; h < 2; h++)
                acc[h][i] = vf_fma(vf_load(j->w.min + (kind.mins * b + m) * PANEL_ROWS + h * LANES),
                                   vf_all(r->ds[i][kind.mins * b + m]), acc[h][i]);
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
        r.asum[i] = kind.by_16 ? a->sum_16 + 2 * at : a->sum + at;
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

#endif
