/* request.h - one request from prompt to END: its tokens, its choice of the next, its text and its events. It runs no
 * steps: the scheduler (loaded.c) does, and hands over rows of logits.
 *
 *     struct tn_request *r;
 *     rc = tn_request_create(vocab, context, &request, id, &r, err);    // tokenizes, in the caller's thread
 *     ids = tn_request_pending(r, cached_len, &n);                      // what a step must compute next
 *     if (tn_request_accept(r, logits) != 0) ...                        // one token more; ended: END has been sent
 *     tn_request_destroy(r);
 *
 * [serial:request] but for tn_request_cancel. Events go to on_event from the thread that calls.
 */
#ifndef TN_ENGINE_REQUEST_H
#define TN_ENGINE_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenon/engine.h>

#include "core/engine/kv.h"
#include "core/engine/sampler.h"
#include "core/engine/stream.h"
#include "core/model/vocab.h"

struct tn_request {
    uint64_t id;
    const struct tn_vocab *vocab;
    struct tn_request *next;      /* in the waiting queue */
    struct tn_seq *seq;           /* while running; the scheduler's */
    int32_t *tokens;              /* [n_tokens] prompt, then output */
    uint32_t n_tokens, n_prompt, capacity;
    uint32_t n_cached;            /* of the prompt, found in the cache */
    uint32_t context;
    uint64_t max_tokens;          /* of output; 0: up to the context */
    bool ignore_end;
    bool ended;                   /* END was sent */
    _Atomic bool cancelled;
    struct tenon_sampling sampling;
    struct tn_sampler *sampler;
    struct tn_stream stream;
    uint64_t decode_state;        /* of the tokenizer */
    struct tn_buf bytes, text;    /* of the newest token; kept for their memory */
    double submitted, started, first, last; /* seconds, see tn_now; 0: not yet */
    int32_t (*on_event)(void *arg, const struct tenon_event_data *event);
    void *arg;
};

/* Seconds of a clock that only goes forward. [any-thread] */
double tn_now(void);

/* OWN: *ret until tn_request_destroy; what `request` points to is copied. vocab_size: rows of the model's logits.
 * INVALID_ARGUMENT (sampling, ids, a prompt that does not fit), FAILED_PRECONDITION (no chat template). */
int32_t tn_request_create(const struct tn_vocab *vocab, uint64_t vocab_size, uint32_t context,
                          const struct tenon_request *request, uint64_t id, struct tn_request **ret, struct tenon_err *err);
void tn_request_destroy(struct tn_request *r); /* NULL is allowed; sends nothing */

/* Tokens from position `from` on that are not in the cache yet. OWN: request. */
const int32_t *tn_request_pending(const struct tn_request *r, uint32_t from, uint32_t *ret_n);

/* Take the next token from logits [vocab_size] and tell of it. True: the request has ended. */
bool tn_request_accept(struct tn_request *r, const float *logits);

/* Send what text is left, USAGE and END, unless END was sent. why: TENON_END_*; err: for TENON_END_ERROR. */
void tn_request_end(struct tn_request *r, int32_t why, const struct tenon_err *err);

void tn_request_cancel(struct tn_request *r); /* [any-thread] takes effect before the next step */
bool tn_request_is_cancelled(const struct tn_request *r);

#endif
