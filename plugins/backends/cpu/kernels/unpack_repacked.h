/* unpack_repacked.h - the blocks that IQ1, IQ2 and IQ3 are packed in (repack.h): masks, and one shuffle for four columns.
 * Included by unpack.h, which tells how. */
#ifndef TENON_CPU_UNPACK_REPACKED_H
#define TENON_CPU_UNPACK_REPACKED_H

/* ---- IQ2: 8, 25 and 43 with signs, 43 above their values, by codes of three bits */

static const struct form ABOVE_43 = { 43, 7, false };

/* What code c stands for. */
#define IQ2_ABOVE(c) (int8_t)(((c) & 3) == 3 ? 0 : 43 + (((c) & 4) != 0 ? -1 : 1) * (((c) & 3) == 0 ? 8 : ((c) & 3) == 1 ? 25 : 43))
#define EIGHT_OF(F, i) F(i), F((i) + 1), F((i) + 2), F((i) + 3), F((i) + 4), F((i) + 5), F((i) + 6), F((i) + 7)

#ifdef LOOKS_AT_SIX_BITS
/* By six bits, of which the code is the lower three, the upper three, or the upper two and, above it, one of two below them. */
#define IQ2_LOW(i) IQ2_ABOVE((i) & 7)
#define IQ2_HIGH(i) IQ2_ABOVE((i) >> 3)
#define IQ2_SIXTH(i) IQ2_ABOVE((i) >> 4 | ((i) & 4))
#define IQ2_SEVENTH(i) IQ2_ABOVE((i) >> 4 | ((i) >> 1 & 4))
#define SIX_OF(F) { EIGHT_OF(F, 0), EIGHT_OF(F, 8), EIGHT_OF(F, 16), EIGHT_OF(F, 24), EIGHT_OF(F, 32), EIGHT_OF(F, 40), EIGHT_OF(F, 48), \
                    EIGHT_OF(F, 56) }
static const int8_t iq2_six[4][64] = { SIX_OF(IQ2_LOW), SIX_OF(IQ2_HIGH), SIX_OF(IQ2_SIXTH), SIX_OF(IQ2_SEVENTH) };

/* The eight quads of three dwords; no mask is needed. */
INLINE void iq2_quads(const vi v[3], vi ret_quad[8])
{
    const vi signs = vi_shr(v[2], 2);
    UNROLLED
    for (int i = 0; i < 6; i++)
        ret_quad[i] = vi_lookup_six(iq2_six[i & 1], v[i >> 1]);
    UNROLLED
    for (int i = 0; i < 2; i++)
        ret_quad[6 + i] = vi_lookup_six(iq2_six[2 + i], vi_shr(vi_choose(vi_all(0xc0c0c0c0), v[i], signs), 2));
}
#else
static const int8_t iq2_above[16] = { EIGHT_OF(IQ2_ABOVE, 0) };

INLINE void iq2_quads(const vi v[3], vi ret_quad[8])
{
    UNROLLED
    for (int i = 0; i < 6; i++)
        ret_quad[i] = vi_lookup(iq2_above, vi_and(i % 2 == 0 ? v[i >> 1] : vi_shr(v[i >> 1], 3), vi_all(0x07070707)));
    UNROLLED
    for (int i = 0; i < 2; i++) {
        const vi level = vi_and(vi_shr(v[i], 6), vi_all(0x03030303)), sign = vi_and(vi_shr(v[2], 4 + i), vi_all(0x04040404));
        ret_quad[6 + i] = vi_lookup(iq2_above, vi_or(level, sign));
    }
}
#endif

INLINE void unpack_packed_iq2_by_32(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[3], quad[8], scales = dword_at(r, 4);
    vf d = vf_mul(low_half_at(r, 0), vf_all(0.125f));
    for (int j = 0, end = turns(8); j < end; j++) {
        three_dwords(r, 8 + 12 * j, v);
        iq2_quads(v, quad);
        UNROLLED
        for (int i = 0; i < 8; i++)
            put(s, b + j, 0, i, quad[i], ABOVE_43);
        done(s, b + j, 0, odd_scale(d, scales, 15), ABOVE_43);
        scales = vi_shr(scales, 4);
    }
}

INLINE void unpack_packed_iq2_by_16(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[3], quad[8];
    vf d = vf_mul(low_half_at(r, 0), vf_all(0.125f));
    for (int side = 0, end = turns(2); side < end; side++) {
        vi scales = dword_at(r, 4 + 4 * side);
        for (int j = 4 * side, last = j + turns(4); j < last; j++) {
            three_dwords(r, 12 + 12 * j, v);
            iq2_quads(v, quad);
            UNROLLED
            for (int i = 0; i < 8; i++)
                put(s, b + j, i >> 2, i, quad[i], ABOVE_43);
            done_16(s, b + j, 0, odd_scale(d, scales, 15), odd_scale(d, vi_shr(scales, 4), 15), ABOVE_43);
            scales = vi_shr(scales, 8);
        }
    }
}

