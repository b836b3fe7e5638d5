/* The tests behind "is": predicates on values. To add one: a function and a
 * line in the table at the end. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_methods.h"

#define TEST(name) static int32_t name(struct jrun *r, struct jv in, const struct jargs *a, bool *ret)

static int32_t no_args(struct jrun *r, const struct jargs *a)
{
    return a->npos + a->nkw > 0 ? tn_j_fail(r, "this test takes no argument") : 0;
}

/* Tests of nothing but the type: one function over sets of types. */
#define TYPES(name, set)                                                                                               \
    TEST(name)                                                                                                         \
    {                                                                                                                  \
        *ret = (1u << in.type) & (set);                                                                                \
        return no_args(r, a);                                                                                          \
    }
#define BIT(t) (1u << (t))
#define LENGTHS (BIT(JV_UNDEF) | BIT(JV_STR) | BIT(JV_LIST) | BIT(JV_TUPLE) | BIT(JV_DICT) | BIT(JV_RANGE))
TYPES(t_defined, ~BIT(JV_UNDEF))
TYPES(t_undefined, BIT(JV_UNDEF))
TYPES(t_none, BIT(JV_NONE))
TYPES(t_boolean, BIT(JV_BOOL))
TYPES(t_integer, BIT(JV_INT) | BIT(JV_BIG))
TYPES(t_float, BIT(JV_FLOAT))
TYPES(t_number, BIT(JV_INT) | BIT(JV_BIG) | BIT(JV_FLOAT) | BIT(JV_BOOL))
TYPES(t_string, BIT(JV_STR))
TYPES(t_mapping, BIT(JV_DICT))
TYPES(t_sequence, LENGTHS)
TYPES(t_iterable, LENGTHS | BIT(JV_VIEW) | BIT(JV_GEN) | BIT(JV_LOOP))
TYPES(t_callable, BIT(JV_UNDEF) | BIT(JV_MACRO) | BIT(JV_METHOD) | BIT(JV_BUILTIN) | BIT(JV_LOOP) | BIT(JV_JOINER))

TEST(t_true)
{
    *ret = in.type == JV_BOOL && in.b;
    return no_args(r, a);
}

TEST(t_false)
{
    *ret = in.type == JV_BOOL && !in.b;
    return no_args(r, a);
}

TEST(t_escaped)
{
    *ret = in.type == JV_STR && in.flag;
    return no_args(r, a);
}

static int32_t modulo_is(struct jrun *r, struct jv in, struct jv by, int64_t want, bool *ret)
{
    struct jv rest;
    int32_t rc = tn_j_binary(r, '%', in, by, &rest);
    return rc ? rc : tn_j_eq(r, rest, tn_j_int(want), ret);
}

TEST(t_odd)
{
    int32_t rc = no_args(r, a);
    return rc ? rc : modulo_is(r, in, tn_j_int(2), 1, ret);
}

TEST(t_even)
{
    int32_t rc = no_args(r, a);
    return rc ? rc : modulo_is(r, in, tn_j_int(2), 0, ret);
}

TEST(t_divisibleby)
{
    struct jv by;
    int32_t rc = tn_j_params(r, "divisibleby", a, "num", 1, &by);
    return rc ? rc : modulo_is(r, in, by, 0, ret);
}

static int32_t compare_to(struct jrun *r, int op, struct jv in, const struct jargs *a, bool *ret)
{
    struct jv other;
    int32_t rc = tn_j_params(r, "a comparing test", a, "other", 1, &other);
    return rc ? rc : tn_j_compare(r, op, in, other, ret);
}

TEST(t_eq)
{
    return compare_to(r, JOP_EQ, in, a, ret);
}
TEST(t_ne)
{
    return compare_to(r, JOP_NE, in, a, ret);
}
TEST(t_lt)
{
    return compare_to(r, '<', in, a, ret);
}
TEST(t_le)
{
    return compare_to(r, JOP_LE, in, a, ret);
}
TEST(t_gt)
{
    return compare_to(r, '>', in, a, ret);
}
TEST(t_ge)
{
    return compare_to(r, JOP_GE, in, a, ret);
}
TEST(t_in)
{
    return compare_to(r, JOP_IN, in, a, ret);
}

/* Python's "is": equal singletons and small values, one and the same object. */
TEST(t_sameas)
{
    struct jv other;
    int32_t rc = tn_j_params(r, "sameas", a, "other", 1, &other);
    if (rc != 0)
        return rc;
    *ret = false;
    if (in.type != other.type)
        return 0;
    if (in.type <= JV_STR && in.type != JV_UNDEF)
        return tn_j_eq(r, in, other, ret);
    *ret = in.list == other.list;
    return 0;
}

static int32_t is_case(struct jrun *r, struct jv in, const struct jargs *a, bool upper, bool *ret)
{
    int32_t rc = no_args(r, a);
    if (rc == 0)
        rc = tn_j_to_str(r, in, &in);
    if (rc == 0)
        *ret = tn_j_str_is_case(in.s, upper);
    return rc;
}

TEST(t_lower)
{
    return is_case(r, in, a, false, ret);
}
TEST(t_upper)
{
    return is_case(r, in, a, true, ret);
}

TEST(t_filter)
{
    *ret = in.type == JV_STR && tn_j_filter_find(in.s->p, in.s->len) != NULL;
    return no_args(r, a);
}

TEST(t_test)
{
    *ret = in.type == JV_STR && tn_j_test_find(in.s->p, in.s->len) != NULL;
    return no_args(r, a);
}

static const struct jtest tests[] = {
    {"defined", t_defined},
    {"undefined", t_undefined},
    {"none", t_none},
    {"boolean", t_boolean},
    {"true", t_true},
    {"false", t_false},
    {"integer", t_integer},
    {"float", t_float},
    {"number", t_number},
    {"string", t_string},
    {"mapping", t_mapping},
    {"sequence", t_sequence},
    {"iterable", t_iterable},
    {"callable", t_callable},
    {"odd", t_odd},
    {"even", t_even},
    {"divisibleby", t_divisibleby},
    {"eq", t_eq},
    {"equalto", t_eq},
    {"==", t_eq},
    {"ne", t_ne},
    {"!=", t_ne},
    {"lt", t_lt},
    {"lessthan", t_lt},
    {"<", t_lt},
    {"le", t_le},
    {"<=", t_le},
    {"gt", t_gt},
    {"greaterthan", t_gt},
    {">", t_gt},
    {"ge", t_ge},
    {">=", t_ge},
    {"in", t_in},
    {"sameas", t_sameas},
    {"lower", t_lower},
    {"upper", t_upper},
    {"escaped", t_escaped},
    {"filter", t_filter},
    {"test", t_test},
};

const struct jtest *tn_j_test_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (strlen(tests[i].name) == len && memcmp(tests[i].name, name, len) == 0)
            return &tests[i];
    return NULL;
}
