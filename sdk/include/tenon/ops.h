/* ops.h - every core op, as one table: signature, attributes, formula, accumulation, error bound, decomposition.
 *
 * The table is the specification; sdk/reference holds one scalar C function per op that follows it, and the host's verifier
 * infers and checks shapes from the signature strings.
 *
 * Signature:  "x:act[...,K] w:weight[N,K] bias:weight[N]? -> y:act[...,N]"
 *   operand   name:dtype[dims], `?` behind it: optional (TENON_NO_VALUE). dtypes: act, f32, i32, u32, weight, state; num is act,
 *             f32 or any float; any is whatever; `=x` is the dtype of operand x, act if that is a weight.
 *   dims      a capital name binds a dim and must agree wherever it returns; T S R C P are the symbols themselves; a number
 *             is itself; `...` binds any number of leading dims; `$a` is attribute a; dims may be sums and products by
 *             constants of these ("S+1", "2*N"). `[@]`: the op's rule, told in the formula column (attribute `shape`, or
 *             computed as said). "b broadcasts": b has at most a's rank, and each of its dims, counted from the last,
 *             is a's or 1.
 * Attributes: "eps:f" mandatory float; "window:i=0" with default; i int, f float, s string, d dims, l list of ints.
 *
 * Accumulation of every op is f32 or better; norms, softmax and rope angles never less. act edges round once, when written.
 * Error bounds are against the formula in exact arithmetic on the op's (rounded) inputs, u = 2^-24 for f32 edges, 2^-11 for
 * f16, 2^-8 for bf16; K is the length summed over. "q8(B)": a backend may round activations to 8 bits per block of B <= 32
 * (d = max|x|/127, to nearest) when the weight is quantised: per element bound |w| . d/2 summed, on top.
 *
 * Tier 0 must be implemented by every backend (the reference library may stand in); composites (tier 1) may be claimed, else
 * the host lowers them.
 */
#ifndef TENON_OPS_H
#define TENON_OPS_H

