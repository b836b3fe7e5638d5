/* test_registry.c - plugins on disk, good and bad: the state each ends in, the words it ends with, and that the good one
 * beside it is always usable. Each test gets a fresh tenon directory and cache. This executable is its own probe. */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/cli/commands.h"
#include "core/plugin/presence.h"
#include "core/plugin/probe.h"
#include "core/plugin/verdict.h"
#include "plugin_dirs.h"
#include "suite.h"

/* ---- good ones ---------------------------------------------------------------------------------------------- */

START_TEST(finding_loads_lazily)
{
    const struct tn_item *item;
    put_plugin("crash", "crash.so", -1, 0);
    put_manifest("05-crash.plugin", "format = 1\nlibrary = crash.so\nprovides = other:thing\n");
    reopen();
    expect("10-good.plugin", TN_PLUGIN_AVAILABLE, "");
    expect_good_works();
    expect("10-good.plugin", TN_PLUGIN_LOADED, "");
    expect("05-crash.plugin", TN_PLUGIN_AVAILABLE, ""); /* nobody asked for it */
    ck_assert_int_eq(tn_registry_by_key(reg, "tenon.test/1", "beta", &item, &err), TENON_OK);
    ck_assert_int_eq(tn_registry_by_key(reg, "tenon.test/1", "gamma", &item, &err), TENON_E_NOT_FOUND);
    ck_assert_int_eq(tn_registry_find(reg, "tenon.test/1", NULL, 1, &item, &err), TENON_E_NOT_FOUND);
    ck_assert_int_eq(tn_registry_find(reg, "tenon.test/2", NULL, 0, &item, &err), TENON_E_NOT_FOUND);
    ck_assert_int_eq(tn_registry_find(reg, "nonsense", NULL, 0, &item, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(tn_registry_find(reg, "tenon.backend/1", "cpu", 0, &item, &err), TENON_E_NOT_FOUND);
    ck_assert_msg(strstr(err.message, "no plugin for backend:cpu") != NULL && strstr(err.message, "tenon-backend-cpu") != NULL,
                  "%s", err.message);
}
END_TEST

START_TEST(priority_and_settings)
{
    const struct tn_item *item;
    struct test_table table;
    put_plugin("good", "second.so", -1, 0);
    put_manifest("20-second.plugin", "format = 1\nlibrary = second.so\nprovides = test:good\npriority = 60\nset.value = 7\n");
    reopen();
    ck_assert_int_eq(tn_registry_find(reg, "tenon.test/1", NULL, 0, &item, &err), TENON_OK);
    TENON_COPY_IN(&table, item->impl);
    ck_assert_uint_eq(item->priority, 60);
    ck_assert_int_eq(table.answer(item->self), 7);
    ck_assert_int_eq(tn_registry_find(reg, "tenon.test/1", NULL, 1, &item, &err), TENON_OK);
    ck_assert_uint_eq(item->priority, 50);
    ck_assert_int_eq(table.answer(item->self), 42);
}
END_TEST

START_TEST(layers_merge_and_mask)
{
    char both[2 * sizeof root + 16];
    (void)snprintf(both, sizeof both, "%s/high:%s/tenon", root, root);
    setenv("TENON_PLUGIN_PATH", both, 1);
    put_text("high/plugins.d/10-good.plugin", "format = 1\nenabled = no\n");
    reopen();
    expect("10-good.plugin", TN_PLUGIN_DISABLED, "enabled = no");
    ck_assert_int_eq(unlink(in_root("high/plugins.d/10-good.plugin")), 0);
    ck_assert_int_eq(symlink("/dev/null", path_), 0);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_MASKED, "link to /dev/null");
    ck_assert_int_eq(unlink(path_), 0);
    ck_assert_int_eq(mkdir(path_, 0755), 0);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_REFUSED, "high/plugins.d/10-good.plugin: cannot read: it is not a regular file");
    ck_assert_int_eq(rmdir(in_root("high/plugins.d/10-good.plugin")), 0);
    put_text("high/plugins.d/10-good.plugin", "format = 1\nset.value = 42\n");
    reopen();
    expect_good_works(); /* the library is found beside the file that names it */
}
END_TEST

