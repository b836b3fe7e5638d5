/* lower.h - replace the composites that a device does not claim by tier 0 ops.
 *
 *     uint8_t claimed[g->n_nodes];                        // 1: keep the node as it is
 *     struct tn_graph *lowered = NULL;
 *     status = tn_lower(&graph->graph, claimed, &env, &lookup, &lowered, err);
 *     use(&lowered->graph);
 *     tn_graph_free(lowered);
 *
 * Tier 0 nodes are kept whatever their bit. The nodes a composite turns into are named after it: "attn" gives "attn.keys",
 * "attn.scores" ... Blocks, order, inputs, weights and states keep their places. [any-thread] for different results.
 */
#ifndef TN_GRAPH_LOWER_H
#define TN_GRAPH_LOWER_H

#include "core/graph/builder.h"

/* claimed [g->n_nodes], NULL: nothing is claimed. g has passed the verifier; the result has too. */
int32_t tn_lower(const struct tenon_graph *g, const uint8_t *claimed, const struct tn_build_env *env,
                 const struct tn_op_lookup *lookup, struct tn_graph **ret, struct tenon_err *err);

#endif
