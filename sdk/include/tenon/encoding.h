/* encoding.h - a weight encoding as data: tiles, planes, tables and a small decode program.
 *
 * An encoding says how the numbers of a tensor lie in bytes, so completely that a backend that has never heard of it
 * can decode it. A tensor of logical shape [rows, cols] (row-major) is cut into tiles of tile_rows x tile_cols
 * elements; tile t (row-major order of tiles) occupies bytes [t * tile_bytes, (t+1) * tile_bytes) of each plane. GGUF
 * blocks are one packed plane; GPTQ, AWQ and MX use several. cols must be a multiple of tile_cols and rows of tile_rows.
 *
 * The program is straight-line, at most TENON_PROGRAM_MAX instructions, and computes element i (row-major within the
 * tile) from register 0, which holds i at the start. Registers are 32 bits without a type. Example, Q8_0 (f16 scale d,
 * then 32 int8): x[i] = d * q[i]
 *
 *     { TENON_OP_CONST,  .dst = 1, .imm = 8 },                               r1 = 8
 *     { TENON_OP_MUL,    .dst = 2, .a = 0, .b = 1 },                         r2 = i * 8          bit of element i
 *     { TENON_OP_LDBITS, .dst = 2, .a = 2, .plane = 0, .imm = 16, .width = 8 },  r2 = 8 bits at 16 + r2
 *     { TENON_OP_SEXT,   .dst = 2, .a = 2, .width = 8 },
 *     { TENON_OP_I2F,    .dst = 2, .a = 2 },
 *     { TENON_OP_CONST,  .dst = 3, .imm = 0 },
 *     { TENON_OP_LDF,    .dst = 3, .a = 3, .plane = 0, .width = TENON_F_F16 },  r3 = d
 *     { TENON_OP_FMUL,   .dst = 0, .a = 3, .b = 2 },                         result register 0
 *
 * The digest is the SHA-256 of the canonical text of all that determines the numbers (tenon_encoding_canonical()), so a
 * backend may claim an encoding by digest and use its own kernel. The host checks program and digest before the first use, and
 * `tenon plugins check` does so for all encodings of a plugin; the digest that it found is in the message when they differ, which
 * is how an author learns it.
 */
#ifndef TENON_ENCODING_H
#define TENON_ENCODING_H

#include <tenon/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_PROGRAM_MAX 64u   /* instructions */
#define TENON_PROGRAM_REGS 32u  /* registers r0..r31 */
#define TENON_PLANES_MAX 8u
#define TENON_TABLES_MAX 4u
#define TENON_TABLE_LOG2_MAX 14u /* entries of a table: at most 2^14 */
#define TENON_TILE_MAX 65536u    /* elements of a tile */
#define TENON_TILE_BYTES_MAX (1u << 28) /* bytes of a tile in one plane: offsets of its bits fit 32 bits */
#define TENON_PLANE_ALIGN_MAX 64u

/* Opcodes: X(name, value, operands as text). All integer arithmetic is modulo 2^32; shifts are by (b & 31); FADD, FMUL and
 * FMA are IEEE binary32, round to nearest even, FMA with one rounding, denormals kept. Which NaN they make of a NaN, its sign and its
 * lower bits, is the machine's: a program that looks at those bits has no one result. */
#define TENON_OPCODE_LIST(X)                                                                                    \
    X(CONST, 0, "dst = imm")                                                                                    \
    X(LDBITS, 1, "dst = `width` (1..32) bits of `plane` from bit offset a + imm, little-endian bit order")      \
    X(LDF, 2, "dst = float of format `width` (TENON_F_*) at byte offset a + imm of `plane`")                    \
    X(AND, 3, "dst = a & b")                                                                                    \
    X(OR, 4, "dst = a | b")                                                                                     \
    X(XOR, 5, "dst = a ^ b")                                                                                    \
    X(SHL, 6, "dst = a << (b & 31)")                                                                            \
    X(SHR, 7, "dst = a >> (b & 31), zeros shifted in")                                                          \
    X(ADD, 8, "dst = a + b")                                                                                    \
    X(MUL, 9, "dst = a * b")                                                                                    \
    X(SEXT, 10, "dst = low `width` (1..32) bits of a, sign extended")                                           \
    X(I2F, 11, "dst = (float)(int32)a")                                                                         \
    X(F16F, 12, "dst = float of the IEEE half in the low 16 bits of a")                                         \
    X(FMUL, 13, "dst = a * b as floats")                                                                        \
    X(FADD, 14, "dst = a + b as floats")                                                                        \
    X(FMA, 15, "dst = a * b + c as floats, one rounding")                                                       \
    X(TBL, 16, "dst = table number `plane`, entry a masked to the table's size")                                \
    X(SEL, 17, "dst = a != 0 ? b : c")

enum tenon_opcode {
#define TENON_OPCODE_ENUM(name, value, text) TENON_OP_##name = value,
    TENON_OPCODE_LIST(TENON_OPCODE_ENUM)
#undef TENON_OPCODE_ENUM
    TENON_OP_COUNT = 18
};

/* Float formats of LDF (in `width`). */
#define TENON_F_F16 1u  /* IEEE half, 2 bytes LE */
#define TENON_F_BF16 2u /* upper half of binary32, 2 bytes LE */
#define TENON_F_F32 3u  /* IEEE binary32, 4 bytes LE */
#define TENON_F_E4M3 4u /* OCP FP8 E4M3 (fn), 1 byte */
#define TENON_F_E8M0 5u /* OCP scale 2^(e-127), 255 is NaN, 1 byte */

