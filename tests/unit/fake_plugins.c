/* fake_plugins.c - see fake_plugins.h. The file: "FAKE", the number of tensors, then per tensor a name of 32 bytes, and then
 * FAKE_VOCAB floats for each. */
#include "fake_plugins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/build.h>
#include <tenon/quantizer.h>
#include <tenon/tokenizer.h>
#include <tenon/weights.h>

#include "core/model/encoding.h"
#include "fake_backend.h"

struct fake_state fake;

int32_t fake_next(const int32_t *tokens, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum = sum * 31 + (uint64_t)tokens[i] + i;
    return sum % 97 == 0 ? FAKE_END : (int32_t)('a' + sum % 26);
}

/* ---- weights ------------------------------------------------------------------------------------------------------ */

struct tenon_weights_model {
    const char *data;
    uint32_t file, n;
    struct tenon_meta meta;
};

static const struct {
    const char *key, *value;
} meta_strings[] = {
    { "general.architecture", "fake" },
    { "tokenizer.ggml.model", "fake" },
    { "tokenizer.chat_template", "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
                                 "{% if add_generation_prompt %}bot:{% endif %}" },
};
#define N_META (sizeof meta_strings / sizeof meta_strings[0])

static int32_t meta_at(void *ctx, uint32_t i, struct tenon_meta_entry *ret)
{
    (void)ctx;
    if (i >= N_META)
        return TENON_E_OUT_OF_RANGE;
    *ret = (struct tenon_meta_entry){ sizeof *ret, TENON_META_STRING, { meta_strings[i].key, strlen(meta_strings[i].key) }, 0, 0, 1,
                                      NULL, i };
    return TENON_OK;
}

static int32_t meta_find(void *ctx, const char *key, struct tenon_meta_entry *ret)
{
    for (uint32_t i = 0; i < N_META; i++)
        if (strcmp(key, meta_strings[i].key) == 0)
            return meta_at(ctx, i, ret);
    return TENON_E_NOT_FOUND;
}

static int32_t meta_text(void *ctx, const struct tenon_meta_entry *e, uint64_t start, uint64_t n, struct tenon_str *out)
{
    (void)ctx, (void)start, (void)n;
    *out = (struct tenon_str){ meta_strings[e->index].value, strlen(meta_strings[e->index].value) };
    return TENON_OK;
}

static int32_t weights_probe(void *self, const void *head, uint64_t size)
{
    (void)self;
    return size >= 8 && memcmp(head, "FAKE", 4) == 0 ? 100 : 0;
}

static int32_t weights_open(void *self, const struct tenon_files *files, const char *name, struct tenon_weights_model **ret,
                            struct tenon_err *err)
{
    struct tenon_weights_model *m = calloc(1, sizeof *m);
    const void *data;
    uint64_t size;
    int32_t rc = files->map(files->ctx, name, &m->file, &data, &size, err);
    (void)self;
    if (rc != TENON_OK) {
        free(m);
        return rc;
    }
    m->data = data;
    memcpy(&m->n, m->data + 4, 4);
    m->meta = (struct tenon_meta){ sizeof m->meta, N_META, NULL, "fake", meta_at, meta_find, meta_text };
    *ret = m;
    return TENON_OK;
}

static void weights_close(void *self, struct tenon_weights_model *m)
{
    (void)self;
    free(m);
}

static const struct tenon_meta *weights_metadata(struct tenon_weights_model *m)
{
    return &m->meta;
}

static uint64_t weights_count(struct tenon_weights_model *m)
{
    return m->n;
}

static int32_t weights_tensor(struct tenon_weights_model *m, uint64_t i, struct tenon_tensor *t, struct tenon_err *err)
{
    const char *name = m->data + 8 + 32 * i;
    (void)err;
    *t = (struct tenon_tensor){ .struct_size = sizeof *t, .n_dims = 2, .name = { name, strlen(name) },
                                .dims = { FAKE_VOCAB, 1 }, .encoding = "fake.f32/1", .n_planes = 1 };
    t->planes[0] = (struct tenon_range){ m->file, 0, 8 + 32ull * m->n + i * FAKE_VOCAB * 4, 0 };
    return TENON_OK;
}

static const struct tenon_weights weights = {
    .struct_size = sizeof weights, .probe = weights_probe, .open = weights_open, .close = weights_close, .metadata = weights_metadata,
    .tensor_count = weights_count, .tensor_at = weights_tensor,
};

static void write_model(const char *path, const char *const *names, uint32_t n)
{
    static const float values[FAKE_VOCAB];
    FILE *f = fopen(path, "wb");
    NEED(f != NULL);
    fwrite("FAKE", 1, 4, f);
    fwrite(&n, 4, 1, f);
    for (uint32_t i = 0; i < n; i++) {
        char name[32] = "";
        memcpy(name, names[i], strlen(names[i]));
        fwrite(name, 1, sizeof name, f);
    }
    for (uint32_t i = 0; i < n; i++)
        fwrite(values, sizeof values, 1, f);
    NEED(fclose(f) == 0);
}

