/* test_kernel_matmul.c - weights decoded and multiplied: every level against exact arithmetic, and against itself to the bit
 * whatever the ranges, the batch and the alignment. */
#include "kernel_test.h"

#include "plugins/backends/cpu/kernels/quants.h"
#include "plugins/quantizers/checkpoints/checkpoints.h"
#include "quantizer.h"

#include <float.h>

#include <tenon/reference.h>

static const struct tenon_encoding *described(const char *digest)
{
    static const struct tenon_encoding *const others[] = { &cp_affine_int4_b32, &cp_affine_int4_b128, &cp_affine_int8_b32 };
    const struct tenon_quantizer *q = quantizer(); /* describes most of these encodings */
    for (uint32_t i = 0; i < q->n_encodings; i++)
        if (strcmp(q->encodings[i]->digest, digest) == 0)
            return q->encodings[i];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i]->digest, digest) == 0)
            return others[i];
    return NULL;
}

static int64_t row_bytes(enum cpu_format f, int64_t K)
{
    return K / cpu_encoding_at(f)->block_cols * cpu_encoding_at(f)->block_bytes;
}

/* ---- decoding */

START_TEST(decoding_is_the_program)
{
    enum cpu_format f = (enum cpu_format)_i;
    const struct cpu_encoding *mine = cpu_encoding_at(f);
    const struct tenon_encoding *e = described(mine->digest);
    int64_t K = mine->block_cols * (mine->block_cols > 32 ? 4 : 32), rows = 16, bytes = row_bytes(f, K);
    uint8_t *data = aligned(rows * bytes);
    const void *planes[] = { data };
    float *want = aligned(rows * K * 4), *got = aligned(K * 4);
    ENSURE(e != NULL, "no quantizer describes %s (%s)", mine->id, mine->digest);
    ck_assert_str_eq(e->id, mine->id);
    ck_assert_ptr_eq(cpu_encoding_find(mine->digest), mine);
    ck_assert_int_eq((int)e->tile_cols, mine->block_cols);
    ck_assert_int_eq((int)e->planes[0].tile_bytes, mine->block_bytes);
    for (int64_t i = 0; i < rows * bytes; i++)
        data[i] = (uint8_t)rng();
    ck_assert_int_eq(tenon_ref_decode_rows(e, planes, (uint64_t)rows, (uint64_t)K, 0, (uint64_t)rows, want), 0);
    for (int64_t r = 0; r < rows; r++) {
        cpu_decode_row(f, data + r * bytes, K, got);
        for (int64_t k = 0; k < K; k++)
            ENSURE(same(got[k], want[r * K + k]), "%s [%d,%d]: %a, program %a", mine->id, (int)r, (int)k, got[k],
                          want[r * K + k]);
    }
    free(data), free(want), free(got);
}
END_TEST

START_TEST(unknown_digest_is_nobodys)
{
    ck_assert_ptr_null(cpu_encoding_find("0000000000000000000000000000000000000000000000000000000000000000"));
    ck_assert_ptr_null(cpu_encoding_find(""));
}
END_TEST

/* ---- a product and its truth */

struct product {
    struct cpu_matrix w;
    struct guarded memory;
    struct cpu_act a;
    float *x;    /* [T, K] */
    float *bias; /* [N] */
    float *y;    /* [T, N] */
    struct guarded quants;
    void *scratch;
    int64_t T, N, K;
};

static uint16_t random_half(void)
{
    static const uint16_t odd[] = { 0, 0x8000, 1, 0x83ff, 0x03ff, 0x0400 }; /* zeros, denormals */
    if (rng_below(16) == 0)
        return odd[rng_below(6)];
    return (uint16_t)((rng() & 0x83ffu) | (uint32_t)(8 + rng_below(7)) << 10);
}

static void put_half(uint8_t *p)
{
    uint16_t h = random_half();
    memcpy(p, &h, 2);
}

/* The upper bits of a float and a zero point. */
static void put_affine(uint8_t *p)
{
    float d = rng_below(16) == 0 ? 0x1p-130f : rng_float();
    uint32_t head = (bits_of(d) & ~511u) | (rng() & 511u);
    memcpy(p, &head, 4);
}

