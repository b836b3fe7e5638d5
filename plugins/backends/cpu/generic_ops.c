/* generic_ops.c - adaptors from a node's operands to tenon-reference: products, elementwise, reductions, positions and moves.
 * Each computes all it is given; what of a node a thread is given is decided in generic.c. Where the reference wants indexes in
 * range, they are checked here. Runs on the threads of the pool. Contract: generic.h, tenon/reference.h. */
#include "generic.h"

#include <math.h>

static double f64(const struct cpu_call *c, const char *name, double absent)
{
    return tenon_node_f64(c->node, name, absent);
}

static int64_t i64(const struct cpu_call *c, const char *name, int64_t absent)
{
    return tenon_node_i64(c->node, name, absent);
}

static const char *kind(const struct cpu_call *c)
{
    return tenon_node_str(c->node, "kind", "");
}

/* ---- products ---- */

void cpu_g_matmul(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0], *w = &c->in[1];
    tenon_ref_matmul(cpu_lines(x), cpu_dim(w, 0), cpu_dim(w, 1), x->f, w->f, c->in[2].f, c->out[0].f);
}

/* Column n of all results: rows of the weight are decoded where they are wanted. An expert that does not exist gives 0. */
static void grouped_column(const struct cpu_call *c, int64_t n)
{
    const struct cpu_tensor *x = &c->in[0], *w = &c->in[1], *expert = &c->in[2], *bias = &c->in[3];
    int64_t v = cpu_dim(expert, 1), u = cpu_dim(x, 1), all = cpu_dim(w, 1), k = cpu_dim(w, 2);
    for (int64_t i = 0; i < expert->n; i++) {
        int64_t e = expert->i[i], line = i / v * u + (u == 1 ? 0 : i % v);
        float *y = &c->out[0].f[i * all + n];
        if (e < 0 || e >= cpu_dim(w, 0)) {
            *y = 0.0f;
            continue;
        }
        if (w->packed != NULL)
            cpu_matrix_row(w->packed, e * all + n, c->row);
        tenon_ref_matmul(1, 1, k, x->f + line * k, w->packed != NULL ? c->row : w->f + (e * all + n) * k,
                         bias->p != NULL ? bias->f + e * all + n : NULL, y);
    }
}

void cpu_g_grouped_matmul(const struct cpu_call *c)
{
    int64_t n = cpu_dim(&c->in[1], 1);
    for (int64_t i = n * c->i / c->n; i < n * (c->i + 1) / c->n; i++)
        grouped_column(c, i);
}

void cpu_g_batch_matmul(const struct cpu_call *c)
{
    const struct cpu_tensor *a = &c->in[0], *b = &c->in[1];
    int64_t r = a->shape.rank;
    tenon_ref_batch_matmul(cpu_product(a, 0, r - 2), cpu_dim(a, r - 2), cpu_dim(b, r - 2), cpu_dim(a, r - 1), a->f, b->f,
                           c->out[0].f);
}

/* ---- elementwise ---- */

void cpu_g_binary(const struct cpu_call *c)
{
    const struct cpu_tensor *a = &c->in[0], *b = &c->in[1];
    float *y = c->out[0].f;
    switch (c->op) {
    case TENON_OPN_ADD: tenon_ref_add(&a->shape, a->f, &b->shape, b->f, y); break;
    case TENON_OPN_SUB: tenon_ref_sub(&a->shape, a->f, &b->shape, b->f, y); break;
    case TENON_OPN_MUL: tenon_ref_mul(&a->shape, a->f, &b->shape, b->f, y); break;
    case TENON_OPN_DIV: tenon_ref_div(&a->shape, a->f, &b->shape, b->f, y); break;
    default: tenon_ref_maximum(&a->shape, a->f, &b->shape, b->f, y); break;
    }
}

void cpu_g_compare(const struct cpu_call *c)
{
    const struct cpu_tensor *a = &c->in[0], *b = &c->in[1];
    int32_t *y = c->out[0].i; /* the kind was checked at compile, so nothing can fail */
    if (a->dtype == TENON_DTYPE_I32)
        (void)tenon_ref_compare_i32(kind(c), &a->shape, a->i, &b->shape, b->i, y);
    else
        (void)tenon_ref_compare(kind(c), &a->shape, a->f, &b->shape, b->f, y);
}

