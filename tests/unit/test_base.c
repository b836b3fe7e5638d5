/* test_base.c - maps, checked arithmetic, strings, files and digests. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/map.h"
#include "core/base/num.h"
#include "core/base/str.h"
#include "suite.h"

START_TEST(map_keeps_order_and_finds_all)
{
    struct tn_map map = {0};
    static int values[5000];
    char key[16];
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(tn_map_put(&map, key, (uint64_t)n, &values[i]), TENON_OK);
    }
    ck_assert_uint_eq(map.n, 5000);
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(key, sizeof key, "k%d", i);
        ck_assert_ptr_eq(tn_map_get(&map, key, (uint64_t)n), &values[i]);
        ck_assert_str_eq(map.entries[i].key, key);
    }
    ck_assert_ptr_null(tn_map_get(&map, "k5000", 5));
    ck_assert_ptr_null(tn_map_get(&map, "k1", 1));
    ck_assert_int_eq(tn_map_put(&map, "k7", 2, NULL), TENON_OK); /* replaces */
    ck_assert_uint_eq(map.n, 5000);
    ck_assert_ptr_null(tn_map_get(&map, "k7", 2));
    ck_assert_ptr_nonnull(tn_map_find(&map, "k7", 2));
    tn_map_finish(&map, NULL);
}
END_TEST

START_TEST(map_takes_any_bytes)
{
    struct tn_map map = {0};
    int a, b, c;
    ck_assert_ptr_null(tn_map_get(&map, "", 0));
    ck_assert_int_eq(tn_map_put(&map, NULL, 0, &a), TENON_OK);
    ck_assert_int_eq(tn_map_put(&map, "\0", 1, &b), TENON_OK);
    ck_assert_int_eq(tn_map_put(&map, "\0\0", 2, &c), TENON_OK);
    ck_assert_ptr_eq(tn_map_get(&map, "", 0), &a);
    ck_assert_ptr_eq(tn_map_get(&map, "\0", 1), &b);
    ck_assert_ptr_eq(tn_map_get(&map, "\0\0", 2), &c);
    tn_map_finish(&map, NULL);
}
END_TEST

START_TEST(arithmetic_says_when_it_does_not_fit)
{
    uint64_t r = 5;
    ck_assert(!tn_add_u64(UINT64_MAX, 1, &r) && !tn_sub_u64(1, 2, &r) && !tn_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &r));
    ck_assert(!tn_align_u64(UINT64_MAX - 3, 8, &r));
    ck_assert_uint_eq(r, 5);
    ck_assert(tn_align_u64(9, 8, &r) && r == 16);
    ck_assert(tn_align_u64(16, 8, &r) && r == 16);
    ck_assert(tn_mul_u64(UINT32_MAX, UINT32_MAX, &r) && r == UINT64_C(0xfffffffe00000001));
}
END_TEST

START_TEST(strings)
{
    struct tn_strlist list = {0};
    uint64_t n;
    bool b = false;
    ck_assert_int_eq(tn_strlist_split(&list, ", b  a,c ", " ,"), TENON_OK);
    ck_assert_uint_eq(list.n, 3);
    tn_strlist_sort(&list);
    ck_assert_str_eq(list.items[0], "a");
    ck_assert(tn_strlist_has(&list, "c") && !tn_strlist_has(&list, ""));
    tn_strlist_finish(&list);
    ck_assert(tn_str_u64("18446744073709551615", &n) && n == UINT64_MAX);
    ck_assert(!tn_str_u64("18446744073709551616", &n) && !tn_str_u64("", &n) && !tn_str_u64("1x", &n) && !tn_str_u64("-1", &n));
    ck_assert(tn_str_bool("on", &b) && b && tn_str_bool("no", &b) && !b && !tn_str_bool("", &b));
    ck_assert(tn_str_starts("abc", "ab") && !tn_str_starts("a", "ab") && tn_str_ends("abc", "bc") && !tn_str_ends("c", "bc"));
}
END_TEST

START_TEST(text_that_a_terminal_may_obey)
{
    static const char *const pairs[][2] = {
        {"plain, Modèle, 模型, 🦙", "plain, Modèle, 模型, 🦙"},
        {"\x1b[31m\a\x7f", "?[31m??"},
        {"\xc2\x9b" "31m", "??31m"},                 /* CSI as one character */
        {"\xff\xfe a\xe6\xa8", "?? a??"},            /* no UTF-8; cut off */
        {"\xe2\x80\xae" "gpj.exe", "???gpj.exe"},     /* from right to left */
        {"\xe2\x81\xa6" "a\xe2\x81\xa9\xe2\x80\x8e\xd8\x9c", "???a????????"}, /* isolates and marks of direction */
        {"\xe2\x80\xa8" "b\xe2\x80\xa9", "???b???"}, /* separators of lines and paragraphs */
        {"\xe2\x80\x8d", "\xe2\x80\x8d"},           /* a joiner is none of these */
        {"\xed\xa0\x80", "???"},                     /* half of a pair */
        {"\xc0\xaf", "??"},                          /* longer than need be */
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[64];
        strcpy(text, pairs[i][0]);
        tn_str_clean(text, strlen(text));
        ck_assert_str_eq(text, pairs[i][1]);
    }
}
END_TEST

START_TEST(files)
{
    char dir[] = "/tmp/tenon-test-XXXXXX";
    char path[128], *text = NULL;
    uint64_t size;
    char hex[TN_SHA256_HEX];
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/a/b/f", dir);
    ck_assert_int_eq(tn_file_read(path, 10, &text, &size, &err), TENON_E_NOT_FOUND);
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(tn_file_mkdirs(path, &err), TENON_OK);
    ck_assert_int_eq(tn_file_mkdirs(path, &err), TENON_OK);
    ck_assert_int_eq(tn_file_read(path, 10, &text, &size, &err), TENON_E_INVALID_ARGUMENT);
    strcat(path, "/f");
    ck_assert_int_eq(tn_file_replace(path, "old", 3, &err), TENON_OK);
    ck_assert_int_eq(tn_file_replace(path, "abc", 3, &err), TENON_OK);
    ck_assert_int_eq(tn_file_read(path, 2, &text, &size, &err), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(tn_file_read(path, 3, &text, &size, &err), TENON_OK);
    ck_assert_str_eq(text, "abc");
    ck_assert_int_eq(tn_sha256(text, size, hex, &err), TENON_OK);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    free(text);
    ck_assert_int_eq(unlink(path), 0);
    for (int i = 0; i < 3; i++) {
        *strrchr(path, '/') = '\0';
        ck_assert_int_eq(rmdir(path), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_add_test(tests, map_keeps_order_and_finds_all);
    tcase_add_test(tests, map_takes_any_bytes);
    tcase_add_test(tests, arithmetic_says_when_it_does_not_fit);
    tcase_add_test(tests, strings);
    tcase_add_test(tests, text_that_a_terminal_may_obey);
    tcase_add_test(tests, files);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
