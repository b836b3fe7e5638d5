/* registry.h - every plugin this process can see, its state, and the items of those that were wanted.
 *
 *     struct tn_registry *reg;
 *     if (tn_registry_create(&reg, err) == TENON_OK &&                                  // reads plugins.d, opens nothing
 *         tn_registry_set_service(reg, TENON_THREADS_SERVICE, &threads, err) == TENON_OK &&
 *         tn_registry_start(reg, err) == TENON_OK &&                                    // loads the critical ones
 *         tn_registry_find(reg, "tenon.weights/1", "gguf", 0, &item, err) == TENON_OK)  // loads what provides it
 *         TENON_COPY_IN(&weights, item->impl);                                          // call with item->self
 *     tn_registry_destroy(reg);
 *
 * A plugin that cannot be used ends in a state with a reason; that is an error only for who asked for what it provides.
 * [any-thread] except create, set_service, start, add_static and destroy, which are [init]. A lock serialises loading;
 * a plugin's init must not call back into the registry, and has no way to.
 */
#ifndef TN_PLUGIN_REGISTRY_H
#define TN_PLUGIN_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/plugin/descriptor.h"
#include "core/plugin/manifest.h"

struct tn_registry;

#define TN_PLUGIN_STATES(X)                                                        \
    X(FOUND, "found")             /* manifest read, nothing checked yet */          \
    X(AVAILABLE, "available")     /* passed every check that needs no opening */    \
    X(LOADED, "loaded")           /* initialised, items usable */                   \
    X(DISABLED, "disabled")       /* enabled = no, or by the environment */         \
    X(MASKED, "masked")           /* by a link to /dev/null */                      \
    X(SKIPPED, "skipped")         /* for another machine, or what it needs is not there */ \
    X(REFUSED, "refused")         /* bad manifest, not trusted, wrong file, wrong version */ \
    X(FAILED, "failed")           /* missing, could not be loaded, or init failed */ \
    X(QUARANTINED, "quarantined") /* crashed or hung at first contact */

enum tn_plugin_state {
#define TN_PLUGIN_STATE_ENUM(name, text) TN_PLUGIN_##name,
    TN_PLUGIN_STATES(TN_PLUGIN_STATE_ENUM)
#undef TN_PLUGIN_STATE_ENUM
};

/* What a command may print of a plugin. OWN: registry; stable between calls into the registry. */
struct tn_plugin_info {
    const char *file;                    /* "50-cpu.plugin"; a static plugin: its name */
    const char *name;                    /* "cpu": without number and suffix */
    enum tn_plugin_state state;
    const char *reason;                  /* "" where the state says all */
    const char *library;                 /* resolved path, else as the manifest says, else NULL; NULL: static */
    const char *id;                      /* NULL until known */
    const char *version;                 /* NULL until known */
    const struct tn_manifest *manifest;  /* merged; of a static plugin: defaults and its items as `provides` */
    const struct tn_descriptor *descriptor; /* NULL unless loaded */
    bool is_static;
};

/* Find the manifests. Errors: INVALID_ARGUMENT (the environment), RESOURCE_EXHAUSTED. */
int32_t tn_registry_create(struct tn_registry **ret, struct tenon_err *err);
/* The same with the plugin directories of `plugin_path`, ":" between them, instead of the usual ones; NULL: those. */
int32_t tn_registry_create_in(const char *plugin_path, struct tn_registry **ret, struct tenon_err *err);

/* Calls every fini, last loaded first. NULL is allowed. */
void tn_registry_destroy(struct tn_registry *reg);

/* A service for plugins; before anything that needs it is loaded. See host.h. */
int32_t tn_registry_set_service(struct tn_registry *reg, const char *id, const void *table, struct tenon_err *err);

/* Add a plugin that is linked in. `name` is what select and disable call it. OWN: name is borrowed for good. A bad
 * descriptor gives a refused plugin, not an error. */
int32_t tn_registry_add_static(struct tn_registry *reg, tenon_plugin_entry_fn *entry, const char *name,
                               struct tenon_err *err);

/* Load the plugins marked critical. Error: the first one's, and then the host must not go on. */
int32_t tn_registry_start(struct tn_registry *reg, struct tenon_err *err);

/* The index-th item of that interface, best first (priority, then file name, then order in the file), of that name or
 * of any (NULL). Loads only plugins whose manifest provides the kind, and the name if there is one. NOT_FOUND past the last;
 * its message says which plugin is missing or why it cannot be used. OWN: registry. */
int32_t tn_registry_find(struct tn_registry *reg, const char *iface, const char *name, uint32_t index,
                         const struct tn_item **ret, struct tenon_err *err);

/* The best item of that interface that lists `key` among its keys, or is called so: the architecture "llama". Plugins
 * whose manifest names the key are loaded first, the others of the kind only when these do not have it. */
int32_t tn_registry_by_key(struct tn_registry *reg, const char *iface, const char *key, const struct tn_item **ret,
                           struct tenon_err *err);

/* Plugins in order of file names. False past the last. Checks what can be checked without opening. */
bool tn_registry_at(struct tn_registry *reg, uint32_t i, struct tn_plugin_info *ret);
const char *tn_plugin_state_text(enum tn_plugin_state state);

/* Load plugin i, if its state allows. TENON_OK when it is loaded, else its error. */
int32_t tn_registry_load(struct tn_registry *reg, uint32_t i, struct tenon_err *err);

/* Forget what is known of plugin i, quarantine included, probe it afresh in a child and load it; then compare what it
 * provides with what its manifest says. */
int32_t tn_registry_check(struct tn_registry *reg, uint32_t i, struct tenon_err *err);

#endif
