/* attention.h - the cache's pages and attention over them, for every vector level.
 *
 * A tile is up to TILE_ROWS query rows that read the same keys: the heads of one group, for one or more tokens of one
 * sequence. Per block of 32 keys: scores (lanes are keys), softmax with a running maximum, weighted values (lanes are elements
 * of v). Blocks are summed span by span, spans merged in ascending order: so spans may go to different threads, as parts.
 * What happens to a row depends on the blocks it sees and on nothing else in the tile: scores of keys it does not see are
 * dropped, and values of such keys are never touched.
 * Include after simd_*.h; the level says how many ROWS its registers hold. Formula: core.attention/1 of tenon/ops.h. */
#ifndef TENON_CPU_ATTENTION_H
#define TENON_CPU_ATTENTION_H

#include "levels.h"
#include "pages.h"
#include "visible.h"
#include "vmath.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { B = CPU_PAGE_TOKENS, VECTORS = CPU_PAGE_TOKENS / LANES };
#define TILE_ROWS CPU_ATTN_TILE_ROWS

/* ---- pages */

/* One block of 32 to q; returns its scale. */
static uint16_t quantise(const float *x, int8_t *q)
{
    int32_t wide[CPU_KV_BLOCK];
    vi most = vi_zero();
    for (int v = 0; v < VECTORS; v++)
        most = vi_max(most, vi_of_bits(vf_and_bits(vf_load(x + v * LANES), 0x7fffffffu)));
    uint16_t scale = cpu_q8_scale(vi_max_lanes(most));
    float inverse = cpu_q8_inverse(scale);
    for (int v = 0; v < VECTORS; v++) {
        vf y = vf_mul(vf_load(x + v * LANES), vf_all(inverse));
        vi_store(wide + v * LANES, vi_of_float(vf_min(vf_max(y, vf_all(-127.0f)), vf_all(127.0f))));
    }
    for (int i = 0; i < CPU_KV_BLOCK; i++)
        q[i] = inverse == 0.0f ? 0 : (int8_t)wide[i];
    return scale;
}

/* Token t's line of one head in q8. */
static void store_blocks(uint8_t *part, int64_t dim, bool keys, int64_t t, const float *x)
{
    uint16_t *scales = (uint16_t *)(void *)cpu_page_scales(part, dim);
    int8_t q[CPU_KV_BLOCK];
    for (int64_t b = 0; b < dim / CPU_KV_BLOCK; b++) {
        int64_t d = b * CPU_KV_BLOCK;
        scales[keys ? cpu_key_at(t, b) : cpu_value_at(dim / CPU_KV_BLOCK, t, b)] = quantise(x + d, q);
        if (!keys)
            memcpy(part + cpu_value_at(dim, t, d), q, sizeof q);
        for (int i = 0; keys && i < CPU_KV_BLOCK; i++)
            part[cpu_key_at(t, d + i)] = (uint8_t)q[i];
    }
}

static void to_halves(enum cpu_kv_type type, const float *x, int64_t n, uint16_t *y)
{
    if (type == CPU_KV_BF16)
        LEVEL(f32_to_bf16)(x, n, y);
    else
        LEVEL(f32_to_f16)(x, n, y);
}

/* 16-bit floats go through a short buffer, so that the conversion is by vectors and only the scatter by element. */
static void store_key(enum cpu_kv_type type, uint8_t *part, int64_t dim, int64_t t, const float *x)
{
    uint16_t half[256];
    for (int64_t i = 0; i < dim; i += 256) {
        int64_t count = dim - i < 256 ? dim - i : 256;
        if (type != CPU_KV_F32)
            to_halves(type, x + i, count, half);
        for (int64_t d = 0; d < count; d++) {
            if (type != CPU_KV_F32)
                ((uint16_t *)(void *)part)[cpu_key_at(t, i + d)] = half[d];
            else
                ((float *)(void *)part)[cpu_key_at(t, i + d)] = x[i + d];
        }
    }
}

static void store_value(enum cpu_kv_type type, uint8_t *part, int64_t dim, int64_t t, const float *x)
{
    if (type != CPU_KV_F32)
        to_halves(type, x, dim, (uint16_t *)(void *)part + cpu_value_at(dim, t, 0));
    else
        memcpy((float *)(void *)part + cpu_value_at(dim, t, 0), x, (size_t)dim * sizeof *x);
}

