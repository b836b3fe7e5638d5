/* gptq.c - GPTQ as its packages store it (AutoGPTQ, GPTQModel): for a weight of N rows and K columns
 *
 *     qweight  i32 [K * bits / 32, N]         words along K: number k is bits (k % per) * bits of word [k / per, n]
 *     qzeros   i32 [K / group, N * bits / 32] words along N, one less than the zero point ("gptq"), or it itself ("gptq_v2")
 *     scales   f16 [K / group, N]
 *     g_idx    i32 [K]                        group of column k; in order, k / group, unless weights were sorted ("desc_act")
 *
 * and x = scale * (q - zero). Turned around into rows of affine.c. Sorted ones have groups that are no runs along a row: then every
 * number gets its scale, which is exact and needs no other order of the activations. [any-thread] Contract: tenon/quantizer.h. */
#include "checkpoints.h"

enum { QWEIGHT, QZEROS, SCALES, G_IDX };

struct form {
    uint32_t bits, group;
    uint32_t zero_plus; /* what the zero points lack */
    uint32_t sorted;    /* g_idx counts */
};

static uint64_t plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    const struct form *f = s->info;
    if (cols % f->group != 0 || rows * f->bits % 32 != 0 || cols * f->bits % 32 != 0)
        return UINT64_MAX;
    switch (plane) {
    case QWEIGHT: return bytes_of(rows, cols * f->bits, 8);
    case QZEROS: return bytes_of(rows * f->bits, cols / f->group, 8);
    case SCALES: return bytes_of(rows * 2, cols / f->group, 1);
    default: return bytes_of(cols, 4, 1);
    }
}

/* Number i of words p, of `bits` each. */
static uint32_t number(const void *p, uint64_t i, uint32_t bits)
{
    uint32_t per = 32 / bits;
    return get32(p, i / per) >> bits * (i % per) & ((1u << bits) - 1);
}

static uint32_t zero_of(const struct form *f, const void *const *planes, uint64_t rows, uint64_t g, uint64_t n)
{
    return number((const uint8_t *)planes[QZEROS] + g * (rows * f->bits / 8), n, f->bits) + f->zero_plus;
}

/* Number k of row n: word [k / per, n]. */
static uint32_t quant_of(const struct form *f, const void *const *planes, uint64_t rows, uint64_t n, uint64_t k)
{
    uint32_t per = 32 / f->bits;
    return get32(planes[QWEIGHT], k / per * rows + n) >> f->bits * (k % per) & ((1u << f->bits) - 1);
}

static void unpack_row(const struct form *f, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t n,
                       void *const *tiles)
{
    uint64_t groups = cols / f->group;
    uint8_t *quants = (uint8_t *)tiles[0] + n * cols * f->bits / 8, *scales = (uint8_t *)tiles[1] + n * groups * 2;
    for (uint64_t k = 0; k < cols; k += 8 / f->bits) {
        uint32_t q = quant_of(f, planes, rows, n, k);
        *quants++ = (uint8_t)(f->bits == 8 ? q : q | quant_of(f, planes, rows, n, k + 1) << 4);
    }
    for (uint64_t g = 0; g < groups; g++) {
        uint32_t zero = zero_of(f, planes, rows, g, n);
        memcpy(scales + 2 * g, (const uint8_t *)planes[SCALES] + 2 * (g * rows + n), 2);
        if (f->bits == 4) {
            ((uint8_t *)tiles[2])[n * groups + g] = (uint8_t)zero;
        } else {
            ((uint8_t *)tiles[2])[2 * (n * groups + g)] = (uint8_t)zero;
            ((uint8_t *)tiles[2])[2 * (n * groups + g) + 1] = (uint8_t)(zero >> 8);
        }
    }
}

static void unpack_sorted_row(const struct form *f, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t n,
                              void *const *tiles)
{
    for (uint64_t k = 0; k < cols; k++) {
        uint64_t g = get32(planes[G_IDX], k);
        ((uint8_t *)tiles[0])[n * cols + k] = (uint8_t)(quant_of(f, planes, rows, n, k) - zero_of(f, planes, rows, g, n));
        memcpy((uint8_t *)tiles[1] + 2 * (n * cols + k), (const uint8_t *)planes[SCALES] + 2 * (g * rows + n), 2);
    }
}

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const struct form *f = s->info;
    for (uint64_t k = 0; k < cols; k++) {
        uint32_t g = get32(planes[G_IDX], k);
        if (g >= cols / f->group || (!f->sorted && g != k / f->group))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, s->id, "g_idx[%llu] is %u: %s", (unsigned long long)k, (unsigned)g,
                              g >= cols / f->group ? "there are fewer groups"
                                                   : "the columns are sorted, but config.json has no desc_act");
    }
    for (uint64_t i = first; i < first + n; i++)
        (f->sorted ? unpack_sorted_row : unpack_row)(f, planes, rows, cols, i, tiles);
    return TENON_OK;
}

#define FORM(name_, id_, encoding_, bits_, group_, plus_, sorted_)                                                       \
    static const struct form name_##_form = {.bits = (bits_), .group = (group_), .zero_plus = (plus_), .sorted = (sorted_)}; \
    const struct tenon_stored cp_##name_ = {.struct_size = sizeof(struct tenon_stored), .n_planes = 4, .id = (id_),      \
        .encoding = &cp_##encoding_, .info = &name_##_form, .plane_bytes = plane_bytes, .unpack = unpack}
#define FORMS(g_)                                                                               \
    FORM(gptq_int4_g##g_, "gptq.int4_g" #g_ "/1", affine_int4_g##g_, 4, g_, 1, 0);              \
    FORM(gptq_int8_g##g_, "gptq.int8_g" #g_ "/1", affine_int8_g##g_, 8, g_, 1, 0);              \
    FORM(gptq2_int4_g##g_, "gptq_v2.int4_g" #g_ "/1", affine_int4_g##g_, 4, g_, 0, 0);          \
    FORM(gptq2_int8_g##g_, "gptq_v2.int8_g" #g_ "/1", affine_int8_g##g_, 8, g_, 0, 0);          \
    FORM(gptq_int4_act_g##g_, "gptq.int4_act_g" #g_ "/1", scaled_int8, 4, g_, 1, 1);            \
    FORM(gptq2_int4_act_g##g_, "gptq_v2.int4_act_g" #g_ "/1", scaled_int8, 4, g_, 0, 1)
FORMS(32);
FORMS(64);
FORMS(128);
