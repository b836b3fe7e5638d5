/* quota.h - how much processor time the control groups of this process give it, as containers are limited.
 *
 *     uint32_t most = tn_quota_cores("");           // docker run --cpus 1.5: 2
 *     if (most != 0 && threads > most) threads = most;
 *
 * Unlike an affinity mask a quota leaves all cores in sight: threads beyond it run, use it up, and then all are stopped until
 * its next period. [any-thread]
 */
#ifndef TN_BASE_QUOTA_H
#define TN_BASE_QUOTA_H

#include <stdint.h>

/* The least quota over period, rounded up, of this process's cgroups and those above them (version 2: cpu.max; version 1:
 * cpu.cfs_quota_us); 0: no quota is set or can be read. `root` stands before /proc and /sys: "" but in tests. */
uint32_t tn_quota_cores(const char *root);

#endif
