/* scans.c - core.ssm_scan, core.delta_rule and core.conv_scan: recurrences that read and write a sequence's slot. Heads, or
 * channels, are cut among threads, and a sequence's tokens go one after the other, so chunks of a prompt change no bit.
 * A slot that does not exist gives zeros. Contract: native.h, formulas: tenon/ops.h. */
#include "native.h"

#include <math.h>

/* The step's sequences: the last two operands, behind the state. */
struct sequences {
    const int32_t *slot, *start;
    int64_t n, tokens;
};

static struct sequences sequences(const struct cpu_call *c)
{
    const struct cpu_tensor *slot = &c->in[c->node->n_in - 2];
    return (struct sequences){ slot->i, c->in[c->node->n_in - 1].i, slot->n, cpu_dim(&c->out[0], 0) };
}

static bool is_sound(const struct cpu_call *c, const struct sequences *q, int64_t s)
{
    return q->slot[s] >= 0 && q->slot[s] < c->n_units && q->start[s] >= 0 && q->start[s] <= q->start[s + 1] &&
           q->start[s + 1] <= q->tokens;
}

/* n tokens' operations each, and what is read of a sequence's slot. */
static void count(const struct walker *w, const struct cpu_call *c, double operations, int64_t slot_floats)
{
    const struct sequences q = sequences(c);
    for (int64_t s = 0; s < q.n; s++)
        if (is_sound(c, &q, s)) {
            cpu_profile_floats(w->time, operations, q.start[s + 1] - q.start[s]);
            w->time->bytes += (double)slot_floats * sizeof(float);
        }
}

/* All sequences, head by head; the state is [slots, heads, d, e]. */
static void run_heads(const struct walker *w, const struct cpu_call *c, const struct cpu_outer *o)
{
    const struct sequences q = sequences(c);
    int64_t cells = o->d * o->e, task;
    if (w->time != NULL) /* a cell decays, is added to and read; the delta rule asks it before, too */
        count(w, c, (double)(o->heads * (o->beta != NULL ? 7 * cells : 5 * cells)), o->heads * cells);
    while ((task = next_task(w, q.n * o->heads)) < q.n * o->heads) {
        int64_t s = task / o->heads, h = task % o->heads;
        if (is_sound(c, &q, s)) {
            w->k->outer_scan(o, q.start[s], q.start[s + 1], h, c->state + (q.slot[s] * o->heads + h) * cells, c->out[0].f);
            continue;
        }
        for (int64_t t = q.start[s] < 0 ? 0 : q.start[s]; t < q.start[s + 1] && t < q.tokens; t++)
            memset(c->out[0].f + (t * o->heads + h) * o->e, 0, (size_t)o->e * sizeof(float));
    }
}

/* ---- Mamba-2 */

enum { S_X, S_DT, S_B, S_C, S_A, S_D, S_DT_BIAS };

static bool constant(const struct tenon_value *v, uint32_t from)
{
    for (uint32_t i = from; i < v->rank; i++)
        if (v->dims[i].sym != TENON_SYM_NONE)
            return false;
    return true;
}

static bool ssm_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    return cpu_is_weight(g, n, S_A, 1, false) && cpu_is_weight(g, n, S_D, 1, true) && cpu_is_weight(g, n, S_DT_BIAS, 1, true) &&
           constant(tenon_graph_value(g, n->in[S_X]), 1) && constant(tenon_graph_value(g, n->in[S_B]), 1);
}

static uint64_t ssm_bytes(const struct tenon_executable *exe, const struct tenon_node *n)
{
    struct cpu_room room = { NULL, 0 };
    int64_t all = cpu_elements(tenon_graph_value(exe->graph, n->in[S_DT]), &exe->bucket);
    (void)cpu_take_floats(&room, all);
    (void)cpu_take_floats(&room, all);
    return room.used;
}

/* Row t of the steps s and the decays exp(s a). */
static void ssm_row(const struct walker *w, const struct cpu_call *c, int64_t t, float *step, float *decay)
{
    int64_t heads = cpu_dim(&c->in[S_DT], 1);
    float least = (float)tenon_node_f64(c->node, "dt_min", 0), most = (float)tenon_node_f64(c->node, "dt_max", 0);
    const float *dt = c->in[S_DT].f + t * heads;
    if (c->in[S_DT_BIAS].p != NULL)
        w->k->add(dt, c->in[S_DT_BIAS].f, heads, step);
    else
        memcpy(step, dt, (size_t)heads * sizeof *step);
    w->k->unary(CPU_SOFTPLUS, step, heads, step);
    for (int64_t h = 0; (least > 0 || most > 0) && h < heads; h++) { /* a NaN stays */
        step[h] = step[h] < least ? least : step[h];
        step[h] = most > 0 && step[h] > most ? most : step[h];
    }
    w->k->mul(step, c->in[S_A].f, heads, decay);
    w->k->unary(CPU_EXP, decay, heads, decay);
}

