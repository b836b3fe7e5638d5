/* test_files.c - the files of a model, in a folder made for each test and removed after it. */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/model/files.h"
#include "suite.h"

static char dir[64];
static char path[256];
static struct tenon_err err;
static struct tn_files *files;

static const char *in_dir(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
    (void)strcpy(dir, "/tmp/tenon-files-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    err = (struct tenon_err)TENON_ERR_INIT;
    files = NULL;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(name);
}

static void teardown(void)
{
    tn_files_close(files);
    ck_assert_int_eq(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int32_t map(const char *name, uint32_t *id, const void **data, uint64_t *size)
{
    const struct tenon_files *table = tn_files_table(files);
    return table->map(table->ctx, name, id, data, size, &err);
}

/* Mapping must fail with that code and words. */
static void map_refused(const char *name, int32_t code, const char *words)
{
    uint32_t id = 77;
    const void *data = NULL;
    uint64_t size = 0;
    ck_assert_msg(map(name, &id, &data, &size) == code, "%s: %d, not %d", name, err.code, code);
    ck_assert_msg(strstr(err.message, words) != NULL, "\"%s\" lacks \"%s\"", err.message, words);
    ck_assert(id == 77 && data == NULL && size == 0);
}

static void open_refused(const char *name, int32_t code, const char *words)
{
    ck_assert_int_eq(tn_files_open(in_dir(name), &files, &err), code);
    ck_assert_ptr_null(files);
    ck_assert_msg(strstr(err.message, words) != NULL, "\"%s\" lacks \"%s\"", err.message, words);
}

START_TEST(opens_a_file_and_its_shards)
{
    uint32_t id, again;
    const void *data, *same;
    uint64_t size;
    write_file("m-00001-of-00002.gguf", "first");
    write_file("m-00002-of-00002.gguf", "second");
    ck_assert_int_eq(tn_files_open(in_dir("m-00001-of-00002.gguf"), &files, &err), TENON_OK);
    ck_assert_str_eq(tn_files_name(files), "m-00001-of-00002.gguf");
    const struct tenon_files *table = tn_files_table(files);
    ck_assert_str_eq(table->name_at(table->ctx, 0), "m-00001-of-00002.gguf");
    ck_assert_ptr_null(table->name_at(table->ctx, 1));
    ck_assert_int_eq(map("m-00002-of-00002.gguf", &id, &data, &size), TENON_OK);
    ck_assert(size == 6 && memcmp(data, "second", 6) == 0);
    ck_assert_int_eq(map("m-00001-of-00002.gguf", &again, &same, &size), TENON_OK);
    ck_assert(again != id && size == 5);
    ck_assert_int_eq(map("m-00002-of-00002.gguf", &again, &same, &size), TENON_OK);
    ck_assert(again == id && same == data && size == 6);
    ck_assert_int_eq(tn_files_check(files, &err), TENON_OK);
}
END_TEST

START_TEST(opens_a_plain_name)
{
    write_file("m.gguf", "x");
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(chdir(dir), 0);
    int32_t rc = tn_files_open("m.gguf", &files, &err);
    ck_assert_int_eq(fchdir(before), 0);
    close(before);
    ck_assert_int_eq(rc, TENON_OK);
    ck_assert_str_eq(tn_files_name(files), "m.gguf");
    uint32_t id;
    const void *data;
    uint64_t size;
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_OK); /* the working folder does not matter any more */
}
END_TEST

START_TEST(lists_a_folder_in_byte_order)
{
    static const char *const want[] = {"B.json", "a.json", "link.json", "sub/c.json"};
    write_file("a.json", "{}"), write_file("B.json", "{}");
    ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
    write_file("sub/c.json", "{}");
    ck_assert_int_eq(symlink("sub/c.json", in_dir("link.json")), 0);
    ck_assert_int_eq(symlink(".", in_dir("circle")), 0);
    ck_assert_int_eq(symlink("gone", in_dir("dangling")), 0);
    ck_assert_int_eq(mkfifo(in_dir("pipe"), 0600), 0);
    ck_assert_int_eq(tn_files_open(dir, &files, &err), TENON_OK);
    ck_assert_ptr_null(tn_files_name(files));
    const struct tenon_files *table = tn_files_table(files);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_str_eq(table->name_at(table->ctx, i), want[i]);
    ck_assert_ptr_null(table->name_at(table->ctx, 4));
    uint32_t id;
    const void *data;
    uint64_t size;
    ck_assert_int_eq(map("sub/c.json", &id, &data, &size), TENON_OK);
    map_refused("pipe", TENON_E_INVALID_ARGUMENT, "a pipe");
    map_refused("sub", TENON_E_INVALID_ARGUMENT, "a folder");
    map_refused("dangling", TENON_E_NOT_FOUND, "cannot open");
}
END_TEST

START_TEST(follows_links_as_download_caches_have_them)
{
    uint32_t id;
    const void *data;
    uint64_t size;
    ck_assert_int_eq(mkdir(in_dir("blobs"), 0700) + mkdir(in_dir("snapshot"), 0700), 0);
    write_file("blobs/abc", "blob");
    write_file("snapshot/other.gguf", "other");
    ck_assert_int_eq(symlink("../blobs/abc", in_dir("snapshot/m.gguf")), 0);
    ck_assert_int_eq(tn_files_open(in_dir("snapshot/m.gguf"), &files, &err), TENON_OK);
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_OK);
    ck_assert(size == 4 && memcmp(data, "blob", 4) == 0);
    ck_assert_int_eq(map("other.gguf", &id, &data, &size), TENON_OK); /* beside the link, not beside the blob */
}
END_TEST

START_TEST(refuses_names_that_lead_out)
{
    static const char *const names[] = {"", "/etc/passwd", "..", "../x", "a/../x", "a/..", ".", "./m.gguf", "a//b", "a/"};
    write_file("m.gguf", "x");
    ck_assert_int_eq(tn_files_open(in_dir("m.gguf"), &files, &err), TENON_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        map_refused(names[i], TENON_E_INVALID_ARGUMENT, "relative to the model's folder");
    map_refused("..x", TENON_E_NOT_FOUND, "cannot open"); /* an honest name */
}
END_TEST

START_TEST(refuses_what_is_no_model)
{
    open_refused("missing.gguf", TENON_E_NOT_FOUND, "No such file");
    write_file("empty.gguf", "");
    open_refused("empty.gguf", TENON_E_INVALID_ARGUMENT, "empty");
    ck_assert_int_eq(mkfifo(in_dir("pipe"), 0600), 0);
    open_refused("pipe", TENON_E_INVALID_ARGUMENT, "a pipe");
    ck_assert_int_eq(tn_files_open("/dev/null", &files, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(tn_files_open("", &files, &err), TENON_E_NOT_FOUND);
    write_file("m.gguf", "x");
    open_refused("m.gguf/", TENON_E_NOT_FOUND, "Not a directory");
    ck_assert_int_eq(tn_files_open(in_dir("m.gguf"), &files, &err), TENON_OK);
    map_refused("empty.gguf", TENON_E_INVALID_ARGUMENT, "empty");
    map_refused("pipe", TENON_E_INVALID_ARGUMENT, "a pipe"); /* and does not wait for a writer */
}
END_TEST

START_TEST(refuses_what_may_not_be_read)
{
    uint32_t id;
    const void *data;
    uint64_t size;
    write_file("m.gguf", "x");
    ck_assert_int_eq(chmod(in_dir("m.gguf"), 0), 0);
    ck_assert_int_eq(tn_files_open(in_dir("m.gguf"), &files, &err), TENON_OK);
    if (geteuid() == 0) {
        printf("files: SKIPPED permissions: root may read everything\n");
        return;
    }
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_E_PERMISSION_DENIED);
}
END_TEST

START_TEST(views_stay_inside)
{
    uint32_t id;
    const void *data, *view = NULL;
    uint64_t size;
    write_file("m.gguf", "0123456789");
    ck_assert_int_eq(tn_files_open(in_dir("m.gguf"), &files, &err), TENON_OK);
    ck_assert_int_eq(tn_files_view(files, 0, 0, 1, &view, &err), TENON_E_NOT_FOUND);
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_OK);
    ck_assert_int_eq(tn_files_view(files, id, 3, 7, &view, &err), TENON_OK);
    ck_assert_ptr_eq(view, (const char *)data + 3);
    ck_assert_int_eq(tn_files_view(files, id, 10, 0, &view, &err), TENON_OK);
    ck_assert_int_eq(tn_files_view(files, id, 3, 8, &view, &err), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(tn_files_view(files, id, 11, 0, &view, &err), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(tn_files_view(files, id, UINT64_MAX, 2, &view, &err), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(tn_files_view(files, id, 2, UINT64_MAX, &view, &err), TENON_E_OUT_OF_RANGE);
}
END_TEST

START_TEST(advice_changes_nothing_that_is_read)
{
    enum { SIZE = 5 * 65536 + 17 };
    char *text = malloc(SIZE + 1);
    uint32_t id;
    const void *data;
    uint64_t size;
    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i % 23);
    text[SIZE] = '\0';
    write_file("m.gguf", text);
    ck_assert_int_eq(tn_files_open(in_dir("m.gguf"), &files, &err), TENON_OK);
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_OK);
    tn_files_advise(files, id, 5, size - 5, TN_FILES_SOON);
    tn_files_advise(files, id, 5, size - 5, TN_FILES_DONE);
    tn_files_advise(files, id, 0, size, TN_FILES_DONE);
    tn_files_advise(files, id, size, UINT64_MAX, TN_FILES_DONE);
    tn_files_advise(files, 9, 0, 1, TN_FILES_SOON);
    ck_assert(size == SIZE && memcmp(data, text, SIZE) == 0);
    free(text);
}
END_TEST

START_TEST(notices_a_file_that_was_cut)
{
    uint32_t id;
    const void *data;
    uint64_t size;
    write_file("m.gguf", "0123456789");
    ck_assert_int_eq(tn_files_open(in_dir("m.gguf"), &files, &err), TENON_OK);
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_OK);
    ck_assert_int_eq(truncate(in_dir("m.gguf"), 4), 0);
    ck_assert_int_eq(tn_files_check(files, &err), TENON_E_DATA_LOSS);
    ck_assert_msg(strstr(err.message, "m.gguf was cut short") != NULL, "%s", err.message);
}
END_TEST

/* Cut, read, and put back: as long as it was, but what was read is not what it had. */
START_TEST(notices_a_file_that_was_cut_for_a_time)
{
    uint32_t id;
    const void *data;
    uint64_t size;
    write_file("m.gguf", "0123456789");
    write_file("other.gguf", "0123456789");
    ck_assert_int_eq(truncate(in_dir("m.gguf"), 1 << 20), 0);
    ck_assert_int_eq(tn_files_open(dir, &files, &err), TENON_OK);
    ck_assert_int_eq(map("other.gguf", &id, &data, &size), TENON_OK);
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_OK);
    ck_assert_int_eq(truncate(in_dir("m.gguf"), 0), 0);
    ck_assert_int_eq(((volatile const char *)data)[0], 0);
    ck_assert_int_eq(truncate(in_dir("m.gguf"), 1 << 20), 0);
    ck_assert_int_eq(tn_files_check(files, &err), TENON_E_DATA_LOSS);
    ck_assert_msg(strstr(err.message, "m.gguf could not be read while in use") != NULL, "%s", err.message);
    tn_files_close(files);
    ck_assert_int_eq(tn_files_open(in_dir("m.gguf"), &files, &err), TENON_OK);
    ck_assert_int_eq(map("m.gguf", &id, &data, &size), TENON_OK);
    ck_assert_int_eq(tn_files_check(files, &err), TENON_OK);
}
END_TEST

/* Map many files from a thread; the ids go to arg [FILES]. */
enum { FILES = 64 };
static void *map_all(void *arg)
{
    uint32_t *ids = arg;
    char name[16];
    const void *data;
    uint64_t size;
    const struct tenon_files *table = tn_files_table(files);
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        if (table->map(table->ctx, name, &ids[i], &data, &size, NULL) != TENON_OK ||
            tn_files_view(files, ids[i], 0, size, &data, NULL) != TENON_OK)
            ids[i] = UINT32_MAX;
    }
    return NULL;
}

