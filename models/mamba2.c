/* Mamba-2: every layer is a norm and a mixer: one product gives gate, convolved input and time steps of a state
 * space, whose output is gated, normed and multiplied out. Reads `mamba2.*` keys. Contract: <tenon/model.h>;
 * arXiv:2405.21060. */
#include <tenon/decoder.h>

#define ARCH "mamba2"

enum { SIZE_INNER = TENON_SIZE_OWN, SIZE_IN, SIZE_CONV, SIZE_KERNEL, SIZE_SSM_HEADS };

struct tenon_model_config {
    struct tenon_decoder d;
    int64_t heads, head, groups, state; /* a head has `head` elements; B and C are [groups, state] */
    double dt_min, dt_max;              /* 0: none */
};

#define ROW(name, gguf, hf, role, rank, d0, d1) {TENON_LAYER_ROW_AT("backbone.layers.{i}.", name, gguf, hf, role, rank, d0, d1)}
#define MAYBE(name_, gguf_, hf_, size_)                                                                                      \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_, .role = TENON_ROLE_BIAS,                                         \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 1, .dims = {size_, 0, 0}, .shard_axis = -1,              \
     .hf = "backbone.layers.{i}." hf_}

static const struct tenon_weight_row rows[] = {
    {.name = "token_embd", .gguf = "token_embd.weight", .role = TENON_ROLE_EMBED, .rank = 2,
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .hf = "backbone.embeddings.weight"},
    ROW("attn_norm", "attn_norm.weight", "norm.weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED, 0),
    ROW("ssm_in", "ssm_in.weight", "mixer.in_proj.weight", TENON_ROLE_MATMUL, 2, SIZE_IN, TENON_SIZE_EMBED),
    MAYBE("ssm_in_bias", "ssm_in.bias", "mixer.in_proj.bias", SIZE_IN),
    ROW("ssm_conv", "ssm_conv1d.weight", "mixer.conv1d.weight", TENON_ROLE_CONV, 2, SIZE_CONV, SIZE_KERNEL),
    MAYBE("ssm_conv_bias", "ssm_conv1d.bias", "mixer.conv1d.bias", SIZE_CONV),
    {TENON_LAYER_ROW_AT("backbone.layers.{i}.", "ssm_a", "ssm_a", "mixer.A_log", TENON_ROLE_OTHER, 1, SIZE_SSM_HEADS, 0),
     .hf_xform = TENON_XFORM_NEG_EXP},
    ROW("ssm_d", "ssm_d", "mixer.D", TENON_ROLE_OTHER, 1, SIZE_SSM_HEADS, 0),
    ROW("ssm_dt_bias", "ssm_dt.bias", "mixer.dt_bias", TENON_ROLE_BIAS, 1, SIZE_SSM_HEADS, 0),
    {TENON_LAYER_ROW_AT("backbone.layers.{i}.", "ssm_norm", "ssm_norm.weight", "mixer.norm.weight", TENON_ROLE_NORM,
                        1, SIZE_INNER, 0),
     .gguf_xform = TENON_XFORM_FLAT}, /* by groups there */
    ROW("ssm_out", "ssm_out.weight", "mixer.out_proj.weight", TENON_ROLE_MATMUL, 2, TENON_SIZE_EMBED, SIZE_INNER),
    MAYBE("ssm_out_bias", "ssm_out.bias", "mixer.out_proj.bias", TENON_SIZE_EMBED),
    {.name = "output_norm", .gguf = "output_norm.weight", .role = TENON_ROLE_NORM, .rank = 1, .dims = {TENON_SIZE_EMBED, 0, 0},
     .shard_axis = -1, .hf = "backbone.norm_f.weight"},
    {.name = "output", .gguf = "output.weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_OPTIONAL, .rank = 2,
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .tied_to = "token_embd", .hf = "lm_head.weight"},
};

/* The shortest and the longest time step, which config.json has as two numbers. */
static int32_t read_limit(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    double least = 0.0, most = 0.0;
    int listed;
    int32_t s = tenon_key_list(m, ARCH, "time_step_limit", name, &e, &listed, err);
    if (s != 0 || !listed)
        return s;
    if (e.count != 2 || tenon_key_float_at(&e, 0, &least) != 0 || tenon_key_float_at(&e, 1, &most) != 0 ||
        !(least >= 0.0 && least <= most && most > 0.0) || isinf(least))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                          "key %s must be a list of two numbers from 0 on, the second greater", name);
    c->dt_min = least;
    c->dt_max = isinf(most) ? 0.0 : most;
    return TENON_E_OK;
}

