/* seed.h - where the random numbers of tests begin. One start for everyone, so that a run that passes passes again, on any
 * machine; TENON_TEST_SEED names another, or `random`: whoever looks for what nobody thought of runs a test so over and over.
 */
#ifndef TESTS_SEED_H
#define TESTS_SEED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t test_seed(uint64_t usual)
{
    const char *given = getenv("TENON_TEST_SEED");
    if (given != NULL && strcmp(given, "random") == 0)
        return ((uint64_t)time(NULL) << 20 ^ (uint64_t)getpid()) * 2654435761u;
    return given != NULL ? strtoull(given, NULL, 0) : usual;
}

#endif