/* Finite scales where a quantised format has them. */
static void put_scales(enum cpu_format f, uint8_t *p)
{
    switch (f) {
    case CPU_Q6_K: put_half(p + 208); break;
    case CPU_Q3_K: put_half(p + 108); break;
    case CPU_Q2_K: put_half(p + 80); put_half(p + 82); break;
    case CPU_Q4_1: case CPU_Q5_1: case CPU_Q4_K: case CPU_Q5_K: put_half(p + 2); put_half(p); break;
    case CPU_TQ1_0: put_half(p + 52); break;
    case CPU_TQ2_0: put_half(p + 64); break;
    case CPU_AFFINE4_B32: case CPU_AFFINE4_B128: case CPU_AFFINE8_B32: put_affine(p); break;
    case CPU_NVFP4: break; /* none is anything else */
    case CPU_IQ1_M: /* in the upper four bits of each 16 */
        for (int k = 0, d = random_half(); k < 4; k++)
            p[49 + 2 * k] = (uint8_t)((p[49 + 2 * k] & 15) | (d >> 4 * k & 15) << 4);
        break;
    case CPU_MXFP4: p[0] = (uint8_t)(rng_below(16) == 0 ? rng_below(3) : 110 + rng_below(20)); break; /* denormals too */
    default: put_half(p); break;
    }
}

/* Random bytes with finite scales. */
static void random_block(enum cpu_format f, uint8_t *p)
{
    float x = rng_float();
    uint32_t upper = bits_of(x) >> 16;
    for (int i = 0; i < cpu_encoding_at(f)->block_bytes; i++)
        p[i] = (uint8_t)rng();
    switch (f) {
    case CPU_F32: memcpy(p, &x, 4); break;
    case CPU_F16: put_half(p); break;
    case CPU_BF16: memcpy(p, &upper, 2); break;
    default: put_scales(f, p); break;
    }
}

static void begin(struct product *p, enum cpu_format f, int64_t T, int64_t N, int64_t K)
{
    const struct cpu_encoding *e = cpu_encoding_at(f);
    *p = (struct product){ .T = T, .N = N, .K = K };
    p->w = (struct cpu_matrix){ .rows = N, .cols = K, .row_bytes = row_bytes(f, K), .format = f };
    p->memory = guarded(N * p->w.row_bytes);
    p->w.data = p->memory.p;
    for (int64_t at = 0; at < N * p->w.row_bytes; at += e->block_bytes)
        random_block(f, p->memory.p + at);
    p->x = aligned(T * K * 4);
    p->bias = aligned(N * 4);
    p->y = aligned(T * N * 4);
    p->scratch = aligned(CPU_MATMUL_SCRATCH);
    p->quants = guarded(cpu_act_bytes(T, K));
    for (int64_t i = 0; i < T * K; i++)
        p->x[i] = rng_float() * (rng_below(50) == 0 ? 30.0f : 1.0f);
    for (int64_t i = 0; i < N; i++)
        p->bias[i] = rng_float();
    p->a = (struct cpu_act){ .x = p->x, .ldx = K, .narrow = rng_below(2) == 1 };
    cpu_act_bind(&p->a, p->quants.p, T, K);
}

static void end(struct product *p)
{
    unguard(p->memory), unguard(p->quants);
    free(p->x), free(p->bias), free(p->y), free(p->scratch);
}

static void compute(struct product *p, const struct cpu_kernels *k)
{
    const int64_t cut = rng_below(p->T + 1); /* threads make rows ready by shares */
    if (cpu_encoding_at(p->w.format)->quantised) {
        k->quantize(&p->a, cut, p->T);
        k->quantize(&p->a, 0, cut);
    }
    k->matmul(&p->w, &p->a, 0, p->T, 0, p->N, p->y, p->N, p->bias, p->scratch);
}

/* Activation i of token t as products by floats take it: by levels that have it, narrow ones are bf16 where they meet such weights. */
static double float_act_at(const struct product *p, const struct cpu_kernels *k, int64_t t, int64_t i)
{
    float x = p->x[t * p->K + i];
    uint16_t rounded;
    if (!k->bf16 || p->w.format != CPU_BF16 || !p->a.narrow)
        return (double)x;
    cpu_kernels_select(CPU_LEVEL_SCALAR)->f32_to_bf16(&x, 1, &rounded);
    cpu_kernels_select(CPU_LEVEL_SCALAR)->bf16_to_f32(&rounded, 1, &x);
    return (double)x;
}

