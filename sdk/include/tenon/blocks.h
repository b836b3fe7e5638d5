/* blocks.h - short forms of the larger ops, for families that are no plain decoder: layer norms, experts, attention without a
 * cache or over several groups of states, latent attention, recurrences.
 *
 *     struct tenon_moe m = tenon_moe_of(n_used);
 *     m.router = b->weight(b->ctx, "layers.{i}.ffn_router"), m.gate = ..., m.up = ..., m.down = ...;
 *     m.scoring = "sigmoid";
 *     y = tenon_moe_ffn(b, "ffn", x, &m);
 *
 * What may be absent is TENON_NO_VALUE. Everything is static inline over build.h; nothing here is part of the ABI.
 */
#ifndef TENON_BLOCKS_H
#define TENON_BLOCKS_H

#include <tenon/build.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- small ones --------------------------------------------------------------------------------------------- */

static inline uint32_t tenon_add(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t y)
{
    return tenon_op2(b, "core.add/1", name, x, y);
}

/* y is broadcast to x, dims counted from the last. */
static inline uint32_t tenon_mul(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t y)
{
    return tenon_op2(b, "core.mul/1", name, x, y);
}

static inline uint32_t tenon_softcap(const struct tenon_builder *b, const char *name, uint32_t x, double cap)
{
    struct tenon_attr a = tenon_attr_f("cap", cap);
    return tenon_node1(b, "core.softcap/1", name, &x, 1, &a, 1);
}

/* Elements start .. start+length-1 along axis; a negative axis counts from the end. */
static inline uint32_t tenon_slice(const struct tenon_builder *b, const char *name, uint32_t x, int64_t axis, int64_t start,
                                   int64_t length)
{
    struct tenon_attr a[3];
    a[0] = tenon_attr_i("axis", axis), a[1] = tenon_attr_i("start", start), a[2] = tenon_attr_i("length", length);
    return tenon_node1(b, "core.slice/1", name, &x, 1, a, 3);
}

static inline uint32_t tenon_concat(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t y, int64_t axis)
{
    struct tenon_attr a = tenon_attr_i("axis", axis);
    uint32_t in[2];
    in[0] = x, in[1] = y;
    return tenon_node1(b, "core.concat/1", name, in, 2, &a, 1);
}

/* Dims of 1, and missing leading ones, repeated. */
static inline uint32_t tenon_broadcast(const struct tenon_builder *b, const char *name, uint32_t x, const struct tenon_dim *dims,
                                       uint32_t rank)
{
    struct tenon_attr a = tenon_attr_d("shape", dims, rank);
    return tenon_node1(b, "core.broadcast/1", name, &x, 1, &a, 1);
}

/* ---- norms; w and bias may be absent ------------------------------------------------------------------------ */

static inline uint32_t tenon_full_norm(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t w, uint32_t bias,
                                       double eps)
{
    struct tenon_attr a = tenon_attr_f("eps", eps);
    uint32_t in[3];
    in[0] = x, in[1] = w, in[2] = bias;
    return tenon_node1(b, "core.layer_norm/1", name, in, 3, &a, 1);
}

/* An RMS norm over each of `groups` equal parts of the last dim. */
static inline uint32_t tenon_group_norm(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t w, int64_t groups,
                                        double eps)
{
    struct tenon_attr a[2];
    uint32_t in[2];
    a[0] = tenon_attr_i("groups", groups), a[1] = tenon_attr_f("eps", eps);
    in[0] = x, in[1] = w;
    return tenon_node1(b, "core.group_norm/1", name, in, 2, a, 2);
}

/* ---- nets --------------------------------------------------------------------------------------------------- */

/* down(kind(gate x) * up x); without gate down(kind(up x)). */
struct tenon_ffn {
    const char *kind; /* as core.unary: silu, gelu, gelu_tanh ... */
    uint32_t gate, up, down, gate_bias, up_bias, down_bias;
};

