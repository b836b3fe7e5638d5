/* test_tokenizer_json_harm.c - tokenizer.json files made to harm: what is refused and by which words, patterns and merges that would
 * take for ever, texts that grow, many tokens, damage at random. */
#include <check.h>

#include "json_fixture.h"
#include "random.h"
#include "suite.h"

START_TEST(hostile_files)
{
    char *deep = malloc(200001);
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    bad(deep, TENON_E_INVALID_ARGUMENT, "not an object");
    memcpy(deep, "{\"a\":", 5);
    bad(deep, TENON_E_INVALID_ARGUMENT, "nested too deep");
    free(deep);
    bad("", TENON_E_INVALID_ARGUMENT, "not an object");
    bad("{\"a\":1", TENON_E_INVALID_ARGUMENT, "a comma or the end");
    bad("{\"a\":1}}", TENON_E_INVALID_ARGUMENT, "something follows");
    bad("{\"a\":\"\\u12\"}", TENON_E_INVALID_ARGUMENT, "there is no model");
    bad("{\"\\ux\":1}", TENON_E_INVALID_ARGUMENT, "no such escape");
    bad("{\"a\":\"\n\"}", TENON_E_INVALID_ARGUMENT, "without an end");
    bad("{\"model\":{\"type\":\"Magic\",\"vocab\":{\"a\":0}}}", TENON_E_UNIMPLEMENTED, "\"Magic\" is not known");
    bad("{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", TENON_E_INVALID_ARGUMENT, "the vocabulary is empty");
    bad("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":2147483648}}}", TENON_E_INVALID_ARGUMENT, "an id that cannot be");
    bad("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":-1}}}", TENON_E_INVALID_ARGUMENT, "an id that cannot be");
    bad("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0.5}}}", TENON_E_INVALID_ARGUMENT, "an id that cannot be");
    bad("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":16777215}}}", TENON_E_OUT_OF_RANGE, "there is an id 16777215");
    bad("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"b\":0}}}", TENON_E_INVALID_ARGUMENT, "two tokens have the id 0");
    bad("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"a\":1}}}", TENON_E_INVALID_ARGUMENT, "spelled like token 0");
    bad("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", TENON_E_INVALID_ARGUMENT, "what is no token");
    bad("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"a\"]]}}", TENON_E_INVALID_ARGUMENT, "makes what is no token");
    bad("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", TENON_E_INVALID_ARGUMENT, "not of two tokens");
    bad("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[1]}}", TENON_E_INVALID_ARGUMENT, "not a string");
    bad("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e999]]}}", TENON_E_INVALID_ARGUMENT, "not a text and a score");
    bad("{\"model\":{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}}", TENON_E_INVALID_ARGUMENT, "of another model");
    bad("{\"added_tokens\":[{\"id\":2147483648,\"content\":\"x\"}]," WORDS "}", TENON_E_INVALID_ARGUMENT, "an added token without an id");
    bad("{\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]," WORDS "}", TENON_E_INVALID_ARGUMENT, "two tokens have the id 0");
    bad("{\"normalizer\":{\"type\":\"Magic\"}," WORDS "}", TENON_E_UNIMPLEMENTED, "normalizer \"Magic\"");
    bad("{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}," WORDS "}", TENON_E_INVALID_ARGUMENT, "cut short");
    bad("{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"?\"}," WORDS "}", TENON_E_INVALID_ARGUMENT, "not base64");
    bad("{\"pre_tokenizer\":{\"type\":\"Magic\"}," WORDS "}", TENON_E_UNIMPLEMENTED, "pre_tokenizer \"Magic\"");
    bad("{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Eat\"}," WORDS "}", TENON_E_INVALID_ARGUMENT, "a behavior that is not known");
    bad("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"}}," WORDS "}", TENON_E_INVALID_ARGUMENT, "PCRE2 refuses");
    bad("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[^a&&[b]]\"}}," WORDS "}", TENON_E_UNIMPLEMENTED, "no word for");
    bad("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&\"}}," WORDS "}", TENON_E_INVALID_ARGUMENT, "pattern");
    bad("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&[b]c]\"}}," WORDS "}", TENON_E_UNIMPLEMENTED, "no word for");
    bad("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\Ga\"}}," WORDS "}", TENON_E_UNIMPLEMENTED, "no word for");
    bad("{\"decoder\":{\"type\":\"Other\"}," WORDS "}", TENON_E_UNIMPLEMENTED, "decoder \"Other\"");
}
END_TEST

