/* Making, asking and iterating template values, and the accounting (steps,
 * depth, memory) of a rendering. Order is in jinja_compare.c, dicts in
 * jinja_dict.c, printing in jinja_repr.c, operators in jinja_ops.c. One thread
 * per run; contracts in jinja_value.h. */
#include "jinja_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jinja_str.h"

/* ---- errors, steps, memory ---- */

static int32_t fail_v(struct jrun *r, int32_t code, const char *fmt, va_list ap)
{
    if (r->rc != 0)
        return r->rc;
    char text[384];
    (void)vsnprintf(text, sizeof text, fmt, ap); /* cut messages are fine */
    r->rc = tenon_fail(r->err, code, "template", "rendering the chat template failed: line %d: %s", r->line, text);
    return r->rc;
}

int32_t tn_j_fail(struct jrun *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int32_t rc = fail_v(r, TENON_E_INVALID_ARGUMENT, fmt, ap);
    va_end(ap);
    return rc;
}

int32_t tn_j_exhausted(struct jrun *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int32_t rc = fail_v(r, TENON_E_RESOURCE_EXHAUSTED, fmt, ap);
    va_end(ap);
    return rc;
}

int32_t tn_j_charge(struct jrun *r, uint64_t steps)
{
    r->steps += steps;
    if (r->steps > r->lim.steps)
        return tn_j_exhausted(r, "more than %llu steps: the template loops too long", (unsigned long long)r->lim.steps);
    return 0;
}

int32_t tn_j_enter(struct jrun *r)
{
    if (r->depth >= r->lim.depth)
        return tn_j_exhausted(r, "nested more than %u deep: macro recursion or data without end", r->lim.depth);
    r->depth++;
    return 0;
}

void tn_j_leave(struct jrun *r)
{
    r->depth--;
}

void *tn_j_alloc(struct jrun *r, size_t n, size_t size)
{
    void *p = NULL;
    if (tn_j_charge(r, n / 64 * size + 1) == 0)
        p = tn_arena_array(&r->arena, n, size);
    if (p == NULL)
        (void)tn_j_exhausted(r, "its values need more than %zu bytes of memory", r->lim.memory_bytes);
    return p;
}

/* ---- making values ---- */

struct jv tn_j_none(void)
{
    return (struct jv){.type = JV_NONE};
}

struct jv tn_j_bool(bool b)
{
    return (struct jv){.type = JV_BOOL, .b = b};
}

struct jv tn_j_int(int64_t i)
{
    return (struct jv){.type = JV_INT, .i = i};
}

struct jv tn_j_float(double f)
{
    return (struct jv){.type = JV_FLOAT, .f = f};
}

int32_t tn_j_str_ref(struct jrun *r, const char *p, size_t len, struct jv *ret)
{
    struct jstr *s = tn_j_alloc(r, 1, sizeof *s);
    if (s == NULL)
        return r->rc;
    s->p = p;
    s->len = len;
    s->ncp = tn_jstr_count(p, len);
    *ret = (struct jv){.type = JV_STR, .s = s};
    return tn_j_charge(r, len / 64);
}

int32_t tn_j_str_copy(struct jrun *r, const char *p, size_t len, struct jv *ret)
{
    char *copy = tn_j_alloc(r, len + 1, 1);
    if (copy == NULL)
        return r->rc;
    if (len > 0)
        memcpy(copy, p, len);
    return tn_j_str_ref(r, copy, len, ret);
}

int32_t tn_j_cstr(struct jrun *r, const char *p, struct jv *ret)
{
    return tn_j_str_ref(r, p, strlen(p), ret);
}

int32_t tn_j_str_take(struct jrun *r, int32_t rc, struct tn_buf *b, struct jv *ret)
{
    if (rc != 0 && r->rc == 0)
        rc = tn_j_exhausted(r, "its values need more than %zu bytes of memory", r->lim.memory_bytes);
    if (rc == 0)
        rc = tn_j_str_copy(r, b->data, b->len, ret);
    tn_buf_finish(b);
    return rc;
}

void tn_j_buf(struct jrun *r, struct tn_buf *b)
{
    tn_buf_init(b, r->lim.memory_bytes);
}

int32_t tn_j_list_new(struct jrun *r, enum jv_type type, struct jv *ret)
{
    struct jlist *l = tn_j_alloc(r, 1, sizeof *l);
    if (l == NULL)
        return r->rc;
    *ret = (struct jv){.type = (uint8_t)type, .list = l};
    return 0;
}

int32_t tn_j_list_push(struct jrun *r, struct jlist *l, struct jv v)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        struct jv *items = tn_j_alloc(r, cap, sizeof *items);
        if (items == NULL)
            return r->rc;
        if (l->n > 0)
            memcpy(items, l->items, l->n * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = v;
    return 0;
}

