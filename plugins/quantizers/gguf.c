/* gguf.c - the encodings of GGUF tensors as data: plain floats, blocks of 32 and the K-quants' super-blocks of 256.
 *
 * Nothing here runs: each encoding is a decode program that hosts and backends interpret or compile. The order of float
 * operations is that of the reference decoder (scale, then quant, then minimum, each rounded), so results are equal to
 * the bit. Contract: tenon/quantizer.h, tenon/encoding.h. */
#include <tenon/encoding.h>
#include <tenon/quantizer.h>

/* ---- instructions, as one writes them ----------------------------------------------------------------------- */

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
    K4  /* 4 */
};

#define CONST(dst_, imm_) {.op = TENON_OP_CONST, .dst = (dst_), .imm = (imm_)}
#define BITS(dst_, at_, plus_, width_) \
    {.op = TENON_OP_LDBITS, .dst = (dst_), .a = (at_), .imm = (plus_), .width = (width_)}
#define FLOAT(dst_, at_, plus_, format_) \
    {.op = TENON_OP_LDF, .dst = (dst_), .a = (at_), .imm = (plus_), .width = (format_)}
#define OP2(name_, dst_, a_, b_) {.op = TENON_OP_##name_, .dst = (dst_), .a = (a_), .b = (b_)}
#define ADD(dst_, a_, b_) OP2(ADD, dst_, a_, b_)
#define FADD(dst_, a_, b_) OP2(FADD, dst_, a_, b_)
#define FMUL(dst_, a_, b_) OP2(FMUL, dst_, a_, b_)
#define SEXT(dst_, a_, width_) {.op = TENON_OP_SEXT, .dst = (dst_), .a = (a_), .width = (width_)}
#define I2F(dst_, a_) {.op = TENON_OP_I2F, .dst = (dst_), .a = (a_)}
#define SEL(dst_, if_, then_, else_) {.op = TENON_OP_SEL, .dst = (dst_), .a = (if_), .b = (then_), .c = (else_)}

/* Parts of i, by constants in T: (i >> down) << up, (i & mask) << up, ((i >> down) & mask) << up. */
#define UPPER(dst_, down_, up_) CONST(T, down_), OP2(SHR, dst_, I, T), CONST(T, up_), OP2(SHL, dst_, dst_, T)
#define LOWER(dst_, mask_, up_) CONST(T, mask_), OP2(AND, dst_, I, T), CONST(T, up_), OP2(SHL, dst_, dst_, T)
#define MIDDLE(dst_, down_, mask_, up_)                                                                          \
    CONST(T, down_), OP2(SHR, dst_, I, T), CONST(T, mask_), OP2(AND, dst_, dst_, T), CONST(T, up_), \
        OP2(SHL, dst_, dst_, T)

#define ADD_CONST(dst_, a_, imm_) CONST(T, (uint32_t)(imm_)), ADD(dst_, a_, T)

/* dst = half float at byte `byte_` of the block. */
#define HALF(dst_, byte_) CONST(T, 0), FLOAT(dst_, T, byte_, TENON_F_F16)

/* Q = Q | the bits in H, which stand above the low four. */
#define JOIN_HIGH CONST(K4, 4), OP2(SHL, H, H, K4), OP2(OR, Q, Q, H)

#define TIMES_D I2F(Q, Q), FMUL(X, D, Q)
#define TIMES_D_PLUS_M TIMES_D, FADD(X, X, M)

/* ---- plain floats ------------------------------------------------------------------------------------------- */

static const struct tenon_insn f32_program[] = {FLOAT(X, I, 0, TENON_F_F32)};
static const struct tenon_insn f16_program[] = {FLOAT(X, I, 0, TENON_F_F16)};
static const struct tenon_insn bf16_program[] = {FLOAT(X, I, 0, TENON_F_BF16)};

/* ---- blocks of 32 ------------------------------------------------------------------------------------------- */

/* AT = bit of element i among 16 bytes whose low nibbles are elements 0..15 and whose high ones are 16..31. */
#define NIBBLE_OF_32 LOWER(AT, 15, 3), UPPER(U, 4, 2), ADD(AT, AT, U)

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

