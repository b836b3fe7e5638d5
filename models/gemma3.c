/* Gemma 3, text only: embeddings times the square root of the width, norms before and behind attention and net, norms on each
 * head of q and k, a GELU-gated net, and layers in turns: some that see a window, with a rope base of their own, then one that
 * sees all. GGUF stores norm weights with the 1 that Gemma adds, Hugging Face without. Reads `gemma3.*` keys. Contract: <tenon/model.h>;
 * arXiv:2503.19786. */
#include <tenon/decoder.h>

#define ARCH "gemma3"

enum kind { LOCAL, GLOBAL };
static const char *const kinds[] = {"local", "global", NULL};

struct tenon_model_config {
    struct tenon_decoder d; /* its rope is the global layers' */
    struct tenon_rope_params local_rope;
    int64_t window, pattern; /* every pattern-th layer is global */
    double scale;
};

#define NORM(name, gguf, hf) TENON_LAYER_NORM_BY(name, gguf, hf, TENON_SIZE_EMBED, TENON_XFORM_ADD_ONE)

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    NORM("attn_norm", "attn_norm", "input_layernorm"),
    TENON_DECODER_ATTENTION_ROWS,
    NORM("ffn_norm", "ffn_norm", "pre_feedforward_layernorm"),
    TENON_DECODER_FFN_ROWS,
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_ADD_ONE),
    TENON_DECODER_QK_NORM_BY(TENON_XFORM_ADD_ONE),
    NORM("attn_post_norm", "post_attention_norm", "post_attention_layernorm"),
    NORM("ffn_post_norm", "post_ffw_norm", "post_feedforward_layernorm"),
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
    {"rope.freq_base", "rope_parameters.full_attention.rope_theta|rope_theta", 1, 1e6},
    {"query_pre_attn_scalar", "query_pre_attn_scalar", 1, 256},
};

/* Queries are scaled by the length of a head, but in the 27B model (62 layers), which has no key for it, by width / heads. */
static double default_scale(const struct tenon_decoder *d)
{
    double length = d->n_layers == 62 ? (double)d->size[TENON_SIZE_EMBED] / (double)d->n_heads : (double)d->k_dim;
    return 1.0 / sqrt(length);
}

/* config.json has the number under the root. */
static int32_t read_scale(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const double scale = default_scale(&c->d);
    double length = 1.0;
    int32_t s;
    if (!tenon_meta_is_huggingface(m))
        return tenon_key_f64(m, ARCH, "attention.scale", 1e-6, 1e6, &scale, &c->scale, err);
    s = tenon_key_f64(m, ARCH, "query_pre_attn_scalar", 1e-6, 1e6, NULL, &length, err);
    c->scale = 1.0 / sqrt(length);
    return s;
}

/* Where each layer's kind is listed, the first global one gives the pattern, which the others must keep to. */
static int32_t read_kinds(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t usual = 6;
    struct tenon_meta_entry e;
    char name[128];
    int64_t i;
    if (!tenon_key_find(m, ARCH, "layer_types", name, &e))
        return tenon_decoder_key(&c->d, m, "attention.sliding_window_pattern", 4096, &usual, &c->pattern, err);
    c->pattern = c->d.n_layers + 1;
    for (i = 0; i < c->d.n_layers; i++) {
        struct tenon_str kind = {NULL, 0};
        int global;
        if (m->strings(m->ctx, &e, (uint64_t)i, 1, &kind) != TENON_E_OK)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must name the kind of each of %lld layers", name,
                              (long long)c->d.n_layers);
        global = kind.size == 14 && memcmp(kind.data, "full_attention", 14) == 0;
        if (global && c->pattern > c->d.n_layers)
            c->pattern = i + 1;
        if (global != ((i + 1) % c->pattern == 0))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s has layer %lld out of turn", name, (long long)i);
    }
    return TENON_E_OK;
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const double base = 10000.0, none = 0.0;
    double softcap;
    int32_t s;
    if ((s = tenon_decoder_key(&c->d, m, "attention.sliding_window", 1 << 30, NULL, &c->window, err)) != 0 ||
        (s = tenon_key_must_be(m, ARCH, "use_bidirectional_attention", 0, err)) != 0 || (s = read_kinds(c, m, err)) != 0 ||
        (s = read_scale(c, m, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "final_logit_softcapping", 0, 0, &none, &softcap, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "rope.freq_base_swa", 1e-3, 1e12, &base, &c->local_rope.base, err)) != 0)
        return s;
    c->local_rope.n_rot = c->d.rope.n_rot; /* positions of local layers are never stretched */
    c->local_rope.scale = c->local_rope.attn_factor = 1.0;
    c->local_rope.layout = c->d.rope.layout;
    c->d.embed_scale = sqrt((double)c->d.size[TENON_SIZE_EMBED]);
    return TENON_E_OK;
}

static int32_t kind_of(const struct tenon_model_config *c, int64_t layer)
{
    return (layer + 1) % c->pattern == 0 ? GLOBAL : LOCAL;
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, int32_t kind, uint32_t h)
{
    struct tenon_layer_attention a = {.rope = &c->d.rope, .scale = c->scale};
    if (kind == LOCAL) {
        a.rope = &c->local_rope;
        a.window = c->window;
    }
    return tenon_decoder_layer(&c->d, b, h, &a, tenon_decoder_act(&c->d));
}

static const char *const hf_types[] = {"gemma3_text", "gemma3", NULL};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .kinds = kinds, .kind_of = kind_of, .layer = layer,
    .act = "gelu_tanh", .hf_types = hf_types, .hf_keys = hf_keys, .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0], .tied = 1,
};
TENON_DECODER_PLUGIN(family, ARCH, "the Gemma 3 family of models", "gemma3_text")
