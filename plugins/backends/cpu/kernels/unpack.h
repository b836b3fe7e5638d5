/* unpack.h - weights of LANES rows from the file's blocks as bytes in registers: one function per encoding, for every vector level
 * and both widths of activations (ACT_BITS, 8 or 16).
 *
 * A lane is a row from the start: of a packed matrix (kernels.h) the lanes lie side by side in memory; of a file's blocks 16-byte
 * pieces of LANES rows are read and transposed in registers. Weights leave in quads, a dword of four columns' bytes, eight quads to
 * a block of 32 columns.
 * An unpack function calls, for every block of 32,
 *     put(s, b, slot, quad, x, form)   all 8 quads, 2i before 2i + 1; `slot` tells blocks apart that are under way at the same time,
 *                                      `form` how bytes stand for weights
 *     done(s, b, slot, scale, form)    or, where scales are per 16, done_16(); blocks end in ascending order; the form is the quads'
 *     done_min() or done_mins()        after it, for formats with minimums
 * Products of 16 bits take a quad apart into pairs, columns (4g, 4g + 2) and (4g + 1, 4g + 3), which needs no shuffle; cpu_act has
 * its 16-bit columns in that order.
 * The sink is either a panel in memory (panels.h, octets.h) or the products themselves: pairs.h, bytes.h, quads.h. No load leaves
 * the block it is for: the last block may end where the mapping ends.
 * Include after simd_*.h. A new encoding: one function in the file of its family, one line in a list at the end. */
#ifndef TENON_CPU_UNPACK_H
#define TENON_CPU_UNPACK_H

#include "kernels.h"

#if ACT_BITS == 8
typedef int8_t act;
#define PARTS 2 /* most sums of a slot */
#else
typedef int16_t act;
#define PARTS 4
#endif
#if ACT_BITS == 8 || defined(BYTE_PRODUCTS)
#define WEIGHT_BYTES 1 /* in a panel */
#else
#define WEIGHT_BYTES 2
#endif

/* Before a loop of up to eight turns, or sixteen: places and shifts become constants. */
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#define UNROLLED_16 UNROLLED
#else
#define UNROLLED _Pragma("GCC unroll 8")
#define UNROLLED_16 _Pragma("GCC unroll 16")
#endif

/* n, of which the compiler does not know that it is a constant, so that a loop of so many turns stays one. The hardware's prefetching
 * goes by the instructions that load, and a block that is unrolled whole has more than Zen 5 keeps apart, of weights and of activations: a
 * plain loop of loads and sums reads at 0.8 to 0.9 of what memory gives with up to 36 of them, with 44 and with 80 at a third to a half. */
INLINE int turns(int n)
{
    __asm__("" : "+r"(n));
    return n;
}

#define PANEL_ROWS (2 * LANES)
#ifndef PANEL_BYTES
#define PANEL_BYTES 16384 /* of weights: half of the smallest L1 */
#endif
#define PANEL_COLS (PANEL_BYTES / WEIGHT_BYTES / PANEL_ROWS) /* a multiple of every block_cols */
#define SCALES_BYTES (PANEL_ROWS * PANEL_COLS / 16 * 4)

/* Weights of PANEL_ROWS rows by up to PANEL_COLS columns: bytes as they were put, or 16 bits. */
struct panel {
    uint8_t *q;   /* [PANEL_COLS / 32][8 quads][PANEL_ROWS][4] bytes, or [16 pairs][PANEL_ROWS][2] in 16 bits */
    float *scale; /* [PANEL_COLS / 32, or / 16 where scales are per 16][PANEL_ROWS] */
    float *min;   /* likewise, where minimums are */
};

/* scratch (CPU_MATMUL_SCRATCH bytes) as a panel. */
INLINE struct panel panel_at(void *scratch)
{
    uint8_t *p = scratch;
    return (struct panel){ p, (float *)(void *)(p + PANEL_BYTES), (float *)(void *)(p + PANEL_BYTES + SCALES_BYTES) };
}
_Static_assert(PANEL_BYTES + 2 * SCALES_BYTES <= CPU_MATMUL_SCRATCH, "the panel must fit the scratch that callers give");

