/* The methods of strings, as Python's str has them, counted in code points.
 * To add one: a function and a line in the table at the end. Splitting is in
 * jinja_methods_split.c, asking for classes in jinja_methods_class.c, methods
 * of the other types in jinja_methods.c. One thread per run. */
#include "jinja_methods.h"

#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

/* ---- case ---- */

typedef int32_t (*casing_fn)(struct tn_buf *b, const char *p, size_t len);

static int32_t recase(struct jrun *r, struct jv self, const struct jargs *a, casing_fn fn, struct jv *ret)
{
    struct tn_buf b;
    if (a->npos + a->nkw > 0)
        return tn_j_fail(r, "this method takes no arguments");
    tn_j_buf(r, &b);
    int32_t rc = tn_j_charge(r, self.s->len / 16);
    if (rc == 0)
        rc = fn(&b, self.s->p, self.s->len);
    rc = tn_j_str_take(r, rc, &b, ret);
    ret->flag = self.flag;
    return rc;
}

METHOD(s_upper)
{
    return recase(r, self, a, tn_jstr_upper, ret);
}
METHOD(s_lower)
{
    return recase(r, self, a, tn_jstr_lower, ret);
}
METHOD(s_title)
{
    return recase(r, self, a, tn_jstr_title, ret);
}
METHOD(s_capitalize)
{
    return recase(r, self, a, tn_jstr_capitalize, ret);
}
METHOD(s_swapcase)
{
    return recase(r, self, a, tn_jstr_swapcase, ret);
}
METHOD(s_casefold)
{
    return recase(r, self, a, tn_jstr_casefold, ret);
}

/* ---- strip ---- */

static int32_t strip(struct jrun *r, struct jv self, const struct jargs *a, int ends, struct jv *ret)
{
    struct jv chars = tn_j_none();
    int32_t rc = tn_j_params(r, "strip()", a, "chars", 0, &chars);
    if (rc == 0 && chars.type != JV_NONE)
        rc = tn_j_want_str(r, "strip()", chars);
    if (rc != 0)
        return rc;
    const char *p = self.s->p;
    size_t len = self.s->len;
    bool given = chars.type == JV_STR;
    tn_jstr_strip(&p, &len, given ? chars.s->p : NULL, given ? chars.s->len : 0, ends);
    rc = tn_j_str_ref(r, p, len, ret);
    ret->flag = self.flag;
    return rc;
}

METHOD(s_strip)
{
    return strip(r, self, a, 3, ret);
}
METHOD(s_lstrip)
{
    return strip(r, self, a, 1, ret);
}
METHOD(s_rstrip)
{
    return strip(r, self, a, 2, ret);
}

static int32_t remove_affix(struct jrun *r, struct jv self, const struct jargs *a, bool suffix, struct jv *ret)
{
    struct jv x;
    int32_t rc = tn_j_params(r, "removeprefix()", a, "affix", 1, &x);
    if (rc == 0)
        rc = tn_j_want_str(r, "removeprefix()", x);
    if (rc != 0)
        return rc;
    size_t n = x.s->len, len = self.s->len;
    *ret = self;
    if (n == 0 || n > len || memcmp(self.s->p + (suffix ? len - n : 0), x.s->p, n) != 0)
        return 0;
    return tn_j_str_ref(r, self.s->p + (suffix ? 0 : n), len - n, ret);
}

METHOD(s_removeprefix)
{
    return remove_affix(r, self, a, false, ret);
}
METHOD(s_removesuffix)
{
    return remove_affix(r, self, a, true, ret);
}

/* ---- search ---- */

/* The byte range of self[start:end]; *ret_valid false if start is past the end. */
static int32_t window(struct jrun *r, struct jv self, struct jv start, struct jv end, size_t *ret_from, size_t *ret_to,
                      bool *ret_valid)
{
    int64_t n = (int64_t)self.s->ncp, from = 0, to = n;
    int32_t rc = start.type == JV_NONE ? 0 : tn_j_want_int(r, "a string search", start, &from);
    if (rc == 0 && end.type != JV_NONE)
        rc = tn_j_want_int(r, "a string search", end, &to);
    if (rc != 0)
        return rc;
    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? (to + n < 0 ? 0 : to + n) : to > n ? n : to;
    *ret_valid = from <= to;
    *ret_from = tn_jstr_offset(self.s->p, self.s->len, self.s->ncp, (size_t)(from < n ? from : n));
    *ret_to = tn_jstr_offset(self.s->p, self.s->len, self.s->ncp, (size_t)to);
    return tn_j_charge(r, self.s->len / 64);
}

