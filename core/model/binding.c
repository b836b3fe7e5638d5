/* binding.c - see binding.h. One buffer per file spans from its first to its last tensor; nothing of it is read here but by
 * packing. Runs on the loading thread.
 */
#include "core/model/binding.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/num.h"

#define PAGE 4096u
#define MADE_ALIGN TENON_PLANE_ALIGN_MAX

static int32_t no_memory(const struct tn_container *c, struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, tn_container_path(c), "out of memory");
}

/* ---- uses ----------------------------------------------------------------------------------------------------- */

/* What a node does with operand `i`, as far as its op tells; 0: the weight's role decides. */
static uint32_t use_by_op(const struct tenon_node *node, uint32_t i)
{
    if (strcmp(node->op, "core.gather/1") == 0 && i == 0)
        return TENON_USE_GATHER;
    if (strcmp(node->op, "core.matmul/1") == 0 || strcmp(node->op, "core.grouped_matmul/1") == 0)
        return i == 1 ? TENON_USE_MATMUL : TENON_USE_ELEMENTWISE;
    return 0;
}

static uint32_t use_by_role(int32_t role)
{
    if (role == TENON_ROLE_MATMUL || role == TENON_ROLE_ROUTER)
        return TENON_USE_MATMUL;
    return role == TENON_ROLE_EMBED ? TENON_USE_GATHER : TENON_USE_ELEMENTWISE;
}

/* uses [n_descs] of every declaration in the graph. */
static void collect_uses(const struct tn_resolved *resolved, const struct tenon_graph *g, uint32_t *uses)
{
    for (uint32_t k = 0; k < g->n_nodes; k++) {
        const struct tenon_node *node = tenon_graph_node(g, k);
        for (uint32_t i = 0; i < node->n_in; i++) {
            const struct tenon_value *v = node->in[i] != TENON_NO_VALUE ? tenon_graph_value(g, node->in[i]) : NULL;
            uint32_t use;
            if (v == NULL || v->kind != TENON_VALUE_WEIGHT || v->index >= resolved->n_descs)
                continue;
            use = use_by_op(node, i);
            uses[v->index] |= use != 0 ? use : use_by_role(resolved->descs[v->index]->role);
        }
    }
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

/* From the first byte to the last that tensors have in each file. */
struct extent {
    uint64_t start, end; /* start > end: no tensor */
};

static uint32_t count_files(const struct tn_bindings *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n; i++)
        for (uint32_t p = 0; !b->places[i].made && p < b->places[i].n_planes; p++)
            if (b->places[i].planes[p].file >= n)
                n = b->places[i].planes[p].file + 1;
    return n;
}

static void measure_files(const struct tn_bindings *b, struct extent *extents)
{
    for (uint32_t f = 0; f < b->n_files; f++)
        extents[f] = (struct extent){ UINT64_MAX, 0 };
    for (uint32_t i = 0; i < b->n; i++)
        for (uint32_t p = 0; !b->places[i].made && p < b->places[i].n_planes; p++) {
            const struct tenon_range *range = &b->places[i].planes[p];
            struct extent *e = &extents[range->file];
            e->start = range->offset < e->start ? range->offset : e->start;
            e->end = range->offset + range->size > e->end ? range->offset + range->size : e->end; /* within the file */
        }
}

/* The file's memory as a buffer of the device: in place, or a copy where it cannot import. */
static int32_t import_file(struct tn_bindings *b, const struct tn_container *c, const struct tn_device *device, uint32_t f,
                           const struct extent *extent, struct tenon_err *err)
{
    uint64_t start = extent->start / PAGE * PAGE, size = extent->end - start;
    struct tenon_span whole = { NULL, 0, size };
    const void *data;
    int32_t rc = tn_files_view(tn_container_files(c), f, start, size, &data, err);
    if (rc != TENON_OK)
        return rc;
    b->file_start[f] = start;
    /* The device promises by READ_ONLY not to write: the mapping has no right to it either. */
    rc = b->backend->buffer_import(device->device, (void *)data, size, TENON_BUFFER_READ_ONLY | TENON_BUFFER_FILE_PAGES,
                                   &b->files[f], err);
    if (rc == TENON_OK)
        b->file_data[f] = data;
    if (rc != TENON_E_UNIMPLEMENTED)
        return rc;
    rc = b->backend->buffer_alloc(device->device, size, TENON_BUFFER_DEVICE_LOCAL | TENON_BUFFER_READ_ONLY, &b->files[f], err);
    whole.buffer = b->files[f];
    return rc == TENON_OK ? b->backend->upload(whole, data, err) : rc;
}