/* How bytes stand for weights: `offset` above their value and below 1 << bits (at most 7), or, 8 bits, signed and at no offset. Where
 * WEIGHTS_ABOVE, 8 bits may also be WEIGHTS_ABOVE above their value, as they are multiplied: then that is the offset.
 * Against tokens the offset is not undone weight by weight: it meets the sum of activations. */
struct form {
    int offset, bits;
    bool alone; /* many slots are under way, so each makes do with one chain of sums */
};
static const struct form SIGNED = { 0, 8, false };

/* Where weights go. `tokens` is 0 for a panel, else the number of tokens; constant once inlined. */
struct sink {
    int tokens;
    bool packed;                      /* where weights come from; constant too */
    struct panel w;                   /* of this half's first lane */
    struct form form;                 /* of the block that ended last: the same in all of an encoding */
    const act *q[DIRECT_TOKENS];      /* [K] */
#if SPLITS
    const int8_t *split[DIRECT_TOKENS]; /* [K / 32][2][32] */
    const float *moved[DIRECT_TOKENS];  /* [K / 16][4] */
#endif
    const float *d[DIRECT_TOKENS];    /* [K / 32] */
    const float *ds[DIRECT_TOKENS];
    const float *ds_16[DIRECT_TOKENS]; /* [K / 16] */
    const int32_t *asum[DIRECT_TOKENS], *asum_16[DIRECT_TOKENS]; /* [K / 32], [K / 16] */
    vi sum[8][PARTS][DIRECT_TOKENS];  /* by slot and part: products of the blocks under way */
    bool open[8][PARTS];              /* which of them have begun */
    int shift[8][PARTS];              /* bits they stand too high by; negative: too low */
    int held[8];                      /* quads.h */
    vf acc[DIRECT_TOKENS];            /* the chains */
};

/* One link of a chain: what kernels.h calls acc = fma(dw * da, isum, acc). */
INLINE vf link(vf acc, vf scale, const float *d, vi sum)
{
    return vf_fma(vf_mul(scale, vf_all(*d)), vf_of_int(sum), acc);
}

/* Where scales are per 16, what both halves of a block come to before the activations' scale, and then the link. */
INLINE vf half_sum(vf scale, vi sum) { return vf_mul(scale, vf_of_int(sum)); }
INLINE vf both_sums(vf first, vf scale, vi sum) { return vf_fma(scale, vf_of_int(sum), first); }
INLINE vf link_both(vf acc, vf both, const float *d) { return vf_fma(vf_all(*d), both, acc); }

INLINE vi even_bytes(vi x) { return vi_and(x, vi_all(0x00ff00ff)); }
INLINE vi odd_bytes(vi x) { return vi_shr16(x, 8); }

#if ACT_BITS == 8
#include "quads.h"
#elif defined(BYTE_PRODUCTS)
#include "bytes.h"
#else
#include "pairs.h"
#endif
#ifdef OCTETS
#include "octets.h"
#endif

INLINE void put(struct sink *s, int64_t b, const int slot, const int quad, vi x, const struct form f)
{
    if (s->tokens > 0)
        put_products(s, b, slot, quad, x, f);
    else
        put_in_panel(s, b, quad, x, f);
}

/* Four columns, f.bits wide, from bit `shift` of each byte of v on: the quads of a slot that are even alike, the odd ones too; of 1 and 2
 * bits all of a slot (STANDING_MOST). */
