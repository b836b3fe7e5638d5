#!/usr/bin/env python3
"""embed.py TENON: `tenon embed` by the tiny encoder of oracle/families, whose rows `tenon eval` gives: every pooling, JSON and lines, texts
from arguments and stdin, empty and too long ones. And all-MiniLM-L6-v2 against transformers' vectors of 50 texts
(oracle/make_vectors.py), where it is there (TENON_MODEL_MINILM, or in the cache of tools/common.sh). Standard library only."""
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ORACLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "oracle")
TENON = os.path.abspath(sys.argv[1])
CACHE = os.environ.get("TENON_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tenon")
MINILM = os.environ.get("TENON_MODEL_MINILM") or os.path.join(CACHE, "models", "all-MiniLM-L6-v2")
LEAST_COSINE = 0.99999
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + ["w%c" % c for c in range(97, 123)] + ["##%c" % c for c in range(97, 123)] + list("abcdefg")
MODES = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "last": "pooling_mode_lasttoken"}
TEXTS = ["wa wb c", "g", "wz wz wz wy a b c d e f g wk"]


def run(*args, stdin=""):
    return subprocess.run([TENON, *args], input=stdin, capture_output=True, text=True, timeout=300)


def unit(v):
    length = math.sqrt(sum(x * x for x in v))
    return [x / length for x in v]


def cosine(a, b):
    return sum(x * y for x, y in zip(unit(a), unit(b)))


class Embed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="tenon-embed-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.model = cls.copy("model")

    @classmethod
    def copy(cls, name, **files):
        """The tiny encoder with a vocabulary, and JSON files beside it; `/` in their names is `__` here."""
        folder = os.path.join(cls.root, name)
        shutil.copytree(os.path.join(ORACLE, "families", "bert"), folder)
        with open(folder + "/vocab.txt", "w") as f:
            f.write("\n".join(WORDS) + "\n")
        with open(folder + "/tokenizer_config.json", "w") as f:
            json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": True}, f)
        for path, value in files.items():
            path = os.path.join(folder, path.replace("__", "/") + ".json")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                json.dump(value, f)
        return folder

    def embed(self, *args, model=None, stdin="", warns=None):
        done = run("embed", model or self.model, *args, stdin=stdin)
        self.assertEqual((done.returncode, "" if warns is not None else done.stderr), (0, ""))
        if warns is not None:
            warns += done.stderr.splitlines()
        return done.stdout

    def vectors(self, *args, **more):
        told = json.loads(self.embed(*args, "--json", **more))
        self.assertTrue(all(len(v) == told["width"] for v in told["vectors"]))
        return told["vectors"]

    def rows(self, text):
        """The model's rows of a text, by eval."""
        done = run("tokenize", self.model, text, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = [WORDS.index("[CLS]"), *json.loads(done.stdout)["ids"], WORDS.index("[SEP]")]
        done = run("eval", self.model, "--ids", "-", "--logits", stdin=json.dumps({"a": ids}))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["a"]

    def assert_near(self, a, b):
        self.assertEqual(len(a), len(b))
        self.assertLess(max(abs(x - y) for x, y in zip(a, b)), 1e-6)

    def test_pooling(self):
        for text in TEXTS:
            rows = self.rows(text)
            pooled = {"cls": rows[0], "last": rows[-1], "mean": [sum(column) / len(rows) for column in zip(*rows)]}
            for how, want in pooled.items():
                self.assert_near(self.vectors(text, "--pooling", how)[0], unit(want))
                self.assert_near(self.vectors(text, "--pooling", how, "--raw")[0], want)
            self.assertEqual(self.vectors(text), self.vectors(text, "--pooling", "mean"))  # nothing says otherwise

    def test_pooling_of_the_model(self):
        for how, mode in MODES.items():
            folder = self.copy("pooled-" + how, **{"1_Pooling__config": {**{m: False for m in MODES.values()}, mode: True}})
            self.assertEqual(self.vectors(*TEXTS, model=folder), self.vectors(*TEXTS, "--pooling", how))
        folder = self.copy("pooled-max", **{"1_Pooling__config": {"pooling_mode_max_tokens": True}})
        done = run("embed", folder, "wa")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("pooling.pooling_mode_max_tokens", done.stderr)

    def test_modules(self):
        """modules.json says whether vectors have the length 1."""
        def modules(*names):
            return [{"idx": i, "name": str(i), "path": "", "type": "sentence_transformers.models." + n} for i, n in enumerate(names)]

        raw = self.vectors(*TEXTS, "--raw")
        self.assertNotEqual(raw, self.vectors(*TEXTS))
        plain = self.copy("raw", modules=modules("Transformer", "Pooling"))
        self.assertEqual(self.vectors(*TEXTS, model=plain), raw)
        normed = self.copy("normed", modules=modules("Transformer", "Pooling", "Normalize"))
        self.assertEqual(self.vectors(*TEXTS, model=normed), self.vectors(*TEXTS))
        self.assertEqual(self.vectors(*TEXTS, "--raw", model=normed), raw)
        for name, value, says in (("dense", modules("Transformer", "Pooling", "Dense"), "modules has 'sentence_transformers.models.Dense'"),
                                  ("nothing", [1], "modules has ''"), ("object", {"a": 1}, "no list"), ("word", "x", "no list")):
            done = run("embed", self.copy("modules-" + name, modules=value), "wa")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr)

    def test_ways(self):
        want = self.vectors(*TEXTS)
        self.assertEqual(self.vectors(stdin="\n".join(TEXTS)), want)
        self.assertEqual(self.vectors(stdin="\r\n".join(TEXTS) + "\n"), want)
        self.assertEqual([[float(x) for x in line.split()] for line in self.embed(*TEXTS).splitlines()], want)
        self.assertEqual([self.vectors(text)[0] for text in TEXTS], want)  # alone or beside others: the same bits
        self.assertEqual(self.vectors(stdin="\n".join(TEXTS * 100)), want * 100)  # more than one call's

    def test_lines(self):
        """Each line of stdin is a text, whatever bytes it has; what is no UTF-8 counts as U+FFFD, which BERT passes over as it does NUL."""
        for lines, texts in ((b"wa\n\nwb\n", ["wa", "", "wb"]), (b"wa\n\nwb", ["wa", "", "wb"]), (b"\n", [""]), (b"\r\n\r\n", ["", ""]),
                             (b"wa\r\nwb\r\n", ["wa", "wb"]), (b"wa\r", ["wa"]), (b" \n", [" "]), (b"w\0a\n\0", ["wa", ""]),
                             (b"w\xffa\nwb\xe2\x82\n\xed\xa0\x80", ["wa", "wb", ""]), (b"wa \xef\xbf\xbdwb", ["wa wb"])):
            done = subprocess.run([TENON, "embed", self.model, "--json"], input=lines, capture_output=True, timeout=300)
            self.assertEqual((done.returncode, done.stderr), (0, b""), lines)
            self.assertEqual(json.loads(done.stdout)["vectors"], self.vectors(*texts), lines)

    def test_empty(self):
        self.assert_near(self.vectors("")[0], unit([sum(c) / 2 for c in zip(*self.rows(""))]))  # [CLS] and [SEP] alone
        done = run("embed", self.model, stdin="")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no text", done.stderr)

    def test_too_long(self):
        exact = " ".join(["wa"] * 62)  # and two more around it are the context
        said = []
        self.assertEqual(self.vectors("wa", exact + " wb wc wd", warns=said)[1], self.vectors(exact)[0])
        self.assertEqual(said, ["tenon: warning: text 2 is too long for the model: its last 3 tokens are left out"])
        said.clear()
        self.vectors(stdin="wa\n" * 300 + (exact + " wb\n") * 10, warns=said)
        self.assertEqual([line.split()[3] for line in said[:8]], [str(n) for n in range(301, 309)])
        self.assertEqual(said[8:], ["tenon: warning: 2 more texts are too long"])
        self.assertNotEqual(self.vectors(exact), self.vectors(" ".join(["wa"] * 61)))
        folder = self.copy("short", sentence_bert_config={"max_seq_length": 10})
        self.assertEqual(self.vectors(exact, model=folder, warns=said), self.vectors(" ".join(["wa"] * 8)))
        for most, words in ((10, 8), (1e30, 62), (64, 62)):  # the tokenizer's, where nothing else says it
            folder = self.copy("tokenizer-%g" % most, tokenizer_config={"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": most})
            self.assertEqual(self.vectors(exact + " wb", model=folder, warns=said), self.vectors(" ".join(["wa"] * words)))

    def test_graph(self):
        done = run("graph", self.model)
        self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (0, "program embed"), done.stderr)
        self.assertNotEqual(run("graph", self.model, "--program", "step").returncode, 0)


