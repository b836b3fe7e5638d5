/* run.c - walks a compiled plan with all threads of a region at once.
 *
 * Every thread passes through the same steps in the same order. Within a step each thread draws tasks from a range of its own by
 * tickets, then from the others' ranges, so a thread that is held up does less; which thread computes a row changes no bit of
 * it. Each step ends at a barrier. */
#include "generic.h"
#include "kernels/visible.h"

/* One thread on its way through the plan. */
struct walker {
    struct cpu_run *run;
    const struct tenon_executable *exe;
    const struct cpu_kernels *k;
    const struct tenon_threads *threads;
    uint32_t i, n;      /* this thread, all threads */
    uint32_t ticket;    /* counters of the current step */
    uint32_t *turn;     /* whose tasks are drawn: one's own at 0, then those of the threads behind */
    uint32_t instance;  /* block instance, picks the side of the carry */
    int32_t layer;
    uint8_t *own;       /* thread_bytes */
    struct cpu_step_time *time; /* of the present step; NULL: nobody asked, or another thread counts */
};

static void barrier(const struct walker *w)
{
    if (w->n > 1)
        w->threads->barrier(w->threads->ctx);
}

/* Tasks first .. end of `total` are thread i's. */
static int64_t range_of(const struct walker *w, uint32_t i, int64_t total)
{
    return total * i / w->n;
}

/* The next of `total` tasks of this step, or total when none is left. */
static int64_t next_task(const struct walker *w, int64_t total)
{
    for (; *w->turn < w->n; (*w->turn)++) {
        uint32_t of = (w->i + *w->turn) % w->n;
        atomic_uint *ticket = &w->run->tickets[(uint64_t)of * w->exe->n_tickets + w->ticket];
        int64_t t = range_of(w, of, total) + (int64_t)atomic_fetch_add_explicit(ticket, 1u, memory_order_relaxed);
        if (t < range_of(w, of + 1, total))
            return t;
    }
    return total;
}

static const struct tenon_value *value(const struct walker *w, uint32_t v)
{
    return tenon_graph_value(w->exe->graph, v);
}

static void *at(const struct walker *w, uint32_t v)
{
    const struct cpu_home *h = &w->exe->homes[cpu_root(w->exe, v)];
    switch (h->place) {
    case CPU_PLACE_SCRATCH: return w->run->scratch + h->offset;
    case CPU_PLACE_CARRY: return w->run->scratch + w->exe->carry_offset[w->instance & 1][h->index];
    case CPU_PLACE_ARG: return w->run->scratch + w->exe->carry_offset[(w->instance & 1) ^ 1][h->index];
    case CPU_PLACE_INPUT: return w->run->inputs[h->index];
    case CPU_PLACE_OUTPUT: return w->run->outputs[h->index];
    default: return NULL;
    }
}

static const struct cpu_weight *weight(const struct walker *w, uint32_t v)
{
    uint32_t layer = value(w, v)->layered ? (uint32_t)w->layer : 0;
    return &w->exe->weights[w->exe->weight_base[v] + layer];
}

static const float *vector(const struct walker *w, uint32_t v)
{
    return v == TENON_NO_VALUE ? NULL : weight(w, v)->f32;
}

/* Rows of [0, total) for this thread when the work is even: r0..r1. */
static void share(const struct walker *w, int64_t total, int64_t *r0, int64_t *r1)
{
    *r0 = total * w->i / w->n;
    *r1 = total * (w->i + 1) / w->n;
}

/* ---- gather ---- */

static void gather_row(const struct walker *w, const struct cpu_step *s, int64_t index, int64_t cols, float *y)
{
    const struct tenon_value *table = value(w, s->x);
    bool is_weight = table->kind == TENON_VALUE_WEIGHT;
    int64_t rows = is_weight ? weight(w, s->x)->m.rows : tenon_dim_value(&table->dims[0], &w->run->dims);
    if (index < 0 || index >= rows) {
        memset(y, 0, (size_t)cols * sizeof *y);
        return;
    }
    if (is_weight) {
        const struct cpu_matrix *m = &weight(w, s->x)->m;
        cpu_matrix_row(m, index, y);
    } else {
        memcpy(y, (const float *)at(w, s->x) + index * cols, (size_t)cols * sizeof *y);
    }
    if (s->scale != 1.0f)
        w->k->affine(y, s->scale, 0.0f, cols, y);
}

