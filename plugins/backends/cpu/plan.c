/* plan.c - compiles a graph for the CPU: binds weights, cuts blocks into steps (fuse.c) and lays out scratch memory.
 *
 * Layout of scratch: carry (two sides, what blocks hand on), values read across blocks, then one region that all blocks use in
 * turn, rope tables, the shared prepared activations, and private memory per thread. [any-thread], once per load. */
#include <stdlib.h>

#include "generic.h"

int64_t cpu_elements(const struct tenon_value *v, const struct tenon_dims *dims)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < v->rank; i++)
        n *= tenon_dim_value(&v->dims[i], dims);
    return n;
}

int64_t cpu_cols(const struct tenon_value *v, const struct tenon_dims *dims)
{
    return v->rank == 0 ? 1 : tenon_dim_value(&v->dims[v->rank - 1], dims);
}

int64_t cpu_rows(const struct tenon_value *v, const struct tenon_dims *dims)
{
    int64_t n = 1;
    for (uint32_t i = 0; i + 1 < v->rank; i++)
        n *= tenon_dim_value(&v->dims[i], dims);
    return n;
}

static uint64_t align_up(uint64_t n)
{
    return (n + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN;
}

/* ---- weights ---- */

/* A vector as floats: where it is, or decoded into memory of the plan. */
static int32_t bind_vector(struct tenon_executable *exe, struct cpu_weight *w, struct tenon_err *err)
{
    if (w->m.format == CPU_F32 && w->program == NULL && (uintptr_t)w->m.data % sizeof(float) == 0) {
        w->f32 = (const float *)(const void *)w->m.data;
        return 0;
    }
    w->owned = malloc((size_t)w->m.cols * sizeof(float));
    if (w->owned == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, w->name, "no memory for a vector of %lld", (long long)w->m.cols);
    cpu_matrix_row(&w->m, 0, w->owned);
    exe->host_bytes += (uint64_t)w->m.cols * sizeof(float);
    w->f32 = w->owned;
    return 0;
}

static int32_t bind_weight(struct tenon_executable *exe, const struct tenon_weight_binding *b, struct cpu_weight *w, struct tenon_err *err)
{
    uint64_t rows = 0, cols = 0, row_bytes = 0;
    int32_t status = cpu_weight_shape(b, &rows, &cols, &row_bytes, err);
    w->name = b->name;
    if (status == 0 && cpu_encoding_find(b->encoding->digest) == NULL)
        status = cpu_program_bind(exe, b, rows, cols, w, err);
    else if (status == 0)
        status = cpu_matrix_of(b, &w->m, err);
    if (status == 0 && w->program == NULL && b->packed.buffer != NULL)
        status = cpu_packed_of(b, &w->m, &w->m, err);
    return status == 0 && b->rank == 1 ? bind_vector(exe, w, err) : status;
}

#define MOST_LAYERS 65536u

/* Room for one more WEIGHT value's layers 0 .. at. */
static int32_t weight_room(struct tenon_executable *exe, const struct tenon_weight_binding *b, uint32_t base, uint32_t at,
                           struct tenon_err *err)
{
    struct cpu_weight *all;
    if (at >= MOST_LAYERS)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, b->name, "layer %d is out of range", (int)b->layer);
    if (base + at < exe->n_weights)
        return 0;
    all = realloc(exe->weights, ((size_t)base + at + 1) * sizeof *all);
    if (all == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, b->name, "no memory for the plan");
    memset(&all[exe->n_weights], 0, (base + at + 1 - exe->n_weights) * sizeof *all);
    exe->weights = all;
    exe->n_weights = base + at + 1;
    return 0;
}

static bool block_reads(const struct tenon_graph *g, uint32_t block, uint32_t value)
{
    const struct tenon_block *b = tenon_graph_block(g, block);
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        const struct tenon_node *n = tenon_graph_node(g, b->first_node + i);
        for (uint32_t j = 0; j < n->n_in; j++)
            if (n->in[j] == value)
                return true;
    }
    return false;
}

