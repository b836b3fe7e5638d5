/* transform.c - see transform.h. Every transform but those that compute is a choice of rows, so one function says where a row
 * comes from, and rows are copied whole in whatever encoding they are, by units of a tile's rows. Transposing goes by blocks that
 * stay in the cache. */
#include "core/model/transform.h"

#include <math.h>
#include <string.h>

#include <tenon/reference.h>

#include "core/base/num.h"

#define ROWS_PICKED (TENON_XFORM_SPLIT | TENON_XFORM_PERMUTE_ROPE)
#define COMPUTED (TENON_XFORM_ADD_ONE | TENON_XFORM_NEG_EXP)
#define TURNED (TENON_XFORM_TRANSPOSE | TENON_XFORM_TURN)
#define RESHAPED (TENON_XFORM_GROUPS | TENON_XFORM_COLUMN | TENON_XFORM_FLAT)
#define KNOWN (ROWS_PICKED | COMPUTED | TURNED | RESHAPED | TENON_XFORM_STACK_EXPERTS)
#define PLANE_ALIGN TENON_PLANE_ALIGN_MAX

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

/* dims without those of 1. ret [TENON_TENSOR_DIMS]; returns how many. */
static uint32_t squeeze(const uint64_t *dims, uint32_t n, uint64_t *ret)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++)
        if (dims[i] != 1)
            ret[k++] = dims[i];
    return k;
}

static bool same_dims(const uint64_t *a, uint32_t n_a, const uint64_t *b, uint32_t n_b)
{
    uint64_t x[TENON_TENSOR_DIMS], y[TENON_TENSOR_DIMS];
    uint32_t n = squeeze(a, n_a, x);
    return n == squeeze(b, n_b, y) && memcmp(x, y, n * sizeof *x) == 0;
}

/* The weight as matrices. */
static bool shape(struct tn_transform *t, const struct tenon_weight_desc *d)
{
    bool column = (t->xform & TENON_XFORM_COLUMN) != 0 || (d->rank == 1 && (t->xform & ROWS_PICKED) != 0);
    uint64_t last = d->dims[d->rank - 1], before = column ? 1 : d->rank > 1 ? d->dims[d->rank - 2] : 1;
    bool turn = (t->xform & TENON_XFORM_TURN) != 0;
    t->batch = 1;
    t->cols = turn ? before : column ? 1 : last; /* of what is turned in the end: before that */
    t->rows = turn || column ? last : before;
    if (d->rank == 2 && (t->xform & TENON_XFORM_STACK_EXPERTS) != 0) { /* vectors: each a matrix of one row */
        t->batch = t->rows;
        t->rows = 1;
    }
    for (uint32_t i = 0; i + (column ? 1 : 2) < d->rank; i++)
        if (!tn_mul_u64(t->batch, d->dims[i], &t->batch))
            return false;
    return t->batch > 0 && t->rows > 0 && t->cols > 0;
}

/* Rows to take of the source's, which has `source_rows` of them. */
static bool cut(struct tn_transform *t, const struct tenon_weight_source *s)
{
    uint64_t groups = s->groups != 0 && (t->xform & TENON_XFORM_GROUPS) == 0 ? s->groups : 1, piece, first;
    t->group_rows = t->source_rows / groups;
    t->take = t->rows / groups;
    if (s->parts == 0 || t->rows % groups != 0 || t->source_rows % groups != 0 || t->group_rows % s->parts != 0)
        return false;
    piece = t->group_rows / s->parts;
    if (!tn_mul_u64(piece, s->part, &first) || first > t->group_rows || t->take > t->group_rows - first)
        return false;
    t->start = first;
    return true;
}

/* Dims that the source must have where rows are all taken, for comparing; [n] returned. */
static uint32_t want_dims(const struct tn_transform *t, const struct tenon_weight_desc *d, uint64_t ret[TENON_TENSOR_DIMS])
{
    uint32_t skip = (t->xform & TENON_XFORM_STACK_EXPERTS) != 0 ? 1 : 0, n = d->rank - skip;
    memcpy(ret, d->dims + skip, n * sizeof *ret);
    if (n == 1 || (t->xform & TENON_XFORM_COLUMN) != 0) {
        ret[n - 1] = t->cols == 1 ? t->source_rows : t->cols;
    } else {
        bool turned = (t->xform & TENON_XFORM_TRANSPOSE) != 0;
        ret[n - 1] = turned ? t->source_rows : t->cols;
        ret[n - 2] = turned ? t->cols : t->source_rows;
    }
    return n;
}

