/* test_engine_load.c - how the engine loads a model, with the plugins of fake_plugins.h: packing before and behind the first
 * requests, memory of the device's own, what is missing or unused. */
#include <check.h>
#include <stdatomic.h>
#include <string.h>

#include "core/engine/step.h"
#include "engine_fixture.h"
#include "suite.h"

START_TEST(memory_of_the_devices_own)
{
    struct client c;
    open_registry(FAKE_ALL);
    fake.refuse_import = 1;
    ck_assert_int_eq(load(path, 200, 1, 8, NULL), 0);
    submit(&c, long_prompt, 20, NULL);
    check_answer(&c, long_prompt, 20);
    close_engine();
}
END_TEST

START_TEST(packing_behind_the_first_requests)
{
    struct client c;
    open_registry(FAKE_ALL);
    fake_pack_behind(_i % 2 == 0 ? FAKE_PACK_THEN_USE : FAKE_PACK_IN_USE);
    atomic_store(&fake.slow_us, _i / 2 == 2 ? 20000 : 200);
    atomic_store(&fake.fail_pack, _i / 2 == 1);
    ck_assert_int_eq(load(path, 200, 1, 8, NULL), 0);
    if (_i / 2 < 2) { /* 2: unloaded meanwhile */
        submit(&c, long_prompt, 20, NULL);
        check_answer(&c, long_prompt, 20);
        tn_model_wait_packed(tn_engine_model(model));
        ck_assert_uint_eq(atomic_load(&fake.used), _i / 2 == 0);
    }
    close_engine();
    ck_assert_uint_le(atomic_load(&fake.packed), 1);
    fake_pack_behind(FAKE_PACK_BEFORE);
}
END_TEST

/* Without memory for them weights are used where they are; where they have to be packed before compile, loading fails. */
START_TEST(packing_without_room)
{
    struct client c;
    open_registry(FAKE_ALL);
    atomic_store(&fake.no_room, true);
    ck_assert_int_eq(load(path, 200, 1, 8, NULL), TENON_E_RESOURCE_EXHAUSTED);
    fake_pack_behind(FAKE_PACK_IN_USE);
    ck_assert_int_eq(load(path, 200, 1, 8, NULL), 0);
    submit(&c, long_prompt, 20, NULL);
    check_answer(&c, long_prompt, 20);
    close_engine();
    ck_assert_uint_eq(atomic_load(&fake.packed), 0);
    fake_pack_behind(FAKE_PACK_BEFORE);
}
END_TEST

START_TEST(packing_before_compile)
{
    open_engine(200, 1, 8);
    ck_assert_uint_eq(atomic_load(&fake.packed), 1);
    ck_assert_uint_eq(atomic_load(&fake.used), 0);
    close_engine();
}
END_TEST

/* Without a plugin the message names its kind. */
START_TEST(missing_plugins_are_named)
{
    static const struct { uint32_t bit; const char *name; } kinds[] = {
        { FAKE_WEIGHTS, "weights" }, { FAKE_QUANTIZER, "quantizer" }, { FAKE_MODEL, "model" }, { FAKE_BACKEND, "backend" },
    };
    struct tenon_err err = TENON_ERR_INIT;
    open_registry(FAKE_ALL & ~kinds[_i].bit);
    ck_assert_int_eq(load(path, 64, 1, 16, &err), TENON_E_NOT_FOUND);
    ck_assert_msg(strstr(err.message, kinds[_i].name) != NULL || strstr(err.where, kinds[_i].name) != NULL, "%s: %s", err.where,
                  err.message);
    ck_assert_ptr_null(e->model_at(e->ctx, 0));
    close_engine();
}
END_TEST

/* Without a tokenizer a model loads and runs on token ids; what needs text says what is missing. */
START_TEST(ids_need_no_tokenizer)
{
    struct tenon_request r = { .struct_size = sizeof r, .prompt_kind = TENON_PROMPT_TEXT, .prompt = "hi", .prompt_size = 2,
                               .on_event = on_event };
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_stepper *st;
    struct tn_seq *seq;
    const float *rows;
    const int32_t ids[2] = { 7, 9 };
    int32_t some[4];
    char text[8];
    uint64_t n;
    open_registry(FAKE_ALL & ~FAKE_TOKENIZER);
    ck_assert_msg(load(path, 64, 1, 16, &err) == 0, "%s", err.message);
    r.model = model;
    ck_assert_int_eq(e->submit(e->ctx, &r, &n, &err), TENON_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "tokenizer"));
    ck_assert_int_eq(e->tokenize(e->ctx, model, "hi", 2, 0, some, 4, &n, &err), TENON_E_NOT_FOUND);
    ck_assert_int_eq(e->detokenize(e->ctx, model, ids, 2, 0, text, sizeof text, &n, &err), TENON_E_NOT_FOUND);
    ck_assert_int_eq(e->render(e->ctx, model, "{}", 2, text, sizeof text, &n, &err), TENON_E_NOT_FOUND);

    ck_assert_int_eq(tn_stepper_create(tn_engine_model(model), &st, &err), 0);
    ck_assert_int_eq(tn_kv_open(tn_stepper_kv(st), &seq, &err), 0);
    ck_assert_int_eq(tn_stepper_run(st, &(struct tn_step_part){ seq, ids, 2, 1 }, 1, &rows, &err), 0);
    ck_assert_float_eq(rows[fake_next(ids, 2)], 10.0f);
    tn_kv_close(tn_stepper_kv(st), seq);
    tn_stepper_destroy(st);
    close_engine();
}
END_TEST

START_TEST(tensors_missing_and_unused)
{
    struct tenon_err err = TENON_ERR_INIT;
    open_registry(FAKE_ALL);
    ck_assert_int_eq(load(path_broken, 64, 1, 16, &err), TENON_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "1 tensors missing: emb.weight"));
    ck_assert_int_eq(load(path_extra, 64, 1, 16, &err), 0);
    ck_assert_uint_eq(tn_model_unused(tn_engine_model(model))->n, 1);
    ck_assert_str_eq(tn_model_unused(tn_engine_model(model))->items[0], "odd.weight");
    ck_assert_int_eq(load("/nonexistent.gguf", 64, 1, 16, &err), TENON_E_NOT_FOUND);
    ck_assert_int_eq(load(path, 1u << 30, 4, 16, &err), TENON_E_INVALID_ARGUMENT);
    close_engine();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_load");
    TCase *tc = tcase_create("engine_load");
    set_up_files();
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, memory_of_the_devices_own);
    tcase_add_loop_test(tc, packing_behind_the_first_requests, 0, 6);
    tcase_add_test(tc, packing_without_room);
    tcase_add_test(tc, packing_before_compile);
    tcase_add_loop_test(tc, missing_plugins_are_named, 0, 4);
    tcase_add_test(tc, ids_need_no_tokenizer);
    tcase_add_test(tc, tensors_missing_and_unused);
    suite_add_tcase(suite, tc);
    int failed = run_suite_unforked(suite);
    remove_files();
    return failed;
}