static inline struct tenon_ffn tenon_ffn_of(const char *kind, uint32_t gate, uint32_t up, uint32_t down)
{
    struct tenon_ffn f;
    f.kind = kind, f.gate = gate, f.up = up, f.down = down;
    f.gate_bias = f.up_bias = f.down_bias = TENON_NO_VALUE;
    return f;
}

static inline uint32_t tenon_ffn_block(const struct tenon_builder *b, const char *name, uint32_t x, const struct tenon_ffn *f)
{
    struct tenon_attr a = tenon_attr_s("kind", f->kind);
    uint32_t in[7];
    in[0] = x, in[1] = f->gate, in[2] = f->up, in[3] = f->down;
    in[4] = f->gate_bias, in[5] = f->up_bias, in[6] = f->down_bias;
    return tenon_node1(b, "core.gated_ffn/1", name, in, 7, &a, 1);
}

/* Operands and attributes of core.moe_ffn/1 (ops.h). */
struct tenon_moe {
    uint32_t router, router_bias, select_bias;        /* [N,K], [N] added to the scores, [N] added for the choice alone */
    uint32_t gate, up, down;                          /* [N,F,K], [N,F,K], [N,K,F] */
    uint32_t gate_bias, up_bias, down_bias;           /* [N,F], [N,F], [N,K] */
    int64_t used, normalise;                          /* experts of a token */
    int64_t groups, groups_used, group_best;          /* groups 0: none */
    double scale, limit, up_shift;
    const char *kind, *scoring;                       /* scoring: softmax, sigmoid, topk_softmax */
};

/* The ops' defaults: softmax over all experts, the weights of the chosen normalised to 1, SiLU. */
static inline struct tenon_moe tenon_moe_of(int64_t used)
{
    struct tenon_moe m;
    memset(&m, 0, sizeof m);
    m.router = m.router_bias = m.select_bias = TENON_NO_VALUE;
    m.gate = m.up = m.down = m.gate_bias = m.up_bias = m.down_bias = TENON_NO_VALUE;
    m.used = used, m.normalise = 1, m.group_best = 2, m.scale = 1.0;
    m.kind = "silu", m.scoring = "softmax";
    return m;
}

/* x [T,K] */
static inline uint32_t tenon_moe_ffn(const struct tenon_builder *b, const char *name, uint32_t x, const struct tenon_moe *m)
{
    struct tenon_attr a[10];
    uint32_t in[10];
    a[0] = tenon_attr_i("used", m->used), a[1] = tenon_attr_s("kind", m->kind), a[2] = tenon_attr_s("scoring", m->scoring);
    a[3] = tenon_attr_i("normalise", m->normalise), a[4] = tenon_attr_f("scale", m->scale);
    a[5] = tenon_attr_i("groups", m->groups), a[6] = tenon_attr_i("groups_used", m->groups_used);
    a[7] = tenon_attr_f("limit", m->limit), a[8] = tenon_attr_f("up_shift", m->up_shift);
    a[9] = tenon_attr_i("group_best", m->group_best);
    in[0] = x, in[1] = m->router, in[2] = m->router_bias, in[3] = m->select_bias;
    in[4] = m->gate, in[5] = m->up, in[6] = m->down, in[7] = m->gate_bias, in[8] = m->up_bias, in[9] = m->down_bias;
    return tenon_node1(b, "core.moe_ffn/1", name, in, 10, a, 10);
}

/* ---- step inputs -------------------------------------------------------------------------------------------- */

/* An input of a state group: "block_table" or "slot_of_token". */
static inline uint32_t tenon_group_input(const struct tenon_builder *b, const char *stem, uint32_t group)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s.%u", stem, group);
    return tenon_input(b, name);
}

/* All inputs of a program in the order of the table in graph.h: n_groups groups of paged states, slots: recurrent states too.
 * Asked for first, they have the same numbers whatever order a compiler evaluates arguments in. */
