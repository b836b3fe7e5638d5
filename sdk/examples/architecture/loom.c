/* loom.c - the made-up architecture "acme-loom": in every layer attention and a net of squared ReLUs read the same normed input, and
 * a gate weaves what they give: h + g * attention + (1 - g) * net. Logits are capped. Reads config.json of Hugging Face directories.
 * Keeps nothing but the config, so any thread may call. Contract: <tenon/model.h>. */
#include <stdlib.h>

#include <tenon/blocks.h>

#define ARCH "acme-loom"

enum size { WIDTH, VOCAB, HEADS_WIDTH, KV_WIDTH, NET, N_SIZES };

#define LAYER(name_, role_, rank_, d0_, d1_)                                                                                 \
    {.name = "layers.{i}." name_, .role = role_, .flags = TENON_WEIGHT_LAYERED, .rank = rank_, .dims = {d0_, d1_, 0},        \
     .shard_axis = -1, .hf = "loom.{i}." name_ ".weight"}
static const struct tenon_weight_row rows[] = {
    {.name = "embed", .role = TENON_ROLE_EMBED, .rank = 2, .dims = {VOCAB, WIDTH, 0}, .shard_axis = -1, .hf = "embed.weight"},
    LAYER("norm", TENON_ROLE_NORM, 1, WIDTH, 0),
    LAYER("q", TENON_ROLE_MATMUL, 2, HEADS_WIDTH, WIDTH),
    LAYER("k", TENON_ROLE_MATMUL, 2, KV_WIDTH, WIDTH),
    LAYER("v", TENON_ROLE_MATMUL, 2, KV_WIDTH, WIDTH),
    LAYER("o", TENON_ROLE_MATMUL, 2, WIDTH, HEADS_WIDTH),
    LAYER("up", TENON_ROLE_MATMUL, 2, NET, WIDTH),
    LAYER("down", TENON_ROLE_MATMUL, 2, WIDTH, NET),
    LAYER("gate", TENON_ROLE_MATMUL, 2, WIDTH, WIDTH),
    {.name = "norm", .role = TENON_ROLE_NORM, .rank = 1, .dims = {WIDTH, 0, 0}, .shard_axis = -1, .hf = "norm.weight"},
    {.name = "head", .role = TENON_ROLE_MATMUL, .rank = 2, .dims = {VOCAB, WIDTH, 0}, .shard_axis = -1, .hf = "head.weight"},
};
#define N_ROWS ((uint32_t)(sizeof rows / sizeof rows[0]))

struct tenon_model_config {
    int64_t size[N_SIZES], n_layers, heads, kv_heads, head, context;
    double eps, cap;
    struct tenon_rope_params rope;
    struct tenon_state_desc kv;
    struct tenon_weight_desc weights[N_ROWS];
    struct tenon_weight_source sources[N_ROWS * TENON_ROW_SOURCES];
    char names[N_ROWS * TENON_HF_NAMES][TENON_HF_NAME_SIZE];
};

/* ---- the config ----------------------------------------------------------------------------------------------------- */

static int32_t match(void *self, const struct tenon_meta *meta)
{
    char type[64];
    (void)self; /* no state, here and below */
    return tenon_key_str(meta, NULL, "config.model_type", "", type, sizeof type, NULL) == TENON_E_OK && strcmp(type, ARCH) == 0 ? 100 : 0;
}

