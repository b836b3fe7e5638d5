/* keys.h - metadata keys for model plugins, read with their checks, whatever the format spells them like.
 *
 *     struct tenon_key_view view;                                                          as long as meta is used
 *     const struct tenon_meta *m = tenon_key_view_init(&view, meta, "llama", own, n_own);  own rows may be NULL, 0
 *     status = tenon_key_i64(m, "llama", "block_count", 1, 4096, NULL, &n_layers, err);    names the key when it is bad
 *
 * A plugin asks for GGUF's names without the architecture in front. In a GGUF file that is "llama.block_count"; in a Hugging
 * Face directory (format "huggingface") the view finds "config.num_hidden_layers", or the same in "config.text_config", where
 * models that also see or hear keep it. Rows of the plugin's own come first, then the table here; a key that neither has is
 * sought in config.json as it is, so what only config.json knows is read by its own name: "query_pre_attn_scalar". A null
 * there is a missing key. Messages name a key as the file spells it.
 *
 * The metadata of such a directory, as weights plugins give it: config.<path>, generation_config.<path>, tokenizer_config.<path>
 * of the JSON files of these names, pooling.<path> of 1_Pooling/config.json and sentence_bert.<path> of
 * sentence_bert_config.json, which models for vectors of texts have, and "modules", the types that modules.json lists; objects
 * nested by dots, arrays of numbers, of strings or of booleans as arrays, objects and lists of unlike elements as
 * TENON_META_OBJECT; null.<path of a key> true where one is null; and the names of its files as the array "huggingface.files".
 *
 * Everything is static inline; nothing here is part of the ABI.
 */
#ifndef TENON_KEYS_H
#define TENON_KEYS_H

#include <tenon/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline int tenon_meta_is_huggingface(const struct tenon_meta *meta)
{
    return meta->format != NULL && strcmp(meta->format, "huggingface") == 0;
}

/* ---- names of Hugging Face ---------------------------------------------------------------------------------- */

/* How config.json spells a key: names with '|' between them, the first that is there counts. */
struct tenon_key_row {
    const char *key;     /* "attention.head_count" */
    const char *spelled; /* "num_attention_heads|n_head"; NULL: nowhere, only the default counts */
    uint32_t has_absent; /* 1: `absent` is the value when no name is there, as transformers has it for the family */
    double absent;
};

