#!/usr/bin/env python3
"""foreign_architecture.py BUILD_DIR CMAKE CC [SANITIZERS]: an architecture that nothing in the tree knows runs, and its logits are right.

Installs the build, copies the example of the SDK out of what was installed (sdk/examples/architecture), builds it against that and
nothing else, writes a small random model of it as a Hugging Face
directory, computes the logits here, in doubles by the formulas, and compares: within 1e-5 of the largest, and the same bits whole, in
chunks, over threads and with every composite op lowered or not. Standard library only. Exit 77: pkg-config is missing."""
import glob
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess

import foreign
from foreign import SEED

FAMILIES = os.path.join(foreign.HERE, "oracle", "families")
WIDTH, HEADS, KV_HEADS, HEAD, NET, VOCAB, LAYERS, CAP, THETA, EPS = 24, 4, 2, 8, 40, 50, 3, 5.0, 1000.0, 1e-5
CONFIG = {"model_type": "acme-loom", "num_hidden_layers": LAYERS, "hidden_size": WIDTH, "vocab_size": VOCAB, "intermediate_size": NET,
          "max_position_embeddings": 64, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD,
          "rms_norm_eps": EPS, "loom_cap": CAP, "rope_theta": THETA}
SHAPES = {"embed": (VOCAB, WIDTH), "norm": (WIDTH,), "head": (VOCAB, WIDTH)}
for i in range(LAYERS):
    SHAPES.update({f"loom.{i}.norm": (WIDTH,), f"loom.{i}.q": (HEADS * HEAD, WIDTH), f"loom.{i}.k": (KV_HEADS * HEAD, WIDTH),
                   f"loom.{i}.v": (KV_HEADS * HEAD, WIDTH), f"loom.{i}.o": (WIDTH, HEADS * HEAD), f"loom.{i}.up": (NET, WIDTH),
                   f"loom.{i}.down": (WIDTH, NET), f"loom.{i}.gate": (WIDTH, WIDTH)})


def make_weights(rng):
    """{name: values as float32 has them, rows one behind the other}"""
    weights = {}
    for name, dims in SHAPES.items():
        n, spread = math.prod(dims), 1.0 if name == "embed" else 1.3 * dims[-1] ** -0.5
        values = [rng.gauss(1, 0.3) if len(dims) == 1 else rng.gauss(0, spread) for _ in range(n)]
        weights[name] = struct.unpack(f"<{n}f", struct.pack(f"<{n}f", *values))
    return weights


def write_model(folder, weights, **config):
    header, at = {}, 0
    for name, values in weights.items():
        header[name + ".weight"] = {"dtype": "F32", "shape": SHAPES[name], "data_offsets": [at, at + 4 * len(values)]}
        at += 4 * len(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for values in weights.values():
            f.write(struct.pack(f"<{len(values)}f", *values))
    with open(folder + "/config.json", "w") as f:
        json.dump({**CONFIG, **config}, f)


def add_vector(path, name, values):
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(size)), f.read()
    header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + 4 * len(values)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data + struct.pack(f"<{len(values)}f", *values))


# ---- the formulas ----

