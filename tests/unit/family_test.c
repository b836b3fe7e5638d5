/* family_test.c - see family_test.h. */
#include "family_test.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/graph/dump.h"
#include "core/graph/lower.h"
#include "graph_eval.h"

tenon_plugin_entry_fn tenon_plugin_entry; /* of the family, which is linked in */

const struct tenon_model *family(void)
{
    const struct tenon_plugin *plugin = NULL;
    ck_assert_int_eq(tenon_plugin_entry(TENON_ABI, &plugin), 0);
    ck_assert_str_eq(plugin->items[0].iface, TENON_MODEL_IFACE);
    ck_assert_str_eq(plugin->items[0].keys[0], plugin->items[0].name);
    return plugin->items[0].impl;
}

/* ---- keys --------------------------------------------------------------------------------------------------- */

void family_keys(const struct meta_key *keys, const struct meta_key *changes, struct meta_key ret[FAMILY_KEYS])
{
    memcpy(ret, keys, FAMILY_KEYS * sizeof *ret);
    for (; changes != NULL && changes->name != NULL; changes++) {
        struct meta_key *k = ret;
        while (k->name != NULL && strcmp(k->name, changes->name) != 0)
            k++;
        ck_assert_int_lt(k - ret, FAMILY_KEYS - 1);
        *k = *changes;
    }
}

int32_t family_config(const struct meta_key *keys, const struct meta_key *changes, struct tenon_model_config **ret,
                      struct tenon_model_info *info, struct tenon_err *err)
{
    struct meta_key all[FAMILY_KEYS];
    struct tenon_meta meta;
    family_keys(keys, changes, all);
    meta = meta_of(all);
    return family()->config(NULL, &meta, ret, info, err);
}

void family_refuses(const struct meta_key *keys, const struct meta_key *bad)
{
    const struct meta_key change[2] = {*bad};
    struct tenon_model_config *config = NULL;
    struct tenon_model_info i;
    struct tenon_err err = TENON_ERR_INIT;
    int32_t status = family_config(keys, change, &config, &i, &err);
    ck_assert_msg(status == TENON_E_INVALID_ARGUMENT, "%s: accepted", bad->name);
    ck_assert_msg(strstr(err.message, bad->name) != NULL, "%s is not named: %s", bad->name, err.message);
    ck_assert_ptr_null(config);
}

