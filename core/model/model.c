/* model.c - loading, in order: container, vocabulary, architecture, device, weights, graph, states, executable. Each step has
 * its own file; here they are put together and taken apart again. Runs on the thread that loads. Contract: model.h.
 */
#include "core/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/graph/builder.h"
#include "core/graph/lower.h"
#include "core/graph/memplan.h"
#include "core/model/binding.h"
#include "core/model/device.h"
#include "core/model/packer.h"
#include "core/model/program.h"
#include "core/model/states.h"

struct tn_model {
    struct tn_registry *registry;
    struct tn_container *container;
    struct tn_vocab *vocab;       /* NULL: `no_vocab` says why */
    struct tenon_err no_vocab;
    struct tn_architecture arch;
    struct tn_device device;
    struct tn_resolved resolved;
    struct tn_program_env program;
    struct tn_graph *graph;       /* lowered */
    struct tn_bindings bindings;
    struct tn_states states;
    struct tenon_dims max;
    struct tenon_executable *executable;
    struct tn_packer *packer; /* NULL: nothing to pack behind */
    struct tn_model_parts parts;
};

/* ---- the graph ------------------------------------------------------------------------------------------------- */

/* Which nodes does the device take? claimed [n_nodes], 1: as it is. A tier 0 node it refuses is an error. */
static int32_t ask_device(struct tn_model *m, const struct tenon_graph *g, uint8_t *claimed, struct tenon_err *err)
{
    const struct tenon_backend *be = &m->device.backend;
    struct tenon_claim *claims = calloc((size_t)g->n_nodes + 1, sizeof *claims);
    int32_t rc;
    if (claims == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "model", "out of memory");
    for (uint32_t i = 0; i < g->n_nodes; i++)
        claims[i].struct_size = sizeof *claims;
    rc = be->query(m->device.device, g, m->bindings.items, m->bindings.n, sizeof *m->bindings.items, claims, sizeof *claims, err);
    for (uint32_t i = 0; rc == TENON_OK && i < g->n_nodes; i++) {
        const struct tenon_node *node = tenon_graph_node(g, i);
        uint32_t op = tenon_op_find(node->op);
        claimed[i] = claims[i].level != TENON_CLAIM_NO;
        if (!claimed[i] && op < TENON_OPN_COUNT && tenon_op_at(op)->tier == 0)
            rc = tenon_fail(err, TENON_E_UNIMPLEMENTED, node->name, "device %s cannot run %s: %s", m->device.desc.name,
                            node->op, claims[i].reason[0] != '\0' ? claims[i].reason : "it gives no reason");
    }
    free(claims);
    return rc;
}

/* Replace what the device does not take, and see that it takes what came of it. */
static int32_t lower(struct tn_model *m, struct tenon_err *err)
{
    struct tn_graph *built = m->graph;
    uint8_t *claimed = calloc((size_t)built->graph.n_nodes + 1, 1);
    int32_t rc = claimed != NULL ? ask_device(m, &built->graph, claimed, err)
                                 : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "model", "out of memory");
    if (rc == TENON_OK)
        rc = tn_lower(&built->graph, claimed, &m->program.env, &m->program.lookup, &m->graph, err);
    free(claimed);
    if (rc == TENON_OK)
        tn_graph_free(built);
    return rc;
}

/* The program "step", or "embed" where that is asked for or all there is. */
static int32_t build_program(struct tn_model *m, bool embed, struct tenon_err *err)
{
    const struct tn_program_env *p = &m->program;
    struct tenon_err why = TENON_ERR_INIT, why_embed = TENON_ERR_INIT;
    int32_t rc = TENON_E_UNIMPLEMENTED;
    m->parts.embeds = embed;
    if (!embed)
        rc = tn_build_program(&m->arch.table, m->arch.config, "step", &p->env, &p->lookup, &m->graph, &why);
    if (rc == TENON_E_UNIMPLEMENTED) {
        rc = tn_build_program(&m->arch.table, m->arch.config, "embed", &p->env, &p->lookup, &m->graph, &why_embed);
        m->parts.embeds = true;
        if (embed || rc != TENON_E_UNIMPLEMENTED)
            why = why_embed;
    }
    return rc != TENON_OK ? tenon_fail(err, rc, why.where, "%s", why.message) : rc;
}

