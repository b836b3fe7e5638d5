/* kernel_bench.h - what the programs that measure the CPU kernels share: time, medians, memory as the backend has it, made-up weights
 * and activations. */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

#include "plugins/backends/cpu/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

/* In huge pages where it is large, as the backend has packed weights. */
static inline void *memory(int64_t bytes)
{
    const size_t unit = bytes < (int64_t)4 << 20 ? 64 : (size_t)2 << 20;
    const size_t size = ((size_t)bytes + 64 + unit - 1) / unit * unit;
    void *p = aligned_alloc(unit, size);
    if (p == NULL) {
        fprintf(stderr, "no memory for %lld bytes\n", (long long)bytes);
        exit(1);
    }
    if (unit > 64)
        (void)madvise(p, size, MADV_HUGEPAGE);
    return p;
}

/* Bytes 0x30..0x3f: quants of all formats, and as floats of any width finite and normal (denormals would cost time). */
static inline void fill(uint8_t *p, int64_t n)
{
    uint32_t s = 1;
    for (int64_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        p[i] = (uint8_t)(0x30 | s >> 28);
    }
}

/* Of T tokens; forget() frees what this took. */
static inline struct cpu_act activations(const struct cpu_kernels *k, int64_t T, int64_t K, bool narrow)
{
    float *x = memory(T * K * 4);
    struct cpu_act a = { .x = x, .ldx = K, .narrow = narrow };
    for (int64_t i = 0; i < T * K; i++)
        x[i] = (float)((i * 7919) % 1001 - 500) / 500.0f;
    cpu_act_bind(&a, memory(cpu_act_bytes(T, K)), T, K);
    k->quantize(&a, 0, T);
    return a;
}

static inline void forget(struct cpu_act *a)
{
    free(a->narrow ? (void *)a->q8 : a->q), free((void *)(uintptr_t)a->x);
}

#endif
