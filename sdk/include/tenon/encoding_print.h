/* encoding_print.h - decode programs as source code: C, CUDA and HIP, OpenCL C, GLSL. What a backend puts in front of its generic
 * kernels, so that they read any encoding.
 *
 *     n = tenon_print_prelude(TENON_PRINT_OPENCL, NULL, 0);                  how long; once per source text
 *     n = tenon_print_decoder(e, TENON_PRINT_OPENCL, "w0", NULL, 0);         once per encoding, under a name of its own
 *
 * gives a function of the planes' tiles and the element i of the tile, which a kernel calls for one element or, better, unrolled
 * over constants i, so that all arithmetic on i folds away:
 *
 *     C        static inline float w0(const uint8_t *p0, const uint8_t *p1, ..., uint32_t i)        p: first byte of the tile
 *     CUDA     static __device__ __forceinline__ float w0(const unsigned char *p0, ..., unsigned int i)
 *     OpenCL   static inline float w0(__global const uchar *p0, ..., uint i)
 *     GLSL     float w0(uint p0, ..., uint i)           p: byte offset of the tile; the shader has before it, for each plane N of
 *                                                       any encoding, uint tenon_byte_N(uint at) { ... } with the byte there
 *
 * Bits are those of the interpreter where the compiler neither contracts nor reassociates nor flushes denormals: gcc and clang
 * -ffp-contract=off (no -ffast-math), nvcc without -use_fast_math, OpenCL without -cl-denorms-are-zero or -cl-fast-relaxed-math;
 * GLSL promises no denormals. A NaN is a NaN everywhere, its bits may differ (encoding.h). An encoding that is printed has passed the
 * verifier. All [any-thread].
 */
#ifndef TENON_ENCODING_PRINT_H
#define TENON_ENCODING_PRINT_H

#include <stdarg.h>

#include <tenon/encoding.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_PRINT_C 0
#define TENON_PRINT_CUDA 1 /* HIP too */
#define TENON_PRINT_OPENCL 2
#define TENON_PRINT_GLSL 3
#define TENON_PRINT_COUNT 4

struct tenon_printer_ {
    char *buf;
    uint64_t capacity, n;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static inline void tenon_put_(struct tenon_printer_ *out, const char *format, ...)
{
    char text[512];
    va_list args;
    int n;
    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0 && out->n < out->capacity) {
        uint64_t room = out->capacity - out->n;
        memcpy(out->buf + out->n, text, (uint64_t)n < room ? (size_t)n : (size_t)room);
    }
    out->n += n > 0 ? (uint64_t)n : 0;
}

/* What differs between the dialects, as macros of the printed text. */
static inline const char *tenon_print_words_(int dialect)
{
    switch (dialect) {
    case TENON_PRINT_CUDA:
        return "#define TENON_FN static __device__ __forceinline__\n#define TENON_U unsigned int\n"
               "#define TENON_PLANE const unsigned char *\n#define TENON_TABLE static __device__ const unsigned int\n"
               "#define TENON_BITS(f) __float_as_uint(f)\n#define TENON_FLOAT(u) __uint_as_float(u)\n"
               "#define TENON_I2F(u) __int2float_rn((int)(u))\n#define TENON_MUL(a, b) __fmul_rn(a, b)\n"
               "#define TENON_ADD(a, b) __fadd_rn(a, b)\n#define TENON_FMA(a, b, c) __fmaf_rn(a, b, c)\n";
    case TENON_PRINT_OPENCL:
        return "#pragma OPENCL FP_CONTRACT OFF\n#define TENON_FN static inline\n#define TENON_U uint\n"
               "#define TENON_PLANE __global const uchar *\n#define TENON_TABLE __constant uint\n"
               "#define TENON_BITS(f) as_uint(f)\n#define TENON_FLOAT(u) as_float(u)\n"
               "#define TENON_I2F(u) convert_float_rte(as_int(u))\n#define TENON_MUL(a, b) ((a) * (b))\n"
               "#define TENON_ADD(a, b) ((a) + (b))\n#define TENON_FMA(a, b, c) fma(a, b, c)\n";
    case TENON_PRINT_GLSL:
        return "#define TENON_FN\n#define TENON_U uint\n#define TENON_PLANE uint\n#define TENON_TABLE const uint\n"
               "#define TENON_BITS(f) floatBitsToUint(f)\n#define TENON_FLOAT(u) uintBitsToFloat(u)\n"
               "#define TENON_I2F(u) float(int(u))\n#define TENON_MUL(a, b) tenon_mul(a, b)\n"
               "#define TENON_ADD(a, b) tenon_add(a, b)\n#define TENON_FMA(a, b, c) tenon_fma(a, b, c)\n"
               "float tenon_mul(float a, float b) { precise float y = a * b; return y; }\n"
               "float tenon_add(float a, float b) { precise float y = a + b; return y; }\n"
               "float tenon_fma(float a, float b, float c) { precise float y = fma(a, b, c); return y; }\n";
    default:
        return "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"
               "#define TENON_FN static inline\n#define TENON_U uint32_t\n#define TENON_PLANE const uint8_t *\n"
               "#define TENON_TABLE static const uint32_t\n#define TENON_BITS(f) tenon_bits_of(f)\n"
               "#define TENON_FLOAT(u) tenon_float_of(u)\n#define TENON_I2F(u) ((float)(int32_t)(u))\n"
               "#define TENON_MUL(a, b) ((a) * (b))\n#define TENON_ADD(a, b) ((a) + (b))\n"
               "#define TENON_FMA(a, b, c) fmaf(a, b, c)\n"
               "static inline uint32_t tenon_bits_of(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }\n"
               "static inline float tenon_float_of(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }\n";
    }
}

