/* frontend.h - "tenon.frontend/1": a way in from outside, such as HTTP or gRPC. A frontend turns its protocol's requests into
 * the engine's and the engine's events into its protocol's answers; it parses no model output itself. */
#ifndef TENON_FRONTEND_H
#define TENON_FRONTEND_H

#include <tenon/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_FRONTEND_IFACE "tenon.frontend/1"

struct tenon_frontend_object; /* opaque, the plugin's */

/* All callbacks mandatory. [init] one thread calls them, in the order start, drain, stop. */
struct tenon_frontend {
    uint32_t struct_size;
    uint32_t reserved;
    /* Listen and return; the frontend runs its own loop thread. config: JSON object of its options (host, port ...). OWN: *ret
     * until stop. `engine` outlives it. */
    int32_t (*start)(void *self, const struct tenon_engine *engine, const char *config, struct tenon_frontend_object **ret,
                     struct tenon_err *err);
    /* Take no new requests, finish the running ones, at most until deadline_ns from now. DEADLINE_EXCEEDED: some are left. */
    int32_t (*drain)(struct tenon_frontend_object *fe, int64_t deadline_ns, struct tenon_err *err);
    void (*stop)(struct tenon_frontend_object *fe); /* NULL is allowed; cancels what is left */
};

#ifdef __cplusplus
}
#endif
#endif