static int32_t read_keys(struct tenon_model_config *c, const struct tenon_meta *meta, struct tenon_err *err)
{
    struct tenon_key_view view;
    const struct tenon_meta *m = tenon_key_view_init(&view, meta, ARCH, NULL, 0);
    int32_t s;
    if ((s = tenon_key_i64(m, ARCH, "block_count", 1, 64, NULL, &c->n_layers, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "embedding_length", 1, 4096, NULL, &c->size[WIDTH], err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "vocab_size", 1, 1 << 20, NULL, &c->size[VOCAB], err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "feed_forward_length", 1, 1 << 16, NULL, &c->size[NET], err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "context_length", 1, 1 << 20, NULL, &c->context, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "attention.head_count", 1, 256, NULL, &c->heads, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "attention.head_count_kv", 1, c->heads, &c->heads, &c->kv_heads, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "attention.key_length", 2, 256, NULL, &c->head, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "attention.layer_norm_rms_epsilon", 0, 1, NULL, &c->eps, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "loom_cap", 1e-3, 1e6, NULL, &c->cap, err)) != 0 || (s = tenon_key_rope(m, ARCH, &c->rope, err)) != 0)
        return s;
    if (c->heads % c->kv_heads != 0 || c->head % 2 != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, ARCH, "key config.num_key_value_heads must divide the heads, and config.head_dim be even");
    c->rope.n_rot = c->head;
    c->rope.layout = "half";
    return TENON_E_OK;
}

static void declare(struct tenon_model_config *c)
{
    struct tenon_weight_room room = {.weights = c->weights, .sources = c->sources, .names = c->names};
    c->size[HEADS_WIDTH] = c->heads * c->head;
    c->size[KV_WIDTH] = c->kv_heads * c->head;
    tenon_declare_weights(rows, N_ROWS, c->size, c->n_layers, &room);
    c->kv.struct_size = sizeof c->kv;
    c->kv.kind = TENON_STATE_KV_PAGED;
    c->kv.name = "kv";
    c->kv.n_layers = (uint32_t)c->n_layers;
    c->kv.k_heads = c->kv.v_heads = (uint32_t)c->kv_heads;
    c->kv.k_dim = c->kv.v_dim = (uint32_t)c->head;
}

static int32_t config(void *self, const struct tenon_meta *meta, struct tenon_model_config **ret, struct tenon_model_info *ret_info,
                      struct tenon_err *err)
{
    struct tenon_model_config *c = calloc(1, sizeof *c);
    int32_t s = c != NULL ? read_keys(c, meta, err) : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, ARCH, "out of memory");
    (void)self;
    if (s != TENON_E_OK) {
        free(c);
        return s;
    }
    declare(c);
    *ret_info = (struct tenon_model_info){.struct_size = sizeof *ret_info, .n_layers = (uint32_t)c->n_layers, .architecture = ARCH,
                                          .context_length = (uint64_t)c->context, .vocab_size = (uint64_t)c->size[VOCAB],
                                          .embedding_length = (uint64_t)c->size[WIDTH], .n_heads = (uint32_t)c->heads,
                                          .n_kv_heads = (uint32_t)c->kv_heads};
    *ret = c;
    return TENON_E_OK;
}

static void config_free(void *self, struct tenon_model_config *c)
{
    (void)self;
    free(c);
}

static int32_t weight_at(struct tenon_model_config *c, uint32_t i, const struct tenon_weight_desc **ret)
{
    if (i >= N_ROWS)
        return TENON_E_OUT_OF_RANGE;
    *ret = &c->weights[i];
    return TENON_E_OK;
}

static int32_t state_at(struct tenon_model_config *c, uint32_t i, const struct tenon_state_desc **ret)
{
    if (i > 0)
        return TENON_E_OUT_OF_RANGE;
    *ret = &c->kv;
    return TENON_E_OK;
}

/* ---- the program ---------------------------------------------------------------------------------------------------- */

static uint32_t linear(const struct tenon_builder *b, const char *name, uint32_t x)
{
    char weight[64];
    (void)snprintf(weight, sizeof weight, "layers.{i}.%s", name);
    return tenon_matmul(b, name, x, b->weight(b->ctx, weight), TENON_NO_VALUE);
}