static void ssm_run(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work)
{
    struct cpu_room room = { work, 0 };
    int64_t all = c->in[S_DT].n, heads = cpu_dim(&c->in[S_DT], 1), t0, t1;
    float *step = cpu_take_floats(&room, all), *decay = cpu_take_floats(&room, all);
    const struct cpu_outer o = {
        .decay = decay, .k = c->in[S_B].f, .q = c->in[S_C].f, .v = c->in[S_X].f, .k_scale = step, .skip = c->in[S_D].f, .heads = heads,
        .groups = cpu_dim(&c->in[S_B], 1), .d = cpu_dim(&c->in[S_B], 2), .e = cpu_dim(&c->in[S_X], 2),
    };
    (void)s;
    share(w, cpu_dim(&c->in[S_DT], 0), &t0, &t1);
    for (int64_t t = t0; t < t1; t++)
        ssm_row(w, c, t, step + t * heads, decay + t * heads);
    barrier(w);
    run_heads(w, c, &o);
}

const struct cpu_native cpu_ssm = { TENON_OPN_SSM_SCAN, 0, ssm_fits, ssm_bytes, ssm_run };

/* ---- the delta rule */

enum { D_Q, D_K, D_V, D_G, D_BETA };

static bool delta_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    return constant(tenon_graph_value(g, n->in[D_K]), 1) && constant(tenon_graph_value(g, n->in[D_V]), 1);
}

static uint64_t delta_bytes(const struct tenon_executable *exe, const struct tenon_node *n)
{
    struct cpu_room room = { NULL, 0 };
    for (uint32_t i = D_Q; i <= D_G; i++)
        if (i != D_V)
            (void)cpu_take_floats(&room, cpu_elements(tenon_graph_value(exe->graph, n->in[i]), &exe->bucket));
    return room.used;
}

/* y = x divided by its size as the node asks, times scale; d elements. Four sums, one order. */
static void normalise(const struct cpu_call *c, const float *x, int64_t d, double scale, float *y)
{
    double eps = tenon_node_f64(c->node, "eps", 1e-6), sum[4] = { 0, 0, 0, 0 }, all;
    int64_t how = tenon_node_i64(c->node, "normalise", 1);
    for (int64_t i = 0; how != 0 && i < d; i++)
        sum[i % 4] += (double)x[i] * (double)x[i];
    all = sum[0] + sum[1] + sum[2] + sum[3];
    if (how == 1)
        scale /= sqrt(all < eps * eps ? eps * eps : all);
    else if (how == 2)
        scale /= sqrt(all + eps);
    for (int64_t i = 0; i < d; i++)
        y[i] = (float)((double)x[i] * scale);
}

static void delta_run(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work)
{
    struct cpu_room room = { work, 0 };
    float *q = cpu_take_floats(&room, c->in[D_Q].n), *k = cpu_take_floats(&room, c->in[D_K].n);
    float *decay = cpu_take_floats(&room, c->in[D_G].n);
    const struct cpu_outer o = {
        .decay = decay, .k = k, .q = q, .v = c->in[D_V].f, .beta = c->in[D_BETA].f, .heads = cpu_dim(&c->in[D_V], 1),
        .groups = cpu_dim(&c->in[D_K], 1), .d = cpu_dim(&c->in[D_K], 2), .e = cpu_dim(&c->in[D_V], 2),
    };
    double scale = tenon_node_f64(c->node, "scale", 1);
    int64_t r0, r1;
    (void)s;
    share(w, cpu_dim(&c->in[D_K], 0) * o.groups, &r0, &r1);
    for (int64_t r = r0; r < r1; r++) {
        normalise(c, c->in[D_Q].f + r * o.d, o.d, scale, q + r * o.d);
        normalise(c, c->in[D_K].f + r * o.d, o.d, 1, k + r * o.d);
    }
    share(w, cpu_dim(&c->in[D_G], 0), &r0, &r1);
    for (int64_t t = r0; t < r1; t++)
        w->k->unary(CPU_EXP, c->in[D_G].f + t * o.heads, o.heads, decay + t * o.heads);
    barrier(w);
    run_heads(w, c, &o);
}

