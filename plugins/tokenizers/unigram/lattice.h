/* lattice.h - the likeliest way to put a text together out of tokens with scores.
 *
 *     struct uni_model m;
 *     double *scores = malloc(...);                          // [vocab.n] log probabilities; the model's from then on
 *     if (uni_model_init(&m, &vocab, scores, unknown, UNI_NOT_TEXT, err) != 0) return ...;
 *     struct uni_lattice l = {0};                            // buffers grow and are kept
 *     status = uni_encode(&m, &l, work, text, size, &ids, &n);  // any bytes; ids [n] live in the work
 *     uni_lattice_finish(&l);
 *     uni_model_finish(&m);
 *
 * A model is constant after init, [any-thread]; a lattice is one thread's.
 */
#ifndef UNI_LATTICE_H
#define UNI_LATTICE_H

#include "../common/chars.h"
#include "../common/joins.h"
#include "../common/work.h"
#include "trie.h"

#define UNI_LONGEST 256u /* bytes of the longest token */
/* What SentencePiece finds in no text. */
#define UNI_NOT_TEXT (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN | TENON_TOKEN_BYTE | TENON_TOKEN_UNUSED)
#define UNI_PENALTY 10.0 /* that an unknown character costs more than the least likely token */

struct uni_model {
    const struct tok_vocab *vocab;
    double *scores;       /* [vocab->n] */
    double unknown;       /* of an unknown character */
    bool sums_floats;     /* as SentencePiece does, so that what scores alike there does here */
    int32_t byte_id[256]; /* -1 everywhere: an unknown stretch is vocab->unk, once */
    struct uni_trie trie;
    struct tok_joins joins; /* of the tokens in the trie: where text can be cut */
};

struct uni_node;

struct uni_lattice {
    struct uni_node *nodes; /* [capacity] one per byte, and one for the end */
    size_t capacity;
};

/* `scores` is owned from the call on, also on failure; it must hold numbers, of any size. Tokens with an attribute of
 * `not_text` are none; the unknown token may be. OUT_OF_RANGE (a token over UNI_LONGEST bytes), RESOURCE_EXHAUSTED. `vocab` must
 * outlive the model. */
int32_t uni_model_init(struct uni_model *m, const struct tok_vocab *vocab, double *scores, double unknown,
                       uint8_t not_text, struct tenon_err *err);
void uni_model_finish(struct uni_model *m); /* zeroed is fine */

/* RESOURCE_EXHAUSTED. */
int32_t uni_encode(const struct uni_model *m, struct uni_lattice *l, struct tok_work *work, const char *text, size_t size,
                   const int32_t **ret_ids, size_t *ret_n);

void uni_lattice_finish(struct uni_lattice *l); /* zeroed is fine, and usable again */

#endif
