/* memory.h - how much of the machine's memory this process may have, handed to plugins as "tenon.memory/1" (plugin.h).
 *
 *     uint64_t bytes = tn_memory_available("");     // docker run --memory 2g: less than 2 GiB, whatever the machine has
 *
 * [any-thread]
 */
#ifndef TN_BASE_MEMORY_H
#define TN_BASE_MEMORY_H

#include <stdint.h>

#include <tenon/plugin.h>

/* Of the machine, or the least limit of this process's cgroups and those above them (version 2: memory.max and memory.high;
 * version 1: memory.limit_in_bytes). 0: not known. `root` stands before /proc and /sys: "" but in tests. */
uint64_t tn_memory_total(const char *root);
/* What of it is free or can be freed now, in the machine and within each limit: files in the system's cache count as free. 0: not
 * known; where it is known at least 1. */
uint64_t tn_memory_available(const char *root);

/* OWN: static. */
const struct tenon_memory *tn_memory_service(void);

#endif
