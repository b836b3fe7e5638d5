/* tokenizer.h - an opened tokenizer of a Hugging Face directory; how it is read, and what stands around a text.
 *
 *     status = js_read_json(tok, data, size, err);      // or js_read_lines: tokenizer.json or vocab.txt
 *     status = js_read_ids(tok, meta, files, err);      // bos, eos and the others, from the files beside it
 *
 * Built by one thread, then constant but for its pool: [any-thread].
 */
#ifndef JS_TOKENIZER_H
#define JS_TOKENIZER_H

#include "../wordpiece/words.h"
#include "added.h"
#include "cut.h"
#include "decode.h"
#include "model.h"
#include "pieces.h"

/* What a post_processor puts around a text. */
struct js_around {
    int32_t before, after; /* ids, -1: nothing */
    bool has_more;         /* others stand further from the text */
};

struct tenon_tokenizer_object {
    struct js_model model; /* whose vocab has the added tokens too, but finds only its own */
    struct js_added added;
    struct js_normal normal;
    struct js_cut cut;
    struct js_decoder decoder;
    struct js_around around;
    struct js_arena arena;
    struct tok_buffer written; /* the tokenizer.json that a tokenizer.model amounts to */
    struct tok_pool pool; /* whose works own a struct js_memory */
    bool is_plain_bytes;  /* pieces are merged as bytes, by the bpe code */
    bool is_scanned;      /* and cut by it too */
    bool is_bert;         /* words are made by the wordpiece code */
};

/* What a call needs for itself. */
struct js_memory {
    struct js_model_memory model; /* first */
    struct js_scratch scratch;
    struct js_cut_memory cut;
    struct wp_words words;
};

/* Errors: INVALID_ARGUMENT, OUT_OF_RANGE, UNIMPLEMENTED, RESOURCE_EXHAUSTED. The text must outlive the tokenizer. */
int32_t js_read_json(struct tenon_tokenizer_object *tok, const char *text, size_t size, struct tenon_err *err);

/* is_lower: of an uncased model. */
int32_t js_read_lines(struct tenon_tokenizer_object *tok, const char *text, size_t size, bool is_lower,
                      struct tenon_err *err);

int32_t js_read_ids(struct tenon_tokenizer_object *tok, const struct tenon_meta *meta, const struct tenon_files *files,
                    struct tenon_err *err);

/* Id of an added token or one of the model, -1: none. */
int32_t js_token_id(const struct tenon_tokenizer_object *tok, struct tenon_str text);

/* A file of the directory; false: it is not there. */
bool js_map_file(const struct tenon_files *files, const char *name, struct tenon_str *ret);

#endif
