/* container.c - finding the weights plugin for a path and taking down what it says. It checks ranges and shapes; the bytes
 * of tensors are never read here. Contract: container.h.
 */
#include "core/model/container.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"
#include "core/base/num.h"
#include "core/base/str.h"
#include "core/model/encoding.h"

#include <tenon/quantizer.h>

#define HEAD_BYTES 4096u
#define TENSORS_MAX (1u << 20)

struct tn_container {
    struct tn_registry *registry;
    char *path;
    struct tn_files *files;
    struct tenon_weights weights; /* of the plugin, copied in */
    void *self;
    const char *format;
    struct tenon_weights_model *model;
    const struct tenon_meta *meta;
    struct tn_tensor *tensors; /* [n_tensors] */
    uint64_t n_tensors;
    struct tn_map by_name;     /* to struct tn_tensor */
    struct tn_map encodings;   /* id to struct tenon_encoding, of those that were looked up */
};

/* ---- the plugin ---------------------------------------------------------------------------------------------- */

/* The first bytes of the file the user named; of a folder none, but it must have files. */
static int32_t head_of(const struct tn_container *src, const void **ret_head, uint64_t *ret_size, struct tenon_err *err)
{
    const struct tenon_files *files = tn_files_table(src->files);
    const char *name = tn_files_name(src->files);
    uint32_t id;
    if (name != NULL)
        return files->map(files->ctx, name, &id, ret_head, ret_size, err);
    if (files->name_at(files->ctx, 0) == NULL)
        return tenon_fail(err, TENON_E_NOT_FOUND, src->path, "an empty folder: give the path of a model");
    return TENON_OK;
}

/* How sure a plugin is: of a folder by the names in it, of a file by its head [size]. */
static int32_t ask(const struct tn_container *src, const struct tenon_weights *w, void *self, const void *head, uint64_t size)
{
    if (tn_files_name(src->files) == NULL)
        return w->probe_folder != NULL ? w->probe_folder(self, tn_files_table(src->files)) : 0;
    return w->probe(self, head, size < HEAD_BYTES ? size : HEAD_BYTES);
}

static int32_t choose_plugin(struct tn_container *src, const void *head, uint64_t size, struct tenon_err *err)
{
    const struct tn_item *item;
    int32_t best = 0, rc = tn_registry_find(src->registry, TENON_WEIGHTS_IFACE, NULL, 0, &item, err);
    if (rc != TENON_OK)
        return rc; /* says what is missing */
    for (uint32_t i = 0; tn_registry_find(src->registry, TENON_WEIGHTS_IFACE, NULL, i, &item, NULL) == TENON_OK; i++) {
        struct tenon_weights w;
        int32_t sure;
        TENON_COPY_IN(&w, item->impl);
        sure = ask(src, &w, item->self, head, size);
        if (sure <= best)
            continue;
        best = sure;
        src->weights = w;
        src->self = item->self;
        src->format = item->name;
    }
    if (best == 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, src->path,
                          "no weights plugin knows this %s: is it a model? `tenon plugins list` shows the formats known",
                          tn_files_name(src->files) != NULL ? "file" : "folder");
    return TENON_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */

static int32_t take_tensor(struct tn_container *src, uint64_t i, struct tenon_err *err)
{
    struct tn_tensor *t = &src->tensors[i];
    int32_t rc;
    t->t.struct_size = sizeof t->t;
    rc = src->weights.tensor_at(src->model, i, &t->t, err);
    if (rc != TENON_OK)
        return rc;
    if (t->t.n_dims > TENON_TENSOR_DIMS || t->t.n_planes > TENON_TENSOR_PLANES || t->t.n_planes > TENON_PLANES_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, src->path, "tensor %llu: too many dims or planes",
                          (unsigned long long)i);
    if (tn_map_find(&src->by_name, t->t.name.data, t->t.name.size) != NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, src->path, "tensor %.*s stands there twice", (int)t->t.name.size,
                          t->t.name.data);
    if (tn_map_put(&src->by_name, t->t.name.data, t->t.name.size, t) != TENON_OK)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, src->path, "out of memory");
    return TENON_OK;
}

static int32_t take_tensors(struct tn_container *src, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    uint64_t n = src->weights.tensor_count(src->model);
    if (n > TENSORS_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, src->path, "%llu tensors: too many", (unsigned long long)n);
    src->tensors = calloc(n + 1, sizeof *src->tensors);
    if (src->tensors == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, src->path, "out of memory");
    for (; rc == TENON_OK && src->n_tensors < n; src->n_tensors++)
        rc = take_tensor(src, src->n_tensors, err);
    return rc;
}

/* ---- encodings ------------------------------------------------------------------------------------------------ */

static const struct tenon_encoding *encoding_in(const struct tn_item *item, const char *id)
{
    struct tenon_quantizer q;
    TENON_COPY_IN(&q, item->impl);
    for (uint32_t i = 0; i < q.n_encodings; i++)
        if (q.encodings[i] != NULL && q.encodings[i]->id != NULL && strcmp(q.encodings[i]->id, id) == 0)
            return q.encodings[i];
    return NULL;
}

