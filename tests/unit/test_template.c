/* Unit tests of chat templates: what each construct renders, what is refused and with which line, the limits, JSON
 * input, and the arena and buffer underneath. tests/e2e compares far more with the Python package itself. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/text/template.h"
#include "suite.h"

static const char vars[] =
    "{\"i\":42,\"f\":2.5,\"one\":1.0,\"big\":12345678901234567890,\"s\":\"Hello, "
    "World\",\"u\":\"\\u00fcn\\ud83c\\udf27x\","
    "\"t\":true,\"n\":null,\"l\":[3,1,2],\"d\":{\"b\":1,\"a\":{\"x\":[1,2]},\"items\":5},\"e\":\"\","
    "\"us\":[{\"name\":\"ann\",\"age\":30},{\"name\":\"Bob\",\"age\":25}]}";

/* Compiles and renders; 0 or the failing status. */
static int32_t render(const char *source, const char *json, const struct tn_template_limits *limits, struct tn_buf *out,
                      struct tenon_err *err)
{
    struct tn_template *t = NULL;
    int32_t rc = tn_template_compile(source, strlen(source), &t, err);
    if (rc == 0)
        rc = tn_template_render_json(t, json, strlen(json), limits, out, err);
    tn_template_destroy(t);
    return rc;
}

static void expect(const char *source, const char *want)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    int32_t rc = render(source, vars, NULL, &out, &err);
    ck_assert_msg(rc == 0, "%s: refused: %s", source, err.message);
    ck_assert_msg(strcmp(out.data ? out.data : "", want) == 0, "%s: got \"%s\", want \"%s\"", source,
                  out.data ? out.data : "", want);
    tn_buf_finish(&out);
}

/* Refused, with `part` in the message. */
static void expect_error(const char *source, const char *part)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    ck_assert_int_eq(tn_buf_str(&out, "kept"), 0);
    int32_t rc = render(source, vars, NULL, &out, &err);
    ck_assert_msg(rc != 0, "%s: not refused but rendered \"%s\"", source, out.data);
    ck_assert_msg(strstr(err.message, part) != NULL, "%s: message \"%s\" lacks \"%s\"", source, err.message, part);
    ck_assert_str_eq(out.data, "kept");
    tn_buf_finish(&out);
}

struct sample {
    const char *source, *want;
};

