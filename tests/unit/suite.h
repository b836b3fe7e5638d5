/* suite.h - how a test program ends: all tests of a suite run, what failed is printed.
 *
 *     suite_add_tcase(suite, tc);
 *     return run_suite(suite);
 *
 * Each test runs in a process of its own (CK_FORK=no: in this one, for a debugger; CK_VERBOSITY=verbose: names of all).
 */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>

/* For main to return: 0, or 1 where a test failed. */
static inline int run_suite_by(Suite *suite, enum fork_status how)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, how);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

static inline int run_suite(Suite *suite)
{
    return run_suite_by(suite, CK_FORK_GETENV);
}

/* All tests in this process: where they share what is dear to make, or forking would leave threads behind. */
static inline int run_suite_unforked(Suite *suite)
{
    return run_suite_by(suite, CK_NOFORK);
}

#endif
