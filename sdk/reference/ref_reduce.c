/* ref_reduce.c - reduce, argmax, top_k, softmax over the last dim, cumsum along the first. top_k searches once per place
 * instead of sorting: that needs no memory and makes the order of ties plain. Any thread. Contract: tenon/reference.h. */
#include <tenon/reference.h>

#include <math.h>

/* ---- reduce ------------------------------------------------------------------------------------------------- */

static double larger_of(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static double smaller_of(double a, double b)
{
    return isnan(a) || a < b ? a : b;
}

static double sum_of(double sum, double x)
{
    return sum + x;
}

static double add_square(double sum, double x)
{
    return sum + x * x;
}

int32_t tenon_ref_reduce(const char *kind, int64_t rows, int64_t k, const float *x, float *y)
{
    static const struct {
        const char *kind;
        double (*step)(double, double);
        double start;
        int mean;
    } table[] = {
        { "sum", sum_of, 0, 0 },
        { "mean", sum_of, 0, 1 },
        { "max", larger_of, -INFINITY, 0 },
        { "min", smaller_of, INFINITY, 0 },
        { "sumsq", add_square, 0, 0 },
    };
    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
        if (strcmp(table[t].kind, kind) != 0)
            continue;
        for (int64_t r = 0; r < rows; r++) {
            double value = table[t].start;
            for (int64_t i = 0; i < k; i++)
                value = table[t].step(value, x[r * k + i]);
            y[r] = (float)(table[t].mean ? value / (double)k : value);
        }
        return TENON_OK;
    }
    return TENON_E_INVALID_ARGUMENT;
}

/* ---- order -------------------------------------------------------------------------------------------------- */

/* What x counts as: NaN is -inf. */
static float rank_of(float x)
{
    return isnan(x) ? -INFINITY : x;
}

/* Does element a of row x stand before element b: larger, or equal with the lower index? */
static int before(const float *x, int64_t a, int64_t b)
{
    float va = rank_of(x[a]), vb = rank_of(x[b]);
    return va > vb || (va == vb && a < b);
}

/* The first of those elements of x [n] that stand behind `last`; of all when last is -1. -1: there is none. */
static int64_t next_in_order(const float *x, int64_t n, int64_t last)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if ((last < 0 || before(x, last, i)) && (best < 0 || before(x, i, best)))
            best = i;
    return best;
}

void tenon_ref_argmax(int64_t rows, int64_t k, const float *x, int32_t *y)
{
    for (int64_t r = 0; r < rows; r++)
        y[r] = (int32_t)next_in_order(x + r * k, k, -1);
}

void tenon_ref_top_k(int64_t rows, int64_t n, int64_t k, const float *x, float *value, int32_t *index)
{
    for (int64_t r = 0; r < rows; r++) {
        int64_t last = -1;
        for (int64_t j = 0; j < k; j++) {
            last = next_in_order(x + r * n, n, last);
            value[r * k + j] = x[r * n + last];
            index[r * k + j] = (int32_t)last;
        }
    }
}

/* ---- sums --------------------------------------------------------------------------------------------------- */

/* x [k], y [k]; sink: a logit that takes part in the sum and has no y, -inf where there is none. */
static void softmax_row(double scale, int64_t k, const float *x, double sink, float *y)
{
    double m = sink, sum = 0;
    for (int64_t i = 0; i < k; i++)
        m = larger_of(m, scale * x[i]);
    for (int64_t i = 0; i < k; i++)
        sum += exp(scale * x[i] - m);
    sum += exp(sink - m);
    for (int64_t i = 0; i < k; i++)
        y[i] = m == -INFINITY ? 0.0f : (float)(exp(scale * x[i] - m) / sum);
}

void tenon_ref_softmax(double scale, int64_t rows, int64_t k, const float *x, int64_t heads, const float *sink, float *y)
{
    for (int64_t r = 0; r < rows; r++)
        softmax_row(scale, k, x + r * k, sink != NULL ? sink[r % heads] : -INFINITY, y + r * k);
}

void tenon_ref_cumsum(int64_t a, int64_t n, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < a; j++)
            y[j * n + i] = (float)(sum += x[j * n + i]);
    }
}
