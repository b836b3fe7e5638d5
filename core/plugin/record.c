/* record.c - the checks a plugin passes one after the other, cheapest first: what manifests and environment say,
 * machine and presence, trust and file, verdict of an earlier first contact; then, when it is wanted, first contact,
 * dlopen and init. Each step ends the way with a state and a reason or lets it go on. Contract: record.h. */
#include "core/plugin/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/plugin/load.h"
#include "core/plugin/presence.h"
#include "core/plugin/probe.h"
#include "core/plugin/trace.h"
#include "core/plugin/trust.h"

/* ---- making ------------------------------------------------------------------------------------------------- */

/* "50-weights-gguf.plugin" -> "weights-gguf". OWN: caller. */
static char *short_name(const char *file)
{
    size_t n = strlen(file);
    size_t digits = strspn(file, "0123456789");
    if (tn_str_ends(file, TN_MANIFEST_SUFFIX))
        n -= strlen(TN_MANIFEST_SUFFIX);
    if (digits > 0 && file[digits] == '-' && digits + 1 < n)
        return strndup(file + digits + 1, n - digits - 1);
    return strndup(file, n);
}

int32_t tn_record_create(const char *file, struct tn_source *source, struct tn_record **ret, struct tenon_err *err)
{
    struct tn_record *r = calloc(1, sizeof *r);
    if (r != NULL)
        r->name = short_name(file);
    if (r == NULL || r->name == NULL) {
        free(r);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, file, "cannot register the plugin: out of memory");
    }
    r->file = file;
    r->source = source;
    r->err.struct_size = sizeof r->err;
    *ret = r;
    return TENON_OK;
}

/* Let the manifest of a static plugin say what its items are. */
static int32_t provide_items(struct tn_record *r)
{
    for (uint32_t i = 0; i < r->descriptor.n_items; i++) {
        const struct tn_item *item = &r->descriptor.items[i];
        char *word = tn_str_printf("%s:%s", item->kind, item->name);
        int32_t rc = word != NULL ? tn_strlist_add(&r->source->manifest.provides, word) : TENON_E_RESOURCE_EXHAUSTED;
        free(word);
        if (rc != TENON_OK)
            return rc;
    }
    return TENON_OK;
}

static void end(struct tn_record *r, enum tn_plugin_state state)
{
    r->state = state;
    tn_trace("%s: %s: %s", r->file, tn_plugin_state_text(state), r->err.message);
}

int32_t tn_record_create_static(const char *name, tenon_plugin_entry_fn *entry, struct tn_record **ret,
                                struct tenon_err *err)
{
    struct tn_record *r = NULL;
    struct tn_source *source = calloc(1, sizeof *source);
    int32_t rc = source != NULL ? tn_record_create(name, source, &r, err) : TENON_E_RESOURCE_EXHAUSTED;
    if (rc != TENON_OK) {
        free(source);
        return tenon_fail(err, rc, name, "cannot register the plugin: out of memory");
    }
    tn_manifest_init(&source->manifest);
    r->entry = entry;
    if (tn_descriptor_read(entry, &r->descriptor, &r->err) != TENON_OK) /* pure data: safe and cheap to read now */
        end(r, TN_PLUGIN_REFUSED);
    else
        rc = provide_items(r);
    if (rc != TENON_OK) {
        tn_record_destroy(r);
        return tenon_fail(err, rc, name, "cannot register the plugin: out of memory");
    }
    *ret = r;
    return TENON_OK;
}

void tn_record_destroy(struct tn_record *r)
{
    if (r == NULL)
        return;
    if (r->entry != NULL)
        tn_source_destroy(r->source);
    tn_descriptor_finish(&r->descriptor);
    free(r->name);
    free(r->path);
    free(r);
}

bool tn_record_is_called(const struct tn_record *r, const char *word)
{
    size_t stem = strlen(r->file) - (tn_str_ends(r->file, TN_MANIFEST_SUFFIX) ? strlen(TN_MANIFEST_SUFFIX) : 0);
    return strcmp(word, r->name) == 0 || strcmp(word, r->file) == 0 ||
           (strlen(word) == stem && memcmp(word, r->file, stem) == 0) ||
           tn_strlist_has(&r->source->manifest.provides, word);
}

void tn_record_reset(struct tn_record *r)
{
    bool is_broken_static = r->entry != NULL && r->descriptor.n_items == 0;
    if (r->state == TN_PLUGIN_LOADED || is_broken_static)
        return;
    r->state = TN_PLUGIN_FOUND;
    r->err.message[0] = '\0';
    free(r->path);
    r->path = NULL;
}

/* ---- what is known without opening -------------------------------------------------------------------------- */

static bool is_in_list(const struct tn_record *r, const struct tn_strlist *words)
{
    for (uint32_t i = 0; i < words->n; i++)
        if (tn_record_is_called(r, words->items[i]))
            return true;
    return false;
}