/* States are laid out and the context is chosen: a model may build otherwise for a longer one. */
static int32_t build(struct tn_model *m, bool embed, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    if (m->arch.table.set_context != NULL)
        rc = m->arch.table.set_context(m->arch.config, m->parts.context, err);
    if (rc == TENON_OK)
        rc = build_program(m, embed, err);
    if (rc == TENON_OK)
        rc = tn_bindings_make(&m->bindings, m->container, &m->resolved, &m->graph->graph, &m->device, err);
    return rc == TENON_OK ? lower(m, err) : rc;
}

/* The program's only output must be logits [R, vocabulary], or rows to pool. */
static int32_t check_output(struct tn_model *m, struct tenon_err *err)
{
    const struct tenon_graph *g = &m->graph->graph;
    const struct tenon_block *last = g->n_order > 0 ? tenon_graph_block(g, g->order[g->n_order - 1].block) : NULL;
    const struct tenon_value *v = last != NULL && last->n_rets == 1 ? tenon_graph_value(g, last->rets[0]) : NULL;
    if (v == NULL || v->rank != 2 || v->dims[0].sym != TENON_SYM_R || v->dims[1].sym != TENON_SYM_NONE || v->dims[1].b <= 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, m->arch.info.architecture,
                          "its program must have one output: logits [R, vocabulary], or rows [R, width] to pool");
    m->parts.row_size = (uint64_t)v->dims[1].b;
    m->parts.vocab_size = m->parts.embeds ? m->arch.info.vocab_size : m->parts.row_size;
    if (m->parts.embeds && m->program.declared.n_states > 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, m->arch.info.architecture,
                          "a model with states cannot embed in this version");
    return TENON_OK;
}

/* ---- sizes and the executable ------------------------------------------------------------------------------------ */

#define EMBED_SEQUENCES 32u

static int32_t choose_sizes(struct tn_model *m, const struct tn_model_args *args, struct tenon_err *err)
{
    struct tn_model_parts *p = &m->parts;
    uint64_t tokens, page = m->states.page_tokens != 0 ? m->states.page_tokens : 1;
    int64_t *sym = m->max.sym;
    p->max_sequences = args->max_sequences != 0 ? args->max_sequences : p->embeds ? EMBED_SEQUENCES : 1;
    if (!tn_mul_u64(p->context, p->max_sequences, &tokens) || p->context > INT32_MAX || tokens > INT32_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "model", "%u sequences of %u tokens: over 2^31 positions",
                          p->max_sequences, p->context);
    p->max_tokens = args->max_step_tokens != 0 ? args->max_step_tokens : TN_STEP_TOKENS_DEFAULT;
    if (p->embeds && p->max_tokens < p->context)
        p->max_tokens = p->context;
    if (p->max_tokens > tokens)
        p->max_tokens = (uint32_t)tokens;
    if (p->max_tokens < p->max_sequences)
        p->max_tokens = p->max_sequences;
    p->max_rows = args->max_rows != 0 ? args->max_rows : args->max_step_tokens != 0 ? p->max_tokens : TN_STEP_ROWS;
    if (p->max_rows < p->max_sequences)
        p->max_rows = p->max_sequences;
    if (p->embeds)
        p->max_rows = p->max_tokens;
    p->page_tokens = m->states.page_tokens;
    m->max.struct_size = sizeof m->max;
    sym[TENON_SYM_T] = p->max_tokens;
    sym[TENON_SYM_S] = p->max_sequences;
    sym[TENON_SYM_R] = p->max_rows;
    sym[TENON_SYM_P] = (int64_t)((p->context + page - 1) / page);
    sym[TENON_SYM_C] = sym[TENON_SYM_P] * (int64_t)page;
    return tn_states_allocate(&m->states, &m->device, p->context, p->max_sequences, p->max_tokens, err);
}

#define ACT_BYTES_MOST 4u /* the act format is known only after compile: plan for the widest */

