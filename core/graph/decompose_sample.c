/* core.sample in tier 0. Works on the whole vocabulary sorted: exact, not fast; the engine has its own sampler. The order of
 * the chain is the formula's in <tenon/ops.h>. Contract: decompose.h. */
#include "core/graph/decompose.h"

#include <float.h>
#include <math.h>

enum { LOGITS, TEMPERATURE, TOP_K, TOP_P, MIN_P, PENALTY, HISTORY, BIAS, MASK, SEED, INDEX };

struct chain {
    const struct tn_decompose *d;
    const struct tenon_builder *b;
    struct tenon_dim r, v, one;
    struct tenon_dim rv[2]; /* [R,V] */
    uint32_t zero;          /* act [1] */
    uint32_t never;         /* f32 [R,V] of -inf */
};

static uint32_t f32(const struct chain *c, const char *name, uint32_t x) { return tenon_op1(c->b, "core.convert/1", name, x); }
static uint32_t column(const struct chain *c, const char *name, uint32_t x) { return tenon_reshape2(c->b, name, x, c->r, c->one); }

/* [R,1] -> [R,V] */
static uint32_t spread(const struct chain *c, const char *name, uint32_t x) { return tn_d_broadcast(c->d, name, x, 2, c->rv); }

/* How often each token stands in the history: f32 [R,V]. */
static uint32_t counts(const struct chain *c)
{
    const struct tenon_dim m = tn_dim_in(c->d, HISTORY, 1), rvm[] = {c->r, c->v, m};
    uint32_t history = tenon_reshape3(c->b, "history_row", tn_in(c->d, HISTORY), c->r, c->one, m);
    uint32_t tokens = tenon_reshape2(c->b, "token_column", tn_d_iota(c->d, "tokens", c->v), c->v, c->one);
    uint32_t hit = tn_d_compare(c->d, "is_token", "eq", tn_d_broadcast(c->d, "history_rows", history, 3, rvm), tokens);
    return tenon_reshape2(c->b, "count", tn_d_reduce(c->d, "count_sum", "sum", f32(c, "is_token_f32", hit)), c->r, c->v);
}

static uint32_t penalise(const struct chain *c, uint32_t x)
{
    const struct tn_decompose *d = c->d;
    uint32_t count = counts(c), seen = tn_d_compare(d, "seen", "gt", count, c->zero);
    uint32_t repeat = tn_d_slice(d, "repeat", tn_in(d, PENALTY), 1, 0, 1);
    uint32_t smaller = tenon_op2(c->b, "core.div/1", "divided", x, repeat),
             larger = tenon_op2(c->b, "core.mul/1", "multiplied", x, repeat);
    uint32_t repeated = tn_d_select(d, "repeated", tn_d_compare(d, "positive", "gt", x, c->zero), smaller, larger);

    x = tn_d_select(d, "after_repeat", seen, repeated, x);
    uint32_t presence = tn_d_slice(d, "presence", tn_in(d, PENALTY), 1, 1, 1);
    presence = tenon_op2(c->b, "core.mul/1", "presence_cost", f32(c, "seen_f32", seen), presence);
    uint32_t frequency = tenon_op2(c->b, "core.mul/1", "frequency_cost", count,
                                   tn_d_slice(d, "frequency", tn_in(d, PENALTY), 1, 2, 1));
    x = tenon_op2(c->b, "core.sub/1", "after_presence", x, presence);
    return tenon_op2(c->b, "core.sub/1", "after_frequency", x, frequency);
}

static uint32_t apply_mask(const struct chain *c, uint32_t x)
{
    struct tenon_attr a = tenon_attr_i("count", c->v.b);
    uint32_t mask = tn_in(c->d, MASK);
    return tn_d_select(c->d, "allowed", tenon_node1(c->b, "core.bits/1", "mask_bits", &mask, 1, &a, 1), x, c->never);
}

/* Natural log of the softmax, for the most likely tokens. */
static void log_probabilities(const struct chain *c, uint32_t x)
{
    uint32_t shifted = tenon_op2(c->b, "core.sub/1", "shifted", x, tn_d_reduce(c->d, "largest", "max", x));
    uint32_t sum = tn_d_reduce(c->d, "exp_sum", "sum", tenon_unary(c->b, "exps", "exp", shifted));
    uint32_t lp = tenon_op2(c->b, "core.sub/1", "logprobs", shifted, tenon_unary(c->b, "log_sum", "log", sum));
    c->d->outs[2] = tn_d_top_k(c->d, "top", lp, tenon_node_i64(c->d->node, "logprobs", 0), &c->d->outs[1]);
}

/* Sums of p up to and with each element, along the last dim: cumsum runs along the first. */
static uint32_t running_sum(const struct chain *c, const char *const names[3], uint32_t p)
{
    static const int64_t swap[] = {1, 0};
    uint32_t sum = tenon_op1(c->b, "core.cumsum/1", names[1], tn_d_transpose(c->d, names[0], p, 2, swap));
    return tn_d_transpose(c->d, names[2], sum, 2, swap);
}

