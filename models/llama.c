/* The llama family: pre-norm decoder with rotary positions (interleaved pairs, as GGUF permutes q and k for it), grouped-query
 * attention and a SiLU-gated feed-forward net. Reads and checks `llama.*` keys, declares weights and the one KV state, and
 * builds "step". Computes nothing itself. Contract: <tenon/model.h>; Touvron et al., arXiv:2307.09288. */
#include <math.h>
#include <stdlib.h>

#include <tenon/build.h>

#define ARCH "llama"

/* Sizes that weights have, by name. */
enum size { EMBED, VOCAB, Q, KV_K, KV_V, ATTN, FFN, HALF_ROT, N_SIZES };

#define L TENON_WEIGHT_LAYERED
#define OPT TENON_WEIGHT_OPTIONAL
static const struct tenon_weight_row rows[] = {
    {"token_embd", "token_embd.weight", TENON_ROLE_EMBED, 0, 2, {VOCAB, EMBED}, 0, NULL},
    {"layers.{i}.attn_norm", "blk.{i}.attn_norm.weight", TENON_ROLE_NORM, L, 1, {EMBED}, -1, NULL},
    {"layers.{i}.attn_q", "blk.{i}.attn_q.weight", TENON_ROLE_MATMUL, L, 2, {Q, EMBED}, 0, NULL},
    {"layers.{i}.attn_k", "blk.{i}.attn_k.weight", TENON_ROLE_MATMUL, L, 2, {KV_K, EMBED}, 0, NULL},
    {"layers.{i}.attn_v", "blk.{i}.attn_v.weight", TENON_ROLE_MATMUL, L, 2, {KV_V, EMBED}, 0, NULL},
    {"layers.{i}.attn_output", "blk.{i}.attn_output.weight", TENON_ROLE_MATMUL, L, 2, {EMBED, ATTN}, 1, NULL},
    {"layers.{i}.attn_q_bias", "blk.{i}.attn_q.bias", TENON_ROLE_BIAS, L | OPT, 1, {Q}, 0, NULL},
    {"layers.{i}.attn_k_bias", "blk.{i}.attn_k.bias", TENON_ROLE_BIAS, L | OPT, 1, {KV_K}, 0, NULL},
    {"layers.{i}.attn_v_bias", "blk.{i}.attn_v.bias", TENON_ROLE_BIAS, L | OPT, 1, {KV_V}, 0, NULL},
    {"layers.{i}.attn_output_bias", "blk.{i}.attn_output.bias", TENON_ROLE_BIAS, L | OPT, 1, {EMBED}, -1, NULL},
    {"layers.{i}.ffn_norm", "blk.{i}.ffn_norm.weight", TENON_ROLE_NORM, L, 1, {EMBED}, -1, NULL},
    {"layers.{i}.ffn_gate", "blk.{i}.ffn_gate.weight", TENON_ROLE_MATMUL, L, 2, {FFN, EMBED}, 0, NULL},
    {"layers.{i}.ffn_up", "blk.{i}.ffn_up.weight", TENON_ROLE_MATMUL, L, 2, {FFN, EMBED}, 0, NULL},
    {"layers.{i}.ffn_down", "blk.{i}.ffn_down.weight", TENON_ROLE_MATMUL, L, 2, {EMBED, FFN}, 1, NULL},
    {"output_norm", "output_norm.weight", TENON_ROLE_NORM, 0, 1, {EMBED}, -1, NULL},
    {"output", "output.weight", TENON_ROLE_MATMUL, OPT, 2, {VOCAB, EMBED}, 0, "token_embd"},
    {"rope_factors", "rope_freqs.weight", TENON_ROLE_OTHER, OPT, 1, {HALF_ROT}, -1, NULL},
};
#define N_WEIGHTS (sizeof rows / sizeof rows[0])

