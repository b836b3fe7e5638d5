#!/usr/bin/env python3
"""quantized_gpt_oss.py TENON [SEED]: gpt-oss with experts in MXFP4, as published: the tiny checkpoint of oracle/families with random experts
of 64 rows, in a Hugging Face directory (blocks and scales, gates and ups in turns, biases in bf16) and as a GGUF file. Both must give
the same bits, and with all experts chosen (of two as likely as each other rounding decides) the logits of a directory with the same
numbers in f32, within what 16-bit activations cost. Blocks and scales that do not fit are refused by name. Needs numpy and gguf; exit 77
without them."""
import json
import os
import subprocess
import sys
import tempfile

import families

sys.path.insert(0, os.path.dirname(families.ORACLE))
try:
    import gguf
    import numpy as np
    import write_gguf
except ImportError as e:
    print("SKIPPED: %s: pip install -r tests/requirements.txt" % e)
    sys.exit(77)

SEED = int(sys.argv[2]) if len(sys.argv) > 2 else int(np.random.SeedSequence().entropy % 2**32)
RNG = np.random.default_rng(SEED)
NAME, EXPERTS, WIDTH, FFN, BOUND = "gpt_oss", 4, 32, 64, 1e-3
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)
KINDS = {"float32": "F32", "uint8": "U8", "int8": "I8", "uint16": "BF16"}


