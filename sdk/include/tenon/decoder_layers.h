/* decoder_layers.h - the nodes of a decoder: parts of a layer, the usual layer made of them, embedding and head.
 *
 *     x = tenon_layer_norm(d, b, "attn_norm", h);        in `layer` of a family
 *     h = tenon_add(b, "attn_out", h, tenon_layer_attend(d, b, x, a));
 *
 * A part of decoder.h, which says how a family is made of it. Everything is static inline; nothing here is part of the ABI.
 */
#ifndef TENON_DECODER_LAYERS_H
#define TENON_DECODER_LAYERS_H

#include <tenon/decoder_keys.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- parts of a layer --------------------------------------------------------------------------------------- */

/* The weight PREFIX NAME SUFFIX, TENON_NO_VALUE when the family's table has no such row or the file no such tensor. */
static inline uint32_t tenon_decoder_weight(const struct tenon_decoder *d, const struct tenon_builder *b, const char *prefix,
                                            const char *name, const char *suffix)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
    return tenon_decoder_has_row(d, full) ? b->weight(b->ctx, full) : TENON_NO_VALUE;
}

static inline uint32_t tenon_layer_weight(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name)
{
    return tenon_decoder_weight(d, b, "layers.{i}.", name, "");
}

/* The product by layer weight `name`, plus NAME_bias if there is one. */
static inline uint32_t tenon_layer_linear(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name,
                                          uint32_t x)
{
    return tenon_matmul(b, name, x, tenon_layer_weight(d, b, name), tenon_decoder_weight(d, b, "layers.{i}.", name, "_bias"));
}

/* The family's norm by the weights PREFIX NAME and its _bias. */
static inline uint32_t tenon_decoder_norm(const struct tenon_decoder *d, const struct tenon_builder *b, const char *prefix,
                                          const char *name, uint32_t x)
{
    uint32_t w = tenon_decoder_weight(d, b, prefix, name, "");
    if (d->family->norm == TENON_NORM_LAYER)
        return tenon_full_norm(b, name, x, w, tenon_decoder_weight(d, b, prefix, name, "_bias"), d->eps);
    return tenon_rms_norm(b, name, x, w, d->eps);
}

/* Norm by layer weight `name`; x itself if there is none. */
static inline uint32_t tenon_layer_norm(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name,
                                        uint32_t x)
{
    return tenon_layer_weight(d, b, name) != TENON_NO_VALUE ? tenon_decoder_norm(d, b, "layers.{i}.", name, x) : x;
}

/* What attentions of one model may differ in. */
struct tenon_layer_attention {
    const struct tenon_rope_params *rope; /* NULL: nothing is turned */
    int64_t window;                       /* 0: all positions */
    double scale, softcap;
    int sees, experts;                    /* as of struct tenon_decoder */
};

static inline struct tenon_layer_attention tenon_layer_attention_of(const struct tenon_decoder *d, int64_t layer)
{
    const int sees = d->sees[layer];
    struct tenon_layer_attention a;
    a.sees = sees;
    a.experts = d->experts[layer];
    a.rope = sees == TENON_SEES_WINDOW ? &d->rope_local : &d->rope;
    a.window = sees == TENON_SEES_WINDOW ? d->window : 0;
    a.scale = d->attn_scale;
    a.softcap = d->attn_softcap;
    return a;
}

/* The weight that divides frequencies. */
static inline const char *tenon_decoder_factors(const struct tenon_decoder *d)
{
    return !d->rope.by_context                             ? TENON_ROPE_FACTORS
           : d->run_context > d->rope.original_context ? "rope_factors_long"
                                                           : "rope_factors_short";
}

/* q or k as heads [T,heads,k_dim], normed where the table says so: each head by the same weights [k_dim] or by its own
 * [heads,k_dim], or all of them together [heads * k_dim]; then turned. */
