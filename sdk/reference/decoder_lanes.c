/* decoder_lanes.c - runs the steps of a decoder over LANES elements: one plain loop per step, which the compiler turns into
 * vectors. Compiled once per instruction level under the name LANES_RUN; all levels give the same bits. No state, no
 * memory but the stack: any thread. Contract: decoder.h. */
#include "decoder.h"
#include "program.h"

#include <math.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifndef LANES_RUN
#define LANES_RUN tn_ref_lanes_plain
#endif

/* dst may be one of the operands: lane j depends on lanes j only. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* not at -O0, nor under sanitizers: no reason to fail the build */
#define NO_OVERLAP _Pragma("clang loop vectorize(assume_safety)")
#else
#define NO_OVERLAP _Pragma("GCC ivdep")
#endif
#define EACH(expression)                  \
    do {                                  \
        NO_OVERLAP                        \
        for (uint32_t j = 0; j < n; j++)  \
            dst[j] = (expression);        \
    } while (0)

static inline float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Without a branch: as a float whose exponent is 112 too small, denormal or not. */
static inline uint32_t from_f16(uint32_t h)
{
    uint32_t magnitude = bits_of(float_of((h & 0x7fffu) << 13) * 0x1p112f);
    uint32_t special = (h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0;
    return (h & 0x8000u) << 16 | magnitude | special;
}

/* The same way; of its largest code, NaN, there is one for each sign. */
static inline uint32_t from_e4m3(uint32_t h)
{
    uint32_t magnitude = bits_of(float_of((h & 0x7fu) << 20) * 0x1p120f);
    return (h & 0x80u) << 24 | ((h & 0x7fu) == 0x7fu ? 0x7fc00000u : magnitude);
}

static inline uint32_t from_e8m0(uint32_t e)
{
    return e == 255 ? 0x7fc00000u : e == 0 ? 0x00400000u : e << 23;
}

static inline uint32_t load16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint32_t mask_of(uint32_t width)
{
    return 0xffffffffu >> (32 - width);
}

/* ---- loads: p is the first tile of the plane ---------------------------------------------------------------- */

/* RUN bytes as numbers. */
static inline void widen(const uint8_t *restrict p, uint32_t shift, uint32_t mask, uint32_t *restrict dst)
{
    for (uint32_t j = 0; j < RUN; j++)
        dst[j] = (uint32_t)p[j] >> shift & mask;
}

static void load_bytes(const uint8_t *p, const uint32_t *offset, const uint32_t *shift, uint32_t width, uint32_t n, uint32_t *dst)
{
    uint32_t mask = mask_of(width), k = 0;
    for (; (k + 1) * RUN <= n; k++)
        widen(p + offset[k], shift[k], mask, dst + k * RUN);
    for (uint32_t j = 0; k * RUN + j < n; j++)
        dst[k * RUN + j] = (uint32_t)p[offset[k] + j] >> shift[k] & mask;
}

static void load_window(const uint8_t *p, const uint32_t *offset, const uint32_t *shift, uint32_t width, uint32_t n, uint32_t *dst)
{
    uint32_t mask = mask_of(width);
    for (uint32_t j = 0; j < n; j++)
        dst[j] = load32(p + offset[j]) >> shift[j] & mask;
}

static void load_slow(const uint8_t *p, const uint32_t *offset, const uint32_t *shift, uint32_t width, uint32_t n, uint32_t *dst)
{
    for (uint32_t j = 0; j < n; j++) {
        uint64_t word = 0;
        for (uint32_t k = 0; 8 * k < shift[j] + width; k++)
            word |= (uint64_t)p[offset[j] + k] << 8 * k;
        dst[j] = (uint32_t)(word >> shift[j]) & mask_of(width);
    }
}

/* Indexes that cannot wrap: else these would be no vectors. */
static void load_consecutive(uint32_t format, const uint8_t *p, uint32_t n, uint32_t *dst)
{
    switch (format) {
    case TENON_F_F16: EACH(from_f16(load16(p + 2 * (size_t)j))); break;
    case TENON_F_BF16: EACH(load16(p + 2 * (size_t)j) << 16); break;
    case TENON_F_F32: EACH(load32(p + 4 * (size_t)j)); break;
    case TENON_F_E4M3: EACH(from_e4m3(p[j])); break;
    default: EACH(from_e8m0(p[j])); break;
    }
}

/* Runs that follow one another are taken together: long loops are what makes vectors. */
static void load_floats(uint32_t format, const uint8_t *p, const uint32_t *offset, uint32_t n, uint32_t *dst)
{
    const uint32_t bytes = RUN * tn_ref_float_bytes(format);
    for (uint32_t k = 0, end; k * RUN < n; k = end) {
        for (end = k + 1; end * RUN < n && offset[end] == offset[end - 1] + bytes;)
            end++;
        load_consecutive(format, p + offset[k], (end * RUN < n ? end * RUN : n) - k * RUN, dst + k * RUN);
    }
}

static void load_float(const struct step *s, const uint8_t *p, const uint32_t *offset, uint32_t n, uint32_t *dst)
{
    switch (s->width) {
    case TENON_F_F16:
        EACH(load16(p + offset[j]));
        EACH(from_f16(dst[j]));
        break;
    case TENON_F_BF16: EACH(load16(p + offset[j]) << 16); break;
    case TENON_F_F32: EACH(load32(p + offset[j])); break;
    case TENON_F_E4M3: EACH(from_e4m3(p[offset[j]])); break;
    default: EACH(from_e8m0(p[offset[j]])); break;
    }
}

/* ---- the rest ----------------------------------------------------------------------------------------------- */

/* dst [n rounded down to `each`], each a constant that divides 1 << shift. */
static inline uint32_t spread_by(uint32_t each, const uint32_t *restrict a, uint32_t shift, uint32_t n, uint32_t *restrict dst)
{
    uint32_t j = 0;
    for (; j + each <= n; j += each) {
        uint32_t v = a[j >> shift];
        for (uint32_t k = 0; k < each; k++)
            dst[j + k] = v;
    }
    return j;
}

static void spread(const uint32_t *a, uint32_t shift, uint32_t n, uint32_t *dst)
{
    uint32_t j = shift >= 4   ? spread_by(16, a, shift, n, dst)
                 : shift == 3 ? spread_by(8, a, shift, n, dst)
                 : shift == 2 ? spread_by(4, a, shift, n, dst)
                              : spread_by(2, a, shift, n, dst);
    for (; j < n; j++)
        dst[j] = a[j >> shift];
}

/* Tables that fit a register need no gather. dst has room for whole vectors. */
static void look_up(const uint32_t *table, uint32_t mask, const uint32_t *a, uint32_t n, uint32_t *dst)
{
#if defined(__AVX512F__)
    if (mask < 16) {
        uint32_t entries[16];
        for (uint32_t k = 0; k < 16; k++)
            entries[k] = table[k & mask];
        __m512i t = _mm512_loadu_si512(entries);
        for (uint32_t j = 0; j < n; j += 16)
            _mm512_storeu_si512(dst + j, _mm512_permutexvar_epi32(_mm512_loadu_si512(a + j), t));
        return;
    }
#elif defined(__AVX2__)
    if (mask < 16) {
        uint32_t entries[16];
        for (uint32_t k = 0; k < 16; k++)
            entries[k] = table[k & mask];
        __m256i low = _mm256_loadu_si256((const void *)entries), high = _mm256_loadu_si256((const void *)(entries + 8));
        for (uint32_t j = 0; j < n; j += 8) {
            __m256i at = _mm256_loadu_si256((const void *)(a + j)), upper = _mm256_slli_epi32(at, 28); /* bit 3 as a sign */
            __m256 v = _mm256_blendv_ps(_mm256_castsi256_ps(_mm256_permutevar8x32_epi32(low, at)),
                                        _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(high, at)), _mm256_castsi256_ps(upper));
            _mm256_storeu_si256((void *)(dst + j), _mm256_castps_si256(v));
        }
        return;
    }
#endif
    EACH(table[a[j] & mask]);
}

