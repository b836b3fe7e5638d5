/* unpack.h - weights of LANES rows from the file's blocks into a panel: one function per encoding, for every vector level.
 *
 * A panel is what the micro-kernels eat, 16 rows by up to PANEL_COLS columns:
 *     q      [block of 32][group of 4 columns][16 rows][4 columns] bytes, unsigned and offset (Q8_0: see Q8_BIAS)
 *     scale  [block of 32, or of 16 for Q6_K][16 rows] f32
 *     min    [block of 32][16 rows] f32, only where the format has minimums
 * Blocks are read as 16-byte pieces of LANES rows and transposed in registers, so a lane is a row from the start. No load
 * leaves the block it is for: the last block may end where the mapping ends.
 * Include after simd_*.h. A new encoding: one function here, one line in unpack_panel(). */
#ifndef TENON_CPU_UNPACK_H
#define TENON_CPU_UNPACK_H

#include "kernels.h"

#define PANEL_COLS 1024 /* a multiple of every block_cols; 22 KiB of panel stay in L1 or near */

struct panel {
    uint8_t *q;   /* [PANEL_COLS / 32][8][16][4] */
    float *scale; /* [PANEL_COLS / 16][16] */
    float *min;   /* [PANEL_COLS / 32][16] */
};

/* scratch (CPU_MATMUL_SCRATCH bytes) as a panel. */
INLINE struct panel panel_at(void *scratch)
{
    uint8_t *p = scratch;
    return (struct panel){ p, (float *)(p + 16 * PANEL_COLS), (float *)(p + 20 * PANEL_COLS) };
}
_Static_assert(22 * PANEL_COLS <= CPU_MATMUL_SCRATCH, "the panel must fit the scratch that callers give");

/* Store columns 4 * group.. of block b. */
INLINE void put(const struct panel *w, int64_t b, int group, vi x)
{
    vi_store(w->q + (b * 8 + group) * 64, x);
}

INLINE vi low_nibbles(vi x)
{
    return vi_and(x, vi_all(0x0f0f0f0f));
}

INLINE vi high_nibbles(vi x)
{
    return vi_and(vi_shr(x, 4), vi_all(0x0f0f0f0f));
}

/* First dword of each row's block, both its halves as floats: d and m, d and dmin. */
INLINE void load_halves(const uint8_t *p, int64_t stride, vf *ret_low, vf *ret_high)
{
    vi v[4];
    load_columns(p, stride, v);
    vf_of_halves(v[0], ret_low, ret_high);
}

INLINE void unpack_q4_0(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    vi v[4];
    vf d, unused;
    load_halves(p, stride, &d, &unused);
    load_columns(p + 2, stride, v);
    for (int i = 0; i < 4; i++) {
        put(w, b, i, low_nibbles(v[i]));
        put(w, b, 4 + i, high_nibbles(v[i]));
    }
    vf_store(w->scale + b * 16, d);
}

INLINE void unpack_q4_1(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    vi v[4];
    vf d, m;
    load_halves(p, stride, &d, &m);
    load_columns(p + 4, stride, v);
    for (int i = 0; i < 4; i++) {
        put(w, b, i, low_nibbles(v[i]));
        put(w, b, 4 + i, high_nibbles(v[i]));
    }
    vf_store(w->scale + b * 16, d);
    vf_store(w->min + b * 16, m);
}

/* Bits 4 group .. 4 group + 3 of each dword, each as 0x10 in a byte of its own. */
INLINE vi fifth_bits(vi high, int group)
{
    vi in_upper = (group & 1) != 0 ? high : vi_shl(high, 4); /* the four bits to the upper half of byte group / 2 */
    vi one_each = vi_and(vi_spread_byte(in_upper, group >> 1), vi_all(0x80402010));
    return vi_min_u8(one_each, vi_all(0x10101010)); /* whichever bit stood there: 0x10 */
}

INLINE void unpack_q5_0(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    vi head[4], v[4], high;
    vf d, unused;
    load_columns(p, stride, head); /* d, qh low; qh high, qs.. */
    vf_of_halves(head[0], &d, &unused);
    high = vi_or(vi_shr(head[0], 16), vi_shl(head[1], 16));
    load_columns(p + 6, stride, v);
    for (int i = 0; i < 4; i++) {
        put(w, b, i, vi_or(low_nibbles(v[i]), fifth_bits(high, i)));
        put(w, b, 4 + i, vi_or(high_nibbles(v[i]), fifth_bits(high, 4 + i)));
    }
    vf_store(w->scale + b * 16, d);
}

