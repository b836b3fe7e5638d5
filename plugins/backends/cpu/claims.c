/* claims.c - what the CPU backend says it can run: nodes of a graph, and encodings of weights by their digest. */
#include "native.h"

static uint32_t readers(const struct tenon_graph *g, uint32_t v)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t j = 0; j < tenon_graph_node(g, i)->n_in; j++)
            count += tenon_graph_node(g, i)->in[j] == v;
    return count;
}

/* The attention kernel does the kv_store before it too, so it must be the only one that reads that; indexes are step inputs. */
static bool attention_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    const struct tenon_value *kv = n->in[1] != TENON_NO_VALUE ? tenon_graph_value(g, n->in[1]) : NULL;
    for (uint32_t i = 5; i < n->n_in; i++) /* position .. block_table */
        if (n->in[i] != TENON_NO_VALUE && tenon_graph_value(g, n->in[i])->kind != TENON_VALUE_INPUT)
            return false;
    return kv != NULL && kv->kind == TENON_VALUE_NODE && kv->block == n->block && readers(g, n->in[1]) == 1 &&
           tenon_op_find(tenon_graph_node(g, kv->producer)->op) == TENON_OPN_KV_STORE;
}

bool cpu_kernel_has(const struct tenon_device *dev, uint32_t op)
{
    switch (op) {
    case TENON_OPN_GATHER: case TENON_OPN_MATMUL: case TENON_OPN_RMS_NORM: case TENON_OPN_ADD: case TENON_OPN_MUL:
    case TENON_OPN_UNARY: case TENON_OPN_AFFINE: case TENON_OPN_SOFTCAP: case TENON_OPN_RESHAPE:
        return true;
    case TENON_OPN_ROPE: case TENON_OPN_KV_STORE: /* the kernels are part of attention's */
    case TENON_OPN_ATTENTION: case TENON_OPN_GATED_FFN: case TENON_OPN_ADD_NORM:
        return dev->claims;
    default:
        return cpu_native_has(op) && (dev->claims || tenon_op_at(op)->tier == 0);
    }
}

int32_t cpu_query(struct tenon_device *dev, const struct tenon_graph *graph, const struct tenon_weight_binding *weights,
                  uint32_t n_weights, uint32_t weight_stride, struct tenon_claim *claims, uint32_t claim_stride, struct tenon_err *err)
{
    (void)weights;
    (void)n_weights;
    (void)weight_stride;
    (void)err;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct tenon_node *n = tenon_graph_node(graph, i);
        struct tenon_claim c = { .struct_size = sizeof c, .level = TENON_CLAIM_NATIVE, .cost = 1.0f };
        uint32_t op = tenon_op_find(n->op);
        bool fits = op == TENON_OPN_ATTENTION && attention_fits(graph, n);
        fits = fits || (op == TENON_OPN_ATTENTION || cpu_native_has(op) ? cpu_native_of(graph, n) != NULL : cpu_kernel_has(dev, op));
        if (!fits || !cpu_kernel_has(dev, op)) {
            c.level = cpu_generic_has(op) ? TENON_CLAIM_GENERIC : TENON_CLAIM_NO;
            c.cost = 0.0f;
            (void)snprintf(c.reason, sizeof c.reason, cpu_generic_has(op) ? "%s runs as scalar code" : "%s has no kernel in the CPU backend",
                           n->op);
        }
        memcpy((char *)claims + (uint64_t)i * claim_stride, &c, claim_stride < sizeof c ? claim_stride : sizeof c);
    }
    return 0;
}
