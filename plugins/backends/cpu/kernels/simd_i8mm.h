/* simd_i8mm.h - the vector words of level i8mm: those of dotprod, and products of two rows of eight bytes by two, smmla and
 * usmmla. With them products of panels are those of octets.h. */
#define LEVEL(name) cpu_##name##_i8mm
#define OCTETS
#include "simd_dotprod.h"

/* acc[i][j] + the products of row i of a with row j of b, each of eight bytes: dwords 00, 01, 10, 11. */
INLINE vi vi_rows_dot8(vi acc, vi a, vi b) { return vmmlaq_s32(acc, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)); }
/* The same, bytes of a without sign. */
INLINE vi vi_rows_dot8_unsigned(vi acc, vi a, vi b) { return vusmmlaq_s32(acc, vreinterpretq_u8_s32(a), vreinterpretq_s8_s32(b)); }

/* Dwords of a and b in turn, of their lower and of their upper halves. */
INLINE vi vi_mix_low(vi a, vi b) { return vzip1q_s32(a, b); }
INLINE vi vi_mix_high(vi a, vi b) { return vzip2q_s32(a, b); }
/* The lower halves of a and b beside each other, and the upper ones. */
INLINE vi vi_lower_halves(vi a, vi b)
{
    return vreinterpretq_s32_s64(vtrn1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}
INLINE vi vi_upper_halves(vi a, vi b)
{
    return vreinterpretq_s32_s64(vtrn2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

/* Eight 8-bit activations of each of two tokens as two rows. */
INLINE vi vi_two_octets(const int8_t *q, const int8_t *r)
{
    uint64x2_t first = vcombine_u64(vld1_u64((const void *)q), vcreate_u64(0));
    return vreinterpretq_s32_u64(vld1q_lane_u64((const void *)r, first, 1));
}
/* Eight 16-bit ones: rows of low bytes, without sign, and of high bytes: a = 256 high + low. */
INLINE void vi_split_octets(const int16_t *q, const int16_t *r, vi *ret_low, vi *ret_high)
{
    uint8x16_t first = vreinterpretq_u8_s16(vld1q_s16(q)), second = vreinterpretq_u8_s16(vld1q_s16(r));
    *ret_low = vreinterpretq_s32_u8(vuzp1q_u8(first, second));
    *ret_high = vreinterpretq_s32_u8(vuzp2q_u8(first, second));
}
/* Four columns of each row in the order of cpu_act's 16 bits. */
INLINE vi vi_swap_middle(vi x)
{
    static const uint8_t order[16] = { 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15 };
    return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(x), vld1q_u8(order)));
}
