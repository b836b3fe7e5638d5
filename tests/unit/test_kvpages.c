/* test_kvpages.c - page bookkeeping: no page is ever owned twice or lost, failure changes nothing, windows give pages back,
 * and ended sequences are found again by what they share. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/cache.h"
#include "core/engine/kv.h"
#include "suite.h"

static struct tn_kv *make(uint32_t page_tokens, uint32_t window, uint64_t n_pages, uint32_t slots)
{
    struct tn_kv_group_desc g = { page_tokens, window, n_pages };
    struct tn_kv *kv = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_msg(tn_kv_create(&g, 1, slots, false, &kv, &err) == 0, "%s", err.message);
    return kv;
}

START_TEST(slots_follow_pages)
{
    struct tn_kv *kv = make(16, 0, 8, 1);
    struct tn_seq *seq;
    ck_assert_int_eq(tn_kv_open(kv, &seq, NULL), 0);
    ck_assert_int_eq(tn_kv_reserve(kv, seq, 33, NULL), 0);
    ck_assert_uint_eq(tn_kv_pages_used(kv), 3);
    ck_assert_int_eq(tn_kv_slot(kv, seq, 0, 0), 0); /* the lowest pages first */
    ck_assert_int_eq(tn_kv_slot(kv, seq, 0, 17), 17);
    tn_kv_advance(kv, seq, 33);
    ck_assert_int_eq(tn_kv_reserve(kv, seq, 15, NULL), 0);
    ck_assert_uint_eq(tn_kv_pages_used(kv), 3);
    ck_assert(tn_kv_rewind(kv, seq, 16));
    ck_assert_uint_eq(tn_kv_pages_used(kv), 1);
    tn_kv_close(kv, seq);
    ck_assert_uint_eq(tn_kv_pages_used(kv), 0);
    tn_kv_destroy(kv);
}
END_TEST

START_TEST(failure_changes_nothing)
{
    struct tn_kv_group_desc groups[2] = { { 16, 0, 100 }, { 16, 0, 3 } };
    struct tn_kv *kv = NULL;
    struct tn_seq *seq, *other = NULL;
    ck_assert_int_eq(tn_kv_create(groups, 2, 1, false, &kv, NULL), 0);
    ck_assert_int_eq(tn_kv_open(kv, &seq, NULL), 0);
    ck_assert_int_eq(tn_kv_open(kv, &other, NULL), TENON_E_RESOURCE_EXHAUSTED);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(tn_kv_reserve(kv, seq, 20, NULL), 0);
    tn_kv_advance(kv, seq, 20);
    ck_assert_uint_eq(tn_kv_pages_used(kv), 4);
    ck_assert_int_eq(tn_kv_reserve(kv, seq, 40, NULL), TENON_E_RESOURCE_EXHAUSTED); /* 4 pages, the second group has 3 */
    ck_assert_uint_eq(tn_kv_pages_used(kv), 4);
    ck_assert_uint_eq(seq->len, 20);
    tn_kv_close(kv, seq);
    tn_kv_destroy(kv);
    groups[0].n_pages = 1u << 30; /* over 2^31 positions */
    ck_assert_int_eq(tn_kv_create(groups, 2, 1, false, &kv, NULL), TENON_E_INVALID_ARGUMENT);
}
END_TEST

