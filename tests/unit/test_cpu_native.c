/* test_cpu_native.c - the CPU backend's own code for larger ops against tenon-reference's run of what they are lowered to; and
 * their law: a row has the same bits in the whole step, beside nothing, and token by token. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "cpu_machine.h"
#include "suite.h"

static const int32_t slot[SEQS] = {2, 0};

/* ---- one op in three ways --------------------------------------------------------------------------------------- */

struct trial {
    struct fixture f;
    const char *op;
    double tol;
    bool half, q8;
    uint64_t slot_floats; /* 0: no state */
    float *before;        /* [3, slot_floats] */
};

static void begin_state(struct trial *t, uint64_t slot_floats, int32_t kind)
{
    t->slot_floats = slot_floats;
    t->before = calloc(3 * slot_floats, sizeof *t->before);
    for (uint64_t i = 0; i < 3 * slot_floats; i++)
        t->before[i] = random_float();
    t->f.state.kind = kind;
    t->f.state.slot_bytes = slot_floats * sizeof(float);
}

/* A state, and the step inputs that end a scan's operands. `work` [3, slot_floats]: what tenon-reference changes. */
static float *add_scan_inputs(struct trial *t)
{
    float *work = calloc(3 * t->slot_floats, sizeof *work);
    memcpy(work, t->before, 3 * t->slot_floats * sizeof *work);
    add_state(&t->f, "state", work);
    add_step(&t->f, "state_slot", slot, SEQS);
    add_step(&t->f, "seq_start", seq_start, SEQS + 1);
    return work;
}

/* Tokens t0 .. t0+n-1, all of sequence s, alone in a step: rows to y; the state goes on in place. */
static void run_part(struct machine *m, struct trial *t, int64_t t0, int64_t n, int32_t s, float *state, float *y, int64_t row)
{
    struct fixture f = t->f;
    int32_t start[2] = {0, (int32_t)n}, zeros[TOKENS] = {0}, my_slot[1] = {slot[s]}, len[1] = {(int32_t)n}, place[TOKENS];
    float *after = t->slot_floats > 0 ? calloc(3 * t->slot_floats, sizeof *after) : NULL;
    struct machine_options o = {.half = t->half, .q8 = t->q8, .whole = true, .units = 3, .before = state, .after = after};
    const struct { const char *name; void *data; } inputs[] = {
        {"seq_start", start}, {"seq_of_token", zeros}, {"state_slot", my_slot}, {"context_len", len}, {"position", place}};
    void *got[4];
    for (int i = 0; i < TOKENS; i++)
        place[i] = position[t0] + i;
    f.dims.sym[TENON_SYM_T] = n;
    f.dims.sym[TENON_SYM_S] = 1;
    f.eval.ctx = &f;
    for (uint32_t i = 0; i < f.n; i++) {
        struct item *it = &f.items[i];
        int64_t width = 1;
        for (uint32_t d = 1; d < it->rank; d++)
            width *= it->dims[d].b;
        if (it->kind == TENON_VALUE_INPUT && it->rank > 0 && it->dims[0].sym == TENON_SYM_T)
            it->data = (float *)it->data + t0 * width;
        for (size_t k = 0; it->name != NULL && k < sizeof inputs / sizeof inputs[0]; k++)
            if (strcmp(it->name, inputs[k].name) == 0)
                it->data = inputs[k].data;
    }
    machine_run(m, &f, &o, got);
    memcpy(y, got[0], (size_t)(n * row) * sizeof *y);
    if (after != NULL)
        memcpy(state, after, 3 * t->slot_floats * sizeof *after);
    free(got[0]);
    free(after);
}

static bool same(const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(a[i] != a[i] && b[i] != b[i]))
            return false;
    return true;
}

