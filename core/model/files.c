/* files.c - opens, lists and maps the files of one model. Whole files are mapped once each and stay mapped, at the same
 * address, until close: tensors point into them. It reads nothing and knows no format. The lock guards the list of mapped
 * files; the entries themselves never change once they are in it. Contract: files.h. */
#include "core/model/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/map.h"
#include "core/base/num.h"
#include "core/base/str.h"
#include "core/base/torn.h"

/* One mapped file. */
struct mapping {
    const char *name; /* OWN: tn_files.by_name */
    int fd;           /* kept, to see whether the file was cut short */
    int32_t torn;     /* of core/base/torn.h */
    uint32_t id;
    void *data; /* [size] */
    uint64_t size;
};

struct tn_files {
    struct tenon_files table;
    int folder;               /* descriptor that names are relative to */
    char *name;               /* of the file the user named; NULL: a folder was */
    struct tn_strlist listed; /* in byte order */
    pthread_mutex_t lock;     /* by_name */
    struct tn_map by_name;    /* name -> struct mapping; the position of an entry is the file's id */
};

/* ---- names -------------------------------------------------------------------------------------------------- */

/* Every part between slashes must be a real name: not empty, not "." or "..". */
static bool name_is_inside(const char *name)
{
    for (;;) {
        size_t n = strcspn(name, "/");
        if (n == 0 || (n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        if (name[n] == '\0')
            return true;
        name += n + 1;
    }
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

/* ---- listing ------------------------------------------------------------------------------------------------ */

static int32_t list_folder(struct tn_files *files, int folder, const char *prefix, uint32_t depth, struct tenon_err *err);

/* One entry of a folder: files are listed, folders entered. What vanished meanwhile or is neither is left out. Links to
 * folders are not entered, for they may lead in circles. */
static int32_t list_entry(struct tn_files *files, int folder, const char *prefix, const char *entry, uint32_t depth,
                          struct tenon_err *err)
{
    struct stat st, link;
    int32_t rc = TENON_OK;
    if (fstatat(folder, entry, &st, 0) != 0 || fstatat(folder, entry, &link, AT_SYMLINK_NOFOLLOW) != 0)
        return TENON_OK;
    bool enter = S_ISDIR(link.st_mode) && depth < TN_FILES_DEPTH_MAX;
    if (!S_ISREG(st.st_mode) && !enter)
        return TENON_OK;
    char *name = tn_str_printf("%s%s%s", prefix, entry, enter ? "/" : "");
    if (name == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, entry, "out of memory while listing the model's folder");
    if (enter) {
        int inner = openat(folder, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (inner >= 0)
            rc = list_folder(files, inner, name, depth + 1, err);
    } else if (files->listed.n >= TN_FILES_LIST_MAX) {
        rc = tenon_fail(err, TENON_E_OUT_OF_RANGE, prefix, "more than %u files: this is no model's folder", TN_FILES_LIST_MAX);
    } else if (tn_strlist_add(&files->listed, name) != TENON_OK) {
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory while listing the model's folder");
    }
    free(name);
    return rc;
}

/* Takes the descriptor `folder`. `prefix` is "" or ends with "/". */
static int32_t list_folder(struct tn_files *files, int folder, const char *prefix, uint32_t depth, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    DIR *dir = fdopendir(folder);
    if (dir == NULL) {
        rc = tenon_fail(err, tn_file_status(errno), prefix, "cannot list the folder: %s", strerror(errno));
        (void)close(folder); /* nothing was written */
        return rc;
    }
    for (struct dirent *entry; rc == TENON_OK && (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = list_entry(files, folder, prefix, entry->d_name, depth, err);
    (void)closedir(dir); /* was only read */
    return rc;
}

static const char *name_at(void *ctx, uint32_t i)
{
    const struct tn_files *files = ctx;
    return i < files->listed.n ? files->listed.items[i] : NULL;
}

/* ---- mapping ------------------------------------------------------------------------------------------------ */

/* Open and map m->name. On failure nothing stays open. */
static int32_t map_file(const struct tn_files *files, const char *name, struct mapping *m, struct tenon_err *err)
{
    struct stat st;
    int32_t rc;
    /* NONBLOCK: opening a pipe must not wait for a writer */
    m->fd = openat(files->folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (m->fd < 0)
        return tenon_fail(err, tn_file_status(errno), name, "cannot open: %s", strerror(errno));
    if (fstat(m->fd, &st) != 0) {
        rc = tenon_fail(err, tn_file_status(errno), name, "cannot look at the file: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "is %s: only regular files can be mapped", kind_of(st.st_mode));
    } else if (st.st_size == 0) {
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "the file is empty: fetch it again");
    } else {
        m->size = (uint64_t)st.st_size;
        m->data = m->size > SIZE_MAX ? MAP_FAILED : mmap(NULL, (size_t)m->size, PROT_READ, MAP_PRIVATE, m->fd, 0);
        if (m->data != MAP_FAILED) {
            m->torn = tn_torn_watch(m->data, (size_t)m->size);
            return TENON_OK;
        }
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "cannot map %llu bytes: %s", (unsigned long long)m->size,
                        strerror(errno));
    }
    (void)close(m->fd); /* was only read */
    return rc;
}

static void mapping_destroy(void *value)
{
    struct mapping *m = value;
    tn_torn_forget(m->torn);
    (void)munmap(m->data, (size_t)m->size); /* both can only fail for arguments that are no mapping of ours */
    (void)close(m->fd);
    free(m);
}

/* Map a file that is not mapped yet. Called with the lock held. */
static int32_t add_mapping(struct tn_files *files, const char *name, const struct mapping **ret, struct tenon_err *err)
{
    struct mapping *m = malloc(sizeof *m);
    if (m == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory");
    int32_t rc = map_file(files, name, m, err);
    if (rc != TENON_OK) {
        free(m);
        return rc;
    }
    m->id = files->by_name.n;
    if (tn_map_put(&files->by_name, name, strlen(name), m) != TENON_OK) {
        mapping_destroy(m);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory");
    }
    m->name = files->by_name.entries[m->id].key;
    *ret = m;
    return TENON_OK;
}

static int32_t map_name(void *ctx, const char *name, uint32_t *ret_id, const void **ret_data, uint64_t *ret_size,
                        struct tenon_err *err)
{
    struct tn_files *files = ctx;
    int32_t rc = TENON_OK;
    if (!name_is_inside(name))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                          "file names are relative to the model's folder, without \"..\" and without \"/\" in front");
    (void)pthread_mutex_lock(&files->lock); /* a plain mutex that is not held cannot fail */
    const struct mapping *m = tn_map_get(&files->by_name, name, strlen(name));
    if (m == NULL)
        rc = add_mapping(files, name, &m, err);
    if (rc == TENON_OK) {
        *ret_id = m->id;
        *ret_data = m->data;
        *ret_size = m->size;
    }
    (void)pthread_mutex_unlock(&files->lock);
    return rc;
}

/* ---- open and close ----------------------------------------------------------------------------------------- */

/* Make the table's folder that of the file `path`, its only listed name the file's. */
static int32_t open_beside(struct tn_files *files, const char *path, struct tenon_err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    files->name = strdup(slash == NULL ? path : slash + 1);
    int32_t rc = TENON_OK;
    if (folder == NULL || files->name == NULL || tn_strlist_add(&files->listed, files->name) != TENON_OK) {
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "out of memory");
    } else {
        /* PATH: a folder that may be entered but not listed will do */
        files->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (files->folder < 0)
            rc = tenon_fail(err, tn_file_status(errno), folder, "cannot open the folder: %s", strerror(errno));
    }
    free(folder);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int32_t open_folder(struct tn_files *files, const char *path, struct tenon_err *err)
{
    files->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int list = files->folder < 0 ? -1 : openat(files->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0)
        return tenon_fail(err, tn_file_status(errno), path, "cannot open the folder: %s", strerror(errno));
    int32_t rc = list_folder(files, list, "", 0, err);
    if (rc == TENON_OK && files->listed.n > 1)
        qsort(files->listed.items, files->listed.n, sizeof *files->listed.items, by_bytes);
    return rc;
}

static int32_t open_path(struct tn_files *files, const char *path, struct tenon_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return tenon_fail(err, tn_file_status(errno), path, "cannot open the model: %s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return open_folder(files, path, err);
    if (!S_ISREG(st.st_mode))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, path, "is %s: give a model's file or folder", kind_of(st.st_mode));
    if (st.st_size == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, path, "the file is empty: fetch it again");
    return open_beside(files, path, err);
}

int32_t tn_files_open(const char *path, struct tn_files **ret_files, struct tenon_err *err)
{
    struct tn_files *files = calloc(1, sizeof *files);
    if (files == NULL || pthread_mutex_init(&files->lock, NULL) != 0) {
        free(files);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "out of memory");
    }
    files->folder = -1;
    files->table = (struct tenon_files){
        .struct_size = sizeof files->table, .ctx = files, .name_at = name_at, .map = map_name};
    int32_t rc = open_path(files, path, err);
    if (rc != TENON_OK) {
        tn_files_close(files);
        return rc;
    }
    *ret_files = files;
    return TENON_OK;
}

void tn_files_close(struct tn_files *files)
{
    if (files == NULL)
        return;
    tn_map_finish(&files->by_name, mapping_destroy);
    tn_strlist_finish(&files->listed);
    if (files->folder >= 0)
        (void)close(files->folder); /* was only read */
    (void)pthread_mutex_destroy(&files->lock);
    free(files->name);
    free(files);
}

const struct tenon_files *tn_files_table(const struct tn_files *files)
{
    return &files->table;
}

const char *tn_files_name(const struct tn_files *files)
{
    return files->name;
}

/* ---- mapped files ------------------------------------------------------------------------------------------- */

/* The mapping of an id, or NULL. */
static const struct mapping *mapping_at(const struct tn_files *files, uint32_t id)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&files->lock; /* the lock is no part of what const promises */
    (void)pthread_mutex_lock(lock);
    const struct mapping *m = id < files->by_name.n ? files->by_name.entries[id].value : NULL;
    (void)pthread_mutex_unlock(lock);
    return m;
}

/* Is [offset, offset + size) inside? */
static bool inside(const struct mapping *m, uint64_t offset, uint64_t size)
{
    return offset <= m->size && size <= m->size - offset;
}

int32_t tn_files_view(const struct tn_files *files, uint32_t id, uint64_t offset, uint64_t size, const void **ret_data,
                      struct tenon_err *err)
{
    const struct mapping *m = mapping_at(files, id);
    if (m == NULL)
        return tenon_fail(err, TENON_E_NOT_FOUND, "files", "no file has the number %u", (unsigned)id);
    if (!inside(m, offset, size))
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, m->name, "bytes %llu + %llu are outside the file of %llu bytes",
                          (unsigned long long)offset, (unsigned long long)size, (unsigned long long)m->size);
    *ret_data = (const char *)m->data + offset;
    return TENON_OK;
}

void tn_files_advise(const struct tn_files *files, uint32_t id, uint64_t offset, uint64_t size, enum tn_files_use use)
{
    const struct mapping *m = mapping_at(files, id);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), begin, end;
    if (m == NULL || size == 0 || !inside(m, offset, size))
        return;
    if (use == TN_FILES_SOON) { /* pages the stretch touches */
        begin = offset & ~(page - 1);
        end = offset + size;
    } else { /* pages that belong to the stretch alone: neighbours may still be in use */
        if (!tn_align_u64(offset, page, &begin))
            return;
        end = (offset + size) & ~(page - 1);
    }
    if (begin < end) /* failing is allowed: it was a hint */
        (void)madvise((char *)m->data + begin, (size_t)(end - begin), use == TN_FILES_SOON ? MADV_WILLNEED : MADV_DONTNEED);
}

/* Requests tell their callers the message alone, so the name is in it. */
int32_t tn_files_check(const struct tn_files *files, struct tenon_err *err)
{
    const struct mapping *m;
    struct stat st;
    for (uint32_t id = 0; (m = mapping_at(files, id)) != NULL; id++) {
        if (fstat(m->fd, &st) == 0 && (uint64_t)st.st_size < m->size) /* within its last page that raises no signal */
            return tenon_fail(err, TENON_E_DATA_LOSS, "files", "the file %s was cut short while in use: restore it and load the "
                              "model again", m->name);
        if (tn_torn_is(m->torn))
            return tenon_fail(err, TENON_E_DATA_LOSS, "files", "a part of the file %s could not be read while in use, for it was "
                              "written anew or its disk fails: check it and load the model again", m->name);
    }
    return TENON_OK;
}
