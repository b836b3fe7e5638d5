/* simd_avx2.h - the vector words of level avx2 (AVX2, FMA, F16C): what the shared templates (unpack.h, rows.h, attention.h)
 * are written in. simd_avx512.h has the same words; include one of them, first, in a file compiled for that level. */
#ifndef TENON_CPU_SIMD_H
#define TENON_CPU_SIMD_H

#include <immintrin.h>
#include <stdint.h>

#define LEVEL(name) cpu_##name##_avx2
#define LANES 8

typedef __m256 vf;      /* floats */
typedef __m256i vi;     /* dwords */
typedef __m256i vmask;  /* all ones in the lanes meant */

#define INLINE static inline __attribute__((always_inline))

INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
INLINE vf vf_all(float x) { return _mm256_set1_ps(x); }
INLINE float vf_first(vf a) { return _mm256_cvtss_f32(a); }
INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); } /* c - a b */
INLINE vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); } /* b where either is NaN */
INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); } /* b where either is NaN */
INLINE vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf vf_and_bits(vf a, uint32_t bits) { return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32((int)bits))); }
INLINE vf vf_xor(vf a, vf b) { return _mm256_xor_ps(a, b); }
INLINE vf vf_or(vf a, vf b) { return _mm256_or_ps(a, b); }
INLINE vmask vf_less(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); } /* false for NaN */
INLINE vmask vf_is_nan(vf a) { return _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)); }
INLINE vf vf_pick(vmask m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(m)); }
INLINE vf vf_load_some(const float *p, vmask m) { return _mm256_maskload_ps(p, m); } /* 0 elsewhere, untouched there */
INLINE void vf_store_some(float *p, vmask m, vf x) { _mm256_maskstore_ps(p, m, x); }
INLINE vmask vmask_range(int low, int high) /* lanes low <= i < high */
{
    vi i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(low), i), _mm256_cmpgt_epi32(_mm256_set1_epi32(high), i));
}

INLINE vf vf_of_int(vi x) { return _mm256_cvtepi32_ps(x); }
INLINE vi vi_of_float(vf x) { return _mm256_cvtps_epi32(x); } /* to nearest even */
INLINE vf vf_of_bits(vi x) { return _mm256_castsi256_ps(x); }
INLINE vi vi_of_bits(vf x) { return _mm256_castps_si256(x); }

INLINE vi vi_load(const void *p) { return _mm256_loadu_si256(p); }
INLINE void vi_store(void *p, vi x) { _mm256_storeu_si256(p, x); }
INLINE vi vi_all(uint32_t x) { return _mm256_set1_epi32((int)x); }
INLINE vi vi_all_kept(uint32_t x) { return vi_all(x); }
INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
INLINE vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
INLINE vi vi_mul16(vi a, vi b) { return _mm256_mullo_epi16(a, b); } /* of each 16 bits */
INLINE vi vi_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
INLINE vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
INLINE vi vi_zero(void) { return _mm256_setzero_si256(); }
INLINE vi vi_sub8(vi a, vi b) { return _mm256_sub_epi8(a, b); }   /* of each byte */
INLINE vi vi_sub16(vi a, vi b) { return _mm256_sub_epi16(a, b); } /* of each 16 bits */
#define vi_shl16(a, n) _mm256_slli_epi16(a, n)
#define vi_shr16(a, n) _mm256_srli_epi16(a, n)
#define vi_sar16(a, n) _mm256_srai_epi16(a, n)
/* acc + the products of the two signed 16-bit halves of each dword. */
INLINE vi vi_dot16(vi acc, vi a, vi b) { return vi_add(acc, _mm256_madd_epi16(a, b)); }
/* Products of bytes, in quads.h: of two by two in 16 bits; w without sign and below 128, or signed and a no -128. */
#define SUMS_OF_16
#define SPLITS 0 /* no splits.h */
#define FETCHES_OTHERWISE true /* direct.h: as the processor wants it */
#define WEIGHTS_ABOVE 0
INLINE vi vi_dot2(vi w, vi a) { return _mm256_maddubs_epi16(w, a); }
INLINE vi vi_dot2_signed(vi w, vi a) { return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)); }
INLINE vi vi_add16(vi a, vi b) { return _mm256_add_epi16(a, b); }
INLINE vi vi_widen16(vi acc, vi x) { return vi_add(acc, _mm256_madd_epi16(x, _mm256_set1_epi16(1))); } /* acc + both 16 bits of each */
INLINE uint32_t vi_max_lanes(vi x) /* signed */
{
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}
INLINE int32_t vi_sum_lanes(vi x)
{
    __m128i h = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    h = _mm_add_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}
