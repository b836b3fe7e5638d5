/* binding.c - see binding.h. One buffer per file spans from its first to its last tensor; nothing of it is read here but by
 * packing. Runs on the loading thread.
 */
#include "core/model/binding.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/num.h"

#define PAGE 4096u

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

static uint32_t count_files(const struct tn_resolved *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n; i++)
        for (uint32_t p = 0; p < r->items[i].tensor->t.n_planes; p++)
            if (r->items[i].tensor->t.planes[p].file >= n)
                n = r->items[i].tensor->t.planes[p].file + 1;
    return n;
}

static void measure_files(const struct tn_resolved *r, struct extent *extents, uint32_t n)
{
    for (uint32_t f = 0; f < n; f++)
        extents[f] = (struct extent){ UINT64_MAX, 0 };
    for (uint32_t i = 0; i < r->n; i++)
        for (uint32_t p = 0; p < r->items[i].tensor->t.n_planes; p++) {
            const struct tenon_range *range = &r->items[i].tensor->t.planes[p];
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
    rc = b->backend->buffer_import(device->device, (void *)data, size, TENON_BUFFER_READ_ONLY, &b->files[f], err);
    if (rc == TENON_OK)
        b->file_data[f] = data;
    if (rc != TENON_E_UNIMPLEMENTED)
        return rc;
    rc = b->backend->buffer_alloc(device->device, size, TENON_BUFFER_DEVICE_LOCAL | TENON_BUFFER_READ_ONLY, &b->files[f], err);
    whole.buffer = b->files[f];
    return rc == TENON_OK ? b->backend->upload(whole, data, err) : rc;
}

static int32_t import_files(struct tn_bindings *b, const struct tn_container *c, const struct tn_resolved *resolved,
                            const struct tn_device *device, struct tenon_err *err)
{
    struct extent *extents;
    int32_t rc = TENON_OK;
    b->n_files = count_files(resolved);
    extents = calloc((size_t)b->n_files + 1, sizeof *extents);
    b->files = calloc((size_t)b->n_files + 1, sizeof *b->files);
    b->file_start = calloc((size_t)b->n_files + 1, sizeof *b->file_start);
    b->file_data = calloc((size_t)b->n_files + 1, sizeof *b->file_data);
    if (extents == NULL || b->files == NULL || b->file_start == NULL || b->file_data == NULL) {
        free(extents);
        return no_memory(c, err);
    }
    measure_files(resolved, extents, b->n_files);
    for (uint32_t f = 0; rc == TENON_OK && f < b->n_files; f++)
        if (extents[f].start < extents[f].end)
            rc = import_file(b, c, device, f, &extents[f], err);
    free(extents);
    return rc;
}

/* ---- bindings -------------------------------------------------------------------------------------------------- */

static void bind_one(struct tn_bindings *b, const struct tn_resolved *r, uint32_t i, uint32_t uses)
{
    const struct tn_resolved_weight *w = &r->items[i];
    const struct tenon_weight_desc *d = r->descs[w->weight];
    struct tenon_weight_binding *item = &b->items[b->n++];
    *item = (struct tenon_weight_binding){ .struct_size = sizeof *item, .weight = w->weight, .layer = w->layer,
                                           .role = d->role, .uses = uses, .rank = d->rank,
                                           .encoding = w->tensor->encoding, .n_planes = w->tensor->t.n_planes,
                                           .name = w->name };
    memcpy(item->dims, d->dims, sizeof item->dims);
    for (uint32_t p = 0; p < item->n_planes; p++) {
        const struct tenon_range *range = &w->tensor->t.planes[p];
        item->planes[p] = (struct tenon_span){ b->files[range->file], range->offset - b->file_start[range->file], range->size };
    }
}

int32_t tn_bindings_make(struct tn_bindings *ret, const struct tn_container *c, const struct tn_resolved *resolved,
                         const struct tenon_graph *graph, const struct tn_device *device, struct tenon_err *err)
{
    struct tn_bindings b = { .backend = &device->backend };
    uint32_t *uses = calloc((size_t)resolved->n_descs + 1, sizeof *uses);
    int32_t rc;
    b.items = calloc((size_t)resolved->n + 1, sizeof *b.items);
    if (uses == NULL || b.items == NULL)
        rc = no_memory(c, err);
    else
        rc = import_files(&b, c, resolved, device, err);
    if (rc == TENON_OK) {
        collect_uses(resolved, graph, uses);
        for (uint32_t i = 0; i < resolved->n; i++)
            if (uses[resolved->items[i].weight] != 0)
                bind_one(&b, resolved, i, uses[resolved->items[i].weight]);
        *ret = b;
    } else {
        tn_bindings_finish(&b);
    }
    free(uses);
    return rc;
}

/* ---- packing --------------------------------------------------------------------------------------------------- */

#define PACK_ALIGN 64u

/* Rungs of all weights; where packed ones will lie in one buffer. bytes [n]: of each, 0: used in place. */
static int32_t plan_packing(struct tn_bindings *b, const struct tn_device *device, uint64_t *bytes, struct tenon_err *err)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct tenon_weight_binding *w = &b->items[i];
        int32_t rc = b->backend->weight_query(device->device, w, &w->rung, &bytes[i], err);
        uint64_t whole;
        if (rc == TENON_E_UNIMPLEMENTED)
            return tenon_fail(err, rc, w->name, "device %s cannot read encoding %s", device->desc.name, w->encoding->id);
        if (rc != TENON_OK)
            return rc;
        if (bytes[i] == 0)
            continue;
        w->packed = (struct tenon_span){ NULL, b->packed_bytes, bytes[i] };
        if (!tn_add_u64(bytes[i], PACK_ALIGN - 1, &whole) ||
            !tn_add_u64(b->packed_bytes, whole / PACK_ALIGN * PACK_ALIGN, &b->packed_bytes))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "device %s wants %llu bytes to pack it", device->desc.name,
                              (unsigned long long)bytes[i]);
    }
    return TENON_OK;
}

