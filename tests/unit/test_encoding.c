/* test_encoding.c - encodings as data: those of GGUF against formulas written out here and vectors worked by hand, and the interpreter on
 * small ones made here. tests/e2e/encodings_gguf.py compares GGUF's with another implementation; what is refused is in
 * test_encoding_verifier.c, the fast decoder in test_encoding_decoder.c. */
#include "core/model/encoding.h"
#include "tests/unit/encoding_test.h"

/* ---- the encodings of GGUF ---------------------------------------------------------------------------------- */

START_TEST(all_are_well_formed_and_cheap_to_check)
{
    const struct tenon_quantizer *q = quantizer();
    const struct tenon_plugin *plugin;
    struct timespec a, b;
    (void)tenon_plugin_entry(TENON_ABI, &plugin);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (uint32_t i = 0; i < q->n_encodings; i++) {
        ck_assert_msg(tn_encoding_check(q->encodings[i], &err) == TENON_OK, "%s: %s", err.where, err.message);
        ck_assert_str_eq(plugin->items[0].keys[i], q->encodings[i]->id);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    ck_assert_ptr_null(plugin->items[0].keys[q->n_encodings]);
    double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) * 1e-6;
    printf("encoding: %u encodings checked in %.3f ms\n", (unsigned)q->n_encodings, ms);
    ck_assert(ms < 100);
}
END_TEST

static float half(const uint8_t *p)
{
    uint32_t h = (uint32_t)p[0] | (uint32_t)p[1] << 8, exponent = h >> 10 & 31;
    float f = exponent == 0 ? ldexpf((float)(h & 1023), -24) : ldexpf((float)(1024 + (h & 1023)), (int)exponent - 25);
    return h & 0x8000 ? -f : f;
}

static void q5_0_formula(const uint8_t *b, float *y)
{
    for (int i = 0; i < 32; i++) {
        int low = i < 16 ? b[6 + i] & 15 : b[6 + i - 16] >> 4, high = b[2 + i / 8] >> i % 8 & 1;
        y[i] = (float)((low | high << 4) - 16) * half(b);
    }
}

/* Scale and minimum j of the 12 bytes s. */
static void scale_min(const uint8_t *s, int j, int *sc, int *m)
{
    *sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *m = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

static void q5_k_formula(const uint8_t *b, float *y)
{
    for (int i = 0; i < 256; i++) {
        int sc, m, j = i / 32, l = i % 32;
        scale_min(b + 4, j, &sc, &m);
        int q = (b[48 + 32 * (j / 2) + l] >> 4 * (j % 2) & 15) + (b[16 + l] >> j & 1 ? 16 : 0);
        float d = half(b) * (float)sc, min = half(b + 2) * (float)m, scaled = d * (float)q;
        y[i] = scaled - min;
    }
}

static void q6_k_formula(const uint8_t *b, float *y)
{
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            int a = b[64 * h + l], c = b[64 * h + 32 + l], high = b[128 + 32 * h + l];
            int q[4] = {(a & 15) | (high & 3) << 4, (c & 15) | (high >> 2 & 3) << 4, a >> 4 | (high >> 4 & 3) << 4,
                        c >> 4 | (high >> 6 & 3) << 4};
            for (int k = 0; k < 4; k++) {
                float d = half(b + 208) * (float)(int8_t)b[192 + 8 * h + l / 16 + 2 * k];
                y[128 * h + 32 * k + l] = d * (float)(q[k] - 32);
            }
        }
}

