/* verdict.c - the cache file is small JSON, replaced as a whole by rename, so a reader sees all or nothing. A writer
 * reads it again under a lock and puts its own verdict last; if the lock cannot be had the worst is a lost verdict and
 * one more probe. Numbers are strings: JSON's are doubles. Contract: verdict.h. */
#include "core/plugin/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "core/base/file.h"
#include "core/base/str.h"
#include "core/plugin/trust.h"

#define CACHE_MAX_SIZE (1u << 20)
#define MAX_VERDICTS 512u /* the oldest are forgotten */
#define LOCK_TRIES 50
#define LOCK_WAIT_US 4000

#ifndef TN_VERSION
#define TN_VERSION "0"
#endif

void tn_identity_of(const struct stat *st, struct tn_identity *ret)
{
    *ret = (struct tn_identity){.dev = st->st_dev, .ino = st->st_ino, .size = (uint64_t)st->st_size,
                                .mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec};
}

static bool is_same_file(const struct tn_identity *a, const struct tn_identity *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static bool is_same_content(const struct tn_identity *a, const struct tn_identity *b)
{
    return a->sha256[0] != '\0' && a->size == b->size && strcmp(a->sha256, b->sha256) == 0;
}

const struct tn_verdict *tn_verdicts_find(const struct tn_verdicts *v, const struct tn_identity *identity)
{
    for (uint32_t i = v->n; i-- > 0;) /* the newest counts */
        if (is_same_file(&v->items[i].identity, identity) || is_same_content(&v->items[i].identity, identity))
            return &v->items[i];
    return NULL;
}

/* ---- the list in memory ------------------------------------------------------------------------------------- */

static void forget(struct tn_verdicts *v, uint32_t i)
{
    v->n--;
    memmove(&v->items[i], &v->items[i + 1], (v->n - i) * sizeof *v->items);
}

/* A file has one verdict: drop what was known of this inode. The same content elsewhere is another file. */
static int32_t put(struct tn_verdicts *v, const struct tn_verdict *verdict)
{
    for (uint32_t i = v->n; i-- > 0;)
        if (v->items[i].identity.dev == verdict->identity.dev && v->items[i].identity.ino == verdict->identity.ino)
            forget(v, i);
    if (v->n == MAX_VERDICTS)
        forget(v, 0);
    struct tn_verdict *items = realloc(v->items, (v->n + 1) * sizeof *items);
    if (items == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    v->items = items;
    v->items[v->n++] = *verdict;
    return TENON_OK;
}

/* ---- JSON --------------------------------------------------------------------------------------------------- */

static bool get_text(const cJSON *object, const char *key, char *ret, size_t capacity)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    if (text == NULL || strlen(text) >= capacity)
        return false;
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

static bool get_u64(const cJSON *object, const char *key, uint64_t *ret)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text != NULL && tn_str_u64(text, ret);
}

static bool read_verdict(const cJSON *object, struct tn_verdict *ret)
{
    const cJSON *good = cJSON_GetObjectItemCaseSensitive(object, "good");
    *ret = (struct tn_verdict){.good = cJSON_IsTrue(good)};
    return cJSON_IsBool(good) && get_u64(object, "dev", &ret->identity.dev) &&
           get_u64(object, "ino", &ret->identity.ino) && get_u64(object, "size", &ret->identity.size) &&
           get_u64(object, "mtime_ns", &ret->identity.mtime_ns) &&
           get_text(object, "sha256", ret->identity.sha256, sizeof ret->identity.sha256) &&
           get_text(object, "id", ret->id, sizeof ret->id) &&
           get_text(object, "version", ret->version, sizeof ret->version) &&
           get_text(object, "reason", ret->reason, sizeof ret->reason);
}

/* Verdicts of another host version are dropped: other services and checks may bring out other faults. */
static void read_json(struct tn_verdicts *v, const char *text, uint64_t size)
{
    char host[64];
    cJSON *root = cJSON_ParseWithLength(text, size);
    if (cJSON_IsObject(root) && get_text(root, "host", host, sizeof host) && strcmp(host, TN_VERSION) == 0) {
        const cJSON *object;
        cJSON_ArrayForEach(object, cJSON_GetObjectItemCaseSensitive(root, "files"))
        {
            struct tn_verdict verdict;
            if (read_verdict(object, &verdict))
                (void)put(v, &verdict); /* out of memory: it is unknown, and probed again */
        }
    }
    cJSON_Delete(root);
}

static bool add_u64(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value); /* 20 digits at most */
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool add_verdict(cJSON *files, const struct tn_verdict *v)
{
    cJSON *object = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(files, object)) {
        cJSON_Delete(object);
        return false;
    }
    return add_u64(object, "dev", v->identity.dev) && add_u64(object, "ino", v->identity.ino) &&
           add_u64(object, "size", v->identity.size) && add_u64(object, "mtime_ns", v->identity.mtime_ns) &&
           cJSON_AddStringToObject(object, "sha256", v->identity.sha256) != NULL &&
           cJSON_AddBoolToObject(object, "good", v->good) != NULL &&
           cJSON_AddStringToObject(object, "id", v->id) != NULL &&
           cJSON_AddStringToObject(object, "version", v->version) != NULL &&
           cJSON_AddStringToObject(object, "reason", v->reason) != NULL;
}

