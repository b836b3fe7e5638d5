/* OLMo 2: attention and net read what came before as it is, and what they add is normed; so are q and k, all heads together.
 * Reads `olmo2.*` keys. What it does is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2501.00656. */
#include <tenon/decoder.h>

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_DECODER_ATTENTION_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_LAYER_NORM("attn_q_norm", "attn_q_norm", "self_attn.q_norm", TENON_SIZE_Q),
    TENON_LAYER_NORM("attn_k_norm", "attn_k_norm", "self_attn.k_norm", TENON_SIZE_K),
    TENON_LAYER_NORM("attn_post_norm", "post_attention_norm", "post_attention_layernorm", TENON_SIZE_EMBED),
    TENON_DECODER_FFN_ROWS,
    TENON_LAYER_NORM("ffn_post_norm", "post_ffw_norm", "post_feedforward_layernorm", TENON_SIZE_EMBED),
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE),
    TENON_DECODER_ROPE_FACTORS,
};

static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = "olmo2", .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches,
};
TENON_DECODER_PLUGIN(family, "olmo2", "the OLMo 2 family of models")
