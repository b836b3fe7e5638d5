/* cache.c - see cache.h. A sequence is handed to one request at a time and cut back to what it shares; since a row's bits
 * depend on nothing but the row, what is found here never changes a text. Runs on the model's thread.
 */
#include "core/engine/cache.h"

#include <stdlib.h>
#include <string.h>

int32_t tn_cache_init(struct tn_cache *c, struct tn_kv *kv, uint32_t max_sequences)
{
    *c = (struct tn_cache){ .kv = kv, .capacity = max_sequences };
    c->entries = calloc((size_t)max_sequences + 1, sizeof *c->entries);
    return c->entries != NULL ? TENON_OK : TENON_E_RESOURCE_EXHAUSTED;
}

static struct tn_seq *remove_entry(struct tn_cache *c, uint32_t i)
{
    struct tn_seq *seq = c->entries[i].seq;
    free(c->entries[i].tokens);
    memmove(&c->entries[i], &c->entries[i + 1], (c->n - i - 1) * sizeof *c->entries);
    c->n--;
    return seq;
}

void tn_cache_finish(struct tn_cache *c)
{
    while (c->n > 0)
        tn_kv_close(c->kv, remove_entry(c, 0));
    free(c->entries);
    memset(c, 0, sizeof *c);
}

/* Tokens at the start that are the same, at most n - 1. */
static uint32_t shared(const struct tn_cache_entry *e, const int32_t *prompt, uint32_t n)
{
    uint32_t most = e->seq->len < n - 1 ? e->seq->len : n - 1, i = 0;
    while (i < most && e->tokens[i] == prompt[i])
        i++;
    return i;
}

int32_t tn_cache_take(struct tn_cache *c, const int32_t *prompt, uint32_t n, struct tn_seq **ret, struct tenon_err *err)
{
    uint32_t best = 0, best_len = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t len = shared(&c->entries[i], prompt, n);
        if (len > best_len && tn_kv_can_rewind(c->kv, c->entries[i].seq, len))
            best = i, best_len = len;
    }
    if (best_len > 0 && tn_kv_rewind(c->kv, c->entries[best].seq, best_len)) {
        *ret = remove_entry(c, best);
        return TENON_OK;
    }
    if (tn_kv_open(c->kv, ret, NULL) == TENON_OK)
        return TENON_OK;
    if (c->n > 0) /* every slot is taken: the one unused for longest goes */
        tn_kv_close(c->kv, remove_entry(c, 0));
    return tn_kv_open(c->kv, ret, err);
}

void tn_cache_give(struct tn_cache *c, struct tn_seq *seq, int32_t *tokens)
{
    if (c->n == c->capacity || seq->len == 0) {
        tn_kv_close(c->kv, seq);
        free(tokens);
        return;
    }
    c->entries[c->n++] = (struct tn_cache_entry){ seq, tokens };
}
