/* cgroup.h - the control groups this process is in: what containers are limited by.
 *
 *     static void look(void *arg, const char *folder, bool v2)     // of its own group first, then of those above it
 *     {
 *         char text[64];
 *         tn_cgroup_text(folder, v2 ? "pids.max" : "pids.limit", text, sizeof text);
 *     }
 *     tn_cgroup_each("", "pids", look, &least);
 *
 * A limit holds for a group and all below it, so that it is the least of those seen. [any-thread]
 */
#ifndef TN_BASE_CGROUP_H
#define TN_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/* A folder that a group may be seen in; it need not be there. */
typedef void (*tn_cgroup_fn)(void *arg, const char *folder, bool v2);

/* Both versions of cgroups, also side by side. `root` stands before /proc and /sys: "" but in tests. */
void tn_cgroup_each(const char *root, const char *controller, tn_cgroup_fn fn, void *arg);

/* The file's text as far as it fits, NUL-ended; "" where it cannot be read. Files of /proc and /sys do not tell their size
 * before. */
void tn_cgroup_text(const char *folder, const char *name, char *ret, size_t size);

#endif
