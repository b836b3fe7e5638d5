/* graph.h - the graph of one program of a model, as plain arrays, and the builder that makes it.
 *
 * A program ("step", "embed") is a list of blocks and an order in which block instances run. A block is a list of nodes;
 * its args are the rets of the block instance before it. A decoder of 30 layers is three blocks: "embed", "layer", "head",
 * and the order embed, layer 0 .. layer 29, head. So a layer is built, verified and compiled once; its weights and states
 * are arrays over the layer index, written `{i}` in their names.
 *
 * Dims are a * symbol + b. No shape depends on data. Everything that varies per step is an input of the program:
 *
 *     name             shape    dtype  meaning
 *     token            [T]      i32    token ids of this step, the sequences one after the other
 *     position         [T]      i32    absolute position of each token in its sequence
 *     seq_of_token     [T]      i32    row of its sequence in the per-sequence inputs
 *     seq_start        [S+1]    i32    first token of each sequence in this step; the last is T
 *     context_len      [S]      i32    tokens in the cache after this step
 *     out_row          [R]      i32    tokens (0..T-1) whose logits are wanted, ascending
 *     state_slot       [S]      i32    slot of each sequence in recurrent and convolution states
 *     block_table.G    [S,P]    i32    pages of state group G: page of positions [p*page_tokens, (p+1)*page_tokens), -1: none
 *     slot_of_token.G  [T]      i32    where token's K and V go: page * page_tokens + offset
 *
 * A prefill chunk is a sequence with more than one token; nothing else tells prefill from decode.
 *
 * A node reads values of its own block (args, and what nodes before it gave), inputs, weights, states, and what nodes of a block
 * gave that runs exactly once and earlier. A node that gives a state gives the same state after its write.
 *
 * A frozen graph is immutable and may be read from any thread.
 */
#ifndef TENON_GRAPH_H
#define TENON_GRAPH_H

#include <tenon/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_RANK_MAX 6u
#define TENON_NO_VALUE 0xffffffffu /* an absent optional operand */

/* Symbols of dims. */
#define TENON_SYM_NONE 0 /* the dim is the constant b */
#define TENON_SYM_T 1    /* tokens of this step */
#define TENON_SYM_S 2    /* sequences of this step */
#define TENON_SYM_R 3    /* rows that want logits */
#define TENON_SYM_C 4    /* cache positions visible in this step, P * page_tokens */
#define TENON_SYM_P 5    /* columns of the block table */
#define TENON_SYM_COUNT 6

struct tenon_dim {
    int64_t a; /* 0 when sym is NONE */
    int64_t b;
    int32_t sym;
    uint32_t reserved; /* 0 */
};

/* Element types of graph edges. */
#define TENON_DTYPE_ACT 1    /* a float format the backend chooses and reports (f32, f16, bf16) */
#define TENON_DTYPE_F32 2
#define TENON_DTYPE_I32 3
#define TENON_DTYPE_U32 4    /* bit masks */
#define TENON_DTYPE_F16 5
#define TENON_DTYPE_BF16 6
#define TENON_DTYPE_WEIGHT 7 /* a weight in whatever encoding it has */
#define TENON_DTYPE_STATE 8  /* a handle of a state */

/* What a value is. */
#define TENON_VALUE_INPUT 1  /* `index` counts the program's inputs */
#define TENON_VALUE_WEIGHT 2 /* `index` is the weight's declaration (model.h) */
#define TENON_VALUE_STATE 3  /* `index` is the state's declaration */
#define TENON_VALUE_ARG 4    /* `index` counts the block's args */
#define TENON_VALUE_NODE 5   /* `index` is the output number of `producer` */

struct tenon_value {
    uint32_t struct_size;
    int32_t kind;     /* TENON_VALUE_* */
    int32_t dtype;    /* TENON_DTYPE_* */
    uint32_t rank;    /* 0: scalar; states have 0 */
    struct tenon_dim dims[TENON_RANK_MAX]; /* [rank] outermost first */
    const char *name; /* unique in its block; inputs: as above; OWN: graph */
    uint32_t producer; /* node, TENON_NO_VALUE when not a node's output */
    uint32_t index;
    uint32_t block;    /* block it belongs to; inputs, weights and states: TENON_NO_VALUE, they are seen everywhere */
    uint32_t layered;  /* weights and states: 1 when there is one per layer ({i}) */
};

