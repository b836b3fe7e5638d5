/* manifest.c - applies the keys of a manifest one after the other; base/ini.c splits its lines. Reads no file; merging is
 * applying one text after the other. Contract: manifest.h. */
#include "core/plugin/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/ini.h"

#define WORD_SEPARATORS " \t,"

/* One text being applied. */
struct parse {
    struct tn_manifest *m;
    const struct tn_ini *at; /* of the pair under work */
    uint64_t seen;           /* bit i: keys[i] was set by this file */
    const char *path;
    const char *dir;
    struct tenon_err *err;
};

static int32_t out_of_memory(struct parse *p)
{
    return tenon_fail(p->err, TENON_E_RESOURCE_EXHAUSTED, p->path, "cannot read the manifest: out of memory");
}

static int32_t set_text(struct parse *p, char **text, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return out_of_memory(p);
    free(*text);
    *text = copy;
    return TENON_OK;
}

/* ---- keys --------------------------------------------------------------------------------------------------- */

static int32_t key_format(struct parse *p, const char *value)
{
    if (strcmp(value, "1") != 0)
        return tn_ini_fail(p->at, "format %s is unknown, this host reads format 1: update tenon, or write format = 1", value);
    return TENON_OK;
}

static bool climbs(const char *path)
{
    for (; *path != '\0'; path += strcspn(path, "/"), path += *path == '/')
        if (strncmp(path, "..", 2) == 0 && (path[2] == '/' || path[2] == '\0'))
            return true;
    return false;
}

static int32_t key_library(struct parse *p, const char *value)
{
    if (*value == '\0' || *value == '/' || climbs(value))
        return tn_ini_fail(p->at, "library = %s: give a path below the tenon directory, without a leading / and without ..",
                         value);
    if (set_text(p, &p->m->library, value) != TENON_OK)
        return TENON_E_RESOURCE_EXHAUSTED;
    return set_text(p, &p->m->library_dir, p->dir);
}

static bool is_name(const char *text, const char *end)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    return text < end && text + strspn(text, allowed) >= end;
}

static bool is_provision(const char *word)
{
    const char *colon = strchr(word, ':');
    return colon != NULL && is_name(word, colon) && is_name(colon + 1, word + strlen(word));
}

static bool is_need(const char *word)
{
    return (tn_str_starts(word, "path:/") && !climbs(word + 5)) ||
           (tn_str_starts(word, "lib:") && word[4] != '\0' && strchr(word, '/') == NULL);
}

static bool is_arch(const char *word)
{
    return is_name(word, word + strlen(word));
}

/* Add the words of `value`, each of which must pass `ok`. */
static int32_t add_words(struct parse *p, struct tn_strlist *list, const char *value, bool (*ok)(const char *word),
                         const char *form)
{
    uint32_t before = list->n;
    if (tn_strlist_split(list, value, WORD_SEPARATORS) != TENON_OK)
        return out_of_memory(p);
    for (uint32_t i = before; i < list->n; i++)
        if (!ok(list->items[i]))
            return tn_ini_fail(p->at, "cannot read \"%s\": write %s", list->items[i], form);
    return list->n > before ? TENON_OK : tn_ini_fail(p->at, "no value: write %s, or leave the line out", form);
}

static int32_t key_arch(struct parse *p, const char *value)
{
    return add_words(p, &p->m->arch, value, is_arch, "machine names such as x86_64 or aarch64");
}

static int32_t key_provides(struct parse *p, const char *value)
{
    return add_words(p, &p->m->provides, value, is_provision, "kind:name, such as weights:gguf (lower case)");
}

static int32_t key_needs(struct parse *p, const char *value)
{
    return add_words(p, &p->m->needs, value, is_need, "path:/absolute/path or lib:libname.so.1");
}

static int32_t set_bool(struct parse *p, bool *ret, const char *value)
{
    return tn_str_bool(value, ret) ? TENON_OK : tn_ini_fail(p->at, "cannot read \"%s\": write yes or no", value);
}

static int32_t key_critical(struct parse *p, const char *value)
{
    return set_bool(p, &p->m->critical, value);
}

static int32_t key_enabled(struct parse *p, const char *value)
{
    return set_bool(p, &p->m->enabled, value);
}

