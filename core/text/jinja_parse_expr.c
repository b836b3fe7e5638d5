/* The parser's expression half: recursive descent, one function a level of
 * precedence, as Jinja's grammar has them. Depth is bounded here; the height
 * of long chains is checked afterwards by jinja_check.c. */
#include <string.h>

#include "jinja_ast.h"
#include "jinja_filter.h"

#define DEPTH_MAX 200
#define NAMES_MAX 4096

/* ---- tokens and nodes ---- */

struct jtok *tn_jp_tok(struct jparse *p)
{
    return &p->toks[p->pos];
}

struct jtok *tn_jp_next(struct jparse *p)
{
    struct jtok *t = &p->toks[p->pos];
    if (t->type != JT_EOF)
        p->pos++;
    return t;
}

static bool op_at(const struct jparse *p, size_t pos, int op)
{
    return pos < p->ntoks && p->toks[pos].type == JT_OP && p->toks[pos].op == op;
}

static bool name_at(const struct jparse *p, size_t pos, const char *name)
{
    return pos < p->ntoks && p->toks[pos].type == JT_NAME && p->toks[pos].len == strlen(name) &&
           memcmp(p->toks[pos].p, name, p->toks[pos].len) == 0;
}

bool tn_jp_is_op(struct jparse *p, int op)
{
    return op_at(p, p->pos, op);
}

bool tn_jp_is_name(struct jparse *p, const char *name)
{
    return name_at(p, p->pos, name);
}

bool tn_jp_skip_op(struct jparse *p, int op)
{
    bool hit = tn_jp_is_op(p, op);
    p->pos += hit;
    return hit;
}

bool tn_jp_skip_name(struct jparse *p, const char *name)
{
    bool hit = tn_jp_is_name(p, name);
    p->pos += hit;
    return hit;
}

int32_t tn_jp_unexpected(struct jparse *p, const char *wanted)
{
    const struct jtok *t = tn_jp_tok(p);
    const char *what = t->type == JT_EOF                                  ? "the end of the template"
                       : t->type == JT_BLOCK_END || t->type == JT_VAR_END ? "the end of the tag"
                       : t->type == JT_STRING                             ? "a string"
                                                                          : NULL;
    if (what != NULL)
        return tn_j_syntax(p, t->line, "unexpected %s, expected %s", what, wanted);
    return tn_j_syntax(p, t->line, "unexpected '%.*s', expected %s", (int)(t->len < 40 ? t->len : 40), t->p, wanted);
}

int32_t tn_jp_expect_op(struct jparse *p, int op)
{
    char what[] = {'\'', (char)op, '\'', '\0'};
    return tn_jp_skip_op(p, op) ? 0 : tn_jp_unexpected(p, what);
}

int32_t tn_jp_expect(struct jparse *p, enum jtok_type type, const char *what)
{
    if (tn_jp_tok(p)->type != type)
        return tn_jp_unexpected(p, what);
    tn_jp_next(p);
    return 0;
}

struct jnode *tn_jp_node(struct jparse *p, enum jkind kind, int line)
{
    struct jnode *n = tn_j_alloc(&p->run, 1, sizeof *n);
    if (n != NULL) {
        n->kind = (uint8_t)kind;
        n->line = line;
    }
    return n;
}

int32_t tn_jp_name_id(struct jparse *p, const struct jtok *tok, int *ret)
{
    struct tn_template *t = p->t;
    for (*ret = 0; *ret < t->nnames; ++*ret) {
        const struct jstr *s = t->names[*ret].s;
        if (s->len == tok->len && memcmp(s->p, tok->p, s->len) == 0)
            return 0;
    }
    if (t->nnames == NAMES_MAX)
        return tn_j_syntax(p, tok->line, "more than %d different names", NAMES_MAX);
    if (t->nnames == t->cap_names) {
        int cap = t->cap_names ? t->cap_names * 2 : 64;
        struct jv *names = tn_j_alloc(&p->run, (size_t)cap, sizeof *names);
        if (names == NULL)
            return p->run.rc;
        if (t->nnames > 0)
            memcpy(names, t->names, (size_t)t->nnames * sizeof *names);
        t->names = names;
        t->cap_names = cap;
    }
    return tn_j_str_copy(&p->run, tok->p, tok->len, &t->names[t->nnames++]);
}