static void run_gather(const struct walker *w, const struct cpu_step *s)
{
    const int32_t *index = at(w, s->b);
    int64_t n = cpu_elements(value(w, s->b), &w->run->dims), r0, r1;
    int64_t cols = n != 0 ? cpu_elements(value(w, s->out), &w->run->dims) / n : 0;
    share(w, n, &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        gather_row(w, s, index[r], cols, (float *)at(w, s->out) + r * cols);
}

/* ---- matmul ---- */

/* Rows r0..r1 of the step's input made ready: norm, then 16-bit blocks, row by row so that a row stays in L1. */
static void prepare_rows(const struct walker *w, const struct cpu_step *s, const struct cpu_act *raw, const struct cpu_act *a,
                         float *normed, int64_t r0, int64_t r1)
{
    const float *norm_w = s->norm.on ? vector(w, s->norm.w) : NULL;
    for (int64_t r = r0; r < r1; r++) {
        if (s->norm.on)
            w->k->rms_norm(raw->x + r * raw->ldx, norm_w, raw->K, s->norm.eps, normed + r * raw->K);
        if (s->quantised)
            w->k->quantize(a, r, r + 1);
    }
}

/* The step's input as the kernels want it. Few rows: each thread for itself, which costs less than meeting the others. */
static struct cpu_act prepare(const struct walker *w, const struct cpu_step *s, int64_t rows, int64_t cols)
{
    const struct tenon_executable *exe = w->exe;
    uint32_t x = s->norm.on ? s->norm.x : s->x;
    struct cpu_act raw = { .x = x == TENON_NO_VALUE ? (const float *)(const void *)(w->run->scratch + s->hidden_offset) : at(w, x),
                           .ldx = cols, .K = cols };
    bool few = rows <= CPU_SMALL_ROWS;
    uint8_t *memory = few ? w->own : w->run->scratch + exe->shared_act_offset;
    uint64_t x_bytes = few ? (CPU_SMALL_ROWS * exe->max_k * sizeof(float) + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN : exe->act_x_bytes;
    float *normed = (float *)(void *)memory;
    struct cpu_act a = raw;
    int64_t r0 = 0, r1 = rows;
    if (s->norm.on)
        a.x = normed;
    if (s->quantised)
        cpu_act_bind(&a, memory + x_bytes, rows, cols);
    if (!s->norm.on && !s->quantised)
        return a;
    if (!few)
        share(w, rows, &r0, &r1);
    prepare_rows(w, s, &raw, &a, normed, r0, r1);
    if (!few)
        barrier(w);
    return a;
}

/* y[t * ldy + n] for all rows of a and n0 <= n < n1. */
static void product(const struct walker *w, uint32_t weight_value, uint32_t bias_value, const struct cpu_act *a, int64_t rows, int64_t n0,
                    int64_t n1, float *y, int64_t ldy)
{
    w->k->matmul(&weight(w, weight_value)->m, a, 0, rows, n0, n1, y, ldy, vector(w, bias_value), w->own + w->exe->thread_act_bytes);
}

/* Rows n0..n1 of all weights of the gate for all tokens: hidden = kind(gate) * up. */
static void gated_chunk(const struct walker *w, const struct cpu_step *s, const struct cpu_act *a, int64_t rows, int64_t n0, int64_t n1)
{
    int64_t n = weight(w, s->w[0])->m.rows;
    float *hidden = (float *)(void *)(w->run->scratch + s->hidden_offset), *up = (float *)(void *)(w->run->scratch + s->gate_offset);
    product(w, s->w[0], s->bias[0], a, rows, n0, n1, hidden, n);
    if (s->n > 1)
        product(w, s->w[1], s->bias[1], a, rows, n0, n1, up, n);
    for (int64_t r = 0; r < rows; r++) {
        float *y = hidden + r * n + n0;
        if (s->n > 1)
            w->k->unary_mul((enum cpu_unary)s->unary, y, up + r * n + n0, n1 - n0, y);
        else
            w->k->unary((enum cpu_unary)s->unary, y, n1 - n0, y);
    }
}

static void plain_chunk(const struct walker *w, const struct cpu_step *s, uint32_t j, const struct cpu_act *a, int64_t rows, int64_t n0,
                        int64_t n1)
{
    const struct cpu_matrix *m = &weight(w, s->w[j])->m;
    float *y = at(w, s->outs[j]);
    product(w, s->w[j], s->bias[j], a, rows, n0, n1, y, m->rows);
    if (s->b == TENON_NO_VALUE)
        return;
    const float *residual = at(w, s->b);
    for (int64_t r = 0; r < rows; r++)
        w->k->add(residual + r * m->rows + n0, y + r * m->rows + n0, n1 - n0, y + r * m->rows + n0);
}

/* How the rows of a step's weights are cut into tasks. */
struct cut {
    uint32_t n;            /* weights one after the other; a gate's second goes with its first */
    int64_t chunk, tasks;  /* rows of a task, tasks in all */
};

/* Enough tasks that threads end together, each worth its ticket. */
static struct cut cut_of(const struct walker *w, const struct cpu_step *s)
{
    struct cut c = { .n = s->gated ? 1 : s->n };
    int64_t all = 0;
    for (uint32_t j = 0; j < c.n; j++)
        all += weight(w, s->w[j])->m.rows;
    c.chunk = all / (8 * (int64_t)w->n) / CPU_PANEL_ROWS * CPU_PANEL_ROWS;
    c.chunk = c.chunk > CPU_CHUNK_ROWS ? CPU_CHUNK_ROWS : c.chunk < CPU_PANEL_ROWS ? CPU_PANEL_ROWS : c.chunk;
    for (uint32_t j = 0; j < c.n; j++)
        c.tasks += (weight(w, s->w[j])->m.rows + c.chunk - 1) / c.chunk;
    return c;
}

/* The weight of a task, and its first row. */
static uint32_t weight_of_task(const struct walker *w, const struct cpu_step *s, const struct cut *c, int64_t task, int64_t *ret_row)
{
    for (uint32_t j = 0;; j++) {
        int64_t tasks = (weight(w, s->w[j])->m.rows + c->chunk - 1) / c->chunk;
        if (task < tasks) {
            *ret_row = task * c->chunk;
            return j;
        }
        task -= tasks;
    }
}

static void run_matmul(const struct walker *w, const struct cpu_step *s)
{
    int64_t rows = cpu_rows(value(w, s->gated ? s->x : s->outs[0]), &w->run->dims), task, n0;
    if (rows == 0)
        return;
    struct cpu_act a = prepare(w, s, rows, weight(w, s->w[0])->m.cols);
    struct cut c = cut_of(w, s);
    for (uint32_t j = 0; w->time != NULL && j < s->n; j++)
        cpu_profile_matmul(w->time, &weight(w, s->w[j])->m, rows);
    while ((task = next_task(w, c.tasks)) < c.tasks) {
        uint32_t j = weight_of_task(w, s, &c, task, &n0);
        int64_t m_rows = weight(w, s->w[j])->m.rows, n1 = n0 + c.chunk < m_rows ? n0 + c.chunk : m_rows;
        if (s->gated)
            gated_chunk(w, s, &a, rows, n0, n1);
        else
            plain_chunk(w, s, j, &a, rows, n0, n1);
    }
}

#define WARM_BYTES 8192 /* what the loads in flight of a core cover */

/* Have the first weights of this thread's tasks in step s, of block instance `instance`, on their way before the barrier. */
static void warm(const struct walker *w, const struct cpu_step *s, uint32_t instance)
{
    struct walker then = *w;
    int64_t n0;
    if (s->kind != CPU_STEP_MATMUL || w->run->dims.sym[TENON_SYM_T] > CPU_SMALL_ROWS)
        return;
    then.layer = w->exe->graph->order[instance].layer;
    struct cut c = cut_of(&then, s);
    if (range_of(w, w->i, c.tasks) == range_of(w, w->i + 1, c.tasks))
        return;
    const struct cpu_matrix *m = &weight(&then, s->w[weight_of_task(&then, s, &c, range_of(w, w->i, c.tasks), &n0)])->m;
    const uint8_t *p = m->data + n0 * m->row_bytes;
    int64_t bytes = (m->rows - n0) * m->row_bytes;
    for (int64_t i = 0; i < bytes && i < WARM_BYTES; i += 64)
        __builtin_prefetch(p + i);
}

/* ---- attention ---- */

static void rope_token(const struct walker *w, int32_t rope, int64_t t, int32_t heads, int32_t dim, float *x)
{
    if (rope < 0)
        return;
    const struct cpu_rope_use *r = &w->exe->ropes[rope];
    int64_t half = r->rope.n_rot / 2, tokens = w->run->dims.sym[TENON_SYM_T];
    const float *cos = (const float *)(const void *)(w->run->scratch + r->table_offset), *sin = cos + tokens * half;
    w->k->rope(&r->rope, cos + t * half, sin + t * half, heads, dim, x);
}

/* Where the pages or slots of this layer begin. */
static uint8_t *layer_state(const struct walker *w, const struct cpu_step *s)
{
    uint32_t state = value(w, s->state)->index;
    const int32_t *map = w->exe->states[state].layer_map;
    int32_t l = map != NULL && w->layer >= 0 ? map[w->layer] : w->layer;
    uint64_t instance = l < 0 ? 0 : (uint64_t)l;
    return w->run->states[state] + instance * w->run->state_pages[state] * w->exe->layouts[state].page_bytes;
}

static struct cpu_kv layer_kv(const struct walker *w, const struct cpu_step *s)
{
    struct cpu_kv kv = w->exe->kvs[value(w, s->state)->index];
    kv.pages = layer_state(w, s);
    return kv;
}

#define TILE_TOKENS 16 /* most query tokens per attention task */

/* Angles of q and k, keys and values to the cache. */
static void prepare_attention(const struct walker *w, const struct cpu_step *s, const struct cpu_kv *kv, int64_t tokens)
{
    int64_t ldq = (int64_t)s->heads * s->k_dim, ldk = (int64_t)s->kv_heads * s->k_dim, ldv = (int64_t)s->kv_heads * s->v_dim, t0, t1;
    float *q = at(w, s->x), *k = at(w, s->k), *v = at(w, s->v);
    const int32_t *slot = at(w, s->slot);
    share(w, tokens, &t0, &t1);
    for (int64_t t = t0; t < t1; t++) {
        rope_token(w, s->rope_q, t, s->heads, s->k_dim, q + t * ldq);
        rope_token(w, s->rope_k, t, s->kv_heads, s->k_dim, k + t * ldk);
        w->k->kv_store(kv, k + t * ldk, v + t * ldv, slot[t]);
    }
    barrier(w);
}

static void *attention_scratch(const struct walker *w)
{
    return w->own + w->exe->thread_act_bytes + CPU_MATMUL_SCRATCH;
}

/* Tasks are tiles of tokens x kv heads; few tokens make small tiles, so that every thread has some. */
static void attend_tiles(const struct walker *w, const struct cpu_attn *a, int64_t tokens)
{
    int64_t heads = a->kv->kv_heads, size = TILE_TOKENS, task;
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

static void run_attention(const struct walker *w, const struct cpu_step *s)
{
    int64_t tokens = w->run->dims.sym[TENON_SYM_T];
    struct cpu_kv kv = layer_kv(w, s);
    struct cpu_attn a = {
        .q = at(w, s->x), .y = at(w, s->out), .ldq = (int64_t)s->heads * s->k_dim, .ldy = (int64_t)s->heads * s->v_dim, .kv = &kv,
        .block_table = at(w, s->block_table), .table_stride = w->run->dims.sym[TENON_SYM_P],
        .position = at(w, s->position), .seq_of_token = at(w, s->seq_of_token), .context_len = at(w, s->context_len),
        .sink = vector(w, s->sink), .n_heads = s->heads, .scale = s->attn_scale, .softcap = s->softcap, .window = s->window,
        .causal = s->causal,
    };
    prepare_attention(w, s, &kv, tokens);
    if (w->time != NULL)
        cpu_profile_attention(w->time, &a, tokens);
    int64_t spans = spans_to_split(w, &a, tokens);
    if (spans > 0)
        attend_spans(w, &a, tokens, spans);
    else
        attend_tiles(w, &a, tokens);
}

/* ---- the rest ---- */

static void run_norm(const struct walker *w, const struct cpu_step *s)
{
    const struct tenon_value *v = value(w, s->out);
    int64_t cols = cpu_cols(v, &w->run->dims), r0, r1;
    const float *x = at(w, s->norm.x);
    float *y = at(w, s->out);
    share(w, cpu_rows(v, &w->run->dims), &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        w->k->rms_norm(x + r * cols, vector(w, s->norm.w), cols, s->norm.eps, y + r * cols);
}

/* b repeats along the leading dims of a: its elements divide a's rows. */
static void run_binary(const struct walker *w, const struct cpu_step *s)
{
    const struct tenon_value *vb = value(w, s->b);
    bool is_weight = vb->kind == TENON_VALUE_WEIGHT;
    int64_t all = cpu_elements(value(w, s->out), &w->run->dims), r0, r1;
    int64_t n = is_weight ? weight(w, s->b)->m.rows * weight(w, s->b)->m.cols : cpu_elements(vb, &w->run->dims);
    const float *a = at(w, s->x), *b = is_weight ? vector(w, s->b) : at(w, s->b);
    float *y = at(w, s->out);
    int64_t cols = cpu_cols(value(w, s->out), &w->run->dims);
    bool mul = strcmp(s->op, "core.mul/1") == 0;
    if (n == 0 || cols == 0)
        return;
    share(w, all / cols, &r0, &r1);
    for (int64_t r = r0; r < r1; r++) {
        const float *br = n % cols == 0 ? b + r * cols % n : b;
        (mul ? w->k->mul : w->k->add)(a + r * cols, br, cols, y + r * cols);
    }
}

static void run_unary(const struct walker *w, const struct cpu_step *s)
{
    const struct tenon_value *v = value(w, s->out);
    int64_t cols = cpu_cols(v, &w->run->dims), r0, r1;
    share(w, cpu_rows(v, &w->run->dims), &r0, &r1);
    for (int64_t r = r0; r < r1; r++) {
        const float *x = (const float *)at(w, s->x) + r * cols;
        float *y = (float *)at(w, s->out) + r * cols;
        if (strcmp(s->op, "core.affine/1") == 0)
            w->k->affine(x, s->scale, s->shift, cols, y);
        else if (strcmp(s->op, "core.softcap/1") == 0)
            w->k->softcap(x, s->scale, cols, y);
        else
            w->k->unary((enum cpu_unary)s->unary, x, cols, y);
    }
}

/* ---- ops without a kernel ---- */

/* A weight as floats at y, by all threads. */
static void expand(const struct walker *w, const struct cpu_matrix *m, float *y)
{
    int64_t r0, r1;
    share(w, m->rows, &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        cpu_matrix_row(m, r, y + r * m->cols);
}

static void bind_tensor(const struct walker *w, uint32_t v, struct cpu_tensor *t)
{
    if (v == TENON_NO_VALUE)
        return;
    const struct tenon_value *val = value(w, v);
    t->dtype = val->dtype;
    t->shape.rank = val->rank;
    t->n = cpu_elements(val, &w->run->dims);
    for (uint32_t i = 0; i < val->rank; i++)
        t->shape.dims[i] = tenon_dim_value(&val->dims[i], &w->run->dims);
    if (val->dtype != TENON_DTYPE_STATE && value(w, cpu_root(w->exe, v))->kind != TENON_VALUE_WEIGHT)
        t->p = at(w, v);
}

/* Operand i when it is a weight: floats where they are, decoded now, or left to the op. */
static void bind_weight_operand(const struct walker *w, const struct cpu_step *s, struct cpu_call *c, uint32_t i, uint64_t *offset)
{
    uint32_t root = cpu_root(w->exe, c->node->in[i]);
    if (root == TENON_NO_VALUE || value(w, root)->kind != TENON_VALUE_WEIGHT)
        return;
    const struct cpu_weight *from = weight(w, root);
    uint64_t bytes = cpu_expand_bytes(w->exe, c->node, i);
    c->in[i].dtype = TENON_DTYPE_F32;
    if (from->f32 != NULL) {
        c->in[i].f = (float *)(uintptr_t)from->f32; /* operands are only read */
    } else if (bytes == 0) {
        c->in[i].packed = &from->m;
    } else {
        c->in[i].p = w->run->scratch + s->expand_offset + *offset;
        expand(w, &from->m, c->in[i].f);
        *offset += bytes;
    }
}

static void run_generic(const struct walker *w, const struct cpu_step *s)
{
    struct cpu_call c = { .node = tenon_graph_node(w->exe->graph, s->node), .op = s->generic, .k = w->k, .i = w->i, .n = w->n };
    uint64_t expanded = 0;
    for (uint32_t i = 0; i < c.node->n_in; i++) {
        bind_tensor(w, c.node->in[i], &c.in[i]);
        bind_weight_operand(w, s, &c, i, &expanded);
    }
    for (uint32_t i = 0; i < c.node->n_out; i++)
        bind_tensor(w, c.node->out[i], &c.out[i]);
    if (s->state != TENON_NO_VALUE) {
        c.kv = layer_kv(w, s);
        c.state = (float *)(void *)c.kv.pages;
        c.n_units = (int64_t)w->run->state_pages[value(w, s->state)->index];
    }
    c.row = (float *)(void *)w->own; /* prepared activations lie there only within a matmul step */
    if (s->expand_bytes != 0)
        barrier(w);
    cpu_generic_run(&c);
}

static void run_step(const struct walker *w, const struct cpu_step *s)
{
    switch (s->kind) {
    case CPU_STEP_GATHER: run_gather(w, s); break;
    case CPU_STEP_MATMUL: run_matmul(w, s); break;
    case CPU_STEP_NORM: run_norm(w, s); break;
    case CPU_STEP_ATTENTION: run_attention(w, s); break;
    case CPU_STEP_BINARY: run_binary(w, s); break;
    case CPU_STEP_UNARY: run_unary(w, s); break;
    case CPU_STEP_GENERIC: run_generic(w, s); break;
    }
}

/* Angles of all tokens of this step, once for all layers. */
static void make_rope_tables(const struct walker *w)
{
    int64_t tokens = w->run->dims.sym[TENON_SYM_T], t0, t1;
    share(w, tokens, &t0, &t1);
    for (uint32_t i = 0; i < w->exe->n_ropes; i++) {
        const struct cpu_rope_use *r = &w->exe->ropes[i];
        int64_t half = r->rope.n_rot / 2;
        float *cos = (float *)(void *)(w->run->scratch + r->table_offset), *sin = cos + tokens * half;
        const int32_t *position = at(w, r->position);
        for (int64_t t = t0; t < t1; t++)
            cpu_rope_table(&r->rope, r->freq, position[t], cos + t * half, sin + t * half);
    }
}

/* The step that comes after `step` of the present instance; NULL after the last. */
static const struct cpu_step *step_after(const struct walker *w, uint32_t step, uint32_t *ret_instance)
{
    const struct tenon_executable *exe = w->exe;
    const struct tenon_graph *g = exe->graph;
    uint32_t block = g->order[w->instance].block;
    *ret_instance = w->instance;
    if (step + 1 < exe->block_first[block] + exe->block_steps[block])
        return &exe->steps[step + 1];
    while (++*ret_instance < g->n_order)
        if (exe->block_steps[g->order[*ret_instance].block] > 0)
            return &exe->steps[exe->block_first[g->order[*ret_instance].block]];
    return NULL;
}

static void run_timed(struct walker *w, uint32_t step, double *since)
{
    struct cpu_step_time *t = w->exe->times != NULL && w->i == 0 ? &w->exe->times[step] : NULL;
    uint32_t instance;
    w->time = t;
    run_step(w, &w->exe->steps[step]);
    const struct cpu_step *next = step_after(w, step, &instance);
    if (next != NULL)
        warm(w, next, instance);
    barrier(w);
    if (t != NULL) {
        double now = cpu_profile_now();
        t->seconds += now - *since;
        t->count++;
        *since = now;
    }
}

void cpu_run_thread(struct cpu_run *run, uint32_t i, uint32_t n)
{
    const struct tenon_executable *exe = run->exe;
    const struct tenon_graph *g = exe->graph;
    uint32_t turn = 0;
    struct walker w = { .run = run, .exe = exe, .k = exe->dev->k, .threads = exe->dev->plugin->threads, .i = i, .n = n, .turn = &turn };
    w.own = run->scratch + exe->thread_offset + i * exe->thread_bytes;
    double since = exe->times != NULL ? cpu_profile_now() : 0;
    make_rope_tables(&w); /* read by other threads only after the barriers of the first steps */
    for (w.instance = 0; w.instance < g->n_order; w.instance++) {
        uint32_t block = g->order[w.instance].block;
        w.layer = g->order[w.instance].layer;
        for (uint32_t j = 0; j < exe->block_steps[block]; j++, w.ticket++) {
            turn = 0;
            run_timed(&w, exe->block_first[block] + j, &since);
        }
    }
}