/* ---- super-blocks of 256 ------------------------------------------------------------------------------------ */

/* Scale and minimum, 6 bits each, of sub-block j = i >> 5, which Q4_K and Q5_K pack into the 12 bytes s at byte 4:
 *   j < 4:  sc = s[j] & 63                         m = s[j+4] & 63
 *   j >= 4: sc = s[j+4] & 15 | s[j-4] >> 6 << 4    m = s[j+4] >> 4 | s[j] >> 6 << 4
 * Both forms are computed and one is dropped; the loads of both are inside the block for every j. */
#define PACKED_SCALES                                                                                            \
    UPPER(J8, 5, 3), CONST(K4, 4),                                                                  \
        BITS(SC, J8, 64, 4), BITS(U, J8, 6, 2), OP2(SHL, U, U, K4), OP2(OR, SC, SC, U),             \
        BITS(MN, J8, 68, 4), BITS(U, J8, 38, 2), OP2(SHL, U, U, K4), OP2(OR, MN, MN, U),            \
        CONST(T, 4 * 8), OP2(AND, T, J8, T),                                                        \
        BITS(U, J8, 32, 6), SEL(SC, T, SC, U), BITS(U, J8, 64, 6), SEL(MN, T, MN, U)

/* AT = bit of element i among four chunks of 32 bytes, each with one sub-block in its low nibbles and the next in its
 * high ones. Sets L8. */
#define NIBBLE_OF_64 \
    UPPER(AT, 6, 8), LOWER(L8, 31, 3), ADD(AT, AT, L8), MIDDLE(U, 5, 1, 2), ADD(AT, AT, U)

/* X = (d * sc) * q - dmin * m. Subtracting is adding with the sign bit turned. */
#define TIMES_D_SC_MINUS_DMIN_MN                                                                                 \
    HALF(D, 0), HALF(M, 2), I2F(SC, SC), FMUL(D, D, SC), I2F(MN, MN), FMUL(M, M, MN),               \
        CONST(T, 0x80000000u), OP2(XOR, M, M, T), TIMES_D_PLUS_M

/* d f16; dmin f16; scales[12]; qs[128] */
static const struct tenon_insn q4_k_program[] = {
    PACKED_SCALES, NIBBLE_OF_64, BITS(Q, AT, 128, 4), TIMES_D_SC_MINUS_DMIN_MN};

/* d f16; dmin f16; scales[12]; qh[32], bit j of qh[l] for element l of sub-block j; qs[128] */
static const struct tenon_insn q5_k_program[] = {
    PACKED_SCALES, NIBBLE_OF_64, BITS(Q, AT, 384, 4), UPPER(U, 5, 0), ADD(AT, L8, U), BITS(H, AT, 128, 1), JOIN_HIGH,
    TIMES_D_SC_MINUS_DMIN_MN};

/* ql[128]; qh[64]; i8 scales[16]; d f16: x = (d * scale) * (q - 32). In each half of 128 elements, ql has elements 0..63
 * in its low nibbles and 64..127 in its high ones, and byte l of qh has 2 bits of the elements l, l+32, l+64, l+96. */
static const struct tenon_insn q6_k_program[] = {
    UPPER(AT, 7, 9), LOWER(U, 63, 3), ADD(AT, AT, U), MIDDLE(U, 6, 1, 2), ADD(AT, AT, U), BITS(Q, AT, 0, 4),
    UPPER(AT, 7, 8), LOWER(U, 31, 3), ADD(AT, AT, U), MIDDLE(U, 5, 3, 1), ADD(AT, AT, U), BITS(H, AT, 1024, 2), JOIN_HIGH,
    ADD_CONST(Q, Q, -32), UPPER(AT, 4, 3), BITS(SC, AT, 1536, 8), SEXT(SC, SC, 8), I2F(SC, SC), HALF(D, 208),
    FMUL(D, D, SC), TIMES_D};

/* ---- the encodings ------------------------------------------------------------------------------------------ */

