/* repack_fives.c - the same as repack.c for Q5_0, Q5_1 and Q5_K: where the fifth bit of a weight stands. [any-thread]
 * Contract: repack.h. */
#include "repack.h"

#include <string.h>

#include "bits.h"

/* Of Q5_K: bytes before the 20 of each sub-block, and where the file has fifth bits and nibbles. */
enum { K_HEAD = 16, K_BYTES = 20, K_FIFTH = 16, K_NIBBLES = 48 };

/* By dword of nibbles: the bit of `beside` that a lower nibble's weight has as its uppermost, and an upper one's as its lowest. */
static const int top_bit[4] = { 4, 6, 2, 7 }, low_bit[4] = { 3, 5, 1, 0 };

/* Bytes of d, and of m where there is one, and of Q5_K of scales: packed blocks have the same. */
static int head_bytes(enum cpu_format format)
{
    switch (format) {
    case CPU_Q5_K: case CPU_PACKED_Q5_K: return K_HEAD;
    case CPU_Q5_1: case CPU_PACKED_Q5_1: return 4;
    default: return 2;
    }
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* The 8 bits of x in bytes of their own, as 0x80. */
static uint64_t spread(uint8_t x)
{
    const uint64_t each = x * 0x0101010101010101u & 0x8040201008040201u; /* byte k: 1 << k or 0 */
    return (each + 0x00406070787c7e7fu) & 0x8080808080808080u;
}

/* 32 columns to 20 bytes: column j and, above it, 16 + j in byte j of the nibbles; the fifth bits of eight columns each as 0x80. */
static void put_fives(const uint64_t nibbles[2], const uint64_t fifth[4], uint8_t *ret)
{
    uint64_t with_fifth[2];
    uint32_t beside = 0;
    for (int k = 0; k < 2; k++) {
        const uint64_t x = nibbles[k];
        for (int i = 2 * k, shift = 0; i < 2 * k + 2; i++, shift = 32) {
            beside |= (uint32_t)(fifth[k] >> shift) >> (7 - top_bit[i]);
            beside |= ((uint32_t)(x >> shift) >> 4 & 0x01010101u) << low_bit[i];
        }
        with_fifth[k] = (x & 0x0f0f0f0f0f0f0f0fu) | (x >> 1 & 0x7070707070707070u) | fifth[2 + k];
    }
    memcpy(ret, &beside, sizeof beside);
    memcpy(ret + 4, with_fifth, sizeof with_fifth);
}

/* `block`: 32 fifth bits, then nibbles. */
static void repack(const uint8_t *block, uint8_t *ret)
{
    const uint64_t nibbles[2] = { load64(block + 4), load64(block + 12) };
    uint64_t fifth[4];
    for (int k = 0; k < 4; k++)
        fifth[k] = spread(block[k]);
    put_fives(nibbles, fifth, ret);
}

/* Sub-block j: the fifth bits are bit j of 32 bytes, the nibbles lower or upper ones. */
static void repack_k(const uint8_t *block, int j, uint8_t *ret)
{
    const uint8_t *q = block + K_NIBBLES + 32 * (j >> 1);
    const uint64_t lower = 0x0f0f0f0f0f0f0f0fu;
    uint64_t nibbles[2], fifth[4];
    for (int k = 0; k < 2; k++) {
        uint64_t first = load64(q + 8 * k) >> 4 * (j & 1) & lower, second = load64(q + 16 + 8 * k) >> 4 * (j & 1) & lower;
        nibbles[k] = first | second << 4;
    }
    for (int k = 0; k < 4; k++)
        fifth[k] = (load64(block + K_FIFTH + 8 * k) >> j & 0x0101010101010101u) << 7;
    put_fives(nibbles, fifth, ret);
}

bool cpu_repack_five(enum cpu_format format, const uint8_t *block, uint8_t *ret)
{
    const int head = head_bytes(format);
    if (format != CPU_Q5_0 && format != CPU_Q5_1 && format != CPU_Q5_K)
        return false;
    memcpy(ret, block, (size_t)head);
    if (format != CPU_Q5_K)
        repack(block + head, ret + head);
    for (int j = 0; format == CPU_Q5_K && j < 8; j++)
        repack_k(block, j, ret + head + K_BYTES * j);
    return true;
}

/* ---- what they hold */

static void unpack(const uint8_t *p, int offset, int8_t *ret_q)
{
    const uint8_t *nibbles = p + 4;
    for (int j = 0; j < 16; j++) {
        int bits = p[j & 3], top = bits >> top_bit[j >> 2] & 1, low = bits >> low_bit[j >> 2] & 1;
        ret_q[j] = (int8_t)((nibbles[j] & 15) + 16 * top - offset);
        ret_q[j + 16] = (int8_t)((nibbles[j] >> 4) * 2 + low - offset);
    }
}

bool cpu_repacked_five(enum cpu_format packed, const uint8_t *block, int j, struct cpu_quant_block *ret)
{
    const int head = head_bytes(packed);
    switch (packed) {
    case CPU_PACKED_Q5_0: case CPU_PACKED_Q5_1:
        unpack(block + head, packed == CPU_PACKED_Q5_0 ? 16 : 0, ret->q);
        ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(block));
        if (packed == CPU_PACKED_Q5_1)
            ret->min[0] = ret->min[1] = cpu_f16_float(cpu_load16(block + 2));
        return true;
    case CPU_PACKED_Q5_K: {
        uint8_t file[K_HEAD + 8 * K_BYTES] = { 0 };
        memcpy(file, block, (size_t)head);
        cpu_quant_block(CPU_Q5_K, file, j, ret);
        unpack(block + head + K_BYTES * j, 0, ret->q);
        return true;
    }
    default: return false;
    }
}
