/* Operators of the template language with Python's meaning: arithmetic on
 * ints, floats and bools (64-bit overflow is an error), joining and repeating
 * of strings and lists, comparisons, membership. One thread per run. */
#include <math.h>
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

static const char *op_text(int op)
{
    switch (op) {
    case JOP_EQ:
        return "==";
    case JOP_NE:
        return "!=";
    case JOP_LE:
        return "<=";
    case JOP_GE:
        return ">=";
    case JOP_FLOORDIV:
        return "//";
    case JOP_POW:
        return "** or pow()";
    case '+':
        return "+";
    case '-':
        return "-";
    case '*':
        return "*";
    case '/':
        return "/";
    case '%':
        return "%";
    case '<':
        return "<";
    default:
        return ">";
    }
}

static int32_t unsupported(struct jrun *r, int op, struct jv a, struct jv b)
{
    if (a.type == JV_UNDEF)
        return tn_j_undef_fail(r, a);
    if (b.type == JV_UNDEF)
        return tn_j_undef_fail(r, b);
    return tn_j_fail(r, "unsupported operand type(s) for %s: '%s' and '%s'", op_text(op), tn_j_type_name(a),
                     tn_j_type_name(b));
}

/* ---- integers ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

static bool int_pow(int64_t base, int64_t exp, int64_t *ret)
{
    int64_t v = 1;
    while (exp > 0) {
        if ((exp & 1) && __builtin_mul_overflow(v, base, &v))
            return false;
        exp >>= 1;
        if (exp > 0 && __builtin_mul_overflow(base, base, &base))
            return false;
    }
    *ret = v;
    return true;
}

static int32_t overflow(struct jrun *r)
{
    return tn_j_fail(r, "integer overflow: the result passes 64 bits");
}

static int32_t int_op(struct jrun *r, int op, int64_t a, int64_t b, struct jv *ret)
{
    int64_t v = 0;
    bool ok = true;
    if (b == 0 && (op == JOP_FLOORDIV || op == '%' || op == '/'))
        return tn_j_fail(r, op == '/' ? "division by zero" : "integer division or modulo by zero");
    switch (op) {
    case '+':
        ok = !__builtin_add_overflow(a, b, &v);
        break;
    case '-':
        ok = !__builtin_sub_overflow(a, b, &v);
        break;
    case '*':
        ok = !__builtin_mul_overflow(a, b, &v);
        break;
    case '/':
        *ret = tn_j_float((double)a / (double)b);
        return 0;
    case JOP_FLOORDIV:
        ok = !(a == INT64_MIN && b == -1);
        v = ok ? floor_div(a, b) : 0;
        break;
    case '%':
        v = b == -1 ? 0 : a - floor_div(a, b) * b;
        break;
    default:
        if (b < 0 && a == 0)
            return tn_j_fail(r, "0.0 cannot be raised to a negative power");
        if (b < 0) {
            *ret = tn_j_float(pow((double)a, (double)b));
            return 0;
        }
        ok = int_pow(a, b, &v);
        break;
    }
    *ret = tn_j_int(v);
    return ok ? 0 : overflow(r);
}

/* ---- floats ---- */

static double float_mod(double a, double b)
{
    double m = fmod(a, b);
    if (m != 0)
        return (m < 0) != (b < 0) ? m + b : m;
    return copysign(0.0, b);
}

static double float_floor_div(double a, double b)
{
    double m = fmod(a, b), q = (a - m) / b;
    if (m != 0 && (b < 0) != (m < 0))
        q -= 1.0;
    if (q == 0)
        return copysign(0.0, a / b);
    double f = floor(q);
    return q - f > 0.5 ? f + 1.0 : f;
}

static int32_t float_pow(struct jrun *r, double a, double b, struct jv *ret)
{
    if (a == 0 && b < 0)
        return tn_j_fail(r, "0.0 cannot be raised to a negative power");
    if (a < 0 && b != floor(b) && !isinf(a) && !isinf(b))
        return tn_j_fail(r, "a negative number to a fractional power is complex");
    double v = pow(a, b);
    if (isinf(v) && !isinf(a) && !isinf(b))
        return tn_j_fail(r, "the result of ** is too large");
    *ret = tn_j_float(v);
    return 0;
}

