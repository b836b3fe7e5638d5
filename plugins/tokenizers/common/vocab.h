/* vocab.h - the tokens of one vocabulary: spelling, attributes, the ids with a meaning, and spelling -> id.
 *
 *     struct tok_vocab v;
 *     if (tok_vocab_init(&v, meta, err) != 0) return ...;    // everything in the metadata has been checked
 *     id = tok_vocab_find(&v, "\xc4\xa0the", 5);             // -1: no such token
 *     tok_vocab_finish(&v);
 *
 * Immutable after init, so [any-thread]. OWN: spellings stay in the metadata, which must outlive the vocabulary.
 */
#ifndef TOK_VOCAB_H
#define TOK_VOCAB_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/tokenizer.h>

/* More than any vocabulary has, and few enough that ids fit in int32 and tables in memory. */
#define TOK_MAX_ENTRIES (1u << 24)

struct tok_vocab_slot {
    uint64_t hash; /* of the spelling; up to eight bytes of one size all have different ones */
    uint32_t size; /* of the spelling, its lower half */
    int32_t id;    /* -1: free */
};

struct tok_vocab {
    uint32_t n;                   /* tokens */
    uint32_t mask;                /* slots - 1 */
    struct tenon_str *text;       /* [n] the vocabulary's spelling. OWN: the bytes are the metadata's */
    uint8_t *attributes;          /* [n] TENON_TOKEN_* */
    struct tok_vocab_slot *slots; /* [mask + 1] */
    uint64_t seed, factor;        /* of the hash, the latter odd: random, so that no file can be made to collide */
    int32_t bos, eos, unk, pad;   /* -1: none */
    int32_t add_bos, add_eos;     /* 0 or 1; -1: the metadata does not say */
};

/* Errors: INVALID_ARGUMENT (missing, of the wrong type, ids outside, a token twice), OUT_OF_RANGE (too many),
 * RESOURCE_EXHAUSTED. On failure nothing is held. */
int32_t tok_vocab_init(struct tok_vocab *v, const struct tenon_meta *meta, struct tenon_err *err);

/* A table of 2^n bytes, all 0xff. A big one asks for huge pages: look-ups go to and fro in it. NULL: no memory. free() it. */
void *tok_table_alloc(size_t size);

/* As realloc; what becomes big asks for huge pages, as the system takes a third of the time to find those. */
void *tok_list_grow(void *list, size_t size);

/* The same by hand: n tokens without spelling, to be filled in and then indexed. */
int32_t tok_vocab_create(struct tok_vocab *v, uint32_t n, struct tenon_err *err);

/* What has a spelling can be found from now on. INVALID_ARGUMENT: two tokens are spelled alike. */
int32_t tok_vocab_index(struct tok_vocab *v, struct tenon_err *err);

/* Control tokens that end an answer in all models that have them get TENON_TOKEN_END. `find` says what is a token. */
void tok_vocab_mark_ends(struct tok_vocab *v, int32_t (*find)(const void *arg, const char *text, size_t size),
                         const void *arg);

void tok_vocab_finish(struct tok_vocab *v); /* zeroed is fine */

/* Id of a spelling, -1 if there is none. */
int32_t tok_vocab_find(const struct tok_vocab *v, const char *text, size_t size);

/* The same in two steps: a spelling's hash, of which the upper half is the better one, and the id by it. */
uint64_t tok_vocab_hash(const struct tok_vocab *v, const char *text, size_t size);
int32_t tok_vocab_find_by(const struct tok_vocab *v, uint64_t hash, const char *text, size_t size);

/* The same for n spellings in two steps, between which there should be other work: their hashes [n], and ids [n] by these. What
 * the second needs is on its way from memory after the first. */
void tok_vocab_hash_all(const struct tok_vocab *v, const struct tenon_str *texts, size_t n, uint64_t *hashes);
void tok_vocab_find_all(const struct tok_vocab *v, const struct tenon_str *texts, const uint64_t *hashes, size_t n, int32_t *ids);

/* tenon_tokenizer.info and .piece. */
void tok_vocab_info(const struct tok_vocab *v, struct tenon_tokenizer_info *ret_info);
int32_t tok_vocab_piece(const struct tok_vocab *v, int32_t id, struct tenon_str *ret_piece, uint32_t *ret_attributes);

/* The id is in the vocabulary, or OUT_OF_RANGE. */
int32_t tok_vocab_check(const struct tok_vocab *v, int32_t id, struct tenon_err *err);

/* ---- reading metadata, for the tables beside the vocabulary -------------------------------------------------- */

/* The entry of an array of strings. NOT_FOUND, INVALID_ARGUMENT (another type), OUT_OF_RANGE (over TOK_MAX_ENTRIES). */
int32_t tok_meta_strings(const struct tenon_meta *meta, const char *key, struct tenon_meta_entry *ret_entry,
                         struct tenon_err *err);

/* Is the string of a key that word? */
bool tok_meta_is(const struct tenon_meta *meta, const char *key, const char *word);

/* A single number; *ret keeps its value when the key is missing. INVALID_ARGUMENT: of another type. */
int32_t tok_meta_number(const struct tenon_meta *meta, const char *key, int64_t *ret, struct tenon_err *err);

/* A token id; -1 when the key is missing. INVALID_ARGUMENT: no number, or no token has it. */
int32_t tok_meta_id(const struct tok_vocab *v, const struct tenon_meta *meta, const char *key, int32_t *ret_id,
                    struct tenon_err *err);

/* A single string; *ret_text is empty when the key is missing. INVALID_ARGUMENT: of another type. */
int32_t tok_meta_string(const struct tenon_meta *meta, const char *key, struct tenon_str *ret_text,
                        struct tenon_err *err);

#endif
