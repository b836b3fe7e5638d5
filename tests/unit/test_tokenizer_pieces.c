/* test_tokenizer_pieces.c - a tokenizer.model without a tokenizer.json: both kinds, what was added to it, and files made to harm.
 * What text becomes is held to SentencePiece by e2e/sentencepiece_model.py. */
#include <check.h>

#include "directory.h"
#include "random.h"
#include "suite.h"
#include "tokenizer_fixture.h"

static struct directory d;
static char model[4096];
static size_t size;

static void start(void)
{
    setup();
    memset(&d, 0, sizeof d);
    size = 0;
}

static void stop(void)
{
    directory_close(&d);
    teardown();
}

/* ---- a protocol buffer ------------------------------------------------------------------------------------------ */

static void put(const void *bytes, size_t n)
{
    ck_assert_uint_le(size + n, sizeof model);
    memcpy(model + size, bytes, n);
    size += n;
}

static void put_piece(const char *text, float score, unsigned char type)
{
    unsigned char n = (unsigned char)strlen(text), head[] = {0x0a, (unsigned char)(n + 9), 0x0a, n}, tail[] = {0x15, 0, 0, 0, 0, 0x18, type};
    memcpy(tail + 1, &score, sizeof score);
    put(head, sizeof head);
    put(text, n);
    put(tail, sizeof tail);
}

/* kind 1: Unigram, 2: BPE; with bytes to fall back on or not; without white space being touched. */
static void put_specs(unsigned char kind, unsigned char falls_back, unsigned char adds_space)
{
    const unsigned char trainer[] = {0x12, 5, 0x18, kind, 0x98, 0x02, falls_back}, normalizer[] = {0x1a, 4, 0x18, adds_space, 0x20, 0};
    put(trainer, sizeof trainer);
    put(normalizer, sizeof normalizer);
}

enum { UNK, BOS, A, B, SPACE, AB, SPACE_A, SEP };

static void small_model(unsigned char kind)
{
    put_piece("<unk>", 0, 2);
    put_piece("<s>", 0, 3);
    put_piece("a", -3, 1);
    put_piece("b", -3, 1);
    put_piece("\xe2\x96\x81", -3, 1);
    put_piece("ab", -1, 1);
    put_piece("\xe2\x96\x81" "a", -2, 1);
    put_piece("[\"\\]", 0, 4);
    put_specs(kind, 0, 1);
}

static struct tenon_tokenizer_object *open_model(void)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok = NULL;
    int32_t status;
    directory_add(&d, "tokenizer.model", model, size);
    status = table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err);
    ck_assert_msg(status == 0, "open: %d %s", status, err.message);
    return tok;
}

static void bad(int32_t status, const char *part)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok = NULL;
    directory_add(&d, "tokenizer.model", model, size);
    ck_assert_int_eq(table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err), status);
    ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" does not say \"%s\"", err.message, part);
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

START_TEST(both_kinds)
{
    struct tenon_tokenizer_object *tok;
    size_t n;
    int32_t ids[] = {SPACE, AB};
    char *back;
    small_model(2);
    tok = open_model();
    CHECK_IDS(tok, "ab", 0, SPACE, AB); /* the higher score first */
    CHECK_IDS(tok, "a[\"\\]b", 0, SPACE_A, SEP, SPACE, B);
    CHECK_IDS(tok, "<s>", TENON_ENCODE_SPECIAL, BOS);
    CHECK_IDS(tok, "?", 0, SPACE, UNK);
    back = decode(tok, ids, 2, 0, &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_mem_eq(back, "ab", 2);
    free(back);
    table->close(NULL, tok);
    size = 0;
    small_model(1);
    tok = open_model();
    CHECK_IDS(tok, "ab", 0, SPACE, AB);
    CHECK_IDS(tok, "aab", 0, SPACE_A, AB);
    table->close(NULL, tok);
}
END_TEST

START_TEST(added_tokens)
{
    static const char added[] = "{\"<|end|>\": 9, \"<s>\": 1}";
    struct tenon_tokenizer_object *tok;
    small_model(2);
    directory_add(&d, "added_tokens.json", added, sizeof added - 1);
    tok = open_model();
    CHECK_IDS(tok, "<|end|>", TENON_ENCODE_SPECIAL, 9);
    table->close(NULL, tok);
    directory_add(&d, "added_tokens.json", "{\"x\":", 5);
    bad(TENON_E_INVALID_ARGUMENT, "added_tokens.json");
}
END_TEST

START_TEST(hostile_models)
{
    static const unsigned char beyond[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}; /* of 2^63 bytes */
    static const unsigned char endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    char longest[128];
    bad(TENON_E_INVALID_ARGUMENT, "no protocol buffer");
    put(beyond, sizeof beyond);
    bad(TENON_E_INVALID_ARGUMENT, "no protocol buffer");
    size = 0;
    put(endless, sizeof endless);
    bad(TENON_E_INVALID_ARGUMENT, "no protocol buffer");
    size = 0;
    put_piece("a", 0.0f / 0.0f, 1);
    bad(TENON_E_INVALID_ARGUMENT, "no text with a score");
    size = 0;
    small_model(3);
    bad(TENON_E_UNIMPLEMENTED, "kind 3");
    size = 0;
    small_model(2);
    put_piece("ab", -1, 1);
    bad(TENON_E_INVALID_ARGUMENT, "\"ab\"");
    size = 0;
    put("\x0a\x85\x02\x0a\x82\x02", 6); /* a piece of 258 bytes */
    memset(longest, 'a', sizeof longest);
    for (int i = 0; i < 2; i++)
        put(longest, sizeof longest);
    put("aa", 2);
    bad(TENON_E_OUT_OF_RANGE, "258 bytes");
}
END_TEST

/* Every beginning of a file, and bytes changed at random. */
START_TEST(damaged_models)
{
    size_t whole;
    small_model((unsigned char)(1 + _i));
    whole = size;
    seed_random("damaged_models");
    for (int round = 0; round < 1500; round++) {
        struct tenon_err err = TENON_ERR_INIT;
        struct tenon_tokenizer_object *tok = NULL;
        size_t at = next_random() % whole;
        char old = model[at];
        model[at] = (char)next_random();
        directory_add(&d, "tokenizer.model", model, round % 2 ? whole : at);
        if (table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err) == 0) {
            uint64_t n;
            int32_t ids[64];
            (void)table->encode(tok, "ab <s>\xff x", 9, 1, ids, 64, &n, NULL); /* whatever it says */
            table->close(NULL, tok);
        } else {
            ck_assert_int_ne(err.message[0], '\0');
        }
        model[at] = old;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_pieces");
    TCase *tests = tcase_create("tokenizer_pieces");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, both_kinds);
    tcase_add_test(tests, added_tokens);
    tcase_add_test(tests, hostile_models);
    tcase_add_loop_test(tests, damaged_models, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