/* v[0] the needle, v[1] and v[2] its bounds. */
static int32_t search_args(struct jrun *r, const char *who, const struct jargs *a, struct jv *v)
{
    v[1] = v[2] = tn_j_none();
    return tn_j_params(r, who, a, "sub start end", 1, v);
}

/* The code-point index of the needle, -1 if absent. */
static int32_t find(struct jrun *r, struct jv self, const struct jargs *a, bool last, int64_t *ret)
{
    struct jv v[3];
    size_t from, to, at = SIZE_MAX;
    bool valid;
    int32_t rc = search_args(r, "find()", a, v);
    if (rc == 0)
        rc = tn_j_want_str(r, "find()", v[0]);
    if (rc == 0)
        rc = window(r, self, v[1], v[2], &from, &to, &valid);
    if (rc != 0)
        return rc;
    const char *p = self.s->p + from;
    if (valid && last)
        at = tn_jstr_rfind(p, to - from, v[0].s->p, v[0].s->len);
    else if (valid)
        at = tn_jstr_find(p, to - from, 0, v[0].s->p, v[0].s->len);
    *ret = at == SIZE_MAX ? -1 : (int64_t)tn_jstr_count(self.s->p, from + at);
    return 0;
}

static int32_t find_or_fail(struct jrun *r, struct jv self, const struct jargs *a, bool last, bool must, struct jv *ret)
{
    int64_t at = 0;
    int32_t rc = find(r, self, a, last, &at);
    if (rc == 0 && must && at < 0)
        return tn_j_fail(r, "substring not found");
    *ret = tn_j_int(at);
    return rc;
}

METHOD(s_find)
{
    return find_or_fail(r, self, a, false, false, ret);
}
METHOD(s_rfind)
{
    return find_or_fail(r, self, a, true, false, ret);
}
METHOD(s_index)
{
    return find_or_fail(r, self, a, false, true, ret);
}
METHOD(s_rindex)
{
    return find_or_fail(r, self, a, true, true, ret);
}

METHOD(s_count)
{
    struct jv v[3];
    size_t from, to, n = 0;
    bool valid;
    int32_t rc = search_args(r, "count()", a, v);
    if (rc == 0)
        rc = tn_j_want_str(r, "count()", v[0]);
    if (rc == 0)
        rc = window(r, self, v[1], v[2], &from, &to, &valid);
    if (rc != 0)
        return rc;
    const struct jstr *x = v[0].s;
    if (valid && x->len == 0)
        n = tn_jstr_count(self.s->p + from, to - from) + 1;
    else if (valid)
        for (size_t at = from; (at = tn_jstr_find(self.s->p, to, at, x->p, x->len)) != SIZE_MAX; at += x->len)
            n++;
    *ret = tn_j_int((int64_t)n);
    return 0;
}

static int32_t affix(struct jrun *r, struct jv self, struct jv x, size_t from, size_t to, bool end, bool *ret)
{
    if (x.type != JV_STR)
        return x.type == JV_UNDEF
                   ? tn_j_fail(r, "startswith first arg must be str or a tuple of str, not Undefined")
                   : tn_j_fail(r, "startswith first arg must be str or a tuple of str, not %s", tn_j_type_name(x));
    size_t n = x.s->len;
    *ret = n <= to - from && memcmp(self.s->p + (end ? to - n : from), x.s->p, n) == 0;
    return 0;
}

