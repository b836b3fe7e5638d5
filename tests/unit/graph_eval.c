/* Maps every tier 0 node to its function of tenon-reference. One thread. Contract: graph_eval.h. */
#include "graph_eval.h"

#include <check.h>
#include <stdlib.h>

#include <tenon/ops.h>

#define EVAL_IN 16

/* A node about to run: operands with absent ones zeroed. */
struct call {
    const struct eval *e;
    const struct tenon_node *n;
    struct eval_tensor in[EVAL_IN];
    struct eval_tensor *out[2];
};

static int64_t last(const struct eval_tensor *t) { return t->shape.rank > 0 ? t->shape.dims[t->shape.rank - 1] : 1; }
static int64_t rows(const struct eval_tensor *t) { return last(t) != 0 ? t->n / last(t) : 0; }
static int64_t dim(const struct eval_tensor *t, int i) { return t->shape.dims[i]; }
static double f64(const struct call *c, const char *name, double absent) { return tenon_node_f64(c->n, name, absent); }
static int64_t i64(const struct call *c, const char *name, int64_t absent) { return tenon_node_i64(c->n, name, absent); }

static void set_shape(const struct eval *e, const struct tenon_value *v, struct eval_tensor *t)
{
    t->dtype = v->dtype;
    t->shape.rank = v->rank;
    t->n = 1;
    for (uint32_t i = 0; i < v->rank; i++) {
        t->shape.dims[i] = tenon_dim_value(&v->dims[i], &e->dims);
        t->n *= t->shape.dims[i];
    }
}

static void give(const struct eval *e, uint32_t value, struct eval_tensor *t)
{
    set_shape(e, tenon_graph_value(e->g, value), t);
    t->p = calloc((size_t)t->n + 1, 4);
    ck_assert_ptr_nonnull(t->p);
    t->owned = 1;
}

static void drop(struct eval_tensor *t)
{
    if (t->owned)
        free(t->p);
    memset(t, 0, sizeof *t);
}

/* ---- ops ---------------------------------------------------------------------------------------------------- */

static void run_binary(struct call *c, uint32_t op)
{
    struct eval_tensor *a = &c->in[0], *b = &c->in[1], *y = c->out[0];
    switch (op) {
    case TENON_OPN_ADD: tenon_ref_add(&a->shape, a->f, &b->shape, b->f, y->f); break;
    case TENON_OPN_SUB: tenon_ref_sub(&a->shape, a->f, &b->shape, b->f, y->f); break;
    case TENON_OPN_MUL: tenon_ref_mul(&a->shape, a->f, &b->shape, b->f, y->f); break;
    case TENON_OPN_DIV: tenon_ref_div(&a->shape, a->f, &b->shape, b->f, y->f); break;
    default: tenon_ref_maximum(&a->shape, a->f, &b->shape, b->f, y->f); break;
    }
}

static void run_compare(struct call *c)
{
    const char *kind = tenon_node_str(c->n, "kind", "");
    struct eval_tensor *a = &c->in[0], *b = &c->in[1];
    int32_t status = a->dtype == TENON_DTYPE_I32 ? tenon_ref_compare_i32(kind, &a->shape, a->i, &b->shape, b->i, c->out[0]->i)
                                                 : tenon_ref_compare(kind, &a->shape, a->f, &b->shape, b->f, c->out[0]->i);
    ck_assert_int_eq(a->dtype == TENON_DTYPE_I32, b->dtype == TENON_DTYPE_I32);
    ck_assert_int_eq(status, 0);
}

static void run_rope(struct call *c)
{
    struct tenon_ref_rope r = {i64(c, "n_rot", 0), f64(c, "base", 0), strcmp(tenon_node_str(c->n, "layout", "half"), "half") != 0,
                               f64(c, "scale", 1), f64(c, "ext_factor", 0), f64(c, "attn_factor", 1), f64(c, "beta_fast", 32),
                               f64(c, "beta_slow", 1), i64(c, "original_context", 0)};
    tenon_ref_rope(&r, dim(&c->in[0], 0), dim(&c->in[0], 1), dim(&c->in[0], 2), c->in[0].f, c->in[1].i, c->in[2].f, c->out[0]->f);
}

static void run_matmul(struct call *c, uint32_t op)
{
    struct eval_tensor *a = &c->in[0], *b = &c->in[1], *y = c->out[0];
    int r = (int)a->shape.rank;
    if (op == TENON_OPN_MATMUL) {
        tenon_ref_matmul(rows(a), dim(b, 0), dim(b, 1), a->f, b->f, c->in[2].f, y->f);
    } else if (op == TENON_OPN_BATCH_MATMUL) {
        int64_t m = dim(a, r - 2), k = dim(a, r - 1), n = dim(b, r - 2);
        tenon_ref_batch_matmul(m * k != 0 ? a->n / (m * k) : 0, m, n, k, a->f, b->f, y->f);
    } else {
        struct tenon_ref_grouped g = {.a = dim(a, 0), .v = dim(&c->in[2], 1), .u = dim(a, 1), .e = dim(b, 0), .n = dim(b, 1), .k = dim(b, 2)};
        tenon_ref_grouped_matmul(&g, a->f, b->f, c->in[2].i, c->in[3].f, y->f);
    }
}

