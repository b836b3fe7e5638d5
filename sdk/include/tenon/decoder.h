/* decoder.h - what families of decoders share, so that a family's file is its table of weights and what is its own.
 *
 *     static const struct tenon_weight_row rows[] = {TENON_DECODER_ROWS, TENON_DECODER_QKV_BIAS(0)};
 *     static const struct tenon_decoder_family family = {
 *         .arch = "qwen2", .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
 *         .config_bytes = sizeof(struct tenon_model_config),
 *     };
 *     TENON_DECODER_PLUGIN(family, "qwen2", "the Qwen2 family of models")
 *
 * One table serves every format: a row has GGUF's name of a tensor and Hugging Face's, and what must be done to each at load
 * (TENON_XFORM_* of model.h). Keys are asked for by GGUF's names (keys.h). For directories of Hugging Face a family may add:
 *
 *     .hf_types = types,         {"phi3", "phi3small", NULL}; each also goes into TENON_DECODER_PLUGIN and the manifest's provides
 *     .hf_keys = keys,           {{"attention.layer_norm_rms_epsilon", "norm_epsilon", 1, 1e-5}}: what only this family spells so,
 *                                and defaults that transformers has for it
 *     .hf_rope_layout, .tied, .act
 *
 * Own sizes for dims of rows are TENON_SIZE_OWN and up; `read` sets them. q, k and v in one tensor:
 *
 *     {.name = "layers.{i}.attn_q", .gguf = "blk.{i}.attn_qkv.weight", .gguf_xform = TENON_XFORM_SPLIT,
 *      .hf = "model.layers.{i}.self_attn.qkv_proj.weight", .hf_xform = TENON_XFORM_SPLIT, ...}, and so attn_k and attn_v
 *
 * The table says what a layer has: a bias or a norm that it lacks is left out of the graph. `layer` writes another layer than
 * the usual one (norm, attention, add, norm, gated net, add), `read` reads further keys, `kinds` and `kind_of` mix layers of
 * several kinds. Models that fit none of this take single functions from here, or build.h alone.
 *
 * Everything is static inline; nothing here is part of the ABI. Link with libm.
 */
#ifndef TENON_DECODER_H
#define TENON_DECODER_H

#include <stdlib.h>

#include <tenon/build.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a family ----------------------------------------------------------------------------------------------- */

/* Sizes that weights have, for the dims of tenon_weight_row. */
enum tenon_decoder_size {
    TENON_SIZE_EMBED, TENON_SIZE_VOCAB, TENON_SIZE_Q, TENON_SIZE_K, TENON_SIZE_V, TENON_SIZE_ATTN, TENON_SIZE_FFN, TENON_SIZE_K_DIM,
    TENON_SIZE_HALF_ROT, TENON_SIZE_HEADS, TENON_SIZE_KV_HEADS,
    TENON_SIZE_OWN, /* and 7 more are the family's */
    TENON_DECODER_SIZES = TENON_SIZE_OWN + 8
};
#define TENON_DECODER_WEIGHTS 48 /* most rows of a table */
#define TENON_DECODER_KINDS 4    /* most kinds of layers */
#define TENON_DECODER_HEAD 4096  /* most elements of a head */
#define TENON_DECODER_PAIRS (TENON_DECODER_HEAD / 2)

/* Rows of a layer's weights; logical names, GGUF's and Hugging Face's without their ends. axis: along which a matrix is sharded. */
#define TENON_LAYER_MATRIX(name_, gguf_, hf_, out_, in_, axis_)                                                              \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 2, .dims = {out_, in_, 0}, .shard_axis = axis_, .hf = "model.layers.{i}." hf_ ".weight"}
#define TENON_LAYER_NORM_BY(name_, gguf_, hf_, size_, xform_)                                                                \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_NORM, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 1, .dims = {size_, 0, 0}, .shard_axis = -1, .hf = "model.layers.{i}." hf_ ".weight", .hf_xform = xform_}
#define TENON_LAYER_NORM(name_, gguf_, hf_, size_) TENON_LAYER_NORM_BY(name_, gguf_, hf_, size_, TENON_XFORM_NONE)
#define TENON_LAYER_BIAS(name_, gguf_, hf_, size_, axis_, flags_)                                                            \
    {.name = "layers.{i}." name_ "_bias", .gguf = "blk.{i}." gguf_ ".bias", .role = TENON_ROLE_BIAS,                         \
     .flags = TENON_WEIGHT_LAYERED | (flags_), .rank = 1, .dims = {size_, 0, 0}, .shard_axis = axis_,                        \
     .hf = "model.layers.{i}." hf_ ".bias"}

