/* Qwen3-Next: three of four layers run a gated delta rule behind a short convolution, the others attention whose
 * output is gated; all have experts and one net that every token takes. GGUF stores norm weights with the 1 that the
 * model adds. Reads `qwen3next.*` keys. Attention and experts are in <tenon/decoder.h>, by this table. Contract:
 * <tenon/model.h>; arXiv:2412.06464. */
#include <tenon/decoder.h>

#define ARCH "qwen3next"

enum { SIZE_KEYS = TENON_SIZE_OWN, SIZE_VALUES, SIZE_CONV, SIZE_KERNEL, SIZE_K_HEADS, SIZE_V_HEADS, SIZE_V_HEAD };

struct tenon_model_config {
    struct tenon_decoder d;
    int64_t k_heads, v_heads, k_head, v_head; /* of the delta rule; elements of a head */
};

#define NORM(name, gguf, hf) TENON_LAYER_NORM_BY(name, gguf, hf, TENON_SIZE_EMBED, TENON_XFORM_ADD_ONE)
#define HEAD_NORM(name) \
    {TENON_LAYER_ROW("attn_" name, "attn_" name ".weight", "self_attn." name ".weight", TENON_ROLE_NORM, 1,                  \
                     TENON_SIZE_K_DIM, 0),                                                                                   \
     .hf_xform = TENON_XFORM_ADD_ONE, .only = TENON_ONLY_ATTENTION}
#define ATTENTION(name, hf, out, in, axis) TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, name, name, "self_attn." hf, out, in, axis)
/* Queries and gates take turns by heads. */
#define QUERY(name) \
    {TENON_LAYER_ROW(name, "attn_q.weight", "self_attn.q_proj.weight", TENON_ROLE_MATMUL, 2, TENON_SIZE_Q, TENON_SIZE_EMBED), \
     .only = TENON_ONLY_ATTENTION, .gguf_xform = TENON_XFORM_SPLIT, .gguf_groups = TENON_SIZE_HEADS,                         \
     .hf_xform = TENON_XFORM_SPLIT, .hf_groups = TENON_SIZE_HEADS}
#define BIAS(name_, gguf_, hf_, size_, xform_, groups_)                                                                       \
    {.name = "layers.{i}." name_ "_bias", .gguf = "blk.{i}." gguf_ ".bias", .role = TENON_ROLE_BIAS,                          \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 1, .dims = {size_, 0, 0}, .shard_axis = -1,               \
     .hf = "model.layers.{i}.self_attn." hf_ ".bias", .only = TENON_ONLY_ATTENTION, .gguf_xform = xform_, .hf_xform = xform_, \
     .gguf_groups = groups_, .hf_groups = groups_}
#define QUERY_BIAS(name) BIAS(name, "attn_q", "q_proj", TENON_SIZE_Q, TENON_XFORM_SPLIT, TENON_SIZE_HEADS)
#define DELTA(name, gguf, hf, role, rank, d0, d1) TENON_LAYER_ROW("delta_" name, gguf, "linear_attn." hf, role, rank, d0, d1), \
    .only = TENON_ONLY_RECURRENT
/* In a Hugging Face directory each key head's q, k, v and z stand together, and so its values' b and a. */
#define PIECE(name, gguf, size, xform) \
    {DELTA(name, gguf ".weight", "in_proj_qkvz.weight", TENON_ROLE_MATMUL, 2, size, TENON_SIZE_EMBED), .gguf_xform = xform,   \
     .hf_xform = TENON_XFORM_SPLIT, .hf_groups = SIZE_K_HEADS}
