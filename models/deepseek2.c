/* DeepSeek-V2 and V3: latent attention, whose cache holds one compressed row for all heads and a key part that turns;
 * most layers have experts, chosen within the best groups, and nets that every token takes. Reads `deepseek2.*` keys.
 * The rest of a layer is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2405.04434,
 * arXiv:2412.19437. */
#include <tenon/decoder.h>

#define ARCH "deepseek2"

enum { SIZE_Q_RANK = TENON_SIZE_OWN, SIZE_RANK, SIZE_KV_A, SIZE_Q_ALL, SIZE_NOPE, SIZE_V_HEAD, SIZE_OUT };

struct tenon_model_config {
    struct tenon_decoder d;
    int64_t rope;      /* elements of q and k that turn, behind those of SIZE_NOPE that do not */
    double latent_eps; /* of the norms of what is compressed: config.json's is not theirs */
};

#define MAYBE(name_, hf_, role_, rank_, d0_, d1_)                                                                            \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." name_ ".weight", .role = role_,                                         \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = rank_, .dims = {d0_, d1_, 0}, .shard_axis = -1,          \
     .hf = "model.layers.{i}." hf_ ".weight"}
#define BIAS(name, gguf, hf, size) TENON_LAYER_BIAS(name, gguf, "self_attn." hf, size, -1, TENON_WEIGHT_OPTIONAL)
/* kv_b_proj makes of a latent row each head's unturned key and its value, one below the other. */
#define PIECE(name_, d1_, d2_, xform_)                                                                                       \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." name_ ".weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 3, .dims = {TENON_SIZE_HEADS, d1_, d2_}, .shard_axis = 0, .hf = "model.layers.{i}.self_attn.kv_b_proj.weight",   \
     .hf_xform = TENON_XFORM_GROUPS | TENON_XFORM_SPLIT | (xform_), .hf_groups = TENON_SIZE_HEADS}

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),
    MAYBE("attn_q", "self_attn.q_proj", TENON_ROLE_MATMUL, 2, SIZE_Q_ALL, TENON_SIZE_EMBED),
    MAYBE("attn_q_a", "self_attn.q_a_proj", TENON_ROLE_MATMUL, 2, SIZE_Q_RANK, TENON_SIZE_EMBED),
    MAYBE("attn_q_a_norm", "self_attn.q_a_layernorm", TENON_ROLE_NORM, 1, SIZE_Q_RANK, 0),
    MAYBE("attn_q_b", "self_attn.q_b_proj", TENON_ROLE_MATMUL, 2, SIZE_Q_ALL, SIZE_Q_RANK),
    TENON_LAYER_MATRIX("attn_kv_a", "attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa", SIZE_KV_A, TENON_SIZE_EMBED, -1),
    TENON_LAYER_NORM("attn_kv_a_norm", "attn_kv_a_norm", "self_attn.kv_a_layernorm", SIZE_RANK),
    PIECE("attn_k_b", SIZE_RANK, SIZE_NOPE, TENON_XFORM_TURN),
    PIECE("attn_v_b", SIZE_V_HEAD, SIZE_RANK, TENON_XFORM_NONE),
    TENON_LAYER_MATRIX("attn_output", "attn_output", "self_attn.o_proj", TENON_SIZE_EMBED, SIZE_OUT, 1),
    BIAS("attn_q_a", "attn_q_a", "q_a_proj", SIZE_Q_RANK), BIAS("attn_kv_a", "attn_kv_a_mqa", "kv_a_proj_with_mqa", SIZE_KV_A),
    BIAS("attn_output", "attn_output", "o_proj", TENON_SIZE_EMBED),
    TENON_LAYER_NORM("ffn_norm", "ffn_norm", "post_attention_layernorm", TENON_SIZE_EMBED),
    TENON_DECODER_FFN_ROWS,
    TENON_EXPERT_ROWS("mlp.gate", "mlp.experts", "gate_proj", "up_proj", "down_proj"),
    TENON_SHARED_EXPERT_ROWS("mlp.shared_experts"),
    {.name = "layers.{i}.ffn_select_bias", .gguf = "blk.{i}.exp_probs_b.bias", .role = TENON_ROLE_BIAS,
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 1, .dims = {TENON_SIZE_EXPERTS, 0, 0}, .shard_axis = -1,
     .hf = "model.layers.{i}.mlp.gate.e_score_correction_bias", .only = TENON_ONLY_EXPERTS},
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE),
};

