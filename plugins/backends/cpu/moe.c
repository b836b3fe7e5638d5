/* moe.c - core.moe_ffn: each token's experts are chosen, the tokens of an expert are laid beside each other, and each expert's
 * weights are read once for all of them. A row's products do not depend on the rows beside it, and its experts are summed in the
 * order of their choice, so a token's bits do not depend on its company. Contract: native.h, formula: tenon/ops.h. */
#include "native.h"

#include <math.h>

enum { X, ROUTER, ROUTER_BIAS, SELECT_BIAS, GATE, UP, DOWN, GATE_BIAS, UP_BIAS, DOWN_BIAS };

/* Sizes, and where things lie in the step's scratch. */
struct moe {
    int64_t t, k, f, n, used, rows; /* rows: t * used */
    int64_t groups, groups_used, group_best;
    enum cpu_unary kind;
    float *p;         /* [T,N] scores, then probabilities */
    float *rank;      /* [T,N] what the choice goes by */
    float *share;     /* [T,used] weights of the chosen */
    int32_t *expert;  /* [T,used] */
    int32_t *place;   /* [T,used] row of the grouped arrays */
    int32_t *token;   /* [rows] whose row it is */
    int32_t *first;   /* [N+1] rows of each expert */
    int32_t *active;  /* [N] experts with rows; their number is active[N] */
    float *group;     /* [T,groups] scores of groups */
    int32_t *kept;    /* [T,groups] is it among the best? */
    float *in;        /* [rows,K] grouped; later the results */
    float *gate, *up; /* [rows,F] */
    void *act;        /* prepared activations of the router, of `in`, of `gate` in turn */
};

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct moe sizes(const struct tenon_graph *g, const struct tenon_node *n, int64_t tokens, struct cpu_room *room)
{
    const struct tenon_value *gate = tenon_graph_value(g, n->in[GATE]);
    struct moe m = {
        .t = tokens, .n = gate->dims[0].b, .f = gate->dims[1].b, .k = gate->dims[2].b, .used = tenon_node_i64(n, "used", 1),
        .groups = tenon_node_i64(n, "groups", 0), .groups_used = tenon_node_i64(n, "groups_used", 0),
        .group_best = tenon_node_i64(n, "group_best", 2), .kind = cpu_unary_find(tenon_node_str(n, "kind", "silu")),
    };
    m.rows = m.t * m.used;
    m.p = cpu_take_floats(room, m.t * m.n);
    m.rank = cpu_take_floats(room, m.t * m.n);
    m.share = cpu_take_floats(room, m.rows);
    m.expert = cpu_take(room, (uint64_t)m.rows * sizeof *m.expert);
    m.place = cpu_take(room, (uint64_t)m.rows * sizeof *m.place);
    m.token = cpu_take(room, (uint64_t)m.rows * sizeof *m.token);
    m.first = cpu_take(room, (uint64_t)(m.n + 1) * sizeof *m.first);
    m.active = cpu_take(room, (uint64_t)(m.n + 1) * sizeof *m.active);
    m.group = cpu_take_floats(room, m.t * m.groups);
    m.kept = cpu_take(room, (uint64_t)(m.t * m.groups) * sizeof *m.kept);
    m.in = cpu_take_floats(room, m.rows * m.k);
    m.gate = cpu_take_floats(room, m.rows * m.f);
    m.up = cpu_take_floats(room, m.rows * m.f);
    m.act = cpu_take(room, most((uint64_t)cpu_act_bytes(m.rows, m.k), (uint64_t)cpu_act_bytes(m.rows, m.f)));
    return m;
}

static bool moe_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    return cpu_is_weight(g, n, ROUTER, 2, false) && cpu_is_weight(g, n, ROUTER_BIAS, 1, true) &&
           cpu_is_weight(g, n, SELECT_BIAS, 1, true) && cpu_is_weight(g, n, GATE, 3, false) && cpu_is_weight(g, n, UP, 3, false) &&
           cpu_is_weight(g, n, DOWN, 3, false) && cpu_is_weight(g, n, GATE_BIAS, 2, true) && cpu_is_weight(g, n, UP_BIAS, 2, true) &&
           cpu_is_weight(g, n, DOWN_BIAS, 2, true) && cpu_unary_find(tenon_node_str(n, "kind", "silu")) != CPU_UNARY_COUNT;
}

