/* registry.c - the list of records, the lookups that load lazily, and the sentences for what is missing. The lock is
 * held over loading: two threads that want the same plugin first must not both initialise it. Contract: registry.h. */
#include "core/plugin/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/plugin/record.h"
#include "core/plugin/static_table.h"
#include "core/plugin/trace.h"

struct tn_registry {
    pthread_mutex_t lock; /* guards everything below after tn_registry_start */
    struct tn_record_world world;
    struct tn_map sources;      /* file name to struct tn_source * */
    struct tn_record **records; /* [n] in order of file names, static ones first */
    uint32_t n;
};

const char *tn_plugin_state_text(enum tn_plugin_state state)
{
    static const char *const texts[] = {
#define TN_PLUGIN_STATE_TEXT(name, text) text,
        TN_PLUGIN_STATES(TN_PLUGIN_STATE_TEXT)
#undef TN_PLUGIN_STATE_TEXT
    };
    return texts[state];
}

/* ---- making ------------------------------------------------------------------------------------------------- */

static int32_t out_of_memory(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "plugins", "cannot list the plugins: out of memory");
}

static int32_t add_record(struct tn_registry *reg, struct tn_record *r, struct tenon_err *err)
{
    struct tn_record **records = realloc(reg->records, (reg->n + 1) * sizeof(struct tn_record *));
    if (records == NULL) {
        tn_record_destroy(r);
        return out_of_memory(err);
    }
    reg->records = records;
    reg->records[reg->n++] = r;
    return TENON_OK;
}

int32_t tn_registry_add_static(struct tn_registry *reg, tenon_plugin_entry_fn *entry, const char *name,
                               struct tenon_err *err)
{
    struct tn_record *r;
    int32_t rc = tn_record_create_static(name, entry, &r, err);
    return rc == TENON_OK ? add_record(reg, r, err) : rc;
}

static int by_file(const void *a, const void *b)
{
    const struct tn_record *const *x = a;
    const struct tn_record *const *y = b;
    return strcmp((*x)->file, (*y)->file);
}

static int32_t add_sources(struct tn_registry *reg, const char *plugin_path, struct tenon_err *err)
{
    uint32_t first = reg->n;
    int32_t rc = tn_layers_init(&reg->world.layers, plugin_path, err);
    if (rc == TENON_OK)
        rc = tn_layers_scan(&reg->world.layers, &reg->sources, err);
    for (uint32_t i = 0; rc == TENON_OK && i < reg->sources.n; i++) {
        struct tn_record *r;
        rc = tn_record_create(reg->sources.entries[i].key, reg->sources.entries[i].value, &r, err);
        if (rc == TENON_OK)
            rc = add_record(reg, r, err);
    }
    if (reg->n - first > 1)
        qsort(reg->records + first, reg->n - first, sizeof(struct tn_record *), by_file);
    return rc;
}

static int32_t read_words(const char *variable, struct tn_strlist *ret, bool *ret_is_set, struct tenon_err *err)
{
    const char *value = secure_getenv(variable);
    *ret_is_set = value != NULL;
    return value == NULL || tn_strlist_split(ret, value, " ,") == TENON_OK ? TENON_OK : out_of_memory(err);
}

/* A word that names nothing is most likely misspelt: then what it was to switch off is on. */
static void warn_unknown(const struct tn_registry *reg, const char *variable, const struct tn_strlist *words)
{
    for (uint32_t i = 0; i < words->n; i++) {
        bool is_known = false;
        for (uint32_t k = 0; k < reg->n && !is_known; k++)
            is_known = tn_record_is_called(reg->records[k], words->items[i]);
        if (!is_known)
            tn_log(TENON_LOG_WARN, variable, "names '%s', which no plugin is called: see `tenon plugins list`", words->items[i]);
    }
}

static int32_t fill(struct tn_registry *reg, const char *plugin_path, struct tenon_err *err)
{
    bool unused;
    int32_t rc = read_words("TENON_PLUGINS_SELECT", &reg->world.select, &reg->world.is_selecting, err);
    if (rc == TENON_OK)
        rc = read_words("TENON_PLUGINS_DISABLE", &reg->world.disable, &unused, err);
    for (const struct tn_static_plugin *p = tn_static_plugins; rc == TENON_OK && p->name != NULL; p++)
        rc = tn_registry_add_static(reg, p->entry, p->name, err);
#ifndef TN_PLUGIN_STATIC
    if (rc == TENON_OK)
        rc = add_sources(reg, plugin_path, err);
#else
    (void)add_sources, (void)plugin_path; /* a build without dlopen has no use for manifests */
#endif
    if (rc == TENON_OK) {
        warn_unknown(reg, "TENON_PLUGINS_SELECT", &reg->world.select);
        warn_unknown(reg, "TENON_PLUGINS_DISABLE", &reg->world.disable);
    }
    return rc;
}

