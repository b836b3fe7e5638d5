/* plugin.c - SentencePiece BPE from GGUF metadata as "tenon.tokenizer/1" (Llama 2, Gemma, Phi 3). Text is not normalised,
 * but for spaces, as the models that have this kind do not. Threads and ownership as tokenizer.h says. Contract:
 * tokenizer.h. */
#include <stdlib.h>
#include <string.h>

#include "../common/chars.h"
#include "../common/encode.h"
#include "../common/utf8.h"
#include "piece.h"

#define MODEL "tokenizer.ggml.model"

struct tenon_tokenizer_object {
    struct tok_vocab vocab;
    struct spm_scores scores;
    struct tok_special special;
    struct tok_chars chars;
    struct tok_pool pool;
    bool adds_space; /* before a text, and after each special token */
};

/* ---- opening ------------------------------------------------------------------------------------------------ */

static int32_t match(void *self, const struct tenon_meta *meta)
{
    (void)self; /* the plugin has no state */
    return tok_meta_is(meta, MODEL, "llama") ? 100 : 0;
}

static void close_tokenizer(void *self, struct tenon_tokenizer_object *tok)
{
    (void)self;
    if (tok == NULL)
        return;
    tok_pool_finish(&tok->pool);
    tok_special_finish(&tok->special);
    spm_scores_finish(&tok->scores);
    tok_vocab_finish(&tok->vocab);
    free(tok);
}

/* What the metadata leaves open: this kind of model wants a BOS and a space in front. */
static int32_t read_options(struct tenon_tokenizer_object *tok, const struct tenon_meta *meta, struct tenon_err *err)
{
    int64_t adds_space = 1;
    int32_t status = tok_meta_number(meta, "tokenizer.ggml.add_space_prefix", &adds_space, err);
    tok->adds_space = adds_space != 0;
    if (tok->vocab.add_bos < 0)
        tok->vocab.add_bos = tok->vocab.bos >= 0;
    return status;
}

static int32_t open_tokenizer(void *self, const struct tenon_meta *meta, const struct tenon_files *files,
                              struct tenon_tokenizer_object **ret, struct tenon_err *err)
{
    struct tenon_tokenizer_object *tok;
    int32_t status;
    (void)files; /* all is in the metadata */
    if (match(self, meta) == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "spm", MODEL " is not llama: another tokenizer plugin is needed");
    tok = calloc(1, sizeof *tok);
    if (tok == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "spm", "no memory for a tokenizer");
    if ((status = tok_vocab_init(&tok->vocab, meta, err)) != 0 ||
        (status = spm_scores_init(&tok->scores, &tok->vocab, meta, err)) != 0 ||
        (status = tok_special_init(&tok->special, &tok->vocab, err)) != 0 ||
        (status = read_options(tok, meta, err)) != 0) {
        close_tokenizer(self, tok);
        return status;
    }
    tok_chars_init(&tok->chars, &tok->vocab, true);
    *ret = tok;
    return 0;
}

static int32_t info(struct tenon_tokenizer_object *tok, struct tenon_tokenizer_info *ret_info)
{
    tok_vocab_info(&tok->vocab, ret_info);
    return 0;
}

/* ---- encoding ----------------------------------------------------------------------------------------------- */

static int32_t encode_piece(struct tok_run *r, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    const struct tenon_tokenizer_object *tok = r->tokenizer;
    int32_t *ids = tok_merge_reserve(&r->work->merge, size);
    if (ids == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    *ret_n = spm_piece_ids(&tok->scores, &tok->chars, piece, size, ids);
    if (*ret_n == 0)
        *ret_n = tok_merge_run(&r->work->merge, spm_scores_rank, &tok->scores, NULL,
                               tok_chars_ids(&tok->chars, &tok->vocab, piece, size, ids));
    *ret_ids = ids;
    return 0;
}

/* The first piece of a text, with the space in front that the text lacks. */
static int32_t encode_first(struct tok_run *r, const char *text, size_t size, size_t *ret_size)
{
    const struct tenon_tokenizer_object *tok = r->tokenizer;
    size_t n = tok_joins_piece(&tok->scores.joins, ' ', text, size);
    char *spaced = malloc(n + 1);
    int32_t status;
    if (spaced == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    spaced[0] = ' ';
    memcpy(spaced + 1, text, n);
    status = tok_run_piece(r, encode_piece, spaced, n + 1);
    free(spaced);
    *ret_size = n;
    return status;
}

static int32_t encode_plain(struct tok_run *r, const char *text, size_t size)
{
    const struct tenon_tokenizer_object *tok = r->tokenizer;
    size_t at = 0;
    int32_t status = tok->adds_space ? encode_first(r, text, size, &at) : 0;
    return status != 0 ? status : tok_run_joined(r, encode_piece, &tok->scores.joins, text + at, size - at);
}

static int32_t encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_encoder e = {&tok->special, &tok->pool, encode_plain, tok, tok->vocab.unk};
    return tok_encode(&e, text, size, flags, ids, capacity, ret_n, err);
}

/* ---- decoding ----------------------------------------------------------------------------------------------- */

/* *state: 1 after text, where encoding adds no space and so none is taken away. */
static int32_t decode(struct tenon_tokenizer_object *tok, uint64_t *state, int32_t id, uint32_t flags, char *buf,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_vocab *v = &tok->vocab;
    int32_t status = tok_vocab_check(v, id, err);
    uint8_t kind;
    size_t n = 0;
    if (status != 0)
        return status;
    kind = v->attributes[id];
    if ((kind & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) == 0 || (flags & TENON_DECODE_SPECIAL))
        n = tok_chars_decode(&tok->chars, v, id, tok->adds_space && *state == 0, buf, (size_t)capacity);
    *state = (kind & (TENON_TOKEN_CONTROL | TENON_TOKEN_USER_DEFINED)) == 0;
    *ret_n = n;
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
static const char *const keys[] = {"llama", NULL};
static const struct tenon_item items[] = {
    TENON_ITEM(TENON_TOKENIZER_IFACE, "spm", keys, &tokenizer),
};
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.tokenizer.spm",
    .version = "0.1.0", .vendor = "Tenon", .license = "Apache-2.0", .url = "",
    .description = "SentencePiece BPE from GGUF vocabularies (llama)", .items = items, .n_items = 1,
    .item_stride = sizeof items[0],
};
TENON_PLUGIN_ENTRY(plugin)
