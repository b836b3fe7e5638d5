/* test_memplan.c - random graphs are planned and then played: every 64-byte cell of scratch remembers what was last written to it,
 * and every operand must still be whole when it is read. Seeds are printed; TENON_TEST_SEED takes one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/graph/builder.h"
#include "core/graph/dump.h"
#include "core/graph/memplan.h"

#include <tenon/build.h>

#include "seed.h"
#include "suite.h"

static uint64_t seed;
static uint32_t pick(uint32_t n) /* 0 .. n-1 */
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static const struct tenon_dims bounds = {sizeof bounds, 0, {0, 13, 3, 2, 64, 4}};

/* ---- playing a plan ----------------------------------------------------------------------------------------- */

#define CELL 64u

/* cells[i]: the write that cell i holds; written[v]: the write that made v. */
struct player {
    const struct tenon_graph *g;
    const struct tn_plan *plan;
    uint64_t *cells;
    uint64_t *written;
    uint64_t next;
};

static bool in_scratch(const struct player *p, uint32_t v)
{
    int32_t kind = tenon_graph_value(p->g, v)->kind;
    return (kind == TENON_VALUE_NODE || kind == TENON_VALUE_ARG) && p->plan->offset[v] != TN_PLAN_ELSEWHERE && p->plan->size[v] > 0;
}

static void write_value(struct player *p, uint32_t v)
{
    uint64_t at = p->plan->offset[v], end = at + p->plan->size[v];
    p->written[v] = ++p->next;
    if (end > p->plan->bytes || at % TN_PLAN_ALIGN != 0)
        ck_abort_msg("%s lies outside of the plan or askew", tenon_graph_value(p->g, v)->name);
    for (uint64_t c = at / CELL; c * CELL < end; c++)
        p->cells[c] = p->next;
}

static void read_value(const struct player *p, uint32_t v)
{
    uint64_t at = p->plan->offset[v], end = at + p->plan->size[v];
    for (uint64_t c = at / CELL; c * CELL < end; c++)
        if (p->cells[c] != p->written[v]) /* Check's macros are slow even when they hold */
            ck_abort_msg("%s was overwritten before it was read (cell %d)", tenon_graph_value(p->g, v)->name, (int)c);
}

/* A view reads nothing and writes nothing when it shares memory: it holds what its operand holds. */
static void play_node(struct player *p, const struct tenon_node *n)
{
    bool view = n->n_in == 1 && in_scratch(p, n->out[0]) && n->in[0] != TENON_NO_VALUE && in_scratch(p, n->in[0]) &&
                (strcmp(n->op, "core.reshape/1") == 0 || strcmp(n->op, "core.slice/1") == 0) &&
                p->plan->offset[n->out[0]] >= p->plan->offset[n->in[0]] &&
                p->plan->offset[n->out[0]] + p->plan->size[n->out[0]] <= p->plan->offset[n->in[0]] + p->plan->size[n->in[0]];
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != TENON_NO_VALUE && in_scratch(p, n->in[i]))
            read_value(p, n->in[i]);
    if (view) {
        p->written[n->out[0]] = p->written[n->in[0]];
        return;
    }
    for (uint32_t i = 0; i < n->n_out; i++)
        if (in_scratch(p, n->out[i]))
            write_value(p, n->out[i]);
    for (uint32_t i = 0; i < n->n_out; i++) /* outputs of one node do not overlap, and none overlaps an operand */
        if (in_scratch(p, n->out[i]))
            read_value(p, n->out[i]);
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != TENON_NO_VALUE && in_scratch(p, n->in[i]))
            read_value(p, n->in[i]);
}

static const struct tn_plan_move *move_of(const struct player *p, uint32_t from, uint32_t to, uint32_t ret, uint32_t arg)
{
    for (uint32_t i = 0; i < p->plan->n_moves; i++) {
        const struct tn_plan_move *m = &p->plan->moves[i];
        if (m->from == from && m->to == to && m->ret == ret && m->arg == arg)
            return m;
    }
    return NULL;
}

