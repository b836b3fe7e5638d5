#!/usr/bin/env python3
"""bad_tensors.py TENON [NAME...]: GGUF files of tiny checkpoints (oracle/write_gguf.py) with one tensor, or a count of tensors, that is
wrong: `tenon eval` must refuse each with one message that names the tensor or the key, and neither crash nor be killed. Families that
differ in their tensors. Needs numpy and gguf; exit 77 without them."""
import concurrent.futures
import os
import re
import struct
import subprocess
import sys
import tempfile

import families

sys.path.insert(0, os.path.dirname(families.ORACLE))
try:
    import write_gguf
except ImportError as e:
    print("SKIPPED: %s: pip install -r tests/requirements.txt" % e)
    sys.exit(77)

NAMES = ("llama-bias", "phi3-rope-longrope", "gpt2", "mixtral", "gpt_oss", "deepseek_v2", "mamba2", "lfm2", "qwen3_next", "bert")
F32, I32, UNKNOWN = 0, 26, 97  # types of GGUF
ALIGN = 32
MAY_LACK = ("output.weight",)  # the embedding stands in
# (tensor, what is changed): as good as before. Dimensions of vectors are not looked at, only how long they are; how many types of
# tokens there are is told by nothing else; and factors for long contexts are not read for short ones.
TAKEN = {(t, change) for t in ("blk.0.ssm_a", "blk.0.ssm_d", "blk.0.ssm_norm.weight", "blk.0.ffn_gate_inp_shexp.weight") for change in ("transposed", "flat")}
TAKEN |= {("token_types.weight", "a row more"), ("token_types.weight", "a row less"), ("rope_factors_long.weight", "of integers")}


class Tensor:
    """As the file tells of it. Dimensions in the order of numpy; offset None: where the data is written."""

    def __init__(self, name, x):
        self.name, self.dims, self.data, self.kind, self.offset = name, list(x.shape), x.tobytes(), F32, None


# ---- files ----

def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def value(v):
    """Its type and bytes."""
    if isinstance(v, bool):
        return 7, struct.pack("<?", v)
    if isinstance(v, int):
        return 4, struct.pack("<I", v)
    if isinstance(v, float):
        return 6, struct.pack("<f", v)
    if isinstance(v, str):
        return 8, text(v)
    return 9, struct.pack("<IQ", value(v[0])[0], len(v)) + b"".join(value(e)[1] for e in v)


def file_of(keys, tensors):
    out, data = [b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))], b""
    for key, v in keys.items():
        kind, raw = value(v)
        out.append(text(key) + struct.pack("<I", kind) + raw)
    for t in tensors:
        offset = len(data) if t.offset is None else t.offset
        out.append(text(t.name) + struct.pack("<I%dQ" % len(t.dims), len(t.dims), *reversed(t.dims)) + struct.pack("<IQ", t.kind, offset))
        data += t.data + bytes(-len(t.data) % ALIGN)
    head = b"".join(out)
    return head + bytes(-len(head) % ALIGN) + data


def model(name):
    """(keys, function that makes the tensors anew)"""
    c = write_gguf.Config(name)
    arch = write_gguf.ARCHS[c.get("model_type")]
    keys = {"general.architecture": arch, "tokenizer.ggml.model": "no_vocab"}
    keys.update({"%s.%s" % (arch, k): v for k, v in write_gguf.all_keys(c, arch).items()})
    arrays = write_gguf.all_tensors(name, c, arch)
    return arch, keys, lambda: [Tensor(n, x) for n, x in arrays.items()]


# ---- what is wrong with one tensor ----

def resized(t, axis, by):
    """Still with as many bytes as it claims."""
    rest = len(t.data) // t.dims[axis] if t.dims[axis] else 0
    t.dims[axis] += by
    t.data = (t.data + bytes(rest * max(by, 0)))[:rest * t.dims[axis]]


def transposed(t):
    t.dims[-2:] = [t.dims[-1], t.dims[-2]]