static bool is_in(const char *const *list, const char *name)
{
    for (; list != NULL && *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

void family_needs(const struct meta_key *keys, const char *const *needed)
{
    for (int k = 1; keys[k].name != NULL; k++) {
        struct meta_key without[FAMILY_KEYS];
        struct tenon_meta meta = meta_of(memcpy(without, keys, sizeof without));
        struct tenon_model_config *config = NULL;
        struct tenon_model_info i;
        struct tenon_err err = TENON_ERR_INIT;
        bool need = is_in(needed, keys[k].name);
        without[k].name = "";
        int32_t status = family()->config(NULL, &meta, &config, &i, &err);
        ck_assert_msg((status != 0) == need, "%s: %d", keys[k].name, status);
        if (need)
            ck_assert_ptr_nonnull(strstr(err.message, keys[k].name));
        family()->config_free(NULL, config);
    }
}

/* ---- graphs ------------------------------------------------------------------------------------------------- */

/* Is the weight in the file? ctx: names of the optional ones that are. */
static bool present(void *ctx, const struct tenon_weight_desc *w)
{
    return (w->flags & TENON_WEIGHT_OPTIONAL) == 0 || is_in(ctx, w->name);
}

void family_load(struct family *f, const struct meta_key *keys, const struct meta_key *changes, const char *const *extra)
{
    struct tenon_meta meta;
    struct tenon_model_info i;
    struct tenon_err err = TENON_ERR_INIT;
    family_keys(keys, changes, f->keys);
    meta = meta_of(f->keys);
    ck_assert_msg(family()->config(NULL, &meta, &f->config, &i, &err) == 0, "%s", err.message);
    ck_assert_int_eq(tn_declared_init(&f->declared, family(), f->config, present, (void *)(uintptr_t)extra, &err), 0);
    f->env = tn_declared_env(&f->declared);
    ck_assert_msg(tn_build_program(family(), f->config, "step", &f->env, NULL, &f->graph, &err) == 0, "%s: %s", err.where, err.message);
}

void family_unload(struct family *f)
{
    tn_graph_free(f->graph);
    tn_declared_finish(&f->declared);
    family()->config_free(NULL, f->config);
}

/* `name` and `kind` make the file's name. */
static void check_golden(const struct tenon_graph *g, const struct tn_build_env *env, const char *name, const char *kind)
{
    struct tn_buf text = {0};
    char path[512], want[65536];
    size_t n;
    FILE *file;
    (void)snprintf(path, sizeof path, "%s/tests/golden/%s%s.graph", TENON_SOURCE_DIR, name, kind);
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
    ck_assert_msg(n == text.len && strcmp(text.data, want) == 0, "%s differs; TENON_UPDATE_GOLDEN=1 and git diff show how:\n%s", path, text.data);
    tn_buf_finish(&text);
}

void family_golden(const struct family *f, const char *name)
{
    check_golden(&f->graph->graph, &f->env, name, "");
}

void family_golden_lowered(const struct family *f, const char *name)
{
    struct tn_graph *lowered = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_msg(tn_lower(&f->graph->graph, NULL, &f->env, NULL, &lowered, &err) == 0, "%s: %s", err.where, err.message);
    check_golden(&lowered->graph, &f->env, name, "-lowered");
    tn_graph_free(lowered);
}

/* ---- running a tiny one ------------------------------------------------------------------------------------- */

enum { LAYERS = 2, PAGE = 4, PAGES = 3, VOCAB = 11, TOKENS = 7, TINY_KEYS = 8 };

/* The keys of a tiny model; names [TINY_KEYS] is where they are kept. */
static void tiny_keys(const char *arch, char names[TINY_KEYS][64], struct meta_key ret[FAMILY_KEYS])
{
    static const struct meta_key tiny[TINY_KEYS] = {
        {.name = "block_count", .type = TENON_META_U32, .i = LAYERS},
        {.name = "context_length", .type = TENON_META_U32, .i = 12},
        {.name = "embedding_length", .type = TENON_META_U32, .i = 12},
        {.name = "feed_forward_length", .type = TENON_META_U32, .i = 10},
        {.name = "attention.head_count", .type = TENON_META_U32, .i = 2},
        {.name = "attention.head_count_kv", .type = TENON_META_U32, .i = 1},
        {.name = "attention.layer_norm_rms_epsilon", .type = TENON_META_F32, .f = 1e-5},
        {.name = "vocab_size", .type = TENON_META_U32, .i = VOCAB},
    };
    memset(ret, 0, FAMILY_KEYS * sizeof *ret);
    for (int i = 0; i < TINY_KEYS; i++) {
        ret[i] = tiny[i];
        (void)snprintf(names[i], sizeof names[i], "%s.%s", arch, tiny[i].name);
        ret[i].name = names[i];
    }
}

struct machine {
    struct family f;
    struct tn_graph *lowered;
    float weights[24][LAYERS][VOCAB * 12 + 200];
    float k[LAYERS][PAGES * PAGE * 6], v[LAYERS][PAGES * PAGE * 6];
    struct tenon_ref_kv kv[LAYERS];
    int32_t token[TOKENS], position[TOKENS], seq_of_token[TOKENS], slot[TOKENS], seq_start[2], context_len, out_row, table[PAGES];
};

static void *machine_data(void *ctx, const struct tenon_value *v, int32_t layer)
{
    struct machine *m = ctx;
    const struct { const char *name; void *data; } inputs[] = {
        {"token", m->token}, {"position", m->position}, {"seq_of_token", m->seq_of_token}, {"seq_start", m->seq_start},
        {"context_len", &m->context_len}, {"out_row", &m->out_row}, {"block_table.0", m->table}, {"slot_of_token.0", m->slot},
        {"block_table.1", m->table}, {"slot_of_token.1", m->slot}}; /* two groups may have their pages alike: their states are others */
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

static void machine_fill(struct machine *m)
{
    uint32_t r = 12345;
    float *w = &m->weights[0][0][0];
    for (size_t i = 0; i < sizeof m->weights / sizeof *w; i++, r = r * 1664525u + 1013904223u)
        w[i] = (float)(r >> 8) / 8388608.0f - 1.0f;
    for (int i = 0; i < LAYERS; i++)
        m->kv[i] = (struct tenon_ref_kv){PAGES, PAGE, 1, 6, 1, 6, m->k[i], m->v[i]};
    m->table[0] = 2, m->table[1] = 0, m->table[2] = -1;
}

void family_whole_or_token_by_token(const char *arch, const struct meta_key *changes)
{
    char names[TINY_KEYS][64];
    struct meta_key keys[FAMILY_KEYS];
    struct machine *m = calloc(1, sizeof *m);
    struct tenon_err err = TENON_ERR_INIT;
    float whole[VOCAB], single[VOCAB], other[VOCAB];
    ck_assert_ptr_nonnull(m);
    tiny_keys(arch, names, keys);
    family_load(&m->f, keys, changes, NULL);
    ck_assert_int_eq(tn_lower(&m->f.graph->graph, NULL, &m->f.env, NULL, &m->lowered, &err), 0);
    machine_fill(m);

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
    family_unload(&m->f);
    free(m);
}
