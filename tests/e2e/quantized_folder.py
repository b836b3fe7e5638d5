#!/usr/bin/env python3
"""quantized_folder.py TENON BUILD/tests/decode_checkpoint [SEED]: Hugging Face directories whose linear layers are quantised, by each
method that the safetensors plugin knows. A small llama of random weights, packed by encodings_checkpoints.py, must give the logits
of the same weights in f32, within what 16-bit activations cost; variants that nobody decodes are refused by name. Exit 77: numpy is
missing."""
import json
import os
import subprocess
import sys
import tempfile

ARGS = sys.argv[:]
sys.argv = [ARGS[0], ARGS[2], *ARGS[3:]]
import encodings_checkpoints as packers  # noqa: E402  (exits with 77 without numpy)
import numpy as np  # noqa: E402

TENON = os.path.abspath(ARGS[1])
WIDTH, HEADS, KV_HEADS, FFN, VOCAB, LAYERS = 256, 4, 2, 512, 320, 2
KINDS = {"float32": "F32", "float16": "F16", "int32": "I32", "int64": "I64", "uint32": "I32", "uint8": "U8", "int8": "I8", "uint16": "BF16"}
RNG = packers.RNG


def linear(pack, n, k, bits=4):
    """(planes, f32 [n, k]) of a layer, smaller than the packers make them: of scores in the hundreds attention takes the largest,
    whichever that is by a hair."""
    packers.N, packers.K = n, k
    larger, small = packers.scales, np.float32(1.6 / 2**bits)
    packers.scales = lambda shape, kind=np.float16: (larger(shape, np.float32) * small).astype(kind)
    _, planes, x = pack()
    packers.scales = larger
    return planes, x


