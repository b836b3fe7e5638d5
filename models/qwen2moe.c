/* Qwen1.5-MoE and Qwen2-MoE: the Qwen2 layer with experts, and one net that every token takes behind a gate of its own. Reads
 * `qwen2moe.*` keys. What it does is in <tenon/decoder.h>, by this table. Contract: <tenon/model.h>; arXiv:2407.10671. */
#include <tenon/decoder.h>

#define ARCH "qwen2moe"

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_EXPERT_ROWS("mlp.gate", "mlp.experts", "gate_proj", "up_proj", "down_proj"),
    TENON_SHARED_EXPERT_ROWS("mlp.shared_expert"),
    TENON_SHARED_GATE_ROW("mlp.shared_expert_gate"),
    TENON_DECODER_ROPE_FACTORS,
};

/* Where use_sliding_window is true: the layers that config.json lists, else every other one of those before max_window_layers. */
static int32_t read_windows(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t window = 4096, usual = 28;
    int64_t use = 0, before = usual, i;
    int listed;
    int32_t s;
    if ((s = tenon_key_flag(m, ARCH, "use_sliding_window", 0, &use, err)) != 0 || use == 0)
        return s != 0 ? s : tenon_decoder_no_window(d, m, err);
    if ((s = tenon_decoder_key(d, m, "attention.sliding_window", 1 << 30, &window, &d->window, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "max_window_layers", 0, TENON_DECODER_LAYERS, &usual, &before, err)) != 0 ||
        (s = tenon_decoder_read_types(d, m, NULL, &listed, err)) != 0)
        return s;
    for (i = 0; !listed && i < d->n_layers; i++)
        d->sees[i] = i % 2 == 0 && i < before ? TENON_SEES_WINDOW : TENON_SEES_ALL;
    return s;
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_decoder *d = &c->d;
    int32_t s;
    if ((s = read_windows(d, m, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "expert_shared_feed_forward_length", 1 << 24, NULL,
                               &d->size[TENON_SIZE_SHARED_FFN], err)) != 0)
        return s;
    return tenon_decoder_read_sparse(d, m, 0, err);
}

static const char *const hf_types[] = {"qwen2_moe", NULL};

static const struct tenon_decoder_switch switches[] = {{"qkv_bias", 1, 0, TENON_QKV_BIASES}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .has_experts = 1,
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .hf_types = hf_types, .switches = switches,
};
TENON_DECODER_PLUGIN(family, ARCH, "the Qwen2-MoE family of models", "qwen2_moe")