static void pass(struct player *p, uint32_t from, uint32_t to)
{
    const struct tenon_block *a = tenon_graph_block(p->g, from), *b = tenon_graph_block(p->g, to);
    for (uint32_t i = 0; i < b->n_args; i++) {
        read_value(p, a->rets[i]);
        if (move_of(p, from, to, a->rets[i], b->args[i]) != NULL) {
            write_value(p, b->args[i]);
            continue;
        }
        if (p->plan->offset[a->rets[i]] != p->plan->offset[b->args[i]])
            ck_abort_msg("%s is neither in place nor moved", tenon_graph_value(p->g, a->rets[i])->name);
        p->written[b->args[i]] = p->written[a->rets[i]];
    }
    for (uint32_t i = 0; i < b->n_args; i++)
        read_value(p, b->args[i]);
}

static void play(const struct tenon_graph *g, const struct tn_plan *plan)
{
    struct player p = {g, plan, calloc(plan->bytes / CELL + 1, sizeof(uint64_t)), calloc(g->n_values + 1u, sizeof(uint64_t)), 0};
    for (uint32_t i = 0; i < g->n_order; i++) {
        const struct tenon_block *b = tenon_graph_block(g, g->order[i].block);
        if (i > 0)
            pass(&p, g->order[i - 1].block, g->order[i].block);
        for (uint32_t k = 0; k < b->n_nodes; k++)
            play_node(&p, tenon_graph_node(g, b->first_node + k));
    }
    free(p.cells);
    free(p.written);
}

/* ---- random graphs ------------------------------------------------------------------------------------------ */

#define POOL 64

/* Values of one block that nodes may read, all [T,w] or [w,16]. */
struct pool {
    uint32_t v[POOL];
    int64_t width[POOL];
    uint32_t n;
};

static void put(struct pool *pool, uint32_t v, int64_t width)
{
    if (v == TENON_NO_VALUE)
        ck_abort_msg("the generator made a node that is refused");
    pool->v[pool->n] = v;
    pool->width[pool->n++] = width;
}

static uint32_t random_node(const struct tenon_builder *b, struct pool *pool, uint32_t number)
{
    char name[16];
    uint32_t i = pick(pool->n), y;
    int64_t w = pool->width[i];
    struct tenon_dim t = tn_dim_sym(TENON_SYM_T), halves[] = {t, tn_dim_const(2), tn_dim_const(w / 2)}, flat[] = {t, tn_dim_const(w)};
    (void)snprintf(name, sizeof name, "n%u", number);
    switch (pick(5)) {
    case 0: { /* wider */
        const uint32_t in[] = {pool->v[i], pool->v[pick(pool->n)]};
        const struct tenon_attr axis = tenon_attr_i("axis", 1);
        int64_t other = 0;
        for (uint32_t k = 0; k < pool->n; k++)
            other = pool->v[k] == in[1] ? pool->width[k] : other;
        if (w + other <= 512) {
            y = tenon_node1(b, "core.concat/1", name, in, 2, &axis, 1);
            w += other;
            break;
        }
    } /* fall through */
    case 1: { /* two reshapes there and back: a chain of views */
        char mid[20];
        (void)snprintf(mid, sizeof mid, "%s_mid", name);
        y = tenon_reshape(b, name, tenon_reshape(b, mid, pool->v[i], halves, 3), flat, 2);
        break;
    }
    case 2: { /* narrower */
        const struct tenon_attr a[] = {tenon_attr_i("axis", 1), tenon_attr_i("start", 0), tenon_attr_i("length", w > 2 ? w / 4 * 2 : w)};
        y = tenon_node1(b, "core.slice/1", name, &pool->v[i], 1, a, 3);
        w = w > 2 ? w / 4 * 2 : w;
        break;
    }
    default: y = tenon_op2(b, "core.add/1", name, pool->v[i], pool->v[i]); break;
    }
    if (w == 0)
        return TENON_NO_VALUE;
    put(pool, y, w);
    return y;
}

/* A chain of blocks with 1 to 3 values between them, some blocks repeated, and readers of what a block that
 * runs once made. */
