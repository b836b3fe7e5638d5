/* simd_neon.h - the vector words of level neon: Armv8.0 as every aarch64 has it, half-float conversion included. Same words as
 * simd_avx2.h, which tells what each means where that is not plain. Level dotprod takes these and names itself before. */
#ifndef TENON_CPU_SIMD_H
#define TENON_CPU_SIMD_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#ifndef LEVEL
#define LEVEL(name) cpu_##name##_neon
#endif
#define LANES 4

typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vmask;

#define INLINE static inline __attribute__((always_inline))

INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
INLINE void vf_store(float *p, vf x) { vst1q_f32(p, x); }
INLINE vf vf_all(float x) { return vdupq_n_f32(x); }
INLINE float vf_first(vf a) { return vgetq_lane_f32(a, 0); }
INLINE vf vf_zero(void) { return vdupq_n_f32(0.0f); }
INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
INLINE vf vf_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
INLINE vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
INLINE vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); } /* fmin would keep a NaN of a */
INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE vf vf_round(vf a) { return vrndnq_f32(a); }
INLINE vf vf_of_bits(vi x) { return vreinterpretq_f32_s32(x); }
INLINE vi vi_of_bits(vf x) { return vreinterpretq_s32_f32(x); }
INLINE vf vf_and_bits(vf a, uint32_t bits) { return vf_of_bits(vandq_s32(vi_of_bits(a), vdupq_n_s32((int32_t)bits))); }
INLINE vf vf_xor(vf a, vf b) { return vf_of_bits(veorq_s32(vi_of_bits(a), vi_of_bits(b))); }
INLINE vf vf_or(vf a, vf b) { return vf_of_bits(vorrq_s32(vi_of_bits(a), vi_of_bits(b))); }
INLINE vmask vf_less(vf a, vf b) { return vcltq_f32(a, b); }
INLINE vmask vf_is_nan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
INLINE vf vf_pick(vmask m, vf yes, vf no) { return vbslq_f32(m, yes, no); }
INLINE vmask vmask_range(int low, int high)
{
    static const int32_t lanes[4] = { 0, 1, 2, 3 };
    int32x4_t i = vld1q_s32(lanes);
    return vandq_u32(vcgeq_s32(i, vdupq_n_s32(low)), vcltq_s32(i, vdupq_n_s32(high)));
}

/* There are no masked loads: whole vectors as such, the rest lane by lane. */
INLINE vf vf_load_some(const float *p, vmask m)
{
    vf x = vf_zero();
    if (vminvq_u32(m) != 0)
        return vf_load(p);
    x = vgetq_lane_u32(m, 0) != 0 ? vld1q_lane_f32(p, x, 0) : x;
    x = vgetq_lane_u32(m, 1) != 0 ? vld1q_lane_f32(p + 1, x, 1) : x;
    x = vgetq_lane_u32(m, 2) != 0 ? vld1q_lane_f32(p + 2, x, 2) : x;
    return vgetq_lane_u32(m, 3) != 0 ? vld1q_lane_f32(p + 3, x, 3) : x;
}
INLINE void vf_store_some(float *p, vmask m, vf x)
{
    if (vminvq_u32(m) != 0) {
        vf_store(p, x);
        return;
    }
    if (vgetq_lane_u32(m, 0) != 0)
        vst1q_lane_f32(p, x, 0);
    if (vgetq_lane_u32(m, 1) != 0)
        vst1q_lane_f32(p + 1, x, 1);
    if (vgetq_lane_u32(m, 2) != 0)
        vst1q_lane_f32(p + 2, x, 2);
    if (vgetq_lane_u32(m, 3) != 0)
        vst1q_lane_f32(p + 3, x, 3);
}

INLINE vf vf_of_int(vi x) { return vcvtq_f32_s32(x); }
INLINE vi vi_of_float(vf x) { return vcvtnq_s32_f32(x); }

