/* direct.h - products of few tokens: weights straight from memory through registers, LANES rows at a time, without a panel.
 * Included by products.h and lookups.h, which say of which encodings: DIRECT_FILE and DIRECT_PACKED define the function of one. */
#ifndef TENON_CPU_DIRECT_H
#define TENON_CPU_DIRECT_H

#include "lanes.h"

/* Memory of the LANES rows that lie `rows` behind, as far as there are some; NULL otherwise. */
INLINE const uint8_t *memory_behind(const struct cpu_matrix *m, int64_t base, int64_t rows)
{
    return base + rows + LANES <= m->rows ? m->data + (base + rows) * m->row_bytes : NULL;
}

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
INLINE int64_t direct_rows(unpack_loop *const unpack, const enum cpu_format format, const int tokens, const bool packed,
                           const enum fetch fetch, const struct cpu_matrix *m, const struct cpu_act *a, int64_t t, int64_t n, int64_t n1,
                           float *y, int64_t ldy, const float *bias)
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
        s.moved[i] = a->moved == NULL ? NULL : a->moved + (t + i) * (a->K / 4);
#endif
        s.d[i] = a->d + (t + i) * (a->K / 32);
        s.ds[i] = a->ds + (t + i) * (a->K / 32);
        s.ds_16[i] = a->ds_16 + (t + i) * (a->K / 16);
        s.asum[i] = a->sum + (t + i) * (a->K / 32);
        s.asum_16[i] = a->sum_16 + (t + i) * (a->K / 16);
        s.acc[i] = vf_zero();
    }
    struct rows r = matrix_rows(m, packed, l.base, 0);
    unpack(r, m->cols / cpu_encoding_at(format)->block_cols, &s, fetch, memory_behind(m, l.base, LANES));
    for (int i = 0; i < tokens; i++) {
        vf acc = bias != NULL ? vf_add(s.acc[i], vf_load_some(bias + l.base, l.wanted)) : s.acc[i];
        vf_store_some(y + (t + i) * ldy + l.base, l.wanted, acc);
    }
    return l.base + LANES;
}

/* What files mostly are of. */
INLINE bool is_frequent(const enum cpu_format format) { return format <= CPU_Q4_K || format == CPU_PACKED_Q5_0; }

/* How many tokens an encoding takes at once: in the file's order, and packed. With scales per 16 the sums of more than four leave the
 * registers. Under sanitizers, where compiling is dearest, fewer: the bits are the same. */
#ifdef FEW_TOKENS
#define MOST_OF_FILE 1
#define MOST_OF_PACKED(format, scales) (is_frequent(format) ? 2 : 1)
#else
#define MOST_OF_FILE 2
#define MOST_OF_PACKED(format, scales) ((scales) == 2 && DIRECT_TOKENS > 4 ? 4 : DIRECT_TOKENS)
#endif

/* Of so many tokens left as many at once as there is a tile for. Three have one: as two and one they would take longer than four. */
INLINE int tokens_at_once(const int most, int64_t left)
{
    if (most >= 4 && left >= 3)
        return most == 8 && left >= 8 ? 8 : left >= 4 ? 4 : 3;
    return most >= 2 && left >= 2 ? 2 : 1;
}

/* What is fetched ahead for so many tokens. For more than two that is the same on all machines. */
INLINE enum fetch fetch_of(const bool packed, const bool may_twice, int64_t tokens)
{
    if (!FETCHES_OTHERWISE || !packed || tokens > 2)
        return FETCH_SOME;
    const enum cpu_fetching machine = cpu_fetching();
    return machine == CPU_FETCHES_TO_FIRST ? FETCH_TO_FIRST : may_twice && machine == CPU_FETCHES_TWICE ? FETCH_TWICE : FETCH_SOME;
}

/* Tiles as large as there are, while the rows are in L1. `may_twice`: the encoding gains where lines of weights are fetched twice for
 * one token or two. */
INLINE void direct_format(unpack_loop *const unpack, const enum cpu_format format, const int most, const bool packed,
                          const bool may_twice, const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0,
                          int64_t n1, float *y, int64_t ldy, const float *bias)
{
#define ROWS_OF(tokens, fetch) direct_rows(unpack, format, tokens, packed, fetch, m, a, t, n, n1, y, ldy, bias)
#define FETCHED(tokens)                                       \
    (fetch == FETCH_TO_FIRST ? ROWS_OF(tokens, FETCH_TO_FIRST) \
     : fetch == FETCH_TWICE ? ROWS_OF(tokens, FETCH_TWICE)     \
                            : ROWS_OF(tokens, FETCH_SOME))
    const enum fetch fetch = fetch_of(packed, may_twice, t1 - t0);
    for (int64_t n = n0, next = n1; n < n1; n = next)
        for (int64_t t = t0, tokens; t < t1; t += tokens) {
            tokens = tokens_at_once(most, t1 - t);
#if DIRECT_TOKENS == 8
            if (most >= 4 && tokens >= 3) {
                next = tokens == 8 ? ROWS_OF(most, FETCH_SOME) : tokens == 4 ? ROWS_OF(4, FETCH_SOME) : ROWS_OF(3, FETCH_SOME);
                continue;
            }
#endif
            if (most >= 2 && tokens == 2)
                next = FETCHED(2);
            else
                next = FETCHED(1);
        }
#undef FETCHED
#undef ROWS_OF
}
_Static_assert(DIRECT_TOKENS == 2 || DIRECT_TOKENS == 8, "direct_format() has a case for every size");

/* A function for each encoding: in one function for all, compilers took minutes and gigabytes. */
#define DIRECT(name, unpack, format, most, packed, may_twice) \
    static __attribute__((noinline)) void name(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, \
                                               int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias) \
    { \
        direct_format(unpack, format, most, packed, may_twice, m, a, t0, t1, n0, n1, y, ldy, bias); \
    }
#define DIRECT_FILE(format, unpack, bytes, blocks, scales) \
    DIRECT(direct_file_##format, unpack##_rows, format, MOST_OF_FILE, false, false)
#define DIRECT_PACKED(format, unpack, bytes, blocks, scales) \
    DIRECT(direct_packed_##format, unpack##_rows, format, MOST_OF_PACKED(format, scales), true, \
           TWICE_HELPS(bytes, blocks))

#endif