/* Layers that run must have the weight. The others get what stands for it wherever only its shape matters. */
static int32_t fill_gaps(struct tenon_executable *exe, uint32_t value, uint32_t base, struct tenon_err *err)
{
    const struct tenon_value *v = tenon_graph_value(exe->graph, value);
    struct cpu_weight *layers = &exe->weights[base];
    uint32_t n = exe->n_weights - base, first = 0;
    for (uint32_t i = 0; v->layered && i < exe->graph->n_order; i++) {
        const struct tenon_instance *o = &exe->graph->order[i];
        if (o->layer >= 0 && ((uint32_t)o->layer >= n || layers[o->layer].name == NULL) && block_reads(exe->graph, o->block, value))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, v->name, "the weight is not bound for layer %d", (int)o->layer);
    }
    while (layers[first].name == NULL)
        first++;
    for (uint32_t i = 0; i < n; i++)
        if (layers[i].name == NULL) {
            layers[i] = layers[first];
            layers[i].owned = NULL;
            layers[i].program = NULL;
        }
    return 0;
}

/* Bindings of one WEIGHT value, its layers one after the other. */
static int32_t bind_value(struct tenon_executable *exe, const struct tenon_compile_args *args, uint32_t value, struct tenon_err *err)
{
    const struct tenon_value *v = tenon_graph_value(exe->graph, value);
    uint32_t base = exe->n_weights;
    exe->weight_base[value] = base;
    for (uint32_t i = 0; i < args->n_weights; i++) {
        struct tenon_weight_binding b;
        TENON_COPY_IN(&b, (const char *)args->weights + (uint64_t)i * args->weight_stride);
        if (b.weight != v->index)
            continue;
        uint32_t at = v->layered && b.layer > 0 ? (uint32_t)b.layer : 0;
        int32_t status = weight_room(exe, &b, base, at, err);
        if (status == 0)
            status = bind_weight(exe, &b, &exe->weights[base + at], err);
        if (status != 0)
            return status;
    }
    if (exe->n_weights == base)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, v->name, "the weight is not bound");
    return fill_gaps(exe, value, base, err);
}


/* ---- homes ---- */

static int32_t set_rets(struct tenon_executable *exe, uint32_t block, bool last, struct tenon_err *err)
{
    const struct tenon_block *b = tenon_graph_block(exe->graph, block);
    if (b->n_rets > CPU_MAX_OUTPUTS)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, b->name, "more than %u values handed on", CPU_MAX_OUTPUTS);
    for (uint32_t i = 0; i < b->n_rets; i++) {
        uint32_t root = cpu_root(exe, b->rets[i]);
        const struct tenon_value *v = tenon_graph_value(exe->graph, root);
        if (v->kind != TENON_VALUE_NODE || v->block != block || exe->homes[root].place != CPU_PLACE_SCRATCH)
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, b->name, "ret %u is not computed by the block, or twice a ret", i);
        exe->homes[root] = (struct cpu_home){ last ? CPU_PLACE_OUTPUT : CPU_PLACE_CARRY, i, 0 };
    }
    if (!last && b->n_rets > exe->n_carry)
        exe->n_carry = b->n_rets;
    return 0;
}

static int32_t set_homes(struct tenon_executable *exe, struct tenon_err *err)
{
    const struct tenon_graph *g = exe->graph;
    uint32_t last = g->order[g->n_order - 1].block;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(g, i);
        struct cpu_home *h = &exe->homes[i];
        if (v->kind == TENON_VALUE_INPUT)
            *h = (struct cpu_home){ CPU_PLACE_INPUT, v->index, 0 };
        else if (v->kind == TENON_VALUE_ARG)
            *h = (struct cpu_home){ CPU_PLACE_ARG, v->index, 0 };
        else if (v->kind == TENON_VALUE_NODE && tenon_op_find(tenon_graph_node(g, v->producer)->op) == TENON_OPN_RESHAPE)
            *h = (struct cpu_home){ CPU_PLACE_ALIAS, tenon_graph_node(g, v->producer)->in[0], 0 };
        else if (v->kind == TENON_VALUE_NODE && v->dtype != TENON_DTYPE_STATE)
            h->place = CPU_PLACE_SCRATCH;
    }
    for (uint32_t i = 0; i < g->n_blocks; i++) {
        int32_t status = set_rets(exe, i, i == last, err);
        if (status != 0)
            return status;
    }
    return 0;
}

