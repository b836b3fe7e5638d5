/* encode.c - the way from a text down to pieces that all tokenizers share. Contract: encode.h. */
#include "encode.h"

/* A piece that no set of the cache has. */
static int32_t encode_other(struct tok_run *r, tok_piece_fn *encode, const char *piece, size_t size)
{
    size_t n;
    const int32_t *ids = tok_cache_find_long(&r->work->cache, piece, size, &n);
    int32_t status = 0;
    if (ids == NULL) {
        status = encode(r, piece, size, &ids, &n);
        if (status == 0)
            tok_cache_put(&r->work->cache, piece, size, ids, n);
    }
    if (status == 0)
        tok_run_emit(r, ids, n);
    return status;
}

int32_t tok_run_piece(struct tok_run *r, tok_piece_fn *encode, const char *piece, size_t size)
{
    uint64_t key[2];
    const struct tok_cached *found = NULL;
    if (size <= TOK_CACHE_SHORT) {
        tok_cache_key(piece, size, key);
        found = tok_cache_find(tok_cache_set(&r->work->cache, key), key);
    }
    if (found == NULL)
        return encode_other(r, encode, piece, size);
    tok_run_emit(r, found->ids, found->n);
    return 0;
}

/* The ids of a remembered piece; all of them are written, also those it has not, where there is room. */
static inline void emit_cached(struct tok_run *r, const struct tok_cached *found)
{
    bool may_fuse = r->fused >= 0 && (found->n == 0 || found->ids[0] == r->fused);
    if (may_fuse || r->n + TOK_CACHE_IDS > r->capacity) {
        tok_run_emit(r, found->ids, found->n);
        return;
    }
    memcpy(r->ids + r->n, found->ids, sizeof found->ids);
    r->n += found->n;
    if (r->fused >= 0)
        r->last = found->ids[found->n - 1];
}

struct batch {
    uint64_t keys[TOK_PIECES][2];          /* [n] */
    struct tok_cache_set *sets[TOK_PIECES]; /* [n] NULL: the piece is too long for a set */
};

/* Where each piece would be remembered, on its way into the processor's cache. */
static void look_ahead(const struct tok_cache *c, struct batch *b, const char *text, const uint32_t *ends, size_t n)
{
    uint32_t start = 0;
    for (size_t i = 0; i < n; start = ends[i++]) {
        size_t size = ends[i] - start;
        b->sets[i] = NULL;
        if (size > TOK_CACHE_SHORT)
            continue;
        if (ends[n - 1] - start >= sizeof b->keys[i])
            tok_cache_wide_key(text + start, size, b->keys[i]);
        else
            tok_cache_key(text + start, size, b->keys[i]);
        b->sets[i] = tok_cache_set(c, b->keys[i]);
        __builtin_prefetch(b->sets[i]);
    }
}

int32_t tok_run_pieces(struct tok_run *r, tok_piece_fn *encode, const char *text, const uint32_t *ends, size_t n)
{
    struct batch b;
    int32_t status = 0;
    uint32_t start = 0;
    look_ahead(&r->work->cache, &b, text, ends, n);
    for (size_t i = 0; status == 0 && i < n; start = ends[i++]) {
        const struct tok_cached *found = b.sets[i] != NULL ? tok_cache_find(b.sets[i], b.keys[i]) : NULL;
        if (found != NULL)
            emit_cached(r, found);
        else
            status = encode_other(r, encode, text + start, ends[i] - start);
    }
    return status;
}

int32_t tok_run_joined(struct tok_run *r, tok_piece_fn *encode, const struct tok_joins *joins, const char *text, size_t size)
{
    uint32_t ends[TOK_PIECES]; /* [n] */
    int32_t status = 0;
    while (status == 0 && size > 0) {
        size_t n = 0, at = 0;
        for (; n < TOK_PIECES && at < size; n++) {
            at += tok_joins_piece(joins, -1, text + at, size - at);
            ends[n] = (uint32_t)at;
        }
        status = tok_run_pieces(r, encode, text, ends, n);
        text += at;
        size -= at;
    }
    return status;
}

static int32_t run(const struct tok_encoder *e, struct tok_run *r, const char *text, size_t size, bool with_control)
{
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size;) {
        struct tok_special_match m = tok_special_find(e->special, text + at, size - at, with_control);
        if (m.at > 0)
            status = e->plain(r, text + at, m.at);
        if (status == 0 && m.id >= 0)
            tok_run_emit(r, &m.id, 1);
        at += m.at + m.size;
    }
    return status;
}

int32_t tok_encode(const struct tok_encoder *e, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                   uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    struct tok_run r = {e->tokenizer, NULL, ids, capacity, 0, e->fused, -1};
    int32_t status = TENON_E_RESOURCE_EXHAUSTED;
    if (size >= UINT32_MAX)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "tokenizer", "a text of %llu bytes is too long: cut it up",
                          (unsigned long long)size);
    r.work = tok_work_take(e->pool);
    if (r.work != NULL)
        status = run(e, &r, text, (size_t)size, (flags & TENON_ENCODE_SPECIAL) != 0);
    tok_work_give(e->pool, r.work);
    if (status != 0)
        return tenon_fail(err, status, "tokenizer", "no memory to tokenize a text of %llu bytes",
                          (unsigned long long)size);
    *ret_n = r.n;
    return 0;
}
