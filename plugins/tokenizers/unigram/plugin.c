/* plugin.c - Unigram from GGUF metadata as "tenon.tokenizer/1" (T5, XLM-R): normalised as SentencePiece does, then the
 * likeliest tokens. Threads and ownership as tokenizer.h says. Contract: tokenizer.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../common/encode.h"
#include "lattice.h"
#include "normal.h"

#define KEY "tokenizer.ggml."

struct tenon_tokenizer_object {
    struct tok_vocab vocab;
    struct uni_model model;
    struct uni_normal normal;
    struct tok_special special;
    struct tok_chars chars;
    struct tok_pool pool; /* whose works own a struct memory */
};

/* What a call needs for itself. */
struct memory {
    struct tok_buffer text;
    struct uni_lattice lattice;
};

static void *create_memory(void)
{
    return calloc(1, sizeof(struct memory));
}

static void destroy_memory(void *own)
{
    struct memory *m = own;
    if (m == NULL)
        return;
    tok_buffer_finish(&m->text);
    uni_lattice_finish(&m->lattice);
    free(m);
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

static int32_t match(void *self, const struct tenon_meta *meta)
{
    (void)self; /* the plugin has no state */
    return tok_meta_is(meta, KEY "model", "t5") ? 100 : 0;
}

static void close_tokenizer(void *self, struct tenon_tokenizer_object *tok)
{
    (void)self;
    if (tok == NULL)
        return;
    tok_pool_finish(&tok->pool);
    tok_special_finish(&tok->special);
    uni_model_finish(&tok->model);
    tok_vocab_finish(&tok->vocab);
    free(tok);
}

/* Scores [n] of a vocabulary, and the lowest of its ordinary tokens. */
static int32_t read_scores(const struct tok_vocab *v, const struct tenon_meta_entry *entry, double *scores,
                           double *ret_lowest, struct tenon_err *err)
{
    double lowest = 0;
    for (uint32_t id = 0; id < v->n; id++) {
        if (tenon_meta_f64(entry, id, &scores[id]) != 0 || !isfinite(scores[id]))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "unigram",
                              KEY "scores[%u] is not a finite number: the file is damaged", id);
        if (v->attributes[id] & TENON_TOKEN_USER_DEFINED)
            scores[id] = 0; /* certain: they are found in the text before all else */
        if (v->attributes[id] == 0 && scores[id] < lowest)
            lowest = scores[id];
    }
    *ret_lowest = lowest;
    return 0;
}

static int32_t open_model(struct tenon_tokenizer_object *tok, const struct tenon_meta *meta, struct tenon_err *err)
{
    const struct tok_vocab *v = &tok->vocab;
    struct tenon_meta_entry entry = {.struct_size = sizeof entry};
    double *scores, lowest = 0;
    int32_t status;
    if (meta->find(meta->ctx, KEY "scores", &entry) != 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, "unigram", "the model has no " KEY "scores: it cannot be tokenized");
    if (!entry.is_array || entry.count != v->n)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "unigram",
                          KEY "scores has %llu entries for %u tokens: the file is damaged",
                          (unsigned long long)entry.count, v->n);
    scores = malloc(v->n * sizeof *scores);
    if (scores == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "unigram", "no memory for %u scores", v->n);
    status = read_scores(v, &entry, scores, &lowest, err);
    if (status != 0) {
        free(scores);
        return status;
    }
    status = uni_model_init(&tok->model, v, scores, lowest - UNI_PENALTY, UNI_NOT_TEXT, err);
    if (status == 0)
        memcpy(tok->model.byte_id, tok->chars.byte_id, sizeof tok->model.byte_id);
    return status;
}

