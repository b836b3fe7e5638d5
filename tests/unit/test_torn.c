/* test_torn.c - reads of mapped files that are cut short: zeros and a mark where the mapping is watched, else what would have been. Each
 * test runs in its own process, so in each the handler is installed anew. */
#include <check.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/threads.h"
#include "core/base/torn.h"
#include "suite.h"

#define PAGES 64

static size_t page;

/* A file of PAGES pages of 'x' and some bytes, mapped. */
struct mapped {
    int fd;
    size_t size;
    volatile const char *data; /* [size] */
    int32_t slot;
};

static struct mapped map_file(void)
{
    char name[] = "/tmp/tenon-torn-XXXXXX";
    struct mapped m = {.fd = mkstemp(name), .slot = -1};
    page = (size_t)sysconf(_SC_PAGESIZE);
    m.size = PAGES * page + 17;
    char *text = malloc(m.size);
    ck_assert(m.fd >= 0 && text != NULL);
    memset(text, 'x', m.size);
    ck_assert_int_eq(write(m.fd, text, m.size), (ssize_t)m.size);
    free(text);
    ck_assert_int_eq(unlink(name), 0);
    m.data = mmap(NULL, m.size, PROT_READ, MAP_PRIVATE, m.fd, 0);
    ck_assert_ptr_ne((void *)m.data, MAP_FAILED);
    return m;
}

static struct mapped watch_file(void)
{
    struct mapped m = map_file();
    m.slot = tn_torn_watch((const void *)m.data, m.size);
    ck_assert_int_ge(m.slot, 0);
    return m;
}

static void unmap(const struct mapped *m)
{
    tn_torn_forget(m->slot);
    ck_assert_int_eq(munmap((void *)m->data, m->size), 0);
    ck_assert_int_eq(close(m->fd), 0);
}

START_TEST(zeros_and_a_mark)
{
    struct mapped a = watch_file(), b = watch_file();
    ck_assert_int_eq(ftruncate(a.fd, (off_t)(10 * page)), 0);
    ck_assert(!tn_torn_is(a.slot));
    ck_assert_int_eq(a.data[10 * page - 1], 'x');
    ck_assert(!tn_torn_is(a.slot));
    ck_assert_int_eq(a.data[20 * page + 5], 0);
    ck_assert(tn_torn_is(a.slot) && !tn_torn_is(b.slot));
    ck_assert_int_eq(a.data[a.size - 1], 0);
    ck_assert_int_eq(a.data[10 * page], 0); /* before the first hole */
    ck_assert_int_eq(a.data[10 * page - 1], 'x');
    ck_assert_int_eq(b.data[b.size - 1], 'x');
    unmap(&a);
    ck_assert_int_eq(b.data[0], 'x');
    ck_assert_int_eq(ftruncate(b.fd, 0), 0);
    ck_assert_int_eq(b.data[0], 0);
    ck_assert(tn_torn_is(b.slot));
    unmap(&b);
    struct mapped c = watch_file(); /* in a slot that was torn */
    ck_assert(!tn_torn_is(c.slot));
    unmap(&c);
    ck_assert(!tn_torn_is(-1));
}
END_TEST

static void *sum_all(void *arg)
{
    const struct mapped *m = arg;
    uintptr_t sum = 0;
    for (size_t i = 0; i < m->size; i++)
        sum += (unsigned char)m->data[i];
    return (void *)sum;
}

/* Threads of the host have most signals blocked. */
START_TEST(many_threads_at_once)
{
    for (int round = 0; round < 20; round++) {
        struct mapped m = watch_file();
        pthread_t threads[8];
        void *sum;
        ck_assert_int_eq(ftruncate(m.fd, (off_t)(round * page)), 0);
        for (int i = 0; i < 8; i++)
            ck_assert_int_eq(tn_thread_start(&threads[i], sum_all, &m), 0);
        for (int i = 0; i < 8; i++) {
            ck_assert_int_eq(pthread_join(threads[i], &sum), 0);
            ck_assert_uint_eq((uintptr_t)sum, (uintptr_t)('x' * round * page));
        }
        ck_assert(tn_torn_is(m.slot));
        unmap(&m);
    }
}
END_TEST

START_TEST(no_room)
{
    static int32_t slots[TN_TORN_RANGES];
    for (uint32_t i = 0; i < TN_TORN_RANGES; i++)
        ck_assert_int_ge(slots[i] = tn_torn_watch(slots, 1), 0);
    ck_assert_int_eq(tn_torn_watch(slots, 1), -1);
    tn_torn_forget(-1);
    tn_torn_forget(slots[7]);
    ck_assert_int_eq(tn_torn_watch(slots, 1), slots[7]);
}
END_TEST

/* ---- what is not ours ------------------------------------------------------------------------------------------ */

static sigjmp_buf back;
static volatile sig_atomic_t calls, code;

static void plain(int sig)
{
    (void)sig;
    calls++;
    siglongjmp(back, 1);
}

static void informed(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    calls += 10;
    code = info->si_code;
    siglongjmp(back, 1);
}

/* Read past the end of a mapping that is not watched, or is no more. */
static void read_torn(bool forgotten)
{
    struct mapped m = forgotten ? watch_file() : map_file();
    if (forgotten)
        tn_torn_forget(m.slot);
    if (ftruncate(m.fd, 0) == 0)
        (void)m.data[5 * page];
}

START_TEST(an_earlier_handler_has_the_others)
{
    struct sigaction act = {.sa_handler = plain};
    if (_i % 2 != 0)
        act = (struct sigaction){.sa_sigaction = informed, .sa_flags = SA_SIGINFO};
    ck_assert_int_eq(sigaction(SIGBUS, &act, NULL), 0);
    struct mapped m = watch_file();
    if (sigsetjmp(back, 1) == 0)
        read_torn(_i >= 2);
    ck_assert_int_eq(calls, _i % 2 != 0 ? 10 : 1);
    ck_assert(_i % 2 == 0 || code == BUS_ADRERR);
    if (sigsetjmp(back, 1) == 0)
        ck_assert_int_eq(raise(SIGBUS), 0);
    ck_assert_int_eq(calls, _i % 2 != 0 ? 20 : 2);
    ck_assert(!tn_torn_is(m.slot));
    ck_assert_int_eq(ftruncate(m.fd, 0), 0); /* and ours stay ours */
    ck_assert_int_eq(m.data[page], 0);
    ck_assert_int_eq(calls, _i % 2 != 0 ? 20 : 2);
    unmap(&m);
}
END_TEST

/* The wait status of a child that does it. */
static int outcome(void (*handler)(int sig), bool is_sent)
{
    int status;
    pid_t pid;
    ck_assert(signal(SIGBUS, handler) != SIG_ERR);
    struct mapped m = watch_file();
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (is_sent)
            (void)kill(getpid(), SIGBUS);
        else
            read_torn(true);
        _exit(7);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    unmap(&m);
    return status;
}

START_TEST(without_an_earlier_handler_the_process_ends)
{
    int status = outcome(_i < 2 ? SIG_DFL : SIG_IGN, _i % 2 != 0);
    if (_i == 3) /* a signal that is sent may be ignored, a fault may not */
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    else
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %d", status);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torn");
    TCase *tc = tcase_create("mappings");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, zeros_and_a_mark);
    tcase_add_test(tc, many_threads_at_once);
    tcase_add_test(tc, no_room);
    tcase_add_loop_test(tc, an_earlier_handler_has_the_others, 0, 4);
    tcase_add_loop_test(tc, without_an_earlier_handler_the_process_ends, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
