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
    ("mistral", {"layer_types": [SLIDING, SLIDING]}, {}, {"layer_types": [SLIDING, FULL]}),
    ("qwen2_moe", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 2, "layer_types": GONE},
     {"use_sliding_window": True, "sliding_window": 7, "layer_types": [SLIDING, FULL, FULL]}, {}),
    ("deepseek_v2", {"n_shared_experts": GONE}, {"n_shared_experts": 2}, {"n_shared_experts": 0}),
    ("deepseek_v2-groups", {"topk_method": GONE}, {"topk_method": "greedy"}, {}),
    ("deepseek_v3", {"n_shared_experts": GONE}, {}, {"n_shared_experts": 0}),
    ("deepseek_v3", {"norm_topk_prob": GONE, "routed_scaling_factor": GONE}, {}, {"norm_topk_prob": False}),
]
REFUSED = [
    ("gpt_oss", {"swiglu_alpha": 1.0}, "config.swiglu_alpha"),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
     "config.rope_scaling"),
    ("gpt_oss", {"rope_parameters": GONE}, "config.rope_parameters"),
    ("qwen3", {"rope_parameters": {"rope_type": "yarn", "truncate": False, **YARN}}, "config.rope_parameters.truncate"),
    ("deepseek_v3", {"num_experts_per_tok": 6}, "config.num_experts_per_tok"),
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
    print("\n".join(faults + ["%d faults in %d cases" % (len(faults), len(SAME) + len(REFUSED))]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
