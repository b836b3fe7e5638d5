/* generic_state.c - adaptors for what reads or writes a state: pages of keys and values in the backend's own layout, by its
 * kernels; slots and the recurrences over them, by tenon-reference. A slot, page or token range that does not exist is passed
 * over: its results are zeros. Runs on the threads of the pool. Contract: generic.h. */
#include "generic.h"

uint32_t cpu_state_root(const struct tenon_graph *g, uint32_t v)
{
    while (v != TENON_NO_VALUE && tenon_graph_value(g, v)->kind == TENON_VALUE_NODE) {
        const struct tenon_node *n = tenon_graph_node(g, tenon_graph_value(g, v)->producer);
        v = TENON_NO_VALUE;
        for (uint32_t i = 0; i < n->n_in && v == TENON_NO_VALUE; i++)
            if (n->in[i] != TENON_NO_VALUE && tenon_graph_value(g, n->in[i])->dtype == TENON_DTYPE_STATE)
                v = n->in[i];
    }
    return v != TENON_NO_VALUE && tenon_graph_value(g, v)->kind == TENON_VALUE_STATE ? v : TENON_NO_VALUE;
}

/* ---- pages ---- */

void cpu_g_kv_store(const struct cpu_call *c)
{
    int64_t k_row = (int64_t)c->kv.kv_heads * c->kv.k_dim, v_row = (int64_t)c->kv.kv_heads * c->kv.v_dim;
    const struct cpu_tensor *k = &c->in[1], *v = &c->in[2], *slot = &c->in[3];
    for (int64_t t = 0; t < slot->n; t++)
        if (slot->i[t] >= 0 && slot->i[t] < c->n_units * CPU_PAGE_TOKENS)
            c->k->kv_store(&c->kv, k->f + t * k_row, v->p != NULL ? v->f + t * v_row : NULL, slot->i[t], 0, c->kv.kv_heads);
}

static void load_page(const struct cpu_call *c, int64_t page, float *k, float *v)
{
    int64_t k_row = (int64_t)c->kv.kv_heads * c->kv.k_dim, v_row = (int64_t)c->kv.kv_heads * c->kv.v_dim;
    if (page < 0 || page >= c->n_units) {
        memset(k, 0, (size_t)(CPU_PAGE_TOKENS * k_row) * sizeof *k);
        memset(v, 0, (size_t)(CPU_PAGE_TOKENS * v_row) * sizeof *v);
        return;
    }
    for (int64_t t = 0; t < CPU_PAGE_TOKENS; t++)
        c->k->kv_load(&c->kv, page * CPU_PAGE_TOKENS + t, k + t * k_row, v_row != 0 ? v + t * v_row : NULL);
}

void cpu_g_kv_load(const struct cpu_call *c)
{
    const struct cpu_tensor *table = &c->in[1];
    int64_t k_page = (int64_t)CPU_PAGE_TOKENS * c->kv.kv_heads * c->kv.k_dim,
            v_page = (int64_t)CPU_PAGE_TOKENS * c->kv.kv_heads * c->kv.v_dim;
    for (int64_t i = table->n * c->i / c->n; i < table->n * (c->i + 1) / c->n; i++)
        load_page(c, table->i[i], c->out[0].f + i * k_page, c->out[1].f + i * v_page);
}

/* ---- slots ---- */

static bool slot_exists(const struct cpu_call *c, int32_t slot)
{
    return slot >= 0 && slot < c->n_units;
}

void cpu_g_slot_load(const struct cpu_call *c)
{
    const struct cpu_tensor *slot = &c->in[1], *y = &c->out[0];
    int64_t n = cpu_product(y, 1, y->shape.rank);
    for (int64_t s = 0; s < slot->n; s++)
        if (slot_exists(c, slot->i[s]))
            tenon_ref_slot_load(n, c->state, 1, slot->i + s, y->f + s * n);
        else
            memset(y->f + s * n, 0, (size_t)n * sizeof(float));
}

