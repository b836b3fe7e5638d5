/* The methods of strings that take them apart and put them together: split and
 * its kin, join. Registered like those of jinja_methods_str.c. One thread per
 * run. */
#include "jinja_methods.h"

#include "jinja_filter.h"
#include "jinja_str.h"

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

const struct jmethod tn_j_split_methods[] = {
    {"join", s_join},     {"partition", s_partition}, {"rpartition", s_rpartition},
    {"rsplit", s_rsplit}, {"split", s_split},         {"splitlines", s_splitlines},
    {NULL, NULL},
};
