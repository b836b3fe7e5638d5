/* Filters that make text: case, trimming, padding, escaping, JSON. To add
 * one: a function and a line in the table at the end. Also the search over
 * all filter tables. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_methods.h"
#include "jinja_str.h"

#define FILTER(name) static int32_t name(struct jrun *r, struct jv in, const struct jargs *a, struct jv *ret)

/* str(in), then the string method of the filter's own name. */
static int32_t by_method(struct jrun *r, const char *name, struct jv in, const struct jargs *a, struct jv *ret)
{
    int32_t rc = tn_j_to_str(r, in, &in);
    return rc ? rc : tn_j_method_find(in, name, strlen(name))->call(r, in, a, ret);
}

FILTER(f_upper)
{
    return by_method(r, "upper", in, a, ret);
}
FILTER(f_lower)
{
    return by_method(r, "lower", in, a, ret);
}
FILTER(f_capitalize)
{
    return by_method(r, "capitalize", in, a, ret);
}
FILTER(f_trim)
{
    return by_method(r, "strip", in, a, ret);
}

FILTER(f_center)
{
    struct jv width = tn_j_int(80);
    int64_t w = 80;
    int32_t rc = tn_j_params(r, "center", a, "width", 0, &width);
    if (rc == 0)
        rc = tn_j_want_int(r, "center", width, &w);
    if (rc == 0)
        rc = tn_j_to_str(r, in, &in);
    return rc ? rc : tn_j_str_center(r, in, w, ret);
}

FILTER(f_string)
{
    int32_t rc = tn_j_params(r, "string", a, "", 0, NULL);
    return rc ? rc : tn_j_to_str(r, in, ret);
}

FILTER(f_replace)
{
    struct jv v[3] = {{0}, {0}, tn_j_none()};
    int64_t count = -1;
    int32_t rc = tn_j_params(r, "replace", a, "old new count", 2, v);
    if (rc == 0 && v[2].type != JV_NONE)
        rc = tn_j_want_int(r, "replace", v[2], &count);
    if (rc == 0)
        rc = tn_j_to_str(r, in, &in);
    if (rc == 0)
        rc = tn_j_to_str(r, v[0], &v[0]);
    if (rc == 0)
        rc = tn_j_to_str(r, v[1], &v[1]);
    return rc ? rc : tn_j_str_replace(r, in, v[0], v[1], count, ret);
}

/* Jinja's title: words begin behind - ( { [ < and space, not at every
 * non-letter as str.title has it. */
FILTER(f_title)
{
    struct tn_buf b;
    bool first = true;
    int32_t rc = tn_j_params(r, "title", a, "", 0, NULL);
    if (rc == 0)
        rc = tn_j_to_str(r, in, &in);
    if (rc != 0)
        return rc;
    const struct jstr *s = in.s;
    tn_j_buf(r, &b);
    for (size_t i = 0, n; rc == 0 && i < s->len; i += n) {
        int32_t cp = tn_jstr_decode(s->p + i, s->len - i, &n);
        bool gap = tn_jcp_space(cp) || (cp < 128 && cp > 0 && strchr("-({[<", cp) != NULL);
        rc = first ? tn_jstr_upper(&b, s->p + i, n) : tn_jstr_lower(&b, s->p + i, n);
        first = gap;
    }
    return tn_j_str_take(r, rc, &b, ret);
}

/* ---- HTML ---- */

int32_t tn_j_escape(struct jrun *r, struct jv v, struct jv *ret)
{
    struct tn_buf b;
    int32_t rc = tn_j_to_str(r, v, &v);
    *ret = v;
    if (rc != 0 || v.flag)
        return rc;
    tn_j_buf(r, &b);
    for (size_t i = 0; rc == 0 && i < v.s->len; i++) {
        switch (v.s->p[i]) {
        case '&':
            rc = tn_buf_str(&b, "&amp;");
            break;
        case '<':
            rc = tn_buf_str(&b, "&lt;");
            break;
        case '>':
            rc = tn_buf_str(&b, "&gt;");
            break;
        case '"':
            rc = tn_buf_str(&b, "&#34;");
            break;
        case '\'':
            rc = tn_buf_str(&b, "&#39;");
            break;
        default:
            rc = tn_buf_char(&b, v.s->p[i]);
            break;
        }
    }
    rc = tn_j_str_take(r, rc, &b, ret);
    ret->flag = 1;
    return rc;
}