void cpu_g_slot_store(const struct cpu_call *c)
{
    const struct cpu_tensor *slot = &c->in[1], *x = &c->in[2];
    int64_t n = cpu_product(x, 1, x->shape.rank);
    for (int64_t s = 0; s < slot->n; s++)
        if (slot_exists(c, slot->i[s]))
            tenon_ref_slot_store(n, c->state, 1, slot->i + s, x->f + s * n);
}

/* ---- recurrences ---- */

/* One sequence of the step; q->s is 1. */
static void scan_sequence(const struct cpu_call *c, const struct tenon_ref_seqs *q)
{
    const struct cpu_tensor *in = c->in;
    float *y = c->out[0].f;
    switch (c->op) {
    case TENON_OPN_CONV_SCAN:
        tenon_ref_conv_scan(q, cpu_dim(&in[1], 0), cpu_dim(&in[1], 1), in[0].f, in[1].f, in[2].f, c->state, y);
        break;
    case TENON_OPN_LINEAR_SCAN:
        tenon_ref_linear_scan(q, cpu_dim(&in[0], 1), in[0].f, in[1].f, c->state, y);
        break;
    default: {
        struct tenon_ref_outer o = { cpu_dim(&in[1], 1), cpu_dim(&in[1], 2), cpu_dim(&in[2], 2), in[0].f, in[1].f, in[2].f,
                                     in[3].f, in[4].f };
        tenon_ref_outer_scan(q, &o, c->state, y);
    }
    }
}

void cpu_g_scan(const struct cpu_call *c)
{
    const struct cpu_tensor *y = &c->out[0];
    const int32_t *slot = c->in[c->node->n_in - 2].i, *start = c->in[c->node->n_in - 1].i; /* state, slot, seq_start end every scan */
    int64_t tokens = cpu_dim(y, 0), sequences = c->in[c->node->n_in - 2].n;
    if (y->n > 0)
        memset(y->f, 0, (size_t)y->n * sizeof(float));
    for (int64_t s = 0; s < sequences; s++) {
        struct tenon_ref_seqs one = { 1, slot + s, start + s };
        if (slot_exists(c, slot[s]) && start[s] >= 0 && start[s] <= start[s + 1] && start[s + 1] <= tokens)
            scan_sequence(c, &one);
    }
}

/* ---- checks ---- */

/* Dim i of a value, which must be a constant; -1: it is none. */
static int64_t constant(const struct tenon_value *v, uint32_t i)
{
    return i < v->rank && v->dims[i].sym == TENON_SYM_NONE ? v->dims[i].b : -1;
}

/* Floats of one slot as the node takes it; negative: not constant. */
static int64_t slot_floats(const struct tenon_graph *g, const struct tenon_node *n)
{
    uint32_t op = tenon_op_find(n->op);
    const struct tenon_value *y = op == TENON_OPN_SLOT_STORE ? tenon_graph_value(g, n->in[2]) : tenon_graph_value(g, n->out[0]);
    int64_t all = 1;
    switch (op) {
    case TENON_OPN_CONV_SCAN: {
        const struct tenon_value *w = tenon_graph_value(g, n->in[1]);
        return constant(w, 1) > 0 ? (constant(w, 1) - 1) * constant(w, 0) : -1;
    }
    case TENON_OPN_SSM_SCAN: { /* x [T,H,D], b [T,G,N] */
        const struct tenon_value *b = tenon_graph_value(g, n->in[2]);
        return constant(y, 1) < 0 || constant(y, 2) < 0 || constant(b, 2) < 0 ? -1 : constant(y, 1) * constant(y, 2) * constant(b, 2);
    }
    case TENON_OPN_DELTA_RULE: { /* k [T,G,D], v [T,H,E] */
        const struct tenon_value *k = tenon_graph_value(g, n->in[1]);
        return constant(y, 1) < 0 || constant(y, 2) < 0 || constant(k, 2) < 0 ? -1 : constant(y, 1) * constant(y, 2) * constant(k, 2);
    }
    case TENON_OPN_OUTER_SCAN: {
        const struct tenon_value *k = tenon_graph_value(g, n->in[1]);
        return constant(k, 1) < 0 || constant(k, 2) < 0 ? -1 : constant(k, 1) * constant(k, 2) * constant(y, 2);
    }
    default: /* [T,N] of linear_scan; [S,...] of slot_load and slot_store */
        for (uint32_t i = 1; i < y->rank; i++)
            all = constant(y, i) < 0 || all < 0 ? -1 : all * constant(y, i);
        return all;
    }
}