/* Of models whose q is compressed, and of those that have it whole. */
static const struct tenon_decoder_switch switches[] = {
    {"attention_bias", 0, 0, "attn_q_a_bias|attn_kv_a_bias|attn_output_bias"}, {NULL, 0, 0, "attn_q"},
    {NULL, 1, 0, "attn_q_a|attn_q_a_norm|attn_q_b"}, {NULL, 0, 0, NULL}};
static const struct tenon_decoder_switch whole_q[] = {
    {"attention_bias", 0, 0, "attn_kv_a_bias|attn_output_bias"}, {NULL, 0, 0, "attn_q_a|attn_q_a_norm|attn_q_b|attn_q_a_bias"},
    {NULL, 1, 0, "attn_q"}, {NULL, 0, 0, NULL}};

/* Does config.json call it V3? Its defaults are others. */
static int says_v3(const struct tenon_meta *m)
{
    char type[64];
    return tenon_key_str(m, NULL, "config.model_type", "", type, sizeof type, NULL) == 0 && strcmp(type, "deepseek_v3") == 0;
}

/* Positions stretched by YaRN sharpen scores; of other scalings config.json may ask it too. */
static int32_t read_scale(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const double none = 0.0;
    struct tenon_decoder *d = &c->d;
    const int is_hf = tenon_meta_is_huggingface(m);
    double all = 0.0, factor = 1.0, grown;
    char type[32];
    int32_t s;
    d->attn_scale = 1.0 / sqrt((double)(d->size[SIZE_NOPE] + c->rope));
    if ((s = tenon_key_str(m, ARCH, "rope.scaling.type", "default", type, sizeof type, err)) != 0 ||
        (is_hf && strcmp(type, "default") == 0))
        return s;
    s = tenon_key_f64(m, ARCH, is_hf ? "rope.scaling.mscale_all_dim" : "rope.scaling.yarn_log_multiplier", 0, 1e3,
                      &none, &all, err);
    if (s == 0 && is_hf)
        s = tenon_key_f64(m, ARCH, "rope.scaling.factor", 1e-3, 1e6, &none, &factor, err);
    if (s != 0 || (d->rope.ext_factor == 0.0 && !is_hf))
        return s;
    factor = is_hf ? factor : 1.0 / d->rope.scale;
    grown = 1.0 + (is_hf ? 0.1 * all : all) * (factor > 1.0 ? log(factor) : 0.0);
    d->attn_scale *= grown * grown;
    if (!is_hf)
        d->rope.attn_factor = 1.0; /* it is in the scores alone */
    return s;
}

static int32_t read_latent(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t none = 0, most = TENON_DECODER_HEAD, is_hf = tenon_meta_is_huggingface(m);
    struct tenon_decoder *d = &c->d;
    int64_t *size = d->size, key = 0, in_turn = 1;
    int32_t s;
    if ((s = tenon_decoder_key(d, m, "attention.kv_lora_rank", most, NULL, &size[SIZE_RANK], err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "attention.q_lora_rank", 0, 1 << 20, &none, &size[SIZE_Q_RANK], err)) != 0 ||
        (s = tenon_decoder_key(d, m, is_hf ? "qk_rope_head_dim" : "rope.dimension_count", most, NULL, &c->rope,
                               err)) != 0 ||
        (s = tenon_decoder_key(d, m, is_hf ? "v_head_dim" : "attention.value_length_mla", most, NULL,
                               &size[SIZE_V_HEAD], err)) != 0 ||
        (s = tenon_decoder_key(d, m, is_hf ? "qk_nope_head_dim" : "attention.key_length_mla", most, NULL, &key,
                               err)) != 0 ||
        (says_v3(m) && (s = tenon_key_flag(m, ARCH, "rope_interleave", !tenon_key_is_null(m, ARCH, "rope_interleave"),
                                           &in_turn, err)) != 0))
        return s;
    if (in_turn == 0)
        d->rope.layout = "half";
    size[SIZE_NOPE] = is_hf ? key : key - c->rope;
    if (size[SIZE_NOPE] < 1 || c->rope % 2 != 0)
        return tenon_decoder_bad_key(d, is_hf ? "qk_rope_head_dim" : "rope.dimension_count", c->rope,
                                     "but must be even and less than a key", err);
    size[SIZE_KV_A] = d->latent = size[SIZE_RANK] + c->rope;
    size[SIZE_Q_ALL] = d->n_heads * (size[SIZE_NOPE] + c->rope);
    size[SIZE_OUT] = d->n_heads * size[SIZE_V_HEAD];
    d->switches = size[SIZE_Q_RANK] > 0 ? switches : whole_q;
    size[SIZE_Q_RANK] = size[SIZE_Q_RANK] > 0 ? size[SIZE_Q_RANK] : 1;
    d->rope.n_rot = c->rope;
    return read_scale(c, m, err);
}

