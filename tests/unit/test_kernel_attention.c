/* test_kernel_attention.c - the cache's pages and attention over them: every level against double precision, and against
 * itself to the bit for prefill and decode, alone and in a batch, wherever the pages lie. */
#include "kernel_test.h"

/* Two sequences of `context` tokens each; queries are the last T of each. Pages are shuffled; unwritten slots hold NaN. */
struct scene {
    struct cpu_kv kv;
    struct cpu_attn a;
    int32_t H, context, T; /* T per sequence */
    int32_t *table;        /* [2, P] */
    int32_t *position, *seq;
    int32_t contexts[2];
    float *k, *v; /* [2, context, kv_heads, k_dim or v_dim] as stored, after rounding */
    float *q, *y, *sink;
    void *scratch;
    int64_t P, pages;
};

struct shape {
    int32_t heads, kv_heads, k_dim, v_dim, context, T;
};

static void store_all(struct scene *s, const struct cpu_kernels *k)
{
    int64_t kn = (int64_t)s->kv.kv_heads * s->kv.k_dim, vn = (int64_t)s->kv.kv_heads * s->kv.v_dim;
    memset(s->kv.pages, 0xff, (size_t)(s->kv.page_stride * s->pages)); /* NaN in every type */
    for (int64_t q = 0; q < 2; q++)
        for (int64_t c = 0; c < s->context; c++) {
            int64_t at = q * s->context + c;
            int64_t slot = (int64_t)s->table[q * s->P + c / CPU_PAGE_TOKENS] * CPU_PAGE_TOKENS + c % CPU_PAGE_TOKENS;
            k->kv_store(&s->kv, s->k + at * kn, s->v + at * vn, slot, 1, s->kv.kv_heads);
            k->kv_store(&s->kv, s->k + at * kn, s->v + at * vn, slot, 0, 1);
        }
}

static void place_pages(struct scene *s)
{
    for (int64_t i = 0; i < 2 * s->P; i++)
        s->table[i] = (int32_t)i;
    for (int64_t i = 2 * s->P - 1; i > 0; i--) {
        int64_t j = rng_below(i + 1);
        int32_t t = s->table[i];
        s->table[i] = s->table[j];
        s->table[j] = t;
    }
}

static float *random_halves(int64_t n)
{
    float *x = aligned(n * 4);
    uint16_t *h = aligned(n * 2);
    for (int64_t i = 0; i < n; i++)
        x[i] = rng_float() * 2.0f;
    level_at(0)->f32_to_f16(x, n, h);
    level_at(0)->f16_to_f32(h, n, x);
    free(h);
    return x;
}

/* What a cache of that type makes of n halves: f16 and f32 keep them. */
static void round_as(enum cpu_kv_type type, float *x, int64_t n)
{
    const struct cpu_kernels *plain = level_at(0);
    uint16_t *halves = aligned(n * 2), h;
    if (type == CPU_KV_BF16) {
        plain->f32_to_bf16(x, n, halves);
        plain->bf16_to_f32(halves, n, x);
    }
    for (int64_t b = 0; type == CPU_KV_Q8 && b < n; b += CPU_KV_BLOCK) {
        float max = 0.0f, d;
        for (int i = 0; i < CPU_KV_BLOCK; i++)
            max = fmaxf(max, fabsf(x[b + i]));
        d = max / 127.0f;
        plain->f32_to_f16(&d, 1, &h);
        plain->f16_to_f32(&h, 1, &d);
        for (int i = 0; i < CPU_KV_BLOCK; i++)
            x[b + i] = d == 0.0f ? 0.0f : d * (float)(int)fmaxf(-127.0f, fminf(127.0f, rintf(x[b + i] * (1.0f / d))));
    }
    free(halves);
}

static const char *type_name(const struct scene *s)
{
    static const char *const names[CPU_KV_TYPE_COUNT] = {
        [CPU_KV_F16] = "f16", [CPU_KV_F32] = "f32", [CPU_KV_BF16] = "bf16", [CPU_KV_Q8] = "q8",
    };
    return names[s->kv.type];
}

static int32_t whole_blocks(int32_t dim)
{
    return (dim + CPU_KV_BLOCK - 1) / CPU_KV_BLOCK * CPU_KV_BLOCK;
}

