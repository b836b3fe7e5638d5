/* bits.h - unaligned loads and half-float conversion in plain C, for what runs once per row or on every machine. */
#ifndef TENON_CPU_BITS_H
#define TENON_CPU_BITS_H

#include <stdint.h>
#include <string.h>

static inline uint16_t cpu_load16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t cpu_load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float cpu_float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t cpu_bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Exact. Denormal halves are whole multiples of 2^-24. */
static inline float cpu_f16_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = (h >> 10) & 31u, man = h & 0x3ffu;
    if (exp == 0)
        return cpu_float_of(sign | cpu_bits_of((float)man * 0x1p-24f));
    if (exp == 31)
        return cpu_float_of(sign | 0x7f800000u | (man != 0 ? 0x400000u : 0u) | man << 13);
    return cpu_float_of(sign | (exp + 112u) << 23 | man << 13);
}

/* To nearest even; overflow gives infinity, NaN stays a (quiet) NaN. */
static inline uint16_t cpu_float_f16(float f)
{
    uint32_t bits = cpu_bits_of(f), sign = bits >> 16 & 0x8000u, mag = bits & 0x7fffffffu;
    if (mag > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (mag >> 13 & 0x1ffu));
    if (mag >= 0x477ff000u) /* 65520 and up round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (mag < 0x38800000u) /* below 2^-14: adding 0.5 leaves the multiple of 2^-24 in the low bits, rounded */
        return (uint16_t)(sign | (cpu_bits_of(cpu_float_of(mag) + 0.5f) - 0x3f000000u));
    return (uint16_t)(sign | ((mag - 0x38000000u + 0xfffu + (mag >> 13 & 1u)) >> 13));
}

static inline float cpu_bf16_float(uint16_t h)
{
    return cpu_float_of((uint32_t)h << 16);
}

static inline uint16_t cpu_float_bf16(float f)
{
    uint32_t bits = cpu_bits_of(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Scale and minimum j (0..7) of Q4_K and Q5_K, 6 bits each in 12 bytes. */
static inline void cpu_k_scale(const uint8_t *s, int j, uint32_t *ret_scale, uint32_t *ret_min)
{
    if (j < 4) {
        *ret_scale = s[j] & 63u;
        *ret_min = s[j + 4] & 63u;
    } else {
        *ret_scale = (s[j + 4] & 15u) | (uint32_t)(s[j - 4] >> 6) << 4;
        *ret_min = (uint32_t)(s[j + 4] >> 4) | (uint32_t)(s[j] >> 6) << 4;
    }
}

#endif
