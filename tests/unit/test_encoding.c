/* test_encoding.c - encodings as data: the verifier against good and bad programs, the interpreter against formulas
 * written out here, and both together on random programs: what is accepted may not read past its planes, which stand in
 * blocks of exactly their size for the address sanitizer to see. The encodings are those of plugins/quantizers/gguf,
 * linked in; tests/e2e/encodings_gguf.py compares them with another implementation. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tenon/quantizer.h>
#include <tenon/reference.h>

#include "core/model/encoding.h"
#include "tests/unit/counted_memory.h"

int32_t tenon_plugin_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

static struct tenon_err err;
static uint64_t seed;

static void setup(void)
{
    const char *given = getenv("TENON_TEST_SEED");
    err = (struct tenon_err)TENON_ERR_INIT;
    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
}

static uint32_t next_random(void)
{
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)((z ^ z >> 27) * 0x94d049bb133111ebu >> 32);
}

static const struct tenon_quantizer *quantizer(void)
{
    const struct tenon_plugin *plugin;
    ck_assert_int_eq(tenon_plugin_entry(TENON_ABI, &plugin), TENON_OK);
    ck_assert_str_eq(plugin->items[0].iface, TENON_QUANTIZER_IFACE);
    return plugin->items[0].impl;
}

static const struct tenon_encoding *encoding(const char *id)
{
    const struct tenon_quantizer *q = quantizer();
    for (uint32_t i = 0; i < q->n_encodings; i++)
        if (strcmp(q->encodings[i]->id, id) == 0)
            return q->encodings[i];
    ck_abort_msg("no encoding %s", id);
    return NULL;
}

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

/* ---- small encodings made here ------------------------------------------------------------------------------ */

/* A tile of 4 elements, planes of 8 and 4 bytes, one table of 4. */
static const uint32_t table_values[4] = {0x3f800000, 0x40000000, 0x40400000, 0x40800000}; /* 1 2 3 4 */
static const struct tenon_table small_table = {sizeof small_table, 2, table_values};
static const struct tenon_plane small_planes[2] = {
    {sizeof small_planes[0], 8, 1, 0, "a"},
    {sizeof small_planes[0], 4, 1, 0, "b"},
};

static struct tenon_encoding small(uint32_t rows, uint32_t cols, const struct tenon_insn *program, uint32_t n)
{
    return (struct tenon_encoding){
        .struct_size = sizeof(struct tenon_encoding), .id = "test.small/1", .tile_rows = rows, .tile_cols = cols,
        .n_planes = 2, .n_tables = 1, .planes = small_planes, .tables = &small_table, .program = program, .n_insns = n,
        .result = 1};
}
#define SMALL(program) small(1, 4, program, sizeof(program) / sizeof((program)[0]))

static float bits_to_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

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

/* ---- the fast decoder --------------------------------------------------------------------------------------- */

/* Equal bits, NaN equal to NaN. */
static void same_floats(const char *what, const float *got, const float *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ck_assert_msg(memcmp(&got[i], &want[i], 4) == 0 || (isnan(got[i]) && isnan(want[i])), "%s element %llu: %a, not %a (seed %llu)",
                      what, (unsigned long long)i, (double)got[i], (double)want[i], (unsigned long long)seed);
}

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

/* ---- what must be refused ----------------------------------------------------------------------------------- */

static void refused(const struct tenon_encoding *e, const char *words)
{
    err = (struct tenon_err)TENON_ERR_INIT;
    ck_assert_int_eq(tenon_ref_encoding_verify(e, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_msg(strstr(err.message, words) != NULL, "\"%s\" lacks \"%s\"", err.message, words);
}

/* r1 = 0, then one bad instruction. */
static void insn_refused(struct tenon_insn insn, const char *words)
{
    struct tenon_insn program[2] = {{.op = TENON_OP_CONST, .dst = 1}, insn};
    struct tenon_encoding e = SMALL(program);
    ck_assert_ptr_nonnull(strstr(words, "instruction 1"));
    refused(&e, words);
}

START_TEST(refuses_bad_instructions)
{
    insn_refused((struct tenon_insn){.op = TENON_OP_COUNT}, "instruction 1 (?): opcode 18");
    insn_refused((struct tenon_insn){.op = 255}, "instruction 1 (?): opcode 255");
    insn_refused((struct tenon_insn){.op = TENON_OP_ADD, .dst = 32}, "instruction 1 (ADD): registers");
    insn_refused((struct tenon_insn){.op = TENON_OP_ADD, .a = 32}, "instruction 1 (ADD): registers");
    insn_refused((struct tenon_insn){.op = TENON_OP_ADD, .b = 255}, "instruction 1 (ADD): registers");
    insn_refused((struct tenon_insn){.op = TENON_OP_FMA, .c = 32}, "instruction 1 (FMA): registers");
    insn_refused((struct tenon_insn){.op = TENON_OP_ADD, .b = 7}, "instruction 1 (ADD): reads r7 before");
    insn_refused((struct tenon_insn){.op = TENON_OP_SEL, .c = 31}, "instruction 1 (SEL): reads r31 before");
    insn_refused((struct tenon_insn){.op = TENON_OP_ADD, .imm = 1}, "instruction 1 (ADD): a member");
    insn_refused((struct tenon_insn){.op = TENON_OP_I2F, .b = 1}, "instruction 1 (I2F): a member");
    insn_refused((struct tenon_insn){.op = TENON_OP_ADD, .reserved = 1}, "instruction 1 (ADD): a member");
    insn_refused((struct tenon_insn){.op = TENON_OP_SEXT}, "instruction 1 (SEXT): width 0");
    insn_refused((struct tenon_insn){.op = TENON_OP_SEXT, .width = 33}, "instruction 1 (SEXT): width 33");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDBITS, .a = 1, .width = 33}, "instruction 1 (LDBITS): width 33");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDF, .a = 1, .width = 6}, "instruction 1 (LDF): float format 6");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDF, .a = 1, .width = 0}, "instruction 1 (LDF): float format 0");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDBITS, .a = 1, .plane = 2, .width = 8}, "instruction 1 (LDBITS): plane 2");
    insn_refused((struct tenon_insn){.op = TENON_OP_TBL, .a = 1, .plane = 1}, "instruction 1 (TBL): table 1");
}
END_TEST

