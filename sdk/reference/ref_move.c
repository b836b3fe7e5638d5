/* ref_move.c - ops that place elements and compute nothing with them (gather may scale, scatter_add adds): gather, take,
 * scatter_add, select, concat, slice, transpose, broadcast, bits, iota, fill. Elements are moved as 4 bytes, whatever they
 * mean. Any thread. Contract: tenon/reference.h. */
#include "shape.h"

#define ELEMENT 4 /* bytes of f32, i32 and u32 */

/* y[at .. at+n) = x[from .. from+n), in elements */
static void copy(void *y, int64_t at, const void *x, int64_t from, int64_t n)
{
    for (int64_t i = 0; i < n * ELEMENT; i++)
        ((char *)y)[at * ELEMENT + i] = ((const char *)x)[from * ELEMENT + i];
}

static void zero(void *y, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n * ELEMENT; i++)
        ((char *)y)[at * ELEMENT + i] = 0; /* bytes of 0, 0.0f and 0u alike */
}

static int64_t dim_of_axis(int64_t axis, const struct tenon_ref_shape *s)
{
    return axis < 0 ? axis + s->rank : axis;
}

/* ---- by index ----------------------------------------------------------------------------------------------- */

void tenon_ref_gather(double scale, int64_t n, int64_t row, const float *table, int64_t a, const int32_t *index, float *y)
{
    for (int64_t i = 0; i < a; i++)
        for (int64_t j = 0; j < row; j++) {
            int inside = index[i] >= 0 && index[i] < n;
            y[i * row + j] = inside ? (float)(scale * table[index[i] * row + j]) : 0.0f;
        }
}

void tenon_ref_gather_i32(int64_t n, int64_t row, const int32_t *table, int64_t a, const int32_t *index, int32_t *y)
{
    for (int64_t i = 0; i < a; i++)
        if (index[i] >= 0 && index[i] < n)
            copy(y, i * row, table, index[i] * row, row);
        else
            zero(y, i * row, row);
}

void tenon_ref_take(int64_t rows, int64_t n, int64_t k, const void *x, const int32_t *index, void *y)
{
    for (int64_t i = 0; i < rows * k; i++)
        if (index[i] >= 0 && index[i] < n)
            copy(y, i, x, i / k * n + index[i], 1);
        else
            zero(y, i, 1);
}

void tenon_ref_scatter_add(int64_t n, int64_t row, const float *base, int64_t a, const int32_t *index, const float *x, float *y)
{
    copy(y, 0, base, 0, n * row);
    for (int64_t i = 0; i < a; i++) {
        if (index[i] < 0 || index[i] >= n)
            continue;
        for (int64_t j = 0; j < row; j++)
            y[index[i] * row + j] = (float)((double)y[index[i] * row + j] + x[i * row + j]);
    }
}

void tenon_ref_select(int64_t n, const int32_t *mask, const void *a, const void *b, void *y)
{
    for (int64_t i = 0; i < n; i++)
        copy(y, i, mask[i] != 0 ? a : b, i, 1);
}

/* ---- by shape ----------------------------------------------------------------------------------------------- */

/* Everything from the axis on is one run of elements, in a and in b; y has them by turns. */
void tenon_ref_concat(int64_t axis, const struct tenon_ref_shape *as, const void *a, const struct tenon_ref_shape *bs,
                      const void *b, void *y)
{
    int64_t dim = dim_of_axis(axis, as), outer = ref_count(as, 0, dim);
    int64_t a_run = ref_count(as, dim, as->rank), b_run = ref_count(bs, dim, bs->rank);
    for (int64_t i = 0; i < outer; i++) {
        copy(y, i * (a_run + b_run), a, i * a_run, a_run);
        copy(y, i * (a_run + b_run) + a_run, b, i * b_run, b_run);
    }
}

void tenon_ref_slice(int64_t axis, int64_t start, int64_t length, const struct tenon_ref_shape *xs, const void *x, void *y)
{
    int64_t dim = dim_of_axis(axis, xs), outer = ref_count(xs, 0, dim), inner = ref_count(xs, dim + 1, xs->rank);
    for (int64_t i = 0; i < outer; i++)
        copy(y, i * length * inner, x, (i * xs->dims[dim] + start) * inner, length * inner);
}

/* Where element i of y lies in x: its coordinates, from the last dim on, times the strides of the dims they come from. */
static int64_t transposed_at(const int64_t *perm, const struct tenon_ref_shape *xs, int64_t i)
{
    int64_t at = 0;
    for (int64_t d = xs->rank - 1; d >= 0; d--) {
        at += i % xs->dims[perm[d]] * ref_count(xs, perm[d] + 1, xs->rank);
        i /= xs->dims[perm[d]];
    }
    return at;
}

void tenon_ref_transpose(const int64_t *perm, const struct tenon_ref_shape *xs, const void *x, void *y)
{
    for (int64_t i = 0, n = ref_size(xs); i < n; i++)
        copy(y, i, x, transposed_at(perm, xs, i), 1);
}

void tenon_ref_broadcast(const struct tenon_ref_shape *xs, const void *x, const struct tenon_ref_shape *ys, void *y)
{
    for (int64_t i = 0, n = ref_size(ys); i < n; i++)
        copy(y, i, x, ref_broadcast_at(ys, i, xs), 1);
}

/* ---- from nothing much -------------------------------------------------------------------------------------- */

void tenon_ref_bits(int64_t rows, int64_t w, int64_t count, const uint32_t *x, int32_t *y)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < count; i++)
            y[r * count + i] = (int32_t)(x[r * w + i / 32] >> (i % 32) & 1u);
}

void tenon_ref_iota(int64_t rows, int64_t n, int32_t *y)
{
    for (int64_t i = 0; i < rows * n; i++)
        y[i] = (int32_t)(i % n);
}

void tenon_ref_fill(double value, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)value;
}
