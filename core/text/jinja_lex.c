/* The lexer: template text to tokens, with Jinja's whitespace control
 * (trim_blocks, lstrip_blocks, the signs - and + at either end of a tag).
 * It knows no grammar except that brackets inside a tag must balance before
 * the tag may end. Runs inside tn_template_compile; any thread. */
#include <string.h>

#include "jinja_ast.h"
#include "jinja_str.h"

struct jlexer {
    struct jparse *p;
    size_t at;
    int line;
    bool line_start; /* the last tag ended with a newline, or none came yet */
    char stack[256]; /* closing brackets awaited inside this tag */
    size_t nstack;
};

static int32_t push_tok(struct jlexer *x, enum jtok_type type, const char *s, size_t len, struct jtok **ret)
{
    struct jparse *p = x->p;
    if (p->ntoks == p->captoks) {
        size_t cap = p->captoks ? p->captoks * 2 : 256;
        struct jtok *toks = tn_j_alloc(&p->run, cap, sizeof *toks);
        if (toks == NULL)
            return p->run.rc;
        if (p->ntoks > 0)
            memcpy(toks, p->toks, p->ntoks * sizeof *toks);
        p->toks = toks;
        p->captoks = cap;
    }
    p->toks[p->ntoks] = (struct jtok){.type = type, .line = x->line, .p = s, .len = len};
    if (ret != NULL)
        *ret = &p->toks[p->ntoks];
    p->ntoks++;
    return 0;
}

static void advance(struct jlexer *x, size_t to)
{
    for (; x->at < to; x->at++)
        x->line += x->p->src[x->at] == '\n';
}

static bool looking_at(const struct jlexer *x, size_t at, const char *s)
{
    size_t n = strlen(s);
    return x->p->len - at >= n && memcmp(x->p->src + at, s, n) == 0;
}

static size_t skip_space(const struct jlexer *x, size_t at)
{
    while (at < x->p->len) {
        size_t n;
        if (!tn_jcp_space(tn_jstr_decode(x->p->src + at, x->p->len - at, &n)))
            break;
        at += n;
    }
    return at;
}

/* ---- text between tags ---- */

/* Drops what the tag behind the text asks to strip of it: sign is the tag's,
 * block says whether lstrip_blocks applies. */
static size_t stripped_len(const struct jlexer *x, const char *s, size_t len, char sign, bool block)
{
    const char *p = s;
    size_t n = len;
    if (sign == '-') {
        tn_jstr_strip(&p, &n, NULL, 0, 2);
        return n;
    }
    if (sign == '+' || !block)
        return len;
    const char *nl = memrchr(s, '\n', len);
    size_t from = nl ? (size_t)(nl - s) + 1 : 0;
    if (from == 0 && !x->line_start)
        return len;
    p = s + from;
    n = len - from;
    tn_jstr_strip(&p, &n, NULL, 0, 1);
    return n == 0 ? from : len;
}

static char sign_at(const struct jlexer *x, size_t at)
{
    char c = at < x->p->len ? x->p->src[at] : '\0';
    return c == '-' || c == '+' ? c : '\0';
}

static int32_t put_data(struct jlexer *x, size_t from, size_t to, char sign, bool block)
{
    const char *s = x->p->src + from;
    size_t n = stripped_len(x, s, to - from, sign, block);
    int32_t rc = n > 0 ? push_tok(x, JT_DATA, s, n, NULL) : 0;
    advance(x, to);
    return rc;
}

/* Where a tag that ends at `at` ("%}" or "#}", maybe signed) lets the text go
 * on: 0 if no such end is there. */
static size_t block_close(const struct jlexer *x, size_t at, const char *mark, bool trim)
{
    char sign = sign_at(x, at);
    size_t i = at + (sign != '\0');
    if (!looking_at(x, i, mark) || (sign == '+' && !trim))
        return 0;
    i += strlen(mark);
    if (sign == '-')
        return skip_space(x, i);
    if (sign == '\0' && trim && i < x->p->len && x->p->src[i] == '\n')
        i++;
    return i;
}

static void leave_tag(struct jlexer *x, size_t to)
{
    x->line_start = to > 0 && x->p->src[to - 1] == '\n';
    advance(x, to);
}

