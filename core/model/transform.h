/* transform.h - what the host does to a tensor to make a weight of it: TENON_XFORM_* of <tenon/model.h>.
 *
 *     if (!tn_transform_fit(&t, desc, source, tensor->n_dims, tensor->dims)) ...          shapes do not go together
 *     rc = tn_transform_place(&t, tensor, f32, &place, err);                              in the file, or to be made?
 *     if (place.made) tn_transform_fill(&t, &place, f32, sources, planes);                now it is
 *
 * Nothing here allocates. [any-thread]
 */
#ifndef TN_MODEL_TRANSFORM_H
#define TN_MODEL_TRANSFORM_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/model.h>

#include "core/model/container.h"

/* Which element of the source goes where. A weight is batch matrices [rows, cols]; a vector is one row, or a column where rows
 * are picked. */
struct tn_transform {
    int32_t xform;           /* TENON_XFORM_* */
    uint64_t batch, rows, cols;
    uint64_t source_rows;    /* of each matrix of the source, transposed already */
    uint64_t group_rows, take, start; /* SPLIT: of every group_rows rows, `take` from `start` on */
    uint64_t heads;          /* PERMUTE_ROPE */
};

/* False: a tensor of dims [n_dims] cannot become the weight. STACK_EXPERTS: dims of one expert's. source NULL: no transform. */
bool tn_transform_fit(struct tn_transform *ret, const struct tenon_weight_desc *d, const struct tenon_weight_source *source,
                      uint32_t n_dims, const uint64_t *dims);

/* Where a weight's numbers are. */
struct tn_place {
    const struct tenon_encoding *encoding;
    bool made;                                      /* not in a file: planes are offsets in memory that the caller has */
    uint32_t n_planes;
    struct tenon_range planes[TENON_TENSOR_PLANES]; /* [n_planes] */
};

/* From a tensor with its encoding; f32 is the encoding of what is computed. UNIMPLEMENTED: a transform that the encoding's tiles
 * do not allow. Planes of what is to be made follow each other from offset 0, each at a multiple of 64. `anywhere`: planes may stay
 * in the file though they do not begin at a multiple of their encoding's alignment. */
int32_t tn_transform_place(const struct tn_transform *t, const struct tn_tensor *tensor, const struct tenon_encoding *f32, bool anywhere,
                           struct tn_place *ret, struct tenon_err *err);

/* Make what tn_transform_place said was to be made. sources [batch or 1][n_planes]: data of the tensors; planes [n_planes]: where
 * to. `from` is the sources' encoding. */
void tn_transform_fill(const struct tn_transform *t, const struct tn_place *place, const struct tenon_encoding *from,
                       const void *const (*sources)[TENON_TENSOR_PLANES], void *const *planes);

#endif
