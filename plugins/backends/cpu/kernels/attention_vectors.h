/* attention_vectors.h - scores and weighted values of a span by vectors: block by block, for scores lanes are keys, for values
 * elements of v. Values of keys that a row does not see are never touched.
 * Include after simd_*.h; the level says how many ROWS its registers hold by how many WIDTHS of 32, and how many STEPS of an inner loop
 * it unrolls. What a band is: attention_band.h. */
#ifndef TENON_CPU_ATTENTION_VECTORS_H
#define TENON_CPU_ATTENTION_VECTORS_H

#define BAND_ROWS CPU_ATTN_ROWS

#include "attention_band.h"

enum { VECTORS = CPU_PAGE_TOKENS / LANES };

/* Loops over d and over keys, where registers allow it: so that their ends are foreseen. */
#define PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define UNROLL_BY(n) PRAGMA(clang loop unroll_count(n))
#else
#define UNROLL_BY(n) PRAGMA(GCC unroll n)
#endif
#define UNROLL UNROLL_BY(STEPS)

/* The first row of group i; groups of at most ROWS, as even as they can be. */
static int group_at(const struct band *t, int i)
{
    return t->n * i / t->groups;
}

/* As the cache's types: f32 that were widened, for whose reading nothing is to be sent for. */
#define WIDENED CPU_KV_TYPE_COUNT

/* Elements from i on; of q8 without their scale, by which the product is exact. */
INLINE vf load_elements(const enum cpu_kv_type type, const void *p, int64_t i)
{
    switch (type) {
    case CPU_KV_F16: return vf_load_f16((const uint16_t *)p + i);
    case CPU_KV_BF16: return vf_load_bf16((const uint16_t *)p + i);
    case CPU_KV_Q8: return vf_load_i8((const int8_t *)p + i);
    default: return vf_load((const float *)p + i);
    }
}

/* Each page begins a stream of its own, which the hardware foresees too late, and to send for a whole block at once would wait:
 * so the lines of what is read next are sent for one by one, as many elements in as what reads the present is: i of them. */
INLINE void fetch_next(const struct band *t, const enum cpu_kv_type type, int64_t i)
{
    const uint8_t *p = t->next + (type == CPU_KV_F32 ? 4 : type == CPU_KV_Q8 ? 1 : 2) * i;
    if (type != WIDENED)
        __builtin_prefetch(p);
    if (type == CPU_KV_F32)
        __builtin_prefetch(p + 64);
}

/* Scores of the group at r against `widths` blocks, the first of which has the span's key j as its first: one chain over d per key.
 * Several blocks are widened, and lie side by side. */