static inline void tenon_step_inputs(const struct tenon_builder *b, uint32_t n_groups, int slots)
{
    static const char *const names[] = {"token", "position", "seq_of_token", "seq_start", "context_len", "out_row"};
    uint32_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)tenon_input(b, names[i]);
    if (slots)
        (void)tenon_input(b, "state_slot");
    for (i = 0; i < n_groups; i++) {
        (void)tenon_group_input(b, "block_table", i);
        (void)tenon_group_input(b, "slot_of_token", i);
    }
}

/* ---- attention ---------------------------------------------------------------------------------------------- */

static inline uint32_t tenon_attention_node(const struct tenon_builder *b, const char *name, const uint32_t in[10],
                                            const struct tenon_attention_params *p, int64_t causal)
{
    struct tenon_attr a[7];
    a[0] = tenon_attr_i("kv_heads", p->kv_heads), a[1] = tenon_attr_i("k_dim", p->k_dim), a[2] = tenon_attr_i("v_dim", p->v_dim);
    a[3] = tenon_attr_f("scale", p->scale), a[4] = tenon_attr_i("window", p->window), a[5] = tenon_attr_f("softcap", p->softcap);
    a[6] = tenon_attr_i("causal", causal);
    return tenon_node1(b, "core.attention/1", name, in, 10, a, 7);
}

/* tenon_kv_store for any group. A latent cache: k [T,1,latent + rope], v absent. */
static inline uint32_t tenon_group_store(const struct tenon_builder *b, const char *name, uint32_t group, uint32_t kv, uint32_t k,
                                         uint32_t v)
{
    uint32_t in[4];
    in[0] = kv, in[1] = k, in[2] = v, in[3] = tenon_group_input(b, "slot_of_token", group);
    return tenon_node1(b, "core.kv_store/1", name, in, 4, NULL, 0);
}

/* tenon_attention for any group: kv is a state of it. */
static inline uint32_t tenon_group_attention(const struct tenon_builder *b, const char *name, uint32_t group, uint32_t q,
                                             uint32_t kv, uint32_t sink, const struct tenon_attention_params *p)
{
    uint32_t in[10];
    in[0] = q, in[1] = kv, in[2] = in[3] = TENON_NO_VALUE, in[4] = sink;
    in[5] = tenon_input(b, "position"), in[6] = tenon_input(b, "seq_of_token"), in[7] = tenon_input(b, "seq_start");
    in[8] = tenon_input(b, "context_len"), in[9] = tenon_group_input(b, "block_table", group);
    return tenon_attention_node(b, name, in, p, 1);
}

/* Without a cache, among the tokens of the step's own sequence: encoders (causal 0) and embeddings. k, v [T,kv_heads,...]. */
static inline uint32_t tenon_step_attention(const struct tenon_builder *b, const char *name, uint32_t q, uint32_t k, uint32_t v,
                                            const struct tenon_attention_params *p, int causal)
{
    uint32_t in[10];
    in[0] = q, in[1] = TENON_NO_VALUE, in[2] = k, in[3] = v, in[4] = in[9] = TENON_NO_VALUE;
    in[5] = tenon_input(b, "position"), in[6] = tenon_input(b, "seq_of_token"), in[7] = tenon_input(b, "seq_start");
    in[8] = tenon_input(b, "context_len");
    return tenon_attention_node(b, name, in, p, causal);
}

/* Multi-head latent attention. q_nope [T,H,D], q_rope [T,H,Q]; kv: rows (latent [rank], turned key [Q]). */
struct tenon_latent {
    uint32_t group, kv, wk, wv; /* wk [H,rank,D], wv [H,v_dim,rank] */
    int64_t rank, v_dim;
    double scale;
};

