/* test_decompose.c - the decomposition of each composite but core.sample, evaluated on tenon-reference, against the
 * composite's formula computed directly with loops. Shapes are odd, inputs random. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "composite_test.h"
#include "suite.h"

/* ---- attention ---------------------------------------------------------------------------------------------- */

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
            if (a->k[c] == NULL || (a->c->causal && a->at[c] > pos) || (a->c->window > 0 && labs((long)a->at[c] - pos) >= a->c->window))
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
    {2, 0, 0, false},
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
    float *wk = add_weight(&f, "wk", DIMS(N_(H), N_(RANK), N_(D))), *wv = add_weight(&f, "wv", DIMS(N_(H), N_(V), N_(RANK)));
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
                        s[p] += 0.7 * (double)qn[(t * H + h) * D + d] * (double)wk[(h * RANK + r) * D + d] * (double)row[p][r];
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
    int64_t normalise, groups, groups_used, group_best;
    double limit, shift;
    bool select_bias, biases;
};
static const struct moe_case moe_cases[] = {
    {"softmax", 1, 0, 0, 2, 0, 0, false, false},   {"softmax", 0, 0, 0, 2, 0, 0, false, true}, {"sigmoid", 1, 4, 2, 2, 0, 0, true, false},
    {"topk_softmax", 1, 0, 0, 2, 0.2, 1, false, true}, {"sigmoid", 0, 2, 1, 2, 0, 0, true, true}, {"softmax", 0, 4, 2, 1, 0, 0, false, false},
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
            score[g] = c->group_best > 1 ? a + b : a;
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
        tenon_attr_f("up_shift", c->shift), tenon_attr_i("group_best", c->group_best)};
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
    run(&f, "core.moe_ffn/1", attrs, 9, 1, 1);

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

/* Divisor of a row of n by attribute normalise. */
static double delta_size(const float *x, int n, int64_t normalise, double eps)
{
    double sum = dot(x, x, n);
    return normalise == 0 ? 1 : sqrt(normalise == 2 ? sum + eps : fmax(sum, eps * eps));
}

/* _i: attribute normalise; keys are shared by two heads, or by none in the last run */
START_TEST(delta_rule)
{
    int64_t normalise = _i % 3;
    const int kg = _i < 3 ? SG : SH;
    const double eps = 0.3;
    struct fixture f = {.dims = attention_dims(), .state = {.kind = TENON_STATE_RECURRENT}};
    const struct tenon_attr attrs[] = {tenon_attr_f("scale", 0.5), tenon_attr_i("normalise", normalise), tenon_attr_f("eps", eps)};
    float state[SLOTS * SH * SN * SD];
    double m[SLOTS * SH * SN * SD], want[TOKENS * SH * SD];
    start();
    for (size_t i = 0; i < sizeof state / sizeof *state; i++)
        m[i] = (double)(state[i] = random_float());
    float *q = add_input(&f, "q", DIMS(T_, N_(kg), N_(SN))), *k = add_input(&f, "k", DIMS(T_, N_(kg), N_(SN)));
    float *v = add_input(&f, "v", DIMS(T_, N_(SH), N_(SD))), *g = add_input(&f, "g", DIMS(T_, N_(SH))), *beta = add_input(&f, "beta", DIMS(T_, N_(SH)));
    add_state(&f, "delta", state);
    add_step(&f, "state_slot", slot, SEQS);
    add_step(&f, "seq_start", seq_start, SEQS + 1);
    run(&f, "core.delta_rule/1", attrs, 3, 2, 1);

    for (int t = 0; t < TOKENS; t++) {
        for (int h = 0; h < SH; h++) {
            double *mh = m + (slot[seq_of_token[t]] * SH + h) * SN * SD, kn[SN], qn[SN];
            const float *kt = k + (t * kg + h * kg / SH) * SN, *qt = q + (t * kg + h * kg / SH) * SN;
            for (int n = 0; n < SN; n++) {
                kn[n] = (double)kt[n] / delta_size(kt, SN, normalise, eps);
                qn[n] = 0.5 * (double)qt[n] / delta_size(qt, SN, normalise, eps);
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

int main(void)
{
    Suite *suite = suite_create("decompose");
    TCase *c = tcase_create("decompose");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, cached_attention, 0, N_CASES);
    tcase_add_loop_test(c, step_attention, 0, N_CASES);
    tcase_add_test(c, latent_attention);
    tcase_add_test(c, add_norm);
    tcase_add_loop_test(c, gated_ffn, 0, 4);
    tcase_add_loop_test(c, moe_ffn, 0, (int)(sizeof moe_cases / sizeof moe_cases[0]));
    tcase_add_test(c, ssm_scan);
    tcase_add_loop_test(c, delta_rule, 0, 4);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
