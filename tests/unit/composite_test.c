/* composite_test.c - see composite_test.h. */
#include "composite_test.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/graph/lower.h"
#include "seed.h"

static uint64_t seed;

uint32_t random_u32(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}
float random_float(void) { return (float)random_u32() / 2147483648.0f - 1.0f; } /* -1 .. 1 */

void start(void)
{
    seed = test_seed(20260101u);
    printf("seed %llu\n", (unsigned long long)seed);
}

/* ---- a graph of one composite ------------------------------------------------------------------------------- */

static int64_t count(const struct fixture *f, const struct tenon_dim *dims, uint32_t rank)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < rank; i++)
        n *= tenon_dim_value(&dims[i], &f->dims);
    return n;
}

/* An input or weight of random floats within -1 .. 1. */
static float *add(struct fixture *f, int32_t kind, const char *name, const struct tenon_dim *dims, uint32_t rank)
{
    int64_t n = count(f, dims, rank);
    float *data = calloc((size_t)n + 1, sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < n; i++)
        data[i] = random_float();
    f->items[f->n] = (struct item){name, kind, kind == TENON_VALUE_INPUT ? TENON_DTYPE_ACT : TENON_DTYPE_WEIGHT, {{0}}, rank, data};
    memcpy(f->items[f->n++].dims, dims, rank * sizeof *dims);
    return data;
}
float *add_input(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank)
{
    return add(f, TENON_VALUE_INPUT, name, dims, rank);
}
float *add_weight(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank)
{
    return add(f, TENON_VALUE_WEIGHT, name, dims, rank);
}
float *add_f32(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank)
{
    float *data = add_input(f, name, dims, rank);
    f->items[f->n - 1].dtype = TENON_DTYPE_F32;
    return data;
}
void *add_ints(struct fixture *f, const char *name, int32_t dtype, const void *ints, const struct tenon_dim *dims, uint32_t rank)
{
    void *data = add_input(f, name, dims, rank);
    memcpy(data, ints, (size_t)count(f, dims, rank) * 4);
    f->items[f->n - 1].dtype = dtype;
    return data;
}
void add_step(struct fixture *f, const char *name, const int32_t *ints, int64_t n)
{
    float *data = calloc((size_t)n, sizeof *data);
    memcpy(data, ints, (size_t)n * 4);
    f->items[f->n++] = (struct item){.name = name, .kind = TENON_VALUE_INPUT, .data = data}; /* typed by its name */
}
void add_absent(struct fixture *f) { f->items[f->n++] = (struct item){0}; }
void add_state(struct fixture *f, const char *name, void *data)
{
    float *box = calloc(1, sizeof(void *));
    memcpy(box, &data, sizeof data);
    f->items[f->n++] = (struct item){.name = name, .kind = TENON_VALUE_STATE, .data = box};
    f->state.struct_size = sizeof f->state;
    f->state.name = name;
    f->state.n_layers = 1;
}

int32_t find_weight(void *ctx, const char *name, struct tn_weight_info *ret, struct tenon_err *err)
{
    const struct fixture *f = ctx;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct item *w = &f->items[i];
        if (w->kind != TENON_VALUE_WEIGHT || strcmp(w->name, name) != 0)
            continue;
        *ret = (struct tn_weight_info){.index = i, .rank = w->rank, .present = true, .name = w->name};
        for (uint32_t d = 0; d < w->rank; d++)
            ret->dims[d] = (uint64_t)w->dims[d].b;
        return 0;
    }
    return tenon_fail(err, TENON_E_NOT_FOUND, name, "no such weight");
}
static int32_t find_state(void *ctx, const char *name, uint32_t *ret_index, struct tenon_err *err)
{
    const struct fixture *f = ctx;
    *ret_index = 0;
    return strcmp(f->state.name, name) == 0 ? 0 : tenon_fail(err, TENON_E_NOT_FOUND, name, "no such state");
}
static const struct tenon_state_desc *state_at(void *ctx, uint32_t index)
{
    struct fixture *f = ctx;
    return index == 0 ? &f->state : NULL;
}