def product(w, x):
    return [sum(a * b for a, b in zip(w[r * len(x):(r + 1) * len(x)], x)) for r in range(len(w) // len(x))]


def normed(w, x):
    r = (sum(v * v for v in x) / len(x) + EPS) ** -0.5
    return [v * r * g for v, g in zip(x, w)]


def turned(x, position):
    """Heads [n * HEAD]: element j of a head and j + HEAD / 2 are a pair."""
    y, half = list(x), HEAD // 2
    for at in range(0, len(x), HEAD):
        for j in range(half):
            angle = position * THETA ** (-2 * j / HEAD)
            c, s, a, b = math.cos(angle), math.sin(angle), x[at + j], x[at + j + half]
            y[at + j], y[at + j + half] = a * c - b * s, a * s + b * c
    return y


def attended(q, keys, values):
    out = []
    for h in range(HEADS):
        mine, theirs = slice(h * HEAD, (h + 1) * HEAD), slice(h // (HEADS // KV_HEADS) * HEAD, (h // (HEADS // KV_HEADS) + 1) * HEAD)
        scores = [sum(a * b for a, b in zip(q[mine], k[theirs])) * HEAD**-0.5 for k in keys]
        shares = [math.exp(s - max(scores)) for s in scores]
        out += [sum(p * v[theirs][d] for p, v in zip(shares, values)) / sum(shares) for d in range(HEAD)]
    return out


def logits_of(w, ids):
    caches = [([], []) for _ in range(LAYERS)]
    rows = []
    for position, token in enumerate(ids):
        h = w["embed"][token * WIDTH:(token + 1) * WIDTH]
        for i, (keys, values) in enumerate(caches):
            layer = {name: w[f"loom.{i}.{name}"] for name in ("norm", "q", "k", "v", "o", "up", "down", "gate")}
            x = normed(layer["norm"], h)
            keys.append(turned(product(layer["k"], x), position))
            values.append(product(layer["v"], x))
            a = product(layer["o"], attended(turned(product(layer["q"], x), position), keys, values))
            f = product(layer["down"], [max(v, 0.0) ** 2 for v in product(layer["up"], x)])
            g = [1 / (1 + math.exp(-v)) for v in product(layer["gate"], x)]
            h = [v + gv * av + (1 - gv) * fv for v, gv, av, fv in zip(h, g, a, f)]
        rows.append([CAP * math.tanh(v / CAP) for v in product(w["head"], normed(w["norm"], h))])
    return rows


class Architecture(foreign.Foreign):
    folder, name, provides, installed = "architecture", "loom", "model:acme-loom", True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = random.Random(SEED)
        cls.weights = make_weights(rng)
        write_model(cls.root + "/model", cls.weights)
        cls.ids = [rng.randrange(VOCAB) for _ in range(21)]
        shutil.copy(cls.root + "/out/braid.so", cls.root + "/plugins/")
        for manifest in glob.glob(cls.root + "/source/*.plugin"):
            shutil.copy(manifest, cls.root + "/plugins/plugins.d/")

    def logits(self, *args, **env):
        done = self.tenon("eval", self.root + "/model", "--ids", "-", "--kv", "f32", "--logits", *args, stdin=json.dumps({"a": self.ids}), **env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["a"]

    def test_logits_are_right(self):
        want = logits_of(self.weights, self.ids)
        largest = max(abs(v) for row in want for v in row)
        for level in ("scalar", "avx2", "best"):
            got = self.logits(TENON_CPU_LEVEL=level)
            self.assertEqual([len(row) for row in got], [VOCAB] * len(self.ids))
            worst = max(abs(a - b) for rows in zip(got, want) for a, b in zip(*rows)) / largest
            self.assertLess(worst, 1e-5, level)

    def test_by_table(self):
        """braid.c is Qwen2 with a cap on logits: the tiny checkpoint of that family, called acme-braid, gives its bits, and capped ones."""
        with open(FAMILIES + "/qwen2/prompts.json") as f:
            prompts = f.read()
        got = {}
        for name, config in (("qwen2", {}), ("plain", {"model_type": "acme-braid"}), ("capped", {"model_type": "acme-braid", "acme_logit_cap": 3.0}),
                             ("bad", {"model_type": "acme-braid", "acme_logit_cap": "3"})):
            shutil.copytree(FAMILIES + "/qwen2", self.root + "/table-" + name)
            with open(self.root + "/table-" + name + "/config.json") as f:
                config = {**json.load(f), **config}
            self.rewrite(self.root + "/table-" + name + "/config.json", json.dumps(config))
            got[name] = self.tenon("eval", self.root + "/table-" + name, "--ids", "-", "--kv", "f32", "--logits", stdin=prompts)
        self.assertIn("key config.acme_logit_cap: must be a number, is a string", got.pop("bad").stderr)
        got = {name: json.loads(done.stdout) for name, done in got.items()}
        self.assertEqual(got["plain"], got["qwen2"])
        for name, rows in got["qwen2"].items():
            for a, b in zip(rows, got["capped"][name]):
                self.assertLess(max(abs(3 * math.tanh(x / 3) - y) for x, y in zip(a, b)), 1e-5)

    def test_bias_of_the_output_and_what_nothing_reads(self):
        """braid.c with two rows more, built as the text says without CMake: a bias of the output is added, and a weight that the
        program does not read is told."""
        with open(self.root + "/source/braid.c") as f:
            source = f.read().replace("TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),", """TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
                {.name = "output_bias", .role = TENON_ROLE_BIAS, .rank = 1, .dims = {TENON_SIZE_VOCAB}, .shard_axis = -1, .hf = "lm_head.bias"},
                {TENON_LAYER_ROW("spare", "spare", "mlp.down_proj.weight", TENON_ROLE_MATMUL, 2, TENON_SIZE_EMBED, TENON_SIZE_FFN)},""")
        self.rewrite(self.root + "/twill.c", source.replace("acme-braid", "acme-twill"))
        flags = subprocess.run(["pkg-config", "--cflags", "tenon-plugin"], capture_output=True, text=True, env=self.env).stdout.split()
        self.run_ok(foreign.CC, "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,now", *flags, self.root + "/twill.c", "-lm", "-o",
                    self.root + "/plugins/twill.so")
        self.rewrite(self.root + "/plugins/plugins.d/60-acme-twill.plugin", "format = 1\nlibrary = twill.so\nprovides = model:acme-twill\n")
        shutil.copytree(FAMILIES + "/qwen2", self.root + "/twill")
        with open(FAMILIES + "/qwen2/config.json") as f:
            config = json.load(f)
        bias = [i / 8 for i in range(config["vocab_size"])]
        add_vector(self.root + "/twill/model.safetensors", "lm_head.bias", bias)
        self.rewrite(self.root + "/twill/config.json", json.dumps({**config, "model_type": "acme-twill"}))
        done = self.tenon("eval", self.root + "/twill", "--ids", "-", "--kv", "f32", "--logits", stdin='{"a": [5, 6, 7]}')
        want = self.tenon("eval", FAMILIES + "/qwen2", "--ids", "-", "--kv", "f32", "--logits", stdin='{"a": [5, 6, 7]}')
        for got, row in zip(json.loads(done.stdout)["a"], json.loads(want.stdout)["a"]):
            self.assertLess(max(abs(a - b - c) for a, b, c in zip(got, row, bias)), 1e-5)
        self.assertEqual(done.stderr.count("declares weight layers.{i}.spare, but its program does not read it"), 1, done.stderr)
        self.assertEqual(want.stderr, "")

    def test_says_whose_it_is(self):
        done = json.loads(self.tenon("plugins", "check", "model:acme-braid", "--json").stdout)
        mine = [p for p in done if p["file"] == "60-acme-braid.plugin"]
        self.assertEqual([(p["state"], p["id"]) for p in mine], [("loaded", "com.acme.model.acme-braid")])

    def test_text_names_what_is_installed(self):
        """Every file that the installed text speaks of is there, beside it or among the headers."""
        prefix = self.root + "/prefix"
        with open(prefix + "/share/tenon/examples/architecture/README.md") as f:
            names = set(re.findall(r"\b[\w-]+\.[ch]\b|CMakeLists\.txt", f.read()))
        there = {os.path.basename(p) for p in glob.glob(prefix + "/**/*", recursive=True)}
        self.assertGreater(len(names), 20)
        self.assertEqual(names - there, set())

    def test_in_any_way(self):
        want = self.logits()
        for how in (["--chunk", "1"], ["--chunk", "4", "--threads", "3"], ["--beside", "2", "--chunk", "5"]):
            self.assertEqual(self.logits(*how), want, how)

    def test_without_composites(self):
        want = logits_of(self.weights, self.ids)
        got = self.logits("--context", "32", TENON_CPU_CLAIMS="none")
        self.assertLess(max(abs(a - b) for rows in zip(got, want) for a, b in zip(*rows)), 1e-4)

    def test_is_shown(self):
        done = self.tenon("graph", self.root + "/model")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("woven", done.stdout)
        self.assertIn("model:acme-loom", self.tenon("plugins", "list").stdout)

    def test_bad_keys(self):
        for key, value in (("loom_cap", 0), ("num_key_value_heads", 3), ("head_dim", 10**12), ("vocab_size", -1)):
            write_model(self.root + "/bad", self.weights, **{key: value})
            done = self.tenon("eval", self.root + "/bad", "--ids", "-", stdin="{}")
            self.assertGreater(done.returncode, 0, key)
            self.assertIn("config." + key, done.stderr)

    def test_unknown_without_the_plugin(self):
        done = self.tenon("eval", self.root + "/model", "--ids", "-", stdin="{}", TENON_PLUGIN_PATH_ADD="")
        self.assertGreater(done.returncode, 0)
        self.assertIn('no model plugin knows architecture "acme-loom"', done.stderr)


if __name__ == "__main__":
    foreign.main()
