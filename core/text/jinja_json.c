/* JSON in and out of template values. The reader is strict (RFC 8259), keeps
 * key order, integers apart from floats, and lets the last of equal keys win
 * as Python does. The writer is Python's json.dumps. One thread per run. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jinja_filter.h"
#include "jinja_str.h"
#include "jinja_value.h"

struct jreader {
    struct jrun *r;
    const char *p, *at, *end;
};

static int32_t read_value(struct jreader *in, struct jv *ret);

static int32_t bad(struct jreader *in, const char *what)
{
    if (in->r->rc == 0)
        in->r->rc = tenon_fail(in->r->err, TENON_E_INVALID_ARGUMENT, "template",
                               "reading the template's variables failed: byte %zu: %s: give one JSON object",
                               (size_t)(in->at - in->p), what);
    return in->r->rc;
}

static void skip_space(struct jreader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

static bool take(struct jreader *in, char c)
{
    skip_space(in);
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* ---- strings ---- */

static bool read_hex4(struct jreader *in, int32_t *ret)
{
    int32_t v = 0;
    if (in->end - in->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *in->at++;
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return false;
        v = v * 16 + d;
    }
    *ret = v;
    return true;
}

static int32_t read_unicode(struct jreader *in, struct tn_buf *b)
{
    int32_t hi, lo;
    if (!read_hex4(in, &hi))
        return bad(in, "\\u needs four hex digits");
    if (hi < 0xd800 || hi > 0xdfff)
        return tn_jstr_encode(b, hi);
    if (hi > 0xdbff || in->end - in->at < 6 || in->at[0] != '\\' || in->at[1] != 'u')
        return bad(in, "half of a surrogate pair");
    in->at += 2;
    if (!read_hex4(in, &lo) || lo < 0xdc00 || lo > 0xdfff)
        return bad(in, "half of a surrogate pair");
    return tn_jstr_encode(b, 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00));
}

static int32_t read_escape(struct jreader *in, struct tn_buf *b)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = in->at < in->end ? *in->at++ : '\0';
    if (c == 'u')
        return read_unicode(in, b);
    const char *hit = c ? strchr(from, c) : NULL;
    return hit ? tn_buf_char(b, to[hit - from]) : bad(in, "unknown escape in a string");
}

/* The rest of a string behind its opening quote. */
static int32_t read_string(struct jreader *in, struct jv *ret)
{
    struct tn_buf b;
    int32_t rc = 0;
    tn_j_buf(in->r, &b);
    for (;;) {
        const char *run = in->at;
        while (in->at < in->end && *in->at != '"' && *in->at != '\\' && (unsigned char)*in->at >= 0x20)
            in->at++;
        rc = tn_buf_append(&b, run, (size_t)(in->at - run));
        if (rc != 0)
            break;
        if (in->at == in->end || (unsigned char)*in->at < 0x20) {
            rc = bad(in, "a string without end or with a raw control character");
            break;
        }
        if (*in->at++ == '"')
            break;
        rc = read_escape(in, &b);
        if (rc != 0)
            break;
    }
    return tn_j_str_take(in->r, rc, &b, ret);
}

/* ---- numbers ---- */

static bool digits(struct jreader *in)
{
    const char *from = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return in->at > from;
}

/* Checks the number's grammar; true in *ret_float if it has a '.' or 'e'. */
static bool scan_number(struct jreader *in, bool *ret_float)
{
    *ret_float = false;
    if (in->at < in->end && *in->at == '-')
        in->at++;
    if (in->at < in->end && *in->at == '0')
        in->at++;
    else if (!digits(in))
        return false;
    if (in->at < in->end && *in->at == '.') {
        *ret_float = true;
        in->at++;
        if (!digits(in))
            return false;
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        *ret_float = true;
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-'))
            in->at++;
        return digits(in);
    }
    return true;
}

static int32_t read_number(struct jreader *in, struct jv *ret)
{
    const char *from = in->at;
    bool is_float;
    if (!scan_number(in, &is_float))
        return bad(in, "not a JSON value");
    size_t len = (size_t)(in->at - from);
    double f;
    if (is_float) {
        if (!tn_j_parse_double(from, len, &f))
            return bad(in, "a number with too many digits");
        *ret = tn_j_float(f);
        return 0;
    }
    return tn_j_int_text(in->r, from, len, ret);
}

/* ---- containers ---- */

static int32_t read_array(struct jreader *in, struct jv *ret)
{
    int32_t rc = tn_j_list_new(in->r, JV_LIST, ret);
    if (rc != 0 || take(in, ']'))
        return rc;
    do {
        struct jv item;
        rc = read_value(in, &item);
        if (rc == 0)
            rc = tn_j_list_push(in->r, ret->list, item);
    } while (rc == 0 && take(in, ','));
    if (rc == 0 && !take(in, ']'))
        rc = bad(in, "expected ',' or ']' in an array");
    return rc;
}

