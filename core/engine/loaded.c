/* loaded.c - the scheduler: one thread per loaded model that admits waiting requests, makes steps of what they need next
 * and hands each its row of logits. It never computes: steps run on the backend's stream, and it waits for their events.
 *
 * A step holds the next token of every running request first, then prompt chunks up to the step budget, in the order of
 * arrival. Ended requests leave before the next step; their sequences stay in the cache for prompts that begin alike.
 *
 * Lock: `lock` guards the waiting queue, the running list as seen by cancel and stats, and `stopping`. Only the model's
 * thread changes the running list; it holds no lock while it steps or calls back. A model that embeds has no thread: steps run
 * in the callers', under `embedding`. Contract: loaded.h, engine.h.
 */
#include "core/engine/loaded.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/threads.h"
#include "core/engine/cache.h"
#include "core/engine/embed.h"
#include "core/engine/request.h"
#include "core/engine/step.h"

struct tenon_loaded {
    struct tn_model *model;
    struct tn_stepper *stepper;
    struct tn_cache cache;
    char name[128];
    pthread_t thread;
    bool has_thread;                    /* a model that embeds has none */
    pthread_mutex_t embedding;          /* guards the stepper of such a model */
    pthread_mutex_t lock;
    pthread_cond_t wake;                /* something waits, or the end has come */
    struct tn_request *first, **tail;   /* waiting, oldest first */
    uint32_t n_waiting;
    struct tn_request **running;        /* [n_running], room for max_sequences */
    uint32_t n_running, max_sequences;
    bool stopping;
    struct tn_step_part *parts;         /* [max_sequences] of the step being made */
    struct tn_request **stepped;        /* [max_sequences] whose part each is */
    struct tenon_engine_stats stats;    /* counters; under lock */
};

/* ---- the running list ------------------------------------------------------------------------------------------- */

/* Give the request's sequence to the cache and free it. It is on no list any more. */
static void retire(struct tenon_loaded *l, struct tn_request *r)
{
    pthread_mutex_lock(&l->lock);
    l->stats.output_tokens += r->n_tokens - r->n_prompt;
    l->stats.prompt_tokens += r->n_prompt;
    pthread_mutex_unlock(&l->lock);
    if (r->seq != NULL) {
        tn_cache_give(&l->cache, r->seq, r->tokens);
        r->tokens = NULL;
    }
    tn_request_destroy(r);
}

/* Take ended and cancelled requests off the running list. */
static void sweep(struct tenon_loaded *l)
{
    for (uint32_t i = 0; i < l->n_running;) {
        struct tn_request *r = l->running[i];
        if (!r->ended && !tn_request_is_cancelled(r)) {
            i++;
            continue;
        }
        tn_request_end(r, TENON_END_CANCELLED, NULL);
        pthread_mutex_lock(&l->lock);
        memmove(&l->running[i], &l->running[i + 1], (l->n_running - i - 1) * sizeof *l->running);
        l->n_running--;
        pthread_mutex_unlock(&l->lock);
        retire(l, r);
    }
}

/* Next waiting request when there is room for it to run; it is put on the running list. */
static struct tn_request *pop_waiting(struct tenon_loaded *l)
{
    struct tn_request *r;
    pthread_mutex_lock(&l->lock);
    r = l->n_running < l->max_sequences ? l->first : NULL;
    if (r != NULL) {
        l->first = r->next;
        if (l->first == NULL)
            l->tail = &l->first;
        l->n_waiting--;
        l->running[l->n_running++] = r;
    }
    pthread_mutex_unlock(&l->lock);
    return r;
}

static void admit(struct tenon_loaded *l)
{
    struct tn_request *r;
    while ((r = pop_waiting(l)) != NULL) {
        struct tenon_err err = TENON_ERR_INIT;
        r->started = tn_now();
        if (tn_request_is_cancelled(r))
            continue; /* sweep ends it */
        if (tn_cache_take(&l->cache, r->tokens, r->n_tokens, &r->seq, &err) != TENON_OK)
            tn_request_end(r, TENON_END_ERROR, &err);
        else
            r->n_cached = r->seq->len;
    }
}

/* ---- steps -------------------------------------------------------------------------------------------------------- */