def flat(t):
    t.dims = [len(t.data) // 4]


def put(field, v):
    return lambda t: setattr(t, field, v)


def dims(make):
    return lambda t: setattr(t, "dims", make(t.dims))


def always(_):
    return True


def has_columns(t):
    return len(t.dims) > 1


def is_uneven(t):
    return len(t.dims) > 1 and t.dims[-1] != t.dims[-2]


ONE = {  # what is wrong: (change, does it apply?)
    "a row more": (lambda t: resized(t, 0, 1), always),
    "a row less": (lambda t: resized(t, 0, -1), always),
    "a column more": (lambda t: resized(t, -1, 1), has_columns),
    "a column less": (lambda t: resized(t, -1, -1), has_columns),
    "transposed": (transposed, is_uneven),
    "flat": (flat, has_columns),
    "no rows": (dims(lambda d: [0] + d[1:]), always),
    "no columns": (dims(lambda d: d[:-1] + [0]), has_columns),
    "of integers": (put("kind", I32), always),
}
PLACES = {  # the same for every tensor: of the first is enough
    "2^62 rows": (dims(lambda d: [1 << 62] + d[1:]), always),
    "2^64 - 1 columns": (dims(lambda d: d[:-1] + [(1 << 64) - 1]), always),
    "of an unknown type": (put("kind", UNKNOWN), always),
    "behind the end": (put("offset", 1 << 40), always),
    "at the end of all": (put("offset", (1 << 64) - ALIGN), always),
    "out of line": (put("offset", 4), always),
}


def variants(arch, keys, make):
    """(what is wrong, the file, what the message may name)"""
    seen, plain = set(), make()
    for i, t in enumerate(plain):
        role = re.sub(r"\.\d+\.", ".N.", t.name)
        if role in seen:
            continue
        seen.add(role)
        for what, (change, fits) in (ONE if i > 0 else {**ONE, **PLACES}).items():
            if fits(t) and (t.name, what) not in TAKEN:
                tensors = make()
                change(tensors[i])
                yield "%s %s" % (t.name, what), file_of(keys, tensors), (t.name,)
        if t.name not in MAY_LACK:
            yield t.name + " missing", file_of(keys, plain[:i] + plain[i + 1:]), (t.name,)
    yield "the last one twice", file_of(keys, plain + [plain[-1]]), (plain[-1].name,)
    count = keys[arch + ".block_count"]
    for n in (count + 1, count + 1000, (1 << 31) - 1, (1 << 32) - 1):
        yield "%d blocks" % n, file_of({**keys, arch + ".block_count": n}, plain), ("block_count", "head_count_kv", "blk.%d." % count)
    for by in (-1, 1, 1000) if arch + ".expert_count" in keys else ():
        n = keys[arch + ".expert_count"] + by
        yield "%d experts" % n, file_of({**keys, arch + ".expert_count": n}, plain), ("expert", "_exps.", "ffn_gate_inp")
    whole = file_of(keys, plain)
    yield "cut short", whole[:-ALIGN - 1], (plain[-1].name,)


# ---- runs ----

def judge(tenon, path, names):
    """What is wrong with the refusal, None: nothing."""
    env = {key: v for key, v in os.environ.items() if not key.startswith("TENON_")}
    done = subprocess.run([tenon, "eval", path, "--ids", "-", "--kv", "f32", "--logits"], input='{"a": [1, 2, 3]}', capture_output=True, text=True,
                          env=env, timeout=60)
    lines = done.stderr.strip().splitlines()
    if done.returncode == 0:
        return "taken"
    if done.returncode < 0 or "Sanitizer" in done.stderr or "runtime error" in done.stderr:
        return "crashed (%d): %s" % (done.returncode, done.stderr[:2000])
    if len(lines) != 1:
        return "%d lines: %s" % (len(lines), done.stderr)
    return None if any(n in lines[0] for n in names) else "not named: " + lines[0]


def check(tenon, name, folder):
    arch, keys, make = model(name)
    whole = os.path.join(folder, "whole.gguf")
    with open(whole, "wb") as f:
        f.write(file_of(keys, make()))
    if judge(tenon, whole, ()) != "taken":
        return 0, ["%s: does not load as it is: %s" % (name, judge(tenon, whole, ()))]

    def one(at):
        i, (what, data, names) = at
        path = os.path.join(folder, "%d.gguf" % i)
        with open(path, "wb") as f:
            f.write(data)
        wrong = judge(tenon, path, names)
        os.unlink(path)
        return wrong and "%s: %s: %s" % (name, what, wrong)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        answers = list(pool.map(one, enumerate(variants(arch, keys, make))))
    return len(answers), [a for a in answers if a]


def main(tenon, names):
    total, failed = 0, 0
    for name in names or NAMES:
        with tempfile.TemporaryDirectory(prefix="tenon-tensors-") as folder:
            n, faults = check(tenon, name, folder)
        print("\n".join(faults + ["%-24s %4d wrong tensors, %d faults" % (name, n, len(faults))]))
        total, failed = total + n, failed + len(faults)
    print("%d files, %d faults" % (total, failed))
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), sys.argv[2:]))
