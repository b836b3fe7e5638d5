#!/usr/bin/env python3
"""printed_checkpoints.py BUILD/tests/decode_tiles CC [SEED]: what weights of checkpoints become (plugins/quantizers/checkpoints) by three
ways, bit for bit (NaN equal to NaN): the interpreter, the fast decoder, and the C that is printed of their programs; on random
tiles, all bits 0, all bits 1, and each bit by itself. encodings_checkpoints.py compares the interpreter with the formulas. Exit 77:
numpy or gguf is missing."""
import subprocess
import sys
import tempfile

import encodings_gguf as ways  # exits with 77 without numpy and gguf
import numpy as np


def tiles(rng, size):
    lone = np.packbits(np.eye(8 * size, dtype=np.uint8), axis=1)
    return np.concatenate([rng.integers(0, 256, (4000, size), dtype=np.uint8), np.zeros((1, size), np.uint8), np.full((1, size), 255, np.uint8), lone])


def main():
    driver, cc = [sys.argv[1]], sys.argv[2]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(np.random.SeedSequence().entropy % 2**32)
    print(f"seed {seed}")
    rng, failed = np.random.default_rng(seed), 0
    listed = subprocess.run([*driver, "--digests"], stdout=subprocess.PIPE, check=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="tenon-encodings-") as folder:
        others = {"fast decoder": [*driver, "--fast"], "printed C": ways.generated_c(driver, cc, folder)}
        for name, _, cols, size in map(str.split, listed.splitlines()):
            data = tiles(rng, int(size))
            want = ways.decode(driver, name, data)
            wrong = "nothing is decoded" if want.size != len(data) * int(cols) else None
            for way, command in others.items():
                got = ways.decode(command, name, data)
                if got.size != want.size or ways.differing(got, want).any():
                    wrong = f"{way} differs"
            print(f"{name:<24} {want.size:>8} values  {wrong or 'equal: interpreter, ' + ', '.join(others)}")
            failed += wrong is not None
        failed += len(ways.compile_others(driver, folder))
    return 1 if failed or not listed else 0


if __name__ == "__main__":
    sys.exit(main())
