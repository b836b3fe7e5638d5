/* file.c - reads a whole file through one descriptor (so that what was checked is what is read) and replaces one by
 * rename. It does not lock: the last writer wins. Any thread. Contract: file.h. */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/str.h"

int32_t tn_file_status(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return TENON_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return TENON_E_PERMISSION_DENIED;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC: return TENON_E_RESOURCE_EXHAUSTED;
    default: return TENON_E_UNKNOWN;
    }
}

static int32_t fail_errno(struct tenon_err *err, const char *path, const char *what)
{
    int error = errno;
    return tenon_fail(err, tn_file_status(error), path, "cannot %s: %s", what, strerror(error));
}

/* Read up to `size` bytes from offset 0; *ret_got is less when the file ends before. */
static int read_full(int fd, char *data, size_t size, size_t *ret_got)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = pread(fd, data + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *ret_got = got;
    return 0;
}

int32_t tn_file_read_fd(int fd, const char *name, uint64_t max_size, char **ret_data, uint64_t *ret_size,
                        struct tenon_err *err)
{
    struct stat st;
    size_t got;
    if (fstat(fd, &st) != 0)
        return fail_errno(err, name, "read");
    if (!S_ISREG(st.st_mode))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "cannot read: it is not a regular file");
    if (st.st_size < 0 || (uint64_t)st.st_size > max_size)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, name, "cannot read: %lld bytes, at most %llu are read here",
                          (long long)st.st_size, (unsigned long long)max_size);
    char *data = malloc((size_t)st.st_size + 1);
    if (data == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "cannot read: out of memory");
    if (read_full(fd, data, (size_t)st.st_size, &got) != 0) {
        int32_t rc = fail_errno(err, name, "read");
        free(data);
        return rc;
    }
    data[got] = '\0';
    *ret_data = data;
    *ret_size = got;
    return TENON_OK;
}

int32_t tn_file_read(const char *path, uint64_t max_size, char **ret_data, uint64_t *ret_size, struct tenon_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* NONBLOCK: a FIFO must not hang us */
    if (fd < 0)
        return fail_errno(err, path, "open");
    int32_t rc = tn_file_read_fd(fd, path, max_size, ret_data, ret_size, err);
    (void)close(fd); /* read only: nothing can be lost */
    return rc;
}

static int write_full(int fd, const char *data, uint64_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        size -= (uint64_t)n;
    }
    return 0;
}

int32_t tn_file_replace(const char *path, const char *data, uint64_t size, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    char *temp = tn_str_printf("%s.XXXXXX", path);
    if (temp == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "cannot write: out of memory");
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        rc = fail_errno(err, path, "write a new file beside it");
        goto out;
    }
    if (write_full(fd, data, size) != 0)
        rc = fail_errno(err, temp, "write");
    if (close(fd) != 0 && rc == TENON_OK)
        rc = fail_errno(err, temp, "write");
    if (rc == TENON_OK && rename(temp, path) != 0)
        rc = fail_errno(err, path, "replace");
    if (rc != TENON_OK)
        (void)unlink(temp); /* already failing: report the first cause */
out:
    free(temp);
    return rc;
}

int32_t tn_file_mkdirs(const char *path, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    char *copy = strdup(path);
    if (copy == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "cannot make the folder: out of memory");
    for (char *p = copy + 1; rc == TENON_OK; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            rc = fail_errno(err, copy, "make the folder");
        *p = end;
        if (end == '\0')
            break;
    }
    free(copy);
    return rc;
}
