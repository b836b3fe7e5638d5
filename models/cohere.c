/* Command-R: layer norms without biases, attention and net beside each other behind one norm, interleaved rotary
 * pairs everywhere, scaled logits; Command-R+ norms each head of q and k by weights of its own. Reads `command-r.*`
 * keys. What it does is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; Cohere, Command-R, 2024. */
#include <tenon/decoder.h>

#define ARCH "command-r"

struct tenon_model_config {
    struct tenon_decoder d;
};

#define HEADS(name_, heads_, hf_)                                                                                            \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." name_ ".weight", .role = TENON_ROLE_NORM,                               \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL, .rank = 2, .dims = {heads_, TENON_SIZE_K_DIM, 0}, .shard_axis = 0, \
     .hf = "model.layers.{i}.self_attn." hf_ ".weight"}

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),
    TENON_DECODER_ATTENTION_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    HEADS("attn_q_norm", TENON_SIZE_HEADS, "q_norm"),
    HEADS("attn_k_norm", TENON_SIZE_KV_HEADS, "k_norm"),
    TENON_DECODER_FFN_ROWS,
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE),
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    c->d.is_parallel = 1;
    return tenon_key_f64(m, ARCH, "logit_scale", 1e-6, 1e6, NULL, &c->d.logit_scale, err);
}

static const char *const hf_types[] = {"cohere", NULL};
static const struct tenon_key_row hf_keys[] = {
    {"logit_scale", "logit_scale", 1, 0.0625},
    {"rope.freq_base", "rope_scaling.rope_theta|rope_parameters.rope_theta|rope_theta", 1, 500000}};

static const struct tenon_decoder_switch switches[] = {
    {"attention_bias", 0, 0, TENON_ATTENTION_BIASES}, {"use_qk_norm", 0, 0, "attn_q_norm|attn_k_norm"}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "interleaved", .hf_rope_layout = "interleaved", .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .norm = TENON_NORM_LAYER, .config_bytes = sizeof(struct tenon_model_config), .read = read_more,
    .hf_types = hf_types, .hf_keys = hf_keys, .n_hf_keys = 2, .switches = switches,
};
TENON_DECODER_PLUGIN(family, ARCH, "the Command-R family of models", "cohere")
