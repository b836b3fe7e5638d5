/* Qwen2 and Qwen2.5: the llama layer with biases on q, k and v, and half-split rotary pairs. Reads `qwen2.*` keys. All it does
 * is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2407.10671. */
#include <tenon/decoder.h>

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QKV_BIAS(0),
};

static const struct tenon_decoder_family family = {
    .arch = "qwen2", .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config),
};
TENON_DECODER_PLUGIN(family, "qwen2", "the Qwen2 family of models")