static void run_gather(struct call *c)
{
    struct eval_tensor *x = &c->in[0], *y = c->out[0];
    int64_t n = dim(x, 0), row = n != 0 ? x->n / n : 0;
    if (x->dtype == TENON_DTYPE_I32)
        tenon_ref_gather_i32(n, row, x->i, c->in[1].n, c->in[1].i, y->i);
    else
        tenon_ref_gather(f64(c, "scale", 1), n, row, x->f, c->in[1].n, c->in[1].i, y->f);
}

static void run_scan(struct call *c, uint32_t op)
{
    uint32_t at = c->n->n_in - 3; /* state, slot, seq_start end every scan's operands */
    struct tenon_ref_seqs q = {dim(&c->in[at + 1], 0), c->in[at + 1].i, c->in[at + 2].i};
    float *state = c->in[at].f, *y = c->out[0]->f;
    if (op == TENON_OPN_CONV_SCAN) {
        tenon_ref_conv_scan(&q, dim(&c->in[1], 0), dim(&c->in[1], 1), c->in[0].f, c->in[1].f, c->in[2].f, state, y);
    } else if (op == TENON_OPN_LINEAR_SCAN) {
        tenon_ref_linear_scan(&q, dim(&c->in[0], 1), c->in[0].f, c->in[1].f, state, y);
    } else {
        struct tenon_ref_outer o = {dim(&c->in[1], 1), dim(&c->in[1], 2), dim(&c->in[2], 2), c->in[0].f, c->in[1].f, c->in[2].f,
                                    c->in[3].f, c->in[4].f};
        tenon_ref_outer_scan(&q, &o, state, y);
    }
    c->out[1]->p = state; /* the same state, after */
}

static void run_state(struct call *c, uint32_t op)
{
    const struct tenon_ref_kv *kv = c->in[0].p;
    if (op == TENON_OPN_KV_STORE) {
        tenon_ref_kv_store(kv, dim(&c->in[1], 0), c->in[1].f, c->in[2].f, c->in[3].i);
        c->out[0]->p = c->in[0].p;
    } else {
        ck_assert_int_eq(dim(c->out[0], 1), dim(&c->in[1], 1) * kv->page_tokens);
        tenon_ref_kv_load(kv, dim(&c->in[1], 0), dim(&c->in[1], 1), c->in[1].i, c->out[0]->f, kv->v_heads > 0 ? c->out[1]->f : NULL);
    }
}

static void run_slot(struct call *c, uint32_t op)
{
    struct eval_tensor *slot = &c->in[1], *x = op == TENON_OPN_SLOT_LOAD ? c->out[0] : &c->in[2];
    int64_t s = dim(slot, 0), n = s != 0 ? x->n / s : 0;
    if (op == TENON_OPN_SLOT_LOAD) {
        tenon_ref_slot_load(n, c->in[0].f, s, slot->i, x->f);
    } else {
        tenon_ref_slot_store(n, c->in[0].f, s, slot->i, x->f);
        c->out[0]->p = c->in[0].p;
    }
}

static void run_scatter(struct call *c)
{
    struct eval_tensor *base = &c->in[0];
    int64_t n = dim(base, 0);
    tenon_ref_scatter_add(n, n != 0 ? base->n / n : 0, base->f, c->in[1].n, c->in[1].i, c->in[2].f, c->out[0]->f);
}

