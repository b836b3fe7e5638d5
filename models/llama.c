/* The llama family: pre-norm decoder with rotary positions (interleaved pairs in GGUF, which permutes q and k for
 * it), grouped-query attention and a SiLU-gated feed-forward net; some of its models have biases, the first Mistral a
 * window, Mixtral experts. Reads `llama.*` keys. What it does is in <tenon/decoder.h>, by this table. Contract:
 * <tenon/model.h>; Touvron et al., arXiv:2307.09288. */
#include <tenon/decoder.h>

#define ARCH "llama"

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_FFN_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_EXPERT_ROWS("block_sparse_moe.gate", "block_sparse_moe.experts", "w1", "w3", "w2"),
    TENON_DECODER_ROPE_FACTORS,
};

/* Mixtral turns slower than the others where config.json does not say. */
static int32_t read_mixtral_base(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const double absent = 1e6;
    int32_t s = tenon_key_f64(m, ARCH, "rope.freq_base", 1e-3, 1e12, &absent, &d->rope.base, err);
    d->rope_local.base = d->rope.base;
    return s;
}

static const struct tenon_decoder_switch unbiased[] = {
    {NULL, 0, 0, TENON_ATTENTION_BIASES}, {NULL, 0, 0, TENON_FFN_BIASES}, {NULL, 0, 0, NULL}};

/* Of Mistral, a window that config.json leaves out; null says that there is none. */
static int32_t read_mistral_window(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t usual = 4096;
    int listed;
    int32_t s = tenon_decoder_read_window(d, m, err);
    if (s == 0 && d->window == 0 && !tenon_key_is_null(m, ARCH, "attention.sliding_window")) {
        d->window = usual;
        memset(d->sees, TENON_SEES_WINDOW, sizeof d->sees);
    }
    return s == 0 && d->window > 0 ? tenon_decoder_read_types(d, m, NULL, &listed, err) : s;
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    char type[64];
    int32_t s = tenon_key_str(m, NULL, "config.model_type", "", type, sizeof type, err);
    if (s != 0 || strcmp(type, ARCH) == 0) /* whatever window its config.json may name */
        return s;
    c->d.switches = unbiased;
    if (strcmp(type, "mixtral") == 0 && (s = read_mixtral_base(&c->d, m, err)) != 0)
        return s;
    return strcmp(type, "mistral") == 0 ? read_mistral_window(&c->d, m, err) : tenon_decoder_read_window(&c->d, m, err);
}

static const char *const hf_types[] = {ARCH, "mistral", "mixtral", NULL};

static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "interleaved", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches, .read = read_more,
    .hf_types = hf_types, .has_experts = 1,
};
TENON_DECODER_PLUGIN(family, ARCH, "the llama family of models", "mistral", "mixtral")
