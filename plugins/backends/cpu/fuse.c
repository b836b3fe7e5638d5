/* fuse.c - which nodes of a block share a step. Walks the nodes once, in order:
 *
 *  - reshape is a view and costs nothing;
 *  - a norm that only matmuls read is computed by their step, row by row before quantising;
 *  - matmuls of one input are one step; so are gate and up of a gated FFN with the activation between them;
 *  - an add behind a matmul is that step's residual;
 *  - rope, the store of K and V and the attention over them are one step.
 *
 * No arithmetic changes by fusing: each result is computed by the same kernel calls as alone. Runs once, at compile. */
#include <stdlib.h>

#include "native.h"

/* Uses of a block's value, rets included; also by later blocks, which may read what a block that runs once gave. */
static uint32_t uses(const struct tenon_graph *g, uint32_t block, uint32_t v)
{
    const struct tenon_block *b = tenon_graph_block(g, block);
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct tenon_node *node = tenon_graph_node(g, i);
        for (uint32_t j = 0; j < node->n_in; j++)
            n += node->in[j] == v;
    }
    for (uint32_t i = 0; i < b->n_rets; i++)
        n += b->rets[i] == v;
    return n;
}

static uint32_t op_of(const struct tenon_node *n)
{
    return tenon_op_find(n->op);
}

/* What becomes of a block's nodes while it is cut into steps. */
struct fuser {
    struct tenon_executable *exe;
    const struct tenon_graph *g;
    uint32_t block;
    uint8_t *done; /* [nodes of the block] taken by an earlier step */
    struct tenon_err *err;
};

static uint32_t operand(const struct tenon_node *n, uint32_t i)
{
    return i < n->n_in ? n->in[i] : TENON_NO_VALUE;
}

static struct cpu_step *new_step(struct fuser *f, enum cpu_step_kind kind, uint32_t node)
{
    struct cpu_step *s = &f->exe->steps[f->exe->n_steps++];
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->node = node;
    s->x = s->b = s->out = s->k = s->v = s->slot = s->sink = s->block_table = TENON_NO_VALUE;
    for (uint32_t i = 0; i < CPU_GROUP_MAX; i++)
        s->w[i] = s->bias[i] = s->outs[i] = TENON_NO_VALUE;
    s->rope_q = s->rope_k = -1;
    s->scale = 1.0f;
    return s;
}

/* In any layer: encodings may differ between them. */
static bool is_quantised(const struct fuser *f, uint32_t w)
{
    uint32_t base = f->exe->weight_base[w], end = f->exe->n_weights;
    for (uint32_t v = 0; v < f->g->n_values; v++)
        if (f->exe->weight_base[v] != CPU_NO_STEP && f->exe->weight_base[v] > base && f->exe->weight_base[v] < end)
            end = f->exe->weight_base[v];
    for (uint32_t i = base; base != CPU_NO_STEP && i < end; i++)
        if (cpu_encoding_at(f->exe->weights[i].m.format)->quantised)
            return true;
    return false;
}

/* ---- what the kernels take ---- */

static bool is_weight(const struct fuser *f, uint32_t v)
{
    return v != TENON_NO_VALUE && tenon_graph_value(f->g, cpu_root(f->exe, v))->kind == TENON_VALUE_WEIGHT;
}

/* A weight as it was declared, with `rank` dims; a view of one lies elsewhere. */
static bool is_tensor(const struct fuser *f, uint32_t v, uint32_t rank)
{
    const struct tenon_value *w = tenon_graph_value(f->g, v);
    return w->kind == TENON_VALUE_WEIGHT && w->rank == rank;
}

/* Are b's dims from `first` on those of a, counted from the last? b has at most a's rank. */
static bool same_last_dims(const struct tenon_value *a, const struct tenon_value *b, uint32_t first)
{
    for (uint32_t i = first; i < b->rank; i++) {
        const struct tenon_dim *x = &a->dims[a->rank - b->rank + i], *y = &b->dims[i];
        if (x->sym != y->sym || x->b != y->b || (x->sym != TENON_SYM_NONE && x->a != y->a))
            return false;
    }
    return true;
}

