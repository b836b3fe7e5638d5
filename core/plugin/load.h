/* load.h - opens one shared object and reads its descriptor. The caller has decided that it may run here.
 *
 *     struct tn_descriptor d = {0};
 *     rc = tn_load_open("/usr/lib/tenon/x.so", &d, err);   // dlopen, entry point, negotiation; no init
 *
 * Never closed again: code of a plugin may be on some stack, and most libraries do not survive it. [init]
 */
#ifndef TN_PLUGIN_LOAD_H
#define TN_PLUGIN_LOAD_H

#include <stdint.h>

#include <tenon/plugin.h>

#include "core/plugin/descriptor.h"

/* Errors: those of tn_descriptor_read; NOT_FOUND (a library it needs is missing, named); FAILED_PRECONDITION (cannot
 * be loaded, no entry point); UNIMPLEMENTED (this build has no dlopen). Messages begin with the path. */
int32_t tn_load_open(const char *path, struct tn_descriptor *ret, struct tenon_err *err);

/* Run init with `host`. A plugin without one has a NULL self. Messages begin with `where`. */
struct tn_host;
int32_t tn_load_init(const char *where, const struct tn_descriptor *d, const struct tn_host *host, void **ret_self,
                     struct tenon_err *err);

#endif