int32_t tn_jp_deeper(struct jparse *p)
{
    if (p->depth >= DEPTH_MAX)
        return tn_j_syntax(p, tn_jp_tok(p)->line, "nested more than %d deep", DEPTH_MAX);
    p->depth++;
    return 0;
}

/* A node of kind over a and b. */
static int32_t join(struct jparse *p, enum jkind kind, int op, int line, struct jnode *a, struct jnode *b,
                    struct jnode **ret)
{
    struct jnode *n = tn_jp_node(p, kind, line);
    if (n == NULL)
        return p->run.rc;
    n->op = op;
    n->a = a;
    n->b = b;
    *ret = n;
    return 0;
}

/* ---- literals, names, brackets ---- */

static int32_t const_node(struct jparse *p, int line, struct jv v, struct jnode **ret)
{
    int32_t rc = join(p, JN_CONST, 0, line, NULL, NULL, ret);
    if (rc == 0)
        (*ret)->val = v;
    return rc;
}

static int32_t parse_name(struct jparse *p, bool nsref, struct jnode **ret)
{
    static const char *const words[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < 6; i++)
        if (tn_jp_is_name(p, words[i]))
            return const_node(p, tn_jp_next(p)->line, i < 4 ? tn_j_bool(i < 2) : tn_j_none(), ret);
    const struct jtok *t = tn_jp_next(p);
    int32_t rc = join(p, JN_NAME, 0, t->line, NULL, NULL, ret);
    if (rc == 0)
        rc = tn_jp_name_id(p, t, &(*ret)->id);
    if (rc != 0)
        return rc;
    int id = (*ret)->id;
    p->macro_flags |= id == p->t->id_caller    ? JMACRO_CALLER
                      : id == p->t->id_kwargs  ? JMACRO_KWARGS
                      : id == p->t->id_varargs ? JMACRO_VARARGS
                                               : 0;
    if (nsref && tn_jp_skip_op(p, '.')) {
        (*ret)->kind = JN_NSREF;
        t = tn_jp_tok(p);
        rc = tn_jp_expect(p, JT_NAME, "an attribute's name");
        if (rc == 0)
            rc = tn_j_str_copy(&p->run, t->p, t->len, &(*ret)->val);
    }
    return rc;
}

/* Strings that stand side by side are one. */
static int32_t parse_string(struct jparse *p, struct jnode **ret)
{
    struct tn_buf b;
    struct jv v;
    int line = tn_jp_tok(p)->line;
    int32_t rc = 0;
    tn_j_buf(&p->run, &b);
    while (rc == 0 && tn_jp_tok(p)->type == JT_STRING) {
        const struct jtok *t = tn_jp_next(p);
        rc = tn_buf_append(&b, t->p, t->len);
    }
    rc = tn_j_str_take(&p->run, rc, &b, &v);
    return rc ? rc : const_node(p, line, v, ret);
}

static int32_t parse_number(struct jparse *p, struct jnode **ret)
{
    const struct jtok *t = tn_jp_next(p);
    struct jv v = tn_j_float(t->f);
    int32_t rc = t->type == JT_INT ? tn_j_int_text(&p->run, t->p, t->len, &v) : 0;
    return rc ? rc : const_node(p, t->line, v, ret);
}

static int32_t parse_list(struct jparse *p, struct jnode **ret)
{
    int32_t rc = join(p, JN_LIST, 0, tn_jp_next(p)->line, NULL, NULL, ret);
    struct jnode **end = rc == 0 ? &(*ret)->list : NULL;
    while (rc == 0 && !tn_jp_is_op(p, ']')) {
        if (end != &(*ret)->list)
            rc = tn_jp_expect_op(p, ',');
        if (rc != 0 || tn_jp_is_op(p, ']'))
            break;
        rc = tn_jp_expr(p, end);
        if (rc == 0)
            end = &(*end)->next;
    }
    return rc ? rc : tn_jp_expect_op(p, ']');
}

