/* test_llama.c - the llama family: every key checked, its graph as a golden text, and a tiny model run whole and token by token.
 * What is tested of <tenon/decoder.h> here holds for all families that stand on it. */
#include <check.h>
#include <math.h>

#include "core/graph/memplan.h"
#include "family_test.h"
#include "suite.h"

/* SmolLM2-135M-Instruct's keys. */
static const struct meta_key smollm2[FAMILY_KEYS] = {
    {.name = "general.architecture", .type = TENON_META_STRING, .s = "llama"},
    {.name = "general.name", .type = TENON_META_STRING, .s = "Smollm2 135M"},
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 30},
    {.name = "llama.context_length", .type = TENON_META_U32, .i = 8192},
    {.name = "llama.embedding_length", .type = TENON_META_U32, .i = 576},
    {.name = "llama.feed_forward_length", .type = TENON_META_U32, .i = 1536},
    {.name = "llama.attention.head_count", .type = TENON_META_U32, .i = 9},
    {.name = "llama.attention.head_count_kv", .type = TENON_META_U32, .i = 3},
    {.name = "llama.attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = 1e-5},
    {.name = "llama.rope.freq_base", .type = TENON_META_F32, .f = 100000},
    {.name = "llama.rope.dimension_count", .type = TENON_META_U32, .i = 64},
    {.name = "llama.vocab_size", .type = TENON_META_U32, .i = 49152},
    {.name = "tokenizer.ggml.tokens", .type = TENON_META_STRING, .array = 49152},
};

START_TEST(info)
{
    struct tenon_model_config *config = NULL;
    struct tenon_model_info i;
    ck_assert_int_eq(family_config(smollm2, NULL, &config, &i, NULL), 0);
    ck_assert_str_eq(i.architecture, "llama");
    ck_assert_str_eq(i.name, "Smollm2 135M");
    ck_assert_uint_eq(i.n_layers, 30);
    ck_assert_uint_eq(i.vocab_size, 49152);
    ck_assert_uint_eq(i.n_kv_heads, 3);
    family()->config_free(NULL, config);
    family()->config_free(NULL, NULL);
}
END_TEST

START_TEST(match)
{
    struct meta_key keys[FAMILY_KEYS];
    struct tenon_meta meta = meta_of(memcpy(keys, smollm2, sizeof keys));
    ck_assert_int_eq(family()->match(NULL, &meta), 100);
    keys[0].s = "llama4";
    ck_assert_int_eq(family()->match(NULL, &meta), 0);
    keys[0].name = "";
    ck_assert_int_eq(family()->match(NULL, &meta), 0);
}
END_TEST

/* Each must be refused, and the message name the key. */
static const struct meta_key bad[] = {
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 0},
    {.name = "llama.block_count", .type = TENON_META_I64, .i = -1},
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 1 << 30},
    {.name = "llama.block_count", .type = TENON_META_STRING, .s = "30"},
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 30, .array = 2},
    {.name = "llama.block_count", .type = TENON_META_F32, .f = 30.5},
    {.name = "llama.embedding_length", .type = TENON_META_U32, .i = 0},
    {.name = "llama.feed_forward_length", .type = TENON_META_I64, .i = INT64_MAX},
    {.name = "llama.attention.head_count", .type = TENON_META_U32, .i = 0},
    {.name = "llama.attention.head_count_kv", .type = TENON_META_U32, .i = 2},
    {.name = "llama.attention.head_count_kv", .type = TENON_META_U32, .i = 18},
    {.name = "llama.attention.key_length", .type = TENON_META_U32, .i = 5000},
    {.name = "llama.attention.value_length", .type = TENON_META_U32, .i = 0},
    {.name = "llama.attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = -1},
    {.name = "llama.attention.layer_norm_rms_epsilon", .type = TENON_META_F64, .f = NAN},
    {.name = "llama.rope.freq_base", .type = TENON_META_F32, .f = 0},
    {.name = "llama.rope.freq_base", .type = TENON_META_F64, .f = INFINITY},
    {.name = "llama.rope.dimension_count", .type = TENON_META_U32, .i = 63},
    {.name = "llama.rope.dimension_count", .type = TENON_META_U32, .i = 66},
    {.name = "llama.rope.scaling.type", .type = TENON_META_STRING, .s = "longrope"},
    {.name = "llama.vocab_size", .type = TENON_META_U32, .i = 49151},
    {.name = "llama.context_length", .type = TENON_META_U32, .i = 0},
    {.name = "llama.expert_count", .type = TENON_META_U32, .i = 5000},
};

START_TEST(bad_keys)
{
    family_refuses(smollm2, &bad[_i]);
}
END_TEST

START_TEST(missing_keys)
{
    static const char *const needed[] = {"llama.block_count", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
                                         "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon", NULL};
    family_needs(smollm2, needed);
}
END_TEST

START_TEST(golden)
{
    struct family f;
    family_load(&f, smollm2, NULL, NULL);
    family_golden(&f, "llama-smollm2");
    family_golden_lowered(&f, "llama-smollm2");
    family_unload(&f);
}
END_TEST

START_TEST(golden_with_options)
{
    static const char *const extra[] = {"output", "rope_factors", "layers.{i}.attn_q_bias", "layers.{i}.attn_k_bias",
                                        "layers.{i}.attn_v_bias", "layers.{i}.attn_output_bias", NULL};
    static const struct meta_key changes[] = {
        {.name = "llama.attention.key_length", .type = TENON_META_U32, .i = 80},
        {.name = "llama.attention.value_length", .type = TENON_META_U32, .i = 48},
        {.name = "llama.rope.scaling.type", .type = TENON_META_STRING, .s = "yarn"},
        {.name = "llama.rope.scaling.factor", .type = TENON_META_F32, .f = 4},
        {.name = "llama.rope.scaling.original_context_length", .type = TENON_META_U32, .i = 2048},
        {.name = NULL},
    };
    struct family f;
    family_load(&f, smollm2, changes, extra);
    family_golden(&f, "llama-options");
    family_unload(&f);
}
END_TEST

START_TEST(plan_reuses_memory)
{
    struct family f;
    struct tn_plan plan;
    const struct tenon_dims bounds = {sizeof bounds, 0, {0, 512, 4, 4, 4096, 256}};
    family_load(&f, smollm2, NULL, NULL);
    ck_assert_int_eq(tn_plan_init(&plan, &f.graph->graph, &bounds, 4, NULL), 0);
    ck_assert_uint_eq(plan.n_moves, 0); /* a layer writes its result where the next one reads it */
    ck_assert_uint_eq(plan.bytes, 4 * 512 * 576 * 4);
    ck_assert_uint_gt(plan.naive, 4 * plan.bytes);
    tn_plan_finish(&plan);
    family_unload(&f);
}
END_TEST

START_TEST(whole_or_token_by_token)
{
    family_whole_or_token_by_token("llama", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("llama");
    TCase *c = tcase_create("llama");
    tcase_add_test(c, info);
    tcase_add_test(c, match);
    tcase_add_loop_test(c, bad_keys, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(c, missing_keys);
    tcase_add_test(c, golden);
    tcase_add_test(c, golden_with_options);
    tcase_add_test(c, plan_reuses_memory);
    tcase_add_test(c, whole_or_token_by_token);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
