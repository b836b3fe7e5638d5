/* test_cpu_packing.c - weights packed behind executions that run: whatever the threads see, the bits are those of the file's order.
 * Under the thread sanitizer (tools/test) nothing may race. Two threads: one runs a plan, the other packs. And on which rung weights are
 * taken. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_machine.h"
#include "plugins/quantizers/checkpoints/checkpoints.h"
#include "suite.h"

enum { ROWS = 7, K = 96, N = 133 }; /* the last group of packed rows is not full */
enum { LARGE_N = 49157 };           /* so many rows are packed in three regions, between which executions run */

struct scene {
    struct machine m;
    struct compiled c;
    struct tenon_buffer *packed;
    atomic_bool ended;
    int32_t status; /* of what failed first */
};

/* Check's asserts are for its own thread. */
static void *pack(void *arg)
{
    struct scene *s = arg;
    for (uint32_t i = 0; i < s->c.n && s->status == 0; i++) {
        struct tenon_weight_binding w = s->c.weights[i];
        uint64_t bytes = 0;
        s->status = s->m.be->weight_query(s->m.dev, &w, &w.rung, &bytes, NULL);
        if (s->status == 0 && bytes == 0)
            continue;
        if (s->status == 0)
            s->status = s->m.be->buffer_alloc(s->m.dev, bytes, 0, &s->packed, NULL);
        w.packed = (struct tenon_span){ s->packed, 0, bytes };
        if (s->status == 0)
            s->status = s->m.be->pack_in_use(s->c.exe, &w, NULL);
    }
    atomic_store(&s->ended, true);
    return NULL;
}

static void run_equal(struct scene *s, struct fixture *f, const struct machine_options *o, const void *want, uint64_t bytes)
{
    void *got;
    machine_execute(&s->m, f, o, &s->c, &got);
    ck_assert_mem_eq(got, want, bytes);
    free(got);
}

START_TEST(packed_behind_what_runs)
{
    const struct machine_options o = {.q8 = true};
    struct fixture f = {.dims = {.struct_size = sizeof f.dims, .sym[TENON_SYM_R] = ROWS}};
    struct scene s = {.status = 0};
    struct tenon_err err = TENON_ERR_INIT;
    const uint64_t n = _i < 6 ? N : LARGE_N;
    void *want;
    pthread_t thread;
    start();
    add_input(&f, "x", DIMS(R_, N_(K)));
    add_weight(&f, "w", DIMS(N_(n), N_(K)));
    run(&f, "core.matmul/1", NULL, 0, 1, 1);
    ck_assert_int_eq(setenv("TENON_CPU_ACTIVATIONS", _i % 2 == 0 ? "16" : "8", 1), 0); /* tests run in processes of their own */
    machine_open(&s.m, (uint32_t)_i % 6 / 2 + 1);
    s.m.packs_later = true;
    ck_assert_int_eq(machine_compile(&s.m, &f, &o, &s.c, &err), 0);
    machine_execute(&s.m, &f, &o, &s.c, &want);
    ck_assert_int_eq(pthread_create(&thread, NULL, pack, &s), 0);
    while (!atomic_load(&s.ended))
        run_equal(&s, &f, &o, want, ROWS * n * sizeof(float));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(s.status, 0);
    if (s.packed != NULL) /* now the file's order is read no more */
        memset(s.c.halves[0], 0x55, n * K / 32 * 34);
    run_equal(&s, &f, &o, want, ROWS * n * sizeof(float));
    machine_free(&s.m, &s.c);
    s.m.be->buffer_free(s.packed);
    machine_close(&s.m);
    free(want);
    finish(&f);
}
END_TEST

START_TEST(bad_packed_forms_are_refused)
{
    const struct machine_options o = {.q8 = true};
    struct fixture f = {.dims = {.struct_size = sizeof f.dims, .sym[TENON_SYM_R] = ROWS}};
    struct scene s = {.status = 0};
    struct tenon_err err = TENON_ERR_INIT;
    start();
    add_input(&f, "x", DIMS(R_, N_(K)));
    add_weight(&f, "w", DIMS(N_(N), N_(K)));
    run(&f, "core.matmul/1", NULL, 0, 1, 1);
    machine_open(&s.m, 2);
    s.m.packs_later = true;
    ck_assert_int_eq(machine_compile(&s.m, &f, &o, &s.c, &err), 0);
    struct tenon_weight_binding w = s.c.weights[0];
    ck_assert_int_eq(s.m.be->pack_in_use(s.c.exe, &w, &err), TENON_E_INVALID_ARGUMENT); /* no buffer */
    w.packed = (struct tenon_span){ s.c.buffers[0], 0, N * K / 32 * 34 };          /* without the rows that fill the last group */
    ck_assert_int_eq(s.m.be->pack_in_use(s.c.exe, &w, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(s.m.be->pack(s.m.dev, &w, &err), TENON_E_INVALID_ARGUMENT);
    w.weight += 100;
    ck_assert_int_eq(s.m.be->pack_in_use(s.c.exe, &w, &err), TENON_E_NOT_FOUND);
    machine_free(&s.m, &s.c);
    machine_close(&s.m);
    finish(&f);
}
END_TEST

/* What is asked before anything is loaded: 8-bit weights in sorted columns become floats, for which there are kernels; numbers with a
 * scale for each have none. */
START_TEST(expanded_weights_are_native)
{
    static const struct { const struct tenon_encoding *encoding; int32_t rung; } asked[] = {
        { &cp_expanded_f32, TENON_RUNG_NATIVE }, { &cp_affine_int8_b32, TENON_RUNG_NATIVE }, { &cp_scaled_int8, TENON_RUNG_COMPILED },
    };
    struct machine m;
    machine_open(&m, 1);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const struct tenon_weight_binding w = { .struct_size = sizeof w, .encoding = asked[i].encoding };
        int32_t rung = -1;
        uint64_t bytes = 1;
        ck_assert_int_eq(m.be->weight_query(m.dev, &w, &rung, &bytes, NULL), 0);
        ck_assert_msg(rung == asked[i].rung, "%s: rung %d", w.encoding->id, rung);
        ck_assert_uint_eq(bytes, 0);
    }
    machine_close(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu_packing");
    TCase *tc = tcase_create("packing");
    tcase_add_loop_test(tc, packed_behind_what_runs, 0, 12);
    tcase_add_test(tc, bad_packed_forms_are_refused);
    tcase_add_test(tc, expanded_weights_are_native);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
