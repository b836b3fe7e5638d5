/* test_kernel_rows.c - norms, softmax, elementwise functions, conversions and rope: every level against double precision, and
 * each element's bits whatever its place. */
#include "kernel_test.h"

enum { N = 1237 };

static float *values(float size)
{
    float *x = aligned(N * 4);
    for (int i = 0; i < N; i++)
        x[i] = rng_float() * size;
    return x;
}

/* ---- unary functions */

static double formula(enum cpu_unary kind, double x)
{
    switch (kind) {
    case CPU_NEG: return -x;
    case CPU_ABS: return fabs(x);
    case CPU_SQRT: return sqrt(x);
    case CPU_RSQRT: return 1.0 / sqrt(x);
    case CPU_EXP: return exp(x);
    case CPU_LOG: return log(x);
    case CPU_SIN: return sin(x);
    case CPU_COS: return cos(x);
    case CPU_TANH: return tanh(x);
    case CPU_SIGMOID: return 1.0 / (1.0 + exp(-x));
    case CPU_RELU: return x < 0.0 ? 0.0 : x;
    case CPU_RELU2: return x < 0.0 ? 0.0 : x * x;
    case CPU_SILU: return x / (1.0 + exp(-x));
    case CPU_GELU: return 0.5 * x * erfc(-x * M_SQRT1_2);
    case CPU_GELU_TANH: return x / (1.0 + exp(-2.0 * 0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case CPU_GELU_QUICK: return x / (1.0 + exp(-1.702 * x));
    default: return fmax(x, 0.0) + log1p(exp(-fabs(x)));
    }
}

static const char *const kinds[] = { "neg", "abs", "sqrt", "rsqrt", "exp", "log", "sin", "cos", "tanh", "sigmoid", "relu", "relu2",
                                     "silu", "gelu", "gelu_tanh", "gelu_quick", "softplus" };

START_TEST(unary_is_within_its_bound)
{
    enum cpu_unary kind = cpu_unary_find(kinds[_i]);
    float *x = values(1.0f), *y = aligned(N * 4), *z = aligned(N * 4);
    ck_assert_int_eq((int)kind, _i);
    for (int i = 0; i < N; i++) {
        x[i] = i % 3 == 0 ? x[i] : i % 3 == 1 ? x[i] * 10.0f : x[i] * 80.0f;
        if (kind == CPU_SQRT || kind == CPU_RSQRT || kind == CPU_LOG)
            x[i] = fabsf(x[i]) + 1e-6f;
    }
    FOR_LEVELS(k) {
        k->unary(kind, x, N, y);
        k->unary_mul(kind, x, x, N, z);
        for (int i = 0; i < N; i++) {
            double want = formula(kind, (double)x[i]), bound = 0x1p-22 * fabs(want) + 0x1p-23 * fmax(1.0, fabs((double)x[i]));
            ENSURE(fabs((double)y[i] - want) <= bound, "%s %s(%.9g) = %.9g, exactly %.9g", k->level, kinds[_i],
                          (double)x[i], (double)y[i], want);
            ENSURE(bits_of(z[i]) == bits_of(y[i] * x[i]), "%s %s_mul", k->level, kinds[_i]);
        }
    }
    free(x), free(y), free(z);
}
END_TEST

START_TEST(unknown_kind_is_none)
{
    ck_assert_int_eq((int)cpu_unary_find("selu"), CPU_UNARY_COUNT);
}
END_TEST

/* exp over its whole range in units of the last place, denormal results in units of 2^-149. */
START_TEST(exp_is_within_two_ulp)
{
    float *x = aligned(N * 4), *y = aligned(N * 4);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++)
            x[i] = -104.0f + 192.7f * (float)(i + rng_float()) / N;
        FOR_LEVELS(k) {
            k->unary(CPU_EXP, x, N, y);
            for (int i = 0; i < N; i++) {
                double want = exp((double)x[i]), ulp = fmax(ldexp(1.0, ilogb(want) - 23), 0x1p-149);
                ENSURE(fabs((double)y[i] - want) <= 2.0 * ulp, "%s exp(%a) = %a, exactly %a", k->level, (double)x[i],
                              (double)y[i], want);
            }
        }
    }
    free(x), free(y);
}
END_TEST

