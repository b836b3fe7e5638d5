/* manifest.h - what a file of plugins.d says about one plugin. The format is described in plugins.d/README.md.
 *
 *     struct tn_manifest m;
 *     tn_manifest_init(&m);
 *     rc = tn_manifest_apply(&m, text, size, "/usr/lib/tenon/plugins.d/50-x.plugin", "/usr/lib/tenon", err);
 *     rc = tn_manifest_apply(&m, ..., "/etc/tenon/plugins.d/50-x.plugin", "/etc/tenon", err);   // key by key over it
 *     tn_manifest_finish(&m);
 *
 * Touches no file but what it is given. [serial:manifest]
 */
#ifndef TN_PLUGIN_MANIFEST_H
#define TN_PLUGIN_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/base/map.h"
#include "core/base/str.h"

#define TN_MANIFEST_MAX_SIZE 65536u /* bytes of a file */
#define TN_MANIFEST_SUFFIX ".plugin"

struct tn_manifest {
    char *library;              /* as written, relative to library_dir; NULL: no file said */
    char *library_dir;          /* tenon directory of the file that set `library` */
    struct tn_strlist arch;     /* empty: any */
    struct tn_strlist provides; /* "kind:name" */
    struct tn_strlist needs;    /* "path:/..." or "lib:soname" */
    struct tn_map settings;     /* set.KEY: KEY to char *VALUE */
    struct tn_strlist paths;    /* the files applied, lowest layer first */
    uint32_t priority;
    bool critical;
    bool enabled;
};

/* Defaults: any arch, priority 50, not critical, enabled. */
void tn_manifest_init(struct tn_manifest *m);
void tn_manifest_finish(struct tn_manifest *m);

/* Apply a file's text; keys it sets replace what was there. `path` is for messages and for m->paths, `dir` is the
 * tenon directory it lies in. On failure *m is half changed, to be finished and not used; the message names file and
 * line. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
int32_t tn_manifest_apply(struct tn_manifest *m, const char *text, uint64_t size, const char *path, const char *dir,
                          struct tenon_err *err);

/* Does it provide kind:name? `name` NULL: anything of that kind. */
bool tn_manifest_provides(const struct tn_manifest *m, const char *kind, const char *name);

#endif
