/* layout.c - where things lie in memory that callers own: quantised activations, pages of the cache, attention's scratch.
 *
 * Sizes only; the kernels of each level read and write by the same rules. [any-thread] Contract: kernels.h. */
#include "kernels.h"

#include <string.h>

static int64_t round_up_64(int64_t n)
{
    return (n + 63) & ~(int64_t)63;
}

int64_t cpu_act_bytes(int64_t T, int64_t K)
{
    return round_up_64(T * K * 2) + 3 * round_up_64(T * (K / 32) * 4);
}

void cpu_act_bind(struct cpu_act *a, void *mem, int64_t T, int64_t K)
{
    uint8_t *p = (uint8_t *)mem + round_up_64(T * K * 2);
    int64_t per_32 = round_up_64(T * (K / 32) * 4);
    a->K = K;
    a->q = (int16_t *)mem;
    a->d = (float *)(void *)p;
    a->ds = (float *)(void *)(p + per_32);
    a->sum = (int32_t *)(void *)(p + 2 * per_32);
}

static int64_t element_bytes(const struct cpu_kv *kv)
{
    return kv->f16 ? 2 : 4;
}

int64_t cpu_kv_page_bytes(const struct cpu_kv *kv)
{
    return element_bytes(kv) * CPU_PAGE_TOKENS * kv->kv_heads * (kv->k_dim + kv->v_dim);
}

/* Walks page and canonical bytes together: `to_page` says which of the two is written. */
static void exchange(const struct cpu_kv *kv, uint8_t *page, uint8_t *bytes, bool to_page)
{
    int64_t e = element_bytes(kv), H = kv->kv_heads, D = kv->k_dim, V = kv->v_dim;
    uint8_t *page_v = page + e * CPU_PAGE_TOKENS * H * D, *bytes_v = bytes + e * CPU_PAGE_TOKENS * H * D;
    for (int64_t t = 0; t < CPU_PAGE_TOKENS; t++)
        for (int64_t h = 0; h < H; h++) {
            uint8_t *line = page_v + e * V * (h * CPU_PAGE_TOKENS + t), *canon = bytes_v + e * V * (t * H + h);
            for (int64_t d = 0; d < D; d++) {
                uint8_t *in = page + e * ((h * D + d) * CPU_PAGE_TOKENS + t), *out = bytes + e * ((t * H + h) * D + d);
                memcpy(to_page ? in : out, to_page ? out : in, (size_t)e);
            }
            memcpy(to_page ? line : canon, to_page ? canon : line, (size_t)(e * V));
        }
}

void cpu_kv_export(const struct cpu_kv *kv, int64_t page, void *ret_bytes)
{
    exchange(kv, kv->pages + page * kv->page_stride, ret_bytes, false);
}

void cpu_kv_import(const struct cpu_kv *kv, int64_t page, const void *bytes)
{
    exchange(kv, kv->pages + page * kv->page_stride, (uint8_t *)(uintptr_t)bytes, true); /* only read in this direction */
}

int64_t cpu_attn_scratch_bytes(int32_t k_dim, int32_t v_dim)
{
    return 4 * ((int64_t)CPU_PAGE_TOKENS * (CPU_ATTN_TILE_ROWS + (int64_t)k_dim + v_dim) + (int64_t)CPU_ATTN_TILE_ROWS * v_dim);
}
