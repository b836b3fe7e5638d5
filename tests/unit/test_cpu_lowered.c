/* test_cpu_lowered.c - what becomes of composites when a backend claims none, run by the CPU backend and compared with
 * tenon-reference; pages written and read in one step; views of weights; values of 16 bits; and what is refused at compile, by
 * name. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "cpu_machine.h"
#include "suite.h"

enum { CPU_PAGE = 32, CPU_PAGES = 5, CPU_CACHE = PAGES * CPU_PAGE };

static const int32_t deep_position[TOKENS] = {40, 41, 42, 0, 1}, deep_context[SEQS] = {43, 2};

static struct tenon_dims deep_dims(void)
{
    struct tenon_dims d = attention_dims();
    d.sym[TENON_SYM_C] = CPU_CACHE;
    return d;
}

/* What a machine of three threads makes of the fixture. */
static void compare(struct fixture *f, const struct machine_options *o, double tol)
{
    struct machine m;
    void *got[4];
    machine_open(&m, 3);
    machine_run(&m, f, o, got);
    machine_close(&m);
    for (uint32_t r = 0; eval_output(&f->eval, r) != NULL; r++) {
        const struct eval_tensor *want = eval_output(&f->eval, r);
        for (int64_t i = 0; i < want->n; i++)
            if (want->dtype == TENON_DTYPE_I32)
                ck_assert_int_eq(((int32_t *)got[r])[i], want->i[i]);
            else
                ck_assert_msg(fabs((double)((float *)got[r])[i] - want->f[i]) <= tol * fmax(1.0, fabs((double)want->f[i])) ||
                              ((float *)got[r])[i] == want->f[i],
                              "output %u [%d] is %.9g, not %.9g", r, (int)i, (double)((float *)got[r])[i], (double)want->f[i]);
        free(got[r]);
    }
}

/* ---- caches ------------------------------------------------------------------------------------------------------ */

/* A cache of random rows that f16 can hold, and its pages in canonical order in the cache's encoding. */
struct cache {
    struct tenon_ref_kv kv;
    float k[CPU_PAGES * CPU_PAGE * GROUPS * VDIM], v[CPU_PAGES * CPU_PAGE * GROUPS * VDIM];
    uint8_t pages[CPU_PAGES * CPU_PAGE * GROUPS * 2 * VDIM * 4];
};

static void fill_cache(struct cache *c, int64_t heads, int64_t k_dim, int64_t v_heads, int64_t v_dim, bool half)
{
    int64_t k_page = CPU_PAGE * heads * k_dim, v_page = CPU_PAGE * v_heads * v_dim;
    uint8_t *to = c->pages;
    c->kv = (struct tenon_ref_kv){CPU_PAGES, CPU_PAGE, heads, k_dim, v_heads, v_dim, c->k, v_heads > 0 ? c->v : NULL};
    for (int64_t i = 0; i < CPU_PAGES * k_page; i++)
        c->k[i] = machine_half(random_float());
    for (int64_t i = 0; i < CPU_PAGES * v_page; i++)
        c->v[i] = machine_half(random_float());
    for (int p = 0; p < CPU_PAGES; p++)
        for (int is_v = 0; is_v < 2; is_v++) {
            int64_t n = is_v ? v_page : k_page;
            const float *from = (is_v ? c->v : c->k) + p * n;
            if (half)
                machine_to_half(from, n, (uint16_t *)(void *)to);
            else
                memcpy(to, from, (size_t)n * 4);
            to += n * (half ? 2 : 4);
        }
}

static void add_deep_inputs(struct fixture *f)
{
    add_step(f, "position", deep_position, TOKENS);
    add_step(f, "seq_of_token", seq_of_token, TOKENS);
    add_step(f, "seq_start", seq_start, SEQS + 1);
    add_step(f, "context_len", deep_context, SEQS);
    add_step(f, "block_table.0", block_table, SEQS * PAGES);
}