static void begin(struct scene *s, struct shape g, enum cpu_kv_type type)
{
    if (type == CPU_KV_Q8) {
        g.k_dim = whole_blocks(g.k_dim);
        g.v_dim = whole_blocks(g.v_dim);
    }
    *s = (struct scene){ .H = g.heads, .context = g.context, .T = g.T };
    s->kv = (struct cpu_kv){ .kv_heads = g.kv_heads, .k_dim = g.k_dim, .v_dim = g.v_dim, .type = type };
    s->P = (g.context + CPU_PAGE_TOKENS - 1) / CPU_PAGE_TOKENS;
    s->pages = 2 * s->P;
    s->kv.page_stride = (cpu_kv_page_bytes(&s->kv) + 63) & ~(int64_t)63;
    s->kv.pages = aligned(s->kv.page_stride * s->pages);
    s->table = aligned(2 * s->P * 4);
    s->position = aligned(2 * g.T * 4);
    s->seq = aligned(2 * g.T * 4);
    s->contexts[0] = s->contexts[1] = g.context;
    for (int32_t i = 0; i < 2 * g.T; i++) {
        s->seq[i] = i / g.T;
        s->position[i] = g.context - g.T + i % g.T;
    }
    place_pages(s);
    s->k = random_halves(2 * (int64_t)g.context * g.kv_heads * g.k_dim);
    s->v = random_halves(2 * (int64_t)g.context * g.kv_heads * g.v_dim);
    round_as(type, s->k, 2 * (int64_t)g.context * g.kv_heads * g.k_dim);
    round_as(type, s->v, 2 * (int64_t)g.context * g.kv_heads * g.v_dim);
    s->q = random_halves(2 * (int64_t)g.T * g.heads * g.k_dim);
    s->y = aligned(2 * (int64_t)g.T * g.heads * g.v_dim * 4);
    s->sink = random_halves(g.heads);
    s->scratch = aligned(cpu_attn_scratch_bytes(g.k_dim, g.v_dim));
    s->a = (struct cpu_attn){ .q = s->q, .y = s->y, .ldq = (int64_t)g.heads * g.k_dim, .ldy = (int64_t)g.heads * g.v_dim,
                              .kv = &s->kv, .block_table = s->table, .table_stride = s->P, .position = s->position,
                              .seq_of_token = s->seq, .context_len = s->contexts, .n_heads = g.heads,
                              .scale = 1.0f / sqrtf((float)g.k_dim), .causal = true };
}

static void end(struct scene *s)
{
    free(s->kv.pages), free(s->table), free(s->position), free(s->seq), free(s->k), free(s->v), free(s->q), free(s->y);
    free(s->sink), free(s->scratch);
}

static bool sees(const struct scene *s, int32_t t, int32_t c)
{
    return s->table[s->seq[t] * s->P + c / CPU_PAGE_TOKENS] >= 0 && (!s->a.causal || c <= s->position[t]) &&
           (s->a.window == 0 || labs((long)c - s->position[t]) < s->a.window);
}

static double score(const struct scene *s, int32_t t, int32_t h, int32_t c)
{
    const struct cpu_kv *kv = &s->kv;
    int64_t g = h / (s->H / kv->kv_heads);
    const float *q = s->q + ((int64_t)t * s->H + h) * kv->k_dim;
    const float *k = s->k + (((int64_t)s->seq[t] * s->context + c) * kv->kv_heads + g) * kv->k_dim;
    double sum = 0.0;
    for (int d = 0; d < kv->k_dim; d++)
        sum += (double)q[d] * (double)k[d];
    sum *= (double)s->a.scale;
    return s->a.softcap > 0.0f ? (double)s->a.softcap * tanh(sum / (double)s->a.softcap) : sum;
}

/* One row by the formula. */
static void exact(const struct scene *s, int32_t t, int32_t h, double *ret_y)
{
    const struct cpu_kv *kv = &s->kv;
    int64_t g = h / (s->H / kv->kv_heads);
    double max = s->a.sink != NULL ? (double)s->sink[h] : -INFINITY, sum;
    for (int32_t c = 0; c < s->context; c++)
        max = sees(s, t, c) ? fmax(max, score(s, t, h, c)) : max;
    sum = s->a.sink != NULL ? exp((double)s->sink[h] - max) : 0.0;
    for (int d = 0; d < kv->v_dim; d++)
        ret_y[d] = 0.0;
    for (int32_t c = 0; c < s->context; c++) {
        double e = sees(s, t, c) ? exp(score(s, t, h, c) - max) : 0.0;
        const float *v = s->v + (((int64_t)s->seq[t] * s->context + c) * kv->kv_heads + g) * kv->v_dim;
        sum += e;
        for (int d = 0; d < kv->v_dim; d++)
            ret_y[d] += e * (double)v[d];
    }
    for (int d = 0; d < kv->v_dim; d++)
        ret_y[d] /= sum;
}

