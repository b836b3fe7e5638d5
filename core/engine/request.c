/* request.c - see request.h. Created in the thread that submits, then owned by the engine's thread. */
#include "core/engine/request.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

double tn_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the prompt ------------------------------------------------------------------------------------------------- */

/* Text to tokens, BOS in front when the model wants one and the text does not bring it. */
static int32_t take_text(struct tn_request *r, const char *text, uint64_t size, struct tenon_err *err)
{
    const struct tenon_tokenizer_info *info = tn_vocab_info(r->vocab);
    int32_t *ids = NULL;
    uint64_t n = 0;
    uint32_t bos;
    int32_t rc = tn_vocab_encode(r->vocab, text, size, TENON_ENCODE_SPECIAL, &ids, &n, err);
    if (rc != TENON_OK)
        return rc;
    bos = info->add_bos && info->bos >= 0 && (n == 0 || ids[0] != info->bos);
    if (n > UINT32_MAX - 1) {
        free(ids);
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "too long");
    }
    r->tokens = malloc((n + 1) * sizeof *ids);
    if (r->tokens == NULL) {
        free(ids);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "prompt", "out of memory");
    }
    r->tokens[0] = info->bos; /* overwritten without BOS */
    memcpy(r->tokens + bos, ids, n * sizeof *ids);
    r->n_tokens = r->capacity = (uint32_t)n + bos;
    free(ids);
    return TENON_OK;
}

/* A rendered template holds all the special tokens the model wants: nothing is added. */
static int32_t take_messages(struct tn_request *r, const struct tenon_request *request, struct tenon_err *err)
{
    struct tn_buf text;
    uint64_t n = 0;
    int32_t rc;
    tn_buf_init(&text, 0);
    rc = tn_vocab_chat(r->vocab, request->prompt, request->prompt_size, request->template_vars, &text, err);
    if (rc == TENON_OK)
        rc = tn_vocab_encode(r->vocab, text.data != NULL ? text.data : "", text.len, TENON_ENCODE_SPECIAL, &r->tokens, &n, err);
    if (rc == TENON_OK && n > UINT32_MAX - 1)
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "too long");
    r->n_tokens = r->capacity = (uint32_t)n;
    tn_buf_finish(&text);
    return rc;
}

static int32_t take_ids(struct tn_request *r, const struct tenon_request *request, struct tenon_err *err)
{
    if (request->n_ids > UINT32_MAX - 1)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "too long");
    r->tokens = malloc((request->n_ids + 1) * sizeof *r->tokens);
    if (r->tokens == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "prompt", "out of memory");
    if (request->n_ids > 0)
        memcpy(r->tokens, request->ids, request->n_ids * sizeof *r->tokens);
    r->n_tokens = r->capacity = (uint32_t)request->n_ids;
    return TENON_OK;
}

/* A tokenizer may know tokens that the weights have no row for. */
static int32_t check_ids(const struct tn_request *r, uint64_t vocab_size, struct tenon_err *err)
{
    for (uint32_t i = 0; i < r->n_tokens; i++)
        if (r->tokens[i] < 0 || (uint64_t)r->tokens[i] >= vocab_size)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "id %d is none of this model's vocabulary of %llu",
                              (int)r->tokens[i], (unsigned long long)vocab_size);
    return TENON_OK;
}

static int32_t take_prompt(struct tn_request *r, const struct tenon_request *request, uint64_t vocab_size,
                           struct tenon_err *err)
{
    int32_t rc;
    switch (request->prompt_kind) {
    case TENON_PROMPT_TEXT: rc = take_text(r, request->prompt, request->prompt_size, err); break;
    case TENON_PROMPT_IDS: rc = take_ids(r, request, err); break;
    case TENON_PROMPT_MESSAGES: rc = take_messages(r, request, err); break;
    default: rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "unknown prompt_kind %d", (int)request->prompt_kind);
    }
    if (rc != TENON_OK)
        return rc;
    if (r->n_tokens == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "empty: give the model at least one token");
    if (r->n_tokens > r->context)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "%u tokens, but the context has %u: use a larger --context",
                          r->n_tokens, r->context);
    r->n_prompt = r->n_tokens;
    return check_ids(r, vocab_size, err);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void send(struct tn_request *r, struct tenon_event_data *event)
{
    event->struct_size = sizeof *event;
    event->request = r->id;
    if (r->on_event != NULL && r->on_event(r->arg, event) != 0)
        tn_request_cancel(r);
}

static void send_text(struct tn_request *r)
{
    struct tenon_event_data event = { .type = TENON_EVENT_TEXT, .text = r->text.data, .size = r->text.len };
    if (r->text.len > 0)
        send(r, &event);
    r->text.len = 0;
}

static void send_usage(struct tn_request *r)
{
    struct tenon_event_data event = {
        .type = TENON_EVENT_USAGE, .prompt_tokens = r->n_prompt, .cached_tokens = r->n_cached,
        .output_tokens = r->n_tokens - r->n_prompt, .seed = r->sampling.seed,
    };
    double now = tn_now();
    event.queue_s = (r->started > 0 ? r->started : now) - r->submitted;
    if (r->first > 0) {
        event.prefill_s = r->first - r->started;
        event.first_token_s = r->first - r->submitted;
        event.decode_s = r->last - r->first;
    }
    send(r, &event);
}

void tn_request_end(struct tn_request *r, int32_t why, const struct tenon_err *err)
{
    struct tenon_event_data event = { .type = TENON_EVENT_END, .end = why };
    if (r->ended)
        return;
    if (tn_stream_flush(&r->stream, &r->text) == TENON_OK)
        send_text(r);
    send_usage(r);
    if (why == TENON_END_ERROR && err != NULL) {
        event.status = err->code;
        event.text = err->message;
        event.size = strlen(err->message);
    }
    r->ended = true;
    send(r, &event);
}

