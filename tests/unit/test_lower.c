/* test_lower.c - every composite's decomposition, evaluated on tenon-reference, against the composite's formula computed
 * directly with loops. Shapes are odd, inputs random; the seed is printed and taken from TENON_SEED. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/graph/builder.h"
#include "core/graph/lower.h"
#include "graph_eval.h"

#include <tenon/build.h>

/* ---- random numbers ----------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t random_u32(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}
static float random_float(void) { return (float)random_u32() / 2147483648.0f - 1.0f; } /* -1 .. 1 */

static void start(void)
{
    const char *given = getenv("TENON_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : 20260101u;
    printf("seed %llu\n", (unsigned long long)seed);
}

/* ---- a graph of one composite ------------------------------------------------------------------------------- */

struct item {
    const char *name; /* of the operand; step inputs by their own name */
    int32_t kind, dtype;
    struct tenon_dim dims[4];
    uint32_t rank;
    void *data; /* floats or ints; OWN: fixture where it was made by add() */
};

struct fixture {
    struct item items[20];
    uint32_t n;
    struct tenon_state_desc state;
    struct tenon_dims dims;
    struct tn_graph *graph;
    struct eval eval;
};

#define T_ tn_dim_sym(TENON_SYM_T)
#define S_ tn_dim_sym(TENON_SYM_S)
#define R_ tn_dim_sym(TENON_SYM_R)
#define N_(n) tn_dim_const(n)
#define DIMS(...) (struct tenon_dim[]){__VA_ARGS__}, sizeof((struct tenon_dim[]){__VA_ARGS__}) / sizeof(struct tenon_dim)

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
static float *add_input(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank)
{
    return add(f, TENON_VALUE_INPUT, name, dims, rank);
}
static float *add_weight(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank)
{
    return add(f, TENON_VALUE_WEIGHT, name, dims, rank);
}
static float *add_f32(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank)
{
    float *data = add_input(f, name, dims, rank);
    f->items[f->n - 1].dtype = TENON_DTYPE_F32;
    return data;
}
static void *add_ints(struct fixture *f, const char *name, int32_t dtype, const void *ints, const struct tenon_dim *dims, uint32_t rank)
{
    void *data = add_input(f, name, dims, rank);
    memcpy(data, ints, (size_t)count(f, dims, rank) * 4);
    f->items[f->n - 1].dtype = dtype;
    return data;
}
static void add_step(struct fixture *f, const char *name, const int32_t *ints, int64_t n)
{
    float *data = calloc((size_t)n, sizeof *data);
    memcpy(data, ints, (size_t)n * 4);
    f->items[f->n++] = (struct item){.name = name, .kind = TENON_VALUE_INPUT, .data = data}; /* typed by its name */
}
static void add_absent(struct fixture *f) { f->items[f->n++] = (struct item){0}; }
static void add_state(struct fixture *f, const char *name, void *data)
{
    float *box = calloc(1, sizeof(void *));
    memcpy(box, &data, sizeof data);
    f->items[f->n++] = (struct item){.name = name, .kind = TENON_VALUE_STATE, .data = box};
    f->state.struct_size = sizeof f->state;
    f->state.name = name;
    f->state.n_layers = 1;
}

static int32_t find_weight(void *ctx, const char *name, struct tn_weight_info *ret, struct tenon_err *err)
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

/* Build a program of one node over all items in order, lower it, check that no composite is left, run it. */
static void run(struct fixture *f, const char *op, const struct tenon_attr *attrs, uint32_t n_attrs, uint32_t n_out, uint32_t n_ret)
{
    struct tn_build_env env = {.ctx = f, .find_weight = find_weight, .find_state = find_state, .state_at = state_at};
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_builder *builder = NULL;
    struct tn_graph *built = NULL;
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
    int32_t status = tn_builder_finish(builder, &built, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    tn_builder_destroy(builder);

    status = tn_lower(&built->graph, NULL, &env, NULL, &f->graph, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    tn_graph_free(built);
    for (uint32_t i = 0; i < f->graph->graph.n_nodes; i++)
        ck_assert_uint_eq(tenon_op_at(tenon_op_find(tenon_graph_node(&f->graph->graph, i)->op))->tier, 0);
    f->eval = (struct eval){.g = &f->graph->graph, .dims = f->dims, .data = data_of, .ctx = f};
    eval_run(&f->eval);
}

static void finish(struct fixture *f)
{
    eval_finish(&f->eval);
    tn_graph_free(f->graph);
    for (uint32_t i = 0; i < f->n; i++)
        free(f->items[i].data);
    memset(f, 0, sizeof *f);
}

static void check_close(const float *y, const double *want, int64_t n, double tol)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)y[i] - want[i]) <= tol * fmax(1.0, fabs(want[i])), "y[%d] is %.9g, not %.9g", (int)i, (double)y[i],
                      want[i]);
}

/* ---- attention ---------------------------------------------------------------------------------------------- */

