"""Tests of kl.py: python3 -m unittest tests/oracle/test_kl.py (standard library only)."""
import json
import math
import os
import random
import struct
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import kl  # noqa: E402

VOCAB, TOP = 500, 20


def distribution(rng):
    """A long-tailed log softmax over VOCAB ids."""
    logits = [rng.gauss(0, 3) for _ in range(VOCAB)]
    norm = math.log(math.fsum(map(math.exp, logits)))
    return [x - norm for x in logits]


def disturbed(logprobs, rng, sigma):
    moved = [x + rng.gauss(0, sigma) for x in logprobs]
    norm = math.log(math.fsum(map(math.exp, moved)))
    return [x - norm for x in moved]


def entries(logprobs, k):
    order = sorted(range(VOCAB), key=lambda i: -logprobs[i])[:k]
    return [[i, logprobs[i]] for i in order]


def truth_row(logprobs):
    top = entries(logprobs, TOP)
    ids = [i for i, _ in top]
    rest = math.fsum(math.exp(x) for i, x in enumerate(logprobs) if i not in ids)
    return ids, [x for _, x in top], math.log(rest)


def exact(truth, logprobs):
    """The truncated KL from the whole evaluated distribution: no bound anywhere."""
    ids, p, rest = truth
    rest_q = math.fsum(math.exp(x) for i, x in enumerate(logprobs) if i not in ids)
    known = math.fsum(math.exp(a) * (a - logprobs[i]) for i, a in zip(ids, p))
    return known + math.exp(rest) * (rest - math.log(rest_q))


class TruncatedKl(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(7)
        self.p = distribution(self.rng)
        self.truth = truth_row(self.p)

    def test_of_itself_is_zero(self):
        for k in (TOP, 4 * TOP, VOCAB):
            got, missing, _ = kl.truncated_kl(self.truth, entries(self.p, k), VOCAB)
            self.assertAlmostEqual(got, 0, places=12)
            self.assertEqual(missing, 0)

    def test_is_exact_when_nothing_is_missing(self):
        q = disturbed(self.p, self.rng, 0.1)
        got, missing, _ = kl.truncated_kl(self.truth, entries(q, VOCAB), VOCAB)
        self.assertEqual(missing, 0)
        self.assertAlmostEqual(got, exact(self.truth, q), places=12)

    def test_missing_ids_only_raise_it(self):
        for sigma in (0.1, 0.5, 2):
            for k in (5, TOP, 2 * TOP, 4 * TOP):
                q = disturbed(self.p, self.rng, sigma)
                got, _, _ = kl.truncated_kl(self.truth, entries(q, k), VOCAB)
                self.assertGreaterEqual(got, exact(self.truth, q) - 1e-12, (sigma, k))

    def test_is_nearly_exact_at_four_times_top(self):
        q = disturbed(self.p, self.rng, 0.1)
        got, _, _ = kl.truncated_kl(self.truth, entries(q, 4 * TOP), VOCAB)
        self.assertLess(got, 1.01 * exact(self.truth, q))

    def test_a_lost_likely_id_costs_much(self):
        q = entries(self.p, 4 * TOP)[1:]
        got, missing, mass = kl.truncated_kl(self.truth, q, VOCAB)
        self.assertEqual(missing, 1)
        self.assertAlmostEqual(mass, math.exp(self.p[self.truth[0][0]]))
        self.assertGreater(got, 0.1)


class Files(unittest.TestCase):
    def setUp(self):
        rng = random.Random(11)
        self.dists = {"a": [distribution(rng) for _ in range(3)], "ü": [distribution(rng)]}
        self.ids = {name: [1] * len(d) for name, d in self.dists.items()}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "truth.bin")
        kl.write_truth(path, VOCAB, TOP, {
            name: [truth_row(p) for p in d] for name, d in self.dists.items()})
        self.vocab, self.truth = kl.read_truth(path)
        self.path = path

    def evaluated(self):
        return {name: [entries(p, 80) for p in d] for name, d in self.dists.items()}

    def test_round_trip(self):
        got = kl.compare(self.vocab, self.truth, self.ids, self.evaluated())
        self.assertEqual((got["positions"], got["top1_agreement"]), (4, 1.0))
        self.assertAlmostEqual(got["mean_kl"], 0, places=6)

    def test_top1_is_counted(self):
        evaluated = self.evaluated()
        first, second = evaluated["a"][0][:2]
        first[0], second[0] = second[0], first[0]
        got = kl.compare(self.vocab, self.truth, self.ids, evaluated)
        self.assertEqual(got["top1_agreement"], 0.75)

    def test_bad_evaluations_are_refused(self):
        def lose_text(e): del e["ü"]
        def lose_position(e): e["a"].pop()
        def unsorted(e): e["a"][0].reverse()
        def repeated(e): e["a"][0][1] = e["a"][0][0]
        def outside(e): e["a"][0][79][0] = VOCAB
        def above_one(e): e["a"][0] = [[i, lp + 1] for i, lp in e["a"][0]]
        def not_a_number(e): e["a"][0][79][1] = math.nan
        for spoil in (lose_text, lose_position, unsorted, repeated, outside, above_one,
                      not_a_number):
            evaluated = self.evaluated()
            spoil(evaluated)
            with self.assertRaises(kl.BadInput, msg=spoil.__name__):
                kl.compare(self.vocab, self.truth, self.ids, evaluated)

    def test_bad_truth_is_refused(self):
        with open(self.path, "rb") as f:
            data = f.read()
        for bad in (b"", b"x" + data, data[:-1], data + b"x"):
            with open(self.path, "wb") as f:
                f.write(bad)
            with self.assertRaises((kl.BadInput, struct.error)):
                kl.read_truth(self.path)


    def test_wide_ids(self):
        """Ids beyond 16 bits: the other format."""
        rows = {"a": [([70000, 3], [-0.5, -1.5], -1.7)]}
        kl.write_truth(self.path, 70001, 2, rows)
        with open(self.path, "rb") as f:
            self.assertEqual(f.read(8), b"TNLP0002")
        vocab, truth = kl.read_truth(self.path)
        self.assertEqual((vocab, truth["a"][0][0]), (70001, (70000, 3)))


class Committed(unittest.TestCase):
    def test_files_belong_together(self):
        for name in ("smollm2", "gemma3", "qwen2.5"):
            with self.subTest(name):
                self.check(os.path.join(HERE, name))

    def check(self, path):
        vocab, truth = kl.read_truth(path + "-logprobs.bin")
        with open(path + "-ids.json") as f:
            ids = json.load(f)
        with open(path + "-stats.json", encoding="utf-8") as f:
            stats = json.load(f)
        self.assertEqual({n: len(v) for n, v in truth.items()}, stats["positions"])
        self.assertEqual({n: len(v) for n, v in ids.items()}, stats["positions"])
        for top_ids, logprobs, rest in (row for rows in truth.values() for row in rows):
            self.assertTrue(len(set(top_ids)) == stats["top"] and max(top_ids) < vocab)
            self.assertEqual(list(logprobs), sorted(logprobs, reverse=True))
            total = math.fsum(map(math.exp, logprobs)) + math.exp(rest)
            self.assertAlmostEqual(total, 1, places=5)


if __name__ == "__main__":
    unittest.main()
