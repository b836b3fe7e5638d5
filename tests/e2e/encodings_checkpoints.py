#!/usr/bin/env python3
"""encodings_checkpoints.py BUILD/tests/decode_checkpoint [SEED]: plugins/quantizers/checkpoints against numpy, written from the
published formats: whole matrices quantised here are packed as their packages pack them, and must come out as the formula has it, to
the bit (zeros of either sign are equal). And that indexes from a file that cannot be are refused. Exit 77: numpy is missing."""
import subprocess
import sys

try:
    import numpy as np
except ImportError as missing:
    print(f"SKIPPED: {missing}: pip install -r tests/requirements.txt", file=sys.stderr)
    sys.exit(77)

DRIVER = sys.argv[1]
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else int(np.random.SeedSequence().entropy % 2**32)
RNG = np.random.default_rng(SEED)
N, K = 48, 256


def words_along(q, bits, axis):
    """Numbers packed into i32, the first lowest, along an axis."""
    per = 32 // bits
    q = np.moveaxis(q, axis, -1).astype(np.uint32)
    w = (q.reshape(*q.shape[:-1], -1, per) << (bits * np.arange(per, dtype=np.uint32))).sum(axis=-1, dtype=np.uint32)
    return np.ascontiguousarray(np.moveaxis(w, -1, axis)).astype("<u4")


def scales(shape, kind=np.float16):
    return (RNG.uniform(0.001, 0.1, shape) * RNG.choice([-1, 1], shape)).astype(kind)


def bf16(x):
    """x cut to bf16: (bits, what they are)"""
    bits = (x.astype(np.float32).view(np.uint32) >> 16).astype("<u2")
    return bits, (bits.astype(np.uint32) << 16).view(np.float32)


def of_group(size):
    return f"g{size}" if size else "channel"


