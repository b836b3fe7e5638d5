/* The parser's statement half: tags and the text between them. Tags that load
 * other templates are refused: a chat template stands alone. */
#include <string.h>

#include "jinja_ast.h"
#include "jinja_filter.h"

static int32_t parse_body(struct jparse *p, const char *const *ends, struct jnode **ret);

/* ---- bodies ---- */

static bool at_end_tag(struct jparse *p, const char *const *ends)
{
    for (; *ends != NULL; ends++)
        if (tn_jp_is_name(p, *ends))
            return true;
    return false;
}

/* A body up to one of ends (NULL-ended); stands behind that name afterwards,
 * *ret_end says which it was. */
static int32_t body_until(struct jparse *p, const char *const *ends, struct jnode **ret, const struct jtok **ret_end)
{
    (void)tn_jp_skip_op(p, ':'); /* allowed before the tag's end, as in Python */
    int32_t rc = tn_jp_expect(p, JT_BLOCK_END, "the end of the tag");
    if (rc == 0)
        rc = parse_body(p, ends, ret);
    const struct jtok *end = tn_jp_tok(p);
    if (rc == 0)
        tn_jp_next(p);
    if (ret_end != NULL)
        *ret_end = end;
    return rc;
}

static bool tok_is(const struct jtok *t, const char *name)
{
    return t->len == strlen(name) && memcmp(t->p, name, t->len) == 0;
}

/* ---- targets and signatures ---- */

static int32_t check_target(struct jparse *p, const struct jnode *n)
{
    int32_t rc = 0;
    if (n->kind == JN_TUPLE) {
        for (const struct jnode *i = n->list; rc == 0 && i != NULL; i = i->next)
            rc = check_target(p, i);
        return rc;
    }
    if (n->kind != JN_NAME && n->kind != JN_NSREF)
        return tn_j_syntax(p, n->line, "cannot assign to this");
    return 0;
}

static int32_t parse_target(struct jparse *p, const struct jtuple_rules *rules, struct jnode **ret)
{
    int32_t rc = tn_jp_tuple(p, rules, ret);
    return rc ? rc : check_target(p, *ret);
}

static int32_t parse_param(struct jparse *p, bool *need_default, struct jnode **ret)
{
    const struct jtok *t = tn_jp_tok(p);
    struct jnode *n;
    int32_t rc = tn_jp_expect(p, JT_NAME, "a parameter's name");
    if (rc != 0)
        return rc;
    *ret = n = tn_jp_node(p, JN_PARAM, t->line);
    if (n == NULL)
        return p->run.rc;
    rc = tn_jp_name_id(p, t, &n->id);
    if (rc == 0)
        n->val = p->t->names[n->id];
    if (rc == 0 && tn_jp_skip_op(p, '=')) {
        *need_default = true;
        rc = tn_jp_expr(p, &n->a);
    } else if (rc == 0 && *need_default) {
        rc = tn_j_syntax(p, t->line, "a parameter without default follows one with a default");
    }
    return rc;
}

static int32_t parse_signature(struct jparse *p, struct jnode **ret)
{
    bool need_default = false, first = true;
    int32_t rc = tn_jp_expect_op(p, '(');
    for (; rc == 0 && !tn_jp_is_op(p, ')'); first = false) {
        if (!first)
            rc = tn_jp_expect_op(p, ',');
        if (rc == 0)
            rc = parse_param(p, &need_default, ret);
        if (rc == 0)
            ret = &(*ret)->next;
    }
    return rc ? rc : tn_jp_expect_op(p, ')');
}

static bool has_param(const struct jnode *macro, int id, bool *ret_default)
{
    for (const struct jnode *n = macro->list; n != NULL; n = n->next)
        if (n->id == id) {
            *ret_default = n->a != NULL;
            return true;
        }
    return false;
}

/* The body of a macro or of a call block's caller, with the flags of the
 * special names it uses. */