static int32_t key_priority(struct parse *p, const char *value)
{
    uint64_t n;
    if (!tn_str_u64(value, &n) || n > 1000)
        return tn_ini_fail(p->at, "cannot read priority \"%s\": write a number from 0 to 1000", value);
    p->m->priority = (uint32_t)n;
    return TENON_OK;
}

static const struct key {
    const char *name;
    int32_t (*set)(struct parse *p, const char *value);
    size_t list; /* offset of the list in struct tn_manifest that several lines add to; 0: one line, one value */
} keys[] = {
    {"format", key_format, 0},
    {"library", key_library, 0},
    {"arch", key_arch, offsetof(struct tn_manifest, arch)},
    {"provides", key_provides, offsetof(struct tn_manifest, provides)},
    {"needs", key_needs, offsetof(struct tn_manifest, needs)},
    {"critical", key_critical, 0},
    {"priority", key_priority, 0},
    {"enabled", key_enabled, 0},
};
#define N_KEYS (sizeof keys / sizeof keys[0])
#define KNOWN_KEYS "format library arch provides needs critical priority enabled set.KEY"

static int32_t apply_key(struct parse *p, uint32_t i, const char *value)
{
    bool first = (p->seen & (1u << i)) == 0;
    if (keys[i].list == 0 && !first)
        return tn_ini_fail(p->at, "key \"%s\" is there twice: keep one", keys[i].name);
    if (keys[i].list != 0 && first) /* the file's first word on it replaces the lower layers' */
        tn_strlist_finish((struct tn_strlist *)((char *)p->m + keys[i].list));
    p->seen |= 1u << i;
    return keys[i].set(p, value);
}

static int32_t apply_setting(struct parse *p, const char *key, const char *value)
{
    if (!is_name(key, key + strlen(key)))
        return tn_ini_fail(p->at, "cannot read the setting's name \"%s\": write set.KEY in a-z 0-9 _ . -", key);
    char *copy = strdup(value);
    if (copy == NULL)
        return out_of_memory(p);
    char *old = tn_map_get(&p->m->settings, key, strlen(key));
    if (tn_map_put(&p->m->settings, key, strlen(key), copy) != TENON_OK) {
        free(copy);
        return out_of_memory(p);
    }
    free(old);
    return TENON_OK;
}

static int32_t apply_pair(void *arg, const struct tn_ini *at, const char *name, const char *value)
{
    struct parse *p = arg;
    p->at = at;
    if (tn_str_starts(name, "set."))
        return apply_setting(p, name + 4, value);
    for (uint32_t i = 0; i < N_KEYS; i++)
        if (strcmp(name, keys[i].name) == 0)
            return apply_key(p, i, value);
    return tn_ini_fail(p->at, "unknown key \"%s\": known keys are " KNOWN_KEYS, name);
}

/* ---- the whole ---------------------------------------------------------------------------------------------- */

void tn_manifest_init(struct tn_manifest *m)
{
    *m = (struct tn_manifest){.priority = 50, .enabled = true};
}

void tn_manifest_finish(struct tn_manifest *m)
{
    free(m->library);
    free(m->library_dir);
    tn_strlist_finish(&m->arch);
    tn_strlist_finish(&m->provides);
    tn_strlist_finish(&m->needs);
    tn_strlist_finish(&m->paths);
    tn_map_finish(&m->settings, free);
    *m = (struct tn_manifest){0};
}

int32_t tn_manifest_apply(struct tn_manifest *m, const char *text, uint64_t size, const char *path, const char *dir,
                          struct tenon_err *err)
{
    struct parse p = {.m = m, .path = path, .dir = dir, .err = err};
    if (size > TN_MANIFEST_MAX_SIZE)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: larger than %u bytes: this is no manifest", path,
                          TN_MANIFEST_MAX_SIZE);
    if (tn_strlist_add(&m->paths, path) != TENON_OK)
        return out_of_memory(&p);
    int32_t rc = tn_ini_read(text, size, path, apply_pair, &p, err);
    if (rc == TENON_OK && (p.seen & 1u) == 0)
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: no format: add the line \"format = 1\"", path);
    return rc;
}

bool tn_manifest_provides(const struct tn_manifest *m, const char *kind, const char *name)
{
    size_t n = strlen(kind);
    for (uint32_t i = 0; i < m->provides.n; i++) {
        const char *word = m->provides.items[i];
        if (strncmp(word, kind, n) == 0 && word[n] == ':' && (name == NULL || strcmp(word + n + 1, name) == 0))
            return true;
    }
    return false;
}
