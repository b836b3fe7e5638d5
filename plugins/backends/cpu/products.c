/* products.c - steps of matmuls: activations prepared (norm, blocks of integers), rows of weights cut into tasks, gate or
 * residual behind. Contract: walk.h. */
#include "walk.h"

/* The rows a step takes: where x is TENON_NO_VALUE those of the gate before it. */
static const float *taken(const struct walker *w, const struct cpu_step *s)
{
    uint32_t x = s->norm.on ? s->norm.x : s->x;
    return x == TENON_NO_VALUE ? (const float *)(const void *)(w->run->scratch + s->hidden_offset) : at(w, x);
}

/* The same as the kernels read them: what a norm makes of them, and integers, in the thread's own memory or in that of all. */
static struct cpu_act input(const struct walker *w, const struct cpu_step *s, int64_t rows, bool own)
{
    const struct tenon_executable *exe = w->exe;
    uint8_t *memory = own ? w->own : w->run->scratch + exe->shared_act_offset;
    uint64_t x_bytes = own ? (CPU_SMALL_ROWS * exe->max_k * sizeof(float) + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN : exe->act_x_bytes;
    struct cpu_act a = { .x = s->norm.on ? (const float *)(const void *)memory : taken(w, s), .narrow = exe->narrow };
    a.K = a.ldx = matrix(w, s->w[0])->cols;
    if (s->quantised)
        bind_act(w, &a, memory + x_bytes, rows, a.K);
    if (own)
        a.turned_d = NULL; /* few rows: nobody reads it */
    return a;
}

/* Rows r0..r1 of a made ready: norm, then blocks of integers, row by row so that a row stays in L1. */
static void prepare_rows(const struct walker *w, const struct cpu_step *s, const struct cpu_act *a, int64_t r0, int64_t r1)
{
    const float *x = taken(w, s), *norm_w = s->norm.on ? vector(w, s->norm.w) : NULL;
    float *normed = (float *)(uintptr_t)a->x; /* not the rows taken, if there is a norm */
    for (int64_t r = r0; r < r1; r++) {
        if (s->norm.on)
            w->k->rms_norm(x + r * a->K, norm_w, a->K, s->norm.eps, normed + r * a->K);
        if (s->quantised)
            w->k->quantize(a, r, r + 1);
    }
}

/* Few rows: each thread for itself, which costs less than meeting the others. */
static bool is_few(int64_t rows)
{
    return rows <= CPU_SMALL_ROWS;
}

/* The step's input, ready. Few rows of a gate are already: finish_hidden(). */
static struct cpu_act prepare(const struct walker *w, const struct cpu_step *s, int64_t rows)
{
    const bool few = is_few(rows), of_gate = s->x == TENON_NO_VALUE;
    struct cpu_act a = input(w, s, rows, few && !of_gate);
    int64_t r0 = 0, r1 = rows;
    if ((few && of_gate) || (!s->norm.on && !s->quantised))
        return a;
    if (!few)
        share(w, rows, &r0, &r1);
    prepare_rows(w, s, &a, r0, r1);
    if (!few)
        barrier(w);
    return a;
}

/* y[t * ldy + n] for all rows of a and n0 <= n < n1. While the weight is being packed, piece by piece: a long run would read the
 * file's pages that packing has dropped behind it, and bring them back. */
static void product(const struct walker *w, uint32_t weight_value, uint32_t bias_value, const struct cpu_act *a, int64_t rows,
                    int64_t n0, int64_t n1, float *y, int64_t ldy)
{
    const struct cpu_weight *from = weight(w, weight_value);
    const float *bias = vector(w, bias_value);
    void *scratch = w->own + w->exe->thread_act_bytes;
    if (from->program != NULL) {
        cpu_program_product(w, from, a, rows, n0, n1, y, ldy, bias);
        return;
    }
    for (int64_t end; n0 < n1; n0 = end) {
        end = n0 + CPU_CHUNK_ROWS < n1 && !lies(from, n1)->packed ? n0 + CPU_CHUNK_ROWS : n1;
        w->k->matmul(lies(from, end), a, 0, rows, n0, end, y, ldy, bias, scratch);
    }
}

_Static_assert(CPU_SMALL_ROWS <= CPU_PART_TOKENS, "finish_hidden() makes few rows integers in parts");

/* Columns n0..n1 of a gate's few rows as integers for the step behind it: by who computed them, while they are in its cache. */
static void finish_hidden(const struct walker *w, const struct cpu_step *down, int64_t rows, int64_t n0, int64_t n1)
{
    struct cpu_act all = input(w, down, rows, false);
    for (int64_t r = 0; r < rows; r++) {
        struct cpu_act part = cpu_act_part(&all, r, n0, n1);
        w->k->quantize(&part, 0, 1);
    }
}

/* Rows n0..n1 of all weights of the gate for all tokens: hidden = kind(gate) * up. */
static void gated_chunk(const struct walker *w, const struct cpu_step *s, const struct cpu_act *a, int64_t rows, int64_t n0,
                        int64_t n1)
{
    int64_t n = matrix(w, s->w[0])->rows;
    float *hidden = (float *)(void *)(w->run->scratch + s->hidden_offset), *up = (float *)(void *)(w->run->scratch + s->gate_offset);
    product(w, s->w[0], s->bias[0], a, rows, n0, n1, hidden, n);
    if (s->n > 1)
        product(w, s->w[1], s->bias[1], a, rows, n0, n1, up, n);
    for (int64_t r = 0; r < rows; r++) {
        float *y = hidden + r * n + n0;
        if (s->n > 1)
            w->k->unary_mul((enum cpu_unary)s->unary, y, up + r * n + n0, n1 - n0, y);
        else
            w->k->unary((enum cpu_unary)s->unary, y, n1 - n0, y);
    }
    if (is_few(rows) && s[1].quantised)
        finish_hidden(w, s + 1, rows, n0, n1);
}

static void plain_chunk(const struct walker *w, const struct cpu_step *s, uint32_t j, const struct cpu_act *a, int64_t rows,
                        int64_t n0, int64_t n1)
{
    const struct cpu_matrix *m = matrix(w, s->w[j]);
    float *y = at(w, s->outs[j]);
    product(w, s->w[j], s->bias[j], a, rows, n0, n1, y, m->rows);
    if (s->b == TENON_NO_VALUE)
        return;
    const float *residual = at(w, s->b);
    for (int64_t r = 0; r < rows; r++)
        w->k->add(residual + r * m->rows + n0, y + r * m->rows + n0, n1 - n0, y + r * m->rows + n0);
}

/* How the rows of a step's weights are cut into tasks, and how many of these are drawn at once: every `part`th of what is
 * left. */
struct cut {
    uint32_t n;            /* weights one after the other; a gate's second goes with its first */
    int64_t chunk, tasks;  /* rows of a task, tasks in all */
    int64_t part;
};

/* With few tokens, where the time is the memory's, long runs of rows and at last short ones: a thread that goes on to another
 * place begins to fetch ahead anew, and must not keep the others waiting. Else enough tasks that threads end together, each worth
 * its ticket. */
static struct cut cut_of(const struct walker *w, const struct cpu_step *s, int64_t rows)
{
    struct cut c = { .n = s->gated ? 1 : s->n, .part = 3 };
    int64_t all = 0;
    c.chunk = is_few(rows) && !s->gated ? CPU_PACK_ROWS : CPU_PANEL_ROWS; /* a gate's results become blocks of 32 */
    for (uint32_t j = 0; j < c.n; j++)
        all += matrix(w, s->w[j])->rows;
    if (rows > CPU_FEW_ROWS) {
        c.chunk = all / (8 * (int64_t)w->n) / CPU_PANEL_ROWS * CPU_PANEL_ROWS;
        c.chunk = c.chunk > CPU_CHUNK_ROWS ? CPU_CHUNK_ROWS : c.chunk < CPU_PANEL_ROWS ? CPU_PANEL_ROWS : c.chunk;
    }
    for (uint32_t j = 0; j < c.n; j++)
        c.tasks += (matrix(w, s->w[j])->rows + c.chunk - 1) / c.chunk;
    if (rows > CPU_FEW_ROWS)
        c.part = c.tasks;
    return c;
}

/* The weight of tasks first .. end, and its rows *ret_row .. *ret_end of them: as many as it has. */
static uint32_t weight_of_tasks(const struct walker *w, const struct cpu_step *s, const struct cut *c, int64_t first, int64_t end,
                                int64_t *ret_row, int64_t *ret_end)
{
    for (uint32_t j = 0;; j++) {
        int64_t rows = matrix(w, s->w[j])->rows, tasks = (rows + c->chunk - 1) / c->chunk;
        if (first < tasks) {
            *ret_row = first * c->chunk;
            *ret_end = end < tasks ? end * c->chunk : rows;
            return j;
        }
        first -= tasks;
        end -= tasks;
    }
}

void cpu_run_matmul(const struct walker *w, const struct cpu_step *s)
{
    int64_t rows = cpu_rows(value(w, s->gated ? s->x : s->outs[0]), &w->run->dims), task, end, n0, n1;
    if (rows == 0)
        return;
    struct cpu_act a = prepare(w, s, rows);
    struct cut c = cut_of(w, s, rows);
    for (uint32_t j = 0; w->time != NULL && j < s->n; j++)
        cpu_profile_matmul(w->time, matrix(w, s->w[j]), matrix(w, s->w[j])->rows, rows);
    while ((task = next_tasks(w, c.tasks, c.part, &end)) < c.tasks)
        for (; task < end; task += (n1 - n0 + c.chunk - 1) / c.chunk) {
            uint32_t j = weight_of_tasks(w, s, &c, task, end, &n0, &n1);
            if (s->gated)
                gated_chunk(w, s, &a, rows, n0, n1);
            else
                plain_chunk(w, s, j, &a, rows, n0, n1);
        }
}

static void fetch(const void *p, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const uint8_t *)p + i);
}

void cpu_warm_matmul(const struct walker *w, const struct cpu_step *s, uint32_t instance)
{
    struct walker then = *w;
    int64_t n0, n1;
    if (s->kind != CPU_STEP_MATMUL || w->run->dims.sym[TENON_SYM_T] > CPU_SMALL_ROWS)
        return;
    then.layer = w->exe->graph->order[instance].layer;
    struct cut c = cut_of(&then, s, w->run->dims.sym[TENON_SYM_T]);
    int64_t first = range_of(w, w->i, c.tasks), end = range_of(w, w->i + 1, c.tasks);
    if (first == end)
        return;
    const struct cpu_weight *by = weight(&then, s->w[weight_of_tasks(&then, s, &c, first, end, &n0, &n1)]);
    const struct cpu_matrix *m = lies(by, n0 + 1);
    int64_t bytes = (n1 - n0) * m->row_bytes;
    if (s->norm.on && vector(&then, s->norm.w) != NULL)
        fetch(vector(&then, s->norm.w), m->cols * (int64_t)sizeof(float));
    fetch(m->data + n0 * m->row_bytes, bytes < CPU_WARM_BYTES ? bytes : CPU_WARM_BYTES);
}
