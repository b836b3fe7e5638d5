/* Builds graphs: keeps growing arrays while the model calls, infers types node by node, and freezes everything into one
 * arena. The first error sticks, so that models need not check each call. One thread. Contract: builder.h. */
#include "core/graph/builder.h"

#include <stdlib.h>

#include "core/base/map.h"
#include "core/graph/step_input.h"
#include "core/graph/verify.h"

#define NO_BLOCK (-1)
#define GRAPH_LIMIT (256u << 20) /* bytes of one graph: far above any model, below what a broken plugin could take */
#define NODE_OPERANDS TN_SIG_OPERANDS
#define BLOCK_ARGS 64u

struct vec {
    void *data;
    uint32_t n, capacity;
};

struct tn_builder {
    struct tenon_builder table;
    const struct tn_build_env *env;
    const struct tn_op_lookup *lookup;
    struct tn_graph *out;   /* its arena holds names, attributes and lists from the start */
    struct vec values;      /* struct tenon_value */
    struct vec nodes;       /* struct tenon_node */
    struct vec blocks;      /* struct tenon_block */
    struct vec order;       /* struct tenon_instance */
    struct vec inputs;      /* uint32_t */
    struct vec outputs;     /* const char *, by number */
    struct tn_map shared;   /* "w:name", "s:name", "i:name" -> value + 1 */
    struct tn_map in_block; /* names of the current block's values */
    struct tn_issues issues;
    int32_t status;
    int32_t block;          /* current, NO_BLOCK outside */
    char prefix[64];
};

/* ---- helpers ------------------------------------------------------------------------------------------------ */

static int32_t fail(struct tn_builder *b, int32_t code, const char *where, const char *fmt, ...) TENON_PRINTF(4, 5);
static int32_t fail(struct tn_builder *b, int32_t code, const char *where, const char *fmt, ...)
{
    char text[480];
    va_list args;
    if (b->status != 0)
        return b->status;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tn_issue(&b->issues, where, "%s", text);
    b->issues.code = code;
    return b->status = code;
}

static int32_t no_memory(struct tn_builder *b)
{
    return fail(b, TENON_E_RESOURCE_EXHAUSTED, "graph", "out of memory, or the graph is absurdly large");
}

/* Room for one more element; NULL: out of memory. */
static void *vec_add(struct tn_builder *b, struct vec *v, size_t size)
{
    if (v->n == v->capacity) {
        uint32_t capacity = v->capacity != 0 ? v->capacity * 2 : 64;
        void *data = capacity > (1u << 24) ? NULL : realloc(v->data, capacity * size);
        if (data == NULL) {
            (void)no_memory(b);
            return NULL;
        }
        v->data = data;
        v->capacity = capacity;
    }
    return memset((char *)v->data + v->n++ * size, 0, size);
}

static struct tenon_value *value_at(struct tn_builder *b, uint32_t i) { return (struct tenon_value *)b->values.data + i; }
static struct tenon_block *block_at(struct tn_builder *b, int32_t i) { return (struct tenon_block *)b->blocks.data + i; }

static const char *keep(struct tn_builder *b, const char *text)
{
    char *copy = tn_arena_copy(&b->out->arena, text, strlen(text));
    if (copy == NULL)
        (void)no_memory(b);
    return copy;
}

/* A copy of n elements in the graph's arena; NULL also for n = 0. */
static void *keep_array(struct tn_builder *b, const void *data, uint32_t n, size_t size)
{
    void *copy = n > 0 ? tn_arena_array(&b->out->arena, n, size) : NULL;
    if (n > 0 && copy == NULL)
        (void)no_memory(b);
    else if (n > 0)
        memcpy(copy, data, n * size);
    return copy;
}

static uint32_t add_value(struct tn_builder *b, int32_t kind, const struct tn_type *type, const char *name)
{
    struct tenon_value *v = b->status == 0 ? vec_add(b, &b->values, sizeof *v) : NULL;
    if (v == NULL)
        return TENON_NO_VALUE;
    *v = (struct tenon_value){.struct_size = sizeof *v, .kind = kind, .dtype = type->dtype, .rank = type->rank,
                              .producer = TENON_NO_VALUE, .block = TENON_NO_VALUE, .name = keep(b, name)};
    memcpy(v->dims, type->dims, sizeof v->dims);
    return b->status == 0 ? b->values.n - 1 : TENON_NO_VALUE;
}