/* What nearly every decoder has: embedding, attention, gated net, a norm before each and at the end; the output may be the
 * embedding. By parts for those that have some of it. xform: of the norms, in Hugging Face directories. */
#define TENON_DECODER_EMBED_ROW                                                                                              \
    {.name = "token_embd", .gguf = "token_embd.weight", .role = TENON_ROLE_EMBED, .rank = 2,                                 \
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .hf = "model.embed_tokens.weight"}
#define TENON_DECODER_ATTENTION_ROWS                                                                                         \
    TENON_LAYER_MATRIX("attn_q", "attn_q", "self_attn.q_proj", TENON_SIZE_Q, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX("attn_k", "attn_k", "self_attn.k_proj", TENON_SIZE_K, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX("attn_v", "attn_v", "self_attn.v_proj", TENON_SIZE_V, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX("attn_output", "attn_output", "self_attn.o_proj", TENON_SIZE_EMBED, TENON_SIZE_ATTN, 1)
#define TENON_DECODER_FFN_ROWS                                                                                               \
    TENON_LAYER_MATRIX("ffn_gate", "ffn_gate", "mlp.gate_proj", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),                        \
    TENON_LAYER_MATRIX("ffn_up", "ffn_up", "mlp.up_proj", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),                              \
    TENON_LAYER_MATRIX("ffn_down", "ffn_down", "mlp.down_proj", TENON_SIZE_EMBED, TENON_SIZE_FFN, 1)
#define TENON_DECODER_OUTPUT_ROWS(xform_)                                                                                    \
    {.name = "output_norm", .gguf = "output_norm.weight", .role = TENON_ROLE_NORM, .rank = 1, .dims = {TENON_SIZE_EMBED, 0, 0}, \
     .shard_axis = -1, .hf = "model.norm.weight", .hf_xform = xform_},                                                       \
    {.name = "output", .gguf = "output.weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_OPTIONAL, .rank = 2,        \
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .tied_to = "token_embd", .hf = "lm_head.weight"}
#define TENON_DECODER_ROWS                                                                                                   \
    TENON_DECODER_EMBED_ROW,                                                                                                 \
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),                                         \
    TENON_DECODER_ATTENTION_ROWS,                                                                                            \
    TENON_LAYER_NORM("ffn_norm", "ffn_norm", "post_attention_layernorm", TENON_SIZE_EMBED),                                  \
    TENON_DECODER_FFN_ROWS,                                                                                                  \
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE)
/* flags: TENON_WEIGHT_OPTIONAL where only some models of the family have them. */
#define TENON_DECODER_QKV_BIAS(flags)                                                  \
    TENON_LAYER_BIAS("attn_q", "attn_q", "self_attn.q_proj", TENON_SIZE_Q, 0, flags),  \
    TENON_LAYER_BIAS("attn_k", "attn_k", "self_attn.k_proj", TENON_SIZE_K, 0, flags),  \
    TENON_LAYER_BIAS("attn_v", "attn_v", "self_attn.v_proj", TENON_SIZE_V, 0, flags)
/* RMS norms of each head of q and k, before they are turned. */
#define TENON_DECODER_QK_NORM_BY(xform)                                                             \
    TENON_LAYER_NORM_BY("attn_q_norm", "attn_q_norm", "self_attn.q_norm", TENON_SIZE_K_DIM, xform), \
    TENON_LAYER_NORM_BY("attn_k_norm", "attn_k_norm", "self_attn.k_norm", TENON_SIZE_K_DIM, xform)
#define TENON_DECODER_QK_NORM TENON_DECODER_QK_NORM_BY(TENON_XFORM_NONE)
/* Llama 3's scaling: a divisor for each pair's frequency. In a Hugging Face directory there is a formula instead. */
#define TENON_ROPE_FACTORS "rope_factors"
#define TENON_DECODER_ROPE_FACTORS                                                                                           \
    {.name = TENON_ROPE_FACTORS, .gguf = "rope_freqs.weight", .role = TENON_ROLE_OTHER, .flags = TENON_WEIGHT_OPTIONAL, .rank = 1, \
     .dims = {TENON_SIZE_HALF_ROT, 0, 0}, .shard_axis = -1}

struct tenon_decoder_family {
    const char *arch;        /* value of general.architecture, and prefix of the keys */
    const char *rope_layout; /* of struct tenon_rope_params, in GGUF */
    const struct tenon_weight_row *rows; /* [n_rows] */
    uint32_t n_rows;
    uint64_t config_bytes;   /* sizeof(struct tenon_model_config), whose first member is a struct tenon_decoder */
    /* May be NULL. Keys beyond the usual ones, which have been read. */
    int32_t (*read)(struct tenon_model_config *config, const struct tenon_meta *meta, struct tenon_err *err);
    const char *const *kinds; /* names of the kinds of layers, NULL-ended; NULL: one kind, "layer" */
    int32_t (*kind_of)(const struct tenon_model_config *config, int64_t layer); /* with `kinds`: index into them */
    /* NULL: tenon_decoder_layer. A layer of a kind: what becomes of h [T,embed]. */
    uint32_t (*layer)(const struct tenon_model_config *config, const struct tenon_builder *b, int32_t kind, uint32_t h);
    const char *act;         /* kind of core.unary/1 in the gated net, which config.json must name; NULL: "silu" */
    /* Hugging Face directories. */
    const char *const *hf_types;         /* values of model_type in config.json, NULL-ended; NULL: `arch` is the only one */
    const char *hf_rope_layout;          /* NULL: "half", which nearly all models have there */
    const struct tenon_key_row *hf_keys; /* [n_hf_keys] spellings and defaults of this family alone; may be NULL */
    uint32_t n_hf_keys;
    int32_t tied;                        /* 1: output and embedding are one when config.json does not say (gemma) */
};

/* A decoder's config. */
struct tenon_decoder {
    const struct tenon_decoder_family *family;
    int64_t size[TENON_DECODER_SIZES];
    int64_t n_layers, n_heads, n_kv_heads, k_dim, v_dim, context;
    double eps;
    double embed_scale; /* embeddings are multiplied by it; 1 unless `read` says else */
    struct tenon_rope_params rope;
    struct tenon_state_desc kv;
    const struct tenon_meta *meta; /* where keys are read from */
    struct tenon_key_view keys;
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

static inline int32_t tenon_decoder_read_heads(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const double all = 1.0;
    double factor;
    int32_t s;
    int64_t per_head, n_rot;
    if ((s = tenon_decoder_key(d, m, "attention.head_count", 4096, NULL, &d->n_heads, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "attention.head_count_kv", 4096, &d->n_heads, &d->n_kv_heads, err)) != 0)
        return s;
    if (d->n_heads % d->n_kv_heads != 0)
        return tenon_decoder_bad_key(d, "attention.head_count_kv", d->n_kv_heads, "which does not divide head_count", err);
    per_head = d->size[TENON_SIZE_EMBED] % d->n_heads == 0 ? d->size[TENON_SIZE_EMBED] / d->n_heads : 0;
    if ((s = tenon_decoder_key(d, m, "attention.key_length", TENON_DECODER_HEAD, per_head > 0 ? &per_head : NULL, &d->k_dim, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "attention.value_length", TENON_DECODER_HEAD, &d->k_dim, &d->v_dim, err)) != 0 ||
        (s = tenon_key_f64(m, d->family->arch, "partial_rotary_factor", 1e-3, 1, &all, &factor, err)) != 0)
        return s;
    n_rot = (int64_t)((double)d->k_dim * factor);
    if ((s = tenon_decoder_key(d, m, "rope.dimension_count", d->k_dim, n_rot > 0 ? &n_rot : NULL, &d->rope.n_rot, err)) != 0)
        return s;
    if (d->rope.n_rot % 2 != 0)
        return tenon_decoder_bad_key(d, "rope.dimension_count", d->rope.n_rot, "but must be even", err);
    return TENON_E_OK;
}

static inline int32_t tenon_decoder_read_vocab(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    int64_t tokens = (int64_t)tenon_key_count(m, "tokenizer.ggml.tokens"), *size = &d->size[TENON_SIZE_VOCAB];
    int32_t s = tenon_decoder_key(d, m, "vocab_size", 1 << 24, tokens > 0 ? &tokens : NULL, size, err);
    if (s == 0 && (tokens > *size || *size > 1 << 24))
        return tenon_decoder_bad_key(d, "vocab_size", *size, "but tokenizer.ggml.tokens has more entries, or too many", err);
    return s;
}

static inline const char *tenon_decoder_act(const struct tenon_decoder *d)
{
    return d->family->act != NULL ? d->family->act : "silu";
}

static inline int32_t tenon_decoder_read(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t none = 0;
    int64_t experts, *size = d->size;
    int32_t s;
    if ((s = tenon_decoder_key(d, m, "block_count", 4096, NULL, &d->n_layers, err)) != 0 ||
        (s = tenon_decoder_key(d, m, "embedding_length", 1 << 20, NULL, &size[TENON_SIZE_EMBED], err)) != 0 ||
        (s = tenon_decoder_key(d, m, "feed_forward_length", 1 << 24, NULL, &size[TENON_SIZE_FFN], err)) != 0 ||
        (s = tenon_decoder_key(d, m, "context_length", 1 << 30, NULL, &d->context, err)) != 0 ||
        (s = tenon_key_f64(m, d->family->arch, "attention.layer_norm_rms_epsilon", 0, 1, NULL, &d->eps, err)) != 0 ||
        (s = tenon_key_i64(m, d->family->arch, "expert_count", 0, 0, &none, &experts, err)) != 0 ||
        (s = tenon_key_activation(m, d->family->arch, tenon_decoder_act(d), err)) != 0 ||
        (s = tenon_decoder_read_heads(d, m, err)) != 0 || (s = tenon_decoder_read_vocab(d, m, err)) != 0 ||
        (s = tenon_key_rope(m, d->family->arch, &d->rope, err)) != 0 ||
        (s = tenon_key_rope_factors(m, d->family->arch, &d->rope, d->rope_factors, &d->has_rope_factors, err)) != 0)
        return s;
    size[TENON_SIZE_Q] = d->n_heads * d->k_dim;
    size[TENON_SIZE_K] = d->n_kv_heads * d->k_dim;
    size[TENON_SIZE_V] = d->n_kv_heads * d->v_dim;
    size[TENON_SIZE_ATTN] = d->n_heads * d->v_dim;
    size[TENON_SIZE_K_DIM] = d->k_dim;
    size[TENON_SIZE_HALF_ROT] = d->rope.n_rot / 2;
    size[TENON_SIZE_HEADS] = d->n_heads;
    size[TENON_SIZE_KV_HEADS] = d->n_kv_heads;
    d->rope.layout = !tenon_meta_is_huggingface(m)       ? d->family->rope_layout
                     : d->family->hf_rope_layout != NULL ? d->family->hf_rope_layout
                                                         : "half";
    d->embed_scale = 1.0;
    return TENON_E_OK;
}

/* ---- the model interface ------------------------------------------------------------------------------------ */

/* Is the string `key` the architecture, or in a Hugging Face directory one of the model types? */
static inline int tenon_decoder_is(const struct tenon_decoder_family *family, const struct tenon_meta *meta, const char *key)
{
    const char *const arch[] = {family->arch, NULL};
    const char *const *names = tenon_meta_is_huggingface(meta) && family->hf_types != NULL ? family->hf_types : arch;
    char value[64];
    if (tenon_key_str(meta, NULL, key, "", value, sizeof value, NULL) != TENON_E_OK)
        return 0;
    while (*names != NULL && strcmp(*names, value) != 0)
        names++;
    return *names != NULL;
}

static inline int32_t tenon_decoder_match(const struct tenon_decoder_family *family, const struct tenon_meta *meta)
{
    if (!tenon_meta_is_huggingface(meta))
        return tenon_decoder_is(family, meta, "general.architecture") ? 100 : 0;
    if (tenon_decoder_is(family, meta, "config.model_type"))
        return 100;
    return tenon_decoder_is(family, meta, "config.text_config.model_type") ? 90 : 0; /* the part of it that reads and writes */
}

static inline struct tenon_weight_desc *tenon_decoder_desc(struct tenon_decoder *d, const char *name)
{
    uint32_t i;
    for (i = 0; i < d->family->n_rows; i++)
        if (strcmp(d->family->rows[i].name, name) == 0)
            return &d->weights[i];
    return NULL;
}

/* config.json says whether output and embedding are one tensor; that a file has an output of its own then counts for nothing. */
static inline int32_t tenon_decoder_tie(struct tenon_decoder *d, struct tenon_err *err)
{
    struct tenon_weight_desc *output = tenon_decoder_desc(d, "output");
    const int64_t unsaid = 2;
    int64_t tied = unsaid;
    int32_t s = tenon_key_i64(d->meta, d->family->arch, "tie_word_embeddings", 0, 1, &unsaid, &tied, err);
    if (s != 0 || output == NULL || output->tied_to == NULL || !tenon_meta_is_huggingface(d->meta))
        return s;
    if (tied == 1 || (tied == unsaid && d->family->tied != 0))
        output->n_sources = 0;
    else if (tied == 0) {
        output->flags &= ~TENON_WEIGHT_OPTIONAL;
        output->tied_to = NULL;
    }
    return s;
}

static inline int32_t tenon_decoder_declare(struct tenon_decoder *d, struct tenon_err *err)
{
    struct tenon_weight_room room;
    struct tenon_weight_desc *factors;
    room.weights = d->weights, room.sources = d->sources, room.names = d->hf_names;
    if (d->family->n_rows > TENON_DECODER_WEIGHTS)
        return tenon_fail(err, TENON_E_INTERNAL, d->family->arch, "a table of more than %d weights", TENON_DECODER_WEIGHTS);
    tenon_declare_weights(d->family->rows, d->family->n_rows, d->size, d->n_layers, &room);
    factors = tenon_decoder_desc(d, TENON_ROPE_FACTORS);
    if (d->has_rope_factors && factors == NULL)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, d->family->arch, "this plugin knows no models with llama3's scaling of positions");
    if (d->has_rope_factors)
        factors->values = d->rope_factors;
    d->kv.struct_size = (uint32_t)sizeof d->kv;
    d->kv.kind = TENON_STATE_KV_PAGED;
    d->kv.name = "kv";
    d->kv.n_layers = (uint32_t)d->n_layers;
    d->kv.k_heads = d->kv.v_heads = (uint32_t)d->n_kv_heads;
    d->kv.k_dim = (uint32_t)d->k_dim;
    d->kv.v_dim = (uint32_t)d->v_dim;
    return tenon_decoder_tie(d, err);
}

static inline void tenon_decoder_info(const struct tenon_decoder *d, struct tenon_model_info *info)
{
    (void)snprintf(info->architecture, sizeof info->architecture, "%s", d->family->arch);
    info->n_layers = (uint32_t)d->n_layers;
    info->context_length = (uint64_t)d->context;
    info->vocab_size = (uint64_t)d->size[TENON_SIZE_VOCAB];
    info->embedding_length = (uint64_t)d->size[TENON_SIZE_EMBED];
    info->n_heads = (uint32_t)d->n_heads;
    info->n_kv_heads = (uint32_t)d->n_kv_heads;
}

/* OWN: *ret by free. */
static inline int32_t tenon_decoder_config(const struct tenon_decoder_family *family, const struct tenon_meta *meta,
                                           struct tenon_model_config **ret, struct tenon_model_info *ret_info,
                                           struct tenon_err *err)
{
    struct tenon_model_info info;
    struct tenon_model_config *c = (struct tenon_model_config *)calloc(1, (size_t)family->config_bytes);
    struct tenon_decoder *d;
    int32_t status;
    memset(&info, 0, sizeof info);
    info.struct_size = (uint32_t)sizeof info;
    if (c == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, family->arch, "out of memory for a model config");
    d = tenon_decoder_of(c);
    d->family = family;
    d->meta = tenon_key_view_init(&d->keys, meta, family->arch, family->hf_keys, family->n_hf_keys);
    status = tenon_decoder_read(d, d->meta, err);
    if (status == 0 && family->read != NULL)
        status = family->read(c, d->meta, err);
    if (status == 0)
        status = tenon_key_str(meta, NULL, "general.name", "", info.name, sizeof info.name, err);
    if (status == 0)
        status = tenon_decoder_declare(d, err);
    if (status != 0) {
        free(c);
        return status;
    }
    tenon_decoder_info(d, &info);
    *ret_info = info;
    *ret = c;
    return TENON_E_OK;
}

static inline int32_t tenon_decoder_weight_at(struct tenon_model_config *c, uint32_t i, const struct tenon_weight_desc **ret)
{
    if (i >= tenon_decoder_of(c)->family->n_rows)
        return TENON_E_OUT_OF_RANGE;
    *ret = &tenon_decoder_of(c)->weights[i];
    return TENON_E_OK;
}

static inline int32_t tenon_decoder_state_at(struct tenon_model_config *c, uint32_t i, const struct tenon_state_desc **ret)
{
    if (i >= 1)
        return TENON_E_OUT_OF_RANGE;
    *ret = &tenon_decoder_of(c)->kv;
    return TENON_E_OK;
}

/* ---- parts of a layer --------------------------------------------------------------------------------------- */

/* The weight PREFIX NAME SUFFIX, TENON_NO_VALUE when the family's table has no such row or the file no such tensor. */
static inline uint32_t tenon_decoder_weight(const struct tenon_decoder *d, const struct tenon_builder *b, const char *prefix,
                                            const char *name, const char *suffix)
{
    char full[128];
    uint32_t i;
    (void)snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
    for (i = 0; i < d->family->n_rows; i++)
        if (strcmp(d->family->rows[i].name, full) == 0)
            return b->weight(b->ctx, full);
    return TENON_NO_VALUE;
}

static inline uint32_t tenon_layer_weight(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name)
{
    return tenon_decoder_weight(d, b, "layers.{i}.", name, "");
}

/* The product by layer weight `name`, plus NAME_bias if there is one. */
static inline uint32_t tenon_layer_linear(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name,
                                          uint32_t x)
{
    return tenon_matmul(b, name, x, tenon_layer_weight(d, b, name), tenon_decoder_weight(d, b, "layers.{i}.", name, "_bias"));
}

/* RMS norm by layer weight `name`; x itself if there is none. */
static inline uint32_t tenon_layer_norm(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t x)
{
    uint32_t w = tenon_layer_weight(d, b, name);
    return w != TENON_NO_VALUE ? tenon_rms_norm(b, name, x, w, d->eps) : x;
}

/* What attentions of one model may differ in. */
struct tenon_layer_attention {
    const struct tenon_rope_params *rope;
    int64_t window; /* 0: all positions */
    double scale, softcap;
};

static inline struct tenon_layer_attention tenon_layer_attention_of(const struct tenon_decoder *d)
{
    struct tenon_layer_attention a;
    a.rope = &d->rope;
    a.window = 0;
    a.scale = 1.0 / sqrt((double)d->k_dim);
    a.softcap = 0.0;
    return a;
}

/* Projections, norms of heads, rotation, cache, attention and its output; x is normed. */
static inline uint32_t tenon_layer_attend(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t x,
                                          const struct tenon_layer_attention *a)
{
    struct tenon_attention_params p;
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T), heads = tenon_dim_n(d->n_heads), kv_heads = tenon_dim_n(d->n_kv_heads);
    const uint32_t factors = tenon_decoder_weight(d, b, "", TENON_ROPE_FACTORS, "");
    uint32_t q = tenon_layer_linear(d, b, "attn_q", x), k = tenon_layer_linear(d, b, "attn_k", x);
    uint32_t v = tenon_layer_linear(d, b, "attn_v", x), kv, y;
    q = tenon_reshape3(b, "q_heads", q, t, heads, tenon_dim_n(d->k_dim));
    q = tenon_layer_norm(d, b, "attn_q_norm", q);
    q = tenon_rope(b, "rope_q", q, factors, a->rope);
    k = tenon_reshape3(b, "k_heads", k, t, kv_heads, tenon_dim_n(d->k_dim));
    k = tenon_layer_norm(d, b, "attn_k_norm", k);
    k = tenon_rope(b, "rope_k", k, factors, a->rope);
    v = tenon_reshape3(b, "v_heads", v, t, kv_heads, tenon_dim_n(d->v_dim));
    kv = tenon_kv_store(b, "kv_store", b->state(b->ctx, "kv"), k, v);
    p.kv_heads = d->n_kv_heads, p.k_dim = d->k_dim, p.v_dim = d->v_dim;
    p.window = a->window, p.scale = a->scale, p.softcap = a->softcap;
    y = tenon_attention(b, "attn", q, kv, TENON_NO_VALUE, &p);
    y = tenon_reshape2(b, "attn_flat", y, t, tenon_dim_n(d->size[TENON_SIZE_ATTN]));
    return tenon_layer_linear(d, b, "attn_output", y);
}

static inline uint32_t tenon_layer_ffn(const struct tenon_decoder *d, const struct tenon_builder *b, const char *kind, uint32_t x)
{
    uint32_t gate = tenon_layer_weight(d, b, "ffn_gate"), up = tenon_layer_weight(d, b, "ffn_up");
    return tenon_gated_ffn(b, "ffn", kind, x, gate, up, tenon_layer_weight(d, b, "ffn_down"));
}

/* The usual layer. Of the norms behind attention and net, NAME_post_norm, it has those that the table has. */
static inline uint32_t tenon_decoder_layer(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t h,
                                           const struct tenon_layer_attention *a, const char *kind)
{
    uint32_t sum, y = tenon_layer_norm(d, b, "attn_norm", h);
    y = tenon_layer_norm(d, b, "attn_post_norm", tenon_layer_attend(d, b, y, a));
    y = tenon_add_norm(b, "ffn_norm", h, y, tenon_layer_weight(d, b, "ffn_norm"), d->eps, &sum);
    y = tenon_layer_norm(d, b, "ffn_post_norm", tenon_layer_ffn(d, b, kind, y));
    return tenon_op2(b, "core.add/1", "layer_out", sum, y);
}

/* ---- the program -------------------------------------------------------------------------------------------- */

/* End the block that was begun last; its number, or a negative code, which sticks in b and is for run to be passed on. */
static inline int32_t tenon_decoder_end_block(const struct tenon_builder *b, uint32_t ret)
{
    return b->block_end(b->ctx, &ret, 1);
}

static inline uint32_t tenon_decoder_embed(const struct tenon_decoder *d, const struct tenon_builder *b)
{
    struct tenon_attr scale = tenon_attr_f("scale", d->embed_scale);
    uint32_t in[2], h;
    (void)b->block_begin(b->ctx, "embed", NULL, 0, NULL);
    in[0] = tenon_decoder_weight(d, b, "", "token_embd", ""), in[1] = tenon_input(b, "token");
    h = tenon_node1(b, "core.gather/1", "embed", in, 2, &scale, d->embed_scale != 1.0 ? 1 : 0);
    (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
    return h;
}

static inline int32_t tenon_decoder_kind(const struct tenon_model_config *c, const struct tenon_decoder *d, int64_t layer)
{
    return d->family->kind_of != NULL ? d->family->kind_of(c, layer) : 0;
}

/* The block of one kind of layer; a negative number when no layer is of it. */
static inline int32_t tenon_decoder_block(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                          const struct tenon_builder *b, int32_t kind, uint32_t like, uint32_t *ret_h)
{
    const struct tenon_layer_attention a = tenon_layer_attention_of(d);
    const char *name = d->family->kinds != NULL ? d->family->kinds[kind] : "layer";
    uint32_t arg;
    int64_t i = 0;
    while (i < d->n_layers && tenon_decoder_kind(c, d, i) != kind)
        i++;
    if (i == d->n_layers)
        return -1;
    (void)b->block_begin(b->ctx, name, &like, 1, &arg);
    *ret_h = d->family->layer != NULL ? d->family->layer(c, b, kind, arg) : tenon_decoder_layer(d, b, arg, &a, tenon_decoder_act(d));
    return tenon_decoder_end_block(b, *ret_h);
}

static inline uint32_t tenon_decoder_layers(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                            const struct tenon_builder *b, uint32_t h)
{
    const char *const one[] = {"layer", NULL};
    const char *const *kinds = d->family->kinds != NULL ? d->family->kinds : one;
    int32_t block[TENON_DECODER_KINDS], kind;
    uint32_t like = h;
    int64_t i;
    for (kind = 0; kind < TENON_DECODER_KINDS && kinds[kind] != NULL; kind++)
        block[kind] = tenon_decoder_block(c, d, b, kind, like, &h);
    for (i = 0; i < d->n_layers; i++)
        (void)b->run(b->ctx, block[tenon_decoder_kind(c, d, i)], (int32_t)i, 1);
    return h;
}

static inline void tenon_decoder_head(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t like)
{
    uint32_t h;
    (void)b->block_begin(b->ctx, "head", &like, 1, &h);
    h = tenon_gather(b, "rows", h, tenon_input(b, "out_row"));
    h = tenon_rms_norm(b, "output_norm", h, tenon_decoder_weight(d, b, "", "output_norm", ""), d->eps);
    h = tenon_matmul(b, "logits", h, tenon_decoder_weight(d, b, "", "output", ""), TENON_NO_VALUE);
    (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
    (void)b->output(b->ctx, 0, "logits");
}

/* The program "step": embed, layers in turn, head. */
static inline int32_t tenon_decoder_build(struct tenon_model_config *c, const char *program, const struct tenon_builder *b,
                                          struct tenon_err *err)
{
    const struct tenon_decoder *d = tenon_decoder_of(c);
    if (strcmp(program, "step") != 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, d->family->arch, "this family has no program '%s', only step", program);
    tenon_decoder_inputs(b);
    tenon_decoder_head(d, b, tenon_decoder_layers(c, d, b, tenon_decoder_embed(d, b)));
    return b->status(b->ctx, err);
}

/* The plugin of one family. family_ has static storage, arch_ is a string literal, the family's own. Further arguments: values
 * of hf_types that are not `arch_`, by which the plugin is found. */
#define TENON_DECODER_PLUGIN(family_, arch_, ...) TENON_DECODER_PLUGIN_(family_, arch_, __VA_ARGS__, NULL)
#define TENON_DECODER_PLUGIN_(family_, arch_, description_, ...)                                                                     \
    static int32_t decoder_match(void *self, const struct tenon_meta *meta)                                                    \
    {                                                                                                                          \
        (void)self; /* no state, here and below */                                                                             \
        return tenon_decoder_match(&(family_), meta);                                                                          \
    }                                                                                                                          \
    static int32_t decoder_config(void *self, const struct tenon_meta *meta, struct tenon_model_config **ret,                  \
                                  struct tenon_model_info *ret_info, struct tenon_err *err)                                    \
    {                                                                                                                          \
        (void)self;                                                                                                            \
        return tenon_decoder_config(&(family_), meta, ret, ret_info, err);                                                     \
    }                                                                                                                          \
    static void decoder_config_free(void *self, struct tenon_model_config *config)                                             \
    {                                                                                                                          \
        (void)self;                                                                                                            \
        free(config);                                                                                                          \
    }                                                                                                                          \
    _Static_assert(sizeof(struct tenon_model_config) >= sizeof(struct tenon_decoder), "it begins with a struct tenon_decoder");\
    static const struct tenon_model decoder_model = {                                                                          \
        .struct_size = sizeof decoder_model, .match = decoder_match, .config = decoder_config,                                 \
        .config_free = decoder_config_free, .weight_at = tenon_decoder_weight_at, .state_at = tenon_decoder_state_at,          \
        .build = tenon_decoder_build,                                                                                          \
    };                                                                                                                         \
    static const char *const decoder_keys[] = {arch_, __VA_ARGS__};                                                                \
    static const struct tenon_item decoder_items[] = {TENON_ITEM(TENON_MODEL_IFACE, arch_, decoder_keys, &decoder_model)};     \
    static const struct tenon_plugin decoder_plugin = {                                                                        \
        .struct_size = sizeof decoder_plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL,                                  \
        .id = "org.tenon.model." arch_, .version = "0.1.0", .vendor = "Tenon", .license = "Apache-2.0",                        \
        .description = description_, .items = decoder_items, .n_items = 1, .item_stride = sizeof decoder_items[0],             \
    };                                                                                                                         \
    TENON_PLUGIN_ENTRY(decoder_plugin)

#ifdef __cplusplus
}
#endif
#endif