int32_t tn_container_encoding(struct tn_container *src, const char *id, const struct tenon_encoding **ret, struct tenon_err *err)
{
    const struct tn_item *item;
    const struct tenon_encoding *e = tn_map_get(&src->encodings, id, strlen(id));
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; e == NULL; i++) {
        if (tn_registry_find(src->registry, TENON_QUANTIZER_IFACE, NULL, i, &item, i == 0 ? err : NULL) != TENON_OK)
            return i == 0 ? TENON_E_NOT_FOUND
                          : tenon_fail(err, TENON_E_NOT_FOUND, src->path,
                                       "encoding %s: no quantizer plugin describes it: install one that does "
                                       "(`tenon plugins list` shows what is there)", id);
        e = encoding_in(item, id);
        if (e == NULL)
            continue;
        rc = tn_encoding_check(e, err);
        if (rc != TENON_OK)
            return rc;
        if (tn_map_put(&src->encodings, id, strlen(id), (void *)e) != TENON_OK)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, src->path, "out of memory");
    }
    *ret = e;
    return rc;
}

/* The form of that id, NULL: no plugin has it. */
static const struct tenon_stored *stored_form(struct tn_container *src, const char *id)
{
    const struct tn_item *item;
    for (uint32_t i = 0; tn_registry_find(src->registry, TENON_QUANTIZER_IFACE, NULL, i, &item, NULL) == TENON_OK; i++) {
        struct tenon_quantizer q;
        TENON_COPY_IN(&q, item->impl);
        for (uint32_t k = 0; k < q.n_stored; k++)
            if (q.stored[k] != NULL && q.stored[k]->struct_size >= sizeof **q.stored && q.stored[k]->id != NULL &&
                strcmp(q.stored[k]->id, id) == 0)
                return q.stored[k];
    }
    return NULL;
}

/* What the tensor's id means: an encoding, or a form that becomes one at load. */
static int32_t look_up(struct tn_container *src, struct tn_tensor *t, struct tenon_err *err)
{
    int32_t rc = tn_container_encoding(src, t->t.encoding, &t->encoding, err);
    if (rc != TENON_E_NOT_FOUND || (t->stored = stored_form(src, t->t.encoding)) == NULL)
        return rc;
    rc = tn_container_encoding(src, t->stored->encoding->id, &t->encoding, err);
    if (rc == TENON_OK && strcmp(t->encoding->digest, t->stored->encoding->digest) != 0)
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, src->path, "%s becomes %s, which another plugin says otherwise",
                        t->stored->id, t->encoding->id);
    return rc;
}

/* rows: of all matrices. UINT64_MAX: they cannot be. */
static uint64_t plane_bytes(const struct tn_tensor *t, uint32_t plane, uint64_t rows, uint64_t cols)
{
    uint64_t bytes;
    if (rows == UINT64_MAX || (t->stored != NULL && (t->matrices == 0 || t->rows % t->encoding->tile_rows != 0)))
        return UINT64_MAX;
    if (t->stored == NULL)
        return tenon_encoding_plane_bytes(t->encoding, plane, rows, cols);
    bytes = t->stored->plane_bytes(t->stored, plane, t->rows, t->cols);
    return bytes != UINT64_MAX && tn_mul_u64(bytes, t->matrices, &bytes) ? bytes : UINT64_MAX;
}

/* A stored form's matrices, of which there are `rows` rows. */
static void count_matrices(struct tn_tensor *t, uint64_t rows, uint64_t cols)
{
    t->rows = t->t.n_dims >= 2 ? t->t.dims[t->t.n_dims - 2] : 0;
    t->matrices = t->rows != 0 && rows != UINT64_MAX ? rows / t->rows : 0;
    t->cols = cols;
}

static int32_t check_planes(struct tn_container *src, struct tn_tensor *t, struct tenon_err *err)
{
    uint32_t n_planes = t->stored != NULL ? t->stored->n_planes : t->encoding->n_planes;
    uint64_t rows = 1, cols = t->t.n_dims > 0 ? t->t.dims[t->t.n_dims - 1] : 1;
    const char *name = t->t.name.data;
    int name_size = (int)t->t.name.size;
    for (uint32_t d = 0; d + 1 < t->t.n_dims; d++)
        if (!tn_mul_u64(rows, t->t.dims[d], &rows))
            rows = UINT64_MAX;
    if (t->stored != NULL)
        count_matrices(t, rows, cols);
    if (t->t.n_planes != n_planes)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, src->path, "tensor %.*s: %u planes, its encoding %s has %u",
                          name_size, name, t->t.n_planes, t->t.encoding, n_planes);
    t->bytes = 0;
    for (uint32_t p = 0; p < t->t.n_planes; p++) {
        struct tenon_range *range = &t->t.planes[p];
        uint64_t bytes = plane_bytes(t, p, rows, cols);
        const void *data;
        int32_t rc;
        if (bytes == UINT64_MAX || (range->size != 0 && range->size != bytes))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, src->path, "tensor %.*s: its shape does not fit encoding %s",
                              name_size, name, t->t.encoding);
        range->size = bytes;
        rc = tn_files_view(src->files, range->file, range->offset, range->size, &data, err);
        if (rc != TENON_OK)
            return rc;
        t->bytes += bytes;
    }
    return TENON_OK;
}

