/* The methods of lists, tuples, dicts and cyclers, and finding any method by
 * type and name. Methods that would change their object do not exist here:
 * the sandbox is immutable (jinja_access.c says so to the template). */
#include "jinja_methods.h"

#include <math.h>
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"

static int32_t no_args(struct jrun *r, const struct jargs *a)
{
    return a->npos + a->nkw > 0 ? tn_j_fail(r, "this method takes no arguments") : 0;
}

/* ---- lists and tuples ---- */

METHOD(l_count)
{
    struct jv x;
    int64_t n = 0;
    int32_t rc = tn_j_params(r, "count()", a, "value", 1, &x);
    for (size_t i = 0; rc == 0 && i < self.list->n; i++) {
        bool same = false;
        rc = tn_j_eq(r, self.list->items[i], x, &same);
        n += same;
    }
    *ret = tn_j_int(n);
    return rc;
}

METHOD(l_index)
{
    struct jv v[3] = {{0}, tn_j_int(0), tn_j_int(INT64_MAX)};
    int64_t from = 0, to = 0, n = (int64_t)self.list->n;
    int32_t rc = tn_j_params(r, "index()", a, "value start stop", 1, v);
    if (rc == 0)
        rc = tn_j_want_int(r, "index()", v[1], &from);
    if (rc == 0)
        rc = tn_j_want_int(r, "index()", v[2], &to);
    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? to + n : to > n ? n : to;
    for (int64_t i = from; rc == 0 && i < to; i++) {
        bool same = false;
        rc = tn_j_eq(r, self.list->items[i], v[0], &same);
        if (same) {
            *ret = tn_j_int(i);
            return rc;
        }
    }
    return rc ? rc : tn_j_fail(r, "the value is not in the list");
}

METHOD(l_copy)
{
    int32_t rc = no_args(r, a);
    return rc ? rc : tn_j_to_list(r, self, ret);
}

/* ---- dicts ---- */

METHOD(d_get)
{
    struct jv v[2] = {{0}, tn_j_none()}, *hit;
    int32_t rc =
        a->nkw > 0 ? tn_j_fail(r, "get() takes no keyword arguments") : tn_j_params(r, "get()", a, "key default", 1, v);
    if (rc == 0)
        rc = tn_j_dict_get(r, self.dict, v[0], &hit);
    if (rc == 0)
        *ret = hit != NULL ? *hit : v[1];
    return rc;
}

static int32_t view(struct jrun *r, struct jv self, const struct jargs *a, enum jview what, struct jv *ret)
{
    *ret = (struct jv){.type = JV_VIEW, .flag = (uint8_t)what, .dict = self.dict};
    return no_args(r, a);
}

METHOD(d_keys)
{
    return view(r, self, a, JVIEW_KEYS, ret);
}
METHOD(d_values)
{
    return view(r, self, a, JVIEW_VALUES, ret);
}
METHOD(d_items)
{
    return view(r, self, a, JVIEW_ITEMS, ret);
}

METHOD(d_copy)
{
    int32_t rc = no_args(r, a);
    if (rc == 0)
        rc = tn_j_dict_new(r, ret);
    for (size_t i = 0; rc == 0 && i < self.dict->n; i++)
        rc = tn_j_dict_set(r, ret->dict, self.dict->items[i].key, self.dict->items[i].val);
    return rc;
}

/* ---- numbers ---- */

METHOD(f_is_integer)
{
    *ret = tn_j_bool(isfinite(self.f) && floor(self.f) == self.f);
    return no_args(r, a);
}

METHOD(i_bit_length)
{
    int64_t i = 0;
    (void)tn_j_is_int(self, &i); /* found on ints alone */
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    *ret = tn_j_int(u == 0 ? 0 : 64 - __builtin_clzll(u));
    return no_args(r, a);
}

/* ---- cyclers ---- */

METHOD(c_next)
{
    struct jcycler *c = self.cycler;
    *ret = c->items->items[c->pos];
    c->pos = (c->pos + 1) % c->items->n;
    return no_args(r, a);
}

METHOD(c_reset)
{
    self.cycler->pos = 0;
    *ret = tn_j_none();
    return no_args(r, a);
}

static const struct jmethod list_methods[] = {
    {"count", l_count},
    {"index", l_index},
    {"copy", l_copy},
    {NULL, NULL},
};
static const struct jmethod tuple_methods[] = {{"count", l_count}, {"index", l_index}, {NULL, NULL}};
static const struct jmethod dict_methods[] = {
    {"get", d_get}, {"keys", d_keys}, {"values", d_values}, {"items", d_items}, {"copy", d_copy}, {NULL, NULL},
};
static const struct jmethod float_methods[] = {{"is_integer", f_is_integer}, {NULL, NULL}};
static const struct jmethod int_methods[] = {{"bit_length", i_bit_length}, {NULL, NULL}};
static const struct jmethod cycler_methods[] = {{"next", c_next}, {"reset", c_reset}, {NULL, NULL}};

/* The methods of a type but str, whose tables are three. */
static const struct jmethod *table_of(struct jv obj)
{
    switch (obj.type) {
    case JV_LIST:
        return list_methods;
    case JV_TUPLE:
        return tuple_methods;
    case JV_DICT:
        return dict_methods;
    case JV_FLOAT:
        return float_methods;
    case JV_BOOL:
    case JV_INT:
        return int_methods;
    case JV_CYCLER:
        return cycler_methods;
    default:
        return NULL;
    }
}

const struct jmethod *tn_j_method_find(struct jv obj, const char *name, size_t len)
{
    const struct jmethod *const of_str[] = {tn_j_str_methods, tn_j_split_methods, tn_j_class_methods};
    const struct jmethod *const of_other[] = {table_of(obj), NULL, NULL};
    for (size_t t = 0; t < 3; t++)
        for (const struct jmethod *m = (obj.type == JV_STR ? of_str : of_other)[t]; m != NULL && m->name != NULL; m++)
            if (strlen(m->name) == len && memcmp(m->name, name, len) == 0)
                return m;
    return NULL;
}
