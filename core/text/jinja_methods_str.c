/* The methods of strings, as Python's str has them, counted in code points.
 * To add one: a function and a line in the table at the end. Methods of the
 * other types are in jinja_methods.c. One thread per run. */
#include "jinja_methods.h"

#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

#define METHOD(name) static int32_t name(struct jrun *r, struct jv self, const struct jargs *a, struct jv *ret)

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

/* ---- split and join ---- */

static int32_t push_part(struct jrun *r, struct jv self, size_t from, size_t to, struct jv list)
{
    struct jv part;
    int32_t rc = tn_j_str_ref(r, self.s->p + from, to - from, &part);
    part.flag = self.flag;
    return rc ? rc : tn_j_list_push(r, list.list, part);
}

static size_t skip(struct jv self, size_t at, bool space)
{
    while (at < self.s->len) {
        size_t n;
        if (tn_jcp_space(tn_jstr_decode(self.s->p + at, self.s->len - at, &n)) != space)
            break;
        at += n;
    }
    return at;
}

static size_t skip_back(struct jv self, size_t at, bool space)
{
    while (at > 0) {
        size_t unused, n = tn_jstr_prev(self.s->p, at);
        if (tn_jcp_space(tn_jstr_decode(self.s->p + at - n, n, &unused)) != space)
            break;
        at -= n;
    }
    return at;
}

static int32_t split_space(struct jrun *r, struct jv self, int64_t max, struct jv list)
{
    int32_t rc = 0;
    for (size_t at = skip(self, 0, true); rc == 0 && at < self.s->len;) {
        size_t end = max == 0 ? self.s->len : skip(self, at, false);
        rc = push_part(r, self, at, end, list);
        at = max == 0 ? self.s->len : skip(self, end, true);
        max -= max > 0;
    }
    return rc;
}

static int32_t split_sep(struct jrun *r, struct jv self, const struct jstr *sep, int64_t max, struct jv list)
{
    size_t at = 0, hit;
    int32_t rc = 0;
    while (rc == 0 && max != 0 && (hit = tn_jstr_find(self.s->p, self.s->len, at, sep->p, sep->len)) != SIZE_MAX) {
        rc = push_part(r, self, at, hit, list);
        at = hit + sep->len;
        max -= max > 0;
    }
    return rc ? rc : push_part(r, self, at, self.s->len, list);
}

/* From the right; parts come in reverse. */
static int32_t rsplit_any(struct jrun *r, struct jv self, const struct jstr *sep, int64_t max, struct jv list)
{
    size_t end = sep ? self.s->len : skip_back(self, self.s->len, true);
    int32_t rc = 0;
    while (rc == 0 && (sep != NULL || end > 0)) {
        size_t hit = SIZE_MAX, from;
        if (sep != NULL && max != 0)
            hit = tn_jstr_rfind(self.s->p, end, sep->p, sep->len);
        if (sep != NULL)
            from = hit == SIZE_MAX ? 0 : hit + sep->len;
        else
            from = max == 0 ? 0 : skip_back(self, end, false);
        rc = push_part(r, self, from, end, list);
        if (sep != NULL ? hit == SIZE_MAX : max == 0)
            break;
        end = sep ? hit : skip_back(self, from, true);
        max -= max > 0;
    }
    for (size_t i = 0, n = list.list->n; i < n / 2; i++) {
        struct jv t = list.list->items[i];
        list.list->items[i] = list.list->items[n - 1 - i];
        list.list->items[n - 1 - i] = t;
    }
    return rc;
}

static int32_t split(struct jrun *r, struct jv self, const struct jargs *a, bool right, struct jv *ret)
{
    struct jv v[2] = {tn_j_none(), tn_j_int(-1)};
    int64_t max = -1;
    int32_t rc = tn_j_params(r, "split()", a, "sep maxsplit", 0, v);
    if (rc == 0 && v[0].type != JV_NONE)
        rc = tn_j_want_str(r, "split()", v[0]);
    if (rc == 0)
        rc = tn_j_want_int(r, "split()", v[1], &max);
    if (rc == 0 && v[0].type == JV_STR && v[0].s->len == 0)
        return tn_j_fail(r, "empty separator");
    if (rc == 0)
        rc = tn_j_list_new(r, JV_LIST, ret);
    if (rc == 0)
        rc = tn_j_charge(r, self.s->len / 64);
    if (rc != 0)
        return rc;
    const struct jstr *sep = v[0].type == JV_STR ? v[0].s : NULL;
    if (right)
        return rsplit_any(r, self, sep, max, *ret);
    return sep ? split_sep(r, self, sep, max, *ret) : split_space(r, self, max, *ret);
}

