/* ModernBERT: an encoder with rotary positions, norms without biases before attention (but in the first layer) and
 * net, a GELU-gated net, and two layers of three that see a window to both sides, with a rope base of their own. Its
 * program is "embed". Reads `modern-bert.*` keys. What it does is in <tenon/decoder.h>, by this table. Contract:
 * <tenon/model.h>; arXiv:2412.13663. */
#include <tenon/decoder.h>

#define ARCH "modern-bert"

enum kind { FIRST, LOCAL, GLOBAL };
static const char *const kinds[] = {"first", "local", "global", NULL};

struct tenon_model_config {
    struct tenon_decoder d;
};

#define PIECE(name, gguf, hf, size)                                                                                          \
    {TENON_LAYER_ROW(name, gguf ".weight", hf ".weight", TENON_ROLE_MATMUL, 2, size, TENON_SIZE_EMBED),                      \
     .gguf_xform = TENON_XFORM_SPLIT, .hf_xform = TENON_XFORM_SPLIT}
#define BIAS_BY(name_, gguf_, hf_, size_, only_, xform_)                                                                      \
    {.name = "layers.{i}." name_ "_bias", .gguf = "blk.{i}." gguf_ ".bias", .role = TENON_ROLE_BIAS,                          \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 1, .dims = {size_, 0, 0}, .shard_axis = -1,               \
     .hf = "model.layers.{i}." hf_ ".bias", .only = only_, .gguf_xform = xform_, .hf_xform = xform_}
#define PIECE_BIAS(name, gguf, hf, size) BIAS_BY(name, gguf, hf, size, 0, TENON_XFORM_SPLIT)
#define BIAS(name, gguf, hf) BIAS_BY(name, gguf, hf, TENON_SIZE_EMBED, 0, 0)
#define NORM_BIAS(name_, gguf_, hf_)                                                                                          \
    {.name = name_ "_bias", .gguf = gguf_ ".bias", .role = TENON_ROLE_BIAS, .flags = TENON_WEIGHT_OPTIONAL, .rank = 1,        \
     .dims = {TENON_SIZE_EMBED, 0, 0}, .shard_axis = -1, .hf = hf_ ".bias"}
#define WHOLE(name_, gguf_, hf_, role_, rank_, d0_) \
    {.name = name_, .gguf = gguf_, .role = role_, .rank = rank_, .dims = {d0_, TENON_SIZE_EMBED, 0}, .shard_axis = -1, .hf = hf_}

