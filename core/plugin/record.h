/* record.h - one plugin's way from manifest to items. Used by registry.c alone, which holds the lock; the steps are in
 * record.c. [serial:registry] */
#ifndef TN_PLUGIN_RECORD_H
#define TN_PLUGIN_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/plugin/descriptor.h"
#include "core/plugin/host.h"
#include "core/plugin/layers.h"
#include "core/plugin/registry.h"
#include "core/plugin/verdict.h"

/* What all records of a registry share. */
struct tn_record_world {
    struct tn_layers layers;
    struct tn_verdicts verdicts;
    struct tn_services services;
    struct tn_strlist select;  /* TENON_PLUGINS_SELECT; is_selecting: it was set */
    struct tn_strlist disable; /* TENON_PLUGINS_DISABLE */
    bool is_selecting;
    bool has_verdicts;         /* the cache was read */
    uint32_t n_loaded;
};

struct tn_record {
    const char *file;         /* OWN: the registry's map of sources; of a static plugin: its name */
    struct tn_source *source; /* OWN: the same; of a static plugin: this record */
    tenon_plugin_entry_fn *entry; /* of a static plugin, else NULL */
    char *name;               /* OWN */
    char *path;               /* OWN. Resolved library, or NULL */
    enum tn_plugin_state state;
    struct tenon_err err;     /* why, for every state but found, available and loaded */
    struct tn_identity identity;
    char id[TN_PLUGIN_MAX_NAME + 1];             /* "" until known */
    char version[65];
    struct tn_descriptor descriptor;
    struct tn_host host;
    void *self;
    uint32_t load_order;      /* 1 is the first loaded; 0: not loaded */
};

/* Errors: RESOURCE_EXHAUSTED. A record never moves: plugins hold pointers into it. */
int32_t tn_record_create(const char *file, struct tn_source *source, struct tn_record **ret, struct tenon_err *err);
int32_t tn_record_create_static(const char *name, tenon_plugin_entry_fn *entry, struct tn_record **ret,
                                struct tenon_err *err);
void tn_record_destroy(struct tn_record *r); /* runs no fini. NULL is allowed */

/* From FOUND to AVAILABLE, or to where it ends; nothing is opened. Other states stay. */
void tn_record_examine(struct tn_record *r, struct tn_record_world *w);

/* To LOADED, or to where it ends. TENON_OK when it is loaded. `afresh`: probe even when a verdict is known. */
int32_t tn_record_load(struct tn_record *r, struct tn_record_world *w, bool afresh, struct tenon_err *err);

/* Back to FOUND, unless it is loaded. */
void tn_record_reset(struct tn_record *r);

/* Does "weights-gguf", "50-weights-gguf", "50-weights-gguf.plugin" or "weights:gguf" mean this one? */
bool tn_record_is_called(const struct tn_record *r, const char *word);

#endif
