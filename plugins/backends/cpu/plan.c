/* plan.c - compiles a graph for the CPU: weights bound (bind.c), homes of values, blocks cut into steps (fuse.c), scratch memory
 * laid out (scratch.c). [any-thread], once per load. Contract: plan.h. */
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
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "bucket bound %u is %lld", i,
                              (long long)args->buckets->sym[i]);
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

/* Says where floats are rounded: nothing else would show it. */
static void tell_bf16(const struct tenon_executable *exe)
{
    static const char text[] = "products by bf16 weights round their activations to bf16, as TENON_CPU_ACTIVATIONS=16 would not";
    const struct tenon_log *log = exe->dev->plugin->log;
    bool any = false;
    for (uint32_t i = 0; i < exe->n_weights; i++)
        any |= exe->weights[i].program == NULL && exe->weights[i].m.format == CPU_BF16;
    if (any && exe->narrow && exe->dev->k->bf16 && log != NULL && log->level >= TENON_LOG_INFO)
        log->write(log->ctx, TENON_LOG_INFO, text, sizeof text - 1);
}

static int32_t build(struct tenon_executable *exe, const struct tenon_compile_args *args, struct tenon_err *err)
{
    const struct tenon_graph *g = exe->graph;
    int32_t status = allocate(exe, args, err);
    if (status == 0)
        status = cpu_check_sizes(exe, err);
    for (uint32_t v = 0; status == 0 && v < g->n_values; v++) {
        exe->weight_base[v] = CPU_NO_STEP;
        if (tenon_graph_value(g, v)->kind == TENON_VALUE_WEIGHT)
            status = cpu_bind_value(exe, args, v, err);
    }
    if (status == 0)
        status = set_homes(exe, err);
    if (status == 0) {
        exe->narrow = narrow_activations(exe);
        tell_bf16(exe);
        copy_states(exe, args);
    }
    for (uint32_t b = 0; status == 0 && b < g->n_blocks; b++)
        status = cpu_fuse_block(exe, b, err);
    if (status == 0)
        status = make_ropes(exe, err);
    if (status == 0)
        status = cpu_layout_scratch(exe, err);
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