/* Are b's dims, without leading ones, a's last dims? */
static bool ends_with(const struct tenon_value *a, const struct tenon_value *b)
{
    uint32_t first = 0;
    while (first < b->rank && b->dims[first].sym == TENON_SYM_NONE && b->dims[first].b == 1)
        first++;
    return first < b->rank && b->rank <= a->rank && same_last_dims(a, b, first);
}

static bool binary_fits(const struct fuser *f, const struct tenon_node *n)
{
    const struct tenon_value *a = tenon_graph_value(f->g, n->in[0]), *b = tenon_graph_value(f->g, n->in[1]);
    bool floats = b->dtype == TENON_DTYPE_ACT || b->dtype == TENON_DTYPE_F32 || b->dtype == TENON_DTYPE_WEIGHT;
    return floats && ends_with(a, b) && (!is_weight(f, n->in[1]) || is_tensor(f, n->in[1], 1));
}

static bool gather_fits(const struct fuser *f, const struct tenon_node *n)
{
    const struct tenon_value *table = tenon_graph_value(f->g, n->in[0]);
    bool ints = table->dtype == TENON_DTYPE_I32 || table->dtype == TENON_DTYPE_U32;
    return is_weight(f, n->in[0]) ? is_tensor(f, n->in[0], 2) : !ints || tenon_node_f64(n, "scale", 1) == 1;
}

static const struct tenon_node *pending_rope(const struct fuser *f, uint32_t v);

/* Is this kv_store done by the attention that reads it? */
static bool store_fused(const struct fuser *f, const struct tenon_node *n)
{
    const struct tenon_node *r = cpu_reader(f->g, f->block, n->out[0]);
    return r != NULL && op_of(r) == TENON_OPN_ATTENTION;
}

/* Attention turns q itself, and k with the kv_store, but not without a cache: that is generic. */
static bool rope_fused(const struct fuser *f, const struct tenon_node *n)
{
    const struct tenon_node *r = cpu_reader(f->g, f->block, n->out[0]);
    if (r == NULL || pending_rope(f, n->out[0]) == NULL)
        return false;
    return (op_of(r) == TENON_OPN_ATTENTION && r->in[1] != TENON_NO_VALUE) ||
           (op_of(r) == TENON_OPN_KV_STORE && r->in[1] == n->out[0] && store_fused(f, r));
}

/* Has this node no kernel, or none for these operands? Composites that come here were claimed, so they have. */
static bool needs_generic(const struct fuser *f, const struct tenon_node *n)
{
    uint32_t bias = operand(n, 2);
    switch (op_of(n)) {
    case TENON_OPN_RESHAPE: case TENON_OPN_GATED_FFN: case TENON_OPN_ADD_NORM: return false;
    case TENON_OPN_ATTENTION: return n->in[1] == TENON_NO_VALUE; /* no cache: encoder.c */
    case TENON_OPN_GATHER: return !gather_fits(f, n);
    case TENON_OPN_MATMUL: return !is_tensor(f, n->in[1], 2) || (bias != TENON_NO_VALUE && !is_tensor(f, bias, 1));
    case TENON_OPN_RMS_NORM: return operand(n, 1) != TENON_NO_VALUE && !is_tensor(f, operand(n, 1), 1);
    case TENON_OPN_ADD: case TENON_OPN_MUL: return !binary_fits(f, n);
    case TENON_OPN_UNARY: return cpu_unary_find(tenon_node_str(n, "kind", "")) == CPU_UNARY_COUNT;
    case TENON_OPN_AFFINE: case TENON_OPN_SOFTCAP: return false;
    case TENON_OPN_ROPE: return !rope_fused(f, n);
    case TENON_OPN_KV_STORE: return !store_fused(f, n);
    default: return true;
    }
}

static bool is_half(const struct tenon_graph *g, uint32_t v)
{
    int32_t dtype = v != TENON_NO_VALUE ? tenon_graph_value(g, v)->dtype : 0;
    return dtype == TENON_DTYPE_F16 || dtype == TENON_DTYPE_BF16;
}

