/* encode.c - the way from a text down to pieces that all tokenizers share. Contract: encode.h. */
#include "encode.h"

int32_t tok_run_piece(struct tok_run *r, tok_piece_fn *encode, const char *piece, size_t size)
{
    struct tok_cached *slot = NULL;
    uint64_t key[2];
    const int32_t *ids;
    size_t n;
    int32_t status;
    if (size <= TOK_CACHE_KEY) {
        slot = tok_cache_slot(r->work, piece, size, key);
        if (slot->key[0] == key[0] && slot->key[1] == key[1]) {
            tok_run_emit(r, slot->ids, slot->n);
            return 0;
        }
    }
    status = encode(r, piece, size, &ids, &n);
    if (status != 0)
        return status;
    tok_run_emit(r, ids, n);
    if (slot != NULL && n <= TOK_CACHE_IDS) {
        memcpy(slot->key, key, sizeof key);
        memcpy(slot->ids, ids, n * sizeof *ids);
        slot->n = (uint32_t)n;
    }
    return 0;
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
