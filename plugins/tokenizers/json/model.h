/* model.h - the model of a tokenizer.json: its vocabulary, and a piece to ids by it.
 *
 *     struct js_model m = {0};
 *     status = js_model_read(&m, &j, &arena, most_id);       // j at the model; ids up to most_id are taken by others
 *     status = js_model_take(run, piece, size);              // ids to the output; the run's tokenizer is m.bpe
 *     js_model_finish(&m);
 *
 * Constant once read, [any-thread].
 */
#ifndef JS_MODEL_H
#define JS_MODEL_H

#include "../bpe/encode.h"
#include "../unigram/lattice.h"
#include "../wordpiece/match.h"
#include "reader.h"

enum js_model_kind { JS_BPE, JS_WORDPIECE, JS_UNIGRAM, JS_WORDLEVEL };

struct js_model {
    struct bpe_tokenizer bpe; /* first: what encodes bytes sees nothing else. Its vocab is every kind's */
    enum js_model_kind kind;
    struct wp_match words;
    struct uni_model unigram;
    int32_t ascii_id[128];    /* BPE: of a character without prefix or suffix; -1: none */
    struct tok_joins joins;   /* BPE: where a piece can be cut */
    bool has_joins;           /* they are noted, but for added tokens */
    bool is_joined;           /* it can be */
    struct tenon_str prefix, suffix; /* BPE: of what continues a word, and of what ends one. OWN: file or arena */
    bool sums_floats;         /* Unigram: as SentencePiece does */
    bool fuses_unknown, falls_back, ignores_merges;
    bool has_all_bytes;       /* byte level: every byte has a token */
    uint32_t n_own;           /* tokens; Unigram: ids from here on are of added ones */
    struct tenon_str unknown; /* spelling; empty: none */
};

/* What the memory of a call must begin with, for the bpe code and for this. */
struct js_model_memory {
    struct bpe_matcher matcher;
    struct uni_lattice lattice;
};

/* Errors: INVALID_ARGUMENT, OUT_OF_RANGE, UNIMPLEMENTED, RESOURCE_EXHAUSTED; on failure, finish. */
int32_t js_model_read(struct js_model *m, struct js *j, struct js_arena *arena, int32_t most_id);

/* The same from a vocab.txt: WordPiece, one token a line. */
int32_t js_model_read_lines(struct js_model *m, const char *text, size_t size, struct js *j, int32_t most_id);

/* The vocabulary's attributes are settled: prepare what depends on them. */
int32_t js_model_prepare(struct js_model *m, struct tenon_err *err);

/* From now on a space is spelled U+2581, in pieces as in tokens. False, and nothing changes: it does not come to the same as
 * spelling it so in the text. */
bool js_model_spell_spaces(struct js_model *m);

void js_model_finish(struct js_model *m); /* zeroed is fine */

/* The token that a text is; -1: none, or a control token. */
int32_t js_model_id(const struct js_model *m, const char *text, size_t size);

int32_t js_model_take(struct tok_run *r, const char *piece, size_t size);

/* tok_piece_fn of words in WordPiece. */
int32_t js_model_word(struct tok_run *r, const char *word, size_t size, const int32_t **ret_ids, size_t *ret_n);

#endif