int32_t tn_registry_create(struct tn_registry **ret, struct tenon_err *err)
{
    return tn_registry_create_in(NULL, ret, err);
}

int32_t tn_registry_create_in(const char *plugin_path, struct tn_registry **ret, struct tenon_err *err)
{
    struct tn_registry *reg = calloc(1, sizeof *reg);
    if (reg == NULL)
        return out_of_memory(err);
    (void)pthread_mutex_init(&reg->lock, NULL); /* a default mutex needs no resources */
    int32_t rc = fill(reg, plugin_path, err);
    if (rc == TENON_OK)
        *ret = reg;
    else
        tn_registry_destroy(reg);
    return rc;
}

/* Last loaded first: a later one may rely on what an earlier one does. */
static void finish_plugins(struct tn_registry *reg)
{
    for (uint32_t order = reg->world.n_loaded; order > 0; order--)
        for (uint32_t i = 0; i < reg->n; i++)
            if (reg->records[i]->load_order == order && reg->records[i]->descriptor.plugin.fini != NULL)
                reg->records[i]->descriptor.plugin.fini(reg->records[i]->self);
}

void tn_registry_destroy(struct tn_registry *reg)
{
    if (reg == NULL)
        return;
    finish_plugins(reg);
    for (uint32_t i = 0; i < reg->n; i++)
        tn_record_destroy(reg->records[i]);
    free(reg->records);
    tn_map_finish(&reg->sources, tn_source_destroy);
    tn_layers_finish(&reg->world.layers);
    tn_verdicts_finish(&reg->world.verdicts);
    tn_services_finish(&reg->world.services);
    tn_strlist_finish(&reg->world.select);
    tn_strlist_finish(&reg->world.disable);
    (void)pthread_mutex_destroy(&reg->lock); /* nobody holds it */
    free(reg);
}

int32_t tn_registry_set_service(struct tn_registry *reg, const char *id, const void *table, struct tenon_err *err)
{
    (void)pthread_mutex_lock(&reg->lock); /* a default mutex: cannot fail here or below */
    int32_t rc = tn_services_set(&reg->world.services, id, table, err);
    (void)pthread_mutex_unlock(&reg->lock);
    return rc;
}

/* Switched off on purpose is no failure. */
static bool is_off(const struct tn_record *r)
{
    return r->state == TN_PLUGIN_DISABLED || r->state == TN_PLUGIN_MASKED;
}

int32_t tn_registry_start(struct tn_registry *reg, struct tenon_err *err)
{
    struct tenon_err inner = TENON_ERR_INIT;
    int32_t rc = TENON_OK;
    (void)pthread_mutex_lock(&reg->lock);
    for (uint32_t i = 0; rc == TENON_OK && i < reg->n; i++) {
        struct tn_record *r = reg->records[i];
        if (!r->source->manifest.critical || tn_record_load(r, &reg->world, false, &inner) == TENON_OK || is_off(r))
            continue;
        rc = tenon_fail(err, inner.code, r->file, "the critical plugin cannot be used: %s. Repair it, or set "
                        "critical = no or enabled = no in /etc/tenon/plugins.d/%s", inner.message, r->file);
    }
    (void)pthread_mutex_unlock(&reg->lock);
    return rc;
}

/* ---- lookups ------------------------------------------------------------------------------------------------ */

/* A wish: items of an interface by name, by key, or all. */
struct wish {
    const char *iface;
    const char *name; /* NULL: any */
    const char *key;  /* NULL: any */
};

static bool has_key(const struct tn_item *item, const char *key)
{
    if (strcmp(item->name, key) == 0)
        return true;
    for (const char *const *k = item->keys; k != NULL && *k != NULL; k++)
        if (strcmp(*k, key) == 0)
            return true;
    return false;
}

static bool fulfils(const struct tn_item *item, const struct wish *w)
{
    return strcmp(item->iface, w->iface) == 0 && (w->name == NULL || strcmp(item->name, w->name) == 0) &&
           (w->key == NULL || has_key(item, w->key));
}

