/* kernel_bench.c - speed of the CPU backend's products and attention, one thread: GB/s of weights for one token and Gop/s for
 * many, medians over repeats, by 16-bit and by 8-bit activations, bf16 weights also by bf16 ones where the level has them. Built on
 * request only (target kernel_bench); usage:
 * kernel_bench [LEVEL [attention [tokens context] | rows cols [encodings]]]; `attention`: no products; encodings: only those whose id
 * stands in that list. */
#include "kernel_bench.h"

enum { REPEATS = 9, TOKENS = 512 };

static void bench_products(const struct cpu_kernels *k, enum cpu_format format, int64_t N, int64_t K, bool narrow)
{
    const struct cpu_encoding *e = cpu_encoding_at(format);
    int64_t row = K / e->block_cols * e->block_bytes, count = ((int64_t)90 << 20) / (row * N) + 1, bytes = row * N;
    uint8_t *data = memory(row * N * count), *scratch = memory(CPU_MATMUL_SCRATCH);
    float *y = memory(TOKENS * N * 4);
    struct cpu_act a = activations(k, TOKENS, K, narrow);
    struct cpu_matrix w = { .data = data, .rows = N, .cols = K, .row_bytes = row, .format = format };
    static const int tokens[] = { 1, 2, 4, 8, 32, TOKENS };
    double v[REPEATS];
    fill(data, row * N * count);
    if (e->quantised && k != cpu_kernels_select(CPU_LEVEL_SCALAR)) { /* as the backend does */
        bytes = cpu_packed_bytes(&w);
        uint8_t *packed = memory(bytes * count);
        for (int64_t i = 0; i < count; i++) {
            w.data = data + i * row * N;
            k->pack(&w, 0, (N + CPU_PACK_ROWS - 1) / CPU_PACK_ROWS, packed + i * bytes);
        }
        free(data);
        data = packed;
        w = cpu_packed_matrix(&w, packed);
    }
    const char *act = e->quantised ? (narrow ? "8 bits" : "16 bits") : narrow ? "bf16" : "";
    printf("%-14s %-7s %5lld x %-5lld", e->id, act, (long long)N, (long long)K);
    for (size_t c = 0; c < sizeof tokens / sizeof tokens[0]; c++) {
        int64_t T = tokens[c], matrices = T == 1 ? count : T < 32 ? 8 : 2;
        for (int r = 0; r < REPEATS; r++) {
            double start = now();
            for (int64_t i = 0; i < matrices; i++) {
                w.data = data + i % count * bytes;
                k->matmul(&w, &a, 0, T, 0, N, y, N, NULL, scratch);
            }
            v[r] = (now() - start) / (double)matrices;
        }
        double s = median(v, REPEATS);
        if (T == 1)
            printf("  T=1 %6.2f GB/s of the file, %6.2f read", (double)(row * N) / s * 1e-9, (double)bytes / s * 1e-9);
        else
            printf("  T=%d %6.1f", (int)T, 2.0 * (double)(N * K * T) / s * 1e-9);
    }
    printf(" Gop/s\n");
    free(data), free(scratch), free(y), forget(&a);
}

static void bench_quantize(const struct cpu_kernels *k, bool narrow)
{
    struct cpu_act a = activations(k, TOKENS, 576, narrow);
    double v[REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        double start = now();
        k->quantize(&a, 0, TOKENS);
        v[r] = now() - start;
    }
    printf("quantize to %d bits  %6.2f Gelement/s\n", narrow ? 8 : 16, TOKENS * 576 / median(v, REPEATS) * 1e-9);
    forget(&a);
}

