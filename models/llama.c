/* llama.c - the llama architecture: RMS norms, rotary positions, grouped-query attention, a gated FFN. Llama 1 to 3, SmolLM and
 * whatever else calls itself "llama" in GGUF metadata.
 *
 * Reads metadata and declares; computes nothing. GGUF keeps the rows of q and k so that rotary pairs are neighbours
 * ("interleaved"). Contract: tenon/model.h. */
#include <math.h>
#include <stdlib.h>

#include <tenon/build.h>
#include <tenon/model.h>

struct tenon_model_config {
    struct tenon_model_info info;
    uint64_t ffn, k_dim, v_dim;
    uint64_t n_rot;
    double eps, rope_base, rope_scale;
    struct tenon_weight_desc weights[16];
    struct tenon_weight_source sources[16];
    uint32_t n_weights;
    struct tenon_state_desc state;
};

/* ---- metadata ---- */

static int32_t bad_key(struct tenon_err *err, const char *key, const char *why)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, key, "the metadata key %s %s: the file is damaged or not a llama model", key, why);
}

/* A whole number in lo..hi; absent: *ret as it was, or an error when `required`. */
static int32_t get_int(const struct tenon_meta *meta, const char *key, uint64_t lo, uint64_t hi, int required, uint64_t *ret,
                       struct tenon_err *err)
{
    struct tenon_meta_entry e;
    int64_t v;
    if (meta->find(meta->ctx, key, &e) != 0)
        return required ? bad_key(err, key, "is missing") : 0;
    if (e.is_array || tenon_meta_i64(&e, 0, &v) != 0)
        return bad_key(err, key, "is not a whole number");
    if (v < 0 || (uint64_t)v < lo || (uint64_t)v > hi)
        return bad_key(err, key, "is out of range");
    *ret = (uint64_t)v;
    return 0;
}

static int32_t get_float(const struct tenon_meta *meta, const char *key, double lo, double hi, double *ret, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    double v;
    if (meta->find(meta->ctx, key, &e) != 0)
        return 0;
    if (e.is_array || tenon_meta_f64(&e, 0, &v) != 0)
        return bad_key(err, key, "is not a number");
    if (!(v >= lo && v <= hi))
        return bad_key(err, key, "is out of range");
    *ret = v;
    return 0;
}

static void get_name(const struct tenon_meta *meta, struct tenon_model_info *info)
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    if (meta->find(meta->ctx, "general.name", &e) == 0 && e.type == TENON_META_STRING && !e.is_array &&
        meta->strings(meta->ctx, &e, 0, 1, &s) == 0)
        (void)snprintf(info->name, sizeof info->name, "%.*s", (int)(s.size < 127 ? s.size : 127), s.data);
}

/* The vocabulary is as long as the tokenizer's list unless the key says otherwise. */
static int32_t get_vocab(const struct tenon_meta *meta, uint64_t *ret, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    if (meta->find(meta->ctx, "tokenizer.ggml.tokens", &e) == 0 && e.is_array)
        *ret = e.count;
    int32_t status = get_int(meta, "llama.vocab_size", 1, 1u << 30, *ret == 0, ret, err);
    return status;
}

static int32_t get_rope(struct tenon_model_config *c, const struct tenon_meta *meta, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    double factor = 1;
    int32_t status = get_float(meta, "llama.rope.freq_base", 1, 1e12, &c->rope_base, err);
    if (status == 0)
        status = get_int(meta, "llama.rope.dimension_count", 2, 65536, 0, &c->n_rot, err);
    if (status == 0)
        status = get_float(meta, "llama.rope.scaling.factor", 1e-3, 1e6, &factor, err);
    if (status != 0)
        return status;
    if (c->n_rot > c->k_dim || c->n_rot % 2 != 0)
        return bad_key(err, "llama.rope.dimension_count", "is odd or more than the head has");
    if (meta->find(meta->ctx, "llama.rope.scaling.type", &e) != 0)
        return 0;
    if (e.type != TENON_META_STRING || e.is_array || meta->strings(meta->ctx, &e, 0, 1, &s) != 0)
        return bad_key(err, "llama.rope.scaling.type", "is not a string");
    if (s.size == 6 && memcmp(s.data, "linear", 6) == 0)
        c->rope_scale = 1 / factor;
    else if (!(s.size == 4 && memcmp(s.data, "none", 4) == 0))
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "llama.rope.scaling.type", "rope scaling '%.*s' is not supported yet: linear is",
                          (int)(s.size < 32 ? s.size : 32), s.data);
    return 0;
}

