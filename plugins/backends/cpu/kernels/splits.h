/* splits.h - products of weights without a sign, below 128, and 16-bit activations by their bytes, for machines that multiply four bytes
 * without a sign by four with one (avx512). Included by pairs.h, whose sums these are, exactly.
 *
 * An activation is 256 high + low, high with a sign and low without. A weight below 128 is both, so it is multiplied by either as it
 * stands: a quad need not be taken apart into pairs, which costs two instructions more. */
#ifndef TENON_CPU_SPLITS_H
#define TENON_CPU_SPLITS_H

#define IN_PLACE_MOST 127

INLINE uint32_t load_four(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* A quad of weights times 1 << shift, below 128 in all. Of a slot some may stand higher by one and the same shift. */
INLINE void put_split(struct sink *s, int64_t b, const int slot, const int quad, vi x, const int shift)
{
    const int part = shift != 0 ? 2 : 0;
    const bool open = s->open[slot][part];
    UNROLLED
    for (int i = 0; i < s->tokens; i++) {
        const uint8_t *q = s->split[i] + 64 * b + 4 * quad;
        s->sum[slot][part][i] = vi_dot4(open ? s->sum[slot][part][i] : vi_zero(), vi_all(load_four(q)), x);
        s->sum[slot][part + 1][i] = vi_dot4_at(open ? s->sum[slot][part + 1][i] : vi_zero(), x, q + 32);
    }
    s->open[slot][part] = s->open[slot][part + 1] = true;
    s->shift[slot][part] = shift;
    s->shift[slot][part + 1] = shift - 8;
}

#endif