/* Whole against the reference, and against its parts: a token at a time, or a sequence. */
static void check_level(struct trial *t, const float *state, bool by_token)
{
    const struct eval_tensor *want = eval_output(&t->f.eval, 0);
    int64_t row = want->n / TOKENS;
    uint64_t floats = 3 * t->slot_floats;
    float *after = calloc(floats + 1, sizeof *after), *parts = calloc((size_t)want->n, sizeof *parts), *whole, *going = calloc(floats + 1, sizeof *going);
    struct machine_options o = {.half = t->half, .q8 = t->q8, .whole = true, .units = 3, .before = t->before, .after = floats > 0 ? after : NULL};
    void *got[4];
    struct machine m;
    double most = 1;
    machine_open(&m, 2);
    machine_run(&m, &t->f, &o, got);
    whole = got[0];
    for (int64_t i = 0; i < want->n; i++)
        most = fmax(most, fabs((double)want->f[i])); /* sums that cancel are as exact as what they are of */
    for (int64_t i = 0; i < want->n; i++)
        ck_assert_msg(fabs((double)whole[i] - (double)want->f[i]) <= t->tol * most ||
                      (whole[i] != whole[i] && want->f[i] != want->f[i]),
                      "%s [%d] is %.9g, not %.9g", t->op, (int)i, (double)whole[i], (double)want->f[i]);
    for (uint64_t i = 0; i < floats; i++)
        ck_assert_msg(fabsf(after[i] - state[i]) <= (float)t->tol * fmaxf(1, fabsf(state[i])) || (after[i] != after[i] && state[i] != state[i]),
                      "%s state [%d] is %.9g, not %.9g", t->op, (int)i, (double)after[i], (double)state[i]);
    memcpy(going, floats > 0 ? t->before : going, floats * sizeof *going);
    for (int32_t s = 0; s < SEQS; s++)
        for (int64_t at = seq_start[s], n = by_token ? 1 : seq_start[s + 1] - at; at < seq_start[s + 1]; at += n)
            run_part(&m, t, at, n, s, floats > 0 ? going : NULL, parts + at * row, row);
    ck_assert_msg(same(whole, parts, want->n), "%s: other bits %s", t->op, by_token ? "token by token" : "alone");
    ck_assert_msg(same(after, going, (int64_t)floats), "%s: another state", t->op);
    machine_close(&m);
    free(whole), free(after), free(parts), free(going);
}

/* Levels that this machine lacks are the next lower ones. */
static void check_trial(struct trial *t, const float *state, bool by_token)
{
    static const char *const levels[] = {"scalar", "avx2", "neon"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(setenv("TENON_CPU_LEVEL", levels[i], 1), 0);
        check_level(t, state, by_token);
    }
    ck_assert_int_eq(unsetenv("TENON_CPU_LEVEL"), 0);
    check_level(t, state, by_token);
}

static void end_trial(struct trial *t, float *state)
{
    finish(&t->f);
    free(t->before);
    free(state);
}

/* ---- experts ------------------------------------------------------------------------------------------------------- */

static const struct moe {
    const char *scoring, *kind;
    int64_t normalise, groups, groups_used, group_best;
    double limit, shift;
    bool router_bias, select_bias, biases;
} moes[] = {
    {"softmax", "silu", 1, 0, 0, 2, 0, 0, false, false, false},       {"softmax", "gelu_tanh", 0, 4, 2, 1, 0, 0, false, false, true},
    {"sigmoid", "silu", 1, 4, 2, 2, 0, 0, false, true, false},        {"topk_softmax", "gelu_quick", 1, 0, 0, 2, 0.2, 1, true, false, true},
    {"sigmoid", "silu", 0, 2, 1, 2, 0, 0, true, true, true},
};
#define MOES ((int)(sizeof moes / sizeof moes[0]))