static uint64_t moe_bytes(const struct tenon_executable *exe, const struct tenon_node *n)
{
    struct cpu_room room = { NULL, 0 };
    (void)sizes(exe->graph, n, exe->bucket.sym[TENON_SYM_T], &room);
    return room.used;
}

/* ---- the choice ---- */

static float or_least(float x)
{
    return x != x ? -INFINITY : x;
}

/* Sum of the best of n scores, by repeated search; a NaN counts as -inf. */
static float sum_of_best(const float *x, int64_t n, int64_t best)
{
    float sum = 0.0f, last = INFINITY;
    int64_t at = -1;
    for (int64_t b = 0; b < best; b++) {
        int64_t found = -1; /* the next in order of falling score and rising index */
        for (int64_t i = 0; i < n; i++)
            if ((or_least(x[i]) < last || (or_least(x[i]) == last && i > at)) &&
                (found < 0 || or_least(x[i]) > or_least(x[found])))
                found = i;
        if (found < 0)
            break;
        at = found;
        last = or_least(x[found]);
        sum += x[found];
    }
    return sum;
}

/* Experts of groups that are not among the best become -inf. */
static void limit_groups(const struct moe *m, int64_t t, float *rank)
{
    float *score = m->group + t * m->groups;
    int32_t *kept = m->kept + t * m->groups;
    int64_t each = m->n / m->groups;
    for (int64_t g = 0; g < m->groups; g++)
        score[g] = sum_of_best(rank + g * each, each, m->group_best);
    for (int64_t g = 0; g < m->groups; g++) {
        int64_t better = 0;
        for (int64_t o = 0; o < m->groups; o++)
            better += or_least(score[o]) > or_least(score[g]) || (or_least(score[o]) == or_least(score[g]) && o < g);
        kept[g] = better < m->groups_used;
    }
    for (int64_t i = 0; i < m->n; i++)
        rank[i] = kept[i / each] != 0 ? rank[i] : -INFINITY;
}

/* The weights of the chosen from their probabilities or, for topk_softmax, their scores. */
static void weigh(const struct walker *w, const struct cpu_call *c, const struct moe *m, const float *p, const int32_t *expert,
                  float *share)
{
    float sum = 0.0f, scale = (float)tenon_node_f64(c->node, "scale", 1);
    for (int64_t i = 0; i < m->used; i++) {
        share[i] = p[expert[i]];
        sum += share[i];
    }
    if (strcmp(tenon_node_str(c->node, "scoring", "softmax"), "topk_softmax") == 0)
        w->k->softmax(share, m->used, 1.0f, NULL, share);
    else if (tenon_node_i64(c->node, "normalise", 1) != 0)
        for (int64_t i = 0; i < m->used; i++)
            share[i] /= sum;
    for (int64_t i = 0; i < m->used; i++)
        share[i] *= scale;
}

static void route_token(const struct walker *w, const struct cpu_call *c, const struct moe *m, int64_t t)
{
    const char *scoring = tenon_node_str(c->node, "scoring", "softmax");
    float *p = m->p + t * m->n, *rank = m->rank + t * m->n, *share = m->share + t * m->used;
    int32_t *expert = m->expert + t * m->used;
    if (strcmp(scoring, "softmax") == 0)
        w->k->softmax(p, m->n, 1.0f, NULL, p);
    else if (strcmp(scoring, "sigmoid") == 0)
        w->k->unary(CPU_SIGMOID, p, m->n, p);
    memcpy(rank, p, (size_t)m->n * sizeof *rank);
    if (c->in[SELECT_BIAS].p != NULL)
        w->k->add(p, c->in[SELECT_BIAS].f, m->n, rank);
    if (m->groups > 1)
        limit_groups(m, t, rank);
    tenon_ref_top_k(1, m->n, m->used, rank, share, expert);
    weigh(w, c, m, p, expert, share);
}

