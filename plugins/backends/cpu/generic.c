/* generic.c - which tier 0 ops the generic path has, what threads may share of each, and what it refuses at compile.
 *
 * Work is cut along the first dim of the result, and only where every slab of it depends on the same slab of some operands and on
 * the whole of the others; other ops are left to one thread. So nobody's bits depend on the number of threads. compile:
 * [any-thread]; cpu_generic_run: threads of the pool. Contract: generic.h. */
#include "native.h"

/* ---- what can be cut: operands that go along with the result's first dim, one bit each; 0: nothing can ---- */

typedef uint32_t cut_fn(const struct cpu_call *c);

static bool same_first(const struct cpu_tensor *a, const struct cpu_tensor *b)
{
    return a->shape.rank == b->shape.rank && a->shape.rank > 0 && cpu_dim(a, 0) == cpu_dim(b, 0);
}

/* y[i] from x[i] and from such operands as have x's shape. */
static uint32_t cut_pointwise(const struct cpu_call *c)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < c->node->n_in; i++)
        if (same_first(&c->in[i], &c->out[0]))
            bits |= 1u << i;
    return bits & 1u ? bits : 0;
}

/* y[...,:] from x[...,:]; a vector is a single row. */
static uint32_t cut_lines(const struct cpu_call *c)
{
    return c->in[0].shape.rank >= 2 ? 1u : 0;
}

static uint32_t cut_two_lines(const struct cpu_call *c)
{
    return c->in[0].shape.rank >= 2 ? 3u : 0;
}

/* A sink is an entry for each dim before the last: that one must stay whole. */
static uint32_t cut_softmax(const struct cpu_call *c)
{
    return c->in[0].shape.rank >= (c->in[1].p != NULL ? 3 : 2) ? 1u : 0;
}

static uint32_t cut_batch(const struct cpu_call *c)
{
    return c->in[0].shape.rank >= 3 ? 3u : 0;
}

static uint32_t cut_tokens(const struct cpu_call *c)
{
    (void)c;
    return 3u; /* x or position, and position or seq_of_token */
}

static uint32_t cut_broadcast(const struct cpu_call *c)
{
    return same_first(&c->in[0], &c->out[0]) ? 1u : 0;
}

static uint32_t cut_transpose(const struct cpu_call *c)
{
    return c->in[0].shape.rank > 0 && tenon_node_attr(c->node, "perm")->list[0] == 0 ? 1u : 0;
}

/* slice and concat along another dim than the first. */
static uint32_t cut_axis(const struct cpu_call *c)
{
    int64_t axis = tenon_node_i64(c->node, "axis", 0);
    uint32_t all = c->op == TENON_OPN_CONCAT ? 3u : 1u;
    return axis == 0 || axis + c->in[0].shape.rank == 0 ? 0 : all;
}

/* ---- the table ---- */

