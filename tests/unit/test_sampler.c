/* test_sampler.c - the sampling chain against plain definitions, its draws against their probabilities, and Philox against
 * the published vectors. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "core/engine/sampler.h"
#include "suite.h"

#define V 64

static struct tn_sampler *make(struct tenon_sampling p, uint64_t n)
{
    struct tn_sampler *s = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_msg(tn_sampler_create(n, &p, &s, &err) == 0, "%s", err.message);
    return s;
}

static int32_t pick(struct tenon_sampling p, const float *logits, uint64_t n, const int32_t *history, uint64_t n_history,
                    uint32_t index)
{
    struct tn_sampler *s = make(p, n);
    struct tn_pick out;
    tn_sampler_pick(s, logits, history, n_history, index, &out);
    tn_sampler_destroy(s);
    return out.token;
}

START_TEST(philox_known_answers)
{
    /* Random123's kat_vectors for philox4x32-10: counter and key zero. */
    static const uint32_t zero[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
    uint32_t r[4], other[4];
    tn_philox(0, 0, r);
    ck_assert_mem_eq(r, zero, sizeof r);
    tn_philox(1ull << 32, 0, r);
    tn_philox(1, 0, other);
    ck_assert_mem_ne(r, other, sizeof r);
    tn_philox(0, 1, r);
    ck_assert_mem_ne(r, zero, sizeof r);
}
END_TEST

START_TEST(greedy_takes_the_lowest_of_equals)
{
    float x[V];
    for (int i = 0; i < V; i++)
        x[i] = (float)-i;
    x[7] = x[40] = 3.0f;
    x[3] = NAN;
    ck_assert_int_eq(pick((struct tenon_sampling){ 0 }, x, V, NULL, 0, 0), 7);
    for (int i = 0; i < V; i++)
        x[i] = NAN;
    ck_assert_int_eq(pick((struct tenon_sampling){ 0 }, x, V, NULL, 0, 0), 0);
}
END_TEST

/* Count draws over many indices and compare with the probabilities, four standard deviations wide. */
static void check_distribution(struct tenon_sampling p, const float *x, const double *want, uint64_t n)
{
    enum { DRAWS = 20000 };
    uint32_t counts[V] = { 0 };
    struct tn_sampler *s = make(p, n);
    struct tn_pick out;
    for (uint32_t i = 0; i < DRAWS; i++) {
        tn_sampler_pick(s, x, NULL, 0, i, &out);
        counts[out.token]++;
    }
    tn_sampler_destroy(s);
    for (uint64_t i = 0; i < n; i++) {
        double mean = want[i] * DRAWS, sd = sqrt(mean * (1 - want[i])) + 1e-9;
        ck_assert_msg(fabs(counts[i] - mean) <= 4 * sd + (want[i] > 0), "token %d: %u draws, expected %.1f (seed %llu)",
                      (int)i, counts[i], mean, (unsigned long long)p.seed);
    }
}

/* Probabilities by the definition: softmax at the temperature, the first k, up to top-p, above min-p, renormalised. */
static void define(const struct tenon_sampling *p, const float *x, double *want, uint64_t n)
{
    int order[V];
    double sum = 0, total = 0, max = -INFINITY, run = 0;
    uint64_t kept = 0, limit = p->top_k > 0 && (uint64_t)p->top_k < n ? (uint64_t)p->top_k : n;
    for (uint64_t i = 0; i < n; i++)
        order[i] = (int)i, max = x[i] > max ? (double)x[i] : max;
    for (uint64_t i = 1; i < n; i++) /* insertion sort, stable: descending */
        for (uint64_t j = i; j > 0 && x[order[j]] > x[order[j - 1]]; j--) {
            int t = order[j];
            order[j] = order[j - 1], order[j - 1] = t;
        }
    for (uint64_t i = 0; i < n; i++)
        want[i] = 0;
    for (uint64_t i = 0; i < limit; i++)
        total += exp(((double)x[order[i]] - max) / (double)p->temperature);
    for (; kept < limit; kept++) {
        double w = exp(((double)x[order[kept]] - max) / (double)p->temperature);
        if ((kept > 0 && w < (double)p->min_p) || (p->top_p > 0 && p->top_p < 1 && run >= (double)p->top_p * total))
            break;
        want[order[kept]] = w;
        run += w;
    }
    for (uint64_t i = 0; i < n; i++)
        sum += want[i];
    for (uint64_t i = 0; i < n; i++)
        want[i] /= sum;
}

