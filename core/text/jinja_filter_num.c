/* Filters on numbers, and those that convert to them. To add one: a function
 * and a line in the table at the end. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

#define FILTER(name) static int32_t name(struct jrun *r, struct jv in, const struct jargs *a, struct jv *ret)

/* ---- conversions ---- */

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
}

/* The base a "0x" prefix asks for, 0 if there is none. */
static int prefix_base(const char *p, size_t len)
{
    char c = len > 2 && p[0] == '0' ? (char)(p[1] | 32) : '\0';
    return c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
}

/* Python's int(text, base); *ret_ok false where that raises ValueError. */
static int32_t int_of_text(struct jrun *r, const struct jstr *s, int base, int64_t *ret, bool *ret_ok)
{
    const char *p = s->p;
    size_t len = s->len;
    bool neg, over = false, digit = false;
    tn_jstr_strip(&p, &len, NULL, 0, 3);
    neg = len > 0 && *p == '-';
    if (len > 0 && (*p == '-' || *p == '+'))
        p++, len--;
    int prefix = prefix_base(p, len);
    if (prefix != 0 && (base == 0 || base == prefix))
        p += 2, len -= 2, base = prefix;
    base = base == 0 ? 10 : base;
    *ret = 0;
    *ret_ok = len > 0 && base >= 2 && base <= 36;
    for (size_t i = 0; *ret_ok && i < len; i++) {
        bool was_digit = digit || (i == 0 && prefix == base && prefix != 0);
        digit = p[i] != '_';
        if (!digit) {
            *ret_ok = was_digit && i + 1 < len;
            continue;
        }
        int d = digit_value(p[i]);
        *ret_ok = d < base;
        over |= __builtin_mul_overflow(*ret, base, ret) || __builtin_add_overflow(*ret, neg ? -d : d, ret);
    }
    return *ret_ok && over ? tn_j_fail(r, "integer overflow: the number passes 64 bits") : 0;
}

/* Python's float(text). */
static bool float_of_text(const struct jstr *s, double *ret)
{
    static const char *const words[] = {"inf", "infinity", "nan"};
    const char *p = s->p;
    size_t len = s->len, n = 0;
    char text[400];
    tn_jstr_strip(&p, &len, NULL, 0, 3);
    size_t sign = len > 0 && (*p == '-' || *p == '+');
    for (size_t i = 0; i < 3; i++)
        if (len - sign == strlen(words[i]) && strncasecmp(p + sign, words[i], len - sign) == 0) {
            *ret = i == 2 ? (double)NAN : *p == '-' ? -(double)INFINITY : (double)INFINITY;
            return true;
        }
    for (size_t i = 0; i < len; i++) {
        bool between = i > 0 && i + 1 < len && digit_value(p[i - 1]) < 10 && digit_value(p[i + 1]) < 10;
        if (p[i] == '_' && between)
            continue;
        if ((digit_value(p[i]) > 9 && strchr("+-.eE", p[i]) == NULL) || p[i] == '\0' || n + 1 >= sizeof text)
            return false;
        text[n++] = p[i];
    }
    return tn_j_parse_double(text, n, ret);
}

/* int(v) of a float; *ret_ok false for NaN. */
static int32_t int_of_float(struct jrun *r, double f, int64_t *ret, bool *ret_ok)
{
    *ret_ok = !isnan(f);
    if (isnan(f))
        return 0;
    if (fabs(f) >= 9223372036854775808.0)
        return tn_j_fail(r, isinf(f) ? "cannot convert float infinity to integer"
                                     : "integer overflow: the number passes 64 bits");
    *ret = (int64_t)f;
    return 0;
}

static int32_t int_of_value(struct jrun *r, struct jv in, int base, int64_t *ret, bool *ret_ok)
{
    double f;
    *ret_ok = true;
    if (in.type == JV_UNDEF)
        return tn_j_undef_fail(r, in);
    if (tn_j_is_int(in, ret))
        return 0;
    if (in.type == JV_FLOAT)
        return int_of_float(r, in.f, ret, ret_ok);
    *ret_ok = false;
    if (in.type != JV_STR)
        return 0;
    int32_t rc = int_of_text(r, in.s, base, ret, ret_ok);
    if (rc != 0 || *ret_ok || !float_of_text(in.s, &f) || isinf(f))
        return rc;
    return int_of_float(r, f, ret, ret_ok);
}

FILTER(f_int)
{
    struct jv v[2] = {tn_j_int(0), tn_j_int(10)};
    int64_t base = 10, i = 0;
    bool ok;
    int32_t rc = tn_j_params(r, "int", a, "default base", 0, v);
    if (rc == 0)
        rc = tn_j_want_int(r, "int", v[1], &base);
    *ret = in;
    if (rc != 0 || in.type == JV_BIG)
        return rc;
    rc = int_of_value(r, in, base < 0 || base > 36 ? 1 : (int)base, &i, &ok);
    *ret = ok ? tn_j_int(i) : v[0];
    return rc;
}

FILTER(f_float)
{
    struct jv dflt = tn_j_float(0);
    double f = 0;
    int32_t rc = tn_j_params(r, "float", a, "default", 0, &dflt);
    if (rc == 0 && in.type == JV_UNDEF)
        return tn_j_undef_fail(r, in);
    bool ok = in.type == JV_STR   ? float_of_text(in.s, &f)
              : in.type == JV_BIG ? tn_j_parse_double(in.s->p, in.s->len, &f)
                                  : tn_j_is_num(in, &f);
    *ret = ok ? tn_j_float(f) : dflt;
    return rc;
}

