/* test_encoding_decoder.c - the fast decoder of encodings against the interpreter, to the bit, on all of GGUF's and on tiles of odd shapes,
 * and what it takes of memory. */
#include "tests/unit/encoding_test.h"

#include "tests/unit/counted_memory.h"

/* Random bytes of a tensor by the interpreter and by the decoder; planes are exactly as long as they must be. */
static void decoder_agrees(const struct tenon_encoding *e, uint64_t rows, uint64_t cols)
{
    void *planes[TENON_PLANES_MAX];
    float *want = malloc(rows * cols * sizeof *want), *got = malloc(rows * cols * sizeof *got); /* [rows, cols] */
    struct tenon_ref_decoder *d = NULL;
    for (uint32_t p = 0; p < e->n_planes; p++) {
        uint64_t bytes = tenon_encoding_plane_bytes(e, p, rows, cols);
        ck_assert(bytes < 1 << 24 && (planes[p] = malloc(bytes)) != NULL);
        for (uint64_t i = 0; i < bytes; i++)
            ((uint8_t *)planes[p])[i] = (uint8_t)next_random();
    }
    ck_assert(want != NULL && got != NULL);
    ck_assert_msg(tenon_ref_decoder_create(e, &d, &err) == TENON_OK, "%s", err.message);
    ck_assert_int_eq(tenon_ref_decode_rows(e, (const void *const *)planes, rows, cols, 0, rows, want), TENON_OK);
    ck_assert_int_eq(tenon_ref_decoder_rows(d, (const void *const *)planes, rows, cols, 0, rows, got), TENON_OK);
    same_floats(e->id, got, want, rows * cols);
    ck_assert_int_eq(tenon_ref_decoder_rows(d, (const void *const *)planes, rows, cols, rows, 1, got), TENON_E_INVALID_ARGUMENT);
    tenon_ref_decoder_destroy(d);
    for (uint32_t p = 0; p < e->n_planes; p++)
        free(planes[p]);
    free(want);
    free(got);
}

START_TEST(decoder_equals_interpreter)
{
    const struct tenon_quantizer *q = quantizer();
    for (uint32_t i = 0; i < q->n_encodings; i++)
        for (uint64_t tiles = 1; tiles < 12; tiles += 5) /* less than, and no multiple of, what is decoded together */
            decoder_agrees(q->encodings[i], 3, tiles * q->encodings[i]->tile_cols);
    decoder_agrees(encoding("f16/1"), 2, 513);
    tenon_ref_decoder_destroy(NULL);
}
END_TEST

START_TEST(decoder_of_odd_tiles)
{
    /* byte and sign of element i, scaled by the row's f32 in plane 1: tiles wider than what is decoded together, and of 3 columns */
    static const struct tenon_insn program[] = {
        {.op = TENON_OP_CONST, .dst = 2, .imm = 9},
        {.op = TENON_OP_MUL, .dst = 3, .a = 0, .b = 2},
        {.op = TENON_OP_LDBITS, .dst = 1, .a = 3, .width = 9}, /* straddles bytes, at the end of a tile by less than four */
        {.op = TENON_OP_SEXT, .dst = 1, .a = 1, .width = 9},
        {.op = TENON_OP_I2F, .dst = 1, .a = 1},
        {.op = TENON_OP_CONST, .dst = 4, .imm = 0},
        {.op = TENON_OP_LDF, .dst = 4, .a = 4, .plane = 1, .width = TENON_F_F32},
        {.op = TENON_OP_FMUL, .dst = 1, .a = 1, .b = 4},
    };
    static const uint32_t shapes[][2] = {{1, 600}, {2, 300}, {5, 3}, {3, 8}, {1, 1}, {128, 128}, {300, 2}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        uint32_t elements = shapes[k][0] * shapes[k][1];
        struct tenon_plane planes[2] = {small_planes[0], small_planes[1]};
        struct tenon_encoding e = small(shapes[k][0], shapes[k][1], program, 8);
        planes[0].tile_bytes = (elements * 9 + 7) / 8;
        e.planes = planes;
        ck_assert_msg(tenon_ref_encoding_verify(&e, &err) == TENON_OK, "%s", err.message);
        decoder_agrees(&e, 2 * e.tile_rows, 3 * e.tile_cols);
    }
}
END_TEST

/* What is prepared must not grow with the rows of a tile, which cost a plugin a number. */
START_TEST(decoder_of_tall_tiles)
{
    static const struct tenon_insn program[] = {{.op = TENON_OP_LDF, .dst = 1, .a = 0, .width = TENON_F_E8M0},
                                                {.op = TENON_OP_FADD, .dst = 1, .a = 1, .b = 1}};
    struct tenon_plane planes[2] = {small_planes[0], small_planes[1]};
    struct tenon_encoding e = small(TENON_TILE_MAX, 1, program, 2);
    struct tenon_ref_decoder *d = NULL;
    planes[0].tile_bytes = TENON_TILE_MAX;
    e.planes = planes;
    ck_assert_int_eq(tenon_ref_encoding_verify(&e, &err), TENON_OK);
    counted_watch();
    int32_t rc = tenon_ref_decoder_create(&e, &d, &err);
    size_t peak = counted.peak;
    tenon_ref_decoder_destroy(d);
    counted.watching = false;
    ck_assert_int_eq(rc, TENON_OK);
    ck_assert_uint_eq(counted.live, 0);
    ck_assert_uint_lt(peak, 1 << 20);
    decoder_agrees(&e, TENON_TILE_MAX, 3);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, decoder_equals_interpreter);
    tcase_add_test(tc, decoder_of_odd_tiles);
    tcase_add_test(tc, decoder_of_tall_tiles);
}

int main(void)
{
    return run_encoding_suite("encoding_decoder", add_tests);
}
