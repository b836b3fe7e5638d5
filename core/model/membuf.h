/* membuf.h - memory that host and device both use: step inputs, logits, states, scratch.
 *
 *     struct tn_membuf b = {0};
 *     rc = tn_membuf_create(&b, backend, device, bytes, err);
 *     fill(b.host);
 *     rc = tn_membuf_push(&b, used_bytes, err);       // nothing to do on a device that shares our memory
 *     span = tn_membuf_span(&b, used_bytes);
 *     tn_membuf_finish(&b);
 *
 * The host reserves address space and offers it to the device; a page counts once it is touched. A device that cannot
 * import memory gets a buffer of its own, and push and pull copy. [serial:buffer]
 */
#ifndef TN_MODEL_MEMBUF_H
#define TN_MODEL_MEMBUF_H

#include <stdint.h>

#include <tenon/backend.h>

struct tn_membuf {
    const struct tenon_backend *backend; /* OWN: model */
    struct tenon_buffer *buffer;
    void *host;           /* [size]; NULL for device memory that the host never sees */
    uint64_t size;
    uint64_t mapped;      /* bytes of our own mapping, 0: host memory is the device's */
    int needs_copy;       /* host and device memory are apart */
};

/* Zeroed memory. size 0 gives an empty buffer. On failure *ret is untouched. */
int32_t tn_membuf_create(struct tn_membuf *ret, const struct tenon_backend *backend, struct tenon_device *dev,
                         uint64_t size, struct tenon_err *err);
/* The same for memory only the device uses (states, scratch): no copy on the host. */
int32_t tn_membuf_create_device(struct tn_membuf *ret, const struct tenon_backend *backend, struct tenon_device *dev,
                                uint64_t size, struct tenon_err *err);
void tn_membuf_finish(struct tn_membuf *b); /* fine on a zeroed one */

int32_t tn_membuf_push(const struct tn_membuf *b, uint64_t size, struct tenon_err *err); /* host to device */
int32_t tn_membuf_pull(const struct tn_membuf *b, uint64_t size, struct tenon_err *err); /* device to host */
struct tenon_span tn_membuf_span(const struct tn_membuf *b, uint64_t size);

#endif
