/* cmd_plugins.c - `tenon plugins list|show|check`: what was found in plugins.d, in which state and why. `list` opens
 * nothing, `show` loads the one it shows, `check` probes and loads all afresh. One thread. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <tenon/quantizer.h>

#include "core/base/log.h"
#include "core/base/str.h"
#include "core/base/threads.h"
#include "core/cli/commands.h"
#include "core/cli/json.h"
#include "core/cli/session.h"
#include "core/model/encoding.h"
#include "core/plugin/registry.h"

static const char usage[] =
    "usage: tenon plugins [list] [--json]\n"
    "       tenon plugins show NAME [--json]\n"
    "       tenon plugins check [NAME] [--json]\n"
    "\n"
    "Plugins found in plugins.d, their states and the reasons.\n"
    "\n"
    "  list    every file; opens none\n"
    "  show    all about one, which is loaded for it\n"
    "  check   load all (or one) afresh in a child process, then here; lifts a quarantine that is no longer\n"
    "          justified; proves their encodings likewise. Exit code 1 when one cannot be used\n"
    "  --json  an array of objects (show: one object)\n"
    "\n"
    "NAME is weights-gguf, 50-weights-gguf.plugin or weights:gguf.\n";

enum action { LIST, SHOW, CHECK };

struct options {
    enum action action;
    const char *name; /* NULL: all */
    bool json;
};

static const struct cli_option table[] = {
    {"json", CLI_FLAG, offsetof(struct options, json), NULL, "an array of objects (show: one object)", 0, 0},
    {NULL, 0, 0, NULL, NULL, 0, 0},
};

struct session {
    struct tn_registry *registry;
    struct tn_threads *threads;
};

/* ---- JSON --------------------------------------------------------------------------------------------------- */

/* Of every helper here: false when out of memory, which the caller reports once. */
/* Names of files and words of plugins are any bytes, JSON is UTF-8: so cJSON gets each text written already. */
static cJSON *text_item(const char *text)
{
    struct tn_buf json = {0};
    cJSON *item = tn_json_text(&json, text) == TENON_OK ? cJSON_CreateRaw(json.data) : NULL;
    tn_buf_finish(&json);
    return item;
}