static void check_exact(struct scene *s, const struct cpu_kernels *k)
{
    double want[300], bound = (s->context + s->kv.k_dim + 16) * 0x1p-24 * 2.0 * 4.0; /* |v| < 2; scores up to 4 scale the angle's error */
    store_all(s, k);
    k->attention(&s->a, 0, 2 * s->T, 0, s->kv.kv_heads, s->scratch);
    for (int32_t t = 0; t < 2 * s->T; t++)
        for (int32_t h = 0; h < s->H; h++) {
            exact(s, t, h, want);
            for (int d = 0; d < s->kv.v_dim; d++) {
                double got = (double)s->y[((int64_t)t * s->H + h) * s->kv.v_dim + d];
                ENSURE(fabs(got - want[d]) <= bound, "%s %s context %d T %d: token %d head %d [%d]: %.9g, exactly %.9g",
                              k->level, type_name(s), s->context, s->T, t, h, d, got, want[d]);
            }
        }
}

/* Each alone, then in random ranges of tokens and heads; then all again on other pages. */
static void check_cuts(struct scene *s, const struct cpu_kernels *k)
{
    int64_t row = (int64_t)s->H * s->kv.v_dim, n = 2 * s->T * row, group = row / s->kv.kv_heads;
    float *whole = aligned(n * 4);
    store_all(s, k);
    k->attention(&s->a, 0, 2 * s->T, 0, s->kv.kv_heads, s->scratch);
    memcpy(whole, s->y, (size_t)n * 4);
    for (int i = 0; i < 12; i++) {
        int64_t t0 = i < 2 * s->T && i < 6 ? i : rng_below(2 * s->T), t1 = i < 6 ? t0 + 1 : t0 + 1 + rng_below(2 * s->T - t0);
        int32_t g0 = (int32_t)rng_below(s->kv.kv_heads), g1 = g0 + 1 + (int32_t)rng_below(s->kv.kv_heads - g0);
        memset(s->y, 0xa5, (size_t)n * 4);
        k->attention(&s->a, t0, t1, g0, g1, s->scratch);
        for (int64_t j = 0; j < n; j++) {
            bool inside = j / row >= t0 && j / row < t1 && j % row / group >= g0 && j % row / group < g1;
            ENSURE(bits_of(s->y[j]) == (inside ? bits_of(whole[j]) : 0xa5a5a5a5u),
                          "%s %s context %d: tokens %d..%d heads %d..%d: element %d %s", k->level, type_name(s), s->context, (int)t0,
                          (int)t1, g0, g1, (int)j, inside ? "differs" : "was written");
        }
    }
    place_pages(s);
    store_all(s, k);
    k->attention(&s->a, 0, 2 * s->T, 0, s->kv.kv_heads, s->scratch);
    ENSURE(memcmp(whole, s->y, (size_t)n * 4) == 0, "%s %s: other pages, other bits", k->level, type_name(s));
    free(whole);
}

/* A token decoded when it was the last of the cache has the bits it gets in a prefill. */
static void check_decode(struct scene *s, const struct cpu_kernels *k)
{
    int64_t row = (int64_t)s->H * s->kv.v_dim;
    float *whole = aligned(2 * s->T * row * 4);
    store_all(s, k);
    k->attention(&s->a, 0, 2 * s->T, 0, s->kv.kv_heads, s->scratch);
    memcpy(whole, s->y, (size_t)(2 * s->T * row) * 4);
    for (int32_t t = 0; t < s->T; t++) {
        s->contexts[0] = s->contexts[1] = s->position[t] + 1;
        k->attention(&s->a, t, t + 1, 0, s->kv.kv_heads, s->scratch);
        ENSURE(memcmp(whole + t * row, s->y + t * row, (size_t)row * 4) == 0, "%s %s: token %d", k->level, type_name(s), t);
    }
    s->contexts[0] = s->contexts[1] = s->context;
    free(whole);
}

