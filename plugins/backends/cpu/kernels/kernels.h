/* kernels.h - the CPU backend's compute kernels: pure functions over memory, one table of them per instruction level.
 *
 * No threads, no allocation, no I/O: the plan cuts the work and hands each thread ranges and scratch. Example, y = x W^T:
 *
 *     const struct cpu_kernels *k = cpu_kernels_select(CPU_LEVEL_BEST);          best level <= the cap
 *     struct cpu_act a = { .x = x, .ldx = K };                                   x [T, K]
 *     cpu_act_bind(&a, mem, T, K);                                               mem: cpu_act_bytes(T, K), 64-aligned
 *     k->quantize(&a, 0, T);                                                     not needed for float weights
 *     k->matmul(&w, &a, 0, T, n0, n1, y, ldy, NULL, scratch);                    writes y[t * ldy + n], n0 <= n < n1
 *
 * The law of every kernel here (design, section 7.15): the bits of a result row depend on nothing but that row's inputs,
 * within one level. Not on T, not on the ranges a thread was given, not on alignment, nor on its place in a vector.
 *
 *  - Quantised matmul. A row of activations becomes 16-bit integers in blocks of 32: d = max|x| / 32639, q = nearest even of
 *    x * (32639 / max|x|), or with 127 for 32639 8-bit ones; max|x| < 2^-100 counts as zero; a block that holds NaN or infinity
 *    gets d = NaN, q = 0. Per output
 *    element one chain runs over ascending blocks b:
 *        acc = fma(dw_b * da_b, (float)isum_b, acc);   isum_b exact in int32
 *        acc = fma(m_b, da_b * (float)asum_b, acc);    formats with minimums only
 *    Where scales are per 16 (Q6_K), a link takes both halves' sums:
 *        acc = fma(da_b, fma(dw_b1, (float)isum_b1, dw_b0 * (float)isum_b0), acc);
 *    Q2_K's integers are its two bits times their scale of four bits, with d alone for dw; its minimums are by 16: two links behind that
 *    of the 32 columns. From avx512 on and by 8 bits Q3_K's are its three bits times their scale of six likewise. Vector lanes run over
 *    weight rows.
 *  - Float matmul. Partial sums by k mod (vector length), ascending k, then one fixed tree. With `bf16` and narrow activations, by
 *    bf16 weights: partial sums by k / 2 mod (vector length), two products a step.
 *  - Attention. Keys in blocks of CPU_PAGE_TOKENS by absolute position in ascending order, summed by spans of CPU_SPAN_TOKENS,
 *    which are merged in ascending order. Vector levels take one maximum per span, the scalar one a running maximum. Level amx
 *    multiplies floats there as two bfloat16 each, which has bits of its own.
 *  - Elementwise. Tails run through the same vector code on a padded copy.
 *
 * All functions: [any-thread], re-entrant. Pointers are borrowed for the call. Floats need 4-byte alignment and weights none;
 * scratch and cpu_act memory 64 bytes.
 */
#ifndef TENON_CPU_KERNELS_H
#define TENON_CPU_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

/* The instruction levels of this architecture, ascending. */
#if defined(__aarch64__)
enum cpu_level { CPU_LEVEL_SCALAR, CPU_LEVEL_NEON, CPU_LEVEL_DOTPROD, CPU_LEVEL_I8MM, CPU_LEVEL_BEST = CPU_LEVEL_I8MM };
#else
enum cpu_level {
    CPU_LEVEL_SCALAR, CPU_LEVEL_AVX2, CPU_LEVEL_AVX512, CPU_LEVEL_AVX512_BF16, CPU_LEVEL_AMX, CPU_LEVEL_BEST = CPU_LEVEL_AMX
};
#endif

/* ---- weights */