START_TEST(extremes_are_right)
{
    static const float x[8] = { NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 200.0f, -200.0f, -0.0f };
    float y[8];
    FOR_LEVELS(k) {
        for (int kind = 0; kind < CPU_UNARY_COUNT; kind++) {
            k->unary((enum cpu_unary)kind, x, 8, y);
            ENSURE(y[0] != y[0], "%s %s(NaN) = %g", k->level, kinds[kind], (double)y[0]);
        }
        k->unary(CPU_EXP, x, 8, y);
        ENSURE_THAT(y[1] == INFINITY && y[2] == 0.0f && y[3] == INFINITY && y[4] == 0.0f && y[5] == INFINITY && y[6] == 0.0f && y[7] == 1.0f);
        k->unary(CPU_TANH, x, 8, y);
        ENSURE_THAT(y[1] == 1.0f && y[2] == -1.0f && y[3] == 1.0f && y[4] == -1.0f && bits_of(y[7]) == 0x80000000u);
        k->unary(CPU_SIGMOID, x, 8, y);
        ENSURE_THAT(y[1] == 1.0f && y[2] == 0.0f && y[3] == 1.0f && y[4] == 0.0f && y[7] == 0.5f);
        for (int i = 0; i < 3; i++) {
            k->unary(i == 0 ? CPU_SILU : i == 1 ? CPU_GELU_TANH : CPU_GELU_QUICK, x, 8, y);
            ENSURE_THAT(y[1] == INFINITY && y[3] == 1e30f && y[5] == 200.0f && fabsf(y[4]) < 1e-6f && fabsf(y[6]) < 1e-6f && y[7] == 0.0f);
        }
    }
}
END_TEST

/* ---- elementwise: formula, and the same bits at any place and length */

START_TEST(arithmetic_is_exact)
{
    float *a = values(3.0f), *b = values(2.0f), *y = aligned(N * 4);
    FOR_LEVELS(k) {
        k->add(a, b, N, y);
        for (int i = 0; i < N; i++)
            ENSURE_THAT(y[i] == a[i] + b[i]);
        k->mul(a, b, N, y);
        for (int i = 0; i < N; i++)
            ENSURE_THAT(y[i] == a[i] * b[i]);
        k->affine(a, 1.7f, -0.3f, N, y);
        for (int i = 0; i < N; i++)
            ck_assert_double_eq_tol((double)y[i], (double)a[i] * (double)1.7f + (double)-0.3f, 0x1p-23 * 7.0);
        k->softcap(a, 2.5f, N, y);
        for (int i = 0; i < N; i++)
            ck_assert_double_eq_tol((double)y[i], 2.5 * tanh((double)a[i] / 2.5), 0x1p-22 * 2.5);
        memcpy(y, a, N * 4);
        k->add(y, b, N, y); /* in place */
        for (int i = 0; i < N; i++)
            ENSURE_THAT(y[i] == a[i] + b[i]);
    }
    free(a), free(b), free(y);
}
END_TEST

START_TEST(bits_do_not_depend_on_the_place)
{
    float *x = values(12.0f), *whole = aligned(N * 4), *part = aligned(N * 4);
    FOR_LEVELS(k)
        for (int kind = 0; kind <= CPU_UNARY_COUNT; kind++) {
            if (kind == CPU_UNARY_COUNT)
                k->softcap(x, 30.0f, N, whole);
            else
                k->unary((enum cpu_unary)kind, x, N, whole);
            for (int i = 0; i < 40; i++) {
                int64_t at = rng_below(N), n = 1 + rng_below(N - at < 50 ? N - at : 50);
                memset(part, 0xa5, N * 4);
                if (kind == CPU_UNARY_COUNT)
                    k->softcap(x + at, 30.0f, n, part);
                else
                    k->unary((enum cpu_unary)kind, x + at, n, part);
                for (int64_t j = 0; j < n; j++)
                    ENSURE(same(part[j], whole[at + j]), "%s kind %d: element %d of %d", k->level, kind, (int)j, (int)n);
                ENSURE_THAT(n == N || bits_of(part[n]) == 0xa5a5a5a5u);
            }
        }
    free(x), free(whole), free(part);
}
END_TEST

/* ---- rows */

START_TEST(rms_norm_is_right)
{
    float *x = values(3.0f), *w = values(1.0f), *y = aligned(N * 4);
    static const int lengths[] = { 1, 3, 16, 31, 64, 576, 1237 };
    FOR_LEVELS(k)
        for (int i = 0; i < 7; i++)
            for (int with = 0; with < 2; with++) {
                int K = lengths[i];
                double sum = 0.0;
                for (int j = 0; j < K; j++)
                    sum += (double)x[j] * (double)x[j];
                k->rms_norm(x, with ? w : NULL, K, 1e-5f, y);
                for (int j = 0; j < K; j++) {
                    double want = (double)x[j] / sqrt(sum / K + (double)1e-5f) * (with ? (double)w[j] : 1.0);
                    ENSURE(fabs((double)y[j] - want) <= (K / 2 + 4) * 0x1p-24 * fabs(want), "%s K=%d [%d]", k->level, K, j);
                }
            }
    free(x), free(w), free(y);
}
END_TEST