enum { TOKENS = 5, SEQS = 2, PAGES = 3, PAGE = 4, CACHE = PAGES * PAGE, HEADS = 6, GROUPS = 2, KDIM = 3, VDIM = 5 };
static const int32_t position[TOKENS] = {4, 5, 6, 0, 1}, seq_of_token[TOKENS] = {0, 0, 0, 1, 1}, seq_start[SEQS + 1] = {0, 3, 5},
                     context_len[SEQS] = {7, 2}, block_table[SEQS * PAGES] = {2, 0, -1, 4, -1, -1};

struct attention_case {
    int64_t window, causal;
    double softcap;
    bool sink;
};

/* Scores over positions 0 .. n-1 with keys and values given by functions of the position: the formula, directly. */
struct naive {
    const struct attention_case *c;
    const float *q, *sink;         /* of this token: [H,D]; [H] or NULL */
    const float *k[CACHE], *v[CACHE]; /* [GROUPS,KDIM], [GROUPS,VDIM] of each visible position; NULL: masked */
    int32_t at[CACHE];             /* its position */
};

static void naive_attention(const struct naive *a, int32_t pos, double scale, double *y)
{
    for (int h = 0; h < HEADS; h++) {
        int g = h / (HEADS / GROUPS);
        double s[CACHE], m = a->sink != NULL ? (double)a->sink[h] : -INFINITY, sum = 0;
        for (int c = 0; c < CACHE; c++) {
            s[c] = -INFINITY;
            if (a->k[c] == NULL || (a->c->causal && a->at[c] > pos) || (a->c->window > 0 && a->at[c] <= pos - a->c->window))
                continue;
            s[c] = 0;
            for (int d = 0; d < KDIM; d++)
                s[c] += scale * (double)a->q[h * KDIM + d] * (double)a->k[c][g * KDIM + d];
            if (a->c->softcap > 0)
                s[c] = a->c->softcap * tanh(s[c] / a->c->softcap);
            m = fmax(m, s[c]);
        }
        sum = a->sink != NULL ? exp((double)a->sink[h] - m) : 0;
        for (int c = 0; c < CACHE; c++)
            sum += exp(s[c] - m);
        for (int e = 0; e < VDIM; e++) {
            y[h * VDIM + e] = 0;
            for (int c = 0; c < CACHE; c++)
                if (s[c] > -INFINITY)
                    y[h * VDIM + e] += exp(s[c] - m) / sum * (double)a->v[c][g * VDIM + e];
        }
    }
}

static void add_step_inputs(struct fixture *f)
{
    add_step(f, "position", position, TOKENS);
    add_step(f, "seq_of_token", seq_of_token, TOKENS);
    add_step(f, "seq_start", seq_start, SEQS + 1);
    add_step(f, "context_len", context_len, SEQS);
}

static struct tenon_dims attention_dims(void)
{
    return (struct tenon_dims){.struct_size = sizeof(struct tenon_dims),
                               .sym = {[TENON_SYM_T] = TOKENS, [TENON_SYM_S] = SEQS, [TENON_SYM_R] = 1, [TENON_SYM_C] = CACHE,
                                       [TENON_SYM_P] = PAGES}};
}

static uint32_t attention_attrs(const struct attention_case *c, struct tenon_attr *a)
{
    a[0] = tenon_attr_i("kv_heads", GROUPS);
    a[1] = tenon_attr_i("k_dim", KDIM);
    a[2] = tenon_attr_i("v_dim", VDIM);
    a[3] = tenon_attr_f("scale", 1.7);
    a[4] = tenon_attr_i("window", c->window);
    a[5] = tenon_attr_f("softcap", c->softcap);
    a[6] = tenon_attr_i("causal", c->causal);
    return 7;
}

static const struct attention_case attention_cases[] = {
    {0, 1, 0, false}, {2, 1, 0, false}, {0, 0, 0, false}, {3, 0, 0, true}, {0, 1, 0.5, false}, {0, 1, 0, true}, {1, 1, 0.25, true},
};
#define N_CASES ((int)(sizeof attention_cases / sizeof attention_cases[0]))

START_TEST(cached_attention)
{
    const struct attention_case *c = &attention_cases[_i];
    float k[5 * PAGE * GROUPS * KDIM], v[5 * PAGE * GROUPS * VDIM];
    struct tenon_ref_kv kv = {5, PAGE, GROUPS, KDIM, GROUPS, VDIM, k, v};
    struct fixture f = {.dims = attention_dims(),
                        .state = {.kind = TENON_STATE_KV_PAGED, .k_heads = GROUPS, .k_dim = KDIM, .v_heads = GROUPS, .v_dim = VDIM}};
    struct tenon_attr attrs[8];
    double want[TOKENS * HEADS * VDIM];

    start();
    for (size_t i = 0; i < sizeof k / sizeof *k; i++)
        k[i] = random_float();
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        v[i] = random_float();
    float *q = add_input(&f, "q", DIMS(T_, N_(HEADS), N_(KDIM)));
    add_state(&f, "kv", &kv);
    add_absent(&f);
    add_absent(&f);
    float *sink = NULL;
    if (c->sink)
        sink = add_weight(&f, "sink", DIMS(N_(HEADS)));
    else
        add_absent(&f);
    add_step_inputs(&f);
    add_step(&f, "block_table.0", block_table, SEQS * PAGES);
    run(&f, "core.attention/1", attrs, attention_attrs(c, attrs), 1, 1);

    for (int t = 0; t < TOKENS; t++) {
        struct naive a = {.c = c, .q = q + t * HEADS * KDIM, .sink = sink};
        for (int p = 0; p < context_len[seq_of_token[t]]; p++) {
            int slot = block_table[seq_of_token[t] * PAGES + p / PAGE] * PAGE + p % PAGE;
            a.k[p] = k + slot * GROUPS * KDIM;
            a.v[p] = v + slot * GROUPS * VDIM;
            a.at[p] = p;
        }
        naive_attention(&a, position[t], 1.7, want + t * HEADS * VDIM);
    }
    check_close(eval_output(&f.eval, 0)->f, want, TOKENS * HEADS * VDIM, 2e-6);
    finish(&f);
}
END_TEST

