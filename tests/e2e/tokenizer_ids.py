#!/usr/bin/env python3
"""`tenon tokenize` against published ids, and against Hugging Face's on a megabyte of mixed text.

    tests/e2e/tokenizer_ids.py BUILD/tenon

Vocabularies come from $TENON_SHARED (default: ../shared beside the source tree), SmolLM2, Gemma and Qwen2.5 from
$TENON_MODEL_SMOLLM2, _GEMMA3 and _QWEN2; what is missing is skipped, loudly. The digests below are of the ids that `tokenizers` 0.23.3 gives for mixed_text(1000000, 1):
tests/oracle/tokenizer_oracle.py makes them anew and shows where ids differ.
"""
import hashlib
import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))
from mixed_text import mixed_text  # noqa: E402

SHARED = os.environ.get("TENON_SHARED") or os.path.join(HERE, "..", "..", "..", "shared")
SEPARATOR = b"\n__ggml_vocab_test__\n"
# number of ids, SHA-256 of the ids in decimal with a comma between
HUGGING_FACE = {
    "gpt-2": (658515, "9c4870f9a296c8fb0ef4fcccb39c685ddba8aa8861a096db68de0ce8ae69ee06"),
    "starcoder": (432255, "ccbbb68de9888d3eb70a095d27c57981a3dced521343e53f63e641f7b2622700"),
    "deepseek-coder": (566110, "27e60f735e956a88ded546fbd3699cdbd8ca45f9aa4629d88ad258601e48cc3b"),
    "bert-bge": (282349, "455469c2039453e9ca68b5bba735954c9b437c240da923f162f77751a055ec04"),
    "gemma3": (327966, "edfa7cde831ca8db681aab1b0ece64962f5b9bf2126639f216785dd992c1eb72"),
    "qwen2": (372060, "7124759f1ac9c85136c46e095547a83c140cb438b0108ee331474ea161fd05ce"),
    "smollm2": (523573, "dee2c0fe0e2a7afb3e39a1583e818d99ecf4790f70d3ea71107b8419137fd1c8"),
}

ALL = list(range(256))
# Qwen's composes what happens to be text: no bytes that begin a character of U+0300 or above.
ANY_BYTES = {"gpt-2": ALL, "llama-spm": ALL, "phi-3": ALL, "gemma3": ALL, "qwen2": [b for b in ALL if not 0xcc <= b < 0xf5]}


def tokenize(tenon, model, text, *options):
    """The parsed JSON for a text given on stdin."""
    done = subprocess.run([tenon, "tokenize", model, "--json", *options, "-"], input=text, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit("%s: tenon tokenize exited %d" % (model, done.returncode))
    got = json.loads(done.stdout.decode())
    if len(got["ids"]) != len(got["pieces"]):
        raise SystemExit("%s: %d ids but %d pieces" % (model, len(got["ids"]), len(got["pieces"])))
    return got


def check_published(tenon, name, model):
    with open(model + ".inp", "rb") as f:
        texts = f.read().split(SEPARATOR)[:-1]
    with open(model + ".out", encoding="ascii") as f:
        wanted = [[int(word) for word in line.split()] for line in f]
    for text, want in zip(texts, wanted):
        got = tokenize(tenon, model, text)["ids"]
        if got != want:
            raise SystemExit("%s: %r: got %s, wanted %s" % (name, text, got, want))
    print("%s: %d strings" % (name, len(texts)))


def check_mixed(tenon, name, model):
    ids = tokenize(tenon, model, mixed_text(1000000, 1).encode())["ids"]
    got = (len(ids), hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest())
    if got != HUGGING_FACE[name]:
        raise SystemExit("%s: mixed text: got %s, wanted %s" % (name, got, HUGGING_FACE[name]))
    print("%s: %d ids of mixed text" % (name, len(ids)))


def check_bytes(tenon, name, model):
    """Text that is none comes back byte for byte, where the vocabulary has all bytes."""
    rng = random.Random(5)
    text = bytes(rng.choice(ANY_BYTES[name]) for _ in range(100000)) + b"\xe4\xbd"
    ids = json.dumps(tokenize(tenon, model, text)["ids"]).encode()
    back = subprocess.run([tenon, "tokenize", model, "--decode", "--special", "-"], input=ids, stdout=subprocess.PIPE, check=True).stdout
    if back != text:
        raise SystemExit("%s: bytes come back changed" % name)
    print("%s: %d random bytes come back" % (name, len(text)))


def check_command(tenon, model):
    """What a script relies on besides ids."""
    assert tokenize(tenon, model, b"") == {"ids": [], "pieces": []}
    assert tokenize(tenon, model, b"Hello world\n")["pieces"] == ["Hello", "\u0120world", "\u010a"]
    assert tokenize(tenon, model, b"<|endoftext|>", "--special")["ids"] == [50256]
    assert tokenize(tenon, model, b"<|endoftext|>")["ids"] != [50256]
    said = subprocess.run([tenon, "tokenize", model, "--decode", "15496, 995"], stdout=subprocess.PIPE, check=True)
    assert said.stdout == b"Hello world", said.stdout
    for arguments, code in ([], 2), ([model], 2), ([model, "a", "b"], 2), ([model, "--no", "a"], 2), (["/no/such", "a"], 1):
        done = subprocess.run([tenon, "tokenize", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == code and not done.stdout and done.stderr, (arguments, done)


def main():
    tenon = sys.argv[1]
    for name in "gpt-2", "starcoder", "deepseek-coder", "llama-spm", "phi-3", "bert-bge":
        model = os.path.join(SHARED, "data", "tokenizers", name + ".gguf")
        if not os.path.exists(model):
            print("SKIPPED: %s is missing: set TENON_SHARED" % model)
            continue
        check_published(tenon, name, model)
        if name in HUGGING_FACE:
            check_mixed(tenon, name, model)
        if name in ANY_BYTES:
            check_bytes(tenon, name, model)
        if name == "gpt-2":
            check_command(tenon, model)
    for name in "smollm2", "gemma3", "qwen2":
        model = os.environ.get("TENON_MODEL_" + name.upper())
        if model:
            check_mixed(tenon, name, model)
            if name in ANY_BYTES:
                check_bytes(tenon, name, model)
        else:
            print("SKIPPED: %s: set TENON_MODEL_%s to its GGUF file" % (name, name.upper()))


if __name__ == "__main__":
    main()