#define RATE(name) \
    {DELTA(name, "ssm_ba.weight", "in_proj_ba.weight", TENON_ROLE_MATMUL, 2, SIZE_V_HEADS, TENON_SIZE_EMBED),                 \
     .gguf_xform = TENON_XFORM_SPLIT, .gguf_groups = SIZE_K_HEADS, .hf_xform = TENON_XFORM_SPLIT, .hf_groups = SIZE_K_HEADS}

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    NORM("attn_norm", "attn_norm", "input_layernorm"),
    QUERY("attn_q"), QUERY("attn_gate"), QUERY_BIAS("attn_q"), QUERY_BIAS("attn_gate"),
    BIAS("attn_k", "attn_k", "k_proj", TENON_SIZE_K, 0, 0), BIAS("attn_v", "attn_v", "v_proj", TENON_SIZE_V, 0, 0),
    BIAS("attn_output", "attn_output", "o_proj", TENON_SIZE_EMBED, 0, 0),
    ATTENTION("attn_k", "k_proj", TENON_SIZE_K, TENON_SIZE_EMBED, 0),
    ATTENTION("attn_v", "v_proj", TENON_SIZE_V, TENON_SIZE_EMBED, 0),
    ATTENTION("attn_output", "o_proj", TENON_SIZE_EMBED, TENON_SIZE_ATTN, 1),
    HEAD_NORM("q_norm"), HEAD_NORM("k_norm"),
    PIECE("q", "attn_qkv", SIZE_KEYS, TENON_XFORM_SPLIT), PIECE("k", "attn_qkv", SIZE_KEYS, TENON_XFORM_SPLIT),
    PIECE("v", "attn_qkv", SIZE_VALUES, TENON_XFORM_SPLIT), PIECE("z", "attn_gate", SIZE_VALUES, TENON_XFORM_NONE),
    RATE("b"), RATE("a"),
    {DELTA("a_bias", "ssm_dt.bias", "dt_bias", TENON_ROLE_BIAS, 1, SIZE_V_HEADS, 0)},
    {DELTA("decay", "ssm_a", "A_log", TENON_ROLE_OTHER, 1, SIZE_V_HEADS, 0), .hf_xform = TENON_XFORM_NEG_EXP},
    {DELTA("conv", "ssm_conv1d.weight", "conv1d.weight", TENON_ROLE_CONV, 2, SIZE_CONV, SIZE_KERNEL)},
    {DELTA("norm", "ssm_norm.weight", "norm.weight", TENON_ROLE_NORM, 1, SIZE_V_HEAD, 0)},
    {DELTA("out", "ssm_out.weight", "out_proj.weight", TENON_ROLE_MATMUL, 2, TENON_SIZE_EMBED, SIZE_VALUES)},
    NORM("ffn_norm", "post_attention_norm", "post_attention_layernorm"),
    TENON_DECODER_FFN_ROWS,
    TENON_EXPERT_ROWS("mlp.gate", "mlp.experts", "gate_proj", "up_proj", "down_proj"),
    TENON_SHARED_EXPERT_ROWS("mlp.shared_expert"),
    TENON_SHARED_GATE_ROW("mlp.shared_expert_gate"),
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_ADD_ONE),
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_delta(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_decoder *d = &c->d;
    int64_t *size = d->size;
    int32_t s;
    if ((s = tenon_decoder_key(d, m, "ssm.group_count", 4096, NULL, &c->k_heads, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.time_step_rank", 4096, NULL, &c->v_heads, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.state_size", 4096, NULL, &c->k_head, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.conv_kernel", 64, NULL, &size[SIZE_KERNEL], err)) != 0)
        return s;
    c->v_head = c->k_head;
    if ((s = tenon_decoder_key(d, m, "linear_value_head_dim", 4096, &c->k_head, &c->v_head, err)) != 0)
        return s;
    if (c->v_heads % c->k_heads != 0)
        return tenon_decoder_bad_key(d, "ssm.time_step_rank", c->v_heads, "which the group count does not divide", err);
    size[SIZE_KEYS] = c->k_heads * c->k_head, size[SIZE_VALUES] = c->v_heads * c->v_head;
    size[SIZE_CONV] = 2 * size[SIZE_KEYS] + size[SIZE_VALUES];
    size[SIZE_K_HEADS] = c->k_heads, size[SIZE_V_HEADS] = c->v_heads, size[SIZE_V_HEAD] = c->v_head;
    tenon_decoder_want_slots(d, "conv", TENON_STATE_CONV, (size[SIZE_KERNEL] - 1) * size[SIZE_CONV] * 4);
    tenon_decoder_want_slots(d, "delta", TENON_STATE_RECURRENT, c->v_heads * c->k_head * c->v_head * 4);
    return TENON_E_OK;
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t usual = 4;
    struct tenon_decoder *d = &c->d;
    int64_t every = 4, i;
    int listed;
    int32_t s;
    if ((s = read_delta(c, m, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "expert_shared_feed_forward_length", 1 << 24, NULL,
                               &d->size[TENON_SIZE_SHARED_FFN], err)) != 0 ||
        (s = tenon_decoder_read_sparse(d, m, 1, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "full_attention_interval", TENON_DECODER_LAYERS, &usual, &every, err)) != 0 ||
        (s = tenon_decoder_read_types(d, m, "linear_attention", &listed, err)) != 0)
        return s;
    for (i = 0; !listed && i < d->n_layers; i++)
        d->sees[i] = (i + 1) % every == 0 ? TENON_SEES_ALL : TENON_SEES_NONE;
    return TENON_E_OK;
}

static uint32_t product(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t x)
{
    return tenon_matmul(b, name, x, tenon_layer_weight(d, b, name), tenon_decoder_weight(d, b, "layers.{i}.", name, "_bias"));
}

/* Elements start .. of parts [T,conv] as heads [T,heads,n]. */
static uint32_t heads(const struct tenon_builder *b, const char *name, uint32_t parts, int64_t start, int64_t n_heads, int64_t n)
{
    char flat[32];
    (void)snprintf(flat, sizeof flat, "%s_flat", name);
    return tenon_reshape3(b, name, tenon_slice(b, flat, parts, -1, start, n_heads * n), tenon_dim_of(TENON_SYM_T),
                          tenon_dim_n(n_heads), tenon_dim_n(n));
}

static uint32_t mix(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t x)
{
    const struct tenon_decoder *d = &c->d;
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T);
    const int64_t keys = d->size[SIZE_KEYS], values = d->size[SIZE_VALUES];
    struct tenon_delta p = {
        .state = b->state(b->ctx, "delta"), .scale = 1.0 / sqrt((double)c->k_head), .eps = 1e-6, .normalise = 2};
    uint32_t q = product(d, b, "delta_q", x), k = product(d, b, "delta_k", x), v = product(d, b, "delta_v", x), y, g, beta, z;
    y = tenon_concat(b, "delta_qkv", tenon_concat(b, "delta_qk", q, k, -1), v, -1);
    y = tenon_conv_scan(b, "delta_conv", y, tenon_layer_weight(d, b, "delta_conv"), TENON_NO_VALUE, b->state(b->ctx, "conv"));
    y = tenon_unary(b, "delta_act", "silu", y);
    g = tenon_unary(b, "delta_step", "softplus", product(d, b, "delta_a", x));
    g = tenon_mul(b, "delta_g", g, tenon_layer_weight(d, b, "delta_decay"));
    beta = tenon_unary(b, "delta_beta", "sigmoid", product(d, b, "delta_b", x));
    q = heads(b, "delta_q_heads", y, 0, c->k_heads, c->k_head), k = heads(b, "delta_k_heads", y, keys, c->k_heads, c->k_head);
    v = heads(b, "delta_v_heads", y, 2 * keys, c->v_heads, c->v_head);
    y = tenon_delta_rule(b, "delta", q, k, v, g, beta, &p);
    y = tenon_rms_norm(b, "delta_norm", y, tenon_layer_weight(d, b, "delta_norm"), d->eps);
    z = tenon_unary(b, "delta_gate", "silu", product(d, b, "delta_z", x));
    y = tenon_mul(b, "delta_gated", tenon_reshape2(b, "delta_out_flat", y, t, tenon_dim_n(values)), z);
    return product(d, b, "delta_out", y);
}

static const char *const hf_types[] = {"qwen3_next", NULL};
static const struct tenon_key_row hf_keys[] = {
    {"ssm.group_count", "linear_num_key_heads", 1, 16},
    {"ssm.time_step_rank", "linear_num_value_heads", 1, 32},
    {"ssm.state_size", "linear_key_head_dim", 1, 128},
    {"ssm.conv_kernel", "linear_conv_kernel_dim", 1, 4},
    {"linear_value_head_dim", "linear_value_head_dim", 1, 128},
    {"attention.key_length", "head_dim", 1, 256},
    {"expert_weights_norm", "norm_topk_prob", 1, 1},
    {"partial_rotary_factor",
     "rope_scaling.partial_rotary_factor|rope_parameters.partial_rotary_factor|partial_rotary_factor", 1, 0.25},
};

static const struct tenon_decoder_switch switches[] = {
    {"attention_bias", 0, 0, TENON_ATTENTION_BIASES "|attn_gate_bias"}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .has_experts = 1, .mix = mix,
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .hf_types = hf_types, .switches = switches,
    .hf_keys = hf_keys, .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0],
};
TENON_DECODER_PLUGIN(family, ARCH, "the Qwen3-Next family of models", "qwen3_next")
