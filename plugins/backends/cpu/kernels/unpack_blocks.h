/* unpack_blocks.h - blocks of 32 with a scale, some with a minimum, and what is made of nibbles that are places in a table.
 * Included by unpack.h, which tells how. */
#ifndef TENON_CPU_UNPACK_BLOCKS_H
#define TENON_CPU_UNPACK_BLOCKS_H

static const struct form NIBBLE = { 0, 4, false }, FIVE_BITS = { 0, 5, false };

/* ---- blocks of 32 */

INLINE void unpack_q4_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = half_at(r, 0);
    columns(r, 2, v);
    const struct form f = { 8, 4, false };
    for (int i = 0; i < 4; i++)
        put_nibbles(s, b, 0, i, b, 0, 4 + i, v[i], f);
    done(s, b, 0, d, f);
}

INLINE void unpack_q4_1(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d, m;
    two_halves(r, &d, &m);
    columns(r, 4, v);
    for (int i = 0; i < 4; i++)
        put_nibbles(s, b, 0, i, b, 0, 4 + i, v[i], NIBBLE);
    done(s, b, 0, d, NIBBLE);
    done_min(s, b, m);
}

/* Bits 4 group .. 4 group + 3 of each dword, each in a byte of its own as the bit (0x10 or below) that `ones` has in all bytes. */
INLINE vi bits_apart(vi high, int group, uint32_t ones)
{
    vi in_upper = (group & 1) != 0 ? high : vi_shl(high, 4); /* the four bits to the upper half of byte group / 2 */
    vi one_each = vi_and(vi_spread_byte(in_upper, group >> 1), vi_all(0x80402010));
    return vi_min_u8(one_each, vi_all(ones)); /* whichever bit stood there, it is no less */
}

/* Four times four columns of five bits from dwords of nibbles and one of fifth bits. */
INLINE void put_fives(struct sink *s, int64_t b, const vi v[4], vi high, const struct form f)
{
    UNROLLED
    for (int i = 0; i < 4; i++) {
        put(s, b, 0, i, vi_or(low_nibbles(v[i]), bits_apart(high, i, 0x10101010)), f);
        put(s, b, 0, 4 + i, vi_or(high_nibbles(v[i]), bits_apart(high, 4 + i, 0x10101010)), f);
    }
}

static const struct form ABOVE_16 = { 16, 5, false };

INLINE void unpack_q5_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi head[4], v[4];
    vf d, unused;
    load_columns(r->p, r->stride, head); /* d, qh low; qh high, qs.. */
    vf_of_halves(head[0], &d, &unused);
    columns(r, 6, v);
    put_fives(s, b, v, vi_or(vi_shr(head[0], 16), vi_shl(head[1], 16)), ABOVE_16);
    done(s, b, 0, d, ABOVE_16);
}

INLINE void unpack_q5_1(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d, m;
    two_halves(r, &d, &m);
    columns(r, 8, v);
    put_fives(s, b, v, dword_at(r, 4), FIVE_BITS);
    done(s, b, 0, d, FIVE_BITS);
    done_min(s, b, m);
}

/* Packed (repack.h): what stands beside dword i of the nibbles, at bits 4 and 3 of each byte and nowhere else. */
INLINE vi beside_nibbles(vi beside, const int i)
{
    vi x = i == 0   ? beside
           : i == 1 ? vi_shr(beside, 2)
           : i == 2 ? vi_shl(beside, 2)
                    : vi_choose(vi_all(0x10101010), vi_shr(beside, 3), vi_shl(beside, 3));
    return vi_and(x, vi_all(0x18181818));
}

INLINE void put_packed_fives(const struct rows *r, struct sink *s, int64_t b, int at, const struct form f)
{
    const struct form low = { f.offset, f.bits, stands_up(s, 3, f) };
    const vi low_half = vi_all(0x0f0f0f0f), beside = vi_load(elements(r, at, 4));
    vi v[4];
    columns(r, at + 4, v);
    UNROLLED
    for (int i = 0; i < 4; i++) {
        vi lower, upper;
        vi_choose_both(low_half, v[i], beside_nibbles(beside, i), &lower, &upper);
        put(s, b, 0, i, lower, low);
        put_up(s, b, 0, 1, 4 + i, upper, 3, f);
    }
}

