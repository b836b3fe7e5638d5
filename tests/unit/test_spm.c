/* test_spm.c - SentencePiece BPE through its ABI table: ids of published vocabularies, joining against the obvious algorithm,
 * spaces, bytes to fall back on, decoding, many threads, hostile metadata. */
#include <math.h>

#include "holds.h"
#include "random.h"
#include "suite.h"
#include "tokenizer_fixture.h"

#define SPACE "\xe2\x96\x81"
#define MOST 400

static const char *const vocabularies[] = {"llama-spm", "phi-3"};

/* A vocabulary by hand: three tokens with a meaning, 256 bytes, then what a test adds. */
static const char *texts[MOST];
static int32_t types[MOST];
static float scores[MOST];
static uint32_t n_tokens;
#define FIRST 259
#define BYTE(b) (3 + (b))
#define UNUSED 5 /* a token type */

static int32_t add(const char *text, int32_t type, float score)
{
    texts[n_tokens] = text;
    types[n_tokens] = type;
    scores[n_tokens] = score;
    return (int32_t)n_tokens++;
}

static void start(void)
{
    static char bytes[256][8];
    n_tokens = 0;
    add("<unk>", 2, 0);
    add("<s>", 3, 0);
    add("</s>", 3, 0);
    for (int i = 0; i < 256; i++) {
        snprintf(bytes[i], sizeof bytes[i], "<0x%02X>", i);
        add(bytes[i], 6, 0);
    }
    ck_assert_uint_eq(n_tokens, FIRST);
}

static void finish(int64_t adds_space)
{
    test_meta_string(&meta, KEY "model", "llama");
    test_meta_strings(&meta, KEY "tokens", texts, n_tokens);
    test_meta_array(&meta, KEY "token_type", TENON_META_I32, types, n_tokens);
    test_meta_array(&meta, KEY "scores", TENON_META_F32, scores, n_tokens);
    test_meta_number(&meta, KEY "add_space_prefix", adds_space);
    test_meta_number(&meta, KEY "bos_token_id", 1);
    test_meta_number(&meta, KEY "eos_token_id", 2);
    test_meta_number(&meta, KEY "unknown_token_id", 0);
}

START_TEST(published_ids)
{
    check_published(vocabularies[_i], true);
}
END_TEST

/* SentencePiece writes a space as U+2581, so a U+2581 of the text itself comes back as a space. */
static void break_marks(char *bytes, size_t size)
{
    for (size_t i = 0; i + 3 <= size; i++)
        if (memcmp(&bytes[i], "\xe2\x96\x81", 3) == 0)
            bytes[i] = 'x';
}

START_TEST(published_any_bytes)
{
    struct tenon_tokenizer_object *tok = open_shared(vocabularies[_i]);
    char bytes[512];
    if (tok == NULL)
        return;
    check_long_runs(tok, vocabularies[_i]);
    seed_random("published_any_bytes");
    for (int round = 0; round < 2000; round++) {
        size_t size = next_random() % sizeof bytes;
        int range = next_random() % 2 ? 128 : 256;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)(next_random() % (uint64_t)range);
        break_marks(bytes, size);
        check_round_trip(tok, bytes, size);
    }
    table->close(NULL, tok);
}
END_TEST

/* ---- joining ------------------------------------------------------------------------------------------------ */

static int32_t find(const char *text)
{
    for (uint32_t i = 0; i < n_tokens; i++)
        if (strcmp(texts[i], text) == 0)
            return (int32_t)i;
    return -1;
}

static void join(char *out, size_t capacity, const char *left, const char *right)
{
    HOLDS(strlen(left) + strlen(right) < capacity, "%s and %s are too long", left, right);
    strcpy(stpcpy(out, left), right);
}

static int32_t joined_ids[MOST][MOST]; /* of two tokens from FIRST on, -1: no token */

static void find_joined(void)
{
    for (uint32_t left = FIRST; left < n_tokens; left++)
        for (uint32_t right = FIRST; right < n_tokens; right++) {
            char joined[200];
            join(joined, sizeof joined, texts[left], texts[right]);
            joined_ids[left][right] = types[left] == UNUSED || types[right] == UNUSED ? -1 : find(joined);
        }
}

/* Join the leftmost pair whose token has the highest score until no pair makes a token. */
static size_t obvious_joins(int32_t *ids, size_t n)
{
    for (;;) {
        size_t best = n;
        int32_t best_id = -1;
        for (size_t i = 0; i + 1 < n; i++) {
            int32_t id = joined_ids[ids[i]][ids[i + 1]];
            if (id >= 0 && (best_id < 0 || scores[id] > scores[best_id])) {
                best = i;
                best_id = id;
            }
        }
        if (best_id < 0)
            return n;
        ids[best] = best_id;
        memmove(&ids[best + 1], &ids[best + 2], (n - best - 2) * sizeof *ids);
        n--;
    }
}

