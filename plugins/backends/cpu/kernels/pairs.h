/* pairs.h - products of weights and 16-bit activations by pairs of columns in 16 bits: what all levels but dotprod and i8mm take.
 * Included by unpack.h, after its types. */
#ifndef TENON_CPU_PAIRS_H
#define TENON_CPU_PAIRS_H

INLINE vi even_signed(vi x) { return vi_sar16(vi_shl16(x, 8), 8); }
INLINE vi odd_signed(vi x) { return vi_sar16(x, 8); }

INLINE uint32_t load_pair(const int16_t *q) /* 2 activations */
{
    uint32_t v;
    memcpy(&v, q, sizeof v);
    return v;
}

/* A pair of columns in 16 bits against tokens, times 1 << shift, below 2^15 in all. */
INLINE void put_part(struct sink *s, int64_t b, const int slot, const int part, const int pair, vi x, const int shift)
{
    for (int i = 0; i < s->tokens; i++) {
        vi a = vi_all(load_pair(s->q[i] + 32 * b + 2 * pair));
        s->sum[slot][part][i] = vi_dot16(s->open[slot][part] ? s->sum[slot][part][i] : vi_zero(), x, a);
    }
    s->open[slot][part] = true;
    s->shift[slot][part] = shift;
}

/* The same, the part chosen: 0 and 1 are of shift 0, 2 and 3 of shifts 4 and 8. One or two tokens: shifts are undone in the sums, and
 * several short chains hide the latency of one. */
INLINE void put_pair(struct sink *s, int64_t b, const int slot, const int pair, vi x, const int shift, const bool alone)
{
    const int part = shift != 0 ? 1 + shift / 4 : alone ? 0 : pair & 1;
    put_part(s, b, slot, part, pair, x, shift);
}

#if SPLITS
#include "splits.h"
#else
#define IN_PLACE_MOST 255
#endif
_Static_assert(DIRECT_TOKENS == 2, "four tokens would leave no registers for sums of both halves of a dword");

/* The bits of `mask` of each byte of v. */
INLINE void put_in_place(struct sink *s, int64_t b, const int slot, const int quad, vi v, const uint32_t mask, const int shift)
{
#if SPLITS
    put_split(s, b, slot, quad, vi_and(v, vi_all(mask)), shift);
#else
    const vi of_pair = vi_all(mask & 0x00ff00ff);
    put_part(s, b, slot, 2 * (quad & 1), 2 * quad, vi_and(v, of_pair), shift);
    put_part(s, b, slot, 2 * (quad & 1) + 1, 2 * quad + 1, vi_and(vi_shr16(v, 8), of_pair), shift);
#endif
}

INLINE void put_products(struct sink *s, int64_t b, const int slot, const int quad, vi x, const struct form f)
{
#if SPLITS
    if (f.bits < 8) {
        put_split(s, b, slot, quad, x, 0);
        return;
    }
#endif
    put_pair(s, b, slot, 2 * quad, f.bits == 8 ? even_signed(x) : even_bytes(x), 0, f.alone);
    if (f.bits <= 4 && !f.alone) /* a mask is had in more places than a shift is */
        put_pair(s, b, slot, 2 * quad + 1, vi_and(x, vi_all(0xff00ff00)), 8, false);
    else
        put_pair(s, b, slot, 2 * quad + 1, f.bits == 8 ? odd_signed(x) : odd_bytes(x), 0, f.alone);
}

INLINE void put_in_panel(struct sink *s, int64_t b, const int quad, vi x, const struct form f)
{
    uint8_t *at = s->w.q + (b * 16 + 2 * quad) * (PANEL_ROWS * 4);
    const bool with_sign = f.bits == 8 || f.offset != 0;
    if (f.offset != 0)
        x = vi_sub8(x, vi_all((uint32_t)f.offset * 0x01010101u));
    vi_store(at, with_sign ? even_signed(x) : even_bytes(x));
    vi_store(at + PANEL_ROWS * 4, with_sign ? odd_signed(x) : odd_bytes(x));
}

/* Weight i of block b's 32 in lane `lane`. */
INLINE void put_one(const struct panel *w, int64_t b, int i, int lane, int8_t weight)
{
    int16_t wide = weight;
    memcpy(w->q + ((b * 16 + cpu_act_column(i) / 2) * PANEL_ROWS + lane) * 4 + cpu_act_column(i) % 2 * 2, &wide, sizeof wide);
}

#ifdef TOKENS /* a file without panels says none */
/* Columns first .. first + count of block b, PANEL_ROWS x tokens, onto sum. */
INLINE void dots(const struct panel *w, const int bits, const act *const q[], int64_t b, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
    (void)bits;
    UNROLL
    for (int pair = first / 2; pair < (first + count) / 2; pair++) {
        const uint8_t *at = w->q + (b * 16 + pair) * (PANEL_ROWS * 4);
        vi low = vi_load(at), high = vi_load(at + 4 * LANES);
        for (int i = 0; i < tokens; i++) {
            vi a = vi_all(load_pair(q[i] + 32 * b + 2 * pair));
            sum[0][i] = vi_dot16(sum[0][i], low, a);
            sum[1][i] = vi_dot16(sum[1][i], high, a);
        }
    }
}
#endif

#endif
