/* packing.c - which weights are packed, and the packing, by all threads of the pool, a region of it at a time: steps may run
 * between.
 *
 * Packed weights are read as they lie, in order and from huge pages, where the file's would be transposed in registers; they cost
 * their size in memory and one copy. `TENON_CPU_PACK=never|always` (or set.pack); else whatever is at most half of the memory
 * that this process could still have when the device was opened. A plan reads the rows that are packed there: the bits are the
 * same. [any-thread] */
#include <pthread.h>
#include <sys/mman.h>

#include "plan.h"

/* What the file comes to when all of it grows as this weight does. */
static double packed_file_bytes(const struct tenon_weight_binding *w, const struct cpu_matrix *m)
{
    return (double)w->planes[0].buffer->size * (double)cpu_packed_matrix(m, NULL).row_bytes / (double)m->row_bytes;
}

static bool worth_packing(const struct tenon_device *dev, const struct tenon_weight_binding *w, const struct cpu_matrix *m)
{
    bool vectors = dev->k != cpu_kernels_select(CPU_LEVEL_SCALAR); /* that level transposes nothing */
    return vectors && cpu_encoding_at(m->format)->quantised && (w->uses & TENON_USE_MATMUL) != 0 &&
           (w->uses & TENON_USE_ELEMENTWISE) == 0 && w->rank >= 2 && packed_file_bytes(w, m) <= (double)dev->pack_most;
}

int32_t cpu_weight_shape(const struct tenon_weight_binding *w, uint64_t *ret_rows, uint64_t *ret_cols, uint64_t *ret_row_bytes,
                         struct tenon_err *err)
{
    uint64_t rows = 1; /* a stack of matrices is one below the other */
    if (w->rank == 0 || w->rank > TENON_TENSOR_DIMS || w->n_planes != w->encoding->n_planes ||
        cpu_span_data(&w->planes[0]) == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "not the planes of a tensor");
    for (uint32_t i = 0; i + 1 < w->rank; i++)
        if (__builtin_mul_overflow(rows, w->dims[i], &rows))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "its dims overflow");
    uint64_t cols = w->dims[w->rank - 1], need = tenon_encoding_plane_bytes(w->encoding, 0, rows, cols);
    if (need == UINT64_MAX || need > w->planes[0].size || rows == 0 || cols == 0 || rows > INT32_MAX || cols > INT32_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "%llu x %llu in %s does not fit %llu bytes", (unsigned long long)rows,
                          (unsigned long long)cols, w->encoding->id, (unsigned long long)w->planes[0].size);
    *ret_rows = rows;
    *ret_cols = cols;
    *ret_row_bytes = need / rows;
    return 0;
}

int32_t cpu_matrix_of(const struct tenon_weight_binding *w, struct cpu_matrix *ret, struct tenon_err *err)
{
    const struct cpu_encoding *e = cpu_encoding_find(w->encoding->digest);
    const uint8_t *data = cpu_span_data(&w->planes[0]);
    uint64_t rows = 0, cols = 0, row_bytes = 0;
    int32_t status = cpu_weight_shape(w, &rows, &cols, &row_bytes, err);
    if (status == 0 && e == NULL)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, w->name, "the CPU backend has no kernel for encoding %s", w->encoding->id);
    if (status == 0)
        *ret = (struct cpu_matrix){ .data = data, .rows = (int64_t)rows, .cols = (int64_t)cols, .row_bytes = (int64_t)row_bytes,
                                    .format = e->format };
    return status;
}

int32_t cpu_packed_of(const struct tenon_weight_binding *w, const struct cpu_matrix *m, struct cpu_matrix *ret,
                      struct tenon_err *err)
{
    const uint8_t *data = cpu_span_data(&w->packed);
    if (data == NULL || (uint64_t)cpu_packed_bytes(m) > w->packed.size)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, w->name, "%llu bytes do not take its packed form",
                          (unsigned long long)w->packed.size);
    *ret = cpu_packed_matrix(m, data);
    return 0;
}

uint64_t cpu_pack_most(const struct cpu_plugin *p)
{
    return p->pack == CPU_PACK_ALWAYS ? UINT64_MAX : p->pack == CPU_PACK_AUTO ? cpu_memory_free(p) / 2 : 0;
}

int32_t cpu_weight_query(struct tenon_device *dev, const struct tenon_weight_binding *weight, int32_t *ret_rung,
                         uint64_t *ret_pack_bytes, struct tenon_err *err)
{
    struct cpu_matrix m;
    *ret_rung = cpu_encoding_find(weight->encoding->digest) != NULL ? TENON_RUNG_NATIVE : TENON_RUNG_COMPILED; /* programs.c runs any */
    *ret_pack_bytes = 0;
    if (*ret_rung != TENON_RUNG_NATIVE || weight->planes[0].buffer == NULL) /* no buffer: the rung is all that is asked */
        return 0;
    int32_t status = cpu_matrix_of(weight, &m, err);
    if (status != 0)
        return status;
    *ret_pack_bytes = worth_packing(dev, weight, &m) ? (uint64_t)cpu_packed_bytes(&m) : 0;
    return 0;
}

