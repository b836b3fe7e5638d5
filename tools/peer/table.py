#!/usr/bin/env python3
"""Drives Tenon and its peers through the same measurements, interleaved, and prints medians and ratios.

Called by tools/peers, which knows where everything is. One measurement at a time; the runtimes take turns within each
round, so that a neighbour's noise meets all of them. Figures:
  load              opening the model (Tenon: `tenon bench`; peers: their load function)
  first token       a prompt of 32: Tenon from exec to the first byte of `tenon run`; peers load and first logits inside a
                    running process, without the start of Python
  prefill N         tokens/s of a prompt of N
  decode @D         tokens/s of 64 tokens, D in the cache before
  P streams         tokens/s summed over P sequences in one step
  RSS               peak, of the whole process, after prefill 512 and decode 64 (peers: Python included, some 40 MiB)
  KL                mean KL from float32 on tests/oracle's texts; a peer above 0.01 computes something else and is not counted
  share of read     what a decoded token reads (weights and cache, by `tenon bench --profile`) times tokens/s, over the read roof,
                    the higher of two measured just before and after that decode. Neighbours move it by half within seconds: where
                    the two differ, the decode is measured again, and again where they still do, a few times
  roof GB/s         those roofs
  prefill 512 by N threads  Tenon alone: with one thread, and with twice as many as there are cores
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(HERE, "..", "..", "tests", "oracle")
sys.path.insert(0, ORACLE)
import kl  # noqa: E402

WRONG_KL = 0.01
STEADY = 1.1  # the higher of two roofs over the lower, at most, for what was measured between them to be one of either
STEADY_TRIES = 6
QUICK = [("prefill 512", "prefill", {"prompt": 512, "depth": 0}),
         ("decode @0", "decode", {"gen": 64, "depth": 0, "parallel": 1})]
FULL = ([("prefill %d" % n, "prefill", {"prompt": n, "depth": 0}) for n in (128, 512, 2048)] +
        [("decode @%d" % d, "decode", {"gen": 64, "depth": d, "parallel": 1}) for d in (0, 1024, 4096)] +
        [("%d streams" % p, "decode", {"gen": 64 if p < 32 else 32, "depth": 0, "parallel": p}) for p in (8, 32)])
ALONE = [("prefill 512 by %d threads" % n, "prefill", {"prompt": 512, "depth": 0, "threads": n}) for n in (1, 2 * os.cpu_count())]
PROMPT_32 = "The quick brown fox jumps over the lazy dog. " * 3 + "It was a dark"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Tenon:
    name, counted = "tenon", True

    def __init__(self, exe, roofs, model, threads):
        self.exe, self.roofs, self.model, self.threads = exe, roofs, model, threads
        self.per_token = {}  # bytes, by depth

    def bench(self, prompt, gen, depth=0, parallel=1, threads=None, more=()):
        out = subprocess.run([self.exe, "bench", self.model, "--prompt", str(prompt), "--gen", str(gen), "--depth", str(depth),
                              "--parallel", str(parallel), "--repeat", "1", "--threads", str(threads or self.threads), "--json", *more],
                             check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if threads else None)
        return json.loads(out.stdout)

    def read_per_token(self, depth):
        """Bytes: those of runs of `gen` tokens, by the difference of two of them, which what comes before is not in."""
        if depth not in self.per_token:
            few, many = (sum(e["bytes"] for e in self.bench(0, gen, depth, more=("--profile",))["profile"]) for gen in (4, 12))
            self.per_token[depth] = (many - few) / 8
        return self.per_token[depth]

    def decode_and_share(self, gen, depth, parallel):
        """(tokens/s, share of the read roof of that moment, that roof)"""
        read = self.read_per_token(depth)
        for _ in range(STEADY_TRIES):
            before = self.read_roof()
            rate = self.decode(gen, depth, parallel)
            after = self.read_roof()
            roof = max(before, after)
            if roof <= STEADY * min(before, after):
                break
        return rate, rate * read / roof, roof

    def read_roof(self):
        return measure_roofs(self.roofs, self.threads, "read")["read_bytes_s"]

    def prefill(self, prompt, depth, threads=None):
        return self.bench(prompt, 0, depth, threads=threads)["prefill_tok_s"]["median"]

    def decode(self, gen, depth, parallel):
        return self.bench(0, gen, depth, parallel)["decode_tok_s"]["median"]

    def start(self):
        """(load, first token, peak RSS)"""
        whole = self.bench(512, 64)
        begin = time.perf_counter()
        run = subprocess.Popen([self.exe, "run", self.model, PROMPT_32, "--raw", "--max-tokens", "1", "--temperature", "0",
                                "--threads", str(self.threads)], stdout=subprocess.PIPE)
        answered = run.stdout.read(1) != b""  # not with a tokenizer that no plugin provides
        first = time.perf_counter() - begin
        run.communicate()
        return whole["load_s"], first if answered else None, whole["peak_rss_bytes"]

    def eval(self, ids_file):
        out = subprocess.run([self.exe, "eval", self.model, "--ids", ids_file, "--top", "256", "--json"], check=True,
                             stdout=subprocess.PIPE)
        return json.loads(out.stdout)

    def end(self):
        pass


class Peer:
    counted = True

    def __init__(self, name, python, model, threads):
        self.name, self.python, self.model, self.threads = name, python, model, threads
        self.worker = self.opened()

    def spawn(self):
        return subprocess.Popen([self.python, os.path.join(HERE, "worker.py"), self.name], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)

    def opened(self):
        worker = self.spawn()
        self.ask(worker, "open", model=self.model, threads=self.threads)
        return worker

    def ask(self, worker, op, **request):
        worker.stdin.write(json.dumps({"op": op, **request}) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        if not line:
            if op != "open" and worker is self.worker:
                self.worker = self.opened()
            raise RuntimeError("%s died in %s %s" % (self.name, op, request if op != "eval" else ""))
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError("%s: %s: %s" % (self.name, op, answer["error"]))
        return answer

    def prefill(self, **request):
        return self.ask(self.worker, "prefill", **request)["tok_s"]

    def decode(self, **request):
        return self.ask(self.worker, "decode", **request)["tok_s"]

    def start(self):
        fresh = self.spawn()
        try:
            load = self.ask(fresh, "open", model=self.model, threads=self.threads)["load_s"]
            first = self.ask(fresh, "first_token", prompt=32)["s"]
            self.ask(fresh, "prefill", prompt=512, depth=0)
            self.ask(fresh, "decode", gen=64, depth=0, parallel=1)
            return load, load + first, self.ask(fresh, "rss")["bytes"]
        finally:
            fresh.stdin.close()
            fresh.wait()

    def eval(self, ids_file):
        with open(ids_file, encoding="utf-8") as f:
            texts = json.load(f)
        return {name: self.ask(self.worker, "eval", ids=ids, top=256)["rows"] for name, ids in texts.items()}

    def end(self):
        self.worker.stdin.close()
        self.worker.wait()


def mean_kl(runtime, model):
    ids = os.path.join(ORACLE, model + "-ids.json")
    truth = os.path.join(ORACLE, model + "-logprobs.bin")
    if not os.path.exists(truth):
        return None
    with open(ids, encoding="utf-8") as f:
        texts = json.load(f)
    try:
        return kl.compare(*kl.read_truth(truth), texts, runtime.eval(ids))["mean_kl"]
    except (kl.BadInput, RuntimeError) as e:
        say("%s: no KL: %s" % (runtime.name, e))
        return float("nan")


def measure(runtimes, items, repeat, with_start):
    """{item: {runtime: [values]}}; a runtime that fails an item has none for it."""
    values = {name: {r.name: [] for r in runtimes} for name, _, _ in items}
    shares = {name: ("share of read @%d" % request["depth"], "roof GB/s @%d" % request["depth"])
              for name, _, request in items if request.get("parallel") == 1}
    values.update({row: {runtimes[0].name: []} for pair in shares.values() for row in pair})
    starts = {r.name: [] for r in runtimes}
    for turn in range(repeat):
        for r in runtimes if with_start else ():
            starts[r.name].append(r.start())
        for name, op, request in items:
            for r in runtimes[:1] if "threads" in request else runtimes:
                try:
                    if r is runtimes[0] and name in shares:
                        value, share, roof = r.decode_and_share(**request)
                        values[shares[name][0]][r.name].append(share)
                        values[shares[name][1]][r.name].append(roof / 1e9)
                    else:
                        value = getattr(r, op)(**request)
                    values[name][r.name].append(value)
                except (RuntimeError, subprocess.CalledProcessError) as e:
                    say("%s: %s: %s" % (r.name, name, e))
        say("round %d of %d" % (turn + 1, repeat))
    for i, (name, scale) in enumerate(() if not with_start else (("load s", 1), ("first token s", 1), ("RSS MiB", 2 ** -20))):
        values[name] = {r.name: [s[i] * scale for s in starts[r.name] if s[i] is not None] for r in runtimes}
    return values


def measure_roofs(exe, threads, *only):
    return json.loads(subprocess.run([exe, str(threads), *only], check=True, stdout=subprocess.PIPE).stdout)


def add_kept(path, model, values):
    """Adds the values that earlier runs left in the file, and leaves all of them there."""
    kept = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            kept = json.load(f)
    for item, per in kept.get(model, {}).items():
        mine = values.setdefault(item, {})
        for name, v in per.items():
            mine[name] = v + mine.get(name, [])
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump({**kept, model: values}, f)
    os.replace(path + ".new", path)


def compare(model, path, args):
    runtimes = [Tenon(args.tenon, args.roofs, path, args.threads)]
    for peer in args.peer:
        name, python = peer.split("=", 1)
        runtimes.append(Peer(name, python, path, args.threads))
    result = {"model": model, "bytes": os.path.getsize(path), "kl": {}, "median": {}, "counted": {}}
    for r in runtimes:
        result["kl"][r.name] = k = mean_kl(r, model) if not args.no_kl else None
        r.counted = k is None or k <= WRONG_KL
        result["counted"][r.name] = r.counted
    only = args.only.split(",") if args.only else None
    items = [i for i in (QUICK if args.quick else FULL + ALONE) if only is None or i[0] in only]
    values = measure(runtimes, items, args.repeat, not args.no_start)
    for r in runtimes:
        r.end()
    if args.keep:
        add_kept(args.keep, model, values)
    for item, per in values.items():
        result["median"][item] = {r.name: statistics.median(per[r.name]) if per.get(r.name) else None for r in runtimes}
    return result


def ratio_to_best(item, per, counted):
    """Tenon's gain over the best counted peer: above 1 is better, whichever way the figure runs."""
    peers = [v for name, v in per.items() if name != "tenon" and v and counted[name]]
    if not peers or not per["tenon"]:
        return None
    less_is_better = item.endswith((" s", " MiB"))
    return min(peers) / per["tenon"] if less_is_better else per["tenon"] / max(peers)