START_TEST(attention)
{
    bool half = (_i & 1) != 0;
    struct fixture f = {.dims = deep_dims(),
                        .state = {.kind = TENON_STATE_KV_PAGED, .k_heads = GROUPS, .k_dim = KDIM, .v_heads = GROUPS, .v_dim = VDIM}};
    const struct tenon_attr attrs[] = {tenon_attr_i("kv_heads", GROUPS), tenon_attr_i("k_dim", KDIM), tenon_attr_i("v_dim", VDIM),
                                       tenon_attr_f("scale", 1.7), tenon_attr_i("window", _i / 2 * 9), tenon_attr_f("softcap", _i / 2)};
    struct cache c;
    struct machine_options o = {.half = half, .units = CPU_PAGES, .before = c.pages, .after = NULL};
    start();
    fill_cache(&c, GROUPS, KDIM, GROUPS, VDIM, half);
    add_input(&f, "q", DIMS(T_, N_(HEADS), N_(KDIM)));
    add_state(&f, "kv", &c.kv);
    add_absent(&f);
    add_absent(&f);
    add_weight(&f, "sink", DIMS(N_(HEADS)));
    machine_round_weights(&f);
    add_deep_inputs(&f);
    run(&f, "core.attention/1", attrs, 6, 1, 1);
    compare(&f, &o, 2e-6);
    finish(&f);
}
END_TEST

/* Every token sees its own sequence's tokens of this step: no cache, masks by compare and select. */
START_TEST(attention_without_cache)
{
    struct fixture f = {.dims = attention_dims()};
    const struct tenon_attr attrs[] = {tenon_attr_i("kv_heads", GROUPS), tenon_attr_i("k_dim", KDIM), tenon_attr_i("v_dim", VDIM),
                                       tenon_attr_f("scale", 1.7), tenon_attr_i("window", 2)};
    start();
    add_input(&f, "q", DIMS(T_, N_(HEADS), N_(KDIM)));
    add_absent(&f);
    add_input(&f, "k", DIMS(T_, N_(GROUPS), N_(KDIM)));
    add_input(&f, "v", DIMS(T_, N_(GROUPS), N_(VDIM)));
    add_absent(&f);
    add_step_inputs(&f);
    run(&f, "core.attention/1", attrs, 5, 1, 1);
    compare(&f, &(struct machine_options){0}, 2e-6);
    finish(&f);
}
END_TEST

/* A latent cache has no V, and its weights are multiplied in batches. */
START_TEST(latent_attention)
{
    struct fixture f = {.dims = deep_dims(), .state = {.kind = TENON_STATE_KV_LATENT, .k_heads = 1, .k_dim = 5}};
    const struct tenon_attr attrs[] = {tenon_attr_i("rank", 3), tenon_attr_i("v_dim", 4), tenon_attr_f("scale", 1.3)};
    bool half = _i == 1;
    struct cache c;
    struct machine_options o = {.half = half, .units = CPU_PAGES, .before = c.pages, .after = NULL};
    start();
    fill_cache(&c, 1, 5, 0, 0, half);
    add_input(&f, "q_nope", DIMS(T_, N_(HEADS), N_(KDIM)));
    add_input(&f, "q_rope", DIMS(T_, N_(HEADS), N_(2)));
    add_weight(&f, "wk", DIMS(N_(HEADS), N_(3), N_(KDIM)));
    add_weight(&f, "wv", DIMS(N_(HEADS), N_(4), N_(3)));
    machine_round_weights(&f);
    add_state(&f, "kv", &c.kv);
    add_deep_inputs(&f);
    run(&f, "core.latent_attention/1", attrs, 3, 1, 1);
    compare(&f, &o, 2e-6);
    finish(&f);
}
END_TEST

/* ---- the others -------------------------------------------------------------------------------------------------- */

START_TEST(moe_ffn)
{
    struct fixture f = {.dims = attention_dims()};
    const struct tenon_attr attrs[] = {tenon_attr_i("used", 2), tenon_attr_s("scoring", "softmax")};
    start();
    add_input(&f, "x", DIMS(T_, N_(7)));
    add_weight(&f, "router", DIMS(N_(4), N_(7)));
    add_absent(&f);
    add_absent(&f);
    add_weight(&f, "gate", DIMS(N_(4), N_(5), N_(7)));
    add_weight(&f, "up", DIMS(N_(4), N_(5), N_(7)));
    add_weight(&f, "down", DIMS(N_(4), N_(7), N_(5)));
    machine_round_weights(&f);
    run(&f, "core.moe_ffn/1", attrs, 2, 1, 1);
    compare(&f, &(struct machine_options){.half = _i == 1}, 1e-5);
    finish(&f);
}
END_TEST

