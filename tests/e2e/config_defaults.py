#!/usr/bin/env python3
"""config_defaults.py TENON: tiny checkpoints of oracle/families with keys of config.json taken out or changed. A key that is missing
counts as transformers' default for the family, so both give the same bits; what would change logits and is not known is refused by its
name. Standard library only."""
import json
import os
import subprocess
import sys
import tempfile

ORACLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "oracle", "families")
GONE = "<gone>"
YARN = {"rope_theta": 100.0, "factor": 3.0, "original_max_position_embeddings": 16}
SLIDING, FULL = "sliding_attention", "full_attention"
# Family, two changes that mean the same, one that means something else (None: there is none to tell).
SAME = [
    ("qwen3", {"rope_parameters": {"rope_type": "yarn", "truncate": None, **YARN}}, {"rope_parameters": {"rope_type": "yarn", "truncate": False, **YARN}},
     {"rope_parameters": {"rope_type": "yarn", **YARN}}),
    ("cohere", {"rope_parameters": GONE}, {"rope_parameters": {"rope_theta": 500000.0}}, {}),
    ("lfm2", {"rope_parameters": GONE}, {"rope_parameters": {"rope_theta": 1e6}}, {}),
    ("smollm3", {"rope_parameters": GONE}, {"rope_parameters": {"rope_theta": 2e6}}, {}),
    ("gpt_oss", {"rope_parameters": {"rope_type": "default"}}, {"rope_parameters": {"rope_theta": 150000.0}}, {}),
    ("mixtral", {"rope_parameters": GONE}, {"rope_parameters": {"rope_theta": 1e6}}, {}),
    ("stablelm", {"rope_parameters": {"rope_theta": 100.0}}, {}, {"rope_parameters": {"rope_theta": 100.0, "partial_rotary_factor": 0.5}}),
    ("gemma2", {"query_pre_attn_scalar": GONE}, {"query_pre_attn_scalar": 256}, {}),
    ("granite", {"attention_multiplier": GONE}, {"attention_multiplier": 1.0}, {}),
    ("llama", {"sliding_window": 5}, {}, None),
    ("llama", {"rope_parameters": {"type": "yarn", **YARN}}, {"rope_parameters": {"rope_type": "yarn", **YARN}}, {}),
    ("llama", {"rope_parameters": {"rope_type": "yarn", "truncate": True, **YARN}}, {"rope_parameters": {"rope_type": "yarn", **YARN}},
     {"rope_parameters": {"rope_type": "yarn", "truncate": False, **YARN}}),
    ("llama", {"rope_scaling": {"rope_type": "yarn", **YARN}, "rope_parameters": {"rope_type": "yarn", **YARN}},
     {"rope_parameters": {"rope_type": "yarn", **YARN}}, {}),
    ("llama", {"rope_parameters": GONE, "rope_scaling": {"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0}, "rope_theta": 100.0},
     {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0}}, {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
    ("stablelm", {"rope_parameters": GONE, "rope_scaling": {"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0, "partial_rotary_factor": 0.5}},
     {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0, "partial_rotary_factor": 0.5}}, {}),
    ("mistral", {"layer_types": [SLIDING, SLIDING]}, {}, {"layer_types": [SLIDING, FULL]}),
    ("qwen2_moe", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 2, "layer_types": GONE},
     {"use_sliding_window": True, "sliding_window": 7, "layer_types": [SLIDING, FULL, FULL]}, {}),
    ("deepseek_v2", {"n_shared_experts": GONE}, {"n_shared_experts": 2}, {"n_shared_experts": 0}),
    ("deepseek_v2-groups", {"topk_method": GONE}, {"topk_method": "greedy"}, {}),
    ("deepseek_v3", {"n_shared_experts": GONE}, {}, {"n_shared_experts": 0}),
    ("llama", {"partial_rotary_factor": 0.5, "rotary_pct": 0.5, "rotary_dim": 2}, {}, None),
    ("phi3", {"partial_rotary_factor": 0.5}, {}, None),
    ("gpt_neox", {"rope_theta": 5000.0}, {}, {"rope_parameters": {"rope_theta": 5000.0, "partial_rotary_factor": 0.25}}),
    ("starcoder2", {"layer_norm_eps": 0.5}, {}, {"norm_epsilon": 0.5}),
    ("gpt2", {"layer_norm_eps": 0.5, "num_key_value_heads": 1}, {}, {"layer_norm_epsilon": 0.5}),
    ("granite", {"query_pre_attn_scalar": 3}, {}, {"attention_multiplier": 0.7}),
    ("llama", {"tie_word_embeddings": True}, {}, None),
    ("llama-bias", {"attention_bias": GONE}, {"attention_bias": False}, {}),
    ("llama-bias", {"mlp_bias": GONE}, {"mlp_bias": False}, {}),
    ("llama-bias", {"model_type": "mistral", "attention_bias": False, "mlp_bias": False}, {"attention_bias": False, "mlp_bias": False}, {}),
    ("llama-bias", {"model_type": "mistral", "sliding_window": None}, {"attention_bias": False, "mlp_bias": False}, {}),
    ("starcoder2", {"use_bias": GONE}, {}, {"use_bias": False}),
    ("stablelm", {"use_qkv_bias": GONE}, {"use_qkv_bias": False}, {}),
    ("stablelm-parallel", {"qk_layernorm": GONE}, {"qk_layernorm": False}, {}),
    ("cohere-plus", {"use_qk_norm": GONE}, {"use_qk_norm": False}, {}),
    ("qwen2_moe", {"qkv_bias": GONE}, {}, {"qkv_bias": False}),
    ("gpt_oss", {"attention_bias": GONE}, {}, {"attention_bias": False}),
    ("mamba2", {"use_bias": GONE}, {"use_bias": False}, {}),
    ("mamba2", {"use_conv_bias": GONE}, {}, {"use_conv_bias": False}),
    ("lfm2", {"conv_bias": GONE}, {"conv_bias": False}, {}),
    ("gemma2", {"attn_logit_softcapping": GONE, "final_logit_softcapping": GONE}, {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
     {"attn_logit_softcapping": None, "final_logit_softcapping": None}),
    ("smollm3-window", {"use_sliding_window": False}, {}, {"layer_types": [FULL] * 4}),
    ("gpt_oss", {"rope_parameters": {"rope_type": "yarn", "truncate": None, **YARN}}, {"rope_parameters": {"rope_type": "yarn", "truncate": False, **YARN}},
     {"rope_parameters": {"rope_type": "yarn", **YARN}}),
    ("deepseek_v3", {"rope_interleave": None}, {"rope_interleave": False}, {}),
    ("deepseek_v2", {"rope_interleave": False}, {}, None),
    ("deepseek_v3", {"norm_topk_prob": None}, {"norm_topk_prob": False}, {}),
    ("deepseek_v2-groups", {"rope_parameters": {"rope_theta": 100.0, "factor": 4.0, "mscale_all_dim": 0.7}}, {"rope_parameters": {"rope_theta": 100.0}}, {}),
    ("deepseek_v3", {"norm_topk_prob": GONE, "routed_scaling_factor": GONE}, {}, {"norm_topk_prob": False}),
]
REFUSED = [
    ("gpt_oss", {"swiglu_alpha": 1.0}, "config.swiglu_alpha"),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
     "config.rope_scaling"),
    ("gpt_oss", {"rope_parameters": GONE}, "config.rope_parameters"),
    ("deepseek_v3", {"rope_scaling": GONE, "rope_parameters": {"rope_type": "yarn", "truncate": False, **YARN}}, "config.rope_parameters.truncate"),
    ("llama", {"rope_parameters": {"full_attention": {"rope_type": "yarn", **YARN}, "sliding_attention": {"rope_type": "default"}}},
     "config.rope_parameters.full_attention.rope_type"),
    ("modernbert", {"rope_parameters": {FULL: {"rope_theta": 50.0}, SLIDING: {"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0}}},
     "config.rope_parameters.sliding_attention.rope_type is 'linear'"),
    ("deepseek_v2", {"q_lora_rank": 7}, "9 tensors missing: model.layers.0.self_attn.q_a_proj.weight"),
    ("deepseek_v3", {"q_lora_rank": None}, "3 tensors missing: model.layers.0.self_attn.q_proj.weight"),
    ("deepseek_v3", {"num_experts_per_tok": 6}, "config.num_experts_per_tok"),
    ("deepseek_v3", {"n_group": GONE}, "config.n_group is 8"),
    ("deepseek_v2", {"mlp_bias": True}, "config.mlp_bias"),
    ("starcoder2", {"sliding_window": 0}, "config.sliding_window is 0"),
    ("mixtral", {"sliding_window": 0}, "config.sliding_window is 0"),
    ("qwen3-window", {"use_sliding_window": False, "layer_types": [SLIDING, FULL]}, "config.layer_types"),
    ("qwen2_moe-window", {"use_sliding_window": GONE}, "config.layer_types"),
    ("modernbert", {"sliding_window": 5}, "config.sliding_window is 5"),
    ("modernbert", {"rope_parameters": {"rope_theta": 50.0}}, "config.rope_parameters.rope_theta: must be within full_attention"),
    ("gemma3_text-bias", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "config.rope_parameters.rope_type: must be within full_attention"),
    ("gemma3_text-bias", {"rope_scaling": {"type": "dynamic", "factor": 8.0}}, "config.rope_scaling.type is 'dynamic'"),
    ("gpt_oss", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0, "original_max_position_embeddings": 16}},
     "config.rope_scaling.original_max_position_embeddings"),
    ("gemma2", {"attn_logit_softcapping": 0.0}, "config.attn_logit_softcapping is 0"),
    ("llama", {"rope_parameters": {"rope_type": "yarn", **YARN, "original_max_position_embeddings": 1}},
     "config.rope_parameters.original_max_position_embeddings is 1"),
    ("mamba2", {"expand": 3}, "config.expand is 3"),
    ("llama", {"attention_bias": True}, "8 tensors missing"),
    ("deepseek_v2", {"attention_bias": True}, "6 tensors missing"),  # q is whole there
    ("stablelm", {"qk_layernorm": True}, "tensors missing"),
]
# What is said of tensors that a flag of config.json leaves unused.
WARNED = [
    ("llama-bias", {"attention_bias": False}, "8 tensors of the file are used by nothing"),
    ("cohere-plus", {"use_qk_norm": False}, "tensors of the file are used by nothing"),
]


def run(tenon, family, changes):
    """(bits of each position, what it said)"""
    source = os.path.join(ORACLE, family)
    with open(os.path.join(source, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    config.update(changes)
    with tempfile.TemporaryDirectory() as where:
        with open(os.path.join(where, "config.json"), "w", encoding="utf-8") as f:
            json.dump({key: value for key, value in config.items() if value != GONE}, f)
        os.symlink(os.path.join(source, "model.safetensors"), os.path.join(where, "model.safetensors"))
        done = subprocess.run([tenon, "eval", where, "--ids", os.path.join(source, "prompts.json"), "--kv", "f32", "--bits"],
                              capture_output=True, text=True, timeout=120)
    return (done.stdout if done.returncode == 0 else None), done.stderr.strip()


def main(tenon):
    faults = []
    for family, changes, other, unlike in SAME:
        (a, said), (b, said_b) = run(tenon, family, changes), run(tenon, family, other)
        if a is None or a != b:
            faults.append("%s: %s is not as %s: %s %s" % (family, changes, other, said, said_b))
        if unlike is not None and run(tenon, family, unlike)[0] in (a, None):
            faults.append("%s: %s changes nothing" % (family, unlike))
    for family, changes, key in REFUSED:
        bits, said = run(tenon, family, changes)
        if bits is not None or key not in said:
            faults.append("%s: %s is not refused by %s: %s" % (family, changes, key, said))
    for family, changes, text in WARNED:
        bits, said = run(tenon, family, changes)
        if bits is None or text not in said:
            faults.append("%s: %s does not say '%s': %s" % (family, changes, text, said))
    print("\n".join(faults + ["%d faults in %d cases" % (len(faults), len(SAME) + len(REFUSED) + len(WARNED))]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
