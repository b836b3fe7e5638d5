/* trie.h - the tokens of a vocabulary by their bytes: which of them a text begins with.
 *
 *     struct uni_trie t;
 *     if (uni_trie_init(&t, bytes, err) != 0) return ...;           // room for tokens of so many bytes together
 *     uni_trie_add(&t, text, size, id);
 *     for (at = 0, node = UNI_ROOT; at < size && (node = uni_trie_next(&t, node, text[at])) != UNI_NONE; at++)
 *         if (t.ids[node] >= 0) ...                                 // the token text [at + 1]
 *     uni_trie_finish(&t);
 *
 * Constant once all are added. [any-thread]
 */
#ifndef UNI_TRIE_H
#define UNI_TRIE_H

#include <tenon/plugin.h>

#define UNI_ROOT 0u
#define UNI_NONE UINT32_MAX
#define UNI_MOST_NODES (1u << 24) /* so that a node and a byte are 32 bits */

struct uni_trie_slot {
    uint32_t key; /* node in the upper 24 bits, byte in the lower 8 */
    uint32_t next; /* node; UNI_NONE: a free slot */
};

struct uni_trie {
    int32_t *ids;                /* [n of room] token that ends at a node, -1: none */
    struct uni_trie_slot *slots; /* [mask + 1] */
    uint32_t n, room, mask;
    uint64_t seed;   /* odd */
    uint32_t first[256]; /* node after a first byte, which most walks end at; UNI_NONE: none */
};

/* Room for tokens of `bytes` bytes together. OUT_OF_RANGE, RESOURCE_EXHAUSTED. */
int32_t uni_trie_init(struct uni_trie *t, uint64_t seed, uint64_t bytes, struct tenon_err *err);

void uni_trie_finish(struct uni_trie *t); /* zeroed is fine */

/* size > 0, within the room. */
void uni_trie_add(struct uni_trie *t, const char *text, size_t size, int32_t id);

/* The slot of a key, or the free one where it belongs. There is always a free slot. */
static inline struct uni_trie_slot *uni_trie_slot(const struct uni_trie *t, uint32_t key)
{
    uint32_t at = (uint32_t)((key ^ t->seed >> 32) * t->seed >> 32) & t->mask;
    while (t->slots[at].next != UNI_NONE && t->slots[at].key != key)
        at = (at + 1) & t->mask;
    return &t->slots[at];
}

/* The node after `node` and a byte, UNI_NONE: no token goes on so. */
static inline uint32_t uni_trie_next(const struct uni_trie *t, uint32_t node, char byte)
{
    return node == UNI_ROOT ? t->first[(unsigned char)byte]
                            : uni_trie_slot(t, node << 8 | (unsigned char)byte)->next;
}

#endif
