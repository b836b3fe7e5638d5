/* Which names a scope hides. Jinja decides before rendering whether a name of
 * a scope means an outer variable: one that the scope sets before it reads it,
 * in a straight line, is its own from the scope's start, and so undefined in
 * loops and macros that run before the set. This finds those names; all other
 * lookups come out right by searching the scopes when rendering.
 *
 * The walk follows one scope at a time: bodies with a scope of their own are
 * walked after the scope around them is known whole. Runs once, after
 * jinja_check.c has bounded the tree's height. */
#include <string.h>

#include "jinja_ast.h"

enum jfirst { FIRST_READ, FIRST_SET };

struct jsym {
    int id;
    enum jfirst first;
    struct jsym *next;
};

/* What is known of a scope. */
struct jsyms {
    struct jsyms *outer; /* the one around it */
    struct jsym *list;
    bool branch; /* inside an if: nothing there is a straight line */
};

static bool known(const struct jsyms *s, int id)
{
    for (; s != NULL; s = s->outer)
        for (const struct jsym *e = s->list; e != NULL; e = e->next)
            if (e->id == id)
                return true;
    return false;
}

static int32_t add(struct jparse *p, struct jsyms *s, int id, enum jfirst first)
{
    struct jsym *e = tn_j_alloc(&p->run, 1, sizeof *e);
    if (e == NULL)
        return p->run.rc;
    *e = (struct jsym){.id = id, .first = first, .next = s->list};
    s->list = e;
    return 0;
}

static int32_t on_read(struct jparse *p, struct jsyms *s, int id)
{
    return known(s, id) ? 0 : add(p, s, id, FIRST_READ);
}

static int32_t on_set(struct jparse *p, struct jsyms *s, int id)
{
    return known(s, id) ? 0 : add(p, s, id, s->branch ? FIRST_READ : FIRST_SET);
}

static int32_t walk(struct jparse *p, struct jsyms *s, const struct jnode *n);

static int32_t walk_list(struct jparse *p, struct jsyms *s, const struct jnode *n)
{
    int32_t rc = 0;
    for (; rc == 0 && n != NULL; n = n->next)
        rc = walk(p, s, n);
    return rc;
}

/* ---- targets ---- */

static int32_t walk_target(struct jparse *p, struct jsyms *s, const struct jnode *n)
{
    int32_t rc = 0;
    if (n->kind == JN_NAME)
        return on_set(p, s, n->id);
    if (n->kind == JN_NSREF)
        return on_read(p, s, n->id);
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next)
        rc = walk_target(p, s, i);
    return rc;
}

/* Names that the scope is given with a value: they hide nothing. */
static int32_t declare(struct jparse *p, struct jsyms *s, const struct jnode *n)
{
    int32_t rc = 0;
    if (n->kind == JN_NAME || n->kind == JN_PARAM)
        return add(p, s, n->id, FIRST_READ);
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next)
        rc = declare(p, s, i);
    return rc;
}

/* ---- one scope ---- */

static int32_t walk_children(struct jparse *p, struct jsyms *s, const struct jnode *n)
{
    int32_t rc = walk(p, s, n->a);
    if (rc == 0)
        rc = walk(p, s, n->b);
    if (rc == 0)
        rc = walk(p, s, n->c);
    return rc ? rc : walk_list(p, s, n->list);
}

static int32_t walk_if(struct jparse *p, struct jsyms *s, const struct jnode *n)
{
    bool outer = s->branch;
    int32_t rc = walk(p, s, n->a);
    s->branch = true;
    if (rc == 0)
        rc = walk_list(p, s, n->body);
    const struct jnode *rest = n->orelse;
    for (; rc == 0 && rest != NULL && rest->kind == JN_IF && rest->op == 1; rest = rest->orelse) {
        rc = walk(p, s, rest->a);
        if (rc == 0)
            rc = walk_list(p, s, rest->body);
    }
    if (rc == 0)
        rc = walk_list(p, s, rest);
    s->branch = outer;
    return rc;
}

static int32_t walk_with_values(struct jparse *p, struct jsyms *s, const struct jnode *n)
{
    int32_t rc = 0;
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next)
        rc = walk(p, s, i->b);
    return rc;
}

static int32_t walk(struct jparse *p, struct jsyms *s, const struct jnode *n)
{
    int32_t rc;
    if (n == NULL)
        return 0;
    switch (n->kind) {
    case JN_NAME:
        return on_read(p, s, n->id);
    case JN_SET:
        rc = walk(p, s, n->b);
        return rc ? rc : walk_target(p, s, n->a);
    case JN_SETBLOCK:
        return walk_target(p, s, n->a);
    case JN_IF:
        return walk_if(p, s, n);
    case JN_FOR:
        return walk(p, s, n->b);
    case JN_MACRO:
        return on_set(p, s, n->id);
    case JN_CALLBLOCK:
        return walk(p, s, n->a);
    case JN_FILTERBLOCK:
        return walk(p, s, n->b);
    case JN_WITH:
        return walk_with_values(p, s, n);
    case JN_SCOPE:
        return 0;
    default:
        return walk_children(p, s, n);
    }
}

