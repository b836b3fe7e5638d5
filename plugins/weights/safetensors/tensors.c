/* tensors.c - the list of tensors at the head of a file: 8 bytes of length, then JSON. Each tensor is proved to have as many
 * bytes as its shape and type call for, to lie inside the file and to share no byte with another. Reads no tensor. Immutable
 * after reading: any thread. Contract: safetensors.h. */
#include "safetensors.h"

#include <stdlib.h>

/* One file while its header is read. */
struct file {
    const char *name;
    uint32_t id;
    const uint8_t *data; /* [size] */
    uint64_t size;
    uint64_t begin;      /* of the tensors' bytes */
    struct tenon_err *err;
};

#define FAIL(f, code, ...) tenon_fail((f)->err, (code), (f)->name, __VA_ARGS__)
#define SHOWN 80 /* characters of a name in a message */

/* ---- one tensor --------------------------------------------------------------------------------------------- */

static int32_t read_shape(const struct file *f, const char *name, const cJSON *shape, struct tenon_tensor *t)
{
    const cJSON *dim;
    if (!cJSON_IsArray(shape))
        return FAIL(f, TENON_E_DATA_LOSS, "tensor \"%.*s\" has no shape: the header is damaged", SHOWN, name);
    cJSON_ArrayForEach(dim, shape) {
        if (t->n_dims == TENON_TENSOR_DIMS)
            return FAIL(f, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" has more than %u dims", SHOWN, name, TENON_TENSOR_DIMS);
        if (!st_json_u64(dim, &t->dims[t->n_dims++]))
            return FAIL(f, TENON_E_DATA_LOSS, "tensor \"%.*s\": a dim is no whole number: the header is damaged", SHOWN, name);
    }
    return TENON_OK;
}

/* Bytes that shape and type call for; false: more than can be counted. */
static bool measure(const struct tenon_tensor *t, const struct st_dtype *dtype, uint64_t *ret)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(n, t->dims[i], &n))
            return false;
    if (__builtin_mul_overflow(n, dtype->bits, &n) || n % 8 != 0)
        return false;
    *ret = n / 8;
    return true;
}

static int32_t read_place(const struct file *f, const char *name, const cJSON *offsets, const struct st_dtype *dtype,
                          struct tenon_tensor *t)
{
    const cJSON *first = cJSON_IsArray(offsets) ? offsets->child : NULL;
    const uint64_t room = f->size - f->begin;
    uint64_t begin, end, bytes;
    if (first == NULL || first->next == NULL || first->next->next != NULL || !st_json_u64(first, &begin) ||
        !st_json_u64(first->next, &end))
        return FAIL(f, TENON_E_DATA_LOSS, "tensor \"%.*s\" does not say by two whole numbers where it is: the header is damaged",
                    SHOWN, name);
    if (begin > end || end > room)
        return FAIL(f, TENON_E_DATA_LOSS, "tensor \"%.*s\" is said to be at bytes %llu to %llu of %llu: the file is cut off or damaged, fetch it "
                    "again", SHOWN, name, (unsigned long long)begin, (unsigned long long)end, (unsigned long long)room);
    if (!measure(t, dtype, &bytes) || bytes != end - begin)
        return FAIL(f, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" has %llu bytes, which its shape and type %s do not make: the header is damaged",
                    SHOWN, name, (unsigned long long)(end - begin), dtype->name);
    t->n_planes = 1;
    t->planes[0] = (struct tenon_range){.file = f->id, .offset = f->begin + begin, .size = bytes};
    return TENON_OK;
}

static int32_t read_tensor(const struct file *f, const cJSON *entry, struct tenon_tensor *t)
{
    const cJSON *dtype = NULL, *shape = NULL, *offsets = NULL, *item;
    const struct st_dtype *type;
    int32_t rc;
    if (!cJSON_IsObject(entry))
        return FAIL(f, TENON_E_DATA_LOSS, "entry \"%.*s\" is no tensor: the header is damaged", SHOWN, entry->string);
    cJSON_ArrayForEach(item, entry) {
        const cJSON **place = strcmp(item->string, "dtype") == 0 ? &dtype : strcmp(item->string, "shape") == 0 ? &shape : &offsets;
        if (place == &offsets && strcmp(item->string, "data_offsets") != 0)
            continue;
        if (*place != NULL)
            return FAIL(f, TENON_E_DATA_LOSS, "tensor \"%.*s\" says its %s twice: the header is damaged", SHOWN, entry->string,
                        item->string);
        *place = item;
    }
    if (!cJSON_IsString(dtype))
        return FAIL(f, TENON_E_DATA_LOSS, "tensor \"%.*s\" has no type: the header is damaged", SHOWN, entry->string);
    type = st_dtype_of(dtype->valuestring);
    if (type == NULL)
        return FAIL(f, TENON_E_UNIMPLEMENTED, "tensor \"%.*s\" has type \"%.20s\", which this plugin does not know: a newer version may", SHOWN,
                    entry->string, dtype->valuestring);
    t->encoding = type->encoding;
    rc = read_shape(f, entry->string, shape, t);
    return rc == TENON_OK ? read_place(f, entry->string, offsets, type, t) : rc;
}

