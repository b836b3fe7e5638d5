/* test_engine.c - the engine from request to END, with the plugins of fake_plugins.h: whatever the chunks, the company, cancels
 * and failures, a request's text is what its own tokens say. What loading does is test_engine_load.c's. */
#include <check.h>
#include <stdatomic.h>
#include <string.h>

#include "core/engine/step.h"
#include "engine_fixture.h"
#include "suite.h"

START_TEST(any_chunking_gives_the_same_answer)
{
    static const uint32_t chunks[] = { 1, 3, 7, 16, 500 };
    struct client c;
    open_engine(400, 1, chunks[_i]);
    submit(&c, long_prompt, 40, NULL);
    check_answer(&c, long_prompt, 40);
    ck_assert_uint_ge(atomic_load(&fake.steps), sizeof long_prompt / chunks[_i]);
    close_engine();
}
END_TEST

START_TEST(many_at_once_do_not_mix)
{
    enum { N = 40 };
    static struct client clients[N];
    char prompts[N][64];
    struct tenon_engine_stats stats = { .struct_size = sizeof stats };
    open_engine(200, 4, 16);
    atomic_store(&fake.slow_us, 100);
    for (int i = 0; i < N; i++) {
        (void)snprintf(prompts[i], sizeof prompts[i], "%.*s number %d", i % 23, long_prompt, i);
        submit(&clients[i], prompts[i], (uint64_t)(5 + i % 17), NULL);
    }
    for (int i = 0; i < N; i++)
        check_answer(&clients[i], prompts[i], (uint32_t)(5 + i % 17));
    ck_assert_uint_eq(atomic_load(&fake.widest), 4);
    ck_assert_int_eq(e->stats(e->ctx, model, &stats), 0);
    ck_assert_uint_eq(stats.requests, N);
    ck_assert_uint_eq(stats.waiting, 0);
    ck_assert_uint_le(stats.kv_pages_used, stats.kv_pages);
    close_engine();
}
END_TEST

START_TEST(the_next_turn_computes_only_what_is_new)
{
    struct client c;
    char next[300];
    open_engine(400, 1, 500);
    submit(&c, long_prompt, 10, NULL);
    client_wait(&c);
    (void)snprintf(next, sizeof next, "%s%.*s and more", long_prompt, 5, c.text.data);
    client_finish(&c);
    submit(&c, next, 10, NULL);
    client_wait(&c);
    ck_assert_uint_ge(c.usage.cached_tokens, sizeof long_prompt);
    check_answer(&c, next, 10);
    submit(&c, long_prompt, 10, NULL); /* and back: cut, not stale */
    check_answer(&c, long_prompt, 10);
    close_engine();
}
END_TEST

START_TEST(ends)
{
    struct client c;
    int32_t want[64];
    char stop[3];
    open_engine(64, 1, 16);
    expect("stop me", 20, want);
    (void)snprintf(stop, sizeof stop, "%c%c", (char)want[3], (char)want[4]);
    submit(&c, "stop me", 20, stop);
    client_wait(&c);
    ck_assert_int_eq(c.end.end, TENON_END_STOP);
    ck_assert_uint_le(c.text.len, 3);
    ck_assert_ptr_null(memmem(c.text.data, c.text.len, stop, 2));
    client_finish(&c);
    submit(&c, "fill the context", 0, NULL); /* no limit but the context's 64: prompt 17, so at most 48 tokens out */
    client_wait(&c);
    ck_assert(c.end.end == TENON_END_STOP || (c.end.end == TENON_END_LENGTH && c.n_tokens == 48));
    client_finish(&c);
    close_engine();
}
END_TEST

START_TEST(cancelling)
{
    struct client a, b, waiting;
    uint64_t id, id_waiting;
    open_engine(400, 1, 16);
    submit(&a, "", 0, NULL); /* BOS alone */
    client_wait(&a);
    client_finish(&a);
    atomic_store(&fake.slow_us, 2000);
    id = submit(&a, long_prompt, 200, NULL);
    id_waiting = submit(&waiting, "waiting", 5, NULL);
    ck_assert_int_eq(e->cancel(e->ctx, id_waiting), 0);
    ck_assert_int_eq(e->cancel(e->ctx, id), 0);
    client_wait(&a);
    client_wait(&waiting);
    ck_assert_int_eq(a.end.end, TENON_END_CANCELLED);
    ck_assert_int_eq(waiting.end.end, TENON_END_CANCELLED);
    ck_assert_uint_eq(waiting.n_tokens, 0);
    ck_assert_int_eq(e->cancel(e->ctx, 999), TENON_E_NOT_FOUND);
    client_finish(&a);
    client_finish(&waiting);
    {
        struct tenon_request r = { .struct_size = sizeof r, .prompt_kind = TENON_PROMPT_TEXT, .model = model,
                                   .prompt = "from the callback", .prompt_size = 17, .max_tokens = 50, .ignore_end = 1,
                                   .on_event = on_event, .arg = &b };
        client_init(&b);
        b.cancel_at = 3;
        ck_assert_int_eq(e->submit(e->ctx, &r, NULL, NULL), 0);
        client_wait(&b);
        ck_assert_int_eq(b.end.end, TENON_END_CANCELLED);
        ck_assert_uint_eq(b.n_tokens, 3);
        client_finish(&b);
    }
    submit(&a, "after all that", 5, NULL);
    check_answer(&a, "after all that", 5);
    close_engine();
}
END_TEST

