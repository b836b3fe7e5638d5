/* The evaluator of expressions: one case a node kind, recursion bounded by
 * the run's depth. Operators, access and calls are in their own files. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"

/* ---- names ---- */

static struct jv *find_var(struct jrun *r, int id)
{
    for (struct jscope *s = r->scope; s != NULL; s = s->parent)
        for (struct jvar *v = s->vars; v != NULL; v = v->next)
            if (v->id == id)
                return &v->val;
    return NULL;
}

static int32_t eval_name(struct jrun *r, int id, struct jv *ret)
{
    const struct jv *v = find_var(r, id);
    if (v == NULL)
        v = &r->context[id];
    *ret = *v;
    if (v->type != JV_UNDEF || v->undef != NULL)
        return 0;
    struct jundef *u = tn_j_alloc(r, 1, sizeof *u);
    if (u == NULL)
        return r->rc;
    u->name = r->tmpl->names[id];
    ret->undef = u;
    return 0;
}

/* ---- literals ---- */

static int32_t eval_items(struct jrun *r, const struct jnode *n, enum jv_type type, struct jv *ret)
{
    int32_t rc = tn_j_list_new(r, type, ret);
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next) {
        struct jv v;
        rc = tn_j_eval(r, i, &v);
        if (rc == 0)
            rc = tn_j_list_push(r, ret->list, v);
    }
    return rc;
}

static int32_t eval_dict(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    int32_t rc = tn_j_dict_new(r, ret);
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next) {
        struct jv k, v;
        rc = tn_j_eval(r, i->a, &k);
        if (rc == 0)
            rc = tn_j_eval(r, i->b, &v);
        if (rc == 0)
            rc = tn_j_dict_set(r, ret->dict, k, v);
    }
    return rc;
}

/* ---- logic ---- */

static int32_t eval_logic(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    bool truth;
    int32_t rc = tn_j_eval(r, n->a, ret);
    if (rc == 0)
        rc = tn_j_truth(r, *ret, &truth);
    if (rc == 0 && truth == (n->kind == JN_AND))
        rc = tn_j_eval(r, n->b, ret);
    return rc;
}

static int32_t eval_not(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    bool truth = false;
    int32_t rc = tn_j_eval(r, n->a, ret);
    if (rc == 0)
        rc = tn_j_truth(r, *ret, &truth);
    *ret = tn_j_bool(!truth);
    return rc;
}

static int32_t eval_cond(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    bool truth = false;
    int32_t rc = tn_j_eval(r, n->a, ret);
    if (rc == 0)
        rc = tn_j_truth(r, *ret, &truth);
    if (rc != 0)
        return rc;
    if (truth)
        return tn_j_eval(r, n->b, ret);
    if (n->c != NULL)
        return tn_j_eval(r, n->c, ret);
    return tn_j_undef(r, "the inline if-expression evaluated to false and has no else", ret);
}

/* a < b < c: each operand is evaluated once, the chain stops when false. */
static int32_t eval_compare(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    struct jv left, right;
    bool holds = true;
    int32_t rc = tn_j_eval(r, n->a, &left);
    for (const struct jnode *o = n->list; rc == 0 && holds && o != NULL; o = o->next) {
        rc = tn_j_eval(r, o->a, &right);
        r->line = n->line;
        if (rc == 0)
            rc = tn_j_compare(r, o->op, left, right, &holds);
        left = right;
    }
    *ret = tn_j_bool(holds);
    return rc;
}

/* ---- operators ---- */

static int32_t eval_binary(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    struct jv a, b;
    int32_t rc = tn_j_eval(r, n->a, &a);
    if (rc == 0)
        rc = tn_j_eval(r, n->b, &b);
    r->line = n->line;
    return rc ? rc : tn_j_binary(r, n->op, a, b, ret);
}

static int32_t eval_concat(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    struct tn_buf b;
    int32_t rc = 0;
    tn_j_buf(r, &b);
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next) {
        struct jv v;
        rc = tn_j_eval(r, i, &v);
        if (rc == 0)
            rc = tn_j_put_str(r, &b, v);
    }
    return tn_j_str_take(r, rc, &b, ret);
}

/* ---- access ---- */

static int32_t eval_optional(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    *ret = tn_j_none();
    return n == NULL ? 0 : tn_j_eval(r, n, ret);
}

