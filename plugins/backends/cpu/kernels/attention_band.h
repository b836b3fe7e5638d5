/* attention_band.h - what attention's ways share, for every vector level: rows that are attended together, softmax over a span,
 * and spans that become one.
 *
 * A band is up to BAND_ROWS query rows that read the same keys: the heads of one group, for one or more tokens of one
 * sequence. Per span of 256 keys: scores block by block, one softmax, weighted values block by block. So a row's maximum is
 * searched once and its sums are never scaled in between; spans are merged in ascending order and may go to different threads, as
 * parts. Scores are exponents of 2, so that weights need no product by log2 e.
 * What happens to a row depends on the blocks it sees and on nothing else in the band: scores of keys it does not see are dropped.
 * Include after simd_*.h, where the level says its BAND_ROWS; then attention_vectors.h or attention_tiles.h, which make scores and
 * sums, and attention.h, which walks. Formula: core.attention/1 of tenon/ops.h. */
#ifndef TENON_CPU_ATTENTION_BAND_H
#define TENON_CPU_ATTENTION_BAND_H

#include "levels.h"
#include "pages.h"
#include "visible.h"
#include "vmath.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { B = CPU_PAGE_TOKENS, P_ROW = CPU_ATTN_SCORE_ROW };
#define LOG2_E 1.44269504f

/* ---- a band */

struct band {
    const struct cpu_attn *a;
    int64_t token;                    /* the first */
    int32_t head, heads;              /* of the model: the first, how many; row r is token + r / heads, head + r % heads */
    int n, groups;                    /* rows in use, and what they are cut into, to be multiplied together */
    int shaped;                       /* rows that tiles have at present; 0: none yet */
    float *y[BAND_ROWS];              /* [v_dim] each: the weighted sum of the present span, not divided */
    float max[BAND_ROWS];
    float sum[BAND_ROWS];
    struct cpu_visible see[BAND_ROWS];
    int low[BAND_ROWS], high[BAND_ROWS]; /* keys of the present span that the row sees: low <= j < high; 0, 0 for none */
    uint32_t absent;                  /* bits: blocks of the present span that no page holds, which nobody sees */
    void *q;                          /* queries, as a group's products read them */
    float *p;                         /* [BAND_ROWS, CPU_ATTN_SCORE_ROW] scores of the span's keys, then weights; 64-aligned */
    float *span_y;                    /* [BAND_ROWS, v_dim] y of a span among several */
    void *wide;                       /* keys or values, as products read them where that is not as they lie in the cache */
    const uint8_t *next;              /* keys or values that are read after the present ones; some memory where there are none */
};

/* Rows of tokens t .. t + tokens and heads h .. h + heads, without their queries. */
static void begin_rows(struct band *t, int64_t token, int tokens, int32_t h, int heads)
{
    t->token = token;
    t->head = h;
    t->heads = heads;
    t->n = tokens * heads;
    for (int r = 0; r < t->n; r++)
        t->see[r] = cpu_visible(t->a, token + r / heads);
}

static const float *query_of(const struct band *t, int r)
{
    return t->a->q + (t->token + r / t->heads) * t->a->ldq + (t->head + r % t->heads) * (int64_t)t->a->kv->k_dim;
}

/* A page to send for; what an absent one stands for is not read. */
static int64_t present(int64_t page)
{
    return page < 0 ? 0 : page;
}

/* ---- softmax over a span: scores are exponents of 2 */

/* What scores are multiplied by where they are made, and what caps them then. */
static float score_scale(const struct cpu_attn *a) { return a->scale * LOG2_E; }

static void cap_scores(const struct cpu_attn *a, float *p, int first, int end)
{
    const vf cap = vf_all(a->softcap * LOG2_E);
    for (int j = first; j < end; j += LANES)
        vf_store(p + j, vf_mul(cap, vf_tanh(vf_div(vf_load(p + j), cap))));
}

/* Scores of absent blocks become -infinity. */
static void hide_absent(const struct band *t, float *p)
{
    for (int j = 0; t->absent != 0 && j < CPU_SPAN_TOKENS; j += LANES)
        if ((t->absent >> j / B & 1u) != 0)
            vf_store(p + j, vf_all(-INFINITY));
}

/* Scores first <= j < end that are not low <= j < high become -infinity; first and end are whole vectors. */
static void hide_scores(float *p, int low, int high, int first, int end)
{
    for (int j = first; j < low && j < end; j += LANES)
        vf_store(p + j, vf_pick(vmask_range(low - j, LANES), vf_load(p + j), vf_all(-INFINITY)));
    for (int j = high < first ? first : high / LANES * LANES; j < end; j += LANES)
        vf_store(p + j, vf_pick(vmask_range(0, high - j), vf_load(p + j), vf_all(-INFINITY)));
}

/* A NaN among others makes its own weight and so the row NaN; alone it is what is returned. */
static float largest_score(const float *p, int first, int end)
{
    vf most = vf_all(-INFINITY), more = most;
    float largest;
    int j = first;
    for (; j + LANES < end; j += 2 * LANES) {
        most = vf_max(vf_load(p + j), most);
        more = vf_max(vf_load(p + j + LANES), more);
    }
    if (j < end)
        most = vf_max(vf_load(p + j), most);
    largest = vf_max_lanes(vf_max(most, more));
    for (j = first; largest == -INFINITY && j < end; j++)
        largest = isnan(p[j]) ? p[j] : largest;
    return largest;
}

