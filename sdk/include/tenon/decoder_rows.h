/* decoder_rows.h - the tables of weights of families of decoders, as rows of struct tenon_weight_row that many of them share.
 *
 *     static const struct tenon_weight_row rows[] = {TENON_DECODER_ROWS, TENON_DECODER_QKV_BIAS(0)};
 *
 * A part of decoder.h, which says how a family is made of it. Nothing here is part of the ABI.
 */
#ifndef TENON_DECODER_ROWS_H
#define TENON_DECODER_ROWS_H

#include <tenon/build.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes that weights have, for the dims of tenon_weight_row. */
enum tenon_decoder_size {
    TENON_SIZE_EMBED, TENON_SIZE_VOCAB, TENON_SIZE_Q, TENON_SIZE_K, TENON_SIZE_V, TENON_SIZE_ATTN, TENON_SIZE_FFN, TENON_SIZE_K_DIM,
    TENON_SIZE_HALF_ROT, TENON_SIZE_HEADS, TENON_SIZE_KV_HEADS, TENON_SIZE_ONE, TENON_SIZE_EXPERTS, TENON_SIZE_EXPERT_FFN, TENON_SIZE_SHARED_FFN,
    TENON_SIZE_OWN, /* and 7 more are the family's */
    TENON_DECODER_SIZES = TENON_SIZE_OWN + 8
};

/* Which layers have a weight, `only` of a row. */
#define TENON_ONLY_DENSE 1     /* those with one net */
#define TENON_ONLY_EXPERTS 2   /* those with experts */
#define TENON_ONLY_ATTENTION 3
#define TENON_ONLY_RECURRENT 4 /* those without attention */
#define TENON_ONLY_LATER 5     /* all but the first */
#define TENON_ONLY_SHARED 6    /* those with experts, of models that also have a net for every token */
#define TENON_ONLY_COUNT 7

/* Rows of a layer's weights; logical names, GGUF's and Hugging Face's without their ends. axis: along which a matrix is
 * sharded. */
#define TENON_LAYER_MATRIX(name, gguf, hf, out, in, axis) TENON_LAYER_MATRIX_OF(0, name, gguf, hf, out, in, axis)
#define TENON_LAYER_MATRIX_OF(only_, name_, gguf_, hf_, out_, in_, axis_)                                                              \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 2, .dims = {out_, in_, 0}, .shard_axis = axis_, .hf = "model.layers.{i}." hf_ ".weight", .only = only_}
#define TENON_LAYER_NORM_BY(name_, gguf_, hf_, size_, xform_)                                                                \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_NORM, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 1, .dims = {size_, 0, 0}, .shard_axis = -1, .hf = "model.layers.{i}." hf_ ".weight", .hf_xform = xform_}
#define TENON_LAYER_NORM(name_, gguf_, hf_, size_) TENON_LAYER_NORM_BY(name_, gguf_, hf_, size_, TENON_XFORM_NONE)
#define TENON_LAYER_BIAS(name_, gguf_, hf_, size_, axis_, flags_)                                                            \
    {.name = "layers.{i}." name_ "_bias", .gguf = "blk.{i}." gguf_ ".bias", .role = TENON_ROLE_BIAS,                         \
     .flags = TENON_WEIGHT_LAYERED | (flags_), .rank = 1, .dims = {size_, 0, 0}, .shard_axis = axis_,                        \
     .hf = "model.layers.{i}." hf_ ".bias"}

/* A tensor that old directories have in each layer though it follows from the config. */
#define TENON_LAYER_UNUSED(name_, hf_)                                                                                       \
    {.name = "layers.{i}." name_, .role = TENON_ROLE_OTHER, .rank = 1, .dims = {TENON_SIZE_ONE, 0, 0}, .shard_axis = -1, .hf = hf_, \
     .flags = TENON_WEIGHT_LAYERED | TENON_WEIGHT_OPTIONAL | TENON_WEIGHT_UNUSED}

/* What nearly every decoder has: embedding, attention, gated net, a norm before each and at the end; the output may be the
 * embedding. By parts for those that have some of it. xform: of the norms, in Hugging Face directories. */
#define TENON_DECODER_EMBED_ROW                                                                                              \
    {.name = "token_embd", .gguf = "token_embd.weight", .role = TENON_ROLE_EMBED, .rank = 2,                                 \
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .hf = "model.embed_tokens.weight"}
#define TENON_DECODER_ATTENTION_ROWS                                                                                         \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_q", "attn_q", "self_attn.q_proj", TENON_SIZE_Q, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_k", "attn_k", "self_attn.k_proj", TENON_SIZE_K, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_v", "attn_v", "self_attn.v_proj", TENON_SIZE_V, TENON_SIZE_EMBED, 0),                           \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_ATTENTION, "attn_output", "attn_output", "self_attn.o_proj", TENON_SIZE_EMBED, TENON_SIZE_ATTN, 1),                           \
    TENON_LAYER_UNUSED("rotary", "model.layers.{i}.self_attn.rotary_emb.inv_freq")