/* Add a request's next tokens to the step, as many as the budget allows. */
static void add_part(struct tenon_loaded *l, struct tn_request *r, uint32_t *n_parts, uint32_t *budget)
{
    uint32_t n;
    const int32_t *ids = tn_request_pending(r, r->seq->len, &n);
    uint32_t take = n < *budget ? n : *budget;
    if (take == 0)
        return;
    l->parts[*n_parts] = (struct tn_step_part){ r->seq, ids, take, take == n };
    l->stepped[(*n_parts)++] = r;
    *budget -= take;
}

static uint32_t make_step(struct tenon_loaded *l)
{
    uint32_t n_parts = 0, budget = tn_model_parts(l->model)->max_tokens;
    for (int decoding = 1; decoding >= 0; decoding--)
        for (uint32_t i = 0; i < l->n_running; i++) {
            struct tn_request *r = l->running[i];
            bool is_decoding = r->seq != NULL && r->n_tokens > r->n_prompt;
            if (!r->ended && r->seq != NULL && is_decoding == (decoding != 0))
                add_part(l, r, &n_parts, &budget);
        }
    return n_parts;
}

static void run_step(struct tenon_loaded *l, uint32_t n_parts)
{
    struct tenon_err err = TENON_ERR_INIT;
    uint64_t vocab = tn_model_parts(l->model)->vocab_size;
    const float *logits = NULL;
    int32_t rc = tn_stepper_run(l->stepper, l->parts, n_parts, &logits, &err);
    for (uint32_t i = 0; i < n_parts; i++) {
        if (rc != TENON_OK) {
            tn_request_end(l->stepped[i], TENON_END_ERROR, &err);
        } else if (l->parts[i].n_rows > 0) {
            (void)tn_request_accept(l->stepped[i], logits); /* sweep sees an ended one */
            logits += vocab;
        }
    }
    pthread_mutex_lock(&l->lock);
    l->stats.steps++;
    l->stats.kv_pages_used = tn_kv_pages_used(tn_stepper_kv(l->stepper));
    pthread_mutex_unlock(&l->lock);
}

/* Sleep until there is something to do; false: the end has come. */
static bool wait_for_work(struct tenon_loaded *l)
{
    bool go_on;
    pthread_mutex_lock(&l->lock);
    while (!l->stopping && l->first == NULL && l->n_running == 0)
        pthread_cond_wait(&l->wake, &l->lock);
    go_on = !l->stopping;
    pthread_mutex_unlock(&l->lock);
    return go_on;
}

/* Nothing is submitted any more. */
static void cancel_all(struct tenon_loaded *l)
{
    do {
        for (uint32_t i = 0; i < l->n_running; i++)
            tn_request_cancel(l->running[i]);
        sweep(l);
    } while (pop_waiting(l) != NULL);
}

static void *loaded_main(void *arg)
{
    struct tenon_loaded *l = arg;
    while (wait_for_work(l)) {
        uint32_t n_parts;
        admit(l);
        sweep(l);
        n_parts = make_step(l);
        if (n_parts > 0)
            run_step(l, n_parts);
    }
    cancel_all(l);
    return NULL;
}

/* ---- from other threads --------------------------------------------------------------------------------------------- */

int32_t tn_loaded_submit(struct tenon_loaded *l, const struct tenon_request *request, uint64_t id, uint64_t *ret_id,
                         struct tenon_err *err)
{
    const struct tn_model_parts *parts = tn_model_parts(l->model);
    const struct tn_vocab *vocab;
    struct tn_request *r;
    int32_t rc = tn_model_vocab(l->model, &vocab, err);
    if (parts->embeds)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, l->name,
                          "it makes vectors of texts and generates none: use tenon embed");
    if (rc == TENON_OK)
        rc = tn_request_create(vocab, parts->vocab_size, parts->context, request, id, &r, err);
    if (rc != TENON_OK)
        return rc;
    pthread_mutex_lock(&l->lock);
    if (l->stopping)
        rc = tenon_fail(err, TENON_E_UNAVAILABLE, l->name, "the model is being unloaded");
    else if (l->n_waiting == TN_QUEUE_MAX)
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, l->name, "%u requests are waiting: try again later", TN_QUEUE_MAX);
    if (rc == TENON_OK) {
        *ret_id = id; /* before the first event can come */
        *l->tail = r;
        l->tail = &r->next;
        l->n_waiting++;
        l->stats.requests++;
        pthread_cond_signal(&l->wake);
    }
    pthread_mutex_unlock(&l->lock);
    if (rc != TENON_OK)
        tn_request_destroy(r);
    return rc;
}