START_TEST(softmax_is_right)
{
    float *x = values(8.0f), *y = aligned(N * 4), sink = 3.0f;
    static const int lengths[] = { 1, 3, 16, 31, 64, 576, 1237 };
    x[2] = -INFINITY;
    FOR_LEVELS(k)
        for (int i = 0; i < 7; i++)
            for (int with = 0; with < 2; with++) {
                int K = lengths[i];
                double sum = with ? exp((double)sink) : 0.0;
                for (int j = 0; j < K; j++)
                    sum += exp(0.5 * (double)x[j]);
                k->softmax(x, K, 0.5f, with ? &sink : NULL, y);
                for (int j = 0; j < K; j++) {
                    double want = exp(0.5 * (double)x[j]) / sum;
                    ENSURE(fabs((double)y[j] - want) <= (K + 8) * 0x1p-24 * want, "%s K=%d [%d]", k->level, K, j);
                }
            }
    free(x), free(y);
}
END_TEST

START_TEST(softmax_of_nothing_and_of_nan)
{
    float x[20], y[20];
    FOR_LEVELS(k) {
        for (int i = 0; i < 20; i++)
            x[i] = -INFINITY;
        k->softmax(x, 20, 1.0f, NULL, y);
        for (int i = 0; i < 20; i++)
            ENSURE_THAT(y[i] == 0.0f);
        x[7] = NAN;
        k->softmax(x, 20, 1.0f, NULL, y);
        for (int i = 0; i < 20; i++)
            ENSURE(y[i] != y[i], "%s: [%d] = %g", k->level, i, (double)y[i]);
    }
}
END_TEST

/* ---- conversions: all halves, and floats around every half */

START_TEST(halves_are_exact)
{
    uint16_t *h = aligned(65536 * 2), *back = aligned(65536 * 2);
    float *x = aligned(65536 * 4), *first = aligned(65536 * 4);
    for (int i = 0; i < 65536; i++)
        h[i] = (uint16_t)i;
    level_at(0)->f16_to_f32(h, 65536, first);
    FOR_LEVELS(k) {
        k->f16_to_f32(h, 65536, x);
        k->f32_to_f16(x, 65536, back);
        for (int i = 0; i < 65536; i++) {
            int exp = i >> 10 & 31, man = i & 1023;
            double want = (i & 0x8000 ? -1.0 : 1.0) * (exp == 0 ? man * 0x1p-24 : ldexp(1024 + man, exp - 25));
            ENSURE(exp == 31 || (double)x[i] == want, "%s: half %04x is %a", k->level, i, (double)x[i]);
            ENSURE_THAT(same(x[i], first[i]) && (man != 0 || exp != 31 || isinf(x[i])));
            ENSURE(back[i] == i || x[i] != x[i], "%s: half %04x returns as %04x", k->level, i, back[i]);
        }
    }
    free(h), free(back), free(x), free(first);
}
END_TEST

START_TEST(rounding_is_the_same_on_all_levels)
{
    float *x = aligned(N * 4);
    uint16_t *want = aligned(N * 2), *got = aligned(N * 2);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < N; i++) {
            uint32_t bits = rng();
            bits = i % 4 == 0 ? (bits & 0xffffe000u) | 0x1000u : i % 4 == 1 ? (bits & 0xffff0000u) | 0x8000u : bits; /* ties */
            if (i % 2 == 0) /* in the range of halves, denormal ones too */
                bits = (bits & 0x807fffffu) | (0x64u + (bits >> 24) % 44u) << 23;
            memcpy(x + i, &bits, 4);
        }
        FOR_LEVELS(k) {
            level_at(0)->f32_to_f16(x, N, want);
            k->f32_to_f16(x, N, got);
            for (int i = 0; i < N; i++)
                ENSURE(got[i] == want[i] || x[i] != x[i], "%s: half of %a is %04x, not %04x", k->level, (double)x[i], got[i], want[i]);
            level_at(0)->f32_to_bf16(x, N, want);
            k->f32_to_bf16(x, N, got);
            ck_assert_mem_eq(got, want, N * 2);
        }
    }
    free(x), free(want), free(got);
}
END_TEST

