#!/usr/bin/env python3
"""expand_smollm2.py GGUF FOLDER [TENON]: SmolLM2's GGUF, expanded by transformers to float16, into FOLDER:

    single/, sharded/   Hugging Face directories as save_pretrained writes them, in one file and in files of 60 MB
    llama.gguf          the same float16 weights; q and k have their rows in pairs, as llama GGUFs do
    unpaired.gguf       the same weights with their rows as they are: called qwen2, with biases of zero

With a TENON it compares the logits of `tenon eval` on the beginnings of smollm2-ids.json's texts, with both kinds of cache. Those of
single, sharded and unpaired.gguf must be the same to the bit. llama.gguf sums the products of q and k in another order, so its may
differ by BOUND; a cache of 16 bits rounds that difference up now and then, so there it is only told.
What is in FOLDER already is not made again. Needs requirements.txt.
"""
import json
import os
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS = 48  # of each text
BOUND = 3e-6  # of the largest logit, with a cache of 32 bits; 1.4e-6 was measured, and 3.4e-4 with 16
PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def make_directories(source, folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    place, name = os.path.split(os.path.abspath(source))
    model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float16)
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
    for kind, size in (("single", "5GB"), ("sharded", "60MB")):
        model.save_pretrained(os.path.join(folder, kind), max_shard_size=size)
        tokenizer.save_pretrained(os.path.join(folder, kind))


def gguf_name(name):
    named = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    words = name.split(".")
    return named.get(name) or "blk.%s.%s.weight" % (words[2], PARTS[".".join(words[3:-1])])


def in_pairs(rows, heads):
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))


def make_gguf(folder, family, path):
    import gguf
    from safetensors.numpy import load_file
    source = os.path.join(folder, "single")
    with open(os.path.join(source, "config.json")) as f:
        c = json.load(f)
    w = gguf.GGUFWriter(path, family)
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_vocab_size(c["vocab_size"])
    w.add_rope_freq_base(c["rope_parameters"]["rope_theta"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    for name, rows in load_file(os.path.join(source, "model.safetensors")).items():
        part = gguf_name(name)
        which = part.split(".")[-2]
        if family == "llama" and which in ("attn_q", "attn_k"):
            rows = in_pairs(rows, c["num_attention_heads" if which == "attn_q" else "num_key_value_heads"])
        w.add_tensor(part, rows)
        if family == "qwen2" and which in ("attn_q", "attn_k", "attn_v"):
            w.add_tensor(part.replace("weight", "bias"), np.zeros(rows.shape[0], np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def evaluate(tenon, model, ids, cache):
    out = subprocess.run([tenon, "eval", model, "--ids", "-", "--logits", "--json", "--kv", cache], input=json.dumps(ids),
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    texts = json.loads(out)
    return np.concatenate([np.array(texts[name], np.float64) for name in sorted(ids)])


def compare(tenon, folder):
    with open(os.path.join(HERE, "smollm2-ids.json")) as f:
        ids = {name: row[:TOKENS] for name, row in json.load(f).items()}
    failed = 0
    for cache in "f32", "f16":
        want = evaluate(tenon, os.path.join(folder, "single"), ids, cache)
        largest = np.abs(want).max()
        for name, bound in (("sharded", 0), ("unpaired.gguf", 0), ("llama.gguf", BOUND if cache == "f32" else 1)):
            most = np.abs(evaluate(tenon, os.path.join(folder, name), ids, cache) - want).max()
            print("%s, cache %s: %d positions, logits up to %.1f, largest difference %g, %.2g of it" % (
                name, cache, len(want), largest, most, most / largest))
            failed += not most <= bound * largest
    return failed


def main():
    source, folder = sys.argv[1:3]
    if not os.path.exists(os.path.join(folder, "sharded", "tokenizer.json")):
        make_directories(source, folder)
    for name, family in (("llama.gguf", "llama"), ("unpaired.gguf", "qwen2")):
        if not os.path.exists(os.path.join(folder, name)):
            make_gguf(folder, family, os.path.join(folder, name))
    return compare(sys.argv[3], folder) != 0 if len(sys.argv) > 3 else 0


if __name__ == "__main__":
    sys.exit(main())
