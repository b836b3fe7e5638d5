/* encoding.c - the interpreter of decode programs, and the proof that a program may be run.
 *
 * The interpreter trusts its encoding and checks nothing per element; the verifier is what makes that safe. Its proof is
 * short because programs are straight-line and offsets may not depend on loaded data: for each i there is one way
 * through, so running all of them sees every offset there can be. Neither looks at ids or digests. No state: any thread.
 * Contract: tenon/reference.h, semantics of the instructions: tenon/encoding.h. */
#include <tenon/reference.h>

#include <math.h>

#include "program.h"

/* ---- numbers ------------------------------------------------------------------------------------------------ */

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static uint32_t from_f16(uint32_t h)
{
    uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 0x3ffu;
    if (exponent == 31)
        return sign | 0x7f800000u | mantissa << 13;
    if (exponent == 0)
        return sign | bits_of((float)mantissa * 0x1p-24f);
    return sign | (exponent + 112u) << 23 | mantissa << 13;
}

static uint32_t from_e4m3(uint32_t v)
{
    uint32_t sign = (v & 0x80u) << 24, exponent = v >> 3 & 15u, mantissa = v & 7u;
    if ((v & 0x7fu) == 0x7fu)
        return sign | 0x7fc00000u;
    if (exponent == 0)
        return sign | bits_of((float)mantissa * 0x1p-9f);
    return sign | (exponent + 120u) << 23 | mantissa << 20;
}

static uint32_t from_e8m0(uint32_t e)
{
    if (e == 255)
        return 0x7fc00000u;
    return e == 0 ? 0x00400000u /* 2^-127, a denormal */ : e << 23;
}

/* ---- instructions ------------------------------------------------------------------------------------------- */

/* Members an opcode uses beside dst; the others must be zero, so that one program has one canonical text. */
#define USE_A 1u
#define USE_B 2u
#define USE_C 4u
#define USE_PLANE 8u
#define USE_WIDTH 16u
#define USE_IMM 32u

static const struct {
    const char *name;
    uint8_t uses;
} ops[TENON_OP_COUNT] = {
    [TENON_OP_CONST] = {"CONST", USE_IMM},
    [TENON_OP_LDBITS] = {"LDBITS", USE_A | USE_PLANE | USE_WIDTH | USE_IMM},
    [TENON_OP_LDF] = {"LDF", USE_A | USE_PLANE | USE_WIDTH | USE_IMM},
    [TENON_OP_AND] = {"AND", USE_A | USE_B},
    [TENON_OP_OR] = {"OR", USE_A | USE_B},
    [TENON_OP_XOR] = {"XOR", USE_A | USE_B},
    [TENON_OP_SHL] = {"SHL", USE_A | USE_B},
    [TENON_OP_SHR] = {"SHR", USE_A | USE_B},
    [TENON_OP_ADD] = {"ADD", USE_A | USE_B},
    [TENON_OP_MUL] = {"MUL", USE_A | USE_B},
    [TENON_OP_SEXT] = {"SEXT", USE_A | USE_WIDTH},
    [TENON_OP_I2F] = {"I2F", USE_A},
    [TENON_OP_F16F] = {"F16F", USE_A},
    [TENON_OP_FMUL] = {"FMUL", USE_A | USE_B},
    [TENON_OP_FADD] = {"FADD", USE_A | USE_B},
    [TENON_OP_FMA] = {"FMA", USE_A | USE_B | USE_C},
    [TENON_OP_TBL] = {"TBL", USE_A | USE_PLANE},
    [TENON_OP_SEL] = {"SEL", USE_A | USE_B | USE_C},
};

bool tn_ref_is_load(const struct tenon_insn *p)
{
    return p->op == TENON_OP_LDBITS || p->op == TENON_OP_LDF;
}

uint32_t tn_ref_float_bytes(uint32_t format)
{
    static const uint8_t bytes[] = {
        [TENON_F_F16] = 2, [TENON_F_BF16] = 2, [TENON_F_F32] = 4, [TENON_F_E4M3] = 1, [TENON_F_E8M0] = 1};
    return format < sizeof bytes ? bytes[format] : 0;
}

/* `width` bits from bit `at`, touching only the bytes they lie in. */
static uint32_t load_bits(const uint8_t *tile, uint32_t at, uint32_t width)
{
    const uint8_t *p = tile + at / 8;
    uint32_t n_bytes = (at % 8 + width + 7) / 8; /* 1..5 */
    uint64_t word = 0;
    for (uint32_t k = 0; k < n_bytes; k++)
        word |= (uint64_t)p[k] << 8 * k;
    return (uint32_t)(word >> at % 8 & ((UINT64_C(1) << width) - 1));
}

