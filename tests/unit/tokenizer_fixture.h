/* tokenizer_fixture.h - the tokenizer plugin that a test is linked with: its table, metadata to open it with, what every
 * tokenizer must pass, and for byte-level BPE a tiny vocabulary of all 256 bytes (in the order of code points, so that '!' is 0 and 'a' is 64) and further tokens.
 *
 *     tcase_add_checked_fixture(tests, setup, teardown);
 *
 *     tiny_bytes();
 *     tiny_token("ab", 1);                                    // 256
 *     tiny_meta("gpt-2", merges, n_merges);
 *     struct tenon_tokenizer_object *tok = must_open();
 *     CHECK_IDS(tok, "abc", 0, 256, ID('c'));
 *     table->close(NULL, tok);
 *
 * What goes wrong here fails the test. One thread.
 */
#ifndef TESTS_TOKENIZER_FIXTURE_H
#define TESTS_TOKENIZER_FIXTURE_H

#include <stdbool.h>

#include <tenon/tokenizer.h>

#include "bpe_meta.h"

#define KEY "tokenizer.ggml."
#define BYTES 256u
#define TINY_MOST (BYTES + 64)
#define ID(c) ((c) - 33) /* of a printable ASCII character in the tiny vocabulary */

extern const struct tenon_tokenizer *table;
extern struct test_meta meta;
extern const char *tiny_tokens[TINY_MOST]; /* [tiny_n] borrowed */
extern int32_t tiny_types[TINY_MOST];      /* [tiny_n] */
extern uint32_t tiny_n;

void setup(void);
void teardown(void);

/* A tokenizer of meta. */
struct tenon_tokenizer_object *must_open(void);

/* OWN: the caller frees what these return. */
int32_t *encode(struct tenon_tokenizer_object *tok, const char *text, size_t size, uint32_t flags, uint64_t *ret_n);
char *decode(struct tenon_tokenizer_object *tok, const int32_t *ids, uint64_t n, uint32_t flags, size_t *ret_size);

void check_ids(struct tenon_tokenizer_object *tok, const char *text, uint32_t flags, const int32_t *want, uint64_t n);
#define CHECK_IDS(tok, text, flags, ...)                                                        \
    do {                                                                                        \
        const int32_t want_[] = {__VA_ARGS__};                                                  \
        check_ids(tok, text, flags, want_, sizeof want_ / sizeof want_[0]);                     \
    } while (0)
void check_round_trip(struct tenon_tokenizer_object *tok, const char *text, size_t size);

/* $TENON_SHARED/data/tokenizers/NAME.gguf, its texts and their ids; NULL or nothing, and said so, when it is missing. */
struct tenon_tokenizer_object *open_shared(const char *name);
void check_published(const char *name, bool round_trips);

/* Very long runs of one thing: no time that is quadratic. */
void check_long_runs(struct tenon_tokenizer_object *tok, const char *name);

/* More threads than the plugin keeps works for, all encoding one text by one tokenizer. */
void check_threads(struct tenon_tokenizer_object *tok, const char *text, size_t size);

/* Opening `meta` must fail with that status and a message that has `part` in it. */
void refused(int32_t status, const char *part);

/* The tiny vocabulary: first the bytes, then tokens of a GGUF type, then the metadata of all that. */
void tiny_bytes(void);
void tiny_token(const char *text, int32_t type);
void tiny_meta(const char *pre, const char *const *merges, uint64_t n_merges);

#endif