static void compute(const struct step *s, const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t n, uint32_t *dst)
{
    uint32_t top = s->width > 0 ? 1u << (s->width - 1) : 0, mask = top | (top - 1);
    switch (s->op) {
    case TENON_OP_AND: EACH(a[j] & b[j]); break;
    case TENON_OP_OR: EACH(a[j] | b[j]); break;
    case TENON_OP_XOR: EACH(a[j] ^ b[j]); break;
    case TENON_OP_SHL: EACH(a[j] << (b[j] & 31)); break;
    case TENON_OP_SHR: EACH(a[j] >> (b[j] & 31)); break;
    case TENON_OP_ADD: EACH(a[j] + b[j]); break;
    case TENON_OP_MUL: EACH(a[j] * b[j]); break;
    case TENON_OP_SEXT: EACH(((a[j] & mask) ^ top) - top); break;
    case TENON_OP_I2F: EACH(bits_of((float)(int32_t)a[j])); break;
    case TENON_OP_F16F: EACH(from_f16(a[j])); break;
    case TENON_OP_FMUL: EACH(bits_of(float_of(a[j]) * float_of(b[j]))); break;
    case TENON_OP_FADD: EACH(bits_of(float_of(a[j]) + float_of(b[j]))); break;
    case TENON_OP_FMA: EACH(bits_of(fmaf(float_of(a[j]), float_of(b[j]), float_of(c[j])))); break;
    case TENON_OP_TBL: look_up(s->table, s->mask, a, n, dst); break;
    case TENON_OP_SEL: EACH(a[j] != 0 ? b[j] : c[j]); break;
    default: break; /* CONST depends on i only */
    }
}

static const uint32_t *source(const struct lanes *l, uint32_t phase, uint32_t (*buffers)[LANES])
{
    return l->fixed != NULL ? l->fixed + (uint64_t)phase * l->stride : buffers[l->buffer];
}

void LANES_RUN(const struct tenon_ref_decoder *d, const uint8_t *const *tiles, uint32_t phase, uint32_t n, float *y)
{
    uint32_t buffers[BUFFERS][LANES] __attribute__((aligned(64)));
    for (const struct step *s = d->steps; s < d->steps + d->n_steps; s++) {
        uint32_t lanes = (n + (1u << s->log2) - 1) >> s->log2, *dst = buffers[s->dst];
        const uint32_t *a = source(&s->a, phase, buffers), *b = source(&s->b, phase, buffers);
        switch (s->op) {
        case STEP_SPREAD: spread(a, s->width, lanes, dst); break;
        case STEP_BYTES: load_bytes(tiles[s->plane], a, b, s->width, lanes, dst); break;
        case STEP_WINDOW: load_window(tiles[s->plane], a, b, s->width, lanes, dst); break;
        case STEP_SLOW: load_slow(tiles[s->plane], a, b, s->width, lanes, dst); break;
        case STEP_FLOATS: load_floats(s->width, tiles[s->plane], a, lanes, dst); break;
        case STEP_FLOAT: load_float(s, tiles[s->plane], a, lanes, dst); break;
        default: compute(s, a, b, source(&s->c, phase, buffers), lanes, dst); break;
        }
    }
    const uint32_t *result = source(&d->result, phase, buffers);
    if (d->result_log2 != 0) {
        spread(result, d->result_log2, n, buffers[BUFFERS - 1]);
        result = buffers[BUFFERS - 1];
    }
    memcpy(y, result, n * sizeof *y);
}
