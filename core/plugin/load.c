/* load.c - dlopen and what its failures mean to people. RTLD_NOW: a missing symbol shows here, not in the middle of an
 * answer; RTLD_LOCAL: plugins cannot see each other's symbols; RTLD_NODELETE: nothing unloads it. Contract: load.h. */
#include "core/plugin/load.h"

#include <dlfcn.h>
#include <string.h>

#include "core/plugin/host.h"
#include "core/plugin/trace.h"

#ifdef TN_PLUGIN_STATIC

static int32_t open_entry(const char *path, tenon_plugin_entry_fn **ret, struct tenon_err *err)
{
    (void)ret;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "", "%s: this build of tenon loads no shared objects", path);
}

#else

/* dlerror says "libx.so.1: cannot open shared object file: ..." of a library that the plugin needs. */
static int32_t fail_open(const char *path, const char *why, struct tenon_err *err)
{
    static const char missing[] = ": cannot open shared object file";
    const char *at = strstr(why, missing);
    if (at != NULL && strncmp(why, path, strlen(path)) != 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, "",
                          "%s: needs the library %.*s, which is not installed: install the package that has it", path,
                          (int)(at - why), why);
    return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "", "%s: cannot be loaded: %s", path, why);
}

static int32_t open_entry(const char *path, tenon_plugin_entry_fn **ret, struct tenon_err *err)
{
    tn_trace("open %s", path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        const char *why = dlerror();
        return fail_open(path, why != NULL ? why : "no reason given", err);
    }
    void *symbol = dlsym(library, TENON_PLUGIN_ENTRY_SYMBOL);
    if (symbol == NULL)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "",
                          "%s: does not export " TENON_PLUGIN_ENTRY_SYMBOL ": it is no tenon plugin, or was built "
                          "without TENON_PLUGIN_ENTRY", path);
    memcpy(ret, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointer */
    return TENON_OK;
}

#endif

int32_t tn_load_open(const char *path, struct tn_descriptor *ret, struct tenon_err *err)
{
    tenon_plugin_entry_fn *entry = NULL;
    struct tenon_err inner = TENON_ERR_INIT;
    int32_t rc = open_entry(path, &entry, err);
    if (rc != TENON_OK)
        return rc;
    rc = tn_descriptor_read(entry, ret, &inner);
    return rc == TENON_OK ? TENON_OK : tenon_fail(err, rc, "", "%s: %s", path, inner.message);
}

int32_t tn_load_init(const char *where, const struct tn_descriptor *d, const struct tn_host *host, void **ret_self,
                     struct tenon_err *err)
{
    struct tenon_err inner = TENON_ERR_INIT;
    void *self = NULL;
    int32_t rc = d->plugin.init != NULL ? d->plugin.init(&host->host, &self, &inner) : TENON_OK;
    if (rc != TENON_OK) {
        inner.message[sizeof inner.message - 1] = '\0'; /* a plugin wrote it */
        return tenon_fail(err, rc < 0 ? rc : TENON_E_UNKNOWN, "", "%s: its init failed: %s", where,
                          inner.message[0] != '\0' ? inner.message : tenon_status_text(rc));
    }
    *ret_self = self;
    return TENON_OK;
}