/* How experts are chosen, which GGUF does not say by a word. */
static int32_t read_method(const struct tenon_meta *m, char word[64], struct tenon_err *err)
{
    char name[128];
    int32_t s = tenon_key_str(m, ARCH, "topk_method", "", word, 64, err);
    if (s != 0 || word[0] == '\0' || strcmp(word, "greedy") == 0 || strcmp(word, "group_limited_greedy") == 0 ||
        strcmp(word, "noaux_tc") == 0)
        return s;
    tenon_key_name(m, ARCH, "topk_method", name);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                      "key %s is '%s': this plugin knows greedy, group_limited_greedy and noaux_tc", name, word);
}

/* V2 scores by softmax and takes a group for its best expert, V3 by sigmoids and for its two best. */
static int32_t read_choice(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int is_hf = tenon_meta_is_huggingface(m), hf_v3 = says_v3(m);
    const int64_t softmax = 1, groups = hf_v3 ? 8 : 1, half = 4, *used = hf_v3 ? &half : &c->d.moe.groups;
    const double scale = hf_v3 ? 2.5 : 1.0;
    struct tenon_decoder *d = &c->d;
    struct tenon_moe *moe = &d->moe;
    int64_t scoring = 1, is_v3, open;
    char word[64];
    int32_t s;
    if ((s = read_method(m, word, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "expert_gating_func", 1, 2, &softmax, &scoring, err)) != 0 ||
        (s = tenon_key_flag(m, ARCH, "expert_weights_norm", hf_v3 && !tenon_key_is_null(m, ARCH, "expert_weights_norm"),
                            &moe->normalise, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "expert_weights_scale", 1e-6, 1e6, &scale, &moe->scale, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "expert_group_count", 4096, &groups, &moe->groups, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "expert_group_used_count", moe->groups, used, &moe->groups_used, err)) != 0)
        return s;
    is_v3 = is_hf ? hf_v3 : scoring == 2;
    moe->group_best = is_v3 ? 2 : 1;
    if (moe->used > 0 && moe->groups > 1 &&
        (d->size[TENON_SIZE_EXPERTS] % moe->groups != 0 || d->size[TENON_SIZE_EXPERTS] / moe->groups < moe->group_best))
        return tenon_decoder_bad_key(d, "expert_group_count", moe->groups,
                                     "which does not divide the experts into groups that are large enough", err);
    if (is_hf && !is_v3)
        moe->normalise = 0; /* whatever the file says */
    if (moe->groups == 1 || strcmp(word, "greedy") == 0 || (is_hf && !is_v3 && word[0] == '\0'))
        moe->groups = moe->groups_used = 0;
    open = moe->groups > 0 ? d->size[TENON_SIZE_EXPERTS] / moe->groups * moe->groups_used : moe->used;
    if (moe->used > open)
        return tenon_decoder_bad_key(d, "expert_used_count", moe->used, "but the groups that are used have fewer experts", err);
    moe->scoring = is_v3 ? "sigmoid" : "softmax";
    return TENON_E_OK;
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t none = 0, is_hf = tenon_meta_is_huggingface(m), usual = is_hf && !says_v3(m) ? 2 : 1;
    struct tenon_decoder *d = &c->d;
    int64_t dense = 0, shared = usual;
    int32_t s;
    if ((s = tenon_key_must_be(m, ARCH, "mlp_bias", 0, err)) != 0 ||
        (s = read_latent(c, m, err)) != 0 || (s = read_choice(c, m, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "leading_dense_block_count", 0, d->n_layers, &none, &dense, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "expert_shared_count", 0, 4096, &usual, &shared, err)) != 0)
        return s;
    c->latent_eps = is_hf ? 1e-6 : d->eps;
    memset(d->experts, 0, (size_t)dense);
    d->is_unshared = shared == 0;
    d->size[TENON_SIZE_SHARED_FFN] = (shared > 0 ? shared : 1) * d->size[TENON_SIZE_EXPERT_FFN];
    return TENON_E_OK;
}

