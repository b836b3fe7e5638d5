/* test_concurrent.c - several threads at once in what the headers call [any-thread]: lookups in the registry, the first of
 * which load a plugin, and renderings of one compiled template. Each thread must see what one alone sees; under the thread
 * sanitizer (tools/test) nothing may race. This executable is its own probe. */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/plugin/probe.h"
#include "core/text/template.h"
#include "plugin_dirs.h"
#include "suite.h"

enum { THREADS = 4, ROUNDS = 100 };

/* Check's asserts are for its own thread: a worker says only whether all was well. */
struct worker {
    pthread_t thread;
    pthread_barrier_t *start; /* so that the first calls meet */
    bool (*work)(int number);
    int number;
    bool well;
};

static void *begin(void *arg)
{
    struct worker *w = arg;
    (void)pthread_barrier_wait(w->start); /* one of them gets another code; neither matters */
    w->well = w->work(w->number);
    return NULL;
}

static void run_at_once(bool (*work)(int number))
{
    struct worker workers[THREADS];
    pthread_barrier_t barrier;
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.start = &barrier, .work = work, .number = i};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, begin, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
        ck_assert_msg(workers[i].well, "thread %d saw something else", i);
    }
    (void)pthread_barrier_destroy(&barrier);
}

/* ---- the registry ------------------------------------------------------------------------------------------- */

static bool answers(const struct tn_item *item)
{
    struct test_table table;
    TENON_COPY_IN(&table, item->impl);
    return table.answer(item->self) == 42;
}

static bool find_items(int number)
{
    const struct tn_item *named, *keyed, *first;
    bool well = true;
    for (int i = 0; i < ROUNDS && well; i++) {
        struct tenon_err e = TENON_ERR_INIT;
        well = tn_registry_find(reg, "tenon.test/1", "good", 0, &named, &e) == TENON_OK && answers(named) &&
               tn_registry_by_key(reg, "tenon.test/1", number % 2 ? "alpha" : "beta", &keyed, &e) == TENON_OK && keyed == named &&
               tn_registry_find(reg, "tenon.test/1", NULL, 0, &first, &e) == TENON_OK && first == named &&
               tn_registry_find(reg, "tenon.test/1", NULL, 1, &first, &e) == TENON_E_NOT_FOUND &&
               tn_registry_find(reg, "tenon.bad/1", NULL, 0, &first, &e) == TENON_E_NOT_FOUND &&
               strstr(e.message, "crashed (SIGSEGV) in init") != NULL;
    }
    return well;
}

START_TEST(registry_lookups)
{
    put_plugin("crash", "bad.so", -1, 0);
    put_manifest("05-bad.plugin", "format = 1\nlibrary = bad.so\nprovides = bad:thing\n");
    reopen();
    run_at_once(find_items);
    expect("10-good.plugin", TN_PLUGIN_LOADED, "");
    expect("05-bad.plugin", TN_PLUGIN_QUARANTINED, "crashed");
}
END_TEST

/* ---- templates ---------------------------------------------------------------------------------------------- */

static const char source[] =
    "{% macro turn(m, n=3) %}<{{ m.role|upper }}>{{ m.content|trim }}{{ '!' * n }}{% endmacro %}"
    "{% set ns = namespace(seen=[]) %}{% set out = cycler('a', 'b') %}"
    "{% for m in messages if m.content is string %}{{ turn(m, loop.index) }}{{ out.next() }}"
    "{% set ns.seen = ns.seen + [m.role] %}{% endfor %}"
    "{{ ns.seen|unique|join(',') }} {{ messages|tojson }} {{ number * 7 }} {{ 'x%05.1f'|format(number / 3) }}";
static struct tn_template *shared;
static char wanted[THREADS][1024]; /* of each thread's variables, rendered alone */

static bool render(const struct tn_template *t, int number, char *ret /* [1024] */)
{
    struct tn_buf out;
    char vars[256];
    int n = snprintf(vars, sizeof vars,
                     "{\"messages\":[{\"role\":\"user\",\"content\":\" hi %d \"},{\"role\":\"tool\",\"content\":[%d]},"
                     "{\"role\":\"bot\",\"content\":\"\xc3\xa4 %d\"}],\"number\":%d}", number, number, number * 11, number);
    tn_buf_init(&out, 0);
    bool ok = tn_template_render_json(t, vars, (size_t)n, NULL, &out, NULL) == TENON_OK && out.len < 1024;
    if (ok)
        memcpy(ret, out.data, out.len + 1);
    tn_buf_finish(&out);
    return ok;
}

static bool render_all(int number)
{
    char got[1024];
    struct tn_template *own = NULL;
    bool well = true;
    for (int i = 0; i < ROUNDS && well; i++)
        well = render(shared, number, got) && strcmp(got, wanted[number]) == 0;
    well = well && tn_template_compile(source, strlen(source), &own, NULL) == TENON_OK && render(own, number, got) &&
           strcmp(got, wanted[number]) == 0;
    tn_template_destroy(own);
    return well;
}

START_TEST(template_renderings)
{
    ck_assert_msg(tn_template_compile(source, strlen(source), &shared, &err) == TENON_OK, "%s", err.message);
    for (int i = 0; i < THREADS; i++)
        ck_assert(render(shared, i, wanted[i]));
    ck_assert_ptr_nonnull(strstr(wanted[2], "<USER>hi 2!a<BOT>\xc3\xa4 22!!buser,bot "));
    run_at_once(render_all);
    tn_template_destroy(shared);
}
END_TEST

int main(int argc, char **argv)
{
    int code = tn_probe_main(argc, argv);
    if (code >= 0)
        return code;
    Suite *suite = suite_create("concurrent");
    TCase *tests = tcase_create("concurrent");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, registry_lookups);
    tcase_add_test(tests, template_renderings);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
