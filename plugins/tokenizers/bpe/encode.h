/* encode.h - byte-level BPE from an opened vocabulary: text between special tokens to ids, and a token to its bytes.
 *
 *     struct bpe_tokenizer b = {0};
 *     ... vocab, pairs and split are filled in by whoever knows where they come from ...
 *     bpe_tokenizer_prepare(&b, flags);
 *     const struct tok_encoder e = {&special, &pool, bpe_plain, &b, -1};     // works own a struct bpe_matcher first
 *     n = bpe_decode(&b, id, buf, capacity);
 *     bpe_tokenizer_finish(&b);
 *
 * Immutable once prepared, so [any-thread].
 */
#ifndef BPE_ENCODE_H
#define BPE_ENCODE_H

#include "../common/chars.h"
#include "../common/encode.h"
#include "../common/joins.h"
#include "bytes.h"
#include "pairs.h"
#include "split.h"

struct bpe_tokenizer {
    struct tok_vocab vocab;
    struct bpe_pairs pairs;
    struct bpe_split split;
    struct bpe_bytes bytes;
    int32_t byte_id[256];   /* token of a single byte, -1: none */
    struct tok_chars chars; /* instead of bytes, when is_raw */
    struct tok_joins joins; /* where pieces can be cut further, when has_joins */
    uint32_t is_raw;        /* tokens are spelled as text and not in the byte map */
    uint32_t has_joins;     /* only of a raw one, whose pieces are whole lines */
    uint32_t longest; /* bytes of the longest spelling, for ignore_merges; 0: merges are not ignored */
};

/* What follows from vocab, pairs and split; flags: BPE_PRE_*. */
void bpe_tokenizer_prepare(struct bpe_tokenizer *tok, uint32_t flags);

void bpe_tokenizer_finish(struct bpe_tokenizer *tok); /* zeroed is fine */

/* For tok_encoder and tok_run_piece; the run's tokenizer is a struct bpe_tokenizer. */
tok_plain_fn bpe_plain;
tok_piece_fn bpe_piece;

/* The bytes of a token: returns how many, the first `capacity` in buf. */
size_t bpe_decode(const struct bpe_tokenizer *tok, int32_t id, char *buf, size_t capacity);

#endif
