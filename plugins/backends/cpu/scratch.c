/* scratch.c - where a plan's values live: sizes checked, scratch memory laid out so that values in use at different times share
 * it.
 *
 * Layout of scratch: carry (two sides, what blocks hand on), values read across blocks, then one region that all blocks use in
 * turn, rope tables, the shared prepared activations, and private memory per thread. [any-thread], once per load. Contract:
 * plan.h. */
#include <stdlib.h>

#include "generic.h"

static uint64_t align_up(uint64_t n)
{
    return (n + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN;
}

#define MOST_ELEMENTS (INT64_C(1) << 44)

int32_t cpu_check_sizes(const struct tenon_executable *exe, struct tenon_err *err)
{
    for (uint32_t i = 0; i < exe->graph->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(exe->graph, i);
        int64_t n = 1, dim;
        for (uint32_t d = 0; d < v->rank; d++) {
            bool fits = v->dims[d].sym < TENON_SYM_COUNT && v->dims[d].a >= 0 && v->dims[d].a <= INT32_MAX && v->dims[d].b >= 0 &&
                        v->dims[d].b <= MOST_ELEMENTS;
            dim = fits ? tenon_dim_value(&v->dims[d], &exe->bucket) : -1;
            if (dim < 0 || __builtin_mul_overflow(n, dim > 0 ? dim : 1, &n) || n > MOST_ELEMENTS)
                return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, v->name,
                                  "its largest size is negative or past counting: a smaller context or step may do");
        }
    }
    return 0;
}

/* A stretch of the block region that is in use for steps first..last. */
struct interval {
    uint32_t first, last;
    uint64_t size, *offset;
};

struct layout {
    struct tenon_executable *exe;
    struct interval *list; /* [capacity] */
    uint32_t n, block;
    uint64_t base, end; /* of the block region */
};

static uint64_t value_bytes(const struct tenon_executable *exe, uint32_t v)
{
    return align_up((uint64_t)cpu_elements(tenon_graph_value(exe->graph, v), &exe->bucket) * sizeof(float));
}

/* The node a generic step runs, NULL: the step is of another kind. */
static const struct tenon_node *generic_node(const struct tenon_executable *exe, const struct cpu_step *s)
{
    return s->kind == CPU_STEP_GENERIC ? tenon_graph_node(exe->graph, s->node) : NULL;
}

static bool step_reads(const struct tenon_executable *exe, const struct cpu_step *s, uint32_t v)
{
    const struct tenon_node *n = generic_node(exe, s);
    for (uint32_t i = 0; n != NULL && i < n->n_in; i++)
        if (cpu_root(exe, n->in[i]) == v)
            return true;
    const uint32_t ins[] = { s->x, s->b, s->norm.on ? s->norm.x : TENON_NO_VALUE, s->k, s->v };
    for (uint32_t i = 0; i < sizeof ins / sizeof ins[0]; i++)
        if (ins[i] != TENON_NO_VALUE && cpu_root(exe, ins[i]) == v)
            return true;
    return false;
}

/* The last step of the block that reads v, or `from`. */
static uint32_t last_read(const struct tenon_executable *exe, uint32_t block, uint32_t v, uint32_t from)
{
    uint32_t last = from, end = exe->block_first[block] + exe->block_steps[block];
    for (uint32_t i = from; i < end; i++)
        if (step_reads(exe, &exe->steps[i], v))
            last = i;
    return last;
}

static bool read_elsewhere(const struct tenon_executable *exe, uint32_t block, uint32_t v)
{
    for (uint32_t b = 0; b < exe->graph->n_blocks; b++)
        for (uint32_t i = 0; b != block && i < exe->block_steps[b]; i++)
            if (step_reads(exe, &exe->steps[exe->block_first[b] + i], v))
                return true;
    return false;
}

/* Lowest gap between stretches in use at the same time; earlier intervals are placed already. */
static void place(struct layout *l, uint32_t at)
{
    struct interval *me = &l->list[at];
    uint64_t offset = l->base;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < at; i++) {
            const struct interval *o = &l->list[i];
            if (o->last >= me->first && me->last >= o->first && *o->offset < offset + me->size && offset < *o->offset + o->size) {
                offset = *o->offset + o->size;
                moved = true;
            }
        }
    }
    *me->offset = offset;
    if (offset + me->size > l->end)
        l->end = offset + me->size;
}

