/* ref_norm.c - rms_norm, layer_norm, l2_norm, group_norm: each row divided by its size, which is taken in double and in two
 * passes. Any thread. Contract: tenon/reference.h. */
#include <tenon/reference.h>

#include <math.h>

/* Sum of (x - mean)^2 over k elements */
static double sum_of_squares(const float *x, int64_t k, double mean)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

static double mean_of(const float *x, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += x[i];
    return sum / (double)k;
}

/* y = (x - mean) / size w + bias over k elements */
static void write_row(int64_t k, const float *x, double mean, double size, const float *w, const float *bias, float *y)
{
    for (int64_t i = 0; i < k; i++) {
        double weighted = (x[i] - mean) / size * (w != NULL ? w[i] : 1.0);
        y[i] = (float)(bias != NULL ? weighted + bias[i] : weighted);
    }
}

void tenon_ref_rms_norm(double eps, int64_t rows, int64_t k, const float *x, const float *w, float *y)
{
    tenon_ref_group_norm(1, eps, rows, k, x, w, y);
}

void tenon_ref_layer_norm(double eps, int64_t rows, int64_t k, const float *x, const float *w, const float *bias, float *y)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * k;
        double mean = mean_of(row, k), size = sqrt(sum_of_squares(row, k, mean) / (double)k + eps);
        write_row(k, row, mean, size, w, bias, y + r * k);
    }
}

void tenon_ref_l2_norm(double eps, int64_t rows, int64_t k, const float *x, float *y)
{
    for (int64_t r = 0; r < rows; r++) {
        double sum = sum_of_squares(x + r * k, k, 0);
        write_row(k, x + r * k, 0, sqrt(sum < eps * eps ? eps * eps : sum), NULL, NULL, y + r * k);
    }
}

void tenon_ref_group_norm(int64_t groups, double eps, int64_t rows, int64_t k, const float *x, const float *w, float *y)
{
    int64_t part = k / groups;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t g = 0; g < groups; g++) {
            const float *row = x + r * k + g * part;
            double size = sqrt(sum_of_squares(row, part, 0) / (double)part + eps);
            write_row(part, row, 0, size, w != NULL ? w + g * part : NULL, NULL, y + r * k + g * part);
        }
}
