/* quads.h - products of weights and 8-bit activations, four columns to a lane.
 *
 * Three kinds of machines: those that multiply signed bytes (neon, dotprod); those whose weights must be without sign (avx512:
 * WEIGHTS_ABOVE, signed ones are moved up and that meets the sum of activations as any offset does); and those that sum two
 * products in 16 bits (avx2: SUMS_OF_16), where some more may be added before 32 are needed, the fewer bits a weight has the more.
 * Panels for tiles (amx) hold signed bytes without an offset.
 * Included by unpack.h, after its types. */
#ifndef TENON_CPU_QUADS_H
#define TENON_CPU_QUADS_H

INLINE uint32_t load_quad(const int8_t *q) /* 4 activations */
{
    uint32_t v;
    memcpy(&v, q, sizeof v);
    return v;
}

INLINE vi as_multiplied(vi x, const struct form f)
{
    return f.bits == 8 && f.offset == 0 && WEIGHTS_ABOVE != 0 ? vi_xor(x, vi_all(WEIGHTS_ABOVE * 0x01010101u)) : x;
}

#ifdef SUMS_OF_16
/* Sums of two products, of weights below 1 << bits and activations up to 127, that 16 bits hold. Signed weights have one to 128. */
#define MOST_HELD 8
INLINE int sums_held(const int bits) { return bits <= 4 ? MOST_HELD : bits == 5 ? 4 : bits == 6 ? 2 : 1; }
INLINE vi products(vi w, vi a, const int bits) { return bits == 8 ? vi_dot2_signed(w, a) : vi_dot2(w, a); }

/* Parts of a slot's sums: in 32 bits, and in 16, to which `held` have come. */
enum { PART_WIDE, PART_NARROW };

/* A quad of values below 1 << bits (or signed, of 8 bits), all quads of a slot standing the same `shift` bits too high. */
INLINE void put_part(struct sink *s, int64_t b, const int slot, const int quad, vi x, const int bits, const int shift)
{
    vi(*sum)[DIRECT_TOKENS] = s->sum[slot];
    const int held = s->held[slot];
    for (int i = 0; i < s->tokens; i++) {
        vi two = products(x, vi_all(load_quad(s->q[i] + 32 * b + 4 * quad)), bits);
        sum[PART_NARROW][i] = held > 0 ? vi_add16(sum[PART_NARROW][i], two) : two;
        if (held + 1 == sums_held(bits))
            sum[PART_WIDE][i] = vi_widen16(s->open[slot][PART_WIDE] ? sum[PART_WIDE][i] : vi_zero(), sum[PART_NARROW][i]);
    }
    s->held[slot] = held + 1 == sums_held(bits) ? 0 : held + 1;
    if (s->held[slot] == 0)
        s->open[slot][PART_WIDE] = true;
    s->shift[slot][PART_WIDE] = shift;
}

INLINE void put_products(struct sink *s, int64_t b, const int slot, const int quad, vi x, const struct form f)
{
    put_part(s, b, slot, quad, x, f.bits, 0);
}

#define STANDING_MOST 4 /* bits of a quad in its place: 16 bits hold all of a slot */

INLINE vi total(struct sink *s, const int slot, const int token)
{
    const int shift = s->shift[slot][PART_WIDE];
    vi sum = s->open[slot][PART_WIDE] ? s->sum[slot][PART_WIDE][token] : vi_zero();
    if (s->held[slot] > 0)
        sum = vi_widen16(sum, s->sum[slot][PART_NARROW][token]);
    return shift > 0 ? vi_sar(sum, shift) : sum; /* exact */
}

/* Of slots of four quads of at most STANDING_MOST bits, equally high (with an offset not at all): their sums times two factors, each in
 * both halves of its dwords. asum [2]: of the slots' activations. */
#define FACTORS_TWICE
_Static_assert(MOST_HELD > 4, "four quads are still in sums of 16 bits");
INLINE vi total_by_factors(struct sink *s, const int slot, const int token, const vi factor[2], const int32_t *asum, const struct form f)
{
    const int shift = s->shift[slot][PART_WIDE];
    vi sum = vi_zero();
    UNROLLED
    for (int half = 0; half < 2; half++) {
        vi narrow = s->sum[slot + half][PART_NARROW][token];
        if (f.offset != 0)
            narrow = vi_sub16(narrow, vi_all((uint32_t)(asum[half] * f.offset) & 0xffff));
        sum = vi_dot16(sum, narrow, factor[half]);
    }
    return shift > 0 ? vi_sar(sum, shift) : sum;
}