/* One instruction, 12 bytes, every member meaningful or zero. An offset register of LDBITS and LDF may depend on i and
 * constants only, never on loaded data: so running every i once proves that no load leaves its plane. */
struct tenon_insn {
    uint8_t op; /* TENON_OP_* */
    uint8_t dst;
    uint8_t a;
    uint8_t b;
    uint8_t c;
    uint8_t plane; /* LDBITS, LDF: plane; TBL: table */
    uint8_t width;
    uint8_t reserved; /* 0 */
    uint32_t imm;
};

struct tenon_plane {
    uint32_t struct_size;
    uint32_t tile_bytes; /* bytes of one tile in this plane, at most TENON_TILE_BYTES_MAX */
    uint32_t align;      /* of the plane's first byte, power of two, at most TENON_PLANE_ALIGN_MAX */
    uint32_t reserved;   /* 0 */
    const char *name;    /* "blocks", "qweight", "scales" */
};

struct tenon_table {
    uint32_t struct_size;
    uint32_t log2_size;     /* 2^log2_size entries */
    const uint32_t *values; /* [2^log2_size], OWN: plugin, static. Floats by their bits */
};

/* OWN: plugin, static, immutable. [any-thread] */
struct tenon_encoding {
    uint32_t struct_size;
    uint32_t flags;      /* 0 */
    const char *id;      /* "gguf.q4_k/1"; "f32/1", "f16/1", "bf16/1" for the plain ones */
    const char *digest;  /* 64 lower-case hex digits: SHA-256 of the canonical text */
    uint32_t tile_rows;  /* 1 for everything stored along rows */
    uint32_t tile_cols;  /* 256 for K-quants, 32, 1 for plain floats */
    uint32_t n_planes;
    uint32_t n_tables;
    const struct tenon_plane *planes; /* [n_planes] */
    const struct tenon_table *tables; /* [n_tables] or NULL */
    const struct tenon_insn *program; /* [n_insns] */
    uint32_t n_insns;
    uint32_t result;                  /* register that holds element i, a float, at the end */
};

/* Bytes of one plane for a tensor of rows x cols, or UINT64_MAX when the shape does not fit the tile or overflows.
 * [any-thread] */
static inline uint64_t tenon_encoding_plane_bytes(const struct tenon_encoding *e, uint32_t plane, uint64_t rows, uint64_t cols)
{
    uint64_t tiles_r, tiles_c, tiles;
    if (e->tile_rows == 0 || e->tile_cols == 0 || plane >= e->n_planes || rows % e->tile_rows != 0 || cols % e->tile_cols != 0)
        return UINT64_MAX;
    tiles_r = rows / e->tile_rows;
    tiles_c = cols / e->tile_cols;
    if (tiles_c != 0 && tiles_r > UINT64_MAX / tiles_c)
        return UINT64_MAX;
    tiles = tiles_r * tiles_c;
    if (e->planes[plane].tile_bytes != 0 && tiles > (UINT64_MAX - 1) / e->planes[plane].tile_bytes)
        return UINT64_MAX;
    return tiles * e->planes[plane].tile_bytes;
}

/* Write the canonical text that the digest is taken of: one line each for tile, planes, tables, instructions and result;
 * id, names and alignment do not enter. Returns the bytes the whole text has (without a NUL); writes at most `capacity` of
 * them. [any-thread] */
static inline uint64_t tenon_encoding_canonical(const struct tenon_encoding *e, char *buf, uint64_t capacity)
{
    uint64_t n = 0;
    char line[96];
    uint32_t i, j;
#define TENON_CANON_PUT_(...)                                                     \
    do {                                                                          \
        int len_ = snprintf(line, sizeof line, __VA_ARGS__);                      \
        if (len_ > 0) {                                                           \
            if (n < capacity) {                                                   \
                uint64_t room_ = capacity - n;                                    \
                memcpy(buf + n, line, (uint64_t)len_ < room_ ? (size_t)len_ : (size_t)room_); \
            }                                                                     \
            n += (uint64_t)len_;                                                  \
        }                                                                         \
    } while (0)
    TENON_CANON_PUT_("encoding 1\ntile %u %u\n", (unsigned)e->tile_rows, (unsigned)e->tile_cols);
    for (i = 0; i < e->n_planes; i++)
        TENON_CANON_PUT_("plane %u\n", (unsigned)e->planes[i].tile_bytes);
    for (i = 0; i < e->n_tables; i++) {
        TENON_CANON_PUT_("table %u\n", (unsigned)e->tables[i].log2_size);
        for (j = 0; j < 1u << e->tables[i].log2_size; j++)
            TENON_CANON_PUT_("%08x\n", (unsigned)e->tables[i].values[j]);
    }
    for (i = 0; i < e->n_insns; i++) {
        const struct tenon_insn *p = &e->program[i];
        TENON_CANON_PUT_("op %u %u %u %u %u %u %u %08x\n", p->op, p->dst, p->a, p->b, p->c, p->plane, p->width,
                         (unsigned)p->imm);
    }
    TENON_CANON_PUT_("result %u\n", (unsigned)e->result);
#undef TENON_CANON_PUT_
    return n;
}

#ifdef __cplusplus
}
#endif
#endif