/* Spans apart and joined give the bits of all at once. */
static void check_parts(struct scene *s, const struct cpu_kernels *k)
{
    int64_t row = (int64_t)s->H * s->kv.v_dim, group = s->H / s->kv.kv_heads, spans = (s->context + CPU_SPAN_TOKENS - 1) / CPU_SPAN_TOKENS;
    int64_t floats = group * cpu_attn_part_floats(s->kv.v_dim);
    float *whole = aligned(2 * s->T * row * 4), *parts = aligned(spans * floats * 4);
    store_all(s, k);
    k->attention(&s->a, 0, 2 * s->T, 0, s->kv.kv_heads, s->scratch);
    memcpy(whole, s->y, (size_t)(2 * s->T * row) * 4);
    memset(s->y, 0xa5, (size_t)(2 * s->T * row) * 4);
    for (int32_t t = 0; t < 2 * s->T; t++)
        for (int32_t g = 0; g < s->kv.kv_heads; g++) {
            memset(parts, 0xa5, (size_t)(spans * floats) * 4);
            for (int64_t span = spans; span-- > 0;)
                k->attention_part(&s->a, t, g, span, parts + span * floats, s->scratch);
            k->attention_join(&s->a, t, g, parts, spans);
        }
    for (int64_t j = 0; j < 2 * s->T * row; j++)
        ENSURE(bits_of(whole[j]) == bits_of(s->y[j]), "%s %s context %d: element %d: %a by spans, %a whole", k->level, type_name(s),
               s->context, (int)j, (double)s->y[j], (double)whole[j]);
    free(whole), free(parts);
}

static const struct shape shapes[] = {
    { 9, 3, 64, 64, 70, 22 },  { 9, 3, 64, 64, 129, 1 }, { 4, 4, 32, 32, 33, 33 },  { 8, 1, 80, 80, 50, 7 },
    { 14, 2, 64, 64, 96, 9 },  { 6, 2, 20, 13, 45, 11 }, { 30, 1, 16, 256, 40, 5 }, { 2, 1, 192, 128, 64, 3 },
    { 2, 2, 5, 40, 31, 31 },   { 6, 2, 64, 64, 600, 3 }, { 4, 1, 32, 72, 513, 2 },    { 5, 1, 192, 96, 70, 3 },
    { 3, 1, 34, 48, 290, 6 },  { 8, 2, 48, 16, 40, 36 },
};
#define SHAPES (int)(sizeof shapes / sizeof shapes[0])

/* Variants of one loop index: shape, cache format, and windows, caps and sinks. */
static void vary(struct scene *s, int i)
{
    begin(s, shapes[i % SHAPES], (enum cpu_kv_type)(i / SHAPES % CPU_KV_TYPE_COUNT));
    switch (i / SHAPES / CPU_KV_TYPE_COUNT) {
    case 1: s->a.window = 17; break;
    case 2: s->a.softcap = 1.5f; s->a.sink = s->sink; break;
    case 3: s->a.causal = false; s->a.window = i % 2 * 17; break;
    case 4: s->a.window = 1; s->a.sink = s->sink; break;
    case 5: s->a.window = 64; s->a.scale = 3.0f; s->a.softcap = 30.0f; break;
    default: break;
    }
}
#define VARIANTS (SHAPES * CPU_KV_TYPE_COUNT * 6)

START_TEST(attention_is_right)
{
    struct scene s;
    if (left_out())
        return;
    vary(&s, _i);
    if (s.a.scale < 1.0f || s.a.softcap == 0.0f) /* scores of 30 and more sharpen every rounding */
        FOR_LEVELS(k)
            check_exact(&s, k);
    end(&s);
}
END_TEST

START_TEST(bits_do_not_depend_on_the_batch)
{
    struct scene s;
    if (left_out())
        return;
    vary(&s, _i);
    FOR_LEVELS(k) {
        check_cuts(&s, k);
        check_parts(&s, k);
        if (s.a.causal)
            check_decode(&s, k);
    }
    end(&s);
}
END_TEST