/* OWN: caller frees by cJSON_free. NULL: out of memory. */
static char *write_json(const struct tn_verdicts *v)
{
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(root, "host", TN_VERSION) != NULL;
    cJSON *files = ok ? cJSON_AddArrayToObject(root, "files") : NULL;
    ok = files != NULL;
    for (uint32_t i = 0; ok && i < v->n; i++)
        ok = add_verdict(files, &v->items[i]);
    if (ok)
        text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

/* ---- the file ----------------------------------------------------------------------------------------------- */

static char *cache_path(void)
{
    const char *cache = secure_getenv("XDG_CACHE_HOME");
    if (cache != NULL && cache[0] == '/')
        return tn_str_printf("%s/tenon/plugins.json", cache);
    const char *home = secure_getenv("HOME");
    return home != NULL && home[0] == '/' ? tn_str_printf("%s/.cache/tenon/plugins.json", home) : NULL;
}

/* Read the file over the list. A file that others may write is not believed. */
static void read_file(struct tn_verdicts *v)
{
    struct stat st;
    char *text = NULL;
    uint64_t size = 0;
    int fd = v->path != NULL ? open(v->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && tn_trust_stat(&st, v->path, /* err= */ NULL) == TENON_OK &&
        tn_file_read_fd(fd, v->path, CACHE_MAX_SIZE, &text, &size, /* err= */ NULL) == TENON_OK)
        read_json(v, text, size);
    free(text);
    (void)close(fd); /* read only */
}

void tn_verdicts_open(struct tn_verdicts *v)
{
    v->path = cache_path();
    read_file(v);
}

void tn_verdicts_finish(struct tn_verdicts *v)
{
    free(v->path);
    free(v->items);
    *v = (struct tn_verdicts){0};
}

static int32_t make_folder(const char *path, struct tenon_err *err)
{
    char *folder = strdup(path);
    if (folder == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "out of memory");
    *strrchr(folder, '/') = '\0';
    int32_t rc = tn_file_mkdirs(folder, err);
    free(folder);
    return rc;
}

/* The lock beside the file, or -1 when it cannot be had soon: then we write without it. */
static int lock(const char *path)
{
    char *name = tn_str_printf("%s.lock", path);
    int fd = name != NULL ? open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    free(name);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
        (void)usleep(LOCK_WAIT_US); /* cut short by a signal: the tries bound the wait anyway */
    return fd;
}

static int32_t write_file(const struct tn_verdicts *v, struct tenon_err *err)
{
    char *text = write_json(v);
    if (text == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, v->path, "cannot remember verdicts: out of memory");
    int32_t rc = tn_file_replace(v->path, text, strlen(text), err);
    cJSON_free(text);
    return rc;
}

int32_t tn_verdicts_record(struct tn_verdicts *v, const struct tn_verdict *verdict, struct tenon_err *err)
{
    if (put(v, verdict) != TENON_OK)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "plugins", "cannot remember the verdict: out of memory");
    if (v->path == NULL)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "plugins",
                          "neither HOME nor XDG_CACHE_HOME is set: plugins are probed in every run");
    int32_t rc = make_folder(v->path, err);
    if (rc != TENON_OK)
        return rc;
    int fd = lock(v->path);
    read_file(v); /* what others found out meanwhile; put keeps one verdict per file */
    if (put(v, verdict) != TENON_OK)
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "plugins", "cannot remember the verdict: out of memory");
    if (rc == TENON_OK)
        rc = write_file(v, err);
    if (fd >= 0)
        (void)close(fd); /* releases the lock */
    return rc;
}
