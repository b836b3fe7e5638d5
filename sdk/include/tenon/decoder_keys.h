/* decoder_keys.h - what a family of decoders is, and its config: the usual keys read and checked, windows, kinds of layers.
 *
 *     s = tenon_decoder_key(d, m, "ssm.state_size", 4096, NULL, &c->state, err);    in `read` of a family: 1 .. 4096, must be there
 *
 * A part of decoder.h, which says how a family is made of it. Everything is static inline; nothing here is part of the ABI.
 */
#ifndef TENON_DECODER_KEYS_H
#define TENON_DECODER_KEYS_H

#include <tenon/blocks.h>
#include <tenon/decoder_rows.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_DECODER_WEIGHTS 48 /* most rows of a table */
#define TENON_DECODER_KINDS 6    /* most kinds of layers */
#define TENON_DECODER_LAYERS 4096
#define TENON_DECODER_STATES 4   /* most states */
#define TENON_DECODER_HEAD 4096  /* most elements of a head */
#define TENON_DECODER_PAIRS (TENON_DECODER_HEAD / 2)

/* How a layer norms, `norm` of a family. */
#define TENON_NORM_RMS 0
#define TENON_NORM_LAYER 1

/* What a layer's attention sees; NONE: it has no attention, but states of its own. */
#define TENON_SEES_ALL 0
#define TENON_SEES_WINDOW 1
#define TENON_SEES_NONE 2

struct tenon_layer_attention;

/* A flag of config.json that says whether layers have some weights, whatever the file has: on, they must be there; off, they are
 * left alone, as transformers does. GGUF has no such flags: there the file says. */
struct tenon_decoder_switch {
    const char *key;   /* "attention_bias"; NULL: there is none, `absent` counts */
    int32_t absent;    /* what counts when it is not there */
    int32_t none_if;   /* the value that is off */
    const char *names; /* "attn_q_bias|attn_k_bias", without "layers.{i}."; NULL: the end */
};

#define TENON_QKV_BIASES "attn_q_bias|attn_k_bias|attn_v_bias"
#define TENON_ATTENTION_BIASES TENON_QKV_BIASES "|attn_output_bias"
#define TENON_FFN_BIASES "ffn_gate_bias|ffn_up_bias|ffn_down_bias"
/* As most families have them; the names that a table lacks do no harm. */
#define TENON_BIAS_SWITCHES {"attention_bias", 0, 0, TENON_ATTENTION_BIASES}, {"mlp_bias", 0, 0, TENON_FFN_BIASES}, {NULL, 0, 0, NULL}

struct tenon_decoder_family {
    const char *arch;        /* value of general.architecture, and prefix of the keys */
    const char *rope_layout; /* of struct tenon_rope_params, in GGUF; NULL: nothing is turned */
    const struct tenon_weight_row *rows; /* [n_rows] */
    uint32_t n_rows;
    uint64_t config_bytes;   /* sizeof(struct tenon_model_config), whose first member is a struct tenon_decoder */
    /* May be NULL. Keys beyond the usual ones, which have been read. */
    int32_t (*read)(struct tenon_model_config *config, const struct tenon_meta *meta, struct tenon_err *err);
    /* Names of the kinds of layers, NULL-ended. NULL: they differ in what they see and whether they have experts. */
    const char *const *kinds;
    int32_t (*kind_of)(const struct tenon_model_config *config, int64_t layer); /* with `kinds`: index into them */
    /* NULL: tenon_decoder_layer. A layer of a kind: what becomes of h [T,embed]. */
    uint32_t (*layer)(const struct tenon_model_config *config, const struct tenon_builder *b, int32_t kind, uint32_t h,
                      const struct tenon_layer_attention *a);
    /* What a layer that sees NONE has in place of attention: x [T,embed] is normed. With TENON_SEES_NONE only. */
    uint32_t (*mix)(const struct tenon_model_config *config, const struct tenon_builder *b, uint32_t x);
    int32_t has_two_ropes;   /* 1: layers with a window turn by numbers of their own, and rope_parameters of config.json has both */
    int32_t is_encoder;      /* 1: its one program is embed: tokens of a text see each other without a cache */
    int32_t has_no_attention; /* 1: nor a net: no keys of heads, net and context are read, no layer has the rows of ONLY_ATTENTION */
    int32_t has_experts;     /* 1: some models have experts, by their keys in every layer, unless `read` says else */
    const char *act;         /* kind of core.unary/1 in the net, which config.json must name; NULL: "silu" */
    int32_t norm;            /* TENON_NORM_* */
    /* Hugging Face directories. */
    const char *const *hf_types;         /* values of model_type in config.json, NULL-ended; NULL: `arch` is the only one */
    const char *hf_rope_layout;          /* NULL: "half", which nearly all models have there */
    const struct tenon_key_row *hf_keys; /* [n_hf_keys] spellings and defaults of this family alone; may be NULL */
    uint32_t n_hf_keys;
    const struct tenon_decoder_switch *switches; /* ended by a row without names; NULL: the file says which weights there are */
    int64_t ffn_times;                   /* the net is that many times as wide as the model where config.json does not say; 0: it must */
};