/* ---- memory ---- */

#define MOST_ELEMENTS (INT64_C(1) << 44)

/* Does every value fit the counting of the rest at its largest? */
static int32_t check_sizes(const struct tenon_executable *exe, struct tenon_err *err)
{
    for (uint32_t i = 0; i < exe->graph->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(exe->graph, i);
        int64_t n = 1, dim;
        for (uint32_t d = 0; d < v->rank; d++) {
            bool fits = v->dims[d].sym < TENON_SYM_COUNT && v->dims[d].a >= 0 && v->dims[d].a <= INT32_MAX && v->dims[d].b >= 0 &&
                        v->dims[d].b <= MOST_ELEMENTS;
            dim = fits ? tenon_dim_value(&v->dims[d], &exe->bucket) : -1;
            if (dim < 0 || __builtin_mul_overflow(n, dim > 0 ? dim : 1, &n) || n > MOST_ELEMENTS)
                return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, v->name, "its largest size is negative or past counting: a smaller context or step may do");
        }
    }
    return 0;
}

/* A stretch of the block region that is in use for steps first..last. */
struct interval {
    uint32_t first, last;
    uint64_t size, *offset;
};

struct layout {
    struct tenon_executable *exe;
    struct interval *list; /* [capacity] */
    uint32_t n, block;
    uint64_t base, end; /* of the block region */
};

static uint64_t value_bytes(const struct tenon_executable *exe, uint32_t v)
{
    return align_up((uint64_t)cpu_elements(tenon_graph_value(exe->graph, v), &exe->bucket) * sizeof(float));
}

/* The node a generic step runs, NULL: the step is of another kind. */
static const struct tenon_node *generic_node(const struct tenon_executable *exe, const struct cpu_step *s)
{
    return s->kind == CPU_STEP_GENERIC ? tenon_graph_node(exe->graph, s->node) : NULL;
}

static bool step_reads(const struct tenon_executable *exe, const struct cpu_step *s, uint32_t v)
{
    const struct tenon_node *n = generic_node(exe, s);
    for (uint32_t i = 0; n != NULL && i < n->n_in; i++)
        if (cpu_root(exe, n->in[i]) == v)
            return true;
    const uint32_t ins[] = { s->x, s->b, s->norm.on ? s->norm.x : TENON_NO_VALUE, s->k, s->v };
    for (uint32_t i = 0; i < sizeof ins / sizeof ins[0]; i++)
        if (ins[i] != TENON_NO_VALUE && cpu_root(exe, ins[i]) == v)
            return true;
    return false;
}

/* The last step of the block that reads v, or `from`. */
static uint32_t last_read(const struct tenon_executable *exe, uint32_t block, uint32_t v, uint32_t from)
{
    uint32_t last = from, end = exe->block_first[block] + exe->block_steps[block];
    for (uint32_t i = from; i < end; i++)
        if (step_reads(exe, &exe->steps[i], v))
            last = i;
    return last;
}

static bool read_elsewhere(const struct tenon_executable *exe, uint32_t block, uint32_t v)
{
    for (uint32_t b = 0; b < exe->graph->n_blocks; b++)
        for (uint32_t i = 0; b != block && i < exe->block_steps[b]; i++)
            if (step_reads(exe, &exe->steps[exe->block_first[b] + i], v))
                return true;
    return false;
}

/* Lowest gap between stretches in use at the same time; earlier intervals are placed already. */
static void place(struct layout *l, uint32_t at)
{
    struct interval *me = &l->list[at];
    uint64_t offset = l->base;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < at; i++) {
            const struct interval *o = &l->list[i];
            if (o->last >= me->first && me->last >= o->first && *o->offset < offset + me->size && offset < *o->offset + o->size) {
                offset = *o->offset + o->size;
                moved = true;
            }
        }
    }
    *me->offset = offset;
    if (offset + me->size > l->end)
        l->end = offset + me->size;
}

