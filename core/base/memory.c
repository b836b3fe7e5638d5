/* memory.c - the machine's memory from /proc/meminfo, or of the C library where there is none; then the limits of cgroups, each
 * less what the group uses and would not give back. Limits that cannot be read or understood are none. Any thread. Contract:
 * memory.h. */
#include "core/base/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cgroup.h"
#include "core/base/num.h"
#include "core/base/str.h"

#define NONE UINT64_MAX

struct bounds {
    uint64_t total, available; /* bytes; NONE: no limit yet */
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The number behind `key` at the beginning of a line, NONE: there is none. */
static uint64_t number_of(const char *text, const char *key)
{
    char digits[24] = "";
    uint64_t n;
    for (size_t size = strlen(key); text != NULL && digits[0] == '\0'; text = strchr(text, '\n')) {
        text += *text == '\n';
        if (strncmp(text, key, size) == 0)
            (void)sscanf(text + size, "%23s", digits); /* what is not there stays "" */
    }
    return tn_str_u64(digits, &n) ? n : NONE;
}

/* A file of one number. Version 2 writes "max" for no limit. */
static uint64_t number_in(const char *folder, const char *name)
{
    char text[32];
    tn_cgroup_text(folder, name, text, sizeof text);
    return number_of(text, "");
}

/* Of a group and those below it: pages of files, which go when memory is wanted for something else. */
static uint64_t cached_in(const char *folder, bool v2)
{
    char text[8192];
    tn_cgroup_text(folder, "memory.stat", text, sizeof text);
    uint64_t inactive = number_of(text, v2 ? "inactive_file " : "total_inactive_file ");
    uint64_t active = number_of(text, v2 ? "active_file " : "total_active_file "), sum;
    return inactive != NONE && active != NONE && tn_add_u64(inactive, active, &sum) ? sum : 0;
}

static void look(void *arg, const char *folder, bool v2)
{
    struct bounds *b = arg;
    uint64_t limit = number_in(folder, v2 ? "memory.max" : "memory.limit_in_bytes");
    if (v2)
        limit = least(limit, number_in(folder, "memory.high")); /* beyond it the group is slowed down */
    if (limit == NONE)
        return;
    uint64_t used = number_in(folder, v2 ? "memory.current" : "memory.usage_in_bytes"), cached = cached_in(folder, v2);
    used = used == NONE || used < cached ? 0 : used - cached;
    b->total = least(b->total, limit);
    b->available = least(b->available, used < limit ? limit - used : 0);
}

/* A line of meminfo, in kB; else as many pages as sysconf says. */
static uint64_t of_machine(const char *meminfo, const char *key, int name)
{
    uint64_t kib = number_of(meminfo, key), bytes;
    if (kib != NONE && tn_mul_u64(kib, 1024, &bytes))
        return bytes;
    long pages = sysconf(name), size = sysconf(_SC_PAGESIZE);
    return pages >= 0 && size > 0 && tn_mul_u64((uint64_t)pages, (uint64_t)size, &bytes) ? bytes : NONE;
}

static struct bounds bounds(const char *root)
{
    char folder[256], meminfo[4096] = "";
    int n = snprintf(folder, sizeof folder, "%s/proc", root);
    if (n > 0 && (size_t)n < sizeof folder)
        tn_cgroup_text(folder, "meminfo", meminfo, sizeof meminfo);
    struct bounds b = { of_machine(meminfo, "MemTotal:", _SC_PHYS_PAGES),
                        of_machine(meminfo, "MemAvailable:", _SC_AVPHYS_PAGES) };
    tn_cgroup_each(root, "memory", look, &b);
    return b;
}

uint64_t tn_memory_total(const char *root)
{
    uint64_t total = bounds(root).total;
    return total != NONE ? total : 0;
}

uint64_t tn_memory_available(const char *root)
{
    uint64_t available = bounds(root).available;
    return available == NONE ? 0 : available != 0 ? available : 1;
}

/* ---- as plugins see it */

static uint64_t service_total(void *ctx)
{
    (void)ctx;
    return tn_memory_total("");
}

static uint64_t service_available(void *ctx)
{
    (void)ctx;
    return tn_memory_available("");
}

const struct tenon_memory *tn_memory_service(void)
{
    static const struct tenon_memory service = { (uint32_t)sizeof service, 0, NULL, service_total, service_available };
    return &service;
}