/* A name within the current block, unique. */
static int32_t claim_name(struct tn_builder *b, const char *name)
{
    if (tn_map_find(&b->in_block, name, strlen(name)) != NULL)
        return fail(b, TENON_E_ALREADY_EXISTS, name, "the name is used twice in block '%s'", block_at(b, b->block)->name);
    return tn_map_put(&b->in_block, name, strlen(name), NULL) != 0 ? no_memory(b) : TENON_OK;
}

/* Inputs, weights and states are one value each, however often they are asked for. */
static uint32_t shared_get(struct tn_builder *b, char kind, const char *name)
{
    char key[160];
    int n = snprintf(key, sizeof key, "%c:%s", kind, name);
    return (uint32_t)(uintptr_t)tn_map_get(&b->shared, key, n < (int)sizeof key ? (size_t)n : sizeof key - 1) - 1u;
}

static uint32_t shared_put(struct tn_builder *b, char kind, const char *name, uint32_t value)
{
    char key[160];
    int n = snprintf(key, sizeof key, "%c:%s", kind, name);
    if (n >= (int)sizeof key)
        (void)fail(b, TENON_E_INVALID_ARGUMENT, name, "the name is too long");
    else if (value != TENON_NO_VALUE && tn_map_put(&b->shared, key, (size_t)n, (void *)(uintptr_t)(value + 1u)) != 0)
        (void)no_memory(b);
    return b->status == 0 ? value : TENON_NO_VALUE;
}

/* ---- inputs, weights, states -------------------------------------------------------------------------------- */

static uint32_t b_input(void *ctx, const char *name, int32_t dtype, const struct tenon_dim *dims, uint32_t rank)
{
    struct tn_builder *b = ctx;
    struct tn_type type = {0};
    uint32_t v, *slot;

    if (b->status != 0)
        return TENON_NO_VALUE;
    if ((v = shared_get(b, 'i', name)) != TENON_NO_VALUE)
        return v;
    if (!tn_step_input_type(name, &type)) {
        if (rank == 0 || rank > TENON_RANK_MAX || dims == NULL) {
            (void)fail(b, TENON_E_NOT_FOUND, name, "no standard step input has this name, and no dims are given for a further one");
            return TENON_NO_VALUE;
        }
        type = (struct tn_type){.dtype = dtype, .rank = rank};
        memcpy(type.dims, dims, rank * sizeof *dims);
    }
    v = add_value(b, TENON_VALUE_INPUT, &type, name);
    if (v == TENON_NO_VALUE || (slot = vec_add(b, &b->inputs, sizeof *slot)) == NULL)
        return TENON_NO_VALUE;
    *slot = v;
    value_at(b, v)->index = b->inputs.n - 1;
    return shared_put(b, 'i', name, v);
}

static uint32_t b_weight(void *ctx, const char *name)
{
    struct tn_builder *b = ctx;
    struct tn_weight_info info;
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_type type = {.dtype = TENON_DTYPE_WEIGHT};
    uint32_t v;

    if (b->status != 0)
        return TENON_NO_VALUE;
    if (b->env == NULL || b->env->find_weight(b->env->ctx, name, &info, &err) != 0) {
        (void)fail(b, TENON_E_NOT_FOUND, name, "%s", b->env == NULL ? "this graph has no weights" : err.message);
        return TENON_NO_VALUE;
    }
    if (!info.present)
        return TENON_NO_VALUE;
    if ((v = shared_get(b, 'w', info.name)) != TENON_NO_VALUE)
        return v;
    if (info.rank > TENON_RANK_MAX || (info.layered && b->block == NO_BLOCK)) {
        (void)fail(b, TENON_E_INVALID_ARGUMENT, name, "%s",
                   info.rank > TENON_RANK_MAX ? "too many dims" : "a layered weight outside a block");
        return TENON_NO_VALUE;
    }
    type.rank = info.rank;
    for (uint32_t i = 0; i < info.rank; i++)
        type.dims[i] = tn_dim_const((int64_t)info.dims[i]);
    v = add_value(b, TENON_VALUE_WEIGHT, &type, info.name);
    if (v != TENON_NO_VALUE) {
        value_at(b, v)->index = info.index;
        value_at(b, v)->layered = info.layered;
    }
    return shared_put(b, 'w', info.name, v);
}

