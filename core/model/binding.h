/* binding.h - the weights of one program as a backend takes them: buffers over the mapped file, memory for those that had to be
 * made of it (transform.h), and packed copies where the backend asks for them.
 *
 *     struct tn_bindings b = {0};
 *     rc = tn_bindings_make(&b, container, &resolved, graph, &device, err);
 *     compile_args.weights = b.items; compile_args.n_weights = b.n;
 *     tn_bindings_finish(&b);                              // after the executable is freed
 *
 * [init]
 */
#ifndef TN_MODEL_BINDING_H
#define TN_MODEL_BINDING_H

#include <stdint.h>

#include <tenon/backend.h>

#include "core/model/device.h"
#include "core/model/membuf.h"
#include "core/model/resolve.h"

struct tn_bindings {
    const struct tenon_backend *backend; /* OWN: device */
    struct tenon_weight_binding *items;  /* [n] */
    uint32_t n;
    struct tenon_buffer **files;         /* [n_files] by file id; NULL: no tensor in it */
    uint64_t *file_start;                /* [n_files] offset in the file that the buffer begins at */
    uint32_t n_files;
    const uint8_t **file_data;           /* [n_files] our mapping that the buffer is, NULL: the device has a copy */
    struct tn_place *places;             /* [n] where items[i] is */
    const struct tn_resolved_weight **from; /* [n] what it is made of. OWN: resolved, needed until packed */
    struct tn_membuf made;               /* of weights that are not in the file as they are */
    uint64_t made_bytes;                 /* of those, what stays after packing */
    struct tenon_buffer *packed;         /* all packed weights, NULL: there are none; where each lies, its item's `packed` says */
    uint64_t packed_bytes;
};

/* Bind what the graph uses: a weight without a use in it is left out. The device outlives *ret. UNIMPLEMENTED: the device
 * cannot read an encoding. On failure *ret stays empty. */
int32_t tn_bindings_make(struct tn_bindings *ret, struct tn_container *c, const struct tn_resolved *resolved,
                         const struct tenon_graph *graph, const struct tn_device *device, struct tenon_err *err);
/* Make what is to be made, ask the device for the rung of each weight and reserve memory for the packed forms it wants. Packed
 * before this returns is all of them, or with `later` what was made: the rest waits for tn_bindings_pack. */
int32_t tn_bindings_ready(struct tn_bindings *b, const struct tn_container *c, const struct tn_device *device, bool later,
                          struct tenon_err *err);
/* Weight i, where it waits to be packed: packed, told to the executable that was compiled without, and what it was packed from
 * let go. One thread at a time. */
int32_t tn_bindings_pack(struct tn_bindings *b, const struct tn_device *device, struct tenon_executable *exe, uint32_t i,
                         struct tenon_err *err);
void tn_bindings_finish(struct tn_bindings *b); /* fine on a zeroed one */

#endif