/* Random blocks with finite scales by the program and by the formula. `halves` are the bytes of the half floats. */
static void equals_formula(const char *id, void (*formula)(const uint8_t *, float *), uint32_t half_a, uint32_t half_b)
{
    enum { BLOCKS = 50 };
    const struct tenon_encoding *e = encoding(id);
    uint32_t bytes = e->planes[0].tile_bytes, cols = e->tile_cols;
    uint8_t *blocks = malloc((size_t)BLOCKS * bytes);
    float *y = malloc((size_t)BLOCKS * cols * sizeof *y), want[256];
    const void *planes[] = {blocks};
    ck_assert(blocks != NULL && y != NULL && cols <= 256);
    for (uint32_t i = 0; i < BLOCKS * bytes; i++)
        blocks[i] = (uint8_t)next_random();
    for (uint32_t k = 0; k < BLOCKS; k++) /* no infinities */
        blocks[k * bytes + half_a + 1] &= 0xbf, blocks[k * bytes + half_b + 1] &= 0xbf;
    ck_assert_int_eq(tenon_ref_decode_rows(e, planes, 5, 10 * cols, 0, 5, y), TENON_OK);
    for (uint32_t k = 0; k < BLOCKS; k++) {
        formula(blocks + k * bytes, want);
        for (uint32_t i = 0; i < cols; i++)
            ck_assert_msg(memcmp(&want[i], &y[k * cols + i], 4) == 0, "%s block %u element %u: %a, not %a (seed %llu)", id, k,
                          i, (double)y[k * cols + i], (double)want[i], (unsigned long long)seed);
    }
    free(blocks);
    free(y);
}

START_TEST(programs_equal_formulas)
{
    equals_formula("gguf.q5_0/1", q5_0_formula, 0, 0);
    equals_formula("gguf.q5_k/1", q5_k_formula, 0, 2);
    equals_formula("gguf.q6_k/1", q6_k_formula, 208, 208);
}
END_TEST

/* Types that the Python package lacks, worked by hand: one block and what it holds. */
static void equals_vector(const char *id, const uint8_t *block, const float *want)
{
    const struct tenon_encoding *e = encoding(id);
    const void *planes[] = {block};
    float y[128];
    ck_assert_uint_le(e->tile_cols, 128);
    ck_assert_int_eq(tenon_ref_decode_rows(e, planes, 1, e->tile_cols, 0, 1, y), TENON_OK);
    for (uint32_t i = 0; i < e->tile_cols; i++)
        ck_assert_msg(y[i] == want[i] && signbit(y[i]) == signbit(want[i]), "%s element %u: %a, not %a", id, i, (double)y[i],
                      (double)want[i]);
}

START_TEST(q1_0_by_hand)
{
    uint8_t block[18] = {0x00, 0x3e, 0x05, 0x80, 0xff}; /* d 1.5; elements 0, 2, 15 and 16..23 positive */
    float want[128];
    for (int i = 0; i < 128; i++)
        want[i] = i == 0 || i == 2 || i == 15 || (i >= 16 && i < 24) ? 1.5f : -1.5f;
    equals_vector("gguf.q1_0/1", block, want);
    block[1] = 0xbe; /* d -1.5 */
    for (int i = 0; i < 128; i++)
        want[i] = -want[i];
    equals_vector("gguf.q1_0/1", block, want);
    memset(block, 0, sizeof block); /* d 0, all bits 0: -0 */
    for (int i = 0; i < 128; i++)
        want[i] = -0.0f;
    equals_vector("gguf.q1_0/1", block, want);
}
END_TEST

START_TEST(q2_0_by_hand)
{
    uint8_t block[18] = {0x00, 0x34}; /* d 0.25 */
    float want[64];
    memset(block + 2, 0xe4, 16); /* 3, 2, 1, 0 from the top: elements of each byte are 0, 1, 2, 3 */
    block[17] = 0x1b;            /* the last byte: 3, 2, 1, 0 */
    for (int i = 0; i < 64; i++)
        want[i] = 0.25f * (float)((i < 60 ? i % 4 : 3 - i % 4) - 1);
    equals_vector("gguf.q2_0/1", block, want);
}
END_TEST