static int32_t import_files(struct tn_bindings *b, const struct tn_container *c, const struct tn_device *device,
                            struct tenon_err *err)
{
    struct extent *extents;
    int32_t rc = TENON_OK;
    b->n_files = count_files(b);
    extents = calloc((size_t)b->n_files + 1, sizeof *extents);
    b->files = calloc((size_t)b->n_files + 1, sizeof *b->files);
    b->file_start = calloc((size_t)b->n_files + 1, sizeof *b->file_start);
    b->file_data = calloc((size_t)b->n_files + 1, sizeof *b->file_data);
    if (extents == NULL || b->files == NULL || b->file_start == NULL || b->file_data == NULL) {
        free(extents);
        return no_memory(c, err);
    }
    measure_files(b, extents);
    for (uint32_t f = 0; rc == TENON_OK && f < b->n_files; f++)
        if (extents[f].start < extents[f].end)
            rc = import_file(b, c, device, f, &extents[f], err);
    free(extents);
    return rc;
}

/* ---- bindings -------------------------------------------------------------------------------------------------- */

/* A weight's tensor whose encoding nobody knows: what is missing. */
static int32_t fail_encoding(struct tn_container *c, const struct tn_tensor *t, struct tenon_err *err)
{
    const struct tenon_encoding *none;
    struct tenon_err why = TENON_ERR_INIT;
    int32_t rc = tn_container_encoding(c, t->t.encoding, &none, &why);
    return tenon_fail(err, rc != TENON_OK ? rc : TENON_E_NOT_FOUND, why.where, "tensor %.*s: %s", (int)t->t.name.size,
                      t->t.name.data, why.message);
}

/* Where weight i is or will be; *made_at: end of those that are made. `anywhere`: tn_transform_place(). */
static int32_t place_one(struct tn_bindings *b, struct tn_container *c, uint32_t i, bool anywhere, uint64_t *made_at, struct tenon_err *err)
{
    const struct tn_resolved_weight *w = b->from[i];
    const struct tenon_encoding *f32 = NULL;
    struct tn_place *place = &b->places[i];
    int32_t rc = TENON_OK;
    if (w->tensor != NULL && w->tensor->encoding == NULL)
        return fail_encoding(c, w->tensor, err);
    if (w->tensor == NULL || (w->transform.xform & (TENON_XFORM_ADD_ONE | TENON_XFORM_NEG_EXP)) != 0)
        rc = tn_container_encoding(c, "f32/1", &f32, err);
    if (rc != TENON_OK)
        return rc;
    if (w->tensor == NULL)
        *place = (struct tn_place){ .encoding = f32, .made = true, .n_planes = 1, .planes = { { .size = w->values_bytes } } };
    else
        rc = tn_transform_place(&w->transform, w->tensor, f32, anywhere, place, err);
    for (uint32_t p = 0; rc == TENON_OK && place->made && p < place->n_planes; p++) {
        uint64_t *at = &place->planes[p].offset;
        if (!tn_align_u64(*made_at, MADE_ALIGN, at) || !tn_add_u64(*at, place->planes[p].size, made_at))
            rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "more bytes than can be counted");
    }
    return rc;
}

/* A weight that no node reads, though the file has it: told, unless its declaration says so, since logits are wrong if it was
 * forgotten. */
static void tell_unread(const struct tn_container *c, const struct tn_resolved *r, uint32_t i)
{
    const struct tenon_weight_desc *d = r->descs[r->items[i].weight];
    const bool first = i == 0 || r->items[i - 1].weight != r->items[i].weight;
    if (first && r->items[i].tensor != NULL && (d->flags & TENON_WEIGHT_UNUSED) == 0)
        tn_log(TENON_LOG_WARN, tn_container_path(c), "the model plugin declares weight %s, but its program does not read it",
               d->name);
}