static int32_t has_affix(struct jrun *r, struct jv self, const struct jargs *a, bool end, struct jv *ret)
{
    struct jv v[3];
    size_t from, to;
    bool valid, hit = false;
    int32_t rc = search_args(r, "startswith()", a, v);
    if (rc == 0)
        rc = window(r, self, v[1], v[2], &from, &to, &valid);
    if (rc != 0)
        return rc;
    if (v[0].type == JV_TUPLE) {
        for (size_t i = 0; rc == 0 && valid && !hit && i < v[0].list->n; i++)
            rc = affix(r, self, v[0].list->items[i], from, to, end, &hit);
    } else {
        rc = affix(r, self, v[0], valid ? from : 0, valid ? to : 0, end, &hit);
        hit = hit && valid;
    }
    *ret = tn_j_bool(hit);
    return rc;
}

METHOD(s_startswith)
{
    return has_affix(r, self, a, false, ret);
}
METHOD(s_endswith)
{
    return has_affix(r, self, a, true, ret);
}

METHOD(s_replace)
{
    struct jv v[3] = {{0}, {0}, tn_j_int(-1)};
    int64_t count = -1;
    int32_t rc = tn_j_params(r, "replace()", a, "old new count", 2, v);
    if (rc == 0)
        rc = tn_j_want_str(r, "replace()", v[0]);
    if (rc == 0)
        rc = tn_j_want_str(r, "replace()", v[1]);
    if (rc == 0)
        rc = tn_j_want_int(r, "replace()", v[2], &count);
    return rc ? rc : tn_j_str_replace(r, self, v[0], v[1], count, ret);
}

int32_t tn_j_str_replace(struct jrun *r, struct jv s, struct jv old, struct jv new, int64_t count, struct jv *ret)
{
    const char *p = s.s->p;
    size_t len = s.s->len, at = 0, n = old.s->len;
    struct tn_buf b;
    tn_j_buf(r, &b);
    int32_t rc = tn_j_charge(r, len / 64);
    for (; rc == 0 && count != 0; count -= count > 0) {
        size_t hit = tn_jstr_find(p, len, at, old.s->p, n);
        if (hit == SIZE_MAX)
            break;
        rc = tn_buf_append(&b, p + at, hit - at);
        if (rc == 0)
            rc = tn_buf_append(&b, new.s->p, new.s->len);
        at = hit + n;
        if (n > 0)
            continue;
        if (at == len) { /* an empty needle matches between all characters */
            at = len + 1;
            break;
        }
        size_t step = tn_jstr_next(p + at, len - at);
        if (rc == 0)
            rc = tn_buf_append(&b, p + at, step);
        at += step;
    }
    if (rc == 0 && at < len)
        rc = tn_buf_append(&b, p + at, len - at);
    rc = tn_j_str_take(r, rc, &b, ret);
    ret->flag = s.flag;
    return rc;
}

/* ---- padding ---- */

/* Pads with left and right copies of one character. */
static int32_t padded(struct jrun *r, struct jv self, const struct jstr *fill, int64_t left, int64_t right,
                      struct jv *ret)
{
    struct tn_buf b;
    tn_j_buf(r, &b);
    int32_t rc = tn_j_charge(r, (uint64_t)(left + right) / 16);
    while (rc == 0 && left-- > 0)
        rc = tn_buf_append(&b, fill->p, fill->len);
    if (rc == 0)
        rc = tn_buf_append(&b, self.s->p, self.s->len);
    while (rc == 0 && right-- > 0)
        rc = tn_buf_append(&b, fill->p, fill->len);
    return tn_j_str_take(r, rc, &b, ret);
}

int32_t tn_j_str_center(struct jrun *r, struct jv s, int64_t width, struct jv *ret)
{
    static const struct jstr space = {" ", 1, 1};
    int64_t pad = width - (int64_t)s.s->ncp;
    if (pad <= 0) {
        *ret = s;
        return 0;
    }
    int64_t left = pad / 2 + (pad & width & 1);
    return padded(r, s, &space, left, pad - left, ret);
}