static int32_t macro_body(struct jparse *p, struct jnode *macro, const char *const *ends)
{
    int outer_flags = p->macro_flags;
    bool outer_loop = p->in_loop, has_default;
    p->macro_flags = 0;
    p->in_loop = false;
    int32_t rc = body_until(p, ends, &macro->body, NULL);
    macro->op = p->macro_flags;
    p->macro_flags |= outer_flags;
    p->in_loop = outer_loop;
    if (rc == 0 && (macro->op & JMACRO_CALLER) && has_param(macro, p->t->id_caller, &has_default)) {
        if (!has_default)
            return tn_j_syntax(p, macro->line, "the parameter 'caller' of a macro needs a default or must be left out");
        macro->op &= ~JMACRO_CALLER;
    }
    if (has_param(macro, p->t->id_kwargs, &has_default))
        macro->op &= ~JMACRO_KWARGS;
    if (has_param(macro, p->t->id_varargs, &has_default))
        macro->op &= ~JMACRO_VARARGS;
    return rc;
}

/* ---- statements; each stands behind its tag's name ---- */

static int32_t parse_set(struct jparse *p, struct jnode *n)
{
    static const struct jtuple_rules target = {.simple = true, .nsref = true}, value = {0};
    int32_t rc = parse_target(p, &target, &n->a);
    if (rc != 0)
        return rc;
    n->kind = JN_SET;
    if (tn_jp_skip_op(p, '='))
        return tn_jp_tuple(p, &value, &n->b);
    n->kind = JN_SETBLOCK;
    rc = tn_jp_filters(p, NULL, false, &n->b);
    return rc ? rc : body_until(p, (const char *const[]){"endset", NULL}, &n->body, NULL);
}

static int32_t parse_if(struct jparse *p, struct jnode *n)
{
    static const struct jtuple_rules test = {.no_cond = true};
    const struct jtok *end;
    n->kind = JN_IF;
    int32_t rc = tn_jp_tuple(p, &test, &n->a);
    if (rc == 0)
        rc = body_until(p, (const char *const[]){"elif", "else", "endif", NULL}, &n->body, &end);
    while (rc == 0 && tok_is(end, "elif")) {
        n->orelse = tn_jp_node(p, JN_IF, end->line);
        if (n->orelse == NULL)
            return p->run.rc;
        n = n->orelse;
        n->op = 1; /* an elif: the evaluator loops over these instead of nesting */
        rc = tn_jp_tuple(p, &test, &n->a);
        if (rc == 0)
            rc = body_until(p, (const char *const[]){"elif", "else", "endif", NULL}, &n->body, &end);
    }
    if (rc == 0 && tok_is(end, "else"))
        rc = body_until(p, (const char *const[]){"endif", NULL}, &n->orelse, NULL);
    return rc;
}

static int32_t parse_for_head(struct jparse *p, struct jnode *n)
{
    static const struct jtuple_rules target = {.simple = true, .stop = "in"},
                                     iter = {.no_cond = true, .stop = "recursive"};
    int32_t rc = parse_target(p, &target, &n->a);
    if (rc == 0 && n->a->kind == JN_NAME && n->a->id == p->t->id_loop)
        return tn_j_syntax(p, n->line, "cannot assign to the special variable 'loop'");
    if (rc == 0 && !tn_jp_skip_name(p, "in"))
        return tn_jp_unexpected(p, "'in'");
    if (rc == 0)
        rc = tn_jp_tuple(p, &iter, &n->b);
    if (rc == 0 && tn_jp_skip_name(p, "if"))
        rc = tn_jp_expr(p, &n->c);
    n->op = rc == 0 && tn_jp_skip_name(p, "recursive");
    return rc;
}

static int32_t parse_for(struct jparse *p, struct jnode *n)
{
    const struct jtok *end;
    bool outer_loop = p->in_loop;
    n->kind = JN_FOR;
    int32_t rc = parse_for_head(p, n);
    if (rc != 0)
        return rc;
    p->in_loop = true;
    rc = body_until(p, (const char *const[]){"endfor", "else", NULL}, &n->body, &end);
    p->in_loop = outer_loop;
    if (rc == 0 && tok_is(end, "else"))
        rc = body_until(p, (const char *const[]){"endfor", NULL}, &n->orelse, NULL);
    return rc;
}

