/* A region of memory with a byte limit, freed as a whole.
 *
 * For work whose pieces all die together: one parse, one rendering. Nothing
 * is freed singly; a limit bounds what hostile input can make it hold.
 *
 *     struct tn_arena a;
 *     tn_arena_init(&a, 1u << 20);              // at most 1 MiB
 *     struct node *n = tn_arena_alloc(&a, sizeof *n);
 *     if (n == NULL) { ... }                    // over the limit or no memory
 *     tn_arena_finish(&a);                      // frees everything
 *
 * One thread at a time; different arenas are independent. */
#ifndef TN_BASE_ARENA_H
#define TN_BASE_ARENA_H

#include <stddef.h>

struct tn_arena_block;

struct tn_arena {
    struct tn_arena_block *head; /* newest block first */
    char *next;                  /* free bytes of head: [next, end) */
    char *end;
    size_t used;  /* bytes held from malloc, headers included */
    size_t limit; /* 0: no limit */
};

/* limit: most bytes the arena may hold, block headers included; 0: none. */
void tn_arena_init(struct tn_arena *a, size_t limit);

/* Frees every block. Fine on a zeroed or already finished arena. */
void tn_arena_finish(struct tn_arena *a);

/* Zeroed bytes aligned for any type; NULL if that would pass the limit or
 * malloc fails. size 0 gives a valid pointer. OWN: the arena. */
void *tn_arena_alloc(struct tn_arena *a, size_t size);

/* As tn_arena_alloc for n objects of size bytes; NULL also on overflow. */
void *tn_arena_array(struct tn_arena *a, size_t n, size_t size);

/* A copy of len bytes with a NUL behind them. OWN: the arena. */
char *tn_arena_copy(struct tn_arena *a, const void *bytes, size_t len);

#endif