static int32_t check_enabled(struct tn_record *r, const struct tn_record_world *w)
{
    const char *why = NULL;
    if (!r->source->manifest.enabled)
        why = "a manifest says enabled = no";
    else if (is_in_list(r, &w->disable))
        why = "TENON_PLUGINS_DISABLE names it";
    else if (w->is_selecting && !is_in_list(r, &w->select))
        why = "TENON_PLUGINS_SELECT does not name it";
    return why == NULL ? TENON_OK : tenon_fail(&r->err, TENON_E_FAILED_PRECONDITION, "", "%s", why);
}

static int32_t check_presence(struct tn_record *r)
{
    const struct tn_manifest *m = &r->source->manifest;
    if (m->arch.n > 0 && !tn_strlist_has(&m->arch, tn_presence_arch()))
        return tenon_fail(&r->err, TENON_E_FAILED_PRECONDITION, "", "it is for %s%s, this machine is %s",
                          m->arch.items[0], m->arch.n > 1 ? " and others" : "", tn_presence_arch());
    for (uint32_t i = 0; i < m->needs.n; i++)
        if (!tn_presence_need(m->needs.items[i]))
            return tenon_fail(&r->err, TENON_E_FAILED_PRECONDITION, "", "it needs %s, which is not here",
                              strchr(m->needs.items[i], ':') + 1);
    if (m->library == NULL)
        return tenon_fail(&r->err, TENON_E_FAILED_PRECONDITION, "",
                          "no manifest of that name sets a library: the package that ships it is not installed");
    return TENON_OK;
}

/* Look at the file itself: identity and header. */
static int32_t check_file(struct tn_record *r)
{
    struct stat st;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int32_t rc = tenon_fail(&r->err, tn_file_status(errno), "", "%s: %s", r->path, strerror(errno));
        if (fd >= 0)
            (void)close(fd); /* read only */
        return rc;
    }
    tn_identity_of(&st, &r->identity);
    int32_t rc = tn_presence_elf(fd, r->path, &r->err);
    (void)close(fd); /* read only */
    return rc;
}

static int32_t fail_quarantined(struct tn_record *r, const struct tn_verdict *v)
{
    return tenon_fail(&r->err, TENON_E_UNAVAILABLE, "",
                      "%s: %s; it is in quarantine until the file changes or `tenon plugins check %s` passes", r->path,
                      v->reason, r->name);
}

static void read_verdicts(struct tn_record_world *w)
{
    if (!w->has_verdicts)
        tn_verdicts_open(&w->verdicts);
    w->has_verdicts = true;
}

/* An earlier run's verdict, by stat alone. */
static void recall(struct tn_record *r, struct tn_record_world *w)
{
    read_verdicts(w);
    const struct tn_verdict *v = tn_verdicts_find(&w->verdicts, &r->identity);
    if (v == NULL)
        return;
    memcpy(r->id, v->id, sizeof r->id);
    memcpy(r->version, v->version, sizeof r->version);
    if (!v->good) {
        (void)fail_quarantined(r, v);
        end(r, TN_PLUGIN_QUARANTINED);
    }
}

/* A file that is not there has failed its manifest; one that is there and not to be used is refused. */
static enum tn_plugin_state state_of(int32_t rc)
{
    return rc == TENON_E_NOT_FOUND || rc == TENON_E_RESOURCE_EXHAUSTED || rc == TENON_E_UNKNOWN ? TN_PLUGIN_FAILED
                                                                                                 : TN_PLUGIN_REFUSED;
}

static void examine_library(struct tn_record *r, struct tn_record_world *w)
{
    const struct tn_manifest *m = &r->source->manifest;
    int32_t rc = tn_layers_resolve(&w->layers, m->library_dir, m->library, &r->path, &r->err);
    if (rc == TENON_OK)
        rc = check_file(r);
    if (rc != TENON_OK)
        end(r, state_of(rc));
    else
        recall(r, w);
}

void tn_record_examine(struct tn_record *r, struct tn_record_world *w)
{
    if (r->state != TN_PLUGIN_FOUND)
        return;
    if (r->source->masked_by != NULL) {
        (void)tenon_fail(&r->err, TENON_E_FAILED_PRECONDITION, "", "%s is a link to /dev/null", r->source->masked_by);
        end(r, TN_PLUGIN_MASKED);
    } else if (r->source->status != TENON_OK) {
        r->err = r->source->err;
        end(r, TN_PLUGIN_REFUSED);
    } else if (check_enabled(r, w) != TENON_OK) {
        end(r, TN_PLUGIN_DISABLED);
    } else if (r->entry == NULL) {
        if (check_presence(r) != TENON_OK)
            end(r, TN_PLUGIN_SKIPPED);
        else
            examine_library(r, w);
    }
    if (r->state == TN_PLUGIN_FOUND)
        r->state = TN_PLUGIN_AVAILABLE;
}

/* ---- first contact ------------------------------------------------------------------------------------------ */

static int32_t read_digest(struct tn_record *r)
{
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return tenon_fail(&r->err, tn_file_status(errno), "", "%s: %s", r->path, strerror(errno));
    int32_t rc = tn_sha256_fd(fd, r->path, r->identity.sha256, &r->err);
    (void)close(fd); /* read only */
    return rc;
}

