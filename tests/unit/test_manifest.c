/* test_manifest.c - what manifests may say, what they may not and in which words, and merging. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ini.h"
#include "core/plugin/manifest.h"
#include "suite.h"

static struct tn_manifest m;
static struct tenon_err err = TENON_ERR_INIT;

static void start(void)
{
    tn_manifest_init(&m);
}

static void end(void)
{
    tn_manifest_finish(&m);
}

static int32_t apply(const char *text, const char *dir)
{
    return tn_manifest_apply(&m, text, strlen(text), "/p/50-x.plugin", dir, &err);
}

START_TEST(all_keys)
{
    ck_assert_int_eq(apply("# comment\n; comment\n\nformat = 1\r\nlibrary=sub/x.so\narch = x86_64 aarch64\n"
                           "provides = model:llama, model:mistral\nprovides = backend:cpu\nneeds = path:/dev/null\n"
                           "critical = yes\npriority = 70\nenabled = on\nset.a.b = 1 = 2\nset.empty =\n", "/usr/lib/tenon"), TENON_OK);
    ck_assert_str_eq(m.library, "sub/x.so");
    ck_assert_str_eq(m.library_dir, "/usr/lib/tenon");
    ck_assert_uint_eq(m.arch.n, 2);
    ck_assert_uint_eq(m.provides.n, 3);
    ck_assert(m.critical && m.enabled);
    ck_assert_uint_eq(m.priority, 70);
    ck_assert_str_eq(tn_map_get(&m.settings, "a.b", 3), "1 = 2");
    ck_assert_str_eq(tn_map_get(&m.settings, "empty", 5), "");
    ck_assert(tn_manifest_provides(&m, "model", "mistral") && tn_manifest_provides(&m, "backend", NULL));
    ck_assert(!tn_manifest_provides(&m, "model", "mist") && !tn_manifest_provides(&m, "mod", NULL));
}
END_TEST

START_TEST(higher_layer_replaces_keys)
{
    ck_assert_int_eq(apply("format = 1\nlibrary = x.so\nprovides = a:b c:d\nset.k = low\nset.l = low\n", "/low"), TENON_OK);
    ck_assert_int_eq(apply("format = 1\nenabled = no\nprovides = e:f\nset.k = high\n", "/high"), TENON_OK);
    ck_assert(!m.enabled);
    ck_assert_str_eq(m.library_dir, "/low"); /* a library lies where the file lies that names it */
    ck_assert_uint_eq(m.provides.n, 1);
    ck_assert_str_eq(m.provides.items[0], "e:f");
    ck_assert_str_eq(tn_map_get(&m.settings, "k", 1), "high");
    ck_assert_str_eq(tn_map_get(&m.settings, "l", 1), "low");
    ck_assert_uint_eq(m.paths.n, 2);
}
END_TEST

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static const struct {
    const char *text, *message;
} bad[] = {
    {"", "no format: add the line"},
    {"library = x.so\n", "no format"},
    {"format = 2\n", "50-x.plugin:1: format 2 is unknown"},
    {"format = 1\nlibary = x.so\n", "50-x.plugin:2: unknown key \"libary\": known keys are format library arch"},
    {"format = 1\nformat = 1\n", ":2: key \"format\" is there twice"},
    {"format = 1\nlibrary = a.so\nlibrary = b.so\n", ":3: key \"library\" is there twice"},
    {"format = 1\n\n enabled = no\n", ":3: the line is indented"},
    {"format = 1\n\t\n", ":2: the line is indented"},
    {"format = 1\n[section]\n", ":2: there are no sections"},
    {"format = 1\nset.x = a ; b\n", "comment after a value"},
    {"format = 1\nset.x = " X100 X100 "\n", ":2: the line has 208 bytes, at most 190"},
    {"format = 1\nenabled\n", ":2: no \"=\""},
    {"format = 1\nenabled = maybe\n", ":2: cannot read \"maybe\": write yes or no"},
    {"format = 1\npriority = -1\n", "priority \"-1\""},
    {"format = 1\npriority = 99999999999999999999\n", "number from 0 to 1000"},
    {"format = 1\nlibrary = /x.so\n", "below the tenon directory"},
    {"format = 1\nlibrary = a/../../x.so\n", "below the tenon directory"},
    {"format = 1\nlibrary = ..\n", "below the tenon directory"},
    {"format = 1\nlibrary =\n", "below the tenon directory"},
    {"format = 1\nprovides = gguf\n", "cannot read \"gguf\": write kind:name"},
    {"format = 1\nprovides = weights:GGUF\n", "write kind:name"},
    {"format = 1\nprovides = :x\n", "write kind:name"},
    {"format = 1\nprovides = ,\n", "no value"},
    {"format = 1\nneeds = /dev/x\n", "write path:/absolute"},
    {"format = 1\nneeds = path:dev/x\n", "write path:/absolute"},
    {"format = 1\nneeds = lib:/x.so\n", "lib:libname"},
    {"format = 1\nset. = 1\n", "setting's name"},
    {"format = 1\nset.a = \001\n", "control character"},
};

START_TEST(refusals)
{
    ck_assert_int_eq(apply(bad[_i].text, "/d"), TENON_E_INVALID_ARGUMENT);
    ck_assert_msg(strstr(err.message, bad[_i].message) != NULL, "expected \"%s\" in \"%s\"", bad[_i].message, err.message);
    ck_assert_msg(strstr(err.message, "/p/50-x.plugin") != NULL, "the file is not named: %s", err.message);
}
END_TEST

START_TEST(longest_line_passes)
{
    char text[300] = "format = 1\nset.x = ";
    size_t start_of_line = strlen("format = 1\n");
    size_t n = strlen(text);
    while (n - start_of_line < TN_INI_MAX_LINE)
        text[n++] = 'y';
    text[n] = '\0';
    ck_assert_int_eq(apply(text, "/d"), TENON_OK);
    ck_assert_uint_eq(strlen(tn_map_get(&m.settings, "x", 1)), TN_INI_MAX_LINE - strlen("set.x = "));
}
END_TEST

START_TEST(too_large_and_nul)
{
    char *text = malloc(TN_MANIFEST_MAX_SIZE + 1);
    memset(text, '\n', TN_MANIFEST_MAX_SIZE + 1);
    ck_assert_int_eq(tn_manifest_apply(&m, text, TN_MANIFEST_MAX_SIZE + 1, "/p/x", "/d", &err), TENON_E_INVALID_ARGUMENT);
    free(text);
    ck_assert_int_eq(tn_manifest_apply(&m, "format = 1\nset.a=b\0c\n", 21, "/p/x", "/d", &err), TENON_E_INVALID_ARGUMENT);
    ck_assert(strstr(err.message, "control character") != NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest");
    TCase *tests = tcase_create("manifest");
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, all_keys);
    tcase_add_test(tests, higher_layer_replaces_keys);
    tcase_add_loop_test(tests, refusals, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(tests, longest_line_passes);
    tcase_add_test(tests, too_large_and_nul);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