static uint32_t attend(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t x)
{
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T), head = tenon_dim_n(c->head);
    const struct tenon_attention_params p = {.kv_heads = c->kv_heads, .k_dim = c->head, .v_dim = c->head, .scale = 1.0 / sqrt((double)c->head)};
    uint32_t q = tenon_reshape3(b, "q_heads", linear(b, "q", x), t, tenon_dim_n(c->heads), head);
    uint32_t k = tenon_reshape3(b, "k_heads", linear(b, "k", x), t, tenon_dim_n(c->kv_heads), head);
    uint32_t v = tenon_reshape3(b, "v_heads", linear(b, "v", x), t, tenon_dim_n(c->kv_heads), head);
    q = tenon_rope(b, "q_turned", q, TENON_NO_VALUE, &c->rope);
    k = tenon_rope(b, "k_turned", k, TENON_NO_VALUE, &c->rope);
    k = tenon_kv_store(b, "stored", b->state(b->ctx, "kv"), k, v);
    q = tenon_attention(b, "attention", q, k, TENON_NO_VALUE, &p);
    return linear(b, "o", tenon_reshape2(b, "attention_flat", q, t, tenon_dim_n(c->size[HEADS_WIDTH])));
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t h)
{
    uint32_t x = tenon_rms_norm(b, "norm", h, b->weight(b->ctx, "layers.{i}.norm"), c->eps);
    uint32_t attention = attend(c, b, x), net = linear(b, "down", tenon_unary(b, "squared", "relu2", linear(b, "up", x)));
    uint32_t gate = tenon_unary(b, "opened", "sigmoid", linear(b, "gate", x));
    attention = tenon_mul(b, "warp", attention, gate);
    net = tenon_mul(b, "weft", net, tenon_affine(b, "closed", gate, -1.0, 1.0));
    return tenon_add(b, "out", h, tenon_add(b, "woven", attention, net));
}

/* End the block that was begun last and run it n times. */
static void end_and_run(const struct tenon_builder *b, uint32_t h, int64_t n)
{
    int32_t block = b->block_end(b->ctx, &h, 1); /* an error sticks in b */
    for (int32_t i = 0; i < n; i++)
        (void)b->run(b->ctx, block, i, 1);
}

static int32_t build(struct tenon_model_config *c, const char *program, const struct tenon_builder *b, struct tenon_err *err)
{
    uint32_t h, before;
    if (strcmp(program, "step") != 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, ARCH, "this family has no program '%s', only step", program);
    tenon_step_inputs(b, 1, 0);
    (void)b->block_begin(b->ctx, "begin", NULL, 0, NULL);
    before = tenon_gather(b, "embedded", b->weight(b->ctx, "embed"), tenon_input(b, "token"));
    end_and_run(b, before, 1);
    (void)b->block_begin(b->ctx, "layer", &before, 1, &h);
    before = layer(c, b, h);
    end_and_run(b, before, c->n_layers);
    (void)b->block_begin(b->ctx, "end", &before, 1, &h);
    h = tenon_rms_norm(b, "normed", tenon_gather(b, "rows", h, tenon_input(b, "out_row")), b->weight(b->ctx, "norm"), c->eps);
    h = tenon_softcap(b, "logits", tenon_matmul(b, "head", h, b->weight(b->ctx, "head"), TENON_NO_VALUE), c->cap);
    end_and_run(b, h, 1);
    (void)b->output(b->ctx, 0, "logits");
    return b->status(b->ctx, err);
}

/* ---- the plugin ------------------------------------------------------------------------------------------------------- */

static const struct tenon_model model = {.struct_size = sizeof model, .match = match, .config = config, .config_free = config_free,
                                         .weight_at = weight_at, .state_at = state_at, .build = build};
static const char *const keys[] = {ARCH, NULL};
static const struct tenon_item items[] = {TENON_ITEM(TENON_MODEL_IFACE, ARCH, keys, &model)};
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "com.acme.loom", .version = "1.0.0",
    .vendor = "Acme", .license = "Apache-2.0", .description = "An architecture that weaves attention and net", .items = items,
    .n_items = 1, .item_stride = sizeof items[0],
};
TENON_PLUGIN_ENTRY(plugin)
