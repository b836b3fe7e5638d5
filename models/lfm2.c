/* LFM2: short convolutions between two products and gates in most layers, grouped-query attention with norms on each
 * head in the others. Reads `lfm2.*` keys. Attention and net are in <tenon/decoder.h>, by this table. Contract:
 * <tenon/model.h>; Liquid AI, LFM2 technical report, 2025. */
#include <tenon/decoder.h>

#define ARCH "lfm2"

enum { SIZE_THREE = TENON_SIZE_OWN, SIZE_KERNEL };

struct tenon_model_config {
    struct tenon_decoder d;
};

#define MATRIX(name, gguf, hf, out, in) \
    {TENON_LAYER_ROW(name, gguf ".weight", hf ".weight", TENON_ROLE_MATMUL, 2, out, in), .only = TENON_ONLY_RECURRENT}
#define BIAS(name_, gguf_, hf_, size_)                                                                                       \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".bias", .role = TENON_ROLE_BIAS,                                 \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 1, .dims = {size_, 0, 0}, .shard_axis = -1,              \
     .hf = "model.layers.{i}." hf_ ".bias", .only = TENON_ONLY_RECURRENT}
#define ATTENTION(name, hf, out, in, axis) TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, name, name, "self_attn." hf, out, in, axis)
#define HEAD_NORM(name, hf) \
    {TENON_LAYER_ROW(name, name ".weight", hf ".weight", TENON_ROLE_NORM, 1, TENON_SIZE_K_DIM, 0), .only = TENON_ONLY_ATTENTION}

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_LAYER_NORM("attn_norm", "attn_norm", "operator_norm", TENON_SIZE_EMBED),
    MATRIX("conv_in", "shortconv.in_proj", "conv.in_proj", SIZE_THREE, TENON_SIZE_EMBED),
    BIAS("conv_in_bias", "shortconv.in_proj", "conv.in_proj", SIZE_THREE),
    MATRIX("conv", "shortconv.conv", "conv.conv", TENON_SIZE_EMBED, SIZE_KERNEL),
    BIAS("conv_bias", "shortconv.conv", "conv.conv", TENON_SIZE_EMBED),
    MATRIX("conv_out", "shortconv.out_proj", "conv.out_proj", TENON_SIZE_EMBED, TENON_SIZE_EMBED),
    BIAS("conv_out_bias", "shortconv.out_proj", "conv.out_proj", TENON_SIZE_EMBED),
    ATTENTION("attn_q", "q_proj", TENON_SIZE_Q, TENON_SIZE_EMBED, 0),
    ATTENTION("attn_k", "k_proj", TENON_SIZE_K, TENON_SIZE_EMBED, 0),
    ATTENTION("attn_v", "v_proj", TENON_SIZE_V, TENON_SIZE_EMBED, 0),
    ATTENTION("attn_output", "out_proj", TENON_SIZE_EMBED, TENON_SIZE_ATTN, 1),
    HEAD_NORM("attn_q_norm", "self_attn.q_layernorm"), HEAD_NORM("attn_k_norm", "self_attn.k_layernorm"),
    TENON_LAYER_NORM("ffn_norm", "ffn_norm", "ffn_norm", TENON_SIZE_EMBED),
    TENON_LAYER_MATRIX("ffn_gate", "ffn_gate", "feed_forward.w1", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),
    TENON_LAYER_MATRIX("ffn_up", "ffn_up", "feed_forward.w3", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),
    TENON_LAYER_MATRIX("ffn_down", "ffn_down", "feed_forward.w2", TENON_SIZE_EMBED, TENON_SIZE_FFN, 1),
    {.name = "output_norm", .gguf = "token_embd_norm.weight", .role = TENON_ROLE_NORM, .rank = 1,
     .dims = {TENON_SIZE_EMBED, 0, 0}, .shard_axis = -1, .hf = "model.embedding_norm.weight"},
    {.name = "output", .gguf = "output.weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_OPTIONAL, .rank = 2,
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .tied_to = "token_embd", .hf = "lm_head.weight"},
    TENON_DECODER_ROPE_FACTORS,
};

/* config.json names a width from which the net's is made. */
static int32_t read_width(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t usual = 256, is_hf = tenon_meta_is_huggingface(m);
    const double one = 1.0;
    int64_t adjust = 0, multiple = 1, *ffn = &d->size[TENON_SIZE_FFN];
    double factor = 1.0;
    int32_t s;
    if (!is_hf || (s = tenon_key_flag(m, ARCH, "block_auto_adjust_ff_dim", 1, &adjust, err)) != 0 || !adjust)
        return is_hf ? s : TENON_E_OK;
    if ((s = tenon_key_i64(m, ARCH, "block_multiple_of", 1, 1 << 20, &usual, &multiple, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "block_ffn_dim_multiplier", 1e-3, 1e3, &one, &factor, err)) != 0)
        return s;
    *ffn = (int64_t)(factor * (double)(2 * *ffn / 3));
    *ffn = (*ffn + multiple - 1) / multiple * multiple;
    return TENON_E_OK;
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_decoder *d = &c->d;
    int listed;
    int32_t s;
    if ((s = tenon_decoder_key(d, m, "shortconv.l_cache", 64, NULL, &d->size[SIZE_KERNEL], err)) != 0 ||
        (s = read_width(d, m, err)) != 0 || (s = tenon_decoder_read_types(d, m, "conv", &listed, err)) != 0)
        return s;
    d->size[SIZE_THREE] = 3 * d->size[TENON_SIZE_EMBED];
    tenon_decoder_want_slots(d, "conv", TENON_STATE_CONV, (d->size[SIZE_KERNEL] - 1) * d->size[TENON_SIZE_EMBED] * 4);
    return TENON_E_OK;
}

/* Products give two gates and what passes them, one before the convolution and one behind it. */
static uint32_t mix(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t x)
{
    const struct tenon_decoder *d = &c->d;
    const int64_t n = d->size[TENON_SIZE_EMBED];
    uint32_t in = tenon_layer_linear(d, b, "conv_in", x), y;
    y = tenon_mul(b, "conv_entry", tenon_slice(b, "conv_gate", in, -1, 0, n), tenon_slice(b, "conv_x", in, -1, 2 * n, n));
    y = tenon_conv_scan(b, "conv", y, tenon_layer_weight(d, b, "conv"), tenon_layer_weight(d, b, "conv_bias"),
                        b->state(b->ctx, "conv"));
    y = tenon_mul(b, "conv_exit", y, tenon_slice(b, "conv_out_gate", in, -1, n, n));
    return tenon_layer_linear(d, b, "conv_out", y);
}

static const struct tenon_key_row hf_keys[] = {
    {"rope.freq_base", "rope_scaling.rope_theta|rope_parameters.rope_theta|rope_theta", 1, 1e6},
    {"shortconv.l_cache", "conv_L_cache", 1, 3},
    {"feed_forward_length", "block_ff_dim|intermediate_size", 0, 0},
    {"attention.layer_norm_rms_epsilon", "norm_eps", 1, 1e-5},
};

static const struct tenon_decoder_switch switches[] = {
    {"conv_bias", 0, 0, "conv_in_bias|conv_bias|conv_out_bias"}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .mix = mix, .switches = switches,
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more,
    .hf_keys = hf_keys, .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0],
};
TENON_DECODER_PLUGIN(family, ARCH, "the LFM2 family of models")
