/* kernel_test.h - what the tests of the CPU kernels share: the levels of this machine, random numbers, guarded memory. */
#ifndef KERNEL_TEST_H
#define KERNEL_TEST_H

#include "plugins/backends/cpu/kernels/kernels.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seed.h"
#include "suite.h"

static uint64_t rng_state;

static inline uint32_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)(rng_state >> 32);
}

/* Uniform in [-1, 1). */
static inline float rng_float(void)
{
    return (float)(int32_t)rng() * 0x1p-31f;
}

static inline int64_t rng_below(int64_t n)
{
    return (int64_t)(rng() % (uint64_t)n);
}

static inline void seed_tests(const char *name)
{
    rng_state = test_seed(0x9e3779b97f4a7c15u);
    printf("%s: TENON_TEST_SEED=0x%llx, best level here: %s\n", name, (unsigned long long)rng_state,
           cpu_kernels_select(CPU_LEVEL_BEST)->level);
    fflush(stdout);
}

/* Emulators take one case in so many, others all. */
static inline int case_share(void)
{
    const char *share = getenv("KERNEL_SHARE");
    return share != NULL ? atoi(share) : 1;
}

static inline bool is_emulated(void) { return case_share() > 1; }

/* Whether to leave this case out. */
static inline bool left_out(void) { return is_emulated() && rng_below(case_share()) != 0; }

/* The kernels of level i, or NULL when this machine does not have it. */
static inline const struct cpu_kernels *level_at(int i)
{
    const struct cpu_kernels *k = cpu_kernels_select((enum cpu_level)i);
    return i == 0 || k != cpu_kernels_select((enum cpu_level)(i - 1)) ? k : NULL;
}

/* Has it some products of its own, and all else of the level below it? */
static inline bool is_mostly_below(const struct cpu_kernels *k) { return strcmp(k->level, "avx512_bf16") == 0; }

/* Which those are: by bf16, and by what is looked up in tables. */
static inline bool has_products(const struct cpu_kernels *k, enum cpu_format f)
{
    return !is_mostly_below(k) || f == CPU_BF16 || f == CPU_IQ4_NL || f == CPU_IQ4_XS || f == CPU_MXFP4 || f == CPU_NVFP4 ||
           f == CPU_IQ2_XXS || f == CPU_IQ2_XS || f == CPU_IQ2_S || f == CPU_IQ3_XXS || f == CPU_IQ1_M;
}

#define FOR_LEVELS(k) FOR_LEVELS_THAT(k, !is_mostly_below(k))
#define FOR_PRODUCTS(k, f) FOR_LEVELS_THAT(k, has_products(k, f))
#define FOR_LEVELS_THAT(k, suit) \
    for (int level_ = CPU_LEVEL_SCALAR; level_ <= CPU_LEVEL_BEST; level_++) \
        for (const struct cpu_kernels *k = level_at(level_); k != NULL && (suit); k = NULL)

/* The integer of column i of token t's block b. */
static inline int32_t act_at(const struct cpu_act *a, int64_t t, int64_t b, int64_t i)
{
    int64_t at = t * a->K + 32 * b;
    return a->narrow ? a->q8[at + i] : a->q[at + cpu_act_column(i)];
}

static inline void *aligned(int64_t bytes)
{
    void *p = NULL;
    ck_assert_int_eq(posix_memalign(&p, 64, (size_t)(bytes > 0 ? bytes : 1)), 0);
    memset(p, 0xa5, (size_t)bytes);
    return p;
}

/* Bytes that end at an unreadable page: a load past the end faults. */
struct guarded {
    uint8_t *map, *p;
    size_t size;
};

static inline struct guarded guarded(int64_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = ((size_t)bytes + page - 1) / page * page + page;
    struct guarded g = { mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), NULL, size };
    ck_assert_ptr_ne(g.map, MAP_FAILED);
    ck_assert_int_eq(mprotect(g.map + size - page, page, PROT_NONE), 0);
    g.p = g.map + size - page - bytes;
    return g;
}

static inline void unguard(struct guarded g)
{
    munmap(g.map, g.size);
}

static inline uint32_t bits_of(float f)
{
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    return b;
}

/* Equal to the bit, or both NaN (whose payload depends on the order of operands). */
static inline bool same(float a, float b)
{
    return bits_of(a) == bits_of(b) || (a != a && b != b);
}

/* Check notes every ck_assert in a file, which costs more than these loops: speak only on failure. */
#define ENSURE(cond, ...)              \
    do {                               \
        if (!(cond))                   \
            ck_abort_msg(__VA_ARGS__); \
    } while (0)
#define ENSURE_THAT(cond) ENSURE(cond, "%s", #cond)

#endif