/* _i: router, then weights in f32, f16, q8_0; the last column a NaN in one token */
START_TEST(moe_ffn)
{
    const struct moe *c = &moes[_i % MOES];
    const int64_t n = 8, used = 3, k = _i / MOES >= 2 ? 64 : 7, f = _i / MOES >= 2 ? 96 : 5;
    struct trial t = {.f = {.dims = attention_dims()}, .op = "core.moe_ffn/1", .tol = _i / MOES >= 2 ? 5e-4 : 1e-5, .half = _i / MOES == 1,
                      .q8 = _i / MOES >= 2};
    const struct tenon_attr attrs[] = {
        tenon_attr_i("used", used), tenon_attr_s("kind", c->kind), tenon_attr_s("scoring", c->scoring), tenon_attr_i("normalise", c->normalise),
        tenon_attr_f("scale", 1.5), tenon_attr_i("groups", c->groups), tenon_attr_i("groups_used", c->groups_used),
        tenon_attr_i("group_best", c->group_best), tenon_attr_f("limit", c->limit), tenon_attr_f("up_shift", c->shift)};
    start();
    float *x = add_input(&t.f, "x", DIMS(T_, N_(k)));
    add_weight(&t.f, "router", DIMS(N_(n), N_(k)));
    c->router_bias ? (void)add_weight(&t.f, "router_bias", DIMS(N_(n))) : add_absent(&t.f);
    c->select_bias ? (void)add_weight(&t.f, "select_bias", DIMS(N_(n))) : add_absent(&t.f);
    add_weight(&t.f, "gate", DIMS(N_(n), N_(f), N_(k)));
    add_weight(&t.f, "up", DIMS(N_(n), N_(f), N_(k)));
    add_weight(&t.f, "down", DIMS(N_(n), N_(k), N_(f)));
    if (c->biases && !t.q8) { /* as a matrix of f, which q8_0 has no blocks for in every case */
        add_weight(&t.f, "gate_bias", DIMS(N_(n), N_(f)));
        add_weight(&t.f, "up_bias", DIMS(N_(n), N_(f)));
        add_weight(&t.f, "down_bias", DIMS(N_(n), N_(k)));
    }
    if (_i / MOES == 3)
        x[k + 2] = NAN;
    t.q8 ? machine_round_q8(&t.f) : machine_round_weights(&t.f);
    run(&t.f, t.op, attrs, 10, 1, 1);
    check_level(&t, NULL, true); /* the products have tests of their own at every level */
    check_level(&t, NULL, false);
    end_trial(&t, NULL);
}
END_TEST

/* ---- recurrences ---------------------------------------------------------------------------------------------------- */

/* _i: sizes; with bounds, D and bias or without */
START_TEST(ssm_scan)
{
    static const int64_t sizes[][4] = {{4, 2, 2, 3}, {6, 3, 70, 16}, {2, 1, 64, 5}, {3, 3, 1, 1}}; /* heads, groups, head size, state */
    const int64_t *z = sizes[_i / 2];
    bool plain = _i % 2 == 1;
    struct trial t = {.f = {.dims = attention_dims()}, .op = "core.ssm_scan/1", .tol = 2e-5};
    const struct tenon_attr attrs[] = {tenon_attr_f("dt_min", plain ? 0 : 0.3), tenon_attr_f("dt_max", plain ? 0 : 0.9)};
    start();
    begin_state(&t, (uint64_t)(z[0] * z[2] * z[3]), TENON_STATE_RECURRENT);
    float *x = add_input(&t.f, "x", DIMS(T_, N_(z[0]), N_(z[2])));
    add_input(&t.f, "dt", DIMS(T_, N_(z[0])));
    add_input(&t.f, "b", DIMS(T_, N_(z[1]), N_(z[3])));
    add_input(&t.f, "c", DIMS(T_, N_(z[1]), N_(z[3])));
    add_weight(&t.f, "a", DIMS(N_(z[0])));
    plain ? add_absent(&t.f) : (void)add_weight(&t.f, "d", DIMS(N_(z[0])));
    plain ? add_absent(&t.f) : (void)add_weight(&t.f, "dt_bias", DIMS(N_(z[0])));
    float *state = add_scan_inputs(&t);
    if (plain)
        x[z[0] * z[2]] = NAN; /* of the second token */
    run(&t.f, t.op, attrs, 2, 2, 1);
    check_trial(&t, state, true);
    check_trial(&t, state, false);
    end_trial(&t, state);
}
END_TEST

