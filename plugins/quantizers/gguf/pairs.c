/* pairs.c - MXFP4 as published safetensors of gpt-oss have it, a form that becomes GGUF's blocks at load: blocks u8 [N, K / 32,
 * 16], in each byte two neighbours, the first in the low bits, and scales u8 [N, K / 32], the exponents (E8M0). The numbers are
 * the same, only their places differ: a block of GGUF has its exponent before its bytes, and in byte i elements i and i + 16.
 * [any-thread] Contract: tenon/quantizer.h. */
#include <tenon/quantizer.h>

#include "gguf.h"

#define BLOCK 32u
#define HALF_BLOCK (BLOCK / 2) /* elements, and bytes of a block without its exponent */

static uint64_t plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    uint64_t bytes;
    (void)s;
    if (cols % BLOCK != 0 || __builtin_mul_overflow(rows, cols / BLOCK * (plane == 0 ? HALF_BLOCK : 1), &bytes))
        return UINT64_MAX;
    return bytes;
}

/* out [1 + HALF_BLOCK] of in [HALF_BLOCK] */
static void put_block(const uint8_t *in, uint8_t exponent, uint8_t *out)
{
    out[0] = exponent;
    for (uint32_t i = 0; i < HALF_BLOCK; i++) {
        const uint32_t shift = 4 * (i % 2);
        out[1 + i] = (uint8_t)((in[i / 2] >> shift & 15u) | (in[HALF_BLOCK / 2 + i / 2] >> shift & 15u) << 4);
    }
}

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const uint8_t *blocks = planes[0], *scales = planes[1];
    uint8_t *out = tiles[0];
    const uint64_t line = cols / BLOCK;
    (void)s, (void)rows, (void)err;
    for (uint64_t b = first * line; b < (first + n) * line; b++)
        put_block(blocks + b * HALF_BLOCK, scales[b], out + b * (1 + HALF_BLOCK));
    return TENON_OK;
}

const struct tenon_stored gguf_mxfp4_pairs = {.struct_size = sizeof(struct tenon_stored), .n_planes = 2, .id = "mxfp4.pairs/1",
    .encoding = &gguf_mxfp4, .plane_bytes = plane_bytes, .unpack = unpack};