static int32_t lex_comment(struct jlexer *x, size_t begin)
{
    int line = x->line;
    size_t at = begin + 2 + (sign_at(x, begin + 2) != '\0');
    if (at == x->p->len) { /* Jinja lets a comment begin as the last thing */
        leave_tag(x, at);
        return 0;
    }
    for (; at < x->p->len; at++) {
        size_t end = block_close(x, at, "#}", true);
        if (end != 0) {
            leave_tag(x, end);
            return 0;
        }
    }
    return tn_j_syntax(x->p, line, "missing end of comment tag");
}

/* If "{% name %}" starts at begin: where its text ends, else 0. trim: the end
 * may be "+%}" and takes a newline along. */
static size_t named_tag(const struct jlexer *x, size_t begin, const char *name, bool trim)
{
    size_t at = begin + 2 + (sign_at(x, begin + 2) != '\0');
    at = skip_space(x, at);
    if (!looking_at(x, at, name))
        return 0;
    return block_close(x, skip_space(x, at + strlen(name)), "%}", trim);
}

static int32_t lex_raw(struct jlexer *x, size_t body)
{
    int line = x->line;
    leave_tag(x, body);
    if (body == x->p->len) /* as with comments */
        return 0;
    for (size_t at = body; at + 1 < x->p->len; at++) {
        size_t end = looking_at(x, at, "{%") ? named_tag(x, at, "endraw", true) : 0;
        if (end != 0) {
            int32_t rc = put_data(x, body, at, sign_at(x, at + 2), true);
            leave_tag(x, end);
            return rc;
        }
    }
    return tn_j_syntax(x->p, line, "missing end of raw directive");
}

/* ---- inside tags ---- */

static int hex_digits(const char *s, size_t n, int32_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)s[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        *ret = *ret * 16 + d;
    }
    return 0;
}

/* One escape behind its backslash; *at moves over it. False if malformed. */
static bool unescape(struct tn_buf *b, const char *s, size_t len, size_t *at, int32_t *rc)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = s[*at];
    const char *hit = c ? strchr(from, c) : NULL;
    size_t hex = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    int32_t cp = 0;
    if (hit != NULL) {
        *rc = tn_buf_char(b, to[hit - from]);
        ++*at;
    } else if (hex > 0) {
        if (len - *at - 1 < hex || (hex == 8 && s[*at + 1] != '0') || hex_digits(s + *at + 1, hex, &cp) != 0 ||
            cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
            return false;
        *rc = tn_jstr_encode(b, cp);
        *at += 1 + hex;
    } else if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3 && *at < len && s[*at] >= '0' && s[*at] <= '7'; i++)
            cp = cp * 8 + s[(*at)++] - '0';
        *rc = tn_jstr_encode(b, cp);
    } else if (c == 'N') {
        return false;
    } else if (c == '\n') {
        ++*at;
    } else {
        *rc = tn_buf_char(b, '\\'); /* unknown escapes stay as they are */
    }
    return true;
}

static int32_t lex_string(struct jlexer *x)
{
    const char *src = x->p->src;
    size_t end = x->at + 1;
    while (end < x->p->len && src[end] != src[x->at])
        end += src[end] == '\\' ? 2 : 1;
    if (end >= x->p->len)
        return tn_j_syntax(x->p, x->line, "a string without end");
    const char *s = src + x->at + 1;
    size_t len = end - x->at - 1, at = 0;
    struct tn_buf b;
    struct jv v;
    int32_t rc = 0;
    tn_j_buf(&x->p->run, &b);
    while (rc == 0 && at < len) {
        if (s[at] != '\\')
            rc = tn_buf_char(&b, s[at++]);
        else if (++at, !unescape(&b, s, len, &at, &rc))
            rc = tn_j_syntax(x->p, x->line, "a malformed \\ escape in a string");
    }
    rc = tn_j_str_take(&x->p->run, rc, &b, &v);
    if (rc == 0)
        rc = push_tok(x, JT_STRING, v.s->p, v.s->len, NULL);
    advance(x, end + 1);
    return rc;
}

static size_t span_digits(const struct jlexer *x, size_t at)
{
    size_t i = at;
    while (i < x->p->len &&
           ((x->p->src[i] >= '0' && x->p->src[i] <= '9') ||
            (x->p->src[i] == '_' && i > at && i + 1 < x->p->len && x->p->src[i + 1] >= '0' && x->p->src[i + 1] <= '9')))
        i++;
    return i;
}