/* Spellings common to many families; what one family alone does is a row of its own. */
static inline const struct tenon_key_row *tenon_key_rows(void)
{
    static const struct tenon_key_row rows[] = {
        {"block_count", "num_hidden_layers|n_layer|n_layers|num_layers", 0, 0},
        {"embedding_length", "hidden_size|n_embd|d_model", 0, 0},
        {"feed_forward_length", "intermediate_size|n_inner|ffn_dim", 0, 0},
        {"context_length", "max_position_embeddings|n_positions|n_ctx|max_seq_len|max_sequence_length|seq_length", 0, 0},
        {"vocab_size", "vocab_size|padded_vocab_size", 0, 0},
        {"attention.head_count", "num_attention_heads|n_head|n_heads", 0, 0},
        {"attention.head_count_kv", "num_key_value_heads|num_kv_heads|n_head_kv|multi_query_group_num", 0, 0},
        {"attention.key_length", "head_dim|kv_channels", 0, 0},
        {"attention.value_length", "v_head_dim", 0, 0},
        {"attention.layer_norm_rms_epsilon", "rms_norm_eps|norm_eps|layernorm_epsilon", 0, 0},
        {"attention.layer_norm_epsilon", "layer_norm_eps|layer_norm_epsilon|norm_epsilon|norm_eps|layernorm_epsilon", 0, 0},
        {"attention.sliding_window", "sliding_window|sliding_window_size", 0, 0},
        {"attention.sliding_window_pattern", "sliding_window_pattern|_sliding_window_pattern", 0, 0},
        {"attention.q_lora_rank", "q_lora_rank", 0, 0},
        {"attention.kv_lora_rank", "kv_lora_rank", 0, 0},
        {"attention.scale", "attention_multiplier", 0, 0},
        {"attention.clamp_kqv", "clip_qkv", 0, 0},
        {"embedding_scale", "embedding_multiplier", 0, 0},
        {"residual_scale", "residual_multiplier", 0, 0},
        {"expert_count", "num_local_experts|num_experts|n_routed_experts|moe_num_experts", 0, 0},
        {"expert_used_count", "num_experts_per_tok|num_experts_per_token|moe_top_k|moe_topk|experts_per_token", 0, 0},
        {"expert_feed_forward_length", "moe_intermediate_size", 0, 0},
        {"expert_shared_count", "n_shared_experts|num_shared_experts|moe_num_shared_experts", 0, 0},
        {"expert_shared_feed_forward_length", "shared_expert_intermediate_size|shared_intermediate_size", 0, 0},
        {"expert_weights_scale", "routed_scaling_factor", 0, 0},
        {"expert_weights_norm", "norm_topk_prob", 0, 0},
        {"leading_dense_block_count", "first_k_dense_replace", 0, 0},
        {"hidden_act", "hidden_activation|hidden_act|activation_function", 0, 0},
        {"partial_rotary_factor", NULL, 0, 0}, /* transformers reads it for few families, which have a row of their own */
        {"rope.dimension_count", NULL, 0, 0},
        {"rope.freq_base",
         "rope_scaling.rope_theta|rope_parameters.rope_theta|rope_parameters.full_attention.rope_theta|rope_theta", 0, 0},
        {"rope.freq_base_swa", "rope_parameters.sliding_attention.rope_theta|rope_local_base_freq|local_rope_theta", 0, 0},
#define TENON_ROPE_ROW_(key, name) {"rope.scaling." key, \
         "rope_scaling." name "|rope_parameters." name "|rope_parameters.full_attention." name, 0, 0}
        {"rope.scaling.type", "rope_scaling.rope_type|rope_scaling.type|rope_parameters.rope_type|rope_parameters.type|"
         "rope_parameters.full_attention.rope_type|rope_parameters.full_attention.type", 0, 0},
        TENON_ROPE_ROW_("factor", "factor"),
        TENON_ROPE_ROW_("original_context_length", "original_max_position_embeddings"),
        TENON_ROPE_ROW_("yarn_beta_fast", "beta_fast"),
        TENON_ROPE_ROW_("yarn_beta_slow", "beta_slow"),
        TENON_ROPE_ROW_("truncate", "truncate"),
        TENON_ROPE_ROW_("attention_factor", "attention_factor"), /* this and the rest: not in GGUF */
        TENON_ROPE_ROW_("mscale", "mscale"),
        TENON_ROPE_ROW_("mscale_all_dim", "mscale_all_dim"),
        TENON_ROPE_ROW_("low_freq_factor", "low_freq_factor"),
        TENON_ROPE_ROW_("high_freq_factor", "high_freq_factor"),
#undef TENON_ROPE_ROW_
        {NULL, NULL, 0, 0},
    };
    return rows;
}

/* Metadata under GGUF's names. */
struct tenon_key_view {
    struct tenon_meta table;         /* its ctx is this struct */
    const struct tenon_meta *under;
    const char *prefix;              /* "llama" */
    const struct tenon_key_row *own; /* [n_own] */
    uint32_t n_own;
};

static inline const struct tenon_key_row *tenon_key_row_of(const struct tenon_key_view *v, const char *key)
{
    const struct tenon_key_row *row;
    uint32_t i;
    for (i = 0; i < v->n_own; i++)
        if (strcmp(v->own[i].key, key) == 0)
            return &v->own[i];
    for (row = tenon_key_rows(); row->key != NULL; row++)
        if (strcmp(row->key, key) == 0)
            return row;
    return NULL;
}

/* Is NULLS ROOT and the first n bytes of name a key? */
static inline int32_t tenon_key_under(const struct tenon_key_view *v, const char *nulls, const char *root, const char *name,
                                      int n, struct tenon_meta_entry *ret)
{
    char full[192];
    int size = snprintf(full, sizeof full, "%s%s%.*s", nulls, root, n, name);
    if (size < 0 || size >= (int)sizeof full)
        return TENON_E_NOT_FOUND;
    return v->under->find(v->under->ctx, full, ret);
}

/* A name that begins with the prefix, or "null." and the prefix, is a key; others are the file's own. Of a key that is not there,
 * ret->key is how it would be spelled, without "config.". */
