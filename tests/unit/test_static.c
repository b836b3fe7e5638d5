/* test_static.c - a build without dlopen: every plugin of the table is there, initialises, and keeps what it provides.
 * Built with TENON_STATIC_PLUGINS only. */
#include <check.h>

#include "core/base/threads.h"
#include "core/plugin/registry.h"
#include "core/plugin/static_table.h"
#include "suite.h"

START_TEST(all_load)
{
    struct tn_registry *reg;
    struct tn_threads *threads;
    struct tn_plugin_info p;
    struct tenon_err err = TENON_ERR_INIT;
    uint32_t n = 0;
    ck_assert_int_eq(tn_registry_create(&reg, &err), TENON_OK);
    ck_assert_int_eq(tn_threads_create(1, &threads, &err), TENON_OK);
    ck_assert_int_eq(tn_registry_set_service(reg, TENON_THREADS_SERVICE, tn_threads_service(threads), &err), TENON_OK);
    for (; tn_registry_at(reg, n, &p); n++) {
        ck_assert_str_eq(p.file, tn_static_plugins[n].name);
        ck_assert_msg(tn_registry_check(reg, n, &err) == TENON_OK, "%s: %s", p.file, err.message);
    }
    ck_assert_ptr_null(tn_static_plugins[n].name);
    ck_assert_uint_gt(n, 0);
    tn_registry_destroy(reg);
    tn_threads_destroy(threads);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("static");
    TCase *tests = tcase_create("static");
    tcase_add_test(tests, all_load);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