static int32_t place_all(struct tn_bindings *b, struct tn_container *c, const struct tn_resolved *r, const uint32_t *uses,
                         const struct tn_device *device, struct tenon_err *err)
{
    uint64_t made = 0;
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < r->n; i++) {
        if (uses[r->items[i].weight] == 0) {
            tell_unread(c, r, i);
            continue;
        }
        b->from[b->n] = &r->items[i];
        rc = place_one(b, c, b->n++, (device->desc.flags & TENON_DEVICE_ANY_ALIGN) != 0, &made, err);
    }
    if (rc == TENON_OK)
        rc = import_files(b, c, device, err);
    return rc == TENON_OK ? tn_membuf_create(&b->made, b->backend, device->device, made, err) : rc;
}

static void bind_one(struct tn_bindings *b, const struct tn_resolved *r, uint32_t i, const uint32_t *uses)
{
    const struct tn_resolved_weight *w = b->from[i];
    const struct tenon_weight_desc *d = r->descs[w->weight];
    const struct tn_place *place = &b->places[i];
    struct tenon_weight_binding *item = &b->items[i];
    *item = (struct tenon_weight_binding){ .struct_size = sizeof *item, .weight = w->weight, .layer = w->layer,
                                           .role = d->role, .uses = uses[w->weight], .rank = d->rank,
                                           .encoding = place->encoding, .n_planes = place->n_planes,
                                           .name = w->name };
    memcpy(item->dims, d->dims, sizeof item->dims);
    for (uint32_t p = 0; p < item->n_planes; p++) {
        const struct tenon_range *range = &place->planes[p];
        item->planes[p] = place->made ? (struct tenon_span){ b->made.buffer, range->offset, range->size }
                                      : (struct tenon_span){ b->files[range->file],
                                                             range->offset - b->file_start[range->file], range->size };
    }
}

int32_t tn_bindings_make(struct tn_bindings *ret, struct tn_container *c, const struct tn_resolved *resolved,
                         const struct tenon_graph *graph, const struct tn_device *device, struct tenon_err *err)
{
    struct tn_bindings b = { .backend = &device->backend };
    uint32_t *uses = calloc((size_t)resolved->n_descs + 1, sizeof *uses);
    int32_t rc = TENON_OK;
    b.items = calloc((size_t)resolved->n + 1, sizeof *b.items);
    b.places = calloc((size_t)resolved->n + 1, sizeof *b.places);
    b.from = calloc((size_t)resolved->n + 1, sizeof *b.from);
    if (uses == NULL || b.items == NULL || b.places == NULL || b.from == NULL)
        rc = no_memory(c, err);
    if (rc == TENON_OK) {
        collect_uses(resolved, graph, uses);
        rc = place_all(&b, c, resolved, uses, device, err);
    }
    if (rc == TENON_OK) {
        for (uint32_t i = 0; i < b.n; i++)
            bind_one(&b, resolved, i, uses);
        *ret = b;
    } else {
        tn_bindings_finish(&b);
    }
    free(uses);
    return rc;
}

/* ---- making ----------------------------------------------------------------------------------------------------- */

/* The data of a tensor's planes. */
static int32_t view_planes(const struct tn_container *c, const struct tn_tensor *t, const void *ret[TENON_TENSOR_PLANES],
                           struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t p = 0; rc == TENON_OK && p < t->t.n_planes; p++)
        rc = tn_files_view(tn_container_files(c), t->t.planes[p].file, t->t.planes[p].offset, t->t.planes[p].size, &ret[p], err);
    return rc;
}

/* Where the planes of a tensor that has to be unpacked lie one behind the other; returns their end. */
static uint64_t unpacked_at(const struct tn_tensor *t, uint64_t at[TENON_TENSOR_PLANES])
{
    uint64_t end = 0;
    for (uint32_t p = 0; p < t->encoding->n_planes; p++) {
        at[p] = end; /* not more than tn_transform_place counted */
        end += (t->matrices * tenon_encoding_plane_bytes(t->encoding, p, t->rows, t->cols) + MADE_ALIGN - 1) / MADE_ALIGN * MADE_ALIGN;
    }
    return end;
}

