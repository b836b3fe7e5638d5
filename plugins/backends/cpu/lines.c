/* lines.c - core.layer_norm, and core.rope where no attention does it on the way: row by row. Contract: native.h. */
#include "native.h"

static uint64_t no_bytes(const struct tenon_executable *exe, const struct tenon_node *n)
{
    (void)exe, (void)n;
    return 0;
}

/* ---- layer norm */

static bool norm_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    return cpu_is_weight(g, n, 1, 1, true) && cpu_is_weight(g, n, 2, 1, true);
}

static void norm_run(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work)
{
    int64_t k = cpu_last(&c->in[0]), r0, r1;
    float eps = (float)tenon_node_f64(c->node, "eps", 1e-5);
    (void)s, (void)work;
    share(w, cpu_lines(&c->in[0]), &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        w->k->layer_norm(c->in[0].f + r * k, c->in[1].f, c->in[2].f, k, eps, c->out[0].f + r * k);
}

const struct cpu_native cpu_full_norm = { TENON_OPN_LAYER_NORM, 0, norm_fits, no_bytes, norm_run };

/* ---- rope */

/* The angles are made before the first step, from positions given to it and one set of factors. */
static bool turn_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    uint32_t factors = cpu_operand(n, 2);
    return tenon_graph_value(g, n->in[1])->kind == TENON_VALUE_INPUT && cpu_is_weight(g, n, 2, 1, true) &&
           (factors == TENON_NO_VALUE || !tenon_graph_value(g, factors)->layered);
}

static void turn_run(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work)
{
    const struct cpu_rope_use *r = &w->exe->ropes[s->rope_q];
    int64_t half = r->rope.n_rot / 2, heads = cpu_dim(&c->in[0], 1), dim = cpu_dim(&c->in[0], 2), tokens = cpu_dim(&c->in[0], 0), t0, t1;
    const float *cos = (const float *)(const void *)(w->run->scratch + r->table_offset), *sin = cos + tokens * half;
    (void)work;
    share(w, tokens, &t0, &t1);
    for (int64_t t = t0; t < t1; t++) {
        float *y = c->out[0].f + t * heads * dim;
        memcpy(y, c->in[0].f + t * heads * dim, (size_t)(heads * dim) * sizeof *y);
        w->k->rope(&r->rope, cos + t * half, sin + t * half, (int32_t)heads, (int32_t)dim, y);
    }
}

const struct cpu_native cpu_turn = { TENON_OPN_ROPE, 0, turn_fits, no_bytes, turn_run };