static int32_t parse_macro(struct jparse *p, struct jnode *n)
{
    const struct jtok *t = tn_jp_tok(p);
    n->kind = JN_MACRO;
    int32_t rc = tn_jp_expect(p, JT_NAME, "the macro's name");
    if (rc == 0)
        rc = tn_jp_name_id(p, t, &n->id);
    if (rc != 0)
        return rc;
    n->val = p->t->names[n->id];
    rc = parse_signature(p, &n->list);
    return rc ? rc : macro_body(p, n, (const char *const[]){"endmacro", NULL});
}

static int32_t parse_call_block(struct jparse *p, struct jnode *n)
{
    int32_t rc = 0;
    n->kind = JN_CALLBLOCK;
    n->b = tn_jp_node(p, JN_MACRO, n->line);
    if (n->b == NULL)
        return p->run.rc;
    if (tn_jp_is_op(p, '('))
        rc = parse_signature(p, &n->b->list);
    if (rc == 0)
        rc = tn_jp_expr(p, &n->a);
    if (rc == 0 && n->a->kind != JN_CALL)
        rc = tn_j_syntax(p, n->line, "a call block needs a call");
    return rc ? rc : macro_body(p, n->b, (const char *const[]){"endcall", NULL});
}

static int32_t parse_filter_block(struct jparse *p, struct jnode *n)
{
    n->kind = JN_FILTERBLOCK;
    int32_t rc = tn_jp_filters(p, NULL, true, &n->b);
    return rc ? rc : body_until(p, (const char *const[]){"endfilter", NULL}, &n->body, NULL);
}

static int32_t parse_with(struct jparse *p, struct jnode *n)
{
    static const struct jtuple_rules target = {.simple = true};
    struct jnode **end = &n->list;
    int32_t rc = 0;
    n->kind = JN_WITH;
    while (rc == 0 && tn_jp_tok(p)->type != JT_BLOCK_END) {
        if (end != &n->list)
            rc = tn_jp_expect_op(p, ',');
        *end = rc == 0 ? tn_jp_node(p, JN_PAIR, n->line) : NULL;
        if (*end == NULL)
            return rc ? rc : p->run.rc;
        rc = parse_target(p, &target, &(*end)->a);
        if (rc == 0)
            rc = tn_jp_expect_op(p, '=');
        if (rc == 0)
            rc = tn_jp_expr(p, &(*end)->b);
        if (rc == 0)
            end = &(*end)->next;
    }
    return rc ? rc : body_until(p, (const char *const[]){"endwith", NULL}, &n->body, NULL);
}

static int32_t parse_print(struct jparse *p, struct jnode *n)
{
    struct jnode *all = tn_jp_node(p, JN_CONCAT, n->line);
    int32_t rc = all == NULL ? p->run.rc : 0;
    struct jnode **end = all == NULL ? NULL : &all->list;
    n->kind = JN_PRINT;
    n->a = all;
    while (rc == 0 && tn_jp_tok(p)->type != JT_BLOCK_END) {
        if (end != &all->list)
            rc = tn_jp_expect_op(p, ',');
        if (rc == 0)
            rc = tn_jp_expr(p, end);
        if (rc == 0)
            end = &(*end)->next;
    }
    return rc;
}

/* Parts of a scope of their own that nothing may break out of. */
static int32_t scope_body(struct jparse *p, struct jnode *n, const char *end)
{
    bool outer_loop = p->in_loop;
    n->kind = JN_SCOPE;
    p->in_loop = false;
    int32_t rc = body_until(p, (const char *const[]){end, NULL}, &n->body, NULL);
    p->in_loop = outer_loop;
    return rc;
}

static int32_t parse_generation(struct jparse *p, struct jnode *n)
{
    return scope_body(p, n, "endgeneration");
}

static int32_t parse_block(struct jparse *p, struct jnode *n)
{
    const struct jtok *t = tn_jp_tok(p);
    int32_t rc = tn_jp_expect(p, JT_NAME, "the block's name");
    n->op = !tn_jp_skip_name(p, "scoped"); /* unscoped blocks see the top level alone */
    if (rc == 0)
        rc = scope_body(p, n, "endblock");
    const struct jtok *again = tn_jp_tok(p); /* "endblock name" */
    if (rc == 0 && again->type == JT_NAME && again->len == t->len && memcmp(again->p, t->p, t->len) == 0)
        tn_jp_next(p);
    return rc;
}