/* A pattern that takes exponential or quadratic time ends all the same: by giving up at a place, or on the text. */
START_TEST(regex_bombs)
{
    static const char *const bombs[] = {SPLIT("(a+)+$"), SPLIT("(a|aa)+b"), SPLIT("a*a*a*a*a*c"), SPLIT("(?=(a+))a*b\\\\1"), SPLIT("\\\\s+x")};
    struct tenon_tokenizer_object *tok = open_bytes("null", bombs[_i]);
    const size_t size = 100000;
    char *text = malloc(size);
    int32_t *ids = malloc(size * sizeof *ids), status;
    uint64_t n = 0;
    struct tenon_err err = TENON_ERR_INIT;
    double start = seconds();
    memset(text, _i == 4 ? ' ' : 'a', size);
    status = table->encode(tok, text, size, 0, ids, size, &n, &err);
    ck_assert(status == 0 || (status == TENON_E_DEADLINE_EXCEEDED && strstr(err.message, "takes too long") != NULL));
    ck_assert_msg(seconds() - start < 60, "%s: %.1f s", bombs[_i], seconds() - start); /* sanitizers, shared machines */
    printf("%s: %d after %.2f s\n", bombs[_i], status, seconds() - start);
    free(text);
    free(ids);
    table->close(NULL, tok);
}
END_TEST

/* Steps that feed each other end, and are told from too little memory. */
START_TEST(growing_texts)
{
    static const char *const growing[] = {"normalizers", "pretokenizers", "decoders"};
    static const char *const steps[] = {"{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaa\"}",
                                        "{\"type\":\"Metaspace\",\"replacement\":\"          \",\"prepend_scheme\":\"never\",\"split\":false}",
                                        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaa\"}"};
    static const char *const members[] = {"normalizer", "pre_tokenizer", "decoder"};
    char text[4000], buf[8];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"%s\":{\"type\":\"Sequence\",\"%s\":[", members[_i], growing[_i]);
    struct tenon_tokenizer_object *tok;
    struct tenon_err err = TENON_ERR_INIT;
    uint64_t got = 0, state = 0;
    int32_t ids[8];
    for (int i = 0; i < 14; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? "," : "", steps[_i]);
    snprintf(text + n, sizeof text - n, "]},\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"b\":1},\"unk_token\":\"b\"}}");
    tok = open_text(text);
    if (_i < 2) {
        ck_assert_int_eq(table->encode(tok, "b a", 3, 0, ids, 8, &got, &err), TENON_E_OUT_OF_RANGE);
        ck_assert_ptr_nonnull(strstr(err.message, "64 times"));
        ck_assert_int_eq(table->encode(tok, "b", 1, 0, ids, 8, &got, &err), 0);
    } else {
        ck_assert_int_eq(table->decode(tok, &state, 0, 0, buf, sizeof buf, &got, &err), TENON_E_OUT_OF_RANGE);
        ck_assert_ptr_nonnull(strstr(err.message, "too long"));
        ck_assert_int_eq(table->decode(tok, &state, 1, 0, buf, sizeof buf, &got, &err), 0);
    }
    table->close(NULL, tok);
}
END_TEST

#define MERGING(vocab_, options_, merges_) "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab_ "}," options_ "\"merges\":[" merges_ "]}}"
#define HASH "\"continuing_subword_prefix\":\"#\","

