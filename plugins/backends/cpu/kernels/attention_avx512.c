/* attention_avx512.c - level avx512 of attention and the cache's pages: attention_vectors.h and kv_store.h in its words.
 * [any-thread] Contract: kernels.h. */
#include "simd_avx512.h"

#define ROWS 6 /* query rows at once: 24 registers of sums */
#define WIDTHS 2
#define STEPS 4

#include "attention_vectors.h"
#include "attention.h"
#include "kv_store.h"

void cpu_kv_load_avx512(const struct cpu_kv *kv, int64_t slot, float *ret_k, float *ret_v)
{
    cpu_kv_load_scalar(kv, slot, ret_k, ret_v); /* not on any hot path */
}