def clean_fp8(planes, x):
    """No NaN among the weights."""
    codes = planes[0]
    codes[(codes & 127) == 127] = 0
    s = planes[1]
    k = np.arange(codes.shape[1])[None, :] // 128
    return [codes, s], (packers.e4m3(codes.astype(np.int64)) * s[np.arange(codes.shape[0])[:, None] // 128, k]).astype(np.float32)


def fp8(n, k):
    codes, s = RNG.integers(0, 256, (n, k)).astype(np.uint8), packers.scales(((n + 127) // 128, k // 128), np.float32)
    return clean_fp8([codes, s * np.float32(0.01)], None)


def fp8_bf16(n, k):
    """As Qwen3's: the scales in bf16."""
    codes, s = fp8(n, k)[0]
    bits, s = packers.bf16(s)
    return [codes, bits], clean_fp8([codes, s], None)[1]


def nf4(n, k, nested=False, **changed):
    """As bitsandbytes writes it: two numbers a byte in one column, and the shape in a text. changed: of that text"""
    packers.N, packers.K = n, k
    offset = "0.04193115234375"
    _, planes, x = packers.nf4_nested(offset) if nested else packers.nf4()
    small = np.float32(0.1 if not nested else 1)
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [n, k]}
    if nested:
        state.update({"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": float(offset)})
    else:
        planes[1] = planes[1] * small
        x = packers.NF4[np.stack([planes[0] >> 4, planes[0] & 15], -1).reshape(n, k)] * np.repeat(planes[1], 64, 1)
    state.update(changed)
    text = np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)
    planes = [planes[0].reshape(-1, 1), planes[1].reshape(-1), *planes[2:4], packers.NF4, text]
    return planes, x


NF4_SUFFIXES = [".weight", ".weight.absmax", ".weight.quant_map", ".weight.quant_state.bitsandbytes__nf4"]
NESTED_SUFFIXES = [*NF4_SUFFIXES[:2], ".weight.nested_absmax", ".weight.nested_quant_map", *NF4_SUFFIXES[2:]]
NF4_CONFIG = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4"}


def packed_config(**weights):
    return {"quant_method": "compressed-tensors", "format": "pack-quantized", "transform_config": {"config_groups": {}}, "sparsity_config": {},
            "ignore": ["lm_head"], "config_groups": {"group_0": {"targets": ["Linear"], "input_activations": None, "weights": {
                "num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 128, **weights}}}}


def float_config(strategy, **weights):
    return {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"group_0": {"weights": {
        "num_bits": 8, "type": "float", "symmetric": True, "strategy": strategy, **weights}}}}


def fp8_shared(kind, shared):
    """One scale for a row or for all."""
    def make(n, k):
        codes, s = fp8(n, 128)[0][0][:, :1].repeat(k, 1), packers.scales((n if shared == "channel" else 1, 1), np.float32) * np.float32(0.01)
        codes = RNG.permuted(codes, axis=1)
        codes[:, ::3] ^= 0x91
        codes[(codes & 127) == 127] = 0
        stored, s = packers.typed(s, kind)
        return [codes, stored if shared == "channel" else stored.reshape(-1)], (packers.e4m3(codes.astype(np.int64)) * s).astype(np.float32)
    return make


def packed(suffixes, *args, bits=4):
    return [".weight_packed", ".weight_scale", *suffixes], lambda n, k: linear(lambda: packers.compressed_packed(bits, *args), n, k, bits)


METHODS = {
    "nf4": (NF4_CONFIG, NF4_SUFFIXES, lambda n, k: [(p[:2] + p[-2:], x) for p, x in [nf4(n, k)]][0]),
    "nf4 nested": ({**NF4_CONFIG, "bnb_4bit_use_double_quant": True}, NESTED_SUFFIXES, lambda n, k: nf4(n, k, True)),
    "mlc": (None, [".q_weight", ".q_scale"], lambda n, k: linear(packers.mlc, n, k)),
    "gptq by rows": ({"quant_method": "gptq", "bits": 4, "group_size": -1, "desc_act": True},
                     [".qweight", ".qzeros", ".scales", ".g_idx"], lambda n, k: linear(lambda: packers.gptq(4, None, False, False), n, k)),
    "int4 with zeros": (packed_config(symmetric=False), *packed([".weight_zero_point"], 128, False, True)),
    "int4 sorted": (packed_config(group_size=64, actorder="group"), *packed([".weight_g_idx"], 64, False, False, True)),
    "int4 sorted, zeros": (packed_config(group_size=32, actorder="dynamic", symmetric=False),
                           *packed([".weight_zero_point", ".weight_g_idx"], 32, True, True, True)),
    "int4 by rows": (packed_config(strategy="channel", group_size=None, actorder=None), *packed([], None, True, False)),
    "w8a16": (packed_config(num_bits=8, strategy="channel", group_size=None), *packed([], None, False, False, bits=8)),
    "w8a16 in groups": (packed_config(num_bits=8, actorder="weight"), *packed([], 128, False, False, bits=8)),
    "fp8 by rows": (float_config("channel"), [".weight", ".weight_scale"], fp8_shared("bf16", "channel")),
    "fp8 in squares": (float_config("block", block_structure=[128, 128]), [".weight", ".weight_scale"], fp8_bf16),
    "fp8 in one": (float_config("tensor"), [".weight", ".weight_scale"], fp8_shared("bf16", "tensor")),
    "fp8 static": ({"quant_method": "fp8", "activation_scheme": "static"}, [".weight", ".weight_scale"], fp8_shared("f32", "tensor")),
    "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False},
             [".qweight", ".qzeros", ".scales", ".g_idx"], lambda n, k: linear(lambda: packers.gptq(4, 64, False, False), n, k)),
    "gptq sorted": ({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True, "checkpoint_format": "gptq_v2"},
                    [".qweight", ".qzeros", ".scales", ".g_idx"], lambda n, k: linear(lambda: packers.gptq(4, 32, True, True), n, k)),
    "gptq v2 by format": ({"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False, "format": "gptq_v2"},
                          [".qweight", ".qzeros", ".scales", ".g_idx"], lambda n, k: linear(lambda: packers.gptq(4, 64, True, False), n, k)),
    "gptq of 8 bits": ({"quant_method": "gptq", "bits": 8, "group_size": 128, "desc_act": False},
                       [".qweight", ".qzeros", ".scales", ".g_idx"], lambda n, k: linear(lambda: packers.gptq(8, 128, False, False), n, k, 8)),
    "gptq of 8 bits sorted": ({"quant_method": "gptq", "bits": 8, "group_size": 128, "desc_act": True},
                              [".qweight", ".qzeros", ".scales", ".g_idx"], lambda n, k: linear(lambda: packers.gptq(8, 128, False, True), n, k, 8)),
    "w8a16 sorted": (packed_config(num_bits=8, actorder="group", group_size=64), *packed([".weight_g_idx"], 64, False, False, True, bits=8)),
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"},
            [".qweight", ".qzeros", ".scales"], lambda n, k: linear(lambda: packers.awq(128), n, k)),
    "awq as a default": ({"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True},
                         [".qweight", ".qzeros", ".scales"], lambda n, k: linear(lambda: packers.awq(32), n, k)),
    "fp8 bf16 scales": ({"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [128, 128]},
                        [".weight", ".weight_scale_inv"], fp8_bf16),
    "fp8": ({"quant_method": "fp8", "weight_block_size": [128, 128]}, [".weight", ".weight_scale_inv"], fp8),
    "int4": ({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"weights": {
             "num_bits": 4, "group_size": 128, "symmetric": True, "strategy": "group"}}}},
             [".weight_packed", ".weight_scale"], lambda n, k: linear(lambda: packers.compressed_packed(4, 128, False, False), n, k)),
    "int8": ({"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"group_0": {"weights": {
             "num_bits": 8, "symmetric": True, "strategy": "channel"}}}},
             [".weight", ".weight_scale"], lambda n, k: linear(lambda: packers.compressed_int8(True), n, k, 8)),
}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}
# what is not known here, and the key and value that must be told
REFUSED = {"gptq of 3 bits": ({**GPTQ, "bits": 3}, "bits is 3:"), "gptq of many bits": ({**GPTQ, "bits": "4" * 99}, f'bits is "{"4" * 40}...:'),
           "gptq by 16": ({**GPTQ, "group_size": 16}, "group_size is 16:"),
           "gptq in words": ({**GPTQ, "desc_act": "true"}, 'desc_act is "true":'),
           "gptq without bits": ({k: v for k, v in GPTQ.items() if k != "bits"}, "bits is not there:"),
           "awq gemv": ({**AWQ, "version": "gemv"}, 'version is "gemv":'), "awq gemv by format": ({**AWQ, "format": "gemv"}, 'format is "gemv":'),
           "awq of 8 bits": ({**AWQ, "bits": 8}, "bits is 8:"),
           "gptq of two formats": ({**GPTQ, "checkpoint_format": "gptq", "format": "gptq_v2"}, 'checkpoint_format is "gptq":'),
           "int4 turned": ({**packed_config(), "transform_config": {"config_groups": {"R1": {"type": "hadamard", "apply": [
               {"location": "input", "targets": ["Linear"]}]}}}}, "transform_config.config_groups is an object:"),
           "int4 turned by a list": ({**packed_config(), "transform_config": {"config_groups": [1]}}, "transform_config.config_groups is a list:"),
           "squares of 64": (float_config("block", block_structure=[64, 64]), "config_groups.group_0.weights.block_structure is a list:"),
           "fp8 of 64": ({"quant_method": "fp8", "weight_block_size": [64, 64]}, "weight_block_size is a list:"),
           "fp4": ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, 'bnb_4bit_quant_type is "fp4":'),
           "int8 of bitsandbytes": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "load_in_4bit is not there:"),
           "gptq for marlin": ({**GPTQ, "checkpoint_format": "marlin"}, 'checkpoint_format is "marlin":')}