/* The exact value on the operands that the kernel is given, and the sum of magnitudes its rounding errors scale with. */
static double exact(const struct product *p, const struct cpu_kernels *level, int64_t t, int64_t n, double *ret_size)
{
    const uint8_t *row = p->w.data + n * p->w.row_bytes;
    double y = (double)p->bias[n], size = fabs(y);
    if (cpu_encoding_at(p->w.format)->quantised) {
        struct cpu_quant_block block;
        for (int64_t b = 0; b < p->K / 32; b++) {
            double d = (double)p->a.d[t * (p->K / 32) + b];
            cpu_quant_block(p->w.format, row, b, &block);
            for (int i = 0; i < 32; i++) {
                double q = d * act_at(&p->a, t, b, i);
                double product = (double)block.scale[i >> 4] * block.factor[i >> 4] * block.q[i];
                y += q * (product + (double)block.min[i >> 4]);
                size += fabs(q) * (fabs(product) + fabs((double)block.min[i >> 4]));
            }
        }
    } else {
        float *w = aligned(p->K * 4);
        cpu_decode_row(p->w.format, row, p->K, w);
        for (int64_t k = 0; k < p->K; k++) {
            y += (double)w[k] * float_act_at(p, level, t, k);
            size += fabs((double)w[k] * float_act_at(p, level, t, k));
        }
        free(w);
    }
    *ret_size = size;
    return y;
}

static void check_exact(struct product *p, const struct cpu_kernels *k)
{
    double links = cpu_encoding_at(p->w.format)->quantised ? (double)(p->K / 8) + 8 : (double)p->K + 8, size;
    compute(p, k);
    for (int64_t t = 0; t < p->T; t++)
        for (int64_t n = 0; n < p->N; n++) {
            double want = exact(p, k, t, n, &size), got = (double)p->y[t * p->N + n];
            ENSURE(fabs(got - want) <= links * 0x1p-24 * size + 1e-30, "%s %s, %d bits, T=%d N=%d K=%d [%d,%d]: %.9g, exactly %.9g",
                          k->level, cpu_encoding_at(p->w.format)->id, p->a.narrow ? 8 : 16, (int)p->T, (int)p->N, (int)p->K, (int)t, (int)n, got, want);
        }
}

/* Shapes: few and odd rows; columns within one chunk, over several and, for floats, of any length. */
static const int64_t rows_tried[] = { 1, 5, 17, 32, 33, 70 };
static const int64_t tokens_tried[] = { 1, 2, 3, 4, 5, 6, 7, 10, 11, 23, 33, 47, 64 };
static const int64_t floats_k[] = { 1, 5, 17, 31, 64, 577 };
static const int64_t blocks_k[] = { 32, 64, 96, 576, 1056, 2080 };
static const int64_t supers_k[] = { 256, 512, 768, 1024, 1280, 2304 };

static int64_t columns(enum cpu_format f, int i)
{
    int32_t of_block = cpu_encoding_at(f)->block_cols;
    return of_block == 1 ? floats_k[i] : of_block == 32 ? blocks_k[i] : supers_k[i];
}

START_TEST(products_are_right)
{
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            if (left_out())
                continue;
            begin(&p, f, tokens_tried[rng_below(sizeof tokens_tried / sizeof *tokens_tried)], rows_tried[i], columns(f, j));
            FOR_PRODUCTS(k, f)
                check_exact(&p, k);
            end(&p);
        }
}
END_TEST

/* Quants and activations all at one end of their range: sums in 16 bits would saturate here if they ever did. */
START_TEST(extreme_quants_do_not_saturate)
{
    static const uint8_t bytes[] = { 0xff, 0x80, 0x7f, 0x00 };
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    const struct cpu_encoding *e = cpu_encoding_at(f);
    static const int64_t tokens[] = { 2, 7, 32 }; /* straight from the file, by panels, by tiles */
    const int ways = strcmp(cpu_kernels_select(CPU_LEVEL_BEST)->level, "amx") == 0 ? 3 : 2;
    for (int i = 0; i < 16 * ways; i++) {
        const bool large = i < 32 && !is_emulated(); /* what is half as high and long has every case too */
        begin(&p, f, tokens[i / 16], large ? 33 : 17, columns(f, large ? 3 : 1));
        p.a.narrow = i / 4 % 2 == 1;
        cpu_act_bind(&p.a, p.quants.p, p.T, p.K);
        for (int64_t at = 0; at < p.N * p.w.row_bytes; at += e->block_bytes) {
            memset(p.memory.p + at, bytes[i % 4], (size_t)e->block_bytes);
            put_scales(f, p.memory.p + at);
        }
        for (int64_t j = 0; j < p.T * p.K; j++)
            p.x[j] = i / 8 % 2 == 0 ? 1.0f : -1.0f;
        FOR_LEVELS(k)
            check_exact(&p, k);
        end(&p);
    }
}
END_TEST

