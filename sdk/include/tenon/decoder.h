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

#include <tenon/blocks.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a family ----------------------------------------------------------------------------------------------- */

/* Sizes that weights have, for the dims of tenon_weight_row. */
enum tenon_decoder_size {
    TENON_SIZE_EMBED, TENON_SIZE_VOCAB, TENON_SIZE_Q, TENON_SIZE_K, TENON_SIZE_V, TENON_SIZE_ATTN, TENON_SIZE_FFN, TENON_SIZE_K_DIM,
    TENON_SIZE_HALF_ROT, TENON_SIZE_HEADS, TENON_SIZE_KV_HEADS, TENON_SIZE_ONE, TENON_SIZE_EXPERTS, TENON_SIZE_EXPERT_FFN, TENON_SIZE_SHARED_FFN,
    TENON_SIZE_OWN, /* and 7 more are the family's */
    TENON_DECODER_SIZES = TENON_SIZE_OWN + 8
};
#define TENON_DECODER_WEIGHTS 48 /* most rows of a table */
#define TENON_DECODER_KINDS 6    /* most kinds of layers */
#define TENON_DECODER_LAYERS 4096
#define TENON_DECODER_STATES 4   /* most states */
#define TENON_DECODER_HEAD 4096  /* most elements of a head */
#define TENON_DECODER_PAIRS (TENON_DECODER_HEAD / 2)

/* Which layers have a weight, `only` of a row. */
#define TENON_ONLY_DENSE 1     /* those with one net */
#define TENON_ONLY_EXPERTS 2   /* those with experts */
#define TENON_ONLY_ATTENTION 3
#define TENON_ONLY_RECURRENT 4 /* those without attention */
#define TENON_ONLY_LATER 5     /* all but the first */
#define TENON_ONLY_COUNT 6

/* Rows of a layer's weights; logical names, GGUF's and Hugging Face's without their ends. axis: along which a matrix is sharded. */
#define TENON_LAYER_MATRIX(name, gguf, hf, out, in, axis) TENON_LAYER_MATRIX_OF(0, name, gguf, hf, out, in, axis)
#define TENON_LAYER_MATRIX_OF(only_, name_, gguf_, hf_, out_, in_, axis_)                                                              \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 2, .dims = {out_, in_, 0}, .shard_axis = axis_, .hf = "model.layers.{i}." hf_ ".weight", .only = only_}
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
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_q", "attn_q", "self_attn.q_proj", TENON_SIZE_Q, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_k", "attn_k", "self_attn.k_proj", TENON_SIZE_K, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_v", "attn_v", "self_attn.v_proj", TENON_SIZE_V, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_output", "attn_output", "self_attn.o_proj", TENON_SIZE_EMBED, TENON_SIZE_ATTN, 1)
#define TENON_DECODER_FFN_ROWS                                                                                               \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_DENSE, "ffn_gate", "ffn_gate", "mlp.gate_proj", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),                        \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_DENSE, "ffn_up", "ffn_up", "mlp.up_proj", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),                              \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_DENSE, "ffn_down", "ffn_down", "mlp.down_proj", TENON_SIZE_EMBED, TENON_SIZE_FFN, 1)
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
/* TENON_DECODER_ROWS with norms behind attention and net too. */
#define TENON_DECODER_ROWS_NORMED(xform)                                                                                     \
    TENON_DECODER_EMBED_ROW,                                                                                                 \
    TENON_LAYER_NORM_BY("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED, xform),                               \
    TENON_DECODER_ATTENTION_ROWS,                                                                                            \
    TENON_LAYER_NORM_BY("attn_post_norm", "post_attention_norm", "post_attention_layernorm", TENON_SIZE_EMBED, xform),       \
    TENON_LAYER_NORM_BY("ffn_norm", "ffn_norm", "pre_feedforward_layernorm", TENON_SIZE_EMBED, xform),                       \
    TENON_DECODER_FFN_ROWS,                                                                                                  \
    TENON_LAYER_NORM_BY("ffn_post_norm", "post_ffw_norm", "post_feedforward_layernorm", TENON_SIZE_EMBED, xform),            \
    TENON_DECODER_OUTPUT_ROWS(xform)
/* A row of a layer with nothing usual about it; more fields may follow it in the braces: {TENON_LAYER_ROW(...), .only = ...}. */
#define TENON_LAYER_ROW(name, gguf, hf, role, rank, d0, d1) TENON_LAYER_ROW_AT("model.layers.{i}.", name, gguf, hf, role, rank, d0, d1)
#define TENON_LAYER_ROW_AT(at, name_, gguf_, hf_, role_, rank_, d0_, d1_)                                                    \
    .name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_, .role = role_, .flags = TENON_WEIGHT_LAYERED, .rank = rank_,      \
    .dims = {d0_, d1_, 0}, .shard_axis = -1, .hf = at hf_

/* Experts by a router, each a gated net; Hugging Face has a tensor for each, `{e}` in its name. */
#define TENON_EXPERT_MATRIX(name_, gguf_, hf_, out_, in_)                                                                    \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 3, .dims = {TENON_SIZE_EXPERTS, out_, in_}, .shard_axis = 0, .hf = "model.layers.{i}." hf_ ".weight",            \
     .hf_xform = TENON_XFORM_STACK_EXPERTS, .only = TENON_ONLY_EXPERTS}
