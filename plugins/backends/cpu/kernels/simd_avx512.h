/* simd_avx512.h - the vector words of level avx512 (AVX-512 F BW VL DQ, VNNI). Same words as simd_avx2.h, which tells what
 * each means where that is not plain. */
#ifndef TENON_CPU_SIMD_H
#define TENON_CPU_SIMD_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifndef LEVEL
#define LEVEL(name) cpu_##name##_avx512
#endif
#define LANES 16

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vmask;

#define INLINE static inline __attribute__((always_inline))

INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
INLINE vf vf_all(float x) { return _mm512_set1_ps(x); }
INLINE float vf_first(vf a) { return _mm512_cvtss_f32(a); }
INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
INLINE vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf vf_and_bits(vf a, uint32_t bits) { return _mm512_and_ps(a, _mm512_castsi512_ps(_mm512_set1_epi32((int)bits))); }
INLINE vf vf_xor(vf a, vf b) { return _mm512_xor_ps(a, b); }
INLINE vf vf_or(vf a, vf b) { return _mm512_or_ps(a, b); }
INLINE vmask vf_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
INLINE vmask vf_is_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
INLINE vf vf_pick(vmask m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
INLINE vf vf_load_some(const float *p, vmask m) { return _mm512_maskz_loadu_ps(m, p); }
INLINE void vf_store_some(float *p, vmask m, vf x) { _mm512_mask_storeu_ps(p, m, x); }
INLINE vmask vmask_range(int low, int high)
{
    low = low < 0 ? 0 : low > 16 ? 16 : low;
    high = high < 0 ? 0 : high > 16 ? 16 : high;
    return (vmask)(((1u << high) - 1u) & ~((1u << low) - 1u));
}

INLINE vf vf_of_int(vi x) { return _mm512_cvtepi32_ps(x); }
INLINE vi vi_of_float(vf x) { return _mm512_cvtps_epi32(x); }
INLINE vf vf_of_bits(vi x) { return _mm512_castsi512_ps(x); }
INLINE vi vi_of_bits(vf x) { return _mm512_castps_si512(x); }

INLINE vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE void vi_store(void *p, vi x) { _mm512_storeu_si512(p, x); }
INLINE vi vi_all(uint32_t x) { return _mm512_set1_epi32((int)x); }
/* The same by way of memory, for operands of one use: from an integer's register it is an instruction of its own for the units
 * that compute with vectors, from memory a part of the one that uses it. */
INLINE vi vi_all_kept(uint32_t x)
{
    __asm__("" : "+m"(x));
    return vi_all(x);
}
INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
INLINE vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
INLINE vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
INLINE vi vi_zero(void) { return _mm512_setzero_si512(); }
INLINE vi vi_sub8(vi a, vi b) { return _mm512_sub_epi8(a, b); }
INLINE vi vi_sub16(vi a, vi b) { return _mm512_sub_epi16(a, b); }
INLINE vi vi_mul16(vi a, vi b) { return _mm512_mullo_epi16(a, b); }
#define vi_shl16(a, n) _mm512_slli_epi16(a, n)
#define vi_shr16(a, n) _mm512_srli_epi16(a, n)
#define vi_sar16(a, n) _mm512_srai_epi16(a, n)
INLINE vi vi_dot16(vi acc, vi a, vi b) { return _mm512_dpwssd_epi32(acc, a, b); }
#define WEIGHTS_ABOVE 128
INLINE vi vi_dot4(vi acc, vi w, vi a) { return _mm512_dpbusd_epi32(acc, w, a); }
/* w, without a sign, by the four bytes with one at p, in all lanes; by intrinsics gcc loads them in an instruction of its own. */
INLINE vi vi_dot4_at(vi acc, vi w, const int8_t *p)
{
#ifdef FEW_TOKENS /* sanitizers do not see what assembly loads */
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vi_dot4(acc, w, _mm512_set1_epi32(four));
#else
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const int8_t (*)[4])p));
    return acc;