/* Reads a view of a weight, which is a vector there and a column here. */
START_TEST(ssm_scan)
{
    static const int32_t slot[SEQS] = {2, 0};
    enum { N = 3, D = 2, H = 4, FLOATS = H * N * D };
    static float before[3 * FLOATS], state[3 * FLOATS], after[3 * FLOATS];
    struct fixture f = {.dims = attention_dims(), .state = {.kind = TENON_STATE_RECURRENT, .slot_bytes = FLOATS * 4}};
    struct machine_options o = {.half = false, .units = 3, .before = before, .after = after};
    start();
    for (int i = 0; i < 3 * FLOATS; i++)
        before[i] = state[i] = random_float();
    add_input(&f, "x", DIMS(T_, N_(H), N_(D)));
    add_input(&f, "dt", DIMS(T_, N_(H)));
    add_input(&f, "b", DIMS(T_, N_(2), N_(N)));
    add_input(&f, "c", DIMS(T_, N_(2), N_(N)));
    add_weight(&f, "a", DIMS(N_(H)));
    add_weight(&f, "d", DIMS(N_(H)));
    add_weight(&f, "dt_bias", DIMS(N_(H)));
    add_state(&f, "ssm", state);
    add_step(&f, "state_slot", slot, SEQS);
    add_step(&f, "seq_start", seq_start, SEQS + 1);
    run(&f, "core.ssm_scan/1", NULL, 0, 2, 1);
    compare(&f, &o, 1e-5);
    for (int i = 0; i < 3 * FLOATS; i++)
        ck_assert_float_eq_tol(after[i], state[i], 1e-5f);
    finish(&f);
}
END_TEST