INLINE void unpack_packed_q5_0(const struct rows *r, struct sink *s, int64_t b)
{
    vf d = half_at(r, 0);
    put_packed_fives(r, s, b, 2, ABOVE_16);
    done(s, b, 0, d, ABOVE_16);
}

INLINE void unpack_packed_q5_1(const struct rows *r, struct sink *s, int64_t b)
{
    vf d, m;
    two_halves(r, &d, &m);
    put_packed_fives(r, s, b, 4, FIVE_BITS);
    done(s, b, 0, d, FIVE_BITS);
    done_min(s, b, m);
}

INLINE void unpack_q8_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = half_at(r, 0);
    UNROLLED
    for (int half = 0; half < 2; half++) {
        columns(r, 2 + 16 * half, v);
        UNROLLED
        for (int i = 0; i < 4; i++)
            put(s, b, 0, 4 * half + i, v[i], SIGNED);
    }
    done(s, b, 0, d, SIGNED);
}

/* ---- blocks of 32 whose nibbles are places in a table */

INLINE void put_looked_up(struct sink *s, int64_t b, const vi v[4], const int8_t *table, const struct form f)
{
    for (int i = 0; i < 4; i++) {
        put(s, b, 0, i, vi_lookup_low(table, v[i]), f);
        put(s, b, 0, 4 + i, vi_lookup_low(table, vi_shr(v[i], 4)), f);
    }
}

/* cpu_e2m1_doubled, 12 above. */
static const int8_t e2m1_above[16] = { 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0 };
static const struct form ABOVE_12 = { 12, 5, false };

#if ACT_BITS == 8 && WEIGHTS_ABOVE == 128 /* cpu_iq4_values as they are multiplied, 128 above */
static const int8_t iq4_table[16] = { 1, 24, 45, 63, 79, 93, 106, 118, -127, -115, -103, -90, -75, -59, -39, -15 };
static const struct form OF_IQ4 = { 128, 8, false };
#else
#define iq4_table cpu_iq4_values
#define OF_IQ4 SIGNED
#endif

INLINE void unpack_iq4_nl(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = half_at(r, 0);
    columns(r, 2, v);
    put_looked_up(s, b, v, iq4_table, OF_IQ4);
    done(s, b, 0, d, OF_IQ4);
}

/* The byte that begins a block. */
INLINE vi first_byte(const struct rows *r)
{
    vi v[4];
    if (r->packed)
        return vi_load_u8(elements(r, 0, 1));
    load_columns(r->p, r->stride, v);
    return vi_and(v[0], vi_all(0xff));
}

/* 2^(e - 128). Its bits are (e - 1) << 23, or for e < 2, where that is negative or 0, (e + 1) << 21. */
INLINE void unpack_mxfp4(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4], e = first_byte(r);
    vf scale = vf_of_bits(vi_max(vi_shl(vi_sub(e, vi_all(1)), 23), vi_shl(vi_add(e, vi_all(1)), 21)));
    columns(r, 1, v);
    put_looked_up(s, b, v, e2m1_above, ABOVE_12);
    done(s, b, 0, scale, ABOVE_12);
}

/* ---- blocks of 64 */

/* The bytes of four scales of NVFP4, of which 0x7f is 0. */
INLINE vi known_scales(vi x)
{
    vi others = vi_min_u8(vi_xor(x, vi_all(0x7f7f7f7f)), vi_all(0x01010101));
    return vi_and(x, vi_sub8(vi_zero(), others));
}

/* Half of scale number n: (1 + m / 8) 2^(e - 8), for e = 0 m / 8 2^-7. As bits of a float they are that over 2^119, denormal for e = 0. */
INLINE vf e4m3_halved(vi scales, const int n)
{
    const vi x = n < 3 ? vi_shl(scales, 20 - 8 * n) : vi_shr(scales, 4);
    return vf_mul(vf_of_bits(vi_and(x, vi_all(0x07f00000))), vf_all(0x1p119f));
}

