/* unpack_kquants.h - the K-quants, and IQ4_XS, whose scales are made as theirs: super-blocks of 256 in sub-blocks of 16 or 32.
 * Included by unpack.h, which tells how. */
#ifndef TENON_CPU_UNPACK_KQUANTS_H
#define TENON_CPU_UNPACK_KQUANTS_H

/* ---- super-blocks of 256 */

/* Scales and minimums of the eight sub-blocks of Q4_K and Q5_K, six bits of each byte, and what they are multiplied by. */
struct k_scales {
    vf d, minus_dmin;
    vi scale[2], min[2];
};

/* d, dmin, then 12 packed bytes. */
INLINE struct k_scales k_scales_at(const struct rows *r)
{
    const vi six = vi_all(0x3f3f3f3f), two = vi_all(0x03030303);
    struct k_scales k;
    vi head[4]; /* [1] to [3]: the 12 bytes */
    vf dmin;
    if (r->packed) {
        two_halves(r, &k.d, &dmin);
        for (int i = 1; i < 4; i++)
            head[i] = vi_load(elements(r, 4 * i, 4));
    } else {
        load_columns(r->p, r->stride, head);
        vf_of_halves(head[0], &k.d, &dmin);
    }
    k.minus_dmin = vf_sub(vf_zero(), dmin);
    k.scale[0] = vi_and(head[1], six);
    k.scale[1] = vi_or(low_nibbles(head[3]), vi_shl(vi_and(vi_shr(head[1], 6), two), 4));
    k.min[0] = vi_and(head[2], six);
    k.min[1] = vi_or(high_nibbles(head[3]), vi_shl(vi_and(vi_shr(head[2], 6), two), 4));
    return k;
}

/* d times byte n of the two dwords. */
INLINE vf times_byte(vf d, const vi v[2], const int n)
{
    return vf_mul(d, vf_of_int(vi_byte(v[n >> 2], n & 3)));
}

INLINE vf scale_of(const struct k_scales *k, const int j) { return times_byte(k->d, k->scale, j); }
INLINE vf min_of(const struct k_scales *k, const int j) { return times_byte(k->minus_dmin, k->min, j); }

INLINE void unpack_k_scales(const struct rows *r, vf ret_scale[8], vf ret_min[8])
{
    const struct k_scales k = k_scales_at(r);
    UNROLLED
    for (int j = 0; j < 8; j++) {
        ret_scale[j] = scale_of(&k, j);
        ret_min[j] = min_of(&k, j);
    }
}

#if ACT_BITS == 8
/* Packed, where loads cost nothing more than the memory, sub-block by sub-block: eight tokens leave few registers. */
INLINE void unpack_q4_k_packed(const struct rows *r, struct sink *s, int64_t b)
{
    const struct k_scales k = k_scales_at(r);
    vi v[4];
    for (int j = 0; j < 8; j++) {
        for (int half = 0; half < 2; half++) {
            columns(r, 16 + 32 * (j >> 1) + 16 * half, v);
            for (int i = 0; i < 4; i++)
                put(s, b + j, 0, 4 * half + i, j % 2 == 0 ? low_nibbles(v[i]) : high_nibbles(v[i]), NIBBLE);
        }
        done(s, b + j, 0, scale_of(&k, j), NIBBLE);
        done_min(s, b + j, min_of(&k, j));
    }
}
#endif

INLINE void unpack_q4_k(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[4];
    vf scale[8], min[8];
#if ACT_BITS == 8
    if (r->packed && s->tokens > 2) {
        unpack_q4_k_packed(r, s, b);
        return;
    }
#endif
    unpack_k_scales(r, scale, min);
    for (int two = 0; two < 8; two += 2) { /* 32 bytes: low nibbles are one sub-block, high nibbles the next */
        UNROLLED
        for (int half = 0; half < 2; half++) {
            columns(r, 16 + 16 * (two + half), v);
            UNROLLED
            for (int i = 0; i < 4; i++)
                put_nibbles(s, b + two, 0, 4 * half + i, b + two + 1, 1, 4 * half + i, v[i], NIBBLE);
        }
        UNROLLED
        for (int i = 0; i < 2; i++) {
            done(s, b + two + i, i, scale[two + i], NIBBLE);
            done_min(s, b + two + i, min[two + i]);
        }
    }
}