START_TEST(bfloats_are_upper_halves)
{
    static const float x[6] = { 1.0f, 0x1.01p0f, 0x1.03p0f, INFINITY, 0x1.fffffep127f, NAN };
    static const uint16_t want[6] = { 0x3f80, 0x3f80, 0x3f82, 0x7f80, 0x7f80, 0x7fc0 };
    uint16_t y[6];
    float z[6];
    FOR_LEVELS(k) {
        k->f32_to_bf16(x, 6, y);
        ck_assert_mem_eq(y, want, sizeof y);
        k->bf16_to_f32(y, 6, z);
        ENSURE_THAT(z[0] == 1.0f && z[2] == 0x1.04p0f && z[3] == INFINITY && z[5] != z[5]);
    }
}
END_TEST

/* ---- rope */

START_TEST(rope_turns_pairs)
{
    enum { H = 3, D = 80, R = 64 };
    float cos_[R / 2], sin_[R / 2], x[H * D], y[H * D];
    double freq[R / 2];
    struct cpu_rope r = { .n_rot = R, .interleaved = _i != 0, .base = 10000.0f, .scale = 1.0f, .attn_factor = 1.0f,
                          .beta_fast = 32.0f, .beta_slow = 1.0f };
    for (int i = 0; i < H * D; i++)
        x[i] = rng_float();
    cpu_rope_freqs(&r, freq);
    cpu_rope_table(&r, freq, 1234, cos_, sin_);
    FOR_LEVELS(k) {
        memcpy(y, x, sizeof y);
        k->rope(&r, cos_, sin_, H, D, y);
        for (int h = 0; h < H; h++) {
            for (int j = 0; j < R / 2; j++) {
                int a = h * D + (r.interleaved ? 2 * j : j), b = r.interleaved ? a + 1 : a + R / 2;
                double angle = 1234.0 * pow(10000.0, -2.0 * j / R), u = 8 * 0x1p-24 * hypot((double)x[a], (double)x[b]);
                ck_assert_double_eq_tol((double)y[a], (double)x[a] * cos(angle) - (double)x[b] * sin(angle), u);
                ck_assert_double_eq_tol((double)y[b], (double)x[a] * sin(angle) + (double)x[b] * cos(angle), u);
            }
            for (int d = R; d < D; d++)
                ENSURE_THAT(bits_of(y[h * D + d]) == bits_of(x[h * D + d]));
        }
    }
}
END_TEST

START_TEST(rope_scalings)
{
    double plain[32], scaled[32], yarn[32], divided[32];
    float factors[32];
    struct cpu_rope r = { .n_rot = 64, .base = 10000.0f, .scale = 1.0f, .attn_factor = 1.0f, .beta_fast = 32.0f, .beta_slow = 1.0f,
                          .original_context = 4096 };
    cpu_rope_freqs(&r, plain);
    r.scale = 0.25f;
    cpu_rope_freqs(&r, scaled);
    r.ext_factor = 1.0f;
    cpu_rope_freqs(&r, yarn);
    for (int j = 0; j < 32; j++) {
        factors[j] = 1.0f + (float)j;
        ck_assert_double_eq_tol(scaled[j], plain[j] * 0.25, 1e-12);
        ENSURE_THAT(yarn[j] >= scaled[j] * 0.999999 && yarn[j] <= plain[j] * 1.000001);
    }
    ck_assert_double_eq_tol(yarn[0], plain[0], 1e-12); /* fast pairs keep their angle, slow ones are scaled */
    ck_assert_double_eq_tol(yarn[31], scaled[31], 1e-12);
    r = (struct cpu_rope){ .n_rot = 64, .base = 10000.0f, .scale = 1.0f, .attn_factor = 1.0f, .factors = factors };
    cpu_rope_freqs(&r, divided);
    for (int j = 0; j < 32; j++)
        ck_assert_double_eq_tol(divided[j], plain[j] / (1.0 + j), 1e-12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_rows");
    TCase *tc = tcase_create("rows");
    seed_tests("kernel_rows");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, unary_is_within_its_bound, 0, CPU_UNARY_COUNT);
    tcase_add_test(tc, unknown_kind_is_none);
    tcase_add_test(tc, exp_is_within_two_ulp);
    tcase_add_test(tc, extremes_are_right);
    tcase_add_test(tc, arithmetic_is_exact);
    tcase_add_test(tc, bits_do_not_depend_on_the_place);
    tcase_add_test(tc, rms_norm_is_right);
    tcase_add_test(tc, softmax_is_right);
    tcase_add_test(tc, softmax_of_nothing_and_of_nan);
    tcase_add_test(tc, halves_are_exact);
    tcase_add_test(tc, rounding_is_the_same_on_all_levels);
    tcase_add_test(tc, bfloats_are_upper_halves);
    tcase_add_loop_test(tc, rope_turns_pairs, 0, 2);
    tcase_add_test(tc, rope_scalings);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