static inline uint32_t tenon_layer_heads(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name,
                                         uint32_t x, int64_t heads, const struct tenon_rope_params *rope)
{
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T);
    char norm[32], node[32];
    uint32_t i, whole = 0, each = 0;
    (void)snprintf(norm, sizeof norm, "attn_%s_norm", name);
    for (i = 0; i < d->family->n_rows; i++)
        if (strncmp(d->family->rows[i].name, "layers.{i}.", 11) == 0 && strcmp(d->family->rows[i].name + 11, norm) == 0)
            whole = d->family->rows[i].rank == 1 && d->family->rows[i].dims[0] != TENON_SIZE_K_DIM, each = d->family->rows[i].rank == 2;
    x = whole ? tenon_layer_norm(d, b, norm, x) : x;
    (void)snprintf(node, sizeof node, "%s_heads", name);
    x = tenon_reshape3(b, node, x, t, tenon_dim_n(heads), tenon_dim_n(d->k_dim));
    if (each && (i = tenon_layer_weight(d, b, norm)) != TENON_NO_VALUE) {
        (void)snprintf(node, sizeof node, "attn_%s_norm_each", name);
        x = d->family->norm == TENON_NORM_LAYER ? tenon_full_norm(b, node, x, TENON_NO_VALUE, TENON_NO_VALUE, d->eps)
                                                : tenon_rms_norm(b, node, x, TENON_NO_VALUE, d->eps);
        x = tenon_mul(b, norm, x, i);
    } else if (!whole && !each) {
        x = tenon_layer_norm(d, b, norm, x);
    }
    if (rope == NULL || rope->n_rot == 0)
        return x;
    (void)snprintf(node, sizeof node, "rope_%s", name);
    return tenon_rope(b, node, x, tenon_decoder_weight(d, b, "", tenon_decoder_factors(d), ""), rope);
}

/* Projections, norms of heads, rotation, cache, attention and its output; x is normed. */
static inline uint32_t tenon_layer_attend(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t x,
                                          const struct tenon_layer_attention *a)
{
    struct tenon_attention_params p;
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T);
    const uint32_t group = a->window != 0 && d->n_groups > 1 ? 1 : 0;
    uint32_t q = tenon_layer_linear(d, b, "attn_q", x), k = tenon_layer_linear(d, b, "attn_k", x);
    uint32_t v = tenon_layer_linear(d, b, "attn_v", x), kv, y;
    q = tenon_layer_heads(d, b, "q", q, d->n_heads, a->rope);
    k = tenon_layer_heads(d, b, "k", k, d->n_kv_heads, a->rope);
    v = tenon_reshape3(b, "v_heads", v, t, tenon_dim_n(d->n_kv_heads), tenon_dim_n(d->v_dim));
    p.kv_heads = d->n_kv_heads, p.k_dim = d->k_dim, p.v_dim = d->v_dim;
    p.window = a->window, p.scale = a->scale, p.softcap = a->softcap;
    if (d->family->is_encoder) {
        y = tenon_step_attention(b, "attn", q, k, v, &p, 0);
    } else {
        kv = tenon_group_store(b, "kv_store", group, b->state(b->ctx, d->states[group].name), k, v);
        y = tenon_group_attention(b, "attn", group, q, kv, tenon_layer_weight(d, b, "attn_sinks"), &p);
    }
    y = tenon_reshape2(b, "attn_flat", y, t, tenon_dim_n(d->size[TENON_SIZE_ATTN]));
    if (tenon_layer_weight(d, b, "attn_gate") != TENON_NO_VALUE)
        y = tenon_mul(b, "attn_gated", y, tenon_unary(b, "attn_opened", "sigmoid", tenon_layer_linear(d, b, "attn_gate", x)));
    return tenon_layer_linear(d, b, "attn_output", y);
}

/* The net by weights NAME_gate, NAME_up and NAME_down, without a gate if there is none, with the biases that there are. */
static inline uint32_t tenon_layer_net(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t x)
{
    static const char *const parts[] = {"_gate", "_up", "_down"};
    uint32_t w[3], bias[3], i;
    struct tenon_ffn f;
    char full[64];
    for (i = 0; i < 3; i++) {
        (void)snprintf(full, sizeof full, "%s%s", name, parts[i]);
        w[i] = tenon_layer_weight(d, b, full);
        bias[i] = tenon_decoder_weight(d, b, "layers.{i}.", full, "_bias");
    }
    f = tenon_ffn_of(tenon_decoder_act(d), w[0], w[1], w[2]);
    f.gate_bias = bias[0], f.up_bias = bias[1], f.down_bias = bias[2];
    return tenon_ffn_block(b, name, x, &f);
}

/* Part of a layer times what the model scales it by. */
static inline uint32_t tenon_layer_scaled(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name,
                                          uint32_t x)
{
    return d->residual_scale != 1.0 ? tenon_affine(b, name, x, d->residual_scale, 0.0) : x;
}

