/* native.c - the table of ops that run as one step of their own. Contract: native.h. */
#include "native.h"

static const struct cpu_native *const natives[] = { &cpu_moe, &cpu_ssm, &cpu_delta, &cpu_conv, &cpu_encoder, &cpu_full_norm, &cpu_turn };

static const struct cpu_native *find(uint32_t op)
{
    for (size_t i = 0; i < sizeof natives / sizeof *natives; i++)
        if (natives[i]->op == op)
            return natives[i];
    return NULL;
}

const struct cpu_native *cpu_native_of(const struct tenon_graph *g, const struct tenon_node *n)
{
    const struct cpu_native *found = find(tenon_op_find(n->op));
    return found != NULL && found->fits(g, n) ? found : NULL;
}

bool cpu_native_has(uint32_t op)
{
    return find(op) != NULL;
}

bool cpu_generic_packed(const struct tenon_graph *g, const struct tenon_node *n, uint32_t in)
{
    const struct cpu_native *native = cpu_native_of(g, n);
    if (native != NULL)
        return (native->packed >> in & 1u) != 0;
    return tenon_op_find(n->op) == TENON_OPN_GROUPED_MATMUL && in == 1; /* all experts of a layer would be many times the rest */
}
