/* simd_dotprod.h - the vector words of level dotprod: those of neon, and products of signed bytes by sdot, four columns to a
 * lane. With them products of 16 bits are those of bytes.h. Level i8mm takes these and names itself before. */
#ifndef LEVEL
#define LEVEL(name) cpu_##name##_dotprod
#endif
#define BYTE_PRODUCTS
#include "simd_neon.h"

/* acc + the products of the four signed bytes of each dword with those of dword n of b. */
#define vi_dot8(acc, a, b, n) vdotq_laneq_s32(acc, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b), n)

INLINE vi vi_dot4(vi acc, vi w, vi a) { return vdotq_s32(acc, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(a)); }

/* 16-bit activations in cpu_act's order to bytes by column, a = 256 high + 128 + low: of 4 columns low ones in dword 0 and high
 * ones in dword 1, of 16 in two vectors. */
INLINE vi vi_split_4(const int16_t *q)
{
    static const uint8_t order[8] = { 0, 4, 2, 6, 1, 5, 3, 7 };
    uint8x8_t bytes = vtbl1_u8(vreinterpret_u8_s16(vld1_s16(q)), vld1_u8(order));
    return vreinterpretq_s32_u8(vcombine_u8(veor_u8(bytes, vcreate_u8(0x80808080u)), vdup_n_u8(0)));
}
INLINE void vi_split_16(const int16_t *q, vi *ret_low, vi *ret_high)
{
    static const uint8_t low[16] = { 0, 4, 2, 6, 8, 12, 10, 14, 16, 20, 18, 22, 24, 28, 26, 30 };
    uint8x16x2_t bytes = { { vreinterpretq_u8_s16(vld1q_s16(q)), vreinterpretq_u8_s16(vld1q_s16(q + 8)) } };
    uint8x16_t at = vld1q_u8(low);
    *ret_low = vreinterpretq_s32_u8(veorq_u8(vqtbl2q_u8(bytes, at), vdupq_n_u8(0x80)));
    *ret_high = vreinterpretq_s32_u8(vqtbl2q_u8(bytes, vaddq_u8(at, vdupq_n_u8(1))));
}