/* A decoder's config. */
struct tenon_decoder {
    const struct tenon_decoder_family *family;
    int64_t size[TENON_DECODER_SIZES];
    int64_t n_layers, n_heads, n_kv_heads, k_dim, v_dim, context;
    int64_t latent;                           /* elements of a row of a latent cache, which is kept in place of K and V; 0: none */
    int64_t window;                           /* positions that layers see with TENON_SEES_WINDOW */
    unsigned char sees[TENON_DECODER_LAYERS]; /* [n_layers] TENON_SEES_* */
    unsigned char experts[TENON_DECODER_LAYERS]; /* [n_layers] 1: it has experts */
    struct tenon_moe moe;                     /* how they are chosen and run; its weights are set when a layer is built */
    uint8_t has[TENON_ONLY_COUNT][TENON_DECODER_LAYERS]; /* of TENON_ONLY_*: [n_layers] has_layer of model.h */
    double eps;
    /* What `read` may change. Factors of embeddings, of what a layer adds, of logits and of scores; caps, 0: none. */
    double embed_scale, residual_scale, logit_scale, attn_scale, logit_softcap, attn_softcap;
    uint32_t pooling, vectors;           /* TENON_POOL_* and TENON_VECTORS_* of an encoder; 0: not said */
    int is_parallel;                     /* attention and net both read the layer's input */
    int is_unshared;                     /* without the rows of ONLY_SHARED */
    const struct tenon_decoder_switch *switches; /* the family's, unless `read` sets others */
    struct tenon_rope_params rope;       /* n_rot 0: nothing is turned */
    struct tenon_rope_params rope_local; /* of layers with a window; as `rope` unless `read` says else */
    struct tenon_state_desc states[TENON_DECODER_STATES];
    uint32_t n_states, n_groups;         /* groups of paged ones */
    struct tenon_state_desc slots[2];    /* [n_slots] what tenon_decoder_want_slots wants */
    uint32_t n_slots;
    int32_t state_maps[TENON_DECODER_STATES][TENON_DECODER_LAYERS]; /* [n_states][n_layers] */
    const struct tenon_meta *meta; /* where keys are read from */
    struct tenon_key_view keys;
    int64_t run_context;           /* most tokens of a sequence, chosen at load; until then what it was trained for */
    float rope_short[TENON_DECODER_PAIRS], rope_long[TENON_DECODER_PAIRS]; /* [n_rot/2] of config.json, with rope.by_context */
    int has_rope_factors;          /* computed ones, below */
    float rope_factors[TENON_DECODER_PAIRS]; /* [n_rot/2] */
    struct tenon_weight_desc weights[TENON_DECODER_WEIGHTS];                           /* [family->n_rows] */
    struct tenon_weight_source sources[TENON_DECODER_WEIGHTS * TENON_ROW_SOURCES];     /* [family->n_rows * TENON_ROW_SOURCES] */
    char hf_names[TENON_DECODER_WEIGHTS * TENON_HF_NAMES][TENON_HF_NAME_SIZE];         /* [family->n_rows * TENON_HF_NAMES] */
};

