/* test_threads.c - the compute pool: every call of a region runs, barriers hold, regions keep their order and do not
 * overlap, the queue is bounded, many submitters are fine, and ending waits for what is queued. */
#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/threads.h"
#include "suite.h"

#define ROUNDS 200

struct walk {
    const struct tenon_threads *t;
    uint64_t *sums; /* [ROUNDS][n]: not atomic on purpose, the barrier must order them */
    sem_t done;
};

/* In round r thread i writes its sum of all sums of round r - 1, so one lost barrier spoils the end. */
static void walk_fn(void *arg, uint32_t i, uint32_t n)
{
    struct walk *w = arg;
    for (uint32_t r = 0; r < ROUNDS; r++) {
        uint64_t sum = r + i;
        for (uint32_t j = 0; r > 0 && j < n; j++)
            sum += w->sums[(r - 1) * n + j];
        w->sums[r * n + i] = sum & 0xffffff;
        w->t->barrier(w->t->ctx);
    }
}

static void walk_done(void *arg)
{
    sem_post(&((struct walk *)arg)->done);
}

static uint64_t expected(uint32_t n)
{
    uint64_t before = 0, sum;
    for (uint32_t r = 0; r < ROUNDS; r++) {
        uint64_t all = 0;
        for (uint32_t i = 0; i < n; i++) {
            sum = (r + i + before) & 0xffffff;
            all += sum;
        }
        before = all;
    }
    return before;
}

static void check_walk(uint32_t n)
{
    struct tn_threads *pool;
    struct walk w = { 0 };
    uint64_t sum = 0;
    ck_assert_int_eq(tn_threads_create(n, &pool, NULL), 0);
    w.t = tn_threads_service(pool);
    ck_assert_uint_eq(w.t->count(w.t->ctx), n);
    w.sums = calloc((size_t)ROUNDS * n, sizeof *w.sums);
    sem_init(&w.done, 0, 0);
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(w.t->submit(w.t->ctx, walk_fn, &w, walk_done), 0);
        sem_wait(&w.done);
    }
    for (uint32_t i = 0; i < n; i++)
        sum += w.sums[(ROUNDS - 1) * n + i];
    ck_assert_uint_eq(sum, expected(n));
    tn_threads_destroy(pool);
    free(w.sums);
}

START_TEST(barriers_order_writes)
{
    static const uint32_t counts[] = { 1, 2, 3, 7 }; /* more than the cores of a small machine too */
    check_walk(counts[_i]);
}
END_TEST

struct order {
    _Atomic uint32_t inside; /* threads inside any region */
    _Atomic uint32_t next;   /* region expected to run */
    _Atomic uint32_t wrong;
    uint32_t n;
};
struct turn {
    struct order *order;
    uint32_t k;
};

static void turn_fn(void *arg, uint32_t i, uint32_t n)
{
    struct turn *t = arg;
    (void)i, (void)n;
    atomic_fetch_add(&t->order->inside, 1);
    if (atomic_load(&t->order->next) != t->k)
        atomic_fetch_add(&t->order->wrong, 1);
    atomic_fetch_sub(&t->order->inside, 1);
}

static void turn_done(void *arg)
{
    struct turn *t = arg;
    if (atomic_load(&t->order->inside) != 0)
        atomic_fetch_add(&t->order->wrong, 1);
    atomic_fetch_add(&t->order->next, 1);
}

START_TEST(regions_run_in_order_and_the_queue_is_bounded)
{
    struct tn_threads *pool;
    const struct tenon_threads *t;
    struct order order = { 0 };
    struct turn turns[2000];
    uint32_t k = 0, full = 0;
    ck_assert_int_eq(tn_threads_create(3, &pool, NULL), 0);
    t = tn_threads_service(pool);
    while (k < 2000) {
        int32_t rc;
        turns[k] = (struct turn){ &order, k };
        rc = t->submit(t->ctx, turn_fn, &turns[k], turn_done);
        if (rc == 0)
            k++;
        else
            full++;
        ck_assert(rc == 0 || rc == TENON_E_RESOURCE_EXHAUSTED);
    }
    tn_threads_destroy(pool); /* waits */
    ck_assert_uint_eq(atomic_load(&order.next), 2000);
    ck_assert_uint_eq(atomic_load(&order.wrong), 0);
    ck_assert_msg(full > 0, "2000 submits never met a full queue of %u", TN_THREADS_QUEUE);
}
END_TEST

struct submitter {
    const struct tenon_threads *t;
    _Atomic uint64_t *calls;
};

static void count_fn(void *arg, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    atomic_fetch_add((_Atomic uint64_t *)arg, 1);
}

static void *submit_many(void *arg)
{
    struct submitter *s = arg;
    for (int k = 0; k < 300; k++)
        while (s->t->submit(s->t->ctx, count_fn, s->calls, NULL) != 0)
            sched_yield();
    return NULL;
}

START_TEST(many_threads_submit)
{
    struct tn_threads *pool;
    _Atomic uint64_t calls = 0;
    pthread_t threads[4];
    struct submitter s;
    ck_assert_int_eq(tn_threads_create(2, &pool, NULL), 0);
    s = (struct submitter){ tn_threads_service(pool), &calls };
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_many, &s), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    tn_threads_destroy(pool);
    ck_assert_uint_eq(atomic_load(&calls), 4u * 300u * 2u);
}
END_TEST

START_TEST(life_without_work_and_bad_counts)
{
    struct tn_threads *pool = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_int_eq(tn_threads_create(0, &pool, &err), 0);
    ck_assert_uint_eq(tn_threads_service(pool)->count(pool), tn_threads_usual());
    tn_threads_destroy(pool);
    tn_threads_destroy(NULL);
    pool = NULL;
    ck_assert_int_eq(tn_threads_create(TN_THREADS_MAX + 1, &pool, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_ptr_null(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads");
    TCase *tc = tcase_create("pool");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, barriers_order_writes, 0, 4);
    tcase_add_test(tc, regions_run_in_order_and_the_queue_is_bounded);
    tcase_add_test(tc, many_threads_submit);
    tcase_add_test(tc, life_without_work_and_bad_counts);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
