/* num.h - arithmetic that says when it does not fit. Every size that comes from outside goes through these before it
 * is used:
 *
 *     uint64_t bytes;
 *     if (!tn_mul_u64(n_rows, row_bytes, &bytes) || bytes > file_size)
 *         return tenon_fail(err, TENON_E_OUT_OF_RANGE, path, "tensor is larger than its file: the file is cut off");
 *
 * Each returns true and sets *ret when the result fits, and false, leaving *ret as it was, when it does not.
 * [any-thread]
 */
#ifndef TN_BASE_NUM_H
#define TN_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool tn_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

static inline bool tn_sub_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    if (b > a)
        return false;
    *ret = a - b;
    return true;
}

static inline bool tn_mul_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

/* a rounded up to a multiple of `align`, which must be a power of two. */
static inline bool tn_align_u64(uint64_t a, uint64_t align, uint64_t *ret)
{
    uint64_t sum;
    if (!tn_add_u64(a, align - 1, &sum))
        return false;
    *ret = sum & ~(align - 1);
    return true;
}

/* n elements of `size` bytes as a size_t, for malloc. */
static inline bool tn_mul_size(uint64_t n, uint64_t size, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(n, size, &product))
        return false;
    *ret = product;
    return true;
}

#endif
