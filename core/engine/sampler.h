/* sampler.h - from a row of logits to a token, by the chain of engine.h and core.sample: penalties, log-probabilities
 * taken here, temperature, top-k, top-p, min-p, draw.
 *
 *     struct tn_sampler *s;
 *     rc = tn_sampler_create(vocab_size, &request->sampling, &s, err);
 *     tn_sampler_pick(s, logits, tokens, n_tokens, index_of_output_token, &pick);
 *     tn_sampler_destroy(s);
 *
 * A draw depends on seed and index alone, so a sequence that is preempted and resumed says the same.
 * [serial:sampler]
 */
#ifndef TN_ENGINE_SAMPLER_H
#define TN_ENGINE_SAMPLER_H

#include <stdint.h>

#include <tenon/engine.h>

struct tn_sampler;

struct tn_pick {
    int32_t token;
    float logprob;                   /* of token; 0 when no log-probabilities were asked for */
    const struct tenon_logprob *top; /* [n_top] most likely first; OWN: sampler, until the next pick */
    uint32_t n_top;
};

/* Are the values of a request within their ranges? INVALID_ARGUMENT names the first that is not. [any-thread] */
int32_t tn_sampling_check(const struct tenon_sampling *sampling, struct tenon_err *err);

/* `sampling` is copied; its seed is used as it is. OWN: *ret until tn_sampler_destroy. */
int32_t tn_sampler_create(uint64_t vocab_size, const struct tenon_sampling *sampling, struct tn_sampler **ret,
                          struct tenon_err *err);
void tn_sampler_destroy(struct tn_sampler *s); /* NULL is allowed */

/* logits [vocab_size]; history [n_history] all tokens of the sequence so far; index: of the output token, from 0. NaN
 * counts as minus infinity. */
void tn_sampler_pick(struct tn_sampler *s, const float *logits, const int32_t *history, uint64_t n_history,
                     uint32_t index, struct tn_pick *ret);

/* Lowest index of the largest value; NaN counts as minus infinity. [any-thread] */
int32_t tn_argmax(const float *x, uint64_t n);

/* Natural log of the sum of exp(x), and so log-probability i is x[i] - that. [any-thread] */
double tn_log_sum_exp(const float *x, uint64_t n);

/* The k largest of x [n] into ids [k], descending, ties by lower index; work [n]. k <= n. [any-thread] */
void tn_top_k(const float *x, uint64_t n, uint32_t k, int32_t *ids, int32_t *work);

/* Philox4x32-10 (Salmon et al., SC11), key (seed low, seed high), counter (index, 0, 0, 0). [any-thread] */
void tn_philox(uint64_t seed, uint32_t index, uint32_t ret[4]);

#endif
