/* core.attention and core.latent_attention in tier 0. Query heads that share a K/V head are laid side by side
 * ([T, kv_heads, H/kv_heads, D]), so that no head is repeated in memory. Contract: decompose.h. */
#include "core/graph/decompose.h"

#include <math.h>

enum { Q, KV, K, V, SINK, POSITION, SEQ_OF_TOKEN, SEQ_START, CONTEXT_LEN, BLOCK_TABLE };

/* Additive mask [T, C] of the cache's positions. */
static uint32_t cache_mask(const struct tn_decompose *d, uint32_t position, uint32_t seq_of_token, uint32_t context_len)
{
    const struct tenon_attr a[] = {tenon_attr_i("window", tenon_node_i64(d->node, "window", 0)),
                                   tenon_attr_i("causal", tenon_node_i64(d->node, "causal", 1))};
    const uint32_t in[] = {position, seq_of_token, context_len};
    return tenon_node1(d->b, "core.attn_mask/1", "mask", in, 3, a, 2);
}

/* Additive mask [T, T] among the tokens of this step: same sequence, not later (if causal), within the window, which has two
 * sides. Positions are compared as f32 where they are subtracted: exact below 2^24. */
static uint32_t step_mask(const struct tn_decompose *d)
{
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), one = tn_dim_const(1), square[] = {t, t};
    int64_t window = tenon_node_i64(d->node, "window", 0);
    uint32_t off = tn_d_fill(d, "masked", -INFINITY, 2, square), mask = tn_d_fill(d, "open", 0, 2, square);
    uint32_t seq = tn_d_broadcast(d, "seq_rows", tenon_reshape2(d->b, "seq_column", tn_in(d, SEQ_OF_TOKEN), t, one), 2, square);
    uint32_t pos = tenon_op1(d->b, "core.convert/1", "pos", tn_in(d, POSITION));
    uint32_t rows = tn_d_broadcast(d, "pos_rows", tenon_reshape2(d->b, "pos_column", pos, t, one), 2, square);

    mask = tn_d_select(d, "mask_seq", tn_d_compare(d, "same_seq", "eq", seq, tn_in(d, SEQ_OF_TOKEN)), mask, off);
    if (tenon_node_i64(d->node, "causal", 1) != 0)
        mask = tn_d_select(d, "mask_causal", tn_d_compare(d, "not_later", "ge", rows, pos), mask, off);
    if (window > 0) {
        uint32_t first = tenon_affine(d->b, "window_first", rows, 1, -(double)window);
        mask = tn_d_select(d, "mask_window", tn_d_compare(d, "in_window", "lt", first, pos), mask, off);
    }
    if (window > 0 && tenon_node_i64(d->node, "causal", 1) == 0) {
        uint32_t last = tenon_affine(d->b, "window_last", rows, 1, (double)window);
        mask = tn_d_select(d, "mask_ahead", tn_d_compare(d, "not_ahead", "gt", last, pos), mask, off);
    }
    return mask;
}

/* scores [T,H,N] -> probabilities: scale, soft cap, mask [T,N], softmax. */
static uint32_t probabilities(const struct tn_decompose *d, uint32_t scores, uint32_t mask, struct tenon_dim n, uint32_t sink)
{
    double cap = tenon_node_f64(d->node, "softcap", 0);
    scores = tenon_affine(d->b, "scaled", scores, tenon_node_f64(d->node, "scale", 1), 0);
    if (cap > 0) {
        struct tenon_attr a = tenon_attr_f("cap", cap);
        scores = tenon_node1(d->b, "core.softcap/1", "capped", &scores, 1, &a, 1);
    }
    mask = tenon_reshape3(d->b, "mask_heads", mask, tn_dim_sym(TENON_SYM_T), tn_dim_const(1), n);
    scores = tenon_op2(d->b, "core.add/1", "masked_scores", scores, mask);
    return tn_d_softmax(d, "weights", scores, sink);
}

