/* verify.h - is a frozen graph sound? Everything a backend may rely on is checked here, whoever made the graph.
 *
 *     struct tn_issues issues = {0};
 *     if (tn_verify(&graph->graph, &env, &lookup, &issues) > 0)
 *         fputs(issues.text.data, stderr);   // one line per error, "layer.attn_q: w is weight[1536,576], but ..."
 *
 * Checked: the arrays' consistency; names; ops, operands, attributes, shapes and dtypes of every node; that values are made
 * before they are read; that args and rets of neighbouring instances agree; that layered weights and states are read in layered
 * instances that exist; that ops on a state get the inputs of the state's own group.
 *
 * A node reads values of its own block, inputs, weights, states, and what nodes of a block that runs exactly once and
 * earlier gave.
 * [any-thread]
 */
#ifndef TN_GRAPH_VERIFY_H
#define TN_GRAPH_VERIFY_H

#include "core/graph/env.h"
#include "core/graph/issues.h"

/* Returns the number of issues added. env NULL: nothing is known of weights' layers and states' groups, those checks are left
 * out. lookup NULL: core ops only. */
uint32_t tn_verify(const struct tenon_graph *g, const struct tn_build_env *env, const struct tn_op_lookup *lookup,
                   struct tn_issues *issues);

/* The state that a state value stands for: the STATE value itself, or that which a kv_store or scan passes on. Returns the
 * value's number, TENON_NO_VALUE when there is none. */
uint32_t tn_state_root(const struct tenon_graph *g, uint32_t value);

#endif
