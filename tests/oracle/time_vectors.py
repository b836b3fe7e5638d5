#!/usr/bin/env python3
"""time_vectors.py FOLDER TENON [ROUNDS]: texts per second of all-MiniLM-L6-v2, whose directory FOLDER is, by sentence-transformers (batches
of 32, sorted by length, as it does) and by `tenon embed`, taking turns; medians. Opening is left out on both sides: of Tenon's time that
for one text is taken off. Needs sentence-transformers beside requirements.txt."""
import json
import os
import statistics
import subprocess
import sys
import time

import torch
from sentence_transformers import SentenceTransformer

HERE = os.path.dirname(os.path.abspath(__file__))
TIMES = 4  # each text, with a word of its own in front


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(folder, tenon, rounds=5):
    torch.set_num_threads(os.cpu_count())
    with open(os.path.join(HERE, "minilm-texts.json"), encoding="utf-8") as f:
        texts = ["%d %s" % (i, text) for text in json.load(f) for i in range(TIMES)]
    model = SentenceTransformer(folder, device="cpu")

    def by_tenon(some):
        subprocess.run([tenon, "embed", folder], input="\n".join(some).encode(), stdout=subprocess.DEVNULL, check=True)

    model.encode(texts[:32])
    theirs, ours = [], []
    for _ in range(int(rounds)):
        theirs.append(timed(lambda: model.encode(texts, batch_size=32, show_progress_bar=False)))
        ours.append(timed(lambda: by_tenon(texts)) - timed(lambda: by_tenon(texts[:1])))
    a, b = len(texts) / statistics.median(theirs), len(texts) / statistics.median(ours)
    print("sentence-transformers %.0f texts/s, tenon %.0f texts/s, ratio %.2f" % (a, b, b / a))


if __name__ == "__main__":
    main(*sys.argv[1:])