FILTER(f_escape)
{
    int32_t rc = tn_j_params(r, "escape", a, "", 0, NULL);
    return rc ? rc : tn_j_escape(r, in, ret);
}

FILTER(f_forceescape)
{
    int32_t rc = tn_j_to_str(r, in, &in);
    in.flag = 0;
    return rc ? rc : f_escape(r, in, a, ret);
}

FILTER(f_safe)
{
    int32_t rc = f_string(r, in, a, ret);
    ret->flag = 1;
    return rc;
}

/* Drops every stretch from open to close. */
static int32_t drop_between(struct jrun *r, struct jv s, const char *open, const char *close, struct jv *ret)
{
    const char *p = s.s->p;
    size_t len = s.s->len, at = 0, from, to;
    struct tn_buf b;
    int32_t rc = 0;
    tn_j_buf(r, &b);
    while (rc == 0 && (from = tn_jstr_find(p, len, at, open, strlen(open))) != SIZE_MAX &&
           (to = tn_jstr_find(p, len, from, close, strlen(close))) != SIZE_MAX) {
        rc = tn_buf_append(&b, p + at, from - at);
        at = to + strlen(close);
    }
    if (rc == 0)
        rc = tn_buf_append(&b, p + at, len - at);
    return tn_j_str_take(r, rc, &b, ret);
}