int32_t tn_j_pair(struct jrun *r, struct jv a, struct jv b, struct jv *ret)
{
    int32_t rc = tn_j_list_new(r, JV_TUPLE, ret);
    if (rc == 0)
        rc = tn_j_list_push(r, ret->list, a);
    if (rc == 0)
        rc = tn_j_list_push(r, ret->list, b);
    return rc;
}

int32_t tn_j_gen_new(struct jrun *r, const char *name, int32_t (*fill)(struct jrun *, struct jgen *), void *ctx,
                     struct jv *ret)
{
    struct jgen *g = tn_j_alloc(r, 1, sizeof *g);
    if (g == NULL)
        return r->rc;
    g->name = name;
    g->fill = fill;
    g->ctx = ctx;
    *ret = (struct jv){.type = JV_GEN, .gen = g};
    return 0;
}

int32_t tn_j_undef_new(struct jrun *r, struct jundef what, struct jv *ret)
{
    struct jundef *u = tn_j_alloc(r, 1, sizeof *u);
    if (u == NULL)
        return r->rc;
    *u = what;
    *ret = (struct jv){.type = JV_UNDEF, .undef = u};
    return 0;
}

int32_t tn_j_undef(struct jrun *r, const char *hint, struct jv *ret)
{
    return tn_j_undef_new(r, (struct jundef){.hint = hint}, ret);
}

int32_t tn_j_undef_attr(struct jrun *r, struct jv obj, struct jv name, struct jv *ret)
{
    return tn_j_undef_new(r, (struct jundef){.obj = obj, .name = name, .has_obj = true}, ret);
}

/* ---- asking values ---- */

const char *tn_j_type_name(struct jv v)
{
    static const char *const names[] = {
        [JV_UNDEF] = "Undefined",  [JV_NONE] = "NoneType", [JV_BOOL] = "bool",
        [JV_INT] = "int",          [JV_FLOAT] = "float",   [JV_BIG] = "int",
        [JV_STR] = "str",          [JV_LIST] = "list",     [JV_TUPLE] = "tuple",
        [JV_DICT] = "dict",        [JV_RANGE] = "range",   [JV_NS] = "Namespace",
        [JV_LOOP] = "LoopContext", [JV_MACRO] = "Macro",   [JV_METHOD] = "builtin_function_or_method",
        [JV_BUILTIN] = "function", [JV_CYCLER] = "Cycler", [JV_JOINER] = "Joiner",
    };
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    if (v.type == JV_VIEW)
        return views[v.flag];
    if (v.type == JV_GEN)
        return v.gen->name;
    return names[v.type];
}

bool tn_j_is_seq(struct jv v)
{
    return v.type == JV_LIST || v.type == JV_TUPLE;
}

bool tn_j_is_int(struct jv v, int64_t *ret)
{
    if (v.type != JV_INT && v.type != JV_BOOL)
        return false;
    *ret = v.type == JV_INT ? v.i : v.b;
    return true;
}

bool tn_j_is_num(struct jv v, double *ret)
{
    int64_t i;
    if (v.type == JV_FLOAT)
        *ret = v.f;
    else if (tn_j_is_int(v, &i))
        *ret = (double)i;
    else
        return false;
    return true;
}

bool tn_j_is_cstr(struct jv v, const char *s)
{
    return v.type == JV_STR && v.s->len == strlen(s) && memcmp(v.s->p, s, v.s->len) == 0;
}

size_t tn_j_range_len(const struct jrange *x)
{
    /* In 128 bits: stop - start may pass 64. */
    __int128 span = (__int128)x->stop - x->start, step = x->step;
    if ((step > 0 && span <= 0) || (step < 0 && span >= 0))
        return 0;
    return (size_t)((span + step + (step > 0 ? -1 : 1)) / step);
}

/* The length of what has one without running template code. */
static bool plain_len(struct jv v, size_t *ret)
{
    switch (v.type) {
    case JV_UNDEF:
        *ret = 0;
        return true;
    case JV_STR:
        *ret = v.s->ncp;
        return true;
    case JV_LIST:
    case JV_TUPLE:
        *ret = v.list->n;
        return true;
    case JV_DICT:
    case JV_VIEW:
        *ret = v.dict->n;
        return true;
    case JV_RANGE:
        *ret = tn_j_range_len(v.range);
        return true;
    default:
        return false;
    }
}

int32_t tn_j_len(struct jrun *r, struct jv v, size_t *ret)
{
    if (plain_len(v, ret))
        return 0;
    return tn_j_fail(r, "object of type '%s' has no len()", tn_j_type_name(v));
}

