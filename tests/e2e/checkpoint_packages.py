#!/usr/bin/env python3
"""checkpoint_packages.py BUILD/tests/decode_checkpoint: weights that auto-gptq, autoawq and compressed-tensors quantised and packed
themselves (tests/oracle/checkpoints-*.safetensors, made by make_checkpoints.py), against what they decode them to, to the bit (zeros of
either sign are equal). Exit 77: numpy is missing."""
import os
import sys

import encodings_checkpoints as packers  # exits with 77 without numpy
from fixtures import tensors_of

ORACLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle")


def main():
    failed = 0
    for package in ("auto_gptq", "autoawq", "compressed-tensors"):
        t = tensors_of(os.path.join(ORACLE, f"checkpoints-{package}.safetensors"))
        for name in sorted({key.split("|")[0] for key in t}):
            planes = [t[f"{name}|{i}"] for i in range(sum(key.startswith(f"{name}|") for key in t) - 1)]
            want = t[f"{name}|decoded"]
            wrong = packers.check(name, planes, want)
            print(f"{package:<20} {name:<28} {want.size:>6} values  {wrong or 'equal'}")
            failed += wrong is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
