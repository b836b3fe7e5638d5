/* step_input.h - the standard inputs of a step (the table in <tenon/graph.h>), typed by name.
 *
 *     struct tn_type type;
 *     if (tn_step_input_type("block_table.0", &type)) ...    // i32[S,P]
 *     uint32_t group;
 *     if (tn_step_input_group("block_table.0", "block_table", &group)) ...   // 0
 */
#ifndef TN_GRAPH_STEP_INPUT_H
#define TN_GRAPH_STEP_INPUT_H

#include "core/graph/signature.h"

bool tn_step_input_type(const char *name, struct tn_type *ret);
bool tn_step_input_group(const char *name, const char *stem, uint32_t *ret_group);

#endif
