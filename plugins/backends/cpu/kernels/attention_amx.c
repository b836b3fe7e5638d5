/* attention_amx.c - level amx of attention: attention_tiles.h, and vectors for what does not suit tiles. Parts are joined as at level avx512. [any-thread] Contract: kernels.h. */
#include "simd_amx.h"

#include "attention_tiles.h"
#include "attention.h"

void cpu_attention_amx(const struct cpu_attn *a, int64_t t0, int64_t t1, int32_t g0, int32_t g1, void *scratch)
{
    if (!suits_tiles(a)) {
        cpu_attention_avx512(a, t0, t1, g0, g1, scratch);
        return;
    }
    attend_tokens(a, t0, t1, g0, g1, scratch);
    tiles_release();
}

void cpu_attention_part_amx(const struct cpu_attn *a, int64_t token, int32_t g, int64_t span, float *parts, void *scratch)
{
    if (!suits_tiles(a)) {
        cpu_attention_part_avx512(a, token, g, span, parts, scratch);
        return;
    }
    attend_span(a, token, g, span, parts, scratch);
    tiles_release();
}

void cpu_attention_join_amx(const struct cpu_attn *a, int64_t token, int32_t g, const float *parts, int64_t n)
{
    cpu_attention_join_avx512(a, token, g, parts, n);
}
