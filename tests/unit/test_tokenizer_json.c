/* test_tokenizer_json.c - tokenizer.json through its ABI table: what stands around a text and ends an answer, a vocab.txt, any bytes,
 * long runs, many threads, and Unicode's forms; files made to harm are test_tokenizer_json_harm.c's. What the components do is held to
 * Hugging Face's library by e2e/tokenizer_json.py. */
#include <check.h>
#include <utf8proc.h>

#include "json_fixture.h"
#include "random.h"
#include "suite.h"

/* ---- ids with a meaning ----------------------------------------------------------------------------------------- */

static struct tenon_tokenizer_info info_of(struct tenon_tokenizer_object *tok)
{
    struct tenon_tokenizer_info i = {.struct_size = sizeof i};
    ck_assert_int_eq(table->info(tok, &i), 0);
    return i;
}

static uint32_t attributes_of(struct tenon_tokenizer_object *tok, int32_t id)
{
    struct tenon_str text;
    uint32_t attributes = 0;
    ck_assert_int_eq(table->piece(tok, id, &text, &attributes), 0);
    return attributes;
}

START_TEST(around_a_text)
{
    static const char template[] =
        "{" SPECIALS "," SPACES "," WORDS ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},"
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\"}},"
        "{\"SpecialToken\":{\"id\":\"</s>\"}}],\"special_tokens\":{\"</s>\":{\"ids\":[4]},\"<s>\":{\"id\":\"<s>\",\"ids\":[3]}}}]}}";
    static const char bert[] = "{" SPECIALS "," SPACES "," WORDS
                               ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"</s>\",4],\"cls\":[\"<s>\",3]}}";
    static const int32_t ends[] = {5, 1, 1000, -7};
    struct tenon_tokenizer_object *tok = open_text(template);
    struct tenon_tokenizer_info i = info_of(tok);
    ck_assert_uint_eq(i.vocab_size, 10);
    ck_assert_int_eq(i.bos, 3);
    ck_assert_int_eq(i.eos, 4);
    ck_assert_int_eq(i.unk, 2);
    ck_assert_int_eq(i.pad, -1);
    ck_assert_uint_eq(i.add_bos, 1);
    ck_assert_uint_eq(i.add_eos, 1);
    ck_assert_uint_eq(attributes_of(tok, 4), TENON_TOKEN_CONTROL | TENON_TOKEN_END);
    ck_assert_uint_eq(attributes_of(tok, 5), TENON_TOKEN_CONTROL | TENON_TOKEN_END); /* by its name */
    ck_assert_uint_eq(attributes_of(tok, 7), TENON_TOKEN_UNUSED);
    ck_assert_uint_eq(attributes_of(tok, 9), TENON_TOKEN_USER_DEFINED);
    CHECK_IDS(tok, "a b<s>c \xc3\xa9", TENON_ENCODE_SPECIAL, 0, 1, 3, 2, 9);
    CHECK_IDS(tok, "a b<s>", 0, 0, 2);
    table->close(NULL, tok);
    tok = open_text(bert);
    ck_assert_int_eq(info_of(tok).bos, 3);
    ck_assert_uint_eq(info_of(tok).add_eos, 1);
    table->close(NULL, tok);
    test_meta_number(&meta, "tokenizer_config.add_bos_token", 0);
    test_meta_string(&meta, "tokenizer_config.eos_token.content", "<|im_end|>");
    test_meta_number(&meta, "tokenizer_config.add_eos_token", 0);
    test_meta_array(&meta, "generation_config.eos_token_id", TENON_META_I32, ends, 4);
    file("special_tokens_map.json", "{\"bos_token\":{\"content\":\"<s>\"},\"pad_token\":\"</s>\",\"eos_token\":\"a\"}");
    tok = open_text(template);
    i = info_of(tok);
    ck_assert_int_eq(i.bos, 3);
    ck_assert_int_eq(i.eos, 5);
    ck_assert_int_eq(i.pad, 4);
    ck_assert_uint_eq(i.add_bos + i.add_eos, 0);
    ck_assert_uint_eq(attributes_of(tok, 1), TENON_TOKEN_END);
    table->close(NULL, tok);
}
END_TEST

START_TEST(vocab_txt)
{
    static const int32_t back[] = {6, 3, 4};
    struct tenon_tokenizer_object *tok;
    size_t size;
    char *text;
    file("vocab.txt", "[PAD]\n[UNK]\r\n[CLS]\n##b\nc\n[SEP]\na\n,");
    tok = open_directory();
    CHECK_IDS(tok, "AB, c[CLS]", TENON_ENCODE_SPECIAL, 6, 3, 7, 4, 2);
    CHECK_IDS(tok, "x c", 0, 1, 4);
    ck_assert_int_eq(info_of(tok).bos, 2);
    ck_assert_int_eq(info_of(tok).eos, 5);
    ck_assert_uint_eq(info_of(tok).add_bos, 1);
    text = decode(tok, back, 3, 0, &size);
    ck_assert_uint_eq(size, 4);
    ck_assert_int_eq(memcmp(text, "ab c", 4), 0);
    free(text);
    table->close(NULL, tok);
    test_meta_number(&meta, "tokenizer_config.do_lower_case", 0);
    tok = open_directory();
    CHECK_IDS(tok, "AB c", 0, 1, 4);
    table->close(NULL, tok);
}
END_TEST