enum cpu_format {
    CPU_F32, CPU_F16, CPU_BF16,                 /* plain floats */
    CPU_Q4_0, CPU_Q4_1, CPU_Q5_0, CPU_Q8_0,     /* blocks of 32 */
    CPU_Q4_K, CPU_Q5_K, CPU_Q6_K,               /* super-blocks of 256 */
    CPU_Q5_1, CPU_IQ4_NL, CPU_MXFP4,            /* blocks of 32 */
    CPU_Q2_K, CPU_Q3_K, CPU_IQ4_XS,             /* super-blocks of 256 */
    CPU_IQ2_XXS, CPU_IQ2_XS, CPU_IQ2_S, CPU_IQ3_XXS, CPU_IQ3_S, CPU_IQ1_S, CPU_IQ1_M, CPU_TQ1_0, CPU_TQ2_0,
    CPU_NVFP4,                                  /* blocks of 64 */
    CPU_AFFINE4_B32, CPU_AFFINE4_B128, CPU_AFFINE8_B32, /* what GPTQ, AWQ and their like become */
    CPU_FORMAT_COUNT,
    /* What some of these become when they are packed (repack.h): the same weights in blocks that need no codebook and are read
     * from front to back. */
    CPU_PACKED_IQ2_BY_32 = CPU_FORMAT_COUNT, CPU_PACKED_IQ2_BY_16, CPU_PACKED_IQ3_XXS, CPU_PACKED_IQ3_S, CPU_PACKED_IQ1_S,
    CPU_PACKED_IQ1_M, CPU_PACKED_Q6_K, CPU_PACKED_Q3_K, CPU_PACKED_Q2_K, CPU_PACKED_TQ2, CPU_PACKED_Q5_0, CPU_PACKED_Q5_1,
    CPU_PACKED_Q5_K, CPU_FORMATS_ALL
};

/* An encoding this backend has its own kernels for. OWN: static. */
struct cpu_encoding {
    const char *id;     /* "gguf.q4_1/1" */
    const char *digest; /* 64 hex digits of its canonical text; what a claim is made by */
    enum cpu_format format;
    int32_t block_cols;  /* elements of one block */
    int32_t block_bytes; /* bytes of one block */
    bool quantised;      /* wants cpu_act.q; else cpu_act.x */
};

/* By digest, or NULL when no kernel knows it. */
const struct cpu_encoding *cpu_encoding_find(const char *digest);
/* By format number; never NULL for a number below CPU_FORMATS_ALL. */
const struct cpu_encoding *cpu_encoding_at(enum cpu_format format);

/* One row of weights to f32, exactly as the encoding's program computes it. cols must be a multiple of block_cols. */
void cpu_decode_row(enum cpu_format format, const void *row, int64_t cols, float *ret_x);

/* Weights, in the file's order or packed. Packed, CPU_PACK_ROWS rows make a group (the last filled up), in which each byte, 16
 * bits or dword has that of the other rows beside it: element e, w bytes wide, of a field at byte f of block b lies at
 * CPU_PACK_ROWS * (b * block_bytes + f + e * w) + w * lane, so that nothing is transposed when they are used. Codebooks and
 * digits to the base of 3 are undone on the way, and other blocks put in the order they are read in: such a matrix changes its
 * format and may grow. */
struct cpu_matrix {
    const uint8_t *data; /* [rows] rows of row_bytes, packed: [rows rounded up to CPU_PACK_ROWS]; OWN: borrowed, never written */
    int64_t rows;        /* N */
    int64_t cols;        /* K, a multiple of the encoding's block_cols */
    int64_t row_bytes;
    enum cpu_format format;
    bool packed;         /* quantised formats and vector levels only */
    /* NULL, or where rows come from that no kernel can read: then only cpu_matrix_row() takes the matrix, and format is
     * CPU_F32. */
    void (*row)(const void *source, int64_t n, float *ret_x);
    const void *source;
};

#define CPU_PACK_ROWS 16