static void want(struct layout *l, uint32_t first, uint32_t last, uint64_t size, uint64_t *offset)
{
    l->list[l->n] = (struct interval){ first, last, size, offset };
    place(l, l->n++);
}

static void want_value(struct layout *l, uint32_t step, uint32_t v)
{
    if (v != TENON_NO_VALUE && l->exe->homes[v].place == CPU_PLACE_SCRATCH && l->exe->homes[v].offset == UINT64_MAX)
        want(l, step, last_read(l->exe, l->block, v, step), value_bytes(l->exe, v), &l->exe->homes[v].offset);
}

static uint32_t outputs(const struct tenon_executable *exe, const struct cpu_step *s, uint32_t *v)
{
    const struct tenon_node *node = generic_node(exe, s);
    uint32_t n = 0;
    for (uint32_t i = 0; node != NULL && i < node->n_out; i++)
        v[n++] = node->out[i];
    v[n++] = s->out;
    for (uint32_t i = 0; i < s->n; i++)
        v[n++] = s->outs[i];
    return n;
}

uint64_t cpu_expand_bytes(const struct tenon_executable *exe, const struct tenon_node *n, uint32_t in)
{
    uint32_t root = cpu_root(exe, n->in[in]);
    if (root == TENON_NO_VALUE || tenon_graph_value(exe->graph, root)->kind != TENON_VALUE_WEIGHT ||
        exe->weights[exe->weight_base[root]].f32 != NULL || cpu_generic_packed(exe->graph, n, in))
        return 0;
    return value_bytes(exe, root);
}

static int64_t step_rows(const struct tenon_executable *exe, const struct cpu_step *s)
{
    return cpu_rows(tenon_graph_value(exe->graph, s->gated ? s->x : s->outs[0]), &exe->bucket);
}

static void layout_block(struct layout *l)
{
    struct tenon_executable *exe = l->exe;
    uint32_t v[CPU_GROUP_MAX + 1];
    l->n = 0;
    for (uint32_t i = 0; i < exe->block_steps[l->block]; i++) {
        uint32_t at = exe->block_first[l->block] + i;
        struct cpu_step *s = &exe->steps[at];
        for (uint32_t j = outputs(exe, s, v); j-- > 0;)
            want_value(l, at, v[j]);
        if (s->expand_bytes != 0)
            want(l, at, at, s->expand_bytes, &s->expand_offset);
        if (s->kind == CPU_STEP_MATMUL && s->gated) {
            uint64_t bytes = align_up((uint64_t)(step_rows(exe, s) * exe->weights[exe->weight_base[s->w[0]]].m.rows) * sizeof(float));
            want(l, at, at + 1, bytes, &s->hidden_offset);
            want(l, at, at, s->n > 1 ? bytes : 0, &s->gate_offset);
        }
        if (s->kind == CPU_STEP_MATMUL && s->x == TENON_NO_VALUE)
            s->hidden_offset = exe->steps[at - 1].hidden_offset;
    }
}

static uint64_t layout_carry(struct tenon_executable *exe)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < exe->n_carry; i++) {
        uint64_t size = 0;
        for (uint32_t v = 0; v < exe->graph->n_values; v++)
            if (exe->homes[v].place == CPU_PLACE_CARRY && exe->homes[v].index == i && value_bytes(exe, v) > size)
                size = value_bytes(exe, v);
        for (uint32_t side = 0; side < 2; side++, end += size)
            exe->carry_offset[side][i] = end;
    }
    return end;
}

/* Values that another block reads stay for the whole execution. */
static uint64_t layout_lasting(struct tenon_executable *exe, uint64_t end)
{
    for (uint32_t v = 0; v < exe->graph->n_values; v++) {
        struct cpu_home *h = &exe->homes[v];
        if (h->place != CPU_PLACE_SCRATCH)
            continue;
        h->offset = UINT64_MAX;
        if (read_elsewhere(exe, tenon_graph_value(exe->graph, v)->block, v)) {
            h->offset = end;
            end += value_bytes(exe, v);
        }
    }
    return end;
}