START_TEST(delta_rule)
{
    static const int64_t sizes[][4] = {{4, 2, 5, 3}, {6, 2, 70, 16}, {2, 2, 64, 33}}; /* heads, groups, v, k */
    const int64_t *z = sizes[_i / 3];
    struct trial t = {.f = {.dims = attention_dims()}, .op = "core.delta_rule/1", .tol = 2e-5};
    const struct tenon_attr attrs[] = {tenon_attr_f("scale", 0.4), tenon_attr_i("normalise", _i % 3), tenon_attr_f("eps", 0.2)};
    start();
    begin_state(&t, (uint64_t)(z[0] * z[2] * z[3]), TENON_STATE_RECURRENT);
    float *q = add_input(&t.f, "q", DIMS(T_, N_(z[1]), N_(z[3]))), *k = add_input(&t.f, "k", DIMS(T_, N_(z[1]), N_(z[3])));
    add_input(&t.f, "v", DIMS(T_, N_(z[0]), N_(z[2])));
    float *g = add_input(&t.f, "g", DIMS(T_, N_(z[0])));
    add_input(&t.f, "beta", DIMS(T_, N_(z[0])));
    for (int64_t i = 0; i < TOKENS * z[0]; i++)
        g[i] = -fabsf(g[i]); /* decays */
    for (int64_t i = 0; i < TOKENS * z[1] * z[3]; i++)
        k[i] *= 0.3f; /* not normalised, it must not blow up */
    float *state = add_scan_inputs(&t);
    if (_i % 3 == 2)
        q[3] = NAN;
    run(&t.f, t.op, attrs, 3, 2, 1);
    check_trial(&t, state, true);
    check_trial(&t, state, false);
    end_trial(&t, state);
}
END_TEST

START_TEST(conv_scan)
{
    static const int64_t sizes[][2] = {{5, 4}, {130, 3}, {64, 1}, {17, 9}}; /* channels, taps */
    const int64_t *z = sizes[_i / 2];
    struct trial t = {.f = {.dims = attention_dims()}, .op = "core.conv_scan/1", .tol = 1e-5, .half = _i % 2 == 1};
    start();
    begin_state(&t, (uint64_t)(z[1] > 1 ? z[0] * (z[1] - 1) : z[0]), TENON_STATE_CONV);
    if (z[1] == 1) { /* a slot of no floats is no state */
        free(t.before);
        return;
    }
    float *x = add_input(&t.f, "x", DIMS(T_, N_(z[0])));
    add_weight(&t.f, "w", DIMS(N_(z[0]), N_(z[1])));
    t.half ? add_absent(&t.f) : (void)add_weight(&t.f, "bias", DIMS(N_(z[0])));
    machine_round_weights(&t.f);
    float *state = add_scan_inputs(&t);
    x[3] = NAN;
    run(&t.f, t.op, NULL, 0, 2, 1);
    check_trial(&t, state, true);
    check_trial(&t, state, false);
    end_trial(&t, state);
}
END_TEST

/* ---- encoders ----------------------------------------------------------------------------------------------------- */

/* _i: both directions, causal, windows, soft cap, sink */
START_TEST(step_attention)
{
    static const struct { int64_t window, causal; double softcap; bool sink; } cases[] = {
        {0, 0, 0, false}, {0, 1, 0, false}, {2, 0, 0, true}, {2, 1, 0.5, false}, {1, 0, 0, false},
    };
    struct trial t = {.f = {.dims = attention_dims()}, .op = "core.attention/1", .tol = 1e-5};
    const struct tenon_attr attrs[] = {
        tenon_attr_i("kv_heads", GROUPS), tenon_attr_i("k_dim", KDIM), tenon_attr_i("v_dim", VDIM), tenon_attr_f("scale", 1.7),
        tenon_attr_i("window", cases[_i].window), tenon_attr_i("causal", cases[_i].causal), tenon_attr_f("softcap", cases[_i].softcap)};
    start();
    add_input(&t.f, "q", DIMS(T_, N_(HEADS), N_(KDIM)));
    add_absent(&t.f);
    add_input(&t.f, "k", DIMS(T_, N_(GROUPS), N_(KDIM)));
    add_input(&t.f, "v", DIMS(T_, N_(GROUPS), N_(VDIM)));
    cases[_i].sink ? (void)add_weight(&t.f, "sink", DIMS(N_(HEADS))) : add_absent(&t.f);
    add_step_inputs(&t.f);
    run(&t.f, t.op, attrs, 7, 1, 1);
    check_trial(&t, NULL, false); /* token by token is another question: they see each other */
    end_trial(&t, NULL);
}
END_TEST

/* ---- latent attention --------------------------------------------------------------------------------------------- */