/* Of m, which is in the file's order: the format it has when packed, most often its own; the bytes of that; m packed to data. */
enum cpu_format cpu_packed_format(enum cpu_format format);
/* Whether products of few tokens by that format, packed or to be, read cpu_act.moved; without it they have the same bits more slowly. */
bool cpu_reads_moved(enum cpu_format format);
int64_t cpu_packed_bytes(const struct cpu_matrix *m);
struct cpu_matrix cpu_packed_matrix(const struct cpu_matrix *m, const uint8_t *data);
/* Row n as floats, wherever it lies: cpu_decode_row() of it. */
void cpu_matrix_row(const struct cpu_matrix *m, int64_t n, float *ret_x);

/* ---- activations */

struct cpu_act {
    const float *x; /* [T, K], rows ldx floats apart; OWN: caller */
    int64_t ldx;
    int64_t K;
    bool narrow;    /* integers of 8 bits, and see cpu_kernels.bf16: set it before cpu_act_bind() */
    int16_t *q;     /* [T, K] columns in the order of cpu_act_column(); NULL when narrow */
    int8_t *q8;     /* [T, K] in their own order; NULL when not */
    int8_t *split;  /* [T, K / 32][2][32] of 16-bit ones, 256 high + low, the low and the high bytes in their own order; only written
                       by levels that read it (splits.h, tiles.h) */
    float *d;       /* [T, K/32] scale of each block */
    float *ds;      /* [T, K/32] d * sum */
    float *ds_16;   /* [T, K/16] the same over each 16 */
    int32_t *sum;    /* [T, K/32] sum of q over each block */
    int32_t *sum_16; /* [T, K/16] the same over each 16 */
    float *moved;    /* [T, K/16][4] -9 s + 2 u, s the sum of q over 16 and u over none, the second, the first or both halves of them; only
                        written from level avx512 on (unpack_repacked.h reads it); NULL for more than CPU_PART_TOKENS tokens, and
                        then or where the caller says so not written */
    float *turned_d, *turned_ds; /* [T / 16 rounded up][K/32][16 tokens] d and ds again; only written by levels that read them
                                    (tiles.h) */
    float *turned_ds_16;         /* [T / 16 rounded up][K/16][16 tokens] likewise */
};

#define CPU_TURNED_TOKENS 16 /* whose factors lie side by side in turned_d, turned_ds and turned_ds_16 */

#define CPU_ACT_MAX 32639.0f /* largest q, 127 times 257, so that both bytes of 256 high + low have a sign: 16 bits lose nothing that f32
                                activations would show, 8 bits do */
#define CPU_ACT_MAX_8 127.0f /* largest of q8 */

/* The column at place i of q: of each four the middle two change places, see unpack.h. Its own inverse. */
static inline int64_t cpu_act_column(int64_t i)
{
    return (i & ~(int64_t)3) | (i & 1) << 1 | (i >> 1 & 1);
}

/* Memory for the quantised part of T rows of K; narrow ones take less. */
int64_t cpu_act_bytes(int64_t T, int64_t K);
/* Point q and what goes with it into mem and set K; x and ldx stay. Without K % 32 == 0 the row cannot be quantised and need not
 * be: then only float weights can follow. */
void cpu_act_bind(struct cpu_act *a, void *mem, int64_t T, int64_t K);

/* Columns k0 <= k < k1 of row t alone, whole blocks of 32: for quantize(), of at most CPU_PART_TOKENS rows in all: what only products
 * of more tokens read (turned_d) is not written. */
#define CPU_PART_TOKENS 8
struct cpu_act cpu_act_part(const struct cpu_act *a, int64_t t, int64_t k0, int64_t k1);

/* ---- the cache of keys and values */

#define CPU_PAGE_TOKENS 32 /* keys of a page = keys of an attention block */