static bool put_text(cJSON *object, const char *key, const char *text)
{
    cJSON *item = text_item(text);
    if (cJSON_AddItemToObject(object, key, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static bool append_text(cJSON *array, const char *text)
{
    cJSON *item = text_item(text);
    if (cJSON_AddItemToArray(array, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static bool put_list(cJSON *object, const char *key, const struct tn_strlist *list)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    bool ok = array != NULL;
    for (uint32_t i = 0; ok && i < list->n; i++)
        ok = append_text(array, list->items[i]);
    return ok;
}

static bool put_summary(cJSON *o, const struct tn_plugin_info *p)
{
    return put_text(o, "file", p->file) && put_text(o, "name", p->name) &&
           put_text(o, "state", tn_plugin_state_text(p->state)) && put_text(o, "reason", p->reason) &&
           put_text(o, "id", p->id) && put_text(o, "version", p->version) && put_text(o, "library", p->library) &&
           put_list(o, "provides", &p->manifest->provides) && put_list(o, "paths", &p->manifest->paths) &&
           cJSON_AddBoolToObject(o, "critical", p->manifest->critical) != NULL &&
           cJSON_AddNumberToObject(o, "priority", p->manifest->priority) != NULL &&
           cJSON_AddBoolToObject(o, "static", p->is_static) != NULL;
}

static bool put_item(cJSON *array, const struct tn_item *item)
{
    cJSON *o = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, o)) {
        cJSON_Delete(o);
        return false;
    }
    cJSON *keys = cJSON_AddArrayToObject(o, "keys");
    bool ok = keys != NULL && put_text(o, "iface", item->iface) && put_text(o, "name", item->name) &&
              cJSON_AddNumberToObject(o, "priority", item->priority) != NULL;
    for (const char *const *k = item->keys; ok && k != NULL && *k != NULL; k++)
        ok = append_text(keys, *k);
    return ok;
}

static bool put_details(cJSON *o, const struct tn_plugin_info *p)
{
    const struct tn_map *settings = &p->manifest->settings;
    const struct tn_descriptor *d = p->descriptor;
    cJSON *set = cJSON_AddObjectToObject(o, "settings");
    bool ok = set != NULL && put_list(o, "arch", &p->manifest->arch) && put_list(o, "needs", &p->manifest->needs);
    for (uint32_t i = 0; ok && i < settings->n; i++)
        ok = put_text(set, settings->entries[i].key, settings->entries[i].value);
    if (d == NULL || !ok)
        return ok;
    cJSON *items = cJSON_AddArrayToObject(o, "items");
    ok = items != NULL && put_text(o, "vendor", d->plugin.vendor) && put_text(o, "license", d->plugin.license) &&
         put_text(o, "url", d->plugin.url) && put_text(o, "description", d->plugin.description);
    for (uint32_t i = 0; ok && i < d->n_items; i++)
        ok = put_item(items, &d->items[i]);
    return ok;
}

/* Print and delete. The exit code. */
static int print_json(cJSON *json, bool ok)
{
    char *text = ok ? cJSON_Print(json) : NULL;
    int code = CLI_OK;
    if (text != NULL) {
        (void)puts(text); /* cli_finish_stdout tells */
    } else {
        tn_log(TENON_LOG_ERROR, "plugins", "no memory for the text");
        code = CLI_FAILED;
    }
    cJSON_free(text);
    cJSON_Delete(json);
    return code;
}

/* ---- text --------------------------------------------------------------------------------------------------- */

static void print_text(const char *text)
{
    for (size_t n = strlen(text), bytes; n > 0; text += bytes, n -= bytes) {
        const size_t shown = tn_str_shown(text, n);
        bytes = shown > 0 ? shown : 1;
        (void)fwrite(shown > 0 ? text : "?", 1, bytes, stdout);
    }
}

static void print_words(const char *label, const struct tn_strlist *list)
{
    if (list->n == 0)
        return;
    printf("%-12s", label);
    for (uint32_t i = 0; i < list->n; i++) {
        printf("%s", i > 0 ? " " : "");
        print_text(list->items[i]);
    }
    putchar('\n');
}

static void print_row(const struct tn_plugin_info *p)
{
    char provides[256] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < p->manifest->provides.n && n < sizeof provides; i++)
        n += (size_t)snprintf(provides + n, sizeof provides - n, "%s%s", i > 0 ? " " : "",
                              p->manifest->provides.items[i]); /* cutting is fine in a table */
    print_text(p->file);
    printf("%*s %-11s %s\n", strlen(p->file) < 28 ? (int)(28 - strlen(p->file)) : 0, "", tn_plugin_state_text(p->state),
           provides);
    if (p->reason[0] != '\0') {
        printf("    ");
        print_text(p->reason);
        putchar('\n');
    }
}

static void print_line(const char *label, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    printf("%-12s", label);
    print_text(text);
    putchar('\n');
}

static void print_items(const struct tn_descriptor *d)
{
    for (uint32_t i = 0; i < d->n_items; i++) {
        printf("%-12s%s %s, priority %u", "item", d->items[i].iface, d->items[i].name, d->items[i].priority);
        for (const char *const *k = d->items[i].keys; k != NULL && *k != NULL; k++)
            printf("%s%s", k == d->items[i].keys ? ", keys " : " ", *k);
        putchar('\n');
    }
}

static void print_details(const struct tn_plugin_info *p)
{
    const struct tn_manifest *m = p->manifest;
    print_line("file", p->file);
    print_line("state", tn_plugin_state_text(p->state));
    print_line("reason", p->reason);
    print_line("id", p->id);
    print_line("version", p->version);
    print_line("library", p->is_static ? "linked into this build" : p->library);
    print_words("provides", &m->provides);
    print_words("arch", &m->arch);
    print_words("needs", &m->needs);
    print_words("manifests", &m->paths);
    printf("%-12s%s\n%-12s%u\n", "critical", m->critical ? "yes" : "no", "priority", m->priority);
    for (uint32_t i = 0; i < m->settings.n; i++)
        printf("%-12s%s = %s\n", "setting", m->settings.entries[i].key, (const char *)m->settings.entries[i].value);
    if (p->descriptor == NULL)
        return;
    print_line("vendor", p->descriptor->plugin.vendor);
    print_line("license", p->descriptor->plugin.license);
    print_line("url", p->descriptor->plugin.url);
    print_line("description", p->descriptor->plugin.description);
    print_items(p->descriptor);
}

/* ---- actions ------------------------------------------------------------------------------------------------ */

static bool is_called(const struct tn_plugin_info *p, const char *name)
{
    size_t n = strlen(name);
    return strcmp(p->name, name) == 0 || strcmp(p->file, name) == 0 || (p->id != NULL && strcmp(p->id, name) == 0) ||
           tn_strlist_has(&p->manifest->provides, name) ||
           (strncmp(p->file, name, n) == 0 && strcmp(p->file + n, TN_MANIFEST_SUFFIX) == 0);
}

/* One it is meant to be able to use. */
static bool is_wanted(const struct tn_plugin_info *p)
{
    return p->state != TN_PLUGIN_DISABLED && p->state != TN_PLUGIN_MASKED && p->state != TN_PLUGIN_SKIPPED;
}

static int32_t prove_encodings(const struct tn_descriptor *d, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < d->n_items; i++)
        if (strcmp(d->items[i].iface, TENON_QUANTIZER_IFACE) == 0)
            rc = tn_quantizer_check(d->items[i].impl, err);
    return rc;
}

/* Encodings are data that only their use would find wrong: their author is told here. */
static int32_t check_encodings(const struct tn_descriptor *d, struct tenon_err *err)
{
    struct tenon_err why = TENON_ERR_INIT;
    int32_t rc = prove_encodings(d, &why);
    return rc == TENON_OK ? rc : tenon_fail(err, rc, "plugins", "%s: %s", why.where, why.message);
}

/* Plugin i as the action shows it: found, loaded, or checked (ret_ok: it passed). */
static void visit(struct session *s, enum action action, uint32_t i, struct tn_plugin_info *ret, bool *ret_ok,
                  struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    if (action == SHOW)
        (void)tn_registry_load(s->registry, i, err); /* shown with its reason */
    else if (action == CHECK)
        rc = tn_registry_check(s->registry, i, err);
    (void)tn_registry_at(s->registry, i, ret); /* i is in range */
    if (action == CHECK && rc == TENON_OK && ret->state == TN_PLUGIN_LOADED)
        rc = check_encodings(ret->descriptor, err);
    *ret_ok = rc == TENON_OK || !is_wanted(ret);
    if (!*ret_ok && ret->state == TN_PLUGIN_LOADED)
        ret->reason = err->message; /* loaded, but not what its manifest says, or of no use */
}

static int fail_unknown(const char *name)
{
    tn_log(TENON_LOG_ERROR, "plugins", "%s: no plugin is called so: `tenon plugins list` shows those there are", name);
    return CLI_FAILED;
}

/* Print the plugin, or append it to `array` when that is there. */
static bool print_one(cJSON *array, enum action action, const struct tn_plugin_info *p)
{
    if (array == NULL) {
        if (action == SHOW)
            print_details(p);
        else
            print_row(p);
        return true;
    }
    cJSON *object = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, object)) {
        cJSON_Delete(object);
        return false;
    }
    return put_summary(object, p) && (action != SHOW || put_details(object, p));
}

