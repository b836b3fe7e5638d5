/* shape.h - counting and broadcasting, for the files of this folder only. */
#ifndef TENON_REFERENCE_SHAPE_H
#define TENON_REFERENCE_SHAPE_H

#include <tenon/reference.h>

/* Elements of dims from .. to-1. */
static inline int64_t ref_count(const struct tenon_ref_shape *s, int64_t from, int64_t to)
{
    int64_t n = 1;
    for (int64_t d = from; d < to; d++)
        n *= s->dims[d];
    return n;
}

static inline int64_t ref_size(const struct tenon_ref_shape *s)
{
    return ref_count(s, 0, s->rank);
}

/* The element of a broadcast `b` that stands at element i of shape `y`: coordinates of i from the last dim on, those
 * along dims of 1 dropped, and those that b lacks too. */
static inline int64_t ref_broadcast_at(const struct tenon_ref_shape *y, int64_t i, const struct tenon_ref_shape *b)
{
    int64_t at = 0, stride = 1;
    for (int64_t d = 1; d <= b->rank; d++) {
        int64_t y_dim = y->dims[y->rank - d], b_dim = b->dims[b->rank - d];
        if (b_dim != 1)
            at += i % y_dim * stride;
        i /= y_dim;
        stride *= b_dim;
    }
    return at;
}

#endif
