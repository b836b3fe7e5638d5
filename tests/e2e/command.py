#!/usr/bin/env python3
"""command.py TENON: what scripts rely on: JSON of the documented shape, exit codes (1 failed, 2 usage), nothing on stdout when
something failed, a reason on stderr; and `tenon graph` against its golden text. Needs no model: files with a head and no data are made here.
Standard library only."""
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TENON = os.path.abspath(sys.argv[1])
COMMANDS = "run", "plugins", "devices", "show", "tokenize", "template", "bench", "eval", "embed", "graph"
SMOLLM2 = {
    "general.architecture": "llama", "general.name": "Smollm2 135M", "llama.block_count": 30, "llama.context_length": 8192,
    "llama.embedding_length": 576, "llama.feed_forward_length": 1536, "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3, "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 100000.0,
    "llama.rope.dimension_count": 64, "llama.vocab_size": 49152,
}


SHAPES = {"attn_norm": [576], "attn_q": [576, 576], "attn_k": [576, 192], "attn_v": [576, 192], "attn_output": [576, 576],
          "ffn_norm": [576], "ffn_gate": [576, 1536], "ffn_up": [576, 1536], "ffn_down": [1536, 576]}
TENSORS = {"token_embd.weight": [576, 49152], "output_norm.weight": [576],
           **{"blk.%d.%s.weight" % (i, name): dims for i in range(30) for name, dims in SHAPES.items()}}


def gguf(keys, tensors={}):
    """The head of a GGUF file with those keys and f32 tensors, and how many bytes the tensors take behind it."""
    def text(s):
        return struct.pack("<Q", len(s.encode())) + s.encode()

    def value(v):
        if isinstance(v, str):
            return struct.pack("<I", 8) + text(v)
        return struct.pack("<If", 6, v) if isinstance(v, float) else struct.pack("<II", 4, v)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(text(k) + value(v) for k, v in keys.items())
    size = 0
    for name, dims in tensors.items():
        head += text(name) + struct.pack("<I%dQIQ" % len(dims), len(dims), *dims, 0, size)
        size += math.prod(dims) * 4  # each a multiple of 32
    return head + bytes(-len(head) % 32), size


class Command(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="tenon-command-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.model = cls.write("smollm2.gguf", *gguf(SMOLLM2, TENSORS))
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith("TENON_")}
        cls.env.update(XDG_CONFIG_HOME=cls.root + "/config", XDG_CACHE_HOME=cls.root + "/cache")

    @classmethod
    def write(cls, name, data, hole=0):
        """The data, and a hole behind it, which takes no room on the disk."""
        path = os.path.join(cls.root, name)
        with open(path, "wb") as f:
            f.write(data)
            f.truncate(len(data) + hole)
        return path

    def run_tenon(self, *args, stdout=subprocess.PIPE, env={}):
        return subprocess.run([TENON, *args], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
                              timeout=300, env={**self.env, **env})

    def says(self, *args):
        done = self.run_tenon(*args)
        self.assertEqual((done.returncode, done.stderr), (0, ""), args)
        return done.stdout

    def refuses(self, code, *args, env={}):
        """It exits with that code, says nothing on stdout, and why on stderr, which is returned."""
        done = self.run_tenon(*args, env=env)
        self.assertEqual((done.returncode, done.stdout), (code, ""), args)
        self.assertTrue(done.stderr.strip(), args)
        return done.stderr