START_TEST(what_is_matched)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok = NULL;
    file("config.json", "{}");
    ck_assert_int_eq(table->match(NULL, directory_meta(&d, &meta)), 1); /* to say what is missing */
    ck_assert_int_eq(table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err), TENON_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "has no tokenizer.json"));
    file("tokenizer.model", "x");
    ck_assert_int_gt(table->match(NULL, directory_meta(&d, &meta)), 0);
    ck_assert_int_eq(table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.message, "tokenizer.model is no protocol buffer"));
    file("tokenizer.json", "{" WORDS "}");
    ck_assert_int_eq(table->match(NULL, directory_meta(&d, &meta)), 100);
    ck_assert_int_eq(table->match(NULL, test_meta_table(&meta)), 0); /* a GGUF's */
    ck_assert_int_eq(table->open(NULL, directory_meta(&d, &meta), NULL, &tok, &err), TENON_E_NOT_FOUND);
}
END_TEST

/* ---- any bytes --------------------------------------------------------------------------------------------------- */

static const char *const ways[][2] = {
    {"null", ""}, {"null", SPLIT("x+")}, {"{\"type\":\"NFC\"}", ""}, {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"zz+\"},\"content\":\"z\"}", ""},
};

START_TEST(any_bytes)
{
    struct tenon_tokenizer_object *tok = open_bytes(ways[_i][0], ways[_i][1]);
    char bytes[300];
    seed_random("any_bytes");
    CHECK_IDS(tok, "aaaaaaa a", 0, 257, 256, ID('a'), 258);
    for (int round = 0; round < 500; round++) {
        size_t size = next_random() % sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = "az \xff\x80\xe4\xbd\xa0\xc3\xa4"[next_random() % (round % 2 ? 10 : 3)];
        if (_i < 2) /* no normalizer */
            check_round_trip(tok, bytes, size);
        else {
            uint64_t n;
            free(encode(tok, bytes, size, 0, &n));
        }
    }
    check_long_runs(tok, "json");
    check_threads(tok, bytes, sizeof bytes);
    table->close(NULL, tok);
}
END_TEST

/* U+2581 for spaces and bytes to fall back on, as in Gemma, and chains that are nearly so. */
static const struct {
    const char *with, *pre_tokenizer, *added, *space; /* space: its token, or nothing */
} spaced[] = {
    {"\\u2581", "null", "", "\"\\u2581\":257,"},
    {"\\u2581", "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\",\"invert\":false}",
     "{\"id\":266,\"content\":\"\\n\",\"normalized\":false},{\"id\":267,\"content\":\"\\n  \",\"normalized\":false}", "\"\\u2581\":257,"},
    {"\\u2581", "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Removed\",\"invert\":true}", "", "\"\\u2581\":257,"},
    {"\\u2581", "{\"type\":\"Split\",\"pattern\":{\"String\":\"\\u2581\"},\"behavior\":\"Isolated\"}", "", "\"\\u2581\":257,"},
    {"\\u2581", "null", "{\"id\":266,\"content\":\"a b\",\"normalized\":true}", "\"\\u2581\":257,"},
    {"\\u2581", "null", "", ""},
    {"b", "null", "", "\"\\u2581\":257,"},
};

static struct tenon_tokenizer_object *open_spaced(struct directory *from, int i, const char *further)
{
    char text[1 << 13];
    size_t n = (size_t)sprintf(text, "{\"added_tokens\":[%s],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\","
                               "\"pattern\":{\"String\":\" \"},\"content\":\"%s\"}%s]},\"pre_tokenizer\":%s,\"model\":{\"type\":\"BPE\","
                               "\"byte_fallback\":true,\"unk_token\":\"u\",\"vocab\":{", spaced[i].added, spaced[i].with, further,
                               spaced[i].pre_tokenizer);
    for (int byte = 0; byte < 256; byte++)
        n += (size_t)sprintf(text + n, "\"<0x%02X>\":%d,", byte, byte);
    n += (size_t)sprintf(text + n, "\"u\":256,%s\"a\":258,\"b\":259,\"\\u00e9\":260,\"ab\":261", spaced[i].space);
    sprintf(text + n, "%s}}", spaced[i].space[0] == '\0' ? "},\"merges\":[\"a b\"]"
            : ",\"\\u2581a\":262,\"\\u2581ab\":263,\"\\u2581\\u2581\":264,\"\\u00e9\\u2581\":265},"
              "\"merges\":[\"\\u2581 \\u2581\",\"\\u2581 a\",\"a b\",\"\\u2581a b\",\"\\u00e9 \\u2581\",\"\\u2581 ab\"]");
    directory_add(from, "tokenizer.json", text, strlen(text));
    return open_from(from);
}