/* Keys and values of each token's sequence from the cache: *k [T,C,G,D], *v [T,C,G,E]. */
static void cached_rows(const struct tn_decompose *d, uint32_t kv, uint32_t table, uint32_t seq_of_token, const int64_t sizes[4],
                        uint32_t *k, uint32_t *v)
{
    const struct tenon_attr a[] = {tenon_attr_i("k_heads", sizes[0]), tenon_attr_i("k_dim", sizes[1]),
                                   tenon_attr_i("v_heads", sizes[2]), tenon_attr_i("v_dim", sizes[3])};
    const uint32_t in[] = {kv, table};
    uint32_t outs[2] = {TENON_NO_VALUE, TENON_NO_VALUE};
    (void)d->b->node(d->b->ctx, "core.kv_load/1", "cache", in, 2, a, 4, outs, 2); /* the error sticks in b */
    *k = tenon_gather(d->b, "keys", outs[0], seq_of_token);
    if (v != NULL)
        *v = tenon_gather(d->b, "values", outs[1], seq_of_token);
}

static void attend_cache(const struct tn_decompose *d, struct tenon_dim heads, int64_t g, int64_t k_dim, int64_t v_dim)
{
    static const int64_t to_ctgd[] = {0, 2, 1, 3}, to_cged[] = {0, 2, 3, 1};
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), c = tn_dim_sym(TENON_SYM_C), share = tn_dim_const(heads.b / g);
    const int64_t sizes[] = {g, k_dim, g, v_dim};
    uint32_t k = TENON_NO_VALUE, v = TENON_NO_VALUE, y;

    cached_rows(d, tn_in(d, KV), tn_in(d, BLOCK_TABLE), tn_in(d, SEQ_OF_TOKEN), sizes, &k, &v);
    k = tn_d_transpose(d, "keys_by_head", k, 4, to_ctgd);     /* [T,G,C,D] */
    v = tn_d_transpose(d, "values_by_head", v, 4, to_cged);   /* [T,G,E,C] */
    y = tn_d_reshape4(d, "queries", tn_in(d, Q), t, tn_dim_const(g), share, tn_dim_const(k_dim));
    y = tenon_op2(d->b, "core.batch_matmul/1", "scores", y, k); /* [T,G,H/G,C] */
    y = tenon_reshape3(d->b, "scores_flat", y, t, heads, c);
    y = probabilities(d, y, cache_mask(d, tn_in(d, POSITION), tn_in(d, SEQ_OF_TOKEN), tn_in(d, CONTEXT_LEN)), c, tn_in(d, SINK));
    y = tn_d_reshape4(d, "weights_by_head", y, t, tn_dim_const(g), share, c);
    y = tenon_op2(d->b, "core.batch_matmul/1", "mixed", y, v); /* [T,G,H/G,E] */
    d->outs[0] = tenon_reshape3(d->b, "y", y, t, heads, tn_dim_const(v_dim));
}

/* Without a cache the keys are the step's own T tokens, one copy for all queries: heads go first. */
static void attend_step(const struct tn_decompose *d, struct tenon_dim heads, int64_t g, int64_t k_dim, int64_t v_dim)
{
    static const int64_t heads_first[] = {1, 0, 2}, transposed[] = {1, 2, 0}, token_first[] = {1, 0, 2, 3};
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), groups = tn_dim_const(g), share = tn_dim_const(heads.b / g);
    const struct tenon_dim rows = tenon_dim_times(heads.b / g, TENON_SYM_T); /* tokens x heads of a group */
    uint32_t k = tn_d_transpose(d, "keys_by_head", tn_in(d, K), 3, heads_first);    /* [G,T,D] */
    uint32_t v = tn_d_transpose(d, "values_by_head", tn_in(d, V), 3, transposed);   /* [G,E,T] */
    uint32_t y = tn_d_reshape4(d, "queries", tn_in(d, Q), t, groups, share, tn_dim_const(k_dim));

    y = tn_d_transpose(d, "queries_by_head", y, 4, token_first); /* [G,T,H/G,D] */
    y = tenon_reshape3(d->b, "query_rows", y, groups, rows, tn_dim_const(k_dim));
    y = tenon_op2(d->b, "core.batch_matmul/1", "scores", y, k); /* [G, T*H/G, T] */
    y = tn_d_transpose(d, "scores_by_token", tn_d_reshape4(d, "scores_split", y, groups, t, share, t), 4, token_first);
    y = tenon_reshape3(d->b, "scores_flat", y, t, heads, t);
    y = probabilities(d, y, step_mask(d), t, tn_in(d, SINK));
    y = tn_d_transpose(d, "weights_by_head", tn_d_reshape4(d, "weights_split", y, t, groups, share, t), 4, token_first);
    y = tenon_reshape3(d->b, "weight_rows", y, groups, rows, t);
    y = tenon_op2(d->b, "core.batch_matmul/1", "mixed", y, v); /* [G, T*H/G, E] */
    y = tn_d_transpose(d, "mixed_by_token", tn_d_reshape4(d, "mixed_split", y, groups, t, share, tn_dim_const(v_dim)), 4,
                       token_first);
    d->outs[0] = tenon_reshape3(d->b, "y", y, t, heads, tn_dim_const(v_dim));
}

