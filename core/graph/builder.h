/* builder.h - the host's side of struct tenon_builder: makes a frozen graph out of a model plugin's calls.
 *
 *     struct tn_graph *graph = NULL;
 *     int32_t status = tn_build_program(model, config, "step", &env, &lookup, &graph, err);
 *     use(&graph->graph);
 *     tn_graph_free(graph);
 *
 * or step by step: tn_builder_create, calls through tn_builder_table(), tn_builder_finish. A graph that comes out has passed
 * the verifier. [init] one thread per builder; graphs are immutable, [any-thread].
 */
#ifndef TN_GRAPH_BUILDER_H
#define TN_GRAPH_BUILDER_H

#include "core/base/arena.h"
#include "core/graph/env.h"
#include "core/graph/signature.h"

/* A frozen graph with all its memory. */
struct tn_graph {
    struct tenon_graph graph;
    struct tn_arena arena; /* holds everything graph points to */
};

void tn_graph_free(struct tn_graph *graph); /* NULL is allowed */

struct tn_builder;

/* env may be NULL where no weight or state is asked for by name; lookup NULL: core ops only. Both outlive the builder. */
int32_t tn_builder_create(const char *program, const struct tn_build_env *env, const struct tn_op_lookup *lookup,
                          struct tn_builder **ret, struct tenon_err *err);
void tn_builder_destroy(struct tn_builder *b); /* NULL is allowed */

/* The table to hand to a plugin. OWN: builder. */
const struct tenon_builder *tn_builder_table(struct tn_builder *b);

/* Freeze and verify. The builder is used up whatever comes out; destroy it. */
int32_t tn_builder_finish(struct tn_builder *b, struct tn_graph **ret, struct tenon_err *err);

/* All complaints so far, one line each; "" without any. OWN: builder. */
const char *tn_builder_issues(const struct tn_builder *b);

/* For lowering: an input, weight or state as it stands in another graph; a block whose args have given types; a prefix for the
 * names of the nodes that follow ("attn.", NULL: none). */
uint32_t tn_builder_copy_value(struct tn_builder *b, const struct tenon_value *value);
int32_t tn_builder_block(struct tn_builder *b, const char *name, const struct tn_type *types, uint32_t n, uint32_t *ret_args);
void tn_builder_prefix(struct tn_builder *b, const char *prefix);

/* The whole way for a model plugin. */
int32_t tn_build_program(const struct tenon_model *model, struct tenon_model_config *config, const char *program,
                         const struct tn_build_env *env, const struct tn_op_lookup *lookup, struct tn_graph **ret,
                         struct tenon_err *err);

/* Signature of a core op or a plugin's composite; NOT_FOUND names the op. */
int32_t tn_op_signature(const char *op, const struct tn_op_lookup *lookup, struct tn_signature *ret, struct tenon_err *err);

static inline struct tn_type tn_value_type(const struct tenon_value *v)
{
    struct tn_type t = {.dtype = v->dtype, .rank = v->rank};
    memcpy(t.dims, v->dims, sizeof t.dims);
    return t;
}

#endif
