/* tensors.c - the list of tensors: reads each description and proves that its bytes are in the file, aligned, and nobody
 * else's. Reads no tensor. Immutable after reading: any thread. Contract: gguf.h. */
#include "gguf.h"

#include <stdlib.h>

/* ---- one description ---------------------------------------------------------------------------------------- */

static int32_t read_dims(struct gguf_tensor *t, struct gguf_cursor *c, struct tenon_str name)
{
    int32_t rc = gguf_take_u32(c, "a tensor's number of dims", &t->n_dims);
    if (rc == TENON_OK && (t->n_dims == 0 || t->n_dims > GGUF_DIMS_MAX))
        rc = GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" has %u dims: must be 1 to %u", WEIGHTS_SHOW(name),
                       (unsigned)t->n_dims, GGUF_DIMS_MAX);
    for (uint32_t i = 0; rc == TENON_OK && i < t->n_dims; i++) {
        rc = gguf_take_u64(c, "a tensor's dims", &t->dims[i]);
        if (rc == TENON_OK && (t->dims[i] == 0 || t->dims[i] > INT64_MAX))
            rc = GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\": dim %u is %llu, must be 1 to 2^63 - 1", WEIGHTS_SHOW(name),
                           (unsigned)i, (unsigned long long)t->dims[i]);
    }
    return rc;
}

static int32_t read_type(struct gguf_tensor *t, struct gguf_cursor *c, struct tenon_str name)
{
    uint32_t id;
    int32_t rc = gguf_take_u32(c, "a tensor's type", &id);
    if (rc != TENON_OK)
        return rc;
    t->type = gguf_type_of(id);
    if (t->type == NULL)
        return GGUF_FAIL(c, TENON_E_UNIMPLEMENTED, "tensor \"%.*s\" has type %u, which this plugin does not know: a newer "
                         "version may, or the file was made for another program", WEIGHTS_SHOW(name), (unsigned)id);
    if (t->dims[0] % t->type->cols != 0)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\": rows of %llu elements are not whole blocks of %u (%s)",
                         WEIGHTS_SHOW(name), (unsigned long long)t->dims[0], t->type->cols, t->type->encoding);
    return TENON_OK;
}

/* Set t->size. */
static int32_t measure(struct gguf_tensor *t, const struct gguf_cursor *c, struct tenon_str name)
{
    int64_t elements = 1; /* signed: the number must fit what others count with */
    uint64_t size;
    for (uint32_t i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(elements, t->dims[i], &elements))
            return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" has more elements than can be counted",
                             WEIGHTS_SHOW(name));
    if (__builtin_mul_overflow((uint64_t)elements / t->type->cols, t->type->bytes, &size))
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" has more bytes than can be counted", WEIGHTS_SHOW(name));
    t->size = size;
    return TENON_OK;
}

static int32_t read_tensor(struct gguf_tensor *t, struct gguf_cursor *c, struct tenon_str name)
{
    int32_t rc = read_dims(t, c, name);
    if (rc == TENON_OK)
        rc = read_type(t, c, name);
    if (rc == TENON_OK)
        rc = measure(t, c, name);
    if (rc == TENON_OK)
        rc = gguf_take_u64(c, "a tensor's offset", &t->offset);
    return rc;
}

static int32_t add_tensor(struct gguf_tensors *t, struct gguf_cursor *c, uint32_t file)
{
    struct tenon_str name;
    void *items = t->items;
    int32_t rc = gguf_take_string(c, "a tensor's name", &name);
    if (rc != TENON_OK)
        return rc;
    rc = weights_grow(&items, t->names.n, &t->capacity, sizeof *t->items);
    t->items = items;
    if (rc == TENON_OK)
        rc = weights_names_add(&t->names, name);
    if (rc == TENON_E_ALREADY_EXISTS)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" stands there twice: the file is damaged",
                         WEIGHTS_SHOW(name));
    if (rc != TENON_OK)
        return GGUF_FAIL(c, rc, "out of memory after %u tensors", (unsigned)t->names.n);
    struct gguf_tensor *tensor = &t->items[t->names.n - 1];
    *tensor = (struct gguf_tensor){.file = file};
    return read_tensor(tensor, c, name);
}

