/* Python's two ways to fill a string: "fmt" % args and "fmt".format(...).
 * Both parse a field's flags into one jspec, and share how numbers and text
 * are laid out. Attributes in format fields go through the sandbox's rules.
 * One thread per run. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

/* Widths and precisions beyond this are refused. */
#define FIELD_MAX 100000

struct jspec {
    char fill[5]; /* one character, UTF-8 */
    char align;   /* < > ^ = or 0 for the type's own */
    char sign;    /* + - or space */
    bool alt, zero;
    char group;      /* , _ or 0 */
    int width, prec; /* prec -1: not given */
    char type;       /* 0: not given */
};

/* ---- layout ---- */

static int32_t fill_with(struct tn_buf *b, const char *fill, int64_t n)
{
    int32_t rc = 0;
    while (rc == 0 && n-- > 0)
        rc = tn_buf_str(b, fill);
    return rc;
}

/* Appends sign-or-prefix and body, padded to the width. */
static int32_t put_padded(struct tn_buf *b, const struct jspec *s, char dflt, const char *prefix, const char *body,
                          size_t len)
{
    char align = s->align ? s->align : dflt;
    int64_t pad = s->width - (int64_t)(strlen(prefix) + tn_jstr_count(body, len));
    int64_t left = pad <= 0 || align == '<' || align == '=' ? 0 : align == '^' ? pad / 2 : pad;
    int32_t rc = fill_with(b, s->fill, left);
    if (rc == 0)
        rc = tn_buf_str(b, prefix);
    if (rc == 0 && align == '=')
        rc = fill_with(b, s->fill, pad);
    if (rc == 0)
        rc = tn_buf_append(b, body, len);
    if (rc == 0 && pad > 0 && (align == '<' || align == '^'))
        rc = fill_with(b, s->fill, pad - left);
    return rc;
}

static int32_t put_text(struct tn_buf *b, const struct jspec *s, char dflt, const struct jstr *t)
{
    size_t len = t->len;
    if (s->prec >= 0)
        len = tn_jstr_offset(t->p, t->len, t->ncp, (size_t)s->prec);
    return put_padded(b, s, dflt, "", t->p, len);
}

/* Puts separators between groups of digits of the integer part. */
static int32_t group_digits(struct tn_buf *to, const char *digits, size_t len, char sep, int size)
{
    size_t whole = strspn(digits, "0123456789abcdefABCDEF");
    int32_t rc = 0;
    if (whole > len)
        whole = len;
    for (size_t i = 0; rc == 0 && i < whole; i++) {
        if (i > 0 && (whole - i) % (size_t)size == 0)
            rc = tn_buf_char(to, sep);
        if (rc == 0)
            rc = tn_buf_char(to, digits[i]);
    }
    return rc ? rc : tn_buf_append(to, digits + whole, len - whole);
}

/* ---- numbers ---- */

/* The digits of |v| in base 2, 8, 10 or 16; out has 65 bytes. */
static const char *digits_of(uint64_t v, unsigned base, bool upper, char *out)
{
    char *p = out + 64;
    *p = '\0';
    do
        *--p = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
    while ((v /= base) > 0);
    return p;
}

static const char *sign_of(bool negative, char sign)
{
    return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : "";
}

static int32_t put_number(struct tn_buf *b, const struct jspec *s, const char *prefix, const char *digits, size_t len,
                          int group)
{
    struct jspec z = *s;
    struct tn_buf g;
    int32_t rc = 0;
    tn_buf_init(&g, 0);
    if (s->group != 0) {
        rc = group_digits(&g, digits, len, s->group, group);
        digits = g.data;
        len = g.len;
    }
    if (s->zero && s->align == 0) {
        strcpy(z.fill, "0");
        z.align = '=';
    }
    if (rc == 0)
        rc = put_padded(b, &z, '>', prefix, digits, len);
    tn_buf_finish(&g);
    return rc;
}