static int32_t float_op(struct jrun *r, int op, double a, double b, struct jv *ret)
{
    if (b == 0 && (op == '/' || op == '%' || op == JOP_FLOORDIV))
        return tn_j_fail(r, op == '/'   ? "float division by zero"
                            : op == '%' ? "float modulo"
                                        : "float floor division by zero");
    switch (op) {
    case '+':
        *ret = tn_j_float(a + b);
        return 0;
    case '-':
        *ret = tn_j_float(a - b);
        return 0;
    case '*':
        *ret = tn_j_float(a * b);
        return 0;
    case '/':
        *ret = tn_j_float(a / b);
        return 0;
    case '%':
        *ret = tn_j_float(float_mod(a, b));
        return 0;
    case JOP_FLOORDIV:
        *ret = tn_j_float(float_floor_div(a, b));
        return 0;
    default:
        return float_pow(r, a, b, ret);
    }
}

/* ---- strings and lists ---- */

static int32_t str_add(struct jrun *r, struct jv a, struct jv b, struct jv *ret)
{
    bool markup = a.flag || b.flag;
    int32_t rc = 0;
    if (markup && !a.flag)
        rc = tn_j_escape(r, a, &a);
    else if (markup && !b.flag)
        rc = tn_j_escape(r, b, &b);
    if (rc != 0)
        return rc;
    size_t n = a.s->len + b.s->len;
    char *p = tn_j_alloc(r, n + 1, 1);
    if (p == NULL)
        return r->rc;
    memcpy(p, a.s->p, a.s->len);
    memcpy(p + a.s->len, b.s->p, b.s->len);
    rc = tn_j_str_ref(r, p, n, ret);
    ret->flag = markup;
    return rc;
}

static int32_t list_add(struct jrun *r, struct jv a, struct jv b, struct jv *ret)
{
    int32_t rc = tn_j_list_new(r, a.type, ret);
    for (size_t i = 0; rc == 0 && i < a.list->n; i++)
        rc = tn_j_list_push(r, ret->list, a.list->items[i]);
    for (size_t i = 0; rc == 0 && i < b.list->n; i++)
        rc = tn_j_list_push(r, ret->list, b.list->items[i]);
    return rc;
}

static int32_t repeat(struct jrun *r, struct jv v, int64_t times, struct jv *ret)
{
    size_t n = times > 0 ? (size_t)times : 0, total, unit = v.type == JV_STR ? v.s->len : v.list->n;
    if (__builtin_mul_overflow(n, unit, &total) || total > r->lim.memory_bytes)
        return tn_j_exhausted(r, "repeating needs more than %zu bytes of memory", r->lim.memory_bytes);
    int32_t rc;
    if (v.type != JV_STR) {
        rc = tn_j_list_new(r, v.type, ret);
        for (size_t i = 0; rc == 0 && i < total; i++)
            rc = tn_j_list_push(r, ret->list, v.list->items[i % unit]);
        return rc;
    }
    char *p = tn_j_alloc(r, total + 1, 1);
    if (p == NULL)
        return r->rc;
    for (size_t i = 0; unit > 0 && i < n; i++)
        memcpy(p + i * unit, v.s->p, unit);
    rc = tn_j_str_ref(r, p, total, ret);
    ret->flag = v.flag;
    return rc;
}