static int32_t parse_pair(struct jparse *p, struct jnode **ret)
{
    int32_t rc = join(p, JN_PAIR, 0, tn_jp_tok(p)->line, NULL, NULL, ret);
    if (rc == 0)
        rc = tn_jp_expr(p, &(*ret)->a);
    if (rc == 0)
        rc = tn_jp_expect_op(p, ':');
    return rc ? rc : tn_jp_expr(p, &(*ret)->b);
}

static int32_t parse_dict(struct jparse *p, struct jnode **ret)
{
    int32_t rc = join(p, JN_DICT, 0, tn_jp_next(p)->line, NULL, NULL, ret);
    struct jnode **end = rc == 0 ? &(*ret)->list : NULL;
    while (rc == 0 && !tn_jp_is_op(p, '}')) {
        if (end != &(*ret)->list)
            rc = tn_jp_expect_op(p, ',');
        if (rc != 0 || tn_jp_is_op(p, '}'))
            break;
        rc = parse_pair(p, end);
        if (rc == 0)
            end = &(*end)->next;
    }
    return rc ? rc : tn_jp_expect_op(p, '}');
}

static int32_t parse_parens(struct jparse *p, struct jnode **ret)
{
    static const struct jtuple_rules rules = {.empty_ok = true};
    tn_jp_next(p);
    int32_t rc = tn_jp_tuple(p, &rules, ret);
    return rc ? rc : tn_jp_expect_op(p, ')');
}

static int32_t parse_primary(struct jparse *p, bool nsref, struct jnode **ret)
{
    switch (tn_jp_tok(p)->type) {
    case JT_NAME:
        return parse_name(p, nsref, ret);
    case JT_STRING:
        return parse_string(p, ret);
    case JT_INT:
    case JT_FLOAT:
        return parse_number(p, ret);
    default:
        break;
    }
    if (tn_jp_is_op(p, '('))
        return parse_parens(p, ret);
    if (tn_jp_is_op(p, '['))
        return parse_list(p, ret);
    if (tn_jp_is_op(p, '{'))
        return parse_dict(p, ret);
    return tn_jp_unexpected(p, "an expression");
}

static bool tuple_ends(struct jparse *p, const char *stop)
{
    enum jtok_type type = tn_jp_tok(p)->type;
    return type == JT_VAR_END || type == JT_BLOCK_END || tn_jp_is_op(p, ')') ||
           (stop != NULL && tn_jp_is_name(p, stop));
}

static int32_t parse_or(struct jparse *p, struct jnode **ret);

static int32_t tuple_item(struct jparse *p, const struct jtuple_rules *rules, struct jnode **ret)
{
    int32_t rc = tn_jp_deeper(p);
    if (rc != 0)
        return rc;
    rc = rules->simple ? parse_primary(p, rules->nsref, ret) : rules->no_cond ? parse_or(p, ret) : tn_jp_expr(p, ret);
    p->depth--;
    return rc;
}

int32_t tn_jp_tuple(struct jparse *p, const struct jtuple_rules *rules, struct jnode **ret)
{
    struct jnode *first = NULL, **end = &first, *tuple = NULL;
    int line = tn_jp_tok(p)->line;
    bool is_tuple = false;
    int32_t rc = 0;
    while (!tuple_ends(p, rules->stop)) {
        rc = tuple_item(p, rules, end);
        if (rc != 0)
            return rc;
        end = &(*end)->next;
        if (!tn_jp_skip_op(p, ','))
            break;
        is_tuple = true;
    }
    if (!is_tuple && first != NULL) {
        *ret = first;
        return 0;
    }
    if (!is_tuple && !rules->empty_ok)
        return tn_jp_unexpected(p, "an expression");
    rc = join(p, JN_TUPLE, 0, line, NULL, NULL, &tuple);
    if (rc == 0) {
        tuple->list = first;
        *ret = tuple;
    }
    return rc;
}

