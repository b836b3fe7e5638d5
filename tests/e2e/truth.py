#!/usr/bin/env python3
"""truth.py TENON NAME: the answers of a real model by the real command: near the float32 truth of tests/oracle/NAME-*, by 8-bit
activations and much nearer by 16-bit ones, and equal to the bit however a text is cut into steps. Standard library only. Exit 77: the model is not there (TENON_MODEL_..., or in the cache of
tools/common.sh)."""
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(os.path.dirname(HERE), "oracle")
sys.path.insert(0, ORACLE)
import kl  # noqa: E402

CACHE = os.environ.get("TENON_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tenon")
MODELS = {
    "gemma3": ("TENON_MODEL_GEMMA3", "gemma-3-270m-q4_k_m.gguf"),
    "qwen2.5": ("TENON_MODEL_QWEN2", "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"),
}
TENON, NAME = os.path.abspath(sys.argv[1]), sys.argv[2]
VARIABLE, FILE = MODELS[NAME]
MODEL = os.environ.get(VARIABLE) or os.path.join(CACHE, "models", FILE)
LEAST_TOP1 = 0.96
MOST_KL_16 = 1e-5  # measured: 4e-7


def oracle(what):
    return os.path.join(ORACLE, NAME + "-" + what)


def load(what):
    with open(oracle(what), encoding="utf-8") as f:
        return json.load(f)


def evaluate(ids, *more, level=None, activations=None):
    """What `tenon eval` printed; level: of CPU instructions, the best there is; activations: 8 or 16, what the backend chooses."""
    told = {"TENON_CPU_LEVEL": level, "TENON_CPU_ACTIVATIONS": activations}
    run = subprocess.run([TENON, "eval", MODEL, "--ids", "-", *map(str, more)], input=json.dumps(ids), capture_output=True, text=True,
                         timeout=600, env={**os.environ, **{k: v for k, v in told.items() if v}})
    if run.returncode != 0:
        raise AssertionError(run.stderr)
    return run.stdout


class Truth(unittest.TestCase):
    def check_kl(self, bound, activations=None):
        ids, stats = load("ids.json"), load("stats.json")
        evaluated = json.loads(evaluate(ids, "--top", 4 * stats["top"], "--json", activations=activations))
        result = kl.compare(*kl.read_truth(oracle("logprobs.bin")), ids, evaluated)
        print("%s: mean KL %.3g, bound %.3g; top-1 %.4f of %d, bound %g" % (
            NAME, result["mean_kl"], bound, result["top1_agreement"], result["positions"], LEAST_TOP1), file=sys.stderr)
        self.assertLessEqual(result["mean_kl"], bound)
        self.assertGreaterEqual(result["top1_agreement"], LEAST_TOP1)
        return result["mean_kl"]

    def test_kl(self):
        simulated = load("stats.json")["activations_int8"]["blocks_of_32"]["mean_kl_truncated"]
        self.assertGreater(self.check_kl(1.1 * simulated), 10 * MOST_KL_16)  # it has gone to 8 bits by itself

    @unittest.skipUnless(NAME == "gemma3", "one model is enough")
    def test_kl_at_16_bits(self):
        self.check_kl(MOST_KL_16, activations="16")


class Bits(unittest.TestCase):
    def equal(self, ids, *ways, level=None):
        want = evaluate(ids, "--bits", level=level)
        self.assertEqual(sum(map(len, json.loads(want).values())), sum(map(len, ids.values())))
        for how in ways:
            self.assertEqual(evaluate(ids, "--bits", *how, level=level), want, (how, level))

    def test_short(self):
        ids = {name: list_[:24] for name, list_ in list(load("ids.json").items())[:1]}
        for level in ("avx2", "avx512"):
            self.equal(ids, ["--threads", 1], ["--threads", 3], ["--chunk", 7], ["--chunk", 1], ["--beside", 1, "--chunk", 5],
                       level=level)

    @unittest.skipUnless(NAME == "gemma3", "no sliding window")
    def test_past_the_window(self):
        self.equal({"prose": load("ids.json")["prose"][:540]}, ["--chunk", 31], ["--chunk", 1])


class Memory(unittest.TestCase):
    @unittest.skipUnless(NAME == "gemma3", "no table that is most of the file")
    def test_one_form_of_weights(self):
        """An answer while weights are packed behind it: never are the file's and the packed form of all in memory."""
        with subprocess.Popen([TENON, "run", MODEL, "Once upon a time", "--max-tokens", "120", "--temperature", "0"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            _, status, usage = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(run.returncode, 0)
        self.assertLessEqual(usage.ru_maxrss << 10, 1.1 * os.path.getsize(MODEL) + (60 << 20))


if __name__ == "__main__":
    if not os.path.isfile(MODEL):
        print("SKIPPED: no %s: set %s, or have tools/test fetch it" % (NAME, VARIABLE), file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
