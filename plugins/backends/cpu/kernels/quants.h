/* quants.h - one block of 32 weights as small integers, in plain C: what the decoder and the scalar level share.
 *
 * x[i] = scale[i / 16] * factor[i / 16] * q[i] + min[i / 16]; scales and scales times factors are exact in f32: a half times 6 to 8 bits
 * has at most 19. What products multiply is q times its factor. */
#ifndef TENON_CPU_QUANTS_H
#define TENON_CPU_QUANTS_H

#include "kernels.h"

struct cpu_quant_block {
    int8_t q[32];
    int8_t factor[2]; /* of each 16; 1 but for Q2_K and Q3_K */
    float scale[2];   /* likewise; equal where the format has one per 32 */
    float min[2];     /* to be added, likewise; 0 for formats without */
};

/* What the nibbles of IQ4_NL and IQ4_XS stand for, and those of MXFP4 and NVFP4, doubled. */
extern const int8_t cpu_iq4_values[16], cpu_e2m1_doubled[16];

/* Block number b (of 32 elements) of a row. Quantised formats only. */
void cpu_quant_block(enum cpu_format format, const uint8_t *row, int64_t b, struct cpu_quant_block *ret);
/* How many minimums the format has per 32 columns, 0 to 2, and whether its scales are per 16. Q2_K's are not: its factors always are in
 * what is multiplied. Q3_K's are, where its factors are not (panels.h). */
int cpu_format_mins(enum cpu_format format);
bool cpu_format_by_16(enum cpu_format format);

#endif