static struct tn_graph *random_graph(void)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_builder *builder = NULL;
    struct tn_graph *graph = NULL;
    ck_assert_int_eq(tn_builder_create("step", NULL, NULL, &builder, &err), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    uint32_t n_pass = 1 + pick(3), passed[3], args[3], shared[POOL + 1], n_shared = 0, n_blocks = 2 + pick(4);
    int32_t before = -1; /* a block to run once more behind the next one: A B A C gives B and C one place for their args */
    int64_t widths[3] = {8 + 8 * pick(8), 8 + 8 * pick(8), 8 + 8 * pick(8)}, shared_width[POOL + 1];

    for (uint32_t block = 0; block < n_blocks; block++) {
        struct pool pool = {.n = 0};
        uint32_t runs = block > 0 ? pick(4) + (block + 1 == n_blocks) : 0, fresh;
        bool inner = block > 0 && block + 1 < n_blocks, again = inner && pick(4) == 0, revisit = inner && pick(3) == 0;
        char name[16];
        (void)snprintf(name, sizeof name, "b%u", block);
        b->block_begin(b->ctx, name, passed, block == 0 ? 0 : n_pass, args);
        for (uint32_t i = 0; i < n_pass; i++) {
            struct tenon_dim dims[] = {tn_dim_sym(TENON_SYM_T), tn_dim_const(widths[i])};
            char input[16];
            (void)snprintf(input, sizeof input, "in%u", i);
            put(&pool, block == 0 ? b->input(b->ctx, input, TENON_DTYPE_ACT, dims, 2) : args[i], widths[i]);
        }
        for (uint32_t i = 0; i < n_shared && pool.n < 12 && pick(3) != 0; i++) {
            (void)snprintf(name, sizeof name, "s%u", i);
            put(&pool, tenon_op2(b, "core.add/1", name, shared[i], shared[i]), shared_width[i]);
        }
        fresh = pool.n;
        for (uint32_t i = 0, n = 3 + pick(20); i < n && pool.n < POOL - 4; i++)
            while (random_node(b, &pool, 100 * i + pick(100)) == TENON_NO_VALUE)
                ;
        if (runs <= 1 && !again && !revisit) /* what later blocks may read: newest first, as they are asked for in this order */
            for (uint32_t i = fresh; i < pool.n && n_shared < POOL && pick(4) != 0; i++, n_shared++) {
                memmove(shared + 1, shared, n_shared * sizeof *shared);
                memmove(shared_width + 1, shared_width, n_shared * sizeof *shared_width);
                shared[0] = pool.v[i], shared_width[0] = pool.width[i];
            }
        for (uint32_t i = 0; i < n_pass; i++) { /* a ret is a fresh value, an arg passed on in place, or a view */
            struct tenon_dim dims[] = {tn_dim_sym(TENON_SYM_T), tn_dim_const(widths[i])};
            uint32_t of = pool.v[i];
            (void)snprintf(name, sizeof name, "r%u", i);
            for (uint32_t k = pool.n; k-- > n_pass;)
                if (pool.width[k] == widths[i]) {
                    of = pool.v[k];
                    break;
                }
            uint32_t kind = pick(4);
            passed[i] = kind == 0 && block > 0 ? args[i]
                        : kind == 1            ? tenon_reshape(b, name, of, dims, 2)
                                               : tenon_op2(b, "core.add/1", name, of, of);
        }
        int32_t number = b->block_end(b->ctx, passed, n_pass);
        b->run(b->ctx, number, 0, runs);
        if (again)
            b->run(b->ctx, number, 4, 1);
        if (before >= 0 && block + 1 < n_blocks)
            b->run(b->ctx, before, 0, 0);
        before = revisit ? number : -1;
    }
    for (uint32_t i = 0; i < n_pass; i++)
        b->output(b->ctx, i, i == 0 ? "a" : i == 1 ? "b" : "c");
    int32_t status = tn_builder_finish(builder, &graph, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    tn_builder_destroy(builder);
    return graph;
}

/* For one seed asked for by name: what is being played. */
static void show(const struct tenon_graph *g, const struct tn_plan *plan)
{
    struct tn_buf text = {0};
    ck_assert_int_eq(tn_dump(g, NULL, &text), 0);
    (void)fputs(text.data, stdout);
    tn_buf_finish(&text);
    for (uint32_t i = 0; i < plan->n_values; i++)
        if (tenon_graph_value(g, i)->block != TENON_NO_VALUE)
            printf("%llu +%llu block %u %s\n", (unsigned long long)plan->offset[i], (unsigned long long)plan->size[i],
                   tenon_graph_value(g, i)->block, tenon_graph_value(g, i)->name);
    for (uint32_t i = 0; i < plan->n_moves; i++)
        printf("move value %u to %u, block %u to %u\n", plan->moves[i].ret, plan->moves[i].arg, plan->moves[i].from, plan->moves[i].to);
    fflush(stdout);
}

START_TEST(random_graphs)
{
    bool given = getenv("TENON_TEST_SEED") != NULL;
    uint64_t first = test_seed(1);
    uint32_t planned = 0, refused = 0, moves = 0;
    for (uint64_t s = first; s < first + (given ? 1 : 1500); s++) {
        struct tn_plan plan;
        struct tenon_err err = TENON_ERR_INIT;
        seed = s * 2654435761u;
        printf("seed %llu\n", (unsigned long long)s);
        fflush(stdout);
        struct tn_graph *g = random_graph();
        int32_t status = tn_plan_init(&plan, &g->graph, &bounds, 4, &err);
        if (status == 0 && given)
            show(&g->graph, &plan);
        if (status == 0) {
            play(&g->graph, &plan);
            ck_assert_uint_le(plan.bytes, plan.naive);
            planned++;
            moves += plan.n_moves;
        } else {
            ck_assert_int_eq(status, TENON_E_UNIMPLEMENTED); /* an arg passed on in another place */
            refused++;
        }
        tn_plan_finish(&plan);
        tn_graph_free(g);
    }
    if (!given) {
        ck_assert_uint_gt(planned, 1300);
        ck_assert_uint_gt(moves, 10);
    }
    printf("%u planned, %u refused, %u moves\n", planned, refused, moves);
}
END_TEST

/* ---- by hand ------------------------------------------------------------------------------------------------ */

/* x [T,16] -> a chain of n adds, in one block. */
static struct tn_graph *chain(uint32_t n)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_builder *builder = NULL;
    struct tn_graph *graph = NULL;
    const struct tenon_dim dims[] = {tn_dim_sym(TENON_SYM_T), tn_dim_const(16)};
    ck_assert_int_eq(tn_builder_create("step", NULL, NULL, &builder, &err), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->block_begin(b->ctx, "main", NULL, 0, NULL);
    uint32_t x = b->input(b->ctx, "x", TENON_DTYPE_ACT, dims, 2);
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        x = tenon_op2(b, "core.add/1", name, x, x);
    }
    b->run(b->ctx, b->block_end(b->ctx, &x, 1), 0, 0);
    b->output(b->ctx, 0, "y");
    ck_assert_int_eq(tn_builder_finish(builder, &graph, &err), 0);
    tn_builder_destroy(builder);
    return graph;
}