#define TENON_ROUTER_ROW(hf_)                                                                                                \
    {.name = "layers.{i}.ffn_router", .gguf = "blk.{i}.ffn_gate_inp.weight", .role = TENON_ROLE_ROUTER, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 2, .dims = {TENON_SIZE_EXPERTS, TENON_SIZE_EMBED, 0}, .shard_axis = -1, .hf = "model.layers.{i}." hf_ ".weight", \
     .only = TENON_ONLY_EXPERTS}
#define TENON_EXPERT_ROWS(router, experts, gate, up, down)                                                                   \
    TENON_ROUTER_ROW(router),                                                                                                \
    TENON_EXPERT_MATRIX("ffn_experts_gate", "ffn_gate_exps", experts ".{e}." gate, TENON_SIZE_EXPERT_FFN, TENON_SIZE_EMBED), \
    TENON_EXPERT_MATRIX("ffn_experts_up", "ffn_up_exps", experts ".{e}." up, TENON_SIZE_EXPERT_FFN, TENON_SIZE_EMBED),       \
    TENON_EXPERT_MATRIX("ffn_experts_down", "ffn_down_exps", experts ".{e}." down, TENON_SIZE_EMBED, TENON_SIZE_EXPERT_FFN)
/* A net that every token takes beside its experts. */
#define TENON_SHARED_EXPERT_ROWS(hf)                                                                                         \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_EXPERTS, "ffn_shared_gate", "ffn_gate_shexp", hf ".gate_proj", TENON_SIZE_SHARED_FFN, TENON_SIZE_EMBED, 0), \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_EXPERTS, "ffn_shared_up", "ffn_up_shexp", hf ".up_proj", TENON_SIZE_SHARED_FFN, TENON_SIZE_EMBED, 0), \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_EXPERTS, "ffn_shared_down", "ffn_down_shexp", hf ".down_proj", TENON_SIZE_EMBED, TENON_SIZE_SHARED_FFN, 1)
#define TENON_SHARED_GATE_ROW(hf) \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_EXPERTS, "ffn_shared_router", "ffn_gate_inp_shexp", hf, TENON_SIZE_ONE, TENON_SIZE_EMBED, -1)
/* Llama 3's scaling: a divisor for each pair's frequency. In a Hugging Face directory there is a formula instead. */
#define TENON_ROPE_FACTORS "rope_factors"
#define TENON_DECODER_ROPE_FACTORS TENON_ROPE_ROW(TENON_ROPE_FACTORS, "rope_freqs.weight")

/* longrope's two lists of divisors, one of which the context chooses. */
#define TENON_ROPE_ROW(name_, gguf_)                                                                                         \
    {.name = name_, .gguf = gguf_, .role = TENON_ROLE_OTHER, .flags = TENON_WEIGHT_OPTIONAL, .rank = 1,                      \
     .dims = {TENON_SIZE_HALF_ROT, 0, 0}, .shard_axis = -1}
#define TENON_DECODER_ROPE_FACTORS_BY_CONTEXT                   \
    TENON_ROPE_ROW("rope_factors_short", "rope_factors_short.weight"), \
    TENON_ROPE_ROW("rope_factors_long", "rope_factors_long.weight")

/* Biases of layer norms and of nets. */
#define TENON_LAYER_NORM_BIAS(name, gguf, hf, flags) TENON_LAYER_BIAS(name, gguf, hf, TENON_SIZE_EMBED, -1, flags)
#define TENON_OUTPUT_NORM_BIAS(hf_)                                                                                          \
    {.name = "output_norm_bias", .gguf = "output_norm.bias", .role = TENON_ROLE_BIAS, .rank = 1, .dims = {TENON_SIZE_EMBED, 0, 0}, \
     .shard_axis = -1, .hf = hf_}

/* How a layer norms, `norm` of a family. */
#define TENON_NORM_RMS 0
#define TENON_NORM_LAYER 1

/* What a layer's attention sees; NONE: it has no attention, but states of its own. */
#define TENON_SEES_ALL 0
#define TENON_SEES_WINDOW 1
#define TENON_SEES_NONE 2