static void keep_line(void *arg, int32_t level, const char *line)
{
    (void)level;
    (void)snprintf(arg, 200, "%s", line);
}

START_TEST(environment)
{
    const struct tn_item *item;
    char line[200] = "";
    setenv("TENON_PLUGINS_DISABLE", "x good", 1);
    tn_log_set_sink(keep_line, line);
    reopen();
    tn_log_set_sink(NULL, NULL);
    ck_assert_msg(strstr(line, "TENON_PLUGINS_DISABLE: names 'x'") != NULL, "%s", line);
    expect("10-good.plugin", TN_PLUGIN_DISABLED, "TENON_PLUGINS_DISABLE");
    ck_assert_int_eq(tn_registry_find(reg, "tenon.test/1", "good", 0, &item, &err), TENON_E_NOT_FOUND);
    ck_assert_msg(strstr(err.message, "10-good.plugin is disabled") != NULL, "%s", err.message);
    unsetenv("TENON_PLUGINS_DISABLE");
    setenv("TENON_PLUGINS_SELECT", "other", 1);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_DISABLED, "TENON_PLUGINS_SELECT");
    setenv("TENON_PLUGINS_SELECT", "test:good", 1);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_AVAILABLE, "");
    setenv("TENON_PLUGIN_PATH_ADD", "relative/dir", 1);
    tn_registry_destroy(reg);
    reg = NULL;
    ck_assert_int_eq(tn_registry_create(&reg, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_msg(strstr(err.message, "relative/dir") != NULL, "%s", err.message);
}
END_TEST

/* ---- bad ones ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *from;
    enum tn_plugin_state state;
    const char *reason;
} bad[] = {
    {"abi", TN_PLUGIN_REFUSED, "built for plugin ABI 99, this host speaks ABI 1"},
    {"no_symbol", TN_PLUGIN_REFUSED, "does not export tenon_plugin_entry"},
    {"crash", TN_PLUGIN_QUARANTINED, "crashed (SIGSEGV) in init"},
    {"crash_loading", TN_PLUGIN_QUARANTINED, "crashed (SIGBUS) while it was loaded"},
    {"exit", TN_PLUGIN_QUARANTINED, "ended the process (exit code 0) in init"},
    {"init_fails", TN_PLUGIN_FAILED, "its init failed: the device has no power: plug it in"},
    {"struct_size", TN_PLUGIN_REFUSED, "struct_size is 7, which cannot be"},
    {"incomplete", TN_PLUGIN_REFUSED, "weights:good: \"probe\" of tenon.weights/1 is mandatory"},
    {"missing_library", TN_PLUGIN_FAILED, "needs the library libtenon_test_gone.so, which is not installed"},
};

START_TEST(bad_code)
{
    const struct tn_item *item;
    put_plugin(bad[_i].from, "bad.so", -1, 0);
    put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:good weights:good\n");
    reopen();
    expect_good_works(); /* asks the bad one first */
    expect("05-bad.plugin", bad[_i].state, bad[_i].reason);
    expect("05-bad.plugin", bad[_i].state, "bad.so");
    ck_assert_int_eq(tn_registry_find(reg, "tenon.weights/1", NULL, 0, &item, &err), TENON_E_NOT_FOUND);
    ck_assert_msg(strstr(err.message, bad[_i].reason) != NULL, "%s", err.message);
    put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:good\ncritical = yes\n");
    reopen();
    ck_assert_int_ne(tn_registry_start(reg, &err), TENON_OK);
    ck_assert_msg(strstr(err.message, "critical plugin") != NULL && strstr(err.message, bad[_i].reason) != NULL, "%s", err.message);
}
END_TEST

static void expect_static(const char *file, enum tn_plugin_state state, const char *reason)
{
    reopen();
    expect(file, state, reason); /* known without opening */
    expect_good_works();
    expect(file, state, reason);
}

START_TEST(another_machine)
{
    bool on_x86 = strcmp(tn_presence_arch(), "x86_64") == 0;
    put_plugin("good", "bad.so", 18, on_x86 ? (char)183 : 62); /* e_machine */
    put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:good\n");
    expect_static("05-bad.plugin", TN_PLUGIN_REFUSED, on_x86 ? "built for aarch64 (ELF machine 183), this machine is x86_64"
                                                             : "built for x86_64 (ELF machine 62), this machine is");
    put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:good\narch = pdp11 vax\n");
    expect_static("05-bad.plugin", TN_PLUGIN_SKIPPED, "it is for pdp11 and others, this machine is");
}
END_TEST

