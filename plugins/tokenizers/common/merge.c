/* merge.c - byte pair merging. A short piece (all but a few are) is scanned for its lowest rank after each merge:
 * quadratic in a length of at most 32, and faster there than anything clever. A long one is a linked list whose pairs
 * wait in a heap ordered by rank, then by place, so that a megabyte of one letter costs n log n. In such a piece most pairs
 * of one rank turn up in order of place: those need no heap but a queue per rank. A pair that has changed since it was
 * queued is recognised by its rank and skipped when it surfaces. One thread at a time. Contract: merge.h. */
#include "merge.h"

#include <stdlib.h>
#include <string.h>

#define SHORT 32u          /* ids; up to here scanning wins */
#define END UINT32_MAX     /* no such node */

/* One that waits in a queue. */
struct tok_merge_link {
    uint32_t node, next; /* END: none */
};

struct tok_merge_node {
    uint32_t previous, next; /* END: none */
    uint32_t rank;           /* of the pair of this node and the next; TOK_NEVER: none, or the node is gone */
    int32_t id;
    int32_t merged;          /* what that pair becomes */
};

#define MEMO 16384u /* power of two */

/* A pair asked for lately: those of a long piece are mostly the same few, and asking some rules costs more than looking here. */
struct tok_merge_pair {
    int32_t left, right; /* -1: nothing here */
    int32_t merged;
    uint32_t rank;
};

int32_t *tok_merge_reserve(struct tok_merge *m, size_t n)
{
    size_t capacity = n < 256 ? 256 : n;
    if (n > m->capacity) {
        tok_merge_finish(m);
        m->ids = malloc(capacity * sizeof *m->ids);
        if (m->ids == NULL)
            return NULL;
        m->capacity = capacity;
    }
    if (n > SHORT && m->memo == NULL) {
        m->memo = malloc(MEMO * sizeof *m->memo);
        if (m->memo == NULL)
            return NULL;
        memset(m->memo, 0xff, MEMO * sizeof *m->memo);
    }
    if (n > SHORT && n > m->long_capacity) {
        free(m->nodes);
        free(m->heap);
        free(m->links);
        m->long_capacity = 0;
        m->nodes = malloc(capacity * sizeof *m->nodes);
        m->heap = malloc(capacity * 2 * sizeof *m->heap);
        m->links = malloc(capacity * sizeof *m->links);
        if (m->nodes == NULL || m->heap == NULL || m->links == NULL)
            return NULL;
        m->long_capacity = capacity;
    }
    return m->ids;
}

void tok_merge_finish(struct tok_merge *m)
{
    free(m->ids);
    free(m->memo);
    free(m->nodes);
    free(m->heap);
    free(m->links);
    memset(m, 0, sizeof *m);
}

size_t tok_merge_held(const struct tok_merge *m)
{
    return m->capacity * sizeof *m->ids + m->long_capacity * (sizeof *m->nodes + 2 * sizeof *m->heap + sizeof *m->links);
}

/* ---- short pieces ------------------------------------------------------------------------------------------- */

struct rule {
    tok_pair_fn *find;
    const void *arg;
    const int32_t *made;
};

static inline int32_t becomes(const struct rule *rule, uint32_t rank, int32_t merged)
{
    return rule->made != NULL ? rule->made[rank] : merged;
}

static size_t merge_short(const struct rule *rule, int32_t *ids, size_t n)
{
    uint32_t ranks[SHORT]; /* [n - 1] of ids i and i + 1 */
    int32_t merged[SHORT]; /* [n - 1] what they become */
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = rule->find(rule->arg, ids[i], ids[i + 1], &merged[i]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == TOK_NEVER)
            break;
        ids[best] = becomes(rule, ranks[best], merged[best]);
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            merged[i - 1] = merged[i];
        }
        if (best > 0)
            ranks[best - 1] = rule->find(rule->arg, ids[best - 1], ids[best], &merged[best - 1]);
        if (best + 1 < n)
            ranks[best] = rule->find(rule->arg, ids[best], ids[best + 1], &merged[best]);
    }
    return n;
}

/* ---- long pieces -------------------------------------------------------------------------------------------- */

#define CHILDREN 4u /* per node of the heap: fewer levels, fewer cache misses than 2 */

