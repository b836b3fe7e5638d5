#!/usr/bin/env python3
"""make_families.py [NAME...]: tiny random checkpoints of every family with transformers' float32 logits, into families/NAME/:

    config.json, model.safetensors   as save_pretrained writes them
    prompts.json                     {"name": [token ids...]}, the input of `tenon eval --ids`
    logits.f32                       little-endian [positions of all prompts in order, vocab]; of encoders their last rows [.., width]

Seeded by the name: the same versions give the same files. Every parameter is random, norms and biases too, so that none can be
left out unseen, and each family has its special features switched on, with windows and trained contexts shorter than the prompts.
Needs requirements.txt; e2e/families.py, which compares, needs only the files.
"""
import json
import math
import os
import shutil
import sys
import zlib

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
VOCAB = 64
LENGTHS = {"long": 37, "short": 11, "one": 1}

SIZES = {"vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": False,
         "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def rope(kind="default", theta=100.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


def llama(**more):
    return {"model_type": "llama", **SIZES, "rope_parameters": rope(), **more}


# Frequencies of 4 pairs by base 100 lie on both sides of and within every scaling's ramp.
FAMILIES = {
    "llama": llama(),
    "llama-bias": llama(attention_bias=True, mlp_bias=True, head_dim=12),
    "llama-rope-llama3": llama(max_position_embeddings=512, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)),
    "llama-rope-linear": llama(rope_parameters=rope("linear", factor=4.0)),
    "llama-rope-yarn": llama(max_position_embeddings=128, rope_parameters=rope(
        "yarn", factor=4.0, beta_fast=8.0, beta_slow=1.0, original_max_position_embeddings=32)),
    "llama-rope-dynamic": llama(max_position_embeddings=16, rope_parameters=rope("dynamic", factor=2.0)),
    "mistral": {"model_type": "mistral", **SIZES, "head_dim": 16, "sliding_window": 7, "rope_parameters": rope()},
    "smollm": llama(num_attention_heads=3, num_key_value_heads=1, hidden_size=24, tie_word_embeddings=True),
    "smollm3": {"model_type": "smollm3", **SIZES, "num_hidden_layers": 4, "no_rope_layer_interval": 3, "tie_word_embeddings": True,
                "rope_parameters": rope()},
    "granite": {"model_type": "granite", **SIZES, "embedding_multiplier": 3.0, "attention_multiplier": 0.2,
                "residual_multiplier": 0.4, "logits_scaling": 2.5, "tie_word_embeddings": True, "rope_parameters": rope()},
    "qwen2": {"model_type": "qwen2", **SIZES, "rope_parameters": rope()},
    "qwen3": {"model_type": "qwen3", **SIZES, "head_dim": 16, "rope_parameters": rope()},
    "qwen3-bias": {"model_type": "qwen3", **SIZES, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 12,
                   "attention_bias": True, "tie_word_embeddings": True, "rope_parameters": rope()},
    "gemma2": {"model_type": "gemma2", **SIZES, "num_hidden_layers": 4, "head_dim": 16, "query_pre_attn_scalar": 24,
               "attn_logit_softcapping": 4.0, "final_logit_softcapping": 3.0, "sliding_window": 7, "tie_word_embeddings": True,
               "rope_parameters": rope()},
    "gemma3_text": {"model_type": "gemma3_text", **SIZES, "num_hidden_layers": 4, "head_dim": 16, "query_pre_attn_scalar": 24,
                    "sliding_window": 7, "tie_word_embeddings": True,
                    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
                    "rope_parameters": {"sliding_attention": rope(theta=30.0),
                                        "full_attention": rope("linear", theta=1000.0, factor=8.0)}},
    "phi3": {"model_type": "phi3", **SIZES, "sliding_window": 9, "rope_parameters": rope()},
    "phi3-rope-longrope": {"model_type": "phi3", **SIZES, "num_attention_heads": 2, "num_key_value_heads": 1, "sliding_window": None,
                           "original_max_position_embeddings": 16,
                           "rope_parameters": rope("longrope", partial_rotary_factor=0.75,
                                                   short_factor=[1.0, 1.05, 1.1, 1.2, 1.3, 1.5],
                                                   long_factor=[1.0, 1.5, 2.0, 3.0, 3.5, 4.0],
                                                   original_max_position_embeddings=16)},
    "gpt2": {"model_type": "gpt2", "vocab_size": VOCAB, "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64,
             "bos_token_id": 1, "eos_token_id": 2},
    "gpt_neox": {"model_type": "gpt_neox", **SIZES, "num_attention_heads": 2, "use_parallel_residual": True,
                 "rope_parameters": rope(partial_rotary_factor=0.25)},
    "gpt_neox-serial": {"model_type": "gpt_neox", **SIZES, "num_attention_heads": 2, "use_parallel_residual": False,
                        "rope_parameters": rope(partial_rotary_factor=0.5)},
    "starcoder2": {"model_type": "starcoder2", **SIZES, "sliding_window": 9, "use_bias": True, "tie_word_embeddings": True,
                   "rope_parameters": rope()},
    "stablelm": {"model_type": "stablelm", **SIZES, "num_attention_heads": 2, "num_key_value_heads": 2, "use_qkv_bias": True,
                 "rope_parameters": rope(partial_rotary_factor=0.25)},
    "stablelm-parallel": {"model_type": "stablelm", **SIZES, "num_attention_heads": 2, "num_key_value_heads": 1,
                          "qk_layernorm": True, "use_parallel_residual": True,
                          "rope_parameters": rope(partial_rotary_factor=0.25)},
    "olmo2": {"model_type": "olmo2", **SIZES, "rope_parameters": rope()},
    "cohere": {"model_type": "cohere", **SIZES, "logit_scale": 0.25, "use_qk_norm": False, "tie_word_embeddings": True,
               "rope_parameters": rope()},
    "cohere-plus": {"model_type": "cohere", **SIZES, "logit_scale": 0.25, "use_qk_norm": True, "tie_word_embeddings": True,
                    "rope_parameters": rope()},
    "mixtral": {"model_type": "mixtral", **SIZES, "num_local_experts": 4, "num_experts_per_tok": 2, "rope_parameters": rope()},
    "qwen2_moe": {"model_type": "qwen2_moe", **SIZES, "num_hidden_layers": 3, "num_experts": 6, "num_experts_per_tok": 3,
                  "moe_intermediate_size": 24, "shared_expert_intermediate_size": 40, "norm_topk_prob": False,
                  "mlp_only_layers": [1], "decoder_sparse_step": 1, "rope_parameters": rope()},
    "qwen3_moe": {"model_type": "qwen3_moe", **SIZES, "head_dim": 16, "num_experts": 6, "num_experts_per_tok": 3,
                  "moe_intermediate_size": 24, "norm_topk_prob": True, "mlp_only_layers": [], "decoder_sparse_step": 1,
                  "rope_parameters": rope()},
    "gpt_oss": {"model_type": "gpt_oss", **SIZES, "num_hidden_layers": 3, "head_dim": 16, "num_local_experts": 4,
                "num_experts_per_tok": 2, "intermediate_size": 20, "sliding_window": 7, "max_position_embeddings": 128,
                "rope_parameters": rope("yarn", factor=4.0, beta_fast=8.0, beta_slow=1.0, truncate=False,
                                        original_max_position_embeddings=32)},
    "deepseek_v2": {"model_type": "deepseek_v2", **SIZES, "num_key_value_heads": 4, "num_hidden_layers": 3, "q_lora_rank": None,
                    "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 10,
                    "n_routed_experts": 6, "n_shared_experts": 2, "num_experts_per_tok": 3, "moe_intermediate_size": 16,
                    "first_k_dense_replace": 1, "topk_method": "greedy", "n_group": 1, "topk_group": 1, "norm_topk_prob": False,
                    "routed_scaling_factor": 1.5, "rope_parameters": rope()},
    "deepseek_v2-groups": {"model_type": "deepseek_v2", **SIZES, "num_key_value_heads": 4, "q_lora_rank": 20,
                           "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 10,
                           "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "moe_intermediate_size": 16,
                           "first_k_dense_replace": 0, "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2,
                           "routed_scaling_factor": 2.0, "max_position_embeddings": 128,
                           "rope_parameters": rope("yarn", factor=4.0, beta_fast=8.0, beta_slow=1.0, mscale=0.7,
                                                   mscale_all_dim=0.7, original_max_position_embeddings=32)},
    "deepseek_v3": {"model_type": "deepseek_v3", **SIZES, "num_key_value_heads": 4, "num_hidden_layers": 3, "q_lora_rank": 20,
                    "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 10,
                    "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "moe_intermediate_size": 16,
                    "first_k_dense_replace": 1, "n_group": 4, "topk_group": 2, "norm_topk_prob": True,
                    "routed_scaling_factor": 2.5, "max_position_embeddings": 128, "rope_interleave": True,
                    "rope_parameters": rope("yarn", factor=4.0, beta_fast=8.0, beta_slow=1.0, mscale=1.0,
                                            mscale_all_dim=1.0, original_max_position_embeddings=32)},
    "mamba2": {"model_type": "mamba2", "vocab_size": VOCAB, "hidden_size": 32, "state_size": 12, "num_hidden_layers": 2,
               "num_heads": 8, "head_dim": 8, "expand": 2, "n_groups": 2, "conv_kernel": 4, "use_conv_bias": True,
               "use_bias": True, "chunk_size": 16, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
               "pad_token_id": 0},
    "lfm2": {"model_type": "lfm2", **SIZES, "num_hidden_layers": 4, "conv_L_cache": 3, "conv_bias": True,
             "block_auto_adjust_ff_dim": True, "block_multiple_of": 16, "layer_types": ["conv", "full_attention", "conv", "full_attention"],
             "tie_word_embeddings": True, "rope_parameters": rope()},
    "qwen3_next": {"model_type": "qwen3_next", **SIZES, "num_hidden_layers": 4, "head_dim": 16, "num_experts": 4,
                   "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 24,
                   "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
                   "linear_conv_kernel_dim": 4, "full_attention_interval": 2, "norm_topk_prob": True, "mlp_only_layers": [],
                   "decoder_sparse_step": 1, "rope_parameters": rope(partial_rotary_factor=0.25)},
}
# What a published model rarely says, but its config.json may.
FAMILIES["gemma2-bias"] = {**FAMILIES["gemma2"], "num_hidden_layers": 2, "attention_bias": True}
FAMILIES["gemma3_text-bias"] = {**FAMILIES["gemma3_text"], "attention_bias": True}
FAMILIES["deepseek_v3-half"] = {**FAMILIES["deepseek_v3"], "num_hidden_layers": 2, "rope_interleave": False}
FAMILIES["deepseek_v3-bias"] = {**FAMILIES["deepseek_v3"], "num_hidden_layers": 2, "attention_bias": True}
FAMILIES["deepseek_v2-unshared"] = {**FAMILIES["deepseek_v2"], "num_hidden_layers": 2, "n_shared_experts": 0}
FAMILIES["granite-bias"] = {**FAMILIES["granite"], "attention_bias": True, "mlp_bias": True}
FAMILIES["olmo2-bias"] = {**FAMILIES["olmo2"], "attention_bias": True}
FAMILIES["starcoder2-plain"] = {**FAMILIES["starcoder2"], "use_bias": False}
FAMILIES["gpt_neox-tied"] = {**FAMILIES["gpt_neox-serial"], "tie_word_embeddings": True, "attention_bias": False}
FAMILIES["qwen2-window"] = {**FAMILIES["qwen2"], "num_hidden_layers": 3, "use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}
FAMILIES["qwen3-window"] = {**FAMILIES["qwen3"], "num_hidden_layers": 3, "use_sliding_window": True, "sliding_window": 7,
                            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
FAMILIES["qwen3_moe-window"] = {**FAMILIES["qwen3_moe"], "use_sliding_window": True, "sliding_window": 7, "attention_bias": True}
FAMILIES["smollm3-window"] = {**FAMILIES["smollm3"], "use_sliding_window": True, "sliding_window": 7, "mlp_bias": True}
FAMILIES["qwen2_moe-window"] = {**FAMILIES["qwen2_moe"], "use_sliding_window": True, "sliding_window": 7, "max_window_layers": 2, "qkv_bias": False}
FAMILIES["deepseek_v3-eps"] = {**FAMILIES["deepseek_v3"], "num_hidden_layers": 2, "rms_norm_eps": 0.1,
                               "rope_parameters": rope("linear", factor=4.0, mscale_all_dim=1.0)}
FAMILIES["gpt2-odd"] = {**FAMILIES["gpt2"], "n_embd": 28}
# Encoders, whose rows are compared instead of logits.
ENCODER_SIZES = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
ENCODERS = {
    "bert": {"model_type": "bert", **ENCODER_SIZES, "type_vocab_size": 2, "hidden_act": "gelu"},
    "modernbert": {"model_type": "modernbert", **ENCODER_SIZES, "num_hidden_layers": 4, "local_attention": 8,
                   "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
                   "rope_parameters": {"full_attention": rope(theta=1000.0), "sliding_attention": rope(theta=30.0)}},
}
FAMILIES.update(ENCODERS)
# config.json as transformers 4 wrote it, and so as most published models have it.
OLD_STYLE = {"llama-rope-llama3", "llama-rope-linear", "llama-rope-yarn", "llama-rope-dynamic", "smollm", "qwen2", "gemma3_text",
             "phi3-rope-longrope", "gpt_neox", "deepseek_v3", "qwen2-window"}


def seed(name):
    torch.manual_seed(zlib.crc32(name.encode()))


def randomise(model):
    """Norms around what they multiply by untrained, biases of their size, matrices that keep sizes."""
    with torch.no_grad():
        for name, p in sorted(list(model.named_parameters()) + [b for b in model.named_buffers() if "e_score_correction" in b[0]]):
            last = name.rsplit(".", 1)[-1]
            if last in ("A_log", "dt_bias", "D"):
                p.copy_({"A_log": torch.rand(p.shape) * 2, "dt_bias": torch.randn(p.shape), "D": torch.randn(p.shape)}[last])
            elif "norm" in name.lower() or "ln_" in name:
                p.copy_((p.mean().round() if last == "weight" else 0) + 0.3 * torch.randn(p.shape))
            elif last.endswith("bias") or last in ("sinks", "e_score_correction_bias") or p.dim() == 1:
                p.copy_(0.3 * torch.randn(p.shape))
            elif "embed" in name or "wte" in name or "wpe" in name or "embeddings" in name:
                p.copy_(torch.randn(p.shape))
            else:
                p.copy_(torch.randn(p.shape) * 1.3 / math.sqrt(p.shape[-1]))


def old_style(name, config):
    """rope_parameters as rope_theta and rope_scaling; layers' kinds as a pattern."""
    rope_of = config.pop("rope_parameters")
    if "sliding_attention" in rope_of:
        config["rope_local_base_freq"] = rope_of["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = config.pop("layer_types").index("full_attention") + 1
        rope_of = rope_of["full_attention"]
    if name == "gpt_neox":
        config["rotary_emb_base"], config["rotary_pct"] = rope_of["rope_theta"], rope_of["partial_rotary_factor"]
        return
    if name == "qwen2-window":
        del config["layer_types"]
    config["rope_theta"] = rope_of.pop("rope_theta")
    if "partial_rotary_factor" in rope_of:
        config["partial_rotary_factor"] = rope_of.pop("partial_rotary_factor")
    kind = rope_of.pop("rope_type")
    if kind == "longrope":
        rope_of.pop("original_max_position_embeddings")
    config["rope_scaling"] = {"rope_type" if kind == "llama3" or "gemma3" in name else "type": kind, **rope_of} if kind != "default" else None


def rewrite_config(where, name):
    path = os.path.join(where, "config.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    if name in OLD_STYLE:
        old_style(name, config)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f, indent=1, sort_keys=True)
        f.write("\n")


def logits_of(model, prompts):
    with torch.no_grad():
        if model.config.model_type in ENCODERS:
            return torch.cat([model(torch.tensor([ids])).last_hidden_state[0] for ids in prompts.values()])
        return torch.cat([model(torch.tensor([ids]), use_cache=False).logits[0] for ids in prompts.values()])


def make(name):
    """One family's directory. What transformers makes of it again must be the model it was written from."""
    seed(name)
    config = AutoConfig.for_model(**FAMILIES[name])
    auto = AutoModel if name in ENCODERS else AutoModelForCausalLM
    model = auto.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    randomise(model)
    where = os.path.join(HERE, name)
    shutil.rmtree(where, ignore_errors=True)
    model.save_pretrained(where)
    for extra in set(os.listdir(where)) - {"config.json", "model.safetensors"}:
        os.remove(os.path.join(where, extra))
    rewrite_config(where, name)
    prompts = {key: torch.randint(3, VOCAB, (n,)).tolist() for key, n in LENGTHS.items()}
    logits = logits_of(model, prompts)
    again = auto.from_pretrained(where, attn_implementation="eager", dtype=torch.float32).eval()
    assert float((logits_of(again, prompts) - logits).abs().max()) < 1e-5 * float(logits.abs().max()), name + " read back is another model"
    assert logits.shape[1] == (config.hidden_size if name in ENCODERS else VOCAB) and bool(torch.isfinite(logits).all())
    with open(os.path.join(where, "prompts.json"), "w", encoding="utf-8") as f:
        json.dump(prompts, f)
        f.write("\n")
    logits.float().numpy().astype("<f4").tofile(os.path.join(where, "logits.f32"))
    print("%-22s %7d bytes, logits within %.3g" % (name, sum(os.path.getsize(os.path.join(where, f)) for f in os.listdir(where)),
                                                  logits.abs().max()))


def main(names):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in names or FAMILIES:
        make(name)
    with open(os.path.join(HERE, "versions.json"), "w", encoding="utf-8") as f:
        json.dump({"torch": torch.__version__, "transformers": transformers.__version__}, f)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