START_TEST(step_attention)
{
    const struct attention_case *c = &attention_cases[_i];
    struct fixture f = {.dims = attention_dims()};
    struct tenon_attr attrs[8];
    double want[TOKENS * HEADS * VDIM];

    start();
    float *q = add_input(&f, "q", DIMS(T_, N_(HEADS), N_(KDIM)));
    add_absent(&f);
    float *k = add_input(&f, "k", DIMS(T_, N_(GROUPS), N_(KDIM)));
    float *v = add_input(&f, "v", DIMS(T_, N_(GROUPS), N_(VDIM)));
    float *sink = NULL;
    if (c->sink)
        sink = add_weight(&f, "sink", DIMS(N_(HEADS)));
    else
        add_absent(&f);
    add_step_inputs(&f);
    run(&f, "core.attention/1", attrs, attention_attrs(c, attrs), 1, 1);

    for (int t = 0; t < TOKENS; t++) {
        struct naive a = {.c = c, .q = q + t * HEADS * KDIM, .sink = sink};
        for (int j = 0; j < TOKENS; j++) {
            if (seq_of_token[j] != seq_of_token[t])
                continue;
            a.k[j] = k + j * GROUPS * KDIM;
            a.v[j] = v + j * GROUPS * VDIM;
            a.at[j] = position[j];
        }
        naive_attention(&a, position[t], 1.7, want + t * HEADS * VDIM);
    }
    check_close(eval_output(&f.eval, 0)->f, want, TOKENS * HEADS * VDIM, 2e-6);
    finish(&f);
}
END_TEST

START_TEST(latent_attention)
{
    enum { H = 3, D = 4, Q = 2, RANK = 5, V = 3, WIDTH = RANK + Q };
    float rows[5 * PAGE * WIDTH];
    struct tenon_ref_kv kv = {5, PAGE, 1, WIDTH, 0, 0, rows, NULL};
    struct fixture f = {.dims = attention_dims(), .state = {.kind = TENON_STATE_KV_LATENT, .k_heads = 1, .k_dim = WIDTH}};
    const struct tenon_attr attrs[] = {tenon_attr_i("rank", RANK), tenon_attr_i("v_dim", V), tenon_attr_f("scale", 0.7)};
    double want[TOKENS * H * V];

    start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        rows[i] = random_float();
    float *qn = add_input(&f, "q_nope", DIMS(T_, N_(H), N_(D))), *qr = add_input(&f, "q_rope", DIMS(T_, N_(H), N_(Q)));
    float *wk = add_weight(&f, "wk", DIMS(N_(H), N_(D), N_(RANK))), *wv = add_weight(&f, "wv", DIMS(N_(H), N_(V), N_(RANK)));
    add_state(&f, "kv", &kv);
    add_step_inputs(&f);
    add_step(&f, "block_table.0", block_table, SEQS * PAGES);
    run(&f, "core.latent_attention/1", attrs, 3, 1, 1);

    for (int t = 0; t < TOKENS; t++) {
        for (int h = 0; h < H; h++) {
            double s[CACHE], sum = 0, *y = want + (t * H + h) * V;
            const float *row[CACHE];
            int n = position[t] + 1;
            for (int p = 0; p < n; p++) {
                row[p] = rows + (block_table[seq_of_token[t] * PAGES + p / PAGE] * PAGE + p % PAGE) * WIDTH;
                s[p] = 0;
                for (int d = 0; d < D; d++) /* the key is made as the formula says, not absorbed into q */
                    for (int r = 0; r < RANK; r++)
                        s[p] += 0.7 * (double)qn[(t * H + h) * D + d] * (double)wk[(h * D + d) * RANK + r] * (double)row[p][r];
                for (int i = 0; i < Q; i++)
                    s[p] += 0.7 * (double)qr[(t * H + h) * Q + i] * (double)row[p][RANK + i];
                sum += exp(s[p]);
            }
            for (int e = 0; e < V; e++) {
                y[e] = 0;
                for (int p = 0; p < n; p++)
                    for (int r = 0; r < RANK; r++)
                        y[e] += exp(s[p]) / sum * (double)wv[(h * V + e) * RANK + r] * (double)row[p][r];
            }
        }
    }
    check_close(eval_output(&f.eval, 0)->f, want, TOKENS * H * V, 4e-6);
    finish(&f);
}
END_TEST

/* ---- feed-forward ------------------------------------------------------------------------------------------- */

