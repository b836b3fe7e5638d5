/* test_gemma3.c - the Gemma 3 family: its own keys, its two kinds of layers in turns, its graph as a golden text, a tiny model run
 * whole and token by token past its window. */
#include <check.h>
#include <math.h>

#include "family_test.h"
#include "suite.h"

/* Gemma 3 270M's keys. */
static const struct meta_key gemma[FAMILY_KEYS] = {
    {.name = "general.architecture", .type = TENON_META_STRING, .s = "gemma3"},
    {.name = "general.name", .type = TENON_META_STRING, .s = "Gemma 3 270m"},
    {.name = "gemma3.block_count", .type = TENON_META_U32, .i = 18},
    {.name = "gemma3.context_length", .type = TENON_META_U32, .i = 32768},
    {.name = "gemma3.embedding_length", .type = TENON_META_U32, .i = 640},
    {.name = "gemma3.feed_forward_length", .type = TENON_META_U32, .i = 2048},
    {.name = "gemma3.attention.head_count", .type = TENON_META_U32, .i = 4},
    {.name = "gemma3.attention.head_count_kv", .type = TENON_META_U32, .i = 1},
    {.name = "gemma3.attention.key_length", .type = TENON_META_U32, .i = 256},
    {.name = "gemma3.attention.value_length", .type = TENON_META_U32, .i = 256},
    {.name = "gemma3.attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = 1e-6},
    {.name = "gemma3.attention.sliding_window", .type = TENON_META_U32, .i = 512},
    {.name = "gemma3.rope.freq_base", .type = TENON_META_F32, .f = 1e6},
    {.name = "tokenizer.ggml.tokens", .type = TENON_META_STRING, .array = 262144},
};

START_TEST(bad_keys)
{
    static const struct meta_key bad[] = {
        {.name = "gemma3.attention.sliding_window", .type = TENON_META_U32, .i = 0},
        {.name = "gemma3.attention.sliding_window", .type = TENON_META_I64, .i = -512},
        {.name = "gemma3.attention.sliding_window", .type = TENON_META_STRING, .s = "512"},
        {.name = "gemma3.attention.sliding_window_pattern", .type = TENON_META_U32, .i = 0},
        {.name = "gemma3.attention.sliding_window_pattern", .type = TENON_META_BOOL, .array = 18},
        {.name = "gemma3.attention.scale", .type = TENON_META_F64, .f = NAN},
        {.name = "gemma3.rope.freq_base_swa", .type = TENON_META_F32, .f = 0},
        {.name = "gemma3.final_logit_softcapping", .type = TENON_META_F32, .f = 30},
        {.name = "gemma3.attention.head_count_kv", .type = TENON_META_U32, .i = 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        family_refuses(gemma, &bad[i]);
}
END_TEST

START_TEST(missing_keys)
{
    static const char *const needed[] = {"gemma3.block_count", "gemma3.context_length", "gemma3.embedding_length",
                                         "gemma3.feed_forward_length", "gemma3.attention.head_count",
                                         "gemma3.attention.layer_norm_rms_epsilon", "gemma3.attention.sliding_window", NULL};
    static const struct meta_key vocab[] = {{.name = "gemma3.vocab_size", .type = TENON_META_U32, .i = 262144}, {.name = NULL}};
    struct meta_key keys[FAMILY_KEYS]; /* the tokens may miss when the size is given */
    family_keys(gemma, vocab, keys);
    family_needs(keys, needed);
}
END_TEST

START_TEST(golden)
{
    struct family f;
    family_load(&f, gemma, NULL, NULL);
    family_golden(&f, "gemma3-270m");
    family_unload(&f);
}
END_TEST

/* The larger models' stretched global positions, and the 27B's scale; fewer layers than a turn have no global one. */
START_TEST(golden_with_options)
{
    static const struct meta_key large[] = {
        {.name = "gemma3.block_count", .type = TENON_META_U32, .i = 62},
        {.name = "gemma3.rope.scaling.type", .type = TENON_META_STRING, .s = "linear"},
        {.name = "gemma3.rope.scaling.factor", .type = TENON_META_F32, .f = 8},
        {.name = NULL},
    };
    static const struct meta_key few[] = {{.name = "gemma3.block_count", .type = TENON_META_U32, .i = 5}, {.name = NULL}};
    struct family f;
    family_load(&f, gemma, large, NULL);
    family_golden(&f, "gemma3-large");
    family_unload(&f);
    family_load(&f, gemma, few, NULL);
    ck_assert_uint_eq(f.graph->graph.n_blocks, 3);
    family_unload(&f);
}
END_TEST

START_TEST(whole_or_token_by_token)
{
    static const struct meta_key changes[] = {
        {.name = "gemma3.attention.sliding_window", .type = TENON_META_U32, .i = 3},
        {.name = "gemma3.attention.sliding_window_pattern", .type = TENON_META_U32, .i = 2},
        {.name = NULL},
    };
    family_whole_or_token_by_token("gemma3", changes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemma3");
    TCase *c = tcase_create("gemma3");
    tcase_add_test(c, bad_keys);
    tcase_add_test(c, missing_keys);
    tcase_add_test(c, golden);
    tcase_add_test(c, golden_with_options);
    tcase_add_test(c, whole_or_token_by_token);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