START_TEST(windows_give_pages_back)
{
    struct tn_kv *kv = make(4, 10, 6, 1);
    struct tn_seq *seq;
    ck_assert_int_eq(tn_kv_open(kv, &seq, NULL), 0);
    for (uint32_t i = 0; i < 200; i++) {
        ck_assert_int_eq(tn_kv_reserve(kv, seq, 1, NULL), 0);
        tn_kv_advance(kv, seq, 1);
        /* The next token sees positions > len - 10: their pages must be there. */
        for (uint32_t p = seq->len >= 10 ? seq->len - 9 : 0; p < seq->len; p++)
            ck_assert_int_ge(seq->tables[0].pages[p / 4], 0);
        ck_assert_uint_le(tn_kv_pages_used(kv), 4);
    }
    ck_assert(!tn_kv_rewind(kv, seq, 100)); /* what it would need is gone */
    ck_assert_uint_eq(seq->len, 200);
    ck_assert(tn_kv_rewind(kv, seq, 200)); /* nothing is forgotten */
    ck_assert(!tn_kv_rewind(kv, seq, 196)); /* positions 187 ..: page 46, which is gone */
    ck_assert_int_eq(tn_kv_reserve(kv, seq, 3, NULL), 0);
    tn_kv_advance(kv, seq, 1); /* 201: pages from 48 on; position 192 is its first */
    ck_assert(tn_kv_rewind(kv, seq, 201));
    ck_assert(tn_kv_rewind(kv, seq, 0));
    ck_assert_uint_eq(tn_kv_pages_used(kv), 0);
    tn_kv_close(kv, seq);
    tn_kv_destroy(kv);
}
END_TEST

START_TEST(recurrent_sequences_go_on_or_begin_anew)
{
    static const int32_t a[] = { 1, 2, 3, 4, 5 };
    struct tn_kv *kv = NULL;
    struct tn_cache cache;
    struct tn_seq *seq, *again;
    int32_t *tokens = malloc(3 * sizeof *tokens);
    ck_assert_int_eq(tn_kv_create(NULL, 0, 2, true, &kv, NULL), 0); /* no pages at all: slots alone */
    ck_assert_int_eq(tn_cache_init(&cache, kv, 2), 0);
    ck_assert_int_eq(tn_cache_take(&cache, a, 3, &seq, NULL), 0);
    ck_assert_int_eq(tn_kv_reserve(kv, seq, 3, NULL), 0);
    tn_kv_advance(kv, seq, 3);
    ck_assert(!tn_kv_can_rewind(kv, seq, 2));
    ck_assert(tn_kv_can_rewind(kv, seq, 3));
    memcpy(tokens, a, 3 * sizeof *tokens);
    tn_cache_give(&cache, seq, tokens);
    ck_assert_int_eq(tn_cache_take(&cache, a, 3, &again, NULL), 0); /* its last token must be computed: that needs the state before */
    ck_assert_ptr_ne(again, seq);
    ck_assert_uint_eq(again->len, 0);
    tn_kv_close(kv, again);
    ck_assert_int_eq(tn_cache_take(&cache, a, 5, &again, NULL), 0);
    ck_assert_ptr_eq(again, seq);
    ck_assert_uint_eq(again->len, 3);
    again->spoiled = true; /* a step failed */
    ck_assert(!tn_kv_rewind(kv, again, 3));
    ck_assert(tn_kv_rewind(kv, again, 0));
    ck_assert(!again->spoiled);
    tn_kv_close(kv, again);
    tn_cache_finish(&cache);
    tn_kv_destroy(kv);
}
END_TEST

