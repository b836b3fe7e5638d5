/* unpack_blocks.h - blocks of 32 with a scale, some with a minimum, and what is made of nibbles that are places in a table.
 * Included by unpack.h, which tells how. */
#ifndef TENON_CPU_UNPACK_BLOCKS_H
#define TENON_CPU_UNPACK_BLOCKS_H

/* ---- blocks of 32 */

INLINE void unpack_q4_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = half_at(r, 0);
    columns(r, 2, v);
    for (int i = 0; i < 4; i++)
        put_nibbles(s, b, 0, 2 * i, b, 0, 8 + 2 * i, v[i], 8);
    done(s, b, 0, d, 8);
}

INLINE void unpack_q4_1(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d, m;
    two_halves(r, &d, &m);
    columns(r, 4, v);
    for (int i = 0; i < 4; i++)
        put_nibbles(s, b, 0, 2 * i, b, 0, 8 + 2 * i, v[i], 0);
    done(s, b, 0, d, 0);
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
INLINE void put_fives(struct sink *s, int64_t b, const vi v[4], vi high, const int offset)
{
    const struct form f = { 0, offset, false };
    for (int i = 0; i < 4; i++) {
        vi first = vi_or(low_nibbles(v[i]), bits_apart(high, i, 0x10101010));
        vi second = vi_or(high_nibbles(v[i]), bits_apart(high, 4 + i, 0x10101010));
        put(s, b, 0, 2 * i, even_bytes(first), f);
        put(s, b, 0, 2 * i + 1, odd_bytes(first), f);
        put(s, b, 0, 8 + 2 * i, even_bytes(second), f);
        put(s, b, 0, 9 + 2 * i, odd_bytes(second), f);
    }
}

INLINE void unpack_q5_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi head[4], v[4], high;
    vf d, unused;
    if (r->packed) {
        d = half_at(r, 0);
        high = vi_load(r->p + 2 * CPU_PACK_ROWS + 4 * r->lane);
    } else {
        load_columns(r->p, r->stride, head); /* d, qh low; qh high, qs.. */
        vf_of_halves(head[0], &d, &unused);
        high = vi_or(vi_shr(head[0], 16), vi_shl(head[1], 16));
    }
    columns(r, 6, v);
    put_fives(s, b, v, high, 16);
    done(s, b, 0, d, 16);
}

INLINE void unpack_q5_1(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d, m;
    two_halves(r, &d, &m);
    columns(r, 8, v);
    put_fives(s, b, v, dword_at(r, 4), 0);
    done(s, b, 0, d, 0);
    done_min(s, b, m);
}

INLINE void unpack_q8_0(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = half_at(r, 0);
    for (int half = 0; half < 2; half++) {
        columns(r, 2 + 16 * half, v);
        for (int i = 0; i < 4; i++)
            put_bytes(s, b, 0, 8 * half + 2 * i, v[i]);
    }
    done(s, b, 0, d, 0);
}

/* ---- blocks of 32 whose nibbles are places in a table */

INLINE void put_looked_up(struct sink *s, int64_t b, const vi v[4], const int8_t *table)
{
    for (int i = 0; i < 4; i++) {
        put_bytes(s, b, 0, 2 * i, vi_lookup(table, low_nibbles(v[i])));
        put_bytes(s, b, 0, 8 + 2 * i, vi_lookup(table, high_nibbles(v[i])));
    }
}

INLINE void unpack_iq4_nl(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = half_at(r, 0);
    columns(r, 2, v);
    put_looked_up(s, b, v, cpu_iq4_values);
    done(s, b, 0, d, 0);
}

/* The byte that begins a block. */
INLINE vi first_byte(const struct rows *r)
{
    vi v[4];
    if (r->packed)
        return vi_load_u8(r->p + r->lane);
    load_columns(r->p, r->stride, v);
    return vi_and(v[0], vi_all(0xff));
}

/* 2^(e - 128). Its bits are (e - 1) << 23, or for e < 2, where that is negative or 0, (e + 1) << 21. */
INLINE void unpack_mxfp4(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4], e = first_byte(r);
    vf scale = vf_of_bits(vi_max(vi_shl(vi_sub(e, vi_all(1)), 23), vi_shl(vi_add(e, vi_all(1)), 21)));
    columns(r, 1, v);
    put_looked_up(s, b, v, cpu_e2m1_doubled);
    done(s, b, 0, scale, 0);
}

/* ---- the same in super-blocks of 256 */

INLINE void unpack_iq4_xs(const struct rows *r, struct sink *s, int64_t b)
{
    vi head[4], v[4], low, high;
    vf d, unused;
    columns(r, 0, head); /* d, scales_h; scales_l; quants */
    vf_of_halves(head[0], &d, &unused);
    high = vi_shr(head[0], 16);
    low = head[1];
    for (int j = 0; j < 8; j++) {
        vi scale = vi_or(vi_and(low, vi_all(15)), vi_shl(vi_and(high, vi_all(3)), 4));
        columns(r, 8 + 16 * j, v);
        put_looked_up(s, b + j, v, cpu_iq4_values);
        done(s, b + j, 0, vf_mul(d, vf_of_int(vi_sub(scale, vi_all(32)))), 0);
        low = vi_shr(low, 4);
        high = vi_shr(high, 2);
    }
}

#endif
