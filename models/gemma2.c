/* Gemma 2: embeddings times the square root of the width, norms before and behind attention and net, soft caps on
 * scores and logits, a GELU-gated net, and layers in turns: one that sees a window, one that sees all. GGUF stores
 * norm weights with the 1 that Gemma adds, Hugging Face without. Reads `gemma2.*` keys. Contract: <tenon/model.h>;
 * arXiv:2408.00118. */
#include <tenon/decoder.h>

#define ARCH "gemma2"

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS_NORMED(TENON_XFORM_ADD_ONE),
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ROPE_FACTORS,
};

/* A soft cap: none where the file says null, `usual` where it does not say. */
static int32_t read_cap(const struct tenon_meta *m, const char *key, double usual, double *ret, struct tenon_err *err)
{
    const double absent = tenon_key_is_null(m, ARCH, key) ? 0.0 : usual;
    return tenon_key_f64(m, ARCH, key, tenon_meta_is_huggingface(m) ? 1e-6 : 0, 1e6, &absent, ret, err);
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_decoder *d = &c->d;
    int32_t s;
    d->embed_scale = sqrt((double)d->size[TENON_SIZE_EMBED]);
    if (d->n_layers == 46) /* the 27B model, for which GGUF has no key */
        d->attn_scale = 1.0 / sqrt((double)d->size[TENON_SIZE_EMBED] / (double)d->n_heads);
    if ((s = tenon_decoder_read_pattern(d, m, 2, err)) != 0 || (s = tenon_decoder_read_scale(d, m, err)) != 0 ||
        (s = tenon_key_must_be(m, ARCH, "use_bidirectional_attention", 0, err)) != 0 ||
        (s = read_cap(m, "attn_logit_softcapping", 50.0, &d->attn_softcap, err)) != 0)
        return s;
    return read_cap(m, "final_logit_softcapping", 30.0, &d->logit_softcap, err);
}

/* As transformers has them where config.json does not say. */
static const struct tenon_key_row hf_keys[] = {{"query_pre_attn_scalar", "query_pre_attn_scalar", 1, 256}};

static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .act = "gelu_tanh",
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches, .hf_keys = hf_keys, .n_hf_keys = 1,
    .read = read_more,
};
TENON_DECODER_PLUGIN(family, ARCH, "the Gemma 2 family of models")
