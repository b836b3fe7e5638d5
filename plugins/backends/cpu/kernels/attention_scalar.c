/* attention_scalar.c - the cache's pages and attention over them in plain C.
 *
 * Works key block by key block with a running maximum, in the same order as the vector levels. [any-thread]
 * Contract: kernels.h; the formula: core.attention/1 of tenon/ops.h. */
#include "levels.h"
#include "pages.h"
#include "visible.h"

#include <math.h>
#include <stddef.h>

enum { B = CPU_PAGE_TOKENS };

/* ---- pages */

/* Element i of a head's part; q8: times the f16 at `scale`. */
static float load(enum cpu_kv_type type, const uint8_t *part, int64_t i, const uint8_t *scale)
{
    switch (type) {
    case CPU_KV_F32: return cpu_float_of(cpu_load32(part + 4 * i));
    case CPU_KV_BF16: return cpu_bf16_float(cpu_load16(part + 2 * i));
    case CPU_KV_Q8: return (float)(int8_t)part[i] * cpu_f16_float(cpu_load16(scale));
    default: return cpu_f16_float(cpu_load16(part + 2 * i));
    }
}

static float load_key(const struct cpu_kv *kv, uint8_t *part, int64_t t, int64_t d)
{
    return load(kv->type, part, cpu_key_at(t, d), cpu_page_scales(part, kv->k_dim) + 2 * cpu_key_at(t, d / CPU_KV_BLOCK));
}

static float load_value(const struct cpu_kv *kv, uint8_t *part, int64_t t, int64_t d)
{
    int64_t scale = cpu_value_at(kv->v_dim / CPU_KV_BLOCK, t, d / CPU_KV_BLOCK);
    return load(kv->type, part, cpu_value_at(kv->v_dim, t, d), cpu_page_scales(part, kv->v_dim) + 2 * scale);
}

static void store(enum cpu_kv_type type, uint8_t *part, int64_t i, float x)
{
    uint16_t half = type == CPU_KV_BF16 ? cpu_float_bf16(x) : cpu_float_f16(x);
    if (type == CPU_KV_F32)
        memcpy(part + 4 * i, &x, sizeof x);
    else
        memcpy(part + 2 * i, &half, sizeof half);
}

