/* Calling: arguments, macros, bound methods, and spreading arguments over
 * the parameters of functions written in C. The global functions themselves
 * are in jinja_globals.c. One thread per run. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"

/* ---- making arguments ---- */

static int32_t push_kw(struct jrun *r, struct jdict *kw, struct jv name, struct jv v)
{
    struct jv *old;
    int32_t rc = tn_j_dict_get(r, kw, name, &old);
    if (rc == 0 && old != NULL)
        return tn_j_fail(r, "got multiple values for keyword argument '%.*s'", (int)name.s->len, name.s->p);
    return rc ? rc : tn_j_dict_set(r, kw, name, v);
}

static int32_t push_star(struct jrun *r, struct jlist *pos, struct jv v)
{
    struct jv all;
    int32_t rc = v.type == JV_UNDEF ? tn_j_list_new(r, JV_LIST, &all) : tn_j_to_list(r, v, &all);
    for (size_t i = 0; rc == 0 && i < all.list->n; i++)
        rc = tn_j_list_push(r, pos, all.list->items[i]);
    return rc;
}

static int32_t push_star2(struct jrun *r, struct jdict *kw, struct jv v)
{
    int32_t rc = 0;
    if (v.type != JV_DICT)
        return tn_j_fail(r, "argument after ** must be a mapping, not %s", tn_j_type_name(v));
    for (size_t i = 0; rc == 0 && i < v.dict->n; i++) {
        if (v.dict->items[i].key.type != JV_STR)
            return tn_j_fail(r, "keywords must be strings");
        rc = push_kw(r, kw, v.dict->items[i].key, v.dict->items[i].val);
    }
    return rc;
}

int32_t tn_j_args(struct jrun *r, const struct jnode *list, const struct jv *extra_caller, struct jargs *ret)
{
    struct jlist pos = {0};
    struct jdict kw = {0};
    struct jv name, v;
    int32_t rc = 0;
    for (const struct jnode *n = list; rc == 0 && n != NULL; n = n->next) {
        rc = tn_j_eval(r, n->a, &v);
        if (rc != 0)
            return rc;
        switch (n->op) {
        case JARG_POS:
            rc = tn_j_list_push(r, &pos, v);
            break;
        case JARG_KEYWORD:
            rc = push_kw(r, &kw, n->val, v);
            break;
        case JARG_STAR:
            rc = push_star(r, &pos, v);
            break;
        default:
            rc = push_star2(r, &kw, v);
            break;
        }
    }
    if (rc == 0 && extra_caller != NULL)
        rc = tn_j_cstr(r, "caller", &name);
    if (rc == 0 && extra_caller != NULL)
        rc = push_kw(r, &kw, name, *extra_caller);
    *ret = (struct jargs){.pos = pos.items, .npos = pos.n, .kw = kw.items, .nkw = kw.n};
    return rc;
}

/* ---- parameters of C functions ---- */

static int param_index(const char *names, const struct jstr *name)
{
    int i = 0;
    for (const char *p = names; *p != '\0'; i++) {
        size_t n = strcspn(p, " ");
        if (n == name->len && memcmp(p, name->p, n) == 0)
            return i;
        p += n + (p[n] == ' ');
    }
    return -1;
}

static size_t param_count(const char *names)
{
    size_t n = *names != '\0';
    for (; *names != '\0'; names++)
        n += *names == ' ';
    return n;
}

int32_t tn_j_params(struct jrun *r, const char *who, const struct jargs *a, const char *names, size_t required,
                    struct jv *vals)
{
    size_t n = param_count(names);
    uint32_t given = 0;
    if (a->npos > n)
        return tn_j_fail(r, "%s takes at most %zu arguments (%zu given)", who, n, a->npos);
    for (size_t i = 0; i < a->npos; i++) {
        vals[i] = a->pos[i];
        given |= 1u << i;
    }
    for (size_t i = 0; i < a->nkw; i++) {
        const struct jstr *name = a->kw[i].key.s;
        int at = param_index(names, name);
        if (at < 0)
            return tn_j_fail(r, "%s got an unexpected keyword argument '%.*s'", who, (int)name->len, name->p);
        if (given & (1u << at))
            return tn_j_fail(r, "%s got multiple values for argument '%.*s'", who, (int)name->len, name->p);
        vals[at] = a->kw[i].val;
        given |= 1u << at;
    }
    for (size_t i = 0; i < required; i++)
        if (!(given & (1u << i)))
            return tn_j_fail(r, "%s misses its argument %zu", who, i + 1);
    return 0;
}

