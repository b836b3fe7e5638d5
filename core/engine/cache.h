/* cache.h - sequences whose requests have ended and whose tokens are still in the KV cache, for prompts that begin alike:
 * the next turn of a chat computes only what is new.
 *
 *     struct tn_cache c;
 *     rc = tn_cache_init(&c, kv, max_sequences);
 *     rc = tn_cache_take(&c, tokens, n, &seq, err);     // seq->len tokens need not be computed
 *     tn_cache_give(&c, seq, tokens);                   // tokens [seq->len], OWN: cache, by free
 *     tn_cache_finish(&c);
 *
 * [serial:cache]
 */
#ifndef TN_ENGINE_CACHE_H
#define TN_ENGINE_CACHE_H

#include <stdint.h>

#include "core/engine/kv.h"

struct tn_cache_entry {
    struct tn_seq *seq;
    int32_t *tokens; /* [seq->len] */
};

struct tn_cache {
    struct tn_kv *kv;               /* OWN: stepper */
    struct tn_cache_entry *entries; /* [n] least recently used first */
    uint32_t n, capacity;
};

int32_t tn_cache_init(struct tn_cache *c, struct tn_kv *kv, uint32_t max_sequences);
void tn_cache_finish(struct tn_cache *c); /* fine on a zeroed one */

/* A sequence for a prompt [n], n >= 1: the one that shares the longest beginning, or a new one. At least the prompt's last
 * token is left to compute. */
int32_t tn_cache_take(struct tn_cache *c, const int32_t *prompt, uint32_t n, struct tn_seq **ret, struct tenon_err *err);
void tn_cache_give(struct tn_cache *c, struct tn_seq *seq, int32_t *tokens);

#endif
