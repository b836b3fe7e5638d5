/* test_libtenon.c - an embedding program: links libtenon alone, sees <tenon/engine.h> alone. */
#include <check.h>
#include <string.h>

#include <tenon/engine.h>

#include "suite.h"

static int n_lines;

static void take_line(void *arg, int32_t level, const char *line)
{
    (void)level;
    n_lines++;
    ck_assert_ptr_eq(arg, &n_lines);
    ck_assert_ptr_null(strchr(line, '\n'));
}

START_TEST(a_runtime_lives_and_dies)
{
    struct tenon_runtime_options o = { .struct_size = sizeof o, .threads = 1023, .plugin_path = TENON_BUILD_DIR "/lib/tenon",
                                       .log = take_line, .log_arg = &n_lines };
    struct tenon_runtime *rt = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    const struct tenon_engine *e;
    struct tenon_loaded *model = NULL;
    struct tenon_load_args args = { .struct_size = sizeof args, .path = "/nonexistent/model.gguf" };
    ck_assert_msg(tenon_runtime_create(&o, &rt, &err) == 0, "%s", err.message);
    ck_assert_int_gt(n_lines, 0); /* more threads than cores */
    e = tenon_runtime_engine(rt);
    ck_assert_int_eq(e->load(e->ctx, &args, &model, &err), TENON_E_NOT_FOUND);
    ck_assert_ptr_null(model);
    ck_assert_ptr_null(e->model_at(e->ctx, 0));
    e->unload(e->ctx, NULL);
    args.path = NULL;
    ck_assert_int_eq(e->load(e->ctx, &args, &model, &err), TENON_E_INVALID_ARGUMENT);
    tenon_runtime_destroy(rt);
    tenon_runtime_destroy(NULL);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    struct tenon_runtime_options o = { .struct_size = sizeof o, .threads = 1u << 20 };
    struct tenon_runtime *rt = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_int_eq(tenon_runtime_create(&o, &rt, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_ptr_null(rt);
#ifndef TEST_STATIC /* it looks into no folder */
    o = (struct tenon_runtime_options){ .struct_size = sizeof o, .plugin_path = "relative/folder" };
    ck_assert_int_eq(tenon_runtime_create(&o, &rt, &err), TENON_E_INVALID_ARGUMENT);
#endif
    ck_assert_int_gt((int)strlen(tenon_version()), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("libtenon");
    TCase *tc = tcase_create("libtenon");
    tcase_add_test(tc, a_runtime_lives_and_dies);
    tcase_add_test(tc, bad_options_are_refused);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
