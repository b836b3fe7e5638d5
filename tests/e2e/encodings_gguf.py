#!/usr/bin/env python3
"""The decode programs of plugins/quantizers/gguf against the Python package `gguf`, bit for bit (NaN equal to NaN), by three ways:
the interpreter, the fast decoder, and the C that encoding_print.h makes of them.

    pip install -r tests/requirements.txt
    tests/e2e/encodings_gguf.py BUILD/tests/decode_gguf CC [SEED]

Per encoding: random blocks; blocks whose scales are zero, denormal, infinite, NaN or the largest, of either sign; all
values of 16-bit floats. And that the comparison sees: a block with any one bit flipped must no longer be equal, but for the
bits that the format itself does not read. Prints a table. Types that the package lacks are compared with what their format says,
written here in numpy; tests/unit/test_encoding.c has vectors of them worked by hand. What is printed for the other languages is
compiled where a compiler for it is found. Exit 77: the package `gguf` is missing.
"""
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants
except ImportError as missing:
    print(f"SKIPPED: {missing}: pip install -r tests/requirements.txt", file=sys.stderr)
    sys.exit(77)

QUARTERS = "a quarter of a half float in the high nibble of this byte and of the next three odd ones"
# id of the encoding: type, what stands at which byte of a block
TYPES = {
    "f32/1": ("F32", {0: np.float32}),
    "f16/1": ("F16", {0: np.float16}),
    "bf16/1": ("BF16", {0: None}),
    "gguf.q4_0/1": ("Q4_0", {0: np.float16}),
    "gguf.q4_1/1": ("Q4_1", {0: np.float16, 2: np.float16}),
    "gguf.q5_0/1": ("Q5_0", {0: np.float16}),
    "gguf.q5_1/1": ("Q5_1", {0: np.float16, 2: np.float16}),
    "gguf.q8_0/1": ("Q8_0", {0: np.float16}),
    "gguf.q2_k/1": ("Q2_K", {80: np.float16, 82: np.float16}),
    "gguf.q3_k/1": ("Q3_K", {108: np.float16}),
    "gguf.q4_k/1": ("Q4_K", {0: np.float16, 2: np.float16}),
    "gguf.q5_k/1": ("Q5_K", {0: np.float16, 2: np.float16}),
    "gguf.q6_k/1": ("Q6_K", {208: np.float16}),
    "gguf.iq1_s/1": ("IQ1_S", {0: np.float16}),
    "gguf.iq1_m/1": ("IQ1_M", {49: QUARTERS}),
    "gguf.iq2_xxs/1": ("IQ2_XXS", {0: np.float16}),
    "gguf.iq2_xs/1": ("IQ2_XS", {0: np.float16}),
    "gguf.iq2_s/1": ("IQ2_S", {0: np.float16}),
    "gguf.iq3_xxs/1": ("IQ3_XXS", {0: np.float16}),
    "gguf.iq3_s/1": ("IQ3_S", {0: np.float16}),
    "gguf.iq4_nl/1": ("IQ4_NL", {0: np.float16}),
    "gguf.iq4_xs/1": ("IQ4_XS", {0: np.float16}),
    "gguf.tq1_0/1": ("TQ1_0", {52: np.float16}),
    "gguf.tq2_0/1": ("TQ2_0", {64: np.float16}),
    "gguf.mxfp4/1": ("MXFP4", {0: np.uint8}),
    "gguf.nvfp4/1": ("NVFP4", {0: np.uint8, 1: np.uint8, 2: np.uint8, 3: np.uint8}),
}


def q1_0(blocks):
    d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    return np.where(np.unpackbits(blocks[:, 2:], axis=1, bitorder="little") != 0, d, -d)


def q2_0(blocks):
    d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    q = blocks[:, 2:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8) & 3
    return (q.reshape(len(blocks), -1).astype(np.float32) - 1) * d


# what the package lacks: elements and bytes of a block, what they are, what stands at which byte
BY_HAND = {
    "gguf.q1_0/1": (128, 18, q1_0, {0: np.float16}),
    "gguf.q2_0/1": (64, 18, q2_0, {0: np.float16}),
}
# bits that change nothing: a byte of qh holds but four trits of five; the signs of the scales
UNREAD = {"gguf.tq1_0/1": 4, "gguf.nvfp4/1": 4}
HALVES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x3C00, 0xBC00]
EDGES = {
    np.float16: HALVES,
    QUARTERS: HALVES,
    np.float32: [0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF800000, 0x7F800000, 0x7FC00000],
    np.uint8: [0x00, 0x01, 0x02, 0x07, 0x08, 0x7E, 0x7F, 0x80, 0xFE, 0xFF],
    None: [],
}
ONE = {np.float32: 0x3F800000, np.float16: 0x3C00, QUARTERS: 0x3C00, np.uint8: 0x78, None: 0x3F80}


def put(block, at, kind, bits):
    """Write a scale of a block [size]."""
    if kind == QUARTERS:
        for k in range(4):
            block[at + 2 * k] = block[at + 2 * k] & 15 | (bits >> 4 * k & 15) << 4
        return
    width = {np.float32: 4, np.uint8: 1}.get(kind, 2)
    block[at:at + width] = list(bits.to_bytes(width, "little"))