INLINE void score_rows(const struct band *t, int r, const int rows, const int widths, const enum cpu_kv_type type, const void *keys,
                       int j)
{
    const int vectors = widths * VECTORS;
    int64_t dim = t->a->kv->k_dim;
    const float *q = (const float *)t->q + r * dim; /* [dim, rows] */
    const uint16_t *scales = (const uint16_t *)keys + CPU_PAGE_TOKENS * dim / 2; /* [dim / 32, 32] of q8 */
    const vf to_score = vf_all(score_scale(t->a));
    vf acc[ROWS][WIDTHS * VECTORS], scale[VECTORS] = { vf_zero() };
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            acc[i][v] = vf_zero();
    UNROLL
    for (int64_t d = 0; d < dim; d++) {
        vf k[WIDTHS * VECTORS];
        fetch_next(t, type, d * B);
        for (int v = 0; type == CPU_KV_Q8 && d % CPU_KV_BLOCK == 0 && v < VECTORS; v++)
            scale[v] = vf_load_f16(scales + cpu_key_at(v * LANES, d / CPU_KV_BLOCK));
        for (int v = 0; v < vectors; v++) {
            k[v] = load_elements(type, keys, cpu_key_at(0, d) * widths + v * LANES);
            if (type == CPU_KV_Q8)
                k[v] = vf_mul(k[v], scale[v]);
        }
        for (int i = 0; i < rows; i++) {
            vf x = vf_all(q[d * rows + i]);
            for (int v = 0; v < vectors; v++)
                acc[i][v] = vf_fma(x, k[v], acc[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            vf_store(t->p + (r + i) * P_ROW + j + v * LANES, vf_mul(acc[i][v], to_score));
}

/* y[r] += p[r, j + i] values[i] for low <= i < high, columns c .. c + 32 `widths` (or fewer: then by masks). */
INLINE void weigh_columns(const struct band *t, int r, const int rows, const int widths, const enum cpu_kv_type type,
                          const void *values, int j, int low, int high, int64_t c, const bool whole)
{
    const int vectors = widths * VECTORS;
    int64_t E = t->a->kv->v_dim;
    const uint16_t *scales = (const uint16_t *)values + CPU_PAGE_TOKENS * E / 2 + c / CPU_KV_BLOCK; /* [32, E / 32] of q8 */
    vmask m[WIDTHS * VECTORS];
    vf acc[ROWS][WIDTHS * VECTORS];
    for (int v = 0; v < vectors; v++)
        m[v] = vmask_range(0, (int)(E - c) - v * LANES);
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) {
            const float *y = t->y[r + i] + c + v * LANES;
            acc[i][v] = whole ? vf_load(y) : vf_load_some(y, m[v]);
        }
    UNROLL
    for (int k = low; k < high; k++) {
        fetch_next(t, type, k * E + c);
        vf x[WIDTHS * VECTORS], scale = type == CPU_KV_Q8 ? vf_all(cpu_f16_float(scales[cpu_value_at(E / CPU_KV_BLOCK, k, 0)])) : vf_zero();
        for (int v = 0; v < vectors; v++) {
            int64_t at = cpu_value_at(E, k, c + v * LANES);
            x[v] = whole ? load_elements(type, values, at) : vf_load_some((const float *)values + at, m[v]);
            if (type == CPU_KV_Q8)
                x[v] = vf_mul(x[v], scale);
        }
        for (int i = 0; i < rows; i++) {
            vf p = vf_all(t->p[(r + i) * P_ROW + j + k]);
            for (int v = 0; v < vectors; v++)
                acc[i][v] = vf_fma(p, x[v], acc[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) {
            float *y = t->y[r + i] + c + v * LANES;
            if (whole)
                vf_store(y, acc[i][v]);
            else
                vf_store_some(y, m[v], acc[i][v]);
        }
}

/* q8 has a scale for each 32, so of these so many go together. */
INLINE void weigh_rows(const struct band *t, int r, const int rows, const enum cpu_kv_type type, const void *values, int j,
                       int low, int high)
{
    int64_t c = 0, E = t->a->kv->v_dim;
    for (; WIDTHS > 1 && type != CPU_KV_Q8 && c + WIDTHS * B <= E; c += WIDTHS * B)
        weigh_columns(t, r, rows, WIDTHS, type, values, j, low, high, c, true);
    for (; c + B <= E; c += B)
        weigh_columns(t, r, rows, 1, type, values, j, low, high, c, true);
    if (c < E) /* they are f32 or were widened, see must_widen() */
        weigh_columns(t, r, rows, 1, WIDENED, values, j, low, high, c, false);
}

/* The two above by the number of rows, which the compiler must know. */
#define BY_ROWS(rows, CALL)                                \
    do {                                                   \
        switch (rows) {                                    \
        case 1: CALL(1); break;                            \
        case 2: if (ROWS >= 2) { CALL(2); } break;         \
        case 3: if (ROWS >= 3) { CALL(3); } break;         \
        case 4: if (ROWS >= 4) { CALL(4); } break;         \
        case 5: if (ROWS >= 5) { CALL(5); } break;         \
        case 6: if (ROWS >= 6) { CALL(6); } break;         \
        case 7: if (ROWS >= 7) { CALL(7); } break;         \
        default: if (ROWS >= 8) { CALL(8); } break;        \
        }                                                  \
    } while (0)

static void score(const struct band *t, int r, int rows, int widths, enum cpu_kv_type type, const void *keys, int j)
{
#define SCORE_F16(n) score_rows(t, r, n, 1, CPU_KV_F16, keys, j)
#define SCORE_F32(n) score_rows(t, r, n, 1, CPU_KV_F32, keys, j)
#define SCORE_BF16(n) score_rows(t, r, n, 1, CPU_KV_BF16, keys, j)
#define SCORE_Q8(n) score_rows(t, r, n, 1, CPU_KV_Q8, keys, j)
#define SCORE_ONE(n) score_rows(t, r, n, 1, WIDENED, keys, j)
#define SCORE_ALL(n) score_rows(t, r, n, WIDTHS, WIDENED, keys, j)
    if (widths > 1) {
        BY_ROWS(rows, SCORE_ALL);
        return;
    }
    switch ((int)type) {
    case CPU_KV_F16: BY_ROWS(rows, SCORE_F16); break;
    case CPU_KV_BF16: BY_ROWS(rows, SCORE_BF16); break;
    case CPU_KV_Q8: BY_ROWS(rows, SCORE_Q8); break;
    case CPU_KV_F32: BY_ROWS(rows, SCORE_F32); break;
    default: BY_ROWS(rows, SCORE_ONE); break;
    }
}

static void weigh(const struct band *t, int r, int rows, enum cpu_kv_type type, const void *values, int j, int low, int high)
{
#define WEIGH_F16(n) weigh_rows(t, r, n, CPU_KV_F16, values, j, low, high)
#define WEIGH_F32(n) weigh_rows(t, r, n, CPU_KV_F32, values, j, low, high)
#define WEIGH_BF16(n) weigh_rows(t, r, n, CPU_KV_BF16, values, j, low, high)
#define WEIGH_Q8(n) weigh_rows(t, r, n, CPU_KV_Q8, values, j, low, high)
#define WEIGH_WIDENED(n) weigh_rows(t, r, n, WIDENED, values, j, low, high)
    if (low >= high)
        return;
    switch ((int)type) {
    case CPU_KV_F16: BY_ROWS(rows, WEIGH_F16); break;
    case CPU_KV_BF16: BY_ROWS(rows, WEIGH_BF16); break;
    case CPU_KV_Q8: BY_ROWS(rows, WEIGH_Q8); break;
    case CPU_KV_F32: BY_ROWS(rows, WEIGH_F32); break;
    default: BY_ROWS(rows, WEIGH_WIDENED); break;
    }
}

/* ---- blocks of a span */

static int within(int low, int x, int high)
{
    return x < low ? low : x > high ? high : x;
}

/* A block is widened once when several groups of rows read it, or when rows of v end inside a vector. */
static bool must_widen(const struct band *t)
{
    return t->a->kv->type != CPU_KV_F32 && (t->groups > 1 || t->a->kv->v_dim % B != 0);
}

/* A block's keys to y [k_dim][32], or with those of `widths` - 1 others beside them, rows so much longer. */
INLINE void widen_keys_of(const struct band *t, const enum cpu_kv_type type, const uint8_t *keys, int widths, float *y)
{
    const int64_t dim = t->a->kv->k_dim;
    const uint16_t *scales = (const uint16_t *)(const void *)(keys + CPU_PAGE_TOKENS * dim); /* [dim / 32, 32] of q8 */
    for (int64_t d = 0; d < dim; d++) {
        fetch_next(t, type, d * B);
        for (int v = 0; v < VECTORS; v++) {
            vf x = load_elements(type, keys, cpu_key_at(v * LANES, d));
            if (type == CPU_KV_Q8)
                x = vf_mul(x, vf_load_f16(scales + cpu_key_at(v * LANES, d / CPU_KV_BLOCK)));
            vf_store(y + d * B * widths + v * LANES, x);
        }
    }
}

/* A block's values to y [32][v_dim]. */
INLINE void widen_values_of(const struct band *t, const enum cpu_kv_type type, const uint8_t *values, float *y)
{
    const int64_t E = t->a->kv->v_dim;
    const uint16_t *scales = (const uint16_t *)(const void *)(values + CPU_PAGE_TOKENS * E); /* [32 E / 32] of q8 */
    for (int64_t i = 0; i < B * E; i += B) {
        fetch_next(t, type, i);
        for (int v = 0; v < VECTORS; v++) {
            vf x = load_elements(type, values, i + v * LANES);
            if (type == CPU_KV_Q8)
                x = vf_mul(x, vf_all(cpu_f16_float(scales[i / CPU_KV_BLOCK])));
            vf_store(y + i + v * LANES, x);
        }
    }
}

static void widen_keys(const struct band *t, const uint8_t *keys, int widths, float *y)
{
    switch (t->a->kv->type) {
    case CPU_KV_Q8: widen_keys_of(t, CPU_KV_Q8, keys, widths, y); break;
    case CPU_KV_BF16: widen_keys_of(t, CPU_KV_BF16, keys, widths, y); break;
    default: widen_keys_of(t, CPU_KV_F16, keys, widths, y); break;
    }
}

static void widen_values(const struct band *t, const uint8_t *values, float *y)
{
    switch (t->a->kv->type) {
    case CPU_KV_Q8: widen_values_of(t, CPU_KV_Q8, values, y); break;
    case CPU_KV_BF16: widen_values_of(t, CPU_KV_BF16, values, y); break;
    default: widen_values_of(t, CPU_KV_F16, values, y); break;
    }
}

/* Scores of the span's keys from j on, `widths` blocks of them, for the groups that see some of it. */
static void score_keys(const struct band *t, int widths, enum cpu_kv_type type, const void *keys, int j)
{
    for (int i = 0; i < t->groups; i++) {
        int r = group_at(t, i), end = group_at(t, i + 1), seen = r;
        while (seen < end && (t->low[seen] >= j + widths * B || t->high[seen] <= j))
            seen++;
        if (seen < end)
            score(t, r, end - r, widths, type, keys, j);
    }
}

/* Blocks of keys of kv head g; first <= j < end of the span's keys are seen, of which the band has `table`. */
static void score_span(struct band *t, const int32_t *table, int32_t g, int first, int end)
{
    const struct cpu_kv *kv = t->a->kv;
    for (int j = first / B * B, n; j < end; j += n * B) {
        n = WIDTHS > 1 && must_widen(t) && j + B < end && table[j / B] >= 0 && table[j / B + 1] >= 0 ? WIDTHS : 1;
        for (int b = 0; b < n; b++) {
            const int at = j / B + b;
            t->next = at * B + B < end ? cpu_page_keys(kv, present(table[at + 1]), g) : cpu_page_values(kv, present(table[first / B]), g);
            if (table[at] >= 0 && must_widen(t))
                widen_keys(t, cpu_page_keys(kv, table[at], g), n, (float *)t->wide + b * B);
        }
        if (table[j / B] >= 0)
            score_keys(t, n, must_widen(t) ? WIDENED : kv->type, must_widen(t) ? t->wide : cpu_page_keys(kv, table[j / B], g), j);
        else
            t->absent |= 1u << j / B;
    }
}

/* Values of the block onto the group of rows r .. end: each row its keys in ascending order; those that all of them see,
 * together. */
static void weigh_group(const struct band *t, int r, int end, enum cpu_kv_type type, const void *values, int j)
{
    int low = 0, high = B;
    for (int i = r; i < end; i++) {
        low = within(low, t->low[i] - j, B);
        high = within(0, t->high[i] - j, high);
    }
    if (low >= high)
        low = high = B; /* nothing in common: all of it row by row */
    for (int i = r; low > 0 && i < end; i++)
        weigh(t, i, 1, type, values, j, within(0, t->low[i] - j, B), within(0, t->high[i] - j, low));
    weigh(t, r, end - r, type, values, j, low, high);
    for (int i = r; high < B && i < end; i++)
        weigh(t, i, 1, type, values, j, within(high, t->low[i] - j, B), within(0, t->high[i] - j, B));
}

static void weigh_block(const struct band *t, int64_t page, int32_t g, int j)
{
    const struct cpu_kv *kv = t->a->kv;
    const enum cpu_kv_type type = must_widen(t) ? WIDENED : kv->type;
    const void *values = must_widen(t) ? t->wide : cpu_page_values(kv, page, g);
    if (must_widen(t))
        widen_values(t, cpu_page_values(kv, page, g), t->wide);
    for (int i = 0; i < t->groups; i++)
        weigh_group(t, group_at(t, i), group_at(t, i + 1), type, values, j);
}

/* ---- bands */

/* Turn row r's scores of the span into weights. */
static void soften(struct band *t, int r)
{
    const int first = t->low[r] / LANES * LANES, end = (t->high[r] + LANES - 1) / LANES * LANES;
    float *p = t->p + r * P_ROW;
    const vf max = vf_all(begin_softmax(t, r, first, end));
    vf sum = vf_zero();
    for (int j = first; j < end; j += LANES) {
        vf w = vf_exp2(vf_sub(vf_load(p + j), max));
        vf_store(p + j, w);
        sum = vf_add(sum, w);
    }
    t->sum[r] = vf_sum(sum);
}

/* Rows of tokens t .. t + tokens and heads h .. h + heads; queries of a group are turned: [k_dim, rows of the group]. */
static void begin_band(struct band *t, int64_t token, int tokens, int32_t h, int heads)
{
    int64_t dim = t->a->kv->k_dim;
    begin_rows(t, token, tokens, h, heads);
    t->groups = (t->n + ROWS - 1) / ROWS;
    for (int i = 0, r = 0; i < t->groups; i++) {
        int first = r, rows = group_at(t, i + 1) - first;
        for (; r < first + rows; r++) {
            const float *q = query_of(t, r);
            for (int64_t d = 0; d < dim; d++)
                ((float *)t->q)[first * dim + d * rows + r - first] = q[d];
        }
    }
}

/* Row r's sums of span `span` to y: scores of all keys, softmax, values. */
static void run_span(struct band *t, const int32_t *table, int32_t g, int64_t span)
{
    const struct cpu_kv *kv = t->a->kv;
    struct seen s = see_span(t, span);
    for (int r = 0; r < t->n; r++)
        memset(t->y[r], 0, (size_t)kv->v_dim * sizeof *t->y[r]);
    table += span * CPU_SPAN_TOKENS / B;
    score_span(t, table, g, s.first, s.end);
    for (int r = 0; r < t->n; r++)
        soften(t, r);
    for (int j = s.first / B * B; j < s.end; j += B) {
        t->next = j + B < s.end ? cpu_page_values(kv, present(table[j / B + 1]), g) : cpu_page_keys(kv, present(table[s.after]), g);
        if (table[j / B] >= 0)
            weigh_block(t, table[j / B], g, j);
    }
}

static struct band band_in(const struct cpu_attn *a, void *scratch)
{
    int64_t k_dim = a->kv->k_dim, v_dim = a->kv->v_dim;
    struct band t = { .a = a, .p = scratch };
    t.wide = t.p + BAND_ROWS * P_ROW; /* [k_dim][32 WIDTHS] or [32][v_dim] in f32, when many rows read it */
    t.span_y = (float *)t.wide + B * (WIDTHS * k_dim > v_dim ? WIDTHS * k_dim : v_dim);
    t.q = t.span_y + BAND_ROWS * v_dim;
    return t;
}

#endif
