/* SmolLM3: the llama layer, but that some layers, every fourth if nothing else is said, do not turn q and k. Reads
 * `smollm3.*` keys. What it does is in <tenon/decoder.h>. Contract: <tenon/model.h>; arXiv:2501.18795 for layers
 * without positions. */
#include <tenon/decoder.h>

#define ARCH "smollm3"

enum kind { TURNED, PLAIN, LOCAL }; /* LOCAL: added to one that sees a window */
static const char *const kinds[] = {"turned", "plain", "turned_local", "plain_local", NULL};

struct tenon_model_config {
    struct tenon_decoder d;
    unsigned char kind[TENON_DECODER_LAYERS]; /* [n_layers] enum kind, and LOCAL */
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS,
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ATTN_OUT_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_FFN_BIAS(TENON_WEIGHT_OPTIONAL),
    TENON_DECODER_ROPE_FACTORS,
};

/* Layers have windows as config.json lists them; where it lists nothing, those that do not turn, if
 * use_sliding_window is true. */
static int32_t read_windows(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    int64_t use = 0, windows = 0, i;
    int listed;
    int32_t s = tenon_key_flag(m, ARCH, "use_sliding_window", 0, &use, err);
    if (s != 0 || (s = tenon_decoder_read_types(&c->d, m, NULL, &listed, err)) != 0)
        return s;
    for (i = 0; i < c->d.n_layers; i++) {
        c->d.sees[i] = listed ? c->d.sees[i] : use != 0 && c->kind[i] == PLAIN ? TENON_SEES_WINDOW : TENON_SEES_ALL;
        windows += c->d.sees[i] == TENON_SEES_WINDOW;
        c->kind[i] += c->d.sees[i] == TENON_SEES_WINDOW ? LOCAL : 0;
    }
    return windows > 0 ? tenon_decoder_key(&c->d, m, "attention.sliding_window", 1 << 30, NULL, &c->d.window, err) : s;
}

/* config.json may list a 1 for each layer that turns. */
static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t usual = 4;
    struct tenon_meta_entry e;
    char name[128];
    int64_t every = 1, turns = 1, i;
    int listed;
    int32_t s;
    if ((s = tenon_decoder_key(&c->d, m, "no_rope_layer_interval", TENON_DECODER_LAYERS, &usual, &every, err)) != 0)
        return s;
    if ((s = tenon_key_list(m, ARCH, "no_rope_layers", name, &e, &listed, err)) != 0)
        return s;
    for (i = 0; i < c->d.n_layers; i++) {
        if (listed && (e.count != (uint64_t)c->d.n_layers || tenon_key_int_at(&e, (uint64_t)i, &turns) != TENON_E_OK))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must have a number for each of %lld layers", name,
                              (long long)c->d.n_layers);
        c->kind[i] = (listed ? turns != 0 : (i + 1) % every != 0) ? TURNED : PLAIN;
    }
    return read_windows(c, m, err);
}

static int32_t kind_of(const struct tenon_model_config *c, int64_t layer)
{
    return c->kind[layer];
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, int32_t kind, uint32_t h,
                      const struct tenon_layer_attention *usual)
{
    struct tenon_layer_attention a = *usual;
    a.rope = kind % LOCAL == TURNED ? usual->rope : NULL;
    return tenon_decoder_layer(&c->d, b, h, &a);
}

/* As transformers has them where config.json does not say. */
static const struct tenon_key_row hf_keys[] = {
    {"rope.freq_base", "rope_scaling.rope_theta|rope_parameters.rope_theta|rope_theta", 1, 2e6}};

static const struct tenon_decoder_switch switches[] = {TENON_BIAS_SWITCHES};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "interleaved", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .switches = switches, .hf_keys = hf_keys, .n_hf_keys = 1,
    .read = read_more,
    .kinds = kinds, .kind_of = kind_of, .layer = layer,
};
TENON_DECODER_PLUGIN(family, ARCH, "the SmolLM3 family of models")
