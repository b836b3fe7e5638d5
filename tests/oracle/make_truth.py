#!/usr/bin/env python3
"""Makes the float32 truth that `tenon eval` is measured against, from a model's GGUF.

    pip install -r requirements.txt
    make_truth.py smollm2|gemma3|qwen2.5 MODEL.gguf        (tools/common.sh fetches the files)

transformers dequantises the file to float32 and runs texts/*.txt through it; the result
goes to NAME-ids.json, NAME-logprobs.bin and NAME-stats.json beside this script (README.md
says what they hold). Further runs round the inputs of every linear layer to 8 bits, as a
fast CPU backend must: their distance from the truth is the cost that an engine is allowed.
Runs on one thread in three to ten minutes; logits are made for some positions at a time,
since all of them for a vocabulary of 262,144 would not fit in memory.
"""
import argparse
import contextlib
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
ROUNDINGS = {  # elements per block, dtype of a block's scale
    "blocks_of_32": (32, torch.float32),
    "blocks_of_32_f16_scales": (32, torch.float16),
    "blocks_of_16": (16, torch.float32),
    "blocks_of_16_f16_scales": (16, torch.float16),
}
CODE, PROSE = ("code-c", "code-python"), ("english", "german-french", "russian", "chinese-japanese")
JOINED = {**{name: (name,) for name in CODE}, "prose": PROSE}  # prose is longer than Gemma's window
MODELS = {  # top: ids kept per position; eval_top: the K of the simulated `tenon eval`
    "smollm2": {"top": 64, "bos": [], "texts": {name: (name,) for name in sorted(CODE + PROSE)}, "chat": True},
    "gemma3": {"top": 32, "bos": [2], "texts": JOINED, "chat": False},
    "qwen2.5": {"top": 32, "bos": [], "texts": JOINED, "chat": False},
}
SLICE = 1 << 25  # most logits at a time
PROMPTS = ["What is the capital of France?", "What is 2+2?"]


# ---- the model ------------------------------------------------------------------------------


def load(name, path):
    where, file_name = os.path.split(os.path.abspath(path))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        where, gguf_file=file_name, dtype=torch.float32, attn_implementation="eager").eval()
    check_dequantised(name, model, path)
    return model