/* T5's ways where the metadata is silent: a space in front, an EOS behind. */
static int32_t read_options(struct tenon_tokenizer_object *tok, const struct tenon_meta *meta, struct tenon_err *err)
{
    int64_t adds_space = 1, squeezes = 0;
    struct tenon_meta_entry map = {.struct_size = sizeof map};
    int32_t status;
    if ((status = tok_meta_number(meta, KEY "add_space_prefix", &adds_space, err)) != 0 ||
        (status = tok_meta_number(meta, KEY "remove_extra_whitespaces", &squeezes, err)) != 0)
        return status;
    tok->normal.adds_space = adds_space != 0;
    tok->normal.squeezes = squeezes != 0;
    tok->vocab.add_bos = tok->vocab.add_bos > 0;
    tok->vocab.add_eos = tok->vocab.add_eos < 0 ? tok->vocab.eos >= 0 : tok->vocab.add_eos;
    if (meta->find(meta->ctx, KEY "precompiled_charsmap", &map) != 0)
        return 0;
    if (!map.is_array || map.data == NULL || (map.type != TENON_META_U8 && map.type != TENON_META_I8))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "unigram",
                          KEY "precompiled_charsmap is not an array of bytes: the file is damaged");
    return uni_charsmap_init(&tok->normal.charsmap, map.data, map.count, err);
}

static int32_t open_tokenizer(void *self, const struct tenon_meta *meta, const struct tenon_files *files,
                              struct tenon_tokenizer_object **ret, struct tenon_err *err)
{
    struct tenon_tokenizer_object *tok;
    int32_t status;
    (void)files; /* all is in the metadata */
    if (match(self, meta) == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "unigram",
                          KEY "model is not t5: another tokenizer plugin is needed");
    tok = calloc(1, sizeof *tok);
    if (tok == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "unigram", "no memory for a tokenizer");
    tok->pool.create_own = create_memory;
    tok->pool.destroy_own = destroy_memory;
    status = tok_vocab_init(&tok->vocab, meta, err);
    if (status == 0)
        tok_chars_init(&tok->chars, &tok->vocab, true);
    if (status != 0 || (status = open_model(tok, meta, err)) != 0 ||
        (status = tok_special_init(&tok->special, &tok->vocab, err)) != 0 ||
        (status = read_options(tok, meta, err)) != 0) {
        close_tokenizer(self, tok);
        return status;
    }
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
    struct memory *memory = r->work->own;
    return uni_encode(&tok->model, &memory->lattice, r->work, piece, size, ret_ids, ret_n);
}

static int32_t encode_plain(struct tok_run *r, const char *text, size_t size)
{
    const struct tenon_tokenizer_object *tok = r->tokenizer;
    struct tok_buffer *normal = &((struct memory *)r->work->own)->text;
    int32_t status = uni_normal_run(&tok->normal, text, size, normal);
    for (size_t at = 0, n; status == 0 && at < normal->size; at += n) {
        n = tok_joins_piece(&tok->model.joins, -1, normal->bytes + at, normal->size - at);
        status = tok_run_piece(r, encode_piece, normal->bytes + at, n);
    }
    return status;
}

static int32_t encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_encoder e = {&tok->special, &tok->pool, encode_plain, tok, tok->vocab.unk};
    return tok_encode(&e, text, size, flags, ids, capacity, ret_n, err);
}

/* ---- decoding ----------------------------------------------------------------------------------------------- */

/* *state: 1 after text, where no space in front is taken away. */
static int32_t decode(struct tenon_tokenizer_object *tok, uint64_t *state, int32_t id, uint32_t flags, char *buf,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_vocab *v = &tok->vocab;
    int32_t status = tok_vocab_check(v, id, err);
    size_t n = 0;
    if (status != 0)
        return status;
    if ((v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) == 0 || (flags & TENON_DECODE_SPECIAL)) {
        n = tok_chars_decode(&tok->chars, v, id, tok->normal.adds_space && *state == 0, buf, (size_t)capacity);
        *state = 1;
    }
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
static const char *const keys[] = {"t5", NULL};
static const struct tenon_item items[] = {
    TENON_ITEM(TENON_TOKENIZER_IFACE, "unigram", keys, &tokenizer),
};
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.tokenizer.unigram",
    .version = "0.1.0", .vendor = "Tenon", .license = "Apache-2.0", .url = "",
    .description = "Unigram from GGUF vocabularies (t5)", .items = items, .n_items = 1, .item_stride = sizeof items[0],
};
TENON_PLUGIN_ENTRY(plugin)