static inline int32_t tenon_key_view_find(void *ctx, const char *name, struct tenon_meta_entry *ret)
{
    const struct tenon_key_view *v = (const struct tenon_key_view *)ctx;
    const size_t n = strlen(v->prefix);
    const char *nulls = strncmp(name, "null.", 5) == 0 ? "null." : "", *whole = name, *spelled, *at;
    const struct tenon_key_row *row;
    int size;
    name += strlen(nulls);
    if (strncmp(name, v->prefix, n) != 0 || name[n] != '.')
        return v->under->find(v->under->ctx, whole, ret);
    row = tenon_key_row_of(v, name + n + 1);
    spelled = row != NULL ? row->spelled : name + n + 1;
    for (at = spelled; at != NULL && *at != '\0'; at += size + (at[size] == '|')) {
        size = (int)strcspn(at, "|");
        if (tenon_key_under(v, nulls, "config.text_config.", at, size, ret) == TENON_E_OK ||
            tenon_key_under(v, nulls, "config.", at, size, ret) == TENON_E_OK)
            return TENON_E_OK;
    }
    ret->key.data = spelled != NULL ? spelled : name + n + 1;
    ret->key.size = strcspn(ret->key.data, "|");
    if (row == NULL || row->has_absent == 0 || nulls[0] != '\0')
        return TENON_E_NOT_FOUND;
    ret->type = TENON_META_F64;
    ret->is_array = 0;
    ret->count = 1;
    ret->data = &row->absent;
    return TENON_E_OK;
}

static inline int32_t tenon_key_view_at(void *ctx, uint32_t i, struct tenon_meta_entry *ret)
{
    const struct tenon_key_view *v = (const struct tenon_key_view *)ctx;
    return v->under->at(v->under->ctx, i, ret);
}

static inline int32_t tenon_key_view_strings(void *ctx, const struct tenon_meta_entry *entry, uint64_t start, uint64_t n,
                                             struct tenon_str *out)
{
    const struct tenon_key_view *v = (const struct tenon_key_view *)ctx;
    return v->under->strings(v->under->ctx, entry, start, n, out);
}

/* The metadata to read keys of `prefix` from: a view of it, or meta itself where it spells keys so. OWN: v, which must stay
 * where it is; meta, prefix and own outlive it. */
