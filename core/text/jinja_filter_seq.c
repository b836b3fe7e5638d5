/* Filters on sequences as a whole: length, order, grouping, joining. Those
 * that apply a filter or test to each item are in jinja_filter_select.c. To
 * add one: a function and a line in the table at the end. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

#define FILTER(name) static int32_t name(struct jrun *r, struct jv in, const struct jargs *a, struct jv *ret)

static int32_t no_args(struct jrun *r, const char *who, const struct jargs *a)
{
    return tn_j_params(r, who, a, "", 0, NULL);
}

/* ---- sorting ---- */

struct jsort {
    struct jrun *r;
    struct jv *items, *keys;         /* [n] */
    struct jv *items_tmp, *keys_tmp; /* [n] */
    bool reverse;
};

/* Whether the right one must come before the left one. */
static int32_t goes_first(struct jsort *s, size_t right, size_t left, bool *ret)
{
    int c;
    int32_t rc = s->reverse ? tn_j_cmp(s->r, s->keys[left], s->keys[right], "<", &c)
                            : tn_j_cmp(s->r, s->keys[right], s->keys[left], "<", &c);
    *ret = c == -1;
    return rc;
}

static int32_t merge(struct jsort *s, size_t from, size_t mid, size_t to)
{
    size_t i = from, j = mid;
    int32_t rc = 0;
    for (size_t k = from; rc == 0 && k < to; k++) {
        bool right = i == mid;
        if (!right && j < to)
            rc = goes_first(s, j, i, &right);
        size_t take = right ? j++ : i++;
        s->items_tmp[k] = s->items[take];
        s->keys_tmp[k] = s->keys[take];
    }
    if (rc == 0) {
        memcpy(s->items + from, s->items_tmp + from, (to - from) * sizeof *s->items);
        memcpy(s->keys + from, s->keys_tmp + from, (to - from) * sizeof *s->keys);
    }
    return rc;
}

static int32_t sort_range(struct jsort *s, size_t from, size_t to)
{
    if (to - from < 2)
        return 0;
    size_t mid = from + (to - from) / 2;
    int32_t rc = sort_range(s, from, mid);
    if (rc == 0)
        rc = sort_range(s, mid, to);
    return rc ? rc : merge(s, from, mid, to);
}

int32_t tn_j_sort(struct jrun *r, struct jlist *items, struct jlist *keys, bool reverse)
{
    struct jsort s = {.r = r, .items = items->items, .keys = keys->items, .reverse = reverse};
    if (items->n < 2)
        return 0;
    s.items_tmp = tn_j_alloc(r, items->n, sizeof *s.items_tmp);
    s.keys_tmp = s.items_tmp ? tn_j_alloc(r, items->n, sizeof *s.keys_tmp) : NULL;
    return s.keys_tmp ? sort_range(&s, 0, items->n) : r->rc;
}

/* ---- keys ---- */

static int32_t fold_key(struct jrun *r, bool case_sensitive, struct jv *v)
{
    struct tn_buf b;
    if (case_sensitive || v->type != JV_STR)
        return 0;
    tn_j_buf(r, &b);
    return tn_j_str_take(r, tn_jstr_lower(&b, v->s->p, v->s->len), &b, v);
}

/* The key of one item by one attribute path (JV_NONE: the item itself). */
static int32_t item_key(struct jrun *r, struct jv item, struct jv path, const struct jv *dflt, bool case_sensitive,
                        struct jv *ret)
{
    int32_t rc = tn_j_attr_path(r, item, path, dflt, ret);
    return rc ? rc : fold_key(r, case_sensitive, ret);
}

/* The key by "a,b": a list of keys. */
static int32_t multi_key(struct jrun *r, struct jv item, struct jv paths, bool case_sensitive, struct jv *ret)
{
    if (paths.type != JV_STR || memchr(paths.s->p, ',', paths.s->len) == NULL)
        return item_key(r, item, paths, NULL, case_sensitive, ret);
    const char *p = paths.s->p, *end = p + paths.s->len;
    int32_t rc = tn_j_list_new(r, JV_LIST, ret);
    while (rc == 0) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        struct jv path, key;
        rc = tn_j_str_ref(r, p, (size_t)((comma ? comma : end) - p), &path);
        if (rc == 0)
            rc = item_key(r, item, path, NULL, case_sensitive, &key);
        if (rc == 0)
            rc = tn_j_list_push(r, ret->list, key);
        if (comma == NULL)
            break;
        p = comma + 1;
    }
    return rc;
}

