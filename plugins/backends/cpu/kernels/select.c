/* select.c - the tables of kernels, and which of them this machine can run.
 *
 * x86: cpuid says what the processor has, XCR0 what the operating system saves: both must agree, and for tiles the process must
 * have asked. aarch64: the kernel tells both at once by HWCAP. Needs no locks. [any-thread] Contract: kernels.h. */
#include "levels.h"

#include <stdatomic.h>
#include <string.h>

CPU_DEFINE_LEVEL(scalar)

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

CPU_DEFINE_LEVEL(avx2)
CPU_DEFINE_LEVEL(avx512)
CPU_DEFINE_LEVEL_OF(avx512_bf16, avx512, avx512, CPU_ATTN_ROWS, avx512, true)
CPU_DEFINE_LEVEL_OF(amx, amx, amx, CPU_ATTN_TILED_ROWS, avx512, true)

#define LEAF7_ECX_LOOKUPS (1u << 1 | 1u << 8) /* of cpuid 7.0: AVX512_VBMI and GFNI */
#define LEAF7_1_EAX_BF16 (1u << 5)           /* of cpuid 7.1: AVX512_BF16 */
#define LEAF7_EDX_TILES (1u << 22 | 1u << 24 | 1u << 25) /* of cpuid 7.0: AMX_BF16, AMX_TILE and AMX_INT8 */
#define XCR0_TILES (1u << 17 | 1u << 18)      /* their shapes and what they hold */
#define ASK_FOR_STATE 0x1023                  /* arch_prctl: ARCH_REQ_XCOMP_PERM */
#define STATE_OF_TILES 18

static uint64_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Linux gives tiles to processes that ask, for all their threads: each then has 8 KiB more to save, and an alternate signal stack must
 * hold that. So nobody asks who will not use them; the first answer stays, that all of a process have one level. */
static bool may_use(enum cpu_level level)
{
    enum { NOT_ASKED, REFUSED, GIVEN };
    static _Atomic int answer;
    int expected = NOT_ASKED;
    if (level != CPU_LEVEL_AMX)
        return true;
    if (atomic_load(&answer) == NOT_ASKED)
        atomic_compare_exchange_strong(&answer, &expected, syscall(SYS_arch_prctl, ASK_FOR_STATE, STATE_OF_TILES) == 0 ? GIVEN : REFUSED);
    return atomic_load(&answer) == GIVEN;
}

static enum cpu_level detect(void)
{
    const uint32_t leaf1 = bit_FMA | bit_OSXSAVE | bit_AVX | bit_F16C;
    const uint32_t leaf7 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    uint32_t a, b, c, d;
    uint64_t saved;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1) != leaf1)
        return CPU_LEVEL_SCALAR;
    saved = xcr0();
    if ((saved & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & bit_AVX2) == 0)
        return CPU_LEVEL_SCALAR;
    if ((saved & 0xe6) != 0xe6 || (b & leaf7) != leaf7 || (c & bit_AVX512VNNI) == 0)
        return CPU_LEVEL_AVX2;
    const bool looks_up = (c & LEAF7_ECX_LOOKUPS) == LEAF7_ECX_LOOKUPS; /* one family has BF16 and not these: Cooper Lake */
    bool tiles = (d & LEAF7_EDX_TILES) == LEAF7_EDX_TILES && (saved & XCR0_TILES) == XCR0_TILES;
    if (!looks_up || !__get_cpuid_count(7, 1, &a, &b, &c, &d) || (a & LEAF7_1_EAX_BF16) == 0)
        return CPU_LEVEL_AVX512;
    return tiles ? CPU_LEVEL_AMX : CPU_LEVEL_AVX512_BF16;
}

/* Zen 5 is of family 26; what is later, in that family or behind it, is taken to be alike, unmeasured. Families above 15 are told as 15 and
 * the rest. */
