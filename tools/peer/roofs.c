/* roofs.c - what this machine can do at best: bytes read, int8, int16, bf16 and f32 operations per second, with `threads` threads.
 *
 * Usage: roofs [THREADS [read]]; prints one JSON object; with `read` that figure alone, in a second. Each is the median of 7 runs
 * of all threads together.
 *  - read: 1 GiB in huge pages, each thread its part, sums of 64-byte (AVX-512) or 32-byte lines: as the hardware fetches them by itself,
 *    or lines asked for ahead, to the first cache or to the second and then to the first; whichever is fastest on this machine.
 *  - int8: what quantised products are made of: vpdpbusd where the machine has it, else maddubs, madd and add for each product
 *    (`int8_ops`), and maddubs with one madd and add per eight (`int8_narrow_ops`, what 4-bit weights allow). Multiply and add
 *    count as two operations.
 *  - int16: vpdpwssd, else madd and add: what products with 16-bit activations are made of.
 *  - bf16: vdpbf16ps; 0 where the machine has none.
 *  - f32: fused multiply-add.
 * Built on request only (target roofs). */
#include <immintrin.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { RUNS = 7, CHAINS = 12, MAX_THREADS = 256 };
#define READ_BYTES ((size_t)1 << 30)
#define ROUNDS 4000000

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define BF16 __attribute__((target("avx512f,avx512bw,avx512bf16")))

struct part {
    void (*fn)(struct part *p);
    pthread_barrier_t *start;
    const uint8_t *data; /* [bytes] */
    size_t bytes;
    int64_t sum; /* so that the work is not dropped */
    double begin, end; /* the thread's own times: whoever waits for it may be woken late */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the work of one thread */

/* To which caches lines come before they are read. */
enum ahead { AHEAD_NOT, AHEAD_TO_FIRST, AHEAD_TO_BOTH };

static inline __attribute__((always_inline)) void fetch(const uint8_t *p, const enum ahead ahead)
{
    if (ahead == AHEAD_TO_FIRST)
        _mm_prefetch((const char *)p + 8192, _MM_HINT_T0);
    if (ahead == AHEAD_TO_BOTH) {
        _mm_prefetch((const char *)p + 16384, _MM_HINT_T1);
        _mm_prefetch((const char *)p + 4096, _MM_HINT_T0);
    }
}

static inline __attribute__((always_inline)) AVX2 void read_avx2_as(struct part *p, const enum ahead ahead)
{
    __m256i s[8] = { 0 };
    for (size_t i = 0; i + 256 <= p->bytes; i += 256)
        for (int j = 0; j < 8; j++) {
            if (j % 2 == 0)
                fetch(p->data + i + 32 * j, ahead);
            s[j] = _mm256_add_epi64(s[j], _mm256_load_si256((const void *)(p->data + i + 32 * j)));
        }
    for (int j = 1; j < 8; j++)
        s[0] = _mm256_add_epi64(s[0], s[j]);
    p->sum = _mm256_extract_epi64(s[0], 0);
}

static inline __attribute__((always_inline)) AVX512 void read_avx512_as(struct part *p, const enum ahead ahead)
{
    __m512i s[8] = { 0 };
    for (size_t i = 0; i + 512 <= p->bytes; i += 512)
        for (int j = 0; j < 8; j++) {
            fetch(p->data + i + 64 * j, ahead);
            s[j] = _mm512_add_epi64(s[j], _mm512_load_si512(p->data + i + 64 * j));
        }
    for (int j = 1; j < 8; j++)
        s[0] = _mm512_add_epi64(s[0], s[j]);
    p->sum = _mm512_reduce_add_epi64(s[0]);
}

static AVX2 void read_avx2(struct part *p) { read_avx2_as(p, AHEAD_NOT); }
static AVX2 void read_avx2_to_first(struct part *p) { read_avx2_as(p, AHEAD_TO_FIRST); }
static AVX2 void read_avx2_to_both(struct part *p) { read_avx2_as(p, AHEAD_TO_BOTH); }
static AVX512 void read_avx512(struct part *p) { read_avx512_as(p, AHEAD_NOT); }
static AVX512 void read_avx512_to_first(struct part *p) { read_avx512_as(p, AHEAD_TO_FIRST); }
static AVX512 void read_avx512_to_both(struct part *p) { read_avx512_as(p, AHEAD_TO_BOTH); }

/* An operand the compiler cannot see through, so that no product is moved out of its loop. */
#define HIDE(x) __asm__ volatile("" : "+x"(x))
#define HIDE_ZMM(x) __asm__ volatile("" : "+v"(x))

static AVX2 void int8_avx2(struct part *p)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i s[6], w = _mm256_set1_epi8(3), a = _mm256_set1_epi8(1);
    for (int j = 0; j < 6; j++)
        s[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i < ROUNDS; i++)
        for (int j = 0; j < 6; j++) {
            HIDE(a);
            s[j] = _mm256_add_epi32(s[j], _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), ones));
        }
    for (int j = 1; j < 6; j++)
        s[0] = _mm256_add_epi32(s[0], s[j]);
    p->sum = _mm256_extract_epi32(s[0], 0);
}

