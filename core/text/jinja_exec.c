/* Statements: output, conditions, assignment, scopes. Loops are in
 * jinja_loop.c, macros in jinja_call.c. A scope is made for every loop pass,
 * macro call, with and set block, as Jinja does; an if makes none. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"

/* ---- output ---- */

int32_t tn_j_emit(struct jrun *r, const char *p, size_t len)
{
    size_t limit = r->capturing ? r->lim.memory_bytes : r->lim.output_bytes;
    size_t have = r->capturing ? r->captured : r->out->len;
    int32_t rc = tn_j_charge(r, len / 64);
    if (rc != 0)
        return rc;
    if (len > limit || have > limit - len)
        return tn_j_exhausted(r, "its output passes %zu bytes", limit);
    if (tn_buf_append(r->out, p, len) != 0)
        return tn_j_exhausted(r, "its output passes the buffer's limit or the memory there is");
    if (r->capturing)
        r->captured += len;
    return 0;
}

void tn_j_capture(struct jrun *r, struct jcapture *c)
{
    tn_j_buf(r, &c->b);
    c->out = r->out;
    c->capturing = r->capturing;
    r->out = &c->b;
    r->capturing = true;
}

int32_t tn_j_capture_end(struct jrun *r, int32_t rc, struct jcapture *c, struct jv *ret)
{
    r->out = c->out;
    r->capturing = c->capturing;
    r->captured -= c->b.len;
    return tn_j_str_take(r, rc, &c->b, ret);
}

static int32_t exec_print(struct jrun *r, const struct jnode *n)
{
    struct jv v;
    int32_t rc = tn_j_eval(r, n->a, &v);
    if (rc == 0)
        rc = tn_j_to_str(r, v, &v);
    return rc ? rc : tn_j_emit(r, v.s->p, v.s->len);
}

/* ---- scopes and assignment ---- */

