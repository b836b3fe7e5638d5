/* pack.c - packed matrices: the rows of a group side by side, field by field. Layout: kernels.h. The vector levels pack whole
 * groups faster (matmul.h); what they leave comes here. [any-thread] */
#include "fields.h"
#include "repack.h"

#include <stddef.h>
#include <string.h>

const struct cpu_field cpu_fields[CPU_FORMATS_ALL][CPU_FIELDS_MAX] = {
    [CPU_Q4_0] = { { 0, 2, 1 }, { 2, 4, 4 } },
    [CPU_Q4_1] = { { 0, 2, 2 }, { 4, 4, 4 } },
    [CPU_Q8_0] = { { 0, 2, 1 }, { 2, 4, 8 } },
    [CPU_Q4_K] = { { 0, 2, 2 }, { 4, 4, 3 }, { 16, 4, 32 } },
    [CPU_IQ4_NL] = { { 0, 2, 1 }, { 2, 4, 4 } },
    [CPU_MXFP4] = { { 0, 1, 1 }, { 1, 4, 4 } },
    [CPU_IQ4_XS] = { { 0, 4, 34 } },
    [CPU_NVFP4] = { { 0, 4, 9 } },
    [CPU_AFFINE4_B32] = { { 0, 4, 5 } },
    [CPU_AFFINE4_B128] = { { 0, 4, 17 } },
    [CPU_AFFINE8_B32] = { { 0, 4, 9 } },
    [CPU_PACKED_IQ2_BY_32] = { { 0, 4, 26 } },
    [CPU_PACKED_IQ2_BY_16] = { { 0, 4, 27 } },
    [CPU_PACKED_IQ3_XXS] = { { 0, 4, 34 } },
    [CPU_PACKED_IQ3_S] = { { 0, 4, 34 } },
    [CPU_PACKED_IQ1_S] = { { 0, 4, 18 } },
    [CPU_PACKED_IQ1_M] = { { 0, 4, 20 } },
    [CPU_PACKED_Q6_K] = { { 0, 4, 1 }, { 4, 1, 4 }, { 8, 4, 12 }, { 56, 1, 4 }, { 60, 4, 12 }, { 108, 1, 4 }, { 112, 4, 12 },
                          { 160, 1, 4 }, { 164, 4, 12 } },
    [CPU_PACKED_Q3_K] = { { 0, 4, 28 } },
    [CPU_PACKED_Q2_K] = { { 0, 4, 1 }, { 4, 1, 16 }, { 20, 4, 16 } },
    [CPU_PACKED_TQ2] = { { 0, 4, 17 } },
    [CPU_PACKED_Q5_0] = { { 0, 2, 1 }, { 2, 4, 5 } },
    [CPU_PACKED_Q5_1] = { { 0, 2, 2 }, { 4, 4, 5 } },
    [CPU_PACKED_Q5_K] = { { 0, 2, 2 }, { 4, 4, 43 } },
};

enum cpu_format cpu_packed_format(enum cpu_format format)
{
    switch (format) {
    case CPU_IQ2_XXS: return CPU_PACKED_IQ2_BY_32;
    case CPU_IQ2_XS: case CPU_IQ2_S: return CPU_PACKED_IQ2_BY_16;
    case CPU_IQ3_XXS: return CPU_PACKED_IQ3_XXS;
    case CPU_IQ3_S: return CPU_PACKED_IQ3_S;
    case CPU_IQ1_S: return CPU_PACKED_IQ1_S;
    case CPU_IQ1_M: return CPU_PACKED_IQ1_M;
    case CPU_TQ1_0: case CPU_TQ2_0: return CPU_PACKED_TQ2;
    case CPU_Q6_K: return CPU_PACKED_Q6_K;
    case CPU_Q3_K: return CPU_PACKED_Q3_K;
    case CPU_Q2_K: return CPU_PACKED_Q2_K;
    case CPU_Q5_0: return CPU_PACKED_Q5_0;
    case CPU_Q5_1: return CPU_PACKED_Q5_1;
    case CPU_Q5_K: return CPU_PACKED_Q5_K;
    default: return format;
    }
}

