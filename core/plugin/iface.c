/* iface.c - two tables: mandatory members per interface, services per kind. A new interface adds its line
 * here; everything else in this room works on tables. Any thread. Contract: iface.h. */
#include "core/plugin/iface.h"

#include <string.h>

#include <tenon/backend.h>
#include <tenon/engine.h>
#include <tenon/frontend.h>
#include <tenon/model.h>
#include <tenon/quantizer.h>
#include <tenon/tokenizer.h>
#include <tenon/weights.h>

/* ---- mandatory members -------------------------------------------------------------------------------------- */

struct member {
    uint32_t offset; /* of a pointer in the interface's table */
    const char *name;
};

#define MEMBER(type, name) { (uint32_t)offsetof(struct type, name), #name }
#define END { 0, NULL } /* offset 0 is struct_size: never a callback */

static const struct member backend[] = {
    MEMBER(tenon_backend, device_at), MEMBER(tenon_backend, open), MEMBER(tenon_backend, close),
    MEMBER(tenon_backend, buffer_alloc), MEMBER(tenon_backend, buffer_import),
    MEMBER(tenon_backend, buffer_free), MEMBER(tenon_backend, buffer_map), MEMBER(tenon_backend, upload),
    MEMBER(tenon_backend, download), MEMBER(tenon_backend, query), MEMBER(tenon_backend, weight_query),
    MEMBER(tenon_backend, state_layout), MEMBER(tenon_backend, compile), MEMBER(tenon_backend, executable_info),
    MEMBER(tenon_backend, executable_free), MEMBER(tenon_backend, stream_create),
    MEMBER(tenon_backend, stream_destroy), MEMBER(tenon_backend, enqueue), MEMBER(tenon_backend, event_wait),
    MEMBER(tenon_backend, event_free), MEMBER(tenon_backend, copy_pages), MEMBER(tenon_backend, export_pages),
    MEMBER(tenon_backend, import_pages), END};
static const struct member frontend[] = {
    MEMBER(tenon_frontend, start), MEMBER(tenon_frontend, drain), MEMBER(tenon_frontend, stop), END};
static const struct member weights[] = {
    MEMBER(tenon_weights, probe), MEMBER(tenon_weights, open), MEMBER(tenon_weights, close),
    MEMBER(tenon_weights, metadata), MEMBER(tenon_weights, tensor_count), MEMBER(tenon_weights, tensor_at), END};
static const struct member tokenizer[] = {
    MEMBER(tenon_tokenizer, match), MEMBER(tenon_tokenizer, open), MEMBER(tenon_tokenizer, close),
    MEMBER(tenon_tokenizer, info), MEMBER(tenon_tokenizer, encode), MEMBER(tenon_tokenizer, decode),
    MEMBER(tenon_tokenizer, piece), END};
static const struct member model[] = {
    MEMBER(tenon_model, match), MEMBER(tenon_model, config), MEMBER(tenon_model, config_free),
    MEMBER(tenon_model, weight_at), MEMBER(tenon_model, state_at), MEMBER(tenon_model, build), END};
static const struct member quantizer[] = {MEMBER(tenon_quantizer, encodings), END};

static const struct iface {
    const char *id;
    const struct member *members;
} ifaces[] = {
    {TENON_BACKEND_IFACE, backend},
    {TENON_FRONTEND_IFACE, frontend},
    {TENON_WEIGHTS_IFACE, weights},
    {TENON_TOKENIZER_IFACE, tokenizer},
    {TENON_MODEL_IFACE, model},
    {TENON_QUANTIZER_IFACE, quantizer},
};

bool tn_iface_kind(const char *iface, char ret_kind[TN_KIND_SIZE])
{
    const char *name = strncmp(iface, "tenon.", 6) == 0 ? iface + 6 : iface;
    const char *slash = strchr(name, '/');
    if (slash == NULL || slash == name || slash - name >= TN_KIND_SIZE || slash[1] == '\0' ||
        strspn(slash + 1, "0123456789") != strlen(slash + 1))
        return false;
    memcpy(ret_kind, name, (size_t)(slash - name));
    ret_kind[slash - name] = '\0';
    return true;
}

static bool has_member(const void *impl, const struct member *m)
{
    uint32_t size;
    void *pointer;
    memcpy(&size, impl, sizeof size);
    if (size < m->offset + sizeof pointer)
        return false;
    memcpy(&pointer, (const char *)impl + m->offset, sizeof pointer);
    return pointer != NULL;
}

int32_t tn_iface_check(const char *iface, const void *impl, const char *item, struct tenon_err *err)
{
    for (size_t i = 0; i < sizeof ifaces / sizeof ifaces[0]; i++) {
        if (strcmp(ifaces[i].id, iface) != 0)
            continue;
        for (const struct member *m = ifaces[i].members; m->name != NULL; m++)
            if (!has_member(impl, m))
                return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "",
                                  "%s: \"%s\" of %s is mandatory and missing: the plugin's author must fill it in",
                                  item, m->name, iface);
    }
    return TENON_OK;
}

/* ---- services ----------------------------------------------------------------------------------------------- */

#define EVERY_KIND "*"

/* A plugin gets what its kinds need and no more: a tokenizer cannot drive the engine. */
static const struct grant {
    const char *service;
    const char *kind;
} grants[] = {
    {TENON_LOG_SERVICE, EVERY_KIND},
    {TENON_ALLOC_SERVICE, EVERY_KIND},
    {TENON_CONFIG_SERVICE, EVERY_KIND},
    {TENON_MEMORY_SERVICE, "backend"},
    {TENON_THREADS_SERVICE, "backend"},
    {TENON_THREADS_SERVICE, "quantizer"},
    {TENON_THREADS_SERVICE, "op"},
    {"tenon.cache/1", "backend"},
    {TENON_ENGINE_SERVICE, "frontend"},
};
#define N_GRANTS (sizeof grants / sizeof grants[0])

bool tn_iface_grants(const char *kind, const char *id)
{
    for (size_t i = 0; i < N_GRANTS; i++)
        if (strcmp(grants[i].service, id) == 0 &&
            (strcmp(grants[i].kind, EVERY_KIND) == 0 || strcmp(grants[i].kind, kind) == 0))
            return true;
    return false;
}

bool tn_iface_is_service(const char *id)
{
    for (size_t i = 0; i < N_GRANTS; i++)
        if (strcmp(grants[i].service, id) == 0)
            return true;
    return false;
}