static int32_t keys_of(struct jrun *r, const struct jlist *items, struct jv path, const struct jv *dflt,
                       bool case_sensitive, bool multi, struct jv *ret)
{
    int32_t rc = tn_j_list_new(r, JV_LIST, ret);
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        struct jv key;
        rc = multi ? multi_key(r, items->items[i], path, case_sensitive, &key)
                   : item_key(r, items->items[i], path, dflt, case_sensitive, &key);
        if (rc == 0)
            rc = tn_j_list_push(r, ret->list, key);
    }
    return rc;
}

FILTER(f_sort)
{
    struct jv v[3] = {tn_j_bool(false), tn_j_bool(false), tn_j_none()}, keys;
    bool reverse = false, exact = false;
    int32_t rc = tn_j_params(r, "sort", a, "reverse case_sensitive attribute", 0, v);
    if (rc == 0)
        rc = tn_j_truth(r, v[0], &reverse);
    if (rc == 0)
        rc = tn_j_truth(r, v[1], &exact);
    if (rc == 0)
        rc = tn_j_to_list(r, in, ret);
    if (rc == 0)
        rc = keys_of(r, ret->list, v[2], NULL, exact, true, &keys);
    return rc ? rc : tn_j_sort(r, ret->list, keys.list, reverse);
}

FILTER(f_dictsort)
{
    struct jv v[3] = {tn_j_bool(false), {0}, tn_j_bool(false)}, keys;
    bool reverse = false, exact = false;
    int32_t rc = tn_j_cstr(r, "key", &v[1]);
    if (rc == 0)
        rc = tn_j_params(r, "dictsort", a, "case_sensitive by reverse", 0, v);
    if (rc == 0)
        rc = tn_j_truth(r, v[0], &exact);
    if (rc == 0)
        rc = tn_j_truth(r, v[2], &reverse);
    bool value = tn_j_is_cstr(v[1], "value");
    if (rc == 0 && !value && !tn_j_is_cstr(v[1], "key"))
        return tn_j_fail(r, "dictsort: you can only sort by either \"key\" or \"value\"");
    if (rc == 0 && in.type != JV_DICT)
        return in.type == JV_UNDEF ? tn_j_undef_fail(r, in)
                                   : tn_j_fail(r, "dictsort needs a mapping, not %s", tn_j_type_name(in));
    in.type = JV_VIEW;
    in.flag = JVIEW_ITEMS;
    if (rc == 0)
        rc = tn_j_to_list(r, in, ret);
    if (rc == 0)
        rc = keys_of(r, ret->list, tn_j_int(value), NULL, exact, false, &keys);
    return rc ? rc : tn_j_sort(r, ret->list, keys.list, reverse);
}

/* Arguments "case_sensitive attribute" of several filters. */
static int32_t key_args(struct jrun *r, const char *who, const struct jargs *a, bool *ret_exact, struct jv *ret_path)
{
    struct jv v[2] = {tn_j_bool(false), tn_j_none()};
    int32_t rc = tn_j_params(r, who, a, "case_sensitive attribute", 0, v);
    *ret_path = v[1];
    return rc ? rc : tn_j_truth(r, v[0], ret_exact);
}

static int32_t extreme(struct jrun *r, struct jv in, const struct jargs *a, bool max, struct jv *ret)
{
    struct jv path, list, keys;
    bool exact = false;
    size_t best = 0;
    int32_t rc = key_args(r, max ? "max" : "min", a, &exact, &path);
    if (rc == 0)
        rc = tn_j_to_list(r, in, &list);
    if (rc == 0 && list.list->n == 0)
        return tn_j_undef(r, "No aggregated item, sequence was empty.", ret);
    if (rc == 0)
        rc = keys_of(r, list.list, path, NULL, exact, false, &keys);
    for (size_t i = 1; rc == 0 && i < list.list->n; i++) {
        int c = 0;
        rc = tn_j_cmp(r, keys.list->items[i], keys.list->items[best], max ? ">" : "<", &c);
        if (c == (max ? 1 : -1))
            best = i;
    }
    if (rc == 0)
        *ret = list.list->items[best];
    return rc;
}

FILTER(f_min)
{
    return extreme(r, in, a, false, ret);
}
FILTER(f_max)
{
    return extreme(r, in, a, true, ret);
}

/* ---- grouping ---- */

static int32_t push_group(struct jrun *r, struct jv groups, struct jv key, struct jv *ret_members)
{
    struct jv pair;
    int32_t rc = tn_j_list_new(r, JV_LIST, ret_members);
    if (rc == 0)
        rc = tn_j_pair(r, key, *ret_members, &pair);
    if (rc != 0)
        return rc;
    pair.list->group = true;
    return tn_j_list_push(r, groups.list, pair);
}