/* Merges of nothing, and what a prefix leaves nothing of. */
START_TEST(hostile_merges)
{
    bad(MERGING("\"\":0,\"a\":1", "", "[\"\",\"a\"]"), TENON_E_INVALID_ARGUMENT, "begins with what is no token");
    bad(MERGING("\"\":0,\"a\":1", "", "[\"a\",\"\"]"), TENON_E_INVALID_ARGUMENT, "ends with what is no token");
    bad(MERGING("\"\":0,\"a\":1", "", "[\"\",\"\"]"), TENON_E_INVALID_ARGUMENT, "what is no token");
    bad(MERGING("\"a\":0,\" a\":1", "", "\" a\""), TENON_E_INVALID_ARGUMENT, "not of two tokens");
    bad(MERGING("\"a\":0,\"##\":1", "\"continuing_subword_prefix\":\"###\",", "[\"a\",\"##\"]"), TENON_E_INVALID_ARGUMENT,
        "ends with what is no token");
}
END_TEST

/* Merges that make one of their own sides, each other's sides in a ring, and lower ranks the higher they are. What is
 * merged grows shorter all the same, so it ends. */
START_TEST(cyclic_merges)
{
    static const char *const files[] = {
        MERGING("\"#\":0,\"#a\":1,\"#aa\":2,\"a\":3", HASH, "[\"#\",\"#a\"],[\"#a\",\"#a\"],[\"#\",\"#aa\"],[\"a\",\"#\"]"),
        MERGING("\"#\":0,\"#a\":1,\"#aa\":2,\"a\":3", HASH, "[\"#a\",\"#\"],[\"#aa\",\"#\"],[\"#\",\"#aa\"],[\"#\",\"#a\"],[\"#a\",\"#a\"]"),
        MERGING("\"#\":0,\"a\":1,\"aa\":2,\"aaa\":3,\"aaaa\":4", "", "\"aa aa\",\"a aaa\",\"aaa a\",\"a aa\",\"aa a\",\"a a\",\"a a\""),
    };
    const size_t size = 200000;
    struct tenon_tokenizer_object *tok = open_text(files[_i]);
    char *text = malloc(size);
    int32_t *ids;
    uint64_t n;
    double start = seconds();
    memset(text, 'a', size);
    text[0] = '#';
    ids = encode(tok, text, size, 0, &n);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_le(n, size);
    ck_assert_msg(seconds() - start < 60, "%.1f s", seconds() - start); /* sanitizers, shared machines */
    if (_i == 0) {
        CHECK_IDS(tok, "#aa", 0, 2);
        CHECK_IDS(tok, "#aaa", 0, 2, 1);
    } else if (_i == 2) {
        CHECK_IDS(tok, "aaaaa", 0, 4, 1);
    }
    free(ids);
    free(text);
    table->close(NULL, tok);
}
END_TEST

enum { MANY = 70000 }; /* tokens that are indexed by a thread of its own, and merges that two look up */

/* Letters, then each token with a letter behind it. */
static size_t spell(uint32_t id, char *out)
{
    size_t n = id < 26 ? 0 : spell(id / 26 - 1, out);
    out[n] = (char)('a' + id % 26);
    return n + 1;
}

