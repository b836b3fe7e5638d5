/* repack.h - blocks that formats with codebooks, or with digits to the base of 3, get when they are packed: levels and signs in bits of
 * their own, places in a table of at most 16, so that no vector level has to gather. Exactly the same integers and scales.
 *
 * All are super-blocks of 256 in eight sub-blocks of 32 columns. `low` is what TQ2_0 has: byte i of 32 holds, for i and the 128
 * columns of its half, two bits of column i of each of four sub-blocks.
 *
 *   IQ2_BY_32, IQ2_BY_16   low[64] levels 0 to 2; signs[32]; a nibble n for each 32 or 16
 *   IQ3_XXS, IQ3_S         16 bytes for each 32: places of columns i and i + 16; a nibble n for each 32
 *   IQ1_S                  low[64]; a nibble for each 32: n below its bit 3, which tells that levels are moved down
 *   IQ1_M                  low[64]; a nibble n for each 16; for each 8 a bit that tells that they are not moved down: bit j of byte k
 *
 * and a half d at the end, with two bytes of 0 behind it so that sixteen rows of a block are whole lines of cache. The scale of n is d (2 n + 1), times a power of 2 for the levels that codebooks.h has. Of the signs, byte i of 16 for each 128
 * columns has those of columns i and i + 16 of four sub-blocks: where two sub-blocks' levels lie (bits 0 to 3 of low, or 4 to 7),
 * the first one's signs are in bits 2 and 3, the second one's in bits 0 and 1. So a mask each brings both into one nibble. */
#ifndef TENON_CPU_REPACK_H
#define TENON_CPU_REPACK_H

#include "quants.h"

#define CPU_REPACKED_MOST 136 /* bytes of the largest of these blocks */

/* A block of `format`, as the file has it, in cpu_packed_format(format), which differs. */
void cpu_repack_block(enum cpu_format format, const uint8_t *block, uint8_t *ret);
/* Sub-block j of such a block. */
void cpu_repacked_block(enum cpu_format packed, const uint8_t *block, int j, struct cpu_quant_block *ret);

#endif
