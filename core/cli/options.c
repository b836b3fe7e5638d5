/* options.c - see options.h. Values are parsed and checked in one place, whatever they come from. */
#include "core/cli/options.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "core/base/file.h"
#include "core/base/ini.h"
#include "core/base/str.h"

#define CONFIG_MAX_SIZE 65536u

static int32_t bad(struct tenon_err *err, const char *source, const char *text, const char *what)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, source, "'%s' is not %s", text, what);
}

static int32_t set_number(const struct cli_option *o, void *member, const char *source, const char *text, struct tenon_err *err)
{
    char *end;
    double lo = o->min, hi = o->max;
    if (o->kind == CLI_U64) {
        uint64_t v;
        if (!tn_str_u64(text, &v))
            return bad(err, source, text, "a whole number from 0 to 2^64-1");
        memcpy(member, &v, sizeof v);
        return 0;
    }
    double v = strtod(text, &end);
    if (lo == 0 && hi == 0) {
        lo = o->kind == CLI_U32 ? 0 : o->kind == CLI_I32 ? INT32_MIN : -1e30;
        hi = o->kind == CLI_U32 ? UINT32_MAX : o->kind == CLI_I32 ? INT32_MAX : 1e30;
    }
    bool plain = text[strspn(text, "+-.0123456789eE")] == '\0'; /* strtod takes more: spaces before, 0x10, nan */
    if (!plain || end == text || *end != '\0' || !(v >= lo && v <= hi) || (o->kind != CLI_F32 && v != floor(v)))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, source, "'%s' is not a %snumber from %.10g to %.10g", text,
                          o->kind == CLI_F32 ? "" : "whole ", lo, hi);
    if (o->kind == CLI_U32)
        *(uint32_t *)member = (uint32_t)v;
    else if (o->kind == CLI_I32)
        *(int32_t *)member = (int32_t)v;
    else
        *(float *)member = (float)v;
    return 0;
}

/* Is the text one of the words A|B|C? */
static bool is_among(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (const char *w = words; *w != '\0'; w += strcspn(w, "|"), w += *w == '|')
        if (strcspn(w, "|") == n && memcmp(w, text, n) == 0)
            return true;
    return false;
}

static int32_t set(const struct cli_option *o, void *target, const char *source, const char *text, struct tenon_err *err)
{
    void *member = (char *)target + o->offset;
    if (o->kind == CLI_CHOICE && !is_among(o->value, text))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, source, "'%s' is not one of %s", text, o->value);
    if (o->kind == CLI_TEXT || o->kind == CLI_CHOICE) {
        *(const char **)member = text;
        return 0;
    }
    if (o->kind == CLI_FLAG)
        return tn_str_bool(text, member) ? 0 : bad(err, source, text, "yes or no");
    if (o->kind == CLI_LIST) {
        struct cli_list *list = member;
        if (list->n == CLI_LIST_MAX)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, source, "given more than %u times", CLI_LIST_MAX);
        list->items[list->n++] = text;
        return 0;
    }
    return set_number(o, member, source, text, err);
}

/* ---- config file and environment ---- */

struct config_walk {
    const struct cli_option *table;
    void *target;
};

static bool key_is(const char *key, const char *name)
{
    for (; *key != '\0' && *name != '\0'; key++, name++)
        if (*key != (*name == '-' ? '_' : *name))
            return false;
    return *key == *name;
}

/* One option's line. Texts are kept for the process's life, as argv is. */
static int32_t set_from_config(const struct cli_option *o, void *target, const struct tn_ini *at, const char *key,
                               const char *value)
{
    struct tenon_err inner = TENON_ERR_INIT;
    bool keeps = o->kind == CLI_TEXT || o->kind == CLI_CHOICE || o->kind == CLI_LIST;
    char *kept = keeps ? strdup(value) : NULL;
    if (keeps && kept == NULL)
        return tenon_fail(at->err, TENON_E_RESOURCE_EXHAUSTED, key, "no memory for the config file");
    if (set(o, target, key, keeps ? kept : value, &inner) != 0)
        return tn_ini_fail(at, "%s: %s", key, inner.message);
    return 0;
}

static int32_t config_entry(void *arg, const struct tn_ini *at, const char *key, const char *value)
{
    const struct config_walk *w = arg;
    int32_t status = 0;
    for (const struct cli_option *o = w->table; o->name != NULL && status == 0; o++)
        if (key_is(key, o->name))
            status = set_from_config(o, w->target, at, key, value);
    return status;
}

