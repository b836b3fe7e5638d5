/* test_llama.c - the llama family: every key checked, its graph as a golden text, and a tiny model run whole and token by token.
 * TENON_UPDATE_GOLDEN=1 writes the golden files anew. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/graph/builder.h"
#include "core/graph/declared.h"
#include "core/graph/dump.h"
#include "core/graph/lower.h"
#include "core/graph/memplan.h"
#include "graph_eval.h"
#include "graph_meta.h"

tenon_plugin_entry_fn tenon_plugin_entry; /* of models/llama.c, which is linked in */

static const struct tenon_model *llama(void)
{
    const struct tenon_plugin *plugin = NULL;
    ck_assert_int_eq(tenon_plugin_entry(TENON_ABI, &plugin), 0);
    ck_assert_str_eq(plugin->items[0].iface, TENON_MODEL_IFACE);
    ck_assert_str_eq(plugin->items[0].keys[0], "llama");
    return plugin->items[0].impl;
}

/* SmolLM2-135M-Instruct's keys. */
#define N_KEYS 16
static const struct meta_key smollm2[N_KEYS] = {
    {.name = "general.architecture", .type = TENON_META_STRING, .s = "llama"},
    {.name = "general.name", .type = TENON_META_STRING, .s = "Smollm2 135M"},
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 30},
    {.name = "llama.context_length", .type = TENON_META_U32, .i = 8192},
    {.name = "llama.embedding_length", .type = TENON_META_U32, .i = 576},
    {.name = "llama.feed_forward_length", .type = TENON_META_U32, .i = 1536},
    {.name = "llama.attention.head_count", .type = TENON_META_U32, .i = 9},
    {.name = "llama.attention.head_count_kv", .type = TENON_META_U32, .i = 3},
    {.name = "llama.attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = 1e-5},
    {.name = "llama.rope.freq_base", .type = TENON_META_F32, .f = 100000},
    {.name = "llama.rope.dimension_count", .type = TENON_META_U32, .i = 64},
    {.name = "llama.vocab_size", .type = TENON_META_U32, .i = 49152},
    {.name = "tokenizer.ggml.tokens", .type = TENON_META_STRING, .array = 49152},
};

static struct meta_key *key_named(struct meta_key *keys, const char *name)
{
    struct meta_key *k = keys;
    while (k->name != NULL && strcmp(k->name, name) != 0)
        k++;
    return k;
}

/* Config with one key replaced or added. */
static int32_t config_with(const struct meta_key *change, struct tenon_model_config **ret, struct tenon_model_info *info, struct tenon_err *err)
{
    struct meta_key keys[N_KEYS];
    struct tenon_meta meta;
    memcpy(keys, smollm2, sizeof keys);
    if (change != NULL)
        *key_named(keys, change->name) = *change;
    meta = meta_of(keys);
    return llama()->config(NULL, &meta, ret, info, err);
}

START_TEST(info)
{
    struct tenon_model_config *config = NULL;
    struct tenon_model_info i;
    ck_assert_int_eq(config_with(NULL, &config, &i, NULL), 0);
    ck_assert_str_eq(i.name, "Smollm2 135M");
    ck_assert_uint_eq(i.n_layers, 30);
    ck_assert_uint_eq(i.vocab_size, 49152);
    ck_assert_uint_eq(i.n_kv_heads, 3);
    llama()->config_free(NULL, config);
    llama()->config_free(NULL, NULL);
}
END_TEST

START_TEST(match)
{
    struct meta_key keys[N_KEYS];
    struct tenon_meta meta = meta_of(memcpy(keys, smollm2, sizeof keys));
    ck_assert_int_eq(llama()->match(NULL, &meta), 100);
    keys[0].s = "llama4";
    ck_assert_int_eq(llama()->match(NULL, &meta), 0);
    keys[0].name = "";
    ck_assert_int_eq(llama()->match(NULL, &meta), 0);
}
END_TEST