REFUSED_PARTS = {"int4": (".weight_g_idx", ".weight_zero_point"), "int8": (".weight_zero_point",)}  # that would change what the numbers are


# parts whose bytes are as many as they should be, but no more: method, suffix, how it is spoilt
SPOILT = [("gptq", ".scales", lambda a: np.ascontiguousarray(a.T)), ("gptq", ".qzeros", lambda a: np.ascontiguousarray(a.T)),
          ("gptq", ".qzeros", lambda a: a.view(np.float32)), ("gptq", ".g_idx", lambda a: a.view(np.float32)),
          ("awq", ".scales", lambda a: np.ascontiguousarray(a.T)), ("awq", ".qzeros", lambda a: a.reshape(-1, 1)),
          ("fp8", ".weight_scale_inv", lambda a: a.reshape(1, -1)), ("mlc", ".q_scale", lambda a: np.ascontiguousarray(a.T)),
          ("fp8 by rows", ".weight_scale", lambda a: a.reshape(1, -1)), ("fp8 in one", ".weight_scale", lambda a: a.reshape(1, 1)),
          ("int4 with zeros", ".weight_zero_point", lambda a: np.ascontiguousarray(a.T)),
          ("int4 with zeros", ".weight_zero_point", lambda a: a.view(np.float32)),
          ("int4 sorted", ".weight_g_idx", lambda a: a.view(np.float32)), ("int4", ".weight_scale", lambda a: np.ascontiguousarray(a.T)),
          ("int8", ".weight_scale", lambda a: a.reshape(1, -1))]


NF4_STATE = NF4_SUFFIXES[-1]


def as_text(text):
    return np.frombuffer(text.encode(), dtype=np.uint8)


def changed_state(**changed):
    """Spoils the text of a state."""
    return lambda a: as_text(json.dumps({**json.loads(a.tobytes()), **changed}))


