/* pages.h - where keys, values and scales lie in a page of the cache. Shared by all levels. Layout: struct cpu_kv of
 * kernels.h. */
#ifndef TENON_CPU_PAGES_H
#define TENON_CPU_PAGES_H

#include "bits.h"
#include "kernels.h"

/* What a page holds of one head: its keys, its values. */
static inline uint8_t *cpu_page_keys(const struct cpu_kv *kv, int64_t page, int64_t head)
{
    return kv->pages + page * kv->page_stride + cpu_kv_bytes(kv, head * CPU_PAGE_TOKENS * kv->k_dim);
}

static inline uint8_t *cpu_page_values(const struct cpu_kv *kv, int64_t page, int64_t head)
{
    return cpu_page_keys(kv, page, kv->kv_heads) + cpu_kv_bytes(kv, head * CPU_PAGE_TOKENS * kv->v_dim);
}

/* Places there, in elements: of token t's element d, and with dim and d divided by CPU_KV_BLOCK of its scale. */
static inline int64_t cpu_key_at(int64_t t, int64_t d)
{
    return d * CPU_PAGE_TOKENS + t;
}

static inline int64_t cpu_value_at(int64_t dim, int64_t t, int64_t d)
{
    return t * dim + d;
}

/* The scales behind q8 keys or values of `dim`. */
static inline uint8_t *cpu_page_scales(uint8_t *part, int64_t dim)
{
    return part + CPU_PAGE_TOKENS * dim;
}

/* The f16 scale of a block of q8 whose largest magnitude has these bits. */
static inline uint16_t cpu_q8_scale(uint32_t most)
{
    uint16_t d = cpu_float_f16(cpu_float_of(most) / 127.0f);
    return (d & 0x7c00u) == 0x7c00u ? 0x7e00u : d;
}

/* What its elements are multiplied by; 0: all become 0. */
static inline float cpu_q8_inverse(uint16_t scale)
{
    return scale == 0 || scale == 0x7e00u ? 0.0f : 1.0f / cpu_f16_float(scale);
}

#endif
