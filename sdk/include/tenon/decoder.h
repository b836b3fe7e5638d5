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
 *     .hf_rope_layout, .act, .switches
 *
 * Own sizes for dims of rows are TENON_SIZE_OWN and up; `read` sets them. q, k and v in one tensor:
 *
 *     {.name = "layers.{i}.attn_q", .gguf = "blk.{i}.attn_qkv.weight", .gguf_xform = TENON_XFORM_SPLIT,
 *      .hf = "model.layers.{i}.self_attn.qkv_proj.weight", .hf_xform = TENON_XFORM_SPLIT, ...}, and so attn_k and attn_v
 *
 * The table says what a layer has: a bias or a norm that it lacks is left out of the graph. `layer` writes another layer than
 * the usual one (norm, attention, add, norm, gated net, add), `read` reads further keys, `kinds` and `kind_of` mix layers of
 * several kinds. Models that fit none of this take single functions from here, or build.h alone.
 * share/tenon/examples/architecture of an installed SDK says how to begin.
 *
 * The rows are in decoder_rows.h, the config in decoder_keys.h and of encoders in decoder_vectors.h, layers in decoder_layers.h;
 * this header has the model interface and the plugin. Everything is static inline; nothing here is part of the ABI. Link with
 * libm.
 */
#ifndef TENON_DECODER_H
#define TENON_DECODER_H

#include <stdlib.h>

#include <tenon/decoder_layers.h>
#include <tenon/decoder_vectors.h>

