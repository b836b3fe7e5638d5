/* threads.h - the process's one pool of compute threads, handed to plugins as "tenon.threads/1" (plugin.h).
 *
 *     struct tn_threads *pool;
 *     rc = tn_threads_create(0, &pool, err);                  // 0: tn_threads_usual()
 *     const struct tenon_threads *t = tn_threads_service(pool);
 *     t->submit(t->ctx, walk_plan, plan, plan_done);          // returns at once
 *     tn_threads_destroy(pool);                               // finishes what is queued
 *
 * Nothing is started before the first submit, so a command that computes nothing costs nothing. Regions run one after
 * the other in the order they were submitted. Between regions threads spin some tens of microseconds (yielding, where there
 * are more of them than cores), then sleep.
 */
#ifndef TN_BASE_THREADS_H
#define TN_BASE_THREADS_H

#include <pthread.h>
#include <stdint.h>

#include <tenon/plugin.h>

#define TN_THREADS_MAX 1024u
#define TN_THREADS_QUEUE 64u /* regions waiting or running; one more gives RESOURCE_EXHAUSTED */

struct tn_threads;

/* A thread with signals blocked, which are for the threads of the program; but not those that its own faults raise: blocked, they
 * end the process past every handler. Returns pthread_create's error, 0: it runs. */
int tn_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);

/* Cores in this process's affinity mask, at least 1. [any-thread] */
uint32_t tn_threads_cores(void);

/* Threads of a pool that was not told: cores, but no more than the CPU quota of the process's cgroups (quota.h) and
 * TN_THREADS_MAX. [any-thread] */
uint32_t tn_threads_usual(void);

/* A pool of n threads, 0: tn_threads_usual(). OWN: *ret until tn_threads_destroy. */
int32_t tn_threads_create(uint32_t n, struct tn_threads **ret, struct tenon_err *err);
/* Waits for queued regions, then ends the threads. NULL is allowed. Not from a pool thread. */
void tn_threads_destroy(struct tn_threads *pool);

/* OWN: pool. [any-thread] */
const struct tenon_threads *tn_threads_service(struct tn_threads *pool);

#endif