START_TEST(joins_as_the_obvious_algorithm)
{
    static const char *const letters[] = {"a", "\u00e9", SPACE, "u"}, *const written[] = {"a", "\u00e9", " ", "u"};
    static char made[32][80];
    seed_random("joins");
    for (int round = 0; round < 30; round++) {
        struct tenon_tokenizer_object *tok;
        uint32_t n_made = (uint32_t)(next_random() % 32);
        start();
        for (int i = 0; i < 4; i++)
            add(letters[i], i < 3 ? 1 : UNUSED, -100); /* the last joins nothing, though tokens have it */
        for (uint32_t i = 0; i < n_made; i++) {
            const char *left = texts[FIRST + next_random() % (n_tokens - FIRST)];
            const char *right = texts[FIRST + next_random() % (n_tokens - FIRST)];
            if (strlen(left) + strlen(right) > 40)
                continue;
            join(made[i], sizeof made[i], left, right);
            if (find(made[i]) < 0)
                add(made[i], 1, (float)(next_random() % 12) - 6); /* some alike: the leftmost wins */
        }
        finish(0);
        find_joined();
        tok = must_open();
        for (int i = 0; i < 20; i++) {
            char text[2 * 1500 + 1], *end = text;
            int32_t want[1500];
            uint64_t letters_here = 3 + next_random() % 2;
            size_t n = 1 + next_random() % (i % 4 == 0 ? 1500 : i % 2 ? 300 : 40); /* joined in three ways, short ones in two */
            for (size_t at = 0; at < n; at++) {
                uint64_t letter = next_random() % letters_here;
                end = stpcpy(end, written[letter]);
                want[at] = FIRST + (int32_t)letter;
            }
            check_ids(tok, text, 0, want, obvious_joins(want, n));
        }
        table->close(NULL, tok);
    }
}
END_TEST

/* ---- spaces, bytes, special tokens --------------------------------------------------------------------------- */

/* a, U+2581, U+2581 a, a U+2581 a; a user-defined run of spaces. */
enum { A = FIRST, GAP, GAP_A, A_GAP_A, SPACES, TURN };

static struct tenon_tokenizer_object *open_small(int64_t adds_space)
{
    start();
    add("a", 1, -1);
    add(SPACE, 1, -2);
    add(SPACE "a", 1, -3);
    add("a" SPACE "a", 1, -4);
    add("  ", 4, -1000);
    add("<end_of_turn>", 3, 0);
    finish(adds_space);
    return must_open();
}

START_TEST(spaces)
{
    struct tenon_tokenizer_object *tok = open_small(1);
    CHECK_IDS(tok, "a", 0, GAP_A);
    CHECK_IDS(tok, " a", 0, GAP, GAP_A);
    CHECK_IDS(tok, "a a", 0, GAP_A, GAP_A);
    CHECK_IDS(tok, "a  a", 0, GAP_A, SPACES, GAP_A);
    CHECK_IDS(tok, "a</s>a", TENON_ENCODE_SPECIAL, GAP_A, 2, GAP_A);
    CHECK_IDS(tok, "</s>", 0, GAP, BYTE('<'), BYTE('/'), BYTE('s'), BYTE('>'));
    CHECK_IDS(tok, SPACE "a", 0, GAP, GAP_A);
    check_round_trip(tok, "a  a a\xc3\xa4\xff  ", 12);
    check_round_trip(tok, "", 0);
    table->close(NULL, tok);
    tok = open_small(0);
    CHECK_IDS(tok, "a", 0, A);
    CHECK_IDS(tok, " a", 0, GAP_A);
    CHECK_IDS(tok, "a a", 0, A_GAP_A);
    check_round_trip(tok, " a  a a", 7);
    table->close(NULL, tok);
}
END_TEST

START_TEST(bytes_and_unknown)
{
    struct tenon_tokenizer_object *tok = open_small(0);
    CHECK_IDS(tok, "\xc3\xa4" "a\xa4", 0, BYTE(0xc3), BYTE(0xa4), A, BYTE(0xa4));
    table->close(NULL, tok);
    for (int i = 0; i < 256; i++)
        types[BYTE(i)] = 5; /* no bytes: every run of unknown characters is one token */
    texts[BYTE('z')] = "z";
    types[BYTE('z')] = 1;
    for (int i = 0; i < 256; i++)
        if (i != 'z')
            texts[BYTE(i)] = "<filler>";
    finish(0);
    tok = must_open();
    CHECK_IDS(tok, "axyza\xc3\xa4", 0, A, 0, BYTE('z'), A, 0);
    table->close(NULL, tok);
}
END_TEST

