/* GPT-NeoX and Pythia: layer norms, biases, a net without a gate, rotation of a part of each head, attention and net beside each
 * other or one after the other. q, k and v are one tensor: GGUF has all of q first, Hugging Face the three of each head. Reads
 * `gptneox.*` keys. What it does is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2204.06745. */
#include <tenon/decoder.h>

#define ARCH "gptneox"

struct tenon_model_config {
    struct tenon_decoder d;
};

#define LAYER "gpt_neox.layers.{i}."
#define VECTOR(name_, gguf_, hf_, size_, role_)                                                                              \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_, .role = role_, .flags = TENON_WEIGHT_LAYERED, .rank = 1,         \
     .dims = {size_, 0, 0}, .shard_axis = -1, .hf = LAYER hf_}
#define NORM(name, hf) VECTOR(name, name ".weight", hf ".weight", TENON_SIZE_EMBED, TENON_ROLE_NORM), \
    VECTOR(name "_bias", name ".bias", hf ".bias", TENON_SIZE_EMBED, TENON_ROLE_BIAS)
#define LINEAR(name_, hf_, out_, in_)                                                                                        \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." name_ ".weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 2, .dims = {out_, in_, 0}, .shard_axis = 0, .hf = LAYER hf_ ".weight"},                                         \
    VECTOR(name_ "_bias", name_ ".bias", hf_ ".bias", out_, TENON_ROLE_BIAS)
#define PIECE(name_, size_, role_, rank_, end_)                                                                              \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}.attn_qkv." end_, .gguf_xform = TENON_XFORM_SPLIT, .role = role_,          \
     .flags = TENON_WEIGHT_LAYERED, .rank = rank_, .dims = {size_, TENON_SIZE_EMBED, 0}, .shard_axis = 0,                    \
     .hf = LAYER "attention.query_key_value." end_, .hf_xform = TENON_XFORM_SPLIT, .hf_groups = TENON_SIZE_HEADS}
#define QKV(name, size) PIECE(name, size, TENON_ROLE_MATMUL, 2, "weight"), \
    PIECE(name "_bias", size, TENON_ROLE_BIAS, 1, "bias")

static const struct tenon_weight_row rows[] = {
    {.name = "token_embd", .gguf = "token_embd.weight", .role = TENON_ROLE_EMBED, .rank = 2,
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .hf = "gpt_neox.embed_in.weight"},
    TENON_LAYER_UNUSED("rotary", LAYER "attention.rotary_emb.inv_freq"), TENON_LAYER_UNUSED("mask", LAYER "attention.bias"),
    TENON_LAYER_UNUSED("mask_value", LAYER "attention.masked_bias"),
    NORM("attn_norm", "input_layernorm"),
    QKV("attn_q", TENON_SIZE_Q), QKV("attn_k", TENON_SIZE_K), QKV("attn_v", TENON_SIZE_V),
    LINEAR("attn_output", "attention.dense", TENON_SIZE_EMBED, TENON_SIZE_ATTN),
    NORM("ffn_norm", "post_attention_layernorm"),
    LINEAR("ffn_up", "mlp.dense_h_to_4h", TENON_SIZE_FFN, TENON_SIZE_EMBED),
    LINEAR("ffn_down", "mlp.dense_4h_to_h", TENON_SIZE_EMBED, TENON_SIZE_FFN),
    {.name = "output_norm", .gguf = "output_norm.weight", .role = TENON_ROLE_NORM, .rank = 1, .dims = {TENON_SIZE_EMBED, 0, 0},
     .shard_axis = -1, .hf = "gpt_neox.final_layer_norm.weight"},
    TENON_OUTPUT_NORM_BIAS("gpt_neox.final_layer_norm.bias"),
    {.name = "output", .gguf = "output.weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_OPTIONAL, .rank = 2,
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .tied_to = "token_embd", .hf = "embed_out.weight"},
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    int64_t parallel = 0;
    int32_t s = tenon_key_flag(m, ARCH, "use_parallel_residual", 1, &parallel, err);
    if (s == 0 && c->d.n_kv_heads != c->d.n_heads) /* the rows of heads would be others */
        s = tenon_decoder_bad_key(&c->d, "attention.head_count_kv", c->d.n_kv_heads, "but must be head_count", err);
    c->d.is_parallel = s == 0 && parallel != 0;
    return s;
}

static const char *const hf_types[] = {"gpt_neox", NULL};
static const struct tenon_key_row hf_keys[] = {
    {"partial_rotary_factor", "rope_scaling.partial_rotary_factor|rope_parameters.partial_rotary_factor|rotary_pct",
     1, 0.25},
    {"rope.freq_base", "rope_scaling.rope_theta|rope_parameters.rope_theta|rotary_emb_base", 1, 10000}};
static const struct tenon_decoder_switch switches[] = {{"attention_bias", 1, 0, TENON_ATTENTION_BIASES}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .norm = TENON_NORM_LAYER, .act = "gelu", .config_bytes = sizeof(struct tenon_model_config), .read = read_more,
    .hf_types = hf_types, .hf_keys = hf_keys, .n_hf_keys = 2,
    .switches = switches,
};
TENON_DECODER_PLUGIN(family, ARCH, "the GPT-NeoX family of models", "gpt_neox")
