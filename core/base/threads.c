/* threads.c - the compute pool: a FIFO of regions, each run by every thread. It knows nothing of what a region does.
 *
 * One word, `released`, counts the regions that may run. Every thread runs every region, so a thread needs only its own
 * count of regions seen: it waits until the word moves on, runs slot `seen`, and arrives; the last to arrive calls
 * `done` and releases the next. So regions never overlap, and between them no lock is taken but that of the queue,
 * twice per region.
 *
 * Waiting (for a region, and in the barrier) is a bounded spin and then a futex. With a core per thread a barrier costs
 * some hundred nanoseconds. Where two threads share a core, or another process has taken it, spinning only keeps the
 * core from the thread that everybody waits for: so a thread whose whole spin was in vain sleeps at once at its next
 * SPIN_PAUSE barriers before it tries again. In a pool with more threads than cores whoever waits yields its core at
 * every look, so that those with work to do come to run without anybody being woken.
 *
 * Lock: `lock` guards the ring's head and tail and the start of threads. Contract: threads.h, plugin.h.
 */
#include "core/base/threads.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/base/quota.h"

#define CACHE_LINE 64
#define SPIN_NS 40000u
#define CROWDED_SPIN_NS 200000u
#define SPIN_PAUSE 16

struct region {
    void (*fn)(void *arg, uint32_t i, uint32_t n);
    void (*done)(void *arg);
    void *arg;
};

/* A word that threads wait for to change, and how many of them sleep. */
struct gate {
    _Alignas(CACHE_LINE) _Atomic uint32_t word;
    _Atomic uint32_t sleepers;
};

struct worker {
    struct tn_threads *pool;
    pthread_t thread;
    uint32_t i;
};

struct tn_threads {
    struct tenon_threads service;
    uint32_t n;
    bool crowded;             /* more threads than cores: who waits lets others run */
    uint32_t n_started;       /* under lock */
    struct worker *workers;   /* [n] */
    pthread_mutex_t lock;
    uint64_t head, tail;      /* under lock: regions finished, regions submitted; head == tail: idle */
    struct region ring[TN_THREADS_QUEUE]; /* slot of region k is k % TN_THREADS_QUEUE */
    _Atomic bool ending;
    struct gate released;     /* regions released, modulo 2^32 */
    struct gate phase;        /* barriers passed, modulo 2^32 */
    _Alignas(CACHE_LINE) _Atomic uint32_t arrived; /* at the barrier */
    _Alignas(CACHE_LINE) _Atomic uint32_t returned; /* from the running region */
};

/* Barriers at which this thread still sleeps at once; see the head of this file. */
static _Thread_local int spin_pause;

/* ---- waiting ------------------------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spin until the word is no longer `old`; false when the pool's time for that ended first. */
static bool gate_spin(const struct tn_threads *pool, struct gate *gate, uint32_t old)
{
    uint64_t start = now_ns();
    do {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(&gate->word, memory_order_acquire) != old)
                return true;
            if (pool->crowded)
                (void)sched_yield();
            else
                cpu_relax();
        }
    } while (now_ns() - start < (pool->crowded ? CROWDED_SPIN_NS : SPIN_NS));
    return false;
}

/* Sleep until the word is no longer `old`. What was written before the change is seen after it. */
static void gate_sleep(struct gate *gate, uint32_t old)
{
    /* seq_cst here and in gate_open: either we see the new word, or the opener sees a sleeper. */
    atomic_fetch_add(&gate->sleepers, 1);
    while (atomic_load(&gate->word) == old)
        (void)syscall(SYS_futex, &gate->word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0); /* EAGAIN, EINTR: look again */
    atomic_fetch_sub(&gate->sleepers, 1);
}

