/* attention_tiles.h - scores and weighted values of a span by the processor's tiles (simd_amx.h), which multiply bfloat16.
 *
 * A float is split in two of them, the upper half of its bits (of queries the nearest) and what that leaves: 16 bits of the number, so
 * that f16 and bf16 lose nothing. A product is high high + low high + high low, summed in f32 in this order, by 32 elements of k or by 32 keys.
 * Tiles want what they multiply by in pairs of rows: two elements of 16 keys, two keys' 16 elements. That is as pages hold them, so
 * a chunk of blocks is split once for all rows of a band, which so are many.
 * A row of a tile meets no other row. But a product by a weight of 0 is NaN where a value is no number or infinite: so where NaN comes
 * out, rows are done again, each by itself, without the values that it does not see. Who sees one has NaN there; who sees such a key,
 * or is such a query, is NaN throughout.
 * What a band is: attention_band.h. */
#ifndef TENON_CPU_ATTENTION_TILES_H
#define TENON_CPU_ATTENTION_TILES_H

#define BAND_ROWS CPU_ATTN_TILED_ROWS

#include "attention_band.h"

#define TILE_BYTES (TILE_ROWS * TILE_ROW_BYTES)
#define HALVES (B / LANES)      /* of a block's keys */
#define STEP_BYTES (2 * HALVES * TILE_BYTES) /* of keys: 32 elements of a block */
#define COLUMN_BYTES (2 * TILE_BYTES)        /* of values: a block's at 16 elements */
#define P_ROW_BYTES (P_ROW * (int)sizeof(float))

_Static_assert(B == 2 * LANES && LANES == TILE_ROWS && TILE_ROW_BYTES == 2 * B, "a block of keys is two tiles wide, or one deep");

/* Tile registers: the assembler wants their numbers as they are written here. */
#define SUMS_0 0
#define SUMS_1 1
#define SUMS_2 2
#define SUMS_3 3
#define ROWS_HIGH 4
#define ROWS_LOW 5
#define BY_0 6
#define BY_1 7

/* Do tiles suit it? Queries' elements go in pairs, and values by 16; f32 has more bits than are multiplied here. Where hardly a head
 * shares its keys with others, a token alone would pay more for their splits than many tokens gain. */
static bool suits_tiles(const struct cpu_attn *a)
{
    return a->kv->type != CPU_KV_F32 && a->kv->k_dim % 2 == 0 && a->kv->v_dim > 0 && a->kv->v_dim % LANES == 0 &&
           a->n_heads / a->kv->kv_heads >= CPU_ATTN_TILED_HEADS;
}

static int64_t steps_of(const struct cpu_attn *a)
{
    return (a->kv->k_dim + 31) / 32;
}

/* Blocks that are split together: as many as leave the nearer cache to both operands. */
static int chunk_blocks(int64_t block_bytes)
{
    int64_t n = CPU_ATTN_CHUNK_BYTES / block_bytes;
    return n < 1 ? 1 : n > CPU_SPAN_TOKENS / B ? CPU_SPAN_TOKENS / B : (int)n;
}

/* ---- splits */

/* Two rows as a tile pairs them, the first in the low half of each lane: the high halves to `high`, what they leave to `low`, each cut
 * off. Nothing here hides a NaN. */
INLINE void split_pair(vf first, vf second, void *high, void *low)
{
    const vi upper = vi_all(0xffff0000u);
    vf low_a = vf_sub(first, vf_and_bits(first, 0xffff0000u)), low_b = vf_sub(second, vf_and_bits(second, 0xffff0000u));
    vi_store(high, vi_choose(upper, vi_of_bits(second), vi_shr(vi_of_bits(first), 16)));
    vi_store(low, vi_choose(upper, vi_of_bits(low_b), vi_shr(vi_of_bits(low_a), 16)));
}