/* sum = h + y, and its norm by `name`: *ret_sum and the result. */
static inline uint32_t tenon_layer_add_norm(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name,
                                            uint32_t h, uint32_t y, uint32_t *ret_sum)
{
    uint32_t w = tenon_layer_weight(d, b, name);
    if (d->family->norm == TENON_NORM_RMS && w != TENON_NO_VALUE)
        return tenon_add_norm(b, name, h, y, w, d->eps, ret_sum);
    *ret_sum = tenon_add(b, "attn_out", h, y);
    return tenon_layer_norm(d, b, name, *ret_sum);
}

static inline uint32_t tenon_layer_of(const struct tenon_decoder *d, const struct tenon_builder *b, const char *stem,
                                      const char *end)
{
    return tenon_decoder_weight(d, b, "layers.{i}.", stem, end);
}

/* The experts' nets, and the shared one if there is one: times a gate of its own if that has a weight. */
static inline uint32_t tenon_layer_experts(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t x)
{
    struct tenon_moe m = d->moe;
    uint32_t y, shared, gate;
    m.router = tenon_layer_weight(d, b, "ffn_router"), m.router_bias = tenon_layer_weight(d, b, "ffn_router_bias");
    m.select_bias = tenon_layer_weight(d, b, "ffn_select_bias");
    m.gate = tenon_layer_of(d, b, "ffn_experts", "_gate"), m.gate_bias = tenon_layer_of(d, b, "ffn_experts", "_gate_bias");
    m.up = tenon_layer_of(d, b, "ffn_experts", "_up"), m.up_bias = tenon_layer_of(d, b, "ffn_experts", "_up_bias");
    m.down = tenon_layer_of(d, b, "ffn_experts", "_down"), m.down_bias = tenon_layer_of(d, b, "ffn_experts", "_down_bias");
    y = tenon_moe_ffn(b, "ffn", x, &m);
    if (tenon_layer_weight(d, b, "ffn_shared_up") == TENON_NO_VALUE)
        return y;
    shared = tenon_layer_net(d, b, "ffn_shared", x);
    gate = tenon_layer_weight(d, b, "ffn_shared_router");
    if (gate != TENON_NO_VALUE) {
        gate = tenon_unary(b, "ffn_shared_gate", "sigmoid", tenon_matmul(b, "ffn_shared_router", x, gate, TENON_NO_VALUE));
        shared = tenon_mul(b, "ffn_shared_gated", shared, gate);
    }
    return tenon_add(b, "ffn_all", y, shared);
}

/* The usual layer: mixed, what attention or the like made of x, is added to h; then the net. Of the norms before and behind
 * both, NAME_norm and NAME_post_norm, it has those that the table has. */
static inline uint32_t tenon_decoder_layer_mixed(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t h,
                                                 uint32_t x, uint32_t mixed, const struct tenon_layer_attention *a)
{
    uint32_t sum, y = tenon_layer_scaled(d, b, "attn_scaled", tenon_layer_norm(d, b, "attn_post_norm", mixed));
    if (d->is_parallel) {
        sum = tenon_add(b, "attn_out", h, y);
        x = tenon_layer_weight(d, b, "ffn_norm") != TENON_NO_VALUE ? tenon_layer_norm(d, b, "ffn_norm", h) : x;
    } else {
        x = tenon_layer_add_norm(d, b, "ffn_norm", h, y, &sum);
    }
    y = tenon_layer_norm(d, b, "ffn_post_norm", a->experts ? tenon_layer_experts(d, b, x) : tenon_layer_net(d, b, "ffn", x));
    return tenon_add(b, "layer_out", sum, tenon_layer_scaled(d, b, "ffn_scaled", y));
}

static inline uint32_t tenon_decoder_layer(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t h,
                                           const struct tenon_layer_attention *a)
{
    const uint32_t x = tenon_layer_norm(d, b, "attn_norm", h);
    return tenon_decoder_layer_mixed(d, b, h, x, tenon_layer_attend(d, b, x, a), a);
}

/* ---- the program -------------------------------------------------------------------------------------------- */

/* End the block that was begun last; its number, or a negative code, which sticks in b and is for run to be passed on. */
static inline int32_t tenon_decoder_end_block(const struct tenon_builder *b, uint32_t ret)
{
    return b->block_end(b->ctx, &ret, 1);
}