#endif
}
INLINE uint32_t vi_max_lanes(vi x) { return (uint32_t)_mm512_reduce_max_epi32(x); }
INLINE int32_t vi_sum_lanes(vi x) { return _mm512_reduce_add_epi32(x); }
INLINE void vi_store_columns(int16_t *p, vi x)
{
    __m256i packed = _mm512_cvtepi32_epi16(x);
    _mm256_storeu_si256((void *)p, _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(packed, 0xd8), 0xd8));
}
#define SPLITS 1
#define FETCHES_OTHERWISE true /* direct.h: as the processor wants it */
INLINE void vi_store_split(int8_t *low, int8_t *high, vi x)
{
    _mm_storeu_si128((void *)low, _mm512_cvtepi32_epi8(x));
    _mm_storeu_si128((void *)high, _mm512_cvtepi32_epi8(_mm512_srai_epi32(_mm512_add_epi32(x, _mm512_set1_epi32(128)), 8)));
}
/* See cpu_act.moved; exact. */
INLINE void vi_store_moved(float *p, vi x)
{
    x = _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_CDAB));
    x = _mm512_add_epi32(x, _mm512_shuffle_epi32(x, _MM_PERM_BADC));
    x = _mm512_add_epi32(x, _mm512_shuffle_i32x4(x, x, 0xb1)); /* in each lane its half's sum */
    const __m128 first = _mm_cvtepi32_ps(_mm512_castsi512_si128(x)), second = _mm_cvtepi32_ps(_mm512_extracti32x4_epi32(x, 2));
    const __m128 of_first = _mm_mul_ps(first, _mm_setr_ps(-9, -9, -7, -7));
    _mm_storeu_ps(p, _mm_fmadd_ps(second, _mm_setr_ps(-9, -7, -9, -7), of_first));
}
INLINE void vi_store_bytes(int8_t *p, vi x) { _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(x)); }
#define vi_shl(a, n) _mm512_slli_epi32(a, n)
#define vi_shr(a, n) _mm512_srli_epi32(a, n)
#define vi_sar(a, n) _mm512_srai_epi32(a, n)
INLINE vi vi_choose(vi m, vi yes, vi no) { return _mm512_ternarylogic_epi32(m, yes, no, 0xca); }
INLINE vi vi_min_u8(vi a, vi b) { return _mm512_min_epu8(a, b); }
INLINE void vi_choose_both(vi m, vi yes, vi no, vi *ret, vi *ret_other)
{
    *ret = vi_choose(m, yes, no);
    *ret_other = vi_choose(m, no, yes);
}
/* By shuffles where a shift and a mask would do: one instruction for two. */
INLINE vi vi_top_byte(vi a, const int n)
{
    return n == 3 ? vi_and(a, vi_all(0xff000000))
                  : _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(_mm_setr_epi32(0x00808080 + (n << 24), 0x04808080 + (n << 24),
                                                                                 0x08808080 + (n << 24), 0x0c808080 + (n << 24))));
}
INLINE vi vi_byte(vi a, const int n)
{
    const int above = (int)0x80808000u + n;
    return n == 0   ? vi_and(a, vi_all(0xff))
           : n == 3 ? vi_shr(a, 24)
                    : _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(_mm_setr_epi32(above, above + 4, above + 8, above + 12)));
}
INLINE vi vi_spread_byte(vi a, int n)
{
    vi base = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    return _mm512_shuffle_epi8(a, _mm512_add_epi8(base, _mm512_set1_epi8((char)n)));
}

INLINE vi vi_lookup(const int8_t *table, vi x)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)table)), x);
}
#ifdef __AVX512VBMI__
#define LOOKS_AT_SIX_BITS
INLINE vi vi_lookup_low(const int8_t *table, vi x)
{
    return _mm512_permutexvar_epi8(x, _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)table)));
}
INLINE vi vi_lookup_six(const int8_t *table, vi x) { return _mm512_permutexvar_epi8(x, vi_load(table)); }
#else
INLINE vi vi_lookup_low(const int8_t *table, vi x) { return vi_lookup(table, vi_and(x, vi_all(0x0f0f0f0f))); }
#endif
#ifdef __GFNI__
#define TURNS_BITS
/* Of each lane's four bytes the bits that byte n of `masks` has alone: to bits 8 n to 8 n + 3, the last byte's lowest. What other bits hold
 * is of no use. */
INLINE vi vi_turn_bits(vi x, uint32_t masks)
{
    const vi turned = _mm512_gf2p8affine_epi64_epi8(vi_all(masks), x, 0); /* of even lanes four bits higher */
    return _mm512_srlv_epi32(turned, _mm512_set1_epi64(4));
}
/* One of four for each lane, by its two lowest bits. */
INLINE vf vf_one_of(const float *four, vi x) { return _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(four)), x); }
#endif
INLINE vf vf_odd(vi x, const uint32_t mask)
{
    const vf of_15 = _mm512_setr_ps(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const vf of_7 = _mm512_setr_ps(1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm512_permutexvar_ps(x, mask == 15 ? of_15 : of_7); /* looks at four bits of x */
}
INLINE vi vi_load_u8(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)); }
INLINE vi vi_gather(const uint32_t *table, vi x) { return _mm512_i32gather_epi32(x, table, 4); }

INLINE void vf_of_halves(vi x, vf *ret_low, vf *ret_high)
{
    *ret_low = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x)); /* cuts off the upper half */
    *ret_high = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(vi_shr(x, 16)));
}

INLINE vf vf_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }
INLINE void vf_store_f16(uint16_t *p, vf x) { _mm256_storeu_si256((void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
INLINE vf vf_load_i8(const int8_t *p) { return vf_of_int(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p))); }
INLINE vf vf_load_bf16(const uint16_t *p) { return vf_of_bits(vi_shl(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16)); }
INLINE void vi_store_u16(uint16_t *p, vi x) { _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(x)); }

INLINE float vf_sum(vf x)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float vf_max_lanes(vf x)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

INLINE vf vf_scale(vf x, vf n) { return _mm512_scalef_ps(x, n); }
INLINE vf vf_bound_exponent(vf x) { return x; } /* these two do what they must with any */
INLINE vf vf_fraction(vf x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vf vf_scale_floor(vf x, vf n) { return _mm512_scalef_ps(x, n); }

INLINE vi rows_at(const uint8_t *p, int64_t stride) /* 16 bytes of rows 0, 4, 8, 12 */
{
    vi v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p + 4 * stride)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p + 8 * stride)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p + 12 * stride)), 3);
}

INLINE void load_columns(const uint8_t *p, int64_t stride, vi v[4])
{
    vi r0 = rows_at(p, stride), r1 = rows_at(p + stride, stride);
    vi r2 = rows_at(p + 2 * stride, stride), r3 = rows_at(p + 3 * stride, stride);
    vi a = _mm512_unpacklo_epi32(r0, r1), b = _mm512_unpacklo_epi32(r2, r3);
    vi c = _mm512_unpackhi_epi32(r0, r1), d = _mm512_unpackhi_epi32(r2, r3);
    v[0] = _mm512_unpacklo_epi64(a, b);
    v[1] = _mm512_unpackhi_epi64(a, b);
    v[2] = _mm512_unpacklo_epi64(c, d);
    v[3] = _mm512_unpackhi_epi64(c, d);
}

#endif
