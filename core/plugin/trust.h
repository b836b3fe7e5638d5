/* trust.h - who could have planted this file? Before a manifest is believed or a library opened, it and every directory
 * above it must belong to root, to the user or to the owner of the running executable (who decides what runs here
 * anyway), and nobody else may be able to write there. A root-owned sticky directory such as /tmp passes: others
 * cannot replace what lies in it.
 *
 *     rc = tn_trust_path(real_path, err);   // "/opt/x.so: mode 0666 lets others write: chmod go-w /opt/x.so"
 *
 * Since nobody else can change any part of a trusted path, what was checked is what is opened next. [any-thread]
 */
#ifndef TN_PLUGIN_TRUST_H
#define TN_PLUGIN_TRUST_H

#include <stdint.h>
#include <sys/stat.h>

#include <tenon/plugin.h>

/* `path` must be free of symbolic links (see realpath(3)). Checks the file itself and all its parents.
 * Errors: PERMISSION_DENIED, naming path and mode; or that of a failing lstat. */
int32_t tn_trust_path(const char *path, struct tenon_err *err);

/* One already examined node, `path` for messages. */
int32_t tn_trust_stat(const struct stat *st, const char *path, struct tenon_err *err);

#endif