/* ---- IQ3: nibbles, of XXS of levels and signs */

static const int8_t iq3xxs_above[16] = { 66, 74, 82, 90, 98, 106, 114, 124, 58, 50, 42, 34, 26, 18, 10, 0 }; /* by 62 */

INLINE void unpack_packed_iq3_xxs(const struct rows *r, struct sink *s, int64_t b)
{
    const struct form f = { 62, 7, false };
    vi v[4], scales = dword_at(r, 4);
    vf d = vf_mul(low_half_at(r, 0), vf_all(0.25f));
    for (int j = 0, end = turns(8); j < end; j++) {
        columns(r, 8 + 16 * j, v);
        UNROLLED
        for (int i = 0; i < 4; i++) {
            put(s, b + j, 0, 2 * i, vi_lookup_low(iq3xxs_above, v[i]), f);
            put(s, b + j, 0, 2 * i + 1, vi_lookup_low(iq3xxs_above, vi_shr(v[i], 4)), f);
        }
        done(s, b + j, 0, odd_scale(d, scales, 15), f);
        scales = vi_shr(scales, 4);
    }
}

INLINE void unpack_packed_iq3_s(const struct rows *r, struct sink *s, int64_t b)
{
    const struct form f = { 15, 5, false };
    vi v[4], scales = dword_at(r, 4);
    vf d = low_half_at(r, 0);
    for (int j = 0, end = turns(8); j < end; j++) {
        columns(r, 8 + 16 * j, v);
        UNROLLED
        for (int i = 0; i < 8; i++)
            put_halves(s, b + j, 0, i, v[i >> 1], 4 * (i & 1), f);
        done(s, b + j, 0, odd_scale(d, scales, 15), f);
        scales = vi_shr(scales, 4);
    }
}

/* ---- IQ1: levels 0 to 2 times 8, and 2 where they are not moved down: 9 above their values */

static const struct form ABOVE_9 = { 9, 5, false };

/* The level that stands `shift` up, times 8. */
#define TIMES_8(x, shift) vi_and((shift) == 0 ? vi_shl(x, 3) : (shift) == 2 ? vi_shl(x, 1) : (shift) == 4 ? vi_shr(x, 1) : vi_shr(x, 3), \
                                 vi_all(0x18181818))

#if defined(IN_PLACE_MOST) || defined(STANDING_MOST)
/* done() of levels l from 0 on that stand for 8 l - 7, or 8 l - 9 where `down` has all bits. */
INLINE void done_moved(struct sink *s, int64_t b, const int slot, vf scale, vi down)
{
    UNROLLED
    for (int i = 0; i < s->tokens; i++) {
        const vi asum = vi_all((uint32_t)s->asum[i][b]), turned = vi_sub(vi_xor(asum, down), down); /* its negative where `down` */
        s->acc[i] = link(s->acc[i], scale, s->d[i] + b, vi_add(vi_shl(vi_sub(total(s, slot, i), asum), 3), turned));
    }
    close_slot(s, slot);
    s->form = ABOVE_9;
}
#endif

INLINE void unpack_packed_iq1_s(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4], rest = dword_at(r, 4);
    vf d = vf_mul(low_half_at(r, 0), vf_all(0.125f));
    for (int two = 0, end = turns(4); two < end; two++) {
        columns_once(r, 8 + 16 * two, v);
        UNROLLED
        for (int k = 0; k < 2; k++) {
            const int64_t at = b + 2 * two + k;
            const vi down = vi_sar(vi_shl(rest, 28), 31);
#if defined(IN_PLACE_MOST) || defined(STANDING_MOST)
            if (s->tokens > 0) { /* which way levels are moved is the same for all columns */
                UNROLLED
                for (int i = 0; i < 8; i++)
                    put_bits(s, at, 0, i, v[i >> 1], 2 * k + 4 * (i & 1), ONE_ABOVE);
                done_moved(s, at, 0, odd_scale(d, rest, 7), down);
                rest = vi_shr(rest, 4);
                continue;
            }
#endif
            const vi up = vi_choose(down, vi_zero(), vi_all(0x02020202));
            UNROLLED
            for (int i = 0; i < 8; i++)
                put(s, at, 0, i, vi_or(TIMES_8(v[i >> 1], 2 * k + 4 * (i & 1)), up), ABOVE_9);
            done(s, at, 0, odd_scale(d, rest, 7), ABOVE_9);
            rest = vi_shr(rest, 4);
        }
    }
}

