/* encode.c - text to ids: what lies between special tokens is checked to be UTF-8 and split into pieces, and each piece is
 * merged, or remembered from before. A run of bytes that are not UTF-8 is a piece of its own,
 * as no pattern can say anything about it. A byte that has no token is left out before merging, as Hugging Face's
 * library does: there is no id that would bring it back. Pure functions but for preparing. Contract: encode.h. */
#include "encode.h"

#include <string.h>

#include "../common/utf8.h"

/* The token that a whole piece is, for splits that ask before merging; -1: none. Text never means a control token. */
static int32_t whole_token(const struct bpe_tokenizer *tok, const char *piece, size_t size)
{
    const struct tok_vocab *v = &tok->vocab;
    char spelled[2 * 256];
    int32_t id;
    if (size > tok->longest || size > sizeof spelled / 2)
        return -1;
    id = tok_vocab_find(v, spelled, bpe_bytes_spell(&tok->bytes, piece, size, spelled));
    return id >= 0 && (v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) == 0 ? id : -1;
}

/* The tokens of single bytes. */
static size_t byte_ids(const struct bpe_tokenizer *tok, const char *piece, size_t size, int32_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        int32_t id = tok->byte_id[(unsigned char)piece[i]];
        if (id >= 0)
            ids[n++] = id;
    }
    return n;
}

/* Ids of a piece into the work's merge buffer. */
int32_t bpe_piece(struct tok_run *r, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    const struct bpe_tokenizer *tok = r->tokenizer;
    int32_t *ids = tok_merge_reserve(&r->work->merge, size);
    size_t n = 1;
    if (ids == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    ids[0] = whole_token(tok, piece, size);
    if (ids[0] < 0) {
        n = tok->is_raw ? tok_chars_ids(&tok->chars, &tok->vocab, piece, size, ids) : byte_ids(tok, piece, size, ids);
        n = bpe_pairs_merge(&tok->pairs, &r->work->merge, n);
    }
    *ret_ids = ids;
    *ret_n = n;
    return 0;
}

static int32_t take_pieces(void *arg, const char *text, const uint32_t *ends, size_t n)
{
    struct tok_run *r = arg;
    const struct bpe_tokenizer *tok = r->tokenizer;
    int32_t status = 0;
    uint32_t start = 0;
    if (!tok->has_joins)
        return tok_run_pieces(r, bpe_piece, text, ends, n);
    for (size_t i = 0; status == 0 && i < n; start = ends[i++])
        status = tok_run_joined(r, bpe_piece, &tok->joins, text + start, ends[i] - start);
    return status;
}

/* Text without special tokens. */
int32_t bpe_plain(struct tok_run *r, const char *text, size_t size)
{
    const struct bpe_tokenizer *tok = r->tokenizer;
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size;) {
        size_t length = tok_utf8_valid(text + at, size - at);
        status = bpe_split_run(&tok->split, r->work->own, text + at, length, take_pieces, r);
        at += length;
        length = tok_utf8_invalid(text + at, size - at);
        if (status == 0 && length > 0)
            status = tok_run_piece(r, bpe_piece, text + at, length);
        at += length;
    }
    return status;
}

/* ---- preparing and decoding ---------------------------------------------------------------------------------- */

static uint32_t longest_spelling(const struct tok_vocab *v)
{
    uint64_t longest = 0;
    for (uint32_t id = 0; id < v->n; id++)
        if (v->text[id].size > longest)
            longest = v->text[id].size;
    return longest < UINT32_MAX ? (uint32_t)longest : UINT32_MAX;
}

/* Single bytes. A token that only looks like a spelled byte but was added by hand ("\xc3\xb5" of type user-defined)
 * stands for its own text and not for the byte. */
static void find_bytes(struct bpe_tokenizer *tok)
{
    const struct tok_vocab *v = &tok->vocab;
    const uint8_t added = TENON_TOKEN_CONTROL | TENON_TOKEN_USER_DEFINED | TENON_TOKEN_UNKNOWN;
    bpe_bytes_init(&tok->bytes);
    for (int i = 0; i < 256; i++) {
        char byte = (char)i, spelled[2];
        int32_t id = tok_vocab_find(v, spelled, bpe_bytes_spell(&tok->bytes, &byte, 1, spelled));
        tok->byte_id[i] = id >= 0 && (v->attributes[id] & added) == 0 ? id : -1;
    }
}

/* Does the spelling begin or end with that of a byte, "<0x0A>"? */
static bool has_byte_at_end(const struct tenon_str *text)
{
    struct tenon_str first = {text->data, 6}, last = {text->data + text->size - 6, 6};
    return text->size > 6 && (tok_chars_byte(&first) >= 0 || tok_chars_byte(&last) >= 0);
}

/* Note what stands side by side in any token. Only if every byte has a token can a cut change nothing else, and only if
 * bytes do not merge do tokens show all that merging can make. */
static bool note_joins(struct bpe_tokenizer *tok)
{
    const struct tok_vocab *v = &tok->vocab;
    const uint8_t never = TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN | TENON_TOKEN_BYTE;
    for (int i = 0; i < 256; i++)
        if (tok->chars.byte_id[i] < 0)
            return false;
    for (uint32_t id = 0; id < v->n; id++) {
        if ((v->attributes[id] & never) != 0)
            continue;
        if (has_byte_at_end(&v->text[id]))
            return false;
        tok_joins_note(&tok->joins, v->text[id].data, (size_t)v->text[id].size);
    }
    return true;
}

void bpe_tokenizer_prepare(struct bpe_tokenizer *tok, uint32_t flags)
{
    tok->is_raw = (flags & BPE_PRE_RAW) != 0;
    tok->longest = flags & BPE_PRE_IGNORE_MERGES ? longest_spelling(&tok->vocab) : 0;
    find_bytes(tok);
    tok_chars_init(&tok->chars, &tok->vocab, (flags & BPE_PRE_SPACES) != 0);
    tok->has_joins = tok->is_raw && note_joins(tok);
}

void bpe_tokenizer_finish(struct bpe_tokenizer *tok)
{
    bpe_split_finish(&tok->split);
    bpe_pairs_finish(&tok->pairs);
    tok_vocab_finish(&tok->vocab);
}

size_t bpe_decode(const struct bpe_tokenizer *tok, int32_t id, char *buf, size_t capacity)
{
    const struct tok_vocab *v = &tok->vocab;
    size_t n = 0;
    if (tok->is_raw)
        return tok_chars_decode(&tok->chars, v, id, false, buf, capacity);
    if ((v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN | TENON_TOKEN_USER_DEFINED)) ||
        !bpe_bytes_unspell(&tok->bytes, v->text[id].data, (size_t)v->text[id].size, buf, capacity, &n)) {
        n = (size_t)v->text[id].size;
        if (n > 0 && capacity > 0)
            memcpy(buf, v->text[id].data, n < capacity ? n : capacity);
    }
    return n;
}
