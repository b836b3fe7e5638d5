/* engine.c - the engine's table: a list of loaded models and ids for requests. The work is in loaded.c; nothing here waits
 * but load and unload. Lock: `lock` guards the list. Contract: <tenon/engine.h>.
 */
#include "core/engine/engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/loaded.h"

#define MODELS_MAX 64u

struct tn_engine {
    struct tenon_engine table;
    struct tn_registry *registry;
    pthread_mutex_t lock;
    struct tenon_loaded *models[MODELS_MAX]; /* [n_models] in order of loading */
    uint32_t n_models;
    _Atomic uint64_t last_id;
};

/* ---- models -------------------------------------------------------------------------------------------------------- */

static int32_t engine_load(void *ctx, const struct tenon_load_args *args, struct tenon_loaded **ret, struct tenon_err *err)
{
    struct tn_engine *e = ctx;
    struct tenon_loaded *l = NULL;
    int32_t rc = tn_loaded_create(e->registry, args, &l, err);
    if (rc != TENON_OK)
        return rc;
    pthread_mutex_lock(&e->lock);
    if (e->n_models < MODELS_MAX)
        e->models[e->n_models++] = l;
    else
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "load", "%u models are loaded already", MODELS_MAX);
    pthread_mutex_unlock(&e->lock);
    if (rc == TENON_OK)
        *ret = l;
    else
        tn_loaded_destroy(l);
    return rc;
}

static void engine_unload(void *ctx, struct tenon_loaded *model)
{
    struct tn_engine *e = ctx;
    if (model == NULL)
        return;
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < e->n_models; i++)
        if (e->models[i] == model) {
            e->n_models--;
            memmove(&e->models[i], &e->models[i + 1], (e->n_models - i) * sizeof e->models[0]);
            break;
        }
    pthread_mutex_unlock(&e->lock);
    tn_loaded_destroy(model);
}

static struct tenon_loaded *engine_model_at(void *ctx, uint32_t i)
{
    struct tn_engine *e = ctx;
    struct tenon_loaded *l;
    pthread_mutex_lock(&e->lock);
    l = i < e->n_models ? e->models[i] : NULL;
    pthread_mutex_unlock(&e->lock);
    return l;
}

static int32_t engine_model_info(void *ctx, struct tenon_loaded *model, struct tenon_loaded_info *ret)
{
    (void)ctx;
    tn_loaded_info(model, ret);
    return TENON_OK;
}

static int32_t engine_stats(void *ctx, struct tenon_loaded *model, struct tenon_engine_stats *ret)
{
    (void)ctx;
    tn_loaded_stats(model, ret);
    return TENON_OK;
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */

static int32_t engine_submit(void *ctx, const struct tenon_request *request, uint64_t *ret_id, struct tenon_err *err)
{
    struct tn_engine *e = ctx;
    uint64_t id = atomic_fetch_add(&e->last_id, 1) + 1;
    uint64_t ignored;
    if (request->model == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "request", "no model is given");
    return tn_loaded_submit(request->model, request, id, ret_id != NULL ? ret_id : &ignored, err);
}

static int32_t engine_cancel(void *ctx, uint64_t id)
{
    struct tn_engine *e = ctx;
    int32_t rc = TENON_E_NOT_FOUND;
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; rc != TENON_OK && i < e->n_models; i++)
        rc = tn_loaded_cancel(e->models[i], id);
    pthread_mutex_unlock(&e->lock);
    return rc;
}

/* ---- text ------------------------------------------------------------------------------------------------------------ */

/* Hand out `size` bytes by the rule of the ABI: as many as fit, and how many there are. */
static void give_out(const void *data, uint64_t size, void *buf, uint64_t capacity, uint64_t unit, uint64_t *ret_n)
{
    uint64_t n = size < capacity ? size : capacity;
    if (n > 0)
        memcpy(buf, data, n * unit);
    *ret_n = size;
}

static int32_t engine_tokenize(void *ctx, struct tenon_loaded *model, const char *text, uint64_t size, uint32_t flags,
                               int32_t *ids, uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    int32_t *all = NULL;
    uint64_t n = 0;
    const struct tn_vocab *vocab;
    int32_t rc = tn_model_vocab(tn_loaded_model(model), &vocab, err);
    (void)ctx;
    if (rc == TENON_OK)
        rc = tn_vocab_encode(vocab, text, size, flags, &all, &n, err);
    if (rc == TENON_OK)
        give_out(all, n, ids, capacity, sizeof *ids, ret_n);
    free(all);
    return rc;
}

static int32_t engine_detokenize(void *ctx, struct tenon_loaded *model, const int32_t *ids, uint64_t n, uint32_t flags,
                                 char *buf, uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tn_vocab *vocab;
    struct tn_buf text;
    uint64_t state = 0;
    int32_t rc = tn_model_vocab(tn_loaded_model(model), &vocab, err);
    (void)ctx;
    tn_buf_init(&text, 0);
    for (uint64_t i = 0; rc == TENON_OK && i < n; i++)
        rc = tn_vocab_decode(vocab, &state, ids[i], flags, &text, err);
    if (rc == TENON_OK)
        give_out(text.data, text.len, buf, capacity, 1, ret_n);
    tn_buf_finish(&text);
    return rc;
}

static int32_t engine_render(void *ctx, struct tenon_loaded *model, const char *vars, uint64_t size, char *buf,
                             uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tn_vocab *vocab;
    struct tn_buf text;
    int32_t rc = tn_model_vocab(tn_loaded_model(model), &vocab, err);
    (void)ctx;
    tn_buf_init(&text, 0);
    if (rc == TENON_OK)
        rc = tn_vocab_render(vocab, vars, size, &text, err);
    if (rc == TENON_OK)
        give_out(text.data, text.len, buf, capacity, 1, ret_n);
    tn_buf_finish(&text);
    return rc;
}

static int32_t engine_embed(void *ctx, struct tenon_loaded *model, const struct tenon_embed_args *args, float *y,
                            uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    (void)ctx;
    return tn_loaded_embed(model, args, y, capacity, ret_n, err);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

int32_t tn_engine_create(struct tn_registry *reg, struct tn_engine **ret, struct tenon_err *err)
{
    struct tn_engine *e = calloc(1, sizeof *e);
    if (e == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "engine", "out of memory");
    e->registry = reg;
    (void)pthread_mutex_init(&e->lock, NULL); /* never fails with default attributes */
    e->table = (struct tenon_engine){
        .struct_size = sizeof e->table, .ctx = e, .load = engine_load, .unload = engine_unload, .model_at = engine_model_at,
        .model_info = engine_model_info, .submit = engine_submit, .cancel = engine_cancel, .tokenize = engine_tokenize,
        .detokenize = engine_detokenize, .render = engine_render, .embed = engine_embed, .stats = engine_stats,
    };
    *ret = e;
    return TENON_OK;
}

void tn_engine_destroy(struct tn_engine *e)
{
    if (e == NULL)
        return;
    while (e->n_models > 0)
        engine_unload(e, e->models[e->n_models - 1]);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
}

const struct tenon_engine *tn_engine_table(const struct tn_engine *e)
{
    return &e->table;
}

const struct tn_model *tn_engine_model(struct tenon_loaded *loaded)
{
    return tn_loaded_model(loaded);
}
