/* iquants.c - quants out of codebooks: an index chooses 4 or 8 magnitudes at once (IQ1 to IQ3), or each quant is an index
 * into 16 values that are not evenly spaced (IQ4). Data only; nothing here runs.
 *
 * The codebooks are in grids.h, packed: the magnitude of element k is the k-th group of 2 or 3 bits of an entry. The order of
 * float operations is that of the reference decoder; turning a sign bit is its product with -1. Contract: tenon/encoding.h. */
#include "gguf.h"

#include "grids.h"

/* ---- 16 values ---------------------------------------------------------------------------------------------- */

static const uint32_t uneven[16] = {
    MINUS(127), MINUS(104), MINUS(83), MINUS(65), MINUS(49), MINUS(35), MINUS(22), MINUS(10),
    1, 13, 25, 38, 53, 69, 89, 113};
static const struct tenon_table iq4_nl_tables[] = {TABLE(4, uneven)};
static const struct tenon_table iq4_xs_tables[] = {TABLE(4, uneven)};

/* d f16; qs[16]: x = d * v[q] */
static const struct tenon_insn iq4_nl_program[] = {NIBBLE_OF_32, BITS(Q, AT, 16, 4), TBL(Q, 0, Q), HALF(D, 0), TIMES_D};

/* d f16; scales_h u16; scales_l[4]; qs[128]: x = (d * (sc - 32)) * v[q]. Sub-block b = i >> 5 has the low four bits of its scale
 * in nibble b of scales_l, the high two at bit 2b of scales_h. */
static const struct tenon_insn iq4_xs_program[] = {
    LOWER(AT, 15, 3), FALL(U, 16, 2), ADD(AT, AT, U), UPPER(U, 5, 7), ADD(AT, AT, U), BITS(Q, AT, 64, 4), TBL(Q, 0, Q), UPPER(AT, 5, 2), BITS(SC, AT, 32, 4), UPPER(AT, 5, 1),
    BITS(U, AT, 16, 2), SHL_CONST(U, U, 4), OR(SC, SC, U), ADD_CONST(SC, SC, -32), I2F(SC, SC), HALF(D, 0), FMUL(D, D, SC),
    TIMES_D};

/* ---- codebooks of 8 magnitudes, IQ2 ------------------------------------------------------------------------- */

/* Sign bits of 8 elements from 7: the eighth makes their number even. */
#define PARITY_OF(n_) (((n_) ^ (n_) >> 1 ^ (n_) >> 2 ^ (n_) >> 3 ^ (n_) >> 4 ^ (n_) >> 5 ^ (n_) >> 6) & 1u)
#define EVEN(n_) ((n_) | PARITY_OF(n_) << 7)
#define EVEN_4(n_) EVEN((n_)), EVEN((n_) + 1u), EVEN((n_) + 2u), EVEN((n_) + 3u)
#define EVEN_16(n_) EVEN_4((n_)), EVEN_4((n_) + 4u), EVEN_4((n_) + 8u), EVEN_4((n_) + 12u)
static const uint32_t even_signs[128] = {EVEN_16(0u),  EVEN_16(16u), EVEN_16(32u), EVEN_16(48u),
                                         EVEN_16(64u), EVEN_16(80u), EVEN_16(96u), EVEN_16(112u)};

static const uint32_t iq2_levels[4] = {8, 25, 43};
static const struct tenon_table iq2_xxs_tables[] = {TABLE(8, iq2xxs_grid), TABLE(2, iq2_levels), TABLE(7, even_signs)};
static const struct tenon_table iq2_xs_tables[] = {TABLE(9, iq2xs_grid), TABLE(2, iq2_levels), TABLE(7, even_signs)};
static const struct tenon_table iq2_s_tables[] = {TABLE(10, iq2s_grid), TABLE(2, iq2_levels)};

/* Q = level of element i out of entry G of 8 times 2 bits. */
#define LEVEL_OF_8 TBL(G, 0, G), LOWER(U, 7, 1), SHR(G, G, U), TBL(Q, 1, G)
/* S = sign bit of element i, by index S of seven bits. */
#define EVEN_SIGN TBL(S, 2, S), LOWER(U, 7, 0), SHR(S, S, U)
/* X = +-((d * (0.5 + sc)) * factor) * q, the sign being bit 0 of S. */
#define SCALED_AND_SIGNED(factor_bits_)                                                                 \
    I2F(SC, SC), FADD_CONST(SC, SC, BITS_0_5), HALF(D, 0), FMUL(D, D, SC), FMUL_CONST(D, D, factor_bits_), TIMES_D, \
        SHL_CONST(S, S, 31), XOR(X, X, S)