static void want(struct layout *l, uint32_t first, uint32_t last, uint64_t size, uint64_t *offset)
{
    l->list[l->n] = (struct interval){ first, last, size, offset };
    place(l, l->n++);
}

static void want_value(struct layout *l, uint32_t step, uint32_t v)
{
    if (v != TENON_NO_VALUE && l->exe->homes[v].place == CPU_PLACE_SCRATCH && l->exe->homes[v].offset == UINT64_MAX)
        want(l, step, last_read(l->exe, l->block, v, step), value_bytes(l->exe, v), &l->exe->homes[v].offset);
}

static uint32_t outputs(const struct tenon_executable *exe, const struct cpu_step *s, uint32_t *v)
{
    const struct tenon_node *node = generic_node(exe, s);
    uint32_t n = 0;
    for (uint32_t i = 0; node != NULL && i < node->n_out; i++)
        v[n++] = node->out[i];
    v[n++] = s->out;
    for (uint32_t i = 0; i < s->n; i++)
        v[n++] = s->outs[i];
    return n;
}

uint64_t cpu_expand_bytes(const struct tenon_executable *exe, const struct tenon_node *n, uint32_t in)
{
    uint32_t root = cpu_root(exe, n->in[in]);
    if (root == TENON_NO_VALUE || tenon_graph_value(exe->graph, root)->kind != TENON_VALUE_WEIGHT ||
        exe->weights[exe->weight_base[root]].f32 != NULL || cpu_generic_packed(exe->graph, n, in))
        return 0;
    return value_bytes(exe, root);
}

static int64_t step_rows(const struct tenon_executable *exe, const struct cpu_step *s)
{
    return cpu_rows(tenon_graph_value(exe->graph, s->gated ? s->x : s->outs[0]), &exe->bucket);
}

static void layout_block(struct layout *l)
{
    struct tenon_executable *exe = l->exe;
    uint32_t v[CPU_GROUP_MAX + 1];
    l->n = 0;
    for (uint32_t i = 0; i < exe->block_steps[l->block]; i++) {
        uint32_t at = exe->block_first[l->block] + i;
        struct cpu_step *s = &exe->steps[at];
        for (uint32_t j = outputs(exe, s, v); j-- > 0;)
            want_value(l, at, v[j]);
        if (s->expand_bytes != 0)
            want(l, at, at, s->expand_bytes, &s->expand_offset);
        if (s->kind == CPU_STEP_MATMUL && s->gated) {
            uint64_t bytes = align_up((uint64_t)(step_rows(exe, s) * exe->weights[exe->weight_base[s->w[0]]].m.rows) * sizeof(float));
            want(l, at, at + 1, bytes, &s->hidden_offset);
            want(l, at, at, s->n > 1 ? bytes : 0, &s->gate_offset);
        }
        if (s->kind == CPU_STEP_MATMUL && s->x == TENON_NO_VALUE)
            s->hidden_offset = exe->steps[at - 1].hidden_offset;
    }
}

static uint64_t layout_carry(struct tenon_executable *exe)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < exe->n_carry; i++) {
        uint64_t size = 0;
        for (uint32_t v = 0; v < exe->graph->n_values; v++)
            if (exe->homes[v].place == CPU_PLACE_CARRY && exe->homes[v].index == i && value_bytes(exe, v) > size)
                size = value_bytes(exe, v);
        for (uint32_t side = 0; side < 2; side++, end += size)
            exe->carry_offset[side][i] = end;
    }
    return end;
}

/* Values that another block reads stay for the whole execution. */
static uint64_t layout_lasting(struct tenon_executable *exe, uint64_t end)
{
    for (uint32_t v = 0; v < exe->graph->n_values; v++) {
        struct cpu_home *h = &exe->homes[v];
        if (h->place != CPU_PLACE_SCRATCH)
            continue;
        h->offset = UINT64_MAX;
        if (read_elsewhere(exe, tenon_graph_value(exe->graph, v)->block, v)) {
            h->offset = end;
            end += value_bytes(exe, v);
        }
    }
    return end;
}