/* One of its matrices: planes as in the file, and where its tiles go. */
static int32_t unpack_matrix(const struct tn_tensor *t, uint64_t m, const void *const *sources, char *memory,
                             const uint64_t at[TENON_TENSOR_PLANES], struct tenon_err *err)
{
    const void *planes[TENON_TENSOR_PLANES] = { NULL };
    void *tiles[TENON_TENSOR_PLANES] = { NULL };
    for (uint32_t p = 0; p < t->t.n_planes; p++)
        planes[p] = (const char *)sources[p] + m * (t->t.planes[p].size / t->matrices);
    for (uint32_t p = 0; p < t->encoding->n_planes; p++)
        tiles[p] = memory + at[p] + m * tenon_encoding_plane_bytes(t->encoding, p, t->rows, t->cols);
    return t->stored->unpack(t->stored, planes, t->rows, t->cols, 0, t->rows, tiles, err);
}

/* A tensor that was unpacked, kept for the next weight that is cut out of it; all zero: none. */
struct kept {
    const struct tn_tensor *of;
    const void *planes[TENON_TENSOR_PLANES];
    void *memory;
};

/* sources of a stored form become those of its encoding. OWN: *ret_memory, to be freed when they are used. */
static int32_t unpack(const struct tn_tensor *t, const void *sources[TENON_TENSOR_PLANES], void **ret_memory,
                      struct tenon_err *err)
{
    uint64_t at[TENON_TENSOR_PLANES], size = unpacked_at(t, at);
    char *memory = malloc((size_t)size + 1);
    int32_t rc = TENON_OK;
    if (memory == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, t->stored->id, "no memory to unpack a weight of %llu bytes",
                          (unsigned long long)size);
    *ret_memory = memory;
    tn_log(TENON_LOG_DEBUG, "weights", "unpacks %.*s", (int)(t->t.name.size < 256 ? t->t.name.size : 256), t->t.name.data);
    for (uint64_t m = 0; rc == TENON_OK && m < t->matrices; m++)
        rc = unpack_matrix(t, m, sources, memory, at, err);
    for (uint32_t p = 0; p < t->encoding->n_planes; p++)
        sources[p] = memory + at[p];
    return rc;
}

static int32_t unpack_kept(const struct tn_tensor *t, struct kept *kept, const void *sources[TENON_TENSOR_PLANES],
                           struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    if (kept->of != t) {
        free(kept->memory);
        *kept = (struct kept){ 0 };
        memcpy(kept->planes, sources, sizeof kept->planes);
        rc = unpack(t, kept->planes, &kept->memory, err);
        kept->of = rc == TENON_OK ? t : NULL;
    }
    memcpy(sources, kept->planes, sizeof kept->planes);
    return rc;
}

static int32_t make_one(struct tn_bindings *b, const struct tn_container *c, uint32_t i, struct kept *kept, struct tenon_err *err)
{
    const struct tn_resolved_weight *w = b->from[i];
    const struct tn_place *place = &b->places[i];
    const uint64_t n = w->experts != NULL ? w->transform.batch : 1;
    const void *(*sources)[TENON_TENSOR_PLANES] = calloc((size_t)n, sizeof *sources);
    void **unpacked = calloc((size_t)n, sizeof *unpacked);
    void *planes[TENON_TENSOR_PLANES] = { NULL };
    int32_t rc = sources != NULL && unpacked != NULL ? TENON_OK : no_memory(c, err);
    for (uint32_t p = 0; p < place->n_planes; p++)
        planes[p] = (char *)b->made.host + place->planes[p].offset;
    for (uint64_t k = 0; rc == TENON_OK && w->tensor != NULL && k < n; k++) {
        const struct tn_tensor *t = w->experts != NULL ? w->experts[k] : w->tensor;
        rc = view_planes(c, t, sources[k], err);
        if (rc == TENON_OK && t->stored != NULL)
            rc = w->experts == NULL ? unpack_kept(t, kept, sources[k], err) : unpack(t, sources[k], &unpacked[k], err);
    }
    if (rc == TENON_OK && w->tensor == NULL)
        memcpy(planes[0], w->values, (size_t)w->values_bytes);
    else if (rc == TENON_OK)
        tn_transform_fill(&w->transform, place, w->tensor->encoding, (const void *const (*)[TENON_TENSOR_PLANES])sources, planes);
    for (uint64_t k = 0; unpacked != NULL && k < n; k++)
        free(unpacked[k]);
    free(unpacked);
    free(sources);
    return rc;
}