/* Values of 16 bits come from outside and are made floats at once: nothing else here reads them. */
static int32_t check_edges(const struct fuser *f, const struct tenon_node *n)
{
    if (op_of(n) == TENON_OPN_CONVERT || op_of(n) == TENON_OPN_TO_ACT || op_of(n) == TENON_OPN_RESHAPE)
        return 0;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (is_half(f->g, n->in[i]))
            return tenon_fail(f->err, TENON_E_UNIMPLEMENTED, n->name, "%s of f16 or bf16 values: use core.convert first", n->op);
    return 0;
}

/* Does every reader of v multiply it by a weight and nothing else? Then its norm can wait for them. */
static bool only_matmuls_read(const struct fuser *f, uint32_t v)
{
    const struct tenon_block *b = tenon_graph_block(f->g, f->block);
    for (uint32_t i = 0; i < f->g->n_nodes; i++) {
        const struct tenon_node *n = tenon_graph_node(f->g, i);
        for (uint32_t j = 0; j < n->n_in; j++)
            if (n->in[j] == v && (j != 0 || n->block != f->block || needs_generic(f, n) ||
                                  (op_of(n) != TENON_OPN_MATMUL && op_of(n) != TENON_OPN_GATED_FFN)))
                return false;
    }
    for (uint32_t i = 0; i < b->n_rets; i++)
        if (b->rets[i] == v)
            return false;
    return true;
}

/* The norm that makes v, when it was left to v's readers. */
static struct cpu_norm pending_norm(const struct fuser *f, uint32_t v)
{
    const struct tenon_value *value = tenon_graph_value(f->g, v);
    struct cpu_norm norm = { .on = false };
    if (value->kind != TENON_VALUE_NODE || value->block != f->block || !only_matmuls_read(f, v))
        return norm;
    const struct tenon_node *n = tenon_graph_node(f->g, value->producer);
    if (op_of(n) == TENON_OPN_RMS_NORM && !needs_generic(f, n))
        norm = (struct cpu_norm){ true, n->in[0], operand(n, 1), (float)tenon_node_f64(n, "eps", 1e-5) };
    else if (op_of(n) == TENON_OPN_ADD_NORM && value->index == 1)
        norm = (struct cpu_norm){ true, n->out[0], n->in[2], (float)tenon_node_f64(n, "eps", 1e-5) };
    return norm;
}

/* Let s read x, through a norm that was left to it. */
static void set_rows(const struct fuser *f, struct cpu_step *s, uint32_t x)
{
    s->x = x;
    s->norm = pending_norm(f, x);
}

static void add_matmul(const struct fuser *f, struct cpu_step *s, uint32_t w, uint32_t bias, uint32_t out)
{
    s->w[s->n] = w;
    s->bias[s->n] = bias;
    s->outs[s->n++] = out;
    s->quantised |= is_quantised(f, w);
}

static void fuse_matmul(struct fuser *f, uint32_t index, const struct tenon_node *n)
{
    const struct tenon_block *b = tenon_graph_block(f->g, f->block);
    struct cpu_step *s = new_step(f, CPU_STEP_MATMUL, b->first_node + index);
    set_rows(f, s, n->in[0]);
    for (uint32_t i = index; i < b->n_nodes && s->n < CPU_GROUP_MAX; i++) {
        const struct tenon_node *m = tenon_graph_node(f->g, b->first_node + i);
        if (op_of(m) != TENON_OPN_MATMUL || m->in[0] != n->in[0] || f->done[i] || needs_generic(f, m))
            continue;
        add_matmul(f, s, m->in[1], operand(m, 2), m->out[0]);
        f->done[i] = 1;
    }
}

/* Two steps: hidden = kind(gate x) * up x, and y = down hidden. The hidden rows take the place of a value: they are laid out by
 * the plan under the down step's x, which is TENON_NO_VALUE. */