/* ---- the law: a row's bits depend on nothing but the row */

static void check_cuts(struct product *p, const struct cpu_kernels *k, int tries)
{
    float *part = aligned(p->T * p->N * 4);
    compute(p, k);
    for (int i = 0; i < tries; i++) {
        int64_t t0 = rng_below(p->T), t1 = t0 + 1 + rng_below(p->T - t0), n0 = rng_below(p->N), n1 = n0 + 1 + rng_below(p->N - n0);
        memset(part, 0xa5, (size_t)(p->T * p->N * 4));
        k->matmul(&p->w, &p->a, t0, t1, n0, n1, part, p->N, p->bias, p->scratch);
        for (int64_t t = 0; t < p->T; t++)
            for (int64_t n = 0; n < p->N; n++) {
                bool inside = t >= t0 && t < t1 && n >= n0 && n < n1;
                uint32_t want = inside ? bits_of(p->y[t * p->N + n]) : 0xa5a5a5a5u;
                ENSURE(bits_of(part[t * p->N + n]) == want, "%s %s T=%d N=%d K=%d, tokens %d..%d rows %d..%d: [%d,%d] %s",
                              k->level, cpu_encoding_at(p->w.format)->id, (int)p->T, (int)p->N, (int)p->K, (int)t0, (int)t1,
                              (int)n0, (int)n1, (int)t, (int)n, inside ? "differs" : "was written");
            }
    }
    free(part);
}

/* The same product elsewhere: weights at an odd address, one token alone in its own memory, rows of x apart. */
static void check_moved(struct product *p, const struct cpu_kernels *k)
{
    int64_t t = rng_below(p->T), bytes = p->N * p->w.row_bytes;
    uint8_t *data = aligned(bytes + 2);
    float *x = aligned((p->K + 1) * 4), *y = aligned(p->N * 4);
    void *quants = aligned(cpu_act_bytes(1, p->K));
    struct cpu_matrix w = p->w;
    struct cpu_act a = { .x = x + 1, .ldx = p->K, .narrow = p->a.narrow };
    memcpy(data + 2, p->w.data, (size_t)bytes);
    memcpy(x + 1, p->x + t * p->K, (size_t)p->K * 4);
    w.data = data + 2;
    cpu_act_bind(&a, quants, 1, p->K);
    if (cpu_encoding_at(w.format)->quantised)
        k->quantize(&a, 0, 1);
    k->matmul(&w, &a, 0, 1, 0, p->N, y, p->N, p->bias, p->scratch);
    for (int64_t n = 0; n < p->N; n++)
        ENSURE(bits_of(y[n]) == bits_of(p->y[t * p->N + n]), "%s %s K=%d: row %d of token %d alone: %a, in the batch %a", k->level,
                      cpu_encoding_at(w.format)->id, (int)p->K, (int)n, (int)t, y[n], p->y[t * p->N + n]);
    free(data), free(x), free(y), free(quants);
}

/* Packed, a product has the bits it has in the file's order; and a row decodes to the same floats. Guarded: nothing behind is read. */
static void check_packed(struct product *p, const struct cpu_kernels *k)
{
    int64_t groups = (p->N + CPU_PACK_ROWS - 1) / CPU_PACK_ROWS, cut = rng_below(groups + 1);
    struct product packed = *p;
    float *want = aligned(p->K * 4), *got = aligned(p->K * 4);
    packed.memory = guarded(cpu_packed_bytes(&p->w));
    k->pack(&p->w, cut, groups, packed.memory.p);
    k->pack(&p->w, 0, cut, packed.memory.p);
    packed.w = cpu_packed_matrix(&p->w, packed.memory.p);
    packed.y = aligned(p->T * p->N * 4);
    compute(p, k);
    compute(&packed, k);
    for (int64_t j = 0; j < p->T * p->N; j++)
        ENSURE(bits_of(p->y[j]) == bits_of(packed.y[j]), "%s %s T=%d N=%d K=%d packed: [%d] %a, unpacked %a", k->level,
               cpu_encoding_at(p->w.format)->id, (int)p->T, (int)p->N, (int)p->K, (int)j, (double)packed.y[j], (double)p->y[j]);
    check_cuts(&packed, k, 6);
    for (int64_t n = 0; n < p->N; n++) {
        cpu_matrix_row(&p->w, n, want);
        cpu_matrix_row(&packed.w, n, got);
        ENSURE(memcmp(want, got, (size_t)p->K * 4) == 0, "%s %s: row %d decodes differently", k->level,
               cpu_encoding_at(p->w.format)->id, (int)n);
    }
    unguard(packed.memory);
    free(packed.y), free(want), free(got);
}