class Json(Command):
    def objects(self, keys, *args):
        got = json.loads(self.says(*args))
        self.assertIsInstance(got, list)
        self.assertTrue(got)
        for item in got:
            self.assertLessEqual(set(keys), set(item), args)
        return got

    def test_devices(self):
        keys = "name", "backend", "kind", "description", "level", "compute_units", "memory_total", "memory_free"
        cpu = [d for d in self.objects(keys, "devices", "--json") if d["kind"] == "cpu"]
        self.assertEqual(len(cpu), 1)
        self.assertGreater(cpu[0]["memory_total"], 1 << 20)

    def test_plugins(self):
        keys = "file", "name", "state", "reason", "id", "version", "library", "provides", "paths", "critical", "priority", "static"
        listed = self.objects(keys, "plugins", "list", "--json")
        self.assertTrue(all(p["state"] in ("available", "loaded") for p in listed), listed)
        self.assertLessEqual({"backend:cpu", "model:llama", "weights:gguf"}, {name for p in listed for name in p["provides"]})
        shown = json.loads(self.says("plugins", "show", "weights:gguf", "--json"))
        self.assertEqual(shown["items"][0]["iface"], "tenon.weights/1")

    def test_odd_names(self):
        """A manifest's name is any bytes: JSON stays UTF-8, a terminal gets no control characters."""
        if json.loads(self.says("plugins", "--json"))[0]["static"]:
            self.skipTest("this build reads no manifests")
        folder = os.path.join(self.root, "odd", "plugins.d")
        os.makedirs(folder, mode=0o755)
        with open(os.path.join(folder.encode(), b"60-\x1b[2J\xff\n.plugin"), "wb") as f:
            f.write(b"format = 1\nlibrary = none.so\n")
        os.chmod(f.name, 0o644)
        env = {**self.env, "TENON_PLUGIN_PATH": os.path.dirname(folder)}
        done = [subprocess.run([TENON, "plugins", *args], capture_output=True, timeout=60, env=env).stdout for args in ((), ("--json",))]
        self.assertEqual(json.loads(done[1].decode())[0]["file"], "60-\x1b[2J\ufffd\n.plugin")
        self.assertNotIn(b"\x1b", done[0])
        self.assertEqual(done[0].count(b"\n"), 2)

    def test_show(self):
        got = json.loads(self.says("show", self.model, "--json"))
        want = {"path": self.model, "format": "gguf", "architecture": "llama", "name": "Smollm2 135M", "layers": 30, "context": 8192,
                "embedding": 576, "heads": 9, "kv_heads": 3, "vocab": 49152, "parameters": 134515008, "tensors": 272,
                "weight_bytes": 4 * 134515008, "kv_bytes_per_1k": 23592960, "kv_window_bytes": 0, "window": 0, "tokenizer": None, "chat_template": False, "unused": [],
                "encodings": [{"encoding": "f32/1", "tensors": 272, "bytes": 4 * 134515008}]}
        self.assertEqual({k: got[k] for k in want}, want)
        self.assertIn("tokenizer", got["problem"])

    def test_show_problems(self):
        """What keeps a model from running is told whatever else is wrong, keys before the tokenizer."""
        families = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "oracle", "families", "llama")
        for key, value in (("num_attention_heads", -1), ("rms_norm_eps", float("nan")), ("model_type", 5)):
            with tempfile.TemporaryDirectory() as folder:
                with open(os.path.join(families, "config.json"), encoding="utf-8") as f:
                    config = {**json.load(f), key: value}
                with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
                    json.dump(config, f)
                os.symlink(os.path.join(families, "model.safetensors"), os.path.join(folder, "model.safetensors"))
                got = json.loads(self.says("show", folder, "--json"))
                lines = [line for line in self.says("show", folder).splitlines() if line.startswith("problem ")]
            self.assertEqual(got["problem"], got["problems"][0])
            self.assertIn("key config.%s" % key, got["problem"])
            self.assertIn("tokenizer", got["problems"][1])
            self.assertEqual(lines, ["problem       " + p for p in got["problems"]])

    def test_show_windows(self):
        """Gemma 3 270M: 3 of 18 layers keep every token, the others 512 at most."""
        keys = {"block_count": 18, "embedding_length": 640, "feed_forward_length": 2048, "context_length": 32768, "vocab_size": 262144,
                "attention.head_count": 4, "attention.head_count_kv": 1, "attention.key_length": 256, "attention.value_length": 256,
                "attention.sliding_window": 512, "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 1e6}
        row = 2 * 2 * 256  # a key and a value in f16
        for window, context, kept in (512, 32768, 512), (512, 256, 256):
            path = self.write("gemma3-%d.gguf" % context, *gguf({"general.architecture": "gemma3", **{
                "gemma3." + k: v for k, v in {**keys, "attention.sliding_window": window, "context_length": context}.items()}}))
            got = json.loads(self.says("show", path, "--json"))
            self.assertEqual((got["kv_bytes_per_1k"], got["kv_window_bytes"], got["window"]), (3 * row * 1024, 15 * row * kept, window))
        self.assertIn("context       256 tokens, 3.0 MiB of f16 cache per 1k\nwindow        512 tokens in 15 layers, 3.8 MiB of f16 cache at most",
                      self.says("show", path))

    def test_graph(self):
        got = json.loads(self.says("graph", self.model, "--json"))
        self.assertEqual(got["text"], self.says("graph", self.model))
        self.assertEqual([(b["name"], b["runs"]) for b in got["blocks"]], [("embed", 1), ("layer", 30), ("head", 1)])
        self.assertIsNone(got["plan"])
        plan = json.loads(self.says("graph", self.model, "--json", "--lowered", "--plan", "T=512,C=1024"))["plan"]
        self.assertLess(0, plan["bytes"])
        self.assertLess(plan["bytes"], plan["without_reuse"])

    def test_names_are_escaped(self):
        name = 'a "quoted"\n\x1b[2J\u009b name'
        path = self.write("odd name.gguf", *gguf({**SMOLLM2, "general.name": name}))
        said = self.says("show", path, "--json")
        self.assertEqual(json.loads(said)["name"], name)
        self.assertFalse(set(said[:-1]) & {chr(c) for c in (*range(32), *range(127, 160))})
        lines = self.says("show", path).splitlines()
        self.assertIn('model         a "quoted"??[2J?? name', lines)


class Graph(Command):
    def test_golden(self):
        for file, options in ("llama-smollm2.graph", []), ("llama-smollm2-lowered.graph", ["--lowered"]):
            with open(os.path.join(TESTS, "golden", file), encoding="ascii") as f:
                self.assertEqual(self.says("graph", self.model, *options), f.read(), file)

    def test_plan(self):
        said = self.says("graph", self.model, "--plan", "T=8,S=2,R=2,C=64")
        self.assertRegex(said, r"(?m)^plan \d+ bytes of scratch, \d+ without reuse$")

    def test_refusals(self):
        self.refuses(2, "graph", self.model, "--plan", "T=0")
        self.refuses(2, "graph", self.model, "--plan", "X=1")
        self.assertIn("draft", self.refuses(1, "graph", self.model, "--program", "draft"))
        broken = self.write("broken.gguf", *gguf({k: v for k, v in SMOLLM2.items() if k != "llama.block_count"}))
        self.assertIn("llama.block_count", self.refuses(1, "graph", broken))
        other = self.write("other.gguf", *gguf({**SMOLLM2, "general.architecture": "acme"}))
        self.assertIn("acme", self.refuses(1, "graph", other))


class Exits(Command):
    def test_usage(self):
        self.refuses(2)
        self.refuses(2, "explode")
        for command in COMMANDS:
            self.assertIn("--explode", self.refuses(2, command, "--explode"))
        for command in "run", "show", "tokenize", "template", "bench", "eval", "embed", "graph":
            self.assertIn("usage", self.refuses(2, command))
        for args in (("show", "a", "b"), ("devices", "x"), ("plugins", "explode"), ("plugins", "show"), ("tokenize", "m", "a", "b"),
                     ("tokenize", "m", "--json", "--decode", "1"), ("graph", "m", "--plan"), ("eval", "m", "--ids", "f", "--top", "0"),
                     ("bench", "m", "--repeat", "x"), ("bench", "m", "--kv", "q9"), ("eval", "m", "--ids", "f", "--kv=f1"),
                     ("run", "m", "p", "--temperature", "warm"), ("template", "f", "--input"), ("run", "m", "p", "--seed", " -5"),
                     ("run", "m", "p", "--max-tokens", " -1"), ("run", "m", "p", "--threads", "0x2"),
                     ("run", "m", "p", "--top-k", " 3"), ("run", "m", "p", "--temperature", "nan")):
            self.refuses(2, *args)
        self.assertIn("from 1 to 1073741824", self.refuses(2, "run", "m", "p", "--context", "0"))

    def test_config(self):
        """What inih would take amiss without a word is refused, with file and line."""
        folder = os.path.join(self.root, "settings", "tenon")
        os.makedirs(folder)
        config, env = os.path.join(folder, "config"), {"XDG_CONFIG_HOME": os.path.dirname(folder)}
        for text, why in (("json = no\n  yes\n", ":2: the line is indented"), ("json = no ; yes\n", ":1: a comment"),
                          ("\nsystem = " + "be nice " * 30, ":2: the line has 249 bytes"), ("[run]\n", ":1: there are no sections"),
                          ("nonsense\n", ":1: no \"=\""), ("json = maybe\n", ":1: json: 'maybe' is not yes or no")):
            with open(config, "w") as f:
                f.write(text)
            self.assertIn(config + why, self.refuses(2, "devices", env=env))
        with open(config, "w") as f:
            f.write("# mine\njson = yes\nother_command = 3\n")
        json.loads(self.run_tenon("devices", env=env).stdout)
        os.remove(config)
        os.mkfifo(config)
        self.assertIn("regular file", self.refuses(2, "devices", env=env))
        self.assertEqual(self.run_tenon("devices", env={"XDG_CONFIG_HOME": os.path.join(config, "none")}).returncode, 0)

    def test_help(self):
        self.assertTrue(all(command in self.says("--help") for command in COMMANDS))
        for command in COMMANDS:
            self.assertIn("usage: tenon " + command, self.says(command, "--help"))
        self.assertRegex(self.says("--version"), r"^tenon \d+\.\d+\.\d+\n$")

    def test_failures(self):
        folder = os.path.join(self.root, "no model")
        os.makedirs(os.path.join(folder, "inner"))
        with open(os.path.join(folder, "README.md"), "w") as f:
            f.write("no model\n")
        missing = os.path.join(self.root, "missing")
        text = self.write("text", b"no model\n")
        ids = self.write("ids.json", b'{"a":[1]}')
        for args in (("run", missing, "x"), ("show", missing), ("tokenize", missing, "x"), ("bench", missing), ("graph", missing),
                     ("eval", missing, "--ids", ids), ("template", missing, "--input", ids), ("plugins", "show", "missing"),
                     ("run", text, "x"), ("show", text), ("tokenize", text, "x"), ("graph", text), ("show", folder),
                     ("bench", text), ("embed", text, "x"), ("embed", self.model, "x"), ("eval", text, "--ids", ids), ("eval", self.model, "--ids", text),
                     ("run", self.model, "x"), ("run", missing), ("run", missing, ""), ("template", text, "--input", text)):
            said = self.refuses(1, *args)
            self.assertTrue(said.startswith("tenon: "), said)

    def test_empty_prompt(self):
        missing = os.path.join(self.root, "missing")
        self.assertEqual(self.refuses(1, "run", missing, ""), self.refuses(1, "run", missing))

    def test_bad_ids(self):
        for text, why in (b'{"a":[1],"b":[2],"a":[3]}', '"a" is there twice'), (b'{"a":[1]} x', "not JSON"), (b"[1]", "not an object"):
            self.assertIn(why, self.refuses(1, "eval", self.model, "--ids", self.write("bad-ids.json", text)))

    def test_roofs(self):
        missing, empty = os.path.join(self.root, "missing"), self.write("roofs.json", b'{"read_bytes_s":1e10,"int8_ops":0}')
        self.assertIn("--profile", self.refuses(2, "bench", missing, "--roofs", empty))
        self.assertIn("int8_ops", self.refuses(1, "bench", missing, "--profile", "--roofs", empty))
        self.assertIn("nowhere", self.refuses(1, "bench", missing, "--profile", "--roofs", os.path.join(self.root, "nowhere")))

    def test_more_threads_than_cores(self):
        cores = len(os.sched_getaffinity(0))
        said = self.refuses(1, "bench", os.path.join(self.root, "missing"), "--threads", "1024")
        self.assertEqual("1024 threads on %d cores" % cores in said, cores < 1024, said)

    def test_stdout_full(self):
        for args in (("devices",), ("plugins",), ("plugins", "--json"), ("show", self.model), ("graph", self.model), ("--version",),
                     ("--help",), ("run", "--help")):
            with open("/dev/full", "w") as full:
                done = self.run_tenon(*args, stdout=full)
            self.assertEqual(done.returncode, 1, args)
            self.assertTrue(done.stderr.startswith("tenon: "), (args, done.stderr))


@unittest.skipUnless(os.environ.get("TENON_MODEL_SMOLLM2"), "TENON_MODEL_SMOLLM2 names no model")
class Weights(Command):
    """With weights, too."""
    def test_profile_beside_roofs(self):
        roofs = self.write("roofs.json", b'{"read_bytes_s":1e15,"int8_ops":1e15,"int16_ops":1e6,"f32_flops":1e15}')
        args = "bench", os.environ["TENON_MODEL_SMOLLM2"], "--prompt", "8", "--gen", "2", "--repeat", "1", "--profile"
        plain, beside = self.run_tenon(*args).stderr, self.run_tenon(*args, "--roofs", roofs).stderr
        self.assertNotIn("roof", plain)
        lines = [line.split() for line in beside.splitlines()]
        self.assertEqual(lines[0][-4:], ["%", "roof", "of", "encodings"])
        products = [line for line in lines if line[0] == "layer.attn_q" or line[0] == "layer.ffn"]
        self.assertTrue(products, beside)
        for line in products:  # Gop/s over 1e6 operations a second
            self.assertEqual(line[7], "compute")
            self.assertAlmostEqual(float(line[6]) / (float(line[5]) * 1e5), 1, delta=0.05)

    def test_profile_in_json(self):
        """Encodings and kinds of operations of each node, and its share of the roof that is theirs."""
        rates = {"read_bytes_s": 1e9, "int8_ops": 3e9, "int16_ops": 2e9, "f32_flops": 1e9}
        args = ("--prompt", "8", "--gen", "2", "--repeat", "1", "--profile", "--json", "--roofs", self.write("roofs.json", json.dumps(rates).encode()))
        done = self.run_tenon("bench", os.environ["TENON_MODEL_SMOLLM2"], *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        nodes = {e["node"]: e for e in json.loads(done.stdout)["profile"]}
        self.assertEqual(nodes["layer.attn_q"]["encodings"], "gguf.q4_1/1")
        self.assertEqual(nodes["layer.attn_q"]["float_operations"], 0)
        self.assertEqual(nodes["layer.attn"]["encodings"], "")
        self.assertEqual(nodes["layer.attn"]["float_operations"], nodes["layer.attn"]["operations"])
        for e in nodes.values():
            int16 = e["operations"] - e["float_operations"] - e["int8_operations"]
            compute = e["float_operations"] / 1e9 + e["int8_operations"] / 3e9 + int16 / 2e9
            self.assertAlmostEqual(e["roof_share"] * e["seconds"], max(compute, e["bytes"] / 1e9), delta=1e-6 * (compute + 1))
            self.assertEqual(e["roof"], "-" if e["operations"] == e["bytes"] == 0 else "compute" if compute > e["bytes"] / 1e9 else "read")

    def test_stats_come_after_the_answer(self):
        args = [TENON, "run", os.environ["TENON_MODEL_SMOLLM2"], "hi", "--max-tokens", "3", "--temperature", "0", "--stats"]
        said = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, env=self.env).stdout
        self.assertRegex(said, r"\A[^\n]+\nload [^\n]+\n\Z")

    def test_interrupted(self):
        """What there is of the answer is kept, and a script can tell."""
        args = [TENON, "run", os.environ["TENON_MODEL_SMOLLM2"], "Count to 10000.", "--temperature", "0", "--repeat-penalty", "1.5"]
        first, rest, code = self.interrupt(signal.SIG_DFL, *args)
        self.assertEqual((code, rest[-1:]), (130, b"\n"))
        self.assertTrue(first)

    def test_interrupted_in_the_background(self):
        """Started with the signal ignored, as shells do for `&` in a script: it is another program's Ctrl-C."""
        args = [TENON, "run", os.environ["TENON_MODEL_SMOLLM2"], "Count to 10000.", "--temperature", "0", "--max-tokens", "40"]
        first, rest, code = self.interrupt(signal.SIG_IGN, *args)
        self.assertEqual((code, first + rest), (0, subprocess.run(args, stdout=subprocess.PIPE, timeout=300, env=self.env).stdout))

    def interrupt(self, handler, *args):
        """In the middle of what it writes, started with that handler: the first byte, the rest, the exit code."""
        run = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, handler))
        first = run.stdout.read(1)
        run.send_signal(signal.SIGINT)
        rest, said = run.communicate(timeout=300)
        self.assertEqual(said, b"")
        return first, rest, run.returncode

    def test_decode_reads_to_the_end(self):
        args = [TENON, "tokenize", os.environ["TENON_MODEL_SMOLLM2"], "--decode", "-"]
        for ids, code in (b"504 345\n", 0), (b"504\0 345", 1):
            self.assertEqual(subprocess.run(args, input=ids, capture_output=True, timeout=300, env=self.env).returncode, code)

    def test_peak_memory_is_its_own(self):
        """Not that of the program which started it, which getrusage tells."""
        code = ("import subprocess, sys\nkept = bytearray(b'x') * (1300 << 20)\n"
                "sys.exit(subprocess.run(sys.argv[1:]).returncode)")
        args = "bench", os.environ["TENON_MODEL_SMOLLM2"], "--prompt", "4", "--gen", "0", "--repeat", "1", "--json"
        done = subprocess.run([sys.executable, "-c", code, TENON, *args], stdout=subprocess.PIPE, text=True, timeout=300, env=self.env)
        self.assertLess(json.loads(done.stdout)["peak_rss_bytes"], 1100 << 20)

    def test_eval_prints_all_or_nothing(self):
        model = os.environ["TENON_MODEL_SMOLLM2"]
        good, bad = self.write("good.json", b'{"a":[1,2,3],"b":[4]}'), self.write("bad.json", b'{"a":[1,2,3],"b":[4,99999999]}')
        got = json.loads(self.says("eval", model, "--ids", good, "--top", "3"))
        self.assertEqual({name: [len(row) for row in rows] for name, rows in got.items()}, {"a": [3, 3, 3], "b": [3]})
        self.assertIn("b: ", self.refuses(1, "eval", model, "--ids", bad))


if __name__ == "__main__":
    if not os.environ.get("TENON_MODEL_SMOLLM2"):
        print("SKIPPED: what needs weights: set TENON_MODEL_SMOLLM2", file=sys.stderr)
    unittest.main(argv=sys.argv[:1])
