/* program.h - what a model plugin's programs are built from: its declarations, which of them the file has, and the composite
 * ops of other plugins.
 *
 *     struct tn_program_env p = {0};
 *     rc = tn_program_env_init(&p, registry, &arch, &resolved, err);
 *     if (rc == 0)
 *         rc = tn_build_program(&arch.table, arch.config, "step", &p.env, &p.lookup, &graph, err);
 *     tn_program_env_finish(&p);
 *
 * Immutable after init, then [any-thread].
 */
#ifndef TN_MODEL_PROGRAM_H
#define TN_MODEL_PROGRAM_H

#include "core/graph/declared.h"
#include "core/model/model.h"
#include "core/model/resolve.h"

struct tn_program_env {
    struct tn_declared declared;
    struct tn_build_env env;    /* borrows declared */
    struct tn_op_lookup lookup; /* borrows the registry */
};

/* resolved NULL: as if the file had every weight. All that is given outlives *ret, which may not move. INVALID_ARGUMENT: the
 * declarations are broken; then *ret is still to be finished. */
int32_t tn_program_env_init(struct tn_program_env *ret, struct tn_registry *reg, const struct tn_architecture *arch,
                            struct tn_resolved *resolved, struct tenon_err *err);
void tn_program_env_finish(struct tn_program_env *p); /* fine on a zeroed one */

#endif