static inline struct tenon_decoder *tenon_decoder_of(struct tenon_model_config *c)
{
    return (struct tenon_decoder *)(void *)c;
}

/* ---- keys --------------------------------------------------------------------------------------------------- */

/* An integer within 1 .. most. */
static inline int32_t tenon_decoder_key(const struct tenon_decoder *d, const struct tenon_meta *m, const char *key, int64_t most,
                                        const int64_t *absent, int64_t *ret, struct tenon_err *err)
{
    return tenon_key_i64(m, d->family->arch, key, 1, most, absent, ret, err);
}

/* INVALID_ARGUMENT that names a key of the family. */
static inline int32_t tenon_decoder_bad_key(const struct tenon_decoder *d, const char *key, int64_t value, const char *what,
                                            struct tenon_err *err)
{
    char name[128];
    tenon_key_name(d->meta, d->family->arch, key, name);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is %lld, %s", name, (long long)value, what);
}

/* One number, or one for each layer: 0 where it has no attention, else the same. */
static inline int32_t tenon_decoder_read_kv_heads(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t i, n = 0;
    if (d->family->mix == NULL || !tenon_key_find(m, d->family->arch, "attention.head_count_kv", name, &e) ||
        (e.is_array == 0 && tenon_key_int_at(&e, 0, &n) == TENON_E_OK))
        return tenon_decoder_key(d, m, "attention.head_count_kv", 4096, &d->n_heads, &d->n_kv_heads, err);
    if (e.is_array == 0 || e.type == TENON_META_OBJECT)
        return tenon_key_wrong(name, "an integer or a list of them", &e, err);
    for (i = 0; i < d->n_layers; i++) {
        if (e.count != (uint64_t)d->n_layers || tenon_key_int_at(&e, (uint64_t)i, &n) != 0 || n < 0 || n > 4096 ||
            (n > 0 && d->n_kv_heads > 0 && n != d->n_kv_heads))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must have for each of %lld layers 0 or one and the same number",
                              name, (long long)d->n_layers);
        d->sees[i] = n == 0 ? TENON_SEES_NONE : TENON_SEES_ALL;
        d->n_kv_heads = n > 0 ? n : d->n_kv_heads;
    }
    return d->n_kv_heads > 0 ? TENON_E_OK : tenon_decoder_bad_key(d, "attention.head_count_kv", 0, "but some layer must have heads", err);
}

static inline int32_t tenon_decoder_read_heads(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const double all = 1.0;
    double factor;
    int32_t s;
    int64_t per_head, n_rot;
    if ((s = tenon_decoder_key(d, m, "attention.head_count", 4096, NULL, &d->n_heads, err)) != 0 ||
        (s = tenon_decoder_read_kv_heads(d, m, err)) != 0)
        return s;
    if (d->n_heads % d->n_kv_heads != 0)
        return tenon_decoder_bad_key(d, "attention.head_count_kv", d->n_kv_heads, "which does not divide head_count", err);
    per_head = d->size[TENON_SIZE_EMBED] % d->n_heads == 0 ? d->size[TENON_SIZE_EMBED] / d->n_heads : 0;
    if ((s = tenon_decoder_key(d, m, "attention.key_length", TENON_DECODER_HEAD, per_head > 0 ? &per_head : NULL, &d->k_dim, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "attention.value_length", TENON_DECODER_HEAD, &d->k_dim, &d->v_dim, err)) != 0 ||
        (s = tenon_key_f64(m, d->family->arch, "partial_rotary_factor", 1e-3, 1, &all, &factor, err)) != 0)
        return s;
    if (d->family->rope_layout == NULL) /* nothing turns: heads may be odd */
        return TENON_E_OK;
    n_rot = (int64_t)((double)d->k_dim * factor);
    if ((s = tenon_decoder_key(d, m, "rope.dimension_count", d->k_dim, n_rot > 0 ? &n_rot : NULL, &d->rope.n_rot, err)) != 0)
        return s;
    if (d->rope.n_rot % 2 != 0)
        return tenon_decoder_bad_key(d, tenon_meta_is_huggingface(m) ? "attention.key_length" : "rope.dimension_count",
                                     factor < 1.0 ? d->k_dim : d->rope.n_rot, "but what turns of a head must be even", err);
    return TENON_E_OK;
}

