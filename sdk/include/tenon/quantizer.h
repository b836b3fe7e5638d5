/* quantizer.h - "tenon.quantizer/1": a family of encodings and, optionally, the code that quantises into them.
 *
 * The smallest useful quantizer is a list of encodings: every backend can then decode them. The callbacks are for making
 * such weights (`tenon convert`). All are [any-thread]; none keeps state between calls.
 */
#ifndef TENON_QUANTIZER_H
#define TENON_QUANTIZER_H

#include <tenon/encoding.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_QUANTIZER_IFACE "tenon.quantizer/1"

/* A tensor as the planner sees it. */
struct tenon_quant_tensor {
    uint32_t struct_size;
    int32_t role;       /* TENON_ROLE_* of model.h */
    const char *name;   /* logical name; OWN: borrowed for the call */
    uint64_t rows, cols;
};

struct tenon_quantizer {
    uint32_t struct_size;
    uint32_t n_encodings;
    const struct tenon_encoding *const *encodings; /* mandatory: [n_encodings] OWN: plugin, static */
    /* Optional. Encode `rows` rows of `cols` floats (x [rows, cols] row-major; importance [cols] weights of the squared
     * error or NULL) into planes[p], each tenon_encoding_plane_bytes() long. */
    int32_t (*quantize_rows)(void *self, const struct tenon_encoding *e, const float *x, const float *importance,
                             uint64_t rows, uint64_t cols, void *const *planes, struct tenon_err *err);
    /* Optional. A hand-written decoder, y [rows, cols] f32; must equal the decode program bit for bit (NaN equal to NaN). */
    int32_t (*decode_rows)(void *self, const struct tenon_encoding *e, const void *const *planes, uint64_t rows, uint64_t cols,
                           float *y, struct tenon_err *err);
    /* Optional. Choose an encoding per tensor for a named mix ("q4_k_m"): ret_encoding [n] indexes `encodings`. UNIMPLEMENTED
     * for a mix it does not know. */
    int32_t (*plan)(void *self, const char *mix, const struct tenon_quant_tensor *tensors, uint32_t n, uint32_t *ret_encoding,
                    struct tenon_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