/* Rows of the grouped arrays: by expert, then by token. */
static void group_rows(const struct moe *m)
{
    memset(m->first, 0, (size_t)(m->n + 1) * sizeof *m->first);
    for (int64_t i = 0; i < m->rows; i++)
        m->first[m->expert[i] + 1]++;
    m->active[m->n] = 0;
    for (int64_t e = 0; e < m->n; e++) {
        if (m->first[e + 1] > 0)
            m->active[m->active[m->n]++] = (int32_t)e;
        m->first[e + 1] += m->first[e];
    }
    for (int64_t i = 0; i < m->rows; i++) {
        m->place[i] = m->first[m->expert[i]]++;
        m->token[m->place[i]] = (int32_t)(i / m->used);
    }
    for (int64_t e = m->n; e > 0; e--) /* each was moved to where the next begins */
        m->first[e] = m->first[e - 1];
    m->first[0] = 0;
}

/* ---- products ---- */

static bool quantised(const struct cpu_tensor *weight)
{
    return cpu_encoding_at(weight->packed->format)->quantised;
}

/* x [rows, k] as the products by a and b want it: quantised by all threads, if need be. */
static struct cpu_act prepare(const struct walker *w, const float *x, int64_t rows, int64_t k, const struct cpu_tensor *by,
                              const struct cpu_tensor *and_by, void *memory)
{
    struct cpu_act a = { .x = x, .ldx = k, .K = k, .narrow = w->exe->narrow };
    int64_t r0, r1;
    if (!quantised(by) && !quantised(and_by))
        return a;
    bind_act(w, &a, memory, rows, k);
    share(w, rows, &r0, &r1);
    w->k->quantize(&a, r0, r1);
    barrier(w);
    return a;
}

/* y[r * ld + i - n0] of rows n0 <= i < n1 of operand `in`, a stack of matrices, for rows r0..r1 of a; `bias` is an operand
 * too. */
static void product(const struct walker *w, const struct cpu_call *c, uint32_t in, const struct cpu_act *a, int64_t r0,
                    int64_t r1, int64_t n0, int64_t n1, float *y, int64_t ld, uint32_t bias)
{
    float *from = (float *)((uintptr_t)y - (uintptr_t)n0 * sizeof *y); /* the kernels count from the stack's first row */
    cpu_by_weight(w, weight(w, c->node->in[in]), a, r0, r1, n0, n1, from, ld, c->in[bias].f);
}

static void activate(const struct walker *w, const struct cpu_call *c, const struct moe *m, float *gate, float *up, int64_t n)
{
    float limit = (float)tenon_node_f64(c->node, "limit", 0), shift = (float)tenon_node_f64(c->node, "up_shift", 0);
    for (int64_t i = 0; limit > 0.0f && i < n; i++) { /* a NaN stays */
        gate[i] = gate[i] > limit ? limit : gate[i];
        up[i] = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
    }
    if (shift != 0.0f)
        w->k->affine(up, 1.0f, shift, n, up);
    w->k->unary_mul(m->kind, gate, up, n, gate);
}

/* Rows n0..n1 of expert e's gate and up for all its tokens, and what the net makes of them. */
static void hidden_task(const struct walker *w, const struct cpu_call *c, const struct moe *m, const struct cpu_act *a,
                        int64_t e, int64_t n0, int64_t n1)
{
    int64_t r0 = m->first[e], r1 = m->first[e + 1], at = e * m->f;
    product(w, c, GATE, a, r0, r1, at + n0, at + n1, m->gate + n0, m->f, GATE_BIAS);
    product(w, c, UP, a, r0, r1, at + n0, at + n1, m->up + n0, m->f, UP_BIAS);
    for (int64_t r = r0; r < r1; r++)
        activate(w, c, m, m->gate + r * m->f + n0, m->up + r * m->f + n0, n1 - n0);
}

static void down_task(const struct walker *w, const struct cpu_call *c, const struct moe *m, const struct cpu_act *a, int64_t e,
                      int64_t n0, int64_t n1)
{
    product(w, c, DOWN, a, m->first[e], m->first[e + 1], e * m->k + n0, e * m->k + n1, m->in + n0, m->k, DOWN_BIAS);
}

