/* unpack_codebooks.h - IQ1, IQ2 and IQ3: indexes into codebooks (codebooks.h), gathered by lanes; signs become the fourth bit of a
 * level, and levels signed bytes by one shuffle.
 * Included by unpack.h, which tells how. */
#ifndef TENON_CPU_UNPACK_CODEBOOKS_H
#define TENON_CPU_UNPACK_CODEBOOKS_H

#include "codebooks.h"

INLINE vi byte_of(vi x, const int k) { return vi_and(vi_shr(x, 8 * k), vi_all(255)); }
INLINE vi seventh(vi x, const int k) { return vi_and(vi_shl(x, k), vi_all(127u << 8 * k)); } /* 7 bits from 7 k on, to byte k */

/* Four columns from 4 g on: levels with signs or shifts in bit 3. */
INLINE void put_levels(struct sink *s, int64_t b, const int slot, const int g, vi levels, const int8_t *values)
{
    put(s, b, slot, g, vi_lookup(values, levels), SIGNED);
}

/* Bit 4 g .. of signs at four columns. */
INLINE void put_four(struct sink *s, int64_t b, const int slot, const int g, vi levels, vi signs, const int8_t *values)
{
    put_levels(s, b, slot, g, vi_or(levels, bits_apart(signs, g, 0x08080808)), values);
}

/* Eight columns from 8 k on. */
INLINE void put_eight(struct sink *s, int64_t b, const int slot, const int k, vi entry, vi signs, const int8_t *values)
{
    put_four(s, b, slot, 2 * k, low_nibbles(entry), signs, values);
    put_four(s, b, slot, 2 * k + 1, high_nibbles(entry), signs, values);
}

/* Seven signs in each byte, and the eighth that makes their number even. */
INLINE vi even_signs(vi x)
{
    static const int8_t odd[16] = { 0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0 };
    return vi_or(x, vi_lookup(odd, low_nibbles(vi_xor(x, high_nibbles(x)))));
}

INLINE vi signs_of_28_bits(vi x)
{
    return even_signs(vi_or(vi_or(seventh(x, 0), seventh(x, 1)), vi_or(seventh(x, 2), seventh(x, 3))));
}

/* d times the odd number 2 n + 1, n the lowest bits. */
INLINE vf odd_scale(vf d, vi n, const uint32_t mask) { return vf_mul(d, vf_odd(n, mask)); }

INLINE void unpack_iq2_xxs(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = vf_mul(half_at(r, 0), vf_all(0.125f));
    for (int two = 0; two < 8; two += 2) {
        columns(r, 2 + 8 * two, v);
        for (int j = 0; j < 2; j++) {
            vi signs = signs_of_28_bits(v[2 * j + 1]);
            for (int k = 0; k < 4; k++)
                put_eight(s, b + two + j, 0, k, vi_gather(cpu_iq2xxs_grid, byte_of(v[2 * j], k)), signs, cpu_iq2_values);
            done(s, b + two + j, 0, odd_scale(d, vi_shr(v[2 * j + 1], 28), 15), SIGNED);
        }
    }
}

/* Signs of IQ2_XS: the upper seven of 16 bits. */
INLINE vi signs_above(vi first, vi second)
{
    vi low = vi_or(vi_and(vi_shr(first, 9), vi_all(0x7f)), vi_and(vi_shr(first, 17), vi_all(0x7f00)));
    return even_signs(vi_or(low, vi_or(vi_and(vi_shl(second, 7), vi_all(0x7f0000)), vi_and(vi_shr(second, 1), vi_all(0x7f000000)))));
}

INLINE void unpack_iq2_xs(const struct rows *r, struct sink *s, int64_t b)
{
    const vi nine = vi_all(511);
    vi v[4], tail[4]; /* [2], [3]: scales */
    vf d = vf_mul(half_at(r, 0), vf_all(0.125f));
    columns(r, 58, tail);
    for (int two = 0; two < 8; two += 2) {
        vi scale = two % 4 == 0 ? tail[2 + two / 4] : vi_shr(tail[2 + two / 4], 16);
        columns(r, 2 + 8 * two, v);
        for (int j = 0; j < 2; j++) {
            vi signs = signs_above(v[2 * j], v[2 * j + 1]);
            for (int k = 0; k < 4; k++) {
                vi both = v[2 * j + (k >> 1)];
                put_eight(s, b + two + j, k >> 1, k, vi_gather(cpu_iq2xs_grid, vi_and(k % 2 == 0 ? both : vi_shr(both, 16), nine)), signs,
                          cpu_iq2_values);
            }
            done_16(s, b + two + j, 0, odd_scale(d, scale, 15), odd_scale(d, vi_shr(scale, 4), 15), SIGNED);
            scale = vi_shr(scale, 8);
        }
    }
}

INLINE void unpack_iq2_s(const struct rows *r, struct sink *s, int64_t b)
{
    vi low[4], signs[4], tail[4]; /* tail: high bits, scales */
    vf d = vf_mul(half_at(r, 0), vf_all(0.125f));
    columns(r, 66, tail);
    for (int side = 0; side < 2; side++) {
        vi high = tail[side], scale = tail[2 + side];
        columns(r, 2 + 16 * side, low);
        columns(r, 34 + 16 * side, signs);
        for (int j = 0; j < 4; j++) {
            int64_t at = b + 4 * side + j;
            for (int k = 0; k < 4; k++) {
                vi index = vi_or(byte_of(low[j], k), vi_and(vi_shl(high, 8 - 2 * k), vi_all(0x300)));
                put_eight(s, at, k >> 1, k, vi_gather(cpu_iq2s_grid, index), signs[j], cpu_iq2_values);
            }
            done_16(s, at, 0, odd_scale(d, scale, 15), odd_scale(d, vi_shr(scale, 4), 15), SIGNED);
            high = vi_shr(high, 8);
            scale = vi_shr(scale, 8);
        }
    }
}