/* Helpers that all decoders of a source text share. Returns the bytes of the text (without a NUL); writes at most `capacity`. */
static inline uint64_t tenon_print_prelude(int dialect, char *buf, uint64_t capacity)
{
    struct tenon_printer_ out;
    const char *p = tenon_print_words_(dialect), *end;
    out.buf = buf, out.capacity = capacity, out.n = 0;
    for (; *p != 0; p = end) { /* line by line: each is short */
        end = strchr(p, '\n') + 1;
        tenon_put_(&out, "%.*s", (int)(end - p), p);
    }
    tenon_put_(&out, "TENON_FN TENON_U tenon_f16(TENON_U h)\n{\n"
                     "    TENON_U e = (h >> 10) & 31u, m = h & 1023u, s = (h & 0x8000u) << 16;\n"
                     "    if (e == 31u)\n        return s | 0x7f800000u | (m << 13);\n"
                     "    if (e == 0u)\n        return s | TENON_BITS(TENON_MUL(TENON_I2F(m), TENON_FLOAT(0x33800000u)));\n"
                     "    return s | ((e + 112u) << 23) | (m << 13);\n}\n");
    tenon_put_(&out, "TENON_FN TENON_U tenon_e4m3(TENON_U v)\n{\n"
                     "    TENON_U e = (v >> 3) & 15u, m = v & 7u, s = (v & 128u) << 24;\n"
                     "    if ((v & 127u) == 127u)\n        return s | 0x7fc00000u;\n"
                     "    if (e == 0u)\n        return s | TENON_BITS(TENON_MUL(TENON_I2F(m), TENON_FLOAT(0x3b000000u)));\n"
                     "    return s | ((e + 120u) << 23) | (m << 20);\n}\n");
    tenon_put_(&out, "TENON_FN TENON_U tenon_e8m0(TENON_U e)\n{\n"
                     "    return e == 255u ? 0x7fc00000u : e == 0u ? 0x00400000u : e << 23;\n}\n");
    tenon_put_(&out, "TENON_FN TENON_U tenon_sext(TENON_U a, TENON_U top)\n{\n"
                     "    return ((a & (top | (top - 1u))) ^ top) - top;\n}\n");
    return out.n;
}

static inline void tenon_print_table_(struct tenon_printer_ *out, const struct tenon_table *t, int dialect, const char *name,
                                      uint32_t number)
{
    uint32_t n = 1u << t->log2_size, k;
    tenon_put_(out, "TENON_TABLE %s_t%u[%u] = %s", name, (unsigned)number, (unsigned)n,
               dialect == TENON_PRINT_GLSL ? "uint[](" : "{");
    for (k = 0; k < n; k++)
        tenon_put_(out, "%s%s0x%xu", k > 0 ? "," : "", k % 12 == 0 ? "\n    " : " ", (unsigned)t->values[k]);
    tenon_put_(out, "%s;\n", dialect == TENON_PRINT_GLSL ? ")" : "}");
}

/* Bits and bytes of one plane. */
static inline void tenon_print_plane_(struct tenon_printer_ *out, int dialect, const char *name, uint32_t n)
{
    const char *at = dialect == TENON_PRINT_GLSL ? "tenon_byte_" : "";
    char byte[64];
    if (dialect == TENON_PRINT_GLSL)
        (void)snprintf(byte, sizeof byte, "%s%u(p + at)", at, (unsigned)n);
    else
        (void)snprintf(byte, sizeof byte, "(TENON_U)p[at]");
    tenon_put_(out, "TENON_FN TENON_U %s_byte%u(TENON_PLANE p, TENON_U at)\n{\n    return %s;\n}\n", name, (unsigned)n, byte);
    tenon_put_(out, "TENON_FN TENON_U %s_bits%u(TENON_PLANE p, TENON_U at, TENON_U width)\n{\n", name, (unsigned)n);
    tenon_put_(out, "    TENON_U first = at >> 3, got = 8u - (at & 7u), v = %s_byte%u(p, first) >> (at & 7u);\n", name,
               (unsigned)n);
    tenon_put_(out, "    for (; got < width; got += 8u) {\n        first++;\n        v |= %s_byte%u(p, first) << got;\n    }\n",
               name, (unsigned)n);
    tenon_put_(out, "    return v & (0xffffffffu >> (32u - width));\n}\n");
}

