/* Qwen3-MoE: the Qwen3 layer with experts. Reads `qwen3moe.*` keys. What it does is in <tenon/decoder.h>, by this
 * table. Contract: <tenon/model.h>; arXiv:2505.09388. */
#include <tenon/decoder.h>

#define ARCH "qwen3moe"

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QK_NORM,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_EXPERT_ROWS("mlp.gate", "mlp.experts", "gate_proj", "up_proj", "down_proj"),
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    int64_t use = 0;
    int32_t s = tenon_key_flag(m, ARCH, "use_sliding_window", 0, &use, err);
    if (s != 0 || (use != 0 && (s = tenon_decoder_read_window(&c->d, m, err)) != 0))
        return s;
    return tenon_decoder_read_sparse(&c->d, m, 1, err);
}

static const char *const hf_types[] = {"qwen3_moe", NULL};
static const struct tenon_key_row hf_keys[] = {{"expert_weights_norm", "norm_topk_prob", 1, 0}};

static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .has_experts = 1,
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches, .read = read_more, .hf_types = hf_types,
    .hf_keys = hf_keys, .n_hf_keys = 1,
};
TENON_DECODER_PLUGIN(family, ARCH, "the Qwen3-MoE family of models", "qwen3_moe")
