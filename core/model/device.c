/* device.c - see device.h. A backend that fails to list its devices has none. */
#include "core/model/device.h"

#include <string.h>

static void take_item(const struct tn_item *item, struct tn_device *ret)
{
    memset(ret, 0, sizeof *ret);
    TENON_COPY_IN(&ret->backend, item->impl);
    ret->self = item->self;
    ret->plugin = item->name;
}

static int32_t describe(struct tn_device *d, uint32_t index)
{
    d->index = index;
    d->desc = (struct tenon_device_desc){ .struct_size = sizeof d->desc };
    return d->backend.device_at(d->self, index, &d->desc, NULL);
}

int32_t tn_device_at(struct tn_registry *reg, uint32_t i, struct tn_device *ret, struct tenon_err *err)
{
    const struct tn_item *item;
    struct tn_device d;
    uint32_t seen = 0;
    int32_t rc = tn_registry_find(reg, TENON_BACKEND_IFACE, NULL, 0, &item, err);
    for (uint32_t b = 0; rc == TENON_OK; b++) {
        take_item(item, &d);
        for (uint32_t k = 0; describe(&d, k) == TENON_OK; k++)
            if (seen++ == i) {
                *ret = d;
                return TENON_OK;
            }
        if (tn_registry_find(reg, TENON_BACKEND_IFACE, NULL, b + 1, &item, NULL) != TENON_OK)
            return tenon_fail(err, TENON_E_OUT_OF_RANGE, "devices", "there are %u devices", seen);
    }
    return rc;
}

/* Fill `list` with the names of all devices, for a message. */
static void list_devices(struct tn_registry *reg, char *list, size_t size)
{
    struct tn_device d;
    size_t n = 0;
    list[0] = '\0';
    for (uint32_t i = 0; tn_device_at(reg, i, &d, NULL) == TENON_OK; i++) {
        int wrote = snprintf(list + n, size - n, "%s%s", i ? ", " : "", d.desc.name);
        if (wrote < 0 || (size_t)wrote >= size - n)
            return;
        n += (size_t)wrote;
    }
}

static int32_t find_device(struct tn_registry *reg, const char *name, struct tn_device *ret, struct tenon_err *err)
{
    char list[200];
    int32_t rc;
    for (uint32_t i = 0; (rc = tn_device_at(reg, i, ret, err)) == TENON_OK; i++)
        if (name == NULL || strcmp(ret->desc.name, name) == 0)
            return TENON_OK;
    if (rc != TENON_E_OUT_OF_RANGE)
        return rc; /* no backend plugin: the registry says which is missing */
    list_devices(reg, list, sizeof list);
    if (list[0] == '\0')
        return tenon_fail(err, TENON_E_NOT_FOUND, "devices", "no backend plugin found a device: `tenon plugins list` says why");
    return tenon_fail(err, TENON_E_NOT_FOUND, "devices", "there is no device \"%s\": there are %s", name, list);
}

int32_t tn_device_open(struct tn_registry *reg, const char *name, struct tn_device *ret, struct tenon_err *err)
{
    struct tn_device d;
    int32_t rc = find_device(reg, name, &d, err);
    if (rc == TENON_OK)
        rc = d.backend.open(d.self, d.index, NULL, &d.device, err);
    if (rc == TENON_OK)
        *ret = d;
    return rc;
}

void tn_device_close(struct tn_device *d)
{
    if (d->device != NULL)
        d->backend.close(d->device);
    memset(d, 0, sizeof *d);
}