static inline int32_t tenon_decoder_read_vocab(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t tokens, *size = &d->size[TENON_SIZE_VOCAB];
    int listed;
    int32_t s = tenon_key_list(m, NULL, "tokenizer.ggml.tokens", name, &e, &listed, err);
    if (s != 0)
        return s;
    tokens = listed ? (int64_t)e.count : 0;
    s = tenon_decoder_key(d, m, "vocab_size", 1 << 24, tokens > 0 ? &tokens : NULL, size, err);
    if (s == 0 && (tokens > *size || *size > 1 << 24))
        return tenon_decoder_bad_key(d, "vocab_size", *size, "but tokenizer.ggml.tokens has more entries, or too many", err);
    return s;
}

static inline const char *tenon_decoder_act(const struct tenon_decoder *d)
{
    return d->family->act != NULL ? d->family->act : "silu";
}

/* What GGUF holds as tensors, config.json as lists: values [n_rot/2]. */
static inline int32_t tenon_decoder_read_list(struct tenon_decoder *d, const struct tenon_meta *m, const char *key, float *values,
                                              struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t i;
    int listed;
    int32_t s = tenon_key_list(m, d->family->arch, key, name, &e, &listed, err);
    if (s != 0 || !listed)
        return s != 0 ? s : tenon_key_missing(name, err);
    for (i = 0; i < d->rope.n_rot / 2; i++) {
        double v = 0.0;
        if (e.count != (uint64_t)d->rope.n_rot / 2 || tenon_key_float_at(&e, (uint64_t)i, &v) != 0 || !(v >= 1e-6 && v <= 1e6))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must be a list of %lld positive numbers", name,
                              (long long)d->rope.n_rot / 2);
        values[i] = (float)v;
    }
    return TENON_E_OK;
}

/* longrope, arXiv:2402.13753: which list counts is known when the context is. */
static inline int32_t tenon_decoder_read_longrope(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const double one = 1.0, none = 0.0;
    double factor = 1.0, attn = 0.0;
    int32_t s = tenon_decoder_key(d, m, "rope.scaling.original_context_length", 1 << 30, NULL, &d->rope.original_context, err);
    if (s != 0 || !tenon_meta_is_huggingface(m))
        return s != 0 ? s : tenon_key_f64(m, d->family->arch, "rope.scaling.attn_factor", 1e-3, 1e3, &one, &d->rope.attn_factor, err);
    if ((s = tenon_decoder_read_list(d, m, "rope.scaling.short_factor", d->rope_short, err)) != 0 ||
        (s = tenon_decoder_read_list(d, m, "rope.scaling.long_factor", d->rope_long, err)) != 0 ||
        (s = tenon_key_f64(m, d->family->arch, "rope.scaling.attention_factor", 0, 1e3, &none, &attn, err)) != 0 ||
        (s = tenon_key_f64(m, d->family->arch, "rope.scaling.factor", 0, 1e6, &none, &factor, err)) != 0)
        return s;
    factor = factor > 0.0 ? factor : (double)d->context / (double)d->rope.original_context;
    d->rope.attn_factor = attn > 0.0                                           ? attn
                          : factor <= 1.0 || d->rope.original_context <= 1 ? 1.0
                                                                               : sqrt(1.0 + log(factor) / log((double)d->rope.original_context));
    return s;
}

static inline int tenon_decoder_has_row(const struct tenon_decoder *d, const char *name)
{
    uint32_t i = 0;
    while (i < d->family->n_rows && strcmp(d->family->rows[i].name, name) != 0)
        i++;
    return i < d->family->n_rows;
}

static inline int32_t tenon_decoder_unknown_rope(const struct tenon_decoder *d, const char *type, struct tenon_err *err)
{
    char name[128];
    tenon_key_name(d->meta, d->family->arch, "rope.scaling.type", name);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is '%s': this plugin knows no models with that", name, type);
}

