/* The verifier. First the arrays themselves, so that the later parts may follow indices without care; then blocks and
 * nodes; then the order. Complains by node name and goes on. Any thread. Contract: verify.h. */
#include "core/graph/verify.h"

#include <stdlib.h>

#include "core/base/map.h"
#include "core/graph/builder.h"
#include "core/graph/step_input.h"

struct verifier {
    const struct tenon_graph *g;
    const struct tn_build_env *env;
    const struct tn_op_lookup *lookup;
    struct tn_issues *issues;
    uint32_t *first_run; /* [n_blocks] position in the order, UINT32_MAX never */
    uint32_t *runs;      /* [n_blocks] instances */
};

/* ---- arrays ------------------------------------------------------------------------------------------------- */

static bool indices_fit(const uint32_t *list, uint32_t n, uint32_t limit, bool absent_ok)
{
    for (uint32_t i = 0; i < n; i++)
        if (list == NULL || (list[i] >= limit && !(absent_ok && list[i] == TENON_NO_VALUE)))
            return false;
    return true;
}

static void check_value(const struct verifier *v, uint32_t i)
{
    const struct tenon_value *value = tenon_graph_value(v->g, i);
    char where[32];
    (void)snprintf(where, sizeof where, "value %u", i);
    if (value->name == NULL || value->name[0] == '\0')
        tn_issue(v->issues, where, "it has no name");
    if (value->kind < TENON_VALUE_INPUT || value->kind > TENON_VALUE_NODE || value->dtype < TENON_DTYPE_ACT ||
        value->dtype > TENON_DTYPE_STATE || value->rank > TENON_RANK_MAX)
        tn_issue(v->issues, where, "kind, dtype or rank is unknown");
    for (uint32_t d = 0; d < value->rank && d < TENON_RANK_MAX; d++) {
        const struct tenon_dim *dim = &value->dims[d];
        if (dim->sym < TENON_SYM_NONE || dim->sym >= TENON_SYM_COUNT || (dim->sym == TENON_SYM_NONE && dim->b < 0) ||
            (dim->sym != TENON_SYM_NONE && (dim->a < 1 || dim->b < 0)))
            tn_issue(v->issues, where, "dim %u is broken", d);
    }
    bool local = value->kind == TENON_VALUE_ARG || value->kind == TENON_VALUE_NODE;
    if (local ? value->block >= v->g->n_blocks : value->block != TENON_NO_VALUE)
        tn_issue(v->issues, where, "it belongs to no block, or should");
}

/* Do all indices lead somewhere? Only then the other checks run. */
static bool check_arrays(const struct verifier *v)
{
    const struct tenon_graph *g = v->g;
    uint32_t before = v->issues->n;

    if (g->value_stride < sizeof *g->values || g->node_stride < sizeof *g->nodes || g->block_stride < sizeof *g->blocks ||
        g->n_blocks == 0 || g->n_order == 0) {
        tn_issue(v->issues, "graph", "strides are too small, or there are no blocks, or none is run");
        return false;
    }
    for (uint32_t i = 0; i < g->n_values; i++)
        check_value(v, i);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct tenon_node *n = tenon_graph_node(g, i);
        if (n->name == NULL || n->op == NULL || n->block >= g->n_blocks || n->n_in > TN_SIG_OPERANDS || n->n_out > TN_SIG_OPERANDS ||
            !indices_fit(n->in, n->n_in, g->n_values, true) || !indices_fit(n->out, n->n_out, g->n_values, false) ||
            n->n_attrs > TN_SIG_ATTRS || (n->n_attrs > 0 && n->attr_stride != sizeof *n->attrs))
            tn_issue(v->issues, n->name != NULL ? n->name : "node", "the node's lists are broken");
    }
    for (uint32_t i = 0; i < g->n_blocks; i++) {
        const struct tenon_block *b = tenon_graph_block(g, i);
        if (b->name == NULL || b->first_node > g->n_nodes || b->n_nodes > g->n_nodes - b->first_node ||
            !indices_fit(b->args, b->n_args, g->n_values, false) || !indices_fit(b->rets, b->n_rets, g->n_values, false))
            tn_issue(v->issues, b->name != NULL ? b->name : "block", "the block's lists are broken");
    }
    for (uint32_t i = 0; i < g->n_order; i++)
        if (g->order[i].block >= g->n_blocks)
            tn_issue(v->issues, "order", "entry %u names block %u of %u", i, g->order[i].block, g->n_blocks);
    if (!indices_fit(g->inputs, g->n_inputs, g->n_values, false))
        tn_issue(v->issues, "inputs", "the list is broken");
    return v->issues->n == before;
}