static int32_t read_config(struct tenon_model_config *c, const struct tenon_meta *meta, struct tenon_err *err)
{
    uint64_t layers = 0, heads = 0, kv_heads;
    int32_t status = get_int(meta, "llama.block_count", 1, 4096, 1, &layers, err);
    if (status == 0)
        status = get_int(meta, "llama.embedding_length", 1, 1u << 20, 1, &c->info.embedding_length, err);
    if (status == 0)
        status = get_int(meta, "llama.feed_forward_length", 1, 1u << 22, 1, &c->ffn, err);
    if (status == 0)
        status = get_int(meta, "llama.attention.head_count", 1, 4096, 1, &heads, err);
    kv_heads = heads;
    if (status == 0)
        status = get_int(meta, "llama.attention.head_count_kv", 1, 4096, 0, &kv_heads, err);
    if (status == 0)
        status = get_int(meta, "llama.context_length", 1, 1u << 30, 1, &c->info.context_length, err);
    if (status == 0)
        status = get_float(meta, "llama.attention.layer_norm_rms_epsilon", 0, 1, &c->eps, err);
    if (status == 0)
        status = get_vocab(meta, &c->info.vocab_size, err);
    if (status != 0)
        return status;
    if (heads % kv_heads != 0)
        return bad_key(err, "llama.attention.head_count_kv", "does not divide the number of heads");
    c->info.n_layers = (uint32_t)layers;
    c->info.n_heads = (uint32_t)heads;
    c->info.n_kv_heads = (uint32_t)kv_heads;
    if (c->info.embedding_length % heads == 0)
        c->k_dim = c->info.embedding_length / heads;
    status = get_int(meta, "llama.attention.key_length", 2, 4096, c->k_dim == 0, &c->k_dim, err);
    c->v_dim = c->k_dim;
    if (status == 0)
        status = get_int(meta, "llama.attention.value_length", 1, 4096, 0, &c->v_dim, err);
    c->n_rot = c->k_dim;
    return status == 0 ? get_rope(c, meta, err) : status;
}

/* ---- declarations ---- */

#define LAYERED TENON_WEIGHT_LAYERED
#define OPTIONAL TENON_WEIGHT_OPTIONAL

/* One weight: [rows, cols], or [cols] when rows is 0. */
static struct tenon_weight_desc *declare(struct tenon_model_config *c, int32_t role, uint32_t flags, const char *name, const char *gguf,
                                         uint64_t rows, uint64_t cols)
{
    uint32_t i = c->n_weights++;
    struct tenon_weight_desc *w = &c->weights[i];
    c->sources[i] = (struct tenon_weight_source){ .struct_size = sizeof c->sources[i], .format = "gguf", .name = gguf };
    *w = (struct tenon_weight_desc){
        .struct_size = sizeof *w,
        .role = role,
        .name = name,
        .flags = flags,
        .rank = rows != 0 ? 2 : 1,
        .dims = { rows != 0 ? rows : cols, rows != 0 ? cols : 0 },
        .shard_axis = -1,
        .sources = &c->sources[i],
        .n_sources = 1,
        .source_stride = sizeof c->sources[i],
        .n_layers = flags & LAYERED ? c->info.n_layers : 0,
    };
    return w;
}