#include <tenon/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, id, tier, signature, attributes, formula, error bound, decomposition) */
#define TENON_OP_TABLE(X)                                                                                                  \
    /* ---- products */                                                                                                    \
    X(MATMUL, "core.matmul/1", 0, "x:act[...,K] w:weight[N,K] bias:weight[N]? -> y:act[...,N]", "",                        \
      "y[.,n] = sum_k x[.,k] w[n,k] + bias[n]", "K u sum|x w| + q8(32)", "")                                               \
    X(GROUPED_MATMUL, "core.grouped_matmul/1", 0,                                                                          \
      "x:act[A,U,K] w:weight[E,N,K] expert:i32[A,V] bias:weight[E,N]? -> y:act[A,V,N]", "",                                \
      "U is V or 1 (then broadcast); y[a,v,n] = sum_k x[a,v or 0,k] w[expert[a,v],n,k] + bias[expert[a,v],n]",             \
      "K u sum|x w| + q8(32)", "")                                                                                         \
    X(BATCH_MATMUL, "core.batch_matmul/1", 0, "a:act[...,M,K] b:act[...,N,K] -> y:act[...,M,N]", "",                       \
      "y[.,m,n] = sum_k a[.,m,k] b[.,n,k]", "K u sum|a b|", "")                                                            \
    /* ---- elementwise; b broadcasts from trailing dims */                                                                \
    X(ADD, "core.add/1", 0, "a:num[...] b:any[@] -> y:=a[...]", "", "y = a + b", "u|y|", "")                               \
    X(SUB, "core.sub/1", 0, "a:num[...] b:any[@] -> y:=a[...]", "", "y = a - b", "u|y|", "")                               \
    X(MUL, "core.mul/1", 0, "a:num[...] b:any[@] -> y:=a[...]", "", "y = a b", "u|y|", "")                                 \
    X(DIV, "core.div/1", 0, "a:num[...] b:any[@] -> y:=a[...]", "", "y = a / b", "u|y|", "")                               \
    X(MAXIMUM, "core.maximum/1", 0, "a:num[...] b:any[@] -> y:=a[...]", "", "y = a > b ? a : b; NaN if either is", "0", "") \
    X(AFFINE, "core.affine/1", 0, "x:num[...] -> y:=x[...]", "scale:f=1 shift:f=0", "y = scale x + shift", "2u(|scale x|+|shift|)", "") \
    X(UNARY, "core.unary/1", 0, "x:num[...] -> y:=x[...]", "kind:s",                                                       \
      "kind: neg abs sqrt rsqrt exp log sin cos tanh sigmoid relu relu2 silu gelu gelu_tanh gelu_quick softplus; "         \
      "gelu = x/2 (1+erf(x/sqrt 2)), gelu_tanh = x/2 (1+tanh(sqrt(2/pi)(x+0.044715x^3))), gelu_quick = x sigmoid(1.702x), " \
      "relu2 = max(x,0)^2, silu = x sigmoid(x), softplus = log(1+e^x)", "4u|y| + 2u max(1,|x|)", "")                       \
    X(CLAMP, "core.clamp/1", 0, "x:num[...] -> y:=x[...]", "min:f max:f", "y = min(max(x,min),max); NaN stays", "0", "")   \
    X(SOFTCAP, "core.softcap/1", 0, "x:num[...] -> y:=x[...]", "cap:f", "y = cap tanh(x/cap)", "4u cap", "")               \
    X(SELECT, "core.select/1", 0, "mask:i32[...] a:any[...] b:=a[...] -> y:=a[...]", "", "y = mask != 0 ? a : b", "0", "") \
    /* ---- reductions over the last dim */                                                                                \
    X(REDUCE, "core.reduce/1", 0, "x:num[...,K] -> y:=x[...,1]", "kind:s", "kind: sum mean max min sumsq over k", "K u sum|x|", "") \
    X(ARGMAX, "core.argmax/1", 0, "x:num[...,K] -> y:i32[...]", "", "lowest k with x[k] = max; NaN counts as -inf", "0", "") \
    X(TOP_K, "core.top_k/1", 0, "x:num[...,N] -> value:=x[...,$k] index:i32[...,$k]", "k:i",                               \
      "k largest, descending; ties: lower index first; NaN counts as -inf", "0", "")                                       \
    X(SOFTMAX, "core.softmax/1", 0, "x:num[...,K] sink:any[@]? -> y:=x[...,K]", "scale:f=1",                               \
      "m = max_k(scale x), e = exp(scale x - m); y = e / (sum e + exp(sink - m) if a sink is given, sink is [H] for "      \
      "an x of [...,H,K], one for each row; m covers it too); a row of -inf gives 0", "(K+8) u y", "")                     \
    X(CUMSUM, "core.cumsum/1", 0, "x:num[A,...] -> y:=x[A,...]", "", "y[a] = sum_{b<=a} x[b] along dim 0", "A u sum|x|", "") \
    /* ---- norms over the last dim */                                                                                     \
    X(RMS_NORM, "core.rms_norm/1", 0, "x:act[...,K] w:weight[K]? -> y:act[...,K]", "eps:f",                                \
      "y = x / sqrt(mean(x^2) + eps) w", "(K/2+4) u |y|", "")                                                              \
    X(LAYER_NORM, "core.layer_norm/1", 0, "x:act[...,K] w:weight[K]? bias:weight[K]? -> y:act[...,K]", "eps:f",            \
      "y = (x - mean) / sqrt(var + eps) w + bias, var over K", "(K+8) u max|y|", "")                                       \
    X(L2_NORM, "core.l2_norm/1", 0, "x:act[...,K] -> y:act[...,K]", "eps:f", "y = x / sqrt(max(sum x^2, eps^2))", "(K/2+4) u |y|", "") \
    X(GROUP_NORM, "core.group_norm/1", 0, "x:act[...,K] w:weight[K]? -> y:act[...,K]", "groups:i eps:f",                   \
      "rms_norm over each of `groups` equal parts of K", "(K/2+4) u |y|", "")                                              \
    /* ---- positions */                                                                                                   \
    X(ROPE, "core.rope/1", 0, "x:act[T,H,D] position:i32[T] factors:weight[F]? -> y:act[T,H,D]",                           \
      "n_rot:i base:f layout:s=half scale:f=1 ext_factor:f=0 attn_factor:f=1 beta_fast:f=32 beta_slow:f=1 original_context:i=0", \
      "pairs j = 0..n_rot/2-1: (2j, 2j+1) for layout interleaved, (j, j+n_rot/2) for half; angle = p scale base^(-2j/n_rot) / " \
      "factors[j]; ext_factor > 0 blends scaled and unscaled angles by YaRN's ramp of beta_fast, beta_slow and "           \
      "original_context; rotated pair times attn_factor; elements from n_rot on are copied (RoFormer, arXiv:2104.09864; "  \
      "YaRN, arXiv:2309.00071)", "8u |pair|, angles in f64", "")                                                           \
    X(ATTN_MASK, "core.attn_mask/1", 0, "position:i32[T] seq_of_token:i32[T] context_len:i32[S] -> y:f32[T,C]",            \
      "window:i=0 causal:i=1", "0 where c < context_len[seq] and (not causal or c <= position) and (window = 0 or |position - c| < " \
      "window), else -inf", "0", "")                                                                                       \
    /* ---- data movement */                                                                                               \
    X(GATHER, "core.gather/1", 0, "table:any[N,...] index:i32[A] -> y:=table[A,...]", "scale:f=1",                         \
      "y[a] = scale table[index[a]]; an index outside 0..N-1 gives zeros; integers are not scaled", "u|y|", "")            \
    X(TAKE, "core.take/1", 0, "x:any[...,N] index:i32[...,K] -> y:=x[...,K]", "",                                          \
      "y[.,k] = x[.,index[.,k]]; an index outside 0..N-1 gives zero", "0", "")                                             \
    X(SCATTER_ADD, "core.scatter_add/1", 0, "base:num[N,...] index:i32[A] x:=base[A,...] -> y:=base[N,...]", "",           \
      "y = base; y[index[a]] += x[a] in order of a; outside indices are skipped", "A u sum|x|", "")                        \
    X(CONCAT, "core.concat/1", 0, "a:any[...] b:=a[@] -> y:=a[@]", "axis:i", "joined along axis (negative counts from the end)", "0", "") \
    X(SLICE, "core.slice/1", 0, "x:any[...] -> y:=x[@]", "axis:i start:i length:i", "x[start .. start+length) along axis", "0", "") \
    X(RESHAPE, "core.reshape/1", 0, "x:any[...] -> y:=x[@]", "shape:d", "same elements, row-major, shape given; same count for all T S R C P", "0", "") \
    X(TRANSPOSE, "core.transpose/1", 0, "x:any[...] -> y:=x[@]", "perm:l", "y dim d is x dim perm[d]", "0", "")            \
    X(BROADCAST, "core.broadcast/1", 0, "x:any[...] -> y:=x[@]", "shape:d", "dims of 1 (and missing leading ones) repeated", "0", "") \
    X(CONVERT, "core.convert/1", 0, "x:any[...] -> y:f32[...]", "", "to f32", "0", "")                                     \
    X(BITS, "core.bits/1", 0, "x:u32[...,W] -> y:i32[...,$count]", "count:i", "y[.,i] = bit i%32 of x[.,i/32]; count <= 32 W", "0", "") \
    X(TO_ACT, "core.to_act/1", 0, "x:num[...] -> y:act[...]", "", "to the backend's act format, round to nearest even", "u|x|", "") \
    X(IOTA, "core.iota/1", 0, "-> y:i32[@]", "shape:d", "0, 1, 2 ... along the last dim", "0", "")                         \
    X(FILL, "core.fill/1", 0, "-> y:act[@]", "shape:d value:f", "y = value", "0", "")                                      \
    X(COMPARE, "core.compare/1", 0, "a:any[...] b:any[@] -> y:i32[...]", "kind:s", "kind: eq ne lt le gt ge; 1 or 0; b broadcasts", "0", "") \
    /* ---- state access */                                                                                                \
    X(KV_STORE, "core.kv_store/1", 0, "kv:state[] k:act[T,H,D] v:act[T,G,E]? slot:i32[T] -> kv_out:state[]", "",           \
      "K and V of token t to slot[t] of this layer's pages, rounded to the cache's encoding; latent: v absent. kv_out is the same " \
      "state after the write: readers take it, so order is explicit", "cache encoding's rounding", "")                     \
    X(KV_LOAD, "core.kv_load/1", 0, "kv:state[] block_table:i32[S,P] -> k:act[S,C,$k_heads,$k_dim] v:act[S,C,$v_heads,$v_dim]", \
      "k_heads:i k_dim:i v_heads:i v_dim:i", "rows of the cache by absolute position; absent pages give zeros", "0", "")   \
    X(SLOT_LOAD, "core.slot_load/1", 0, "state:state[] slot:i32[S] -> y:f32[@]", "shape:d", "contents of each sequence's slot, shape [S,...]", "0", "") \
    X(SLOT_STORE, "core.slot_store/1", 0, "state:state[] slot:i32[S] x:f32[S,...] -> state_out:state[]", "", "the write", "0", "") \
    /* ---- recurrences over the tokens of each sequence of the step */                                                    \
    X(CONV_SCAN, "core.conv_scan/1", 0,                                                                                    \
      "x:act[T,N] w:weight[N,K] bias:weight[N]? state:state[] slot:i32[S] seq_start:i32[S+1] -> y:act[T,N] state_out:state[]", "", \
      "causal depthwise convolution: y[t,n] = sum_k w[n,k] x[t-K+1+k,n] + bias[n], tokens before the step from the slot's last K-1 rows, " \
      "which are then replaced", "K u sum|x w|", "")                                                                       \
    X(LINEAR_SCAN, "core.linear_scan/1", 0,                                                                                \
      "decay:act[T,N] x:act[T,N] state:state[] slot:i32[S] seq_start:i32[S+1] -> y:act[T,N] state_out:state[]", "",        \
      "h = decay[t] h + x[t]; y[t] = h; h starts from the slot and ends there", "T u sum|x|", "")                          \
    X(OUTER_SCAN, "core.outer_scan/1", 0,                                                                                  \
      "decay:act[T,H] k:act[T,H,D] v:act[T,H,E] q:act[T,H,D] beta:act[T,H]? state:state[] slot:i32[S] seq_start:i32[S+1] -> y:act[T,H,E] state_out:state[]", \
      "", "per head, M [D,E] f32: M = decay M; without beta M += k v^T; with beta M += beta k (v - M^T k)^T (delta rule, arXiv:2412.06464); y = M^T q", \
      "T (D+4) u, f32 state", "")                                                                                          \
    /* ---- randomness */                                                                                                  \
    X(RANDOM, "core.random/1", 0, "seed:u32[R,2] index:u32[R] -> y:f32[R]", "",                                            \
      "Philox4x32-10 (Salmon et al., SC11): key = seed, counter = (index,0,0,0); y = (word0 >> 8) 2^-24", "0", "")         \
    /* ---- between devices */                                                                                             \
    X(ALL_REDUCE, "core.all_reduce/1", 0, "x:act[...] -> y:act[...]", "group:i", "sum over the ranks of the communicator, in rank order", "n u sum|x|", "") \
    X(ALL_GATHER, "core.all_gather/1", 0, "x:act[...,K] -> y:act[@]", "group:i axis:i ranks:i", "joined along axis in rank order", "0", "") \
    /* ---- composites */                                                                                                  \
    X(ATTENTION, "core.attention/1", 1,                                                                                    \
      "q:act[T,H,D] kv:state[]? k:act[T,G,D]? v:act[T,G,E]? sink:weight[H]? position:i32[T] seq_of_token:i32[T] seq_start:i32[S+1] " \
      "context_len:i32[S] block_table:i32[S,P]? -> y:act[T,H,$v_dim]",                                                     \
      "kv_heads:i k_dim:i v_dim:i scale:f window:i=0 softcap:f=0 causal:i=1",                                              \
      "per token t of sequence s, head h, g = h / (H/kv_heads): score[c] = softcap(scale q . K[s,c,g]); y = softmax(score + mask; sink[h]) V; " \
      "kv given: keys are the cache; else k, v of this step's own sequence. window w sees positions nearer than w, on both sides where not causal (0: all). K and V sizes may differ", \
      "(C+D+16) u max|v|, cache rounding apart",                                                                           \
      "q as [T,kv_heads,H/kv_heads,D]; kv_load, gather by seq_of_token, batch_matmul, affine scale, softcap, add attn_mask, " \
      "softmax(sink), batch_matmul; without kv: k and v transposed, the mask by compare and select")                       \
    X(LATENT_ATTENTION, "core.latent_attention/1", 1,                                                                      \
      "q_nope:act[T,H,D] q_rope:act[T,H,Q] wk:weight[H,$rank,D] wv:weight[H,$v_dim,$rank] kv:state[] position:i32[T] seq_of_token:i32[T] seq_start:i32[S+1] " \
      "context_len:i32[S] block_table:i32[S,P] -> y:act[T,H,$v_dim]", "rank:i v_dim:i scale:f causal:i=1",                 \
      "cache row c = (latent[rank], k_rope[Q]); k = (wk^T latent per head, k_rope), v = wv latent per head; attention as above " \
      "(MLA, arXiv:2405.04434)", "(C+D+rank+16) u max|v|",                                                                 \
      "kv_load, gather by seq_of_token; batch_matmul of q_nope by wk, concat q_rope, batch_matmul with the rows, attn_mask, softmax, " \
      "batch_matmul with the latent parts, batch_matmul by wv")                                                            \
    X(GATED_FFN, "core.gated_ffn/1", 1, "x:act[...,K] gate:weight[F,K]? up:weight[F,K] down:weight[K,F] gate_bias:weight[F]? up_bias:weight[F]? down_bias:weight[K]? -> y:act[...,K]", \
      "kind:s=silu", "y = down(kind(gate x) * (up x)); without gate: down(kind(up x)). kind as core.unary", "sum of the matmuls'", \
      "matmul, matmul, unary, mul, matmul")                                                                                \
    X(MOE_FFN, "core.moe_ffn/1", 1,                                                                                        \
      "x:act[T,K] router:weight[N,K] router_bias:weight[N]? select_bias:weight[N]? gate:weight[N,F,K] up:weight[N,F,K] down:weight[N,K,F] gate_bias:weight[N,F]? up_bias:weight[N,F]? down_bias:weight[N,K]? -> y:act[T,K]", \
      "used:i kind:s=silu scoring:s=softmax normalise:i=1 scale:f=1 groups:i=0 groups_used:i=0 group_best:i=2 limit:f=0 up_shift:f=0",    \
      "p = scoring(router x), scoring: softmax, sigmoid, or topk_softmax (softmax over the chosen); the `used` largest of p + select_bias, within the " \
      "groups_used best groups by the sum of their group_best best; weights p (normalised to 1 if normalise) times scale; y = sum w_e ffn_e(x), " \
      "ffn as core.gated_ffn; limit > 0: gate at most limit, up within +-limit; up_shift is added to up",                  \
      "sum of the matmuls'", "matmul, softmax or sigmoid, top_k, take, grouped_matmul x3, unary, mul, transpose, reduce")  \
    X(ADD_NORM, "core.add_norm/1", 1, "a:act[...,K] b:act[...,K] w:weight[K] -> sum:act[...,K] y:act[...,K]", "eps:f",     \
      "sum = a + b; y = rms_norm(sum) w", "as add and rms_norm", "add, rms_norm")                                          \
    X(SSM_SCAN, "core.ssm_scan/1", 1,                                                                                      \
      "x:act[T,H,D] dt:act[T,H] b:act[T,G,N] c:act[T,G,N] a:weight[H] d:weight[H]? dt_bias:weight[H]? state:state[] slot:i32[S] seq_start:i32[S+1] -> y:act[T,H,D] state_out:state[]", \
      "dt_min:f=0 dt_max:f=0", "Mamba-2 (arXiv:2405.21060): s = softplus(dt+dt_bias) clamped; M = exp(s a) M + s b x^T; y = c^T M + d x; group of head h is h / (H/G)", \
      "T (N+4) u, f32 state", "unary softplus, mul, unary exp, broadcast, outer_scan, mul, add")                           \
    X(DELTA_RULE, "core.delta_rule/1", 1,                                                                                  \
      "q:act[T,G,D] k:act[T,G,D] v:act[T,H,E] g:act[T,H] beta:act[T,H] state:state[] slot:i32[S] seq_start:i32[S+1] -> y:act[T,H,E] state_out:state[]", \
      "scale:f normalise:i=1 eps:f=1e-6", "gated delta rule (arXiv:2412.06464): q, k l2-normalised: normalise 0 not, 1 as l2_norm, 2 by sqrt(sum x^2 + eps); then q scaled; group of head h is " \
      "h / (H/G); decay = exp(g); outer_scan with beta", \
      "T (D+8) u, f32 state", "l2_norm or rms_norm, affine, broadcast, unary exp, outer_scan")                                                    \
    X(SAMPLE, "core.sample/1", 1,                                                                                          \
      "logits:act[R,V] temperature:f32[R] top_k:i32[R] top_p:f32[R] min_p:f32[R] penalty:f32[R,3] history:i32[R,M]? bias:f32[R,V]? mask:u32[R,W]? seed:u32[R,2] index:u32[R] " \
      "-> token:i32[R] top_id:i32[R,$logprobs] top_logprob:f32[R,$logprobs]", "logprobs:i",                                \
      "one chain: penalties (repeat: seen logits > 0 are divided by it, others multiplied; presence and frequency x count are subtracted; counted over history, -1 is none), " \
      "bias, mask bit (1 allowed), log-probabilities taken here, temperature (<= 0: argmax), top-k (<= 0: all), top-p (kept while the sum before is < top_p), " \
      "min-p (p >= min_p max p), draw by core.random over the kept tokens in descending order: the first whose running sum exceeds y x total; W = ceil(V/32)", "equal token for equal logits", \
      "compare, reduce, select, mul, div, sub, add, bits; top_k, take, softmax, transpose, cumsum, random, argmax")

