/* Qwen2 and Qwen2.5: the llama layer with biases on q, k and v, and half-split rotary pairs. Reads `qwen2.*` keys. What it
 * does is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2407.10671. */
#include <tenon/decoder.h>

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QKV_BIAS(0),
    TENON_DECODER_ROPE_FACTORS,
};

/* config.json always names a window, but hardly one uses it. */
static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    return tenon_decoder_read_late_window(&c->d, m, err);
}

static const struct tenon_decoder_family family = {
    .arch = "qwen2", .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more,
};
TENON_DECODER_PLUGIN(family, "qwen2", "the Qwen2 family of models")
