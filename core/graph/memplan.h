/* memplan.h - where every value of a program lies in one region of scratch memory, with reuse.
 *
 *     struct tenon_dims bounds = {.struct_size = sizeof bounds, .sym = {[TENON_SYM_T] = 512, ...}};
 *     struct tn_plan plan;
 *     if (tn_plan_init(&plan, &graph->graph, &bounds, 4, err) != 0) return err->code;     // act edges of 4 bytes
 *     float *x = (float *)(scratch + plan.offset[value]);                                 // [plan.bytes] of scratch
 *     tn_plan_finish(&plan);
 *
 * Offsets hold for every step within the bounds. A block has one set of offsets for all its instances: what an instance
 * returns is laid where the next one takes it, or, where that is not free in time, must be copied there when the instance has
 * ended: `moves`. Reshapes and slices of leading rows share their operand's memory. Inputs, weights, states and what the nodes of
 * a last block that runs once give as outputs live elsewhere: offset TN_PLAN_ELSEWHERE; other outputs are copied out at the end.
 * [any-thread]
 */
#ifndef TN_GRAPH_MEMPLAN_H
#define TN_GRAPH_MEMPLAN_H

#include <tenon/graph.h>

#define TN_PLAN_ELSEWHERE UINT64_MAX
#define TN_PLAN_ALIGN 64u

/* After an instance of block `from`, before one of block `to`: copy value `ret` to where arg `arg` lies. Sources and targets of
 * one pair of blocks do not overlap. */
struct tn_plan_move {
    uint32_t from, to; /* blocks */
    uint32_t ret, arg; /* values */
};

struct tn_plan {
    uint32_t n_values;
    uint32_t n_moves;
    uint64_t *offset; /* [n_values] bytes */
    uint64_t *size;   /* [n_values] bytes at the bounds, before rounding to TN_PLAN_ALIGN */
    struct tn_plan_move *moves;
    uint64_t bytes;   /* of scratch */
    uint64_t naive;   /* what it would be if nothing were shared */
};

/* g has passed the verifier. act_bytes: of an act element. OUT_OF_RANGE: the sizes overflow. */
int32_t tn_plan_init(struct tn_plan *plan, const struct tenon_graph *g, const struct tenon_dims *bounds, uint32_t act_bytes,
                     struct tenon_err *err);
void tn_plan_finish(struct tn_plan *plan); /* zeroed ones too */

#endif