uint32_t tn_ref_load_float(const uint8_t *tile, uint32_t at, uint32_t format)
{
    const uint8_t *p = tile + at;
    switch (format) {
    case TENON_F_F16: return from_f16((uint32_t)p[0] | (uint32_t)p[1] << 8);
    case TENON_F_BF16: return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
    case TENON_F_F32: return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    case TENON_F_E4M3: return from_e4m3(p[0]);
    default: return from_e8m0(p[0]);
    }
}

static uint32_t load(const struct tenon_insn *p, const uint8_t *tile, uint32_t at)
{
    return p->op == TENON_OP_LDBITS ? load_bits(tile, at, p->width) : tn_ref_load_float(tile, at, p->width);
}

static uint32_t sign_extend(uint32_t a, uint32_t width)
{
    uint32_t top = 1u << (width - 1);
    return ((a & (top | (top - 1))) ^ top) - top;
}

static uint32_t table_entry(const struct tenon_table *table, uint32_t index)
{
    return table->values[index & ((1u << table->log2_size) - 1)];
}

uint32_t tn_ref_value(const struct tenon_encoding *e, const struct tenon_insn *p, const uint32_t *r)
{
    uint32_t a = r[p->a], b = r[p->b], c = r[p->c];
    switch (p->op) {
    case TENON_OP_CONST: return p->imm;
    case TENON_OP_AND: return a & b;
    case TENON_OP_OR: return a | b;
    case TENON_OP_XOR: return a ^ b;
    case TENON_OP_SHL: return a << (b & 31);
    case TENON_OP_SHR: return a >> (b & 31);
    case TENON_OP_ADD: return a + b;
    case TENON_OP_MUL: return a * b;
    case TENON_OP_SEXT: return sign_extend(a, p->width);
    case TENON_OP_I2F: return bits_of((float)(int32_t)a);
    case TENON_OP_F16F: return from_f16(a & 0xffffu);
    case TENON_OP_FMUL: return bits_of(float_of(a) * float_of(b));
    case TENON_OP_FADD: return bits_of(float_of(a) + float_of(b));
    case TENON_OP_FMA: return bits_of(fmaf(float_of(a), float_of(b), float_of(c)));
    case TENON_OP_TBL: return table_entry(&e->tables[p->plane], a);
    default: return a != 0 ? b : c; /* SEL */
    }
}

/* ---- decoding ----------------------------------------------------------------------------------------------- */

/* Element i of the tile whose bytes begin at tiles[plane]. */
static float decode_element(const struct tenon_encoding *e, const uint8_t *const *tiles, uint32_t i)
{
    uint32_t r[TENON_PROGRAM_REGS] = {i};
    for (const struct tenon_insn *p = e->program; p < e->program + e->n_insns; p++)
        r[p->dst] = tn_ref_is_load(p) ? load(p, tiles[p->plane], r[p->a] + p->imm) : tn_ref_value(e, p, r);
    return float_of(r[e->result]);
}

/* One row, y [cols]. */
static void decode_row(const struct tenon_encoding *e, const void *const *planes, uint64_t row, uint64_t cols, float *y)
{
    const uint8_t *tiles[TENON_PLANES_MAX];
    uint64_t tiles_per_row = cols / e->tile_cols;
    uint32_t first = (uint32_t)(row % e->tile_rows) * e->tile_cols; /* element of the tile where this row begins */
    for (uint64_t t = 0; t < tiles_per_row; t++) {
        uint64_t tile = row / e->tile_rows * tiles_per_row + t;
        for (uint32_t p = 0; p < e->n_planes; p++)
            tiles[p] = (const uint8_t *)planes[p] + tile * e->planes[p].tile_bytes;
        for (uint32_t k = 0; k < e->tile_cols; k++)
            *y++ = decode_element(e, tiles, first + k);
    }
}

int32_t tenon_ref_decode_rows(const struct tenon_encoding *e, const void *const *planes, uint64_t rows, uint64_t cols,
                              uint64_t first, uint64_t n, float *y)
{
    if (rows % e->tile_rows != 0 || cols % e->tile_cols != 0 || first > rows || n > rows - first)
        return TENON_E_INVALID_ARGUMENT;
    for (uint64_t k = 0; k < n; k++)
        decode_row(e, planes, first + k, cols, y + k * cols);
    return TENON_OK;
}

/* ---- verification ------------------------------------------------------------------------------------------- */

