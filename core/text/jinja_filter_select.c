/* Filters that run a filter or a test over each item: map, select, reject,
 * selectattr, rejectattr. They are iterators, filled at their first use. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"

#define FILTER(name) static int32_t name(struct jrun *r, struct jv in, const struct jargs *a, struct jv *ret)

struct jeach {
    struct jv in;
    struct jargs args;
    bool attr, keep; /* of select and its kin: first argument is an attribute; keep what passes */
};

static int32_t each(struct jrun *r, struct jeach e, int32_t (*fill)(struct jrun *, struct jgen *), struct jv *ret)
{
    struct jeach *ctx = tn_j_alloc(r, 1, sizeof *ctx);
    if (ctx == NULL)
        return r->rc;
    *ctx = e;
    return tn_j_gen_new(r, "generator", fill, ctx, ret);
}

/* ---- map ---- */

/* The keyword `name` of the arguments, NULL if it is not given. */
static const struct jv *keyword(const struct jargs *a, const char *name)
{
    for (size_t i = 0; i < a->nkw; i++)
        if (tn_j_is_cstr(a->kw[i].key, name))
            return &a->kw[i].val;
    return NULL;
}

static int32_t map_by_attr(struct jrun *r, const struct jeach *e, struct jv list, struct jgen *g)
{
    const struct jv *path = keyword(&e->args, "attribute"), *dflt = keyword(&e->args, "default");
    int32_t rc = 0;
    if (e->args.nkw > 1u + (dflt != NULL))
        return tn_j_fail(r, "map got an unexpected keyword argument");
    if (dflt != NULL && dflt->type == JV_NONE)
        dflt = NULL;
    for (size_t i = 0; rc == 0 && i < list.list->n; i++) {
        struct jv v;
        rc = tn_j_attr_path(r, list.list->items[i], *path, dflt, &v);
        if (rc == 0)
            rc = tn_j_list_push(r, &g->list, v);
    }
    return rc;
}

static int32_t map_by_filter(struct jrun *r, const struct jeach *e, struct jv list, struct jgen *g)
{
    struct jargs rest = e->args;
    int32_t rc = 0;
    if (rest.npos == 0)
        return tn_j_fail(r, "map requires a filter argument");
    struct jv name = *rest.pos++;
    rest.npos--;
    const struct jfilter *f = name.type == JV_STR ? tn_j_filter_find(name.s->p, name.s->len) : NULL;
    if (f == NULL && list.list->n > 0)
        return tn_j_fail(r, "map: no such filter");
    for (size_t i = 0; rc == 0 && i < list.list->n; i++) {
        struct jv v;
        rc = f->call(r, list.list->items[i], &rest, &v);
        if (rc == 0)
            rc = tn_j_list_push(r, &g->list, v);
    }
    return rc;
}

/* False values give nothing, whatever they are: none too. */
static int32_t items_if_any(struct jrun *r, struct jv in, struct jv *ret)
{
    bool any = false;
    int32_t rc = tn_j_truth(r, in, &any);
    if (rc != 0)
        return rc;
    return any ? tn_j_to_list(r, in, ret) : tn_j_list_new(r, JV_LIST, ret);
}

static int32_t fill_map(struct jrun *r, struct jgen *g)
{
    const struct jeach *e = g->ctx;
    struct jv list;
    int32_t rc = items_if_any(r, e->in, &list);
    if (rc == 0)
        rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    bool by_attr = e->args.npos == 0 && keyword(&e->args, "attribute") != NULL;
    rc = by_attr ? map_by_attr(r, e, list, g) : map_by_filter(r, e, list, g);
    tn_j_leave(r);
    return rc;
}

FILTER(f_map)
{
    return each(r, (struct jeach){.in = in, .args = *a}, fill_map, ret);
}

/* ---- select and its kin ---- */

/* Whether an item passes; path JV_NONE: the item itself is tested. */
static int32_t passes(struct jrun *r, const struct jtest *t, struct jv item, struct jv path, const struct jargs *rest,
                      bool *ret)
{
    int32_t rc = tn_j_attr_path(r, item, path, NULL, &item);
    if (rc != 0)
        return rc;
    return t != NULL ? t->call(r, item, rest, ret) : tn_j_truth(r, item, ret);
}

static int32_t select_items(struct jrun *r, const struct jeach *e, struct jv list, struct jgen *g)
{
    struct jargs rest = e->args;
    struct jv path = tn_j_none(), name;
    const struct jtest *t = NULL;
    int32_t rc = 0;
    if (e->attr && rest.npos == 0)
        return tn_j_fail(r, "missing parameter for attribute name");
    if (e->attr) {
        path = *rest.pos++;
        rest.npos--;
    }
    if (rest.npos > 0) {
        name = *rest.pos++;
        rest.npos--;
        t = name.type == JV_STR ? tn_j_test_find(name.s->p, name.s->len) : NULL;
        if (t == NULL && list.list->n > 0)
            return tn_j_fail(r, "select: no such test");
    }
    for (size_t i = 0; rc == 0 && i < list.list->n; i++) {
        bool pass = false;
        rc = passes(r, t, list.list->items[i], path, &rest, &pass);
        if (rc == 0 && pass == e->keep)
            rc = tn_j_list_push(r, &g->list, list.list->items[i]);
    }
    return rc;
}

static int32_t fill_select(struct jrun *r, struct jgen *g)
{
    const struct jeach *e = g->ctx;
    struct jv list;
    int32_t rc = items_if_any(r, e->in, &list);
    return rc ? rc : select_items(r, e, list, g);
}

FILTER(f_select)
{
    return each(r, (struct jeach){.in = in, .args = *a, .keep = true}, fill_select, ret);
}

FILTER(f_reject)
{
    return each(r, (struct jeach){.in = in, .args = *a}, fill_select, ret);
}

FILTER(f_selectattr)
{
    return each(r, (struct jeach){.in = in, .args = *a, .attr = true, .keep = true}, fill_select, ret);
}

FILTER(f_rejectattr)
{
    return each(r, (struct jeach){.in = in, .args = *a, .attr = true}, fill_select, ret);
}

const struct jfilter tn_j_select_filters[] = {
    {"map", f_map},       {"reject", f_reject},         {"rejectattr", f_rejectattr},
    {"select", f_select}, {"selectattr", f_selectattr}, {NULL, NULL},
};
