/* reference.h - the scalar C that specifies what encodings and ops compute: static library tenon-reference.
 *
 * Made to be read and to be compared with, not to be fast. Plugins, tests and the host may link it; it needs libm only.
 *
 *     if (tenon_ref_encoding_verify(e, err) != 0)
 *         return err->code;                                        // names the bad instruction
 *     tenon_ref_decode_rows(e, planes, rows, cols, 7, 1, w);        // w [1, cols] = row 7
 *     tenon_ref_matmul(1, 1, cols, x, w, NULL, y);                  // y [1, 1] = x [1, cols] . w
 */
#ifndef TENON_REFERENCE_H
#define TENON_REFERENCE_H

#include <tenon/encoding.h>
#include <tenon/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- encodings ---------------------------------------------------------------------------------------------- */

/* Is this encoding well formed, and does its program stay inside its planes for every element? INVALID_ARGUMENT otherwise,
 * naming the instruction. Checked: limits of the struct; opcodes; that members an opcode does not use are zero; that no
 * register is read before it is written (r0 excepted); that offsets depend on i and constants only; and, by running
 * every i, that no load leaves its tile. Whatever passes may be given to tenon_ref_decode_rows. The digest is not looked
 * at. Cost: some 10 ns per instruction and element of a tile. [any-thread] */
int32_t tenon_ref_encoding_verify(const struct tenon_encoding *e, struct tenon_err *err);

/* Decode rows first ... first+n-1 of a tensor of shape [rows, cols]. `e` has passed tenon_ref_encoding_verify; planes
 * [e->n_planes], each tenon_encoding_plane_bytes() long, of any alignment; y [n, cols]. INVALID_ARGUMENT when the shape is
 * no multiple of the tile or the rows are out of range; y is then untouched. [any-thread] */
int32_t tenon_ref_decode_rows(const struct tenon_encoding *e, const void *const *planes, uint64_t rows, uint64_t cols,
                              uint64_t first, uint64_t n, float *y);

/* The same made fast: a program prepared once, then run over some hundred elements at a time by whatever vectors the machine has.
 * A backend that has no kernel of its own for an encoding decodes rows with it into scratch. Same bits, NaN excepted.
 *
 *     struct tenon_ref_decoder *d;
 *     tenon_ref_decoder_create(e, &d, err);                              // e has passed tenon_ref_encoding_verify, and outlives d
 *     tenon_ref_decoder_rows(d, planes, rows, cols, 7, 1, w);            // as tenon_ref_decode_rows
 *     tenon_ref_decoder_destroy(d);
 *
 * create: RESOURCE_EXHAUSTED when memory is short; some milliseconds and some 100 KiB for a tile of 256. Tiles of more than 256
 * rows are decoded one element at a time, for which nothing is prepared. rows takes 80 KiB of stack and nothing else; destroy
 * takes NULL. [any-thread], rows by several threads at once. */
struct tenon_ref_decoder;
int32_t tenon_ref_decoder_create(const struct tenon_encoding *e, struct tenon_ref_decoder **ret, struct tenon_err *err);
int32_t tenon_ref_decoder_rows(const struct tenon_ref_decoder *d, const void *const *planes, uint64_t rows, uint64_t cols,
                               uint64_t first, uint64_t n, float *y);
void tenon_ref_decoder_destroy(struct tenon_ref_decoder *d);

/* ---- ops ---------------------------------------------------------------------------------------------------- */

/* One function per op of tier 0: tenon_ref_x computes core.x/1, whose formula is in ops.h. Left out are reshape, convert
 * and to_act, which change no f32 element, and the ops between devices. Rules for all:
 *   - Buffers are dense, row-major and f32, or i32 and u32 where so typed; weights are decoded first. `rows` is the
 *     product of the leading dims. A dim may be 0. NULL is an absent optional operand (marked `?`).
 *   - Arithmetic is in double, sums in order of the index, and every element is rounded once, when written. Attributes
 *     are double, as in a graph.
 *   - Infinities and NaN follow the formula in IEEE arithmetic; where it has a limit at infinity, that is the value.
 *   - Only an unknown kind is an error (INVALID_ARGUMENT, outputs untouched). Shapes must fit, and indexes be in range
 *     unless it says what happens otherwise. Outputs overlap no inputs unless it says so.
 *   - [any-thread] (states: one thread per state), nothing is allocated.
 *
 *     struct tenon_ref_shape as = { 2, { 3, 4 } }, bs = { 1, { 4 } };
 *     tenon_ref_add(&as, a, &bs, b, y);                            // y [3,4] = a [3,4] + b [4]
 *     if (tenon_ref_unary("silu", 12, y, z) != 0) ...
 */
struct tenon_ref_shape {
    int64_t rank; /* 0: a scalar, of one element */
    int64_t dims[TENON_RANK_MAX]; /* [rank] outermost first */
};

/* -- products: ref_product.c */