# what belongs to nf4 and does not fit: method, suffix, what becomes of it (None: it is left out), words of the message
SPOILT_NF4 = [
    ("nf4", NF4_STATE, lambda a: None, "has no .weight.quant_state"), ("nf4", NF4_STATE, lambda a: as_text("{" * 300), "does not say"),
    ("nf4", NF4_STATE, lambda a: a[:-20], "quant_state"), ("nf4", NF4_STATE, lambda a: as_text("[]"), "does not say"),
    ("nf4", NF4_STATE, lambda a: as_text("{}" + " " * 5000), "quant_state"), ("nf4", NF4_STATE, lambda a: a[:0], "quant_state"),
    ("nf4", NF4_STATE, changed_state(blocksize=128), "does not say"), ("nf4", NF4_STATE, changed_state(quant_type="fp4"), "does not say"),
    ("nf4", NF4_STATE, changed_state(shape=[WIDTH * FFN]), "does not say"), ("nf4", NF4_STATE, changed_state(shape=[-1, 2]), "does not say"),
    ("nf4", NF4_STATE, changed_state(shape=[2**52, 2**52]), "shape"), ("nf4", NF4_STATE, changed_state(shape=[FFN, WIDTH * 2]), "shape"),
    ("nf4", ".weight.absmax", lambda a: a[:-1], "shape"), ("nf4", ".weight.absmax", lambda a: a.view(np.int32), "does not say"),
    ("nf4 nested", ".weight.absmax", lambda a: a.view(np.int8), "does not say"), ("nf4 nested", ".weight.absmax", lambda a: a[1:], "shape"),
    ("nf4 nested", ".weight.nested_absmax", lambda a: a[:0], "no bytes"), ("nf4 nested", ".weight.nested_absmax", lambda a: a[1:], "shape"),
    ("nf4 nested", ".weight.nested_absmax", lambda a: None, "does not say"),
    ("nf4 nested", ".weight.nested_quant_map", lambda a: a[:255], "shape"), ("nf4 nested", ".weight.nested_quant_map", lambda a: None, "has no"),
    ("nf4 nested", NF4_STATE, changed_state(nested_blocksize=128), "does not say"),
    ("nf4 nested", NF4_STATE, changed_state(nested_offset=None), "no number"), ("nf4 nested", NF4_STATE, changed_state(nested_offset="1"), "no number"),
    ("nf4 nested", NF4_STATE, lambda a: as_text(a.tobytes().decode().replace("nested_offset", "nested_offses")), "does not say"),
]


def layers():
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        yield from ((p + "self_attn.q_proj", WIDTH, WIDTH), (p + "self_attn.k_proj", WIDTH // HEADS * KV_HEADS, WIDTH),
                    (p + "self_attn.v_proj", WIDTH // HEADS * KV_HEADS, WIDTH), (p + "self_attn.o_proj", WIDTH, WIDTH),
                    (p + "mlp.gate_proj", FFN, WIDTH), (p + "mlp.up_proj", FFN, WIDTH), (p + "mlp.down_proj", WIDTH, FFN))


def plain():
    out = {"model.embed_tokens.weight": RNG.normal(0, 1, (VOCAB, WIDTH)), "lm_head.weight": RNG.normal(0, 0.05, (VOCAB, WIDTH)),
           "model.norm.weight": RNG.uniform(0.8, 1.2, WIDTH)}
    for i in range(LAYERS):
        out[f"model.layers.{i}.input_layernorm.weight"] = RNG.uniform(0.8, 1.2, WIDTH)
        out[f"model.layers.{i}.post_attention_layernorm.weight"] = RNG.uniform(0.8, 1.2, WIDTH)
    return {k: v.astype(np.float32) for k, v in out.items()}


def write(folder, tensors, quantization):
    os.makedirs(folder)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
              "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "intermediate_size": FFN, "vocab_size": VOCAB,
              "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu"}
    if quantization:
        config["quantization_config"] = quantization
    with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as f:
        json.dump(config, f)
    header, parts, at = {}, [], 0
    for name, x in tensors.items():
        data = np.ascontiguousarray(x).tobytes()
        kind = "U32" if name.endswith(".q_weight") else KINDS[x.dtype.name]
        if quantization and x.dtype == np.uint8 and name.endswith(".weight") and quantization["quant_method"] != "bitsandbytes":
            kind = "F8_E4M3"
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head + b"".join(parts))


def logits(folder):
    ids = json.dumps({"a": [int(i) for i in np.arange(24) * 13 % VOCAB]})
    done = subprocess.run([TENON, "eval", folder, "--ids", "-", "--logits"], input=ids, capture_output=True, text=True)
    return None if done.returncode != 0 else np.array(json.loads(done.stdout)["a"], dtype=np.float64), done.stderr.strip()


