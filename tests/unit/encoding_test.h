/* encoding_test.h - what the tests of encodings share: those of plugins/quantizers/gguf, which are linked in, small ones made here, and
 * random numbers, whose seed TENON_TEST_SEED gives back. */
#ifndef TESTS_ENCODING_TEST_H
#define TESTS_ENCODING_TEST_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <tenon/reference.h>

#include "quantizer.h"
#include "seed.h"
#include "suite.h"

static struct tenon_err err;
static uint64_t seed;

static inline void setup(void)
{
    err = (struct tenon_err)TENON_ERR_INIT;
    seed = test_seed(20260101u);
}

static inline uint32_t next_random(void)
{
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)((z ^ z >> 27) * 0x94d049bb133111ebu >> 32);
}

/* A tile of 4 elements, planes of 8 and 4 bytes, one table of 4. */
static const uint32_t table_values[4] = {0x3f800000, 0x40000000, 0x40400000, 0x40800000}; /* 1 2 3 4 */
static const struct tenon_table small_table = {sizeof small_table, 2, table_values};
static const struct tenon_plane small_planes[2] = {
    {sizeof small_planes[0], 8, 1, 0, "a"},
    {sizeof small_planes[0], 4, 1, 0, "b"},
};

static inline struct tenon_encoding small(uint32_t rows, uint32_t cols, const struct tenon_insn *program, uint32_t n)
{
    return (struct tenon_encoding){
        .struct_size = sizeof(struct tenon_encoding), .id = "test.small/1", .tile_rows = rows, .tile_cols = cols,
        .n_planes = 2, .n_tables = 1, .planes = small_planes, .tables = &small_table, .program = program, .n_insns = n,
        .result = 1};
}
#define SMALL(program) small(1, 4, program, sizeof(program) / sizeof((program)[0]))

static inline float bits_to_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* Equal bits, NaN equal to NaN. */
static inline void same_floats(const char *what, const float *got, const float *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ck_assert_msg(memcmp(&got[i], &want[i], 4) == 0 || (isnan(got[i]) && isnan(want[i])), "%s element %llu: %a, not %a (seed %llu)",
                      what, (unsigned long long)i, (double)got[i], (double)want[i], (unsigned long long)seed);
}

/* The tests of a suite, what they print and how they ended. */
static inline int run_encoding_suite(const char *name, void (*add)(TCase *tc))
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 120);
    add(tc);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

#endif
