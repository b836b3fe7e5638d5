/* test_graph.c - the builder's errors, and the verifier on graphs that were sound until one thing in them was changed. */
#include <check.h>

#include "core/graph/builder.h"
#include "core/graph/declared.h"
#include "core/graph/verify.h"
#include "suite.h"

#include <tenon/build.h>

#define T_ tn_dim_sym(TENON_SYM_T)
#define DIMS(...) (struct tenon_dim[]){__VA_ARGS__}, sizeof((struct tenon_dim[]){__VA_ARGS__}) / sizeof(struct tenon_dim)

/* ---- a model of two kinds of layers ------------------------------------------------------------------------- */

#define LAYERED TENON_WEIGHT_LAYERED
static const struct tenon_weight_row rows[] = {
    {.name = "embed", .gguf = "e", .role = TENON_ROLE_EMBED, .rank = 2, .dims = {0, 1}},
    {.name = "layers.{i}.w", .gguf = "w", .role = TENON_ROLE_MATMUL, .flags = LAYERED, .rank = 2, .dims = {1, 1}},
    {.name = "head", .gguf = "h", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_OPTIONAL, .rank = 2, .dims = {0, 1}, .tied_to = "embed"},
    {.name = "bias", .gguf = "b", .role = TENON_ROLE_BIAS, .flags = TENON_WEIGHT_OPTIONAL, .rank = 1, .dims = {1}},
};
#define N_ROWS 4u
static const struct tenon_state_desc states[] = {
    {.struct_size = sizeof states[0], .kind = TENON_STATE_KV_PAGED, .name = "kv", .n_layers = 2, .group = 1, .k_heads = 2, .k_dim = 4,
     .v_heads = 2, .v_dim = 4},
    {.struct_size = sizeof states[0], .kind = TENON_STATE_RECURRENT, .name = "slots", .n_layers = 2},
};
static struct tenon_weight_desc weights[N_ROWS];
static struct tenon_weight_source sources[N_ROWS * TENON_ROW_SOURCES];
static char hf_names[N_ROWS * TENON_HF_NAMES][TENON_HF_NAME_SIZE];

static int32_t weight_at(struct tenon_model_config *c, uint32_t i, const struct tenon_weight_desc **ret)
{
    (void)c;
    *ret = &weights[i < N_ROWS ? i : 0];
    return i < N_ROWS ? 0 : TENON_E_OUT_OF_RANGE;
}
static int32_t state_at(struct tenon_model_config *c, uint32_t i, const struct tenon_state_desc **ret)
{
    (void)c;
    *ret = &states[i < 2 ? i : 0];
    return i < 2 ? 0 : TENON_E_OUT_OF_RANGE;
}
static const struct tenon_model model = {.struct_size = sizeof model, .weight_at = weight_at, .state_at = state_at};

static bool not_optional(void *ctx, const struct tenon_weight_desc *w)
{
    (void)ctx;
    return (w->flags & TENON_WEIGHT_OPTIONAL) == 0;
}

static struct tn_declared declared;
static struct tn_build_env env;
static struct tn_builder *builder;
static const struct tenon_builder *b;

static void setup(void)
{
    static const int64_t sizes[] = {100, 8};
    static const struct tenon_weight_room room = {weights, sources, hf_names};
    tenon_declare_weights(rows, N_ROWS, sizes, 2, &room);
    ck_assert_int_eq(tn_declared_init(&declared, &model, NULL, not_optional, NULL, NULL), 0);
    env = tn_declared_env(&declared);
    ck_assert_int_eq(tn_builder_create("step", &env, NULL, &builder, NULL), 0);
    b = tn_builder_table(builder);
}
static void teardown(void)
{
    tn_builder_destroy(builder);
    tn_declared_finish(&declared);
}

static uint32_t input(const char *name) { return tenon_input(b, name); }
static uint32_t weight(const char *name) { return b->weight(b->ctx, name); }

