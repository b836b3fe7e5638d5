/* cmd_graph.c - `tenon graph MODEL`: the computation a model plugin builds, as text; with --lowered as tier 0 ops alone, with
 * --plan where its values lie in memory. Reads headers only, opens no device. One thread. */
#include <stdlib.h>

#include "core/cli/commands.h"
#include "core/cli/json.h"
#include "core/cli/session.h"
#include "core/graph/dump.h"
#include "core/graph/lower.h"
#include "core/graph/memplan.h"
#include "core/model/program.h"

#define ACT_BYTES 4u    /* edges are taken as f32 */
#define PAGE_TOKENS 16  /* P is C over this unless given */

struct graph_options {
    struct cli_common common;
    const char *program, *plan;
    bool lowered;
};

static const struct cli_option table[] = {
    { "program", CLI_TEXT, offsetof(struct graph_options, program), "NAME", "which program of the model (step, or embed of encoders)", 0, 0 },
    { "lowered", CLI_FLAG, offsetof(struct graph_options, lowered), NULL, "with every composite replaced by tier 0 ops", 0, 0 },
    { "plan", CLI_TEXT, offsetof(struct graph_options, plan), "T=N,S=N,R=N,C=N", "where values lie for these upper bounds", 0, 0 },
    { "json", CLI_FLAG, offsetof(struct graph_options, common.json), NULL, "one object", 0, 0 },
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

struct opened {
    struct tn_container *src;
    struct tn_architecture arch;
    struct tn_resolved weights;
    struct tn_program_env program;
    struct tn_graph *graph;
    struct tn_plan plan;
};

/* A file without tensors (a vocabulary alone) is taken as if it had all of them. */
static int32_t declare(struct tn_registry *reg, const char *path, struct opened *m, struct tenon_err *err)
{
    int32_t status = tn_container_open(reg, path, &m->src, err);
    bool tensors = status == 0 && tn_container_tensor_count(m->src) > 0;
    if (status == 0)
        status = tn_architecture_open(reg, m->src, &m->arch, err);
    if (status == 0 && tensors)
        status = tn_resolve(m->src, &m->arch.table, m->arch.config, &m->weights, err);
    if (status == 0)
        status = tn_program_env_init(&m->program, reg, &m->arch, tensors ? &m->weights : NULL, err);
    return m->src != NULL ? tn_container_whole(m->src, status, err) : status;
}

static int32_t build(const struct graph_options *o, struct opened *m, struct tenon_err *err)
{
    const struct tn_program_env *p = &m->program;
    struct tn_graph *built = NULL;
    const char *first = o->program != NULL ? o->program : "step";
    int32_t status = tn_build_program(&m->arch.table, m->arch.config, first, &p->env, &p->lookup, &built, err);
    if (status == TENON_E_UNIMPLEMENTED && o->program == NULL)
        status = tn_build_program(&m->arch.table, m->arch.config, "embed", &p->env, &p->lookup, &built, err);
    if (status != 0 || !o->lowered) {
        m->graph = built;
        return status;
    }
    status = tn_lower(&built->graph, NULL, &p->env, &p->lookup, &m->graph, err);
    tn_graph_free(built);
    return status;
}

/* "T=512,S=1": symbols not named are 1, and P follows C. */
static int32_t parse_bounds(const char *text, struct tenon_dims *ret, struct tenon_err *err)
{
    static const char names[] = " TSRCP"; /* by TENON_SYM_* */
    for (uint32_t i = 1; i < TENON_SYM_COUNT; i++)
        ret->sym[i] = i == TENON_SYM_P ? 0 : 1;
    while (*text != '\0') {
        const char *name = strchr(names + 1, *text);
        char *end = NULL;
        long long n = name != NULL && text[1] == '=' ? strtoll(text + 2, &end, 10) : 0;
        if (n < 1 || n > 1 << 30 || (*end != ',' && *end != '\0'))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "--plan", "'%s' is no list like T=512,S=1,R=1,C=4096", text);
        ret->sym[name - names] = n;
        text = *end == ',' ? end + 1 : end;
    }
    if (ret->sym[TENON_SYM_P] == 0)
        ret->sym[TENON_SYM_P] = (ret->sym[TENON_SYM_C] + PAGE_TOKENS - 1) / PAGE_TOKENS;
    return TENON_OK;
}

/* ---- output ---- */

static int32_t put_plan_text(const struct opened *m, struct tn_buf *out)
{
    const struct tenon_graph *g = &m->graph->graph;
    int32_t s = tn_buf_printf(out, "plan %llu bytes of scratch, %llu without reuse\n", (unsigned long long)m->plan.bytes,
                              (unsigned long long)m->plan.naive);
    for (uint32_t i = 0; i < g->n_values && s == 0; i++) {
        const struct tenon_value *v = tenon_graph_value(g, i);
        if (v->block != TENON_NO_VALUE && m->plan.offset[i] != TN_PLAN_ELSEWHERE)
            s = tn_buf_printf(out, "  %12llu +%-12llu %s.%s\n", (unsigned long long)m->plan.offset[i],
                              (unsigned long long)m->plan.size[i], tenon_graph_block(g, v->block)->name, v->name);
    }
    for (uint32_t i = 0; i < m->plan.n_moves && s == 0; i++)
        s = tn_buf_printf(out, "  move %s -> %s between %s and %s\n", tenon_graph_value(g, m->plan.moves[i].ret)->name,
                          tenon_graph_value(g, m->plan.moves[i].arg)->name, tenon_graph_block(g, m->plan.moves[i].from)->name,
                          tenon_graph_block(g, m->plan.moves[i].to)->name);
    return s;
}