/* AT = 64 * (i >> 5), S = 7 * ((i >> 3) & 3) */
#define GROUP_OF_32(log2_bits_) UPPER(AT, 5, log2_bits_), MIDDLE(S, 3, 3, 0), CONST(T, 7), MUL(S, S, T), ADD(S, S, AT)

/* d f16; 8 groups of 32 elements: 4 indexes of 8 bits, 4 of signs of 7 bits, a scale of 4 */
static const struct tenon_insn iq2_xxs_program[] = {
    GROUP_OF_32(6), BITS(SC, AT, 76, 4), BITS(S, S, 48, 7), LOWER(U, 24, 0), ADD(AT, AT, U), BITS(G, AT, 16, 8),
    LEVEL_OF_8, EVEN_SIGN, SCALED_AND_SIGNED(BITS_0_25)};

/* d f16; u16 qs[32]: index of 9 bits, of signs of 7; scales[8]: 4 bits for 16 elements */
static const struct tenon_insn iq2_xs_program[] = {
    UPPER(AT, 3, 4), BITS(G, AT, 16, 9), BITS(S, AT, 25, 7), UPPER(AT, 4, 2), BITS(SC, AT, 528, 4),
    LEVEL_OF_8, EVEN_SIGN, SCALED_AND_SIGNED(BITS_0_25)};

/* d f16; qs[32]: low 8 bits of the index; signs[32]; qh[8]: its high 2; scales[8]: 4 bits for 16 elements */
static const struct tenon_insn iq2_s_program[] = {
    UPPER(AT, 3, 3), BITS(G, AT, 16, 8), UPPER(AT, 3, 1), BITS(H, AT, 528, 2), SHL_CONST(H, H, 8), OR(G, G, H), BITS(S, I, 272, 1),
    UPPER(AT, 4, 2), BITS(SC, AT, 592, 4), LEVEL_OF_8, SCALED_AND_SIGNED(BITS_0_25)};

/* ---- codebooks of 4 magnitudes, IQ3 ------------------------------------------------------------------------- */

static const uint32_t iq3_xxs_levels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
static const uint32_t iq3_s_levels[8] = {1, 3, 5, 7, 9, 11, 13, 15};
static const struct tenon_table iq3_xxs_tables[] = {TABLE(8, iq3xxs_grid), TABLE(3, iq3_xxs_levels), TABLE(7, even_signs)};
static const struct tenon_table iq3_s_tables[] = {TABLE(9, iq3s_grid), TABLE(3, iq3_s_levels)};

/* Q = level of element i out of entry G of 4 times 3 bits. */
#define LEVEL_OF_4 TBL(G, 0, G), LOWER(U, 3, 0), CONST(T, 3), MUL(U, U, T), SHR(G, G, U), TBL(Q, 1, G)

/* d f16; qs[64]: indexes; u32 gas[8]: 4 indexes of signs of 7 bits and a scale of 4 */
static const struct tenon_insn iq3_xxs_program[] = {
    GROUP_OF_32(5), BITS(SC, AT, 556, 4), BITS(S, S, 528, 7), UPPER(AT, 2, 3), BITS(G, AT, 16, 8),
    LEVEL_OF_4, EVEN_SIGN, SCALED_AND_SIGNED(BITS_0_5)};

/* d f16; qs[64]: low 8 bits of the index; qh[8]: its high one; signs[32]; scales[4]: 4 bits for 32 elements:
 * x = +-(d * (1 + 2 * sc)) * q */
static const struct tenon_insn iq3_s_program[] = {
    UPPER(AT, 2, 3), BITS(G, AT, 16, 8), UPPER(AT, 2, 0), BITS(H, AT, 528, 1), SHL_CONST(H, H, 8), OR(G, G, H), BITS(S, I, 592, 1),
    UPPER(AT, 5, 2), BITS(SC, AT, 848, 4), SHL_CONST(SC, SC, 1), ADD_CONST(SC, SC, 1), I2F(SC, SC), HALF(D, 0), FMUL(D, D, SC),
    LEVEL_OF_4, TIMES_D, SHL_CONST(S, S, 31), XOR(X, X, S)};

/* ---- codebooks of 8 values -1, 0, 1, IQ1 -------------------------------------------------------------------- */

static const struct tenon_table iq1_s_tables[] = {TABLE(11, iq1s_grid)};
static const struct tenon_table iq1_m_tables[] = {TABLE(11, iq1s_grid)};