INLINE void put_bits(struct sink *s, int64_t b, const int slot, const int quad, vi v, const int shift, const struct form f)
{
    const uint32_t mask = ((1u << f.bits) - 1) * 0x01010101u;
#ifdef IN_PLACE_MOST
    if (s->tokens > 0 && ((1 << f.bits) - 1) << shift <= IN_PLACE_MOST) { /* what is too high is undone once for all quads */
        put_in_place(s, b, slot, quad, v, mask << shift, shift);
        return;
    }
#elif defined(STANDING_MOST)
    const int up = shift % 4;
    if (s->tokens > 0 && f.bits + up <= STANDING_MOST) { /* likewise; shifted down by a nibble at most, which serves two sub-blocks */
        put_part(s, b, slot, quad, vi_and(shift == up ? v : vi_shr(v, shift - up), vi_all(mask << up)), f.bits + up, up);
        return;
    }
#endif
    put(s, b, slot, quad, vi_and(shift == 0 ? v : vi_shr(v, shift), vi_all(mask)), f);
}

/* A nibble of four columns, the lower ones (shift 0) of even quads and the upper ones (4) of odd quads: half of what is meant by f. */
INLINE void put_halves(struct sink *s, int64_t b, const int slot, const int quad, vi v, const int shift, const struct form f)
{
#ifdef IN_PLACE_MOST
    if (s->tokens > 0) {
        const int place = 15 << shift <= IN_PLACE_MOST ? shift : 0;
        put_in_place(s, b, slot, quad, vi_shr(v, shift - place), 0x0f0f0f0fu << place, place - 1);
        return;
    }
#endif
    put(s, b, slot, quad, vi_and(shift == 0 ? vi_shl(v, 1) : vi_shr(v, 3), vi_all(0x1e1e1e1e)), f);
}

/* Four columns that stand `shift` up in their bytes, with nothing below. Against one or two tokens they stay there where sums allow it:
 * in part `part` of the slot's, which must have nothing else. */
INLINE bool stands_up(const struct sink *s, const int shift, const struct form f)
{
#if ACT_BITS == 8 && defined(IN_PLACE_MOST)
    return s->tokens > 0 && s->tokens <= 2 && ((1 << f.bits) - 1) << shift <= IN_PLACE_MOST;
#else
    (void)s, (void)shift, (void)f;
    return false;
#endif
}

INLINE void put_up(struct sink *s, int64_t b, const int slot, const int part, const int quad, vi x, const int shift, const struct form f)
{
#if ACT_BITS == 8 && defined(IN_PLACE_MOST)
    if (stands_up(s, shift, f)) {
        put_part(s, b, slot, part, quad, x, shift);
        return;
    }
#endif
    (void)part;
    put(s, b, slot, quad, vi_shr(x, shift), f);
}

INLINE void close_slot(struct sink *s, const int slot)
{
    UNROLLED
    for (int part = 0; part < PARTS; part++)
        s->open[slot][part] = false;
    s->held[slot] = 0;
}

/* What products find weights above their value by. */
INLINE int offset_of(const struct form f)
{
#if ACT_BITS == 8
    return f.bits == 8 ? WEIGHTS_ABOVE : f.offset;
#else
    return f.offset;
#endif
}

#ifdef IN_PLACE_MOST
/* The products of a slot that has all its quads; parts that stand equally high come down together. */
INLINE vi total(struct sink *s, const int slot, const int token)
{
    vi sum = vi_zero();
    bool first = true, taken[PARTS] = { false };
    UNROLLED
    for (int part = 0; part < PARTS; part++) {
        if (!s->open[slot][part] || taken[part])
            continue;
        const int shift = s->shift[slot][part];
        vi one = s->sum[slot][part][token];
        UNROLLED
        for (int like = part + 1; like < PARTS; like++)
            if (s->open[slot][like] && s->shift[slot][like] == shift) {
                one = vi_add(one, s->sum[slot][like][token]);
                taken[like] = true;
            }
        if (shift > 0)
            one = vi_sar(one, shift); /* exact: a multiple of that power of 2 */
        else if (shift < 0)
            one = vi_shl(one, -shift);
        sum = first ? one : vi_add(sum, one);
        first = false;
    }
    return sum;
}
#endif

/* Which way an integer takes to all lanes: by memory only in loops that are unrolled, as those of packed weights are; others gcc
 * then leaves with branches on what sums have begun. */
