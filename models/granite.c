/* Granite 3: the llama layer with factors on embeddings, scores, what layers add, and logits. Reads `granite.*` keys.
 * What it does is in <tenon/decoder.h>. Contract: <tenon/model.h>; IBM, Granite 3.0 language models, 2024. */
#include <tenon/decoder.h>

#define ARCH "granite"

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_FFN_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ROPE_FACTORS,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const double one = 1.0;
    double divisor = 1.0;
    int32_t s;
    if ((s = tenon_decoder_read_scale(&c->d, m, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "embedding_scale", 1e-6, 1e6, &one, &c->d.embed_scale, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "residual_scale", 1e-6, 1e6, &one, &c->d.residual_scale, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "logit_scale", 1e-6, 1e6, &one, &divisor, err)) != 0)
        return s;
    c->d.logit_scale = 1.0 / divisor;
    return TENON_E_OK;
}

static const struct tenon_key_row hf_keys[] = {{"logit_scale", "logits_scaling", 1, 1},
                                               {"attention.scale", "attention_multiplier", 1, 1},
                                               {"query_pre_attn_scalar", NULL, 0, 0}}; /* Gemma's */
static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "interleaved", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches, .read = read_more, .hf_keys = hf_keys,
    .n_hf_keys = 3,
};
TENON_DECODER_PLUGIN(family, ARCH, "the Granite family of models")