/* Text that is taken as it stands becomes what a chain with a step more, which changes nothing, makes of it. */
START_TEST(spaces_as_they_stand)
{
    static const char nothing[] = ",{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u0001\"},\"content\":\"\"}";
    static const char *const parts[] = {"a", "b", " ", " ", "\xe2\x96\x81", "\xc3\xa9", "u", "\xe2", "\x96", "\xff", "z", "\n", "\xe4\xbd\xa0", "a b"};
    struct tenon_tokenizer_object *tok = open_spaced(&d, _i, ""), *long_way = open_spaced(&d2, _i, nothing);
    char text[256];
    int32_t ids[2][3 * sizeof text];
    uint64_t n[2];
    seed_random("spaces_as_they_stand");
    if (_i == 0)
        CHECK_IDS(tok, " ab  \xc3\xa9 b\xe2\x96\x81""a", 0, 263, 264, 265, 259, 262);
    for (int round = 0; round < 1000; round++) {
        size_t size = 0, n_parts = next_random() % 60, kinds = round % 2 ? 6 : sizeof parts / sizeof parts[0];
        for (size_t i = 0; i < n_parts; i++)
            size += (size_t)sprintf(text + size, "%s", parts[next_random() % kinds]);
        ck_assert_int_eq(table->encode(tok, text, size, 0, ids[0], 3 * sizeof text, &n[0], NULL), 0);
        ck_assert_int_eq(table->encode(long_way, text, size, 0, ids[1], 3 * sizeof text, &n[1], NULL), 0);
        ck_assert_msg(n[0] == n[1] && memcmp(ids[0], ids[1], n[0] * sizeof ids[0][0]) == 0, "%llu and %llu ids of \"%.*s\"",
                      (unsigned long long)n[0], (unsigned long long)n[1], (int)size, text);
    }
    table->close(NULL, tok);
    table->close(NULL, long_way);
}
END_TEST

/* The tokenizer's form of a text is utf8proc's. */
static void check_form(struct tenon_tokenizer_object *tok, utf8proc_option_t option, const char *text, size_t size)
{
    utf8proc_uint8_t *want;
    size_t got, capacity = 32 * size; /* forms may be longer than texts */
    uint64_t n;
    int32_t *ids = malloc(capacity * sizeof *ids);
    char *back;
    ck_assert_int_ge(utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &want, option | UTF8PROC_STABLE), 0);
    ck_assert_int_eq(table->encode(tok, text, size, 0, ids, capacity, &n, NULL), 0);
    back = decode(tok, ids, n, 0, &got);
    if (got != strlen((char *)want) || memcmp(back, want, got) != 0)
        ck_abort_msg("form %d of %.*s", (int)option, (int)size, text);
    free(ids);
    free(back);
    free(want);
}

static size_t put(char *text, size_t size, int32_t c)
{
    return size + (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)text + size);
}

/* What is copied as it stands must be what utf8proc leaves, whatever stands beside it; marks are in utf8proc's order, however many. */
START_TEST(forms_of_unicode)
{
    static const char *const names[] = {"NFC", "NFD", "NFKC", "NFKD"};
    static const utf8proc_option_t options[] = {UTF8PROC_COMPOSE, UTF8PROC_DECOMPOSE, UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                                                UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
    static const int32_t beside[] = {'a', 0x301, 0x323, 0x3099, 0x1161, 0x11a8, 0x653, 0x3b1};
    static const int32_t marks[] = {0x300, 0x315, 0x323, 0x345, 0x5b0, 0x3099, 0x334, 0x301, 0x1d165, 0xe1};
    char normalizer[32], text[1024];
    struct tenon_tokenizer_object *tok;
    snprintf(normalizer, sizeof normalizer, "{\"type\":\"%s\"}", names[_i]);
    tok = open_bytes(normalizer, SPLIT("\\\\x00"));
    for (int32_t c = 1; c < 0x20000; c += 1 + c % 3) {
        if (c < 0xd800 || c >= 0xe000)
            check_form(tok, options[_i], text, put(text, put(text, put(text, put(text, 0, beside[c % 8]), c), beside[c / 8 % 8]), c));
    }
    seed_random("forms_of_unicode");
    for (int round = 0; round < 300; round++) {
        size_t size = put(text, 0, 'a'), n = next_random() % (round % 2 ? 8 : 200);
        uint64_t kinds = 2 + next_random() % 9; /* the last of ten is a letter */
        for (size_t i = 0; i < n; i++)
            size = put(text, size, marks[next_random() % kinds]);
        check_form(tok, options[_i], text, size);
    }
    table->close(NULL, tok);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_json");
    TCase *tests = tcase_create("tokenizer_json");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 250);
    tcase_add_test(tests, around_a_text);
    tcase_add_test(tests, vocab_txt);
    tcase_add_test(tests, what_is_matched);
    tcase_add_loop_test(tests, any_bytes, 0, sizeof ways / sizeof ways[0]);
    tcase_add_loop_test(tests, spaces_as_they_stand, 0, sizeof spaced / sizeof spaced[0]);
    tcase_add_loop_test(tests, forms_of_unicode, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
