/* kernel_table.c - the speed of the CPU backend's products by encoding, as a table: decode from memory, prefill, and the packing that
 * comes before, beside what the machine reads at best, all in one run.
 *
 * Threads work as the backend's do: each its share of the rows of every matrix, weights packed and in huge pages, more of them than
 * any cache holds. Decode is one token; its bytes are counted as the file has them and as they are read. What the machine's memory
 * gives changes with its neighbours within seconds, so each encoding takes turns with Q8_0, and in decode with plain reading, and is
 * compared with those of its own turns. Of many repeats the time that a quarter of them stayed below: neighbours only slow down.
 * Built on request only (target kernel_table); usage:
 * kernel_table [LEVEL [THREADS [MIB [encodings]]]]; MIB: of weights, 256 by default: 1 shows what caches give; encodings: only those whose
 * id ("gguf.q4_0/1") stands in that list. */
#include "kernel_bench.h"

#include <pthread.h>

enum { REPEATS = 31, PACK_REPEATS = 3, N = 2048, K = 2048, TOKENS = 512, MOST_THREADS = 64 };
#define MOST_BYTES ((int64_t)256 << 20) /* of packed weights: more than any cache */

/* Matrices of one encoding. */
struct set {
    struct cpu_matrix file, packed; /* of the first matrix; the others are copies of it */
    int64_t matrices, matrix_bytes; /* packed */
};

/* What all threads do at the same time. */
struct team {
    int threads;
    pthread_barrier_t start, end;
    void (*work)(struct team *t, int i);
    const struct cpu_kernels *k;
    const struct set *set;          /* what it is done with */
    int64_t weight_bytes;           /* about as many in a set, packed */
    int64_t passes;                 /* over them, so that threads meet seldom */
    struct cpu_act a;
    int64_t tokens;
    float *y;                       /* [tokens, N] */
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

/* One of several works that take turns, and what a quarter of its repeats took less than. */
struct turn {
    void (*work)(struct team *, int);
    const struct set *set;
    double seconds;
};

static double seconds_once(struct team *t, const struct turn *turn)
{
    t->work = turn->work;
    t->set = turn->set;
    pthread_barrier_wait(&t->start);
    double start = now();
    t->work(t, 0);
    pthread_barrier_wait(&t->end);
    return now() - start;
}

enum { MOST_TURNS = 3 };

static void take_turns(struct team *t, struct turn *turns, int count, int repeats)
{
    double v[MOST_TURNS][REPEATS];
    for (int r = 0; r < repeats; r++)
        for (int i = 0; i < count; i++)
            v[i][r] = seconds_once(t, &turns[i]);
    for (int i = 0; i < count; i++) {
        qsort(v[i], (size_t)repeats, sizeof v[i][0], by_value);
        turns[i].seconds = v[i][repeats / 4];
    }
}

typedef uint64_t line __attribute__((vector_size(64)));

/* By the widest loads there are, fetched ahead where the kernels fetch all encodings so (unpack.h). */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__SANITIZE_THREAD__) /* TSan crashes where a function is chosen by the loader */
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void read_share(struct team *t, int i)
{
    line s[8] = { 0 };
    const line *p = (const void *)t->set->packed.data;
    const enum cpu_fetching fetching = cpu_fetching();
    int64_t lines = t->set->matrices * t->set->matrix_bytes / 64, end = lines * (i + 1) / t->threads;
    for (int64_t pass = 0; pass < t->passes; pass++)
        for (int64_t at = lines * i / t->threads; at + 8 <= end; at += 8)
            for (int j = 0; j < 8; j++) {
                if (fetching == CPU_FETCHES_TWICE) {
                    __builtin_prefetch(p + at + j + 256, 0, 2);
                    __builtin_prefetch(p + at + j + 64);
                } else if (fetching == CPU_FETCHES_TO_FIRST) {
                    __builtin_prefetch(p + at + j + 128);
                }
                s[j] += p[at + j];
            }
    t->sum[i] = ((s[0] + s[1]) + (s[2] + s[3]) + (s[4] + s[5]) + (s[6] + s[7]))[0];
}

static void pack_share(struct team *t, int i)
{
    int64_t groups = N / CPU_PACK_ROWS;
    t->k->pack(&t->set->file, groups * i / t->threads, groups * (i + 1) / t->threads, (uint8_t *)(uintptr_t)t->set->packed.data);
}

/* Between two matrices a token's threads fetch what their share of the next begins with, as the backend's do (cpu_warm_matmul()). */
static void multiply_share(struct team *t, int i)
{
    struct cpu_matrix w = t->set->packed;
    int64_t panels = N / CPU_PANEL_ROWS, from = panels * i / t->threads, to = panels * (i + 1) / t->threads;
    for (int64_t m = 0; m < (t->tokens == 1 ? t->set->matrices * t->passes : 1); m++) {
        w.data = t->set->packed.data + m % t->set->matrices * t->set->matrix_bytes;
        for (int64_t at = 0; m > 0 && at < CPU_WARM_BYTES; at += 64)
            __builtin_prefetch(w.data + from * CPU_PANEL_ROWS * w.row_bytes + at);
        t->k->matmul(&w, &t->a, 0, t->tokens, from * CPU_PANEL_ROWS, to * CPU_PANEL_ROWS, t->y, N, NULL, t->scratch[i]);
    }
}