/* YaRN with a ramp between pairs that need not be whole numbers, which core.rope/1 does not know: as divisors. */
static inline void tenon_decoder_untruncated_yarn(struct tenon_decoder *d)
{
    struct tenon_rope_params *p = &d->rope;
    const double n = (double)p->n_rot, factor = 1.0 / p->scale, trained = (double)p->original_context,
                 two_pi = 2.0 * 3.14159265358979323846;
    const double fast = p->beta_fast > 0.0 ? p->beta_fast : 32.0, slow = p->beta_slow > 0.0 ? p->beta_slow : 1.0;
    const double low = fmax(n * log(trained / (fast * two_pi)) / (2.0 * log(p->base)), 0.0);
    const double high = fmin(n * log(trained / (slow * two_pi)) / (2.0 * log(p->base)), n - 1.0);
    for (int64_t j = 0; j < p->n_rot / 2; j++) {
        const double ramp = fmin(fmax(((double)j - low) / fmax(high - low, 1e-3), 0.0), 1.0);
        d->rope_factors[j] = (float)(1.0 / (ramp / factor + 1.0 - ramp));
    }
    d->has_rope_factors = 1;
    p->ext_factor = 0.0, p->scale = 1.0;
}

/* Families that turn by two bases have rope_parameters of each kind of layers, others one for all: INVALID_ARGUMENT where
 * config.json has it the other way. */
static inline int32_t tenon_decoder_nested_rope(const struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    static const char *const wrong[2][3] = {
        {"rope_parameters.full_attention.rope_type", "rope_parameters.full_attention.type", "rope_parameters.full_attention.rope_theta"},
        {"rope_parameters.rope_theta", "rope_parameters.rope_type", "rope_parameters.type"}};
    struct tenon_meta_entry e;
    char name[128];
    uint32_t i, two = d->family->has_two_ropes != 0;
    for (i = 0; tenon_meta_is_huggingface(m) && i < 3; i++)
        if (tenon_key_find(m, d->family->arch, wrong[two][i], name, &e))
            return tenon_key_wrong(name, two ? "within full_attention or sliding_attention" : "in rope_parameters itself, one for all layers",
                                   &e, err);
    for (i = 0; two && tenon_meta_is_huggingface(m) && i < 2; i++) {
        const char *const key = i == 0 ? "rope_parameters.sliding_attention.rope_type" : "rope_parameters.sliding_attention.type";
        char type[32];
        const int32_t s = tenon_key_str(m, d->family->arch, key, "default", type, sizeof type, err);
        if (s != 0)
            return s;
        if (strcmp(type, "default") != 0)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tenon_key_name(m, d->family->arch, key, name),
                              "key %s is '%s': layers with a window are known with default only", name, type);
    }
    return TENON_E_OK;
}

static inline int32_t tenon_decoder_read_rope(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    int64_t truncate = 1;
    int32_t s = TENON_E_OK;
    if (d->family->rope_layout == NULL) {
        d->rope.n_rot = 0;
        return s;
    }
    if ((s = tenon_decoder_nested_rope(d, m, err)) != 0 || (s = tenon_key_rope(m, d->family->arch, &d->rope, err)) != 0 ||
        (s = tenon_key_rope_factors(m, d->family->arch, &d->rope, d->rope_factors, &d->has_rope_factors, err)) != 0 ||
        (s = tenon_key_flag(m, d->family->arch, "rope.scaling.truncate",
                            !tenon_key_is_null(m, d->family->arch, "rope.scaling.truncate"), &truncate, err)) != 0)
        return s;
    if (truncate == 0 && d->rope.ext_factor > 0.0) {
        if (!tenon_decoder_has_row(d, TENON_ROPE_FACTORS))
            return tenon_key_must_be(m, d->family->arch, "rope.scaling.truncate", 1, err);
        tenon_decoder_untruncated_yarn(d);
    }
    d->rope.layout = !tenon_meta_is_huggingface(m)       ? d->family->rope_layout
                     : d->family->hf_rope_layout != NULL ? d->family->hf_rope_layout
                                                         : "half";
    if (d->rope.by_context && tenon_decoder_has_row(d, "rope_factors_short"))
        s = tenon_decoder_read_longrope(d, m, err);
    else if (d->rope.by_context)
        s = tenon_decoder_unknown_rope(d, "longrope", err);
    else if (d->has_rope_factors && !tenon_decoder_has_row(d, TENON_ROPE_FACTORS))
        s = tenon_decoder_unknown_rope(d, "llama3", err);
    if (s != 0)
        return s;
    d->rope_local = d->rope;
    d->run_context = d->context;
    return s;
}

