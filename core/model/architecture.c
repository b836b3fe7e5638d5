/* architecture.c - the model plugin for a container: chosen by the architecture its metadata names, else by asking each.
 * Contract: model.h.
 */
#include <string.h>

#include <tenon/keys.h>

#include "core/model/model.h"

/* The name of a model's architecture, where formats keep it; a later key is of a part of the model. */
static const char *const keys[] = { "general.architecture", "config.model_type", "config.text_config.model_type" };

/* An item with the name among its keys that says the model is its own. */
static const struct tn_item *by_name(struct tn_registry *reg, const struct tn_container *src, const struct tenon_str *name)
{
    const struct tn_item *item;
    struct tenon_model m;
    char key[64];
    if (name->size == 0 || name->size >= sizeof key)
        return NULL;
    memcpy(key, name->data, name->size);
    key[name->size] = '\0';
    if (tn_registry_by_key(reg, TENON_MODEL_IFACE, key, &item, NULL) != TENON_OK)
        return NULL;
    TENON_COPY_IN(&m, item->impl);
    return m.match(item->self, tn_container_meta(src)) > 0 ? item : NULL;
}

/* The plugin that is surest of this metadata, of those that do not list its architecture. NULL: none. */
static const struct tn_item *by_match(struct tn_registry *reg, const struct tn_container *src)
{
    const struct tn_item *item, *best = NULL;
    int32_t surest = 0;
    for (uint32_t i = 0; tn_registry_find(reg, TENON_MODEL_IFACE, NULL, i, &item, NULL) == TENON_OK; i++) {
        struct tenon_model m;
        int32_t sure;
        TENON_COPY_IN(&m, item->impl);
        sure = m.match(item->self, tn_container_meta(src));
        if (sure > surest) {
            surest = sure;
            best = item;
        }
    }
    return best;
}

/* The same name but for "-" and "_"? */
static bool is_spelling_of(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "-_");
        b += strspn(b, "-_");
        if (*a != *b || *a == '\0')
            return *a == *b;
    }
}

/* The architectures that plugins list, in `list`, each by one of its spellings; "..." stands for those that do not fit. */
static void list_known(struct tn_registry *reg, char *list, size_t size)
{
    const struct tn_item *item;
    size_t n = 0;
    list[0] = '\0';
    for (uint32_t i = 0; tn_registry_find(reg, TENON_MODEL_IFACE, NULL, i, &item, NULL) == TENON_OK; i++)
        for (const char *const *key = item->keys; key != NULL && *key != NULL; key++) {
            bool is_known = false;
            for (const char *const *other = item->keys; other < key && !is_known; other++)
                is_known = is_spelling_of(*other, *key);
            if (is_known)
                continue;
            if (n + strlen(*key) + sizeof "  ..." > size) {
                (void)snprintf(list + n, size - n, " ..."); /* fits */
                return;
            }
            n += (size_t)snprintf(list + n, size - n, "%s%s", n != 0 ? " " : "", *key);
        }
}

static int32_t fail_unknown(struct tn_registry *reg, const struct tn_container *src, const struct tenon_str *name,
                            struct tenon_err *err)
{
    const struct tn_item *any;
    char known[290]; /* what a message has room for */
    int32_t rc = tn_registry_find(reg, TENON_MODEL_IFACE, NULL, 0, &any, err);
    if (rc != TENON_OK)
        return rc; /* there is no model plugin at all, or why it cannot be used */
    if (name->data == NULL)
        return tenon_key_missing(keys[tenon_meta_is_huggingface(tn_container_meta(src)) ? 1 : 0], err);
    list_known(reg, known, sizeof known);
    return tenon_fail(err, TENON_E_NOT_FOUND, tn_container_path(src),
                      "no model plugin knows architecture \"%.*s\"; known are %s. A plugin adds one: see share/tenon/examples/architecture",
                      (int)(name->size < 32 ? name->size : 32), name->data, known);
}

/* A key that names architectures, where it is there, holds text: one, or a list. */
static int32_t check_named(const struct tenon_meta *meta, const char *key, bool is_list, struct tenon_err *err)
{
    struct tenon_meta_entry e = { .struct_size = sizeof e };
    if (meta->find(meta->ctx, key, &e) != TENON_OK || (e.type == TENON_META_STRING && (e.is_array != 0) == is_list))
        return TENON_OK;
    return tenon_key_wrong(key, is_list ? "a list of strings" : "a string", &e, err);
}

static int32_t check_names(const struct tenon_meta *meta, struct tenon_err *err)
{
    int32_t rc = check_named(meta, "config.architectures", true, err);
    for (size_t i = 0; rc == TENON_OK && i < sizeof keys / sizeof keys[0]; i++)
        rc = check_named(meta, keys[i], false, err);
    return rc;
}

static int32_t choose(struct tn_registry *reg, const struct tn_container *src, const struct tn_item **ret, struct tenon_err *err)
{
    struct tenon_str name = { NULL, 0 }, first = { NULL, 0 };
    *ret = NULL;
    for (size_t i = 0; *ret == NULL && i < sizeof keys / sizeof keys[0]; i++) {
        if (tn_container_string(src, keys[i], &name) != TENON_OK)
            continue;
        first = first.data == NULL ? name : first;
        *ret = by_name(reg, src, &name);
    }
    if (*ret == NULL)
        *ret = by_match(reg, src);
    return *ret != NULL ? TENON_OK : fail_unknown(reg, src, &first, err);
}

int32_t tn_architecture_open(struct tn_registry *reg, const struct tn_container *src, struct tn_architecture *ret,
                             struct tenon_err *err)
{
    struct tn_architecture arch = { 0 };
    const struct tn_item *item = NULL;
    int32_t rc = check_names(tn_container_meta(src), err);
    if (rc == TENON_OK)
        rc = choose(reg, src, &item, err);
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
