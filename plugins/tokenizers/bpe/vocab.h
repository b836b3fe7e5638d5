/* vocab.h - the tokens of one vocabulary: spelling, attributes, the ids with a meaning, and spelling -> id.
 *
 *     struct bpe_vocab v;
 *     if (bpe_vocab_init(&v, meta, err) != 0) return ...;    // everything in the metadata has been checked
 *     id = bpe_vocab_find(&v, "\xc4\xa0the", 5);             // -1: no such token
 *     bpe_vocab_finish(&v);
 *
 * Immutable after init, so [any-thread]. OWN: spellings stay in the metadata, which must outlive the vocabulary.
 */
#ifndef BPE_VOCAB_H
#define BPE_VOCAB_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/tokenizer.h>

#include "bytes.h"

/* More than any vocabulary has, and few enough that ids fit in int32 and tables in memory. */
#define BPE_MAX_ENTRIES (1u << 24)

struct bpe_vocab_slot {
    uint32_t hash; /* upper half of the spelling's hash */
    int32_t id;    /* -1: free */
};

struct bpe_vocab {
    uint32_t n;                   /* tokens */
    uint32_t mask;                /* slots - 1 */
    struct tenon_str *text;       /* [n] the vocabulary's spelling. OWN: the bytes are the metadata's */
    uint8_t *attributes;          /* [n] TENON_TOKEN_* */
    struct bpe_vocab_slot *slots; /* [mask + 1] */
    uint64_t seed;                /* of the hash: random, so that no file can be made to collide */
    struct bpe_bytes bytes;
    int32_t byte_id[256];         /* token of a single byte, -1: none */
    int32_t bos, eos, unk, pad;   /* -1: none */
    int32_t add_bos, add_eos;     /* 0 or 1; -1: the metadata does not say */
};

/* Errors: INVALID_ARGUMENT (missing, of the wrong type, ids outside, a token twice), OUT_OF_RANGE (too many),
 * RESOURCE_EXHAUSTED. On failure nothing is held. */
int32_t bpe_vocab_init(struct bpe_vocab *v, const struct tenon_meta *meta, struct tenon_err *err);

void bpe_vocab_finish(struct bpe_vocab *v); /* zeroed is fine */

/* Id of a spelling, -1 if there is none. */
int32_t bpe_vocab_find(const struct bpe_vocab *v, const char *text, size_t size);

/* ---- reading metadata, for the tables beside the vocabulary -------------------------------------------------- */

/* The entry of an array of strings. NOT_FOUND, INVALID_ARGUMENT (another type), OUT_OF_RANGE (over BPE_MAX_ENTRIES). */
int32_t bpe_meta_strings(const struct tenon_meta *meta, const char *key, struct tenon_meta_entry *ret_entry,
                         struct tenon_err *err);

/* A single string; *ret_text is empty when the key is missing. INVALID_ARGUMENT: of another type. */
int32_t bpe_meta_string(const struct tenon_meta *meta, const char *key, struct tenon_str *ret_text,
                        struct tenon_err *err);

#endif
