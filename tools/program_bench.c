/* program_bench.c - how fast products by weights are that no kernel knows: every encoding of the quantizer plugins named, by its decode
 * program as the CPU backend runs one (plugins/backends/cpu/programs.c), whether or not it has a kernel; beside Q8_0 by its kernel on
 * the same shape. One thread, one token: the rate of decode. Medians over repeats. Usage: program_bench [-l LEVEL] [-e ENCODINGS] PLUGIN.so...;
 * ENCODINGS: only those whose id stands in that list.
 * Built on request only (target program_bench). */
#include "plugins/backends/cpu/kernels/kernels.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <tenon/quantizer.h>
#include <tenon/reference.h>

#define ROWS 2048
#define COLS 2048 /* a multiple of every tile's */
#define REPEATS 7
#define CHUNK 8 /* rows decoded at once: CPU_PROGRAM_ROWS */
#define SHARE 20.0
#define OF_MEMORY (90 << 20) /* bytes: more than caches hold */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, REPEATS, sizeof *v, by_value);
    return v[REPEATS / 2];
}

/* Bytes 0x30..0x3f: any quant, and as floats of any width finite and normal. */
static void *filled(uint64_t bytes)
{
    const uint64_t unit = bytes < 4u << 20 ? 64 : 2u << 20;
    uint8_t *p = aligned_alloc(unit, (bytes + 64 + unit - 1) / unit * unit);
    uint32_t s = 1;
    for (uint64_t i = 0; p != NULL && i < bytes; i++) {
        s = s * 1664525u + 1013904223u;
        p[i] = (uint8_t)(0x30 | s >> 28);
    }
    if (p == NULL) {
        fprintf(stderr, "program_bench: no memory for %llu bytes\n", (unsigned long long)bytes);
        exit(1);
    }
    return p;
}

static struct cpu_act activations(const struct cpu_kernels *k)
{
    float *x = filled(COLS * sizeof *x); /* [COLS] */
    struct cpu_act a = { .x = x, .ldx = COLS };
    cpu_act_bind(&a, filled((uint64_t)cpu_act_bytes(1, COLS)), 1, COLS);
    k->quantize(&a, 0, 1);
    return a;
}

/* Weights per second of Q8_0 by its kernel, packed, from memory. */
static double native_rate(const struct cpu_kernels *k, const struct cpu_act *a, float *y, void *scratch)
{
    const struct cpu_encoding *e = cpu_encoding_at(CPU_Q8_0);
    struct cpu_matrix w = { .rows = ROWS, .cols = COLS, .row_bytes = COLS / e->block_cols * e->block_bytes, .format = CPU_Q8_0 };
    const bool packs = k != cpu_kernels_select(CPU_LEVEL_SCALAR);
    const int64_t bytes = cpu_packed_bytes(&w), count = OF_MEMORY / bytes + 1;
    uint8_t *data = filled((uint64_t)bytes), *matrices = filled((uint64_t)(bytes * count)); /* [count] */
    double v[REPEATS];
    w.data = data;
    (void)madvise(matrices, (size_t)(bytes * count), MADV_HUGEPAGE); /* as the backend has them; advice */
    for (int64_t i = 0; i < count && packs; i++)
        k->pack(&w, 0, ROWS / CPU_PACK_ROWS, matrices + i * bytes);
    if (packs)
        w = cpu_packed_matrix(&w, matrices);
    for (int r = 0; r < REPEATS; r++) {
        double start = now();
        for (int64_t i = 0; i < count; i++) {
            w.data = matrices + i * bytes;
            k->matmul(&w, a, 0, 1, 0, ROWS, y, ROWS, NULL, scratch);
        }
        v[r] = (now() - start) / (double)count;
    }
    free(data), free(matrices);
    return (double)ROWS * COLS / median(v);
}

/* The same of an encoding by its program; 0: the shape does not fit its tiles. */
static double program_rate(const struct tenon_encoding *e, const struct cpu_kernels *k, const struct cpu_act *a, float *y)
{
    static float x[CHUNK * COLS] __attribute__((aligned(64)));
    struct cpu_matrix m = { .data = (const uint8_t *)x, .rows = CHUNK, .cols = COLS, .format = CPU_F32, .row_bytes = COLS * 4 };
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_ref_decoder *d = NULL;
    void *planes[TENON_PLANES_MAX] = { NULL };
    double v[REPEATS];
    if (ROWS % e->tile_rows != 0 || COLS % e->tile_cols != 0 || tenon_ref_decoder_create(e, &d, &err) != TENON_OK)
        return 0;
    for (uint32_t p = 0; p < e->n_planes; p++)
        planes[p] = filled(tenon_encoding_plane_bytes(e, p, ROWS, COLS));
    for (int r = 0; r < REPEATS; r++) {
        double start = now();
        for (uint64_t n = 0; n < ROWS; n += CHUNK) {
            (void)tenon_ref_decoder_rows(d, (const void *const *)planes, ROWS, COLS, n, CHUNK, x); /* the shape fits */
            k->matmul(&m, a, 0, 1, 0, CHUNK, y + n, ROWS, NULL, NULL);
        }
        v[r] = now() - start;
    }
    tenon_ref_decoder_destroy(d);
    for (uint32_t p = 0; p < e->n_planes; p++)
        free(planes[p]);
    return (double)ROWS * COLS / median(v);
}

static const struct tenon_quantizer *quantizer_of(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    tenon_plugin_entry_fn *entry = NULL;
    const struct tenon_plugin *plugin;
    if (library != NULL)
        *(void **)&entry = dlsym(library, "tenon_plugin_entry");
    if (entry == NULL || entry(TENON_ABI, &plugin) != TENON_OK || strcmp(plugin->items[0].iface, TENON_QUANTIZER_IFACE) != 0) {
        fprintf(stderr, "program_bench: %s is no quantizer: %s\n", path, library == NULL ? dlerror() : "it has no such interface");
        exit(1);
    }
    return plugin->items[0].impl;
}

int main(int argc, char **argv)
{
    const char *level = NULL, *only = NULL;
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2)
        *(strcmp(argv[first], "-l") == 0 ? &level : &only) = argv[first + 1];
    const struct cpu_kernels *k = cpu_kernels_select(cpu_level_find(level));
    struct cpu_act a = activations(k);
    float *y = filled(ROWS * sizeof *y);
    const double native = native_rate(k, &a, y, filled(CPU_MATMUL_SCRATCH));
    printf("level %s, one thread, %d x %d, T=1\n\n| encoding | kernel | Gweight/s by program | of Q8_0's %.2f by its kernel |\n|---|---|---|---|\n",
           k->level, ROWS, COLS, native * 1e-9);
    for (int i = first; i < argc; i++) {
        const struct tenon_quantizer *q = quantizer_of(argv[i]);
        for (uint32_t n = 0; n < q->n_encodings; n++) {
            const struct tenon_encoding *e = q->encodings[n];
            if (only != NULL && strstr(only, e->id) == NULL)
                continue;
            double rate = program_rate(e, k, &a, y);
            printf("| %s | %s | %.2f | 1/%.1f%s |\n", e->id, cpu_encoding_find(e->digest) != NULL ? "has one" : "", rate * 1e-9,
                   native / rate, rate * SHARE < native ? " **below 1/20**" : "");
        }
    }
    return 0;
}
