/* attention.h - attention over the cache's pages, for every vector level.
 *
 * A tile is up to TILE_ROWS query rows that read the same keys: the heads of one group, for one or more tokens of one
 * sequence. Per span of 256 keys: scores block by block (lanes are keys), one softmax, weighted values block by block (lanes are
 * elements of v). So a row's maximum is searched once and its sums are never scaled in between; spans are merged in ascending
 * order and may go to different threads, as parts.
 * What happens to a row depends on the blocks it sees and on nothing else in the tile: scores of keys it does not see are
 * dropped, and values of such keys are never touched.
 * Include after simd_*.h; the level says how many ROWS its registers hold and how many STEPS of an inner loop it unrolls.
 * Formula: core.attention/1 of tenon/ops.h. */
#ifndef TENON_CPU_ATTENTION_H
#define TENON_CPU_ATTENTION_H

#include "levels.h"
#include "pages.h"
#include "visible.h"
#include "vmath.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { B = CPU_PAGE_TOKENS, VECTORS = CPU_PAGE_TOKENS / LANES, P_ROW = CPU_ATTN_SCORE_ROW };
#define TILE_ROWS CPU_ATTN_TILE_ROWS

/* Loops over d and over keys, where registers allow it: so that their ends are foreseen. */
#define PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define UNROLL_BY(n) PRAGMA(clang loop unroll_count(n))
#else
#define UNROLL_BY(n) PRAGMA(GCC unroll n)
#endif
#define UNROLL UNROLL_BY(STEPS)

/* ---- a tile */

struct tile {
    const struct cpu_attn *a;
    int n, groups;                    /* rows in use, and what they are cut into: groups of at most ROWS, one at most larger */
    float *y[TILE_ROWS];              /* [v_dim] each: the weighted sum of the present span, not divided */
    float max[TILE_ROWS];
    float sum[TILE_ROWS];
    struct cpu_visible see[TILE_ROWS];
    int low[TILE_ROWS], high[TILE_ROWS]; /* keys of the present span that the row sees: low <= j < high; 0, 0 for none */
    float *q;                         /* for each group [k_dim, rows of the group] */
    float *p;                         /* [TILE_ROWS, CPU_ATTN_SCORE_ROW] scores of the span's keys, then weights */
    float *span_y;                    /* [TILE_ROWS, v_dim] y of a span among several */
    float *wide;                      /* [k_dim, 32] or [32, v_dim] of a block in f32, when many rows read it */
    const uint8_t *next;              /* keys or values that are read after the present ones; some memory where there are none */
};

/* The first row of group i; groups are as even as they can be. */
static int group_at(const struct tile *t, int i)
{
    return t->n * i / t->groups;
}

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
 * so the lines of what is read next are sent for one by one, as many elements in as the kernels are: i of them. */
INLINE void fetch_next(const struct tile *t, const enum cpu_kv_type type, int64_t i)
{
    const uint8_t *p = t->next + (type == CPU_KV_F32 ? 4 : type == CPU_KV_Q8 ? 1 : 2) * i;
    __builtin_prefetch(p);
    if (type == CPU_KV_F32)
        __builtin_prefetch(p + 64);
}