START_TEST(draws_follow_the_chain)
{
    static const struct tenon_sampling chains[] = {
        { .temperature = 1.0f, .seed = 11 },
        { .temperature = 0.5f, .seed = 12 },
        { .temperature = 1.7f, .top_k = 5, .seed = 13 },
        { .temperature = 1.0f, .top_p = 0.8f, .seed = 14 },
        { .temperature = 1.0f, .min_p = 0.2f, .seed = 15 },
        { .temperature = 1.2f, .top_k = 20, .top_p = 0.9f, .min_p = 0.05f, .seed = 1ull << 40 },
        { .temperature = 1.0f, .top_k = 1000, .seed = 16 },
    };
    float x[V];
    double want[V];
    for (int i = 0; i < V; i++)
        x[i] = (float)((i * 37 + 11) % V) / 8.0f - 2.0f;
    define(&chains[_i], x, want, V);
    check_distribution(chains[_i], x, want, V);
}
END_TEST

START_TEST(strange_logits_do_no_harm)
{
    float x[8] = { -INFINITY, 1, NAN, INFINITY, 0, -1, -INFINITY, NAN };
    struct tenon_sampling p = { .temperature = 1.0f, .seed = 3 };
    ck_assert_int_eq(pick(p, x, 8, NULL, 0, 5), 3);
    for (uint32_t i = 0; i < 8; i++)
        x[i] = -INFINITY;
    for (uint32_t i = 0; i < 50; i++) {
        int32_t t = pick(p, x, 8, NULL, 0, i);
        ck_assert(t >= 0 && t < 8);
    }
    p.temperature = 1e-30f;
    x[5] = 4, x[6] = 3.9f;
    ck_assert_int_eq(pick(p, x, 8, NULL, 0, 5), 5);
}
END_TEST

START_TEST(penalties)
{
    static const int32_t seen[] = { 1, 1, 1, 2, 500, -4 };
    float x[8] = { 0, 4, 3, 2.5f, -1, -2, -3, -4 };
    struct tenon_sampling p = { .repeat_penalty = 2.0f };
    ck_assert_int_eq(pick(p, x, 8, seen, 6, 0), 3); /* 4/2 and 3/2 fall below 2.5 */
    p = (struct tenon_sampling){ .presence_penalty = 1.2f };
    ck_assert_int_eq(pick(p, x, 8, seen, 6, 0), 1); /* 2.8, 1.8, 2.5 */
    p = (struct tenon_sampling){ .frequency_penalty = 0.6f };
    ck_assert_int_eq(pick(p, x, 8, seen, 6, 0), 3); /* 2.2, 2.4, 2.5 */
    p = (struct tenon_sampling){ .frequency_penalty = 0.6f, .penalty_last = 3 };
    ck_assert_int_eq(pick(p, x, 8, seen, 6, 0), 1); /* only token 2 was seen lately: 4, 2.4 */
    x[1] = -0.5f, x[2] = -0.6f, x[3] = -0.9f, x[0] = -9;
    p = (struct tenon_sampling){ .repeat_penalty = 2.0f, .penalty_last = -1 };
    ck_assert_int_eq(pick(p, x, 8, seen, 6, 0), 3); /* negative ones are multiplied: -1, -1.2, -0.9 */
}
END_TEST

START_TEST(logprobs_are_before_temperature)
{
    float x[4] = { 1, 3, 2, 3 };
    struct tenon_sampling p = { .temperature = 5.0f, .top_k = 1, .logprobs = 3, .seed = 9 };
    struct tn_sampler *s = make(p, 4);
    struct tn_pick out;
    double lse = log(exp(1) + exp(3) + exp(2) + exp(3));
    tn_sampler_pick(s, x, NULL, 0, 0, &out);
    ck_assert_int_eq(out.token, 1);
    ck_assert_float_eq_tol(out.logprob, (float)(3 - lse), 1e-6f);
    ck_assert_uint_eq(out.n_top, 3);
    ck_assert_int_eq(out.top[0].token, 1);
    ck_assert_int_eq(out.top[1].token, 3);
    ck_assert_int_eq(out.top[2].token, 2);
    ck_assert_float_eq_tol(out.top[2].logprob, (float)(2 - lse), 1e-6f);
    tn_sampler_destroy(s);
}
END_TEST

START_TEST(bad_values_are_refused)
{
    static const struct tenon_sampling bad[] = {
        { .temperature = -1 }, { .temperature = NAN }, { .top_p = 1.5f }, { .min_p = -0.1f }, { .top_k = -2 },
        { .repeat_penalty = -1 }, { .presence_penalty = INFINITY },
    };
    struct tn_sampler *s = NULL;
    ck_assert_int_eq(tn_sampler_create(V, &bad[_i], &s, NULL), TENON_E_INVALID_ARGUMENT);
    ck_assert_ptr_null(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampler");
    TCase *tc = tcase_create("chain");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, philox_known_answers);
    tcase_add_test(tc, greedy_takes_the_lowest_of_equals);
    tcase_add_loop_test(tc, draws_follow_the_chain, 0, 7);
    tcase_add_test(tc, strange_logits_do_no_harm);
    tcase_add_test(tc, penalties);
    tcase_add_test(tc, logprobs_are_before_temperature);
    tcase_add_loop_test(tc, bad_values_are_refused, 0, 7);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