/* embed; two layers that store K and V and multiply; head */
static void build_sound(uint32_t layers)
{
    uint32_t h, arg, kv;
    b->block_begin(b->ctx, "embed", NULL, 0, NULL);
    h = tenon_gather(b, "embed", weight("embed"), input("token"));
    b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);
    b->block_begin(b->ctx, "layer", &h, 1, &arg);
    h = tenon_matmul(b, "w", arg, weight("layers.{i}.w"), weight("bias"));
    uint32_t heads = tenon_reshape3(b, "heads", h, T_, tenon_dim_n(2), tenon_dim_n(4));
    const uint32_t in[] = {b->state(b->ctx, "kv"), heads, heads, input("slot_of_token.1")};
    kv = tenon_node1(b, "core.kv_store/1", "store", in, 4, NULL, 0);
    (void)kv;
    h = tenon_op2(b, "core.add/1", "out", arg, h);
    b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, layers);
    b->block_begin(b->ctx, "head", &h, 1, &arg);
    h = tenon_matmul(b, "logits", tenon_gather(b, "rows", arg, input("out_row")), weight("head"), TENON_NO_VALUE);
    b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);
    b->output(b->ctx, 0, "logits");
}

static void expect_failure(const char *words)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_graph *graph = NULL;
    ck_assert_int_ne(tn_builder_finish(builder, &graph, &err), 0);
    ck_assert_ptr_null(graph);
    ck_assert_msg(strstr(tn_builder_issues(builder), words) != NULL, "no \"%s\" in: %s", words, tn_builder_issues(builder));
    ck_assert_int_ne(err.message[0], '\0');
}

static struct tn_graph *sound(void)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_graph *graph = NULL;
    build_sound(2);
    ck_assert_msg(tn_builder_finish(builder, &graph, &err) == 0, "%s: %s", err.where, err.message);
    return graph;
}

/* ---- builder ------------------------------------------------------------------------------------------------ */

START_TEST(sound_graph)
{
    struct tn_graph *graph = sound();
    const struct tenon_graph *g = &graph->graph;
    ck_assert_uint_eq(g->n_blocks, 3);
    ck_assert_uint_eq(g->n_order, 4);
    ck_assert_str_eq(g->output_names[0], "logits");
    for (uint32_t i = 0; i < g->n_values; i++) { /* "head" is tied: the embedding's declaration serves both */
        const struct tenon_value *v = tenon_graph_value(g, i);
        ck_assert(v->kind != TENON_VALUE_WEIGHT || v->index < 2);
    }
    const struct tenon_node *w = tenon_graph_node(g, 1);
    ck_assert_str_eq(w->name, "w");
    ck_assert_uint_eq(w->in[2], TENON_NO_VALUE); /* an optional weight that is not there */
    tn_graph_free(graph);
}
END_TEST

START_TEST(first_error_sticks)
{
    struct tenon_err err = TENON_ERR_INIT;
    uint32_t x, y;
    b->block_begin(b->ctx, "layer", NULL, 0, NULL);
    x = b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_, tenon_dim_n(5)));
    y = tenon_matmul(b, "attn_q", x, weight("layers.{i}.w"), TENON_NO_VALUE);
    ck_assert_uint_eq(y, TENON_NO_VALUE);
    ck_assert_uint_eq(tenon_matmul(b, "later", y, weight("no such weight"), TENON_NO_VALUE), TENON_NO_VALUE);
    ck_assert_int_lt(b->status(b->ctx, &err), 0);
    ck_assert_str_eq(err.where, "layer.attn_q");
    ck_assert_str_eq(err.message, "w is weight[8,8], but its dim 1 must be 5, as x is act[T,5]");
    expect_failure("layer.attn_q: w is weight[8,8]");
}
END_TEST

