/* test_decompose_sample.c - the decomposition of core.sample, evaluated on tenon-reference, against its chain computed
 * directly with a sort. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "composite_test.h"
#include "suite.h"

enum { ROWS = 5, VOCAB = 37, WORDS = 2, HISTORY = 6, LOGPROBS = 3 };

struct sampler {
    float temperature, top_p, min_p, penalty[3];
    int32_t top_k;
};

/* The chain for one row, with a sort; history and mask may be NULL. */
static int32_t naive_sample(const struct sampler *s, const float *logits, const int32_t *history, const float *bias, const uint32_t *mask,
                            float random, double *ret_logprobs)
{
    double x[VOCAB], p[VOCAB], sum = 0, total = 0, before = 0;
    int order[VOCAB], n = VOCAB;
    bool kept[VOCAB];
    for (int v = 0; v < VOCAB; v++) {
        int count = 0;
        for (int i = 0; i < HISTORY; i++)
            count += history[i] == v;
        x[v] = (double)logits[v];
        if (count > 0)
            x[v] = x[v] > 0 ? x[v] / (double)s->penalty[0] : x[v] * (double)s->penalty[0];
        x[v] -= (count > 0 ? (double)s->penalty[1] : 0) + count * (double)s->penalty[2];
        x[v] += (double)bias[v];
        if ((mask[v / 32] >> (v % 32) & 1) == 0)
            x[v] = -INFINITY;
        sum += exp(x[v]);
        order[v] = v;
    }
    for (int i = 0; i < VOCAB; i++) /* descending, lower index first */
        for (int j = i; j > 0 && x[order[j]] > x[order[j - 1]]; j--) {
            int swap = order[j];
            order[j] = order[j - 1], order[j - 1] = swap;
        }
    for (int i = 0; i < LOGPROBS; i++)
        ret_logprobs[i] = x[order[i]] - log(sum);
    if (s->temperature <= 0)
        return order[0];
    n = s->top_k > 0 && s->top_k < VOCAB ? s->top_k : VOCAB;
    for (int i = 0; i < n; i++)
        total += p[i] = exp((x[order[i]] - x[order[0]]) / (double)s->temperature);
    for (int i = 0; i < n; i++) {
        p[i] /= total;
        kept[i] = (before < (double)s->top_p || i == 0) && p[i] >= (double)s->min_p * p[0];
        before += p[i];
    }
    total = 0;
    for (int i = 0; i < n; i++)
        total += kept[i] ? p[i] : 0;
    before = 0;
    for (int i = 0; i < n; i++) {
        before += kept[i] ? p[i] : 0;
        if (before > (double)random * total)
            return order[i];
    }
    return order[0];
}

START_TEST(sample)
{
    static const struct sampler rows[ROWS] = {{0.0f, 1.0f, 0.0f, {1, 0, 0}, 0}, {0.8f, 0.9f, 0.0f, {1.3f, 0.2f, 0.1f}, 20},
                                              {1.5f, 1.0f, 0.05f, {1, 0.5f, 0}, 0}, {0.7f, 0.5f, 0.1f, {1.1f, 0, 0.3f}, 5},
                                              {2.0f, 1.0f, 1.0f, {1, 0, 0}, 0}};
    const struct tenon_attr logprobs = tenon_attr_i("logprobs", LOGPROBS);
    struct fixture f;
    int differ = 0, drawn_other = 0;
    start();
    for (int round = 0; round < 40; round++) {
        int32_t top_k[ROWS], history[ROWS * HISTORY];
        uint32_t mask[ROWS * WORDS], key[ROWS * 2], index[ROWS];
        float random[ROWS];
        f = (struct fixture){.dims = attention_dims()};
        f.dims.sym[TENON_SYM_R] = ROWS;
        for (int r = 0; r < ROWS; r++) {
            top_k[r] = rows[r].top_k;
            index[r] = (uint32_t)round;
            key[2 * r] = random_u32(), key[2 * r + 1] = (uint32_t)r;
            mask[WORDS * r] = random_u32() | 7u, mask[WORDS * r + 1] = 0x1f;
            for (int i = 0; i < HISTORY; i++)
                history[r * HISTORY + i] = i < 2 ? -1 : (int32_t)(random_u32() % VOCAB);
        }
        float *logits = add_input(&f, "logits", DIMS(R_, N_(VOCAB)));
        for (int i = 0; i < ROWS * VOCAB; i++)
            logits[i] *= 5;
        float *temperature = add_f32(&f, "temperature", DIMS(R_));
        add_ints(&f, "top_k", TENON_DTYPE_I32, top_k, DIMS(R_));
        float *top_p = add_f32(&f, "top_p", DIMS(R_)), *min_p = add_f32(&f, "min_p", DIMS(R_));
        float *penalty = add_f32(&f, "penalty", DIMS(R_, N_(3)));
        for (int r = 0; r < ROWS; r++) {
            temperature[r] = rows[r].temperature, top_p[r] = rows[r].top_p, min_p[r] = rows[r].min_p;
            memcpy(penalty + 3 * r, rows[r].penalty, sizeof rows[r].penalty);
        }
        add_ints(&f, "history", TENON_DTYPE_I32, history, DIMS(R_, N_(HISTORY)));
        float *bias = add_f32(&f, "bias", DIMS(R_, N_(VOCAB)));
        add_ints(&f, "mask", TENON_DTYPE_U32, mask, DIMS(R_, N_(WORDS)));
        add_ints(&f, "seed", TENON_DTYPE_U32, key, DIMS(R_, N_(2)));
        add_ints(&f, "index", TENON_DTYPE_U32, index, DIMS(R_));
        run(&f, "core.sample/1", &logprobs, 1, 3, 3);
        tenon_ref_random(ROWS, key, index, random);
        for (int r = 0; r < ROWS; r++) {
            double lp[LOGPROBS];
            int32_t want = naive_sample(&rows[r], logits + r * VOCAB, history + r * HISTORY, bias + r * VOCAB, mask + r * WORDS, random[r], lp);
            int32_t have = eval_output(&f.eval, 0)->i[r];
            if (rows[r].temperature <= 0)
                ck_assert_int_eq(have, want);
            differ += have != want; /* a draw within rounding of a border may fall on either side */
            drawn_other += have != eval_output(&f.eval, 1)->i[r * LOGPROBS];
            check_close(eval_output(&f.eval, 2)->f + r * LOGPROBS, lp, LOGPROBS, 4e-6);
        }
        finish(&f);
    }
    ck_assert_int_le(differ, 1);
    ck_assert_int_ge(drawn_other, 10); /* the draws are draws, not the most likely each time */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decompose_sample");
    TCase *c = tcase_create("decompose_sample");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, sample);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
