/* attend.c - steps of attention: angles and the cache first, then tiles of tokens, or spans of keys where tokens are few. One
 * token that sees few keys is each thread's by heads, from angles to results.
 * Contract: walk.h. */
#include "kernels/visible.h"
#include "walk.h"

static void rope_token(const struct walker *w, int32_t rope, int64_t t, int32_t heads, int32_t dim, float *x)
{
    if (rope < 0)
        return;
    const struct cpu_rope_use *r = &w->exe->ropes[rope];
    int64_t half = r->rope.n_rot / 2, tokens = w->run->dims.sym[TENON_SYM_T];
    const float *cos = (const float *)(const void *)(w->run->scratch + r->table_offset), *sin = cos + tokens * half;
    w->k->rope(&r->rope, cos + t * half, sin + t * half, heads, dim, x);
}

uint8_t *cpu_layer_state(const struct walker *w, const struct cpu_step *s)
{
    uint32_t state = value(w, s->state)->index;
    const int32_t *map = w->exe->states[state].layer_map;
    int32_t l = map != NULL && w->layer >= 0 ? map[w->layer] : w->layer;
    uint64_t instance = l < 0 ? 0 : (uint64_t)l;
    return w->run->states[state] + instance * w->run->state_pages[state] * w->exe->layouts[state].page_bytes;
}

struct cpu_kv cpu_layer_kv(const struct walker *w, const struct cpu_step *s)
{
    struct cpu_kv kv = w->exe->kvs[value(w, s->state)->index];
    kv.pages = cpu_layer_state(w, s);
    return kv;
}

/* Heads g0..g1 of keys and values of token t, and those that read them: angles of q and k, keys and values to the cache. */
static void prepare_heads(const struct walker *w, const struct cpu_step *s, const struct cpu_kv *kv, int64_t t, int32_t g0,
                          int32_t g1)
{
    const int32_t *slot = at(w, s->slot), group = s->heads / s->kv_heads;
    float *q = (float *)at(w, s->x) + t * s->heads * s->k_dim, *k = (float *)at(w, s->k) + t * s->kv_heads * s->k_dim;
    const float *v = (const float *)at(w, s->v) + t * s->kv_heads * s->v_dim;
    rope_token(w, s->rope_q, t, (g1 - g0) * group, s->k_dim, q + g0 * group * s->k_dim);
    rope_token(w, s->rope_k, t, g1 - g0, s->k_dim, k + g0 * s->k_dim);
    w->k->kv_store(kv, k, v, slot[t], g0, g1);
}

static void prepare_attention(const struct walker *w, const struct cpu_step *s, const struct cpu_kv *kv, int64_t tokens)
{
    int64_t i, end;
    share(w, tokens * s->kv_heads, &i, &end);
    while (i < end) {
        int64_t t = i / s->kv_heads, g0 = i % s->kv_heads, left = end - i, g1 = g0 + left < s->kv_heads ? g0 + left : s->kv_heads;
        prepare_heads(w, s, kv, t, (int32_t)g0, (int32_t)g1);
        i += g1 - g0;
    }
    barrier(w);
}

static void *attention_scratch(const struct walker *w)
{
    return w->own + w->exe->thread_act_bytes + CPU_MATMUL_SCRATCH;
}

/* Tasks are tiles of tokens x kv heads, each of as many rows as the kernel takes together; few tokens make small tiles, so that
 * every thread has some. */
static void attend_tiles(const struct walker *w, const struct cpu_attn *a, int64_t tokens)
{
    int64_t heads = a->kv->kv_heads, group = a->n_heads / heads, task;
    int64_t size = group < w->k->attention_rows ? w->k->attention_rows / group : 1;
    while (size > 1 && (tokens + size - 1) / size * heads < 4 * (int64_t)w->n)
        size /= 2;
    int64_t tiles = (tokens + size - 1) / size, tasks = tiles * heads;
    while ((task = next_task(w, tasks)) < tasks) {
        int64_t tile = tiles - 1 - task / heads; /* late tokens see most keys: long tasks first */
        int32_t g = (int32_t)(task % heads);
        w->k->attention(a, tile * size, (tile + 1) * size < tokens ? (tile + 1) * size : tokens, g, g + 1, attention_scratch(w));
    }
}