static int32_t fuse_ffn(struct fuser *f, uint32_t index, const struct tenon_node *n)
{
    const struct tenon_block *b = tenon_graph_block(f->g, f->block);
    struct cpu_step *s = new_step(f, CPU_STEP_MATMUL, b->first_node + index);
    enum cpu_unary kind = cpu_unary_find(tenon_node_str(n, "kind", "silu"));
    if (kind == CPU_UNARY_COUNT)
        return tenon_fail(f->err, TENON_E_UNIMPLEMENTED, n->name, "activation '%s' is not known", tenon_node_str(n, "kind", ""));
    set_rows(f, s, n->in[0]);
    s->gated = true;
    s->unary = (int32_t)kind;
    if (n->in[1] != TENON_NO_VALUE)
        add_matmul(f, s, n->in[1], operand(n, 4), TENON_NO_VALUE);
    add_matmul(f, s, n->in[2], operand(n, 5), TENON_NO_VALUE);
    s = new_step(f, CPU_STEP_MATMUL, b->first_node + index);
    add_matmul(f, s, n->in[3], operand(n, 6), n->out[0]);
    return 0;
}

/* An add whose operand is the only output of the step before it, read by nobody else, becomes that step's residual. */
static bool fuse_residual(struct fuser *f, uint32_t a, uint32_t b, uint32_t sum)
{
    struct cpu_step *s = f->exe->n_steps > f->exe->block_first[f->block] ? &f->exe->steps[f->exe->n_steps - 1] : NULL;
    if (s == NULL || s->kind != CPU_STEP_MATMUL || s->n != 1 || s->gated || s->b != TENON_NO_VALUE)
        return false;
    uint32_t y = s->outs[0], other = y == b ? a : b;
    if ((y != a && y != b) || a == b || uses(f->g, f->block, y) != 1)
        return false;
    const struct tenon_value *o = tenon_graph_value(f->g, other), *v = tenon_graph_value(f->g, sum);
    if (o->rank != v->rank || !same_last_dims(v, o, 0) || is_weight(f, other))
        return false; /* a broadcast */
    s->b = other;
    s->outs[0] = sum;
    return true;
}

static void emit_binary(struct fuser *f, uint32_t node, const char *op, uint32_t a, uint32_t b, uint32_t out)
{
    struct cpu_step *s = new_step(f, CPU_STEP_BINARY, node);
    s->op = op;
    s->x = a;
    s->b = b;
    s->out = out;
}

static void emit_norm(struct fuser *f, uint32_t node, struct cpu_norm norm, uint32_t out)
{
    struct cpu_step *s = new_step(f, CPU_STEP_NORM, node);
    s->norm = norm;
    s->x = norm.x;
    s->out = out;
}

/* The rope that makes v when only this block's attention step reads it; else NULL. */
static const struct tenon_node *pending_rope(const struct fuser *f, uint32_t v)
{
    const struct tenon_value *value = tenon_graph_value(f->g, v);
    if (value->kind != TENON_VALUE_NODE || value->block != f->block || uses(f->g, f->block, v) != 1)
        return NULL;
    const struct tenon_node *n = tenon_graph_node(f->g, value->producer);
    if (op_of(n) != TENON_OPN_ROPE || !cpu_turn.fits(f->g, n))
        return NULL;
    uint32_t x = n->in[0];
    while (uses(f->g, f->block, x) == 1 && f->exe->homes[x].place == CPU_PLACE_ALIAS)
        x = f->exe->homes[x].index;
    const struct tenon_value *from = tenon_graph_value(f->g, x);
    return uses(f->g, f->block, x) == 1 && from->kind == TENON_VALUE_NODE && from->block == f->block ? n : NULL;
}

