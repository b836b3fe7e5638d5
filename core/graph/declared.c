/* Copies a model plugin's declarations and finds them by name. Does not look into files: the caller says what is present.
 * Any thread after init. Contract: declared.h. */
#include "core/graph/declared.h"

#include <stdlib.h>

#define DECLARATIONS_MAX 65536u

static int32_t check_weight(const struct tenon_weight_desc *w, struct tenon_err *err)
{
    if (w->name == NULL || w->rank > TENON_TENSOR_DIMS)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "broken weight declaration: no name or too many dims");
    for (uint32_t i = 0; i < w->rank; i++)
        if (w->dims[i] == 0 || w->dims[i] > (uint64_t)INT64_MAX)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "dim %u of the declared weight is %llu", i,
                              (unsigned long long)w->dims[i]);
    return TENON_OK;
}

static int32_t add_weight(struct tn_declared *d, const struct tenon_weight_desc *foreign, struct tenon_err *err)
{
    struct tenon_weight_desc *all = realloc(d->weights, (d->n_weights + 1u) * sizeof *all);
    if (all == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "weights", "out of memory for declarations");
    d->weights = all;
    TENON_COPY_IN(&all[d->n_weights], foreign);
    return check_weight(&all[d->n_weights++], err);
}

static int32_t read_weights(struct tn_declared *d, const struct tenon_model *model, struct tenon_model_config *config,
                            struct tenon_err *err)
{
    const struct tenon_weight_desc *w = NULL;
    int32_t status = TENON_OK;
    while (status == 0 && d->n_weights < DECLARATIONS_MAX && model->weight_at(config, d->n_weights, &w) == 0)
        status = add_weight(d, w, err);
    for (uint32_t i = 0; status == 0 && i < d->n_weights; i++) {
        const char *name = d->weights[i].name;
        if (tn_map_get(&d->by_name, name, strlen(name)) != NULL)
            return tenon_fail(err, TENON_E_ALREADY_EXISTS, name, "the weight is declared twice");
        if (tn_map_put(&d->by_name, name, strlen(name), &d->weights[i]) != 0)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory for declarations");
    }
    return status;
}

static int32_t read_states(struct tn_declared *d, const struct tenon_model *model, struct tenon_model_config *config,
                           struct tenon_err *err)
{
    const struct tenon_state_desc *s = NULL;
    while (d->n_states < DECLARATIONS_MAX && model->state_at(config, d->n_states, &s) == 0) {
        struct tenon_state_desc *all = realloc(d->states, (d->n_states + 1u) * sizeof *all);
        if (all == NULL)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "states", "out of memory for declarations");
        d->states = all;
        TENON_COPY_IN(&all[d->n_states], s);
        if (all[d->n_states++].name == NULL)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "states", "a declared state has no name");
    }
    return TENON_OK;
}

int32_t tn_declared_init(struct tn_declared *ret, const struct tenon_model *model, struct tenon_model_config *config,
                         tn_present_fn *present, void *present_ctx, struct tenon_err *err)
{
    int32_t status;
    *ret = (struct tn_declared){.present = present, .present_ctx = present_ctx};
    status = read_weights(ret, model, config, err);
    if (status == 0)
        status = read_states(ret, model, config, err);
    if (status != 0)
        tn_declared_finish(ret);
    return status;
}

void tn_declared_finish(struct tn_declared *decl)
{
    tn_map_finish(&decl->by_name, NULL);
    free(decl->weights);
    free(decl->states);
    *decl = (struct tn_declared){0};
}

static bool is_present(const struct tn_declared *d, const struct tenon_weight_desc *w)
{
    return d->present == NULL || d->present(d->present_ctx, w);
}

/* Is it a weight that no layer of this model has? */
static bool is_nowhere(const struct tenon_weight_desc *w)
{
    return (w->flags & TENON_WEIGHT_LAYERED) != 0 && w->has_layer != NULL && memchr(w->has_layer, 1, w->n_layers) == NULL;
}

static int32_t find_weight(void *ctx, const char *name, struct tn_weight_info *ret, struct tenon_err *err)
{
    const struct tn_declared *d = ctx;
    const struct tenon_weight_desc *w = tn_map_get(&d->by_name, name, strlen(name)), *tied;
    if (w == NULL)
        return tenon_fail(err, TENON_E_NOT_FOUND, name, "the model declares no weight of this name");
    bool present = is_present(d, w);
    if (!present && w->tied_to != NULL && (tied = tn_map_get(&d->by_name, w->tied_to, strlen(w->tied_to))) != NULL) {
        w = tied;
        present = is_present(d, w);
    }
    if (!present && (w->flags & TENON_WEIGHT_OPTIONAL) == 0 && !is_nowhere(w))
        return tenon_fail(err, TENON_E_NOT_FOUND, name, "the file lacks this weight, which the model needs");
    *ret = (struct tn_weight_info){.index = (uint32_t)(w - d->weights), .rank = w->rank, .present = present,
                                   .layered = (w->flags & TENON_WEIGHT_LAYERED) != 0, .n_layers = w->n_layers, .name = w->name};
    memcpy(ret->dims, w->dims, sizeof ret->dims);
    return TENON_OK;
}

static int32_t find_state(void *ctx, const char *name, uint32_t *ret_index, struct tenon_err *err)
{
    const struct tn_declared *d = ctx;
    for (uint32_t i = 0; i < d->n_states; i++) {
        if (strcmp(d->states[i].name, name) == 0) {
            *ret_index = i;
            return TENON_OK;
        }
    }
    return tenon_fail(err, TENON_E_NOT_FOUND, name, "the model declares no state of this name");
}

static const struct tenon_state_desc *state_at(void *ctx, uint32_t index)
{
    const struct tn_declared *d = ctx;
    return index < d->n_states ? &d->states[index] : NULL;
}

static bool weight_has_layer(void *ctx, uint32_t index, uint32_t layer)
{
    const struct tn_declared *d = ctx;
    const struct tenon_weight_desc *w = index < d->n_weights ? &d->weights[index] : NULL;
    return w != NULL && layer < w->n_layers && (w->has_layer == NULL || w->has_layer[layer] != 0);
}

struct tn_build_env tn_declared_env(struct tn_declared *decl)
{
    return (struct tn_build_env){decl, find_weight, find_state, state_at, weight_has_layer};
}