static int32_t parse_autoescape(struct jparse *p, struct jnode *n)
{
    int32_t rc = tn_jp_expr(p, &n->a);
    if (rc == 0 && (n->a->kind != JN_CONST || n->a->val.type != JV_BOOL || n->a->val.b))
        return tn_j_syntax(p, n->line, "autoescape can only be false: chat templates make no HTML");
    n->a = NULL;
    return rc ? rc : scope_body(p, n, "endautoescape");
}

static int32_t parse_break(struct jparse *p, struct jnode *n)
{
    n->kind = JN_BREAK;
    return p->in_loop ? 0 : tn_j_syntax(p, n->line, "'break' outside of a loop");
}

static int32_t parse_continue(struct jparse *p, struct jnode *n)
{
    n->kind = JN_CONTINUE;
    return p->in_loop ? 0 : tn_j_syntax(p, n->line, "'continue' outside of a loop");
}

static int32_t refuse(struct jparse *p, struct jnode *n)
{
    return tn_j_syntax(p, n->line, "chat templates cannot load other templates: put everything into one");
}

static const struct {
    const char *tag;
    int32_t (*parse)(struct jparse *p, struct jnode *n);
} statements[] = {
    {"set", parse_set},
    {"if", parse_if},
    {"for", parse_for},
    {"macro", parse_macro},
    {"call", parse_call_block},
    {"filter", parse_filter_block},
    {"with", parse_with},
    {"print", parse_print},
    {"generation", parse_generation},
    {"block", parse_block},
    {"autoescape", parse_autoescape},
    {"break", parse_break},
    {"continue", parse_continue},
    {"include", refuse},
    {"import", refuse},
    {"from", refuse},
    {"extends", refuse},
};

static int32_t parse_statement(struct jparse *p, struct jnode **ret)
{
    const struct jtok *t = tn_jp_tok(p);
    int32_t rc = tn_jp_expect(p, JT_NAME, "a tag's name");
    *ret = rc == 0 ? tn_jp_node(p, JN_DATA, t->line) : NULL;
    if (*ret == NULL)
        return rc ? rc : p->run.rc;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (tok_is(t, statements[i].tag)) {
            rc = tn_jp_deeper(p);
            if (rc == 0) {
                rc = statements[i].parse(p, *ret);
                p->depth--;
            }
            return rc ? rc : tn_jp_expect(p, JT_BLOCK_END, "the end of the tag");
        }
    return tn_j_syntax(p, t->line, "unknown tag '%.*s'", (int)(t->len < 40 ? t->len : 40), t->p);
}

static int32_t parse_data(struct jparse *p, struct jnode **ret)
{
    const struct jtok *t = tn_jp_next(p);
    *ret = tn_jp_node(p, JN_DATA, t->line);
    return *ret == NULL ? p->run.rc : tn_j_str_copy(&p->run, t->p, t->len, &(*ret)->val);
}

static int32_t parse_output(struct jparse *p, struct jnode **ret)
{
    static const struct jtuple_rules value = {0};
    *ret = tn_jp_node(p, JN_PRINT, tn_jp_next(p)->line);
    if (*ret == NULL)
        return p->run.rc;
    int32_t rc = tn_jp_tuple(p, &value, &(*ret)->a);
    return rc ? rc : tn_jp_expect(p, JT_VAR_END, "the end of the tag");
}

static int32_t parse_body(struct jparse *p, const char *const *ends, struct jnode **ret)
{
    int line = tn_jp_tok(p)->line;
    for (int32_t rc = 0; rc == 0; ret = rc == 0 ? &(*ret)->next : ret) {
        const struct jtok *t = tn_jp_tok(p);
        if (t->type == JT_EOF)
            return *ends == NULL ? 0 : tn_j_syntax(p, line, "the template ends before '%s'", *ends);
        if (t->type == JT_BLOCK_BEGIN) {
            tn_jp_next(p);
            if (at_end_tag(p, ends))
                return 0;
            rc = parse_statement(p, ret);
        } else {
            rc = t->type == JT_DATA ? parse_data(p, ret) : parse_output(p, ret);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

int32_t tn_j_parse(struct jparse *p)
{
    return parse_body(p, (const char *const[]){NULL}, &p->t->body);
}
