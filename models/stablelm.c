/* StableLM 2 and its like: layer norms, rotation of a part of each head; some models norm each head by weights of its
 * own, some run attention and net beside each other. Reads `stablelm.*` keys. What it does is in <tenon/decoder.h>,
 * by this table. Contract: <tenon/model.h>; arXiv:2402.17834. */
#include <tenon/decoder.h>

#define ARCH "stablelm"

struct tenon_model_config {
    struct tenon_decoder d;
};

/* Norms of heads: one tensor for each in a Hugging Face directory. */
#define HEADS(name_, heads_, hf_)                                                                                            \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." name_ ".weight", .role = TENON_ROLE_NORM,                               \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 2, .dims = {heads_, TENON_SIZE_K_DIM, 0}, .shard_axis = 0, \
     .hf = "model.layers.{i}.self_attn." hf_ ".norms.{e}.weight", .hf_xform = TENON_XFORM_STACK_EXPERTS}

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),
    TENON_LAYER_NORM_BIAS("attn_norm", "attn_norm", "input_layernorm", 0),
    TENON_DECODER_ATTENTION_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    HEADS("attn_q_norm", TENON_SIZE_HEADS, "q_layernorm"),
    HEADS("attn_k_norm", TENON_SIZE_KV_HEADS, "k_layernorm"),
    {.name = "layers.{i}.ffn_norm", .gguf = "blk.{i}.ffn_norm.weight", .role = TENON_ROLE_NORM,
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 1, .dims = {TENON_SIZE_EMBED, 0, 0}, .shard_axis = -1,
     .hf = "model.layers.{i}.post_attention_layernorm.weight"},
    TENON_LAYER_NORM_BIAS("ffn_norm", "ffn_norm", "post_attention_layernorm", TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_FFN_ROWS,
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE),
    TENON_OUTPUT_NORM_BIAS("model.norm.bias"),
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    int64_t parallel = 0;
    int32_t s = tenon_key_flag(m, ARCH, "use_parallel_residual", 0, &parallel, err);
    c->d.is_parallel = s == 0 && parallel != 0;
    return s;
}

/* As transformers has them where config.json does not say. */
static const struct tenon_key_row hf_keys[] = {
    {"partial_rotary_factor",
     "rope_scaling.partial_rotary_factor|rope_parameters.partial_rotary_factor|partial_rotary_factor", 1, 0.25}};

static const struct tenon_decoder_switch switches[] = {
    {"use_qkv_bias", 0, 0, TENON_QKV_BIASES}, {"qk_layernorm", 0, 0, "attn_q_norm|attn_k_norm"},
    {"use_parallel_residual", 0, 1, "ffn_norm|ffn_norm_bias"}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .norm = TENON_NORM_LAYER,
    .config_bytes = sizeof(struct tenon_model_config), .hf_keys = hf_keys, .n_hf_keys = 1, .switches = switches,
    .read = read_more,
};
TENON_DECODER_PLUGIN(family, ARCH, "the StableLM family of models")
