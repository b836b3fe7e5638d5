/* BERT: an encoder. Embeddings of token, place and first segment, normed; every layer norms the sum of what came in and what
 * attention, then the net, made of it. Its program is "embed". Reads `bert.*` keys. What is not in <tenon/decoder.h> is `layer`.
 * Contract: <tenon/model.h>; arXiv:1810.04805. */
#include <tenon/decoder.h>

#define ARCH "bert"

enum { SIZE_POSITIONS = TENON_SIZE_OWN };

struct tenon_model_config {
    struct tenon_decoder d;
};

#define ROW(name, gguf, hf, role, rank, d0, d1) \
    {TENON_LAYER_ROW_AT("bert.encoder.layer.{i}.", name, gguf, hf, role, rank, d0, d1)}
#define NORM(name, gguf, hf)                                                                     \
    ROW(name, gguf ".weight", hf ".weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED, 0),            \
    ROW(name "_bias", gguf ".bias", hf ".bias", TENON_ROLE_BIAS, 1, TENON_SIZE_EMBED, 0)
#define LINEAR(name, hf, out, in)                                                                \
    ROW(name, name ".weight", hf ".weight", TENON_ROLE_MATMUL, 2, out, in),                      \
    ROW(name "_bias", name ".bias", hf ".bias", TENON_ROLE_BIAS, 1, out, 0)
#define WHOLE(name_, gguf_, hf_, role_, rank_, d0_, xform_)                                      \
    {.name = name_, .gguf = gguf_, .gguf_xform = xform_, .role = role_, .rank = rank_, .dims = {d0_, TENON_SIZE_EMBED, 0},   \
     .shard_axis = -1, .hf = "bert.embeddings." hf_, .hf_xform = xform_}
/* What files have that no vector needs: the numbers 0, 1, 2 ..., and a layer for telling whether one sentence follows another. */
#define UNUSED(name_, hf_)                                                                                                   \
    {.name = name_, .role = TENON_ROLE_OTHER, .flags = TENON_WEIGHT_OPTIONAL | TENON_WEIGHT_UNUSED, .rank = 1,               \
     .dims = {TENON_SIZE_EMBED, 0, 0}, .shard_axis = -1, .hf = "bert." hf_}

static const struct tenon_weight_row rows[] = {
    WHOLE("token_embd", "token_embd.weight", "word_embeddings.weight", TENON_ROLE_EMBED, 2, TENON_SIZE_VOCAB, 0),
    WHOLE("position_embd", "position_embd.weight", "position_embeddings.weight", TENON_ROLE_EMBED, 2, SIZE_POSITIONS, 0),
    WHOLE("token_type", "token_types.weight", "token_type_embeddings.weight", TENON_ROLE_OTHER, 2, TENON_SIZE_ONE,
          TENON_XFORM_SPLIT),
    WHOLE("token_embd_norm", "token_embd_norm.weight", "LayerNorm.weight", TENON_ROLE_NORM, 1, TENON_SIZE_EMBED, 0),
    WHOLE("token_embd_norm_bias", "token_embd_norm.bias", "LayerNorm.bias", TENON_ROLE_BIAS, 1, TENON_SIZE_EMBED, 0),
    LINEAR("attn_q", "attention.self.query", TENON_SIZE_Q, TENON_SIZE_EMBED),
    LINEAR("attn_k", "attention.self.key", TENON_SIZE_K, TENON_SIZE_EMBED),
    LINEAR("attn_v", "attention.self.value", TENON_SIZE_V, TENON_SIZE_EMBED),
    LINEAR("attn_output", "attention.output.dense", TENON_SIZE_EMBED, TENON_SIZE_ATTN),
    NORM("attn_sum_norm", "attn_output_norm", "attention.output.LayerNorm"),
    LINEAR("ffn_up", "intermediate.dense", TENON_SIZE_FFN, TENON_SIZE_EMBED),
    LINEAR("ffn_down", "output.dense", TENON_SIZE_EMBED, TENON_SIZE_FFN),
    NORM("ffn_sum_norm", "layer_output_norm", "output.LayerNorm"),
    UNUSED("positions", "embeddings.position_ids"), UNUSED("pooler", "pooler.dense.weight"),
    UNUSED("pooler_bias", "pooler.dense.bias"),
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    char positions[64], name[128];
    int32_t s;
    if ((s = tenon_key_str(m, ARCH, "position_embedding_type", "absolute", positions, sizeof positions, err)) != 0 ||
        (s = tenon_key_must_be(m, ARCH, "is_decoder", 0, err)) != 0)
        return s;
    if (strcmp(positions, "absolute") != 0) {
        tenon_key_name(m, ARCH, "position_embedding_type", name);
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is '%s': this plugin knows absolute only", name,
                          positions);
    }
    c->d.size[SIZE_POSITIONS] = c->d.context;
    return tenon_decoder_read_pooling(&c->d, m, err);
}

static uint32_t layer(const struct tenon_model_config *c, const struct tenon_builder *b, int32_t kind, uint32_t h,
                      const struct tenon_layer_attention *a)
{
    const struct tenon_decoder *d = &c->d;
    (void)kind; /* there is one */
    h = tenon_layer_norm(d, b, "attn_sum_norm", tenon_add(b, "attn_sum", h, tenon_layer_attend(d, b, h, a)));
    return tenon_layer_norm(d, b, "ffn_sum_norm", tenon_add(b, "ffn_sum", h, tenon_layer_net(d, b, "ffn", h)));
}

static const struct tenon_key_row hf_keys[] = {{"attention.layer_norm_epsilon", "layer_norm_eps", 1, 1e-12}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .is_encoder = 1, .norm = TENON_NORM_LAYER, .act = "gelu",
    .layer = layer, .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .hf_keys = hf_keys, .n_hf_keys = 1,
};
TENON_DECODER_PLUGIN(family, ARCH, "the BERT family of encoders")
