/* rules.h - what an op demands or infers beyond its signature: the `[@]` shapes, words an attribute may hold, sizes that must
 * divide. Called by tn_signature_infer() when the signature itself holds; use->out then has the outputs' dtypes, and the shapes
 * that the signature gives.
 */
#ifndef TN_GRAPH_RULES_H
#define TN_GRAPH_RULES_H

#include "core/graph/signature.h"

void tn_rules_apply(struct tn_op_use *use);

/* Does b broadcast to a (<tenon/ops.h>)? */
bool tn_broadcasts(const struct tn_type *b, const struct tn_type *a);

/* Have two shapes the same number of elements for all values of the symbols? */
bool tn_same_count(const struct tn_type *a, const struct tn_type *b);

#endif
