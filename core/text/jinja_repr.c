/* Python's str() and repr() of template values, byte for byte: shortest
 * round-trip floats, quote choice, escapes of what is not printable. One
 * thread per run; contract in jinja_value.h. */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja_exec.h"
#include "jinja_str.h"
#include "jinja_value.h"

/* ---- floats ---- */

int32_t tn_j_put_double(struct tn_buf *b, const char *fmt, int prec, double f)
{
    size_t from = b->len;
    int32_t rc = tn_buf_printf(b, fmt, prec, f);
    for (size_t i = from; rc == 0 && i < b->len; i++)
        if (b->data[i] == ',')
            b->data[i] = '.';
    return rc;
}

bool tn_j_parse_double(const char *p, size_t len, double *ret)
{
    char text[400]; /* longer spellings only add digits no double can hold */
    if (len == 0 || len >= sizeof text || p[0] == ' ')
        return false;
    memcpy(text, p, len);
    text[len] = '\0';
    char *end;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        return false;
    *ret = strtod_l(text, &end, c);
    freelocale(c);
    return end == text + len;
}

int32_t tn_j_int_text(struct jrun *r, const char *p, size_t len, struct jv *ret)
{
    bool neg = len > 0 && p[0] == '-';
    int64_t v = 0;
    for (size_t i = neg; i < len; i++) {
        int d = neg ? '0' - p[i] : p[i] - '0';
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v)) {
            int32_t rc = tn_j_str_copy(r, p, len, ret);
            ret->type = JV_BIG;
            return rc;
        }
    }
    *ret = tn_j_int(v);
    return 0;
}

/* The fewest significant digits that read back as f: "d.ddde+xx". */
static void shortest(double f, char *text, size_t size)
{
    for (int prec = 0; prec <= 16; prec++) {
        (void)snprintf(text, size, "%.*e", prec, f); /* 32 bytes hold any %.16e */
        if (strtod(text, NULL) == f)
            break;
    }
}

int32_t tn_j_put_float(struct tn_buf *b, double f)
{
    if (isnan(f))
        return tn_buf_str(b, "nan");
    if (isinf(f))
        return tn_buf_str(b, f < 0 ? "-inf" : "inf");
    char text[40], digits[24];
    shortest(f, text, sizeof text);
    int nd = 0, exp = atoi(strchr(text, 'e') + 1);
    for (const char *c = text; *c != 'e'; c++)
        if (*c >= '0' && *c <= '9')
            digits[nd++] = *c;
    if (exp < -4 || exp >= 16) {
        int32_t rc = tn_buf_printf(b, "%s%c", signbit(f) ? "-" : "", digits[0]);
        if (rc == 0 && nd > 1)
            rc = tn_buf_printf(b, ".%.*s", nd - 1, digits + 1);
        return rc ? rc : tn_buf_printf(b, "e%c%02d", exp < 0 ? '-' : '+', abs(exp));
    }
    int decimals = nd - 1 - exp;
    return tn_j_put_double(b, "%.*f", decimals > 1 ? decimals : 1, f);
}

/* ---- strings ---- */

static int32_t put_repr_cp(struct tn_buf *b, int32_t cp, char quote)
{
    switch (cp) {
    case '\n':
        return tn_buf_str(b, "\\n");
    case '\r':
        return tn_buf_str(b, "\\r");
    case '\t':
        return tn_buf_str(b, "\\t");
    case '\\':
        return tn_buf_str(b, "\\\\");
    default:
        break;
    }
    if (cp == quote)
        return tn_buf_printf(b, "\\%c", quote);
    if (tn_jcp_printable(cp))
        return tn_jstr_encode(b, cp);
    return tn_buf_printf(b, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)cp);
}

static int32_t put_str_repr(struct tn_buf *b, struct jv v)
{
    const struct jstr *s = v.s;
    bool single = memchr(s->p, '\'', s->len) != NULL, dbl = memchr(s->p, '"', s->len) != NULL;
    char quote = single && !dbl ? '"' : '\'';
    int32_t rc = v.flag ? tn_buf_str(b, "Markup(") : 0;
    if (rc == 0)
        rc = tn_buf_char(b, quote);
    for (size_t i = 0, n; rc == 0 && i < s->len; i += n)
        rc = put_repr_cp(b, tn_jstr_decode(s->p + i, s->len - i, &n), quote);
    if (rc == 0)
        rc = tn_buf_char(b, quote);
    return rc == 0 && v.flag ? tn_buf_char(b, ')') : rc;
}

/* ---- containers ---- */

static int32_t put_items(struct jrun *r, struct tn_buf *b, const struct jlist *l)
{
    int32_t rc = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        if (i > 0)
            rc = tn_buf_str(b, ", ");
        if (rc == 0)
            rc = tn_j_put_repr(r, b, l->items[i]);
    }
    return rc;
}

