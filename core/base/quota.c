/* quota.c - reads the process's own cgroups from /proc/self/cgroup and looks for a quota in each folder from there up to the
 * top of the hierarchy. Folders that are not there are passed over: in a container of cgroup version 1 the file names folders of
 * the machine, while the container sees its own group as the top. What cannot be read or understood sets no quota. Any thread.
 * Contract: quota.h. */
#include "core/base/quota.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/str.h"

#define MOUNT "/sys/fs/cgroup"

/* A limit of one folder, in cores; 0: none. */
typedef uint32_t (*limit_fn)(const char *folder);

static uint32_t least(uint32_t a, uint32_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Numbers in decimal digits, else no limit. */
static uint32_t cores_of(const char *quota, const char *period)
{
    uint64_t q, p, n;
    if (!tn_str_u64(quota, &q) || !tn_str_u64(period, &p) || q == 0 || p == 0)
        return 0;
    n = q / p + (q % p != 0);
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* The first words of a file, "" where there are less. */
static void read_words(const char *folder, const char *name, char ret_first[24], char ret_second[24])
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    ret_first[0] = ret_second[0] = '\0';
    if (f == NULL)
        return;
    (void)fscanf(f, "%23s %23s", ret_first, ret_second); /* what is not there stays "" */
    (void)fclose(f);                                     /* it was only read */
}

/* "QUOTA PERIOD", or "max PERIOD". */
static uint32_t limit_v2(const char *folder)
{
    char quota[24], period[24];
    read_words(folder, "cpu.max", quota, period);
    return cores_of(quota, period);
}

/* A quota of -1: none. */
static uint32_t limit_v1(const char *folder)
{
    char quota[24], period[24], none[24];
    read_words(folder, "cpu.cfs_quota_us", quota, none);
    read_words(folder, "cpu.cfs_period_us", period, none);
    return cores_of(quota, period);
}

/* The least limit from top/path up to top. `path` is "" or begins with a slash. */
static uint32_t walk_up(const char *top, const char *path, limit_fn limit)
{
    char folder[PATH_MAX];
    size_t n_top = strlen(top);
    uint32_t found = 0;
    int n;
    if (strstr(path, "..") != NULL) /* the group is outside of what a cgroup namespace shows */
        path = "";
    n = snprintf(folder, sizeof folder, "%s%s", top, path);
    if (n < 0 || (size_t)n >= sizeof folder)
        return 0;
    for (;;) {
        found = least(found, limit(folder));
        char *slash = strrchr(folder + n_top, '/');
        if (slash == NULL)
            return found;
        *slash = '\0';
    }
}

static bool has_cpu(const char *controllers)
{
    for (;;) {
        size_t n = strcspn(controllers, ",");
        if (n == 3 && memcmp(controllers, "cpu", n) == 0)
            return true;
        if (controllers[n] == '\0')
            return false;
        controllers += n + 1;
    }
}

/* A line "ID:CONTROLLERS:/PATH"; version 2 names no controllers. Version 1 mounts controllers together by their whole list, with a
 * link for each. */
static uint32_t limit_of_line(const char *root, char *line)
{
    char top[PATH_MAX];
    char *controllers = strchr(line, ':'), *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL || path[1] != '/')
        return 0;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    bool is_v2 = *++controllers == '\0';
    int n = snprintf(top, sizeof top, "%s" MOUNT "%s", root, is_v2 ? "" : "/cpu");
    if (n < 0 || (size_t)n >= sizeof top || (!is_v2 && !has_cpu(controllers)))
        return 0;
    uint32_t found = walk_up(top, path, is_v2 ? limit_v2 : limit_v1);
    if (is_v2 || found != 0)
        return found;
    n = snprintf(top, sizeof top, "%s" MOUNT "/%s", root, controllers);
    return n > 0 && (size_t)n < sizeof top ? walk_up(top, path, limit_v1) : 0;
}

uint32_t tn_quota_cores(const char *root)
{
    char line[PATH_MAX + 256];
    uint32_t found = 0;
    int n = snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = n > 0 && (size_t)n < sizeof line ? fopen(line, "re") : NULL;
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        found = least(found, limit_of_line(root, line));
    if (f != NULL)
        (void)fclose(f); /* it was only read */
    return found;
}
