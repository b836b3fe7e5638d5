/* ref_product.c - core.matmul/1, grouped_matmul, batch_matmul: sums of products over the last dim of both operands. No
 * blocking, so that the sum runs in order of k. Any thread. Contract: tenon/reference.h. */
#include <tenon/reference.h>

/* a . b over k elements */
static double dot(const float *a, const float *b, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

void tenon_ref_matmul(int64_t rows, int64_t n, int64_t k, const float *x, const float *w, const float *bias, float *y)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            y[r * n + i] = (float)(dot(x + r * k, w + i * k, k) + (bias != NULL ? bias[i] : 0.0));
}

void tenon_ref_grouped_matmul(const struct tenon_ref_grouped *g, const float *x, const float *w, const int32_t *expert,
                              const float *bias, float *y)
{
    for (int64_t a = 0; a < g->a; a++)
        for (int64_t v = 0; v < g->v; v++) {
            int64_t e = expert[a * g->v + v], row = a * g->u + (g->u == 1 ? 0 : v);
            tenon_ref_matmul(1, g->n, g->k, x + row * g->k, w + e * g->n * g->k, bias != NULL ? bias + e * g->n : NULL,
                             y + (a * g->v + v) * g->n);
        }
}

void tenon_ref_batch_matmul(int64_t batch, int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < batch; i++)
        tenon_ref_matmul(m, n, k, a + i * m * k, b + i * n * k, NULL, y + i * m * n);
}