/* x [rows,K], w [N,K], bias? [N], y [rows,N] */
void tenon_ref_matmul(int64_t rows, int64_t n, int64_t k, const float *x, const float *w, const float *bias, float *y);

struct tenon_ref_grouped {
    int64_t a, v, u; /* u is v, or 1: one row of x for all v */
    int64_t e, n, k;
};
/* x [A,U,K], w [E,N,K], expert [A,V], bias? [E,N], y [A,V,N] */
void tenon_ref_grouped_matmul(const struct tenon_ref_grouped *g, const float *x, const float *w, const int32_t *expert,
                              const float *bias, float *y);

/* a [batch,M,K], b [batch,N,K], y [batch,M,N] */
void tenon_ref_batch_matmul(int64_t batch, int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *y);

/* -- elementwise: ref_pointwise.c. y has the shape of a; b is broadcast to it, dims counted from the last. */

void tenon_ref_add(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y);
void tenon_ref_sub(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y);
void tenon_ref_mul(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y);
void tenon_ref_div(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y);
void tenon_ref_maximum(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                       const float *b, float *y);

/* kind: eq ne lt le gt ge. Against NaN only ne holds. */
int32_t tenon_ref_compare(const char *kind, const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                          const float *b, int32_t *y);
int32_t tenon_ref_compare_i32(const char *kind, const struct tenon_ref_shape *as, const int32_t *a,
                              const struct tenon_ref_shape *bs, const int32_t *b, int32_t *y);

/* x [n], y [n]; y may be x. kind: as ops.h lists them. */
int32_t tenon_ref_unary(const char *kind, int64_t n, const float *x, float *y);
void tenon_ref_affine(double scale, double shift, int64_t n, const float *x, float *y);
void tenon_ref_clamp(double min, double max, int64_t n, const float *x, float *y);
void tenon_ref_softcap(double cap, int64_t n, const float *x, float *y);

/* -- over the last dim, but cumsum: ref_reduce.c */

/* kind: sum mean max min sumsq. x [rows,K], y [rows]. NaN in a row gives NaN; max and min of nothing are -inf and inf. */
int32_t tenon_ref_reduce(const char *kind, int64_t rows, int64_t k, const float *x, float *y);
/* x [rows,K], K >= 1, y [rows] */
void tenon_ref_argmax(int64_t rows, int64_t k, const float *x, int32_t *y);
/* x [rows,N], value [rows,k], index [rows,k], k <= N. A NaN is handed out as it is. */
void tenon_ref_top_k(int64_t rows, int64_t n, int64_t k, const float *x, float *value, int32_t *index);
/* x [rows,K], sink? [heads] for the rows r with r % heads = h, y [rows,K] */
void tenon_ref_softmax(double scale, int64_t rows, int64_t k, const float *x, int64_t heads, const float *sink, float *y);
/* x [A,n], y [A,n] */
void tenon_ref_cumsum(int64_t a, int64_t n, const float *x, float *y);

/* -- norms over the last dim: ref_norm.c. x [rows,K], w? [K], bias? [K], y [rows,K]; y may be x. */

void tenon_ref_rms_norm(double eps, int64_t rows, int64_t k, const float *x, const float *w, float *y);
void tenon_ref_layer_norm(double eps, int64_t rows, int64_t k, const float *x, const float *w, const float *bias, float *y);
void tenon_ref_l2_norm(double eps, int64_t rows, int64_t k, const float *x, float *y);
/* K is a multiple of groups */
void tenon_ref_group_norm(int64_t groups, double eps, int64_t rows, int64_t k, const float *x, const float *w, float *y);

/* -- positions: ref_position.c */

/* The attributes of core.rope/1. Plain rope: { n_rot, base, 0, 1, 0, 1, 32, 1, 0 }. */
struct tenon_ref_rope {
    int64_t n_rot; /* even, at most D */
    double base;
    int32_t interleaved; /* 0: layout half */
    double scale, ext_factor, attn_factor, beta_fast, beta_slow;
    int64_t original_context; /* > 0 where ext_factor is */
};
/* x [T,H,D], position [T], factors? [n_rot/2], y [T,H,D]; y may be x */
void tenon_ref_rope(const struct tenon_ref_rope *r, int64_t t, int64_t h, int64_t d, const float *x, const int32_t *position,
                    const float *factors, float *y);

/* position [T], seq_of_token [T], context_len [S], y [T,C] */
void tenon_ref_attn_mask(int64_t window, int64_t causal, int64_t t, int64_t c, const int32_t *position,
                         const int32_t *seq_of_token, const int32_t *context_len, float *y);

/* -- data movement: ref_move.c. void: elements of 4 bytes, f32, i32 or u32. */

