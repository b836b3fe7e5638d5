/* random.h - random numbers and the clock of tests. A run is repeated by setting TENON_TEST_SEED to what it printed (seed.h).
 *
 *     seed_random("noun");                    // prints the seed
 *     size_t at = next_random() % n;
 *
 * One thread.
 */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "seed.h"

static uint64_t random_state;

static inline void seed_random(const char *test)
{
    random_state = test_seed(20260101u);
    printf("%s: seed %llu\n", test, (unsigned long long)random_state);
    (void)fflush(stdout); /* a crash must not swallow it */
}

/* splitmix64 */
static inline uint64_t next_random(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