void cpu_g_elementwise(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    float *y = c->out[0].f;
    switch (c->op) {
    case TENON_OPN_AFFINE: tenon_ref_affine(f64(c, "scale", 1), f64(c, "shift", 0), x->n, x->f, y); break;
    case TENON_OPN_CLAMP: tenon_ref_clamp(f64(c, "min", 0), f64(c, "max", 0), x->n, x->f, y); break;
    case TENON_OPN_SOFTCAP: tenon_ref_softcap(f64(c, "cap", 1), x->n, x->f, y); break;
    default: (void)tenon_ref_unary(kind(c), x->n, x->f, y); break; /* the kind was checked at compile */
    }
}

void cpu_g_select(const struct cpu_call *c)
{
    tenon_ref_select(c->out[0].n, c->in[0].i, c->in[1].p, c->in[2].p, c->out[0].p);
}

/* ---- over the last dim, but cumsum ---- */

void cpu_g_reduce(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    (void)tenon_ref_reduce(kind(c), cpu_lines(x), cpu_last(x), x->f, c->out[0].f); /* the kind was checked at compile */
}

void cpu_g_argmax(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    tenon_ref_argmax(cpu_lines(x), cpu_last(x), x->f, c->out[0].i);
}

/* A row shorter than k (its length may be a symbol) is filled up with -inf at index -1. */
void cpu_g_top_k(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    int64_t k = i64(c, "k", 0), n = cpu_last(x), have = k < n ? k : n;
    for (int64_t r = 0; r < cpu_lines(x); r++) {
        float *value = c->out[0].f + r * k;
        int32_t *index = c->out[1].i + r * k;
        tenon_ref_top_k(1, n, have, x->f + r * n, value, index);
        for (int64_t i = have; i < k; i++) {
            value[i] = -INFINITY;
            index[i] = -1;
        }
    }
}

void cpu_g_softmax(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0], *sink = &c->in[1];
    tenon_ref_softmax(f64(c, "scale", 1), cpu_lines(x), cpu_last(x), x->f, sink->p != NULL ? sink->n : 1, sink->f, c->out[0].f);
}

void cpu_g_cumsum(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    tenon_ref_cumsum(cpu_dim(x, 0), cpu_product(x, 1, x->shape.rank), x->f, c->out[0].f);
}

void cpu_g_norm(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    int64_t lines = cpu_lines(x), k = cpu_last(x);
    double eps = f64(c, "eps", 0);
    float *y = c->out[0].f;
    switch (c->op) {
    case TENON_OPN_LAYER_NORM: tenon_ref_layer_norm(eps, lines, k, x->f, c->in[1].f, c->in[2].f, y); break;
    case TENON_OPN_L2_NORM: tenon_ref_l2_norm(eps, lines, k, x->f, y); break;
    case TENON_OPN_GROUP_NORM: tenon_ref_group_norm(i64(c, "groups", 1), eps, lines, k, x->f, c->in[1].f, y); break;
    default: tenon_ref_rms_norm(eps, lines, k, x->f, c->in[1].f, y); break;
    }
}

/* ---- positions ---- */

void cpu_g_rope(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    struct tenon_ref_rope r = {
        .n_rot = i64(c, "n_rot", 0),
        .base = f64(c, "base", 10000),
        .interleaved = strcmp(tenon_node_str(c->node, "layout", "half"), "interleaved") == 0,
        .scale = f64(c, "scale", 1),
        .ext_factor = f64(c, "ext_factor", 0),
        .attn_factor = f64(c, "attn_factor", 1),
        .beta_fast = f64(c, "beta_fast", 32),
        .beta_slow = f64(c, "beta_slow", 1),
        .original_context = i64(c, "original_context", 0),
    };
    tenon_ref_rope(&r, cpu_dim(x, 0), cpu_dim(x, 1), cpu_dim(x, 2), x->f, c->in[1].i, c->in[2].f, c->out[0].f);
}