static void sift_down(uint64_t *heap, size_t n, size_t at)
{
    uint64_t item = heap[at];
    for (;;) {
        size_t child = CHILDREN * at + 1, best = child;
        size_t end = child + CHILDREN < n ? child + CHILDREN : n;
        if (child >= n)
            break;
        for (size_t i = child + 1; i < end; i++)
            if (heap[i] < heap[best])
                best = i;
        if (item <= heap[best])
            break;
        heap[at] = heap[best];
        at = best;
    }
    heap[at] = item;
}

static void sift_up(uint64_t *heap, size_t at)
{
    uint64_t item = heap[at];
    while (at > 0 && heap[(at - 1) / CHILDREN] > item) {
        heap[at] = heap[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    heap[at] = item;
}

/* Take out the first of n items; n - 1 are left. The hole sinks to the bottom before the last item fills it: what comes
 * from the bottom mostly belongs there. */
static uint64_t pop(uint64_t *heap, size_t n)
{
    uint64_t top = heap[0], last = heap[--n];
    size_t hole = 0, child;
    while ((child = CHILDREN * hole + 1) + CHILDREN <= n) {
        size_t a = child + (heap[child + 1] < heap[child]), b = child + 2 + (heap[child + 3] < heap[child + 2]);
        size_t best = heap[b] < heap[a] ? b : a;
        heap[hole] = heap[best];
        hole = best;
    }
    heap[hole] = last;
    if (child < n)
        sift_down(heap, n, hole);
    sift_up(heap, hole);
    return top;
}

static uint64_t heap_item(const struct tok_merge_node *nodes, uint32_t at)
{
    return (uint64_t)nodes[at].rank << 32 | at;
}

#define QUEUES 64u       /* power of two */
#define QUEUES_FROM 256u /* ids: for fewer the heap is as fast */

/* What waits to be merged: at most 2n pairs, since n - 1 do at first, and each of fewer than n merges takes one out and puts
 * at most two in. */
struct waiting {
    const struct tok_merge_node *nodes;
    uint64_t *heap; /* [in_heap] of 2n */
    size_t in_heap;
    struct tok_merge_link *links; /* [used] of n */
    size_t used, n;
    uint32_t free;    /* the first link to be used again; END: none */
    uint32_t lowest;  /* the queue of lowest rank; QUEUES: all are empty */
    struct {
        uint32_t rank, first, last; /* links, in order of node; first END: empty */
    } queues[QUEUES];
};

static void start_waiting(struct waiting *w, const struct tok_merge *m, size_t n)
{
    w->nodes = m->nodes;
    w->heap = m->heap;
    w->links = m->links;
    w->in_heap = w->used = 0;
    w->n = n < QUEUES_FROM ? 0 : n;
    w->free = END;
    w->lowest = QUEUES;
    for (uint32_t i = 0; i < QUEUES; i++)
        w->queues[i].first = END;
}

/* Put a node behind those of its rank, if it belongs there and a queue can be had. */
static bool queue(struct waiting *w, uint32_t at)
{
    uint32_t rank = w->nodes[at].rank, q = rank * 0x9e3779b1u >> 26 & (QUEUES - 1), link = w->free;
    bool is_empty = w->queues[q].first == END;
    if ((link == END && w->used == w->n) || (!is_empty && (w->queues[q].rank != rank || w->links[w->queues[q].last].node >= at)))
        return false;
    if (link == END)
        link = (uint32_t)w->used++;
    else
        w->free = w->links[link].next;
    w->links[link] = (struct tok_merge_link){at, END};
    if (is_empty) {
        w->queues[q].rank = rank;
        w->queues[q].first = link;
        if (w->lowest == QUEUES || rank < w->queues[w->lowest].rank)
            w->lowest = q;
    } else {
        w->links[w->queues[q].last].next = link;
    }
    w->queues[q].last = link;
    return true;
}

static void wait_for(struct waiting *w, uint32_t at)
{
    if (queue(w, at))
        return;
    w->heap[w->in_heap] = heap_item(w->nodes, at);
    sift_up(w->heap, w->in_heap++);
}

static uint32_t lowest_queue(const struct waiting *w)
{
    uint32_t lowest = QUEUES;
    for (uint32_t q = 0; q < QUEUES; q++)
        if (w->queues[q].first != END && (lowest == QUEUES || w->queues[q].rank < w->queues[lowest].rank))
            lowest = q;
    return lowest;
}

/* Take out what comes first, as a heap's item; false when nothing waits. */
static bool take_first(struct waiting *w, uint64_t *ret_item)
{
    uint32_t q = w->lowest, link;
    uint64_t item;
    if (q == QUEUES && w->in_heap == 0)
        return false;
    link = q == QUEUES ? END : w->queues[q].first;
    item = q == QUEUES ? UINT64_MAX : (uint64_t)w->queues[q].rank << 32 | w->links[link].node;
    if (w->in_heap > 0 && w->heap[0] < item) {
        *ret_item = pop(w->heap, w->in_heap--);
        return true;
    }
    w->queues[q].first = w->links[link].next;
    w->links[link].next = w->free;
    w->free = link;
    if (w->queues[q].first == END)
        w->lowest = lowest_queue(w);
    *ret_item = item;
    return true;
}

static inline uint32_t look_up(struct tok_merge_pair *memo, const struct rule *rule, int32_t left, int32_t right,
                               int32_t *ret_merged)
{
    struct tok_merge_pair *p =
        &memo[((uint32_t)left * 0x9e3779b1u ^ (uint32_t)right * 0x85ebca6bu) >> 16 & (MEMO - 1)];
    if (p->left != left || p->right != right) {
        p->left = left;
        p->right = right;
        p->merged = -1;
        p->rank = rule->find(rule->arg, left, right, &p->merged);
    }
    *ret_merged = p->merged;
    return p->rank;
}

/* Look up the pair that begins at a node; true when it merges. */
static bool update(struct tok_merge *m, const struct rule *rule, uint32_t at)
{
    struct tok_merge_node *node = &m->nodes[at];
    node->rank = node->next == END ? TOK_NEVER : look_up(m->memo, rule, node->id, m->nodes[node->next].id, &node->merged);
    return node->rank != TOK_NEVER;
}

/* Chain ids [n] into nodes and let their pairs wait. */
static void start_long(struct tok_merge *m, const struct rule *rule, struct waiting *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        m->nodes[i].id = m->ids[i];
        m->nodes[i].previous = i == 0 ? END : (uint32_t)(i - 1);
        m->nodes[i].next = i + 1 == n ? END : (uint32_t)(i + 1);
    }
    start_waiting(w, m, n);
    for (size_t i = 0; i < n; i++)
        if (update(m, rule, (uint32_t)i) && !queue(w, (uint32_t)i))
            w->heap[w->in_heap++] = heap_item(m->nodes, (uint32_t)i);
    for (size_t i = w->in_heap / CHILDREN + 1; i-- > 0 && w->in_heap > 0;)
        sift_down(w->heap, w->in_heap, i);
}

/* Join a node with its next, which goes. */
static void join(struct tok_merge_node *nodes, const struct rule *rule, uint32_t at)
{
    struct tok_merge_node *node = &nodes[at], *gone = &nodes[node->next];
    node->id = becomes(rule, node->rank, node->merged);
    node->next = gone->next;
    if (gone->next != END)
        nodes[gone->next].previous = at;
    gone->rank = TOK_NEVER;
}

static size_t merge_long(struct tok_merge *m, const struct rule *rule, size_t n)
{
    struct tok_merge_node *nodes = m->nodes;
    struct waiting w;
    uint64_t item;
    size_t left = 0;
    start_long(m, rule, &w, n);
    while (take_first(&w, &item)) {
        uint32_t rank = (uint32_t)(item >> 32), at = (uint32_t)item, touched[2];
        if (nodes[at].rank != rank)
            continue;
        join(nodes, rule, at);
        touched[0] = nodes[at].previous;
        touched[1] = at;
        for (int i = 0; i < 2; i++)
            if (touched[i] != END && update(m, rule, touched[i]))
                wait_for(&w, touched[i]);
    }
    for (uint32_t at = 0; at != END; at = nodes[at].next)
        m->ids[left++] = nodes[at].id;
    return left;
}

size_t tok_merge_run(struct tok_merge *m, tok_pair_fn *find, const void *arg, const int32_t *made, size_t n)
{
    const struct rule rule = {find, arg, made};
    if (n < 2)
        return n;
    return n <= SHORT ? merge_short(&rule, m->ids, n) : merge_long(m, &rule, n);
}
