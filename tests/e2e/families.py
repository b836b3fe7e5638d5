#!/usr/bin/env python3
"""families.py TENON [NAME...]: every family against its tiny checkpoint in oracle/families, in float32 on both sides. Prints one line
for each: the largest error of its logits relative to the largest of their row, which must be within 1e-4, and whether prompts run
whole, in chunks of 3, token by token and beside another sequence give the same bits. Standard library only."""
import array
import json
import os
import subprocess
import sys

ORACLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "oracle", "families")
BOUND = 1e-4
WAYS = {"whole": [], "chunks of 3": ["--chunk", "3"], "token by token": ["--chunk", "1"], "beside": ["--beside", "1", "--chunk", "5"]}
ENCODERS = {"bert", "modernbert"}  # see a text as a whole: there are no chunks
BY_LENGTH = {"llama-rope-dynamic", "phi3-rope-longrope"}  # scaled by the length of what is run: Tenon takes it from --context


def all_names():
    return sorted(n for n in os.listdir(ORACLE) if os.path.isdir(os.path.join(ORACLE, n)))


def prompts_of(name):
    with open(os.path.join(ORACLE, name, "prompts.json"), encoding="utf-8") as f:
        return json.load(f)


def evaluate(tenon, path, prompts, *how):
    """Logits of each position of all prompts in order, as text: equal texts are equal bits."""
    run = subprocess.run([tenon, "eval", path, "--ids", "-", "--kv", "f32", "--logits", *how],
                         input=json.dumps(prompts), capture_output=True, text=True, timeout=300)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip())
    return [row for rows in json.loads(run.stdout, parse_float=str, parse_int=str).values() for row in rows]


def rows_of(tenon, name, prompts, *how, path=None):
    path = path or os.path.join(ORACLE, name)
    batches = [{key: ids} for key, ids in prompts.items()] if name in BY_LENGTH else [prompts]
    return [row for batch in batches for row in evaluate(tenon, path, batch, *how)]


def expected(name):
    values = array.array("f")
    with open(os.path.join(ORACLE, name, "logits.f32"), "rb") as f:
        values.frombytes(f.read())
    if sys.byteorder == "big":
        values.byteswap()
    return values


def error(rows, want):
    """inf where a logit is no number."""
    worst, n = 0.0, len(rows[0])
    if len(rows) * n != len(want):
        raise RuntimeError("%d logits where %d are expected" % (len(rows) * n, len(want)))
    for i, row in enumerate(rows):
        truth = want[i * n:(i + 1) * n]
        largest = max(abs(v) for v in truth)
        differences = [abs(float(v) - t) if v is not None else float("inf") for v, t in zip(row, truth)]
        worst = max(worst, max(differences) / largest)
    return worst


def check(tenon, name):
    """(error, names of the ways whose bits differ from whole)."""
    prompts = prompts_of(name)
    whole = rows_of(tenon, name, prompts)
    ways = {"beside": ["--beside", "2"]} if name in ENCODERS else WAYS
    others = [way for way, how in ways.items() if how and rows_of(tenon, name, prompts, *how) != whole]
    return error(whole, expected(name)), others


def main(tenon, names):
    failed = 0
    names = names or all_names()
    print("%-24s %-9s %s" % ("family", "error", "bits: " + ", ".join(WAYS)))
    for name in names:
        try:
            worst, others = check(tenon, name)
            good = worst <= BOUND and not others
            print("%-24s %-9.2g %s%s" % (name, worst, "equal" if not others else "differ: " + ", ".join(others), "" if good else "  FAILED"))
        except (RuntimeError, OSError, ValueError) as e:
            good = False
            print("%-24s FAILED    %s" % (name, e))
        failed += not good
    print("%d of %d within %g, bits equal" % (len(names) - failed, len(names), BOUND))
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), sys.argv[2:]))