METHOD(s_split)
{
    return split(r, self, a, false, ret);
}
METHOD(s_rsplit)
{
    return split(r, self, a, true, ret);
}

int32_t tn_j_splitlines(struct jrun *r, struct jv s, bool keep, struct jv *ret)
{
    const char *p = s.s->p;
    size_t len = s.s->len, from = 0, n;
    int32_t rc = tn_j_list_new(r, JV_LIST, ret);
    for (size_t i = 0; rc == 0 && i < len; i += n) {
        int32_t cp = tn_jstr_decode(p + i, len - i, &n);
        if (!tn_jcp_line_end(cp))
            continue;
        if (cp == '\r' && i + 1 < len && p[i + 1] == '\n')
            n = 2;
        rc = push_part(r, s, from, keep ? i + n : i, *ret);
        from = i + n;
    }
    return rc == 0 && from < len ? push_part(r, s, from, len, *ret) : rc;
}

METHOD(s_splitlines)
{
    struct jv keep = tn_j_bool(false);
    bool truth;
    int32_t rc = tn_j_params(r, "splitlines()", a, "keepends", 0, &keep);
    if (rc == 0)
        rc = tn_j_truth(r, keep, &truth);
    return rc ? rc : tn_j_splitlines(r, self, truth, ret);
}

static int32_t partition(struct jrun *r, struct jv self, const struct jargs *a, bool right, struct jv *ret)
{
    struct jv sep;
    int32_t rc = tn_j_params(r, "partition()", a, "sep", 1, &sep);
    if (rc == 0)
        rc = tn_j_want_str(r, "partition()", sep);
    if (rc == 0 && sep.s->len == 0)
        return tn_j_fail(r, "empty separator");
    if (rc == 0)
        rc = tn_j_list_new(r, JV_TUPLE, ret);
    if (rc != 0)
        return rc;
    size_t len = self.s->len, n = sep.s->len;
    size_t at = right ? tn_jstr_rfind(self.s->p, len, sep.s->p, n) : tn_jstr_find(self.s->p, len, 0, sep.s->p, n);
    size_t cut[4] = {0, at, at + n, len};
    if (at == SIZE_MAX) { /* all of it goes to one end */
        cut[1] = cut[2] = right ? 0 : len;
    }
    for (int i = 0; rc == 0 && i < 3; i++)
        rc = push_part(r, self, cut[i], cut[i + 1], *ret);
    return rc;
}

METHOD(s_partition)
{
    return partition(r, self, a, false, ret);
}
METHOD(s_rpartition)
{
    return partition(r, self, a, true, ret);
}