START_TEST(maps_from_several_threads)
{
    pthread_t threads[4];
    uint32_t ids[4][FILES];
    char name[16];
    for (int i = 0; i < FILES; i++)
        (void)snprintf(name, sizeof name, "f%d", i), write_file(name, name);
    ck_assert_int_eq(tn_files_open(dir, &files, &err), TENON_OK);
    for (int t = 0; t < 4; t++)
        ck_assert_int_eq(pthread_create(&threads[t], NULL, map_all, ids[t]), 0);
    for (int t = 0; t < 4; t++)
        ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < FILES; i++)
            ck_assert(ids[t][i] < FILES && ids[t][i] == ids[0][i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("files");
    TCase *tc = tcase_create("files");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, opens_a_file_and_its_shards);
    tcase_add_test(tc, opens_a_plain_name);
    tcase_add_test(tc, lists_a_folder_in_byte_order);
    tcase_add_test(tc, follows_links_as_download_caches_have_them);
    tcase_add_test(tc, refuses_names_that_lead_out);
    tcase_add_test(tc, refuses_what_is_no_model);
    tcase_add_test(tc, refuses_what_may_not_be_read);
    tcase_add_test(tc, views_stay_inside);
    tcase_add_test(tc, advice_changes_nothing_that_is_read);
    tcase_add_test(tc, notices_a_file_that_was_cut);
    tcase_add_test(tc, notices_a_file_that_was_cut_for_a_time);
    tcase_add_test(tc, maps_from_several_threads);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
