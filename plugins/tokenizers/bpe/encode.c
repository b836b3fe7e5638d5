/* encode.c - text to ids: special tokens are found first, what lies between is checked to be UTF-8 and split into
 * pieces, and each piece is merged, or remembered from before. A run of bytes that are not UTF-8 is a piece of its own,
 * as no pattern can say anything about it. A byte that has no token is left out before merging, as Hugging Face's
 * library does: there is no id that would bring it back. Contract: encode.h. */
#include "encode.h"

#include <string.h>

struct sink {
    struct tenon_tokenizer_object *tok;
    struct bpe_work *work;
    int32_t *ids;      /* [capacity] */
    uint64_t capacity;
    uint64_t n;        /* ids so far, also those that did not fit */
};

static void emit(struct sink *s, const int32_t *ids, size_t n)
{
    uint64_t room = s->n < s->capacity ? s->capacity - s->n : 0;
    size_t fit = n < room ? n : (size_t)room;
    for (size_t i = 0; i < fit; i++) /* mostly one or two: a call of memcpy costs more */
        s->ids[s->n + i] = ids[i];
    s->n += n;
}

/* The token that a whole piece is, for splits that ask before merging; -1: none. Text never means a control token. */
static int32_t whole_token(struct sink *s, const char *piece, size_t size)
{
    const struct bpe_vocab *v = &s->tok->vocab;
    char spelled[2 * 256];
    int32_t id;
    if (size > s->tok->longest || size > sizeof spelled / 2)
        return -1;
    id = bpe_vocab_find(v, spelled, bpe_bytes_spell(&v->bytes, piece, size, spelled));
    return id >= 0 && (v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) == 0 ? id : -1;
}

/* Ids of a piece into the work's merge buffer. */
static int32_t encode_piece(struct sink *s, const char *piece, size_t size, const int32_t **ret_ids, size_t *ret_n)
{
    const int32_t *byte_id = s->tok->vocab.byte_id;
    int32_t *ids = bpe_merge_reserve(&s->work->merge, size);
    size_t n = 0;
    if (ids == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    ids[0] = whole_token(s, piece, size);
    if (ids[0] >= 0) {
        n = 1;
    } else {
        for (size_t i = 0; i < size; i++)
            if (byte_id[(unsigned char)piece[i]] >= 0)
                ids[n++] = byte_id[(unsigned char)piece[i]];
        n = bpe_merge_run(&s->work->merge, &s->tok->pairs, n);
    }
    *ret_ids = ids;
    *ret_n = n;
    return 0;
}

static int32_t take_piece(void *arg, const char *piece, size_t size)
{
    struct sink *s = arg;
    struct bpe_cached *slot = NULL;
    uint64_t key[2];
    const int32_t *ids;
    size_t n;
    int32_t status;
    if (size <= BPE_CACHE_KEY) {
        slot = bpe_cache_slot(s->work, piece, size, key);
        if (slot->key[0] == key[0] && slot->key[1] == key[1]) {
            emit(s, slot->ids, slot->n);
            return 0;
        }
    }
    status = encode_piece(s, piece, size, &ids, &n);
    if (status != 0)
        return status;
    emit(s, ids, n);
    if (slot != NULL && n <= BPE_CACHE_IDS) {
        memcpy(slot->key, key, sizeof key);
        memcpy(slot->ids, ids, n * sizeof *ids);
        slot->n = (uint32_t)n;
    }
    return 0;
}

/* Text without special tokens. */
static int32_t encode_plain(struct sink *s, const char *text, size_t size)
{
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size;) {
        size_t length = bpe_utf8_valid(text + at, size - at);
        status = bpe_split_run(&s->tok->split, &s->work->matcher, text + at, length, take_piece, s);
        at += length;
        length = bpe_utf8_invalid(text + at, size - at);
        if (status == 0 && length > 0)
            status = take_piece(s, text + at, length);
        at += length;
    }
    return status;
}

static int32_t encode_text(struct sink *s, const char *text, size_t size, bool with_control)
{
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size;) {
        struct bpe_special_match m = bpe_special_find(&s->tok->special, text + at, size - at, with_control);
        status = encode_plain(s, text + at, m.at);
        if (status == 0 && m.id >= 0)
            emit(s, &m.id, 1);
        at += m.at + m.size;
    }
    return status;
}

int32_t bpe_encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                   uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    struct sink s = {tok, NULL, ids, capacity, 0};
    int32_t status = TENON_E_RESOURCE_EXHAUSTED;
    if (size >= UINT32_MAX)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "bpe", "a text of %llu bytes is too long: cut it up",
                          (unsigned long long)size);
    s.work = bpe_work_take(&tok->pool);
    if (s.work != NULL)
        status = encode_text(&s, text, (size_t)size, (flags & TENON_ENCODE_SPECIAL) != 0);
    bpe_work_give(&tok->pool, s.work);
    if (status != 0)
        return tenon_fail(err, status, "bpe", "no memory to tokenize a text of %llu bytes", (unsigned long long)size);
    *ret_n = s.n;
    return 0;
}