/* ---- behind a value: .name, [x], (args), |filter, is test ---- */

static int32_t parse_slice_part(struct jparse *p, struct jnode **ret)
{
    if (tn_jp_is_op(p, ':') || tn_jp_is_op(p, ']') || tn_jp_is_op(p, ','))
        return 0;
    return tn_jp_expr(p, ret);
}

static int32_t parse_subscribed(struct jparse *p, struct jnode **ret)
{
    struct jnode *start = NULL;
    int line = tn_jp_tok(p)->line;
    int32_t rc = tn_jp_is_op(p, ':') ? 0 : tn_jp_expr(p, &start);
    if (rc != 0)
        return rc;
    if (!tn_jp_skip_op(p, ':')) {
        *ret = start;
        return 0;
    }
    rc = join(p, JN_SLICE, 0, line, start, NULL, ret);
    if (rc == 0)
        rc = parse_slice_part(p, &(*ret)->b);
    if (rc == 0 && tn_jp_skip_op(p, ':'))
        rc = parse_slice_part(p, &(*ret)->c);
    return rc;
}

static int32_t parse_brackets(struct jparse *p, struct jnode *obj, struct jnode **ret)
{
    struct jnode *first = NULL, **end = &first, *arg;
    int line = tn_jp_next(p)->line;
    int32_t rc = 0;
    while (rc == 0 && !tn_jp_is_op(p, ']')) {
        if (first != NULL)
            rc = tn_jp_expect_op(p, ',');
        if (rc == 0)
            rc = parse_subscribed(p, end);
        if (rc == 0)
            end = &(*end)->next;
    }
    if (rc == 0)
        rc = tn_jp_expect_op(p, ']');
    arg = first;
    if (rc == 0 && (first == NULL || first->next != NULL)) {
        rc = join(p, JN_TUPLE, 0, line, NULL, NULL, &arg);
        if (rc == 0)
            arg->list = first;
    }
    return rc ? rc : join(p, JN_GETITEM, 0, line, obj, arg, ret);
}

static int32_t parse_dot(struct jparse *p, struct jnode *obj, struct jnode **ret)
{
    int line = tn_jp_next(p)->line;
    const struct jtok *t = tn_jp_tok(p);
    if (t->type == JT_INT) {
        struct jnode *index;
        int32_t rc = parse_number(p, &index);
        return rc ? rc : join(p, JN_GETITEM, 0, line, obj, index, ret);
    }
    int32_t rc = tn_jp_expect(p, JT_NAME, "a name or number");
    if (rc == 0)
        rc = join(p, JN_GETATTR, 0, line, obj, NULL, ret);
    return rc ? rc : tn_j_str_copy(&p->run, t->p, t->len, &(*ret)->val);
}

/* One argument; *seen is the latest kind met, kinds may only go up, and only
 * keywords repeat behind keywords. */
static int32_t parse_arg(struct jparse *p, int *seen, struct jnode **ret)
{
    const struct jtok *t = tn_jp_tok(p);
    int kind = tn_jp_is_op(p, '*') ? JARG_STAR : tn_jp_is_op(p, JOP_POW) ? JARG_STAR2 : JARG_POS;
    if (kind == JARG_POS && t->type == JT_NAME && op_at(p, p->pos + 1, '='))
        kind = JARG_KEYWORD;
    bool ok = kind == JARG_POS ? *seen == JARG_POS : kind == JARG_KEYWORD ? *seen != JARG_STAR2 : *seen < kind;
    if (!ok)
        return tn_j_syntax(p, t->line, "arguments in an order that a call does not allow");
    *seen = kind > *seen ? kind : *seen;
    int32_t rc = join(p, JN_ARG, kind, t->line, NULL, NULL, ret);
    if (rc == 0 && kind == JARG_KEYWORD)
        rc = tn_j_str_copy(&p->run, t->p, t->len, &(*ret)->val);
    if (rc != 0)
        return rc;
    p->pos += kind == JARG_KEYWORD ? 2 : kind != JARG_POS;
    return tn_jp_expr(p, &(*ret)->a);
}