/* The end of a float's spelling at x->at, 0 if it is none. */
static size_t float_end(const struct jlexer *x, size_t int_end)
{
    const char *src = x->p->src;
    size_t end = 0, at = int_end;
    if (x->at > 0 && src[x->at - 1] == '.')
        return 0;
    if (at < x->p->len && src[at] == '.' && span_digits(x, at + 1) > at + 1)
        end = at = span_digits(x, at + 1);
    if (at < x->p->len && (src[at] | 32) == 'e') {
        size_t e = at + 1;
        if (e < x->p->len && (src[e] == '+' || src[e] == '-'))
            e++;
        if (span_digits(x, e) > e)
            end = span_digits(x, e);
    }
    return end;
}

static int digit_of(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
}

/* 0x, 0o and 0b integers: the end of the spelling, 0 if it is none. */
static size_t based_end(const struct jlexer *x, int64_t *ret, bool *ret_overflow)
{
    const char *src = x->p->src;
    int kind = x->at + 1 < x->p->len && src[x->at] == '0' ? src[x->at + 1] | 32 : 0;
    int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    size_t i = x->at + 2, ndigits = 0;
    *ret = 0;
    *ret_overflow = false;
    if (base == 0)
        return 0;
    for (; i < x->p->len; i++) {
        if (src[i] == '_' && i + 1 < x->p->len && digit_of(src[i + 1]) < base)
            continue;
        if (digit_of(src[i]) >= base)
            break;
        ndigits++;
        if (__builtin_mul_overflow(*ret, base, ret) || __builtin_add_overflow(*ret, digit_of(src[i]), ret))
            *ret_overflow = true;
    }
    return ndigits > 0 ? i : 0;
}

static int32_t push_int(struct jlexer *x, int64_t v, size_t end)
{
    struct tn_buf b;
    struct jv s;
    tn_j_buf(&x->p->run, &b);
    int32_t rc = tn_j_str_take(&x->p->run, tn_buf_printf(&b, "%lld", (long long)v), &b, &s);
    if (rc == 0)
        rc = push_tok(x, JT_INT, s.s->p, s.s->len, NULL);
    advance(x, end);
    return rc;
}

static int32_t lex_number(struct jlexer *x)
{
    int64_t v;
    bool overflow, is_float;
    size_t end = based_end(x, &v, &overflow);
    if (end != 0)
        return overflow ? tn_j_syntax(x->p, x->line, "an integer beyond 64 bits") : push_int(x, v, end);
    size_t int_end = span_digits(x, x->at);
    end = float_end(x, int_end);
    is_float = end != 0;
    if (!is_float) {
        end = int_end;
        if (x->p->src[x->at] == '0') /* a leading 0 ends the integer unless only zeros follow */
            for (end = x->at + 1; end < int_end && (x->p->src[end] == '0' || x->p->src[end] == '_');)
                end++;
    }
    char text[320];
    size_t n = 0;
    for (size_t i = x->at; i < end && n + 1 < sizeof text; i++)
        if (x->p->src[i] != '_')
            text[n++] = x->p->src[i];
    char *copy = tn_arena_copy(&x->p->run.arena, text, n);
    if (copy == NULL || n + 1 == sizeof text)
        return tn_j_syntax(x->p, x->line, "a number with too many digits");
    struct jtok *tok;
    int32_t rc = push_tok(x, is_float ? JT_FLOAT : JT_INT, copy, n, &tok);
    if (rc == 0 && is_float && !tn_j_parse_double(copy, n, &tok->f))
        rc = tn_j_syntax(x->p, x->line, "a malformed number");
    advance(x, end);
    return rc;
}

static size_t name_end(const struct jlexer *x)
{
    size_t i = x->at, n;
    for (; i < x->p->len; i += n) {
        int32_t cp = tn_jstr_decode(x->p->src + i, x->p->len - i, &n);
        if (cp != '_' && !tn_jcp_alpha(cp) && !(i > x->at && tn_jcp_numeric(cp)))
            break;
    }
    return i;
}