static inline const struct tenon_meta *tenon_key_view_init(struct tenon_key_view *v, const struct tenon_meta *meta,
                                                           const char *prefix, const struct tenon_key_row *own, uint32_t n_own)
{
    if (!tenon_meta_is_huggingface(meta))
        return meta;
    v->table = *meta;
    v->table.ctx = v;
    v->table.at = tenon_key_view_at;
    v->table.find = tenon_key_view_find;
    v->table.strings = tenon_key_view_strings;
    v->under = meta;
    v->prefix = prefix;
    v->own = own;
    v->n_own = n_own;
    return &v->table;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* Is the key there? prefix NULL or "": the key as it is. Its name, as the file spells it, goes to name for messages, cut when
 * too long. */
static inline int tenon_key_find(const struct tenon_meta *meta, const char *prefix, const char *key, char name[128],
                                 struct tenon_meta_entry *ret)
{
    int found;
    memset(ret, 0, sizeof *ret);
    ret->struct_size = (uint32_t)sizeof *ret;
    (void)snprintf(name, 128, "%s%s%s", prefix != NULL ? prefix : "", prefix != NULL && prefix[0] != '\0' ? "." : "", key);
    found = meta->find(meta->ctx, name, ret) == TENON_E_OK;
    if (tenon_meta_is_huggingface(meta) && ret->key.data != NULL)
        (void)snprintf(name, 128, "%s%.*s", strncmp(ret->key.data, "config.", 7) == 0 || prefix == NULL ? "" : "config.",
                       (int)(ret->key.size < 127 ? ret->key.size : 127), ret->key.data);
    return found;
}

/* The key's name as the file spells it. */
static inline const char *tenon_key_name(const struct tenon_meta *meta, const char *prefix, const char *key, char buf[128])
{
    struct tenon_meta_entry e;
    (void)tenon_key_find(meta, prefix, key, buf, &e); /* only the name is wanted */
    return buf;
}

/* Does the file have the key as null, which counts as missing but to the few who ask? */
static inline int tenon_key_is_null(const struct tenon_meta *meta, const char *prefix, const char *key)
{
    struct tenon_meta_entry e;
    char name[128];
    memset(&e, 0, sizeof e);
    e.struct_size = (uint32_t)sizeof e;
    (void)snprintf(name, sizeof name, "null.%s.%s", prefix, key); /* cut: there is none */
    return tenon_meta_is_huggingface(meta) && meta->find(meta->ctx, name, &e) == TENON_E_OK;
}

static inline int32_t tenon_key_missing(const char *name, struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is missing: the file's metadata is incomplete", name);
}

/* What an entry is, for messages. */
static inline void tenon_key_say(const struct tenon_meta_entry *e, char ret[40])
{
    int64_t i = 0;
    double f = 0.0;
    if (e->is_array != 0 || e->type == TENON_META_STRING || e->type == TENON_META_OBJECT)
        (void)snprintf(ret, 40, "%s", e->is_array == 0 ? (e->type == TENON_META_STRING ? "a string" : "an object")
                                      : e->type == TENON_META_OBJECT ? "a list of unlike elements" : "a list");
    else if (tenon_meta_i64(e, 0, &i) == TENON_E_OK && e->type == TENON_META_BOOL)
        (void)snprintf(ret, 40, "%s", i != 0 ? "true" : "false");
    else if (tenon_meta_i64(e, 0, &i) == TENON_E_OK)
        (void)snprintf(ret, 40, "%lld", (long long)i);
    else if (tenon_meta_f64(e, 0, &f) == TENON_E_OK)
        (void)snprintf(ret, 40, "%g", f);
    else
        (void)snprintf(ret, 40, "a number above 2^63");
}

/* INVALID_ARGUMENT: the key of that name is no `want`, "an integer". */
static inline int32_t tenon_key_wrong(const char *name, const char *want, const struct tenon_meta_entry *e, struct tenon_err *err)
{
    char is[40];
    tenon_key_say(e, is);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s: must be %s, is %s", name, want, is);
}

/* Element i of an entry, which true and false are none of: 0, or not a number, or none that fits. */
static inline int32_t tenon_key_int_at(const struct tenon_meta_entry *e, uint64_t i, int64_t *ret)
{
    return e->type != TENON_META_BOOL ? tenon_meta_i64(e, i, ret) : TENON_E_INVALID_ARGUMENT;
}

static inline int32_t tenon_key_float_at(const struct tenon_meta_entry *e, uint64_t i, double *ret)
{
    return e->type != TENON_META_BOOL ? tenon_meta_f64(e, i, ret) : TENON_E_INVALID_ARGUMENT;
}

/* An integer within [least, most]. absent: value when the key is missing, NULL: it must be there. */
static inline int32_t tenon_key_i64(const struct tenon_meta *meta, const char *prefix, const char *key, int64_t least,
                                    int64_t most, const int64_t *absent, int64_t *ret, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t v;
    if (!tenon_key_find(meta, prefix, key, name, &e)) {
        if (absent == NULL)
            return tenon_key_missing(name, err);
        *ret = *absent;
        return TENON_E_OK;
    }
    if (e.is_array != 0 || tenon_key_int_at(&e, 0, &v) != TENON_E_OK)
        return tenon_key_wrong(name, "an integer", &e, err);
    if (v < least || v > most)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is %lld, but must be within %lld .. %lld", name,
                          (long long)v, (long long)least, (long long)most);
    *ret = v;
    return TENON_E_OK;
}

/* true or false as 1 or 0; files may have these numbers, too. */
static inline int32_t tenon_key_flag(const struct tenon_meta *meta, const char *prefix, const char *key, int64_t absent,
                                     int64_t *ret, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t v = absent;
    if (tenon_key_find(meta, prefix, key, name, &e) &&
        (e.is_array != 0 || tenon_meta_i64(&e, 0, &v) != TENON_E_OK || (v != 0 && v != 1)))
        return tenon_key_wrong(name, "true or false", &e, err);
    *ret = v;
    return TENON_E_OK;
}

/* A finite float within [least, most]. */
static inline int32_t tenon_key_f64(const struct tenon_meta *meta, const char *prefix, const char *key, double least, double most,
                                    const double *absent, double *ret, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    double v;
    if (!tenon_key_find(meta, prefix, key, name, &e)) {
        if (absent == NULL)
            return tenon_key_missing(name, err);
        *ret = *absent;
        return TENON_E_OK;
    }
    if (e.is_array != 0 || tenon_key_float_at(&e, 0, &v) != TENON_E_OK)
        return tenon_key_wrong(name, "a number", &e, err);
    if (!(v >= least && v <= most)) /* a NaN is refused too */
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is %g, but must be within %g .. %g", name, v, least, most);
    *ret = v;
    return TENON_E_OK;
}