/* The next item after position (*record, *k) that fulfils the wish, in the registry's order; NULL past the last. */
static const struct tn_item *next_item(const struct tn_registry *reg, const struct wish *w, uint32_t *record, uint32_t *k)
{
    for (; *record < reg->n; (*record)++, *k = 0) {
        const struct tn_record *r = reg->records[*record];
        while (r->state == TN_PLUGIN_LOADED && *k < r->descriptor.n_items) {
            const struct tn_item *item = &r->descriptor.items[(*k)++];
            if (fulfils(item, w))
                return item;
        }
    }
    return NULL;
}

/* How many fulfilling items come before `item` by priority, the registry's order deciding between equals. */
static uint32_t rank_of(const struct tn_registry *reg, const struct wish *w, const struct tn_item *item)
{
    uint32_t record = 0, k = 0, rank = 0;
    bool before = true;
    for (const struct tn_item *other; (other = next_item(reg, w, &record, &k)) != NULL;) {
        if (other == item)
            before = false;
        else if (other->priority > item->priority || (before && other->priority == item->priority))
            rank++;
    }
    return rank;
}

/* Quadratic in the few items of one interface, and allocates nothing. */
static const struct tn_item *pick(const struct tn_registry *reg, const struct wish *w, uint32_t index)
{
    uint32_t record = 0, k = 0;
    for (const struct tn_item *item; (item = next_item(reg, w, &record, &k)) != NULL;)
        if (rank_of(reg, w, item) == index)
            return item;
    return NULL;
}

static void load_providers(struct tn_registry *reg, const char *kind, const char *name)
{
    for (uint32_t i = 0; i < reg->n; i++) {
        struct tn_record *r = reg->records[i];
        if (tn_manifest_provides(&r->source->manifest, kind, name))
            (void)tn_record_load(r, &reg->world, false, /* err= */ NULL); /* its state keeps the reason */
    }
}

/* The plugin that would have provided it, and why it does not; NULL: none says it does. */
static const struct tn_record *find_culprit(const struct tn_registry *reg, const char *kind, const char *name)
{
    const struct tn_record *off = NULL;
    for (uint32_t i = 0; i < reg->n; i++) {
        const struct tn_record *r = reg->records[i];
        if (!tn_manifest_provides(&r->source->manifest, kind, name) || r->state == TN_PLUGIN_LOADED)
            continue;
        if (!is_off(r))
            return r;
        off = r;
    }
    return off;
}

/* The first file that may have provided anything, had its manifest been readable; NULL: none. */
static const struct tn_source *find_unread(const struct tn_registry *reg)
{
    for (uint32_t i = 0; i < reg->n; i++)
        if (reg->records[i]->source->status != TENON_OK && reg->records[i]->source->masked_by == NULL)
            return reg->records[i]->source;
    return NULL;
}

static int32_t fail_missing(const struct tn_registry *reg, const char *kind, const char *name, struct tenon_err *err)
{
    const struct tn_record *r = find_culprit(reg, kind, name);
    const char *colon = name != NULL ? ":" : "";
    if (name == NULL)
        name = "";
    if (r != NULL)
        return tenon_fail(err, TENON_E_NOT_FOUND, "", "no usable plugin for %s%s%s: %s is %s: %s", kind, colon, name,
                          r->file, tn_plugin_state_text(r->state), r->err.message);
    const struct tn_source *unread = find_unread(reg);
    if (unread != NULL)
        return tenon_fail(err, TENON_E_NOT_FOUND, "",
                          "no plugin for %s%s%s among the files of plugins.d that could be read; another is refused: %s", kind,
                          colon, name, unread->err.message);
    return tenon_fail(err, TENON_E_NOT_FOUND, "",
                      "no plugin for %s%s%s: no file of plugins.d provides it: install one (usually named "
                      "tenon-%s-%s); `tenon plugins list` shows those there are", kind, colon, name, kind,
                      *name != '\0' ? name : "...");
}

static int32_t kind_of(const char *iface, char ret_kind[TN_KIND_SIZE], struct tenon_err *err)
{
    if (tn_iface_kind(iface, ret_kind))
        return TENON_OK;
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, iface, "an interface is named like tenon.kind/1");
}