static const struct sample samples[] = {
    /* whitespace control */
    {"a\n  {% if t %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
    {"a {%- if t -%} b {%- endif -%} c", "abc"},
    {"  {%+ if t +%}\nx{% endif %}", "  \nx"},
    {"x {#- c -#} y\n{# d #}\nz", "xy\nz"},
    {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
    {"{{ i }}\n{{- i }}\n", "4242"},
    {"a\r\nb\r", "a\nb"},
    /* values as Python prints them */
    {"{{ [1, 2.0, none, true, 'a\\'b', 'q\"', (1,), {'k': 'v'}] }}",
     "[1, 2.0, None, True, \"a'b\", 'q\"', (1,), {'k': 'v'}]"},
    {"{{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 0.1 + 0.2 }} {{ one }}",
     "1e+16 1000000000000000.0 0.0001 1e-05 0.30000000000000004 1.0"},
    {"{{ big }} {{ [big] | tojson }}", "12345678901234567890 [12345678901234567890]"},
    {"{{ n }}{{ nope }}{{ t }}", "NoneTrue"},
    {"{{ ['\\n\\x00\\u200b'] }}", "['\\n\\x00\\u200b']"},
    /* operators */
    {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }}", "3 -4 2 3.5 1024 0.5"},
    {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' in 'abc' }} {{ 9 not in l }}", "True False True True True"},
    {"{{ 'a' ~ 1 ~ none }} {{ 'ab' * 2 }} {{ [1] + [2] }}", "a1None abab [1, 2]"},
    {"{{ 1 if e else 2 }} {{ e or 'x' }} {{ not e }}", "2 x True"},
    {"{{ '%s-%05.1f' % ('a', 2.25) }} {{ '{:>4}|{x!r}'.format(1, x='q') }}", "a-002.2    1|'q'"},
    /* strings by code points */
    {"{{ u | length }} {{ u[2] }} {{ u[::-1] }} {{ u.upper() }} {{ s[-5:] }} {{ s[1:8:3] }}",
     "4 \xf0\x9f\x8c\xa7 x\xf0\x9f\x8c\xa7n\xc3\xbc \xc3\x9cN\xf0\x9f\x8c\xa7X World eoW"},
    {"{{ s.split(', ') }} {{ ' a  b '.split() }} {{ 'a-b-c'.rsplit('-', 1) }}",
     "['Hello', 'World'] ['a', 'b'] ['a-b', 'c']"},
    {"{{ ' x '.strip() }}|{{ 'xxa'.lstrip('x') }}|{{ s.replace('l', 'L', 1) }}|{{ s.startswith(('x', 'H')) }}",
     "x|a|HeLlo, World|True"},
    /* access */
    {"{{ d.b }} {{ d['items'] }} {{ d.items is callable }} {{ d.a.x[-1] }} {{ d.zz is defined }} {{ l[9] is defined }}",
     "1 5 True 2 False False"},
    {"{{ d.get('zz', 7) }} {{ d.keys() | list }} {{ l.index(2) }}", "7 ['b', 'a', 'items'] 2"},
    /* statements and scopes */
    {"{% for x in l %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% else %}none{% endfor %}", "13,21,32"},
    {"{% for x in [] %}{% else %}none{% endfor %}", "none"},
    {"{% for x in range(9) if x is odd %}{{ x }}{% if x == 5 %}{% break %}{% endif %}{% endfor %}", "135"},
    {"{% set x = 1 %}{% for y in l %}{% set x = y %}{% endfor %}{{ x }}", "1"},
    {"{% set ns = namespace(x=0) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}", "6"},
    {"{% for y in [1] %}[{{ i }}]{% endfor %}{% set i = 5 %}{{ i }}", "[]5"},
    {"{% set x %}a{{ i }}{% endset %}{{ x | length }}", "3"},
    {"{% macro m(a, b=2) %}{{ a }}{{ b }}{{ kwargs }}{% endmacro %}{{ m(1, c=3) }}", "12{'c': 3}"},
    {"{% macro m() %}<{{ caller(1) }}>{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "<1>"},
    {"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "3210"},
    {"{% for k, v in d | dictsort %}{{ k }}{% endfor %}{% filter upper %}x{% endfilter %}", "abitemsX"},
    {"{% generation %}g{% endgeneration %}{% with q = 1 %}{{ q }}{% endwith %}", "g1"},
    /* filters and tests */
    {"{{ d | tojson }}", "{\"b\": 1, \"a\": {\"x\": [1, 2]}, \"items\": 5}"},
    {"{{ {'z': 'ü<', 'a': []} | tojson(indent=2, sort_keys=true) }}", "{\n  \"a\": [],\n  \"z\": \"\xc3\xbc<\"\n}"},
    {"{{ us | map(attribute='name') | join('+') }} {{ us | selectattr('age', '>', 26) | list | length }}", "ann+Bob 1"},
    {"{{ l | sort }} {{ l | max }} {{ l | sum }} {{ l | first }} {{ l | reverse | list }}",
     "[1, 2, 3] 3 6 3 [2, 1, 3]"},
    {"{{ us | groupby('age') }}", "[(25, [{'name': 'Bob', 'age': 25}]), (30, [{'name': 'ann', 'age': 30}])]"},
    {"{{ 'x' | int(-1) }} {{ '4.7' | int }} {{ 2.675 | round(2) }} {{ 2.5 | round }}", "-1 4 2.67 2.0"},
    {"{{ nope | default('d') }} {{ 'a b' | title }} {{ 'a\\nb' | indent(2) }}", "d A B a\n  b"},
    {"{{ i is even and s is string and d is mapping and nope is undefined and 6 is divisibleby 3 }}", "True"},
};

START_TEST(renders)
{
    expect(samples[_i].source, samples[_i].want);
}
END_TEST

static const struct sample refusals[] = {
    {"\n\n{{ nope.x }}", "line 3: 'nope' is undefined"},
    {"{{ d.zz.y }}", "'dict object' has no attribute 'zz'"},
    {"{{ 1 + 'a' }}", "unsupported operand type(s) for +: 'int' and 'str'"},
    {"{{ 9223372036854775807 + 1 }}", "overflow"},
    {"{{ i / 0 }}", "division by zero"},
    {"{{ l.append(1) }}", "unsafe"},
    {"{{ s.__class__.__mro__ }}", "line 1"},
    {"{{ raise_exception('no ' ~ s) }}", "no Hello, World"},
    {"a\n{% if t %}", "line 2: the template ends before 'elif'"},
    {"{% for x in 5 %}{% endfor %}", "'int' object is not iterable"},
    {"{% nosuch %}", "unknown tag 'nosuch'"},
    {"{{ i | nosuch }}", "no filter named 'nosuch'"},
    {"{% break %}", "outside of a loop"},
    {"{% include 'x' %}", "cannot load other templates"},
    {"{{ 'abc }}", "a string without end"},
    {"{{ (1 }}", "line 1"},
    {"{{ [1) }}", "unexpected ')'"},
    {"{# x", "missing end of comment"},
    {"{% set d.b = 1 %}", "non-namespace"},
    {"{{ range(1000000) }}", "range too big"},
    {"{{ nope | tojson }}", "not JSON serializable"},
    {"{% macro m(a) %}{% endmacro %}{{ m(b=1) }}", "takes no keyword argument 'b'"},
    {"\xff", "not UTF-8"},
};

START_TEST(refuses)
{
    expect_error(refusals[_i].source, refusals[_i].want);
}
END_TEST

/* ---- limits ---- */

static void expect_limit(const char *source, struct tn_template_limits limits, const char *part)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    int32_t rc = render(source, "{}", &limits, &out, &err);
    ck_assert_msg(rc == TENON_E_RESOURCE_EXHAUSTED, "%s: status %d, %s", source, (int)rc, err.message);
    ck_assert_msg(strstr(err.message, part) != NULL, "%s: message \"%s\" lacks \"%s\"", source, err.message, part);
    tn_buf_finish(&out);
}

START_TEST(limits_hold)
{
    expect_limit("{% macro f() %}{{ f() }}{% endmacro %}\n{{ f() }}", (struct tn_template_limits){0}, "deep");
    expect_limit("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
                 (struct tn_template_limits){.steps = 1000000}, "line 1: more than 1000000 steps");
    expect_limit("{{ 'x' * 1000 }}", (struct tn_template_limits){.output_bytes = 999}, "999 bytes");
    expect_limit("{{ 'x' * 1000000000 }}", (struct tn_template_limits){0}, "memory");
    expect_limit("{% set ns = namespace(s='xx') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
                 (struct tn_template_limits){.memory_bytes = 1 << 20}, "memory");
    expect_limit(
        "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        (struct tn_template_limits){0}, "deep");
    expect_limit("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", (struct tn_template_limits){0}, "deep");
    expect_limit("{% set x %}{% for i in range(99999) %}xxxxxxxxxxxxxxxxxxxx{% endfor %}{% endset %}",
                 (struct tn_template_limits){.memory_bytes = 1 << 20}, "1048576 bytes");
    expect_limit("{{ 'x'.center(10 ** 15) }}", (struct tn_template_limits){0}, "steps");
}
END_TEST

/* n times open, then middle, then n times close. */
static char *nested(int n, const char *open, const char *middle, const char *close)
{
    struct tn_buf b;
    tn_buf_init(&b, 0);
    int32_t rc = 0;
    for (int i = 0; rc == 0 && i < n; i++)
        rc = tn_buf_str(&b, open);
    if (rc == 0)
        rc = tn_buf_str(&b, middle);
    for (int i = 0; rc == 0 && i < n; i++)
        rc = tn_buf_str(&b, close);
    ck_assert_int_eq(rc, 0);
    char *text = tn_buf_take(&b, NULL);
    ck_assert_ptr_nonnull(text);
    return text;
}

START_TEST(nesting_is_bounded)
{
    static const char *const shapes[][3] = {
        {"{% if t %}", "x", "{% endif %}"},
        {"{% for x in l %}", "x", "{% endfor %}"},
        {"{{ (", "1", ") }}"},
        {"{{ [", "1", "] }}"},
        {"{{ not ", "1", " }}"},
        {"{{ - ", "1", " }}"},
        {"{{ 1 + ", "1", " }}"},
        {"{{ 1 if ", "1", " }}"},
        {"{% macro a() %}", "x", "{% endmacro %}"},
    };
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_template *t;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bool tag = strstr(shapes[i][0], "{{") == shapes[i][0];
        char *text =
            tag ? nested(20000, shapes[i][0] + 3, shapes[i][1], "") : nested(20000, shapes[i][0], "x", shapes[i][2]);
        struct tn_buf b;
        tn_buf_init(&b, 0);
        ck_assert_int_eq(tn_buf_printf(&b, "%s%s%s", tag ? "{{ " : "", text, tag ? " }}" : ""), 0);
        ck_assert_msg(tn_template_compile(b.data, b.len, &t, &err) != 0, "shape %zu is not refused", i);
        tn_buf_finish(&b);
        free(text);
    }
}
END_TEST

/* Long chains are no nesting for Jinja's users, but trees for the parser. */
START_TEST(chains)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    char *elifs = nested(3000, "{% elif false %}", "", "");
    struct tn_buf b;
    tn_buf_init(&b, 0);
    tn_buf_init(&out, 0);
    ck_assert_int_eq(tn_buf_printf(&b, "{%% if false %%}%s{%% else %%}end{%% endif %%}", elifs), 0);
    ck_assert_msg(render(b.data, "{}", NULL, &out, &err) == 0, "%s", err.message);
    ck_assert_str_eq(out.data, "end");
    tn_buf_finish(&b);
    tn_buf_finish(&out);
    free(elifs);
}
END_TEST

/* ---- JSON input ---- */

static const struct sample documents[] = {
    {"{\"v\": [1, 1.0, -0, -0.0, 1e2, 0.1E-1]}", "[1, 1.0, 0, -0.0, 100.0, 0.01]"},
    {"{\"v\": {\"b\": 1, \"a\": 2, \"b\": 3}}", "{'b': 3, 'a': 2}"},
    {"{\"v\": \"\\u0041\\ud83c\\udf27\\n\\/\"}", "A\xf0\x9f\x8c\xa7\n/"},
    {" {\"v\" : -9223372036854775808 } ", "-9223372036854775808"},
    {"{\"v\": null, \"range\": 5}", "None"},
};

START_TEST(reads_json)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    ck_assert_msg(render("{{ v }}", documents[_i].source, NULL, &out, &err) == 0, "%s", err.message);
    ck_assert_str_eq(out.data, documents[_i].want);
    tn_buf_finish(&out);
}
END_TEST

static const char *const bad_documents[] = {
    "",
    "[]",
    "1",
    "{",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{'a':1}",
    "{\"a\":01}",
    "{\"a\":1.}",
    "{\"a\":.5}",
    "{\"a\":+1}",
    "{\"a\":NaN}",
    "{\"a\":\"\\x\"}",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\\udc00\"}",
    "{\"a\":\"\n\"}",
    "{\"a\":\"\xff\"}",
    "{} {}",
    "{\"a\":tru}",
    "{\"a\":[1 2]}",
    "{\"a\":\"",
    "\xef\xbb\xbf{}",
};

START_TEST(refuses_json)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    ck_assert_msg(render("x", bad_documents[_i], NULL, &out, &err) == TENON_E_INVALID_ARGUMENT, "%s is read",
                  bad_documents[_i]);
    ck_assert_ptr_nonnull(strstr(err.message, "variables"));
    tn_buf_finish(&out);
}
END_TEST

