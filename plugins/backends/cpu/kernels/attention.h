/* attention.h - the walk of attention over tokens and spans, for every vector level. Include after attention_vectors.h or
 * attention_tiles.h, whose run_span() makes what a band's rows come to. */
#ifndef TENON_CPU_ATTENTION_H
#define TENON_CPU_ATTENTION_H

/* All spans the band sees. */
static void run_band(struct band *t, int64_t token, int tokens, int32_t h, int heads, int32_t g)
{
    const struct cpu_attn *a = t->a;
    const int32_t *table = a->block_table + a->seq_of_token[token] * a->table_stride;
    int64_t first = INT64_MAX, end = 0, v_dim = a->kv->v_dim;
    float *y[BAND_ROWS]; /* [v_dim] each: results */
    struct merged m;
    begin_band(t, token, tokens, h, heads);
    begin_merging(&m);
    for (int r = 0; r < t->n; r++) {
        first = t->see[r].first < first ? t->see[r].first : first;
        end = t->see[r].end > end ? t->see[r].end : end;
        y[r] = a->y + (token + r / heads) * a->ldy + (h + r % heads) * v_dim;
        t->y[r] = t->span_y + r * v_dim;
    }
    for (int64_t span = first / CPU_SPAN_TOKENS; span * CPU_SPAN_TOKENS < end; span++) {
        run_span(t, table, g, span);
        for (int r = 0; r < t->n; r += LANES)
            merge_rows(&m, r, t, y);
    }
    for (int r = 0; r < t->n; r++)
        finish_row(m.max[r], m.sum[r], y[r], v_dim, a->sink != NULL ? a->sink + h + r % heads : NULL);
}

/* How many of the tokens from t on may share a band: of one sequence, and few enough. */
static int tokens_of_band(const struct cpu_attn *a, int64_t t, int64_t t1, int heads)
{
    int n = 1;
    while (t + n < t1 && (n + 1) * heads <= BAND_ROWS && a->seq_of_token[t + n] == a->seq_of_token[t])
        n++;
    return n;
}

/* Contracts of these two: kernels.h, attention() and attention_part(). */
static void attend_tokens(const struct cpu_attn *a, int64_t t0, int64_t t1, int32_t g0, int32_t g1, void *scratch)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    struct band t = band_in(a, scratch);
    for (int32_t g = g0; g < g1; g++)
        for (int32_t h = 0; h < group; h += BAND_ROWS) {
            int heads = group - h < BAND_ROWS ? group - h : BAND_ROWS;
            for (int64_t i = t0; i < t1;) {
                int tokens = tokens_of_band(a, i, t1, heads);
                run_band(&t, i, tokens, g * group + h, heads, g);
                i += tokens;
            }
        }
}

static void attend_span(const struct cpu_attn *a, int64_t token, int32_t g, int64_t span, float *parts, void *scratch)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    const int32_t *table = a->block_table + a->seq_of_token[token] * a->table_stride;
    int64_t floats = cpu_attn_part_floats(a->kv->v_dim);
    struct band t = band_in(a, scratch);
    for (int32_t h = 0; h < group; h += BAND_ROWS) {
        begin_band(&t, token, 1, g * group + h, group - h < BAND_ROWS ? group - h : BAND_ROWS);
        for (int r = 0; r < t.n; r++)
            t.y[r] = parts + (h + r) * floats + CPU_ATTN_PART_Y;
        run_span(&t, table, g, span);
        for (int r = 0; r < t.n; r++) {
            parts[(h + r) * floats] = t.max[r];
            parts[(h + r) * floats + 1] = t.sum[r];
        }
    }
}

#ifndef TILES /* level amx leaves to vectors what does not suit tiles */
void LEVEL(attention)(const struct cpu_attn *a, int64_t t0, int64_t t1, int32_t g0, int32_t g1, void *scratch)
{
    attend_tokens(a, t0, t1, g0, g1, scratch);
}

void LEVEL(attention_part)(const struct cpu_attn *a, int64_t token, int32_t g, int64_t span, float *parts, void *scratch)
{
    attend_span(a, token, g, span, parts, scratch);
}

/* As merge_rows() does it, to the same bits. */
void LEVEL(attention_join)(const struct cpu_attn *a, int64_t token, int32_t g, const float *parts, int64_t n)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    int64_t floats = cpu_attn_part_floats(a->kv->v_dim), v_dim = a->kv->v_dim;
    for (int32_t h = 0; h < group; h++) {
        float *y = a->y + token * a->ldy + (g * group + h) * v_dim, max = -INFINITY, sum = 0.0f;
        for (int64_t span = 0; span < n; span++) {
            const float *part = parts + (span * group + h) * floats;
            float most = max == -INFINITY || max < part[0] ? part[0] : max, before = exp2_one(max - most), now = exp2_one(part[0] - most);
            if (part[0] == -INFINITY)
                continue;
            merge_y(y, before, part + CPU_ATTN_PART_Y, now, max == -INFINITY, v_dim);
            sum = max == -INFINITY ? part[1] : sum * before + part[1] * now;
            max = most;
        }
        finish_row(max, sum, y, v_dim, a->sink != NULL ? a->sink + g * group + h : NULL);
    }
}
#endif

#endif
