/* Compiling and rendering chat templates: the entry points that tie lexer,
 * parser and evaluator together. Contract in template.h. */
#include "template.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja_ast.h"
#include "jinja_exec.h"
#include "jinja_filter.h"
#include "jinja_str.h"

/* What a template's source may be, and hold when compiled. */
#define SOURCE_MAX ((size_t)1024 * 1024)
#define COMPILED_MAX ((size_t)1024 * 1024 * 1024)
#define DEPTH_LIMIT 4000

static const struct tn_template_limits default_limits = {
    .memory_bytes = (size_t)256 * 1024 * 1024,
    .output_bytes = (size_t)64 * 1024 * 1024,
    .steps = 100u * 1000 * 1000,
    .depth = 1200,
};

int32_t tn_j_syntax(struct jparse *p, int line, const char *fmt, ...)
{
    char text[320];
    va_list ap;
    if (p->run.rc != 0)
        return p->run.rc;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap); /* cut messages are fine */
    va_end(ap);
    p->run.rc = tenon_fail(p->run.err, TENON_E_INVALID_ARGUMENT, "template",
                           "compiling the chat template failed: line %d: %s", line, text);
    return p->run.rc;
}

/* ---- compiling ---- */

/* Jinja's view of the source: newlines are \n, one at the end is dropped. */
static int32_t normalise(struct jparse *p, const char *src, size_t len)
{
    char *to = tn_j_alloc(&p->run, len + 1, 1);
    size_t n = 0;
    if (to == NULL)
        return p->run.rc;
    for (size_t i = 0; i < len; i++) {
        if (src[i] == '\r' && i + 1 < len && src[i + 1] == '\n')
            i++;
        to[n++] = src[i] == '\r' ? '\n' : src[i];
    }
    p->src = to;
    p->len = n - (n > 0 && to[n - 1] == '\n');
    return 0;
}

static int32_t intern(struct jparse *p, const char *name, int *ret)
{
    struct jtok tok = {.p = name, .len = strlen(name), .line = 1};
    return tn_jp_name_id(p, &tok, ret);
}

static int32_t special_names(struct jparse *p)
{
    struct tn_template *t = p->t;
    int32_t rc = intern(p, "loop", &t->id_loop);
    if (rc == 0)
        rc = intern(p, "caller", &t->id_caller);
    if (rc == 0)
        rc = intern(p, "kwargs", &t->id_kwargs);
    return rc ? rc : intern(p, "varargs", &t->id_varargs);
}

static int32_t compile(struct jparse *p, const char *src, size_t len)
{
    size_t where = 0;
    if (len > SOURCE_MAX)
        return tn_j_syntax(p, 1, "the template is longer than %zu bytes", SOURCE_MAX);
    if (!tn_jstr_valid(src, len, &where))
        return tn_j_syntax(p, 1, "byte %zu is not UTF-8", where);
    int32_t rc = normalise(p, src, len);
    if (rc == 0)
        rc = special_names(p);
    if (rc == 0)
        rc = tn_j_lex(p);
    if (rc == 0)
        rc = tn_j_parse(p);
    if (rc == 0)
        rc = tn_j_check(p);
    return rc ? rc : tn_j_find_unset(p);
}

int32_t tn_template_compile(const char *src, size_t len, struct tn_template **ret, struct tenon_err *err)
{
    struct tn_template *t = calloc(1, sizeof *t);
    if (t == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "template",
                          "compiling the chat template failed: out of memory");
    struct jparse p = {.t = t, .run = {.lim = default_limits, .err = err}};
    p.run.lim.memory_bytes = COMPILED_MAX;
    p.run.lim.steps = UINT64_MAX;
    tn_arena_init(&p.run.arena, COMPILED_MAX);
    int32_t rc = compile(&p, src, len);
    t->arena = p.run.arena; /* all nodes, names and constants were made there */
    if (rc != 0) {
        tn_template_destroy(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void tn_template_destroy(struct tn_template *t)
{
    if (t == NULL)
        return;
    tn_arena_finish(&t->arena);
    free(t);
}

/* ---- rendering ---- */

static struct tn_template_limits effective(const struct tn_template_limits *given)
{
    struct tn_template_limits l = default_limits;
    if (given == NULL)
        return l;
    l.memory_bytes = given->memory_bytes ? given->memory_bytes : l.memory_bytes;
    l.output_bytes = given->output_bytes ? given->output_bytes : l.output_bytes;
    l.steps = given->steps ? given->steps : l.steps;
    l.depth = given->depth ? given->depth : l.depth;
    if (l.depth > DEPTH_LIMIT)
        l.depth = DEPTH_LIMIT; /* what the C stack is sure to hold */
    l.now = given->now;
    return l;
}

/* Binds each name the template mentions to a variable or a global. */
static int32_t make_context(struct jrun *r, const struct jdict *vars)
{
    const struct tn_template *t = r->tmpl;
    r->context = tn_j_alloc(r, (size_t)t->nnames, sizeof *r->context);
    for (int i = 0; r->context != NULL && i < t->nnames; i++) {
        struct jv *v;
        int32_t rc = tn_j_dict_get(r, vars, t->names[i], &v);
        if (rc != 0)
            return rc;
        const struct jbuiltin *b = tn_j_builtin_find(t->names[i].s->p, t->names[i].s->len);
        if (v != NULL)
            r->context[i] = *v;
        else if (b != NULL)
            r->context[i] = (struct jv){.type = JV_BUILTIN, .builtin = b};
    }
    return r->rc;
}

static int32_t render(struct jrun *r, const char *json, size_t len)
{
    struct jv vars;
    enum jflow flow;
    int32_t rc = tn_j_json_read(r, json, len, &vars);
    if (rc == 0 && vars.type != JV_DICT)
        rc = r->rc = tenon_fail(r->err, TENON_E_INVALID_ARGUMENT, "template",
                                "reading the template's variables failed: not a JSON object: give one");
    if (rc == 0)
        rc = make_context(r, vars.dict);
    if (rc == 0) {
        r->root = r->scope = tn_j_scope_new(r, NULL, r->tmpl->unset);
        rc = r->rc;
    }
    return rc ? rc : tn_j_exec_list(r, r->tmpl->body, &flow);
}

int32_t tn_template_render_json(const struct tn_template *t, const char *json, size_t len,
                                const struct tn_template_limits *limits, struct tn_buf *out, struct tenon_err *err)
{
    struct tn_buf text;
    struct jrun r = {.tmpl = t, .lim = effective(limits), .err = err, .out = &text, .line = 1};
    tn_buf_init(&text, 0);
    tn_arena_init(&r.arena, r.lim.memory_bytes);
    int32_t rc = render(&r, json, len);
    if (rc == 0 && tn_buf_append(out, text.data, text.len) != 0)
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "template",
                        "rendering the chat template failed: no room for its %zu bytes", text.len);
    tn_arena_finish(&r.arena);
    tn_buf_finish(&text);
    return rc;
}