#define BAD(...) tenon_fail(err, TENON_E_INVALID_ARGUMENT, e->id, __VA_ARGS__)
#define BAD_INSN(k, fmt, ...)                                                                            \
    BAD("instruction %u (%s): " fmt, (unsigned)(k),                                                      \
        e->program[k].op < TENON_OP_COUNT ? ops[e->program[k].op].name : "?", __VA_ARGS__)

static int32_t verify_planes(const struct tenon_encoding *e, struct tenon_err *err)
{
    if (e->n_planes == 0 || e->n_planes > TENON_PLANES_MAX || e->planes == NULL)
        return BAD("%u planes%s: must be 1 to %u", (unsigned)e->n_planes, e->planes == NULL ? ", no array" : "", (unsigned)TENON_PLANES_MAX);
    for (uint32_t i = 0; i < e->n_planes; i++) {
        const struct tenon_plane *p = &e->planes[i];
        if (p->struct_size != sizeof *p) /* the array has no stride */
            return BAD("plane %u: struct_size is %u, not %zu", (unsigned)i, (unsigned)p->struct_size, sizeof *p);
        if (p->tile_bytes == 0 || p->align == 0 || (p->align & (p->align - 1)) != 0 || p->reserved != 0 || p->name == NULL)
            return BAD("plane %u: needs a name, bytes per tile and a power of two as alignment", (unsigned)i);
        if (p->align > TENON_PLANE_ALIGN_MAX)
            return BAD("plane %u: aligned to %u bytes: at most %u", (unsigned)i, (unsigned)p->align, (unsigned)TENON_PLANE_ALIGN_MAX);
        if (p->tile_bytes > TENON_TILE_BYTES_MAX)
            return BAD("plane %u: %u bytes per tile: at most %u", (unsigned)i, (unsigned)p->tile_bytes, (unsigned)TENON_TILE_BYTES_MAX);
    }
    return TENON_OK;
}

static int32_t verify_tables(const struct tenon_encoding *e, struct tenon_err *err)
{
    if (e->n_tables > TENON_TABLES_MAX || (e->n_tables > 0 && e->tables == NULL))
        return BAD("%u tables%s: at most %u", (unsigned)e->n_tables, e->tables == NULL ? ", no array" : "", (unsigned)TENON_TABLES_MAX);
    for (uint32_t i = 0; i < e->n_tables; i++) {
        const struct tenon_table *t = &e->tables[i];
        if (t->struct_size != sizeof *t)
            return BAD("table %u: struct_size is %u, not %zu", (unsigned)i, (unsigned)t->struct_size, sizeof *t);
        if (t->log2_size > TENON_TABLE_LOG2_MAX || t->values == NULL)
            return BAD("table %u: must have values, at most 2^%u", (unsigned)i, (unsigned)TENON_TABLE_LOG2_MAX);
    }
    return TENON_OK;
}

static int32_t verify_struct(const struct tenon_encoding *e, struct tenon_err *err)
{
    if (e->struct_size < sizeof *e || e->id == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "encoding", "the struct is too short or has no id");
    if (e->flags != 0)
        return BAD("unknown flags 0x%x: the plugin is newer than this host", (unsigned)e->flags);
    uint64_t elements = (uint64_t)e->tile_rows * e->tile_cols;
    if (elements == 0 || elements > TENON_TILE_MAX)
        return BAD("a tile of %u x %u: must have 1 to %u elements", (unsigned)e->tile_rows, (unsigned)e->tile_cols,
                   (unsigned)TENON_TILE_MAX);
    if (e->n_insns == 0 || e->n_insns > TENON_PROGRAM_MAX || e->program == NULL)
        return BAD("%u instructions%s: must be 1 to %u", (unsigned)e->n_insns, e->program == NULL ? ", no array" : "",
                   (unsigned)TENON_PROGRAM_MAX);
    int32_t rc = verify_planes(e, err);
    return rc != TENON_OK ? rc : verify_tables(e, err);
}