/* Scores of the group at r against a block whose first key is the span's j: one chain over d per key. */
INLINE void score_rows(const struct tile *t, int r, const int rows, const enum cpu_kv_type type, const void *keys, int j)
{
    int64_t dim = t->a->kv->k_dim;
    const float *q = t->q + r * dim;
    const uint16_t *scales = (const uint16_t *)keys + CPU_PAGE_TOKENS * dim / 2; /* [dim / 32, 32] of q8 */
    vf acc[ROWS][VECTORS], scale[VECTORS] = { vf_zero() };
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++)
            acc[i][v] = vf_zero();
    UNROLL
    for (int64_t d = 0; d < dim; d++) {
        vf k[VECTORS];
        fetch_next(t, type, d * B);
        for (int v = 0; type == CPU_KV_Q8 && d % CPU_KV_BLOCK == 0 && v < VECTORS; v++)
            scale[v] = vf_load_f16(scales + cpu_key_at(v * LANES, d / CPU_KV_BLOCK));
        for (int v = 0; v < VECTORS; v++) {
            k[v] = load_elements(type, keys, cpu_key_at(v * LANES, d));
            if (type == CPU_KV_Q8)
                k[v] = vf_mul(k[v], scale[v]);
        }
        for (int i = 0; i < rows; i++) {
            vf x = vf_all(q[d * rows + i]);
            for (int v = 0; v < VECTORS; v++)
                acc[i][v] = vf_fma(x, k[v], acc[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++)
            vf_store(t->p + (r + i) * P_ROW + j + v * LANES, vf_mul(acc[i][v], vf_all(t->a->scale)));
}

/* y[r] += p[r, j + i] values[i] for low <= i < high, columns c .. c + 32 (or fewer: then by masks). */
INLINE void weigh_columns(const struct tile *t, int r, const int rows, const enum cpu_kv_type type, const void *values, int j,
                          int low, int high, int64_t c, const bool whole)
{
    int64_t E = t->a->kv->v_dim;
    const uint16_t *scales = (const uint16_t *)values + CPU_PAGE_TOKENS * E / 2 + c / CPU_KV_BLOCK; /* [32, E / 32] of q8 */
    vmask m[VECTORS];
    vf acc[ROWS][VECTORS];
    for (int v = 0; v < VECTORS; v++)
        m[v] = vmask_range(0, (int)(E - c) - v * LANES);
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++) {
            const float *y = t->y[r + i] + c + v * LANES;
            acc[i][v] = whole ? vf_load(y) : vf_load_some(y, m[v]);
        }
    UNROLL
    for (int k = low; k < high; k++) {
        fetch_next(t, type, k * E + c);
        vf x[VECTORS], scale = type == CPU_KV_Q8 ? vf_all(cpu_f16_float(scales[cpu_value_at(E / CPU_KV_BLOCK, k, 0)])) : vf_zero();
        for (int v = 0; v < VECTORS; v++) {
            int64_t at = cpu_value_at(E, k, c + v * LANES);
            x[v] = whole ? load_elements(type, values, at) : vf_load_some((const float *)values + at, m[v]);
            if (type == CPU_KV_Q8)
                x[v] = vf_mul(x[v], scale);
        }
        for (int i = 0; i < rows; i++) {
            vf p = vf_all(t->p[(r + i) * P_ROW + j + k]);
            for (int v = 0; v < VECTORS; v++)
                acc[i][v] = vf_fma(p, x[v], acc[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++) {
            float *y = t->y[r + i] + c + v * LANES;
            if (whole)
                vf_store(y, acc[i][v]);
            else
                vf_store_some(y, m[v], acc[i][v]);
        }
}

INLINE void weigh_rows(const struct tile *t, int r, const int rows, const enum cpu_kv_type type, const void *values, int j,
                       int low, int high)
{
    int64_t c = 0, E = t->a->kv->v_dim;
    for (; c + B <= E; c += B)
        weigh_columns(t, r, rows, type, values, j, low, high, c, true);
    if (c < E) /* they are f32 or were widened, see must_widen() */
        weigh_columns(t, r, rows, CPU_KV_F32, values, j, low, high, c, false);
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

static void score(const struct tile *t, int r, int rows, enum cpu_kv_type type, const void *keys, int j)
{
#define SCORE_F16(n) score_rows(t, r, n, CPU_KV_F16, keys, j)
#define SCORE_F32(n) score_rows(t, r, n, CPU_KV_F32, keys, j)
#define SCORE_BF16(n) score_rows(t, r, n, CPU_KV_BF16, keys, j)
#define SCORE_Q8(n) score_rows(t, r, n, CPU_KV_Q8, keys, j)
    switch (type) {
    case CPU_KV_F16: BY_ROWS(rows, SCORE_F16); break;
    case CPU_KV_BF16: BY_ROWS(rows, SCORE_BF16); break;
    case CPU_KV_Q8: BY_ROWS(rows, SCORE_Q8); break;
    default: BY_ROWS(rows, SCORE_F32); break;
    }
}

static void weigh(const struct tile *t, int r, int rows, enum cpu_kv_type type, const void *values, int j, int low, int high)
{
#define WEIGH_F16(n) weigh_rows(t, r, n, CPU_KV_F16, values, j, low, high)
#define WEIGH_F32(n) weigh_rows(t, r, n, CPU_KV_F32, values, j, low, high)
#define WEIGH_BF16(n) weigh_rows(t, r, n, CPU_KV_BF16, values, j, low, high)
#define WEIGH_Q8(n) weigh_rows(t, r, n, CPU_KV_Q8, values, j, low, high)
    if (low >= high)
        return;
    switch (type) {
    case CPU_KV_F16: BY_ROWS(rows, WEIGH_F16); break;
    case CPU_KV_BF16: BY_ROWS(rows, WEIGH_BF16); break;
    case CPU_KV_Q8: BY_ROWS(rows, WEIGH_Q8); break;
    default: BY_ROWS(rows, WEIGH_F32); break;
    }
}

/* ---- softmax over a span */

static float exp_one(float x)
{
    return vf_first(vf_exp(vf_all(x)));
}

/* Scores low <= j < high of a row with the soft cap applied, and -infinity around them to whole vectors; returns the largest. A
 * NaN among others makes its own weight and so the row NaN; alone it is what is returned. */
static float largest_score(const struct cpu_attn *a, float *p, int low, int high)
{
    vf most = vf_all(-INFINITY);
    float largest;
    for (int j = low / LANES * LANES; a->softcap > 0.0f && j < high; j += LANES)
        vf_store(p + j, vf_mul(vf_all(a->softcap), vf_tanh(vf_div(vf_load(p + j), vf_all(a->softcap)))));
    for (int j = low / LANES * LANES; j < low; j++)
        p[j] = -INFINITY;
    for (int j = high; j % LANES != 0; j++)
        p[j] = -INFINITY;
    for (int j = low / LANES * LANES; j < high; j += LANES)
        most = vf_max(vf_load(p + j), most);
    largest = vf_max_lanes(most);
    for (int j = low; largest == -INFINITY && j < high; j++)
        largest = isnan(p[j]) ? p[j] : largest;
    return largest;
}

/* Turn row r's scores of the span into weights. */
static void soften(struct tile *t, int r)
{
    float *p = t->p + r * P_ROW, max = -INFINITY;
    vf sum = vf_zero();
    if (t->low[r] < t->high[r])
        max = largest_score(t->a, p, t->low[r], t->high[r]);
    if (max == -INFINITY)
        t->low[r] = t->high[r] = 0;
    for (int j = t->low[r] / LANES * LANES; j < t->high[r]; j += LANES) {
        vf w = vf_exp(vf_sub(vf_load(p + j), vf_all(max)));
        vf_store(p + j, w);
        sum = vf_add(sum, w);
    }
    t->max[r] = max;
    t->sum[r] = vf_sum(sum);
}

/* ---- blocks of a span */

static int within(int low, int x, int high)
{
    return x < low ? low : x > high ? high : x;
}

/* A block is widened once when several groups of rows read it, or when rows of v end inside a vector. */
static bool must_widen(const struct tile *t)
{
    return t->a->kv->type != CPU_KV_F32 && (t->groups > 1 || t->a->kv->v_dim % B != 0);
}

static void widen_keys(const struct cpu_kv *kv, uint8_t *keys, float *y)
{
    const uint16_t *scales = (const uint16_t *)(void *)cpu_page_scales(keys, kv->k_dim);
    for (int64_t i = 0; i < (int64_t)kv->k_dim * B; i += LANES) {
        int64_t scale = cpu_key_at(i % B, i / B / CPU_KV_BLOCK);
        vf_store(y + i, vf_mul(vf_load_i8((const int8_t *)keys + i), vf_load_f16(scales + scale)));
    }
}

static void widen_values(const struct cpu_kv *kv, uint8_t *values, float *y)
{
    const uint16_t *scales = (const uint16_t *)(void *)cpu_page_scales(values, kv->v_dim);
    for (int64_t b = 0; b < (int64_t)kv->v_dim * B / CPU_KV_BLOCK; b++) {
        vf scale = vf_all(cpu_f16_float(scales[b]));
        for (int64_t i = b * CPU_KV_BLOCK; i < (b + 1) * CPU_KV_BLOCK; i += LANES)
            vf_store(y + i, vf_mul(vf_load_i8((const int8_t *)values + i), scale));
    }
}

/* A block's keys, or values, of `dim` as the kernels above read them: where they are, or in f32. */
static const void *readable(const struct tile *t, uint8_t *part, int64_t dim, bool keys, enum cpu_kv_type *ret_type)
{
    const struct cpu_kv *kv = t->a->kv;
    *ret_type = kv->type;
    if (!must_widen(t))
        return part;
    *ret_type = CPU_KV_F32;
    if (kv->type == CPU_KV_Q8 && keys)
        widen_keys(kv, part, t->wide);
    else if (kv->type == CPU_KV_Q8)
        widen_values(kv, part, t->wide);
    else if (kv->type == CPU_KV_BF16)
        LEVEL(bf16_to_f32)((const uint16_t *)(void *)part, B * dim, t->wide);
    else
        LEVEL(f16_to_f32)((const uint16_t *)(void *)part, B * dim, t->wide);
    return t->wide;
}

/* Scores of block j / 32 of the span, which lies in `page`, for the groups that see some of it; an absent block has none. */
static void score_block(const struct tile *t, int64_t page, int32_t g, int j)
{
    const struct cpu_kv *kv = t->a->kv;
    enum cpu_kv_type type = kv->type;
    const void *keys = page < 0 ? NULL : readable(t, cpu_page_keys(kv, page, g), kv->k_dim, true, &type);
    for (int r = 0; page < 0 && r < t->n; r++)
        for (int i = 0; i < B; i++)
            t->p[r * P_ROW + j + i] = -INFINITY;
    for (int i = 0; page >= 0 && i < t->groups; i++) {
        int r = group_at(t, i), end = group_at(t, i + 1), seen = r;
        while (seen < end && (t->low[seen] >= j + B || t->high[seen] <= j))
            seen++;
        if (seen < end)
            score(t, r, end - r, type, keys, j);
    }
}

/* Values of the block onto the group of rows r .. end: each row its keys in ascending order; those that all of them see,
 * together. */
static void weigh_group(const struct tile *t, int r, int end, enum cpu_kv_type type, const void *values, int j)
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

static void weigh_block(const struct tile *t, int64_t page, int32_t g, int j)
{
    const struct cpu_kv *kv = t->a->kv;
    enum cpu_kv_type type;
    const void *values = readable(t, cpu_page_values(kv, page, g), kv->v_dim, false, &type);
    for (int i = 0; i < t->groups; i++)
        weigh_group(t, group_at(t, i), group_at(t, i + 1), type, values, j);
}

/* ---- spans */

/* The part (max, sum, y) of a later span onto what the spans before it came to. */
static void merge(float *max, float *sum, float *y, float part_max, float part_sum, const float *part_y, int64_t v_dim)
{
    float most = part_max > *max ? part_max : *max, before, now;
    if (part_max == -INFINITY)
        return; /* it saw nothing */
    before = exp_one(*max - most);
    now = exp_one(part_max - most);
    if (*max == -INFINITY) {
        memcpy(y, part_y, (size_t)v_dim * sizeof *y);
        *max = part_max;
        *sum = part_sum;
        return;
    }
    for (int64_t c = 0; c < v_dim; c += LANES) {
        vmask m = vmask_range(0, (int)(v_dim - c));
        vf part = vf_mul(vf_load_some(part_y + c, m), vf_all(now));
        vf_store_some(y + c, m, vf_fma(vf_load_some(y + c, m), vf_all(before), part));
    }
    *max = most;
    *sum = *sum * before + part_sum * now;
}

/* Divide by the sum of all weights, the sink's among them. */
static void finish_row(float max, float sum, float *y, int64_t v_dim, const float *sink)
{
    float most = sink != NULL && *sink > max ? *sink : max, factor = max == -INFINITY ? 0.0f : exp_one(max - most);
    float all = sum * factor + (sink != NULL ? exp_one(*sink - most) : 0.0f), scale = all == 0.0f ? 0.0f : factor / all;
    for (int64_t c = 0; c < v_dim; c += LANES) {
        vmask m = vmask_range(0, (int)(v_dim - c));
        vf_store_some(y + c, m, vf_mul(vf_load_some(y + c, m), vf_all(scale)));
    }
}

/* Rows (token, head) of tokens t .. t + tokens and heads h .. h + heads. */
static void begin_tile(struct tile *t, int64_t token, int tokens, int32_t h, int heads)
{
    const struct cpu_attn *a = t->a;
    int64_t dim = a->kv->k_dim;
    t->n = tokens * heads;
    t->groups = (t->n + ROWS - 1) / ROWS;
    for (int i = 0, r = 0; i < t->groups; i++) {
        int first = r, rows = group_at(t, i + 1) - first;
        for (; r < first + rows; r++) {
            const float *q = a->q + (token + r / heads) * a->ldq + (h + r % heads) * dim;
            t->see[r] = cpu_visible(a, token + r / heads);
            for (int64_t d = 0; d < dim; d++)
                t->q[first * dim + d * rows + r - first] = q[d];
        }
    }
}

/* A page to send for; what an absent one stands for is not read. */
static int64_t present(int64_t page)
{
    return page < 0 ? 0 : page;
}

/* Row r's sums of span `span` to y: scores of all keys, softmax, values. */
static void run_span(struct tile *t, const int32_t *table, int32_t g, int64_t span)
{
    const struct cpu_kv *kv = t->a->kv;
    int64_t start = span * CPU_SPAN_TOKENS, v_dim = kv->v_dim, after = 0; /* block of the next span, if the tile sees one */
    int first = CPU_SPAN_TOKENS, end = 0;
    for (int r = 0; r < t->n; r++) {
        int64_t low = t->see[r].first - start, high = t->see[r].end - start;
        t->low[r] = low < 0 ? 0 : low > CPU_SPAN_TOKENS ? CPU_SPAN_TOKENS : (int)low;
        t->high[r] = high < t->low[r] ? t->low[r] : high > CPU_SPAN_TOKENS ? CPU_SPAN_TOKENS : (int)high;
        first = t->low[r] < first ? t->low[r] : first;
        end = t->high[r] > end ? t->high[r] : end;
        after = high > CPU_SPAN_TOKENS ? CPU_SPAN_TOKENS / B : after;
        memset(t->y[r], 0, (size_t)v_dim * sizeof *t->y[r]);
    }
    table += start / B;
    for (int j = first / B * B; j < end; j += B) {
        t->next = j + B < end ? cpu_page_keys(kv, present(table[j / B + 1]), g) : cpu_page_values(kv, present(table[first / B]), g);
        score_block(t, table[j / B], g, j);
    }
    for (int r = 0; r < t->n; r++)
        soften(t, r);
    for (int j = first / B * B; j < end; j += B) {
        t->next = j + B < end ? cpu_page_values(kv, present(table[j / B + 1]), g) : cpu_page_keys(kv, present(table[after]), g);
        if (table[j / B] >= 0)
            weigh_block(t, table[j / B], g, j);
    }
}

/* All spans the tile sees. */
static void run_tile(struct tile *t, int64_t token, int tokens, int32_t h, int heads, int32_t g)
{
    const struct cpu_attn *a = t->a;
    const int32_t *table = a->block_table + a->seq_of_token[token] * a->table_stride;
    int64_t first = INT64_MAX, end = 0, v_dim = a->kv->v_dim;
    float max[TILE_ROWS], sum[TILE_ROWS];
    begin_tile(t, token, tokens, h, heads);
    for (int r = 0; r < t->n; r++) {
        first = t->see[r].first < first ? t->see[r].first : first;
        end = t->see[r].end > end ? t->see[r].end : end;
        max[r] = -INFINITY;
        sum[r] = 0.0f;
    }
    for (int64_t span = first / CPU_SPAN_TOKENS; span * CPU_SPAN_TOKENS < end; span++) {
        for (int r = 0; r < t->n; r++)
            t->y[r] = t->span_y + r * v_dim;
        run_span(t, table, g, span);
        for (int r = 0; r < t->n; r++)
            merge(&max[r], &sum[r], a->y + (token + r / heads) * a->ldy + (h + r % heads) * v_dim, t->max[r], t->sum[r], t->y[r],
                  v_dim);
    }
    for (int r = 0; r < t->n; r++) {
        float *y = a->y + (token + r / heads) * a->ldy + (h + r % heads) * v_dim;
        if (max[r] == -INFINITY)
            memset(y, 0, (size_t)v_dim * sizeof *y);
        finish_row(max[r], sum[r], y, v_dim, a->sink != NULL ? a->sink + h + r % heads : NULL);
    }
}

/* How many of the tokens from t on may share a tile: of one sequence, and few enough. */
static int tokens_of_tile(const struct cpu_attn *a, int64_t t, int64_t t1, int heads)
{
    int n = 1;
    while (t + n < t1 && (n + 1) * heads <= TILE_ROWS && a->seq_of_token[t + n] == a->seq_of_token[t])
        n++;
    return n;
}

static struct tile tile_in(const struct cpu_attn *a, void *scratch)
{
    int64_t k_dim = a->kv->k_dim, v_dim = a->kv->v_dim;
    struct tile t = { .a = a, .p = scratch };
    t.wide = t.p + TILE_ROWS * P_ROW;
    t.span_y = t.wide + B * (k_dim > v_dim ? k_dim : v_dim);
    t.q = t.span_y + TILE_ROWS * v_dim;
    return t;
}

void LEVEL(attention)(const struct cpu_attn *a, int64_t t0, int64_t t1, int32_t g0, int32_t g1, void *scratch)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    struct tile t = tile_in(a, scratch);
    for (int32_t g = g0; g < g1; g++)
        for (int32_t h = 0; h < group; h += TILE_ROWS) {
            int heads = group - h < TILE_ROWS ? group - h : TILE_ROWS;
            for (int64_t i = t0; i < t1;) {
                int tokens = tokens_of_tile(a, i, t1, heads);
                run_tile(&t, i, tokens, g * group + h, heads, g);
                i += tokens;
            }
        }
}

void LEVEL(attention_part)(const struct cpu_attn *a, int64_t token, int32_t g, int64_t span, float *parts, void *scratch)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    const int32_t *table = a->block_table + a->seq_of_token[token] * a->table_stride;
    int64_t floats = cpu_attn_part_floats(a->kv->v_dim);
    struct tile t = tile_in(a, scratch);
    for (int32_t h = 0; h < group; h += TILE_ROWS) {
        begin_tile(&t, token, 1, g * group + h, group - h < TILE_ROWS ? group - h : TILE_ROWS);
        for (int r = 0; r < t.n; r++)
            t.y[r] = parts + (h + r) * floats + CPU_ATTN_PART_Y;
        run_span(&t, table, g, span);
        for (int r = 0; r < t.n; r++) {
            parts[(h + r) * floats] = t.max[r];
            parts[(h + r) * floats + 1] = t.sum[r];
        }
    }
}

void LEVEL(attention_join)(const struct cpu_attn *a, int64_t token, int32_t g, const float *parts, int64_t n)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    int64_t floats = cpu_attn_part_floats(a->kv->v_dim), v_dim = a->kv->v_dim;
    for (int32_t h = 0; h < group; h++) {
        float *y = a->y + token * a->ldy + (g * group + h) * v_dim, max = -INFINITY, sum = 0.0f;
        memset(y, 0, (size_t)v_dim * sizeof *y);
        for (int64_t span = 0; span < n; span++) {
            const float *part = parts + (span * group + h) * floats;
            merge(&max, &sum, y, part[0], part[1], part + CPU_ATTN_PART_Y, v_dim);
        }
        finish_row(max, sum, y, v_dim, a->sink != NULL ? a->sink + g * group + h : NULL);
    }
}

#endif