struct tenon_model_config {
    int64_t size[N_SIZES];
    int64_t n_layers, n_heads, n_kv_heads, k_dim, v_dim, context;
    double eps;
    struct tenon_rope_params rope;
    struct tenon_weight_desc weights[N_WEIGHTS];
    struct tenon_weight_source sources[N_WEIGHTS];
    struct tenon_state_desc kv;
};

/* ---- config ------------------------------------------------------------------------------------------------- */

/* One key of a table: all are integers within 1 .. most. */
static int32_t read_key(const struct tenon_meta *m, const char *key, int64_t most, const int64_t *absent, int64_t *ret,
                        struct tenon_err *err)
{
    return tenon_key_i64(m, ARCH, key, 1, most, absent, ret, err);
}

static int32_t read_heads(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    int32_t s;
    int64_t per_head;
    if ((s = read_key(m, "attention.head_count", 4096, NULL, &c->n_heads, err)) != 0 ||
        (s = read_key(m, "attention.head_count_kv", 4096, &c->n_heads, &c->n_kv_heads, err)) != 0)
        return s;
    if (c->n_heads % c->n_kv_heads != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, ARCH ".attention.head_count_kv",
                          "key " ARCH ".attention.head_count_kv is %lld, which does not divide head_count %lld",
                          (long long)c->n_kv_heads, (long long)c->n_heads);
    per_head = c->size[EMBED] % c->n_heads == 0 ? c->size[EMBED] / c->n_heads : 0;
    if ((s = read_key(m, "attention.key_length", 4096, per_head > 0 ? &per_head : NULL, &c->k_dim, err)) != 0 ||
        (s = read_key(m, "attention.value_length", 4096, &c->k_dim, &c->v_dim, err)) != 0 ||
        (s = read_key(m, "rope.dimension_count", c->k_dim, &c->k_dim, &c->rope.n_rot, err)) != 0)
        return s;
    if (c->rope.n_rot % 2 != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, ARCH ".rope.dimension_count",
                          "key " ARCH ".rope.dimension_count is %lld, but must be even", (long long)c->rope.n_rot);
    return TENON_E_OK;
}

static int32_t read_vocab(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    int64_t tokens = (int64_t)tenon_key_count(m, "tokenizer.ggml.tokens"), absent = tokens;
    int32_t s = read_key(m, "vocab_size", 1 << 24, tokens > 0 ? &absent : NULL, &c->size[VOCAB], err);
    if (s == 0 && (tokens > c->size[VOCAB] || c->size[VOCAB] > 1 << 24))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, ARCH ".vocab_size",
                          "key " ARCH ".vocab_size is %lld, but tokenizer.ggml.tokens has %lld entries",
                          (long long)c->size[VOCAB], (long long)tokens);
    return s;
}

static int32_t read_config(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    static const int64_t none = 0;
    int64_t experts;
    int32_t s;
    if ((s = read_key(m, "block_count", 4096, NULL, &c->n_layers, err)) != 0 ||
        (s = read_key(m, "embedding_length", 1 << 20, NULL, &c->size[EMBED], err)) != 0 ||
        (s = read_key(m, "feed_forward_length", 1 << 24, NULL, &c->size[FFN], err)) != 0 ||
        (s = read_key(m, "context_length", 1 << 30, NULL, &c->context, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "attention.layer_norm_rms_epsilon", 0, 1, NULL, &c->eps, err)) != 0 ||
        (s = tenon_key_i64(m, ARCH, "expert_count", 0, 0, &none, &experts, err)) != 0 || (s = read_heads(c, m, err)) != 0 ||
        (s = read_vocab(c, m, err)) != 0 || (s = tenon_key_rope(m, ARCH, &c->rope, err)) != 0)
        return s;
    c->size[Q] = c->n_heads * c->k_dim;
    c->size[KV_K] = c->n_kv_heads * c->k_dim;
    c->size[KV_V] = c->n_kv_heads * c->v_dim;
    c->size[ATTN] = c->n_heads * c->v_dim;
    c->size[HALF_ROT] = c->rope.n_rot / 2;
    c->rope.layout = "interleaved";
    return TENON_E_OK;
}

