/* decompose.h - the decomposition of every core composite into tier 0, as code: the table's words are in <tenon/ops.h>.
 *
 * A decomposition reads its operands' types, writes nodes with `b` and sets the outputs; errors stick in `b`. At most one
 * argument of a call may write nodes: which is written first would be the compiler's choice, and graphs are compared as text.
 *
 *     static void add_norm(const struct tn_decompose *d)
 *     {
 *         d->outs[0] = tenon_op2(d->b, "core.add/1", "sum", d->in[0], d->in[1]);
 *         d->outs[1] = tenon_rms_norm(d->b, "y", d->outs[0], d->in[2], tenon_node_f64(d->node, "eps", 0));
 *     }
 */
#ifndef TN_GRAPH_DECOMPOSE_H
#define TN_GRAPH_DECOMPOSE_H

#include "core/graph/signature.h"

#include <tenon/build.h>

struct tn_decompose {
    const struct tenon_builder *b;
    const struct tenon_node *node;
    const uint32_t *in;          /* [n_in] operands in the new graph */
    const struct tn_type *types; /* [n_in] */
    uint32_t n_in;
    uint32_t *outs;              /* [node->n_out] result */
};

typedef void tn_decompose_fn(const struct tn_decompose *d);

/* NULL: not a core composite. */
tn_decompose_fn *tn_decompose_find(const char *op);

tn_decompose_fn tn_decompose_attention, tn_decompose_latent_attention, tn_decompose_gated_ffn, tn_decompose_moe_ffn,
    tn_decompose_add_norm, tn_decompose_ssm_scan, tn_decompose_delta_rule, tn_decompose_sample;

/* ---- what decompositions are written with; names end up behind the composite's own ---- */

/* Operand i, TENON_NO_VALUE when absent. */
static inline uint32_t tn_in(const struct tn_decompose *d, uint32_t i) { return i < d->n_in ? d->in[i] : TENON_NO_VALUE; }
static inline bool tn_has(const struct tn_decompose *d, uint32_t i) { return tn_in(d, i) != TENON_NO_VALUE; }
/* Dim k of operand i. */
static inline struct tenon_dim tn_dim_in(const struct tn_decompose *d, uint32_t i, uint32_t k) { return d->types[i].dims[k]; }

uint32_t tn_d_transpose(const struct tn_decompose *d, const char *name, uint32_t x, uint32_t rank, const int64_t *perm);
uint32_t tn_d_broadcast(const struct tn_decompose *d, const char *name, uint32_t x, uint32_t rank, const struct tenon_dim *dims);
uint32_t tn_d_reduce(const struct tn_decompose *d, const char *name, const char *kind, uint32_t x);
uint32_t tn_d_compare(const struct tn_decompose *d, const char *name, const char *kind, uint32_t a, uint32_t b);
uint32_t tn_d_select(const struct tn_decompose *d, const char *name, uint32_t mask, uint32_t a, uint32_t b);
uint32_t tn_d_fill(const struct tn_decompose *d, const char *name, double value, uint32_t rank, const struct tenon_dim *dims);
uint32_t tn_d_iota(const struct tn_decompose *d, const char *name, struct tenon_dim n);
uint32_t tn_d_slice(const struct tn_decompose *d, const char *name, uint32_t x, int64_t axis, int64_t start, int64_t length);
uint32_t tn_d_clamp(const struct tn_decompose *d, const char *name, uint32_t x, double least, double most);
uint32_t tn_d_softmax(const struct tn_decompose *d, const char *name, uint32_t x, uint32_t sink);
/* The k largest: values, and *ret_index. */
uint32_t tn_d_top_k(const struct tn_decompose *d, const char *name, uint32_t x, int64_t k, uint32_t *ret_index);
uint32_t tn_d_reshape4(const struct tn_decompose *d, const char *name, uint32_t x, struct tenon_dim d0, struct tenon_dim d1,
                       struct tenon_dim d2, struct tenon_dim d3);

#endif
