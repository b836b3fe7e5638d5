/* scores.c - reads the scores and prepares joining by them. A float is mapped to an integer that orders the other way
 * around, so that ranks need no sorting; what two tokens become is asked of the vocabulary by their joined spelling.
 * Contract: scores.h. */
#include "scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCORES "tokenizer.ggml.scores"

/* Higher scores first; never TOK_NEVER, as that would be a NaN. */
static uint32_t rank_of(float score)
{
    uint32_t bits;
    score += 0.0f; /* -0 and 0 are one score */
    memcpy(&bits, &score, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | 0x80000000u; /* now in the order of the floats */
    return ~bits;
}

/* The bit of a spelling by its hash. */
static inline uint32_t mark_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) & (SPM_MARKS - 1);
}

/* Can joining make this token? */
static bool is_joinable(const struct tok_vocab *v, uint32_t id)
{
    const uint8_t fixed = TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN | TENON_TOKEN_BYTE | TENON_TOKEN_UNUSED;
    return (v->attributes[id] & fixed) == 0 && v->text[id].size > 0;
}

static int32_t read_score(struct spm_scores *s, const struct tenon_meta_entry *scores, uint32_t id, struct tenon_err *err)
{
    const struct tenon_str *text = &s->vocab->text[id];
    double score;
    if (tenon_meta_f64(scores, id, &score) != 0 || isnan(score))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "spm", SCORES "[%u] is not a number: the file is damaged", id);
    s->ranks[id] = TOK_NEVER;
    if (!is_joinable(s->vocab, id))
        return 0;
    if (text->size > SPM_LONGEST)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "spm", "token %u has %llu bytes, more than the %u allowed", id,
                          (unsigned long long)text->size, SPM_LONGEST);
    s->ranks[id] = rank_of((float)score);
    if (text->size > s->longest)
        s->longest = (uint32_t)text->size;
    tok_joins_note(&s->joins, text->data, (size_t)text->size);
    return 0;
}

/* Marks of what has a rank, in the order in which hashes lie in memory. */
static void set_marks(struct spm_scores *s)
{
    const struct tok_vocab *v = s->vocab;
    for (uint32_t i = 0; i <= v->mask; i++) {
        uint32_t mark = mark_of(v->slots[i].hash);
        if (v->slots[i].id >= 0 && s->ranks[v->slots[i].id] != TOK_NEVER)
            s->marks[mark / 64] |= UINT64_C(1) << mark % 64;
    }
}

int32_t spm_scores_init(struct spm_scores *s, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                        struct tenon_err *err)
{
    struct tenon_meta_entry scores = {.struct_size = sizeof scores};
    int32_t status = meta->find(meta->ctx, SCORES, &scores);
    memset(s, 0, sizeof *s);
    s->vocab = vocab;
    if (status != 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, "spm", "the model has no " SCORES ": it cannot be tokenized");
    if (!scores.is_array || scores.count != vocab->n)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "spm", SCORES " has %llu entries for %u tokens: the file is damaged",
                          (unsigned long long)scores.count, vocab->n);
    s->ranks = malloc(vocab->n * sizeof *s->ranks);
    s->marks = calloc(SPM_MARKS / 64, sizeof *s->marks);
    if (s->ranks == NULL || s->marks == NULL) {
        spm_scores_finish(s);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "spm", "no memory for %u scores", vocab->n);
    }
    for (uint32_t id = 0; status == 0 && id < vocab->n; id++)
        status = read_score(s, &scores, id, err);
    if (status == 0)
        set_marks(s);
    else
        spm_scores_finish(s);
    return status;
}

void spm_scores_finish(struct spm_scores *s)
{
    free(s->ranks);
    free(s->marks);
    memset(s, 0, sizeof *s);
}

uint32_t spm_scores_find(const struct spm_scores *s, const char *text, size_t size, int32_t *ret_id)
{
    uint64_t hash;
    uint32_t mark;
    int32_t id;
    if (size > s->longest)
        return TOK_NEVER;
    hash = tok_vocab_hash(s->vocab, text, size);
    mark = mark_of(hash);
    if ((s->marks[mark / 64] >> mark % 64 & 1) == 0)
        return TOK_NEVER;
    id = tok_vocab_find_by(s->vocab, hash, text, size);
    if (id < 0 || s->ranks[id] == TOK_NEVER)
        return TOK_NEVER;
    *ret_id = id;
    return s->ranks[id];
}

uint32_t spm_scores_rank(const void *scores, int32_t left, int32_t right, int32_t *ret_merged)
{
    const struct spm_scores *s = scores;
    const struct tenon_str *a = &s->vocab->text[left], *b = &s->vocab->text[right];
    char joined[SPM_LONGEST];
    /* Bytes and unknown tokens stay as they are: no spelling says what they are. */
    if (s->ranks[left] == TOK_NEVER || s->ranks[right] == TOK_NEVER || a->size + b->size > s->longest)
        return TOK_NEVER;
    memcpy(joined, a->data, a->size);
    memcpy(joined + a->size, b->data, b->size);
    return spm_scores_find(s, joined, (size_t)(a->size + b->size), ret_merged);
}