enum tenon_op_number {
#define TENON_OP_ENUM(NAME, id, tier, sig, attrs, formula, bound, decomposition) TENON_OPN_##NAME,
    TENON_OP_TABLE(TENON_OP_ENUM)
#undef TENON_OP_ENUM
    TENON_OPN_COUNT
};

struct tenon_op_desc {
    uint32_t struct_size;
    uint32_t tier; /* 0 core, 1 composite */
    const char *id, *signature, *attrs, *formula, *bound, *decomposition;
};

/* Row i of the table (TENON_OPN_*), NULL past its end. OWN: static. [any-thread] */
static inline const struct tenon_op_desc *tenon_op_at(uint32_t i)
{
    static const struct tenon_op_desc table[] = {
#define TENON_OP_ROW(NAME, id, tier, sig, attrs, formula, bound, decomposition)                                            \
    { (uint32_t)sizeof(struct tenon_op_desc), tier, id, sig, attrs, formula, bound, decomposition },
        TENON_OP_TABLE(TENON_OP_ROW)
#undef TENON_OP_ROW
    };
    return i < TENON_OPN_COUNT ? &table[i] : NULL;
}

/* Number of a core op by id, TENON_OPN_COUNT when it is none. [any-thread] */
static inline uint32_t tenon_op_find(const char *id)
{
    uint32_t i;
    for (i = 0; i < TENON_OPN_COUNT; i++)
        if (strcmp(tenon_op_at(i)->id, id) == 0)
            break;
    return i;
}

#ifdef __cplusplus
}
#endif
#endif