enum { CPU_PAGE = 32, CPU_PAGES = 5, RANK = 32, TURNED = 6, WIDTH = RANK + TURNED, LATENT_HEADS = 3, LATENT_V = 4, ROW = LATENT_HEADS * LATENT_V };
static const int32_t deep_position[TOKENS] = {68, 69, 70, 0, 1}, deep_context[SEQS] = {71, 2}, deep_table[SEQS * PAGES] = {2, 0, 3, 4, -1, -1};

/* Tokens first, first+1, ... n of them alone in a step, to their rows of y [TOKENS,ROW]. */
static void run_latent(struct machine *m, const struct fixture *all, const struct machine_options *o, int first, int n, float *y)
{
    struct fixture f = *all;
    int32_t zeros[TOKENS] = {0}, start[2] = {0, n}, len[1] = {deep_context[seq_of_token[first]]}, table[PAGES];
    const struct { const char *name; void *data; } inputs[] = {{"seq_of_token", zeros}, {"seq_start", start}, {"context_len", len}, {"block_table.0", table}};
    void *got[4];
    memcpy(table, deep_table + seq_of_token[first] * PAGES, sizeof table);
    f.dims.sym[TENON_SYM_T] = n;
    f.dims.sym[TENON_SYM_S] = 1;
    f.eval.ctx = &f;
    for (uint32_t i = 0; i < f.n; i++) {
        struct item *it = &f.items[i];
        bool per_token = it->kind == TENON_VALUE_INPUT && it->rank == 3;
        if (per_token)
            it->data = (float *)it->data + first * it->dims[1].b * it->dims[2].b;
        if (it->name != NULL && strcmp(it->name, "position") == 0)
            it->data = (int32_t *)it->data + first;
        for (size_t k = 0; it->name != NULL && k < sizeof inputs / sizeof inputs[0]; k++)
            if (strcmp(it->name, inputs[k].name) == 0)
                it->data = inputs[k].data;
    }
    machine_run(m, &f, o, got);
    memcpy(y + first * ROW, got[0], (size_t)(n * ROW) * sizeof *y);
    free(got[0]);
}

/* _i: the cache and weights in f32, in f16, weights in q8_0; rows of the cache that nobody sees are NaN */
START_TEST(latent_attention)
{
    static const char *const levels[] = {"scalar", "avx2", "neon", NULL};
    static float rows[CPU_PAGES * CPU_PAGE * WIDTH];
    static uint8_t pages[sizeof rows];
    const int64_t h = LATENT_HEADS, d = 32, v = LATENT_V;
    struct tenon_ref_kv kv = {CPU_PAGES, CPU_PAGE, 1, WIDTH, 0, 0, rows, NULL};
    struct fixture f = {.dims = attention_dims(), .state = {.kind = TENON_STATE_KV_LATENT, .k_heads = 1, .k_dim = WIDTH}};
    const struct tenon_attr attrs[] = {tenon_attr_i("rank", RANK), tenon_attr_i("v_dim", v), tenon_attr_f("scale", 0.4)};
    struct machine_options o = {.half = _i == 1, .q8 = _i == 2, .whole = true, .units = CPU_PAGES, .before = pages};
    start();
    f.dims.sym[TENON_SYM_C] = PAGES * CPU_PAGE;
    for (int i = 0; i < CPU_PAGES * CPU_PAGE * WIDTH; i++)
        rows[i] = machine_half(random_float());
    add_input(&f, "q_nope", DIMS(T_, N_(h), N_(d)));
    add_input(&f, "q_rope", DIMS(T_, N_(h), N_(TURNED)));
    add_weight(&f, "wk", DIMS(N_(h), N_(RANK), N_(d)));
    add_weight(&f, "wv", DIMS(N_(h), N_(v), N_(RANK)));
    add_state(&f, "kv", &kv);
    add_step(&f, "position", deep_position, TOKENS);
    add_step(&f, "seq_of_token", seq_of_token, TOKENS);
    add_step(&f, "seq_start", seq_start, SEQS + 1);
    add_step(&f, "context_len", deep_context, SEQS);
    add_step(&f, "block_table.0", deep_table, SEQS * PAGES);
    o.q8 ? machine_round_q8(&f) : machine_round_weights(&f);
    run(&f, "core.latent_attention/1", attrs, 3, 1, 1);
    for (int p = 0; p < CPU_PAGES; p++) /* what lies behind a sequence's end, and the page nobody has */
        for (int j = 0; j < CPU_PAGE; j++)
            for (int i = 0; i < WIDTH && (p == 1 || (p == 4 && j > 1) || (p == 3 && j > 70 - 64)); i++)
                rows[(p * CPU_PAGE + j) * WIDTH + i] = NAN;
    if (o.half)
        machine_to_half(rows, CPU_PAGES * CPU_PAGE * WIDTH, (uint16_t *)(void *)pages);
    else
        memcpy(pages, rows, sizeof rows);
    for (int level = 0; level < 4; level++) {
        const struct eval_tensor *want = eval_output(&f.eval, 0);
        float single[TOKENS * ROW], *whole;
        void *got[4];
        struct machine m;
        ck_assert_int_eq(levels[level] != NULL ? setenv("TENON_CPU_LEVEL", levels[level], 1) : unsetenv("TENON_CPU_LEVEL"), 0);
        machine_open(&m, 2);
        machine_run(&m, &f, &o, got);
        whole = got[0];
        for (int64_t i = 0; i < want->n; i++)
            ck_assert_msg(fabs((double)whole[i] - (double)want->f[i]) <= (o.q8 ? 2e-4 : 4e-6), "[%d] is %.9g, not %.9g", (int)i, (double)whole[i],
                          (double)want->f[i]);
        for (int t = 0; t < TOKENS; t++)
            run_latent(&m, &f, &o, t, 1, single);
        ck_assert(same(whole, single, want->n));
        run_latent(&m, &f, &o, 0, 3, single);
        ck_assert(same(whole, single, want->n));
        machine_close(&m);
        free(whole);
    }
    finish(&f);
}
END_TEST

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

