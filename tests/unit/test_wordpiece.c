/* test_wordpiece.c - WordPiece through its ABI table: ids of a published vocabulary, words as BERT makes them, the longest match,
 * any bytes, decoding, many threads, hostile metadata. */
#include <check.h>

#include "random.h"
#include "suite.h"
#include "tokenizer_fixture.h"

#define SPACE "\xe2\x96\x81"

/* Ids of the tokens below. */
enum { PAD, UNK, CLS, SEP, UN, AFF, ABLE, UNA, A, E, COMMA, SS, ZHONG, BARE, N_TOKENS };

static const char *texts[N_TOKENS] = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", SPACE "un", "aff", "able", SPACE "una", SPACE "a", SPACE "e", SPACE ",",
    SPACE "stra\xc3\x9f" "e", SPACE "\xe4\xb8\xad", SPACE,
};
static int32_t types[N_TOKENS] = {3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static struct tenon_tokenizer_object *open_small(void)
{
    test_meta_string(&meta, KEY "model", "bert");
    test_meta_strings(&meta, KEY "tokens", texts, N_TOKENS);
    test_meta_array(&meta, KEY "token_type", TENON_META_I32, types, N_TOKENS);
    test_meta_number(&meta, KEY "unknown_token_id", UNK);
    test_meta_number(&meta, KEY "cls_token_id", CLS);
    test_meta_number(&meta, KEY "seperator_token_id", SEP);
    test_meta_number(&meta, KEY "padding_token_id", PAD);
    return must_open();
}

START_TEST(published_ids)
{
    check_published("bert-bge", false); /* case and accents do not come back */
}
END_TEST

START_TEST(published_any_bytes)
{
    struct tenon_tokenizer_object *tok = open_shared("bert-bge");
    char bytes[2000];
    if (tok == NULL)
        return;
    check_long_runs(tok, "bert-bge");
    seed_random("published_any_bytes");
    for (int round = 0; round < 1000; round++) {
        uint64_t n;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)next_random();
        free(encode(tok, bytes, next_random() % sizeof bytes, 0, &n));
    }
    check_threads(tok, bytes, sizeof bytes);
    table->close(NULL, tok);
}
END_TEST

START_TEST(words)
{
    struct tenon_tokenizer_object *tok = open_small();
    CHECK_IDS(tok, "a e", 0, A, E);
    CHECK_IDS(tok, "  A\tE\r\n", 0, A, E);
    CHECK_IDS(tok, "\xc3\x80 \xc3\xa9 e\xcc\x81", 0, A, E, E); /* accents, composed and not */
    CHECK_IDS(tok, "a,,e", 0, A, COMMA, COMMA, E);
    CHECK_IDS(tok, "STRA\xe1\xba\x9e" "E", 0, SS);
    CHECK_IDS(tok, "a\xe4\xb8\xad" "e", 0, A, ZHONG, E); /* an ideograph stands alone */
    CHECK_IDS(tok, "un\x01\xe2\x80\x8b\xef\xbf\xbd\xff" "aable", 0, UNA, ABLE); /* what is not text goes */
    CHECK_IDS(tok, "a\xc2\xa0" "e\xe3\x80\x80" "a\xe2\x80\xa8" "e", 0, A, E, A, E);
    CHECK_IDS(tok, "\xcd\xbe" "a", 0, UNK, A); /* the Greek question mark becomes a semicolon: punctuation */
    table->close(NULL, tok);
}
END_TEST

START_TEST(longest_match)
{
    struct tenon_tokenizer_object *tok = open_small();
    char word[512];
    CHECK_IDS(tok, "unaffable", 0, UNK); /* "una" is longest, and nothing continues it */
    CHECK_IDS(tok, "unaff unable", 0, UNK, UNK);
    CHECK_IDS(tok, "aff", 0, UNK); /* only continues */
    CHECK_IDS(tok, "unaaff unaable", 0, UNA, AFF, UNA, ABLE);
    CHECK_IDS(tok, "[CLS]", 0, UNK, UNK, UNK);
    CHECK_IDS(tok, "[CLS] a[SEP]", TENON_ENCODE_SPECIAL, CLS, A, SEP);
    memset(word, 'a', sizeof word);
    word[101] = '\0';
    CHECK_IDS(tok, word, 0, UNK);
    table->close(NULL, tok);
    test_meta_number(&meta, KEY "unknown_token_id", -1);
    tok = must_open();
    CHECK_IDS(tok, "xyz a", 0, A);
    table->close(NULL, tok);
}
END_TEST