START_TEST(a_chain_takes_two_places)
{
    struct tn_graph *g = chain(10);
    struct tn_plan plan;
    ck_assert_int_eq(tn_plan_init(&plan, &g->graph, &bounds, 4, NULL), 0);
    ck_assert_uint_eq(plan.bytes, 2 * 13 * 16 * 4);
    ck_assert_uint_eq(plan.naive, 10 * 13 * 16 * 4);
    for (uint32_t i = 0; i < plan.n_values; i++) { /* the input and the output live elsewhere */
        const char *name = tenon_graph_value(&g->graph, i)->name;
        ck_assert_int_eq(plan.offset[i] == TN_PLAN_ELSEWHERE, strcmp(name, "x") == 0 || strcmp(name, "n9") == 0);
    }
    tn_plan_finish(&plan);
    ck_assert_int_eq(tn_plan_init(&plan, &g->graph, &bounds, 2, NULL), 0); /* 16-bit edges */
    ck_assert_uint_eq(plan.bytes, 2 * 448); /* 13 * 16 * 2 = 416, rounded */
    tn_plan_finish(&plan);
    tn_graph_free(g);
}
END_TEST

START_TEST(sizes_that_overflow)
{
    struct tn_graph *g = chain(3);
    struct tn_plan plan;
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_dims huge = bounds;
    static const int64_t tokens[] = {INT64_MAX, INT64_MAX / 16, INT64_MAX / 64 + 1, INT64_MAX / 32, -1};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        huge.sym[TENON_SYM_T] = tokens[i];
        ck_assert_int_eq(tn_plan_init(&plan, &g->graph, &huge, 4, &err), TENON_E_OUT_OF_RANGE);
        ck_assert_ptr_null(plan.offset);
    }
    huge.sym[TENON_SYM_T] = 0;
    ck_assert_int_eq(tn_plan_init(&plan, &g->graph, &huge, 4, &err), 0);
    ck_assert_uint_eq(plan.bytes, 0);
    tn_plan_finish(&plan);
    tn_graph_free(g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memplan");
    TCase *c = tcase_create("memplan");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, a_chain_takes_two_places);
    tcase_add_test(c, sizes_that_overflow);
    tcase_add_test(c, random_graphs);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