/* X = (d * (2 * sc + 1)) * (g +- 0.125): g the value of element i out of entry G of 8 times 2 bits, the sign bit 0 of S. */
#define SCALED_AND_SHIFTED                                                                              \
    SHL_CONST(SC, SC, 1), ADD_CONST(SC, SC, 1), I2F(SC, SC), FMUL(D, D, SC),                            \
        TBL(G, 0, G), LOWER(U, 7, 1), SHR(G, G, U), CONST(T, 3), AND(Q, G, T), ADD_CONST(Q, Q, -1), I2F(Q, Q), \
        SHL_CONST(S, S, 31), XOR_CONST(S, S, BITS_0_125), FADD(Q, Q, S), FMUL(X, D, Q)

/* d f16; qs[32]: low 8 bits of the index; u16 qh[8]: 4 times its high 3, a scale of 3 bits, a sign */
static const struct tenon_insn iq1_s_program[] = {
    UPPER(AT, 5, 4), BITS(SC, AT, 284, 3), BITS(S, AT, 287, 1), MIDDLE(U, 3, 3, 0), CONST(T, 3), MUL(U, U, T), ADD(AT, AT, U),
    BITS(H, AT, 272, 3), SHL_CONST(H, H, 8), UPPER(AT, 3, 3), BITS(G, AT, 16, 8), OR(G, G, H), HALF(D, 0), SCALED_AND_SHIFTED};

/* qs[32]: low 8 bits of the index; qh[16]: for each 8 elements its high 3 and a sign; u16 scales[4]: 4 times 3 bits for 16
 * elements, above them a quarter of d, an f16 */
static const struct tenon_insn iq1_m_program[] = {
    UPPER(AT, 3, 2), BITS(H, AT, 256, 3), BITS(S, AT, 259, 1), SHL_CONST(H, H, 8), UPPER(AT, 3, 3), BITS(G, AT, 0, 8), OR(G, G, H),
    CONST(U, 0), CONST(K4, 4), BITS(D, U, 444, 4), SHL(D, D, K4), BITS(M, U, 428, 4), OR(D, D, M), SHL(D, D, K4),
    BITS(M, U, 412, 4), OR(D, D, M), SHL(D, D, K4), BITS(M, U, 396, 4), OR(D, D, M), F16F(D, D),
    UPPER(AT, 6, 4), MIDDLE(U, 4, 3, 0), CONST(T, 3), MUL(U, U, T), ADD(AT, AT, U), BITS(SC, AT, 384, 3), SCALED_AND_SHIFTED};

/* ---- the encodings ------------------------------------------------------------------------------------------ */

TABLED(iq4_nl, "gguf.iq4_nl/1", 32, 18, 2, "4ee416f25a940ca09168cb66831e65bf35157ded20084cc83bae8448b8d45d10");
TABLED(iq4_xs, "gguf.iq4_xs/1", 256, 136, 2, "2e2b112b0ff63833b0add7a821c4bd95e6ac6245cee5f9d838a4e0854e17f9fe");
TABLED(iq2_xxs, "gguf.iq2_xxs/1", 256, 66, 2, "77daccf51d32dff615a204715c136d14a0a9f09f8348c5530abadea88101217d");
TABLED(iq2_xs, "gguf.iq2_xs/1", 256, 74, 2, "7e4bb982dd812b12b58bbb85b08bd7c510d6d8b180c9f6cf09d95b357c580e86");
TABLED(iq2_s, "gguf.iq2_s/1", 256, 82, 2, "e95c4546ffc9a81414f6d39dc7aa9c75fecf7bcc866181bdaeba40db0e19c653");
TABLED(iq3_xxs, "gguf.iq3_xxs/1", 256, 98, 2, "7fe83db9cd70b902e066729c01ef550ad617ed14adf41d429ee0faedb8efe9f9");
TABLED(iq3_s, "gguf.iq3_s/1", 256, 110, 2, "df048955e245cff251f68d7205f1fbf5ef9a2b3a2ea7e109ec67070ca6367ec9");
TABLED(iq1_s, "gguf.iq1_s/1", 256, 50, 2, "92ef0e2ffe1bc4d537c54c008eb9752c49b529f13e1ece290f95ea472c9d6fc4");
TABLED(iq1_m, "gguf.iq1_m/1", 256, 56, 2, "0ae6eb858e00297b165b2ec2d90ef8509d5128a1a6529b3e2c26ec420a1ebf88");
