/* test_states.c - models that remember in slots and behind windows, and models that embed, from load to rows on the CPU backend: a
 * hybrid's logits are the same bits whole, in chunks, token by token and beside another sequence; memory is what a window needs;
 * slots begin with zeros whoever had them before; and a text's vector does not depend on its company. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <tenon/blocks.h>

#include "core/base/threads.h"
#include "core/engine/engine.h"
#include "core/engine/step.h"
#include "fake_plugins.h"
#include "suite.h"

tenon_plugin_entry_fn tenon_plugin_entry; /* the encodings */
int32_t cpu_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

/* ---- an architecture: layers ssm, attention within a window, attention, ssm; or an encoder ----------------------- */

enum { VOCAB = FAKE_VOCAB, E = 32, HEADS = 2, D = E / HEADS, N = 5, TAPS = 3, WINDOW = 40, LAYERS = 4, LENGTH = 150 };

enum { W_EMBED, W_CONV, W_DT, W_B, W_C, W_A, W_Q, W_K, W_V, W_OUT, WEIGHTS };
static const struct { const char *name; uint64_t dims[2]; int32_t role; } weight_list[WEIGHTS] = {
    {"embed", {VOCAB, E}, TENON_ROLE_EMBED}, {"conv", {E, TAPS}, TENON_ROLE_CONV}, {"dt", {HEADS, E}, TENON_ROLE_MATMUL},
    {"b", {N, E}, TENON_ROLE_MATMUL}, {"c", {N, E}, TENON_ROLE_MATMUL}, {"a", {HEADS, 0}, TENON_ROLE_OTHER},
    {"q", {E, E}, TENON_ROLE_MATMUL}, {"k", {E, E}, TENON_ROLE_MATMUL}, {"v", {E, E}, TENON_ROLE_MATMUL},
    {"out", {VOCAB, E}, TENON_ROLE_MATMUL},
};
static struct tenon_weight_desc weights[WEIGHTS];
static float values[WEIGHTS][VOCAB * E];

static const int32_t ssm_map[LAYERS] = {0, -1, -1, 1}, near_map[LAYERS] = {-1, 0, -1, -1}, far_map[LAYERS] = {-1, -1, 0, -1};
#define KV(name_, group_, window_, map_)                                                                                      \
    {.struct_size = sizeof(struct tenon_state_desc), .kind = TENON_STATE_KV_PAGED, .name = name_, .n_layers = 1, .group = group_, \
     .k_heads = HEADS, .k_dim = D, .v_heads = HEADS, .v_dim = D, .window = window_, .layer_map = map_}
static const struct tenon_state_desc states[] = {
    {.struct_size = sizeof states[0], .kind = TENON_STATE_CONV, .name = "conv", .n_layers = 2, .slot_bytes = (TAPS - 1) * E * 4, .layer_map = ssm_map},
    KV("near", 1, WINDOW, near_map),
    {.struct_size = sizeof states[0], .kind = TENON_STATE_RECURRENT, .name = "ssm", .n_layers = 2, .slot_bytes = HEADS * N * D * 4, .layer_map = ssm_map},
    KV("far", 0, 0, far_map),
};
static bool is_encoder;

struct tenon_model_config {
    int unused;
};
static struct tenon_model_config the_config;

