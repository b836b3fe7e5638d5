/* The parser's operators: recursive descent, one function a level of precedence,
 * as Jinja's grammar has them. */
#include "jinja_ast.h"

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
            rc = tn_jp_join(p, neg ? JN_NEG : JN_POS, 0, line, a, NULL, &n);
    } else {
        rc = tn_jp_primary(p, false, &n);
    }
    if (rc == 0)
        rc = tn_jp_postfix(p, n, ret);
    if (rc == 0 && with_filter)
        rc = tn_jp_filter_expr(p, *ret, ret);
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
            rc = tn_jp_join(p, JN_BINARY, *op, line, *ret, right, ret);
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
    rc = tn_jp_join(p, JN_CONCAT, 0, tn_jp_tok(p)->line, NULL, NULL, ret);
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
    if (tn_jp_is_name(p, "not") && tn_jp_name_at(p, p->pos + 1, "in")) {
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
        rc = tn_jp_join(p, JN_OPERAND, op, tn_jp_tok(p)->line, NULL, NULL, end);
        if (rc == 0)
            rc = parse_math1(p, &(*end)->a);
        if (rc == 0)
            end = &(*end)->next;
    }
    *ret = first;
    if (rc == 0 && list != NULL) {
        rc = tn_jp_join(p, JN_COMPARE, 0, line, first, NULL, ret);
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
    return rc ? rc : tn_jp_join(p, JN_NOT, 0, line, a, NULL, ret);
}

static int32_t parse_and(struct jparse *p, struct jnode **ret)
{
    int32_t rc = parse_not(p, ret);
    while (rc == 0 && tn_jp_is_name(p, "and")) {
        struct jnode *right = NULL;
        int line = tn_jp_next(p)->line;
        rc = parse_not(p, &right);
        if (rc == 0)
            rc = tn_jp_join(p, JN_AND, 0, line, *ret, right, ret);
    }
    return rc;
}

int32_t tn_jp_or(struct jparse *p, struct jnode **ret)
{
    int32_t rc = parse_and(p, ret);
    while (rc == 0 && tn_jp_is_name(p, "or")) {
        struct jnode *right = NULL;
        int line = tn_jp_next(p)->line;
        rc = parse_and(p, &right);
        if (rc == 0)
            rc = tn_jp_join(p, JN_OR, 0, line, *ret, right, ret);
    }
    return rc;
}

static int32_t parse_cond(struct jparse *p, struct jnode **ret)
{
    struct jnode *value = NULL;
    int32_t rc = tn_jp_or(p, &value);
    while (rc == 0 && tn_jp_is_name(p, "if")) {
        struct jnode *n = NULL;
        rc = tn_jp_join(p, JN_COND, 0, tn_jp_next(p)->line, NULL, value, &n);
        if (rc == 0)
            rc = tn_jp_or(p, &n->a);
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
