/* The pass over a finished tree: bounds its height, so that the evaluator's
 * recursion is bounded too, and reports unknown filters and tests outside of
 * conditions, as Jinja does when it compiles. Inside conditions they fail
 * only when reached: templates probe for optional ones that way. */
#include "jinja_ast.h"

#define HEIGHT_MAX 600

static int32_t check_list(struct jparse *p, const struct jnode *n, bool soft, int height);

static int32_t check_name(struct jparse *p, const struct jnode *n, bool soft)
{
    bool named = n->kind == JN_FILTER || n->kind == JN_TEST;
    if (!named || n->impl != NULL || soft)
        return 0;
    return tn_j_syntax(p, n->line, "no %s named '%.*s'", n->kind == JN_FILTER ? "filter" : "test",
                       (int)(n->val.s->len < 40 ? n->val.s->len : 40), n->val.s->p);
}

/* Conditions are soft for what is below them; scopes are hard again. */
static bool softness(const struct jnode *n, bool soft)
{
    switch (n->kind) {
    case JN_IF:
    case JN_COND:
        return true;
    case JN_FOR:
    case JN_MACRO:
    case JN_CALLBLOCK:
    case JN_SETBLOCK:
    case JN_FILTERBLOCK:
    case JN_WITH:
    case JN_SCOPE:
        return false;
    default:
        return soft;
    }
}

static int32_t check(struct jparse *p, const struct jnode *n, bool soft, int height)
{
    if (n == NULL)
        return 0;
    if (height > HEIGHT_MAX)
        return tn_j_syntax(p, n->line, "an expression or block nested more than %d deep", HEIGHT_MAX);
    int32_t rc = check_name(p, n, soft);
    bool inner = softness(n, soft);
    if (rc == 0)
        rc = check(p, n->a, inner, height + 1);
    if (rc == 0)
        rc = check(p, n->b, n->kind == JN_FOR ? soft : inner, height + 1);
    if (rc == 0)
        rc = check(p, n->c, inner, height + 1);
    if (rc == 0)
        rc = check_list(p, n->list, inner, height + 1);
    if (rc == 0)
        rc = check_list(p, n->body, inner, height + 1);
    return rc;
}

/* Siblings, and the chain of elif branches, do not add height. */
static int32_t check_list(struct jparse *p, const struct jnode *n, bool soft, int height)
{
    int32_t rc = 0;
    for (; rc == 0 && n != NULL; n = n->next) {
        const struct jnode *branch = n;
        rc = check(p, branch, soft, height);
        while (rc == 0 && branch->kind == JN_IF && branch->orelse != NULL && branch->orelse->op == 1 &&
               branch->orelse->kind == JN_IF) {
            branch = branch->orelse;
            rc = check(p, branch, soft, height);
        }
        if (rc == 0)
            rc = check_list(p, branch->orelse, softness(branch, soft), height + 1);
    }
    return rc;
}

int32_t tn_j_check(struct jparse *p)
{
    return check_list(p, p->t->body, false, 0);
}