static void run_move(struct call *c, uint32_t op)
{
    struct eval_tensor *x = &c->in[0], *y = c->out[0];
    int64_t perm[TENON_RANK_MAX];
    switch (op) {
    case TENON_OPN_RESHAPE: case TENON_OPN_TO_ACT: memcpy(y->p, x->p, (size_t)x->n * 4); break;
    case TENON_OPN_CONVERT:
        for (int64_t i = 0; i < x->n; i++)
            y->f[i] = x->dtype == TENON_DTYPE_I32 ? (float)x->i[i] : x->dtype == TENON_DTYPE_U32 ? (float)x->u[i] : x->f[i];
        break;
    case TENON_OPN_TRANSPOSE:
        memcpy(perm, tenon_node_attr(c->n, "perm")->list, (size_t)x->shape.rank * sizeof *perm);
        tenon_ref_transpose(perm, &x->shape, x->p, y->p);
        break;
    case TENON_OPN_BROADCAST: tenon_ref_broadcast(&x->shape, x->p, &y->shape, y->p); break;
    case TENON_OPN_SLICE: tenon_ref_slice(i64(c, "axis", 0), i64(c, "start", 0), i64(c, "length", 0), &x->shape, x->p, y->p); break;
    case TENON_OPN_CONCAT: tenon_ref_concat(i64(c, "axis", 0), &x->shape, x->p, &c->in[1].shape, c->in[1].p, y->p); break;
    case TENON_OPN_IOTA: tenon_ref_iota(rows(y), last(y), y->i); break;
    case TENON_OPN_FILL: tenon_ref_fill(f64(c, "value", 0), y->n, y->f); break;
    case TENON_OPN_TAKE: tenon_ref_take(rows(x), last(x), last(y), x->p, c->in[1].i, y->p); break;
    case TENON_OPN_BITS: tenon_ref_bits(rows(x), last(x), last(y), x->u, y->i); break;
    default: ck_abort_msg("%s: no such move", c->n->op);
    }
}

static void run_rows(struct call *c, uint32_t op)
{
    struct eval_tensor *x = &c->in[0], *y = c->out[0];
    switch (op) {
    case TENON_OPN_REDUCE: ck_assert_int_eq(tenon_ref_reduce(tenon_node_str(c->n, "kind", ""), rows(x), last(x), x->f, y->f), 0); break;
    case TENON_OPN_ARGMAX: tenon_ref_argmax(rows(x), last(x), x->f, y->i); break;
    case TENON_OPN_TOP_K: tenon_ref_top_k(rows(x), last(x), i64(c, "k", 0), x->f, y->f, c->out[1]->i); break;
    case TENON_OPN_SOFTMAX:
        tenon_ref_softmax(f64(c, "scale", 1), rows(x), last(x), x->f, c->in[1].p != NULL ? c->in[1].n : 1, c->in[1].f, y->f);
        break;
    case TENON_OPN_CUMSUM: tenon_ref_cumsum(dim(x, 0), dim(x, 0) != 0 ? x->n / dim(x, 0) : 0, x->f, y->f); break;
    case TENON_OPN_RMS_NORM: tenon_ref_rms_norm(f64(c, "eps", 0), rows(x), last(x), x->f, c->in[1].f, y->f); break;
    case TENON_OPN_L2_NORM: tenon_ref_l2_norm(f64(c, "eps", 0), rows(x), last(x), x->f, y->f); break;
    case TENON_OPN_LAYER_NORM: tenon_ref_layer_norm(f64(c, "eps", 0), rows(x), last(x), x->f, c->in[1].f, c->in[2].f, y->f); break;
    case TENON_OPN_GROUP_NORM:
        tenon_ref_group_norm(i64(c, "groups", 1), f64(c, "eps", 0), rows(x), last(x), x->f, c->in[1].f, y->f);
        break;
    default: ck_abort_msg("%s: no such op over rows", c->n->op);
    }
}

static void run_node(struct call *c)
{
    uint32_t op = tenon_op_find(c->n->op);
    struct eval_tensor *x = &c->in[0], *y = c->out[0];
    switch (op) {
    case TENON_OPN_MATMUL: case TENON_OPN_BATCH_MATMUL: case TENON_OPN_GROUPED_MATMUL: run_matmul(c, op); break;
    case TENON_OPN_ADD: case TENON_OPN_SUB: case TENON_OPN_MUL: case TENON_OPN_DIV: case TENON_OPN_MAXIMUM: run_binary(c, op); break;
    case TENON_OPN_COMPARE: run_compare(c); break;
    case TENON_OPN_UNARY: ck_assert_int_eq(tenon_ref_unary(tenon_node_str(c->n, "kind", ""), x->n, x->f, y->f), 0); break;
    case TENON_OPN_AFFINE: tenon_ref_affine(f64(c, "scale", 1), f64(c, "shift", 0), x->n, x->f, y->f); break;
    case TENON_OPN_CLAMP: tenon_ref_clamp(f64(c, "min", 0), f64(c, "max", 0), x->n, x->f, y->f); break;
    case TENON_OPN_SOFTCAP: tenon_ref_softcap(f64(c, "cap", 1), x->n, x->f, y->f); break;
    case TENON_OPN_SELECT: tenon_ref_select(y->n, x->i, c->in[1].p, c->in[2].p, y->p); break;
    case TENON_OPN_ROPE: run_rope(c); break;
    case TENON_OPN_ATTN_MASK:
        tenon_ref_attn_mask(i64(c, "window", 0), i64(c, "causal", 1), dim(y, 0), dim(y, 1), x->i, c->in[1].i, c->in[2].i, y->f);
        break;
    case TENON_OPN_GATHER: run_gather(c); break;
    case TENON_OPN_KV_STORE: case TENON_OPN_KV_LOAD: run_state(c, op); break;
    case TENON_OPN_CONV_SCAN: case TENON_OPN_LINEAR_SCAN: case TENON_OPN_OUTER_SCAN: run_scan(c, op); break;
    case TENON_OPN_RANDOM: tenon_ref_random(y->n, x->u, c->in[1].u, y->f); break;
    case TENON_OPN_REDUCE: case TENON_OPN_ARGMAX: case TENON_OPN_TOP_K: case TENON_OPN_SOFTMAX: case TENON_OPN_CUMSUM:
    case TENON_OPN_RMS_NORM: case TENON_OPN_L2_NORM: case TENON_OPN_LAYER_NORM: case TENON_OPN_GROUP_NORM: run_rows(c, op); break;
    case TENON_OPN_SLOT_LOAD: case TENON_OPN_SLOT_STORE: run_slot(c, op); break;
    case TENON_OPN_SCATTER_ADD: run_scatter(c); break;
    default: run_move(c, op); break;
    }
}