static void no_such_weight(void) { weight("layers.{i}.nothing"); }
static void no_such_state(void) { b->state(b->ctx, "nothing"); }
static void no_such_input(void) { input("nothing"); }
static void layered_outside(void) { weight("layers.{i}.w"); }
static void node_outside(void) { tenon_op1(b, "core.argmax/1", "n", input("token")); }
static void block_in_block(void) { b->block_begin(b->ctx, "a", NULL, 0, NULL), b->block_begin(b->ctx, "b", NULL, 0, NULL); }
static void end_without_begin(void) { b->block_end(b->ctx, NULL, 0); }
static void run_nothing(void) { b->run(b->ctx, 7, 0, 0); }
static void same_name(void)
{
    b->block_begin(b->ctx, "a", NULL, 0, NULL);
    tenon_gather(b, "n", weight("embed"), input("token"));
    tenon_gather(b, "n", weight("embed"), input("token"));
}
static void unknown_op(void)
{
    b->block_begin(b->ctx, "a", NULL, 0, NULL);
    tenon_op1(b, "core.matmull/1", "n", input("token"));
}
static void no_such_operand(void)
{
    b->block_begin(b->ctx, "a", NULL, 0, NULL);
    tenon_gather(b, "n", 4711, input("token"));
}
static void too_many_layers(void) { build_sound(3); }
static void model_fails(void) { (b->fail)(b->ctx, TENON_E_INVALID_ARGUMENT, "heads contradict"); } /* Check has a macro fail() */
static void unnamed_output(void) { build_sound(2), b->output(b->ctx, 1, "more"); }
static void nothing(void) {}
static void wrong_group(void)
{
    uint32_t h;
    b->block_begin(b->ctx, "more", NULL, 0, NULL);
    h = b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_, tenon_dim_n(2), tenon_dim_n(4)));
    const uint32_t in[] = {b->state(b->ctx, "kv"), h, h, input("slot_of_token.0")};
    tenon_node1(b, "core.kv_store/1", "store", in, 4, NULL, 0);
    b->run(b->ctx, b->block_end(b->ctx, NULL, 0), 0, 1);
}
static void wrong_heads(void)
{
    uint32_t h;
    b->block_begin(b->ctx, "more", NULL, 0, NULL);
    h = b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_, tenon_dim_n(4), tenon_dim_n(2)));
    const uint32_t in[] = {b->state(b->ctx, "kv"), h, h, input("slot_of_token.1")};
    tenon_node1(b, "core.kv_store/1", "store", in, 4, NULL, 0);
    b->run(b->ctx, b->block_end(b->ctx, NULL, 0), 0, 1);
}
static void wrong_slot(void)
{
    uint32_t x, out[2];
    b->block_begin(b->ctx, "more", NULL, 0, NULL);
    x = b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_, tenon_dim_n(4)));
    const uint32_t in[] = {x, x, b->state(b->ctx, "slots"), input("context_len"), input("seq_start")};
    b->node(b->ctx, "core.linear_scan/1", "scan", in, 5, NULL, 0, out, 2);
    b->run(b->ctx, b->block_end(b->ctx, NULL, 0), 0, 1);
}
static void layer_missing(void)
{
    uint32_t h;
    b->block_begin(b->ctx, "more", NULL, 0, NULL);
    h = tenon_matmul(b, "w", b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_, tenon_dim_n(8))), weight("layers.{i}.w"), TENON_NO_VALUE);
    b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);
    b->output(b->ctx, 0, "y");
}

static const struct { void (*build)(void); const char *words; } mistakes[] = {
    {no_such_weight, "declares no weight"}, {no_such_state, "declares no state"}, {no_such_input, "no standard step input"},
    {layered_outside, "outside a block"}, {node_outside, "outside a block"}, {block_in_block, "has not ended"},
    {end_without_begin, "never began"}, {run_nothing, "no such thing"}, {same_name, "used twice"}, {unknown_op, "core.matmull/1"},
    {no_such_operand, "operand 0 does not exist"}, {too_many_layers, "layer.w: 'layers.{i}.w' has no layer 2"},
    {model_fails, "heads contradict"}, {unnamed_output, "2 outputs are named"}, {nothing, "runs no block"},
    {wrong_group, "slot_of_token.1"}, {wrong_heads, "number of heads is 4, but state 'kv' was declared with 2"},
    {wrong_slot, "must be the step input state_slot"}, {layer_missing, "runs without a layer"},
};

START_TEST(builder_errors)
{
    mistakes[_i].build();
    expect_failure(mistakes[_i].words);
}
END_TEST

START_TEST(all_errors_are_told)
{
    build_sound(3); /* one layer too many, for the weight and for the state */
    expect_failure("layer.w: 'layers.{i}.w' has no layer 2");
    ck_assert_ptr_nonnull(strstr(tn_builder_issues(builder), "layer.store: 'kv' has no layer 2"));
}
END_TEST