static double silu(double x) { return x / (1 + exp(-x)); }
static double dot(const float *x, const float *w, int k)
{
    double s = 0;
    for (int i = 0; i < k; i++)
        s += (double)x[i] * (double)w[i];
    return s;
}

START_TEST(add_norm)
{
    enum { K = 7 };
    struct fixture f = {.dims = attention_dims()};
    const struct tenon_attr eps = tenon_attr_f("eps", 1e-3);
    double sum[TOKENS * K], want[TOKENS * K];
    start();
    float *a = add_input(&f, "a", DIMS(T_, N_(K))), *b = add_input(&f, "b", DIMS(T_, N_(K))), *w = add_weight(&f, "w", DIMS(N_(K)));
    run(&f, "core.add_norm/1", &eps, 1, 2, 2);
    for (int t = 0; t < TOKENS; t++) {
        double square = 0;
        for (int i = t * K; i < t * K + K; i++)
            sum[i] = (double)a[i] + (double)b[i], square += sum[i] * sum[i];
        for (int i = 0; i < K; i++)
            want[t * K + i] = sum[t * K + i] / sqrt(square / K + 1e-3) * (double)w[i];
    }
    check_close(eval_output(&f.eval, 0)->f, sum, TOKENS * K, 1e-6);
    check_close(eval_output(&f.eval, 1)->f, want, TOKENS * K, 1e-6);
    finish(&f);
}
END_TEST

/* _i: bit 0 with a gate, bit 1 with biases */
START_TEST(gated_ffn)
{
    enum { K = 5, F = 9 };
    bool gated = (_i & 1) != 0, biased = (_i & 2) != 0;
    struct fixture f = {.dims = attention_dims()};
    double want[TOKENS * K];
    float *wg = NULL, *bg = NULL, *bu = NULL, *bd = NULL;
    start();
    float *x = add_input(&f, "x", DIMS(T_, N_(K)));
    if (gated)
        wg = add_weight(&f, "gate", DIMS(N_(F), N_(K)));
    else
        add_absent(&f);
    float *wu = add_weight(&f, "up", DIMS(N_(F), N_(K))), *wd = add_weight(&f, "down", DIMS(N_(K), N_(F)));
    if (biased) {
        bg = add_weight(&f, "gate_bias", DIMS(N_(F)));
        bu = add_weight(&f, "up_bias", DIMS(N_(F)));
        bd = add_weight(&f, "down_bias", DIMS(N_(K)));
    }
    run(&f, "core.gated_ffn/1", NULL, 0, 1, 1);
    for (int t = 0; t < TOKENS; t++) {
        float h[F];
        for (int n = 0; n < F; n++) {
            double up = dot(x + t * K, wu + n * K, K) + (biased ? (double)bu[n] : 0);
            h[n] = (float)(gated ? silu(dot(x + t * K, wg + n * K, K) + (biased ? (double)bg[n] : 0)) * up : silu(up));
        }
        for (int k = 0; k < K; k++)
            want[t * K + k] = dot(h, wd + k * F, F) + (biased ? (double)bd[k] : 0);
    }
    check_close(eval_output(&f.eval, 0)->f, want, TOKENS * K, 2e-6);
    finish(&f);
}
END_TEST

enum { EXPERTS = 8, USED = 3, MK = 5, MF = 4 };
struct moe_case {
    const char *scoring;
    int64_t normalise, groups, groups_used;
    double limit, shift;
    bool select_bias, biases;
};
static const struct moe_case moe_cases[] = {
    {"softmax", 1, 0, 0, 0, 0, false, false},   {"softmax", 0, 0, 0, 0, 0, false, true}, {"sigmoid", 1, 4, 2, 0, 0, true, false},
    {"topk_softmax", 1, 0, 0, 0.2, 1, false, true}, {"sigmoid", 0, 2, 1, 0, 0, true, true},
};

/* The `used` experts of the largest rank, by repeated search; within the best groups. */
static void choose(const struct moe_case *c, const double *rank, int *chosen)
{
    double r[EXPERTS];
    memcpy(r, rank, sizeof r);
    if (c->groups > 0) {
        int each = EXPERTS / (int)c->groups;
        double score[EXPERTS];
        bool kept[EXPERTS] = {false};
        for (int g = 0; g < c->groups; g++) {
            double a = -INFINITY, b = -INFINITY;
            for (int e = g * each; e < g * each + each; e++) {
                if (r[e] > a)
                    b = a, a = r[e];
                else if (r[e] > b)
                    b = r[e];
            }
            score[g] = a + b;
        }
        for (int n = 0; n < c->groups_used; n++) {
            int best = 0;
            for (int g = 1; g < c->groups; g++)
                best = score[g] > score[best] ? g : best;
            kept[best] = true;
            score[best] = -INFINITY;
        }
        for (int e = 0; e < EXPERTS; e++)
            r[e] = kept[e / each] ? r[e] : -INFINITY;
    }
    for (int n = 0; n < USED; n++) {
        chosen[n] = 0;
        for (int e = 1; e < EXPERTS; e++)
            chosen[n] = r[e] > r[chosen[n]] ? e : chosen[n];
        r[chosen[n]] = -INFINITY;
    }
}

