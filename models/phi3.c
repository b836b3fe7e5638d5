/* Phi-3 and Phi-4: the llama layer with q, k and v in one tensor and so gate and up, half-split rotary pairs, a
 * window in some models; those for long contexts turn by factors, of which there are two lists: the context that is
 * chosen at load says which. Reads `phi3.*` keys. What it does is in <tenon/decoder.h>, by this table. Contract:
 * <tenon/model.h>; arXiv:2404.14219. */
#include <tenon/decoder.h>

struct tenon_model_config {
    struct tenon_decoder d;
};

#define PIECE(name_, gguf_, hf_, size_)                                                                                      \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .gguf_xform = TENON_XFORM_SPLIT,                       \
     .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, .rank = 2, .dims = {size_, TENON_SIZE_EMBED, 0},              \
     .shard_axis = 0, .hf = "model.layers.{i}." hf_ ".weight", .hf_xform = TENON_XFORM_SPLIT}

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),
    PIECE("attn_q", "attn_qkv", "self_attn.qkv_proj", TENON_SIZE_Q),
    PIECE("attn_k", "attn_qkv", "self_attn.qkv_proj", TENON_SIZE_K),
    PIECE("attn_v", "attn_qkv", "self_attn.qkv_proj", TENON_SIZE_V),
    TENON_LAYER_MATRIX("attn_output", "attn_output", "self_attn.o_proj", TENON_SIZE_EMBED, TENON_SIZE_ATTN, 1),
    TENON_LAYER_NORM("ffn_norm", "ffn_norm", "post_attention_layernorm", TENON_SIZE_EMBED),
    PIECE("ffn_gate", "ffn_up", "mlp.gate_up_proj", TENON_SIZE_FFN),
    PIECE("ffn_up", "ffn_up", "mlp.gate_up_proj", TENON_SIZE_FFN),
    TENON_LAYER_MATRIX("ffn_down", "ffn_down", "mlp.down_proj", TENON_SIZE_EMBED, TENON_SIZE_FFN, 1),
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE),
    TENON_DECODER_ROPE_FACTORS_BY_CONTEXT,
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    return tenon_decoder_read_window(&c->d, m, err);
}

#define ROPE(key, name) {"rope.scaling." key, name "|rope_scaling." name "|rope_parameters." name, 0, 0}
static const struct tenon_key_row hf_keys[] = {ROPE("original_context_length", "original_max_position_embeddings"),
                                               ROPE("short_factor", "short_factor"), ROPE("long_factor", "long_factor"),
    {"partial_rotary_factor",
     "rope_scaling.partial_rotary_factor|rope_parameters.partial_rotary_factor|partial_rotary_factor", 1, 1}};

static const struct tenon_decoder_family family = {
    .arch = "phi3", .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .hf_keys = hf_keys, .n_hf_keys = 4,
};
TENON_DECODER_PLUGIN(family, "phi3", "the Phi-3 family of models")