/* ---- inputs ------------------------------------------------------------------------------------------------- */

static bool same_type(const struct tn_type *a, const struct tn_type *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (uint32_t i = 0; same && i < a->rank; i++)
        same = tn_dim_equal(&a->dims[i], &b->dims[i]);
    return same;
}

static void check_inputs(const struct verifier *v)
{
    for (uint32_t i = 0; i < v->g->n_inputs; i++) {
        const struct tenon_value *value = tenon_graph_value(v->g, v->g->inputs[i]);
        struct tn_type have = tn_value_type(value), want;
        char a[TN_TYPE_TEXT], b[TN_TYPE_TEXT];
        if (value->kind != TENON_VALUE_INPUT || value->index != i)
            tn_issue(v->issues, value->name, "it is listed as input %u, but is not that", i);
        else if (tn_step_input_type(value->name, &want) && !same_type(&have, &want))
            tn_issue(v->issues, value->name, "the input is %s, but a step input of this name is %s",
                     tn_type_text(&have, a, sizeof a), tn_type_text(&want, b, sizeof b));
    }
}

/* ---- states ------------------------------------------------------------------------------------------------- */

uint32_t tn_state_root(const struct tenon_graph *g, uint32_t value)
{
    for (uint32_t steps = 0; value < g->n_values && steps <= g->n_nodes; steps++) {
        const struct tenon_value *v = tenon_graph_value(g, value);
        if (v->dtype != TENON_DTYPE_STATE || v->kind == TENON_VALUE_STATE)
            return v->kind == TENON_VALUE_STATE ? value : TENON_NO_VALUE;
        if (v->producer >= g->n_nodes)
            return TENON_NO_VALUE;
        const struct tenon_node *n = tenon_graph_node(g, v->producer);
        value = TENON_NO_VALUE;
        for (uint32_t i = 0; i < n->n_in && value == TENON_NO_VALUE; i++)
            if (n->in[i] != TENON_NO_VALUE && tenon_graph_value(g, n->in[i])->dtype == TENON_DTYPE_STATE)
                value = n->in[i];
    }
    return TENON_NO_VALUE;
}

/* Operand `name` of the node must be the step input `stem` of the state's group ("state_slot" has no groups). */
static void check_group_input(const struct verifier *v, const char *where, const struct tenon_node *n,
                              const struct tn_signature *sig, const char *name, const char *stem, const struct tenon_state_desc *state)
{
    uint32_t at = tn_signature_in(sig, name), group = 0;
    if (at >= n->n_in || n->in[at] == TENON_NO_VALUE)
        return;
    const struct tenon_value *value = tenon_graph_value(v->g, n->in[at]);
    bool slot = strcmp(stem, "state_slot") == 0;
    bool fits = value->kind == TENON_VALUE_INPUT &&
                (slot ? strcmp(value->name, stem) == 0 : tn_step_input_group(value->name, stem, &group) && group == state->group);
    if (slot && !fits)
        tn_issue(v->issues, where, "%s is '%s', but must be the step input state_slot", name, value->name);
    else if (!fits)
        tn_issue(v->issues, where, "%s is '%s', but state '%s' belongs to group %u: it must be %s.%u", name, value->name,
                 state->name, state->group, stem, state->group);
}

static void check_head(const struct verifier *v, const char *where, const char *what, int64_t have, uint32_t want,
                       const struct tenon_state_desc *state)
{
    if (have != (int64_t)want)
        tn_issue(v->issues, where, "%s is %lld, but state '%s' was declared with %u", what, (long long)have, state->name, want);
}

