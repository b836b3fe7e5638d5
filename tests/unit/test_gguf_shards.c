/* test_gguf_shards.c - the GGUF plugin on models of several files: found from any of them, refused when they do not fit. */
#include <check.h>

#include "suite.h"
#include "tests/unit/gguf_writer.h"

static const struct tenon_weights *weights;
static struct tenon_err err;

static void setup(void)
{
    weights = wf_plugin();
    err = (struct tenon_err)TENON_ERR_INIT;
}

/* Shard `no` of `count` with one tensor of that name. */
static void write_shard(struct gw *w, uint16_t no, uint16_t count, int32_t tensors, const char *name)
{
    gw_header(w, 3, 1, 3u + (no == 0));
    if (no == 0)
        gw_key_string(w, "general.architecture", "llama");
    gw_key(w, "split.no", TENON_META_U16), gw_bytes(w, &no, 2);
    gw_key(w, "split.count", TENON_META_U16), gw_bytes(w, &count, 2);
    gw_key(w, "split.tensors.count", TENON_META_I32), gw_bytes(w, &tensors, 4);
    gw_tensor(w, name, 1, (uint64_t[]){8}, 0, 0);
    gw_align(w, 32), gw_zeros(w, 32);
}

static const char *const shard_names[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"};

/* Three shards; `tensors` is the total they claim, last_no and last_name what the third says. */
static void write_shards(struct gw *w, struct wf_files *files, int32_t tensors, uint16_t last_no, const char *last_name)
{
    write_shard(&w[0], 0, 3, tensors, "a");
    write_shard(&w[1], 1, 3, tensors, "b");
    write_shard(&w[2], last_no, 3, tensors, last_name);
    wf_files_init(files);
    for (uint32_t i = 0; i < 3; i++)
        wf_files_set(files, i, shard_names[i], w[i].data, w[i].size);
}

static void finish_shards(struct gw *w)
{
    for (int i = 0; i < 3; i++)
        gw_finish(&w[i]);
}

START_TEST(reads_shards_from_any)
{
    struct gw w[3] = {0};
    struct wf_files files;
    struct tenon_weights_model *model;
    struct tenon_meta_entry e;
    struct tenon_tensor t;
    write_shards(w, &files, 3, 2, "c");
    ck_assert_int_eq(weights->open(NULL, &files.table, shard_names[_i], &model, &err), TENON_OK);
    ck_assert_uint_eq(weights->tensor_count(model), 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(weights->tensor_at(model, i, &t, &err), TENON_OK);
        ck_assert(t.planes[0].file == i && t.name.data[0] == (char)('a' + i) && t.planes[0].size == 32);
    }
    ck_assert_int_eq(weights->metadata(model)->find(weights->metadata(model)->ctx, "general.architecture", &e), TENON_OK);
    weights->close(NULL, model);
    finish_shards(w);
}
END_TEST

static void shards_refused(struct wf_files *files, const char *name, int32_t code, const char *words)
{
    struct tenon_weights_model *model;
    ck_assert_int_eq(weights->open(NULL, &files->table, name, &model, &err), code);
    ck_assert_msg(strstr(err.message, words) != NULL, "\"%s\" lacks \"%s\"", err.message, words);
}

START_TEST(refuses_shards_that_do_not_fit)
{
    struct gw w[3] = {0};
    struct wf_files files;
    write_shards(w, &files, 3, 2, "c");
    files.names[1] = NULL;
    shards_refused(&files, shard_names[0], TENON_E_NOT_FOUND, "file 2 of 3 of this model is missing");
    files.names[1] = "renamed.gguf";
    shards_refused(&files, "renamed.gguf", TENON_E_INVALID_ARGUMENT, "-00002-of-00003.gguf");
    finish_shards(w);
    write_shards(w, &files, 3, 1, "c");
    shards_refused(&files, shard_names[0], TENON_E_INVALID_ARGUMENT, "do not belong together");
    finish_shards(w);
    write_shards(w, &files, 3, 2, "a");
    shards_refused(&files, shard_names[0], TENON_E_INVALID_ARGUMENT, "\"a\" stands there twice");
    finish_shards(w);
    write_shards(w, &files, 4, 2, "c");
    shards_refused(&files, shard_names[0], TENON_E_DATA_LOSS, "3 tensors together instead of 4");
    finish_shards(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf_shards");
    TCase *tc = tcase_create("gguf_shards");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, reads_shards_from_any, 0, 3);
    tcase_add_test(tc, refuses_shards_that_do_not_fit);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