INLINE vi vi_all_for(const struct sink *s, int32_t x)
{
    return s->packed ? vi_all_kept((uint32_t)x) : vi_all((uint32_t)x);
}

/* The sums of a slot over columns whose activations come to *asum. */
INLINE vi without_offset(struct sink *s, const int slot, const int token, const int32_t *asum, const struct form f)
{
    vi sum = total(s, slot, token);
    return offset_of(f) == 0 ? sum : vi_sub(sum, offset_of(f) == 1 ? vi_all((uint32_t)*asum) : vi_all_for(s, *asum * offset_of(f)));
}

INLINE void done(struct sink *s, int64_t b, const int slot, vf scale, const struct form f)
{
    if (s->tokens == 0)
        vf_store(s->w.scale + b * PANEL_ROWS, scale);
    UNROLLED
    for (int i = 0; i < s->tokens; i++)
        s->acc[i] = link(s->acc[i], scale, s->d[i] + b, without_offset(s, slot, i, s->asum[i] + b, f));
    close_slot(s, slot);
    s->form = f;
}

/* After done(). */
INLINE void done_min(struct sink *s, int64_t b, vf min)
{
    if (s->tokens == 0)
        vf_store(s->w.min + b * PANEL_ROWS, min);
    UNROLLED
    for (int i = 0; i < s->tokens; i++)
        s->acc[i] = vf_fma(min, vf_all(s->ds[i][b]), s->acc[i]);
}

/* Slots `slot` and `slot + 1` hold the first and the second 16 columns. */
INLINE void done_16(struct sink *s, int64_t b, const int slot, vf first, vf second, const struct form f)
{
    if (s->tokens == 0) {
        vf_store(s->w.scale + 2 * b * PANEL_ROWS, first);
        vf_store(s->w.scale + (2 * b + 1) * PANEL_ROWS, second);
    }
    UNROLLED
    for (int i = 0; i < s->tokens; i++) {
        vf half = half_sum(first, without_offset(s, slot, i, s->asum_16[i] + 2 * b, f));
        vf both = both_sums(half, second, without_offset(s, slot + 1, i, s->asum_16[i] + 2 * b + 1, f));
        s->acc[i] = link_both(s->acc[i], both, s->d[i] + b);
    }
    close_slot(s, slot);
    close_slot(s, slot + 1);
    s->form = f;
}

/* Factors without a sign as done_factors() takes them: as dwords, or where FACTORS_TWICE in both halves of each. Below: from the lower
 * nibbles of bytes, and what their upper ones hold, as dwords. */
#if ACT_BITS == 8 && LANES == 16
#define FACTORS_LOW  /* in the lower halves */
#define FOLDS_THREES /* so has Q3_K factors: else they cost more than they save, and its scales are per 16 as others' are */
#endif
#ifdef FACTORS_TWICE
INLINE vi as_factor(vi x) { return vi_or(x, vi_shl(x, 16)); }
INLINE vi load_nibbles(const uint8_t *p, vi *ret_upper)
{
    vi both = vi_load_u8_twice(p);
    *ret_upper = vi_shr(both, 20);
    return vi_and(both, vi_all(0x000f000f));
}
INLINE vi bytes_by_factor(vi x, vi factor) { return vi_mul16(x, factor); } /* below 256 */
#else
INLINE vi as_factor(vi x) { return x; }
INLINE vi load_nibbles(const uint8_t *p, vi *ret_upper)
{
    vi both = vi_load_u8(p);
    *ret_upper = vi_shr(both, 4);
    return vi_and(both, vi_all(15));
}
INLINE vi bytes_by_factor(vi x, vi factor) { return vi_mul(x, factor); }
INLINE vi total_by_factors(struct sink *s, const int slot, const int token, const vi factor[2], const int32_t *asum, const struct form f)
{
    vi first = without_offset(s, slot, token, asum, f), second = without_offset(s, slot + 1, token, asum + 1, f);
#ifdef FACTORS_LOW /* 16 columns of two or three bits: sums of 16 bits, and faster to multiply */
    return vi_dot16(vi_dot16(vi_zero(), first, factor[0]), second, factor[1]);
#else
    return vi_add(vi_mul(first, factor[0]), vi_mul(second, factor[1]));
#endif
}
#endif