static void check_kv_shape(const struct verifier *v, const char *where, const struct tenon_node *n,
                           const struct tn_signature *sig, const struct tenon_state_desc *state)
{
    uint32_t k = tn_signature_in(sig, "k"), val = tn_signature_in(sig, "v");
    if (strcmp(n->op, "core.kv_store/1") == 0) {
        const struct tenon_value *kv = tenon_graph_value(v->g, n->in[k]);
        check_head(v, where, "k's number of heads", kv->dims[1].b, state->k_heads, state);
        check_head(v, where, "k's head size", kv->dims[2].b, state->k_dim, state);
        if (val < n->n_in && n->in[val] != TENON_NO_VALUE) {
            check_head(v, where, "v's number of heads", tenon_graph_value(v->g, n->in[val])->dims[1].b, state->v_heads, state);
            check_head(v, where, "v's head size", tenon_graph_value(v->g, n->in[val])->dims[2].b, state->v_dim, state);
        }
    } else if (strcmp(n->op, "core.attention/1") == 0) {
        check_head(v, where, "kv_heads", tenon_node_i64(n, "kv_heads", 0), state->k_heads, state);
        check_head(v, where, "k_dim", tenon_node_i64(n, "k_dim", 0), state->k_dim, state);
        check_head(v, where, "v_dim", tenon_node_i64(n, "v_dim", 0), state->v_dim, state);
    } else if (strcmp(n->op, "core.kv_load/1") == 0) {
        check_head(v, where, "k_heads", tenon_node_i64(n, "k_heads", 0), state->k_heads, state);
        check_head(v, where, "k_dim", tenon_node_i64(n, "k_dim", 0), state->k_dim, state);
        check_head(v, where, "v_heads", tenon_node_i64(n, "v_heads", 0), state->v_heads, state);
        check_head(v, where, "v_dim", tenon_node_i64(n, "v_dim", 0), state->v_dim, state);
    }
}

static void check_state_use(const struct verifier *v, const char *where, const struct tenon_node *n,
                            const struct tn_signature *sig)
{
    uint32_t root = TENON_NO_VALUE;
    for (uint32_t i = 0; i < n->n_in && root == TENON_NO_VALUE; i++)
        if (n->in[i] != TENON_NO_VALUE && tenon_graph_value(v->g, n->in[i])->dtype == TENON_DTYPE_STATE)
            root = tn_state_root(v->g, n->in[i]);
    if (root == TENON_NO_VALUE || v->env == NULL || v->env->state_at == NULL)
        return;
    const struct tenon_state_desc *state = v->env->state_at(v->env->ctx, tenon_graph_value(v->g, root)->index);
    if (state == NULL) {
        tn_issue(v->issues, where, "state '%s' is not declared", tenon_graph_value(v->g, root)->name);
        return;
    }
    if (state->kind == TENON_STATE_KV_PAGED || state->kind == TENON_STATE_KV_LATENT) {
        check_group_input(v, where, n, sig, "block_table", "block_table", state);
        check_group_input(v, where, n, sig, "slot", "slot_of_token", state);
        check_kv_shape(v, where, n, sig, state);
    } else {
        check_group_input(v, where, n, sig, "slot", "state_slot", state);
    }
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

static bool seen_before(const struct verifier *v, const struct tenon_value *value, uint32_t node, uint32_t block)
{
    if (value->block == TENON_NO_VALUE)
        return true;
    if (value->block == block)
        return value->kind == TENON_VALUE_ARG || value->producer < node;
    return value->kind == TENON_VALUE_NODE && v->runs[value->block] == 1 && v->runs[block] > 0 &&
           v->first_run[value->block] < v->first_run[block];
}

static void check_operands_visible(const struct verifier *v, const char *where, uint32_t number, const struct tenon_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == TENON_NO_VALUE)
            continue;
        const struct tenon_value *value = tenon_graph_value(v->g, n->in[i]);
        if (!seen_before(v, value, number, n->block))
            tn_issue(v->issues, where, "operand %u, '%s', is %s", i, value->name,
                     value->block == n->block ? "made later: nodes stand in an order in which they can run"
                                              : "of another block, which does not run exactly once and earlier");
    }
}