/* Bit j of every byte, as 0x10. */
#define FIFTH_BIT(x, j) vi_and((j) < 4 ? vi_shl(x, 4 - (j)) : vi_shr(x, (j) - 4), vi_all(0x10101010))

INLINE void unpack_q5_k(const struct rows *r, struct sink *s, int64_t b)
{
    vi high[2][4], v[4];
    vf scale[8], min[8];
    unpack_k_scales(r, scale, min);
    columns(r, 16, high[0]);
    columns(r, 32, high[1]);
    for (int two = 0; two < 8; two += 2) {
        for (int half = 0; half < 2; half++) {
            columns(r, 48 + 16 * (two + half), v);
            for (int i = 0; i < 4; i++) {
                vi bits = high[half][i];
                put(s, b + two, 0, 4 * half + i, vi_or(low_nibbles(v[i]), FIFTH_BIT(bits, 0)), FIVE_BITS);
                put(s, b + two + 1, 1, 4 * half + i, vi_or(high_nibbles(v[i]), FIFTH_BIT(bits, 1)), FIVE_BITS);
                high[half][i] = vi_shr(bits, 2); /* the next pair's bits come to the bottom; strays are masked */
            }
        }
        for (int i = 0; i < 2; i++) {
            done(s, b + two + i, i, scale[two + i], FIVE_BITS);
            done_min(s, b + two + i, min[two + i]);
        }
    }
}

#define BYTE_SCALE 0x1p-24f

/* Scale number n of the signed bytes in v, four to a dword, d being BYTE_SCALE of what it is: a byte on top of a dword has its sign. */
INLINE vf byte_scale(vf d, const vi *v, const int n)
{
    return vf_mul(d, vf_of_int(vi_top_byte(v[n >> 2], n & 3)));
}

INLINE void unpack_q6_k(const struct rows *r, struct sink *s, int64_t b)
{
    const struct form f = { 32, 6, true };
    const vi top = vi_all(0x30303030);
    vi scales[4];
    vf d = half_at(r, 208);
    columns(r, 192, scales);
    d = vf_mul(d, vf_all(BYTE_SCALE));
    UNROLLED
    for (int side = 0; side < 2; side++) { /* 128 columns: four blocks under way */
        int64_t at = b + 4 * side;
        for (int half = 0; half < 2; half++) {
            vi low[4], mid[4], high[4];
            columns(r, 64 * side + 16 * half, low);
            columns(r, 64 * side + 32 + 16 * half, mid);
            columns(r, 128 + 32 * side + 16 * half, high);
            for (int i = 0; i < 4; i++) {
                int quad = 4 * half + i;
                put(s, at, half, quad, vi_or(low_nibbles(low[i]), vi_and(vi_shl(high[i], 4), top)), f);
                put(s, at + 1, 2 + half, quad, vi_or(low_nibbles(mid[i]), vi_and(vi_shl(high[i], 2), top)), f);
                put(s, at + 2, 4 + half, quad, vi_or(high_nibbles(low[i]), vi_and(high[i], top)), f);
                put(s, at + 3, 6 + half, quad, vi_or(high_nibbles(mid[i]), vi_and(vi_shr(high[i], 2), top)), f);
            }
        }
        for (int i = 0; i < 4; i++)
            done_16(s, at + i, 2 * i, byte_scale(d, scales, 8 * side + 2 * i), byte_scale(d, scales, 8 * side + 2 * i + 1), f);
    }
}

/* The lowest two bits of each byte, which are nothing above. */
#define TWO_BITS(x) vi_and(x, vi_all(0x03030303))

/* d, scales_h; scales_l; quants. Two scales' uppermost bits, of an even sub-block and the odd one behind it, are a nibble of scales_h, and
 * their lower bits a byte of scales_l. */