/* Of 16-bit and of 8-bit activations. */
struct figures {
    double file, read, read_q8, roof; /* decode, GB/s: as the file has it, as read, Q8_0 beside it, plain reading beside it */
    double prefill, prefill_q8;       /* Gop/s */
};

static struct figures multiply(struct team *t, const struct set *q8, const struct set *own, bool narrow)
{
    struct turn decode[] = { { read_share, q8, 0 }, { multiply_share, q8, 0 }, { multiply_share, own, 0 } }, *prefill = decode + 1;
    struct figures f;
    const double gigabytes_q8 = (double)(q8->matrices * q8->matrix_bytes * t->passes) * 1e-9;
    t->tokens = 1;
    t->a = activations(t->k, t->tokens, K, narrow);
    take_turns(t, decode, 3, REPEATS);
    f.roof = gigabytes_q8 / decode[0].seconds;
    f.read_q8 = gigabytes_q8 / decode[1].seconds;
    f.read = (double)(own->matrices * own->matrix_bytes * t->passes) * 1e-9 / decode[2].seconds;
    f.file = f.read * (double)own->file.row_bytes / (double)own->packed.row_bytes;
    forget(&t->a);
    t->tokens = TOKENS;
    t->a = activations(t->k, t->tokens, K, narrow);
    take_turns(t, prefill, 2, REPEATS / 2);
    f.prefill_q8 = 2.0 * N * K * TOKENS / prefill[0].seconds * 1e-9;
    f.prefill = 2.0 * N * K * TOKENS / prefill[1].seconds * 1e-9;
    forget(&t->a);
    return f;
}

/* Returns the seconds that packing one matrix takes. */
static double make_set(struct team *t, const struct cpu_encoding *e, struct set *ret)
{
    struct turn pack = { pack_share, ret, 0 };
    uint8_t *file, *packed;
    ret->file = (struct cpu_matrix){ .rows = N, .cols = K, .row_bytes = K / e->block_cols * e->block_bytes, .format = e->format };
    ret->matrix_bytes = cpu_packed_bytes(&ret->file);
    ret->matrices = (t->weight_bytes + ret->matrix_bytes - 1) / ret->matrix_bytes;
    file = memory(ret->file.row_bytes * N);
    packed = memory(ret->matrices * ret->matrix_bytes);
    memset(packed, 0, (size_t)(ret->matrices * ret->matrix_bytes));
    fill(file, ret->file.row_bytes * N);
    ret->file.data = file;
    ret->packed = cpu_packed_matrix(&ret->file, packed);
    take_turns(t, &pack, 1, PACK_REPEATS);
    for (int64_t i = 1; i < ret->matrices; i++)
        memcpy(packed + i * ret->matrix_bytes, packed, (size_t)ret->matrix_bytes);
    return pack.seconds;
}

static void forget_set(struct set *s)
{
    free((void *)(uintptr_t)s->file.data), free((void *)(uintptr_t)s->packed.data);
}

static void print_row(struct team *t, const struct set *q8, const struct cpu_encoding *e)
{
    struct set own;
    double seconds = make_set(t, e, &own);
    printf("| %s | %.2f | %.2f | %.1f |", e->id, 8.0 * e->block_bytes / e->block_cols, 8.0 * (double)own.packed.row_bytes / K,
           (double)(own.file.row_bytes * N) / seconds * 1e-9);
    for (int narrow = 0; narrow < 2; narrow++) {
        struct figures f = multiply(t, q8, &own, narrow == 1);
        printf(" %.1f | %.1f (%.2f) | %.0f %% of %.1f | %.0f (%.2f) |", f.file, f.read, f.read / f.read_q8, 100.0 * f.read / f.roof, f.roof,
               f.prefill, f.prefill / f.prefill_q8);
    }
    printf("\n");
    (void)fflush(stdout);
    forget_set(&own);
}

static void print_table(struct team *t, const char *ids)
{
    struct set q8;
    (void)make_set(t, cpu_encoding_at(CPU_Q8_0), &q8);
    printf("level %s, threads: %d\n\n", t->k->level, t->threads);
    printf("| encoding | bits: file | packed | packing, GB/s | 16 bits: decode, GB/s of the file | read (to Q8_0 beside it) | of the roof | "
           "prefill, Gop/s (to Q8_0) | 8 bits: decode | read | of the roof | prefill |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = CPU_Q4_0; i < CPU_FORMAT_COUNT; i++)
        if (ids == NULL || strstr(ids, cpu_encoding_at((enum cpu_format)i)->id) != NULL)
            print_row(t, &q8, cpu_encoding_at((enum cpu_format)i));
    forget_set(&q8);
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
