/* The memory plan. Any thread. Contract: memplan.h.
 *
 * Every node output and every block argument belongs to a `home`, one piece of memory. A home is live over intervals of block
 * times: in a block of n nodes, time -1 is the entry, k is node k, n is the end. Two homes may overlap in memory unless they
 * are live at one time of one block. Homes are placed by size, largest first, each at the lowest offset free of those it
 * conflicts with: simple, and within a few per cent of the best for graphs of this kind. */
#include "core/graph/memplan.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/num.h"

#define NONE UINT32_MAX

struct span {
    uint32_t block;
    int64_t from, to; /* block times, both included */
};

struct home {
    struct span *spans; /* [n_spans] */
    uint32_t n_spans, capacity;
    uint64_t size, offset;
};

struct planner {
    const struct tenon_graph *g;
    struct tn_plan *plan;
    struct home *homes;   /* [n_homes]; the first n_values are the values' own, unused where a value has another */
    uint32_t n_homes;
    uint32_t *home_of;    /* [n_values] */
    uint64_t *delta;      /* [n_values] bytes into the home: slices */
    bool *escapes;        /* [n_values] read by another block */
    uint32_t *last_use;   /* [n_values] last node of its own block that reads it, NONE: none */
};

static int32_t no_memory(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "plan", "out of memory for a memory plan");
}

/* ---- sizes -------------------------------------------------------------------------------------------------- */

static uint64_t element_bytes(int32_t dtype, uint32_t act_bytes)
{
    switch (dtype) {
    case TENON_DTYPE_ACT: return act_bytes;
    case TENON_DTYPE_F16: case TENON_DTYPE_BF16: return 2;
    case TENON_DTYPE_STATE: case TENON_DTYPE_WEIGHT: return 0;
    default: return 4;
    }
}

static bool dim_at(const struct tenon_dim *d, const struct tenon_dims *bounds, uint64_t *ret)
{
    int64_t n = d->b;
    if (d->sym != TENON_SYM_NONE && (__builtin_mul_overflow(d->a, bounds->sym[d->sym], &n) ||
                                     __builtin_add_overflow(n, d->b, &n)))
        return false;
    *ret = n > 0 ? (uint64_t)n : 0;
    return n >= 0;
}

static int32_t measure(struct planner *p, const struct tenon_dims *bounds, uint32_t act_bytes, struct tenon_err *err)
{
    for (uint32_t i = 0; i < p->g->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(p->g, i);
        uint64_t size = element_bytes(v->dtype, act_bytes), n, rounded;
        if (v->kind != TENON_VALUE_NODE && v->kind != TENON_VALUE_ARG)
            continue;
        for (uint32_t k = 0; k < v->rank; k++)
            if (!dim_at(&v->dims[k], bounds, &n) || !tn_mul_u64(size, n, &size))
                return tenon_fail(err, TENON_E_OUT_OF_RANGE, v->name, "the value's size overflows: choose smaller bounds");
        if (!tn_align_u64(size, TN_PLAN_ALIGN, &rounded) || !tn_add_u64(p->plan->naive, rounded, &p->plan->naive))
            return tenon_fail(err, TENON_E_OUT_OF_RANGE, v->name, "the sum of sizes overflows: choose smaller bounds");
        p->plan->size[i] = size;
        p->homes[i].size = rounded;
    }
    return TENON_OK;
}

/* ---- views -------------------------------------------------------------------------------------------------- */

/* Is it an output that a node writes straight to where the caller wants it? */
static bool is_output(const struct tenon_graph *g, uint32_t value)
{
    uint32_t last = g->order[g->n_order - 1].block, runs = 0;
    const struct tenon_block *b = tenon_graph_block(g, last);
    for (uint32_t i = 0; i < g->n_order; i++)
        runs += g->order[i].block == last;
    for (uint32_t i = 0; i < b->n_rets; i++)
        if (b->rets[i] == value)
            return runs == 1 && tenon_graph_value(g, value)->kind == TENON_VALUE_NODE;
    return false;
}

