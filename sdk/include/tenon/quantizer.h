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

/* A form in which files have a weight and that no tiles can say: packed along the other dim, a scale shared by a square, an order
 * that is data. A weights plugin gives `id` as the tensor's encoding, with the planes as they lie in the file; the host makes the
 * planes of `encoding` of them at load. A tensor of more than two dims is matrices, one behind the other in every plane. OWN:
 * plugin, static. [any-thread] */
struct tenon_stored {
    uint32_t struct_size;
    uint32_t n_planes;                     /* in the file, at most TENON_PLANES_MAX */
    const char *id;                        /* "gptq.int4_g128/1" */
    const struct tenon_encoding *encoding; /* of the same plugin: what it becomes */
    const void *info;                      /* the plugin's own */
    /* Bytes of a plane of a weight of rows x cols, UINT64_MAX when the form cannot hold that shape. */
    uint64_t (*plane_bytes)(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols);
    /* Rows first .. first+n-1, a multiple of the tile's: planes [n_planes] whole, as long as plane_bytes says; tiles[p] is plane
     * p of the encoding, whole too. Threads may call it for different rows at once. INVALID_ARGUMENT: what the planes say cannot
     * be. */
    int32_t (*unpack)(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err);
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
    /* Optional: [n_stored] OWN: plugin, static */
    const struct tenon_stored *const *stored;
    uint32_t n_stored;
    uint32_t reserved; /* 0 */
};

#ifdef __cplusplus
}
#endif
#endif