void tn_decompose_attention(const struct tn_decompose *d)
{
    int64_t g = tenon_node_i64(d->node, "kv_heads", 1);
    int64_t k_dim = tenon_node_i64(d->node, "k_dim", 0), v_dim = tenon_node_i64(d->node, "v_dim", 0);
    (tn_has(d, KV) ? attend_cache : attend_step)(d, tn_dim_in(d, Q, 1), g, k_dim, v_dim);
}

enum { Q_NOPE, Q_ROPE, WK, WV, L_KV, L_POSITION, L_SEQ_OF_TOKEN, L_SEQ_START, L_CONTEXT_LEN, L_BLOCK_TABLE };

/* wk is applied to the queries instead of to every cached row, and wv to the mixed latent: the same sums, fewer of them. */
void tn_decompose_latent_attention(const struct tn_decompose *d)
{
    static const int64_t heads_first[] = {1, 0, 2}, swap[] = {0, 2, 1};
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), c = tn_dim_sym(TENON_SYM_C);
    int64_t rank = tenon_node_i64(d->node, "rank", 1), width = rank + tn_dim_in(d, Q_ROPE, 2).b;
    const int64_t sizes[] = {1, width, 0, 0};
    const struct tenon_attr axis = tenon_attr_i("axis", -1);
    uint32_t rows = TENON_NO_VALUE, latent, q, w, y;

    cached_rows(d, tn_in(d, L_KV), tn_in(d, L_BLOCK_TABLE), tn_in(d, L_SEQ_OF_TOKEN), sizes, &rows, NULL);
    rows = tenon_reshape3(d->b, "rows", rows, t, c, tn_dim_const(width));
    latent = tn_d_transpose(d, "latent", tn_d_slice(d, "latent_rows", rows, -1, 0, rank), 3, swap); /* [T,rank,C] */
    q = tn_d_transpose(d, "q_by_head", tn_in(d, Q_NOPE), 3, heads_first);
    w = tenon_reshape(d->b, "wk_rows", tn_in(d, WK), d->types[WK].dims, 3); /* a weight as act */
    q = tenon_op2(d->b, "core.batch_matmul/1", "q_latent_by_head", q, w); /* [H,T,rank] */
    const uint32_t parts[] = {tn_d_transpose(d, "q_latent", q, 3, heads_first), tn_in(d, Q_ROPE)};
    q = tenon_node1(d->b, "core.concat/1", "q_rows", parts, 2, &axis, 1); /* [T,H,rank+Q] */
    y = tenon_op2(d->b, "core.batch_matmul/1", "scores", q, rows);        /* [T,H,C] */
    y = probabilities(d, y, cache_mask(d, tn_in(d, L_POSITION), tn_in(d, L_SEQ_OF_TOKEN), tn_in(d, L_CONTEXT_LEN)), c,
                      TENON_NO_VALUE);
    y = tenon_op2(d->b, "core.batch_matmul/1", "mixed", y, latent); /* [T,H,rank] */
    y = tn_d_transpose(d, "mixed_by_head", y, 3, heads_first);
    w = tenon_reshape(d->b, "wv_rows", tn_in(d, WV), d->types[WV].dims, 3);
    y = tenon_op2(d->b, "core.batch_matmul/1", "y_by_head", y, w);          /* [H,T,v_dim] */
    d->outs[0] = tn_d_transpose(d, "y", y, 3, heads_first);
}
