/* The llama family: pre-norm decoder with rotary positions (interleaved pairs, as GGUF permutes q and k for it), grouped-query
 * attention and a SiLU-gated feed-forward net; some of its models have biases. Reads `llama.*` keys. All it does is in
 * <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; Touvron et al., arXiv:2307.09288. */
#include <tenon/decoder.h>

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_LAYER_BIAS("attn_output", "attn_output", TENON_SIZE_EMBED, -1, TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ROPE_FACTORS,
};

static const struct tenon_decoder_family family = {
    .arch = "llama", .rope_layout = "interleaved", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config),
};
TENON_DECODER_PLUGIN(family, "llama", "the llama family of models")
