/* test_bpe.c - the byte-level BPE plugin through its ABI table: ids of published vocabularies, merging against the
 * obvious algorithm, special tokens, any bytes, long runs, many threads, hostile metadata. How it cuts text into pieces is
 * tested in test_bpe_split.c. */
#include <check.h>
#include <stdbool.h>

#include "random.h"
#include "suite.h"
#include "tokenizer_fixture.h"

/* ---- published vocabularies --------------------------------------------------------------------------------- */

static const char *const vocabularies[] = {"gpt-2", "starcoder", "deepseek-coder"};

START_TEST(published_ids)
{
    check_published(vocabularies[_i], true);
}
END_TEST

START_TEST(published_round_trip)
{
    struct tenon_tokenizer_object *tok = open_shared("gpt-2"); /* has all 256 bytes */
    char bytes[512];
    if (tok == NULL)
        return;
    seed_random("published_round_trip");
    for (int round = 0; round < 2000; round++) {
        size_t size = next_random() % sizeof bytes;
        bool ascii = next_random() % 2;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)(next_random() % (ascii ? 128 : 256));
        check_round_trip(tok, bytes, size);
    }
    table->close(NULL, tok);
}
END_TEST

START_TEST(long_runs)
{
    struct tenon_tokenizer_object *tok = open_shared(vocabularies[_i]);
    if (tok != NULL)
        check_long_runs(tok, vocabularies[_i]);
    table->close(NULL, tok);
}
END_TEST

/* ---- merging ------------------------------------------------------------------------------------------------ */

struct toy_merge {
    int32_t left, right, id;
};

/* Join the leftmost pair of lowest rank until none is left: what merging means, in quadratic time. */
static size_t obvious_merge(const struct toy_merge *merges, uint32_t n_merges, int32_t *ids, size_t n)
{
    static uint8_t rank_of[TINY_MOST][TINY_MOST]; /* 255: they never merge */
    memset(rank_of, 255, sizeof rank_of);
    for (uint32_t rank = 0; rank < n_merges; rank++)
        rank_of[merges[rank].left][merges[rank].right] = (uint8_t)rank;
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank_of[ids[i]][ids[i + 1]] < rank_of[ids[best]][ids[best + 1]])
                best = i;
        if (n < 2 || rank_of[ids[best]][ids[best + 1]] == 255)
            return n;
        ids[best] = merges[rank_of[ids[best]][ids[best + 1]]].id;
        memmove(&ids[best + 1], &ids[best + 2], (n - best - 2) * sizeof *ids);
        n--;
    }
}

/* A random list of merges over these letters, in random order of rank, so that ranks do not follow how tokens are made. */
static uint32_t make_merges(const int32_t *letters, uint32_t n_letters, struct toy_merge *merges, char (*texts)[80],
                            char (*spellings)[80], uint32_t most)
{
    const uint32_t first = tiny_n;
    uint32_t n = 0;
    for (uint32_t tries = 0; tries < 200 && n < most; tries++) {
        int32_t side[2];
        bool known = false;
        for (int s = 0; s < 2; s++) {
            uint32_t pick = (uint32_t)(next_random() % (n + n_letters));
            side[s] = pick < n_letters ? letters[pick] : (int32_t)(first + pick - n_letters);
        }
        if (strlen(tiny_tokens[side[0]]) + strlen(tiny_tokens[side[1]]) > 30)
            continue;
        snprintf(texts[n], 80, "%s%s", tiny_tokens[side[0]], tiny_tokens[side[1]]);
        snprintf(spellings[n], 80, "%s %s", tiny_tokens[side[0]], tiny_tokens[side[1]]);
        for (uint32_t i = 0; i < n; i++)
            known |= strcmp(texts[i], texts[n]) == 0;
        if (known)
            continue;
        merges[n] = (struct toy_merge){side[0], side[1], (int32_t)tiny_n};
        tiny_token(texts[n++], 1);
    }
    return n;
}

