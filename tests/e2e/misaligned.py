#!/usr/bin/env python3
"""misaligned.py TENON: safetensors files whose header has an odd length, so that no tensor begins where its type would: the logits of some
families are the same to the bit, and no weight is copied, for the CPU takes any alignment. Standard library only."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import families

NAMES = ("llama-bias", "lfm2", "qwen3_moe", "mamba2")


def skew(name, folder, behind):
    """A checkpoint whose data begins `behind` bytes after a multiple of 64."""
    path = os.path.join(families.ORACLE, name)
    shutil.copytree(path, folder)
    with open(os.path.join(path, "model.safetensors"), "rb") as f:
        data = f.read()
    size = int.from_bytes(data[:8], "little")
    header = data[8:8 + size] + b" " * ((behind - 8 - size) % 64)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(header).to_bytes(8, "little") + header + data[8 + size:])


def made_bytes(tenon, path):
    done = subprocess.run([tenon, "bench", path, "--prompt", "8", "--json"], capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)["made_bytes"]


def main():
    tenon, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory(prefix="tenon-misaligned-") as root:
        for name in NAMES:
            prompts = families.prompts_of(name)
            want, made = families.rows_of(tenon, name, prompts), made_bytes(tenon, os.path.join(families.ORACLE, name))
            for behind in (1, 2, 8):
                folder = os.path.join(root, f"{name}-{behind}")
                skew(name, folder, behind)
                wrong = "other logits" if families.rows_of(tenon, name, prompts, path=folder) != want else None
                wrong = wrong or (None if made_bytes(tenon, folder) == made else "weights are copied")
                print(f"{name:<12} {behind} behind: {wrong or 'the same'}")
                failed += wrong is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