START_TEST(deep_json_is_refused)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    char *text = nested(100000, "[", "", "]");
    tn_buf_init(&out, 0);
    ck_assert_int_ne(render("x", text, NULL, &out, &err), 0);
    tn_buf_finish(&out);
    free(text);
}
END_TEST

/* ---- the clock ---- */

START_TEST(clock_can_be_fixed)
{
    struct tn_template_limits limits = {.now = 1721822400}; /* 2024-07-24 12:00 UTC: the same day in every zone */
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
    ck_assert_int_eq(render("{{ strftime_now('%d %b %Y %H:%M %f%%%Z') }}", "{}", &limits, &out, &err), 0);
    ck_assert_str_eq(out.data, "24 Jul 2024 12:00 000000%");
    tn_buf_finish(&out);
}
END_TEST

/* ---- one template, many renderings ---- */

START_TEST(renders_again)
{
    static const char source[] =
        "{% set ns = namespace(n=0) %}{% for x in l %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }};";
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_template *t;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    ck_assert_int_eq(tn_template_compile(source, strlen(source), &t, &err), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(tn_template_render_json(t, vars, strlen(vars), NULL, &out, &err), 0);
    ck_assert_str_eq(out.data, "6;6;6;");
    tn_buf_finish(&out);
    tn_template_destroy(t);
    tn_template_destroy(NULL);
}
END_TEST

/* Every allocation the arena could refuse, refused once: an error each time, until the limit suffices. */
START_TEST(runs_out_of_memory_cleanly)
{
    static const char source[] =
        "{% macro m(a) %}{{ a | upper }}{% endmacro %}{% for k, v in d | dictsort %}{{ m(k) }}{{ v | "
        "tojson }}{% endfor %}{{ us | groupby('age') }}{% set x %}{{ '%s' % s }}{% endset %}{{ x }}";
    struct tn_template_limits limits = {0};
    int32_t rc = -1;
    for (limits.memory_bytes = 64; rc != 0; limits.memory_bytes += 48) {
        struct tenon_err err = TENON_ERR_INIT;
        struct tn_buf out;
        tn_buf_init(&out, 0);
        rc = render(source, vars, &limits, &out, &err);
        ck_assert_msg(rc == 0 || rc == TENON_E_RESOURCE_EXHAUSTED, "%zu bytes: %s", limits.memory_bytes, err.message);
        ck_assert_uint_lt(limits.memory_bytes, 1 << 20);
        tn_buf_finish(&out);
    }
}
END_TEST

/* ---- arena and buffer ---- */

START_TEST(arena_keeps_its_limit)
{
    struct tn_arena a;
    tn_arena_init(&a, 100000);
    size_t total = 0;
    for (char *p; (p = tn_arena_alloc(&a, 100)) != NULL; total += 100) {
        ck_assert_uint_eq((uintptr_t)p % sizeof(max_align_t) % 16, 0);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(p[i], 0);
        memset(p, 0xff, 100);
    }
    ck_assert_uint_gt(total, 70000);
    ck_assert_uint_le(a.used, 100000);
    ck_assert_ptr_null(tn_arena_array(&a, SIZE_MAX / 2, 4));
    ck_assert_ptr_null(tn_arena_alloc(&a, SIZE_MAX - 4));
    tn_arena_finish(&a);
    ck_assert_ptr_nonnull(tn_arena_alloc(&a, 90000));
    tn_arena_finish(&a);
    tn_arena_finish(&a);
}
END_TEST

START_TEST(buffer_keeps_its_limit)
{
    struct tn_buf b;
    size_t len;
    tn_buf_init(&b, 10);
    ck_assert_int_eq(tn_buf_str(&b, "12345"), 0);
    ck_assert_int_eq(tn_buf_printf(&b, "%d", 678), 0);
    ck_assert_int_eq(tn_buf_str(&b, "abc"), TENON_E_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(tn_buf_append(&b, "", SIZE_MAX), TENON_E_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(b.data, "12345678");
    char *taken = tn_buf_take(&b, &len);
    ck_assert_uint_eq(len, 8);
    ck_assert_str_eq(taken, "12345678");
    ck_assert_ptr_null(b.data);
    free(taken);
    tn_buf_finish(&b);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static Suite *suite(void)
{
    Suite *s = suite_create("template");
    TCase *c = tcase_create("template");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, renders, 0, COUNT(samples));
    tcase_add_loop_test(c, refuses, 0, COUNT(refusals));
    tcase_add_test(c, limits_hold);
    tcase_add_test(c, nesting_is_bounded);
    tcase_add_test(c, chains);
    tcase_add_loop_test(c, reads_json, 0, COUNT(documents));
    tcase_add_loop_test(c, refuses_json, 0, COUNT(bad_documents));
    tcase_add_test(c, deep_json_is_refused);
    tcase_add_test(c, clock_can_be_fixed);
    tcase_add_test(c, renders_again);
    tcase_add_test(c, runs_out_of_memory_cleanly);
    tcase_add_test(c, arena_keeps_its_limit);
    tcase_add_test(c, buffer_keeps_its_limit);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
