/* cgroup.c - reads the process's own cgroups from /proc/self/cgroup and visits each folder from there up to the top of the
 * hierarchy, where systemd and container runtimes mount it. Folders that are not there are visited too: in a container of version
 * 1 the file names folders of the machine, while the container sees its own group as the top. Any thread. Contract: cgroup.h. */
#include "core/base/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MOUNT "/sys/fs/cgroup"

struct walk {
    const char *root, *controller;
    tn_cgroup_fn fn;
    void *arg;
};

void tn_cgroup_text(const char *folder, const char *name, char *ret, size_t size)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    ret[f != NULL ? fread(ret, 1, size - 1, f) : 0] = '\0'; /* what cannot be read is not there */
    if (f != NULL)
        (void)fclose(f); /* it was only read */
}

/* Every folder from MOUNT/top/path up to MOUNT/top. `path` begins with a slash. */
static void walk_up(const struct walk *w, const char *top, const char *path, bool v2)
{
    char folder[PATH_MAX];
    int n_top = snprintf(folder, sizeof folder, "%s" MOUNT "%s", w->root, top);
    if (strstr(path, "..") != NULL) /* the group is outside of what a cgroup namespace shows */
        path = "";
    int n = snprintf(folder, sizeof folder, "%s" MOUNT "%s%s", w->root, top, path);
    if (n < 0 || (size_t)n >= sizeof folder)
        return;
    for (char *slash = folder; slash != NULL;) {
        w->fn(w->arg, folder, v2);
        slash = strrchr(folder + n_top, '/');
        if (slash != NULL)
            *slash = '\0';
    }
}

/* Is the word in a list with commas? */
static bool has_word(const char *list, const char *word, size_t size)
{
    for (;;) {
        size_t n = strcspn(list, ",");
        if (n == size && memcmp(list, word, n) == 0)
            return true;
        if (list[n] == '\0')
            return false;
        list += n + 1;
    }
}

/* A line "ID:CONTROLLERS:/PATH". Version 2 names no controllers, and is mounted beside version 1 where both are in use. Version 1
 * mounts controllers together by their whole list, mostly with a link for each. */
static void visit_line(const struct walk *w, char *line)
{
    char top[NAME_MAX];
    char *controllers = strchr(line, ':'), *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL || path[1] != '/')
        return;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (*++controllers == '\0') {
        walk_up(w, "", path, true);
        walk_up(w, "/unified", path, true);
    } else if (has_word(controllers, w->controller, strlen(w->controller))) {
        (void)snprintf(top, sizeof top, "/%s", w->controller);
        walk_up(w, top, path, false);
        int n = snprintf(top, sizeof top, "/%s", controllers);
        if (strcmp(controllers, w->controller) != 0 && n > 0 && (size_t)n < sizeof top)
            walk_up(w, top, path, false);
    }
}

void tn_cgroup_each(const char *root, const char *controller, tn_cgroup_fn fn, void *arg)
{
    struct walk w = { root, controller, fn, arg };
    char line[PATH_MAX + 256];
    int n = snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = n > 0 && (size_t)n < sizeof line ? fopen(line, "re") : NULL;
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        visit_line(&w, line);
    if (f != NULL)
        (void)fclose(f); /* it was only read */
}
