/* trust.c - owner and mode of a path and its parents. Access control lists are seen through the group bits, which hold
 * their mask. Any thread. Contract: trust.h. */
#include "core/plugin/trust.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

static uid_t executable_owner(void)
{
    struct stat st;
    return stat("/proc/self/exe", &st) == 0 ? st.st_uid : geteuid();
}

static bool is_trusted_owner(uid_t uid)
{
    return uid == 0 || uid == geteuid() || uid == executable_owner();
}

int32_t tn_trust_stat(const struct stat *st, const char *path, struct tenon_err *err)
{
    unsigned mode = st->st_mode & 07777;
    if (!is_trusted_owner(st->st_uid))
        return tenon_fail(err, TENON_E_PERMISSION_DENIED, "",
                          "%s: belongs to user %u (mode %04o), neither root nor you: chown it, or do not use it", path,
                          (unsigned)st->st_uid, mode);
    bool sticky_root = S_ISDIR(st->st_mode) && (mode & S_ISVTX) != 0 && st->st_uid == 0;
    if ((mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky_root)
        return tenon_fail(err, TENON_E_PERMISSION_DENIED, "", "%s: mode %04o lets others write: chmod go-w %s", path,
                          mode, path);
    return TENON_OK;
}

static int32_t check_node(const char *path, struct tenon_err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return tenon_fail(err, tn_file_status(errno), "", "%s: %s", path, strerror(errno));
    if (S_ISLNK(st.st_mode))
        return tenon_fail(err, TENON_E_PERMISSION_DENIED, "", "%s: became a symbolic link while it was checked", path);
    return tn_trust_stat(&st, path, err);
}

int32_t tn_trust_path(const char *path, struct tenon_err *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part || path[0] != '/')
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: not an absolute path", path);
    memcpy(part, path, n + 1);
    int32_t rc = check_node("/", err);
    for (size_t i = 1; rc == TENON_OK && i <= n; i++) { /* from the root down: the first bad one is the cause */
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char end = part[i];
        part[i] = '\0';
        rc = check_node(part, err);
        part[i] = end;
    }
    return rc;
}
