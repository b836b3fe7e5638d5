/* bytes.h - products of 8-bit weights and 16-bit activations where the machine multiplies signed bytes in fours, exact as those of
 * 16-bit pairs and so to the same bits.
 *
 * An activation is 256 high + 128 + low with both bytes signed, so the sum of w a is 256 * sum of w high + sum of w low + 128 * sum
 * of w: two products for each token and one for all of them.
 * Included by unpack.h, after its types; words of simd_dotprod.h. */
#ifndef TENON_CPU_BYTES_H
#define TENON_CPU_BYTES_H

#define MINUS_128 0x80808080u /* in each byte */

/* Parts of a slot's sums: low and high by token, the weights' own at token 0. */
enum { PART_LOW, PART_HIGH, PART_WEIGHTS };

/* What put() does against tokens. Bytes without sign are below 128: signed ones of the same value. */
INLINE void put_products(struct sink *s, int64_t b, const int slot, const int quad, vi w, const struct form f)
{
    vi(*sum)[DIRECT_TOKENS] = s->sum[slot];
    const bool open = s->open[slot][PART_LOW];
    (void)f;
    for (int i = 0; i < s->tokens; i++) {
        vi a = vi_split_4(s->q[i] + 32 * b + 4 * quad);
        sum[PART_LOW][i] = vi_dot8(open ? sum[PART_LOW][i] : vi_zero(), w, a, 0);
        sum[PART_HIGH][i] = vi_dot8(open ? sum[PART_HIGH][i] : vi_zero(), w, a, 1);
    }
    sum[PART_WEIGHTS][0] = vi_dot8(open ? sum[PART_WEIGHTS][0] : vi_zero(), w, vi_all(MINUS_128), 0);
    s->open[slot][PART_LOW] = true;
}

INLINE vi total(struct sink *s, const int slot, const int token)
{
    vi sum = vi_add(s->sum[slot][PART_LOW][token], vi_shl(s->sum[slot][PART_HIGH][token], 8));
    return vi_sub(sum, s->sum[slot][PART_WEIGHTS][0]);
}

#ifndef OCTETS
INLINE void put_in_panel(struct sink *s, int64_t b, const int quad, vi x, const struct form f)
{
    (void)f;
    vi_store(s->w.q + (b * 8 + quad) * (PANEL_ROWS * 4), x);
}

INLINE void put_one(const struct panel *w, int64_t b, int i, int lane, int8_t weight)
{
    w->q[((b * 8 + i / 4) * PANEL_ROWS + lane) * 4 + i % 4] = (uint8_t)weight;
}

/* 16 columns at a time. */
INLINE void dots(const struct panel *p, const int bits, const act *const q[], int64_t b, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
    vi high[2][TOKENS], weights[2] = { vi_zero(), vi_zero() };
    (void)bits;
    for (int i = 0; i < tokens; i++)
        high[0][i] = high[1][i] = vi_zero();
    for (int column = first; column < first + count; column += 16) {
        vi a_low[TOKENS], a_high[TOKENS];
        for (int i = 0; i < tokens; i++)
            vi_split_16(q[i] + 32 * b + column, &a_low[i], &a_high[i]);
#define FOUR_COLUMNS(n)                                                                      \
    for (int h = 0; h < 2; h++) {                                                            \
        vi w = vi_load(p->q + (b * 8 + column / 4 + (n)) * (PANEL_ROWS * 4) + 4 * h * LANES); \
        weights[h] = vi_dot8(weights[h], w, vi_all(MINUS_128), 0);                           \
        for (int i = 0; i < tokens; i++) {                                                   \
            sum[h][i] = vi_dot8(sum[h][i], w, a_low[i], n);                                  \
            high[h][i] = vi_dot8(high[h][i], w, a_high[i], n);                               \
        }                                                                                    \
    }
        FOUR_COLUMNS(0) FOUR_COLUMNS(1) FOUR_COLUMNS(2) FOUR_COLUMNS(3) /* the instruction wants a literal */
#undef FOUR_COLUMNS
    }
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < 2; h++)
            sum[h][i] = vi_sub(vi_add(sum[h][i], vi_shl(high[h][i], 8)), weights[h]);
}
#endif

#endif