void LEVEL(kv_store)(const struct cpu_kv *kv, const float *k, const float *v, int64_t slot)
{
    int64_t at = slot % B, page = slot / B;
    bool q8 = kv->type == CPU_KV_Q8;
    for (int64_t h = 0; slot >= 0 && h < kv->kv_heads; h++) {
        uint8_t *keys = cpu_page_keys(kv, page, h), *values = cpu_page_values(kv, page, h);
        if (q8)
            store_blocks(keys, kv->k_dim, true, at, k + h * kv->k_dim);
        else
            store_key(kv->type, keys, kv->k_dim, at, k + h * kv->k_dim);
        if (q8 && kv->v_dim > 0)
            store_blocks(values, kv->v_dim, false, at, v + h * kv->v_dim);
        else if (kv->v_dim > 0)
            store_value(kv->type, values, kv->v_dim, at, v + h * kv->v_dim);
    }
}

/* ---- a tile */

struct tile {
    const struct cpu_attn *a;
    int n;                            /* rows in use */
    const float *q[TILE_ROWS];        /* [k_dim] each */
    float *y[TILE_ROWS];              /* [v_dim] each: the weighted sum, divided at the end */
    float max[TILE_ROWS];
    float sum[TILE_ROWS];
    struct cpu_visible see[TILE_ROWS];
    int low[TILE_ROWS], high[TILE_ROWS]; /* keys of the present block that the row sees */
    float *p;                         /* [TILE_ROWS, 32] scores, then weights */
    float *span_y;                    /* [TILE_ROWS, v_dim] y of a span among several */
    float *wide_k;                    /* [k_dim, 32] the block in f32, when many rows read it */
    float *wide_v;                    /* [32, v_dim] */
};

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

