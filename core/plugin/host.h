/* host.h - the `struct tenon_host` one plugin receives: its own log prefix, counted memory, its own settings, and
 * those of the process's services that its kinds are granted (iface.c).
 *
 *     struct tn_services services = {0};                        // of the process, filled by who owns them
 *     tn_services_set(&services, TENON_THREADS_SERVICE, &threads, err);
 *     struct tn_host host;
 *     tn_host_init(&host, &descriptor, &manifest.settings, &services);
 *     descriptor.plugin.init(&host.host, &self, err);
 *
 * [init] to fill; what the plugin calls through it is [any-thread]. A host is never moved once a plugin has it.
 */
#ifndef TN_PLUGIN_HOST_H
#define TN_PLUGIN_HOST_H

#include <stdatomic.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/base/map.h"
#include "core/plugin/descriptor.h"

struct tn_services {
    struct tn_map tables; /* id to table; OWN: those who set them, for the process's life */
};

/* Register or replace a table. Errors: INVALID_ARGUMENT (no kind is granted such a service), RESOURCE_EXHAUSTED. */
int32_t tn_services_set(struct tn_services *services, const char *id, const void *table, struct tenon_err *err);
void tn_services_finish(struct tn_services *services);

struct tn_host {
    struct tenon_host host;
    struct tenon_log log;
    struct tenon_alloc alloc;
    struct tenon_config config;
    const struct tn_descriptor *descriptor; /* OWN: caller */
    const struct tn_map *settings;          /* char * values; NULL: none. OWN: caller */
    const struct tn_services *services;     /* OWN: caller */
    _Atomic uint64_t bytes;                 /* allocated through alloc and not freed */
};

void tn_host_init(struct tn_host *host, const struct tn_descriptor *descriptor, const struct tn_map *settings,
                  const struct tn_services *services);

#endif