static inline int32_t tenon_decoder_read_ffn(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t usual = d->family->ffn_times * d->size[TENON_SIZE_EMBED];
    if (d->family->has_no_attention) {
        d->size[TENON_SIZE_FFN] = 1;
        return TENON_E_OK;
    }
    return tenon_decoder_key(d, m, "feed_forward_length", 1 << 24, usual != 0 ? &usual : NULL, &d->size[TENON_SIZE_FFN], err);
}

/* expert_count, 0 when it is not there; then how many are used and how wide they are. */
static inline int32_t tenon_decoder_read_experts(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t none = 0, most = d->family->has_experts ? 4096 : 0, *ffn = &d->size[TENON_SIZE_FFN];
    int64_t n = 0;
    int32_t s = tenon_key_i64(m, d->family->arch, "expert_count", 0, most, &none, &n, err);
    d->moe = tenon_moe_of(0);
    d->moe.kind = tenon_decoder_act(d);
    d->size[TENON_SIZE_EXPERTS] = d->size[TENON_SIZE_EXPERT_FFN] = d->size[TENON_SIZE_SHARED_FFN] = 1; /* no layer has them */
    if (s != 0 || n == 0)
        return s;
    d->size[TENON_SIZE_EXPERTS] = n;
    memset(d->experts, 1, sizeof d->experts);
    if ((s = tenon_decoder_key(d, m, "expert_used_count", n, NULL, &d->moe.used, err)) != 0)
        return s;
    return tenon_decoder_key(d, m, "expert_feed_forward_length", 1 << 24, ffn, &d->size[TENON_SIZE_EXPERT_FFN], err);
}

static inline int32_t tenon_decoder_read(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const char *eps = d->family->norm == TENON_NORM_LAYER ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
    const int64_t endless = 1 << 20;
    int64_t *size = d->size;
    int32_t s;
    memset(d->sees, d->family->has_no_attention ? TENON_SEES_NONE : TENON_SEES_ALL, sizeof d->sees);
    if ((s = tenon_decoder_key(d, m, "block_count", TENON_DECODER_LAYERS, NULL, &d->n_layers, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "embedding_length", 1 << 20, NULL, &size[TENON_SIZE_EMBED], err)) != 0 ||
        (s = tenon_decoder_read_ffn(d, m, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "context_length", 1 << 30, d->family->has_no_attention ? &endless : NULL, &d->context, err)) != 0 ||
        (s = tenon_key_f64(m, d->family->arch, eps, 0, 1, NULL, &d->eps, err)) != 0 ||
        (s = tenon_decoder_read_experts(d, m, err)) != 0 ||
        (s = tenon_key_activation(m, d->family->arch, tenon_decoder_act(d), err)) != 0 ||
        (s = d->family->has_no_attention ? 0 : tenon_decoder_read_heads(d, m, err)) != 0 ||
        (s = tenon_decoder_read_vocab(d, m, err)) != 0 || (s = tenon_decoder_read_rope(d, m, err)) != 0)
        return s;
    size[TENON_SIZE_Q] = d->n_heads * d->k_dim;
    size[TENON_SIZE_K] = d->n_kv_heads * d->k_dim;
    size[TENON_SIZE_V] = d->n_kv_heads * d->v_dim;
    size[TENON_SIZE_ATTN] = d->n_heads * d->v_dim;
    size[TENON_SIZE_K_DIM] = d->k_dim;
    size[TENON_SIZE_HALF_ROT] = d->rope.n_rot / 2;
    size[TENON_SIZE_ONE] = 1;
    size[TENON_SIZE_HEADS] = d->n_heads;
    size[TENON_SIZE_KV_HEADS] = d->n_kv_heads;
    d->embed_scale = d->residual_scale = d->logit_scale = 1.0;
    d->attn_scale = d->k_dim > 0 ? 1.0 / sqrt((double)d->k_dim) : 1.0;
    return TENON_E_OK;
}

