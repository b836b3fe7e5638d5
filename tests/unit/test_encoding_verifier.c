/* test_encoding_verifier.c - encodings that must be refused, with the instruction named, and random programs: what is accepted may not read
 * past its planes, which stand in blocks of exactly their size for the address sanitizer to see. */
#include "core/model/encoding.h"
#include "tests/unit/encoding_test.h"

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
    table.log2_size = 15, refused(&good, "table 0"), table = small_table;
    table.struct_size = 8, refused(&good, "table 0: struct_size is 8"), table = small_table;
    table.values = NULL, refused(&good, "table 0: must have values");
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

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, refuses_bad_instructions);
    tcase_add_test(tc, refuses_loads_outside);
    tcase_add_test(tc, refuses_offsets_from_data);
    tcase_add_test(tc, refuses_bad_structs);
    tcase_add_test(tc, refuses_a_wrong_digest);
    tcase_add_test(tc, accepted_programs_stay_inside);
}

int main(void)
{
    return run_encoding_suite("encoding_verifier", add_tests);
}