static int32_t collect(struct jparse *p, const struct jsyms *s, const int **ret)
{
    size_t n = 0;
    for (const struct jsym *e = s->list; e != NULL; e = e->next)
        n += e->first == FIRST_SET;
    if (n == 0)
        return 0;
    int *ids = tn_j_alloc(&p->run, n + 1, sizeof *ids);
    if (ids == NULL)
        return p->run.rc;
    n = 0;
    for (const struct jsym *e = s->list; e != NULL; e = e->next)
        if (e->first == FIRST_SET)
            ids[n++] = e->id;
    ids[n] = -1;
    *ret = ids;
    return 0;
}

/* ---- all scopes ---- */

static int32_t inner_scopes(struct jparse *p, struct jsyms *s, struct jnode *n);

/* Walks a body whose scope s is prepared, then the scopes inside it. */
static int32_t scope(struct jparse *p, struct jsyms *s, struct jnode *body, const int **ret)
{
    int32_t rc = walk_list(p, s, body);
    if (rc == 0)
        rc = collect(p, s, ret);
    return rc ? rc : inner_scopes(p, s, body);
}

static int32_t for_scopes(struct jparse *p, struct jsyms *outer, struct jnode *n)
{
    struct jsyms body = {.outer = outer}, orelse = {.outer = outer};
    int32_t rc = add(p, &body, p->t->id_loop, FIRST_READ);
    if (rc == 0)
        rc = declare(p, &body, n->a);
    if (rc == 0)
        rc = scope(p, &body, n->body, &n->unset);
    return rc ? rc : scope(p, &orelse, n->orelse, &n->unset_else);
}

static int32_t macro_scope(struct jparse *p, struct jsyms *outer, struct jnode *n)
{
    struct jsyms s = {.outer = outer};
    const int special[] = {p->t->id_caller, p->t->id_kwargs, p->t->id_varargs};
    int32_t rc = 0;
    for (size_t i = 0; rc == 0 && i < 3; i++)
        if (n->op & (i == 0 ? JMACRO_CALLER : i == 1 ? JMACRO_KWARGS : JMACRO_VARARGS))
            rc = add(p, &s, special[i], FIRST_READ);
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next)
        rc = declare(p, &s, i);
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next)
        rc = walk(p, &s, i->a);
    return rc ? rc : scope(p, &s, n->body, &n->unset);
}

static int32_t with_scope(struct jparse *p, struct jsyms *outer, struct jnode *n)
{
    struct jsyms s = {.outer = outer};
    int32_t rc = 0;
    for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next)
        rc = declare(p, &s, i->a);
    return rc ? rc : scope(p, &s, n->body, &n->unset);
}

static int32_t plain_scope(struct jparse *p, struct jsyms *outer, struct jnode *n)
{
    struct jsyms s = {.outer = outer};
    return scope(p, &s, n->body, &n->unset);
}

/* An if is no scope: what is in its branches lies in s. */
static int32_t branch_scopes(struct jparse *p, struct jsyms *s, struct jnode *n)
{
    int32_t rc = inner_scopes(p, s, n->body);
    while (rc == 0 && n->orelse != NULL && n->orelse->kind == JN_IF && n->orelse->op == 1) {
        n = n->orelse;
        rc = inner_scopes(p, s, n->body);
    }
    return rc ? rc : inner_scopes(p, s, n->orelse);
}

static int32_t inner_scopes(struct jparse *p, struct jsyms *s, struct jnode *n)
{
    int32_t rc = 0;
    for (; rc == 0 && n != NULL; n = n->next) {
        switch (n->kind) {
        case JN_IF:
            rc = branch_scopes(p, s, n);
            break;
        case JN_FOR:
            rc = for_scopes(p, s, n);
            break;
        case JN_MACRO:
            rc = macro_scope(p, s, n);
            break;
        case JN_CALLBLOCK:
            rc = macro_scope(p, s, n->b);
            break;
        case JN_WITH:
            rc = with_scope(p, s, n);
            break;
        case JN_SETBLOCK:
        case JN_FILTERBLOCK:
            rc = plain_scope(p, s, n);
            break;
        case JN_SCOPE:
            rc = plain_scope(p, n->op ? NULL : s, n);
            break;
        default:
            break;
        }
    }
    return rc;
}

int32_t tn_j_find_unset(struct jparse *p)
{
    struct jsyms root = {0};
    return scope(p, &root, p->t->body, &p->t->unset);
}