START_TEST(packed_or_not_the_bits_are_the_same)
{
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    for (int i = 0; i < 12; i++) {
        begin(&p, f, tokens_tried[rng_below(sizeof tokens_tried / sizeof *tokens_tried)], i < 6 ? rows_tried[i] : 1 + rng_below(60), columns(f, i % 6));
        FOR_PRODUCTS(k, f)
            if (k != cpu_kernels_select(CPU_LEVEL_SCALAR))
                check_packed(&p, k);
        end(&p);
    }
}
END_TEST

/* Levels above this one have other products of its integers: the bits are its own. */
#if defined(__aarch64__)
#define LEVEL_BELOW CPU_LEVEL_NEON
#else
#define LEVEL_BELOW CPU_LEVEL_AVX512
#endif

static void check_levels_above(struct product *p, const float *want)
{
    for (int level = LEVEL_BELOW + 1; level <= CPU_LEVEL_BEST && level_at(level) != NULL; level++) {
        if (p->a.narrow && p->w.format == CPU_BF16 && level_at(level)->bf16)
            continue; /* by bf16 */
        compute(p, level_at(level));
        for (int64_t j = 0; j < p->T * p->N; j++)
            ENSURE(bits_of(want[j]) == bits_of(p->y[j]), "%s %s T=%d N=%d K=%d: [%d] %a, by %s %a", level_at(level)->level,
                   cpu_encoding_at(p->w.format)->id, (int)p->T, (int)p->N, (int)p->K, (int)j, (double)p->y[j],
                   level_at(LEVEL_BELOW)->level, (double)want[j]);
    }
}

/* Of few tokens most, for which there are more ways; packed too, whatever the encoding. */
START_TEST(other_products_have_the_bits_of_the_level_below)
{
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    const struct cpu_kernels *below = level_at(LEVEL_BELOW);
    for (int i = 0; below != NULL && i < 26; i++) {
        begin(&p, f, tokens_tried[i % 13], rows_tried[i % 6], columns(f, i / 5 % 6));
        float *want = aligned(p.T * p.N * 4);
        struct guarded packed = guarded(cpu_packed_bytes(&p.w));
        compute(&p, below);
        memcpy(want, p.y, (size_t)(p.T * p.N * 4));
        check_levels_above(&p, want);
        if (cpu_encoding_at(f)->quantised) {
            below->pack(&p.w, 0, (p.N + CPU_PACK_ROWS - 1) / CPU_PACK_ROWS, packed.p);
            p.w = cpu_packed_matrix(&p.w, packed.p);
            check_levels_above(&p, want);
        }
        unguard(packed);
        free(want);
        end(&p);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_the_batch)
{
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    for (int i = 0; i < 12; i++) {
        if (left_out())
            continue;
        begin(&p, f, tokens_tried[rng_below(sizeof tokens_tried / sizeof *tokens_tried)], i < 6 ? rows_tried[i] : 1 + rng_below(60), columns(f, i % 6));
        FOR_PRODUCTS(k, f) {
            check_cuts(&p, k, 6);
            check_moved(&p, k);
        }
        end(&p);
    }
}
END_TEST

/* ---- bad values */

START_TEST(bad_activations_spoil_their_row_only)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    begin(&p, f, 7, 20, columns(f, 3));
    for (int i = 0; i < 3; i++)
        FOR_PRODUCTS(k, f) {
            int64_t t = rng_below(p.T), at = t * p.K + rng_below(p.K);
            float kept = p.x[at], *before = aligned(p.T * p.N * 4);
            compute(&p, k);
            memcpy(before, p.y, (size_t)(p.T * p.N * 4));
            p.x[at] = bad[i];
            compute(&p, k);
            for (int64_t j = 0; j < p.T * p.N; j++)
                if (j / p.N == t)
                    ENSURE(!isfinite(p.y[j]), "%s: %g gave %g", k->level, (double)bad[i], (double)p.y[j]);
                else
                    ENSURE(bits_of(p.y[j]) == bits_of(before[j]), "%s: another row changed", k->level);
            p.x[at] = kept;
            free(before);
        }
    end(&p);
}
END_TEST