static void gate_open(struct gate *gate)
{
    atomic_fetch_add(&gate->word, 1);
    if (atomic_load(&gate->sleepers) != 0)
        (void)syscall(SYS_futex, &gate->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

/* The last thread out of a region: tell its owner, release the next. */
static void region_finish(struct tn_threads *pool, const struct region *region)
{
    void (*done)(void *) = region->done;
    void *arg = region->arg;
    bool more;
    atomic_store_explicit(&pool->returned, 0, memory_order_relaxed); /* nobody else touches it until the next release */
    if (done != NULL)
        done(arg);
    pthread_mutex_lock(&pool->lock);
    pool->head++;
    more = pool->head != pool->tail;
    pthread_mutex_unlock(&pool->lock);
    if (more)
        gate_open(&pool->released);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct tn_threads *pool = w->pool;
    uint32_t seen = 0;
    for (;;) {
        const struct region *region;
        if (!gate_spin(pool, &pool->released, seen))
            gate_sleep(&pool->released, seen);
        if (atomic_load(&pool->ending))
            return NULL;
        region = &pool->ring[seen % TN_THREADS_QUEUE];
        region->fn(region->arg, w->i, pool->n);
        seen++;
        if (atomic_fetch_add_explicit(&pool->returned, 1, memory_order_acq_rel) + 1 == pool->n)
            region_finish(pool, region);
    }
}

int tn_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
    static const int faults[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP};
    sigset_t all, before;
    (void)sigfillset(&all); /* valid sets and numbers: none of these can fail */
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        (void)sigdelset(&all, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by what is started */
    int error = pthread_create(ret, NULL, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Start what is not started yet. Lock: held. */
static int32_t start_workers(struct tn_threads *pool)
{
    int error = 0;
    while (error == 0 && pool->n_started < pool->n) {
        struct worker *w = &pool->workers[pool->n_started];
        error = tn_thread_start(&w->thread, worker_main, w);
        if (error == 0) {
            (void)pthread_setname_np(w->thread, "tenon-compute");
            pool->n_started++;
        }
    }
    return error == 0 ? TENON_OK : TENON_E_RESOURCE_EXHAUSTED;
}

/* ---- the service -------------------------------------------------------------------------------------------- */

static uint32_t pool_count(void *ctx)
{
    return ((const struct tn_threads *)ctx)->n;
}

static int32_t pool_submit(void *ctx, void (*fn)(void *arg, uint32_t i, uint32_t n), void *arg, void (*done)(void *arg))
{
    struct tn_threads *pool = ctx;
    int32_t rc;
    bool was_idle = false;
    if (atomic_load(&pool->ending))
        return TENON_E_UNAVAILABLE;
    pthread_mutex_lock(&pool->lock);
    rc = pool->tail - pool->head < TN_THREADS_QUEUE ? start_workers(pool) : TENON_E_RESOURCE_EXHAUSTED;
    if (rc == TENON_OK) {
        was_idle = pool->head == pool->tail;
        pool->ring[pool->tail % TN_THREADS_QUEUE] = (struct region){ fn, done, arg };
        pool->tail++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (was_idle)
        gate_open(&pool->released);
    return rc;
}

/* Threads of one region only ever meet here, since the next region is released when all have returned. */
static void pool_barrier(void *ctx)
{
    struct tn_threads *pool = ctx;
    uint32_t phase = atomic_load_explicit(&pool->phase.word, memory_order_acquire);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == pool->n) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        gate_open(&pool->phase);
    } else if (spin_pause > 0) {
        spin_pause--;
        gate_sleep(&pool->phase, phase);
    } else if (!gate_spin(pool, &pool->phase, phase)) {
        spin_pause = SPIN_PAUSE;
        gate_sleep(&pool->phase, phase);
    }
}

/* ---- life --------------------------------------------------------------------------------------------------- */

uint32_t tn_threads_cores(void)
{
    cpu_set_t *set;
    uint32_t n = 0;
    for (int cpus = 1024; n == 0 && cpus <= 65536; cpus *= 2) { /* the mask may be larger than cpu_set_t */
        size_t size = CPU_ALLOC_SIZE(cpus);
        set = CPU_ALLOC(cpus);
        if (set == NULL)
            break;
        if (sched_getaffinity(0, size, set) == 0)
            n = (uint32_t)CPU_COUNT_S(size, set);
        CPU_FREE(set);
    }
    return n != 0 ? n : 1;
}

uint32_t tn_threads_usual(void)
{
    uint32_t n = tn_threads_cores(), quota = tn_quota_cores("");
    if (quota != 0 && quota < n)
        n = quota;
    return n < TN_THREADS_MAX ? n : TN_THREADS_MAX;
}

int32_t tn_threads_create(uint32_t n, struct tn_threads **ret, struct tenon_err *err)
{
    struct tn_threads *pool;
    uint32_t cores = tn_threads_cores();
    if (n == 0)
        n = tn_threads_usual();
    if (n > TN_THREADS_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "threads", "%u threads: the most is %u", n, TN_THREADS_MAX);
    pool = aligned_alloc(CACHE_LINE, sizeof *pool); /* sizeof is a multiple of its alignment */
    if (pool == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "threads", "out of memory");
    memset(pool, 0, sizeof *pool);
    pool->workers = calloc(n, sizeof *pool->workers);
    if (pool->workers == NULL) {
        free(pool);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "threads", "out of memory");
    }
    pool->n = n;
    pool->crowded = n > cores;
    pool->service = (struct tenon_threads){ (uint32_t)sizeof pool->service, 0, pool, pool_count, pool_submit, pool_barrier };
    for (uint32_t i = 0; i < n; i++)
        pool->workers[i] = (struct worker){ .pool = pool, .i = i };
    (void)pthread_mutex_init(&pool->lock, NULL); /* never fails with default attributes */
    *ret = pool;
    return TENON_OK;
}

static void nothing(void *arg, uint32_t i, uint32_t n)
{
    (void)arg, (void)i, (void)n;
}

struct drained {
    _Atomic uint32_t word;
};

static void set_drained(void *arg)
{
    struct drained *d = arg;
    atomic_store(&d->word, 1);
    (void)syscall(SYS_futex, &d->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void tn_threads_destroy(struct tn_threads *pool)
{
    if (pool == NULL)
        return;
    if (pool->n_started == pool->n) {
        struct drained d = { 0 };
        while (pool_submit(pool, nothing, &d, set_drained) != TENON_OK) /* the queue is full: it gets shorter */
            (void)sched_yield();
        while (atomic_load(&d.word) == 0)
            (void)syscall(SYS_futex, &d.word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    atomic_store(&pool->ending, true);
    gate_open(&pool->released);
    for (uint32_t i = 0; i < pool->n_started; i++)
        (void)pthread_join(pool->workers[i].thread, NULL);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

const struct tenon_threads *tn_threads_service(struct tn_threads *pool)
{
    return &pool->service;
}