static uint32_t b_state(void *ctx, const char *name)
{
    struct tn_builder *b = ctx;
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_type type = {.dtype = TENON_DTYPE_STATE};
    uint32_t v, index = 0;

    if (b->status != 0)
        return TENON_NO_VALUE;
    if ((v = shared_get(b, 's', name)) != TENON_NO_VALUE)
        return v;
    if (b->env == NULL || b->env->find_state(b->env->ctx, name, &index, &err) != 0) {
        (void)fail(b, TENON_E_NOT_FOUND, name, "%s", b->env == NULL ? "this graph has no states" : err.message);
        return TENON_NO_VALUE;
    }
    v = add_value(b, TENON_VALUE_STATE, &type, name);
    if (v != TENON_NO_VALUE) {
        value_at(b, v)->index = index;
        value_at(b, v)->layered = 1;
    }
    return shared_put(b, 's', name, v);
}

uint32_t tn_builder_copy_value(struct tn_builder *b, const struct tenon_value *value)
{
    struct tn_type type = tn_value_type(value);
    uint32_t v, *slot;
    v = add_value(b, value->kind, &type, value->name);
    if (v == TENON_NO_VALUE)
        return v;
    value_at(b, v)->index = value->index;
    value_at(b, v)->layered = value->layered;
    if (value->kind == TENON_VALUE_INPUT) {
        if ((slot = vec_add(b, &b->inputs, sizeof *slot)) == NULL)
            return TENON_NO_VALUE;
        *slot = v;
        value_at(b, v)->index = b->inputs.n - 1;
    }
    return v;
}

/* ---- blocks ------------------------------------------------------------------------------------------------- */

int32_t tn_builder_block(struct tn_builder *b, const char *name, const struct tn_type *types, uint32_t n, uint32_t *ret_args)
{
    struct tenon_block *block;
    if (b->status != 0)
        return b->status;
    if (b->block != NO_BLOCK)
        return fail(b, TENON_E_FAILED_PRECONDITION, name, "the block before it has not ended");
    if ((block = vec_add(b, &b->blocks, sizeof *block)) == NULL)
        return b->status;
    b->block = (int32_t)b->blocks.n - 1;
    tn_map_finish(&b->in_block, NULL);
    *block = (struct tenon_block){.struct_size = sizeof *block, .first_node = b->nodes.n, .n_args = n, .name = keep(b, name)};
    for (uint32_t i = 0; i < n && b->status == 0; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "arg%u", i);
        if (claim_name(b, text) != 0 || (ret_args[i] = add_value(b, TENON_VALUE_ARG, &types[i], text)) == TENON_NO_VALUE)
            break;
        value_at(b, ret_args[i])->index = i;
        value_at(b, ret_args[i])->block = (uint32_t)b->block;
    }
    if (b->status == 0)
        block_at(b, b->block)->args = keep_array(b, ret_args, n, sizeof *ret_args);
    return b->status;
}

static int32_t b_block_begin(void *ctx, const char *name, const uint32_t *like, uint32_t n, uint32_t *ret_args)
{
    struct tn_builder *b = ctx;
    struct tn_type types[BLOCK_ARGS];

    if (n > BLOCK_ARGS)
        return fail(b, TENON_E_OUT_OF_RANGE, name, "a block takes at most %u args", BLOCK_ARGS);
    for (uint32_t i = 0; i < n && b->status == 0; i++) {
        if (like[i] < b->values.n)
            types[i] = tn_value_type(value_at(b, like[i]));
        else
            (void)fail(b, TENON_E_INVALID_ARGUMENT, name, "arg %u is like a value that does not exist", i);
    }
    for (uint32_t i = 0; i < n; i++)
        ret_args[i] = TENON_NO_VALUE;
    return tn_builder_block(b, name, types, n, ret_args);
}

static int32_t b_block_end(void *ctx, const uint32_t *ret_values, uint32_t n)
{
    struct tn_builder *b = ctx;
    int32_t number = b->block;
    if (b->status != 0)
        return b->status;
    if (number == NO_BLOCK)
        return fail(b, TENON_E_FAILED_PRECONDITION, "graph", "a block ends that never began");
    block_at(b, number)->n_rets = n;
    block_at(b, number)->n_nodes = b->nodes.n - block_at(b, number)->first_node;
    block_at(b, number)->rets = keep_array(b, ret_values, n, sizeof *ret_values);
    b->block = NO_BLOCK;
    return b->status != 0 ? b->status : number;
}