/* ---- places in the file ------------------------------------------------------------------------------------- */

/* Turn the offset from the data section at `data` into one from the file's start, and prove that the tensor is inside. */
static int32_t place(struct gguf_tensor *t, const struct gguf_cursor *c, struct tenon_str name, uint64_t data,
                     uint64_t alignment)
{
    if (t->offset % alignment != 0)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" begins at %llu, no multiple of the alignment %llu",
                         WEIGHTS_SHOW(name), (unsigned long long)t->offset, (unsigned long long)alignment);
    uint64_t room = c->size > data ? c->size - data : 0;
    if (t->offset > room || t->size > room - t->offset)
        return GGUF_FAIL(c, TENON_E_DATA_LOSS, "tensor \"%.*s\" (%llu bytes) reaches past the end of the file: it is cut off, "
                         "fetch it again", WEIGHTS_SHOW(name), (unsigned long long)t->size);
    t->offset += data;
    return TENON_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a, *y = *(const struct gguf_tensor *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* No two of the n tensors from `first` on may share a byte; they are all of one file. Sorting, because formats do not
 * promise an order; tensors are never empty, so neighbours are enough. */
static int32_t check_overlap(const struct gguf_tensors *t, const struct gguf_cursor *c, uint32_t first, uint32_t n)
{
    const struct gguf_tensor **sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    int32_t rc = TENON_OK;
    if (sorted == NULL)
        return GGUF_FAIL(c, TENON_E_RESOURCE_EXHAUSTED, "out of memory for %u tensors", (unsigned)n);
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = &t->items[first + i];
    qsort(sorted, n, sizeof *sorted, by_offset);
    for (uint32_t i = 1; rc == TENON_OK && i < n; i++)
        if (sorted[i]->offset - sorted[i - 1]->offset < sorted[i - 1]->size)
            rc = GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "tensors \"%.*s\" and \"%.*s\" overlap: the file is damaged",
                           WEIGHTS_SHOW(t->names.items[sorted[i - 1] - t->items]), WEIGHTS_SHOW(t->names.items[sorted[i] - t->items]));
    free(sorted);
    return rc;
}

int32_t gguf_tensors_read(struct gguf_tensors *t, struct gguf_cursor *c, uint64_t n, uint32_t file, uint64_t alignment)
{
    uint32_t first = t->names.n;
    int32_t rc = TENON_OK;
    for (uint64_t i = 0; rc == TENON_OK && i < n; i++)
        rc = add_tensor(t, c, file);
    uint64_t data = c->at + (alignment - c->at % alignment) % alignment; /* cannot wrap: both are far below 2^63 */
    for (uint32_t i = first; rc == TENON_OK && i < t->names.n; i++)
        rc = place(&t->items[i], c, t->names.items[i], data, alignment);
    return rc == TENON_OK ? check_overlap(t, c, first, t->names.n - first) : rc;
}

void gguf_tensors_get(const struct gguf_tensors *t, uint32_t i, struct tenon_tensor *ret)
{
    const struct gguf_tensor *tensor = &t->items[i];
    *ret = (struct tenon_tensor){
        .struct_size = sizeof *ret,
        .n_dims = tensor->n_dims,
        .name = t->names.items[i],
        .encoding = tensor->type->encoding,
        .n_planes = 1,
        .planes = {{.file = tensor->file, .offset = tensor->offset, .size = tensor->size}},
    };
    for (uint32_t k = 0; k < tensor->n_dims; k++)
        ret->dims[k] = tensor->dims[tensor->n_dims - 1 - k];
}

void gguf_tensors_finish(struct gguf_tensors *t)
{
    weights_names_finish(&t->names);
    free(t->items);
    *t = (struct gguf_tensors){0};
}