/* A slice of rows along the outermost dim, each of constant size: the bytes before it do not depend on the step. */
static bool slice_delta(const struct planner *p, const struct tenon_node *n, uint64_t *ret)
{
    const struct tenon_value *x = tenon_graph_value(p->g, n->in[0]);
    int64_t axis = tenon_node_i64(n, "axis", 0), start = tenon_node_i64(n, "start", 0);
    uint64_t rows = x->dims[0].sym == TENON_SYM_NONE ? (uint64_t)x->dims[0].b : 0;
    if (axis < 0)
        axis += x->rank;
    for (uint32_t i = 1; i < x->rank; i++)
        if (x->dims[i].sym != TENON_SYM_NONE)
            return false;
    if (axis != 0 || rows == 0)
        return false;
    *ret = p->plan->size[n->in[0]] / rows * (uint64_t)start;
    return *ret % TN_PLAN_ALIGN == 0; /* backends count on aligned values */
}

/* Give views the home of what they look at; not where another block reads them but the arg they look at is passed on anew. */
static void share_views(struct planner *p)
{
    for (uint32_t i = 0; i < p->g->n_nodes; i++) {
        const struct tenon_node *n = tenon_graph_node(p->g, i);
        bool reshape = strcmp(n->op, "core.reshape/1") == 0, slice = strcmp(n->op, "core.slice/1") == 0;
        uint64_t delta = 0;
        if (!reshape && !slice)
            continue;
        const struct tenon_value *x = tenon_graph_value(p->g, n->in[0]);
        bool of_arg = tenon_graph_value(p->g, p->home_of[n->in[0]])->kind == TENON_VALUE_ARG;
        if (x->block != n->block || (of_arg && p->escapes[n->out[0]]) || x->dtype == TENON_DTYPE_STATE ||
            is_output(p->g, n->out[0]) || is_output(p->g, n->in[0]) || (slice && !slice_delta(p, n, &delta)))
            continue;
        p->home_of[n->out[0]] = p->home_of[n->in[0]];
        p->delta[n->out[0]] = p->delta[n->in[0]] + delta;
    }
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static bool add_span(struct home *h, uint32_t block, int64_t from, int64_t to)
{
    if (h->n_spans == h->capacity) {
        uint32_t capacity = h->capacity != 0 ? 2 * h->capacity : 4;
        struct span *spans = realloc(h->spans, capacity * sizeof *spans);
        if (spans == NULL)
            return false;
        h->spans = spans;
        h->capacity = capacity;
    }
    h->spans[h->n_spans++] = (struct span){block, from, to};
    return true;
}

static bool spans_meet(const struct home *h, uint32_t block, int64_t from, int64_t to)
{
    for (uint32_t i = 0; i < h->n_spans; i++)
        if (h->spans[i].block == block && h->spans[i].from <= to && from <= h->spans[i].to)
            return true;
    return false;
}

static bool conflict(const struct home *a, const struct home *b)
{
    for (uint32_t i = 0; i < b->n_spans; i++)
        if (spans_meet(a, b->spans[i].block, b->spans[i].from, b->spans[i].to))
            return true;
    return false;
}

static void find_uses(struct planner *p)
{
    const struct tenon_graph *g = p->g;
    for (uint32_t i = 0; i < g->n_values; i++)
        p->last_use[i] = NONE;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct tenon_node *n = tenon_graph_node(g, i);
        for (uint32_t k = 0; k < n->n_in; k++) {
            const struct tenon_value *v = n->in[k] != TENON_NO_VALUE ? tenon_graph_value(g, n->in[k]) : NULL;
            if (v == NULL || v->block == TENON_NO_VALUE)
                continue;
            if (v->block == n->block)
                p->last_use[n->in[k]] = i - tenon_graph_block(g, n->block)->first_node;
            else
                p->escapes[n->in[k]] = true;
        }
    }
    for (uint32_t b = 0; b < g->n_blocks; b++)
        for (uint32_t i = 0; i < tenon_graph_block(g, b)->n_rets; i++)
            p->last_use[tenon_graph_block(g, b)->rets[i]] = tenon_graph_block(g, b)->n_nodes;
}

