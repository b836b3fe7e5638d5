/* plugin.c - WordPiece from GGUF metadata as "tenon.tokenizer/1" (BERT, uncased). Words are made by words.c, their
 * tokens by match.c: those that start a word are stored with U+2581 before them, the others as they are. Threads and ownership as
 * tokenizer.h says. Contract: tokenizer.h. */
#include <stdlib.h>
#include <string.h>

#include "../common/chars.h"
#include "../common/encode.h"
#include "match.h"
#include "words.h"

#define MODEL "tokenizer.ggml.model"
#define MOST_CHARACTERS 100u /* of a word: longer ones are unknown */
#define SPACE_SIZE (sizeof TOK_SPACE - 1)

struct tenon_tokenizer_object {
    struct tok_vocab vocab;
    struct tok_special special;
    struct tok_pool pool; /* whose works own a struct wp_words */
    struct wp_match match;
};

/* ---- opening ------------------------------------------------------------------------------------------------ */

static int32_t match(void *self, const struct tenon_meta *meta)
{
    (void)self; /* the plugin has no state */
    return tok_meta_is(meta, MODEL, "bert") ? 100 : 0;
}

static void close_tokenizer(void *self, struct tenon_tokenizer_object *tok)
{
    (void)self;
    if (tok == NULL)
        return;
    tok_pool_finish(&tok->pool);
    tok_special_finish(&tok->special);
    tok_vocab_finish(&tok->vocab);
    free(tok);
}

static void *create_words(void)
{
    return calloc(1, sizeof(struct wp_words));
}

static void destroy_words(void *own)
{
    if (own != NULL)
        wp_words_finish(own);
    free(own);
}

/* BERT's names for what stands around a text, and that it stands there. */
static int32_t read_ends(struct tok_vocab *v, const struct tenon_meta *meta, struct tenon_err *err)
{
    int32_t cls = -1, sep = -1, status;
    if ((status = tok_meta_id(v, meta, "tokenizer.ggml.cls_token_id", &cls, err)) != 0 ||
        (status = tok_meta_id(v, meta, "tokenizer.ggml.seperator_token_id", &sep, err)) != 0) /* spelled so in GGUF */
        return status;
    v->bos = v->bos < 0 ? cls : v->bos;
    v->eos = v->eos < 0 ? sep : v->eos;
    v->add_bos = v->add_bos < 0 ? v->bos >= 0 : v->add_bos;
    v->add_eos = v->add_eos < 0 ? v->eos >= 0 : v->add_eos;
    return 0;
}

static int32_t open_tokenizer(void *self, const struct tenon_meta *meta, const struct tenon_files *files,
                              struct tenon_tokenizer_object **ret, struct tenon_err *err)
{
    struct tenon_tokenizer_object *tok;
    int32_t status;
    (void)files; /* all is in the metadata */
    if (match(self, meta) == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "wordpiece",
                          MODEL " is not bert: another tokenizer plugin is needed");
    tok = calloc(1, sizeof *tok);
    if (tok == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "wordpiece", "no memory for a tokenizer");
    tok->pool.create_own = create_words;
    tok->pool.destroy_own = destroy_words;
    if ((status = tok_vocab_init(&tok->vocab, meta, err)) != 0 ||
        (status = read_ends(&tok->vocab, meta, err)) != 0 ||
        (status = tok_special_init(&tok->special, &tok->vocab, err)) != 0) {
        close_tokenizer(self, tok);
        return status;
    }
    wp_match_init(&tok->match, &tok->vocab, MOST_CHARACTERS);
    tok->match.start = (struct tenon_str){TOK_SPACE, SPACE_SIZE};
    *ret = tok;
    return 0;
}

static int32_t info(struct tenon_tokenizer_object *tok, struct tenon_tokenizer_info *ret_info)
{
    tok_vocab_info(&tok->vocab, ret_info);
    return 0;
}

/* ---- encoding ----------------------------------------------------------------------------------------------- */

static int32_t encode_word(struct tok_run *r, const char *word, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    const struct tenon_tokenizer_object *tok = r->tokenizer;
    return wp_match_word(&tok->match, r->work, word, size, ret_ids, ret_n);
}

static int32_t take_word(void *arg, const char *word, size_t size)
{
    return tok_run_piece(arg, encode_word, word, size);
}

static int32_t encode_plain(struct tok_run *r, const char *text, size_t size)
{
    return wp_words_run(r->work->own, text, size, take_word, r);
}

static int32_t encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_encoder e = {&tok->special, &tok->pool, encode_plain, tok, -1};
    return tok_encode(&e, text, size, flags, ids, capacity, ret_n, err);
}

/* ---- decoding ----------------------------------------------------------------------------------------------- */

/* *state: 1 after a word, which the next is parted from by a space. What normalising took does not come back. */
static int32_t decode(struct tenon_tokenizer_object *tok, uint64_t *state, int32_t id, uint32_t flags, char *buf,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_vocab *v = &tok->vocab;
    int32_t status = tok_vocab_check(v, id, err);
    struct tenon_str text;
    bool is_word;
    size_t space;
    if (status != 0)
        return status;
    *ret_n = 0;
    if ((v->attributes[id] & TENON_TOKEN_CONTROL) && !(flags & TENON_DECODE_SPECIAL))
        return 0;
    text = v->text[id];
    is_word = text.size >= SPACE_SIZE && memcmp(text.data, TOK_SPACE, SPACE_SIZE) == 0;
    if (is_word)
        text = (struct tenon_str){text.data + SPACE_SIZE, text.size - SPACE_SIZE};
    space = (is_word || (v->attributes[id] & TENON_TOKEN_CONTROL)) && *state != 0;
    if (space > 0 && capacity > 0)
        buf[0] = ' ';
    if (text.size > 0 && capacity > space)
        memcpy(buf + space, text.data, text.size < capacity - space ? text.size : capacity - space);
    *state = 1;
    *ret_n = space + text.size;
    return 0;
}

static int32_t piece(struct tenon_tokenizer_object *tok, int32_t id, struct tenon_str *ret_piece, uint32_t *ret_attributes)
{
    return tok_vocab_piece(&tok->vocab, id, ret_piece, ret_attributes);
}

static const struct tenon_tokenizer tokenizer = {
    .struct_size = sizeof tokenizer, .match = match, .open = open_tokenizer, .close = close_tokenizer, .info = info,
    .encode = encode, .decode = decode, .piece = piece,
};
static const char *const keys[] = {"bert", NULL};
static const struct tenon_item items[] = {
    TENON_ITEM(TENON_TOKENIZER_IFACE, "wordpiece", keys, &tokenizer),
};
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.tokenizer.wordpiece",
    .version = "0.1.0", .vendor = "Tenon", .license = "Apache-2.0", .url = "",
    .description = "WordPiece from GGUF vocabularies (bert)", .items = items, .n_items = 1, .item_stride = sizeof items[0],
};
TENON_PLUGIN_ENTRY(plugin)