INLINE void unpack_iq3_xxs(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4], rest[4]; /* rest: signs and scale */
    vf d = vf_mul(half_at(r, 0), vf_all(0.25f));
    for (int two = 0; two < 8; two += 2) {
        if (two % 4 == 0)
            columns(r, 66 + 4 * two, rest);
        columns(r, 2 + 8 * two, v);
        for (int j = 0; j < 2; j++) {
            vi signs = signs_of_28_bits(rest[two % 4 + j]);
            for (int g = 0; g < 8; g++)
                put_four(s, b + two + j, 0, g, vi_gather(cpu_iq3xxs_grid, byte_of(v[2 * j + (g >> 2)], g & 3)), signs, cpu_iq3xxs_values);
            done(s, b + two + j, 0, odd_scale(d, vi_shr(rest[two % 4 + j], 28), 15), SIGNED);
        }
    }
}

INLINE void unpack_iq3_s(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4], signs[4], highs[4], scale = dword_at(r, 106); /* highs: [0], [1] */
    vf d = half_at(r, 0);
    columns(r, 66, highs);
    for (int side = 0; side < 2; side++) {
        vi high = highs[side];
        columns(r, 74 + 16 * side, signs);
        for (int j = 0; j < 4; j++) {
            int64_t at = b + 4 * side + j;
            if (j % 2 == 0)
                columns(r, 2 + 32 * side + 8 * j, v);
            for (int g = 0; g < 8; g++) {
                vi index = vi_or(byte_of(v[2 * (j & 1) + (g >> 2)], g & 3), vi_and(vi_shl(high, 8 - g), vi_all(0x100)));
                put_four(s, at, 0, g, vi_gather(cpu_iq3s_grid, index), signs[j], cpu_iq3s_values);
            }
            done(s, at, 0, odd_scale(d, scale, 15), SIGNED);
            high = vi_shr(high, 8);
            scale = vi_shr(scale, 4);
        }
    }
}

/* ---- values -1, 0 and 1 that are moved by an eighth; bit 3 of `down` tells which way */

INLINE void put_moved(struct sink *s, int64_t b, const int slot, const int k, vi entry, vi down)
{
    vi all = vi_spread_byte(vi_and(down, vi_all(8)), 0);
    put_levels(s, b, slot, 2 * k, vi_or(low_nibbles(entry), all), cpu_iq1_values);
    put_levels(s, b, slot, 2 * k + 1, vi_or(high_nibbles(entry), all), cpu_iq1_values);
}

/* Three bits from `at` on as bits 8 to 10. */
#define HIGH_3(x, at) vi_and((at) < 8 ? vi_shl(x, (at) < 8 ? 8 - (at) : 0) : vi_shr(x, (at) < 8 ? 0 : (at) - 8), vi_all(0x700))

INLINE void unpack_iq1_s(const struct rows *r, struct sink *s, int64_t b)
{
    vi low[4], rests[4]; /* rests: for each 32 columns 16 bits */
    vf d = vf_mul(half_at(r, 0), vf_all(0.125f));
    columns(r, 34, rests);
    for (int side = 0; side < 2; side++) {
        columns(r, 2 + 16 * side, low);
        for (int j = 0; j < 4; j++) {
            int64_t at = b + 4 * side + j;
            vi rest = rests[2 * side + (j >> 1)];
            rest = j % 2 == 0 ? rest : vi_shr(rest, 16);
            for (int k = 0; k < 4; k++) {
                vi index = vi_or(byte_of(low[j], k), HIGH_3(rest, 3 * k));
                put_moved(s, at, 0, k, vi_gather(cpu_iq1s_grid, index), vi_shr(rest, 12));
            }
            done(s, at, 0, odd_scale(d, vi_shr(rest, 12), 7), SIGNED);
        }
    }
}

/* The four nibbles of the super-block's scale, above those of the sub-blocks. */
INLINE vf iq1_m_scale(vi first, vi second)
{
    vf d, unused;
    vi low = vi_or(vi_and(vi_shr(first, 12), vi_all(0xf)), vi_and(vi_shr(first, 24), vi_all(0xf0)));
    vi high = vi_or(vi_and(vi_shr(second, 4), vi_all(0xf00)), vi_and(vi_shr(second, 16), vi_all(0xf000)));
    vf_of_halves(vi_or(low, high), &d, &unused);
    return vf_mul(d, vf_all(0.125f));
}

INLINE void unpack_iq1_m(const struct rows *r, struct sink *s, int64_t b)
{
    vi low[4], rests[4], tail[4]; /* tail: [2], [3] scales */
    columns(r, 32, rests);
    columns(r, 40, tail);
    vf d = iq1_m_scale(tail[2], tail[3]);
    for (int side = 0; side < 2; side++) {
        columns(r, 16 * side, low);
        for (int j = 0; j < 4; j++) {
            int64_t at = b + 4 * side + j;
            vi rest = rests[2 * side + (j >> 1)], scale = tail[2 + side];
            rest = j % 2 == 0 ? rest : vi_shr(rest, 16);
            scale = vi_shr(scale, 16 * (j >> 1) + 6 * (j & 1));
            for (int k = 0; k < 4; k++) {
                vi index = vi_or(byte_of(low[j], k), HIGH_3(rest, 4 * k));
                put_moved(s, at, k >> 1, k, vi_gather(cpu_iq1s_grid, index), vi_shr(rest, 4 * k));
            }
            done_16(s, at, 0, odd_scale(d, scale, 7), odd_scale(d, vi_shr(scale, 3), 7), SIGNED);
        }
    }
}

#endif