/* Keeps account of brackets; *ret false for an unbalanced one. */
static bool balance(struct jlexer *x, char c)
{
    if (c == '(' || c == '[' || c == '{') {
        if (x->nstack == sizeof x->stack)
            return false;
        x->stack[x->nstack++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        return x->nstack > 0 && x->stack[--x->nstack] == c;
    }
    return true;
}

static int32_t lex_op(struct jlexer *x)
{
    static const struct {
        const char *text;
        int op;
    } two[] = {{"==", JOP_EQ}, {"!=", JOP_NE}, {"<=", JOP_LE}, {">=", JOP_GE}, {"//", JOP_FLOORDIV}, {"**", JOP_POW}};
    struct jtok *tok;
    char c = x->p->src[x->at];
    int op = 0;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (looking_at(x, x->at, two[i].text))
            op = two[i].op;
    if (op == 0 && (c == '\0' || strchr("+-/*%~[](){}<>=.:|,;", c) == NULL))
        return tn_j_syntax(x->p, x->line, "unexpected character in a tag");
    if (op == 0 && !balance(x, c))
        return tn_j_syntax(x->p, x->line, "unexpected '%c'", c);
    int32_t rc = push_tok(x, JT_OP, x->p->src + x->at, op ? 2 : 1, &tok);
    if (rc == 0)
        tok->op = op ? op : c;
    advance(x, x->at + (op ? 2 : 1));
    return rc;
}

static int32_t lex_token(struct jlexer *x)
{
    char c = x->p->src[x->at];
    size_t end = name_end(x);
    if (end > x->at) {
        int32_t rc = push_tok(x, JT_NAME, x->p->src + x->at, end - x->at, NULL);
        advance(x, end);
        return rc;
    }
    if (c >= '0' && c <= '9')
        return lex_number(x);
    if (c == '"' || c == '\'')
        return lex_string(x);
    return lex_op(x);
}

/* Where the tag's end at the current place leads, 0 if it does not end. */
static size_t tag_end(const struct jlexer *x, bool var)
{
    if (x->nstack > 0)
        return 0;
    return var ? block_close(x, x->at, "}}", false) : block_close(x, x->at, "%}", true);
}

static int32_t lex_tag(struct jlexer *x, bool var)
{
    int line = x->line;
    int32_t rc = push_tok(x, var ? JT_VAR_BEGIN : JT_BLOCK_BEGIN, "", 0, NULL);
    advance(x, x->at + 2 + (sign_at(x, x->at + 2) != '\0'));
    x->nstack = 0;
    while (rc == 0) {
        size_t end = tag_end(x, var);
        if (end != 0) {
            rc = push_tok(x, var ? JT_VAR_END : JT_BLOCK_END, "", 0, NULL);
            leave_tag(x, end);
            return rc;
        }
        advance(x, skip_space(x, x->at));
        if (x->at == x->p->len)
            return tn_j_syntax(x->p, line, "a tag without end");
        if (tag_end(x, var) == 0)
            rc = lex_token(x);
    }
    return rc;
}

/* The next "{{", "{%" or "{#" at or after x->at, or the end of the text. */
static size_t find_tag(const struct jlexer *x)
{
    size_t i = x->at;
    for (; i + 1 < x->p->len; i++)
        if (x->p->src[i] == '{' && strchr("{%#", x->p->src[i + 1]) != NULL && x->p->src[i + 1] != '\0')
            return i;
    return x->p->len;
}

static int32_t lex_from_text(struct jlexer *x)
{
    size_t begin = find_tag(x);
    if (begin == x->p->len)
        return put_data(x, x->at, begin, '\0', false);
    char kind = x->p->src[begin + 1];
    int32_t rc = put_data(x, x->at, begin, sign_at(x, begin + 2), kind != '{');
    if (rc != 0)
        return rc;
    if (kind == '#')
        return lex_comment(x, begin);
    size_t raw = kind == '%' ? named_tag(x, begin, "raw", false) : 0;
    return raw != 0 ? lex_raw(x, raw) : lex_tag(x, kind == '{');
}

int32_t tn_j_lex(struct jparse *p)
{
    struct jlexer x = {.p = p, .line = 1, .line_start = true};
    int32_t rc = 0;
    while (rc == 0 && x.at < p->len)
        rc = lex_from_text(&x);
    return rc ? rc : push_tok(&x, JT_EOF, "", 0, NULL);
}
