/* encode.c - text to ids: what lies between special tokens is checked to be UTF-8 and split into pieces, and each piece is
 * merged, or remembered from before. A run of bytes that are not UTF-8 is a piece of its own,
 * as no pattern can say anything about it. A byte that has no token is left out before merging, as Hugging Face's
 * library does: there is no id that would bring it back. Contract: encode.h. */
#include "encode.h"

#include <string.h>

#include "../common/utf8.h"

/* The token that a whole piece is, for splits that ask before merging; -1: none. Text never means a control token. */
static int32_t whole_token(const struct tenon_tokenizer_object *tok, const char *piece, size_t size)
{
    const struct tok_vocab *v = &tok->vocab;
    char spelled[2 * 256];
    int32_t id;
    if (size > tok->longest || size > sizeof spelled / 2)
        return -1;
    id = tok_vocab_find(v, spelled, bpe_bytes_spell(&tok->bytes, piece, size, spelled));
    return id >= 0 && (v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) == 0 ? id : -1;
}

static size_t byte_ids(const struct tenon_tokenizer_object *tok, const char *piece, size_t size, int32_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (tok->byte_id[(unsigned char)piece[i]] >= 0)
            ids[n++] = tok->byte_id[(unsigned char)piece[i]];
    return n;
}

/* Ids of a piece into the work's merge buffer. */
static int32_t encode_piece(struct tok_run *r, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    const struct tenon_tokenizer_object *tok = r->tokenizer;
    int32_t *ids = tok_merge_reserve(&r->work->merge, size);
    size_t n = 1;
    if (ids == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    ids[0] = whole_token(tok, piece, size);
    if (ids[0] < 0) {
        n = tok->is_raw ? tok_chars_ids(&tok->chars, &tok->vocab, piece, size, ids) : byte_ids(tok, piece, size, ids);
        n = tok_merge_run(&r->work->merge, bpe_pairs_rank, &tok->pairs, n);
    }
    *ret_ids = ids;
    *ret_n = n;
    return 0;
}

static int32_t take_piece(void *arg, const char *piece, size_t size)
{
    return tok_run_piece(arg, encode_piece, piece, size);
}

/* Text without special tokens. */
static int32_t encode_plain(struct tok_run *r, const char *text, size_t size)
{
    const struct tenon_tokenizer_object *tok = r->tokenizer;
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size;) {
        size_t length = tok_utf8_valid(text + at, size - at);
        status = bpe_split_run(&tok->split, r->work->own, text + at, length, take_piece, r);
        at += length;
        length = tok_utf8_invalid(text + at, size - at);
        if (status == 0 && length > 0)
            status = take_piece(r, text + at, length);
        at += length;
    }
    return status;
}

int32_t bpe_encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                   uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_encoder e = {&tok->special, &tok->pool, encode_plain, tok, -1};
    return tok_encode(&e, text, size, flags, ids, capacity, ret_n, err);
}
