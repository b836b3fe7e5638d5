/* repack_kquants.c - the same as repack.c for Q2_K, Q3_K, Q6_K, TQ1_0 and TQ2_0: bits moved, no codebooks. [any-thread]
 * Contract: repack.h. */
#include "repack.h"

#include <string.h>

#include "bits.h"

/* Where the parts of their blocks begin that stand behind d. */
enum { SCALES = 4, Q3_QUANTS = 16, Q2_QUANTS = 20, TQ_QUANTS = 4 };
/* Of Q6_K, sub-block j's. */
static int q6_scales(int j) { return 4 + 52 * (j >> 1) + 2 * (j & 1); }
static int q6_quants(int j) { return 8 + 52 * (j >> 1) + 24 * (j & 1); }

/* ---- to them */

/* Dwords of six bits in each byte: four in three. */
static void put_sixes(const uint32_t x[4], uint8_t *ret)
{
    for (int k = 0; k < 3; k++) {
        uint32_t y = x[k] | (x[3] >> 2 * k & 0x03030303u) << 6;
        memcpy(ret + 4 * k, &y, sizeof y);
    }
}

static void repack_q6_k(const uint8_t *p, uint8_t *ret)
{
    uint8_t q[32];
    uint32_t x[8];
    memcpy(ret, p + 208, 2);
    memset(ret + 2, 0, 2);
    for (int j = 0; j < 8; j++) {
        const int h = j >> 2, s = j & 3;
        const uint8_t *low = p + 64 * h + 32 * (s & 1), *high = p + 128 + 32 * h;
        for (int i = 0; i < 32; i++)
            q[i] = (uint8_t)((low[i] >> (s >> 1) * 4 & 15) | (high[i] >> 2 * s & 3) << 4);
        memcpy(x, q, sizeof x);
        put_sixes(x, ret + q6_quants(j));
        put_sixes(x + 4, ret + q6_quants(j) + 12);
        memcpy(ret + q6_scales(j), p + 192 + 2 * j, 2);
    }
}

static void repack_q3_k(const uint8_t *p, uint8_t *ret)
{
    uint8_t q[32];
    uint32_t x[8];
    memcpy(ret, p + 108, 2);
    memset(ret + 2, 0, 2);
    memcpy(ret + SCALES, p + 96, 12);
    for (int j = 0; j < 8; j++) {
        const uint8_t *low = p + 32 + 32 * (j >> 2);
        for (int i = 0; i < 32; i++)
            q[i] = (uint8_t)((low[i] >> 2 * (j & 3) & 3) | (p[i] >> j & 1) << 2);
        memcpy(x, q, sizeof x);
        for (int i = 0; i < 4; i++)
            x[i] |= x[4 + i] << 3;
        put_sixes(x, ret + Q3_QUANTS + 12 * j);
    }
}

/* The first column of dword i's lower and upper two bits, of 32. */
static int two_column(bool by_16, int i, int upper)
{
    return by_16 ? 4 * i + 16 * upper : 8 * i + 4 * upper;
}

void cpu_put_twos(const uint8_t q[256], bool by_16, uint8_t *ret)
{
    for (int two = 0; two < 4; two++)
        for (int i = 0; i < 4; i++) {
            uint32_t x = 0;
            for (int n = 0; n < 4; n++)
                x |= cpu_load32(q + 64 * two + 32 * (n & 1) + two_column(by_16, i, n >> 1)) << 2 * n;
            memcpy(ret + 16 * two + 4 * i, &x, sizeof x);
        }
}

/* Two bits of each of 256 columns, as files of Q2_K and TQ2_0 have them: of 128 in 32 bytes. */
static void take_twos(const uint8_t *p, uint8_t ret_q[256])
{
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 32; i += 8) {
            uint64_t eight;
            memcpy(&eight, p + 32 * (j >> 2) + i, sizeof eight);
            eight = eight >> 2 * (j & 3) & 0x0303030303030303u;
            memcpy(ret_q + 32 * j + i, &eight, sizeof eight);
        }
}

static void repack_q2_k(const uint8_t *p, uint8_t *ret)
{
    uint8_t q[256];
    memcpy(ret, p + 80, 4);
    memcpy(ret + SCALES, p, 16);
    take_twos(p + 16, q);
    cpu_put_twos(q, true, ret + Q2_QUANTS);
}

static void repack_tq2_0(const uint8_t *p, uint8_t *ret)
{
    uint8_t q[256];
    memcpy(ret, p + 64, 2);
    memset(ret + 2, 0, 2);
    take_twos(p, q);
    cpu_put_twos(q, false, ret + TQ_QUANTS);
}