START_TEST(refuses_loads_outside)
{
    insn_refused((struct tenon_insn){.op = TENON_OP_LDBITS, .a = 1, .width = 8, .imm = 57}, "instruction 1 (LDBITS): element 0");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDBITS, .a = 0, .width = 1, .imm = 61}, "instruction 1 (LDBITS): element 3");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDBITS, .a = 1, .width = 8, .imm = UINT32_MAX}, "instruction 1 (LDBITS)");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDF, .a = 1, .plane = 1, .width = TENON_F_F32, .imm = 1},
                 "instruction 1 (LDF): element 0: offset 1 leaves plane 1");
    insn_refused((struct tenon_insn){.op = TENON_OP_LDF, .a = 0, .width = TENON_F_F16, .imm = 4}, "instruction 1 (LDF): element 3");
}
END_TEST

START_TEST(refuses_offsets_from_data)
{
    struct tenon_insn program[] = {
        {.op = TENON_OP_CONST, .dst = 1},
        {.op = TENON_OP_LDBITS, .dst = 2, .a = 1, .width = 1},
        {.op = TENON_OP_SEL, .dst = 3, .a = 2, .b = 1, .c = 1}, /* always 0, but chosen by data */
        {.op = TENON_OP_LDBITS, .dst = 1, .a = 3, .width = 1},
    };
    struct tenon_encoding e = SMALL(program);
    refused(&e, "instruction 3 (LDBITS): offset register r3 depends on loaded data");
    program[2] = (struct tenon_insn){.op = TENON_OP_CONST, .dst = 3}; /* overwritten: clean again */
    ck_assert_msg(tenon_ref_encoding_verify(&e, &err) == TENON_OK, "%s", err.message);
}
END_TEST

START_TEST(refuses_bad_structs)
{
    static const struct tenon_insn program[TENON_PROGRAM_MAX + 1] = {{.op = TENON_OP_CONST, .dst = 1}};
    struct tenon_plane planes[2] = {small_planes[0], small_planes[1]};
    struct tenon_table table = small_table;
    struct tenon_encoding good = small(1, 4, program, 1), e;
    good.planes = planes, good.tables = &table;
    ck_assert_int_eq(tenon_ref_encoding_verify(&good, &err), TENON_OK);
    e = good, e.struct_size = 8, refused(&e, "too short");
    e = good, e.flags = 1, refused(&e, "flags");
    e = good, e.tile_rows = 0, refused(&e, "tile");
    e = good, e.tile_rows = 65536, e.tile_cols = 65536, refused(&e, "tile");
    e = good, e.tile_cols = 65537, refused(&e, "tile");
    e = good, e.n_planes = 0, refused(&e, "0 planes");
    e = good, e.n_planes = 9, refused(&e, "9 planes");
    e = good, e.planes = NULL, refused(&e, "2 planes, no array");
    e = good, e.n_tables = 5, refused(&e, "5 tables");
    e = good, e.tables = NULL, refused(&e, "1 tables, no array");
    e = good, e.program = NULL, refused(&e, "1 instructions, no array");
    e = good, e.n_insns = 0, refused(&e, "0 instructions");
    e = good, e.n_insns = TENON_PROGRAM_MAX + 1, refused(&e, "65 instructions");
    e = good, e.result = 5, refused(&e, "result register r5");
    e = good, e.result = 32, refused(&e, "result register r32");
    planes[1].tile_bytes = 0, refused(&good, "plane 1"), planes[1] = small_planes[1];
    planes[1].tile_bytes = TENON_TILE_BYTES_MAX + 1, refused(&good, "plane 1: 268435457 bytes"), planes[1] = small_planes[1];
    planes[1].align = 3, refused(&good, "plane 1"), planes[1] = small_planes[1];
    planes[0].struct_size = 16, refused(&good, "plane 0: struct_size"), planes[0] = small_planes[0];
    table.log2_size = 15, refused(&good, "table 0");
}
END_TEST