const struct cpu_native cpu_delta = { TENON_OPN_DELTA_RULE, 0, delta_fits, delta_bytes, delta_run };

/* ---- convolution */

#define CONV_TAPS 16    /* most of a kernel here */
#define CONV_CHANNELS 64 /* of one task */

enum { C_X, C_W, C_BIAS };

static bool conv_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    const struct tenon_value *w = tenon_graph_value(g, n->in[C_W]);
    return cpu_is_weight(g, n, C_W, 2, false) && cpu_is_weight(g, n, C_BIAS, 1, true) && w->dims[1].b >= 1 && w->dims[1].b <= CONV_TAPS;
}

static uint64_t conv_bytes(const struct tenon_executable *exe, const struct tenon_node *n)
{
    struct cpu_room room = { NULL, 0 };
    (void)cpu_take_floats(&room, cpu_elements(tenon_graph_value(exe->graph, n->in[C_W]), &exe->bucket));
    return room.used;
}

/* One sequence's channels n0.., n of them. past [K-1,N] is the slot, oldest row first; taps [K,N]. */
static void conv_channels(const struct walker *w, const struct cpu_call *c, const float *taps, float *past, int64_t t0,
                          int64_t t1, int64_t n0, int64_t n)
{
    int64_t all = cpu_dim(&c->in[C_W], 0), k = cpu_dim(&c->in[C_W], 1);
    const float *bias = c->in[C_BIAS].p != NULL ? c->in[C_BIAS].f + n0 : NULL;
    for (int64_t t = t0; t < t1; t++) {
        const float *rows[CONV_TAPS];
        for (int64_t i = 0; i < k; i++) {
            int64_t from = t - k + 1 + i; /* before the step: a row of the past, whose last is t0 - 1 */
            rows[i] = (from >= t0 ? c->in[C_X].f + from * all : past + (k - 1 + from - t0) * all) + n0;
        }
        w->k->conv_row(rows, taps + n0, all, bias, k, n, c->out[0].f + t * all + n0);
    }
    for (int64_t row = 0; row < k - 1; row++) { /* upwards: what is read lies at or behind what is written */
        int64_t from = t1 - (k - 1) + row;
        memmove(past + row * all + n0, (from >= t0 ? c->in[C_X].f + from * all : past + (k - 1 + from - t0) * all) + n0,
                (size_t)n * sizeof(float));
    }
}

static void conv_run(const struct walker *w, const struct cpu_step *step, const struct cpu_call *c, uint8_t *work)
{
    const struct sequences q = sequences(c);
    int64_t all = cpu_dim(&c->in[C_W], 0), k = cpu_dim(&c->in[C_W], 1), pieces = (all + CONV_CHANNELS - 1) / CONV_CHANNELS, r0, r1, task;
    float *taps = (float *)(void *)work, row[CONV_TAPS];
    (void)step;
    share(w, all, &r0, &r1);
    for (int64_t n = r0; n < r1; n++) {
        cpu_matrix_row(c->in[C_W].packed, n, row);
        for (int64_t i = 0; i < k; i++)
            taps[i * all + n] = row[i];
    }
    barrier(w);
    if (w->time != NULL) {
        w->time->bytes += (double)(all * c->in[C_W].packed->row_bytes);
        count(w, c, 2.0 * (double)(k * all), (k - 1) * all);
    }
    while ((task = next_task(w, q.n * pieces)) < q.n * pieces) {
        int64_t s = task / pieces, n0 = task % pieces * CONV_CHANNELS, n = all - n0 < CONV_CHANNELS ? all - n0 : CONV_CHANNELS;
        if (is_sound(c, &q, s)) {
            conv_channels(w, c, taps, c->state + q.slot[s] * (k - 1) * all, q.start[s], q.start[s + 1], n0, n);
            continue;
        }
        for (int64_t t = q.start[s] < 0 ? 0 : q.start[s]; t < q.start[s + 1] && t < q.tokens; t++)
            memset(c->out[0].f + t * all + n0, 0, (size_t)n * sizeof(float));
    }
}

const struct cpu_native cpu_conv = { TENON_OPN_CONV_SCAN, 1u << C_W, conv_fits, conv_bytes, conv_run };