/* T query tokens at the end of a context, 9 heads over 3 of 64: SmolLM2's shape. */
static void bench_attention(const struct cpu_kernels *k, int32_t T, int32_t context, enum cpu_kv_type type)
{
    static const char *const names[CPU_KV_TYPE_COUNT] = {
        [CPU_KV_F16] = "f16", [CPU_KV_F32] = "f32", [CPU_KV_BF16] = "bf16", [CPU_KV_Q8] = "q8",
    };
    enum { H = 9, G = 3, D = 64 };
    struct cpu_kv kv = { .kv_heads = G, .k_dim = D, .v_dim = D, .type = type };
    int32_t pages = (context + CPU_PAGE_TOKENS - 1) / CPU_PAGE_TOKENS, *table = memory(pages * 4), *at = memory(T * 8);
    float *q = memory((int64_t)T * H * D * 4), *y = memory((int64_t)T * H * D * 4);
    double v[REPEATS];
    kv.page_stride = cpu_kv_page_bytes(&kv);
    kv.pages = memory(kv.page_stride * pages);
    memset(kv.pages, 0x11, (size_t)(kv.page_stride * pages));
    for (int32_t i = 0; i < pages; i++)
        table[i] = i;
    for (int32_t t = 0; t < T; t++) {
        at[t] = context - T + t;
        at[T + t] = 0;
    }
    for (int64_t i = 0; i < (int64_t)T * H * D; i++)
        q[i] = (float)(i % 17 - 8) / 8.0f;
    struct cpu_attn a = { .q = q, .y = y, .ldq = H * D, .ldy = H * D, .kv = &kv, .block_table = table, .table_stride = pages,
                          .position = at, .seq_of_token = at + T, .context_len = &context, .n_heads = H, .scale = 0.125f,
                          .causal = true };
    void *scratch = memory(cpu_attn_scratch_bytes(D, D));
    int loops = T == 1 ? 50 : 1;
    for (int r = 0; r < REPEATS; r++) {
        double start = now();
        for (int i = 0; i < loops; i++)
            k->attention(&a, 0, T, 0, G, scratch);
        v[r] = (now() - start) / loops;
    }
    double s = median(v, REPEATS), pairs = (double)T * (context - T) + (double)T * (T + 1) / 2;
    printf("attention    T=%-4d context %-5d %-4s %8.1f us  %6.1f GFLOP/s\n", T, context, names[type], s * 1e6,
           pairs * H * D * 4 / s * 1e-9);
    free(kv.pages), free(table), free(at), free(q), free(y), free(scratch);
}

/* argv: what follows `attention`. */
static void bench_attentions(const struct cpu_kernels *k, int argc, char **argv)
{
    for (int type = 0; type < CPU_KV_TYPE_COUNT; type++) {
        if (argc == 2) {
            bench_attention(k, atoi(argv[0]), atoi(argv[1]), (enum cpu_kv_type)type);
            continue;
        }
        bench_attention(k, 512, 512, (enum cpu_kv_type)type);
        bench_attention(k, 1, 1024, (enum cpu_kv_type)type);
    }
}

int main(int argc, char **argv)
{
    const struct cpu_kernels *k = cpu_kernels_select(cpu_level_find(argc > 1 ? argv[1] : NULL));
    bool attention = argc > 2 && strcmp(argv[2], "attention") == 0;
    int64_t N = argc > 3 ? atoll(argv[2]) : 1536, K = argc > 3 ? atoll(argv[3]) : 576;
    printf("level %s, one thread\n", k->level);
    if (attention) {
        bench_attentions(k, argc - 3, argv + 3);
        return 0;
    }
    for (int f = CPU_F32; f < CPU_FORMAT_COUNT; f++) {
        const struct cpu_encoding *e = cpu_encoding_at((enum cpu_format)f);
        if (argc > 4 && strstr(argv[4], e->id) == NULL)
            continue;
        for (int narrow = 0; narrow < (e->quantised || (k->bf16 && e->format == CPU_BF16) ? 2 : 1); narrow++)
            bench_products(k, e->format, N, K / e->block_cols == 0 ? 256 : K - K % e->block_cols, narrow == 1);
    }
    if (argc > 4)
        return 0;
    bench_quantize(k, false);
    bench_quantize(k, true);
    bench_attentions(k, 0, NULL);
    return 0;
}