static void shuffle(struct toy_merge *merges, const char **list, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)(next_random() % i);
        struct toy_merge m = merges[i - 1];
        const char *s = list[i - 1];
        merges[i - 1] = merges[j];
        merges[j] = m;
        list[i - 1] = list[j];
        list[j] = s;
    }
}

START_TEST(merges_as_the_obvious_algorithm)
{
    static const int32_t letters[] = {ID('a'), ID('b'), ID('c')};
    struct toy_merge merges[32];
    char texts[32][80], spellings[32][80], text[601];
    const char *list[32];
    seed_random("merges");
    for (int round = 0; round < 200; round++) {
        uint32_t n_merges;
        struct tenon_tokenizer_object *tok;
        tiny_bytes();
        n_merges = make_merges(letters, 3, merges, texts, spellings, 1 + (uint32_t)(next_random() % 32));
        for (uint32_t i = 0; i < n_merges; i++)
            list[i] = spellings[i];
        shuffle(merges, list, n_merges);
        tiny_meta("gpt-2", list, n_merges);
        tok = must_open();
        for (int i = 0; i < 20; i++) {
            int32_t want[600];
            size_t n = 1 + next_random() % (i % 4 == 0 ? 600 : i % 2 ? 300 : 40); /* merged in three ways */
            for (size_t at = 0; at < n; at++) {
                text[at] = (char)('a' + next_random() % 3);
                want[at] = ID(text[at]);
            }
            text[n] = '\0';
            check_ids(tok, text, 0, want, obvious_merge(merges, n_merges, want, n));
        }
        table->close(NULL, tok);
    }
}
END_TEST

START_TEST(ignore_merges_takes_whole_pieces)
{
    static const char *const merges[] = {"a b"};
    struct tenon_tokenizer_object *tok;
    tiny_bytes();
    tiny_token("ab", 1);
    tiny_token("abc", 1);
    tiny_token("bcd", 3);
    tiny_meta("llama-bpe", merges, 1);
    tok = must_open();
    CHECK_IDS(tok, "abc", 0, 257);
    CHECK_IDS(tok, "abca", 0, 256, ID('c'), ID('a'));
    CHECK_IDS(tok, "bcd", 0, ID('b'), ID('c'), ID('d')); /* text is no control token */
    table->close(NULL, tok);
    tiny_meta("gpt-2", merges, 1);
    tok = must_open();
    CHECK_IDS(tok, "abc", 0, 256, ID('c'));
    table->close(NULL, tok);
}
END_TEST

/* ---- special tokens, decoding ------------------------------------------------------------------------------- */