/* Does weight i unpack a tensor that others may be cut out of too? */
static bool is_cut(const struct tn_bindings *b, uint32_t i)
{
    return b->places[i].made && b->from[i]->tensor != NULL && b->from[i]->experts == NULL && b->from[i]->tensor->stored != NULL;
}

/* ret [n]: all weights in their order, but those of one tensor behind its first, so that it is unpacked once. */
static int32_t order_weights(const struct tn_bindings *b, uint32_t *ret)
{
    struct tn_map last = { 0 }; /* by tensor: 1 + the last weight cut out of it */
    uint32_t *next = calloc((size_t)b->n + 1, sizeof *next), n = 0; /* [n] 1 + the next weight of its tensor; 0: none */
    bool *follows = calloc((size_t)b->n + 1, sizeof *follows);      /* [n] */
    int32_t rc = next != NULL && follows != NULL ? TENON_OK : TENON_E_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; rc == TENON_OK && i < b->n; i++) {
        const char *key = (const char *)&b->from[i]->tensor;
        uintptr_t before = is_cut(b, i) ? (uintptr_t)tn_map_get(&last, key, sizeof b->from[i]->tensor) : 0;
        follows[i] = before != 0;
        if (before != 0)
            next[before - 1] = i + 1;
        if (is_cut(b, i))
            rc = tn_map_put(&last, key, sizeof b->from[i]->tensor, (void *)(uintptr_t)(i + 1));
    }
    for (uint32_t i = 0; rc == TENON_OK && i < b->n; i++)
        for (uint32_t k = follows[i] ? 0 : i + 1; k != 0; k = next[k - 1])
            ret[n++] = k - 1;
    tn_map_finish(&last, NULL);
    free(follows);
    free(next);
    return rc;
}

/* On a device with memory of its own all at once, else each before it is packed, so that they are never all there twice. */
static int32_t make_all(struct tn_bindings *b, const struct tn_container *c, const uint32_t *order, struct kept *kept,
                        struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < b->n; i++)
        if (b->places[order[i]].made)
            rc = make_one(b, c, order[i], kept, err);
    return rc == TENON_OK ? tn_membuf_push(&b->made, b->made.size, err) : rc;
}

/* ---- packing --------------------------------------------------------------------------------------------------- */

#define PACK_ALIGN 64u

/* Rungs of all weights; where packed ones will lie in one buffer: `packed` of each without its buffer, of size 0: used in
 * place. */
static int32_t plan_packing(struct tn_bindings *b, const struct tn_device *device, struct tenon_err *err)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct tenon_weight_binding *w = &b->items[i];
        uint64_t bytes = 0, whole;
        int32_t rc = b->backend->weight_query(device->device, w, &w->rung, &bytes, err);
        if (rc == TENON_E_UNIMPLEMENTED)
            return tenon_fail(err, rc, w->name, "device %s cannot read encoding %s", device->desc.name, w->encoding->id);
        if (rc != TENON_OK)
            return rc;
        if (bytes == 0)
            continue;
        w->packed = (struct tenon_span){ NULL, b->packed_bytes, bytes };
        if (!tn_add_u64(bytes, PACK_ALIGN - 1, &whole) ||
            !tn_add_u64(b->packed_bytes, whole / PACK_ALIGN * PACK_ALIGN, &b->packed_bytes))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "device %s wants %llu bytes to pack it", device->desc.name,
                              (unsigned long long)bytes);
    }
    return TENON_OK;
}

/* The pages that hold only this weight are needed no more: a file's stay in the system's cache, not in this process. */
static void let_go(const struct tn_bindings *b, const struct tenon_weight_binding *w)
{
    for (uint32_t p = 0; p < w->n_planes; p++) {
        const struct tenon_span *plane = &w->planes[p];
        uint64_t first = (plane->offset + PAGE - 1) / PAGE * PAGE, end = (plane->offset + plane->size) / PAGE * PAGE;
        if (plane->buffer == b->made.buffer && b->made.host != NULL && end > first)
            (void)madvise((char *)b->made.host + first, end - first, MADV_DONTNEED); /* advice */
        for (uint32_t f = 0; f < b->n_files; f++)
            if (b->files[f] == plane->buffer && b->file_data[f] != NULL && end > first)
                (void)madvise((void *)(uintptr_t)(b->file_data[f] + first), end - first, MADV_DONTNEED); /* advice */
    }
}

