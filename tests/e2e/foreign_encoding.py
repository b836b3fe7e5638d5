#!/usr/bin/env python3
"""foreign_encoding.py BUILD_DIR CMAKE CC [SANITIZERS]: an encoding that nothing in the tree knows runs, and right to the bit; and so
does a stored form, which the host unpacks into its encoding at load.

Installs the build, builds the example `encoding` that is installed (tests/foreign/encoding) against it and nothing else, writes a small llama whose matrices are random in that
encoding, and the same expanded to f32, and compares the bits of all their logits: at every instruction level, over threads and
chunks. Then damages: a plugin whose digest is wrong, planes that do not fit. Standard library only. Exit 77: pkg-config is missing."""
import json
import random
import re
import struct
import subprocess

import foreign
from foreign import SEED

WIDTH, HEADS, KV_HEADS, HEAD, FFN, VOCAB, LAYERS = 192, 6, 3, 32, 384, 320, 2


def trits(code):
    return [0, 0, 0] if code >= 27 else [code % 3 - 1, code // 3 % 3 - 1, code // 9 - 1]


class Tile:
    """192 elements, 2 rows by 96 columns."""

    def __init__(self, rng, size):
        codes = [rng.randrange(32) for _ in range(64)]
        scales = [struct.unpack("<e", struct.pack("<e", rng.uniform(0.5, 1.5) * size))[0] for _ in range(3)]
        bits = sum(code << 5 * k for k, code in enumerate(codes))
        self.planes = [bits.to_bytes(40, "little"), struct.pack("<3e", *scales)]
        values = [t for code in codes for t in trits(code)]
        self.x = [scales[i // 64] * v for i, v in enumerate(values)]


def matrix(rng, rows, cols):
    """(planes of the encoding, the same as f32)"""
    tiles = [[Tile(rng, cols**-0.5) for _ in range(cols // 96)] for _ in range(rows // 2)]
    planes = [b"".join(t.planes[p] for line in tiles for t in line) for p in range(2)]
    floats = [x for line in tiles for r in range(2) for t in line for x in t.x[96 * r:96 * r + 96]]
    return planes, [struct.pack("<%df" % len(floats), *floats)]


def gptq_matrix(rng, rows, cols, group=32):
    """The same in the form gptq.int4_act_g32/1: groups of columns in any order."""
    q = [[rng.randrange(16) for _ in range(cols)] for _ in range(rows)]
    g_idx = [k // group for k in range(cols)]
    rng.shuffle(g_idx)
    groups = range(cols // group)
    zeros = [[rng.randrange(16) for _ in groups] for _ in range(rows)]
    scales = [[struct.unpack("<e", struct.pack("<e", rng.uniform(0.05, 0.2) * cols**-0.5))[0] for _ in groups] for _ in range(rows)]
    planes = [[sum(q[n][8 * w + j] << 4 * j for j in range(8)) for w in range(cols // 8) for n in range(rows)],
              [sum(zeros[8 * w + j][g] << 4 * j for j in range(8)) - 0x11111111 & 0xffffffff for g in groups for w in range(rows // 8)],
              [scales[n][g] for g in groups for n in range(rows)], g_idx]
    floats = [scales[n][g_idx[k]] * (q[n][k] - zeros[n][g_idx[k]]) for n in range(rows) for k in range(cols)]
    return ([struct.pack(f"<{len(p)}{kind}", *p) for p, kind in zip(planes, "IIeI")], [struct.pack(f"<{len(floats)}f", *floats)])


def tensors(rng, matrix=matrix):
    """name: (dims, planes or None for vectors, f32)"""
    shapes = {"token_embd": (VOCAB, WIDTH), "output": (VOCAB, WIDTH), "output_norm": (WIDTH,)}
    for i in range(LAYERS):
        shapes.update({f"blk.{i}.attn_norm": (WIDTH,), f"blk.{i}.ffn_norm": (WIDTH,), f"blk.{i}.attn_q": (HEADS * HEAD, WIDTH),
                       f"blk.{i}.attn_k": (KV_HEADS * HEAD, WIDTH), f"blk.{i}.attn_v": (KV_HEADS * HEAD, WIDTH),
                       f"blk.{i}.attn_output": (WIDTH, HEADS * HEAD), f"blk.{i}.ffn_gate": (FFN, WIDTH), f"blk.{i}.ffn_up": (FFN, WIDTH),
                       f"blk.{i}.ffn_down": (WIDTH, FFN)})
    out = {}
    for name, dims in shapes.items():
        if len(dims) == 1:
            out[name] = dims, None, [struct.pack("<%df" % dims[0], *(rng.uniform(0.8, 1.2) for _ in range(dims[0])))]
        else:
            out[name] = (dims, *matrix(rng, *dims))
    return out


def write_model(path, made, name_of_planes=None):
    """A file of tests/foreign/encoding/container.c."""
    lines = ["ACME 1", "str general.architecture llama", f"u32 llama.block_count {LAYERS}", f"u32 llama.embedding_length {WIDTH}",
             f"u32 llama.feed_forward_length {FFN}", "u32 llama.context_length 256", f"u32 llama.attention.head_count {HEADS}",
             f"u32 llama.attention.head_count_kv {KV_HEADS}", "f32 llama.attention.layer_norm_rms_epsilon 0.00001",
             f"u32 llama.vocab_size {VOCAB}", f"u32 llama.rope.dimension_count {HEAD}", "f32 llama.rope.freq_base 10000"]
    at, parts = 16384, []
    for name, (dims, planes, floats) in made.items():
        use = planes if name_of_planes and planes is not None else floats
        where = []
        for plane in use:
            where.append(f"{at} {len(plane)}")
            parts.append((at, plane))
            at += (len(plane) + 63) // 64 * 64
        encoding = name_of_planes if use is planes else "f32/1"
        lines.append(f"tensor {name}.weight {encoding} {len(dims)} {' '.join(map(str, dims))} {' '.join(where)}")
    with open(path, "wb") as f:
        f.write(("\n".join(lines) + "\nend\n").encode())
        for offset, plane in parts:
            f.seek(offset)
            f.write(plane)


class Encoding(foreign.Foreign):
    folder, name, provides, installed = "encoding", "acme", "quantizer:acme, weights:acme", True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = random.Random(SEED)
        made = tensors(rng)
        write_model(cls.root + "/trits.acme", made, "acme.trits/1")
        write_model(cls.root + "/f32.acme", made)
        made = tensors(rng, gptq_matrix)
        write_model(cls.root + "/gptq.acme", made, "gptq.int4_act_g32/1")
        write_model(cls.root + "/gptq-f32.acme", made)
        cls.ids = json.dumps({"a": [rng.randrange(VOCAB) for _ in range(40)]})

    def bits(self, model, *args, **env):
        done = self.tenon("eval", f"{self.root}/{model}.acme", "--ids", "-", "--bits", *args, stdin=self.ids, **env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["a"]

    def test_logits_are_those_of_f32(self):
        for level in ("scalar", "avx2", "avx512", ""):
            want = self.bits("f32", TENON_CPU_LEVEL=level)
            self.assertEqual(len({json.dumps(row) for row in want}), 40)  # each position says something else
            self.assertEqual(self.bits("trits", TENON_CPU_LEVEL=level), want, level)

    def test_in_any_way(self):
        want = self.bits("trits")
        self.assertEqual(self.bits("trits", "--threads", "3", "--chunk", "7"), want)
        self.assertEqual(self.bits("trits", "--threads", "1", "--chunk", "1"), want)

    def test_without_composites(self):
        self.assertEqual(self.bits("trits", "--context", "64", TENON_CPU_CLAIMS="none"), self.bits("f32", "--context", "64", TENON_CPU_CLAIMS="none"))

    def test_stored_form(self):
        self.assertEqual(self.bits("gptq"), self.bits("gptq-f32"))
        done = self.tenon("show", self.root + "/gptq.acme", "--encodings", "--json")
        shown = {e["id"]: e for e in json.loads(done.stdout)["encodings"]}
        self.assertEqual(shown["gptq.int4_act_g32/1"]["encoding"], "scaled.int8/1")
        with open(self.root + "/gptq.acme", "rb") as f:
            data = f.read()
        with open(self.root + "/gptq-bad.acme", "wb") as f:
            f.write(data.replace(b"gptq.int4_act_g32/1", b"gptq.int4_g32/1    ", 1))  # sorted columns that are not said to be
        done = self.tenon("eval", self.root + "/gptq-bad.acme", "--ids", "-", "--bits", stdin=self.ids)
        self.assertGreater(done.returncode, 0)
        self.assertIn("the columns are sorted", done.stderr)

    def test_is_shown(self):
        done = self.tenon("show", self.root + "/trits.acme", "--encodings", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = {e["id"]: e for e in json.loads(done.stdout)["encodings"]}
        self.assertEqual(set(shown), {"acme.trits/1", "f32/1"})
        self.assertEqual([d["rung"] for d in shown["f32/1"]["devices"] if d["name"] == "cpu"], ["native"])
        trits_ = shown["acme.trits/1"]
        self.assertEqual([d["rung"] for d in trits_["devices"] if d["name"] == "cpu"], ["program"])
        self.assertEqual((trits_["tile"], trits_["tables"], trits_["result"], trits_["problem"]), ([2, 96], [128], 0, None))
        self.assertEqual(trits_["planes"], [{"name": "codes", "tile_bytes": 40}, {"name": "scales", "tile_bytes": 6}])
        self.assertEqual(trits_["program"][9], "r4 = LDBITS p0[r2 + 0] 5")
        self.assertEqual(sum(e["bytes"] for e in shown.values()), trits_["bytes"] + shown["f32/1"]["tensors"] * 4 * WIDTH)
        text = self.tenon("show", self.root + "/trits.acme", "--encodings").stdout
        self.assertRegex(text, r"acme.trits/1  16 tensors.*(?s:.*)  cpu +program\n(?s:.*)  9  r4 = LDBITS p0\[r2 \+ 0\] 5\n")

    def test_damaged(self):
        with open(self.root + "/trits.acme", "rb") as f:
            data = f.read()
        with open(self.root + "/short.acme", "wb") as f:
            f.write(data[:-4000])
        with open(self.root + "/size.acme", "wb") as f:
            f.write(data.replace(b"acme.trits/1 2 320 192", b"acme.trits/1 2 320 288", 1))
        for model, words in (("short", "outside the file"), ("size", "does not fit")):
            done = self.tenon("eval", f"{self.root}/{model}.acme", "--ids", "-", "--bits", stdin=self.ids)
            self.assertGreater(done.returncode, 0)
            self.assertIn(words, done.stderr)
            shown = self.tenon("show", f"{self.root}/{model}.acme", "--encodings", "--json")
            self.assertIn(words, json.loads(shown.stdout)["problem"])
            self.assertIn(words, self.tenon("show", f"{self.root}/{model}.acme", "--encodings").stdout)

    def test_program_is_what_it_says(self):
        done = subprocess.run([self.root + "/out/check"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "192000 values equal\n"), done.stderr)

    def test_manifest(self):
        with open(self.root + "/source/60-acme.plugin") as f:
            self.rewrite(self.root + "/plugins/plugins.d/60-acme.plugin", f.read())
        done = self.tenon("plugins", "check", "quantizer:acme")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_no_digest(self):
        with open(self.root + "/source/encoding.c") as f:
            digest = re.search(r'digest = "([0-9a-f]{64})"', f.read()).group(1)
        self.change_encoding(digest, "")
        self.assert_check_says(f"acme.trits/1: it has no digest, which must be {digest}")

    def test_wrong_digest(self):
        self.change_encoding(".imm = 171", ".imm = 170")  # no longer what the digest says
        done = self.tenon("eval", self.root + "/trits.acme", "--ids", "-", "--bits", stdin=self.ids)
        self.assertGreater(done.returncode, 0)
        self.assertIn("acme.trits/1: the digest is", done.stderr)
        self.assert_check_says("acme.trits/1: the digest is")

    def test_no_table(self):
        self.change_encoding(".values = trits", ".values = (const void *)sizeof trits")
        self.assert_check_says("crashed (SIGSEGV) while its encodings were read: is an array shorter than they say?")
        done = self.tenon("eval", self.root + "/trits.acme", "--ids", "-", "--bits", stdin=self.ids)
        self.assertEqual(done.returncode, 1, done.stderr)  # an error, not a crash
        self.assertIn("no weights plugin knows this file", done.stderr)  # it is of the same plugin

    def test_null_table(self):
        self.change_encoding(".values = trits", ".values = sizeof trits == 1 ? trits : NULL")
        self.assert_check_says("table 0: must have values")  # not that it crashed

    def test_no_id(self):
        self.change_encoding('.id = "acme.trits/1"', ".id = NULL")
        done = self.tenon("eval", self.root + "/trits.acme", "--ids", "-", "--bits", stdin=self.ids)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no quantizer plugin describes it", done.stderr)
        self.assert_check_says("has no id")

    def change_encoding(self, old, new):
        """Builds the plugin with other words in its description, and at the end as it was."""
        source = self.root + "/source/encoding.c"
        with open(source) as f:
            text = f.read()
        self.assertIn(old, text)
        self.addCleanup(self.build_plugin)
        self.addCleanup(self.rewrite, source, text)
        self.rewrite(source, text.replace(old, new, 1))
        self.build_plugin()

    def assert_check_says(self, words):
        done = self.tenon("plugins", "check", "quantizer:acme")
        self.assertEqual(done.returncode, 1)
        self.assertIn(words, done.stdout)


if __name__ == "__main__":
    foreign.main()