/* Parts of split attention over `tokens` tokens whose caches may be full; 0: too large to be split. */
static uint64_t parts_bytes(const struct tenon_executable *exe, const struct cpu_step *s)
{
    int64_t keys = exe->bucket.sym[TENON_SYM_P] * CPU_PAGE_TOKENS, spans = (keys + CPU_SPAN_TOKENS - 1) / CPU_SPAN_TOKENS;
    int64_t tokens = exe->bucket.sym[TENON_SYM_T] < CPU_SPLIT_TOKENS ? exe->bucket.sym[TENON_SYM_T] : CPU_SPLIT_TOKENS;
    uint64_t bytes = (uint64_t)(spans * s->heads * cpu_attn_part_floats(s->v_dim)) * sizeof(float), most = CPU_SPLIT_BYTES;
    return bytes > most ? 0 : bytes * (uint64_t)tokens < most ? bytes * (uint64_t)tokens : most;
}

static uint64_t layout_activations(struct tenon_executable *exe, uint64_t end)
{
    uint64_t q_bytes = 0, attn = 0;
    int32_t kv_heads = 0;
    for (uint32_t i = 0; i < exe->n_steps; i++) {
        const struct cpu_step *s = &exe->steps[i];
        if (s->kind == CPU_STEP_ATTENTION) {
            uint64_t bytes = (uint64_t)cpu_attn_scratch_bytes(s->k_dim, s->v_dim);
            attn = bytes > attn ? bytes : attn;
            exe->parts_bytes = parts_bytes(exe, s) > exe->parts_bytes ? parts_bytes(exe, s) : exe->parts_bytes;
            kv_heads = s->kv_heads > kv_heads ? s->kv_heads : kv_heads;
        }
        if (s->kind == CPU_STEP_GENERIC && s->generic == TENON_OPN_GROUPED_MATMUL) { /* decodes into the thread's one row */
            uint64_t row = (uint64_t)cpu_cols(tenon_graph_value(exe->graph, generic_node(exe, s)->in[1]), &exe->bucket);
            exe->max_k = row > exe->max_k ? row : exe->max_k;
        }
        if (s->kind != CPU_STEP_MATMUL)
            continue;
        int64_t k = exe->weights[exe->weight_base[s->w[0]]].m.cols, rows = step_rows(exe, s);
        uint64_t x = align_up((uint64_t)(rows * k) * sizeof(float)), q = s->quantised ? (uint64_t)cpu_act_bytes(rows, k) : 0;
        if (s->norm.on && x > exe->act_x_bytes)
            exe->act_x_bytes = x;
        q_bytes = q > q_bytes ? q : q_bytes;
        exe->max_k = (uint64_t)k > exe->max_k ? (uint64_t)k : exe->max_k;
    }
    exe->part_tickets = (uint32_t)(CPU_SPLIT_TOKENS * kv_heads);
    exe->parts_offset = end;
    exe->shared_act_offset = align_up(end + exe->parts_bytes);
    end = align_up(exe->shared_act_offset + exe->act_x_bytes + q_bytes);
    exe->thread_offset = end;
    uint64_t k = (exe->max_k + 31) / 32 * 32, kernels = CPU_MATMUL_SCRATCH + align_up(attn), programs = align_up(cpu_program_scratch(exe));
    exe->thread_act_bytes = align_up(CPU_SMALL_ROWS * k * sizeof(float)) + align_up((uint64_t)cpu_act_bytes(CPU_SMALL_ROWS, (int64_t)k));
    exe->thread_bytes = exe->thread_act_bytes + (kernels > programs ? kernels : programs);
    return end + exe->n_threads * exe->thread_bytes;
}

