/* Prints a verified graph. Any thread. Contract and format: dump.h. */
#include "core/graph/dump.h"

#include <stdlib.h>

#include "core/graph/builder.h"

/* The first failure to append sticks, so that printing reads straight. */
struct printer {
    const struct tenon_graph *g;
    struct tn_buf *out;
    int32_t status;
};

static void put(struct printer *p, const char *fmt, ...) TENON_PRINTF(2, 3);
static void put(struct printer *p, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* names are at most some 200 bytes */
    va_end(args);
    if (p->status == 0)
        p->status = tn_buf_str(p->out, text);
}

static void put_dims(struct printer *p, const struct tenon_dim *dims, uint32_t n)
{
    char text[48];
    put(p, "[");
    for (uint32_t i = 0; i < n; i++)
        put(p, "%s%s", i > 0 ? "," : "", tn_dim_text(&dims[i], text, sizeof text));
    put(p, "]");
}

static void put_typed(struct printer *p, uint32_t value)
{
    const struct tenon_value *v = tenon_graph_value(p->g, value);
    put(p, "%%%s:%s", v->name, tn_dtype_name(v->dtype));
    if (v->dtype != TENON_DTYPE_STATE)
        put_dims(p, v->dims, v->rank);
}

static void put_operand(struct printer *p, uint32_t value, uint32_t block)
{
    const struct tenon_value *v = value != TENON_NO_VALUE ? tenon_graph_value(p->g, value) : NULL;
    if (v == NULL)
        put(p, "_");
    else if (v->block == TENON_NO_VALUE)
        put(p, "%s", v->name);
    else if (v->block == block)
        put(p, "%%%s", v->name);
    else
        put(p, "%%%s.%s", tenon_graph_block(p->g, v->block)->name, v->name);
}

/* The shortest of the usual forms that reads back as the same number. */
static void put_float(struct printer *p, double f)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, f);
        if (strtod(text, NULL) == f)
            break;
    }
    put(p, "%s", text);
}

static void put_attr(struct printer *p, const struct tenon_attr *a)
{
    put(p, "%s=", a->name);
    switch (a->type) {
    case TENON_ATTR_I64: put(p, "%lld", (long long)a->i); break;
    case TENON_ATTR_F64: put_float(p, a->f); break;
    case TENON_ATTR_STR: put(p, "%s", a->s); break;
    case TENON_ATTR_DIMS: put_dims(p, a->dims, a->n); break;
    default:
        for (uint32_t i = 0; i < a->n; i++)
            put(p, "%s%lld", i > 0 ? "," : "(", (long long)a->list[i]);
        put(p, "%s", a->n > 0 ? ")" : "()");
    }
}

static void put_node(struct printer *p, const struct tenon_node *n)
{
    uint32_t n_in = n->n_in;
    put(p, "  ");
    for (uint32_t i = 0; i < n->n_out; i++) {
        put(p, "%s", i > 0 ? ", " : "");
        put_typed(p, n->out[i]);
    }
    put(p, " = %s(", n->op);
    while (n_in > 0 && n->in[n_in - 1] == TENON_NO_VALUE) /* trailing absent operands say nothing */
        n_in--;
    for (uint32_t i = 0; i < n_in; i++) {
        put(p, "%s", i > 0 ? ", " : "");
        put_operand(p, n->in[i], n->block);
    }
    put(p, ")");
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        put(p, "%s", i > 0 ? " " : " {");
        put_attr(p, &n->attrs[i]);
    }
    put(p, "%s\n", n->n_attrs > 0 ? "}" : "");
}

static void put_block(struct printer *p, uint32_t number)
{
    const struct tenon_block *b = tenon_graph_block(p->g, number);
    put(p, "block %s(", b->name);
    for (uint32_t i = 0; i < b->n_args; i++) {
        put(p, "%s", i > 0 ? ", " : "");
        put_typed(p, b->args[i]);
    }
    put(p, ")\n");
    for (uint32_t i = 0; i < b->n_nodes; i++)
        put_node(p, tenon_graph_node(p->g, b->first_node + i));
    put(p, "  return");
    for (uint32_t i = 0; i < b->n_rets; i++) {
        put(p, "%s", i > 0 ? ", " : " ");
        put_operand(p, b->rets[i], number);
    }
    put(p, "\n");
}

