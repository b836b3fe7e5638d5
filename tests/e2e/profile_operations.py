#!/usr/bin/env python3
"""profile_operations.py TENON: what `tenon bench --profile` counts for experts, latent attention, scans, attention without a cache and ops by
element, on the tiny checkpoints of oracle/families: as many operations as the formulas have by config.json, and no more bytes than there are. Standard
library only."""
import json
import os
import subprocess
import sys
import unittest

import families

TENON = os.path.abspath(sys.argv[1])
TOKENS = 8
PAIRS = TOKENS * (TOKENS + 1) // 2  # of a token and a key that it sees


def profile_of(name):
    """({node: entry with operations and bytes of one run}, config)"""
    path = os.path.join(families.ORACLE, name)
    args = [TENON, "bench", path, "--prompt", str(TOKENS), "--gen", "0", "--repeat", "1", "--kv", "f32", "--profile", "--json"]
    done = subprocess.run(args, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    nodes = {}
    for e in json.loads(done.stdout)["profile"]:
        nodes[e["node"]] = {key: e[key] / e["runs"] for key in ("operations", "float_operations", "bytes")}
    with open(os.path.join(path, "config.json"), encoding="utf-8") as f:
        return nodes, json.load(f)


class Operations(unittest.TestCase):
    def assert_counts(self, e, operations):
        self.assertEqual(e["operations"], operations)
        self.assertEqual(e["float_operations"], operations)  # weights are float32

    def assert_experts(self, e, width, hidden, experts, used):
        """Products by the router, and by the three matrices of each expert that a token takes."""
        self.assert_counts(e, 2 * TOKENS * width * (experts + 3 * hidden * used))
        router, one = 4 * experts * width, 4 * 3 * width * hidden
        taken = (e["bytes"] - router) / one  # on average of the layers
        self.assertGreaterEqual(taken, used)
        self.assertLessEqual(taken, experts)

    def test_experts(self):
        nodes, c = profile_of("mixtral")
        self.assert_experts(nodes["experts.ffn"], c["hidden_size"], c["intermediate_size"], c["num_local_experts"], c["num_experts_per_tok"])
        nodes, c = profile_of("deepseek_v2")
        self.assert_experts(nodes["experts.ffn"], c["hidden_size"], c["moe_intermediate_size"], c["n_routed_experts"], c["num_experts_per_tok"])

    def test_latent_attention(self):
        """Absorbed: by both halves of kv_b once for each token, and all heads with the cached rows of rank + rope, of which rank are summed."""
        nodes, c = profile_of("deepseek_v2")
        heads, rank, rope = c["num_attention_heads"], c["kv_lora_rank"], c["qk_rope_head_dim"]
        halves = rank * (c["qk_nope_head_dim"] + c["v_head_dim"])
        self.assert_counts(nodes["layer.attn"], 2 * heads * (TOKENS * halves + PAIRS * (rank + rope + rank)))
        self.assertEqual(nodes["layer.attn"]["bytes"], 4 * (heads * halves + TOKENS * (rank + rope)))

    def test_ssm_scan(self):
        """A cell of the state decays, is added a product and is summed into y: five."""
        nodes, c = profile_of("mamba2")
        cells = c["num_heads"] * c["head_dim"] * c["state_size"]
        self.assert_counts(nodes["recurrent.ssm"], 5 * TOKENS * cells)
        self.assertEqual(nodes["recurrent.ssm"]["bytes"], 4 * cells)
        channels, taps = c["num_heads"] * c["head_dim"] + 2 * c["n_groups"] * c["state_size"], c["conv_kernel"]
        self.assert_counts(nodes["recurrent.ssm_conv"], 2 * TOKENS * channels * taps)
        self.assertEqual(nodes["recurrent.ssm_conv"]["bytes"], 4 * channels * (taps + taps - 1))

    def test_delta_rule(self):
        """A cell is asked what it knows of the key, too: seven."""
        nodes, c = profile_of("qwen3_next")
        cells = c["linear_num_value_heads"] * c["linear_value_head_dim"] * c["linear_key_head_dim"]
        self.assert_counts(nodes["recurrent_experts.delta"], 7 * TOKENS * cells)
        self.assertEqual(nodes["recurrent_experts.delta"]["bytes"], 4 * cells)

    def test_attention(self):
        nodes, c = profile_of("mixtral")
        heads, head = c["num_attention_heads"], c["hidden_size"] // c["num_attention_heads"]
        self.assertEqual(nodes["experts.attn"]["bytes"], 4 * TOKENS * c["num_key_value_heads"] * 2 * head)
        self.assert_counts(nodes["experts.attn"], 4 * PAIRS * heads * head)
        nodes, c = profile_of("bert")  # sees what is behind a token, too
        self.assert_counts(nodes["layer.attn"], 4 * TOKENS * TOKENS * c["hidden_size"])

    def test_by_element(self):
        """Operations for each number of the larger side, the rows that a table is asked for, and nothing where numbers only move."""
        nodes, c = profile_of("qwen3_next")
        width, head = TOKENS * c["hidden_size"], TOKENS * c["head_dim"]
        self.assert_counts(nodes["experts.layer_out"], width)
        self.assert_counts(nodes["experts.ffn_norm"], 5 * width)
        self.assert_counts(nodes["experts.attn_q_norm"], 4 * head * c["num_attention_heads"])
        self.assert_counts(nodes["experts.attn_gated"], head * c["num_attention_heads"])
        self.assertEqual(nodes["embed.embed"]["bytes"], 4 * width)
        self.assert_counts(nodes["recurrent_experts.delta_qkv"], 0)
        nodes, c = profile_of("bert")
        self.assert_counts(nodes["layer.ffn_sum_norm"], 7 * TOKENS * c["hidden_size"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
