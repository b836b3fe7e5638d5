/* lanes.h - which rows a product's lanes are, and where their weights and activations lie: what products with a panel and without one
 * have in common.
 * Included by panels.h and direct.h. */
#ifndef TENON_CPU_LANES_H
#define TENON_CPU_LANES_H

#include "levels.h"
#include "quants.h"

#include <stddef.h>
#include <string.h>

#include "unpack.h"

INLINE const act *acts(const struct cpu_act *a)
{
#if ACT_BITS == 8
    return a->q8;
#else
    return a->q;
#endif
}

/* LANES rows of weights and what is wanted of them. */
struct lanes {
    int64_t base;  /* row of lane 0: moved back where the matrix ends before the lanes would */
    vmask wanted;
};

/* The lanes for row n and those behind it, of which those below n1 are wanted. A matrix in the file's order has at least LANES
 * rows. */
INLINE struct lanes lanes_at(const struct cpu_matrix *m, int64_t n, int64_t n1)
{
    int64_t base = m->packed ? n / LANES * LANES : n + LANES <= m->rows ? n : m->rows - LANES;
    int64_t high = n1 - base;
    return (struct lanes){ base, vmask_range((int)(n - base), high > LANES ? LANES : (int)high) };
}

/* Those rows, from block `first` of the format's own on. */
INLINE struct rows matrix_rows(const struct cpu_matrix *m, const bool packed, int64_t base, int64_t first)
{
    const struct cpu_encoding *e = cpu_encoding_at(m->format);
    int64_t group = base / CPU_PACK_ROWS * CPU_PACK_ROWS;
    if (!packed)
        return (struct rows){ .p = m->data + base * m->row_bytes + first * e->block_bytes, .stride = m->row_bytes };
    return (struct rows){ .p = m->data + group * m->row_bytes + first * CPU_PACK_ROWS * e->block_bytes, .lane = (int)(base - group),
                          .packed = true };
}

#endif
