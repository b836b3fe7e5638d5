/* octets.h - panels multiplied eight columns at a time, two tokens by two rows in one instruction (i8mm), for both widths of
 * activations. Sums are exact integers, so they are those of quads.h and bytes.h, which still serve few tokens: there a register
 * would have to be put together for every product, which costs what it saves.
 *
 * In the panel each two quads that follow one another become two pairs of rows in the same places, eight columns of a row side by
 * side, in the order of activations. So unpack functions put quads as ever, the even one first.
 * Included by unpack.h, after the header of the level's products without a panel; words of simd_i8mm.h. */
#ifndef TENON_CPU_OCTETS_H
#define TENON_CPU_OCTETS_H

#define OCTET_BYTES (PANEL_ROWS * 8)
#define TOKEN_PAIRS ((TOKENS + 1) / 2)

_Static_assert(LANES == 4, "a register of rows is two pairs");

INLINE void put_in_panel(struct sink *s, int64_t b, const int quad, vi x, const struct form f)
{
    uint8_t *even = s->w.q + (b * 4 + quad / 2) * OCTET_BYTES;
    (void)f;
#if ACT_BITS == 16
    x = vi_swap_middle(x);
#endif
    if (quad % 2 == 0) {
        vi_store(even, x);
        return;
    }
    vi before = vi_load(even);
    vi_store(even, vi_mix_low(before, x));
    vi_store(even + 4 * PANEL_ROWS, vi_mix_high(before, x));
}

/* Weight i of block b's 32 in lane `lane` of the panel. */
INLINE void put_one(const struct panel *w, int64_t b, int i, int lane, int8_t weight)
{
    uint8_t *pair = w->q + (b * 4 + i / 8) * OCTET_BYTES + lane % LANES / 2 * (4 * PANEL_ROWS) + lane / LANES * (4 * LANES);
    pair[lane % 2 * 8 + (ACT_BITS == 16 ? cpu_act_column(i) : i) % 8] = (uint8_t)weight;
}

/* Sums of two tokens by two rows: [pair of rows, in the panel's order: first of each half, then second][pair of tokens]. */
typedef vi pair_sums[4][TOKEN_PAIRS];

/* The second token of a pair; the last without one goes twice. */
INLINE int other(const int token, const int tokens) { return token + 1 < tokens ? token + 1 : token; }

/* Sums start alike in all rows of a token. */
INLINE void pairs_begin(pair_sums two, vi sum[2][TOKENS], const int tokens)
{
    for (int i = 0; i < tokens; i += 2)
        for (int rows = 0; rows < 4; rows++)
            two[rows][i / 2] = vi_lower_halves(sum[0][i], sum[0][other(i, tokens)]);
}

INLINE void pairs_end(pair_sums two, vi sum[2][TOKENS], const int tokens)
{
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < 2; h++) {
            vi first = two[h][i / 2], second = two[2 + h][i / 2];
            sum[h][i] = i % 2 == 0 ? vi_lower_halves(first, second) : vi_upper_halves(first, second);
        }
}

#if ACT_BITS == 8
INLINE void octet(const uint8_t *w, const int8_t *const q[], int64_t at, const int tokens, pair_sums two)
{
    vi a[TOKEN_PAIRS];
    for (int i = 0; i < tokens; i += 2)
        a[i / 2] = vi_two_octets(q[i] + at, q[other(i, tokens)] + at);
    for (int rows = 0; rows < 4; rows++) {
        vi x = vi_load(w + 16 * rows);
        for (int i = 0; i < tokens; i += 2)
            two[rows][i / 2] = vi_rows_dot8(two[rows][i / 2], a[i / 2], x);
    }
}

/* Columns first .. first + count of block b, PANEL_ROWS x tokens, onto sum. */
INLINE void dots(const struct panel *w, const int bits, const act *const q[], int64_t b, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
    pair_sums two;
    (void)bits;
    pairs_begin(two, sum, tokens);
    for (int column = first; column < first + count; column += 8)
        octet(w->q + (b * 4 + column / 8) * OCTET_BYTES, q, 32 * b + column, tokens, two);
    pairs_end(two, sum, tokens);
}
#else
INLINE void octet(const uint8_t *w, const int16_t *const q[], int64_t at, const int tokens, pair_sums low, pair_sums high)
{
    vi a_low[TOKEN_PAIRS], a_high[TOKEN_PAIRS];
    for (int i = 0; i < tokens; i += 2)
        vi_split_octets(q[i] + at, q[other(i, tokens)] + at, &a_low[i / 2], &a_high[i / 2]);
    for (int rows = 0; rows < 4; rows++) {
        vi x = vi_load(w + 16 * rows);
        for (int i = 0; i < tokens; i += 2) {
            low[rows][i / 2] = vi_rows_dot8_unsigned(low[rows][i / 2], a_low[i / 2], x);
            high[rows][i / 2] = vi_rows_dot8(high[rows][i / 2], a_high[i / 2], x);
        }
    }
}

/* Columns first .. first + count of block b, PANEL_ROWS x tokens, onto sum. */
INLINE void dots(const struct panel *w, const int bits, const act *const q[], int64_t b, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
    pair_sums low, high;
    (void)bits;
    pairs_begin(low, sum, tokens);
    for (int rows = 0; rows < 4; rows++)
        for (int i = 0; i < tokens; i += 2)
            high[rows][i / 2] = vi_zero();
    for (int column = first; column < first + count; column += 8)
        octet(w->q + (b * 4 + column / 8) * OCTET_BYTES, q, 32 * b + column, tokens, low, high);
    for (int rows = 0; rows < 4; rows++)
        for (int i = 0; i < tokens; i += 2)
            low[rows][i / 2] = vi_add(low[rows][i / 2], vi_shl(high[rows][i / 2], 8));
    pairs_end(low, sum, tokens);
}
#endif

#endif
