/* test_unigram.c - Unigram through its ABI table: the likeliest tokens against trying all ways, the charsmap and white space,
 * unknown stretches and bytes, decoding, any bytes, long runs, many threads, hostile metadata. */
#include <check.h>
#include <math.h>

#include "random.h"
#include "suite.h"
#include "tokenizer_fixture.h"

#define SPACE "\xe2\x96\x81"
#define MOST 400

static const char *texts[MOST];
static int32_t types[MOST];
static float scores[MOST];
static uint32_t n_tokens;

static int32_t add(const char *text, int32_t type, float score)
{
    texts[n_tokens] = text;
    types[n_tokens] = type;
    scores[n_tokens] = score;
    return (int32_t)n_tokens++;
}

/* Ids of the tokens with a meaning. */
enum { PAD, END, UNK, FIRST };

static void start(void)
{
    n_tokens = 0;
    add("<pad>", 3, 0);
    add("</s>", 3, 0);
    add("<unk>", 2, 0);
}

static void finish(void)
{
    test_meta_string(&meta, KEY "model", "t5");
    test_meta_strings(&meta, KEY "tokens", texts, n_tokens);
    test_meta_array(&meta, KEY "token_type", TENON_META_I32, types, n_tokens);
    test_meta_array(&meta, KEY "scores", TENON_META_F32, scores, n_tokens);
    test_meta_number(&meta, KEY "eos_token_id", END);
    test_meta_number(&meta, KEY "unknown_token_id", UNK);
    test_meta_number(&meta, KEY "padding_token_id", PAD);
}

/* ---- the likeliest way -------------------------------------------------------------------------------------- */

/* The best score of text [size] over all ways. */
static double try_all(const char *text, size_t size)
{
    double best = size == 0 ? 0 : -INFINITY;
    for (uint32_t i = FIRST; i < n_tokens; i++) {
        size_t n = strlen(texts[i]);
        if (n <= size && memcmp(texts[i], text, n) == 0)
            best = fmax(best, (double)scores[i] + try_all(text + n, size - n));
    }
    return best;
}

/* The score of what a text becomes. */
static double score_of(struct tenon_tokenizer_object *tok, const char *text)
{
    uint64_t n;
    int32_t *ids = encode(tok, text, strlen(text), 0, &n);
    double score = 0;
    for (uint64_t i = 0; i < n; i++)
        score += (double)scores[ids[i]];
    free(ids);
    return score;
}

START_TEST(likeliest_of_all_ways)
{
    static char made[40][8];
    seed_random("likeliest");
    for (int round = 0; round < 60; round++) {
        struct tenon_tokenizer_object *tok;
        start();
        for (uint32_t i = 0; i < 24; i++) {
            size_t n = i < 3 ? 1 : 2 + next_random() % 4;
            bool is_new = true;
            for (size_t at = 0; at < n; at++)
                made[i][at] = i < 3 ? "abc"[i] : "abc"[next_random() % 3];
            made[i][n] = '\0';
            for (uint32_t k = FIRST; k < n_tokens; k++)
                is_new &= strcmp(texts[k], made[i]) != 0;
            if (is_new)
                add(made[i], 1, -1 - (float)(next_random() % 1000003) / 100003);
        }
        finish();
        test_meta_number(&meta, KEY "add_space_prefix", 0);
        tok = must_open();
        for (int i = 0; i < 20; i++) {
            char text[13] = "";
            size_t size = 1 + next_random() % 12;
            for (size_t at = 0; at < size; at++)
                text[at] = "abc"[next_random() % 3];
            check_round_trip(tok, text, size);
            ck_assert_double_eq_tol(score_of(tok, text), try_all(text, size), 1e-6);
        }
        table->close(NULL, tok);
    }
}
END_TEST

/* ---- normalising -------------------------------------------------------------------------------------------- */

enum { GAP = FIRST, GAP_A, A, B, AB, TURN, RUN };

static void small(void)
{
    start();
    add(SPACE, 1, -2);
    add(SPACE "a", 1, -3);
    add("a", 1, -4);
    add("b", 1, -4);
    add("ab", 1, -9); /* less likely than its parts together */
    add("<turn>", 3, 0);
    add("##", 4, -100);
    finish();
}