static void check_outputs(const struct verifier *v, const char *where, uint32_t number, const struct tenon_node *n,
                          const struct tn_op_use *use)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        const struct tenon_value *value = tenon_graph_value(v->g, n->out[i]);
        struct tn_type have = tn_value_type(value);
        char a[TN_TYPE_TEXT], b[TN_TYPE_TEXT];
        if (value->kind != TENON_VALUE_NODE || value->producer != number || value->index != i || value->block != n->block)
            tn_issue(v->issues, where, "output %u, '%s', does not name this node as its producer", i, value->name);
        if (use->out[i].dtype != 0 && !same_type(&have, &use->out[i]))
            tn_issue(v->issues, where, "output '%s' is %s, but %s gives %s", value->name, tn_type_text(&have, a, sizeof a), n->op,
                     tn_type_text(&use->out[i], b, sizeof b));
    }
}

static void check_node(const struct verifier *v, uint32_t number)
{
    const struct tenon_node *n = tenon_graph_node(v->g, number);
    struct tn_type types[TN_SIG_OPERANDS] = {{0}};
    struct tn_signature sig;
    struct tenon_err err = TENON_ERR_INIT;
    char where[224];

    (void)snprintf(where, sizeof where, "%s.%s", tenon_graph_block(v->g, n->block)->name, n->name);
    check_operands_visible(v, where, number, n);
    if (tn_op_signature(n->op, v->lookup, &sig, &err) != 0) {
        tn_issue(v->issues, where, "%s", err.message);
        return;
    }
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != TENON_NO_VALUE)
            types[i] = tn_value_type(tenon_graph_value(v->g, n->in[i]));
    struct tn_op_use use = {.sig = &sig, .op = n->op, .where = where, .in = types, .n_in = n->n_in, .attrs = n->attrs,
                            .n_attrs = n->n_attrs, .issues = v->issues};
    if (n->n_out != sig.n_out) {
        tn_issue(v->issues, where, "%s has %u outputs, not %u", n->op, sig.n_out, n->n_out);
        return;
    }
    uint32_t bad = tn_signature_infer(&use);
    check_outputs(v, where, number, n, &use);
    if (bad == 0)
        check_state_use(v, where, n, &sig);
}

/* ---- blocks and order --------------------------------------------------------------------------------------- */

static void check_names(const struct verifier *v, uint32_t block)
{
    const struct tenon_block *b = tenon_graph_block(v->g, block);
    struct tn_map names = {0};
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        const char *name = tenon_graph_node(v->g, b->first_node + i)->name;
        if (tn_map_find(&names, name, strlen(name)) != NULL)
            tn_issue(v->issues, b->name, "two nodes are named '%s'", name);
        (void)tn_map_put(&names, name, strlen(name), NULL); /* out of memory: a double name may pass, no more */
    }
    tn_map_finish(&names, NULL);
}

static void check_block(const struct verifier *v, uint32_t block)
{
    const struct tenon_block *b = tenon_graph_block(v->g, block);
    for (uint32_t i = 0; i < b->n_nodes; i++)
        if (tenon_graph_node(v->g, b->first_node + i)->block != block)
            tn_issue(v->issues, b->name, "node %u stands in its range, but belongs to another block", i);
    for (uint32_t i = 0; i < b->n_args; i++) {
        const struct tenon_value *a = tenon_graph_value(v->g, b->args[i]);
        if (a->kind != TENON_VALUE_ARG || a->index != i || a->block != block)
            tn_issue(v->issues, b->name, "arg %u is not an arg of this block", i);
    }
    for (uint32_t i = 0; i < b->n_rets; i++) {
        const struct tenon_value *r = tenon_graph_value(v->g, b->rets[i]);
        if (r->block != block || r->dtype == TENON_DTYPE_STATE)
            tn_issue(v->issues, b->name, "it returns '%s', which is no tensor of its own", r->name);
    }
    if (v->runs[block] == 0)
        tn_issue(v->issues, b->name, "the block is never run");
    check_names(v, block);
}