/* Row r's scores made ready from `first` to `end`, whole vectors around all that it sees; returns what a weight's exponent is less than its
 * score. */
static float begin_softmax(struct band *t, int r, int first, int end)
{
    float *p = t->p + r * P_ROW, max;
    if (t->a->softcap > 0.0f)
        cap_scores(t->a, p, first, end);
    hide_absent(t, p);
    hide_scores(p, t->low[r], t->high[r], first, end);
    max = largest_score(p, first, end);
    if (max == -INFINITY)
        t->low[r] = t->high[r] = 0;
    t->max[r] = max;
    return max == -INFINITY ? 0.0f : max;
}

/* ---- spans */

/* What the band sees of a span: keys first <= j < end. `after`: the block that comes next in the table, if the band sees of the next span;
 * else 0. */
struct seen {
    int first, end;
    int64_t after;
};

/* What each row sees of span `span`. */
static struct seen see_span(struct band *t, int64_t span)
{
    const int64_t start = span * CPU_SPAN_TOKENS;
    struct seen s = { .first = CPU_SPAN_TOKENS };
    t->absent = 0;
    for (int r = 0; r < t->n; r++) {
        int64_t low = t->see[r].first - start, high = t->see[r].end - start;
        t->low[r] = low < 0 ? 0 : low > CPU_SPAN_TOKENS ? CPU_SPAN_TOKENS : (int)low;
        t->high[r] = high < t->low[r] ? t->low[r] : high > CPU_SPAN_TOKENS ? CPU_SPAN_TOKENS : (int)high;
        s.first = t->low[r] < s.first ? t->low[r] : s.first;
        s.end = t->high[r] > s.end ? t->high[r] : s.end;
        s.after = high > CPU_SPAN_TOKENS ? CPU_SPAN_TOKENS / B : s.after;
    }
    return s;
}

/* y [v_dim] = y before + part now; where there was nothing before, the part. */
static void merge_y(float *y, float before, const float *part, float now, bool is_first, int64_t v_dim)
{
    if (is_first)
        memcpy(y, part, (size_t)v_dim * sizeof *y);
    for (int64_t c = 0; !is_first && c < v_dim; c += LANES) {
        vmask m = vmask_range(0, (int)(v_dim - c));
        vf more = vf_mul(vf_load_some(part + c, m), vf_all(now));
        vf_store_some(y + c, m, vf_fma(vf_load_some(y + c, m), vf_all(before), more));
    }
}

/* Maximums, sums and weighted sums of rows so far, and what a later span's are put onto them. */
struct merged {
    float max[BAND_ROWS], sum[BAND_ROWS];
};
_Static_assert(BAND_ROWS % LANES == 0, "rows are merged by whole vectors");

static void begin_merging(struct merged *m)
{
    for (int r = 0; r < BAND_ROWS; r++) {
        m->max[r] = -INFINITY;
        m->sum[r] = 0.0f;
    }
}

/* The present span's part of rows r .. r + LANES; y[i] of each, or of as many as there are. */
static void merge_rows(struct merged *m, int r, const struct band *t, float *const *y)
{
    float before[LANES], now[LANES];
    const vf max = vf_load(m->max + r), part = vf_load(t->max + r), most = vf_pick(vf_less(max, part), part, max);
    vf_store(before, vf_exp2(vf_sub(max, most)));
    vf_store(now, vf_exp2(vf_sub(part, most)));
    for (int i = 0; i < LANES && r + i < t->n; i++) {
        const bool is_first = m->max[r + i] == -INFINITY;
        if (t->max[r + i] == -INFINITY)
            continue; /* it saw nothing */
        merge_y(y[r + i], before[i], t->y[r + i], now[i], is_first, t->a->kv->v_dim);
        m->sum[r + i] = is_first ? t->sum[r + i] : m->sum[r + i] * before[i] + t->sum[r + i] * now[i];
        m->max[r + i] = is_first || m->max[r + i] < t->max[r + i] ? t->max[r + i] : m->max[r + i]; /* NaN too, which stays */
    }
}

static float exp2_one(float x)
{
    return vf_first(vf_exp2(vf_all(x)));
}

/* Divide by the sum of all weights, the sink's among them. y of a row that saw nothing is whatever. */
static void finish_row(float max, float sum, float *y, int64_t v_dim, const float *sink)
{
    float last = sink != NULL ? *sink * LOG2_E : -INFINITY, most = last > max ? last : max;
    float factor = max == -INFINITY ? 0.0f : exp2_one(max - most), all = sum * factor + (sink != NULL ? exp2_one(last - most) : 0.0f);
    float scale = all == 0.0f ? 0.0f : factor / all;
    if (max == -INFINITY)
        memset(y, 0, (size_t)v_dim * sizeof *y);
    for (int64_t c = 0; c < v_dim; c += LANES) {
        vmask m = vmask_range(0, (int)(v_dim - c));
        vf_store_some(y + c, m, vf_mul(vf_load_some(y + c, m), vf_all(scale)));
    }
}

#endif
