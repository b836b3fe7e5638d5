#!/usr/bin/env python3
"""compare_tokenizers.py TENON [BYTES [SEED]]: `tenon tokenize` beside the package `tokenizers` on mixed text (2,000,000 bytes, seed 7), ids
and the text that they decode to, for SmolLM2, Qwen2.5, Gemma 3 and MiniLM.

Models are those of $TENON_MODEL_SMOLLM2, _QWEN2, _GEMMA3 (GGUF) and _MINILM (a directory). Each GGUF is asked itself, and then the
tokenizer.json that says the same (tokenizer_oracle.py): so the two agree too. Prints a line each; exit 1: something differs or is
missing. Needs `tokenizers` and `gguf`.
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

from mixed_text import mixed_text
from tokenizer_oracle import build, compare, save


def make_directory(gguf, folder):
    """A tokenizer.json, and as much of a model as a directory must have."""
    save(build(gguf, True), folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"model_type": "llama"}, f)
    header = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header + bytes(4))
    return folder


def tokenize(tenon, model, stdin, *options):
    done = subprocess.run([tenon, "tokenize", model, *options, "-"], input=stdin, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit("%s: tenon tokenize exited %d" % (model, done.returncode))
    return done.stdout


def differs(tenon, model, tok, want, text):
    """What does, None: nothing."""
    ids = json.loads(tokenize(tenon, model, text.encode(), "--json").decode())["ids"]
    difference = compare(want, ids, tok, text)
    if difference:
        return difference
    back = tokenize(tenon, model, json.dumps(ids).encode(), "--decode", "--special").decode("utf-8", "replace")
    theirs = tok.decode(ids, skip_special_tokens=False)
    if back != theirs:
        at = next((i for i, (a, b) in enumerate(zip(back, theirs)) if a != b), min(len(back), len(theirs)))
        return "the ids are the same, but decode to %r instead of %r" % (back[at:at + 40], theirs[at:at + 40])
    return None


def main(tenon, n_bytes="2000000", seed="7"):
    text, failed = mixed_text(int(n_bytes), int(seed)), 0
    print("%d bytes, longest run of spaces %d" % (len(text.encode()), max(map(len, re.findall(" +", text)))))
    for name in "SMOLLM2", "QWEN2", "GEMMA3", "MINILM":
        model = os.environ.get("TENON_MODEL_" + name)
        if not model:
            print("%s: MISSING: set TENON_MODEL_%s" % (name, name))
            failed += 1
            continue
        is_directory = os.path.isdir(model)
        tok = build(os.path.join(model, "tokenizer.json") if is_directory else model)
        want = tok.encode(text, add_special_tokens=False)
        with tempfile.TemporaryDirectory() as folder:
            ways = [("tokenizer.json", model)] if is_directory else [("GGUF", model), ("tokenizer.json", make_directory(model, folder))]
            for way, path in ways:
                difference = differs(tenon, path, tok, want, text)
                print("%s, %s: %d ids: %s" % (name, way, len(want.ids), difference or "ids and decoded text are equal"))
                failed += difference is not None
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