START_TEST(moe_ffn)
{
    const struct moe_case *c = &moe_cases[_i];
    struct fixture f = {.dims = attention_dims()};
    const struct tenon_attr attrs[] = {
        tenon_attr_i("used", USED), tenon_attr_s("scoring", c->scoring), tenon_attr_i("normalise", c->normalise), tenon_attr_f("scale", 1.5),
        tenon_attr_i("groups", c->groups), tenon_attr_i("groups_used", c->groups_used), tenon_attr_f("limit", c->limit),
        tenon_attr_f("up_shift", c->shift)};
    float *sb = NULL, *bg = NULL, *bu = NULL, *bd = NULL;
    double want[TOKENS * MK];
    start();
    float *x = add_input(&f, "x", DIMS(T_, N_(MK))), *router = add_weight(&f, "router", DIMS(N_(EXPERTS), N_(MK)));
    add_absent(&f);
    if (c->select_bias)
        sb = add_weight(&f, "select_bias", DIMS(N_(EXPERTS)));
    else
        add_absent(&f);
    float *wg = add_weight(&f, "gate", DIMS(N_(EXPERTS), N_(MF), N_(MK))), *wu = add_weight(&f, "up", DIMS(N_(EXPERTS), N_(MF), N_(MK)));
    float *wd = add_weight(&f, "down", DIMS(N_(EXPERTS), N_(MK), N_(MF)));
    if (c->biases) {
        bg = add_weight(&f, "gate_bias", DIMS(N_(EXPERTS), N_(MF)));
        bu = add_weight(&f, "up_bias", DIMS(N_(EXPERTS), N_(MF)));
        bd = add_weight(&f, "down_bias", DIMS(N_(EXPERTS), N_(MK)));
    }
    run(&f, "core.moe_ffn/1", attrs, 8, 1, 1);

    for (int t = 0; t < TOKENS; t++) {
        const float *xt = x + t * MK;
        double p[EXPERTS], rank[EXPERTS], w[USED], sum = 0;
        int chosen[USED];
        for (int e = 0; e < EXPERTS; e++) {
            p[e] = dot(xt, router + e * MK, MK);
            sum += exp(p[e]);
        }
        for (int e = 0; e < EXPERTS; e++) {
            p[e] = strcmp(c->scoring, "softmax") == 0 ? exp(p[e]) / sum : strcmp(c->scoring, "sigmoid") == 0 ? 1 / (1 + exp(-p[e])) : p[e];
            rank[e] = p[e] + (sb != NULL ? (double)sb[e] : 0);
        }
        choose(c, rank, chosen);
        sum = 0;
        for (int n = 0; n < USED; n++) {
            w[n] = strcmp(c->scoring, "topk_softmax") == 0 ? exp(p[chosen[n]]) : p[chosen[n]];
            sum += w[n];
        }
        for (int k = 0; k < MK; k++)
            want[t * MK + k] = 0;
        for (int n = 0; n < USED; n++) {
            int e = chosen[n];
            float h[MF];
            double share = 1.5 * (c->normalise ? w[n] / sum : w[n]);
            for (int i = 0; i < MF; i++) {
                double g = dot(xt, wg + (e * MF + i) * MK, MK) + (bg != NULL ? (double)bg[e * MF + i] : 0);
                double u = dot(xt, wu + (e * MF + i) * MK, MK) + (bu != NULL ? (double)bu[e * MF + i] : 0);
                if (c->limit > 0)
                    g = fmin(g, c->limit), u = fmax(-c->limit, fmin(u, c->limit));
                h[i] = (float)(silu(g) * (u + c->shift));
            }
            for (int k = 0; k < MK; k++)
                want[t * MK + k] += share * (dot(h, wd + (e * MK + k) * MF, MF) + (bd != NULL ? (double)bd[e * MK + k] : 0));
        }
    }
    check_close(eval_output(&f.eval, 0)->f, want, TOKENS * MK, 4e-6);
    finish(&f);
}
END_TEST

/* ---- recurrences -------------------------------------------------------------------------------------------- */

enum { SH = 4, SD = 3, SG = 2, SN = 5, SLOTS = 3 };
static const int32_t slot[SEQS] = {2, 0};

