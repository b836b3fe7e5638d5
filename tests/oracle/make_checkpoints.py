#!/usr/bin/env python3
"""make_checkpoints.py PACKAGE FOLDER: weights as the package itself quantises and packs them, and as it decodes them, to
FOLDER/checkpoints-PACKAGE.safetensors, which tests/e2e/checkpoint_packages.py compares. PACKAGE is auto_gptq (0.7.1, with
transformers 4.46: it is no longer kept), autoawq (0.2.9) or compressed-tensors (0.19.0); all run on the CPU. Each weight's tensors are named
ENCODING|N, its planes in the order of the encoding, and ENCODING|decoded. (Sorted columns of compressed-tensors, weight_g_idx, are of
older versions of it.)"""
import os
import sys

import torch
from safetensors.torch import save_file

ROWS, COLS = 32, 256


def gptq_weight(bits, group, sorted_columns, sym):
    """The GPTQ algorithm itself, by activations whose channels differ in size, so that sorting does something."""
    from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear
    from auto_gptq.quantization.gptq import GPTQ
    layer = torch.nn.Linear(COLS, ROWS, bias=False)
    run = GPTQ(layer)
    run.quantizer.configure(bits, perchannel=True, sym=sym)
    x = torch.randn(512, COLS) * torch.rand(COLS)
    run.add_batch(x, layer(x))
    scale, zero, g_idx = run.fasterquant(group_size=group, actorder=sorted_columns)
    packed = QuantLinear(bits, group, COLS, ROWS, False, weight_dtype=torch.float16)
    packed.pack(layer.half(), scale.half(), zero.half(), g_idx)
    planes = [packed.qweight, packed.qzeros, packed.scales, packed.g_idx]
    packed.scales = packed.scales.float()  # it multiplies in the scales' precision
    decoded = packed(torch.eye(COLS)).T
    name = f"gptq.int{bits}{'_act' if sorted_columns else ''}_{f'g{group}' if group > 0 else 'channel'}/1"
    return name, planes, decoded


def auto_gptq():
    torch.cuda.synchronize = lambda: None  # it waits for a GPU wherever it runs
    for bits in (4, 8):
        yield gptq_weight(bits, 64, False, True)
        yield gptq_weight(bits, 32, True, False)
    yield gptq_weight(4, 128, True, True)
    yield gptq_weight(4, -1, False, False)


def autoawq():
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.quantize.quantizer import AwqQuantizer
    from awq.utils.packing_utils import dequantize_gemm
    for group in (32, 64, 128):
        layer = torch.nn.Linear(COLS, ROWS, bias=False)
        run = AwqQuantizer.__new__(AwqQuantizer)  # of all it is told only these count here
        run.w_bit, run.group_size, run.zero_point = 4, group, True
        layer.weight.data, scales, zeros = run.pseudo_quantize_tensor(layer.weight.data)
        packed = WQLinear_GEMM.from_linear(layer, 4, group, scales=scales.t().contiguous(), zeros=zeros.t().contiguous())
        decoded = dequantize_gemm(packed.qweight, packed.qzeros, packed.scales.float(), 4, group).T
        yield f"awq.int4_g{group}/1", [packed.qweight, packed.qzeros, packed.scales], decoded


def compressed(kind, scheme, shape, dtype, name, names):
    """A scheme's weights: scales and zero points by its own observer, packed and unpacked by its compressor."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams
    args = QuantizationArgs(**scheme)
    weight = torch.randn(shape).to(dtype)
    by = weight.float()
    if args.strategy == "group":
        by = by.unflatten(1, (-1, args.group_size))
        least, most = by.amin(-1), by.amax(-1)
    elif args.strategy == "block":
        rows, cols = args.block_structure
        tall, wide = -(-shape[0] // rows), -(-shape[1] // cols)
        blocks = [[by[i * rows:(i + 1) * rows, j * cols:(j + 1) * cols] for j in range(wide)] for i in range(tall)]
        least, most = (torch.tensor([[f(b).item() for b in line] for line in blocks]) for f in (torch.amin, torch.amax))
    else:
        least, most = (by.amin(), by.amax()) if args.strategy == "tensor" else (by.amin(1, True), by.amax(1, True))
    scale, zero = calculate_qparams(least, most, args)
    state = {"weight": weight, "weight_scale": scale.to(dtype).reshape(-1) if args.strategy == "tensor" else scale.to(dtype)}
    if not args.symmetric:
        state["weight_zero_point"] = zero
    plan = QuantizationScheme(targets=["Linear"], weights=args)
    compressor = BaseCompressor.get_value_from_registry(kind)
    packed = compressor.compress(state, plan)
    wide = {k: v.float() if k == "weight_scale" else v for k, v in packed.items()}  # it multiplies in the scales' precision
    decoded = compressor.decompress(wide, plan)["weight"]
    return name, [packed[k] for k in names], decoded.float()


def compressed_tensors():
    packed = ["weight_packed", "weight_scale"]
    for bits, group, symmetric, dtype in ((4, 128, True, torch.bfloat16), (4, 32, False, torch.bfloat16), (4, 64, True, torch.float16),
                                          (8, 64, False, torch.float16), (8, None, True, torch.bfloat16)):
        scheme = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group" if group else "channel"}
        if group:
            scheme["group_size"] = group
        name = (f"ct.int{bits}_{'f16' if dtype == torch.float16 else 'bf16'}_{f'g{group}' if group else 'channel'}"
                f"{'' if symmetric else '_zero'}/1")
        yield compressed("pack-quantized", scheme, (ROWS, COLS), dtype, name, packed + ([] if symmetric else ["weight_zero_point"]))
    yield compressed("int-quantized", {"num_bits": 8, "type": "int", "strategy": "channel"}, (ROWS, COLS), torch.bfloat16, "ct.int8_bf16/1",
                     ["weight", "weight_scale"])
    for strategy, more, name in (("block", {"block_structure": [128, 128]}, "128x128_part"), ("channel", {}, "channel"),
                                 ("tensor", {}, "tensor")):
        shape = (136, 160) if strategy == "block" else (ROWS, COLS)
        yield compressed("float-quantized", {"num_bits": 8, "type": "float", "strategy": strategy, **more}, shape, torch.bfloat16,
                         f"fp8.e4m3_bf16_{name}/1", ["weight", "weight_scale"])


def main():
    package = sys.argv[1]
    torch.manual_seed(7)
    out = {}
    for name, planes, decoded in {"auto_gptq": auto_gptq, "autoawq": autoawq, "compressed-tensors": compressed_tensors}[package]():
        out.update({f"{name}|{i}": p.detach().contiguous() for i, p in enumerate(planes)})
        out[f"{name}|decoded"] = decoded.detach().float().contiguous()
    save_file(out, os.path.join(sys.argv[2], f"checkpoints-{package}.safetensors"))


if __name__ == "__main__":
    main()
