/* ternary.c - quants of three values, -1, 0 and 1, packed five to a byte (TQ1_0) or four (TQ2_0), one scale for 256.
 * Data only; nothing here runs. Contract: tenon/encoding.h. */
#include "gguf.h"

static const uint32_t powers_of_3[8] = {1, 3, 9, 27, 81};
static const struct tenon_table tq1_0_tables[] = {TABLE(3, powers_of_3)};

/* qs[48]; qh[4]; d f16: x = d * (((v * 3^n) & 255) * 3 >> 8) - 1), v the byte and n the place of element i:
 *   i < 160: byte i & 31, n = i >> 5     i < 240: byte 32 + (i & 15), n = (i - 160) >> 4     else: byte 48 + (i & 3), n = (i - 240) >> 2
 * J8 and L8 say whether i is below 160 and 240: the sign of the difference. */
static const struct tenon_insn tq1_0_program[] = {
    ADD_CONST(H, I, -160), CONST(S, 31), SHR(J8, H, S), ADD_CONST(U, I, -240), SHR(L8, U, S),
    CONST(T, 2), SHR(U, U, T), CONST(T, 4), SHR(H, H, T), SEL(U, L8, H, U), CONST(T, 5), SHR(H, I, T), SEL(MN, J8, H, U),
    LOWER(AT, 3, 3), ADD_CONST(AT, AT, 128), LOWER(U, 15, 3), SEL(AT, L8, U, AT), ADD_CONST(AT, AT, 256),
    LOWER(U, 31, 3), SEL(AT, J8, U, AT),
    BITS(Q, AT, 0, 8), TBL(MN, 0, MN), MUL(Q, Q, MN), CONST(T, 255), AND(Q, Q, T), CONST(T, 3), MUL(Q, Q, T), CONST(T, 8),
    SHR(Q, Q, T), ADD_CONST(Q, Q, -1), HALF(D, 52), TIMES_D};

/* qs[64]; d f16: x = d * (q - 1). Each 32 bytes hold four times 32 elements in their pairs of bits. */
static const struct tenon_insn tq2_0_program[] = {
    LOWER(AT, 128, 1), LOWER(L8, 31, 3), ADD(AT, AT, L8), FALL(U, 96, 4), ADD(AT, AT, U), BITS(Q, AT, 0, 2),
    ADD_CONST(Q, Q, -1), HALF(D, 64), TIMES_D};

TABLED(tq1_0, "gguf.tq1_0/1", 256, 54, 2, "c616f23eff0eacecd164b7dfbf307c2f05a0b7b34dfbaa67f6553f21639ba997");
ENCODING(tq2_0, "gguf.tq2_0/1", 256, 66, 2, "5b71b016f7d0feb735f33b3e5551d0db204be0fbf6fac5741ae0fd5832d9a946");
