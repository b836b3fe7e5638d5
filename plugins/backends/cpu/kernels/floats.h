/* floats.h - products by weights of f32, f16 and bf16, for every vector level: a tile of rows and tokens at a time, each dot
 * product in partial sums that are joined at the end, whatever the tile. Include after simd_*.h. The file says what the level's
 * registers hold: FLOAT_ROWS by FLOAT_TOKENS, and where many tokens go by fewer rows, whose weights stay in L1, MANY_ROWS by
 * MANY_TOKENS; with FLOAT_COLUMNS, the columns of a step, it brings words of its own and calls multiply_floats() itself. */
#ifndef TENON_CPU_FLOATS_H
#define TENON_CPU_FLOATS_H

#include "levels.h"

#include <stddef.h>
#include <string.h>

INLINE int float_bytes(enum cpu_format format)
{
    return format == CPU_F32 ? 4 : 2;
}

#ifndef FLOAT_COLUMNS
#define FLOAT_COLUMNS LANES
typedef vf float_word;

INLINE float_word load_weights(enum cpu_format format, const uint8_t *p)
{
    if (format == CPU_F32)
        return vf_load((const void *)p);
    return format == CPU_F16 ? vf_load_f16((const void *)p) : vf_load_bf16((const void *)p);
}

INLINE float_word load_activations(const float *x) { return vf_load(x); }
INLINE vf add_product(vf acc, float_word w, float_word x) { return vf_fma(w, x, acc); }
#define FLOAT_ALL
#endif

#ifndef MANY_TOKENS
#define MANY_ROWS FLOAT_ROWS
#define MANY_TOKENS FLOAT_TOKENS
#endif

struct float_tile {
    const uint8_t *w[FLOAT_ROWS];  /* past the last row wanted they repeat it, so that one tile serves the edge */
    const float *x[MANY_TOKENS];
    int64_t ahead; /* bytes from a line of weights to the one fetched meanwhile: short rows end before the hardware sees so far */
};

#define LINE_BYTES 64

/* Columns k to k + FLOAT_COLUMNS of `height` rows and of tokens, both constants after inlining, as all over this file. */
INLINE void add_products(enum cpu_format format, const struct float_tile *f, int64_t k, const int height, const int tokens,
                         const bool first, vf acc[FLOAT_ROWS][MANY_TOKENS])
{
    float_word x[MANY_TOKENS];
    int64_t at = k * float_bytes(format);
    for (int i = 0; i < tokens; i++)
        x[i] = load_activations(f->x[i] + k);
    if (first && at % LINE_BYTES == 0)
        for (int r = 0; r < height; r++)
            __builtin_prefetch(f->w[r] + at + f->ahead, 0, 2);
    for (int r = 0; r < height; r++) {
        float_word w = load_weights(format, f->w[r] + at);
        for (int i = 0; i < tokens; i++)
            acc[r][i] = add_product(acc[r][i], w, x[i]);
    }
}

/* The last `count` columns from k on, zeros behind them. */
INLINE void add_last_products(enum cpu_format format, const struct float_tile *f, int64_t k, int64_t count, const int height,
                              const int tokens, vf acc[FLOAT_ROWS][MANY_TOKENS])
{
    uint8_t w[FLOAT_ROWS][4 * FLOAT_COLUMNS] = { { 0 } };
    float x[MANY_TOKENS][FLOAT_COLUMNS] = { { 0 } };
    struct float_tile last;
    for (int r = 0; r < height; r++)
        last.w[r] = memcpy(w[r], f->w[r] + k * float_bytes(format), (size_t)(count * float_bytes(format)));
    for (int i = 0; i < tokens; i++)
        last.x[i] = memcpy(x[i], f->x[i] + k, (size_t)count * sizeof *x[i]);
    add_products(format, &last, 0, height, tokens, false, acc);
}