INLINE void unpack_q8_0(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    vi v[4];
    vf d, unused;
    load_halves(p, stride, &d, &unused);
    for (int half = 0; half < 2; half++) {
        load_columns(p + 2 + 16 * half, stride, v);
        for (int i = 0; i < 4; i++)
            put(w, b, 4 * half + i, Q8_BIAS(v[i]));
    }
    vf_store(w->scale + b * 16, d);
}

/* Scales and minimums of the eight sub-blocks of Q4_K and Q5_K: head = (d, dmin), then the 12 packed bytes. */
INLINE void unpack_k_scales(const vi head[4], const struct panel *w, int64_t b)
{
    const vi six = vi_all(0x3f3f3f3f), two = vi_all(0x03030303);
    vi scale[2] = { vi_and(head[1], six), vi_or(low_nibbles(head[3]), vi_shl(vi_and(vi_shr(head[1], 6), two), 4)) };
    vi min[2] = { vi_and(head[2], six), vi_or(high_nibbles(head[3]), vi_shl(vi_and(vi_shr(head[2], 6), two), 4)) };
    vf d, dmin;
    vf_of_halves(head[0], &d, &dmin);
    dmin = vf_sub(vf_zero(), dmin);
    for (int half = 0; half < 2; half++)
        for (int j = 0; j < 4; j++) {
            vf_store(w->scale + (b + 4 * half + j) * 16, vf_mul(d, vf_of_int(vi_and(scale[half], vi_all(0xff)))));
            vf_store(w->min + (b + 4 * half + j) * 16, vf_mul(dmin, vf_of_int(vi_and(min[half], vi_all(0xff)))));
            scale[half] = vi_shr(scale[half], 8);
            min[half] = vi_shr(min[half], 8);
        }
}

INLINE void unpack_q4_k(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    vi head[4], v[4];
    load_columns(p, stride, head);
    unpack_k_scales(head, w, b);
    for (int piece = 0; piece < 8; piece++) { /* 16 bytes: a half of two sub-blocks */
        load_columns(p + 16 + 16 * piece, stride, v);
        for (int i = 0; i < 4; i++) {
            put(w, b + (piece & ~1), (piece & 1) * 4 + i, low_nibbles(v[i]));
            put(w, b + (piece | 1), (piece & 1) * 4 + i, high_nibbles(v[i]));
        }
    }
}

/* Bit j of every byte, as 0x10. */
#define FIFTH_BIT(x, j) vi_and((j) < 4 ? vi_shl(x, 4 - (j)) : vi_shr(x, (j) - 4), vi_all(0x10101010))

INLINE void unpack_q5_k(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    vi head[4], high[2][4], v[4];
    load_columns(p, stride, head);
    unpack_k_scales(head, w, b);
    load_columns(p + 16, stride, high[0]);
    load_columns(p + 32, stride, high[1]);
    for (int piece = 0; piece < 8; piece++) {
        load_columns(p + 48 + 16 * piece, stride, v);
        for (int i = 0; i < 4; i++) {
            vi bits = high[piece & 1][i];
            put(w, b + (piece & ~1), (piece & 1) * 4 + i, vi_or(low_nibbles(v[i]), FIFTH_BIT(bits, 0)));
            put(w, b + (piece | 1), (piece & 1) * 4 + i, vi_or(high_nibbles(v[i]), FIFTH_BIT(bits, 1)));
            high[piece & 1][i] = vi_shr(bits, 2); /* the next pair's bits come to the bottom; strays are masked */
        }
    }
}

INLINE void unpack_q6_scales(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    vi v[4], tail[4];
    vf d, unused;
    load_columns(p + 192, stride, v);
    load_columns(p + 194, stride, tail); /* ends with the block; its last half is d */
    vf_of_halves(tail[3], &unused, &d);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            vf_store(w->scale + (2 * b + 4 * i + j) * 16, vf_mul(d, vf_of_int(vi_sar(vi_shl(v[i], 24), 24))));
            v[i] = vi_shr(v[i], 8);
        }
}