/* ---- packing */

#define REGION_BYTES ((int64_t)2 << 20) /* of one region of the pool: what a step that comes meanwhile waits for, 1-2 ms */

struct job {
    const struct cpu_kernels *k;
    struct cpu_matrix m;
    int64_t first, end; /* groups of this region */
    uint8_t *packed;
    pthread_mutex_t lock; /* guards done */
    pthread_cond_t ended;
    bool done;
};

static void pack_share(void *arg, uint32_t i, uint32_t n)
{
    const struct job *j = arg;
    int64_t groups = j->end - j->first;
    j->k->pack(&j->m, j->first + groups * i / n, j->first + groups * (i + 1) / n, j->packed);
}

static void pack_done(void *arg)
{
    struct job *j = arg;
    pthread_mutex_lock(&j->lock);
    j->done = true;
    pthread_cond_signal(&j->ended);
    pthread_mutex_unlock(&j->lock);
}

static void run_region(const struct tenon_threads *threads, struct job *j)
{
    j->done = false;
    if (threads->submit(threads->ctx, pack_share, j, pack_done) != 0) {
        pack_share(j, 0, 1); /* the pool is busy: alone, then */
        return;
    }
    pthread_mutex_lock(&j->lock);
    while (!j->done)
        pthread_cond_wait(&j->ended, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

#define PAGE ((uintptr_t)4096)

/* A file's pages that held this region alone stay in the system's cache, but not in this process beside their packed copy. */
static void let_go(const struct job *j)
{
    int64_t end = j->end * CPU_PACK_ROWS < j->m.rows ? j->end * CPU_PACK_ROWS : j->m.rows;
    uintptr_t from = (uintptr_t)j->m.data + (uintptr_t)(j->first * CPU_PACK_ROWS * j->m.row_bytes);
    uintptr_t to = ((uintptr_t)j->m.data + (uintptr_t)(end * j->m.row_bytes)) / PAGE * PAGE;
    from = (from + PAGE - 1) / PAGE * PAGE;
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* advice */
}

/* All of a weight; rows that lie packed are told to `by`, if that is not NULL. */
static int32_t pack(struct tenon_device *dev, const struct tenon_weight_binding *weight, struct cpu_weight *by,
                    struct tenon_err *err)
{
    struct job j = { .k = dev->k, .packed = cpu_span_data(&weight->packed) };
    struct cpu_matrix packed;
    int32_t status = cpu_matrix_of(weight, &j.m, err);
    if (status == 0)
        status = cpu_packed_of(weight, &j.m, &packed, err);
    if (status != 0)
        return status;
    if (by != NULL && atomic_load(&by->packed_rows) != 0)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, weight->name, "the plan has its packed form already");
    if (by != NULL)
        by->packed = packed;
    int64_t groups = (j.m.rows + CPU_PACK_ROWS - 1) / CPU_PACK_ROWS, step = REGION_BYTES / (CPU_PACK_ROWS * j.m.row_bytes) + 1;
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.ended, NULL);
    for (; j.first < groups; j.first = j.end) {
        j.end = j.first + step < groups ? j.first + step : groups;
        run_region(dev->plugin->threads, &j);
        if (by != NULL)
            atomic_store_explicit(&by->packed_rows, j.end < groups ? j.end * CPU_PACK_ROWS : j.m.rows, memory_order_release);
        if ((weight->planes[0].buffer->flags & TENON_BUFFER_FILE_PAGES) != 0)
            let_go(&j);
    }
    pthread_cond_destroy(&j.ended);
    pthread_mutex_destroy(&j.lock);
    return 0;
}

int32_t cpu_pack_weight(struct tenon_device *dev, const struct tenon_weight_binding *weight, struct tenon_err *err)
{
    return pack(dev, weight, NULL, err);
}

int32_t cpu_pack_in_use(struct tenon_executable *exe, const struct tenon_weight_binding *foreign, struct tenon_err *err)
{
    struct tenon_weight_binding b;
    TENON_COPY_IN(&b, foreign);
    for (uint32_t i = 0; i < exe->graph->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(exe->graph, i);
        uint32_t at = exe->weight_base[i] + (v->layered && b.layer > 0 ? (uint32_t)b.layer : 0);
        if (v->kind == TENON_VALUE_WEIGHT && v->index == b.weight && at < exe->n_weights)
            return pack(exe->dev, &b, &exe->weights[at], err);
    }
    return tenon_fail(err, TENON_E_NOT_FOUND, b.name, "the plan has no such weight");
}