/* The source's dims with its rows in groups; false: they cannot be. */
static bool group(const struct tenon_weight_source *s, uint32_t *n, uint64_t dims[TENON_TENSOR_DIMS])
{
    if (*n == 0 || *n == TENON_TENSOR_DIMS || s->groups == 0 || dims[0] % s->groups != 0)
        return false;
    memmove(dims + 1, dims, *n * sizeof *dims);
    dims[0] = s->groups;
    dims[1] /= s->groups;
    (*n)++;
    return true;
}

/* One dim instead of all. */
static bool flatten(uint32_t *n, uint64_t dims[TENON_TENSOR_DIMS])
{
    for (; *n > 1; (*n)--)
        if (!tn_mul_u64(dims[*n - 2], dims[*n - 1], &dims[*n - 2]))
            return false;
    return true;
}

bool tn_transform_fit(struct tn_transform *ret, const struct tenon_weight_desc *d, const struct tenon_weight_source *source,
                      uint32_t n_dims, const uint64_t *source_dims)
{
    struct tn_transform t = { .xform = source != NULL ? source->xform : TENON_XFORM_NONE };
    uint64_t want[TENON_TENSOR_DIMS], dims[TENON_TENSOR_DIMS];
    if (d->rank == 0 || d->rank > TENON_TENSOR_DIMS || n_dims > TENON_TENSOR_DIMS || (t.xform & ~KNOWN) != 0 || !shape(&t, d))
        return false;
    memcpy(dims, source_dims, n_dims * sizeof *dims);
    if ((t.xform & TENON_XFORM_FLAT) != 0 && (d->rank != 1 || !flatten(&n_dims, dims)))
        return false;
    t.xform &= ~TENON_XFORM_FLAT; /* where it lies it is flat */
    if ((t.xform & TENON_XFORM_GROUPS) != 0 && (d->rank != 3 || !group(source, &n_dims, dims)))
        return false;
    if ((t.xform & TENON_XFORM_STACK_EXPERTS) != 0 && d->rank != 3 && d->rank != 2)
        return false;
    t.source_rows = t.group_rows = t.take = t.rows;
    if ((t.xform & TENON_XFORM_SPLIT) != 0) {
        uint32_t from_end = d->rank == 1 || (t.xform & (TENON_XFORM_TRANSPOSE | TENON_XFORM_COLUMN)) != 0 ? 1 : 2;
        if (n_dims < from_end)
            return false;
        t.source_rows = dims[n_dims - from_end];
        if (!cut(&t, source))
            return false;
    }
    if ((t.xform & TENON_XFORM_PERMUTE_ROPE) != 0) {
        t.heads = source->groups != 0 ? source->groups : 1;
        if (t.rows % t.heads != 0 || t.rows / t.heads % 2 != 0)
            return false;
    }
    if (!same_dims(want, want_dims(&t, d, want), dims, n_dims))
        return false;
    *ret = t;
    return true;
}

/* ---- places ---------------------------------------------------------------------------------------------------- */

/* Does a piece of rows lie in one stretch, where it is in the file? */
static bool in_place(const struct tn_transform *t, const struct tn_tensor *tensor)
{
    return tensor->stored == NULL && (t->xform & ~TENON_XFORM_SPLIT) == 0 &&
           (t->xform == TENON_XFORM_NONE || (t->batch == 1 && t->take == t->rows));
}

/* Do planes begin as their encoding promises? Files are mapped from page boundaries on. */
static bool is_aligned(const struct tn_place *p)
{
    bool all = true;
    for (uint32_t i = 0; i < p->n_planes; i++)
        all = all && p->planes[i].offset % p->encoding->planes[i].align == 0;
    return all;
}