int32_t tn_bindings_pack(struct tn_bindings *b, const struct tn_device *device, struct tenon_executable *exe, uint32_t i,
                         struct tenon_err *err)
{
    struct tenon_weight_binding *w = &b->items[i];
    int32_t rc;
    if (w->packed.size == 0 || w->packed.buffer != NULL)
        return TENON_OK;
    w->packed.buffer = b->packed;
    if (exe != NULL && b->backend->pack_in_use != NULL) {
        rc = b->backend->pack_in_use(exe, w, err);
    } else {
        rc = b->backend->pack(device->device, w, err);
        if (rc == TENON_OK && exe != NULL)
            rc = b->backend->use_packed(exe, w, err);
    }
    if (rc == TENON_OK)
        let_go(b, w);
    return rc;
}

/* Made, and packed where that cannot come later or would keep what was made beside its packed copy. */
static int32_t ready_one(struct tn_bindings *b, const struct tn_container *c, const struct tn_device *device, uint32_t i,
                         bool later, struct kept *kept, struct tenon_err *err)
{
    struct tenon_weight_binding *w = &b->items[i];
    bool made = b->places[i].made;
    int32_t rc = made && !b->made.needs_copy ? make_one(b, c, i, kept, err) : TENON_OK;
    for (uint32_t p = 0; made && w->packed.size == 0 && p < w->n_planes; p++)
        b->made_bytes += w->planes[p].size;
    return rc == TENON_OK && (made || !later) ? tn_bindings_pack(b, device, NULL, i, err) : rc;
}

/* Memory for packed weights. Where they may come later, they may also not come at all: then each is used where it is. */
static int32_t room_for_packed(struct tn_bindings *b, const struct tn_device *device, bool later, struct tenon_err *err)
{
    struct tenon_err inner = TENON_ERR_INIT;
    int32_t rc = b->backend->buffer_alloc(device->device, b->packed_bytes, TENON_BUFFER_DEVICE_LOCAL, &b->packed, &inner);
    if (rc == TENON_E_RESOURCE_EXHAUSTED && later) {
        tn_log(TENON_LOG_WARN, inner.where, "weights are not packed, and so slower: %s", inner.message);
        for (uint32_t i = 0; i < b->n; i++)
            b->items[i].packed.size = 0;
        b->packed_bytes = 0;
        return TENON_OK;
    }
    return rc == TENON_OK ? rc : tenon_fail(err, rc, inner.where, "%s", inner.message);
}

int32_t tn_bindings_ready(struct tn_bindings *b, const struct tn_container *c, const struct tn_device *device, bool later,
                          struct tenon_err *err)
{
    uint32_t *order = calloc((size_t)b->n + 1, sizeof *order);
    struct kept kept = { 0 };
    int32_t rc = order != NULL && order_weights(b, order) == TENON_OK ? plan_packing(b, device, err) : no_memory(c, err);
    if (rc == TENON_OK && b->packed_bytes != 0)
        rc = room_for_packed(b, device, later, err);
    if (rc == TENON_OK && b->made.needs_copy)
        rc = make_all(b, c, order, &kept, err);
    for (uint32_t i = 0; rc == TENON_OK && i < b->n; i++)
        rc = ready_one(b, c, device, order[i], later, &kept, err);
    free(kept.memory);
    free(order);
    return rc;
}

void tn_bindings_finish(struct tn_bindings *b)
{
    if (b->packed != NULL)
        b->backend->buffer_free(b->packed);
    for (uint32_t f = 0; b->files != NULL && f < b->n_files; f++)
        b->backend->buffer_free(b->files[f]);
    tn_membuf_finish(&b->made);
    free(b->items);
    free(b->places);
    free(b->from);
    free(b->files);
    free(b->file_start);
    free(b->file_data);
    memset(b, 0, sizeof *b);
}
