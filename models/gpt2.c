/* GPT-2: learned positions, layer norms, biases, a net without a gate. q, k and v are one tensor; Hugging Face stores
 * matrices with their inputs first. Reads `gpt2.*` keys. What it does is in <tenon/decoder.h>, by this table.
 * Contract: <tenon/model.h>; Radford et al., 2019. */
#include <tenon/decoder.h>

#define ARCH "gpt2"

struct tenon_model_config {
    struct tenon_decoder d;
};

#define LAYER "transformer.h.{i}."
#define ROW(name_, gguf_, hf_, role_, rank_, out_, in_, gguf_xform_, hf_xform_)                                              \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_, .gguf_xform = gguf_xform_, .role = role_,                        \
     .flags = TENON_WEIGHT_LAYERED, .rank = rank_, .dims = {out_, in_, 0}, .shard_axis = -1,                                 \
     .hf = LAYER hf_, .hf_xform = hf_xform_}
#define NORM(name, hf) ROW(name, name ".weight", hf ".weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED, 0, 0, 0), \
    ROW(name "_bias", name ".bias", hf ".bias", TENON_ROLE_BIAS, 1, TENON_SIZE_EMBED, 0, 0, 0)
#define LINEAR_BY(name, gguf, hf, out, in, xform) \
    ROW(name, gguf ".weight", hf ".weight", TENON_ROLE_MATMUL, 2, out, in, xform, TENON_XFORM_TRANSPOSE | (xform)), \
    ROW(name "_bias", gguf ".bias", hf ".bias", TENON_ROLE_BIAS, 1, out, 0, xform, xform)
#define LINEAR(name, hf, out, in) LINEAR_BY(name, name, hf, out, in, TENON_XFORM_NONE)
#define QKV(name, out) LINEAR_BY(name, "attn_qkv", "attn.c_attn", out, TENON_SIZE_EMBED, TENON_XFORM_SPLIT)
#define WHOLE(name_, gguf_, hf_, role_, rank_, size_) \
    {.name = name_, .gguf = gguf_, .role = role_, .rank = rank_, .dims = {size_, TENON_SIZE_EMBED, 0},                       \
     .shard_axis = -1, .hf = hf_}

enum { SIZE_POSITIONS = TENON_SIZE_OWN };

static const struct tenon_weight_row rows[] = {
    WHOLE("token_embd", "token_embd.weight", "transformer.wte.weight", TENON_ROLE_EMBED, 2, TENON_SIZE_VOCAB),
    WHOLE("position_embd", "position_embd.weight", "transformer.wpe.weight", TENON_ROLE_EMBED, 2, SIZE_POSITIONS),
    TENON_LAYER_UNUSED("mask", LAYER "attn.bias"), TENON_LAYER_UNUSED("mask_value", LAYER "attn.masked_bias"),
    NORM("attn_norm", "ln_1"),
    QKV("attn_q", TENON_SIZE_Q), QKV("attn_k", TENON_SIZE_K), QKV("attn_v", TENON_SIZE_V),
    LINEAR("attn_output", "attn.c_proj", TENON_SIZE_EMBED, TENON_SIZE_ATTN),
    NORM("ffn_norm", "ln_2"),
    LINEAR("ffn_up", "mlp.c_fc", TENON_SIZE_FFN, TENON_SIZE_EMBED),
    LINEAR("ffn_down", "mlp.c_proj", TENON_SIZE_EMBED, TENON_SIZE_FFN),
    WHOLE("output_norm", "output_norm.weight", "transformer.ln_f.weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED),
    TENON_OUTPUT_NORM_BIAS("transformer.ln_f.bias"),
    {.name = "output", .gguf = "output.weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_OPTIONAL, .rank = 2,
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .tied_to = "token_embd", .hf = "lm_head.weight"},
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    int32_t s = tenon_key_must_be(m, ARCH, "scale_attn_weights", 1, err);
    c->d.size[SIZE_POSITIONS] = c->d.context;
    return s != 0 ? s : tenon_key_must_be(m, ARCH, "scale_attn_by_inverse_layer_idx", 0, err);
}

static const struct tenon_key_row hf_keys[] = {
    {"attention.head_count_kv", NULL, 0, 0}, {"attention.layer_norm_epsilon", "layer_norm_epsilon", 1, 1e-5}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .norm = TENON_NORM_LAYER, .act = "gelu_tanh",
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .ffn_times = 4,
    .hf_keys = hf_keys, .n_hf_keys = 2,
};
TENON_DECODER_PLUGIN(family, ARCH, "the GPT-2 family of models")
