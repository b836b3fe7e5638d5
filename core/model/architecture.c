/* architecture.c - the model plugin for a container: chosen by the architecture its metadata names, else by asking each.
 * Contract: model.h.
 */
#include <string.h>

#include "core/model/model.h"

#define KEY "general.architecture"

/* The plugin that is surest of this metadata, for formats that name no architecture. */
static int32_t by_match(struct tn_registry *reg, const struct tn_container *src, const struct tn_item **ret,
                        struct tenon_err *err)
{
    const struct tn_item *item;
    int32_t best = 0, rc = tn_registry_find(reg, TENON_MODEL_IFACE, NULL, 0, &item, err);
    if (rc != TENON_OK)
        return rc;
    for (uint32_t i = 0; tn_registry_find(reg, TENON_MODEL_IFACE, NULL, i, &item, NULL) == TENON_OK; i++) {
        struct tenon_model m;
        int32_t sure;
        TENON_COPY_IN(&m, item->impl);
        sure = m.match(item->self, tn_container_meta(src));
        if (sure > best) {
            best = sure;
            *ret = item;
        }
    }
    if (best == 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, tn_container_path(src),
                          "no model plugin knows this architecture: install one that does (`tenon plugins list` shows "
                          "what is there)");
    return TENON_OK;
}

static int32_t choose(struct tn_registry *reg, const struct tn_container *src, const struct tn_item **ret, struct tenon_err *err)
{
    struct tenon_str name;
    char key[64];
    if (tn_container_string(src, KEY, &name) != TENON_OK)
        return by_match(reg, src, ret, err);
    if (name.size == 0 || name.size >= sizeof key)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(src), KEY " is empty or too long");
    memcpy(key, name.data, name.size);
    key[name.size] = '\0';
    return tn_registry_by_key(reg, TENON_MODEL_IFACE, key, ret, err);
}

int32_t tn_architecture_open(struct tn_registry *reg, const struct tn_container *src, struct tn_architecture *ret,
                             struct tenon_err *err)
{
    struct tn_architecture arch = { 0 };
    const struct tn_item *item;
    int32_t rc = choose(reg, src, &item, err);
    if (rc != TENON_OK)
        return rc;
    TENON_COPY_IN(&arch.table, item->impl);
    arch.self = item->self;
    arch.info.struct_size = sizeof arch.info;
    rc = arch.table.config(arch.self, tn_container_meta(src), &arch.config, &arch.info, err);
    if (rc == TENON_OK)
        *ret = arch;
    return rc;
}

void tn_architecture_close(struct tn_architecture *arch)
{
    if (arch->config != NULL)
        arch->table.config_free(arch->self, arch->config);
    memset(arch, 0, sizeof *arch);
}