START_TEST(a_layer_may_lack_a_weight)
{
    static const uint8_t first_only[] = {1, 0};
    declared.weights[1].has_layer = first_only;
    build_sound(2);
    expect_failure("layer.w: 'layers.{i}.w' has no layer 1");
    tn_builder_destroy(builder);
    ck_assert_int_eq(tn_builder_create("step", &env, NULL, &builder, NULL), 0);
    b = tn_builder_table(builder);
    struct tn_graph *graph = NULL;
    build_sound(1); /* which never asks for it */
    ck_assert_int_eq(tn_builder_finish(builder, &graph, NULL), 0);
    tn_graph_free(graph);
}
END_TEST

/* ---- verifier ----------------------------------------------------------------------------------------------- */

/* A sound graph whose arrays may be changed. */
struct victim {
    struct tn_graph *graph;
    struct tenon_graph *g;
    struct tenon_value *values;
    struct tenon_node *nodes;
    struct tenon_block *blocks;
    struct tenon_instance *order;
};

static struct victim victim(void)
{
    struct tn_graph *graph = sound();
    struct tenon_graph *g = &graph->graph;
    return (struct victim){graph, g, (void *)(uintptr_t)g->values, (void *)(uintptr_t)g->nodes, (void *)(uintptr_t)g->blocks,
                           (void *)(uintptr_t)g->order};
}

/* Nodes: 0 embed, 1 w, 2 heads, 3 store, 4 out, 5 rows, 6 logits. Values by name. */
static struct tenon_value *named(struct victim *v, const char *name)
{
    for (uint32_t i = 0; i < v->g->n_values; i++)
        if (strcmp(v->values[i].name, name) == 0)
            return &v->values[i];
    ck_abort_msg("no value %s", name);
    return NULL;
}
static uint32_t *ops(const struct tenon_node *n) { return (uint32_t *)(uintptr_t)n->in; }

static void dtype_changed(struct victim *v) { named(v, "out")->dtype = TENON_DTYPE_F32; }
static void shape_changed(struct victim *v) { named(v, "heads")->dims[1].b = 4; }
static void value_nowhere(struct victim *v) { ops(&v->nodes[1])[0] = 4711; }
static void kind_unknown(struct victim *v) { named(v, "w")->kind = 99; }
static void dim_negative(struct victim *v) { named(v, "w")->dims[1].b = -8; }
static void dim_symbol(struct victim *v) { named(v, "w")->dims[0].sym = 77; }
static void rank_huge(struct victim *v) { named(v, "w")->rank = 1000; }
static void nodes_swapped(struct victim *v)
{
    struct tenon_node n = v->nodes[1];
    v->nodes[1] = v->nodes[2];
    v->nodes[2] = n;
    named(v, "w")->producer = 2;
    named(v, "heads")->producer = 1;
}
static void producer_wrong(struct victim *v) { named(v, "out")->producer = 1; }
static void other_block(struct victim *v) { ops(&v->nodes[6])[0] = (uint32_t)(named(v, "out") - v->values); }
static void op_unknown(struct victim *v) { v->nodes[4].op = "core.nothing/1"; }
static void block_of_node(struct victim *v) { v->nodes[4].block = 2; }
static void block_range(struct victim *v) { v->blocks[2].n_nodes = 1u << 31; }
static void order_nowhere(struct victim *v) { v->order[1].block = 9; }
static void order_turned(struct victim *v) { v->order[3].block = 0; }
static void never_run(struct victim *v) { v->g->n_order = 3; }
static void stride_small(struct victim *v) { v->g->value_stride = 8; }
static void input_shape(struct victim *v) { named(v, "token")->dims[0] = tn_dim_sym(TENON_SYM_S); }
static void ret_foreign(struct victim *v) { ((uint32_t *)(uintptr_t)v->blocks[0].rets)[0] = (uint32_t)(named(v, "out") - v->values); }
static void name_gone(struct victim *v) { v->nodes[2].name = NULL; }
static void name_twice(struct victim *v) { v->nodes[2].name = "w"; }
static void operand_missing(struct victim *v) { ops(&v->nodes[1])[1] = TENON_NO_VALUE; }
static void group_changed(struct victim *v) { named(v, "slot_of_token.1")->name = "slot_of_token.3"; }