static int32_t match(void *self, const struct tenon_meta *meta)
{
    (void)self, (void)meta;
    return 100;
}
static int32_t config(void *self, const struct tenon_meta *meta, struct tenon_model_config **ret, struct tenon_model_info *info, struct tenon_err *err)
{
    uint32_t r = 7;
    (void)self, (void)meta, (void)err;
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        weights[i] = (struct tenon_weight_desc){.struct_size = sizeof weights[i], .role = weight_list[i].role, .name = weight_list[i].name,
                                                .rank = weight_list[i].dims[1] != 0 ? 2 : 1, .shard_axis = -1, .values = values[i]};
        memcpy(weights[i].dims, weight_list[i].dims, sizeof weight_list[i].dims);
        for (int k = 0; k < VOCAB * E; k++, r = r * 1664525u + 1013904223u)
            values[i][k] = ((float)(r >> 8) / 8388608.0f - 1.0f) * 0.4f - (i == W_A ? 0.5f : 0);
    }
    *info = (struct tenon_model_info){.struct_size = sizeof *info, .n_layers = LAYERS, .architecture = "fake", .context_length = 512,
                                      .vocab_size = VOCAB, .embedding_length = E, .pooling = TENON_POOL_MEAN};
    *ret = &the_config;
    return 0;
}
static void config_free(void *self, struct tenon_model_config *c) { (void)self, (void)c; }
static int32_t weight_at(struct tenon_model_config *c, uint32_t i, const struct tenon_weight_desc **ret)
{
    (void)c;
    *ret = &weights[i < WEIGHTS ? i : 0];
    return i < WEIGHTS ? 0 : TENON_E_OUT_OF_RANGE;
}
static int32_t state_at(struct tenon_model_config *c, uint32_t i, const struct tenon_state_desc **ret)
{
    (void)c;
    *ret = &states[i < 4 ? i : 0];
    return i < 4 && !is_encoder ? 0 : TENON_E_OUT_OF_RANGE;
}

static uint32_t weight(const struct tenon_builder *b, uint32_t i) { return b->weight(b->ctx, weight_list[i].name); }
static uint32_t by(const struct tenon_builder *b, uint32_t i, uint32_t x)
{
    return tenon_matmul(b, weight_list[i].name, x, weight(b, i), TENON_NO_VALUE);
}
static uint32_t split(const struct tenon_builder *b, const char *name, uint32_t x, int64_t n, int64_t width)
{
    return tenon_reshape3(b, name, x, tenon_dim_of(TENON_SYM_T), tenon_dim_n(n), tenon_dim_n(width));
}

static uint32_t ssm_layer(const struct tenon_builder *b, uint32_t h)
{
    uint32_t x = tenon_rms_norm(b, "norm", h, TENON_NO_VALUE, 1e-5), y;
    x = tenon_unary(b, "act", "silu", tenon_conv_scan(b, "conv", x, weight(b, W_CONV), TENON_NO_VALUE, b->state(b->ctx, "conv")));
    const struct tenon_ssm p = {weight(b, W_A), TENON_NO_VALUE, TENON_NO_VALUE, b->state(b->ctx, "ssm"), 0, 0};
    uint32_t dt = by(b, W_DT, x), k = split(b, "b_heads", by(b, W_B, x), 1, N), q = split(b, "c_heads", by(b, W_C, x), 1, N);
    y = tenon_ssm_scan(b, "ssm", split(b, "x_heads", x, HEADS, D), dt, k, q, &p);
    return tenon_add(b, "sum", h, tenon_reshape2(b, "flat", y, tenon_dim_of(TENON_SYM_T), tenon_dim_n(E)));
}

static uint32_t attention_layer(const struct tenon_builder *b, uint32_t h, const char *state, uint32_t group, int64_t window)
{
    const struct tenon_attention_params p = {.kv_heads = HEADS, .k_dim = D, .v_dim = D, .window = window, .scale = 0.7};
    uint32_t x = tenon_rms_norm(b, "norm", h, TENON_NO_VALUE, 1e-5), y;
    uint32_t q = split(b, "q_heads", by(b, W_Q, x), HEADS, D), k = split(b, "k_heads", by(b, W_K, x), HEADS, D);
    uint32_t v = split(b, "v_heads", by(b, W_V, x), HEADS, D);
    if (state == NULL)
        y = tenon_step_attention(b, "attn", q, k, v, &p, 0);
    else
        y = tenon_group_attention(b, "attn", group, q, tenon_group_store(b, "store", group, b->state(b->ctx, state), k, v), TENON_NO_VALUE, &p);
    return tenon_add(b, "sum", h, tenon_reshape2(b, "flat", y, tenon_dim_of(TENON_SYM_T), tenon_dim_n(E)));
}

