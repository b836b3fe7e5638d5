/* holds.h - an assertion for loops. Check notes in a file where each ck_assert stands, which is a system call even when all
 * is well; this one costs a comparison.
 *
 *     HOLDS(got[i] == want[i], "id %d is %d", i, got[i]);
 */
#ifndef TESTS_HOLDS_H
#define TESTS_HOLDS_H

#include <check.h>

#define HOLDS(condition, ...)                                                                   \
    do {                                                                                        \
        if (!(condition))                                                                       \
            ck_abort_msg(__VA_ARGS__);                                                          \
    } while (0)

#endif