static int32_t put_int(struct tn_buf *b, const struct jspec *s, int64_t v)
{
    char out[65], prefix[8], padded[80];
    char type = s->type ? s->type : 'd';
    unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    const char *d = digits_of(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, base, type == 'X', out);
    char mark[3] = {'0', type, '\0'};
    strcpy(prefix, sign_of(v < 0, s->sign));
    if (s->alt && base != 10)
        strcat(prefix, mark);
    size_t len = strlen(d);
    if (s->prec > (int)len && s->prec < (int)sizeof padded) { /* %.5d: at least so many digits */
        memset(padded, '0', (size_t)s->prec);
        memcpy(padded + (size_t)s->prec - len, d, len + 1);
        d = padded;
        len = (size_t)s->prec;
    }
    return put_number(b, s, prefix, d, len, base == 10 ? 3 : 4);
}

static int32_t float_text(struct tn_buf *t, const struct jspec *s, double v)
{
    char fmt[8] = "%.*g";
    char type = s->type ? s->type : 'g';
    int prec = s->prec < 0 ? 6 : s->prec;
    if (isnan(v) || isinf(v))
        return tn_buf_str(t, isnan(v) ? (type == 'F' || type == 'E' || type == 'G' ? "NAN" : "nan")
                                      : (type == 'F' || type == 'E' || type == 'G' ? "INF" : "inf"));
    if (s->type == 0 && s->prec < 0)
        return tn_j_put_float(t, v);
    fmt[3] = type == '%' || type == 'F' ? 'f' : type == 'n' ? 'g' : type;
    if (s->alt)
        strcpy(fmt, (char[]){'%', '#', '.', '*', fmt[3], '\0'});
    int32_t rc = tn_j_put_double(t, fmt, prec, type == '%' ? v * 100 : v);
    if (rc == 0 && s->type == 0 && t->data != NULL && strpbrk(t->data, ".e") == NULL)
        rc = tn_buf_str(t, ".0");
    return rc == 0 && type == '%' ? tn_buf_char(t, '%') : rc;
}

static int32_t put_float(struct tn_buf *b, const struct jspec *s, double v)
{
    struct tn_buf t;
    bool negative = signbit(v) && !isnan(v);
    tn_buf_init(&t, 0);
    int32_t rc = float_text(&t, s, negative ? -v : v);
    if (rc == 0)
        rc = put_number(b, s, sign_of(negative, s->sign), t.data, t.len, 3);
    tn_buf_finish(&t);
    return rc;
}