static inline uint32_t tenon_latent_attention(const struct tenon_builder *b, const char *name, uint32_t q_nope, uint32_t q_rope,
                                              const struct tenon_latent *p)
{
    struct tenon_attr a[3];
    uint32_t in[10];
    a[0] = tenon_attr_i("rank", p->rank), a[1] = tenon_attr_i("v_dim", p->v_dim), a[2] = tenon_attr_f("scale", p->scale);
    in[0] = q_nope, in[1] = q_rope, in[2] = p->wk, in[3] = p->wv, in[4] = p->kv;
    in[5] = tenon_input(b, "position"), in[6] = tenon_input(b, "seq_of_token"), in[7] = tenon_input(b, "seq_start");
    in[8] = tenon_input(b, "context_len"), in[9] = tenon_group_input(b, "block_table", p->group);
    return tenon_node1(b, "core.latent_attention/1", name, in, 10, a, 3);
}

/* ---- recurrences: the state is read and written in the slot of each sequence -------------------------------- */

/* A node that gives y and a state, which is asked for here and wanted by nobody later in the block. */
static inline uint32_t tenon_scan_node(const struct tenon_builder *b, const char *op, const char *name, uint32_t *in,
                                       uint32_t n_in, const struct tenon_attr *attrs, uint32_t n_attrs)
{
    uint32_t out[2];
    out[0] = out[1] = TENON_NO_VALUE;
    in[n_in - 2] = tenon_input(b, "state_slot"), in[n_in - 1] = tenon_input(b, "seq_start");
    (void)b->node(b->ctx, op, name, in, n_in, attrs, n_attrs, out, 2); /* the error sticks in b */
    return out[0];
}

/* Causal depthwise convolution. x [T,N], w [N,K], bias [N] or absent; a slot of the state is [K-1,N]. */
static inline uint32_t tenon_conv_scan(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t w, uint32_t bias,
                                       uint32_t state)
{
    uint32_t in[6];
    in[0] = x, in[1] = w, in[2] = bias, in[3] = state;
    return tenon_scan_node(b, "core.conv_scan/1", name, in, 6, NULL, 0);
}

/* Mamba-2. x [T,H,D], dt [T,H], b and c [T,G,N], a (negative), d, dt_bias [H]; a slot of the state is [H,N,D]. */
struct tenon_ssm {
    uint32_t a, d, dt_bias, state; /* d and dt_bias may be absent */
    double dt_min, dt_max;         /* 0: no bound */
};

static inline uint32_t tenon_ssm_scan(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t dt, uint32_t b_in,
                                      uint32_t c_in, const struct tenon_ssm *p)
{
    struct tenon_attr a[2];
    uint32_t in[10];
    a[0] = tenon_attr_f("dt_min", p->dt_min), a[1] = tenon_attr_f("dt_max", p->dt_max);
    in[0] = x, in[1] = dt, in[2] = b_in, in[3] = c_in, in[4] = p->a, in[5] = p->d, in[6] = p->dt_bias, in[7] = p->state;
    return tenon_scan_node(b, "core.ssm_scan/1", name, in, 10, a, 2);
}

/* Gated delta rule. q and k [T,G,D], v [T,H,E], H a multiple of G, g (log of the decay) and beta [T,H]; a slot is [H,D,E]. */
struct tenon_delta {
    uint32_t state;
    double scale, eps; /* of q; of the norms of q and k */
    int64_t normalise; /* 0: q and k as they are; 1: by sqrt(max(sum, eps^2)); 2: by sqrt(sum + eps) */
};

static inline uint32_t tenon_delta_rule(const struct tenon_builder *b, const char *name, uint32_t q, uint32_t k, uint32_t v,
                                        uint32_t g, uint32_t beta, const struct tenon_delta *p)
{
    struct tenon_attr a[3];
    uint32_t in[8];
    a[0] = tenon_attr_f("scale", p->scale), a[1] = tenon_attr_i("normalise", p->normalise), a[2] = tenon_attr_f("eps", p->eps);
    in[0] = q, in[1] = k, in[2] = v, in[3] = g, in[4] = beta, in[5] = p->state;
    return tenon_scan_node(b, "core.delta_rule/1", name, in, 8, a, 3);
}

#ifdef __cplusplus
}
#endif
#endif