/* The factor of scores, which config.json of some families has as the number under the root; what is not there changes
 * nothing. */
static inline int32_t tenon_decoder_read_scale(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const double usual = d->attn_scale, none = 0.0;
    double length = 0.0;
    int32_t s = tenon_key_f64(m, d->family->arch, "attention.scale", 1e-6, 1e6, &usual, &d->attn_scale, err);
    if (s == 0 && (s = tenon_key_f64(m, d->family->arch, "query_pre_attn_scalar", 1e-6, 1e6, &none, &length, err)) == 0 &&
        length > 0.0)
        d->attn_scale = 1.0 / sqrt(length);
    return s;
}

/* ---- windows ------------------------------------------------------------------------------------------------ */

/* The key attention.sliding_window, 0 when it is not there, for all layers. */
static inline int32_t tenon_decoder_read_window(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t none = 0, least = tenon_meta_is_huggingface(m) ? 1 : 0; /* config.json says none by null */
    int32_t s = tenon_key_i64(m, d->family->arch, "attention.sliding_window", least, 1 << 30, &none, &d->window, err);
    if (s == 0)
        memset(d->sees, d->window != 0 ? TENON_SEES_WINDOW : TENON_SEES_ALL, sizeof d->sees);
    return s;
}

static inline int tenon_str_is(const struct tenon_str *s, const char *text)
{
    return s->size == strlen(text) && memcmp(s->data, text, (size_t)s->size) == 0;
}

/* What layers see, as config.json lists it: `none` is its word for those without attention, NULL: there are none of them. *ret 0:
 * it lists nothing. */
static inline int32_t tenon_decoder_read_types(struct tenon_decoder *d, const struct tenon_meta *m, const char *none, int *ret,
                                               struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t i;
    int32_t s = tenon_key_list(m, d->family->arch, "layer_types", name, &e, ret, err);
    if (s != 0)
        return s;
    for (i = 0; *ret != 0 && i < d->n_layers; i++) {
        struct tenon_str type = {"", 0};
        const int is_list = e.type == TENON_META_STRING && e.count == (uint64_t)d->n_layers;
        if (!is_list || m->strings(m->ctx, &e, (uint64_t)i, 1, &type) != TENON_E_OK)
            type.size = 0;
        if (none != NULL && tenon_str_is(&type, none))
            d->sees[i] = TENON_SEES_NONE;
        else if (tenon_str_is(&type, "full_attention") || tenon_str_is(&type, "sliding_attention"))
            d->sees[i] = tenon_str_is(&type, "full_attention") ? TENON_SEES_ALL : TENON_SEES_WINDOW;
        else
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must call each of %lld layers full_attention or %s",
                              name, (long long)d->n_layers, none != NULL ? none : "sliding_attention");
        if (none != NULL && d->sees[i] == TENON_SEES_WINDOW)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                              "key %s has a window in layer %lld, which no model of the family has", name, (long long)i);
    }
    return TENON_E_OK;
}

/* Which layers see the window: config.json may list them; else every pattern-th layer sees all, by the key
 * attention.sliding_window_pattern or `usual`. */
static inline int32_t tenon_decoder_read_pattern(struct tenon_decoder *d, const struct tenon_meta *m, int64_t usual,
                                                 struct tenon_err *err)
{
    int64_t i, pattern = 1;
    int listed = 0;
    int32_t s = tenon_decoder_key(d, m, "attention.sliding_window", 1 << 30, NULL, &d->window, err);
    if (s != 0 || (s = tenon_decoder_read_types(d, m, NULL, &listed, err)) != 0 || listed)
        return s;
    s = tenon_decoder_key(d, m, "attention.sliding_window_pattern", TENON_DECODER_LAYERS, &usual, &pattern, err);
    for (i = 0; s == 0 && i < d->n_layers; i++)
        d->sees[i] = (i + 1) % pattern == 0 ? TENON_SEES_ALL : TENON_SEES_WINDOW;
    return s;
}

