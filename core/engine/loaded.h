/* loaded.h - a model that serves requests: a queue, a thread that schedules steps, and the sequences in the cache.
 *
 *     struct tenon_loaded *l;
 *     rc = tn_loaded_create(registry, &args, &l, err);
 *     rc = tn_loaded_submit(l, &request, n, &id, err);    // events come from the model's thread
 *     tn_loaded_cancel(l, id);
 *     tn_loaded_destroy(l);                             // ends all requests with CANCELLED, waits for its thread
 *
 * [any-thread] but for create and destroy.
 */
#ifndef TN_ENGINE_LOADED_H
#define TN_ENGINE_LOADED_H

#include <stdint.h>

#include <tenon/engine.h>

#include "core/model/model.h"
#include "core/plugin/registry.h"

#define TN_QUEUE_MAX 256u /* requests waiting per model */

/* OWN: *ret until tn_loaded_destroy. */
int32_t tn_loaded_create(struct tn_registry *reg, const struct tenon_load_args *args, struct tenon_loaded **ret,
                         struct tenon_err *err);
void tn_loaded_destroy(struct tenon_loaded *l); /* NULL is allowed. Not from a callback of this model */

/* *ret_id: id, set before the first event can come. */
int32_t tn_loaded_submit(struct tenon_loaded *l, const struct tenon_request *request, uint64_t id, uint64_t *ret_id,
                         struct tenon_err *err);
int32_t tn_loaded_cancel(struct tenon_loaded *l, uint64_t id); /* NOT_FOUND: none of its requests */

/* As `embed` of the engine's table; one call at a time runs, others wait. */
int32_t tn_loaded_embed(struct tenon_loaded *l, const struct tenon_embed_args *args, float *y, uint64_t capacity, uint64_t *ret_n,
                        struct tenon_err *err);

const struct tn_model *tn_loaded_model(const struct tenon_loaded *l);
void tn_loaded_info(const struct tenon_loaded *l, struct tenon_loaded_info *ret);
void tn_loaded_stats(struct tenon_loaded *l, struct tenon_engine_stats *ret);

#endif