static void declare(struct tenon_model_config *c)
{
    tenon_declare_weights(rows, N_WEIGHTS, c->size, c->n_layers, c->weights, c->sources);
    c->kv = (struct tenon_state_desc){.struct_size = sizeof c->kv, .kind = TENON_STATE_KV_PAGED, .name = "kv",
                                      .n_layers = (uint32_t)c->n_layers, .k_heads = (uint32_t)c->n_kv_heads,
                                      .k_dim = (uint32_t)c->k_dim, .v_heads = (uint32_t)c->n_kv_heads, .v_dim = (uint32_t)c->v_dim};
}

static void llama_config_free(void *self, struct tenon_model_config *c)
{
    (void)self; /* no state */
    free(c);
}

static int32_t llama_config(void *self, const struct tenon_meta *meta, struct tenon_model_config **ret,
                            struct tenon_model_info *ret_info, struct tenon_err *err)
{
    struct tenon_model_info info = {.struct_size = sizeof info, .architecture = ARCH};
    struct tenon_model_config *c = calloc(1, sizeof *c);
    int32_t status = c != NULL ? TENON_E_OK : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, ARCH, "out of memory for a model config");
    if (status == 0)
        status = read_config(c, meta, err);
    if (status == 0)
        status = tenon_key_str(meta, NULL, "general.name", "", info.name, sizeof info.name, err);
    if (status != 0) {
        llama_config_free(self, c);
        return status;
    }
    declare(c);
    info.n_layers = (uint32_t)c->n_layers;
    info.context_length = (uint64_t)c->context;
    info.vocab_size = (uint64_t)c->size[VOCAB];
    info.embedding_length = (uint64_t)c->size[EMBED];
    info.n_heads = (uint32_t)c->n_heads;
    info.n_kv_heads = (uint32_t)c->n_kv_heads;
    *ret_info = info;
    *ret = c;
    return TENON_E_OK;
}

/* ---- graph -------------------------------------------------------------------------------------------------- */

static uint32_t weight(const struct tenon_builder *b, const char *name) { return b->weight(b->ctx, name); }

static uint32_t attention(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t x)
{
    const struct tenon_attention_params p = {.kv_heads = c->n_kv_heads, .k_dim = c->k_dim, .v_dim = c->v_dim,
                                             .scale = 1.0 / sqrt((double)c->k_dim)};
    const struct tenon_dim t = tenon_dim_of(TENON_SYM_T), heads = tenon_dim_n(c->n_heads), kv_heads = tenon_dim_n(c->n_kv_heads);
    uint32_t q = tenon_matmul(b, "attn_q", x, weight(b, "layers.{i}.attn_q"), weight(b, "layers.{i}.attn_q_bias"));
    uint32_t k = tenon_matmul(b, "attn_k", x, weight(b, "layers.{i}.attn_k"), weight(b, "layers.{i}.attn_k_bias"));
    uint32_t v = tenon_matmul(b, "attn_v", x, weight(b, "layers.{i}.attn_v"), weight(b, "layers.{i}.attn_v_bias"));
    q = tenon_reshape3(b, "q_heads", q, t, heads, tenon_dim_n(c->k_dim));
    q = tenon_rope(b, "rope_q", q, weight(b, "rope_factors"), &c->rope);
    k = tenon_reshape3(b, "k_heads", k, t, kv_heads, tenon_dim_n(c->k_dim));
    k = tenon_rope(b, "rope_k", k, weight(b, "rope_factors"), &c->rope);
    v = tenon_reshape3(b, "v_heads", v, t, kv_heads, tenon_dim_n(c->v_dim));
    uint32_t kv = tenon_kv_store(b, "kv_store", b->state(b->ctx, "kv"), k, v);
    uint32_t y = tenon_attention(b, "attn", q, kv, TENON_NO_VALUE, &p);
    y = tenon_reshape2(b, "attn_flat", y, t, tenon_dim_n(c->size[ATTN]));
    return tenon_matmul(b, "attn_output", y, weight(b, "layers.{i}.attn_output"), weight(b, "layers.{i}.attn_output_bias"));
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, uint32_t h)
{
    uint32_t sum;
    uint32_t y = attention(c, b, tenon_rms_norm(b, "attn_norm", h, weight(b, "layers.{i}.attn_norm"), c->eps));
    y = tenon_add_norm(b, "ffn_norm", h, y, weight(b, "layers.{i}.ffn_norm"), c->eps, &sum);
    y = tenon_gated_ffn(b, "ffn", "silu", y, weight(b, "layers.{i}.ffn_gate"), weight(b, "layers.{i}.ffn_up"),
                        weight(b, "layers.{i}.ffn_down"));
    return tenon_op2(b, "core.add/1", "layer_out", sum, y);
}

