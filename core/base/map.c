/* map.c - a dense array of entries with a table of indices beside it: iteration needs no table walk and has a stable
 * order, and growing rehashes 4 byte indices only. Linear probing at half load. No locks: the owner serialises.
 * Contract: map.h. */
#include "core/base/map.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <tenon/plugin.h>

#include "core/base/num.h"

static uint64_t seed(void)
{
    static _Atomic uint64_t value;
    uint64_t s = atomic_load(&value);
    if (s == 0) {
        uint64_t expected = 0;
        if (getrandom(&s, sizeof s, GRND_NONBLOCK) != (ssize_t)sizeof s)
            s = (uintptr_t)&value; /* early boot: the address is better than nothing */
        s |= 1;
        if (!atomic_compare_exchange_strong(&value, &expected, s))
            s = expected; /* another thread was first: all must use one seed */
    }
    return s;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

static uint64_t hash_bytes(const char *key, uint64_t size)
{
    uint64_t h = seed() ^ mix(size + 1);
    for (; size >= 8; key += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, key, 8);
        h = mix(h ^ word) + seed();
    }
    uint64_t tail = 0;
    if (size > 0)
        memcpy(&tail, key, size);
    return mix(h ^ tail);
}

/* The slot that holds the key, or the free one where it belongs. Needs n_slots > 0. */
static uint32_t *slot_of(const struct tn_map *map, const char *key, uint64_t size, uint64_t hash)
{
    for (uint64_t i = hash;; i++) {
        uint32_t *slot = &map->slots[i & (map->n_slots - 1)];
        if (*slot == 0)
            return slot;
        const struct tn_map_entry *e = &map->entries[*slot - 1];
        if (e->hash == hash && e->size == size && (size == 0 || memcmp(e->key, key, size) == 0))
            return slot;
    }
}

static int32_t grow_entries(struct tn_map *map)
{
    if (map->n < map->capacity)
        return TENON_OK;
    if (map->capacity > UINT32_MAX / 4)
        return TENON_E_RESOURCE_EXHAUSTED;
    uint32_t capacity = map->capacity ? map->capacity * 2 : 8;
    size_t bytes;
    if (!tn_mul_size(capacity, sizeof *map->entries, &bytes))
        return TENON_E_RESOURCE_EXHAUSTED;
    struct tn_map_entry *entries = realloc(map->entries, bytes);
    if (entries == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    map->entries = entries;
    map->capacity = capacity;
    return TENON_OK;
}

static int32_t grow_slots(struct tn_map *map)
{
    if (map->n < map->n_slots / 2)
        return TENON_OK;
    uint32_t n_slots = map->n_slots ? map->n_slots * 2 : 16;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    free(map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
    for (uint32_t i = 0; i < map->n; i++) {
        const struct tn_map_entry *e = &map->entries[i];
        *slot_of(map, e->key, e->size, e->hash) = i + 1;
    }
    return TENON_OK;
}

int32_t tn_map_put(struct tn_map *map, const char *key, uint64_t size, void *value)
{
    struct tn_map_entry *old = tn_map_find(map, key, size);
    if (old != NULL) {
        old->value = value;
        return TENON_OK;
    }
    if (size >= SIZE_MAX || grow_entries(map) != TENON_OK || grow_slots(map) != TENON_OK)
        return TENON_E_RESOURCE_EXHAUSTED;
    char *copy = malloc((size_t)size + 1);
    if (copy == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    if (size > 0)
        memcpy(copy, key, size);
    copy[size] = '\0';
    uint64_t hash = hash_bytes(key, size);
    *slot_of(map, key, size, hash) = map->n + 1;
    map->entries[map->n++] = (struct tn_map_entry){.key = copy, .size = size, .hash = hash, .value = value};
    return TENON_OK;
}

struct tn_map_entry *tn_map_find(const struct tn_map *map, const char *key, uint64_t size)
{
    if (map->n_slots == 0)
        return NULL;
    uint32_t slot = *slot_of(map, key, size, hash_bytes(key, size));
    return slot == 0 ? NULL : &map->entries[slot - 1];
}

void *tn_map_get(const struct tn_map *map, const char *key, uint64_t size)
{
    const struct tn_map_entry *e = tn_map_find(map, key, size);
    return e == NULL ? NULL : e->value;
}

void tn_map_finish(struct tn_map *map, void (*free_value)(void *value))
{
    for (uint32_t i = 0; i < map->n; i++) {
        free(map->entries[i].key);
        if (free_value != NULL)
            free_value(map->entries[i].value);
    }
    free(map->entries);
    free(map->slots);
    *map = (struct tn_map){0};
}