static int32_t put_char(struct jrun *r, struct tn_buf *b, const struct jspec *s, int64_t cp)
{
    struct tn_buf t;
    struct jv v;
    if (cp < 0 || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return tn_j_fail(r, "%%c arg not in range(0x110000)");
    tn_j_buf(r, &t);
    int32_t rc = tn_j_str_take(r, tn_jstr_encode(&t, (int32_t)cp), &t, &v);
    return rc ? rc : put_text(b, s, '>', v.s);
}

/* ---- % ---- */

struct jpercent {
    struct jrun *r;
    const char *p, *end;
    struct jv args; /* a tuple, a mapping, or a single value */
    size_t next;    /* arguments taken */
};

static int32_t next_arg(struct jpercent *f, struct jv *ret)
{
    size_t n = f->args.type == JV_TUPLE ? f->args.list->n : 1;
    if (f->next >= n)
        return tn_j_fail(f->r, "not enough arguments for format string");
    *ret = f->args.type == JV_TUPLE ? f->args.list->items[f->next] : f->args;
    f->next++;
    return 0;
}

/* "(name)": looks the argument up. */
static int32_t named_arg(struct jpercent *f, struct jv *ret, bool *ret_named)
{
    int depth = 1;
    *ret_named = f->p < f->end && *f->p == '(';
    if (!*ret_named)
        return 0;
    if (f->args.type != JV_DICT)
        return tn_j_fail(f->r, "format requires a mapping");
    const char *name = ++f->p;
    for (; f->p < f->end; f->p++) {
        depth += *f->p == '(' ? 1 : *f->p == ')' ? -1 : 0;
        if (depth == 0)
            break;
    }
    if (f->p == f->end)
        return tn_j_fail(f->r, "incomplete format key");
    struct jv key, *hit;
    int32_t rc = tn_j_str_ref(f->r, name, (size_t)(f->p++ - name), &key);
    if (rc == 0)
        rc = tn_j_dict_get(f->r, f->args.dict, key, &hit);
    if (rc == 0 && hit == NULL)
        return tn_j_fail(f->r, "the format's key '%.*s' is not in the mapping", (int)key.s->len, key.s->p);
    if (rc == 0)
        *ret = *hit;
    f->next = 1;
    return rc;
}

/* A number or '*', which takes an argument. */
static int32_t field_int(struct jpercent *f, int *ret)
{
    int64_t v = 0;
    struct jv arg;
    if (f->p < f->end && *f->p == '*') {
        f->p++;
        int32_t rc = next_arg(f, &arg);
        if (rc == 0)
            rc = tn_j_want_int(f->r, "'*' in a format", arg, &v);
        if (rc != 0)
            return rc;
    }
    while (f->p < f->end && *f->p >= '0' && *f->p <= '9' && v <= FIELD_MAX)
        v = v * 10 + *f->p++ - '0';
    if (v > FIELD_MAX || v < -FIELD_MAX)
        return tn_j_fail(f->r, "a format's width or precision passes %d", FIELD_MAX);
    *ret = (int)v;
    return 0;
}

static int32_t percent_spec(struct jpercent *f, struct jspec *s)
{
    for (; f->p < f->end && strchr("#0- +", *f->p) != NULL && *f->p != '\0'; f->p++) {
        s->alt |= *f->p == '#';
        s->zero |= *f->p == '0';
        if (*f->p == '-')
            s->align = '<';
        if (*f->p == '+' || (*f->p == ' ' && s->sign != '+'))
            s->sign = *f->p;
    }
    int32_t rc = field_int(f, &s->width);
    if (s->width < 0) {
        s->align = '<';
        s->width = -s->width;
    }
    if (rc == 0 && f->p < f->end && *f->p == '.') {
        f->p++;
        rc = field_int(f, &s->prec);
        s->prec = s->prec < 0 ? 0 : s->prec;
    }
    while (rc == 0 && f->p < f->end && strchr("hlL", *f->p) != NULL && *f->p != '\0')
        f->p++;
    return rc;
}

static int32_t percent_int(struct jpercent *f, struct tn_buf *b, struct jspec *s, struct jv v)
{
    int64_t i = 0;
    bool truncates = s->type == 'd' || s->type == 'i' || s->type == 'u';
    if (truncates)
        s->type = 'd';
    if (v.type == JV_FLOAT && truncates && fabs(v.f) < 9e18)
        i = (int64_t)v.f;
    else if (v.type == JV_BIG && truncates)
        return put_text(b, s, '>', v.s);
    else if (!tn_j_is_int(v, &i))
        return v.type == JV_UNDEF
                   ? tn_j_undef_fail(f->r, v)
                   : tn_j_fail(f->r, "%%%c format: a number is required, not %s", s->type, tn_j_type_name(v));
    return put_int(b, s, i);
}

static int32_t percent_float(struct jpercent *f, struct tn_buf *b, struct jspec *s, struct jv v)
{
    double d = 0;
    if (!tn_j_is_num(v, &d))
        return v.type == JV_UNDEF ? tn_j_undef_fail(f->r, v)
                                  : tn_j_fail(f->r, "must be real number, not %s", tn_j_type_name(v));
    return put_float(b, s, d);
}

static int32_t percent_value(struct jpercent *f, struct tn_buf *b, struct jspec *s, struct jv v)
{
    int64_t i;
    struct jv text;
    int32_t rc;
    switch (s->type) {
    case 's':
    case 'r':
    case 'a':
        rc = s->type == 's' ? tn_j_to_str(f->r, v, &text) : tn_j_repr(f->r, v, &text);
        return rc ? rc : put_text(b, s, '>', text.s);
    case 'c':
        if (v.type == JV_STR && v.s->ncp == 1)
            return put_text(b, s, '>', v.s);
        return tn_j_is_int(v, &i) ? put_char(f->r, b, s, i) : tn_j_fail(f->r, "%%c requires int or char");
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        return percent_int(f, b, s, v);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        return percent_float(f, b, s, v);
    default:
        return tn_j_fail(f->r, "unsupported format character '%c'", s->type);
    }
}

/* One field behind its '%'. */
static int32_t percent_field(struct jpercent *f, struct tn_buf *b)
{
    struct jspec s = {.fill = " ", .prec = -1};
    struct jv v = tn_j_none();
    bool named;
    int32_t rc = named_arg(f, &v, &named);
    if (rc == 0)
        rc = percent_spec(f, &s);
    if (rc == 0 && f->p == f->end)
        return tn_j_fail(f->r, "incomplete format");
    if (rc != 0)
        return rc;
    s.type = *f->p++;
    if (s.type == '%')
        return tn_buf_char(b, '%');
    if (!named)
        rc = next_arg(f, &v);
    return rc ? rc : percent_value(f, b, &s, v);
}

int32_t tn_j_percent(struct jrun *r, struct jv fmt, struct jv arg, struct jv *ret)
{
    struct jpercent f = {.r = r, .p = fmt.s->p, .end = fmt.s->p + fmt.s->len, .args = arg};
    struct tn_buf b;
    int32_t rc = 0;
    tn_j_buf(r, &b);
    while (rc == 0 && f.p < f.end) {
        const char *next = memchr(f.p, '%', (size_t)(f.end - f.p));
        rc = tn_buf_append(&b, f.p, (size_t)((next ? next : f.end) - f.p));
        f.p = next ? next + 1 : f.end;
        if (rc == 0 && next != NULL)
            rc = percent_field(&f, &b);
    }
    bool leftover =
        arg.type == JV_TUPLE ? f.next < arg.list->n : arg.type != JV_DICT && arg.type != JV_LIST && f.next == 0;
    if (rc == 0 && leftover)
        rc = tn_j_fail(r, "not all arguments converted during string formatting");
    return tn_j_str_take(r, rc, &b, ret);
}

/* ---- str.format ---- */

struct jformat {
    struct jrun *r;
    const struct jargs *a;
    size_t next; /* the next automatic argument */
    bool automatic, manual;
};

/* Reads a jspec from its text: [[fill]align][sign][#][0][width][,][.prec][type] */
static int32_t read_spec(struct jrun *r, const char *p, size_t len, struct jspec *s)
{
    const char *end = p + len;
    size_t first = len > 0 ? tn_jstr_next(p, len) : 0;
    *s = (struct jspec){.fill = " ", .prec = -1};
    if (len > first && strchr("<>^=", p[first]) != NULL && p[first] != '\0') {
        memcpy(s->fill, p, first);
        s->fill[first] = '\0';
        s->align = p[first];
        p += first + 1;
    } else if (len > 0 && strchr("<>^=", *p) != NULL && *p != '\0') {
        s->align = *p++;
    }
    if (p < end && (*p == '+' || *p == '-' || *p == ' '))
        s->sign = *p++;
    if (p < end && *p == '#')
        s->alt = p++ != NULL;
    if (p < end && *p == '0')
        s->zero = p++ != NULL;
    while (p < end && *p >= '0' && *p <= '9' && s->width <= FIELD_MAX)
        s->width = s->width * 10 + *p++ - '0';
    if (p < end && (*p == ',' || *p == '_'))
        s->group = *p++;
    if (p + 1 < end && *p == '.' && p[1] >= '0' && p[1] <= '9')
        for (p++, s->prec = 0; p < end && *p >= '0' && *p <= '9' && s->prec <= FIELD_MAX;)
            s->prec = s->prec * 10 + *p++ - '0';
    if (p < end)
        s->type = *p++;
    if (p != end || s->width > FIELD_MAX || s->prec > FIELD_MAX)
        return tn_j_fail(r, "invalid format specifier");
    return 0;
}

static int32_t bad_code(struct jrun *r, const struct jspec *s, struct jv v)
{
    return tn_j_fail(r, "unknown format code '%c' for object of type '%s'", s->type ? s->type : ' ', tn_j_type_name(v));
}

static int32_t format_str(struct jrun *r, struct tn_buf *b, struct jspec *s, struct jv v)
{
    if ((s->type != 0 && s->type != 's') || s->sign || s->alt || s->group || s->align == '=')
        return bad_code(r, s, v);
    if (s->zero && s->align == 0) {
        strcpy(s->fill, "0");
        s->align = '<';
    }
    return put_text(b, s, '<', v.s);
}

/* format(v, spec) */
static int32_t format_value(struct jrun *r, struct tn_buf *b, struct jv v, const char *p, size_t len)
{
    struct jspec s;
    int64_t i;
    double d;
    if (len == 0)
        return tn_j_put_str(r, b, v);
    int32_t rc = read_spec(r, p, len, &s);
    if (rc != 0)
        return rc;
    if (v.type == JV_STR)
        return format_str(r, b, &s, v);
    if (tn_j_is_int(v, &i) && (s.type == 0 || strchr("dxXobcn", s.type) != NULL)) {
        if (s.prec >= 0)
            return tn_j_fail(r, "precision not allowed in integer format specifier");
        return s.type == 'c' ? put_char(r, b, &s, i) : put_int(b, &s, i);
    }
    if (tn_j_is_num(v, &d))
        return s.type == 0 || strchr("eEfFgGn%", s.type) != NULL ? put_float(b, &s, d) : bad_code(r, &s, v);
    if (v.type == JV_UNDEF)
        return tn_j_undef_fail(r, v);
    return tn_j_fail(r, "unsupported format string passed to %s.__format__", tn_j_type_name(v));
}

/* The argument a field's first name means. */
static int32_t format_arg(struct jformat *f, const char *name, size_t len, struct jv *ret)
{
    size_t index = 0, digits = 0;
    while (digits < len && name[digits] >= '0' && name[digits] <= '9' && index < 100000)
        index = index * 10 + (size_t)(name[digits++] - '0');
    if (digits == len) {
        f->automatic |= len == 0;
        f->manual |= len > 0;
        if (f->automatic && f->manual)
            return tn_j_fail(f->r, "cannot switch between manual and automatic field numbering");
        index = len == 0 ? f->next++ : index;
        if (index >= f->a->npos)
            return tn_j_fail(f->r, "replacement index %zu out of range for positional args tuple", index);
        *ret = f->a->pos[index];
        return 0;
    }
    for (size_t i = 0; i < f->a->nkw; i++) {
        const struct jstr *k = f->a->kw[i].key.s;
        if (k->len == len && memcmp(k->p, name, len) == 0) {
            *ret = f->a->kw[i].val;
            return 0;
        }
    }
    return tn_j_fail(f->r, "format() has no argument '%.*s'", (int)len, name);
}

/* One ".attr" or "[key]" at *p. */
static int32_t format_step(struct jformat *f, const char **p, const char *end, struct jv *v)
{
    bool attr = *(*p)++ == '.', digits = true;
    const char *name = *p;
    struct jv key;
    while (*p < end && (attr ? **p != '.' && **p != '[' : **p != ']'))
        digits &= **p >= '0' && **p <= '9', ++*p;
    size_t len = (size_t)(*p - name);
    if (len == 0 || (!attr && *p == end))
        return tn_j_fail(f->r, "empty attribute in format string");
    *p += !attr;
    int32_t rc = !attr && digits ? tn_j_int_text(f->r, name, len, &key) : tn_j_str_ref(f->r, name, len, &key);
    if (rc == 0)
        rc = attr ? tn_j_getattr(f->r, *v, key, v) : tn_j_getitem(f->r, *v, key, v);
    return rc == 0 && v->type == JV_UNDEF && !attr ? tn_j_undef_fail(f->r, *v) : rc;
}

static int32_t field_value(struct jformat *f, const char *p, const char *end, struct jv *ret)
{
    const char *name = p;
    while (p < end && *p != '.' && *p != '[')
        p++;
    int32_t rc = format_arg(f, name, (size_t)(p - name), ret);
    while (rc == 0 && p < end) {
        if (*p != '.' && *p != '[')
            return tn_j_fail(f->r, "only '.' or '[' may follow ']' in format field specifier");
        rc = format_step(f, &p, end, ret);
    }
    return rc;
}

static int32_t format_into(struct jformat *f, struct tn_buf *b, const char *p, size_t len, int depth);

/* The field p[0, len) between its braces. */
static int32_t format_field(struct jformat *f, struct tn_buf *b, const char *p, size_t len, int depth)
{
    const char *end = p + len, *colon = p, *bang;
    struct tn_buf spec;
    struct jv v;
    while (colon < end && *colon != ':' && *colon != '!')
        colon = *colon == '['
                    ? (memchr(colon, ']', (size_t)(end - colon)) ? memchr(colon, ']', (size_t)(end - colon)) : end)
                    : colon + 1;
    bang = colon < end && *colon == '!' ? colon : NULL;
    int32_t rc = field_value(f, p, colon, &v);
    if (rc == 0 && bang != NULL) {
        char conv = bang + 1 < end ? bang[1] : '\0';
        colon = bang + 2;
        if ((conv != 's' && conv != 'r' && conv != 'a') || (colon < end && *colon != ':'))
            return tn_j_fail(f->r, "unknown conversion specifier in a format string");
        rc = conv == 's' ? tn_j_to_str(f->r, v, &v) : tn_j_repr(f->r, v, &v);
    }
    if (rc != 0)
        return rc;
    tn_j_buf(f->r, &spec);
    if (colon < end)
        rc = format_into(f, &spec, colon + 1, (size_t)(end - colon - 1), depth + 1);
    if (rc == 0)
        rc = format_value(f->r, b, v, spec.data ? spec.data : "", spec.len);
    tn_buf_finish(&spec);
    return rc;
}

/* The length of a field from behind its '{' to its '}', SIZE_MAX if open. */
static size_t field_len(const char *p, size_t len)
{
    int depth = 1;
    for (size_t i = 0; i < len; i++) {
        depth += p[i] == '{' ? 1 : p[i] == '}' ? -1 : 0;
        if (depth == 0)
            return i;
    }
    return SIZE_MAX;
}

static int32_t format_into(struct jformat *f, struct tn_buf *b, const char *p, size_t len, int depth)
{
    int32_t rc = depth > 1 ? tn_j_fail(f->r, "Max string recursion exceeded") : 0;
    for (size_t i = 0; rc == 0 && i < len; i++) {
        bool doubled = i + 1 < len && p[i + 1] == p[i];
        if ((p[i] == '{' || p[i] == '}') && doubled) {
            rc = tn_buf_char(b, p[i++]);
        } else if (p[i] == '}') {
            rc = tn_j_fail(f->r, "Single '}' encountered in format string");
        } else if (p[i] == '{') {
            size_t n = field_len(p + i + 1, len - i - 1);
            rc = n == SIZE_MAX ? tn_j_fail(f->r, "expected '}' before end of string")
                               : format_field(f, b, p + i + 1, n, depth);
            i += n + 1;
        } else {
            rc = tn_buf_char(b, p[i]);
        }
    }
    return rc;
}

int32_t tn_j_str_format(struct jrun *r, struct jv fmt, const struct jargs *a, struct jv *ret)
{
    struct jformat f = {.r = r, .a = a};
    struct tn_buf b;
    tn_j_buf(r, &b);
    return tn_j_str_take(r, format_into(&f, &b, fmt.s->p, fmt.s->len, 0), &b, ret);
}