static AVX2 void int8_narrow_avx2(struct part *p)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i s[6], w = _mm256_set1_epi8(3), a = _mm256_set1_epi8(1);
    for (int j = 0; j < 6; j++)
        s[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i < ROUNDS / 8; i++) {
        __m256i n[6];
        for (int k = 0; k < 8; k++)
            for (int j = 0; j < 6; j++) {
                HIDE(a);
                __m256i m = _mm256_maddubs_epi16(w, a);
                n[j] = k == 0 ? m : _mm256_add_epi16(n[j], m);
            }
        for (int j = 0; j < 6; j++)
            s[j] = _mm256_add_epi32(s[j], _mm256_madd_epi16(n[j], ones));
    }
    for (int j = 1; j < 6; j++)
        s[0] = _mm256_add_epi32(s[0], s[j]);
    p->sum = _mm256_extract_epi32(s[0], 0);
}

static AVX512 void int8_avx512(struct part *p)
{
    __m512i s[CHAINS], w = _mm512_set1_epi8(3), a = _mm512_set1_epi8(1);
    for (int j = 0; j < CHAINS; j++)
        s[j] = _mm512_setzero_si512();
    for (int64_t i = 0; i < ROUNDS; i++)
        for (int j = 0; j < CHAINS; j++) {
            HIDE_ZMM(a);
            s[j] = _mm512_dpbusd_epi32(s[j], w, a);
        }
    for (int j = 1; j < CHAINS; j++)
        s[0] = _mm512_add_epi32(s[0], s[j]);
    p->sum = _mm512_reduce_add_epi32(s[0]);
}

static AVX2 void int16_avx2(struct part *p)
{
    __m256i s[6], w = _mm256_set1_epi16(3), a = _mm256_set1_epi16(1);
    for (int j = 0; j < 6; j++)
        s[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i < ROUNDS; i++)
        for (int j = 0; j < 6; j++) {
            HIDE(a);
            s[j] = _mm256_add_epi32(s[j], _mm256_madd_epi16(w, a));
        }
    for (int j = 1; j < 6; j++)
        s[0] = _mm256_add_epi32(s[0], s[j]);
    p->sum = _mm256_extract_epi32(s[0], 0);
}

static AVX512 void int16_avx512(struct part *p)
{
    __m512i s[CHAINS], w = _mm512_set1_epi16(3), a = _mm512_set1_epi16(1);
    for (int j = 0; j < CHAINS; j++)
        s[j] = _mm512_setzero_si512();
    for (int64_t i = 0; i < ROUNDS; i++)
        for (int j = 0; j < CHAINS; j++) {
            HIDE_ZMM(a);
            s[j] = _mm512_dpwssd_epi32(s[j], w, a);
        }
    for (int j = 1; j < CHAINS; j++)
        s[0] = _mm512_add_epi32(s[0], s[j]);
    p->sum = _mm512_reduce_add_epi32(s[0]);
}

static BF16 void bf16_avx512(struct part *p)
{
    __m512 s[CHAINS];
    __m512i w = _mm512_set1_epi16(0x3f00), a = _mm512_set1_epi16(0x3a80);
    for (int j = 0; j < CHAINS; j++)
        s[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < ROUNDS; i++)
        for (int j = 0; j < CHAINS; j++) {
            HIDE_ZMM(a);
            s[j] = _mm512_dpbf16_ps(s[j], (__m512bh)w, (__m512bh)a);
        }
    for (int j = 1; j < CHAINS; j++)
        s[0] = _mm512_add_ps(s[0], s[j]);
    p->sum = (int64_t)_mm512_reduce_add_ps(s[0]);
}

static AVX2 void f32_avx2(struct part *p)
{
    __m256 s[CHAINS], w = _mm256_set1_ps(0.5f), a = _mm256_set1_ps(1e-3f);
    for (int j = 0; j < CHAINS; j++)
        s[j] = _mm256_setzero_ps();
    for (int64_t i = 0; i < ROUNDS; i++)
        for (int j = 0; j < CHAINS; j++)
            s[j] = _mm256_fmadd_ps(w, s[j], a);
    for (int j = 1; j < CHAINS; j++)
        s[0] = _mm256_add_ps(s[0], s[j]);
    p->sum = (int64_t)_mm256_cvtss_f32(s[0]);
}

