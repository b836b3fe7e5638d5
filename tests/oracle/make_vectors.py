#!/usr/bin/env python3
"""make_vectors.py FOLDER: transformers' vectors of 50 texts by all-MiniLM-L6-v2, whose directory FOLDER is, as sentence-transformers makes
them (cut to 256 tokens, the mean of all rows, divided by its length), into

    minilm-texts.json   the texts, a line each: sentences of texts/*.txt, and one that is cut
    minilm-vectors.f16  little-endian [50, 384]; rounding to half precision moves a cosine by about 1e-7

Needs requirements.txt; e2e/embed.py, which compares, needs only the files."""
import glob
import json
import os
import re
import sys

import torch
from transformers import AutoModel, AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
N, MOST = 50, 256


def choose_texts():
    """As many of each file as of any other, as far as they go, and the longest file twice over."""
    parts, whole = [], ""
    for path in sorted(glob.glob(os.path.join(HERE, "texts", "*.txt"))):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        whole = max(whole, text, key=len)
        parts.append([" ".join(p.split()) for p in re.split(r"(?<=[.!?。!?;])\s+|\n\n|(?<=[。?!])", text) if len(p.strip()) > 8])
    rounds = [p[i] for i in range(max(map(len, parts))) for p in parts if i < len(p)]
    return rounds[:N - 1] + [" ".join((whole + whole).split())]


def main(folder):
    torch.set_num_threads(1)
    texts = choose_texts()
    assert len(texts) == N
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    vectors = []
    with torch.no_grad():
        for text in texts:
            y = model(**tokenizer(text, truncation=True, max_length=MOST, return_tensors="pt", padding=False)).last_hidden_state[0].double().mean(0)
            vectors.append((y / y.norm()).float())
    with open(os.path.join(HERE, "minilm-texts.json"), "w", encoding="utf-8") as f:
        json.dump(texts, f, ensure_ascii=False, indent=0)
        f.write("\n")
    torch.stack(vectors).numpy().astype("<f2").tofile(os.path.join(HERE, "minilm-vectors.f16"))


if __name__ == "__main__":
    main(sys.argv[1])
