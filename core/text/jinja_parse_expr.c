/* The parser's values: literals, names, brackets, and what may stand behind one.
 * Operators between values are in jinja_parse_op.c. Depth is bounded here; the
 * height of long chains is checked afterwards by jinja_check.c. */
#include "jinja_ast.h"
#include "jinja_filter.h"

/* ---- literals, names, brackets ---- */

static int32_t const_node(struct jparse *p, int line, struct jv v, struct jnode **ret)
{
    int32_t rc = tn_jp_join(p, JN_CONST, 0, line, NULL, NULL, ret);
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
    int32_t rc = tn_jp_join(p, JN_NAME, 0, t->line, NULL, NULL, ret);
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

static int32_t parse_pair(struct jparse *p, struct jnode **ret)
{
    int32_t rc = tn_jp_join(p, JN_PAIR, 0, tn_jp_tok(p)->line, NULL, NULL, ret);
    if (rc == 0)
        rc = tn_jp_expr(p, &(*ret)->a);
    if (rc == 0)
        rc = tn_jp_expect_op(p, ':');
    return rc ? rc : tn_jp_expr(p, &(*ret)->b);
}

/* What stands between commas up to `close`, the last comma being optional, as the list of a node. */
static int32_t parse_items(struct jparse *p, enum jkind kind, int close, int32_t (*item)(struct jparse *, struct jnode **),
                           struct jnode **ret)
{
    int32_t rc = tn_jp_join(p, kind, 0, tn_jp_next(p)->line, NULL, NULL, ret);
    struct jnode **end = rc == 0 ? &(*ret)->list : NULL;
    while (rc == 0 && !tn_jp_is_op(p, close)) {
        if (end != &(*ret)->list)
            rc = tn_jp_expect_op(p, ',');
        if (rc != 0 || tn_jp_is_op(p, close))
            break;
        rc = item(p, end);
        if (rc == 0)
            end = &(*end)->next;
    }
    return rc ? rc : tn_jp_expect_op(p, close);
}

static int32_t parse_parens(struct jparse *p, struct jnode **ret)
{
    static const struct jtuple_rules rules = {.empty_ok = true};
    tn_jp_next(p);
    int32_t rc = tn_jp_tuple(p, &rules, ret);
    return rc ? rc : tn_jp_expect_op(p, ')');
}

int32_t tn_jp_primary(struct jparse *p, bool nsref, struct jnode **ret)
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
        return parse_items(p, JN_LIST, ']', tn_jp_expr, ret);
    if (tn_jp_is_op(p, '{'))
        return parse_items(p, JN_DICT, '}', parse_pair, ret);
    return tn_jp_unexpected(p, "an expression");
}

static bool tuple_ends(struct jparse *p, const char *stop)
{
    enum jtok_type type = tn_jp_tok(p)->type;
    return type == JT_VAR_END || type == JT_BLOCK_END || tn_jp_is_op(p, ')') ||
           (stop != NULL && tn_jp_is_name(p, stop));
}

static int32_t tuple_item(struct jparse *p, const struct jtuple_rules *rules, struct jnode **ret)
{
    int32_t rc = tn_jp_deeper(p);
    if (rc != 0)
        return rc;
    rc = rules->simple ? tn_jp_primary(p, rules->nsref, ret) : rules->no_cond ? tn_jp_or(p, ret) : tn_jp_expr(p, ret);
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
    rc = tn_jp_join(p, JN_TUPLE, 0, line, NULL, NULL, &tuple);
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
    rc = tn_jp_join(p, JN_SLICE, 0, line, start, NULL, ret);
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
        rc = tn_jp_join(p, JN_TUPLE, 0, line, NULL, NULL, &arg);
        if (rc == 0)
            arg->list = first;
    }
    return rc ? rc : tn_jp_join(p, JN_GETITEM, 0, line, obj, arg, ret);
}

static int32_t parse_dot(struct jparse *p, struct jnode *obj, struct jnode **ret)
{
    int line = tn_jp_next(p)->line;
    const struct jtok *t = tn_jp_tok(p);
    if (t->type == JT_INT) {
        struct jnode *index;
        int32_t rc = parse_number(p, &index);
        return rc ? rc : tn_jp_join(p, JN_GETITEM, 0, line, obj, index, ret);
    }
    int32_t rc = tn_jp_expect(p, JT_NAME, "a name or number");
    if (rc == 0)
        rc = tn_jp_join(p, JN_GETATTR, 0, line, obj, NULL, ret);
    return rc ? rc : tn_j_str_copy(&p->run, t->p, t->len, &(*ret)->val);
}

/* One argument; *seen is the latest kind met, kinds may only go up, and only
 * keywords repeat behind keywords. */
static int32_t parse_arg(struct jparse *p, int *seen, struct jnode **ret)
{
    const struct jtok *t = tn_jp_tok(p);
    int kind = tn_jp_is_op(p, '*') ? JARG_STAR : tn_jp_is_op(p, JOP_POW) ? JARG_STAR2 : JARG_POS;
    if (kind == JARG_POS && t->type == JT_NAME && tn_jp_op_at(p, p->pos + 1, '='))
        kind = JARG_KEYWORD;
    bool ok = kind == JARG_POS ? *seen == JARG_POS : kind == JARG_KEYWORD ? *seen != JARG_STAR2 : *seen < kind;
    if (!ok)
        return tn_j_syntax(p, t->line, "arguments in an order that a call does not allow");
    *seen = kind > *seen ? kind : *seen;
    int32_t rc = tn_jp_join(p, JN_ARG, kind, t->line, NULL, NULL, ret);
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
    int32_t rc = tn_jp_join(p, JN_CALL, 0, tn_jp_tok(p)->line, fn, NULL, ret);
    return rc ? rc : parse_args(p, &(*ret)->list);
}

int32_t tn_jp_postfix(struct jparse *p, struct jnode *n, struct jnode **ret)
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
    int32_t rc = tn_jp_join(p, JN_FILTER, 0, tn_jp_tok(p)->line, a, NULL, &n);
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
    int32_t rc = tn_jp_join(p, JN_ARG, JARG_POS, tn_jp_tok(p)->line, NULL, NULL, ret);
    struct jnode *n = NULL;
    if (rc == 0)
        rc = tn_jp_deeper(p);
    if (rc != 0)
        return rc;
    rc = tn_jp_primary(p, false, &n);
    if (rc == 0)
        rc = tn_jp_postfix(p, n, &(*ret)->a);
    p->depth--;
    return rc;
}

static int32_t parse_test(struct jparse *p, struct jnode *a, struct jnode **ret)
{
    struct jnode *n = NULL;
    int line = tn_jp_next(p)->line;
    bool negated = tn_jp_skip_name(p, "not");
    int32_t rc = tn_jp_join(p, JN_TEST, 0, line, a, NULL, &n);
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
    return negated ? tn_jp_join(p, JN_NOT, 0, line, n, NULL, ret) : 0;
}

int32_t tn_jp_filter_expr(struct jparse *p, struct jnode *n, struct jnode **ret)
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