class Matrix:
    """Experts' matrices of random MXFP4: codes [experts, rows, blocks, 32] and exponents [experts, rows, blocks]."""
    def __init__(self, rows, cols):
        self.codes = RNG.integers(0, 16, (EXPERTS, rows, cols // 32, 32)).astype(np.uint8)
        self.exponents = RNG.integers(119, 125, (EXPERTS, rows, cols // 32)).astype(np.uint8)

    def floats(self):
        """[experts, cols, rows], as the directory has floats"""
        x = E2M1[self.codes] * np.exp2(self.exponents.astype(np.float32) - 127)[..., None]
        return x.reshape(*x.shape[:2], -1).transpose(0, 2, 1)

    def published(self):
        """Neighbours in a byte, the first in the low bits."""
        return self.codes[..., 0::2] | self.codes[..., 1::2] << 4, self.exponents

    def gguf(self, start=0, step=1):
        """Rows as bytes [experts, rows, bytes]: an exponent, then the first 16 in low bits, the others in high ones."""
        codes, exponents = self.codes[:, start::step], self.exponents[:, start::step]
        blocks = np.concatenate([exponents[..., None], codes[..., :16] | codes[..., 16:] << 4], axis=-1)
        return blocks.reshape(*blocks.shape[:2], -1)


def bf16(shape):
    """Random biases: (bits, what they are)"""
    bits = (RNG.normal(0, 0.5, shape).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return bits, (bits.astype(np.uint32) << 16).view(np.float32)


def make():
    """Tensors of the directory in MXFP4, in f32, and what replaces those of GGUF."""
    floats = {n: x for n, x in write_gguf.read_tensors(NAME).items() if ".experts." not in n}
    packed, blocks, n_layers = dict(floats), {}, write_gguf.Config(NAME).get("num_hidden_layers")
    for i in range(n_layers):
        p = f"model.layers.{i}.mlp.experts."
        for name, rows, cols in (("gate_up_proj", 2 * FFN, WIDTH), ("down_proj", WIDTH, FFN)):
            m = Matrix(rows, cols)
            floats[p + name] = m.floats()
            packed[p + name + "_blocks"], packed[p + name + "_scales"] = m.published()
            packed[p + name + "_bias"], floats[p + name + "_bias"] = bf16((EXPERTS, rows))
            for part, start, step in (("gate", 0, 2), ("up", 1, 2)) if "gate" in name else (("down", 0, 1),):
                blocks[f"blk.{i}.ffn_{part}_exps.weight"] = m.gguf(start, step)
    return packed, floats, blocks


def write(folder, tensors, is_packed, chosen=None):
    """chosen: how many experts a token has, when not as published"""
    os.makedirs(folder)
    with open(os.path.join(families.ORACLE, NAME, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    config["intermediate_size"] = FFN
    config["num_experts_per_tok"] = config["experts_per_token"] = chosen or config["num_experts_per_tok"]
    if is_packed:
        config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as f:
        json.dump(config, f)
    header, parts, at = {}, [], 0
    for name, x in tensors.items():
        parts.append(np.ascontiguousarray(x).tobytes())
        header[name] = {"dtype": KINDS[x.dtype.name], "shape": list(x.shape), "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    head = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head + b"".join(parts))


def compare(tenon, root):
    """None, or what is wrong."""
    packed, floats, blocks = make()
    prompts = families.prompts_of(NAME)
    write(f"{root}/packed", packed, True)
    write(f"{root}/floats", floats, False)
    write_gguf.write(f"{root}/floats", f"{root}/packed.gguf", {n: (x, gguf.GGMLQuantizationType.MXFP4) for n, x in blocks.items()})
    write(f"{root}/packed all", packed, True, EXPERTS)
    write(f"{root}/floats all", floats, False, EXPERTS)
    want = [float(v) for row in families.evaluate(tenon, f"{root}/floats all", prompts) for v in row]
    worst = families.error(families.evaluate(tenon, f"{root}/packed all", prompts), want)
    print(f"MXFP4 against f32: {worst:.2g} of the largest logit, bound {BOUND:g}")
    if worst >= BOUND:
        return "logits differ"
    if families.evaluate(tenon, f"{root}/packed.gguf", prompts) != families.evaluate(tenon, f"{root}/packed", prompts):
        return "GGUF gives other logits"
    return None


def hostile():
    """(what is wrong, tensors that take the place of layer 1's, by suffix, words of the refusal)"""
    blocks, scales = Matrix(WIDTH, FFN).published()  # [4, 32, 2, 16] and [4, 32, 2]
    yield "blocks of 8 bytes", {"_blocks": blocks.reshape(EXPERTS, WIDTH, 4, 8)}, ("down_proj_blocks", "do not fit")
    yield "blocks without a dim", {"_blocks": blocks.reshape(EXPERTS, WIDTH, 32)}, ("down_proj_blocks", "do not fit")
    yield "blocks of one dim", {"_blocks": blocks.reshape(-1), "_scales": scales.reshape(-1)}, ("down_proj_blocks", "do not fit")
    yield "scales turned over", {"_scales": scales.transpose(0, 2, 1)}, ("down_proj_blocks", "do not fit")
    yield "scales of one dim", {"_scales": scales.reshape(-1)}, ("down_proj_blocks", "do not fit")
    yield "signed scales", {"_scales": scales.view(np.int8)}, ("down_proj_blocks", "i8/1")
    yield "no scales", {"_scales": None}, ('"model.layers.1.mlp.experts.down_proj_scales" is missing', "down_proj_blocks")
    yield "no blocks", {"_blocks": None}, ("missing", "layers.1.mlp.experts.down_proj")
    yield "no experts", {"_blocks": blocks[:0], "_scales": scales[:0]}, ("down_proj_blocks", "has no bytes")
    yield "no rows", {"_blocks": blocks[:, :0], "_scales": scales[:, :0]}, ("down_proj_blocks", "has no bytes")
    yield "too few experts", {"_blocks": blocks[:2], "_scales": scales[:2]}, ("down_proj.weight", "has shape [2,32,64]")
    yield "too few columns", {"_blocks": blocks[:, :, :1], "_scales": scales[:, :, :1]}, ("down_proj.weight", "has shape [4,32,32]")
    yield "one matrix", {"_blocks": blocks[0], "_scales": scales[0]}, ("down_proj.weight", "has shape [32,64]")


def refusals(tenon, root):
    failed, sound = 0, make()[0]
    for k, (what, parts, words) in enumerate(hostile()):
        tensors = dict(sound)
        for suffix, x in parts.items():
            tensors["model.layers.1.mlp.experts.down_proj" + suffix] = x
        write(f"{root}/hostile {k}", {n: x for n, x in tensors.items() if x is not None}, True)
        try:
            families.evaluate(tenon, f"{root}/hostile {k}", families.prompts_of(NAME))
            said = "nothing"
        except RuntimeError as e:
            said = str(e)
        refused = all(w in said for w in words) and "Sanitizer" not in said
        print(f"{what:<20} {'refused by name' if refused else 'not refused, but said: ' + said}")
        failed += not refused
    return failed


def unpacked_once(tenon, root):
    """Of each layer's tensor of gates and ups, which two weights and more are cut out of, what unpacks it: once."""
    done = subprocess.run([tenon, "eval", f"{root}/packed", "--ids", "-", "--bits"], input='{"a": [1]}', capture_output=True, text=True,
                          env={**os.environ, "TENON_LOG": "debug"}, timeout=120)
    names = [line.split()[-1] for line in done.stderr.splitlines() if "weights: unpacks " in line]
    fused = [n for n in names if "gate_up_proj" in n]
    good = done.returncode == 0 and len(fused) > 1 and len(set(names)) == len(names)
    print(f"unpacked             {len(names)} tensors, {len(fused)} of gates and ups, {'each once' if good else 'not each once: %s' % names}")
    return good


def main(tenon):
    print(f"seed {SEED}")
    with tempfile.TemporaryDirectory(prefix="tenon-mxfp4-") as root:
        wrong = compare(tenon, root)
        print(f"logits               {wrong or 'as they must be'}")
        once = unpacked_once(tenon, root)
        return 1 if not once or refusals(tenon, root) + (wrong is not None) else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