/* The norm of x, which is compressed. */
static uint32_t latent_norm(const struct tenon_model_config *c, const struct tenon_builder *b, const char *name, uint32_t x)
{
    return tenon_rms_norm(b, name, x, tenon_layer_weight(&c->d, b, name), c->latent_eps);
}

static uint32_t queries(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t x)
{
    const struct tenon_decoder *d = &c->d;
    if (tenon_layer_weight(d, b, "attn_q") == TENON_NO_VALUE) {
        x = tenon_layer_linear(d, b, "attn_q_a", x);
        x = tenon_layer_linear(d, b, "attn_q_b", latent_norm(c, b, "attn_q_a_norm", x));
    } else {
        x = tenon_layer_linear(d, b, "attn_q", x);
    }
    return tenon_reshape3(b, "q_heads", x, tenon_dim_of(TENON_SYM_T), tenon_dim_n(d->n_heads),
                          tenon_dim_n(d->size[SIZE_NOPE] + c->rope));
}

/* The cache's rows: what is compressed, and the key part that turns. */
static uint32_t latents(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t x)
{
    const struct tenon_decoder *d = &c->d;
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T), one = tenon_dim_n(1);
    const int64_t rank = d->size[SIZE_RANK];
    uint32_t all = tenon_layer_linear(d, b, "attn_kv_a", x), latent, k;
    latent = latent_norm(c, b, "attn_kv_a_norm", tenon_slice(b, "kv_latent", all, -1, 0, rank));
    k = tenon_reshape3(b, "k_rope_head", tenon_slice(b, "k_rope", all, -1, rank, c->rope), t, one, tenon_dim_n(c->rope));
    k = tenon_rope(b, "rope_k", k, TENON_NO_VALUE, &d->rope);
    return tenon_concat(b, "kv_row", tenon_reshape3(b, "kv_latent_head", latent, t, one, tenon_dim_n(rank)), k, -1);
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, int32_t kind, uint32_t h,
                      const struct tenon_layer_attention *a)
{
    const struct tenon_decoder *d = &c->d;
    const int64_t nope = d->size[SIZE_NOPE];
    struct tenon_latent p = {.rank = d->size[SIZE_RANK], .v_dim = d->size[SIZE_V_HEAD], .scale = d->attn_scale};
    uint32_t x = tenon_layer_norm(d, b, "attn_norm", h), q = queries(c, b, x), y;
    (void)kind; /* a says enough */
    p.wk = tenon_layer_weight(d, b, "attn_k_b"), p.wv = tenon_layer_weight(d, b, "attn_v_b");
    p.kv = tenon_group_store(b, "kv_store", 0, b->state(b->ctx, "kv"), latents(c, b, x), TENON_NO_VALUE);
    y = tenon_rope(b, "rope_q", tenon_slice(b, "q_rope", q, -1, nope, c->rope), TENON_NO_VALUE, &d->rope);
    y = tenon_latent_attention(b, "attn", tenon_slice(b, "q_nope", q, -1, 0, nope), y, &p);
    y = tenon_reshape2(b, "attn_flat", y, tenon_dim_of(TENON_SYM_T), tenon_dim_n(d->size[SIZE_OUT]));
    return tenon_decoder_layer_mixed(d, b, h, x, tenon_layer_linear(d, b, "attn_output", y), a);
}

static const char *const hf_types[] = {"deepseek_v2", "deepseek_v3", NULL};
static const struct tenon_key_row hf_keys[] = {
    {"expert_group_count", "n_group", 0, 0},
    {"expert_group_used_count", "topk_group", 0, 0},
    {"attention.value_length", NULL, 0, 0},
};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "interleaved", .hf_rope_layout = "interleaved", .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .has_experts = 1, .layer = layer, .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .hf_types = hf_types,
    .hf_keys = hf_keys, .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0],
};
TENON_DECODER_PLUGIN(family, ARCH, "the DeepSeek-V2 and V3 families of models", "deepseek_v2", "deepseek_v3")
