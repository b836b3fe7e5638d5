/* fake_plugins.c - see fake_plugins.h. The file: "FAKE", the number of tensors, then per tensor a name of 32 bytes, and then
 * FAKE_VOCAB floats for each. */
#include "fake_plugins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/backend.h>
#include <tenon/build.h>
#include <tenon/quantizer.h>
#include <tenon/tokenizer.h>
#include <tenon/weights.h>

#include "core/model/encoding.h"

struct fake_state fake;

/* Check's own asserts are for its test thread alone. */
#define NEED(condition)                                                                      \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            (void)fprintf(stderr, "fake_plugins.c:%d: %s\n", __LINE__, #condition);          \
            abort();                                                                         \
        }                                                                                    \
    } while (0)

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

static const struct tenon_weights weights = { sizeof weights, 0, weights_probe, weights_open, weights_close, weights_metadata,
                                              weights_count, weights_tensor };

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
        ids[i] = (unsigned char)text[i];
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

static const struct tenon_weight_source emb_source = { sizeof emb_source, TENON_XFORM_NONE, "fake", "emb.weight", 0, 0 };
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
                                          model_state_at, model_build };
static const char *const model_keys[] = { "fake", NULL };

/* ---- backend ---------------------------------------------------------------------------------------------------------------- */

struct tenon_buffer {
    char *memory;
    int owned;
};
struct tenon_executable {
    const struct tenon_graph *graph;
};
struct tenon_event {
    int32_t status;
};

static int32_t be_device_at(void *self, uint32_t i, struct tenon_device_desc *ret, struct tenon_err *err)
{
    (void)self;
    if (i > 0)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "fake", "one device");
    *ret = (struct tenon_device_desc){ .struct_size = sizeof *ret, .kind = TENON_DEVICE_CPU, .name = "fake", .level = "none" };
    return TENON_OK;
}

static int32_t be_open(void *self, uint32_t i, const char *options, struct tenon_device **ret, struct tenon_err *err)
{
    (void)self, (void)i, (void)options, (void)err;
    *ret = (struct tenon_device *)&fake; /* never looked into */
    return TENON_OK;
}

static void be_close(struct tenon_device *dev)
{
    (void)dev;
}

static int32_t new_buffer(char *memory, int owned, struct tenon_buffer **ret)
{
    *ret = malloc(sizeof **ret);
    **ret = (struct tenon_buffer){ memory, owned };
    atomic_fetch_add(&fake.buffers, 1);
    return TENON_OK;
}

static int32_t be_alloc(struct tenon_device *dev, uint64_t size, uint32_t flags, struct tenon_buffer **ret, struct tenon_err *err)
{
    (void)dev, (void)flags, (void)err;
    return new_buffer(calloc(1, size + 1), 1, ret);
}

static int32_t be_import(struct tenon_device *dev, void *memory, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                         struct tenon_err *err)
{
    (void)dev, (void)size, (void)flags;
    return fake.refuse_import ? tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "no import") : new_buffer(memory, 0, ret);
}

static void be_free(struct tenon_buffer *buf)
{
    if (buf == NULL)
        return;
    if (buf->owned)
        free(buf->memory);
    free(buf);
    atomic_fetch_sub(&fake.buffers, 1);
}

static int32_t be_map(struct tenon_buffer *buf, void **ret, struct tenon_err *err)
{
    (void)err;
    *ret = buf->memory;
    return TENON_OK;
}

static int32_t be_upload(struct tenon_span dst, const void *src, struct tenon_err *err)
{
    (void)err;
    memcpy(dst.buffer->memory + dst.offset, src, dst.size);
    return TENON_OK;
}

static int32_t be_download(void *dst, struct tenon_span src, struct tenon_err *err)
{
    (void)err;
    memcpy(dst, src.buffer->memory + src.offset, src.size);
    return TENON_OK;
}

static int32_t be_query(struct tenon_device *dev, const struct tenon_graph *g, const struct tenon_weight_binding *w, uint32_t n,
                        uint32_t stride, struct tenon_claim *claims, uint32_t claim_stride, struct tenon_err *err)
{
    (void)dev, (void)w, (void)n, (void)stride, (void)err;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        ((struct tenon_claim *)(void *)((char *)claims + (uint64_t)i * claim_stride))->level = TENON_CLAIM_NATIVE;
    return TENON_OK;
}

static int32_t be_weight_query(struct tenon_device *dev, const struct tenon_weight_binding *w, int32_t *rung, uint64_t *bytes,
                               struct tenon_err *err)
{
    (void)dev, (void)err;
    NEED(w->uses == (TENON_USE_GATHER | TENON_USE_MATMUL));
    *rung = TENON_RUNG_NATIVE;
    *bytes = 16;
    return TENON_OK;
}

