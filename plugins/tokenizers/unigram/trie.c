/* trie.c - a trie whose edges stand in one flat hash table: it is built in one pass over tokens in any order, which sorting
 * them for a double array would take ten times as long for. Built by one thread, then constant. Contract: trie.h. */
#include "trie.h"

#include <stdlib.h>
#include <string.h>

int32_t uni_trie_init(struct uni_trie *t, uint64_t seed, uint64_t bytes, struct tenon_err *err)
{
    uint32_t slots = 16;
    memset(t, 0, sizeof *t);
    if (bytes >= UNI_MOST_NODES)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "unigram", "the tokens have %llu bytes, more than the %u allowed",
                          (unsigned long long)bytes, UNI_MOST_NODES);
    t->room = (uint32_t)bytes + 1;
    while (slots < t->room + t->room / 4)
        slots *= 2;
    t->mask = slots - 1;
    t->seed = seed | 1;
    t->ids = malloc(t->room * sizeof *t->ids);
    t->slots = malloc(slots * sizeof *t->slots);
    if (t->ids == NULL || t->slots == NULL) {
        uni_trie_finish(t);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "unigram", "no memory for a trie of %u nodes", t->room);
    }
    memset(t->slots, 0xff, slots * sizeof *t->slots);
    memset(t->first, 0xff, sizeof t->first);
    t->ids[UNI_ROOT] = -1;
    t->n = 1;
    return 0;
}

void uni_trie_finish(struct uni_trie *t)
{
    free(t->ids);
    free(t->slots);
    memset(t, 0, sizeof *t);
}

static uint32_t *edge(struct uni_trie *t, uint32_t node, unsigned char byte)
{
    struct uni_trie_slot *slot;
    if (node == UNI_ROOT)
        return &t->first[byte];
    slot = uni_trie_slot(t, node << 8 | byte);
    slot->key = node << 8 | byte;
    return &slot->next;
}

void uni_trie_add(struct uni_trie *t, const char *text, size_t size, int32_t id)
{
    uint32_t node = UNI_ROOT;
    for (size_t at = 0; at < size; at++) {
        uint32_t *next = edge(t, node, (unsigned char)text[at]);
        if (*next == UNI_NONE) {
            t->ids[t->n] = -1;
            *next = t->n++;
        }
        node = *next;
    }
    t->ids[node] = id;
}