/* Each must be refused, and the message name the key. */
static const struct meta_key bad[] = {
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 0},
    {.name = "llama.block_count", .type = TENON_META_I64, .i = -1},
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 1 << 30},
    {.name = "llama.block_count", .type = TENON_META_STRING, .s = "30"},
    {.name = "llama.block_count", .type = TENON_META_U32, .i = 30, .array = 2},
    {.name = "llama.block_count", .type = TENON_META_F32, .f = 30.5},
    {.name = "llama.embedding_length", .type = TENON_META_U32, .i = 0},
    {.name = "llama.feed_forward_length", .type = TENON_META_I64, .i = INT64_MAX},
    {.name = "llama.attention.head_count", .type = TENON_META_U32, .i = 0},
    {.name = "llama.attention.head_count_kv", .type = TENON_META_U32, .i = 2},
    {.name = "llama.attention.head_count_kv", .type = TENON_META_U32, .i = 18},
    {.name = "llama.attention.key_length", .type = TENON_META_U32, .i = 5000},
    {.name = "llama.attention.value_length", .type = TENON_META_U32, .i = 0},
    {.name = "llama.attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = -1},
    {.name = "llama.attention.layer_norm_rms_epsilon", .type = TENON_META_F64, .f = NAN},
    {.name = "llama.rope.freq_base", .type = TENON_META_F32, .f = 0},
    {.name = "llama.rope.freq_base", .type = TENON_META_F64, .f = INFINITY},
    {.name = "llama.rope.dimension_count", .type = TENON_META_U32, .i = 63},
    {.name = "llama.rope.dimension_count", .type = TENON_META_U32, .i = 66},
    {.name = "llama.rope.scaling.type", .type = TENON_META_STRING, .s = "longrope"},
    {.name = "llama.vocab_size", .type = TENON_META_U32, .i = 49151},
    {.name = "llama.context_length", .type = TENON_META_U32, .i = 0},
    {.name = "llama.expert_count", .type = TENON_META_U32, .i = 8},
};

START_TEST(bad_keys)
{
    struct tenon_model_config *config = NULL;
    struct tenon_model_info i;
    struct tenon_err err = TENON_ERR_INIT;
    int32_t status = config_with(&bad[_i], &config, &i, &err);
    ck_assert_msg(status == TENON_E_INVALID_ARGUMENT, "%s: accepted", bad[_i].name);
    ck_assert_msg(strstr(err.message, bad[_i].name) != NULL, "%s is not named: %s", bad[_i].name, err.message);
    ck_assert_ptr_null(config);
}
END_TEST

/* Without each key of the table: refused by name, or a default. */
START_TEST(missing_keys)
{
    static const char *const needed[] = {"llama.block_count", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
                                         "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"};
    for (int k = 1; smollm2[k].name != NULL; k++) {
        struct meta_key keys[N_KEYS];
        struct tenon_meta meta = meta_of(memcpy(keys, smollm2, sizeof keys));
        struct tenon_model_config *config = NULL;
        struct tenon_model_info i;
        struct tenon_err err = TENON_ERR_INIT;
        bool need = false;
        keys[k].name = "";
        for (size_t n = 0; n < sizeof needed / sizeof needed[0]; n++)
            need = need || strcmp(needed[n], smollm2[k].name) == 0;
        int32_t status = llama()->config(NULL, &meta, &config, &i, &err);
        ck_assert_msg((status != 0) == need, "%s: %d", smollm2[k].name, status);
        if (need)
            ck_assert_ptr_nonnull(strstr(err.message, smollm2[k].name));
        llama()->config_free(NULL, config);
    }
}
END_TEST

/* ---- graphs ------------------------------------------------------------------------------------------------- */

/* Which optional weights the file has: NULL-ended names in ctx. */
static bool present(void *ctx, const struct tenon_weight_desc *w)
{
    const char *const *extra = ctx;
    for (; *extra != NULL; extra++)
        if (strcmp(*extra, w->name) == 0)
            return true;
    return (w->flags & TENON_WEIGHT_OPTIONAL) == 0;
}

struct loaded {
    struct tenon_model_config *config;
    struct tn_declared declared;
    struct tn_build_env env;
    struct tn_graph *graph;
};

static void load(struct loaded *l, struct meta_key *keys, const char *const *extra)
{
    struct tenon_meta meta = meta_of(keys);
    struct tenon_model_info i;
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_msg(llama()->config(NULL, &meta, &l->config, &i, &err) == 0, "%s", err.message);
    ck_assert_int_eq(tn_declared_init(&l->declared, llama(), l->config, present, (void *)(uintptr_t)extra, &err), 0);
    l->env = tn_declared_env(&l->declared);
    ck_assert_msg(tn_build_program(llama(), l->config, "step", &l->env, NULL, &l->graph, &err) == 0, "%s: %s", err.where, err.message);
}

static void unload(struct loaded *l)
{
    tn_graph_free(l->graph);
    tn_declared_finish(&l->declared);
    llama()->config_free(NULL, l->config);
}