INLINE vi vi_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
INLINE void vi_store(void *p, vi x) { vst1q_u8(p, vreinterpretq_u8_s32(x)); }
INLINE vi vi_all(uint32_t x) { return vdupq_n_s32((int32_t)x); }
INLINE vi vi_all_kept(uint32_t x) { return vi_all(x); }
INLINE vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
INLINE vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
INLINE vi vi_xor(vi a, vi b) { return veorq_s32(a, b); }
INLINE vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
INLINE vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
INLINE vi vi_mul(vi a, vi b) { return vmulq_s32(a, b); }
INLINE vi vi_max(vi a, vi b) { return vmaxq_s32(a, b); }
INLINE vi vi_zero(void) { return vdupq_n_s32(0); }
INLINE vi vi_sub8(vi a, vi b) { return vreinterpretq_s32_s8(vsubq_s8(vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))); }
INLINE vi vi_sub16(vi a, vi b) { return vreinterpretq_s32_s16(vsubq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b))); }
INLINE vi vi_choose(vi m, vi yes, vi no) { return vbslq_s32(vreinterpretq_u32_s32(m), yes, no); }
INLINE vi vi_min_u8(vi a, vi b) { return vreinterpretq_s32_u8(vminq_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b))); }
/* By the compilers' own operators: the intrinsics want literals, these any constant after inlining. */
INLINE vi vi_shl16(vi a, int n) { return vreinterpretq_s32_u16(vreinterpretq_u16_s32(a) << n); }
INLINE vi vi_shr16(vi a, int n) { return vreinterpretq_s32_u16(vreinterpretq_u16_s32(a) >> n); }
INLINE vi vi_sar16(vi a, int n) { return vreinterpretq_s32_s16(vreinterpretq_s16_s32(a) >> n); }
INLINE vi vi_shl(vi a, int n) { return vreinterpretq_s32_u32(vreinterpretq_u32_s32(a) << n); }
INLINE vi vi_shr(vi a, int n) { return vreinterpretq_s32_u32(vreinterpretq_u32_s32(a) >> n); }
INLINE vi vi_sar(vi a, int n) { return a >> n; }
INLINE vi vi_dot16(vi acc, vi a, vi b)
{
    int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    return vaddq_s32(acc, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
}
#define WEIGHTS_ABOVE 0
#define SPLITS 0
#define FETCHES_OTHERWISE false /* direct.h */
#ifndef BYTE_PRODUCTS
/* acc + the products of the four signed bytes of each dword; two of them fit 16 bits as long as one of each is not -128. */
INLINE vi vi_dot4(vi acc, vi w, vi a)
{
    int8x16_t x = vreinterpretq_s8_s32(w), y = vreinterpretq_s8_s32(a);
    return vpadalq_s16(acc, vpaddq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)), vmull_high_s8(x, y)));
}
#endif
INLINE uint32_t vi_max_lanes(vi x) { return (uint32_t)vmaxvq_s32(x); }
INLINE int32_t vi_sum_lanes(vi x) { return vaddvq_s32(x); }
INLINE void vi_store_columns(int16_t *p, vi x)
{
    int16x4_t packed = vqmovn_s32(x);
    vst1_s16(p, vcopy_lane_s16(vcopy_lane_s16(packed, 1, packed, 2), 2, packed, 1));
}
INLINE void vi_store_bytes(int8_t *p, vi x)
{
    int16x4_t packed = vqmovn_s32(x);
    int8x8_t bytes = vqmovn_s16(vcombine_s16(packed, packed));
    vst1_lane_s32((void *)p, vreinterpret_s32_s8(bytes), 0);
}
INLINE void vi_choose_both(vi m, vi yes, vi no, vi *ret, vi *ret_other)
{
    *ret = vi_choose(m, yes, no);
    *ret_other = vi_choose(m, no, yes);
}
INLINE vi vi_top_byte(vi a, const int n) { return vi_and(n == 3 ? a : vi_shl(a, 24 - 8 * n), vi_all(0xff000000)); }
INLINE vi vi_byte(vi a, const int n) { return vi_and(n == 0 ? a : vi_shr(a, 8 * n), vi_all(0xff)); }
INLINE vi vi_spread_byte(vi a, int n)
{
    static const uint8_t first[16] = { 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12 };
    return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(a), vaddq_u8(vld1q_u8(first), vdupq_n_u8((uint8_t)n))));
}

