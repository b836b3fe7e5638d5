/* sampler.c - the engine's own sampler, and the reference for devices that claim core.sample. It works on one row at a
 * time, on the engine's thread; it knows no request, text or stop. Contract: sampler.h.
 *
 * Tokens are wanted in descending order, but rarely many of them: so candidates lie in a heap of indices, built in
 * linear time, and are popped until the draw is decided. Sums run in double in that order, the total over all tokens in
 * the order of ids, so that equal logits give equal tokens.
 */
#include "core/engine/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PENALTY_LAST 64 /* tokens looked back on unless a request says otherwise */

struct tn_sampler {
    struct tenon_sampling p;
    uint64_t n;                   /* vocabulary */
    float *logits;                /* [n] after penalties; NULL without any */
    int32_t *heap;                /* [n] ids, see struct ranking */
    uint32_t *counts;             /* [n] occurrences in the history, zero between picks; NULL without penalties */
    struct tenon_logprob *top;    /* [p.logprobs] */
    int32_t *top_ids;             /* [p.logprobs] */
};

/* ---- numbers ------------------------------------------------------------------------------------------------ */

void tn_philox(uint64_t seed, uint32_t index, uint32_t ret[4])
{
    uint32_t c[4] = { index, 0, 0, 0 };
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0];
        uint64_t b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t n0 = (uint32_t)(b >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[0] = n0, c[1] = (uint32_t)b, c[2] = n2, c[3] = (uint32_t)a;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    memcpy(ret, c, sizeof c);
}

/* Is x[a] before x[b] in descending order? */
static int before(const float *x, int32_t a, int32_t b)
{
    float u = x[a], v = x[b];
    if (u != u || v != v) /* NaN is below everything, equal to minus infinity */
        u = u != u ? -INFINITY : u, v = v != v ? -INFINITY : v;
    return u > v || (u == v && a < b);
}

int32_t tn_argmax(const float *x, uint64_t n)
{
    uint64_t best = 0;
    float max = -INFINITY;
    for (uint64_t i = 0; i < n; i++)
        if (x[i] > max)
            max = x[i], best = i;
    return (int32_t)best;
}

double tn_log_sum_exp(const float *x, uint64_t n)
{
    float max = x[tn_argmax(x, n)];
    double sum = 0.0;
    if (!(max > -INFINITY) || max == INFINITY)
        return (double)max;
    for (uint64_t i = 0; i < n; i++)
        sum += x[i] == x[i] ? exp((double)x[i] - (double)max) : 0.0;
    return (double)max + log(sum);
}

/* ---- a heap of ids, largest logit at its root ---------------------------------------------------------------- */

static void heap_down(const float *x, int32_t *heap, uint64_t n, uint64_t i)
{
    int32_t id = heap[i];
    for (;;) {
        uint64_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && before(x, heap[child + 1], heap[child]))
            child++;
        if (!before(x, heap[child], id))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = id;
}

static void heap_make(const float *x, int32_t *heap, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        heap[i] = (int32_t)i;
    for (uint64_t i = n / 2; i-- > 0;)
        heap_down(x, heap, n, i);
}

/* Takes the root out; it stays readable behind the heap's new end. n > 0. */
static int32_t heap_pop(const float *x, int32_t *heap, uint64_t *n)
{
    int32_t id = heap[0];
    heap[0] = heap[--*n];
    heap[*n] = id;
    if (*n > 0)
        heap_down(x, heap, *n, 0);
    return id;
}

void tn_top_k(const float *x, uint64_t n, uint32_t k, int32_t *ids, int32_t *work)
{
    heap_make(x, work, n);
    for (uint32_t i = 0; i < k; i++)
        ids[i] = heap_pop(x, work, &n);
}

/* ---- the chain ---------------------------------------------------------------------------------------------- */

static int has_penalties(const struct tenon_sampling *p)
{
    return (p->repeat_penalty != 0.0f && p->repeat_penalty != 1.0f) || p->presence_penalty != 0.0f ||
           p->frequency_penalty != 0.0f;
}

