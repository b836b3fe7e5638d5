/* kquants.c - the K-quants: super-blocks of 256 quants in sub-blocks of 16 or 32, whose scales (and minima) are quantised
 * in turn. Data only; nothing here runs. The order of float operations is that of the reference decoder.
 * Contract: tenon/encoding.h. */
#include "gguf.h"

/* Scale and minimum, 6 bits each, of sub-block j = i >> 5, which Q4_K and Q5_K pack into the 12 bytes s at byte 4:
 *   j < 4:  sc = s[j] & 63                         m = s[j+4] & 63
 *   j >= 4: sc = s[j+4] & 15 | s[j-4] >> 6 << 4    m = s[j+4] >> 4 | s[j] >> 6 << 4
 * Both forms are computed and one is dropped; the loads of both are inside the block for every j. */
#define PACKED_SCALES                                                                               \
    UPPER(J8, 5, 3), CONST(K4, 4),                                                                  \
        BITS(SC, J8, 64, 4), BITS(U, J8, 6, 2), SHL(U, U, K4), OR(SC, SC, U),                       \
        BITS(MN, J8, 68, 4), BITS(U, J8, 38, 2), SHL(U, U, K4), OR(MN, MN, U),                      \
        CONST(T, 4 * 8), AND(T, J8, T),                                                             \
        BITS(U, J8, 32, 6), SEL(SC, T, SC, U), BITS(U, J8, 64, 6), SEL(MN, T, MN, U)

/* AT = bit of element i among four chunks of 32 bytes, each with one sub-block in its low nibbles and the next in its
 * high ones. Sets L8. */
#define NIBBLE_OF_64 \
    UPPER(AT, 6, 8), LOWER(L8, 31, 3), ADD(AT, AT, L8), MIDDLE(U, 5, 1, 2), ADD(AT, AT, U)

/* AT = bit of element i among two chunks of 32 bytes, each with four times 32 elements in its pairs of bits. Sets L8. */
#define PAIR_OF_128 \
    LOWER(AT, 128, 1), LOWER(L8, 31, 3), ADD(AT, AT, L8), FALL(U, 96, 4), ADD(AT, AT, U)

/* X = (d * sc) * q - dmin * m, the floats at these bytes. Subtracting is adding with the sign bit turned. */
#define TIMES_D_SC_MINUS_DMIN_MN(d_byte_, dmin_byte_)                                               \
    HALF(D, d_byte_), HALF(M, dmin_byte_), I2F(SC, SC), FMUL(D, D, SC), I2F(MN, MN), FMUL(M, M, MN), \
        XOR_CONST(M, M, 0x80000000u), TIMES_D_PLUS_M

/* X = (d * sc) * q */
#define TIMES_D_SC(d_byte_) I2F(SC, SC), HALF(D, d_byte_), FMUL(D, D, SC), TIMES_D

/* scales[16], scale below and minimum above; qs[64]; d f16; dmin f16 */
static const struct tenon_insn q2_k_program[] = {
    PAIR_OF_128, BITS(Q, AT, 128, 2), UPPER(AT, 4, 3), BITS(SC, AT, 0, 4), BITS(MN, AT, 4, 4), TIMES_D_SC_MINUS_DMIN_MN(80, 82)};

/* hmask[32], bit j of byte l for element 32j + l; qs[64]; scales[12]; d f16: x = (d * (sc - 32)) * ((low | high << 2) - 4).
 * Scale k = i >> 4 has its low four bits in nibble k >> 3 of byte k & 7, its high two at bit 2 * (k >> 2) of byte 8 + (k & 3). */
static const struct tenon_insn q3_k_program[] = {
    PAIR_OF_128, BITS(Q, AT, 256, 2), UPPER(U, 5, 0), ADD(AT, L8, U), BITS(H, AT, 0, 1), SHL_CONST(H, H, 2), OR(Q, Q, H),
    ADD_CONST(Q, Q, -4), FALL(AT, 0x70, 1), FALL(U, 0x80, 5), ADD(AT, AT, U), BITS(SC, AT, 768, 4), FALL(AT, 0x30, 1),
    FALL(U, 0xc0, 5), ADD(AT, AT, U), BITS(U, AT, 832, 2), SHL_CONST(U, U, 4), OR(SC, SC, U), ADD_CONST(SC, SC, -32),
    TIMES_D_SC(108)};

/* d f16; dmin f16; scales[12]; qs[128] */
static const struct tenon_insn q4_k_program[] = {
    PACKED_SCALES, NIBBLE_OF_64, BITS(Q, AT, 128, 4), TIMES_D_SC_MINUS_DMIN_MN(0, 2)};

/* d f16; dmin f16; scales[12]; qh[32], bit j of qh[l] for element l of sub-block j; qs[128] */
static const struct tenon_insn q5_k_program[] = {
    PACKED_SCALES, NIBBLE_OF_64, BITS(Q, AT, 384, 4), UPPER(U, 5, 0), ADD(AT, L8, U), BITS(H, AT, 128, 1), JOIN_HIGH,
    TIMES_D_SC_MINUS_DMIN_MN(0, 2)};

/* ql[128]; qh[64]; i8 scales[16]; d f16: x = (d * scale) * (q - 32). In each half of 128 elements, ql has elements 0..63
 * in its low nibbles and 64..127 in its high ones, and byte l of qh has 2 bits of the elements l, l+32, l+64, l+96. */
static const struct tenon_insn q6_k_program[] = {
    UPPER(AT, 7, 9), LOWER(U, 63, 3), ADD(AT, AT, U), MIDDLE(U, 6, 1, 2), ADD(AT, AT, U), BITS(Q, AT, 0, 4),
    UPPER(AT, 7, 8), LOWER(U, 31, 3), ADD(AT, AT, U), MIDDLE(U, 5, 3, 1), ADD(AT, AT, U), BITS(H, AT, 1024, 2), JOIN_HIGH,
    ADD_CONST(Q, Q, -32), UPPER(AT, 4, 3), BITS(SC, AT, 1536, 8), SEXT(SC, SC, 8), TIMES_D_SC(208)};

ENCODING(q2_k, "gguf.q2_k/1", 256, 84, 2, "61ce7e62fffbd8ce1669593b45fc0be4f0677fdffd296ebc151f2b13083148d9");
ENCODING(q3_k, "gguf.q3_k/1", 256, 110, 2, "870dbde2876dfcc61a8a7326164957355b90150a1dc76eda512b45894617c783");
ENCODING(q4_k, "gguf.q4_k/1", 256, 144, 2, "10a1815cf10c3e0f15625be6abe0ca89319fe1b0d1d4376761fc9ad073d3eff5");
ENCODING(q5_k, "gguf.q5_k/1", 256, 176, 2, "97c02c9431397c17e17ad8e931685a66948f67027dee2bfe653dd3186e37f6d1");
ENCODING(q6_k, "gguf.q6_k/1", 256, 210, 2, "f63e3321b621517761bb87c29ef961d7943b85ae687bdbeafbf694a0e3523718");
