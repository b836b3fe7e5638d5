/* resolve.h - which tensor of the file is which weight of the model: every declaration and layer gets its tensor and what has to
 * be done to it, or the load fails with the list of what is missing.
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
#include "core/model/transform.h"

#define TN_WEIGHT_DESCS_MAX 4096u
#define TN_WEIGHTS_MAX (1u << 20) /* declarations times layers */
#define TN_VALUES_MAX (1u << 30)  /* bytes of a weight that the model plugin computes */
#define TN_EXPERTS_MAX 4096u
#define TN_TENSOR_NAME 160u       /* room for a name that is sought */

struct tn_resolved_weight {
    uint32_t weight;               /* declaration */
    int32_t layer;                 /* -1 when not layered */
    const struct tn_tensor *tensor; /* the first of them; NULL: the declaration's values. OWN: container */
    const struct tn_tensor **experts; /* [dims[0]] TENON_XFORM_STACK_EXPERTS: all of them, else NULL */
    struct tn_transform transform;
    const float *values;           /* where there is no tensor; OWN: config */
    uint64_t values_bytes;
    char name[96];                 /* logical, for messages: "layers.3.attn_q" */
};

struct tn_resolved {
    const struct tenon_weight_desc **descs; /* [n_descs] OWN of items: config */
    uint32_t n_descs;
    struct tn_resolved_weight *items; /* [n] in order of declaration and layer; absent ones are left out */
    uint32_t n;
    unsigned char *present;           /* [n_descs] 1: every layer has it; 0: absent, being optional or tied */
    struct tn_strlist missing, unused; /* names: of tensors that must be there, of tensors that no weight took */
};

/* Errors: NOT_FOUND (then `missing` and `unused` are whole), INVALID_ARGUMENT (a shape; a weight that only some layers have),
 * RESOURCE_EXHAUSTED. *ret is empty at first and to be finished after failures too. */
int32_t tn_resolve(const struct tn_container *src, const struct tenon_model *model, struct tenon_model_config *config,
                   struct tn_resolved *ret, struct tenon_err *err);
void tn_resolved_finish(struct tn_resolved *r);

/* Put the layer's number in place of `{i}`. False: the name is too long. */
bool tn_layer_name(char *buf, size_t size, const char *pattern, int32_t layer);

#endif