int32_t tn_j_want_str(struct jrun *r, const char *who, struct jv v)
{
    if (v.type == JV_STR)
        return 0;
    return v.type == JV_UNDEF ? tn_j_undef_fail(r, v)
                              : tn_j_fail(r, "%s needs a string, not %s", who, tn_j_type_name(v));
}

int32_t tn_j_want_int(struct jrun *r, const char *who, struct jv v, int64_t *ret)
{
    if (tn_j_is_int(v, ret))
        return 0;
    return v.type == JV_UNDEF ? tn_j_undef_fail(r, v)
                              : tn_j_fail(r, "%s needs an integer, not %s", who, tn_j_type_name(v));
}

/* ---- macros ---- */

int32_t tn_j_macro_new(struct jrun *r, const struct jnode *n, struct jv *ret)
{
    struct jmacro *m = tn_j_alloc(r, 1, sizeof *m);
    if (m == NULL)
        return r->rc;
    m->node = n;
    m->scope = r->scope;
    *ret = (struct jv){.type = JV_MACRO, .macro = m};
    return 0;
}

int32_t tn_j_macro_repr(struct jrun *r, struct tn_buf *b, const struct jmacro *m)
{
    if (m->node->val.type != JV_STR)
        return tn_buf_str(b, "<Macro anonymous>");
    int32_t rc = tn_buf_str(b, "<Macro ");
    if (rc == 0)
        rc = tn_j_put_repr(r, b, m->node->val);
    return rc ? rc : tn_buf_char(b, '>');
}

/* Takes the keyword `name` out of left; false if it is not there. */
static bool pop_kw(struct jargs *left, struct jv name, struct jv *ret)
{
    for (size_t i = 0; i < left->nkw; i++) {
        const struct jstr *k = left->kw[i].key.s;
        if (k->len != name.s->len || memcmp(k->p, name.s->p, k->len) != 0)
            continue;
        *ret = left->kw[i].val;
        memmove(&left->kw[i], &left->kw[i + 1], (left->nkw - i - 1) * sizeof *left->kw);
        left->nkw--;
        return true;
    }
    return false;
}

static int32_t bind_default(struct jrun *r, const struct jnode *param, struct jv *ret)
{
    struct tn_buf hint;
    struct jv text;
    if (param->a != NULL)
        return tn_j_eval(r, param->a, ret);
    tn_j_buf(r, &hint);
    int32_t rc = tn_buf_printf(&hint, "parameter '%.*s' was not provided", (int)param->val.s->len, param->val.s->p);
    rc = tn_j_str_take(r, rc, &hint, &text);
    return rc ? rc : tn_j_undef(r, text.s->p, ret);
}

static int32_t bind_params(struct jrun *r, const struct jnode *macro, struct jargs *left)
{
    size_t i = 0;
    int32_t rc = 0;
    for (const struct jnode *p = macro->list; rc == 0 && p != NULL; p = p->next, i++) {
        struct jv v;
        if (i < left->npos)
            v = left->pos[i];
        else if (!pop_kw(left, p->val, &v))
            rc = bind_default(r, p, &v);
        if (rc == 0)
            rc = tn_j_set_var(r, p->id, v);
    }
    if (left->npos < i)
        i = left->npos;
    if (i > 0)
        left->pos += i;
    left->npos -= i;
    return rc;
}

static int32_t bind_caller(struct jrun *r, struct jargs *left)
{
    struct jv v;
    int32_t rc = 0;
    if (!pop_kw(left, r->tmpl->names[r->tmpl->id_caller], &v))
        rc = tn_j_undef(r, "No caller defined", &v);
    return rc ? rc : tn_j_set_var(r, r->tmpl->id_caller, v);
}