/* The width inside: GGUF's own key; in config.json that of all heads, which must be `expand` times the model's. */
static int32_t read_inner(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t twice = 2, usual = 64;
    int64_t *inner = &d->size[SIZE_INNER], times = 2, heads = 0, head = 64;
    int32_t s;
    if (!tenon_meta_is_huggingface(m))
        return tenon_decoder_key(d, m, "ssm.inner_size", 1 << 20, NULL, inner, err);
    if ((s = tenon_decoder_key(d, m, "expand", 1024, &twice, &times, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.time_step_rank", 1 << 16, NULL, &heads, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "head_dim", 1 << 16, &usual, &head, err)) != 0)
        return s;
    *inner = times * d->size[TENON_SIZE_EMBED];
    if (heads * head != *inner)
        return tenon_decoder_bad_key(d, "expand", times, "but num_heads times head_dim is not that many times hidden_size", err);
    return *inner <= 1 << 20 ? s : tenon_decoder_bad_key(d, "expand", times, "which is too wide", err);
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_decoder *d = &c->d;
    int64_t *size = d->size;
    int32_t s;
    if ((s = read_inner(d, m, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.time_step_rank", 1 << 16, NULL, &c->heads, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.group_count", 1 << 16, NULL, &c->groups, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.state_size", 1 << 16, NULL, &c->state, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "ssm.conv_kernel", 64, NULL, &size[SIZE_KERNEL], err)) != 0 ||
        (s = read_limit(c, m, err)) != 0)
        return s;
    if (size[SIZE_INNER] % c->heads != 0 || c->heads % c->groups != 0)
        return tenon_decoder_bad_key(d, "ssm.time_step_rank", c->heads,
                                     "which must divide the inner size and be divided by the groups", err);
    c->head = size[SIZE_INNER] / c->heads;
    size[SIZE_CONV] = size[SIZE_INNER] + 2 * c->groups * c->state;
    size[SIZE_IN] = size[SIZE_INNER] + size[SIZE_CONV] + c->heads;
    size[SIZE_SSM_HEADS] = c->heads;
    tenon_decoder_want_slots(d, "conv", TENON_STATE_CONV, (size[SIZE_KERNEL] - 1) * size[SIZE_CONV] * 4);
    tenon_decoder_want_slots(d, "ssm", TENON_STATE_RECURRENT, size[SIZE_INNER] * c->state * 4);
    return TENON_E_OK;
}

/* The state space over x, B and C, which are `parts` [T, inner + 2 groups state]. */
static uint32_t scan(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t parts, uint32_t dt)
{
    const struct tenon_decoder *d = &c->d;
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T), groups = tenon_dim_n(c->groups), state = tenon_dim_n(c->state);
    const int64_t inner = d->size[SIZE_INNER], n = c->groups * c->state;
    struct tenon_ssm p = {.dt_min = c->dt_min, .dt_max = c->dt_max};
    uint32_t x = tenon_slice(b, "ssm_x", parts, -1, 0, inner), y;
    uint32_t in = tenon_slice(b, "ssm_b", parts, -1, inner, n), out = tenon_slice(b, "ssm_c", parts, -1, inner + n, n);
    p.a = tenon_layer_weight(d, b, "ssm_a"), p.d = tenon_layer_weight(d, b, "ssm_d"),
    p.dt_bias = tenon_layer_weight(d, b, "ssm_dt_bias");
    p.state = b->state(b->ctx, "ssm");
    x = tenon_reshape3(b, "ssm_x_heads", x, t, tenon_dim_n(c->heads), tenon_dim_n(c->head));
    in = tenon_reshape3(b, "ssm_b_groups", in, t, groups, state);
    out = tenon_reshape3(b, "ssm_c_groups", out, t, groups, state);
    y = tenon_ssm_scan(b, "ssm", x, dt, in, out, &p);
    return tenon_reshape2(b, "ssm_flat", y, t, tenon_dim_n(inner));
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, int32_t kind, uint32_t h,
                      const struct tenon_layer_attention *a)
{
    const struct tenon_decoder *d = &c->d;
    const int64_t inner = d->size[SIZE_INNER], conv = d->size[SIZE_CONV];
    uint32_t in = tenon_layer_linear(d, b, "ssm_in", tenon_layer_norm(d, b, "attn_norm", h)), y, gate, dt;
    (void)kind, (void)a; /* all are alike */
    gate = tenon_unary(b, "ssm_opened", "silu", tenon_slice(b, "ssm_gate", in, -1, 0, inner));
    y = tenon_slice(b, "ssm_parts", in, -1, inner, conv);
    dt = tenon_slice(b, "ssm_dt", in, -1, inner + conv, c->heads);
    y = tenon_conv_scan(b, "ssm_conv", y, tenon_layer_weight(d, b, "ssm_conv"), tenon_layer_weight(d, b, "ssm_conv_bias"),
                        b->state(b->ctx, "conv"));
    y = scan(c, b, tenon_unary(b, "ssm_parts_act", "silu", y), dt);
    y = tenon_group_norm(b, "ssm_norm", tenon_mul(b, "ssm_gated", y, gate), tenon_layer_weight(d, b, "ssm_norm"),
                         c->groups, d->eps);
    return tenon_add(b, "layer_out", h, tenon_layer_linear(d, b, "ssm_out", y));
}

static const struct tenon_key_row hf_keys[] = {
    {"attention.layer_norm_rms_epsilon", "layer_norm_epsilon", 1, 1e-5},
    {"ssm.time_step_rank", "num_heads", 1, 128},
    {"ssm.group_count", "n_groups", 1, 8},
    {"ssm.state_size", "state_size", 1, 128},
    {"ssm.conv_kernel", "conv_kernel", 1, 4},
};

static const struct tenon_decoder_switch switches[] = {
    {"use_bias", 0, 0, "ssm_in_bias|ssm_out_bias"}, {"use_conv_bias", 1, 0, "ssm_conv_bias"}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .has_no_attention = 1, .layer = layer,
    .switches = switches,
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more,
    .hf_keys = hf_keys, .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0],
};
TENON_DECODER_PLUGIN(family, ARCH, "the Mamba-2 family of models")
