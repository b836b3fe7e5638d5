/* splits.h - products of weights without a sign and 16-bit activations by their bytes, for machines that multiply four bytes without a sign
 * by four with one (avx512). Included by pairs.h, whose sums these are, exactly.
 *
 * An activation is 256 high + low, both with a sign. A weight is multiplied by either as it stands: a quad need not be taken apart into
 * pairs, which costs two instructions more. */
#ifndef TENON_CPU_SPLITS_H
#define TENON_CPU_SPLITS_H

#define IN_PLACE_MOST 255

/* A quad of weights times 1 << shift, below 256 in all. Quads of a slot stand equally high, but for some that have a shift above 2. */
INLINE void put_split(struct sink *s, int64_t b, const int slot, const int quad, vi x, const int shift)
{
    const int part = shift > 2 ? 2 : 0;
    const bool open = s->open[slot][part];
    UNROLLED
    for (int i = 0; i < s->tokens; i++) {
        const int8_t *q = s->split[i] + 64 * b + 4 * quad;
        s->sum[slot][part][i] = vi_dot4_at(open ? s->sum[slot][part][i] : vi_zero(), x, q);
        s->sum[slot][part + 1][i] = vi_dot4_at(open ? s->sum[slot][part + 1][i] : vi_zero(), x, q + 32);
    }
    s->open[slot][part] = s->open[slot][part + 1] = true;
    s->shift[slot][part] = shift;
    s->shift[slot][part + 1] = shift - 8;
}

#endif
