/* rope.c - angles of rotary positions, in f64: frequencies once per model, cos and sin once per token and step.
 *
 * The turning itself is a kernel of each level. [any-thread] Contract: kernels.h, core.rope/1 of tenon/ops.h. */
#include "kernels.h"

#include <math.h>
#include <stddef.h>

/* The pair number whose wave length turns `turns` times within the original context (YaRN, arXiv:2309.00071). */
static double pair_of_turns(const struct cpu_rope *r, double turns)
{
    return r->n_rot * log(r->original_context / (turns * 2.0 * M_PI)) / (2.0 * log((double)r->base));
}

/* YaRN's ramp: 1 for pairs that turn fast (their angles stay), 0 for slow ones (their angles are scaled). */
static double ramp(const struct cpu_rope *r, int32_t j)
{
    double low = fmax(floor(pair_of_turns(r, r->beta_fast)), 0.0);
    double high = fmin(ceil(pair_of_turns(r, r->beta_slow)), r->n_rot - 1.0);
    double y = (j - low) / fmax(high - low, 0.001);
    return 1.0 - fmin(fmax(y, 0.0), 1.0);
}

void cpu_rope_freqs(const struct cpu_rope *r, double *ret_freq)
{
    for (int32_t j = 0; j < r->n_rot / 2; j++) {
        double plain = pow((double)r->base, -2.0 * j / r->n_rot);
        if (r->factors != NULL)
            plain /= (double)r->factors[j];
        ret_freq[j] = plain * (double)r->scale;
        if (r->ext_factor > 0.0f) {
            double mix = ramp(r, j) * (double)r->ext_factor;
            ret_freq[j] = ret_freq[j] * (1.0 - mix) + plain * mix;
        }
    }
}

void cpu_rope_table(const struct cpu_rope *r, const double *freq, int32_t position, float *ret_cos, float *ret_sin)
{
    for (int32_t j = 0; j < r->n_rot / 2; j++) {
        double angle = position * freq[j];
        ret_cos[j] = (float)(cos(angle) * (double)r->attn_factor);
        ret_sin[j] = (float)(sin(angle) * (double)r->attn_factor);
    }
}