#define TENON_DECODER_FFN_ROWS                                                                                               \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_DENSE, "ffn_gate", "ffn_gate", "mlp.gate_proj", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),                        \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_DENSE, "ffn_up", "ffn_up", "mlp.up_proj", TENON_SIZE_FFN, TENON_SIZE_EMBED, 0),                              \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_DENSE, "ffn_down", "ffn_down", "mlp.down_proj", TENON_SIZE_EMBED, TENON_SIZE_FFN, 1)
#define TENON_DECODER_OUTPUT_ROWS(xform_)                                                                                    \
    {.name = "output_norm", .gguf = "output_norm.weight", .role = TENON_ROLE_NORM, .rank = 1, .dims = {TENON_SIZE_EMBED, 0, 0}, \
     .shard_axis = -1, .hf = "model.norm.weight", .hf_xform = xform_},                                                       \
    {.name = "output", .gguf = "output.weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_OPTIONAL, .rank = 2,        \
     .dims = {TENON_SIZE_VOCAB, TENON_SIZE_EMBED, 0}, .tied_to = "token_embd", .hf = "lm_head.weight"}
#define TENON_DECODER_ROWS                                                                                                   \
    TENON_DECODER_EMBED_ROW,                                                                                                 \
    TENON_LAYER_NORM("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED),                                         \
    TENON_DECODER_ATTENTION_ROWS,                                                                                            \
    TENON_LAYER_NORM("ffn_norm", "ffn_norm", "post_attention_layernorm", TENON_SIZE_EMBED),                                  \
    TENON_DECODER_FFN_ROWS,                                                                                                  \
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_NONE)
/* flags: TENON_WEIGHT_OPTIONAL where only some models of the family have them. */
#define TENON_DECODER_QKV_BIAS(flags)                                                  \
    TENON_LAYER_BIAS("attn_q", "attn_q", "self_attn.q_proj", TENON_SIZE_Q, 0, flags),  \
    TENON_LAYER_BIAS("attn_k", "attn_k", "self_attn.k_proj", TENON_SIZE_K, 0, flags),  \
    TENON_LAYER_BIAS("attn_v", "attn_v", "self_attn.v_proj", TENON_SIZE_V, 0, flags)
/* The same of gate, up and down. */
#define TENON_DECODER_FFN_BIAS(flags)                                                  \
    TENON_LAYER_BIAS("ffn_gate", "ffn_gate", "mlp.gate_proj", TENON_SIZE_FFN, 0, flags), \
    TENON_LAYER_BIAS("ffn_up", "ffn_up", "mlp.up_proj", TENON_SIZE_FFN, 0, flags),     \
    TENON_LAYER_BIAS("ffn_down", "ffn_down", "mlp.down_proj", TENON_SIZE_EMBED, -1, flags)
/* Of what attention gives. */
#define TENON_DECODER_ATTN_OUT_BIAS(flags) \
    TENON_LAYER_BIAS("attn_output", "attn_output", "self_attn.o_proj", TENON_SIZE_EMBED, -1, flags)
/* RMS norms of each head of q and k, before they are turned. */
#define TENON_DECODER_QK_NORM_BY(xform)                                                             \
    TENON_LAYER_NORM_BY("attn_q_norm", "attn_q_norm", "self_attn.q_norm", TENON_SIZE_K_DIM, xform), \
    TENON_LAYER_NORM_BY("attn_k_norm", "attn_k_norm", "self_attn.k_norm", TENON_SIZE_K_DIM, xform)
#define TENON_DECODER_QK_NORM TENON_DECODER_QK_NORM_BY(TENON_XFORM_NONE)
/* TENON_DECODER_ROWS with norms behind attention and net too. */
#define TENON_DECODER_ROWS_NORMED(xform)                                                                                     \
    TENON_DECODER_EMBED_ROW,                                                                                                 \
    TENON_LAYER_NORM_BY("attn_norm", "attn_norm", "input_layernorm", TENON_SIZE_EMBED, xform),                               \
    TENON_DECODER_ATTENTION_ROWS,                                                                                            \
    TENON_LAYER_NORM_BY("attn_post_norm", "post_attention_norm", "post_attention_layernorm", TENON_SIZE_EMBED, xform),       \
    TENON_LAYER_NORM_BY("ffn_norm", "ffn_norm", "pre_feedforward_layernorm", TENON_SIZE_EMBED, xform),                       \
    TENON_DECODER_FFN_ROWS,                                                                                                  \
    TENON_LAYER_NORM_BY("ffn_post_norm", "post_ffw_norm", "post_feedforward_layernorm", TENON_SIZE_EMBED, xform),            \
    TENON_DECODER_OUTPUT_ROWS(xform)
/* A row of a layer with nothing usual about it; more fields may follow it in the braces: {TENON_LAYER_ROW(...), .only = ...}. */
#define TENON_LAYER_ROW(name, gguf, hf, role, rank, d0, d1) TENON_LAYER_ROW_AT("model.layers.{i}.", name, gguf, hf, role, rank, d0, d1)
#define TENON_LAYER_ROW_AT(at, name_, gguf_, hf_, role_, rank_, d0_, d1_)                                                    \
    .name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_, .role = role_, .flags = TENON_WEIGHT_LAYERED, .rank = rank_,      \
    .dims = {d0_, d1_, 0}, .shard_axis = -1, .hf = at hf_

/* Experts by a router, each a gated net; Hugging Face has a tensor for each, `{e}` in its name. */
#define TENON_EXPERT_MATRIX(name_, gguf_, hf_, out_, in_)                                                                    \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}." gguf_ ".weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 3, .dims = {TENON_SIZE_EXPERTS, out_, in_}, .shard_axis = 0, .hf = "model.layers.{i}." hf_ ".weight",            \
     .hf_xform = TENON_XFORM_STACK_EXPERTS, .only = TENON_ONLY_EXPERTS}
#define TENON_ROUTER_ROW(hf_)                                                                                                \
    {.name = "layers.{i}.ffn_router", .gguf = "blk.{i}.ffn_gate_inp.weight", .role = TENON_ROLE_ROUTER, .flags = TENON_WEIGHT_LAYERED, \
     .rank = 2, .dims = {TENON_SIZE_EXPERTS, TENON_SIZE_EMBED, 0}, .shard_axis = -1, .hf = "model.layers.{i}." hf_ ".weight", \
     .only = TENON_ONLY_EXPERTS}
#define TENON_EXPERT_ROWS(router, experts, gate, up, down)                                                                   \
    TENON_ROUTER_ROW(router),                                                                                                \
    TENON_EXPERT_MATRIX("ffn_experts_gate", "ffn_gate_exps", experts ".{e}." gate, TENON_SIZE_EXPERT_FFN, TENON_SIZE_EMBED), \
    TENON_EXPERT_MATRIX("ffn_experts_up", "ffn_up_exps", experts ".{e}." up, TENON_SIZE_EXPERT_FFN, TENON_SIZE_EMBED),       \
    TENON_EXPERT_MATRIX("ffn_experts_down", "ffn_down_exps", experts ".{e}." down, TENON_SIZE_EMBED, TENON_SIZE_EXPERT_FFN)
/* A net that every token takes beside its experts, unless `is_unshared`. */
#define TENON_SHARED_EXPERT_ROWS(hf)                                                                                         \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_SHARED, "ffn_shared_gate", "ffn_gate_shexp", hf ".gate_proj", TENON_SIZE_SHARED_FFN, TENON_SIZE_EMBED, 0), \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_SHARED, "ffn_shared_up", "ffn_up_shexp", hf ".up_proj", TENON_SIZE_SHARED_FFN, TENON_SIZE_EMBED, 0), \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_SHARED, "ffn_shared_down", "ffn_down_shexp", hf ".down_proj", TENON_SIZE_EMBED, TENON_SIZE_SHARED_FFN, 1)
#define TENON_SHARED_GATE_ROW(hf) \
    TENON_LAYER_MATRIX_OF(TENON_ONLY_SHARED, "ffn_shared_router", "ffn_gate_inp_shexp", hf, TENON_SIZE_ONE, TENON_SIZE_EMBED, -1)
/* Llama 3's scaling: a divisor for each pair's frequency. In a Hugging Face directory there is a formula instead. */
#define TENON_ROPE_FACTORS "rope_factors"
#define TENON_DECODER_ROPE_FACTORS TENON_ROPE_ROW(TENON_ROPE_FACTORS, "rope_freqs.weight")

/* longrope's two lists of divisors, one of which the context chooses. */
#define TENON_ROPE_ROW(name_, gguf_)                                                                                         \
    {.name = name_, .gguf = gguf_, .role = TENON_ROLE_OTHER, .flags = TENON_WEIGHT_OPTIONAL, .rank = 1,                      \
     .dims = {TENON_SIZE_HALF_ROT, 0, 0}, .shard_axis = -1}
#define TENON_DECODER_ROPE_FACTORS_BY_CONTEXT                   \
    TENON_ROPE_ROW("rope_factors_short", "rope_factors_short.weight"), \
    TENON_ROPE_ROW("rope_factors_long", "rope_factors_long.weight")

/* Biases of layer norms and of nets. */
#define TENON_LAYER_NORM_BIAS(name, gguf, hf, flags) TENON_LAYER_BIAS(name, gguf, hf, TENON_SIZE_EMBED, -1, flags)
#define TENON_OUTPUT_NORM_BIAS(hf_)                                                                                          \
    {.name = "output_norm_bias", .gguf = "output_norm.bias", .role = TENON_ROLE_BIAS, .rank = 1, .dims = {TENON_SIZE_EMBED, 0, 0}, \
     .shard_axis = -1, .hf = hf_}

#ifdef __cplusplus
}
#endif
#endif