/* Index of the rope in the plan, added when new; -1 with an error. */
static int32_t rope_index(struct fuser *f, const struct tenon_node *n)
{
    struct tenon_executable *exe = f->exe;
    struct cpu_rope r = {
        .n_rot = (int32_t)tenon_node_i64(n, "n_rot", 0),
        .interleaved = strcmp(tenon_node_str(n, "layout", "half"), "interleaved") == 0,
        .base = (float)tenon_node_f64(n, "base", 10000),
        .scale = (float)tenon_node_f64(n, "scale", 1),
        .ext_factor = (float)tenon_node_f64(n, "ext_factor", 0),
        .attn_factor = (float)tenon_node_f64(n, "attn_factor", 1),
        .beta_fast = (float)tenon_node_f64(n, "beta_fast", 32),
        .beta_slow = (float)tenon_node_f64(n, "beta_slow", 1),
        .original_context = (int32_t)tenon_node_i64(n, "original_context", 0),
    };
    if (operand(n, 2) != TENON_NO_VALUE && exe->weight_base[n->in[2]] != CPU_NO_STEP)
        r.factors = exe->weights[exe->weight_base[n->in[2]]].f32;
    for (uint32_t i = 0; i < exe->n_ropes; i++) {
        const struct cpu_rope *o = &exe->ropes[i].rope;
        if (exe->ropes[i].position == n->in[1] && o->n_rot == r.n_rot && o->interleaved == r.interleaved && o->base == r.base &&
            o->scale == r.scale && o->ext_factor == r.ext_factor && o->attn_factor == r.attn_factor && o->factors == r.factors &&
            o->beta_fast == r.beta_fast && o->beta_slow == r.beta_slow && o->original_context == r.original_context)
            return (int32_t)i;
    }
    exe->ropes[exe->n_ropes] = (struct cpu_rope_use){ .rope = r, .position = n->in[1] };
    return (int32_t)exe->n_ropes++;
}

static int32_t fuse_attention(struct fuser *f, uint32_t index, const struct tenon_node *n)
{
    const struct tenon_value *kv = tenon_graph_value(f->g, n->in[1]);
    const struct tenon_node *store = kv->kind == TENON_VALUE_NODE ? tenon_graph_node(f->g, kv->producer) : NULL;
    if (store == NULL || op_of(store) != TENON_OPN_KV_STORE || kv->block != f->block)
        return tenon_fail(f->err, TENON_E_UNIMPLEMENTED, n->name, "attention needs a kv_store before it in the same block");
    struct cpu_step *s = new_step(f, CPU_STEP_ATTENTION, tenon_graph_block(f->g, f->block)->first_node + index);
    const struct tenon_node *rope;
    s->store = true;
    s->state = store->in[0];
    s->x = n->in[0];
    s->k = store->in[1];
    s->v = store->in[2];
    s->slot = store->in[3];
    s->sink = n->in[4];
    s->position = n->in[5];
    s->seq_of_token = n->in[6];
    s->context_len = n->in[8];
    s->block_table = operand(n, 9);
    if ((rope = pending_rope(f, s->x)) != NULL) {
        s->x = rope->in[0];
        s->rope_q = rope_index(f, rope);
    }
    if ((rope = pending_rope(f, s->k)) != NULL) {
        s->k = rope->in[0];
        s->rope_k = rope_index(f, rope);
    }
    s->out = n->out[0];
    s->kv_heads = (int32_t)tenon_node_i64(n, "kv_heads", 1);
    s->k_dim = (int32_t)tenon_node_i64(n, "k_dim", 0);
    s->v_dim = (int32_t)tenon_node_i64(n, "v_dim", 0);
    s->heads = (int32_t)tenon_graph_value(f->g, s->out)->dims[1].b;
    s->attn_scale = (float)tenon_node_f64(n, "scale", 1);
    s->window = (int32_t)tenon_node_i64(n, "window", 0);
    s->softcap = (float)tenon_node_f64(n, "softcap", 0);
    s->causal = tenon_node_i64(n, "causal", 1) != 0;
    return 0;
}

static int32_t fuse_generic(struct fuser *f, uint32_t id, const struct tenon_node *n)
{
    struct cpu_step *s = new_step(f, CPU_STEP_GENERIC, id);
    s->generic = op_of(n);
    s->state = TENON_NO_VALUE;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == TENON_NO_VALUE)
            continue;
        s->expand_bytes += cpu_expand_bytes(f->exe, n, i);
        s->packed |= (uint32_t)cpu_generic_packed(f->g, n, i) << i;
        if (tenon_graph_value(f->g, n->in[i])->dtype == TENON_DTYPE_STATE)
            s->state = cpu_state_root(f->g, n->in[i]);
    }
    s->native = cpu_native_of(f->g, n);
    if (s->native == &cpu_turn)
        s->rope_q = rope_index(f, n);
    s->expand_bytes += s->native != NULL ? s->native->work_bytes(f->exe, n) : 0;
    return cpu_generic_check(f->exe, n, f->err);
}