int32_t tn_loaded_cancel(struct tenon_loaded *l, uint64_t id)
{
    int32_t rc = TENON_E_NOT_FOUND;
    pthread_mutex_lock(&l->lock);
    for (struct tn_request *r = l->first; r != NULL; r = r->next)
        if (r->id == id) {
            tn_request_cancel(r);
            rc = TENON_OK;
        }
    for (uint32_t i = 0; i < l->n_running; i++)
        if (l->running[i]->id == id) {
            tn_request_cancel(l->running[i]);
            rc = TENON_OK;
        }
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int32_t tn_loaded_embed(struct tenon_loaded *l, const struct tenon_embed_args *args, float *y, uint64_t capacity, uint64_t *ret_n,
                        struct tenon_err *err)
{
    const struct tn_model_parts *parts = tn_model_parts(l->model);
    struct tenon_embed_args a;
    int32_t rc;
    TENON_COPY_IN(&a, args);
    if (!parts->embeds)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, l->name, "it was loaded to generate text, not to embed");
    *ret_n = a.n_texts * parts->row_size;
    if (capacity < *ret_n)
        return TENON_OK;
    pthread_mutex_lock(&l->embedding);
    rc = tn_embed(l->stepper, l->model, &a, y, err);
    pthread_mutex_unlock(&l->embedding);
    return rc;
}

const struct tn_model *tn_loaded_model(const struct tenon_loaded *l)
{
    return l->model;
}

void tn_loaded_info(const struct tenon_loaded *l, struct tenon_loaded_info *ret)
{
    const struct tn_model_parts *parts = tn_model_parts(l->model);
    const struct tenon_device_desc *device = tn_model_device(l->model);
    const struct tn_container *src = tn_model_container(l->model);
    const struct tn_vocab *vocab;
    struct tenon_loaded_info info = {
        .struct_size = sizeof info, .context = parts->context, .vocab_size = parts->vocab_size,
        .file_bytes = tn_container_tensor_bytes(src), .packed_bytes = tn_model_packed_bytes(l->model),
        .made_bytes = tn_model_made_bytes(l->model),
        .state_bytes = tn_model_state_bytes(l->model), .scratch_bytes = parts->scratch_bytes,
        .n_params = tn_container_params(src), .max_sequences = parts->max_sequences,
        .act_bits = parts->act_bits,
        .has_template = tn_model_vocab(l->model, &vocab, NULL) == TENON_OK && tn_vocab_has_template(vocab),
    };
    uint32_t size = ret->struct_size < sizeof info ? ret->struct_size : (uint32_t)sizeof info;
    info.weight_bytes = info.file_bytes + info.packed_bytes + info.made_bytes;
    (void)snprintf(info.name, sizeof info.name, "%s", l->name);
    (void)snprintf(info.architecture, sizeof info.architecture, "%s", tn_model_info(l->model)->architecture);
    (void)snprintf(info.device, sizeof info.device, "%s", device->name);
    (void)snprintf(info.device_level, sizeof info.device_level, "%s", device->level);
    info.struct_size = size;
    memcpy(ret, &info, size);
}

void tn_loaded_stats(struct tenon_loaded *l, struct tenon_engine_stats *ret)
{
    struct tenon_engine_stats stats;
    uint32_t size = ret->struct_size < sizeof stats ? ret->struct_size : (uint32_t)sizeof stats;
    pthread_mutex_lock(&l->lock);
    stats = l->stats;
    stats.running = l->n_running;
    stats.waiting = l->n_waiting;
    pthread_mutex_unlock(&l->lock);
    stats.struct_size = size;
    memcpy(ret, &stats, size);
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static int32_t start_thread(struct tenon_loaded *l, struct tenon_err *err)
{
    int error = tn_thread_start(&l->thread, loaded_main, l);
    l->has_thread = error == 0;
    return error == 0 ? TENON_OK : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, l->name, "no thread: %s", strerror(error));
}