START_TEST(bad_queries_spoil_their_row_only)
{
    static const float bad[] = { NAN, INFINITY };
    struct scene s;
    begin(&s, shapes[0], (enum cpu_kv_type)_i);
    int64_t row = s.kv.v_dim, n = 2 * s.T * s.H * row;
    float *before = aligned(n * 4);
    FOR_LEVELS(k)
        for (int i = 0; i < 2; i++) {
            int64_t at = rng_below(2 * s.T * s.H);
            float kept = s.q[at * s.kv.k_dim + 5];
            store_all(&s, k);
            k->attention(&s.a, 0, 2 * s.T, 0, s.kv.kv_heads, s.scratch);
            memcpy(before, s.y, (size_t)n * 4);
            s.q[at * s.kv.k_dim + 5] = bad[i];
            k->attention(&s.a, 0, 2 * s.T, 0, s.kv.kv_heads, s.scratch);
            for (int64_t j = 0; j < n; j++)
                if (j / row == at)
                    ENSURE(s.y[j] != s.y[j], "%s: %g in q gave %g", k->level, (double)bad[i], (double)s.y[j]);
                else
                    ENSURE(bits_of(s.y[j]) == bits_of(before[j]), "%s: another row changed", k->level);
            s.q[at * s.kv.k_dim + 5] = kept;
        }
    free(before);
    end(&s);
}
END_TEST

/* A position of the first sequence that some of its queries see and some do not, in the second kv head: element `at` of what k or v
 * holds of it. */
static int64_t poisoned(const struct scene *s, int64_t dim, int64_t at)
{
    return ((int64_t)(s->context - s->T / 2) * s->kv.kv_heads + 1) * dim + at;
}

/* Rows that see a bad value have it, those that do not have the bits of before, however they are cut. */
static void check_bad_value(struct scene *s, const struct cpu_kernels *k, bool key, float bad, const float *before)
{
    const int64_t dim = s->kv.v_dim, group = s->H / s->kv.kv_heads;
    float *x = key ? s->k + poisoned(s, s->kv.k_dim, 5) : s->v + poisoned(s, dim, 5), kept = *x;
    *x = bad;
    store_all(s, k);
    k->attention(&s->a, 0, 2 * s->T, 0, s->kv.kv_heads, s->scratch);
    for (int64_t j = 0; j < 2 * s->T * s->H * dim; j++) {
        int64_t t = j / dim / s->H, h = j / dim % s->H, d = j % dim;
        bool sees = t < s->T && h / group == 1 && s->position[t] >= s->context - s->T / 2;
        bool spoilt = sees && (key || d == 5 || (s->kv.type == CPU_KV_Q8 && d < CPU_KV_BLOCK));
        if (spoilt)
            ENSURE(!isfinite(s->y[j]), "%s %s: %g in %s gave %g", k->level, type_name(s), (double)bad, key ? "k" : "v", (double)s->y[j]);
        else if (sees)
            ENSURE(fabsf(s->y[j] - before[j]) < 1e-4f, "%s %s: %g for %g", k->level, type_name(s), (double)s->y[j], (double)before[j]);
        else
            ENSURE(bits_of(s->y[j]) == bits_of(before[j]), "%s %s: a row that sees nothing of it changed", k->level, type_name(s));
    }
    check_cuts(s, k);
    check_decode(s, k);
    check_parts(s, k);
    *x = kept;
}

START_TEST(bad_values_spoil_who_sees_them)
{
    static const struct shape shape = { 6, 2, 64, 48, 70, 16 };
    struct scene s;
    if (left_out())
        return;
    begin(&s, shape, (enum cpu_kv_type)(_i % CPU_KV_TYPE_COUNT));
    s.a.window = _i / CPU_KV_TYPE_COUNT * 35;
    int64_t n = 2 * s.T * s.H * s.kv.v_dim;
    float *before = aligned(n * 4);
    FOR_LEVELS(k) {
        store_all(&s, k);
        k->attention(&s.a, 0, 2 * s.T, 0, s.kv.kv_heads, s.scratch);
        memcpy(before, s.y, (size_t)n * 4);
        check_bad_value(&s, k, false, NAN, before);
        check_bad_value(&s, k, false, INFINITY, before);
        check_bad_value(&s, k, true, NAN, before);
    }
    free(before);
    end(&s);
}
END_TEST

START_TEST(absent_pages_are_not_seen)
{
    static const struct shape shape = { 6, 2, 32, 16, 500, 2 };
    struct scene s;
    if (left_out())
        return;
    begin(&s, shape, (enum cpu_kv_type)(_i % CPU_KV_TYPE_COUNT));
    s.a.softcap = _i / CPU_KV_TYPE_COUNT == 0 ? 0.0f : 1.5f; /* which must not cap what hides them */
    for (int64_t i = 0; i < 2 * s.P; i++)
        s.table[i] = i % s.P == s.P - 1 || rng_below(2) == 0 ? s.table[i] : -1;
    FOR_LEVELS(k)
        check_exact(&s, k);
    end(&s);
}
END_TEST

