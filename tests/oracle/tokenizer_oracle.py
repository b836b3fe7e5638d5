#!/usr/bin/env python3
"""Token ids by Hugging Face's `tokenizers`, from nothing but a GGUF's vocabulary.

Builds the Tokenizer that the model's own tokenizer.json describes (the vocabulary,
merges and `tokenizer.ggml.pre` of a GGUF say all of it), makes a deterministic mixed
text (mixed_text.py) and writes the text and its ids. An end-to-end test feeds the same
text to `tenon tokenize MODEL --json -` and compares:

    tokenizer_oracle.py MODEL.gguf --bytes 1000000 --text t.txt --ids want.json
    tenon tokenize MODEL.gguf --json - < t.txt > got.json
    tokenizer_oracle.py MODEL.gguf --read-text t.txt --compare got.json

A tokenizer.json stands for a GGUF, --save DIR writes one, and --tool runs the test program
tokenizer_json_ids on it and compares ids and the text that they decode to:

    tokenizer_oracle.py MODEL.gguf --bytes 2000000 --save DIR --tool build/tests/tokenizer_json_ids

As there, the text of control tokens is text unless --special is given, user-defined
tokens are always recognised, and no BOS or EOS is added. Needs pip packages
`tokenizers` and `gguf`.
"""
import argparse
import json
import os
import struct
import subprocess
import sys

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordPiece

from mixed_text import mixed_text

UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6  # values of tokenizer.ggml.token_type

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
QWEN2 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def digits():
    return pre_tokenizers.Digits(individual_digits=True)


# Per tokenizer.ggml.pre: the steps of the models' own tokenizer.json. ByteLevel with
# use_regex applies GPT-2's pattern, without it only the byte-to-character mapping.
PRE_TOKENIZERS = {
    "gpt-2": lambda: [byte_level(True)],
    "smollm": lambda: [digits(), byte_level(True)],
    "starcoder": lambda: [digits(), byte_level(True)],
    "deepseek-coder": lambda: [
        split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"),
        split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), digits(), byte_level(False)],
    "qwen2": lambda: [split(QWEN2), byte_level(False)],
    "llama-bpe": lambda: [split(LLAMA3), byte_level(False)],
}
IGNORE_MERGES = {"llama-bpe"}
NFC = {"qwen2"}  # Qwen2's tokenizer.json normalises; a GGUF has no field that says so


def add_tokens(tok, tokens, types, special):
    for text, kind in zip(tokens, types):
        if kind == USER_DEFINED:
            tok.add_tokens([AddedToken(text, normalized=False)])
        elif kind == CONTROL and special:
            tok.add_special_tokens([AddedToken(text, normalized=False)])


def merges_of(tokens, types, scores):
    """The list of merges that joining by score amounts to: as transformers derives it."""
    text = [(t, s) for t, k, s in zip(tokens, types, scores) if k not in (UNKNOWN, CONTROL, BYTE)]
    vocab = {t: i for i, (t, _) in enumerate(text)}
    merges = []
    for token, score in text:
        pairs = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in vocab and token[i:] in vocab]
        pairs.sort(key=lambda p: (vocab[p[0]], vocab[p[1]]))
        merges += [(-score, pair) for pair in pairs]
    return [pair for _, pair in sorted(merges, key=lambda m: m[0])]


def build_llama(field):
    """SentencePiece BPE."""
    tokens, types = field("tokens"), field("token_type")
    tok = Tokenizer(BPE({t: i for i, t in enumerate(tokens)}, merges_of(tokens, types, field("scores")),
                        unk_token=tokens[field("unknown_token_id")], fuse_unk=True, byte_fallback=True))
    spaces = [normalizers.Replace(" ", "\u2581")]
    if field("add_space_prefix", True):
        spaces.insert(0, normalizers.Prepend("\u2581"))
    tok.normalizer = normalizers.Sequence(spaces)
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tok.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] * (len(spaces) - 1))
    return tok