static bool end_with(struct tn_request *r, int32_t why)
{
    tn_request_end(r, why, NULL);
    return true;
}

static bool fail_with(struct tn_request *r, struct tenon_err *err, int32_t code)
{
    if (err->code == TENON_OK)
        (void)tenon_fail(err, code, "request", "out of memory");
    tn_request_end(r, TENON_END_ERROR, err);
    return true;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

const int32_t *tn_request_pending(const struct tn_request *r, uint32_t from, uint32_t *ret_n)
{
    *ret_n = r->n_tokens - from;
    return r->tokens + from;
}

static int32_t push_token(struct tn_request *r, int32_t token)
{
    if (r->n_tokens == r->capacity) {
        uint32_t capacity = r->capacity < UINT32_MAX / 2 ? 2 * r->capacity + 64 : UINT32_MAX;
        int32_t *tokens = r->capacity < UINT32_MAX ? realloc(r->tokens, (size_t)capacity * sizeof *tokens) : NULL;
        if (tokens == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        r->tokens = tokens;
        r->capacity = capacity;
    }
    r->tokens[r->n_tokens++] = token;
    return TENON_OK;
}

static void send_token(struct tn_request *r, const struct tn_pick *pick)
{
    struct tenon_event_data event = { .type = TENON_EVENT_TOKEN, .token = pick->token, .logprob = pick->logprob,
                                      .top = pick->top, .n_top = pick->n_top };
    send(r, &event);
}

bool tn_request_accept(struct tn_request *r, const float *logits)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_pick pick;
    uint32_t index = r->n_tokens - r->n_prompt;
    int32_t rc;
    tn_sampler_pick(r->sampler, logits, r->tokens, r->n_tokens, index, &pick);
    r->last = tn_now();
    if (index == 0)
        r->first = r->last;
    if (!isfinite(logits[pick.token])) { /* of a sound row the one picked is: NaN is below everything */
        rc = tenon_fail(&err, TENON_E_DATA_LOSS, "model", "its output is not a number: the file is damaged, or this device "
                        "computes it wrongly: fetch it again, or try another --device");
        return fail_with(r, &err, rc);
    }
    rc = push_token(r, pick.token);
    if (rc != TENON_OK)
        return fail_with(r, &err, rc);
    send_token(r, &pick);
    if (!r->ignore_end && tn_vocab_is_end(r->vocab, pick.token))
        return end_with(r, TENON_END_STOP);
    r->bytes.len = 0;
    rc = tn_vocab_decode(r->vocab, &r->decode_state, pick.token, 0, &r->bytes, &err);
    if (rc == TENON_OK)
        rc = tn_stream_push(&r->stream, r->bytes.data, r->bytes.len, &r->text);
    if (rc != TENON_OK)
        return fail_with(r, &err, rc);
    send_text(r);
    if (r->stream.stopped)
        return end_with(r, TENON_END_STOP);
    if (index + 1 == r->max_tokens || r->n_tokens > r->context) /* no room to compute this token's successor */
        return end_with(r, TENON_END_LENGTH);
    return false;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static int32_t draw_seed(struct tenon_sampling *s, struct tenon_err *err)
{
    if (s->has_seed)
        return TENON_OK;
    if (getrandom(&s->seed, sizeof s->seed, 0) != (ssize_t)sizeof s->seed)
        return tenon_fail(err, TENON_E_UNAVAILABLE, "seed", "no random numbers: %s: give a --seed", strerror(errno));
    return TENON_OK;
}

int32_t tn_request_create(const struct tn_vocab *vocab, uint64_t vocab_size, uint32_t context,
                          const struct tenon_request *request, uint64_t id, struct tn_request **ret, struct tenon_err *err)
{
    struct tenon_request q;
    struct tn_request *r = calloc(1, sizeof *r);
    int32_t rc;
    if (r == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "request", "out of memory");
    TENON_COPY_IN(&q, request);
    r->id = id;
    r->vocab = vocab;
    r->context = context;
    r->max_tokens = q.max_tokens;
    r->ignore_end = q.ignore_end != 0;
    r->sampling = q.sampling;
    r->on_event = q.on_event;
    r->arg = q.arg;
    r->submitted = tn_now();
    tn_buf_init(&r->bytes, 0);
    tn_buf_init(&r->text, 0);
    rc = draw_seed(&r->sampling, err);
    if (rc == TENON_OK)
        rc = tn_sampler_create(vocab_size, &r->sampling, &r->sampler, err);
    if (rc == TENON_OK && tn_stream_init(&r->stream, q.stop, q.n_stop) != TENON_OK)
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "request", "out of memory");
    if (rc == TENON_OK)
        rc = take_prompt(r, &q, vocab_size, err);
    if (rc != TENON_OK) {
        tn_request_destroy(r);
        return rc;
    }
    *ret = r;
    return TENON_OK;
}

void tn_request_destroy(struct tn_request *r)
{
    if (r == NULL)
        return;
    tn_sampler_destroy(r->sampler);
    tn_stream_finish(&r->stream);
    tn_buf_finish(&r->bytes);
    tn_buf_finish(&r->text);
    free(r->tokens);
    free(r);
}

void tn_request_cancel(struct tn_request *r)
{
    atomic_store(&r->cancelled, true);
}

bool tn_request_is_cancelled(const struct tn_request *r)
{
    return atomic_load(&r->cancelled);
}
