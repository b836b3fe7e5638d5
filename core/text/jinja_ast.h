/* Private to core/text: tokens, the syntax tree, and a compiled template.
 *
 * The tree lives in the template's arena and never changes after parsing.
 * Names of variables are numbered so that the evaluator compares ints. */
#ifndef TN_TEXT_JINJA_AST_H
#define TN_TEXT_JINJA_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jinja_value.h"

/* ---- tokens ---- */

enum jtok_type {
    JT_EOF,
    JT_DATA, /* text outside tags */
    JT_BLOCK_BEGIN,
    JT_BLOCK_END,
    JT_VAR_BEGIN,
    JT_VAR_END,
    JT_NAME,
    JT_STRING, /* escapes resolved */
    JT_INT,
    JT_FLOAT,
    JT_OP, /* op says which */
};

/* Operators of one character are that character. */
enum jop { JOP_EQ = 256, JOP_NE, JOP_LE, JOP_GE, JOP_FLOORDIV, JOP_POW, JOP_IN, JOP_NOT_IN };

struct jtok {
    enum jtok_type type;
    int op;
    int line;
    const char *p; /* [len] text; strings: the value */
    size_t len;
    double f;
};

/* ---- tree ---- */

enum jkind {
    /* expressions */
    JN_CONST,   /* val */
    JN_NAME,    /* id */
    JN_LIST,    /* list */
    JN_TUPLE,   /* list */
    JN_DICT,    /* list of JN_PAIR */
    JN_PAIR,    /* a: b */
    JN_NOT,     /* a */
    JN_NEG,     /* a */
    JN_POS,     /* a */
    JN_AND,     /* a, b */
    JN_OR,      /* a, b */
    JN_BINARY,  /* a op b */
    JN_CONCAT,  /* list */
    JN_COMPARE, /* a, list of JN_OPERAND */
    JN_OPERAND, /* op, a */
    JN_COND,    /* b if a else c (c NULL: undefined) */
    JN_GETATTR, /* a . val */
    JN_GETITEM, /* a [b] */
    JN_SLICE,   /* a : b : c, each may be NULL */
    JN_CALL,    /* a (list of JN_ARG) */
    JN_ARG,     /* a; op: JARG_*, val: the keyword */
    JN_FILTER,  /* a | name val, list of JN_ARG; a NULL in filter blocks */
    JN_TEST,    /* a is name val, list of JN_ARG */
    JN_NSREF,   /* target: id . val */
    /* statements */
    JN_DATA,        /* val */
    JN_PRINT,       /* a */
    JN_IF,          /* a, body, orelse */
    JN_FOR,         /* a target, b iter, c test or NULL, body, orelse; op: recursive */
    JN_SET,         /* a target, b value */
    JN_SETBLOCK,    /* a target, b filter or NULL, body */
    JN_MACRO,       /* id, val name, list of JN_PARAM, body; op: JMACRO_* flags */
    JN_PARAM,       /* id, val name, a default or NULL */
    JN_CALLBLOCK,   /* a call, b the caller as JN_MACRO */
    JN_FILTERBLOCK, /* b filter, body */
    JN_WITH,        /* list of JN_PAIR (target, value), body */
    JN_SCOPE,       /* body in its own scope */
    JN_BREAK,
    JN_CONTINUE,
};

enum { JARG_POS, JARG_KEYWORD, JARG_STAR, JARG_STAR2 };
enum { JMACRO_CALLER = 1, JMACRO_KWARGS = 2, JMACRO_VARARGS = 4 };

struct jnode {
    uint8_t kind;
    int op;
    int line;
    int id; /* a name's number */
    struct jv val;
    struct jnode *a, *b, *c;
    struct jnode *list; /* first child, linked by next */
    struct jnode *body, *orelse;
    struct jnode *next;
    const int *unset;      /* what the scope of body hides (jinja_unset.c): ids, -1 ends; NULL: nothing */
    const int *unset_else; /* the same of a for's orelse */
    const void *impl;      /* JN_FILTER, JN_TEST: the function, NULL if unknown */
};