def build_bert(field):
    """WordPiece of an uncased model; words are stored with U+2581 in front, what continues them without "##"."""
    def spelling(token):
        return token if token[:1] == "[" and token[-1:] == "]" else (
            token[1:] if token[:1] == "\u2581" else "##" + token)

    vocab = {spelling(t): i for i, t in enumerate(field("tokens"))}
    tok = Tokenizer(WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    return tok


def build(gguf_path, special=False):
    """The Tokenizer of the vocabulary in gguf_path, or of a tokenizer.json; special: parse control tokens."""
    if gguf_path.endswith(".json"):
        tok = Tokenizer.from_file(gguf_path)
        tok.no_truncation()
        tok.no_padding()
        tok.encode_special_tokens = not special
        return tok
    reader = GGUFReader(gguf_path)

    def field(name, default=None):
        found = reader.fields.get("tokenizer.ggml." + name)
        return default if found is None else found.contents()

    if field("model") in ("llama", "bert"):
        tok = {"llama": build_llama, "bert": build_bert}[field("model")](field)
        add_tokens(tok, field("tokens"), field("token_type"), special)
        return tok
    if field("model") != "gpt2" or field("pre") not in PRE_TOKENIZERS:
        raise SystemExit("%s: tokenizer %s/%s is none of: gpt2/{%s}" % (
            gguf_path, field("model"), field("pre"), ",".join(PRE_TOKENIZERS)))
    pre, tokens, types = field("pre"), field("tokens"), field("token_type")
    # Control tokens stay out of the model's vocabulary when they are not to be parsed:
    # with ignore_merges a piece spelled like one would otherwise become it.
    vocab = {t: i for i, (t, k) in enumerate(zip(tokens, types)) if special or k != CONTROL}
    merges = [tuple(m.split(" ")) for m in field("merges")]
    tok = Tokenizer(BPE(vocab, merges, ignore_merges=pre in IGNORE_MERGES))
    tok.pre_tokenizer = pre_tokenizers.Sequence(PRE_TOKENIZERS[pre]())
    tok.decoder = decoders.ByteLevel()
    if pre in NFC:
        tok.normalizer = normalizers.NFC()
    add_tokens(tok, tokens, types, special)
    return tok


def compare(want, got, tok, text):
    """Where `got` first leaves `want` (an Encoding); None if it does not."""
    ids = want.ids
    if ids == got:
        return None
    at = next((i for i, (a, b) in enumerate(zip(ids, got)) if a != b), min(len(ids), len(got)))
    start = want.offsets[at][0] if at < len(ids) else len(text)

    def show(part):
        return ["%d %r" % (i, tok.id_to_token(i)) for i in part[max(0, at - 2):at + 6]]

    return "%d ids wanted, %d got; first difference at id %d, in %r\n  wanted %s\n  got    %s" % (
        len(ids), len(got), at, text[max(0, start - 20):start + 40], show(ids), show(got))


def tokenize_with(tool, folder, texts, special=False):
    """Ids of each text and what they decode to, by tokenizer_json_ids on the tokenizer.json in a folder."""
    data = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    done = subprocess.run([tool, folder] + ["--special"] * special, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit("%s: %s %s" % (folder, done.stdout.decode(), done.stderr.decode()))
    for line in done.stdout.decode().split("\n")[:-1]:
        ids, _, text = line.partition("\t")
        yield [int(i) for i in ids.split()], bytes.fromhex(text)


def save(tok, folder):
    os.makedirs(folder, exist_ok=True)
    tok.save(os.path.join(folder, "tokenizer.json"), pretty=False)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("gguf")
    p.add_argument("--bytes", type=int, default=1000000, help="size of the made text")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--read-text", metavar="FILE", help="use this text instead of making one")
    p.add_argument("--special", action="store_true", help="parse the text of control tokens")
    p.add_argument("--text", metavar="OUT", help="write the text (UTF-8) here")
    p.add_argument("--ids", metavar="OUT", help='write {"ids":[...]} here')
    p.add_argument("--save", metavar="DIR", help="write the Tokenizer as DIR/tokenizer.json")
    p.add_argument("--tool", metavar="PROGRAM", help="compare with tokenizer_json_ids on what --save wrote, or on the tokenizer.json given")
    p.add_argument("--compare", metavar="JSON", help="what `tenon tokenize --json` printed")
    return p.parse_args()


def main():
    args = arguments()
    if args.read_text:
        with open(args.read_text, encoding="utf-8", newline="") as f:
            text = f.read()
    else:
        text = mixed_text(args.bytes, args.seed)
    tok = build(args.gguf, args.special)
    want = tok.encode(text, add_special_tokens=False)
    if args.save:
        save(build(args.gguf, True), args.save)
    if args.tool:
        folder = args.save or os.path.dirname(args.gguf)
        (ids, back), = tokenize_with(args.tool, folder, [text.encode()], args.special)
        difference = compare(want, ids, tok, text)
        if difference:
            raise SystemExit("%s (seed %d): %s" % (folder, args.seed, difference))
        if back.decode("utf-8", "replace") != tok.decode(ids, skip_special_tokens=False):
            raise SystemExit("%s (seed %d): the ids are the same, but they decode to another text" % (folder, args.seed))
    if args.text:
        with open(args.text, "w", encoding="utf-8", newline="") as f:
            f.write(text)
    if args.ids:
        with open(args.ids, "w") as f:
            json.dump({"ids": want.ids}, f, separators=(",", ":"))
    if args.compare:
        with open(args.compare) as f:
            difference = compare(want, json.load(f)["ids"], tok, text)
        if difference:
            raise SystemExit("%s (seed %d): %s" % (args.gguf, args.seed, difference))
    print("%s: %d bytes, %d ids" % (args.gguf, len(text.encode()), len(want.ids)), file=sys.stderr)


if __name__ == "__main__":
    main()