static void declare_weights(struct tenon_model_config *c)
{
    uint64_t e = c->info.embedding_length, v = c->info.vocab_size, h = c->info.n_heads, g = c->info.n_kv_heads;
    declare(c, TENON_ROLE_EMBED, 0, "embed", "token_embd.weight", v, e);
    declare(c, TENON_ROLE_NORM, LAYERED, "layers.{i}.attn_norm", "blk.{i}.attn_norm.weight", 0, e);
    declare(c, TENON_ROLE_MATMUL, LAYERED, "layers.{i}.attn_q", "blk.{i}.attn_q.weight", h * c->k_dim, e)->shard_axis = 0;
    declare(c, TENON_ROLE_MATMUL, LAYERED, "layers.{i}.attn_k", "blk.{i}.attn_k.weight", g * c->k_dim, e)->shard_axis = 0;
    declare(c, TENON_ROLE_MATMUL, LAYERED, "layers.{i}.attn_v", "blk.{i}.attn_v.weight", g * c->v_dim, e)->shard_axis = 0;
    declare(c, TENON_ROLE_BIAS, LAYERED | OPTIONAL, "layers.{i}.attn_q_bias", "blk.{i}.attn_q.bias", 0, h * c->k_dim);
    declare(c, TENON_ROLE_BIAS, LAYERED | OPTIONAL, "layers.{i}.attn_k_bias", "blk.{i}.attn_k.bias", 0, g * c->k_dim);
    declare(c, TENON_ROLE_BIAS, LAYERED | OPTIONAL, "layers.{i}.attn_v_bias", "blk.{i}.attn_v.bias", 0, g * c->v_dim);
    declare(c, TENON_ROLE_MATMUL, LAYERED, "layers.{i}.attn_out", "blk.{i}.attn_output.weight", e, h * c->v_dim)->shard_axis = 1;
    declare(c, TENON_ROLE_NORM, LAYERED, "layers.{i}.ffn_norm", "blk.{i}.ffn_norm.weight", 0, e);
    declare(c, TENON_ROLE_MATMUL, LAYERED, "layers.{i}.ffn_gate", "blk.{i}.ffn_gate.weight", c->ffn, e)->shard_axis = 0;
    declare(c, TENON_ROLE_MATMUL, LAYERED, "layers.{i}.ffn_up", "blk.{i}.ffn_up.weight", c->ffn, e)->shard_axis = 0;
    declare(c, TENON_ROLE_MATMUL, LAYERED, "layers.{i}.ffn_down", "blk.{i}.ffn_down.weight", e, c->ffn)->shard_axis = 1;
    declare(c, TENON_ROLE_NORM, 0, "output_norm", "output_norm.weight", 0, e);
    declare(c, TENON_ROLE_OTHER, OPTIONAL, "rope_factors", "rope_freqs.weight", 0, c->n_rot / 2);
    declare(c, TENON_ROLE_MATMUL, 0, "output", "output.weight", v, e)->tied_to = "embed";
}

/* ---- the graph ---- */

static uint32_t rope(const struct tenon_model_config *c, const struct tenon_builder *b, const char *name, uint32_t x, uint32_t position,
                     uint32_t factors)
{
    struct tenon_attr attrs[] = { tenon_attr_i64("n_rot", (int64_t)c->n_rot), tenon_attr_f64("base", c->rope_base),
                                  tenon_attr_str("layout", "interleaved"), tenon_attr_f64("scale", c->rope_scale) };
    uint32_t in[] = { x, position, factors };
    return tenon_node1(b, "core.rope/1", name, in, 3, attrs, 4);
}