/* A value that other blocks read: live to the end of its block, and in whole in every block that runs up to its last
 * reader. */
static bool add_escape(struct planner *p, uint32_t value)
{
    const struct tenon_graph *g = p->g;
    const struct tenon_value *v = tenon_graph_value(g, value);
    struct home *h = &p->homes[p->home_of[value]];
    uint32_t first = NONE, last = 0;
    for (uint32_t i = 0; i < g->n_order; i++) {
        const struct tenon_block *b = tenon_graph_block(g, g->order[i].block);
        if (g->order[i].block == v->block)
            first = i;
        for (uint32_t k = 0; k < b->n_nodes; k++) {
            const struct tenon_node *n = tenon_graph_node(g, b->first_node + k);
            for (uint32_t j = 0; j < n->n_in; j++)
                if (n->in[j] == value)
                    last = i;
        }
    }
    for (uint32_t i = first; i != NONE && i <= last; i++) {
        const struct tenon_block *b = tenon_graph_block(g, g->order[i].block);
        bool own = g->order[i].block == v->block;
        int64_t from = own ? (int64_t)(v->producer - b->first_node) : -1;
        if (!spans_meet(h, g->order[i].block, from, b->n_nodes) || own)
            if (!add_span(h, g->order[i].block, from, b->n_nodes))
                return false;
    }
    return true;
}

static bool add_lives(struct planner *p)
{
    for (uint32_t i = 0; i < p->g->n_values; i++) {
        const struct tenon_value *v = tenon_graph_value(p->g, i);
        if ((v->kind != TENON_VALUE_NODE && v->kind != TENON_VALUE_ARG) || v->dtype == TENON_DTYPE_STATE || is_output(p->g, i))
            continue;
        int64_t from = v->kind == TENON_VALUE_ARG ? -1 : (int64_t)(v->producer - tenon_graph_block(p->g, v->block)->first_node);
        int64_t to = p->last_use[i] == NONE ? from : (int64_t)p->last_use[i];
        if (!add_span(&p->homes[p->home_of[i]], v->block, from, to) || (p->escapes[i] && !add_escape(p, i)))
            return false;
    }
    return true;
}

/* ---- passing between instances ------------------------------------------------------------------------------ */

/* All values of home `from` move to home `to`. */
static bool merge_homes(struct planner *p, uint32_t from, uint32_t to)
{
    struct home *a = &p->homes[from], *b = &p->homes[to];
    if (from == to)
        return true;
    for (uint32_t i = 0; i < a->n_spans; i++)
        if (!add_span(b, a->spans[i].block, a->spans[i].from, a->spans[i].to))
            return false;
    b->size = a->size > b->size ? a->size : b->size;
    a->n_spans = 0;
    for (uint32_t i = 0; i < p->g->n_values; i++)
        if (p->home_of[i] == from)
            p->home_of[i] = to;
    return true;
}

/* Args number i of all blocks that follow one block are one piece of memory, so that a ret has one target. */
static bool join_targets(struct planner *p)
{
    const struct tenon_graph *g = p->g;
    for (uint32_t i = 0; i + 1 < g->n_order; i++) {
        const struct tenon_block *b = tenon_graph_block(g, g->order[i + 1].block);
        for (uint32_t j = i + 1; j + 1 < g->n_order; j++) {
            const struct tenon_block *c = tenon_graph_block(g, g->order[j + 1].block);
            if (g->order[j].block != g->order[i].block || c == b)
                continue;
            for (uint32_t k = 0; k < b->n_args; k++)
                if (!merge_homes(p, p->home_of[c->args[k]], p->home_of[b->args[k]]))
                    return false;
        }
    }
    return true;
}

static bool has_move(const struct planner *p, uint32_t from, uint32_t ret, uint32_t to, uint32_t arg)
{
    for (uint32_t i = 0; i < p->plan->n_moves; i++) {
        const struct tn_plan_move *m = &p->plan->moves[i];
        if (m->from == from && m->to == to && m->ret == ret && m->arg == arg)
            return true;
    }
    return false;
}

