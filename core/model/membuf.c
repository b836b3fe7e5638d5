/* membuf.c - see membuf.h. Runs on the thread that owns the buffer. */
#include "core/model/membuf.h"

#include <string.h>
#include <sys/mman.h>

static int32_t reserve(uint64_t size, void **ret, struct tenon_err *err)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "memory", "cannot reserve %llu bytes: use a smaller --context",
                          (unsigned long long)size);
    /* A cache's pages lie far apart, layer by layer: huge pages would make each cost 2 MiB. */
    (void)madvise(p, size, MADV_NOHUGEPAGE);
    *ret = p;
    return TENON_OK;
}

static int32_t create(struct tn_membuf *ret, const struct tenon_backend *backend, struct tenon_device *dev, uint64_t size,
                      int device_only, struct tenon_err *err)
{
    struct tn_membuf b = { .backend = backend, .size = size, .mapped = size };
    int32_t rc;
    if (size == 0) {
        *ret = (struct tn_membuf){ .backend = backend };
        return TENON_OK;
    }
    rc = reserve(size, &b.host, err);
    if (rc != TENON_OK)
        return rc;
    rc = backend->buffer_import(dev, b.host, size, TENON_BUFFER_HOST_VISIBLE | TENON_BUFFER_HOST_COHERENT, &b.buffer, err);
    if (rc == TENON_E_UNIMPLEMENTED) {
        rc = backend->buffer_alloc(dev, size, TENON_BUFFER_DEVICE_LOCAL, &b.buffer, err);
        b.needs_copy = 1;
    }
    if (rc != TENON_OK || (b.needs_copy && device_only)) {
        (void)munmap(b.host, size); /* a mapping of ours: cannot fail */
        b.host = NULL;
        b.mapped = 0;
    }
    if (rc == TENON_OK)
        *ret = b;
    return rc;
}

int32_t tn_membuf_create(struct tn_membuf *ret, const struct tenon_backend *backend, struct tenon_device *dev,
                         uint64_t size, struct tenon_err *err)
{
    return create(ret, backend, dev, size, 0, err);
}

int32_t tn_membuf_create_device(struct tn_membuf *ret, const struct tenon_backend *backend, struct tenon_device *dev,
                                uint64_t size, struct tenon_err *err)
{
    return create(ret, backend, dev, size, 1, err);
}

void tn_membuf_finish(struct tn_membuf *b)
{
    if (b->buffer != NULL)
        b->backend->buffer_free(b->buffer);
    if (b->mapped != 0)
        (void)munmap(b->host, b->mapped);
    memset(b, 0, sizeof *b);
}

int32_t tn_membuf_push(const struct tn_membuf *b, uint64_t size, struct tenon_err *err)
{
    return b->needs_copy && size > 0 ? b->backend->upload(tn_membuf_span(b, size), b->host, err) : TENON_OK;
}

int32_t tn_membuf_pull(const struct tn_membuf *b, uint64_t size, struct tenon_err *err)
{
    return b->needs_copy && size > 0 ? b->backend->download(b->host, tn_membuf_span(b, size), err) : TENON_OK;
}

struct tenon_span tn_membuf_span(const struct tn_membuf *b, uint64_t size)
{
    return (struct tenon_span){ b->buffer, 0, size };
}