def blocks_of(rng, size, floats, n):
    """[n, size] bytes: random, with each edge in each scale, all bytes 0, all bytes 255; for 16-bit floats every value."""
    if size == 2:
        return np.arange(65536, dtype="<u2").view(np.uint8).reshape(-1, 2)
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    k = 0
    for at, kind in floats.items():
        for edge in EDGES[kind]:
            put(blocks[k], at, kind, edge)
            k += 1
    blocks[k] = 0
    blocks[k + 1] = 255
    return blocks


def decode(driver, name, blocks):
    out = subprocess.run([*driver, name], input=blocks.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, dtype=np.float32)


def differing(a, b):
    return (a.view(np.uint32) != b.view(np.uint32)) & ~(np.isnan(a) & np.isnan(b))


def truth_of(name):
    """Elements and bytes of a block, the function from blocks [n, bytes] to floats, and its scales."""
    if name in BY_HAND:
        return BY_HAND[name]
    kind, floats = TYPES[name]
    qtype = GGMLQuantizationType[kind]
    return (*GGML_QUANT_SIZES[qtype], lambda blocks: quants.dequantize(blocks.reshape(-1), qtype).astype(np.float32), floats)


def compare(driver, name, truth, blocks):
    """None, or what is wrong."""
    want = truth(blocks).reshape(-1)
    got = decode(driver, name, blocks)
    if got.shape != want.shape:
        return f"{got.size} floats instead of {want.size}"
    differ = differing(got, want)
    if not differ.any():
        return None
    k = int(np.argmax(differ))
    return f"{int(differ.sum())} of {want.size} differ, first at {k}: {got[k]!r} instead of {want[k]!r}"


def unseen_flips(driver, name, truth, floats, elems, size):
    """How many bits of a block may be flipped without the comparison seeing it."""
    block = np.full(size, 0x5A, dtype=np.uint8)  # no scale is 0, which would hide what it scales
    for at, kind in floats.items():
        put(block, at, kind, ONE[kind])
    want = truth(block[None, :]).reshape(-1)
    damaged = np.repeat(block[None, :], size * 8, axis=0)
    for bit in range(size * 8):
        damaged[bit, bit // 8] ^= 1 << bit % 8
    got = decode(driver, name, damaged).reshape(-1, elems)
    return sum(not differing(row, want).any() for row in got)


def print_source(driver, language, folder):
    path = os.path.join(folder, "decoders." + language)
    with open(path, "w", encoding="ascii") as f:
        subprocess.run([*driver, "--source", language], stdout=f, check=True)
    return path


def generated_c(driver, cc, folder):
    """The program that the printed C makes."""
    source, program = print_source(driver, "c", folder), os.path.join(folder, "decoders")
    subprocess.run([cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-O1", "-ffp-contract=off", "-x", "c",
                    source, "-o", program, "-lm"], check=True)
    return [program]


def compile_others(driver, folder):
    """Languages whose compiler does not take what is printed."""
    nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    compilers = {
        "opencl": [shutil.which("clang"), "-x", "cl", "-cl-std=CL1.2", "-Xclang", "-finclude-default-header", "-fsyntax-only"],
        "cuda": [nvcc, "-x", "cu", "--cubin", "-arch=sm_80", "-o", os.path.join(folder, "cubin")],
        "glsl": [shutil.which("glslangValidator"), "-V", "-S", "comp", "-o", os.path.join(folder, "spv")],
    }
    failed = []
    for language, command in compilers.items():
        if command[0] is None:
            print(f"{language}: SKIPPED: no compiler for it here (clang, nvcc, glslangValidator)")
            continue
        done = subprocess.run([*command, print_source(driver, language, folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f"{language}: {'compiles' if done.returncode == 0 else done.stdout}")
        if done.returncode != 0:
            failed.append(language)
    return failed


def check(ways, name, blocks, elems, truth, floats):
    """None, or what is wrong by one of the ways."""
    size = blocks.shape[1]
    for way, driver in ways.items():
        wrong = compare(driver, name, truth, blocks)
        if wrong:
            return f"{way}: {wrong}"
    unseen = unseen_flips(ways["interpreter"], name, truth, floats, elems, size)
    return f"blind to {unseen} of {size * 8} bits" if unseen != UNREAD.get(name, 0) else None


def main():
    driver, cc = [sys.argv[1]], sys.argv[2]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(np.random.SeedSequence().entropy % 2**32)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    np.seterr(all="ignore")
    listed = subprocess.run([*driver, "--digests"], stdout=subprocess.PIPE, check=True, text=True).stdout.split("\n")
    here = {line.split()[0] for line in listed if line}
    failed = sorted(here ^ set(TYPES) ^ set(BY_HAND))
    for name in failed:
        print(f"{name}: {'not compared here' if name in here else 'no such encoding'}")
    with tempfile.TemporaryDirectory(prefix="tenon-encodings-") as folder:
        ways = {"interpreter": driver, "decoder": [*driver, "--fast"], "printed C": generated_c(driver, cc, folder)}
        print(f"{'encoding':<14} {'blocks':>8} {'values':>8}  {', '.join(ways)}")
        for name in [*TYPES, *BY_HAND]:
            elems, size, truth, floats = truth_of(name)
            blocks = blocks_of(rng, size, floats, max(400, 65536 // elems))
            wrong = check(ways, name, blocks, elems, truth, floats)
            print(f"{name:<14} {len(blocks):>8} {len(blocks) * elems:>8}  {wrong or 'equal'}")
            if wrong:
                failed.append(name)
        failed += compile_others(driver, folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
