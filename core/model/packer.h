/* packer.h - packs a loaded model's weights behind its first requests, one by one, on a thread of its own.
 *
 *     struct tn_packer *p;
 *     rc = tn_packer_start(&bindings, &device, executable, &p, err);   // after tn_bindings_ready and compile
 *     tn_packer_wait(p);                                               // all packed: only who measures speed needs it
 *     tn_packer_finish(p);                                             // before the executable is freed; stops early
 *
 * The results of steps do not depend on how far it is. A weight that cannot be packed stays as the file has it, and the log
 * says so. [init], wait: [any-thread]
 */
#ifndef TN_MODEL_PACKER_H
#define TN_MODEL_PACKER_H

#include "core/model/binding.h"

struct tn_packer;

/* All but *ret is the model's and outlives it; the bindings' items are the packer's until finish. */
int32_t tn_packer_start(struct tn_bindings *bindings, const struct tn_device *device, struct tenon_executable *executable,
                        struct tn_packer **ret, struct tenon_err *err);
void tn_packer_wait(struct tn_packer *p);   /* NULL is allowed, as below */
void tn_packer_finish(struct tn_packer *p); /* waits for the weight it is at */

#endif
