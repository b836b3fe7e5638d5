/* generic.h - tier 0 ops that have no kernel of their own, by the scalar functions of tenon-reference: right, not fast.
 *
 *     status = cpu_generic_check(exe, node, err);       once, at compile: names what cannot be run
 *     struct cpu_call c = { .node = node, .op = ... };  operands and results of one execution, dense
 *     cpu_generic_run(&c, i, n);                        every thread of the region; the step's barrier ends it
 *
 * generic.c knows which ops there are, what of them threads may share, and the checks; generic_ops.c computes; generic_state.c
 * does what reads or writes a state. Every index is checked when it is used, so no input can lead outside of memory. */
#ifndef TENON_CPU_GENERIC_H
#define TENON_CPU_GENERIC_H

#include <tenon/ops.h>
#include <tenon/reference.h>

#include "plan.h"

#define CPU_CALL_IN 10
#define CPU_CALL_OUT 2

/* An operand or result, dense and row-major. Absent: p is NULL. */
struct cpu_tensor {
    struct tenon_ref_shape shape;
    int64_t n;     /* elements */
    int32_t dtype; /* TENON_DTYPE_*: act and decoded weights are floats */
    union {
        void *p;
        float *f;
        int32_t *i;
        uint32_t *u;
    };
    const struct cpu_matrix *packed; /* a weight that is decoded where it is used, p is NULL; else NULL */
};

/* One execution of a node, as one thread sees it. */
struct cpu_call {
    const struct tenon_node *node;
    uint32_t op; /* TENON_OPN_* of it */
    const struct cpu_kernels *k;
    struct cpu_tensor in[CPU_CALL_IN], out[CPU_CALL_OUT];
    struct cpu_kv kv; /* kv_store, kv_load: the layer's pages */
    float *state;     /* slots of the layer: [n_units, slot] */
    int64_t n_units;  /* pages or slots there are */
    float *row;       /* [K] of grouped_matmul's weight; private to the thread */
    uint32_t i, n;    /* this thread, all threads */
};

/* Has this op (TENON_OPN_*) a generic path? */
bool cpu_generic_has(uint32_t op);
/* Can this node be run? UNIMPLEMENTED or INVALID_ARGUMENT, by the node's name, if not. */
int32_t cpu_generic_check(const struct tenon_executable *exe, const struct tenon_node *n, struct tenon_err *err);
/* Compute this thread's part of the node: c->i of c->n. */
void cpu_generic_run(const struct cpu_call *c);

/* native.c: is operand `in` a weight that is read where it lies, instead of decoded whole before the step? */
bool cpu_generic_packed(const struct tenon_graph *g, const struct tenon_node *n, uint32_t in);

/* ---- shapes ---- */

static inline int64_t cpu_dim(const struct cpu_tensor *t, int64_t i)
{
    return t->shape.dims[i];
}
/* Product of dims from..to-1. */
static inline int64_t cpu_product(const struct cpu_tensor *t, int64_t from, int64_t to)
{
    int64_t n = 1;
    for (int64_t i = from; i < to; i++)
        n *= t->shape.dims[i];
    return n;
}
static inline int64_t cpu_last(const struct cpu_tensor *t)
{
    return t->shape.rank > 0 ? t->shape.dims[t->shape.rank - 1] : 1;
}
/* All dims but the last. */
static inline int64_t cpu_lines(const struct cpu_tensor *t)
{
    return cpu_product(t, 0, t->shape.rank - 1);
}

/* ---- adaptors: one op each ---- */

typedef void cpu_adaptor(const struct cpu_call *c);

/* generic_ops.c */
cpu_adaptor cpu_g_matmul, cpu_g_grouped_matmul, cpu_g_batch_matmul, cpu_g_binary, cpu_g_compare, cpu_g_elementwise, cpu_g_select,
    cpu_g_reduce, cpu_g_argmax, cpu_g_top_k, cpu_g_softmax, cpu_g_cumsum, cpu_g_norm, cpu_g_rope, cpu_g_attn_mask, cpu_g_gather,
    cpu_g_take, cpu_g_scatter_add, cpu_g_concat, cpu_g_slice, cpu_g_transpose, cpu_g_broadcast, cpu_g_convert, cpu_g_bits,
    cpu_g_iota, cpu_g_fill, cpu_g_random;

/* generic_state.c */
cpu_adaptor cpu_g_kv_store, cpu_g_kv_load, cpu_g_slot_load, cpu_g_slot_store, cpu_g_scan;
/* Does the state's declaration fit what the node does with it? */
int32_t cpu_generic_check_state(const struct tenon_executable *exe, const struct tenon_node *n, struct tenon_err *err);
/* The STATE value that a state operand stands for, through writes before it; TENON_NO_VALUE: none. */
uint32_t cpu_state_root(const struct tenon_graph *g, uint32_t v);

#endif