def check_dequantised(name, model, path):
    """The float32 weights must be the file's own, llama's K rows reordered by half-split RoPE,
    Gemma's norms without the 1 that GGUF adds to them."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    layer = model.model.layers[0]
    heads, dim = model.config.num_key_value_heads, layer.self_attn.head_dim

    def file_weight(weight):
        return gguf.dequantize(tensors[weight].data, tensors[weight].tensor_type)

    k, norm = file_weight("blk.0.attn_k.weight"), file_weight("blk.0.ffn_norm.weight")
    head = "output.weight" if "output.weight" in tensors else "token_embd.weight"
    if name == "smollm2":
        k = k.reshape(heads, dim // 2, 2, -1).swapaxes(1, 2).reshape(k.shape)
    pre_ffn = layer.pre_feedforward_layernorm if name == "gemma3" else layer.post_attention_layernorm
    for what, want, got in (("ffn_down", file_weight("blk.0.ffn_down.weight"), layer.mlp.down_proj),
                            ("attn_k", k, layer.self_attn.k_proj), (head, file_weight(head), model.lm_head),
                            ("ffn_norm", norm - 1 if name == "gemma3" else norm, pre_ffn),
                            ("token_embd", file_weight("token_embd.weight"), model.model.embed_tokens)):
        if not numpy.array_equal(want, got.weight.detach().numpy()):
            raise SystemExit("%s: transformers loaded other weights than the file has" % what)


def round_to_int8(x, block, scale_dtype):
    """x as 8-bit integers times one scale per `block` elements of its last axis."""
    blocks = x.reshape(*x.shape[:-1], -1, block)
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    q = torch.round(blocks / torch.where(scale > 0, scale, 1))
    return (q * scale.to(scale_dtype).float()).reshape(x.shape)


@contextlib.contextmanager
def rounded(model, rounding):
    """Within: the inputs of all linear layers are rounded, unless rounding is None."""
    hooks = [module.register_forward_pre_hook(lambda _, args: (round_to_int8(args[0], *rounding),))
             for module in model.modules() if rounding and isinstance(module, torch.nn.Linear)]
    yield
    for hook in hooks:
        hook.remove()


def run(model, ids):
    """Yields (first, truth, {rounding: its own}): float64 log-probabilities [some positions, vocab]."""
    per_slice = max(1, SLICE // model.config.vocab_size)
    with torch.inference_mode():
        hidden = {}
        for name, rounding in (("", None), *ROUNDINGS.items()):
            with rounded(model, rounding):
                hidden[name] = model.model(torch.tensor([ids])).last_hidden_state
        for at in range(0, len(ids), per_slice):
            rows = {}
            for name, rounding in (("", None), *ROUNDINGS.items()):
                with rounded(model, rounding):
                    logits = model.lm_head(hidden[name][:, at:at + per_slice])[0]
                rows[name] = torch.log_softmax(logits.double(), dim=-1)
            yield at, rows.pop(""), rows


# ---- what is kept of it ---------------------------------------------------------------------


def rest_of(logprobs, ids):
    """log of the sum of all probabilities but those of ids."""
    return logprobs.scatter(1, ids, -torch.inf).logsumexp(-1)


class Truth:
    """The truth of one text."""

    def __init__(self, ids, top):
        self.ids, self.top, self.rows, self.mass, self.next = ids, top, [], [], []

    def add(self, at, logprobs):
        top, ids = logprobs.topk(self.top, dim=-1)
        self.rows += zip(ids.tolist(), top.tolist(), rest_of(logprobs, ids).tolist())
        self.mass += top.exp().sum(-1).tolist()
        following = torch.tensor(self.ids[at + 1:at + 1 + len(logprobs)])
        self.next += logprobs[:len(following)].gather(1, following[:, None])[:, 0].tolist()

    def perplexity(self):
        return torch.exp(-torch.tensor(self.next, dtype=torch.float64).mean()).item()


class Distance:
    """How far one text with rounded activations is from its truth."""

    def __init__(self, top):
        self.top, self.full, self.truncated, self.agree, self.evaluated = top, [], [], [], []

    def add(self, truth, other):
        top, ids = truth.topk(self.top, dim=-1)
        rest_p, rest_q = rest_of(truth, ids), rest_of(other, ids)
        # kl.py's measure from whole distributions, so without its bounds
        kls = (top.exp() * (top - other.gather(1, ids))).sum(-1) + rest_p.exp() * (rest_p - rest_q)
        self.full += (truth.exp() * (truth - other)).sum(-1).tolist()
        self.truncated += kls.tolist()
        self.agree += (truth.argmax(-1) == other.argmax(-1)).tolist()
        top, ids = other.topk(4 * self.top, dim=-1)  # as `tenon eval --top` prints it
        self.evaluated += [[list(e) for e in zip(i, p)] for i, p in zip(ids.tolist(), top.tolist())]


def mean(values):
    return sum(values) / len(values)


def cost(distances, ids, top, truth_file):
    """The stats of one rounding over all texts. distances: {text: Distance}."""
    by_tool = kl.compare(*kl.read_truth(truth_file), ids, {n: d.evaluated for n, d in distances.items()})
    full = [x for d in distances.values() for x in d.full]
    truncated = mean([x for d in distances.values() for x in d.truncated])
    if not 0.999 * truncated < by_tool["mean_kl"] < 1.01 * truncated:
        raise SystemExit("kl.py says %g where %g is right" % (by_tool["mean_kl"], truncated))
    return {
        "mean_kl_full": mean(full),
        "mean_kl_truncated": truncated,
        "mean_kl_by_kl_py": by_tool["mean_kl"],
        "eval_top": 4 * top,
        "missing_ids": by_tool["missing_ids"],
        "max_kl_full": max(full),
        "mean_kl_truncated_per_text": {n: mean(d.truncated) for n, d in distances.items()},
        "top1_agreement": mean([x for d in distances.values() for x in d.agree]),
    }


# ---- chat answers ---------------------------------------------------------------------------


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


# ---- files ----------------------------------------------------------------------------------


def encoder(name, path):
    """A function from text to ids."""
    if name == "smollm2":  # AutoTokenizer gets it wrong, see README.md
        tok = tokenizer_oracle.build(path)
        return lambda text: tok.encode(text, add_special_tokens=False).ids
    where, file_name = os.path.split(os.path.abspath(path))
    tok = transformers.AutoTokenizer.from_pretrained(where, gguf_file=file_name)
    return lambda text: tok(text, add_special_tokens=False).input_ids


def read_text(name):
    with open(os.path.join(HERE, "texts", name + ".txt"), encoding="utf-8", newline="") as f:
        return f.read()


def read_ids(name, path):
    encode, want = encoder(name, path), MODELS[name]
    return {text: want["bos"] + encode("".join(map(read_text, parts))) for text, parts in want["texts"].items()}


def write_json(path, value, **how):
    with open(path, "w") as f:
        json.dump(value, f, **how)
        f.write("\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model", choices=MODELS)
    p.add_argument("gguf")
    p.add_argument("--out", default=HERE, metavar="DIR")
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    top, out = MODELS[args.model]["top"], os.path.join(args.out, args.model)

    model, ids = load(args.model, args.gguf), read_ids(args.model, args.gguf)
    truth = {text: Truth(ids[text], top) for text in ids}
    distances = {rounding: {text: Distance(top) for text in ids} for rounding in ROUNDINGS}
    for text in ids:
        for at, logprobs, others in run(model, ids[text]):
            truth[text].add(at, logprobs)
            for rounding, other in others.items():
                distances[rounding][text].add(logprobs, other)

    write_json(out + "-ids.json", ids, separators=(",", ":"))
    kl.write_truth(out + "-logprobs.bin", model.config.vocab_size, top, {text: t.rows for text, t in truth.items()})
    stats = {
        "gguf": {"name": os.path.basename(args.gguf), "bytes": os.path.getsize(args.gguf)},
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
                     "numpy": numpy.__version__},
        "positions": {text: len(t.ids) for text, t in truth.items()},
        "top": top,
        "mean_mass_of_top": mean([m for t in truth.values() for m in t.mass]),
        "perplexity": {text: t.perplexity() for text, t in truth.items()},
        "activations_int8": {rounding: cost(d, ids, top, out + "-logprobs.bin") for rounding, d in distances.items()},
    }
    if MODELS[args.model]["chat"]:
        stats["chat"] = chat_answers(model, args.gguf)
    write_json(out + "-stats.json", stats, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