METHOD(s_join)
{
    struct jv v, item;
    struct jiter it;
    struct tn_buf b;
    bool more = true;
    int32_t rc = tn_j_params(r, "join()", a, "iterable", 1, &v);
    if (rc == 0)
        rc = tn_j_iter(r, v, &it);
    if (rc != 0)
        return rc;
    tn_j_buf(r, &b);
    for (size_t i = 0; rc == 0; i++) {
        rc = tn_j_next(r, &it, &item, &more);
        if (rc != 0 || !more)
            break;
        if (i > 0)
            rc = tn_buf_append(&b, self.s->p, self.s->len);
        if (rc == 0 && item.type != JV_STR)
            rc = tn_j_fail(r, "sequence item %zu: expected str instance, %s found", i, tn_j_type_name(item));
        if (rc == 0)
            rc = tn_buf_append(&b, item.s->p, item.s->len);
    }
    return tn_j_str_take(r, rc, &b, ret);
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

/* ---- classes ---- */

static bool cp_alnum(int32_t cp)
{
    return tn_jcp_alpha(cp) || tn_jcp_numeric(cp);
}
static bool cp_ascii(int32_t cp)
{
    return cp < 128;
}

/* Decimal digits and the super- and subscripts and circled forms. */
static bool cp_digit(int32_t cp)
{
    return tn_jcp_decimal(cp) || cp == 0xb2 || cp == 0xb3 || cp == 0xb9 || cp == 0x2070 ||
           (cp >= 0x2074 && cp <= 0x2079) || (cp >= 0x2080 && cp <= 0x2089) || (cp >= 0x2460 && cp <= 0x2468);
}

static int32_t all_are(struct jrun *r, struct jv self, bool (*is)(int32_t), bool if_empty, struct jv *ret)
{
    bool all = self.s->len > 0 || if_empty;
    for (size_t i = 0, n; all && i < self.s->len; i += n)
        all = is(tn_jstr_decode(self.s->p + i, self.s->len - i, &n));
    *ret = tn_j_bool(all);
    return tn_j_charge(r, self.s->len / 64);
}

#define CLASS(name, is, if_empty)                                                                                      \
    METHOD(name)                                                                                                       \
    {                                                                                                                  \
        (void)a; /* takes none */                                                                                      \
        return all_are(r, self, is, if_empty, ret);                                                                    \
    }
CLASS(s_isalnum, cp_alnum, false)
CLASS(s_isalpha, tn_jcp_alpha, false)
CLASS(s_isascii, cp_ascii, true)
CLASS(s_isdecimal, tn_jcp_decimal, false)
CLASS(s_isdigit, cp_digit, false)
CLASS(s_isnumeric, tn_jcp_numeric, false)
CLASS(s_isprintable, tn_jcp_printable, true)
CLASS(s_isspace, tn_jcp_space, false)

bool tn_j_str_is_case(const struct jstr *s, bool upper)
{
    bool cased = false;
    for (size_t i = 0, n; i < s->len; i += n) {
        int32_t cp = tn_jstr_decode(s->p + i, s->len - i, &n);
        if ((upper ? tn_jcp_lower(cp) : tn_jcp_upper(cp)) || tn_jcp_title(cp))
            return false;
        cased = cased || (upper ? tn_jcp_upper(cp) : tn_jcp_lower(cp));
    }
    return cased;
}

METHOD(s_islower)
{
    (void)a; /* takes none */
    *ret = tn_j_bool(tn_j_str_is_case(self.s, false));
    return tn_j_charge(r, self.s->len / 64);
}

METHOD(s_isupper)
{
    (void)a; /* takes none */
    *ret = tn_j_bool(tn_j_str_is_case(self.s, true));
    return tn_j_charge(r, self.s->len / 64);
}

METHOD(s_istitle)
{
    bool inside = false, any = false, ok = true;
    (void)a; /* takes none */
    for (size_t i = 0, n; ok && i < self.s->len; i += n) {
        int32_t cp = tn_jstr_decode(self.s->p + i, self.s->len - i, &n);
        bool up = tn_jcp_upper(cp) || tn_jcp_title(cp), low = tn_jcp_lower(cp);
        ok = !(up && inside) && !(low && !inside);
        inside = up || low;
        any = any || inside;
    }
    *ret = tn_j_bool(ok && any);
    return tn_j_charge(r, self.s->len / 64);
}

METHOD(s_isidentifier)
{
    bool ok = self.s->len > 0;
    (void)a; /* takes none */
    for (size_t i = 0, n; ok && i < self.s->len; i += n) {
        int32_t cp = tn_jstr_decode(self.s->p + i, self.s->len - i, &n);
        ok = cp == '_' || tn_jcp_alpha(cp) || (i > 0 && tn_jcp_decimal(cp));
    }
    *ret = tn_j_bool(ok);
    return tn_j_charge(r, self.s->len / 64);
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
    {"isalnum", s_isalnum},
    {"isalpha", s_isalpha},
    {"isascii", s_isascii},
    {"isdecimal", s_isdecimal},
    {"isdigit", s_isdigit},
    {"isidentifier", s_isidentifier},
    {"islower", s_islower},
    {"isnumeric", s_isnumeric},
    {"isprintable", s_isprintable},
    {"isspace", s_isspace},
    {"istitle", s_istitle},
    {"isupper", s_isupper},
    {"join", s_join},
    {"ljust", s_ljust},
    {"lower", s_lower},
    {"lstrip", s_lstrip},
    {"partition", s_partition},
    {"removeprefix", s_removeprefix},
    {"removesuffix", s_removesuffix},
    {"replace", s_replace},
    {"rfind", s_rfind},
    {"rindex", s_rindex},
    {"rjust", s_rjust},
    {"rpartition", s_rpartition},
    {"rsplit", s_rsplit},
    {"rstrip", s_rstrip},
    {"split", s_split},
    {"splitlines", s_splitlines},
    {"startswith", s_startswith},
    {"strip", s_strip},
    {"swapcase", s_swapcase},
    {"title", s_title},
    {"upper", s_upper},
    {"zfill", s_zfill},
    {NULL, NULL},
};
