/* test_reference.c - the reference ops against numbers worked out by hand or known from elsewhere (Philox), on odd shapes,
 * with NaN, infinities and ties. No random inputs: whoever doubts a number can redo it. */
#include <check.h>
#include <math.h>

#include <tenon/reference.h>

#include "suite.h"

#define LEN(a) ((int64_t)(sizeof(a) / sizeof((a)[0])))
#define FLOATS(...) ((const float[]){ __VA_ARGS__ })
#define INTS(...) ((const int32_t[]){ __VA_ARGS__ })
#define SHAPE(...) (&(const struct tenon_ref_shape){ (int64_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), { __VA_ARGS__ } })
#define SCALAR (&(const struct tenon_ref_shape){ 0, { 0 } })

/* Every element of y is the wanted one: NaN for NaN, infinities exactly, others within tol max(1, |want|). */
static void check_near(const float *y, int64_t n, const float *want, double tol, int line)
{
    for (int64_t i = 0; i < n; i++) {
        double a = y[i], b = want[i];
        int same = isnan(b) ? isnan(a) : isinf(b) ? a == b : fabs(a - b) <= tol * fmax(1.0, fabs(b));
        ck_assert_msg(same, "line %d: y[%d] is %.9g, not %.9g", line, (int)i, a, b);
    }
}
static void check_ints(const int32_t *y, int64_t n, const int32_t *want, int line)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(y[i] == want[i], "line %d: y[%d] is %d, not %d", line, (int)i, y[i], want[i]);
}
/* y is exactly (or nearly) the list, which must be as long as y. */
#define IS(y, ...) NEAR(y, 0.0, __VA_ARGS__)
#define NEAR(y, tol, ...)                                                   \
    do {                                                                    \
        const float want_[] = { __VA_ARGS__ };                              \
        ck_assert_int_eq(LEN(want_), LEN(y));                               \
        check_near(y, LEN(y), want_, tol, __LINE__);                        \
    } while (0)
#define ARE(y, ...)                                                         \
    do {                                                                    \
        const int32_t want_[] = { __VA_ARGS__ };                            \
        ck_assert_int_eq(LEN(want_), LEN(y));                               \
        check_ints(y, LEN(y), want_, __LINE__);                             \
    } while (0)

/* ---- products ----------------------------------------------------------------------------------------------- */

START_TEST(matmul)
{
    const float x[] = { 1, 2, 3, -1, 0, 1 };                 /* [2,3] */
    const float w[] = { 1, 0, 0, 0, 1, 0, 1, 1, 1, 2, 0, -2 }; /* [4,3] */
    float y[8], one[1];
    tenon_ref_matmul(2, 4, 3, x, w, NULL, y);
    IS(y, 1, 2, 6, -4, -1, 0, 0, -4);
    tenon_ref_matmul(2, 4, 3, x, w, FLOATS(10, 20, 30, 40), y);
    IS(y, 11, 22, 36, 36, 9, 20, 30, 36);
    tenon_ref_matmul(1, 1, 3, FLOATS(0x1p30f, 1, -0x1p30f), FLOATS(1, 1, 1), NULL, one);
    IS(one, 1); /* f32 sums would give 0 */
    tenon_ref_matmul(1, 1, 0, x, w, FLOATS(7), one);
    IS(one, 7);
    tenon_ref_matmul(1, 1, 2, FLOATS(INFINITY, 1), FLOATS(0, 1), NULL, one);
    IS(one, NAN);
}
END_TEST

START_TEST(grouped_matmul)
{
    const float w[] = { 1, 0, 0, 1, 2, 0, 0, 2, 3, 0, 0, 3 }; /* [3,2,2]: e + 1 times identity */
    const int32_t expert[] = { 2, 0, 1, 1 };                /* [2,2] */
    struct tenon_ref_grouped g = { 2, 2, 1, 3, 2, 2 };
    float y[8];
    tenon_ref_grouped_matmul(&g, FLOATS(1, 2, 10, 20), w, expert, NULL, y); /* x [2,1,2] */
    IS(y, 3, 6, 1, 2, 20, 40, 20, 40);
    g.u = 2;
    tenon_ref_grouped_matmul(&g, FLOATS(1, 2, 3, 4, 5, 6, 7, 8), w, expert, FLOATS(.5f, 0, 0, .5f, 0, 0), y); /* x [2,2,2] */
    IS(y, 3, 6, 3.5f, 4, 10, 12.5f, 14, 16.5f);
}
END_TEST