bool cpu_reads_moved(enum cpu_format format)
{
    return cpu_packed_format(format) == CPU_PACKED_IQ1_M;
}

struct cpu_matrix cpu_packed_matrix(const struct cpu_matrix *m, const uint8_t *data)
{
    struct cpu_matrix packed = *m;
    const struct cpu_encoding *e = cpu_encoding_at(cpu_packed_format(m->format));
    packed.data = data;
    packed.format = e->format;
    packed.row_bytes = m->cols / e->block_cols * e->block_bytes;
    packed.packed = true;
    return packed;
}

int64_t cpu_packed_bytes(const struct cpu_matrix *m)
{
    return (m->rows + CPU_PACK_ROWS - 1) / CPU_PACK_ROWS * CPU_PACK_ROWS * cpu_packed_matrix(m, NULL).row_bytes;
}

/* One field of one block of a row to its lane. */
static void scatter(const struct cpu_field *f, const uint8_t *block, uint8_t *group, int lane)
{
    const uint8_t *from = block + f->at;
    uint8_t *to = group + (int64_t)f->at * CPU_PACK_ROWS + f->width * lane;
    if (f->width == 4)
        for (int e = 0; e < f->count; e++)
            memcpy(to + (int64_t)e * 4 * CPU_PACK_ROWS, from + e * 4, 4);
    else
        for (int e = 0; e < f->count; e++)
            memcpy(to + (int64_t)e * f->width * CPU_PACK_ROWS, from + e * f->width, (size_t)f->width);
}

void cpu_pack_scalar(const struct cpu_matrix *m, int64_t g0, int64_t g1, uint8_t *packed)
{
    const struct cpu_matrix to = cpu_packed_matrix(m, packed);
    const struct cpu_encoding *from = cpu_encoding_at(m->format), *e = cpu_encoding_at(to.format);
    uint8_t other[CPU_REPACKED_MOST];
    for (int64_t g = g0; g < g1; g++)
        for (int64_t b = 0; b < m->cols / e->block_cols; b++) {
            uint8_t *group = packed + CPU_PACK_ROWS * (g * to.row_bytes + b * e->block_bytes);
            for (int lane = 0; lane < CPU_PACK_ROWS; lane++) {
                int64_t n = g * CPU_PACK_ROWS + lane;
                const uint8_t *block = m->data + (n < m->rows ? n : m->rows - 1) * m->row_bytes + b * from->block_bytes;
                if (e != from) {
                    cpu_repack_block(m->format, block, other);
                    block = other;
                }
                for (const struct cpu_field *f = cpu_fields[e->format]; f < cpu_fields[e->format] + CPU_FIELDS_MAX; f++)
                    scatter(f, block, group, lane);
            }
        }
}

static void gather(const struct cpu_field *f, const uint8_t *group, int lane, uint8_t *block)
{
    for (int e = 0; e < f->count; e++)
        memcpy(block + f->at + e * f->width, group + (int64_t)(f->at + e * f->width) * CPU_PACK_ROWS + f->width * lane,
               (size_t)f->width);
}

void cpu_matrix_row(const struct cpu_matrix *m, int64_t n, float *ret_x)
{
    const struct cpu_encoding *e = cpu_encoding_at(m->format);
    uint8_t block[256];
    if (m->row != NULL) {
        m->row(m->source, n, ret_x);
        return;
    }
    if (!m->packed) {
        cpu_decode_row(m->format, m->data + n * m->row_bytes, m->cols, ret_x);
        return;
    }
    for (int64_t b = 0; b < m->cols / e->block_cols; b++) {
        const uint8_t *group = m->data + CPU_PACK_ROWS * (n / CPU_PACK_ROWS * m->row_bytes + b * e->block_bytes);
        for (const struct cpu_field *f = cpu_fields[m->format]; f < cpu_fields[m->format] + CPU_FIELDS_MAX; f++)
            gather(f, group, (int)(n % CPU_PACK_ROWS), block);
        cpu_decode_row(m->format, block, e->block_cols, ret_x + b * e->block_cols);
    }
}