/* Opcode, members and numbers of instruction k by themselves. */
static int32_t verify_members(const struct tenon_encoding *e, uint32_t k, struct tenon_err *err)
{
    const struct tenon_insn *p = &e->program[k];
    if (p->op >= TENON_OP_COUNT)
        return BAD_INSN(k, "opcode %u does not exist", p->op);
    uint32_t uses = ops[p->op].uses;
    if ((!(uses & USE_A) && p->a != 0) || (!(uses & USE_B) && p->b != 0) || (!(uses & USE_C) && p->c != 0) ||
        (!(uses & USE_PLANE) && p->plane != 0) || (!(uses & USE_WIDTH) && p->width != 0) ||
        (!(uses & USE_IMM) && p->imm != 0) || p->reserved != 0)
        return BAD_INSN(k, "%s", "a member this opcode does not use is not zero");
    if (p->dst >= TENON_PROGRAM_REGS || p->a >= TENON_PROGRAM_REGS || p->b >= TENON_PROGRAM_REGS ||
        p->c >= TENON_PROGRAM_REGS)
        return BAD_INSN(k, "registers are r0 to r%u", (unsigned)TENON_PROGRAM_REGS - 1);
    if (tn_ref_is_load(p) && p->plane >= e->n_planes)
        return BAD_INSN(k, "plane %u does not exist", p->plane);
    if (p->op == TENON_OP_TBL && p->plane >= e->n_tables)
        return BAD_INSN(k, "table %u does not exist", p->plane);
    if (p->op == TENON_OP_LDF && tn_ref_float_bytes(p->width) == 0)
        return BAD_INSN(k, "float format %u does not exist", p->width);
    if (p->op != TENON_OP_LDF && (uses & USE_WIDTH) && (p->width < 1 || p->width > 32))
        return BAD_INSN(k, "width %u: must be 1 to 32", p->width);
    return TENON_OK;
}

/* What is known of the registers before an instruction, one bit per register. */
struct flow {
    uint32_t written;
    uint32_t loaded; /* depends on bytes of a plane */
};

uint32_t tn_ref_reads(const struct tenon_insn *p)
{
    uint32_t uses = ops[p->op].uses;
    return (uses & USE_A ? 1u << p->a : 0) | (uses & USE_B ? 1u << p->b : 0) | (uses & USE_C ? 1u << p->c : 0);
}

static void step(struct flow *f, const struct tenon_insn *p)
{
    bool loaded = tn_ref_is_load(p) || (tn_ref_reads(p) & f->loaded) != 0;
    f->written |= 1u << p->dst;
    f->loaded = (f->loaded & ~(1u << p->dst)) | (loaded ? 1u << p->dst : 0);
}

/* Members of all instructions, and what flows between their registers. */
static int32_t verify_flow(const struct tenon_encoding *e, struct tenon_err *err)
{
    struct flow f = {.written = 1};
    for (uint32_t k = 0; k < e->n_insns; k++) {
        const struct tenon_insn *p = &e->program[k];
        int32_t rc = verify_members(e, k, err);
        if (rc != TENON_OK)
            return rc;
        if (tn_ref_reads(p) & ~f.written)
            return BAD_INSN(k, "reads r%d before it is written", __builtin_ctz(tn_ref_reads(p) & ~f.written));
        if (tn_ref_is_load(p) && (f.loaded >> p->a & 1))
            return BAD_INSN(k, "offset register r%u depends on loaded data", p->a);
        step(&f, p);
    }
    if (e->result >= TENON_PROGRAM_REGS || !(f.written >> e->result & 1))
        return BAD("result register r%u is never written", (unsigned)e->result);
    return TENON_OK;
}

/* Does load p, from offset `at`, stay inside the tile? */
static bool load_fits(const struct tenon_encoding *e, const struct tenon_insn *p, uint32_t at)
{
    uint64_t bytes = e->planes[p->plane].tile_bytes;
    if (p->op == TENON_OP_LDBITS)
        return (uint64_t)at + p->width <= bytes * 8;
    return (uint64_t)at + tn_ref_float_bytes(p->width) <= bytes;
}

/* Run element i without its data: what depends on loads is skipped, for no offset does. */
static int32_t prove_element(const struct tenon_encoding *e, uint32_t i, struct tenon_err *err)
{
    uint32_t r[TENON_PROGRAM_REGS] = {i};
    struct flow f = {.written = 1};
    for (uint32_t k = 0; k < e->n_insns; k++) {
        const struct tenon_insn *p = &e->program[k];
        if (tn_ref_is_load(p) && !load_fits(e, p, r[p->a] + p->imm))
            return BAD_INSN(k, "element %u: offset %u leaves plane %u of %u bytes per tile", (unsigned)i,
                            (unsigned)(r[p->a] + p->imm), p->plane, (unsigned)e->planes[p->plane].tile_bytes);
        if (!tn_ref_is_load(p) && (tn_ref_reads(p) & f.loaded) == 0)
            r[p->dst] = tn_ref_value(e, p, r);
        step(&f, p);
    }
    return TENON_OK;
}

int32_t tenon_ref_encoding_verify(const struct tenon_encoding *e, struct tenon_err *err)
{
    int32_t rc = verify_struct(e, err);
    if (rc == TENON_OK)
        rc = verify_flow(e, err);
    for (uint32_t i = 0; rc == TENON_OK && i < e->tile_rows * e->tile_cols; i++)
        rc = prove_element(e, i, err);
    return rc;
}