static int32_t add_move(struct planner *p, uint32_t from, uint32_t ret, uint32_t to, uint32_t arg, struct tenon_err *err)
{
    struct tn_plan_move *moves;
    if (has_move(p, from, ret, to, arg))
        return TENON_OK;
    moves = realloc(p->plan->moves, (p->plan->n_moves + 1u) * sizeof *moves);
    if (moves == NULL)
        return no_memory(err);
    p->plan->moves = moves;
    moves[p->plan->n_moves++] = (struct tn_plan_move){from, to, ret, arg};
    struct home *target = &p->homes[p->home_of[arg]];
    int64_t end = tenon_graph_block(p->g, from)->n_nodes;
    return spans_meet(target, from, end, end) || add_span(target, from, end, end) ? TENON_OK : no_memory(err);
}

/* Can the ret be computed in place, where the next block wants it? */
static bool fits_target(const struct planner *p, uint32_t ret, uint32_t arg)
{
    const struct tenon_value *v = tenon_graph_value(p->g, ret);
    uint32_t home = p->home_of[ret];
    return v->kind == TENON_VALUE_NODE && tenon_graph_value(p->g, home)->kind == TENON_VALUE_NODE &&
           p->delta[ret] == 0 && !conflict(&p->homes[home], &p->homes[p->home_of[arg]]);
}

static int32_t pass_one(struct planner *p, uint32_t from, uint32_t ret, uint32_t to, uint32_t arg, struct tenon_err *err)
{
    if (p->home_of[ret] == p->home_of[arg] && p->delta[ret] == 0)
        return TENON_OK;
    if (fits_target(p, ret, arg))
        return merge_homes(p, p->home_of[ret], p->home_of[arg]) ? TENON_OK : no_memory(err);
    const struct tenon_block *block = tenon_graph_block(p->g, from);
    for (uint32_t i = 0; i < block->n_rets; i++) /* moves run one after the other: none may overwrite what another reads */
        if (p->home_of[block->rets[i]] == p->home_of[arg])
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, tenon_graph_value(p->g, ret)->name,
                              "block '%s' passes '%s' on in another place: let it compute a copy", block->name,
                              tenon_graph_value(p->g, block->rets[i])->name);
    return add_move(p, from, ret, to, arg, err);
}

/* In-place rets first: their homes merge, and a move made before could then lie where they are. */
static int32_t pass_values(struct planner *p, bool in_place, struct tenon_err *err)
{
    const struct tenon_graph *g = p->g;
    for (uint32_t i = 0; i + 1 < g->n_order; i++) {
        const struct tenon_block *a = tenon_graph_block(g, g->order[i].block), *b = tenon_graph_block(g, g->order[i + 1].block);
        for (uint32_t k = 0; k < b->n_args; k++) {
            int32_t status = TENON_OK;
            if (!in_place || fits_target(p, a->rets[k], b->args[k]))
                status = pass_one(p, g->order[i].block, a->rets[k], g->order[i + 1].block, b->args[k], err);
            if (status != 0)
                return status;
        }
    }
    return TENON_OK;
}

/* ---- placing ------------------------------------------------------------------------------------------------ */

static int by_offset(const void *x, const void *y)
{
    const struct home *a = *(const struct home *const *)x, *b = *(const struct home *const *)y;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

static int by_size(const void *x, const void *y)
{
    const struct home *a = *(const struct home *const *)x, *b = *(const struct home *const *)y;
    return a->size != b->size ? (a->size < b->size) - (a->size > b->size) : (a > b) - (a < b);
}

/* The lowest offset that overlaps none of the placed homes it conflicts with. `near` is scratch of n_placed. */
static bool place(struct home *h, struct home *const *placed, uint32_t n_placed, struct home **near)
{
    uint64_t at = 0, end;
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_placed; i++)
        if (conflict(h, placed[i]))
            near[n++] = placed[i];
    qsort(near, n, sizeof *near, by_offset);
    for (uint32_t i = 0; i < n; i++) {
        if (near[i]->offset >= at && near[i]->offset - at >= h->size)
            break;
        end = near[i]->offset + near[i]->size; /* was checked when it was placed */
        at = end > at ? end : at;
    }
    h->offset = at;
    return tn_add_u64(at, h->size, &end);
}