/* How its elements are kept; CPU_KV_Q8 needs dims that are multiples of CPU_KV_BLOCK. */
enum cpu_kv_type {
    CPU_KV_F16, CPU_KV_F32, CPU_KV_BF16,
    CPU_KV_Q8, /* q * d: int8 q = nearest even of x / d, f16 d = max|x| / 127 of 32 along the head; NaN for a block that holds
                  infinity, NaN, or what f16 scales do not reach (8.3e6) */
    CPU_KV_TYPE_COUNT
};

#define CPU_KV_BLOCK 32 /* elements that share a scale */

/* The pages of one layer. Inside a page: K [kv_heads][k_dim][32 tokens], then V [kv_heads][32 tokens][v_dim]. K lies transposed
 * so that the lanes of a score vector are keys. Scales of q8 lie behind each head's elements in the same order: of K
 * [k_dim / 32][32 tokens], of V [32 tokens][v_dim / 32]. */
struct cpu_kv {
    uint8_t *pages;      /* [n_pages] of page_stride bytes, 64-aligned; OWN: host */
    int64_t page_stride; /* >= cpu_kv_page_bytes(), a multiple of 64 */
    int32_t kv_heads;
    int32_t k_dim;
    int32_t v_dim;
    enum cpu_kv_type type;
};

/* Bytes of n elements, a multiple of CPU_KV_BLOCK of them where the type has blocks. */
int64_t cpu_kv_bytes(const struct cpu_kv *kv, int64_t n);
int64_t cpu_kv_page_bytes(const struct cpu_kv *kv);
/* One page in canonical order and the cache's own encoding: K [32][kv_heads][k_dim], then V [32][kv_heads][v_dim], a block of q8
 * as its scale and then its 32 bytes; exact both ways, the same size as the page. */
void cpu_kv_export(const struct cpu_kv *kv, int64_t page, void *ret_bytes);
void cpu_kv_import(const struct cpu_kv *kv, int64_t page, const void *bytes);

/* ---- attention */

struct cpu_attn {
    const float *q; /* [T, n_heads, k_dim], tokens ldq floats apart */
    float *y;       /* [T, n_heads, v_dim], tokens ldy floats apart */
    int64_t ldq;
    int64_t ldy;
    const struct cpu_kv *kv;
    const int32_t *block_table; /* [S, table_stride] page of each block of 32 positions; negative: absent, not visible */
    int64_t table_stride;
    const int32_t *position;     /* [T] */
    const int32_t *seq_of_token; /* [T] */
    const int32_t *context_len;  /* [S] tokens in the cache, this step's included */
    const float *sink;           /* [n_heads] or NULL */
    int32_t n_heads;             /* a multiple of kv->kv_heads */
    float scale;
    float softcap;  /* 0: none */
    int32_t window; /* 0: all; else keys nearer than it, on both sides where not causal */
    bool causal;
};

#define CPU_ATTN_ROWS 48         /* query rows that share the reading of a block */
#define CPU_ATTN_TILED_ROWS 128  /* the same at level amx, where at least so many heads share their keys: */
#define CPU_ATTN_TILED_HEADS 3
#define CPU_ATTN_CHUNK_BYTES 32768 /* and there, keys or values that are made ready together: half of the nearest cache */
#define CPU_SPAN_TOKENS 256   /* keys that are summed together: a multiple of CPU_PAGE_TOKENS */
#define CPU_ATTN_SCORE_ROW (CPU_SPAN_TOKENS + 16) /* floats from row to row of a span's scores: no power of two, for the cache's sets */

/* What a span comes to for one row: its maximum, its sum of weights, two floats unused, y [v_dim] weighted and not divided. */
#define CPU_ATTN_PART_Y 4
static inline int64_t cpu_attn_part_floats(int32_t v_dim)
{
    return CPU_ATTN_PART_Y + v_dim;
}

/* Scratch of attention(), whatever T, for any level. */
int64_t cpu_attn_scratch_bytes(int32_t k_dim, int32_t v_dim);

/* ---- rope */