static int32_t bind_kwargs(struct jrun *r, struct jargs *left)
{
    struct jv d;
    int32_t rc = tn_j_dict_new(r, &d);
    for (size_t i = 0; rc == 0 && i < left->nkw; i++)
        rc = tn_j_dict_set(r, d.dict, left->kw[i].key, left->kw[i].val);
    left->nkw = 0;
    return rc ? rc : tn_j_set_var(r, r->tmpl->id_kwargs, d);
}

static int32_t bind_varargs(struct jrun *r, struct jargs *left)
{
    struct jv t;
    int32_t rc = tn_j_list_new(r, JV_TUPLE, &t);
    for (size_t i = 0; rc == 0 && i < left->npos; i++)
        rc = tn_j_list_push(r, t.list, left->pos[i]);
    left->npos = 0;
    return rc ? rc : tn_j_set_var(r, r->tmpl->id_varargs, t);
}

/* Declares all of a macro's variables in the current scope. */
static int32_t bind_macro(struct jrun *r, const struct jnode *n, struct jargs *left)
{
    int32_t rc = bind_params(r, n, left);
    if (rc == 0 && (n->op & JMACRO_CALLER))
        rc = bind_caller(r, left);
    if (rc == 0 && (n->op & JMACRO_KWARGS))
        rc = bind_kwargs(r, left);
    if (rc == 0 && (n->op & JMACRO_VARARGS))
        rc = bind_varargs(r, left);
    if (rc == 0 && left->nkw > 0)
        return tn_j_fail(r, "the macro takes no keyword argument '%.*s'", (int)left->kw[0].key.s->len,
                         left->kw[0].key.s->p);
    if (rc == 0 && left->npos > 0)
        return tn_j_fail(r, "the macro is given too many arguments");
    return rc;
}

static int32_t call_macro(struct jrun *r, const struct jmacro *m, const struct jargs *a, struct jv *ret)
{
    struct jargs left = *a;
    struct jscope *saved = r->scope;
    struct jcapture c;
    enum jflow flow;
    struct jpair *kw = tn_j_alloc(r, a->nkw + 1, sizeof *kw);
    if (kw == NULL)
        return r->rc;
    if (a->nkw > 0)
        memcpy(kw, a->kw, a->nkw * sizeof *kw);
    left.kw = kw;
    tn_j_capture(r, &c);
    r->scope = tn_j_scope_new(r, m->scope, m->node->unset);
    int32_t rc = r->scope == NULL ? r->rc : bind_macro(r, m->node, &left);
    if (rc == 0)
        rc = tn_j_exec_list(r, m->node->body, &flow);
    r->scope = saved;
    return tn_j_capture_end(r, rc, &c, ret);
}

/* ---- calling ---- */

static int32_t call_joiner(struct jrun *r, struct jjoiner *j, struct jv *ret)
{
    if (j->used) {
        *ret = j->sep;
        return 0;
    }
    j->used = true;
    return tn_j_cstr(r, "", ret);
}

int32_t tn_j_call(struct jrun *r, struct jv fn, const struct jargs *a, struct jv *ret)
{
    int32_t rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    switch (fn.type) {
    case JV_MACRO:
        rc = call_macro(r, fn.macro, a, ret);
        break;
    case JV_METHOD:
        rc = fn.bound->method->call(r, fn.bound->self, a, ret);
        break;
    case JV_BUILTIN:
        rc = fn.builtin->call(r, a, ret);
        break;
    case JV_LOOP:
        rc = tn_j_loop_call(r, fn.loop, a, ret);
        break;
    case JV_JOINER:
        rc = call_joiner(r, fn.joiner, ret);
        break;
    case JV_UNDEF:
        rc = tn_j_undef_fail(r, fn);
        break;
    default:
        rc = tn_j_fail(r, "'%s' object is not callable", tn_j_type_name(fn));
        break;
    }
    tn_j_leave(r);
    return rc;
}