/* A query's elements, times the scale of scores: row r of [steps][high, low][16 rows]. NaN stays NaN. */
static void split_query(const struct band *t, int r, uint8_t *y)
{
    const float *q = query_of(t, r);
    const int64_t dim = t->a->kv->k_dim;
    for (int64_t d = 0; d < dim; d += LANES) {
        vf x = vf_mul(vf_load_some(q + d, vmask_range(0, (int)(dim - d))), vf_all(score_scale(t->a)));
        __m256i high = (__m256i)_mm512_cvtneps_pbh(x);
        vf low = vf_sub(x, vf_of_bits(vi_shl(_mm512_cvtepu16_epi32(high), 16)));
        uint8_t *row = y + d / 32 * 2 * TILE_BYTES + d % 32 * 2;
        _mm256_storeu_si256((void *)row, high);
        _mm256_storeu_si256((void *)(row + TILE_BYTES), (__m256i)_mm512_cvtneps_pbh(low));
    }
}

/* Elements from i on, with the scale at `scale`, of q8 keys one for each. */
INLINE vf load_scaled(const enum cpu_kv_type type, const void *p, int64_t i, vf scale)
{
    if (type == CPU_KV_BF16)
        return vf_load_bf16((const uint16_t *)p + i);
    return type == CPU_KV_Q8 ? vf_mul(vf_load_i8((const int8_t *)p + i), scale) : vf_load_f16((const uint16_t *)p + i);
}

/* Each page begins a stream of its own, which the hardware foresees too late: so the lines of what is read next are sent for one by
 * one, as many elements in as the splits are. */
INLINE void fetch_next(const struct band *t, const enum cpu_kv_type type, int64_t i)
{
    __builtin_prefetch(t->next + (type == CPU_KV_Q8 ? 1 : 2) * i);
}

/* A block's keys: [steps][halves][high, low][16 pairs of elements][16 keys]; what fills the last step is zeros. */
INLINE void split_keys_of(const struct band *t, const enum cpu_kv_type type, const uint8_t *keys, uint8_t *y)
{
    const int64_t dim = t->a->kv->k_dim;
    const uint16_t *scales = (const uint16_t *)(const void *)(keys + CPU_PAGE_TOKENS * dim); /* [dim / 32, 32] of q8 */
    for (int64_t d = 0; d < steps_of(t->a) * 32; d += 2)
        for (int h = 0; h < HALVES; h++) {
            uint8_t *row = y + d / 32 * STEP_BYTES + h * 2 * TILE_BYTES + d % 32 / 2 * TILE_ROW_BYTES;
            vf first = vf_zero(), second = vf_zero(), scale = vf_zero();
            fetch_next(t, type, (d + h) * B);
            if (type == CPU_KV_Q8)
                scale = vf_load_f16(scales + cpu_key_at(h * LANES, d / CPU_KV_BLOCK));
            if (d < dim) {
                first = load_scaled(type, keys, cpu_key_at(h * LANES, d), scale);
                second = load_scaled(type, keys, cpu_key_at(h * LANES, d + 1), scale);
            }
            split_pair(first, second, row, row + TILE_BYTES);
        }
}

/* Elements c .. c + 16 of key j's value; of a key that is not among low <= j < high zeros. */
INLINE vf load_value(const struct band *t, const enum cpu_kv_type type, const uint8_t *values, int j, int64_t c, int low, int high)
{
    const int64_t E = t->a->kv->v_dim;
    const uint16_t *scales = (const uint16_t *)(const void *)(values + CPU_PAGE_TOKENS * E); /* [32, E / 32] of q8 */
    vf scale = vf_zero();
    if (j < low || j >= high)
        return vf_zero();
    if (type == CPU_KV_Q8)
        scale = vf_all(cpu_f16_float(scales[cpu_value_at(E / CPU_KV_BLOCK, j, c / CPU_KV_BLOCK)]));
    return load_scaled(type, values, cpu_value_at(E, j, c), scale);
}

/* A block's values: [v_dim / 16][high, low][16 pairs of keys j, j + 16][16 elements]. */
INLINE void split_values_of(const struct band *t, const enum cpu_kv_type type, const uint8_t *values, int low, int high, uint8_t *y)
{
    const int64_t E = t->a->kv->v_dim;
    for (int j = 0; j < LANES; j++)
        for (int64_t c = 0; c < E; c += LANES) {
            uint8_t *row = y + c / LANES * COLUMN_BYTES + j * TILE_ROW_BYTES;
            fetch_next(t, type, j * E + c);
            fetch_next(t, type, (j + LANES) * E + c);
            split_pair(load_value(t, type, values, j, c, low, high), load_value(t, type, values, j + LANES, c, low, high),
                       row, row + TILE_BYTES);
        }
}