static enum cpu_fetching ask_for_fetching(void)
{
    enum { FAMILY_OF_ZEN_5 = 26 };
    uint32_t maker, a, b, c, d;
    if (!__get_cpuid(0, &a, &maker, &c, &d) || !__get_cpuid(1, &a, &b, &c, &d))
        return CPU_FETCHES_SOME;
    if (maker == signature_INTEL_ebx)
        return CPU_FETCHES_TWICE;
    return maker == signature_AMD_ebx && (a >> 8 & 15) + (a >> 20 & 255) >= FAMILY_OF_ZEN_5 ? CPU_FETCHES_TO_FIRST : CPU_FETCHES_SOME;
}

enum cpu_fetching cpu_fetching(void)
{
    enum { NOT_KNOWN = -1 };
    static _Atomic int answer = NOT_KNOWN;
    if (atomic_load(&answer) == NOT_KNOWN)
        atomic_store(&answer, (int)ask_for_fetching());
    return (enum cpu_fetching)atomic_load(&answer);
}

static const struct cpu_kernels *const levels[] = {
    &cpu_kernels_scalar, &cpu_kernels_avx2, &cpu_kernels_avx512, &cpu_kernels_avx512_bf16, &cpu_kernels_amx,
};
#elif defined(__aarch64__)
#include <sys/auxv.h>

#define HWCAP_DOT_PRODUCTS (1ul << 20)    /* HWCAP_ASIMDDP of Linux */
#define HWCAP2_BYTE_MATRICES (1ul << 13) /* HWCAP2_I8MM */

CPU_DEFINE_LEVEL(neon)
CPU_DEFINE_LEVEL_WITH(dotprod, neon) /* what is no product gains nothing from it */
CPU_DEFINE_LEVEL_WITH(i8mm, neon)

static enum cpu_level detect(void)
{
    if ((getauxval(AT_HWCAP) & HWCAP_DOT_PRODUCTS) == 0)
        return CPU_LEVEL_NEON;
    return (getauxval(AT_HWCAP2) & HWCAP2_BYTE_MATRICES) != 0 ? CPU_LEVEL_I8MM : CPU_LEVEL_DOTPROD;
}

static const struct cpu_kernels *const levels[] = { &cpu_kernels_scalar, &cpu_kernels_neon, &cpu_kernels_dotprod,
                                                    &cpu_kernels_i8mm };
#else
static enum cpu_level detect(void)
{
    return CPU_LEVEL_SCALAR;
}

static const struct cpu_kernels *const levels[] = { &cpu_kernels_scalar };
#endif

#if !defined(__x86_64__)
enum cpu_fetching cpu_fetching(void) { return CPU_FETCHES_SOME; }

static bool may_use(enum cpu_level level)
{
    (void)level;
    return true;
}
#endif

const struct cpu_kernels *cpu_kernels_select(enum cpu_level max_level)
{
    static _Atomic int known; /* 1 + the best level: virtual machines take microseconds for cpuid */
    if (atomic_load(&known) == 0)
        atomic_store(&known, 1 + (int)detect());
    enum cpu_level best = (enum cpu_level)(atomic_load(&known) - 1);
    best = best < max_level ? best : max_level;
    return levels[may_use(best) ? best : best - 1];
}

enum cpu_level cpu_level_find(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i]->level, name) == 0)
            return (enum cpu_level)i;
    return CPU_LEVEL_BEST;
}

enum cpu_unary cpu_unary_find(const char *kind)
{
    static const char *const names[CPU_UNARY_COUNT] = {
        [CPU_NEG] = "neg", [CPU_ABS] = "abs", [CPU_SQRT] = "sqrt", [CPU_RSQRT] = "rsqrt", [CPU_EXP] = "exp",
        [CPU_LOG] = "log", [CPU_SIN] = "sin", [CPU_COS] = "cos", [CPU_TANH] = "tanh", [CPU_SIGMOID] = "sigmoid",
        [CPU_RELU] = "relu", [CPU_RELU2] = "relu2", [CPU_SILU] = "silu", [CPU_GELU] = "gelu",
        [CPU_GELU_TANH] = "gelu_tanh", [CPU_GELU_QUICK] = "gelu_quick", [CPU_SOFTPLUS] = "softplus",
    };
    for (int i = 0; i < CPU_UNARY_COUNT; i++)
        if (strcmp(names[i], kind) == 0)
            return (enum cpu_unary)i;
    return CPU_UNARY_COUNT;
}