static int32_t compile(struct tn_model *m, bool profile, struct tenon_err *err)
{
    const struct tenon_backend *be = &m->device.backend;
    struct tenon_executable_info info = { .struct_size = sizeof info };
    struct tn_plan plan = { 0 };
    struct tenon_compile_args args = {
        .struct_size = sizeof args, .flags = profile ? TENON_COMPILE_PROFILE : 0, .graph = &m->graph->graph,
        .weights = m->bindings.items, .n_weights = m->bindings.n, .weight_stride = sizeof *m->bindings.items,
        .states = m->states.descs, .layouts = m->states.layouts,
        .kv_encodings = m->states.kv_encodings, .n_states = m->states.n, .layout_stride = sizeof *m->states.layouts,
        .buckets = &m->max, .n_buckets = 1, .bucket_stride = sizeof m->max,
    };
    int32_t rc = tn_plan_init(&plan, &m->graph->graph, &m->max, ACT_BYTES_MOST, err);
    args.plan_offsets = plan.offset;
    args.plan_bytes = plan.bytes;
    if (rc == TENON_OK)
        rc = be->compile(m->device.device, &args, &m->executable, err);
    tn_plan_finish(&plan);
    if (rc == TENON_OK)
        rc = be->executable_info(m->executable, &info);
    if (rc != TENON_OK)
        return rc;
    m->parts.act = info.act;
    m->parts.act_bits = info.act_bits;
    m->parts.scratch_bytes = info.scratch_bytes;
    return TENON_OK;
}

/* ---- loading ------------------------------------------------------------------------------------------------------- */

static int32_t tell(const struct tn_model_args *args, double fraction, const char *what, struct tenon_err *err)
{
    if (args->progress != NULL && args->progress(args->progress_arg, fraction, what) != 0)
        return tenon_fail(err, TENON_E_CANCELLED, args->path, "loading was stopped");
    return TENON_OK;
}

/* Only text needs a tokenizer: that no plugin provides it matters when somebody asks for it. */
static int32_t open_vocab(struct tn_model *m, struct tenon_err *err)
{
    int32_t rc = tn_vocab_open(m->registry, m->container, &m->vocab, &m->no_vocab);
    if (rc != TENON_OK && rc != TENON_E_NOT_FOUND)
        return tenon_fail(err, rc, m->no_vocab.where, "%s", m->no_vocab.message);
    return TENON_OK;
}

static int32_t open_parts(struct tn_model *m, const struct tn_model_args *args, struct tenon_err *err)
{
    int32_t rc = tn_container_open(m->registry, args->path, &m->container, err);
    if (rc == TENON_OK)
        rc = tn_architecture_open(m->registry, m->container, &m->arch, err);
    if (rc == TENON_OK)
        rc = open_vocab(m, err);
    if (rc == TENON_OK)
        rc = tn_device_open(m->registry, args->device, &m->device, err);
    if (rc == TENON_OK)
        rc = tell(args, 0.1, "weights", err);
    if (rc == TENON_OK)
        rc = tn_container_encode(m->container, err);
    return rc == TENON_OK ? tn_resolve(m->container, &m->arch.table, m->arch.config, &m->resolved, err) : rc;
}

/* Speed alone hangs on it. */
static void start_packing(struct tn_model *m)
{
    struct tenon_err err = TENON_ERR_INIT;
    if (tn_packer_start(&m->bindings, &m->device, m->executable, &m->packer, &err) != TENON_OK)
        tn_log(TENON_LOG_WARN, err.where, "weights are not packed, and so slower: %s", err.message);
}