/* `show` prints its one object bare. Deletes `array`. */
static int finish_json(cJSON *array, enum action action, bool ok)
{
    if (action != SHOW)
        return print_json(array, ok && array != NULL);
    cJSON *object = cJSON_DetachItemFromArray(array, 0);
    cJSON_Delete(array);
    return print_json(object, ok && object != NULL);
}

static int walk(struct session *s, const struct options *o)
{
    struct tn_plugin_info p;
    bool printed = true, passed = true;
    uint32_t n_shown = 0;
    cJSON *array = o->json ? cJSON_CreateArray() : NULL;
    for (uint32_t i = 0; tn_registry_at(s->registry, i, &p) && (o->action != SHOW || n_shown == 0); i++) {
        struct tenon_err err = TENON_ERR_INIT;
        bool ok;
        if (o->name != NULL && !is_called(&p, o->name))
            continue;
        visit(s, o->action, i, &p, &ok, &err);
        passed = passed && ok;
        printed = printed && (array != NULL || !o->json) && print_one(array, o->action, &p);
        n_shown++;
    }
    int code = CLI_OK;
    if (o->name != NULL && n_shown == 0) {
        cJSON_Delete(array);
        return fail_unknown(o->name);
    }
    if (o->json)
        code = finish_json(array, o->action, printed);
    else if (n_shown == 0)
        tn_log(TENON_LOG_ERROR, "plugins", "none found: install one, or give its directory by TENON_PLUGIN_PATH_ADD");
    return passed ? code : CLI_FAILED;
}

/* Plugins meet the services they would meet in earnest. */
static int32_t open_session(struct session *s, struct tenon_err *err)
{
    int32_t rc = tn_registry_create(&s->registry, err);
    if (rc == TENON_OK)
        rc = tn_threads_create(0, &s->threads, err);
    if (rc == TENON_OK)
        rc = tn_registry_set_service(s->registry, TENON_THREADS_SERVICE, tn_threads_service(s->threads), err);
    return rc;
}

/* What is not an option: [list], show NAME, check [NAME]. */
static bool take_words(const struct cli_args *args, struct options *o)
{
    static const char *const actions[] = {[LIST] = "list", [SHOW] = "show", [CHECK] = "check"};
    if (args->n == 0)
        return true;
    while (o->action <= CHECK && strcmp(args->items[0], actions[o->action]) != 0)
        o->action++;
    o->name = args->n > 1 ? args->items[1] : NULL;
    return o->action <= CHECK && args->n <= (o->action == LIST ? 1 : 2) && (o->action != SHOW || o->name != NULL);
}

int tn_cmd_plugins(int argc, char **argv)
{
    struct options options = {.action = LIST};
    struct session session = {0};
    struct cli_args args;
    struct tenon_err err = TENON_ERR_INIT;
    int code = CLI_FAILED;
    if (cli_parse(table, &options, argc, argv, &args, &err) != 0)
        return cli_misused(&err);
    if (args.help || !take_words(&args, &options)) {
        fputs(usage, args.help ? stdout : stderr);
        return args.help ? CLI_OK : CLI_USAGE;
    }
    if (open_session(&session, &err) == TENON_OK)
        code = walk(&session, &options);
    else
        tn_log_err("plugins", &err);
    tn_registry_destroy(session.registry);
    tn_threads_destroy(session.threads);
    int printed = cli_finish_stdout();
    return code != CLI_OK ? code : printed;
}