/* As 16 bits in cpu_act's order of columns. */
INLINE void vi_store_columns(int16_t *p, vi x)
{
    __m128i packed = _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packs_epi32(x, x), 0xd8));
    _mm_storeu_si128((void *)p, _mm_shufflehi_epi16(_mm_shufflelo_epi16(packed, 0xd8), 0xd8));
}
INLINE void vi_store_bytes(int8_t *p, vi x)
{
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((void *)p, _mm_packs_epi16(words, words));
}
#define vi_shl(a, n) _mm256_slli_epi32(a, n)
#define vi_shr(a, n) _mm256_srli_epi32(a, n)
#define vi_sar(a, n) _mm256_srai_epi32(a, n)
INLINE vi vi_choose(vi m, vi yes, vi no) { return vi_or(vi_and(m, yes), _mm256_andnot_si256(m, no)); } /* bit by bit */
/* vi_choose() of yes and no by m and of no and yes */
INLINE void vi_choose_both(vi m, vi yes, vi no, vi *ret, vi *ret_other)
{
    vi change = vi_and(m, vi_xor(yes, no));
    *ret = vi_xor(no, change);
    *ret_other = vi_xor(yes, change);
}
INLINE vi vi_min_u8(vi a, vi b) { return _mm256_min_epu8(a, b); }
/* Byte n of each dword into all four of its bytes. */
INLINE vi vi_spread_byte(vi a, int n)
{
    vi base = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    return _mm256_shuffle_epi8(a, _mm256_add_epi8(base, _mm256_set1_epi8((char)n)));
}

/* Byte n of each dword as its uppermost byte, with 0 below. */
INLINE vi vi_top_byte(vi a, int n)
{
    vi base = _mm256_setr_epi32(0, 0x04000000, 0x08000000, 0x0c000000, 0, 0x04000000, 0x08000000, 0x0c000000);
    return _mm256_shuffle_epi8(a, _mm256_add_epi32(base, _mm256_set1_epi32(0x00808080 + (n << 24))));
}

/* Byte n of each dword as a dword. */
INLINE vi vi_byte(vi a, const int n)
{
    const int above = (int)0x80808000u + n;
    if (n == 0)
        return vi_and(a, vi_all(0xff));
    if (n == 3)
        return vi_shr(a, 24);
    return _mm256_shuffle_epi8(a, _mm256_setr_epi32(above, above + 4, above + 8, above + 12, above, above + 4, above + 8, above + 12));
}

/* What 16 bytes have at the places, below 16, that the bytes of x name. */
INLINE vi vi_lookup(const int8_t *table, vi x)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table)), x);
}
/* The same at the places that the lower nibbles of x name. LOOKS_AT_SIX_BITS: it takes no mask (AVX512_VBMI, which looks in 64 bytes,
 * so the table four times), and vi_lookup_six() does the same in a table of 64. */
INLINE vi vi_lookup_low(const int8_t *table, vi x) { return vi_lookup(table, vi_and(x, vi_all(0x0f0f0f0f))); }
/* 2 n + 1, n the bits of x in `mask`, 7 or 15. */
INLINE vf vf_odd(vi x, const uint32_t mask)
{
    if (mask == 7)
        return _mm256_permutevar8x32_ps(_mm256_setr_ps(1, 3, 5, 7, 9, 11, 13, 15), x); /* looks at three bits of x */
    return vf_of_int(vi_or(vi_and(vi_shl(x, 1), vi_all(2 * mask)), vi_all(1)));
}
INLINE vi vi_load_u8(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p)); } /* a byte to each dword */
INLINE vi vi_load_u8_twice(const uint8_t *p) /* a byte to both halves of each dword */
{
    const vi places = _mm256_setr_epi32(0x80008000u, 0x80018001u, 0x80028002u, 0x80038003u, 0x80048004u, 0x80058005u, 0x80068006u,
                                        0x80078007u);
    return _mm256_shuffle_epi8(_mm256_broadcastq_epi64(_mm_loadl_epi64((const void *)p)), places);
}
/* table[x] by lanes. The index stands in a register of its own, since qemu 7.2, by which tools/cross runs this level, takes ymm4 as
 * index of a gather for no index at all. */
