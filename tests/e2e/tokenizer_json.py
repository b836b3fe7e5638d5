#!/usr/bin/env python3
"""tokenizer.json against Hugging Face's library, component by component.

usage: tokenizer_json.py TOKENIZER_JSON_IDS

Every row of the tables below is a made-up tokenizer.json that switches one component on; its ids, and the text that these
decode to, must be those of the package `tokenizers`, on texts that are awkward on purpose. Skips without the package.
"""
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))

try:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from tokenizer_oracle import build, save, tokenize_with
except ImportError:
    print("SKIPPED: needs the Python packages tokenizers and gguf")
    sys.exit(77)

from mixed_text import SENTENCES, CODE, SYMBOLS, mixed_text  # noqa: E402

SHARED = os.environ.get("TENON_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))
SEPARATOR = b"\n__ggml_vocab_test__\n"

TEXTS = SENTENCES + CODE + SYMBOLS + [
    "", " ", "  ", "a", " a", "a ", "  a  b  ", "Hello, world! It's 12345.67", "x\r\ny\n\nz\t\tw", "no-break\u00a0space",
    "ab12cd345 6", "don't we'll I'M", "e\u0301\u0323x e\u0323\u0301", "\u1100\u1161\u11a8", "\u212b\u2126\ufb01\u00bd\uff21",
    "\u0130I\u0131 \u1e9e\u00df \u03a3\u03c2", "\u65e5\u672c\u8a9e\u3068\u30ab\u30bf\u30ab\u30ca\u30fc x", "\u2581a \u2581\u2581b",
    "<s>hello</s> <s> world", "a<sp>b <sp> c<sp>", "foo foobar foo_ foo, foo", "MASK [MASK] x [MASK]y", "caf\u00e9 CAF\u00c9 cafe\u0301",
    "a--b---c", "-a-", "the foo foo  foo is is world foo", "\u3002\u3001\u30fb\u30fc\u3005 \uff9d", "\x01b", "\u0301c", "( \u30fc!\u30fc a\u30fc", "aaabab cC aB abcd a\u0301b pL Qa", "--...", ":##!#####", "x\u180ey \u0085z", "$+<=>^`|~", "...", "\x00a\x01b\x7f", "\u200b\u200d\ufeff\ufffd", "1,234 5 67", "\u0661\u0662 \u2167 \u00b2",
]
MIXED = mixed_text(15000, 11)
TEXTS += [MIXED[i:i + 300] for i in range(0, len(MIXED), 300)]
TEXTS += ["<unk>", "x<unk>a <unk><unk>z <unk>", "<0x41> a<0x7A><0x41>", "aeee zez", "[UNK] a[UNK]", "x\u0085x", "a\r\nb\r"]


def plain_vocab():
    """Characters and some words, so that little is unknown but something is."""
    chars = sorted({c for t in TEXTS[:60] for c in t if c not in "xyzé日"})
    words = ["hello", "Hello", "world", "foo", "bar", "the", "ab", "12", "don", "It", "'s", "\u2581a", "\u2581", "##a", "##b", "##o",
             "##el", "a</w>", "b</w>", "lo", "##lo", "##ld", "foobar"]
    return chars + [w for w in words if w not in chars]


def word_level():
    vocab = ["[UNK]"] + plain_vocab()
    return models.WordLevel({w: i for i, w in enumerate(vocab)}, unk_token="[UNK]")


def word_piece(**more):
    vocab = ["[UNK]"] + plain_vocab() + ["##" + c for c in "acdefghilmnoprstuw0123456789,"]
    return models.WordPiece({w: i for i, w in enumerate(dict.fromkeys(vocab))}, unk_token="[UNK]", **more)


def unigram(byte_fallback=False):
    vocab = ["<unk>"] + plain_vocab() + ["<0x%02X>" % i for i in range(256 if byte_fallback else 0)]
    return models.Unigram([(w, 0.0 if i == 0 else -1.0 - (i * 7919 % 1000) / 100 - 3 * (len(w) == 1)) for i, w in enumerate(vocab)], 0,
                          byte_fallback)


def ties():
    """Words cost what their letters do: nothing but the order of additions decides."""
    letters = {c: -(i * 7919 % 90 + 10) / 10 for i, c in enumerate(sorted(set("".join(TEXTS[:60]))))}
    words = ["he", "ll", "lo", "wo", "rl", "or", "foo", "fo", "oo", "ba", "ar", "bar", "an", "nd", "th", "the", "in", "er", "re", "on"]
    words = {w: round(sum(letters[c] for c in w), 1) for w in words}
    return models.Unigram([("<unk>", 0.0)] + list(letters.items()) + list(words.items()), 0)


def last_bits():
    """Scores whose last digits serde_json does not round to the nearest number: that bit decides between ways that cost the same."""
    return models.Unigram([("<unk>", 0.0), ("-", -4.844221414153382), ("..", -3.1073301097045825), (".", -11.398711856061043),
                           ("##", -0.13344610154582215), ("#", -11.312229216048367), (":", -3.0947781055912356), ("!", -0.9172573035930882)], 0)


TRAINED = {}


def byte_bpe(**more):
    if "byte" not in TRAINED:
        tok = Tokenizer(models.BPE())
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tok.train_from_iterator(TEXTS, trainers.BpeTrainer(
            vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
        TRAINED["byte"] = json.loads(tok.to_str())["model"]
    m = TRAINED["byte"]
    return models.BPE(m["vocab"], [tuple(x) for x in m["merges"]], **more)


def char_bpe(prefix="", suffix="", words=(), unk_token="[UNK]", **more):
    key = (prefix, suffix)
    affixes = dict([("continuing_subword_prefix", prefix)] * bool(prefix) + [("end_of_word_suffix", suffix)] * bool(suffix))
    if key not in TRAINED:
        tok = Tokenizer(models.BPE(unk_token="[UNK]", **affixes))
        tok.pre_tokenizer = pre_tokenizers.Whitespace()
        tok.train_from_iterator(TEXTS[:60], trainers.BpeTrainer(
            vocab_size=900, limit_alphabet=120, special_tokens=["[UNK]"], show_progress=False, **affixes))
        TRAINED[key] = json.loads(tok.to_str())["model"]
    m = TRAINED[key]
    vocab = dict(m["vocab"])
    if more.get("byte_fallback"):
        vocab.update({"<0x%02X>" % i: len(m["vocab"]) + i for i in range(256)})
    for word in words:
        vocab.setdefault(word, len(vocab))
    return models.BPE(vocab, [tuple(x) for x in m["merges"]], unk_token=unk_token, **affixes, **more)


def some_bytes(fuse_unk):
    """Fall-back to bytes of which not all are tokens."""
    whole = json.loads(Tokenizer(char_bpe(byte_fallback=True)).to_str())["model"]
    kept = [t for t in whole["vocab"] if t not in ("<0xA5>", "<0x98>", "<0xE2>", "<0x80>")]
    return models.BPE({t: i for i, t in enumerate(kept)}, [tuple(m) for m in whole["merges"]], unk_token="[UNK]", byte_fallback=True, fuse_unk=fuse_unk)


def seq(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def N(kind, **more):
    return dict({"type": kind}, **more)


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return N("Split", pattern={kind: pattern}, behavior=behavior, invert=invert)


def added(content, **more):
    token = {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return dict(token, **more)


BYTE_LEVEL = N("ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
SPACED = N("Metaspace", replacement="\u2581", prepend_scheme="always", split=True)
BERT = N("BertNormalizer", clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

CASES = []


def case(name, model, normalizer=None, pre=None, decoder=None, tokens=()):
    CASES.append((name, model, normalizer, pre, decoder, tokens))


for form in "NFC", "NFD", "NFKC", "NFKD":
    case("normalizer " + form, byte_bpe, N(form), BYTE_LEVEL, BYTE_LEVEL)
for name, normalizer in {
        "Lowercase": N("Lowercase"), "StripAccents": seq("normalizers", N("NFD"), N("StripAccents")), "Nmt": N("Nmt"),
        "Strip": N("Strip", strip_left=True, strip_right=True), "Strip left": N("Strip", strip_left=True, strip_right=False),
        "Strip right": N("Strip", strip_left=False, strip_right=True), "Prepend": N("Prepend", prepend="\u2581"),
        "Replace text": N("Replace", pattern={"String": "l"}, content="LL"), "Replace regex": N("Replace", pattern={"Regex": r"\s{2,}|\d+"}, content=" "),
        "Replace to nothing": N("Replace", pattern={"Regex": "[aeiou]"}, content=""),
        "Sequence": seq("normalizers", N("NFKC"), seq("normalizers", N("Lowercase")), N("Replace", pattern={"String": " "}, content="\u2581"))}.items():
    case("normalizer " + name, byte_bpe, normalizer, BYTE_LEVEL, BYTE_LEVEL)
for flags in range(16):
    case("BertNormalizer %d" % flags, word_piece, N("BertNormalizer", clean_text=bool(flags & 1), handle_chinese_chars=bool(flags & 2),
         strip_accents=bool(flags & 4), lowercase=bool(flags & 8)), N("BertPreTokenizer"), N("WordPiece", prefix="##", cleanup=True))
case("normalizer ByteLevel", byte_bpe, N("ByteLevel"), split(r"\d+"), BYTE_LEVEL)

for behavior in "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous":
    for invert in False, True:
        for pattern in (r"\d", "[aeiou]+", r"\s+", "-"):
            case("Split %r %s %s" % (pattern, behavior, invert), word_level, None, seq("pretokenizers", split(pattern, behavior, invert), split(".")))
        case("Split text %s %s" % (behavior, invert), word_level, None, split("o", behavior, invert, "String"))
    case("Punctuation " + behavior, word_level, None, N("Punctuation", behavior=behavior))
# Where Oniguruma and PCRE2 have the same words for different things.
for pattern in (r"\w+", r"[\w-]+", r"\b", r"\B", r"(?m).+", r"[[:punct:]]+", r"\p{Punct}+", r"\p{Word}+|\P{Word}", r"[[:upper:]]+", r"[^[:punct:]\s]+", r"[[:^space:]\s]",
                r"\p{Han}+", r"\p{^Han}+", r"\p{N}{1,3}+", r"(?:ab|c){2}?d", r"\x{61}{,2}", r"a(?i)B|c", r"\v", r"\Qa", r"\pL", r"\S+\O", r".+\R"):
    case("regex " + pattern, word_level, None, seq("pretokenizers", split(pattern), N("FixedLength", length=2)))
for name, pre in {
        "Digits": N("Digits", individual_digits=False), "Digits alone": N("Digits", individual_digits=True), "Whitespace": N("Whitespace"),
        "WhitespaceSplit": N("WhitespaceSplit"), "BertPreTokenizer": N("BertPreTokenizer"), "CharDelimiterSplit": N("CharDelimiterSplit", delimiter="o"),
        "UnicodeScripts": N("UnicodeScripts"), "none": None, "FixedLength": N("FixedLength", length=3),
        "Sequence": seq("pretokenizers", N("WhitespaceSplit"), seq("pretokenizers", N("Punctuation", behavior="Isolated")), N("Digits", individual_digits=True))}.items():
    case("pre_tokenizer " + name, word_level, None, pre)
    case("pre_tokenizer " + name + " unigram", unigram, None, pre)
for use_regex in False, True:
    for prefix in False, True:
        byte_level = N("ByteLevel", add_prefix_space=prefix, trim_offsets=False, use_regex=use_regex)
        case("ByteLevel %s %s" % (use_regex, prefix), byte_bpe, None, byte_level, BYTE_LEVEL)
        case("Split, ByteLevel %s %s" % (use_regex, prefix), byte_bpe, None, seq("pretokenizers", split(r"\p{N}+"), byte_level), BYTE_LEVEL)
        case("ByteLevel words %s %s" % (use_regex, prefix), word_level, None, byte_level)
case("qwen2", byte_bpe, N("NFC"), seq("pretokenizers", split(QWEN2), N("ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=False)), BYTE_LEVEL)
case("ignore_merges", lambda: byte_bpe(ignore_merges=True), None, BYTE_LEVEL, BYTE_LEVEL)
for scheme in "always", "never", "first":
    for parts in False, True:
        metaspace = N("Metaspace", replacement="\u2581", prepend_scheme=scheme, split=parts)
        case("Metaspace %s %s" % (scheme, parts), unigram, None, metaspace, metaspace, [added("<s>", special=True), added("foo")])
        case("WhitespaceSplit, Metaspace %s %s" % (scheme, parts), unigram, None, seq("pretokenizers", N("WhitespaceSplit"), metaspace), metaspace)

WS = N("WhitespaceSplit")
for name, model in {"unk": char_bpe, "fuse_unk": lambda: char_bpe(fuse_unk=True), "byte_fallback": lambda: char_bpe(byte_fallback=True),
                    "prefix": lambda: char_bpe("##"), "suffix": lambda: char_bpe("", "</w>"), "prefix, suffix": lambda: char_bpe("##", "</w>"),
                    "ignore_merges": lambda: char_bpe(ignore_merges=True)}.items():
    case("BPE " + name, model, None, WS, N("BPEDecoder", suffix="</w>"))
    case("BPE, no pre_tokenizer, " + name, model, None, None, None)
case("WordPiece", word_piece, None, WS, N("WordPiece", prefix="##", cleanup=False))
case("WordPiece unk in the text", lambda: models.WordPiece({w: i for i, w in enumerate("[UNK] [ ##U ##N ##K ##] a".split())}, unk_token="[UNK]"), None, WS)
case("WordPiece short words", lambda: word_piece(max_input_chars_per_word=4), BERT, WS, N("WordPiece", prefix="##", cleanup=True))
for pattern in (r"[\w&&[^aeiou]]+", r"[a-z&&m-z]+", r"\w+|\W", r"[\w-]+", r"[\p{L}\p{M}&&[^\p{Han}]]+|\p{Han}+", r"\P{^Greek}",
                r"[\W_]+", r"[^\W_]+", r"[^\W\d_]{2,3}+", r"[\W]|o+", r"[^\W]x?", r"[[:^punct:]-]", r"[^[:^alnum:]\H]+", r"[a[\W_]]+"):
    case("Split " + pattern, word_level, None, split(pattern))
# Matches that are empty: they count, and cut, unless the match before ended there.
for pattern in (r"\d??|o", r"[a-e]*", r"$|\b"):
    for behavior in "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
        case("Split at nothing %s %s" % (pattern, behavior), word_level, None, split(pattern, behavior, behavior != "MergedWithNext"))
    case("Replace nothing " + pattern, word_level, N("Replace", pattern={"Regex": pattern}, content="a"), split("."))
    case("decoder Replace nothing " + pattern, word_level, None, split("."), N("Replace", pattern={"Regex": pattern}, content="<>"))
for clean in False, True:
    case("CTC cleanup %s" % clean, lambda: char_bpe("##"), None, WS, N("CTC", pad_token="[UNK]", word_delimiter_token="##a", cleanup=clean))
case("CTC, WordPiece", lambda: char_bpe("##"), None, WS,
     seq("decoders", N("CTC", pad_token="[UNK]", word_delimiter_token="##a", cleanup=True), N("WordPiece", prefix="##", cleanup=False)))
case("Unigram ties", ties, None, SPACED, SPACED)
case("Unigram ties by the last bit", last_bits)
case("Unigram byte_fallback", lambda: unigram(True), None, SPACED, seq("decoders", N("ByteFallback"), SPACED))
case("llama", lambda: char_bpe(byte_fallback=True, fuse_unk=True),
     seq("normalizers", N("Prepend", prepend="\u2581"), N("Replace", pattern={"String": " "}, content="\u2581")), None,
     seq("decoders", N("Replace", pattern={"String": "\u2581"}, content=" "), N("ByteFallback"), N("Fuse"), N("Strip", content=" ", start=1, stop=0)))
case("decoder Strip", word_piece, None, WS, N("Strip", content="o", start=1, stop=0))  # the library panics where both meet
case("decoder Strip behind", word_piece, None, WS, N("Strip", content="o", start=0, stop=1))
case("decoder Replace regex", word_piece, None, WS, N("Replace", pattern={"Regex": "[ab]"}, content="<>"))

for flag in "lstrip", "rstrip", "single_word", "normalized":
    for special in False, True:
        tokens = [added("foo", special=special, **{flag: True}), added("<sp>", special=special, **{flag: True}), added("[MASK]", **{flag: True}),
                  added("CAF\u00c9", **{flag: True})]
        case("added %s %s" % (flag, special), byte_bpe, N("Lowercase"), BYTE_LEVEL, BYTE_LEVEL, tokens)
        case("added %s %s, words" % (flag, special), word_piece, BERT, N("BertPreTokenizer"), N("WordPiece", prefix="##", cleanup=True), tokens)
case("added, spaces shared", byte_bpe, None, BYTE_LEVEL, BYTE_LEVEL, [added(" foo", rstrip=True), added(" world", rstrip=True), added("is", rstrip=True)])
case("added, not of the Unigram", unigram, None, SPACED, SPACED, [added("fo", single_word=True), added("el", single_word=True), added("CAF\u00c9", single_word=True)])
case("BPE ignore_merges, no pre_tokenizer, spaces", lambda: char_bpe(ignore_merges=True, words=("x ", "o ", " w", "a  b", "hello, ")))
case("Unigram unk in the text", lambda: unigram(), None, SPACED)
case("Unigram unk and bytes in the text", lambda: unigram(True), None, SPACED)
case("BPE fuse_unk, unk in the text", lambda: char_bpe(unk_token="e", fuse_unk=True))
case("BPE without unk", lambda: char_bpe(unk_token=None))
case("BPE bytes for letters that spell bytes", lambda: char_bpe(unk_token=None, byte_fallback=True), None, BYTE_LEVEL, None)
case("decoder Fuse, two Strips", unigram, None, SPACED, seq("decoders", SPACED, N("Fuse"), N("Strip", content="o", start=2, stop=0), N("Strip", content="a", start=0, stop=0)))
case("added, white space taken", byte_bpe, None, BYTE_LEVEL, None, [added("foo", rstrip=True), added(" "), added("  "), added("\n", rstrip=True)])
case("added, white space taken from the left", byte_bpe, None, BYTE_LEVEL, None,
     [added("\n", lstrip=True, rstrip=True), added("is", lstrip=True)])  # the library panics where one takes more than the next has
case("added, bytes of the model", byte_bpe, None, BYTE_LEVEL, BYTE_LEVEL, [added("a", single_word=True), added("o", single_word=True)])
for name, normalizer in {"Strip": N("Strip", strip_left=True, strip_right=True), "Nmt": N("Nmt"), "BertNormalizer": BERT, "StripAccents": N("StripAccents"),
                         "Replace": N("Replace", pattern={"Regex": r"^[A-Za-z]{2}"}, content="h"),
                         "Replace to nothing": N("Replace", pattern={"String": "-"}, content="")}.items():
    case("Metaspace first, " + name, unigram, normalizer, N("Metaspace", replacement="\u2581", prepend_scheme="first", split=True))
for affixes in ("##", ""), ("", "</w>"), ("##", "</w>"):
    case("BPE bytes of affixes %s %s" % affixes, lambda a=affixes: char_bpe(*a, byte_fallback=True), None, WS)
case("BPE, some bytes", lambda: some_bytes(False), None, WS)
case("BPE, some bytes, fused", lambda: some_bytes(True), None, None)
for name, step in {"Metaspace": SPACED, "WordPiece": N("WordPiece", prefix="##", cleanup=False), "BPEDecoder": N("BPEDecoder", suffix="o"),
                   "ByteFallback": N("ByteFallback"), "Strip": N("Strip", content="a", start=1, stop=0)}.items():
    case("decoder Fuse, " + name, unigram, None, SPACED, seq("decoders", N("Fuse"), step))
    if name != "Metaspace":  # of three bytes, which may be of several tokens
        case("decoder ByteLevel, " + name, byte_bpe, None, BYTE_LEVEL, seq("decoders", BYTE_LEVEL, step))
case("added together", byte_bpe, None, BYTE_LEVEL, BYTE_LEVEL,
     [added("<s>", special=True, lstrip=True, rstrip=True), added("</s>", special=True), added("<sp>", lstrip=True), added("<sp>b"), added("foobar"),
      added("foo", single_word=True)])


def file_of(model, normalizer, pre, decoder, tokens):
    whole = json.loads(Tokenizer(model()).to_str())
    vocab = whole["model"]["vocab"]
    known = vocab if isinstance(vocab, dict) else {w: i for i, (w, _) in enumerate(vocab)}
    whole.update(normalizer=normalizer, pre_tokenizer=pre, decoder=decoder)
    n = len(vocab)
    for token in tokens:
        token = dict(token, id=known.get(token["content"], n))
        n += token["id"] == n
        whole["added_tokens"].append(token)
    return json.dumps(whole)


def deviates(name, given, special):
    """Where the ids are meant to differ."""
    if "UnicodeScripts" in name and "\u0589" in given:
        return True  # the Armenian full stop had no script of its own in the library's Unicode
    # Text never means a special token unless it is asked to; the library's models may have one in their vocabulary.
    return name.startswith("added") and "True, words" in name and "foo" in given and (not special or "single" in name)


def check(tool, name, text, folder):
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        f.write(text)
    try:
        tok = Tokenizer.from_str(text)
    except Exception as refused:  # the library has no class of its own for this
        return "the library refuses it: %s" % refused
    for special in (True, False) if name.startswith("added") or "<s>" in text else (True,):
        tok.encode_special_tokens = not special
        for given, (ids, back) in zip(TEXTS, tokenize_with(tool, folder, [t.encode() for t in TEXTS], special)):
            if deviates(name, given, special):
                continue
            want = tok.encode(given, add_special_tokens=False).ids
            if ids != want:
                return "%r: ids %s, wanted %s %s" % (given, ids, want, [tok.id_to_token(i) for i in want])
            if name.startswith("added") and ("\u00c9" in given or "[MASK]" in given):
                continue  # an added token is its content, whatever byte-level decoding or a normalizer would make of that
            want = tok.decode(want, skip_special_tokens=False)
            if back.decode("utf-8", "replace") != want:
                return "%r: decoded %r, wanted %r" % (given, back, want)
    return None


def check_published(tool, name, folder):
    """A published vocabulary as a tokenizer.json: the published ids, which are those of its GGUF too."""
    model = os.path.join(SHARED, "data", "tokenizers", name + ".gguf")
    if not os.path.exists(model):
        print("SKIPPED: %s is missing: set TENON_SHARED" % model)
        return None
    save(build(model, True), folder)
    with open(model + ".inp", "rb") as f:
        texts = f.read().split(SEPARATOR)[:-1]
    with open(model + ".out", encoding="ascii") as f:
        wanted = [[int(word) for word in line.split()] for line in f]
    for text, want, (ids, _) in zip(texts, wanted, tokenize_with(tool, folder, texts)):
        if ids != want:
            return "%r: ids %s, wanted %s" % (text, ids, want)
    print("%s: %d strings" % (name, len(texts)))
    return None


def main():
    failed = 0
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory() as folder:
        for name, *parts in CASES:
            difference = check(sys.argv[1], name, file_of(*parts), folder) if only in name else None
            if difference:
                print("%s: %s" % (name, difference))
                failed += 1
        for name in () if only else ("gpt-2", "starcoder", "deepseek-coder", "llama-spm", "phi-3", "bert-bge"):
            difference = check_published(sys.argv[1], name, folder)
            if difference:
                print("%s: %s" % (name, difference))
                failed += 1
    print("%d made-up tokenizers; %d differ from Hugging Face's library" % (len(CASES), failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