static int32_t parse_args(struct jparse *p, struct jnode **ret)
{
    int seen = JARG_POS;
    int32_t rc = tn_jp_expect_op(p, '(');
    for (bool comma = true; rc == 0 && !tn_jp_is_op(p, ')'); comma = tn_jp_skip_op(p, ',')) {
        if (!comma)
            return tn_jp_unexpected(p, "',' or ')'");
        rc = parse_arg(p, &seen, ret);
        if (rc == 0)
            ret = &(*ret)->next;
    }
    return rc ? rc : tn_jp_expect_op(p, ')');
}

static int32_t parse_call(struct jparse *p, struct jnode *fn, struct jnode **ret)
{
    int32_t rc = join(p, JN_CALL, 0, tn_jp_tok(p)->line, fn, NULL, ret);
    return rc ? rc : parse_args(p, &(*ret)->list);
}

static int32_t parse_postfix(struct jparse *p, struct jnode *n, struct jnode **ret)
{
    int32_t rc = 0;
    for (;;) {
        *ret = n;
        if (rc == 0 && tn_jp_is_op(p, '.'))
            rc = parse_dot(p, n, &n);
        else if (rc == 0 && tn_jp_is_op(p, '['))
            rc = parse_brackets(p, n, &n);
        else if (rc == 0 && tn_jp_is_op(p, '('))
            rc = parse_call(p, n, &n);
        else
            return rc;
    }
}

/* The name of a filter or test, which may have dots, into n->val. */
static int32_t parse_dotted(struct jparse *p, struct jnode *n)
{
    const struct jtok *t = tn_jp_tok(p);
    int32_t rc = tn_jp_expect(p, JT_NAME, "a name");
    if (rc == 0)
        rc = tn_j_str_copy(&p->run, t->p, t->len, &n->val);
    while (rc == 0 && tn_jp_skip_op(p, '.'))
        rc = tn_j_syntax(p, t->line, "no filter or test has a name with dots");
    return rc;
}

static int32_t parse_filter(struct jparse *p, struct jnode *a, struct jnode **ret)
{
    struct jnode *n = NULL;
    int32_t rc = join(p, JN_FILTER, 0, tn_jp_tok(p)->line, a, NULL, &n);
    if (rc == 0)
        rc = parse_dotted(p, n);
    if (rc == 0 && tn_jp_is_op(p, '('))
        rc = parse_args(p, &n->list);
    if (rc == 0)
        n->impl = tn_j_filter_find(n->val.s->p, n->val.s->len);
    *ret = n;
    return rc;
}

int32_t tn_jp_filters(struct jparse *p, struct jnode *a, bool inline_first, struct jnode **ret)
{
    int32_t rc = inline_first ? parse_filter(p, a, &a) : 0;
    while (rc == 0 && tn_jp_skip_op(p, '|'))
        rc = parse_filter(p, a, &a);
    *ret = a;
    return rc;
}

static bool test_arg_follows(struct jparse *p)
{
    enum jtok_type t = tn_jp_tok(p)->type;
    if (t == JT_NAME)
        return !tn_jp_is_name(p, "else") && !tn_jp_is_name(p, "or") && !tn_jp_is_name(p, "and");
    return t == JT_STRING || t == JT_INT || t == JT_FLOAT || tn_jp_is_op(p, '[') || tn_jp_is_op(p, '{');
}

/* "is test x" without parentheses. */
static int32_t parse_test_arg(struct jparse *p, struct jnode **ret)
{
    if (tn_jp_is_name(p, "is"))
        return tn_j_syntax(p, tn_jp_tok(p)->line, "tests cannot be chained with 'is'");
    int32_t rc = join(p, JN_ARG, JARG_POS, tn_jp_tok(p)->line, NULL, NULL, ret);
    struct jnode *n = NULL;
    if (rc == 0)
        rc = tn_jp_deeper(p);
    if (rc != 0)
        return rc;
    rc = parse_primary(p, false, &n);
    if (rc == 0)
        rc = parse_postfix(p, n, &(*ret)->a);
    p->depth--;
    return rc;
}

