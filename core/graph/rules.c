/* The shape rules of ops whose outputs the signature cannot express (reshape, concat ...) and checks of attribute values.
 * One function per op that needs one, listed in a table at the end. Any thread. Contract: rules.h. */
#include "core/graph/rules.h"

#include "core/base/num.h"

/* ---- helpers ------------------------------------------------------------------------------------------------ */

static const struct tn_type *operand(const struct tn_op_use *use, const char *name)
{
    uint32_t i = tn_signature_in(use->sig, name);
    return i < use->n_in && use->in[i].dtype != 0 ? &use->in[i] : NULL;
}

static bool one_of(const char *word, const char *words)
{
    size_t n = strlen(word);
    for (const char *p = words; n > 0 && (p = strstr(p, word)) != NULL; p += n)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

static void check_word(const struct tn_op_use *use, const char *attr, const char *words)
{
    if (!one_of(tn_use_str(use, attr), words))
        tn_issue(use->issues, use->where, "%s = '%s' is none of: %s", attr, tn_use_str(use, attr), words);
}

static void check_least(const struct tn_op_use *use, const char *attr, int64_t least)
{
    if (tn_use_i64(use, attr) < least)
        tn_issue(use->issues, use->where, "%s = %lld, but must be at least %lld", attr, (long long)tn_use_i64(use, attr),
                 (long long)least);
}

/* Is the dim a constant, and which? */
static bool constant(const struct tenon_dim *d, int64_t *ret)
{
    *ret = d->b;
    return d->sym == TENON_SYM_NONE;
}

/* A constant dim that must be a multiple of n. Symbolic dims pass: they are checked where they are bound. */
static void check_multiple(const struct tn_op_use *use, const char *what, const struct tenon_dim *d, int64_t n)
{
    int64_t have;
    if (n < 1 || (constant(d, &have) && have % n != 0))
        tn_issue(use->issues, use->where, "%s (%lld) is no multiple of %lld", what, (long long)d->b, (long long)n);
}

static void check_equal(const struct tn_op_use *use, const char *what, const struct tenon_dim *d, int64_t want)
{
    char text[48];
    if (d->sym != TENON_SYM_NONE || d->b != want)
        tn_issue(use->issues, use->where, "%s is %s, but must be %lld", what, tn_dim_text(d, text, sizeof text), (long long)want);
}

/* Axis with negative numbers counted from the end; UINT32_MAX with an issue when there is no such dim. */
static uint32_t axis_of(const struct tn_op_use *use, const struct tn_type *t)
{
    int64_t axis = tn_use_i64(use, "axis");
    int64_t at = axis < 0 ? axis + t->rank : axis;
    if (at >= 0 && at < t->rank)
        return (uint32_t)at;
    tn_issue(use->issues, use->where, "axis %lld does not exist: %u dims", (long long)axis, t->rank);
    return UINT32_MAX;
}

bool tn_broadcasts(const struct tn_type *b, const struct tn_type *a)
{
    if (b->rank > a->rank)
        return false;
    for (uint32_t i = 1; i <= b->rank; i++) {
        const struct tenon_dim *d = &b->dims[b->rank - i];
        bool one = d->sym == TENON_SYM_NONE && d->b == 1;
        if (!one && !tn_dim_equal(d, &a->dims[a->rank - i]))
            return false;
    }
    return true;
}

/* ---- counting elements -------------------------------------------------------------------------------------- */

/* A product of dims: coefficient times symbols times factors that are sums ("S+1"), which only equal themselves. */
struct count {
    uint64_t coefficient;
    uint32_t powers[TENON_SYM_COUNT];
    struct tenon_dim sums[TENON_RANK_MAX];
    uint32_t n_sums;
    bool fits;
};

static struct count count_of(const struct tn_type *t)
{
    struct count c = {.coefficient = 1, .fits = true};
    for (uint32_t i = 0; i < t->rank; i++) {
        const struct tenon_dim *d = &t->dims[i];
        int64_t factor = d->sym == TENON_SYM_NONE ? d->b : d->b == 0 ? d->a : 1;
        c.fits = c.fits && factor >= 0 && tn_mul_u64(c.coefficient, (uint64_t)factor, &c.coefficient);
        if (d->sym != TENON_SYM_NONE && d->b == 0)
            c.powers[d->sym]++;
        else if (d->sym != TENON_SYM_NONE)
            c.sums[c.n_sums++] = *d;
    }
    return c;
}

bool tn_same_count(const struct tn_type *a, const struct tn_type *b)
{
    struct count x = count_of(a), y = count_of(b);
    if (!x.fits || !y.fits || x.coefficient != y.coefficient || x.n_sums != y.n_sums ||
        memcmp(x.powers, y.powers, sizeof x.powers) != 0)
        return false;
    for (uint32_t i = 0; i < x.n_sums; i++) { /* strike each of x's sums from y's */
        uint32_t k = 0;
        while (k < y.n_sums && !tn_dim_equal(&x.sums[i], &y.sums[k]))
            k++;
        if (k == y.n_sums)
            return false;
        y.sums[k] = y.sums[--y.n_sums];
    }
    return true;
}

/* ---- shapes ------------------------------------------------------------------------------------------------- */

static void give_shape(struct tn_op_use *use)
{
    const struct tenon_attr *shape = tn_use_attr(use, "shape");
    struct tn_type *y = &use->out[0];
    y->rank = shape->n;
    for (uint32_t i = 0; i < shape->n; i++) {
        const struct tenon_dim *d = &shape->dims[i];
        if (d->sym < TENON_SYM_NONE || d->sym >= TENON_SYM_COUNT || (d->sym == TENON_SYM_NONE && d->b < 0) ||
            (d->sym != TENON_SYM_NONE && d->a < 1))
            tn_issue(use->issues, use->where, "dim %u of the shape is broken", i);
        y->dims[i] = (struct tenon_dim){d->sym == TENON_SYM_NONE ? 0 : d->a, d->b, d->sym, 0};
    }
}

static void rule_reshape(struct tn_op_use *use)
{
    char have[TN_TYPE_TEXT], want[TN_TYPE_TEXT];
    give_shape(use);
    if (!tn_same_count(&use->in[0], &use->out[0]))
        tn_issue(use->issues, use->where, "%s cannot become %s: the number of elements differs",
                 tn_type_text(&use->in[0], have, sizeof have), tn_type_text(&use->out[0], want, sizeof want));
}

static void rule_broadcast(struct tn_op_use *use)
{
    char have[TN_TYPE_TEXT], want[TN_TYPE_TEXT];
    give_shape(use);
    if (!tn_broadcasts(&use->in[0], &use->out[0]))
        tn_issue(use->issues, use->where, "%s does not broadcast to %s", tn_type_text(&use->in[0], have, sizeof have),
                 tn_type_text(&use->out[0], want, sizeof want));
}

static void rule_slot_load(struct tn_op_use *use)
{
    struct tenon_dim s = tn_dim_sym(TENON_SYM_S);
    give_shape(use);
    if (use->out[0].rank == 0 || !tn_dim_equal(&use->out[0].dims[0], &s))
        tn_issue(use->issues, use->where, "the shape must begin with S");
}

static void rule_transpose(struct tn_op_use *use)
{
    const struct tenon_attr *perm = tn_use_attr(use, "perm");
    const struct tn_type *x = &use->in[0];
    uint32_t seen = 0;
    if (perm->n != x->rank) {
        tn_issue(use->issues, use->where, "perm has %u entries for %u dims", perm->n, x->rank);
        return;
    }
    use->out[0].rank = x->rank;
    for (uint32_t i = 0; i < perm->n; i++) {
        int64_t p = perm->list[i];
        if (p < 0 || p >= x->rank || (seen & 1u << p) != 0) {
            tn_issue(use->issues, use->where, "perm is no permutation of 0..%u", x->rank - 1);
            return;
        }
        seen |= 1u << p;
        use->out[0].dims[i] = x->dims[p];
    }
}

static void rule_slice(struct tn_op_use *use)
{
    const struct tn_type *x = &use->in[0];
    int64_t start = tn_use_i64(use, "start"), length = tn_use_i64(use, "length"), size;
    uint32_t axis = axis_of(use, x);
    if (axis == UINT32_MAX)
        return;
    if (start < 0 || length < 0 || !constant(&x->dims[axis], &size) || start > size || length > size - start) {
        char text[TN_TYPE_TEXT];
        tn_issue(use->issues, use->where, "[%lld, +%lld) lies not within dim %u of %s", (long long)start, (long long)length,
                 axis, tn_type_text(x, text, sizeof text));
        return;
    }
    use->out[0].rank = x->rank;
    memcpy(use->out[0].dims, x->dims, sizeof x->dims);
    use->out[0].dims[axis] = tn_dim_const(length);
}

/* a + b as one dim: possible when either is constant or both have the same symbol. */
static bool add_dims(const struct tenon_dim *a, const struct tenon_dim *b, struct tenon_dim *ret)
{
    if (a->sym != b->sym && a->sym != TENON_SYM_NONE && b->sym != TENON_SYM_NONE)
        return false;
    *ret = (struct tenon_dim){a->a + b->a, a->b + b->b, a->sym != TENON_SYM_NONE ? a->sym : b->sym, 0};
    return true;
}

static void rule_concat(struct tn_op_use *use)
{
    const struct tn_type *a = &use->in[0], *b = &use->in[1];
    char text_a[TN_TYPE_TEXT], text_b[TN_TYPE_TEXT];
    uint32_t axis = axis_of(use, a);
    bool fits = a->rank == b->rank;
    if (axis == UINT32_MAX)
        return;
    for (uint32_t i = 0; fits && i < a->rank; i++)
        fits = i == axis || tn_dim_equal(&a->dims[i], &b->dims[i]);
    use->out[0].rank = a->rank;
    memcpy(use->out[0].dims, a->dims, sizeof a->dims);
    if (!fits || !add_dims(&a->dims[axis], &b->dims[axis], &use->out[0].dims[axis]))
        tn_issue(use->issues, use->where, "%s and %s cannot be joined along dim %u", tn_type_text(a, text_a, sizeof text_a),
                 tn_type_text(b, text_b, sizeof text_b), axis);
}

static void rule_all_gather(struct tn_op_use *use)
{
    uint32_t axis = axis_of(use, &use->in[0]);
    check_least(use, "ranks", 1);
    if (axis == UINT32_MAX)
        return;
    use->out[0].rank = use->in[0].rank;
    memcpy(use->out[0].dims, use->in[0].dims, sizeof use->in[0].dims);
    use->out[0].dims[axis].a *= tn_use_i64(use, "ranks");
    use->out[0].dims[axis].b *= tn_use_i64(use, "ranks");
}

/* ---- checks ------------------------------------------------------------------------------------------------- */

static void rule_broadcast_b(struct tn_op_use *use)
{
    char a[TN_TYPE_TEXT], b[TN_TYPE_TEXT];
    if (!tn_broadcasts(&use->in[1], &use->in[0]))
        tn_issue(use->issues, use->where, "b %s does not broadcast to a %s", tn_type_text(&use->in[1], b, sizeof b),
                 tn_type_text(&use->in[0], a, sizeof a));
}

static void rule_compare(struct tn_op_use *use)
{
    check_word(use, "kind", "eq ne lt le gt ge");
    rule_broadcast_b(use);
}

#define UNARY_KINDS "neg abs sqrt rsqrt exp log sin cos tanh sigmoid relu relu2 silu gelu gelu_tanh gelu_quick softplus"

static void rule_unary(struct tn_op_use *use) { check_word(use, "kind", UNARY_KINDS); }
static void rule_reduce(struct tn_op_use *use) { check_word(use, "kind", "sum mean max min sumsq"); }

static void rule_top_k(struct tn_op_use *use)
{
    int64_t n, k = tn_use_i64(use, "k");
    const struct tn_type *x = &use->in[0];
    check_least(use, "k", 0);
    if (constant(&x->dims[x->rank - 1], &n) && k > n)
        tn_issue(use->issues, use->where, "k = %lld of only %lld elements", (long long)k, (long long)n);
}

static void rule_softmax(struct tn_op_use *use)
{
    const struct tn_type *x = &use->in[0], *sink = operand(use, "sink");
    if (sink != NULL && (sink->rank != 1 || x->rank < 2 || !tn_dim_equal(&sink->dims[0], &x->dims[x->rank - 2])))
        tn_issue(use->issues, use->where, "the sink must have one dim, that of x before its last");
}

static void rule_grouped_matmul(struct tn_op_use *use)
{
    const struct tenon_dim *u = &use->in[0].dims[1], *v = &use->in[2].dims[1];
    if (!tn_dim_equal(u, v) && (u->sym != TENON_SYM_NONE || u->b != 1))
        tn_issue(use->issues, use->where, "dim 1 of x must be 1 or that of expert");
}

static void rule_group_norm(struct tn_op_use *use)
{
    check_multiple(use, "the last dim", &use->in[0].dims[use->in[0].rank - 1], tn_use_i64(use, "groups"));
}

static void rule_rope(struct tn_op_use *use)
{
    const struct tn_type *factors = operand(use, "factors");
    int64_t n_rot = tn_use_i64(use, "n_rot"), d;
    check_word(use, "layout", "half interleaved");
    if (n_rot < 2 || n_rot % 2 != 0 || (constant(&use->in[0].dims[2], &d) && n_rot > d))
        tn_issue(use->issues, use->where, "n_rot = %lld must be even and within the head's %lld", (long long)n_rot,
                 (long long)use->in[0].dims[2].b);
    else if (factors != NULL)
        check_equal(use, "the number of factors", &factors->dims[0], n_rot / 2);
    if (!(tn_use_f64(use, "base") > 0))
        tn_issue(use->issues, use->where, "base must be above 0");
}

static void rule_bits(struct tn_op_use *use)
{
    const struct tenon_dim *w = &use->in[0].dims[use->in[0].rank - 1];
    int64_t count = tn_use_i64(use, "count");
    if (count < 0 || w->sym != TENON_SYM_NONE || count > 32 * w->b)
        tn_issue(use->issues, use->where, "count = %lld exceeds 32 x %lld", (long long)count, (long long)w->b);
}

static void rule_kv_load(struct tn_op_use *use)
{
    check_least(use, "k_heads", 1);
    check_least(use, "k_dim", 1);
    check_least(use, "v_heads", 0); /* 0: a latent cache, which has no V */
    check_least(use, "v_dim", 0);
}

static void rule_attention(struct tn_op_use *use)
{
    const struct tn_type *q = operand(use, "q"), *k = operand(use, "k"), *v = operand(use, "v");
    int64_t heads = tn_use_i64(use, "kv_heads");
    check_multiple(use, "the number of heads of q", &q->dims[1], heads);
    check_equal(use, "the head size of q", &q->dims[2], tn_use_i64(use, "k_dim"));
    check_least(use, "v_dim", 1);
    check_least(use, "window", 0);
    if (operand(use, "kv") != NULL) {
        if (k != NULL || v != NULL || operand(use, "block_table") == NULL)
            tn_issue(use->issues, use->where, "with kv there must be block_table, and neither k nor v");
    } else if (k == NULL || v == NULL) {
        tn_issue(use->issues, use->where, "without kv there must be k and v");
    } else {
        check_equal(use, "the number of heads of k", &k->dims[1], heads);
        check_equal(use, "the head size of v", &v->dims[2], tn_use_i64(use, "v_dim"));
    }
}

static void rule_latent(struct tn_op_use *use)
{
    check_least(use, "rank", 1);
    check_least(use, "v_dim", 1);
}

static void rule_gated_ffn(struct tn_op_use *use) { check_word(use, "kind", UNARY_KINDS); }

static void rule_moe_ffn(struct tn_op_use *use)
{
    const struct tenon_dim *n = &operand(use, "router")->dims[0];
    int64_t groups = tn_use_i64(use, "groups");
    check_word(use, "kind", UNARY_KINDS);
    check_word(use, "scoring", "softmax sigmoid topk_softmax");
    check_least(use, "used", 1);
    if (n->sym != TENON_SYM_NONE || tn_use_i64(use, "used") > n->b)
        tn_issue(use->issues, use->where, "used = %lld of %lld experts", (long long)tn_use_i64(use, "used"), (long long)n->b);
    if (groups == 0)
        return;
    check_multiple(use, "the number of experts", n, groups);
    check_least(use, "group_best", 1);
    if (groups < 0 || tn_use_i64(use, "groups_used") < 1 || tn_use_i64(use, "groups_used") > groups ||
        (groups > 0 && n->b / groups < tn_use_i64(use, "group_best")))
        tn_issue(use->issues, use->where, "groups need 1 <= groups_used <= groups and group_best experts each");
}

static void rule_ssm_scan(struct tn_op_use *use)
{
    check_multiple(use, "the number of heads", &operand(use, "x")->dims[1], operand(use, "b")->dims[1].b);
}

static void rule_delta_rule(struct tn_op_use *use)
{
    int64_t normalise = tn_use_i64(use, "normalise");
    check_multiple(use, "the number of heads", &operand(use, "v")->dims[1], operand(use, "k")->dims[1].b);
    if (normalise < 0 || normalise > 2)
        tn_issue(use->issues, use->where, "normalise = %lld is none of 0, 1, 2", (long long)normalise);
}

static void rule_sample(struct tn_op_use *use)
{
    const struct tenon_dim *vocab = &operand(use, "logits")->dims[1];
    const struct tn_type *mask = operand(use, "mask");
    check_least(use, "logprobs", 0);
    if (vocab->sym != TENON_SYM_NONE)
        tn_issue(use->issues, use->where, "the vocabulary's size must be constant");
    else if (tn_use_i64(use, "logprobs") > vocab->b)
        tn_issue(use->issues, use->where, "logprobs = %lld exceeds the vocabulary", (long long)tn_use_i64(use, "logprobs"));
    else if (mask != NULL)
        check_equal(use, "words of the mask", &mask->dims[1], (vocab->b + 31) / 32);
}

/* ---- table -------------------------------------------------------------------------------------------------- */

static const struct { const char *op; void (*apply)(struct tn_op_use *use); } rules[] = {
    {"core.add/1", rule_broadcast_b}, {"core.sub/1", rule_broadcast_b}, {"core.mul/1", rule_broadcast_b},
    {"core.div/1", rule_broadcast_b}, {"core.maximum/1", rule_broadcast_b}, {"core.compare/1", rule_compare},
    {"core.unary/1", rule_unary}, {"core.reduce/1", rule_reduce}, {"core.top_k/1", rule_top_k},
    {"core.softmax/1", rule_softmax}, {"core.grouped_matmul/1", rule_grouped_matmul}, {"core.group_norm/1", rule_group_norm},
    {"core.rope/1", rule_rope}, {"core.bits/1", rule_bits}, {"core.kv_load/1", rule_kv_load},
    {"core.reshape/1", rule_reshape}, {"core.broadcast/1", rule_broadcast}, {"core.transpose/1", rule_transpose},
    {"core.slice/1", rule_slice}, {"core.concat/1", rule_concat}, {"core.iota/1", give_shape}, {"core.fill/1", give_shape},
    {"core.slot_load/1", rule_slot_load}, {"core.all_gather/1", rule_all_gather},
    {"core.attention/1", rule_attention}, {"core.latent_attention/1", rule_latent}, {"core.gated_ffn/1", rule_gated_ffn},
    {"core.moe_ffn/1", rule_moe_ffn}, {"core.ssm_scan/1", rule_ssm_scan}, {"core.delta_rule/1", rule_delta_rule},
    {"core.sample/1", rule_sample},
};

void tn_rules_apply(struct tn_op_use *use)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(rules[i].op, use->op) == 0)
            rules[i].apply(use);
}