static int32_t refuse(const struct tn_tensor *tensor, const char *why, struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "", "tensor %.*s in encoding %s %s: this version cannot use it",
                      (int)tensor->t.name.size, tensor->t.name.data, tensor->encoding->id, why);
}

/* Do tiles let the rows be picked? */
static int32_t check_tiles(const struct tn_transform *t, const struct tn_tensor *tensor, struct tenon_err *err)
{
    const struct tenon_encoding *e = tensor->encoding;
    const uint64_t u = e->tile_rows;
    if ((t->xform & TURNED) != 0 && (e->tile_rows != 1 || e->tile_cols != 1 || e->n_planes != 1))
        return refuse(tensor, "would have to be transposed, but its tiles cannot", err);
    if (t->rows % u != 0 || t->source_rows % u != 0 || t->group_rows % u != 0 || t->take % u != 0 || t->start % u != 0 ||
        (u > 1 && t->heads != 0))
        return refuse(tensor, "would have to be cut within tiles", err);
    if (t->cols % e->tile_cols != 0)
        return refuse(tensor, "has rows that are no whole tiles", err);
    if ((t->xform & COMPUTED) != 0 && (t->xform & ~COMPUTED) != 0)
        return refuse(tensor, "would have to be moved and computed with", err);
    return TENON_OK;
}

/* Bytes of one row of tiles in a plane. */
static uint64_t row_bytes(const struct tn_transform *t, const struct tenon_encoding *e, uint32_t plane)
{
    return t->cols / e->tile_cols * e->planes[plane].tile_bytes; /* a part of a tensor that was counted */
}

static int32_t lay_out(const struct tn_transform *t, const struct tn_tensor *tensor, struct tn_place *p, struct tenon_err *err)
{
    uint64_t rows, at = 0;
    for (uint32_t i = 0; i < p->n_planes; i++) {
        uint64_t bytes = tn_mul_u64(t->batch, t->rows, &rows) ? tenon_encoding_plane_bytes(p->encoding, i, rows, t->cols) : UINT64_MAX;
        if (bytes == UINT64_MAX || !tn_align_u64(at, PLANE_ALIGN, &at) || at > UINT64_MAX - bytes)
            return refuse(tensor, "makes more bytes than can be counted", err);
        p->planes[i] = (struct tenon_range){ .offset = at, .size = bytes };
        at += bytes;
    }
    return TENON_OK;
}

int32_t tn_transform_place(const struct tn_transform *t, const struct tn_tensor *tensor, const struct tenon_encoding *f32, bool anywhere,
                           struct tn_place *ret, struct tenon_err *err)
{
    struct tn_place p = { .encoding = tensor->encoding, .n_planes = tensor->encoding->n_planes };
    int32_t rc;
    memcpy(p.planes, tensor->t.planes, sizeof p.planes);
    rc = t->xform == TENON_XFORM_NONE ? TENON_OK : check_tiles(t, tensor, err);
    for (uint32_t i = 0; rc == TENON_OK && in_place(t, tensor) && t->xform != TENON_XFORM_NONE && i < p.n_planes; i++) {
        p.planes[i].offset += t->start / p.encoding->tile_rows * row_bytes(t, p.encoding, i);
        p.planes[i].size = t->rows / p.encoding->tile_rows * row_bytes(t, p.encoding, i);
    }
    if (rc == TENON_OK && !(in_place(t, tensor) && (anywhere || is_aligned(&p)))) {
        p.made = true;
        if ((t->xform & COMPUTED) != 0) {
            p.encoding = f32;
            p.n_planes = 1;
        }
        rc = lay_out(t, tensor, &p, err);
    }
    if (rc == TENON_OK)
        *ret = p;
    return rc;
}

/* ---- making ---------------------------------------------------------------------------------------------------- */

/* The source's row, of a matrix, that is row i of the weight's. */
static uint64_t row_from(const struct tn_transform *t, uint64_t i)
{
    if ((t->xform & TENON_XFORM_PERMUTE_ROPE) != 0) {
        uint64_t length = t->rows / t->heads, j = i % length;
        i = i - j + (j % 2) * (length / 2) + j / 2;
    }
    return i / t->take * t->group_rows + t->start + i % t->take;
}