/* ---- arithmetic ---- */

FILTER(f_abs)
{
    int64_t i;
    int32_t rc = tn_j_params(r, "abs", a, "", 0, NULL);
    if (rc != 0)
        return rc;
    if (in.type == JV_FLOAT) {
        *ret = tn_j_float(fabs(in.f));
        return 0;
    }
    if (!tn_j_is_int(in, &i))
        return in.type == JV_UNDEF ? tn_j_undef_fail(r, in)
                                   : tn_j_fail(r, "bad operand type for abs(): '%s'", tn_j_type_name(in));
    return tn_j_negate(r, tn_j_int(i), i < 0, ret);
}

/* Python's round(f, n): correct on the decimal spelling, ties to even. */
static int32_t round_float(struct jrun *r, double f, int64_t n, struct jv *ret)
{
    struct tn_buf b;
    *ret = tn_j_float(f);
    if (!isfinite(f) || n > 60)
        return 0;
    if (n < 0) {
        double unit = n < -308 ? (double)INFINITY : pow(10, (double)-n);
        *ret = tn_j_float(isinf(unit) ? copysign(0, f) : nearbyint(f / unit) * unit);
        return 0;
    }
    tn_j_buf(r, &b);
    int32_t rc = tn_j_put_double(&b, "%.*f", (int)n, f);
    if (rc == 0)
        (void)tn_j_parse_double(b.data, b.len, &ret->f); /* our own spelling */
    tn_buf_finish(&b);
    return rc ? tn_j_exhausted(r, "out of memory for a number") : 0;
}

static int32_t round_int(struct jrun *r, int64_t i, int64_t n, struct jv *ret)
{
    int64_t unit = 1;
    *ret = tn_j_int(n < -18 ? 0 : i);
    if (n >= 0 || n < -18)
        return 0;
    while (n++ < 0)
        unit *= 10;
    int64_t rest = i % unit, down = i - rest, half = rest < 0 ? -rest : rest;
    bool up = half > unit / 2 || (half == unit / 2 && (down / unit) % 2 != 0);
    if (up && __builtin_add_overflow(down, rest < 0 ? -unit : unit, &down))
        return tn_j_fail(r, "integer overflow: the result passes 64 bits");
    *ret = tn_j_int(down);
    return 0;
}

FILTER(f_round)
{
    struct jv v[2] = {tn_j_int(0)};
    int64_t prec = 0, i;
    double f = 0;
    int32_t rc = tn_j_cstr(r, "common", &v[1]);
    if (rc == 0)
        rc = tn_j_params(r, "round", a, "precision method", 0, v);
    if (rc == 0)
        rc = tn_j_want_int(r, "round", v[0], &prec);
    if (rc != 0)
        return rc;
    bool up = tn_j_is_cstr(v[1], "ceil");
    if (!up && !tn_j_is_cstr(v[1], "floor") && !tn_j_is_cstr(v[1], "common"))
        return tn_j_fail(r, "round: method must be common, ceil or floor");
    if (!tn_j_is_num(in, &f))
        return in.type == JV_UNDEF ? tn_j_undef_fail(r, in)
                                   : tn_j_fail(r, "type %s doesn't define __round__ method", tn_j_type_name(in));
    if (tn_j_is_cstr(v[1], "common"))
        return tn_j_is_int(in, &i) ? round_int(r, i, prec, ret) : round_float(r, f, prec, ret);
    double unit = pow(10, (double)prec);
    *ret = tn_j_float((up ? ceil(f * unit) : floor(f * unit)) / unit);
    return 0;
}

FILTER(f_filesizeformat)
{
    static const char units[] = "kMGTPEZY";
    struct jv binary = tn_j_bool(false);
    struct tn_buf b;
    double f = 0, unit;
    bool bin = false;
    int at = 0;
    int32_t rc = tn_j_params(r, "filesizeformat", a, "binary", 0, &binary);
    if (rc == 0)
        rc = tn_j_truth(r, binary, &bin);
    if (rc == 0 && !(in.type == JV_STR ? float_of_text(in.s, &f) : tn_j_is_num(in, &f)))
        return tn_j_fail(r, "filesizeformat needs a number, not %s", tn_j_type_name(in));
    if (rc != 0)
        return rc;
    double base = bin ? 1024 : 1000;
    tn_j_buf(r, &b);
    if (f == 1)
        rc = tn_buf_str(&b, "1 Byte");
    else if (f < base)
        rc = tn_buf_printf(&b, "%.0f Bytes", trunc(f));
    else {
        for (unit = base * base; at < 7 && f >= unit; at++)
            unit *= base;
        rc = tn_j_put_double(&b, "%.*f", 1, base * f / unit);
        if (rc == 0)
            rc = tn_buf_printf(&b, " %c%sB", bin && at == 0 ? 'K' : units[at], bin ? "i" : "");
    }
    return tn_j_str_take(r, rc, &b, ret);
}

const struct jfilter tn_j_num_filters[] = {
    {"abs", f_abs}, {"filesizeformat", f_filesizeformat}, {"float", f_float}, {"int", f_int}, {"round", f_round},
    {NULL, NULL},
};
