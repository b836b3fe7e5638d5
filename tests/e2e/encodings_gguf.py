#!/usr/bin/env python3
"""The decode programs of plugins/quantizers/gguf.c against the Python package `gguf`, bit for bit (NaN equal to NaN).

    pip install gguf
    tests/e2e/encodings_gguf.py BUILD/tests/decode_gguf [SEED]

Random blocks, and blocks whose half floats are zero, denormal, infinite, NaN or the largest, of either sign.
"""
import subprocess
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

# id of the encoding, type, bytes at which its half floats stand
TYPES = [
    ("f32/1", "F32", []),
    ("f16/1", "F16", [0]),
    ("bf16/1", "BF16", []),
    ("gguf.q4_0/1", "Q4_0", [0]),
    ("gguf.q4_1/1", "Q4_1", [0, 2]),
    ("gguf.q5_0/1", "Q5_0", [0]),
    ("gguf.q5_1/1", "Q5_1", [0, 2]),
    ("gguf.q8_0/1", "Q8_0", [0]),
    ("gguf.q4_k/1", "Q4_K", [0, 2]),
    ("gguf.q5_k/1", "Q5_K", [0, 2]),
    ("gguf.q6_k/1", "Q6_K", [208]),
]
EDGES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x3C00, 0xBC00]


def blocks_of(rng, size, halves, n):
    """[n, size] bytes: all random, then each edge in each half float, then all bytes 0 and 255."""
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    k = 0
    for at in halves:
        for edge in EDGES:
            blocks[k, at], blocks[k, at + 1] = edge & 255, edge >> 8
            k += 1
    blocks[k] = 0
    blocks[k + 1] = 255
    return blocks


def decode(driver, name, blocks):
    out = subprocess.run([driver, name], input=blocks.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, dtype=np.float32)


def main():
    driver = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(np.random.SeedSequence().entropy % 2**32)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    np.seterr(all="ignore")
    failed = 0
    for name, kind, halves in TYPES:
        qtype = GGMLQuantizationType[kind]
        elems, size = GGML_QUANT_SIZES[qtype]
        blocks = blocks_of(rng, size, halves, max(400, 65536 // elems))
        want = quants.dequantize(blocks.reshape(-1), qtype).reshape(-1).astype(np.float32)
        got = decode(driver, name, blocks)
        if got.shape != want.shape:
            print(f"{name}: {got.size} floats instead of {want.size}")
            failed += 1
            continue
        differ = (got.view(np.uint32) != want.view(np.uint32)) & ~(np.isnan(got) & np.isnan(want))
        if differ.any():
            k = int(np.argmax(differ))
            print(f"{name}: {int(differ.sum())} of {want.size} differ, first at {k}: {got[k]!r} instead of {want[k]!r}")
            failed += 1
        else:
            print(f"{name}: {want.size} equal")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