#define TENON_ATTR_I64 1
#define TENON_ATTR_F64 2
#define TENON_ATTR_STR 3
#define TENON_ATTR_DIMS 4 /* a shape */
#define TENON_ATTR_I64S 5 /* a list of integers */

struct tenon_attr {
    uint32_t struct_size;
    int32_t type;      /* TENON_ATTR_* */
    const char *name;  /* OWN: graph */
    int64_t i;
    double f;
    const char *s;                 /* OWN: graph */
    const struct tenon_dim *dims;  /* [n] OWN: graph */
    const int64_t *list;           /* [n] OWN: graph */
    uint32_t n;
    uint32_t reserved;
};

struct tenon_node {
    uint32_t struct_size;
    uint32_t block;
    const char *op;    /* "core.matmul/1", "com.acme.lightning_attention/1" */
    const char *name;  /* unique in its block, used in every message: "layer.attn_q" is block "layer", node "attn_q" */
    const uint32_t *in;  /* [n_in] values, TENON_NO_VALUE for an absent optional operand */
    const uint32_t *out; /* [n_out] values */
    const struct tenon_attr *attrs; /* [n_attrs], stride sizeof as in attr_stride */
    uint32_t n_in, n_out, n_attrs, attr_stride;
};

struct tenon_block {
    uint32_t struct_size;
    uint32_t first_node, n_nodes; /* nodes of a block stand together, in an order in which they can run */
    uint32_t n_args, n_rets;
    uint32_t reserved;
    const uint32_t *args; /* [n_args] values of kind ARG */
    const uint32_t *rets; /* [n_rets] values; of the last block in the order: the program's outputs */
    const char *name;
};

/* One entry of the order. layer: index for `{i}`, -1 for a block without layered weights. */
struct tenon_instance {
    uint32_t block;
    int32_t layer;
};

struct tenon_graph {
    uint32_t struct_size;
    uint32_t n_values, n_nodes, n_blocks, n_order, n_inputs;
    uint32_t value_stride, node_stride, block_stride;
    uint32_t reserved;
    const char *program; /* "step" */
    const struct tenon_value *values;
    const struct tenon_node *nodes;
    const struct tenon_block *blocks;
    const struct tenon_instance *order; /* [n_order] */
    const uint32_t *inputs;             /* [n_inputs] values of kind INPUT */
    const char *const *output_names;    /* [rets of the last block] "logits" */
};

/* Accessors that honour the strides. */
static inline const struct tenon_value *tenon_graph_value(const struct tenon_graph *g, uint32_t i)
{
    return (const struct tenon_value *)(const void *)((const char *)g->values + (uint64_t)i * g->value_stride);
}
static inline const struct tenon_node *tenon_graph_node(const struct tenon_graph *g, uint32_t i)
{
    return (const struct tenon_node *)(const void *)((const char *)g->nodes + (uint64_t)i * g->node_stride);
}
static inline const struct tenon_block *tenon_graph_block(const struct tenon_graph *g, uint32_t i)
{
    return (const struct tenon_block *)(const void *)((const char *)g->blocks + (uint64_t)i * g->block_stride);
}

