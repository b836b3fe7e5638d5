/* layers.c - finds the tenon directories, reads plugins.d in each from the lowest up and applies equal file names one
 * over the other. Nothing is opened but manifests, and these only after they passed the trust check. Contract:
 * layers.h. */
#include "core/plugin/layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/plugin/trace.h"
#include "core/plugin/trust.h"

#ifndef TN_PLUGIN_LIBDIR
#define TN_PLUGIN_LIBDIR "lib" /* CMAKE_INSTALL_LIBDIR: "lib/x86_64-linux-gnu" in a Debian package */
#endif

/* ---- which directories -------------------------------------------------------------------------------------- */

static int32_t out_of_memory(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "plugins", "cannot look for plugins: out of memory");
}

/* Add a directory if it exists; of a directory named twice the first place counts. */
static int32_t add_dir(struct tn_layers *layers, const char *path, struct tenon_err *err)
{
    char *real = realpath(path, NULL);
    if (real == NULL)
        return errno == ENOMEM ? out_of_memory(err) : TENON_OK; /* not there: most layers are not */
    int32_t rc = TENON_OK;
    if (!tn_strlist_has(&layers->dirs, real)) {
        tn_trace("layer %s", real);
        if (tn_strlist_add(&layers->dirs, real) != TENON_OK)
            rc = out_of_memory(err);
    }
    free(real);
    return rc;
}

static int32_t add_below(struct tn_layers *layers, const char *base, const char *rest, struct tenon_err *err)
{
    char *path = tn_str_printf("%s/%s", base, rest);
    int32_t rc = path == NULL ? out_of_memory(err) : add_dir(layers, path, err);
    free(path);
    return rc;
}

/* Where the executable is. Without /proc by what it was started as, unless that is relative: the working directory may be another
 * by now. */
static bool executable_path(char ret[PATH_MAX])
{
    const char *started = (const char *)getauxval(AT_EXECFN);
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
    if (n > 0 && n < PATH_MAX - 1) {
        ret[n] = '\0';
        return true;
    }
    return started != NULL && started[0] == '/' && realpath(started, ret) != NULL;
}

/* Beside the executable: as built, and as installed. */
static int32_t add_executable_dirs(struct tn_layers *layers, struct tenon_err *err)
{
    static const char *const rest[] = {"../lib/tenon", "../" TN_PLUGIN_LIBDIR "/tenon", "lib/tenon"};
    char exe[PATH_MAX];
    int32_t rc = TENON_OK;
    if (!executable_path(exe)) { /* the fixed directories remain */
        tn_log(TENON_LOG_WARN, "plugins", "none are looked for beside this program, for without /proc it is not known where that "
               "is: mount /proc, start it by its absolute path, or set TENON_PLUGIN_PATH to their directory");
        return TENON_OK;
    }
    *strrchr(exe, '/') = '\0';
    for (size_t i = 0; rc == TENON_OK && i < sizeof rest / sizeof rest[0]; i++)
        rc = add_below(layers, exe, rest[i], err);
    return rc;
}

static int32_t add_user_dir(struct tn_layers *layers, struct tenon_err *err)
{
    const char *config = secure_getenv("XDG_CONFIG_HOME");
    if (config != NULL && config[0] == '/') /* the specification says to ignore relative ones */
        return add_below(layers, config, "tenon", err);
    const char *home = secure_getenv("HOME");
    return home != NULL && home[0] == '/' ? add_below(layers, home, ".config/tenon", err) : TENON_OK;
}

static int32_t add_default_dirs(struct tn_layers *layers, struct tenon_err *err)
{
    static const char *const fixed[] = {"/usr/lib/tenon", "/usr/local/lib/tenon", "/run/tenon", "/etc/tenon"};
    int32_t rc = add_executable_dirs(layers, err);
    for (size_t i = 0; rc == TENON_OK && i < sizeof fixed / sizeof fixed[0]; i++)
        rc = add_dir(layers, fixed[i], err);
    return rc == TENON_OK ? add_user_dir(layers, err) : rc;
}

/* Add the directories of a list like PATH, whose first one wins: so from its end. */
static int32_t add_list(struct tn_layers *layers, const char *variable, const char *value, struct tenon_err *err)
{
    struct tn_strlist dirs = {0};
    int32_t rc = TENON_OK;
    if (tn_strlist_split(&dirs, value, ":") != TENON_OK)
        rc = out_of_memory(err);
    for (uint32_t i = dirs.n; rc == TENON_OK && i-- > 0;) {
        if (dirs.items[i][0] == '/')
            rc = add_dir(layers, dirs.items[i], err);
        else
            rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, variable,
                            "\"%s\" is a relative directory, and plugins are never searched relative to the working "
                            "directory: give absolute ones", dirs.items[i]);
    }
    tn_strlist_finish(&dirs);
    return rc;
}

int32_t tn_layers_init(struct tn_layers *layers, const char *path, struct tenon_err *err)
{
    const char *only = secure_getenv("TENON_PLUGIN_PATH");
    const char *more = secure_getenv("TENON_PLUGIN_PATH_ADD");
    int32_t rc = path != NULL   ? add_list(layers, "plugin_path", path, err)
                 : only != NULL ? add_list(layers, "TENON_PLUGIN_PATH", only, err)
                                : add_default_dirs(layers, err);
    if (rc == TENON_OK && more != NULL)
        rc = add_list(layers, "TENON_PLUGIN_PATH_ADD", more, err);
    return rc;
}

void tn_layers_finish(struct tn_layers *layers)
{
    tn_strlist_finish(&layers->dirs);
}

/* ---- manifests ---------------------------------------------------------------------------------------------- */

void tn_source_destroy(void *source)
{
    struct tn_source *s = source;
    if (s == NULL)
        return;
    tn_manifest_finish(&s->manifest);
    free(s->masked_by);
    free(s);
}

