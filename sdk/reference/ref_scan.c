/* ref_scan.c - conv_scan, linear_scan, outer_scan: recurrences over the tokens of each sequence, from the sequence's slot
 * of the state and back into it. One token after the other, no chunks. One thread per state. Contract: tenon/reference.h;
 * the delta rule: arXiv:2412.06464. */
#include <tenon/reference.h>

/* ---- conv_scan ---------------------------------------------------------------------------------------------- */

/* Channel n of token t of a sequence: x [T,N] from its first token; t < 0 is a row of the past [K-1,N], whose last row is
 * t = -1. */
static float conv_input(int64_t n_channels, int64_t k, const float *x, const float *past, int64_t t, int64_t n)
{
    return t >= 0 ? x[t * n_channels + n] : past[(k - 1 + t) * n_channels + n];
}

/* One sequence of `tokens`: x, y [tokens,N], past [K-1,N] */
static void conv_sequence(int64_t tokens, int64_t n_channels, int64_t k, const float *x, const float *w, const float *bias,
                          float *past, float *y)
{
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t n = 0; n < n_channels; n++) {
            double sum = bias != NULL ? bias[n] : 0.0;
            for (int64_t i = 0; i < k; i++)
                sum += (double)w[n * k + i] * conv_input(n_channels, k, x, past, t - k + 1 + i, n);
            y[t * n_channels + n] = (float)sum;
        }
    for (int64_t row = 0; row < k - 1; row++) /* upwards: what is read lies at or behind what is written */
        for (int64_t n = 0; n < n_channels; n++)
            past[row * n_channels + n] = conv_input(n_channels, k, x, past, tokens - (k - 1) + row, n);
}

void tenon_ref_conv_scan(const struct tenon_ref_seqs *q, int64_t n, int64_t k, const float *x, const float *w, const float *bias,
                         float *state, float *y)
{
    for (int64_t s = 0; s < q->s; s++) {
        int64_t start = q->seq_start[s];
        conv_sequence(q->seq_start[s + 1] - start, n, k, x + start * n, w, bias, state + q->slot[s] * (k - 1) * n, y + start * n);
    }
}

/* ---- linear_scan -------------------------------------------------------------------------------------------- */

void tenon_ref_linear_scan(const struct tenon_ref_seqs *q, int64_t n, const float *decay, const float *x, float *state, float *y)
{
    for (int64_t s = 0; s < q->s; s++)
        for (int64_t i = 0; i < n; i++) {
            double h = state[q->slot[s] * n + i];
            for (int64_t t = q->seq_start[s]; t < q->seq_start[s + 1]; t++) {
                h = decay[t * n + i] * h + x[t * n + i];
                y[t * n + i] = (float)h;
            }
            state[q->slot[s] * n + i] = (float)h;
        }
}

/* ---- outer_scan --------------------------------------------------------------------------------------------- */

/* Token t of head h on column e of M, which no other column touches. m: M [D,E] of that head. Returns y. */
static double outer_step(const struct tenon_ref_outer *o, int64_t t, int64_t h, int64_t e, float *m)
{
    int64_t row = t * o->h + h;
    const float *k = o->k + row * o->d, *q = o->q + row * o->d;
    double decay = o->decay[row], add = o->v[row * o->e + e], y = 0;
    if (o->beta != NULL) {
        double known = 0; /* (M^T k)[e] of the decayed M: what M already answers to k */
        for (int64_t d = 0; d < o->d; d++)
            known += decay * m[d * o->e + e] * k[d];
        add = o->beta[row] * (add - known);
    }
    for (int64_t d = 0; d < o->d; d++) {
        m[d * o->e + e] = (float)(decay * m[d * o->e + e] + k[d] * add);
        y += (double)m[d * o->e + e] * q[d];
    }
    return y;
}

void tenon_ref_outer_scan(const struct tenon_ref_seqs *q, const struct tenon_ref_outer *o, float *state, float *y)
{
    for (int64_t s = 0; s < q->s; s++)
        for (int64_t t = q->seq_start[s]; t < q->seq_start[s + 1]; t++)
            for (int64_t h = 0; h < o->h; h++)
                for (int64_t e = 0; e < o->e; e++) {
                    float *m = state + (q->slot[s] * o->h + h) * o->d * o->e; /* [D,E] */
                    y[(t * o->h + h) * o->e + e] = (float)outer_step(o, t, h, e, m);
                }
}
