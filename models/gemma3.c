/* Gemma 3, text only: embeddings times the square root of the width, norms before and behind attention and net, norms on each
 * head of q and k, a GELU-gated net, and layers in turns: some that see a window, with a rope base of their own, then one that
 * sees all. GGUF stores norm weights with the 1 that Gemma adds. Reads `gemma3.*` keys. Contract: <tenon/model.h>;
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

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QK_NORM,
    TENON_LAYER_NORM("attn_post_norm", "post_attention_norm", TENON_SIZE_EMBED),
    TENON_LAYER_NORM("ffn_post_norm", "post_ffw_norm", TENON_SIZE_EMBED),
};

/* Queries are scaled by the length of a head, but in the 27B model (62 layers), which has no key for it, by width / heads. */
static double default_scale(const struct tenon_decoder *d)
{
    double length = d->n_layers == 62 ? (double)d->size[TENON_SIZE_EMBED] / (double)d->n_heads : (double)d->k_dim;
    return 1.0 / sqrt(length);
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t pattern = 6;
    const double base = 10000.0, none = 0.0, scale = default_scale(&c->d);
    double softcap;
    int32_t s;
    if ((s = tenon_decoder_key(&c->d, m, "attention.sliding_window", 1 << 30, NULL, &c->window, err)) != 0 ||
        (s = tenon_decoder_key(&c->d, m, "attention.sliding_window_pattern", 4096, &pattern, &c->pattern, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "attention.scale", 1e-6, 1e6, &scale, &c->scale, err)) != 0 ||
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
    return tenon_decoder_layer(&c->d, b, h, &a, "gelu_tanh");
}

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .kinds = kinds, .kind_of = kind_of, .layer = layer,
};
TENON_DECODER_PLUGIN(family, ARCH, "the Gemma 3 family of models")