START_TEST(decoding)
{
    static const int32_t ids[] = {CLS, UNA, AFF, COMMA, A, SEP};
    struct tenon_tokenizer_object *tok = open_small();
    uint64_t state = 1, n;
    size_t size;
    char buf[4] = "....", *text = decode(tok, ids, 6, 0, &size);
    ck_assert_uint_eq(size, strlen("unaaff , a"));
    ck_assert_int_eq(memcmp(text, "unaaff , a", size), 0);
    free(text);
    text = decode(tok, ids, 6, TENON_DECODE_SPECIAL, &size);
    ck_assert_uint_eq(size, strlen("[CLS] unaaff , a [SEP]"));
    ck_assert_int_eq(memcmp(text, "[CLS] unaaff , a [SEP]", size), 0);
    free(text);
    ck_assert_int_eq(table->decode(tok, &state, UN, 0, buf, 2, &n, NULL), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(memcmp(buf, " u..", 4), 0);
    ck_assert_int_eq(table->decode(tok, &state, N_TOKENS, 0, buf, 2, &n, NULL), TENON_E_OUT_OF_RANGE);
    table->close(NULL, tok);
}
END_TEST

START_TEST(info)
{
    struct tenon_tokenizer_info i = {.struct_size = sizeof i};
    struct tenon_tokenizer_object *tok = open_small();
    ck_assert_int_eq(table->info(tok, &i), 0);
    ck_assert_int_eq(i.bos, CLS);
    ck_assert_int_eq(i.eos, SEP);
    ck_assert_int_eq(i.unk, UNK);
    ck_assert_uint_eq(i.add_bos, 1);
    ck_assert_uint_eq(i.add_eos, 1);
    table->close(NULL, tok);
}
END_TEST

START_TEST(hostile_metadata)
{
    static char longest[100000];
    struct tenon_tokenizer_object *tok;
    refused(TENON_E_INVALID_ARGUMENT, "bert");
    table->close(NULL, open_small());
    test_meta_number(&meta, KEY "cls_token_id", N_TOKENS);
    refused(TENON_E_INVALID_ARGUMENT, "cls_token_id is 14");
    test_meta_number(&meta, KEY "cls_token_id", CLS);
    test_meta_string(&meta, KEY "seperator_token_id", "x");
    refused(TENON_E_INVALID_ARGUMENT, "seperator_token_id is not a number");
    test_meta_number(&meta, KEY "seperator_token_id", SEP);
    texts[BARE] = texts[A];
    test_meta_strings(&meta, KEY "tokens", texts, N_TOKENS);
    refused(TENON_E_INVALID_ARGUMENT, "token 13 is spelled like token 8");
    memset(longest, 'x', sizeof longest - 1); /* longer than any word: no match, and no cost */
    texts[BARE] = longest;
    test_meta_strings(&meta, KEY "tokens", texts, N_TOKENS);
    tok = must_open();
    CHECK_IDS(tok, "a xxxxx e", 0, A, UNK, E);
    table->close(NULL, tok);
    types[BARE] = 4;
    refused(TENON_E_INVALID_ARGUMENT, "special token 13 has 99999 bytes");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wordpiece");
    TCase *tests = tcase_create("wordpiece");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 250);
    tcase_add_test(tests, published_ids);
    tcase_add_test(tests, published_any_bytes);
    tcase_add_test(tests, words);
    tcase_add_test(tests, longest_match);
    tcase_add_test(tests, decoding);
    tcase_add_test(tests, info);
    tcase_add_test(tests, hostile_metadata);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