FILTER(f_groupby)
{
    struct jv v[3] = {{0}, tn_j_none(), tn_j_bool(false)}, items, keys, members = {0}, shown;
    bool exact = false, same = false;
    int32_t rc = tn_j_params(r, "groupby", a, "attribute default case_sensitive", 1, v);
    const struct jv *dflt = v[1].type == JV_NONE ? NULL : &v[1];
    if (rc == 0)
        rc = tn_j_truth(r, v[2], &exact);
    if (rc == 0)
        rc = tn_j_to_list(r, in, &items);
    if (rc == 0)
        rc = keys_of(r, items.list, v[0], dflt, exact, false, &keys);
    if (rc == 0)
        rc = tn_j_sort(r, items.list, keys.list, false);
    if (rc == 0)
        rc = tn_j_list_new(r, JV_LIST, ret);
    for (size_t i = 0; rc == 0 && i < items.list->n; i++) {
        if (i > 0)
            rc = tn_j_eq(r, keys.list->items[i - 1], keys.list->items[i], &same);
        if (rc == 0 && !(i > 0 && same)) {
            rc = tn_j_attr_path(r, items.list->items[i], v[0], dflt, &shown);
            if (rc == 0)
                rc = push_group(r, *ret, shown, &members);
        }
        if (rc == 0)
            rc = tn_j_list_push(r, members.list, items.list->items[i]);
    }
    return rc;
}

/* ---- lazy ones: filled at the first use ---- */

struct jlazy {
    struct jv in;
    struct jv a, b; /* the filter's own arguments */
};

static int32_t lazy(struct jrun *r, struct jv in, struct jv a, struct jv b,
                    int32_t (*fill)(struct jrun *, struct jgen *), struct jv *ret)
{
    struct jlazy *z = tn_j_alloc(r, 1, sizeof *z);
    if (z == NULL)
        return r->rc;
    *z = (struct jlazy){.in = in, .a = a, .b = b};
    return tn_j_gen_new(r, "generator", fill, z, ret);
}

static int32_t fill_unique(struct jrun *r, struct jgen *g)
{
    const struct jlazy *z = g->ctx;
    struct jv items, keys, seen, *hit;
    int32_t rc = tn_j_to_list(r, z->in, &items);
    if (rc == 0)
        rc = keys_of(r, items.list, z->a, NULL, z->b.b, false, &keys);
    if (rc == 0)
        rc = tn_j_dict_new(r, &seen);
    for (size_t i = 0; rc == 0 && i < items.list->n; i++) {
        rc = tn_j_dict_get(r, seen.dict, keys.list->items[i], &hit);
        if (rc != 0 || hit != NULL)
            continue;
        rc = tn_j_dict_set(r, seen.dict, keys.list->items[i], tn_j_none());
        if (rc == 0)
            rc = tn_j_list_push(r, &g->list, items.list->items[i]);
    }
    return rc;
}

FILTER(f_unique)
{
    struct jv path;
    bool exact = false;
    int32_t rc = key_args(r, "unique", a, &exact, &path);
    return rc ? rc : lazy(r, in, path, tn_j_bool(exact), fill_unique, ret);
}

static int32_t fill_items(struct jrun *r, struct jgen *g)
{
    struct jv v = ((const struct jlazy *)g->ctx)->in, list;
    if (v.type == JV_UNDEF)
        return 0;
    if (v.type != JV_DICT)
        return tn_j_fail(r, "Can only get item pairs from a mapping.");
    v.type = JV_VIEW;
    v.flag = JVIEW_ITEMS;
    int32_t rc = tn_j_to_list(r, v, &list);
    if (rc == 0)
        g->list = *list.list;
    return rc;
}

FILTER(f_items)
{
    int32_t rc = no_args(r, "items", a);
    return rc ? rc : lazy(r, in, in, in, fill_items, ret);
}

static int32_t push_filled(struct jrun *r, struct jgen *g, struct jv chunk, size_t want, struct jv fill)
{
    int32_t rc = 0;
    while (rc == 0 && fill.type != JV_NONE && chunk.list->n < want)
        rc = tn_j_list_push(r, chunk.list, fill);
    return rc ? rc : tn_j_list_push(r, &g->list, chunk);
}