/* All that is seen of the first span is NaN: it stays, whatever later spans hold. */
START_TEST(a_span_of_nan_stays)
{
    static const struct shape shape = { 6, 2, 64, 80, 300, 1 };
    struct scene s;
    begin(&s, shape, (enum cpu_kv_type)_i);
    s.a.window = 300 - CPU_SPAN_TOKENS + 1;
    s.k[((CPU_SPAN_TOKENS - 1) * s.kv.kv_heads + 1) * s.kv.k_dim + 5] = NAN;
    FOR_LEVELS(k) {
        store_all(&s, k);
        k->attention(&s.a, 0, 1, 0, s.kv.kv_heads, s.scratch);
        for (int64_t i = 0; i < s.H * s.kv.v_dim; i++)
            ENSURE((s.y[i] != s.y[i]) == (i >= s.H * s.kv.v_dim / 2), "%s %s: element %d: %g", k->level, type_name(&s), (int)i,
                   (double)s.y[i]);
        check_parts(&s, k);
    }
    end(&s);
}
END_TEST

START_TEST(nothing_visible_gives_zeros)
{
    struct scene s;
    begin(&s, shapes[5], CPU_KV_F32);
    FOR_LEVELS(k) {
        store_all(&s, k);
        s.contexts[0] = s.contexts[1] = 0;
        k->attention(&s.a, 0, 2 * s.T, 0, s.kv.kv_heads, s.scratch);
        for (int64_t i = 0; i < 2 * s.T * s.H * s.kv.v_dim; i++)
            ENSURE_THAT(s.y[i] == 0.0f);
        s.contexts[0] = s.contexts[1] = s.context;
    }
    for (int64_t i = 0; i < 2 * s.P; i++)
        s.table[i] = -1; /* absent pages: a window has passed them */
    FOR_LEVELS(k) {
        k->attention(&s.a, 0, 2 * s.T, 0, s.kv.kv_heads, s.scratch);
        for (int64_t i = 0; i < 2 * s.T * s.H * s.kv.v_dim; i++)
            ENSURE_THAT(s.y[i] == 0.0f);
    }
    end(&s);
}
END_TEST

/* ---- pages */

/* Element i of exported keys or values; `plain` converts. */
static float canonical(const struct cpu_kv *kv, const struct cpu_kernels *plain, const uint8_t *bytes, int64_t i)
{
    const uint8_t *block = bytes + i / CPU_KV_BLOCK * (CPU_KV_BLOCK + 2);
    uint16_t h;
    float x;
    if (kv->type == CPU_KV_F32) {
        memcpy(&x, bytes + i * 4, 4);
        return x;
    }
    memcpy(&h, kv->type == CPU_KV_Q8 ? block : bytes + i * 2, 2);
    if (kv->type == CPU_KV_BF16)
        plain->bf16_to_f32(&h, 1, &x);
    else
        plain->f16_to_f32(&h, 1, &x);
    return kv->type == CPU_KV_Q8 ? (float)(int8_t)block[2 + i % CPU_KV_BLOCK] * x : x;
}

