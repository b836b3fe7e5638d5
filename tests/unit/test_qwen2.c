/* test_qwen2.c - the Qwen2 family: what it adds to <tenon/decoder.h>, its graph as a golden text, a tiny model run whole and token
 * by token. */
#include <check.h>

#include "family_test.h"
#include "suite.h"

/* Qwen2.5-Coder-0.5B-Instruct's keys. */
static const struct meta_key coder[FAMILY_KEYS] = {
    {.name = "general.architecture", .type = TENON_META_STRING, .s = "qwen2"},
    {.name = "general.name", .type = TENON_META_STRING, .s = "Qwen2.5 Coder 0.5B Instruct AWQ"},
    {.name = "qwen2.block_count", .type = TENON_META_U32, .i = 24},
    {.name = "qwen2.context_length", .type = TENON_META_U32, .i = 32768},
    {.name = "qwen2.embedding_length", .type = TENON_META_U32, .i = 896},
    {.name = "qwen2.feed_forward_length", .type = TENON_META_U32, .i = 4864},
    {.name = "qwen2.attention.head_count", .type = TENON_META_U32, .i = 14},
    {.name = "qwen2.attention.head_count_kv", .type = TENON_META_U32, .i = 2},
    {.name = "qwen2.rope.freq_base", .type = TENON_META_F32, .f = 1e6},
    {.name = "qwen2.attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = 1e-6},
    {.name = "tokenizer.ggml.tokens", .type = TENON_META_STRING, .array = 151936},
};

START_TEST(info)
{
    struct tenon_model_config *config = NULL;
    struct tenon_model_info i;
    ck_assert_int_eq(family_config(coder, NULL, &config, &i, NULL), 0);
    ck_assert_str_eq(i.architecture, "qwen2");
    ck_assert_uint_eq(i.vocab_size, 151936);
    ck_assert_uint_eq(i.n_heads, 14);
    family()->config_free(NULL, config);
}
END_TEST

START_TEST(bad_keys)
{
    static const struct meta_key bad[] = {
        {.name = "qwen2.attention.head_count_kv", .type = TENON_META_U32, .i = 3},
        {.name = "qwen2.expert_count", .type = TENON_META_U32, .i = 60},
        {.name = "qwen2.block_count", .type = TENON_META_I64, .i = -24},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        family_refuses(coder, &bad[i]);
}
END_TEST

START_TEST(golden)
{
    static const char *const extra[] = {"output", NULL};
    struct family f;
    family_load(&f, coder, NULL, extra);
    family_golden(&f, "qwen2-coder");
    family_unload(&f);
}
END_TEST

START_TEST(whole_or_token_by_token)
{
    family_whole_or_token_by_token("qwen2", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qwen2");
    TCase *c = tcase_create("qwen2");
    tcase_add_test(c, info);
    tcase_add_test(c, bad_keys);
    tcase_add_test(c, golden);
    tcase_add_test(c, whole_or_token_by_token);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
