/* matmul_amx.c - level amx: products of many tokens by quantised weights, by the processor's tiles. All others are those of level
 * avx512_bf16, to the same bits. Contract: kernels.h; the walk over panels: panels.h.
 * [any-thread] */
#include "simd_amx.h"

#define ACT_BITS 8 /* of both widths: panels are the same */
#define PANEL_BYTES 32768 /* tiles read it from the second cache, which is large where they are */
#define DIRECT_TOKENS 1 /* none: the sink must have a size */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#include "panels.h"

_Static_assert(PANEL_BYTES + 2 * SCALES_BYTES + 4 * RING_STEPS * STEP_SUMS <= CPU_MATMUL_SCRATCH, "sums lie behind the panel");

/* Factors of CPU_TURNED_TOKENS tokens side by side. */
static void turn_factors(const float *rows, int64_t t0, int64_t t1, int64_t n, float *turned)
{
    for (int64_t t = t0; t < t1; t++)
        for (int64_t i = 0; i < n; i++)
            turned[(t / CPU_TURNED_TOKENS * n + i) * CPU_TURNED_TOKENS + t % CPU_TURNED_TOKENS] = rows[t * n + i];
}

void cpu_quantize_amx(const struct cpu_act *a, int64_t t0, int64_t t1)
{
    cpu_quantize_avx512(a, t0, t1);
    if (a->turned_d == NULL)
        return;
    turn_factors(a->d, t0, t1, a->K / 32, a->turned_d);
    turn_factors(a->ds, t0, t1, a->K / 32, a->turned_ds);
    turn_factors(a->ds_16, t0, t1, a->K / 16, a->turned_ds_16);
}

void cpu_pack_amx(const struct cpu_matrix *m, int64_t g0, int64_t g1, uint8_t *packed)
{
    cpu_pack_avx512(m, g0, g1, packed);
}

/* With fewer tokens the vectors of the other level are as fast, without a panel. */
#define FEWEST_TOKENS 16
#define FEWEST_NARROW 32
_Static_assert(FEWEST_TOKENS > CPU_PART_TOKENS, "what is made integers in parts has no turned factors");
_Static_assert(FEWEST_TOKENS >= TILE_ROWS && FEWEST_NARROW >= TILE_ROWS, "factors of a tile that begins late are read behind its tokens");

static bool takes_tiles(const struct cpu_matrix *w, const struct cpu_act *a, int64_t tokens)
{
    return cpu_encoding_at(w->format)->quantised && suits_tiles(w->format, a->narrow) && tokens >= (a->narrow ? FEWEST_NARROW : FEWEST_TOKENS);
}

void cpu_matmul_amx(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, float *y,
                    int64_t ldy, const float *bias, void *scratch)
{
    if (!takes_tiles(w, a, t1 - t0)) {
        cpu_matmul_avx512_bf16(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
        return;
    }
    multiply_panels(w, a, t0, t1, n0, n1, y, ldy, bias, scratch);
    tiles_release();
}