static int32_t place(struct tn_model *m, const struct tn_model_args *args, struct tenon_err *err)
{
    int32_t kv = args->kv_encoding != 0 ? args->kv_encoding : TENON_KV_F16;
    int32_t rc = tn_program_env_init(&m->program, m->registry, &m->arch, &m->resolved, err);
    if (rc == TENON_OK)
        rc = tn_states_lay_out(&m->states, &m->program.declared, &m->device, kv, err);
    if (rc == TENON_OK) {
        m->parts.context = tn_states_context(&m->states, args->context, m->arch.info.context_length,
                                             args->max_sequences != 0 ? args->max_sequences : 1, m->device.desc.memory_free);
        rc = build(m, args->embed, err);
    }
    if (rc == TENON_OK)
        rc = check_output(m, err);
    bool later = m->device.backend.use_packed != NULL || m->device.backend.pack_in_use != NULL; /* behind the first requests */
    if (rc == TENON_OK)
        rc = tell(args, 0.3, "packing", err);
    if (rc == TENON_OK)
        rc = tn_bindings_ready(&m->bindings, m->container, &m->device, later, err);
    if (rc == TENON_OK)
        rc = choose_sizes(m, args, err);
    if (rc == TENON_OK)
        rc = tell(args, 0.9, "compiling", err);
    if (rc == TENON_OK)
        rc = compile(m, args->profile, err);
    if (rc == TENON_OK && later && m->bindings.packed != NULL)
        start_packing(m);
    return rc;
}

int32_t tn_model_load(struct tn_registry *reg, const struct tn_model_args *args, struct tn_model **ret,
                      struct tenon_err *err)
{
    struct tn_model *m = calloc(1, sizeof *m);
    int32_t rc;
    if (m == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, args->path, "out of memory");
    m->registry = reg;
    m->no_vocab = (struct tenon_err)TENON_ERR_INIT;
    rc = open_parts(m, args, err);
    if (rc == TENON_OK)
        rc = place(m, args, err);
    if (m->container != NULL)
        rc = tn_container_whole(m->container, rc, err);
    if (rc != TENON_OK) {
        tn_model_unload(m);
        return rc;
    }
    m->parts.backend = &m->device.backend;
    m->parts.device = m->device.device;
    m->parts.executable = m->executable;
    m->parts.graph = &m->graph->graph;
    m->parts.states = m->states.items;
    m->parts.n_states = m->states.n;
    *ret = m;
    return TENON_OK;
}

void tn_model_unload(struct tn_model *m)
{
    if (m == NULL)
        return;
    tn_packer_finish(m->packer);
    if (m->executable != NULL)
        m->device.backend.executable_free(m->executable);
    tn_states_finish(&m->states);
    tn_bindings_finish(&m->bindings);
    tn_graph_free(m->graph);
    tn_program_env_finish(&m->program);
    tn_resolved_finish(&m->resolved);
    tn_device_close(&m->device);
    tn_vocab_close(m->vocab);
    tn_architecture_close(&m->arch);
    tn_container_close(m->container);
    free(m);
}

/* ---- access --------------------------------------------------------------------------------------------------------- */

const struct tn_model_parts *tn_model_parts(const struct tn_model *m)
{
    return &m->parts;
}

void tn_model_max_dims(const struct tn_model *m, struct tenon_dims *ret)
{
    *ret = m->max;
}

const struct tn_container *tn_model_container(const struct tn_model *m)
{
    return m->container;
}

int32_t tn_model_vocab(const struct tn_model *m, const struct tn_vocab **ret, struct tenon_err *err)
{
    if (m->vocab == NULL)
        return tenon_fail(err, m->no_vocab.code, m->no_vocab.where, "%s", m->no_vocab.message);
    *ret = m->vocab;
    return TENON_OK;
}

const struct tenon_model_info *tn_model_info(const struct tn_model *m)
{
    return &m->arch.info;
}

const struct tenon_device_desc *tn_model_device(const struct tn_model *m)
{
    return &m->device.desc;
}

const struct tn_strlist *tn_model_unused(const struct tn_model *m)
{
    return &m->resolved.unused;
}

uint64_t tn_model_state_bytes(const struct tn_model *m)
{
    return m->states.bytes;
}

void tn_model_wait_packed(const struct tn_model *m)
{
    tn_packer_wait(m->packer);
}

uint64_t tn_model_packed_bytes(const struct tn_model *m)
{
    return m->bindings.packed_bytes;
}

uint64_t tn_model_made_bytes(const struct tn_model *m)
{
    return m->bindings.made_bytes;
}
