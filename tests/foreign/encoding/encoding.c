/* encoding.c - "acme.trits/1": three values of -1, 0, 1 in five bits. Data only.
 *
 * A tile is 2 rows of 96 columns, its 192 elements numbered row by row. Plane "codes" has 64 groups of 5 bits, one after the other: code
 * c stands for the elements 3g, 3g+1, 3g+2 as c % 3 - 1, c / 3 % 3 - 1, c / 9 - 1; codes 27..31 are zeros. Plane "scales" has three
 * half floats, for elements 0..63 (in row 0), 64..127 (in both rows) and 128..191. x = scale * trit. */
#include "acme.h"

/* Digit r of code c, plus what is behind for the codes that are none. */
#define T(c) \
    ((c) >= 27 ? 0u : (uint32_t)((c) % 3 - 1)), ((c) >= 27 ? 0u : (uint32_t)((c) / 3 % 3 - 1)), ((c) >= 27 ? 0u : (uint32_t)((c) / 9 - 1)), 0u
#define T8(c) T(c), T((c) + 1), T((c) + 2), T((c) + 3), T((c) + 4), T((c) + 5), T((c) + 6), T((c) + 7)
static const uint32_t trits[128] = {T8(0), T8(8), T8(16), T8(24)}; /* [32 codes, 4] */
static const struct tenon_table tables[] = {{.struct_size = sizeof tables[0], .log2_size = 7, .values = trits}};

static const struct tenon_plane planes[] = {
    {.struct_size = sizeof planes[0], .tile_bytes = 40, .align = 1, .name = "codes"},
    {.struct_size = sizeof planes[0], .tile_bytes = 6, .align = 2, .name = "scales"},
};

static const struct tenon_insn program[] = {
    /* r2 = i / 3, which i * 171 >> 9 is up to 255; r3 = i - 3 * r2 */
    {.op = TENON_OP_CONST, .dst = 1, .imm = 171},
    {.op = TENON_OP_MUL, .dst = 2, .a = 0, .b = 1},
    {.op = TENON_OP_CONST, .dst = 1, .imm = 9},
    {.op = TENON_OP_SHR, .dst = 2, .a = 2, .b = 1},
    {.op = TENON_OP_CONST, .dst = 1, .imm = (uint32_t)-3},
    {.op = TENON_OP_MUL, .dst = 3, .a = 2, .b = 1},
    {.op = TENON_OP_ADD, .dst = 3, .a = 3, .b = 0},
    /* r4 = table[code << 2 | r3] as a float */
    {.op = TENON_OP_CONST, .dst = 1, .imm = 5},
    {.op = TENON_OP_MUL, .dst = 2, .a = 2, .b = 1},
    {.op = TENON_OP_LDBITS, .dst = 4, .a = 2, .plane = 0, .width = 5},
    {.op = TENON_OP_CONST, .dst = 1, .imm = 2},
    {.op = TENON_OP_SHL, .dst = 4, .a = 4, .b = 1},
    {.op = TENON_OP_OR, .dst = 4, .a = 4, .b = 3},
    {.op = TENON_OP_TBL, .dst = 4, .a = 4, .plane = 0},
    {.op = TENON_OP_I2F, .dst = 4, .a = 4},
    /* r5 = scale at byte 2 * (i >> 6) */
    {.op = TENON_OP_CONST, .dst = 1, .imm = 6},
    {.op = TENON_OP_SHR, .dst = 5, .a = 0, .b = 1},
    {.op = TENON_OP_ADD, .dst = 5, .a = 5, .b = 5},
    {.op = TENON_OP_LDF, .dst = 5, .a = 5, .plane = 1, .width = TENON_F_F16},
    {.op = TENON_OP_FMUL, .dst = 0, .a = 5, .b = 4},
};

const struct tenon_encoding acme_trits = {
    .struct_size = sizeof acme_trits,
    .id = "acme.trits/1",
    .digest = "f76049a287d6b1f8c656e17c8202b341d7fd1ec25528d999ea6f1be83e3c2a37",
    .tile_rows = 2,
    .tile_cols = 96,
    .n_planes = 2,
    .n_tables = 1,
    .planes = planes,
    .tables = tables,
    .program = program,
    .n_insns = sizeof program / sizeof program[0],
};
