#!/usr/bin/env python3
"""nf4_bitsandbytes.py BUILD/tests/decode_checkpoint: weights that bitsandbytes quantised to NF4, without and with double quantisation
(tests/oracle/nf4-bitsandbytes.safetensors, made by make_nf4.py), against what it decodes them to itself. Exit 77: numpy is missing."""
import os
import sys

import encodings_checkpoints as packers  # exits with 77 without numpy
import numpy as np
from fixtures import tensors_of

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle", "nf4-bitsandbytes.safetensors")


def main():
    t = tensors_of(FIXTURE)
    failed = 0
    for name in ("plain", "nested"):
        text = t[f"{name}.weight.quant_state.bitsandbytes__nf4"].tobytes().rstrip(b"}")
        planes = [t[f"{name}.weight"], t[f"{name}.weight.absmax"]]
        if name == "nested":
            planes += [t["nested.weight.nested_absmax"], t["nested.weight.nested_quant_map"], np.frombuffer(text[-32:], dtype=np.uint8)]
        want = t[f"{name}.decoded"]
        wrong = packers.check("bnb.nf4/1" if name == "plain" else "bnb.nf4_nested/1", planes, want)
        print(f"{name:<8} {want.size} values  {wrong or 'equal'}")
        failed += wrong is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