def quantised(name, further=None):
    """The tensors of a model by a method, and as f32. further: a suffix of one more tensor of each layer."""
    _, suffixes, make = METHODS[name]
    tensors = plain()
    floats = dict(tensors)
    for stem, n, k in layers():
        planes, x = make(n, k)
        tensors.update({stem + s: p for s, p in zip(suffixes, planes)})
        floats[stem + ".weight"] = x
        if ".weight_packed" in suffixes:
            tensors[stem + ".weight_shape"] = np.array([n, k], dtype=np.int64)  # written by its package, not needed
        if further:
            tensors[stem + further] = np.zeros(k, dtype=np.int32)
    return tensors, floats


def compare(root, name):
    """None, or what is wrong."""
    config = METHODS[name][0]
    tensors, floats = quantised(name)
    write(f"{root}/{name}", tensors, config)
    write(f"{root}/{name} f32", floats, None)
    (got, said), (want, said_f32) = logits(f"{root}/{name}"), logits(f"{root}/{name} f32")
    if got is None or want is None:
        return said or said_f32
    if "used by nothing" in said:
        return said
    error = np.abs(got - want).max() / np.abs(want).max()
    return None if got.shape == want.shape and error < 5e-4 else f"logits differ by {error:.2g} of the largest"


def main():
    print(f"seed {packers.SEED}")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="tenon-quantized-") as root:
        for name in METHODS:
            wrong = compare(root, name)
            print(f"{name:<16} {wrong or 'as in f32'}")
            failed += wrong is not None
        for name, (config, words) in REFUSED.items():
            write(f"{root}/{name}", plain(), config)
            _, said = logits(f"{root}/{name}")
            refused = f"quantization_config.{words} {config['quant_method']} of that kind" in said
            print(f"{name:<16} {'refused by name' if refused else 'not refused: ' + said}")
            failed += not refused
        for k, method in enumerate((5, ["gptq"], {"name": "gptq"})):
            write(f"{root}/method {k}", quantised("gptq")[0], {**METHODS["gptq"][0], "quant_method": method})
            _, said = logits(f"{root}/method {k}")
            refused = "quantization_config.quant_method: must be a string" in said
            print(f"{'method ' + str(method):<16} {'refused' if refused else 'not refused: ' + said}")
            failed += not refused
        for name in ("gptq", "fp8"):
            write(f"{root}/{name} unknown", quantised(name)[0], {**METHODS[name][0], "quant_method": "hqq"})
            got, said = logits(f"{root}/{name} unknown")
            refused = got is None and "quant_method hqq is not known here" in said
            print(f"{name + ' as hqq':<16} {'refused by name' if refused else 'not refused: ' + said}")
            failed += not refused
        write(f"{root}/plain hqq", quantised("gptq")[1], {"quant_method": "hqq"})
        got, said = logits(f"{root}/plain hqq")
        print(f"{'plain, as hqq':<16} {'runs' if got is not None else said}")
        failed += got is None
        for k, (name, suffix, spoil) in enumerate(SPOILT):
            tensors = quantised(name)[0]
            part = "model.layers.0.mlp.down_proj" + suffix
            tensors[part] = spoil(tensors[part])
            write(f"{root}/spoilt {k}", tensors, METHODS[name][0])
            got, said = logits(f"{root}/spoilt {k}")
            refused = got is None and "do not fit" in said
            print(f"{name} {suffix:<16} {'refused' if refused else 'not refused: ' + said}")
            failed += not refused
        for k, (name, suffix, spoil, words) in enumerate(SPOILT_NF4):
            tensors, part = quantised(name)[0], "model.layers.0.mlp.down_proj" + suffix
            tensors[part] = spoil(tensors[part])
            if tensors[part] is None:
                del tensors[part]
            write(f"{root}/spoilt nf4 {k}", tensors, METHODS[name][0])
            got, said = logits(f"{root}/spoilt nf4 {k}")
            refused = got is None and words in said
            print(f"{name} {suffix:<16} {'refused' if refused else 'not refused: ' + said}")
            failed += not refused
        for name, further in ((n, part) for n, parts in REFUSED_PARTS.items() for part in parts):
            write(f"{root}/{name}{further}", quantised(name, further)[0], METHODS[name][0])
            got, said = logits(f"{root}/{name}{further}")
            refused = got is None and further in said
            print(f"{name + ' with ' + further:<16} {'refused by name' if refused else 'not refused: ' + said}")
            failed += not refused
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
