/* declared.h - the declarations of one model plugin's config, indexed by name: the tn_build_env of a real model.
 *
 *     struct tn_declared decl;
 *     if (tn_declared_init(&decl, model, config, is_in_file, source, err) != 0) return err->code;
 *     struct tn_build_env env = tn_declared_env(&decl);
 *     ... tn_build_program(model, config, "step", &env, &lookup, &graph, err) ...
 *     tn_declared_finish(&decl);
 *
 * Immutable after init, then [any-thread].
 */
#ifndef TN_GRAPH_DECLARED_H
#define TN_GRAPH_DECLARED_H

#include "core/base/map.h"
#include "core/graph/env.h"

/* Is a weight's tensor (of every layer) in the file? */
typedef bool tn_present_fn(void *ctx, const struct tenon_weight_desc *weight);

struct tn_declared {
    struct tenon_weight_desc *weights; /* [n_weights] copies; what they point to is the config's */
    struct tenon_state_desc *states;   /* [n_states] copies */
    uint32_t n_weights, n_states;
    struct tn_map by_name;             /* weights: entry is weights[i] */
    tn_present_fn *present;            /* NULL: everything is */
    void *present_ctx;
};

/* Reads all declarations. INVALID_ARGUMENT: duplicate or broken ones, naming them. `config` must outlive `ret`. */
int32_t tn_declared_init(struct tn_declared *ret, const struct tenon_model *model, struct tenon_model_config *config,
                         tn_present_fn *present, void *present_ctx, struct tenon_err *err);
void tn_declared_finish(struct tn_declared *decl); /* zeroed ones too */

/* OWN: borrows decl. */
struct tn_build_env tn_declared_env(struct tn_declared *decl);

#endif