START_TEST(ssm_scan)
{
    struct fixture f = {.dims = attention_dims(), .state = {.kind = TENON_STATE_RECURRENT}};
    const struct tenon_attr attrs[] = {tenon_attr_f("dt_min", 0.4), tenon_attr_f("dt_max", 0.9)};
    float state[SLOTS * SH * SN * SD];
    double m[SLOTS * SH * SN * SD], want[TOKENS * SH * SD];
    start();
    for (size_t i = 0; i < sizeof state / sizeof *state; i++)
        m[i] = (double)(state[i] = random_float());
    float *x = add_input(&f, "x", DIMS(T_, N_(SH), N_(SD))), *dt = add_input(&f, "dt", DIMS(T_, N_(SH)));
    float *b = add_input(&f, "b", DIMS(T_, N_(SG), N_(SN))), *c = add_input(&f, "c", DIMS(T_, N_(SG), N_(SN)));
    float *a = add_weight(&f, "a", DIMS(N_(SH))), *d = add_weight(&f, "d", DIMS(N_(SH))), *bias = add_weight(&f, "dt_bias", DIMS(N_(SH)));
    add_state(&f, "ssm", state);
    add_step(&f, "state_slot", slot, SEQS);
    add_step(&f, "seq_start", seq_start, SEQS + 1);
    run(&f, "core.ssm_scan/1", attrs, 2, 2, 1);

    for (int t = 0; t < TOKENS; t++) {
        for (int h = 0; h < SH; h++) {
            int g = h / (SH / SG);
            double s = log(1 + exp((double)dt[t * SH + h] + (double)bias[h])), *mh = m + (slot[seq_of_token[t]] * SH + h) * SN * SD;
            s = fmin(fmax(s, 0.4), 0.9);
            for (int i = 0; i < SD; i++) {
                double y = (double)d[h] * (double)x[(t * SH + h) * SD + i];
                for (int n = 0; n < SN; n++) {
                    double *cell = mh + n * SD + i;
                    *cell = exp(s * (double)a[h]) * *cell + s * (double)b[(t * SG + g) * SN + n] * (double)x[(t * SH + h) * SD + i];
                    y += (double)c[(t * SG + g) * SN + n] * *cell;
                }
                want[(t * SH + h) * SD + i] = y;
            }
        }
    }
    check_close(eval_output(&f.eval, 0)->f, want, TOKENS * SH * SD, 4e-6);
    check_close(state, m, SLOTS * SH * SN * SD, 4e-6);
    finish(&f);
}
END_TEST

START_TEST(delta_rule)
{
    struct fixture f = {.dims = attention_dims(), .state = {.kind = TENON_STATE_RECURRENT}};
    const struct tenon_attr scale = tenon_attr_f("scale", 0.5);
    float state[SLOTS * SH * SN * SD];
    double m[SLOTS * SH * SN * SD], want[TOKENS * SH * SD];
    start();
    for (size_t i = 0; i < sizeof state / sizeof *state; i++)
        m[i] = (double)(state[i] = random_float());
    float *q = add_input(&f, "q", DIMS(T_, N_(SH), N_(SN))), *k = add_input(&f, "k", DIMS(T_, N_(SH), N_(SN)));
    float *v = add_input(&f, "v", DIMS(T_, N_(SH), N_(SD))), *g = add_input(&f, "g", DIMS(T_, N_(SH))), *beta = add_input(&f, "beta", DIMS(T_, N_(SH)));
    add_state(&f, "delta", state);
    add_step(&f, "state_slot", slot, SEQS);
    add_step(&f, "seq_start", seq_start, SEQS + 1);
    run(&f, "core.delta_rule/1", &scale, 1, 2, 1);

    for (int t = 0; t < TOKENS; t++) {
        for (int h = 0; h < SH; h++) {
            double *mh = m + (slot[seq_of_token[t]] * SH + h) * SN * SD, kn[SN], qn[SN];
            const float *kt = k + (t * SH + h) * SN, *qt = q + (t * SH + h) * SN;
            for (int n = 0; n < SN; n++) {
                kn[n] = (double)kt[n] / sqrt(dot(kt, kt, SN));
                qn[n] = 0.5 * (double)qt[n] / sqrt(dot(qt, qt, SN));
            }
            for (int i = 0; i < SD; i++) {
                double seen = 0, y = 0;
                for (int n = 0; n < SN; n++) {
                    mh[n * SD + i] *= exp((double)g[t * SH + h]);
                    seen += mh[n * SD + i] * kn[n];
                }
                for (int n = 0; n < SN; n++) {
                    mh[n * SD + i] += (double)beta[t * SH + h] * kn[n] * ((double)v[(t * SH + h) * SD + i] - seen);
                    y += mh[n * SD + i] * qn[n];
                }
                want[(t * SH + h) * SD + i] = y;
            }
        }
    }
    check_close(eval_output(&f.eval, 0)->f, want, TOKENS * SH * SD, 8e-6);
    finish(&f);
}
END_TEST

/* ---- sampling ----------------------------------------------------------------------------------------------- */

enum { ROWS = 5, VOCAB = 37, WORDS = 2, HISTORY = 6, LOGPROBS = 3 };

struct sampler {
    float temperature, top_p, min_p, penalty[3];
    int32_t top_k;
};