/* The entities that escape makes, and &quot;. */
static int32_t unescape(struct jrun *r, struct jv s, struct jv *ret)
{
    static const char *const names[][2] = {{"&lt;", "<"},   {"&gt;", ">"},  {"&quot;", "\""},
                                           {"&#34;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
    int32_t rc = 0;
    *ret = s;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
        struct jv old, new;
        rc = tn_j_cstr(r, names[i][0], &old);
        if (rc == 0)
            rc = tn_j_cstr(r, names[i][1], &new);
        if (rc == 0)
            rc = tn_j_str_replace(r, *ret, old, new, -1, ret);
    }
    return rc;
}

FILTER(f_striptags)
{
    struct jargs none = {0};
    struct jv words, space;
    int32_t rc = f_string(r, in, a, &in);
    in.flag = 0;
    if (rc == 0)
        rc = drop_between(r, in, "<!--", "-->", &in);
    if (rc == 0)
        rc = drop_between(r, in, "<", ">", &in);
    if (rc == 0)
        rc = by_method(r, "split", in, &none, &words);
    if (rc == 0)
        rc = tn_j_cstr(r, " ", &space);
    struct jargs list = {.pos = &words, .npos = 1};
    if (rc == 0)
        rc = by_method(r, "join", space, &list, &in);
    return rc ? rc : unescape(r, in, ret);
}

static int32_t put_quoted(struct jrun *r, struct tn_buf *b, struct jv v, bool query)
{
    int32_t rc = tn_j_to_str(r, v, &v);
    for (size_t i = 0; rc == 0 && i < v.s->len; i++) {
        unsigned char c = (unsigned char)v.s->p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr("_.-~", c) != NULL;
        if ((plain && c != 0) || (c == '/' && !query))
            rc = tn_buf_char(b, (char)c);
        else
            rc = c == ' ' && query ? tn_buf_char(b, '+') : tn_buf_printf(b, "%%%02X", c);
    }
    return rc;
}

/* The "k=v&k=v" of a list of pairs. */
static int32_t put_query(struct jrun *r, struct tn_buf *b, const struct jlist *pairs)
{
    int32_t rc = 0;
    for (size_t i = 0; rc == 0 && i < pairs->n; i++) {
        struct jv pair;
        rc = tn_j_to_list(r, pairs->items[i], &pair);
        if (rc == 0 && pair.list->n != 2)
            rc = tn_j_fail(r, "urlencode needs pairs");
        if (rc == 0 && i > 0)
            rc = tn_buf_char(b, '&');
        if (rc == 0)
            rc = put_quoted(r, b, pair.list->items[0], true);
        if (rc == 0)
            rc = tn_buf_char(b, '=');
        if (rc == 0)
            rc = put_quoted(r, b, pair.list->items[1], true);
    }
    return rc;
}

FILTER(f_urlencode)
{
    struct tn_buf b;
    struct jv list = in;
    bool scalar =
        in.type == JV_STR || in.type == JV_NONE || in.type == JV_BOOL || in.type == JV_INT || in.type == JV_FLOAT;
    int32_t rc = tn_j_params(r, "urlencode", a, "", 0, NULL);
    if (in.type == JV_DICT)
        in = (struct jv){.type = JV_VIEW, .flag = JVIEW_ITEMS, .dict = in.dict};
    if (rc == 0 && !scalar)
        rc = tn_j_to_list(r, in, &list);
    if (rc != 0)
        return rc;
    tn_j_buf(r, &b);
    rc = scalar ? put_quoted(r, &b, in, false) : put_query(r, &b, list.list);
    return tn_j_str_take(r, rc, &b, ret);
}

static int32_t put_attr(struct jrun *r, struct tn_buf *b, const struct jpair *p)
{
    struct jv k, v;
    if (p->val.type == JV_NONE || p->val.type == JV_UNDEF)
        return 0;
    if (p->key.type != JV_STR || strcspn(p->key.s->p, " \t\n\r\f\v/>=") < p->key.s->len)
        return tn_j_fail(r, "invalid character in an attribute's name");
    int32_t rc = tn_j_escape(r, p->key, &k);
    if (rc == 0)
        rc = tn_j_escape(r, p->val, &v);
    if (rc == 0 && b->len > 0)
        rc = tn_buf_char(b, ' ');
    return rc ? rc : tn_buf_printf(b, "%.*s=\"%.*s\"", (int)k.s->len, k.s->p, (int)v.s->len, v.s->p);
}

FILTER(f_xmlattr)
{
    struct jv autospace = tn_j_bool(true), text, space;
    struct tn_buf b;
    bool lead = true;
    int32_t rc = tn_j_params(r, "xmlattr", a, "autospace", 0, &autospace);
    if (rc == 0 && in.type != JV_DICT)
        rc = tn_j_fail(r, "xmlattr needs a mapping, not %s", tn_j_type_name(in));
    if (rc != 0)
        return rc;
    tn_j_buf(r, &b);
    for (size_t i = 0; rc == 0 && i < in.dict->n; i++)
        rc = put_attr(r, &b, &in.dict->items[i]);
    rc = tn_j_str_take(r, rc, &b, &text);
    if (rc == 0)
        rc = tn_j_truth(r, autospace, &lead);
    *ret = text;
    if (rc != 0 || !lead || text.s->len == 0)
        return rc;
    rc = tn_j_cstr(r, " ", &space);
    return rc ? rc : tn_j_binary(r, '+', space, text, ret);
}

/* ---- lines and words ---- */

static int32_t put_indented(struct tn_buf *b, const struct jlist *lines, const struct jstr *by, bool first, bool blank)
{
    int32_t rc = first ? tn_buf_append(b, by->p, by->len) : 0;
    for (size_t i = 0; rc == 0 && i < lines->n; i++) {
        const struct jstr *line = lines->items[i].s;
        if (i > 0)
            rc = tn_buf_char(b, '\n');
        if (rc == 0 && i > 0 && (blank || line->len > 0))
            rc = tn_buf_append(b, by->p, by->len);
        if (rc == 0)
            rc = tn_buf_append(b, line->p, line->len);
    }
    return rc;
}

FILTER(f_indent)
{
    struct jv v[3] = {tn_j_int(4), tn_j_bool(false), tn_j_bool(false)}, space, lines;
    struct tn_buf b;
    int64_t n;
    bool first = false, blank = false;
    int32_t rc = tn_j_params(r, "indent", a, "width first blank", 0, v);
    if (rc == 0)
        rc = tn_j_truth(r, v[1], &first);
    if (rc == 0)
        rc = tn_j_truth(r, v[2], &blank);
    if (rc == 0)
        rc = tn_j_cstr(r, "\n", &space);
    if (rc == 0)
        rc = tn_j_binary(r, '+', in, space, &in); /* fails for what is no string, as Jinja does */
    if (rc == 0)
        rc = tn_j_splitlines(r, in, false, &lines);
    if (rc == 0 && v[0].type != JV_STR) {
        rc = tn_j_want_int(r, "indent", v[0], &n);
        if (rc == 0)
            rc = tn_j_cstr(r, " ", &space);
        if (rc == 0)
            rc = tn_j_binary(r, '*', space, tn_j_int(n), &v[0]);
    }
    if (rc != 0)
        return rc;
    tn_j_buf(r, &b);
    return tn_j_str_take(r, put_indented(&b, lines.list, v[0].s, first, blank), &b, ret);
}

/* The part of s before its last space, or all of it. */
static size_t before_last_space(const char *p, size_t len)
{
    const char *space = memrchr(p, ' ', len);
    return space ? (size_t)(space - p) : len;
}

FILTER(f_truncate)
{
    struct jv v[4] = {tn_j_int(255), tn_j_bool(false), {0}, tn_j_none()}, cut;
    int64_t length = 0, leeway = 5;
    bool kill = false;
    int32_t rc = tn_j_cstr(r, "...", &v[2]);
    if (rc == 0)
        rc = tn_j_params(r, "truncate", a, "length killwords end leeway", 0, v);
    if (rc == 0)
        rc = tn_j_want_int(r, "truncate", v[0], &length);
    if (rc == 0)
        rc = tn_j_truth(r, v[1], &kill);
    if (rc == 0)
        rc = tn_j_want_str(r, "truncate", v[2]);
    if (rc == 0 && v[3].type != JV_NONE)
        rc = tn_j_want_int(r, "truncate", v[3], &leeway);
    if (rc == 0)
        rc = tn_j_want_str(r, "truncate", in);
    if (rc == 0 && (length < (int64_t)v[2].s->ncp || leeway < 0))
        return tn_j_fail(r, "truncate needs a length of at least that of its end, and a leeway of at least 0");
    *ret = in;
    if (rc != 0 || (int64_t)in.s->ncp - leeway <= length)
        return rc;
    const struct jstr *s = in.s;
    size_t n = tn_jstr_offset(s->p, s->len, s->ncp, (size_t)length - v[2].s->ncp);
    rc = tn_j_str_ref(r, s->p, kill ? n : before_last_space(s->p, n), &cut);
    return rc ? rc : tn_j_binary(r, '+', cut, v[2], ret);
}

FILTER(f_wordcount)
{
    int64_t words = 0;
    bool inside = false;
    int32_t rc = f_string(r, in, a, &in);
    if (rc != 0)
        return rc;
    for (size_t i = 0, n; i < in.s->len; i += n) {
        int32_t cp = tn_jstr_decode(in.s->p + i, in.s->len - i, &n);
        bool word = cp == '_' || tn_jcp_alpha(cp) || tn_jcp_numeric(cp);
        words += word && !inside;
        inside = word;
    }
    *ret = tn_j_int(words);
    return tn_j_charge(r, in.s->len / 64);
}

FILTER(f_format)
{
    struct jlist pos = {.items = a->pos, .n = a->npos};
    struct jdict kw = {.items = a->kw, .n = a->nkw};
    struct jv arg = {.type = JV_TUPLE, .list = &pos};
    if (a->npos > 0 && a->nkw > 0)
        return tn_j_fail(r, "format can't handle positional and keyword arguments at the same time");
    if (a->nkw > 0)
        arg = (struct jv){.type = JV_DICT, .dict = &kw};
    int32_t rc = tn_j_to_str(r, in, &in);
    return rc ? rc : tn_j_percent(r, in, arg, ret);
}

/* ---- JSON ---- */

static int32_t json_separators(struct jrun *r, struct jv given, struct jjson_style *st)
{
    int32_t rc = tn_j_cstr(r, st->pretty ? "," : ", ", &st->item_sep);
    if (rc == 0)
        rc = tn_j_cstr(r, ": ", &st->key_sep);
    if (rc != 0 || given.type == JV_NONE)
        return rc;
    if (!tn_j_is_seq(given) || given.list->n != 2 || given.list->items[0].type != JV_STR ||
        given.list->items[1].type != JV_STR)
        return tn_j_fail(r, "tojson: separators must be two strings");
    st->item_sep = given.list->items[0];
    st->key_sep = given.list->items[1];
    return 0;
}

static int32_t json_indent(struct jrun *r, struct jv given, struct jjson_style *st)
{
    int64_t n = 0;
    st->pretty = given.type != JV_NONE;
    st->indent = given;
    if (!st->pretty || given.type == JV_STR)
        return 0;
    int32_t rc = tn_j_want_int(r, "tojson: indent", given, &n);
    if (rc == 0)
        rc = tn_j_cstr(r, " ", &st->indent);
    return rc ? rc : tn_j_binary(r, '*', st->indent, tn_j_int(n), &st->indent);
}

/* transformers' tojson: json.dumps with its arguments, not Jinja's HTML one. */
FILTER(f_tojson)
{
    struct jv v[4] = {tn_j_bool(false), tn_j_none(), tn_j_none(), tn_j_bool(false)};
    struct jjson_style st = {0};
    struct tn_buf b;
    int32_t rc = tn_j_params(r, "tojson", a, "ensure_ascii indent separators sort_keys", 0, v);
    if (rc == 0)
        rc = tn_j_truth(r, v[0], &st.ascii);
    if (rc == 0)
        rc = json_indent(r, v[1], &st);
    if (rc == 0)
        rc = json_separators(r, v[2], &st);
    if (rc == 0)
        rc = tn_j_truth(r, v[3], &st.sort_keys);
    if (rc != 0)
        return rc;
    tn_j_buf(r, &b);
    return tn_j_str_take(r, tn_j_json_put(r, &b, in, &st), &b, ret);
}

const struct jfilter tn_j_text_filters[] = {
    {"capitalize", f_capitalize},
    {"center", f_center},
    {"e", f_escape},
    {"escape", f_escape},
    {"forceescape", f_forceescape},
    {"format", f_format},
    {"indent", f_indent},
    {"lower", f_lower},
    {"replace", f_replace},
    {"safe", f_safe},
    {"string", f_string},
    {"striptags", f_striptags},
    {"title", f_title},
    {"tojson", f_tojson},
    {"trim", f_trim},
    {"truncate", f_truncate},
    {"upper", f_upper},
    {"urlencode", f_urlencode},
    {"wordcount", f_wordcount},
    {"xmlattr", f_xmlattr},
    {NULL, NULL},
};

const struct jfilter *tn_j_filter_find(const char *name, size_t len)
{
    const struct jfilter *const tables[] = {tn_j_text_filters, tn_j_seq_filters, tn_j_select_filters, tn_j_num_filters};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct jfilter *f = tables[t]; f->name != NULL; f++)
            if (strlen(f->name) == len && memcmp(f->name, name, len) == 0)
                return f;
    return NULL;
}