static void remember(struct tn_record_world *w, const struct tn_verdict *v)
{
    struct tenon_err err = TENON_ERR_INIT;
    if (tn_verdicts_record(&w->verdicts, v, &err) != TENON_OK)
        tn_log(TENON_LOG_DEBUG, "plugins", "verdicts are not kept, each run probes again: %s", err.message);
}

/* Probe, unless the same content was judged before, and remember. */
static int32_t meet(struct tn_record *r, struct tn_record_world *w, bool afresh, struct tn_verdict *ret)
{
    const struct tn_verdict *known = afresh ? NULL : tn_verdicts_find(&w->verdicts, &r->identity);
    struct tn_probe probe;
    if (known != NULL) {
        *ret = *known;
    } else {
        int32_t rc = tn_probe_run(r->path, &r->source->manifest.settings, &probe, &r->err);
        if (rc != TENON_OK)
            return rc;
        *ret = (struct tn_verdict){.good = probe.outcome != TN_PROBE_BAD};
        memcpy(ret->id, probe.id, sizeof ret->id);
        memcpy(ret->version, probe.version, sizeof ret->version);
        memcpy(ret->reason, probe.reason, sizeof ret->reason);
        if (probe.outcome == TN_PROBE_FAILED)
            return TENON_OK; /* depends on more than the file: not to be remembered */
    }
    ret->identity = r->identity;
    remember(w, ret);
    return TENON_OK;
}

/* The host opens only what a child survived. TENON_OK: go on. */
static int32_t first_contact(struct tn_record *r, struct tn_record_world *w, bool afresh)
{
    struct tn_verdict verdict;
    read_verdicts(w);
    if (!afresh && tn_verdicts_find(&w->verdicts, &r->identity) != NULL)
        return TENON_OK; /* by stat; a bad one ended in tn_record_examine */
    int32_t rc = read_digest(r);
    if (rc == TENON_OK)
        rc = meet(r, w, afresh, &verdict);
    if (rc != TENON_OK) {
        end(r, TN_PLUGIN_FAILED);
        return rc;
    }
    if (!verdict.good) {
        rc = fail_quarantined(r, &verdict);
        end(r, TN_PLUGIN_QUARANTINED);
    }
    return rc;
}

/* ---- loading ------------------------------------------------------------------------------------------------ */

/* A package manager may have replaced the file since we looked. (Only those we trust could.) */
static int32_t check_unchanged(struct tn_record *r)
{
    struct stat st;
    struct tn_identity now = {0};
    if (stat(r->path, &st) == 0)
        tn_identity_of(&st, &now);
    if (now.dev == r->identity.dev && now.ino == r->identity.ino && now.size == r->identity.size &&
        now.mtime_ns == r->identity.mtime_ns)
        return TENON_OK;
    return tenon_fail(&r->err, TENON_E_ABORTED, "", "%s: the file changed while it was checked: start again", r->path);
}

static int32_t open_library(struct tn_record *r)
{
    if (r->entry != NULL)
        return TENON_OK; /* read when it was added */
    int32_t rc = check_unchanged(r);
    return rc == TENON_OK ? tn_load_open(r->path, &r->descriptor, &r->err) : rc;
}

static void adopt_items(struct tn_record *r)
{
    for (uint32_t i = 0; i < r->descriptor.n_items; i++) {
        r->descriptor.items[i].self = r->self;
        if (r->descriptor.items[i].priority == 0)
            r->descriptor.items[i].priority = r->source->manifest.priority;
    }
}

static int32_t open_and_init(struct tn_record *r, struct tn_record_world *w)
{
    int32_t rc = open_library(r);
    if (rc != TENON_OK) {
        end(r, rc == TENON_E_NOT_FOUND ? TN_PLUGIN_FAILED : TN_PLUGIN_REFUSED);
        return rc;
    }
    tn_host_init(&r->host, &r->descriptor, &r->source->manifest.settings, &w->services);
    rc = tn_load_init(r->path != NULL ? r->path : r->file, &r->descriptor, &r->host, &r->self, &r->err);
    if (rc != TENON_OK) {
        end(r, TN_PLUGIN_FAILED);
        return rc;
    }
    adopt_items(r);
    (void)snprintf(r->id, sizeof r->id, "%s", r->descriptor.plugin.id);                /* fits: checked */
    (void)snprintf(r->version, sizeof r->version, "%s", r->descriptor.plugin.version); /* cutting is fine */
    r->load_order = ++w->n_loaded;
    end(r, TN_PLUGIN_LOADED);
    return TENON_OK;
}

int32_t tn_record_load(struct tn_record *r, struct tn_record_world *w, bool afresh, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    tn_record_examine(r, w);
    if (r->state == TN_PLUGIN_AVAILABLE || (afresh && r->state == TN_PLUGIN_QUARANTINED)) {
        if (r->entry == NULL)
            rc = first_contact(r, w, afresh);
        if (rc == TENON_OK)
            (void)open_and_init(r, w); /* its failure is r->state */
    }
    if (r->state == TN_PLUGIN_LOADED)
        return TENON_OK;
    return tenon_fail(err, r->err.code != TENON_OK ? r->err.code : TENON_E_UNKNOWN, "", "%s", r->err.message);
}