/* Parts of split attention over `tokens` tokens whose caches may be full; 0: too large to be split. */
static uint64_t parts_bytes(const struct tenon_executable *exe, const struct cpu_step *s)
{
    int64_t keys = exe->bucket.sym[TENON_SYM_P] * CPU_PAGE_TOKENS, spans = (keys + CPU_SPAN_TOKENS - 1) / CPU_SPAN_TOKENS;
    int64_t tokens = exe->bucket.sym[TENON_SYM_T] < CPU_SPLIT_TOKENS ? exe->bucket.sym[TENON_SYM_T] : CPU_SPLIT_TOKENS;
    uint64_t bytes = (uint64_t)(spans * s->heads * cpu_attn_part_floats(s->v_dim)) * sizeof(float), most = CPU_SPLIT_BYTES;
    return bytes > most ? 0 : bytes * (uint64_t)tokens < most ? bytes * (uint64_t)tokens : most;
}

static uint64_t layout_activations(struct tenon_executable *exe, uint64_t end)
{
    uint64_t q_bytes = 0, attn = 0;
    int32_t kv_heads = 0;
    for (uint32_t i = 0; i < exe->n_steps; i++) {
        const struct cpu_step *s = &exe->steps[i];
        if (s->kind == CPU_STEP_ATTENTION) {
            uint64_t bytes = (uint64_t)cpu_attn_scratch_bytes(s->k_dim, s->v_dim);
            attn = bytes > attn ? bytes : attn;
            exe->parts_bytes = parts_bytes(exe, s) > exe->parts_bytes ? parts_bytes(exe, s) : exe->parts_bytes;
            kv_heads = s->kv_heads > kv_heads ? s->kv_heads : kv_heads;
        }
        if (s->kind == CPU_STEP_GENERIC && s->generic == TENON_OPN_GROUPED_MATMUL) { /* decodes into the thread's one row */
            uint64_t row = (uint64_t)cpu_cols(tenon_graph_value(exe->graph, generic_node(exe, s)->in[1]), &exe->bucket);
            exe->max_k = row > exe->max_k ? row : exe->max_k;
        }
        if (s->kind != CPU_STEP_MATMUL)
            continue;
        int64_t k = exe->weights[exe->weight_base[s->w[0]]].m.cols, rows = step_rows(exe, s);
        uint64_t x = align_up((uint64_t)(rows * k) * sizeof(float)), q = s->quantised ? (uint64_t)cpu_act_bytes(rows, k) : 0;
        if (s->norm.on && x > exe->act_x_bytes)
            exe->act_x_bytes = x;
        q_bytes = q > q_bytes ? q : q_bytes;
        exe->max_k = (uint64_t)k > exe->max_k ? (uint64_t)k : exe->max_k;
    }
    exe->part_tickets = (uint32_t)(CPU_SPLIT_TOKENS * kv_heads);
    exe->parts_offset = end;
    exe->shared_act_offset = align_up(end + exe->parts_bytes);
    end = align_up(exe->shared_act_offset + exe->act_x_bytes + q_bytes);
    exe->thread_offset = end;
    uint64_t k = (exe->max_k + 31) / 32 * 32, kernels = CPU_MATMUL_SCRATCH + align_up(attn),
             programs = align_up(cpu_program_scratch(exe));
    exe->thread_act_bytes = align_up(CPU_SMALL_ROWS * k * sizeof(float)) + align_up((uint64_t)cpu_act_bytes(CPU_SMALL_ROWS, (int64_t)k));
    exe->thread_bytes = exe->thread_act_bytes + (kernels > programs ? kernels : programs);
    return end + exe->n_threads * exe->thread_bytes;
}

int32_t cpu_layout_scratch(struct tenon_executable *exe, struct tenon_err *err)
{
    struct layout l = { .exe = exe };
    uint64_t end = layout_lasting(exe, layout_carry(exe));
    l.list = calloc((size_t)exe->n_steps * (CPU_GROUP_MAX + 3) + 1, sizeof *l.list);
    if (l.list == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory to lay out the plan");
    l.base = l.end = end;
    for (l.block = 0; l.block < exe->graph->n_blocks; l.block++)
        layout_block(&l);
    free(l.list);
    end = l.end;
    for (uint32_t i = 0; i < exe->n_ropes; i++) {
        exe->ropes[i].table_offset = end;
        end += align_up((uint64_t)(exe->bucket.sym[TENON_SYM_T] * exe->ropes[i].rope.n_rot) * sizeof(float));
    }
    exe->scratch_bytes = layout_activations(exe, end);
    return 0;
}