/* OWN: caller frees. NULL: there is no home for it. */
static char *config_path(void)
{
    const char *base = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
    if (base != NULL && base[0] == '/')
        return tn_str_printf("%s/tenon/config", base);
    return home != NULL && home[0] == '/' ? tn_str_printf("%s/.config/tenon/config", home) : NULL;
}

static int32_t read_config(const struct cli_option *table, void *target, struct tenon_err *err)
{
    struct config_walk walk = { table, target };
    struct tenon_err inner = TENON_ERR_INIT;
    char *text = NULL, *path = config_path();
    uint64_t size = 0;
    int32_t status = path != NULL ? tn_file_read(path, CONFIG_MAX_SIZE, &text, &size, &inner) : 0;
    if (status == 0 && text != NULL)
        status = tn_ini_read(text, size, path, config_entry, &walk, &inner);
    if (status == TENON_E_NOT_FOUND || status == TENON_E_PERMISSION_DENIED)
        status = 0; /* most users have none, and HOME may be another's */
    if (status != 0)
        *err = inner;
    free(text);
    free(path);
    return status;
}

static int32_t read_environment(const struct cli_option *table, void *target, struct tenon_err *err)
{
    int32_t status = 0;
    for (const struct cli_option *o = table; o->name != NULL && status == 0; o++) {
        char name[64] = "TENON_";
        size_t n = strlen(name);
        for (const char *p = o->name; *p != '\0' && n + 1 < sizeof name; p++)
            name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        name[n] = '\0';
        const char *value = secure_getenv(name);
        if (value != NULL && value[0] != '\0')
            status = set(o, target, name, value, err);
    }
    return status;
}

/* ---- the command line ---- */

static const struct cli_option *find(const struct cli_option *table, const char *name, size_t size)
{
    for (const struct cli_option *o = table; o->name != NULL; o++)
        if (strlen(o->name) == size && memcmp(o->name, name, size) == 0)
            return o;
    return NULL;
}

/* One --name, --name=value or --name value; *i moves over the value. */
static int32_t read_option(const struct cli_option *table, void *target, int argc, char **argv, int *i, struct tenon_err *err)
{
    const char *arg = argv[*i] + 2, *equals = strchr(arg, '=');
    const struct cli_option *o = find(table, arg, equals != NULL ? (size_t)(equals - arg) : strlen(arg));
    if (o == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, argv[*i], "no such option: see tenon %s --help", argv[0]);
    if (equals != NULL)
        return set(o, target, o->name, equals + 1, err);
    if (o->kind == CLI_FLAG)
        return set(o, target, o->name, "yes", err);
    if (*i + 1 >= argc)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, argv[*i], "needs a value: see tenon %s --help", argv[0]);
    *i += 1;
    return set(o, target, o->name, argv[*i], err);
}

/* Lists given on the command line replace those of config and environment. */
static void clear_lists(const struct cli_option *table, void *target, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        const struct cli_option *o = find(table, argv[i] + 2, strcspn(argv[i] + 2, "="));
        if (o != NULL && o->kind == CLI_LIST)
            ((struct cli_list *)(void *)((char *)target + o->offset))->n = 0;
    }
}

int32_t cli_parse(const struct cli_option *table, void *target, int argc, char **argv, struct cli_args *ret,
                  struct tenon_err *err)
{
    bool only_args = false;
    memset(ret, 0, sizeof *ret);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            ret->help = true;
            return 0;
        }
    int32_t status = read_config(table, target, err);
    if (status == 0)
        status = read_environment(table, target, err);
    if (status == 0)
        clear_lists(table, target, argc, argv);
    for (int i = 1; i < argc && status == 0; i++) {
        const char *arg = argv[i];
        if (!only_args && strcmp(arg, "--") == 0)
            only_args = true;
        else if (!only_args && strncmp(arg, "--", 2) == 0)
            status = read_option(table, target, argc, argv, &i, err);
        else if (!only_args && arg[0] == '-' && arg[1] != '\0')
            status = tenon_fail(err, TENON_E_INVALID_ARGUMENT, arg, "no such option: see tenon %s --help", argv[0]);
        else if (ret->n == sizeof ret->items / sizeof ret->items[0])
            status = tenon_fail(err, TENON_E_INVALID_ARGUMENT, arg, "too many arguments: see tenon %s --help", argv[0]);
        else
            ret->items[ret->n++] = arg;
    }
    return status;
}

void cli_print_options(const struct cli_option *table)
{
    for (const struct cli_option *o = table; o->name != NULL; o++)
        printf("  --%s%s%-*s  %s\n", o->name, o->value != NULL ? " " : "",
               (int)(24 - strlen(o->name) - (o->value != NULL ? 1 : 0)), o->value != NULL ? o->value : "", o->help);
}
