/* layers.h - the directories plugins come from, and the manifests found in them, merged by file name.
 *
 *     struct tn_layers layers = {0};
 *     struct tn_map sources = {0};                       // "50-cpu.plugin" -> struct tn_source *
 *     if (tn_layers_init(&layers, NULL, err) == TENON_OK) // reads the environment
 *         rc = tn_layers_scan(&layers, &sources, err);
 *     tn_map_finish(&sources, tn_source_destroy);
 *     tn_layers_finish(&layers);
 *
 * The layers and their order are described in plugins.d/README.md. [init]
 */
#ifndef TN_PLUGIN_LAYERS_H
#define TN_PLUGIN_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/base/map.h"
#include "core/base/str.h"
#include "core/plugin/manifest.h"

struct tn_layers {
    struct tn_strlist dirs; /* existing tenon directories without symbolic links, lowest layer first */
};

/* One plugin as its manifests describe it. */
struct tn_source {
    struct tn_manifest manifest; /* valid when status is TENON_OK and it is not masked */
    char *masked_by;             /* path of the link to /dev/null that masks it, or NULL */
    int32_t status;              /* of reading the manifests */
    struct tenon_err err;
};

/* The directories of this process: those of `path` (":" between them, earlier ones win), or the usual ones where it is NULL
 * and the environment says nothing else. Errors: INVALID_ARGUMENT (a relative directory in the environment),
 * RESOURCE_EXHAUSTED. A directory that is not there is left out. */
int32_t tn_layers_init(struct tn_layers *layers, const char *path, struct tenon_err *err);
void tn_layers_finish(struct tn_layers *layers);

/* Read every manifest. A bad or untrusted one ends in its source's status, not here. `sources` starts empty.
 * Error: RESOURCE_EXHAUSTED. */
int32_t tn_layers_scan(const struct tn_layers *layers, struct tn_map *sources, struct tenon_err *err);
void tn_source_destroy(void *source);

/* Find `library` below `dir` (one of the layers, or where a manifest lies) and make sure that it is a trusted regular
 * file inside one of the layers. *ret_path: without symbolic links. OWN: caller frees.
 * Errors: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
int32_t tn_layers_resolve(const struct tn_layers *layers, const char *dir, const char *library, char **ret_path,
                          struct tenon_err *err);

#endif