static const struct tenon_weight_row rows[] = {
    WHOLE("token_embd", "token_embd.weight", "model.embeddings.tok_embeddings.weight", TENON_ROLE_EMBED, 2, TENON_SIZE_VOCAB),
    WHOLE("token_embd_norm", "token_embd_norm.weight", "model.embeddings.norm.weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED),
    {TENON_LAYER_ROW("attn_norm", "attn_norm.weight", "attn_norm.weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED, 0),
     .only = TENON_ONLY_LATER},
    PIECE("attn_q", "attn_qkv", "attn.Wqkv", TENON_SIZE_Q),
    PIECE("attn_k", "attn_qkv", "attn.Wqkv", TENON_SIZE_K),
    PIECE("attn_v", "attn_qkv", "attn.Wqkv", TENON_SIZE_V),
    TENON_LAYER_MATRIX("attn_output", "attn_output", "attn.Wo", TENON_SIZE_EMBED, TENON_SIZE_ATTN, 1),
    TENON_LAYER_NORM("ffn_norm", "ffn_norm", "mlp_norm", TENON_SIZE_EMBED),
    PIECE("ffn_gate", "ffn_up", "mlp.Wi", TENON_SIZE_FFN),
    PIECE("ffn_up", "ffn_up", "mlp.Wi", TENON_SIZE_FFN),
    TENON_LAYER_MATRIX("ffn_down", "ffn_down", "mlp.Wo", TENON_SIZE_EMBED, TENON_SIZE_FFN, 1),
    PIECE_BIAS("attn_q", "attn_qkv", "attn.Wqkv", TENON_SIZE_Q), PIECE_BIAS("attn_k", "attn_qkv", "attn.Wqkv", TENON_SIZE_K),
    PIECE_BIAS("attn_v", "attn_qkv", "attn.Wqkv", TENON_SIZE_V), BIAS("attn_output", "attn_output", "attn.Wo"),
    PIECE_BIAS("ffn_gate", "ffn_up", "mlp.Wi", TENON_SIZE_FFN), PIECE_BIAS("ffn_up", "ffn_up", "mlp.Wi", TENON_SIZE_FFN),
    BIAS("ffn_down", "ffn_down", "mlp.Wo"), BIAS("ffn_norm", "ffn_norm", "mlp_norm"),
    BIAS_BY("attn_norm", "attn_norm", "attn_norm", TENON_SIZE_EMBED, TENON_ONLY_LATER, 0),
    NORM_BIAS("token_embd_norm", "token_embd_norm", "model.embeddings.norm"),
    NORM_BIAS("output_norm", "output_norm", "model.final_norm"),
    WHOLE("output_norm", "output_norm.weight", "model.final_norm.weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED),
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t third = 3;
    const double base = 10000.0;
    struct tenon_decoder *d = &c->d;
    int64_t every = 3, both = 0, half, i;
    int listed;
    int32_t s;
    if ((s = tenon_decoder_key(d, m, "attention.sliding_window", 1 << 30, NULL, &both, err)) != 0 ||
        (half = both / 2, s = tenon_key_i64(m, NULL, "config.sliding_window", half, half, &half, &half,
                                           err)) != 0 || /* no other is */
        (s = tenon_decoder_key(d, m, "global_attn_every_n_layers", TENON_DECODER_LAYERS, &third, &every, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "rope.freq_base_swa", 1e-3, 1e12, &base, &d->rope_local.base, err)) != 0 ||
        (s = tenon_decoder_read_types(d, m, NULL, &listed, err)) != 0)
        return s;
    d->window = both / 2 + 1; /* half of it to each side, and the token itself */
    for (i = 0; !listed && i < d->n_layers; i++)
        d->sees[i] = i % every == 0 ? TENON_SEES_ALL : TENON_SEES_WINDOW;
    return tenon_decoder_read_pooling(d, m, err);
}

static int32_t kind_of(const struct tenon_model_config *c, int64_t layer)
{
    return layer == 0 ? FIRST : c->d.sees[layer] == TENON_SEES_WINDOW ? LOCAL : GLOBAL;
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, int32_t kind, uint32_t h,
                      const struct tenon_layer_attention *a)
{
    const struct tenon_decoder *d = &c->d;
    const uint32_t x = kind == FIRST ? h : tenon_layer_norm(d, b, "attn_norm", h);
    return tenon_decoder_layer_mixed(d, b, h, x, tenon_layer_attend(d, b, x, a), a);
}

static const char *const hf_types[] = {"modernbert", NULL};
static const struct tenon_key_row hf_keys[] = {
    {"attention.head_count_kv", NULL, 0, 0}, /* as many as there are heads, whatever the file says */
    {"attention.layer_norm_epsilon", "norm_eps", 1, 1e-5},
    {"attention.sliding_window", "local_attention", 1, 128},
    {"rope.freq_base", "rope_parameters.full_attention.rope_theta|global_rope_theta", 1, 160000},
};

static const struct tenon_decoder_switch switches[] = {
    {"norm_bias", 0, 0, "attn_norm_bias|ffn_norm_bias|token_embd_norm_bias|output_norm_bias"}, TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .has_two_ropes = 1, .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .is_encoder = 1, .norm = TENON_NORM_LAYER,
    .act = "gelu", .kinds = kinds, .kind_of = kind_of, .layer = layer, .config_bytes = sizeof(struct tenon_model_config),
    .read = read_more, .hf_types = hf_types, .switches = switches, .hf_keys = hf_keys,
    .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0],
};
TENON_DECODER_PLUGIN(family, ARCH, "the ModernBERT family of encoders", "modernbert")