START_TEST(refuses_a_wrong_digest)
{
    struct tenon_encoding e = *encoding("gguf.q4_k/1");
    e.digest = encoding("gguf.q5_k/1")->digest;
    ck_assert_int_eq(tn_encoding_check(&e, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.message, encoding("gguf.q4_k/1")->digest));
    e.digest = NULL;
    ck_assert_int_eq(tn_encoding_check(&e, &err), TENON_E_INVALID_ARGUMENT);
    e = *encoding("gguf.q4_k/1");
    e.id = "other/1"; /* the digest is of what the numbers are, not of names */
    ck_assert_int_eq(tn_encoding_check(&e, &err), TENON_OK);
}
END_TEST

/* ---- random programs ---------------------------------------------------------------------------------------- */

static struct tenon_insn random_insn(void)
{
    struct tenon_insn p = {.op = (uint8_t)(next_random() % TENON_OP_COUNT), .dst = (uint8_t)(next_random() % 4)};
    uint32_t op = p.op;
    int load = op == TENON_OP_LDBITS || op == TENON_OP_LDF;
    p.a = op == TENON_OP_CONST ? 0 : (uint8_t)(next_random() % 4);
    if (!load && op != TENON_OP_CONST && op != TENON_OP_SEXT && op != TENON_OP_I2F && op != TENON_OP_F16F && op != TENON_OP_TBL)
        p.b = (uint8_t)(next_random() % 4);
    if (op == TENON_OP_FMA || op == TENON_OP_SEL)
        p.c = (uint8_t)(next_random() % 4);
    if (load || op == TENON_OP_SEXT)
        p.width = (uint8_t)(op == TENON_OP_LDF ? 1 + next_random() % 5 : 1 + next_random() % 32);
    if (load)
        p.plane = (uint8_t)(next_random() % 2), p.imm = next_random() % (op == TENON_OP_LDF ? 8 : 64);
    if (op == TENON_OP_CONST)
        p.imm = next_random() % 4 ? next_random() % 40 : next_random();
    return p;
}

START_TEST(accepted_programs_stay_inside)
{
    struct tenon_insn program[12];
    uint8_t *a = malloc(8), *b = malloc(4); /* one tile of each plane, exactly */
    const void *planes[] = {a, b};
    int accepted = 0;
    float y[4], fast[4];
    struct tenon_ref_decoder *d;
    ck_assert(a != NULL && b != NULL);
    for (int i = 0; i < 8; i++)
        a[i] = (uint8_t)next_random(), b[i / 2] = (uint8_t)next_random();
    printf("encoding: seed %llu\n", (unsigned long long)seed);
    for (int k = 0; k < 200000; k++) {
        uint32_t n = 1 + next_random() % 12;
        for (uint32_t i = 0; i < n; i++)
            program[i] = random_insn();
        program[n - 1].dst = 1;
        struct tenon_encoding e = small(1, 4, program, n);
        if (tenon_ref_encoding_verify(&e, &err) == TENON_OK) {
            accepted++;
            ck_assert_int_eq(tenon_ref_decode_rows(&e, planes, 1, 4, 0, 1, y), TENON_OK);
            ck_assert_int_eq(tenon_ref_decoder_create(&e, &d, &err), TENON_OK);
            ck_assert_int_eq(tenon_ref_decoder_rows(d, planes, 1, 4, 0, 1, fast), TENON_OK);
            tenon_ref_decoder_destroy(d);
            same_floats("random program", fast, y, 4);
        }
    }
    printf("encoding: %d of 200000 random programs accepted and run\n", accepted);
    ck_assert_int_gt(accepted, 1000);
    free(a);
    free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoding");
    TCase *tc = tcase_create("encoding");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, all_are_well_formed_and_cheap_to_check);
    tcase_add_test(tc, programs_equal_formulas);
    tcase_add_test(tc, q1_0_by_hand);
    tcase_add_test(tc, q2_0_by_hand);
    tcase_add_test(tc, decodes_the_rows_asked_for);
    tcase_add_test(tc, tiles_of_rows_and_planes);
    tcase_add_test(tc, float_formats);
    tcase_add_test(tc, instructions);
    tcase_add_test(tc, decoder_equals_interpreter);
    tcase_add_test(tc, decoder_of_odd_tiles);
    tcase_add_test(tc, decoder_of_tall_tiles);
    tcase_add_test(tc, refuses_bad_instructions);
    tcase_add_test(tc, refuses_loads_outside);
    tcase_add_test(tc, refuses_offsets_from_data);
    tcase_add_test(tc, refuses_bad_structs);
    tcase_add_test(tc, refuses_a_wrong_digest);
    tcase_add_test(tc, accepted_programs_stay_inside);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