INLINE vi vi_lookup(const int8_t *table, vi x)
{
    return vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(table), vreinterpretq_u8_s32(x)));
}
INLINE vi vi_lookup_low(const int8_t *table, vi x) { return vi_lookup(table, vi_and(x, vi_all(0x0f0f0f0f))); }
INLINE vf vf_odd(vi x, const uint32_t mask)
{
    return vf_of_int(vi_or(vi_and(vi_shl(x, 1), vi_all(2 * mask)), vi_all(1)));
}
INLINE vi vi_load_u8(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four))))));
}
INLINE vi vi_gather(const uint32_t *table, vi x)
{
    vi y = vi_all(table[vgetq_lane_s32(x, 0)]);
    y = vsetq_lane_s32((int32_t)table[vgetq_lane_s32(x, 1)], y, 1);
    y = vsetq_lane_s32((int32_t)table[vgetq_lane_s32(x, 2)], y, 2);
    return vsetq_lane_s32((int32_t)table[vgetq_lane_s32(x, 3)], y, 3);
}

INLINE vf vf_load_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
INLINE void vf_store_f16(uint16_t *p, vf x) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x))); }
INLINE vf vf_load_i8(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vf_of_int(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}
INLINE vf vf_load_bf16(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
INLINE void vi_store_u16(uint16_t *p, vi x) { vst1_u16(p, vmovn_u32(vreinterpretq_u32_s32(x))); }
INLINE void vf_of_halves(vi x, vf *ret_low, vf *ret_high)
{
    uint32x4_t bits = vreinterpretq_u32_s32(x);
    *ret_low = vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(bits)));
    *ret_high = vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(bits, 16)));
}

INLINE float vf_sum(vf x)
{
    float32x2_t s = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(vpadd_f32(s, s), 0);
}
INLINE float vf_max_lanes(vf x) /* of the pairs the second where either is NaN, as vf_max() */
{
    vf s = vf_max(x, vextq_f32(x, x, 2));
    return vf_first(vf_max(s, vextq_f32(s, s, 1)));
}

INLINE vf vf_scale(vf x, vf n)
{
    vi i = vi_of_float(n), half = vi_sar(i, 1);
    vf a = vf_of_bits(vi_shl(vi_add(half, vi_all(127)), 23));
    vf b = vf_of_bits(vi_shl(vi_add(vi_sub(i, half), vi_all(127)), 23));
    return vf_mul(vf_mul(x, a), b);
}

INLINE vf vf_bound_exponent(vf x) { return vf_max(vf_all(-151.0f), x); }
INLINE vf vf_floor(vf x) { return vrndmq_f32(x); }
INLINE vf vf_fraction(vf x) { return vf_sub(x, vf_floor(x)); }
INLINE vf vf_scale_floor(vf x, vf n) { return vf_scale(x, vf_floor(n)); }

INLINE void load_columns(const uint8_t *p, int64_t stride, vi v[4])
{
    vi r0 = vi_load(p), r1 = vi_load(p + stride), r2 = vi_load(p + 2 * stride), r3 = vi_load(p + 3 * stride);
    int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(r0, r1)), b = vreinterpretq_s64_s32(vtrn1q_s32(r2, r3));
    int64x2_t c = vreinterpretq_s64_s32(vtrn2q_s32(r0, r1)), d = vreinterpretq_s64_s32(vtrn2q_s32(r2, r3));
    v[0] = vreinterpretq_s32_s64(vtrn1q_s64(a, b));
    v[1] = vreinterpretq_s32_s64(vtrn1q_s64(c, d));
    v[2] = vreinterpretq_s32_s64(vtrn2q_s64(a, b));
    v[3] = vreinterpretq_s32_s64(vtrn2q_s64(c, d));
}

#endif
