/* core.gated_ffn, core.moe_ffn and core.add_norm in tier 0. Contract: decompose.h. */
#include "core/graph/decompose.h"

#include <math.h>

void tn_decompose_add_norm(const struct tn_decompose *d)
{
    d->outs[0] = tenon_op2(d->b, "core.add/1", "sum", tn_in(d, 0), tn_in(d, 1));
    d->outs[1] = tenon_rms_norm(d->b, "y", d->outs[0], tn_in(d, 2), tenon_node_f64(d->node, "eps", 0));
}

enum { X, GATE, UP, DOWN, GATE_BIAS, UP_BIAS, DOWN_BIAS };

void tn_decompose_gated_ffn(const struct tn_decompose *d)
{
    const char *kind = tenon_node_str(d->node, "kind", "silu");
    uint32_t up = tenon_matmul(d->b, "up", tn_in(d, X), tn_in(d, UP), tn_in(d, UP_BIAS)), h;
    if (tn_has(d, GATE)) {
        h = tenon_matmul(d->b, "gate", tn_in(d, X), tn_in(d, GATE), tn_in(d, GATE_BIAS));
        h = tenon_op2(d->b, "core.mul/1", "h", tenon_unary(d->b, "act", kind, h), up);
    } else {
        h = tenon_unary(d->b, "act", kind, up);
    }
    d->outs[0] = tenon_matmul(d->b, "y", h, tn_in(d, DOWN), tn_in(d, DOWN_BIAS));
}

enum { M_X, ROUTER, ROUTER_BIAS, SELECT_BIAS, M_GATE, M_UP, M_DOWN, M_GATE_BIAS, M_UP_BIAS, M_DOWN_BIAS };

/* Experts of groups that are not among the best become -inf. A group's score is the sum of its best experts. */
static uint32_t limit_groups(const struct tn_decompose *d, uint32_t scores, int64_t n, int64_t groups, int64_t used)
{
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), g = tn_dim_const(groups), each = tn_dim_const(n / groups);
    const struct tenon_dim one = tn_dim_const(1), picked[] = {t, g, tn_dim_const(used)}, spread[] = {t, g, each},
                           all[] = {t, tn_dim_const(n)};
    uint32_t index, best;

    best = tenon_reshape3(d->b, "by_group", scores, t, g, each);
    best = tn_d_top_k(d, "group_best", best, tenon_node_i64(d->node, "group_best", 2), &index);
    best = tenon_reshape2(d->b, "group_scores", tn_d_reduce(d, "group_sums", "sum", best), t, g);
    (void)tn_d_top_k(d, "best_groups", best, used, &index); /* only which, not how much */
    index = tn_d_broadcast(d, "best_rows", tenon_reshape3(d->b, "best_row", index, t, one, tn_dim_const(used)), 3, picked);
    uint32_t own = tenon_reshape2(d->b, "group_column", tn_d_iota(d, "group_numbers", g), g, one);
    uint32_t hit = tenon_op1(d->b, "core.convert/1", "is_best", tn_d_compare(d, "is_best_bit", "eq", index, own)); /* [T,G,used] */
    hit = tn_d_broadcast(d, "group_kept", tn_d_reduce(d, "group_hits", "max", hit), 3, spread);
    hit = tenon_reshape2(d->b, "expert_kept", hit, t, tn_dim_const(n));
    uint32_t zero = tn_d_fill(d, "zero", 0, 1, &one), never = tn_d_fill(d, "never", -INFINITY, 2, all);
    return tn_d_select(d, "kept_scores", tn_d_compare(d, "kept", "gt", hit, zero), scores, never);
}

/* *ret_index [T,used] experts, and their weights [T,used]. */
static uint32_t route(const struct tn_decompose *d, uint32_t *ret_index)
{
    int64_t n = tn_dim_in(d, ROUTER, 0).b, used = tenon_node_i64(d->node, "used", 1), groups = tenon_node_i64(d->node, "groups", 0);
    const char *scoring = tenon_node_str(d->node, "scoring", "softmax");
    uint32_t p = tenon_matmul(d->b, "router", tn_in(d, M_X), tn_in(d, ROUTER), tn_in(d, ROUTER_BIAS)), rank, w;

    if (strcmp(scoring, "softmax") == 0)
        p = tn_d_softmax(d, "p", p, TENON_NO_VALUE);
    else if (strcmp(scoring, "sigmoid") == 0)
        p = tenon_unary(d->b, "p", "sigmoid", p);
    rank = tn_has(d, SELECT_BIAS) ? tenon_op2(d->b, "core.add/1", "select", p, tn_in(d, SELECT_BIAS)) : p;
    if (groups > 1)
        rank = limit_groups(d, rank, n, groups, tenon_node_i64(d->node, "groups_used", 1));
    (void)tn_d_top_k(d, "chosen", rank, used, ret_index); /* weights are p, not p + bias */
    w = tenon_op2(d->b, "core.take/1", "p_chosen", p, *ret_index);
    if (strcmp(scoring, "topk_softmax") == 0)
        w = tn_d_softmax(d, "p_softmax", w, TENON_NO_VALUE);
    else if (tenon_node_i64(d->node, "normalise", 1) != 0)
        w = tenon_op2(d->b, "core.div/1", "p_normal", w, tn_d_reduce(d, "p_sum", "sum", w));
    return tenon_affine(d->b, "p_scaled", w, tenon_node_f64(d->node, "scale", 1), 0);
}

static uint32_t experts(const struct tn_decompose *d, const char *name, uint32_t x, uint32_t w, uint32_t index, uint32_t bias)
{
    const uint32_t in[] = {x, w, index, bias};
    return tenon_node1(d->b, "core.grouped_matmul/1", name, in, 4, NULL, 0);
}

void tn_decompose_moe_ffn(const struct tn_decompose *d)
{
    static const int64_t experts_last[] = {0, 2, 1};
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), k = tn_dim_in(d, M_X, 1), one = tn_dim_const(1);
    double limit = tenon_node_f64(d->node, "limit", 0), shift = tenon_node_f64(d->node, "up_shift", 0);
    uint32_t index = TENON_NO_VALUE, w = route(d, &index);
    uint32_t x = tenon_reshape3(d->b, "x_rows", tn_in(d, M_X), t, one, k);
    uint32_t gate = experts(d, "gate", x, tn_in(d, M_GATE), index, tn_in(d, M_GATE_BIAS));
    uint32_t up = experts(d, "up", x, tn_in(d, M_UP), index, tn_in(d, M_UP_BIAS)), y;

    if (limit > 0) {
        gate = tn_d_clamp(d, "gate_limited", gate, -INFINITY, limit);
        up = tn_d_clamp(d, "up_limited", up, -limit, limit);
    }
    if (shift != 0)
        up = tenon_affine(d->b, "up_shifted", up, 1, shift);
    y = tenon_op2(d->b, "core.mul/1", "h", tenon_unary(d->b, "act", tenon_node_str(d->node, "kind", "silu"), gate), up);
    y = experts(d, "down", y, tn_in(d, M_DOWN), index, tn_in(d, M_DOWN_BIAS)); /* [T,used,K] */
    w = tenon_reshape3(d->b, "p_column", w, t, tn_dim_const(tenon_node_i64(d->node, "used", 1)), one);
    y = tn_d_transpose(d, "weighted_by_k", tenon_op2(d->b, "core.mul/1", "weighted", y, w), 3, experts_last);
    d->outs[0] = tenon_reshape2(d->b, "y", tn_d_reduce(d, "sum", "sum", y), t, k);
}
