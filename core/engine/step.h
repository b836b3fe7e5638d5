/* step.h - one step of a model: T tokens of S sequences in, rows of logits out. The scheduler, `bench` and `eval` stand on
 * it; it knows no request and chooses no token.
 *
 *     struct tn_stepper *st;
 *     rc = tn_stepper_create(model, &st, err);
 *     rc = tn_kv_open(tn_stepper_kv(st), &seq, err);
 *     struct tn_step_part part = { seq, ids, n, 1 };               // a prefill chunk; logits of its last token
 *     rc = tn_stepper_run(st, &part, 1, &logits, err);             // logits [1, vocab]; seq->len has grown by n
 *     tn_kv_close(tn_stepper_kv(st), seq);
 *     tn_stepper_destroy(st);
 *
 * The calling thread fills inputs, enqueues and waits; it computes nothing. [serial:stepper]
 */
#ifndef TN_ENGINE_STEP_H
#define TN_ENGINE_STEP_H

#include <stdint.h>

#include "core/engine/kv.h"
#include "core/model/model.h"

struct tn_stepper;

struct tn_step_part {
    struct tn_seq *seq;
    const int32_t *ids; /* [n] the tokens at positions seq->len .. seq->len+n-1 */
    uint32_t n;         /* at least 1 */
    uint32_t n_rows;    /* logits are wanted of the last n_rows tokens; 0..n */
};

/* `m` outlives it; one stepper per model, since both use the model's states. OWN: *ret until tn_stepper_destroy. */
int32_t tn_stepper_create(const struct tn_model *m, struct tn_stepper **ret, struct tenon_err *err);
void tn_stepper_destroy(struct tn_stepper *st); /* NULL is allowed; all sequences are closed before */

struct tn_kv *tn_stepper_kv(struct tn_stepper *st);

/* Run parts [n_parts] of different sequences as one step. The sums of n and n_rows are within the model's max_tokens and
 * max_rows. *ret_logits [rows, vocab] row-major in the order of the parts; OWN: stepper, until the next run. On failure no
 * sequence has changed. RESOURCE_EXHAUSTED: no page free, or the context is full. */
int32_t tn_stepper_run(struct tn_stepper *st, const struct tn_step_part *parts, uint32_t n_parts, const float **ret_logits,
                       struct tenon_err *err);

/* Steps run since it was made. */
uint64_t tn_stepper_steps(const struct tn_stepper *st);

#endif