/* Random sequences come, grow, are cut and go; every page has at most one owner. */
START_TEST(no_page_has_two_owners)
{
    enum { SEQS = 5, PAGES = 40 };
    struct tn_kv *kv = make(8, _i % 2 ? 20 : 0, PAGES, SEQS);
    struct tn_seq *seqs[SEQS] = { NULL };
    uint64_t seed = (uint64_t)_i + 77;
    for (int step = 0; step < 3000; step++) {
        unsigned char owned[PAGES] = { 0 };
        uint64_t n_owned = 0;
        struct tn_seq **s;
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        s = &seqs[(seed >> 33) % SEQS];
        if (*s == NULL) {
            ck_assert_int_eq(tn_kv_open(kv, s, NULL), 0);
        } else if ((seed >> 40) % 10 == 0) {
            tn_kv_close(kv, *s);
            *s = NULL;
        } else if ((seed >> 40) % 10 == 1) {
            (void)tn_kv_rewind(kv, *s, (uint32_t)((seed >> 44) % ((*s)->len + 1)));
        } else if (tn_kv_reserve(kv, *s, (uint32_t)((seed >> 44) % 30 + 1), NULL) == 0) {
            tn_kv_advance(kv, *s, (uint32_t)((seed >> 44) % 30 + 1));
        }
        for (int i = 0; i < SEQS; i++)
            for (uint32_t p = 0; seqs[i] != NULL && p < seqs[i]->tables[0].n; p++) {
                int32_t page = seqs[i]->tables[0].pages[p];
                if (page < 0)
                    continue;
                ck_assert_msg(page < PAGES && owned[page]++ == 0, "seed %d step %d: page %d", _i, step, (int)page);
                n_owned++;
            }
        ck_assert_uint_eq(n_owned, tn_kv_pages_used(kv));
    }
    for (int i = 0; i < SEQS; i++)
        tn_kv_close(kv, seqs[i]);
    ck_assert_uint_eq(tn_kv_pages_used(kv), 0);
    tn_kv_destroy(kv);
}
END_TEST

static int32_t *copy(const int32_t *tokens, uint32_t n)
{
    int32_t *c = malloc((n + 1) * sizeof *c);
    memcpy(c, tokens, n * sizeof *c);
    return c;
}

START_TEST(prompts_that_begin_alike_find_their_sequence)
{
    static const int32_t a[] = { 1, 2, 3, 4, 5, 6 }, b[] = { 1, 2, 9, 9 }, c[] = { 8, 8 };
    struct tn_kv *kv = make(2, 0, 20, 2);
    struct tn_cache cache;
    struct tn_seq *first, *second, *seq;
    ck_assert_int_eq(tn_cache_init(&cache, kv, 2), 0);
    ck_assert_int_eq(tn_cache_take(&cache, a, 5, &first, NULL), 0);
    ck_assert_int_eq(tn_cache_take(&cache, b, 4, &second, NULL), 0);
    ck_assert_uint_eq(first->len + second->len, 0);
    ck_assert_int_eq(tn_cache_take(&cache, c, 2, &seq, NULL), TENON_E_RESOURCE_EXHAUSTED); /* both are running */
    ck_assert_int_eq(tn_kv_reserve(kv, first, 5, NULL) | tn_kv_reserve(kv, second, 4, NULL), 0);
    tn_kv_advance(kv, first, 5);
    tn_kv_advance(kv, second, 4);
    tn_cache_give(&cache, second, copy(b, 4));
    tn_cache_give(&cache, first, copy(a, 5));
    ck_assert_int_eq(tn_cache_take(&cache, a, 6, &seq, NULL), 0);
    ck_assert_ptr_eq(seq, first);
    ck_assert_uint_eq(seq->len, 5);
    tn_cache_give(&cache, seq, copy(a, 5));
    ck_assert_int_eq(tn_cache_take(&cache, a, 5, &seq, NULL), 0);
    ck_assert_uint_eq(seq->len, 4); /* the last token must be computed for its logits */
    tn_cache_give(&cache, seq, copy(a, 4));
    ck_assert_int_eq(tn_cache_take(&cache, c, 2, &seq, NULL), 0); /* the one unused for longest made room */
    ck_assert_uint_eq(seq->len, 0);
    ck_assert_uint_eq(cache.n, 1);
    tn_kv_close(kv, seq);
    tn_cache_finish(&cache);
    ck_assert_uint_eq(tn_kv_pages_used(kv), 0);
    tn_kv_destroy(kv);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvpages");
    TCase *tc = tcase_create("pages");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, slots_follow_pages);
    tcase_add_test(tc, failure_changes_nothing);
    tcase_add_test(tc, windows_give_pages_back);
    tcase_add_test(tc, recurrent_sequences_go_on_or_begin_anew);
    tcase_add_loop_test(tc, no_page_has_two_owners, 0, 6);
    tcase_add_test(tc, prompts_that_begin_alike_find_their_sequence);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
