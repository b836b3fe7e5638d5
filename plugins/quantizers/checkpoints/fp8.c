/* fp8.c - E4M3 with a float scale for each square of 128 x 128, as DeepSeek's checkpoints have it: weight f8 [N, K],
 * weight_scale_inv [N / 128, K / 128] (rounded up; f32, or as in Qwen3's bf16), x = weight * scale. A row's groups of 128 take their
 * square's scale along, as f32.
 * [any-thread] Contract: tenon/quantizer.h, tenon/encoding.h. */
#include "checkpoints.h"

#define SQUARE 128u

static const struct tenon_plane planes_g128[] = {PLANE("weight", 128, 1), PLANE("scales", 4, 4)};
static const struct tenon_insn program[] = {
    PLANE_FLOAT(0, Q, I, 0, TENON_F_E4M3), CONST(U, 0), PLANE_FLOAT(1, D, U, 0, TENON_F_F32), FMUL(X, Q, D)};
CHECKPOINT_ENCODING(fp8_g128, "fp8.e4m3_g128/1", SQUARE, "3c743e1bfe33a5a9b9ecb1f43f777dcb93104f3fbdd4d4bb7208d3b55fecda4d",
                    planes_g128, program, .flags = 0);

struct form {
    uint32_t format, bytes; /* of a scale in the file */
};

static uint64_t plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    const struct form *f = s->info;
    if (cols % SQUARE != 0)
        return UINT64_MAX;
    return plane == 0 ? bytes_of(rows, cols, 1) : bytes_of(rows / SQUARE + (rows % SQUARE != 0), cols / SQUARE * f->bytes, 1);
}

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const struct form *f = s->info;
    uint64_t line = cols / SQUARE; /* scales of one row */
    (void)rows, (void)err;
    memcpy((uint8_t *)tiles[0] + first * cols, (const uint8_t *)planes[0] + first * cols, n * cols);
    for (uint64_t i = first; i < first + n; i++)
        for (uint64_t g = 0; g < line; g++)
            put32(tiles[1], i * line + g, get_float(planes[1], i / SQUARE * line + g, f->format));
    return TENON_OK;
}

#define FORM(type_, format_, bytes_)                                                                                              \
    static const struct form type_##_form = {.format = (format_), .bytes = (bytes_)};                                             \
    const struct tenon_stored cp_fp8_##type_ = {.struct_size = sizeof(struct tenon_stored), .n_planes = 2,                        \
        .id = "fp8.e4m3_" #type_ "_128x128/1", .encoding = &cp_fp8_g128, .info = &type_##_form, .plane_bytes = plane_bytes, .unpack = unpack}
FORM(f32, TENON_F_F32, 4);
FORM(f16, TENON_F_F16, 2);
FORM(bf16, TENON_F_BF16, 2);