START_TEST(batch_matmul)
{
    float y[2];
    tenon_ref_batch_matmul(2, 1, 1, 2, FLOATS(1, 2, 3, 4), FLOATS(5, 6, 7, 8), y);
    IS(y, 17, 53);
}
END_TEST

/* ---- elementwise -------------------------------------------------------------------------------------------- */

START_TEST(broadcasting)
{
    const float a[] = { 1, 2, 3, 4, 5, 6 };
    float y[6];
    tenon_ref_add(SHAPE(2, 3), a, SHAPE(3), FLOATS(10, 20, 30), y);
    IS(y, 11, 22, 33, 14, 25, 36);
    tenon_ref_sub(SHAPE(2, 3), a, SHAPE(2, 1), FLOATS(1, 2), y);
    IS(y, 0, 1, 2, 2, 3, 4);
    tenon_ref_mul(SHAPE(2, 3), a, SCALAR, FLOATS(2), y);
    IS(y, 2, 4, 6, 8, 10, 12);
    tenon_ref_div(SHAPE(3, 1, 2), a, SHAPE(3, 1, 1), FLOATS(1, 2, 0), y);
    IS(y, 1, 2, 1.5f, 2, INFINITY, INFINITY);
    tenon_ref_maximum(SHAPE(2, 3), a, SHAPE(2, 3), FLOATS(6, 5, 4, 3, 2, 1), y);
    IS(y, 6, 5, 4, 4, 5, 6);
    tenon_ref_add(SHAPE(2, 0, 3), a, SHAPE(3), a, y); /* empty: y is untouched */
    IS(y, 6, 5, 4, 4, 5, 6);
}
END_TEST

START_TEST(bad_values)
{
    const float a[] = { NAN, 1, INFINITY, -INFINITY }, b[] = { 1, NAN, -INFINITY, -INFINITY };
    float y[4];
    tenon_ref_maximum(SHAPE(4), a, SHAPE(4), b, y);
    IS(y, NAN, NAN, INFINITY, -INFINITY);
    tenon_ref_add(SHAPE(4), a, SHAPE(4), b, y);
    IS(y, NAN, NAN, NAN, -INFINITY);
    tenon_ref_clamp(-2, 2, 4, a, y);
    IS(y, NAN, 1, 2, -2);
    tenon_ref_softcap(30, 4, a, y);
    NEAR(y, 1e-6, NAN, 0.999630f, 30, -30); /* 30 tanh(1/30) */
    tenon_ref_affine(2, -1, 4, a, y);
    IS(y, NAN, 1, INFINITY, -INFINITY);
}
END_TEST