static int32_t add_tensor(struct st_tensors *t, const struct file *f, const cJSON *entry)
{
    struct tenon_tensor tensor = {.struct_size = sizeof tensor};
    void *items = t->items;
    char *name = NULL;
    int32_t rc = read_tensor(f, entry, &tensor);
    if (rc != TENON_OK)
        return rc;
    rc = weights_grow(&items, t->names.n, &t->capacity, sizeof *t->items);
    t->items = items;
    if (rc == TENON_OK)
        rc = (name = strdup(entry->string)) != NULL ? TENON_OK : TENON_E_RESOURCE_EXHAUSTED;
    if (rc == TENON_OK)
        rc = weights_names_add(&t->names, (struct tenon_str){name, strlen(name)});
    if (rc != TENON_OK)
        free(name);
    if (rc == TENON_E_ALREADY_EXISTS)
        return FAIL(f, TENON_E_INVALID_ARGUMENT, "tensor \"%.*s\" stands there twice: the file, or the set of files, is damaged",
                    SHOWN, entry->string);
    if (rc != TENON_OK)
        return FAIL(f, rc, "out of memory after %u tensors", (unsigned)t->names.n);
    tensor.name = t->names.items[t->names.n - 1];
    t->items[t->names.n - 1] = tensor;
    return TENON_OK;
}

/* ---- a file ------------------------------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
    const struct tenon_range *x = &(*(const struct tenon_tensor *const *)a)->planes[0],
                             *y = &(*(const struct tenon_tensor *const *)b)->planes[0];
    if (x->offset != y->offset)
        return x->offset > y->offset ? 1 : -1;
    return (x->size > y->size) - (x->size < y->size); /* empty ones first */
}

/* No two of the tensors from `first` on may share a byte; they are all of one file. */
static int32_t check_overlap(const struct st_tensors *t, const struct file *f, uint32_t first)
{
    const uint32_t n = t->names.n - first;
    const struct tenon_tensor **sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    int32_t rc = TENON_OK;
    if (sorted == NULL)
        return FAIL(f, TENON_E_RESOURCE_EXHAUSTED, "out of memory for %u tensors", (unsigned)n);
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = &t->items[first + i];
    qsort(sorted, n, sizeof *sorted, by_offset);
    for (uint32_t i = 1; rc == TENON_OK && i < n; i++)
        if (sorted[i]->planes[0].offset - sorted[i - 1]->planes[0].offset < sorted[i - 1]->planes[0].size &&
            sorted[i]->planes[0].size > 0)
            rc = FAIL(f, TENON_E_INVALID_ARGUMENT, "tensors \"%.*s\" and \"%.*s\" overlap: the header is damaged",
                      WEIGHTS_SHOW(sorted[i - 1]->name), WEIGHTS_SHOW(sorted[i]->name));
    free(sorted);
    return rc;
}

/* The header's length, and with it f->begin. */
static int32_t read_length(struct file *f, uint64_t *ret)
{
    uint64_t n = 0;
    if (f->size < 8)
        return FAIL(f, TENON_E_DATA_LOSS, "has %llu bytes, no room for a header: the file is cut off",
                    (unsigned long long)f->size);
    for (uint32_t i = 0; i < 8; i++)
        n |= (uint64_t)f->data[i] << 8 * i;
    if (n < 2 || n > ST_HEADER_MAX)
        return FAIL(f, TENON_E_INVALID_ARGUMENT, "a header of %llu bytes, but it must have 2 to %u: this is no safetensors file, or it is "
                    "damaged", (unsigned long long)n, ST_HEADER_MAX);
    if (n > f->size - 8)
        return FAIL(f, TENON_E_DATA_LOSS, "a header of %llu bytes in a file of %llu: it is cut off, fetch it again",
                    (unsigned long long)n, (unsigned long long)f->size);
    f->begin = 8 + n;
    *ret = n;
    return TENON_OK;
}

/* Keep where the file's data is. */
static int32_t keep_file(struct st_tensors *t, const struct file *f)
{
    const uint8_t **grown = f->id < t->n_files ? t->files : realloc(t->files, ((size_t)f->id + 1) * sizeof *grown);
    if (grown == NULL)
        return FAIL(f, TENON_E_RESOURCE_EXHAUSTED, "out of memory for %u files", (unsigned)f->id + 1);
    t->files = grown;
    for (; t->n_files <= f->id; t->n_files++)
        t->files[t->n_files] = NULL;
    t->files[f->id] = f->data;
    return TENON_OK;
}

int32_t st_tensors_read(struct st_tensors *t, const struct tenon_files *files, const char *file, struct tenon_err *err)
{
    struct file f = {.name = file, .err = err};
    const void *data = NULL;
    const uint32_t first = t->names.n;
    cJSON *header = NULL, *entry;
    uint64_t n = 0;
    int32_t rc = files->map(files->ctx, file, &f.id, &data, &f.size, err);
    if (rc != TENON_OK)
        return rc;
    f.data = data;
    rc = keep_file(t, &f);
    if (rc == TENON_OK)
        rc = read_length(&f, &n);
    if (rc == TENON_OK)
        rc = st_json_parse(file, f.data + 8, n, ST_HEADER_MAX, &header, err);
    for (entry = header != NULL ? header->child : NULL; rc == TENON_OK && entry != NULL; entry = entry->next)
        if (strcmp(entry->string, "__metadata__") != 0)
            rc = add_tensor(t, &f, entry);
    cJSON_Delete(header);
    return rc == TENON_OK ? check_overlap(t, &f, first) : rc;
}

void st_tensors_finish(struct st_tensors *t)
{
    for (uint32_t i = 0; i < t->names.n; i++)
        free((char *)t->names.items[i].data); /* strdup in add_tensor */
    weights_names_finish(&t->names);
    free(t->items);
    free(t->files);
    *t = (struct st_tensors){0};
}