START_TEST(sample)
{
    static const int32_t top_k[5] = {0, 3, 1, 5, 2};
    static const uint32_t seeds[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, index[5] = {0, 1, 2, 3, 4};
    struct fixture f = {.dims = attention_dims()};
    const struct tenon_attr attrs[] = {tenon_attr_i("logprobs", 3)};
    uint32_t mask[10];
    start();
    f.dims.sym[TENON_SYM_R] = 5;
    for (int i = 0; i < 10; i++)
        mask[i] = random_u32() | 1u;
    add_input(&f, "logits", DIMS(R_, N_(41)));
    float *temperature = add_f32(&f, "temperature", DIMS(R_)), *top_p, *min_p;
    add_ints(&f, "top_k", TENON_DTYPE_I32, top_k, DIMS(R_));
    top_p = add_f32(&f, "top_p", DIMS(R_)), min_p = add_f32(&f, "min_p", DIMS(R_));
    add_f32(&f, "penalty", DIMS(R_, N_(3)));
    add_absent(&f);
    add_f32(&f, "bias", DIMS(R_, N_(41)));
    add_ints(&f, "mask", TENON_DTYPE_U32, mask, DIMS(R_, N_(2)));
    add_ints(&f, "seed", TENON_DTYPE_U32, seeds, DIMS(R_, N_(2)));
    add_ints(&f, "index", TENON_DTYPE_U32, index, DIMS(R_));
    for (int i = 0; i < 5; i++)
        temperature[i] = (float)i, top_p[i] = 0.9f, min_p[i] = 0.01f;
    run(&f, "core.sample/1", attrs, 1, 3, 3);
    compare(&f, &(struct machine_options){0}, 1e-6);
    finish(&f);
}
END_TEST

/* ---- graphs of several nodes ------------------------------------------------------------------------------------- */

static int32_t only_state(void *ctx, const char *name, uint32_t *ret_index, struct tenon_err *err)
{
    (void)ctx, (void)name, (void)err;
    *ret_index = 0;
    return 0;
}
static const struct tenon_state_desc *its_desc(void *ctx, uint32_t index)
{
    return index == 0 ? &((struct fixture *)ctx)->state : NULL;
}
static void *by_name(void *ctx, const struct tenon_value *v, int32_t layer)
{
    struct fixture *f = ctx;
    (void)layer;
    for (uint32_t i = 0; i < f->n; i++)
        if (strcmp(f->items[i].name, v->name) == 0)
            return f->items[i].data;
    return NULL;
}

/* Begin a program of one block; end_graph gives its graph to the fixture. */
static struct tn_builder *begin_graph(struct fixture *f, struct tn_build_env *env)
{
    struct tn_builder *builder = NULL;
    *env = (struct tn_build_env){.ctx = f, .find_weight = find_weight, .find_state = only_state, .state_at = its_desc};
    ck_assert_int_eq(tn_builder_create("step", env, NULL, &builder, NULL), 0);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->block_begin(b->ctx, "main", NULL, 0, NULL);
    f->eval.data = by_name;
    return builder;
}
static void end_graph(struct fixture *f, struct tn_builder *builder, const uint32_t *rets, uint32_t n)
{
    static const char *const names[] = {"y", "y1", "y2", "y3"};
    const struct tenon_builder *b = tn_builder_table(builder);
    struct tenon_err err = TENON_ERR_INIT;
    int32_t block = b->block_end(b->ctx, rets, n);
    b->run(b->ctx, block, 0, 1);
    for (uint32_t i = 0; i < n; i++)
        b->output(b->ctx, i, names[i]);
    int32_t status = tn_builder_finish(builder, &f->graph, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    tn_builder_destroy(builder);
}

/* K and V go to their slots and come back by position; a slot of -1 is nowhere, an absent page is zeros. */
START_TEST(store_then_load)
{
    static const int32_t slot[TOKENS] = {2 * CPU_PAGE + 30, 2 * CPU_PAGE + 31, 0, 4 * CPU_PAGE, -1};
    const struct tenon_attr attrs[] = {tenon_attr_i("k_heads", GROUPS), tenon_attr_i("k_dim", KDIM), tenon_attr_i("v_heads", GROUPS),
                                       tenon_attr_i("v_dim", VDIM)};
    struct fixture f = {.dims = deep_dims(),
                        .state = {.struct_size = sizeof f.state, .name = "kv", .n_layers = 1, .kind = TENON_STATE_KV_PAGED,
                                  .k_heads = GROUPS, .k_dim = KDIM, .v_heads = GROUPS, .v_dim = VDIM}};
    bool half = _i == 1;
    static struct cache c;
    static float want_k[SEQS * CPU_CACHE * GROUPS * KDIM], want_v[SEQS * CPU_CACHE * GROUPS * VDIM];
    struct machine m;
    struct machine_options o = {.half = half, .units = CPU_PAGES, .before = c.pages, .after = NULL};
    struct tn_build_env env;
    uint32_t out[2];
    void *got[4];
    start();
    fill_cache(&c, GROUPS, KDIM, GROUPS, VDIM, half);
    float *k = add_input(&f, "k", DIMS(T_, N_(GROUPS * KDIM))), *v = add_input(&f, "v", DIMS(T_, N_(GROUPS), N_(VDIM)));
    for (int i = 0; i < TOKENS * GROUPS * KDIM; i++)
        k[i] = machine_half(k[i]);
    for (int i = 0; i < TOKENS * GROUPS * VDIM; i++)
        v[i] = machine_half(v[i]);
    add_step(&f, "slot_of_token.0", slot, TOKENS);
    add_step(&f, "block_table.0", block_table, SEQS * PAGES);
    struct tn_builder *builder = begin_graph(&f, &env);
    const struct tenon_builder *b = tn_builder_table(builder);
    uint32_t flat = b->input(b->ctx, "k", TENON_DTYPE_ACT, f.items[0].dims, 2);
    uint32_t heads = tenon_reshape3(b, "heads", flat, T_, N_(GROUPS), N_(KDIM));
    uint32_t kv = tenon_kv_store(b, "store", b->state(b->ctx, "kv"), heads, b->input(b->ctx, "v", TENON_DTYPE_ACT, f.items[1].dims, 3));
    uint32_t in[] = {kv, tenon_input(b, "block_table.0")};
    b->node(b->ctx, "core.kv_load/1", "load", in, 2, attrs, 4, out, 2);
    end_graph(&f, builder, out, 2);

    tenon_ref_kv_store(&c.kv, TOKENS, k, v, slot);
    tenon_ref_kv_load(&c.kv, SEQS, PAGES, block_table, want_k, want_v);
    machine_open(&m, 3);
    machine_run(&m, &f, &o, got);
    ck_assert_mem_eq(got[0], want_k, sizeof want_k);
    ck_assert_mem_eq(got[1], want_v, sizeof want_v);
    machine_close(&m);
    free(got[0]), free(got[1]);
    tn_graph_free(f.graph);
    for (uint32_t i = 0; i < f.n; i++)
        free(f.items[i].data);
}
END_TEST

/* An add whose operand has the product's rank but not its shape is a broadcast, no residual; a norm read twice is computed once and
 * kept; a view of an intermediate value is read where it lies. */
START_TEST(broadcast_behind_matmul)
{
    struct fixture f = {.dims = attention_dims()};
    struct machine m;
    struct tn_build_env env;
    void *got[4];
    float y[TOKENS * 4], normed[TOKENS * 7];
    start();
    float *x = add_input(&f, "x", DIMS(T_, N_(7))), *row = add_input(&f, "row", DIMS(N_(1), N_(4)));
    float *w = add_weight(&f, "w", DIMS(N_(4), N_(7)));
    struct tn_builder *builder = begin_graph(&f, &env);
    const struct tenon_builder *b = tn_builder_table(builder);
    uint32_t in_x = b->input(b->ctx, "x", TENON_DTYPE_ACT, f.items[0].dims, 2), in_row = b->input(b->ctx, "row", TENON_DTYPE_ACT, f.items[1].dims, 2);
    uint32_t norm = tenon_rms_norm(b, "norm", in_x, TENON_NO_VALUE, 1e-5);
    uint32_t product = tenon_matmul(b, "product", norm, b->weight(b->ctx, "w"), TENON_NO_VALUE);
    uint32_t added = tenon_op2(b, "core.add/1", "added", product, in_row);
    uint32_t view = tenon_reshape3(b, "view", norm, T_, N_(7), N_(1));
    uint32_t rets[] = {added, tenon_affine(b, "twice", view, 2, 0)};
    end_graph(&f, builder, rets, 2);
    machine_open(&m, 2);
    machine_run(&m, &f, &(struct machine_options){0}, got);
    machine_close(&m);

    struct tenon_ref_shape ys = {2, {TOKENS, 4}}, rs = {2, {1, 4}};
    tenon_ref_rms_norm(1e-5, TOKENS, 7, x, NULL, normed);
    tenon_ref_matmul(TOKENS, 4, 7, normed, w, NULL, y);
    tenon_ref_add(&ys, y, &rs, row, y);
    for (int i = 0; i < TOKENS * 4; i++)
        ck_assert_float_eq_tol(((float *)got[0])[i], y[i], 1e-5f);
    for (int i = 0; i < TOKENS * 7; i++)
        ck_assert_float_eq_tol(((float *)got[1])[i], 2 * normed[i], 1e-5f);
    free(got[0]), free(got[1]);
    tn_graph_free(f.graph);
    for (uint32_t i = 0; i < f.n; i++)
        free(f.items[i].data);
}
END_TEST

START_TEST(half_inputs_are_converted)
{
    struct fixture f = {.dims = attention_dims()};
    struct machine m;
    void *got[4];
    start();
    float *x = add_input(&f, "x", DIMS(T_, N_(3))); /* room for twice as many halves */
    float want[TOKENS * 3];
    for (int i = 0; i < TOKENS * 3; i++)
        want[i] = machine_half(x[i]);
    machine_to_half(want, TOKENS * 3, (uint16_t *)(void *)x);
    f.items[0].dtype = TENON_DTYPE_F16;
    struct tn_build_env env;
    struct tn_builder *builder = begin_graph(&f, &env);
    const struct tenon_builder *b = tn_builder_table(builder);
    uint32_t y = tenon_op1(b, "core.convert/1", "y", b->input(b->ctx, "x", TENON_DTYPE_F16, f.items[0].dims, 2));
    end_graph(&f, builder, &y, 1);
    machine_open(&m, 2);
    machine_run(&m, &f, &(struct machine_options){0}, got);
    machine_close(&m);
    ck_assert_mem_eq(got[0], want, sizeof want);
    free(got[0]);
    tn_graph_free(f.graph);
    free(f.items[0].data);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

/* One node over the fixture's items is refused at compile: the message names the node and says `word`. */
static void check_refused(struct fixture *f, const char *op, const struct tenon_attr *attrs, uint32_t n_attrs, const char *word)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_build_env env;
    struct compiled c;
    struct machine m;
    uint32_t in[4], out[2];
    struct tn_builder *builder = begin_graph(f, &env);
    const struct tenon_builder *b = tn_builder_table(builder);
    for (uint32_t i = 0; i < f->n; i++)
        in[i] = f->items[i].kind == TENON_VALUE_WEIGHT ? b->weight(b->ctx, f->items[i].name)
                                                       : b->input(b->ctx, f->items[i].name, f->items[i].dtype, f->items[i].dims, f->items[i].rank);
    b->node(b->ctx, op, "culprit", in, f->n, attrs, n_attrs, out, 1);
    end_graph(f, builder, out, 1);
    machine_open(&m, 1);
    ck_assert_int_ne(machine_compile(&m, f, &(struct machine_options){0}, &c, &err), 0);
    ck_assert_str_eq(err.where, "culprit");
    ck_assert_msg(strstr(err.message, word) != NULL, "%s", err.message);
    machine_free(&m, &c);
    machine_close(&m);
    tn_graph_free(f->graph);
    for (uint32_t i = 0; i < f->n; i++)
        free(f->items[i].data);
}

/* Bytes of pages and tokens in every type, and what fits none. */
START_TEST(cache_types)
{
    static const struct { int32_t encoding; uint64_t token_bytes; } types[] = { /* of 2 heads of 64 and 32 */
        {TENON_KV_F16, 384}, {TENON_KV_F32, 768}, {TENON_KV_BF16, 384}, {TENON_KV_Q8, 204},
    };
    struct tenon_state_desc kv = {.name = "kv", .kind = TENON_STATE_KV_PAGED, .k_heads = 2, .k_dim = 64, .v_heads = 2, .v_dim = 32};
    struct tenon_state_layout layout = {.struct_size = sizeof layout};
    struct tenon_err err = TENON_ERR_INIT;
    struct machine m;
    start();
    machine_open(&m, 1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        ck_assert_int_eq(m.be->state_layout(m.dev, &kv, types[i].encoding, &layout, &err), 0);
        ck_assert_uint_eq(layout.canonical_token_bytes, types[i].token_bytes);
        ck_assert_uint_eq(layout.page_bytes, types[i].token_bytes * layout.page_tokens); /* which here needs no filling up */
    }
    ck_assert_int_eq(m.be->state_layout(m.dev, &kv, TENON_KV_Q8 + 1, &layout, &err), TENON_E_UNIMPLEMENTED);
    kv.k_dim = 80;
    ck_assert_int_eq(m.be->state_layout(m.dev, &kv, TENON_KV_BF16, &layout, &err), 0);
    ck_assert_int_eq(m.be->state_layout(m.dev, &kv, TENON_KV_Q8, &layout, &err), TENON_E_UNIMPLEMENTED);
    ck_assert_msg(strstr(err.message, "80") != NULL, "%s", err.message);
    machine_close(&m);
}
END_TEST

START_TEST(refused_by_name)
{
    struct fixture f = {.dims = attention_dims()};
    struct tenon_attr a[] = {tenon_attr_i("group", 0), tenon_attr_i("axis", 0), tenon_attr_i("ranks", 2)};
    start();
    add_input(&f, "x", DIMS(T_, N_(3)));
    check_refused(&f, "core.all_reduce/1", a, 1, "core.all_reduce/1");
    f = (struct fixture){.dims = attention_dims()};
    add_input(&f, "x", DIMS(N_(4), N_(3)));
    check_refused(&f, "core.all_gather/1", a, 3, "core.all_gather/1");
    f = (struct fixture){.dims = attention_dims()};
    add_input(&f, "x", DIMS(T_, N_(3)));
    add_ints(&f, "b", TENON_DTYPE_I32, (int32_t[]){1, 2, 3}, DIMS(N_(3)));
    check_refused(&f, "core.sub/1", NULL, 0, "core.convert");
    f = (struct fixture){.dims = attention_dims()};
    add_input(&f, "x", DIMS(T_, N_(3)));
    f.items[0].dtype = TENON_DTYPE_BF16;
    a[0] = tenon_attr_s("kind", "exp");
    check_refused(&f, "core.unary/1", a, 1, "bf16");
}
END_TEST

/* Slots and experts that do not exist give zeros and change nothing. */
START_TEST(indexes_outside)
{
    static const int32_t slot[SEQS] = {3, -1}, expert[2 * TOKENS] = {-1, 4, 0x7fffffff, -9, 4, 5, -1, 4, 77, -2};
    static const float zeros[TOKENS * 8];
    float before[9], after[9];
    struct fixture f = {.dims = attention_dims(),
                        .state = {.struct_size = sizeof f.state, .name = "h", .n_layers = 1, .kind = TENON_STATE_RECURRENT, .slot_bytes = 12}};
    struct machine_options o = {.half = true, .units = 3, .before = before, .after = after};
    struct machine m;
    struct tn_build_env env;
    uint32_t scan[2], grouped;
    void *got[4];
    start();
    for (int i = 0; i < 9; i++)
        before[i] = random_float();
    add_input(&f, "x", DIMS(T_, N_(3)));
    add_step(&f, "state_slot", slot, SEQS);
    add_step(&f, "seq_start", seq_start, SEQS + 1);
    add_ints(&f, "expert", TENON_DTYPE_I32, expert, DIMS(T_, N_(2)));
    add_weight(&f, "w", DIMS(N_(4), N_(4), N_(3)));
    struct tn_builder *builder = begin_graph(&f, &env);
    const struct tenon_builder *b = tn_builder_table(builder);
    uint32_t x = b->input(b->ctx, "x", TENON_DTYPE_ACT, f.items[0].dims, 2);
    uint32_t in[] = {x, x, b->state(b->ctx, "h"), tenon_input(b, "state_slot"), tenon_input(b, "seq_start")};
    b->node(b->ctx, "core.linear_scan/1", "scan", in, 5, NULL, 0, scan, 2);
    uint32_t with[] = {tenon_reshape3(b, "rows", x, T_, N_(1), N_(3)), b->weight(b->ctx, "w"),
                       b->input(b->ctx, "expert", TENON_DTYPE_I32, f.items[3].dims, 2)};
    b->node(b->ctx, "core.grouped_matmul/1", "grouped", with, 3, NULL, 0, &grouped, 1);
    uint32_t rets[] = {scan[0], grouped};
    end_graph(&f, builder, rets, 2);
    machine_open(&m, 2);
    machine_run(&m, &f, &o, got);
    machine_close(&m);
    ck_assert_mem_eq(got[0], zeros, TOKENS * 3 * sizeof(float));
    ck_assert_mem_eq(got[1], zeros, TOKENS * 8 * sizeof(float));
    ck_assert_mem_eq(before, after, sizeof before);
    free(got[0]), free(got[1]);
    tn_graph_free(f.graph);
    for (uint32_t i = 0; i < f.n; i++)
        free(f.items[i].data);
}
END_TEST

/* A bucket so large that its values cannot be counted is an error, not a wrap. */
START_TEST(absurd_sizes)
{
    struct fixture f = {.dims = attention_dims()};
    struct tenon_dim big[] = {T_, tenon_dim_of(TENON_SYM_C), tn_dim_const(1 << 20)};
    const struct tenon_attr a[] = {tenon_attr_d("shape", big, 3), tenon_attr_f("value", 1)};
    f.dims.sym[TENON_SYM_T] = f.dims.sym[TENON_SYM_C] = INT32_MAX;
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_build_env env;
    struct compiled c;
    struct machine m;
    uint32_t y;
    struct tn_builder *builder = begin_graph(&f, &env);
    const struct tenon_builder *b = tn_builder_table(builder);
    b->node(b->ctx, "core.fill/1", "big", NULL, 0, a, 2, &y, 1);
    end_graph(&f, builder, &y, 1);
    machine_open(&m, 1);
    ck_assert_int_eq(machine_compile(&m, &f, &(struct machine_options){0}, &c, &err), TENON_E_RESOURCE_EXHAUSTED);
    machine_free(&m, &c);
    machine_close(&m);
    tn_graph_free(f.graph);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cpu_lowered");
    TCase *tc = tcase_create("lowered");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, attention, 0, 4);
    tcase_add_test(tc, attention_without_cache);
    tcase_add_loop_test(tc, latent_attention, 0, 2);
    tcase_add_loop_test(tc, moe_ffn, 0, 2);
    tcase_add_test(tc, ssm_scan);
    tcase_add_test(tc, sample);
    tcase_add_loop_test(tc, store_then_load, 0, 2);
    tcase_add_test(tc, broadcast_behind_matmul);
    tcase_add_test(tc, half_inputs_are_converted);
    tcase_add_test(tc, cache_types);
    tcase_add_test(tc, refused_by_name);
    tcase_add_test(tc, indexes_outside);
    tcase_add_test(tc, absurd_sizes);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