static const struct adaptor {
    uint32_t op;
    cpu_adaptor *run;
    cut_fn *cut; /* NULL: one thread does it */
    bool shares; /* the adaptor itself takes part c->i of c->n */
} adaptors[] = {
    { TENON_OPN_MATMUL, cpu_g_matmul, cut_lines, false },
    { TENON_OPN_GROUPED_MATMUL, cpu_g_grouped_matmul, NULL, true },
    { TENON_OPN_BATCH_MATMUL, cpu_g_batch_matmul, cut_batch, false },
    { TENON_OPN_ADD, cpu_g_binary, cut_pointwise, false },
    { TENON_OPN_SUB, cpu_g_binary, cut_pointwise, false },
    { TENON_OPN_MUL, cpu_g_binary, cut_pointwise, false },
    { TENON_OPN_DIV, cpu_g_binary, cut_pointwise, false },
    { TENON_OPN_MAXIMUM, cpu_g_binary, cut_pointwise, false },
    { TENON_OPN_AFFINE, cpu_g_elementwise, cut_pointwise, false },
    { TENON_OPN_UNARY, cpu_g_elementwise, cut_pointwise, false },
    { TENON_OPN_CLAMP, cpu_g_elementwise, cut_pointwise, false },
    { TENON_OPN_SOFTCAP, cpu_g_elementwise, cut_pointwise, false },
    { TENON_OPN_SELECT, cpu_g_select, cut_pointwise, false },
    { TENON_OPN_REDUCE, cpu_g_reduce, cut_lines, false },
    { TENON_OPN_ARGMAX, cpu_g_argmax, cut_lines, false },
    { TENON_OPN_TOP_K, cpu_g_top_k, cut_lines, false },
    { TENON_OPN_SOFTMAX, cpu_g_softmax, cut_softmax, false },
    { TENON_OPN_CUMSUM, cpu_g_cumsum, NULL, false },
    { TENON_OPN_RMS_NORM, cpu_g_norm, cut_lines, false },
    { TENON_OPN_LAYER_NORM, cpu_g_norm, cut_lines, false },
    { TENON_OPN_L2_NORM, cpu_g_norm, cut_lines, false },
    { TENON_OPN_GROUP_NORM, cpu_g_norm, cut_lines, false },
    { TENON_OPN_ROPE, cpu_g_rope, cut_tokens, false },
    { TENON_OPN_ATTN_MASK, cpu_g_attn_mask, cut_tokens, false },
    { TENON_OPN_GATHER, cpu_g_gather, NULL, false },
    { TENON_OPN_TAKE, cpu_g_take, cut_two_lines, false },
    { TENON_OPN_SCATTER_ADD, cpu_g_scatter_add, NULL, false },
    { TENON_OPN_CONCAT, cpu_g_concat, cut_axis, false },
    { TENON_OPN_SLICE, cpu_g_slice, cut_axis, false },
    { TENON_OPN_TRANSPOSE, cpu_g_transpose, cut_transpose, false },
    { TENON_OPN_BROADCAST, cpu_g_broadcast, cut_broadcast, false },
    { TENON_OPN_CONVERT, cpu_g_convert, cut_pointwise, false },
    { TENON_OPN_TO_ACT, cpu_g_convert, cut_pointwise, false },
    { TENON_OPN_BITS, cpu_g_bits, cut_lines, false },
    { TENON_OPN_IOTA, cpu_g_iota, NULL, false },
    { TENON_OPN_FILL, cpu_g_fill, NULL, false },
    { TENON_OPN_COMPARE, cpu_g_compare, cut_pointwise, false },
    { TENON_OPN_KV_STORE, cpu_g_kv_store, NULL, false },
    { TENON_OPN_KV_LOAD, cpu_g_kv_load, NULL, true },
    { TENON_OPN_SLOT_LOAD, cpu_g_slot_load, NULL, false },
    { TENON_OPN_SLOT_STORE, cpu_g_slot_store, NULL, false },
    { TENON_OPN_CONV_SCAN, cpu_g_scan, NULL, false },
    { TENON_OPN_LINEAR_SCAN, cpu_g_scan, NULL, false },
    { TENON_OPN_OUTER_SCAN, cpu_g_scan, NULL, false },
    { TENON_OPN_RANDOM, cpu_g_random, NULL, false },
};

static const struct adaptor *find(uint32_t op)
{
    for (size_t i = 0; i < sizeof adaptors / sizeof adaptors[0]; i++)
        if (adaptors[i].op == op)
            return &adaptors[i];
    return NULL;
}

bool cpu_generic_has(uint32_t op)
{
    return find(op) != NULL;
}

/* ---- running ---- */

/* Leave rows r0..r1 of the first dim. */
static void keep_rows(struct cpu_tensor *t, int64_t r0, int64_t r1)
{
    int64_t row = cpu_product(t, 1, t->shape.rank);
    int64_t bytes = t->dtype == TENON_DTYPE_F16 || t->dtype == TENON_DTYPE_BF16 ? 2 : 4;
    t->p = (uint8_t *)t->p + r0 * row * bytes;
    t->shape.dims[0] = r1 - r0;
    t->n = (r1 - r0) * row;
}

/* Leave this thread's part of a call that can be cut; false: there is none. */
static bool cut(struct cpu_call *c, uint32_t operands)
{
    int64_t rows = cpu_dim(&c->out[0], 0), r0 = rows * c->i / c->n, r1 = rows * (c->i + 1) / c->n;
    for (uint32_t i = 0; i < CPU_CALL_IN; i++)
        if (operands >> i & 1u)
            keep_rows(&c->in[i], r0, r1);
    for (uint32_t i = 0; i < c->node->n_out; i++)
        keep_rows(&c->out[i], r0, r1);
    return r1 > r0;
}