static void penalise(struct tn_sampler *s, const int32_t *history, uint64_t n)
{
    const struct tenon_sampling *p = &s->p;
    uint64_t last = p->penalty_last < 0 ? n : p->penalty_last == 0 ? PENALTY_LAST : (uint64_t)p->penalty_last;
    float repeat = p->repeat_penalty != 0.0f ? p->repeat_penalty : 1.0f;
    uint64_t first = n > last ? n - last : 0;
    for (uint64_t i = first; i < n; i++)
        if (history[i] >= 0 && (uint64_t)history[i] < s->n)
            s->counts[history[i]]++;
    for (uint64_t i = first; i < n; i++) {
        int32_t id = history[i];
        float *x = &s->logits[id];
        if (id < 0 || (uint64_t)id >= s->n || s->counts[id] == 0)
            continue;
        *x = *x > 0.0f ? *x / repeat : *x * repeat;
        *x -= p->presence_penalty + p->frequency_penalty * (float)s->counts[id];
        s->counts[id] = 0; /* once per token */
    }
}

/* Most likely tokens and the normaliser of all. x: after penalties, before temperature. */
static double report(struct tn_sampler *s, const float *x, struct tn_pick *ret)
{
    uint32_t k = s->p.logprobs < s->n ? s->p.logprobs : (uint32_t)s->n;
    double lse = tn_log_sum_exp(x, s->n);
    tn_top_k(x, s->n, k, s->top_ids, s->heap);
    for (uint32_t i = 0; i < k; i++)
        s->top[i] = (struct tenon_logprob){ s->top_ids[i], (float)((double)x[s->top_ids[i]] - lse) };
    ret->top = s->top;
    ret->n_top = k;
    return lse;
}

/* The tokens in descending order, taken from the heap as far as they were asked for. */
struct ranking {
    const float *x; /* [n] */
    int32_t *heap;  /* [n] the heap in [0, left), then what was popped, the largest last */
    uint64_t n, left;
    float max, scale;
};

static int32_t ranked(struct ranking *r, uint64_t rank)
{
    return rank < r->n - r->left ? r->heap[r->n - 1 - rank] : heap_pop(r->x, r->heap, &r->left);
}

/* exp((x - max) / temperature), made so that infinities of either sign give no NaN. */
static double weight(const struct ranking *r, int32_t id)
{
    float x = r->x[id];
    if (x == r->max)
        return 1.0;
    return x == x ? (double)expf((x - r->max) * r->scale) : 0.0;
}

static double total_weight(struct ranking *r, uint64_t limit)
{
    double sum = 0.0;
    for (uint64_t i = 0; i < limit; i++)
        sum += weight(r, limit < r->n ? ranked(r, i) : (int32_t)i);
    return sum;
}

/* How many of the first `limit` tokens top-p and min-p keep; *mass is their weight. */
static uint64_t cut(struct ranking *r, const struct tenon_sampling *p, uint64_t limit, double *mass)
{
    double enough = p->top_p > 0.0f && p->top_p < 1.0f ? (double)p->top_p * *mass : INFINITY;
    double sum = 0.0;
    uint64_t kept = 0;
    if (!isfinite(enough) && p->min_p <= 0.0f)
        return limit;
    for (; kept < limit && sum < enough; kept++) {
        double w = weight(r, ranked(r, kept));
        if (kept > 0 && w < (double)p->min_p) /* the largest weighs 1 */
            break;
        sum += w;
    }
    *mass = sum;
    return kept;
}

/* Draw among what top-k, top-p and min-p keep. u: in [0, 1). */
static int32_t draw(struct tn_sampler *s, const float *x, float u)
{
    const struct tenon_sampling *p = &s->p;
    struct ranking r = { x, s->heap, s->n, s->n, x[tn_argmax(x, s->n)], 1.0f / p->temperature };
    uint64_t limit = p->top_k > 0 && (uint64_t)p->top_k < s->n ? (uint64_t)p->top_k : s->n;
    double mass, sum = 0.0;
    heap_make(x, s->heap, s->n);
    mass = total_weight(&r, limit);
    limit = cut(&r, p, limit, &mass);
    for (uint64_t i = 0;; i++) {
        int32_t id = ranked(&r, i);
        sum += weight(&r, id);
        if (sum > (double)u * mass || i + 1 >= limit) /* rounding may leave the last one short */
            return id;
    }
}