/* "run embed, layer 0..29, head": neighbours of one block with rising layers are one entry. */
static void put_order(struct printer *p)
{
    const struct tenon_graph *g = p->g;
    put(p, "run");
    for (uint32_t i = 0; i < g->n_order;) {
        uint32_t n = 1;
        while (i + n < g->n_order && g->order[i].layer >= 0 && g->order[i + n].block == g->order[i].block &&
               g->order[i + n].layer == g->order[i].layer + (int32_t)n)
            n++;
        put(p, "%s%s", i > 0 ? ", " : " ", tenon_graph_block(g, g->order[i].block)->name);
        if (n > 1)
            put(p, " %d..%d", g->order[i].layer, g->order[i].layer + (int32_t)n - 1);
        else if (g->order[i].layer >= 0)
            put(p, " %d", g->order[i].layer);
        i += n;
    }
    put(p, "\n");
}

static void put_state(struct printer *p, const struct tenon_value *v, const struct tn_build_env *env)
{
    static const char *const kinds[] = {"?", "kv.paged", "kv.latent", "recurrent", "conv"};
    const struct tenon_state_desc *s = env != NULL && env->state_at != NULL ? env->state_at(env->ctx, v->index) : NULL;
    put(p, "state %s", v->name);
    if (s != NULL && s->kind >= TENON_STATE_KV_PAGED && s->kind <= TENON_STATE_CONV) {
        put(p, " %s group=%u layers=%u", kinds[s->kind], s->group, s->n_layers);
        if (s->kind <= TENON_STATE_KV_LATENT)
            put(p, " k=%ux%u v=%ux%u window=%u", s->k_heads, s->k_dim, s->v_heads, s->v_dim, s->window);
        else
            put(p, " slot_bytes=%llu", (unsigned long long)s->slot_bytes);
    }
    put(p, "\n");
}

/* Weights by declaration: the order in which a model asked for them may depend on its compiler. NULL: the first, and at the
 * end. */
static const struct tenon_value *next_weight(const struct tenon_graph *g, const struct tenon_value *after)
{
    const struct tenon_value *best = NULL;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(g, i);
        if (v->kind == TENON_VALUE_WEIGHT && (after == NULL || v->index > after->index) &&
            (best == NULL || v->index < best->index))
            best = v;
    }
    return best;
}

static void put_shared(struct printer *p, const struct tn_build_env *env)
{
    for (uint32_t i = 0; i < p->g->n_inputs; i++) {
        const struct tenon_value *v = tenon_graph_value(p->g, p->g->inputs[i]);
        put(p, "input %s %s", v->name, tn_dtype_name(v->dtype));
        put_dims(p, v->dims, v->rank);
        put(p, "\n");
    }
    for (const struct tenon_value *v = NULL; (v = next_weight(p->g, v)) != NULL;) {
        put(p, "weight %s ", v->name);
        put_dims(p, v->dims, v->rank);
        put(p, "\n");
    }
    for (uint32_t i = 0; i < p->g->n_values; i++)
        if (tenon_graph_value(p->g, i)->kind == TENON_VALUE_STATE)
            put_state(p, tenon_graph_value(p->g, i), env);
}

int32_t tn_dump(const struct tenon_graph *g, const struct tn_build_env *env, struct tn_buf *out)
{
    struct printer p = {.g = g, .out = out};
    const struct tenon_block *last = tenon_graph_block(g, g->order[g->n_order - 1].block);
    put(&p, "program %s\n", g->program);
    put_shared(&p, env);
    for (uint32_t i = 0; i < g->n_blocks; i++)
        put_block(&p, i);
    put_order(&p);
    for (uint32_t i = 0; i < last->n_rets; i++) {
        put(&p, "output %s = ", g->output_names != NULL && g->output_names[i] != NULL ? g->output_names[i] : "?");
        put_operand(&p, last->rets[i], g->order[g->n_order - 1].block);
        put(&p, "\n");
    }
    return p.status;
}
