/* packing.c - which weights are packed at load, and the packing, by all threads of the pool.
 *
 * Packed weights are read as they lie, in order and from huge pages, where the file's would be transposed in registers; they cost
 * their size in memory and one copy. `TENON_CPU_PACK=never|always` (or set.pack); else whatever is at most half of the memory
 * that was free when the device was opened. [init] */
#include <pthread.h>
#include <stdio.h>

#include "device.h"

static bool worth_packing(const struct tenon_device *dev, const struct tenon_weight_binding *w, const struct cpu_encoding *e)
{
    const struct tenon_buffer *file = w->planes[0].buffer;
    bool vectors = dev->k != cpu_kernels_select(CPU_LEVEL_SCALAR); /* that level transposes nothing */
    return vectors && e->quantised && (w->uses & TENON_USE_MATMUL) != 0 &&
           (w->uses & TENON_USE_ELEMENTWISE) == 0 && w->rank >= 2 && w->n_planes == 1 && file != NULL &&
           file->size <= dev->pack_most;
}

/* The weight as the kernels see it; false when its numbers do not fit its bytes. */
static bool matrix_of(const struct tenon_weight_binding *w, struct cpu_matrix *ret)
{
    const struct cpu_encoding *e = cpu_encoding_find(w->encoding->digest);
    const uint8_t *data = cpu_span_data(&w->planes[0]);
    uint64_t rows = 1, cols = w->dims[w->rank - 1], need; /* a stack of matrices is one below the other */
    for (uint32_t i = 0; i + 1 < w->rank; i++)
        if (__builtin_mul_overflow(rows, w->dims[i], &rows))
            return false;
    need = tenon_encoding_plane_bytes(w->encoding, 0, rows, cols);
    if (e == NULL || data == NULL || need == UINT64_MAX || need > w->planes[0].size || rows == 0 || cols == 0 || rows > INT32_MAX ||
        cols > INT32_MAX)
        return false;
    *ret = (struct cpu_matrix){ .data = data, .rows = (int64_t)rows, .cols = (int64_t)cols, .row_bytes = (int64_t)(need / rows),
                                .format = e->format };
    return true;
}

uint64_t cpu_pack_most(const char *setting)
{
    FILE *f = strcmp(setting, "auto") == 0 ? fopen("/proc/meminfo", "re") : NULL;
    unsigned long long kib = 0;
    char line[128];
    if (f == NULL)
        return strcmp(setting, "always") == 0 ? UINT64_MAX : 0;
    while (kib == 0 && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "MemAvailable: %llu", &kib) != 1)
            kib = 0;
    (void)fclose(f);
    return kib * 1024 / 2;
}

int32_t cpu_weight_query(struct tenon_device *dev, const struct tenon_weight_binding *weight, int32_t *ret_rung,
                         uint64_t *ret_pack_bytes, struct tenon_err *err)
{
    const struct cpu_encoding *e = cpu_encoding_find(weight->encoding->digest);
    struct cpu_matrix m;
    (void)err;
    *ret_rung = e != NULL ? TENON_RUNG_NATIVE : TENON_RUNG_COMPILED; /* programs.c runs any */
    *ret_pack_bytes = e != NULL && worth_packing(dev, weight, e) && matrix_of(weight, &m) ? (uint64_t)cpu_packed_bytes(&m) : 0;
    return 0;
}

/* ---- packing */

struct job {
    const struct cpu_kernels *k;
    struct cpu_matrix m;
    uint8_t *packed;
    pthread_mutex_t lock; /* guards done */
    pthread_cond_t ended;
    bool done;
};

static void pack_share(void *arg, uint32_t i, uint32_t n)
{
    const struct job *j = arg;
    int64_t groups = (j->m.rows + CPU_PACK_ROWS - 1) / CPU_PACK_ROWS;
    j->k->pack(&j->m, groups * i / n, groups * (i + 1) / n, j->packed);
}

static void pack_done(void *arg)
{
    struct job *j = arg;
    pthread_mutex_lock(&j->lock);
    j->done = true;
    pthread_cond_signal(&j->ended);
    pthread_mutex_unlock(&j->lock);
}

int32_t cpu_pack_weight(struct tenon_device *dev, const struct tenon_weight_binding *weight, struct tenon_err *err)
{
    const struct tenon_threads *threads = dev->plugin->threads;
    struct job j = { .k = dev->k, .packed = cpu_span_data(&weight->packed) };
    if (!matrix_of(weight, &j.m) || j.packed == NULL || weight->packed.size < (uint64_t)cpu_packed_bytes(&j.m))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, weight->name, "%llu bytes do not take its packed form",
                          (unsigned long long)weight->packed.size);
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.ended, NULL);
    if (threads->submit(threads->ctx, pack_share, &j, pack_done) != 0)
        pack_share(&j, 0, 1); /* the pool is busy: alone, then */
    else {
        pthread_mutex_lock(&j.lock);
        while (!j.done)
            pthread_cond_wait(&j.ended, &j.lock);
        pthread_mutex_unlock(&j.lock);
    }
    pthread_cond_destroy(&j.ended);
    pthread_mutex_destroy(&j.lock);
    return 0;
}
