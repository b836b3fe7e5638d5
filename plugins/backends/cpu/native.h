/* native.h - larger ops with code of their own that are run as one step: experts, recurrences, attention without a cache.
 *
 * They are planned as generic steps are, with their node's operands as tensors (generic.h) and weights as matrices where `packed`
 * says so; then run() is called by all threads, which meet at barriers of its own. Rooms: moe.c, scans.c, encoder.c, latent.c,
 * lines.c; the table is in native.c. [any-thread] on a walker of their own. */
#ifndef TENON_CPU_NATIVE_H
#define TENON_CPU_NATIVE_H

#include "generic.h"
#include "walk.h"

struct cpu_native {
    uint32_t op;     /* TENON_OPN_* */
    uint32_t packed; /* bit i: operand i is a weight that stays as it is in the file, or packed */
    /* Are its operands such as run() takes? Else a composite is lowered, and an op of tier 0 runs as scalar code. */
    bool (*fits)(const struct tenon_graph *g, const struct tenon_node *n);
    /* Scratch, for the largest step; a multiple of CPU_ALIGN. */
    uint64_t (*work_bytes)(const struct tenon_executable *exe, const struct tenon_node *n);
    void (*run)(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work);
};

/* NULL: none, or none for these operands. */
const struct cpu_native *cpu_native_of(const struct tenon_graph *g, const struct tenon_node *n);
/* Is there one for the op, where operands fit? */
bool cpu_native_has(uint32_t op);

extern const struct cpu_native cpu_moe, cpu_ssm, cpu_delta, cpu_conv, cpu_encoder, cpu_full_norm, cpu_turn, cpu_latent;

/* ---- what they share ---- */

/* Operand i, TENON_NO_VALUE when absent. */
static inline uint32_t cpu_operand(const struct tenon_node *n, uint32_t i)
{
    return i < n->n_in ? n->in[i] : TENON_NO_VALUE;
}

/* Operand i is absent, or a weight as it was declared with `rank` dims. */
static inline bool cpu_is_weight(const struct tenon_graph *g, const struct tenon_node *n, uint32_t i, uint32_t rank,
                                 bool may_lack)
{
    uint32_t v = cpu_operand(n, i);
    if (v == TENON_NO_VALUE)
        return may_lack;
    return tenon_graph_value(g, v)->kind == TENON_VALUE_WEIGHT && tenon_graph_value(g, v)->rank == rank;
}

/* Scratch as it is handed out: by work_bytes from NULL, which counts, and by run. */
struct cpu_room {
    uint8_t *base;
    uint64_t used;
};

static inline void *cpu_take(struct cpu_room *r, uint64_t bytes)
{
    void *p = r->base != NULL ? r->base + r->used : NULL;
    r->used += (bytes + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN;
    return p;
}

static inline float *cpu_take_floats(struct cpu_room *r, int64_t n)
{
    return cpu_take(r, (uint64_t)n * sizeof(float));
}

/* y[r * ld + n] of rows r0..r1 of a and rows n0..n1 of a weight, whatever its encoding. y may point before what is written. */
void cpu_by_weight(const struct walker *w, const struct cpu_weight *by, const struct cpu_act *a, int64_t r0, int64_t r1,
                   int64_t n0, int64_t n1, float *y, int64_t ld, const float *bias);

static inline void *cpu_matmul_scratch(const struct walker *w)
{
    return w->own + w->exe->thread_act_bytes;
}

/* A walker that draws tasks from the step's second set of tickets. turn: room for its state. */
static inline struct walker cpu_second_tasks(const struct walker *w, uint32_t *turn)
{
    struct walker then = *w;
    *turn = 0;
    then.turn = turn;
    then.ticket++;
    return then;
}

#endif