def gptq(bits, size, v2, act):
    group = size or K
    q = RNG.integers(0, 2**bits, (N, K))
    zero = RNG.integers(0, 2**bits, (N, K // group))
    s = scales((N, K // group))
    g_idx = np.arange(K) // group
    if act:
        g_idx = RNG.permutation(g_idx)
    x = s[:, g_idx].astype(np.float32) * (q - zero[:, g_idx]).astype(np.float32)
    qzeros = words_along(zero.T, bits, 1)
    if not v2:
        qzeros = qzeros - np.uint32({4: 0x11111111, 8: 0x01010101}[bits])  # as GPTQModel does: a zero point of 0 borrows from the next
    planes = [words_along(q.T, bits, 0), qzeros, np.ascontiguousarray(s.T), g_idx.astype("<i4")]
    return f"gptq{'_v2' if v2 else ''}.int{bits}{'_act' if act else ''}_{of_group(size)}/1", planes, x


def awq(group):
    q, zero, s = RNG.integers(0, 16, (N, K)), RNG.integers(0, 16, (N, K // group)), scales((N, K // group))
    order = np.array([0, 2, 4, 6, 1, 3, 5, 7])  # number order[j] of each eight is nibble j

    def pack(a):  # [lines, N]
        return words_along(a.reshape(a.shape[0], -1, 8)[:, :, order].reshape(a.shape), 4, 1)
    g = np.arange(K) // group
    x = s[:, g].astype(np.float32) * (q - zero[:, g]).astype(np.float32)
    return f"awq.int4_g{group}/1", [pack(q.T), pack(zero.T), np.ascontiguousarray(s.T)], x


def e4m3(codes):
    e, m, sign = codes >> 3 & 15, codes & 7, np.where(codes & 128, -1.0, 1.0)
    x = np.where(e == 0, m * 2.0**-9, (1 + m / 8) * 2.0 ** (e.astype(np.float64) - 7)) * sign
    return np.where((codes & 127) == 127, np.nan, x).astype(np.float32)


def typed(s, kind):
    """Scales s in f32: (as stored, what they are)"""
    if kind == "f32":
        return s, s
    return (s.astype(np.float16), s.astype(np.float16).astype(np.float32)) if kind == "f16" else bf16(s)


def fp8(kind="f32", shared="128x128", part=False):
    rows, cols = 200, 224 if part else K  # the last square is cut, part: on both sides
    codes = RNG.integers(0, 256, (rows, cols))
    by_rows, by_cols = {"128x128": (128, 128), "channel": (1, cols), "tensor": (rows, cols)}[shared]
    stored, s = typed(scales((-(-rows // by_rows), -(-cols // by_cols)), np.float32), kind)
    x = e4m3(codes) * s[np.arange(rows)[:, None] // by_rows, np.arange(cols)[None, :] // by_cols]
    return f"fp8.e4m3_{kind}_{shared}{'_part' if part else ''}/1", [codes.astype(np.uint8), stored], x.astype(np.float32)


def mlc():
    q, s = RNG.integers(0, 16, (N, K)), scales((N, K // 32))
    return "mlc.q4f16_1/1", [words_along(q, 4, 1), s], (q - 7).astype(np.float32) * np.repeat(s, 32, 1).astype(np.float32)


NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], dtype=np.float32)


def nf4():
    q, absmax = RNG.integers(0, 16, (N, K)), np.abs(scales((N, K // 64), np.float32))
    packed = (q[:, 0::2] << 4 | q[:, 1::2]).astype(np.uint8)
    return "bnb.nf4/1", [packed, absmax], NF4[q] * np.repeat(absmax, 64, 1)


def nf4_nested(offset="0.04193115234375"):
    """absmax of 8 bits, places in a map, with scales of their own; the offset as bitsandbytes writes it: JSON"""
    x_map, blocks = np.sort(RNG.uniform(-1, 1, 256)).astype(np.float32), N * K // 64
    q, codes, outer = RNG.integers(0, 16, (N, K)), RNG.integers(0, 256, blocks), RNG.uniform(0.01, 0.1, -(-blocks // 256)).astype(np.float32)
    absmax = x_map[codes] * np.repeat(outer, 256)[:blocks] + np.float32(offset)
    text = np.frombuffer(f'"nested_dtype": "float32", "nested_offset": {offset}'.encode()[-32:], dtype=np.uint8)
    packed = (q[:, 0::2] << 4 | q[:, 1::2]).astype(np.uint8)
    return ("bnb.nf4_nested/1", [packed, codes.astype(np.uint8), outer, x_map, text],
            NF4[q] * np.repeat(absmax.astype(np.float32).reshape(N, -1), 64, 1))


def compressed_packed(bits, size, half, zeros, act=False):
    group, middle = size or K, 2 ** (bits - 1)
    q = RNG.integers(-middle, middle, (N, K))
    zero = RNG.integers(-middle, middle, (N, K // group)) if zeros else np.zeros((N, K // group), dtype=np.int64)
    stored, s = typed(scales(zero.shape, np.float32), "f16" if half else "bf16")
    g_idx = np.arange(K) // group
    planes = [words_along(q + middle, bits, 1), stored]
    if zeros:
        per = 32 // bits
        planes.append(words_along(np.pad(zero + middle, ((0, -N % per), (0, 0))), bits, 0))
    if act:
        g_idx = RNG.permutation(g_idx)
        planes.append(g_idx.astype("<i4"))
    return (f"ct.int{bits}_{'f16' if half else 'bf16'}{'_act' if act else ''}_{of_group(size)}{'_zero' if zeros else ''}/1", planes,
            (q - zero[:, g_idx]).astype(np.float32) * s[:, g_idx])


def compressed_int8(half):
    q, s = RNG.integers(-128, 128, (N, K)), scales((N, 1), np.float32)
    s[0] = 1e-6  # a denormal half
    bits, s = typed(s, "f16" if half else "bf16")
    return f"ct.int8_{'f16' if half else 'bf16'}/1", [q.astype(np.int8), bits], q.astype(np.float32) * s


def decode(name, planes, shape):
    done = subprocess.run([DRIVER, name, *map(str, shape)], input=b"".join(p.tobytes() for p in planes), capture_output=True)
    return done.returncode, done.stderr.decode(), np.frombuffer(done.stdout, dtype="<f4")


def check(name, planes, want):
    """None, or what is wrong."""
    code, said, got = decode(name, planes, want.shape)
    if code != 0:
        return said
    want = want.astype(np.float32).reshape(-1)
    if got.size != want.size:
        return f"{got.size} floats instead of {want.size}"
    differ = (got.view(np.uint32) != want.view(np.uint32)) & ~(np.isnan(got) & np.isnan(want)) & ((got != 0) | (want != 0))
    return f"{differ.sum()} of {want.size} differ, first {got[differ][0]} instead of {want[differ][0]}" if differ.any() else None


def refusals():
    """Columns sorted without desc_act; a group that is not there; an offset that is no number."""
    name, planes, x = gptq(4, 64, False, True)
    yield name.replace("_act", ""), planes, x, "no desc_act"
    planes[3][17] = K // 64
    yield name, planes, x, "fewer groups"
    planes[3][17] = -1
    yield name, planes, x, "fewer groups"
    name, planes, x = compressed_packed(4, 64, True, True, True)
    planes[3][5] = K // 64
    yield name, planes, x, "fewer groups"
    for text in ('"nested_offset": null', "12345678901234567890123456789012", '"nested_offset": 1e', '"nested_offset": 1.5.2',
                 '"nested_offset": -', '"nested_offset": 1e+40'):
        name, planes, x = nf4_nested()
        planes[4] = np.frombuffer(text.encode().rjust(32)[-32:], dtype=np.uint8)
        yield name, planes, x, "no number"


def main():
    print(f"seed {SEED}")
    made = [gptq(bits, group, v2, False) for bits in (4, 8) for group in (32, 64, 128, None) for v2 in (False, True)]
    made += [gptq(bits, group, v2, True) for bits in (4, 8) for group in (32, 64, 128) for v2 in (False, True)]
    made += [awq(group) for group in (32, 64, 128)] + [mlc(), nf4()]
    made += [fp8(kind, shared, part) for kind in ("f32", "f16", "bf16") for shared in ("128x128", "channel", "tensor") for part in (False, True)]
    made += [nf4_nested(offset) for offset in ("0.04193115234375", "-1.25e-05", "3", "2.5E+1", "1.1754943508222875e-38")]
    made += [compressed_packed(bits, group, half, zeros) for bits in (4, 8) for group in (32, 64, 128, None)
             for half in (False, True) for zeros in (False, True)]
    made += [compressed_packed(bits, group, half, zeros, True) for bits in (4, 8) for group in (32, 64, 128) for half in (False, True)
             for zeros in (False, True)]
    made += [compressed_int8(half) for half in (False, True)]
    failed = 0
    for name, planes, want in made:
        wrong = check(name, planes, want)
        print(f"{name:<24} {want.size:>6} values  {wrong or 'equal'}")
        failed += wrong is not None
    for name, planes, want, words in refusals():
        code, said, _ = decode(name, planes, want.shape)
        refused = code != 0 and words in said
        print(f"{name:<24} {'refused: ' + said.strip() if refused else 'taken, but: ' + words}")
        failed += not refused
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
