/* program.h - decode programs as one writes them: registers by name, an instruction per macro, and the few sequences that
 * every layout needs. Each macro stands for one or several elements of a `struct tenon_insn []`:
 *
 *     static const struct tenon_insn q8_0_program[] = {
 *         UPPER(AT, 0, 3), BITS(Q, AT, 16, 8), SEXT(Q, Q, 8), HALF(D, 0), TIMES_D};
 *
 * What a macro expands to is part of the digests of all that use it: one that is in use may never change.
 * For the files of this folder only. Contract: tenon/encoding.h. */
#ifndef TENON_QUANTIZERS_PROGRAM_H
#define TENON_QUANTIZERS_PROGRAM_H

#include <tenon/encoding.h>

/* Registers; one meaning in every program. */
enum {
    I,  /* element of the tile, given */
    X,  /* the result */
    D,  /* scale of the block, a float */
    M,  /* minimum of the block, a float */
    Q,  /* quant: bits, then a whole number, then a float */
    H,  /* high bits of the quant */
    SC, /* scale of the sub-block */
    MN, /* minimum of the sub-block */
    J8, /* 8 * number of the sub-block */
    L8, /* 8 * element of the sub-block */
    AT, /* bit offset */
    U,  /* scratch */
    T,  /* scratch of the macros that name it */
    K4, /* 4 */
    S,  /* sign bits */
    G   /* entry of a codebook, or bit offset of its index */
};

/* ---- instructions ------------------------------------------------------------------------------------------- */

#define CONST(dst_, imm_) {.op = TENON_OP_CONST, .dst = (dst_), .imm = (imm_)}
#define PLANE_BITS(plane_, dst_, at_, plus_, width_) \
    {.op = TENON_OP_LDBITS, .dst = (dst_), .a = (at_), .plane = (plane_), .imm = (plus_), .width = (width_)}
#define PLANE_FLOAT(plane_, dst_, at_, plus_, format_) \
    {.op = TENON_OP_LDF, .dst = (dst_), .a = (at_), .plane = (plane_), .imm = (plus_), .width = (format_)}
#define BITS(dst_, at_, plus_, width_) PLANE_BITS(0, dst_, at_, plus_, width_)
#define FLOAT(dst_, at_, plus_, format_) PLANE_FLOAT(0, dst_, at_, plus_, format_)
#define OP2(name_, dst_, a_, b_) {.op = TENON_OP_##name_, .dst = (dst_), .a = (a_), .b = (b_)}
#define AND(dst_, a_, b_) OP2(AND, dst_, a_, b_)
#define OR(dst_, a_, b_) OP2(OR, dst_, a_, b_)
#define XOR(dst_, a_, b_) OP2(XOR, dst_, a_, b_)
#define SHL(dst_, a_, b_) OP2(SHL, dst_, a_, b_)
#define SHR(dst_, a_, b_) OP2(SHR, dst_, a_, b_)
#define ADD(dst_, a_, b_) OP2(ADD, dst_, a_, b_)
#define MUL(dst_, a_, b_) OP2(MUL, dst_, a_, b_)
#define FADD(dst_, a_, b_) OP2(FADD, dst_, a_, b_)
#define FMUL(dst_, a_, b_) OP2(FMUL, dst_, a_, b_)
#define SEXT(dst_, a_, width_) {.op = TENON_OP_SEXT, .dst = (dst_), .a = (a_), .width = (width_)}
#define I2F(dst_, a_) {.op = TENON_OP_I2F, .dst = (dst_), .a = (a_)}
#define F16F(dst_, a_) {.op = TENON_OP_F16F, .dst = (dst_), .a = (a_)}
#define TBL(dst_, table_, a_) {.op = TENON_OP_TBL, .dst = (dst_), .a = (a_), .plane = (table_)}
#define SEL(dst_, if_, then_, else_) {.op = TENON_OP_SEL, .dst = (dst_), .a = (if_), .b = (then_), .c = (else_)}

/* ---- sequences: constants stand in T ------------------------------------------------------------------------ */

/* Parts of i: (i >> down) << up, (i & mask) << up, (i & mask) >> down, ((i >> down) & mask) << up. */
#define UPPER(dst_, down_, up_) CONST(T, down_), SHR(dst_, I, T), CONST(T, up_), SHL(dst_, dst_, T)
#define LOWER(dst_, mask_, up_) CONST(T, mask_), AND(dst_, I, T), CONST(T, up_), SHL(dst_, dst_, T)
#define FALL(dst_, mask_, down_) CONST(T, mask_), AND(dst_, I, T), CONST(T, down_), SHR(dst_, dst_, T)
#define MIDDLE(dst_, down_, mask_, up_) \
    CONST(T, down_), SHR(dst_, I, T), CONST(T, mask_), AND(dst_, dst_, T), CONST(T, up_), SHL(dst_, dst_, T)

#define ADD_CONST(dst_, a_, imm_) CONST(T, (uint32_t)(imm_)), ADD(dst_, a_, T)
#define XOR_CONST(dst_, a_, imm_) CONST(T, (imm_)), XOR(dst_, a_, T)
#define SHL_CONST(dst_, a_, imm_) CONST(T, (imm_)), SHL(dst_, a_, T)
#define FMUL_CONST(dst_, a_, float_bits_) CONST(T, (float_bits_)), FMUL(dst_, a_, T)
#define FADD_CONST(dst_, a_, float_bits_) CONST(T, (float_bits_)), FADD(dst_, a_, T)

/* Floats by their bits. */
#define BITS_0_125 0x3e000000u
#define BITS_0_25 0x3e800000u
#define BITS_0_5 0x3f000000u

/* dst = half float at byte `byte_` of the block. */
#define HALF(dst_, byte_) CONST(T, 0), FLOAT(dst_, T, byte_, TENON_F_F16)

/* AT = bit of element i among 16 bytes whose low nibbles are elements 0..15 and whose high ones are 16..31. */
#define NIBBLE_OF_32 LOWER(AT, 15, 3), UPPER(U, 4, 2), ADD(AT, AT, U)

/* The same in each 16 bytes of a block of 128. */
#define NIBBLE_OF_128 LOWER(AT, 15, 3), MIDDLE(U, 4, 1, 2), ADD(AT, AT, U), UPPER(U, 5, 7), ADD(AT, AT, U)

/* Q = Q | the bits in H, which stand above the low four. */
#define JOIN_HIGH CONST(K4, 4), SHL(H, H, K4), OR(Q, Q, H)

#define TIMES_D I2F(Q, Q), FMUL(X, D, Q)
#define TIMES_D_PLUS_M TIMES_D, FADD(X, X, M)

/* ---- tables ------------------------------------------------------------------------------------------------- */

#define MINUS(n_) (0u - (n_)) /* a negative entry */
#define TABLE(log2_, values_) {.struct_size = sizeof(struct tenon_table), .log2_size = (log2_), .values = (values_)}

#endif
