/* plugin_dirs.c - see plugin_dirs.h. */
#include "plugin_dirs.h"

#include <check.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

char root[64];
char path_[PATH_MAX];
struct tn_registry *reg;
struct tenon_err err = TENON_ERR_INIT;

const char *in_root(const char *rest)
{
    (void)snprintf(path_, sizeof path_, "%s/%s", root, rest);
    return path_;
}

static void put_file(const char *rest, const char *data, size_t size, mode_t mode)
{
    FILE *f = fopen(in_root(rest), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path_, mode), 0);
}

void put_text(const char *rest, const char *text)
{
    put_file(rest, text, strlen(text), 0644);
}

void put_plugin(const char *from, const char *file, long at, char patch)
{
    char source[PATH_MAX], rest[128];
    char *data;
    uint64_t size;
    (void)snprintf(source, sizeof source, TEST_PLUGINS "/%s.so", from);
    ck_assert_int_eq(tn_file_read(source, 1 << 26, &data, &size, &err), TENON_OK);
    if (at >= 0)
        data[at] = patch;
    (void)snprintf(rest, sizeof rest, "tenon/%s", file);
    put_file(rest, data, size, 0644);
    free(data);
}

void put_manifest(const char *file, const char *text)
{
    char rest[128];
    (void)snprintf(rest, sizeof rest, "tenon/plugins.d/%s", file);
    put_text(rest, text);
}

void start(void)
{
    strcpy(root, "/tmp/tenon-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(tn_file_mkdirs(in_root("tenon/plugins.d"), &err), TENON_OK);
    ck_assert_int_eq(mkdir(in_root("high"), 0755), 0);
    ck_assert_int_eq(mkdir(in_root("high/plugins.d"), 0755), 0);
    setenv("XDG_CACHE_HOME", in_root("cache"), 1);
    setenv("XDG_CONFIG_HOME", in_root("config"), 1);
    setenv("TENON_PLUGIN_PATH", in_root("tenon"), 1);
    put_plugin("good", "good.so", -1, 0);
    put_manifest("10-good.plugin", "format = 1\nlibrary = good.so\nprovides = test:good\n");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void end(void)
{
    tn_registry_destroy(reg);
    reg = NULL;
    (void)nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void reopen(void)
{
    tn_registry_destroy(reg);
    reg = NULL;
    ck_assert_msg(tn_registry_create(&reg, &err) == TENON_OK, "%s", err.message);
}

uint32_t index_of(const char *file, struct tn_plugin_info *ret)
{
    for (uint32_t i = 0; tn_registry_at(reg, i, ret); i++)
        if (strcmp(ret->file, file) == 0)
            return i;
    ck_abort_msg("%s is not listed", file);
    return 0;
}

void expect(const char *file, enum tn_plugin_state state, const char *reason)
{
    struct tn_plugin_info p;
    (void)index_of(file, &p);
    ck_assert_msg(p.state == state, "%s is %s, not %s: %s", file, tn_plugin_state_text(p.state),
                  tn_plugin_state_text(state), p.reason);
    ck_assert_msg(strstr(p.reason, reason) != NULL, "expected \"%s\" in \"%s\"", reason, p.reason);
}

void expect_good_works(void)
{
    const struct tn_item *item;
    struct test_table table;
    ck_assert_msg(tn_registry_find(reg, "tenon.test/1", "good", 0, &item, &err) == TENON_OK, "%s", err.message);
    TENON_COPY_IN(&table, item->impl);
    ck_assert_int_eq(table.answer(item->self), 42);
}
