/* env.h - what the graph room must be told by its caller: declared weights and states by name, and composites of plugins.
 *
 *     struct tn_build_env env = {.ctx = model, .find_weight = by_name, .find_state = ..., .state_at = ...};
 *
 * declared.h makes one from a model plugin. All callbacks are [any-thread] as far as their ctx is.
 */
#ifndef TN_GRAPH_ENV_H
#define TN_GRAPH_ENV_H

#include <stdbool.h>

#include <tenon/graph.h>
#include <tenon/model.h>

struct tn_weight_info {
    uint32_t index;  /* declaration, after following tied_to */
    uint32_t rank;
    uint64_t dims[TENON_TENSOR_DIMS]; /* [rank] */
    bool present;    /* false: an optional weight the file lacks */
    bool layered;
    uint32_t n_layers; /* layered: how many */
    const char *name;  /* of that declaration; OWN: env */
};

struct tn_build_env {
    void *ctx;
    int32_t (*find_weight)(void *ctx, const char *name, struct tn_weight_info *ret, struct tenon_err *err);
    int32_t (*find_state)(void *ctx, const char *name, uint32_t *ret_index, struct tenon_err *err);
    /* NULL past the last. OWN: env. */
    const struct tenon_state_desc *(*state_at)(void *ctx, uint32_t index);
    /* Has a layered weight this layer? */
    bool (*weight_has_layer)(void *ctx, uint32_t index, uint32_t layer);
};

/* Composite ops of plugins by id. */
struct tn_op_lookup {
    void *ctx;
    /* NULL: unknown. *ret_self is the plugin's self for decompose(). OWN: plugin. */
    const struct tenon_composite *(*find)(void *ctx, const char *id, void **ret_self);
};

#endif