/* Of an encoding that nobody knows: bytes as the plugin says, where they are inside the file. */
static int32_t count_planes(struct tn_container *src, struct tn_tensor *t, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    t->bytes = 0;
    for (uint32_t p = 0; rc == TENON_OK && p < t->t.n_planes; p++) {
        const void *data;
        rc = tn_files_view(src->files, t->t.planes[p].file, t->t.planes[p].offset, t->t.planes[p].size, &data, err);
        t->bytes += t->t.planes[p].size;
    }
    return rc;
}

int32_t tn_container_encode(struct tn_container *src, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint64_t i = 0; rc == TENON_OK && i < src->n_tensors; i++) {
        struct tn_tensor *t = &src->tensors[i];
        struct tenon_err none = TENON_ERR_INIT;
        rc = look_up(src, t, &none);
        if (rc == TENON_OK)
            rc = check_planes(src, t, err);
        else if (rc == TENON_E_NOT_FOUND) /* matters only if a weight is made of it */
            rc = count_planes(src, t, err);
        else
            rc = tenon_fail(err, rc, none.where, "%s", none.message);
    }
    return rc;
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

int32_t tn_container_open(struct tn_registry *reg, const char *path, struct tn_container **ret, struct tenon_err *err)
{
    struct tn_container *src = calloc(1, sizeof *src);
    const void *head = NULL;
    uint64_t size = 0;
    int32_t rc;
    if (src == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "out of memory");
    src->registry = reg;
    src->path = tn_str_printf("%s", path);
    rc = src->path != NULL ? tn_files_open(path, &src->files, err)
                           : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "out of memory");
    if (rc == TENON_OK)
        rc = head_of(src, &head, &size, err);
    if (rc == TENON_OK)
        rc = choose_plugin(src, head, size, err);
    if (rc == TENON_OK)
        rc = src->weights.open(src->self, tn_files_table(src->files), tn_files_name(src->files), &src->model, err);
    if (rc == TENON_OK) {
        src->meta = src->weights.metadata(src->model);
        rc = take_tensors(src, err);
    }
    rc = tn_container_whole(src, rc, err);
    if (rc != TENON_OK) {
        tn_container_close(src);
        return rc;
    }
    *ret = src;
    return TENON_OK;
}

int32_t tn_container_whole(const struct tn_container *src, int32_t rc, struct tenon_err *err)
{
    struct tenon_err torn = TENON_ERR_INIT;
    if (src->files == NULL || tn_files_check(src->files, &torn) == TENON_OK)
        return rc;
    return tenon_fail(err, torn.code, torn.where, "%s", torn.message);
}

void tn_container_close(struct tn_container *src)
{
    if (src == NULL)
        return;
    tn_map_finish(&src->by_name, NULL);
    tn_map_finish(&src->encodings, NULL);
    free(src->tensors);
    if (src->model != NULL)
        src->weights.close(src->self, src->model);
    tn_files_close(src->files);
    free(src->path);
    free(src);
}

/* ---- access ---------------------------------------------------------------------------------------------------- */

const struct tenon_meta *tn_container_meta(const struct tn_container *src)
{
    return src->meta;
}

const struct tn_files *tn_container_files(const struct tn_container *src)
{
    return src->files;
}

const char *tn_container_path(const struct tn_container *src)
{
    return src->path;
}

const char *tn_container_format(const struct tn_container *src)
{
    return src->format;
}

uint64_t tn_container_tensor_count(const struct tn_container *src)
{
    return src->n_tensors;
}

const struct tn_tensor *tn_container_tensor(const struct tn_container *src, uint64_t i)
{
    return i < src->n_tensors ? &src->tensors[i] : NULL;
}

const struct tn_tensor *tn_container_find(const struct tn_container *src, const char *name)
{
    return tn_map_get(&src->by_name, name, strlen(name));
}

uint64_t tn_container_tensor_bytes(const struct tn_container *src)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < src->n_tensors; i++)
        sum += src->tensors[i].bytes; /* each is within a file */
    return sum;
}

uint64_t tn_container_params(const struct tn_container *src)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < src->n_tensors; i++) {
        uint64_t n = 1;
        for (uint32_t d = 0; d < src->tensors[i].t.n_dims; d++)
            if (!tn_mul_u64(n, src->tensors[i].t.dims[d], &n))
                return 0;
        sum += n;
    }
    return sum;
}

int32_t tn_container_string(const struct tn_container *src, const char *key, struct tenon_str *ret)
{
    struct tenon_meta_entry e = { .struct_size = sizeof e };
    int32_t rc = src->meta->find(src->meta->ctx, key, &e);
    if (rc == TENON_OK && (e.type != TENON_META_STRING || e.is_array))
        rc = TENON_E_NOT_FOUND;
    return rc == TENON_OK ? src->meta->strings(src->meta->ctx, &e, 0, 1, ret) : rc;
}