/* h [T, embedding] -> attention's output before attn_out, [T, heads * v_dim] */
static uint32_t attention(const struct tenon_model_config *c, const struct tenon_builder *b, const struct tenon_step_inputs *in,
                          uint32_t h)
{
    int64_t heads = c->info.n_heads, kv = c->info.n_kv_heads, kd = (int64_t)c->k_dim, vd = (int64_t)c->v_dim;
    uint32_t factors = b->weight(b->ctx, "rope_factors");
    uint32_t q = tenon_matmul(b, "attn_q", h, b->weight(b->ctx, "layers.{i}.attn_q"), b->weight(b->ctx, "layers.{i}.attn_q_bias"));
    uint32_t k = tenon_matmul(b, "attn_k", h, b->weight(b->ctx, "layers.{i}.attn_k"), b->weight(b->ctx, "layers.{i}.attn_k_bias"));
    uint32_t v = tenon_matmul(b, "attn_v", h, b->weight(b->ctx, "layers.{i}.attn_v"), b->weight(b->ctx, "layers.{i}.attn_v_bias"));
    q = rope(c, b, "rope_q", tenon_split_heads(b, "q", q, heads, kd), in->position, factors);
    k = rope(c, b, "rope_k", tenon_split_heads(b, "k", k, kv, kd), in->position, factors);
    v = tenon_split_heads(b, "v", v, kv, vd);
    uint32_t store_in[] = { b->state(b->ctx, "kv"), k, v, in->slot_of_token };
    uint32_t cache = tenon_node1(b, "core.kv_store/1", "kv_store", store_in, 4, NULL, 0);
    uint32_t attn_in[] = { q, cache, TENON_NO_VALUE, TENON_NO_VALUE, TENON_NO_VALUE, in->position, in->seq_of_token, in->seq_start,
                           in->context_len, in->block_table };
    struct tenon_attr attrs[] = { tenon_attr_i64("kv_heads", kv), tenon_attr_i64("k_dim", kd), tenon_attr_i64("v_dim", vd),
                                  tenon_attr_f64("scale", 1 / sqrt((double)kd)) };
    uint32_t y = tenon_node1(b, "core.attention/1", "attention", attn_in, 10, attrs, 4);
    return tenon_join_heads(b, "heads", y, heads, vd);
}

static int32_t build_layer(const struct tenon_model_config *c, const struct tenon_builder *b, const struct tenon_step_inputs *in,
                           uint32_t x)
{
    int32_t block = b->block_begin(b->ctx, "layer", &x, 1, &x);
    uint32_t h = tenon_rms_norm(b, "attn_norm", x, b->weight(b->ctx, "layers.{i}.attn_norm"), c->eps);
    uint32_t y = tenon_matmul(b, "attn_out", attention(c, b, in, h), b->weight(b->ctx, "layers.{i}.attn_out"), TENON_NO_VALUE);
    uint32_t add_in[] = { x, y, b->weight(b->ctx, "layers.{i}.ffn_norm") }, sum[2] = { TENON_NO_VALUE, TENON_NO_VALUE };
    struct tenon_attr eps = tenon_attr_f64("eps", c->eps), kind = tenon_attr_str("kind", "silu");
    if (block < 0)
        return block;
    (void)b->node(b->ctx, "core.add_norm/1", "ffn_norm", add_in, 3, &eps, 1, sum, 2); /* its error sticks in the builder */
    uint32_t ffn_in[] = { sum[1], b->weight(b->ctx, "layers.{i}.ffn_gate"), b->weight(b->ctx, "layers.{i}.ffn_up"),
                          b->weight(b->ctx, "layers.{i}.ffn_down"), TENON_NO_VALUE, TENON_NO_VALUE, TENON_NO_VALUE };
    x = tenon_add(b, "out", sum[0], tenon_node1(b, "core.gated_ffn/1", "ffn", ffn_in, 7, &kind, 1));
    return b->block_end(b->ctx, &x, 1);
}