def cell(v):
    return "-" if v is None else "%.3g" % v if v < 100 else "%.0f" % v


def print_table(result):
    names = list(result["counted"])
    rows = [[result["model"]] + [n if result["counted"][n] else n + " (not counted)" for n in names] + ["tenon / best peer"]]
    rows.append(["mean KL"] + ["-" if k is None else "%.2g" % k for k in (result["kl"][n] for n in names)] + [""])
    for item, per in result["median"].items():
        rows.append([item] + [cell(per[n]) for n in names] + [cell(ratio_to_best(item, per, result["counted"]))])
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())
    print()


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        found = re.search(r"model name\s*: (.*)", f.read())
    return found.group(1) if found else "unknown processor"


def main():
    p = argparse.ArgumentParser(prog="peers", description="Tenon beside other runtimes on this machine")
    p.add_argument("--tenon", help=argparse.SUPPRESS)
    p.add_argument("--roofs", help=argparse.SUPPRESS)
    p.add_argument("--peer", action="append", default=[], help=argparse.SUPPRESS)
    p.add_argument("--model", action="append", default=[], help=argparse.SUPPRESS)
    p.add_argument("--models", metavar="NAME,...", help="only these models")
    p.add_argument("--quick", action="store_true", help="prefill 512 and decode 64 only")
    p.add_argument("--only", metavar="ITEM,...", help="only these rows, e.g. 'prefill 512,8 streams'")
    p.add_argument("--no-kl", action="store_true", help="without the KL: then every peer is counted")
    p.add_argument("--no-start", action="store_true", help="without load, first token and RSS")
    p.add_argument("--keep", metavar="FILE", help="also counts what earlier runs left in FILE, and leaves it all there: a long "
                   "table in short runs (of one build, on one machine)")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of every runtime")
    p.add_argument("--repeat", type=int, default=5, help="rounds (5)")
    p.add_argument("--json", action="store_true", help="one object per model")
    args = p.parse_args()
    wanted = args.models.split(",") if args.models else None
    known = [m.split("=", 1)[0] for m in args.model], [i[0] for i in FULL + ALONE]
    for given, names in zip((wanted, args.only.split(",") if args.only else None), known):
        for name in given or []:
            if name not in names:
                p.error("%r is none of: %s" % (name, ", ".join(names)))
    roofs = measure_roofs(args.roofs, args.threads)
    if not args.json:
        print("%s, %d threads, %s: read %.1f GB/s, int8 %.0f Gop/s (AVX2 narrow %.0f), int16 %.0f, bf16 %.0f, f32 %.0f GFLOP/s; medians of %d\n" % (
            cpu_name(), args.threads, roofs["level"], roofs["read_bytes_s"] / 1e9, roofs["int8_ops"] / 1e9,
            roofs["int8_narrow_avx2_ops"] / 1e9, roofs["int16_ops"] / 1e9, roofs["bf16_flops"] / 1e9, roofs["f32_flops"] / 1e9, args.repeat), flush=True)
    for entry in args.model:
        name, path = entry.split("=", 1)
        if wanted is None or name in wanted:
            result = compare(name, path, args)
            if args.json:
                print(json.dumps({**result, "cpu": cpu_name(), "roofs": roofs}), flush=True)
            else:
                print_table(result)


if __name__ == "__main__":
    main()
