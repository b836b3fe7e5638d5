/* device.h - the devices of all backend plugins as one list, and opening one.
 *
 *     struct tn_device d = {0};
 *     rc = tn_device_open(registry, "cpu", &d, err);        // NULL: the best
 *     d.backend.compile(d.device, ...);
 *     tn_device_close(&d);
 *
 * [init]
 */
#ifndef TN_MODEL_DEVICE_H
#define TN_MODEL_DEVICE_H

#include <stdint.h>

#include <tenon/backend.h>

#include "core/plugin/registry.h"

struct tn_device {
    struct tenon_backend backend; /* of the plugin, copied in */
    void *self;
    const char *plugin;           /* item name; OWN: registry */
    uint32_t index;               /* within the plugin */
    struct tenon_device_desc desc;
    struct tenon_device *device;  /* NULL: only listed */
};

/* Device i of all, best backend first; not opened. OUT_OF_RANGE past the last; NOT_FOUND: no backend plugin at all. */
int32_t tn_device_at(struct tn_registry *reg, uint32_t i, struct tn_device *ret, struct tenon_err *err);

/* NOT_FOUND: no such device; says which there are or which plugin is missing. */
int32_t tn_device_open(struct tn_registry *reg, const char *name, struct tn_device *ret, struct tenon_err *err);
void tn_device_close(struct tn_device *d); /* fine on a zeroed one */

#endif
