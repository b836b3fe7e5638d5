#!/usr/bin/env python3
"""write_gguf.py NAME FILE: a tiny checkpoint of families/ as a GGUF file of float32, in the form that published GGUF files have: names by the
tables of the Python package gguf, rows of q and k in pairs where the architecture turns pairs, norms with their 1, experts in one
tensor, DeepSeek's kv_b in two, and so on. What such a file cannot say of a checkpoint has no key there; LEFT_OUT tells which
checkpoints that hits. Needs numpy and gguf. e2e/families_gguf.py compares what the files compute."""
import json
import math
import os
import re
import struct
import sys

import gguf
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
ARCHS = {"llama": "llama", "mistral": "llama", "mixtral": "llama", "smollm3": "smollm3", "granite": "granite", "qwen2": "qwen2", "qwen3": "qwen3",
         "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe", "gemma2": "gemma2", "gemma3_text": "gemma3", "phi3": "phi3", "olmo2": "olmo2",
         "cohere": "command-r", "starcoder2": "starcoder2", "stablelm": "stablelm", "gpt_neox": "gptneox", "gpt2": "gpt2",
         "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "gpt_oss": "gpt-oss", "mamba2": "mamba2", "lfm2": "lfm2",
         "qwen3_next": "qwen3next", "bert": "bert", "modernbert": "modern-bert"}
LEFT_OUT = {
    "smollm3": "layers that do not turn are every fourth there",
    "gemma2": "the scale of queries is that of their heads there", "gemma3_text": "the scale of queries is that of their heads there",
    "qwen2_moe": "all layers have experts there", "llama-rope-dynamic": "no dynamic scaling there",
    "modernbert": "the layers that see all are every third there",
    "gemma2-bias": "as gemma2", "gemma3_text-bias": "as gemma3_text", "deepseek_v3-half": "keys turn in pairs there",
    **dict.fromkeys(("qwen2-window", "qwen3-window", "qwen3_moe-window", "smollm3-window"), "no windows there"), "gpt_neox-tied": "biases there",
    "qwen2_moe-window": "as qwen2_moe", "deepseek_v3-eps": "one epsilon for all norms there",
}
PAIRED = {"llama", "smollm3", "granite"}               # their q and k are turned in pairs
NORM_PLUS_ONE = {"gemma2", "gemma3", "qwen3next"}