static void check_passing(const struct verifier *v, uint32_t at)
{
    const struct tenon_block *next = tenon_graph_block(v->g, v->g->order[at].block);
    const struct tenon_block *prev = at > 0 ? tenon_graph_block(v->g, v->g->order[at - 1].block) : NULL;
    uint32_t n = prev != NULL ? prev->n_rets : 0;
    if (n != next->n_args) {
        tn_issue(v->issues, next->name, "it takes %u args, but %s%s passes %u", next->n_args,
                 prev != NULL ? "block " : "the start", prev != NULL ? prev->name : "", n);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct tn_type have = tn_value_type(tenon_graph_value(v->g, prev->rets[i]));
        struct tn_type want = tn_value_type(tenon_graph_value(v->g, next->args[i]));
        char a[TN_TYPE_TEXT], b[TN_TYPE_TEXT];
        if (!same_type(&have, &want))
            tn_issue(v->issues, next->name, "arg %u is %s, but block %s returns %s", i, tn_type_text(&want, b, sizeof b),
                     prev->name, tn_type_text(&have, a, sizeof a));
    }
}

/* Has a weight or state this layer? True where that is not known. */
static bool has_layer(const struct verifier *v, const struct tenon_value *value, uint32_t layer)
{
    if (v->env == NULL)
        return true;
    if (value->kind == TENON_VALUE_WEIGHT)
        return v->env->weight_has_layer == NULL || v->env->weight_has_layer(v->env->ctx, value->index, layer);
    const struct tenon_state_desc *s = v->env->state_at != NULL ? v->env->state_at(v->env->ctx, value->index) : NULL;
    if (s != NULL && s->layer_map != NULL) /* the map's length is the model's: layers are checked by weights */
        return s->layer_map[layer] >= 0 && (uint32_t)s->layer_map[layer] < s->n_layers;
    return s == NULL || layer < s->n_layers;
}

static void check_layers(const struct verifier *v, uint32_t at)
{
    const struct tenon_instance *instance = &v->g->order[at];
    const struct tenon_block *b = tenon_graph_block(v->g, instance->block);
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        const struct tenon_node *n = tenon_graph_node(v->g, b->first_node + i);
        for (uint32_t k = 0; k < n->n_in; k++) {
            const struct tenon_value *value = n->in[k] != TENON_NO_VALUE ? tenon_graph_value(v->g, n->in[k]) : NULL;
            char where[224];
            if (value == NULL || value->layered == 0)
                continue;
            (void)snprintf(where, sizeof where, "%s.%s", b->name, n->name);
            if (instance->layer < 0) {
                tn_issue(v->issues, where, "'%s' is layered, but the block runs without a layer", value->name);
                continue;
            }
            if (!has_layer(v, value, (uint32_t)instance->layer))
                tn_issue(v->issues, where, "'%s' has no layer %d", value->name, instance->layer);
        }
    }
}

static void count_runs(struct verifier *v)
{
    for (uint32_t i = 0; i < v->g->n_blocks; i++)
        v->first_run[i] = UINT32_MAX;
    for (uint32_t i = v->g->n_order; i-- > 0;) {
        v->first_run[v->g->order[i].block] = i;
        v->runs[v->g->order[i].block]++;
    }
}

static void check_all(struct verifier *v)
{
    count_runs(v);
    check_inputs(v);
    for (uint32_t i = 0; i < v->g->n_blocks; i++)
        check_block(v, i);
    for (uint32_t i = 0; i < v->g->n_nodes; i++)
        check_node(v, i);
    for (uint32_t i = 0; i < v->g->n_order; i++) {
        check_passing(v, i);
        check_layers(v, i);
    }
}

uint32_t tn_verify(const struct tenon_graph *g, const struct tn_build_env *env, const struct tn_op_lookup *lookup,
                   struct tn_issues *issues)
{
    struct verifier v = {.g = g, .env = env, .lookup = lookup, .issues = issues};
    uint32_t before = issues->n;
    if (!check_arrays(&v))
        return issues->n - before;
    v.first_run = calloc(g->n_blocks, sizeof *v.first_run);
    v.runs = calloc(g->n_blocks, sizeof *v.runs);
    if (v.first_run == NULL || v.runs == NULL)
        tn_issue(issues, "graph", "out of memory while verifying");
    else
        check_all(&v);
    free(v.first_run);
    free(v.runs);
    return issues->n - before;
}
