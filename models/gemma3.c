/* Gemma 3, text only: embeddings times the square root of the width, norms before and behind attention and net, norms
 * on each head of q and k, a GELU-gated net, and layers in turns: some that see a window, with a rope base of their
 * own, then one that sees all. GGUF stores norm weights with the 1 that Gemma adds, Hugging Face without. Reads
 * `gemma3.*` keys. Contract: <tenon/model.h>; arXiv:2503.19786. */
#include <tenon/decoder.h>

#define ARCH "gemma3"

struct tenon_model_config {
    struct tenon_decoder d;
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS_NORMED(TENON_XFORM_ADD_ONE),
    TENON_DECODER_QK_NORM_BY(TENON_XFORM_ADD_ONE),
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
};

/* What config.json may leave out, as transformers fills it in. */
static const struct tenon_key_row hf_keys[] = {
    {"vocab_size", "vocab_size", 1, 262208},
    {"embedding_length", "hidden_size", 1, 2304},
    {"feed_forward_length", "intermediate_size", 1, 9216},
    {"block_count", "num_hidden_layers", 1, 26},
    {"attention.head_count", "num_attention_heads", 1, 8},
    {"attention.head_count_kv", "num_key_value_heads", 1, 4},
    {"attention.key_length", "head_dim", 1, 256},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", 1, 1e-6},
    {"attention.sliding_window", "sliding_window", 1, 4096},
    {"context_length", "max_position_embeddings", 1, 131072},
    {"rope.freq_base", "rope_scaling.rope_theta|rope_parameters.full_attention.rope_theta|rope_theta", 1, 1e6},
    {"query_pre_attn_scalar", "query_pre_attn_scalar", 1, 256},
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const double base = 10000.0, none = 0.0;
    struct tenon_decoder *d = &c->d;
    struct tenon_rope_params *local = &d->rope_local; /* never stretched */
    double softcap;
    int32_t s;
    if (d->n_layers == 62) /* the 27B model, for which GGUF has no key */
        d->attn_scale = 1.0 / sqrt((double)d->size[TENON_SIZE_EMBED] / (double)d->n_heads);
    d->embed_scale = sqrt((double)d->size[TENON_SIZE_EMBED]);
    local->scale = local->attn_factor = 1.0, local->ext_factor = 0.0;
    local->original_context = 0;
    if ((s = tenon_decoder_read_pattern(d, m, 6, err)) != 0 || (s = tenon_decoder_read_scale(d, m, err)) != 0 ||
        (s = tenon_key_must_be(m, ARCH, "use_bidirectional_attention", 0, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "final_logit_softcapping", 0, 0, &none, &softcap, err)) != 0)
        return s;
    return tenon_key_f64(m, ARCH, "rope.freq_base_swa", 1e-3, 1e12, &base, &local->base, err);
}

static const char *const hf_types[] = {"gemma3_text", "gemma3", NULL};

static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .has_two_ropes = 1, .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches, .read = read_more,
    .act = "gelu_tanh", .hf_types = hf_types, .hf_keys = hf_keys, .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0],
};
TENON_DECODER_PLUGIN(family, ARCH, "the Gemma 3 family of models", "gemma3_text")