static int32_t read_member(struct jreader *in, struct jdict *d)
{
    struct jv key, val;
    if (!take(in, '"'))
        return bad(in, "expected a string as a member's name");
    int32_t rc = read_string(in, &key);
    if (rc == 0 && !take(in, ':'))
        rc = bad(in, "expected ':' after a member's name");
    if (rc == 0)
        rc = read_value(in, &val);
    if (rc == 0)
        rc = tn_j_dict_set(in->r, d, key, val);
    return rc;
}

static int32_t read_object(struct jreader *in, struct jv *ret)
{
    int32_t rc = tn_j_dict_new(in->r, ret);
    if (rc != 0 || take(in, '}'))
        return rc;
    do
        rc = read_member(in, ret->dict);
    while (rc == 0 && take(in, ','));
    if (rc == 0 && !take(in, '}'))
        rc = bad(in, "expected ',' or '}' in an object");
    return rc;
}

static bool word(struct jreader *in, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(in->end - in->at) < n || memcmp(in->at, w, n) != 0)
        return false;
    in->at += n;
    return true;
}

static int32_t read_nested(struct jreader *in, bool object, struct jv *ret)
{
    int32_t rc = tn_j_enter(in->r);
    if (rc != 0)
        return rc;
    in->at++;
    rc = object ? read_object(in, ret) : read_array(in, ret);
    tn_j_leave(in->r);
    return rc;
}

static int32_t read_value(struct jreader *in, struct jv *ret)
{
    skip_space(in);
    if (in->at == in->end)
        return bad(in, "the text ends where a value should be");
    if (*in->at == '{' || *in->at == '[')
        return read_nested(in, *in->at == '{', ret);
    if (*in->at == '"') {
        in->at++;
        return read_string(in, ret);
    }
    if (word(in, "true") || word(in, "false")) {
        *ret = tn_j_bool(in->at[-2] == 'u');
        return 0;
    }
    if (word(in, "null")) {
        *ret = tn_j_none();
        return 0;
    }
    return read_number(in, ret);
}

int32_t tn_j_json_read(struct jrun *r, const char *p, size_t len, struct jv *ret)
{
    struct jreader in = {.r = r, .p = p, .at = p, .end = p + len};
    size_t where;
    if (!tn_jstr_valid(p, len, &where)) {
        in.at += where;
        return bad(&in, "not UTF-8");
    }
    int32_t rc = read_value(&in, ret);
    skip_space(&in);
    if (rc == 0 && in.at != in.end)
        rc = bad(&in, "text behind the value");
    return rc;
}

/* ---- writing ---- */

static int32_t put_json_cp(struct tn_buf *b, int32_t cp, bool ascii)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *hit = cp > 0 && cp < 128 ? strchr(from, cp) : NULL;
    if (hit != NULL)
        return tn_buf_printf(b, "\\%c", to[hit - from]);
    if (cp >= 0x10000 && ascii)
        return tn_buf_printf(b, "\\u%04x\\u%04x", 0xd800u + (((unsigned)cp - 0x10000) >> 10),
                             0xdc00u + (((unsigned)cp - 0x10000) & 0x3ff));
    if (cp < 0x20 || (ascii && cp > 0x7e))
        return tn_buf_printf(b, "\\u%04x", (unsigned)cp);
    return tn_jstr_encode(b, cp);
}

static int32_t put_json_str(struct tn_buf *b, const struct jstr *s, bool ascii)
{
    int32_t rc = tn_buf_char(b, '"');
    for (size_t i = 0, n; rc == 0 && i < s->len; i += n)
        rc = put_json_cp(b, tn_jstr_decode(s->p + i, s->len - i, &n), ascii);
    return rc ? rc : tn_buf_char(b, '"');
}

static int32_t put_newline(struct tn_buf *b, const struct jjson_style *st, unsigned level)
{
    if (!st->pretty)
        return 0;
    int32_t rc = tn_buf_char(b, '\n');
    for (unsigned i = 0; rc == 0 && i < level; i++)
        rc = tn_buf_append(b, st->indent.s->p, st->indent.s->len);
    return rc;
}

static int32_t put_json_float(struct tn_buf *b, double f)
{
    if (isnan(f) || isinf(f))
        return tn_buf_str(b, isnan(f) ? "NaN" : f < 0 ? "-Infinity" : "Infinity");
    return tn_j_put_float(b, f);
}

