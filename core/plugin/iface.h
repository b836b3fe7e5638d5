/* iface.h - what the loader knows of interfaces: their kind, and which callbacks an author must fill in.
 *
 *     char kind[TN_KIND_SIZE];
 *     tn_iface_kind("tenon.weights/1", kind);   // "weights"; other names keep theirs: "com.acme.x/2" -> "com.acme.x"
 *
 * An interface without a table in iface.c is loaded unchecked: who asks for it knows it. [any-thread]
 */
#ifndef TN_PLUGIN_IFACE_H
#define TN_PLUGIN_IFACE_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

#define TN_KIND_SIZE 64

/* False: `iface` is not of the form NAME/REVISION, or too long. */
bool tn_iface_kind(const char *iface, char ret_kind[TN_KIND_SIZE]);

/* Are all mandatory members of the table there? `item` is "backend:cpu", for messages.
 * Error: FAILED_PRECONDITION, naming the first missing one. */
int32_t tn_iface_check(const char *iface, const void *impl, const char *item, struct tenon_err *err);

/* May a plugin that provides `kind` have the host's service `id`? A service no line of iface.c knows is for nobody. */
bool tn_iface_grants(const char *kind, const char *id);
bool tn_iface_is_service(const char *id);

#endif
