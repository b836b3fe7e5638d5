#!/usr/bin/env python3
"""hostile_models.py TENON: what a model brought from anywhere may do to its user, by name: each is refused by a sentence that says what is
wrong, or does no harm, in little time and memory. The parsers' own cases are in tests/unit. Needs numpy, gguf."""
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import unittest

import huggingface as hf # skips without its packages
import gguf
import numpy as np

SECONDS, MEGABYTES = 30, 1000 # under sanitizers too; without them 0.25 s and 65 MB at most were measured

WORDS = {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "u": 2}, "unk_token": "u"}


def bpe(vocab, merges, **more):
    return {"model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(vocab)}, "merges": merges, **more}}


def split(pattern):
    return {"model": WORDS, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}}


class Hostile(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="tenon-hostile-")
        self.addCleanup(place.cleanup)
        self.folder = hf.write_directory(os.path.join(place.name, "m"), hf.weights(bias=False), hf.config("llama"), shards=2)

    def put(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as f:
            f.write(data if isinstance(data, bytes) else json.dumps(data).encode())
        return os.path.join(self.folder, name)

    def command(self, *args, stdin=b""):
        done = subprocess.run([hf.TENON, *args], input=stdin, capture_output=True, timeout=SECONDS)
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, MEGABYTES << 10) # of all so far
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done

    def refused(self, says, *args, stdin=b"a"):
        done = self.command(*args, stdin=stdin)
        self.assertEqual(done.returncode, 1, done.stdout[:200])
        self.assertIn(says, done.stderr.decode())

    def tokenizer(self, says, text):
        self.put("tokenizer.json", text)
        self.refused(says, "tokenize", self.folder, "-")

    # ---- weights ----

    def test_weights_of_any_bits(self):
        """Logits are NaN; which NaN depends on the order of sums, and a hash of bits does not."""
        rng = np.random.default_rng(2)
        weights = {name: rng.integers(0, 1 << 16, w.shape, np.uint16).view(np.float16) for name, w in hf.weights(bias=False).items()}
        folder = hf.write_directory(self.folder + "-nan", weights, hf.config("llama"))
        ids = json.dumps({"a": list(range(20))}).encode()
        said = {self.command("eval", folder, "--ids", "-", "--bits", "--chunk", chunk, stdin=ids).stdout for chunk in ("1", "20")}
        self.assertEqual(len(said), 1)

    # ---- vocabularies ----

    def test_cyclic_vocabulary(self):
        """Merges that make each other's sides, in a ring: what is merged grows shorter all the same."""
        self.put("tokenizer.json", bpe(["#", "#a", "#aa", "a"], [["#", "#a"], ["#a", "#a"], ["#", "#aa"], ["a", "#"]], continuing_subword_prefix="#"))
        text = b"#" + b"a" * 200000
        done = self.command("tokenize", self.folder, "--json", "-", stdin=text)
        self.assertEqual(done.returncode, 0)
        self.assertLessEqual(len(json.loads(done.stdout)["ids"]), len(text))

    def test_huge_vocabulary(self):
        self.tokenizer("there is an id 16777215, but there are only 1 tokens", {"model": {"type": "WordLevel", "vocab": {"a": 16777215}}})
        self.tokenizer("an added token without an id that can be", {"model": WORDS, "added_tokens": [{"id": 2147483647, "content": "x"}]})
        self.tokenizer("two tokens have the id 0", b'{"model":{"type":"WordLevel","vocab":{' + b'"a":0,' * 2000000 + b'"b":0}}}')

    def test_huge_vocabulary_of_a_gguf(self):
        """A list that claims 2^60 tokens."""
        key, kind = b"tokenizer.ggml.tokens", struct.pack("<II", 9, 8)
        head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
        self.refused("an array claims 1152921504606846976 strings, more than the file has room for", "tokenize",
                     self.put("m.gguf", head + struct.pack("<Q", len(key)) + key + kind + struct.pack("<Q", 1 << 60)), "a")

    def test_merges_pointing_nowhere(self):
        self.tokenizer('merges[0] "a c" ends with what is no token', bpe(["a", "b"], [["a", "c"]]))
        self.tokenizer('merges[0] "a b" makes what is no token', bpe(["a", "b"], [["a", "b"]]))
        w = gguf.GGUFWriter(os.path.join(self.folder, "m.gguf"), "llama")
        w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("gpt-2"), w.add_token_list(["a", "b"]), w.add_token_merges(["a c"])
        w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
        self.refused('merges[0] "a c" ends with what is no token', "tokenize", os.path.join(self.folder, "m.gguf"), "a")

    def test_regex_bomb(self):
        """One that no engine gets through, and one that is refused at opening."""
        for bomb in "(a+)+$", "(a|aa)+b", "(?=(a+))a*b\\1":
            self.put("tokenizer.json", split(bomb))
            done = self.command("tokenize", self.folder, "-", stdin=b"a" * 100000)
            self.assertTrue(done.returncode == 0 or b"takes too long" in done.stderr, done.stderr)
        self.tokenizer("a pattern of 200000 bytes is too long", split("(" * 100000 + ")" * 100000))
        self.tokenizer("PCRE2 refuses", split("(?:a{60000}){60000}"))

    # ---- weights ----

    def header(self, says, header, length=None, data=b"\0" * 64):
        """The first shard is this header and data behind it."""
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        self.put("model-00001-of-00002.safetensors", struct.pack("<Q", len(text) if length is None else length) + text + data)
        self.refused(says, "run", self.folder, "a")

    def test_header_length(self):
        for length in 1 << 63, (1 << 64) - 1, 1 << 40, 0:
            self.header("a header of %d bytes, but it must have 2 to 100000000" % length, b"{}", length)

    def test_tensors_overlap(self):
        self.header('tensors "a" and "b" overlap', {"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}, "b": {"dtype": "F16", "shape": [2], "data_offsets": [2, 6]}})

    def test_tensors_leave_the_file(self):
        self.header('tensor "a" is said to be at bytes 64 to 68 of 64', {"a": {"dtype": "F16", "shape": [2], "data_offsets": [64, 68]}})
        self.header("which its shape and type F16 do not make", {"a": {"dtype": "F16", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 4]}})
        self.header("does not say by two whole numbers where it is", {"a": {"dtype": "F16", "shape": [2], "data_offsets": [(1 << 64) - 2, 2]}})

    def test_shard_outside(self):
        for name in "../../etc/passwd", "/etc/passwd", "..", "a/b.safetensors", "../x.safetensors", ".safetensors", "":
            self.put("model.safetensors.index.json", {"weight_map": {"a": name}})
            self.refused('names "%s" as a file of the model, but these are .safetensors files in its own folder' % name, "run", self.folder, "x")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