int32_t tn_j_binary(struct jrun *r, int op, struct jv a, struct jv b, struct jv *ret)
{
    int64_t i, j;
    double x, y;
    if (tn_j_is_int(a, &i) && tn_j_is_int(b, &j))
        return int_op(r, op, i, j, ret);
    if (tn_j_is_num(a, &x) && tn_j_is_num(b, &y))
        return float_op(r, op, x, y, ret);
    if (op == '%' && a.type == JV_STR)
        return tn_j_percent(r, a, b, ret);
    if (op == '+' && a.type == JV_STR && b.type == JV_STR)
        return str_add(r, a, b, ret);
    if (op == '+' && tn_j_is_seq(a) && a.type == b.type)
        return list_add(r, a, b, ret);
    if (op == '*' && (a.type == JV_STR || tn_j_is_seq(a)) && tn_j_is_int(b, &j))
        return repeat(r, a, j, ret);
    if (op == '*' && (b.type == JV_STR || tn_j_is_seq(b)) && tn_j_is_int(a, &i))
        return repeat(r, b, i, ret);
    if ((a.type == JV_BIG && (b.type == JV_BIG || tn_j_is_num(b, &y))) || (b.type == JV_BIG && tn_j_is_num(a, &x)))
        return overflow(r);
    if (op == '+' && a.type == JV_STR && b.type != JV_UNDEF)
        return tn_j_fail(r, "can only concatenate str (not \"%s\") to str", tn_j_type_name(b));
    return unsupported(r, op, a, b);
}

int32_t tn_j_negate(struct jrun *r, struct jv a, bool minus, struct jv *ret)
{
    int64_t i;
    if (a.type == JV_UNDEF)
        return tn_j_undef_fail(r, a);
    if (a.type == JV_FLOAT) {
        *ret = tn_j_float(minus ? -a.f : a.f);
        return 0;
    }
    if (!tn_j_is_int(a, &i))
        return a.type == JV_BIG
                   ? overflow(r)
                   : tn_j_fail(r, "bad operand type for unary %c: '%s'", minus ? '-' : '+', tn_j_type_name(a));
    if (minus && i == INT64_MIN)
        return overflow(r);
    *ret = tn_j_int(minus ? -i : i);
    return 0;
}

/* ---- comparisons ---- */

static int32_t iter_contains(struct jrun *r, struct jv item, struct jv container, bool *ret)
{
    struct jiter it;
    struct jv v;
    bool more = true;
    int32_t rc = tn_j_iter(r, container, &it);
    *ret = false;
    while (rc == 0 && !*ret) {
        rc = tn_j_next(r, &it, &v, &more);
        if (rc != 0 || !more)
            break;
        rc = tn_j_eq(r, v, item, ret);
    }
    return rc;
}

int32_t tn_j_contains(struct jrun *r, struct jv item, struct jv container, bool *ret)
{
    if (container.type == JV_STR) {
        if (item.type != JV_STR)
            return tn_j_fail(r, "'in <string>' requires string as left operand, not %s", tn_j_type_name(item));
        *ret = tn_jstr_find(container.s->p, container.s->len, 0, item.s->p, item.s->len) != SIZE_MAX;
        return tn_j_charge(r, container.s->len / 64);
    }
    if (container.type == JV_DICT || (container.type == JV_VIEW && container.flag == JVIEW_KEYS)) {
        struct jv *hit;
        int32_t rc = tn_j_dict_get(r, container.dict, item, &hit);
        *ret = hit != NULL;
        return rc;
    }
    if (container.type != JV_GEN && container.type != JV_RANGE && container.type != JV_UNDEF &&
        !tn_j_is_seq(container) && container.type != JV_VIEW)
        return tn_j_fail(r, "argument of type '%s' is not iterable", tn_j_type_name(container));
    return iter_contains(r, item, container, ret);
}

int32_t tn_j_compare(struct jrun *r, int op, struct jv a, struct jv b, bool *ret)
{
    int c = 0;
    int32_t rc;
    switch (op) {
    case JOP_EQ:
    case JOP_NE:
        *ret = false;
        rc = tn_j_eq(r, a, b, ret);
        *ret = *ret == (op == JOP_EQ);
        return rc;
    case JOP_IN:
    case JOP_NOT_IN:
        *ret = false;
        rc = tn_j_contains(r, a, b, ret);
        *ret = *ret == (op == JOP_IN);
        return rc;
    default:
        rc = tn_j_cmp(r, a, b, op_text(op), &c);
        break;
    }
    if (c == 2)
        *ret = false;
    else
        *ret = op == '<' ? c < 0 : op == '>' ? c > 0 : op == JOP_LE ? c <= 0 : c >= 0;
    return rc;
}