struct tenon_layer_attention;

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
    int64_t ffn_times;                   /* the net is that many times as wide as the model where config.json does not say; 0: it must */
    int32_t tied;                        /* 1: output and embedding are one when config.json does not say (gemma) */
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
    uint32_t pooling;                    /* TENON_POOL_* of an encoder; 0: not said */
    int is_parallel;                     /* attention and net both read the layer's input */
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
    if (d->family->mix == NULL || !tenon_key_find(m, d->family->arch, "attention.head_count_kv", name, &e) || e.is_array == 0)
        return tenon_decoder_key(d, m, "attention.head_count_kv", 4096, &d->n_heads, &d->n_kv_heads, err);
    for (i = 0; i < d->n_layers; i++) {
        if (e.count != (uint64_t)d->n_layers || tenon_meta_i64(&e, (uint64_t)i, &n) != 0 || n < 0 || n > 4096 || (n > 0 && d->n_kv_heads > 0 && n != d->n_kv_heads))
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

/* What GGUF holds as tensors, config.json as lists: values [n_rot/2]. */
static inline int32_t tenon_decoder_read_list(struct tenon_decoder *d, const struct tenon_meta *m, const char *key, float *values,
                                              struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t i;
    if (!tenon_key_find(m, d->family->arch, key, name, &e))
        return tenon_key_missing(name, err);
    for (i = 0; i < d->rope.n_rot / 2; i++) {
        double v = 0.0;
        if (e.is_array == 0 || e.count != (uint64_t)d->rope.n_rot / 2 || tenon_meta_f64(&e, (uint64_t)i, &v) != 0 || !(v >= 1e-6 && v <= 1e6))
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

static inline int32_t tenon_decoder_read_rope(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    int32_t s = TENON_E_OK;
    if (d->family->rope_layout == NULL) {
        d->rope.n_rot = 0;
        return s;
    }
    if ((s = tenon_key_rope(m, d->family->arch, &d->rope, err)) != 0 ||
        (s = tenon_key_rope_factors(m, d->family->arch, &d->rope, d->rope_factors, &d->has_rope_factors, err)) != 0)
        return s;
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
    const int64_t usual = d->family->has_no_attention ? 1 : d->family->ffn_times * d->size[TENON_SIZE_EMBED];
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
        (s = d->family->has_no_attention ? 0 : tenon_decoder_read_heads(d, m, err)) != 0 || (s = tenon_decoder_read_vocab(d, m, err)) != 0 ||
        (s = tenon_decoder_read_rope(d, m, err)) != 0)
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

/* The factor of scores, which config.json of some families has as the number under the root; what is not there changes nothing. */
static inline int32_t tenon_decoder_read_scale(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const double usual = d->attn_scale, none = 0.0;
    double length = 0.0;
    int32_t s = tenon_key_f64(m, d->family->arch, "attention.scale", 1e-6, 1e6, &usual, &d->attn_scale, err);
    if (s == 0 && (s = tenon_key_f64(m, d->family->arch, "query_pre_attn_scalar", 1e-6, 1e6, &none, &length, err)) == 0 && length > 0.0)
        d->attn_scale = 1.0 / sqrt(length);
    return s;
}

/* ---- windows ------------------------------------------------------------------------------------------------ */

/* The key attention.sliding_window, 0 when it is not there, for all layers. */
static inline int32_t tenon_decoder_read_window(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t none = 0;
    int32_t s = tenon_key_i64(m, d->family->arch, "attention.sliding_window", 0, 1 << 30, &none, &d->window, err);
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
    *ret = tenon_key_find(m, d->family->arch, "layer_types", name, &e);
    for (i = 0; *ret != 0 && i < d->n_layers; i++) {
        struct tenon_str type = {"", 0};
        const int is_list = e.is_array != 0 && e.type == TENON_META_STRING && e.count == (uint64_t)d->n_layers;
        if (!is_list || m->strings(m->ctx, &e, (uint64_t)i, 1, &type) != TENON_E_OK)
            type.size = 0;
        if (none != NULL && tenon_str_is(&type, none))
            d->sees[i] = TENON_SEES_NONE;
        else if (tenon_str_is(&type, "full_attention") || tenon_str_is(&type, "sliding_attention"))
            d->sees[i] = tenon_str_is(&type, "full_attention") ? TENON_SEES_ALL : TENON_SEES_WINDOW;
        else
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must call each of %lld layers full_attention or %s", name,
                              (long long)d->n_layers, none != NULL ? none : "sliding_attention");
        if (none != NULL && d->sees[i] == TENON_SEES_WINDOW)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s has a window in layer %lld, which no model of the family has",
                              name, (long long)i);
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

/* States of slots, `bytes` for each layer that sees NONE. */
static inline void tenon_decoder_want_slots(struct tenon_decoder *d, const char *name, int32_t kind, int64_t bytes)
{
    struct tenon_state_desc *s = &d->slots[d->n_slots++];
    s->name = name;
    s->kind = kind;
    s->slot_bytes = (uint64_t)bytes;
}

/* Which layers have experts, in config.json: every `decoder_sparse_step`-th that is not among `mlp_only_layers`. norm: whether the
 * weights of the chosen are made 1 where the file does not say. */
static inline int32_t tenon_decoder_read_sparse(struct tenon_decoder *d, const struct tenon_meta *m, int64_t norm, struct tenon_err *err)
{
    const int64_t every = 1;
    struct tenon_meta_entry e;
    char name[128];
    int64_t step = 1, i, layer = 0;
    uint64_t k;
    int32_t s = tenon_key_i64(m, d->family->arch, "expert_weights_norm", 0, 1, &norm, &d->moe.normalise, err);
    if (s != 0 || (s = tenon_decoder_key(d, m, "decoder_sparse_step", TENON_DECODER_LAYERS, &every, &step, err)) != 0)
        return s;
    for (i = 0; i < d->n_layers; i++)
        d->experts[i] = d->moe.used > 0 && (i + 1) % step == 0;
    if (!tenon_key_find(m, d->family->arch, "mlp_only_layers", name, &e))
        return s;
    for (k = 0; k < e.count && s == 0; k++) {
        if (e.is_array == 0 || tenon_meta_i64(&e, k, &layer) != 0 || layer < 0 || layer >= d->n_layers)
            s = tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must list layers from 0 to %lld", name, (long long)d->n_layers - 1);
        else
            d->experts[layer] = 0;
    }
    return s;
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

/* A state of the layers that see so; NULL: there are none. OWN: d. */
static inline struct tenon_state_desc *tenon_decoder_add_state(struct tenon_decoder *d, const char *name, int32_t kind, int sees)
{
    struct tenon_state_desc *s = &d->states[d->n_states]; /* two of caches and two of slots: there is room */
    int32_t *map = d->state_maps[d->n_states];
    int64_t i;
    memset(s, 0, sizeof *s);
    for (i = 0; i < d->n_layers; i++)
        map[i] = d->sees[i] == sees ? (int32_t)s->n_layers++ : -1;
    if (s->n_layers == 0)
        return NULL;
    s->struct_size = (uint32_t)sizeof *s;
    s->kind = kind;
    s->name = name;
    s->layer_map = s->n_layers < (uint32_t)d->n_layers ? map : NULL;
    d->n_states++;
    return s;
}

/* Keys and values of all layers that see all, or a window, as a state group: of a window only its pages are kept. */
static inline void tenon_decoder_declare_kv(struct tenon_decoder *d, int sees)
{
    struct tenon_state_desc *s = tenon_decoder_add_state(d, d->n_groups == 0 ? "kv" : "kv_local", TENON_STATE_KV_PAGED, sees);
    if (s == NULL)
        return;
    s->group = d->n_groups++;
    s->window = sees == TENON_SEES_WINDOW ? (uint32_t)d->window : 0;
    if (d->latent != 0) {
        s->kind = TENON_STATE_KV_LATENT;
        s->k_heads = 1, s->k_dim = (uint32_t)d->latent;
        return;
    }
    s->k_heads = s->v_heads = (uint32_t)d->n_kv_heads;
    s->k_dim = (uint32_t)d->k_dim;
    s->v_dim = (uint32_t)d->v_dim;
}

/* Which layers have the weights of rows with `only`. */
static inline void tenon_decoder_declare_layers(struct tenon_decoder *d)
{
    uint32_t only, i;
    int64_t k;
    for (k = 0; k < d->n_layers; k++) {
        d->has[TENON_ONLY_EXPERTS][k] = d->experts[k];
        d->has[TENON_ONLY_DENSE][k] = d->experts[k] == 0;
        d->has[TENON_ONLY_RECURRENT][k] = d->sees[k] == TENON_SEES_NONE;
        d->has[TENON_ONLY_LATER][k] = k > 0;
        d->has[TENON_ONLY_ATTENTION][k] = d->sees[k] != TENON_SEES_NONE;
    }
    for (i = 0; i < d->family->n_rows; i++)
        if ((only = d->family->rows[i].only) != 0)
            d->weights[i].has_layer = d->has[only];
}

static inline int32_t tenon_decoder_declare(struct tenon_decoder *d, struct tenon_err *err)
{
    struct tenon_weight_room room;
    struct tenon_weight_desc *factors;
    struct tenon_state_desc *state;
    uint32_t i;
    room.weights = d->weights, room.sources = d->sources, room.names = d->hf_names;
    if (d->family->n_rows > TENON_DECODER_WEIGHTS)
        return tenon_fail(err, TENON_E_INTERNAL, d->family->arch, "a table of more than %d weights", TENON_DECODER_WEIGHTS);
    tenon_declare_weights(d->family->rows, d->family->n_rows, d->size, d->n_layers, &room);
    tenon_decoder_declare_layers(d);
    factors = tenon_decoder_desc(d, TENON_ROPE_FACTORS);
    if (d->has_rope_factors)
        factors->values = d->rope_factors;
    factors = tenon_decoder_desc(d, "rope_factors_short");
    if (d->rope.by_context && tenon_meta_is_huggingface(d->meta)) {
        factors->values = d->rope_short;
        tenon_decoder_desc(d, "rope_factors_long")->values = d->rope_long;
    }
    if (!d->family->is_encoder) {
        tenon_decoder_declare_kv(d, TENON_SEES_ALL);
        tenon_decoder_declare_kv(d, TENON_SEES_WINDOW);
    }
    for (i = 0; i < d->n_slots; i++) {
        state = tenon_decoder_add_state(d, d->slots[i].name, d->slots[i].kind, TENON_SEES_NONE);
        if (state != NULL)
            state->slot_bytes = d->slots[i].slot_bytes;
    }
    return tenon_decoder_tie(d, err);
}

static inline void tenon_decoder_info(const struct tenon_decoder *d, struct tenon_model_info *info)
{
    (void)snprintf(info->architecture, sizeof info->architecture, "%s", d->family->arch);
    info->n_layers = (uint32_t)d->n_layers;
    info->context_length = (uint64_t)d->context;
    info->vocab_size = (uint64_t)d->size[TENON_SIZE_VOCAB];
    info->embedding_length = (uint64_t)d->size[TENON_SIZE_EMBED];
    info->pooling = d->pooling;
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
    if (i >= tenon_decoder_of(c)->n_states)
        return TENON_E_OUT_OF_RANGE;
    *ret = &tenon_decoder_of(c)->states[i];
    return TENON_E_OK;
}

static inline int32_t tenon_decoder_set_context(struct tenon_model_config *c, uint64_t context, struct tenon_err *err)
{
    struct tenon_decoder *d = tenon_decoder_of(c);
    if (tenon_decoder_desc(d, "position_embd") != NULL && context > (uint64_t)d->context)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, d->family->arch, "a context of %llu: the model has positions for %lld tokens only",
                          (unsigned long long)context, (long long)d->context);
    d->run_context = (int64_t)context;
    tenon_rope_fit(&d->rope, d->context, d->run_context);
    tenon_rope_fit(&d->rope_local, d->context, d->run_context);
    return TENON_E_OK;
}

/* ---- parts of a layer --------------------------------------------------------------------------------------- */

/* The weight PREFIX NAME SUFFIX, TENON_NO_VALUE when the family's table has no such row or the file no such tensor. */
static inline uint32_t tenon_decoder_weight(const struct tenon_decoder *d, const struct tenon_builder *b, const char *prefix,
                                            const char *name, const char *suffix)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
    return tenon_decoder_has_row(d, full) ? b->weight(b->ctx, full) : TENON_NO_VALUE;
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

/* The family's norm by the weights PREFIX NAME and its _bias. */
static inline uint32_t tenon_decoder_norm(const struct tenon_decoder *d, const struct tenon_builder *b, const char *prefix,
                                          const char *name, uint32_t x)
{
    uint32_t w = tenon_decoder_weight(d, b, prefix, name, "");
    if (d->family->norm == TENON_NORM_LAYER)
        return tenon_full_norm(b, name, x, w, tenon_decoder_weight(d, b, prefix, name, "_bias"), d->eps);
    return tenon_rms_norm(b, name, x, w, d->eps);
}

/* Norm by layer weight `name`; x itself if there is none. */
static inline uint32_t tenon_layer_norm(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t x)
{
    return tenon_layer_weight(d, b, name) != TENON_NO_VALUE ? tenon_decoder_norm(d, b, "layers.{i}.", name, x) : x;
}

/* What attentions of one model may differ in. */
struct tenon_layer_attention {
    const struct tenon_rope_params *rope; /* NULL: nothing is turned */
    int64_t window;                       /* 0: all positions */
    double scale, softcap;
    int sees, experts;                    /* as of struct tenon_decoder */
};

static inline struct tenon_layer_attention tenon_layer_attention_of(const struct tenon_decoder *d, int64_t layer)
{
    const int sees = d->sees[layer];
    struct tenon_layer_attention a;
    a.sees = sees;
    a.experts = d->experts[layer];
    a.rope = sees == TENON_SEES_WINDOW ? &d->rope_local : &d->rope;
    a.window = sees == TENON_SEES_WINDOW ? d->window : 0;
    a.scale = d->attn_scale;
    a.softcap = d->attn_softcap;
    return a;
}

/* The weight that divides frequencies. */
static inline const char *tenon_decoder_factors(const struct tenon_decoder *d)
{
    return !d->rope.by_context                             ? TENON_ROPE_FACTORS
           : d->run_context > d->rope.original_context ? "rope_factors_long"
                                                           : "rope_factors_short";
}

/* q or k as heads [T,heads,k_dim], normed where the table says so: each head by the same weights [k_dim] or by its own
 * [heads,k_dim], or all of them together [heads * k_dim]; then turned. */
static inline uint32_t tenon_layer_heads(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t x,
                                         int64_t heads, const struct tenon_rope_params *rope)
{
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T);
    char norm[32], node[32];
    uint32_t i, whole = 0, each = 0;
    (void)snprintf(norm, sizeof norm, "attn_%s_norm", name);
    for (i = 0; i < d->family->n_rows; i++)
        if (strncmp(d->family->rows[i].name, "layers.{i}.", 11) == 0 && strcmp(d->family->rows[i].name + 11, norm) == 0)
            whole = d->family->rows[i].rank == 1 && d->family->rows[i].dims[0] != TENON_SIZE_K_DIM, each = d->family->rows[i].rank == 2;
    x = whole ? tenon_layer_norm(d, b, norm, x) : x;
    (void)snprintf(node, sizeof node, "%s_heads", name);
    x = tenon_reshape3(b, node, x, t, tenon_dim_n(heads), tenon_dim_n(d->k_dim));
    if (each && (i = tenon_layer_weight(d, b, norm)) != TENON_NO_VALUE) {
        (void)snprintf(node, sizeof node, "attn_%s_norm_each", name);
        x = d->family->norm == TENON_NORM_LAYER ? tenon_full_norm(b, node, x, TENON_NO_VALUE, TENON_NO_VALUE, d->eps)
                                                : tenon_rms_norm(b, node, x, TENON_NO_VALUE, d->eps);
        x = tenon_mul(b, norm, x, i);
    } else if (!whole && !each) {
        x = tenon_layer_norm(d, b, norm, x);
    }
    if (rope == NULL || rope->n_rot == 0)
        return x;
    (void)snprintf(node, sizeof node, "rope_%s", name);
    return tenon_rope(b, node, x, tenon_decoder_weight(d, b, "", tenon_decoder_factors(d), ""), rope);
}

/* Projections, norms of heads, rotation, cache, attention and its output; x is normed. */
static inline uint32_t tenon_layer_attend(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t x,
                                          const struct tenon_layer_attention *a)
{
    struct tenon_attention_params p;
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T);
    const uint32_t group = a->window != 0 && d->n_groups > 1 ? 1 : 0;
    uint32_t q = tenon_layer_linear(d, b, "attn_q", x), k = tenon_layer_linear(d, b, "attn_k", x);
    uint32_t v = tenon_layer_linear(d, b, "attn_v", x), kv, y;
    q = tenon_layer_heads(d, b, "q", q, d->n_heads, a->rope);
    k = tenon_layer_heads(d, b, "k", k, d->n_kv_heads, a->rope);
    v = tenon_reshape3(b, "v_heads", v, t, tenon_dim_n(d->n_kv_heads), tenon_dim_n(d->v_dim));
    p.kv_heads = d->n_kv_heads, p.k_dim = d->k_dim, p.v_dim = d->v_dim;
    p.window = a->window, p.scale = a->scale, p.softcap = a->softcap;
    if (d->family->is_encoder) {
        y = tenon_step_attention(b, "attn", q, k, v, &p, 0);
    } else {
        kv = tenon_group_store(b, "kv_store", group, b->state(b->ctx, d->states[group].name), k, v);
        y = tenon_group_attention(b, "attn", group, q, kv, tenon_layer_weight(d, b, "attn_sinks"), &p);
    }
    y = tenon_reshape2(b, "attn_flat", y, t, tenon_dim_n(d->size[TENON_SIZE_ATTN]));
    if (tenon_layer_weight(d, b, "attn_gate") != TENON_NO_VALUE)
        y = tenon_mul(b, "attn_gated", y, tenon_unary(b, "attn_opened", "sigmoid", tenon_layer_linear(d, b, "attn_gate", x)));
    return tenon_layer_linear(d, b, "attn_output", y);
}

/* The net by weights NAME_gate, NAME_up and NAME_down, without a gate if there is none, with the biases that there are. */
static inline uint32_t tenon_layer_net(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t x)
{
    static const char *const parts[] = {"_gate", "_up", "_down"};
    uint32_t w[3], bias[3], i;
    struct tenon_ffn f;
    char full[64];
    for (i = 0; i < 3; i++) {
        (void)snprintf(full, sizeof full, "%s%s", name, parts[i]);
        w[i] = tenon_layer_weight(d, b, full);
        bias[i] = tenon_decoder_weight(d, b, "layers.{i}.", full, "_bias");
    }
    f = tenon_ffn_of(tenon_decoder_act(d), w[0], w[1], w[2]);
    f.gate_bias = bias[0], f.up_bias = bias[1], f.down_bias = bias[2];
    return tenon_ffn_block(b, name, x, &f);
}

/* Part of a layer times what the model scales it by. */
static inline uint32_t tenon_layer_scaled(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t x)
{
    return d->residual_scale != 1.0 ? tenon_affine(b, name, x, d->residual_scale, 0.0) : x;
}

/* sum = h + y, and its norm by `name`: *ret_sum and the result. */
static inline uint32_t tenon_layer_add_norm(const struct tenon_decoder *d, const struct tenon_builder *b, const char *name, uint32_t h,
                                            uint32_t y, uint32_t *ret_sum)
{
    uint32_t w = tenon_layer_weight(d, b, name);
    if (d->family->norm == TENON_NORM_RMS && w != TENON_NO_VALUE)
        return tenon_add_norm(b, name, h, y, w, d->eps, ret_sum);
    *ret_sum = tenon_add(b, "attn_out", h, y);
    return tenon_layer_norm(d, b, name, *ret_sum);
}

static inline uint32_t tenon_layer_of(const struct tenon_decoder *d, const struct tenon_builder *b, const char *stem, const char *end)
{
    return tenon_decoder_weight(d, b, "layers.{i}.", stem, end);
}

/* The experts' nets, and the shared one if there is one: times a gate of its own if that has a weight. */
static inline uint32_t tenon_layer_experts(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t x)
{
    struct tenon_moe m = d->moe;
    uint32_t y, shared, gate;
    m.router = tenon_layer_weight(d, b, "ffn_router"), m.router_bias = tenon_layer_weight(d, b, "ffn_router_bias");
    m.select_bias = tenon_layer_weight(d, b, "ffn_select_bias");
    m.gate = tenon_layer_of(d, b, "ffn_experts", "_gate"), m.gate_bias = tenon_layer_of(d, b, "ffn_experts", "_gate_bias");
    m.up = tenon_layer_of(d, b, "ffn_experts", "_up"), m.up_bias = tenon_layer_of(d, b, "ffn_experts", "_up_bias");
    m.down = tenon_layer_of(d, b, "ffn_experts", "_down"), m.down_bias = tenon_layer_of(d, b, "ffn_experts", "_down_bias");
    y = tenon_moe_ffn(b, "ffn", x, &m);
    if (tenon_layer_weight(d, b, "ffn_shared_up") == TENON_NO_VALUE)
        return y;
    shared = tenon_layer_net(d, b, "ffn_shared", x);
    gate = tenon_layer_weight(d, b, "ffn_shared_router");
    if (gate != TENON_NO_VALUE) {
        gate = tenon_unary(b, "ffn_shared_gate", "sigmoid", tenon_matmul(b, "ffn_shared_router", x, gate, TENON_NO_VALUE));
        shared = tenon_mul(b, "ffn_shared_gated", shared, gate);
    }
    return tenon_add(b, "ffn_all", y, shared);
}

/* The usual layer: mixed, what attention or the like made of x, is added to h; then the net. Of the norms before and behind
 * both, NAME_norm and NAME_post_norm, it has those that the table has. */
static inline uint32_t tenon_decoder_layer_mixed(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t h, uint32_t x,
                                                 uint32_t mixed, const struct tenon_layer_attention *a)
{
    uint32_t sum, y = tenon_layer_scaled(d, b, "attn_scaled", tenon_layer_norm(d, b, "attn_post_norm", mixed));
    if (d->is_parallel) {
        sum = tenon_add(b, "attn_out", h, y);
        x = tenon_layer_weight(d, b, "ffn_norm") != TENON_NO_VALUE ? tenon_layer_norm(d, b, "ffn_norm", h) : x;
    } else {
        x = tenon_layer_add_norm(d, b, "ffn_norm", h, y, &sum);
    }
    y = tenon_layer_norm(d, b, "ffn_post_norm", a->experts ? tenon_layer_experts(d, b, x) : tenon_layer_net(d, b, "ffn", x));
    return tenon_add(b, "layer_out", sum, tenon_layer_scaled(d, b, "ffn_scaled", y));
}

static inline uint32_t tenon_decoder_layer(const struct tenon_decoder *d, const struct tenon_builder *b, uint32_t h,
                                           const struct tenon_layer_attention *a)
{
    const uint32_t x = tenon_layer_norm(d, b, "attn_norm", h);
    return tenon_decoder_layer_mixed(d, b, h, x, tenon_layer_attend(d, b, x, a), a);
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
    in[0] = tenon_decoder_weight(d, b, "", "position_embd", "");
    if (in[0] != TENON_NO_VALUE)
        h = tenon_add(b, "positioned", h, tenon_gather(b, "position_embd", in[0], tenon_input(b, "position")));
    in[0] = tenon_decoder_weight(d, b, "", "token_type", "");
    if (in[0] != TENON_NO_VALUE)
        h = tenon_add(b, "typed", h, in[0]);
    if (tenon_decoder_has_row(d, "token_embd_norm"))
        h = tenon_decoder_norm(d, b, "", "token_embd_norm", h);
    (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
    return h;
}

static inline int32_t tenon_decoder_kind(const struct tenon_model_config *c, const struct tenon_decoder *d, int64_t layer)
{
    return d->family->kind_of != NULL ? d->family->kind_of(c, layer) : d->sees[layer] + 3 * d->experts[layer];
}

static inline const char *const *tenon_decoder_kinds(const struct tenon_decoder *d)
{
    static const char *const kinds[] = {"layer", "local", "recurrent", "experts", "local_experts", "recurrent_experts"};
    return d->family->kinds != NULL ? d->family->kinds : kinds;
}

/* A layer like this one. */
static inline uint32_t tenon_decoder_like(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                          const struct tenon_builder *b, int64_t layer, uint32_t h)
{
    const struct tenon_layer_attention a = tenon_layer_attention_of(d, layer);
    if (d->family->layer != NULL)
        return d->family->layer(c, b, tenon_decoder_kind(c, d, layer), h, &a);
    if (a.sees == TENON_SEES_NONE) {
        const uint32_t x = tenon_layer_norm(d, b, "attn_norm", h);
        return tenon_decoder_layer_mixed(d, b, h, x, d->family->mix(c, b, x), &a);
    }
    return tenon_decoder_layer(d, b, h, &a);
}

/* The block of one kind of layer; a negative number when no layer is of it. */
static inline int32_t tenon_decoder_block(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                          const struct tenon_builder *b, int32_t kind, uint32_t like, uint32_t *ret_h)
{
    uint32_t arg;
    int64_t i = 0;
    while (i < d->n_layers && tenon_decoder_kind(c, d, i) != kind)
        i++;
    if (i == d->n_layers)
        return -1;
    (void)b->block_begin(b->ctx, tenon_decoder_kinds(d)[kind], &like, 1, &arg);
    *ret_h = tenon_decoder_like(c, d, b, i, arg);
    return tenon_decoder_end_block(b, *ret_h);
}

static inline uint32_t tenon_decoder_layers(const struct tenon_model_config *c, const struct tenon_decoder *d,
                                            const struct tenon_builder *b, uint32_t h)
{
    const char *const *kinds = d->family->kinds;
    int32_t block[TENON_DECODER_KINDS], kind;
    uint32_t like = h;
    int64_t i;
    for (kind = 0; kind < TENON_DECODER_KINDS && (kinds == NULL || kinds[kind] != NULL); kind++)
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
    h = tenon_decoder_has_row(d, "output_norm") ? tenon_decoder_norm(d, b, "", "output_norm", h) : h;
    if (d->family->is_encoder) {
        (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
        (void)b->output(b->ctx, 0, "rows");
        return;
    }
    h = tenon_matmul(b, "logits", h, tenon_decoder_weight(d, b, "", "output", ""), TENON_NO_VALUE);
    h = d->logit_scale != 1.0 ? tenon_affine(b, "logits_scaled", h, d->logit_scale, 0.0) : h;
    h = d->logit_softcap > 0.0 ? tenon_softcap(b, "logits_capped", h, d->logit_softcap) : h;
    (void)b->run(b->ctx, tenon_decoder_end_block(b, h), 0, 0);
    (void)b->output(b->ctx, 0, "logits");
}

/* The program: embed, layers in turn, head. */
static inline int32_t tenon_decoder_build(struct tenon_model_config *c, const char *program, const struct tenon_builder *b,
                                          struct tenon_err *err)
{
    const struct tenon_decoder *d = tenon_decoder_of(c);
    const char *own = d->family->is_encoder ? "embed" : "step";
    if (strcmp(program, own) != 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, d->family->arch, "this family has no program '%s', only %s", program, own);
    tenon_step_inputs(b, d->n_groups, d->n_states > d->n_groups);
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
        .build = tenon_decoder_build, .set_context = tenon_decoder_set_context,                                                \
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