/* Of a scale in two factors: whole numbers of each 16, `factor`, of which a panel's weights have theirs in them, and one of all. Slots
 * as above. */
INLINE void done_factors(struct sink *s, int64_t b, const int slot, const vi factor[2], vf scale, const struct form f)
{
    if (s->tokens == 0)
        vf_store(s->w.scale + b * PANEL_ROWS, scale);
    UNROLLED
    for (int i = 0; i < s->tokens; i++)
        s->acc[i] = link(s->acc[i], scale, s->d[i] + b, total_by_factors(s, slot, i, factor, s->asum_16[i] + 2 * b, f));
    close_slot(s, slot);
    close_slot(s, slot + 1);
    s->form = f;
}

/* Of each 16, after that of the scales. */
INLINE void done_mins(struct sink *s, int64_t b, vf first, vf second)
{
    if (s->tokens == 0) {
        vf_store(s->w.min + 2 * b * PANEL_ROWS, first);
        vf_store(s->w.min + (2 * b + 1) * PANEL_ROWS, second);
    }
    UNROLLED
    for (int i = 0; i < s->tokens; i++)
        s->acc[i] = vf_fma(first, vf_all(s->ds_16[i][2 * b]), s->acc[i]);
    UNROLLED
    for (int i = 0; i < s->tokens; i++)
        s->acc[i] = vf_fma(second, vf_all(s->ds_16[i][2 * b + 1]), s->acc[i]);
}

/* ---- nibbles of four columns */

INLINE vi low_nibbles(vi x) { return vi_and(x, vi_all(0x0f0f0f0f)); }
INLINE vi high_nibbles(vi x) { return vi_and(vi_shr(x, 4), vi_all(0x0f0f0f0f)); }

/* The nibbles of a dword: low ones of its four bytes are a quad of block b, high ones of block high_b. */
INLINE void put_nibbles(struct sink *s, int64_t b, const int slot, const int quad, int64_t high_b, const int high_slot,
                        const int high_quad, vi x, const struct form f)
{
#if WEIGHT_BYTES == 2
    if (s->tokens > 0) { /* pairs come off by one mask each */
        put_pair(s, b, slot, 2 * quad, vi_and(x, vi_all(0x000f000f)), 0, false);
        put_pair(s, b, slot, 2 * quad + 1, vi_and(x, vi_all(0x0f000f00)), 8, false);
        put_pair(s, high_b, high_slot, 2 * high_quad, vi_and(x, vi_all(0x00f000f0)), 4, false);
        put_pair(s, high_b, high_slot, 2 * high_quad + 1, vi_shr16(x, 12), 0, false);
        return;
    }
#endif
    const bool mixed = slot == high_slot;
    const struct form low = { f.offset, f.bits, f.alone || (mixed && stands_up(s, 4, f)) };
    put(s, b, slot, quad, low_nibbles(x), low);
    put_up(s, high_b, high_slot, mixed ? 1 : high_quad & 1, high_quad, vi_and(x, vi_all(0xf0f0f0f0)), 4, f);
}

/* ---- the rows of a matrix, from one block on. `packed` is constant once inlined. */

struct rows {
    const uint8_t *p; /* the block of lane 0; packed: of its group of CPU_PACK_ROWS */
    int64_t stride;   /* bytes between rows; unused when packed */
    int lane;         /* packed: lane 0's place in its group */
    bool packed;
    int near, far;    /* packed: so many bytes behind what is read are fetched, as below; 0: none. Constants once inlined */
};

/* What of packed weights is fetched ahead: nothing, some encodings' lines to one cache, all to the first, or all to the second and later
 * to the first. */
