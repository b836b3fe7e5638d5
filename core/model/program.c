/* program.c - see program.h. Runs on the thread that loads. */
#include "core/model/program.h"

#include <string.h>

static bool is_present(void *ctx, const struct tenon_weight_desc *weight)
{
    const struct tn_resolved *r = ctx;
    for (uint32_t i = 0; i < r->n_descs; i++)
        if (strcmp(r->descs[i]->name, weight->name) == 0)
            return r->present[i] != 0;
    return false;
}

/* A composite op of a plugin, by id. */
static const struct tenon_composite *find_composite(void *ctx, const char *id, void **ret_self)
{
    const struct tn_item *item;
    if (tn_registry_find(ctx, TENON_OP_IFACE, id, 0, &item, NULL) != TENON_OK)
        return NULL;
    *ret_self = item->self;
    return item->impl;
}

int32_t tn_program_env_init(struct tn_program_env *ret, struct tn_registry *reg, const struct tn_architecture *arch,
                            struct tn_resolved *resolved, struct tenon_err *err)
{
    int32_t rc = tn_declared_init(&ret->declared, &arch->table, arch->config, resolved != NULL ? is_present : NULL, resolved,
                                  err);
    if (rc != TENON_OK)
        return rc;
    ret->env = tn_declared_env(&ret->declared);
    ret->lookup = (struct tn_op_lookup){ reg, find_composite };
    return TENON_OK;
}

void tn_program_env_finish(struct tn_program_env *p)
{
    tn_declared_finish(&p->declared);
}