/* OWN: caller. `last` is the id of the last token, `end` what follows the last merge. */
static char *many_file(uint32_t last, const char *end)
{
    char *text = malloc(MANY * 80), word[16];
    size_t n = (size_t)sprintf(text, "{\"added_tokens\":[{\"id\":90000,\"content\":\"<s>\",\"special\":true}],\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (uint32_t id = 0; id < MANY; id++)
        n += (size_t)sprintf(text + n, "%s\"%.*s\":%u", id > 0 ? "," : "", (int)spell(id, word), word, id + 1 < MANY ? id : last);
    n += (size_t)sprintf(text + n, "},\"merges\":[");
    for (uint32_t id = 26; id < MANY; id++)
        n += (size_t)sprintf(text + n, "%s\n      [\n        \"%.*s\",\n\"%c\"]", id > 26 ? "," : "", (int)spell(id / 26 - 1, word), word,
                             (char)('a' + id % 26));
    sprintf(text + n, "%s]}}", end);
    return text;
}

START_TEST(many_tokens)
{
    char *text = many_file(MANY - 1, "");
    struct tenon_tokenizer_object *tok = open_text(text);
    CHECK_IDS(tok, "ab", 0, 27);
    CHECK_IDS(tok, "abc", 0, 730);
    CHECK_IDS(tok, "<s>cbabc", TENON_ENCODE_SPECIAL, 90000, 79, 730);
    table->close(NULL, tok);
    free(text);
    text = many_file(5, "");
    bad(text, TENON_E_INVALID_ARGUMENT, "two tokens have the id 5");
    free(text);
    text = many_file(MANY - 1, ",[\"a\",\"?\"]");
    bad(text, TENON_E_INVALID_ARGUMENT, "ends with what is no token");
    free(text);
    text = many_file(5, ",[\"a\"");
    bad(text, TENON_E_INVALID_ARGUMENT, "not of two tokens");
    free(text);
    text = many_file(MANY - 1, "],\"vocab\":{\"a\":0}, \"ignored\":[0");
    bad(text, TENON_E_INVALID_ARGUMENT, "the vocabulary is there twice");
    free(text);
}
END_TEST

/* The model may stand before the added tokens, or without any; neither is there twice once the other counts on it. */
START_TEST(order_of_members)
{
    struct tenon_tokenizer_object *tok = open_text("{" WORDS "," SPECIALS "," SPACES "}");
    CHECK_IDS(tok, "a <s> b", TENON_ENCODE_SPECIAL, 0, 3, 1);
    table->close(NULL, tok);
    tok = open_text("{" SPECIALS "," WORDS "," SPACES "}");
    CHECK_IDS(tok, "a <s> b", TENON_ENCODE_SPECIAL, 0, 3, 1);
    table->close(NULL, tok);
    tok = open_text("{\"model\":{\"vocab\":7}," WORDS "," SPACES "}"); /* the last counts */
    CHECK_IDS(tok, "a b", TENON_ENCODE_SPECIAL, 0, 1);
    table->close(NULL, tok);
    bad("{" SPECIALS "," WORDS "," WORDS "}", TENON_E_INVALID_ARGUMENT, "there twice");
    bad("{" SPECIALS "," WORDS ",\"added_tokens\":[{\"id\":90000,\"content\":\"x\"}]}", TENON_E_INVALID_ARGUMENT, "there twice");
    bad("{" SPECIALS "," WORDS, TENON_E_INVALID_ARGUMENT, "a comma or the end");
    bad("{" SPECIALS "," WORDS "}]", TENON_E_INVALID_ARGUMENT, "something follows");
}
END_TEST

/* Every beginning of a file, and bytes changed at random. */
START_TEST(damaged_files)
{
    char *text = byte_file("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":\"Prepend\",\"prepend\":\"x\"}]}",
                           SPLIT("[a-z]+"), "{\"id\":259,\"content\":\"<s>\",\"special\":true,\"lstrip\":true}");
    size_t size = strlen(text);
    seed_random("damaged_files");
    for (int round = 0; round < 1500; round++) {
        struct tenon_err err = TENON_ERR_INIT;
        struct tenon_tokenizer_object *tok = NULL;
        size_t at = next_random() % size;
        char old = text[at];
        text[at] = (char)next_random();
        directory_add(&d, "tokenizer.json", text, round % 2 ? size : at);
        if (table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err) == 0) {
            uint64_t n;
            int32_t ids[64];
            (void)table->encode(tok, "aaa <s>\xff x", 11, 1, ids, 64, &n, NULL); /* whatever it says */
            table->close(NULL, tok);
        } else {
            ck_assert_int_ne(err.message[0], '\0');
        }
        text[at] = old;
    }
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_json_harm");
    TCase *tests = tcase_create("tokenizer_json_harm");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 250);
    tcase_add_test(tests, hostile_files);
    tcase_add_loop_test(tests, regex_bombs, 0, 5);
    tcase_add_loop_test(tests, growing_texts, 0, 3);
    tcase_add_test(tests, hostile_merges);
    tcase_add_loop_test(tests, cyclic_merges, 0, 3);
    tcase_add_test(tests, many_tokens);
    tcase_add_test(tests, order_of_members);
    tcase_add_test(tests, damaged_files);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
