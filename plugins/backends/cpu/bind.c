/* bind.c - weights of a plan: each WEIGHT value's layers as matrices where they are mapped, as packed ones, by a program
 * (programs.c), or, vectors, as floats. What is packed later is packing.c's. [any-thread], once per load. Contract: plan.h. */
#include <stdlib.h>

#include "plan.h"

/* A vector as floats: where it is, or decoded into memory of the plan. */
static int32_t bind_vector(struct tenon_executable *exe, struct cpu_weight *w, struct tenon_err *err)
{
    if (w->m.format == CPU_F32 && w->program == NULL && (uintptr_t)w->m.data % sizeof(float) == 0) {
        w->f32 = (const float *)(const void *)w->m.data;
        return 0;
    }
    w->owned = malloc((size_t)w->m.cols * sizeof(float));
    if (w->owned == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, w->name, "no memory for a vector of %lld", (long long)w->m.cols);
    cpu_matrix_row(&w->m, 0, w->owned);
    exe->host_bytes += (uint64_t)w->m.cols * sizeof(float);
    w->f32 = w->owned;
    return 0;
}

static int32_t bind_weight(struct tenon_executable *exe, const struct tenon_weight_binding *b, struct cpu_weight *w,
                           struct tenon_err *err)
{
    uint64_t rows = 0, cols = 0, row_bytes = 0;
    int32_t status = cpu_weight_shape(b, &rows, &cols, &row_bytes, err);
    w->name = b->name;
    if (status == 0 && cpu_encoding_find(b->encoding->digest) == NULL)
        status = cpu_program_bind(exe, b, rows, cols, w, err);
    else if (status == 0)
        status = cpu_matrix_of(b, &w->m, err);
    if (status == 0 && w->program == NULL && b->packed.buffer != NULL)
        status = cpu_packed_of(b, &w->m, &w->m, err);
    exe->reads_moved |= status == 0 && cpu_reads_moved(w->m.format);
    return status == 0 && b->rank == 1 ? bind_vector(exe, w, err) : status;
}

#define MOST_LAYERS 65536u

/* Room for one more WEIGHT value's layers 0 .. at. */
static int32_t weight_room(struct tenon_executable *exe, const struct tenon_weight_binding *b, uint32_t base, uint32_t at,
                           struct tenon_err *err)
{
    struct cpu_weight *all;
    if (at >= MOST_LAYERS)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, b->name, "layer %d is out of range", (int)b->layer);
    if (base + at < exe->n_weights)
        return 0;
    all = realloc(exe->weights, ((size_t)base + at + 1) * sizeof *all);
    if (all == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, b->name, "no memory for the plan");
    memset(&all[exe->n_weights], 0, (base + at + 1 - exe->n_weights) * sizeof *all);
    exe->weights = all;
    exe->n_weights = base + at + 1;
    return 0;
}

/* Layers that run must have the weight. The others get what stands for it wherever only its shape matters. */
static int32_t fill_gaps(struct tenon_executable *exe, uint32_t value, uint32_t base, struct tenon_err *err)
{
    const struct tenon_value *v = tenon_graph_value(exe->graph, value);
    struct cpu_weight *layers = &exe->weights[base];
    uint32_t n = exe->n_weights - base, first = 0;
    for (uint32_t i = 0; v->layered && i < exe->graph->n_order; i++) {
        const struct tenon_instance *o = &exe->graph->order[i];
        bool bound = o->layer < 0 || ((uint32_t)o->layer < n && layers[o->layer].name != NULL);
        if (!bound && cpu_reader(exe->graph, o->block, value) != NULL)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, v->name, "the weight is not bound for layer %d", (int)o->layer);
    }
    while (layers[first].name == NULL)
        first++;
    for (uint32_t i = 0; i < n; i++)
        if (layers[i].name == NULL) {
            layers[i] = layers[first];
            layers[i].owned = NULL;
            layers[i].program = NULL;
        }
    return 0;
}

int32_t cpu_bind_value(struct tenon_executable *exe, const struct tenon_compile_args *args, uint32_t value, struct tenon_err *err)
{
    const struct tenon_value *v = tenon_graph_value(exe->graph, value);
    uint32_t base = exe->n_weights;
    exe->weight_base[value] = base;
    for (uint32_t i = 0; i < args->n_weights; i++) {
        struct tenon_weight_binding b;
        TENON_COPY_IN(&b, (const char *)args->weights + (uint64_t)i * args->weight_stride);
        if (b.weight != v->index)
            continue;
        uint32_t at = v->layered && b.layer > 0 ? (uint32_t)b.layer : 0;
        int32_t status = weight_room(exe, &b, base, at, err);
        if (status == 0)
            status = bind_weight(exe, &b, &exe->weights[base + at], err);
        if (status != 0)
            return status;
    }
    if (exe->n_weights == base)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, v->name, "the weight is not bound");
    return fill_gaps(exe, value, base, err);
}