/* Bytes are fractions to the base of 3, whose digits come up all at the same time: 32 bytes of five times 32 columns, 16 of five times
 * 16, 4 of four times 4. */
static void repack_tq1_0(const uint8_t *p, uint8_t *ret)
{
    uint8_t rest[48], digit[48], q[256];
    memcpy(rest, p, 48);
    memcpy(ret, p + 52, 2);
    memset(ret + 2, 0, 2);
    for (int n = 0; n < 5; n++) {
        for (int i = 0; i < 48; i++) {
            uint16_t three = (uint16_t)(rest[i] * 3);
            digit[i] = (uint8_t)(three >> 8);
            rest[i] = (uint8_t)three;
        }
        memcpy(q + 32 * n, digit, 32);
        memcpy(q + 160 + 16 * n, digit + 32, 16);
    }
    for (int i = 0, x; i < 16; i++) {
        x = i < 4 ? p[48 + i] : q[236 + i] * 3 & 255;
        q[240 + i] = (uint8_t)x;
    }
    for (int i = 240; i < 256; i++)
        q[i] = (uint8_t)(q[i] * 3 >> 8);
    cpu_put_twos(q, false, ret + TQ_QUANTS);
}

bool cpu_repack_kquant(enum cpu_format format, const uint8_t *block, uint8_t *ret)
{
    switch (format) {
    case CPU_Q6_K: repack_q6_k(block, ret); return true;
    case CPU_Q3_K: repack_q3_k(block, ret); return true;
    case CPU_Q2_K: repack_q2_k(block, ret); return true;
    case CPU_TQ1_0: repack_tq1_0(block, ret); return true;
    case CPU_TQ2_0: repack_tq2_0(block, ret); return true;
    default: return false;
    }
}

/* ---- what they hold: the files' blocks again */

/* Byte c of the four of six bits from p on, number k. */
static int six(const uint8_t *p, int k, int c)
{
    return k < 3 ? p[4 * k + c] & 63 : p[c] >> 6 | p[4 + c] >> 6 << 2 | p[8 + c] >> 6 << 4;
}

static void unpack_q6_k(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    float d = cpu_f16_float(cpu_load16(p));
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)(six(p + q6_quants(j) + 12 * (i >> 4), i >> 2 & 3, i & 3) - 32);
    for (int half = 0; half < 2; half++)
        ret->scale[half] = d * (float)(int8_t)p[q6_scales(j) + half];
}

/* What lies elsewhere in the file's block, but is the same: scales, and all but three dwords' quants. */
static void unpack_q3_k(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    uint8_t file[110] = { 0 };
    memcpy(file + 96, p + SCALES, 12);
    memcpy(file + 108, p, 2);
    cpu_quant_block(CPU_Q3_K, file, j, ret);
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)((six(p + Q3_QUANTS + 12 * j, i >> 2 & 3, i & 3) >> 3 * (i >> 4) & 7) - 4);
}

int cpu_two_at(const uint8_t *twos, bool by_16, int j, int i)
{
    const int dword = by_16 ? i >> 2 & 3 : i >> 3, upper = by_16 ? i >> 4 : i >> 2 & 1;
    return twos[16 * (j >> 1) + 4 * dword + (i & 3)] >> (2 * (j & 1) + 4 * upper) & 3;
}

static void unpack_q2_k(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    uint8_t file[84] = { 0 };
    memcpy(file, p + SCALES, 16);
    memcpy(file + 80, p, 4);
    cpu_quant_block(CPU_Q2_K, file, j, ret);
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)cpu_two_at(p + Q2_QUANTS, true, j, i);
}

static void unpack_tq2(const uint8_t *p, int j, struct cpu_quant_block *ret)
{
    uint8_t file[66] = { 0 };
    memcpy(file + 64, p, 2);
    cpu_quant_block(CPU_TQ2_0, file, j, ret);
    for (int i = 0; i < 32; i++)
        ret->q[i] = (int8_t)(cpu_two_at(p + TQ_QUANTS, false, j, i) - 1);
}

bool cpu_repacked_kquant(enum cpu_format packed, const uint8_t *block, int j, struct cpu_quant_block *ret)
{
    switch (packed) {
    case CPU_PACKED_Q6_K: unpack_q6_k(block, j, ret); return true;
    case CPU_PACKED_Q3_K: unpack_q3_k(block, j, ret); return true;
    case CPU_PACKED_Q2_K: unpack_q2_k(block, j, ret); return true;
    case CPU_PACKED_TQ2: unpack_tq2(block, j, ret); return true;
    default: return false;
    }
}
