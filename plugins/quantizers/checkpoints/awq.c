/* awq.c - AWQ as its packages store it ("gemm"): for a weight of N rows and K columns
 *
 *     qweight  i32 [K, N / 8]         eight numbers of 4 bits along N, in the order 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits
 *     qzeros   i32 [K / group, N / 8] the same
 *     scales   f16 [K / group, N]
 *
 * and x = scale * (q - zero). Turned around into rows of affine.c. [any-thread] Contract: tenon/quantizer.h. */
#include "checkpoints.h"

enum { QWEIGHT, QZEROS, SCALES };

static uint64_t plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    uint64_t group = s->encoding->tile_cols;
    if (rows % 8 != 0 || cols % group != 0)
        return UINT64_MAX;
    switch (plane) {
    case QWEIGHT: return bytes_of(rows, cols, 2);
    case QZEROS: return bytes_of(rows, cols / group, 2);
    default: return bytes_of(rows * 2, cols / group, 1);
    }
}

/* Number n of line p of N. */
static uint32_t number(const void *p, uint64_t rows, uint64_t line, uint64_t n)
{
    static const uint8_t place[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return get4((const uint8_t *)p + line * (rows / 2), n / 8 * 8 + place[n % 8]);
}

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    uint64_t groups = cols / s->encoding->tile_cols;
    (void)err;
    for (uint64_t i = first; i < first + n; i++) {
        uint8_t *quants = (uint8_t *)tiles[0] + i * cols / 2;
        for (uint64_t k = 0; k < cols; k += 2)
            *quants++ = (uint8_t)(number(planes[QWEIGHT], rows, k, i) | number(planes[QWEIGHT], rows, k + 1, i) << 4);
        for (uint64_t g = 0; g < groups; g++) {
            memcpy((uint8_t *)tiles[1] + 2 * (i * groups + g), (const uint8_t *)planes[SCALES] + 2 * (g * rows + i), 2);
            ((uint8_t *)tiles[2])[i * groups + g] = (uint8_t)number(planes[QZEROS], rows, g, i);
        }
    }
    return TENON_OK;
}

#define FORM(g_)                                                                                        \
    const struct tenon_stored cp_awq_int4_g##g_ = {.struct_size = sizeof(struct tenon_stored), .n_planes = 3, \
        .id = "awq.int4_g" #g_ "/1", .encoding = &cp_affine_int4_g##g_, .plane_bytes = plane_bytes, .unpack = unpack}
FORM(32);
FORM(64);
FORM(128);
