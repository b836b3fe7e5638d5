/* model.c - encodes pieces by the model that a tokenizer.json has. What merges, matches and weighs is the code of the other
 * plugins; only the options that a GGUF cannot have are seen to here. Reading is in model_read.c. Pure functions. Contract:
 * model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "../common/utf8.h"

static const struct js_model *model_of(const struct tok_run *r)
{
    return (const struct js_model *)r->tokenizer; /* whose bpe it is, which is its first member */
}

int32_t js_model_id(const struct js_model *m, const char *text, size_t size)
{
    const struct tok_vocab *v = &m->bpe.vocab;
    int32_t id = tok_vocab_find(v, text, size);
    return id >= 0 && (v->attributes[id] & TENON_TOKEN_CONTROL) == 0 ? id : -1;
}

/* ---- BPE with all its options --------------------------------------------------------------------------------- */

#define MOST_SPELLED (4 + 2 * WP_MOST_PREFIX)

/* A character with prefix or suffix, as far as it has one, into spelled [MOST_SPELLED]; -1: no token is spelled so. */
static int32_t find_character(const struct js_model *m, const char *text, size_t size, bool is_first, bool is_last, char *spelled,
                              size_t *ret_size)
{
    size_t n = is_first ? 0 : (size_t)m->prefix.size;
    bool is_plain = n == 0 && (!is_last || m->suffix.size == 0);
    if (n > 0)
        memcpy(spelled, m->prefix.data, n);
    memcpy(spelled + n, text, size);
    n += size;
    if (is_last && m->suffix.size > 0) {
        memcpy(spelled + n, m->suffix.data, (size_t)m->suffix.size);
        n += (size_t)m->suffix.size;
    }
    *ret_size = n;
    return is_plain && (unsigned char)text[0] < 128 ? m->ascii_id[(unsigned char)text[0]] : js_model_id(m, spelled, n);
}

/* The bytes of what is spelled, prefix and suffix among them, as tokens; 0: not all of them are. */
static size_t fall_back(const struct js_model *m, const char *text, size_t size, int32_t *ids)
{
    for (size_t i = 0; i < size; i++) {
        ids[i] = m->bpe.chars.byte_id[(unsigned char)text[i]];
        if (!m->falls_back || ids[i] < 0)
            return 0;
    }
    return size;
}

static size_t characters(const struct js_model *m, const char *text, size_t size, int32_t *ids)
{
    char spelled[MOST_SPELLED];
    size_t n = 0, length;
    bool is_due = false; /* the unknown token: it comes behind bytes, and before a token */
    for (size_t at = 0; at < size; at += length) {
        size_t valid = tok_utf8_size(text + at, size - at), n_spelled, bytes;
        int32_t id;
        length = valid > 0 ? valid : 1;
        id = find_character(m, text + at, length, at == 0, at + length == size, spelled, &n_spelled);
        bytes = id < 0 ? fall_back(m, spelled, n_spelled, ids + n) : 0;
        n += bytes;
        if (bytes > 0)
            continue;
        if (is_due && (id >= 0 || !m->fuses_unknown))
            ids[n++] = m->bpe.vocab.unk;
        if (id >= 0)
            ids[n++] = id;
        is_due = id < 0 && m->bpe.vocab.unk >= 0;
    }
    if (is_due)
        ids[n++] = m->bpe.vocab.unk;
    return n;
}

static int32_t bpe_any(struct tok_run *r, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    const struct js_model *m = model_of(r);
    const size_t most = m->falls_back ? 1 + (size_t)(m->prefix.size + m->suffix.size) : 1; /* tokens of a byte */
    int32_t *ids = tok_merge_reserve(&r->work->merge, size * most);
    size_t n = 1;
    if (ids == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    ids[0] = m->ignores_merges ? js_model_id(m, piece, size) : -1;
    if (ids[0] < 0) {
        n = characters(m, piece, size, ids);
        n = bpe_pairs_merge(&m->bpe.pairs, &r->work->merge, n);
    }
    *ret_ids = ids;
    *ret_n = n;
    return 0;
}

/* ---- the other models ------------------------------------------------------------------------------------------ */

int32_t js_model_word(struct tok_run *r, const char *word, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    return wp_match_word(&model_of(r)->words, r->work, word, size, ret_ids, ret_n);
}

static int32_t unigram(struct tok_run *r, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    struct js_model_memory *memory = r->work->own;
    return uni_encode(&model_of(r)->unigram, &memory->lattice, r->work, piece, size, ret_ids, ret_n);
}

static int32_t word_level(struct tok_run *r, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    const struct js_model *m = model_of(r);
    int32_t *ids = tok_merge_reserve(&r->work->merge, 1);
    if (ids == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    ids[0] = js_model_id(m, piece, size);
    if (ids[0] < 0)
        ids[0] = m->bpe.vocab.unk;
    *ret_ids = ids;
    *ret_n = ids[0] >= 0;
    return 0;
}

int32_t js_model_take(struct tok_run *r, const char *piece, size_t size)
{
    static tok_piece_fn *const by_kind[] = {
        [JS_BPE] = bpe_any, [JS_WORDPIECE] = js_model_word, [JS_UNIGRAM] = unigram, [JS_WORDLEVEL] = word_level,
    };
    const struct js_model *m = model_of(r);
    r->last = -1; /* unknown tokens are one within a piece, and not across */
    if (size == 0)
        return 0;
    return m->is_joined ? tok_run_joined(r, by_kind[m->kind], &m->joins, piece, size)
                        : tok_run_piece(r, by_kind[m->kind], piece, size);
}