/* Where use_sliding_window is not true: no layer may be listed as one with a window. */
static inline int32_t tenon_decoder_no_window(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    char name[128];
    int64_t i;
    int listed;
    int32_t s = tenon_decoder_read_types(d, m, NULL, &listed, err);
    for (i = 0; s == 0 && i < d->n_layers; i++)
        if (d->sees[i] == TENON_SEES_WINDOW)
            s = tenon_fail(err, TENON_E_INVALID_ARGUMENT, tenon_key_name(m, d->family->arch, "layer_types", name),
                           "key %s has sliding_attention in layer %lld, but use_sliding_window is not true", name, (long long)i);
    return s;
}

/* Qwen's windows, where use_sliding_window is true: in the layers that config.json lists, else in those from max_window_layers
 * on. */
static inline int32_t tenon_decoder_read_late_window(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t usual = 28;
    int64_t use = 0, from = usual, i;
    int listed = 0;
    int32_t s = tenon_key_flag(m, d->family->arch, "use_sliding_window", 0, &use, err);
    if (s != 0 || use == 0)
        return s != 0 ? s : tenon_decoder_no_window(d, m, err);
    if ((s = tenon_decoder_key(d, m, "attention.sliding_window", 1 << 30, NULL, &d->window, err)) != 0 ||
        (s = tenon_key_i64(m, d->family->arch, "max_window_layers", 0, TENON_DECODER_LAYERS, &usual, &from, err)) != 0 ||
        (s = tenon_decoder_read_types(d, m, NULL, &listed, err)) != 0)
        return s;
    for (i = 0; !listed && i < d->n_layers; i++)
        d->sees[i] = i >= from ? TENON_SEES_WINDOW : TENON_SEES_ALL;
    return s;
}

/* States of slots, `bytes` for each layer that sees NONE. */
static inline void tenon_decoder_want_slots(struct tenon_decoder *d, const char *name, int32_t kind, int64_t bytes)
{
    struct tenon_state_desc *s = &d->slots[d->n_slots++];
    s->name = name;
    s->kind = kind;
    s->slot_bytes = (uint64_t)bytes;
}

/* Which layers have experts, in config.json: every `decoder_sparse_step`-th that is not among `mlp_only_layers`. norm: whether
 * the weights of the chosen are made 1 where the file does not say. */
static inline int32_t tenon_decoder_read_sparse(struct tenon_decoder *d, const struct tenon_meta *m, int64_t norm,
                                                struct tenon_err *err)
{
    const int64_t every = 1;
    struct tenon_meta_entry e;
    char name[128];
    int64_t step = 1, i, layer = 0;
    uint64_t k;
    int listed;
    int32_t s = tenon_key_flag(m, d->family->arch, "expert_weights_norm", norm, &d->moe.normalise, err);
    if (s != 0 || (s = tenon_decoder_key(d, m, "decoder_sparse_step", TENON_DECODER_LAYERS, &every, &step, err)) != 0)
        return s;
    for (i = 0; i < d->n_layers; i++)
        d->experts[i] = d->moe.used > 0 && (i + 1) % step == 0;
    if ((s = tenon_key_list(m, d->family->arch, "mlp_only_layers", name, &e, &listed, err)) != 0 || !listed)
        return s;
    for (k = 0; k < e.count && s == 0; k++) {
        if (tenon_key_int_at(&e, k, &layer) != 0 || layer < 0 || layer >= d->n_layers)
            s = tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must list layers from 0 to %lld", name,
                           (long long)d->n_layers - 1);
        else
            d->experts[layer] = 0;
    }
    return s;
}

#ifdef __cplusplus
}
#endif
#endif