static int32_t layout_scratch(struct tenon_executable *exe, struct tenon_err *err)
{
    struct layout l = { .exe = exe };
    uint64_t end = layout_lasting(exe, layout_carry(exe));
    l.list = calloc((size_t)exe->n_steps * (CPU_GROUP_MAX + 3) + 1, sizeof *l.list);
    if (l.list == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory to lay out the plan");
    l.base = l.end = end;
    for (l.block = 0; l.block < exe->graph->n_blocks; l.block++)
        layout_block(&l);
    free(l.list);
    end = l.end;
    for (uint32_t i = 0; i < exe->n_ropes; i++) {
        exe->ropes[i].table_offset = end;
        end += align_up((uint64_t)(exe->bucket.sym[TENON_SYM_T] * exe->ropes[i].rope.n_rot) * sizeof(float));
    }
    exe->scratch_bytes = layout_activations(exe, end);
    return 0;
}

/* ---- compile ---- */

static int32_t allocate(struct tenon_executable *exe, const struct tenon_compile_args *args, struct tenon_err *err)
{
    const struct tenon_graph *g = exe->graph;
    exe->steps = calloc((size_t)g->n_nodes * 2 + 1, sizeof *exe->steps);
    exe->block_first = calloc(g->n_blocks, sizeof *exe->block_first);
    exe->block_steps = calloc(g->n_blocks, sizeof *exe->block_steps);
    exe->homes = calloc(g->n_values, sizeof *exe->homes);
    exe->weight_base = calloc(g->n_values, sizeof *exe->weight_base);
    exe->ropes = calloc(g->n_nodes + 1, sizeof *exe->ropes);
    exe->states = calloc(args->n_states + 1, sizeof *exe->states);
    exe->layouts = calloc(args->n_states + 1, sizeof *exe->layouts);
    exe->kvs = calloc(args->n_states + 1, sizeof *exe->kvs);
    if (exe->steps == NULL || exe->block_first == NULL || exe->block_steps == NULL || exe->homes == NULL ||
        exe->weight_base == NULL || exe->ropes == NULL || exe->states == NULL || exe->layouts == NULL || exe->kvs == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for the plan");
    return 0;
}

static int32_t check_args(const struct tenon_compile_args *args, struct tenon_err *err)
{
    if (args->graph == NULL || args->graph->n_order == 0 || args->n_buckets == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "compile needs a graph with an order and a bucket");
    if (args->graph->n_inputs > CPU_MAX_INPUTS || args->n_states > CPU_MAX_INPUTS)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "cpu", "more than %u inputs or states", CPU_MAX_INPUTS);
    for (uint32_t i = TENON_SYM_T; i < TENON_SYM_COUNT; i++)
        if (args->buckets->sym[i] < 0 || args->buckets->sym[i] > INT32_MAX)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "bucket bound %u is %lld", i, (long long)args->buckets->sym[i]);
    return 0;
}

static void copy_states(struct tenon_executable *exe, const struct tenon_compile_args *args)
{
    exe->n_states = args->n_states;
    for (uint32_t i = 0; i < args->n_states; i++) {
        TENON_COPY_IN(&exe->states[i], args->states[i]);
        TENON_COPY_IN(&exe->layouts[i], (const char *)args->layouts + (uint64_t)i * args->layout_stride);
        cpu_state_kv(&exe->states[i], args->kv_encodings[i], &exe->kvs[i]);
    }
}

static int32_t make_ropes(struct tenon_executable *exe, struct tenon_err *err)
{
    for (uint32_t i = 0; i < exe->n_ropes; i++) {
        struct cpu_rope_use *r = &exe->ropes[i];
        if (r->rope.n_rot <= 0 || r->rope.n_rot % 2 != 0 || r->rope.n_rot > 65536)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "rope over %d elements", (int)r->rope.n_rot);
        r->freq = malloc((size_t)r->rope.n_rot / 2 * sizeof *r->freq);
        if (r->freq == NULL)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for rope frequencies");
        cpu_rope_freqs(&r->rope, r->freq);
    }
    return 0;
}

#define NARROW_FROM 640 /* README.md: what 8 bits cost by model */

