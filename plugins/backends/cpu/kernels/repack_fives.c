/* repack_fives.c - the same as repack.c for Q5_0 and Q5_1: where the fifth bit of a weight stands. [any-thread] Contract: repack.h. */
#include "repack.h"

#include <string.h>

#include "bits.h"

/* By dword of nibbles: the bit of `beside` that a lower nibble's weight has as its uppermost, and an upper one's as its lowest. */
static const int top_bit[4] = { 4, 6, 2, 7 }, low_bit[4] = { 3, 5, 1, 0 };

/* Bytes of d, and of m where there is one. */
static int head_bytes(enum cpu_format format)
{
    return format == CPU_Q5_1 || format == CPU_PACKED_Q5_1 ? 4 : 2;
}

/* The 8 bits of x in bytes of their own, as 0x80. */
static uint64_t spread(uint32_t x)
{
    const uint64_t each = (x & 255) * 0x0101010101010101u & 0x8040201008040201u; /* byte k: 1 << k or 0 */
    return (each + 0x00406070787c7e7fu) & 0x8080808080808080u;
}

static void repack(const uint8_t *fifth, uint8_t *ret)
{
    const uint32_t high = cpu_load32(fifth);
    uint64_t nibbles[2], tops[2];
    uint32_t beside = 0;
    memcpy(nibbles, fifth + 4, sizeof nibbles);
    for (int k = 0; k < 2; k++) {
        uint64_t x = nibbles[k];
        tops[k] = spread(high >> 8 * k);
        for (int i = 2 * k, shift = 0; i < 2 * k + 2; i++, shift = 32) {
            beside |= (uint32_t)(tops[k] >> shift) >> (7 - top_bit[i]);
            beside |= ((uint32_t)(x >> shift) >> 4 & 0x01010101u) << low_bit[i];
        }
        nibbles[k] = (x & 0x0f0f0f0f0f0f0f0fu) | (x >> 1 & 0x7070707070707070u) | spread(high >> (16 + 8 * k));
    }
    memcpy(ret, &beside, sizeof beside);
    memcpy(ret + 4, nibbles, sizeof nibbles);
}

bool cpu_repack_five(enum cpu_format format, const uint8_t *block, uint8_t *ret)
{
    const int head = head_bytes(format);
    if (format != CPU_Q5_0 && format != CPU_Q5_1)
        return false;
    memcpy(ret, block, (size_t)head);
    repack(block + head, ret + head);
    return true;
}

bool cpu_repacked_five(enum cpu_format packed, const uint8_t *block, struct cpu_quant_block *ret)
{
    const int head = head_bytes(packed), offset = packed == CPU_PACKED_Q5_0 ? 16 : 0;
    const uint8_t *beside = block + head, *nibbles = beside + 4;
    if (packed != CPU_PACKED_Q5_0 && packed != CPU_PACKED_Q5_1)
        return false;
    for (int j = 0; j < 16; j++) {
        int bits = beside[j & 3], top = bits >> top_bit[j >> 2] & 1, low = bits >> low_bit[j >> 2] & 1;
        ret->q[j] = (int8_t)((nibbles[j] & 15) + 16 * top - offset);
        ret->q[j + 16] = (int8_t)((nibbles[j] >> 4) * 2 + low - offset);
    }
    ret->scale[0] = ret->scale[1] = cpu_f16_float(cpu_load16(block));
    if (packed == CPU_PACKED_Q5_1)
        ret->min[0] = ret->min[1] = cpu_f16_float(cpu_load16(block + 2));
    return true;
}