INLINE void unpack_iq4_xs(const struct rows *r, struct sink *s, int64_t b)
{
    vi head[4], v[4], scales[2], upper;
    vf d, unused, scale[8];
    columns(r, 0, head);
    vf_of_halves(head[0], &d, &unused);
    d = vf_mul(d, vf_all(BYTE_SCALE));
    upper = vi_or(vi_and(vi_shr(head[0], 16), vi_all(0xff)), vi_and(vi_shr(head[0], 8), vi_all(0xff0000)));
    upper = vi_or(vi_and(upper, vi_all(0x000f000f)), vi_and(vi_shl(upper, 4), vi_all(0x0f000f00)));
    scales[0] = vi_or(low_nibbles(head[1]), vi_shl(TWO_BITS(upper), 4));
    scales[1] = vi_or(high_nibbles(head[1]), vi_shl(TWO_BITS(vi_shr(upper, 2)), 4));
    for (int i = 0; i < 2; i++)
        scales[i] = vi_sub8(scales[i], vi_all(0x20202020));
    UNROLLED
    for (int j = 0; j < 8; j++)
        scale[j] = byte_scale(d, scales, 4 * (j & 1) + (j >> 1));
    for (int j = 0, end = turns(8); j < end; j++) {
        columns(r, 8 + 16 * j, v);
        put_looked_up(s, b + j, v, iq4_table, OF_IQ4);
        done(s, b + j, 0, scale[j], OF_IQ4);
    }
}

static const struct form OF_45 = { 0, 6, false };

/* Four columns of two bits from bit `shift` on, a quad of the 16 that have the factor: in a panel times that, at most 45. */
INLINE void put_twos(struct sink *s, int64_t b, const int slot, const int quad, vi v, const int shift, vi factor)
{
    const struct form two = { 0, 2, false };
    if (s->tokens == 0)
        put(s, b, slot, quad, bytes_by_factor(TWO_BITS(vi_shr(v, shift)), factor), OF_45);
    else
        put_bits(s, b, slot, quad, v, shift, two);
}

/* The number in four bits from bit `at` on. */
INLINE vi nibble(vi x, const int at) { return vi_and(vi_shr(x, at), vi_all(15)); }

/* scales[16], a nibble of scale and one of minimum; qs[64]; d, dmin. */
INLINE void unpack_q2_k(const struct rows *r, struct sink *s, int64_t b)
{
    vi v[2][4], scales[4];
    vf d, dmin;
    vf_of_halves(dword_at(r, 80), &d, &dmin);
    dmin = vf_sub(vf_zero(), dmin);
    columns(r, 0, scales);
    for (int side = 0; side < 2; side++) {
        columns(r, 16 + 32 * side, v[0]);
        columns(r, 32 + 32 * side, v[1]);
        for (int j = 4 * side; j < 4 * side + 4; j++) {
            vi two = j % 2 == 0 ? scales[j >> 1] : vi_shr(scales[j >> 1], 16), factor[2];
            factor[0] = as_factor(nibble(two, 0));
            factor[1] = as_factor(nibble(two, 8));
            for (int half = 0; half < 2; half++)
                for (int i = 0; i < 4; i++) {
                    put_twos(s, b + j, half, 4 * half + i, v[half][i], 0, factor[half]);
                    v[half][i] = vi_shr(v[half][i], 2);
                }
            done_factors(s, b + j, 0, factor, d, OF_45);
            done_mins(s, b + j, vf_mul(dmin, vf_of_int(nibble(two, 4))), vf_mul(dmin, vf_of_int(nibble(two, 12))));
        }
    }
}

/* ---- Q3_K: three bits less 4, scales of six bits less 32 by 16 columns, a d of all */

static const struct form ABOVE_4 = { 4, 3, false };

/* The 16 scales as bytes, 32 above what they are: low nibbles in two dwords, the two bits above them in a third. */
INLINE void unpack_q3_scales(vi first, vi second, vi above, vi ret_scale[4])
{
    vi low[4] = { low_nibbles(first), low_nibbles(second), high_nibbles(first), high_nibbles(second) };
    for (int i = 0; i < 4; i++) {
        ret_scale[i] = vi_or(low[i], vi_shl(TWO_BITS(above), 4));
        above = vi_shr(above, 2);
    }
}

#ifdef FOLDS_THREES
/* A scale as products need it; or for a panel twice in each dword, and it times 4 in each byte. */
struct q3_scale {
    vi factor, times_4;
};