INLINE void dots(const struct panel *w, const int bits, const act *const q[], int64_t b, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
    const int most = sums_held(bits) < count / 4 ? sums_held(bits) : count / 4;
    for (int quad = first / 4; quad < (first + count) / 4; quad += most) {
        vi held[2][TOKENS];
        UNROLL
        for (int n = 0; n < most; n++) {
            const uint8_t *at = w->q + (b * 8 + quad + n) * (PANEL_ROWS * 4);
            vi low = vi_load(at), high = vi_load(at + 4 * LANES);
            for (int i = 0; i < tokens; i++) {
                vi a = vi_all(load_quad(q[i] + 32 * b + 4 * (quad + n)));
                held[0][i] = n > 0 ? vi_add16(held[0][i], products(low, a, bits)) : products(low, a, bits);
                held[1][i] = n > 0 ? vi_add16(held[1][i], products(high, a, bits)) : products(high, a, bits);
            }
        }
        for (int i = 0; i < tokens; i++)
            for (int h = 0; h < 2; h++)
                sum[h][i] = vi_widen16(sum[h][i], held[h][i]);
    }
}
#else
#define IN_PLACE_MOST (WEIGHTS_ABOVE != 0 ? 255 : 127)

/* A quad whose weights stand `shift` bits up. */
INLINE void put_part(struct sink *s, int64_t b, const int slot, const int part, const int quad, vi x, const int shift)
{
    for (int i = 0; i < s->tokens; i++) {
        vi a = vi_all(load_quad(s->q[i] + 32 * b + 4 * quad));
        s->sum[slot][part][i] = vi_dot4(s->open[slot][part] ? s->sum[slot][part][i] : vi_zero(), x, a);
    }
    s->open[slot][part] = true;
    s->shift[slot][part] = shift;
}

INLINE void put_products(struct sink *s, int64_t b, const int slot, const int quad, vi x, const struct form f)
{
    const int part = f.alone || s->tokens > 2 ? 0 : quad & 1; /* two short chains hide the latency of one */
    put_part(s, b, slot, part, quad, as_multiplied(x, f), 0);
}

/* The bits of `mask` of each byte of v. */
INLINE void put_in_place(struct sink *s, int64_t b, const int slot, const int quad, vi v, const uint32_t mask, const int shift)
{
    const int part = s->tokens > 2 && shift == 0 ? 0 : quad & 1; /* as above; quads that stand up have a part of their own */
    put_part(s, b, slot, part, quad, vi_and(v, vi_all(mask)), shift);
}

_Static_assert(IN_PLACE_MOST == 255 || DIRECT_TOKENS == 2, "of more tokens quads that stand up and others would share a part");

#if !defined(OCTETS) && !defined(TILES) && defined(TOKENS)
INLINE void dots(const struct panel *w, const int bits, const act *const q[], int64_t b, int first, int count, const int tokens,
                 vi sum[2][TOKENS])
{
    (void)bits;
    UNROLL
    for (int quad = first / 4; quad < (first + count) / 4; quad++) {
        const uint8_t *at = w->q + (b * 8 + quad) * (PANEL_ROWS * 4);
        vi low = vi_load(at), high = vi_load(at + 4 * LANES);
        for (int i = 0; i < tokens; i++) {
            vi a = vi_all(load_quad(q[i] + 32 * b + 4 * quad));
            sum[0][i] = vi_dot4(sum[0][i], low, a);
            sum[1][i] = vi_dot4(sum[1][i], high, a);
        }
    }
}
#endif
#endif

#ifndef OCTETS
#ifdef TILES /* they take bytes with a sign */
#define PANEL_ABOVE 0
INLINE vi as_in_panel(vi x, const struct form f)
{
    return f.offset != 0 ? vi_sub8(x, vi_all((uint32_t)f.offset * 0x01010101u)) : x;
}
#else
#define PANEL_ABOVE WEIGHTS_ABOVE
INLINE vi as_in_panel(vi x, const struct form f) { return as_multiplied(x, f); }
#endif

INLINE void put_in_panel(struct sink *s, int64_t b, const int quad, vi x, const struct form f)
{
    vi_store(s->w.q + (b * 8 + quad) * (PANEL_ROWS * 4), as_in_panel(x, f));
}

INLINE void put_one(const struct panel *w, int64_t b, int i, int lane, int8_t weight)
{
    w->q[((b * 8 + i / 4) * PANEL_ROWS + lane) * 4 + i % 4] = (uint8_t)(weight + PANEL_ABOVE);
}
#endif

#endif