/* ---- running ------------------------------------------------------------------------------------------------ */

static void fetch(const struct eval *e, uint32_t value, int32_t layer, struct eval_tensor *t)
{
    const struct tenon_value *v = value != TENON_NO_VALUE ? tenon_graph_value(e->g, value) : NULL;
    if (v == NULL)
        return;
    if (v->kind == TENON_VALUE_ARG || v->kind == TENON_VALUE_NODE) {
        *t = e->values[value];
        ck_assert_msg(t->p != NULL || v->dtype == TENON_DTYPE_STATE, "%s is read before it is made", v->name);
        return;
    }
    set_shape(e, v, t);
    t->p = e->data(e->ctx, v, v->layered ? layer : -1);
    ck_assert_msg(t->p != NULL, "no data for %s", v->name);
}

static void eval_node(struct eval *e, const struct tenon_node *n, int32_t layer)
{
    struct call c = {.e = e, .n = n};
    ck_assert_uint_le(n->n_in, EVAL_IN);
    for (uint32_t i = 0; i < n->n_in; i++)
        fetch(e, n->in[i], layer, &c.in[i]);
    for (uint32_t i = 0; i < n->n_out; i++) {
        ck_assert_uint_lt(i, 2);
        c.out[i] = &e->values[n->out[i]];
        drop(c.out[i]);
        if (tenon_graph_value(e->g, n->out[i])->dtype != TENON_DTYPE_STATE)
            give(e, n->out[i], c.out[i]);
    }
    run_node(&c);
}

static void pass_args(struct eval *e, const struct tenon_block *from, const struct tenon_block *to)
{
    struct eval_tensor kept[8] = {{0}};
    ck_assert_uint_le(to->n_args, 8);
    for (uint32_t i = 0; i < to->n_args; i++) {
        const struct eval_tensor *r = &e->values[from->rets[i]];
        give(e, to->args[i], &kept[i]);
        ck_assert_int_eq(kept[i].n, r->n);
        memcpy(kept[i].p, r->p, (size_t)r->n * 4);
    }
    for (uint32_t i = 0; i < to->n_args; i++) {
        drop(&e->values[to->args[i]]);
        e->values[to->args[i]] = kept[i];
    }
}

void eval_run(struct eval *e)
{
    const struct tenon_graph *g = e->g;
    e->values = calloc(g->n_values + 1u, sizeof *e->values);
    ck_assert_ptr_nonnull(e->values);
    for (uint32_t i = 0; i < g->n_order; i++) {
        const struct tenon_block *b = tenon_graph_block(g, g->order[i].block);
        if (i > 0)
            pass_args(e, tenon_graph_block(g, g->order[i - 1].block), b);
        for (uint32_t k = 0; k < b->n_nodes; k++)
            eval_node(e, tenon_graph_node(g, b->first_node + k), g->order[i].layer);
    }
}

const struct eval_tensor *eval_output(const struct eval *e, uint32_t i)
{
    const struct tenon_block *b = tenon_graph_block(e->g, e->g->order[e->g->n_order - 1].block);
    return i < b->n_rets ? &e->values[b->rets[i]] : NULL;
}

const struct eval_tensor *eval_value(const struct eval *e, const char *name)
{
    for (uint32_t i = 0; i < e->g->n_values; i++)
        if (e->values[i].p != NULL && strcmp(tenon_graph_value(e->g, i)->name, name) == 0)
            return &e->values[i];
    return NULL;
}

void eval_finish(struct eval *e)
{
    for (uint32_t i = 0; e->values != NULL && i < e->g->n_values; i++)
        drop(&e->values[i]);
    free(e->values);
    e->values = NULL;
}
