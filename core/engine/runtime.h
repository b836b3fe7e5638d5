/* runtime.h - what the host's own command needs of a runtime beyond <tenon/engine.h>. [any-thread] */
#ifndef TN_ENGINE_RUNTIME_H
#define TN_ENGINE_RUNTIME_H

#include <stdint.h>

#include "core/engine/engine.h"

struct tn_registry *tn_runtime_registry(struct tenon_runtime *rt); /* OWN: rt */
uint32_t tn_runtime_threads(struct tenon_runtime *rt);             /* of the compute pool */

#endif
