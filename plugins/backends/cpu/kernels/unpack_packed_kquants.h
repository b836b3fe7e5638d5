/* unpack_packed_kquants.h - the blocks that K-quants and TQ are packed in (repack.h): read from front to back, and quads that stand in
 * their places.
 * Included by unpack.h, which tells how. */
#ifndef TENON_CPU_UNPACK_PACKED_KQUANTS_H
#define TENON_CPU_UNPACK_PACKED_KQUANTS_H

/* The half in the lower 16 bits of the dword at byte `at`. */
INLINE vf low_half_at(const struct rows *r, int at)
{
    vf d, unused;
    vf_of_halves(dword_at(r, at), &d, &unused);
    return d;
}

/* Byte `at` of each row's block; four times 16 of them are a line. */
INLINE const uint8_t *byte_at(const struct rows *r, int at)
{
    return at % 4 == 0 ? elements(r, at, 1) : r->p + at * CPU_PACK_ROWS + r->lane;
}

/* Three dwords from byte `at` on. */
INLINE void three_dwords(const struct rows *r, int at, vi ret_v[3])
{
    UNROLLED
    for (int i = 0; i < 3; i++)
        ret_v[i] = dword_at(r, at + 4 * i);
}

/* The same, and a fourth of six bits in each byte: the two uppermost of theirs. */
INLINE void three_and_fourth(const struct rows *r, int at, vi ret_v[4])
{
    three_dwords(r, at, ret_v);
    const vi lower = vi_or(vi_and(vi_shr(ret_v[0], 6), vi_all(0x03030303)), vi_and(vi_shr(ret_v[1], 4), vi_all(0x0c0c0c0c)));
    ret_v[3] = vi_or(lower, vi_and(vi_shr(ret_v[2], 2), vi_all(0x30303030)));
}

/* d; of each 64 columns four scales as signed bytes, 16 rows of the first, of the second and so on, and 16 columns in three dwords. */
INLINE void unpack_packed_q6_k(const struct rows *r, struct sink *s, int64_t b)
{
    const struct form f = { 32, 6, false };
    vf d = low_half_at(r, 0);
    for (int two = 0, end = turns(4); two < end; two++) {
        const int at = 4 + 52 * two;
        UNROLLED
        for (int j = 0; j < 2; j++) {
            vf scale[2];
            UNROLLED
            for (int half = 0; half < 2; half++) {
                vi v[4];
                three_and_fourth(r, at + 4 + 24 * j + 12 * half, v);
                UNROLLED
                for (int i = 0; i < 3; i++)
                    put_bits(s, b + 2 * two + j, half, 4 * half + i, v[i], 0, f);
                put(s, b + 2 * two + j, half, 4 * half + 3, v[3], f);
                scale[half] = vf_mul(d, vf_load_i8((const int8_t *)byte_at(r, at + 2 * j + half)));
            }
            done_16(s, b + 2 * two + j, 0, scale[0], scale[1], f);
        }
    }
}

/* d, dmin; 12 bytes of scales as the file has them; 32 columns as packed Q5_0 has them. */
INLINE void unpack_packed_q5_k(const struct rows *r, struct sink *s, int64_t b)
{
    vf scale[8], min[8];
    unpack_k_scales(r, scale, min);
    for (int j = 0, end = turns(8); j < end; j++) {
        put_packed_fives(r, s, b + j, 16 + 20 * j, FIVE_BITS);
        done(s, b + j, 0, scale[j], FIVE_BITS);
        done_min(s, b + j, min[j]);
    }
}

/* d; 12 bytes of scales as the file has them; 32 columns in three dwords, each byte of the four that come of them a column and
 * the one 16 behind it. */
INLINE void unpack_packed_q3_k(const struct rows *r, struct sink *s, int64_t b)
{
    vi scales[4];
    vf d = low_half_at(r, 0);
    unpack_q3_scales(dword_at(r, 4), dword_at(r, 8), dword_at(r, 12), scales);
    for (int side = 0, end = turns(2); side < end; side++) {
        const vi of_side[2] = { scales[2 * side], scales[2 * side + 1] };
        UNROLLED
        for (int k = 0; k < 4; k++) {
            const int j = 4 * side + k;
            const struct q3_scale scale[2] = { q3_scale_at(s, d, of_side, 2 * k), q3_scale_at(s, d, of_side, 2 * k + 1) };
            vi v[4];
            three_and_fourth(r, 16 + 12 * j, v);
            UNROLLED
            for (int i = 0; i < 8; i++)
                put_threes(s, b + j, i >> 2, i, v[i & 3], 3 * (i >> 2), &scale[i >> 2]);
            done_threes(s, b + j, d, scale);
        }
    }
}

/* d, dmin; 16 bytes of a scale and a minimum, of 16 rows each; two bits, of 64 columns in four dwords. */
INLINE void unpack_packed_q2_k(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d, dmin;
    vf_of_halves(dword_at(r, 0), &d, &dmin);
    dmin = vf_sub(vf_zero(), dmin);
    for (int two = 0, end = turns(4); two < end; two++) {
        columns_once(r, 20 + 16 * two, v);
        UNROLLED
        for (int k = 0; k < 2; k++) {
            const int j = 2 * two + k;
            vi factor[2];
            vf min[2];
            UNROLLED
            for (int half = 0; half < 2; half++) {
                vi upper;
                factor[half] = load_nibbles(byte_at(r, 4 + 2 * j + half), &upper);
                min[half] = vf_mul(dmin, vf_of_int(upper));
            }
            UNROLLED
            for (int i = 0; i < 8; i++)
                put_twos(s, b + j, i >> 2, i, v[i & 3], 2 * k + 4 * (i >> 2), factor[i >> 2]);
            done_factors(s, b + j, 0, factor, d, OF_45);
            done_mins(s, b + j, min[0], min[1]);
        }
    }
}

/* d; two bits, of 64 columns in four dwords. Where there are registers for the sums of both blocks these grow side by side, so that none
 * waits for its last product: 1.05 times as fast, and 0.72 with registers for one. */
INLINE void unpack_packed_tq2(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf d = low_half_at(r, 0);
    for (int two = 0, end = turns(4); two < end; two++) {
        columns_once(r, 4 + 16 * two, v);
        UNROLLED_16
        for (int n = 0; n < 16; n++) {
            const int k = LANES == 16 ? n & 1 : n >> 3, i = LANES == 16 ? n >> 1 : n & 7;
            put_bits(s, b + 2 * two + k, k, i, v[i >> 1], 2 * k + 4 * (i & 1), ONE_ABOVE);
            if (i == 7)
                done(s, b + 2 * two + k, k, d, ONE_ABOVE);
        }
    }
}

#endif