START_TEST(decoding)
{
    static const int32_t ids[] = {1, GAP_A, GAP_A, 2, GAP_A};
    struct tenon_tokenizer_object *tok = open_small(1);
    uint64_t state = 0, n;
    size_t size;
    char buf[4] = "....", *text = decode(tok, ids, 5, 0, &size);
    ck_assert_uint_eq(size, 4);
    ck_assert_int_eq(memcmp(text, "a aa", 4), 0);
    free(text);
    text = decode(tok, ids, 5, TENON_DECODE_SPECIAL, &size);
    ck_assert_uint_eq(size, 3 + 3 + 4 + 1);
    ck_assert_int_eq(memcmp(text, "<s>a a</s>a", size), 0);
    free(text);
    ck_assert_int_eq(table->decode(tok, &state, GAP_A, 0, buf, 1, &n, NULL), 0); /* fits without its space */
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(memcmp(buf, "a...", 4), 0);
    ck_assert_int_eq(table->decode(tok, &state, GAP_A, 0, buf, 1, &n, NULL), 0);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(memcmp(buf, " ...", 4), 0);
    ck_assert_int_eq(table->decode(tok, &state, TURN + 1, 0, buf, 1, &n, NULL), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(table->decode(tok, &state, -1, 0, buf, 1, &n, NULL), TENON_E_OUT_OF_RANGE);
    table->close(NULL, tok);
}
END_TEST

START_TEST(info_and_pieces)
{
    struct tenon_tokenizer_info i = {.struct_size = sizeof i};
    struct tenon_tokenizer_object *tok = open_small(1);
    struct tenon_str text;
    uint32_t attributes;
    ck_assert_int_eq(table->info(tok, &i), 0);
    ck_assert_uint_eq(i.vocab_size, n_tokens);
    ck_assert_int_eq(i.bos, 1);
    ck_assert_int_eq(i.eos, 2);
    ck_assert_int_eq(i.unk, 0);
    ck_assert_uint_eq(i.add_bos, 1);
    ck_assert_uint_eq(i.add_eos, 0);
    ck_assert_int_eq(table->piece(tok, BYTE(10), &text, &attributes), 0);
    ck_assert_uint_eq(attributes, TENON_TOKEN_BYTE);
    ck_assert_int_eq(table->piece(tok, TURN, &text, &attributes), 0);
    ck_assert_uint_eq(attributes, TENON_TOKEN_CONTROL | TENON_TOKEN_END);
    ck_assert_int_eq(table->piece(tok, (int32_t)n_tokens, &text, &attributes), TENON_E_OUT_OF_RANGE);
    table->close(NULL, tok);
}
END_TEST

START_TEST(many_threads)
{
    struct tenon_tokenizer_object *tok = open_small(1);
    char text[20000];
    seed_random("many_threads");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "aaa  \n\xc3"[next_random() % 7];
    check_threads(tok, text, sizeof text);
    table->close(NULL, tok);
}
END_TEST

/* ---- hostile metadata --------------------------------------------------------------------------------------- */

START_TEST(hostile_metadata)
{
    static char longest[2000];
    refused(TENON_E_INVALID_ARGUMENT, "llama");
    table->close(NULL, open_small(1));
    test_meta_string(&meta, KEY "model", "gpt2");
    ck_assert_int_eq(table->match(NULL, test_meta_table(&meta)), 0);
    finish(1);
    scores[A] = NAN;
    refused(TENON_E_INVALID_ARGUMENT, "scores[259] is not a number");
    scores[A] = INFINITY;
    scores[GAP] = -INFINITY;
    table->close(NULL, must_open());
    test_meta_array(&meta, KEY "scores", TENON_META_F32, scores, n_tokens - 1);
    refused(TENON_E_INVALID_ARGUMENT, "scores has 264 entries for 265 tokens");
    test_meta_number(&meta, KEY "scores", 1);
    refused(TENON_E_INVALID_ARGUMENT, "scores has 1 entries");
    test_meta_strings(&meta, KEY "scores", texts, n_tokens);
    refused(TENON_E_INVALID_ARGUMENT, "scores[0] is not a number");
    finish(1);
    texts[A] = SPACE;
    finish(1);
    refused(TENON_E_INVALID_ARGUMENT, "token 260 is spelled like token 259");
    texts[A] = "";
    finish(1);
    table->close(NULL, must_open());
    memset(longest, 'x', sizeof longest - 1);
    texts[A] = longest;
    finish(1);
    refused(TENON_E_OUT_OF_RANGE, "token 259 has 1999 bytes");
    types[A] = 4;
    refused(TENON_E_OUT_OF_RANGE, "token 259 has 1999 bytes");
    texts[A] = "a";
    test_meta_strings(&meta, KEY "tokens", texts, n_tokens);
    test_meta_number(&meta, KEY "eos_token_id", n_tokens);
    refused(TENON_E_INVALID_ARGUMENT, "eos_token_id is 265");
    test_meta_string(&meta, KEY "add_space_prefix", "yes");
    test_meta_number(&meta, KEY "eos_token_id", -1);
    refused(TENON_E_INVALID_ARGUMENT, "add_space_prefix is not a number");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spm");
    TCase *tests = tcase_create("spm");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 250);
    tcase_add_loop_test(tests, published_ids, 0, 2);
    tcase_add_loop_test(tests, published_any_bytes, 0, 2);
    tcase_add_test(tests, joins_as_the_obvious_algorithm);
    tcase_add_test(tests, spaces);
    tcase_add_test(tests, bytes_and_unknown);
    tcase_add_test(tests, decoding);
    tcase_add_test(tests, info_and_pieces);
    tcase_add_test(tests, many_threads);
    tcase_add_test(tests, hostile_metadata);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