static int32_t put_json_block(const struct tenon_graph *g, uint32_t number, struct tn_buf *out)
{
    const struct tenon_block *b = tenon_graph_block(g, number);
    uint32_t runs = 0;
    for (uint32_t i = 0; i < g->n_order; i++)
        runs += g->order[i].block == number;
    int32_t s = tn_buf_printf(out, "%s{\"name\":", number > 0 ? "," : "");
    s = s == 0 ? tn_json_text(out, b->name) : s;
    s = s == 0 ? tn_buf_printf(out, ",\"runs\":%u,\"nodes\":[", runs) : s;
    for (uint32_t i = 0; i < b->n_nodes && s == 0; i++) {
        const struct tenon_node *n = tenon_graph_node(g, b->first_node + i);
        s = tn_buf_str(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        s = s == 0 ? tn_json_text(out, n->name) : s;
        s = s == 0 ? tn_buf_str(out, ",\"op\":") : s;
        s = s == 0 ? tn_json_text(out, n->op) : s;
        s = s == 0 ? tn_buf_char(out, '}') : s;
    }
    return s == 0 ? tn_buf_str(out, "]}") : s;
}

static int32_t put_json(const struct opened *m, bool planned, const char *text, struct tn_buf *out)
{
    const struct tenon_graph *g = &m->graph->graph;
    int32_t s = tn_buf_str(out, "{\"program\":");
    s = s == 0 ? tn_json_text(out, g->program) : s;
    s = s == 0 ? tn_buf_str(out, ",\"blocks\":[") : s;
    for (uint32_t i = 0; i < g->n_blocks && s == 0; i++)
        s = put_json_block(g, i, out);
    s = s == 0 ? tn_buf_str(out, "],\"plan\":") : s;
    if (s == 0)
        s = planned ? tn_buf_printf(out, "{\"bytes\":%llu,\"without_reuse\":%llu,\"moves\":%u}",
                                    (unsigned long long)m->plan.bytes, (unsigned long long)m->plan.naive, m->plan.n_moves)
                    : tn_buf_str(out, "null");
    s = s == 0 ? tn_buf_str(out, ",\"text\":") : s;
    s = s == 0 ? tn_json_text(out, text) : s;
    return s == 0 ? tn_buf_str(out, "}\n") : s;
}

static int32_t print(const struct graph_options *o, const struct opened *m, struct tenon_err *err)
{
    struct tn_buf text = { 0 }, object = { 0 };
    int32_t status = tn_dump(&m->graph->graph, &m->program.env, &text);
    if (status == 0 && o->common.json)
        status = put_json(m, o->plan != NULL, text.data, &object);
    else if (status == 0 && o->plan != NULL)
        status = put_plan_text(m, &text);
    if (status == 0)
        (void)fputs(o->common.json ? object.data : text.data, stdout); /* cli_finish_stdout tells */
    else
        (void)tenon_fail(err, status, "graph", "no memory for the text");
    tn_buf_finish(&text);
    tn_buf_finish(&object);
    return status;
}

static int32_t run(struct tn_registry *reg, const char *path, const struct graph_options *o, const struct tenon_dims *bounds,
                   struct opened *m, struct tenon_err *err)
{
    int32_t status = declare(reg, path, m, err);
    if (status == 0)
        status = build(o, m, err);
    if (status == 0 && o->plan != NULL)
        status = tn_plan_init(&m->plan, &m->graph->graph, bounds, ACT_BYTES, err);
    return status == 0 ? print(o, m, err) : status;
}

static void drop(struct opened *m)
{
    tn_plan_finish(&m->plan);
    tn_graph_free(m->graph);
    tn_program_env_finish(&m->program);
    tn_resolved_finish(&m->weights);
    tn_architecture_close(&m->arch);
    tn_container_close(m->src);
}

int tn_cmd_graph(int argc, char **argv)
{
    struct graph_options o = { 0 };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct opened m = { 0 };
    struct tenon_dims bounds = { .struct_size = sizeof bounds };
    struct tenon_err err = TENON_ERR_INIT;
    if (cli_parse(table, &o, argc, argv, &args, &err) != 0 || (o.plan != NULL && parse_bounds(o.plan, &bounds, &err) != 0))
        return cli_misused(&err);
    if (args.help || args.n != 1) {
        fprintf(args.help ? stdout : stderr, "usage: tenon graph MODEL [--program step] [--lowered] [--plan T=N,S=N,R=N,C=N] [--json]\n\n"
                                             "The computation a model's plugin builds, as text.\n");
        if (args.help)
            cli_print_options(table);
        return args.help ? CLI_OK : CLI_USAGE;
    }
    int32_t status = cli_runtime_open(&s, &o.common, &err);
    if (status == 0)
        status = run(tn_runtime_registry(s.rt), args.items[0], &o, &bounds, &m, &err);
    drop(&m);
    cli_session_close(&s);
    return status != 0 ? cli_failed(&err) : cli_finish_stdout();
}
