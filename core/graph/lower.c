/* Writes a graph anew through the builder, composites replaced. What each composite becomes is in decompose_*.c, or a
 * plugin's own callback. Any thread. Contract: lower.h. */
#include "core/graph/lower.h"

#include <stdlib.h>

#include "core/graph/decompose.h"

struct lowering {
    const struct tenon_graph *g;
    const struct tn_op_lookup *lookup;
    struct tn_builder *builder;
    const struct tenon_builder *b; /* its table */
    uint32_t *map;                 /* [g->n_values] value in the new graph */
};

static void map_operands(const struct lowering *l, const uint32_t *from, uint32_t n, uint32_t *ret)
{
    for (uint32_t i = 0; i < n; i++)
        ret[i] = from[i] != TENON_NO_VALUE ? l->map[from[i]] : TENON_NO_VALUE;
}

static void set_outputs(struct lowering *l, const struct tenon_node *n, const uint32_t *outs)
{
    for (uint32_t i = 0; i < n->n_out; i++)
        l->map[n->out[i]] = outs[i];
}

static int32_t decompose_core(struct lowering *l, const struct tenon_node *n, tn_decompose_fn *fn, const uint32_t *in,
                              uint32_t *outs)
{
    struct tn_type types[TN_SIG_OPERANDS] = {{0}};
    struct tn_decompose d = {.b = l->b, .node = n, .in = in, .types = types, .n_in = n->n_in, .outs = outs};
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != TENON_NO_VALUE)
            types[i] = tn_value_type(tenon_graph_value(l->g, n->in[i]));
    fn(&d);
    return l->b->status(l->b->ctx, NULL);
}

static int32_t decompose_foreign(struct lowering *l, const struct tenon_node *n, const uint32_t *in, uint32_t *outs,
                                 struct tenon_err *err)
{
    void *self = NULL;
    const struct tenon_composite *c = l->lookup != NULL && l->lookup->find != NULL ? l->lookup->find(l->lookup->ctx, n->op, &self) : NULL;
    if (c == NULL || !TENON_HAS(c, decompose))
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, n->name,
                          "%s is claimed by no device and its plugin gives no decomposition", n->op);
    return c->decompose(self, l->b, n, in, n->n_in, outs, n->n_out, err);
}

static int32_t replace(struct lowering *l, const struct tenon_node *n, const uint32_t *in, struct tenon_err *err)
{
    uint32_t outs[TN_SIG_OPERANDS];
    char prefix[64];
    tn_decompose_fn *core = tn_decompose_find(n->op);
    int32_t status;

    for (uint32_t i = 0; i < n->n_out; i++)
        outs[i] = TENON_NO_VALUE;
    (void)snprintf(prefix, sizeof prefix, "%.50s.", n->name);
    tn_builder_prefix(l->builder, prefix);
    status = core != NULL ? decompose_core(l, n, core, in, outs) : decompose_foreign(l, n, in, outs, err);
    tn_builder_prefix(l->builder, NULL);
    if (status == 0)
        set_outputs(l, n, outs);
    return l->b->status(l->b->ctx, NULL) != 0 ? l->b->status(l->b->ctx, err) : status;
}

static int32_t lower_node(struct lowering *l, const struct tenon_node *n, bool claimed, struct tenon_err *err)
{
    const struct tenon_op_desc *desc = tenon_op_at(tenon_op_find(n->op));
    uint32_t in[TN_SIG_OPERANDS], outs[TN_SIG_OPERANDS];
    map_operands(l, n->in, n->n_in, in);
    if (!claimed && (desc == NULL || desc->tier > 0))
        return replace(l, n, in, err);
    (void)l->b->node(l->b->ctx, n->op, n->name, in, n->n_in, n->attrs, n->n_attrs, outs, n->n_out); /* status below */
    set_outputs(l, n, outs);
    return l->b->status(l->b->ctx, err);
}

