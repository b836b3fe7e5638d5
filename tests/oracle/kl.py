#!/usr/bin/env python3
"""How far an engine's next-token distributions are from the float32 truth.

    tenon eval MODEL --ids smollm2-ids.json --top 256 --json > eval.json
    kl.py smollm2-logprobs.bin smollm2-ids.json eval.json
    {"mean_kl": 0.0027, "top1_agreement": 0.975, "positions": 1234, ...}

KL(truth || evaluated) in nats over the truth's top N ids and one bucket for all the rest
(README.md has the format of the truth). Merging the rest into a bucket can only lower a
KL, so the number is compared with one computed the same way (smollm2-stats.json), never
with one over the full vocabulary. Standard library only, Python >= 3.9.
"""
import json
import math
import struct
import sys

MAGICS = {"H": b"TNLP0001", "I": b"TNLP0002"}  # by the type of an id: u16, u32
SLACK = 1e-3  # how far printed logprobs may sum above 1


class BadInput(Exception):
    """What is wrong with a file, and where."""


def write_truth(path, vocab, top, texts):
    """texts: {name: [(ids, logprobs, rest_logprob)] per position}; see README.md."""
    id_type = "H" if vocab <= 1 << 16 else "I"
    with open(path, "wb") as f:
        f.write(MAGICS[id_type] + struct.pack("<III", vocab, top, len(texts)))
        for name, positions in texts.items():
            raw = name.encode()
            f.write(struct.pack("<II", len(raw), len(positions)) + raw)
            for ids, logprobs, rest in positions:
                f.write(struct.pack("<%d%s%df" % (top, id_type, top + 1), *ids, *logprobs, rest))


def read_truth(path):
    """Returns (vocab, {name: [(ids, logprobs, rest_logprob)] per position})."""
    with open(path, "rb") as f:
        data = f.read()
    id_type = next((t for t, magic in MAGICS.items() if data[:8] == magic), None)
    if id_type is None:
        raise BadInput("%s: not a truth file" % path)
    vocab, top, n_texts = struct.unpack_from("<III", data, 8)
    record = struct.Struct("<%d%s%df" % (top, id_type, top + 1))
    at, texts = 20, {}
    for _ in range(n_texts):
        n_name, n_positions = struct.unpack_from("<II", data, at)
        name = data[at + 8:at + 8 + n_name].decode()
        at += 8 + n_name
        rows = record.iter_unpack(data[at:at + n_positions * record.size])
        texts[name] = [(row[:top], row[top:2 * top], row[2 * top]) for row in rows]
        at += n_positions * record.size
    if at != len(data):
        raise BadInput("%s: %d bytes where %d belong" % (path, len(data), at))
    return vocab, texts


def check_evaluated(entries, vocab, where):
    """One position of `tenon eval`: distinct ids, most likely first, at most all of 1."""
    ids = [i for i, _ in entries]
    if not entries or len(set(ids)) != len(ids) or not all(0 <= i < vocab for i in ids):
        raise BadInput("%s: no ids, a repeated id or one outside the vocabulary" % where)
    logprobs = [lp for _, lp in entries]
    if not all(math.isfinite(lp) for lp in logprobs):
        raise BadInput("%s: a logprob is not finite" % where)
    if any(b > a + 1e-6 for a, b in zip(logprobs, logprobs[1:])):
        raise BadInput("%s: not sorted, most likely first" % where)
    total = math.fsum(map(math.exp, logprobs))
    if total > 1 + SLACK or (len(ids) == vocab and total < 1 - SLACK):
        raise BadInput("%s: probabilities sum to %g, no softmax does" % (where, total))


def truncated_kl(truth, entries, vocab):
    """Returns (kl, number of the truth's ids that entries lacks, their true probability).

    An id of the truth that the evaluated K do not hold has some q <= the smallest listed
    one. It is given the mean probability of all unlisted ids, which is far below what an
    id just under the cut has: the KL comes out too high, and the more so the likelier the
    id truly is, so a lost id costs rather than hides. The rest bucket is likewise made as
    small as it can be, by taking from it the most that the missing ids may have: the
    smallest listed q each. Both err upwards only; with K >= 4 N an engine that is nearly
    right misses next to nothing and the excess is below 1 % (test_kl.py, make_truth.py).
    """
    ids, logprobs, rest_logprob = truth
    evaluated = dict(entries)
    unlisted = max(0.0, 1 - math.fsum(math.exp(lp) for lp in evaluated.values()))
    # 1e-12: where the listed ids hold all of the probability to within rounding.
    mean_unlisted = max(unlisted / max(1, vocab - len(evaluated)), 1e-12)
    terms, known, missing = [], [], []
    for i, lp in zip(ids, logprobs):
        q = evaluated.get(i)
        if q is None:
            missing.append(math.exp(lp))
            q = min(math.log(mean_unlisted), entries[-1][1])
        else:
            known.append(math.exp(q))
        terms.append(math.exp(lp) * (lp - q))
    if missing or len(evaluated) < vocab:
        taken = min(len(missing) * math.exp(entries[-1][1]), unlisted)
        rest_q = max(1 - math.fsum(known) - taken, mean_unlisted)
    else:  # everything is listed: sum the rest itself, 1 - sum would only round worse
        truth_ids = set(ids)
        rest_q = math.fsum(math.exp(q) for i, q in entries if i not in truth_ids)
    if len(ids) < vocab:
        terms.append(math.exp(rest_logprob) * (rest_logprob - math.log(max(rest_q, 1e-300))))
    return math.fsum(terms), len(missing), math.fsum(missing)


def compare(vocab, truth, ids, evaluated):
    """The result object for one evaluation; every text and position must be there."""
    if set(truth) != set(ids) or set(truth) != set(evaluated):
        raise BadInput("texts differ: truth %s, ids %s, evaluated %s" % (
            sorted(truth), sorted(ids), sorted(evaluated)))
    kls, agree, missing, missing_mass = {}, 0, 0, 0.0
    for name, positions in truth.items():
        if not len(positions) == len(ids[name]) == len(evaluated[name]):
            raise BadInput("%s: truth has %d positions, ids %d, evaluated %d" % (
                name, len(positions), len(ids[name]), len(evaluated[name])))
        kls[name] = []
        for at, (want, got) in enumerate(zip(positions, evaluated[name])):
            check_evaluated(got, vocab, "%s[%d]" % (name, at))
            kl, n, mass = truncated_kl(want, got, vocab)
            kls[name].append(kl)
            agree += got[0][0] == want[0][0]
            missing += n
            missing_mass += mass
    n_positions = sum(map(len, kls.values()))
    return {
        "mean_kl": math.fsum(map(math.fsum, kls.values())) / n_positions,
        "top1_agreement": agree / n_positions,
        "positions": n_positions,
        "max_kl": max(map(max, kls.values())),
        "mean_kl_per_text": {name: math.fsum(v) / len(v) for name, v in kls.items()},
        "missing_ids": missing,
        "mean_missing_mass": missing_mass / n_positions,
    }


def main(argv):
    if len(argv) != 4:
        print("usage: kl.py TRUTH.bin IDS.json EVAL.json", file=sys.stderr)
        return 2
    try:
        vocab, truth = read_truth(argv[1])
        with open(argv[2]) as f:
            ids = json.load(f)
        with open(argv[3]) as f:
            evaluated = json.load(f)
        print(json.dumps(compare(vocab, truth, ids, evaluated)))
    except (BadInput, OSError, ValueError, TypeError, struct.error) as e:
        print("kl.py: %s" % e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