static int32_t check_pages(const struct tenon_graph *g, const struct tenon_node *n, const struct tenon_state_desc *d,
                           struct tenon_err *err)
{
    bool store = tenon_op_find(n->op) == TENON_OPN_KV_STORE,
         has_v = store ? n->in[2] != TENON_NO_VALUE : tenon_node_i64(n, "v_heads", 0) > 0;
    const struct tenon_value *k = tenon_graph_value(g, store ? n->in[1] : n->out[0]);
    const struct tenon_value *v = has_v ? tenon_graph_value(g, store ? n->in[2] : n->out[1]) : NULL;
    uint32_t at = store ? 1 : 2; /* [T,H,D], [S,C,H,D] */
    if (d->kind != TENON_STATE_KV_PAGED && d->kind != TENON_STATE_KV_LATENT)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, n->name, "state '%s' has slots, not pages of keys and values", d->name);
    if (constant(k, at) != d->k_heads || constant(k, at + 1) != d->k_dim || (v == NULL) != (d->v_heads * d->v_dim == 0) ||
        (v != NULL && (constant(v, at) != d->v_heads || constant(v, at + 1) != d->v_dim)))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, n->name, "its keys and values are not those of state '%s'", d->name);
    return 0;
}

/* A latent cache's rows are what the queries are multiplied by, latent and turned. */
static int32_t check_latent(const struct tenon_graph *g, const struct tenon_node *n, const struct tenon_state_desc *d,
                            struct tenon_err *err)
{
    int64_t turned = constant(tenon_graph_value(g, n->in[1]), 2);
    if (d->kind == TENON_STATE_KV_LATENT && d->k_heads == 1 && d->v_dim == 0 && turned >= 0 &&
        d->k_dim == turned + tenon_node_i64(n, "rank", 0))
        return 0;
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, n->name, "state '%s' has no rows of rank and turned key", d->name);
}

int32_t cpu_generic_check_state(const struct tenon_executable *exe, const struct tenon_node *n, struct tenon_err *err)
{
    uint32_t root = TENON_NO_VALUE, op = tenon_op_find(n->op);
    for (uint32_t i = 0; i < n->n_in && root == TENON_NO_VALUE; i++)
        if (n->in[i] != TENON_NO_VALUE && tenon_graph_value(exe->graph, n->in[i])->dtype == TENON_DTYPE_STATE)
            root = cpu_state_root(exe->graph, n->in[i]);
    uint32_t index = root != TENON_NO_VALUE ? tenon_graph_value(exe->graph, root)->index : UINT32_MAX;
    if (index >= exe->n_states)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, n->name, "it works on no declared state");
    const struct tenon_state_desc *d = &exe->states[index];
    if (op == TENON_OPN_KV_STORE || op == TENON_OPN_KV_LOAD)
        return check_pages(exe->graph, n, d, err);
    if (op == TENON_OPN_LATENT_ATTENTION)
        return check_latent(exe->graph, n, d, err);
    int64_t want = slot_floats(exe->graph, n);
    if ((d->kind != TENON_STATE_RECURRENT && d->kind != TENON_STATE_CONV) || want < 0 ||
        (uint64_t)want * sizeof(float) != d->slot_bytes)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, n->name, "its slots of %lld floats are not those of state '%s' (%llu bytes)",
                          (long long)want, d->name, (unsigned long long)d->slot_bytes);
    return 0;
}