struct tn_template {
    struct tn_arena arena;
    struct jnode *body;
    const int *unset; /* what the top level hides, as in jnode */
    struct jv *names; /* [nnames] strings */
    int nnames, cap_names;
    int id_loop, id_caller, id_kwargs, id_varargs;
};

/* ---- stages ---- */

/* What lexer and parser work on; errors go to err with the line. */
struct jparse {
    struct tn_template *t;
    struct jrun run; /* only its arena, rc, err and line: to make constants */
    const char *src; /* [len] newlines normalised */
    size_t len;
    struct jtok *toks; /* [ntoks], the last is JT_EOF */
    size_t ntoks, captoks, pos;
    int depth;       /* nesting of the parser itself */
    bool in_loop;    /* break and continue are allowed */
    int macro_flags; /* JMACRO_* seen in the macro being parsed */
};

int32_t tn_j_syntax(struct jparse *p, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Fills p->toks from p->src. */
int32_t tn_j_lex(struct jparse *p);

/* Parses all tokens to p->t->body. */
int32_t tn_j_parse(struct jparse *p);

/* Checks the tree's height, so that walking it cannot exhaust the stack, and
 * fails on unknown filters and tests where Jinja does so before rendering. */
int32_t tn_j_check(struct jparse *p);

/* Fills in every `unset`. */
int32_t tn_j_find_unset(struct jparse *p);

/* ---- shared by the parser's files ---- */

struct jtok *tn_jp_tok(struct jparse *p);
struct jtok *tn_jp_next(struct jparse *p); /* the current one, then advances */
bool tn_jp_op_at(const struct jparse *p, size_t pos, int op);
bool tn_jp_name_at(const struct jparse *p, size_t pos, const char *name);
bool tn_jp_is_op(struct jparse *p, int op);
bool tn_jp_is_name(struct jparse *p, const char *name);
bool tn_jp_skip_op(struct jparse *p, int op);
bool tn_jp_skip_name(struct jparse *p, const char *name);
int32_t tn_jp_expect_op(struct jparse *p, int op);
int32_t tn_jp_expect(struct jparse *p, enum jtok_type type, const char *what);
int32_t tn_jp_unexpected(struct jparse *p, const char *wanted);
/* Bounds the parser's recursion: when it succeeds, p->depth-- must follow. */
int32_t tn_jp_deeper(struct jparse *p);
struct jnode *tn_jp_node(struct jparse *p, enum jkind kind, int line);
/* A node of kind over a and b. */
int32_t tn_jp_join(struct jparse *p, enum jkind kind, int op, int line, struct jnode *a, struct jnode *b,
                   struct jnode **ret);
int32_t tn_jp_name_id(struct jparse *p, const struct jtok *tok, int *ret);

struct jtuple_rules {
    bool simple;      /* only names and literals: assignment targets */
    bool no_cond;     /* no inline if */
    bool empty_ok;    /* in parentheses */
    bool nsref;       /* a.b is a namespace target */
    const char *stop; /* a name that ends the tuple, or NULL */
};
int32_t tn_jp_tuple(struct jparse *p, const struct jtuple_rules *rules, struct jnode **ret);
int32_t tn_jp_expr(struct jparse *p, struct jnode **ret);
/* An expression without inline if at its top. */
int32_t tn_jp_or(struct jparse *p, struct jnode **ret);
int32_t tn_jp_primary(struct jparse *p, bool nsref, struct jnode **ret);
/* What stands behind the value n: .name, [x] and (args); then |filter and is test, too. */
int32_t tn_jp_postfix(struct jparse *p, struct jnode *n, struct jnode **ret);
int32_t tn_jp_filter_expr(struct jparse *p, struct jnode *n, struct jnode **ret);
/* Filters behind a value; a may be NULL and then the first needs no '|'. */
int32_t tn_jp_filters(struct jparse *p, struct jnode *a, bool inline_first, struct jnode **ret);

#endif
