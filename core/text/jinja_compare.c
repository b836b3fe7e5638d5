/* Equality and order of template values, as Python has them. One thread per run;
 * contracts in jinja_value.h. */
#include "jinja_value.h"

#include <string.h>

/* ---- equality ---- */

static bool big_or_num(struct jv v, long double *ret)
{
    int64_t i;
    if (v.type == JV_FLOAT)
        *ret = v.f;
    else if (tn_j_is_int(v, &i))
        *ret = i;
    else if (v.type == JV_BIG) {
        double d = 0;
        (void)tn_j_parse_double(v.s->p, v.s->len, &d); /* its digits are checked when read */
        *ret = d;
    } else
        return false;
    return true;
}

static bool same_bytes(const struct jstr *a, const struct jstr *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static int32_t list_eq(struct jrun *r, const struct jlist *a, const struct jlist *b, bool *ret)
{
    int32_t rc = 0;
    *ret = a->n == b->n;
    for (size_t i = 0; rc == 0 && *ret && i < a->n; i++)
        rc = tn_j_eq(r, a->items[i], b->items[i], ret);
    return rc;
}

static int32_t dict_eq(struct jrun *r, const struct jdict *a, const struct jdict *b, bool *ret)
{
    int32_t rc = 0;
    *ret = a->n == b->n;
    for (size_t i = 0; rc == 0 && *ret && i < a->n; i++) {
        struct jv *other;
        rc = tn_j_dict_get(r, b, a->items[i].key, &other);
        if (rc != 0 || other == NULL)
            *ret = false;
        else
            rc = tn_j_eq(r, a->items[i].val, *other, ret);
    }
    return rc;
}

static int32_t nested_eq(struct jrun *r, struct jv a, struct jv b, bool *ret)
{
    int32_t rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    rc = a.type == JV_DICT ? dict_eq(r, a.dict, b.dict, ret) : list_eq(r, a.list, b.list, ret);
    tn_j_leave(r);
    return rc;
}

int32_t tn_j_eq(struct jrun *r, struct jv a, struct jv b, bool *ret)
{
    long double x, y;
    int32_t rc = tn_j_charge(r, 1);
    if (rc != 0)
        return rc;
    *ret = false;
    if (a.type == JV_BIG && b.type == JV_BIG)
        *ret = same_bytes(a.s, b.s);
    else if (big_or_num(a, &x) && big_or_num(b, &y))
        *ret = x == y;
    else if (a.type != b.type)
        *ret = false;
    else if (a.type == JV_STR)
        *ret = same_bytes(a.s, b.s);
    else if (a.type == JV_UNDEF || a.type == JV_NONE)
        *ret = true;
    else if (tn_j_is_seq(a) || a.type == JV_DICT)
        return a.list == b.list ? (*ret = true, 0) : nested_eq(r, a, b, ret);
    else
        *ret = a.list == b.list;
    return 0;
}

/* ---- order ---- */

static int32_t str_cmp(const struct jstr *a, const struct jstr *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->p, b->p, n); /* the order of UTF-8 bytes is that of code points */
    return c != 0 ? (c < 0 ? -1 : 1) : (a->len > b->len) - (a->len < b->len);
}

static int32_t list_cmp(struct jrun *r, const struct jlist *a, const struct jlist *b, const char *op, int *ret)
{
    int32_t rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    size_t n = a->n < b->n ? a->n : b->n, i = 0;
    bool same = true;
    for (; rc == 0 && i < n; i++) {
        rc = tn_j_eq(r, a->items[i], b->items[i], &same);
        if (!same)
            break;
    }
    if (rc == 0 && !same)
        rc = tn_j_cmp(r, a->items[i], b->items[i], op, ret);
    else
        *ret = (a->n > b->n) - (a->n < b->n);
    tn_j_leave(r);
    return rc;
}

int32_t tn_j_cmp(struct jrun *r, struct jv a, struct jv b, const char *op, int *ret)
{
    long double x, y;
    int32_t rc = tn_j_charge(r, 1);
    if (rc != 0)
        return rc;
    if (a.type == JV_UNDEF)
        return tn_j_undef_fail(r, a);
    if (b.type == JV_UNDEF)
        return tn_j_undef_fail(r, b);
    if (big_or_num(a, &x) && big_or_num(b, &y))
        *ret = x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
    else if (a.type == JV_STR && b.type == JV_STR)
        *ret = str_cmp(a.s, b.s);
    else if (tn_j_is_seq(a) && a.type == b.type)
        return list_cmp(r, a.list, b.list, op, ret);
    else
        return tn_j_fail(r, "'%s' not supported between instances of '%s' and '%s'", op, tn_j_type_name(a),
                         tn_j_type_name(b));
    return 0;
}