/* Sorted logits with what top-k, top-p and min-p drop at -inf. */
static uint32_t filter(const struct chain *c, uint32_t sorted)
{
    static const char *const sums[] = {"p_columns", "p_sum_columns", "p_sums"};
    const struct tn_decompose *d = c->d;
    uint32_t k = column(c, "top_k", tn_in(d, TOP_K));
    uint32_t ranks = tn_d_broadcast(d, "ranks", tn_d_iota(d, "rank", c->v), 2, c->rv);
    uint32_t all = tn_d_compare(d, "top_k_off", "le", spread(c, "top_k_rows", f32(c, "top_k_f32", k)), c->zero);
    uint32_t kept = tn_d_select(d, "after_top_k", tn_d_compare(d, "in_top_k", "lt", ranks, k), sorted, c->never);

    sorted = tn_d_select(d, "top_k_done", all, sorted, kept);
    uint32_t p = tn_d_softmax(d, "p_top_k", sorted, TENON_NO_VALUE);
    uint32_t before = tenon_op2(c->b, "core.sub/1", "p_before", running_sum(c, sums, p), p);
    uint32_t in_p = tn_d_compare(d, "in_top_p", "lt", before, column(c, "top_p", tn_in(d, TOP_P)));
    uint32_t first = tn_d_compare(d, "is_first", "eq", ranks, tn_d_iota(d, "rank_zero", c->one)); /* the most likely always stays */
    kept = tn_d_select(d, "after_top_p", in_p, sorted, c->never);
    sorted = tn_d_select(d, "top_p_done", first, sorted, kept);
    uint32_t floor = tn_d_reduce(d, "p_max", "max", p);
    floor = tenon_op2(c->b, "core.mul/1", "p_floor", floor, column(c, "min_p", tn_in(d, MIN_P)));
    return tn_d_select(d, "after_min_p", tn_d_compare(d, "in_min_p", "ge", p, floor), sorted, c->never);
}

/* Which rank is drawn: the first whose running sum exceeds the random share of the total. i32 [R] */
static uint32_t draw(const struct chain *c, uint32_t filtered)
{
    static const char *const sums[] = {"q_columns", "q_sum_columns", "q_sums"};
    const struct tn_decompose *d = c->d;
    uint32_t p = tn_d_softmax(d, "q", filtered, TENON_NO_VALUE), sum = running_sum(c, sums, p);
    uint32_t share = column(c, "random_column", tenon_op2(c->b, "core.random/1", "random", tn_in(d, SEED), tn_in(d, INDEX)));
    uint32_t bar = tenon_op2(c->b, "core.mul/1", "bar", tn_d_slice(d, "q_total", sum, 1, c->v.b - 1, 1), share);
    return tenon_op1(c->b, "core.argmax/1", "rank_drawn", f32(c, "over_f32", tn_d_compare(d, "over", "gt", sum, bar)));
}

void tn_decompose_sample(const struct tn_decompose *d)
{
    struct chain c = {.d = d, .b = d->b, .r = tn_dim_in(d, LOGITS, 0), .v = tn_dim_in(d, LOGITS, 1), .one = tn_dim_const(1)};
    uint32_t x = f32(&c, "logits", tn_in(d, LOGITS)), index = TENON_NO_VALUE, sorted, drawn, best, cold;

    c.rv[0] = c.r, c.rv[1] = c.v;
    c.zero = tn_d_fill(d, "zero", 0, 1, &c.one);
    c.never = f32(&c, "never", tn_d_fill(d, "never_act", -INFINITY, 2, c.rv));
    if (tn_has(d, HISTORY))
        x = penalise(&c, x);
    if (tn_has(d, BIAS))
        x = tenon_op2(d->b, "core.add/1", "biased", x, tn_in(d, BIAS));
    if (tn_has(d, MASK))
        x = apply_mask(&c, x);
    log_probabilities(&c, x);
    best = tenon_op1(d->b, "core.argmax/1", "greedy", x);
    sorted = tn_d_top_k(d, "sorted", x, c.v.b, &index);
    sorted = tenon_op2(d->b, "core.div/1", "heated", sorted,
                       column(&c, "heat_column", tn_d_clamp(d, "heat", tn_in(d, TEMPERATURE), 1e-6, FLT_MAX)));
    drawn = tenon_op2(d->b, "core.take/1", "drawn_column", index, column(&c, "rank_column", draw(&c, filter(&c, sorted))));
    drawn = tenon_reshape(d->b, "drawn", drawn, &c.r, 1);
    cold = tn_d_compare(d, "cold", "le", tn_in(d, TEMPERATURE), c.zero);
    d->outs[0] = tn_d_select(d, "token", cold, best, drawn);
}