INLINE void unpack_q6_k(const uint8_t *p, int64_t stride, const struct panel *w, int64_t b)
{
    const vi top = vi_all(0x30303030);
    unpack_q6_scales(p, stride, w, b);
    for (int piece = 0; piece < 4; piece++) { /* 16 bytes of each: first or second half of four blocks */
        int64_t at = b + 4 * (piece >> 1);
        int group = (piece & 1) * 4;
        vi low[4], mid[4], high[4];
        load_columns(p + 64 * (piece >> 1) + 16 * (piece & 1), stride, low);
        load_columns(p + 64 * (piece >> 1) + 32 + 16 * (piece & 1), stride, mid);
        load_columns(p + 128 + 16 * piece, stride, high);
        for (int i = 0; i < 4; i++) {
            put(w, at, group + i, vi_or(low_nibbles(low[i]), vi_and(vi_shl(high[i], 4), top)));
            put(w, at + 1, group + i, vi_or(low_nibbles(mid[i]), vi_and(vi_shl(high[i], 2), top)));
            put(w, at + 2, group + i, vi_or(high_nibbles(low[i]), vi_and(high[i], top)));
            put(w, at + 3, group + i, vi_or(high_nibbles(mid[i]), vi_and(vi_shr(high[i], 2), top)));
        }
    }
}

/* Have `bytes` from p on in cache soon: the next panel's share, in the order of the file. */
INLINE void prefetch(const uint8_t *p, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)(p + i), _MM_HINT_T0);
}

/* LANES rows x `blocks` of the format's own blocks (bytes each, per_block x 32 columns). next: see prefetch(), or NULL. */
#define UNPACK_LOOP(name, bytes, per_block)                                         \
    static void name##_rows(const uint8_t *p, int64_t stride, int64_t blocks, const struct panel *w, const uint8_t *next) \
    {                                                                               \
        for (int64_t i = 0; i < blocks; i++) {                                      \
            if (next != NULL)                                                       \
                prefetch(next + i * LANES * (bytes), LANES * (bytes));              \
            name(p + i * (bytes), stride, w, i * (per_block));                      \
        }                                                                           \
    }
UNPACK_LOOP(unpack_q4_0, 18, 1)
UNPACK_LOOP(unpack_q4_1, 20, 1)
UNPACK_LOOP(unpack_q5_0, 22, 1)
UNPACK_LOOP(unpack_q8_0, 34, 1)
UNPACK_LOOP(unpack_q4_k, 144, 8)
UNPACK_LOOP(unpack_q5_k, 176, 8)
UNPACK_LOOP(unpack_q6_k, 210, 8)

static void unpack_lanes(enum cpu_format format, const uint8_t *p, int64_t stride, int64_t blocks, const struct panel *w,
                         const uint8_t *next)
{
    switch (format) {
    case CPU_Q4_0: unpack_q4_0_rows(p, stride, blocks, w, next); break;
    case CPU_Q4_1: unpack_q4_1_rows(p, stride, blocks, w, next); break;
    case CPU_Q5_0: unpack_q5_0_rows(p, stride, blocks, w, next); break;
    case CPU_Q8_0: unpack_q8_0_rows(p, stride, blocks, w, next); break;
    case CPU_Q4_K: unpack_q4_k_rows(p, stride, blocks, w, next); break;
    case CPU_Q5_K: unpack_q5_k_rows(p, stride, blocks, w, next); break;
    case CPU_Q6_K: unpack_q6_k_rows(p, stride, blocks, w, next); break;
    default: break; /* floats have no panel */
    }
}

/* Rows n .. n + 15 of w, columns k .. k + cols, into the panel; all 16 must exist. k and cols are multiples of block_cols.
 * With `ahead`, the 16 rows behind them are fetched meanwhile, as far as the matrix goes. */
static void unpack_panel(const struct cpu_matrix *m, int64_t n, int64_t k, int64_t cols, const struct panel *w, bool ahead)
{
    const struct cpu_encoding *e = cpu_encoding_at(m->format);
    int64_t blocks = cols / e->block_cols, first = k / e->block_cols;
    for (int lane = 0; lane < 16; lane += LANES) {
        struct panel part = { w->q + 4 * lane, w->scale + lane, w->min + lane };
        const uint8_t *p = m->data + (n + lane) * m->row_bytes;
        const uint8_t *next = ahead && n + 32 <= m->rows ? p + 16 * m->row_bytes + first * LANES * e->block_bytes : NULL;
        unpack_lanes(m->format, p + first * e->block_bytes, m->row_bytes, blocks, &part, next);
    }
}

#endif