static int32_t be_pack(struct tenon_device *dev, const struct tenon_weight_binding *w, struct tenon_err *err)
{
    (void)dev, (void)err;
    memset(w->packed.buffer->memory + w->packed.offset, 1, w->packed.size);
    return TENON_OK;
}

static int32_t be_state_layout(struct tenon_device *dev, const struct tenon_state_desc *s, int32_t kv, struct tenon_state_layout *ret,
                               struct tenon_err *err)
{
    (void)dev, (void)s, (void)kv, (void)err;
    *ret = (struct tenon_state_layout){ sizeof *ret, FAKE_PAGE, FAKE_PAGE * 4, 4, 4, 0 };
    return TENON_OK;
}

static int32_t be_compile(struct tenon_device *dev, const struct tenon_compile_args *args, struct tenon_executable **ret,
                          struct tenon_err *err)
{
    (void)dev, (void)err;
    *ret = malloc(sizeof **ret);
    (*ret)->graph = args->graph;
    return TENON_OK;
}

static int32_t be_info(struct tenon_executable *exe, struct tenon_executable_info *ret)
{
    (void)exe;
    ret->act = TENON_DTYPE_F32;
    ret->scratch_bytes = 64;
    return TENON_OK;
}

static void be_executable_free(struct tenon_executable *exe)
{
    free(exe);
}

static int32_t be_stream_create(struct tenon_device *dev, struct tenon_stream **ret, struct tenon_err *err)
{
    (void)dev, (void)err;
    *ret = (struct tenon_stream *)&fake;
    return TENON_OK;
}

static void be_stream_destroy(struct tenon_stream *s)
{
    (void)s;
}

static const int32_t *input(const struct tenon_enqueue_args *a, const char *name)
{
    for (uint32_t i = 0; i < a->n_inputs; i++)
        if (strcmp(tenon_graph_value(a->executable->graph, a->executable->graph->inputs[i])->name, name) == 0)
            return (const int32_t *)(const void *)(a->inputs[i].buffer->memory + a->inputs[i].offset);
    NEED(!"an input of the step table is missing");
    return NULL;
}

/* Write this step's tokens to their slots. */
static void store(const struct tenon_enqueue_args *a, int32_t *pages)
{
    const int32_t *token = input(a, "token"), *slot = input(a, "slot_of_token.0");
    for (int64_t t = 0; t < a->dims->sym[TENON_SYM_T]; t++) {
        NEED(slot[t] >= 0 && (uint64_t)slot[t] < a->states[0].n_pages * FAKE_PAGE);
        pages[slot[t]] = token[t];
    }
}

/* Logits of one row: the tokens up to its own, read through the block table. */
static void make_row(const struct tenon_enqueue_args *a, const int32_t *pages, int32_t t, float *logits)
{
    const int32_t *table = input(a, "block_table.0"), *position = input(a, "position");
    int32_t s = input(a, "seq_of_token")[t], columns = (int32_t)a->dims->sym[TENON_SYM_P], history[2048], next;
    NEED(position[t] < 2048);
    NEED(position[t] < input(a, "context_len")[s]);
    for (int32_t p = 0; p <= position[t]; p++) {
        int32_t page = table[s * columns + p / FAKE_PAGE];
        NEED(page >= 0);
        history[p] = pages[page * FAKE_PAGE + p % FAKE_PAGE];
    }
    next = fake_next(history, (uint64_t)position[t] + 1);
    for (int32_t i = 0; i < FAKE_VOCAB; i++)
        logits[i] = i == next ? 10.0f : (float)((i * 7 + history[position[t]]) % 13) / 4.0f;
}

static int32_t be_enqueue(struct tenon_stream *stream, const struct tenon_enqueue_args *a, struct tenon_event **ret,
                          struct tenon_err *err)
{
    int32_t *pages = (int32_t *)(void *)(a->states[0].span.buffer->memory + a->states[0].span.offset);
    float *logits = a->dims->sym[TENON_SYM_R] > 0 ? (float *)(void *)(a->outputs[0].buffer->memory + a->outputs[0].offset) : NULL;
    uint32_t step = atomic_fetch_add(&fake.steps, 1) + 1;
    (void)stream, (void)err;
    atomic_fetch_add(&fake.tokens, (uint32_t)a->dims->sym[TENON_SYM_T]);
    if ((uint32_t)a->dims->sym[TENON_SYM_S] > atomic_load(&fake.widest))
        atomic_store(&fake.widest, (uint32_t)a->dims->sym[TENON_SYM_S]);
    if (atomic_load(&fake.slow_us) != 0)
        usleep(atomic_load(&fake.slow_us));
    *ret = malloc(sizeof **ret);
    (*ret)->status = (int32_t)step == atomic_load(&fake.fail_step) ? TENON_E_INTERNAL : TENON_OK;
    store(a, pages);
    for (int64_t r = 0; r < a->dims->sym[TENON_SYM_R]; r++)
        make_row(a, pages, input(a, "out_row")[r], logits + r * FAKE_VOCAB);
    return TENON_OK;
}

