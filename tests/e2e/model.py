#!/usr/bin/env python3
"""model.py TENON BUILD_DIR: the whole way on SmolLM2-135M-Instruct, by the real command: answers, float32 truth, equal bits, memory,
messages when a plugin is missing. Standard library only. Exit 77: the model is not there (TENON_MODEL_SMOLLM2)."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(os.path.dirname(HERE), "oracle")
MODEL = os.environ.get("TENON_MODEL_SMOLLM2", "")
TENON, BUILD = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
SANITIZED = os.environ.get("TENON_SANITIZED") == "1"


def tenon(*args, env=None, stdin=""):
    return subprocess.run([TENON, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=600,
                          env={**os.environ, **(env or {})})


class Answers(unittest.TestCase):
    def ask(self, prompt, *more):
        run = tenon("run", MODEL, prompt, "--temperature", 0, "--max-tokens", 40, *more)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_capital(self):
        self.assertEqual(self.ask("What is the capital of France?"), "The capital of France is Paris.\n")

    def test_sum(self):
        self.assertEqual(self.ask("What is 2+2?"), "The answer to this classic math problem is 4.\n")

    def test_stdin_and_json(self):
        run = tenon("run", MODEL, "--temperature", 0, "--json", stdin="What is the capital of France?\n")
        answer = json.loads(run.stdout)
        self.assertEqual((answer["text"], answer["end"], answer["prompt_tokens"]), ("The capital of France is Paris.", "stop", 37))

    def test_stop_string_and_length(self):
        self.assertEqual(self.ask("What is the capital of France?", "--stop", "France"), "The capital of \n")
        run = tenon("run", MODEL, "What is 2+2?", "--temperature", 0, "--max-tokens", 3, "--json")
        self.assertEqual(json.loads(run.stdout)["end"], "length")

    def test_seed_repeats(self):
        args = ("run", MODEL, "Tell me a story.", "--max-tokens", 24, "--seed", 7)
        first, again = tenon(*args).stdout, tenon(*args).stdout
        self.assertEqual(first, again)
        self.assertNotEqual(first, tenon(*args[:-1], 8).stdout)


    def test_nul_in_prompt(self):
        """What follows a NUL is not lost."""
        tokens = [json.loads(tenon("run", MODEL, "--temperature", 0, "--max-tokens", 1, "--json", *raw, stdin=text).stdout)["prompt_tokens"]
                  for raw in ((), ("--raw",)) for text in ("ab\0cd", "ab")]
        self.assertEqual(tokens[0] - tokens[1], tokens[2] - tokens[3])
        self.assertEqual(tokens[2] - tokens[3], 2)

    def test_nobody_reads(self):
        """The model stops when its reader leaves or the disk is full, not at the end of the context."""
        args = [TENON, "run", MODEL, "Count from 1 to 10000.", "--raw", "--temperature", "0", "--repeat-penalty", "2"]
        with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            self.assertTrue(run.stdout.read(1))
            run.stdout.close()
            self.assertEqual(run.wait(timeout=300 if SANITIZED else 15), 1)
            self.assertIn("stdout: cannot be written", run.stderr.read())


class Truth(unittest.TestCase):
    def test_kl(self):
        ids = os.path.join(ORACLE, "smollm2-ids.json")
        run = tenon("eval", MODEL, "--ids", ids, "--top", 256, "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as out:
            out.write(run.stdout)
            out.flush()
            kl = subprocess.run([sys.executable, os.path.join(ORACLE, "kl.py"), os.path.join(ORACLE, "smollm2-logprobs.bin"), ids, out.name],
                                capture_output=True, text=True, check=True)
        result = json.loads(kl.stdout)
        with open(os.path.join(ORACLE, "smollm2-stats.json")) as f:
            bound = json.load(f)["activations_int8"]["blocks_of_32"]["mean_kl_truncated"]
        print("mean KL %(mean_kl).3g, top-1 %(top1_agreement).4f" % result, "bound %.3g" % (1.1 * bound), file=sys.stderr)
        self.assertLessEqual(result["mean_kl"], 1.1 * bound)
        self.assertGreaterEqual(result["top1_agreement"], 0.96)

    def test_bits(self):
        with open(os.path.join(ORACLE, "smollm2-ids.json")) as f:
            ids = dict(list(json.load(f).items())[:1])
        for level in ("scalar", "avx2", "avx512", "avx512_bf16", "amx"):
            few = 8 if SANITIZED and level == "scalar" else 24  # two minutes otherwise
            given, seen = json.dumps({name: list_[:few] for name, list_ in ids.items()}), set()
            for how in ([], ["--threads", 1], ["--threads", 3], ["--chunk", 7], ["--chunk", 1], ["--beside", 1, "--chunk", 5]):
                run = tenon("eval", MODEL, "--ids", "-", "--bits", *how, stdin=given, env={"TENON_CPU_LEVEL": level})
                self.assertEqual(run.returncode, 0, run.stderr)
                seen.add(run.stdout)
            self.assertEqual(len(seen), 1, "logits differ at level " + level)


class Memory(unittest.TestCase):
    @unittest.skipIf(SANITIZED, "sanitizers use memory of their own")
    def test_peak(self):
        run = tenon("bench", MODEL, "--repeat", 1, "--gen", 8, "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        result = json.loads(run.stdout)
        self.assertEqual(sorted(k for k in result if k != "level"),
                         sorted(["load_s", "first_token_s", "packed_s", "prefill_tok_s", "decode_tok_s", "peak_rss_bytes", "device", "threads",
                                 "act_bits", "file_bytes", "packed_bytes", "made_bytes"]))
        self.assertLess(result["file_bytes"], os.path.getsize(MODEL))
        self.assertGreater(result["packed_bytes"], result["file_bytes"] // 2)  # its matrices are packed
        self.assertLess(result["made_bytes"], result["file_bytes"] // 20)
        self.assertEqual(result["act_bits"], 16)  # too narrow for 8
        self.assertLessEqual(result["peak_rss_bytes"], os.path.getsize(MODEL) + (100 << 20))

    def test_left_out(self):
        result = json.loads(tenon("bench", MODEL, "--repeat", 1, "--prompt", 0, "--gen", 4, "--parallel", 3, "--json").stdout)
        self.assertIsNone(result["prefill_tok_s"])
        self.assertGreater(result["decode_tok_s"]["median"], 0)


class Plugins(unittest.TestCase):
    def without(self, library):
        with tempfile.TemporaryDirectory() as tmp:
            os.chmod(tmp, 0o755)
            copy = os.path.join(tmp, "tenon")
            shutil.copytree(os.path.join(BUILD, "lib", "tenon"), copy)
            os.remove(os.path.join(copy, library))
            return tenon("run", MODEL, "Hi", "--max-tokens", 1, env={"TENON_PLUGIN_PATH": copy})

    def test_missing(self):
        for library, word in (("tenon-backend-cpu.so", "backend"), ("tenon-weights-gguf.so", "weights"),
                              ("tenon-model-llama.so", "llama"), ("tenon-tokenizer-bpe.so", "tokenizer"),
                              ("tenon-quantizer-gguf.so", "quantizer")):
            run = self.without(library)
            self.assertEqual((run.returncode, run.stdout), (1, ""), library)
            self.assertIn(word, run.stderr.lower())
            self.assertTrue(run.stderr.startswith("tenon: "), run.stderr)

    def test_lists(self):
        plugins = json.loads(tenon("plugins", "list", "--json").stdout)
        self.assertTrue(any("backend:cpu" in p["provides"] for p in plugins))
        devices = json.loads(tenon("devices", "--json").stdout)
        self.assertEqual(devices[0]["name"], "cpu")


class Usage(unittest.TestCase):
    def test_exit_codes(self):
        for args, code in (((), 2), (("nonsense",), 2), (("run",), 2), (("run", MODEL, "x", "--top-k", "many"), 2), (("--help",), 0),
                           (("run", "--help"), 0), (("run", "/nonexistent.gguf", "x"), 1), (("show", MODEL), 0),
                           (("eval", MODEL, "--ids", "/nonexistent.json"), 1), (("graph", MODEL), 0)):
            run = tenon(*args)
            self.assertEqual(run.returncode, code, (args, run.stderr))
            if code != 0:
                self.assertEqual(run.stdout, "", args)
                self.assertNotEqual(run.stderr, "")

    def test_bad_ids(self):
        for text in ("", "[]", '{"a":[-1]}', '{"a":[49152]}', '{"a":[1.5]}', '{"a":3}', '{"a":["x"]}'):
            run = tenon("eval", MODEL, "--ids", "-", stdin=text)
            self.assertEqual((run.returncode, run.stdout), (1, ""), text)
            self.assertIn("tenon: ", run.stderr)


if __name__ == "__main__":
    if not os.path.isfile(MODEL):
        print("SKIPPED: no SmolLM2: set TENON_MODEL_SMOLLM2", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
