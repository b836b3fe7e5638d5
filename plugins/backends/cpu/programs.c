/* programs.c - weights in an encoding that no kernel knows: rows decoded by the encoding's program into the thread's memory, then
 * the kernels of f32, so that results are to the bit those of the same weights expanded to f32. A chunk's rows are decoded once
 * for all tokens. Binding: [any-thread], once per load; product: threads of the pool. Contract: plan.h, tenon/reference.h. */
#include <stdlib.h>

#include <tenon/reference.h>

#include "walk.h"

/* A weight of any encoding, as it lies. */
struct cpu_program_weight {
    const struct tenon_ref_decoder *decoder; /* OWN: plan */
    const void *planes[TENON_PLANES_MAX];
    uint64_t rows, cols;
};

/* One prepared program for all weights of its encoding. */
struct cpu_decoder {
    const struct tenon_encoding *e;
    struct tenon_ref_decoder *decoder;
    struct cpu_decoder *next;
};

static void row(const void *source, int64_t n, float *ret_x)
{
    const struct cpu_program_weight *w = source;
    (void)tenon_ref_decoder_rows(w->decoder, w->planes, w->rows, w->cols, (uint64_t)n, 1, ret_x); /* the shape was checked */
}

static int32_t decoder_of(struct tenon_executable *exe, const struct tenon_encoding *e, const struct tenon_ref_decoder **ret,
                          struct tenon_err *err)
{
    struct cpu_decoder *d = exe->decoders;
    int32_t status = 0;
    while (d != NULL && d->e != e)
        d = d->next;
    if (d == NULL) {
        d = calloc(1, sizeof *d);
        status = d != NULL ? tenon_ref_decoder_create(e, &d->decoder, err)
                           : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, e->id, "no memory for its program");
        if (status != 0) {
            free(d);
            return status;
        }
        d->e = e;
        d->next = exe->decoders;
        exe->decoders = d;
    }
    *ret = d->decoder;
    return 0;
}

int32_t cpu_program_bind(struct tenon_executable *exe, const struct tenon_weight_binding *b, uint64_t rows, uint64_t cols,
                         struct cpu_weight *w, struct tenon_err *err)
{
    struct cpu_program_weight *p = calloc(1, sizeof *p);
    if (p == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, b->name, "no memory for its planes");
    w->program = p;
    p->rows = rows;
    p->cols = cols;
    for (uint32_t i = 0; i < b->n_planes; i++) {
        uint64_t need = tenon_encoding_plane_bytes(b->encoding, i, rows, cols);
        p->planes[i] = cpu_span_data(&b->planes[i]);
        if (p->planes[i] == NULL || need == UINT64_MAX || need > b->planes[i].size)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, b->name, "%llu x %llu in %s does not fit %llu bytes of plane %s",
                              (unsigned long long)rows, (unsigned long long)cols, b->encoding->id,
                              (unsigned long long)b->planes[i].size, b->encoding->planes[i].name);
    }
    w->m = (struct cpu_matrix){ .data = p->planes[0], .rows = (int64_t)rows, .cols = (int64_t)cols, .format = CPU_F32, .row = row,
                                .source = p,
                                .row_bytes = (int64_t)(tenon_encoding_plane_bytes(b->encoding, 0, rows, cols) / rows) };
    return decoder_of(exe, b->encoding, &p->decoder, err);
}

void cpu_programs_free(struct tenon_executable *exe)
{
    for (uint32_t i = 0; exe->weights != NULL && i < exe->n_weights; i++)
        free(exe->weights[i].program);
    while (exe->decoders != NULL) {
        struct cpu_decoder *d = exe->decoders;
        exe->decoders = d->next;
        tenon_ref_decoder_destroy(d->decoder);
        free(d);
    }
}

uint64_t cpu_program_scratch(const struct tenon_executable *exe)
{
    int64_t cols = 0;
    for (uint32_t i = 0; i < exe->n_weights; i++)
        if (exe->weights[i].program != NULL && exe->weights[i].m.cols > cols)
            cols = exe->weights[i].m.cols;
    return (uint64_t)(CPU_PROGRAM_ROWS * cols) * sizeof(float);
}

void cpu_program_product(const struct walker *w, const struct cpu_weight *weight, const struct cpu_act *a, int64_t rows,
                         int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias)
{
    const struct cpu_program_weight *p = weight->program;
    float *x = (float *)(void *)(w->own + w->exe->thread_act_bytes); /* [CPU_PROGRAM_ROWS, cols] */
    struct cpu_matrix m = { .data = (const uint8_t *)x, .cols = weight->m.cols, .format = CPU_F32,
                            .row_bytes = weight->m.cols * (int64_t)sizeof *x };
    for (int64_t n = n0; n < n1; n += CPU_PROGRAM_ROWS) {
        m.rows = n1 - n < CPU_PROGRAM_ROWS ? n1 - n : CPU_PROGRAM_ROWS;
        (void)tenon_ref_decoder_rows(p->decoder, p->planes, p->rows, p->cols, (uint64_t)n, (uint64_t)m.rows, x); /* checked */
        w->k->matmul(&m, a, 0, rows, 0, m.rows, y + n, ldy, bias != NULL ? bias + n : NULL, NULL);
    }
}