static void *data_of(void *ctx, const struct tenon_value *v, int32_t layer)
{
    struct fixture *f = ctx;
    (void)layer;
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->items[i].name == NULL || strcmp(f->items[i].name, v->name) != 0)
            continue;
        if (v->kind != TENON_VALUE_STATE)
            return f->items[i].data;
        void *state;
        memcpy(&state, f->items[i].data, sizeof state);
        return state;
    }
    return NULL;
}

void run(struct fixture *f, const char *op, const struct tenon_attr *attrs, uint32_t n_attrs, uint32_t n_out, uint32_t n_ret)
{
    struct tn_build_env env = {.ctx = f, .find_weight = find_weight, .find_state = find_state, .state_at = state_at};
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_builder *builder = NULL;
    uint32_t in[20], outs[4];

    ck_assert_int_eq(tn_builder_create("step", &env, NULL, &builder, &err), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->block_begin(b->ctx, "main", NULL, 0, NULL);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct item *it = &f->items[i];
        in[i] = it->name == NULL ? TENON_NO_VALUE
                : it->kind == TENON_VALUE_WEIGHT ? b->weight(b->ctx, it->name)
                : it->kind == TENON_VALUE_STATE ? b->state(b->ctx, it->name)
                                                : b->input(b->ctx, it->name, it->dtype, it->dims, it->rank);
    }
    b->node(b->ctx, op, "n", in, f->n, attrs, n_attrs, outs, n_out);
    int32_t block = b->block_end(b->ctx, outs, n_ret);
    b->run(b->ctx, block, 0, 1);
    for (uint32_t i = 0; i < n_ret; i++)
        b->output(b->ctx, i, i == 0 ? "y" : i == 1 ? "y1" : "y2");
    int32_t status = tn_builder_finish(builder, &f->whole, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    tn_builder_destroy(builder);

    status = tn_lower(&f->whole->graph, NULL, &env, NULL, &f->graph, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    for (uint32_t i = 0; i < f->graph->graph.n_nodes; i++)
        ck_assert_uint_eq(tenon_op_at(tenon_op_find(tenon_graph_node(&f->graph->graph, i)->op))->tier, 0);
    f->eval = (struct eval){.g = &f->graph->graph, .dims = f->dims, .data = data_of, .ctx = f};
    eval_run(&f->eval);
}

void finish(struct fixture *f)
{
    eval_finish(&f->eval);
    tn_graph_free(f->graph);
    tn_graph_free(f->whole);
    for (uint32_t i = 0; i < f->n; i++)
        free(f->items[i].data);
    memset(f, 0, sizeof *f);
}

void check_close(const float *y, const double *want, int64_t n, double tol)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)y[i] - want[i]) <= tol * fmax(1.0, fabs(want[i])), "y[%d] is %.9g, not %.9g", (int)i, (double)y[i],
                      want[i]);
}

/* ---- a batch ------------------------------------------------------------------------------------------------ */

const int32_t position[TOKENS] = {4, 5, 6, 0, 1}, seq_of_token[TOKENS] = {0, 0, 0, 1, 1}, seq_start[SEQS + 1] = {0, 3, 5},
              context_len[SEQS] = {7, 2}, block_table[SEQS * PAGES] = {2, 0, -1, 4, -1, -1};

void add_step_inputs(struct fixture *f)
{
    add_step(f, "position", position, TOKENS);
    add_step(f, "seq_of_token", seq_of_token, TOKENS);
    add_step(f, "seq_start", seq_start, SEQS + 1);
    add_step(f, "context_len", context_len, SEQS);
}

struct tenon_dims attention_dims(void)
{
    return (struct tenon_dims){.struct_size = sizeof(struct tenon_dims),
                               .sym = {[TENON_SYM_T] = TOKENS, [TENON_SYM_S] = SEQS, [TENON_SYM_R] = 1, [TENON_SYM_C] = CACHE,
                                       [TENON_SYM_P] = PAGES}};
}