struct cpu_rope {
    int32_t n_rot; /* even */
    bool interleaved;
    float base, scale, ext_factor, attn_factor, beta_fast, beta_slow;
    int32_t original_context;
    const float *factors; /* [n_rot/2] or NULL */
};

/* Radians per position of each pair: [n_rot/2], once per model. */
void cpu_rope_freqs(const struct cpu_rope *r, double *ret_freq);
/* cos and sin of one position, times attn_factor: [n_rot/2] each; once per token and step, not per layer. */
void cpu_rope_table(const struct cpu_rope *r, const double *freq, int32_t position, float *ret_cos, float *ret_sin);

/* ---- recurrences */

/* M [d, e] of a head, token by token: M = decay M + k add^T, y = skip v + M^T q, where add = k_scale v, or with beta
 * beta (v - (decay M)^T k). Per column of M one chain over ascending rows. */
struct cpu_outer {
    const float *decay;   /* [T, heads] */
    const float *k, *q;   /* [T, groups, d]; head h reads group h / (heads / groups) */
    const float *v;       /* [T, heads, e] */
    const float *beta;    /* [T, heads] or NULL */
    const float *k_scale; /* [T, heads] or NULL: 1; without beta */
    const float *skip;    /* [heads] or NULL: 0 */
    int64_t heads, groups, d, e;
};

/* ---- the table */

enum cpu_unary {
    CPU_NEG, CPU_ABS, CPU_SQRT, CPU_RSQRT, CPU_EXP, CPU_LOG, CPU_SIN, CPU_COS, CPU_TANH, CPU_SIGMOID, CPU_RELU, CPU_RELU2,
    CPU_SILU, CPU_GELU, CPU_GELU_TANH, CPU_GELU_QUICK, CPU_SOFTPLUS, CPU_UNARY_COUNT
};
/* By the name in ops.h ("silu"), or CPU_UNARY_COUNT. */
enum cpu_unary cpu_unary_find(const char *kind);

#define CPU_MATMUL_SCRATCH 65536 /* bytes, 64-aligned, per thread */
#define CPU_PANEL_ROWS 32        /* cut n ranges at multiples of this for speed (any cut is correct) */

/* y may be one of the inputs in every elementwise function and norm; n >= 0. */
struct cpu_kernels {
    const char *level; /* "scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon", "dotprod", "i8mm" */

    /* Rows t0 <= t < t1 of a->x into a->q and what goes with it. K % 32 == 0. */
    void (*quantize)(const struct cpu_act *a, int64_t t0, int64_t t1);
    /* Groups g0 <= g < g1 of m, which is in the file's order, to `packed` [cpu_packed_bytes], 64-aligned. */
    void (*pack)(const struct cpu_matrix *m, int64_t g0, int64_t g1, uint8_t *packed);
    /* y[t * ldy + n] = x[t] . w[n] (+ bias[n]) for t0 <= t < t1, n0 <= n < n1. Reads a->q.. or a->x by the format. */
    void (*matmul)(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                   float *y, int64_t ldy, const float *bias, void *scratch);

    /* One row each. w [K] or NULL. Calling norm and then quantize row by row keeps the row in L1: that is the fusion. */
    void (*rms_norm)(const float *x, const float *w, int64_t K, float eps, float *y);
    void (*softmax)(const float *x, int64_t K, float scale, const float *sink, float *y); /* sink: one value or NULL */

    void (*add)(const float *a, const float *b, int64_t n, float *y);
    void (*mul)(const float *a, const float *b, int64_t n, float *y);
    void (*affine)(const float *x, float scale, float shift, int64_t n, float *y);
    void (*softcap)(const float *x, float cap, int64_t n, float *y);
    void (*unary)(enum cpu_unary kind, const float *x, int64_t n, float *y);
    void (*unary_mul)(enum cpu_unary kind, const float *g, const float *u, int64_t n, float *y); /* y = kind(g) * u */
    void (*f32_to_f16)(const float *x, int64_t n, uint16_t *y); /* to nearest even */
    void (*f16_to_f32)(const uint16_t *x, int64_t n, float *y);
    void (*f32_to_bf16)(const float *x, int64_t n, uint16_t *y);
    void (*bf16_to_f32)(const uint16_t *x, int64_t n, float *y);