START_TEST(decodes_the_rows_asked_for)
{
    const struct tenon_encoding *e = encoding("f16/1");
    static const uint16_t x[6] = {0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600}; /* 1..6 */
    const void *planes[] = {x};
    float y[4] = {0};
    ck_assert_int_eq(tenon_ref_decode_rows(e, planes, 3, 2, 1, 2, y), TENON_OK);
    ck_assert(y[0] == 3 && y[1] == 4 && y[2] == 5 && y[3] == 6);
    y[0] = 9;
    ck_assert_int_eq(tenon_ref_decode_rows(e, planes, 3, 2, 2, 2, y), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(tenon_ref_decode_rows(e, planes, 3, 2, 4, 0, y), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(tenon_ref_decode_rows(encoding("gguf.q8_0/1"), planes, 1, 33, 0, 1, y), TENON_E_INVALID_ARGUMENT);
    ck_assert(y[0] == 9);
}
END_TEST

/* ---- the interpreter ----------------------------------------------------------------------------------------- */

START_TEST(tiles_of_rows_and_planes)
{
    /* 2 x 2 tiles; element i = byte i of plane 0 plus byte i of plane 1, the latter by the table */
    static const struct tenon_insn program[] = {
        {.op = TENON_OP_CONST, .dst = 2, .imm = 3},
        {.op = TENON_OP_SHL, .dst = 3, .a = 0, .b = 2},
        {.op = TENON_OP_LDBITS, .dst = 1, .a = 3, .plane = 0, .imm = 0, .width = 8},
        {.op = TENON_OP_I2F, .dst = 1, .a = 1},
        {.op = TENON_OP_LDBITS, .dst = 4, .a = 3, .plane = 1, .width = 8},
        {.op = TENON_OP_TBL, .dst = 4, .a = 4, .plane = 0},
        {.op = TENON_OP_FADD, .dst = 1, .a = 1, .b = 4},
    };
    struct tenon_encoding e = small(2, 2, program, 7);
    uint8_t a[32], b[16]; /* 4 tiles: a tensor of 4 x 4 */
    const void *planes[] = {a, b};
    float y[12];
    ck_assert_msg(tenon_ref_encoding_verify(&e, &err) == TENON_OK, "%s", err.message);
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 4; i++)
            a[8 * t + i] = (uint8_t)(10 * t + 4 * i), b[4 * t + i] = 5; /* 5 & 3 = 1: 2.0 */
    ck_assert_int_eq(tenon_ref_decode_rows(&e, planes, 4, 4, 1, 3, y), TENON_OK);
    ck_assert(y[0] == 8 + 2 && y[1] == 12 + 2 && y[2] == 18 + 2 && y[3] == 22 + 2); /* row 1: tiles 0 and 1, second rows */
    ck_assert(y[4] == 20 + 2 && y[7] == 34 + 2 && y[11] == 42 + 2);
}
END_TEST

/* Decode four bytes of plane 0 in a format. */
static void floats_of(uint32_t format, uint32_t step, const uint8_t *bytes, float *y)
{
    struct tenon_insn program[] = {
        {.op = TENON_OP_CONST, .dst = 2, .imm = step},
        {.op = TENON_OP_MUL, .dst = 2, .a = 0, .b = 2},
        {.op = TENON_OP_LDF, .dst = 1, .a = 2, .width = (uint8_t)format},
    };
    struct tenon_encoding e = SMALL(program);
    const void *planes[] = {bytes, bytes};
    ck_assert_msg(tenon_ref_encoding_verify(&e, &err) == TENON_OK, "%s", err.message);
    ck_assert_int_eq(tenon_ref_decode_rows(&e, planes, 1, 4, 0, 1, y), TENON_OK);
}

START_TEST(float_formats)
{
    float y[4];
    floats_of(TENON_F_E4M3, 1, (uint8_t[8]){0x38, 0x01, 0xfe, 0x7f}, y);
    ck_assert(y[0] == 1.0f && y[1] == 0x1p-9f && y[2] == -448.0f && isnan(y[3]));
    floats_of(TENON_F_E8M0, 1, (uint8_t[8]){127, 0, 254, 255}, y);
    ck_assert(y[0] == 1.0f && y[1] == 0x1p-127f && y[2] == 0x1p127f && isnan(y[3]));
    floats_of(TENON_F_F16, 2, (uint8_t[8]){0x01, 0x80, 0xff, 0x7b, 0x00, 0xfc, 0x01, 0x7e}, y);
    ck_assert(y[0] == -0x1p-24f && y[1] == 65504.0f && y[2] == -INFINITY && isnan(y[3]));
    floats_of(TENON_F_BF16, 2, (uint8_t[8]){0x80, 0x3f, 0x00, 0xc0, 0x01, 0x00, 0x80, 0xff}, y);
    ck_assert(y[0] == 1.0f && y[1] == -2.0f && y[2] == 0x1p-133f && y[3] == -INFINITY);
}
END_TEST

/* Result of one instruction on three constants. */
static uint32_t one_op(struct tenon_insn insn, uint32_t a, uint32_t b, uint32_t c)
{
    struct tenon_insn program[4] = {
        {.op = TENON_OP_CONST, .dst = 2, .imm = a},
        {.op = TENON_OP_CONST, .dst = 3, .imm = b},
        {.op = TENON_OP_CONST, .dst = 4, .imm = c},
    };
    uint8_t data[8] = {0};
    const void *planes[] = {data, data};
    float y[4];
    uint32_t bits;
    program[3] = insn;
    program[3].dst = 1;
    struct tenon_encoding e = SMALL(program);
    ck_assert_msg(tenon_ref_encoding_verify(&e, &err) == TENON_OK, "%s", err.message);
    ck_assert_int_eq(tenon_ref_decode_rows(&e, planes, 1, 4, 0, 1, y), TENON_OK);
    memcpy(&bits, &y[3], 4);
    return bits;
}
#define AB(op_) ((struct tenon_insn){.op = TENON_OP_##op_, .a = 2, .b = 3})
#define ABC(op_) ((struct tenon_insn){.op = TENON_OP_##op_, .a = 2, .b = 3, .c = 4})

START_TEST(instructions)
{
    ck_assert_uint_eq(one_op(AB(AND), 0xff00ff00, 0x0ff00ff0, 0), 0x0f000f00);
    ck_assert_uint_eq(one_op(AB(OR), 0xff00ff00, 0x0ff00ff0, 0), 0xfff0fff0);
    ck_assert_uint_eq(one_op(AB(XOR), 0xff00ff00, 0x0ff00ff0, 0), 0xf0f0f0f0);
    ck_assert_uint_eq(one_op(AB(SHL), 3, 33, 0), 6);
    ck_assert_uint_eq(one_op(AB(SHR), 0x80000000, 63, 0), 1);
    ck_assert_uint_eq(one_op(AB(ADD), 0xffffffff, 2, 0), 1);
    ck_assert_uint_eq(one_op(AB(MUL), 0x10001, 0x10001, 0), 0x20001);
    ck_assert_uint_eq(one_op((struct tenon_insn){.op = TENON_OP_SEXT, .a = 2, .width = 4}, 0x78, 0, 0), 0xfffffff8);
    ck_assert_uint_eq(one_op((struct tenon_insn){.op = TENON_OP_SEXT, .a = 2, .width = 32}, 0x80000001, 0, 0), 0x80000001);
    ck_assert_uint_eq(one_op((struct tenon_insn){.op = TENON_OP_I2F, .a = 2}, (uint32_t)-2, 0, 0), 0xc0000000);
    ck_assert_uint_eq(one_op((struct tenon_insn){.op = TENON_OP_F16F, .a = 2}, 0xabcd3c00, 0, 0), 0x3f800000);
    ck_assert_uint_eq(one_op((struct tenon_insn){.op = TENON_OP_TBL, .a = 2}, 7, 0, 0), 0x40800000);
    ck_assert_uint_eq(one_op(ABC(SEL), 5, 1, 2), 1);
    ck_assert_uint_eq(one_op(ABC(SEL), 0, 1, 2), 2);
    /* (1 + 2^-12)^2 - 1: rounding the product first loses the last bit */
    ck_assert(bits_to_float(one_op(ABC(FMA), 0x3f800800, 0x3f800800, 0xbf800000)) == 0x1p-11f + 0x1p-24f);
    ck_assert(bits_to_float(one_op(AB(FMUL), 0x3f800800, 0x3f800800, 0)) == 1.0f + 0x1p-11f);
    ck_assert_uint_eq(one_op(AB(FMUL), 0x00800000, 0x3f000000, 0), 0x00400000); /* denormals are kept */
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, all_are_well_formed_and_cheap_to_check);
    tcase_add_test(tc, programs_equal_formulas);
    tcase_add_test(tc, q1_0_by_hand);
    tcase_add_test(tc, q2_0_by_hand);
    tcase_add_test(tc, decodes_the_rows_asked_for);
    tcase_add_test(tc, tiles_of_rows_and_planes);
    tcase_add_test(tc, float_formats);
    tcase_add_test(tc, instructions);
}

int main(void)
{
    return run_encoding_suite("encoding", add_tests);
}