/* Scores of rows r .. r + rows against the block: one chain over d per key. */
INLINE void score_rows(const struct tile *t, int r, const int rows, const enum cpu_kv_type type, const void *keys)
{
    int64_t dim = t->a->kv->k_dim;
    const uint16_t *scales = (const uint16_t *)keys + CPU_PAGE_TOKENS * dim / 2; /* [dim / 32, 32] of q8 */
    vf acc[ROWS][VECTORS], scale[VECTORS] = { vf_zero() };
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++)
            acc[i][v] = vf_zero();
    for (int64_t d = 0; d < dim; d++) {
        vf k[VECTORS];
        for (int v = 0; type == CPU_KV_Q8 && d % CPU_KV_BLOCK == 0 && v < VECTORS; v++)
            scale[v] = vf_load_f16(scales + cpu_key_at(v * LANES, d / CPU_KV_BLOCK));
        for (int v = 0; v < VECTORS; v++) {
            k[v] = load_elements(type, keys, cpu_key_at(v * LANES, d));
            if (type == CPU_KV_Q8)
                k[v] = vf_mul(k[v], scale[v]);
        }
        for (int i = 0; i < rows; i++) {
            vf q = vf_all(t->q[r + i][d]);
            for (int v = 0; v < VECTORS; v++)
                acc[i][v] = vf_fma(q, k[v], acc[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++)
            vf_store(t->p + (r + i) * B + v * LANES, vf_mul(acc[i][v], vf_all(t->a->scale)));
}

/* y[r] += p[r, j] values[j] for low <= j < high, columns c .. c + 32 (or fewer: then by masks). */
INLINE void weigh_columns(const struct tile *t, int r, const int rows, const enum cpu_kv_type type, const void *values, int low, int high,
                          int64_t c, const bool whole)
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
    for (int j = low; j < high; j++) {
        vf x[VECTORS], scale = type == CPU_KV_Q8 ? vf_all(cpu_f16_float(scales[cpu_value_at(E / CPU_KV_BLOCK, j, 0)])) : vf_zero();
        for (int v = 0; v < VECTORS; v++) {
            int64_t at = cpu_value_at(E, j, c + v * LANES);
            x[v] = whole ? load_elements(type, values, at) : vf_load_some((const float *)values + at, m[v]);
            if (type == CPU_KV_Q8)
                x[v] = vf_mul(x[v], scale);
        }
        for (int i = 0; i < rows; i++) {
            vf p = vf_all(t->p[(r + i) * B + j]);
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

INLINE void weigh_rows(const struct tile *t, int r, const int rows, const enum cpu_kv_type type, const void *values, int low, int high)
{
    int64_t c = 0, E = t->a->kv->v_dim;
    for (; c + B <= E; c += B)
        weigh_columns(t, r, rows, type, values, low, high, c, true);
    if (c < E) /* they are f32 or were widened, see must_widen() */
        weigh_columns(t, r, rows, CPU_KV_F32, values, low, high, c, false);
}

/* The two above for any number of rows, as many at once as registers allow. */
#define FOR_ROWS(CALL)                                                       \
    do {                                                                     \
        for (int r = first; r < last;) {                                     \
            int left = last - r;                                             \
            if (left >= ROWS) { CALL(ROWS); r += ROWS; }                     \
            else if (ROWS > 3 && left >= 3) { CALL(3); r += 3; }             \
            else if (left >= 2) { CALL(2); r += 2; }                         \
            else { CALL(1); r += 1; }                                        \
        }                                                                    \
    } while (0)

static void score(const struct tile *t, int first, int last, enum cpu_kv_type type, const void *keys)
{
#define SCORE_F16(n) score_rows(t, r, n, CPU_KV_F16, keys)
#define SCORE_F32(n) score_rows(t, r, n, CPU_KV_F32, keys)
#define SCORE_BF16(n) score_rows(t, r, n, CPU_KV_BF16, keys)
#define SCORE_Q8(n) score_rows(t, r, n, CPU_KV_Q8, keys)
    switch (type) {
    case CPU_KV_F16: FOR_ROWS(SCORE_F16); break;
    case CPU_KV_BF16: FOR_ROWS(SCORE_BF16); break;
    case CPU_KV_Q8: FOR_ROWS(SCORE_Q8); break;
    default: FOR_ROWS(SCORE_F32); break;
    }
}

static void weigh(const struct tile *t, int first, int last, enum cpu_kv_type type, const void *values, int low, int high)
{
#define WEIGH_F16(n) weigh_rows(t, r, n, CPU_KV_F16, values, low, high)
#define WEIGH_F32(n) weigh_rows(t, r, n, CPU_KV_F32, values, low, high)
#define WEIGH_BF16(n) weigh_rows(t, r, n, CPU_KV_BF16, values, low, high)
#define WEIGH_Q8(n) weigh_rows(t, r, n, CPU_KV_Q8, values, low, high)
    if (low >= high)
        return;
    switch (type) {
    case CPU_KV_F16: FOR_ROWS(WEIGH_F16); break;
    case CPU_KV_BF16: FOR_ROWS(WEIGH_BF16); break;
    case CPU_KV_Q8: FOR_ROWS(WEIGH_Q8); break;
    default: FOR_ROWS(WEIGH_F32); break;
    }
}

/* ---- softmax over blocks */

static float exp_one(float x)
{
    return vf_first(vf_exp(vf_all(x)));
}

/* What row r has summed so far, seen from a larger maximum. */
static void raise(struct tile *t, int r, float max)
{
    if (t->max[r] == max)
        return; /* times 1 */
    float factor = t->max[r] == -INFINITY ? 0.0f : exp_one(t->max[r] - max);
    for (int64_t c = 0; c < t->a->kv->v_dim; c += LANES) {
        vmask m = vmask_range(0, (int)(t->a->kv->v_dim - c));
        vf_store_some(t->y[r] + c, m, vf_mul(vf_load_some(t->y[r] + c, m), vf_all(factor)));
    }
    t->sum[r] *= factor;
    t->max[r] = max;
}

/* Scores of the keys in sight (the others -infinity), soft cap applied; returns the largest. A NaN among others makes its own
 * weight and so the row NaN; alone it is what is returned. */
INLINE float visible_scores(const struct tile *t, int r, vf s[VECTORS])
{
    const struct cpu_attn *a = t->a;
    vf max = vf_all(-INFINITY);
    float largest;
    for (int v = 0; v < VECTORS; v++) {
        s[v] = vf_load(t->p + r * B + v * LANES);
        if (a->softcap > 0.0f)
            s[v] = vf_mul(vf_all(a->softcap), vf_tanh(vf_div(s[v], vf_all(a->softcap))));
        s[v] = vf_pick(vmask_range(t->low[r] - v * LANES, t->high[r] - v * LANES), s[v], vf_all(-INFINITY));
        max = vf_max(s[v], max);
    }
    largest = vf_max_lanes(max);
    for (int v = 0; v < VECTORS && largest == -INFINITY; v++)
        largest = vf_sum(vf_pick(vf_is_nan(s[v]), s[v], vf_all(-INFINITY)));
    return largest;
}

/* Turn row r's scores into weights. Returns false when the row sees nothing here. */
static bool soften(struct tile *t, int r)
{
    vf s[VECTORS], sum = vf_zero();
    float max;
    if (t->low[r] >= t->high[r])
        return false;
    max = visible_scores(t, r, s);
    if (max == -INFINITY)
        return false;
    raise(t, r, max < t->max[r] ? t->max[r] : max);
    for (int v = 0; v < VECTORS; v++) {
        s[v] = vf_exp(vf_sub(s[v], vf_all(t->max[r])));
        vf_store(t->p + r * B + v * LANES, s[v]);
        sum = vf_add(sum, s[v]);
    }
    t->sum[r] += vf_sum(sum);
    return true;
}

/* Values onto all rows: each row its keys in ascending order; where all see the same keys, together. */
static void weigh_tile(const struct tile *t, enum cpu_kv_type type, const void *values)
{
    int low = 0, high = B;
    for (int r = 0; r < t->n; r++) {
        low = t->low[r] > low ? t->low[r] : low;
        high = t->high[r] < high ? t->high[r] : high;
    }
    if (low >= high)
        low = high = B; /* nothing in common: all of it row by row */
    for (int r = 0; r < t->n; r++)
        weigh(t, r, r + 1, type, values, t->low[r], low < t->high[r] ? low : t->high[r]);
    weigh(t, 0, t->n, type, values, low, high);
    for (int r = 0; r < t->n; r++)
        weigh(t, r, r + 1, type, values, high > t->low[r] ? high : t->low[r], t->high[r]);
}

/* A block is widened once when several groups of rows read it, or when rows of v end inside a vector. */
static bool must_widen(const struct tile *t)
{
    return t->a->kv->type != CPU_KV_F32 && (t->n > ROWS || t->a->kv->v_dim % B != 0);
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

static void widen(struct tile *t, uint8_t *keys, uint8_t *values)
{
    const struct cpu_kv *kv = t->a->kv;
    if (kv->type == CPU_KV_Q8) {
        widen_keys(kv, keys, t->wide_k);
        widen_values(kv, values, t->wide_v);
        return;
    }
    void (*from_halves)(const uint16_t *, int64_t, float *) = kv->type == CPU_KV_BF16 ? LEVEL(bf16_to_f32) : LEVEL(f16_to_f32);
    from_halves((const uint16_t *)(void *)keys, (int64_t)B * kv->k_dim, t->wide_k);
    from_halves((const uint16_t *)(void *)values, (int64_t)B * kv->v_dim, t->wide_v);
}

static void add_block(struct tile *t, int64_t b, int64_t page, int32_t g)
{
    const struct cpu_kv *kv = t->a->kv;
    void *keys = cpu_page_keys(kv, page, g), *values = cpu_page_values(kv, page, g);
    enum cpu_kv_type type = kv->type;
    if (must_widen(t)) {
        widen(t, keys, values);
        keys = t->wide_k;
        values = t->wide_v;
        type = CPU_KV_F32;
    }
    score(t, 0, t->n, type, keys);
    for (int r = 0; r < t->n; r++) {
        t->low[r] = cpu_visible_low(t->see[r], b);
        t->high[r] = cpu_visible_high(t->see[r], b);
        if (!soften(t, r))
            t->low[r] = t->high[r] = 0;
    }
    weigh_tile(t, type, values);
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
    t->n = 0;
    for (int i = 0; i < tokens; i++)
        for (int k = 0; k < heads; k++) {
            int r = t->n++;
            t->q[r] = a->q + (token + i) * a->ldq + (int64_t)(h + k) * a->kv->k_dim;
            t->see[r] = cpu_visible(a, token + i);
        }
}

/* Row r's sums of span `span` to y. */
static void run_span(struct tile *t, const int32_t *table, int32_t g, int64_t span)
{
    int64_t first = (span + 1) * CPU_SPAN_TOKENS, end = span * CPU_SPAN_TOKENS, v_dim = t->a->kv->v_dim;
    for (int r = 0; r < t->n; r++) {
        first = t->see[r].first < first ? t->see[r].first : first;
        end = t->see[r].end > end ? t->see[r].end : end;
        t->max[r] = -INFINITY;
        t->sum[r] = 0.0f;
        memset(t->y[r], 0, (size_t)v_dim * sizeof *t->y[r]);
    }
    first = first > span * CPU_SPAN_TOKENS ? first : span * CPU_SPAN_TOKENS;
    end = end < (span + 1) * CPU_SPAN_TOKENS ? end : (span + 1) * CPU_SPAN_TOKENS;
    for (int64_t b = first / B; b * B < end; b++)
        if (table[b] >= 0)
            add_block(t, b, table[b], g);
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
            merge(&max[r], &sum[r], a->y + (token + r / heads) * a->ldy + (h + r % heads) * v_dim, t->max[r], t->sum[r], t->y[r], v_dim);
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
    struct tile t = { .a = a, .p = scratch };
    t.wide_k = t.p + TILE_ROWS * B;
    t.wide_v = t.wide_k + (int64_t)B * a->kv->k_dim;
    t.span_y = t.wide_v + (int64_t)B * a->kv->v_dim;
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
