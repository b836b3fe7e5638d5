/* descriptor.h - the host's copy of what a plugin's entry point says, made only after every word of it was checked.
 *
 *     struct tn_descriptor d = {0};
 *     rc = tn_descriptor_read(entry, &d, err);   // negotiates the ABI; runs no init
 *     for (uint32_t i = 0; i < d.n_items; i++) use(d.items[i].iface, d.items[i].name);
 *     tn_descriptor_finish(&d);
 *
 * [serial:descriptor]
 */
#ifndef TN_PLUGIN_DESCRIPTOR_H
#define TN_PLUGIN_DESCRIPTOR_H

#include <stdint.h>

#include <tenon/plugin.h>

#include "core/plugin/iface.h"

#define TN_PLUGIN_ABI_MIN 1u /* the loader ABIs this host speaks: from here to TENON_ABI */
#define TN_PLUGIN_MAX_ITEMS 1024u
#define TN_PLUGIN_MAX_KEYS 4096u
#define TN_PLUGIN_MAX_TEXT 1024u /* bytes of any string of a descriptor */
#define TN_PLUGIN_MAX_NAME 128u  /* bytes of an id or an item's name */

/* One item as the registry hands it out. */
struct tn_item {
    const char *iface;       /* OWN: plugin, as all below: for the process's life */
    const char *name;
    const char *const *keys; /* NULL-ended, or NULL */
    const void *impl;        /* the interface's table; copy it in by TENON_COPY_IN */
    void *self;              /* of init, first argument of the table's callbacks; NULL before init */
    uint32_t priority;       /* the item's, or its manifest's where it has none */
    char kind[TN_KIND_SIZE];
    const char *plugin_id;
};

struct tn_descriptor {
    struct tenon_plugin plugin; /* copied in: members the author did not know are zero */
    struct tn_item *items;      /* [n_items] OWN: descriptor */
    uint32_t n_items;
};

/* Ask the entry point and check the answer. Errors: FAILED_PRECONDITION (versions, missing callbacks; names both
 * numbers), INVALID_ARGUMENT (nonsense), RESOURCE_EXHAUSTED. On failure *ret is untouched. */
int32_t tn_descriptor_read(tenon_plugin_entry_fn *entry, struct tn_descriptor *ret, struct tenon_err *err);
void tn_descriptor_finish(struct tn_descriptor *d);

#endif
