/* kv.h - which pages of the cache belong to which sequence. Numbers only: the memory is the model's (core/model).
 *
 *     struct tn_kv_group_desc g = { .page_tokens = 16, .n_pages = 512 };
 *     rc = tn_kv_create(&g, 1, n_slots, false, &kv, err);
 *     rc = tn_kv_open(kv, &seq, err);                  // a sequence takes a slot
 *     rc = tn_kv_reserve(kv, seq, n, err);             // pages for n more tokens
 *     slot = tn_kv_slot(kv, seq, 0, position);         // page * page_tokens + offset
 *     tn_kv_advance(kv, seq, n);                       // they are in the cache now
 *     tn_kv_close(kv, seq);
 *
 * Pages given back are the first to be taken again, and the lowest numbers are taken first, so that few are ever
 * touched. [serial:kv]
 */
#ifndef TN_ENGINE_KV_H
#define TN_ENGINE_KV_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/plugin.h>

/* A state group: states that share a block table (model.h). */
struct tn_kv_group_desc {
    uint32_t page_tokens; /* tokens in a page */
    uint32_t window;      /* pages wholly outside the last `window` positions are given back; 0: all are kept */
    uint64_t n_pages;
};

struct tn_kv;

/* The pages of one group, by position: page of positions [i * page_tokens, (i+1) * page_tokens), -1: none any more. */
struct tn_kv_table {
    int32_t *pages; /* [capacity] of which [n] are set */
    uint32_t n, capacity;
    uint32_t dropped; /* entries [0, dropped) are -1 */
};

struct tn_seq {
    uint32_t len;  /* tokens in the cache */
    int32_t slot;  /* in recurrent and convolution states */
    bool spoiled;  /* its slot holds something else than what len tokens make: it can only begin anew */
    struct tn_kv_table *tables; /* [n_groups] */
};

/* n_slots: most sequences at a time. recurrent: their slots hold states, which no one can take tokens out of again. OWN: *ret
 * until tn_kv_destroy. INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
int32_t tn_kv_create(const struct tn_kv_group_desc *groups, uint32_t n_groups, uint32_t n_slots, bool recurrent,
                     struct tn_kv **ret, struct tenon_err *err);
void tn_kv_destroy(struct tn_kv *kv); /* NULL is allowed; all sequences are closed before */

/* OWN: *ret until tn_kv_close. RESOURCE_EXHAUSTED: every slot is taken. */
int32_t tn_kv_open(struct tn_kv *kv, struct tn_seq **ret, struct tenon_err *err);
void tn_kv_close(struct tn_kv *kv, struct tn_seq *seq); /* NULL is allowed */

/* Pages for positions len .. len+n-1. RESOURCE_EXHAUSTED, then nothing has changed. */
int32_t tn_kv_reserve(struct tn_kv *kv, struct tn_seq *seq, uint32_t n, struct tenon_err *err);
void tn_kv_advance(struct tn_kv *kv, struct tn_seq *seq, uint32_t n);

/* Can all tokens from `len` on be forgotten? Not where what is needed to go on from there is gone. */
bool tn_kv_can_rewind(const struct tn_kv *kv, const struct tn_seq *seq, uint32_t len);
/* Forget them. False, and nothing has changed: it cannot be done. */
bool tn_kv_rewind(struct tn_kv *kv, struct tn_seq *seq, uint32_t len);

/* Slot number of a reserved position. */
int32_t tn_kv_slot(const struct tn_kv *kv, const struct tn_seq *seq, uint32_t group, uint32_t position);

uint64_t tn_kv_pages(const struct tn_kv *kv);
uint64_t tn_kv_pages_used(const struct tn_kv *kv);

#endif
