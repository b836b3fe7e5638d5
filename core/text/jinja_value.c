/* Making, comparing and iterating template values, and the accounting (steps,
 * depth, memory) of a rendering. Printing is in jinja_repr.c, operators in
 * jinja_ops.c. One thread per run; contracts in jinja_value.h. */
#include "jinja_value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja_str.h"

/* Dicts up to this size are searched in a row: most are small. */
#define DICT_SMALL 8

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

int32_t tn_j_undef(struct jrun *r, const char *hint, struct jv *ret)
{
    struct jundef *u = tn_j_alloc(r, 1, sizeof *u);
    if (u == NULL)
        return r->rc;
    u->hint = hint;
    *ret = (struct jv){.type = JV_UNDEF, .undef = u};
    return 0;
}

int32_t tn_j_undef_attr(struct jrun *r, struct jv obj, struct jv name, struct jv *ret)
{
    struct jundef *u = tn_j_alloc(r, 1, sizeof *u);
    if (u == NULL)
        return r->rc;
    u->obj = obj;
    u->name = name;
    u->has_obj = true;
    *ret = (struct jv){.type = JV_UNDEF, .undef = u};
    return 0;
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

/* ---- dicts ---- */

static uint64_t hash_bytes(const void *p, size_t n, uint64_t h)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ c[i]) * 0x100000001b3u;
    return h ^ (h >> 29);
}

/* Equal numbers of different types must hash alike. */
static uint64_t hash_num(double f)
{
    if (f == 0)
        f = 0; /* -0.0 */
    return hash_bytes(&f, sizeof f, 7);
}

int32_t tn_j_hash(struct jrun *r, struct jv v, uint64_t *ret)
{
    double f;
    int32_t rc = 0;
    *ret = v.type;
    if (tn_j_is_num(v, &f)) {
        *ret = hash_num(f);
    } else if (v.type == JV_BIG) {
        (void)tn_j_parse_double(v.s->p, v.s->len, &f); /* its digits are checked when read */
        *ret = hash_num(f);
    } else if (v.type == JV_STR) {
        *ret = hash_bytes(v.s->p, v.s->len, 0xcbf29ce484222325u);
    } else if (v.type == JV_TUPLE) {
        rc = tn_j_enter(r);
        if (rc != 0)
            return rc;
        for (size_t i = 0; rc == 0 && i < v.list->n; i++) {
            uint64_t h = 0;
            rc = tn_j_hash(r, v.list->items[i], &h);
            *ret = hash_bytes(&h, sizeof h, *ret);
        }
        tn_j_leave(r);
    } else if (v.type == JV_LIST || v.type == JV_DICT) {
        return tn_j_fail(r, "unhashable type: '%s'", tn_j_type_name(v));
    }
    return rc;
}

int32_t tn_j_dict_new(struct jrun *r, struct jv *ret)
{
    struct jdict *d = tn_j_alloc(r, 1, sizeof *d);
    if (d == NULL)
        return r->rc;
    *ret = (struct jv){.type = JV_DICT, .dict = d};
    return 0;
}

/* The slot of the index where key is or would go. */
static int32_t dict_slot(struct jrun *r, const struct jdict *d, struct jv key, size_t *ret)
{
    uint64_t h = 0;
    int32_t rc = tn_j_hash(r, key, &h);
    if (rc != 0)
        return rc;
    size_t at = h & (d->nindex - 1);
    for (; d->index[at] != 0; at = (at + 1) & (d->nindex - 1)) {
        bool same;
        rc = tn_j_eq(r, d->items[d->index[at] - 1].key, key, &same);
        if (rc != 0 || same)
            break;
    }
    *ret = at;
    return rc;
}

static int32_t small_get(struct jrun *r, const struct jdict *d, struct jv key, struct jv **ret)
{
    uint64_t unused;
    int32_t rc = tn_j_hash(r, key, &unused); /* unhashable keys fail in small dicts too */
    for (size_t i = 0; rc == 0 && i < d->n; i++) {
        bool same;
        rc = tn_j_eq(r, d->items[i].key, key, &same);
        if (rc == 0 && same) {
            *ret = &d->items[i].val;
            break;
        }
    }
    return rc;
}

int32_t tn_j_dict_get(struct jrun *r, const struct jdict *d, struct jv key, struct jv **ret)
{
    *ret = NULL;
    if (d->index == NULL)
        return small_get(r, d, key, ret);
    size_t at;
    int32_t rc = dict_slot(r, d, key, &at);
    if (rc == 0 && d->index[at] != 0)
        *ret = &d->items[d->index[at] - 1].val;
    return rc;
}

struct jv *tn_j_dict_find(const struct jdict *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (tn_j_is_cstr(d->items[i].key, name))
            return &d->items[i].val;
    return NULL;
}

/* Gives the items twice the room, and an index from DICT_SMALL on. */
static int32_t dict_grow(struct jrun *r, struct jdict *d)
{
    size_t cap = d->cap ? d->cap * 2 : 4;
    struct jpair *items = tn_j_alloc(r, cap, sizeof *items);
    if (items == NULL)
        return r->rc;
    if (d->n > 0)
        memcpy(items, d->items, d->n * sizeof *items);
    d->items = items;
    d->cap = cap;
    if (cap <= DICT_SMALL)
        return 0;
    if (cap > UINT32_MAX / 2)
        return tn_j_exhausted(r, "a dict of more than %zu items", d->n);
    d->nindex = cap * 2;
    d->index = tn_j_alloc(r, d->nindex, sizeof *d->index);
    if (d->index == NULL)
        return r->rc;
    int32_t rc = 0;
    for (size_t i = 0; rc == 0 && i < d->n; i++) {
        size_t at;
        rc = dict_slot(r, d, d->items[i].key, &at);
        if (rc == 0)
            d->index[at] = (uint32_t)i + 1;
    }
    return rc;
}

int32_t tn_j_dict_set(struct jrun *r, struct jdict *d, struct jv key, struct jv val)
{
    struct jv *old;
    int32_t rc = tn_j_dict_get(r, d, key, &old);
    if (rc != 0)
        return rc;
    if (old != NULL) {
        *old = val;
        return 0;
    }
    if (d->n == d->cap)
        rc = dict_grow(r, d);
    if (rc == 0 && d->index != NULL) {
        size_t at;
        rc = dict_slot(r, d, key, &at);
        if (rc == 0)
            d->index[at] = (uint32_t)d->n + 1;
    }
    if (rc == 0)
        d->items[d->n++] = (struct jpair){key, val};
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