/* Instruction k as one line; the registers' values so far are v0 .. v31. */
static inline void tenon_print_insn_(struct tenon_printer_ *out, const struct tenon_insn *p, const char *name)
{
    unsigned d = p->dst, a = p->a, b = p->b, c = p->c, n = p->plane, imm = p->imm;
    tenon_put_(out, "    v%u = ", d);
    switch (p->op) {
    case TENON_OP_CONST: tenon_put_(out, "0x%xu", imm); break;
    case TENON_OP_LDBITS: tenon_put_(out, "%s_bits%u(p%u, v%u + %uu, %uu)", name, n, n, a, imm, p->width); break;
    case TENON_OP_LDF: {
        static const char *const wrap[] = {"", "tenon_f16(", "(", "(", "tenon_e4m3(", "tenon_e8m0("};
        static const uint8_t bits[] = {0, 16, 16, 32, 8, 8};
        tenon_put_(out, "%s%s_bits%u(p%u, (v%u + %uu) * 8u, %uu))%s", wrap[p->width], name, n, n, a, imm, bits[p->width],
                   p->width == TENON_F_BF16 ? " << 16" : "");
        break;
    }
    case TENON_OP_AND: tenon_put_(out, "v%u & v%u", a, b); break;
    case TENON_OP_OR: tenon_put_(out, "v%u | v%u", a, b); break;
    case TENON_OP_XOR: tenon_put_(out, "v%u ^ v%u", a, b); break;
    case TENON_OP_SHL: tenon_put_(out, "v%u << (v%u & 31u)", a, b); break;
    case TENON_OP_SHR: tenon_put_(out, "v%u >> (v%u & 31u)", a, b); break;
    case TENON_OP_ADD: tenon_put_(out, "v%u + v%u", a, b); break;
    case TENON_OP_MUL: tenon_put_(out, "v%u * v%u", a, b); break;
    case TENON_OP_SEXT: tenon_put_(out, "tenon_sext(v%u, 0x%xu)", a, 1u << (p->width - 1)); break;
    case TENON_OP_I2F: tenon_put_(out, "TENON_BITS(TENON_I2F(v%u))", a); break;
    case TENON_OP_F16F: tenon_put_(out, "tenon_f16(v%u & 0xffffu)", a); break;
    case TENON_OP_FMUL: tenon_put_(out, "TENON_BITS(TENON_MUL(TENON_FLOAT(v%u), TENON_FLOAT(v%u)))", a, b); break;
    case TENON_OP_FADD: tenon_put_(out, "TENON_BITS(TENON_ADD(TENON_FLOAT(v%u), TENON_FLOAT(v%u)))", a, b); break;
    case TENON_OP_FMA:
        tenon_put_(out, "TENON_BITS(TENON_FMA(TENON_FLOAT(v%u), TENON_FLOAT(v%u), TENON_FLOAT(v%u)))", a, b, c);
        break;
    case TENON_OP_TBL: tenon_put_(out, "%s_t%u[v%u & %s_t%u_MASK]", name, n, a, name, n); break;
    default: tenon_put_(out, "v%u != 0u ? v%u : v%u", a, b, c); break;
    }
    tenon_put_(out, ";\n");
}

/* The decoder of an encoding under `name`, an identifier of at most 40 bytes. Returns the bytes of the text (without a NUL);
 * writes at most `capacity`. */
static inline uint64_t tenon_print_decoder(const struct tenon_encoding *e, int dialect, const char *name, char *buf,
                                           uint64_t capacity)
{
    struct tenon_printer_ out;
    uint32_t k, used = 1;
    out.buf = buf, out.capacity = capacity, out.n = 0;
    for (k = 0; k < e->n_tables; k++) {
        tenon_print_table_(&out, &e->tables[k], dialect, name, k);
        tenon_put_(&out, "#define %s_t%u_MASK 0x%xu\n", name, (unsigned)k, (1u << e->tables[k].log2_size) - 1);
    }
    for (k = 0; k < e->n_planes; k++)
        tenon_print_plane_(&out, dialect, name, k);
    tenon_put_(&out, "TENON_FN float %s(", name);
    for (k = 0; k < e->n_planes; k++)
        tenon_put_(&out, "TENON_PLANE p%u, ", (unsigned)k);
    tenon_put_(&out, "TENON_U i)\n{\n    TENON_U v0 = i");
    for (k = 0; k < e->n_insns; k++)
        if ((used >> e->program[k].dst & 1u) == 0) {
            used |= 1u << e->program[k].dst;
            tenon_put_(&out, ", v%u", e->program[k].dst);
        }
    tenon_put_(&out, dialect == TENON_PRINT_GLSL ? ";\n" : ";\n    (void)v0;\n"); /* of tiles of one element nobody asks which */
    for (k = 0; k < e->n_insns; k++)
        tenon_print_insn_(&out, &e->program[k], name);
    tenon_put_(&out, "    return TENON_FLOAT(v%u);\n}\n", (unsigned)e->result);
    return out.n;
}

#ifdef __cplusplus
}
#endif
#endif
