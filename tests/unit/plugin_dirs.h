/* plugin_dirs.h - a fresh tenon directory and cache for each test of the registry, with one good plugin in it.
 *
 *     tcase_add_checked_fixture(tests, start, end);
 *
 *     put_plugin("crash", "bad.so", -1, 0);                  // of tests/plugins_bad
 *     put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = test:good\n");
 *     reopen();
 *     expect_good_works();
 *     expect("05-bad.plugin", TN_PLUGIN_QUARANTINED, "crashed");
 *
 * What goes wrong here fails the test. One thread.
 */
#ifndef TESTS_PLUGIN_DIRS_H
#define TESTS_PLUGIN_DIRS_H

#include <limits.h>

#include "core/plugin/registry.h"

struct test_table {
    uint32_t struct_size;
    uint32_t reserved;
    int32_t (*answer)(void *self);
};

extern char root[64];        /* of this test */
extern char path_[PATH_MAX]; /* of the last in_root */
extern struct tn_registry *reg;
extern struct tenon_err err;

void start(void);
void end(void);

/* root/rest, until the next call. */
const char *in_root(const char *rest);
void put_text(const char *rest, const char *text);
/* Copy one of the test plugins to tenon/FILE, with `patch` written over byte `at` when at >= 0. */
void put_plugin(const char *from, const char *file, long at, char patch);
void put_manifest(const char *file, const char *text);

/* A new registry over the directory. */
void reopen(void);
uint32_t index_of(const char *file, struct tn_plugin_info *ret);
/* The plugin of manifest FILE is in that state, and `reason` is in its words. */
void expect(const char *file, enum tn_plugin_state state, const char *reason);
void expect_good_works(void);

#endif