struct jscope *tn_j_scope_new(struct jrun *r, struct jscope *parent, const int *hide)
{
    struct jscope *s = tn_j_alloc(r, 1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->parent = parent;
    for (; hide != NULL && *hide >= 0; hide++) {
        struct jvar *var = tn_j_alloc(r, 1, sizeof *var);
        if (var == NULL)
            return NULL;
        *var = (struct jvar){.id = *hide, .next = s->vars}; /* all zero is undefined */
        s->vars = var;
    }
    return s;
}

int32_t tn_j_set_var(struct jrun *r, int id, struct jv v)
{
    for (struct jvar *old = r->scope->vars; old != NULL; old = old->next)
        if (old->id == id) {
            old->val = v;
            return 0;
        }
    struct jvar *var = tn_j_alloc(r, 1, sizeof *var);
    if (var == NULL)
        return r->rc;
    *var = (struct jvar){.id = id, .val = v, .next = r->scope->vars};
    r->scope->vars = var;
    return 0;
}

static int32_t assign_attr(struct jrun *r, const struct jnode *target, struct jv v)
{
    struct jnode name = {.kind = JN_NAME, .id = target->id, .line = target->line};
    struct jv ns;
    int32_t rc = tn_j_eval(r, &name, &ns);
    if (rc != 0)
        return rc;
    if (ns.type != JV_NS)
        return tn_j_fail(r, "cannot assign attribute on non-namespace object");
    return tn_j_dict_set(r, ns.dict, target->val, v);
}

static int32_t assign_tuple(struct jrun *r, const struct jnode *target, struct jv v)
{
    size_t want = 0, i = 0;
    struct jv list;
    for (const struct jnode *t = target->list; t != NULL; t = t->next)
        want++;
    int32_t rc = tn_j_to_list(r, v, &list);
    if (rc == 0 && list.list->n != want)
        rc = tn_j_fail(r, "%s values to unpack (expected %zu, got %zu)",
                       list.list->n > want ? "too many" : "not enough", want, list.list->n);
    for (const struct jnode *t = target->list; rc == 0 && t != NULL; t = t->next)
        rc = tn_j_assign(r, t, list.list->items[i++]);
    return rc;
}

int32_t tn_j_assign(struct jrun *r, const struct jnode *target, struct jv v)
{
    if (target->kind == JN_NAME)
        return tn_j_set_var(r, target->id, v);
    if (target->kind == JN_NSREF)
        return assign_attr(r, target, v);
    return assign_tuple(r, target, v);
}

static int32_t exec_set(struct jrun *r, const struct jnode *n)
{
    struct jv v;
    int32_t rc = tn_j_eval(r, n->b, &v);
    return rc ? rc : tn_j_assign(r, n->a, v);
}

/* Runs a node's body in a scope below parent. */
static int32_t exec_scoped(struct jrun *r, const struct jnode *n, struct jscope *parent, enum jflow *flow)
{
    struct jscope *saved = r->scope, *inner = tn_j_scope_new(r, parent, n->unset);
    if (inner == NULL)
        return r->rc;
    r->scope = inner;
    int32_t rc = tn_j_exec_list(r, n->body, flow);
    r->scope = saved;
    return rc;
}

/* The text a node's body makes. */
static int32_t capture_body(struct jrun *r, const struct jnode *n, enum jflow *flow, struct jv *ret)
{
    struct jcapture c;
    tn_j_capture(r, &c);
    int32_t rc = exec_scoped(r, n, r->scope, flow);
    return tn_j_capture_end(r, rc, &c, ret);
}

/* Passes v through a chain of filters whose innermost has no operand. */
static int32_t apply_filters(struct jrun *r, const struct jnode *filters, struct jv v, struct jv *ret)
{
    if (filters == NULL) {
        *ret = v;
        return 0;
    }
    int32_t rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    if (filters->a != NULL)
        rc = apply_filters(r, filters->a, v, &v);
    tn_j_leave(r);
    if (rc != 0)
        return rc;
    struct jnode one = *filters;
    one.a = NULL;
    *ret = v;
    return tn_j_eval(r, &one, ret);
}

static int32_t exec_set_block(struct jrun *r, const struct jnode *n, enum jflow *flow)
{
    struct jv v;
    int32_t rc = capture_body(r, n, flow, &v);
    if (rc != 0 || *flow != JFLOW_NEXT)
        return rc;
    rc = apply_filters(r, n->b, v, &v);
    return rc ? rc : tn_j_assign(r, n->a, v);
}

static int32_t exec_filter_block(struct jrun *r, const struct jnode *n, enum jflow *flow)
{
    struct jv v;
    int32_t rc = capture_body(r, n, flow, &v);
    if (rc != 0 || *flow != JFLOW_NEXT)
        return rc;
    rc = apply_filters(r, n->b, v, &v);
    if (rc == 0)
        rc = tn_j_to_str(r, v, &v);
    return rc ? rc : tn_j_emit(r, v.s->p, v.s->len);
}

/* Values are computed outside the new scope, then assigned inside. */
static int32_t exec_with(struct jrun *r, const struct jnode *n, enum jflow *flow)
{
    struct jv values;
    struct jscope *saved = r->scope;
    size_t i = 0;
    int32_t rc = tn_j_list_new(r, JV_LIST, &values);
    for (const struct jnode *p = n->list; rc == 0 && p != NULL; p = p->next) {
        struct jv v;
        rc = tn_j_eval(r, p->b, &v);
        if (rc == 0)
            rc = tn_j_list_push(r, values.list, v);
    }
    struct jscope *inner = rc == 0 ? tn_j_scope_new(r, saved, n->unset) : NULL;
    if (inner == NULL)
        return r->rc;
    r->scope = inner;
    for (const struct jnode *p = n->list; rc == 0 && p != NULL; p = p->next)
        rc = tn_j_assign(r, p->a, values.list->items[i++]);
    if (rc == 0)
        rc = tn_j_exec_list(r, n->body, flow);
    r->scope = saved;
    return rc;
}

/* ---- conditions ---- */

static int32_t exec_if(struct jrun *r, const struct jnode *n, enum jflow *flow)
{
    for (;;) {
        struct jv v;
        bool truth;
        int32_t rc = tn_j_eval(r, n->a, &v);
        if (rc == 0)
            rc = tn_j_truth(r, v, &truth);
        if (rc != 0)
            return rc;
        if (truth)
            return tn_j_exec_list(r, n->body, flow);
        bool elif = n->orelse != NULL && n->orelse->kind == JN_IF && n->orelse->op == 1;
        if (!elif)
            return tn_j_exec_list(r, n->orelse, flow);
        n = n->orelse;
    }
}

/* ---- macros ---- */

static int32_t exec_macro(struct jrun *r, const struct jnode *n)
{
    struct jv m;
    int32_t rc = tn_j_macro_new(r, n, &m);
    return rc ? rc : tn_j_set_var(r, n->id, m);
}

static int32_t exec_call_block(struct jrun *r, const struct jnode *n)
{
    struct jv caller, fn, v;
    struct jargs args;
    int32_t rc = tn_j_macro_new(r, n->b, &caller);
    if (rc == 0)
        rc = tn_j_eval(r, n->a->a, &fn);
    if (rc == 0)
        rc = tn_j_args(r, n->a->list, &caller, &args);
    r->line = n->line;
    if (rc == 0)
        rc = tn_j_call(r, fn, &args, &v);
    if (rc == 0)
        rc = tn_j_to_str(r, v, &v);
    return rc ? rc : tn_j_emit(r, v.s->p, v.s->len);
}

/* ---- all of them ---- */

static int32_t exec_node(struct jrun *r, const struct jnode *n, enum jflow *flow)
{
    switch (n->kind) {
    case JN_DATA:
        return tn_j_emit(r, n->val.s->p, n->val.s->len);
    case JN_PRINT:
        return exec_print(r, n);
    case JN_IF:
        return exec_if(r, n, flow);
    case JN_FOR:
        return tn_j_exec_for(r, n, flow);
    case JN_SET:
        return exec_set(r, n);
    case JN_SETBLOCK:
        return exec_set_block(r, n, flow);
    case JN_MACRO:
        return exec_macro(r, n);
    case JN_CALLBLOCK:
        return exec_call_block(r, n);
    case JN_FILTERBLOCK:
        return exec_filter_block(r, n, flow);
    case JN_WITH:
        return exec_with(r, n, flow);
    case JN_SCOPE:
        return exec_scoped(r, n, n->op ? r->root : r->scope, flow);
    case JN_BREAK:
        *flow = JFLOW_BREAK;
        return 0;
    default:
        *flow = JFLOW_CONTINUE;
        return 0;
    }
}

int32_t tn_j_exec_list(struct jrun *r, const struct jnode *n, enum jflow *ret)
{
    int32_t rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    *ret = JFLOW_NEXT;
    for (; rc == 0 && *ret == JFLOW_NEXT && n != NULL; n = n->next) {
        r->line = n->line;
        rc = tn_j_charge(r, 1);
        if (rc == 0)
            rc = exec_node(r, n, ret);
    }
    tn_j_leave(r);
    return rc;
}