static int32_t fill_batch(struct jrun *r, struct jgen *g)
{
    const struct jlazy *z = g->ctx;
    struct jv items, chunk;
    int32_t rc = tn_j_to_list(r, z->in, &items);
    if (rc == 0)
        rc = tn_j_list_new(r, JV_LIST, &chunk);
    for (size_t i = 0; rc == 0 && i < items.list->n; i++) {
        bool full = (int64_t)chunk.list->n == z->a.i; /* a count of 0 makes one empty chunk, as in Jinja */
        if (full)
            rc = tn_j_list_push(r, &g->list, chunk);
        if (rc == 0 && full)
            rc = tn_j_list_new(r, JV_LIST, &chunk);
        if (rc == 0)
            rc = tn_j_list_push(r, chunk.list, items.list->items[i]);
    }
    if (rc == 0 && items.list->n > 0)
        rc = push_filled(r, g, chunk, z->a.i > 0 ? (size_t)z->a.i : 0, z->b);
    return rc;
}

static int32_t fill_slice(struct jrun *r, struct jgen *g)
{
    const struct jlazy *z = g->ctx;
    struct jv items, chunk;
    int64_t slices = z->a.i;
    int32_t rc = tn_j_to_list(r, z->in, &items);
    if (rc == 0 && slices == 0)
        return tn_j_fail(r, "integer division or modulo by zero");
    for (int64_t k = 0, at = 0; rc == 0 && k < slices; k++) {
        int64_t n = (int64_t)items.list->n / slices, extra = (int64_t)items.list->n % slices;
        rc = tn_j_list_new(r, JV_LIST, &chunk);
        for (int64_t i = 0; rc == 0 && i < n + (k < extra); i++)
            rc = tn_j_list_push(r, chunk.list, items.list->items[at++]);
        if (rc == 0)
            rc = push_filled(r, g, chunk, k >= extra ? chunk.list->n + 1 : 0, z->b);
    }
    return rc;
}

static int32_t chunked(struct jrun *r, const char *who, struct jv in, const struct jargs *a,
                       int32_t (*fill)(struct jrun *, struct jgen *), struct jv *ret)
{
    struct jv v[2] = {{0}, tn_j_none()};
    int64_t n = 0;
    int32_t rc = tn_j_params(r, who, a, "count fill_with", 1, v);
    if (rc == 0)
        rc = tn_j_want_int(r, who, v[0], &n);
    return rc ? rc : lazy(r, in, tn_j_int(n), v[1], fill, ret);
}

FILTER(f_batch)
{
    return chunked(r, "batch", in, a, fill_batch, ret);
}
FILTER(f_slice)
{
    return chunked(r, "slice", in, a, fill_slice, ret);
}

static int32_t fill_reverse(struct jrun *r, struct jgen *g)
{
    struct jv list;
    int32_t rc = tn_j_to_list(r, ((const struct jlazy *)g->ctx)->in, &list);
    for (size_t i = rc == 0 ? list.list->n : 0; rc == 0 && i > 0; i--)
        rc = tn_j_list_push(r, &g->list, list.list->items[i - 1]);
    return rc;
}

static int32_t reverse_text(struct jrun *r, struct jv in, struct jv *ret)
{
    return tn_j_slice(r, in, tn_j_none(), tn_j_none(), tn_j_int(-1), ret);
}

FILTER(f_reverse)
{
    struct jv list;
    struct jiter it;
    int32_t rc = no_args(r, "reverse", a);
    if (rc == 0 && in.type == JV_STR)
        return reverse_text(r, in, ret);
    if (rc == 0)
        rc = tn_j_iter(r, in, &it); /* fails now for what cannot be iterated */
    if (rc == 0 && in.type == JV_GEN) {
        rc = tn_j_to_list(r, in, &list);
        return rc ? rc : tn_j_slice(r, list, tn_j_none(), tn_j_none(), tn_j_int(-1), ret);
    }
    return rc ? rc : lazy(r, in, in, in, fill_reverse, ret);
}

/* ---- simple ones ---- */

FILTER(f_length)
{
    size_t n = 0;
    struct jv name;
    int32_t rc = no_args(r, "length", a);
    if (rc == 0 && in.type == JV_LOOP) {
        rc = tn_j_cstr(r, "length", &name);
        return rc ? rc : tn_j_getattr(r, in, name, ret);
    }
    if (rc == 0)
        rc = tn_j_len(r, in, &n);
    *ret = tn_j_int((int64_t)n);
    return rc;
}

FILTER(f_list)
{
    int32_t rc = no_args(r, "list", a);
    return rc ? rc : tn_j_to_list(r, in, ret);
}