INLINE struct q3_scale q3_scale_at(const struct sink *s, vf d, const vi *scale, const int n)
{
    const vi byte = vi_byte(scale[n >> 2], n & 3);
    struct q3_scale ret = { .factor = vi_sub16(byte, vi_all(32)) };
    (void)d;
    if (s->tokens == 0) {
        ret.factor = vi_sub16(vi_or(byte, vi_shl(byte, 16)), vi_all(0x00200020));
        ret.times_4 = vi_shl(vi_sub8(vi_spread_byte(scale[n >> 2], n & 3), vi_all(0x20202020)), 2); /* -128 to 124, but for what the */
        ret.times_4 = vi_and(ret.times_4, vi_all(0xfcfcfcfc));                                       /* byte below shifts in */
    }
    return ret;
}

/* (4 - x) times the scale for each byte x, which is below 8: -128 to 124. */
INLINE vi q3_products(vi x, const struct q3_scale *scale)
{
    vi even = vi_mul16(even_bytes(x), scale->factor), odd = vi_shl16(vi_mul16(odd_bytes(x), scale->factor), 8);
    return vi_sub8(scale->times_4, vi_choose(vi_all(0x00ff00ff), even, odd));
}

/* Four columns of three bits from bit `shift` on, a quad of the 16 that have the scale: in a panel times that, negated. */
INLINE void put_threes(struct sink *s, int64_t b, const int slot, const int quad, vi v, const int shift, const struct q3_scale *scale)
{
    if (s->tokens == 0)
        put(s, b, slot, quad, q3_products(vi_and(shift == 0 ? v : vi_shr(v, shift), vi_all(0x07070707)), scale), SIGNED);
    else
        put_bits(s, b, slot, quad, v, shift, ABOVE_4);
}

/* A panel's weights have the other sign, so its scales have too. */
INLINE void done_threes(struct sink *s, int64_t b, vf d, const struct q3_scale scale[2])
{
    const vi factor[2] = { scale[0].factor, scale[1].factor };
    done_factors(s, b, 0, factor, s->tokens == 0 ? vf_sub(vf_zero(), d) : d, s->tokens == 0 ? SIGNED : ABOVE_4);
}
#else
struct q3_scale {
    vf scale;
};

INLINE struct q3_scale q3_scale_at(const struct sink *s, vf d, const vi *scale, const int n)
{
    const vi less = vi_sub8(scale[n >> 2], vi_all(0x20202020));
    (void)s;
    return (struct q3_scale){ byte_scale(vf_mul(d, vf_all(BYTE_SCALE)), &less, n & 3) };
}

INLINE void put_threes(struct sink *s, int64_t b, const int slot, const int quad, vi v, const int shift, const struct q3_scale *scale)
{
    (void)scale;
    put_bits(s, b, slot, quad, v, shift, ABOVE_4);
}

INLINE void done_threes(struct sink *s, int64_t b, vf d, const struct q3_scale scale[2])
{
    (void)d;
    done_16(s, b, 0, scale[0].scale, scale[1].scale, ABOVE_4);
}
#endif

/* hmask[32], a bit for each of eight sub-blocks; qs[64]; scales[12]; d. */
INLINE void unpack_q3_k(const struct rows *r, struct sink *s, int64_t b)
{
    vi high[2][4], v[2][4], scales[4], tail[4]; /* tail: [1] to [3] scales */
    vf d = half_at(r, 108);
    columns(r, 92, tail);
    unpack_q3_scales(tail[1], tail[2], tail[3], scales);
    columns(r, 0, high[0]);
    columns(r, 16, high[1]);
    UNROLLED
    for (int side = 0; side < 2; side++) {
        columns(r, 32 + 32 * side, v[0]);
        columns(r, 48 + 32 * side, v[1]);
        for (int j = 4 * side; j < 4 * side + 4; j++) {
            const struct q3_scale scale[2] = { q3_scale_at(s, d, scales, 2 * j), q3_scale_at(s, d, scales, 2 * j + 1) };
            for (int half = 0; half < 2; half++)
                for (int i = 0; i < 4; i++) {
                    vi x = vi_or(TWO_BITS(v[half][i]), vi_and(vi_shl(high[half][i], 2), vi_all(0x04040404)));
                    put_threes(s, b + j, half, 4 * half + i, x, 0, &scale[half]);
                    v[half][i] = vi_shr(v[half][i], 2);
                    high[half][i] = vi_shr(high[half][i], 1);
                }
            done_threes(s, b + j, d, scale);
        }
    }
}

#endif
