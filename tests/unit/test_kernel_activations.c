/* test_kernel_activations.c - activations made integers: the same ones at every level, and as near as a step allows. */
#include "kernel_test.h"

START_TEST(activations_are_the_same_on_all_levels)
{
    enum { T = 19, K = 608 };
    float *x = aligned(T * K * 4);
    void *first = aligned(cpu_act_bytes(T, K)), *mem = aligned(cpu_act_bytes(T, K));
    struct cpu_act a = { .x = x, .ldx = K, .narrow = _i == 1 };
    float most = a.narrow ? CPU_ACT_MAX_8 : CPU_ACT_MAX;
    for (int i = 0; i < T * K; i++)
        x[i] = ldexpf(rng_float(), (int)rng_below(40) - 20);
    x[3] = 0x1.fffffep127f; /* most / max is denormal */
    for (int i = 32; i < 64; i++)
        x[i] = rng_float() * 0x1p-99f;
    x[100] = NAN;
    x[700] = INFINITY;
    for (int i = 0; i < 32; i++) /* ties: halves of the step */
        x[K + i] = i == 0 ? most : (float)i + 0.5f;
    cpu_act_bind(&a, first, T, K);
    level_at(0)->quantize(&a, 0, T);
    ck_assert_int_eq(act_at(&a, 1, 0, 1), 2);
    ck_assert_int_eq(act_at(&a, 1, 0, 2), 2);
    ENSURE_THAT(a.d[3] != a.d[3] && act_at(&a, 0, 3, 4) == 0 && a.d[700 / 32] != a.d[700 / 32]);
    FOR_LEVELS(k) {
        memset(mem, 0xa5, (size_t)cpu_act_bytes(T, K));
        memset(first, 0xa5, (size_t)cpu_act_bytes(T, K));
        cpu_act_bind(&a, first, T, K);
        level_at(0)->quantize(&a, 0, T);
        cpu_act_bind(&a, mem, T, K);
        for (int t = T - 1; t >= 0; t--)
            k->quantize(&a, t, t + 1);
        for (int64_t i = 0; i < ((uint8_t *)a.split - (uint8_t *)mem) / 4; i++) /* what lies behind only some levels write */
            ENSURE(same(((float *)mem)[i], ((float *)first)[i]), "%s: word %d", k->level, (int)i);
        for (int64_t i = 0; strcmp(k->level, "amx") == 0 && i < T * (K / 32); i++) {
            int64_t t = i / (K / 32), at = (t / 16 * (K / 32) + i % (K / 32)) * 16 + t % 16;
            ENSURE(same(a.turned_d[at], a.d[i]) && same(a.turned_ds[at], a.ds[i]), "factor %d", (int)i);
        }
        ENSURE_THAT((uint8_t *)(a.turned_ds_16 + (T + 15) / 16 * 16 * (K / 16)) <= (uint8_t *)mem + cpu_act_bytes(T, K));
    }
    free(x), free(first), free(mem);
}
END_TEST

/* What few tokens have besides, where a level writes it: of both widths the four sums of each 16, of 16 bits both bytes. */
START_TEST(few_tokens_have_sums_of_halves)
{
    enum { T = 3, K = 288 };
    float *x = aligned(T * K * 4);
    void *mem = aligned(cpu_act_bytes(T, K));
    struct cpu_act a = { .x = x, .ldx = K, .narrow = _i == 1 };
    for (int i = 0; i < T * K; i++)
        x[i] = rng_float();
    for (int i = 0; i < 64; i++) /* all at one end */
        x[i] = i < 32 ? 1.0f : -1.0f;
    x[100] = NAN;
    cpu_act_bind(&a, mem, T, K);
    FOR_LEVELS(k) {
        if (strncmp(k->level, "avx512", 6) != 0 && strcmp(k->level, "amx") != 0)
            continue;
        memset(mem, 0xa5, (size_t)cpu_act_bytes(T, K));
        k->quantize(&a, 0, T);
        for (int i = 0; i < T * K / 16; i++) {
            int32_t half[2] = { 0, 0 };
            for (int j = 0; j < 16; j++)
                half[j / 8] += act_at(&a, 0, 0, 16 * i + j);
            for (int u = 0; u < 4; u++) {
                int32_t want = ((u & 2) != 0 ? -7 : -9) * half[0] + ((u & 1) != 0 ? -7 : -9) * half[1];
                ENSURE(a.moved[4 * i + u] == (float)want, "%s: %d of 16 at %d: %a", k->level, u, i, (double)a.moved[4 * i + u]);
            }
        }
        for (int i = 0; !a.narrow && i < T * K; i++) {
            const int8_t *both = a.split + i / 32 * 64 + i % 32;
            ENSURE(256 * both[32] + both[0] == act_at(&a, 0, 0, i), "%s: bytes of %d", k->level, i);
        }
    }
    free(x), free(mem);
}
END_TEST

START_TEST(activations_are_within_half_a_step)
{
    enum { K = 320 };
    float *x = aligned(K * 4);
    void *mem = aligned(cpu_act_bytes(1, K));
    struct cpu_act a = { .x = x, .ldx = K, .narrow = _i == 1 };
    cpu_act_bind(&a, mem, 1, K);
    for (int i = 0; i < K; i++)
        x[i] = rng_float() * ldexpf(1.0f, i / 32 * 8 - 40);
    FOR_LEVELS(k) {
        k->quantize(&a, 0, 1);
        for (int i = 0; i < K; i++) {
            double d = (double)a.d[i / 32];
            ENSURE(fabs((double)x[i] - d * act_at(&a, 0, 0, i)) <= d * 0.51, "%s: %a as %d of %a", k->level, (double)x[i],
                   act_at(&a, 0, 0, i), d);
        }
        for (int b = 0; b < K / 32; b++) {
            ck_assert_int_eq(a.sum[b], a.sum_16[2 * b] + a.sum_16[2 * b + 1]);
            ck_assert_float_eq(a.ds[b], a.d[b] * (float)a.sum[b]);
            for (int half = 0; half < 2; half++) {
                int32_t sum = 0;
                for (int i = 0; i < 16; i++)
                    sum += act_at(&a, 0, b, 16 * half + i);
                ck_assert_int_eq(a.sum_16[2 * b + half], sum);
                ck_assert_float_eq(a.ds_16[2 * b + half], a.d[b] * (float)sum);
            }
        }
    }
    free(x), free(mem);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_activations");
    TCase *tc = tcase_create("activations");
    seed_tests("kernel_activations");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, activations_are_the_same_on_all_levels, 0, 2); /* of 16 and of 8 bits */
    tcase_add_loop_test(tc, activations_are_within_half_a_step, 0, 2);
    tcase_add_loop_test(tc, few_tokens_have_sums_of_halves, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
