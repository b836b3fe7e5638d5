/* StarCoder2: layer norms, biases on everything, a net without a gate, and a window. Reads `starcoder2.*` keys. What
 * it does is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2402.19173. */
#include <tenon/decoder.h>

struct tenon_model_config {
    struct tenon_decoder d;
};

#define MAYBE TENON_WEIGHT_OPTIONAL /* use_bias */

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),
    TENON_LAYER_NORM_BIAS("attn_norm", "attn_norm", "input_layernorm", 0),
    TENON_DECODER_ATTENTION_ROWS,
    TENON_DECODER_QKV_BIAS(MAYBE),
    TENON_LAYER_BIAS("attn_output", "attn_output", "self_attn.o_proj", TENON_SIZE_EMBED, -1, MAYBE),
    TENON_LAYER_NORM("ffn_norm", "ffn_norm", "post_attention_layernorm", TENON_SIZE_EMBED),
    TENON_LAYER_NORM_BIAS("ffn_norm", "ffn_norm", "post_attention_layernorm", 0),
    TENON_LAYER_MATRIX("ffn_up", "ffn_up", "mlp.c_fc", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),
    TENON_LAYER_BIAS("ffn_up", "ffn_up", "mlp.c_fc", TENON_SIZE_FFN, 0, MAYBE),
    TENON_LAYER_MATRIX("ffn_down", "ffn_down", "mlp.c_proj", TENON_SIZE_EMBED, TENON_SIZE_FFN, 1),
    TENON_LAYER_BIAS("ffn_down", "ffn_down", "mlp.c_proj", TENON_SIZE_EMBED, -1, MAYBE),
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE),
    TENON_OUTPUT_NORM_BIAS("model.norm.bias"),
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    return tenon_decoder_read_window(&c->d, m, err);
}

static const struct tenon_decoder_switch switches[] = {
    {"use_bias", 1, 0, TENON_ATTENTION_BIASES "|" TENON_FFN_BIASES}, {NULL, 0, 0, NULL}};
static const struct tenon_key_row hf_keys[] = {{"attention.layer_norm_epsilon", "norm_epsilon", 1, 1e-5}};

static const struct tenon_decoder_family family = {
    .arch = "starcoder2", .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .act = "gelu_tanh",
    .norm = TENON_NORM_LAYER, .config_bytes = sizeof(struct tenon_model_config), .read = read_more,
    .hf_keys = hf_keys, .n_hf_keys = 1, .switches = switches,
};
TENON_DECODER_PLUGIN(family, "starcoder2", "the StarCoder2 family of models")
