/* embed.c - see embed.h. Texts go into a step as long as there is room, in their order; each is a sequence that ends with the
 * step. Sums of pooling are double, token by token. Runs on the thread that asks.
 */
#include "core/engine/embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One text of the step being made. */
struct text {
    int32_t *ids; /* [n] */
    uint32_t n;
};

struct work {
    struct tn_stepper *st;
    const struct tn_vocab *vocab;
    const struct tn_model_parts *parts;
    int32_t pooling;
    bool raw;
    struct text *texts;          /* [max_sequences], [n] are in the step */
    struct tn_step_part *step;   /* [max_sequences] */
    uint32_t n, tokens;
    float *y;                    /* the step's first vector: [row_size] each */
    double *sum;                 /* [row_size] */
};

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

/* What the model wants around a text, which is cut where both are longer than the context: by *ret_cut tokens. */
static int32_t wrap(const struct work *w, const int32_t *ids, uint64_t n, struct text *ret, uint64_t *ret_cut,
                    struct tenon_err *err)
{
    const struct tenon_tokenizer_info *info = tn_vocab_info(w->vocab);
    uint32_t bos = info->add_bos && info->bos >= 0, eos = info->add_eos && info->eos >= 0, most = w->parts->context;
    if (most < bos + eos)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "embed", "a context of %u has no room for a text", most);
    *ret_cut = n > most - bos - eos ? n - (most - bos - eos) : 0;
    n -= *ret_cut;
    ret->ids = malloc((n + 2) * sizeof *ids);
    if (ret->ids == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "embed", "out of memory");
    ret->ids[0] = info->bos; /* overwritten without BOS */
    memcpy(ret->ids + bos, ids, n * sizeof *ids);
    ret->n = (uint32_t)n + bos;
    if (eos)
        ret->ids[ret->n++] = info->eos;
    return ret->n > 0 ? TENON_OK : tenon_fail(err, TENON_E_INVALID_ARGUMENT, "embed", "an empty text has no vector");
}

/* A tokenizer may know tokens that the weights have no row for. */
static int32_t check_ids(const struct work *w, const struct text *t, struct tenon_err *err)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->ids[i] < 0 || (uint64_t)t->ids[i] >= w->parts->vocab_size)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "embed", "id %d is none of this model's vocabulary of %llu",
                              (int)t->ids[i], (unsigned long long)w->parts->vocab_size);
    return TENON_OK;
}

static int32_t tokenize(const struct work *w, const struct tenon_str *s, struct text *ret, uint64_t *ret_cut,
                        struct tenon_err *err)
{
    int32_t *ids = NULL;
    uint64_t n = 0;
    int32_t rc = tn_vocab_encode(w->vocab, s->data != NULL ? s->data : "", s->size, TENON_ENCODE_SPECIAL, &ids, &n, err);
    if (rc == TENON_OK)
        rc = wrap(w, ids, n, ret, ret_cut, err);
    free(ids);
    return rc == TENON_OK ? check_ids(w, ret, err) : rc;
}

/* ---- pooling ------------------------------------------------------------------------------------------------------ */

static void scale_to_one(float *y, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (double)y[i] * (double)y[i];
    for (uint64_t i = 0; sum > 0 && i < n; i++)
        y[i] = (float)((double)y[i] / sqrt(sum));
}

/* rows [n, row_size] of one text */
static void pool(const struct work *w, const float *rows, uint32_t n, float *y)
{
    uint64_t width = w->parts->row_size;
    uint32_t first = w->pooling == TENON_POOL_LAST ? n - 1 : 0, end = w->pooling == TENON_POOL_FIRST ? 1 : n;
    memset(w->sum, 0, width * sizeof *w->sum);
    for (uint32_t t = first; t < end; t++)
        for (uint64_t i = 0; i < width; i++)
            w->sum[i] += (double)rows[t * width + i];
    for (uint64_t i = 0; i < width; i++)
        y[i] = (float)(w->sum[i] / (end - first));
    if (!w->raw)
        scale_to_one(y, width);
}

