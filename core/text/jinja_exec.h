/* Private to core/text: the evaluator's parts and what they share.
 *
 * jinja_eval.c evaluates expressions, jinja_exec.c runs statements,
 * jinja_loop.c is the for loop, jinja_call.c calls things and makes macros,
 * jinja_access.c looks up attributes and items, jinja_ops.c does operators. */
#ifndef TN_TEXT_JINJA_EXEC_H
#define TN_TEXT_JINJA_EXEC_H

#include "jinja_ast.h"
#include "jinja_value.h"

struct jvar {
    int id;
    struct jv val;
    struct jvar *next;
};

struct jscope {
    struct jscope *parent;
    struct jvar *vars;
};

/* The state behind the variable `loop`. */
struct jloop {
    const struct jnode *node;
    struct jscope *outer; /* where the loop stands */
    struct jv iterable;
    struct jiter it;
    int64_t index0; /* -1 before the first item */
    int64_t length; /* -1 while unknown */
    int64_t depth0;
    struct jv prev, current, after;
    bool has_after, ended;
    struct jv changed; /* the last arguments of loop.changed, a tuple */
    bool has_changed;
};

struct jmacro {
    const struct jnode *node;
    struct jscope *scope; /* where it was defined */
};

/* What a statement did besides failing. */
enum jflow { JFLOW_NEXT, JFLOW_BREAK, JFLOW_CONTINUE };

/* ---- expressions ---- */
int32_t tn_j_eval(struct jrun *r, const struct jnode *n, struct jv *ret);

/* ---- statements ---- */
int32_t tn_j_exec_list(struct jrun *r, const struct jnode *n, enum jflow *ret);
int32_t tn_j_assign(struct jrun *r, const struct jnode *target, struct jv v);
int32_t tn_j_set_var(struct jrun *r, int id, struct jv v);
/* hide: ids that are undefined there until set, whatever is outside; may be NULL. */
struct jscope *tn_j_scope_new(struct jrun *r, struct jscope *parent, const int *hide);
int32_t tn_j_emit(struct jrun *r, const char *p, size_t len);

/* Collects output into *b instead, between the two calls; end restores what
 * was before and makes the text a string. rc as in tn_j_str_take. */
struct jcapture {
    struct tn_buf b;
    struct tn_buf *out;
    bool capturing;
};
void tn_j_capture(struct jrun *r, struct jcapture *c);
int32_t tn_j_capture_end(struct jrun *r, int32_t rc, struct jcapture *c, struct jv *ret);

/* ---- loops ---- */
int32_t tn_j_exec_for(struct jrun *r, const struct jnode *n, enum jflow *flow);
int32_t tn_j_loop_attr(struct jrun *r, struct jloop *l, const char *name, size_t len, struct jv *ret, bool *ret_found);
int32_t tn_j_loop_call(struct jrun *r, struct jloop *l, const struct jargs *a, struct jv *ret);
int32_t tn_j_loop_repr(struct jrun *r, struct tn_buf *b, struct jloop *l);

/* ---- calls ---- */
int32_t tn_j_call(struct jrun *r, struct jv fn, const struct jargs *a, struct jv *ret);
/* Evaluates JN_ARG nodes; extra_caller: NULL or a `caller` to pass by name. */
int32_t tn_j_args(struct jrun *r, const struct jnode *list, const struct jv *extra_caller, struct jargs *ret);
int32_t tn_j_macro_new(struct jrun *r, const struct jnode *n, struct jv *ret);
int32_t tn_j_macro_repr(struct jrun *r, struct tn_buf *b, const struct jmacro *m);

/* ---- access ---- */
int32_t tn_j_getattr(struct jrun *r, struct jv obj, struct jv name, struct jv *ret);
int32_t tn_j_getitem(struct jrun *r, struct jv obj, struct jv key, struct jv *ret);
/* Attributes alone, without falling back to items: the attr filter. */
int32_t tn_j_attr_only(struct jrun *r, struct jv obj, struct jv name, struct jv *ret, bool *ret_found);
/* start, stop, step: JV_NONE for absent ones. */
int32_t tn_j_slice(struct jrun *r, struct jv obj, struct jv start, struct jv stop, struct jv step, struct jv *ret);
/* "a.b.0" or an integer, as filters take attributes; dflt replaces undefined. */
int32_t tn_j_attr_path(struct jrun *r, struct jv obj, struct jv path, const struct jv *dflt, struct jv *ret);

/* ---- operators ---- */
int32_t tn_j_binary(struct jrun *r, int op, struct jv a, struct jv b, struct jv *ret);
int32_t tn_j_negate(struct jrun *r, struct jv a, bool minus, struct jv *ret);
int32_t tn_j_compare(struct jrun *r, int op, struct jv a, struct jv b, bool *ret);
int32_t tn_j_contains(struct jrun *r, struct jv item, struct jv container, bool *ret);

#endif