#define UNUSED_TOLD 3u

static void warn_unused(const struct tenon_loaded *l)
{
    const struct tn_strlist *unused = tn_model_unused(l->model);
    char names[400] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < unused->n && i < UNUSED_TOLD; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%.120s", i > 0 ? ", " : "", unused->items[i]); /* fits */
    if (unused->n > 0)
        tn_log(TENON_LOG_WARN, l->name, "%u tensors of the file are used by nothing: %s%s", unused->n, names,
               unused->n > UNUSED_TOLD ? " and others, which `tenon show` lists" : "");
}

static int32_t load_model(struct tn_registry *reg, const struct tenon_load_args *args, struct tenon_loaded *l,
                          struct tenon_err *err)
{
    struct tn_model_args m = {
        .path = args->path, .device = args->device, .context = args->context, .max_sequences = args->max_sequences,
        .max_step_tokens = args->max_tokens_per_step, .kv_encoding = args->kv_encoding, .progress = args->progress,
        .progress_arg = args->progress_arg, .profile = (args->flags & TENON_LOAD_PROFILE) != 0,
        .embed = (args->flags & TENON_LOAD_EMBED) != 0,
    };
    const char *slash = strrchr(args->path, '/');
    int32_t rc = tn_model_load(reg, &m, &l->model, err);
    if (rc != TENON_OK)
        return rc;
    (void)snprintf(l->name, sizeof l->name, "%s", args->name != NULL ? args->name : slash != NULL ? slash + 1 : args->path);
    l->max_sequences = tn_model_parts(l->model)->max_sequences;
    rc = tn_stepper_create(l->model, &l->stepper, err);
    if (rc != TENON_OK)
        return rc;
    l->stats.kv_pages = tn_kv_pages(tn_stepper_kv(l->stepper));
    l->running = calloc(l->max_sequences, sizeof *l->running);
    l->parts = calloc(l->max_sequences, sizeof *l->parts);
    l->stepped = calloc(l->max_sequences, sizeof *l->stepped);
    if (l->running == NULL || l->parts == NULL || l->stepped == NULL ||
        tn_cache_init(&l->cache, tn_stepper_kv(l->stepper), l->max_sequences) != TENON_OK)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, l->name, "out of memory");
    return TENON_OK;
}

int32_t tn_loaded_create(struct tn_registry *reg, const struct tenon_load_args *args, struct tenon_loaded **ret,
                         struct tenon_err *err)
{
    struct tenon_load_args a;
    struct tenon_loaded *l = calloc(1, sizeof *l);
    int32_t rc;
    if (l == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, args->path, "out of memory");
    TENON_COPY_IN(&a, args);
    (void)pthread_mutex_init(&l->lock, NULL); /* none of them fails with default attributes */
    (void)pthread_mutex_init(&l->embedding, NULL);
    (void)pthread_cond_init(&l->wake, NULL);
    l->tail = &l->first;
    rc = a.path != NULL ? load_model(reg, &a, l, err)
                        : tenon_fail(err, TENON_E_INVALID_ARGUMENT, "load", "no path of a model was given");
    if (rc == TENON_OK && !tn_model_parts(l->model)->embeds)
        rc = start_thread(l, err);
    if (rc != TENON_OK) {
        tn_loaded_destroy(l);
        return rc;
    }
    warn_unused(l);
    *ret = l;
    return TENON_OK;
}

void tn_loaded_destroy(struct tenon_loaded *l)
{
    if (l == NULL)
        return;
    if (l->has_thread) {
        pthread_mutex_lock(&l->lock);
        l->stopping = true;
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->lock);
        (void)pthread_join(l->thread, NULL);
    }
    tn_cache_finish(&l->cache);
    tn_stepper_destroy(l->stepper);
    tn_model_unload(l->model);
    free(l->running);
    free(l->parts);
    free(l->stepped);
    (void)pthread_cond_destroy(&l->wake);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_mutex_destroy(&l->embedding);
    free(l);
}
