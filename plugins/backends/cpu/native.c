/* native.c - the table of ops that run as one step of their own. Contract: native.h. */
#include "native.h"

static const struct cpu_native *const natives[] = { &cpu_moe, &cpu_ssm, &cpu_delta, &cpu_conv, &cpu_encoder, &cpu_full_norm, &cpu_turn,
                                                   &cpu_latent };

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

void cpu_by_weight(const struct walker *w, const struct cpu_weight *by, const struct cpu_act *a, int64_t r0, int64_t r1,
                   int64_t n0, int64_t n1, float *y, int64_t ld, const float *bias)
{
    struct cpu_act part = *a;
    if (by->program == NULL) {
        w->k->matmul(lies(by, n1), a, r0, r1, n0, n1, y, ld, bias, cpu_matmul_scratch(w));
        return;
    }
    part.x += r0 * a->ldx;
    cpu_program_product(w, by, &part, r1 - r0, n0, n1, (float *)((uintptr_t)y + (uintptr_t)(r0 * ld) * sizeof *y), ld, bias);
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
