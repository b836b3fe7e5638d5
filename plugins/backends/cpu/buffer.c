/* buffer.c - buffers of the CPU backend: anonymous mappings, or the host's memory used where it is. No copies are kept. */
#include <stdlib.h>
#include <sys/mman.h>

#include "device.h"

void *cpu_span_data(const struct tenon_span *span)
{
    if (span->buffer == NULL || span->offset > span->buffer->size || span->size > span->buffer->size - span->offset)
        return NULL;
    return span->buffer->data + span->offset;
}

uint64_t cpu_memory_free(const struct cpu_plugin *p)
{
    return p->memory != NULL ? p->memory->available(p->memory->ctx) : 0;
}

#define HUGE_PAGE ((uint64_t)2 << 20)

/* Whole huge pages, where the system has any to give: weights are read from end to end, and so cost few address lookups. */
static void *map_memory(uint64_t size, uint64_t *ret_mapped)
{
    uint64_t whole = size < HUGE_PAGE ? size : (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, spare = size < HUGE_PAGE ? 0 : HUGE_PAGE;
    uint8_t *p = mmap(NULL, whole + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (spare != 0) {
        uint64_t before = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
        if (before != 0)
            (void)munmap(p, before); /* parts of the mapping just made: cannot fail, nor can the next */
        if (before != HUGE_PAGE)
            (void)munmap(p + before + whole, HUGE_PAGE - before);
        p += before;
        (void)madvise(p, whole, MADV_HUGEPAGE); /* advice: fine without */
    }
    *ret_mapped = whole;
    return p;
}

/* Pages come from mmap, untouched. */
int32_t cpu_buffer_alloc(struct tenon_device *dev, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                         struct tenon_err *err)
{
    struct tenon_buffer *buf = calloc(1, sizeof *buf);
    void *data = NULL;
    uint64_t mapped = 0;
    (void)dev;
    if (buf != NULL && size <= (uint64_t)INT64_MAX)
        data = map_memory(size != 0 ? size : 1, &mapped);
    if (data == NULL) {
        free(buf);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for a buffer of %llu bytes",
                          (unsigned long long)size);
    }
    *buf = (struct tenon_buffer){ .data = data, .size = size, .flags = flags, .mapped = mapped };
    *ret = buf;
    return 0;
}

int32_t cpu_buffer_import(struct tenon_device *dev, void *memory, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                          struct tenon_err *err)
{
    struct tenon_buffer *buf = calloc(1, sizeof *buf);
    (void)dev;
    if (buf == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for a buffer's handle");
    *buf = (struct tenon_buffer){ .data = memory, .size = size, .flags = flags };
    *ret = buf;
    return 0;
}

void cpu_buffer_free(struct tenon_buffer *buf)
{
    if (buf != NULL && buf->mapped != 0)
        (void)munmap(buf->data, buf->mapped); /* can only fail on arguments that mmap did not give */
    free(buf);
}

int32_t cpu_buffer_map(struct tenon_buffer *buf, void **ret_memory, struct tenon_err *err)
{
    (void)err;
    *ret_memory = buf->data;
    return 0;
}

int32_t cpu_upload(struct tenon_span dst, const void *src, struct tenon_err *err)
{
    void *p = cpu_span_data(&dst);
    if (p == NULL)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "cpu", "upload of %llu bytes leaves its buffer",
                          (unsigned long long)dst.size);
    memcpy(p, src, dst.size);
    return 0;
}

int32_t cpu_download(void *dst, struct tenon_span src, struct tenon_err *err)
{
    const void *p = cpu_span_data(&src);
    if (p == NULL)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "cpu", "download of %llu bytes leaves its buffer",
                          (unsigned long long)src.size);
    memcpy(dst, p, src.size);
    return 0;
}
