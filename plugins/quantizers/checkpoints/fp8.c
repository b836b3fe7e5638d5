/* fp8.c - E4M3 with float scales: weight f8 [N, K], x = weight * scale, where the scale is
 *
 *     "128x128"  of a square, as in DeepSeek's checkpoints: weight_scale_inv [N / 128, K / 128], rounded up; f32, or as in Qwen3's bf16
 *     "channel"  of a row, "tensor" of all, as compressed-tensors has them: weight_scale [N, 1] or [1]
 *
 * A row's groups of 128 columns take their scale along, as f32; "part": K is no multiple of that, and they are groups of 32.
 * [any-thread] Contract: tenon/quantizer.h, tenon/encoding.h. */
#include "checkpoints.h"

#include <string.h>

static const struct tenon_plane planes_g128[] = {PLANE("weight", 128, 1), PLANE("scales", 4, 4)};
static const struct tenon_plane planes_g32[] = {PLANE("weight", 32, 1), PLANE("scales", 4, 4)};
static const struct tenon_insn program[] = {
    PLANE_FLOAT(0, Q, I, 0, TENON_F_E4M3), CONST(U, 0), PLANE_FLOAT(1, D, U, 0, TENON_F_F32), FMUL(X, Q, D)};
CHECKPOINT_ENCODING(fp8_g128, "fp8.e4m3_g128/1", 128, "3c743e1bfe33a5a9b9ecb1f43f777dcb93104f3fbdd4d4bb7208d3b55fecda4d",
                    planes_g128, program, .flags = 0);
CHECKPOINT_ENCODING(fp8_g32, "fp8.e4m3_g32/1", 32, "d835aa6dd268cb45428b50d7beb52d4d8c2a3ba40f949697ed80516b2d134086",
                    planes_g32, program, .flags = 0);

struct form {
    uint32_t format, bytes; /* of a scale in the file */
    uint64_t rows, cols;    /* that share one */
};

static uint64_t scales_along(uint64_t n, uint64_t shared)
{
    return n / shared + (n % shared != 0);
}

static uint64_t plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    const struct form *f = s->info;
    if (cols % s->encoding->tile_cols != 0)
        return UINT64_MAX;
    return plane == 0 ? bytes_of(rows, cols, 1) : bytes_of(scales_along(rows, f->rows), scales_along(cols, f->cols) * f->bytes, 1);
}

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const struct form *f = s->info;
    const uint64_t group = s->encoding->tile_cols, line = cols / group; /* scales of one row of tiles */
    (void)rows, (void)err;
    memcpy((uint8_t *)tiles[0] + first * cols, (const uint8_t *)planes[0] + first * cols, n * cols);
    for (uint64_t i = first; i < first + n; i++)
        for (uint64_t g = 0; g < line; g++)
            put32(tiles[1], i * line + g, get_float(planes[1], i / f->rows * scales_along(cols, f->cols) + g * group / f->cols,
                                                    f->format));
    return TENON_OK;
}

#define FORM(name_, id_, encoding_, format_, bytes_, rows_, cols_)                                                                     \
    static const struct form name_##_form = {.format = (format_), .bytes = (bytes_), .rows = (rows_), .cols = (cols_)};               \
    const struct tenon_stored cp_##name_ = {.struct_size = sizeof(struct tenon_stored), .n_planes = 2, .id = (id_),                   \
        .encoding = &cp_##encoding_, .info = &name_##_form, .plane_bytes = plane_bytes, .unpack = unpack}
#define SHARED(name_, id_, ...)                              \
    FORM(name_, "fp8.e4m3_" id_ "/1", fp8_g128, __VA_ARGS__); \
    FORM(name_##_part, "fp8.e4m3_" id_ "_part/1", fp8_g32, __VA_ARGS__)
#define FORMS(type_, format_, bytes_)                                                             \
    SHARED(fp8_##type_, #type_ "_128x128", format_, bytes_, 128, 128);                            \
    SHARED(fp8_##type_##_channel, #type_ "_channel", format_, bytes_, 1, UINT64_MAX);             \
    SHARED(fp8_##type_##_tensor, #type_ "_tensor", format_, bytes_, UINT64_MAX, UINT64_MAX)
FORMS(f32, TENON_F_F32, 4);
FORMS(f16, TENON_F_F16, 2);
FORMS(bf16, TENON_F_BF16, 2);