/* All experts with rows, each `width` rows of weights in pieces. */
static void run_tasks(const struct walker *w, const struct cpu_call *c, const struct moe *m, const struct cpu_act *a,
                      int64_t width, bool down)
{
    int64_t active = m->active[m->n], chunk = CPU_CHUNK_ROWS, task;
    if ((width + chunk - 1) / chunk * active < 8 * (int64_t)w->n)
        chunk = CPU_PANEL_ROWS;
    int64_t pieces = (width + chunk - 1) / chunk, tasks = pieces * active;
    while ((task = next_task(w, tasks)) < tasks) {
        int64_t n0 = task % pieces * chunk, n1 = n0 + chunk < width ? n0 + chunk : width;
        (down ? down_task : hidden_task)(w, c, m, a, m->active[task / pieces], n0, n1);
    }
    barrier(w);
}

static void combine(const struct walker *w, const struct cpu_call *c, const struct moe *m)
{
    int64_t t0, t1;
    share(w, m->t, &t0, &t1);
    for (int64_t t = t0; t < t1; t++) {
        float *y = c->out[0].f + t * m->k;
        memset(y, 0, (size_t)m->k * sizeof *y);
        for (int64_t i = 0; i < m->used; i++) {
            const float *from = m->in + m->place[t * m->used + i] * m->k, part = m->share[t * m->used + i];
            for (int64_t k = 0; k < m->k; k++)
                y[k] += part * from[k];
        }
    }
}

static void route(const struct walker *w, const struct cpu_call *c, const struct moe *m)
{
    int64_t r0, r1;
    struct cpu_act a = prepare(w, c->in[X].f, m->t, m->k, &c->in[ROUTER], &c->in[ROUTER], m->act);
    share(w, m->n, &r0, &r1);
    if (r1 > r0)
        product(w, c, ROUTER, &a, 0, m->t, r0, r1, m->p + r0, m->n, ROUTER_BIAS);
    barrier(w);
    share(w, m->t, &r0, &r1);
    for (int64_t t = r0; t < r1; t++)
        route_token(w, c, m, t);
    barrier(w);
    if (w->i == 0)
        group_rows(m);
    barrier(w);
    share(w, m->rows, &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        memcpy(m->in + r * m->k, c->in[X].f + m->token[r] * m->k, (size_t)m->k * sizeof *m->in);
    barrier(w);
}

/* Of the products: the router's, and those of the experts that have rows. */
static void count(const struct walker *w, const struct cpu_call *c, const struct moe *m)
{
    const struct cpu_matrix *router = matrix(w, c->node->in[ROUTER]);
    cpu_profile_matmul(w->time, router, router->rows, m->t);
    for (int64_t i = 0; i < m->active[m->n]; i++) {
        int64_t rows = m->first[m->active[i] + 1] - m->first[m->active[i]];
        cpu_profile_matmul(w->time, matrix(w, c->node->in[GATE]), m->f, rows);
        cpu_profile_matmul(w->time, matrix(w, c->node->in[UP]), m->f, rows);
        cpu_profile_matmul(w->time, matrix(w, c->node->in[DOWN]), m->k, rows);
    }
}

static void moe_run(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work)
{
    struct cpu_room room = { work, 0 };
    struct moe m = sizes(w->exe->graph, c->node, cpu_dim(&c->in[X], 0), &room);
    struct cpu_act a;
    uint32_t turn;
    struct walker then = cpu_second_tasks(w, &turn);
    (void)s;
    if (m.t == 0)
        return;
    route(w, c, &m);
    if (w->time != NULL)
        count(w, c, &m);
    a = prepare(w, m.in, m.rows, m.k, &c->in[GATE], &c->in[UP], m.act);
    run_tasks(w, c, &m, &a, m.f, false);
    a = prepare(w, m.gate, m.rows, m.f, &c->in[DOWN], &c->in[DOWN], m.act);
    run_tasks(&then, c, &m, &a, m.k, true);
    combine(w, c, &m);
}

const struct cpu_native cpu_moe = {
    TENON_OPN_MOE_FFN, 1u << ROUTER | 1u << GATE | 1u << UP | 1u << DOWN, moe_fits, moe_bytes, moe_run,
};
