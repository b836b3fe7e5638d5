/* blocks.c - GGUF's simple blocks: 32, 64 or 128 quants with one scale, some with a minimum. Data only; nothing here runs.
 *
 * The order of float operations is that of the reference decoder (scale times quant, then the minimum, each rounded), so
 * results are equal to the bit. Contract: tenon/encoding.h. */
#include "gguf.h"

/* d f16; qs[16]: x = d * (q - 8) */
static const struct tenon_insn q4_0_program[] = {
    NIBBLE_OF_32, BITS(Q, AT, 16, 4), ADD_CONST(Q, Q, -8), HALF(D, 0), TIMES_D};

/* d f16; m f16; qs[16]: x = d * q + m */
static const struct tenon_insn q4_1_program[] = {
    NIBBLE_OF_32, BITS(Q, AT, 32, 4), HALF(D, 0), HALF(M, 2), TIMES_D_PLUS_M};

/* d f16; qh u32, bit i of element i; qs[16]: x = d * (q - 16) */
static const struct tenon_insn q5_0_program[] = {
    NIBBLE_OF_32, BITS(Q, AT, 48, 4), BITS(H, I, 16, 1), JOIN_HIGH, ADD_CONST(Q, Q, -16), HALF(D, 0), TIMES_D};

/* d f16; m f16; qh u32; qs[16]: x = d * q + m */
static const struct tenon_insn q5_1_program[] = {
    NIBBLE_OF_32, BITS(Q, AT, 64, 4), BITS(H, I, 32, 1), JOIN_HIGH, HALF(D, 0), HALF(M, 2), TIMES_D_PLUS_M};

/* d f16; i8 qs[32]: x = d * q */
static const struct tenon_insn q8_0_program[] = {
    UPPER(AT, 0, 3), BITS(Q, AT, 16, 8), SEXT(Q, Q, 8), HALF(D, 0), TIMES_D};

/* d f16; bits[16], bit i of element i: x = d where it is set, else -d */
static const struct tenon_insn q1_0_program[] = {
    BITS(S, I, 16, 1), XOR_CONST(S, S, 1), SHL_CONST(S, S, 31), HALF(D, 0), XOR(X, D, S)};

/* d f16; qs[16], 2 bits each: x = d * (q - 1) */
static const struct tenon_insn q2_0_program[] = {
    UPPER(AT, 0, 1), BITS(Q, AT, 16, 2), ADD_CONST(Q, Q, -1), HALF(D, 0), TIMES_D};

ENCODING(q4_0, "gguf.q4_0/1", 32, 18, 2, "c384af5d196eb5eb1f1eb131f55013d721197b303807e76f353bd7a044216e88");
ENCODING(q4_1, "gguf.q4_1/1", 32, 20, 2, "1e74a9088343b3465452a222a4119c8af3690b67a5e113bd97d074a577f0a339");
ENCODING(q5_0, "gguf.q5_0/1", 32, 22, 2, "45f9bcceb9fb55e1c6de0bc8d0609f1a4b4d89cd4abba29929ec5d8c06ebf80b");
ENCODING(q5_1, "gguf.q5_1/1", 32, 24, 2, "8c02ddcfa679b034617c3540816dc69e656338b1e93617b07856dc345dbec539");
ENCODING(q8_0, "gguf.q8_0/1", 32, 34, 2, "e27e3e825cfcf0263d05c6f44645c18dd14ae63b5115eb0a463a159550961288");
ENCODING(q1_0, "gguf.q1_0/1", 128, 18, 2, "195786727cbb1749f425de129a61b2731281003e5197317d453c4ec7d95b4076");
ENCODING(q2_0, "gguf.q2_0/1", 64, 18, 2, "b2fff2d47d3dc7b18783e58a6b53468aa24ceb23144c6659e29e0bf9d0756446");
