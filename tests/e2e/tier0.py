#!/usr/bin/env python3
"""tier0.py TENON: SmolLM2-135M-Instruct on a CPU backend that claims no composite (TENON_CPU_CLAIMS=none), so that the host lowers all:
it answers, its log-probabilities are those of the backend's own kernels within rounding, and equal to the bit whatever the step.
Standard library only. Exit 77: the model is not there (TENON_MODEL_SMOLLM2)."""
import json
import os
import statistics
import subprocess
import sys
import unittest

IDS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "oracle", "smollm2-ids.json")
MODEL = os.environ.get("TENON_MODEL_SMOLLM2", "")
TENON = os.path.abspath(sys.argv[1])
TOKENS = 40  # of each text: more than a page of the cache
MEDIAN, MOST = 0.002, 0.05  # of a log-probability: instruction levels differ by 0.0006 and 0.01, as activations of 15 bits may


def tenon(*args, claims, stdin=""):
    run = subprocess.run([TENON, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=600,
                         env={**os.environ, "TENON_CPU_CLAIMS": claims})
    if run.returncode != 0:
        raise AssertionError(run.stderr)
    return run


def texts(count):
    with open(IDS) as f:
        return {name: ids[:TOKENS] for name, ids in list(json.load(f).items())[:count]}


class Tier0(unittest.TestCase):
    def test_lowered(self):
        """The profile names the nodes that ran: with "none", attention's parts instead of attention."""
        args = ("bench", MODEL, "--profile", "--prompt", 4, "--gen", 1, "--repeat", 1, "--context", 64)
        whole, parts = (tenon(*args, claims=claims).stderr.split() for claims in ("all", "none"))
        self.assertIn("layer.attn", whole)
        self.assertNotIn("layer.attn", parts)
        self.assertIn("layer.attn.scores", parts)

    def test_close_to_kernels(self):
        for kv in ("f16", "f32"):
            args = ("eval", MODEL, "--ids", "-", "--kv", kv, "--top")
            whole, parts = (json.loads(tenon(*args, top, claims=claims, stdin=json.dumps(texts(2))).stdout)
                            for claims, top in (("all", 10), ("none", 64)))
            same = rows = 0
            apart = []
            for name in whole:
                for row, other in zip(whole[name], parts[name], strict=True):
                    logprobs = dict(map(tuple, other))
                    apart += [abs(logprob - logprobs[token]) for token, logprob in row]
                    same += row[0][0] == other[0][0]
                    rows += 1
            median, most = statistics.median(apart), max(apart)
            print("kv %s: log-probabilities differ by %.2g, at most %.2g; top 1 agrees in %d of %d" % (kv, median, most, same, rows),
                  file=sys.stderr)
            self.assertLessEqual(median, MEDIAN)
            self.assertLessEqual(most, MOST)
            self.assertGreaterEqual(same, rows - 2)

    def test_bits(self):
        ids = json.dumps(texts(1))
        seen = {tenon("eval", MODEL, "--ids", "-", "--bits", *how, claims="none", stdin=ids).stdout
                for how in ((), ("--threads", 1), ("--chunk", 7), ("--beside", 1, "--chunk", 5))}
        self.assertEqual(len(seen), 1, "logits differ")

    def test_answers(self):
        run = tenon("run", MODEL, "What is the capital of France?", "--temperature", 0, "--max-tokens", 12, "--context", 64, claims="none")
        self.assertEqual(run.stdout, "The capital of France is Paris.\n")


if __name__ == "__main__":
    if not os.path.isfile(MODEL):
        print("SKIPPED: no SmolLM2: set TENON_MODEL_SMOLLM2", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
