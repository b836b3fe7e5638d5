/* torn.c - the handler of SIGBUS and the table of ranges it looks in. The handler takes no lock and makes one system call. A
 * slot of the table is changed between two steps of its `version`: the handler passes over one that changes meanwhile, for a
 * range is watched before anything reads it, and forgotten when nothing does. Contract: torn.h. */
#include "core/base/torn.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct range {
    _Atomic uint32_t version;      /* odd: being changed */
    _Atomic uintptr_t begin, end;  /* end 0: the slot is free */
    _Atomic bool torn;
};

static struct range ranges[TN_TORN_RANGES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards changes of slots */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before; /* like page, written before the handler is there */
static uintptr_t page;

/* ---- the handler -------------------------------------------------------------------------------------------- */

/* The range with that address as it is now: false, it is another's or changes. */
static bool read_range(struct range *r, uintptr_t address, uintptr_t *ret_end)
{
    uint32_t version = atomic_load(&r->version);
    uintptr_t begin = atomic_load(&r->begin), end = atomic_load(&r->end);
    *ret_end = end;
    return version % 2 == 0 && address >= begin && address < end && atomic_load(&r->version) == version;
}

/* mmap without what sanitizers put around it, which is not made for signal handlers. */
static bool map_zeros(uintptr_t from, size_t size)
{
#ifdef SYS_mmap2
    const long number = SYS_mmap2;
#else
    const long number = SYS_mmap;
#endif
    const long read_only = PROT_READ, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED; /* all are whole words to syscall */
    return syscall(number, from, size, read_only, flags, -1L, 0L) == (long)from;
}

/* Zeros from the page of the address to the end of its range. They are marked before they can be read. */
static bool put_zeros(uintptr_t address)
{
    uintptr_t end, from = address & ~(page - 1);
    for (uint32_t i = 0; i < TN_TORN_RANGES; i++) {
        if (!read_range(&ranges[i], address, &end))
            continue;
        atomic_store(&ranges[i].torn, true);
        return map_zeros(from, end - from);
    }
    return false;
}

/* What would have been without us. A fault whose handler is not changed comes again at once; what kill(2) sent does not. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
    bool is_sent = info->si_code <= 0;
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(sig, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(sig);
    } else if (!is_sent || before.sa_handler == SIG_DFL) { /* nobody can ignore a fault */
        (void)signal(sig, SIG_DFL); /* a valid number: cannot fail, as below */
        if (is_sent)
            (void)raise(sig); /* when this handler returns */
    }
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
    int error = errno; /* of what was interrupted */
    if (info->si_code != BUS_ADRERR || !put_zeros((uintptr_t)info->si_addr))
        pass_on(sig, info, context);
    errno = error;
}

/* ON_STACK: where threads have a stack for signals, that of the program may be too small. */
static void install(void)
{
    struct sigaction act = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)sigemptyset(&act.sa_mask);
    (void)sigaction(SIGBUS, NULL, &before); /* neither fails with these arguments */
    (void)sigaction(SIGBUS, &act, NULL);
}

/* ---- the table ---------------------------------------------------------------------------------------------- */

/* Lock: held. */
static void set_range(struct range *r, uintptr_t begin, uintptr_t end)
{
    atomic_fetch_add(&r->version, 1);
    atomic_store(&r->begin, begin);
    atomic_store(&r->end, end);
    atomic_store(&r->torn, false);
    atomic_fetch_add(&r->version, 1);
}

int32_t tn_torn_watch(const void *data, size_t size)
{
    int32_t slot = -1;
    (void)pthread_once(&once, install);
    (void)pthread_mutex_lock(&lock); /* a plain mutex that is not held cannot fail */
    for (int32_t i = 0; slot < 0 && i < (int32_t)TN_TORN_RANGES; i++)
        if (atomic_load(&ranges[i].end) == 0)
            slot = i;
    if (slot >= 0)
        set_range(&ranges[slot], (uintptr_t)data, (uintptr_t)data + size);
    (void)pthread_mutex_unlock(&lock);
    return slot;
}

bool tn_torn_is(int32_t slot)
{
    return slot >= 0 && atomic_load(&ranges[slot].torn);
}

void tn_torn_forget(int32_t slot)
{
    if (slot < 0)
        return;
    (void)pthread_mutex_lock(&lock);
    set_range(&ranges[slot], 0, 0);
    (void)pthread_mutex_unlock(&lock);
}