START_TEST(spaces)
{
    struct tenon_tokenizer_object *tok;
    small();
    tok = must_open();
    CHECK_IDS(tok, "a", 0, GAP_A);
    CHECK_IDS(tok, "ab", 0, GAP_A, B);
    CHECK_IDS(tok, " a  b", 0, GAP, GAP_A, GAP, GAP, B);
    CHECK_IDS(tok, "b##a<turn>a", TENON_ENCODE_SPECIAL, GAP, B, RUN, GAP_A, TURN, GAP_A);
    CHECK_IDS(tok, "a<turn>", 0, GAP_A, UNK); /* all of it unknown: one token */
    check_round_trip(tok, "a  a ab", 7);
    table->close(NULL, tok);
    test_meta_number(&meta, KEY "remove_extra_whitespaces", 1);
    tok = must_open();
    CHECK_IDS(tok, "  a   b ", 0, GAP_A, GAP, B);
    check_ids(tok, "   ", 0, NULL, 0);
    table->close(NULL, tok);
    test_meta_number(&meta, KEY "add_space_prefix", 0);
    tok = must_open();
    CHECK_IDS(tok, "  a   b ", 0, A, GAP, B);
    table->close(NULL, tok);
}
END_TEST

START_TEST(unknown_and_bytes)
{
    static char names[256][8];
    struct tenon_tokenizer_object *tok;
    small();
    tok = must_open();
    CHECK_IDS(tok, "axyza\xff\xc3\xa4 z", 0, GAP_A, UNK, A, UNK, GAP, UNK);
    table->close(NULL, tok);
    for (int i = 0; i < 256; i++) {
        snprintf(names[i], sizeof names[i], "<0x%02X>", i);
        add(names[i], 6, 0);
    }
    finish();
    tok = must_open();
    CHECK_IDS(tok, "a\xc3\xa4\xff", 0, GAP_A, RUN + 1 + 0xc3, RUN + 1 + 0xa4, RUN + 1 + 0xff);
    check_round_trip(tok, "a\xc3\xa4\xff \x80 z", 9);
    table->close(NULL, tok);
}
END_TEST

/* A charsmap of single bytes, by hand: the root's children stand at 256 ^ byte, the value of each at 512 ^ 2 * byte. */
struct map {
    uint32_t size, units[1024];
    char texts[16];
};

static void map_byte(struct map *m, unsigned char byte, uint32_t text)
{
    uint32_t at = 256u ^ byte, value = 512u ^ byte;
    m->units[at] = byte | 1u << 8 | (at ^ value) << 10;
    m->units[value] = 1u << 31 | text;
}

static void make_map(struct map *m)
{
    memset(m, 0, sizeof *m);
    m->size = sizeof m->units;
    m->units[0] = 256u << 10;
    memcpy(m->texts, "ab\0 \0", 6); /* at 0 "ab", at 3 " ", at 5 nothing */
    map_byte(m, 'x', 0);
    map_byte(m, '\t', 3);
    map_byte(m, 1, 5);
}

START_TEST(charsmap)
{
    struct tenon_tokenizer_object *tok;
    struct map m;
    make_map(&m);
    small();
    test_meta_array(&meta, KEY "precompiled_charsmap", TENON_META_U8, &m, sizeof m);
    tok = must_open();
    CHECK_IDS(tok, "x\ta\x01", 0, GAP_A, B, GAP_A);
    table->close(NULL, tok);
    m.units[256 ^ 'x'] |= 0xffffff00; /* a value far outside */
    m.units[256 ^ 1] = 1u | 1u << 8 | (256u ^ 1 ^ 700) << 10;
    m.units[700] = 1u << 31 | 100000; /* a text far outside */
    tok = must_open();
    CHECK_IDS(tok, "xa\x01", 0, GAP, UNK, A, UNK);
    table->close(NULL, tok);
    test_meta_array(&meta, KEY "precompiled_charsmap", TENON_META_U8, &m, 1000);
    refused(TENON_E_INVALID_ARGUMENT, "charsmap of 1000 bytes is cut short");
    test_meta_array(&meta, KEY "precompiled_charsmap", TENON_META_U8, &m, 3);
    refused(TENON_E_INVALID_ARGUMENT, "charsmap of 3 bytes is cut short");
    test_meta_array(&meta, KEY "precompiled_charsmap", TENON_META_F32, &m, 8);
    refused(TENON_E_INVALID_ARGUMENT, "precompiled_charsmap is not an array of bytes");
}
END_TEST

