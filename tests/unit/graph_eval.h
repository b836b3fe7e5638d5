/* graph_eval.h - runs a lowered graph on tenon-reference, for tests: slow, exact, every value kept.
 *
 *     struct eval e = {.g = &lowered->graph, .dims = dims, .data = my_data, .ctx = fixture};
 *     eval_run(&e);                              // fails the test on an op it does not know
 *     const float *y = eval_output(&e, 0)->f;
 *     eval_finish(&e);
 *
 * act edges are f32. Inputs, weights and states come from the callback.
 */
#ifndef TEST_GRAPH_EVAL_H
#define TEST_GRAPH_EVAL_H

#include <tenon/graph.h>
#include <tenon/reference.h>

struct eval_tensor {
    int32_t dtype; /* of the graph */
    struct tenon_ref_shape shape;
    int64_t n; /* elements */
    union {
        float *f;
        int32_t *i;
        uint32_t *u;
        void *p;
    };
    int owned; /* p was allocated by the evaluator */
};

struct eval {
    const struct tenon_graph *g;
    struct tenon_dims dims;
    /* Contents of an input, weight or state (struct tenon_ref_kv, or the floats of slots) for a layer (-1: none). */
    void *(*data)(void *ctx, const struct tenon_value *v, int32_t layer);
    void *ctx;
    struct eval_tensor *values; /* [g->n_values] */
};

void eval_run(struct eval *e);
const struct eval_tensor *eval_output(const struct eval *e, uint32_t i);
/* A value by name in a block. NULL: none. */
const struct eval_tensor *eval_value(const struct eval *e, const char *name);
void eval_finish(struct eval *e);

#endif