void fake_write_model(const char *path, const char *extra)
{
    const char *names[2] = { "emb.weight", extra };
    write_model(path, names, extra != NULL ? 2 : 1);
}

void fake_write_broken_model(const char *path)
{
    static const char *const names[] = { "other.weight" };
    write_model(path, names, 1);
}

/* ---- tokenizer ------------------------------------------------------------------------------------------------------ */

struct tenon_tokenizer_object {
    int unused;
};
static struct tenon_tokenizer_object the_tokenizer;

static int32_t tok_match(void *self, const struct tenon_meta *meta)
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    (void)self;
    return meta->find(meta->ctx, "tokenizer.ggml.model", &e) == TENON_OK && meta->strings(meta->ctx, &e, 0, 1, &s) == TENON_OK &&
                   s.size == 4 && memcmp(s.data, "fake", 4) == 0 ? 100 : 0;
}

static int32_t tok_open(void *self, const struct tenon_meta *meta, const struct tenon_files *files,
                        struct tenon_tokenizer_object **ret, struct tenon_err *err)
{
    (void)self, (void)meta, (void)files, (void)err;
    *ret = &the_tokenizer;
    return TENON_OK;
}

static void tok_close(void *self, struct tenon_tokenizer_object *tok)
{
    (void)self, (void)tok;
}

static int32_t tok_info(struct tenon_tokenizer_object *tok, struct tenon_tokenizer_info *ret)
{
    (void)tok;
    *ret = (struct tenon_tokenizer_info){ sizeof *ret, FAKE_VOCAB, FAKE_BOS, FAKE_END, -1, -1, 1, 0 };
    return TENON_OK;
}

static int32_t tok_encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                          uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    (void)tok, (void)flags, (void)err;
    for (uint64_t i = 0; i < size && i < capacity; i++)
        ids[i] = text[i] == FAKE_STRAY ? FAKE_VOCAB : (unsigned char)text[i];
    *ret_n = size;
    return TENON_OK;
}

static int32_t tok_decode(struct tenon_tokenizer_object *tok, uint64_t *state, int32_t id, uint32_t flags, char *buf,
                          uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    (void)tok, (void)flags;
    if (id < 0 || id >= FAKE_VOCAB)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "fake", "no token %d", (int)id);
    if (capacity > 0 && id < 256)
        buf[0] = (char)id;
    *ret_n = id < 256;
    ++*state;
    return TENON_OK;
}

static int32_t tok_piece(struct tenon_tokenizer_object *tok, int32_t id, struct tenon_str *ret, uint32_t *attributes)
{
    (void)tok;
    if (id < 0 || id >= FAKE_VOCAB)
        return TENON_E_OUT_OF_RANGE;
    *ret = (struct tenon_str){ id == FAKE_BOS ? "<bos>" : id == FAKE_END ? "<end>" : "?", id < 256 ? 1 : 5 };
    *attributes = id == FAKE_END ? TENON_TOKEN_CONTROL | TENON_TOKEN_END : id >= 256 ? TENON_TOKEN_CONTROL : 0;
    return TENON_OK;
}

static const struct tenon_tokenizer tokenizer = { sizeof tokenizer, 0, tok_match, tok_open, tok_close, tok_info, tok_encode,
                                                  tok_decode, tok_piece };

/* ---- encoding --------------------------------------------------------------------------------------------------------- */

static const struct tenon_plane f32_plane = { sizeof f32_plane, 4, 4, 0, "values" };
static const struct tenon_insn f32_program[] = { { .op = TENON_OP_LDF, .dst = 0, .a = 0, .width = TENON_F_F32 } };
static char f32_digest[TN_SHA256_HEX];
static struct tenon_encoding f32_encoding = {
    .struct_size = sizeof f32_encoding, .id = "fake.f32/1", .digest = f32_digest, .tile_rows = 1, .tile_cols = 1, .n_planes = 1,
    .planes = &f32_plane, .program = f32_program, .n_insns = 1, .result = 0,
};
static const struct tenon_encoding *const encodings[] = { &f32_encoding };
static const struct tenon_quantizer quantizer = { .struct_size = sizeof quantizer, .n_encodings = 1, .encodings = encodings };

/* ---- architecture -------------------------------------------------------------------------------------------------------- */

struct tenon_model_config {
    int unused;
};
static struct tenon_model_config the_config;

static const struct tenon_weight_source emb_source = { .struct_size = sizeof emb_source, .format = "fake", .name = "emb.weight" };
static const struct tenon_weight_desc emb_desc = {
    .struct_size = sizeof emb_desc, .role = TENON_ROLE_EMBED, .name = "emb", .rank = 2, .dims = { FAKE_VOCAB, 1 }, .shard_axis = -1,
    .n_sources = 1, .sources = &emb_source, .source_stride = sizeof emb_source,
};
static const struct tenon_state_desc kv_desc = {
    .struct_size = sizeof kv_desc, .kind = TENON_STATE_KV_PAGED, .name = "kv", .n_layers = 1, .k_heads = 1, .k_dim = 1, .v_heads = 1,
    .v_dim = 1,
};