static int32_t begin_block(struct lowering *l, const struct tenon_block *block, struct tenon_err *err)
{
    struct tn_type *types = calloc(block->n_args + 1u, sizeof *types);
    uint32_t *args = calloc(block->n_args + 1u, sizeof *args);
    int32_t status = types != NULL && args != NULL ? TENON_OK : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "lower", "out of memory");
    for (uint32_t i = 0; status == 0 && i < block->n_args; i++)
        types[i] = tn_value_type(tenon_graph_value(l->g, block->args[i]));
    if (status == 0) {
        (void)tn_builder_block(l->builder, block->name, types, block->n_args, args); /* status below */
        status = l->b->status(l->b->ctx, err);
    }
    for (uint32_t i = 0; status == 0 && i < block->n_args; i++)
        l->map[block->args[i]] = args[i];
    free(types);
    free(args);
    return status;
}

static int32_t end_block(struct lowering *l, const struct tenon_block *block, struct tenon_err *err)
{
    uint32_t *rets = calloc(block->n_rets + 1u, sizeof *rets);
    if (rets == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "lower", "out of memory");
    map_operands(l, block->rets, block->n_rets, rets);
    (void)l->b->block_end(l->b->ctx, rets, block->n_rets); /* status below */
    free(rets);
    return l->b->status(l->b->ctx, err);
}

static int32_t lower_block(struct lowering *l, uint32_t number, const uint8_t *claimed, struct tenon_err *err)
{
    const struct tenon_block *block = tenon_graph_block(l->g, number);
    int32_t status = begin_block(l, block, err);
    for (uint32_t i = block->first_node; status == 0 && i < block->first_node + block->n_nodes; i++)
        status = lower_node(l, tenon_graph_node(l->g, i), claimed != NULL && claimed[i] != 0, err);
    return status == 0 ? end_block(l, block, err) : status;
}

static int32_t lower_all(struct lowering *l, const uint8_t *claimed, struct tenon_err *err)
{
    const struct tenon_graph *g = l->g;
    const struct tenon_block *last = tenon_graph_block(g, g->order[g->n_order - 1].block);
    int32_t status = TENON_OK;

    for (uint32_t i = 0; i < g->n_inputs; i++) /* inputs first, so that they keep their numbers */
        l->map[g->inputs[i]] = tn_builder_copy_value(l->builder, tenon_graph_value(g, g->inputs[i]));
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(g, i);
        if (v->kind == TENON_VALUE_WEIGHT || v->kind == TENON_VALUE_STATE)
            l->map[i] = tn_builder_copy_value(l->builder, v);
    }
    for (uint32_t i = 0; status == 0 && i < g->n_blocks; i++)
        status = lower_block(l, i, claimed, err);
    for (uint32_t i = 0; status == 0 && i < g->n_order; i++)
        status = l->b->run(l->b->ctx, (int32_t)g->order[i].block, g->order[i].layer, g->order[i].layer >= 0 ? 1 : 0);
    for (uint32_t i = 0; status == 0 && i < last->n_rets; i++)
        status = l->b->output(l->b->ctx, i, g->output_names[i]);
    return status;
}

int32_t tn_lower(const struct tenon_graph *g, const uint8_t *claimed, const struct tn_build_env *env,
                 const struct tn_op_lookup *lookup, struct tn_graph **ret, struct tenon_err *err)
{
    struct lowering l = {.g = g, .lookup = lookup};
    int32_t status = tn_builder_create(g->program, env, lookup, &l.builder, err);
    if (status != 0)
        return status;
    l.b = tn_builder_table(l.builder);
    l.map = malloc((g->n_values + 1u) * sizeof *l.map);
    if (l.map == NULL)
        status = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "lower", "out of memory for %u values", g->n_values);
    else
        memset(l.map, 0xff, (g->n_values + 1u) * sizeof *l.map);
    if (status == 0)
        status = lower_all(&l, claimed, err);
    if (status == 0)
        status = tn_builder_finish(l.builder, ret, err);
    free(l.map);
    tn_builder_destroy(l.builder);
    return status;
}