/* table [N,row], index [A], y [A,row] */
void tenon_ref_gather(double scale, int64_t n, int64_t row, const float *table, int64_t a, const int32_t *index, float *y);
void tenon_ref_gather_i32(int64_t n, int64_t row, const int32_t *table, int64_t a, const int32_t *index, int32_t *y);
/* x [rows,N], index [rows,K], y [rows,K] */
void tenon_ref_take(int64_t rows, int64_t n, int64_t k, const void *x, const int32_t *index, void *y);
/* base [N,row], index [A], x [A,row], y [N,row]. Every sum is rounded when added, in order of A. */
void tenon_ref_scatter_add(int64_t n, int64_t row, const float *base, int64_t a, const int32_t *index, const float *x, float *y);
/* mask, a, b, y [n] */
void tenon_ref_select(int64_t n, const int32_t *mask, const void *a, const void *b, void *y);
/* Shapes are alike but for dim `axis`; negative: from the end. */
void tenon_ref_concat(int64_t axis, const struct tenon_ref_shape *as, const void *a, const struct tenon_ref_shape *bs,
                      const void *b, void *y);
/* start + length is at most dim `axis` of x; negative: from the end */
void tenon_ref_slice(int64_t axis, int64_t start, int64_t length, const struct tenon_ref_shape *xs, const void *x, void *y);
/* perm [rank]: dim d of y is dim perm[d] of x */
void tenon_ref_transpose(const int64_t *perm, const struct tenon_ref_shape *xs, const void *x, void *y);
/* y has shape ys */
void tenon_ref_broadcast(const struct tenon_ref_shape *xs, const void *x, const struct tenon_ref_shape *ys, void *y);
/* x [rows,W], y [rows,count], count <= 32 W */
void tenon_ref_bits(int64_t rows, int64_t w, int64_t count, const uint32_t *x, int32_t *y);
/* y [rows,n] */
void tenon_ref_iota(int64_t rows, int64_t n, int32_t *y);
/* y [n] */
void tenon_ref_fill(double value, int64_t n, float *y);

/* -- states: ref_state.c */

/* A paged cache as plain as can be: one layer, f32, a page holds page_tokens rows. A backend lays out its pages as it
 * likes; one that stores a narrower encoding rounds k and v first to compare. */
struct tenon_ref_kv {
    int64_t pages, page_tokens;
    int64_t k_heads, k_dim, v_heads, v_dim; /* v_heads 0: latent, no V */
    float *k; /* [pages, page_tokens, k_heads, k_dim] OWN: caller's */
    float *v; /* [pages, page_tokens, v_heads, v_dim], NULL when v_heads is 0 */
};
/* k [T,k_heads,k_dim], v? [T,v_heads,v_dim], slot [T]: page * page_tokens + offset. A slot outside the cache is skipped;
 * of equal slots the last token stays. */
void tenon_ref_kv_store(const struct tenon_ref_kv *kv, int64_t t, const float *k, const float *v, const int32_t *slot);
/* block_table [S,P], k [S,C,k_heads,k_dim], v? [S,C,v_heads,v_dim], C = P * page_tokens. A page outside the cache is absent. */
void tenon_ref_kv_load(const struct tenon_ref_kv *kv, int64_t s, int64_t p, const int32_t *block_table, float *k, float *v);

/* state [n_slots,n], slot [S], y and x [S,n] */
void tenon_ref_slot_load(int64_t n, const float *state, int64_t s, const int32_t *slot, float *y);
void tenon_ref_slot_store(int64_t n, float *state, int64_t s, const int32_t *slot, const float *x);

/* -- recurrences: ref_scan.c. The state is changed in place. */

/* The sequences of a step: sequence s is tokens seq_start[s] .. seq_start[s+1]-1 and owns slot[s] of the state. */
struct tenon_ref_seqs {
    int64_t s;
    const int32_t *slot;      /* [S] all different */
    const int32_t *seq_start; /* [S+1] ascending from 0 to T */
};
/* x [T,N], w [N,K], bias? [N], state [n_slots,K-1,N] oldest token first, y [T,N] */
void tenon_ref_conv_scan(const struct tenon_ref_seqs *q, int64_t n, int64_t k, const float *x, const float *w, const float *bias,
                         float *state, float *y);
/* decay [T,N], x [T,N], state [n_slots,N], y [T,N] */
void tenon_ref_linear_scan(const struct tenon_ref_seqs *q, int64_t n, const float *decay, const float *x, float *state, float *y);

struct tenon_ref_outer {
    int64_t h, d, e;
    const float *decay; /* [T,H] */
    const float *k;     /* [T,H,D] */
    const float *v;     /* [T,H,E] */
    const float *q;     /* [T,H,D] */
    const float *beta;  /* [T,H], NULL: no delta rule */
};
/* state [n_slots,H,D,E], rounded to f32 after every token; y [T,H,E] */
void tenon_ref_outer_scan(const struct tenon_ref_seqs *q, const struct tenon_ref_outer *o, float *state, float *y);

/* -- randomness: ref_random.c */

/* The ten rounds of Philox4x32 on one counter. */
void tenon_ref_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t ret_word[4]);
/* seed [R,2], index [R], y [R] in [0, 1) */
void tenon_ref_random(int64_t r, const uint32_t *seed, const uint32_t *index, float *y);

#ifdef __cplusplus
}
#endif
#endif