/* Attribute of a node by name, NULL: not given. OWN: graph. */
static inline const struct tenon_attr *tenon_node_attr(const struct tenon_node *n, const char *name)
{
    uint32_t i;
    for (i = 0; i < n->n_attrs; i++) {
        const struct tenon_attr *a =
            (const struct tenon_attr *)(const void *)((const char *)n->attrs + (uint64_t)i * n->attr_stride);
        if (strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}
static inline int64_t tenon_node_i64(const struct tenon_node *n, const char *name, int64_t absent)
{
    const struct tenon_attr *a = tenon_node_attr(n, name);
    return a != NULL && a->type == TENON_ATTR_I64 ? a->i : absent;
}
static inline double tenon_node_f64(const struct tenon_node *n, const char *name, double absent)
{
    const struct tenon_attr *a = tenon_node_attr(n, name);
    return a != NULL && a->type == TENON_ATTR_F64 ? a->f : absent;
}
static inline const char *tenon_node_str(const struct tenon_node *n, const char *name, const char *absent)
{
    const struct tenon_attr *a = tenon_node_attr(n, name);
    return a != NULL && a->type == TENON_ATTR_STR ? a->s : absent;
}

/* Values of the symbols in one step (or their upper bounds, as a bucket). */
struct tenon_dims {
    uint32_t struct_size;
    uint32_t reserved;
    int64_t sym[TENON_SYM_COUNT]; /* indexed by TENON_SYM_*; sym[0] unused */
};

static inline int64_t tenon_dim_value(const struct tenon_dim *d, const struct tenon_dims *dims)
{
    return d->sym == TENON_SYM_NONE ? d->b : d->a * dims->sym[d->sym] + d->b;
}

/* ---- builder ------------------------------------------------------------------------------------------------ */

/* What a model plugin builds with; the table is the host's. The first error sticks: after it every call returns
 * TENON_NO_VALUE and does nothing, so a model need not check each call; build() ends with `return b->status(b->ctx, err)`.
 * Shapes of outputs are inferred from the op's signature (ops.h). [init] one thread. Names are copied. */
struct tenon_builder {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* A step input from the table above by name, or a further one when rank > 0 (dims given). */
    uint32_t (*input)(void *ctx, const char *name, int32_t dtype, const struct tenon_dim *dims, uint32_t rank);
    /* A weight or state by its logical name as declared ("layers.{i}.attn_q"). Optional weights that the file lacks give
     * TENON_NO_VALUE without an error. Layered ones only inside a block. */
    uint32_t (*weight)(void *ctx, const char *name);
    uint32_t (*state)(void *ctx, const char *name);
    /* Begin a block. Its args take the shapes of `like` [n] (rets of the block that will run before it); ret_args [n]. */
    int32_t (*block_begin)(void *ctx, const char *name, const uint32_t *like, uint32_t n, uint32_t *ret_args);
    /* End it. ret_values [n]. Returns the block's number, or a negative code. */
    int32_t (*block_end)(void *ctx, const uint32_t *ret_values, uint32_t n);
    /* A node of the current block. outs [n_out]. */
    int32_t (*node)(void *ctx, const char *op, const char *name, const uint32_t *in, uint32_t n_in,
                    const struct tenon_attr *attrs, uint32_t n_attrs, uint32_t *outs, uint32_t n_out);
    /* Append instances of a block to the order: layers first .. first+n-1, or one instance with layer -1 when n is 0. */
    int32_t (*run)(void *ctx, int32_t block, int32_t first_layer, uint32_t n);
    /* Name output number i of the program. */
    int32_t (*output)(void *ctx, uint32_t i, const char *name);
    /* Record an error of the model itself (say, a contradiction in its config). */
    int32_t (*fail)(void *ctx, int32_t code, const char *message);
    int32_t (*status)(void *ctx, struct tenon_err *err); /* 0, or the first error */
};

/* ---- composites from plugins -------------------------------------------------------------------------------- */

#define TENON_OP_IFACE "tenon.op/1"

/* A composite op of a plugin: item name = the op's id. The signature is in the notation of ops.h. The decomposition is
 * mandatory and uses core ops only: it writes nodes with `b` and gives the outputs. [init] */
struct tenon_composite {
    uint32_t struct_size;
    uint32_t reserved;
    const char *signature;
    const char *attrs;
    int32_t (*decompose)(void *self, const struct tenon_builder *b, const struct tenon_node *node, const uint32_t *in,
                         uint32_t n_in, uint32_t *outs, uint32_t n_out, struct tenon_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