START_TEST(not_there)
{
    put_manifest("05-bad.plugin", "format = 1\nlibrary = gone.so\nprovides = test:good\n");
    expect_static("05-bad.plugin", TN_PLUGIN_FAILED, "tenon/gone.so: No such file or directory: install the package");
    put_manifest("05-bad.plugin", "format = 1\nprovides = test:good\n");
    expect_static("05-bad.plugin", TN_PLUGIN_SKIPPED, "no manifest of that name sets a library");
    put_manifest("05-bad.plugin", "format = 1\nlibrary = good.so\nprovides = test:good\nneeds = path:/dev/tenon-none\n");
    expect_static("05-bad.plugin", TN_PLUGIN_SKIPPED, "needs /dev/tenon-none, which is not here");
    put_manifest("05-bad.plugin", "format = 1\nlibrary = good.so\nprovides = test:good\nneeds = lib:libtenon-none.so.9\n");
    expect_static("05-bad.plugin", TN_PLUGIN_SKIPPED, "needs libtenon-none.so.9, which is not here");
    put_manifest("05-bad.plugin", "format = 1\nlibrary = good.so\nprovides = x:y\nneeds = path:/dev/null lib:libc.so.6\n");
    expect_static("05-bad.plugin", TN_PLUGIN_AVAILABLE, "");
    put_text("tenon/text.so", "no ELF at all, but long enough\n");
    put_manifest("05-bad.plugin", "format = 1\nlibrary = text.so\nprovides = test:good\n");
    expect_static("05-bad.plugin", TN_PLUGIN_REFUSED, "not a shared object");
    put_manifest("05-bad.plugin", "format = 1\nlibary = good.so\n");
    expect_static("05-bad.plugin", TN_PLUGIN_REFUSED, "05-bad.plugin:2: unknown key \"libary\": known keys are");
}
END_TEST

START_TEST(untrusted)
{
    put_plugin("good", "bad.so", -1, 0);
    put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:good\n");
    ck_assert_int_eq(chmod(in_root("tenon/bad.so"), 0666), 0);
    expect_static("05-bad.plugin", TN_PLUGIN_REFUSED, "tenon/bad.so: mode 0666 lets others write: chmod go-w");
    ck_assert_int_eq(chmod(in_root("tenon/bad.so"), 0664), 0);
    expect_static("05-bad.plugin", TN_PLUGIN_REFUSED, "mode 0664 lets others write");
    ck_assert_int_eq(unlink(in_root("tenon/bad.so")), 0);
    put_text("outside.so", "x");
    ck_assert_int_eq(symlink("../outside.so", in_root("tenon/bad.so")), 0);
    expect_static("05-bad.plugin", TN_PLUGIN_REFUSED, "outside of every plugin directory");
    ck_assert_int_eq(unlink(in_root("tenon/bad.so")), 0);
    ck_assert_int_eq(symlink("good.so", in_root("tenon/bad.so")), 0);
    reopen();
    expect("05-bad.plugin", TN_PLUGIN_AVAILABLE, ""); /* a link that stays inside */
}
END_TEST

START_TEST(untrusted_places)
{
    const struct tn_item *item;
    ck_assert_int_eq(chmod(in_root("tenon/plugins.d/10-good.plugin"), 0646), 0);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_REFUSED, "10-good.plugin: mode 0646 lets others write");
    ck_assert_int_eq(chmod(path_, 0644), 0);
    ck_assert_int_eq(chmod(in_root("tenon"), 0777), 0);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_REFUSED, "/tenon: mode 0777 lets others write");
    ck_assert_int_eq(tn_registry_find(reg, "tenon.test/1", NULL, 0, &item, &err), TENON_E_NOT_FOUND);
    ck_assert_msg(strstr(err.message, "mode 0777 lets others write") != NULL, "%s", err.message); /* no "install one" */
    if (geteuid() != 0)
        return; /* only root can give files away */
    ck_assert_int_eq(chmod(in_root("tenon"), 0755), 0);
    ck_assert_int_eq(chown(in_root("tenon/good.so"), 12345, 12345), 0);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_REFUSED, "belongs to user 12345");
}
END_TEST