/* The chain for one row, with a sort; history and mask may be NULL. */
static int32_t naive_sample(const struct sampler *s, const float *logits, const int32_t *history, const float *bias, const uint32_t *mask,
                            float random, double *ret_logprobs)
{
    double x[VOCAB], p[VOCAB], sum = 0, total = 0, before = 0;
    int order[VOCAB], n = VOCAB;
    bool kept[VOCAB];
    for (int v = 0; v < VOCAB; v++) {
        int count = 0;
        for (int i = 0; i < HISTORY; i++)
            count += history[i] == v;
        x[v] = (double)logits[v];
        if (count > 0)
            x[v] = x[v] > 0 ? x[v] / (double)s->penalty[0] : x[v] * (double)s->penalty[0];
        x[v] -= (count > 0 ? (double)s->penalty[1] : 0) + count * (double)s->penalty[2];
        x[v] += (double)bias[v];
        if ((mask[v / 32] >> (v % 32) & 1) == 0)
            x[v] = -INFINITY;
        sum += exp(x[v]);
        order[v] = v;
    }
    for (int i = 0; i < VOCAB; i++) /* descending, lower index first */
        for (int j = i; j > 0 && x[order[j]] > x[order[j - 1]]; j--) {
            int swap = order[j];
            order[j] = order[j - 1], order[j - 1] = swap;
        }
    for (int i = 0; i < LOGPROBS; i++)
        ret_logprobs[i] = x[order[i]] - log(sum);
    if (s->temperature <= 0)
        return order[0];
    n = s->top_k > 0 && s->top_k < VOCAB ? s->top_k : VOCAB;
    for (int i = 0; i < n; i++)
        total += p[i] = exp((x[order[i]] - x[order[0]]) / (double)s->temperature);
    for (int i = 0; i < n; i++) {
        p[i] /= total;
        kept[i] = (before < (double)s->top_p || i == 0) && p[i] >= (double)s->min_p * p[0];
        before += p[i];
    }
    total = 0;
    for (int i = 0; i < n; i++)
        total += kept[i] ? p[i] : 0;
    before = 0;
    for (int i = 0; i < n; i++) {
        before += kept[i] ? p[i] : 0;
        if (before > (double)random * total)
            return order[i];
    }
    return order[0];
}

START_TEST(sample)
{
    static const struct sampler rows[ROWS] = {{0.0f, 1.0f, 0.0f, {1, 0, 0}, 0}, {0.8f, 0.9f, 0.0f, {1.3f, 0.2f, 0.1f}, 20},
                                              {1.5f, 1.0f, 0.05f, {1, 0.5f, 0}, 0}, {0.7f, 0.5f, 0.1f, {1.1f, 0, 0.3f}, 5},
                                              {2.0f, 1.0f, 1.0f, {1, 0, 0}, 0}};
    const struct tenon_attr logprobs = tenon_attr_i("logprobs", LOGPROBS);
    struct fixture f;
    int differ = 0, drawn_other = 0;
    start();
    for (int round = 0; round < 40; round++) {
        int32_t top_k[ROWS], history[ROWS * HISTORY];
        uint32_t mask[ROWS * WORDS], key[ROWS * 2], index[ROWS];
        float random[ROWS];
        f = (struct fixture){.dims = attention_dims()};
        f.dims.sym[TENON_SYM_R] = ROWS;
        for (int r = 0; r < ROWS; r++) {
            top_k[r] = rows[r].top_k;
            index[r] = (uint32_t)round;
            key[2 * r] = random_u32(), key[2 * r + 1] = (uint32_t)r;
            mask[WORDS * r] = random_u32() | 7u, mask[WORDS * r + 1] = 0x1f;
            for (int i = 0; i < HISTORY; i++)
                history[r * HISTORY + i] = i < 2 ? -1 : (int32_t)(random_u32() % VOCAB);
        }
        float *logits = add_input(&f, "logits", DIMS(R_, N_(VOCAB)));
        for (int i = 0; i < ROWS * VOCAB; i++)
            logits[i] *= 5;
        float *temperature = add_f32(&f, "temperature", DIMS(R_));
        add_ints(&f, "top_k", TENON_DTYPE_I32, top_k, DIMS(R_));
        float *top_p = add_f32(&f, "top_p", DIMS(R_)), *min_p = add_f32(&f, "min_p", DIMS(R_));
        float *penalty = add_f32(&f, "penalty", DIMS(R_, N_(3)));
        for (int r = 0; r < ROWS; r++) {
            temperature[r] = rows[r].temperature, top_p[r] = rows[r].top_p, min_p[r] = rows[r].min_p;
            memcpy(penalty + 3 * r, rows[r].penalty, sizeof rows[r].penalty);
        }
        add_ints(&f, "history", TENON_DTYPE_I32, history, DIMS(R_, N_(HISTORY)));
        float *bias = add_f32(&f, "bias", DIMS(R_, N_(VOCAB)));
        add_ints(&f, "mask", TENON_DTYPE_U32, mask, DIMS(R_, N_(WORDS)));
        add_ints(&f, "seed", TENON_DTYPE_U32, key, DIMS(R_, N_(2)));
        add_ints(&f, "index", TENON_DTYPE_U32, index, DIMS(R_));
        run(&f, "core.sample/1", &logprobs, 1, 3, 3);
        tenon_ref_random(ROWS, key, index, random);
        for (int r = 0; r < ROWS; r++) {
            double lp[LOGPROBS];
            int32_t want = naive_sample(&rows[r], logits + r * VOCAB, history + r * HISTORY, bias + r * VOCAB, mask + r * WORDS, random[r], lp);
            int32_t have = eval_output(&f.eval, 0)->i[r];
            if (rows[r].temperature <= 0)
                ck_assert_int_eq(have, want);
            differ += have != want; /* a draw within rounding of a border may fall on either side */
            drawn_other += have != eval_output(&f.eval, 1)->i[r * LOGPROBS];
            check_close(eval_output(&f.eval, 2)->f + r * LOGPROBS, lp, LOGPROBS, 4e-6);
        }
        finish(&f);
    }
    ck_assert_int_le(differ, 1);
    ck_assert_int_ge(drawn_other, 10); /* the draws are draws, not the most likely each time */
}
END_TEST