static void split_keys(const struct band *t, const uint8_t *keys, uint8_t *y)
{
    switch (t->a->kv->type) {
    case CPU_KV_Q8: split_keys_of(t, CPU_KV_Q8, keys, y); break;
    case CPU_KV_BF16: split_keys_of(t, CPU_KV_BF16, keys, y); break;
    default: split_keys_of(t, CPU_KV_F16, keys, y); break;
    }
}

/* Of keys low <= j < high, the others' zeros; whole blocks are the rule, and then no key of f16 is asked. */
static void split_values(const struct band *t, const uint8_t *values, int low, int high, uint8_t *y)
{
    const bool whole = low <= 0 && high >= B;
    switch (t->a->kv->type) {
    case CPU_KV_Q8: split_values_of(t, CPU_KV_Q8, values, low, high, y); break;
    case CPU_KV_BF16: split_values_of(t, CPU_KV_BF16, values, low, high, y); break;
    default:
        if (whole)
            split_values_of(t, CPU_KV_F16, values, 0, B, y);
        else
            split_values_of(t, CPU_KV_F16, values, low, high, y);
    }
}

/* Keys low <= j < high of the block of values in `page`; of an absent one none. */
static void split_block(const struct band *t, int64_t page, int32_t g, int low, int high, uint8_t *y)
{
    const struct cpu_kv *kv = t->a->kv;
    if (page < 0)
        memset(y, 0, (size_t)(kv->v_dim / LANES * COLUMN_BYTES));
    else
        split_values(t, cpu_page_values(kv, page, g), low, high, y);
}

/* ---- products */

static void shape_for(struct band *t, int rows)
{
    struct tile_shapes s = { .palette = 1 };
    for (int i = SUMS_0; i <= BY_1; i++) {
        s.rows[i] = (uint8_t)(i < BY_0 ? rows : TILE_ROWS);
        s.row_bytes[i] = TILE_ROW_BYTES;
    }
    if (t->shaped != rows)
        tiles_shape(&s);
    t->shaped = rows;
}

/* sums of two tiles += rows by two tiles at k and at k + `next`, each high and behind it low. */
#define MEET_TWO(s, u, k, next)                                   \
    do {                                                          \
        tile_load(BY_0, k, TILE_ROW_BYTES);                       \
        tile_load(BY_1, (k) + (next), TILE_ROW_BYTES);            \
        tile_dot_bf16(s, ROWS_HIGH, BY_0);                        \
        tile_dot_bf16(u, ROWS_HIGH, BY_1);                        \
        tile_dot_bf16(s, ROWS_LOW, BY_0);                         \
        tile_dot_bf16(u, ROWS_LOW, BY_1);                         \
        tile_load(BY_0, (k) + TILE_BYTES, TILE_ROW_BYTES);        \
        tile_load(BY_1, (k) + TILE_BYTES + (next), TILE_ROW_BYTES); \
        tile_dot_bf16(s, ROWS_HIGH, BY_0);                        \
        tile_dot_bf16(u, ROWS_HIGH, BY_1);                        \
    } while (0)
#define MEET_ONE(s, k)                                            \
    do {                                                          \
        tile_load(BY_0, k, TILE_ROW_BYTES);                       \
        tile_dot_bf16(s, ROWS_HIGH, BY_0);                        \
        tile_dot_bf16(s, ROWS_LOW, BY_0);                         \
        tile_load(BY_1, (k) + TILE_BYTES, TILE_ROW_BYTES);        \
        tile_dot_bf16(s, ROWS_HIGH, BY_1);                        \
    } while (0)