START_TEST(layer_norm)
{
    static const int64_t widths[] = {1, 7, 16, 70, 129};
    struct trial t = {.f = {.dims = attention_dims()}, .op = "core.layer_norm/1", .tol = 4e-6, .half = _i % 2 == 1};
    const struct tenon_attr eps = tenon_attr_f("eps", 1e-3);
    int64_t k = widths[_i];
    start();
    float *x = add_input(&t.f, "x", DIMS(T_, N_(k)));
    _i != 2 ? (void)add_weight(&t.f, "w", DIMS(N_(k))) : add_absent(&t.f);
    _i > 1 ? (void)add_weight(&t.f, "bias", DIMS(N_(k))) : add_absent(&t.f);
    x[k - 1] = NAN;
    for (int64_t i = 0; i < k; i++)
        x[k + i] += 300; /* far from zero */
    machine_round_weights(&t.f);
    run(&t.f, t.op, &eps, 1, 1, 1);
    check_trial(&t, NULL, true);
    end_trial(&t, NULL);
}
END_TEST

START_TEST(rope)
{
    struct trial t = {.f = {.dims = attention_dims()}, .op = "core.rope/1", .tol = 1e-6};
    const struct tenon_attr attrs[] = {tenon_attr_i("n_rot", 6), tenon_attr_f("base", 100), tenon_attr_s("layout", _i == 0 ? "half" : "interleaved"),
                                       tenon_attr_f("attn_factor", 1.3)};
    start();
    add_input(&t.f, "x", DIMS(T_, N_(3), N_(9)));
    add_step(&t.f, "position", position, TOKENS);
    _i == 0 ? (void)add_weight(&t.f, "factors", DIMS(N_(3))) : add_absent(&t.f);
    run(&t.f, t.op, attrs, 4, 1, 1);
    check_trial(&t, NULL, true);
    end_trial(&t, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu_native");
    TCase *tc = tcase_create("native");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, moe_ffn, 0, 4 * MOES);
    tcase_add_loop_test(tc, ssm_scan, 0, 8);
    tcase_add_loop_test(tc, delta_rule, 0, 9);
    tcase_add_loop_test(tc, conv_scan, 0, 8);
    tcase_add_loop_test(tc, step_attention, 0, 5);
    tcase_add_loop_test(tc, latent_attention, 0, 3);
    tcase_add_loop_test(tc, layer_norm, 0, 5);
    tcase_add_loop_test(tc, rope, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