/* Columns of the widest value that blocks hand on: the residual stream. */
static int64_t stream_width(const struct tenon_executable *exe)
{
    int64_t widest = 0;
    for (uint32_t v = 0; v < exe->graph->n_values; v++) {
        int64_t cols = exe->homes[v].place == CPU_PLACE_CARRY ? cpu_cols(tenon_graph_value(exe->graph, v), &exe->bucket) : 0;
        widest = cols > widest ? cols : widest;
    }
    return widest;
}

static bool narrow_activations(const struct tenon_executable *exe)
{
    return exe->dev->activations == CPU_ACTIVATIONS_AUTO ? stream_width(exe) >= NARROW_FROM : exe->dev->activations == CPU_ACTIVATIONS_8;
}

static int32_t build(struct tenon_executable *exe, const struct tenon_compile_args *args, struct tenon_err *err)
{
    const struct tenon_graph *g = exe->graph;
    int32_t status = allocate(exe, args, err);
    if (status == 0)
        status = check_sizes(exe, err);
    for (uint32_t v = 0; status == 0 && v < g->n_values; v++) {
        exe->weight_base[v] = CPU_NO_STEP;
        if (tenon_graph_value(g, v)->kind == TENON_VALUE_WEIGHT)
            status = bind_value(exe, args, v, err);
    }
    if (status == 0)
        status = set_homes(exe, err);
    if (status == 0) {
        exe->narrow = narrow_activations(exe);
        copy_states(exe, args);
    }
    for (uint32_t b = 0; status == 0 && b < g->n_blocks; b++)
        status = cpu_fuse_block(exe, b, err);
    if (status == 0)
        status = make_ropes(exe, err);
    if (status == 0)
        status = layout_scratch(exe, err);
    for (uint32_t i = 0; status == 0 && i < g->n_order; i++)
        exe->n_tickets += CPU_STEP_TICKETS * exe->block_steps[g->order[i].block];
    return status;
}

int32_t cpu_compile(struct tenon_device *dev, const struct tenon_compile_args *foreign, struct tenon_executable **ret,
                    struct tenon_err *err)
{
    struct tenon_compile_args args;
    TENON_COPY_IN(&args, foreign);
    int32_t status = check_args(&args, err);
    if (status != 0)
        return status;
    struct tenon_executable *exe = calloc(1, sizeof *exe);
    if (exe == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for the plan");
    exe->dev = dev;
    exe->graph = args.graph;
    exe->n_threads = dev->plugin->threads->count(dev->plugin->threads->ctx);
    TENON_COPY_IN(&exe->bucket, args.buckets);
    status = build(exe, &args, err);
    if (status == 0 && (args.flags & TENON_COMPILE_PROFILE) != 0)
        status = cpu_profile_init(exe, err);
    if (status != 0) {
        cpu_executable_free(exe);
        return status;
    }
    *ret = exe;
    return 0;
}

int32_t cpu_executable_info(struct tenon_executable *exe, struct tenon_executable_info *ret)
{
    bool quantised = false;
    for (uint32_t i = 0; i < exe->n_weights; i++)
        quantised |= exe->weights[i].program == NULL && cpu_encoding_at(exe->weights[i].m.format)->quantised;
    *ret = (struct tenon_executable_info){
        .struct_size = sizeof *ret,
        .act = TENON_DTYPE_F32,
        .scratch_bytes = exe->scratch_bytes,
        .host_bytes = exe->host_bytes,
        .n_stages = exe->n_tickets / CPU_STEP_TICKETS,
        .act_bits = !quantised ? 0 : exe->narrow ? 8 : 16,
    };
    return 0;
}

void cpu_executable_free(struct tenon_executable *exe)
{
    if (exe == NULL)
        return;
    cpu_programs_free(exe);
    for (uint32_t i = 0; i < exe->n_weights; i++)
        free(exe->weights[i].owned);
    for (uint32_t i = 0; i < exe->n_ropes; i++)
        free(exe->ropes[i].freq);
    free(exe->steps);
    free(exe->block_first);
    free(exe->block_steps);
    free(exe->homes);
    free(exe->weights);
    free(exe->weight_base);
    free(exe->ropes);
    free(exe->states);
    free(exe->layouts);
    free(exe->kvs);
    free(exe->times);
    free(exe);
}
