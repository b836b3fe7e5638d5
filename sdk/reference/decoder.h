/* decoder.h - a decode program made ready to run over many elements at once. Private to decoder.c, which makes it, and to
 * decoder_lanes.c, which runs it and is compiled once for each instruction level. */
#ifndef TENON_REFERENCE_DECODER_H
#define TENON_REFERENCE_DECODER_H

#include <tenon/reference.h>

#define LANES_LOG2 9u
#define LANES (1u << LANES_LOG2) /* elements of a row that are decoded together: whole tiles, or a part of a wide one */
#define BUFFERS 40u /* all registers, and the operands of one instruction spread */
#define RUN 16u     /* lanes whose loads are contiguous */

/* How a step gets its lanes; the first are opcodes. */
enum {
    STEP_SPREAD = TENON_OP_COUNT, /* lane j = lane j >> shift of a */
    STEP_BYTES,     /* LDBITS inside single bytes, RUN lanes from consecutive ones, shifted alike */
    STEP_WINDOW,    /* LDBITS inside 4 bytes of the tile */
    STEP_SLOW,      /* LDBITS, any */
    STEP_FLOATS,    /* LDF, RUN lanes from consecutive ones */
    STEP_FLOAT      /* LDF, any */
};

/* Lanes that a step reads: a buffer, or what depends on i only and was computed beforehand. */
struct lanes {
    const uint32_t *fixed; /* [n_phases, stride], NULL: a buffer */
    uint32_t stride;
    uint32_t buffer;
};

struct step {
    uint8_t op;
    uint8_t log2;   /* lane j stands for elements j << log2 and those up to the next */
    uint8_t width;  /* LDBITS and SEXT: bits; LDF: format; SPREAD: shift */
    uint8_t plane;
    uint32_t dst;   /* buffer */
    struct lanes a, b, c; /* loads: a is the byte offset, b the shift, both per RUN lanes where they are contiguous */
    const uint32_t *table;
    uint32_t mask;
};

struct tenon_ref_decoder {
    const struct tenon_encoding *e; /* OWN: borrowed */
    uint32_t tiles;    /* of a row that are decoded together */
    uint32_t parts;    /* that a wide tile's row is decoded in; n_phases = tile_rows * parts */
    uint32_t n_phases;
    uint32_t n_steps;
    struct step *steps; /* [n_steps] OWN */
    uint32_t **pools;   /* [n_pools] what `fixed` points to; OWN */
    uint32_t n_pools;
    struct lanes result;
    uint32_t result_log2;
    void (*run)(const struct tenon_ref_decoder *d, const uint8_t *const *tiles, uint32_t phase, uint32_t n, float *y);
};

/* y [n] from the tiles (one pointer per plane, the first of the row's) that lanes 0..n-1 of a phase lie in. [any-thread] */
void tn_ref_lanes_plain(const struct tenon_ref_decoder *d, const uint8_t *const *tiles, uint32_t phase, uint32_t n, float *y);
void tn_ref_lanes_avx2(const struct tenon_ref_decoder *d, const uint8_t *const *tiles, uint32_t phase, uint32_t n, float *y);
void tn_ref_lanes_avx512(const struct tenon_ref_decoder *d, const uint8_t *const *tiles, uint32_t phase, uint32_t n, float *y);

#endif