static int32_t build(struct tenon_model_config *c, const char *program, const struct tenon_builder *b, struct tenon_err *err)
{
    static const char *const names[] = {"ssm_layer", "near_layer", "far_layer"};
    int32_t blocks[3];
    uint32_t h, arg;
    (void)c;
    if (strcmp(program, is_encoder ? "embed" : "step") != 0)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "test", "no program %s", program);
    tenon_step_inputs(b, is_encoder ? 0 : 2, !is_encoder);
    b->block_begin(b->ctx, "embed", NULL, 0, NULL);
    h = tenon_gather(b, "rows", weight(b, W_EMBED), tenon_input(b, "token"));
    b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);
    for (int i = is_encoder ? 2 : 0; i < 3; i++) {
        b->block_begin(b->ctx, names[i], &h, 1, &arg);
        h = i == 0 ? ssm_layer(b, arg) : i == 1 ? attention_layer(b, arg, "near", 1, WINDOW) : attention_layer(b, arg, is_encoder ? NULL : "far", 0, 0);
        blocks[i] = b->block_end(b->ctx, &h, 1);
    }
    for (int i = 0; i < LAYERS; i++)
        b->run(b->ctx, blocks[is_encoder ? 2 : i % 3], i, 1);
    b->block_begin(b->ctx, "head", &h, 1, &arg);
    h = tenon_gather(b, "wanted", arg, tenon_input(b, "out_row"));
    h = tenon_rms_norm(b, "norm", h, TENON_NO_VALUE, 1e-5);
    h = is_encoder ? h : by(b, W_OUT, h);
    b->run(b->ctx, b->block_end(b->ctx, &h, 1), 0, 0);
    b->output(b->ctx, 0, "out");
    return b->status(b->ctx, err);
}

static const struct tenon_model model = {.struct_size = sizeof model, .match = match, .config = config, .config_free = config_free,
                                         .weight_at = weight_at, .state_at = state_at, .build = build};
static const char *const keys[] = {"fake", NULL};
static const struct tenon_item item = TENON_ITEM(TENON_MODEL_IFACE, "fake", keys, &model);
static const struct tenon_plugin plugin = {.struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "test.states",
                                           .version = "1", .items = &item, .n_items = 1, .item_stride = sizeof item};
static int32_t model_entry(uint32_t max, const struct tenon_plugin **ret)
{
    (void)max;
    *ret = &plugin;
    return 0;
}

/* ---- a host --------------------------------------------------------------------------------------------------------- */

static struct tn_threads *threads;
static struct tn_registry *reg;
static char path[] = "/tmp/tenon-states-XXXXXX";

static void setup(void)
{
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_int_eq(tn_threads_create(2, &threads, &err), 0);
    ck_assert_int_eq(tn_registry_create(&reg, &err), 0);
    ck_assert_int_eq(tn_registry_set_service(reg, TENON_THREADS_SERVICE, tn_threads_service(threads), &err), 0);
    fake_register(reg, FAKE_WEIGHTS | FAKE_TOKENIZER | FAKE_QUANTIZER);
    ck_assert_int_eq(tn_registry_add_static(reg, tenon_plugin_entry, "encodings", &err), 0);
    ck_assert_int_eq(tn_registry_add_static(reg, cpu_entry, "cpu", &err), 0);
    ck_assert_int_eq(tn_registry_add_static(reg, model_entry, "states", &err), 0);
}

static void teardown(void)
{
    tn_registry_destroy(reg);
    tn_threads_destroy(threads);
    is_encoder = false;
}

/* ---- a hybrid ------------------------------------------------------------------------------------------------------ */

struct runner {
    struct tn_model *m;
    struct tn_stepper *st;
    int32_t ids[2][LENGTH];
};

static void open_runner(struct runner *r, uint32_t step_tokens)
{
    struct tn_model_args args = {.path = path, .device = "cpu", .context = 200, .max_sequences = 2, .max_step_tokens = step_tokens};
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_msg(tn_model_load(reg, &args, &r->m, &err) == 0, "%s: %s", err.where, err.message);
    ck_assert_msg(tn_stepper_create(r->m, &r->st, &err) == 0, "%s: %s", err.where, err.message);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < LENGTH; i++)
            r->ids[s][i] = (i * 7 + s * 31 + i * i) % VOCAB;
}

