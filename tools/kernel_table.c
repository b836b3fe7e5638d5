/* kernel_table.c - the speed of the CPU backend's products by encoding, as a table: decode from memory, prefill, and the packing that
 * comes before, beside what the machine reads at best, all in one run.
 *
 * Threads work as the backend's do: each its share of the rows of every matrix, weights packed and in huge pages, more of them than
 * any cache holds. Decode is one token; its bytes are counted as the file has them and as they are read. Of many repeats
 * the time that a quarter of them stayed below: neighbours on the machine only slow down. The roof is measured before and after, the
 * better counts. Built on request only (target kernel_table); usage:
 * kernel_table [LEVEL [THREADS [MIB [encodings]]]]; MIB: of weights, 256 by default: 1 shows what caches give; encodings: only those whose
 * id stands in that list; Q8_0, which the others are compared with, is always there. */
#include "kernel_bench.h"

#include <pthread.h>

enum { REPEATS = 41, N = 2048, K = 2048, TOKENS = 512, MOST_THREADS = 64 };
#define MOST_BYTES ((int64_t)256 << 20) /* of packed weights: more than any cache */

/* What all threads do at the same time. */
struct team {
    int threads;
    pthread_barrier_t start, end;
    void (*work)(struct team *t, int i);
    const struct cpu_kernels *k;
    struct cpu_matrix file, packed; /* of the first matrix; the others are copies of it */
    int64_t matrices, matrix_bytes;
    int64_t weight_bytes;           /* about as many, packed */
    int64_t passes;                 /* over them, so that threads meet seldom */
    struct cpu_act a;
    int64_t tokens;
    float *y;                       /* [tokens, N] */
    const uint8_t *read;            /* [weight_bytes] */
    void *scratch[MOST_THREADS];
    uint64_t sum[MOST_THREADS];     /* so that the reading is not dropped */
};

struct member {
    struct team *team;
    int i;
};

static void *member_main(void *arg)
{
    const struct member *m = arg;
    for (;;) {
        pthread_barrier_wait(&m->team->start);
        if (m->team->work == NULL)
            return NULL;
        m->team->work(m->team, m->i);
        pthread_barrier_wait(&m->team->end);
    }
}

/* Seconds of the work by all threads: a quarter of the repeats took less. */
static double seconds(struct team *t, void (*work)(struct team *, int), int repeats)
{
    double v[REPEATS];
    t->work = work;
    for (int r = 0; r < repeats; r++) {
        pthread_barrier_wait(&t->start);
        double start = now();
        work(t, 0);
        pthread_barrier_wait(&t->end);
        v[r] = now() - start;
    }
    qsort(v, (size_t)repeats, sizeof *v, by_value);
    return v[repeats / 4];
}

typedef uint64_t line __attribute__((vector_size(64)));

static void read_share(struct team *t, int i)
{
    line s[4] = { 0 };
    const line *p = (const void *)t->read;
    int64_t lines = t->weight_bytes / 64, end = lines * (i + 1) / t->threads;
    for (int64_t pass = 0; pass < t->passes; pass++)
        for (int64_t at = lines * i / t->threads; at + 4 <= end; at += 4)
            for (int j = 0; j < 4; j++)
                s[j] += p[at + j];
    t->sum[i] = (s[0] + s[1] + s[2] + s[3])[0];
}

static double roof(struct team *t)
{
    uint8_t *p = memory(t->weight_bytes);
    memset(p, 1, t->weight_bytes);
    t->read = p;
    double s = seconds(t, read_share, REPEATS) / (double)t->passes;
    free(p);
    return (double)t->weight_bytes / s * 1e-9;
}

static void pack_share(struct team *t, int i)
{
    int64_t groups = N / CPU_PACK_ROWS;
    t->k->pack(&t->file, groups * i / t->threads, groups * (i + 1) / t->threads, (uint8_t *)(uintptr_t)t->packed.data);
}

static void multiply_share(struct team *t, int i)
{
    struct cpu_matrix w = t->packed;
    int64_t panels = N / CPU_PANEL_ROWS, from = panels * i / t->threads, to = panels * (i + 1) / t->threads;
    for (int64_t m = 0; m < (t->tokens == 1 ? t->matrices * t->passes : 1); m++) {
        w.data = t->packed.data + m % t->matrices * t->matrix_bytes;
        t->k->matmul(&w, &t->a, 0, t->tokens, from * CPU_PANEL_ROWS, to * CPU_PANEL_ROWS, t->y, N, NULL, t->scratch[i]);
    }
}

struct figures {
    double bits, packed_bits;  /* of a weight */
    double pack;               /* GB/s of the file */
    double file[2], read[2];   /* decode, GB/s, by 16 and 8 bits */
    double prefill[2];         /* Gop/s */
};