/* Spans of keys that token t sees: first .. *ret_end. */
static int64_t spans_of(const struct cpu_attn *a, int64_t t, int64_t *ret_end)
{
    struct cpu_visible see = cpu_visible(a, t);
    int64_t first = see.first / CPU_SPAN_TOKENS, end = (see.end + CPU_SPAN_TOKENS - 1) / CPU_SPAN_TOKENS;
    *ret_end = end > first ? end : first;
    return first;
}

/* One token that sees no more than a span: what is to be done is less than to meet. */
static bool is_short(const struct cpu_attn *a, int64_t tokens)
{
    int64_t end, first = tokens == 1 ? spans_of(a, 0, &end) : 0;
    return tokens == 1 && end - first <= 1;
}

static void attend_heads(const struct walker *w, const struct cpu_step *s, const struct cpu_attn *a)
{
    int64_t g0, g1;
    share(w, s->kv_heads, &g0, &g1);
    if (g0 == g1)
        return;
    prepare_heads(w, s, a->kv, 0, (int32_t)g0, (int32_t)g1);
    w->k->attention(a, 0, 1, (int32_t)g0, (int32_t)g1, attention_scratch(w));
}

/* The most spans that a token sees; 0 when attention is better not split over keys. */
static int64_t spans_to_split(const struct walker *w, const struct cpu_attn *a, int64_t tokens)
{
    int64_t most = 0, end, heads = a->kv->kv_heads;
    if (w->n == 1 || tokens > CPU_SPLIT_TOKENS || tokens * heads >= 4 * (int64_t)w->n)
        return 0;
    for (int64_t t = 0; t < tokens; t++) {
        int64_t first = spans_of(a, t, &end);
        most = end - first > most ? end - first : most;
    }
    uint64_t bytes = (uint64_t)(tokens * a->n_heads * most * cpu_attn_part_floats(a->kv->v_dim)) * sizeof(float);
    return most < 2 || bytes > w->exe->parts_bytes ? 0 : most;
}

/* Tasks are tokens x kv heads x spans; who ends the last span of a token and head joins them. */
static void attend_spans(const struct walker *w, const struct cpu_attn *a, int64_t tokens, int64_t spans)
{
    int64_t heads = a->kv->kv_heads, tasks = tokens * heads * spans, task, end;
    int64_t floats = a->n_heads / heads * cpu_attn_part_floats(a->kv->v_dim);
    float *parts = (float *)(void *)(w->run->scratch + w->exe->parts_offset); /* [tokens, kv heads, spans, floats] */
    while ((task = next_task(w, tasks)) < tasks) {
        int64_t row = task / spans, t = row / heads, first = spans_of(a, t, &end), span = first + task % spans;
        int32_t g = (int32_t)(row % heads);
        atomic_uint *ended = &w->run->tickets[(uint64_t)w->exe->n_tickets * w->n + row];
        if (span < end)
            w->k->attention_part(a, t, g, span, parts + task * floats, attention_scratch(w));
        if (atomic_fetch_add_explicit(ended, 1u, memory_order_acq_rel) + 1 < (unsigned)spans)
            continue;
        w->k->attention_join(a, t, g, parts + row * spans * floats, end - first);
        atomic_store_explicit(ended, 0u, memory_order_relaxed); /* for the next layer, behind this step's barrier */
    }
}

void cpu_run_attention(const struct walker *w, const struct cpu_step *s)
{
    int64_t tokens = w->run->dims.sym[TENON_SYM_T];
    struct cpu_kv kv = cpu_layer_kv(w, s);
    struct cpu_attn a = {
        .q = at(w, s->x), .y = at(w, s->out), .ldq = (int64_t)s->heads * s->k_dim, .ldy = (int64_t)s->heads * s->v_dim, .kv = &kv,
        .block_table = at(w, s->block_table), .table_stride = w->run->dims.sym[TENON_SYM_P],
        .position = at(w, s->position), .seq_of_token = at(w, s->seq_of_token), .context_len = at(w, s->context_len),
        .sink = vector(w, s->sink), .n_heads = s->heads, .scale = s->attn_scale, .softcap = s->softcap, .window = s->window,
        .causal = s->causal,
    };
    if (w->time != NULL)
        cpu_profile_attention(w->time, &a, tokens);
    if (is_short(&a, tokens)) {
        attend_heads(w, s, &a);
        return;
    }
    prepare_attention(w, s, &kv, tokens);
    int64_t spans = spans_to_split(w, &a, tokens);
    if (spans > 0)
        attend_spans(w, &a, tokens, spans);
    else
        attend_tiles(w, &a, tokens);
}