#ifdef __cplusplus
extern "C" {
#endif

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

/* Does a row's name say one of the names "attn_q_bias|attn_k_bias"? */
static inline int tenon_decoder_in(const char *names, const char *name)
{
    const size_t n = strlen(name);
    const char *at = names;
    while (at != NULL && (strncmp(at, name, n) != 0 || (at[n] != '|' && at[n] != '\0')))
        at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL;
    return at != NULL;
}

static inline void tenon_decoder_turn(struct tenon_decoder *d, const char *names, int on)
{
    uint32_t i;
    for (i = 0; i < d->family->n_rows; i++) {
        struct tenon_weight_desc *w = &d->weights[i];
        if (!tenon_decoder_in(names, strncmp(w->name, "layers.{i}.", 11) == 0 ? w->name + 11 : w->name))
            continue;
        w->flags = on ? w->flags & ~(uint32_t)TENON_WEIGHT_OPTIONAL : w->flags | TENON_WEIGHT_OPTIONAL;
        w->n_sources = on ? w->n_sources : 0;
    }
}

/* What flags of config.json say of weights. */
static inline int32_t tenon_decoder_switches(struct tenon_decoder *d, struct tenon_err *err)
{
    const struct tenon_decoder_switch *row = d->switches;
    int64_t is = 0;
    int32_t s = TENON_E_OK;
    for (; s == TENON_E_OK && row != NULL && row->names != NULL && tenon_meta_is_huggingface(d->meta); row++) {
        is = row->absent;
        if (row->key != NULL)
            s = tenon_key_flag(d->meta, d->family->arch, row->key, row->absent, &is, err);
        if (s == TENON_E_OK)
            tenon_decoder_turn(d, row->names, is != row->none_if);
    }
    return s;
}

/* config.json says whether output and embedding are one tensor. A file that has an output of its own nevertheless means that
 * one. */
static inline int32_t tenon_decoder_tie(struct tenon_decoder *d, struct tenon_err *err)
{
    struct tenon_weight_desc *output = tenon_decoder_desc(d, "output");
    const int64_t unsaid = 2;
    int64_t tied = unsaid;
    int32_t s = tenon_key_flag(d->meta, d->family->arch, "tie_word_embeddings", unsaid, &tied, err);
    if (s != 0 || output == NULL || output->tied_to == NULL || !tenon_meta_is_huggingface(d->meta))
        return s;
    if (tied == 0) {
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
        d->has[TENON_ONLY_SHARED][k] = d->experts[k] != 0 && !d->is_unshared;
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
    int32_t s;
    room.weights = d->weights, room.sources = d->sources, room.names = d->hf_names;
    if (d->family->n_rows > TENON_DECODER_WEIGHTS)
        return tenon_fail(err, TENON_E_INTERNAL, d->family->arch, "a table of more than %d weights", TENON_DECODER_WEIGHTS);
    tenon_declare_weights(d->family->rows, d->family->n_rows, d->size, d->n_layers, &room);
    tenon_decoder_declare_layers(d);
    factors = tenon_decoder_desc(d, TENON_ROPE_FACTORS);
    if (d->has_rope_factors)
        factors->values = d->rope_factors;
    for (i = 0; d->rope.by_context && i < 2; i++) { /* a file whose key says longrope has both */
        factors = tenon_decoder_desc(d, i == 0 ? "rope_factors_short" : "rope_factors_long");
        factors->flags &= ~(uint32_t)TENON_WEIGHT_OPTIONAL;
        if (tenon_meta_is_huggingface(d->meta))
            factors->values = i == 0 ? d->rope_short : d->rope_long;
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
    s = tenon_decoder_switches(d, err);
    return s == TENON_E_OK ? tenon_decoder_tie(d, err) : s;
}

static inline void tenon_decoder_info(const struct tenon_decoder *d, struct tenon_model_info *info)
{
    (void)snprintf(info->architecture, sizeof info->architecture, "%s", d->family->arch);
    info->n_layers = (uint32_t)d->n_layers;
    info->context_length = (uint64_t)d->context;
    info->vocab_size = (uint64_t)d->size[TENON_SIZE_VOCAB];
    info->embedding_length = (uint64_t)d->size[TENON_SIZE_EMBED];
    info->pooling = d->pooling;
    info->vectors = d->vectors;
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
    d->switches = family->switches;
    d->meta = tenon_key_view_init(&d->keys, meta, family->arch, family->hf_keys, family->n_hf_keys);
    status = tenon_key_must_hold(d->meta, family->arch, "text_config", err);
    if (status == 0)
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

/* Of longrope's two lists the program reads one. */
static inline void tenon_decoder_choose_factors(struct tenon_decoder *d)
{
    static const char *const lists[] = {"rope_factors_short", "rope_factors_long"};
    uint32_t i;
    for (i = 0; d->rope.by_context && i < 2; i++) {
        struct tenon_weight_desc *w = tenon_decoder_desc(d, lists[i]);
        const int is_read = strcmp(lists[i], tenon_decoder_factors(d)) == 0;
        w->flags = is_read ? w->flags & ~(uint32_t)TENON_WEIGHT_UNUSED : w->flags | TENON_WEIGHT_UNUSED;
    }
}

static inline int32_t tenon_decoder_set_context(struct tenon_model_config *c, uint64_t context, struct tenon_err *err)
{
    struct tenon_decoder *d = tenon_decoder_of(c);
    const struct tenon_weight_desc *positions = tenon_decoder_desc(d, "position_embd");
    if (positions != NULL && context > positions->dims[0])
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, d->family->arch, "a context of %llu: the model has positions for %llu tokens only",
                          (unsigned long long)context, (unsigned long long)positions->dims[0]);
    d->run_context = (int64_t)context;
    tenon_rope_fit(&d->rope, d->context, d->run_context);
    tenon_rope_fit(&d->rope_local, d->context, d->run_context);
    tenon_decoder_choose_factors(d);
    return TENON_E_OK;
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

/* Whose plugin it is: what is built outside of Tenon's tree defines these before it includes this. */
#ifndef TENON_DECODER_VENDOR
#define TENON_DECODER_ID "org.tenon.model." /* the architecture's name comes behind it */
#define TENON_DECODER_VENDOR "Tenon"
#define TENON_DECODER_VERSION "0.1.0"
#define TENON_DECODER_LICENSE "Apache-2.0"
#endif

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
        .id = TENON_DECODER_ID arch_, .version = TENON_DECODER_VERSION, .vendor = TENON_DECODER_VENDOR,                        \
        .license = TENON_DECODER_LICENSE,                                                                                      \
        .description = description_, .items = decoder_items, .n_items = 1, .item_stride = sizeof decoder_items[0],             \
    };                                                                                                                         \
    TENON_PLUGIN_ENTRY(decoder_plugin)

#ifdef __cplusplus
}
#endif
#endif