/* d[4]; qs[32]: 16 columns in 8 bytes. */
INLINE void unpack_nvfp4(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4], scales = known_scales(dword_at(r, 0));
    UNROLLED
    for (int j = 0; j < 2; j++) {
        vf scale[2];
        columns(r, 4 + 16 * j, v);
        UNROLLED
        for (int half = 0; half < 2; half++) {
            UNROLLED
            for (int i = 0; i < 2; i++) {
                vi x = v[2 * half + i];
                put(s, b + j, half, 4 * half + i, vi_lookup_low(e2m1_above, x), ABOVE_12);
                put(s, b + j, half, 4 * half + 2 + i, vi_lookup_low(e2m1_above, vi_shr(x, 4)), ABOVE_12);
            }
            scale[half] = e4m3_halved(scales, 2 * j + half);
        }
        done_16(s, b + j, 0, scale[0], scale[1], ABOVE_12);
    }
}

/* ---- three values, -1, 0 and 1, in super-blocks of 256 */

static const struct form ONE_ABOVE = { 1, 2, false };

/* Three times the fraction in each 16 bits: its next digit to the base of 3 is above, the rest of it stays. */
INLINE vi next_digit(vi *x)
{
    vi three = vi_add(*x, vi_shl16(*x, 1));
    *x = even_bytes(three);
    return three;
}

INLINE void put_digits(struct sink *s, int64_t b, const int quad, vi *even, vi *odd)
{
    put(s, b, 0, quad, vi_or(vi_shr16(next_digit(even), 8), vi_and(next_digit(odd), vi_all(0xff00ff00))), ONE_ABOVE);
}

INLINE void digits_at(const struct rows *r, int at, vi ret_even[4], vi ret_odd[4])
{
    vi v[4];
    columns(r, at, v);
    for (int i = 0; i < 4; i++) {
        ret_even[i] = even_bytes(v[i]);
        ret_odd[i] = odd_bytes(v[i]);
    }
}

/* 32 bytes of five digits: 32 columns for each; 16 bytes: 16 columns for each; 4 bytes of four. */
INLINE void unpack_tq1_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi even[8], odd[8], last_even = even_bytes(dword_at(r, 48)), last_odd = odd_bytes(dword_at(r, 48));
    vf d = half_at(r, 52);
    digits_at(r, 0, even, odd);
    digits_at(r, 16, even + 4, odd + 4);
    for (int j = 0; j < 5; j++) {
        for (int i = 0; i < 8; i++)
            put_digits(s, b + j, i, &even[i], &odd[i]);
        done(s, b + j, 0, d, ONE_ABOVE);
    }
    digits_at(r, 32, even, odd);
    for (int j = 5; j < 8; j++) {
        for (int i = 0; i < 4; i++)
            put_digits(s, b + j, i, &even[i], &odd[i]);
        for (int i = 0; i < 4; i++)
            put_digits(s, b + j, 4 + i, j < 7 ? &even[i] : &last_even, j < 7 ? &odd[i] : &last_odd);
        done(s, b + j, 0, d, ONE_ABOVE);
    }
}

INLINE void unpack_tq2_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[2][4];
    vf d = half_at(r, 64);
    for (int side = 0; side < 2; side++) {
        columns(r, 32 * side, v[0]);
        columns(r, 32 * side + 16, v[1]);
        for (int j = 4 * side; j < 4 * side + 4; j++) {
            for (int half = 0; half < 2; half++)
                for (int i = 0; i < 4; i++) {
                    put(s, b + j, 0, 4 * half + i, vi_and(v[half][i], vi_all(0x03030303)), ONE_ABOVE);
                    v[half][i] = vi_shr(v[half][i], 2);
                }
            done(s, b + j, 0, d, ONE_ABOVE);
        }
    }
}

#endif
