/* resolve.h - which tensor of the file is which weight of the model: every declaration and layer gets its tensor, or the
 * load fails with the list of what is missing.
 *
 *     struct tn_resolved r = {0};
 *     rc = tn_resolve(container, &model_plugin, config, &r, err);
 *     for (uint32_t i = 0; i < r.n; i++) bind(r.descs[r.items[i].weight], r.items[i].layer, r.items[i].tensor);
 *     tn_resolved_finish(&r);
 *
 * [init]
 */
#ifndef TN_MODEL_RESOLVE_H
#define TN_MODEL_RESOLVE_H

#include <stdint.h>

#include <tenon/model.h>

#include "core/base/str.h"
#include "core/model/container.h"

#define TN_WEIGHT_DESCS_MAX 4096u
#define TN_WEIGHTS_MAX (1u << 20) /* declarations times layers */

struct tn_resolved_weight {
    uint32_t weight;               /* declaration */
    int32_t layer;                 /* -1 when not layered */
    const struct tn_tensor *tensor; /* OWN: container */
    char name[96];                 /* logical, for messages: "layers.3.attn_q" */
};

struct tn_resolved {
    const struct tenon_weight_desc **descs; /* [n_descs] OWN of items: config */
    uint32_t n_descs;
    struct tn_resolved_weight *items; /* [n] in order of declaration and layer; absent ones are left out */
    uint32_t n;
    unsigned char *present;           /* [n_descs] 1: every layer has it; 0: absent, being optional or tied */
    struct tn_strlist unused;         /* names of tensors that no weight took */
};

/* Errors: NOT_FOUND (lists what is missing), INVALID_ARGUMENT (a shape; a weight that only some layers have),
 * UNIMPLEMENTED (a transform), RESOURCE_EXHAUSTED. On failure *ret stays empty. */
int32_t tn_resolve(const struct tn_container *src, const struct tenon_model *model, struct tenon_model_config *config,
                   struct tn_resolved *ret, struct tenon_err *err);
void tn_resolved_finish(struct tn_resolved *r);

/* Put the layer's number in place of `{i}`. False: the name is too long. */
bool tn_layer_name(char *buf, size_t size, const char *pattern, int32_t layer);

#endif