INLINE vi vi_gather(const uint32_t *table, vi x)
{
    register vi index __asm__("ymm5") = x;
    vi mask = vi_all(0xffffffff), y;
    __asm__("vpgatherdd %1, (%2,%3,4), %0" : "=&x"(y), "+&x"(mask) : "r"(table), "x"(index)); /* tables are constants: no clobber */
    return y;
}

/* Halves in the low and in the high 16 bits of each dword. */
INLINE void vf_of_halves(vi x, vf *ret_low, vf *ret_high)
{
    vi packed = _mm256_packus_epi32(vi_and(x, vi_all(0xffff)), vi_shr(x, 16)); /* low 0-3, high 0-3, low 4-7, high 4-7 */
    packed = _mm256_permute4x64_epi64(packed, 0xd8);
    *ret_low = _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
    *ret_high = _mm256_cvtph_ps(_mm256_extracti128_si256(packed, 1));
}

INLINE vf vf_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p)); }
INLINE void vf_store_f16(uint16_t *p, vf x) { _mm_storeu_si128((void *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
INLINE vf vf_load_i8(const int8_t *p) { return vf_of_int(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p))); }
INLINE vf vf_load_bf16(const uint16_t *p) { return vf_of_bits(vi_shl(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16)); }
INLINE void vi_store_u16(uint16_t *p, vi x) /* values below 2^16 */
{
    vi packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(x, x), 0xd8);
    _mm_storeu_si128((void *)p, _mm256_castsi256_si128(packed));
}

/* Sum and maximum over the lanes, by one fixed tree. */
INLINE float vf_sum(vf x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float vf_max_lanes(vf x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* 2^n x for whole n in [-252, 254], in two steps so that results may be denormal. */
INLINE vf vf_scale(vf x, vf n)
{
    vi i = vi_of_float(n), half = vi_sar(i, 1);
    vf a = vf_of_bits(vi_shl(vi_add(half, vi_all(127)), 23));
    vf b = vf_of_bits(vi_shl(vi_add(vi_sub(i, half), vi_all(127)), 23));
    return vf_mul(vf_mul(x, a), b);
}

/* What follows is for exp2: x no lower than its result may tell, what of x is above the whole number below it, and 2^floor(n) x. */
INLINE vf vf_bound_exponent(vf x) { return vf_max(vf_all(-151.0f), x); }
INLINE vf vf_floor(vf x) { return _mm256_floor_ps(x); }
INLINE vf vf_fraction(vf x) { return vf_sub(x, vf_floor(x)); }
INLINE vf vf_scale_floor(vf x, vf n) { return vf_scale(x, vf_floor(n)); }

/* Dword i of the 16 bytes at p + r * stride into lane r of v[i]. */
INLINE void load_columns(const uint8_t *p, int64_t stride, vi v[4])
{
    vi r[4];
    for (int i = 0; i < 4; i++)
        r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)(p + i * stride))),
                                       _mm_loadu_si128((const void *)(p + (i + 4) * stride)), 1);
    vi a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpacklo_epi32(r[2], r[3]);
    vi c = _mm256_unpackhi_epi32(r[0], r[1]), d = _mm256_unpackhi_epi32(r[2], r[3]);
    v[0] = _mm256_unpacklo_epi64(a, b);
    v[1] = _mm256_unpackhi_epi64(a, b);
    v[2] = _mm256_unpacklo_epi64(c, d);
    v[3] = _mm256_unpackhi_epi64(c, d);
}

#endif
