/* dump.h - a graph as text: for people, golden tests, diffs and cache keys. The same graph gives the same text.
 *
 *     struct tn_buf text = {0};
 *     if (tn_dump(&graph->graph, &env, &text) == 0) fputs(text.data, stdout);
 *
 *     program step
 *     input token i32[T]
 *     weight layers.{i}.attn_q [576,576]
 *     block layer(%arg0:act[T,576])
 *       %attn_norm:act[T,576] = core.rms_norm/1(%arg0, layers.{i}.attn_norm) {eps=1e-05}
 *       return %layer_out
 *     run embed, layer 0..29, head
 *     output logits = %logits
 *
 * `%` marks values of blocks (`%block.name` those of another); inputs, weights and states go by their names, `_` is an absent
 * operand. [any-thread]
 */
#ifndef TN_GRAPH_DUMP_H
#define TN_GRAPH_DUMP_H

#include "core/base/buf.h"
#include "core/graph/env.h"

/* Appends to `out`. g has passed the verifier. env may be NULL: states are then only named. RESOURCE_EXHAUSTED. */
int32_t tn_dump(const struct tenon_graph *g, const struct tn_build_env *env, struct tn_buf *out);

#endif
