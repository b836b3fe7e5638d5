/* map.h - a hash map from byte strings to pointers that keeps the order of insertion.
 *
 *     struct tn_map map = {0};
 *     if (tn_map_put(&map, name, strlen(name), tensor) != 0)  // copies the key
 *         return out_of_memory;
 *     tensor = tn_map_get(&map, name, strlen(name));          // NULL: not there
 *     for (uint32_t i = 0; i < map.n; i++) use(map.entries[i].key, map.entries[i].value);
 *     tn_map_finish(&map, free);                              // NULL: values are not freed
 *
 * Nothing is ever removed, so entries stand in the order they were put: output made from a map is the same in every run.
 * The hash is seeded per process, so that names in a hostile file cannot be chosen to collide.
 * [serial:map]
 */
#ifndef TN_BASE_MAP_H
#define TN_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct tn_map_entry {
    char *key; /* OWN: map. [size + 1], NUL-ended for convenience */
    uint64_t size;
    uint64_t hash;
    void *value; /* OWN: the caller, see tn_map_finish */
};

/* All zero is an empty map. */
struct tn_map {
    struct tn_map_entry *entries; /* [n] in order of insertion */
    uint32_t n;
    uint32_t capacity; /* of entries */
    uint32_t *slots;   /* [n_slots] open addressing: 0 is free, i + 1 is entries[i] */
    uint32_t n_slots;  /* power of two, at least 2 * n; 0 at first */
};

/* Set key to value, replacing a value already there (which is not freed). TENON_OK or TENON_E_RESOURCE_EXHAUSTED, then
 * the map is as it was. */
int32_t tn_map_put(struct tn_map *map, const char *key, uint64_t size, void *value);

/* OWN: borrowed. NULL: not there (or put as NULL). */
void *tn_map_get(const struct tn_map *map, const char *key, uint64_t size);

/* The entry, for telling "not there" from a NULL value. OWN: borrowed until the next put. */
struct tn_map_entry *tn_map_find(const struct tn_map *map, const char *key, uint64_t size);

/* Free everything and make the map empty; `free_value` may be NULL. */
void tn_map_finish(struct tn_map *map, void (*free_value)(void *value));

#endif