/* How far up bytes have the levels of a side's sub-block j. */
#define IQ1_M_BIT(j) ((2 * (j) + 2) & 6)

/* Four columns of a side's sub-block j: level l and bit u, 1 where it is not moved down, come together as 4 l + u where they stand. */
INLINE void put_iq1_m(struct sink *s, int64_t b, const int j, const int quad, vi low, vi up)
{
    const int shift = 2 * (j & 1) + (j >> 1);
    const vi x = vi_or(vi_and(low, vi_all(0x0c0c0c0cu << shift)), vi_and(up, vi_all(0x01010101u << shift)));
#ifdef IN_PLACE_MOST
    if (s->tokens > 0) { /* twice as much is meant */
        put_in_place(s, b, quad >> 2, quad, x, 0xffffffffu, shift - 1);
        return;
    }
#endif
    put(s, b, quad >> 2, quad, shift > 0 ? vi_shr(x, shift - 1) : vi_shl(x, 1), ABOVE_9);
}

#ifdef TURNS_BITS
/* done_16() of levels l that stand for 8 l - 9, or, where their eight columns are not moved down, for 8 l - 7; slots have them 1 << up too
 * high. Bits of the directions, turned, choose what 16 activations come to (cpu_act.moved). */
INLINE void done_moved_16(struct sink *s, int64_t b, const int up, vf first, vf second, vi turned, const int n)
{
    const vi which[2] = { vi_shr(turned, 8 * n + 2), vi_shr(turned, 8 * n) };
    UNROLLED
    for (int i = 0; i < s->tokens; i++) {
        vf sum[2];
        UNROLLED
        for (int half = 0; half < 2; half++)
            sum[half] = vf_fma(vf_of_int(total(s, half, i)), vf_all(8.0f / (float)(1 << up)),
                               vf_one_of(s->moved[i] + 8 * b + 4 * half, which[half])); /* exact: below 2^24 */
        s->acc[i] = link_both(s->acc[i], vf_fma(second, sum[1], vf_mul(first, sum[0])), s->d[i] + b);
    }
    close_slot(s, 0);
    close_slot(s, 1);
}

/* For tokens, whose cpu_act.moved is there: levels are multiplied where they lie, and directions are none of the products' business. */
INLINE void unpack_packed_iq1_m(const struct rows *r, struct sink *s, int64_t b)
{
    vi low[2][4];
    const vi ups = dword_at(r, 12);
    vf d = vf_mul(low_half_at(r, 0), vf_all(0.125f));
    for (int side = 0, end = turns(2); side < end; side++) {
        const vi turned = vi_turn_bits(ups, 0x08020401u << 4 * side);
        vi scales = once(dword_at(r, 4 + 4 * side));
        columns(r, 16 + 32 * side, low[0]);
        columns(r, 32 + 32 * side, low[1]);
        UNROLLED
        for (int j = 0; j < 4; j++) {
            UNROLLED
            for (int i = 0; i < 8; i++)
                put_in_place(s, b + 4 * side + j, i >> 2, i, low[i >> 2][i & 3], 0x03030303u << IQ1_M_BIT(j), 0);
            done_moved_16(s, b + 4 * side + j, IQ1_M_BIT(j), odd_scale(d, scales, 7), odd_scale(d, vi_shr(scales, 4), 7), turned, j);
            scales = vi_shr(scales, 8);
        }
    }
}
#else
INLINE void unpack_packed_iq1_m(const struct rows *r, struct sink *s, int64_t b)
{
    vi low[2][4], up[4], ups = dword_at(r, 12);
    vf d = vf_mul(low_half_at(r, 0), vf_all(0.125f));
    for (int side = 0, end = turns(2); side < end; side++) {
        vi scales = dword_at(r, 4 + 4 * side);
        columns(r, 16 + 32 * side, low[0]);
        columns(r, 32 + 32 * side, low[1]);
        UNROLLED
        for (int k = 0; k < 4; k++)
            up[k] = vi_spread_byte(ups, k);
        ups = vi_shr(ups, 4);
        UNROLLED
        for (int j = 0; j < 4; j++) {
            UNROLLED
            for (int i = 0; i < 8; i++) {
                const vi x = low[i >> 2][i & 3];
                put_iq1_m(s, b + 4 * side + j, j, i, j == 2 ? vi_shr(x, 3) : j == 3 ? vi_shl(x, 5) : x, up[i >> 1]);
            }
            done_16(s, b + 4 * side + j, 0, odd_scale(d, scales, 7), odd_scale(d, vi_shr(scales, 4), 7), ABOVE_9);
            scales = vi_shr(scales, 8);
        }
    }
}
#endif

#endif