FILTER(f_first)
{
    struct jiter it;
    bool more = false;
    int32_t rc = no_args(r, "first", a);
    if (rc == 0)
        rc = tn_j_iter(r, in, &it);
    if (rc == 0)
        rc = tn_j_next(r, &it, ret, &more);
    return rc == 0 && !more ? tn_j_undef(r, "No first item, sequence was empty.", ret) : rc;
}

FILTER(f_last)
{
    struct jv list;
    int32_t rc = no_args(r, "last", a);
    if (rc == 0 && in.type == JV_GEN)
        return tn_j_fail(r, "'%s' object is not reversible", tn_j_type_name(in));
    if (rc == 0)
        rc = tn_j_to_list(r, in, &list);
    if (rc != 0)
        return rc;
    if (list.list->n == 0)
        return tn_j_undef(r, "No last item, sequence was empty.", ret);
    *ret = list.list->items[list.list->n - 1];
    return 0;
}

FILTER(f_join)
{
    struct jv v[2] = {{0}, tn_j_none()}, item;
    struct jiter it;
    struct tn_buf b;
    bool more = true;
    int32_t rc = tn_j_cstr(r, "", &v[0]);
    if (rc == 0)
        rc = tn_j_params(r, "join", a, "d attribute", 0, v);
    if (rc == 0)
        rc = tn_j_to_str(r, v[0], &v[0]);
    if (rc == 0)
        rc = tn_j_iter(r, in, &it);
    if (rc != 0)
        return rc;
    tn_j_buf(r, &b);
    for (size_t i = 0; rc == 0; i++) {
        rc = tn_j_next(r, &it, &item, &more);
        if (rc != 0 || !more)
            break;
        if (i > 0)
            rc = tn_buf_append(&b, v[0].s->p, v[0].s->len);
        if (rc == 0)
            rc = tn_j_attr_path(r, item, v[1], NULL, &item);
        if (rc == 0)
            rc = tn_j_put_str(r, &b, item);
    }
    return tn_j_str_take(r, rc, &b, ret);
}

FILTER(f_sum)
{
    struct jv v[2] = {tn_j_none(), tn_j_int(0)}, item;
    struct jiter it;
    bool more = true;
    int32_t rc = tn_j_params(r, "sum", a, "attribute start", 0, v);
    if (rc == 0 && v[1].type == JV_STR)
        return tn_j_fail(r, "sum() can't sum strings [use ''.join(seq) instead]");
    if (rc == 0)
        rc = tn_j_iter(r, in, &it);
    while (rc == 0) {
        rc = tn_j_next(r, &it, &item, &more);
        if (rc != 0 || !more)
            break;
        rc = tn_j_attr_path(r, item, v[0], NULL, &item);
        if (rc == 0)
            rc = tn_j_binary(r, '+', v[1], item, &v[1]);
    }
    *ret = v[1];
    return rc;
}

FILTER(f_default)
{
    struct jv v[2] = {{0}, tn_j_bool(false)};
    bool boolean = false, truth = true;
    int32_t rc = tn_j_cstr(r, "", &v[0]);
    if (rc == 0)
        rc = tn_j_params(r, "default", a, "default_value boolean", 0, v);
    if (rc == 0)
        rc = tn_j_truth(r, v[1], &boolean);
    if (rc == 0 && boolean)
        rc = tn_j_truth(r, in, &truth);
    *ret = in.type == JV_UNDEF || !truth ? v[0] : in;
    return rc;
}

FILTER(f_attr)
{
    struct jv name;
    bool found = false;
    int32_t rc = tn_j_params(r, "attr", a, "name", 1, &name);
    if (rc == 0)
        rc = tn_j_want_str(r, "attr", name);
    if (rc == 0 && in.type == JV_UNDEF)
        return tn_j_undef_fail(r, in);
    if (rc == 0)
        rc = tn_j_attr_only(r, in, name, ret, &found);
    return rc == 0 && !found ? tn_j_undef_attr(r, in, name, ret) : rc;
}

const struct jfilter tn_j_seq_filters[] = {
    {"attr", f_attr},       {"batch", f_batch},       {"count", f_length}, {"d", f_default},
    {"default", f_default}, {"dictsort", f_dictsort}, {"first", f_first},  {"groupby", f_groupby},
    {"items", f_items},     {"join", f_join},         {"last", f_last},    {"length", f_length},
    {"list", f_list},       {"max", f_max},           {"min", f_min},      {"reverse", f_reverse},
    {"slice", f_slice},     {"sort", f_sort},         {"sum", f_sum},      {"unique", f_unique},
    {NULL, NULL},
};