/* ---- first contact ------------------------------------------------------------------------------------------ */

START_TEST(hang_is_cut_short)
{
    struct tn_probe probe;
    ck_assert_int_eq(tn_probe_run_for(TEST_PLUGINS "/hang.so", NULL, 1500, &probe, &err), TENON_OK);
    ck_assert_int_eq(probe.outcome, TN_PROBE_BAD);
    ck_assert_str_eq(probe.reason, "hung for 1.5 s in init");
}
END_TEST

/* Run before this executable has called tn_probe_main: as in an application that links libtenon. */
START_TEST(foreign_executable_forks)
{
    struct tn_probe probe;
    ck_assert_int_eq(tn_probe_run(TEST_PLUGINS "/good.so", NULL, &probe, &err), TENON_OK);
    ck_assert_int_eq(probe.outcome, TN_PROBE_GOOD);
    ck_assert_str_eq(probe.id, "org.tenon.test.good");
    ck_assert_int_eq(tn_probe_run(TEST_PLUGINS "/crash.so", NULL, &probe, &err), TENON_OK);
    ck_assert_int_eq(probe.outcome, TN_PROBE_BAD);
    ck_assert_str_eq(probe.reason, "crashed (SIGSEGV) in init");
    ck_assert_int_eq(tn_probe_run_for(TEST_PLUGINS "/hang.so", NULL, 300, &probe, &err), TENON_OK);
    ck_assert_int_eq(probe.outcome, TN_PROBE_FAILED); /* a hang may be the fork's fault */
}
END_TEST

static void record_number(uint64_t i)
{
    struct tn_verdicts v = {0};
    struct tn_verdict verdict = {.identity = {.dev = 1, .ino = i, .size = 5}, .good = true};
    tn_verdicts_open(&v);
    int32_t rc = tn_verdicts_record(&v, &verdict, &err);
    tn_verdicts_finish(&v);
    _exit(rc == TENON_OK ? 0 : 1);
}

START_TEST(several_processes_remember)
{
    enum { N = 12 };
    struct tn_verdicts v = {0};
    pid_t children[N];
    for (uint64_t i = 0; i < N; i++)
        if ((children[i] = fork()) == 0)
            record_number(i + 100);
    for (int i = 0; i < N; i++) {
        int status = -1;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    tn_verdicts_open(&v);
    ck_assert_uint_eq(v.n, N);
    tn_verdicts_finish(&v);
}
END_TEST

START_TEST(verdicts_are_remembered)
{
    struct tn_plugin_info p;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    put_plugin("crash", "bad.so", -1, 0);
    put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:good\n");
    reopen();
    expect_good_works();
    reopen();
    expect("05-bad.plugin", TN_PLUGIN_QUARANTINED, "crashed (SIGSEGV) in init"); /* from the cache, before any probe */
    (void)index_of("10-good.plugin", &p);
    ck_assert_str_eq(p.id, "org.tenon.test.good");
    ck_assert_str_eq(p.version, "1.2");
    ck_assert_int_eq(utimensat(AT_FDCWD, in_root("tenon/bad.so"), times, 0), 0);
    reopen();
    expect("05-bad.plugin", TN_PLUGIN_AVAILABLE, "");
    expect_good_works();
    expect("05-bad.plugin", TN_PLUGIN_QUARANTINED, "crashed"); /* the same content */
    put_plugin("good", "bad.so", -1, 0);
    reopen();
    expect("05-bad.plugin", TN_PLUGIN_AVAILABLE, ""); /* another file */
    ck_assert_int_eq(tn_registry_load(reg, index_of("05-bad.plugin", &p), &err), TENON_OK);
}
END_TEST

START_TEST(check_lifts_quarantine)
{
    struct tn_plugin_info p;
    char *text;
    uint64_t size;
    reopen();
    expect_good_works();
    /* Condemn the good plugin as an unlucky run would have, then check it. */
    ck_assert_int_eq(tn_file_read(in_root("cache/tenon/plugins.json"), 1 << 20, &text, &size, &err), TENON_OK);
    char *condemned = malloc(size + 2);
    char *good = strstr(text, "true");
    ck_assert_ptr_nonnull(good);
    size_t before = (size_t)(good - text);
    memcpy(condemned, text, before);
    memcpy(condemned + before, "false", 5);
    memcpy(condemned + before + 5, good + 4, size - before - 4);
    ck_assert_int_eq(tn_file_replace(path_, condemned, size + 1, &err), TENON_OK);
    free(condemned);
    free(text);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_QUARANTINED, "tenon plugins check good");
    ck_assert_int_eq(tn_registry_check(reg, index_of("10-good.plugin", &p), &err), TENON_OK);
    reopen();
    expect("10-good.plugin", TN_PLUGIN_AVAILABLE, "");
}
END_TEST