static int32_t build(struct tenon_model_config *c, const char *program, const struct tenon_builder *b, struct tenon_err *err)
{
    struct tenon_step_inputs in;
    uint32_t x, logits;
    int32_t embed, layer, head;
    if (strcmp(program, "step") != 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "llama", "there is no program '%s': only step", program);
    tenon_step_inputs(b, 0, &in);
    (void)b->block_begin(b->ctx, "embed", NULL, 0, NULL); /* errors stick in the builder */
    x = tenon_gather(b, "embed", b->weight(b->ctx, "embed"), in.token);
    embed = b->block_end(b->ctx, &x, 1);
    layer = build_layer(c, b, &in, x);
    (void)b->block_begin(b->ctx, "head", &x, 1, &x);
    x = tenon_gather(b, "rows", x, in.out_row);
    x = tenon_rms_norm(b, "output_norm", x, b->weight(b->ctx, "output_norm"), c->eps);
    logits = tenon_matmul(b, "output", x, b->weight(b->ctx, "output"), TENON_NO_VALUE);
    head = b->block_end(b->ctx, &logits, 1);
    (void)b->run(b->ctx, embed, 0, 0);
    (void)b->run(b->ctx, layer, 0, c->info.n_layers);
    (void)b->run(b->ctx, head, 0, 0);
    (void)b->output(b->ctx, 0, "logits");
    return b->status(b->ctx, err);
}

/* ---- the interface ---- */

static int32_t match(void *self, const struct tenon_meta *meta)
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    (void)self;
    if (strcmp(meta->format, "gguf") != 0 || meta->find(meta->ctx, "general.architecture", &e) != 0 || e.type != TENON_META_STRING ||
        e.is_array || meta->strings(meta->ctx, &e, 0, 1, &s) != 0)
        return 0;
    return s.size == 5 && memcmp(s.data, "llama", 5) == 0 ? 100 : 0;
}

static int32_t config(void *self, const struct tenon_meta *meta, struct tenon_model_config **ret, struct tenon_model_info *ret_info,
                      struct tenon_err *err)
{
    struct tenon_model_config *c = calloc(1, sizeof *c);
    (void)self;
    if (c == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "llama", "no memory for the model's config");
    c->info.struct_size = sizeof c->info;
    (void)snprintf(c->info.architecture, sizeof c->info.architecture, "llama");
    c->eps = 1e-5;
    c->rope_base = 10000;
    c->rope_scale = 1;
    get_name(meta, &c->info);
    int32_t status = read_config(c, meta, err);
    if (status != 0) {
        free(c);
        return status;
    }
    declare_weights(c);
    c->state = (struct tenon_state_desc){
        .struct_size = sizeof c->state, .kind = TENON_STATE_KV_PAGED, .name = "kv", .n_layers = c->info.n_layers,
        .k_heads = c->info.n_kv_heads, .k_dim = (uint32_t)c->k_dim, .v_heads = c->info.n_kv_heads, .v_dim = (uint32_t)c->v_dim,
    };
    *ret = c;
    *ret_info = c->info;
    return 0;
}

static void config_free(void *self, struct tenon_model_config *c)
{
    (void)self;
    free(c);
}

static int32_t weight_at(struct tenon_model_config *c, uint32_t i, const struct tenon_weight_desc **ret)
{
    if (i >= c->n_weights)
        return TENON_E_OUT_OF_RANGE;
    *ret = &c->weights[i];
    return 0;
}

static int32_t state_at(struct tenon_model_config *c, uint32_t i, const struct tenon_state_desc **ret)
{
    if (i != 0)
        return TENON_E_OUT_OF_RANGE;
    *ret = &c->state;
    return 0;
}

static const struct tenon_model model = {
    .struct_size = sizeof model, .match = match, .config = config, .config_free = config_free,
    .weight_at = weight_at, .state_at = state_at, .build = build,
};
static const char *const keys[] = { "llama", NULL };
static const struct tenon_item items[] = { TENON_ITEM(TENON_MODEL_IFACE, "llama", keys, &model) };
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.model.llama",
    .version = "0.1.0", .vendor = "Tenon", .license = "Apache-2.0", .description = "The llama architecture",
    .items = items, .n_items = 1, .item_stride = sizeof items[0],
};

TENON_PLUGIN_ENTRY(plugin)