static void copy_rows(const struct tn_transform *t, const struct tenon_encoding *e, uint32_t plane,
                      const void *const (*sources)[TENON_TENSOR_PLANES], char *out)
{
    const uint64_t unit = e->tile_rows, bytes = row_bytes(t, e, plane);
    const bool stack = (t->xform & TENON_XFORM_STACK_EXPERTS) != 0;
    for (uint64_t m = 0; m < t->batch; m++) {
        const char *in = (const char *)sources[stack ? m : 0][plane] + (stack ? 0 : m * (t->source_rows / unit) * bytes);
        for (uint64_t i = 0; i < t->rows; i += unit, out += bytes)
            memcpy(out, in + row_from(t, i) / unit * bytes, (size_t)bytes);
    }
}

#define BLOCK 32u

/* out [cols, rows] of rows of in [source_rows, cols], elements of `size` bytes. */
static void turn(const struct tn_transform *t, const char *in, char *out, uint32_t size)
{
    for (uint64_t r = 0; r < t->rows; r++)
        for (uint64_t c = 0; c < t->cols; c++)
            memcpy(out + (c * t->rows + r) * size, in + (row_from(t, r) * t->cols + c) * size, size);
}

/* out [rows, cols] of in [cols, source_rows], elements of `size` bytes. */
static void transpose(const struct tn_transform *t, const char *in, char *out, uint32_t size)
{
    for (uint64_t r0 = 0; r0 < t->rows; r0 += BLOCK)
        for (uint64_t c0 = 0; c0 < t->cols; c0 += BLOCK)
            for (uint64_t r = r0; r < t->rows && r < r0 + BLOCK; r++) {
                const char *from = in + row_from(t, r) * size;
                for (uint64_t c = c0; c < t->cols && c < c0 + BLOCK; c++)
                    memcpy(out + (r * t->cols + c) * size, from + c * t->source_rows * size, size);
            }
}

static void transpose_all(const struct tn_transform *t, const struct tenon_encoding *e,
                          const void *const (*sources)[TENON_TENSOR_PLANES], char *out)
{
    const bool stack = (t->xform & TENON_XFORM_STACK_EXPERTS) != 0;
    const uint32_t size = e->planes[0].tile_bytes;
    for (uint64_t m = 0; m < t->batch; m++, out += t->rows * t->cols * size) {
        const char *in = (const char *)sources[stack ? m : 0][0] + (stack ? 0 : m * t->source_rows * t->cols * size);
        if ((t->xform & TENON_XFORM_TURN) != 0)
            turn(t, in, out, size);
        else
            transpose(t, in, out, size);
    }
}

static void compute(const struct tn_transform *t, const struct tenon_encoding *from, const void *const *planes, float *out)
{
    const uint64_t rows = t->batch * t->rows;
    (void)tenon_ref_decode_rows(from, planes, rows, t->cols, 0, rows, out); /* the shape was checked */
    for (uint64_t i = 0; i < rows * t->cols; i++) {
        if ((t->xform & TENON_XFORM_ADD_ONE) != 0)
            out[i] += 1.0f;
        if ((t->xform & TENON_XFORM_NEG_EXP) != 0)
            out[i] = -expf(out[i]);
    }
}

void tn_transform_fill(const struct tn_transform *t, const struct tn_place *place, const struct tenon_encoding *from,
                       const void *const (*sources)[TENON_TENSOR_PLANES], void *const *planes)
{
    if (t->xform == TENON_XFORM_NONE) { /* no rows are picked, so tiles may be of several matrices' */
        for (uint32_t p = 0; p < place->n_planes; p++)
            memcpy(planes[p], sources[0][p], (size_t)place->planes[p].size);
    } else if ((t->xform & COMPUTED) != 0) {
        compute(t, from, sources[0], planes[0]);
    } else if ((t->xform & TURNED) != 0) {
        transpose_all(t, from, sources, planes[0]);
    } else {
        for (uint32_t p = 0; p < place->n_planes; p++)
            copy_rows(t, from, p, sources, planes[p]);
    }
}
