/* descriptor.c - negotiation and checking of a plugin's static data. It guards against mistakes (another ABI, wrong
 * sizes, forgotten members), not against malice: whoever gets this far runs in our process. Contract: descriptor.h. */
#include "core/plugin/descriptor.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SANE_SIZE 65536u /* no struct of ours is anywhere near */
#define PREFIX_SIZE 16u  /* the frozen four words */

static bool is_text(const char *text, bool required)
{
    if (text == NULL)
        return !required;
    size_t n = strnlen(text, TN_PLUGIN_MAX_TEXT + 1);
    if (n > TN_PLUGIN_MAX_TEXT || (n == 0 && required))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

static bool is_id(const char *text, const char *allowed)
{
    return is_text(text, true) && strlen(text) <= TN_PLUGIN_MAX_NAME && text[strspn(text, allowed)] == '\0';
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789_.-"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* ---- negotiation -------------------------------------------------------------------------------------------- */

static int32_t check_versions(const struct tenon_plugin *foreign, int32_t status, struct tenon_err *err)
{
    uint32_t words[4]; /* struct_size, abi, api_level, flags */
    memcpy(words, foreign, sizeof words);
    if (words[0] < PREFIX_SIZE || words[0] > SANE_SIZE)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "",
                          "its descriptor's struct_size is %u, which cannot be: the plugin's author must set it to sizeof",
                          words[0]);
    if (words[1] < TN_PLUGIN_ABI_MIN || words[1] > TENON_ABI)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "",
                          "it was built for plugin ABI %u, this host speaks ABI %u: %s", words[1], TENON_ABI,
                          words[1] > TENON_ABI ? "update tenon" : "install a newer build of the plugin");
    if (words[2] / 1000 != TENON_API_LEVEL / 1000 || words[2] > TENON_API_LEVEL)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "",
                          "it was built for API level %u, this host has level %u: update tenon, or build the plugin "
                          "with -DTENON_API_LEVEL=%u", words[2], TENON_API_LEVEL, TENON_API_LEVEL);
    if (words[0] < offsetof(struct tenon_plugin, item_stride) + sizeof foreign->item_stride)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "",
                          "its descriptor's struct_size is %u and ends before its items: the plugin's author must set "
                          "it to sizeof", words[0]);
    if (status != TENON_OK)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "",
                          "its entry point refuses plugin ABI %u of this host (%s): install a matching build", TENON_ABI,
                          tenon_status_text(status));
    return TENON_OK;
}

static int32_t check_plugin(const struct tenon_plugin *p, struct tenon_err *err)
{
    if (!is_id(p->id, LOWER UPPER))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "",
                          "its id is missing or not of letters, digits and _.-: give one such as org.example.backend");
    if (!is_text(p->version, true) || !is_text(p->vendor, false) || !is_text(p->license, false) ||
        !is_text(p->url, false) || !is_text(p->description, false))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "",
                          "its version is missing, or a text of its descriptor is not one plain line");
    if (p->n_items == 0 || p->n_items > TN_PLUGIN_MAX_ITEMS || p->items == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "it has %u items, and 1 to %u are possible", p->n_items,
                          TN_PLUGIN_MAX_ITEMS);
    if (p->item_stride < offsetof(struct tenon_item, impl) + sizeof(void *) || p->item_stride > SANE_SIZE ||
        p->item_stride % _Alignof(struct tenon_item) != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "",
                          "its item_stride is %u, which cannot be: the plugin's author must set it to sizeof items[0]",
                          p->item_stride);
    return TENON_OK;
}

/* ---- items -------------------------------------------------------------------------------------------------- */

static bool are_keys(const char *const *keys)
{
    if (keys == NULL)
        return true;
    for (uint32_t i = 0; i < TN_PLUGIN_MAX_KEYS; i++) {
        if (keys[i] == NULL)
            return true;
        if (!is_text(keys[i], true))
            return false;
    }
    return false;
}

static bool is_twice(const struct tn_item *items, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(items[k].iface, items[i].iface) == 0 && strcmp(items[k].name, items[i].name) == 0)
            return true;
    return false;
}

/* Fill ret_items[i] from the foreign item, when that is in order. */
static int32_t read_item(const struct tenon_plugin *p, uint32_t i, struct tn_item *ret_items, struct tenon_err *err)
{
    const char *at = (const char *)p->items + (size_t)i * p->item_stride;
    struct tenon_item item;
    struct tn_item *ret = &ret_items[i];
    char kind[TN_KIND_SIZE];
    char label[TN_KIND_SIZE + 1 + TN_PLUGIN_MAX_NAME + 1];
    uint32_t impl_size;
    TENON_COPY_IN(&item, at);
    if (item.struct_size < offsetof(struct tenon_item, impl) + sizeof item.impl || item.struct_size > p->item_stride)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "item %u has struct_size %u, which cannot be (stride %u)", i,
                          item.struct_size, p->item_stride);
    if (!is_text(item.iface, true) || !tn_iface_kind(item.iface, kind) || !is_id(item.name, LOWER))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "",
                          "item %u has no interface of the form tenon.kind/1, or no name of a-z 0-9 _.-", i);
    (void)snprintf(label, sizeof label, "%s:%s", kind, item.name); /* fits: both are checked */
    *ret = (struct tn_item){.iface = item.iface, .name = item.name, .keys = item.keys, .impl = item.impl,
                            .priority = item.priority, .plugin_id = p->id};
    memcpy(ret->kind, kind, sizeof kind);
    if (!are_keys(item.keys) || item.impl == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: its table is missing, or its keys are no NULL-ended list",
                          label);
    memcpy(&impl_size, item.impl, sizeof impl_size);
    if (impl_size < 2 * sizeof(uint32_t) || impl_size > SANE_SIZE)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: its table's struct_size is %u, which cannot be", label,
                          impl_size);
    if (is_twice(ret_items, i))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s is there twice: names are unique", label);
    return tn_iface_check(item.iface, item.impl, label, err);
}

int32_t tn_descriptor_read(tenon_plugin_entry_fn *entry, struct tn_descriptor *ret, struct tenon_err *err)
{
    const struct tenon_plugin *foreign = NULL;
    struct tn_descriptor d = {0};
    int32_t status = entry(TENON_ABI, &foreign);
    if (foreign == NULL)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "", "its entry point gave no descriptor (%s): reinstall it",
                          tenon_status_text(status));
    int32_t rc = check_versions(foreign, status, err);
    if (rc != TENON_OK)
        return rc;
    TENON_COPY_IN(&d.plugin, foreign);
    rc = check_plugin(&d.plugin, err);
    if (rc != TENON_OK)
        return rc;
    d.items = calloc(d.plugin.n_items, sizeof *d.items);
    if (d.items == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "", "out of memory for its items");
    d.n_items = d.plugin.n_items;
    for (uint32_t i = 0; rc == TENON_OK && i < d.n_items; i++)
        rc = read_item(&d.plugin, i, d.items, err);
    if (rc == TENON_OK)
        *ret = d;
    else
        tn_descriptor_finish(&d);
    return rc;
}

void tn_descriptor_finish(struct tn_descriptor *d)
{
    free(d->items);
    *d = (struct tn_descriptor){0};
}
