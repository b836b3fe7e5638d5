#!/usr/bin/env python3
"""time_tokenizers.py TOKENIZER_BENCH MODEL TEXT...: MB/s of encoding each text whole by `tokenizer_bench`, by the package `tokenizers` with
the same vocabulary (tokenizer_oracle.py) and, where it has that, by `quicktok-v1`, taking turns; medians of ROUNDS. MODEL is a GGUF or a
folder with a tokenizer.json. "first" is an instance opened for it, with nothing remembered, on both sides; "then" the same instance on the
same text again, as both libraries remember words; quicktok's one instance is kept. Needs requirements.txt, and quicktok-v1 for its
column."""
import os
import re
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

from tokenizer_oracle import build  # noqa: E402

ROUNDS = 5


def quicktok(model):
    try:
        import quicktok as q
    except ImportError:
        return None
    return q.get_encoding("qwen3").count if "qwen2" in model.lower() else None


def speed(encode, text, size):
    start = time.perf_counter()
    encode(text)
    return size / (time.perf_counter() - start) / 1e6


def ours(bench, model, path):
    said = subprocess.run([bench, model, path], stdout=subprocess.PIPE, check=True, text=True).stdout
    return [float(x) for x in re.search(r"first +([0-9.]+) MB/s  then +([0-9.]+)", said).groups()]


def theirs(saved, text, size):
    """First and then, of a new instance."""
    tok = Tokenizer.from_str(saved)
    tok.encode_special_tokens = True
    return [speed(lambda t: tok.encode(t, add_special_tokens=False), text, size) for _ in range(2)]


def main(bench, model, *paths):
    saved = build(os.path.join(model, "tokenizer.json") if os.path.isdir(model) else model).to_str()
    quick = quicktok(model)
    for path in paths:
        with open(path, encoding="utf-8", errors="ignore", newline="") as f:
            text = f.read()
        size = len(text.encode())
        rounds = []
        for _ in range(ROUNDS):
            row = ours(bench, model, path) + theirs(saved, text, size)
            rounds.append(row + ([speed(quick, text, size)] if quick else []))
        first, then, their_first, their_then, *fast = [statistics.median(column) for column in zip(*rounds)]
        print("%s %s (%d bytes): first %.0f, then %.0f MB/s; tokenizers first %.2f, then %.2f: first / first %.1f, then / then %.1f%s" % (
            os.path.basename(model.rstrip("/")), os.path.basename(path), size, first, then, their_first, their_then, first / their_first,
            then / their_then,
            "; quicktok %.0f: first / it %.2f, then / it %.2f" % (fast[0], first / fast[0], then / fast[0]) if fast else ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