static int32_t place_all(struct planner *p, struct tenon_err *err)
{
    uint32_t n = 0;
    int32_t status = TENON_OK;
    struct home **homes = calloc(2u * (size_t)p->n_homes + 1u, sizeof *homes);
    if (homes == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < p->n_homes; i++)
        if (p->homes[i].n_spans > 0 && p->homes[i].size > 0)
            homes[n++] = &p->homes[i];
    qsort(homes, n, sizeof *homes, by_size);
    for (uint32_t i = 0; status == 0 && i < n; i++) {
        if (!place(homes[i], homes, i, homes + p->n_homes))
            status = tenon_fail(err, TENON_E_OUT_OF_RANGE, "plan", "the scratch memory's size overflows: choose smaller bounds");
        else if (homes[i]->offset + homes[i]->size > p->plan->bytes)
            p->plan->bytes = homes[i]->offset + homes[i]->size;
    }
    free(homes);
    return status;
}

static void write_offsets(struct planner *p)
{
    for (uint32_t i = 0; i < p->g->n_values; i++) {
        const struct home *h = &p->homes[p->home_of[i]];
        p->plan->offset[i] = h->n_spans > 0 ? h->offset + p->delta[i] : TN_PLAN_ELSEWHERE;
    }
}

/* ---- the whole ---------------------------------------------------------------------------------------------- */

static int32_t make_plan(struct planner *p, const struct tenon_dims *bounds, uint32_t act_bytes, struct tenon_err *err)
{
    int32_t status = measure(p, bounds, act_bytes, err);
    if (status != 0)
        return status;
    for (uint32_t i = 0; i < p->g->n_values; i++)
        p->home_of[i] = i;
    find_uses(p);
    share_views(p);
    if (!add_lives(p) || !join_targets(p))
        return no_memory(err);
    status = pass_values(p, true, err);
    if (status == 0)
        status = pass_values(p, false, err);
    if (status == 0)
        status = place_all(p, err);
    if (status == 0)
        write_offsets(p);
    return status;
}

int32_t tn_plan_init(struct tn_plan *plan, const struct tenon_graph *g, const struct tenon_dims *bounds, uint32_t act_bytes,
                     struct tenon_err *err)
{
    size_t n = g->n_values + 1u;
    struct planner p = {.g = g, .plan = plan, .n_homes = g->n_values};
    int32_t status = TENON_OK;

    *plan = (struct tn_plan){.n_values = g->n_values, .offset = calloc(n, sizeof *plan->offset), .size = calloc(n, sizeof *plan->size)};
    p.homes = calloc(n, sizeof *p.homes);
    p.home_of = calloc(n, sizeof *p.home_of);
    p.delta = calloc(n, sizeof *p.delta);
    p.escapes = calloc(n, sizeof *p.escapes);
    p.last_use = calloc(n, sizeof *p.last_use);
    if (plan->offset == NULL || plan->size == NULL || p.homes == NULL || p.home_of == NULL || p.delta == NULL ||
        p.escapes == NULL || p.last_use == NULL)
        status = no_memory(err);
    if (status == 0)
        status = make_plan(&p, bounds, act_bytes, err);
    for (uint32_t i = 0; p.homes != NULL && i < p.n_homes; i++)
        free(p.homes[i].spans);
    free(p.homes);
    free(p.home_of);
    free(p.delta);
    free(p.escapes);
    free(p.last_use);
    if (status != 0)
        tn_plan_finish(plan);
    return status;
}

void tn_plan_finish(struct tn_plan *plan)
{
    free(plan->offset);
    free(plan->size);
    free(plan->moves);
    *plan = (struct tn_plan){0};
}