START_TEST(broken_or_missing_cache)
{
    static const char *const contents[] = {"", "{", "[]", "null", "{\"host\":3}", "{\"host\":\"0.1.0\",\"files\":[1,{},{\"dev\":1}]}"};
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        ck_assert_int_eq(tn_file_mkdirs(in_root("cache/tenon"), &err), TENON_OK);
        put_text("cache/tenon/plugins.json", contents[i]);
        reopen();
        expect_good_works();
    }
    setenv("XDG_CACHE_HOME", "/proc/none", 1); /* cannot be made, not even by root */
    reopen();
    expect_good_works();
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    reopen();
    expect_good_works();
}
END_TEST

START_TEST(broken_promise)
{
    struct tn_plugin_info p;
    put_manifest("10-good.plugin", "format = 1\nlibrary = good.so\nprovides = test:good test:alpha test:more\n");
    reopen();
    ck_assert_int_eq(tn_registry_check(reg, index_of("10-good.plugin", &p), &err), TENON_E_FAILED_PRECONDITION);
    ck_assert_msg(strstr(err.message, "provides = test:more") != NULL, "%s", err.message);
}
END_TEST

/* ---- static plugins ----------------------------------------------------------------------------------------- */

static const struct test_table static_table = {.struct_size = sizeof static_table};
static const struct tenon_item static_items[] = {TENON_ITEM("tenon.test/1", "static", NULL, &static_table)};
static int n_fini;
static void static_fini(void *self)
{
    (void)self;
    n_fini++;
}
static const struct tenon_plugin static_plugin = {
    .struct_size = sizeof static_plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.static",
    .version = "1", .items = static_items, .n_items = 1, .item_stride = sizeof static_items[0], .fini = static_fini};

static int32_t static_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin)
{
    (void)host_abi_max;
    *ret_plugin = &static_plugin;
    return TENON_OK;
}

static int32_t empty_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin)
{
    (void)host_abi_max, (void)ret_plugin;
    return TENON_E_FAILED_PRECONDITION;
}

START_TEST(static_plugins)
{
    const struct tn_item *item;
    reopen();
    ck_assert_int_eq(tn_registry_add_static(reg, static_entry, "in", &err), TENON_OK);
    ck_assert_int_eq(tn_registry_add_static(reg, empty_entry, "empty", &err), TENON_OK);
    expect("in", TN_PLUGIN_AVAILABLE, "");
    expect("empty", TN_PLUGIN_REFUSED, "gave no descriptor");
    ck_assert_int_eq(tn_registry_find(reg, "tenon.test/1", "static", 0, &item, &err), TENON_OK);
    expect("in", TN_PLUGIN_LOADED, "");
    expect("10-good.plugin", TN_PLUGIN_AVAILABLE, "");
    tn_registry_destroy(reg);
    reg = NULL;
    ck_assert_int_eq(n_fini, 1);
}
END_TEST

/* ---- the command -------------------------------------------------------------------------------------------- */

