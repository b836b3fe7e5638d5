/* walk.h - one thread on its way through a plan: what the files that compute steps share. Private to run.c, products.c and
 * attend.c, whose functions are all [any-thread] on a walker of their own. */
#ifndef TENON_CPU_WALK_H
#define TENON_CPU_WALK_H

#include "plan.h"

/* One thread on its way through the plan. */
struct walker {
    struct cpu_run *run;
    const struct tenon_executable *exe;
    const struct cpu_kernels *k;
    const struct tenon_threads *threads;
    uint32_t i, n;      /* this thread, all threads */
    uint32_t ticket;    /* counters of the current step */
    uint32_t *turn;     /* whose tasks are drawn: one's own at 0, then those of the threads behind */
    uint32_t instance;  /* block instance, picks the side of the carry */
    int32_t layer;
    uint8_t *own;       /* thread_bytes */
    struct cpu_step_time *time; /* of the present step; NULL: nobody asked, or another thread counts */
};

static inline void barrier(const struct walker *w)
{
    if (w->n > 1)
        w->threads->barrier(w->threads->ctx);
}

/* Tasks first .. end of `total` are thread i's. */
static inline int64_t range_of(const struct walker *w, uint32_t i, int64_t total)
{
    return total * i / w->n;
}

/* Tasks of this step that follow one another, t to *ret_end: the `part`th of those that are left in a range, one at least; total
 * when none is left. */
static inline int64_t next_tasks(const struct walker *w, int64_t total, int64_t part, int64_t *ret_end)
{
    for (; *w->turn < w->n; (*w->turn)++) {
        uint32_t of = (w->i + *w->turn) % w->n;
        atomic_uint *ticket = &w->run->tickets[(uint64_t)of * w->exe->n_tickets + w->ticket];
        const int64_t first = range_of(w, of, total), end = range_of(w, of + 1, total);
        unsigned drawn = atomic_load_explicit(ticket, memory_order_relaxed);
        while (first + (int64_t)drawn < end) {
            const int64_t left = end - first - (int64_t)drawn, some = (left + part - 1) / part;
            if (atomic_compare_exchange_weak_explicit(ticket, &drawn, drawn + (unsigned)some, memory_order_relaxed,
                                                      memory_order_relaxed)) {
                *ret_end = first + (int64_t)drawn + some;
                return first + (int64_t)drawn;
            }
        }
    }
    return total;
}

static inline int64_t next_task(const struct walker *w, int64_t total)
{
    int64_t end;
    return next_tasks(w, total, total, &end);
}

static inline const struct tenon_value *value(const struct walker *w, uint32_t v)
{
    return tenon_graph_value(w->exe->graph, v);
}

static inline void *at(const struct walker *w, uint32_t v)
{
    const struct cpu_home *h = &w->exe->homes[cpu_root(w->exe, v)];
    switch (h->place) {
    case CPU_PLACE_SCRATCH: return w->run->scratch + h->offset;
    case CPU_PLACE_CARRY: return w->run->scratch + w->exe->carry_offset[w->instance & 1][h->index];
    case CPU_PLACE_ARG: return w->run->scratch + w->exe->carry_offset[(w->instance & 1) ^ 1][h->index];
    case CPU_PLACE_INPUT: return w->run->inputs[h->index];
    case CPU_PLACE_OUTPUT: return w->run->outputs[h->index];
    default: return NULL;
    }
}

static inline const struct cpu_weight *weight(const struct walker *w, uint32_t v)
{
    uint32_t layer = value(w, v)->layered ? (uint32_t)w->layer : 0;
    return &w->exe->weights[w->exe->weight_base[v] + layer];
}

/* A weight as its rows before `end` lie now: packed, once all of them are. Nothing else about it changes, so threads of one step
 * may see either. */
static inline const struct cpu_matrix *lies(const struct cpu_weight *by, int64_t end)
{
    return atomic_load_explicit(&by->packed_rows, memory_order_acquire) >= end ? &by->packed : &by->m;
}

static inline const struct cpu_matrix *matrix(const struct walker *w, uint32_t v)
{
    const struct cpu_weight *by = weight(w, v);
    return lies(by, by->m.rows);
}

/* cpu_act_bind(), without what no weight of the plan reads. */
static inline void bind_act(const struct walker *w, struct cpu_act *a, void *memory, int64_t rows, int64_t k)
{
    cpu_act_bind(a, memory, rows, k);
    if (!w->exe->reads_moved)
        a->moved = NULL;
}

static inline const float *vector(const struct walker *w, uint32_t v)
{
    return v == TENON_NO_VALUE ? NULL : weight(w, v)->f32;
}

/* Rows of [0, total) for this thread when the work is even: r0..r1. */
static inline void share(const struct walker *w, int64_t total, int64_t *r0, int64_t *r1)
{
    *r0 = total * w->i / w->n;
    *r1 = total * (w->i + 1) / w->n;
}

/* products.c: a step of matmuls; and the first weights of this thread's tasks in step s, of block instance `instance`, sent for
 * before the barrier. */
void cpu_run_matmul(const struct walker *w, const struct cpu_step *s);
void cpu_warm_matmul(const struct walker *w, const struct cpu_step *s, uint32_t instance);

/* programs.c: y[t * ldy + n] for all rows of a and n0 <= n < n1. */
void cpu_program_product(const struct walker *w, const struct cpu_weight *weight, const struct cpu_act *a, int64_t rows,
                         int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias);

/* attend.c */
void cpu_run_attention(const struct walker *w, const struct cpu_step *s);
/* The layer's part of the step's state: as bytes, and as the kernels see pages. */
uint8_t *cpu_layer_state(const struct walker *w, const struct cpu_step *s);
struct cpu_kv cpu_layer_kv(const struct walker *w, const struct cpu_step *s);

#endif
