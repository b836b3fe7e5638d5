/* encode.h - what encoding has in common: special tokens are found first, and what lies between is for the tokenizer.
 *
 *     static int32_t plain(struct tok_run *r, const char *text, size_t size);   // calls tok_run_emit or tok_run_piece
 *
 *     const struct tok_encoder e = {&tok->special, &tok->pool, plain, tok, -1};
 *     status = tok_encode(&e, text, size, flags, ids, capacity, &n, err);
 *
 * [any-thread]: all that changes is in the work that a run takes from the pool.
 */
#ifndef TOK_ENCODE_H
#define TOK_ENCODE_H

#include "joins.h"
#include "special.h"
#include "work.h"

#define TOK_PIECES 64u /* most pieces at once */

struct tok_run {
    const void *tokenizer;
    struct tok_work *work;
    int32_t *ids; /* [capacity] */
    uint64_t capacity;
    uint64_t n; /* ids so far, also those that did not fit */
    int32_t fused; /* an id that stands for all of a run of it; -1: none */
    int32_t last;  /* id, -1: none yet */
};

/* Text without special tokens, size > 0: the whole text, or what lies beside such a token. */
typedef int32_t tok_plain_fn(struct tok_run *r, const char *text, size_t size);

/* Ids of one piece into memory that lives until the next call. */
typedef int32_t tok_piece_fn(struct tok_run *r, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n);

struct tok_encoder {
    const struct tok_special *special;
    struct tok_pool *pool;
    tok_plain_fn *plain;
    const void *tokenizer;
    int32_t fused; /* an id that stands for all of a run of it (the unknown token); -1: none */
};

/* tenon_tokenizer.encode. Errors: RESOURCE_EXHAUSTED; OUT_OF_RANGE for texts of 4 GiB and more. */
int32_t tok_encode(const struct tok_encoder *e, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                   uint64_t capacity, uint64_t *ret_n, struct tenon_err *err);

/* Ids to the output; within ids nothing is fused. */
static inline void tok_run_emit(struct tok_run *r, const int32_t *ids, size_t n)
{
    uint64_t room = r->n < r->capacity ? r->capacity - r->n : 0;
    size_t repeats = n > 0 && r->fused >= 0 && ids[0] == r->fused && r->last == r->fused, fit;
    if (n > 0)
        r->last = ids[n - 1];
    ids += repeats;
    n -= repeats;
    fit = n < room ? n : (size_t)room;
    for (size_t i = 0; i < fit; i++) /* mostly one or two: a call of memcpy costs more */
        r->ids[r->n + i] = ids[i];
    r->n += n;
}

/* The ids of a piece, size > 0, to the output: remembered from before, or asked of `encode`. What a piece becomes must
 * depend on its bytes only. */
int32_t tok_run_piece(struct tok_run *r, tok_piece_fn *encode, const char *piece, size_t size);

/* The same for n pieces in a row: the first begins at text, piece i ends before text + ends[i], where the next begins.
 * None is empty, n <= TOK_PIECES. */
int32_t tok_run_pieces(struct tok_run *r, tok_piece_fn *encode, const char *text, const uint32_t *ends, size_t n);

/* The same for a text, cut wherever no token reaches across. */
int32_t tok_run_joined(struct tok_run *r, tok_piece_fn *encode, const struct tok_joins *joins, const char *text, size_t size);

#endif