static int32_t be_wait(struct tenon_event *e, int64_t timeout, struct tenon_err *err)
{
    (void)timeout;
    return e->status != TENON_OK ? tenon_fail(err, e->status, "all.attn", "the device broke") : TENON_OK;
}

static void be_event_free(struct tenon_event *e)
{
    free(e);
}

static int32_t be_copy_pages(struct tenon_device *dev, const struct tenon_state_desc *d, const struct tenon_state_layout *l,
                             const struct tenon_state_binding *s, const uint64_t *from, const uint64_t *to, uint64_t n,
                             struct tenon_err *err)
{
    (void)dev, (void)d, (void)l, (void)s, (void)from, (void)to, (void)n;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "pages");
}

static int32_t be_export(struct tenon_device *dev, const struct tenon_state_desc *d, const struct tenon_state_layout *l, int32_t kv,
                         const struct tenon_state_binding *s, const uint64_t *pages, uint64_t n, void *buf, uint64_t size,
                         struct tenon_err *err)
{
    (void)dev, (void)d, (void)l, (void)kv, (void)s, (void)pages, (void)n, (void)buf, (void)size;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "pages");
}

static int32_t be_import_pages(struct tenon_device *dev, const struct tenon_state_desc *d, const struct tenon_state_layout *l,
                               int32_t kv, const struct tenon_state_binding *s, const uint64_t *pages, uint64_t n, const void *buf,
                               uint64_t size, struct tenon_err *err)
{
    (void)dev, (void)d, (void)l, (void)kv, (void)s, (void)pages, (void)n, (void)buf, (void)size;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "pages");
}

static const struct tenon_backend backend = {
    .struct_size = sizeof backend, .device_at = be_device_at, .open = be_open, .close = be_close, .buffer_alloc = be_alloc,
    .buffer_import = be_import, .buffer_free = be_free, .buffer_map = be_map, .upload = be_upload, .download = be_download,
    .query = be_query, .weight_query = be_weight_query, .pack = be_pack, .state_layout = be_state_layout, .compile = be_compile,
    .executable_info = be_info, .executable_free = be_executable_free, .stream_create = be_stream_create,
    .stream_destroy = be_stream_destroy, .enqueue = be_enqueue, .event_wait = be_wait, .event_free = be_event_free,
    .copy_pages = be_copy_pages, .export_pages = be_export, .import_pages = be_import_pages,
};

/* ---- the plugins -------------------------------------------------------------------------------------------------------------- */

#define PLUGIN(kind_, iface_, keys_)                                                                                     \
    static const struct tenon_item kind_##_item = TENON_ITEM(iface_, "fake", keys_, &kind_);                              \
    static const struct tenon_plugin kind_##_plugin = {                                                                  \
        .struct_size = sizeof kind_##_plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "test.fake." #kind_,   \
        .version = "1", .items = &kind_##_item, .n_items = 1, .item_stride = sizeof kind_##_item };                       \
    static int32_t kind_##_entry(uint32_t max, const struct tenon_plugin **ret)                                          \
    {                                                                                                                    \
        (void)max;                                                                                                       \
        *ret = &kind_##_plugin;                                                                                          \
        return TENON_OK;                                                                                                 \
    }
PLUGIN(weights, TENON_WEIGHTS_IFACE, NULL)
PLUGIN(tokenizer, TENON_TOKENIZER_IFACE, NULL)
PLUGIN(quantizer, TENON_QUANTIZER_IFACE, NULL)
PLUGIN(model, TENON_MODEL_IFACE, model_keys)
PLUGIN(backend, TENON_BACKEND_IFACE, NULL)

void fake_register(struct tn_registry *reg, uint32_t what)
{
    static tenon_plugin_entry_fn *const entries[] = { weights_entry, tokenizer_entry, quantizer_entry, model_entry, backend_entry };
    static const char *const names[] = { "weights-fake", "tokenizer-fake", "quantizer-fake", "model-fake", "backend-fake" };
    NEED(tn_encoding_digest(&f32_encoding, f32_digest, NULL) == TENON_OK);
    for (uint32_t i = 0; i < 5; i++)
        if (what & 1u << i)
            NEED(tn_registry_add_static(reg, entries[i], names[i], NULL) == TENON_OK);
}