START_TEST(compare)
{
    const float a[] = { 1, 2, 3, NAN };
    int32_t y[4], z[2];
    static const struct {
        const char *kind;
        int32_t want[4];
    } rows[] = { { "eq", { 0, 1, 0, 0 } }, { "ne", { 1, 0, 1, 1 } }, { "lt", { 1, 0, 0, 0 } },
                 { "le", { 1, 1, 0, 0 } }, { "gt", { 0, 0, 1, 0 } }, { "ge", { 0, 1, 1, 0 } } };
    for (int64_t i = 0; i < LEN(rows); i++) {
        ck_assert_int_eq(tenon_ref_compare(rows[i].kind, SHAPE(4), a, SHAPE(1), FLOATS(2), y), TENON_OK);
        check_ints(y, 4, rows[i].want, __LINE__);
    }
    ck_assert_int_eq(tenon_ref_compare_i32("lt", SHAPE(2), INTS(2147483646, -5), SCALAR, INTS(2147483647), z), TENON_OK);
    ARE(z, 1, 1); /* as f32 the first two would be equal */
    ck_assert_int_eq(tenon_ref_compare("less", SHAPE(4), a, SHAPE(4), a, y), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(tenon_ref_compare_i32("", SHAPE(2), z, SHAPE(2), z, z), TENON_E_INVALID_ARGUMENT);
}
END_TEST

/* Values at -1 and 2, from tables of exp, erf and tanh; and the limits at -inf and inf. */
START_TEST(unary)
{
    static const struct {
        const char *kind;
        float at_minus_1, at_2, at_minus_inf, at_inf;
    } rows[] = {
        { "neg", 1, -2, INFINITY, -INFINITY },
        { "abs", 1, 2, INFINITY, INFINITY },
        { "sqrt", NAN, 1.41421356f, NAN, INFINITY },
        { "rsqrt", NAN, 0.70710678f, NAN, 0 },
        { "exp", 0.36787944f, 7.38905610f, 0, INFINITY },
        { "log", NAN, 0.69314718f, NAN, INFINITY },
        { "sin", -0.84147098f, 0.90929743f, NAN, NAN },
        { "cos", 0.54030231f, -0.41614684f, NAN, NAN },
        { "tanh", -0.76159416f, 0.96402758f, -1, 1 },
        { "sigmoid", 0.26894142f, 0.88079708f, 0, 1 },
        { "relu", 0, 2, 0, INFINITY },
        { "relu2", 0, 4, 0, INFINITY },
        { "silu", -0.26894142f, 1.76159416f, 0, INFINITY },
        { "gelu", -0.15865525f, 1.95449974f, 0, INFINITY },
        { "gelu_tanh", -0.15880801f, 1.95459769f, 0, INFINITY },
        { "gelu_quick", -0.15420423f, 1.93565862f, 0, INFINITY },
        { "softplus", 0.31326169f, 2.12692801f, 0, INFINITY },
    };
    for (int64_t i = 0; i < LEN(rows); i++) {
        float y[5];
        ck_assert_int_eq(tenon_ref_unary(rows[i].kind, 5, FLOATS(-1, 2, -INFINITY, INFINITY, NAN), y), TENON_OK);
        NEAR(y, 3e-7, rows[i].at_minus_1, rows[i].at_2, rows[i].at_minus_inf, rows[i].at_inf, NAN);
    }
    float same[] = { -3 };
    ck_assert_int_eq(tenon_ref_unary("swish", 1, same, same), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(tenon_ref_unary("relu2", 1, same, same), TENON_OK);
    IS(same, 0);
}
END_TEST

/* Far out the plain formulas lose all digits or overflow; the values remain known. */
START_TEST(unary_far_out)
{
    float y[2];
    (void)tenon_ref_unary("gelu", 2, FLOATS(-10, 100), y);
    ck_assert_float_eq_tol(y[0] * 1e22f, -0.76198530f, 1e-6f); /* -10 Phi(-10) */
    ck_assert_float_eq(y[1], 100);
    (void)tenon_ref_unary("softplus", 2, FLOATS(-50, 1000), y);
    ck_assert_float_eq_tol(y[0] * 1e22f, 1.92874985f, 1e-6f); /* e^-50 */
    ck_assert_float_eq(y[1], 1000);
    (void)tenon_ref_unary("silu", 2, FLOATS(-1000, -3e38f), y);
    IS(y, 0, 0);
}
END_TEST

/* ---- over rows ---------------------------------------------------------------------------------------------- */

START_TEST(reduce)
{
    const float x[] = { 3, -1, 4, 1, NAN, 0, -INFINITY, 2, -INFINITY }; /* [3,3] */
    float y[3], empty[1];
    ck_assert_int_eq(tenon_ref_reduce("sum", 3, 3, x, y), TENON_OK);
    IS(y, 6, NAN, -INFINITY);
    ck_assert_int_eq(tenon_ref_reduce("mean", 3, 3, x, y), TENON_OK);
    IS(y, 2, NAN, -INFINITY);
    ck_assert_int_eq(tenon_ref_reduce("max", 3, 3, x, y), TENON_OK);
    IS(y, 4, NAN, 2);
    ck_assert_int_eq(tenon_ref_reduce("min", 3, 3, x, y), TENON_OK);
    IS(y, -1, NAN, -INFINITY);
    ck_assert_int_eq(tenon_ref_reduce("sumsq", 3, 3, x, y), TENON_OK);
    IS(y, 26, NAN, INFINITY);
    ck_assert_int_eq(tenon_ref_reduce("max", 1, 0, x, empty), TENON_OK);
    IS(empty, -INFINITY);
    ck_assert_int_eq(tenon_ref_reduce("median", 3, 3, x, y), TENON_E_INVALID_ARGUMENT);
}
END_TEST

START_TEST(order)
{
    const float x[] = { 1, 5, 5, NAN, 2,
                        NAN, -INFINITY, NAN, -INFINITY, NAN,
                        -INFINITY, NAN, -3, INFINITY, INFINITY }; /* [3,5] */
    int32_t first[3], index[9];
    float value[9];
    tenon_ref_argmax(3, 5, x, first);
    ARE(first, 1, 0, 3);
    tenon_ref_top_k(3, 5, 3, x, value, index);
    ARE(index, 1, 2, 4, 0, 1, 2, 3, 4, 2);
    IS(value, 5, 5, 2, NAN, -INFINITY, NAN, INFINITY, INFINITY, -3);
}
END_TEST

START_TEST(top_k_of_all_is_a_sort)
{
    int32_t index[5];
    float value[5];
    tenon_ref_top_k(1, 5, 5, FLOATS(0, -1, 0, 7, -1), value, index);
    ARE(index, 3, 0, 2, 1, 4);
    IS(value, 7, 0, 0, -1, -1);
}
END_TEST

START_TEST(softmax)
{
    const float ln2 = 0.69314718f;
    float y[6], z[3];
    tenon_ref_softmax(1, 2, 3, FLOATS(0, ln2, 0, 1000, 1000 + ln2, 1000), 0, NULL, y);
    NEAR(y, 5e-5, .25f, .5f, .25f, .25f, .5f, .25f); /* 1000 + ln 2 is itself rounded */
    tenon_ref_softmax(2, 1, 3, FLOATS(0, ln2, -INFINITY), 0, NULL, z);
    NEAR(z, 1e-7, .2f, .8f, 0);
    tenon_ref_softmax(1, 2, 3, FLOATS(-INFINITY, -INFINITY, -INFINITY, 0, NAN, 0), 0, NULL, y);
    IS(y, 0, 0, 0, NAN, NAN, NAN);
    tenon_ref_softmax(1, 1, 3, FLOATS(NAN, -INFINITY, -INFINITY), 0, NULL, z);
    IS(z, NAN, NAN, NAN);
}
END_TEST

START_TEST(softmax_with_sinks)
{
    const float ln2 = 0.69314718f;
    float y[8];
    const float x[] = { 0, 0, 0, 0, -INFINITY, -INFINITY, 0, 0 }; /* [2,2,2]: rows of heads 0 1 0 1 */
    tenon_ref_softmax(1, 4, 2, x, 2, FLOATS(ln2, 500), y);
    NEAR(y, 1e-7, .25f, .25f, 0, 0, 0, 0, 0, 0);
    tenon_ref_softmax(.5, 4, 2, x, 2, FLOATS(-INFINITY, 0), y); /* the sink is not scaled */
    NEAR(y, 1e-7, .5f, .5f, 1 / 3.f, 1 / 3.f, 0, 0, 1 / 3.f, 1 / 3.f);
}
END_TEST

START_TEST(cumsum)
{
    float y[6];
    tenon_ref_cumsum(3, 2, FLOATS(1, 0x1p30f, 2, 1, 3, -0x1p30f), y);
    IS(y, 1, 0x1p30f, 3, 0x1p30f, 6, 1); /* the sum is not rounded on its way */
}
END_TEST

/* ---- norms -------------------------------------------------------------------------------------------------- */

START_TEST(norms)
{
    float y[4], x[] = { 3, -4, 0, 0, 0, 0 };
    tenon_ref_rms_norm(0, 1, 4, FLOATS(1, 1, -1, 5), FLOATS(1, 2, 3, 4), y); /* mean square 7 */
    NEAR(y, 1e-7, .37796447f, .75592895f, -1.13389342f, 7.55928946f);
    tenon_ref_rms_norm(9, 1, 4, FLOATS(4, 4, -4, 4), NULL, y); /* sqrt(16 + 9) */
    NEAR(y, 1e-7, .8f, .8f, -.8f, .8f);
    tenon_ref_layer_norm(0, 1, 4, FLOATS(1, 3, 5, 7), FLOATS(1, 1, 1, 2), FLOATS(0, 0, 0, 1), y); /* mean 4, var 5 */
    NEAR(y, 1e-7, -1.34164079f, -.44721360f, .44721360f, 3.68328157f);
    tenon_ref_layer_norm(1e-5, 1, 4, FLOATS(1e8f, 1e8f, 1e8f, 1e8f), NULL, NULL, y);
    IS(y, 0, 0, 0, 0);
    tenon_ref_l2_norm(1e-6, 2, 3, x, x); /* in place; the second row is zeros */
    NEAR(x, 1e-7, .6f, -.8f, 0, 0, 0, 0);
    tenon_ref_l2_norm(2, 2, 2, FLOATS(1, 0, 3, 4), y);
    NEAR(y, 1e-7, .5f, 0, .6f, .8f);
    tenon_ref_group_norm(2, 0, 1, 4, FLOATS(2, 2, 10, -10), FLOATS(1, 2, 3, 4), y);
    IS(y, 1, 2, 3, -4);
}
END_TEST

START_TEST(norms_of_bad_rows)
{
    float y[6];
    tenon_ref_rms_norm(1e-6, 2, 3, FLOATS(NAN, 1, 2, 0, 0, 0), NULL, y);
    IS(y, NAN, NAN, NAN, 0, 0, 0);
    tenon_ref_rms_norm(1e-6, 2, 3, FLOATS(INFINITY, 1, -1, 3e38f, 3e38f, 3e38f), NULL, y);
    NEAR(y, 1e-7, NAN, 0, 0, 1, 1, 1); /* squares overflow f32, not double */
}
END_TEST

/* ---- positions ---------------------------------------------------------------------------------------------- */

START_TEST(rope_layouts)
{
    const float c1 = 0.54030231f, s1 = 0.84147098f, c2 = 0.99995000f, s2 = 0.00999983f; /* of 1 and 0.01 */
    struct tenon_ref_rope r = { 4, 1e4, 1, 1, 0, 1, 32, 1, 0 };
    float y[10];
    tenon_ref_rope(&r, 2, 1, 5, FLOATS(1, 2, 3, 4, 5, 1, 0, 1, 0, 9), INTS(0, 1), NULL, y);
    NEAR(y, 1e-7, 1, 2, 3, 4, 5, c1, s1, c2, s2, 9);
    r.interleaved = 0;
    r.attn_factor = 2;
    tenon_ref_rope(&r, 1, 2, 5, FLOATS(1, 0, 0, 1, 7, 0, 1, 1, 0, 8), INTS(1), NULL, y);
    NEAR(y, 2e-7, 2 * c1, -2 * s2, 2 * s1, 2 * c2, 7, -2 * s1, 2 * c2, 2 * c1, 2 * s2, 8);
}
END_TEST

START_TEST(rope_scales)
{
    struct tenon_ref_rope r = { 4, 1e4, 1, .25, 0, 1, 32, 1, 0 };
    float y[4];
    tenon_ref_rope(&r, 1, 1, 4, FLOATS(1, 0, 1, 0), INTS(4), FLOATS(1, .01f), y); /* 4/4 and 4/4 .01/.01 radians */
    NEAR(y, 1e-7, 0.54030231f, 0.84147098f, 0.54030231f, 0.84147098f);
    r.scale = 1;
    tenon_ref_rope(&r, 1, 1, 4, FLOATS(1, 0, 0, 0), INTS(1000000), NULL, y); /* angles stay exact far out */
    NEAR(y, 1e-7, 0.93675213f, -0.34999350f, 0, 0);
}
END_TEST

/* base e^8, n_rot 16: pair j turns by e^-j. With an original context of 2 pi e^5, pair 5 turns once within it and pair 1
 * e^4 times; the ramp runs over pairs 1 to 5 (a hair inside, so that floor and ceil are sure). */
START_TEST(rope_yarn)
{
    struct tenon_ref_rope r = { 16, exp(8), 1, .5, 1, 1, exp(4) * .99, 1.01, 933 };
    float y[16], x[16] = { 0 };
    for (int j = 0; j < 8; j++)
        x[2 * j] = 1;
    ck_assert_float_eq_tol(2 * M_PI * exp(5), 932.52, .1);
    tenon_ref_rope(&r, 1, 1, 16, x, INTS(1), NULL, y);
    for (int j = 0; j < 8; j++) {
        double kept = j <= 1 ? 1 : j >= 5 ? 0 : (5 - j) / 4.0, angle = exp(-j) * (kept + .5 * (1 - kept));
        ck_assert_float_eq_tol(y[2 * j], (float)cos(angle), 1e-6f);
        ck_assert_float_eq_tol(y[2 * j + 1], (float)sin(angle), 1e-6f);
    }
}
END_TEST

START_TEST(attn_mask)
{
    const float no = -INFINITY;
    const int32_t position[] = { 1, 2, 0 }, seq[] = { 0, 0, 1 }, context_len[] = { 3, 1 };
    float y[12]; /* [3,4] */
    tenon_ref_attn_mask(0, 1, 3, 4, position, seq, context_len, y);
    IS(y, 0, 0, no, no, 0, 0, 0, no, 0, no, no, no);
    tenon_ref_attn_mask(2, 1, 3, 4, position, seq, context_len, y);
    IS(y, 0, 0, no, no, no, 0, 0, no, 0, no, no, no);
    tenon_ref_attn_mask(0, 0, 3, 4, position, seq, context_len, y);
    IS(y, 0, 0, 0, no, 0, 0, 0, no, 0, no, no, no);
    tenon_ref_attn_mask(1, 0, 3, 4, position, seq, context_len, y); /* a window has two sides */
    IS(y, no, 0, no, no, no, no, 0, no, 0, no, no, no);
    tenon_ref_attn_mask(2, 0, 3, 4, position, seq, context_len, y);
    IS(y, 0, 0, 0, no, no, 0, 0, no, 0, no, no, no);
}
END_TEST

/* ---- data movement ------------------------------------------------------------------------------------------ */

START_TEST(by_index)
{
    const int32_t index[] = { 2, -1, 0, 3 };
    float y[8], picked[4], sum[6];
    int32_t z[8];
    tenon_ref_gather(.5, 3, 2, FLOATS(1, 2, 3, 4, 5, 6), 4, index, y);
    IS(y, 2.5f, 3, 0, 0, .5f, 1, 0, 0);
    tenon_ref_gather_i32(3, 2, INTS(1, 2, 3, 4, 5, 6), 4, index, z);
    ARE(z, 5, 6, 0, 0, 1, 2, 0, 0);
    tenon_ref_take(2, 3, 2, FLOATS(1, 2, 3, 4, NAN, 6), INTS(2, 0, 1, 3), picked);
    IS(picked, 3, 1, NAN, 0);
    tenon_ref_scatter_add(3, 2, FLOATS(0, 0, 1, 1, 0, 0), 4, INTS(1, -1, 1, 3), FLOATS(1, 2, 9, 9, 3, 4, 9, 9), sum);
    IS(sum, 0, 0, 5, 7, 0, 0);
    tenon_ref_select(4, INTS(0, 1, -1, 0), FLOATS(1, 2, NAN, 4), FLOATS(5, NAN, 7, 8), picked);
    IS(picked, 5, 2, NAN, 8);
}
END_TEST

START_TEST(by_shape)
{
    const int32_t x[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }; /* [2,3,2] */
    int32_t y[12], part[4], wide[6], joined[9];
    tenon_ref_transpose(((const int64_t[]){ 1, 2, 0 }), SHAPE(2, 3, 2), x, y); /* [3,2,2] */
    ARE(y, 0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11);
    tenon_ref_transpose(((const int64_t[]){ 0, 1 }), SHAPE(4, 3), x, y);
    ARE(y, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    tenon_ref_slice(1, 1, 1, SHAPE(2, 3, 2), x, part);
    ARE(part, 2, 3, 8, 9);
    tenon_ref_slice(-1, 0, 1, SHAPE(4, 3), x, part);
    ARE(part, 0, 3, 6, 9);
    tenon_ref_broadcast(SHAPE(2, 1), INTS(7, 8), SHAPE(2, 3), wide);
    ARE(wide, 7, 7, 7, 8, 8, 8);
    tenon_ref_broadcast(SHAPE(2), INTS(7, 8), SHAPE(3, 2), wide);
    ARE(wide, 7, 8, 7, 8, 7, 8);
    tenon_ref_concat(-1, SHAPE(3, 1), INTS(1, 2, 3), SHAPE(3, 2), INTS(4, 5, 6, 7, 8, 9), joined);
    ARE(joined, 1, 4, 5, 2, 6, 7, 3, 8, 9);
    tenon_ref_concat(0, SHAPE(1, 3), INTS(1, 2, 3), SHAPE(2, 3), INTS(4, 5, 6, 7, 8, 9), joined);
    ARE(joined, 1, 2, 3, 4, 5, 6, 7, 8, 9);
}
END_TEST

START_TEST(from_nothing)
{
    const uint32_t mask[] = { 0x80000001u, 2, 0, 0xffffffffu }; /* [2,2] */
    int32_t y[68], six[6];
    float two[2];
    tenon_ref_bits(2, 2, 34, mask, y);
    for (int i = 0; i < 34; i++) {
        ck_assert_int_eq(y[i], i == 0 || i == 31 || i == 33);
        ck_assert_int_eq(y[34 + i], i >= 32);
    }
    tenon_ref_iota(2, 3, six);
    ARE(six, 0, 1, 2, 0, 1, 2);
    tenon_ref_fill(-INFINITY, 2, two);
    IS(two, -INFINITY, -INFINITY);
}
END_TEST

/* ---- states ------------------------------------------------------------------------------------------------- */

START_TEST(kv)
{
    float k[8] = { 0 }, v[4] = { 0 };
    struct tenon_ref_kv kv = { 2, 2, 1, 2, 1, 1, k, v };
    float k_out[12], v_out[6];
    tenon_ref_kv_store(&kv, 4, FLOATS(1, 2, 3, 4, 5, 6, 7, 8), FLOATS(10, 20, 30, 40), INTS(3, -1, 0, 4));
    IS(k, 5, 6, 0, 0, 0, 0, 1, 2);
    IS(v, 30, 0, 0, 10);
    tenon_ref_kv_load(&kv, 1, 3, INTS(1, -1, 0), k_out, v_out);
    IS(k_out, 0, 0, 1, 2, 0, 0, 0, 0, 5, 6, 0, 0);
    IS(v_out, 0, 10, 0, 0, 30, 0);
}
END_TEST

START_TEST(kv_latent)
{
    float k[2] = { 0 }, k_out[2];
    struct tenon_ref_kv kv = { 1, 2, 1, 1, 0, 0, k, NULL };
    tenon_ref_kv_store(&kv, 2, FLOATS(1, 2), NULL, INTS(1, 1));
    IS(k, 0, 2);
    tenon_ref_kv_load(&kv, 1, 1, INTS(0), k_out, NULL);
    IS(k_out, 0, 2);
}
END_TEST

START_TEST(slots)
{
    float state[] = { 1, 2, 3, 4, 5, 6 }, y[4]; /* [3,2] */
    tenon_ref_slot_load(2, state, 2, INTS(2, 0), y);
    IS(y, 5, 6, 1, 2);
    tenon_ref_slot_store(2, state, 1, INTS(1), FLOATS(8, 9));
    IS(state, 1, 2, 8, 9, 5, 6);
}
END_TEST

/* ---- recurrences -------------------------------------------------------------------------------------------- */

/* Two sequences, of 1 and of 3 tokens, in slots 2 and 0; w (1, 10, 100) makes each sum readable as digits. */
START_TEST(conv_scan)
{
    const struct tenon_ref_seqs q = { 2, INTS(2, 0), INTS(0, 1, 4) };
    float state[] = { 8, 9, -1, -1, 6, 7 }, y[4]; /* [3,2,1] */
    tenon_ref_conv_scan(&q, 1, 3, FLOATS(1, 2, 3, 4), FLOATS(1, 10, 100), FLOATS(.5f), state, y);
    IS(y, 176.5f, 298.5f, 329.5f, 432.5f);
    IS(state, 3, 4, -1, -1, 7, 1);
}
END_TEST

START_TEST(conv_scan_of_one_tap)
{
    const struct tenon_ref_seqs q = { 1, INTS(0), INTS(0, 2) };
    float state[1] = { 5 }, y[4]; /* K = 1 keeps nothing */
    tenon_ref_conv_scan(&q, 2, 1, FLOATS(1, 2, 3, 4), FLOATS(2, 3), NULL, state, y);
    IS(y, 2, 6, 6, 12);
    IS(state, 5);
}
END_TEST

START_TEST(linear_scan)
{
    const struct tenon_ref_seqs q = { 3, INTS(1, 2, 0), INTS(0, 2, 2, 3) }; /* the second has no token */
    float state[] = { 100, 200, 1, 2, 5, 6 }, y[6];                         /* [3,2] */
    tenon_ref_linear_scan(&q, 2, FLOATS(.5f, 0, 2, 1, 1, -1), FLOATS(1, 1, 0, 3, 1, 0), state, y);
    IS(y, 1.5f, 1, 3, 4, 101, -200);
    IS(state, 101, -200, 3, 4, 5, 6);
}
END_TEST

START_TEST(outer_scan)
{
    const struct tenon_ref_seqs q = { 1, INTS(1), INTS(0, 2) };
    struct tenon_ref_outer o = { 1, 2, 1, FLOATS(1, .5f), FLOATS(1, 2, 0, 1), FLOATS(3, 4), FLOATS(1, 0, 1, 1), NULL };
    float state[] = { 9, 9, 2, 0 }, y[2]; /* [2,1,2,1] */
    tenon_ref_outer_scan(&q, &o, state, y); /* M: (2 0) (5 6) (2.5 7) */
    IS(y, 5, 9.5f);
    IS(state, 9, 9, 2.5f, 7);
}
END_TEST

/* With beta 1 and unit keys, M answers each key with its newest value and keeps the rest. */
START_TEST(outer_scan_delta_rule)
{
    const struct tenon_ref_seqs q = { 1, INTS(0), INTS(0, 3) };
    struct tenon_ref_outer o = { 1, 2, 2, FLOATS(1, 1, .5f), FLOATS(1, 0, 0, 1, 1, 0), FLOATS(1, 2, 3, 4, 5, 6),
                                 FLOATS(1, 1, 1, 1, 1, 1), FLOATS(1, 1, 1) };
    float state[] = { 7, 7, 0, 0 }, y[6];
    tenon_ref_outer_scan(&q, &o, state, y); /* M: (1 2, 0 0) (1 2, 3 4) (5 6, 1.5 2) */
    IS(y, 1, 2, 4, 6, 6.5f, 8);
    IS(state, 5, 6, 1.5f, 2);
    o.beta = FLOATS(0, 0, 0);
    tenon_ref_outer_scan(&q, &o, state, y); /* beta 0 learns nothing, decay goes on */
    IS(state, 2.5f, 3, .75f, 1);
}
END_TEST

/* Heads are apart: two heads in one call are what two calls with one head are. */
START_TEST(outer_scan_heads)
{
    const struct tenon_ref_seqs q = { 1, INTS(0), INTS(0, 1) };
    struct tenon_ref_outer o = { 2, 1, 2, FLOATS(1, 0), FLOATS(2, 3), FLOATS(1, 2, 3, 4), FLOATS(1, 10), NULL };
    float state[] = { 1, 1, 5, 5 }, y[4]; /* [1,2,1,2] */
    tenon_ref_outer_scan(&q, &o, state, y);
    IS(state, 3, 5, 9, 12);
    IS(y, 3, 5, 90, 120);
}
END_TEST

/* ---- randomness --------------------------------------------------------------------------------------------- */

/* The known answers that Random123 ships for philox4x32 with 10 rounds. */
START_TEST(philox_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } rows[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (int64_t i = 0; i < LEN(rows); i++) {
        uint32_t word[4];
        tenon_ref_philox(rows[i].key, rows[i].counter, word);
        for (int j = 0; j < 4; j++)
            ck_assert_uint_eq(word[j], rows[i].want[j]);
    }
}
END_TEST

START_TEST(random_numbers)
{
    const uint32_t seed[] = { 0, 0, 0, 0, 1, 0 }, index[] = { 0, 1, 0 };
    float y[3];
    tenon_ref_random(3, seed, index, y);
    ck_assert_float_eq(y[0], 0x6627e8p-24f);
    for (int i = 0; i < 3; i++)
        ck_assert(y[i] >= 0 && y[i] < 1);
    ck_assert(y[1] != y[0] && y[2] != y[0] && y[1] != y[2]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reference");
    TCase *c = tcase_create("ops");
    const TTest *tests[] = {
        matmul, grouped_matmul, batch_matmul, broadcasting, bad_values, compare, unary, unary_far_out, reduce, order,
        top_k_of_all_is_a_sort, softmax, softmax_with_sinks, cumsum, norms, norms_of_bad_rows, rope_layouts, rope_scales, rope_yarn,
        attn_mask, by_index, by_shape, from_nothing, kv, kv_latent, slots, conv_scan, conv_scan_of_one_tap, linear_scan, outer_scan,
        outer_scan_delta_rule, outer_scan_heads, philox_known_answers, random_numbers,
    };
    for (int64_t i = 0; i < LEN(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