/* A scale that is NaN, infinity or 0 in one block of one row: that row only, at every level, whatever else the block holds. */
START_TEST(bad_scales_spoil_their_row_only)
{
    static const uint16_t bad[] = { 0x7e00, 0x7c00, 0xfc00, 0x0000 };
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    int64_t bytes = cpu_encoding_at(f)->block_bytes;
    begin(&p, f, 5, 37, columns(f, 3));
    for (int i = 0; i < 4; i++)
        FOR_LEVELS(k) {
            int64_t n = rng_below(p.N), blocks = p.w.row_bytes / bytes;
            uint8_t *block = p.memory.p + n * p.w.row_bytes + rng_below(blocks) * bytes, kept[256];
            float *before = aligned(p.T * p.N * 4);
            compute(&p, k);
            memcpy(before, p.y, (size_t)(p.T * p.N * 4));
            memcpy(kept, block, (size_t)bytes);
            for (int64_t at = 0; at + 2 <= bytes; at += 2) /* scales stand at even places; quants may be anything */
                memcpy(block + at, &bad[i], 2);
            compute(&p, k);
            for (int64_t j = 0; j < p.T * p.N; j++)
                if (j % p.N != n)
                    ENSURE(bits_of(p.y[j]) == bits_of(before[j]), "%s: another row changed", k->level);
            for (int64_t t = 0; t < p.T; t++) {
                double size, want = exact(&p, k, t, n, &size), got = (double)p.y[t * p.N + n];
                if (isfinite(want) && size > (double)FLT_MAX)
                    continue; /* sums leave the floats' range on the way, or do not */
                ENSURE(isfinite(want) ? fabs(got - want) <= (double)(p.K / 8 + 8) * 0x1p-24 * size + 1e-30 : !isfinite(got),
                       "%s %s: %g, exactly %g", k->level, cpu_encoding_at(f)->id, got, want);
            }
            memcpy(block, kept, (size_t)bytes);
            free(before);
        }
    end(&p);
}
END_TEST

START_TEST(zero_and_tiny_rows)
{
    struct product p;
    enum cpu_format f = (enum cpu_format)_i;
    begin(&p, f, 4, 17, columns(f, 3));
    for (int64_t k = 0; k < p.K; k++) {
        p.x[k] = 0.0f;
        p.x[p.K + k] = -0.0f;
        p.x[2 * p.K + k] = 0x1p-140f; /* denormal */
        p.x[3 * p.K + k] = k % 3 == 0 ? 0x1p-99f : 0.0f;
    }
    FOR_LEVELS(k) {
        compute(&p, k);
        for (int64_t n = 0; n < p.N; n++) {
            ck_assert_float_eq(p.y[n], p.bias[n]);
            ck_assert_float_eq(p.y[p.N + n], p.bias[n]);
            for (int t = 2; t < 4; t++)
                ck_assert_float_eq_tol(p.y[t * p.N + n], p.bias[n], 1e-20f);
        }
    }
    end(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_matmul");
    TCase *tc = tcase_create("products");
    seed_tests("kernel_matmul");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, decoding_is_the_program, 0, CPU_FORMAT_COUNT);
    tcase_add_test(tc, unknown_digest_is_nobodys);
    tcase_add_loop_test(tc, products_are_right, 0, CPU_FORMAT_COUNT);
    tcase_add_loop_test(tc, extreme_quants_do_not_saturate, CPU_Q4_0, CPU_FORMAT_COUNT);
    tcase_add_loop_test(tc, other_products_have_the_bits_of_the_level_below, 0, CPU_FORMAT_COUNT);
    tcase_add_loop_test(tc, bits_do_not_depend_on_the_batch, 0, CPU_FORMAT_COUNT);
    tcase_add_loop_test(tc, packed_or_not_the_bits_are_the_same, CPU_Q4_0, CPU_FORMAT_COUNT);
    tcase_add_loop_test(tc, bad_activations_spoil_their_row_only, 0, CPU_FORMAT_COUNT);
    tcase_add_loop_test(tc, bad_scales_spoil_their_row_only, CPU_Q4_0, CPU_FORMAT_COUNT);
    tcase_add_loop_test(tc, zero_and_tiny_rows, 0, CPU_FORMAT_COUNT);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
