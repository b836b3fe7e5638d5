/* fp4.c - blocks of E2M1 floats (sign, two bits of exponent, one of mantissa) with a scale that is a small float too:
 * MXFP4 (OCP microscaling, E8M0) and NVFP4 (E4M3 without a sign). Data only; nothing here runs.
 *
 * GGUF's decoder doubles the E2M1 values, which makes them whole numbers, and halves the scale; its scales have no NaN: code
 * 255 of E8M0 is 2^128 / 2, and 0x7f of E4M3 is 0. Hence no LDF here. Contract: tenon/encoding.h. */
#include "gguf.h"

static const uint32_t e2m1_doubled[16] = {
    0, 1, 2, 3, 4, 6, 8, 12, 0, MINUS(1), MINUS(2), MINUS(3), MINUS(4), MINUS(6), MINUS(8), MINUS(12)};
static const struct tenon_table mxfp4_tables[] = {TABLE(4, e2m1_doubled)};
static const struct tenon_table nvfp4_tables[] = {TABLE(4, e2m1_doubled)};

/* e u8; qs[16]: x = 2^(e-128) * f[q]. The bits of the power are (e - 1) << 23, or 0x200000 << e where it is denormal. */
static const struct tenon_insn mxfp4_program[] = {
    NIBBLE_OF_32, BITS(Q, AT, 8, 4), TBL(Q, 0, Q),
    CONST(U, 0), BITS(SC, U, 0, 8), ADD_CONST(D, SC, -1), SHL_CONST(D, D, 23), CONST(U, 0x200000), SHL(U, U, SC),
    CONST(T, 1), SHR(H, SC, T), SEL(D, H, D, U), TIMES_D};

/* d[4]; qs[32]: x = (d[i >> 4] / 2) * f[q], in each 8 bytes of qs the low nibbles first. With exponent e and mantissa m, d / 2
 * is m / 1024, or (8 + m) << (e - 1) of it where e > 0. */
#define ONE_OF_1024 0x3a800000u
static const struct tenon_insn nvfp4_program[] = {
    UPPER(AT, 4, 6), LOWER(U, 7, 3), ADD(AT, AT, U), FALL(U, 8, 1), ADD(AT, AT, U), BITS(Q, AT, 32, 4), TBL(Q, 0, Q),
    UPPER(AT, 4, 3), BITS(M, AT, 0, 3), BITS(H, AT, 3, 4), CONST(T, 8), OR(SC, M, T), ADD_CONST(U, H, -1), SHL(SC, SC, U),
    SEL(SC, H, SC, M), BITS(U, AT, 0, 8), XOR_CONST(U, U, 0x7f), SEL(SC, U, SC, U), I2F(D, SC), FMUL_CONST(D, D, ONE_OF_1024),
    TIMES_D};

TABLED(mxfp4, "gguf.mxfp4/1", 32, 17, 1, "a4167bd75c4de5928df529f3a2c529e702b33d245c87ee7b7f24d53c4de5c231");
TABLED(nvfp4, "gguf.nvfp4/1", 64, 36, 1, "cf334668efb73c3c038ded28bd0935d1602b3f79d03e4e4b3b7250f50d4a62bb");