START_TEST(pages_return_what_was_stored)
{
    struct scene s;
    begin(&s, shapes[5], (enum cpu_kv_type)_i);
    int64_t kn = (int64_t)s.kv.kv_heads * s.kv.k_dim, vn = (int64_t)s.kv.kv_heads * s.kv.v_dim;
    float *k_row = aligned(kn * 4), *v_row = aligned(vn * 4);
    uint8_t *first = aligned(s.kv.page_stride * s.pages), *canon = aligned(cpu_kv_page_bytes(&s.kv));
    FOR_LEVELS(k) {
        store_all(&s, k);
        k->kv_store(&s.kv, s.k, s.v, -1, 0, s.kv.kv_heads); /* skipped */
        if (k == level_at(0))
            memcpy(first, s.kv.pages, (size_t)(s.kv.page_stride * s.pages));
        ck_assert_mem_eq(first, s.kv.pages, (size_t)(s.kv.page_stride * s.pages));
        for (int32_t c = 0; c < s.context; c++) {
            int64_t slot = (int64_t)s.table[c / CPU_PAGE_TOKENS] * CPU_PAGE_TOKENS + c % CPU_PAGE_TOKENS;
            k->kv_load(&s.kv, slot, k_row, v_row);
            ck_assert_mem_eq(k_row, s.k + c * kn, (size_t)kn * 4);
            ck_assert_mem_eq(v_row, s.v + c * vn, (size_t)vn * 4);
        }
    }
    /* export is canonical: token 3's first key elements follow one another; import undoes it */
    cpu_kv_export(&s.kv, s.table[0], canon);
    for (int64_t i = 0; i < kn; i++)
        ENSURE_THAT(canonical(&s.kv, level_at(0), canon, 3 * kn + i) == s.k[3 * kn + i]);
    for (int64_t i = 0; i < vn; i++)
        ENSURE_THAT(canonical(&s.kv, level_at(0), canon + cpu_kv_bytes(&s.kv, CPU_PAGE_TOKENS * kn), 3 * vn + i) == s.v[3 * vn + i]);
    memset(s.kv.pages + s.table[0] * s.kv.page_stride, 0, (size_t)cpu_kv_page_bytes(&s.kv));
    cpu_kv_import(&s.kv, s.table[0], canon);
    ck_assert_mem_eq(first, s.kv.pages, (size_t)(s.kv.page_stride * s.pages));
    free(k_row), free(v_row), free(first), free(canon);
    end(&s);
}
END_TEST

/* Such a block is NaN, its neighbours are not; the largest that fits and the least are kept. */
START_TEST(q8_of_what_is_no_number)
{
    static const float in[] = { NAN, INFINITY, -INFINITY, 1e7f, 8e6f, 1e-6f, 1e-9f };
    struct scene s;
    begin(&s, shapes[0], CPU_KV_Q8);
    int64_t kn = (int64_t)s.kv.kv_heads * s.kv.k_dim, vn = (int64_t)s.kv.kv_heads * s.kv.v_dim;
    float *k = aligned(kn * 4), *v = aligned(vn * 4), *k_got = aligned(kn * 4), *v_got = aligned(vn * 4);
    FOR_LEVELS(level)
        for (int i = 0; i < (int)(sizeof in / sizeof *in); i++) {
            for (int64_t d = 0; d < kn; d++)
                k[d] = v[d] = d / CPU_KV_BLOCK == 2 ? 0.0f : 1.0f;
            k[2 * CPU_KV_BLOCK + 7] = v[2 * CPU_KV_BLOCK + 7] = in[i];
            level->kv_store(&s.kv, k, v, 5, 0, s.kv.kv_heads);
            level->kv_load(&s.kv, 5, k_got, v_got);
            ck_assert_mem_eq(k_got, v_got, (size_t)kn * 4);
            for (int64_t d = 0; d < kn; d++)
                if (d / CPU_KV_BLOCK != 2)
                    ENSURE(fabsf(k_got[d] - 1.0f) < 1e-3f, "%s: element %d: %g", level->level, (int)d, (double)k_got[d]);
                else if (i < 4)
                    ENSURE(k_got[d] != k_got[d], "%s: %g gave %g", level->level, (double)in[i], (double)k_got[d]);
                else
                    ENSURE(fabsf(k_got[d] - k[d]) <= 0.002f * fabsf(k[d]) + 5e-6f, "%s: %g gave %g", level->level,
                           (double)k[d], (double)k_got[d]);
        }
    free(k), free(v), free(k_got), free(v_got);
    end(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_attention");
    TCase *tc = tcase_create("attention");
    seed_tests("kernel_attention");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, attention_is_right, 0, VARIANTS);
    tcase_add_loop_test(tc, bits_do_not_depend_on_the_batch, 0, VARIANTS);
    tcase_add_loop_test(tc, bad_queries_spoil_their_row_only, 0, CPU_KV_TYPE_COUNT);
    tcase_add_loop_test(tc, bad_values_spoil_who_sees_them, 0, 2 * CPU_KV_TYPE_COUNT);
    tcase_add_loop_test(tc, absent_pages_are_not_seen, 0, 2 * CPU_KV_TYPE_COUNT);
    tcase_add_loop_test(tc, a_span_of_nan_stays, 0, CPU_KV_TYPE_COUNT);
    tcase_add_test(tc, nothing_visible_gives_zeros);
    tcase_add_loop_test(tc, pages_return_what_was_stored, 0, CPU_KV_TYPE_COUNT);
    tcase_add_test(tc, q8_of_what_is_no_number);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