static int32_t parse_test(struct jparse *p, struct jnode *a, struct jnode **ret)
{
    struct jnode *n = NULL;
    int line = tn_jp_next(p)->line;
    bool negated = tn_jp_skip_name(p, "not");
    int32_t rc = join(p, JN_TEST, 0, line, a, NULL, &n);
    if (rc == 0)
        rc = parse_dotted(p, n);
    if (rc == 0 && tn_jp_is_op(p, '('))
        rc = parse_args(p, &n->list);
    else if (rc == 0 && test_arg_follows(p))
        rc = parse_test_arg(p, &n->list);
    if (rc != 0)
        return rc;
    n->impl = tn_j_test_find(n->val.s->p, n->val.s->len);
    *ret = n;
    return negated ? join(p, JN_NOT, 0, line, n, NULL, ret) : 0;
}

static int32_t parse_filter_expr(struct jparse *p, struct jnode *n, struct jnode **ret)
{
    int32_t rc = 0;
    for (;;) {
        *ret = n;
        if (rc == 0 && tn_jp_is_op(p, '|'))
            rc = tn_jp_filters(p, n, false, &n);
        else if (rc == 0 && tn_jp_is_name(p, "is"))
            rc = parse_test(p, n, &n);
        else if (rc == 0 && tn_jp_is_op(p, '('))
            rc = parse_call(p, n, &n);
        else
            return rc;
    }
}

/* ---- operators, tightest first ---- */

static int32_t parse_unary_inner(struct jparse *p, bool with_filter, struct jnode **ret)
{
    struct jnode *n = NULL, *a = NULL;
    int32_t rc = tn_jp_deeper(p);
    if (rc != 0)
        return rc;
    bool neg = tn_jp_is_op(p, '-');
    if (neg || tn_jp_is_op(p, '+')) {
        int line = tn_jp_next(p)->line;
        rc = parse_unary_inner(p, false, &a);
        if (rc == 0)
            rc = join(p, neg ? JN_NEG : JN_POS, 0, line, a, NULL, &n);
    } else {
        rc = parse_primary(p, false, &n);
    }
    if (rc == 0)
        rc = parse_postfix(p, n, ret);
    if (rc == 0 && with_filter)
        rc = parse_filter_expr(p, *ret, ret);
    p->depth--;
    return rc;
}

static int32_t parse_unary(struct jparse *p, struct jnode **ret)
{
    return parse_unary_inner(p, true, ret);
}

/* Left-associative levels: operands by `operand`, joined while one of ops
 * (0-ended) stands between them. */
static int32_t parse_left(struct jparse *p, int32_t (*operand)(struct jparse *, struct jnode **), const int *ops,
                          struct jnode **ret)
{
    int32_t rc = operand(p, ret);
    while (rc == 0) {
        const int *op = ops;
        while (*op != 0 && !tn_jp_is_op(p, *op))
            op++;
        if (*op == 0)
            break;
        struct jnode *right = NULL;
        int line = tn_jp_next(p)->line;
        rc = operand(p, &right);
        if (rc == 0)
            rc = join(p, JN_BINARY, *op, line, *ret, right, ret);
    }
    return rc;
}

static int32_t parse_pow(struct jparse *p, struct jnode **ret)
{
    return parse_left(p, parse_unary, (const int[]){JOP_POW, 0}, ret);
}

static int32_t parse_math2(struct jparse *p, struct jnode **ret)
{
    return parse_left(p, parse_pow, (const int[]){'*', '/', JOP_FLOORDIV, '%', 0}, ret);
}

static int32_t parse_concat(struct jparse *p, struct jnode **ret)
{
    struct jnode *first = NULL;
    int32_t rc = parse_math2(p, &first);
    if (rc != 0 || !tn_jp_is_op(p, '~')) {
        *ret = first;
        return rc;
    }
    rc = join(p, JN_CONCAT, 0, tn_jp_tok(p)->line, NULL, NULL, ret);
    if (rc == 0)
        (*ret)->list = first;
    for (struct jnode **end = &first->next; rc == 0 && tn_jp_skip_op(p, '~');) {
        rc = parse_math2(p, end);
        if (rc == 0)
            end = &(*end)->next;
    }
    return rc;
}

