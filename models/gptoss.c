/* gpt-oss: attention with a sink for each head and a window in every other layer, experts with biases whose gates are cut off.
 * Hugging Face has gates and ups of an expert in turns, as floats [in, out], as MXFP4 [out, in]. Reads `gpt-oss.*` keys. What it
 * does is in <tenon/decoder.h>, by this table.
 * Contract: <tenon/model.h>; arXiv:2508.10925. */
#include <tenon/decoder.h>

#define ARCH "gpt-oss"

struct tenon_model_config {
    struct tenon_decoder d;
};

#define BIAS(name, hf, size) {TENON_LAYER_ROW(name "_bias", name ".bias", "self_attn." hf ".bias", TENON_ROLE_BIAS, 1, size, 0)}
/* Of experts: in_turn: xforms for pieces in turns, part of two. */
#define MATRIX(name_, gguf_, hf_, out_, in_, xform_, part_, parts_, groups_)                                                 \
    {.name = "layers.{i}.ffn_experts_" name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_MATMUL,                 \
     .flags = TENON_WEIGHT_LAYERED, .rank = 3, .dims = {TENON_SIZE_EXPERTS, out_, in_}, .shard_axis = 0,                     \
     .hf = "model.layers.{i}.mlp.experts." hf_, .hf_packed = "model.layers.{i}.mlp.experts." hf_ ".weight",                  \
     .hf_xform = TENON_XFORM_TRANSPOSE | (xform_), .hf_part = part_, .hf_parts = parts_, .hf_groups = groups_,               \
     .only = TENON_ONLY_EXPERTS}
#define VECTOR(name, gguf, hf, size, xform, part, parts, groups)                                                             \
    {TENON_LAYER_ROW("ffn_experts_" name, gguf ".bias", "mlp.experts." hf, TENON_ROLE_BIAS, 2, TENON_SIZE_EXPERTS, size),    \
     .hf_xform = xform, .hf_part = part, .hf_parts = parts, .hf_groups = groups, .only = TENON_ONLY_EXPERTS}
#define IN_TURN(name, gguf, part)                                                                                            \
    MATRIX(name, gguf, "gate_up_proj", TENON_SIZE_EXPERT_FFN, TENON_SIZE_EMBED, TENON_XFORM_SPLIT, part, 2,                  \
           TENON_SIZE_EXPERT_FFN),                                                                                           \
    VECTOR(name "_bias", gguf, "gate_up_proj_bias", TENON_SIZE_EXPERT_FFN, TENON_XFORM_SPLIT | TENON_XFORM_COLUMN, part, 2,   \
           TENON_SIZE_EXPERT_FFN)

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),
    TENON_DECODER_ATTENTION_ROWS,
    TENON_DECODER_QKV_BIAS(0),
    BIAS("attn_output", "o_proj", TENON_SIZE_EMBED),
    {TENON_LAYER_ROW("attn_sinks", "attn_sinks.weight", "self_attn.sinks", TENON_ROLE_OTHER, 1, TENON_SIZE_HEADS, 0)},
    TENON_LAYER_NORM("ffn_norm", "post_attention_norm", "post_attention_layernorm", TENON_SIZE_EMBED),
    TENON_ROUTER_ROW("mlp.router"),
    {TENON_LAYER_ROW("ffn_router_bias", "ffn_gate_inp.bias", "mlp.router.bias", TENON_ROLE_BIAS, 1, TENON_SIZE_EXPERTS, 0)},
    IN_TURN("gate", "ffn_gate_exps", 0), IN_TURN("up", "ffn_up_exps", 1),
    MATRIX("down", "ffn_down_exps", "down_proj", TENON_SIZE_EMBED, TENON_SIZE_EXPERT_FFN, 0, 0, 0, 0),
    VECTOR("down_bias", "ffn_down_exps", "down_proj_bias", TENON_SIZE_EMBED, 0, 0, 0, 0),
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE),
    TENON_DECODER_ROPE_FACTORS,
};

/* A config.json without a word on rope means a scaling that transformers may change: no published model leaves it out. */
static int32_t must_say_rope(const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    if (!tenon_meta_is_huggingface(m) || tenon_key_find(m, NULL, "config.rope_parameters", name, &e) ||
        tenon_key_find(m, NULL, "config.rope_scaling", name, &e))
        return TENON_E_OK;
    return tenon_key_missing("config.rope_parameters", err);
}

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const double limit = 7.0;
    double alpha = 1.702;
    struct tenon_decoder *d = &c->d;
    int32_t s;
    if (d->moe.used == 0)
        return tenon_decoder_bad_key(d, "expert_count", 0, "but the family has experts", err);
    if ((s = must_say_rope(m, err)) != 0 || (s = tenon_decoder_read_pattern(d, m, 2, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "swiglu_limit", 1e-3, 1e6, &limit, &d->moe.limit, err)) != 0 ||
        (s = tenon_key_f64(m, ARCH, "swiglu_alpha", 1.702, 1.702, &alpha, &alpha, err)) != 0)
        return s;
    d->moe.kind = "gelu_quick", d->moe.scoring = "topk_softmax", d->moe.up_shift = 1.0;
    if (!tenon_meta_is_huggingface(m) && d->rope.ext_factor > 0.0) { /* no published model cuts, and GGUF does not say */
        tenon_decoder_untruncated_yarn(d);
        d->rope_local = d->rope;
    }
    return TENON_E_OK;
}

static const char *const hf_types[] = {"gpt_oss", NULL};
static const struct tenon_key_row hf_keys[] = {
    {"rope.freq_base", "rope_scaling.rope_theta|rope_parameters.rope_theta|rope_theta", 1, 150000},
    {"attention.key_length", "head_dim", 1, 64},
};

static const struct tenon_decoder_switch switches[] = {{"attention_bias", 1, 0, TENON_ATTENTION_BIASES}, {NULL, 0, 0, NULL}};

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .has_experts = 1,
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .hf_types = hf_types, .switches = switches,
    .hf_keys = hf_keys, .n_hf_keys = sizeof hf_keys / sizeof hf_keys[0],
};
TENON_DECODER_PLUGIN(family, ARCH, "the gpt-oss family of models", "gpt_oss")
