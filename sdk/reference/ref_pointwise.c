/* ref_pointwise.c - ops whose every element depends on one element of each operand: add, sub, mul, div, maximum, compare,
 * unary, affine, clamp, softcap. Functions are written in the form that keeps its digits (erfc instead of 1 + erf), which
 * in exact arithmetic is the formula of ops.h. Any thread. Contract: tenon/reference.h. */
#include "shape.h"

#include <math.h>

/* ---- two operands ------------------------------------------------------------------------------------------- */

static double sum_of(double a, double b)
{
    return a + b;
}

static double difference_of(double a, double b)
{
    return a - b;
}

static double product_of(double a, double b)
{
    return a * b;
}

static double quotient_of(double a, double b)
{
    return a / b;
}

/* fmax would drop a NaN. */
static double larger_of(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static void binary(double (*f)(double, double), const struct tenon_ref_shape *as, const float *a,
                   const struct tenon_ref_shape *bs, const float *b, float *y)
{
    for (int64_t i = 0, n = ref_size(as); i < n; i++)
        y[i] = (float)f(a[i], b[ref_broadcast_at(as, i, bs)]);
}

void tenon_ref_add(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y)
{
    binary(sum_of, as, a, bs, b, y);
}

void tenon_ref_sub(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y)
{
    binary(difference_of, as, a, bs, b, y);
}

void tenon_ref_mul(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y)
{
    binary(product_of, as, a, bs, b, y);
}

void tenon_ref_div(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                   const float *b, float *y)
{
    binary(quotient_of, as, a, bs, b, y);
}

void tenon_ref_maximum(const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                       const float *b, float *y)
{
    binary(larger_of, as, a, bs, b, y);
}

/* ---- comparison --------------------------------------------------------------------------------------------- */

/* Which outcomes of a comparison a kind accepts; NaN is an outcome of its own. */
#define LESS 1
#define EQUAL 2
#define GREATER 4
#define UNORDERED 8

static int outcomes_of(const char *kind)
{
    static const struct {
        const char *kind;
        int outcomes;
    } table[] = {
        { "eq", EQUAL },          { "ne", LESS | GREATER | UNORDERED }, { "lt", LESS },
        { "le", LESS | EQUAL },   { "gt", GREATER },                    { "ge", GREATER | EQUAL },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].kind, kind) == 0)
            return table[i].outcomes;
    return 0;
}

static int outcome(double a, double b)
{
    return a < b ? LESS : a == b ? EQUAL : a > b ? GREATER : UNORDERED;
}

int32_t tenon_ref_compare(const char *kind, const struct tenon_ref_shape *as, const float *a, const struct tenon_ref_shape *bs,
                          const float *b, int32_t *y)
{
    int wanted = outcomes_of(kind);
    if (wanted == 0)
        return TENON_E_INVALID_ARGUMENT;
    for (int64_t i = 0, n = ref_size(as); i < n; i++)
        y[i] = (outcome(a[i], b[ref_broadcast_at(as, i, bs)]) & wanted) != 0;
    return TENON_OK;
}

/* A double holds every i32, so the order is that of the integers. */
int32_t tenon_ref_compare_i32(const char *kind, const struct tenon_ref_shape *as, const int32_t *a,
                              const struct tenon_ref_shape *bs, const int32_t *b, int32_t *y)
{
    int wanted = outcomes_of(kind);
    if (wanted == 0)
        return TENON_E_INVALID_ARGUMENT;
    for (int64_t i = 0, n = ref_size(as); i < n; i++)
        y[i] = (outcome(a[i], b[ref_broadcast_at(as, i, bs)]) & wanted) != 0;
    return TENON_OK;
}

/* ---- unary -------------------------------------------------------------------------------------------------- */

static double neg(double x)
{
    return -x;
}

static double rsqrt(double x)
{
    return 1.0 / sqrt(x);
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* x part, and 0 where part has vanished: at x = -inf that is the limit, where the product would be NaN. */
static double gated(double x, double part)
{
    return part == 0.0 ? 0.0 : x * part;
}

static double relu(double x)
{
    return x < 0.0 ? 0.0 : x;
}

static double relu2(double x)
{
    return relu(x) * relu(x);
}

static double silu(double x)
{
    return gated(x, sigmoid(x));
}

/* 1 + erf(z) = erfc(-z) */
static double gelu(double x)
{
    return gated(x, 0.5 * erfc(-x / sqrt(2.0)));
}

/* (1 + tanh(z)) / 2 = sigmoid(2z). x + 0.044715 x^3 as a product: no inf - inf. */
static double gelu_tanh(double x)
{
    return gated(x, sigmoid(2.0 * sqrt(2.0 / M_PI) * x * (1.0 + 0.044715 * x * x)));
}

static double gelu_quick(double x)
{
    return gated(x, sigmoid(1.702 * x));
}

/* log(1 + e^x) without overflow: e^x is taken out for x > 0. */
static double softplus(double x)
{
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

int32_t tenon_ref_unary(const char *kind, int64_t n, const float *x, float *y)
{
    static const struct {
        const char *kind;
        double (*f)(double);
    } table[] = {
        { "neg", neg },         { "abs", fabs },       { "sqrt", sqrt }, { "rsqrt", rsqrt }, { "exp", exp },
        { "log", log },         { "sin", sin },        { "cos", cos },   { "tanh", tanh },   { "sigmoid", sigmoid },
        { "relu", relu },       { "relu2", relu2 },    { "silu", silu }, { "gelu", gelu },   { "gelu_tanh", gelu_tanh },
        { "gelu_quick", gelu_quick }, { "softplus", softplus },
    };
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++)
        if (strcmp(table[row].kind, kind) == 0) {
            for (int64_t i = 0; i < n; i++)
                y[i] = (float)table[row].f(x[i]);
            return TENON_OK;
        }
    return TENON_E_INVALID_ARGUMENT;
}

/* ---- with numbers ------------------------------------------------------------------------------------------- */

void tenon_ref_affine(double scale, double shift, int64_t n, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(scale * x[i] + shift);
}

/* Comparisons with NaN are false, so a NaN passes both. */
void tenon_ref_clamp(double min, double max, int64_t n, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++) {
        double raised = x[i] < min ? min : x[i];
        y[i] = (float)(raised > max ? max : raised);
    }
}

void tenon_ref_softcap(double cap, int64_t n, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(cap * tanh(x[i] / cap));
}