class MiniLM(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(os.path.join(MINILM, "model.safetensors")), "no MiniLM in " + MINILM)
    def test_cosine(self):
        with open(os.path.join(ORACLE, "minilm-texts.json"), encoding="utf-8") as f:
            texts = json.load(f)
        with open(os.path.join(ORACLE, "minilm-vectors.f16"), "rb") as f:
            data = f.read()
        done = run("embed", MINILM, "--json", stdin="\n".join(texts))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"^tenon: warning: text 50 is too long for the model: its last \d+ tokens are left out\n$")  # and no tensor unused
        got = json.loads(done.stdout)
        self.assertEqual((got["width"], len(got["vectors"]), len(data)), (384, len(texts), 2 * 384 * len(texts)))
        want = [struct.unpack_from("<384e", data, 2 * 384 * i) for i in range(len(texts))]
        lowest = min(cosine(a, b) for a, b in zip(got["vectors"], want))
        print("lowest cosine of %d texts: %.8f" % (len(texts), lowest))
        self.assertGreaterEqual(lowest, LEAST_COSINE)
        self.assertLess(cosine(got["vectors"][0], want[1]), 0.9)  # texts differ
        long = " ".join([texts[-1]] * 4)
        self.assertGreater(len(long.split()), 2000)
        done = run("embed", MINILM, long, "--json")
        self.assertGreaterEqual(cosine(json.loads(done.stdout)["vectors"][0], want[-1]), LEAST_COSINE)  # cut as transformers cuts it


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