static int32_t model_match(void *self, const struct tenon_meta *meta)
{
    (void)self;
    return strcmp(meta->format, "fake") == 0 ? 100 : 0;
}

static int32_t model_config(void *self, const struct tenon_meta *meta, struct tenon_model_config **ret,
                            struct tenon_model_info *info, struct tenon_err *err)
{
    (void)self, (void)meta, (void)err;
    *info = (struct tenon_model_info){ .struct_size = sizeof *info, .n_layers = 1, .architecture = "fake", .name = "fake",
                                       .context_length = 512, .vocab_size = FAKE_VOCAB, .embedding_length = 1, .n_heads = 1,
                                       .n_kv_heads = 1 };
    *ret = &the_config;
    return TENON_OK;
}

static void model_config_free(void *self, struct tenon_model_config *config)
{
    (void)self, (void)config;
}

static int32_t model_weight_at(struct tenon_model_config *config, uint32_t i, const struct tenon_weight_desc **ret)
{
    (void)config;
    *ret = &emb_desc;
    return i == 0 ? TENON_OK : TENON_E_OUT_OF_RANGE;
}

static int32_t model_state_at(struct tenon_model_config *config, uint32_t i, const struct tenon_state_desc **ret)
{
    (void)config;
    *ret = &kv_desc;
    return i == 0 ? TENON_OK : TENON_E_OUT_OF_RANGE;
}

static int32_t model_build(struct tenon_model_config *config, const char *program, const struct tenon_builder *b,
                           struct tenon_err *err)
{
    static const struct tenon_attention_params params = { .kv_heads = 1, .k_dim = 1, .v_dim = 1, .scale = 1.0 };
    struct tenon_dim t = tenon_dim_of(TENON_SYM_T), one = tenon_dim_n(1);
    uint32_t emb = b->weight(b->ctx, "emb"), x, k, kv, y, logits;
    int32_t block;
    (void)config;
    if (strcmp(program, "step") != 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "no program %s", program);
    block = b->block_begin(b->ctx, "all", NULL, 0, NULL);
    (void)block;
    x = tenon_gather(b, "embed", emb, tenon_input(b, "token"));
    k = tenon_reshape3(b, "heads", x, t, one, one);
    kv = tenon_kv_store(b, "store", b->state(b->ctx, "kv"), k, k);
    y = tenon_attention(b, "attn", k, kv, TENON_NO_VALUE, &params);
    y = tenon_reshape2(b, "flat", y, t, one);
    y = tenon_gather(b, "rows", y, tenon_input(b, "out_row"));
    logits = tenon_matmul(b, "logits", y, emb, TENON_NO_VALUE);
    block = b->block_end(b->ctx, &logits, 1);
    (void)b->run(b->ctx, block, 0, 1);
    (void)b->output(b->ctx, 0, "logits");
    return b->status(b->ctx, err);
}

static const struct tenon_model model = { sizeof model, 0, model_match, model_config, model_config_free, model_weight_at,
                                          model_state_at, model_build, NULL };
static const char *const model_keys[] = { "fake", NULL };

/* ---- the plugins -------------------------------------------------------------------------------------------------------------- */

#define PLUGIN(kind_, impl_, iface_, keys_)                                                                                     \
    static const struct tenon_item kind_##_item = TENON_ITEM(iface_, "fake", keys_, &impl_);                              \
    static const struct tenon_plugin kind_##_plugin = {                                                                  \
        .struct_size = sizeof kind_##_plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "test.fake." #kind_,   \
        .version = "1", .items = &kind_##_item, .n_items = 1, .item_stride = sizeof kind_##_item };                       \
    static int32_t kind_##_entry(uint32_t max, const struct tenon_plugin **ret)                                          \
    {                                                                                                                    \
        (void)max;                                                                                                       \
        *ret = &kind_##_plugin;                                                                                          \
        return TENON_OK;                                                                                                 \
    }
PLUGIN(weights, weights, TENON_WEIGHTS_IFACE, NULL)
PLUGIN(tokenizer, tokenizer, TENON_TOKENIZER_IFACE, NULL)
PLUGIN(quantizer, quantizer, TENON_QUANTIZER_IFACE, NULL)
PLUGIN(model, model, TENON_MODEL_IFACE, model_keys)
PLUGIN(backend, fake_backend, TENON_BACKEND_IFACE, NULL)

void fake_register(struct tn_registry *reg, uint32_t what)
{
    static tenon_plugin_entry_fn *const entries[] = { weights_entry, tokenizer_entry, quantizer_entry, model_entry, backend_entry };
    static const char *const names[] = { "weights-fake", "tokenizer-fake", "quantizer-fake", "model-fake", "backend-fake" };
    NEED(tn_encoding_digest(&f32_encoding, f32_digest, NULL) == TENON_OK);
    for (uint32_t i = 0; i < 5; i++)
        if (what & 1u << i)
            NEED(tn_registry_add_static(reg, entries[i], names[i], NULL) == TENON_OK);
}