static void check_golden(const struct tenon_graph *g, const struct tn_build_env *env, const char *name)
{
    struct tn_buf text = {0};
    char path[512], want[65536];
    size_t n;
    FILE *file;
    (void)snprintf(path, sizeof path, "%s/tests/golden/%s", TENON_SOURCE_DIR, name);
    ck_assert_int_eq(tn_dump(g, env, &text), 0);
    if (getenv("TENON_UPDATE_GOLDEN") != NULL) {
        ck_assert_ptr_nonnull(file = fopen(path, "w"));
        ck_assert_uint_eq(fwrite(text.data, 1, text.len, file), text.len);
        (void)fclose(file);
    }
    ck_assert_msg((file = fopen(path, "r")) != NULL, "%s is missing: set TENON_UPDATE_GOLDEN=1 once", path);
    n = fread(want, 1, sizeof want - 1, file);
    want[n] = '\0';
    (void)fclose(file);
    ck_assert_msg(n == text.len && strcmp(text.data, want) == 0, "%s differs; TENON_UPDATE_GOLDEN=1 and git diff show how:\n%s", name, text.data);
    tn_buf_finish(&text);
}

START_TEST(golden)
{
    static const char *const none[] = {NULL};
    struct meta_key keys[N_KEYS];
    struct loaded l;
    struct tn_graph *lowered = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    load(&l, memcpy(keys, smollm2, sizeof keys), none);
    check_golden(&l.graph->graph, &l.env, "llama-smollm2.graph");
    ck_assert_msg(tn_lower(&l.graph->graph, NULL, &l.env, NULL, &lowered, &err) == 0, "%s: %s", err.where, err.message);
    check_golden(&lowered->graph, &l.env, "llama-smollm2-lowered.graph");
    tn_graph_free(lowered);
    unload(&l);
}
END_TEST

START_TEST(golden_with_options)
{
    static const char *const extra[] = {"output", "rope_factors", "layers.{i}.attn_q_bias", "layers.{i}.attn_k_bias",
                                        "layers.{i}.attn_v_bias", "layers.{i}.attn_output_bias", NULL};
    struct meta_key keys[N_KEYS + 8];
    struct loaded l;
    memset(keys, 0, sizeof keys);
    memcpy(keys, smollm2, sizeof smollm2);
    *key_named(keys, "llama.attention.key_length") = (struct meta_key){.name = "llama.attention.key_length", .type = TENON_META_U32, .i = 80};
    *key_named(keys, "llama.attention.value_length") = (struct meta_key){.name = "llama.attention.value_length", .type = TENON_META_U32, .i = 48};
    *key_named(keys, "llama.rope.scaling.type") = (struct meta_key){.name = "llama.rope.scaling.type", .type = TENON_META_STRING, .s = "yarn"};
    *key_named(keys, "llama.rope.scaling.factor") = (struct meta_key){.name = "llama.rope.scaling.factor", .type = TENON_META_F32, .f = 4};
    *key_named(keys, "llama.rope.scaling.original_context_length") =
        (struct meta_key){.name = "llama.rope.scaling.original_context_length", .type = TENON_META_U32, .i = 2048};
    load(&l, keys, extra);
    check_golden(&l.graph->graph, &l.env, "llama-options.graph");
    unload(&l);
}
END_TEST

START_TEST(plan_reuses_memory)
{
    static const char *const none[] = {NULL};
    struct meta_key keys[N_KEYS];
    struct loaded l;
    struct tn_plan plan;
    const struct tenon_dims bounds = {sizeof bounds, 0, {0, 512, 4, 4, 4096, 256}};
    load(&l, memcpy(keys, smollm2, sizeof keys), none);
    ck_assert_int_eq(tn_plan_init(&plan, &l.graph->graph, &bounds, 4, NULL), 0);
    ck_assert_uint_eq(plan.n_moves, 0); /* a layer writes its result where the next one reads it */
    ck_assert_uint_eq(plan.bytes, 4 * 512 * 576 * 4);
    ck_assert_uint_gt(plan.naive, 4 * plan.bytes);
    tn_plan_finish(&plan);
    unload(&l);
}
END_TEST

/* ---- running a tiny one ------------------------------------------------------------------------------------- */

