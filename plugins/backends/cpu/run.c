/* run.c - walks a compiled plan with all threads of a region at once.
 *
 * Every thread passes through the same steps in the same order. Within a step each thread draws tasks from a range of its own by
 * tickets, then from the others' ranges, so a thread that is held up does less; which thread computes a row changes no bit of
 * it. Each step ends at a barrier. */
#include "native.h"

/* ---- gather ---- */

static void gather_row(const struct walker *w, const struct cpu_step *s, int64_t index, int64_t cols, float *y)
{
    const struct tenon_value *table = value(w, s->x);
    bool is_weight = table->kind == TENON_VALUE_WEIGHT;
    int64_t rows = is_weight ? matrix(w, s->x)->rows : tenon_dim_value(&table->dims[0], &w->run->dims);
    if (index < 0 || index >= rows) {
        memset(y, 0, (size_t)cols * sizeof *y);
        return;
    }
    if (is_weight)
        cpu_matrix_row(lies(weight(w, s->x), index + 1), index, y);
    else
        memcpy(y, (const float *)at(w, s->x) + index * cols, (size_t)cols * sizeof *y);
    if (s->scale != 1.0f)
        w->k->affine(y, s->scale, 0.0f, cols, y);
}

static void run_gather(const struct walker *w, const struct cpu_step *s)
{
    const int32_t *index = at(w, s->b);
    int64_t n = cpu_elements(value(w, s->b), &w->run->dims), r0, r1;
    int64_t cols = n != 0 ? cpu_elements(value(w, s->out), &w->run->dims) / n : 0;
    share(w, n, &r0, &r1);
    if (w->time != NULL && value(w, s->x)->kind == TENON_VALUE_WEIGHT)
        w->time->bytes += (double)(n * matrix(w, s->x)->row_bytes);
    for (int64_t r = r0; r < r1; r++)
        gather_row(w, s, index[r], cols, (float *)at(w, s->out) + r * cols);
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
    int64_t n = is_weight ? matrix(w, s->b)->rows * matrix(w, s->b)->cols : cpu_elements(vb, &w->run->dims);
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
static void bind_weight_operand(const struct walker *w, const struct cpu_step *s, struct cpu_call *c, uint32_t i,
                                uint64_t *offset)
{
    uint32_t root = cpu_root(w->exe, c->node->in[i]);
    if (root == TENON_NO_VALUE || value(w, root)->kind != TENON_VALUE_WEIGHT)
        return;
    const struct cpu_weight *from = weight(w, root);
    uint64_t bytes = (s->packed >> i & 1u) != 0 ? 0 : cpu_expand_bytes(w->exe, c->node, i);
    c->in[i].dtype = TENON_DTYPE_F32;
    if (from->f32 != NULL) {
        c->in[i].f = (float *)(uintptr_t)from->f32; /* operands are only read */
    } else if (bytes == 0) {
        c->in[i].packed = matrix(w, root);
    } else {
        c->in[i].p = w->run->scratch + s->expand_offset + *offset;
        expand(w, matrix(w, root), c->in[i].f);
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
        c.kv = cpu_layer_kv(w, s);
        c.state = (float *)(void *)c.kv.pages;
        c.n_units = (int64_t)w->run->state_pages[value(w, s->state)->index];
    }
    c.row = (float *)(void *)w->own; /* prepared activations lie there only within a matmul step */
    if (expanded != 0)
        barrier(w);
    if (s->native != NULL)
        s->native->run(w, s, &c, w->run->scratch + s->expand_offset + expanded);
    else
        cpu_generic_run(&c);
}

static void count_elements(const struct walker *w, const struct cpu_step *s)
{
    const struct tenon_node *node = tenon_graph_node(w->exe->graph, s->node);
    double operations = s->kind == CPU_STEP_MATMUL ? 0.0 : cpu_profile_of_element(node->op);
    if (operations == 0.0)
        return;
    int64_t in = cpu_elements(value(w, node->in[0]), &w->run->dims), out = cpu_elements(value(w, node->out[0]), &w->run->dims);
    cpu_profile_floats(w->time, operations, in > out ? in : out);
}

static void run_step(const struct walker *w, const struct cpu_step *s)
{
    switch (s->kind) {
    case CPU_STEP_GATHER: run_gather(w, s); break;
    case CPU_STEP_MATMUL: cpu_run_matmul(w, s); break;
    case CPU_STEP_NORM: run_norm(w, s); break;
    case CPU_STEP_ATTENTION: cpu_run_attention(w, s); break;
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
    if (t != NULL)
        count_elements(w, &w->exe->steps[step]);
    run_step(w, &w->exe->steps[step]);
    const struct cpu_step *next = step_after(w, step, &instance);
    if (next != NULL)
        cpu_warm_matmul(w, next, instance);
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
    struct walker w = { .run = run, .exe = exe, .k = exe->dev->k, .threads = exe->dev->plugin->threads, .i = i, .n = n,
                        .turn = &turn };
    w.own = run->scratch + exe->thread_offset + i * exe->thread_bytes;
    double since = exe->times != NULL ? cpu_profile_now() : 0;
    make_rope_tables(&w); /* read by other threads only after the barriers of the first steps */
    for (w.instance = 0; w.instance < g->n_order; w.instance++) {
        uint32_t block = g->order[w.instance].block;
        w.layer = g->order[w.instance].layer;
        for (uint32_t j = 0; j < exe->block_steps[block]; j++, w.ticket += CPU_STEP_TICKETS) {
            turn = 0;
            run_timed(&w, exe->block_first[block] + j, &since);
        }
    }
}
