/* core.ssm_scan and core.delta_rule in tier 0: both are core.outer_scan with the decay and keys made beforehand.
 * Contract: decompose.h. */
#include "core/graph/decompose.h"

#include <math.h>

static void outer_scan(const struct tn_decompose *d, uint32_t decay, uint32_t k, uint32_t v, uint32_t q, uint32_t beta,
                       const uint32_t state[3], uint32_t *outs)
{
    const uint32_t in[] = {decay, k, v, q, beta, state[0], state[1], state[2]};
    (void)d->b->node(d->b->ctx, "core.outer_scan/1", "scan", in, 8, NULL, 0, outs, 2); /* the error sticks in b */
}

enum { X, DT, B, C, A, D, DT_BIAS, STATE, SLOT, SEQ_START };

/* [T,G,N] -> [T,H,N]: head h takes group h / (H/G). grouped is an operand of the first shape. */
static uint32_t spread_groups(const struct tn_decompose *d, const char *const names[3], uint32_t x, uint32_t grouped,
                              struct tenon_dim h)
{
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), g = tn_dim_in(d, grouped, 1), n = tn_dim_in(d, grouped, 2);
    const struct tenon_dim dims[] = {t, g, tn_dim_const(h.b / g.b), n};
    if (tn_dim_equal(&g, &h))
        return x;
    x = tn_d_reshape4(d, names[0], x, t, g, tn_dim_const(1), n);
    return tenon_reshape3(d->b, names[2], tn_d_broadcast(d, names[1], x, 4, dims), t, h, n);
}

void tn_decompose_ssm_scan(const struct tn_decompose *d)
{
    static const char *const b_names[] = {"b_split", "b_spread", "b"}, *const c_names[] = {"c_split", "c_spread", "c"};
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), h = tn_dim_in(d, X, 1), one = tn_dim_const(1);
    double least = tenon_node_f64(d->node, "dt_min", 0), most = tenon_node_f64(d->node, "dt_max", 0);
    const uint32_t state[] = {tn_in(d, STATE), tn_in(d, SLOT), tn_in(d, SEQ_START)};
    uint32_t s = tn_in(d, DT), decay, k, skip;

    if (tn_has(d, DT_BIAS))
        s = tenon_op2(d->b, "core.add/1", "dt_biased", s, tn_in(d, DT_BIAS));
    s = tenon_unary(d->b, "s", "softplus", s);
    if (least > 0 || most > 0)
        s = tn_d_clamp(d, "s_clamped", s, least, most > 0 ? most : INFINITY);
    decay = tenon_unary(d->b, "decay", "exp", tenon_op2(d->b, "core.mul/1", "sa", s, tn_in(d, A)));
    k = spread_groups(d, b_names, tn_in(d, B), B, h);
    k = tenon_op2(d->b, "core.mul/1", "sb", k, tenon_reshape3(d->b, "s_column", s, t, h, one));
    outer_scan(d, decay, k, tn_in(d, X), spread_groups(d, c_names, tn_in(d, C), C, h), TENON_NO_VALUE, state, d->outs);
    if (tn_has(d, D)) {
        skip = tenon_op2(d->b, "core.mul/1", "skip", tn_in(d, X), tenon_reshape2(d->b, "d_column", tn_in(d, D), h, one));
        d->outs[0] = tenon_op2(d->b, "core.add/1", "y", d->outs[0], skip);
    }
}

enum { R_Q, R_K, R_V, R_G, R_BETA, R_STATE, R_SLOT, R_SEQ_START };

/* Normalised as the node asks; times scale. sqrt(sum + eps) is rms_norm's root, with eps / D, times sqrt(D). */
static uint32_t normalised(const struct tn_decompose *d, const char *const names[2], uint32_t x, double scale)
{
    double eps = tenon_node_f64(d->node, "eps", 1e-6), width = (double)tn_dim_in(d, R_K, 2).b;
    int64_t normalise = tenon_node_i64(d->node, "normalise", 1);
    struct tenon_attr a = tenon_attr_f("eps", eps);
    if (normalise == 1)
        x = tenon_node1(d->b, "core.l2_norm/1", names[0], &x, 1, &a, 1);
    if (normalise == 2) {
        x = tenon_rms_norm(d->b, names[0], x, TENON_NO_VALUE, eps / width);
        scale /= sqrt(width);
    }
    return scale != 1 ? tenon_affine(d->b, names[1], x, scale, 0) : x;
}

void tn_decompose_delta_rule(const struct tn_decompose *d)
{
    static const char *const q_norm[] = {"q_normal", "q_scaled"}, *const k_norm[] = {"k_normal", "k_scaled"};
    static const char *const q_names[] = {"q_split", "q_spread", "q"}, *const k_names[] = {"k_split", "k_spread", "k"};
    const uint32_t state[] = {tn_in(d, R_STATE), tn_in(d, R_SLOT), tn_in(d, R_SEQ_START)};
    const struct tenon_dim h = tn_dim_in(d, R_V, 1);
    uint32_t q = normalised(d, q_norm, tn_in(d, R_Q), tenon_node_f64(d->node, "scale", 1));
    uint32_t k = normalised(d, k_norm, tn_in(d, R_K), 1);
    q = spread_groups(d, q_names, q, R_Q, h);
    k = spread_groups(d, k_names, k, R_K, h);
    outer_scan(d, tenon_unary(d->b, "decay", "exp", tn_in(d, R_G)), k, tn_in(d, R_V), q, tn_in(d, R_BETA), state, d->outs);
}
