/* layout.c - where things lie in memory that callers own: quantised activations, pages of the cache, attention's scratch.
 *
 * Sizes only; the kernels of each level read and write by the same rules. [any-thread] Contract: kernels.h. */
#include "pages.h"

#include <string.h>

static int64_t round_up_64(int64_t n)
{
    return (n + 63) & ~(int64_t)63;
}

/* Of one factor per 32 columns. */
static int64_t turned_bytes(int64_t T, int64_t K)
{
    return (T + CPU_TURNED_TOKENS - 1) / CPU_TURNED_TOKENS * CPU_TURNED_TOKENS * (K / 32) * (int64_t)sizeof(float);
}

/* What `moved` takes of T tokens. More have none, but take as much, for memory is reused for fewer. */
static int64_t moved_bytes(int64_t T, int64_t K)
{
    return round_up_64((T < CPU_PART_TOKENS ? T : CPU_PART_TOKENS) * (K / 16) * 4 * (int64_t)sizeof(float));
}

int64_t cpu_act_bytes(int64_t T, int64_t K)
{
    const int64_t per_32 = round_up_64(T * (K / 32) * 4), per_16 = round_up_64(T * (K / 32) * 8);
    return 2 * round_up_64(T * K * 2) + 3 * per_32 + 2 * per_16 + moved_bytes(T, K) + 4 * turned_bytes(T, K);
}

void cpu_act_bind(struct cpu_act *a, void *mem, int64_t T, int64_t K)
{
    uint8_t *p = (uint8_t *)mem + round_up_64(T * K * 2);
    int64_t per_32 = round_up_64(T * (K / 32) * 4);
    a->K = K;
    a->q = a->narrow ? NULL : (int16_t *)mem;
    a->q8 = a->narrow ? (int8_t *)mem : NULL;
    a->d = (float *)(void *)p;
    a->ds = (float *)(void *)(p + per_32);
    a->sum = (int32_t *)(void *)(p + 2 * per_32);
    a->ds_16 = (float *)(void *)(p + 3 * per_32);
    a->sum_16 = (int32_t *)(void *)(p + 3 * per_32 + round_up_64(T * (K / 32) * 8));
    a->split = (int8_t *)(p + 3 * per_32 + 2 * round_up_64(T * (K / 32) * 8));
    p = (uint8_t *)a->split + round_up_64(T * K * 2);
    a->moved = T > CPU_PART_TOKENS ? NULL : (float *)(void *)p;
    a->turned_d = (float *)(void *)(p + moved_bytes(T, K));
    a->turned_ds = a->turned_d + turned_bytes(T, K) / (int64_t)sizeof(float);
    a->turned_ds_16 = a->turned_ds + turned_bytes(T, K) / (int64_t)sizeof(float);
}

struct cpu_act cpu_act_part(const struct cpu_act *a, int64_t t, int64_t k0, int64_t k1)
{
    int64_t at = t * a->K + k0;
    return (struct cpu_act){
        .x = a->x + t * a->ldx + k0, .ldx = a->ldx, .K = k1 - k0, .narrow = a->narrow,
        .q = a->narrow ? NULL : a->q + at, .q8 = a->narrow ? a->q8 + at : NULL, .split = a->split + 2 * at,
        .d = a->d + at / 32, .ds = a->ds + at / 32, .ds_16 = a->ds_16 + at / 16, .sum = a->sum + at / 32, .sum_16 = a->sum_16 + at / 16,
        .moved = a->moved == NULL ? NULL : a->moved + at / 4,
    };
}

#define Q8_BLOCK_BYTES (2 + CPU_KV_BLOCK) /* scale and elements */

int64_t cpu_kv_bytes(const struct cpu_kv *kv, int64_t n)
{
    return kv->type == CPU_KV_Q8 ? n / CPU_KV_BLOCK * Q8_BLOCK_BYTES : kv->type == CPU_KV_F32 ? n * 4 : n * 2;
}

int64_t cpu_kv_page_bytes(const struct cpu_kv *kv)
{
    return cpu_kv_bytes(kv, (int64_t)CPU_PAGE_TOKENS * kv->kv_heads * (kv->k_dim + kv->v_dim));
}

static void move(uint8_t *in_page, uint8_t *canonical, int64_t n, bool to_page)
{
    memcpy(to_page ? in_page : canonical, to_page ? canonical : in_page, (size_t)n);
}

/* Token t's line of one head: keys lie apart in the page, values side by side. */
static void exchange_line(const struct cpu_kv *kv, uint8_t *part, int64_t dim, bool keys, int64_t t, uint8_t *line, bool to_page)
{
    int64_t e = kv->type == CPU_KV_Q8 ? 1 : cpu_kv_bytes(kv, 1);
    for (int64_t d = 0; d < dim; d++) {
        if (kv->type == CPU_KV_Q8 && d % CPU_KV_BLOCK == 0) {
            int64_t b = d / CPU_KV_BLOCK, at = keys ? cpu_key_at(t, b) : cpu_value_at(dim / CPU_KV_BLOCK, t, b);
            move(cpu_page_scales(part, dim) + 2 * at, line, 2, to_page);
            line += 2;
        }
        move(part + e * (keys ? cpu_key_at(t, d) : cpu_value_at(dim, t, d)), line, e, to_page);
        line += e;
    }
}

/* Walks page and canonical bytes together: `to_page` says which of the two is written. */
static void exchange(const struct cpu_kv *kv, int64_t page, uint8_t *bytes, bool to_page)
{
    int64_t H = kv->kv_heads;
    uint8_t *values = bytes + cpu_kv_bytes(kv, CPU_PAGE_TOKENS * H * kv->k_dim);
    for (int64_t t = 0; t < CPU_PAGE_TOKENS; t++)
        for (int64_t h = 0; h < H; h++) {
            uint8_t *k = bytes + cpu_kv_bytes(kv, (t * H + h) * kv->k_dim), *v = values + cpu_kv_bytes(kv, (t * H + h) * kv->v_dim);
            exchange_line(kv, cpu_page_keys(kv, page, h), kv->k_dim, true, t, k, to_page);
            exchange_line(kv, cpu_page_values(kv, page, h), kv->v_dim, false, t, v, to_page);
        }
}

void cpu_kv_export(const struct cpu_kv *kv, int64_t page, void *ret_bytes)
{
    exchange(kv, page, ret_bytes, false);
}

void cpu_kv_import(const struct cpu_kv *kv, int64_t page, const void *bytes)
{
    exchange(kv, page, (uint8_t *)(uintptr_t)bytes, true); /* only read in this direction */
}

int64_t cpu_attn_scratch_bytes(int32_t k_dim, int32_t v_dim)
{
    const int64_t dim = k_dim, most = 2 * dim > v_dim ? 2 * dim : v_dim; /* two blocks of keys side by side, or one of values */
    int64_t floats = CPU_PAGE_TOKENS * most + CPU_ATTN_ROWS * (CPU_ATTN_SCORE_ROW + dim + v_dim);
#ifdef __x86_64__ /* or by tiles, for which elements of k go by 32 */
    const int64_t steps = (dim + 31) / 32 * 32, block = CPU_PAGE_TOKENS * (steps > v_dim ? steps : v_dim);
    const int64_t wide = block > CPU_ATTN_CHUNK_BYTES / 4 ? block : CPU_ATTN_CHUNK_BYTES / 4;
    const int64_t tiled = wide + CPU_ATTN_TILED_ROWS * (CPU_ATTN_SCORE_ROW + steps + v_dim);
    floats = tiled > floats ? tiled : floats;
#endif
    return 4 * floats;
}