/* One block of 32 to q; returns its scale. */
static uint16_t quantise(const float *x, int8_t *q)
{
    uint32_t most = 0;
    for (int i = 0; i < CPU_KV_BLOCK; i++) {
        uint32_t bits = cpu_bits_of(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    uint16_t scale = cpu_q8_scale(most);
    float inverse = cpu_q8_inverse(scale);
    for (int i = 0; i < CPU_KV_BLOCK; i++)
        q[i] = inverse == 0.0f ? 0 : (int8_t)rintf(fminf(fmaxf(x[i] * inverse, -127.0f), 127.0f));
    return scale;
}

/* Token t's line of one head. */
static void store_line(const struct cpu_kv *kv, uint8_t *part, int64_t dim, bool keys, int64_t t, const float *x)
{
    int8_t q[CPU_KV_BLOCK];
    for (int64_t d = 0; d < dim; d++) {
        int64_t at = keys ? cpu_key_at(t, d) : cpu_value_at(dim, t, d), b = d / CPU_KV_BLOCK;
        if (kv->type != CPU_KV_Q8) {
            store(kv->type, part, at, x[d]);
            continue;
        }
        if (d % CPU_KV_BLOCK == 0) {
            uint16_t scale = quantise(x + d, q);
            memcpy(cpu_page_scales(part, dim) + 2 * (keys ? cpu_key_at(t, b) : cpu_value_at(dim / CPU_KV_BLOCK, t, b)), &scale,
                   2);
        }
        part[at] = (uint8_t)q[d % CPU_KV_BLOCK];
    }
}

void cpu_kv_store_scalar(const struct cpu_kv *kv, const float *k, const float *v, int64_t slot, int32_t g0, int32_t g1)
{
    int64_t at = slot % B;
    if (slot < 0)
        return;
    for (int64_t h = g0; h < g1; h++) {
        store_line(kv, cpu_page_keys(kv, slot / B, h), kv->k_dim, true, at, k + h * kv->k_dim);
        if (kv->v_dim > 0)
            store_line(kv, cpu_page_values(kv, slot / B, h), kv->v_dim, false, at, v + h * kv->v_dim);
    }
}

void cpu_kv_load_scalar(const struct cpu_kv *kv, int64_t slot, float *ret_k, float *ret_v)
{
    int64_t at = slot % B;
    for (int64_t h = 0; h < kv->kv_heads; h++) {
        for (int64_t d = 0; ret_k != NULL && d < kv->k_dim; d++)
            ret_k[h * kv->k_dim + d] = load_key(kv, cpu_page_keys(kv, slot / B, h), at, d);
        for (int64_t d = 0; ret_v != NULL && d < kv->v_dim; d++)
            ret_v[h * kv->v_dim + d] = load_value(kv, cpu_page_values(kv, slot / B, h), at, d);
    }
}

/* ---- attention */

/* One query row: its running maximum, sum of e and weighted sum of values (in y, not yet divided). */
struct row {
    const float *q; /* [k_dim] */
    float *y;       /* [v_dim] */
    float max, sum;
};

static float score(const struct cpu_attn *a, const float *q, uint8_t *keys, int64_t j)
{
    float s = 0.0f;
    for (int64_t d = 0; d < a->kv->k_dim; d++)
        s += q[d] * load_key(a->kv, keys, j, d);
    s *= a->scale;
    return a->softcap > 0.0f ? a->softcap * tanhf(s / a->softcap) : s;
}

/* Scale what was summed so far to a new maximum. */
static void raise(struct row *r, float max, int32_t v_dim)
{
    float factor = r->max == -INFINITY ? 0.0f : expf(r->max - max);
    for (int32_t d = 0; d < v_dim; d++)
        r->y[d] *= factor;
    r->sum *= factor;
    r->max = max;
}

static void add_block(const struct cpu_attn *a, struct row *r, int64_t page, int32_t g, int32_t low, int32_t high)
{
    const struct cpu_kv *kv = a->kv;
    uint8_t *keys = cpu_page_keys(kv, page, g), *values = cpu_page_values(kv, page, g);
    float s[B], max = r->max;
    for (int32_t j = low; j < high; j++) {
        s[j] = score(a, r->q, keys, j);
        max = s[j] > max || s[j] != s[j] ? s[j] : max;
    }
    if (max == -INFINITY)
        return;
    raise(r, max, kv->v_dim);
    for (int32_t j = low; j < high; j++) {
        float p = expf(s[j] - max);
        r->sum += p;
        for (int32_t d = 0; d < kv->v_dim; d++)
            r->y[d] += p * load_value(kv, values, j, d);
    }
}

/* The part of a later span onto what the spans before it came to, in r. */
static void merge(struct row *r, const struct row *part, int32_t v_dim)
{
    float max = part->max > r->max || part->max != part->max ? part->max : r->max;
    if (part->max == -INFINITY)
        return; /* it saw nothing */
    float before = r->max == -INFINITY ? 0.0f : expf(r->max - max), now = expf(part->max - max);
    for (int32_t d = 0; d < v_dim; d++)
        r->y[d] = r->y[d] * before + part->y[d] * now;
    r->sum = r->sum * before + part->sum * now;
    r->max = max;
}

static struct row begin_row(const struct cpu_attn *a, int64_t t, int32_t h, float *y)
{
    for (int32_t d = 0; d < a->kv->v_dim; d++)
        y[d] = 0.0f;
    return (struct row){ .q = a->q + t * a->ldq + (int64_t)h * a->kv->k_dim, .y = y, .max = -INFINITY };
}

/* Keys of one span onto r. */
static void add_span(const struct cpu_attn *a, struct row *r, int64_t t, int32_t g, int64_t span)
{
    const int32_t *table = a->block_table + a->seq_of_token[t] * a->table_stride;
    struct cpu_visible see = cpu_visible(a, t);
    int64_t first = span * CPU_SPAN_TOKENS, end = first + CPU_SPAN_TOKENS;
    first = see.first > first ? see.first : first;
    end = see.end < end ? see.end : end;
    for (int64_t b = first / B; b * B < end; b++)
        if (table[b] >= 0)
            add_block(a, r, table[b], g, cpu_visible_low(see, b), cpu_visible_high(see, b));
}

static void finish(const struct cpu_attn *a, struct row *r, int32_t h)
{
    if (a->sink != NULL) {
        raise(r, fmaxf(r->max, a->sink[h]), a->kv->v_dim);
        r->sum += expf(a->sink[h] - r->max);
    }
    for (int32_t d = 0; d < a->kv->v_dim; d++)
        r->y[d] = r->sum == 0.0f ? 0.0f : r->y[d] / r->sum;
}

static void attend(const struct cpu_attn *a, int64_t t, int32_t h, int32_t g, float *part_y)
{
    struct cpu_visible see = cpu_visible(a, t);
    struct row r = begin_row(a, t, h, a->y + t * a->ldy + (int64_t)h * a->kv->v_dim);
    for (int64_t span = see.first / CPU_SPAN_TOKENS; span * CPU_SPAN_TOKENS < see.end; span++) {
        struct row part = begin_row(a, t, h, part_y);
        add_span(a, &part, t, g, span);
        merge(&r, &part, a->kv->v_dim);
    }
    finish(a, &r, h);
}

void cpu_attention_scalar(const struct cpu_attn *a, int64_t t0, int64_t t1, int32_t g0, int32_t g1, void *scratch)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    for (int64_t t = t0; t < t1; t++)
        for (int32_t g = g0; g < g1; g++)
            for (int32_t h = g * group; h < (g + 1) * group; h++)
                attend(a, t, h, g, scratch);
}

void cpu_attention_part_scalar(const struct cpu_attn *a, int64_t token, int32_t g, int64_t span, float *parts, void *scratch)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    (void)scratch; /* the vector levels' tiles */
    for (int32_t h = 0; h < group; h++) {
        float *part = parts + h * cpu_attn_part_floats(a->kv->v_dim);
        struct row r = begin_row(a, token, g * group + h, part + CPU_ATTN_PART_Y);
        add_span(a, &r, token, g, span);
        part[0] = r.max;
        part[1] = r.sum;
    }
}

void cpu_attention_join_scalar(const struct cpu_attn *a, int64_t token, int32_t g, const float *parts, int64_t n)
{
    int32_t group = a->n_heads / a->kv->kv_heads;
    for (int32_t h = 0; h < group; h++) {
        struct row r = begin_row(a, token, g * group + h, a->y + token * a->ldy + (int64_t)(g * group + h) * a->kv->v_dim);
        for (int64_t span = 0; span < n; span++) {
            const float *part = parts + (span * group + h) * cpu_attn_part_floats(a->kv->v_dim);
            struct row p = { .y = (float *)(uintptr_t)(part + CPU_ATTN_PART_Y), .max = part[0], .sum = part[1] }; /* only read */
            merge(&r, &p, a->kv->v_dim);
        }
        finish(a, &r, g * group + h);
    }
}
