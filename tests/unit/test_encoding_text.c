/* test_encoding_text.c - decode programs as text and as source code: every instruction of every encoding survives being printed and
 * parsed, nonsense is refused, and the printers count what they do not write. What printed C computes is compared in
 * tests/e2e/encodings_gguf.py. */
#include <check.h>
#include <stdlib.h>

#include <tenon/encoding_print.h>
#include <tenon/encoding_text.h>

#include "quantizer.h"
#include "suite.h"

START_TEST(every_program_survives)
{
    const struct tenon_quantizer *q = quantizer();
    for (uint32_t i = 0; i < q->n_encodings; i++)
        for (uint32_t k = 0; k < q->encodings[i]->n_insns; k++) {
            const struct tenon_insn *want = &q->encodings[i]->program[k];
            char text[TENON_INSN_TEXT];
            struct tenon_insn got;
            tenon_insn_print(want, text);
            ck_assert_msg(tenon_insn_parse(text, &got) == TENON_OK, "%s: \"%s\"", q->encodings[i]->id, text);
            ck_assert_msg(memcmp(&got, want, sizeof got) == 0, "%s: \"%s\"", q->encodings[i]->id, text);
        }
}
END_TEST

static void reads_as(const char *text, struct tenon_insn want)
{
    struct tenon_insn got;
    char again[TENON_INSN_TEXT];
    ck_assert_msg(tenon_insn_parse(text, &got) == TENON_OK, "\"%s\"", text);
    ck_assert_msg(memcmp(&got, &want, sizeof got) == 0, "\"%s\"", text);
    tenon_insn_print(&want, again);
    ck_assert_str_eq(again, text);
}

START_TEST(every_opcode_has_a_text)
{
    reads_as("r1 = CONST 0xffffffff", (struct tenon_insn){.op = TENON_OP_CONST, .dst = 1, .imm = UINT32_MAX});
    reads_as("r4 = LDBITS p3[r31 + 4294967295] 32",
             (struct tenon_insn){.op = TENON_OP_LDBITS, .dst = 4, .a = 31, .plane = 3, .imm = UINT32_MAX, .width = 32});
    reads_as("r0 = LDF p7[r2 + 16] bf16", (struct tenon_insn){.op = TENON_OP_LDF, .a = 2, .plane = 7, .imm = 16, .width = TENON_F_BF16});
    reads_as("r2 = SEXT r3 6", (struct tenon_insn){.op = TENON_OP_SEXT, .dst = 2, .a = 3, .width = 6});
    reads_as("r2 = TBL t1[r3]", (struct tenon_insn){.op = TENON_OP_TBL, .dst = 2, .a = 3, .plane = 1});
    reads_as("r2 = I2F r3", (struct tenon_insn){.op = TENON_OP_I2F, .dst = 2, .a = 3});
    reads_as("r2 = XOR r3 r4", (struct tenon_insn){.op = TENON_OP_XOR, .dst = 2, .a = 3, .b = 4});
    reads_as("r2 = FMA r3 r4 r5", (struct tenon_insn){.op = TENON_OP_FMA, .dst = 2, .a = 3, .b = 4, .c = 5});
    reads_as("r2 = SEL r3 r4 r5", (struct tenon_insn){.op = TENON_OP_SEL, .dst = 2, .a = 3, .b = 4, .c = 5});
}
END_TEST

START_TEST(nonsense_is_refused)
{
    static const char *const texts[] = {"",
                                        "r1",
                                        "r1 =",
                                        "r1 = ",
                                        "x1 = CONST 1",
                                        "r256 = CONST 1",
                                        "r1 = CONST",
                                        "r1 = CONST 4294967296",
                                        "r1 = CONST 99999999999999999999999",
                                        "r1 = CONST 0x",
                                        "r1 = CONST 1 2",
                                        "r1 = CONSTS 1",
                                        "r1 = ADD r1",
                                        "r1 = ADD r1 r2 r3",
                                        "r1 = ADD r1, r2",
                                        "r1 = FMA r1 r2",
                                        "r1 = SEXT r1",
                                        "r1 = LDF p0[r1 + 2] f64",
                                        "r1 = LDF p0[r1 + 2]",
                                        "r1 = LDF p0[r1 + 2",
                                        "r1 = LDBITS p0[r1 + 2]",
                                        "r1 = LDBITS p0[r1] 3",
                                        "r1 = TBL r1",
                                        "r1 = JUMP r1"};
    struct tenon_insn p = {.op = 77};
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        ck_assert_msg(tenon_insn_parse(texts[k], &p) == TENON_E_INVALID_ARGUMENT, "\"%s\"", texts[k]);
        ck_assert_uint_eq(p.op, 77); /* untouched */
    }
    ck_assert_int_eq(tenon_insn_parse("  r1 =  I2F   r2 \nr2 = nonsense", &p), TENON_OK); /* to the end of the line */
}
END_TEST

START_TEST(printers_count)
{
    const struct tenon_encoding *e = quantizer()->encodings[quantizer()->n_encodings - 1];
    for (int dialect = 0; dialect < TENON_PRINT_COUNT; dialect++) {
        uint64_t n = tenon_print_decoder(e, dialect, "decode", NULL, 0), prelude = tenon_print_prelude(dialect, NULL, 0);
        char *text = malloc(n), *half = malloc(n / 2); /* exactly, for the address sanitizer */
        ck_assert(text != NULL && half != NULL && prelude > 0);
        ck_assert_uint_eq(tenon_print_decoder(e, dialect, "decode", text, n), n);
        ck_assert_uint_eq(tenon_print_decoder(e, dialect, "decode", half, n / 2), n);
        ck_assert_int_eq(memcmp(text, half, n / 2), 0);
        ck_assert(text[n - 2] == '}' && text[n - 1] == '\n');
        free(text);
        free(half);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoding_text");
    TCase *tc = tcase_create("encoding_text");
    tcase_add_test(tc, every_program_survives);
    tcase_add_test(tc, every_opcode_has_a_text);
    tcase_add_test(tc, nonsense_is_refused);
    tcase_add_test(tc, printers_count);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