START_TEST(unloading_ends_what_runs_and_waits)
{
    static struct client clients[6];
    open_engine(400, 2, 8);
    atomic_store(&fake.slow_us, 3000);
    for (int i = 0; i < 6; i++)
        submit(&clients[i], long_prompt, 300, NULL);
    e->unload(e->ctx, model);
    ck_assert_ptr_null(e->model_at(e->ctx, 0));
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(clients[i].n_end, 1);
        client_finish(&clients[i]);
    }
    close_engine();
}
END_TEST

START_TEST(a_failing_step_ends_its_requests_alone)
{
    struct client c;
    open_engine(400, 1, 16);
    atomic_store(&fake.fail_step, 3);
    submit(&c, long_prompt, 10, NULL);
    client_wait(&c);
    ck_assert_int_eq(c.end.end, TENON_END_ERROR);
    ck_assert_int_eq(c.end.status, TENON_E_INTERNAL);
    ck_assert_ptr_nonnull(strstr(c.message, "the device broke"));
    client_finish(&c);
    submit(&c, long_prompt, 10, NULL);
    check_answer(&c, long_prompt, 10);
    close_engine();
}
END_TEST

static int32_t refuse(struct tenon_request r, const char *want)
{
    struct tenon_err err = TENON_ERR_INIT;
    uint64_t id = 7;
    int32_t rc;
    r.struct_size = sizeof r;
    r.model = model;
    rc = e->submit(e->ctx, &r, &id, &err);
    ck_assert_uint_eq(id, 7); /* untouched */
    ck_assert_msg(rc != 0 && strstr(err.message, want) != NULL, "\"%s\" does not say \"%s\"", err.message, want);
    return rc;
}

START_TEST(output_of_no_number_is_an_error)
{
    struct client c;
    open_engine(400, 1, 512);
    atomic_store(&fake.nan_from, 3);
    submit(&c, long_prompt, 10, NULL);
    client_wait(&c);
    ck_assert_int_eq(c.end.end, TENON_END_ERROR);
    ck_assert_int_eq(c.end.status, TENON_E_DATA_LOSS);
    ck_assert_ptr_nonnull(strstr(c.message, "not a number"));
    ck_assert_uint_eq(c.usage.output_tokens, 2);
    client_finish(&c);
    close_engine();
}
END_TEST

START_TEST(bad_requests_are_refused_at_once)
{
    static const int32_t ids[] = { 1, 2, FAKE_VOCAB }, negative[] = { -1 };
    char big[300];
    memset(big, 'x', sizeof big);
    open_engine(100, 1, 16);
    ck_assert_int_eq(refuse((struct tenon_request){ .prompt_kind = TENON_PROMPT_IDS, .ids = ids, .n_ids = 3 }, "260"),
                     TENON_E_INVALID_ARGUMENT);
    refuse((struct tenon_request){ .prompt_kind = TENON_PROMPT_IDS, .ids = negative, .n_ids = 1 }, "-1");
    refuse((struct tenon_request){ .prompt_kind = TENON_PROMPT_TEXT, .prompt = "a\x7f", .prompt_size = 2 }, "260");
    refuse((struct tenon_request){ .prompt_kind = TENON_PROMPT_IDS }, "empty");
    refuse((struct tenon_request){ .prompt_kind = 77 }, "77");
    refuse((struct tenon_request){ .prompt_kind = TENON_PROMPT_TEXT, .prompt = big, .prompt_size = sizeof big }, "--context");
    refuse((struct tenon_request){ .prompt_kind = TENON_PROMPT_MESSAGES, .prompt = "{}", .prompt_size = 2 }, "array");
    refuse((struct tenon_request){ .prompt_kind = TENON_PROMPT_TEXT, .prompt = "x", .prompt_size = 1,
                                   .sampling = { .temperature = -1 } }, "temperature");
    close_engine();
}
END_TEST