static const struct { void (*change)(struct victim *v); const char *words; } changes[] = {
    {dtype_changed, "layer.out: output 'out' is f32[T,8]"}, {shape_changed, "layer.heads: output 'heads' is act[T,4,4]"},
    {value_nowhere, "w: the node's lists are broken"}, {kind_unknown, "unknown"}, {dim_negative, "dim 1 is broken"},
    {dim_symbol, "dim 0 is broken"}, {rank_huge, "unknown"}, {nodes_swapped, "layer.heads: operand 0, 'w', is made later"},
    {producer_wrong, "layer.out: output 0, 'out', does not name"}, {other_block, "head.logits: operand 0, 'out', is of another block"},
    {op_unknown, "layer.out: unknown op 'core.nothing/1'"}, {block_of_node, "belongs to another block"},
    {block_range, "the block's lists are broken"}, {order_nowhere, "names block 9"}, {order_turned, "embed: it takes 0 args"},
    {never_run, "head: the block is never run"}, {stride_small, "strides"}, {input_shape, "token: the input is i32[S]"},
    {ret_foreign, "embed: it returns 'out'"}, {name_gone, "lists are broken"}, {name_twice, "two nodes are named 'w'"},
    {operand_missing, "layer.w: operand 'w' of core.matmul/1 is missing"}, {group_changed, "layer.store: slot is 'slot_of_token.3'"},
};

START_TEST(verifier)
{
    struct victim v = victim();
    struct tn_issues issues = {0};
    ck_assert_uint_eq(tn_verify(v.g, &env, NULL, &issues), 0);
    changes[_i].change(&v);
    ck_assert_uint_gt(tn_verify(v.g, &env, NULL, &issues), 0);
    ck_assert_msg(strstr(issues.text.data, changes[_i].words) != NULL, "no \"%s\" in: %s", changes[_i].words, issues.text.data);
    tn_issues_finish(&issues);
    tn_graph_free(v.graph);
}
END_TEST

/* A value of a block that runs once may be read later; one of a block that runs twice may not. */
START_TEST(reading_across_blocks)
{
    struct tn_graph *graph = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    uint32_t h, early, arg;
    b->block_begin(b->ctx, "first", NULL, 0, NULL);
    early = tenon_gather(b, "early", weight("embed"), input("token"));
    h = tenon_affine(b, "h", early, 2, 0);
    b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);
    for (int i = 0; i < 2; i++) {
        b->block_begin(b->ctx, i == 0 ? "second" : "third", &h, 1, &arg);
        h = tenon_op2(b, "core.add/1", "sum", arg, early);
        if (i == 0)
            early = h;
        b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, _i == 0 || i == 1 ? 0 : 2);
    }
    b->output(b->ctx, 0, "y");
    if (_i == 0) {
        ck_assert_msg(tn_builder_finish(builder, &graph, &err) == 0, "%s: %s", err.where, err.message);
        tn_graph_free(graph);
    } else {
        expect_failure("third.sum: operand 1, 'sum', is of another block");
    }
}
END_TEST

START_TEST(declarations)
{
    struct tn_declared d;
    struct tenon_err err = TENON_ERR_INIT;
    weights[1].name = "embed";
    ck_assert_int_eq(tn_declared_init(&d, &model, NULL, NULL, NULL, &err), TENON_E_ALREADY_EXISTS);
    weights[1].name = "layers.{i}.w";
    weights[1].dims[0] = 0;
    ck_assert_int_eq(tn_declared_init(&d, &model, NULL, NULL, NULL, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.where, "layers.{i}.w"));
    weights[1].rank = 9;
    ck_assert_int_eq(tn_declared_init(&d, &model, NULL, NULL, NULL, &err), TENON_E_INVALID_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graph");
    TCase *c = tcase_create("graph");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, sound_graph);
    tcase_add_test(c, first_error_sticks);
    tcase_add_loop_test(c, builder_errors, 0, (int)(sizeof mistakes / sizeof mistakes[0]));
    tcase_add_test(c, all_errors_are_told);
    tcase_add_test(c, a_layer_may_lack_a_weight);
    tcase_add_loop_test(c, verifier, 0, (int)(sizeof changes / sizeof changes[0]));
    tcase_add_loop_test(c, reading_across_blocks, 0, 2);
    tcase_add_test(c, declarations);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