static int32_t put_list(struct jrun *r, struct tn_buf *b, struct jv v)
{
    bool tuple = v.type == JV_TUPLE;
    int32_t rc = tn_buf_char(b, tuple ? '(' : '[');
    if (rc == 0)
        rc = put_items(r, b, v.list);
    if (rc == 0 && tuple && v.list->n == 1)
        rc = tn_buf_char(b, ',');
    return rc ? rc : tn_buf_char(b, tuple ? ')' : ']');
}

static int32_t put_dict(struct jrun *r, struct tn_buf *b, const struct jdict *d)
{
    int32_t rc = tn_buf_char(b, '{');
    for (size_t i = 0; rc == 0 && i < d->n; i++) {
        if (i > 0)
            rc = tn_buf_str(b, ", ");
        if (rc == 0)
            rc = tn_j_put_repr(r, b, d->items[i].key);
        if (rc == 0)
            rc = tn_buf_str(b, ": ");
        if (rc == 0)
            rc = tn_j_put_repr(r, b, d->items[i].val);
    }
    return rc ? rc : tn_buf_char(b, '}');
}

static int32_t put_view(struct jrun *r, struct tn_buf *b, struct jv v)
{
    struct jv list;
    int32_t rc = tn_j_to_list(r, v, &list);
    if (rc == 0)
        rc = tn_buf_printf(b, "%s(", tn_j_type_name(v));
    if (rc == 0)
        rc = put_list(r, b, list);
    return rc ? rc : tn_buf_char(b, ')');
}

static int32_t put_ns(struct jrun *r, struct tn_buf *b, struct jv v)
{
    int32_t rc = tn_buf_str(b, "<Namespace ");
    if (rc == 0)
        rc = put_dict(r, b, v.dict);
    return rc ? rc : tn_buf_char(b, '>');
}

static int32_t put_range(struct tn_buf *b, const struct jrange *x)
{
    if (x->step == 1)
        return tn_buf_printf(b, "range(%" PRId64 ", %" PRId64 ")", x->start, x->stop);
    return tn_buf_printf(b, "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")", x->start, x->stop, x->step);
}

static int32_t put_nested(struct jrun *r, struct tn_buf *b, struct jv v)
{
    int32_t rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    switch (v.type) {
    case JV_LIST:
    case JV_TUPLE:
        rc = put_list(r, b, v);
        break;
    case JV_DICT:
        rc = put_dict(r, b, v.dict);
        break;
    case JV_VIEW:
        rc = put_view(r, b, v);
        break;
    case JV_NS:
        rc = put_ns(r, b, v);
        break;
    case JV_LOOP:
        rc = tn_j_loop_repr(r, b, v.loop);
        break;
    case JV_MACRO:
        rc = tn_j_macro_repr(r, b, v.macro);
        break;
    case JV_BUILTIN:
        rc = tn_buf_printf(b, "<function %s>", v.builtin->name);
        break;
    case JV_METHOD:
        rc = tn_buf_printf(b, "<built-in method %s>", v.bound->method->name);
        break;
    default:
        rc = tn_buf_printf(b, "<%s object>", tn_j_type_name(v));
        break;
    }
    tn_j_leave(r);
    return rc;
}

int32_t tn_j_put_repr(struct jrun *r, struct tn_buf *b, struct jv v)
{
    int32_t rc = tn_j_charge(r, 1);
    if (rc != 0)
        return rc;
    switch (v.type) {
    case JV_UNDEF:
        return tn_buf_str(b, "Undefined");
    case JV_NONE:
        return tn_buf_str(b, "None");
    case JV_BOOL:
        return tn_buf_str(b, v.b ? "True" : "False");
    case JV_INT:
        return tn_buf_printf(b, "%" PRId64, v.i);
    case JV_FLOAT:
        return tn_j_put_float(b, v.f);
    case JV_BIG:
        return tn_buf_append(b, v.s->p, v.s->len);
    case JV_STR:
        return put_str_repr(b, v);
    case JV_RANGE:
        return put_range(b, v.range);
    default:
        return put_nested(r, b, v);
    }
}

int32_t tn_j_put_str(struct jrun *r, struct tn_buf *b, struct jv v)
{
    if (v.type == JV_STR)
        return tn_buf_append(b, v.s->p, v.s->len);
    if (v.type == JV_UNDEF)
        return 0;
    return tn_j_put_repr(r, b, v);
}

int32_t tn_j_to_str(struct jrun *r, struct jv v, struct jv *ret)
{
    if (v.type == JV_STR) {
        *ret = v;
        return 0;
    }
    struct tn_buf b;
    tn_j_buf(r, &b);
    return tn_j_str_take(r, tn_j_put_str(r, &b, v), &b, ret);
}

int32_t tn_j_repr(struct jrun *r, struct jv v, struct jv *ret)
{
    struct tn_buf b;
    tn_j_buf(r, &b);
    return tn_j_str_take(r, tn_j_put_repr(r, &b, v), &b, ret);
}