/* One encoding of a single plane; `align` is that of its widest field. */
#define ENCODING(name_, id_, cols_, bytes_, align_, plane_, digest_)                                             \
    static const struct tenon_plane name_##_plane = {.struct_size = sizeof(struct tenon_plane),     \
        .tile_bytes = (bytes_), .align = (align_), .name = (plane_)};                               \
    static const struct tenon_encoding name_ = {.struct_size = sizeof name_, .id = (id_),           \
        .digest = (digest_), .tile_rows = 1, .tile_cols = (cols_), .n_planes = 1,                   \
        .planes = &name_##_plane, .program = name_##_program,                                       \
        .n_insns = sizeof name_##_program / sizeof name_##_program[0], .result = X}

ENCODING(f32, "f32/1", 1, 4, 4, "values", "ba6c75aa8bab48687ff4d404c9dc029580bb71982482b781adfeb5db7ba82111");
ENCODING(f16, "f16/1", 1, 2, 2, "values", "ef23556593167f786074493a3437d1a68a24a765c2d14b18fa382df93d54bb31");
ENCODING(bf16, "bf16/1", 1, 2, 2, "values", "e5bce90b1f10e0ac42769d14756f567623797238f5e11ebfee2f3fe026c32c50");
ENCODING(q4_0, "gguf.q4_0/1", 32, 18, 2, "blocks", "c384af5d196eb5eb1f1eb131f55013d721197b303807e76f353bd7a044216e88");
ENCODING(q4_1, "gguf.q4_1/1", 32, 20, 2, "blocks", "1e74a9088343b3465452a222a4119c8af3690b67a5e113bd97d074a577f0a339");
ENCODING(q5_0, "gguf.q5_0/1", 32, 22, 2, "blocks", "45f9bcceb9fb55e1c6de0bc8d0609f1a4b4d89cd4abba29929ec5d8c06ebf80b");
ENCODING(q5_1, "gguf.q5_1/1", 32, 24, 2, "blocks", "8c02ddcfa679b034617c3540816dc69e656338b1e93617b07856dc345dbec539");
ENCODING(q8_0, "gguf.q8_0/1", 32, 34, 2, "blocks", "e27e3e825cfcf0263d05c6f44645c18dd14ae63b5115eb0a463a159550961288");
ENCODING(q4_k, "gguf.q4_k/1", 256, 144, 2, "blocks", "10a1815cf10c3e0f15625be6abe0ca89319fe1b0d1d4376761fc9ad073d3eff5");
ENCODING(q5_k, "gguf.q5_k/1", 256, 176, 2, "blocks", "97c02c9431397c17e17ad8e931685a66948f67027dee2bfe653dd3186e37f6d1");
ENCODING(q6_k, "gguf.q6_k/1", 256, 210, 2, "blocks", "f63e3321b621517761bb87c29ef961d7943b85ae687bdbeafbf694a0e3523718");

static const struct tenon_encoding *const encodings[] = {
    &f32, &f16, &bf16, &q4_0, &q4_1, &q5_0, &q5_1, &q8_0, &q4_k, &q5_k, &q6_k,
};

/* The same, as the host selects by. */
static const char *const ids[] = {
    "f32/1",       "f16/1",       "bf16/1",      "gguf.q4_0/1", "gguf.q4_1/1", "gguf.q5_0/1",
    "gguf.q5_1/1", "gguf.q8_0/1", "gguf.q4_k/1", "gguf.q5_k/1", "gguf.q6_k/1", NULL,
};

static const struct tenon_quantizer quantizer = {
    .struct_size = sizeof quantizer,
    .n_encodings = sizeof encodings / sizeof encodings[0],
    .encodings = encodings,
};

static const struct tenon_item items[] = {
    TENON_ITEM(TENON_QUANTIZER_IFACE, "gguf", ids, &quantizer),
};

static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi = TENON_ABI,
    .api_level = TENON_API_LEVEL,
    .id = "org.tenon.quantizer.gguf",
    .version = "0.1.0",
    .vendor = "Tenon",
    .license = "Apache-2.0",
    .description = "Encodings of GGUF tensors: plain floats, blocks of 32, K-quants",
    .items = items,
    .n_items = sizeof items / sizeof items[0],
    .item_stride = sizeof items[0],
};

TENON_PLUGIN_ENTRY(plugin)
