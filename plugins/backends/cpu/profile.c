/* profile.c - times of steps, when a plan was compiled with TENON_COMPILE_PROFILE: thread 0 reads the clock after each barrier.
 *
 * A step's time is what all threads together needed, its barrier included. Bytes are what must come from memory at least once
 * (weights, of tables the rows looked up; the cache or the state of every sequence), operations what the formulas have: multiply
 * and add are two, a comparison and a function of one number are one, moving is none. What a step of products takes in besides
 * (norm, bias, activation, residual) is not counted. Written by thread 0 of an execution, read between executions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/visible.h"
#include "plan.h"

double cpu_profile_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int32_t cpu_profile_init(struct tenon_executable *exe, struct tenon_err *err)
{
    exe->times = calloc((size_t)exe->n_steps + 1, sizeof *exe->times);
    return exe->times != NULL ? 0 : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for a profile");
}

void cpu_profile_matmul(struct cpu_step_time *t, const struct cpu_matrix *m, int64_t n, int64_t rows)
{
    double operations = 2.0 * (double)rows * (double)n * (double)m->cols;
    t->bytes += (double)(n * m->row_bytes);
    t->operations += operations;
    t->float_operations += cpu_encoding_at(m->format)->quantised ? 0.0 : operations;
    t->bf16_operations += m->format == CPU_BF16 ? operations : 0.0;
    t->formats |= (uint64_t)1 << (m->row != NULL ? CPU_FORMAT_COUNT : m->format);
}

void cpu_profile_floats(struct cpu_step_time *t, double operations, int64_t n)
{
    t->operations += operations * (double)n;
    t->float_operations += operations * (double)n;
}

/* What an op does with each element of its input or output, whichever has more. */
static const struct {
    const char *op;
    double operations;
} by_element[] = {
    { "core.add/1", 1 }, { "core.sub/1", 1 }, { "core.mul/1", 1 }, { "core.div/1", 1 }, { "core.maximum/1", 1 },
    { "core.compare/1", 1 }, { "core.unary/1", 1 }, { "core.cumsum/1", 1 }, { "core.reduce/1", 1 }, { "core.argmax/1", 1 },
    { "core.affine/1", 2 },     /* scale, shift */
    { "core.clamp/1", 2 },      /* both ends */
    { "core.softcap/1", 3 },    /* divide, tanh, multiply */
    { "core.rope/1", 3 },       /* two products, their sum */
    { "core.l2_norm/1", 3 },    /* square, sum, scale */
    { "core.rms_norm/1", 4 },   /* square, sum, scale, weight */
    { "core.softmax/1", 5 },    /* largest, subtract, exp, sum, divide */
    { "core.add_norm/1", 5 },   /* add, then as rms_norm */
    { "core.layer_norm/1", 7 }, /* sum, subtract, square, sum, scale, weight, bias */
    { "core.group_norm/1", 4 }, /* as rms_norm */
};

double cpu_profile_of_element(const char *op)
{
    for (size_t i = 0; i < sizeof by_element / sizeof *by_element; i++)
        if (strcmp(by_element[i].op, op) == 0)
            return by_element[i].operations;
    return 0.0;
}

void cpu_profile_keys(struct cpu_step_time *t, double key_operations, double key_bytes, int64_t n, bool last)
{
    if (n <= 0)
        return;
    cpu_profile_floats(t, key_operations, n);
    t->bytes += last ? key_bytes * (double)n : 0.0;
}

void cpu_profile_attention(struct cpu_step_time *t, const struct cpu_attn *a, int64_t tokens)
{
    const struct cpu_kv *kv = a->kv;
    double key_ops = 2.0 * a->n_heads * (kv->k_dim + kv->v_dim);
    double key_bytes = (double)cpu_kv_bytes(kv, (int64_t)kv->kv_heads * (kv->k_dim + kv->v_dim));
    for (int64_t i = 0; i < tokens; i++) {
        struct cpu_visible see = cpu_visible(a, i);
        bool last = i + 1 == tokens || a->seq_of_token[i + 1] != a->seq_of_token[i];
        cpu_profile_keys(t, key_ops, key_bytes, see.end - see.first, last);
    }
}

/* Their names, as many as there is room for whole. */
static void name_formats(uint64_t formats, char *ret, size_t size)
{
    size_t used = 0;
    ret[0] = '\0';
    for (int f = 0; f <= CPU_FORMAT_COUNT; f++) {
        const char *id = f == CPU_FORMAT_COUNT ? "(program)" : cpu_encoding_at((enum cpu_format)f)->id;
        if ((formats >> f & 1) != 0 && used + strlen(id) + 2 <= size)
            used += (size_t)snprintf(ret + used, size - used, "%s%s", used > 0 ? " " : "", id);
    }
}

int32_t cpu_profile(struct tenon_executable *exe, uint32_t i, struct tenon_profile_entry *ret)
{
    if (exe->times == NULL || i >= exe->n_steps)
        return TENON_E_OUT_OF_RANGE;
    const struct tenon_node *n = tenon_graph_node(exe->graph, exe->steps[i].node);
    const struct cpu_step_time *t = &exe->times[i];
    /* pairs of bf16 are as fast as those of 16-bit integers, and so counted */
    double pairs = exe->narrow && exe->dev->k->bf16 ? t->bf16_operations : 0.0;
    struct tenon_profile_entry e = {
        .struct_size = ret->struct_size < sizeof e ? ret->struct_size : (uint32_t)sizeof e, .count = t->count, .seconds = t->seconds,
        .bytes = t->bytes, .operations = t->operations, .float_operations = t->float_operations - pairs,
        .int8_operations = exe->narrow ? t->operations - t->float_operations : 0.0,
    };
    (void)snprintf(e.name, sizeof e.name, "%s.%s", tenon_graph_block(exe->graph, n->block)->name, n->name);
    (void)snprintf(e.op, sizeof e.op, "%s", n->op);
    name_formats(t->formats, e.encodings, sizeof e.encodings);
    memcpy(ret, &e, e.struct_size);
    return 0;
}