enum { LAYERS = 2, PAGE = 4, PAGES = 3, VOCAB = 11, TOKENS = 7 };
static const struct meta_key tiny[N_KEYS] = {
    {.name = "llama.block_count", .type = TENON_META_U32, .i = LAYERS},
    {.name = "llama.context_length", .type = TENON_META_U32, .i = 12},
    {.name = "llama.embedding_length", .type = TENON_META_U32, .i = 12},
    {.name = "llama.feed_forward_length", .type = TENON_META_U32, .i = 10},
    {.name = "llama.attention.head_count", .type = TENON_META_U32, .i = 2},
    {.name = "llama.attention.head_count_kv", .type = TENON_META_U32, .i = 1},
    {.name = "llama.attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = 1e-5},
    {.name = "llama.vocab_size", .type = TENON_META_U32, .i = VOCAB},
};

struct machine {
    struct loaded l;
    struct tn_graph *lowered;
    float weights[20][LAYERS][VOCAB * 12 + 200];
    float k[LAYERS][PAGES * PAGE * 6], v[LAYERS][PAGES * PAGE * 6];
    struct tenon_ref_kv kv[LAYERS];
    int32_t token[TOKENS], position[TOKENS], seq_of_token[TOKENS], slot[TOKENS], seq_start[2], context_len, out_row, table[PAGES];
};

static void *machine_data(void *ctx, const struct tenon_value *v, int32_t layer)
{
    struct machine *m = ctx;
    const struct { const char *name; void *data; } inputs[] = {
        {"token", m->token}, {"position", m->position}, {"seq_of_token", m->seq_of_token}, {"seq_start", m->seq_start},
        {"context_len", &m->context_len}, {"out_row", &m->out_row}, {"block_table.0", m->table}, {"slot_of_token.0", m->slot}};
    if (v->kind == TENON_VALUE_WEIGHT)
        return m->weights[v->index][layer < 0 ? 0 : layer];
    if (v->kind == TENON_VALUE_STATE)
        return &m->kv[layer];
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        if (strcmp(inputs[i].name, v->name) == 0)
            return inputs[i].data;
    return NULL;
}

/* Tokens first .. first+n-1 of 0, 1, 2 ...; logits of the last. */
static void machine_step(struct machine *m, int32_t first, int32_t n, float logits[VOCAB])
{
    struct eval e = {.g = &m->lowered->graph, .data = machine_data, .ctx = m, .dims = {sizeof e.dims, 0, {0, n, 1, 1, PAGES * PAGE, PAGES}}};
    for (int32_t i = 0; i < n; i++) {
        int32_t p = first + i;
        m->token[i] = (5 * p + 3) % VOCAB;
        m->position[i] = p;
        m->seq_of_token[i] = 0;
        m->slot[i] = m->table[p / PAGE] * PAGE + p % PAGE;
    }
    m->seq_start[0] = 0, m->seq_start[1] = n;
    m->context_len = first + n;
    m->out_row = n - 1;
    eval_run(&e);
    memcpy(logits, eval_output(&e, 0)->f, VOCAB * sizeof *logits);
    eval_finish(&e);
}

START_TEST(whole_or_token_by_token)
{
    static const char *const none[] = {NULL};
    struct meta_key keys[N_KEYS];
    struct machine *m = calloc(1, sizeof *m);
    struct tenon_err err = TENON_ERR_INIT;
    float whole[VOCAB], single[VOCAB], other[VOCAB];
    uint32_t r = 12345;
    ck_assert_ptr_nonnull(m);
    load(&m->l, memcpy(keys, tiny, sizeof keys), none);
    ck_assert_int_eq(tn_lower(&m->l.graph->graph, NULL, &m->l.env, NULL, &m->lowered, &err), 0);
    float *w = &m->weights[0][0][0];
    for (size_t i = 0; i < sizeof m->weights / sizeof *w; i++, r = r * 1664525u + 1013904223u)
        w[i] = (float)(r >> 8) / 8388608.0f - 1.0f;
    for (int i = 0; i < LAYERS; i++)
        m->kv[i] = (struct tenon_ref_kv){PAGES, PAGE, 1, 6, 1, 6, m->k[i], m->v[i]};
    m->table[0] = 2, m->table[1] = 0, m->table[2] = -1;

    machine_step(m, 0, TOKENS, whole);
    memset(m->k, 0, sizeof m->k);
    memset(m->v, 0, sizeof m->v);
    for (int32_t p = 0; p < TOKENS; p++)
        machine_step(m, p, 1, p == 0 ? other : single);
    for (int i = 0; i < VOCAB; i++) {
        ck_assert(isfinite(whole[i]));
        ck_assert_msg(whole[i] == single[i], "logit %d: %.9g and %.9g", i, (double)whole[i], (double)single[i]);
    }
    ck_assert_int_ne(memcmp(other, single, sizeof other), 0); /* they depend on what came before */
    tn_graph_free(m->lowered);
    unload(&m->l);
    free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("llama");
    TCase *c = tcase_create("llama");
    tcase_add_test(c, info);
    tcase_add_test(c, match);
    tcase_add_loop_test(c, bad_keys, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(c, missing_keys);
    tcase_add_test(c, golden);
    tcase_add_test(c, golden_with_options);
    tcase_add_test(c, plan_reuses_memory);
    tcase_add_test(c, whole_or_token_by_token);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