enum fetch { FETCH_NOTHING, FETCH_SOME, FETCH_TO_FIRST, FETCH_TWICE };

#define NEAR 4096 /* bytes ahead that the first cache takes */
#define FAR 16384 /* the second: where weights are few bits and much is computed for each line */
#define FARTHER 32768

/* Memory of the packed elements at byte `at`, `bytes` for a row. What comes later is fetched, once for all lanes. */
INLINE const uint8_t *elements(const struct rows *r, int at, int bytes)
{
    const uint8_t *p = r->p + at * CPU_PACK_ROWS;
    const bool first = LANES == CPU_PACK_ROWS || r->lane == 0;
    if (first && r->far != 0)
        __builtin_prefetch(p + r->far, 0, 2);
    if (first && r->near != 0)
        __builtin_prefetch(p + r->near);
    return p + bytes * r->lane;
}

/* Dwords at byte `at` of each row's block, and at the three places behind it. */
INLINE void columns(const struct rows *r, int at, vi v[4])
{
    if (!r->packed) {
        load_columns(r->p + at, r->stride, v);
        return;
    }
    for (int i = 0; i < 4; i++)
        v[i] = vi_load(elements(r, at + 4 * i, 4));
}

/* x, for more than one use: gcc else loads it again for each, and loads are what such loops have most of. Levels of fewer lanes have half
 * the registers: there it is left to the compiler. */
INLINE vi once(vi x)
{
#if LANES == 16
    __asm__("" : "+v"(x));
#endif
    return x;
}

INLINE void columns_once(const struct rows *r, int at, vi v[4])
{
    columns(r, at, v);
    for (int i = 0; i < 4; i++)
        v[i] = once(v[i]);
}

/* The dword at byte `at`; unless packed, its block has 12 bytes before it or behind. */
INLINE vi dword_at(const struct rows *r, int at)
{
    vi v[4];
    if (r->packed)
        return vi_load(elements(r, at, 4));
    load_columns(r->p + (at < 12 ? at : at - 12), r->stride, v);
    return v[at < 12 ? 0 : 3];
}

/* The 16 bits at byte `at`, which begins a block or, unless packed, has 14 bytes of it before; as floats. */
INLINE vf half_at(const struct rows *r, int at)
{
    vi v[4];
    vf low, high;
    if (r->packed)
        return vf_load_f16((const uint16_t *)(const void *)elements(r, at, 2));
    load_columns(r->p + (at == 0 ? 0 : at - 14), r->stride, v);
    vf_of_halves(v[at == 0 ? 0 : 3], &low, &high);
    return at == 0 ? low : high;
}

/* The first two 16 bits of a block: d and m, d and dmin. */
INLINE void two_halves(const struct rows *r, vf *ret_first, vf *ret_second)
{
    vi v[4];
    if (r->packed) {
        *ret_first = half_at(r, 0);
        *ret_second = half_at(r, 2);
        return;
    }
    load_columns(r->p, r->stride, v);
    vf_of_halves(v[0], ret_first, ret_second);
}

#include "unpack_blocks.h"
#include "unpack_codebooks.h"
#include "unpack_kquants.h"
#include "unpack_packed_kquants.h"
#include "unpack_repacked.h"
#include "unpack_affine.h"

/* ---- a row of blocks */

/* Have `bytes` from p on in cache soon: the share of the rows that come next, in the order of memory. */
INLINE void prefetch(const uint8_t *p, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(p + i);
}

/* FETCH_SOME: for one token the hardware's own prefetching does best above five bits a weight: what is fetched besides costs Q6_K a
 * tenth on Zen 4. The more tokens, the more is computed between two lines and the later it comes: with eight, Q8_0 runs half as fast
 * again when lines are fetched far ahead, with four, rows of 4,864 columns 1.7 times as fast. IQ2 gains a tenth by twice FAR, which
 * others lose by. By 16 bits Q8_0 wants it for two tokens at a time too (8 in all 1.5 times as fast); by 8 bits it loses a twentieth,
 * and Q6_K half. */