static AVX512 void f32_avx512(struct part *p)
{
    __m512 s[CHAINS], w = _mm512_set1_ps(0.5f), a = _mm512_set1_ps(1e-3f);
    for (int j = 0; j < CHAINS; j++)
        s[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < ROUNDS; i++)
        for (int j = 0; j < CHAINS; j++)
            s[j] = _mm512_fmadd_ps(w, s[j], a);
    for (int j = 1; j < CHAINS; j++)
        s[0] = _mm512_add_ps(s[0], s[j]);
    p->sum = (int64_t)_mm512_reduce_add_ps(s[0]);
}

/* ---- all threads */

static void *thread_main(void *arg)
{
    struct part *p = arg;
    pthread_barrier_wait(p->start);
    p->begin = now();
    p->fn(p);
    p->end = now();
    return NULL;
}

/* Seconds that fn takes on all threads at once; data is cut among them. */
static double time_once(void (*fn)(struct part *p), int threads, const uint8_t *data)
{
    pthread_t handle[MAX_THREADS];
    struct part part[MAX_THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        size_t bytes = READ_BYTES / (size_t)threads / 4096 * 4096;
        part[i] = (struct part){ fn, &start, data + (size_t)i * bytes, bytes, 0, 0, 0 };
        if (pthread_create(&handle[i], NULL, thread_main, &part[i]) != 0) {
            fprintf(stderr, "roofs: cannot start %d threads\n", threads);
            exit(1);
        }
    }
    double begin = 0, end = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(handle[i], NULL);
        begin = i == 0 || part[i].begin < begin ? part[i].begin : begin;
        end = part[i].end > end ? part[i].end : end;
    }
    pthread_barrier_destroy(&start);
    return end - begin;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double rate(void (*fn)(struct part *p), int threads, const uint8_t *data, double work)
{
    double v[RUNS];
    for (int i = 0; i < RUNS; i++)
        v[i] = work / time_once(fn, threads, data);
    qsort(v, RUNS, sizeof *v, by_value);
    return v[RUNS / 2];
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    bool avx512 = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"), only_read = argc == 3;
    if (threads < 1 || threads > MAX_THREADS || argc > 3 || (only_read && strcmp(argv[2], "read") != 0)) {
        fprintf(stderr, "usage: roofs [THREADS [read]]\n");
        return 2;
    }
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        fprintf(stderr, "roofs: this machine has no AVX2\n");
        return 1;
    }
    uint8_t *data = mmap(NULL, READ_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        fprintf(stderr, "roofs: no memory to read\n");
        return 1;
    }
    (void)madvise(data, READ_BYTES, MADV_HUGEPAGE);
    for (size_t i = 0; i < READ_BYTES; i += 4096)
        data[i] = 1;
    double lanes = avx512 ? 64 : 32, all = (double)threads * ROUNDS * 2;
    void (*const readers[2][3])(struct part *) = { { read_avx2, read_avx2_to_first, read_avx2_to_both },
                                                   { read_avx512, read_avx512_to_first, read_avx512_to_both } };
    double read = 0;
    for (int i = 0; i < 3; i++) {
        double so = rate(readers[avx512][i], threads, data, (double)READ_BYTES);
        read = so > read ? so : read;
    }
    if (only_read) {
        printf("{\"threads\":%d,\"read_bytes_s\":%.4g}\n", threads, read);
        return 0;
    }
    double int8 = rate(avx512 ? int8_avx512 : int8_avx2, threads, data, all * lanes * (avx512 ? CHAINS : 6));
    double narrow = rate(int8_narrow_avx2, threads, data, all * 32 * 6);
    double int16 = rate(avx512 ? int16_avx512 : int16_avx2, threads, data, all * lanes / 2 * (avx512 ? CHAINS : 6));
    bool has_bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    double bf16 = has_bf16 ? rate(bf16_avx512, threads, data, all * lanes / 2 * CHAINS) : 0;
    double f32 = rate(avx512 ? f32_avx512 : f32_avx2, threads, data, all * lanes / 4 * CHAINS);
    printf("{\"threads\":%d,\"level\":\"%s\",\"read_bytes_s\":%.4g,\"int8_ops\":%.4g,\"int8_narrow_avx2_ops\":%.4g,\"int16_ops\":%.4g,"
           "\"bf16_flops\":%.4g,\"f32_flops\":%.4g}\n",
           threads, avx512 ? "avx512" : "avx2", read, int8, narrow, int16, bf16, f32);
    return 0;
}