/* ---- claims and plugins' composites ------------------------------------------------------------------------- */

START_TEST(claimed_nodes_stay)
{
    struct fixture f = {.dims = attention_dims()};
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_graph *built = NULL, *lowered = NULL;
    struct tn_builder *builder = NULL;
    uint32_t x, outs[2];
    const struct tenon_attr eps = tenon_attr_f("eps", 1e-3);
    add_weight(&f, "w", DIMS(N_(4)));
    struct tn_build_env env = {.ctx = &f, .find_weight = find_weight};
    ck_assert_int_eq(tn_builder_create("step", &env, NULL, &builder, &err), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->block_begin(b->ctx, "main", NULL, 0, NULL);
    x = b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_, N_(4)));
    for (int i = 0; i < 2; i++) {
        const uint32_t in[] = {x, x, b->weight(b->ctx, "w")};
        b->node(b->ctx, "core.add_norm/1", i == 0 ? "first" : "second", in, 3, &eps, 1, outs, 2);
        x = outs[1];
    }
    b->run(b->ctx, b->block_end(b->ctx, &x, 1), 0, 0);
    b->output(b->ctx, 0, "y");
    ck_assert_int_eq(tn_builder_finish(builder, &built, &err), 0);
    tn_builder_destroy(builder);
    ck_assert_int_eq(tn_lower(&built->graph, (const uint8_t[]){0, 1}, &env, NULL, &lowered, &err), 0);
    ck_assert_uint_eq(lowered->graph.n_nodes, 3);
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 0)->name, "first.sum");
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 1)->name, "first.y");
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 2)->op, "core.add_norm/1");
    tn_graph_free(built);
    tn_graph_free(lowered);
    free(f.items[0].data);
}
END_TEST

/* com.acme.twice/1: y = 2 x */
static int32_t twice(void *self, const struct tenon_builder *b, const struct tenon_node *node, const uint32_t *in, uint32_t n_in,
                     uint32_t *outs, uint32_t n_out, struct tenon_err *err)
{
    (void)node;
    ck_assert_ptr_eq(self, (void *)&seed);
    ck_assert_uint_eq(n_in, 1);
    ck_assert_uint_eq(n_out, 1);
    outs[0] = tenon_affine(b, "y", in[0], 2, 0);
    return b->status(b->ctx, err);
}
static const struct tenon_composite acme = {sizeof acme, 0, "x:act[...] -> y:act[...]", "", twice};
static const struct tenon_composite acme_bare = {sizeof acme_bare, 0, "x:act[...] -> y:act[...]", "", NULL};
static const struct tenon_composite *find_op(void *ctx, const char *id, void **ret_self)
{
    *ret_self = &seed;
    return strcmp(id, "com.acme.twice/1") == 0 ? ctx : NULL;
}

static int32_t lower_twice(const char *op, const struct tenon_composite *composite, struct tn_graph **ret, struct tenon_err *err)
{
    struct tn_op_lookup lookup = {(void *)(uintptr_t)composite, find_op};
    struct tn_graph *built = NULL;
    struct tn_builder *builder = NULL;
    ck_assert_int_eq(tn_builder_create("step", NULL, &lookup, &builder, err), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->block_begin(b->ctx, "main", NULL, 0, NULL);
    uint32_t x = tenon_op1(b, op, "two", b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_)));
    b->run(b->ctx, b->block_end(b->ctx, &x, 1), 0, 0);
    b->output(b->ctx, 0, "y");
    int32_t status = tn_builder_finish(builder, &built, err);
    tn_builder_destroy(builder);
    if (status == 0)
        status = tn_lower(&built->graph, NULL, NULL, &lookup, ret, err);
    tn_graph_free(built);
    return status;
}

START_TEST(plugin_composite)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_graph *lowered = NULL;
    ck_assert_int_eq(lower_twice("com.acme.twice/1", &acme, &lowered, &err), 0);
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 0)->name, "two.y");
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 0)->op, "core.affine/1");
    tn_graph_free(lowered);
    ck_assert_int_eq(lower_twice("com.acme.twice/1", &acme_bare, &lowered, &err), TENON_E_UNIMPLEMENTED);
    ck_assert_int_eq(lower_twice("com.acme.thrice/1", &acme, &lowered, &err), TENON_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "com.acme.thrice/1"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lower");
    TCase *c = tcase_create("decompositions");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, cached_attention, 0, N_CASES);
    tcase_add_loop_test(c, step_attention, 0, N_CASES);
    tcase_add_test(c, latent_attention);
    tcase_add_test(c, add_norm);
    tcase_add_loop_test(c, gated_ffn, 0, 4);
    tcase_add_loop_test(c, moe_ffn, 0, (int)(sizeof moe_cases / sizeof moe_cases[0]));
    tcase_add_test(c, ssm_scan);
    tcase_add_test(c, delta_rule);
    tcase_add_test(c, sample);
    suite_add_tcase(suite, c);
    c = tcase_create("lowering");
    tcase_add_test(c, claimed_nodes_stay);
    tcase_add_test(c, plugin_composite);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
