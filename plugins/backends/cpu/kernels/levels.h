/* levels.h - the tables of the levels and the functions they are made of; private to this folder. */
#ifndef TENON_CPU_LEVELS_H
#define TENON_CPU_LEVELS_H

#include "kernels.h"

#define CPU_DECLARE_LEVEL(L)                                                                                              \
    extern const struct cpu_kernels cpu_kernels_##L;                                                                      \
    void cpu_quantize_##L(const struct cpu_act *a, int64_t t0, int64_t t1);                                               \
    void cpu_pack_##L(const struct cpu_matrix *m, int64_t g0, int64_t g1, uint8_t *packed);                               \
    void cpu_matmul_##L(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, \
                        float *y, int64_t ldy, const float *bias, void *scratch);                                         \
    void cpu_products_16_##L(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, \
                             float *y, int64_t ldy, const float *bias, void *scratch); /* vector levels only, as are the next two */ \
    void cpu_products_float_##L(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, \
                                float *y, int64_t ldy, const float *bias);                                                \
    void cpu_products_8_##L(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1, \
                            float *y, int64_t ldy, const float *bias, void *scratch);                                     \
    void cpu_rms_norm_##L(const float *x, const float *w, int64_t K, float eps, float *y);                                \
    void cpu_softmax_##L(const float *x, int64_t K, float scale, const float *sink, float *y);                            \
    void cpu_add_##L(const float *a, const float *b, int64_t n, float *y);                                                \
    void cpu_mul_##L(const float *a, const float *b, int64_t n, float *y);                                                \
    void cpu_affine_##L(const float *x, float scale, float shift, int64_t n, float *y);                                   \
    void cpu_softcap_##L(const float *x, float cap, int64_t n, float *y);                                                 \
    void cpu_unary_##L(enum cpu_unary kind, const float *x, int64_t n, float *y);                                         \
    void cpu_unary_mul_##L(enum cpu_unary kind, const float *g, const float *u, int64_t n, float *y);                     \
    void cpu_f32_to_f16_##L(const float *x, int64_t n, uint16_t *y);                                                      \
    void cpu_f16_to_f32_##L(const uint16_t *x, int64_t n, float *y);                                                      \
    void cpu_f32_to_bf16_##L(const float *x, int64_t n, uint16_t *y);                                                     \
    void cpu_bf16_to_f32_##L(const uint16_t *x, int64_t n, float *y);                                                     \
    void cpu_rope_##L(const struct cpu_rope *r, const float *cos, const float *sin, int32_t heads, int32_t dim, float *x); \
    void cpu_kv_store_##L(const struct cpu_kv *kv, const float *k, const float *v, int64_t slot, int32_t g0, int32_t g1);   \
    void cpu_kv_load_##L(const struct cpu_kv *kv, int64_t slot, float *ret_k, float *ret_v);                              \
    void cpu_attention_##L(const struct cpu_attn *a, int64_t t0, int64_t t1, int32_t g0, int32_t g1, void *scratch); \
    void cpu_attention_part_##L(const struct cpu_attn *a, int64_t token, int32_t g, int64_t span, float *parts, void *scratch); \
    void cpu_attention_join_##L(const struct cpu_attn *a, int64_t token, int32_t g, const float *parts, int64_t n); \
    void cpu_outer_scan_##L(const struct cpu_outer *o, int64_t t0, int64_t t1, int64_t h, float *m, float *y);             \
    void cpu_conv_row_##L(const float *const *rows, const float *w, int64_t ldw, const float *bias, int64_t K, int64_t n, float *y); \
    void cpu_layer_norm_##L(const float *x, const float *w, const float *bias, int64_t K, float eps, float *y);

CPU_DECLARE_LEVEL(scalar)
CPU_DECLARE_LEVEL(avx2)
CPU_DECLARE_LEVEL(avx512)
CPU_DECLARE_LEVEL(avx512_bf16)
CPU_DECLARE_LEVEL(amx)
CPU_DECLARE_LEVEL(neon)
CPU_DECLARE_LEVEL(dotprod)
CPU_DECLARE_LEVEL(i8mm)

/* False, and nothing done, where the encoding is none of those that are looked up, or the tokens are many (lookups.h). */
bool cpu_lookups_8_avx512_bf16(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                               float *y, int64_t ldy, const float *bias);
bool cpu_lookups_16_avx512_bf16(const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                                float *y, int64_t ldy, const float *bias);

/* The table of level P: its own products, by integers and packed weights of level Q, its attention of level A by
 * ROWS, and all else of level L; the one place that
 * names every member. */
#define CPU_DEFINE_LEVEL_OF(P, Q, A, ROWS, L, BF16)                                                                     \
    const struct cpu_kernels cpu_kernels_##P = {                                                                        \
        .level = #P, .bf16 = BF16, .quantize = cpu_quantize_##Q, .pack = cpu_pack_##Q, .matmul = cpu_matmul_##P,        \
        .rms_norm = cpu_rms_norm_##L,                                                                                   \
        .softmax = cpu_softmax_##L, .add = cpu_add_##L, .mul = cpu_mul_##L, .affine = cpu_affine_##L,                   \
        .softcap = cpu_softcap_##L, .unary = cpu_unary_##L, .unary_mul = cpu_unary_mul_##L,                             \
        .f32_to_f16 = cpu_f32_to_f16_##L, .f16_to_f32 = cpu_f16_to_f32_##L, .f32_to_bf16 = cpu_f32_to_bf16_##L,         \
        .bf16_to_f32 = cpu_bf16_to_f32_##L, .rope = cpu_rope_##L, .kv_store = cpu_kv_store_##L,                         \
        .kv_load = cpu_kv_load_##L, .attention = cpu_attention_##A, .attention_part = cpu_attention_part_##A,           \
        .attention_join = cpu_attention_join_##A, .attention_rows = ROWS, .outer_scan = cpu_outer_scan_##L,             \
        .conv_row = cpu_conv_row_##L, .layer_norm = cpu_layer_norm_##L,                                                 \
    };
#define CPU_DEFINE_LEVEL_WITH(P, L) CPU_DEFINE_LEVEL_OF(P, P, L, CPU_ATTN_ROWS, L, false)
#define CPU_DEFINE_LEVEL(L) CPU_DEFINE_LEVEL_OF(L, L, L, CPU_ATTN_ROWS, L, false)

/* Any unary function of one value by the C library: the scalar level, and what no vector level has a formula for. */
float cpu_unary_one(enum cpu_unary kind, float x);

#endif