static void multiply(struct team *t, bool narrow, struct figures *ret)
{
    t->a = activations(t->k, TOKENS, K, narrow);
    t->tokens = 1;
    double s = seconds(t, multiply_share, REPEATS) / (double)(t->matrices * t->passes);
    ret->file[narrow] = (double)(t->file.row_bytes * N) / s * 1e-9;
    ret->read[narrow] = (double)t->matrix_bytes / s * 1e-9;
    t->tokens = TOKENS;
    ret->prefill[narrow] = 2.0 * N * K * TOKENS / seconds(t, multiply_share, REPEATS) * 1e-9;
    forget(&t->a);
}

static struct figures measure(struct team *t, const struct cpu_encoding *e)
{
    struct figures f = { .bits = 8.0 * e->block_bytes / e->block_cols };
    uint8_t *file, *packed;
    t->file = (struct cpu_matrix){ .rows = N, .cols = K, .row_bytes = K / e->block_cols * e->block_bytes, .format = e->format };
    t->matrix_bytes = cpu_packed_bytes(&t->file);
    t->matrices = (t->weight_bytes + t->matrix_bytes - 1) / t->matrix_bytes;
    file = memory(t->file.row_bytes * N);
    packed = memory(t->matrices * t->matrix_bytes);
    memset(packed, 0, (size_t)(t->matrices * t->matrix_bytes));
    fill(file, t->file.row_bytes * N);
    t->file.data = file;
    t->packed = cpu_packed_matrix(&t->file, packed);
    f.packed_bits = 8.0 * (double)t->packed.row_bytes / K;
    f.pack = (double)(t->file.row_bytes * N) / seconds(t, pack_share, 3) * 1e-9;
    for (int64_t i = 1; i < t->matrices; i++)
        memcpy(packed + i * t->matrix_bytes, packed, (size_t)t->matrix_bytes);
    multiply(t, false, &f);
    multiply(t, true, &f);
    free(file), free(packed);
    return f;
}

static void print_row(const struct cpu_encoding *e, const struct figures *f, const struct figures *q8, double best)
{
    printf("| %s | %.2f | %.2f | %.1f |", e->id, f->bits, f->packed_bits, f->pack);
    for (int narrow = 0; narrow < 2; narrow++)
        printf(" %.1f | %.1f (%.0f %%) | %.0f (%.2f) |", f->file[narrow], f->read[narrow], 100.0 * f->read[narrow] / best, f->prefill[narrow],
               f->prefill[narrow] / q8->prefill[narrow]);
    printf("\n");
}

static void print_table(struct team *t, const char *ids)
{
    struct figures f[CPU_FORMAT_COUNT];
    double before = roof(t), best;
    for (int i = CPU_Q4_0; i < CPU_FORMAT_COUNT; i++)
        if (ids == NULL || i == CPU_Q8_0 || strstr(ids, cpu_encoding_at((enum cpu_format)i)->id) != NULL)
            f[i] = measure(t, cpu_encoding_at((enum cpu_format)i));
        else
            f[i].bits = 0;
    best = roof(t);
    best = best > before ? best : before;
    printf("level %s, threads: %d, read roof %.1f GB/s\n\n", t->k->level, t->threads, best);
    printf("| encoding | bits: file | packed | packing, GB/s | 16 bits: decode, GB/s of the file | read (of the roof) | "
           "prefill, Gop/s (to Q8_0) | 8 bits: decode | read | prefill |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = CPU_Q4_0; i < CPU_FORMAT_COUNT; i++)
        if (f[i].bits > 0)
            print_row(cpu_encoding_at((enum cpu_format)i), &f[i], &f[CPU_Q8_0], best);
}

int main(int argc, char **argv)
{
    struct team t = { .k = cpu_kernels_select(cpu_level_find(argc > 1 ? argv[1] : NULL)), .threads = argc > 2 ? atoi(argv[2]) : 2,
                      .weight_bytes = argc > 3 ? atoll(argv[3]) << 20 : MOST_BYTES };
    struct member members[MOST_THREADS];
    pthread_t thread[MOST_THREADS];
    if (t.threads < 1 || t.threads > MOST_THREADS || t.weight_bytes < 1 || t.k == cpu_kernels_select(CPU_LEVEL_SCALAR)) {
        fprintf(stderr, "kernel_table: 1 to %d threads, and a level that packs\n", MOST_THREADS);
        return 2;
    }
    t.passes = MOST_BYTES / t.weight_bytes > 0 ? MOST_BYTES / t.weight_bytes : 1;
    pthread_barrier_init(&t.start, NULL, (unsigned)t.threads);
    pthread_barrier_init(&t.end, NULL, (unsigned)t.threads);
    t.y = memory((int64_t)TOKENS * N * 4);
    for (int i = 0; i < t.threads; i++) {
        members[i] = (struct member){ &t, i };
        t.scratch[i] = memory(CPU_MATMUL_SCRATCH);
        if (i > 0 && pthread_create(&thread[i], NULL, member_main, &members[i]) != 0)
            return 1;
    }
    print_table(&t, argc > 4 ? argv[4] : NULL);
    t.work = NULL;
    pthread_barrier_wait(&t.start);
    for (int i = 1; i < t.threads; i++)
        pthread_join(thread[i], NULL);
    return 0;
}