/* The file's pages that hold only this weight are needed no more: they stay in the system's cache, not in this process. */
static void let_go(const struct tn_bindings *b, const struct tenon_weight_binding *w)
{
    for (uint32_t p = 0; p < w->n_planes; p++) {
        const struct tenon_span *plane = &w->planes[p];
        uint64_t first = (plane->offset + PAGE - 1) / PAGE * PAGE, end = (plane->offset + plane->size) / PAGE * PAGE;
        for (uint32_t f = 0; f < b->n_files; f++)
            if (b->files[f] == plane->buffer && b->file_data[f] != NULL && end > first)
                (void)madvise((void *)(uintptr_t)(b->file_data[f] + first), end - first, MADV_DONTNEED); /* advice */
    }
}

int32_t tn_bindings_pack(struct tn_bindings *b, const struct tn_device *device, struct tenon_err *err)
{
    uint64_t *bytes = calloc((size_t)b->n + 1, sizeof *bytes);
    int32_t rc = bytes != NULL ? plan_packing(b, device, bytes, err) : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "model", "out of memory");
    if (rc == TENON_OK && b->packed_bytes != 0)
        rc = b->backend->buffer_alloc(device->device, b->packed_bytes, TENON_BUFFER_DEVICE_LOCAL, &b->packed, err);
    for (uint32_t i = 0; rc == TENON_OK && i < b->n; i++) {
        struct tenon_weight_binding *w = &b->items[i];
        if (bytes[i] == 0)
            continue;
        w->packed.buffer = b->packed;
        rc = b->backend->pack(device->device, w, err);
        if (rc == TENON_OK)
            let_go(b, w);
    }
    free(bytes);
    return rc;
}

void tn_bindings_finish(struct tn_bindings *b)
{
    if (b->packed != NULL)
        b->backend->buffer_free(b->packed);
    for (uint32_t f = 0; b->files != NULL && f < b->n_files; f++)
        b->backend->buffer_free(b->files[f]);
    free(b->items);
    free(b->files);
    free(b->file_start);
    free(b->file_data);
    memset(b, 0, sizeof *b);
}