START_TEST(special_tokens)
{
    struct tenon_tokenizer_object *tok;
    struct tenon_str text;
    uint32_t attributes;
    tiny_bytes();
    tiny_token("<|im_end|>", 3); /* 256 */
    tiny_token("<u>", 4);        /* 257 */
    tiny_token("<u>>", 4);       /* 258 */
    tiny_token("<u>!!", 3);      /* 259 */
    tiny_token("\xe2\x82\xac", 4); /* 260 */
    tiny_token("<pad>", 5);      /* 261 */
    tiny_meta("gpt-2", NULL, 0);
    test_meta_number(&meta, KEY "eos_token_id", ID('!'));
    test_meta_number(&meta, KEY "bos_token_id", UINT32_MAX);
    tok = must_open();
    CHECK_IDS(tok, "<u>", 0, 257);
    CHECK_IDS(tok, "a<u>>b<u>", 0, ID('a'), 258, ID('b'), 257);
    CHECK_IDS(tok, "<u>!!", 0, 257, ID('!'), ID('!'));
    CHECK_IDS(tok, "<u>!!", TENON_ENCODE_SPECIAL, 259);
    CHECK_IDS(tok, "<u>!", TENON_ENCODE_SPECIAL, 257, ID('!'));
    CHECK_IDS(tok, "<|im_end|><<|im_end|>", TENON_ENCODE_SPECIAL, 256, ID('<'), 256);
    CHECK_IDS(tok, "<|im_end|", TENON_ENCODE_SPECIAL, ID('<'), ID('|'), ID('i'), ID('m'), ID('_'), ID('e'), ID('n'),
              ID('d'), ID('|'));
    CHECK_IDS(tok, "\xe2\x82\xac", 0, 260);
    ck_assert_int_eq(table->piece(tok, 256, &text, &attributes), 0);
    ck_assert_uint_eq(attributes, TENON_TOKEN_CONTROL | TENON_TOKEN_END);
    ck_assert_int_eq(table->piece(tok, ID('!'), &text, &attributes), 0);
    ck_assert_uint_eq(attributes, TENON_TOKEN_END);
    ck_assert_int_eq(table->piece(tok, 257, &text, &attributes), 0);
    ck_assert_uint_eq(attributes, TENON_TOKEN_USER_DEFINED);
    ck_assert_int_eq(table->piece(tok, 261, &text, &attributes), 0);
    ck_assert_uint_eq(attributes, TENON_TOKEN_UNUSED);
    ck_assert_int_eq(table->piece(tok, 262, &text, &attributes), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(table->piece(tok, -1, &text, &attributes), TENON_E_OUT_OF_RANGE);
    table->close(NULL, tok);
}
END_TEST

START_TEST(decoding)
{
    static const int32_t ids[] = {ID('a'), 256, 257, 258};
    struct tenon_tokenizer_object *tok;
    size_t size;
    char *text, buf[4] = "....";
    uint64_t n, state = 0;
    tiny_bytes();
    tiny_token("<s>", 3);
    tiny_token("\xc4\xa0y", 4);         /* user-defined: its own text, though it looks spelled */
    tiny_token("\xc4\xa0\xe2\x82\xac", 1); /* one character outside the map: its own text */
    tiny_meta("gpt-2", NULL, 0);
    tok = must_open();
    text = decode(tok, ids, 4, 0, &size);
    ck_assert_uint_eq(size, 1 + 3 + 5);
    ck_assert_int_eq(memcmp(text, "a\xc4\xa0y\xc4\xa0\xe2\x82\xac", size), 0);
    free(text);
    text = decode(tok, ids, 4, TENON_DECODE_SPECIAL, &size);
    ck_assert_uint_eq(size, 1 + 3 + 3 + 5);
    free(text);
    ck_assert_int_eq(table->decode(tok, &state, 257, 0, buf, 2, &n, NULL), 0); /* cut, but the size told */
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(memcmp(buf, "\xc4\xa0..", 4), 0);
    ck_assert_int_eq(table->decode(tok, &state, 259, 0, buf, 2, &n, NULL), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(table->decode(tok, &state, -1, 0, buf, 2, &n, NULL), TENON_E_OUT_OF_RANGE);
    table->close(NULL, tok);
}
END_TEST

START_TEST(qwen_composes)
{
    static const char *const splits[] = {"qwen2", "qwen35", "gpt-2"};
    struct tenon_tokenizer_object *tok;
    size_t size;
    tiny_bytes();
    tiny_token("e\xcc\x81", 4);
    tiny_meta(splits[_i], NULL, 0);
    tok = must_open();
    for (int i = 0; i < 2; i++) { /* a letter with a mark; bytes that are no text beside it, and a token as it was given */
        const char *text = i == 0 ? "ae\xcc\x80" : "\xff" "a\xcc\x80\xcc" "e\xcc\x81";
        const char *want = _i == 2 ? text : i == 0 ? "a\xc3\xa8" : "\xff\xc3\xa0\xcc" "e\xcc\x81";
        uint64_t n;
        int32_t *ids = encode(tok, text, strlen(text), 0, &n);
        char *back = decode(tok, ids, n, 0, &size);
        ck_assert_uint_eq(size, strlen(want));
        ck_assert_mem_eq(back, want, size);
        free(back);
        free(ids);
    }
    table->close(NULL, tok);
}
END_TEST

START_TEST(small_capacity)
{
    int32_t ids[2] = {-1, -1};
    uint64_t n;
    struct tenon_tokenizer_object *tok;
    tiny_bytes();
    tiny_meta("gpt-2", NULL, 0);
    tok = must_open();
    ck_assert_int_eq(table->encode(tok, "abc", 3, 0, ids, 1, &n, NULL), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(ids[0], ID('a'));
    ck_assert_int_eq(ids[1], -1);
    ck_assert_int_eq(table->encode(tok, NULL, 0, 0, NULL, 0, &n, NULL), 0);
    ck_assert_uint_eq(n, 0);
    table->close(NULL, tok);
}
END_TEST

START_TEST(many_threads)
{
    static const char *const merges[] = {"a b", "b c", "ab c"};
    struct tenon_tokenizer_object *tok;
    char text[20000];
    seed_random("many_threads");
    tiny_bytes();
    tiny_token("ab", 1);
    tiny_token("bc", 1);
    tiny_token("abc", 1);
    tiny_meta("smollm", merges, 3);
    tok = must_open();
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "abcabcabc 1"[next_random() % 11];
    check_threads(tok, text, sizeof text);
    table->close(NULL, tok);
}
END_TEST

START_TEST(info)
{
    struct tenon_tokenizer_info i = {.struct_size = sizeof i};
    struct tenon_tokenizer_object *tok;
    tiny_bytes();
    tiny_meta("llama-bpe", NULL, 0);
    test_meta_number(&meta, KEY "bos_token_id", 3);
    tok = must_open();
    ck_assert_int_eq(table->info(tok, &i), 0);
    ck_assert_uint_eq(i.vocab_size, BYTES);
    ck_assert_int_eq(i.bos, 3);
    ck_assert_int_eq(i.eos, -1);
    ck_assert_uint_eq(i.add_bos, 1);
    ck_assert_uint_eq(i.add_eos, 0);
    table->close(NULL, tok);
}
END_TEST

/* ---- hostile metadata --------------------------------------------------------------------------------------- */

START_TEST(hostile_metadata)
{
    static const char *const merges[] = {"a b"}, *const unknown[] = {"a b", "a zz"}, *const makes[] = {"b a"};
    static const char *const words[] = {"a"};
    static const int32_t bad_types[BYTES + 3] = {7};
    static char longest[2000];
    tiny_bytes();
    tiny_token("ab", 1);
    refused(TENON_E_INVALID_ARGUMENT, "gpt2"); /* no metadata at all */
    tiny_meta("gpt-2", merges, 1);
    table->close(NULL, must_open());
    test_meta_string(&meta, KEY "model", "llama");
    ck_assert_int_eq(table->match(NULL, test_meta_table(&meta)), 0);
    refused(TENON_E_INVALID_ARGUMENT, "gpt2");
    test_meta_number(&meta, KEY "model", 1);
    refused(TENON_E_INVALID_ARGUMENT, "gpt2");
    tiny_meta("no-such-split", merges, 1);
    refused(TENON_E_UNIMPLEMENTED, "no-such-split");
    refused(TENON_E_UNIMPLEMENTED, "gpt-2, ");
    test_meta_number(&meta, KEY "pre", 1);
    refused(TENON_E_INVALID_ARGUMENT, "pre is not a string");
    tiny_meta("gpt-2", unknown, 2);
    refused(TENON_E_INVALID_ARGUMENT, "merges[1] \"a zz\" ends with what is no token");
    tiny_meta("gpt-2", makes, 1);
    refused(TENON_E_INVALID_ARGUMENT, "makes what is no token");
    tiny_meta("gpt-2", words, 1);
    refused(TENON_E_INVALID_ARGUMENT, "is not two tokens");
    test_meta_number(&meta, KEY "merges", 1);
    refused(TENON_E_INVALID_ARGUMENT, "merges is not an array of strings");
    tiny_meta("gpt-2", merges, 1);
    test_meta_strings(&meta, KEY "tokens", tiny_tokens, 0);
    refused(TENON_E_INVALID_ARGUMENT, "tokens is empty");
    test_meta_texts(&meta, KEY "tokens", strlen(KEY "tokens"), 1)->size = 0;
    meta.entries[2].count = UINT64_MAX / 8;
    refused(TENON_E_OUT_OF_RANGE, "tokens has");
    test_meta_string(&meta, KEY "tokens", "a");
    refused(TENON_E_INVALID_ARGUMENT, "tokens is not an array of strings");
    tiny_meta("gpt-2", merges, 1);
    test_meta_array(&meta, KEY "token_type", TENON_META_I32, tiny_types, tiny_n - 1);
    refused(TENON_E_INVALID_ARGUMENT, "token_type has 256 entries");
    test_meta_array(&meta, KEY "token_type", TENON_META_I32, bad_types, tiny_n);
    refused(TENON_E_INVALID_ARGUMENT, "token_type of token 0");
    tiny_meta("gpt-2", merges, 1);
    test_meta_number(&meta, KEY "eos_token_id", tiny_n);
    refused(TENON_E_INVALID_ARGUMENT, "eos_token_id is 257");
    test_meta_string(&meta, KEY "eos_token_id", "1");
    refused(TENON_E_INVALID_ARGUMENT, "eos_token_id is not a number");
    test_meta_number(&meta, KEY "eos_token_id", 1);
    tiny_token("ab", 5); /* fillers may repeat a token */
    tiny_meta("gpt-2", merges, 1);
    table->close(NULL, must_open());
    tiny_token("ab", 1);
    tiny_meta("gpt-2", merges, 1);
    refused(TENON_E_INVALID_ARGUMENT, "token 258 is spelled like token 256");
    memset(longest, 'x', sizeof longest - 1);
    tiny_n--;
    tiny_token(longest, 4);
    tiny_meta("gpt-2", merges, 1);
    refused(TENON_E_INVALID_ARGUMENT, "special token 258 has 1999 bytes");
}
END_TEST

START_TEST(too_many_tokens)
{
    static const char *many[1 << 20];
    const uint32_t n = sizeof many / sizeof many[0];
    for (uint32_t i = 0; i < n; i++)
        many[i] = "";
    test_meta_string(&meta, KEY "model", "gpt2");
    test_meta_string(&meta, KEY "pre", "gpt-2");
    test_meta_strings(&meta, KEY "merges", NULL, 0);
    test_meta_strings(&meta, KEY "tokens", many, n);
    refused(TENON_E_OUT_OF_RANGE, "1048576 tokens are too many");
    test_meta_strings(&meta, KEY "tokens", many, n - 1);
    table->close(NULL, must_open());
}
END_TEST

/* Tokens spelled as text: spaces are U+2581, and what is no token is bytes. */
START_TEST(raw_text)
{
    static const char *const tokens[] = {"a", "b", "\xe2\x96\x81", "ab", "\xe2\x96\x81\141b", "\n", "<0xC3>", "<0xA4>", "\n\n",
                                         "a\n", "<unk>"};
    static const char *const merges[] = {"a b", "\xe2\x96\x81 ab", "\n \n", "a \n"};
    static const int32_t types[] = {1, 1, 1, 1, 1, 1, 6, 6, 1, 1, 2};
    struct tenon_tokenizer_object *tok;
    test_meta_string(&meta, KEY "model", "gpt2");
    test_meta_string(&meta, KEY "pre", "gemma4");
    test_meta_strings(&meta, KEY "tokens", tokens, 11);
    test_meta_array(&meta, KEY "token_type", TENON_META_I32, types, 11);
    test_meta_strings(&meta, KEY "merges", merges, 4);
    tok = must_open();
    CHECK_IDS(tok, "ab ab", 0, 3, 4);
    CHECK_IDS(tok, "a\n\nb", 0, 0, 8, 1); /* the split keeps a and the line ends apart */
    CHECK_IDS(tok, "b\xc3\xa4\xc3" "b", 0, 1, 6, 7, 6, 1);
    check_round_trip(tok, "ab ab\n\n \xc3\xa4\xa4\xc3", 12);
    table->close(NULL, tok);
    test_meta_number(&meta, KEY "unknown_token_id", 10);
    tok = must_open();
    CHECK_IDS(tok, "bxyb", 0, 1, 10, 1);
    table->close(NULL, tok);
    test_meta_string(&meta, KEY "pre", "whitespace");
    tok = must_open();
    CHECK_IDS(tok, "ab\nab", 0, 3, 5, 3);
    table->close(NULL, tok);
}
END_TEST

/* The same with a token for every byte, where lines can be cut further: against the obvious algorithm, with merges across
 * spaces, with what has no token, and, in every third vocabulary, with bytes that merge. */
START_TEST(raw_merges_as_the_obvious_algorithm)
{
    static const int32_t letters[] = {256, 257, 258, 0x7a}; /* a, b, U+2581, the byte z */
    char bytes[256][8], texts[24][80], spellings[24][80], text[201];
    struct toy_merge merges[24];
    const char *list[24];
    seed_random("raw merges");
    for (int round = 0; round < 60; round++) {
        struct tenon_tokenizer_object *tok;
        uint32_t n;
        tiny_n = 0;
        for (int i = 0; i < 256; i++) {
            snprintf(bytes[i], sizeof bytes[i], "<0x%02X>", i);
            tiny_token(bytes[i], 6);
        }
        tiny_token("a", 1);
        tiny_token("b", 1);
        tiny_token("\xe2\x96\x81", 1);
        n = make_merges(letters, round % 3 == 0 ? 4 : 3, merges, texts, spellings, 24);
        for (uint32_t i = 0; i < n; i++)
            list[i] = spellings[i];
        shuffle(merges, list, n);
        tiny_meta("gemma4", list, n);
        tok = must_open();
        for (int i = 0; i < 30; i++) {
            int32_t want[200];
            size_t size = 1 + next_random() % 200;
            for (size_t at = 0; at < size; at++) {
                text[at] = "ab zb a"[next_random() % 7];
                want[at] = text[at] == ' ' ? 258 : text[at] == 'z' ? 0x7a : 256 + (text[at] - 'a');
            }
            text[size] = '\0';
            check_ids(tok, text, 0, want, obvious_merge(merges, n, want, size));
        }
        table->close(NULL, tok);
    }
}
END_TEST

/* A model without `pre` opens, and empty tokens and missing bytes hurt nobody. */
START_TEST(odd_metadata)
{
    static const char *const tokens[] = {"a", "", "", "b", "ab"}, *const merges[] = {"a b"};
    struct tenon_tokenizer_object *tok;
    test_meta_string(&meta, KEY "model", "gpt2");
    test_meta_strings(&meta, KEY "tokens", tokens, 5);
    test_meta_strings(&meta, KEY "merges", merges, 1);
    tok = must_open();
    CHECK_IDS(tok, "ab", 0, 4);
    CHECK_IDS(tok, "azb", 0, 4); /* no token for z: left out, as Hugging Face does */
    CHECK_IDS(tok, "bza", 0, 3, 0);
    table->close(NULL, tok);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bpe");
    TCase *tests = tcase_create("bpe");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 250);
    tcase_add_loop_test(tests, published_ids, 0, 3);
    tcase_add_test(tests, published_round_trip);
    tcase_add_loop_test(tests, long_runs, 0, 3);
    tcase_add_test(tests, merges_as_the_obvious_algorithm);
    tcase_add_test(tests, ignore_merges_takes_whole_pieces);
    tcase_add_test(tests, special_tokens);
    tcase_add_test(tests, decoding);
    tcase_add_loop_test(tests, qwen_composes, 0, 3);
    tcase_add_test(tests, small_capacity);
    tcase_add_test(tests, many_threads);
    tcase_add_test(tests, info);
    tcase_add_test(tests, hostile_metadata);
    tcase_add_test(tests, too_many_tokens);
    tcase_add_test(tests, odd_metadata);
    tcase_add_test(tests, raw_text);
    tcase_add_test(tests, raw_merges_as_the_obvious_algorithm);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
