/* Qwen3: the llama layer with norms on each head of q and k, and half-split rotary pairs. Reads `qwen3.*` keys. What
 * it does is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2505.09388. */
#include <tenon/decoder.h>

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QK_NORM,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    return tenon_decoder_read_late_window(&c->d, m, err);
}

/* transformers' default, which small models of the family leave out. */
static const struct tenon_key_row hf_keys[] = {{"attention.key_length", "head_dim", 1, 128}};

static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = "qwen3", .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches, .read = read_more, .hf_keys = hf_keys,
    .n_hf_keys = 1,
};
TENON_DECODER_PLUGIN(family, "qwen3", "the Qwen3 family of models")