void cpu_generic_run(const struct cpu_call *c)
{
    const struct adaptor *a = find(c->op);
    struct cpu_call mine = *c;
    uint32_t operands = a->cut != NULL ? a->cut(c) : 0;
    if (a->shares || (operands != 0 ? cut(&mine, operands) : c->i == 0))
        a->run(&mine);
}

/* ---- checks ---- */

static bool is_float(int32_t dtype)
{
    return dtype == TENON_DTYPE_ACT || dtype == TENON_DTYPE_F32 || dtype == TENON_DTYPE_WEIGHT;
}

/* Both operands of a binary op as one type: floats, or for compare i32 too. */
static int32_t check_pair(const struct tenon_graph *g, const struct tenon_node *n, bool ints, struct tenon_err *err)
{
    int32_t a = tenon_graph_value(g, n->in[0])->dtype, b = tenon_graph_value(g, n->in[1])->dtype;
    if ((is_float(a) && is_float(b)) || (ints && a == TENON_DTYPE_I32 && b == a))
        return 0;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, n->name, "%s of these two types: use core.convert first", n->op);
}

static int32_t check_kind(const struct tenon_node *n, uint32_t op, struct tenon_err *err)
{
    static const struct tenon_ref_shape none = { 1, { 0 } };
    const char *kind = tenon_node_str(n, "kind", "");
    int32_t status = op == TENON_OPN_UNARY ? tenon_ref_unary(kind, 0, NULL, NULL) :
                     op == TENON_OPN_REDUCE ? tenon_ref_reduce(kind, 0, 0, NULL, NULL) :
                     op == TENON_OPN_COMPARE ? tenon_ref_compare(kind, &none, NULL, &none, NULL, NULL) : 0;
    return status == 0 ? 0 : tenon_fail(err, TENON_E_UNIMPLEMENTED, n->name, "%s has no kind '%s'", n->op, kind);
}

/* Weights of generic ops are handed on as the floats of their value: the file must hold that many. */
static int32_t check_weights(const struct tenon_executable *exe, const struct tenon_node *n, struct tenon_err *err)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        uint32_t root = cpu_root(exe, n->in[i]);
        if (root == TENON_NO_VALUE || tenon_graph_value(exe->graph, root)->kind != TENON_VALUE_WEIGHT)
            continue;
        const struct cpu_weight *w = &exe->weights[exe->weight_base[root]];
        if (cpu_elements(tenon_graph_value(exe->graph, n->in[i]), &exe->bucket) != w->m.rows * w->m.cols)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, n->name, "weight %s is bound with %lld x %lld elements", w->name,
                              (long long)w->m.rows, (long long)w->m.cols);
    }
    return 0;
}

static bool has_state(const struct tenon_graph *g, const struct tenon_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != TENON_NO_VALUE && tenon_graph_value(g, n->in[i])->dtype == TENON_DTYPE_STATE)
            return true;
    return false;
}

int32_t cpu_generic_check(const struct tenon_executable *exe, const struct tenon_node *n, struct tenon_err *err)
{
    uint32_t op = tenon_op_find(n->op);
    int32_t status = 0;
    if (op == TENON_OPN_ALL_REDUCE || op == TENON_OPN_ALL_GATHER)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, n->name, "%s: the CPU backend runs on one device and has no communicator",
                          n->op);
    bool native = cpu_native_of(exe->graph, n) != NULL;
    if ((find(op) == NULL && !native) || n->n_in > CPU_CALL_IN || n->n_out > CPU_CALL_OUT)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, n->name, "%s is not known to the CPU backend", n->op);
    if (!native && (find(op)->run == cpu_g_binary || op == TENON_OPN_COMPARE))
        status = check_pair(exe->graph, n, op == TENON_OPN_COMPARE, err);
    if (status == 0)
        status = check_kind(n, op, err);
    if (status == 0)
        status = check_weights(exe, n, err);
    return status == 0 && has_state(exe->graph, n) ? cpu_generic_check_state(exe, n, err) : status;
}