static int32_t put_scalar(struct jrun *r, struct tn_buf *b, struct jv v)
{
    switch (v.type) {
    case JV_NONE:
        return tn_buf_str(b, "null");
    case JV_BOOL:
        return tn_buf_str(b, v.b ? "true" : "false");
    case JV_FLOAT:
        return put_json_float(b, v.f);
    case JV_INT:
    case JV_BIG:
        return tn_j_put_repr(r, b, v);
    default:
        return tn_j_fail(r, "Object of type %s is not JSON serializable", tn_j_type_name(v));
    }
}

static int32_t put_key(struct jrun *r, struct tn_buf *b, struct jv key, const struct jjson_style *st)
{
    if (key.type == JV_STR)
        return put_json_str(b, key.s, st->ascii);
    if (key.type == JV_TUPLE || key.type == JV_UNDEF)
        return tn_j_fail(r, "keys must be str, int, float, bool or None, not %s", tn_j_type_name(key));
    int32_t rc = tn_buf_char(b, '"');
    if (rc == 0)
        rc = put_scalar(r, b, key);
    return rc ? rc : tn_buf_char(b, '"');
}

static int32_t put_value(struct jrun *r, struct tn_buf *b, struct jv v, const struct jjson_style *st, unsigned level);

static int32_t put_array(struct jrun *r, struct tn_buf *b, const struct jlist *l, const struct jjson_style *st,
                         unsigned level)
{
    int32_t rc = tn_buf_char(b, '[');
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        if (i > 0)
            rc = tn_buf_append(b, st->item_sep.s->p, st->item_sep.s->len);
        if (rc == 0)
            rc = put_newline(b, st, level + 1);
        if (rc == 0)
            rc = put_value(r, b, l->items[i], st, level + 1);
    }
    if (rc == 0 && l->n > 0)
        rc = put_newline(b, st, level);
    return rc ? rc : tn_buf_char(b, ']');
}

static int32_t put_member(struct jrun *r, struct tn_buf *b, const struct jpair *p, const struct jjson_style *st,
                          unsigned level)
{
    int32_t rc = put_newline(b, st, level);
    if (rc == 0)
        rc = put_key(r, b, p->key, st);
    if (rc == 0)
        rc = tn_buf_append(b, st->key_sep.s->p, st->key_sep.s->len);
    return rc ? rc : put_value(r, b, p->val, st, level);
}

/* The members as a list of pairs, sorted by key. */
static int32_t sorted_members(struct jrun *r, const struct jdict *d, struct jpair **ret)
{
    struct jv keys, items = {.type = JV_VIEW, .flag = JVIEW_ITEMS, .dict = (struct jdict *)d};
    int32_t rc = tn_j_to_list(r, items, &items);
    if (rc == 0)
        rc = tn_j_to_list(r, (struct jv){.type = JV_DICT, .dict = (struct jdict *)d}, &keys);
    if (rc == 0)
        rc = tn_j_sort(r, items.list, keys.list, false);
    if (rc != 0)
        return rc;
    *ret = tn_j_alloc(r, d->n, sizeof **ret);
    for (size_t i = 0; *ret != NULL && i < d->n; i++)
        (*ret)[i] = (struct jpair){items.list->items[i].list->items[0], items.list->items[i].list->items[1]};
    return r->rc;
}

static int32_t put_object(struct jrun *r, struct tn_buf *b, const struct jdict *d, const struct jjson_style *st,
                          unsigned level)
{
    struct jpair *members = d->items;
    int32_t rc = st->sort_keys ? sorted_members(r, d, &members) : 0;
    if (rc == 0)
        rc = tn_buf_char(b, '{');
    for (size_t i = 0; rc == 0 && i < d->n; i++) {
        if (i > 0)
            rc = tn_buf_append(b, st->item_sep.s->p, st->item_sep.s->len);
        if (rc == 0)
            rc = put_member(r, b, &members[i], st, level + 1);
    }
    if (rc == 0 && d->n > 0)
        rc = put_newline(b, st, level);
    return rc ? rc : tn_buf_char(b, '}');
}

static int32_t put_value(struct jrun *r, struct tn_buf *b, struct jv v, const struct jjson_style *st, unsigned level)
{
    int32_t rc = tn_j_charge(r, 1);
    if (rc != 0)
        return rc;
    if (v.type == JV_STR)
        return put_json_str(b, v.s, st->ascii);
    if (!tn_j_is_seq(v) && v.type != JV_DICT)
        return put_scalar(r, b, v);
    rc = tn_j_enter(r);
    if (rc != 0)
        return rc;
    rc = v.type == JV_DICT ? put_object(r, b, v.dict, st, level) : put_array(r, b, v.list, st, level);
    tn_j_leave(r);
    return rc;
}

int32_t tn_j_json_put(struct jrun *r, struct tn_buf *b, struct jv v, const struct jjson_style *st)
{
    return put_value(r, b, v, st, 0);
}
