/* compressed.c - compressed-tensors. int4 ("pack-quantized", symmetric): weight_packed i32 [N, K / 8], eight numbers of 4 bits
 * each, 8 above what they stand for, and weight_scale bf16 or f16 [N, K / group]: x = (q - 8) * scale, as it lies in the file.
 * int8 ("int-quantized"): weight i8 [N, K] and weight_scale bf16 or f16 [N, 1]: x = q * scale; a row's scale is given to each 64.
 * [any-thread] Contract: tenon/quantizer.h, tenon/encoding.h. */
#include "checkpoints.h"

#define INT4(format_) \
    {UPPER(AT, 0, 2), PLANE_BITS(0, Q, AT, 0, 4), ADD_CONST(Q, Q, -8), CONST(U, 0), PLANE_FLOAT(1, D, U, 0, format_), TIMES_D}
static const struct tenon_insn bf16_program[] = INT4(TENON_F_BF16);
static const struct tenon_insn f16_program[] = INT4(TENON_F_F16);
#define GROUPED(g_, bf16_digest_, f16_digest_)                                                                          \
    static const struct tenon_plane planes_g##g_[] = {PLANE("weight_packed", g_ / 2, 4), PLANE("weight_scale", 2, 2)};  \
    CHECKPOINT_ENCODING(ct_int4_bf16_g##g_, "ct.int4_bf16_g" #g_ "/1", g_, bf16_digest_, planes_g##g_, bf16_program, .flags = 0); \
    CHECKPOINT_ENCODING(ct_int4_f16_g##g_, "ct.int4_f16_g" #g_ "/1", g_, f16_digest_, planes_g##g_, f16_program, .flags = 0)
GROUPED(32, "960491eed48d82564a37648c5be3c42f2f71f194adde9f7d3f4ff5e696da954f",
        "8ab8904e50e749af2ea5fd24d199e6c83d38ea35a6f3b0b44946d51d460dcbd9");
GROUPED(64, "098dfce54a5f1c37427cfb36e98b3b578132a520a614f8459d90b0204b1f5a4a",
        "460a40581e9d2f1969f3240cc3f936c54cd3b34807886659f8b4eeef970be06b");
GROUPED(128, "0f72faaad1bd035a7ad0566ccdbded8c3aab86781d0b1776fc1a2b0b2ff05bdf",
        "d1ecfc4756dbfb76b7ca6621e49cd4f1f61d992f57ac1d73a2e6cdcdbc35b954");

#define RUN 64u
static const struct tenon_plane int8_planes[] = {PLANE("weight", RUN, 1), PLANE("scales", 4, 4)};
static const struct tenon_insn int8_program[] = {
    UPPER(AT, 0, 3), PLANE_BITS(0, Q, AT, 0, 8), SEXT(Q, Q, 8), CONST(U, 0), PLANE_FLOAT(1, D, U, 0, TENON_F_F32), TIMES_D};
CHECKPOINT_ENCODING(int8_g64, "int8.f32_g64/1", RUN, "35e43b9a1a70b2142da4db84134ee880ae8a49d7b413e6b08132971d0b40965f",
                    int8_planes, int8_program, .flags = 0);

static uint64_t plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    (void)s;
    if (cols % RUN != 0)
        return UINT64_MAX;
    return plane == 0 ? bytes_of(rows, cols, 1) : bytes_of(rows, 2, 1);
}

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    (void)rows, (void)err;
    memcpy((uint8_t *)tiles[0] + first * cols, (const uint8_t *)planes[0] + first * cols, n * cols);
    for (uint64_t i = first; i < first + n; i++) {
        uint32_t bits = get_float(planes[1], i, s == &cp_ct_int8_bf16 ? TENON_F_BF16 : TENON_F_F16);
        for (uint64_t g = 0; g < cols / RUN; g++)
            put32(tiles[1], i * (cols / RUN) + g, bits);
    }
    return TENON_OK;
}

#define FORM(name_, id_)                                                                                          \
    const struct tenon_stored cp_##name_ = {.struct_size = sizeof(struct tenon_stored), .n_planes = 2, .id = (id_), \
        .encoding = &cp_int8_g64, .plane_bytes = plane_bytes, .unpack = unpack}
FORM(ct_int8_bf16, "ct.int8_bf16/1");
FORM(ct_int8_f16, "ct.int8_f16/1");