static int32_t parse_math1(struct jparse *p, struct jnode **ret)
{
    return parse_left(p, parse_concat, (const int[]){'+', '-', 0}, ret);
}

static int compare_op(struct jparse *p)
{
    static const int ops[] = {JOP_EQ, JOP_NE, '<', JOP_LE, '>', JOP_GE};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (tn_jp_skip_op(p, ops[i]))
            return ops[i];
    if (tn_jp_skip_name(p, "in"))
        return JOP_IN;
    if (tn_jp_is_name(p, "not") && name_at(p, p->pos + 1, "in")) {
        p->pos += 2;
        return JOP_NOT_IN;
    }
    return 0;
}

static int32_t parse_compare(struct jparse *p, struct jnode **ret)
{
    struct jnode *first = NULL, *list = NULL, **end = &list;
    int line = tn_jp_tok(p)->line, op;
    int32_t rc = parse_math1(p, &first);
    while (rc == 0 && (op = compare_op(p)) != 0) {
        rc = join(p, JN_OPERAND, op, tn_jp_tok(p)->line, NULL, NULL, end);
        if (rc == 0)
            rc = parse_math1(p, &(*end)->a);
        if (rc == 0)
            end = &(*end)->next;
    }
    *ret = first;
    if (rc == 0 && list != NULL) {
        rc = join(p, JN_COMPARE, 0, line, first, NULL, ret);
        if (rc == 0)
            (*ret)->list = list;
    }
    return rc;
}

static int32_t parse_not(struct jparse *p, struct jnode **ret)
{
    if (!tn_jp_is_name(p, "not"))
        return parse_compare(p, ret);
    struct jnode *a = NULL;
    int line = tn_jp_next(p)->line;
    int32_t rc = tn_jp_deeper(p);
    if (rc != 0)
        return rc;
    rc = parse_not(p, &a);
    p->depth--;
    return rc ? rc : join(p, JN_NOT, 0, line, a, NULL, ret);
}

static int32_t parse_and(struct jparse *p, struct jnode **ret)
{
    int32_t rc = parse_not(p, ret);
    while (rc == 0 && tn_jp_is_name(p, "and")) {
        struct jnode *right = NULL;
        int line = tn_jp_next(p)->line;
        rc = parse_not(p, &right);
        if (rc == 0)
            rc = join(p, JN_AND, 0, line, *ret, right, ret);
    }
    return rc;
}

static int32_t parse_or(struct jparse *p, struct jnode **ret)
{
    int32_t rc = parse_and(p, ret);
    while (rc == 0 && tn_jp_is_name(p, "or")) {
        struct jnode *right = NULL;
        int line = tn_jp_next(p)->line;
        rc = parse_and(p, &right);
        if (rc == 0)
            rc = join(p, JN_OR, 0, line, *ret, right, ret);
    }
    return rc;
}

static int32_t parse_cond(struct jparse *p, struct jnode **ret)
{
    struct jnode *value = NULL;
    int32_t rc = parse_or(p, &value);
    while (rc == 0 && tn_jp_is_name(p, "if")) {
        struct jnode *n = NULL;
        rc = join(p, JN_COND, 0, tn_jp_next(p)->line, NULL, value, &n);
        if (rc == 0)
            rc = parse_or(p, &n->a);
        if (rc == 0 && tn_jp_skip_name(p, "else"))
            rc = tn_jp_expr(p, &n->c);
        value = n;
    }
    *ret = value;
    return rc;
}

int32_t tn_jp_expr(struct jparse *p, struct jnode **ret)
{
    int32_t rc = tn_jp_deeper(p);
    if (rc != 0)
        return rc;
    rc = parse_cond(p, ret);
    p->depth--;
    return rc;
}