/* Scores of up to 16 queries, q as split_query() left them, and of one block of keys or two, at p. */
INLINE void score_blocks(const uint8_t *q, const uint8_t *k, int64_t steps, const int blocks, float *p)
{
    const int64_t block_bytes = steps * STEP_BYTES;
    tile_zero(SUMS_0);
    tile_zero(SUMS_1);
    tile_zero(SUMS_2);
    tile_zero(SUMS_3);
    for (int64_t s = 0; s < steps; s++, q += 2 * TILE_BYTES, k += STEP_BYTES) {
        tile_load(ROWS_HIGH, q, TILE_ROW_BYTES);
        tile_load(ROWS_LOW, q + TILE_BYTES, TILE_ROW_BYTES);
        MEET_TWO(SUMS_0, SUMS_1, k, 2 * TILE_BYTES);
        if (blocks == 2)
            MEET_TWO(SUMS_2, SUMS_3, k + block_bytes, 2 * TILE_BYTES);
    }
    tile_store(SUMS_0, p, P_ROW_BYTES);
    tile_store(SUMS_1, p + LANES, P_ROW_BYTES);
    if (blocks == 2) {
        tile_store(SUMS_2, p + 2 * LANES, P_ROW_BYTES);
        tile_store(SUMS_3, p + 3 * LANES, P_ROW_BYTES);
    }
}

/* Weighted values of up to 16 rows, `columns` (1 to 4) times 16 elements of them, summed over `blocks` onto y, or from 0 on. */
INLINE void weigh_columns(const float *p, const uint8_t *v, int blocks, int64_t block_bytes, const int columns, bool begins, float *y,
                          int64_t y_row)
{
    tile_zero(SUMS_0);
    tile_zero(SUMS_1);
    tile_zero(SUMS_2);
    tile_zero(SUMS_3);
    if (!begins) {
        tile_load(SUMS_0, y, y_row);
        if (columns > 1)
            tile_load(SUMS_1, y + LANES, y_row);
        if (columns > 2)
            tile_load(SUMS_2, y + 2 * LANES, y_row);
        if (columns > 3)
            tile_load(SUMS_3, y + 3 * LANES, y_row);
    }
    for (int b = 0; b < blocks; b++, v += block_bytes, p += B) {
        tile_load(ROWS_HIGH, p, P_ROW_BYTES);
        tile_load(ROWS_LOW, p + LANES, P_ROW_BYTES);
        if (columns > 1)
            MEET_TWO(SUMS_0, SUMS_1, v, COLUMN_BYTES);
        else
            MEET_ONE(SUMS_0, v);
        if (columns > 3)
            MEET_TWO(SUMS_2, SUMS_3, v + 2 * COLUMN_BYTES, COLUMN_BYTES);
        else if (columns > 2)
            MEET_ONE(SUMS_2, v + 2 * COLUMN_BYTES);
    }
    tile_store(SUMS_0, y, y_row);
    if (columns > 1)
        tile_store(SUMS_1, y + LANES, y_row);
    if (columns > 2)
        tile_store(SUMS_2, y + 2 * LANES, y_row);
    if (columns > 3)
        tile_store(SUMS_3, y + 3 * LANES, y_row);
}

/* ---- rows that are multiplied together: up to 16, from r on */

struct together {
    int r, rows;
    int from, to; /* blocks of the span that some of them see */
};

static struct together group_of(const struct band *t, int r, int rows)
{
    struct together g = { .r = r, .rows = rows, .from = CPU_SPAN_TOKENS / B };
    for (int i = r; i < r + rows; i++) {
        if (t->low[i] >= t->high[i])
            continue;
        g.from = t->low[i] / B < g.from ? t->low[i] / B : g.from;
        g.to = (t->high[i] + B - 1) / B > g.to ? (t->high[i] + B - 1) / B : g.to;
    }
    return g;
}

static int later(int a, int b) { return a > b ? a : b; }
static int sooner(int a, int b) { return a < b ? a : b; }

/* Scores against blocks b0 <= b < b1 of the span, split at k. */
static void score_group(struct band *t, const struct together *g, int b0, int b1, const uint8_t *k)
{
    const int64_t steps = steps_of(t->a);
    const uint8_t *q = (const uint8_t *)t->q + g->r / TILE_ROWS * steps * 2 * TILE_BYTES;
    float *p = t->p + g->r * P_ROW;
    int b = later(b0, g->from), end = sooner(b1, g->to);
    if (b >= end)
        return;
    shape_for(t, g->rows);
    for (; b + 2 <= end; b += 2)
        score_blocks(q, k + (b - b0) * steps * STEP_BYTES, steps, 2, p + b * B);
    if (b < end)
        score_blocks(q, k + (b - b0) * steps * STEP_BYTES, steps, 1, p + b * B);
}

