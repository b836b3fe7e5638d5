#!/usr/bin/env python3
"""`tenon tokenize` against published ids, and against Hugging Face's on a megabyte of mixed text.

    tests/e2e/tokenizer_ids.py BUILD/tenon

Vocabularies come from $TENON_SHARED (default: ../shared beside the source tree), SmolLM2 and Gemma from
$TENON_MODEL_SMOLLM2 and $TENON_MODEL_GEMMA3; what is missing is skipped, loudly. The digests below are of the ids that `tokenizers` 0.23.3 gives for mixed_text(1000000, 1):
tests/oracle/tokenizer_oracle.py makes them anew and shows where ids differ.
"""
import hashlib
import json
import os
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
    "gpt-2": (622833, "21b97d06c552fe7d7de2bb0310edf08451980306c91fe70dcf09f552c2a2db8d"),
    "starcoder": (466669, "4330d64d0252c6f51f6e4ecc3fd3ba256963c7beec8a9a4183b6da626bc9a4f0"),
    "deepseek-coder": (609688, "c98cfc1717ffb1688d12efcce21a710ac636ee34976d81e81f3583129bce2ebe"),
    "bert-bge": (315843, "4c7be87119c543c5108f97e67325db78c83fe7a3f4de62101d701c12a9fe6bf4"),
    "gemma3": (352772, "d37434fd6aab3cc71d5241c4d9c17c5996db21fe2c804b1e0910806b636ecb60"),
    "smollm2": (563141, "a86c5c3754cbc90260cc86dc57e77bf11fb908401df13121661ed42c7a1a60a0"),
}


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
        if name == "gpt-2":
            check_command(tenon, model)
    for name in "smollm2", "gemma3":
        model = os.environ.get("TENON_MODEL_" + name.upper())
        if model:
            check_mixed(tenon, name, model)
        else:
            print("SKIPPED: %s: set TENON_MODEL_%s to its GGUF file" % (name, name.upper()))


if __name__ == "__main__":
    main()
