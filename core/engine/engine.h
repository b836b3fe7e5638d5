/* engine.h - "tenon.engine/1" of this process: the table frontends and embedding programs call, over all loaded models.
 *
 *     struct tn_engine *engine;
 *     rc = tn_engine_create(registry, &engine, err);
 *     const struct tenon_engine *e = tn_engine_table(engine);       // see <tenon/engine.h>
 *     tn_engine_destroy(engine);                                    // unloads what is loaded
 *
 * [any-thread] but for create and destroy.
 */
#ifndef TN_ENGINE_ENGINE_H
#define TN_ENGINE_ENGINE_H

#include <stdint.h>

#include <tenon/engine.h>

#include "core/model/model.h"
#include "core/plugin/registry.h"

struct tn_engine;

/* `reg` outlives it. OWN: *ret until tn_engine_destroy. */
int32_t tn_engine_create(struct tn_registry *reg, struct tn_engine **ret, struct tenon_err *err);
void tn_engine_destroy(struct tn_engine *engine); /* NULL is allowed. Not from a callback */

/* OWN: engine. */
const struct tenon_engine *tn_engine_table(const struct tn_engine *engine);

/* The model behind a handle, for the host's own commands. */
const struct tn_model *tn_engine_model(struct tenon_loaded *loaded);

#endif