/* Values of blocks b0 <= b < b1 of the span, split at v, onto the group's rows of span_y. */
static void weigh_group(struct band *t, const struct together *g, int b0, int b1, const uint8_t *v)
{
    const int64_t E = t->a->kv->v_dim, block_bytes = E / LANES * COLUMN_BYTES, y_row = E * (int64_t)sizeof(float);
    const int b = later(b0, g->from), n = sooner(b1, g->to) - b;
    const bool begins = b == g->from;
    if (n <= 0)
        return;
    shape_for(t, g->rows);
    v += (b - b0) * block_bytes;
    for (int64_t c = 0; c < E; c += 4 * LANES, v += 4 * COLUMN_BYTES) {
        const float *p = t->p + g->r * P_ROW + b * B;
        float *y = t->span_y + g->r * E + c;
        switch (sooner(4, (int)((E - c) / LANES))) {
        case 1: weigh_columns(p, v, n, block_bytes, 1, begins, y, y_row); break;
        case 2: weigh_columns(p, v, n, block_bytes, 2, begins, y, y_row); break;
        case 3: weigh_columns(p, v, n, block_bytes, 3, begins, y, y_row); break;
        default: weigh_columns(p, v, n, block_bytes, 4, begins, y, y_row); break;
        }
    }
}

/* Row r's scores to weights as tiles read them, in their place: of each block 16 pairs of keys j, j + 16, high and low; those of keys it
 * does not see are 0. */
static void soften(struct band *t, const struct together *g, int r)
{
    const int first = g->from * B, end = g->to * B;
    float *p = t->p + r * P_ROW;
    const vf max = vf_all(begin_softmax(t, r, first, end));
    vf sum = vf_zero();
    for (int j = first; j < end; j += B) {
        vf a = vf_exp2(vf_sub(vf_load(p + j), max)), b = vf_exp2(vf_sub(vf_load(p + j + LANES), max));
        sum = vf_add(vf_add(sum, a), b);
        split_pair(a, b, p + j, p + j + LANES);
    }
    t->sum[r] = vf_sum(sum);
}

/* ---- what is no number */

/* Sums of 0 lose their sign, which could tell how many weights of 0 there were. False where something is no number. */
static bool settle_group(const struct band *t, const struct together *g)
{
    const int64_t E = t->a->kv->v_dim;
    vmask none = 0;
    for (int r = g->r; r < g->r + g->rows; r++) {
        none |= vf_is_nan(vf_all(t->sum[r]));
        for (int64_t c = 0; t->low[r] < t->high[r] && c < E; c += LANES) {
            vf y = vf_add(vf_load(t->span_y + r * E + c), vf_zero());
            vf_store(t->span_y + r * E + c, y);
            none |= vf_is_nan(y);
        }
    }
    return none == 0;
}

/* The rows of a group again, each alone: what is multiplied by weights of 0 then is 0. Where weights are NaN, so is all, by the same
 * bits whatever was beside it. */
static void weigh_apart(struct band *t, const struct together *all, const int32_t *table, int32_t g)
{
    for (int r = all->r; r < all->r + all->rows; r++) {
        struct together one = group_of(t, r, 1);
        for (int b = one.from; t->sum[r] == t->sum[r] && b < one.to; b++) {
            split_block(t, table[b], g, t->low[r] - b * B, t->high[r] - b * B, t->wide);
            tiles_see_memory();
            weigh_group(t, &one, b, b + 1, t->wide);
        }
        (void)settle_group(t, &one);
        for (int64_t c = 0; t->sum[r] != t->sum[r] && c < t->a->kv->v_dim; c += LANES)
            vf_store(t->span_y + r * (int64_t)t->a->kv->v_dim + c, vf_all(NAN));
    }
}

/* ---- spans */

static void score_span(struct band *t, const struct together *groups, const int32_t *table, int32_t g, const struct seen *s)
{
    const struct cpu_kv *kv = t->a->kv;
    const int64_t block_bytes = steps_of(t->a) * STEP_BYTES;
    const int first = s->first / B, end = (s->end + B - 1) / B, chunk = chunk_blocks(block_bytes);
    for (int b0 = first, b1; b0 < end; b0 = b1) {
        b1 = sooner(b0 + chunk, end);
        for (int b = b0; b < b1; b++) {
            t->next = b + 1 < end ? cpu_page_keys(kv, present(table[b + 1]), g) : cpu_page_values(kv, present(table[first]), g);
            if (table[b] >= 0)
                split_keys(t, cpu_page_keys(kv, table[b], g), (uint8_t *)t->wide + (b - b0) * block_bytes);
            else
                t->absent |= 1u << b;
        }
        tiles_see_memory();
        for (int i = 0; i < t->groups; i++)
            score_group(t, &groups[i], b0, b1, t->wide);
    }
}

