/* visible.h - which keys a token sees, as positions and as ranges of a block. Shared by all levels, for the ranges decide what is
 * summed. */
#ifndef TENON_CPU_VISIBLE_H
#define TENON_CPU_VISIBLE_H

#include "kernels.h"

/* Positions first <= c < end; empty when end <= first. */
struct cpu_visible {
    int64_t first, end;
};

static inline struct cpu_visible cpu_visible(const struct cpu_attn *a, int64_t t)
{
    int64_t p = a->position[t], end = a->context_len[a->seq_of_token[t]];
    struct cpu_visible see = { 0, end };
    if (a->causal && p + 1 < end)
        see.end = p + 1;
    if (a->window > 0 && p - a->window + 1 > 0)
        see.first = p - a->window + 1;
    if (a->window > 0 && p + a->window < see.end) /* not causal: a window has two sides */
        see.end = p + a->window;
    return see;
}

/* The part of block b that is seen: keys low <= j < high of its CPU_PAGE_TOKENS; low >= high when none is. */
static inline int32_t cpu_visible_low(struct cpu_visible see, int64_t b)
{
    int64_t low = see.first - b * CPU_PAGE_TOKENS;
    return low < 0 ? 0 : low > CPU_PAGE_TOKENS ? CPU_PAGE_TOKENS : (int32_t)low;
}

static inline int32_t cpu_visible_high(struct cpu_visible see, int64_t b)
{
    int64_t high = see.end - b * CPU_PAGE_TOKENS;
    return high < 0 ? 0 : high > CPU_PAGE_TOKENS ? CPU_PAGE_TOKENS : (int32_t)high;
}

#endif
