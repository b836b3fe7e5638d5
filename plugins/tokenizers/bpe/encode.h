/* encode.h - an opened tokenizer, and text to ids by it.
 *
 *     bpe_encode(tok, text, size, TENON_ENCODE_SPECIAL, ids, capacity, &n, err);
 *
 * The tokenizer is immutable but for its pool, so [any-thread].
 */
#ifndef BPE_ENCODE_H
#define BPE_ENCODE_H

#include "../common/chars.h"
#include "../common/encode.h"
#include "bytes.h"
#include "pairs.h"
#include "split.h"

/* The opened tokenizer of the ABI. */
struct tenon_tokenizer_object {
    struct tok_vocab vocab;
    struct bpe_pairs pairs;
    struct tok_special special;
    struct bpe_split split;
    struct tok_pool pool;   /* whose works own a struct bpe_matcher */
    struct bpe_bytes bytes;
    int32_t byte_id[256];   /* token of a single byte, -1: none */
    struct tok_chars chars; /* instead of bytes, when is_raw */
    uint32_t is_raw;        /* tokens are spelled as text and not in the byte map */
    uint32_t longest; /* bytes of the longest spelling, for ignore_merges; 0: merges are not ignored */
};

/* tenon_tokenizer.encode. Errors: RESOURCE_EXHAUSTED; OUT_OF_RANGE for texts of 4 GiB and more. */
int32_t bpe_encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                   uint64_t capacity, uint64_t *ret_n, struct tenon_err *err);

#endif
