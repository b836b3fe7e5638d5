/* unpack_affine.h - whole numbers with a scale and a whole zero point: what GPTQ, AWQ, compressed-tensors and mlc weights become at load.
 * Included by unpack.h, which tells how. */
#ifndef TENON_CPU_UNPACK_AFFINE_H
#define TENON_CPU_UNPACK_AFFINE_H

/* What begins a block: the upper 23 bits of a float, the scale, and 9 of a zero point with sign. */
INLINE void affine_head(const struct rows *r, vf *ret_d, vf *ret_min)
{
    const vi head = dword_at(r, 0);
    *ret_d = vf_of_bits(vi_and(head, vi_all(~511u)));
    *ret_min = vf_mul(*ret_d, vf_of_int(vi_sub(vi_zero(), vi_sar(vi_shl(head, 23), 23))));
}

INLINE void unpack_affine4(const struct rows *r, struct sink *s, int64_t b, const int blocks)
{
    vf d, min;
    affine_head(r, &d, &min);
    UNROLLED
    for (int j = 0; j < blocks; j++) {
        vi v[4];
        columns(r, 4 + 16 * j, v);
        for (int i = 0; i < 4; i++)
            put_nibbles(s, b + j, 0, i, b + j, 0, 4 + i, v[i], NIBBLE);
        done(s, b + j, 0, d, NIBBLE);
        done_min(s, b + j, min);
    }
}

INLINE void unpack_affine4_b32(const struct rows *r, struct sink *s, int64_t b) { unpack_affine4(r, s, b, 1); }
INLINE void unpack_affine4_b128(const struct rows *r, struct sink *s, int64_t b) { unpack_affine4(r, s, b, 4); }

INLINE void unpack_affine8_b32(const struct rows *r, struct sink *s, int64_t b)
{
    vf d, min;
    affine_head(r, &d, &min);
    for (int half = 0; half < 2; half++) {
        vi v[4];
        columns(r, 4 + 16 * half, v);
        for (int i = 0; i < 4; i++)
            put(s, b, 0, 4 * half + i, v[i], SIGNED);
    }
    done(s, b, 0, d, SIGNED);
    done_min(s, b, min);
}

#endif