#define FAR_FOR_TWO(bytes, per_block) ((bytes) <= 24 * (per_block) || (ACT_BITS == 16 && (bytes) > 32 * (per_block)))
#define FAR_AHEAD(bytes, per_block, tokens)                                       \
    ((tokens) > 2 || ((tokens) == 2 && FAR_FOR_TWO(bytes, per_block)) ? FAR       \
     : (bytes) > 16 * (per_block) ? 0                                            \
     : (bytes) > 12 * (per_block) && (bytes) < 14 * (per_block) ? FARTHER : FAR)
#define NEAR_AHEAD(bytes, per_block, tokens) \
    ((bytes) > 16 * (per_block) && (bytes) <= 20 * (per_block) && FAR_AHEAD(bytes, per_block, tokens) == 0 ? NEAR : 0)

/* FETCH_TWICE: a core of Intel's has 10 to 16 lines on their way to its first cache and 48 to its second, and by the first alone it reads
 * 0.8 of what memory gives; one of AMD's has no more under way to its second. What has fewer than 3.5 bits a weight computes so much
 * between two lines that a second fetch of each is one too many. */
#define TWICE_HELPS(bytes, per_block) ((bytes) >= 14 * (per_block))

/* FETCH_TO_FIRST: Zen 5 wants no more than that, of every encoding. So far ahead for a token; for two, between whose lines more is
 * computed, 16 KiB are as good, and for Q6_K and Q8_0 better by a fifth. */
#define TO_FIRST_AHEAD(tokens) ((tokens) == 1 ? 8192 : 16384)

INLINE void choose_fetching(struct rows *r, const enum fetch fetch, const int bytes, const int per_block, const int tokens)
{
    if (fetch == FETCH_NOTHING)
        return;
    r->near = fetch == FETCH_TWICE ? NEAR : fetch == FETCH_TO_FIRST ? TO_FIRST_AHEAD(tokens) : NEAR_AHEAD(bytes, per_block, tokens);
    r->far = fetch == FETCH_TWICE ? FAR : fetch == FETCH_TO_FIRST ? 0 : FAR_AHEAD(bytes, per_block, tokens);
}

/* LANES rows x `blocks` of the format's own blocks (bytes each, per_block x 32 columns). next: of rows in the file's order, see
 * prefetch(), or NULL. */
#define UNPACK_LOOP(format, name, bytes, per_block, scales)                                                    \
    INLINE void name##_rows(struct rows r, int64_t blocks, struct sink *s, const enum fetch fetch, const uint8_t *next) \
    {                                                                                                  \
        choose_fetching(&r, fetch, bytes, per_block, s->tokens);                                       \
        for (int64_t i = 0; i < blocks; i++) {                                                         \
            if (!r.packed && next != NULL)                                                             \
                prefetch(next + i * LANES * (bytes), LANES * (bytes));                                 \
            name(&r, s, i * (per_block));                                                              \
            r.p += (r.packed ? CPU_PACK_ROWS : 1) * (bytes);                                           \
        }                                                                                              \
    }

/* Format, its function, bytes of its block, blocks of 32 in it and scales of each: formats that keep their blocks when they are packed,
 * formats that do not (repack.h), and what they have then; of both those whose weights are looked up in tables (lookups.h). */
#define KEPT_LOOKED_UP(X)                                       \
    X(CPU_IQ4_NL, unpack_iq4_nl, 18, 1, 1)                      \
    X(CPU_MXFP4, unpack_mxfp4, 17, 1, 1)                        \
    X(CPU_IQ4_XS, unpack_iq4_xs, 136, 8, 1)                     \
    X(CPU_NVFP4, unpack_nvfp4, 36, 2, 2)
