/* kv_store.h - keys and values of a token written into the cache's pages, for every vector level.
 *
 * A head's values lie one token after the other, its keys one element after the other, as attention.h reads them: so values are
 * stored as they come, keys element by element. q8 keeps blocks of 32 elements of one token with a scale each: those of values
 * behind each other, those of keys spread as the keys are.
 * Include after simd_*.h. Places in a page: pages.h; the layout and what a slot below 0 means: kernels.h. */
#ifndef TENON_CPU_KV_STORE_H
#define TENON_CPU_KV_STORE_H

#include "levels.h"
#include "pages.h"

#include <string.h>

enum { BLOCK_VECTORS = CPU_KV_BLOCK / LANES };

/* One block of 32 to q; returns its scale. */
static uint16_t quantise(const float *x, int8_t *q)
{
    int32_t wide[CPU_KV_BLOCK];
    vi most = vi_zero();
    for (int v = 0; v < BLOCK_VECTORS; v++)
        most = vi_max(most, vi_of_bits(vf_and_bits(vf_load(x + v * LANES), 0x7fffffffu)));
    uint16_t scale = cpu_q8_scale(vi_max_lanes(most));
    float inverse = cpu_q8_inverse(scale);
    for (int v = 0; v < BLOCK_VECTORS; v++) {
        vf y = vf_mul(vf_load(x + v * LANES), vf_all(inverse));
        vi_store(wide + v * LANES, vi_of_float(vf_min(vf_max(y, vf_all(-127.0f)), vf_all(127.0f))));
    }
    for (int i = 0; i < CPU_KV_BLOCK; i++)
        q[i] = inverse == 0.0f ? 0 : (int8_t)wide[i];
    return scale;
}

/* Token t's line of one head in q8. */
static void store_blocks(uint8_t *part, int64_t dim, bool keys, int64_t t, const float *x)
{
    uint16_t *scales = (uint16_t *)(void *)cpu_page_scales(part, dim);
    int8_t q[CPU_KV_BLOCK];
    for (int64_t b = 0; b < dim / CPU_KV_BLOCK; b++) {
        int64_t d = b * CPU_KV_BLOCK;
        scales[keys ? cpu_key_at(t, b) : cpu_value_at(dim / CPU_KV_BLOCK, t, b)] = quantise(x + d, q);
        if (!keys)
            memcpy(part + cpu_value_at(dim, t, d), q, sizeof q);
        for (int i = 0; keys && i < CPU_KV_BLOCK; i++)
            part[cpu_key_at(t, d + i)] = (uint8_t)q[i];
    }
}

static void to_halves(enum cpu_kv_type type, const float *x, int64_t n, uint16_t *y)
{
    if (type == CPU_KV_BF16)
        LEVEL(f32_to_bf16)(x, n, y);
    else
        LEVEL(f32_to_f16)(x, n, y);
}

/* 16-bit floats go through a short buffer, so that the conversion is by vectors and only the scatter by element. */
static void store_key(enum cpu_kv_type type, uint8_t *part, int64_t dim, int64_t t, const float *x)
{
    uint16_t half[256];
    for (int64_t i = 0; i < dim; i += 256) {
        int64_t count = dim - i < 256 ? dim - i : 256;
        if (type != CPU_KV_F32)
            to_halves(type, x + i, count, half);
        for (int64_t d = 0; d < count; d++) {
            if (type != CPU_KV_F32)
                ((uint16_t *)(void *)part)[cpu_key_at(t, i + d)] = half[d];
            else
                ((float *)(void *)part)[cpu_key_at(t, i + d)] = x[i + d];
        }
    }
}

static void store_value(enum cpu_kv_type type, uint8_t *part, int64_t dim, int64_t t, const float *x)
{
    if (type != CPU_KV_F32)
        to_halves(type, x, dim, (uint16_t *)(void *)part + cpu_value_at(dim, t, 0));
    else
        memcpy((float *)(void *)part + cpu_value_at(dim, t, 0), x, (size_t)dim * sizeof *x);
}

void LEVEL(kv_store)(const struct cpu_kv *kv, const float *k, const float *v, int64_t slot, int32_t g0, int32_t g1)
{
    int64_t at = slot % CPU_PAGE_TOKENS, page = slot / CPU_PAGE_TOKENS;
    bool q8 = kv->type == CPU_KV_Q8;
    for (int64_t h = g0; slot >= 0 && h < g1; h++) {
        uint8_t *keys = cpu_page_keys(kv, page, h), *values = cpu_page_values(kv, page, h);
        if (q8)
            store_blocks(keys, kv->k_dim, true, at, k + h * kv->k_dim);
        else
            store_key(kv->type, keys, kv->k_dim, at, k + h * kv->k_dim);
        if (q8 && kv->v_dim > 0)
            store_blocks(values, kv->v_dim, false, at, v + h * kv->v_dim);
        else if (kv->v_dim > 0)
            store_value(kv->type, values, kv->v_dim, at, v + h * kv->v_dim);
    }
}

#endif
