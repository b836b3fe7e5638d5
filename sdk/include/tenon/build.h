/* build.h - short forms of the builder's calls for model plugins, so that a family reads like its paper:
 *
 *     h = tenon_rms_norm(b, "attn_norm", x, w, 1e-5);
 *     q = tenon_matmul(b, "attn_q", h, b->weight(b->ctx, "layers.{i}.attn_q"), TENON_NO_VALUE);
 *
 * Each returns the node's output, TENON_NO_VALUE after an error (which sticks in the builder). [init] one thread. */
#ifndef TENON_BUILD_H
#define TENON_BUILD_H

#include <tenon/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline struct tenon_attr tenon_attr_i64(const char *name, int64_t v)
{
    struct tenon_attr a;
    memset(&a, 0, sizeof a);
    a.struct_size = (uint32_t)sizeof a;
    a.type = TENON_ATTR_I64;
    a.name = name;
    a.i = v;
    return a;
}
static inline struct tenon_attr tenon_attr_f64(const char *name, double v)
{
    struct tenon_attr a = tenon_attr_i64(name, 0);
    a.type = TENON_ATTR_F64;
    a.f = v;
    return a;
}
static inline struct tenon_attr tenon_attr_str(const char *name, const char *v)
{
    struct tenon_attr a = tenon_attr_i64(name, 0);
    a.type = TENON_ATTR_STR;
    a.s = v;
    return a;
}
static inline struct tenon_attr tenon_attr_dims(const char *name, const struct tenon_dim *dims, uint32_t n)
{
    struct tenon_attr a = tenon_attr_i64(name, 0);
    a.type = TENON_ATTR_DIMS;
    a.dims = dims;
    a.n = n;
    return a;
}

static inline struct tenon_dim tenon_dim_const(int64_t n)
{
    struct tenon_dim d = { 0, 0, TENON_SYM_NONE, 0 };
    d.b = n;
    return d;
}
static inline struct tenon_dim tenon_dim_sym(int32_t sym)
{
    struct tenon_dim d = { 1, 0, TENON_SYM_NONE, 0 };
    d.sym = sym;
    return d;
}

/* A node with one output. */
static inline uint32_t tenon_node1(const struct tenon_builder *b, const char *op, const char *name, const uint32_t *in, uint32_t n_in,
                                   const struct tenon_attr *attrs, uint32_t n_attrs)
{
    uint32_t out = TENON_NO_VALUE;
    return b->node(b->ctx, op, name, in, n_in, attrs, n_attrs, &out, 1) == TENON_E_OK ? out : TENON_NO_VALUE;
}

/* x [...,K], w [N,K], bias [N] or TENON_NO_VALUE -> [...,N] */
static inline uint32_t tenon_matmul(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t w, uint32_t bias)
{
    uint32_t in[3];
    in[0] = x;
    in[1] = w;
    in[2] = bias;
    return tenon_node1(b, "core.matmul/1", name, in, 3, NULL, 0);
}
static inline uint32_t tenon_rms_norm(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t w, double eps)
{
    uint32_t in[2];
    struct tenon_attr attr = tenon_attr_f64("eps", eps);
    in[0] = x;
    in[1] = w;
    return tenon_node1(b, "core.rms_norm/1", name, in, 2, &attr, 1);
}
static inline uint32_t tenon_add(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t y)
{
    uint32_t in[2];
    in[0] = x;
    in[1] = y;
    return tenon_node1(b, "core.add/1", name, in, 2, NULL, 0);
}
/* Rows of table [N,...] at index [A]. */
static inline uint32_t tenon_gather(const struct tenon_builder *b, const char *name, uint32_t table, uint32_t index)
{
    uint32_t in[2];
    in[0] = table;
    in[1] = index;
    return tenon_node1(b, "core.gather/1", name, in, 2, NULL, 0);
}
/* x [T, heads*dim] -> [T, heads, dim] */
static inline uint32_t tenon_split_heads(const struct tenon_builder *b, const char *name, uint32_t x, int64_t heads, int64_t dim)
{
    struct tenon_dim dims[3];
    struct tenon_attr attr;
    dims[0] = tenon_dim_sym(TENON_SYM_T);
    dims[1] = tenon_dim_const(heads);
    dims[2] = tenon_dim_const(dim);
    attr = tenon_attr_dims("shape", dims, 3);
    return tenon_node1(b, "core.reshape/1", name, &x, 1, &attr, 1);
}
/* x [T, heads, dim] -> [T, heads*dim] */
static inline uint32_t tenon_join_heads(const struct tenon_builder *b, const char *name, uint32_t x, int64_t heads, int64_t dim)
{
    struct tenon_dim dims[2];
    struct tenon_attr attr;
    dims[0] = tenon_dim_sym(TENON_SYM_T);
    dims[1] = tenon_dim_const(heads * dim);
    attr = tenon_attr_dims("shape", dims, 2);
    return tenon_node1(b, "core.reshape/1", name, &x, 1, &attr, 1);
}

/* The inputs of a step that attention and the cache take, for one state group. */
struct tenon_step_inputs {
    uint32_t token, position, seq_of_token, seq_start, context_len, out_row, block_table, slot_of_token;
};
static inline void tenon_step_inputs(const struct tenon_builder *b, uint32_t group, struct tenon_step_inputs *ret)
{
    char name[32];
    ret->token = b->input(b->ctx, "token", TENON_DTYPE_I32, NULL, 0);
    ret->position = b->input(b->ctx, "position", TENON_DTYPE_I32, NULL, 0);
    ret->seq_of_token = b->input(b->ctx, "seq_of_token", TENON_DTYPE_I32, NULL, 0);
    ret->seq_start = b->input(b->ctx, "seq_start", TENON_DTYPE_I32, NULL, 0);
    ret->context_len = b->input(b->ctx, "context_len", TENON_DTYPE_I32, NULL, 0);
    ret->out_row = b->input(b->ctx, "out_row", TENON_DTYPE_I32, NULL, 0);
    (void)snprintf(name, sizeof name, "block_table.%u", (unsigned)group);
    ret->block_table = b->input(b->ctx, name, TENON_DTYPE_I32, NULL, 0);
    (void)snprintf(name, sizeof name, "slot_of_token.%u", (unsigned)group);
    ret->slot_of_token = b->input(b->ctx, name, TENON_DTYPE_I32, NULL, 0);
}

#ifdef __cplusplus
}
#endif
#endif
