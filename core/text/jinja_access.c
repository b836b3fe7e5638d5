/* Attributes, items and slices, as Jinja's immutable sandbox grants them:
 * "a.b" tries methods first and items second, "a['b']" the other way round,
 * what is missing becomes undefined, what would change data is forbidden.
 * One thread per run. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

/* ---- attributes ---- */

/* Methods that exist in Python and change their object. */
static bool mutates(struct jv obj, const struct jstr *name)
{
    static const char *const list[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = obj.type == JV_LIST ? list : obj.type == JV_DICT ? dict : NULL;
    for (; names != NULL && *names != NULL; names++)
        if (name->len == strlen(*names) && memcmp(name->p, *names, name->len) == 0)
            return true;
    return false;
}

static int32_t forbidden(struct jrun *r, struct jv obj, struct jv name, struct jv *ret)
{
    return tn_j_undef_new(r, (struct jundef){.obj = obj, .name = name, .has_obj = true, .security = true}, ret);
}

static int32_t method(struct jrun *r, struct jv obj, struct jv name, struct jv *ret, bool *ret_found)
{
    const struct jmethod *m = tn_j_method_find(obj, name.s->p, name.s->len);
    *ret_found = m != NULL;
    if (m == NULL)
        return 0;
    struct jbound *b = tn_j_alloc(r, 1, sizeof *b);
    if (b == NULL)
        return r->rc;
    b->self = obj;
    b->method = m;
    *ret = (struct jv){.type = JV_METHOD, .bound = b};
    return 0;
}

static int32_t macro_attr(struct jrun *r, struct jv obj, struct jv name, struct jv *ret, bool *ret_found)
{
    const struct jnode *n = obj.macro->node;
    *ret_found = true;
    if (tn_j_is_cstr(name, "name")) {
        *ret = n->val.type == JV_STR ? n->val : tn_j_none();
        return 0;
    }
    if (tn_j_is_cstr(name, "arguments")) {
        int32_t rc = tn_j_list_new(r, JV_TUPLE, ret);
        for (const struct jnode *p = n->list; rc == 0 && p != NULL; p = p->next)
            rc = tn_j_list_push(r, ret->list, p->val);
        return rc;
    }
    int flag = tn_j_is_cstr(name, "catch_kwargs")    ? JMACRO_KWARGS
               : tn_j_is_cstr(name, "catch_varargs") ? JMACRO_VARARGS
               : tn_j_is_cstr(name, "caller")        ? JMACRO_CALLER
                                                     : 0;
    *ret_found = flag != 0;
    *ret = tn_j_bool(n->op & flag);
    return 0;
}

int32_t tn_j_attr_only(struct jrun *r, struct jv obj, struct jv name, struct jv *ret, bool *ret_found)
{
    *ret_found = true;
    if (mutates(obj, name.s))
        return forbidden(r, obj, name, ret);
    if (obj.type == JV_LOOP)
        return tn_j_loop_attr(r, obj.loop, name.s->p, name.s->len, ret, ret_found);
    if (obj.type == JV_MACRO)
        return macro_attr(r, obj, name, ret, ret_found);
    if (obj.type == JV_NS) {
        struct jv *hit;
        int32_t rc = tn_j_dict_get(r, obj.dict, name, &hit);
        *ret_found = hit != NULL;
        if (hit != NULL)
            *ret = *hit;
        return rc;
    }
    if (obj.type == JV_TUPLE && obj.list->group && (tn_j_is_cstr(name, "grouper") || tn_j_is_cstr(name, "list"))) {
        *ret = obj.list->items[tn_j_is_cstr(name, "list")];
        return 0;
    }
    if (obj.type == JV_CYCLER && tn_j_is_cstr(name, "current")) {
        *ret = obj.cycler->items->items[obj.cycler->pos];
        return 0;
    }
    return method(r, obj, name, ret, ret_found);
}

/* ---- items ---- */

static int32_t seq_item(struct jrun *r, struct jv obj, int64_t i, struct jv *ret, bool *ret_found)
{
    size_t n = 0;
    int32_t rc = tn_j_len(r, obj, &n);
    if (rc != 0)
        return rc;
    if (i < 0)
        i += (int64_t)n;
    *ret_found = i >= 0 && (uint64_t)i < n;
    if (!*ret_found)
        return 0;
    if (obj.type == JV_RANGE) {
        *ret = tn_j_int(obj.range->start + i * obj.range->step);
    } else if (obj.type == JV_STR) {
        const struct jstr *s = obj.s;
        size_t at = tn_jstr_offset(s->p, s->len, s->ncp, (size_t)i);
        rc = tn_j_charge(r, s->ncp == s->len ? 0 : at / 64);
        return rc ? rc : tn_j_str_ref(r, s->p + at, tn_jstr_next(s->p + at, s->len - at), ret);
    } else {
        *ret = obj.list->items[i];
    }
    return 0;
}

/* obj[key]; not found stands for Python's TypeError and LookupError. */
static int32_t item(struct jrun *r, struct jv obj, struct jv key, struct jv *ret, bool *ret_found)
{
    int64_t i;
    *ret_found = false;
    if (obj.type == JV_DICT) {
        struct jv *hit = NULL;
        if (key.type == JV_LIST || key.type == JV_DICT)
            return 0;
        int32_t rc = tn_j_dict_get(r, obj.dict, key, &hit);
        if (hit != NULL)
            *ret = *hit;
        *ret_found = hit != NULL;
        return rc;
    }
    if ((tn_j_is_seq(obj) || obj.type == JV_STR || obj.type == JV_RANGE) && tn_j_is_int(key, &i))
        return seq_item(r, obj, i, ret, ret_found);
    return 0;
}

static bool private_name(struct jv name)
{
    return name.s->len > 0 && name.s->p[0] == '_';
}

int32_t tn_j_getattr(struct jrun *r, struct jv obj, struct jv name, struct jv *ret)
{
    bool found = false;
    if (obj.type == JV_UNDEF)
        return tn_j_undef_fail(r, obj);
    int32_t rc = private_name(name) && obj.type != JV_NS ? 0 : tn_j_attr_only(r, obj, name, ret, &found);
    if (rc == 0 && !found)
        rc = item(r, obj, name, ret, &found);
    if (rc == 0 && !found)
        rc = tn_j_undef_attr(r, obj, name, ret);
    return rc;
}

int32_t tn_j_getitem(struct jrun *r, struct jv obj, struct jv key, struct jv *ret)
{
    bool found = false;
    if (obj.type == JV_UNDEF)
        return tn_j_undef_fail(r, obj);
    int32_t rc = item(r, obj, key, ret, &found);
    if (rc == 0 && !found && key.type == JV_STR && !private_name(key))
        rc = tn_j_attr_only(r, obj, key, ret, &found);
    if (rc == 0 && !found)
        rc = tn_j_undef_attr(r, obj, key, ret);
    return rc;
}

static int32_t path_step(struct jrun *r, struct jv obj, const char *p, size_t len, struct jv *ret)
{
    struct jv key;
    bool digits = len > 0 && len < 19;
    for (size_t i = 0; i < len; i++)
        digits = digits && p[i] >= '0' && p[i] <= '9';
    int32_t rc = digits ? tn_j_int_text(r, p, len, &key) : tn_j_str_ref(r, p, len, &key);
    return rc ? rc : tn_j_getitem(r, obj, key, ret);
}

int32_t tn_j_attr_path(struct jrun *r, struct jv obj, struct jv path, const struct jv *dflt, struct jv *ret)
{
    int32_t rc = 0;
    *ret = obj;
    if (path.type == JV_NONE)
        return 0;
    if (path.type != JV_STR) {
        rc = tn_j_getitem(r, obj, path, ret);
        if (rc == 0 && dflt != NULL && ret->type == JV_UNDEF)
            *ret = *dflt;
        return rc;
    }
    const char *p = path.s->p, *end = p + path.s->len;
    while (rc == 0) {
        const char *dot = memchr(p, '.', (size_t)(end - p));
        rc = path_step(r, *ret, p, (size_t)((dot ? dot : end) - p), ret);
        if (rc == 0 && dflt != NULL && ret->type == JV_UNDEF)
            *ret = *dflt;
        if (dot == NULL)
            break;
        p = dot + 1;
    }
    return rc;
}

/* ---- slices ---- */

struct jbounds {
    int64_t start, stop, step, count;
};

/* Python's slice.indices: the bounds for a sequence of n items. */
static int32_t slice_bounds(struct jrun *r, int64_t n, struct jv start, struct jv stop, struct jv step,
                            struct jbounds *ret)
{
    int64_t s = 1, a, b;
    if (step.type != JV_NONE && !tn_j_is_int(step, &s))
        return tn_j_fail(r, "slice indices must be integers or None");
    if (s == 0)
        return tn_j_fail(r, "slice step cannot be zero");
    if (s < -INT64_MAX)
        s = -INT64_MAX;
    int64_t low = s < 0 ? -1 : 0, high = s < 0 ? n - 1 : n;
    a = s < 0 ? high : low;
    b = s < 0 ? low : high;
    if (start.type != JV_NONE) {
        if (!tn_j_is_int(start, &a))
            return tn_j_fail(r, "slice indices must be integers or None");
        a = a < 0 ? (a + n < low ? low : a + n) : a > high ? high : a;
    }
    if (stop.type != JV_NONE) {
        if (!tn_j_is_int(stop, &b))
            return tn_j_fail(r, "slice indices must be integers or None");
        b = b < 0 ? (b + n < low ? low : b + n) : b > high ? high : b;
    }
    *ret = (struct jbounds){.start = a, .stop = b, .step = s};
    ret->count = s > 0 ? (b > a ? (b - a - 1) / s + 1 : 0) : (a > b ? (a - b - 1) / -s + 1 : 0);
    return 0;
}

static int32_t slice_range(struct jrun *r, const struct jrange *x, const struct jbounds *by, struct jv *ret)
{
    struct jrange *y = tn_j_alloc(r, 1, sizeof *y);
    if (y == NULL)
        return r->rc;
    if (__builtin_mul_overflow(by->start, x->step, &y->start) ||
        __builtin_add_overflow(y->start, x->start, &y->start) || __builtin_mul_overflow(by->stop, x->step, &y->stop) ||
        __builtin_add_overflow(y->stop, x->start, &y->stop) || __builtin_mul_overflow(by->step, x->step, &y->step))
        return tn_j_fail(r, "integer overflow: the range's bounds pass 64 bits");
    *ret = (struct jv){.type = JV_RANGE, .range = y};
    return 0;
}

static int32_t slice_str(struct jrun *r, struct jv obj, const struct jbounds *by, struct jv *ret)
{
    const struct jstr *s = obj.s;
    int64_t start = by->start, step = by->step, count = by->count;
    int32_t rc = tn_j_charge(r, s->len / 64);
    if (rc == 0 && (step == 1 || count <= 1)) {
        size_t from = tn_jstr_offset(s->p, s->len, s->ncp, (size_t)(count > 0 ? start : 0));
        size_t len =
            tn_jstr_offset(s->p + from, s->len - from, s->ncp == s->len ? s->len - from : SIZE_MAX, (size_t)count);
        rc = tn_j_str_ref(r, s->p + from, len, ret);
        ret->flag = obj.flag;
        return rc;
    }
    /* Steps over wide characters need their offsets once. */
    uint32_t *at = rc == 0 ? tn_j_alloc(r, s->ncp + 1, sizeof *at) : NULL;
    if (at == NULL || s->len > UINT32_MAX)
        return rc ? rc : tn_j_exhausted(r, "a string too long to slice by steps");
    for (size_t i = 0, cp = 0; i < s->len; i += tn_jstr_next(s->p + i, s->len - i))
        at[cp++] = (uint32_t)i;
    struct tn_buf b;
    tn_j_buf(r, &b);
    for (int64_t k = 0, i = start; rc == 0 && k < count; k++, i += k < count ? step : 0)
        rc = tn_buf_append(&b, s->p + at[i], tn_jstr_next(s->p + at[i], s->len - at[i]));
    rc = tn_j_str_take(r, rc, &b, ret);
    ret->flag = obj.flag;
    return rc;
}

int32_t tn_j_slice(struct jrun *r, struct jv obj, struct jv start, struct jv stop, struct jv step, struct jv *ret)
{
    size_t n = 0;
    struct jbounds by = {0};
    if (obj.type == JV_UNDEF)
        return tn_j_undef_fail(r, obj);
    if (obj.type != JV_STR && obj.type != JV_RANGE && !tn_j_is_seq(obj))
        return tn_j_fail(r, "'%s' object cannot be sliced", tn_j_type_name(obj));
    int32_t rc = tn_j_len(r, obj, &n);
    if (rc == 0)
        rc = slice_bounds(r, (int64_t)n, start, stop, step, &by);
    if (rc != 0 || obj.type == JV_STR)
        return rc ? rc : slice_str(r, obj, &by, ret);
    if (obj.type == JV_RANGE)
        return slice_range(r, obj.range, &by, ret);
    rc = tn_j_list_new(r, obj.type, ret);
    for (int64_t k = 0, i = by.start; rc == 0 && k < by.count; k++, i += k < by.count ? by.step : 0)
        rc = tn_j_list_push(r, ret->list, obj.list->items[i]);
    return rc;
}