#define KEPT_FORMATS(X)                                         \
    KEPT_LOOKED_UP(X)                                           \
    X(CPU_Q4_0, unpack_q4_0, 18, 1, 1)                          \
    X(CPU_Q4_1, unpack_q4_1, 20, 1, 1)                          \
    X(CPU_Q8_0, unpack_q8_0, 34, 1, 1)                          \
    X(CPU_Q4_K, unpack_q4_k, 144, 8, 1)                         \
    X(CPU_AFFINE4_B32, unpack_affine4_b32, 20, 1, 1)            \
    X(CPU_AFFINE4_B128, unpack_affine4_b128, 68, 4, 1)          \
    X(CPU_AFFINE8_B32, unpack_affine8_b32, 36, 1, 1)
#define FILE_FORMATS(X)                                         \
    X(CPU_Q5_0, unpack_q5_0, 22, 1, 1)                          \
    X(CPU_Q5_1, unpack_q5_1, 24, 1, 1)                          \
    X(CPU_Q5_K, unpack_q5_k, 176, 8, 1)                         \
    X(CPU_Q6_K, unpack_q6_k, 210, 8, 2)                         \
    X(CPU_Q2_K, unpack_q2_k, 84, 8, 2)                          \
    X(CPU_Q3_K, unpack_q3_k, 110, 8, 2)                         \
    X(CPU_IQ2_XXS, unpack_iq2_xxs, 66, 8, 1)                    \
    X(CPU_IQ2_XS, unpack_iq2_xs, 74, 8, 2)                      \
    X(CPU_IQ2_S, unpack_iq2_s, 82, 8, 2)                        \
    X(CPU_IQ3_XXS, unpack_iq3_xxs, 98, 8, 1)                    \
    X(CPU_IQ3_S, unpack_iq3_s, 110, 8, 1)                       \
    X(CPU_IQ1_S, unpack_iq1_s, 50, 8, 1)                        \
    X(CPU_IQ1_M, unpack_iq1_m, 56, 8, 2)                        \
    X(CPU_TQ1_0, unpack_tq1_0, 54, 8, 1)                        \
    X(CPU_TQ2_0, unpack_tq2_0, 66, 8, 1)
#define PACKED_LOOKED_UP(X)                                     \
    X(CPU_PACKED_IQ2_BY_32, unpack_packed_iq2_by_32, 104, 8, 1) \
    X(CPU_PACKED_IQ2_BY_16, unpack_packed_iq2_by_16, 108, 8, 2) \
    X(CPU_PACKED_IQ3_XXS, unpack_packed_iq3_xxs, 136, 8, 1)     \
    X(CPU_PACKED_IQ1_M, unpack_packed_iq1_m, 80, 8, 2)
#define PACKED_FORMATS(X)                                       \
    PACKED_LOOKED_UP(X)                                         \
    X(CPU_PACKED_Q5_0, unpack_packed_q5_0, 22, 1, 1)            \
    X(CPU_PACKED_Q5_1, unpack_packed_q5_1, 24, 1, 1)            \
    X(CPU_PACKED_Q5_K, unpack_packed_q5_k, 176, 8, 1)           \
    X(CPU_PACKED_Q6_K, unpack_packed_q6_k, 212, 8, 2)           \
    X(CPU_PACKED_Q3_K, unpack_packed_q3_k, 112, 8, 2)           \
    X(CPU_PACKED_Q2_K, unpack_packed_q2_k, 84, 8, 2)            \
    X(CPU_PACKED_TQ2, unpack_packed_tq2, 68, 8, 1)              \
    X(CPU_PACKED_IQ3_S, unpack_packed_iq3_s, 136, 8, 1)         \
    X(CPU_PACKED_IQ1_S, unpack_packed_iq1_s, 72, 8, 1)
KEPT_FORMATS(UNPACK_LOOP)
FILE_FORMATS(UNPACK_LOOP)
PACKED_FORMATS(UNPACK_LOOP)

/* One of those loops, passed on as a constant, so that it is inlined. A switch over formats would copy all of them to each place
 * before all but one go: three quarters of the time that gcc took. */
typedef void unpack_loop(struct rows r, int64_t blocks, struct sink *s, enum fetch fetch, const uint8_t *next);

#endif
