#!/usr/bin/env python3
"""make_nf4.py FOLDER [--fixture]: a tiny llama of random weights, quantised to NF4 by bitsandbytes on the CPU, without and with double
quantisation, as transformers saves it: FOLDER/plain, FOLDER/nested; beside each `logits.json`, what transformers makes in float32 of
the weights as bitsandbytes decodes them (ids and logits). With --fixture also FOLDER/nf4-bitsandbytes.safetensors: two weights as bitsandbytes stores them, and as it decodes
them, which tests/e2e/nf4_bitsandbytes.py compares. Needs torch, transformers, accelerate and bitsandbytes (0.45 or later)."""
import json
import os
import sys

import bitsandbytes
import torch
from safetensors.torch import save_file

SHAPE = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "vocab_size": 320, "max_position_embeddings": 128, "tie_word_embeddings": False}


def model(folder, nested):
    from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM
    LlamaForCausalLM(LlamaConfig(**SHAPE)).to(torch.float32).save_pretrained(folder + "-f32")
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=nested,
                                bnb_4bit_compute_dtype=torch.float32)
    made = LlamaForCausalLM.from_pretrained(folder + "-f32", quantization_config=config, dtype=torch.float32, device_map="cpu")
    made.save_pretrained(folder)
    for name, layer in list(made.named_modules()):  # what its matmul does beside decoding is not asked
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=False)
            plain.weight = torch.nn.Parameter(bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float())
            made.set_submodule(name, plain)
    ids = [i * 13 % SHAPE["vocab_size"] for i in range(24)]
    with torch.no_grad():
        logits = made(torch.tensor([ids])).logits[0]
    with open(os.path.join(folder, "logits.json"), "w", encoding="ascii") as f:
        json.dump({"ids": ids, "logits": logits.tolist()}, f)


def fixture(path):
    F = bitsandbytes.functional
    out = {}
    for name, nested in (("plain", False), ("nested", True)):
        packed, state = F.quantize_4bit(torch.randn(24, 128), blocksize=64, quant_type="nf4", compress_statistics=nested)
        out[f"{name}.weight"] = packed
        out.update({f"{name}.weight.{k}": v.contiguous() for k, v in state.as_dict(packed=True).items()})
        out[f"{name}.decoded"] = F.dequantize_4bit(packed, state).contiguous()
    save_file(out, path)


def main():
    torch.manual_seed(7)
    os.makedirs(sys.argv[1], exist_ok=True)
    if "--fixture" in sys.argv:
        fixture(os.path.join(sys.argv[1], "nf4-bitsandbytes.safetensors"))
    for name, nested in (("plain", False), ("nested", True)):
        model(os.path.join(sys.argv[1], name), nested)


if __name__ == "__main__":
    main()