int32_t tn_j_truth(struct jrun *r, struct jv v, bool *ret)
{
    size_t n;
    (void)r;
    switch (v.type) {
    case JV_NONE:
        *ret = false;
        break;
    case JV_BOOL:
        *ret = v.b;
        break;
    case JV_INT:
        *ret = v.i != 0;
        break;
    case JV_FLOAT:
        *ret = v.f != 0;
        break;
    default:
        *ret = plain_len(v, &n) ? n > 0 : true;
        break;
    }
    return 0;
}

int32_t tn_j_undef_fail(struct jrun *r, struct jv v)
{
    const struct jundef *u = v.undef;
    if (u->hint != NULL)
        return tn_j_fail(r, "%s", u->hint);
    struct tn_buf name;
    tn_j_buf(r, &name);
    int32_t rc =
        u->name.type == JV_STR && !u->has_obj ? tn_j_put_str(r, &name, u->name) : tn_j_put_repr(r, &name, u->name);
    if (rc != 0)
        rc = tn_j_exhausted(r, "out of memory for an error message");
    else if (!u->has_obj)
        rc = tn_j_fail(r, "'%s' is undefined", name.data);
    else if (u->security)
        rc = tn_j_fail(r, "access to attribute %s of '%s' object is unsafe", name.data, tn_j_type_name(u->obj));
    else if (u->name.type != JV_STR)
        rc = tn_j_fail(r, "%s object has no element %s", tn_j_type_name(u->obj), name.data);
    else
        rc = tn_j_fail(r, "'%s object' has no attribute %s", tn_j_type_name(u->obj), name.data);
    tn_buf_finish(&name);
    return rc;
}

/* ---- iterating ---- */

int32_t tn_j_iter(struct jrun *r, struct jv v, struct jiter *ret)
{
    size_t n;
    if (!plain_len(v, &n) && v.type != JV_GEN)
        return tn_j_fail(r, "'%s' object is not iterable", tn_j_type_name(v));
    *ret = (struct jiter){.v = v};
    return 0;
}

static int32_t next_char(struct jrun *r, struct jiter *it, struct jv *ret, bool *ret_more)
{
    const struct jstr *s = it->v.s;
    *ret_more = it->pos < s->len;
    if (!*ret_more)
        return 0;
    size_t n = tn_jstr_next(s->p + it->pos, s->len - it->pos);
    int32_t rc = tn_j_str_ref(r, s->p + it->pos, n, ret);
    it->pos += n;
    return rc;
}

static int32_t next_pair(struct jrun *r, struct jiter *it, struct jv *ret)
{
    const struct jpair *p = &it->v.dict->items[it->pos++];
    if (it->v.type == JV_DICT || it->v.flag == JVIEW_KEYS)
        *ret = p->key;
    else if (it->v.flag == JVIEW_VALUES)
        *ret = p->val;
    else
        return tn_j_pair(r, p->key, p->val, ret);
    return 0;
}

static int32_t next_gen(struct jrun *r, struct jgen *g, struct jv *ret, bool *ret_more)
{
    if (g->fill != NULL) {
        int32_t (*fill)(struct jrun *, struct jgen *) = g->fill;
        g->fill = NULL;
        int32_t rc = fill(r, g);
        if (rc != 0)
            return rc;
    }
    *ret_more = g->pos < g->list.n;
    if (*ret_more)
        *ret = g->list.items[g->pos++];
    return 0;
}

int32_t tn_j_next(struct jrun *r, struct jiter *it, struct jv *ret, bool *ret_more)
{
    size_t n;
    int32_t rc = tn_j_charge(r, 1);
    if (rc != 0)
        return rc;
    if (it->v.type == JV_STR)
        return next_char(r, it, ret, ret_more);
    if (it->v.type == JV_GEN)
        return next_gen(r, it->v.gen, ret, ret_more);
    *ret_more = plain_len(it->v, &n) && it->pos < n;
    if (!*ret_more)
        return 0;
    if (tn_j_is_seq(it->v))
        *ret = it->v.list->items[it->pos++];
    else if (it->v.type == JV_RANGE)
        *ret = tn_j_int(it->v.range->start + (int64_t)it->pos++ * it->v.range->step);
    else
        return next_pair(r, it, ret);
    return 0;
}

int32_t tn_j_to_list(struct jrun *r, struct jv v, struct jv *ret)
{
    struct jiter it = {0};
    struct jv item;
    bool more = true;
    int32_t rc = tn_j_iter(r, v, &it);
    if (rc == 0)
        rc = tn_j_list_new(r, JV_LIST, ret);
    while (rc == 0) {
        rc = tn_j_next(r, &it, &item, &more);
        if (rc != 0 || !more)
            break;
        rc = tn_j_list_push(r, ret->list, item);
    }
    return rc;
}