int32_t tn_registry_find(struct tn_registry *reg, const char *iface, const char *name, uint32_t index,
                         const struct tn_item **ret, struct tenon_err *err)
{
    const struct wish wish = {.iface = iface, .name = name};
    char kind[TN_KIND_SIZE];
    int32_t rc = kind_of(iface, kind, err);
    if (rc != TENON_OK)
        return rc;
    (void)pthread_mutex_lock(&reg->lock);
    load_providers(reg, kind, name);
    const struct tn_item *item = pick(reg, &wish, index);
    if (item != NULL)
        *ret = item;
    else
        rc = fail_missing(reg, kind, name, err);
    (void)pthread_mutex_unlock(&reg->lock);
    return rc;
}

int32_t tn_registry_by_key(struct tn_registry *reg, const char *iface, const char *key, const struct tn_item **ret,
                           struct tenon_err *err)
{
    const struct wish wish = {.iface = iface, .key = key};
    char kind[TN_KIND_SIZE];
    int32_t rc = kind_of(iface, kind, err);
    if (rc != TENON_OK)
        return rc;
    (void)pthread_mutex_lock(&reg->lock);
    load_providers(reg, kind, key);
    const struct tn_item *item = pick(reg, &wish, 0);
    if (item == NULL) {
        load_providers(reg, kind, NULL);
        item = pick(reg, &wish, 0);
    }
    if (item != NULL)
        *ret = item;
    else
        rc = fail_missing(reg, kind, key, err);
    (void)pthread_mutex_unlock(&reg->lock);
    return rc;
}

/* ---- for people --------------------------------------------------------------------------------------------- */

static void describe(const struct tn_record *r, struct tn_plugin_info *ret)
{
    *ret = (struct tn_plugin_info){
        .file = r->file,
        .name = r->name,
        .state = r->state,
        .reason = r->state == TN_PLUGIN_LOADED || r->state == TN_PLUGIN_AVAILABLE ? "" : r->err.message,
        .library = r->path != NULL ? r->path : r->source->manifest.library,
        .id = r->id[0] != '\0' ? r->id : NULL,
        .version = r->version[0] != '\0' ? r->version : NULL,
        .manifest = &r->source->manifest,
        .descriptor = r->state == TN_PLUGIN_LOADED ? &r->descriptor : NULL,
        .is_static = r->entry != NULL,
    };
}

bool tn_registry_at(struct tn_registry *reg, uint32_t i, struct tn_plugin_info *ret)
{
    if (i >= reg->n)
        return false;
    (void)pthread_mutex_lock(&reg->lock);
    tn_record_examine(reg->records[i], &reg->world);
    describe(reg->records[i], ret);
    (void)pthread_mutex_unlock(&reg->lock);
    return true;
}

static int32_t load_at(struct tn_registry *reg, uint32_t i, bool afresh, struct tenon_err *err)
{
    if (i >= reg->n)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "plugins", "there is no plugin number %u", i);
    if (afresh)
        tn_record_reset(reg->records[i]);
    return tn_record_load(reg->records[i], &reg->world, afresh, err);
}

int32_t tn_registry_load(struct tn_registry *reg, uint32_t i, struct tenon_err *err)
{
    (void)pthread_mutex_lock(&reg->lock);
    int32_t rc = load_at(reg, i, false, err);
    (void)pthread_mutex_unlock(&reg->lock);
    return rc;
}

/* Does the file hold every kind:name its manifest promises? A key counts as a name, as in by_key. */
static int32_t check_promises(const struct tn_record *r, struct tenon_err *err)
{
    const struct tn_strlist *promises = &r->source->manifest.provides;
    for (uint32_t i = 0; i < promises->n; i++) {
        const char *colon = strchr(promises->items[i], ':');
        bool kept = false;
        for (uint32_t k = 0; k < r->descriptor.n_items; k++) {
            const struct tn_item *item = &r->descriptor.items[k];
            size_t n = (size_t)(colon - promises->items[i]);
            kept |= strlen(item->kind) == n && memcmp(item->kind, promises->items[i], n) == 0 && has_key(item, colon + 1);
        }
        if (!kept)
            return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "",
                              "the manifest says provides = %s, which the file does not: correct one of them",
                              promises->items[i]);
    }
    return TENON_OK;
}

int32_t tn_registry_check(struct tn_registry *reg, uint32_t i, struct tenon_err *err)
{
    (void)pthread_mutex_lock(&reg->lock);
    int32_t rc = load_at(reg, i, true, err);
    if (rc == TENON_OK)
        rc = check_promises(reg->records[i], err);
    (void)pthread_mutex_unlock(&reg->lock);
    return rc;
}