def read_tensors(name):
    with open(os.path.join(HERE, name, "model.safetensors"), "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(size)), f.read()
    tensors = {}
    for key, t in header.items():
        if key != "__metadata__":
            assert t["dtype"] == "F32", key
            start, end = t["data_offsets"]
            if start != end:  # a file of GGUF has no empty ones
                tensors[key] = np.frombuffer(data[start:end], "<f4").reshape(t["shape"])
    return tensors


class Config:
    """config.json, old style or new."""

    def __init__(self, name):
        with open(os.path.join(HERE, name, "config.json"), encoding="utf-8") as f:
            self.all = json.load(f)
        rope = self.all.get("rope_parameters") or {}
        self.local = rope.get("sliding_attention", {})
        rope = {**(self.all.get("rope_scaling") or {}), **rope.get("full_attention", rope)}
        rope.setdefault("rope_theta", self.get("rope_theta", "rotary_emb_base", default=10000.0))
        rope.setdefault("rope_type", rope.get("type", "default"))
        rope.setdefault("partial_rotary_factor", self.get("partial_rotary_factor", "rotary_pct", default=1.0))
        self.rope = rope

    def get(self, *names, default=None):
        return next((self.all[n] for n in names if self.all.get(n) is not None), default)


# ---- keys ----

def attention_keys(c, arch):
    heads, width = c.get("num_attention_heads", "n_head"), c.get("hidden_size", "n_embd")
    head = c.get("head_dim", default=width // heads)
    keys = {"attention.head_count": heads, "attention.head_count_kv": c.get("num_key_value_heads", default=heads)}
    if c.get("head_dim") is not None and arch != "deepseek2":
        keys.update({"attention.key_length": head, "attention.value_length": head})
    if arch not in ("gpt2", "bert", "deepseek2"):
        keys["rope.dimension_count"] = int(head * c.rope["partial_rotary_factor"])
        keys["rope.freq_base"] = float(c.rope["rope_theta"])
    window = c.get("sliding_window", "local_attention")
    if window is not None:
        keys["attention.sliding_window"] = window
    return keys


def rope_keys(c):
    kind, r = c.rope["rope_type"], c.rope
    if kind not in ("linear", "yarn", "longrope"):
        return {}
    keys = {"rope.scaling.type": kind}
    trained = r.get("original_max_position_embeddings") or c.get("original_max_position_embeddings")
    if kind == "longrope":
        factor = c.get("max_position_embeddings") / trained
        keys["rope.scaling.attn_factor"] = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    else:
        keys["rope.scaling.factor"] = float(r["factor"])
    if kind != "linear":
        keys["rope.scaling.original_context_length"] = trained
    if kind == "yarn":
        keys.update({"rope.scaling.yarn_beta_fast": float(r["beta_fast"]), "rope.scaling.yarn_beta_slow": float(r["beta_slow"])})
    return keys


def expert_keys(c, arch):
    n = c.get("num_local_experts", "num_experts", "n_routed_experts")
    if n is None:
        return {}
    keys = {"expert_count": n, "expert_used_count": c.get("num_experts_per_tok")}
    width = c.get("moe_intermediate_size", default=c.get("intermediate_size") if arch == "gpt-oss" else None)
    if width is not None:
        keys["expert_feed_forward_length"] = width
    if c.get("shared_expert_intermediate_size") is not None:
        keys["expert_shared_feed_forward_length"] = c.get("shared_expert_intermediate_size")
    return keys


def deepseek_keys(c):
    """One latent head, which is key and value at once; what a head is without that goes by _mla."""
    rank, rope, nope, is_v3 = c.get("kv_lora_rank"), c.get("qk_rope_head_dim"), c.get("qk_nope_head_dim"), c.get("model_type") == "deepseek_v3"
    keys = {"attention.head_count_kv": 1, "attention.kv_lora_rank": rank, "attention.key_length": rank + rope, "attention.value_length": rank,
            "attention.key_length_mla": nope + rope, "attention.value_length_mla": c.get("v_head_dim"), "rope.dimension_count": rope,
            "leading_dense_block_count": c.get("first_k_dense_replace"), "expert_shared_count": c.get("n_shared_experts"),
            "expert_weights_scale": float(c.get("routed_scaling_factor")), "expert_weights_norm": is_v3 and c.get("norm_topk_prob"),
            "expert_gating_func": 2 if is_v3 else 1, "rope.freq_base": float(c.rope["rope_theta"])}
    if c.get("q_lora_rank") is not None:
        keys["attention.q_lora_rank"] = c.get("q_lora_rank")
    if c.get("n_group", default=1) > 1:
        keys.update({"expert_group_count": c.get("n_group"), "expert_group_used_count": c.get("topk_group")})
    if c.rope["rope_type"] == "yarn":
        keys["rope.scaling.yarn_log_multiplier"] = 0.1 * c.rope["mscale_all_dim"]
    return keys


def family_keys(c, arch):
    if arch == "deepseek2":
        return deepseek_keys(c)
    if arch == "granite":
        return {"attention.scale": c.get("attention_multiplier"), "embedding_scale": c.get("embedding_multiplier"),
                "residual_scale": c.get("residual_multiplier"), "logit_scale": c.get("logits_scaling")}
    if arch == "gemma2":
        return {"attn_logit_softcapping": c.get("attn_logit_softcapping"), "final_logit_softcapping": c.get("final_logit_softcapping")}
    if arch == "command-r":
        return {"logit_scale": c.get("logit_scale")}
    if arch in ("gptneox", "stablelm"):
        return {"use_parallel_residual": c.get("use_parallel_residual", default=arch == "gptneox")}
    if arch == "bert":
        return {"attention.causal": False, "pooling_type": 1}
    if arch == "mamba2":
        inner = c.get("expand") * c.get("hidden_size")
        return {"ssm.inner_size": inner, "ssm.time_step_rank": c.get("num_heads"), "ssm.group_count": c.get("n_groups"),
                "ssm.state_size": c.get("state_size"), "ssm.conv_kernel": c.get("conv_kernel"), "context_length": 1 << 20, "feed_forward_length": 0,
                "attention.head_count": 0}
    if arch == "lfm2":
        kv = [c.get("num_key_value_heads") if kind == "full_attention" else 0 for kind in c.get("layer_types")]
        return {"shortconv.l_cache": c.get("conv_L_cache"), "attention.head_count_kv": kv,
                "feed_forward_length": -(-(2 * c.get("intermediate_size") // 3) // c.get("block_multiple_of")) * c.get("block_multiple_of")}
    if arch == "qwen3next":
        return {"ssm.inner_size": c.get("linear_num_value_heads") * c.get("linear_value_head_dim"), "ssm.state_size": c.get("linear_key_head_dim"),
                "ssm.time_step_rank": c.get("linear_num_value_heads"), "ssm.group_count": c.get("linear_num_key_heads"),
                "ssm.conv_kernel": c.get("linear_conv_kernel_dim"), "full_attention_interval": c.get("full_attention_interval", default=2)}
    return {}


def all_keys(c, arch):
    keys = {"block_count": c.get("num_hidden_layers", "n_layer"), "embedding_length": c.get("hidden_size", "n_embd"),
            "vocab_size": c.get("vocab_size"), "context_length": c.get("max_position_embeddings", "n_positions"),
            "feed_forward_length": c.get("intermediate_size", "n_inner", default=4 * c.get("n_embd", default=0))}
    is_layer_norm = arch in ("gpt2", "gptneox", "starcoder2", "stablelm", "command-r", "bert", "modern-bert")
    keys["attention.layer_norm_epsilon" if is_layer_norm else "attention.layer_norm_rms_epsilon"] = \
        c.get("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps", default=1e-5)
    if arch != "mamba2":
        keys.update(attention_keys(c, arch))
        keys.update(rope_keys(c))
    keys.update(expert_keys(c, arch))
    keys.update(family_keys(c, arch))
    return {key: value for key, value in keys.items() if value is not None}


def add_key(w, key, value):
    if isinstance(value, bool):
        w.add_bool(key, value)
    elif isinstance(value, int):
        w.add_uint32(key, value)
    elif isinstance(value, float):
        w.add_float32(key, value)
    elif isinstance(value, str):
        w.add_string(key, value)
    else:
        w.add_array(key, value)


# ---- tensors ----

def pairs(x, heads):
    """Rows i and i + half of each head beside each other."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def merged_experts(tensors):
    """One tensor for all experts (or heads, of norms) of a layer."""
    out, stacks = {}, {}
    for name, x in tensors.items():
        m = re.fullmatch(r"(.*\.experts|.*layernorm\.norms)\.(\d+)\.(.*)", name)
        if m:
            stacks.setdefault(f"{m[1]}.{m[3]}", {})[int(m[2])] = x
        else:
            out[name] = x
    for name, parts in stacks.items():
        name = re.sub(r"\.norms\.weight$", ".weight", name)
        out[name] = np.stack([parts[i] for i in sorted(parts)])
    return out


def split_kv_b(name, x, c):
    """Each head's key part, turned over, and its value part."""
    nope, v = c.get("qk_nope_head_dim"), c.get("v_head_dim")
    heads = x.reshape(c.get("num_attention_heads"), nope + v, -1)
    stem = name.replace("kv_b_proj", "%s_b_proj")
    return {stem % "k": heads[:, :nope].transpose(0, 2, 1), stem % "v": heads[:, nope:]}


def split_qkvz(name, x, c):
    """q, k and v of all heads in a tensor of their own, z in another; there they stand together by key heads."""
    k_heads, k, v = c.get("linear_num_key_heads"), c.get("linear_key_head_dim"), c.get("linear_value_head_dim")
    values = c.get("linear_num_value_heads") // k_heads * v
    parts = np.split(x.reshape(k_heads, -1, x.shape[1]), [k, 2 * k, 2 * k + values], axis=1)
    flat = [p.reshape(-1, x.shape[1]) for p in parts]
    stem = name.replace("qkvz", "%s")
    return {stem % "qkv": np.concatenate(flat[:3]), stem % "z": flat[3]}


def gpt_oss_experts(name, x):
    """Gates and ups take turns along the last axis; matrices are [in, out] there."""
    x, is_bias = (x if name.endswith("_bias") else x.transpose(0, 2, 1)), name.endswith("_bias")
    stem, end = name.replace("_bias", ""), ".bias" if is_bias else ".weight"
    if "gate_up" not in name:
        return {stem + end: x}
    return {stem.replace("gate_up", "gate") + end: x[:, 0::2], stem.replace("gate_up", "up") + end: x[:, 1::2]}


def neox_qkv(x, heads):
    """q of all heads, then k, then v; there each head has its three beside each other."""
    return x.reshape(heads, 3, -1, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)


def converted(name, x, c, arch):
    """What one tensor becomes: {name: array}."""
    heads, kv = c.get("num_attention_heads", "n_head"), c.get("num_key_value_heads")
    if arch in PAIRED and "self_attn.q_proj" in name:
        return {name: pairs(x, heads)}
    if arch in PAIRED and "self_attn.k_proj" in name:
        return {name: pairs(x, kv)}
    if arch in NORM_PLUS_ONE and name.endswith("norm.weight") and "linear_attn" not in name:
        return {name: x + np.float32(1)}
    if "kv_b_proj" in name:
        return split_kv_b(name, x, c)
    if "in_proj_qkvz" in name:
        return split_qkvz(name, x, c)
    if arch == "gpt-oss" and ".experts." in name:
        return gpt_oss_experts(name, x)
    if "query_key_value" in name:
        return {name: neox_qkv(x, heads)}
    if arch == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return {name: x.T}
    if name.endswith("A_log"):
        return {name: -np.exp(x) if arch == "qwen3next" else (-np.exp(x)).reshape(-1, 1)}
    if name.endswith("mixer.D"):
        return {name: x.reshape(-1, 1)}
    for there, here in (("dt_bias", "dt_proj.bias"), ("e_score_correction_bias", "e_score_correction.bias"), ("self_attn.sinks", "self_attn.sinks.weight")):
        if name.endswith(there):
            return {name.replace(there, here): x}
    if "conv1d.weight" in name or "conv.conv.weight" in name:
        return {name: x.squeeze(1)}
    if arch == "mamba2" and name.endswith("mixer.norm.weight"):
        return {name: x.reshape(c.get("n_groups"), -1)}
    return {name: x}


def gguf_name(names, name):
    """The published name. Those of models without a head are sought with what stands before them there."""
    for spelled in (name, "model." + name, "bert." + name, "transformer." + name):
        found = names.get_name(spelled, (".weight", ".bias"))
        if found is not None:
            return found
    raise ValueError("no name for " + name)


def llama3_factors(c):
    n = c.get("head_dim", default=c.get("hidden_size") // c.get("num_attention_heads"))
    turns = c.rope["original_max_position_embeddings"] * c.rope["rope_theta"] ** (-np.arange(0, n, 2) / n) / (2 * math.pi)
    low, high, factor = c.rope["low_freq_factor"], c.rope["high_freq_factor"], c.rope["factor"]
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - kept) / factor + kept)).astype(np.float32)


def all_tensors(name, c, arch):
    """{name in GGUF: array}"""
    ids = {v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(ids[arch], c.get("num_hidden_layers", "n_layer"))
    out = {}
    for key, x in merged_experts(read_tensors(name)).items():
        if "pooler" in key or ("lm_head" in key and c.get("tie_word_embeddings", default=False)):
            continue
        for new, y in converted(key, x, c, arch).items():
            out[gguf_name(names, new)] = np.ascontiguousarray(y, dtype=np.float32)
    if c.rope["rope_type"] == "llama3":
        out["rope_freqs.weight"] = llama3_factors(c)
    for which in ("short", "long"):
        if c.rope["rope_type"] == "longrope":
            out[f"rope_factors_{which}.weight"] = np.array(c.rope[which + "_factor"], np.float32)
    return out


def write(name, path, packed=None):
    """packed: {name in GGUF: (bytes of each row, their type)} of tensors that are not to be float32."""
    c = Config(name)
    arch = ARCHS[c.get("model_type")]
    w = gguf.GGUFWriter(path, arch)
    w.add_string("tokenizer.ggml.model", "no_vocab")
    for key, value in all_keys(c, arch).items():
        add_key(w, f"{arch}.{key}", value)
    for key, x in all_tensors(name, c, arch).items():
        data, kind = (packed or {}).get(key, (x, None))
        w.add_tensor(key, data, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2])
