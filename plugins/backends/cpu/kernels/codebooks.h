/* codebooks.h - the codebooks of IQ1, IQ2 and IQ3, as unpacking by vectors wants them, and their blocks in plain C. */
#ifndef TENON_CPU_CODEBOOKS_H
#define TENON_CPU_CODEBOOKS_H

#include "quants.h"

/* Eight levels to an entry: of columns 0 to 3 in the low nibbles of its bytes, of 4 to 7 in the high ones; grids.c. */
extern const uint32_t cpu_iq2xxs_grid[256], cpu_iq2xs_grid[512], cpu_iq2s_grid[1024], cpu_iq1s_grid[2048];
/* Four, a byte each. */
extern const uint32_t cpu_iq3xxs_grid[256], cpu_iq3s_grid[512];

/* What a level stands for, and from place 8 on, where it stands for that with its sign bit set. IQ1's levels are -1, 0 and 1,
 * moved by 1/8 up or, where the bit is set, down; times 8. */
extern const int8_t cpu_iq2_values[16], cpu_iq3xxs_values[16], cpu_iq3s_values[16], cpu_iq1_values[16];

/* Sub-block j of the block at p; zeros for formats without a codebook. */
void cpu_codebook_block(enum cpu_format format, const uint8_t *p, int j, struct cpu_quant_block *ret);
/* What it is made of: places in those tables of 32 columns, a byte each, the first in the lowest: levels with signs (or the
 * direction IQ1's are moved in) in bit 3; the numbers n whose scales are d (2 n + 1), for each 32 or 16 columns a nibble, and for
 * IQ1_S what is above them; d, a half. */
void cpu_codebook_places(enum cpu_format format, const uint8_t *p, int j, uint64_t ret_places[4]);
uint32_t cpu_codebook_scales(enum cpu_format format, const uint8_t *p, int j);
uint16_t cpu_codebook_d(enum cpu_format format, const uint8_t *p);

#endif