static void close_runner(struct runner *r)
{
    tn_stepper_destroy(r->st);
    tn_model_unload(r->m);
}

/* Sequence s alone, `chunk` tokens at a time; all logits to ret [LENGTH,VOCAB]. */
static void run_alone(struct runner *r, int s, uint32_t chunk, float *ret)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_seq *seq;
    const float *rows;
    ck_assert_int_eq(tn_kv_open(tn_stepper_kv(r->st), &seq, &err), 0);
    for (uint32_t at = 0; at < LENGTH; at += chunk) {
        uint32_t n = LENGTH - at < chunk ? LENGTH - at : chunk;
        struct tn_step_part part = {seq, r->ids[s] + at, n, n};
        ck_assert_msg(tn_stepper_run(r->st, &part, 1, &rows, &err) == 0, "%s: %s", err.where, err.message);
        memcpy(ret + at * VOCAB, rows, n * VOCAB * sizeof *ret);
    }
    tn_kv_close(tn_stepper_kv(r->st), seq);
}

/* Both in every step, in chunks of 3 and of 5. */
static void run_together(struct runner *r, float *ret[2])
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_seq *seqs[2];
    uint32_t at[2] = {0, 0};
    for (int s = 0; s < 2; s++)
        ck_assert_int_eq(tn_kv_open(tn_stepper_kv(r->st), &seqs[s], &err), 0);
    while (at[0] < LENGTH || at[1] < LENGTH) {
        struct tn_step_part parts[2];
        int who[2], n_parts = 0;
        const float *rows;
        for (int s = 0; s < 2; s++) {
            uint32_t n = s == 0 ? 3 : 5;
            n = LENGTH - at[s] < n ? LENGTH - at[s] : n;
            if (n > 0)
                parts[n_parts] = (struct tn_step_part){seqs[s], r->ids[s] + at[s], n, n}, who[n_parts++] = s;
        }
        ck_assert_msg(tn_stepper_run(r->st, parts, (uint32_t)n_parts, &rows, &err) == 0, "%s: %s", err.where, err.message);
        for (int p = 0; p < n_parts; p++, rows += parts[p - 1].n * VOCAB) {
            memcpy(ret[who[p]] + at[who[p]] * VOCAB, rows, parts[p].n * VOCAB * sizeof **ret);
            at[who[p]] += parts[p].n;
        }
    }
    for (int s = 0; s < 2; s++)
        tn_kv_close(tn_stepper_kv(r->st), seqs[s]);
}

START_TEST(a_hybrid_has_the_same_bits_however_it_is_run)
{
    enum { ALL = LENGTH * VOCAB };
    static float whole[2][ALL], other[2][ALL];
    float *both[2] = {other[0], other[1]};
    static const uint32_t chunks[] = {1, 3, 64};
    struct runner r;
    open_runner(&r, LENGTH);
    for (int s = 0; s < 2; s++)
        run_alone(&r, s, LENGTH, whole[s]);
    ck_assert_int_ne(memcmp(whole[0], whole[1], sizeof whole[0]), 0);
    for (int i = 0; i < ALL; i++)
        ck_assert(isfinite(whole[0][i]));
    for (int c = 0; c < 3; c++) {
        run_alone(&r, 0, chunks[c], other[0]); /* the slots and pages of those that ended */
        ck_assert_msg(memcmp(whole[0], other[0], sizeof whole[0]) == 0, "chunks of %u differ", chunks[c]);
    }
    run_together(&r, both);
    ck_assert_int_eq(memcmp(whole, other, sizeof whole), 0);
    close_runner(&r);
}
END_TEST

START_TEST(a_window_needs_no_more_pages_than_it_sees)
{
    static float ignored[LENGTH * VOCAB];
    struct runner r;
    const struct tn_model_parts *p;
    open_runner(&r, 16);
    p = tn_model_parts(r.m);
    ck_assert_uint_eq(p->states[3].n_pages, 2 * ((200 + p->page_tokens - 1) / p->page_tokens));
    ck_assert_uint_lt(p->states[1].n_pages, p->states[3].n_pages);
    ck_assert_uint_eq(p->states[0].n_pages, 3); /* two sequences, and zeros */
    run_alone(&r, 0, 16, ignored);              /* and they are enough */
    close_runner(&r);
}
END_TEST