START_TEST(hostile_charsmaps)
{
    struct map m;
    char text[300];
    seed_random("hostile_charsmaps");
    small();
    test_meta_array(&meta, KEY "precompiled_charsmap", TENON_META_U8, &m, sizeof m);
    for (int round = 0; round < 300; round++) {
        struct tenon_tokenizer_object *tok;
        uint64_t n;
        make_map(&m);
        for (int i = 0; i < 200; i++)
            m.units[next_random() % 1024] ^= (uint32_t)next_random() & (uint32_t)next_random();
        m.texts[next_random() % sizeof m.texts] = 'a';
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)next_random();
        tok = must_open();
        free(encode(tok, text, sizeof text, 0, &n));
        table->close(NULL, tok);
    }
}
END_TEST

/* ---- the rest of the table ---------------------------------------------------------------------------------- */

START_TEST(decoding_and_info)
{
    static const int32_t ids[] = {GAP_A, GAP_A, END, B, UNK};
    struct tenon_tokenizer_info i = {.struct_size = sizeof i};
    struct tenon_tokenizer_object *tok;
    struct tenon_str text;
    uint32_t attributes;
    size_t size;
    char *got;
    small();
    tok = must_open();
    got = decode(tok, ids, 5, 0, &size);
    ck_assert_uint_eq(size, 4);
    ck_assert_int_eq(memcmp(got, "a ab", 4), 0);
    free(got);
    got = decode(tok, ids, 5, TENON_DECODE_SPECIAL, &size);
    ck_assert_uint_eq(size, 13);
    ck_assert_int_eq(memcmp(got, "a a</s>b<unk>", 13), 0);
    free(got);
    ck_assert_int_eq(table->info(tok, &i), 0);
    ck_assert_uint_eq(i.vocab_size, n_tokens);
    ck_assert_int_eq(i.eos, END);
    ck_assert_int_eq(i.bos, -1);
    ck_assert_uint_eq(i.add_bos, 0);
    ck_assert_uint_eq(i.add_eos, 1);
    ck_assert_int_eq(table->piece(tok, END, &text, &attributes), 0);
    ck_assert_uint_eq(attributes, TENON_TOKEN_CONTROL | TENON_TOKEN_END);
    ck_assert_int_eq(table->piece(tok, (int32_t)n_tokens, &text, &attributes), TENON_E_OUT_OF_RANGE);
    table->close(NULL, tok);
}
END_TEST

START_TEST(long_runs_and_threads)
{
    struct tenon_tokenizer_object *tok;
    char text[20000];
    small();
    add("aaaaaaaaaaaaaaaa", 1, -5);
    finish();
    tok = must_open();
    check_long_runs(tok, "unigram");
    seed_random("threads");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "aab \n\xc3"[next_random() % 6];
    check_threads(tok, text, sizeof text);
    table->close(NULL, tok);
}
END_TEST

START_TEST(hostile_metadata)
{
    static char longest[300];
    refused(TENON_E_INVALID_ARGUMENT, "t5");
    small();
    scores[A] = NAN;
    refused(TENON_E_INVALID_ARGUMENT, "scores[5] is not a finite number");
    scores[A] = -INFINITY;
    refused(TENON_E_INVALID_ARGUMENT, "scores[5] is not a finite number");
    test_meta_array(&meta, KEY "scores", TENON_META_F32, scores, n_tokens - 1);
    refused(TENON_E_INVALID_ARGUMENT, "scores has 9 entries for 10 tokens");
    test_meta_string(&meta, KEY "scores", "x");
    refused(TENON_E_INVALID_ARGUMENT, "scores has 1 entries");
    small();
    memset(longest, 'x', sizeof longest - 1);
    texts[A] = longest;
    finish();
    refused(TENON_E_OUT_OF_RANGE, "token 5 has 299 bytes");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unigram");
    TCase *tests = tcase_create("unigram");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 250);
    tcase_add_test(tests, likeliest_of_all_ways);
    tcase_add_test(tests, spaces);
    tcase_add_test(tests, unknown_and_bytes);
    tcase_add_test(tests, charsmap);
    tcase_add_test(tests, hostile_charsmaps);
    tcase_add_test(tests, decoding_and_info);
    tcase_add_test(tests, long_runs_and_threads);
    tcase_add_test(tests, hostile_metadata);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