/* A token of a sequence that does not exist sees nothing. */
void cpu_g_attn_mask(const struct cpu_call *c)
{
    const struct cpu_tensor *y = &c->out[0];
    const int32_t *position = c->in[0].i, *seq = c->in[1].i, *context_len = c->in[2].i;
    static const int32_t first = 0, nothing = 0;
    for (int64_t t = 0, n = cpu_last(y); t < cpu_dim(y, 0); t++) {
        bool exists = seq[t] >= 0 && seq[t] < c->in[2].n;
        tenon_ref_attn_mask(i64(c, "window", 0), i64(c, "causal", 1), 1, n, position + t, &first,
                            exists ? context_len + seq[t] : &nothing, y->f + t * n);
    }
}

/* ---- data movement ---- */

void cpu_g_gather(const struct cpu_call *c)
{
    const struct cpu_tensor *table = &c->in[0], *index = &c->in[1];
    int64_t n = cpu_dim(table, 0), row = cpu_product(table, 1, table->shape.rank);
    if (table->dtype == TENON_DTYPE_I32 || table->dtype == TENON_DTYPE_U32)
        tenon_ref_gather_i32(n, row, table->i, index->n, index->i, c->out[0].i);
    else
        tenon_ref_gather(f64(c, "scale", 1), n, row, table->f, index->n, index->i, c->out[0].f);
}

void cpu_g_take(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0], *index = &c->in[1];
    tenon_ref_take(cpu_lines(index), cpu_last(x), cpu_last(index), x->p, index->i, c->out[0].p);
}

void cpu_g_scatter_add(const struct cpu_call *c)
{
    const struct cpu_tensor *base = &c->in[0], *index = &c->in[1];
    tenon_ref_scatter_add(cpu_dim(base, 0), cpu_product(base, 1, base->shape.rank), base->f, index->n, index->i, c->in[2].f,
                          c->out[0].f);
}

void cpu_g_concat(const struct cpu_call *c)
{
    tenon_ref_concat(i64(c, "axis", 0), &c->in[0].shape, c->in[0].p, &c->in[1].shape, c->in[1].p, c->out[0].p);
}

void cpu_g_slice(const struct cpu_call *c)
{
    tenon_ref_slice(i64(c, "axis", 0), i64(c, "start", 0), i64(c, "length", 0), &c->in[0].shape, c->in[0].p, c->out[0].p);
}

void cpu_g_transpose(const struct cpu_call *c)
{
    tenon_ref_transpose(tenon_node_attr(c->node, "perm")->list, &c->in[0].shape, c->in[0].p, c->out[0].p);
}

void cpu_g_broadcast(const struct cpu_call *c)
{
    tenon_ref_broadcast(&c->in[0].shape, c->in[0].p, &c->out[0].shape, c->out[0].p);
}

/* convert and to_act: edges are f32 here, so both give floats. */
void cpu_g_convert(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    float *y = c->out[0].f;
    switch (x->dtype) {
    case TENON_DTYPE_I32:
        for (int64_t i = 0; i < x->n; i++)
            y[i] = (float)x->i[i];
        break;
    case TENON_DTYPE_U32:
        for (int64_t i = 0; i < x->n; i++)
            y[i] = (float)x->u[i];
        break;
    case TENON_DTYPE_F16: c->k->f16_to_f32(x->p, x->n, y); break;
    case TENON_DTYPE_BF16: c->k->bf16_to_f32(x->p, x->n, y); break;
    default:
        if (x->n > 0)
            memcpy(y, x->f, (size_t)x->n * sizeof *y);
    }
}

void cpu_g_bits(const struct cpu_call *c)
{
    const struct cpu_tensor *x = &c->in[0];
    tenon_ref_bits(cpu_lines(x), cpu_last(x), cpu_last(&c->out[0]), x->u, c->out[0].i);
}

void cpu_g_iota(const struct cpu_call *c)
{
    tenon_ref_iota(cpu_lines(&c->out[0]), cpu_last(&c->out[0]), c->out[0].i);
}

void cpu_g_fill(const struct cpu_call *c)
{
    tenon_ref_fill(f64(c, "value", 0), c->out[0].n, c->out[0].f);
}

/* ---- randomness ---- */

void cpu_g_random(const struct cpu_call *c)
{
    tenon_ref_random(c->out[0].n, c->in[0].u, c->in[1].u, c->out[0].f);
}