/* ---- steps -------------------------------------------------------------------------------------------------------- */

/* Sequences for the step's texts; those that were opened stand in w->step also after a failure. */
static int32_t open_sequences(struct work *w, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    memset(w->step, 0, w->n * sizeof *w->step);
    for (uint32_t i = 0; rc == TENON_OK && i < w->n; i++) {
        rc = tn_kv_open(tn_stepper_kv(w->st), &w->step[i].seq, err);
        w->step[i].ids = w->texts[i].ids;
        w->step[i].n = w->step[i].n_rows = w->texts[i].n;
    }
    return rc;
}

/* Run what is in the step, if anything, and empty it. */
static int32_t flush(struct work *w, struct tenon_err *err)
{
    const float *rows = NULL;
    int32_t rc;
    if (w->n == 0)
        return TENON_OK;
    rc = open_sequences(w, err);
    if (rc == TENON_OK)
        rc = tn_stepper_run(w->st, w->step, w->n, &rows, err);
    for (uint32_t i = 0; i < w->n; i++) {
        if (rc == TENON_OK) {
            pool(w, rows, w->texts[i].n, w->y);
            rows += w->texts[i].n * w->parts->row_size;
            w->y += w->parts->row_size;
        }
        tn_kv_close(tn_stepper_kv(w->st), w->step[i].seq);
        free(w->texts[i].ids);
    }
    w->n = w->tokens = 0;
    return rc;
}

static int32_t add(struct work *w, const struct tenon_str *s, uint64_t *ret_cut, struct tenon_err *err)
{
    struct text t = { 0 };
    int32_t rc = tokenize(w, s, &t, ret_cut, err);
    if (rc == TENON_OK && (w->n == w->parts->max_sequences || w->tokens + t.n > w->parts->max_tokens))
        rc = flush(w, err);
    if (rc != TENON_OK) {
        free(t.ids);
        return rc;
    }
    w->texts[w->n++] = t;
    w->tokens += t.n;
    return TENON_OK;
}

/* ---- the call ------------------------------------------------------------------------------------------------------ */

static int32_t choose_pooling(const struct tn_model *m, const struct tenon_embed_args *args, int32_t *ret, struct tenon_err *err)
{
    uint32_t own = tn_model_info(m)->pooling;
    *ret = args->pooling != 0 ? args->pooling : own != 0 ? (int32_t)own : TENON_POOL_MEAN;
    if (*ret < TENON_POOL_MEAN || *ret > TENON_POOL_LAST)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "embed", "unknown pooling %d", (int)*ret);
    return TENON_OK;
}

int32_t tn_embed(struct tn_stepper *st, const struct tn_model *m, const struct tenon_embed_args *args, float *y,
                 struct tenon_err *err)
{
    struct work w = { .st = st, .parts = tn_model_parts(m), .y = y };
    int32_t rc = tn_model_vocab(m, &w.vocab, err);
    if (rc == TENON_OK)
        rc = choose_pooling(m, args, &w.pooling, err);
    w.raw = (args->flags & TENON_EMBED_RAW) != 0 || tn_model_info(m)->vectors == TENON_VECTORS_RAW;
    w.texts = calloc((size_t)w.parts->max_sequences + 1, sizeof *w.texts);
    w.step = calloc((size_t)w.parts->max_sequences + 1, sizeof *w.step);
    w.sum = calloc(w.parts->row_size + 1, sizeof *w.sum);
    if (rc == TENON_OK && (w.texts == NULL || w.step == NULL || w.sum == NULL))
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "embed", "out of memory");
    for (uint32_t i = 0; rc == TENON_OK && i < args->n_texts; i++) {
        uint64_t cut = 0;
        rc = add(&w, &args->texts[i], &cut, err);
        if (rc == TENON_OK && args->ret_cut != NULL)
            args->ret_cut[i] = cut;
    }
    if (rc == TENON_OK)
        rc = flush(&w, err);
    for (uint32_t i = 0; i < w.n; i++)
        free(w.texts[i].ids);
    free(w.texts);
    free(w.step);
    free(w.sum);
    return rc;
}
