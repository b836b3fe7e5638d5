/* host.c - the services log, alloc and config, bound to one plugin, memory, and the lookup of all others. Plugins' threads
 * call in here: nothing but the byte counter changes after tn_host_init. Contract: host.h. */
#include "core/plugin/host.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/memory.h"

#ifndef TN_VERSION
#define TN_VERSION "0"
#endif

int32_t tn_services_set(struct tn_services *services, const char *id, const void *table, struct tenon_err *err)
{
    if (!tn_iface_is_service(id))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, id, "no kind of plugin is granted this service: add it to iface.c");
    if (tn_map_put(&services->tables, id, strlen(id), (void *)(uintptr_t)table) != TENON_OK)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, id, "cannot register the service: out of memory");
    return TENON_OK;
}

void tn_services_finish(struct tn_services *services)
{
    tn_map_finish(&services->tables, NULL);
}

/* ---- log, alloc, config ------------------------------------------------------------------------------------- */

static void log_write(void *ctx, int32_t level, const char *text, uint64_t size)
{
    const struct tn_host *h = ctx;
    int n = size < 900 ? (int)size : 900;
    tn_log(level, h->descriptor->plugin.id, "%.*s", n, text);
}

static void *alloc_alloc(void *ctx, uint64_t size, uint64_t align)
{
    struct tn_host *h = ctx;
    void *p;
    if (align < sizeof(void *))
        align = sizeof(void *);
    if ((align & (align - 1)) != 0 || size > PTRDIFF_MAX || posix_memalign(&p, align, size != 0 ? size : 1) != 0)
        return NULL;
    atomic_fetch_add(&h->bytes, malloc_usable_size(p));
    return p;
}

static void alloc_free(void *ctx, void *p)
{
    struct tn_host *h = ctx;
    if (p != NULL)
        atomic_fetch_sub(&h->bytes, malloc_usable_size(p));
    free(p);
}

static const char *config_get(void *ctx, const char *key)
{
    const struct tn_host *h = ctx;
    return h->settings != NULL ? tn_map_get(h->settings, key, strlen(key)) : NULL;
}

/* ---- lookup ------------------------------------------------------------------------------------------------- */

static bool is_granted(const struct tn_host *h, const char *id)
{
    for (uint32_t i = 0; i < h->descriptor->n_items; i++)
        if (tn_iface_grants(h->descriptor->items[i].kind, id))
            return true;
    return false;
}

static const void *service(void *ctx, const char *id)
{
    struct tn_host *h = ctx;
    if (id == NULL || !is_granted(h, id))
        return NULL;
    if (strcmp(id, TENON_LOG_SERVICE) == 0)
        return &h->log;
    if (strcmp(id, TENON_ALLOC_SERVICE) == 0)
        return &h->alloc;
    if (strcmp(id, TENON_CONFIG_SERVICE) == 0)
        return &h->config;
    if (strcmp(id, TENON_MEMORY_SERVICE) == 0)
        return tn_memory_service();
    return tn_map_get(&h->services->tables, id, strlen(id));
}

void tn_host_init(struct tn_host *host, const struct tn_descriptor *descriptor, const struct tn_map *settings,
                  const struct tn_services *services)
{
    memset(host, 0, sizeof *host);
    host->host = (struct tenon_host){.struct_size = sizeof host->host, .abi = TENON_ABI, .api_level = TENON_API_LEVEL,
                                     .version = TN_VERSION, .ctx = host, .service = service};
    host->log = (struct tenon_log){.struct_size = sizeof host->log, .level = tn_log_level(), .ctx = host,
                                   .write = log_write};
    host->alloc = (struct tenon_alloc){.struct_size = sizeof host->alloc, .ctx = host, .alloc = alloc_alloc,
                                       .free = alloc_free};
    host->config = (struct tenon_config){.struct_size = sizeof host->config, .ctx = host, .get = config_get};
    host->descriptor = descriptor;
    host->settings = settings;
    host->services = services;
}
