/* attention_avx2.c - level avx2 of attention and the cache's pages: attention_vectors.h and kv_store.h in its words.
 * [any-thread] Contract: kernels.h. */
#include "simd_avx2.h"

#define ROWS 3 /* query rows at once: 12 registers of sums */
#define WIDTHS 1
#define STEPS 1

#include "attention_vectors.h"
#include "attention.h"
#include "kv_store.h"

void cpu_kv_load_avx2(const struct cpu_kv *kv, int64_t slot, float *ret_k, float *ret_v)
{
    cpu_kv_load_scalar(kv, slot, ret_k, ret_v); /* not on any hot path */
}