/* how: 0 ljust, 1 rjust, 2 center */
static int32_t justify(struct jrun *r, struct jv self, const struct jargs *a, int how, struct jv *ret)
{
    static const struct jstr space = {" ", 1, 1};
    struct jv v[2] = {{0}, {.type = JV_STR, .s = &space}};
    int64_t width = 0;
    int32_t rc = tn_j_params(r, "center()", a, "width fillchar", 1, v);
    if (rc == 0)
        rc = tn_j_want_int(r, "center()", v[0], &width);
    if (rc == 0)
        rc = tn_j_want_str(r, "center()", v[1]);
    if (rc == 0 && v[1].s->ncp != 1)
        return tn_j_fail(r, "the fill character must be exactly one character long");
    *ret = self;
    if (rc != 0 || width <= (int64_t)self.s->ncp)
        return rc;
    int64_t pad = width - (int64_t)self.s->ncp;
    int64_t left = how == 0 ? 0 : how == 1 ? pad : pad / 2 + (pad & width & 1);
    return padded(r, self, v[1].s, left, pad - left, ret);
}

METHOD(s_ljust)
{
    return justify(r, self, a, 0, ret);
}
METHOD(s_rjust)
{
    return justify(r, self, a, 1, ret);
}
METHOD(s_center)
{
    return justify(r, self, a, 2, ret);
}

METHOD(s_zfill)
{
    static const struct jstr zero = {"0", 1, 1};
    struct jv w, rest, digits;
    int64_t width = 0;
    int32_t rc = tn_j_params(r, "zfill()", a, "width", 1, &w);
    if (rc == 0)
        rc = tn_j_want_int(r, "zfill()", w, &width);
    *ret = self;
    if (rc != 0 || width <= (int64_t)self.s->ncp)
        return rc;
    size_t sign = self.s->len > 0 && (self.s->p[0] == '-' || self.s->p[0] == '+');
    rc = tn_j_str_ref(r, self.s->p + sign, self.s->len - sign, &rest);
    if (rc == 0)
        rc = padded(r, rest, &zero, width - (int64_t)self.s->ncp, 0, &digits);
    if (rc == 0 && sign == 0)
        *ret = digits;
    if (rc != 0 || sign == 0)
        return rc;
    rc = tn_j_str_ref(r, self.s->p, 1, &rest);
    return rc ? rc : tn_j_binary(r, '+', rest, digits, ret);
}

METHOD(s_expandtabs)
{
    struct jv size = tn_j_int(8);
    int64_t tab = 8, column = 0;
    struct tn_buf b;
    int32_t rc = tn_j_params(r, "expandtabs()", a, "tabsize", 0, &size);
    if (rc == 0)
        rc = tn_j_want_int(r, "expandtabs()", size, &tab);
    if (rc != 0)
        return rc;
    tn_j_buf(r, &b);
    for (size_t i = 0, n; rc == 0 && i < self.s->len; i += n) {
        int32_t cp = tn_jstr_decode(self.s->p + i, self.s->len - i, &n);
        if (cp == '\t') {
            int64_t pad = tab > 0 ? tab - column % tab : 0;
            column += pad;
            rc = tn_j_charge(r, (uint64_t)pad);
            while (rc == 0 && pad-- > 0)
                rc = tn_buf_char(&b, ' ');
        } else {
            column = cp == '\n' || cp == '\r' ? 0 : column + 1;
            rc = tn_buf_append(&b, self.s->p + i, n);
        }
    }
    return tn_j_str_take(r, rc, &b, ret);
}

METHOD(s_format)
{
    return tn_j_str_format(r, self, a, ret);
}

const struct jmethod tn_j_str_methods[] = {
    {"capitalize", s_capitalize},
    {"casefold", s_casefold},
    {"center", s_center},
    {"count", s_count},
    {"endswith", s_endswith},
    {"expandtabs", s_expandtabs},
    {"find", s_find},
    {"format", s_format},
    {"index", s_index},
    {"ljust", s_ljust},
    {"lower", s_lower},
    {"lstrip", s_lstrip},
    {"removeprefix", s_removeprefix},
    {"removesuffix", s_removesuffix},
    {"replace", s_replace},
    {"rfind", s_rfind},
    {"rindex", s_rindex},
    {"rjust", s_rjust},
    {"rstrip", s_rstrip},
    {"startswith", s_startswith},
    {"strip", s_strip},
    {"swapcase", s_swapcase},
    {"title", s_title},
    {"upper", s_upper},
    {"zfill", s_zfill},
    {NULL, NULL},
};