void tn_sampler_pick(struct tn_sampler *s, const float *logits, const int32_t *history, uint64_t n_history,
                     uint32_t index, struct tn_pick *ret)
{
    const float *x = logits;
    double lse = 0.0;
    *ret = (struct tn_pick){ 0 };
    if (s->counts != NULL) {
        memcpy(s->logits, logits, s->n * sizeof *logits);
        penalise(s, history, n_history);
        x = s->logits;
    }
    if (s->p.logprobs > 0)
        lse = report(s, x, ret);
    if (s->p.temperature > 0.0f) {
        uint32_t random[4];
        tn_philox(s->p.seed, index, random);
        ret->token = draw(s, x, (float)(random[0] >> 8) * 0x1p-24f);
    } else {
        ret->token = tn_argmax(x, s->n);
    }
    if (s->p.logprobs > 0)
        ret->logprob = (float)((double)x[ret->token] - lse);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

int32_t tn_sampling_check(const struct tenon_sampling *p, struct tenon_err *err)
{
    static const char where[] = "sampling";
    if (!(p->temperature >= 0.0f) || !isfinite(p->temperature))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, where, "temperature %g: must be 0 or more", (double)p->temperature);
    if (!(p->top_p >= 0.0f && p->top_p <= 1.0f))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, where, "top_p %g: must be in 0..1", (double)p->top_p);
    if (!(p->min_p >= 0.0f && p->min_p <= 1.0f))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, where, "min_p %g: must be in 0..1", (double)p->min_p);
    if (p->top_k < 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, where, "top_k %d: must be 0 or more", (int)p->top_k);
    if (!(p->repeat_penalty >= 0.0f) || !isfinite(p->repeat_penalty))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, where, "repeat_penalty %g: must be above 0",
                          (double)p->repeat_penalty);
    if (!isfinite(p->presence_penalty) || !isfinite(p->frequency_penalty))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, where, "presence_penalty and frequency_penalty must be finite");
    return TENON_OK;
}

int32_t tn_sampler_create(uint64_t vocab_size, const struct tenon_sampling *sampling, struct tn_sampler **ret,
                          struct tenon_err *err)
{
    struct tn_sampler *s;
    uint64_t k;
    int32_t rc = tn_sampling_check(sampling, err);
    if (rc != TENON_OK)
        return rc;
    if (vocab_size == 0 || vocab_size > INT32_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "sampling", "no vocabulary, or one of over 2^31 tokens");
    s = calloc(1, sizeof *s);
    if (s == NULL)
        goto no_memory;
    s->p = *sampling;
    s->n = vocab_size;
    k = s->p.logprobs < vocab_size ? s->p.logprobs : vocab_size;
    s->heap = calloc(vocab_size, sizeof *s->heap);
    s->top = calloc(k + 1, sizeof *s->top);
    s->top_ids = calloc(k + 1, sizeof *s->top_ids);
    if (s->heap == NULL || s->top == NULL || s->top_ids == NULL)
        goto no_memory;
    if (has_penalties(sampling)) {
        s->logits = calloc(vocab_size, sizeof *s->logits);
        s->counts = calloc(vocab_size, sizeof *s->counts);
        if (s->logits == NULL || s->counts == NULL)
            goto no_memory;
    }
    *ret = s;
    return TENON_OK;
no_memory:
    tn_sampler_destroy(s);
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "sampling", "out of memory");
}

void tn_sampler_destroy(struct tn_sampler *s)
{
    if (s == NULL)
        return;
    free(s->logits);
    free(s->heap);
    free(s->counts);
    free(s->top);
    free(s->top_ids);
    free(s);
}
