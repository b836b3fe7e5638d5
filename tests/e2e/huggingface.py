#!/usr/bin/env python3
"""huggingface.py TENON: one tiny random model written twice, as a Hugging Face directory (single, sharded, at odd offsets) and as a GGUF
file, must have the same logits: bit for bit where both hold the same rows (qwen2), and within 2e-6 of the largest where GGUF
permutes rows of q and k, so that sums go in another order (llama); llama's directory equals itself with no permutation to the bit, too,
when GGUF's rows are those that the host would permute. Also what `run` says of folders that are no models. Needs numpy, gguf."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import gguf
    import numpy as np
except ImportError as e:
    print("SKIPPED: %s: pip install -r tests/requirements.txt" % e)
    sys.exit(77)

TENON = os.path.abspath(sys.argv[1])
EMBED, FFN, HEADS, KV, LAYERS, VOCAB, CONTEXT = 64, 96, 4, 2, 2, 50, 64
HEAD = EMBED // HEADS
IDS = json.dumps({"a": [1, 7, 3, 49, 0, 12, 7, 7, 30, 5], "b": [2, 2, 9]})


def weights(bias):
    rng = np.random.default_rng(1)
    def some(*shape):
        return (rng.standard_normal(shape) * 0.2).astype(np.float16)
    w = {"model.embed_tokens.weight": some(VOCAB, EMBED), "model.norm.weight": some(EMBED) + np.float16(1), "lm_head.weight": some(VOCAB, EMBED)}
    for i in range(LAYERS):
        p = "model.layers.%d." % i
        for name, out in (("q", EMBED), ("k", KV * HEAD), ("v", KV * HEAD)):
            w[p + "self_attn.%s_proj.weight" % name] = some(out, EMBED)
            if bias:
                w[p + "self_attn.%s_proj.bias" % name] = some(out)
        w[p + "self_attn.o_proj.weight"] = some(EMBED, EMBED)
        w[p + "mlp.gate_proj.weight"], w[p + "mlp.up_proj.weight"] = some(FFN, EMBED), some(FFN, EMBED)
        w[p + "mlp.down_proj.weight"] = some(EMBED, FFN)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            w[p + norm + ".weight"] = some(EMBED) + np.float16(1)
    return w


def config(kind, **more):
    return {"model_type": kind, "hidden_size": EMBED, "intermediate_size": FFN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": KV, "vocab_size": VOCAB, "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "hidden_act": "silu", "tie_word_embeddings": False, "initializer_range": float("nan"), **more}


def write_safetensors(path, tensors, pad=0):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F16", "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + pad)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values()))


def write_directory(folder, tensors, cfg, shards=1, pad=0):
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(cfg, f)
    names = list(tensors)
    if shards == 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), tensors, pad)
        return folder
    where = {}
    for s in range(shards):
        file = "model-%05d-of-%05d.safetensors" % (s + 1, shards)
        write_safetensors(os.path.join(folder, file), {n: tensors[n] for n in names[s::shards]}, pad)
        where.update({n: file for n in names[s::shards]})
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {}, "weight_map": where}, f)
    return folder


GGUF_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "self_attn.q_proj": "attn_q",
              "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate",
              "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def permuted(t, heads):
    """Half-split rows of each head to interleaved ones."""
    return np.ascontiguousarray(t.reshape(heads, 2, t.shape[0] // heads // 2, *t.shape[1:]).swapaxes(1, 2).reshape(t.shape))


def write_gguf(path, tensors, arch):
    w = gguf.GGUFWriter(path, arch)
    w.add_block_count(LAYERS), w.add_context_length(CONTEXT), w.add_embedding_length(EMBED), w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS), w.add_head_count_kv(KV), w.add_vocab_size(VOCAB), w.add_rope_freq_base(10000.0)
    w.add_key_value(arch + ".attention.layer_norm_rms_epsilon", 1e-5, gguf.GGUFValueType.FLOAT64) # float32 would be another number
    for name, t in tensors.items():
        stem, end = name.rsplit(".", 1)
        layer = "blk.%s." % stem.split(".")[2] if stem.startswith("model.layers.") else ""
        stem = stem.split(".", 3)[3] if layer else stem
        if arch == "llama" and stem in ("self_attn.q_proj", "self_attn.k_proj"):
            t = permuted(t, HEADS if "q_proj" in stem else KV)
        w.add_tensor(layer + GGUF_NAMES[stem] + "." + end, t)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    return path


class HuggingFace(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="tenon-hf-")
        self.addCleanup(place.cleanup)
        self.root = place.name

    def path(self, name):
        return os.path.join(self.root, name)

    def logits(self, path):
        run = subprocess.run([TENON, "eval", path, "--ids", "-", "--kv", "f32", "--logits"], input=IDS, capture_output=True, text=True,
                             timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)
        return [row for rows in json.loads(run.stdout).values() for row in rows]

    def refused(self, *args):
        run = subprocess.run([TENON, *args], capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 1, run.stdout)
        return run.stderr

    def test_bit_for_bit(self):
        w = weights(bias=True)
        want = self.logits(write_gguf(self.path("m.gguf"), w, "qwen2"))
        self.assertEqual(len(want), 13)
        for name, how in (("single", {}), ("sharded", {"shards": 3}), ("odd", {"pad": 3})):
            folder = write_directory(self.path(name), w, config("qwen2"), **how)
            self.assertEqual(self.logits(folder), want, name)
        self.assertEqual(self.logits(os.path.join(self.path("single"), "model.safetensors")), want)
        self.assertEqual(self.logits(os.path.join(self.path("sharded"), "model-00002-of-00003.safetensors")), want)

    def test_permuted(self):
        w = weights(bias=False)
        want = np.array(self.logits(write_gguf(self.path("m.gguf"), w, "llama")))
        got = np.array(self.logits(write_directory(self.path("m"), w, config("llama"))))
        error = np.abs(got - want).max() / np.abs(want).max()
        self.assertLess(error, 2e-6) # 8e-7 was measured
        wrong = {n: permuted(t, HEADS if "q_proj" in n else KV) if "q_proj" in n or "k_proj" in n else t for n, t in w.items()}
        self.assertGreater(np.abs(np.array(self.logits(write_directory(self.path("wrong"), wrong, config("llama")))) - want).max(), 0.01)

    def test_tied(self):
        w = weights(bias=False)
        lonely = {n: t for n, t in w.items() if n != "lm_head.weight"}
        folder = write_directory(self.path("tied"), lonely, config("llama", tie_word_embeddings=True))
        same = {**w, "lm_head.weight": w["model.embed_tokens.weight"]}
        self.assertEqual(self.logits(folder), self.logits(write_directory(self.path("same"), same, config("llama"))))
        both = self.logits(write_directory(self.path("both"), w, config("llama", tie_word_embeddings=True)))
        self.assertEqual(both, self.logits(write_directory(self.path("output"), w, config("llama")))) # the file's own output counts
        folder = write_directory(self.path("untied"), lonely, config("llama"))
        self.assertIn("1 tensors missing: lm_head.weight", self.refused("run", folder, "x"))

    def test_show(self):
        w = weights(bias=False)
        w["model.layers.0.extra"] = w.pop("model.layers.1.mlp.up_proj.weight")
        got = json.loads(subprocess.run([TENON, "show", write_directory(self.path("m"), w, config("llama")), "--json"], capture_output=True,
                                        text=True, timeout=60, check=True).stdout)
        self.assertEqual((got["format"], got["architecture"], got["layers"], got["vocab"]), ("safetensors", "llama", LAYERS, VOCAB))
        self.assertEqual(got["unused"], ["model.layers.0.extra"])
        self.assertEqual(got["missing"], ["model.layers.1.mlp.up_proj.weight"])
        self.assertEqual({(r["role"], r["encoding"], r["weights"]) for r in got["roles"]},
                         {("embed", "f16/1", 1), ("matmul", "f16/1", 14), ("norm", "f16/1", 5)})

    def test_unused_is_told(self):
        """Once, on stderr, by whatever loads it; but not what old directories have besides."""
        w = weights(bias=False)
        for i in range(LAYERS):
            w["model.layers.%d.self_attn.rotary_emb.inv_freq" % i] = np.ones(3, np.float16)
        w["model.layers.0.none"] = np.ones((0, 4), np.float16)
        quiet = write_directory(self.path("quiet"), w, config("llama"))
        loud = write_directory(self.path("loud"), {**w, **{"model.extra.%d" % i: np.ones(3, np.float16) for i in range(5)}}, config("llama"))
        for args in (("eval", "--ids", "-"), ("bench", "--prompt", "4", "--gen", "2", "--repeat", "1")):
            said = [subprocess.run([TENON, args[0], folder, *args[1:]], input='{"a": [1, 2]}', capture_output=True, text=True) for folder in (quiet, loud)]
            self.assertEqual([d.returncode for d in said], [0, 0], said[1].stderr)
            self.assertNotIn("used by nothing", said[0].stderr)
            self.assertEqual(said[1].stderr.count("5 tensors of the file are used by nothing: model.extra.0, model.extra.1, model.extra.2 and others"), 1)

    def test_no_models(self):
        w = weights(bias=False)
        folder = write_directory(self.path("m"), w, config("acme"))
        said = self.refused("run", folder, "x")
        for word in ("acme", "bert", "llama", "starcoder2", "share/tenon/examples/architecture"): # known ones to the last
            self.assertIn(word, said)
        os.rename(os.path.join(folder, "config.json"), os.path.join(folder, "adapter_config.json"))
        self.assertIn("LoRA", self.refused("run", folder, "x"))
        os.remove(os.path.join(folder, "adapter_config.json"))
        self.assertIn("config.json", self.refused("run", folder, "x"))
        self.assertIn("config.json", self.refused("run", os.path.join(folder, "model.safetensors"), "x"))
        os.rename(os.path.join(folder, "model.safetensors"), os.path.join(folder, "pytorch_model.bin"))
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(config("llama"), f)
        self.assertIn("pytorch_model", self.refused("run", folder, "x"))

    def test_several_tokens_before_a_text(self):
        folder = write_directory(self.path("m"), weights(bias=False), config("llama"))
        for names, says in ((["u"], 0), (["u", "a"], 1)):
            single = [{"SpecialToken": {"id": name, "type_id": 0}} for name in names] + [{"Sequence": {"id": "A", "type_id": 0}}]
            with open(os.path.join(folder, "tokenizer.json"), "w") as f:
                json.dump({"model": {"type": "WordLevel", "vocab": {"a": 0, "u": 1}, "unk_token": "u"}, "post_processor": {
                    "type": "TemplateProcessing", "single": single, "special_tokens": {t: {"id": t, "ids": [0], "tokens": [t]} for t in names}}}, f)
            said = subprocess.run([TENON, "tokenize", folder, "a"], capture_output=True, text=True, check=True).stderr
            self.assertEqual(said.count("several tokens on one side of a text: only the nearest one is added"), says)

    def test_added_tokens_told(self):
        folder = write_directory(self.path("m"), weights(bias=False), config("llama"))
        whole = {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True},
                 "decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "bc"}, "content": "x"}]},
                 "model": {"type": "WordLevel", "vocab": {"a": 0, "u": 1}, "unk_token": "u"}}
        gap, lost, across = "has the id 5 in tokenizer.json, which counts; Hugging Face's library gives it 3", "becomes nothing", "replaces in the text of all tokens"
        for ids, content, pattern, says in ((2, 3), "x", "b", ()), ((2, 5), "x", "b", (gap,)), ((2, 3), " ", "b", (lost,)), ((2, 3), "x", "bc", (across,)):
            tokens = [{"id": ids[0], "content": "a", "normalized": True}, {"id": ids[0], "content": "b", "normalized": True}, {"id": ids[1], "content": content, "normalized": True}]
            whole["decoder"]["decoders"][1]["pattern"]["String"] = pattern
            with open(os.path.join(folder, "tokenizer.json"), "w") as f:
                json.dump(dict(whole, added_tokens=tokens), f)
            said = subprocess.run([TENON, "tokenize", folder, "a"], capture_output=True, text=True, check=True).stderr
            self.assertEqual([text in said for text in (gap, lost, across)], [text in says for text in (gap, lost, across)], said)

    def test_rope_is_an_object(self):
        w = weights(bias=False)
        for key in "rope_scaling", "rope_parameters":
            for i, value in enumerate((2147483648, "yarn", True, [1.0, 2.0])):
                folder = write_directory(self.path("%s-%d" % (key, i)), w, config("llama", **{key: value}))
                self.assertIn("key config.%s: must be an object or null, is " % key, self.refused("run", folder, "x"))
        plain = write_directory(self.path("plain"), w, config("llama"))
        self.assertEqual(self.logits(write_directory(self.path("null"), w, config("llama", rope_scaling=None))), self.logits(plain))

    def test_wrong_kinds(self):
        w = weights(bias=False)
        kinds = (({"a": 1}, "an object"), ([1, "x"], "a list of unlike elements"), ([64], "a list"), ("64", "a string"), (True, "true"))
        for key, want in ("hidden_size", "an integer"), ("rms_norm_eps", "a number"), ("hidden_act", "a string"), ("text_config", "an object or null"):
            for i, (value, what) in enumerate(kinds):
                if (key, what) in (("hidden_act", "a string"), ("text_config", "an object")):
                    continue
                folder = write_directory(self.path("%s-%d" % (key, i)), w, config("llama", **{key: value}))
                self.assertIn("key config.%s: must be %s, is %s" % (key, want, what), self.refused("run", folder, "x"))

    def test_no_numbers(self):
        """NaN and Infinity, which Python writes, are not as if the key were missing."""
        w = weights(bias=False)
        for key in "head_dim", "num_key_value_heads", "rope_parameters", "rope_theta", "rms_norm_eps", "tie_word_embeddings", "model_type":
            for what in "nan", "inf", "-inf":
                said = self.refused("run", write_directory(self.path(key + what), w, config("llama", **{key: float(what)})), "x")
                self.assertRegex(said, r"key config\.%s(: must be .*, is| is) %s" % (key, what))

    def test_names_of_architectures(self):
        w = weights(bias=False)
        for key, value, is_ in (("model_type", 5, "a string, is 5"), ("model_type", ["llama"], "a string, is a list"),
                                ("model_type", {}, "a string, is an object"), ("model_type", True, "a string, is true"),
                                ("architectures", "LlamaForCausalLM", "a list of strings, is a string"),
                                ("architectures", [1], "a list of strings, is a list"), ("architectures", {}, "a list of strings, is an object")):
            said = self.refused("run", write_directory(self.path(key + is_), w, config("llama", **{key: value})), "x")
            self.assertIn("key config.%s: must be %s" % (key, is_), said)
        for gone in ({"model_type": None}, {"model_type": None, "architectures": None}):
            said = self.refused("run", write_directory(self.path(str(gone)), w, config("llama", **gone)), "x")
            self.assertIn("key config.model_type is missing", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