static int32_t llama_build(struct tenon_model_config *c, const char *program, const struct tenon_builder *b, struct tenon_err *err)
{
    uint32_t h, arg;
    if (strcmp(program, "step") != 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, ARCH, "this family has no program '%s', only step", program);

    tenon_decoder_inputs(b);
    (void)b->block_begin(b->ctx, "embed", NULL, 0, NULL); /* errors stick in b and are returned at the end */
    h = tenon_gather(b, "embed", weight(b, "token_embd"), tenon_input(b, "token"));
    (void)b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);

    (void)b->block_begin(b->ctx, "layer", &h, 1, &arg);
    h = layer(c, b, arg);
    (void)b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, (uint32_t)c->n_layers);

    (void)b->block_begin(b->ctx, "head", &h, 1, &arg);
    h = tenon_gather(b, "rows", arg, tenon_input(b, "out_row"));
    h = tenon_rms_norm(b, "output_norm", h, weight(b, "output_norm"), c->eps);
    h = tenon_matmul(b, "logits", h, weight(b, "output"), TENON_NO_VALUE);
    (void)b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);
    (void)b->output(b->ctx, 0, "logits");
    return b->status(b->ctx, err);
}

/* ---- plugin ------------------------------------------------------------------------------------------------- */

static int32_t llama_match(void *self, const struct tenon_meta *meta)
{
    char arch[64];
    (void)self; /* no state */
    return tenon_key_str(meta, NULL, "general.architecture", "", arch, sizeof arch, NULL) == 0 && strcmp(arch, ARCH) == 0 ? 100 : 0;
}

static int32_t llama_weight_at(struct tenon_model_config *c, uint32_t i, const struct tenon_weight_desc **ret)
{
    if (i >= N_WEIGHTS)
        return TENON_E_OUT_OF_RANGE;
    *ret = &c->weights[i];
    return TENON_E_OK;
}

static int32_t llama_state_at(struct tenon_model_config *c, uint32_t i, const struct tenon_state_desc **ret)
{
    if (i >= 1)
        return TENON_E_OUT_OF_RANGE;
    *ret = &c->kv;
    return TENON_E_OK;
}

static const struct tenon_model llama = {
    .struct_size = sizeof llama, .match = llama_match, .config = llama_config, .config_free = llama_config_free,
    .weight_at = llama_weight_at, .state_at = llama_state_at, .build = llama_build,
};
static const char *const keys[] = {ARCH, NULL};
static const struct tenon_item items[] = {TENON_ITEM(TENON_MODEL_IFACE, ARCH, keys, &llama)};
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.model.llama", .version = "0.1.0",
    .vendor = "Tenon", .license = "Apache-2.0", .description = "the llama family of models", .items = items,
    .n_items = sizeof items / sizeof items[0], .item_stride = sizeof items[0],
};
TENON_PLUGIN_ENTRY(plugin)