/* `first`: the weights come from memory, not from a cache where other tokens left them. */
INLINE void multiply_tile(enum cpu_format format, const struct float_tile *f, int64_t K, const int height, const int tokens,
                          const bool first, int rows, float *y, int64_t ldy, const float *bias)
{
    vf acc[FLOAT_ROWS][MANY_TOKENS];
    int64_t whole = K - K % FLOAT_COLUMNS;
    for (int r = 0; r < height; r++)
        for (int i = 0; i < tokens; i++)
            acc[r][i] = vf_zero();
    for (int64_t k = 0; k < whole; k += FLOAT_COLUMNS)
        add_products(format, f, k, height, tokens, first, acc);
    if (whole < K)
        add_last_products(format, f, whole, K - whole, height, tokens, acc);
    for (int r = 0; r < height; r++)
        for (int i = 0; i < tokens; i++)
            if (r < rows)
                y[i * ldy + r] = bias != NULL ? vf_sum(acc[r][i]) + bias[r] : vf_sum(acc[r][i]);
}

/* Tokens t0 to t1 by the rows of one tile, `most` at a time; y and bias are those of its first row. */
INLINE void multiply_rows(enum cpu_format format, struct float_tile *f, const struct cpu_act *a, int64_t t0, int64_t t1,
                          const int height, const int most, int rows, float *y, int64_t ldy, const float *bias)
{
    int64_t n;
    for (int64_t t = t0; t < t1; t += n) {
        n = t1 - t >= most ? most : t1 - t >= FLOAT_TOKENS ? FLOAT_TOKENS : t1 - t;
        for (int i = 0; i < n; i++)
            f->x[i] = a->x + (t + i) * a->ldx;
        if (n == most && t > t0)
            multiply_tile(format, f, a->K, height, most, false, rows, y + t * ldy, ldy, bias);
        else if (n == most)
            multiply_tile(format, f, a->K, height, most, true, rows, y + t * ldy, ldy, bias);
        else if (n == FLOAT_TOKENS)
            multiply_tile(format, f, a->K, height, FLOAT_TOKENS, true, rows, y + t * ldy, ldy, bias);
        else if (n == 2)
            multiply_tile(format, f, a->K, height, 2, true, rows, y + t * ldy, ldy, bias);
        else
            multiply_tile(format, f, a->K, height, 1, true, rows, y + t * ldy, ldy, bias);
    }
}

INLINE void multiply_by(enum cpu_format format, const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1,
                        int64_t n0, int64_t n1, const int height, const int most, float *y, int64_t ldy, const float *bias)
{
    _Static_assert(FLOAT_TOKENS == 3, "multiply_rows() knows what is left by one, two and three tokens");
    struct float_tile f = { .ahead = 2 * height * m->row_bytes };
    for (int64_t n = n0; n < n1; n += height) {
        int rows = n1 - n < height ? (int)(n1 - n) : height;
        for (int r = 0; r < height; r++)
            f.w[r] = m->data + (n + (r < rows ? r : rows - 1)) * m->row_bytes;
        multiply_rows(format, &f, a, t0, t1, height, most, rows, y + n, ldy, bias != NULL ? bias + n : NULL);
    }
}

INLINE void multiply_floats(enum cpu_format format, const struct cpu_matrix *m, const struct cpu_act *a, int64_t t0, int64_t t1,
                            int64_t n0, int64_t n1, float *y, int64_t ldy, const float *bias)
{
    if (MANY_TOKENS > FLOAT_TOKENS && t1 - t0 >= MANY_TOKENS)
        multiply_by(format, m, a, t0, t1, n0, n1, MANY_ROWS, MANY_TOKENS, y, ldy, bias);
    else
        multiply_by(format, m, a, t0, t1, n0, n1, FLOAT_ROWS, FLOAT_TOKENS, y, ldy, bias);
}

#ifdef FLOAT_ALL
void LEVEL(products_float)(const struct cpu_matrix *w, const struct cpu_act *a, int64_t t0, int64_t t1, int64_t n0, int64_t n1,
                           float *y, int64_t ldy, const float *bias)
{
    switch (w->format) {
    case CPU_F32: multiply_floats(CPU_F32, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    case CPU_F16: multiply_floats(CPU_F16, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    default: multiply_floats(CPU_BF16, w, a, t0, t1, n0, n1, y, ldy, bias); break;
    }
}
#endif

#endif