static int32_t eval_slice(struct jrun *r, struct jv obj, const struct jnode *s, struct jv *ret)
{
    struct jv start, stop, step;
    int32_t rc = eval_optional(r, s->a, &start);
    if (rc == 0)
        rc = eval_optional(r, s->b, &stop);
    if (rc == 0)
        rc = eval_optional(r, s->c, &step);
    return rc ? rc : tn_j_slice(r, obj, start, stop, step, ret);
}

static int32_t eval_getitem(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    struct jv obj, key;
    int32_t rc = tn_j_eval(r, n->a, &obj);
    if (rc == 0 && n->b->kind == JN_SLICE)
        return eval_slice(r, obj, n->b, ret);
    if (rc == 0)
        rc = tn_j_eval(r, n->b, &key);
    r->line = n->line;
    return rc ? rc : tn_j_getitem(r, obj, key, ret);
}

static int32_t eval_getattr(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    struct jv obj;
    int32_t rc = tn_j_eval(r, n->a, &obj);
    r->line = n->line;
    return rc ? rc : tn_j_getattr(r, obj, n->val, ret);
}

/* ---- calls, filters, tests ---- */

static int32_t eval_call(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    struct jv fn;
    struct jargs args;
    int32_t rc = tn_j_eval(r, n->a, &fn);
    if (rc == 0)
        rc = tn_j_args(r, n->list, NULL, &args);
    r->line = n->line;
    return rc ? rc : tn_j_call(r, fn, &args, ret);
}

static int32_t unknown(struct jrun *r, const struct jnode *n, const char *what)
{
    return tn_j_fail(r, "no %s named '%.*s'", what, (int)(n->val.s->len < 40 ? n->val.s->len : 40), n->val.s->p);
}

static int32_t eval_filter(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    const struct jfilter *f = n->impl;
    struct jv in = *ret; /* filter blocks pass their text this way */
    struct jargs args;
    int32_t rc = n->a == NULL ? 0 : tn_j_eval(r, n->a, &in);
    if (rc == 0)
        rc = tn_j_args(r, n->list, NULL, &args);
    r->line = n->line;
    if (rc == 0 && f == NULL)
        rc = unknown(r, n, "filter");
    return rc ? rc : f->call(r, in, &args, ret);
}

static int32_t eval_test(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    const struct jtest *t = n->impl;
    struct jv in;
    struct jargs args;
    bool holds = false;
    int32_t rc = tn_j_eval(r, n->a, &in);
    if (rc == 0)
        rc = tn_j_args(r, n->list, NULL, &args);
    r->line = n->line;
    if (rc == 0 && t == NULL)
        rc = unknown(r, n, "test");
    if (rc == 0)
        rc = t->call(r, in, &args, &holds);
    *ret = tn_j_bool(holds);
    return rc;
}

static int32_t eval_negate(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    int32_t rc = tn_j_eval(r, n->a, ret);
    return rc ? rc : tn_j_negate(r, *ret, n->kind == JN_NEG, ret);
}

static int32_t eval_node(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    switch (n->kind) {
    case JN_CONST:
        *ret = n->val;
        return 0;
    case JN_NAME:
        return eval_name(r, n->id, ret);
    case JN_LIST:
        return eval_items(r, n, JV_LIST, ret);
    case JN_TUPLE:
        return eval_items(r, n, JV_TUPLE, ret);
    case JN_DICT:
        return eval_dict(r, n, ret);
    case JN_NOT:
        return eval_not(r, n, ret);
    case JN_NEG:
    case JN_POS:
        return eval_negate(r, n, ret);
    case JN_AND:
    case JN_OR:
        return eval_logic(r, n, ret);
    case JN_BINARY:
        return eval_binary(r, n, ret);
    case JN_CONCAT:
        return eval_concat(r, n, ret);
    case JN_COMPARE:
        return eval_compare(r, n, ret);
    case JN_COND:
        return eval_cond(r, n, ret);
    case JN_GETATTR:
        return eval_getattr(r, n, ret);
    case JN_GETITEM:
        return eval_getitem(r, n, ret);
    case JN_CALL:
        return eval_call(r, n, ret);
    case JN_FILTER:
        return eval_filter(r, n, ret);
    case JN_TEST:
        return eval_test(r, n, ret);
    default:
        return tn_j_fail(r, "a slice is only allowed alone in brackets");
    }
}

int32_t tn_j_eval(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    r->line = n->line;
    int32_t rc = tn_j_charge(r, 1);
    if (rc == 0)
        rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    rc = eval_node(r, n, ret);
    tn_j_leave(r);
    return rc;
}