static int32_t b_run(void *ctx, int32_t block, int32_t first_layer, uint32_t n)
{
    struct tn_builder *b = ctx;
    if (b->status != 0)
        return b->status;
    if (block < 0 || (uint32_t)block >= b->blocks.n || (n > 0 && first_layer < 0) || n > 65536)
        return fail(b, TENON_E_INVALID_ARGUMENT, "order", "block %d, layers %d + %u: no such thing", block, first_layer, n);
    for (uint32_t i = 0; i < (n > 0 ? n : 1); i++) {
        struct tenon_instance *instance = vec_add(b, &b->order, sizeof *instance);
        if (instance == NULL)
            return b->status;
        *instance = (struct tenon_instance){(uint32_t)block, n > 0 ? first_layer + (int32_t)i : -1};
    }
    return TENON_OK;
}

static int32_t b_output(void *ctx, uint32_t i, const char *name)
{
    struct tn_builder *b = ctx;
    const char **slot;
    if (b->status == 0 && i >= 64)
        return fail(b, TENON_E_OUT_OF_RANGE, name, "output number %u is too large", i);
    while (b->status == 0 && b->outputs.n <= i)
        (void)vec_add(b, &b->outputs, sizeof *slot); /* failure is in status */
    if (b->status != 0)
        return b->status;
    slot = (const char **)b->outputs.data + i;
    *slot = keep(b, name);
    return b->status;
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

int32_t tn_op_signature(const char *op, const struct tn_op_lookup *lookup, struct tn_signature *ret, struct tenon_err *err)
{
    const struct tenon_op_desc *desc = tenon_op_at(tenon_op_find(op));
    const struct tenon_composite *foreign = NULL;
    void *self;
    if (desc != NULL)
        return tn_signature_parse(desc->signature, desc->attrs, ret, err);
    if (lookup != NULL && lookup->find != NULL)
        foreign = lookup->find(lookup->ctx, op, &self);
    if (foreign == NULL || !TENON_HAS(foreign, signature))
        return tenon_fail(err, TENON_E_NOT_FOUND, op, "unknown op '%s': neither a core op nor provided by a plugin", op);
    return tn_signature_parse(foreign->signature, TENON_HAS(foreign, attrs) ? foreign->attrs : "", ret, err);
}

static struct tenon_attr *copy_attrs(struct tn_builder *b, const struct tenon_attr *attrs, uint32_t n)
{
    struct tenon_attr *copy = keep_array(b, attrs, n, sizeof *attrs);
    for (uint32_t i = 0; i < n && b->status == 0; i++) {
        copy[i].struct_size = sizeof *copy;
        copy[i].name = keep(b, attrs[i].name);
        copy[i].s = attrs[i].s != NULL ? keep(b, attrs[i].s) : NULL;
        copy[i].dims = attrs[i].dims != NULL ? keep_array(b, attrs[i].dims, attrs[i].n, sizeof *attrs[i].dims) : NULL;
        copy[i].list = attrs[i].list != NULL ? keep_array(b, attrs[i].list, attrs[i].n, sizeof *attrs[i].list) : NULL;
    }
    return copy;
}

/* Types of the operands into use; complaints about values that this block cannot see. */
static void gather_types(struct tn_builder *b, const char *where, const uint32_t *in, uint32_t n_in, struct tn_type *types)
{
    memset(types, 0, NODE_OPERANDS * sizeof *types);
    for (uint32_t i = 0; i < n_in && b->status == 0; i++) {
        if (in[i] == TENON_NO_VALUE)
            continue;
        if (in[i] >= b->values.n)
            (void)fail(b, TENON_E_INVALID_ARGUMENT, where, "operand %u does not exist", i);
        else
            types[i] = tn_value_type(value_at(b, in[i]));
    }
}

static int32_t add_outputs(struct tn_builder *b, const char *name, const struct tn_op_use *use, uint32_t *outs, uint32_t n_out)
{
    for (uint32_t i = 0; i < n_out; i++) {
        char text[200];
        (void)snprintf(text, sizeof text, i == 0 ? "%s" : "%s.%s", name, use->sig->out[i].name);
        if ((i > 0 && claim_name(b, text) != 0) ||
            (outs[i] = add_value(b, TENON_VALUE_NODE, &use->out[i], text)) == TENON_NO_VALUE)
            return b->status;
        value_at(b, outs[i])->producer = b->nodes.n;
        value_at(b, outs[i])->index = i;
        value_at(b, outs[i])->block = (uint32_t)b->block;
    }
    return TENON_OK;
}

static int32_t append_node(struct tn_builder *b, const char *name, const struct tn_op_use *use, const uint32_t *in,
                           uint32_t *outs, uint32_t n_out)
{
    struct tenon_node *node;
    if (claim_name(b, name) != 0 || add_outputs(b, name, use, outs, n_out) != 0 ||
        (node = vec_add(b, &b->nodes, sizeof *node)) == NULL)
        return b->status;
    *node = (struct tenon_node){.struct_size = sizeof *node, .block = (uint32_t)b->block, .op = keep(b, use->op),
                                .name = keep(b, name), .in = keep_array(b, in, use->n_in, sizeof *in),
                                .out = keep_array(b, outs, n_out, sizeof *outs), .attrs = copy_attrs(b, use->attrs, use->n_attrs),
                                .n_in = use->n_in, .n_out = n_out, .n_attrs = use->n_attrs, .attr_stride = sizeof *use->attrs};
    return b->status;
}

static int32_t add_node(struct tn_builder *b, const char *op, const char *name, const uint32_t *in, uint32_t n_in,
                        const struct tenon_attr *attrs, uint32_t n_attrs, uint32_t *outs, uint32_t n_out)
{
    struct tn_signature sig;
    struct tn_type types[NODE_OPERANDS];
    struct tenon_err err = TENON_ERR_INIT;
    char full[160], where[224];

    if (b->block == NO_BLOCK)
        return fail(b, TENON_E_FAILED_PRECONDITION, name, "a node outside a block");
    if (snprintf(full, sizeof full, "%s%s", b->prefix, name) >= (int)sizeof full)
        return fail(b, TENON_E_INVALID_ARGUMENT, name, "the name is too long");
    (void)snprintf(where, sizeof where, "%s.%s", block_at(b, b->block)->name, full);
    if (tn_op_signature(op, b->lookup, &sig, &err) != 0)
        return fail(b, err.code, where, "%s", err.message);
    if (n_in > NODE_OPERANDS || n_out != sig.n_out)
        return fail(b, TENON_E_INVALID_ARGUMENT, where, "%s has %u operands and %u outputs, not %u and %u", op, sig.n_in,
                    sig.n_out, n_in, n_out);
    gather_types(b, where, in, n_in, types);
    struct tn_op_use use = {.sig = &sig, .op = op, .where = where, .in = types, .n_in = n_in, .attrs = attrs, .n_attrs = n_attrs,
                            .issues = &b->issues};
    if (b->status == 0 && tn_signature_infer(&use) > 0)
        b->status = b->issues.code;
    return b->status != 0 ? b->status : append_node(b, full, &use, in, outs, n_out);
}

static int32_t b_node(void *ctx, const char *op, const char *name, const uint32_t *in, uint32_t n_in,
                      const struct tenon_attr *attrs, uint32_t n_attrs, uint32_t *outs, uint32_t n_out)
{
    struct tn_builder *b = ctx;
    if (b->status == 0)
        (void)add_node(b, op, name, in, n_in, attrs, n_attrs, outs, n_out); /* status is kept in b */
    for (uint32_t i = 0; b->status != 0 && i < n_out; i++)
        outs[i] = TENON_NO_VALUE;
    return b->status;
}

static int32_t b_fail(void *ctx, int32_t code, const char *message)
{
    return fail(ctx, code, "model", "%s", message);
}

static int32_t b_status(void *ctx, struct tenon_err *err)
{
    const struct tn_builder *b = ctx;
    return b->status == 0 ? TENON_OK : tn_issues_status(&b->issues, err);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

int32_t tn_builder_create(const char *program, const struct tn_build_env *env, const struct tn_op_lookup *lookup,
                          struct tn_builder **ret, struct tenon_err *err)
{
    struct tn_builder *b = calloc(1, sizeof *b);
    struct tn_graph *out = calloc(1, sizeof *out);
    if (b == NULL || out == NULL) {
        free(b);
        free(out);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "graph", "out of memory for a builder");
    }
    tn_arena_init(&out->arena, GRAPH_LIMIT);
    b->out = out;
    b->env = env;
    b->lookup = lookup;
    b->block = NO_BLOCK;
    out->graph.program = keep(b, program);
    b->table = (struct tenon_builder){sizeof b->table, 0, b, b_input, b_weight, b_state, b_block_begin, b_block_end, b_node,
                                      b_run, b_output, b_fail, b_status};
    *ret = b;
    return TENON_OK;
}

void tn_builder_destroy(struct tn_builder *b)
{
    if (b == NULL)
        return;
    struct vec *vecs[] = {&b->values, &b->nodes, &b->blocks, &b->order, &b->inputs, &b->outputs};
    for (size_t i = 0; i < sizeof vecs / sizeof vecs[0]; i++)
        free(vecs[i]->data);
    tn_map_finish(&b->shared, NULL);
    tn_map_finish(&b->in_block, NULL);
    tn_issues_finish(&b->issues);
    tn_graph_free(b->out);
    free(b);
}

void tn_graph_free(struct tn_graph *graph)
{
    if (graph != NULL)
        tn_arena_finish(&graph->arena);
    free(graph);
}

const struct tenon_builder *tn_builder_table(struct tn_builder *b) { return &b->table; }

const char *tn_builder_issues(const struct tn_builder *b) { return b->issues.text.data != NULL ? b->issues.text.data : ""; }

void tn_builder_prefix(struct tn_builder *b, const char *prefix)
{
    (void)snprintf(b->prefix, sizeof b->prefix, "%s", prefix != NULL ? prefix : ""); /* cut names stay unique or are told */
}

static void freeze(struct tn_builder *b, struct tenon_graph *g)
{
    *g = (struct tenon_graph){
        .struct_size = sizeof *g, .n_values = b->values.n, .n_nodes = b->nodes.n, .n_blocks = b->blocks.n, .n_order = b->order.n,
        .n_inputs = b->inputs.n, .value_stride = sizeof *g->values, .node_stride = sizeof *g->nodes,
        .block_stride = sizeof *g->blocks, .program = g->program,
        .values = keep_array(b, b->values.data, b->values.n, sizeof *g->values),
        .nodes = keep_array(b, b->nodes.data, b->nodes.n, sizeof *g->nodes),
        .blocks = keep_array(b, b->blocks.data, b->blocks.n, sizeof *g->blocks),
        .order = keep_array(b, b->order.data, b->order.n, sizeof *g->order),
        .inputs = keep_array(b, b->inputs.data, b->inputs.n, sizeof *g->inputs),
        .output_names = keep_array(b, b->outputs.data, b->outputs.n, sizeof *g->output_names)};
}

/* The program's outputs are the rets of the last block: each must have got a name. */
static void check_outputs(struct tn_builder *b)
{
    const struct tenon_instance *last = b->order.n > 0 ? (const struct tenon_instance *)b->order.data + b->order.n - 1 : NULL;
    uint32_t want = last != NULL ? block_at(b, (int32_t)last->block)->n_rets : 0;
    if (last == NULL)
        (void)fail(b, TENON_E_FAILED_PRECONDITION, "order", "the program runs no block");
    else if (b->outputs.n != want)
        (void)fail(b, TENON_E_INVALID_ARGUMENT, "outputs", "%u outputs are named, the last block returns %u", b->outputs.n, want);
}

int32_t tn_builder_finish(struct tn_builder *b, struct tn_graph **ret, struct tenon_err *err)
{
    if (b->status == 0 && b->block != NO_BLOCK)
        (void)fail(b, TENON_E_FAILED_PRECONDITION, block_at(b, b->block)->name, "the block has not ended");
    if (b->status == 0)
        check_outputs(b);
    if (b->status == 0)
        freeze(b, &b->out->graph);
    if (b->status == 0 && tn_verify(&b->out->graph, b->env, b->lookup, &b->issues) > 0)
        b->status = b->issues.code;
    if (b->status != 0)
        return tn_issues_status(&b->issues, err);
    *ret = b->out;
    b->out = NULL;
    return TENON_OK;
}

int32_t tn_build_program(const struct tenon_model *model, struct tenon_model_config *config, const char *program,
                         const struct tn_build_env *env, const struct tn_op_lookup *lookup, struct tn_graph **ret,
                         struct tenon_err *err)
{
    struct tn_builder *b = NULL;
    int32_t status = tn_builder_create(program, env, lookup, &b, err);
    if (status == 0)
        status = model->build(config, program, &b->table, err);
    if (status == 0)
        status = tn_builder_finish(b, ret, err);
    tn_builder_destroy(b);
    return status;
}
