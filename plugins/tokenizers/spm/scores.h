/* scores.h - which adjacent tokens of a SentencePiece vocabulary join, in which order, and where none ever will.
 *
 *     struct spm_scores s;
 *     if (spm_scores_init(&s, &vocab, meta, err) != 0) return ...;
 *     n = tok_merge_run(&merge, spm_scores_rank, &s, NULL, n);      // the pair whose joined token has the highest score first
 *     spm_scores_finish(&s);
 *
 * Immutable after init, so [any-thread].
 */
#ifndef SPM_SCORES_H
#define SPM_SCORES_H

#include "../common/joins.h"
#include "../common/merge.h"
#include "../common/vocab.h"

#define SPM_LONGEST 256u      /* bytes of the longest token that joining can make */
#define SPM_MARKS (1u << 20) /* bits: few enough for the processor's second cache */

struct spm_scores {
    const struct tok_vocab *vocab;
    uint32_t *ranks;    /* [vocab->n] lower for a higher score; TOK_NEVER: not made by joining */
    uint32_t longest;   /* bytes of the longest token that has a rank */
    uint64_t *marks;    /* [SPM_MARKS / 64] a bit for each token with a rank: most pairs make none, and that is seen here */
    struct tok_joins joins; /* of the tokens that have a rank */
};

/* Errors: NOT_FOUND, INVALID_ARGUMENT (of the wrong type or length, a score that is no number), OUT_OF_RANGE (a token over
 * SPM_LONGEST), RESOURCE_EXHAUSTED. On failure nothing is held. `vocab` must outlive the scores. */
int32_t spm_scores_init(struct spm_scores *s, const struct tok_vocab *vocab, const struct tenon_meta *meta,
                        struct tenon_err *err);

void spm_scores_finish(struct spm_scores *s); /* zeroed is fine */

/* The rank of the token that is spelled so, and its id; TOK_NEVER: joining makes none, *ret_id is untouched. */
uint32_t spm_scores_find(const struct spm_scores *s, const char *text, size_t size, int32_t *ret_id);

/* tok_pair_fn; `scores` is a struct spm_scores. */
uint32_t spm_scores_rank(const void *scores, int32_t left, int32_t right, int32_t *ret_merged);

#endif
