/* repack.h - blocks that formats with codebooks, with digits to the base of 3, with fifth bits or not in the order of reading get when
 * they are packed:
 * levels and signs in bits of their own, places in a table of at most 16, quads of columns that one mask brings out, all of it read from
 * front to back. No vector level has to gather, to jump in memory or to load twice. Exactly the same integers and scales.
 *
 * Q5_0 and Q5_1 stay blocks of 32 as long as they were: d, of Q5_1 m, four bytes `beside` and 16 of nibbles. The lower nibble of byte j
 * has the lower four bits of column j, the upper one the upper four of column 16 + j: so with their fifth bit, at 4 and at 3, both stand
 * in the byte as they are. Those bits are in byte j % 4 of `beside`: 4 and 3 for j below 4, then 6 and 5, 2 and 1, 7 and 0.
 *
 * All others are super-blocks of 256 in eight sub-blocks of 32 columns, and whole dwords, so that sixteen rows of a block are whole lines of
 * cache. `twos` are two bits of each column, of 64 columns in four dwords, so that loops are over few of them: byte c of dword k has, from
 * bit 0 on, those of column 8 k + c, of 32 + 8 k + c, of 8 k + 4 + c and of 32 + 8 k + 4 + c; or, by 16, of 4 k + c, 32 + 4 k + c, 16 + 4 k + c
 * and 48 + 4 k + c, so that those of one scale stand equally high.
 *
 *   IQ2_BY_32, IQ2_BY_16   d; a nibble n for each 32 or 16; for each 32 columns three dwords of codes
 *   IQ3_XXS, IQ3_S         d; a nibble n for each 32; 16 bytes for each 32, of columns 8 k + c and, above it, 8 k + 4 + c in byte c of
 *                          dword k: of XXS places in its table, of S half of what the weight has above -15
 *   IQ1_S                  d; a nibble for each 32: n below its bit 3, which tells that levels are moved down; levels as twos
 *   IQ1_M                  d; a nibble n for each 16; for each 8 a bit that tells that they are not moved down: of the columns from 8 k on
 *                          in byte k, of sub-blocks 0 to 3 in bits 0, 2, 1, 3, those of 4 to 7 four above; of each 128 columns 32 bytes
 *                          of levels: byte i has those of column i of four sub-blocks, at bits 2, 4, 6 and 0: two above the bits of the
 *                          first two, and of the others so when they have come down by 3 and gone up by 5
 *   TQ2                    d; twos
 *   Q2_K                   d, dmin; scales[16], a nibble of scale and one of minimum; twos by 16
 *   Q3_K                   d; scales[12] as the file has them; for each 32 columns three dwords
 *   Q6_K                   d; for each 64 columns scales[4] and for each 16 of them three dwords
 *   Q5_K                   d and dmin, each by itself; scales[12] as the file has them; for each 32 columns `beside` and nibbles as of Q5_0
 *
 * d is a half with two bytes of 0 behind it, or dmin. The scale of n is d (2 n + 1), times a power of 2 for the levels that codebooks.h
 * has. IQ2's codes are a level, 0 to 2, in two bits and its sign above: of columns 8 k + c in bits 0 to 2 of byte c of dword k, of columns
 * 8 k + 4 + c in bits 3 to 5; but of the last eight levels are in bits 6 and 7 of dwords 0 and 1, and signs in those of dword 2. So
 * processors that look at six bits of a place need neither mask nor shift for most. Three dwords of Q3_K and Q6_K hold four of six bits in
 * each byte: the fourth's are the uppermost two of the three. Six bits are column 4 k + c in byte c of dword k (Q6_K), or columns 4 k + c
 * and, above it, 16 + 4 k + c (Q3_K), so that those of one scale stand equally high. */
#ifndef TENON_CPU_REPACK_H
#define TENON_CPU_REPACK_H

#include "quants.h"

#define CPU_REPACKED_MOST 212 /* bytes of the largest of these blocks */

/* A block of `format`, as the file has it, in cpu_packed_format(format), which differs. */
void cpu_repack_block(enum cpu_format format, const uint8_t *block, uint8_t *ret);
/* Sub-block j of such a block. */
void cpu_repacked_block(enum cpu_format packed, const uint8_t *block, int j, struct cpu_quant_block *ret);
/* Both for Q2_K, Q3_K, Q6_K and TQ, false for others: what the two above begin with. */
bool cpu_repack_kquant(enum cpu_format format, const uint8_t *block, uint8_t *ret);
bool cpu_repacked_kquant(enum cpu_format packed, const uint8_t *block, int j, struct cpu_quant_block *ret);
/* Two bits of 256 columns, 64 bytes, as above; and those of column i of sub-block j. */
void cpu_put_twos(const uint8_t q[256], bool by_16, uint8_t *ret);
int cpu_two_at(const uint8_t *twos, bool by_16, int j, int i);
/* The same for Q5_0, Q5_1 and Q5_K. */
bool cpu_repack_five(enum cpu_format format, const uint8_t *block, uint8_t *ret);
bool cpu_repacked_five(enum cpu_format packed, const uint8_t *block, int j, struct cpu_quant_block *ret);

#endif
