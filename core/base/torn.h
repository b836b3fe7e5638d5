/* torn.h - reads of mapped files whose pages are gone: cut short by someone else, or on a disk that fails.
 *
 *     int32_t slot = tn_torn_watch(data, size);        // after mmap
 *     ... reads by any threads ...
 *     if (tn_torn_is(slot)) ...                        // something read zeros in place of the file
 *     tn_torn_forget(slot);                            // before munmap, when nobody reads any more
 *
 * Such a read raises SIGBUS, which would end the process. The handler that the first watch installs, and that stays, maps zeros
 * over a watched range from that page on, marks it, and lets the read go on: whoever uses what was computed asks tn_torn_is
 * first. Any other SIGBUS goes to the handler that was there before, or ends the process as it would have. A program that
 * installs its own handler later without passing signals on, or that blocks SIGBUS in a thread that reads, is ended as if nothing
 * was watched. [any-thread]
 */
#ifndef TN_BASE_TORN_H
#define TN_BASE_TORN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TN_TORN_RANGES 1024u

/* A private mapping of ours, begun at a page. -1: no room, it is not watched. */
int32_t tn_torn_watch(const void *data, size_t size);
bool tn_torn_is(int32_t slot);     /* -1: false */
void tn_torn_forget(int32_t slot); /* -1 is allowed */

#endif
