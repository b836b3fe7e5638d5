/* signature.h - op signatures as data: parsing the notation of <tenon/ops.h>, and inferring and checking types by it.
 *
 *     struct tn_signature sig;
 *     if (tn_signature_parse(desc->signature, desc->attrs, &sig, err) != 0) return err->code;
 *     struct tn_op_use use = {.sig = &sig, .op = "core.matmul/1", .where = "layer.attn_q", .in = types, .n_in = 2,
 *                             .attrs = attrs, .n_attrs = 0, .issues = &issues};
 *     tn_signature_infer(&use);                    // use.out[0] is act[T, 576]; complaints in issues
 *
 * [any-thread] for different structs.
 */
#ifndef TN_GRAPH_SIGNATURE_H
#define TN_GRAPH_SIGNATURE_H

#include <stdbool.h>

#include "core/graph/issues.h"

#include <tenon/graph.h>
#include <tenon/ops.h>

#define TN_SIG_OPERANDS 16u
#define TN_SIG_DIMS 7u
#define TN_SIG_ATTRS 16u

/* dtypes of a signature beyond TENON_DTYPE_*. */
#define TN_SIG_NUM 100
#define TN_SIG_ANY 101
#define TN_SIG_LIKE 102

enum tn_sig_dim_kind { TN_SIG_CONST, TN_SIG_NAME, TN_SIG_SYMBOL, TN_SIG_ATTR, TN_SIG_ELLIPSIS };

/* scale * (name | symbol | attribute) + shift, or the constant shift. */
struct tn_sig_dim {
    enum tn_sig_dim_kind kind;
    int32_t sym; /* SYMBOL: TENON_SYM_* */
    int64_t scale, shift;
    char name[16]; /* NAME, ATTR */
};

struct tn_sig_operand {
    char name[20];
    char like[20];     /* LIKE: the operand whose dtype it has */
    int32_t dtype;     /* TENON_DTYPE_* or TN_SIG_* */
    bool optional;
    bool rule;         /* [@]: shape by the op's rule */
    uint32_t n_dims;
    struct tn_sig_dim dims[TN_SIG_DIMS];
};

struct tn_sig_attr {
    char name[24];
    char type; /* i f s d l */
    bool has_default;
    double number; /* default of i and f */
    char text[16]; /* default of s */
};

struct tn_signature {
    uint32_t n_in, n_out, n_attrs;
    struct tn_sig_operand in[TN_SIG_OPERANDS], out[TN_SIG_OPERANDS];
    struct tn_sig_attr attrs[TN_SIG_ATTRS];
};

/* INVALID_ARGUMENT, saying at which text, when the notation is broken. */
int32_t tn_signature_parse(const char *signature, const char *attrs, struct tn_signature *ret, struct tenon_err *err);

/* Type of a value. dtype 0: absent. */
struct tn_type {
    int32_t dtype;
    uint32_t rank;
    struct tenon_dim dims[TENON_RANK_MAX];
};

/* One use of an op: what goes in, what comes out. */
struct tn_op_use {
    const struct tn_signature *sig;
    const char *op;              /* id, chooses the rules of rules.h */
    const char *where;           /* for messages: "layer.attn_q" */
    const struct tn_type *in;    /* [n_in] */
    const struct tenon_attr *attrs; /* [n_attrs] */
    uint32_t n_in, n_attrs;
    struct tn_issues *issues;
    struct tn_type out[TN_SIG_OPERANDS]; /* [sig->n_out] result; dtype 0 where it could not be inferred */
};

/* Check operands and attributes and fill use->out. Returns the number of issues added. */
uint32_t tn_signature_infer(struct tn_op_use *use);

/* Attributes of a use, defaults of the signature applied. */
int64_t tn_use_i64(const struct tn_op_use *use, const char *name);
double tn_use_f64(const struct tn_op_use *use, const char *name);
const char *tn_use_str(const struct tn_op_use *use, const char *name);
const struct tenon_attr *tn_use_attr(const struct tn_op_use *use, const char *name); /* NULL: not given */

/* Number of an operand by name, UINT32_MAX when the signature has none. */
uint32_t tn_signature_in(const struct tn_signature *sig, const char *name);

/* Text of types for messages and dumps: "act[T,576]", "S+1", "2*T". Cut when `size` is too small. Return buf. */
#define TN_TYPE_TEXT 160u
char *tn_dim_text(const struct tenon_dim *dim, char *buf, size_t size);
char *tn_type_text(const struct tn_type *type, char *buf, size_t size);
const char *tn_dtype_name(int32_t dtype); /* "?" for a number that is none */

static inline bool tn_dim_equal(const struct tenon_dim *a, const struct tenon_dim *b)
{
    return a->sym == b->sym && a->b == b->b && (a->sym == TENON_SYM_NONE || a->a == b->a);
}
static inline struct tenon_dim tn_dim_const(int64_t n) { return (struct tenon_dim){0, n, TENON_SYM_NONE, 0}; }
static inline struct tenon_dim tn_dim_sym(int32_t sym) { return (struct tenon_dim){1, 0, sym, 0}; }

#endif