static inline uint32_t tenon_decoder_embed(const struct tenon_decoder *d, const struct tenon_builder *b)
{
    struct tenon_attr scale = tenon_attr_f("scale", d->embed_scale);
    uint32_t in[2], h;
    (void)b->block_begin(b->ctx, "embed", NULL, 0, NULL);
    in[0] = tenon_decoder_weight(d, b, "", "token_embd", ""), in[1] = tenon_input(b, "token");
    h = tenon_node1(b, "core.gather/1", "embed", in, 2, &scale, d->embed_scale != 1.0 ? 1 : 0);
    in[0] = tenon_decoder_weight(d, b, "", "position_embd", "");
    if (in[0] != TENON_NO_VALUE)
        h = tenon_add(b, "positioned", h, tenon_gather(b, "position_embd", in[0], tenon_input(b, "position")));
    in[0] = tenon_decoder_weight(d, b, "", "token_type", "");
    if (in[0] != TENON_NO_VALUE)
        h = tenon_add(b, "typed", h, in[0]);
    if (tenon_decoder_has_row(d, "token_embd_norm"))
        h = tenon_decoder_norm(d, b, "", "token_embd_norm", h);
    (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
    return h;
}

static inline int32_t tenon_decoder_kind(const struct tenon_model_config *c, const struct tenon_decoder *d, int64_t layer)
{
    return d->family->kind_of != NULL ? d->family->kind_of(c, layer) : d->sees[layer] + 3 * d->experts[layer];
}

static inline const char *const *tenon_decoder_kinds(const struct tenon_decoder *d)
{
    static const char *const kinds[] = {"layer", "local", "recurrent", "experts", "local_experts", "recurrent_experts"};
    return d->family->kinds != NULL ? d->family->kinds : kinds;
}

/* A layer like this one. */
static inline uint32_t tenon_decoder_like(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                          const struct tenon_builder *b, int64_t layer, uint32_t h)
{
    const struct tenon_layer_attention a = tenon_layer_attention_of(d, layer);
    if (d->family->layer != NULL)
        return d->family->layer(c, b, tenon_decoder_kind(c, d, layer), h, &a);
    if (a.sees == TENON_SEES_NONE) {
        const uint32_t x = tenon_layer_norm(d, b, "attn_norm", h);
        return tenon_decoder_layer_mixed(d, b, h, x, d->family->mix(c, b, x), &a);
    }
    return tenon_decoder_layer(d, b, h, &a);
}

/* The block of one kind of layer; a negative number when no layer is of it. */
static inline int32_t tenon_decoder_block(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                          const struct tenon_builder *b, int32_t kind, uint32_t like, uint32_t *ret_h)
{
    uint32_t arg;
    int64_t i = 0;
    while (i < d->n_layers && tenon_decoder_kind(c, d, i) != kind)
        i++;
    if (i == d->n_layers)
        return -1;
    (void)b->block_begin(b->ctx, tenon_decoder_kinds(d)[kind], &like, 1, &arg);
    *ret_h = tenon_decoder_like(c, d, b, i, arg);
    return tenon_decoder_end_block(b, *ret_h);
}

static inline uint32_t tenon_decoder_layers(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                            const struct tenon_builder *b, uint32_t h)
{
    const char *const *kinds = d->family->kinds;
    int32_t block[TENON_DECODER_KINDS], kind;
    uint32_t like = h;
    int64_t i;
    for (kind = 0; kind < TENON_DECODER_KINDS && (kinds == NULL || kinds[kind] != NULL); kind++)
        block[kind] = tenon_decoder_block(c, d, b, kind, like, &h);
    for (i = 0; i < d->n_layers; i++)
        (void)b->run(b->ctx, block[tenon_decoder_kind(c, d, i)], (int32_t)i, 1);
    return h;
}

static inline void tenon_decoder_head(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t like)
{
    uint32_t h;
    (void)b->block_begin(b->ctx, "head", &like, 1, &h);
    h = tenon_gather(b, "rows", h, tenon_input(b, "out_row"));
    h = tenon_decoder_has_row(d, "output_norm") ? tenon_decoder_norm(d, b, "", "output_norm", h) : h;
    if (d->family->is_encoder) {
        (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
        (void)b->output(b->ctx, 0, "rows");
        return;
    }
    h = tenon_matmul(b, "logits", h, tenon_decoder_weight(d, b, "", "output", ""),
                     tenon_decoder_weight(d, b, "", "output", "_bias"));
    h = d->logit_scale != 1.0 ? tenon_affine(b, "logits_scaled", h, d->logit_scale, 0.0) : h;
    h = d->logit_softcap > 0.0 ? tenon_softcap(b, "logits_capped", h, d->logit_softcap) : h;
    (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
    (void)b->output(b->ctx, 0, "logits");
}

#ifdef __cplusplus
}
#endif
#endif