/* The source of a file name, made when it is new. NULL: out of memory. */
static struct tn_source *source_of(struct tn_map *sources, const char *file)
{
    struct tn_source *s = tn_map_get(sources, file, strlen(file));
    if (s != NULL)
        return s;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    tn_manifest_init(&s->manifest);
    s->err.struct_size = sizeof s->err;
    if (tn_map_put(sources, file, strlen(file), s) != TENON_OK) {
        tn_source_destroy(s);
        return NULL;
    }
    return s;
}

static bool is_mask(const char *path)
{
    char target[16];
    ssize_t n = readlink(path, target, sizeof target);
    return n == 9 && memcmp(target, "/dev/null", 9) == 0;
}

/* A mask takes back what the layers below said; a file above it starts afresh. */
static int32_t mask(struct tn_source *s, const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    tn_manifest_finish(&s->manifest);
    tn_manifest_init(&s->manifest);
    s->status = TENON_OK;
    free(s->masked_by);
    s->masked_by = copy;
    return TENON_OK;
}

static int32_t read_trusted(const char *path, char **ret_text, uint64_t *ret_size, struct tenon_err *err)
{
    char *real = realpath(path, NULL);
    if (real == NULL)
        return tenon_fail(err, tn_file_status(errno), "", "%s: %s", path, strerror(errno));
    int32_t rc = tn_trust_path(real, err);
    if (rc == TENON_OK) {
        struct tenon_err inner = TENON_ERR_INIT;
        rc = tn_file_read(real, TN_MANIFEST_MAX_SIZE, ret_text, ret_size, &inner);
        if (rc != TENON_OK) /* which layer's file it is, must be in the message */
            (void)tenon_fail(err, rc, "", "%s: %.300s", path, inner.message);
    }
    free(real);
    return rc;
}

static void apply(struct tn_source *s, const char *dir, const char *path)
{
    char *text = NULL;
    uint64_t size = 0;
    if (s->status != TENON_OK)
        return; /* a lower layer's file is bad: half of a configuration is worse than none */
    free(s->masked_by);
    s->masked_by = NULL;
    s->status = read_trusted(path, &text, &size, &s->err);
    if (s->status == TENON_OK)
        s->status = tn_manifest_apply(&s->manifest, text, size, path, dir, &s->err);
    else /* the path is wanted even of a file that could not be read; without memory it is missed, no more */
        (void)tn_strlist_add(&s->manifest.paths, path);
    free(text);
}

static int32_t scan_file(const char *dir, const char *file, struct tn_map *sources, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    char *path = tn_str_printf("%s/plugins.d/%s", dir, file);
    struct tn_source *s = source_of(sources, file);
    if (path == NULL || s == NULL) {
        rc = out_of_memory(err);
    } else if (is_mask(path)) {
        tn_trace("masked by %s", path);
        rc = mask(s, path) == TENON_OK ? TENON_OK : out_of_memory(err);
    } else {
        tn_trace("manifest %s", path);
        apply(s, dir, path);
    }
    free(path);
    return rc;
}

static int32_t scan_layer(const char *dir, struct tn_map *sources, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    char *path = tn_str_printf("%s/plugins.d", dir);
    if (path == NULL)
        return out_of_memory(err);
    DIR *stream = opendir(path);
    free(path);
    if (stream == NULL)
        return TENON_OK; /* a layer may have libraries only, or not be for us to read */
    for (struct dirent *e; rc == TENON_OK && (e = readdir(stream)) != NULL;)
        if (e->d_name[0] != '.' && tn_str_ends(e->d_name, TN_MANIFEST_SUFFIX))
            rc = scan_file(dir, e->d_name, sources, err);
    (void)closedir(stream); /* read only */
    return rc;
}

int32_t tn_layers_scan(const struct tn_layers *layers, struct tn_map *sources, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < layers->dirs.n; i++)
        rc = scan_layer(layers->dirs.items[i], sources, err);
    return rc;
}

/* ---- libraries ---------------------------------------------------------------------------------------------- */

static bool is_inside(const struct tn_layers *layers, const char *real)
{
    for (uint32_t i = 0; i < layers->dirs.n; i++) {
        const char *dir = layers->dirs.items[i];
        if (tn_str_starts(real, dir) && real[strlen(dir)] == '/')
            return true;
    }
    return false;
}

static int32_t check_library(const struct tn_layers *layers, const char *dir, const char *path, const char *real,
                             struct tenon_err *err)
{
    struct stat st;
    if (!is_inside(layers, real))
        return tenon_fail(err, TENON_E_PERMISSION_DENIED, "",
                          "%s: leads to %s, outside of every plugin directory: put the file itself there", path, real);
    if (stat(real, &st) != 0 || !S_ISREG(st.st_mode))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: not a regular file (mode %06o)", real,
                          (unsigned)st.st_mode);
    int32_t rc = tn_trust_path(dir, err); /* where a link may stand */
    return rc == TENON_OK ? tn_trust_path(real, err) : rc;
}

int32_t tn_layers_resolve(const struct tn_layers *layers, const char *dir, const char *library, char **ret_path,
                          struct tenon_err *err)
{
    int32_t rc;
    char *real = NULL;
    char *path = tn_str_printf("%s/%s", dir, library);
    if (path == NULL)
        return out_of_memory(err);
    real = realpath(path, NULL);
    if (real == NULL)
        rc = tenon_fail(err, tn_file_status(errno), "", "%s: %s: install the package that ships it, or build it", path,
                        strerror(errno));
    else
        rc = check_library(layers, dir, path, real, err);
    free(path);
    if (rc == TENON_OK)
        *ret_path = real;
    else
        free(real);
    return rc;
}
