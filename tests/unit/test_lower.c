/* test_lower.c - what lowering leaves and what it replaces: claimed nodes stay, composites of plugins are asked for. The
 * decompositions themselves are tested in test_decompose*.c. */
#include <check.h>
#include <stdlib.h>

#include "composite_test.h"
#include "core/graph/lower.h"
#include "suite.h"

START_TEST(claimed_nodes_stay)
{
    struct fixture f = {.dims = attention_dims()};
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_graph *built = NULL, *lowered = NULL;
    struct tn_builder *builder = NULL;
    uint32_t x, outs[2];
    const struct tenon_attr eps = tenon_attr_f("eps", 1e-3);
    add_weight(&f, "w", DIMS(N_(4)));
    struct tn_build_env env = {.ctx = &f, .find_weight = find_weight};
    ck_assert_int_eq(tn_builder_create("step", &env, NULL, &builder, &err), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->block_begin(b->ctx, "main", NULL, 0, NULL);
    x = b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_, N_(4)));
    for (int i = 0; i < 2; i++) {
        const uint32_t in[] = {x, x, b->weight(b->ctx, "w")};
        b->node(b->ctx, "core.add_norm/1", i == 0 ? "first" : "second", in, 3, &eps, 1, outs, 2);
        x = outs[1];
    }
    b->run(b->ctx, b->block_end(b->ctx, &x, 1), 0, 0);
    b->output(b->ctx, 0, "y");
    ck_assert_int_eq(tn_builder_finish(builder, &built, &err), 0);
    tn_builder_destroy(builder);
    ck_assert_int_eq(tn_lower(&built->graph, (const uint8_t[]){0, 1}, &env, NULL, &lowered, &err), 0);
    ck_assert_uint_eq(lowered->graph.n_nodes, 3);
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 0)->name, "first.sum");
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 1)->name, "first.y");
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 2)->op, "core.add_norm/1");
    tn_graph_free(built);
    tn_graph_free(lowered);
    free(f.items[0].data);
}
END_TEST

/* com.acme.twice/1: y = 2 x */
static int acme_self;
static int32_t twice(void *self, const struct tenon_builder *b, const struct tenon_node *node, const uint32_t *in, uint32_t n_in,
                     uint32_t *outs, uint32_t n_out, struct tenon_err *err)
{
    (void)node;
    ck_assert_ptr_eq(self, (void *)&acme_self);
    ck_assert_uint_eq(n_in, 1);
    ck_assert_uint_eq(n_out, 1);
    outs[0] = tenon_affine(b, "y", in[0], 2, 0);
    return b->status(b->ctx, err);
}
static const struct tenon_composite acme = {sizeof acme, 0, "x:act[...] -> y:act[...]", "", twice};
static const struct tenon_composite acme_bare = {sizeof acme_bare, 0, "x:act[...] -> y:act[...]", "", NULL};
static const struct tenon_composite *find_op(void *ctx, const char *id, void **ret_self)
{
    *ret_self = &acme_self;
    return strcmp(id, "com.acme.twice/1") == 0 ? ctx : NULL;
}

static int32_t lower_twice(const char *op, const struct tenon_composite *composite, struct tn_graph **ret, struct tenon_err *err)
{
    struct tn_op_lookup lookup = {(void *)(uintptr_t)composite, find_op};
    struct tn_graph *built = NULL;
    struct tn_builder *builder = NULL;
    ck_assert_int_eq(tn_builder_create("step", NULL, &lookup, &builder, err), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->block_begin(b->ctx, "main", NULL, 0, NULL);
    uint32_t x = tenon_op1(b, op, "two", b->input(b->ctx, "x", TENON_DTYPE_ACT, DIMS(T_)));
    b->run(b->ctx, b->block_end(b->ctx, &x, 1), 0, 0);
    b->output(b->ctx, 0, "y");
    int32_t status = tn_builder_finish(builder, &built, err);
    tn_builder_destroy(builder);
    if (status == 0)
        status = tn_lower(&built->graph, NULL, NULL, &lookup, ret, err);
    tn_graph_free(built);
    return status;
}

START_TEST(plugin_composite)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_graph *lowered = NULL;
    ck_assert_int_eq(lower_twice("com.acme.twice/1", &acme, &lowered, &err), 0);
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 0)->name, "two.y");
    ck_assert_str_eq(tenon_graph_node(&lowered->graph, 0)->op, "core.affine/1");
    tn_graph_free(lowered);
    ck_assert_int_eq(lower_twice("com.acme.twice/1", &acme_bare, &lowered, &err), TENON_E_UNIMPLEMENTED);
    ck_assert_int_eq(lower_twice("com.acme.thrice/1", &acme, &lowered, &err), TENON_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "com.acme.thrice/1"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lower");
    TCase *c = tcase_create("lower");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, claimed_nodes_stay);
    tcase_add_test(c, plugin_composite);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
