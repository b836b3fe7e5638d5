/* What both halves of the parser stand on: where they are among the tokens,
 * how deep they are, and the making of nodes. */
#include <string.h>

#include "jinja_ast.h"

#define DEPTH_MAX 200
#define NAMES_MAX 4096

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

bool tn_jp_op_at(const struct jparse *p, size_t pos, int op)
{
    return pos < p->ntoks && p->toks[pos].type == JT_OP && p->toks[pos].op == op;
}

bool tn_jp_name_at(const struct jparse *p, size_t pos, const char *name)
{
    return pos < p->ntoks && p->toks[pos].type == JT_NAME && p->toks[pos].len == strlen(name) &&
           memcmp(p->toks[pos].p, name, p->toks[pos].len) == 0;
}

bool tn_jp_is_op(struct jparse *p, int op)
{
    return tn_jp_op_at(p, p->pos, op);
}

bool tn_jp_is_name(struct jparse *p, const char *name)
{
    return tn_jp_name_at(p, p->pos, name);
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

int32_t tn_jp_join(struct jparse *p, enum jkind kind, int op, int line, struct jnode *a, struct jnode *b,
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