static int32_t fuse_node(struct fuser *f, uint32_t index)
{
    const struct tenon_block *b = tenon_graph_block(f->g, f->block);
    uint32_t id = b->first_node + index;
    const struct tenon_node *n = tenon_graph_node(f->g, id);
    struct cpu_step *s;
    int32_t status = check_edges(f, n);
    if (status != 0)
        return status;
    if (needs_generic(f, n))
        return fuse_generic(f, id, n);
    switch (op_of(n)) {
    case TENON_OPN_RESHAPE: /* its home is an alias already */
        return 0;
    case TENON_OPN_GATHER:
        s = new_step(f, CPU_STEP_GATHER, id);
        s->x = n->in[0];
        s->b = n->in[1];
        s->out = n->out[0];
        s->scale = (float)tenon_node_f64(n, "scale", 1);
        return 0;
    case TENON_OPN_MATMUL:
        fuse_matmul(f, index, n);
        return 0;
    case TENON_OPN_GATED_FFN:
        return fuse_ffn(f, index, n);
    case TENON_OPN_RMS_NORM: {
        struct cpu_norm norm = { true, n->in[0], operand(n, 1), (float)tenon_node_f64(n, "eps", 1e-5) };
        if (!only_matmuls_read(f, n->out[0]))
            emit_norm(f, id, norm, n->out[0]);
        return 0;
    }
    case TENON_OPN_ADD_NORM: {
        struct cpu_norm norm = { true, n->out[0], n->in[2], (float)tenon_node_f64(n, "eps", 1e-5) };
        if (!fuse_residual(f, n->in[0], n->in[1], n->out[0]))
            emit_binary(f, id, "core.add/1", n->in[0], n->in[1], n->out[0]);
        if (!only_matmuls_read(f, n->out[1]))
            emit_norm(f, id, norm, n->out[1]);
        return 0;
    }
    case TENON_OPN_ADD:
        if (fuse_residual(f, n->in[0], n->in[1], n->out[0]))
            return 0;
        emit_binary(f, id, n->op, n->in[0], n->in[1], n->out[0]);
        return 0;
    case TENON_OPN_MUL:
        emit_binary(f, id, n->op, n->in[0], n->in[1], n->out[0]);
        return 0;
    case TENON_OPN_UNARY: case TENON_OPN_AFFINE: case TENON_OPN_SOFTCAP:
        s = new_step(f, CPU_STEP_UNARY, id);
        s->op = n->op;
        s->x = n->in[0];
        s->out = n->out[0];
        s->unary = (int32_t)cpu_unary_find(tenon_node_str(n, "kind", "silu"));
        s->scale = (float)tenon_node_f64(n, op_of(n) == TENON_OPN_SOFTCAP ? "cap" : "scale", 1);
        s->shift = (float)tenon_node_f64(n, "shift", 0);
        return 0;
    case TENON_OPN_ROPE: case TENON_OPN_KV_STORE: /* done by the attention that reads the result */
        return 0;
    case TENON_OPN_ATTENTION:
        return fuse_attention(f, index, n);
    default:
        return tenon_fail(f->err, TENON_E_UNIMPLEMENTED, n->name, "%s has no kernel in the CPU backend yet", n->op);
    }
}

int32_t cpu_fuse_block(struct tenon_executable *exe, uint32_t block, struct tenon_err *err)
{
    const struct tenon_block *b = tenon_graph_block(exe->graph, block);
    uint8_t *done = calloc(b->n_nodes + 1, 1);
    struct fuser f = { exe, exe->graph, block, done, err };
    int32_t status = 0;
    if (done == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, b->name, "no memory to plan the block");
    exe->block_first[block] = exe->n_steps;
    for (uint32_t i = 0; status == 0 && i < b->n_nodes; i++)
        if (!done[i])
            status = fuse_node(&f, i);
    exe->block_steps[block] = exe->n_steps - exe->block_first[block];
    free(done);
    return status;
}
