/* ref_position.c - rope and attn_mask: where a token stands, as turned pairs and as what it may see. Angles are computed
 * anew for every pair. Any thread. Contract: tenon/reference.h; RoFormer, arXiv:2104.09864; YaRN, arXiv:2309.00071. */
#include <tenon/reference.h>

#include <math.h>

/* ---- rope --------------------------------------------------------------------------------------------------- */

/* The pair (a real number) that turns `turns` times within the original context: from
 * original_context base^(-2j/n_rot) = 2 pi turns. */
static double pair_of_turns(const struct tenon_ref_rope *r, double turns)
{
    return (double)r->n_rot * log((double)r->original_context / (turns * 2.0 * M_PI)) / (2.0 * log(r->base));
}

/* YaRN's ramp: 1 for pairs that turn at least beta_fast times (angles kept), 0 for those at most beta_slow (scaled),
 * straight between, from whole pair to whole pair. */
static double ramp(const struct tenon_ref_rope *r, int64_t j)
{
    double low = fmax(floor(pair_of_turns(r, r->beta_fast)), 0.0);
    double high = fmin(ceil(pair_of_turns(r, r->beta_slow)), (double)r->n_rot - 1.0);
    double part = ((double)j - low) / fmax(high - low, 0.001); /* 0.001: a step where low = high */
    return 1.0 - fmin(fmax(part, 0.0), 1.0);
}

/* Radians that pair j turns per position; factor divides it. */
static double turn_of_pair(const struct tenon_ref_rope *r, int64_t j, double factor)
{
    double plain = pow(r->base, -2.0 * (double)j / (double)r->n_rot) / factor, scaled = plain * r->scale;
    if (r->ext_factor <= 0.0)
        return scaled;
    double kept = ramp(r, j) * r->ext_factor;
    return scaled * (1.0 - kept) + plain * kept;
}

/* x [D], y [D] */
static void turn_row(const struct tenon_ref_rope *r, int64_t d, const float *x, double position, const float *factors, float *y)
{
    for (int64_t j = 0; j < r->n_rot / 2; j++) {
        double angle = position * turn_of_pair(r, j, factors != NULL ? factors[j] : 1.0);
        int64_t first = r->interleaved ? 2 * j : j, second = r->interleaved ? 2 * j + 1 : j + r->n_rot / 2;
        double a = x[first], b = x[second];
        y[first] = (float)((a * cos(angle) - b * sin(angle)) * r->attn_factor);
        y[second] = (float)((a * sin(angle) + b * cos(angle)) * r->attn_factor);
    }
    for (int64_t i = r->n_rot; i < d; i++)
        y[i] = x[i];
}

void tenon_ref_rope(const struct tenon_ref_rope *r, int64_t t, int64_t h, int64_t d, const float *x, const int32_t *position,
                    const float *factors, float *y)
{
    for (int64_t row = 0; row < t * h; row++)
        turn_row(r, d, x + row * d, position[row / h], factors, y + row * d);
}

/* ---- mask --------------------------------------------------------------------------------------------------- */

void tenon_ref_attn_mask(int64_t window, int64_t causal, int64_t t, int64_t c, const int32_t *position,
                         const int32_t *seq_of_token, const int32_t *context_len, float *y)
{
    for (int64_t i = 0; i < t; i++)
        for (int64_t j = 0; j < c; j++) {
            int written = j < context_len[seq_of_token[i]];
            int past = !causal || j <= position[i];
            int64_t away = position[i] > j ? position[i] - j : j - position[i];
            int near = window == 0 || away < window;
            y[i * c + j] = written && past && near ? 0.0f : -INFINITY;
        }
}
