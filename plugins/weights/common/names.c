/* names.c - an ordered set of names with a table of indices beside it: linear probing at half load at most. Files come
 * from anywhere, so the hash is SipHash-1-3 under a random seed: nobody can prepare names that make it quadratic. Finding
 * is for any thread, adding for one. Contract: names.h. */
#include "names.h"

#include <stdlib.h>
#include <sys/random.h>

int32_t weights_grow(void **list, uint32_t n, uint32_t *capacity, size_t size)
{
    if (n < *capacity)
        return TENON_OK;
    uint64_t larger = (uint64_t)*capacity + *capacity / 2 + 16;
    if (larger > UINT32_MAX || larger > SIZE_MAX / size)
        return TENON_E_RESOURCE_EXHAUSTED;
    void *grown = realloc(*list, (size_t)larger * size);
    if (grown == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    *list = grown;
    *capacity = (uint32_t)larger;
    return TENON_OK;
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void round_of_sip(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t hash(uint64_t seed, struct tenon_str name)
{
    uint64_t v[4] = {seed ^ 0x736f6d6570736575u, ~seed ^ 0x646f72616e646f6du, seed ^ 0x6c7967656e657261u,
                     ~seed ^ 0x7465646279746573u};
    uint64_t left = name.size, word;
    for (const char *p = name.data;; p += 8, left -= 8) {
        word = 0;
        if (left > 0)
            memcpy(&word, p, left < 8 ? (size_t)left : 8);
        if (left < 8)
            break;
        v[3] ^= word, round_of_sip(v), v[0] ^= word;
    }
    word |= name.size << 56;
    v[3] ^= word, round_of_sip(v), v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        round_of_sip(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool same(struct tenon_str a, struct tenon_str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

/* The slot that holds the name, or the free one where it belongs. Needs a table. */
static uint32_t *slot_of(const struct weights_names *names, struct tenon_str name)
{
    for (uint64_t h = hash(names->seed, name);; h++) {
        uint32_t *slot = &names->slots[h & (names->n_slots - 1)];
        if (*slot == 0 || same(names->items[*slot - 1], name))
            return slot;
    }
}

/* Keep the table at most half full after one more name. */
static int32_t grow_table(struct weights_names *names)
{
    if ((uint64_t)names->n * 2 + 2 <= names->n_slots)
        return TENON_OK;
    if (names->n_slots == 0 && getrandom(&names->seed, sizeof names->seed, GRND_NONBLOCK) != (ssize_t)sizeof names->seed)
        names->seed = (uintptr_t)names; /* early boot: the address is better than nothing */
    if (names->n_slots > UINT32_MAX / 4)
        return TENON_E_RESOURCE_EXHAUSTED;
    uint32_t n_slots = names->n_slots == 0 ? 64 : names->n_slots * 2;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    free(names->slots);
    names->slots = slots;
    names->n_slots = n_slots;
    for (uint32_t i = 0; i < names->n; i++)
        *slot_of(names, names->items[i]) = i + 1;
    return TENON_OK;
}

int32_t weights_names_add(struct weights_names *names, struct tenon_str name)
{
    void *items = names->items;
    int32_t rc = grow_table(names);
    if (rc == TENON_OK)
        rc = weights_grow(&items, names->n, &names->capacity, sizeof *names->items);
    if (rc != TENON_OK)
        return rc;
    names->items = items;
    uint32_t *slot = slot_of(names, name);
    if (*slot != 0)
        return TENON_E_ALREADY_EXISTS;
    names->items[names->n++] = name;
    *slot = names->n;
    return TENON_OK;
}

bool weights_names_find(const struct weights_names *names, struct tenon_str name, uint32_t *ret_index)
{
    if (names->n_slots == 0)
        return false;
    uint32_t slot = *slot_of(names, name);
    if (slot == 0)
        return false;
    *ret_index = slot - 1;
    return true;
}

void weights_names_finish(struct weights_names *names)
{
    free(names->items);
    free(names->slots);
    *names = (struct weights_names){0};
}
