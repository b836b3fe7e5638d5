/* presence.h - what can be known of a plugin without opening it: is it for this machine, is what it needs there.
 *
 *     if (!tn_presence_need("path:/dev/nvidiactl")) skip();
 *
 * Nothing here runs code of the plugin or of a library. [any-thread]
 */
#ifndef TN_PLUGIN_PRESENCE_H
#define TN_PLUGIN_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

/* This machine as manifests spell it: "x86_64". */
const char *tn_presence_arch(void);

/* Is "path:/..." or "lib:soname" there? A library counts when the loader's cache or a usual directory has it. */
bool tn_presence_need(const char *need);

/* Is the open file an ELF shared object for this machine and word size? `path` is for messages.
 * Errors: FAILED_PRECONDITION (another machine), INVALID_ARGUMENT (no shared object). */
int32_t tn_presence_elf(int fd, const char *path, struct tenon_err *err);

#endif