/* A list; *ret_is 0: it is missing, which is fine. Its elements are the caller's to check; name is for its messages. */
static inline int32_t tenon_key_list(const struct tenon_meta *meta, const char *prefix, const char *key, char name[128],
                                     struct tenon_meta_entry *ret, int *ret_is, struct tenon_err *err)
{
    *ret_is = tenon_key_find(meta, prefix, key, name, ret);
    if (*ret_is == 0 || (ret->is_array != 0 && ret->type != TENON_META_OBJECT))
        return TENON_E_OK;
    return tenon_key_wrong(name, "a list of like elements", ret, err);
}

/* A string, cut to `size` with its NUL; `absent` when the key is missing. OWN: caller's buf. */
static inline int32_t tenon_key_str(const struct tenon_meta *meta, const char *prefix, const char *key, const char *absent,
                                    char *buf, uint64_t size, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    char name[128];
    uint64_t n;
    s.data = NULL;
    s.size = 0;
    if (!tenon_key_find(meta, prefix, key, name, &e)) {
        (void)snprintf(buf, (size_t)size, "%s", absent);
        return TENON_E_OK;
    }
    if (e.is_array != 0 || e.type != TENON_META_STRING || meta->strings(meta->ctx, &e, 0, 1, &s) != TENON_E_OK)
        return tenon_key_wrong(name, "a string", &e, err);
    n = s.size < size - 1 ? s.size : size - 1;
    if (n > 0)
        memcpy(buf, s.data, (size_t)n);
    buf[n] = '\0';
    return TENON_E_OK;
}

/* A key that may be missing and else holds others, as an object does: INVALID_ARGUMENT where it is a value, which nothing would
 * read. */
static inline int32_t tenon_key_must_hold(const struct tenon_meta *meta, const char *prefix, const char *key,
                                          struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    if (!tenon_key_find(meta, prefix, key, name, &e) || (e.type == TENON_META_OBJECT && e.is_array == 0))
        return TENON_E_OK;
    return tenon_key_wrong(name, "an object or null", &e, err);
}

/* ---- what formats say differently --------------------------------------------------------------------------- */

/* A switch that this plugin only knows as off (0) or on (1): INVALID_ARGUMENT when the file says else. */
static inline int32_t tenon_key_must_be(const struct tenon_meta *meta, const char *prefix, const char *key, int64_t want,
                                        struct tenon_err *err)
{
    char name[128];
    int64_t v = want;
    int32_t s = tenon_key_flag(meta, prefix, key, want, &v, err);
    if (s != TENON_E_OK || v == want)
        return s;
    tenon_key_name(meta, prefix, key, name);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is %s: this plugin knows such models with %s only", name,
                      v != 0 ? "true" : "false", want != 0 ? "true" : "false");
}

/* transformers' name of an activation as a kind of core.unary/1; "" for one that has none. */
static inline const char *tenon_activation_kind(const char *hf)
{
    static const char *const names[][2] = {
        {"silu", "silu"}, {"swish", "silu"}, {"gelu", "gelu"}, {"gelu_python", "gelu"}, {"gelu_new", "gelu_tanh"},
        {"gelu_fast", "gelu_tanh"}, {"gelu_pytorch_tanh", "gelu_tanh"}, {"gelu_tanh", "gelu_tanh"}, {"quick_gelu", "gelu_quick"},
        {"relu", "relu"}, {"relu2", "relu2"}, {"sigmoid", "sigmoid"}, {"tanh", "tanh"}};
    uint32_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], hf) == 0)
            return names[i][1];
    return "";
}

/* The activation must be `kind` of core.unary/1, where the file names one: GGUF does not. */
static inline int32_t tenon_key_activation(const struct tenon_meta *meta, const char *prefix, const char *kind,
                                           struct tenon_err *err)
{
    char name[128], act[64];
    int32_t s = tenon_key_str(meta, prefix, "hidden_act", "", act, sizeof act, err);
    if (s != TENON_E_OK || act[0] == '\0' || strcmp(tenon_activation_kind(act), kind) == 0)
        return s;
    tenon_key_name(meta, prefix, "hidden_act", name);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is '%s': this plugin knows such models with %s only", name,
                      act, kind);
}

#ifdef __cplusplus
}
#endif
#endif
