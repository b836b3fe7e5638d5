/* quota.c - a quota is in cpu.max (version 2) or cpu.cfs_quota_us and cpu.cfs_period_us (version 1) of a group's folder. What
 * cannot be read or understood sets none. Any thread. Contract: quota.h. */
#include "core/base/quota.h"

#include <stdio.h>

#include "core/base/cgroup.h"
#include "core/base/str.h"

/* Decimal digits, else no limit; in cores, rounded up, 0: none. */
static uint32_t cores_of(const char *quota, const char *period)
{
    uint64_t q, p, n;
    if (!tn_str_u64(quota, &q) || !tn_str_u64(period, &p) || q == 0 || p == 0)
        return 0;
    n = q / p + (q % p != 0);
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* "QUOTA PERIOD" or "max PERIOD" in one file; or a file for each, of which a quota of -1 is none. */
static void look(void *arg, const char *folder, bool v2)
{
    uint32_t *least = arg, cores;
    char text[64], quota[24] = "", period[24] = "";
    tn_cgroup_text(folder, v2 ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof text);
    (void)sscanf(text, "%23s %23s", quota, period); /* what is not there stays "" */
    if (!v2) {
        tn_cgroup_text(folder, "cpu.cfs_period_us", text, sizeof text);
        (void)sscanf(text, "%23s", period);
    }
    cores = cores_of(quota, period);
    if (cores != 0 && (*least == 0 || cores < *least))
        *least = cores;
}

uint32_t tn_quota_cores(const char *root)
{
    uint32_t least = 0;
    tn_cgroup_each(root, "cpu", look, &least);
    return least;
}
