#!/usr/bin/env python3
"""A directory with a tokenizer.model and no tokenizer.json against SentencePiece itself.

usage: sentencepiece_model.py TOKENIZER_JSON_IDS

Small models of both kinds are trained here, with what Llama, Gemma, T5 and others switch on or off; their ids, and the text
that these decode to, must be those of the package `sentencepiece`. Skips without the packages.
"""
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))

try:
    import sentencepiece
    from tokenizer_oracle import tokenize_with
except ImportError:
    print("SKIPPED: needs the Python packages sentencepiece, tokenizers and gguf")
    sys.exit(77)

from mixed_text import CODE, SENTENCES, mixed_text  # noqa: E402

AS_IT_IS = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
MODELS = {
    "llama": dict(AS_IT_IS, model_type="bpe", byte_fallback=True, split_digits=True),
    "gemma": dict(AS_IT_IS, model_type="bpe", byte_fallback=True, add_dummy_prefix=False, user_defined_symbols=["<sep>"]),
    "bpe": {"model_type": "bpe"},
    "t5": {"model_type": "unigram"},
    "bytes": {"model_type": "unigram", "byte_fallback": True},
    "plain": dict(AS_IT_IS, model_type="unigram", add_dummy_prefix=False),
}
TRAINED_ON = [line for line in mixed_text(100000, 7).replace("\0", "").splitlines() if line.strip()]
MIXED = mixed_text(30000, 5)
TEXTS = SENTENCES + CODE + [MIXED[i:i + 200] for i in range(0, len(MIXED), 200)]
TEXTS += ["", " ", "  ", " a", "a ", "  a  b  ", "\u1100\u1161\u11a8 \uac01 o\u0323\u0308 \ufb01 \uff21", "a\u2581b", "foo<sep>bar <sep> x"]


def check(tool, folder, options):
    path = os.path.join(folder, "tokenizer")
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TRAINED_ON), model_prefix=path, vocab_size=1500,
                                             character_coverage=0.98, hard_vocab_limit=False, minloglevel=2, **options)
    model = sentencepiece.SentencePieceProcessor(model_file=path + ".model")
    texts = [t for t in TEXTS if "\0" not in t]
    if options["model_type"] == "unigram":  # of a long run of one character several ways score alike
        texts = [t for t in texts if not re.search(r"(.)\1{3}", t)]
    for text, (ids, back) in zip(texts, tokenize_with(tool, folder, [t.encode() for t in texts])):
        want = model.encode(text)
        if ids != want:
            return "%r: %s, wanted %s" % (text, [model.id_to_piece(i) for i in ids], [model.id_to_piece(i) for i in want])
        if model.unk_id() not in ids and back.decode("utf-8", "replace") != model.decode(want):
            return "%r: decoded %r, wanted %r" % (text, back, model.decode(want))
    print("%d texts, %d with unknown characters" % (len(texts), sum(model.unk_id() in model.encode(t) for t in texts)))
    return None


def main():
    failed = 0
    for name, options in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            difference = check(sys.argv[1], folder, options)
        if difference:
            print("%s: %s" % (name, difference))
            failed += 1
    print("%d models; %d differ from SentencePiece" % (len(MODELS), failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