static void weigh_span(struct band *t, const struct together *groups, const int32_t *table, int32_t g, const struct seen *s)
{
    const struct cpu_kv *kv = t->a->kv;
    const int64_t block_bytes = kv->v_dim / LANES * COLUMN_BYTES;
    const int first = s->first / B, end = (s->end + B - 1) / B, chunk = chunk_blocks(block_bytes);
    for (int b0 = first, b1; b0 < end; b0 = b1) {
        b1 = sooner(b0 + chunk, end);
        for (int b = b0; b < b1; b++) {
            t->next = b + 1 < end ? cpu_page_values(kv, present(table[b + 1]), g) : cpu_page_keys(kv, present(table[s->after]), g);
            split_block(t, table[b], g, s->first - b * B, s->end - b * B, (uint8_t *)t->wide + (b - b0) * block_bytes);
        }
        tiles_see_memory();
        for (int i = 0; i < t->groups; i++)
            weigh_group(t, &groups[i], b0, b1, t->wide);
    }
}

/* Row r's sums of span `span` to y: scores of all keys, softmax, values. */
static void run_span(struct band *t, const int32_t *table, int32_t g, int64_t span)
{
    struct together groups[BAND_ROWS / TILE_ROWS];
    const struct seen s = see_span(t, span);
    const int64_t E = t->a->kv->v_dim;
    for (int i = 0; i < t->groups; i++)
        groups[i] = group_of(t, i * TILE_ROWS, sooner(TILE_ROWS, t->n - i * TILE_ROWS));
    table += span * CPU_SPAN_TOKENS / B;
    score_span(t, groups, table, g, &s);
    for (int i = 0; i < t->groups; i++)
        for (int r = groups[i].r; r < groups[i].r + groups[i].rows; r++)
            soften(t, &groups[i], r);
    weigh_span(t, groups, table, g, &s);
    for (int i = 0; i < t->groups; i++)
        if (!settle_group(t, &groups[i]))
            weigh_apart(t, &groups[i], table, g);
    for (int r = 0; r < t->n; r++)
        if (t->low[r] < t->high[r] && t->y[r] != t->span_y + r * E)
            memcpy(t->y[r], t->span_y + r * E, (size_t)E * sizeof *t->y[r]);
}

/* ---- bands */

/* Rows of tokens t .. t + tokens and heads h .. h + heads; queries split by groups: [16 rows' steps][high, low][16 rows][32]. */
static void begin_band(struct band *t, int64_t token, int tokens, int32_t h, int heads)
{
    const int64_t group_bytes = steps_of(t->a) * 2 * TILE_BYTES;
    begin_rows(t, token, tokens, h, heads);
    t->groups = (t->n + TILE_ROWS - 1) / TILE_ROWS;
    if (t->a->kv->k_dim % 32 != 0)
        memset(t->q, 0, (size_t)(t->groups * group_bytes)); /* what no element fills */
    for (int r = 0; r < t->n; r++)
        split_query(t, r, (uint8_t *)t->q + r / TILE_ROWS * group_bytes + r % TILE_ROWS * TILE_ROW_BYTES);
}

static struct band band_in(const struct cpu_attn *a, void *scratch)
{
    const int64_t wide = steps_of(a) * 32 > a->kv->v_dim ? steps_of(a) * 32 : a->kv->v_dim, block = B * wide;
    struct band t = { .a = a, .p = scratch };
    t.q = t.p + BAND_ROWS * P_ROW;
    t.wide = (float *)t.q + BAND_ROWS * steps_of(a) * 32;
    t.span_y = (float *)t.wide + (block > CPU_ATTN_CHUNK_BYTES / 4 ? block : CPU_ATTN_CHUNK_BYTES / 4);
    return t;
}

#endif