/* Run `tenon plugins ...` with stdout in a file; its content. OWN: caller. */
static char *run_command(int expected_code, int argc, char **argv)
{
    char *text;
    uint64_t size;
    char out[PATH_MAX];
    (void)snprintf(out, sizeof out, "%s", in_root("out"));
    (void)fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int fd = open(out, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(dup2(fd, STDOUT_FILENO), 0);
    int code = tn_cmd_plugins(argc, argv);
    (void)fflush(stdout);
    ck_assert_int_ge(dup2(saved, STDOUT_FILENO), 0);
    (void)close(fd);
    (void)close(saved);
    ck_assert_int_eq(code, expected_code);
    ck_assert_int_eq(tn_file_read(out, 1 << 20, &text, &size, &err), TENON_OK);
    return text;
}

#define RUN(code, ...) run_command(code, (int)(sizeof(char *[]){__VA_ARGS__} / sizeof(char *)), (char *[]){__VA_ARGS__})

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
    return text != NULL ? text : "(not a string)";
}

START_TEST(command)
{
    put_plugin("abi", "bad.so", -1, 0);
    put_manifest("20-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:bad\n");
    char *text = RUN(0, "plugins", "list", "--json");
    cJSON *json = cJSON_Parse(text);
    ck_assert_int_eq(cJSON_GetArraySize(json), 2);
    ck_assert_str_eq(text_of(cJSON_GetArrayItem(json, 0), "file"), "10-good.plugin");
    ck_assert_str_eq(text_of(cJSON_GetArrayItem(json, 0), "state"), "available");
    ck_assert_str_eq(text_of(cJSON_GetArrayItem(json, 1), "state"), "available"); /* unopened */
    cJSON_Delete(json);
    free(text);
    text = RUN(1, "plugins", "check", "--json");
    json = cJSON_Parse(text);
    ck_assert_str_eq(text_of(cJSON_GetArrayItem(json, 0), "state"), "loaded");
    ck_assert_str_eq(text_of(cJSON_GetArrayItem(json, 1), "state"), "refused");
    ck_assert(strstr(text_of(cJSON_GetArrayItem(json, 1), "reason"), "ABI 99") != NULL);
    cJSON_Delete(json);
    free(text);
    text = RUN(0, "plugins", "show", "test:good", "--json");
    json = cJSON_Parse(text);
    ck_assert(cJSON_IsObject(json));
    ck_assert_str_eq(text_of(json, "id"), "org.tenon.test.good");
    ck_assert_str_eq(text_of(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "items"), 0), "iface"), "tenon.test/1");
    cJSON_Delete(json);
    free(text);
    text = RUN(0, "plugins", "show", "good");
    ck_assert(strstr(text, "org.tenon.test.good") != NULL && strstr(text, "keys alpha beta") != NULL);
    free(text);
    free(RUN(0, "plugins", "check", "good"));
    free(RUN(0, "plugins", "--help"));
    free(RUN(1, "plugins", "show", "nothing"));
    free(RUN(2, "plugins", "show"));
    free(RUN(2, "plugins", "explode"));
    free(RUN(2, "plugins", "--yaml"));
}
END_TEST

static Suite *foreign_suite(void)
{
    Suite *suite = suite_create("foreign");
    TCase *tests = tcase_create("foreign");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, foreign_executable_forks);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(int argc, char **argv)
{
    int failed = argc == 1 ? run_suite(foreign_suite()) : 0; /* a probe has arguments */
    int code = tn_probe_main(argc, argv);
    if (code >= 0)
        return code;
    Suite *suite = suite_create("registry");
    TCase *tests = tcase_create("registry");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, finding_loads_lazily);
    tcase_add_test(tests, priority_and_settings);
    tcase_add_test(tests, layers_merge_and_mask);
    tcase_add_test(tests, environment);
    tcase_add_loop_test(tests, bad_code, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(tests, another_machine);
    tcase_add_test(tests, not_there);
    tcase_add_test(tests, untrusted);
    tcase_add_test(tests, untrusted_places);
    tcase_add_test(tests, hang_is_cut_short);
    tcase_add_test(tests, several_processes_remember);
    tcase_add_test(tests, verdicts_are_remembered);
    tcase_add_test(tests, check_lifts_quarantine);
    tcase_add_test(tests, broken_or_missing_cache);
    tcase_add_test(tests, broken_promise);
    tcase_add_test(tests, static_plugins);
    tcase_add_test(tests, command);
    suite_add_tcase(suite, tests);
    return run_suite(suite) != 0 || failed != 0;
}