    /* x [heads, dim] of one token in place: pairs below n_rot turn by cos, sin [n_rot/2], the rest stays. */
    void (*rope)(const struct cpu_rope *r, const float *cos, const float *sin, int32_t heads, int32_t dim, float *x);

    /* Heads g0 <= g < g1 of k [kv_heads, k_dim] and v [kv_heads, v_dim] of one token to slot = page * CPU_PAGE_TOKENS + offset; a
     * negative slot is skipped. v may be NULL when v_dim is 0. */
    void (*kv_store)(const struct cpu_kv *kv, const float *k, const float *v, int64_t slot, int32_t g0, int32_t g1);
    /* K and V of one position into f32 rows [kv_heads, k_dim] and [kv_heads, v_dim] (either NULL: left out). */
    void (*kv_load)(const struct cpu_kv *kv, int64_t slot, float *ret_k, float *ret_v);
    /* Tokens t0 <= t < t1, kv heads g0 <= g < g1 (with all query heads of their groups). scratch: cpu_attn_scratch_bytes. */
    void (*attention)(const struct cpu_attn *a, int64_t t0, int64_t t1, int32_t g0, int32_t g1, void *scratch);
    /* The same in two steps, for few tokens that see many keys. parts [heads of g's group, cpu_attn_part_floats]: what keys
     * span * CPU_SPAN_TOKENS .. of `token` come to. Then y from the parts [n][heads of g's group, ..] of n spans in ascending
     * order, which must be all that the token sees; spans without a visible key may be among them. */
    void (*attention_part)(const struct cpu_attn *a, int64_t token, int32_t g, int64_t span, float *parts, void *scratch);
    void (*attention_join)(const struct cpu_attn *a, int64_t token, int32_t g, const float *parts, int64_t n);

    /* Tokens t0 <= t < t1 of one sequence and head, from m [d, e], which is left as it is then; y [T, heads, e]. */
    void (*outer_scan)(const struct cpu_outer *o, int64_t t0, int64_t t1, int64_t h, float *m, float *y);
    /* y[i] = bias[i] + sum_k w[k * ldw + i] rows[k][i], i < n, k ascending from 0 below K. bias may be NULL. */
    void (*conv_row)(const float *const *rows, const float *w, int64_t ldw, const float *bias, int64_t K, int64_t n, float *y);
    /* One row; w and bias [K] or NULL. */
    void (*layer_norm)(const float *x, const float *w, const float *bias, int64_t K, float eps, float *y);

    int attention_rows; /* query rows that share the reading of a block: so many at a time are best */
    bool bf16; /* bf16 weights meet narrow activations as bf16, too; else as floats */
};

/* The best level this machine has (cpuid and XCR0, or HWCAP) that is not above max_level. OWN: static. */
const struct cpu_kernels *cpu_kernels_select(enum cpu_level max_level);
/* How packed weights of one or two tokens' products are best fetched ahead on this machine (unpack.h): some encodings' lines, to one cache;
 * all encodings' to the first; or those of many bits to the second and later to the first, others as before. */
enum cpu_fetching { CPU_FETCHES_SOME, CPU_FETCHES_TO_FIRST, CPU_FETCHES_TWICE };
enum cpu_fetching cpu_fetching(void);
/* So much of what a thread's share of the next weight begins with is worth fetching before: what the loads in flight of a core cover. */
#define CPU_WARM_BYTES 8192
/* The level of that name, CPU_LEVEL_BEST for a name this architecture does not know and for NULL. */
enum cpu_level cpu_level_find(const char *name);

#endif