/* ---- an encoder ---------------------------------------------------------------------------------------------------- */

START_TEST(vectors_do_not_depend_on_their_company)
{
    static const char *const texts[] = {"one", "another text, longer than that", "z", "the last one of all, which is the longest text of these four"};
    struct tenon_str given[4];
    float all[4][E], one[E], raw[E];
    struct tn_engine *engine;
    struct tenon_loaded *loaded;
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_load_args load = {.struct_size = sizeof load, .path = path, .device = "cpu", .context = 64};
    struct tenon_embed_args args = {.struct_size = sizeof args, .n_texts = 4, .texts = given};
    struct tenon_request request = {.struct_size = sizeof request, .prompt_kind = TENON_PROMPT_TEXT, .prompt = "x", .prompt_size = 1};
    uint64_t n = 0;
    is_encoder = true;
    for (int i = 0; i < 4; i++)
        given[i] = (struct tenon_str){texts[i], strlen(texts[i])};
    ck_assert_int_eq(tn_engine_create(reg, &engine, &err), 0);
    const struct tenon_engine *e = tn_engine_table(engine);
    ck_assert_msg(e->load(e->ctx, &load, &loaded, &err) == 0, "%s: %s", err.where, err.message);
    ck_assert_int_eq(e->embed(e->ctx, loaded, &args, NULL, 0, &n, &err), 0);
    ck_assert_uint_eq(n, 4 * E);
    ck_assert_msg(e->embed(e->ctx, loaded, &args, &all[0][0], n, &n, &err) == 0, "%s: %s", err.where, err.message);
    for (int i = 0; i < 4; i++) {
        double sum = 0;
        args.n_texts = 1, args.texts = &given[i];
        ck_assert_int_eq(e->embed(e->ctx, loaded, &args, one, E, &n, &err), 0);
        ck_assert_int_eq(memcmp(one, all[i], sizeof one), 0);
        for (int k = 0; k < E; k++)
            sum += (double)one[k] * (double)one[k];
        ck_assert_double_eq_tol(sum, 1, 1e-6);
        ck_assert(i == 0 || memcmp(all[i], all[0], sizeof one) != 0);
    }
    args.flags = TENON_EMBED_RAW, args.pooling = TENON_POOL_LAST; /* BOS "z": one token of its own */
    args.texts = &given[2];
    ck_assert_int_eq(e->embed(e->ctx, loaded, &args, raw, E, &n, &err), 0);
    args.pooling = TENON_POOL_FIRST;
    ck_assert_int_eq(e->embed(e->ctx, loaded, &args, one, E, &n, &err), 0);
    for (int k = 0; k < E; k++) /* the mean of two rows, as it was before it was divided by its length */
        one[k] = (one[k] + raw[k]) / 2;
    for (int k = 1; k < E; k++)
        ck_assert_float_eq_tol(one[k] / one[0], all[2][k] / all[2][0], 1e-3f * fmaxf(1, fabsf(one[k] / one[0])));
    args.pooling = 9;
    ck_assert_int_eq(e->embed(e->ctx, loaded, &args, one, E, &n, &err), TENON_E_INVALID_ARGUMENT);
    request.model = loaded;
    ck_assert_int_eq(e->submit(e->ctx, &request, NULL, &err), TENON_E_FAILED_PRECONDITION);
    tn_engine_destroy(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("states");
    TCase *tc = tcase_create("states");
    if (mkstemp(path) < 0)
        return 1;
    fake_write_model(path, NULL);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_hybrid_has_the_same_bits_however_it_is_run);
    tcase_add_test(tc, a_window_needs_no_more_pages_than_it_sees);
    tcase_add_test(tc, vectors_do_not_depend_on_their_company);
    suite_add_tcase(suite, tc);
    int failed = run_suite_unforked(suite);
    (void)unlink(path);
    return failed;
}