START_TEST(messages_go_through_the_template)
{
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"hi\"}]";
    static const char want[] = "user:hi\nbot:"; /* as rendered; no BOS is added to it */
    struct client c;
    struct tenon_request r = { .struct_size = sizeof r, .prompt_kind = TENON_PROMPT_MESSAGES, .prompt = messages,
                               .prompt_size = sizeof messages - 1, .max_tokens = 1, .on_event = on_event, .arg = &c };
    struct tenon_err err = TENON_ERR_INIT;
    int32_t all[64];
    char text[64];
    uint64_t n = 0;
    open_engine(100, 1, 16);
    r.model = model;
    client_init(&c);
    ck_assert_msg(e->submit(e->ctx, &r, NULL, &err) == 0, "%s", err.message);
    client_wait(&c);
    for (uint32_t i = 0; i < sizeof want - 1; i++)
        all[i] = (unsigned char)want[i];
    ck_assert_int_eq(c.tokens[0], fake_next(all, sizeof want - 1));
    ck_assert_uint_eq(c.usage.prompt_tokens, sizeof want - 1);
    client_finish(&c);
    ck_assert_int_eq(e->render(e->ctx, model, "{\"messages\":[]}", 15, text, sizeof text, &n, &err), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(e->render(e->ctx, model, "[]", 2, text, sizeof text, &n, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(e->tokenize(e->ctx, model, "abc", 3, 0, all, 2, &n, &err), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(e->detokenize(e->ctx, model, all, 2, 0, text, sizeof text, &n, &err), 0);
    ck_assert_uint_eq(n, 2);
    ck_assert_mem_eq(text, "ab", 2);
    close_engine();
}
END_TEST

/* Whatever else is in the step, the rows of a sequence are the same. */
START_TEST(steps_of_several_sequences)
{
    struct tn_stepper *st;
    struct tn_seq *seqs[3];
    struct tn_step_part parts[3];
    int32_t ids[3][32];
    uint32_t at[3] = { 0, 0, 0 };
    struct tenon_err err = TENON_ERR_INIT;
    open_engine(64, 3, 40);
    ck_assert_int_eq(tn_stepper_create(tn_engine_model(model), &st, &err), 0);
    for (int s = 0; s < 3; s++) {
        ck_assert_int_eq(tn_kv_open(tn_stepper_kv(st), &seqs[s], &err), 0);
        for (int i = 0; i < 32; i++)
            ids[s][i] = (s * 50 + i * 3) % 256;
    }
    for (uint32_t step = 0; at[0] + at[1] + at[2] < 96; step++) {
        const float *rows;
        uint32_t n = 0;
        for (uint32_t s = 0; s < 3; s++) {
            uint32_t take = (step + s) % 4 * 3 + 1;
            take = take < 32 - at[s] ? take : 32 - at[s];
            if (take > 0)
                parts[n++] = (struct tn_step_part){ seqs[s], &ids[s][at[s]], take, step % 2 ? take : 1 };
        }
        ck_assert_msg(tn_stepper_run(st, parts, n, &rows, &err) == 0, "%s", err.message);
        for (uint32_t p = 0; p < n; p++) {
            uint32_t s = parts[p].seq == seqs[0] ? 0 : parts[p].seq == seqs[1] ? 1 : 2;
            at[s] += parts[p].n;
            for (uint32_t r = 0; r < parts[p].n_rows; r++, rows += FAKE_VOCAB)
                ck_assert_float_eq(rows[fake_next(ids[s], at[s] - parts[p].n_rows + r + 1)], 10.0f);
        }
    }
    parts[0] = (struct tn_step_part){ seqs[0], ids[0], 32, 0 };
    ck_assert_int_eq(tn_stepper_run(st, parts, 1, &(const float *){ NULL }, &err), 0); /* without a row of logits */
    ck_assert_int_eq(tn_stepper_run(st, parts, 1, &(const float *){ NULL }, &err), TENON_E_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(seqs[0]->len, 64);
    for (int s = 0; s < 3; s++)
        tn_kv_close(tn_stepper_kv(st), seqs[s]);
    tn_stepper_destroy(st);
    close_engine();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("engine");
    set_up_files();
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, any_chunking_gives_the_same_answer, 0, 5);
    tcase_add_test(tc, many_at_once_do_not_mix);
    tcase_add_test(tc, the_next_turn_computes_only_what_is_new);
    tcase_add_test(tc, ends);
    tcase_add_test(tc, cancelling);
    tcase_add_test(tc, unloading_ends_what_runs_and_waits);
    tcase_add_test(tc, a_failing_step_ends_its_requests_alone);
    tcase_add_test(tc, output_of_no_number_is_an_error);
    tcase_add_test(tc, bad_requests_are_refused_at_once);
    tcase_add_test(tc, messages_go_through_the_template);
    tcase_add_test(tc, steps_of_several_sequences);
    suite_add_tcase(suite, tc);
    int failed = run_suite_unforked(suite);
    remove_files();
    return failed;
}
